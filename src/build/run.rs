//! The plan is carried out.
//!
//! Steps that wait for nothing run side by side, each in a session of what was made so far. Nothing
//! here is visible to anyone else; the end of it is a [`BuildRun`], which says what may be published.

mod hooked;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

use super::basis::learnt;
use super::graph::{solid_parents, waits_for};
use super::materialize::Made;
use super::plan::{Action, BuildPlan, PlannedStep};
use super::report::{StepReport, Verdict, Visibility};
use super::step::{Done, What, try_out};
use super::{BuildError, expectation};
use crate::base::{Ending, Event, Step, TableName, Watch, grouped};
use crate::compile::{Manifest, Materialization, Node, NodeId, NodeKind, OnError};
use crate::query::Scope;
use crate::release::{Basis, Memory, View};
use crate::table::{Change, Effect};

/// What is published if not everything is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublishMode {
    /// Nothing, unless every selected node is well.
    #[default]
    All,
    /// The models whose whole upstream is well.
    Passing,
}

/// What a build works on.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    /// The project, compiled.
    pub manifest: &'a Manifest,
    /// What is to be done.
    pub plan: &'a BuildPlan,
    /// The pinned release, with what was landed on top.
    pub scope: Scope,
    /// What was landed in this run, by the source's table; rejects follow their table.
    pub landed: BTreeMap<TableName, Vec<Arc<Change>>>,
    /// The schema of names without one.
    pub default_schema: &'a str,
    /// Steps at once.
    pub threads: usize,
    /// What is published if not everything is well.
    pub publish: PublishMode,
    /// When the run started.
    pub started: DateTime<Utc>,
    /// Whether nothing new is begun once something has failed.
    pub fail_fast: bool,
    /// Whether a test that only warns fails.
    pub warnings_fail: bool,
}

/// A build, carried out and not published.
#[derive(Debug, Default)]
pub struct BuildRun {
    /// What happened, in the order in which it ended.
    pub steps: Vec<StepReport>,
    /// The changes to publish.
    pub changes: Vec<Change>,
    /// The views to publish.
    pub views: BTreeMap<TableName, View>,
    /// Landed tables that are not to be published, with why.
    pub held_back: BTreeMap<TableName, String>,
    /// The nodes that were compiled only now, because their templates read the lake.
    pub late: BTreeMap<NodeId, Node>,
    /// What the changes and views were made from, and the tests that held.
    pub learnt: Memory,
    /// Names under which rows were staged; whatever lies under them is of no use any more.
    pub scratch: Vec<TableName>,
}

impl BuildRun {
    /// Whether every step ended well.
    pub fn is_well(&self) -> bool {
        !self.steps.iter().any(|step| step.verdict.is_bad())
    }
}

/// Carries out a plan. Publishes nothing.
///
/// A step that fails is told in its report; its descendants are skipped, the rest goes on.
pub async fn run(inputs: Inputs<'_>, watch: &dyn Watch) -> BuildRun {
    let mut state = State::new(&inputs);
    let mut running: FuturesUnordered<BoxFuture<'_, Ended>> = FuturesUnordered::new();
    loop {
        while running.len() < inputs.threads.max(1) {
            let Some(at) = state.next_ready() else { break };
            let step = &inputs.plan.steps[at];
            if let Some(because) = state.failed_before(step) {
                state.end(at, Err(because), Duration::ZERO, watch);
                continue;
            }
            if let Err(error) = state.hooks_before(step).await {
                state.end(at, Ok(Err(error)), Duration::ZERO, watch);
                continue;
            }
            watch.on(Event::Started(shown(&inputs, step)));
            let scope = state.scope.clone();
            let inputs = &inputs;
            running.push(Box::pin(async move {
                let begun = Instant::now();
                let done = Box::pin(try_out(inputs, scope, step, watch)).await;
                (at, done, begun.elapsed())
            }));
        }
        let Some((at, done, took)) = running.next().await else { break };
        let done = match done {
            Ok(done) => state.hooks_after(at, done).await,
            Err(error) => Err(error),
        };
        state.end(at, Ok(done), took, watch);
    }
    state.conclude()
}

/// A step's place in the plan, what came of it, and how long it took.
type Ended = (usize, Result<Done, BuildError>, Duration);

fn shown(inputs: &Inputs<'_>, step: &PlannedStep) -> Step {
    let node = inputs.manifest.node(&step.node);
    Step { kind: step.action.kind().to_owned(), name: node.shown(), node: Some(node.id.to_string()) }
}

