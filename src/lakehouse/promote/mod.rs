//! How does what was tested in an environment become production?
//!
//! By its files: each table that the environment made itself becomes the next version of production's, with the same files
//! under other names, and each view is stored with production's names. Nothing is built. Tests that nobody has asked yet are
//! asked first, and nothing is published that fails one, or if anything has moved: not the project, not what was read, not
//! what is replaced.
//!
//! Here: the verb. [`looked`] finds what the environment has; [`checks`] refuses what would not be production's own; [`map`]
//! tells of it in production's names.

mod checks;
mod looked;
mod map;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::environment::pointed_to;
use super::{
    BuildRequest, Compiled, Kinds, Lakehouse, Manifest, Materialization, Node, NodeId, NodeKind, Purpose,
    Reason, ReleaseDifference, Reviewer, Verdict, released,
};
use crate::base::{Diagnostic, Error, ErrorKind, Event, Result, TableName, TableVersion, Watch};
use crate::build::{self, PublishMode, remembered_as};
use crate::query::{MADE_OF, maker};
use crate::release::{self, Goal, Learnt, Memory, Pins, Proposal, Release, ReleaseKind, View};
use crate::table::write::share;
use looked::Looked;
use map::Map;

/// What is to be promoted.
#[derive(Clone, Debug, Default)]
pub struct PromoteRequest {
    /// The target that is an environment beside production.
    pub environment: String,
    /// Replace incremental models of production by what the environment made of them from the beginning.
    pub full_refresh: bool,
    /// How long to wait for another process that is writing to the lake.
    pub wait: Duration,
}

/// What was promoted.
#[derive(Debug)]
pub struct Promoted {
    /// The environment.
    pub environment: String,
    /// The target that is production.
    pub production: String,
    /// What it was in the environment, and what it is in production.
    pub names: Vec<(TableName, TableName)>,
    /// What it changes for readers, if that was reviewed.
    pub difference: Option<ReleaseDifference>,
    /// Whether the reviewer did not want it; then nothing is published.
    pub is_withdrawn: bool,
    /// The release; nothing if there was nothing to promote, or it was not wanted.
    pub release: Option<Release>,
}

/// A node that is promoted.
struct Taken<'a> {
    /// As the environment has it.
    here: &'a Node,
    from: TableName,
    to: TableName,
}

