//! Whoever keeps schedules at a terminal or as a service: waits, tells, and writes down how it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::base::{Ending, Watch, World};
use crate::cli::args::Level;
use crate::cli::log::Said;
use crate::cli::ui::{Ui, time_words};
use crate::lakehouse::{Attendant, Remembered, ScheduleNews, Scheduled, post_json_again};

/// The health file is written at least so often.
const HEARTBEAT: i64 = 15;

/// Keeps schedules.
pub(super) struct Keeper<'a> {
    world: &'a World,
    ui: &'a Ui,
    health_file: Option<PathBuf>,
    health: Mutex<Health>,
    is_over: AtomicBool,
    over: Notify,
}

/// How it is.
#[derive(Default)]
struct Health {
    written: Option<DateTime<Utc>>,
    running: Value,
    next: Value,
    /// How the last run of each schedule ended.
    last: Map<String, Value>,
    could_not: bool,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(world: &'a World, ui: &'a Ui, health_file: Option<PathBuf>) -> Self {
        let (is_over, over) = (AtomicBool::new(false), Notify::new());
        Self { world, ui, health_file, health: Mutex::default(), is_over, over }
    }

    /// Takes note of how runs before this one ended.
    pub(super) fn remembers(&self, last: BTreeMap<String, Remembered>) {
        let told = last.into_iter().map(|(name, run)| {
            let told = json!({
                "schedule": name, "at": run.at, "run": run.run, "release": run.release, "ended": run.ended,
                "error": run.error.filter(|_| run.ended != "well" && run.ended != "running"),
            });
            (name, told)
        });
        self.health.lock().unwrap_or_else(PoisonError::into_inner).last.extend(told);
    }

    /// Begins nothing more, and waits no longer.
    pub(super) fn stop(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.over.notify_one();
    }

    /// Takes note that schedules are kept no longer.
    pub(super) fn stopped(&self) {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).running = Value::Null;
        self.write("stopped");
    }

    /// Writes the health file, whole or not at all.
    fn write(&self, state: &str) {
        let Some(path) = &self.health_file else { return };
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.world.now();
        let failing: Vec<&String> =
            health.last.iter().filter(|(_, run)| !run["error"].is_null()).map(|(name, _)| name).collect();
        let document = json!({
            "state": state, "at": now, "pid": self.world.pid, "is_well": failing.is_empty(), "failing": failing,
            "running": health.running, "next": health.next, "last": health.last,
        });
        health.written = Some(now);
        let written = replace(path, &format!("{document:#}\n"));
        if let Err(error) = written
            && !std::mem::replace(&mut health.could_not, true)
        {
            self.ui.line(&format!("warning: cannot write {}: {error}", path.display()));
        }
    }

    fn say(&self, name: &'static str, level: Level, message: String, data: Value) {
        self.ui.log().say(&Said { name, code: "Z060", level, message, data });
    }
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}

impl Attendant for Keeper<'_> {
    fn watch(&self) -> &dyn Watch {
        self.ui
    }

    fn news(&self, news: &ScheduleNews) {
        let set = |change: &dyn Fn(&mut Health)| {
            change(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner))
        };
        let instant = |at: &DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S UTC").to_string();
        let (name, level, line, data) = match news {
            ScheduleNews::Waiting(next) => {
                let known: Map<String, Value> =
                    next.iter().map(|(name, at)| (name.clone(), json!(at))).collect();
                set(&|health| health.next = Value::Object(known.clone()));
                let told: Vec<String> =
                    next.iter().map(|(name, at)| format!("{name} at {}", instant(at))).collect();
                ("ScheduleWaiting", Level::Info, format!("next: {}", told.join(", ")), json!(known))
            }
            ScheduleNews::Missed { schedule, times } => {
                let line = format!("{schedule}: {times} missed, and left out");
                ("ScheduleMissed", Level::Warn, line, json!({"schedule": schedule, "times": times}))
            }
            ScheduleNews::CutOff { scheduled, how, again } => {
                let Scheduled { schedule, at } = scheduled;
                let what = if *how == "died" { "its process died" } else { "it was stopped" };
                let then = match again {
                    true => "it is run again now".to_owned(),
                    false => format!("`elt schedule --run {schedule}` makes up for it"),
                };
                let line = format!("{schedule}: of the run for {}: {what}; {then}", instant(at));
                let data = json!({"scheduled": scheduled, "how": how, "again": again});
                ("ScheduleCutOff", Level::Warn, line, data)
            }
            ScheduleNews::Begun { scheduled, attempt } => {
                set(&|health| {
                    health.running =
                        json!({"schedule": scheduled.schedule, "at": scheduled.at, "attempt": attempt})
                });
                let again = if *attempt > 1 { format!(", try {attempt}") } else { String::new() };
                let line = format!("{}: running for {}{again}", scheduled.schedule, instant(&scheduled.at));
                ("ScheduleBegun", Level::Info, line, json!({"scheduled": scheduled, "attempt": attempt}))
            }
            ScheduleNews::Again { schedule, because, at } => {
                set(&|health| health.running = Value::Null);
                let line = format!("{schedule}: {because}; again at {}", instant(at));
                (
                    "ScheduleAgain",
                    Level::Warn,
                    line,
                    json!({"schedule": schedule, "because": because, "at": at}),
                )
            }
            ScheduleNews::Ended(run) => {
                self.ui.settle();
                self.ui.published();
                set(&|health| {
                    health.running = Value::Null;
                    health.last.insert(run.schedule.clone(), json!(run));
                });
                let took = time_words(run.took);
                let (level, ending, words) = match (&run.error, run.release) {
                    (Some(why), _) => (Level::Error, Ending::Failed, format!("FAILED: {why}")),
                    (None, Some(release)) => {
                        (Level::Info, Ending::Done, format!("published release {release}"))
                    }
                    (None, None) => (Level::Info, Ending::Done, "nothing new".to_owned()),
                };
                let line = format!("{}: {}  {took}", run.schedule, self.ui.paint(&words, ending));
                ("ScheduleEnded", level, line, json!(run))
            }
            ScheduleNews::NotTold { schedule, because } => {
                let line = format!("warning: {schedule}: the webhook was not told: {because}");
                ("ScheduleNotTold", Level::Warn, line, json!({"schedule": schedule, "because": because}))
            }
        };
        self.say(name, level, line.clone(), data);
        self.ui.show_line(&line, level);
        self.write("keeping");
    }

    fn until(&self, at: DateTime<Utc>) -> BoxFuture<'_, bool> {
        async move {
            // Looked at again and again: a machine that slept is late, and a clock may be put right.
            let rest = (at - self.world.now()).to_std().unwrap_or_default();
            tokio::select! {
                () = tokio::time::sleep(rest.min(Duration::from_secs(1))) => {}
                () = self.over.notified() => {}
            }
            if self.is_over() {
                return false;
            }
            let written = self.health.lock().unwrap_or_else(PoisonError::into_inner).written;
            if written.is_none_or(|then| (self.world.now() - then).num_seconds() >= HEARTBEAT) {
                self.write("keeping");
            }
            true
        }
        .boxed()
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    fn send<'a>(&'a self, url: &'a str, message: &'a Value) -> BoxFuture<'a, Result<(), String>> {
        post_json_again(url, message).boxed()
    }
}