/// How far a run is.
struct State<'a> {
    inputs: &'a Inputs<'a>,
    waits: BTreeMap<NodeId, BTreeSet<NodeId>>,
    begun: Vec<bool>,
    ended: BTreeMap<NodeId, Verdict>,
    made: BTreeMap<NodeId, Made>,
    /// What hooks wrote and what is quarantined, and the nodes that they belong to.
    hooked: BTreeMap<TableName, (Made, BTreeSet<NodeId>)>,
    /// Failing rows that tests keep; they are published whatever happens.
    kept: Vec<(TableName, Made)>,
    late: BTreeMap<NodeId, Node>,
    bases: BTreeMap<NodeId, Basis>,
    reports: Vec<StepReport>,
    scope: Scope,
    /// Since when it runs.
    clock: Instant,
}

impl<'a> State<'a> {
    fn new(inputs: &'a Inputs<'a>) -> Self {
        Self {
            waits: waits_for(inputs.manifest, inputs.plan),
            begun: vec![false; inputs.plan.steps.len()],
            ended: BTreeMap::new(),
            made: BTreeMap::new(),
            hooked: BTreeMap::new(),
            kept: Vec::new(),
            late: BTreeMap::new(),
            bases: BTreeMap::new(),
            reports: Vec::new(),
            scope: inputs.scope.clone(),
            clock: Instant::now(),
            inputs,
        }
    }

    /// The first step that has not begun and waits for nothing any more.
    fn next_ready(&mut self) -> Option<usize> {
        let steps = &self.inputs.plan.steps;
        let ready = |at: &usize| {
            !self.begun[*at] && self.waits[&steps[*at].node].iter().all(|node| self.ended.contains_key(node))
        };
        let at = (0..steps.len()).find(ready)?;
        self.begun[at] = true;
        Some(at)
    }

    /// The name of a node whose failure keeps this step from being begun.
    fn failed_before(&self, step: &PlannedStep) -> Option<String> {
        let bad = |node: &&NodeId| self.ended.get(*node).is_some_and(Verdict::is_bad);
        let earlier = self.reports.iter().find(|report| report.verdict.is_bad());
        if let Some(earlier) = earlier.filter(|_| self.inputs.fail_fast) {
            return Some(earlier.name.clone());
        }
        let holds =
            |node: &&NodeId| bad(node) && !goes_on_without(self.inputs.manifest, node, &self.ended[*node]);
        let first = self.waits[&step.node].iter().find(holds)?;
        Some(match &self.ended[first] {
            Verdict::Skipped { because } => because.clone(),
            _ => self.inputs.manifest.node(first).shown(),
        })
    }

    fn end(
        &mut self,
        at: usize,
        done: Result<Result<Done, BuildError>, String>,
        took: Duration,
        watch: &dyn Watch,
    ) {
        let step = &self.inputs.plan.steps[at];
        let node = self.inputs.manifest.node(&step.node);
        let (mut batches, mut kept) = (None, Vec::new());
        let verdict = match done {
            Err(because) => Verdict::Skipped { because },
            Ok(Err(error)) => Verdict::Broken(Arc::new(error)),
            Ok(Ok(done)) => {
                done.messages.into_iter().for_each(|message| watch.on(Event::Note(message)));
                self.bases.insert(step.node.clone(), done.basis);
                kept = done.kept;
                if let Some((name, made)) = done.beside {
                    self.scope = match &made {
                        Made::Table(change) => self.scope.clone().with_change(Arc::clone(change)),
                        Made::View(view) => self.scope.clone().with_view(&name, view.clone()),
                    };
                    let by = BTreeSet::from([step.node.clone()]);
                    self.hooked.insert(name, (made, by));
                }
                self.late.extend(done.late.map(|node| (step.node.clone(), node)));
                match done.what {
                    What::Tested(verdict, kept) => {
                        let name = node.relation.clone();
                        self.kept.extend(name.zip(kept));
                        verdict
                    }
                    What::Batches(made, told, failed) => {
                        batches = Some(told);
                        let effect = made.map(|made| self.take_in(&step.node, made)).unwrap_or_default();
                        match failed {
                            Some(error) => Verdict::Partly(effect, Arc::new(error)),
                            None => Verdict::Made(effect),
                        }
                    }
                    What::Made(_) if node.hooks.drops_it => Verdict::Made(Effect::default()),
                    What::Made(made) => Verdict::Made(self.take_in(&step.node, made)),
                }
            }
        };
        let verdict = match verdict {
            Verdict::Warned(sample) if self.inputs.warnings_fail => Verdict::Failed(sample),
            verdict => verdict,
        };
        let (ending, mut detail) = words(step.action, &verdict);
        detail.push_str(&expectation::told(&kept));
        self.ended.insert(step.node.clone(), verdict.clone());
        let report = StepReport {
            node: step.node.clone(),
            name: node.shown(),
            action: step.action,
            verdict,
            batches,
            expectations: kept,
            visibility: Visibility::Nothing,
            began: self.clock.elapsed().saturating_sub(took),
            took,
            place: node.at.place(),
        };
        let told = Some(super::told::told(&report, node));
        watch.on(Event::Finished { step: shown(self.inputs, step), ending, detail, took, told });
        self.reports.push(report);
    }