impl Lakehouse {
    /// Publishes what an environment has made as the next release of production. Nothing is built again.
    ///
    /// Tests of it that are not known to hold are asked before, in a run of their own. A reviewer is shown what would be
    /// published, and asked whether it is wanted.
    ///
    /// # Errors
    /// The target is no environment; what it has is not what the project would make now, or fails a test, or is the
    /// environment's alone (its code asks which target it is, it began an incremental model anew, it read a snapshot of its
    /// own); something that it would replace has moved since. Nothing is published then.
    pub async fn promote(
        &self,
        request: &PromoteRequest,
        reviewer: Option<&dyn Reviewer>,
        watch: &dyn Watch,
    ) -> Result<Promoted> {
        let name = request.environment.as_str();
        let here = self.with_target(name)?;
        let warned = Box::pin(here.test_first(request, watch)).await?;
        let _lock = self.begin_writing_within(request.wait, "promote", watch).await?;
        let pins = self.pins().await?;
        let looked = Box::pin(here.looked(name, &pins)).await?;
        let Looked { compiled: Compiled { manifest, .. }, selected, environment, memory, plan } = &looked;
        let production = self.with_target(&environment.production)?;
        let taken = taken(selected, manifest, &environment.manifest, &pins);
        if let Some(test) = untested(&looked, &taken).into_iter().find(|id| !warned.contains(*id)) {
            let what =
                format!("nothing was promoted: `{}` is not known to hold", manifest.node(test).shown());
            let help = format!("`elt test --target {name}` asks it, then promote again");
            return Err(wrong(what, help));
        }
        checks::snapshots(&taken, &looked, &here.default_schema, &pins, watch)?;
        if !request.full_refresh {
            checks::histories(self, name, &taken, &environment.manifest, &pins).await?;
        }
        self.check_unmoved(name, &taken, &pins).await?;
        checks::same_code(&here, &production, &taken, &looked, &pins).await?;
        let (mut changes, mut views) = (Vec::new(), BTreeMap::new());
        for one in &taken {
            let there = environment.manifest.node(&one.here.id);
            let Some(version) = pins.tables.get(&one.from) else {
                let sql = production.view_of_production(there, &environment.manifest, &pins).await?;
                let view = View::new(sql, there.description.as_str()).meant_by(self.unsaid);
                views.insert(one.to.clone(), view);
                continue;
            };
            let source = self.tables.snapshot(&one.from, *version).await?;
            let base = match pins.head(&one.to) {
                Some(head) => Some(self.tables.snapshot(&one.to, head).await?),
                None => None,
            };
            let change = share(&self.tables, &one.to, base, &source, None).await?;
            let change = change
                .with_provenance("model", there.id.to_string())
                .with_provenance("path", there.path.clone())
                .with_provenance("source", format!("{} version {version}", one.from));
            // What was gathered run after run is not made again by its query.
            changes.push(match there.materialization() {
                Some(Materialization::Incremental { .. }) => change,
                _ => change.with_provenance("fingerprint", there.fingerprint.to_string()),
            });
        }
        let read = reads(&taken, memory, &here.default_schema, &pins);
        let reused = environment.reused.keys().filter_map(|id| manifest.node(id).relation.as_ref());
        let pointers = reused.filter(|name| pins.views.get(*name).and_then(pointed_to).is_some()).collect();
        let versions = changes.iter().map(|change| (change.table().clone(), change.version())).collect();
        let map = Map { taken: &taken, versions, views: &views, pointers };
        for change in &mut changes {
            let one = taken.iter().find(|one| one.to == *change.table()).expect("it is one of those taken");
            let Some(version) = pins.tables.get(&one.from) else { continue };
            let made = maker(&self.tables, &one.from, *version).await?.and_then(|maker| maker.of);
            if let Some(of) = made {
                *change = change.clone().with_provenance(MADE_OF, map.made_of(of).to_json());
            }
        }
        let mut learnt = Memory::new();
        let is_known =
            |step: &&build::PlannedStep| matches!(step.because, Reason::UpToDate | Reason::Beyond { .. });
        for id in plan.steps.iter().chain(&plan.up_to_date).filter(is_known).map(|step| &step.node) {
            let (here_node, Some(there)) = (manifest.node(id), environment.manifest.nodes.get(id)) else {
                continue;
            };
            let basis = memory.get(&remembered_as(here_node, &here.default_schema));
            let code = environment.unchanged.codes.get(id);
            if let (Some(basis), Some(code)) = (basis, code) {
                let name = remembered_as(there, &production.default_schema);
                learnt.insert(name, map.basis(basis, code, here_node.relation.as_ref()));
            }
        }
        let names: Vec<_> = taken.iter().map(|one| (one.from.clone(), one.to.clone())).collect();
        let (mut difference, mut is_withdrawn) = (None, false);
        if let Some(reviewer) = reviewer.filter(|_| !names.is_empty()) {
            let made = (&changes[..], &views);
            let found = self.difference_of(&pins, &environment.manifest, made, reviewer.limit()).await?;
            is_withdrawn = !found.is_nothing() && !reviewer.is_wanted(&found).await;
            difference = Some(found);
        }
        watch.on(Event::Publishing);
        let (teller, before) = (self.teller(), pins.clone());
        let proposal = Proposal {
            base: pins,
            read,
            accepted: BTreeMap::new(),
            kind: ReleaseKind::Promote { from: name.to_owned() },
            run: self.run_id(),
            changes,
            views,
            learnt: Learnt { bases: learnt, forgotten: Default::default() },
            goal: Goal::Keep,
        };
        let published = match names.is_empty() || is_withdrawn {
            true => release::Published::Nothing,
            false => release::publish(&self.tables, &self.world, proposal).await?,
        };
        let release = released(published);
        if let Some(release) = &release {
            let moved: Vec<_> = names.iter().map(|(from, to)| (Some(from.clone()), to.clone())).collect();
            let job = format!("promote.{name}");
            self.tell_moved(teller.as_ref(), &job, &moved, &before, release).await;
        }
        let production = looked.environment.production;
        Ok(Promoted { environment: name.to_owned(), production, names, difference, is_withdrawn, release })
    }

