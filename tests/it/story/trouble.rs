//! What a model says of the day when it fails.

use std::sync::Mutex;

use insta::assert_snapshot;

use elt::base::{Event, Unwatched, Watch};
use elt::lakehouse::{BuildRequest, PublishMode};

use crate::test_lake::{TestLake, told};

/// Keeps what is said beside the steps.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Watch for Notes {
    fn on(&self, event: Event) {
        if let Event::Note(note) = event {
            self.0.lock().unwrap().push(note);
        }
    }
}

#[tokio::test]
async fn a_model_below_a_failure_is_skipped_or_made_of_what_readers_see() {
    let lake = TestLake::new();
    lake.write("dbt_project.yml", "name: test\nmodels: {+materialized: table}\n");
    lake.write("models/rates.sql", "{{ config(on_error='continue') }} select 2 as rate");
    lake.write("models/strict.sql", "select 2 as rate");
    lake.write("models/of_rates.sql", "select rate * 10 as price from {{ ref('rates') }}");
    lake.write("models/of_strict.sql", "select rate * 10 as price from {{ ref('strict') }}");
    lake.build_due().await;
    lake.write("models/rates.sql", "{{ config(on_error='continue') }} select 3 / 0 as rate");
    lake.write("models/strict.sql", "select 3 / 0 as rate");
    lake.write("models/of_rates.sql", "select rate * 100 as price from {{ ref('rates') }}");
    let passing = BuildRequest { publish: PublishMode::Passing, ..BuildRequest::default() };
    lake.build_with(&passing).await;
    lake.sql("select * from of_rates union all select * from of_strict order by 1").await;
    lake.note("-- corrected");
    lake.write("models/rates.sql", "{{ config(on_error='continue') }} select 3 as rate");
    lake.write("models/strict.sql", "select 3 as rate");
    lake.build_due().await;
    lake.sql("select * from of_rates union all select * from of_strict order by 1").await;
    assert_snapshot!(lake.story(), @"
    build: rates created (1 added)
    build: of_rates created (1 added)
    build: strict created (1 added)
    build: of_strict created (1 added)
    build: release 1
    build: rates ERROR model `rates`: division by zero  NOT PUBLISHED: it could not be built
    build: of_rates replaced (1 added)
    build: strict ERROR model `strict`: division by zero  NOT PUBLISHED: it could not be built
    build: of_strict skipped, `strict` failed  NOT PUBLISHED: `strict` failed
    build: release 2
    sql: 20 | 200
    -- corrected
    build: rates replaced (1 added)
    build: of_rates replaced (1 added)
    build: strict replaced (1 added)
    build: of_strict replaced (1 added)
    build: release 3
    sql: 30 | 300
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_takes_too_long_is_stopped_and_tried_again() {
    let lake = TestLake::new();
    lake.write("models/quick.sql", "{{ config(timeout='1h', retries=3) }} select 1 as one");
    lake.write(
        "models/slow.sql",
        "{{ config(materialized='table', timeout='100ms', retries=1) }} select sum(value % 7) as n from generate_series(1, 1000000000000)",
    );
    let notes = Notes::default();
    let request = BuildRequest { threads: Some(1), ..BuildRequest::default() };
    let built = Box::pin(lake.open().build(&request, &notes)).await.unwrap();
    lake.note(notes.0.into_inner().unwrap().join("\n").as_str());
    lake.note(&told(&built));
    assert_snapshot!(lake.story(), @"
    `slow` took longer than 100ms, and was stopped; `slow` is tried again in 500ms (1 of 1)
    build: quick view (no rows)  NOT PUBLISHED: `slow` failed
    build: slow ERROR `slow` took longer than 100ms, and was stopped  NOT PUBLISHED: it could not be built
    build: no release
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_never_pauses_is_stopped_too() {
    let lake = TestLake::new();
    lake.write(
        "models/endless.sql",
        "{{ config(materialized='table', timeout='300ms') }}
         select sum(sin(a.i * b.i)) as s from range(90000) a(i), range(200000) b(i)",
    );
    let begun = std::time::Instant::now();
    let request = BuildRequest { threads: Some(2), ..BuildRequest::default() };
    let built = Box::pin(lake.open().build(&request, &Unwatched)).await.unwrap();
    lake.note(&told(&built));
    // So is a whole run, which then leaves a report.
    lake.write("models/endless.sql", "{{ config(materialized='table') }} select sum(sin(a.i * b.i)) as s from range(90000) a(i), range(200000) b(i)");
    let request = BuildRequest { time: Some(std::time::Duration::from_millis(300)), ..request };
    let error = Box::pin(lake.open().build(&request, &Unwatched)).await.unwrap_err();
    lake.note(&error.to_string());
    assert!(begun.elapsed() < std::time::Duration::from_secs(60), "it took {:?}", begun.elapsed());
    lake.sql("select status, num_failed, message from elt.runs order by started_at").await;
    assert_snapshot!(lake.story(), @r"
    build: endless ERROR `endless` took longer than 300ms, and was stopped  NOT PUBLISHED: it could not be built
    build: no release

    it took longer than 300ms
    sql: error 1 `endless`: `endless` took longer than 300ms, and was stopped | error 0 it took longer than 300ms
    ");
}

#[tokio::test]
async fn what_cannot_be_read_is_told_where_it_is_written() {
    let lake = TestLake::new();
    lake.write(
        "models/s.yml",
        "models: [{name: one, config: {timeout: soon, retries: many, on_error: continu}}]",
    );
    lake.write("models/one.sql", "select 1 as one");
    let error = lake.try_build(&BuildRequest::default()).await.unwrap_err();
    let diagnostics = error.diagnostics();
    let told = diagnostics.iter().map(|d| {
        let help = d.help().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{d}{help}\n")
    });
    assert_snapshot!(told.collect::<String>(), @"
    `soon` is no value of `timeout` (write seconds, as 90, or a number with its unit: 30s, 10m, 2h)
    `many` is no value of `retries` (write a whole number from 0 to 20)
    `continu` is no value of `on_error` (did you mean `continue`?)
    ");
}