    /// Lets the steps to come see what was made.
    fn take_in(&mut self, id: &NodeId, made: Made) -> Effect {
        let name = self.inputs.manifest.node(id).relation.as_ref().expect("what is made has a name");
        let effect = match &made {
            Made::Table(change) => {
                self.scope = self.scope.clone().with_change(Arc::clone(change));
                change.effect()
            }
            Made::View(view) => {
                self.scope = self.scope.clone().with_view(name, view.clone());
                Effect::default()
            }
        };
        self.made.insert(id.clone(), made);
        effect
    }

    /// Decides what may be published.
    fn conclude(mut self) -> BuildRun {
        let condemned = self.condemned();
        let all_or_nothing = self.inputs.publish == PublishMode::All;
        let stop = self.reports.iter().find(|step| step.verdict.is_bad()).map(|step| step.name.clone());
        let why_not = |node: &NodeId| match (&stop, condemned.get(node)) {
            (_, Some(because)) => Some(because.clone()),
            (Some(name), None) if all_or_nothing => Some(format!("`{name}` failed")),
            _ => None,
        };
        for report in &mut self.reports {
            if !report.action.is_test() {
                report.visibility = match why_not(&report.node) {
                    Some(because) => Visibility::NotPublished { because },
                    None => Visibility::Published,
                };
            }
        }
        let mut run = BuildRun {
            steps: std::mem::take(&mut self.reports),
            changes: Vec::new(),
            views: BTreeMap::new(),
            held_back: BTreeMap::new(),
            late: std::mem::take(&mut self.late),
            learnt: Memory::new(),
            scratch: Vec::new(),
        };
        for step in &self.inputs.plan.steps {
            let is_staged = matches!(
                step.action,
                Action::TakeSnapshot | Action::ReplaceRows | Action::MergeRows | Action::AppendRows
            );
            let name = self.inputs.manifest.node(&step.node).relation.as_ref().filter(|_| is_staged);
            run.scratch.extend(name.and_then(|name| name.companion("elt_new").ok()));
            let node = self.inputs.manifest.node(&step.node);
            let name = node.relation.as_ref().filter(|_| !node.expectations.is_empty());
            run.scratch.extend(name.and_then(|name| name.companion("elt_rows").ok()));
            let apart = name.and_then(|name| name.companion("quarantine").ok());
            run.scratch.extend(apart.and_then(|apart| apart.companion("elt_new").ok()));
        }
        for (name, kept) in std::mem::take(&mut self.kept) {
            match kept {
                Made::Table(change) => run.changes.push(Arc::unwrap_or_clone(change)),
                Made::View(view) => drop(run.views.insert(name, view)),
            }
        }
        let unseen: BTreeSet<NodeId> = self.made.keys().filter(|id| why_not(id).is_some()).cloned().collect();
        for (name, (made, by)) in std::mem::take(&mut self.hooked) {
            // Their rows are of one table and cannot be told apart any more.
            if by.iter().any(|id| why_not(id).is_some()) {
                continue;
            }
            match made {
                Made::Table(change) => run.changes.push(Arc::unwrap_or_clone(change)),
                Made::View(view) => drop(run.views.insert(name, view)),
            }
        }
        for (id, made) in std::mem::take(&mut self.made) {
            if unseen.contains(&id) {
                continue;
            }
            match made {
                Made::Table(change) => run.changes.push(Arc::unwrap_or_clone(change)),
                Made::View(view) => {
                    let name =
                        self.inputs.manifest.node(&id).relation.clone().expect("what is made has a name");
                    run.views.insert(name, view);
                }
            }
        }
        let sources =
            self.inputs.manifest.nodes.values().filter(|node| matches!(node.kind, NodeKind::Source(_)));
        let by_table: BTreeMap<&TableName, &NodeId> =
            sources.filter_map(|node| Some((node.relation.as_ref()?, &node.id))).collect();
        for (table, changes) in &self.inputs.landed {
            match by_table
                .get(table)
                .and_then(|id| why_not(id))
                .or_else(|| stop.as_ref().filter(|_| all_or_nothing).map(|name| format!("`{name}` failed")))
            {
                Some(because) => drop(run.held_back.insert(table.clone(), because)),
                None => run.changes.extend(changes.iter().map(|change| Change::clone(change))),
            }
        }
        let bases = std::mem::take(&mut self.bases);
        let mut hidden: BTreeSet<TableName> = run.held_back.keys().cloned().collect();
        hidden.extend(run.held_back.keys().filter_map(|table| table.companion("rejected").ok()));
        let relations = unseen.iter().map(|id| self.inputs.manifest.node(id).relation.clone());
        hidden.extend(relations.flatten());
        run.learnt = learnt(self.inputs, bases, &self.ended, &hidden);
        run
    }

