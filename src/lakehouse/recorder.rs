//! What is known of a run that goes on, or that did not come to its end?
//!
//! A [`Recorder`] stands between a build and whoever watches it. What steps come to is written down while others are at
//! work: in the lake, and in `run_results.json` beside the project, from where `elt retry` goes on. A run that is called off,
//! or fails as a whole, leaves a report that says so; one whose process dies is told by the next that takes its place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use object_store::ObjectStoreExt;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{BuildRequest, Built, Lakehouse, PublishMode};
use crate::base::{Error, Event, NodeFacts, Result, Stop, Told, Watch, parse_instant};
use crate::build::{self, SoFar, Stamp};
use crate::lake::layout;
use crate::release;

/// The time between two notes, at least.
const PACE: Duration = Duration::from_secs(1);

/// Notes take no more than one part in so many of the time.
const SHARE: u32 = 20;

/// Writes down what a run comes to while it goes on.
pub(super) struct Recorder<'a> {
    lakehouse: &'a Lakehouse,
    request: &'a BuildRequest,
    run: &'a str,
    watch: &'a dyn Watch,
    clock: Instant,
    begun: OnceLock<Begun>,
    known: Mutex<Known>,
    /// There is something to write down, or no more will come.
    news: Notify,
    /// No more will come.
    closed: Notify,
    /// It may be called off again.
    moved: Notify,
    /// It need not wait for others any more.
    at_work: Notify,
}

/// What is known of it from its beginning.
struct Begun {
    target: PathBuf,
    /// The name of the profile's target.
    target_name: String,
    stamp: Stamp,
}

#[derive(Default)]
struct Known {
    /// The nodes that something is done to.
    nodes: Vec<NodeFacts>,
    /// Those at work.
    open: BTreeSet<String>,
    ended: Vec<Ended>,
    /// So many of those that ended are published, or were made before what is being published now.
    out: usize,
    going_out: usize,
    has_published: bool,
    is_publishing: bool,
    is_closed: bool,
    /// Whether the run itself says beside the project how it ended.
    is_told: bool,
}

struct Ended {
    id: String,
    name: String,
    told: Told,
    took: Duration,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(
        lakehouse: &'a Lakehouse,
        request: &'a BuildRequest,
        run: &'a str,
        watch: &'a dyn Watch,
    ) -> Self {
        Self {
            lakehouse,
            request,
            run,
            watch,
            clock: Instant::now(),
            begun: OnceLock::new(),
            known: Mutex::default(),
            news: Notify::new(),
            closed: Notify::new(),
            moved: Notify::new(),
            at_work: Notify::new(),
        }
    }

    /// Takes note that the run has the writer's place.
    pub(super) fn begins_work(&self) {
        self.at_work.notify_one();
    }

    /// Waits until the run has the writer's place.
    pub(super) async fn at_work(&self) {
        self.at_work.notified().await;
    }

