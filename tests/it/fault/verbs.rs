//! The same for verbs that publish in other ways: a promotion, and a run that began by itself.

use std::collections::BTreeMap;

use elt::base::{Unwatched, Watch};
use elt::lakehouse::{Attendant, ScheduleNews};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::*;

/// Nobody to tell anything; runs are not waited for.
struct Nobody;

impl Attendant for Nobody {
    fn watch(&self) -> &dyn Watch {
        &Unwatched
    }

    fn news(&self, _: &ScheduleNews) {}

    fn until(&self, _: chrono::DateTime<chrono::Utc>) -> BoxFuture<'_, bool> {
        async { false }.boxed()
    }

    fn send<'a>(
        &'a self,
        _: &'a str,
        _: &'a serde_json::Value,
    ) -> BoxFuture<'a, std::result::Result<(), String>> {
        async { Ok(()) }.boxed()
    }
}

/// Production, and an environment in which two of its models were changed and tested.
async fn with_environment() -> (TestLake, Arc<InMemory>) {
    let mut project = project();
    project.write(
        "profiles.yml",
        "test:\n  target: prod\n  outputs:\n    prod: {type: elt, schema: main}\n    dev: {type: elt, schema: dev}\n",
    );
    let store = Arc::new(InMemory::new());
    project.target("prod");
    build(&project.on(lake_on(store.clone()), 0)).await.unwrap();
    project.write(
        "models/people.sql",
        "{{ config(materialized='table') }} select id, upper(city) as city from {{ source('crm', 'people') }}",
    );
    project.write(
        "models/log.sql",
        "{{ config(materialized='table') }} select id, city from {{ ref('people') }} where id > 1",
    );
    project.target("dev");
    build(&project.on(lake_on(store.clone()), 1)).await.unwrap();
    project.target("prod");
    (project, store)
}

async fn promote(lakehouse: &Lakehouse) -> Result<(), Error> {
    let request = elt::lakehouse::PromoteRequest { environment: "dev".to_owned(), ..Default::default() };
    Box::pin(lakehouse.promote(&request, None, &Unwatched)).await.map(|_| ())
}

async fn a_promotion_is_all_or_nothing(after_effect: bool) {
    let (project, before_store) = with_environment().await;
    let before = seen(&project.on(lake_on(before_store.clone()), 5)).await;
    let rehearsal = copy_of(&before_store).await;
    let counting = DyingStore::new(&rehearsal, i64::MAX, after_effect);
    promote(&project.on(lake_on(counting.clone()), 2)).await.unwrap();
    let calls = i64::MAX - counting.calls_left.load(Ordering::SeqCst);
    let after = seen(&project.on(lake_on(rehearsal), 5)).await;
    assert_ne!(before, after, "a promotion changes what readers see, or the test shows nothing");

    let mut ends = [0, 0];
    for call in 0..calls {
        let store = copy_of(&before_store).await;
        let dying = DyingStore::new(&store, call, after_effect);
        let _ = promote(&project.on(lake_on(dying), 2)).await;
        let now = seen(&project.on(lake_on(store.clone()), 3)).await;
        assert!(now == before || now == after, "killed at call {call} of {calls}, readers saw:\n{now}");
        ends[usize::from(now == after)] += 1;
        // Again: it publishes what is missing, or finds that nothing is.
        promote(&project.on(lake_on(store.clone()), 3))
            .await
            .unwrap_or_else(|error| panic!("killed at call {call}, the next promotion failed: {error:?}"));
        let settled = seen(&project.on(lake_on(store.clone()), 4)).await;
        assert_eq!(settled, after, "killed at call {call}, the next promotion published something else");
        assert!(heads_agree(&store).await, "killed at call {call}, the Delta heads are not what readers see");
    }
    assert!(ends[0] > 0 && (ends[1] > 0 || !after_effect), "deaths before the seal, and after: {ends:?}");
}

#[tokio::test]
async fn a_promotion_is_all_or_nothing_wherever_it_dies() {
    a_promotion_is_all_or_nothing(false).await;
}

#[tokio::test]
async fn a_promotion_is_all_or_nothing_wherever_its_store_times_out() {
    a_promotion_is_all_or_nothing(true).await;
}

/// How often each time of a schedule is on record.
async fn on_record(lakehouse: &Lakehouse) -> BTreeMap<String, usize> {
    let lake = lakehouse.tables().lake();
    let mut times = BTreeMap::new();
    for object in lake.list(&Path::from("_elt/runs")).await.unwrap() {
        let run: serde_json::Value = lake.read_json(&object.location).await.unwrap().unwrap();
        if let Some(at) = run["scheduled"]["at"].as_str() {
            *times.entry(at.to_owned()).or_default() += 1;
        }
    }
    times
}

