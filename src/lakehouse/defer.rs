//! What is read of another state of the project, instead of being built?
//!
//! With `--defer` a name that is not among the selected nodes means what it is in the state that is given, as
//! its `manifest.json` has it: a development build reads production's tables. `clone` brings them over.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Compiled, Earlier, Kinds, Lakehouse, Manifest, Node, NodeId, Selector, released};
use crate::base::{Diagnostic, Error, ReleaseNumber, Result, TableName, Told};
use crate::build::{self, SoFar};
use crate::compile::{self, Facts};
use crate::release::{self, Goal, Pins, Proposal, ReleaseKind, View};

/// Another state of the project, for what is not selected.
#[derive(Clone, Debug)]
pub struct Defer {
    /// Its `manifest.json`.
    pub manifest: Value,
    /// Whether it is read even where the project's own table is there.
    pub favor: bool,
}

/// What to clone.
#[derive(Clone, Debug, Default)]
pub struct CloneRequest {
    /// Only these nodes; all if empty.
    pub select: Vec<Selector>,
    /// Not these.
    pub exclude: Vec<Selector>,
    /// The state to clone from.
    pub earlier: Earlier,
    /// Replace what is there.
    pub full_refresh: bool,
    /// Only nodes of these kinds.
    pub kinds: Kinds,
}

/// What became of one node that was to be cloned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloned {
    /// The node.
    pub name: String,
    /// What happened, in words.
    pub what: String,
}

impl Defer {
    /// Where the nodes are that are read from this state: not selected, and not there themselves.
    pub(super) fn elsewhere(
        &self,
        manifest: &Manifest,
        selected: &BTreeSet<NodeId>,
        pins: &Pins,
    ) -> BTreeMap<String, TableName> {
        let elsewhere = |(id, node): (&NodeId, &Node)| {
            let own = node.relation.as_ref().filter(|_| node.is_made())?;
            let there = relation_in(&self.manifest, id.as_str())?;
            let reads_it = self.favor || !is_there(pins, own);
            (reads_it && !selected.contains(id) && there != *own).then(|| (id.to_string(), there))
        };
        manifest.nodes.iter().filter_map(elsewhere).collect()
    }
}

/// Where a state has a node, if it has it as a table or view.
fn relation_in(state: &Value, id: &str) -> Option<TableName> {
    let entry = state.get("nodes")?.get(id)?;
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let is_made = matches!(text("resource_type")?, "model" | "seed" | "snapshot");
    let materialized = entry.get("config").and_then(|config| config.get("materialized"));
    if !is_made || materialized.and_then(Value::as_str) == Some("ephemeral") {
        return None;
    }
    TableName::new(text("schema")?, text("alias").or_else(|| text("name"))?).ok()
}

fn is_there(pins: &Pins, name: &TableName) -> bool {
    pins.tables.contains_key(name) || pins.views.contains_key(name)
}

impl Lakehouse {
    /// Compiles the project again, so that what is not among `selected` is read from another state.
    pub(super) fn deferred(
        &self,
        compiled: Compiled,
        defer: &Defer,
        selected: &BTreeSet<NodeId>,
        facts: &Facts,
        pins: &Pins,
    ) -> Result<Compiled> {
        let deferred = defer.elsewhere(&compiled.manifest, selected, pins);
        if deferred.is_empty() {
            return Ok(compiled);
        }
        self.compile_with(&Facts { deferred, ..facts.clone() })
    }

    /// Brings tables and views of another state over, all of them in one release.
    ///
    /// A table is copied, with its history left behind; a view becomes a view of the state's own. What is there
    /// already stays, unless everything is asked for anew.
    ///
    /// # Errors
    /// If there is no state to clone from, or a relation of it is not in this lake. Nothing is published then.
    pub async fn clone_state(&self, request: &CloneRequest) -> Result<(Vec<Cloned>, Option<ReleaseNumber>)> {
        let Some(state) = &request.earlier.manifest else {
            return Err(Error::user(
                "elt::state",
                "there is no state to clone from",
                "give the folder of a manifest.json: `--state DIR`",
            ));
        };
        self.tables.lake().check_writable().await?;
        let pins = self.pins().await?;
        let compiled = self.compile_for(&pins, false, &self.world.id())?;
        let manifest = &compiled.manifest;
        let earlier = self.compared(&request.earlier, &compiled.project);
        let selected = compile::select(manifest, &request.select, &request.exclude, &earlier)?;
        let session = self.session().await?;
        let mut stamp = self.stamp_in(&compiled.project, &self.run_id(), "clone");
        let mut results = Vec::new();
        let (mut told, mut changes, mut views) = (Vec::new(), Vec::new(), BTreeMap::new());
        let quoted = |name: &TableName| format!("\"{}\".\"{}\"", name.schema(), name.table());
        let wanted = |node: &&Node| node.is_made() && request.kinds.take(node.resource_type());
        let nodes = manifest.order().into_iter().filter(|id| selected.contains(id));
        for node in nodes.map(|id| manifest.nodes[&id].clone()).collect::<Vec<_>>().iter().filter(wanted) {
            let (Some(own), Some(there)) = (&node.relation, relation_in(state, node.id.as_str())) else {
                continue;
            };
            let begun = self.world.now();
            let mut tell = |what: String| told.push(Cloned { name: node.shown(), what });
            if there == *own {
                tell(format!("skipping clone for relation {own}: it is the state's own"));
            } else if is_there(&pins, own) && !request.full_refresh {
                tell(format!("skipping clone for relation {own}: it is there (--full-refresh replaces it)"));
            } else if pins.tables.contains_key(&there) {
                let sql = format!("create or replace table {} deep clone {}", quoted(own), quoted(&there));
                let staged = session.stage(&sql).await?;
                changes.extend(staged.into_iter().flat_map(|staged| staged.changes));
                tell(format!("copied from {there}"));
            } else if pins.views.contains_key(&there) {
                let sql = format!("select * from {}", quoted(&there));
                views.insert(own.clone(), View::new(sql, node.description.as_str()));
                tell(format!("a view of {there}"));
            } else {
                let what = format!("`{}` cannot be cloned: {there} is not in this lake", node.shown());
                return Err(Diagnostic::error("elt::clone", what)
                    .at(&node.at, "this node")
                    .help("build the state it is taken from, or leave the node out with --exclude")
                    .into());
            }
            let message = told.last().map(|one| one.what.clone());
            results.push(SoFar {
                unique_id: node.id.to_string(),
                relation: quoted(own),
                told: Told { status: "success", message, failures: None, rows: None },
                took: self.world.now().signed_duration_since(begun).to_std().unwrap_or_default(),
            });
        }
        let run = self.world.id();
        let proposal = Proposal {
            base: session.scope().pins().clone(),
            read: session.scope().read_so_far(),
            accepted: BTreeMap::new(),
            kind: ReleaseKind::Sql { statement: "CLONE".to_owned() },
            run,
            changes,
            views,
            learnt: Default::default(),
            goal: Goal::Keep,
        };
        let release = released(release::publish(&self.tables, &self.world, proposal).await?);
        stamp.at = self.world.now();
        // Manifest and results are for other tools; what was cloned does not depend on them.
        let target = &compiled.project.target_path;
        let _ = self.write_project(target, manifest, &BTreeMap::new(), &stamp);
        let _ = self.write_artifact(target, "run_results.json", &build::run_results_so_far(&results, &stamp));
        Ok((told, release.map(|release| release.number)))
    }
}
