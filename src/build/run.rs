//! The plan is carried out.
//!
//! Steps that wait for nothing run side by side, each in a session of what was made so far. Nothing
//! here is visible to anyone else; the end of it is a [`BuildRun`], which says what may be published.

mod conclude;
mod hooked;
mod portion;
mod queue;

pub use portion::{Portion, Publisher};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

use super::executed::Executed;
use super::graph::waits_for;
use super::materialize::Made;
use super::plan::{Action, BuildPlan, PlannedStep};
use super::report::{StepReport, Verdict, Visibility};
use super::step::{Done, What, render_late, try_out};
use super::{BuildError, expectation};
use crate::base::{Ending, Event, Step, TableName, Watch, after, grouped};
use crate::compile::{Comment, Late, Manifest, Node, NodeId, OnError};
use crate::query::{Limits, Scope, Session, Used};
use crate::release::{Basis, Memory, View};
use crate::table::{Change, Effect};
use portion::Out;
use queue::Queue;

/// What is published if not everything is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublishMode {
    /// Nothing, unless every selected node is well.
    #[default]
    All,
    /// The models whose whole upstream is well.
    Passing,
    /// Each model soon after it is made, as in dbt: others go on while readers see it.
    Each,
}

impl PublishMode {
    /// The word for it: `all`.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Passing => "passing",
            Self::Each => "each",
        }
    }
}

/// What a build works on.
#[derive(Clone)]
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
    /// Who publishes what is made while the run goes on, with [`PublishMode::Each`].
    pub publisher: Option<&'a dyn Publisher>,
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
    /// The statements of each step.
    pub executed: BTreeMap<NodeId, Vec<String>>,
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

    /// Publishes nothing of it after all.
    pub fn withdraw(&mut self, because: &str) {
        self.changes.clear();
        self.views.clear();
        self.learnt.clear();
        for step in self.steps.iter_mut().filter(|step| step.visibility == Visibility::Published) {
            step.visibility = Visibility::NotPublished { because: because.to_owned() };
        }
    }
}

/// Carries out a plan. Publishes nothing.
///
/// A step that fails is told in its report; its descendants are skipped, the rest goes on.
pub async fn run(inputs: Inputs<'_>, watch: &dyn Watch) -> BuildRun {
    let mut state = State::new(&inputs);
    let mut running: FuturesUnordered<BoxFuture<'_, Happened>> = FuturesUnordered::new();
    loop {
        while state.at_work < inputs.threads.max(1) {
            let Some(at) = state.queue.next() else { break };
            let step = &inputs.plan.steps[at];
            if let Some(because) = state.failed_before(step) {
                state.end(at, Err(because), Duration::ZERO, watch);
                continue;
            }
            if let Err(error) = state.hooks_before(step, watch).await {
                state.end(at, Ok(Err(error)), Duration::ZERO, watch);
                continue;
            }
            watch.on(Event::Started(shown(&inputs, step)));
            let scope = state.scope.clone();
            let inputs = &inputs;
            state.at_work += 1;
            running.push(Box::pin(async move {
                let (begun, executed) = (Instant::now(), Executed::default());
                let comment = comment_of(inputs, step, &scope).await;
                let (done, comment) = match comment {
                    Ok(comment) => (Box::pin(try_out(inputs, scope, step, &executed, watch)).await, comment),
                    Err(error) => (Err(error), None),
                };
                let used = executed.used();
                let mut statements = executed.take();
                if let Some(comment) = comment {
                    statements.iter_mut().for_each(|sql| *sql = comment.with(sql));
                }
                Happened::Ended(at, Box::new(done), begun.elapsed(), (statements, used))
            }));
        }
        if let Some(publishing) = state.portion() {
            watch.on(Event::Publishing);
            running.push(publishing);
        }
        let happened = match state.until_portion() {
            None => running.next().await,
            Some(rest) => tokio::select! {
                happened = running.next() => happened,
                // What is made is not kept back by a step that takes its time.
                () = after(rest) => continue,
            },
        };
        let Some(happened) = happened else { break };
        let (at, done, took, (executed, used)) = match happened {
            Happened::Ended(at, done, took, executed) => (at, *done, took, executed),
            Happened::Published(is_done) => {
                state.published(is_done);
                watch.on(if is_done { Event::Published } else { Event::NotPublished });
                continue;
            }
        };
        state.at_work -= 1;
        state.executed.insert(inputs.plan.steps[at].node.clone(), executed);
        state.used.extend(used.map(|used| (inputs.plan.steps[at].node.clone(), used)));
        let done = match done {
            Ok(done) => state.hooks_after(at, done, watch).await,
            Err(error) => Err(error),
        };
        state.end(at, Ok(done), took, watch);
    }
    state.conclude()
}

