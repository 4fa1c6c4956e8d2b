//! Runs that begin without anybody asking.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use elt::base::{Clock, Unwatched, Watch};
use elt::lakehouse::{Attendant, ScheduleNews};
use futures::FutureExt;
use futures::future::BoxFuture;
use insta::assert_snapshot;

use crate::test_lake::TestLake;

/// A clock that is moved by waiting, and by a second whenever it is asked.
struct Moved(AtomicI64);

impl Moved {
    fn at(text: &str) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(text.parse::<DateTime<Utc>>().unwrap().timestamp())))
    }
}

impl Clock for Moved {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0.fetch_add(1, Ordering::Relaxed), 0).unwrap()
    }
}

/// Writes down what it is told, and stops at some time.
struct Keeper {
    clock: Arc<Moved>,
    stop: DateTime<Utc>,
    told: Mutex<String>,
    /// Done when it is waited for the so-manieth time.
    meanwhile: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
}

impl Keeper {
    fn new(clock: &Arc<Moved>, stop: &str) -> Self {
        Self {
            clock: Arc::clone(clock),
            stop: stop.parse().unwrap(),
            told: Mutex::default(),
            meanwhile: Mutex::default(),
        }
    }

    fn say(&self, line: String) {
        *self.told.lock().unwrap() += &(line + "\n");
    }
}

fn clock(at: &DateTime<Utc>) -> String {
    at.format("%d %H:%M").to_string()
}

impl Attendant for Keeper {
    fn watch(&self) -> &dyn Watch {
        &Unwatched
    }

    fn news(&self, news: &ScheduleNews) {
        match news {
            ScheduleNews::Waiting(next) => {
                let next: Vec<String> =
                    next.iter().map(|(name, at)| format!("{name} {}", clock(at))).collect();
                self.say(format!("next: {}", next.join(", ")));
            }
            ScheduleNews::CutOff { scheduled, how, again } => {
                self.say(format!(
                    "{} for {}: {how}, again {again}",
                    scheduled.schedule,
                    clock(&scheduled.at)
                ));
            }
            ScheduleNews::Missed { schedule, times } => self.say(format!("{schedule}: {times} missed")),
            ScheduleNews::Begun { scheduled, attempt } => {
                self.say(format!(
                    "{} begins for {}, try {attempt}",
                    scheduled.schedule,
                    clock(&scheduled.at)
                ));
            }
            ScheduleNews::Again { schedule, because, at } => {
                self.say(format!("{schedule}: {because}; again at {}", clock(at)));
            }
            ScheduleNews::Ended(run) => {
                let release = run.release.map(|release| release.0);
                self.say(format!(
                    "{} ended after {}: release {release:?} {:?}",
                    run.schedule, run.tries, run.error
                ));
            }
            ScheduleNews::NotTold { schedule, because } => {
                self.say(format!("{schedule}: not told: {because}"))
            }
        }
    }

    fn until(&self, at: DateTime<Utc>) -> BoxFuture<'_, bool> {
        async move {
            let next = self.meanwhile.lock().unwrap().pop();
            if let Some(next) = next {
                next();
            }
            self.clock.0.store(at.timestamp(), Ordering::Relaxed);
            at < self.stop
        }
        .boxed()
    }

    fn send<'a>(&'a self, url: &'a str, message: &'a serde_json::Value) -> BoxFuture<'a, Result<(), String>> {
        self.say(format!("to {url}: {} {}", message["event"], message["text"]));
        async { Ok(()) }.boxed()
    }
}

fn shop(schedules: &str) -> TestLake {
    let lake = TestLake::new();
    lake.write(
        "models/one.sql",
        "{{ config(materialized='table', tags=['often']) }} select 1 as id, now() as at",
    );
    lake.write("models/two.sql", "{{ config(materialized='table') }} select 2 as id, now() as at");
    lake.write("elt.yml", schedules);
    lake
}

async fn keep(lake: &TestLake, from: &str, to: &str, meanwhile: Vec<Box<dyn FnOnce() + Send>>) -> String {
    let clock = Moved::at(from);
    let keeper = Keeper::new(&clock, to);
    *keeper.meanwhile.lock().unwrap() = meanwhile;
    let kept = Box::pin(lake.open_at(clock).keep_schedules(&keeper)).await;
    let told = keeper.told.lock().unwrap().clone();
    match kept {
        Ok(()) => told,
        Err(error) => format!("{told}{error}"),
    }
}

const TWO: &str = "schedules:\n  hourly: {cron: '@hourly', select: tag:often}\n  nightly: {cron: '30 3 * * *', timezone: Europe/Berlin}\n";

