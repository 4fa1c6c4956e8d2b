//! What do programs read of work that goes on?
//!
//! dbt's events, by dbt's names and codes: one JSON object a line on standard output with `--log-format json`, and
//! in a file for whoever asks for one. Orchestrators follow a run by them. What there is no event of dbt for is a
//! `Note`.

mod lines;
mod study;
mod traces;

pub(super) use study::in_json;
pub use traces::Traces;
pub(super) use traces::heard_by;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::base::{Ending, Event, Message, NodeFacts, RunFacts, Step, Told, World};
use crate::cli::args::{Level, LogFormat, Settled};
use lines::{counted, description, dotted, instant, node_info, result_line, word};

/// A log file that is larger is put aside before the next run.
const LARGEST: u64 = 10 * 1024 * 1024;

/// One thing to say.
pub(super) struct Said<'a> {
    pub(super) name: &'a str,
    pub(super) code: &'a str,
    pub(super) level: Level,
    pub(super) message: String,
    pub(super) data: Value,
}

/// Writes events.
pub(super) struct Log {
    world: World,
    invocation: String,
    /// How much goes to standard output, if it is to have events.
    console: Option<Level>,
    file: Option<(Mutex<File>, LogFormat, Level)>,
    /// Why there is no file, although one is asked for.
    no_file: Option<String>,
    run: Mutex<Run>,
}

/// How far a run is.
#[derive(Default)]
struct Run {
    facts: HashMap<String, NodeFacts>,
    total: usize,
    begun: usize,
    /// Of each node that is worked on: its place in the order, when it began, and the number of its thread.
    open: BTreeMap<String, (usize, DateTime<Utc>, usize)>,
    counts: BTreeMap<&'static str, usize>,
    ended: Vec<(String, Told)>,
}

impl Log {
    /// A log as the flags have it. A file that cannot be written stops nothing: the work does not depend on it.
    pub(super) fn new(world: &World, settled: &Settled, root: &Path, invocation: &str) -> Self {
        let open = |folder: &std::path::PathBuf| {
            let folder = root.join(folder);
            std::fs::create_dir_all(&folder)?;
            let path = folder.join("dbt.log");
            if path.metadata().is_ok_and(|file| file.len() > LARGEST) {
                let _ = std::fs::rename(&path, folder.join("dbt.log.1"));
            }
            let file = File::options().create(true).append(true).open(path)?;
            Ok::<_, std::io::Error>((Mutex::new(file), settled.file_format, settled.file_level))
        };
        let (file, no_file) = match settled.log_path.as_ref().map(|folder| (folder, open(folder))) {
            Some((_, Ok(file))) => (Some(file), None),
            Some((folder, Err(error))) => {
                (None, Some(format!("no log is written to {}: {error}", folder.display())))
            }
            None => (None, None),
        };
        Self {
            world: world.clone(),
            invocation: invocation.to_owned(),
            console: (settled.log_format == LogFormat::Json).then_some(settled.level),
            file,
            no_file,
            run: Mutex::default(),
        }
    }

    /// Why there is no file, although one is asked for.
    pub(super) fn no_file(&self) -> Option<&str> {
        self.no_file.as_deref()
    }

    /// Whether standard output has events, and standard error nothing.
    pub(super) fn is_json(&self) -> bool {
        self.console.is_some()
    }

    /// Writes an event where its level is wanted.
    pub(super) fn say(&self, said: &Said<'_>) {
        self.say_from("MainThread", said);
    }

    /// Writes an event whatever level is wanted.
    fn always(&self, said: &Said<'_>) {
        self.write(Level::None, "MainThread", said);
    }

    fn say_from(&self, thread: &str, said: &Said<'_>) {
        self.write(said.level, thread, said);
    }

