//! What schedulers and orchestrators pass and read: flags before and after the verb, variables, events.

use std::path::Path;
use std::process::{Command, Output};

use insta::assert_snapshot;
use serde_json::Value;

use crate::test_lake::TestLake;

fn elt(folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elt"));
    command.current_dir(folder).args(arguments).env_clear();
    command.envs(env.iter().copied()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// A view, a broken table, one below it, a test that fails and one that warns.
fn project() -> TestLake {
    let lake = TestLake::on_disk();
    lake.write("models/good.sql", "{{ config(meta={'owner': 'ann'}) }} select 1 as id union all select 1");
    lake.write("models/bad.sql", "{{ config(materialized='table') }} select nope from {{ ref('good') }}");
    lake.write("models/below.sql", "select * from {{ ref('bad') }}");
    lake.write(
        "models/s.yml",
        "models:\n  - name: good\n    columns:\n      - name: id\n        data_tests:\n          - unique: {config: {severity: warn}}\n          - not_null\n",
    );
    lake
}

#[test]
fn events_of_a_run_are_those_of_dbt() {
    let lake = project();
    let done = elt(lake.path(), &["--log-format", "json", "--debug", "build", "--threads", "1"], &[]);
    assert_eq!((code(&done), text(&done.stderr)), (2, String::new()));
    let events: Vec<Value> = text(&done.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("every line is JSON"))
        .collect();
    let invocation = &events[0]["info"]["invocation_id"];
    let told = events.iter().filter(|event| event["info"]["name"] != "Note").map(|event| {
        assert_eq!(event["info"]["invocation_id"], *invocation);
        let (info, data) = (&event["info"], &event["data"]);
        let node = data["node_info"]["unique_id"].as_str().unwrap_or_default();
        let status = data["node_info"]["node_status"].as_str().unwrap_or_default();
        let line = format!("{} {} {} {node} {status}", info["name"], info["code"], info["level"]);
        line.replace('"', "").trim_end().to_owned()
    });
    assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @"
    MainReportVersion A001 info
    AdapterRegistered E034 info
    FoundStats W006 info
    ConcurrencyLine Q027 info
    NodeStart Q024 debug model.test.good started
    LogStartLine Q011 info model.test.good started
    LogModelResult Q012 info model.test.good success
    NodeFinished Q025 debug model.test.good success
    NodeStart Q024 debug test.test.not_null_good_id.cf53bc9459 started
    LogStartLine Q011 info test.test.not_null_good_id.cf53bc9459 started
    LogTestResult Q007 info test.test.not_null_good_id.cf53bc9459 pass
    NodeFinished Q025 debug test.test.not_null_good_id.cf53bc9459 pass
    NodeStart Q024 debug test.test.unique_good_id.c91342c84f started
    LogStartLine Q011 info test.test.unique_good_id.c91342c84f started
    LogTestResult Q007 warn test.test.unique_good_id.c91342c84f warn
    NodeFinished Q025 debug test.test.unique_good_id.c91342c84f warn
    NodeStart Q024 debug model.test.bad started
    LogStartLine Q011 info model.test.bad started
    LogModelResult Q012 error model.test.bad error
    NodeFinished Q025 debug model.test.bad error
    SkippingDetails Q034 info model.test.below skipped
    NodeFinished Q025 debug model.test.below skipped
    MainEncounteredError Z002 error
    FinishedRunningStats E047 info
    EndOfRunSummary Z030 info
    RunResultWarning Z021 warn test.test.unique_good_id.c91342c84f None
    RunResultWarningMessage Z046 warn test.test.unique_good_id.c91342c84f None
    RunResultFailure Z022 error model.test.bad None
    RunResultError Z024 error model.test.bad None
    SQLCompiledPath Z026 info model.test.bad None
    StatsLine Z023 info
    CommandCompleted Q039 debug
    ");
    let finished = events.iter().find(|event| event["info"]["name"] == "NodeFinished").unwrap();
    assert_eq!(finished["data"]["node_info"]["meta"]["owner"], "ann");
    assert_eq!(finished["data"]["run_result"]["status"], "success");
    let last = events.iter().find(|event| event["info"]["name"] == "StatsLine").unwrap();
    assert_eq!(last["info"]["msg"], "Done. PASS=2 WARN=1 ERROR=1 SKIP=1 NO-OP=0 TOTAL=5");
    let results = std::fs::read(lake.path().join("target/run_results.json")).unwrap();
    let results: Value = serde_json::from_slice(&results).unwrap();
    assert_eq!(results["metadata"]["invocation_id"], *invocation);
}

#[test]
fn variables_say_where_artifacts_and_logs_go() {
    let lake = project();
    let env = [("DBT_LOG_FORMAT", "json"), ("DBT_TARGET_PATH", "out/one"), ("DBT_LOG_PATH", "out/one")];
    let done = elt(lake.path(), &["build", "-s", "good"], &env);
    assert_eq!(code(&done), 0, "{}", text(&done.stdout));
    assert!(text(&done.stdout).lines().all(|line| line.starts_with('{')));
    let there = |path: &str| lake.path().join(path).exists();
    assert!(there("out/one/run_results.json") && there("out/one/manifest.json") && !there("target"));
    let log = std::fs::read_to_string(lake.path().join("out/one/dbt.log")).unwrap();
    assert!(log.contains("[info ] [Thread-1 (worker)]: 1 of 3 OK created sql view model main.good"), "{log}");
    // The command line wins over variables, and takes its flags after the verb too.
    let done =
        elt(lake.path(), &["parse", "--log-format", "text", "--target-path", "two", "--no-write-json"], &env);
    assert_eq!((code(&done), text(&done.stdout)), (0, String::new()));
    assert!(there("two/compiled") && !there("two/manifest.json"));
}

#[test]
fn what_selects_nothing_is_a_warning_as_in_dbt() {
    let lake = project();
    let done = elt(lake.path(), &["build", "-s", "goood", "--exclude", "tag:none"], &[]);
    let told = text(&done.stderr);
    assert_eq!(code(&done), 0, "{told}");
    for words in [
        "The selection criterion 'goood' does not match any enabled nodes",
        "The selection criterion 'tag:none' does not match any enabled nodes",
        "did you mean `good`?",
        "Nothing to do. Try checking your model configs and model specification args",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert_eq!(code(&elt(lake.path(), &["--warn-error", "build", "-s", "goood"], &[])), 2);
    let options = "{error: [NothingToDo]}";
    let done = elt(lake.path(), &["build", "-s", "goood", "--warn-error-options", options], &[]);
    assert_eq!(code(&done), 2);
    // A part of a selection that means nothing does not keep the rest from being built.
    assert_eq!(code(&elt(lake.path(), &["build", "-m", "goood", "good"], &[])), 0);
    let silent = "{silence: [NoNodesForSelectionCriteria]}";
    let done = elt(lake.path(), &["ls", "-s", "goood", "good", "--warn-error-options", silent], &[]);
    assert!(!text(&done.stderr).contains("criterion"), "{}", text(&done.stderr));
}

#[test]
fn flags_of_the_project_hold_where_nobody_says_otherwise() {
    let lake = project();
    lake.write(
        "dbt_project.yml",
        "name: test\nlog-path: logs\nflags: {quiet: true, warn_error_options: {error: [LogTestResult]}}\n",
    );
    let done = elt(lake.path(), &["build", "-s", "good"], &[]);
    let told = text(&done.stderr);
    // A test that warns has failed, and that is all that is told.
    assert_eq!(code(&done), 1, "{told}");
    assert!(told.contains("FAILED") && !told.contains("NOT PUBLISHED"), "{told}");
    assert!(lake.path().join("logs/dbt.log").exists());
    let done = elt(lake.path(), &["build", "-s", "good", "--no-quiet", "--warn-error-options", "{}"], &[]);
    assert!(code(&done) == 0 && text(&done.stderr).contains("published release 1"), "{}", text(&done.stderr));
    lake.write("dbt_project.yml", "name: test\nflags: {log_formt: json}\n");
    let told = text(&elt(lake.path(), &["ls"], &[]).stderr);
    assert!(
        told.contains("`log_formt` is not a known key of `flags:`")
            && told.contains("did you mean `log_format`?"),
        "{told}"
    );
}

#[test]
fn a_project_that_did_not_change_is_not_read_again() {
    let lake = project();
    let names = |env: &[(&str, &str)]| {
        text(&elt(lake.path(), &["ls", "--output", "name", "--resource-type", "model"], env).stdout)
    };
    assert_eq!(names(&[]), "bad\nbelow\ngood\n");
    let memory = lake.path().join("target/partial_parse.elt.json");
    // Whatever is remembered is told, as long as nothing has changed.
    let told = std::fs::read_to_string(&memory).unwrap().replace("\"good\"", "\"better\"");
    std::fs::write(&memory, told).unwrap();
    assert_eq!(names(&[]), "bad\nbelow\nbetter\n");
    assert_eq!(names(&[("ANY", "thing")]), "bad\nbelow\ngood\n");
    let told = std::fs::read_to_string(&memory).unwrap().replace("\"good\"", "\"better\"");
    std::fs::write(&memory, told).unwrap();
    let all = elt(
        lake.path(),
        &["ls", "--output", "name", "-s", "good", "--resource-type", "model"],
        &[("ANY", "thing")],
    );
    assert_eq!(text(&all.stdout), "good\n");
    lake.write("models/new.sql", "select 1 as id");
    assert_eq!(names(&[("ANY", "thing")]), "bad\nbelow\ngood\nnew\n");
    // A parse is remembered with its artifacts; without them it is made anew.
    let parse = || text(&elt(lake.path(), &["parse"], &[]).stderr);
    let first = parse();
    let manifest = lake.path().join("target/manifest.json");
    std::fs::write(&manifest, "{}").unwrap();
    assert_eq!((parse(), std::fs::read_to_string(&manifest).unwrap().as_str()), (first.clone(), "{}"));
    std::fs::remove_file(&manifest).unwrap();
    assert_eq!(parse(), first);
    assert!(manifest.exists());
    std::fs::write(&manifest, "{}").unwrap();
    elt(lake.path(), &["parse", "--no-partial-parse"], &[]);
    assert!(std::fs::read_to_string(&manifest).unwrap().len() > 100);
}