#[tokio::test]
async fn each_schedule_runs_when_its_time_has_come() {
    let lake = shop(TWO);
    assert_snapshot!(keep(&lake, "2026-01-10T00:30:00Z", "2026-01-10T04:00:00Z", Vec::new()).await, @r"
    next: hourly 10 01:00, nightly 10 02:30
    hourly begins for 10 01:00, try 1
    hourly ended after 1: release Some(1) None
    next: hourly 10 02:00, nightly 10 02:30
    hourly begins for 10 02:00, try 1
    hourly ended after 1: release Some(2) None
    next: nightly 10 02:30, hourly 10 03:00
    nightly begins for 10 02:30, try 1
    nightly ended after 1: release Some(3) None
    next: hourly 10 03:00, nightly 11 02:30
    hourly begins for 10 03:00, try 1
    hourly ended after 1: release Some(4) None
    next: hourly 10 04:00, nightly 11 02:30
    ");
    lake.sql("select command, num_steps, num_failed from elt.runs order by started_at").await;
    assert_snapshot!(lake.story(), @r"sql: build 1 0 | build 1 0 | build 2 0 | build 1 0");
}

#[tokio::test]
async fn a_failure_is_tried_again_and_told_and_so_is_that_it_is_over() {
    let lake = shop(
        "notifications: {webhook: 'https://hooks.example/x'}\nschedules:\n  \
         nightly: {cron: '0 3 * * *', retries: 1, retry_delay: 10m}\n",
    );
    lake.write("models/two.sql", "select nothing from {{ ref('one') }}");
    let path = lake.path().join("models/two.sql");
    // Mended on the third day.
    let mend = Box::new(move || std::fs::write(path, "select id from {{ ref('one') }}").unwrap());
    let nothing = || -> Box<dyn FnOnce() + Send> { Box::new(|| ()) };
    let meanwhile: Vec<Box<dyn FnOnce() + Send>> = vec![mend, nothing(), nothing(), nothing(), nothing()];
    assert_snapshot!(keep(&lake, "2026-01-10T00:00:00Z", "2026-01-14T00:00:00Z", meanwhile).await, @r#"
    next: nightly 10 03:00
    nightly begins for 10 03:00, try 1
    nightly: `two`: model `two`: there is no column `nothing`; again at 10 03:10
    nightly begins for 10 03:00, try 2
    nightly ended after 2: release None Some("`two`: model `two`: there is no column `nothing`")
    to https://hooks.example/x: "failure" "elt: the schedule `nightly` failed: `two`: model `two`: there is no column `nothing`"
    next: nightly 11 03:00
    nightly begins for 11 03:00, try 1
    nightly: `two`: model `two`: there is no column `nothing`; again at 11 03:10
    nightly begins for 11 03:00, try 2
    nightly ended after 2: release None Some("`two`: model `two`: there is no column `nothing`")
    to https://hooks.example/x: "failure" "elt: the schedule `nightly` failed: `two`: model `two`: there is no column `nothing`"
    next: nightly 12 03:00
    nightly begins for 12 03:00, try 1
    nightly ended after 1: release Some(1) None
    to https://hooks.example/x: "recovery" "elt: the schedule `nightly` is well again"
    next: nightly 13 03:00
    nightly begins for 13 03:00, try 1
    nightly ended after 1: release Some(2) None
    next: nightly 14 03:00
    "#);
}

#[tokio::test]
async fn what_was_missed_is_dealt_with_as_it_says() {
    for catchup in ["false", "last", "all"] {
        let lake = shop(&format!("schedules: {{daily: {{cron: '@daily', catchup: {catchup}}}}}\n"));
        let first = keep(&lake, "2026-01-10T23:00:00Z", "2026-01-11T12:00:00Z", Vec::new()).await;
        lake.note(&format!("catchup {catchup}\n{first}-- nobody is there for three days"));
        let later = keep(&lake, "2026-01-14T12:00:00Z", "2026-01-15T12:00:00Z", Vec::new()).await;
        lake.note(&later);
        assert_snapshot!(format!("catchup_{catchup}"), lake.story());
    }
}

#[tokio::test]
async fn a_run_whose_process_died_is_told_and_run_again_as_it_says() {
    let mut told = String::new();
    for more in ["", ", catchup: last", ", retries: 1"] {
        let webhook = "notifications: {webhook: 'https://hooks.example/x'}";
        let lake = shop(&format!("{webhook}\nschedules: {{daily: {{cron: '@daily'{more}}}}}\n"));
        let _ = keep(&lake, "2026-01-10T23:00:00Z", "2026-01-11T12:00:00Z", Vec::new()).await;
        // The next night's process dies; and that of whoever runs it again.
        for run in ["gone", "gone_too"] {
            let report = r#"{"command": "build", "status": "running", "pid": 999999, "user": "ops",
                "started_at": "2026-01-12T00:00:00Z", "results": [], "run": "RUN",
                "scheduled": {"schedule": "daily", "at": "2026-01-12T00:00:00Z"}}"#;
            lake.write(&format!("lake/_elt/running/{run}.json"), &report.replace("RUN", run));
            let later = keep(&lake, "2026-01-12T00:10:00Z", "2026-01-12T00:20:00Z", Vec::new()).await;
            told += &format!("{run}{more}\n{later}");
        }
    }
    assert_snapshot!(told, @r#"
    gone
    daily for 12 00:00: died, again false
    daily ended after 1: release None Some("its process died before it was done")
    to https://hooks.example/x: "failure" "elt: the schedule `daily` failed: its process died before it was done"
    next: daily 13 00:00
    gone_too
    daily for 12 00:00: died, again false
    daily ended after 1: release None Some("its process died before it was done")
    to https://hooks.example/x: "failure" "elt: the schedule `daily` failed: its process died before it was done"
    next: daily 13 00:00
    gone, catchup: last
    daily for 12 00:00: died, again true
    daily begins for 12 00:00, try 1
    daily ended after 1: release Some(2) None
    next: daily 13 00:00
    gone_too, catchup: last
    daily for 12 00:00: died, again false
    daily ended after 1: release None Some("its process died before it was done")
    to https://hooks.example/x: "failure" "elt: the schedule `daily` failed: its process died before it was done"
    next: daily 13 00:00
    gone, retries: 1
    daily for 12 00:00: died, again true
    daily begins for 12 00:00, try 1
    daily ended after 1: release Some(2) None
    next: daily 13 00:00
    gone_too, retries: 1
    daily for 12 00:00: died, again false
    daily ended after 1: release None Some("its process died before it was done")
    to https://hooks.example/x: "failure" "elt: the schedule `daily` failed: its process died before it was done"
    next: daily 13 00:00
    "#);
}

#[tokio::test]
async fn two_processes_do_not_keep_the_same_schedules() {
    let lake = shop(TWO);
    let other = lake.open();
    let held = other.tables().lake().lock_schedules(other.world()).unwrap();
    let told = keep(&lake, "2026-01-10T00:30:00Z", "2026-01-10T04:00:00Z", Vec::new()).await;
    assert!(told.contains("`elt schedule` by tester"), "{told}");
    drop(held);
    let empty = shop("users: {}\n");
    assert_snapshot!(keep(&empty, "2026-01-10T00:30:00Z", "2026-01-10T04:00:00Z", Vec::new()).await, @r"elt.yml has no schedules");
    let none = shop("schedules: {a: {cron: '@daily', select: 'tag:none +nope'}}\n");
    assert_snapshot!(keep(&none, "2026-01-10T00:30:00Z", "2026-01-10T04:00:00Z", Vec::new()).await, @r"the schedule `a` selects nothing: tag:none +nope");
    let never = shop("schedules: {a: {cron: '0 0 30 2 *'}}\n");
    assert_snapshot!(keep(&never, "2026-01-10T00:30:00Z", "2026-01-10T04:00:00Z", Vec::new()).await, @r"`0 0 30 2 *` never comes: there is no such day");
    let wrong = shop("schedules: {a: {cron: '@daily', select: 'tag:'}}\n");
    assert_snapshot!(keep(&wrong, "2026-01-10T00:30:00Z", "2026-01-10T04:00:00Z", Vec::new()).await, @r"the schedule `a`: `tag:` is not a selector: a name is missing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_takes_too_long_is_stopped_and_remembered_as_failed() {
    let lake = shop("schedules: {nightly: {cron: '0 3 * * *', timeout: 300ms}}\n");
    lake.write(
        "models/two.sql",
        "{{ config(materialized='table') }} select sum(sin(a.i * b.i)) as s from range(90000) a(i), range(200000) b(i)",
    );
    assert_snapshot!(keep(&lake, "2026-01-10T02:30:00Z", "2026-01-11T02:00:00Z", Vec::new()).await, @r#"
    next: nightly 10 03:00
    nightly begins for 10 03:00, try 1
    nightly ended after 1: release None Some("it took longer than 300ms")
    next: nightly 11 03:00
    "#);
    let last = lake.open().last_runs(&["nightly".to_owned()]).await.unwrap();
    assert_eq!((last["nightly"].ended, last["nightly"].is_well()), ("failed", false));
    lake.sql("select command, status, message from elt.runs").await;
    assert_snapshot!(lake.story(), @"sql: build error it took longer than 300ms");
}

#[tokio::test]
async fn a_schedule_that_ran_long_ago_is_remembered() {
    let lake = TestLake::on_disk();
    lake.sql("create table t as select 1 as id").await;
    let report = r#"{"run": "r", "status": "success", "results": [], "scheduled": {"schedule": "s", "at": "2025-01-01T00:00:00Z"}}"#;
    lake.write("lake/_elt/runs/r.json", report);
    std::thread::sleep(std::time::Duration::from_millis(20));
    for other in 0..2_100 {
        lake.write(&format!("lake/_elt/runs/o{other}.json"), "{}");
    }
    let last = lake.open().last_runs(&["s".to_owned()]).await.unwrap();
    assert_eq!(last["s"].run, "r");
}

#[tokio::test]
async fn a_schedule_for_a_target_that_there_is_not_is_refused_before_it_is_kept() {
    let lake = TestLake::new();
    lake.write("dbt_project.yml", "name: shop\nprofile: shop\n");
    lake.write(
        "profiles.yml",
        "shop: {target: prod, outputs: {prod: {type: elt, lake: ./lake, schema: main}}}\n",
    );
    lake.write("models/a.sql", "select 1 as id");
    lake.write("elt.yml", "schedules: {nightly: {cron: '@daily', target: nope}}\n");
    let error = Box::pin(lake.open().checked_schedules()).await.unwrap_err().to_string();
    assert!(error.contains("the schedule `nightly` cannot run") && error.contains("nope"), "{error}");
}

/// What the second try of a schedule is about, on a disk, where it can be found out whether a process lives.
fn on_disk(settings: &str) -> TestLake {
    let lake = TestLake::on_disk();
    lake.write("models/one.sql", "{{ config(materialized='table') }} select 1 as id, now() as at");
    lake.write(
        "elt.yml",
        &format!(
            "notifications: {{webhook: 'https://hooks.example/x'}}\nschedules: {{night: {{cron: '0 3 * * *', {settings}}}}}\n"
        ),
    );
    lake
}

#[tokio::test]
async fn a_run_whose_process_died_is_told_and_made_up_for() {
    for (settings, is_made_up_for) in [("retries: 1", true), ("catchup: all", true), ("retries: 0", false)] {
        let lake = on_disk(settings);
        lake.sql("create table t as select 1 as id").await;
        let report = r#"{"run": "r", "status": "running", "purpose": "build", "publish": "all", "pid": 1, "user": "tester",
            "started_at": "2026-01-10T03:00:01Z", "results": [], "scheduled": {"schedule": "night", "at": "2026-01-10T03:00:00Z"}}"#;
        lake.write("lake/_elt/running/r.json", report);
        let told = keep(&lake, "2026-01-10T03:30:00Z", "2026-01-10T12:00:00Z", Vec::new()).await;
        assert!(
            told.starts_with(&format!("night for 10 03:00: died, again {is_made_up_for}\n")),
            "{settings}: {told}"
        );
        assert_eq!(told.contains("night begins for 10 03:00, try 1"), is_made_up_for, "{settings}: {told}");
        let failure = "to https://hooks.example/x: \"failure\" \"elt: the schedule `night` failed: its process died before it was done\"\n";
        assert_eq!(told.contains(failure), !is_made_up_for, "{settings}: {told}");
        // It is told once, and made up for once.
        let later = keep(&lake, "2026-01-10T13:00:00Z", "2026-01-10T20:00:00Z", Vec::new()).await;
        assert!(!later.contains("failure") && !later.contains("begins"), "{settings}: {later}");
    }
}

#[tokio::test]
async fn a_lake_that_is_gone_is_not_made_anew() {
    let lake = on_disk("retries: 0");
    let folder = lake.path().to_owned();
    let gone: Box<dyn FnOnce() + Send> =
        Box::new(move || std::fs::rename(folder.join("lake"), folder.join("away")).unwrap());
    let nothing: Box<dyn FnOnce() + Send> = Box::new(|| ());
    let told = keep(&lake, "2026-01-10T02:00:00Z", "2026-01-12T00:00:00Z", vec![gone, nothing]).await;
    assert!(told.contains("night ended after 1: release Some(1) None"), "{told}");
    assert!(told.contains("the lake had release 1, and has no release now"), "{told}");
    assert!(told.contains("\"failure\""), "{told}");
    assert!(!lake.path().join("lake").exists());
}