    /// Asks the tests of what an environment made that nobody knows to hold. Returns those that only warned.
    async fn test_first(&self, asked: &PromoteRequest, watch: &dyn Watch) -> Result<BTreeSet<NodeId>> {
        let name = asked.environment.as_str();
        let pins = self.pins().await?;
        let looked = Box::pin(self.looked(name, &pins)).await?;
        let manifest = &looked.compiled.manifest;
        let taken = taken(&looked.selected, manifest, &looked.environment.manifest, &pins);
        let open: BTreeSet<String> = untested(&looked, &taken).into_iter().map(ToString::to_string).collect();
        if open.is_empty() {
            return Ok(BTreeSet::new());
        }
        let request = BuildRequest {
            purpose: Purpose::Test,
            only: Some(open),
            publish: PublishMode::Passing,
            wait: asked.wait,
            ..BuildRequest::default()
        };
        let built = Box::pin(self.build(&request, watch)).await?;
        let bad = |verdict: &Verdict| !matches!(verdict, Verdict::Passed | Verdict::Warned(_));
        if let Some(step) = built.steps.iter().find(|step| bad(&step.verdict)) {
            let why = match &step.verdict {
                Verdict::Failed(sample) => format!("fails: {}", sample.count_words()),
                Verdict::Broken(error) => format!("cannot be asked: {error}"),
                _ => "was not asked".to_owned(),
            };
            let what = format!("nothing was promoted: `{}` {why}", step.name);
            let help = format!("mend what it tests and build it again: `elt build --target {name}`");
            let diagnostic = Diagnostic::error("elt::promote", what).help(help);
            return Err(Error::new(ErrorKind::Data, diagnostic));
        }
        let warned = built.steps.iter().filter(|step| matches!(step.verdict, Verdict::Warned(_)));
        Ok(warned.map(|step| step.node.clone()).collect())
    }

    /// The query of a view with production's names.
    async fn view_of_production(&self, node: &Node, manifest: &Manifest, pins: &Pins) -> Result<String> {
        if !node.is_late {
            return Ok(node.sql.clone());
        }
        let scope = self.scope_of(pins.clone());
        let session =
            crate::query::Session::new(scope, &self.default_schema, crate::query::Limits::default());
        let (node, _) = build::compile_late(manifest, node, &session)
            .await
            .map_err(|error| Error::new(error.kind(), error))?;
        Ok(node.sql)
    }
}

/// The nodes that the environment has made itself.
fn taken<'a>(
    selected: &BTreeSet<NodeId>,
    here: &'a Manifest,
    there: &Manifest,
    pins: &Pins,
) -> Vec<Taken<'a>> {
    let mut taken = Vec::new();
    for id in selected {
        let node = here.node(id);
        let own = node.relation.clone().filter(|_| node.is_made());
        let production = there.nodes.get(id).and_then(|node| node.relation.clone());
        let (Some(from), Some(to)) = (own, production) else { continue };
        if from != to && (pins.tables.contains_key(&from) || pins.views.contains_key(&from)) {
            taken.push(Taken { here: node, from, to });
        }
    }
    taken
}

/// The tests of what is taken that are not known to hold.
fn untested<'a>(looked: &'a Looked, taken: &[Taken<'_>]) -> Vec<&'a NodeId> {
    let manifest = &looked.compiled.manifest;
    let is_open =
        |step: &&build::PlannedStep| step.action.is_test() && !matches!(step.because, Reason::Beyond { .. });
    let tests_it = |id: &NodeId| {
        let about = match &manifest.node(id).kind {
            NodeKind::UnitTest(test) => std::slice::from_ref(&test.model),
            _ => manifest.parents(id),
        };
        taken.iter().any(|one| about.contains(&one.here.id))
    };
    looked.plan.steps.iter().filter(is_open).map(|step| &step.node).filter(|id| tests_it(id)).collect()
}

/// The tables that production and sources gave, as they were read.
fn reads(
    taken: &[Taken<'_>],
    memory: &Memory,
    schema: &str,
    pins: &Pins,
) -> BTreeMap<TableName, TableVersion> {
    let bases = taken.iter().filter_map(|one| memory.get(&remembered_as(one.here, schema)));
    let read = bases.flat_map(|basis| &basis.tables);
    let read = read.filter(|(name, version)| pins.tables.get(*name) == Some(*version));
    read.map(|(name, version)| (name.clone(), *version)).collect()
}

fn wrong(what: String, help: String) -> Error {
    Error::user("elt::promote", what, help)
}
