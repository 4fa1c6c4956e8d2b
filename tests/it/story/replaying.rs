//! A run is made again from what it read then.

use std::pin::Pin;

use elt::base::{Event, Stop, Unwatched, Watch};

use insta::assert_snapshot;

use crate::test_lake::TestLake;

async fn replay(lake: &TestLake, run: &str) -> String {
    match Box::pin(lake.open().replay(run, &Unwatched)).await {
        Err(error) => error.to_string(),
        Ok(replayed) => {
            let told = replayed.tables.iter().map(|table| {
                let how = match &table.difference {
                    Some(found) if found.is_nothing() => format!("same {}", found.unchanged),
                    Some(found) => format!("+{} -{} ={}", found.added, found.removed, found.unchanged),
                    None => "not made".to_owned(),
                };
                let because =
                    table.because.as_ref().map(|because| format!(" ({because})")).unwrap_or_default();
                format!("{}@{} {how}{because}", table.table, table.version)
            });
            told.collect::<Vec<_>>().join(", ")
        }
    }
}

#[tokio::test]
async fn a_run_gives_the_same_again_from_the_versions_that_it_read() {
    let lake = TestLake::new();
    lake.write(
        "models/sources.yml",
        "sources: [{name: shop, tables: [{name: orders, config: {location: inbox/orders_*.csv}}]}]\n",
    );
    lake.write("inbox/orders_1.csv", "id,amount\n1,5\n2,7\n");
    lake.write(
        "models/kept.sql",
        "{{ config(materialized='incremental', unique_key='id') }} select id, amount from {{ source('shop', 'orders') }}
         {% if is_incremental() %} where id > (select max(id) from {{ this }}) {% endif %}",
    );
    lake.write(
        "models/total.sql",
        "{{ config(materialized='table') }} select sum(amount) as amount from {{ ref('kept') }}",
    );
    lake.write(
        "models/odd.sql",
        "{{ config(materialized='table') }} select random() as r from {{ ref('kept') }}",
    );
    let first = lake.build_due().await.run;
    lake.write("inbox/orders_2.csv", "id,amount\n3,9\n");
    let second = lake.build_due().await.run;
    lake.sql("insert into kept values (4, 100)").await;
    let before = lake.rows("select * from kept order by id").await;
    assert_eq!(
        replay(&lake, &first).await,
        "main.kept@0 same 2, main.odd@0 +2 -2 =0 (it depends on the function `random`), main.total@0 same 1"
    );
    assert_eq!(
        replay(&lake, &second).await,
        "main.kept@1 same 3, main.odd@1 +3 -3 =0 (it depends on the function `random`), main.total@1 same 1"
    );
    // Nobody sees anything of it.
    assert_eq!(lake.rows("select * from kept order by id").await, before);
    assert_eq!(lake.rows("select count(*) from elt.releases").await, "3");
    // What was made by other code cannot be made again, and what is gone neither.
    lake.write(
        "models/total.sql",
        "{{ config(materialized='table') }} select max(amount) as amount from {{ ref('kept') }}",
    );
    std::fs::remove_file(lake.path().join("models/odd.sql")).unwrap();
    assert_eq!(
        replay(&lake, &second).await,
        "main.kept@1 same 3, main.total@1 not made (its code has changed since, and not only in how it is spelled; check out the project as it was then), \
         main.odd@1 not made (the project has no `model.test.odd` any more)"
    );
    assert_eq!(replay(&lake, "nothing").await, "no run `nothing` has published anything");
    assert_eq!(replay(&lake, "id-").await, "`id-` is the beginning of 3 runs");
}

