//! What was, and how rows are put in.

use elt::lakehouse::BuildRequest;
use insta::assert_snapshot;

use crate::test_lake::TestLake;

/// A seed of people, and a snapshot of it.
fn people(settings: &str) -> TestLake {
    let lake = TestLake::new();
    lake.write(
        "snapshots/people.sql",
        &format!(
            "{{% snapshot people_then %}}{{{{ config(unique_key='id', {settings}) }}}}select * from {{{{ ref('people') }}}}{{% endsnapshot %}}"
        ),
    );
    lake
}

const THEN: &str =
    "select id, city, dbt_valid_to is null as now from people_then order by id, dbt_valid_from, city";

#[tokio::test]
async fn a_snapshot_remembers_what_changed_and_what_is_gone() {
    let mut stories = String::new();
    for settings in [
        "strategy='timestamp', updated_at='at'",
        "strategy='check', check_cols=['city']",
        "strategy='check', check_cols='all', hard_deletes='invalidate'",
        "strategy='check', check_cols='all', hard_deletes='new_record'",
    ] {
        let lake = people(settings);
        lake.write(
            "seeds/people.csv",
            "id,city,at\n1,Oslo,2026-01-01 00:00:00\n2,Rome,2026-01-01 00:00:00\n",
        );
        lake.build().await;
        lake.write(
            "seeds/people.csv",
            "id,city,at\n1,Bergen,2026-01-02 00:00:00\n3,Lima,2026-01-02 00:00:00\n",
        );
        lake.build().await;
        lake.sql(THEN).await;
        lake.build().await;
        lake.sql(THEN).await;
        stories.push_str(&format!("{settings}\n{}", lake.story()));
    }
    assert_snapshot!(stories, @"
    strategy='timestamp', updated_at='at'
    build: people loaded (2 added)
    build: people_then taken (2 added)
    build: release 1
    build: people loaded (2 added)
    build: people_then taken (2 added, 1 updated)
    build: release 2
    sql: 1 Oslo false | 1 Bergen true | 2 Rome true | 3 Lima true
    build: people loaded (2 added)
    build: people_then taken (no rows)
    build: release 3
    sql: 1 Oslo false | 1 Bergen true | 2 Rome true | 3 Lima true
    strategy='check', check_cols=['city']
    build: people loaded (2 added)
    build: people_then taken (2 added)
    build: release 1
    build: people loaded (2 added)
    build: people_then taken (2 added, 1 updated)
    build: release 2
    sql: 1 Oslo false | 1 Bergen true | 2 Rome true | 3 Lima true
    build: people loaded (2 added)
    build: people_then taken (no rows)
    build: release 3
    sql: 1 Oslo false | 1 Bergen true | 2 Rome true | 3 Lima true
    strategy='check', check_cols='all', hard_deletes='invalidate'
    build: people loaded (2 added)
    build: people_then taken (2 added)
    build: release 1
    build: people loaded (2 added)
    build: people_then taken (2 added, 2 updated)
    build: release 2
    sql: 1 Oslo false | 1 Bergen true | 2 Rome false | 3 Lima true
    build: people loaded (2 added)
    build: people_then taken (no rows)
    build: release 3
    sql: 1 Oslo false | 1 Bergen true | 2 Rome false | 3 Lima true
    strategy='check', check_cols='all', hard_deletes='new_record'
    build: people loaded (2 added)
    build: people_then taken (2 added)
    build: release 1
    build: people loaded (2 added)
    build: people_then taken (3 added, 2 updated)
    build: release 2
    sql: 1 Oslo false | 1 Bergen true | 2 Rome false | 2 Rome true | 3 Lima true
    build: people loaded (2 added)
    build: people_then taken (no rows)
    build: release 3
    sql: 1 Oslo false | 1 Bergen true | 2 Rome false | 2 Rome true | 3 Lima true
    ");
}

#[tokio::test]
async fn a_snapshot_is_written_in_yaml_too_and_refuses_two_rows_of_one_key() {
    let lake = TestLake::new();
    lake.write("seeds/people.csv", "id,city\n1,Oslo\n");
    lake.write(
        "snapshots/s.yml",
        "
        snapshots:
          - name: people_then
            relation: ref('people')
            config:
              strategy: check
              check_cols: [city]
              unique_key: id
              snapshot_meta_column_names: {dbt_valid_to: until}
              dbt_valid_to_current: \"timestamp '9999-12-31 00:00:00'\"
        ",
    );
    lake.build().await;
    lake.write("seeds/people.csv", "id,city\n1,Bergen\n");
    lake.build().await;
    lake.sql("select id, city, date_part('year', until) as until from people_then order by city").await;
    lake.write("seeds/people.csv", "id,city\n1,Bergen\n1,Rome\n");
    lake.build().await;
    assert_snapshot!(lake.story(), @"
    build: people loaded (1 added)
    build: people_then taken (1 added)
    build: release 1
    build: people loaded (1 added)
    build: people_then taken (1 added, 1 updated)
    build: release 2
    sql: 1 Bergen 9999 | 1 Oslo 2026
    build: people loaded (2 added)  NOT PUBLISHED: `people_then` failed
    build: people_then ERROR snapshot `people_then`: the query gives two rows with the same key: id = 1; make `unique_key` name a row  NOT PUBLISHED: it could not be built
    build: no release
    ");
}

#[tokio::test]
async fn rows_are_put_in_as_the_strategy_says() {
    let mut stories = String::new();
    for settings in [
        "incremental_strategy='delete+insert', unique_key='day'",
        "incremental_strategy='insert_overwrite', partition_by='day'",
        "incremental_strategy='merge', unique_key='id', merge_update_columns=['n']",
        "incremental_strategy='merge', unique_key='id', merge_exclude_columns=['n']",
        "incremental_strategy='merge', unique_key='id', incremental_predicates=['DBT_INTERNAL_DEST.day > 1']",
        "incremental_strategy='append', on_schema_change='sync_all_columns'",
    ] {
        let lake = TestLake::new();
        let model = |rows: &str| {
            format!(
                "{{{{ config(materialized='incremental', {settings}) }}}} select * from (values {rows}) as t(id, day, n)"
            )
        };
        lake.write("models/m.sql", &model("(1, 1, 'a'), (2, 1, 'a'), (3, 2, 'a')"));
        lake.build().await;
        lake.write("models/m.sql", &model("(1, 7, 'b'), (3, 2, 'b'), (4, 2, 'b')"));
        lake.build().await;
        lake.sql("select * from m order by id, day, n").await;
        stories.push_str(&format!("{settings}\n{}", lake.story()));
    }
    assert_snapshot!(stories, @"
    incremental_strategy='delete+insert', unique_key='day'
    build: m created (3 added)
    build: release 1
    build: m rows replaced (3 added, 1 removed)
    build: release 2
    sql: 1 1 a | 1 7 b | 2 1 a | 3 2 b | 4 2 b
    incremental_strategy='insert_overwrite', partition_by='day'
    build: m created (3 added)
    build: release 1
    build: m rows replaced (3 added, 1 removed)
    build: release 2
    sql: 1 1 a | 1 7 b | 2 1 a | 3 2 b | 4 2 b
    incremental_strategy='merge', unique_key='id', merge_update_columns=['n']
    build: m created (3 added)
    build: release 1
    build: m merged (1 added, 2 updated)
    build: release 2
    sql: 1 1 b | 2 1 a | 3 2 b | 4 2 b
    incremental_strategy='merge', unique_key='id', merge_exclude_columns=['n']
    build: m created (3 added)
    build: release 1
    build: m merged (1 added, 2 updated)
    build: release 2
    sql: 1 7 a | 2 1 a | 3 2 a | 4 2 b
    incremental_strategy='merge', unique_key='id', incremental_predicates=['DBT_INTERNAL_DEST.day > 1']
    build: m created (3 added)
    build: release 1
    build: m merged (2 added, 1 updated)
    build: release 2
    sql: 1 1 a | 1 7 b | 2 1 a | 3 2 b | 4 2 b
    incremental_strategy='append', on_schema_change='sync_all_columns'
    build: m created (3 added)
    build: release 1
    build: m appended (3 added)
    build: release 2
    sql: 1 1 a | 1 7 b | 2 1 a | 3 2 a | 3 2 b | 4 2 b
    ");
}

#[tokio::test]
async fn a_stretch_of_time_is_made_of_what_is_made_in_batches_and_of_nothing_else() {
    let lake = TestLake::new();
    lake.write(
        "seeds/events.csv",
        "id,at\n1,2025-12-30 10:00:00\n2,2025-12-31 10:00:00\n3,2026-01-01 00:00:00\n",
    );
    lake.write("seeds/s.yml", "seeds: [{name: events, config: {event_time: at}}]");
    lake.write(
        "models/daily.sql",
        "{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at', begin='2025-12-30', batch_size='day') }} select * from {{ ref('events') }}",
    );
    lake.write(
        "models/ids.sql",
        "{{ config(materialized='table') }} select max(id) as id from {{ ref('events') }}",
    );
    lake.write(
        "models/days.sql",
        "{{ config(materialized='table') }} select count(*) as n from {{ ref('daily') }}",
    );
    lake.build_due().await;
    lake.plan().await;
    let day = |day: u32| {
        chrono::NaiveDate::from_ymd_opt(2025, 12, day).unwrap().and_hms_opt(0, 0, 0).unwrap().and_utc()
    };
    let stretch = BuildRequest { event_time: (Some(day(30)), Some(day(31))), ..BuildRequest::default() };
    lake.build_with(&stretch).await;
    lake.plan().await;
    // What was due before is due still.
    lake.write(
        "seeds/events.csv",
        "id,at\n1,2025-12-30 10:00:00\n2,2025-12-31 10:00:00\n4,2026-01-01 00:00:00\n",
    );
    lake.build_with(&BuildRequest { select: vec!["events".parse().unwrap()], ..BuildRequest::default() })
        .await;
    lake.build_with(&BuildRequest { select: vec!["daily".parse().unwrap()], ..stretch }).await;
    lake.plan().await;
    assert_snapshot!(lake.story(), @r"
    build: events loaded (3 added)
    build: daily created (3 added)
    build: days created (1 added)
    build: ids created (1 added)
    build: release 1
    plan: 4 up to date
    build: daily rows replaced (1 added, 1 removed)
    build: days replaced (1 added)
    build: up to date: events, ids
    build: release 2
    plan: 4 up to date
    build: events loaded (3 added)
    build: release 3
    build: daily rows replaced (1 added, 1 removed)
    build: release 4
    plan: daily input advanced: main.events from version 0 to 1
    plan: days input rebuilt: main.daily
    plan: ids input advanced: main.events from version 0 to 1
    plan: 1 up to date
    ");
}

#[tokio::test]
async fn a_microbatch_builds_its_window_again() {
    let lake = TestLake::new();
    lake.write(
        "seeds/events.csv",
        "id,at\n1,2025-12-30 10:00:00\n2,2025-12-31 10:00:00\n3,2026-01-01 00:00:00\n",
    );
    lake.write("seeds/s.yml", "seeds: [{name: events, config: {event_time: at}}]");
    lake.write(
        "models/daily.sql",
        "{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at', begin='2025-12-31', batch_size='day') }} select * from {{ ref('events') }}",
    );
    lake.build().await;
    lake.sql("select id from daily order by id").await;
    lake.write(
        "seeds/events.csv",
        "id,at\n1,2025-12-30 10:00:00\n22,2025-12-31 10:00:00\n33,2026-01-01 00:00:00\n",
    );
    lake.build().await;
    lake.sql("select id from daily order by id").await;
    assert_snapshot!(lake.story(), @"
    build: events loaded (3 added)
    build: daily created (2 added)
    build: release 1
    sql: 2 | 3
    build: events loaded (3 added)
    build: daily rows replaced (2 added, 2 removed)
    build: release 2
    sql: 22 | 33
    ");
}
