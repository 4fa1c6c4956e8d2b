//! What does a target that is no production take over from production?
//!
//! An *environment* is a target beside another of the same lake, as `dev` beside `prod` in `profiles.yml`. What has not
//! changed since production made it is not made again: whatever reads it reads production's table, and under its own name it
//! is a *pointer*, a view of exactly what production had in the release that the build began with. Nothing is copied, and
//! no state is kept beside the lake: the published release says what production is, and by which code.
//!
//! Sources are everybody's. A build of an environment lands files of a source only if the lake has none of it yet.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::{BuildRequest, Compiled, Lakehouse, Manifest, NodeId, NodeKind, Purpose, Reason};
use crate::base::{ReleaseNumber, Result, TableName};
use crate::build;
use crate::compile::Facts;
use crate::release::{self, Memory, Pins, View};

/// What is taken over.
#[derive(Debug)]
pub(super) struct Environment {
    /// The target that is production.
    pub(super) production: String,
    /// The project as production has it.
    pub(super) manifest: Manifest,
    /// What has not changed since production made it.
    pub(super) unchanged: build::Unchanged,
    /// Nodes that were selected and are taken over, with what they are in production; tests without.
    pub(super) reused: BTreeMap<NodeId, Option<TableName>>,
}

/// Before and after the name in the query of a pointer.
const POINTER: (&str, &str) = ("select * from ", " as of release ");

/// A view that shows what a name was in a release.
fn pointer(to: &TableName, release: ReleaseNumber, description: &str) -> View {
    let name = format!("\"{}\".\"{}\"", to.schema(), to.table());
    View::new(format!("{}{name}{}{release}", POINTER.0, POINTER.1), description)
}

/// What a pointer points to; nothing if it is another view.
pub(super) fn pointed_to(view: &View) -> Option<(TableName, ReleaseNumber)> {
    let (name, release) = view.sql.strip_prefix(POINTER.0)?.split_once(POINTER.1)?;
    let (schema, table) = name.strip_prefix('"')?.strip_suffix('"')?.split_once("\".\"")?;
    Some((TableName::new(schema, table).ok()?, ReleaseNumber(release.parse().ok()?)))
}

/// The releases that pointers of these pins look back at: their versions are still read.
pub(super) fn looked_back_at(pins: &Pins) -> BTreeSet<ReleaseNumber> {
    pins.views.values().filter_map(pointed_to).map(|(_, release)| release).collect()
}

impl Lakehouse {
    /// The same lakehouse with another target of its profile.
    ///
    /// # Errors
    /// What is wrong with the project, also that it has no such target.
    pub(super) fn with_target(&self, name: &str) -> Result<Self> {
        let mut options = self.project.clone().ok_or_else(|| self.no_project())?;
        options.target = Some(name.to_owned());
        let mut other = Self { project: Some(options), ..self.clone() };
        let target = other.load()?.0.target;
        (other.default_schema, other.unsaid) = (target.schema, target.unsaid);
        Ok(other)
    }

    /// What the project's target takes over from production; nothing if it is no environment, or production has made
    /// nothing yet.
    pub(super) async fn environment(
        &self,
        compiled: &Compiled,
        facts: &Facts,
        pins: &Pins,
        memory: &Memory,
    ) -> Result<Option<Environment>> {
        let Some(production) = compiled.project.target.production.clone() else { return Ok(None) };
        let there = self.with_target(&production)?;
        let Compiled { manifest, .. } =
            there.compile_with(&Facts { deferred: BTreeMap::new(), ..facts.clone() })?;
        let made = manifest.nodes.values().filter(|node| node.is_made());
        let mut names = made.filter_map(|node| node.relation.as_ref());
        if !names.any(|name| is_there(pins, name)) {
            return Ok(None);
        }
        let scope = self.scope_of(pins.clone());
        let own = &compiled.manifest;
        let unchanged = build::unchanged(&manifest, &scope, memory, &there.default_schema, |source| {
            own.nodes.get(&source.id).is_none_or(|here| here.relation != source.relation)
        });
        let mut unchanged = Box::pin(unchanged).await;
        // What goes to the same place is not an environment's own.
        unchanged.nodes.retain(|id| own.nodes.contains_key(id));
        Ok(Some(Environment { production, manifest, unchanged, reused: BTreeMap::new() }))
    }
}

fn is_there(pins: &Pins, name: &TableName) -> bool {
    pins.tables.contains_key(name) || pins.views.contains_key(name)
}

/// Whether a name is something that was made, and no pointer.
pub(super) fn is_own(pins: &Pins, name: &TableName) -> bool {
    pins.tables.contains_key(name) || pins.views.get(name).is_some_and(|view| pointed_to(view).is_none())
}

