//! What dbt's users have in their projects beyond models and tests.

use std::time::Duration;

use insta::assert_snapshot;

use elt::base::Unwatched;
use elt::lakehouse::{BuildRequest, Indirect, Selector};

use crate::test_lake::TestLake;

fn only(selector: &str) -> BuildRequest {
    BuildRequest { select: vec![selector.parse().unwrap()], ..BuildRequest::default() }
}

#[tokio::test]
async fn a_model_has_versions_and_a_ref_means_the_latest_or_the_one_it_names() {
    let lake = TestLake::new();
    lake.write("models/dim_v1.sql", "select 1 as id, 'a' as city, 'old' as notes");
    lake.write("models/dim_two.sql", "select 1 as id, 'b' as city");
    lake.write("models/dim_v3.sql", "select 1 as id, 'c' as city, 7 as size");
    lake.write(
        "models/s.yml",
        "
        models:
          - name: dim
            latest_version: 2
            description: places
            columns: [{name: id, data_tests: [unique]}, {name: city}, {name: notes, data_tests: [not_null]}]
            versions:
              - v: 1
                config: {alias: dim_first}
              - {v: 2, defined_in: dim_two, columns: [{include: all, exclude: [notes]}]}
              - v: 3
                description: places to come
                columns: [{include: [id]}, {name: size, data_tests: [not_null]}]
        ",
    );
    lake.write(
        "models/all.sql",
        "select l.city as latest, one.city as one, three.city as three from {{ ref('dim') }} as l
         join {{ ref('dim', v=1) }} as one using (id) join {{ ref('dim', version=3) }} as three using (id)",
    );
    lake.build().await;
    lake.sql("select * from \"all\"").await;
    lake.sql("select table_name from information_schema.tables where table_schema = 'main' order by 1").await;
    lake.build_with(&only("version:prerelease")).await;
    lake.build_with(&only("dim.v1")).await;
    lake.write("models/all.sql", "select * from {{ ref('dim', v=4) }}");
    lake.try_build(&BuildRequest::default()).await.unwrap_err();
    assert_snapshot!(lake.story(), @"
    build: dim.v1 view (no rows)
    build: dim.v2 view (no rows)
    build: dim.v3 view (no rows)
    build: not_null_dim_v1_notes pass
    build: not_null_dim_v3_size pass
    build: unique_dim_v1_id pass
    build: unique_dim_v2_id pass
    build: unique_dim_v3_id pass
    build: all view (no rows)
    build: release 1
    sql: b a c
    sql: all | dim_first | dim_v2 | dim_v3
    build: up to date: dim.v3, not_null_dim_v3_size, unique_dim_v3_id
    build: no release
    build: up to date: dim.v1, not_null_dim_v1_notes, unique_dim_v1_id
    build: no release
    build: model `all` refers to version 4 of `dim`, which is not there
    ");
}

#[tokio::test]
async fn a_selection_has_a_name_and_says_which_tests_it_brings() {
    let lake = TestLake::new();
    lake.write("models/a.sql", "{{ config(tags='nightly') }} select 1 as id");
    lake.write("models/b.sql", "select id from {{ ref('a') }}");
    lake.write("models/c.sql", "{{ config(tags='nightly') }} select id from {{ ref('b') }}");
    lake.write(
        "models/s.yml",
        "
        models:
          - name: a
            columns:
              - name: id
                data_tests: [unique, {relationships: {arguments: {to: ref('b'), field: id}}}]
        ",
    );
    lake.build().await;
    lake.note("by default");
    lake.write(
        "selectors.yml",
        "
        selectors:
          - name: nightly
            definition: tag:nightly
          - name: late
            default: true
            definition:
              union:
                - method: selector
                  value: nightly
                - {method: fqn, value: b, children: true, children_depth: 1}
                - exclude: [a]
        ",
    );
    lake.build().await;
    let named = |name: &str| BuildRequest { select: vec![Selector::named(name)], ..BuildRequest::default() };
    lake.build_with(&named("nightly")).await;
    let bringing = |indirect| BuildRequest {
        select: vec!["a".parse::<Selector>().unwrap().bringing(indirect)],
        ..BuildRequest::default()
    };
    lake.note("cautious");
    lake.build_with(&bringing(Indirect::Cautious)).await;
    lake.note("empty");
    lake.build_with(&bringing(Indirect::Empty)).await;
    lake.try_build(&named("weekly")).await.unwrap_err();
    lake.write("selectors.yml", "selectors: [{name: x, definition: {union: [{metod: tag, value: y}]}}]");
    lake.try_build(&BuildRequest::default()).await.unwrap_err();
    assert_snapshot!(lake.story(), @"
    build: a view (no rows)
    build: unique_a_id pass
    build: b view (no rows)
    build: relationships_a_id__id__ref_b_ pass
    build: c view (no rows)
    build: release 1
    by default
    build: b view (no rows)
    build: c view (no rows)
    build: no release
    build: up to date: a, c, relationships_a_id__id__ref_b_, unique_a_id
    build: no release
    cautious
    build: up to date: a, unique_a_id
    build: no release
    empty
    build: up to date: a
    build: no release
    build: there is no selector `weekly` in selectors.yml
    build: expected one key, or `method` and `value`; found metod, value
    ");
}

#[tokio::test]
async fn a_macro_is_run_by_itself_and_writes() {
    let lake = TestLake::new();
    lake.write("models/m.sql", "{{ config(materialized='table') }} select 1 as id");
    lake.write(
        "macros/o.sql",
        "
        {% macro note(what, times=1) %}
          {% do run_query('create table if not exists notes (what string, models bigint)') %}
          {% for i in range(times) %}
            {% set found = run_query('select count(*) from ' ~ ref('m')) %}
            {% call statement() %}
              begin; insert into notes values ('{{ what }}; {{ i }}', {{ found.rows[0][0] }}); commit;
            {% endcall %}
          {% endfor %}
          {{ log('noted ' ~ what, info=true) }}
        {% endmacro %}
        ",
    );
    lake.build().await;
    let arguments = |json: serde_json::Value| serde_json::from_value(json).unwrap();
    let told =
        lake.open().operate("note", &arguments(serde_json::json!({"what": "a", "times": 2}))).await.unwrap();
    assert_eq!((told.messages[0].text(), told.messages.len(), told.releases.len()), ("noted a", 1, 3));
    lake.sql("select * from notes order by what").await;
    let wrong = lake.open().operate("nota", &arguments(serde_json::json!({}))).await.unwrap_err();
    lake.note(&wrong.to_string());
    assert_snapshot!(lake.story(), @"
    build: m created (1 added)
    build: release 1
    sql: a; 0 1 | a; 1 1
    there is no macro `nota`
    ");
}

#[tokio::test]
async fn a_build_of_nothing_is_empty_and_a_sample_is_of_the_time_asked_for() {
    let lake = TestLake::new();
    lake.write(
        "seeds/events.csv",
        "id,at\n1,2024-01-01 10:00:00\n2,2024-01-02 10:00:00\n3,2024-02-01 10:00:00\n",
    );
    lake.write("seeds/s.yml", "seeds: [{name: events, config: {event_time: at}}]");
    lake.write("models/m.sql", "{{ config(materialized='table') }} select id from {{ ref('events') }}");
    lake.build().await;
    lake.sql("select count(*) from m").await;
    lake.build_with(&BuildRequest {
        sample: Some("{start: 2024-01-02, end: 2024-02-01}".parse().unwrap()),
        ..only("m")
    })
    .await;
    lake.sql("select * from m").await;
    lake.build_with(&BuildRequest { empty: true, ..only("m") }).await;
    lake.sql("select count(*) from m").await;
    assert_snapshot!(lake.story(), @"
    build: events loaded (3 added)
    build: m created (3 added)
    build: release 1
    sql: 3
    build: m replaced (1 added)
    build: release 2
    sql: 2
    build: m replaced (no rows)
    build: release 3
    sql: 0
    ");
}

#[tokio::test]
async fn a_batch_that_fails_leaves_the_others_and_is_built_again() {
    let lake = TestLake::new();
    lake.write(
        "seeds/events.csv",
        "id,at,n\n1,2025-12-30 10:00:00,1\n2,2025-12-31 10:00:00,0\n3,2026-01-01 00:00:00,1\n",
    );
    lake.write("seeds/s.yml", "seeds: [{name: events, config: {event_time: at}}]");
    let model = |value: &str| {
        format!(
            "{{{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at',
               begin='2025-12-30', batch_size='day', write_mode='merge-on-read') }}}}
             select id, at, {value} as n, '{{{{ model.batch.id if model.batch }}}}' as batch,
               {{{{ 'true' if is_incremental() else 'false' }}}} as later from {{{{ ref('events') }}}}"
        )
    };
    lake.write("models/m.sql", &model("10 / n"));
    let passing = BuildRequest { publish: elt::lakehouse::PublishMode::Passing, ..BuildRequest::default() };
    lake.build_with(&passing).await;
    lake.sql("select id, n, batch, later from m order by id").await;
    lake.write("models/m.sql", &model("n * 2"));
    let left = lake.open().unfinished(Duration::ZERO, &Unwatched).await.unwrap().unwrap();
    let again = BuildRequest { only: Some(left.nodes), batches: left.batches, ..passing.clone() };
    lake.build_with(&again).await;
    lake.sql("select id, n, batch, later from m order by id").await;
    assert_snapshot!(lake.story(), @"
    build: events loaded (3 added)
    build: m SOME BATCHES FAILED model `m`: division by zero
    build: release 1
    sql: 1 10 20251230 false | 3 10 20260101 true
    build: m rows replaced (1 added)
    build: release 2
    sql: 1 10 20251230 false | 2 0 20251231 true | 3 10 20260101 true
    ");
}

