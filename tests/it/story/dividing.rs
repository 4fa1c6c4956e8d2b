//! What 7 / 2 is, for whom.

use insta::assert_snapshot;

use crate::test_lake::TestLake;

const HALF: &str =
    "select 7 / 2 as half, 7 // 2 as whole, 7 div 2 as also_whole, sum(1) / 2 as of_sum from range(3)";

fn profile(lake: &TestLake, engine: &str) {
    let text = format!("test: {{target: dev, outputs: {{dev: {{{engine}, schema: main}}}}}}\n");
    lake.write("profiles.yml", &text);
}

#[tokio::test]
async fn a_profile_of_duckdb_divides_as_duckdb_does() {
    let lake = TestLake::new();
    profile(&lake, "type: duckdb");
    lake.write("models/half.sql", HALF);
    lake.write(
        "models/kept.sql",
        "{{ config(materialized='table') }} select half, half / 2 as quarter, whole / 2 as of_whole from {{ ref('half') }}",
    );
    lake.build().await;
    lake.sql("select * from half").await;
    lake.sql("select * from kept").await;
    lake.sql("insert into kept (half) values (1 / 2)").await;
    lake.sql("update kept set quarter = 1 / 8 where half = 1 / 2").await;
    lake.sql("select * from kept order by half").await;
    // A view keeps what it meant when it was made; who made it as Postgres has it makes it again.
    profile(&lake, "type: postgres");
    lake.sql("select *, 7 / 2 as now from half").await;
    lake.build_due().await;
    lake.sql("select * from half").await;
    profile(&lake, "type: elt, dialect: spark");
    lake.sql("select 7 / 2, 7 / 2::decimal(4,2), 7 / 2.0::double").await;
    assert_snapshot!(lake.story(), @"
    build: half view (no rows)
    build: kept created (1 added)
    build: release 1
    sql: 3.5 3 3 1.5
    sql: 3.5 1.75 1.5
    sql: INSERT 1 0 0 2
    sql: UPDATE 0 1 0 3
    sql: 0.5 0.125 - | 3.5 1.75 1.5
    sql: 3.5 3 3 1.5 3
    build: half view (no rows)
    build: kept replaced (1 added)
    build: release 4
    sql: 3 3 3 1
    sql: 3.5 3.5000 3.5
    ");
}

#[tokio::test]
async fn nulls_are_sorted_as_the_engine_of_the_profile_does() {
    const SORTED: &str = "select array_to_string(array_agg(coalesce(x::text, '-') order by x desc), ' ') as down, \
                          array_to_string(array_agg(coalesce(x::text, '-') order by x), ' ') as up \
                          from (values (1), (null), (2)) t(x)";
    let lake = TestLake::new();
    profile(&lake, "type: duckdb");
    lake.write("models/sorted.sql", SORTED);
    lake.build().await;
    lake.sql("select * from sorted").await;
    // A view keeps the order that it had when it was made; what is asked now has that of today.
    profile(&lake, "type: postgres");
    lake.sql(&format!("select s.down, n.down, n.up from sorted s, ({SORTED}) n")).await;
    lake.build_due().await;
    lake.sql("select * from sorted").await;
    profile(&lake, "type: elt, dialect: spark");
    lake.sql(SORTED).await;
    assert_snapshot!(lake.story(), @"
    build: sorted view (no rows)
    build: release 1
    sql: 2 1 - 1 2 -
    sql: 2 1 - - 2 1 1 2 -
    build: sorted view (no rows)
    build: release 2
    sql: - 2 1 1 2 -
    sql: 2 1 - - 1 2
    ");
}
