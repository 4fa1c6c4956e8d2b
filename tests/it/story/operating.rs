//! What those see who run it by other programs: signals, reports, exit codes.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use serde_json::Value;

use crate::test_lake::TestLake;

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elt"));
    command.current_dir(folder).args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn elt(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// Ends a child when the test is over, however it is over.
struct Ended(Option<Child>);

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Ended {
    fn begin(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = command(folder, arguments);
        Self(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    /// Sends a signal, and waits for what is said to it.
    fn signal(mut self, signal: &str) -> Output {
        let child = self.0.take().expect("it was begun");
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        child.wait_with_output().unwrap()
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const ENDLESS: &str = "{{ config(materialized='table') }} select sum(sin(a.i * b.i)) as s from {{ ref('quick') }}, range(90000) a(i), range(200000) b(i)";

/// A model that is made at once, and one below it that never is.
fn slow() -> TestLake {
    let lake = TestLake::on_disk();
    lake.write("models/quick.sql", "{{ config(materialized='table') }} select 1 as id");
    lake.write("models/slow.sql", ENDLESS);
    lake
}

fn results(lake: &TestLake) -> Value {
    let text = std::fs::read(lake.path().join("target/run_results.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Whether the first model is made, and written down, and the second is at work.
fn is_half_done(lake: &TestLake) -> bool {
    results(lake)["results"].as_array().is_some_and(|all| all.iter().any(|one| one["status"] == "success"))
}

#[cfg(unix)]
#[test]
fn what_was_stopped_is_remembered_and_gone_on_from() {
    for (signal, exit, says) in [
        ("-INT", 130, "interrupted; nothing was published"),
        ("-TERM", 143, "interrupted; nothing was published"),
        ("-KILL", -1, ""),
    ] {
        let lake = slow();
        let build = Ended::begin(lake.path(), &["build", "--openlineage-url", "events.jsonl"]);
        wait_until("the first model is made", || is_half_done(&lake));
        let stopped = build.signal(signal);
        assert_eq!(code(&stopped), exit, "{signal}: {}", told(&stopped));
        assert!(told(&stopped).contains(says), "{signal}: {}", told(&stopped));
        let events = std::fs::read_to_string(lake.path().join("events.jsonl")).unwrap();
        assert_eq!(events.contains("\"ABORT\""), exit > 0, "{signal}: {events}");
        lake.write(
            "models/slow.sql",
            "{{ config(materialized='table') }} select id + 1 as id from {{ ref('quick') }}",
        );
        let retried = elt(lake.path(), &["retry"]);
        assert_eq!(code(&retried), 0, "{signal}: {}", told(&retried));
        assert!(
            told(&retried).contains("published release 1  2 models built"),
            "{signal}: {}",
            told(&retried)
        );
        assert_eq!(
            told(&retried).contains("died before it was done"),
            exit < 0,
            "{signal}: {}",
            told(&retried)
        );
        let runs = elt(
            lake.path(),
            &[
                "sql",
                "--format",
                "csv",
                "-c",
                "select command, status, num_steps, release from elt.runs order by started_at",
            ],
        );
        let ended = if exit < 0 { "died" } else { "interrupted" };
        let told_of =
            |steps| format!("command,status,num_steps,release\nbuild,{ended},{steps},\nretry,success,2,1\n");
        // What is killed may have made a table, and not have told of it.
        assert!(out(&runs) == told_of(1) || exit < 0 && out(&runs) == told_of(0), "{}", out(&runs));
        // And then there is nothing left, which is no mistake.
        let nothing = elt(lake.path(), &["retry"]);
        assert_eq!(code(&nothing), 0, "{}", told(&nothing));
        assert!(told(&nothing).contains("Nothing to do"), "{}", told(&nothing));
    }
}

#[test]
fn a_run_that_dies_once_its_release_is_out_is_done() {
    let lake = TestLake::on_disk();
    lake.write("models/m.sql", "{{ config(materialized='incremental') }} select 1 as id");
    lake.write("models/v.sql", "select id from {{ ref('m') }}");
    assert_eq!(code(&elt(lake.path(), &["build"])), 0);
    // What is there if the process is killed between the release and the reports.
    let read = |path: &Path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
    let runs = lake.path().join("lake/_elt/runs");
    let report = runs.read_dir().unwrap().next().unwrap().unwrap().path();
    let mut running = read(&report);
    (running["status"], running["release"]) = ("running".into(), Value::Null);
    (running["publish"], running["pid"]) = ("all".into(), 7.into());
    let folder = lake.path().join("lake/_elt/running");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(report.file_name().unwrap()), running.to_string()).unwrap();
    std::fs::remove_file(&report).unwrap();
    let path = lake.path().join("target/run_results.json");
    let mut so_far = read(&path);
    so_far["args"]["published"] = false.into();
    for one in so_far["results"].as_array_mut().unwrap() {
        one["status"] = "skipped".into();
    }
    std::fs::write(&path, so_far.to_string()).unwrap();
    let retried = elt(lake.path(), &["retry"]);
    assert_eq!(code(&retried), 0, "{}", told(&retried));
    assert!(
        told(&retried).contains("died when its release 1 was out: all of it is published"),
        "{}",
        told(&retried)
    );
    assert!(told(&retried).contains("left nothing to do"), "{}", told(&retried));
    let asked = "select command, status, release from elt.runs; select count(*) as n from m";
    let rows = elt(lake.path(), &["sql", "--format", "csv", "-c", asked]);
    assert_eq!(
        out(&rows).replace("\n\n", "\n"),
        "command,status,release\nbuild,success,1\nn\n1\n",
        "{}",
        told(&rows)
    );
}

/// A release can change more than fits into a line, and what is mistyped in elt.yml is told before the night it is for.
#[test]
fn many_tables_are_listed_and_what_nobody_reads_is_told() {
    let lake = TestLake::on_disk();
    for at in 0..30 {
        lake.write(&format!("seeds/a_rather_long_name_of_a_table_{at}.csv"), "id\n1\n");
    }
    lake.write("elt.yml", "notifcations: {webhook: 'http://127.0.0.1:9/'}\nruns: {kep: 9 days}\n");
    let built = elt(lake.path(), &["build"]);
    assert_eq!(code(&built), 0, "{}", told(&built));
    for word in ["`notifcations` is not known in elt.yml", "`kep` is not known in elt.yml"] {
        assert!(told(&built).contains(word), "{}", told(&built));
    }
    let releases = elt(lake.path(), &["releases"]);
    assert!(out(&releases).contains("and 10 more"), "{}", out(&releases));
}

/// Whoever only looks can do so where nothing can be written.
#[test]
fn what_cannot_be_written_is_told_and_stops_only_what_is_there_to_write() {
    let lake = TestLake::on_disk();
    lake.write("models/m.sql", "select 1 as id");
    assert_eq!(code(&elt(lake.path(), &["build"])), 0);
    std::fs::remove_dir_all(lake.path().join("target")).unwrap();
    lake.write("target", "no folder");
    for words in [&["doctor"][..], &["debug"], &["show", "--select", "m"]] {
        let done = elt(lake.path(), words);
        assert_ne!(code(&done), 2, "{words:?}: {}", told(&done));
        let all = out(&done) + &told(&done);
        assert!(all.contains("the artifacts cannot be written"), "{words:?}: {all}");
    }
    assert_eq!(code(&elt(lake.path(), &["compile"])), 2);
    let logged = elt(lake.path(), &["ls", "--log-path", "target/logs"]);
    assert_eq!(code(&logged), 0);
    assert!(told(&logged).contains("no log is written to target/logs"), "{}", told(&logged));
}

/// What is not said again is as it was said: vars, target, flags.
#[test]
fn a_retry_asks_what_the_run_asked() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\nprofile: shop\n");
    lake.write(
        "profiles.yml",
        "shop: {target: one, outputs: {one: {type: elt, lake: ./lake, schema: main}, two: {type: elt, lake: ./lake, schema: two}}}\n",
    );
    lake.write("models/m.sql", "select {{ var('x', 0) }} as x, {{ var('boom', '1') }} as b");
    let failed = elt(lake.path(), &["run", "--target", "two", "--vars", "{x: 7, boom: nocol}"]);
    assert_eq!(code(&failed), 2, "{}", told(&failed));
    let again = elt(lake.path(), &["retry"]);
    assert!(told(&again).contains("nocol"), "{}", told(&again));
    let other = elt(lake.path(), &["retry", "--vars", "{x: 8}"]);
    assert_eq!(code(&other), 0, "{}", told(&other));
    let rows = elt(lake.path(), &["sql", "--format", "csv", "-c", "select * from two.m"]);
    assert_eq!(out(&rows), "x,b\n8,1\n");
    for (flags, why) in [
        (&["--event-time-start", "2026-01-01"][..], "`--event-time-end` was not"),
        (&["--event-time-end", "2026-01-01"], "`--event-time-start` was not"),
        (&["--event-time-start", "2026-01-02", "--event-time-end", "2026-01-01"], "must be less than"),
    ] {
        let refused = elt(lake.path(), &[&["run"], flags].concat());
        assert_eq!(code(&refused), 2, "{}", told(&refused));
        assert!(told(&refused).contains(why), "{}", told(&refused));
    }
}

#[cfg(unix)]
#[test]
fn what_was_published_before_a_run_was_stopped_is_not_made_again() {
    let lake = slow();
    let run = Ended::begin(lake.path(), &["run"]);
    wait_until("the first model is published", || {
        lake.path().join("lake/_elt/releases").read_dir().is_ok_and(|all| all.count() > 0)
    });
    wait_until("the first model is made", || is_half_done(&lake));
    let stopped = run.signal("-TERM");
    assert_eq!(code(&stopped), 143);
    assert!(told(&stopped).contains("what was made before is published"), "{}", told(&stopped));
    lake.write(
        "models/slow.sql",
        "{{ config(materialized='table') }} select id + 1 as id from {{ ref('quick') }}",
    );
    let retried = elt(lake.path(), &["retry"]);
    assert!(told(&retried).contains("published release 2  1 model built"), "{}", told(&retried));
}

#[test]
fn whoever_keeps_the_schedules_already_is_named() {
    let lake = TestLake::on_disk();
    lake.write("models/m.sql", "select 1 as id");
    lake.write("elt.yml", "schedules: {nightly: {cron: '0 3 * * *'}}\n");
    assert_eq!(code(&elt(lake.path(), &["build"])), 0);
    let first = lake.open();
    let _held = first.tables().lake().lock_schedules(first.world()).unwrap();
    let second = elt(lake.path(), &["schedule"]);
    assert_eq!(code(&second), 75, "{}", told(&second));
    let said = told(&second);
    assert!(said.contains("another process keeps the schedules of this lake already"), "{said}");
    assert!(said.contains("builds and loads go on beside it"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_schedule_that_was_stopped_is_not_well() {
    let lake = slow();
    lake.write("elt.yml", "schedules: {nightly: {cron: '0 3 * * *'}}\n");
    let run = Ended::begin(lake.path(), &["schedule", "--run", "nightly"]);
    wait_until("the first model is made", || is_half_done(&lake));
    let stopped = run.signal("-TERM");
    assert_eq!(code(&stopped), 143, "{}", told(&stopped));
    let list = elt(lake.path(), &["schedule", "--list"]);
    assert!(out(&list).trim_end().ends_with("interrupted"), "{}", out(&list));
    let kept = Ended::begin(lake.path(), &["schedule", "--health-file", "health.json"]);
    let health = || -> Value {
        let text = std::fs::read(lake.path().join("health.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    };
    wait_until("schedules are kept", || health()["state"] == "keeping");
    assert_eq!(health()["last"]["nightly"]["ended"], "interrupted");
    assert_eq!((&health()["is_well"], &health()["failing"][0]), (&false.into(), &"nightly".into()));
    assert_eq!(code(&kept.signal("-TERM")), 0);
    assert_eq!((&health()["state"], &health()["running"]), (&"stopped".into(), &Value::Null));
}

#[test]
fn what_runs_the_schedules_elsewhere_is_given_the_same_options() {
    let lake = TestLake::on_disk();
    lake.write(
        "profiles.yml",
        "test:\n  target: prod\n  outputs:\n    prod: {type: elt}\n    dev: {type: elt, schema: dev}\n",
    );
    lake.write("models/one.sql", "select {{ var('k') }} as id");
    lake.write(
        "elt.yml",
        "schedules:\n  s: {cron: '0 2 * * *', timezone: Europe/Berlin}\n  h: {cron: '@hourly'}\n",
    );
    let root = std::fs::canonicalize(lake.path()).unwrap().display().to_string();
    let print = |what: &str| {
        let arguments = [
            "--target",
            "dev",
            "--vars",
            "{k: 2}",
            "--lake",
            "./lake2",
            "--project-dir",
            ".",
            "schedule",
            "--print",
            what,
        ];
        let printed = elt(lake.path(), &arguments);
        assert_eq!(code(&printed), 0, "{}", told(&printed));
        out(&printed).replace(&root, "ROOT").replace(env!("CARGO_BIN_EXE_elt"), "ELT")
    };
    let lines = |text: String, with: &str| {
        text.lines().filter(|line| line.contains(with)).map(str::trim).collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(lines(print("systemd"), "ExecStart"), @r#"ExecStart="ELT" "--project-dir" "ROOT" "--target" "dev" "--vars" "{k: 2}" "--lake" "ROOT/lake2" --log-format json schedule --health-file %t/elt-schedule.json"#);
    assert_snapshot!(print("cron").lines().skip(2).collect::<Vec<_>>().join("\n"), @r"
    # CRON_TZ is not used: some crons (Debian's, Ubuntu's) ignore it, and run by the clock of their machine.
    # So elt looks at the clock of the schedule itself, every minute, and does nothing unless its time has come.
    # s: 0 2 * * * in Europe/Berlin
    * * * * * cd 'ROOT' && 'ELT' '--project-dir' 'ROOT' '--target' 'dev' '--vars' '{k: 2}' '--lake' 'ROOT/lake2' schedule --run s --if-due
    # h: @hourly in UTC
    @hourly cd 'ROOT' && 'ELT' '--project-dir' 'ROOT' '--target' 'dev' '--vars' '{k: 2}' '--lake' 'ROOT/lake2' schedule --run h
    ");
    assert_snapshot!(lines(print("kubernetes"), "args"), @r#"
    args: ["--project-dir","/project","--target","dev","--vars","{k: 2}","--lake","/project/lake2","--log-format","json","schedule","--run","s"]
    args: ["--project-dir","/project","--target","dev","--vars","{k: 2}","--lake","/project/lake2","--log-format","json","schedule","--run","h"]
    "#);
    // A line that comes every minute does nothing but at its time.
    let early = elt(lake.path(), &["--vars", "{k: 2}", "schedule", "--run", "s", "--if-due"]);
    let has_run = lake.path().join("lake/_elt/runs").exists();
    assert!(code(&early) == 0 && !has_run || it_is_two_in_berlin(), "{}", told(&early));
}

/// The one minute of the day at which the schedule above is due.
fn it_is_two_in_berlin() -> bool {
    let now = Command::new("date").env("TZ", "Europe/Berlin").arg("+%H:%M").output().unwrap();
    ["02:00", "02:01"].contains(&String::from_utf8_lossy(&now.stdout).trim())
}

#[test]
fn with_events_on_standard_output_there_is_nothing_else() {
    let lake = TestLake::on_disk();
    lake.write("seeds/people.csv", "id\n1\n");
    lake.write("models/one.sql", "{{ config(materialized='table') }} select id from {{ ref('people') }}");
    assert_eq!(code(&elt(lake.path(), &["build"])), 0);
    lake.write("seeds/people.csv", "id\n1\n2\n");
    assert_eq!(code(&elt(lake.path(), &["build"])), 0);
    for line in [
        "plan",
        "plan --format json",
        "releases",
        "releases --format json",
        "history one",
        "lineage one",
        "lineage one --format json",
        "diff one",
        "diff one --format json",
        "storage",
        "doctor",
        "doctor --format json",
        "debug",
        "ls",
        "replay 1",
        "build --full --format json",
        "schedule --list --format json",
        "maintain --format json",
    ] {
        let arguments: Vec<&str> = ["--log-format", "json"].into_iter().chain(line.split(' ')).collect();
        lake.write("elt.yml", "schedules: {s: {cron: '@daily'}}\n");
        let done = elt(lake.path(), &arguments);
        let events: Vec<Value> = out(&done)
            .lines()
            .map(|text| serde_json::from_str(text).unwrap_or_else(|_| panic!("{line}: no event: {text}")))
            .collect();
        assert!(events.iter().all(|event| event["info"]["name"].is_string()), "{line}");
        let printed: Vec<&str> = events
            .iter()
            .filter(|event| event["info"]["name"] == "PrintEvent")
            .filter_map(|event| event["data"]["msg"].as_str())
            .collect();
        assert!(!printed.is_empty(), "{line}: what was asked for is an event");
        if line.ends_with("--format json") {
            assert!(serde_json::from_str::<Value>(printed[0]).is_ok(), "{line}: {}", printed[0]);
        }
    }
    // Rows are what was asked for, in the format that was asked for.
    let rows = elt(
        lake.path(),
        &["--log-format", "json", "sql", "--format", "csv", "-c", "select count(*) as n from one"],
    );
    assert!(out(&rows).contains("n\n2\n"), "{}", out(&rows));
}

#[test]
fn what_nobody_was_asked_about_is_no_success() {
    let lake = TestLake::on_disk();
    lake.write("models/one.sql", "{{ config(materialized='table') }} select 1 as id");
    let asked = elt(lake.path(), &["build", "--diff"]);
    assert_eq!(code(&asked), 2, "{}", told(&asked));
    assert!(told(&asked).contains("`elt build --diff --yes` publishes it"), "{}", told(&asked));
    assert_eq!(code(&elt(lake.path(), &["build", "--diff", "--yes"])), 0);
    // Nothing to publish is nothing to ask about.
    assert_eq!(code(&elt(lake.path(), &["build", "--diff"])), 0);
}

#[test]
fn stretches_of_time_are_written_in_one_way_everywhere() {
    let lake = TestLake::on_disk();
    lake.write("models/one.sql", "select 1 as id");
    for wait in ["0", "5", "5s", "2m", "500ms"] {
        assert_eq!(code(&elt(lake.path(), &["build", "--wait", wait])), 0, "{wait}");
    }
    for line in [
        "build --wait soon",
        "serve --query-timeout 0",
        "serve --query-timeout soon",
        "land a.b x --follow --interval never",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let refused = elt(lake.path(), &arguments);
        assert!(code(&refused) == 2 && told(&refused).contains("5s, 10m, 2h"), "{line}: {}", told(&refused));
    }
    for time in ["2s", "10m", "3600"] {
        let wrong = elt(lake.path(), &["serve", "--query-timeout", time, "--listen", "256.0.0.1:1"]);
        assert!(
            told(&wrong).contains("--listen") && !told(&wrong).contains("--query-timeout <"),
            "{time}: {}",
            told(&wrong)
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_to_be_corrected() {
    let lake = TestLake::on_disk();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for line in ["sql|select 1 as one", "releases"] {
        let arguments: Vec<&str> = line.split('|').collect();
        let failed = command(lake.path(), &arguments).stdout(full()).output().unwrap();
        assert_eq!(code(&failed), 2, "{line}: {}", told(&failed));
        assert!(told(&failed).contains("written to"), "{line}: {}", told(&failed));
    }
}

#[test]
fn a_plan_says_of_a_changed_file_what_a_build_says() {
    let lake = TestLake::on_disk();
    lake.write(
        "models/s.yml",
        "sources: [{name: shop, tables: [{name: orders, config: {location: 'inbox/*.csv'}}]}]\n",
    );
    lake.write("models/all_orders.sql", "select * from {{ source('shop', 'orders') }}");
    lake.write("inbox/a.csv", "id\n1\n");
    assert_eq!(code(&elt(lake.path(), &["build"])), 0);
    lake.write("inbox/a.csv", "id\n1\n2\n");
    let planned = elt(lake.path(), &["plan"]);
    let line = out(&planned).lines().find(|line| line.contains("shop.orders")).map(str::to_owned);
    let line = line.unwrap_or_default();
    assert!(line.contains("changed since loaded, left as it is") && line.contains("inbox/a.csv"), "{line}");
}

#[test]
fn a_lake_that_cannot_be_reached_does_not_hide_what_elt_would_work_with() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\nprofile: shop\n");
    lake.write(
        "profiles.yml",
        "shop: {target: prod, outputs: {prod: {type: elt, lake: 's3://nowhere/lake', schema: main}}}\n",
    );
    lake.write("models/a.sql", "select 1 as id");
    let mut asked = command(lake.path(), &["debug"]);
    asked
        .env("AWS_ENDPOINT", "http://127.0.0.1:9")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "hidden");
    let answer = asked.output().unwrap();
    let told_of = out(&answer);
    assert_eq!(code(&answer), 75, "{}", told(&answer));
    for word in
        ["s3://nowhere/lake: cannot be read", "AWS_SECRET_ACCESS_KEY", "shop, target prod", "not known"]
    {
        assert!(told_of.contains(word), "{word}: {told_of}");
    }
    assert!(!told_of.contains("hidden"), "{told_of}");
    assert!(told(&answer).contains("storage failed"), "{}", told(&answer));
}

#[test]
fn what_nobody_wanted_is_not_published_by_trying_again() {
    let lake = TestLake::on_disk();
    lake.write("models/a.sql", "{{ config(materialized='table') }} select 1 as id");
    assert_eq!(code(&elt(lake.path(), &["build"])), 0);
    lake.write("models/a.sql", "{{ config(materialized='table') }} select 2 as id");
    assert_eq!(code(&elt(lake.path(), &["run", "--diff"])), 2, "nobody is there to be asked");
    let again = elt(lake.path(), &["retry"]);
    assert_eq!(code(&again), 2);
    assert!(told(&again).contains("`elt run --diff --yes` publishes it"), "{}", told(&again));
    assert_eq!(code(&elt(lake.path(), &["run", "--diff", "--yes"])), 0);
    assert!(told(&elt(lake.path(), &["retry"])).contains("left nothing to do"));
}