#[tokio::test]
async fn only_files_with_rows_that_go_are_touched() {
    for (mode, strategy) in [
        ("copy-on-write", "delete+insert"),
        ("merge-on-read", "delete+insert"),
        ("copy-on-write", "insert_overwrite"),
        ("merge-on-read", "merge"),
    ] {
        let lake = TestLake::new();
        let config = format!(
            "{{{{ config(materialized='incremental', incremental_strategy='{strategy}', unique_key='id',
              partition_by='day', write_mode='{mode}', merge_exclude_columns=['kept']) }}}}"
        );
        lake.write(
            "models/m.sql",
            &format!("{config} select * from (values (1, 1, 'a'), (2, 1, 'a'), (3, 2, 'a'), (4, 3, 'a')) as t(id, day, kept)"),
        );
        lake.build().await;
        let files = || {
            lake.all_files()
                .into_iter()
                .filter(|(path, _)| {
                    path.extension().is_some_and(|e| e == "parquet") && path.to_string_lossy().contains("/m/")
                })
                .map(|(path, _)| path)
                .collect::<std::collections::BTreeSet<_>>()
        };
        let before = files();
        lake.write("models/m.sql", &format!("{config} select 3 as id, 2 as day, 'b' as kept"));
        lake.build().await;
        let new = files().difference(&before).count();
        assert_eq!((before.len(), new), (3, 1), "{mode} {strategy}: files before and new");
        let rows = lake.rows("select id, day from m order by id").await;
        assert_eq!(rows, "1 1 | 2 1 | 3 2 | 4 3", "{mode} {strategy}");
    }
}

