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
    lake.build_with(&each()).await;
    lake.sql("select id from b").await;
    lake.note(&shown(&lake).await);
    // Mended, and run again: `b` shows what `a` has become at once.
    lake.write("models/a.sql", "{{ config(materialized='table') }} select 10 as id");
    lake.write("models/c.sql", "{{ config(materialized='table') }} select id * 2 as id from {{ ref('b') }}");
    lake.build_with(&each()).await;
    lake.sql("select (select id from b) as b, (select id from d) as d").await;
    lake.note(&shown(&lake).await);
    // What a run published goes back together.
    lake.roll_back(None).await;
    lake.sql("select id from b").await;
    lake.note(&shown(&lake).await);
    assert_snapshot!(lake.story(), @r#"
    build: a created (1 added)
    build: b view (no rows)
    build: c ERROR model `c`: division by zero  NOT PUBLISHED: it could not be built
    build: d skipped, `c` failed  NOT PUBLISHED: `c` failed
    build: e created (1 added)
    build: release 3
    sql: 2
    1: main.a@0
    2: main.a@0, main.b (view)
    3: main.a@0, main.e@0, main.b (view)
    build: a replaced (1 added)
    build: b view (no rows)
    build: c created (1 added)
    build: d created (1 added)
    build: e replaced (1 added)
    build: release 7
    sql: 11 22
    1: main.a@0
    2: main.a@0, main.b (view)
    3: main.a@0, main.e@0, main.b (view)
    4: main.a@1, main.e@0, main.b (view)
    5: main.a@1, main.c@0, main.e@0, main.b (view)
    6: main.a@1, main.c@0, main.d@0, main.e@0, main.b (view)
    7: main.a@1, main.c@0, main.d@0, main.e@1, main.b (view)
    rollback: release 8 (rollback to 3)
    sql: 2
    1: main.a@0
    2: main.a@0, main.b (view)
    3: main.a@0, main.e@0, main.b (view)
    4: main.a@1, main.e@0, main.b (view)
    5: main.a@1, main.c@0, main.e@0, main.b (view)
    6: main.a@1, main.c@0, main.d@0, main.e@0, main.b (view)
    7: main.a@1, main.c@0, main.d@0, main.e@1, main.b (view)
    8: main.a@2, main.e@2, main.b (view)
    "#);
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
