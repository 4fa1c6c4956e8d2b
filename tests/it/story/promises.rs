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