#[tokio::test]
async fn another_spelling_of_the_same_is_replayed() {
    let lake = TestLake::new();
    lake.write("seeds/numbers.csv", "id\n1\n2\n");
    lake.write(
        "models/kept.sql",
        "{{ config(materialized='table') }} select id, id + 1 as next from {{ ref('numbers') }}",
    );
    lake.write(
        "models/days.sql",
        "{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at', begin='2025-12-30', batch_size='day') }}
         select * from {{ ref('dated') }}",
    );
    lake.write(
        "models/dated.sql",
        "{{ config(materialized='table', event_time='at') }} select timestamp '2025-12-31 10:00:00' as at",
    );
    lake.build_due().await;
    // A model in batches is made by the same code whichever batches there are by now.
    lake.story();
    lake.plan().await;
    assert_snapshot!(lake.story(), @"plan: 4 up to date");
    lake.write(
        "models/kept.sql",
        "{{ config(materialized='table') }}\n-- all of them\nSELECT Id, (id + 1) AS next\nFROM {{ ref('numbers') }}",
    );
    assert_eq!(replay(&lake, "1").await, "main.dated@0 same 1, main.days@0 same 1, main.kept@0 same 2");
    lake.write(
        "models/kept.sql",
        "{{ config(materialized='table') }} select id, id + 2 as next from {{ ref('numbers') }}",
    );
    assert_eq!(
        replay(&lake, "1").await,
        "main.dated@0 same 1, main.days@0 same 1, main.kept@0 not made (its code has changed since, and not only in how it is \
         spelled; check out the project as it was then)"
    );
}

#[tokio::test]
async fn batches_of_other_rows_are_no_replay() {
    let lake = TestLake::new();
    let dated = |config: &str| {
        let config = format!("{{{{ config(materialized='table'{config}) }}}}");
        lake.write("models/dated.sql", &format!("{config} select timestamp '2025-12-31 10:00:00' as at"));
    };
    dated("");
    lake.write(
        "models/days.sql",
        "{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at', begin='2025-12-30', batch_size='day') }}
         select * from {{ ref('dated') }}",
    );
    lake.build_due().await;
    // It decides which rows each batch reads.
    dated(", event_time='at'");
    let told = replay(&lake, "1").await;
    assert!(told.contains("main.days@0 not made (its code has changed since"), "{told}");
}

#[tokio::test]
async fn nothing_of_a_replay_stays() {
    let lake = TestLake::on_disk();
    lake.write("seeds/numbers.csv", "id\n1\n2\n");
    lake.write(
        "models/kept.sql",
        "{{ config(materialized='incremental', unique_key='id', incremental_strategy='delete+insert') }} select id from {{ ref('numbers') }}",
    );
    lake.write("models/broken.sql", "{{ config(materialized='table') }} select id from {{ ref('numbers') }}");
    lake.build_due().await;
    lake.write("seeds/numbers.csv", "id\n2\n3\n");
    let run = lake.build_due().await.run;
    let before = lake.all_files();
    let told = replay(&lake, "2").await;
    assert_eq!(told, "main.broken@1 same 2, main.kept@1 same 3");
    assert_eq!(replay(&lake, &run).await, told, "a release has a run");
    let left = |lake: &TestLake| {
        let files = lake.all_files().into_iter();
        files.filter(|file| !before.contains(file) && !file.0.ends_with("replay.lock")).collect::<Vec<_>>()
    };
    assert_eq!(left(&lake), []);
    // Also if somebody ends it.
    let error = Box::pin(lake.open().replay("2", &Impatient)).await.unwrap_err();
    assert_eq!(
        (error.to_string(), error.kind().exit_code()),
        ("interrupted; nothing was published".to_owned(), 143)
    );
    assert_eq!(left(&lake), []);
    // What one has left that died goes with the next maintenance, whatever its age; while one is at work it stays.
    let dead = lake.table_folder("main.kept").join("part-replay-id-0099.parquet");
    std::fs::write(&dead, "half of a file").unwrap();
    let other = lake.open();
    let held = other.tables().lake().lock_replay(other.world()).unwrap();
    lake.maintain(false).await;
    assert!(dead.exists());
    drop(held);
    lake.maintain(false).await;
    assert!(!dead.exists());
    assert_eq!(lake.rows("select * from kept order by id").await, "1 | 2 | 3");
}

/// Wants everything to end at once.
struct Impatient;

impl Watch for Impatient {
    fn on(&self, _: Event) {}

    fn called_off(&self) -> Pin<Box<dyn Future<Output = Stop> + Send + '_>> {
        Box::pin(std::future::ready(Stop::Terminated))
    }
}