    /// The run's id.
    pub(super) fn run(&self) -> &str {
        self.run
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down that the run has begun, where its artifacts go, for which target it is, and with which nodes.
    pub(super) async fn begin(
        &self,
        target: PathBuf,
        target_name: String,
        stamp: &Stamp,
        nodes: Vec<NodeFacts>,
    ) {
        if self.begun.set(Begun { target, target_name, stamp: stamp.clone() }).is_ok() {
            self.known().nodes = nodes;
            self.keep_in_lake(layout::running(self.run), "running", None).await;
            self.keep_beside_project();
        }
    }

    /// Writes down what happens, until it is [`close`](Self::close)d.
    pub(super) async fn keep(&self) {
        let mut pace = PACE;
        loop {
            self.news.notified().await;
            if self.known().is_closed {
                return;
            }
            let begun = Instant::now();
            self.keep_beside_project();
            let took = begun.elapsed();
            tokio::select! {
                () = tokio::time::sleep(pace) => {}
                () = self.closed.notified() => return,
            }
            let begun = Instant::now();
            self.keep_in_lake(layout::running(self.run), "running", None).await;
            self.keep_beside_project();
            // Of thousands of nodes all that has ended is written each time.
            pace = PACE.max((took + begun.elapsed()) * SHARE);
        }
    }

    /// From now on the run itself writes `run_results.json`: what was known on the way would take its place.
    pub(super) fn leave_results(&self) {
        self.known().is_told = true;
    }

    /// Ends [`keep`](Self::keep).
    pub(super) fn close(&self) {
        self.known().is_closed = true;
        self.news.notify_one();
        self.closed.notify_one();
    }

    /// Waits until something is published, or cannot be.
    pub(super) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// Whether the run may be called off: if so, whether a part of it is published.
    pub(super) fn may_stop(&self) -> Option<bool> {
        let known = self.known();
        (!known.is_publishing).then_some(known.has_published)
    }

    /// Takes the notes away; if the run did not come to a report of its own, it is told from them.
    pub(super) async fn conclude(&self, built: &Result<Built>) {
        if self.begun.get().is_none() {
            return;
        }
        if let Err(error) = built {
            let status = if error.is_stop() { "interrupted" } else { "error" };
            self.keep_in_lake(layout::run(self.run), status, Some(error)).await;
            self.keep_beside_project();
        }
        let running = layout::running(self.run);
        if let Err(error) = self.lakehouse.tables.lake().store().delete(&running).await {
            tracing::debug!("{running} stays: {error}");
        }
    }

    async fn keep_in_lake(&self, path: object_store::path::Path, status: &str, error: Option<&Error>) {
        let Some(Begun { stamp, target_name, .. }) = self.begun.get() else { return };
        let (results, open, left, release) = {
            let known = self.known();
            let nodes: BTreeMap<&str, &NodeFacts> =
                known.nodes.iter().map(|node| (node.unique_id.as_str(), node)).collect();
            let told =
                |(at, one): (usize, &Ended)| told(one, at < known.out, nodes.get(one.id.as_str()).copied());
            let results: Vec<Value> = known.ended.iter().enumerate().map(told).collect();
            let ended: BTreeSet<&str> = known.ended.iter().map(|one| one.id.as_str()).collect();
            let left =
                known.nodes.iter().map(|node| &node.unique_id).filter(|id| !ended.contains(id.as_str()));
            let left: Vec<String> = left.cloned().collect();
            (results, known.open.clone(), left, known.has_published)
        };
        let mut document = json!({
            "run": self.run,
            "command": command_word(self.request, &stamp.command),
            "status": status,
            "started_at": stamp.started,
            "user": self.lakehouse.world.user,
            "host": self.lakehouse.world.host,
            "pid": self.lakehouse.world.pid,
            "publish": self.request.publish.word(),
            "purpose": self.request.purpose.word(),
            "release": null,
            "is_published_in_part": release,
            "results": results,
            "at_work": open,
            "left": left,
            "target": target_name,
            "arguments": told_arguments(stamp),
            "elapsed_seconds": self.clock.elapsed().as_secs_f64(),
        });
        if let Some(scheduled) = &self.request.scheduled {
            document["scheduled"] = json!(scheduled);
        }
        if let Some(error) = error {
            document["error"] = error.to_string().into();
        }
        let bytes = serde_json::to_vec_pretty(&document).expect("reports are plain data");
        if let Err(error) = self.lakehouse.tables.lake().put(&path, bytes).await {
            tracing::warn!("what run {} did so far was not kept: {error}", self.run);
        }
    }

    /// Writes `run_results.json`. What has not come to its end, or is made and not published, is skipped in it.
    fn keep_beside_project(&self) {
        let Some(Begun { target, stamp, .. }) = self.begun.get() else { return };
        let each = self.request.publish == PublishMode::Each;
        let results = {
            let known = self.known();
            if known.is_told {
                return;
            }
            let ended: BTreeMap<&str, (usize, &Ended)> =
                known.ended.iter().enumerate().map(|(at, one)| (one.id.as_str(), (at, one))).collect();
            let so_far = |node: &NodeFacts| {
                let ended = ended.get(node.unique_id.as_str());
                let is_test = matches!(node.resource_type, "test" | "unit_test");
                let is_lost = |at: usize| each && !is_test && at >= known.out;
                let (told, took) = match ended {
                    Some((at, one)) if one.told.status != "success" || !is_lost(*at) => {
                        (one.told.clone(), one.took)
                    }
                    _ => {
                        let message = match ended {
                            Some(_) => "made, and not published before the run ended",
                            None => "the run ended before it was its turn, or its end",
                        };
                        let told =
                            Told { status: "skipped", message: Some(message.to_owned()), ..Told::default() };
                        (told, Duration::ZERO)
                    }
                };
                SoFar { unique_id: node.unique_id.clone(), relation: node.relation_name.clone(), told, took }
            };
            known.nodes.iter().map(so_far).collect::<Vec<SoFar>>()
        };
        if results.is_empty() {
            return;
        }
        let mut stamp = stamp.clone();
        stamp.arguments.insert("published".into(), each.into());
        let written = build::run_results_so_far(&results, &stamp);
        if let Err(error) = self.lakehouse.write_artifact(target, "run_results.json", &written) {
            tracing::debug!("run_results.json was not written: {error}");
        }
    }
}

/// One step, as reports of runs have them.
fn told(one: &Ended, is_out: bool, node: Option<&NodeFacts>) -> Value {
    json!({
        "unique_id": one.id,
        "name": one.name,
        "status": one.told.status,
        "visibility": if is_out { "published" } else { "nothing" },
        "failures": one.told.failures,
        "message": one.told.message,
        "place": node.map(|node| &node.file),
        "relation": node.map(|node| &node.relation_name),
        "execution_time": one.took.as_secs_f64(),
    })
}

/// What a run was asked, as its report in the lake has it: of vars only their names, as others read the lake.
pub(super) fn told_arguments(stamp: &Stamp) -> serde_json::Map<String, Value> {
    let mut arguments = stamp.arguments.clone();
    let vars = arguments.remove("vars");
    let names = vars.as_ref().and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.as_str());
    arguments.insert("var_names".into(), names.collect::<Vec<_>>().into());
    arguments
}