#[tokio::test]
async fn what_hooks_write_is_part_of_the_release() {
    let lake = TestLake::new();
    lake.write(
        "dbt_project.yml",
        "
        name: test
        on-run-start: ['create table if not exists notes (what string)', 'create table if not exists ends (what string)']
        on-run-end:
          - \"{% for r in results %} insert into ends values ('{{ r.node.name }} {{ r.status }} {{ schemas | join }}'); {% endfor %}\"
        models:
          +post-hook: \"insert into notes values ('made {{ this.name }}')\"
        ",
    );
    lake.write(
        "models/a.sql",
        "{{ config(materialized='table', post_hook=['delete from {{ this }} where id = 2', 'update {{ this }} set id = id * 10 where id = 3']) }}
         select * from (values (1), (2), (3)) as t(id)",
    );
    lake.write("models/b.sql", "{{ config(materialized='incremental', pre_hook=\"insert into notes values ('before b')\") }} select count(*) as n from notes");
    lake.build().await;
    lake.sql("select * from a order by id").await;
    lake.sql("select * from notes order by 1").await;
    lake.sql("select * from b").await;
    lake.sql("select * from ends order by 1").await;
    lake.note("a test fails: nothing of the models is seen, the end of the run is told");
    lake.write("models/s.yml", "models: [{name: b, columns: [{name: n, data_tests: [{accepted_values: {arguments: {values: [0]}}}]}]}]");
    lake.build().await;
    lake.sql("select count(*) from notes").await;
    lake.sql("select count(*) from ends").await;
    lake.sql("select * from b").await;
    lake.note("what a hook may not do");
    lake.write("models/c.sql", "{{ config(post_hook=\"insert into main.a values (1)\") }} select 1 as id");
    lake.build().await;
    lake.write("models/c.sql", "{{ config(post_hook='drop table notes') }} select 1 as id");
    lake.try_build(&BuildRequest::default()).await.unwrap_err();
    assert_snapshot!(lake.story(), @"
    build: a created (3 added, 1 updated, 1 removed)
    build: b created (1 added)
    build: release 1
    sql: 1 | 30
    sql: before b | made a | made b
    sql: 2
    sql: a success main | b success main
    a test fails: nothing of the models is seen, the end of the run is told
    build: a replaced (3 added, 1 updated, 1 removed)  NOT PUBLISHED: `accepted_values_b_n__0` failed
    build: b appended (1 added)  NOT PUBLISHED: the test `accepted_values_b_n__0` failed
    build: accepted_values_b_n__0 FAIL 2 rows
    build: release 2
    sql: 3
    sql: 5
    sql: 2
    what a hook may not do
    build: a replaced (3 added, 1 updated, 1 removed)  NOT PUBLISHED: `c` failed
    build: b appended (1 added)  NOT PUBLISHED: the test `accepted_values_b_n__0` failed
    build: c ERROR model `c`: not supported: a hook that writes to `main.a`, because a node of this build makes it; instead write to a table of its own, or in a hook of that node  NOT PUBLISHED: it could not be built
    build: accepted_values_b_n__0 FAIL 2 rows
    build: release 3
    build: not supported: a hook of `c` that runs `drop table notes …`
    ");
}

#[tokio::test]
async fn what_is_not_selected_is_read_from_another_state() {
    let lake = TestLake::new();
    lake.write(
        "profiles.yml",
        "
        test:
          target: prod
          outputs:
            prod: {type: elt, lake: ./lake, schema: main}
            dev: {type: elt, lake: ./lake, schema: dev}
        ",
    );
    lake.write("dbt_project.yml", "name: test\nprofile: test\n");
    lake.write("seeds/s.csv", "id\n1\n2\n");
    lake.write("models/a.sql", "{{ config(materialized='table') }} select id * 10 as id from {{ ref('s') }}");
    lake.write("models/v.sql", "select id from {{ ref('a') }}");
    lake.write("models/b.sql", "{{ config(materialized='table') }} select '{{ ref('a') }}' as read, count(*) as n from {{ ref('a') }}");
    lake.build().await;
    let state: serde_json::Value =
        serde_json::from_slice(&std::fs::read(lake.path().join("target/manifest.json")).unwrap()).unwrap();
    let dev = |favor| BuildRequest {
        defer: Some(elt::lakehouse::Defer { manifest: state.clone(), favor }),
        ..only("b")
    };
    lake.write("profiles.yml", "test: {target: dev, outputs: {dev: {type: elt, lake: ./lake, schema: dev}}}");
    lake.note("in another schema, with nothing in it");
    lake.build_with(&dev(false)).await;
    lake.sql("select * from dev.b").await;
    lake.build_with(&only("s a")).await;
    lake.build_with(&dev(false)).await;
    lake.sql("select * from dev.b").await;
    lake.build_with(&dev(true)).await;
    lake.sql("select * from dev.b").await;
    lake.note("cloned");
    let earlier = elt::lakehouse::Earlier { manifest: Some(state), ..Default::default() };
    let request = elt::lakehouse::CloneRequest { earlier, ..Default::default() };
    let (told, _) = lake.open().clone_state(&request).await.unwrap();
    told.iter().for_each(|one| lake.note(&format!("{}: {}", one.name, one.what)));
    let written = std::fs::read(lake.path().join("target/run_results.json")).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
    let results = written["results"].as_array().unwrap().iter();
    let results: Vec<String> = results
        .map(|one| format!("{} {} {}", one["unique_id"], one["status"], one["relation_name"]))
        .collect();
    lake.note(&format!("{} {}", written["args"]["which"], results.join(", ")));
    lake.sql("select * from dev.v order by id").await;
    let again =
        elt::lakehouse::CloneRequest { full_refresh: true, select: vec!["b".parse().unwrap()], ..request };
    let (told, _) = lake.open().clone_state(&again).await.unwrap();
    told.iter().for_each(|one| lake.note(&format!("{}: {}", one.name, one.what)));
    lake.sql("select * from dev.b").await;
    assert_snapshot!(lake.story(), @r#"
    build: s loaded (2 added)
    build: a created (2 added)
    build: b created (1 added)
    build: v view (no rows)
    build: release 1
    in another schema, with nothing in it
    build: b created (1 added)
    build: release 2
    sql: main.a 2
    build: s loaded (2 added)
    build: a created (2 added)
    build: release 3
    build: b replaced (1 added)
    build: release 4
    sql: dev.a 2
    build: b replaced (1 added)
    build: release 5
    sql: main.a 2
    cloned
    s: skipping clone for relation dev.s: it is there (--full-refresh replaces it)
    a: skipping clone for relation dev.a: it is there (--full-refresh replaces it)
    b: skipping clone for relation dev.b: it is there (--full-refresh replaces it)
    v: a view of main.v
    "clone" "seed.test.s" "success" "\"dev\".\"s\"", "model.test.a" "success" "\"dev\".\"a\"", "model.test.b" "success" "\"dev\".\"b\"", "model.test.v" "success" "\"dev\".\"v\""
    sql: 10 | 20
    b: copied from main.b
    sql: main.a 2
    "#);
}

#[tokio::test]
async fn rows_that_are_not_as_expected_stay_go_or_are_kept_apart() {
    let lake = TestLake::new();
    let model = |values: &str, config: &str| {
        format!("{{{{ config({config}) }}}} select * from (values {values}) as t(id, amount, city)")
    };
    let table = "materialized='table'";
    lake.write(
        "models/m.sql",
        &model("(1, 10, 'Oslo'), (2, -1, 'Rome'), (3, 5, null), (4, null, null)", table),
    );
    lake.write(
        "models/s.yml",
        "
        models:
          - name: m
            config:
              expectations:
                - {name: has_a_city, expect: city is not null}
                - {name: positive, expect: amount > 0, on_violation: drop}
                - {name: known, expect: \"id < 4\", on_violation: quarantine}
        ",
    );
    let built = lake.build_with(&BuildRequest::default()).await;
    for kept in &built.steps[0].expectations {
        lake.note(&format!("{} {}: {} of {}", kept.name, kept.on_violation, kept.violated, kept.rows));
    }
    lake.sql("select * from m order by id").await;
    lake.sql("select * from m__quarantine").await;
    lake.note("an incremental model adds to its quarantine");
    let incremental = "materialized='incremental', incremental_strategy='delete+insert', unique_key='id'";
    lake.write("models/m.sql", &model("(1, 11, 'Oslo'), (5, 7, 'Lima')", incremental));
    lake.build().await;
    lake.build().await;
    lake.sql("select * from m order by id").await;
    lake.sql("select id, _expectations from m__quarantine order by id").await;
    lake.note("and one that must not be broken fails");
    lake.write(
        "models/s.yml",
        "models: [{name: m, expectations: [{name: small, expect: amount < 10, on_violation: fail}]}]",
    );
    lake.build().await;
    lake.write("models/s.yml", "models: [{name: m, expectations: [{name: small, expect: amuont < 10}]}]");
    lake.build().await;
    lake.write(
        "models/s.yml",
        "models: [{name: m, expectations: [{name: small, expect: id < 1, on_violation: dorp}]}]",
    );
    lake.try_build(&BuildRequest::default()).await.unwrap_err();
    assert_snapshot!(lake.story(), @"
    build: m created (2 added)
    build: release 1
    has_a_city warn: 2 of 4
    positive drop: 2 of 4
    known quarantine: 1 of 4
    sql: 1 10 Oslo | 3 5 -
    sql: 4 - - known
    an incremental model adds to its quarantine
    build: m rows replaced (1 added, 1 removed)
    build: release 2
    build: m rows replaced (1 added, 1 removed)
    build: release 3
    sql: 1 11 Oslo | 3 5 -
    sql: 4 known | 5 known | 5 known
    and one that must not be broken fails
    build: m ERROR model `m`: 1 of 2 rows break the expectation `small`  NOT PUBLISHED: it could not be built
    build: no release
    build: m ERROR model `m`: its expectations cannot be asked: there is no column `amuont`  NOT PUBLISHED: it could not be built
    build: no release
    build: `dorp` is no value of `on_violation`
    ");
}
