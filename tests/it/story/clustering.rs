//! Rows with near values lie near each other.

use insta::assert_snapshot;

use crate::test_lake::TestLake;

#[tokio::test]
async fn rows_are_written_and_compacted_in_the_order_that_the_table_asks_for() {
    let lake = TestLake::new();
    lake.sql("create table t (a int, b int, day date) partitioned by (day) cluster by (a)").await;
    let shuffled = |days: &str| {
        format!(
            "insert into t select value * 7919 % 1000, value * 104729 % 1000, date '{days}' from range(1000)"
        )
    };
    lake.sql(&shuffled("2026-01-01")).await;
    lake.sql("select a from t limit 4").await;
    lake.sql(&shuffled("2026-01-01")).await;
    lake.sql(&shuffled("2026-01-02")).await;
    lake.sql("optimize t").await;
    lake.sql("select a from t where day = date '2026-01-01' limit 4").await;
    lake.sql("optimize t").await;
    // Another order: every file lies wrongly.
    lake.sql("alter table t cluster by (b, a)").await;
    lake.sql("optimize t").await;
    let near = "select count(distinct b // 250), count(distinct a // 250) from (select a, b from t where day = date '2026-01-02' limit 60)";
    lake.sql(near).await;
    lake.sql("optimize t").await;
    lake.sql("insert overwrite t select value * 7919 % 1000, value * 104729 % 1000, date '2026-01-02' from range(1000)").await;
    lake.sql(near).await;
    lake.sql("alter table t cluster by (nope)").await;
    lake.sql("alter table t cluster by none").await;
    lake.sql("create or replace table t cluster by (a) as select value * 7919 % 1000 as a from range(1000)")
        .await;
    lake.sql("select a from t limit 4").await;
    lake.sql("insert into t select a from t where false").await;
    lake.sql("create table u (a int) cluster by (lower(a))").await;
    lake.write(
        "models/m.sql",
        "{{ config(materialized='table', cluster_by=['a']) }} select value * 7919 % 1000 as a from range(1000)",
    );
    lake.build().await;
    lake.sql("select a from m limit 4").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 1000 0 0 2
    sql: 0 | 1 | 2 | 3
    sql: INSERT 1000 0 0 3
    sql: INSERT 1000 0 0 4
    sql: OPTIMIZE 0 0 0 5
    sql: 0 | 0 | 1 | 1
    sql: OPTIMIZE 0 0 0 -
    sql: ALTER TABLE 0 0 0 6
    sql: OPTIMIZE 0 0 0 7
    sql: 2 2
    sql: OPTIMIZE 0 0 0 -
    sql: INSERT OVERWRITE 1000 0 3000 8
    sql: 2 2
    sql: there is no column `nope` to cluster by
    sql: ALTER TABLE 0 0 0 9
    sql: CREATE TABLE 1000 0 0 10
    sql: 0 | 1 | 2 | 3
    sql: INSERT 0 0 0 -
    sql: CLUSTER BY lower(a) is not supported
    build: m created (1,000 added)
    build: release 11
    sql: 0 | 1 | 2 | 3
    ");
}

#[tokio::test]
async fn rows_without_the_column_that_parts_them_are_clustered_too() {
    let lake = TestLake::new();
    lake.sql("create table t (id bigint, v int, day date) cluster by (id) partitioned by (day)").await;
    lake.sql("insert into t (v, id) values (1, 2), (2, 1)").await;
    lake.sql("insert into t (v) values (3)").await;
    lake.sql("select * from t order by v").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 2 0 0 2
    sql: INSERT 1 0 0 3
    sql: 2 1 - | 1 2 - | - 3 -
    ");
}