impl Environment {
    /// Decides what is taken over instead of being made, and takes it out of what is selected.
    ///
    /// A build takes over what has not changed; dbt's other verbs make all that they are asked for.
    pub(super) fn take_over(
        &mut self,
        request: &BuildRequest,
        own: &Manifest,
        selected: &mut BTreeSet<NodeId>,
    ) {
        let makes_all = request.purpose != Purpose::Build || request.full || request.full_refresh;
        if makes_all || request.is_partial() || request.is_of_a_stretch() || request.only.is_some() {
            return;
        }
        let is_taken = |id: &NodeId| {
            let node = own.node(id);
            let is_elsewhere = self.manifest.node(id).relation != node.relation;
            let is_any = node.is_test() || node.is_made() && is_elsewhere;
            is_any && !matches!(node.kind, NodeKind::Source(_))
        };
        let taken = selected.iter().filter(|id| self.unchanged.nodes.contains(*id) && is_taken(id));
        for id in taken.cloned().collect::<Vec<_>>() {
            selected.remove(&id);
            let there = self.manifest.node(&id).relation.clone().filter(|_| own.node(&id).is_made());
            self.reused.insert(id, there);
        }
    }

    /// Where the nodes are read that are not made here, by their ids.
    ///
    /// A build reads from production what has not changed. dbt's other verbs take nothing over, so they read what the
    /// environment has made itself, and production's only where it has nothing of its own.
    pub(super) fn deferred(
        &self,
        purpose: Purpose,
        own: &Manifest,
        selected: &BTreeSet<NodeId>,
        pins: &Pins,
    ) -> BTreeMap<String, TableName> {
        let nodes = own.nodes.iter().filter(|(id, node)| node.is_made() && !selected.contains(*id));
        let elsewhere = nodes.filter_map(|(id, node)| {
            let (here, there) = (node.relation.as_ref()?, self.manifest.nodes.get(id)?.relation.as_ref()?);
            let is_taken = purpose == Purpose::Build && self.unchanged.nodes.contains(id);
            let reads_it = is_taken || !is_own(pins, here);
            (here != there && reads_it && is_there(pins, there)).then(|| (id.to_string(), there.clone()))
        });
        elsewhere.collect()
    }

    /// The pointers that are missing, or point to what is another now.
    pub(super) async fn pointers(
        &self,
        lakehouse: &Lakehouse,
        own: &Manifest,
        pins: &Pins,
    ) -> Result<BTreeMap<TableName, View>> {
        let Some(release) = pins.release else { return Ok(BTreeMap::new()) };
        // What has moved since an earlier release: of thousands of pointers most look back at the same few.
        let mut moved: BTreeMap<ReleaseNumber, BTreeSet<TableName>> = BTreeMap::new();
        let mut pointers = BTreeMap::new();
        for (id, there) in &self.reused {
            let (node, Some(there)) = (own.node(id), there) else { continue };
            let Some(here) = &node.relation else { continue };
            let known = pins.views.get(here).and_then(pointed_to).filter(|(to, _)| to == there);
            if let Some((_, then)) = known {
                if let Entry::Vacant(place) = moved.entry(then) {
                    let read = release::release(lakehouse.tables.lake(), then).await;
                    let pins_then = read.map(|release| release.pins).unwrap_or_default();
                    place.insert(pins.moved_since(&pins_then).into_iter().collect());
                }
                if self.shows_the_same(id, there, &moved[&then], pins) {
                    continue;
                }
            }
            pointers.insert(here.clone(), pointer(there, release, &node.description));
        }
        Ok(pointers)
    }

    /// Whether a node of production shows what it showed, of which these names have moved since.
    fn shows_the_same(&self, id: &NodeId, name: &TableName, moved: &BTreeSet<TableName>, now: &Pins) -> bool {
        if !is_there(now, name) || moved.contains(name) {
            return false;
        }
        if moved.is_empty() || now.tables.contains_key(name) {
            return true;
        }
        let above = self.manifest.ancestors(id);
        let mut read = above.iter().filter_map(|id| self.manifest.node(id).relation.as_ref());
        !read.any(|read| moved.contains(read))
    }

    /// Tells of what the environment has not made itself yet why it is not taken over from production.
    pub(super) fn explain(&self, own: &Manifest, pins: &Pins, plan: &mut build::BuildPlan) {
        let made: BTreeSet<NodeId> = plan.steps.iter().map(|step| step.node.clone()).collect();
        for step in &mut plan.steps {
            let node = own.node(&step.node);
            let is_pointer = || {
                let view = node.relation.as_ref().and_then(|name| pins.views.get(name));
                view.and_then(pointed_to).is_some()
            };
            let is_own = match step.because {
                Reason::Missing | Reason::Unknown => false,
                Reason::Rewritten => !is_pointer(),
                _ => true,
            };
            if is_own || !self.manifest.nodes.contains_key(&step.node) {
                continue;
            }
            if self.unchanged.recoded.contains(&step.node) {
                step.because = Reason::NotAsInProduction;
                continue;
            }
            let above = own.parents(&step.node).iter().filter(|parent| made.contains(*parent));
            let input = above.filter_map(|parent| own.node(parent).relation.clone()).next();
            if let Some(input) = input {
                step.because = Reason::InputMade { input };
            }
        }
    }

    /// What there is to say of it: `7 nodes are as production has them`.
    pub(super) fn told(&self) -> Option<String> {
        let count = self.reused.values().flatten().count();
        let nodes = if count == 1 { "1 node is as" } else { "nodes are as" };
        match count {
            0 => None,
            1 => Some(format!("{nodes} `{}` has it", self.production)),
            _ => Some(format!("{count} {nodes} `{}` has them", self.production)),
        }
    }
}
