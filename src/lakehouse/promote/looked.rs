//! What has an environment made, and is it what would be made now?
//!
//! A build takes over from production what has not changed, and the rest reads it there. dbt's other verbs, as `elt run`,
//! make that too, and the rest reads what was made beside it. So one node was made from the environment's own and the next
//! one from production's: each is held against the query that it was made by.

use std::collections::{BTreeMap, BTreeSet};

use super::super::environment::{Environment, is_own};
use super::super::plan::Chosen;
use super::{BuildRequest, Compiled, Kinds, Lakehouse, NodeId, NodeKind, Purpose, Reason, wrong};
use crate::base::{Error, Result, TableName};
use crate::build::{self, BuildPlan, Code, Wanted, remembered_as};
use crate::compile::{Facts, Node};
use crate::release::{Basis, Memory, Pins};

/// The project as the environment has it, beside production.
pub(super) struct Looked {
    pub(super) compiled: Compiled,
    pub(super) selected: BTreeSet<NodeId>,
    pub(super) environment: Environment,
    pub(super) memory: Memory,
    pub(super) plan: BuildPlan,
}

impl Lakehouse {
    /// The project as an environment has it, all of it as it would be made now.
    pub(super) async fn looked(&self, name: &str, pins: &Pins) -> Result<Looked> {
        // What a snapshot remembers is production's own.
        let kinds = Kinds { never: vec!["snapshot".to_owned()], ..Kinds::default() };
        let request = BuildRequest { kinds, ..BuildRequest::default() };
        let facts = self.facts_of(&request, pins, &self.run_id());
        let Chosen { compiled, selected, environment } = self.chosen(&request, &facts, pins).await?;
        let Some(environment) = environment else {
            return Err(no_environment(name, compiled.project.target.production.as_deref()));
        };
        let mut own = compiled.manifest.nodes.values().filter(|node| node.is_made()).filter_map(|node| {
            let there = environment.manifest.nodes.get(&node.id).and_then(|node| node.relation.as_ref());
            node.relation.as_ref().filter(|own| Some(*own) != there)
        });
        if !own.any(|own| pins.tables.contains_key(own) || pins.views.contains_key(own)) {
            let what = format!("nothing was promoted: `{name}` was not built yet");
            return Err(wrong(
                what,
                format!("`elt build --target {name}` makes and tests it, then promote it"),
            ));
        }
        let (mut memory, later) = self.memory().await?;
        memory.extend(later);
        let mut looked = Looked { compiled, selected, environment, memory, plan: BuildPlan::default() };
        let kept = self.kept(&looked, &facts, pins)?;
        if !kept.is_empty() {
            self.keep(&mut looked, &kept, &facts, pins)?;
        }
        looked.plan = build::due(Wanted {
            manifest: &looked.compiled.manifest,
            selected: &looked.selected,
            asked: request.asked(),
            scope: &self.scope_of(pins.clone()),
            landed: BTreeMap::new(),
            memory: looked.memory.clone(),
            default_schema: &self.default_schema,
        })
        .await;
        not_as_made(name, &looked).map_or(Ok(looked), Err)
    }