/// The command that a run is told to be of: what was asked, or `retry`.
pub(super) fn command_word(request: &BuildRequest, command: &str) -> String {
    if request.only.is_some() { "retry".to_owned() } else { command.to_owned() }
}

impl Watch for Recorder<'_> {
    fn on(&self, event: Event) {
        {
            let mut known = self.known();
            match &event {
                Event::Begun(facts) => known.nodes.clone_from(&facts.nodes),
                Event::Started(step) => known.open.extend(step.node.clone()),
                Event::Finished { step, told: Some(told), took, .. } => {
                    let (id, name) = (step.node.clone().unwrap_or_default(), step.name.clone());
                    known.open.remove(&id);
                    known.ended.push(Ended { id, name, told: told.clone(), took: *took });
                }
                Event::Publishing => {
                    known.is_publishing = true;
                    known.going_out = known.ended.len();
                }
                Event::Published => {
                    known.out = known.going_out;
                    known.has_published = true;
                    known.is_publishing = false;
                }
                Event::NotPublished => known.is_publishing = false,
                _ => {}
            }
        }
        match &event {
            Event::Begun(_) | Event::Finished { .. } => self.news.notify_one(),
            Event::Published | Event::NotPublished => self.moved.notify_one(),
            _ => {}
        }
        self.watch.on(event);
    }

    fn called_off(&self) -> Pin<Box<dyn Future<Output = Stop> + Send + '_>> {
        self.watch.called_off()
    }
}

impl Lakehouse {
    /// Tells of runs whose processes died. Whoever calls has the writer's place: nobody else can be running.
    pub(super) async fn bury(&self, watch: &dyn Watch) -> Result<()> {
        let lake = self.tables.lake();
        // Who writes to a bucket is not known.
        if lake.folder().is_none() {
            return Ok(());
        }
        for object in lake.list(&layout::RUNNING.into()).await? {
            let Some(mut report) = lake.read_json::<Value>(&object.location).await.ok().flatten() else {
                continue;
            };
            let Some(run) = report["run"].as_str().map(str::to_owned) else { continue };
            let path = layout::run(&run);
            if lake.read(&path).await?.is_none() {
                let (pid, user) =
                    (report["pid"].as_u64().unwrap_or_default(), report["user"].as_str().unwrap_or_default());
                let since = report["started_at"].as_str().and_then(parse_instant).unwrap_or_default();
                let out = release::of_run(lake, &run, since).await?;
                let last = out.first().map(|release| release.number);
                // All that such a run makes is in its one release.
                let is_done = report["publish"] == PublishMode::All.word() && last.is_some();
                let how = match last {
                    Some(number) if is_done => {
                        format!("died when its release {number} was out: all of it is published")
                    }
                    _ => "died before it was done; `elt retry` goes on from there".to_owned(),
                };
                watch.on(Event::Note(format!("run {run} of {user}, pid {pid}, {how}")));
                report["status"] = if is_done { "success" } else { "died" }.into();
                report["release"] = json!(last);
                report["error"] = match is_done {
                    true => Value::Null,
                    false => "its process died before it was done".into(),
                };
                if last.is_some() {
                    report["is_published_in_part"] = (!is_done).into();
                }
                let moved: BTreeSet<String> =
                    out.iter().flat_map(|one| &one.tables).map(|one| build::quoted(&one.table)).collect();
                for step in report["results"].as_array_mut().into_iter().flatten() {
                    let is_out = step["relation"].as_str().is_some_and(|name| moved.contains(name));
                    if is_done && step["status"] == "success" || is_out {
                        step["visibility"] = "published".into();
                    }
                }
                let bytes = serde_json::to_vec_pretty(&report).expect("reports are plain data");
                lake.put(&path, bytes).await?;
                self.tell_died(&run, &report).await;
            }
            if let Err(error) = lake.store().delete(&object.location).await {
                tracing::debug!("{} stays: {error}", object.location);
            }
        }
        Ok(())
    }
}
