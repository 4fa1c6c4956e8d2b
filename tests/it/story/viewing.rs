//! Views and schemas that statements make.

use insta::assert_snapshot;

use crate::test_lake::TestLake;

#[tokio::test]
async fn a_view_means_what_it_meant_when_it_was_made() {
    let lake = TestLake::new();
    lake.sql("create table t as select 1 as id, 'a' as name").await;
    lake.sql(
        "create view v (n, called) comment = 'who' as with x as (select id, name from t) select * from x",
    )
    .await;
    lake.sql("select * from v").await;
    lake.sql("insert into t values (2, 'b')").await;
    lake.sql("select n from main.v order by n").await;
    lake.sql("create view v as select 1 as x").await;
    lake.sql("create view if not exists v as select 1 as x").await;
    lake.sql("create or replace view v as select count(*) as n from t").await;
    lake.sql("from v").await;
    lake.sql("create view s.above as select n + 1 as n from v").await;
    lake.sql("create or replace view v as select n from s.above").await;
    lake.sql("create or replace view t as select 1 as x").await;
    lake.sql("create view w as select nothing from t").await;
    lake.sql("create materialized view w as select 1 as x").await;
    lake.sql("show create view s.above").await;
    lake.sql("drop view v").await;
    assert_snapshot!(lake.story(), @r#"
    sql: CREATE TABLE 1 0 0 1
    sql: CREATE VIEW 0 0 0 2
    sql: 1 a
    sql: INSERT 1 0 0 3
    sql: 1 | 2
    sql: there is a view `main.v` already
    sql: CREATE VIEW 0 0 0 -
    sql: CREATE VIEW 0 0 0 4
    sql: 2
    sql: CREATE VIEW 0 0 0 5
    sql: the view `main.v` would read itself
    sql: `main.t` is a table
    sql: there is no column `nothing`
    sql: this clause of CREATE VIEW is not supported
    sql: CREATE VIEW s.above AS
    SELECT n + 1 AS n FROM "main".v AS v
    sql: DROP VIEW 0 0 0 6
    "#);
}

#[tokio::test]
async fn a_schema_is_there_by_itself_or_with_its_first_table_and_goes_with_all() {
    let lake = TestLake::new();
    lake.sql("create schema if not exists s").await;
    lake.sql("create schema if not exists s").await;
    lake.sql("show schemas").await;
    lake.sql("create schema e").await;
    lake.sql("drop schema e").await;
    lake.sql("drop schema e").await;
    lake.roll_back(Some(2)).await;
    lake.sql("show schemas").await;
    lake.sql("create table s.t as select 1 as id").await;
    lake.sql("create view s.v as select * from s.t").await;
    lake.sql("create schema s").await;
    lake.sql("drop schema s").await;
    lake.sql("drop schema s cascade").await;
    lake.sql("select * from s.t").await;
    lake.sql("drop schema s cascade").await;
    lake.sql("drop schema if exists s cascade").await;
    lake.sql("undrop table s.t").await;
    lake.sql("select * from s.t").await;
    assert_snapshot!(lake.story(), @r"
    sql: CREATE SCHEMA 0 0 0 1
    sql: CREATE SCHEMA 0 0 0 -
    sql: s
    sql: CREATE SCHEMA 0 0 0 2
    sql: DROP SCHEMA 0 0 0 3
    sql: there is no schema `e`
    rollback: release 4 (rollback to 2)
    sql: e | s
    sql: CREATE TABLE 1 0 0 5
    sql: CREATE VIEW 0 0 0 6
    sql: there is a schema `s` already
    sql: the schema `s` has 2 tables and views, `s.t` among them
    sql: DROP SCHEMA 0 0 0 7
    sql: there is no table `s.t`
    sql: there is no schema `s`
    sql: DROP SCHEMA 0 0 0 -
    sql: UNDROP TABLE 0 0 0 8
    sql: 1
    ");
}
