//! What is promised about models before, while and after they are built.

use insta::assert_snapshot;

use elt::lakehouse::{BuildRequest, PublishMode};

use crate::test_lake::TestLake;

#[tokio::test]
async fn a_unit_test_runs_a_model_on_made_up_rows_before_it_is_built() {
    let lake = TestLake::new();
    lake.write("seeds/orders.csv", "id,amount,day\n1,10.5,2026-01-01\n");
    lake.write("models/cents.sql", "{{ config(materialized='ephemeral') }} select id, amount * {{ var('factor', 1) }} as cents, day from {{ ref('orders') }}");
    lake.write("models/totals.sql", "select day, sum(cents) as cents from {{ ref('cents') }} group by day");
    lake.write(
        "models/s.yml",
        "
        unit_tests:
          - name: sums_up
            model: totals
            given:
              - input: ref('cents')
                rows: [{cents: 1, day: 2026-01-01}, {cents: 2, day: 2026-01-01}, {cents: 5}]
            expect:
              rows: [{day: 2026-01-01, cents: 3}, {day: null, cents: 5}]
          - name: is_wrong
            model: totals
            given:
              - input: ref('cents')
                format: csv
                rows: |
                  cents,day
                  1,2026-01-01
            expect: {rows: [{cents: 2}]}
        ",
    );
    lake.build().await;
    assert_snapshot!(lake.story(), @"
    build: orders loaded (1 added)  NOT PUBLISHED: the view `totals` would show it
    build: is_wrong FAIL 2 rows
    build: sums_up pass
    build: totals skipped, `is_wrong` failed  NOT PUBLISHED: `is_wrong` failed
    build: no release
    ");
}

/// The types are those of the queries that are to come, of a seed's file, of a source's properties, and of the given rows.
#[tokio::test]
async fn a_unit_test_needs_nothing_that_is_built() {
    let lake = TestLake::new();
    lake.write("seeds/rates.csv", "code,rate\nEUR,1.5\n");
    lake.write(
        "models/staged.sql",
        "select id, cast(amount as decimal(10, 2)) as amount, code, cast(at as date) as day from {{ source('raw', 'orders') }}",
    );
    lake.write(
        "models/totals.sql",
        "select day, sum(amount * rate) as total from {{ ref('staged') }} join {{ ref('rates') }} using (code) group by day",
    );
    lake.write("models/odd.sql", "select x + 1 as y from {{ source('raw', 'nobody_knows') }}");
    lake.write("models/above.sql", "select y from {{ ref('odd') }}");
    lake.write(
        "models/s.yml",
        "
        sources:
          - name: raw
            tables:
              - name: orders
                columns: [{name: id, data_type: bigint}, {name: amount, data_type: varchar}]
              - name: nobody_knows
        unit_tests:
          - name: of_a_model_and_a_seed
            model: totals
            given:
              - input: ref('staged')
                rows: [{day: 2026-01-01, amount: 1, code: A}, {day: 2026-01-01, amount: 2.5, code: B}]
              - input: ref('rates')
                rows: [{code: A, rate: 2}, {code: B, rate: 4}]
            expect: {rows: [{day: 2026-01-01, total: 12}]}
          - name: of_a_source
            model: staged
            given:
              - input: source('raw', 'orders')
                rows: [{id: 1, amount: '7.255', at: 2026-01-01 10:00:00, code: null}]
            expect: {rows: [{id: 1, amount: 7.26, day: 2026-01-01}]}
          - name: of_a_source_by_sql
            model: odd
            given:
              - input: source('raw', 'nobody_knows')
                format: sql
                rows: select 1 as x
            expect: {rows: [{y: 2}]}
          - name: of_what_cannot_be_known
            model: above
            given: [{input: ref('odd'), rows: [{y: 1}]}]
            expect: {rows: [{y: 1}]}
        ",
    );
    let tests = BuildRequest {
        select: vec!["test_type:unit".parse().unwrap()],
        exclude: vec!["seeds/".parse().unwrap()],
        ..BuildRequest::default()
    };
    lake.build_with(&tests).await;
    assert_snapshot!(lake.story(), @"
    build: of_what_cannot_be_known ERROR unit test `of_what_cannot_be_known`: `main.odd` is not built yet, and the types of its columns cannot be told from its query; build it first
    build: of_a_source_by_sql pass
    build: of_a_source pass
    build: of_a_model_and_a_seed ERROR unit test `of_a_model_and_a_seed`: `main.staged` is not built yet, and the types of its columns cannot be told from its query; build it first
    build: no release
    ");
}

#[tokio::test]
async fn a_contract_names_every_column_that_breaks_it() {
    let lake = TestLake::new();
    lake.write("models/m.sql", "select 1 as id, 'x' as name, 2 as more");
    lake.write(
        "models/s.yml",
        "
        models:
          - name: m
            config: {contract: {enforced: true}}
            columns:
              - {name: id, data_type: bigint}
              - {name: name, data_type: int}
              - {name: missing, data_type: date}
        ",
    );
    lake.build().await;
    assert_snapshot!(lake.story(), @"
    build: m ERROR model `m`: This model has an enforced contract that failed.

    | column_name | definition_type | contract_type | mismatch_reason |
    | name | varchar | int | data type mismatch |
    | missing |  | date | missing in definition |
    | more | bigint |  | missing in contract |  NOT PUBLISHED: it could not be built
    build: no release
    ");
}

#[tokio::test]
async fn failing_rows_are_kept_whether_the_build_is_published_or_not() {
    let lake = TestLake::new();
    lake.write("models/m.sql", "select 1 as id union all select 2");
    lake.write("models/n.sql", "{{ config(materialized='table') }} select 1 as id");
    lake.write(
        "tests/only_one.sql",
        "{{ config(store_failures=true) }} select * from {{ ref('m') }} where id > 1",
    );
    lake.build().await;
    lake.sql("select * from main_dbt_test__audit.only_one").await;
    lake.build_with(&BuildRequest { publish: PublishMode::Passing, ..BuildRequest::default() }).await;
    assert_snapshot!(lake.story(), @"
    build: m view (no rows)  NOT PUBLISHED: the test `only_one` failed
    build: n created (1 added)  NOT PUBLISHED: `only_one` failed
    build: only_one FAIL 1 row
    build: release 1
    sql: 2
    build: m view (no rows)  NOT PUBLISHED: the test `only_one` failed
    build: n created (1 added)
    build: only_one FAIL 1 row
    build: release 2
    ");
}
