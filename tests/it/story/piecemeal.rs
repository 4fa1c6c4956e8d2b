//! `run` publishes what it makes while it goes on, as dbt does: what failed takes nothing back.

use std::time::Duration;

use elt::lakehouse::{BuildRequest, PublishMode, Purpose};
use insta::assert_snapshot;

use crate::test_lake::TestLake;

/// A run that publishes each model when it is made.
fn each() -> BuildRequest {
    BuildRequest {
        purpose: Purpose::Run,
        publish: PublishMode::Each,
        pace: Some(Duration::ZERO),
        threads: Some(1),
        ..BuildRequest::default()
    }
}

/// What each release shows, the oldest first.
async fn shown(lake: &TestLake) -> String {
    let lakehouse = lake.open();
    let mut releases = lakehouse.releases(100).await.unwrap();
    releases.reverse();
    let line = |release: &elt::lakehouse::Release| {
        let pins = release.pinned();
        let tables = pins.tables.iter().map(|(name, version)| format!("{name}@{version}"));
        let views = pins.views.keys().map(|name| format!("{name} (view)"));
        format!("{}: {}", release.number, tables.chain(views).collect::<Vec<_>>().join(", "))
    };
    releases.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn each_model_is_seen_when_it_is_made() {
    let lake = TestLake::new();
    lake.write("models/a.sql", "{{ config(materialized='table') }} select 1 as id");
    lake.write("models/b.sql", "select id + 1 as id from {{ ref('a') }}");
    lake.write(
        "models/c.sql",
        "{{ config(materialized='table') }} select 1 / (id - id) as id from {{ ref('b') }}",
    );
    lake.write("models/d.sql", "{{ config(materialized='table') }} select * from {{ ref('c') }}");
    lake.write("models/e.sql", "{{ config(materialized='table') }} select 5 as id");
    let built = lake.try_build(&each()).await.unwrap();
    let told: Vec<String> = built
        .steps
        .iter()
        .map(|step| format!("{} {} {:?}", step.name, step.verdict.status(), step.visibility))
        .collect();
    assert_snapshot!(told.join("\n"), @r#"
    a success Published
    b success Published
    c error NotPublished { because: "it could not be built" }
    d skipped NotPublished { because: "`c` failed" }
    e success Published
    "#);
    // What a release takes up depends on what is made while the one before it is written; `a` comes first.
    let releases = shown(&lake).await;
    assert_eq!(releases.lines().next(), Some("1: main.a@0"));
    assert!((2..=3).contains(&releases.lines().count()), "{releases}");
    assert!(releases.ends_with(": main.a@0, main.e@0, main.b (view)"), "{releases}");
    assert_eq!(built.first.map(|number| number.0), Some(1));
    // Mended, and run again: `b` shows what `a` has become at once.
    lake.write("models/a.sql", "{{ config(materialized='table') }} select 10 as id");
    lake.write("models/c.sql", "{{ config(materialized='table') }} select id * 2 as id from {{ ref('b') }}");
    let again = lake.try_build(&each()).await.unwrap();
    let first = again.first.unwrap();
    assert_eq!(rows_at(&lake, first, "select id from b").await, "11");
    assert_eq!(rows_at(&lake, first, "select count(*) from d").await, "there is no table `main.d`");
    assert_eq!(lake.rows("select (select id from b) as b, (select id from d) as d").await, "11 22");
    // What a run published goes back together.
    lake.roll_back(None).await;
    assert_eq!(lake.rows("select id from b").await, "2");
    assert_eq!(lake.rows("select count(*) from d").await, "there is no table `main.d`");
}

/// What a query of one release gives, or what is wrong with it.
async fn rows_at(lake: &TestLake, number: elt::base::ReleaseNumber, sql: &str) -> String {
    let session = lake.open().session_at(number).await.unwrap();
    let asked = async { session.query(sql).await?.collect().await };
    match asked.await {
        Ok(batches) => crate::test_lake::cells(&batches).concat().join(" "),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_short_run_is_one_release() {
    let lake = TestLake::new();
    for name in ["a", "b", "c"] {
        lake.write(&format!("models/{name}.sql"), "{{ config(materialized='table') }} select 1 as id");
    }
    lake.build_with(&BuildRequest { pace: None, ..each() }).await;
    lake.note(&shown(&lake).await);
    assert_snapshot!(lake.story(), @r#"
    build: a created (1 added)
    build: b created (1 added)
    build: c created (1 added)
    build: release 1
    1: main.a@0, main.b@0, main.c@0
    "#);
}

#[tokio::test]
async fn what_is_landed_is_seen_with_the_first_model_and_hooks_with_the_last() {
    let lake = TestLake::new();
    lake.write("raw/people.csv", "id,city\n1,Oslo\n2,Rome\n");
    lake.write(
        "models/s.yml",
        "sources: [{name: crm, tables: [{name: people, config: {location: 'raw/*.csv'}}]}]",
    );
    lake.write(
        "models/a.sql",
        "{{ config(materialized='incremental', unique_key='id') }} select id, city from {{ source('crm', 'people') }}",
    );
    lake.write("models/b.sql", "{{ config(materialized='table', post_hook='create or replace table notes as select n from {{ this }}') }} select count(*) as n from {{ ref('a') }}");
    lake.build_with(&each()).await;
    lake.note(&shown(&lake).await);
    lake.build_with(&each()).await;
    lake.sql("select n from b").await;
    assert_snapshot!(lake.story(), @r#"
    build: landed crm.people  read 2 loaded 2 rescued 0 rejected 0
    build: a created (2 added)
    build: b created (1 added)
    build: release 2
    1: crm.people@0, main.a@0
    2: crm.people@0, main.a@0, main.b@0, main.notes@0
    build: landed crm.people  known
    build: a merged (2 updated)
    build: b replaced (1 added)
    build: release 4
    sql: 2
    "#);
}