    /// What a view shows that this run has changed. A view that is not published must go on showing
    /// what it showed.
    fn moves_under(&self, node: &NodeId) -> Vec<NodeId> {
        let manifest = self.inputs.manifest;
        if manifest.node(node).materialization() != Some(&Materialization::View) {
            return Vec::new();
        }
        let moved = |parent: &NodeId| {
            let landed = manifest
                .node(parent)
                .relation
                .as_ref()
                .is_some_and(|name| self.inputs.landed.contains_key(name));
            landed || self.made.contains_key(parent)
        };
        solid_parents(manifest, node).into_iter().filter(moved).collect()
    }

    /// Nodes that must not be published on their own account or their ancestors', with why.
    fn condemned(&self) -> BTreeMap<NodeId, String> {
        let manifest = self.inputs.manifest;
        let mut condemned = BTreeMap::new();
        for report in self.reports.iter().filter(|report| report.verdict.is_bad()) {
            match &manifest.node(&report.node).kind {
                NodeKind::UnitTest(test) => {
                    condemned.insert(test.model.clone(), format!("the unit test `{}` failed", report.name));
                }
                NodeKind::Test(test) => {
                    if !matches!(report.verdict, Verdict::Skipped { .. }) {
                        let about = test.attached.clone().map_or_else(
                            || solid_parents(manifest, &report.node),
                            |node| BTreeSet::from([node]),
                        );
                        let because = format!("the test `{}` failed", report.name);
                        condemned.extend(about.into_iter().map(|node| (node, because.clone())));
                    }
                }
                // The batches that were made may be seen; what reads them may not.
                _ if matches!(report.verdict, Verdict::Partly(..)) => {
                    let because = format!("some batches of `{}` failed", report.name);
                    let below = manifest.descendants(&report.node);
                    condemned.extend(below.into_iter().map(|node| (node, because.clone())));
                }
                _ => {
                    let because = match &report.verdict {
                        Verdict::Skipped { because } => format!("`{because}` failed"),
                        _ => "it could not be built".to_owned(),
                    };
                    condemned.insert(report.node.clone(), because);
                }
            }
        }
        let mut open: Vec<NodeId> = condemned.keys().cloned().collect();
        while let Some(node) = open.pop() {
            let name = &manifest.node(&node).name;
            let is_alone = self.ended.get(&node).is_some_and(|how| goes_on_without(manifest, &node, how));
            for below in manifest.descendants(&node).into_iter().filter(|_| !is_alone) {
                if !condemned.contains_key(&below) {
                    condemned.insert(below.clone(), format!("`{name}` failed"));
                    open.push(below);
                }
            }
            for above in self.moves_under(&node) {
                if !condemned.contains_key(&above) {
                    condemned.insert(above.clone(), format!("the view `{name}` would show it"));
                    open.push(above);
                }
            }
        }
        condemned
    }
}

/// Whether what is below a node is made although the node could not be.
fn goes_on_without(manifest: &Manifest, node: &NodeId, how: &Verdict) -> bool {
    matches!(how, Verdict::Broken(_)) && manifest.node(node).running.on_error == OnError::Continue
}

/// How a step ended, in few words.
fn words(action: Action, verdict: &Verdict) -> (Ending, String) {
    match verdict {
        Verdict::Made(_) if action == Action::MakeView => (Ending::Done, String::new()),
        Verdict::Made(effect) => {
            let rows =
                effect.rows_after.map(|rows| format!(", {} rows now", grouped(rows))).unwrap_or_default();
            let detail = match action {
                Action::CreateTable | Action::ReplaceTable | Action::LoadSeed => {
                    format!("{action}, {} rows", grouped(effect.added))
                }
                Action::ReplaceRows => format!("{action}{rows}"),
                Action::MergeRows | Action::TakeSnapshot => {
                    format!(
                        "{action}, {} updated, {} added{rows}",
                        grouped(effect.updated),
                        grouped(effect.added)
                    )
                }
                _ => format!("{action}, {} added{rows}", grouped(effect.added)),
            };
            (Ending::Done, detail)
        }
        Verdict::Passed => (Ending::Done, String::new()),
        Verdict::Warned(sample) => (Ending::Warned, sample.count_words()),
        Verdict::Failed(sample) => (Ending::Failed, sample.count_words()),
        Verdict::Partly(_, error) => (Ending::Failed, format!("some batches failed: {error}")),
        Verdict::Broken(error) => (Ending::Failed, error.to_string()),
        Verdict::Skipped { because } => (Ending::Skipped, format!("`{because}` failed")),
    }
}