/// The project's `query-comment` for a step, if there is one.
async fn comment_of(
    inputs: &Inputs<'_>,
    step: &PlannedStep,
    scope: &Scope,
) -> Result<Option<Comment>, BuildError> {
    if !inputs.manifest.late().has_comment() {
        return Ok(None);
    }
    let session = Session::new(scope.clone().apart(), inputs.default_schema, Limits::default());
    render_late(inputs.manifest, &session, &step.node, Late::comment).await
}

/// What happened next.
enum Happened {
    /// A step ended: its place in the plan, what came of it, how long it took, its statements and what they took.
    Ended(usize, Box<Result<Done, BuildError>>, Duration, (Vec<String>, Option<Used>)),
    /// What was made so far was published, or could not be.
    Published(bool),
}

fn shown(inputs: &Inputs<'_>, step: &PlannedStep) -> Step {
    let node = inputs.manifest.node(&step.node);
    Step { kind: step.action.kind().to_owned(), name: node.shown(), node: Some(node.id.to_string()) }
}

/// How far a run is.
struct State<'a> {
    inputs: &'a Inputs<'a>,
    waits: BTreeMap<NodeId, BTreeSet<NodeId>>,
    queue: Queue,
    ended: BTreeMap<NodeId, Verdict>,
    made: BTreeMap<NodeId, Made>,
    /// What hooks wrote and what is quarantined, and the nodes that they belong to.
    hooked: BTreeMap<TableName, (Made, BTreeSet<NodeId>)>,
    /// Failing rows that tests keep; they are published whatever happens.
    kept: Vec<(TableName, Made)>,
    late: BTreeMap<NodeId, Node>,
    executed: BTreeMap<NodeId, Vec<String>>,
    used: BTreeMap<NodeId, Used>,
    bases: BTreeMap<NodeId, Basis>,
    reports: Vec<StepReport>,
    scope: Scope,
    /// Since when it runs.
    clock: Instant,
    /// Steps that are carried out now.
    at_work: usize,
    /// How far publishing is while the run goes on.
    out: Out,
}

impl<'a> State<'a> {
    fn new(inputs: &'a Inputs<'a>) -> Self {
        let waits = waits_for(inputs.manifest, inputs.plan);
        Self {
            queue: Queue::new(inputs.plan, &waits),
            waits,
            ended: BTreeMap::new(),
            made: BTreeMap::new(),
            hooked: BTreeMap::new(),
            kept: Vec::new(),
            late: BTreeMap::new(),
            executed: BTreeMap::new(),
            used: BTreeMap::new(),
            bases: BTreeMap::new(),
            reports: Vec::new(),
            scope: inputs.scope.clone(),
            clock: Instant::now(),
            at_work: 0,
            out: Out::default(),
            inputs,
        }
    }

    /// The name of a node whose failure keeps this step from being begun.
    fn failed_before(&self, step: &PlannedStep) -> Option<String> {
        if self.out.has_failed {
            return Some("publishing".to_owned());
        }
        let bad = |node: &&NodeId| self.ended.get(*node).is_some_and(Verdict::is_bad);
        if self.inputs.fail_fast
            && let Some(earlier) = self.reports.iter().find(|report| report.verdict.is_bad())
        {
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
        let (mut batches, mut kept, mut files) = (None, Vec::new(), None);
        let verdict = match done {
            Err(because) => Verdict::Skipped { because },
            Ok(Err(error)) => Verdict::Broken(Arc::new(error)),
            Ok(Ok(done)) => {
                done.messages.into_iter().for_each(|message| watch.on(Event::Said(message)));
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
                if let What::Made(Made::Table(change)) | What::Batches(Some(Made::Table(change)), ..) =
                    &done.what
                {
                    files = Some(change.file_counts().1 as u64);
                }
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
        self.queue.ended(&step.node);
        let report = StepReport {
            node: step.node.clone(),
            name: node.shown(),
            relation: node.relation.clone(),
            action: step.action,
            verdict,
            batches,
            expectations: kept,
            files,
            used: self.used.remove(&step.node),
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