    fn write(&self, level: Level, thread: &str, said: &Said<'_>) {
        let at = self.world.now();
        let event = || {
            json!({
                "data": said.data,
                "info": {
                    "category": "", "code": said.code, "extra": {}, "invocation_id": self.invocation,
                    "level": word(said.level), "msg": said.message, "name": said.name, "pid": self.world.pid,
                    "thread": thread, "ts": instant(at),
                },
            })
        };
        if self.console.is_some_and(|least| level >= least) {
            // Whoever listened may be gone; the work is not for them alone.
            let _ = writeln!(std::io::stdout(), "{}", event());
        }
        if let Some((file, format, least)) = &self.file
            && level >= *least
        {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = match format {
                LogFormat::Json => writeln!(file, "{}", event()),
                LogFormat::Text => {
                    writeln!(
                        file,
                        "{} [{:<5}] [{thread}]: {}",
                        at.format("%H:%M:%S%.6f"),
                        word(said.level),
                        said.message
                    )
                }
            };
        }
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something in a sentence that is no event of dbt.
    pub(super) fn note(&self, text: &str, level: Level) {
        let data = json!({"msg": text});
        self.say(&Said { name: "Note", code: "Z050", level, message: text.to_owned(), data });
    }

    /// A text that is what was asked for.
    pub(super) fn print(&self, text: &str) {
        let data = json!({"msg": text});
        // It is no news, and comes through where only errors are wanted.
        self.always(&Said {
            name: "PrintEvent",
            code: "Z052",
            level: Level::Info,
            message: text.to_owned(),
            data,
        });
    }

    /// That a command begins.
    pub(super) fn begin(&self) {
        let dbt = crate::lakehouse::DBT_VERSION;
        let own = env!("CARGO_PKG_VERSION");
        let about = json!({"version": format!("={dbt}"), "log_version": 3});
        let message = format!("Running with dbt={dbt} (elt={own})");
        self.say(&Said { name: "MainReportVersion", code: "A001", level: Level::Info, message, data: about });
        let about = json!({"adapter_name": "elt", "adapter_version": format!("={own}")});
        let message = format!("Registered adapter: elt={own}");
        self.say(&Said { name: "AdapterRegistered", code: "E034", level: Level::Info, message, data: about });
    }

    /// That a command is over.
    pub(super) fn end(&self, command: &str, success: bool, took: Duration) {
        let (now, seconds) = (self.world.now(), took.as_secs_f64());
        let how = if success { "succeeded" } else { "failed" };
        let message = format!(
            "Command `elt {command}` {how} at {} after {seconds:.2} seconds",
            now.format("%H:%M:%S%.6f")
        );
        let data = json!({"command": format!("elt {command}"), "completed_at": instant(now), "elapsed": seconds, "success": success});
        self.say(&Said { name: "CommandCompleted", code: "Q039", level: Level::Debug, message, data });
    }

    /// An event of work that goes on.
    pub(super) fn on(&self, event: &Event) {
        match event {
            Event::Begun(facts) => self.begun(facts),
            Event::Started(step) => self.started(step),
            Event::Finished { step, ending, detail, took, told } => match (&step.node, told) {
                (Some(node), Some(told)) => self.finished(node, told, *took),
                _ => {
                    let level = if *ending == Ending::Failed { Level::Error } else { Level::Info };
                    self.note(&format!("{} {}: {detail}", step.kind, step.name), level);
                }
            },
            Event::Note(text) => self.note(text, Level::Info),
            Event::Said(Message::Logged(text)) => {
                let data = json!({"msg": text});
                self.say(&Said {
                    name: "JinjaLogInfo",
                    code: "I062",
                    level: Level::Info,
                    message: text.clone(),
                    data,
                });
            }
            Event::Said(Message::Printed(text)) => self.print(text),
            Event::Published => self.note("published what was made so far", Level::Debug),
            Event::NotPublished => self.note("could not publish what was made so far", Level::Debug),
            Event::Publishing => self.note("publishing", Level::Debug),
        }
    }

    fn begun(&self, facts: &RunFacts) {
        self.found(&facts.found);
        let total = facts.nodes.len();
        self.concurrency(facts.threads, &facts.target, total);
        let facts = facts.nodes.iter().map(|node| (node.unique_id.clone(), node.clone())).collect();
        *self.run() = Run { facts, total, ..Run::default() };
    }

    fn started(&self, step: &Step) {
        let Some(id) = &step.node else {
            return self.note(&format!("{} {} begins", step.kind, step.name), Level::Debug);
        };
        let (facts, index, total, at, thread) = {
            let mut run = self.run();
            let Some(facts) = run.facts.get(id).cloned() else { return };
            let (index, at) = run.begin(id, self.world.now());
            let thread = run.open[id].2;
            (facts, index, run.total, at, thread)
        };
        let node = node_info(&facts, "started", Some(at), None);
        let thread = format!("Thread-{thread} (worker)");
        let message = format!("Began running node {id}");
        let data = json!({"node_info": node});
        self.say_from(&thread, &Said { name: "NodeStart", code: "Q024", level: Level::Debug, message, data });
        let description = description(&facts);
        let message = dotted(index, total, &format!("START {description}"), "RUN", None);
        let data = json!({"description": description, "index": index, "total": total, "node_info": node});
        self.say_from(
            &thread,
            &Said { name: "LogStartLine", code: "Q011", level: Level::Info, message, data },
        );
    }

    fn finished(&self, id: &str, told: &Told, took: Duration) {
        let now = self.world.now();
        let (facts, index, total, began, thread) = {
            let mut run = self.run();
            let Some(facts) = run.facts.get(id).cloned() else { return };
            let (index, began, thread) = match run.open.remove(id) {
                Some(open) => open,
                None => {
                    run.begun += 1;
                    (run.begun, now, 1)
                }
            };
            *run.counts.entry(told.status).or_default() += 1;
            run.ended.push((id.to_owned(), told.clone()));
            (facts, index, run.total, began, thread)
        };
        let thread_name = format!("Thread-{thread} (worker)");
        let node = node_info(&facts, told.status, Some(began), Some(now));
        let said = result_line(&facts, told, (index, total), took, &node);
        self.say_from(&thread_name, &said);
        let run_result = json!({
            "status": told.status, "message": told.message.clone().unwrap_or_default(), "thread": thread_name,
            "execution_time": took.as_secs_f64(), "num_failures": told.failures.unwrap_or(0.0) as i64,
            "adapter_response": told.rows.map_or_else(|| json!({}), |rows| json!({"code": "OK", "rows_affected": rows.to_string(), "_message": format!("OK {rows}")})),
            "timing_info": [{"name": "execute", "started_at": instant(began), "completed_at": instant(now)}],
        });
        let message = format!("Finished running node {id}");
        let data = json!({"node_info": node, "run_result": run_result});
        self.say_from(
            &thread_name,
            &Said { name: "NodeFinished", code: "Q025", level: Level::Debug, message, data },
        );
    }

    /// The end of a run: how many went how, and every failure once more. Returns dbt's last line.
    pub(super) fn summary(&self, took: Duration, is_well: bool) -> String {
        let run = self.run();
        let count = |words: &[&str]| words.iter().filter_map(|word| run.counts.get(word)).sum::<usize>();
        let (warned, errors) = (count(&["warn"]), count(&["error", "fail"]));
        let (passed, skipped) = (count(&["success", "pass"]), count(&["skipped"]));
        let partly = count(&["partial success"]);
        let total = run.ended.len();
        let stats = format!(
            "Done. PASS={passed} WARN={warned} ERROR={} SKIP={skipped} NO-OP=0 TOTAL={total}",
            errors + partly
        );
        if total == 0 {
            return stats;
        }
        let seconds = took.as_secs_f64();
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for (id, _) in &run.ended {
            if let Some(facts) = run.facts.get(id) {
                let kind = match facts.resource_type {
                    "model" => format!("{} model", facts.materialized),
                    "test" => "data test".to_owned(),
                    "unit_test" => "unit test".to_owned(),
                    other => other.to_owned(),
                };
                *kinds.entry(kind).or_default() += 1;
            }
        }
        let kinds =
            kinds.iter().map(|(kind, count)| format!("{count} {kind}{}", if *count == 1 { "" } else { "s" }));
        let line = kinds.collect::<Vec<_>>().join(", ");
        let execution = lines::execution(seconds);
        let message = format!("Finished running {line}{execution} ({seconds:.2}s).");
        let data = json!({"stat_line": line, "execution": execution, "execution_time": seconds});
        self.say(&Said { name: "FinishedRunningStats", code: "E047", level: Level::Info, message, data });
        let message = match (is_well, warned) {
            (true, 0) => "Completed successfully".to_owned(),
            (true, warned) => format!("Completed with {}:", counted(warned, "warning")),
            (false, _) => format!(
                "Completed with {}, {partly} partial success{}, and {}:",
                counted(errors, "error"),
                if partly == 1 { "" } else { "es" },
                counted(warned, "warning")
            ),
        };
        let data = json!({"num_errors": errors, "num_warnings": warned, "num_partial_success": partly, "keyboard_interrupt": false});
        self.say(&Said { name: "EndOfRunSummary", code: "Z030", level: Level::Info, message, data });
        for (id, told) in &run.ended {
            if let Some(facts) = run.facts.get(id) {
                self.once_more(facts, told);
            }
        }
        let data = json!({"stats": {"pass": passed, "warn": warned, "error": errors + partly, "skip": skipped, "noop": 0, "total": total}});
        self.say(&Said { name: "StatsLine", code: "Z023", level: Level::Info, message: stats.clone(), data });
        stats
    }

    fn once_more(&self, facts: &NodeFacts, told: &Told) {
        let node = node_info(facts, "None", None, None);
        let (kind, name, file) = (facts.resource_type, &facts.name, &facts.file);
        let text = told.message.clone().unwrap_or_default();
        let about = json!({"node_info": node, "node_name": name, "path": file, "resource_type": kind});
        let sentence = json!({"node_info": node, "msg": text});
        match told.status {
            "fail" | "error" | "partial success" => {
                let message = format!("Failure in {kind} {name} ({file})");
                self.say(&Said {
                    name: "RunResultFailure",
                    code: "Z022",
                    level: Level::Error,
                    message,
                    data: about,
                });
                let message = format!("  {text}");
                self.say(&Said {
                    name: "RunResultError",
                    code: "Z024",
                    level: Level::Error,
                    message,
                    data: sentence,
                });
                if !facts.compiled.is_empty() {
                    let message = format!("  compiled code at {}", facts.compiled);
                    let data = json!({"node_info": node, "path": facts.compiled});
                    self.say(&Said {
                        name: "SQLCompiledPath",
                        code: "Z026",
                        level: Level::Info,
                        message,
                        data,
                    });
                }
            }
            "warn" => {
                let message = format!("Warning in {kind} {name} ({file})");
                self.say(&Said {
                    name: "RunResultWarning",
                    code: "Z021",
                    level: Level::Warn,
                    message,
                    data: about,
                });
                self.say(&Said {
                    name: "RunResultWarningMessage",
                    code: "Z046",
                    level: Level::Warn,
                    message: text,
                    data: sentence,
                });
            }
            _ => {}
        }
    }
}

impl Run {
    /// Takes note that a node is worked on: its place in the order, and since when.
    fn begin(&mut self, id: &str, now: DateTime<Utc>) -> (usize, DateTime<Utc>) {
        self.begun += 1;
        let is_free = |thread: &usize| !self.open.values().any(|(.., taken)| taken == thread);
        let thread = (1..).find(is_free).unwrap_or(1);
        self.open.insert(id.to_owned(), (self.begun, now, thread));
        (self.begun, now)
    }
}

/// A world in which nothing happens, for tests of what is said.
#[cfg(test)]
pub(super) fn quiet_world() -> World {
    struct Never;
    impl crate::base::Clock for Never {
        fn now(&self) -> DateTime<Utc> {
            DateTime::UNIX_EPOCH
        }
    }
    impl crate::base::Ids for Never {
        fn next(&self) -> String {
            "id".to_owned()
        }
    }
    World {
        clock: std::sync::Arc::new(Never),
        ids: std::sync::Arc::new(Never),
        env: std::sync::Arc::default(),
        user: "tester".into(),
        host: "testhost".into(),
        pid: 1,
    }
}
