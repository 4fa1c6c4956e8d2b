//! Other programs, other processes, and power cuts.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use insta::assert_snapshot;

use elt::base::Unwatched;
use elt::lakehouse::BuildRequest;

use crate::test_lake::TestLake;

fn one_table() -> TestLake {
    let lake = TestLake::on_disk();
    lake.write("models/n.sql", "{{ config(materialized='table') }} select 1 as n");
    lake
}

/// The program itself, in the lake's folder.
fn elt(lake: &TestLake, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elt"));
    command.args(arguments).current_dir(lake.path()).env_remove("ELT_LAKE").stdin(Stdio::null());
    command
}

#[tokio::test]
async fn a_foreign_commit_is_detected_and_not_overwritten() {
    let lake = one_table();
    lake.build().await;
    let theirs = lake.table_folder("main.n").join("_delta_log/00000000000000000001.json");
    fs::write(&theirs, "{\"commitInfo\":{\"operation\":\"WRITE\",\"engineInfo\":\"another-engine:9\"}}\n")
        .unwrap();
    let error = lake.try_build(&Default::default()).await.unwrap_err();
    assert_eq!(error.kind().exit_code(), 75);
    lake.sql("select n from n").await;
    lake.roll_back(Some(1)).await;
    lake.build().await;
    assert!(fs::read_to_string(theirs).unwrap().contains("another-engine"));
    assert_snapshot!(lake.story(), @"
    build: n created (1 added)
    build: release 1
    build: `main.n` was changed outside elt: WRITE on `main.n` by another-engine:9, version 1
    sql: 1
    rollback: release 2 (rollback to 1)
    build: n replaced (1 added)
    build: release 3
    ");
}

#[tokio::test]
async fn a_table_that_elt_did_not_make_is_not_taken_over() {
    let lake = one_table();
    let log = lake.table_folder("main.n").join("_delta_log");
    fs::create_dir_all(&log).unwrap();
    fs::write(log.join("00000000000000000000.json"), "{\"commitInfo\":{\"operation\":\"CREATE TABLE\"}}\n")
        .unwrap();
    let error = lake.try_build(&Default::default()).await.unwrap_err();
    assert_eq!(error.kind().exit_code(), 2);
    assert_snapshot!(lake.story(), @"build: `main.n` cannot be created: its folder holds a Delta table that elt did not make (CREATE TABLE on `main.n` by another program)");
}

#[tokio::test]
async fn a_commit_without_content_or_half_a_commit_is_reported_and_not_read_as_empty() {
    let lake = one_table();
    lake.build().await;
    let newest = lake.table_folder("main.n").join("_delta_log/00000000000000000000.json");
    let whole = fs::read_to_string(&newest).unwrap();
    for damage in ["", &whole[..whole.len() / 2]] {
        fs::write(&newest, damage).unwrap();
        lake.sql("select n from n").await;
    }
    fs::write(&newest, "").unwrap();
    lake.build().await;
    let output = elt(&lake, &["build", "--full"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert_snapshot!(lake.story(), @"
    build: n created (1 added)
    build: release 1
    sql: version 0 of `main.n` is damaged: it has no content
    sql: version 0 of `main.n` is damaged: line 2 is not whole
    build: n ERROR `n` failed: version 0 of `main.n` is damaged: it has no content  NOT PUBLISHED: it could not be built
    build: no release
    ");
}

#[tokio::test]
async fn a_second_writer_is_told_who_the_first_one_is() {
    let lake = one_table();
    let first = lake.open();
    let _lock = first.tables().lake().lock(first.world(), "build").unwrap();
    let error = Box::pin(lake.open().build(&Default::default(), &Unwatched)).await.unwrap_err();
    assert_eq!(error.kind().exit_code(), 75);
    let told = error.to_string();
    assert!(
        told.contains(&format!("`elt build` by tester, pid {} on testhost", std::process::id())),
        "{told}"
    );
    let output = elt(&lake, &["build"]).output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_second_writer_waits_for_the_first_if_it_is_told_to() {
    let lake = one_table();
    let first = lake.open();
    let lock = first.tables().lake().lock(first.world(), "build").unwrap();
    let waiting = |wait| BuildRequest { wait, ..BuildRequest::default() };
    let too_short = lake.try_build(&waiting(Duration::from_millis(100))).await.unwrap_err();
    assert_eq!(too_short.kind().exit_code(), 75, "{too_short}");
    let freed = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(lock);
    };
    let request = waiting(Duration::from_secs(60));
    let (built, ()) = tokio::join!(lake.try_build(&request), freed);
    assert!(built.unwrap().release.is_some());
}

#[test]
fn a_process_that_is_killed_leaves_the_old_release_or_the_new_one() {
    let lake = TestLake::on_disk();
    for model in 0..6 {
        let sql =
            "{{ config(materialized='table') }} select value, value % 7 as m from generate_series(1, 20000)";
        lake.write(&format!("models/t{model}.sql"), &format!("{sql} -- {model}"));
    }
    lake.write("models/edition.sql", "{{ config(materialized='table') }} select 1 as edition");
    assert!(elt(&lake, &["build"]).output().unwrap().status.success());
    lake.write("models/edition.sql", "{{ config(materialized='table') }} select 2 as edition");
    for model in 0..6 {
        let sql =
            "{{ config(materialized='table') }} select value, value % 5 as m from generate_series(1, 30000)";
        lake.write(&format!("models/t{model}.sql"), sql);
    }
    let all = "select edition, (select count(*) from t0) as a, (select count(*) from t5) as b from edition";
    for moment in [5_u64, 40, 80, 120, 200, 300, 400, 500, 700, 900] {
        let mut child = elt(&lake, &["build"]).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(moment));
        child.kill().unwrap();
        child.wait().unwrap();
        let seen = elt(&lake, &["sql", "--format", "csv", "-c", all]).output().unwrap();
        let seen = String::from_utf8_lossy(&seen.stdout).lines().nth(1).unwrap_or_default().to_owned();
        assert!(
            seen == "1,20000,20000" || seen == "2,30000,30000",
            "killed after {moment} ms, readers saw {seen:?}"
        );
    }
    assert!(elt(&lake, &["build"]).output().unwrap().status.success());
    let seen = elt(&lake, &["sql", "--format", "csv", "-c", all]).output().unwrap();
    assert!(String::from_utf8_lossy(&seen.stdout).contains("2,30000,30000"));
}

#[tokio::test]
async fn a_file_whose_path_another_program_spelled_its_own_way_is_not_taken_out_by_half() {
    let lake = one_table();
    lake.build().await;
    let folder = lake.table_folder("main.n");
    let data = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let data =
        data.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "parquet")).unwrap();
    let commit = |version: u64, raw: &str, name: &str| {
        fs::copy(&data, folder.join(name)).unwrap();
        let size = fs::metadata(&data).unwrap().len();
        let add = format!(
            r#"{{"add":{{"path":"{raw}","partitionValues":{{}},"size":{size},"modificationTime":0,"dataChange":true,"stats":"{{\"numRecords\":1}}"}}}}"#
        );
        let log = folder.join(format!("_delta_log/{version:020}.json"));
        fs::write(log, format!("{{\"commitInfo\":{{\"operation\":\"WRITE\"}}}}\n{add}\n")).unwrap();
    };
    commit(1, "plain%20words.parquet", "plain words.parquet");
    lake.roll_back(Some(1)).await;
    lake.sql("select count(*) from n").await;
    commit(3, "with%2Ddash.parquet", "with-dash.parquet");
    lake.roll_back(Some(1)).await;
    assert_snapshot!(lake.story(), @"
    build: n created (1 added)
    build: release 1
    rollback: release 2 (rollback to 1)
    sql: 1
    rollback: with-dash.parquet of `main.n` cannot be taken out: another program spelled it `with%2Ddash.parquet` in the log
    ");
}

#[tokio::test]
async fn one_damaged_table_does_not_hold_back_the_care_for_others() {
    let lake = one_table();
    lake.write("models/m.sql", "{{ config(materialized='incremental') }} select 1 as m");
    for _ in 0..10 {
        lake.build().await;
    }
    let head = "_delta_log/00000000000000000009.json";
    fs::write(lake.table_folder("main.n").join(head), "").unwrap();
    let told = elt(&lake, &["maintain"]).output().unwrap();
    let said = String::from_utf8_lossy(&told.stdout).into_owned() + &String::from_utf8_lossy(&told.stderr);
    assert!(said.contains("10 files become 1"), "{said}");
    assert!(said.contains("failed      main.n") && said.contains("it has no content"), "{said}");
    assert_eq!(told.status.code(), Some(1), "{said}");
}