/// A keeper of schedules dies while it runs one; the next keeper brings it to its end.
async fn a_scheduled_run_is_all_or_nothing(after_effect: bool) {
    let (project, before_store) = before_the_murder(Victim::SecondBuild).await;
    project.write("elt.yml", "schedules: {always: {cron: '* * * * *', catchup: last}}\n");
    let run = async |lakehouse: &Lakehouse| -> Result<(), Error> {
        let schedule = lakehouse.schedule("always").await?;
        Box::pin(lakehouse.run_schedule(&schedule, &Nobody)).await.map(|_| ())
    };
    let before = seen(&project.on(lake_on(before_store.clone()), 5)).await;
    let rehearsal = copy_of(&before_store).await;
    let counting = DyingStore::new(&rehearsal, i64::MAX, after_effect);
    run(&project.on(lake_on(counting.clone()), 2)).await.unwrap();
    let calls = i64::MAX - counting.calls_left.load(Ordering::SeqCst);
    let after = seen(&project.on(lake_on(rehearsal), 5)).await;
    assert_ne!(before, after, "the run changes what readers see, or the test shows nothing");
    for call in (0..calls).step_by(1 + usize::from(after_effect)) {
        let store = copy_of(&before_store).await;
        let dying = DyingStore::new(&store, call, after_effect);
        // The run fails, and its report with it; whoever keeps schedules is told, and goes on or dies.
        let _ = run(&project.on(lake_on(dying), 2)).await;
        let fresh = project.on(lake_on(store.clone()), 3);
        let now = seen(&fresh).await;
        assert!(now == before || now == after, "killed at call {call} of {calls}, readers saw:\n{now}");
        run(&fresh)
            .await
            .unwrap_or_else(|error| panic!("killed at call {call}, the next run failed: {error:?}"));
        let settled = seen(&project.on(lake_on(store.clone()), 4)).await;
        assert_eq!(settled, after, "killed at call {call}, the next run published something else");
        let times = on_record(&fresh).await;
        let is_once = times.values().all(|count| *count == 1);
        assert!(is_once && !times.is_empty(), "killed at call {call}, on record: {times:?}");
    }
}

#[tokio::test]
async fn a_scheduled_run_is_all_or_nothing_wherever_it_dies() {
    a_scheduled_run_is_all_or_nothing(false).await;
}

#[tokio::test]
async fn a_scheduled_run_is_all_or_nothing_wherever_its_store_times_out() {
    a_scheduled_run_is_all_or_nothing(true).await;
}

/// A lake in which rows are added by each run, whatever is there.
async fn with_log() -> (TestLake, Arc<InMemory>) {
    let project = TestLake::new();
    project.write("seeds/people.csv", "id\n1\n2\n");
    project.write(
        "models/log.sql",
        "{{ config(materialized='incremental') }} select id from {{ ref('people') }}",
    );
    project
        .write("models/checks.yml", "models: [{name: log, columns: [{name: id, data_tests: [not_null]}]}]\n");
    let store = Arc::new(InMemory::new());
    build(&project.on(lake_on(store.clone()), 0)).await.unwrap();
    project.write("seeds/people.csv", "id\n1\n2\n3\n");
    (project, store)
}

/// What `elt retry` does, with however many rows there are then.
async fn retry(lakehouse: &Lakehouse) -> String {
    let left = Box::pin(lakehouse.unfinished(Duration::ZERO, &Unwatched)).await.unwrap();
    if let Some(left) = left {
        let again = BuildRequest { only: Some(left.nodes), threads: Some(1), ..BuildRequest::default() };
        let built = Box::pin(lakehouse.build(&again, &Unwatched)).await.unwrap();
        assert!(built.is_well(), "{}", told(&built));
    }
    rows_of(lakehouse, "select count(*) from log").await
}

async fn a_retry_adds_nothing_twice(after_effect: bool) {
    let (project, before_store) = with_log().await;
    let rehearsal = copy_of(&before_store).await;
    let counting = DyingStore::new(&rehearsal, i64::MAX, after_effect);
    build(&project.on(lake_on(counting.clone()), 1)).await.unwrap();
    let calls = i64::MAX - counting.calls_left.load(Ordering::SeqCst);
    let results = project.path().join("target/run_results.json");
    let (mut ends, first) = (BTreeMap::new(), std::fs::read(&results).unwrap());
    for call in 0..calls {
        std::fs::write(&results, &first).unwrap();
        let store = copy_of(&before_store).await;
        let dying = DyingStore::new(&store, call, after_effect);
        let died = build(&project.on(lake_on(dying), 1)).await;
        let rows = retry(&project.on(lake_on(store.clone()), 2)).await;
        // A run that had not begun left nothing to go on from.
        assert!(rows == "5" || rows == "2" && died.is_err(), "killed at call {call} of {calls}: {rows} rows");
        build(&project.on(lake_on(store.clone()), 3)).await.unwrap();
        assert_eq!(
            rows_of(&project.on(lake_on(store), 4), "select count(*) from log").await,
            "5",
            "call {call}"
        );
        *ends.entry(rows).or_insert(0) += 1;
    }
    assert!(ends["5"] > 10, "{ends:?}");
}

#[tokio::test]
async fn a_retry_adds_nothing_twice_wherever_the_run_died() {
    a_retry_adds_nothing_twice(false).await;
}

#[tokio::test]
async fn a_retry_adds_nothing_twice_wherever_the_store_timed_out() {
    a_retry_adds_nothing_twice(true).await;
}