    /// What the environment has made itself, as it would be made now, although a build would take it over from production; and
    /// of which something was made that is not production's.
    fn kept(&self, looked: &Looked, facts: &Facts, pins: &Pins) -> Result<BTreeSet<NodeId>> {
        let (manifest, environment) = (&looked.compiled.manifest, &looked.environment);
        let own_name = |id: &NodeId| {
            let node = manifest.node(id);
            node.relation.as_ref().filter(|name| node.is_made() && is_own(pins, name))
        };
        let reused = environment.reused.keys();
        let mut own: BTreeMap<&NodeId, &TableName> =
            reused.filter_map(|id| Some((id, own_name(id)?))).collect();
        if own.is_empty() {
            return Ok(BTreeSet::new());
        }
        let ids: BTreeSet<NodeId> = own.keys().map(|id| (*id).clone()).collect();
        let deferred = environment.deferred(Purpose::Build, manifest, &ids, pins);
        let by_itself = self.compile_with(&Facts { deferred, ..facts.clone() })?.manifest;
        let mut kept = BTreeSet::new();
        for id in manifest.order().into_iter().filter(|id| ids.contains(id)) {
            let name = remembered_as(manifest.node(&id), &self.default_schema);
            let Some(basis) = looked.memory.get(&name) else { continue };
            let is_as_made = [manifest, &by_itself].iter().any(|of| has_made(of.node(&id), basis));
            // What is not kept by now was made by other code, and whoever read it has other rows.
            let mut read = basis.tables.keys().chain(basis.views.keys());
            let reads_other = read.any(|name| own.iter().any(|(of, own)| **of != id && *own == name));
            if is_as_made && !reads_other {
                own.remove(&id);
                kept.insert(id);
            }
        }
        // Only what something that has changed was made of goes with it.
        let mut needed = BTreeSet::new();
        let mut open: Vec<NodeId> =
            looked.selected.iter().filter(|id| own_name(id).is_some()).cloned().collect();
        while let Some(id) = open.pop() {
            let name = remembered_as(manifest.node(&id), &self.default_schema);
            let Some(basis) = looked.memory.get(&name) else { continue };
            for below in &kept {
                let is_read = own_name(below)
                    .is_some_and(|name| basis.tables.contains_key(name) || basis.views.contains_key(name));
                if is_read && *below != id && needed.insert(below.clone()) {
                    open.push(below.clone());
                }
            }
        }
        Ok(needed)
    }

    /// Puts what is kept among what the environment made; each thing by the query that it was made by, from production's or
    /// from the environment's own.
    fn keep(&self, looked: &mut Looked, kept: &BTreeSet<NodeId>, facts: &Facts, pins: &Pins) -> Result<()> {
        let Looked { compiled, selected, environment, memory, .. } = looked;
        let manifest = &compiled.manifest;
        let is_of_kept = |id: &NodeId| {
            let about = match &manifest.node(id).kind {
                NodeKind::UnitTest(test) => std::slice::from_ref(&test.model),
                _ => manifest.parents(id),
            };
            manifest.node(id).is_test() && about.iter().any(|parent| kept.contains(parent))
        };
        let is_back = |id: &&NodeId| kept.contains(*id) || is_of_kept(id);
        selected.extend(environment.reused.keys().filter(is_back).cloned());
        environment.reused.retain(|id, _| !selected.contains(id));
        let deferred = environment.deferred(Purpose::Build, manifest, selected, pins);
        let mut by_itself = self.compile_with(&Facts { deferred, ..facts.clone() })?.manifest;
        for id in selected.iter().filter(|id| manifest.node(id).is_made()) {
            let other = manifest.node(id);
            let Some(basis) = memory.get(&remembered_as(other, &self.default_schema)) else { continue };
            if !has_made(by_itself.node(id), basis) && has_made(other, basis) {
                by_itself.nodes.replace(other.clone());
            }
        }
        compiled.manifest = by_itself;
        Ok(())
    }
}

/// Why a target cannot be promoted that is beside no production, or beside one that has made nothing yet.
fn no_environment(name: &str, production: Option<&str>) -> Error {
    let (what, help) = match production {
        Some(production) => (
            format!("`{production}` has made nothing yet that `{name}` could be promoted to"),
            format!("`elt build --target {production}` makes it for the first time"),
        ),
        None => (
            format!("the target `{name}` is no environment beside a production: it is production itself, or stands alone"),
            "name an environment: `elt promote dev`; its output in profiles.yml names its production, as `production: prod`, of the same lake".to_owned(),
        ),
    };
    wrong(what, help)
}

/// Whether something was made by a node's query. What compiling alone does not tell is looked at when it is planned.
fn has_made(node: &Node, basis: &Basis) -> bool {
    node.is_late || matches!(node.kind, NodeKind::Seed(_)) || Code::of(node).has_made(basis)
}

/// What an environment has not made as it would be made now.
fn not_as_made(name: &str, looked: &Looked) -> Option<Error> {
    let is_due =
        |step: &&build::PlannedStep| !step.action.is_test() && !matches!(step.because, Reason::Beyond { .. });
    let step = looked.plan.steps.iter().find(is_due)?;
    let node = looked.compiled.manifest.node(&step.node);
    let what = format!("`{}` is not what it would be now: {}", node.shown(), step.because);
    let help = format!("`elt build --target {name}` makes and tests it, then promote it");
    Some(wrong(format!("nothing was promoted: {what}"), help))
}
