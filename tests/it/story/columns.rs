//! Columns get other names, come and go, and no file is written for it.

use insta::assert_snapshot;

use crate::test_lake::TestLake;

#[tokio::test]
async fn a_column_is_renamed_and_dropped_and_its_files_stay() {
    let lake = TestLake::new();
    lake.sql("create table people (id bigint, home struct<city: string, zip: bigint>, tags string[], name string, since date) partitioned by (since)").await;
    lake.sql("insert into people values (1, named_struct('city', 'Oslo', 'zip', 150), ['a'], 'Ann', date '2026-01-01'), (2, named_struct('city', 'Rome', 'zip', 118), [], 'Bob', date '2026-01-02')").await;
    lake.sql("alter table people rename column name to first_name").await;
    lake.sql("alter table people set tblproperties ('delta.columnMapping.mode' = 'id')").await;
    lake.sql("alter table people set tblproperties ('delta.columnMapping.mode' = 'name')").await;
    lake.sql("alter table people rename column name to first_name").await;
    lake.sql("alter table people rename column since to joined").await;
    lake.sql("alter table people add column name string").await;
    lake.sql("insert into people values (3, named_struct('city', 'Bonn', 'zip', 531), ['b', 'c'], 'Cid', date '2026-01-02', 'new')").await;
    lake.sql("select * from people order by id").await;
    lake.sql("select first_name from people where joined = date '2026-01-02' and home['city'] = 'Rome'")
        .await;
    lake.sql("select min(first_name), max(name), count(*) from people where first_name > 'Ann'").await;
    lake.sql("update people set first_name = upper(first_name) where id = 2").await;
    lake.sql("merge into people using (values (3, 'Cy'), (4, 'Dan')) as s (id, first_name) on people.id = s.id when matched then update set first_name = s.first_name when not matched then insert (id, first_name) values (s.id, s.first_name)").await;
    lake.sql("alter table people drop column name, drop column tags").await;
    lake.sql("alter table people add column name string").await;
    lake.sql("select * from people order by id").await;
    lake.sql("select id, name from people version as of 1 order by id").await;
    lake.sql("select id, first_name, joined, _change_type from table_changes('people', 5) order by _commit_version, id, _change_type").await;
    lake.sql("optimize people").await;
    lake.sql("delete from people where first_name = 'Ann'").await;
    lake.sql("select first_name from people order by 1").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 2 0 0 2
    sql: RENAME COLUMN needs column mapping, which `main.people` does not have
    sql: column mapping by `id` in place of `none` is not supported
    sql: ALTER TABLE 0 0 0 3
    sql: ALTER TABLE 0 0 0 4
    sql: ALTER TABLE 0 0 0 5
    sql: ALTER TABLE 0 0 0 6
    sql: INSERT 1 0 0 7
    sql: 1 {city: Oslo, zip: 150} [a] Ann 2026-01-01 - | 2 {city: Rome, zip: 118} [] Bob 2026-01-02 - | 3 {city: Bonn, zip: 531} [b, c] Cid 2026-01-02 new
    sql: Bob
    sql: Bob new 2
    sql: UPDATE 0 1 0 8
    sql: MERGE 1 1 0 9
    sql: ALTER TABLE 0 0 0 10
    sql: ALTER TABLE 0 0 0 11
    sql: 1 {city: Oslo, zip: 150} Ann 2026-01-01 - | 2 {city: Rome, zip: 118} BOB 2026-01-02 - | 3 {city: Bonn, zip: 531} Cy 2026-01-02 - | 4 - Dan - -
    sql: 1 Ann | 2 Bob
    sql: 3 Cid 2026-01-02 insert | 2 Bob 2026-01-02 delete | 2 BOB 2026-01-02 insert | 3 Cid 2026-01-02 delete | 3 Cy 2026-01-02 insert | 4 Dan - insert
    sql: OPTIMIZE 0 0 0 12
    sql: DELETE 0 0 1 13
    sql: BOB | Cy | Dan
    ");
}

#[tokio::test]
async fn what_cannot_be_renamed_or_dropped_says_why() {
    let lake = TestLake::new();
    lake.sql("create table t (a bigint check (a > 0), b bigint, day date) partitioned by (day) tblproperties ('delta.columnMapping.mode' = 'name')").await;
    lake.sql("alter table t rename column a to c").await;
    lake.sql("alter table t rename column b to A").await;
    lake.sql("alter table t rename column nope to c").await;
    lake.sql("alter table t rename column b to _elt_file").await;
    lake.sql("alter table t drop column a").await;
    lake.sql("alter table t drop column day").await;
    lake.sql("alter table t drop column if exists nope").await;
    lake.sql("alter table t drop column b cascade").await;
    lake.sql("alter table t drop constraint check_1").await;
    lake.sql("alter table t drop column a, b").await;
    lake.sql("alter table t set tblproperties ('delta.columnMapping.mode' = 'none')").await;
    lake.sql("alter table t set tblproperties ('delta.columnMapping.maxColumnId' = '0')").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: the constraint `a_check_2` of `main.t`, CHECK (a > 0), cannot be checked: Schema error: No field named a.
    Valid fields are c, b, day.
    sql: `main.t` has a column `a` already
    sql: `main.t` has no column `nope`
    sql: the rows for `main.t` do not fit: a column cannot be named `_elt_file`
    sql: the constraint `a_check_2` of `main.t`, CHECK (a > 0), cannot be checked: Schema error: No field named a.
    Valid fields are b, day.
    sql: dropping `day`, by which the table is partitioned, is not supported
    sql: ALTER TABLE 0 0 0 -
    sql: CASCADE and RESTRICT is not supported
    sql: `main.t` has no constraint `check_1`
    sql: Expected: ADD, RENAME, PARTITION, SWAP, DROP, REPLICA IDENTITY, SET, or SET TBLPROPERTIES after ALTER TABLE, found: b
    sql: column mapping by `none` in place of `name` is not supported
    sql: the property `delta.columnMapping.maxColumnId` is not supported
    ");
}

#[tokio::test]
async fn a_delta_table_outside_the_lake_is_read_by_its_folder() {
    let lake = TestLake::on_disk();
    lake.sql("create table t as select 1 as a").await;
    lake.sql("insert into t values (2)").await;
    let folder = lake.table_folder("main.t");
    let folder = folder.display();
    assert_eq!(lake.rows(&format!("select count(*) from delta_scan('{folder}')")).await, "2");
    assert_eq!(lake.rows(&format!("select a from delta_scan('{folder}', version => 0)")).await, "1");
    assert_eq!(lake.rows(&format!("select sum(a) from '{folder}' where a > 1")).await, "2");
    std::fs::remove_dir_all(format!("{folder}/_delta_log")).unwrap();
    lake.sql(&format!("select * from delta_scan('{folder}')")).await;
    lake.sql("select * from delta_scan('t', version => 'x')").await;
    lake.sql("select * from delta_scan('t', header => true)").await;
    let story = lake.story().replace(&folder.to_string(), "[folder]");
    assert_snapshot!(story, @"
    sql: CREATE TABLE 1 0 0 1
    sql: INSERT 1 0 0 2
    sql: there is no Delta table in `[folder]`
    sql: `x` is not a version: it is a number from 0 on
    sql: `header` is not an option of `delta_scan`
    ");
}

#[tokio::test]
async fn a_clone_has_the_rows_and_the_rules_of_its_original() {
    let lake = TestLake::new();
    lake.sql("create table t (id bigint not null comment 'who', n int check (n > 0), m int generated always as (n * 2)) partitioned by (n) tblproperties ('delta.columnMapping.mode' = 'name')").await;
    lake.sql("insert into t (id, n) values (1, 1), (2, 2)").await;
    lake.sql("alter table t rename column id to key").await;
    lake.sql("create table c deep clone t").await;
    lake.sql("create or replace table c clone t").await;
    lake.sql("insert into c (key, n) values (3, 3)").await;
    lake.sql("insert into c (key, n) values (4, -1)").await;
    lake.sql("insert into c (key, n) values (null, 1)").await;
    lake.sql("alter table c rename column key to id").await;
    lake.sql("select * from c order by id").await;
    lake.sql("select count(*) from t").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 2 0 0 2
    sql: ALTER TABLE 0 0 0 3
    sql: CREATE TABLE 2 0 0 4
    sql: CREATE TABLE 2 0 0 5
    sql: INSERT 1 0 0 6
    sql: a row for `main.c` breaks the constraint `n_check_2`, CHECK (n > 0): key = 4, n = -1, m = -2
    sql: a row for `main.c` has no `key`, which is NOT NULL: key = null, n = 1
    sql: ALTER TABLE 0 0 0 7
    sql: 1 1 2 | 2 2 4 | 3 3 6
    sql: 2
    ");
}

#[tokio::test]
async fn a_table_like_another_has_its_columns_and_rules_and_no_row() {
    let lake = TestLake::new();
    lake.sql("create table t (id bigint not null, n int, constraint pos check (n > 0)) partitioned by (id)")
        .await;
    lake.sql("insert into t values (1, 1)").await;
    lake.sql("create table l like t").await;
    lake.sql("select count(*) from l").await;
    lake.sql("insert into l values (1, -1)").await;
    lake.sql("insert into l values (null, 1)").await;
    lake.sql("insert into l values (2, 2)").await;
    lake.sql("create table m like t (k int)").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 1 0 0 2
    sql: CREATE TABLE 0 0 0 3
    sql: 0
    sql: a row for `main.l` breaks the constraint `pos`, CHECK (n > 0): id = 1, n = -1
    sql: a row for `main.l` has no `id`, which is NOT NULL: id = null, n = 1
    sql: INSERT 1 0 0 4
    sql: more than a name after LIKE is not supported
    ");
}

/// What is said of tables when they are made.
async fn designs(lake: &TestLake, tables: &[&str]) {
    for table in tables {
        let named = format!("from elt.tables where table_name = '{table}'");
        lake.sql(&format!("select description, partition_columns, clustering_columns, properties {named}"))
            .await;
    }
}

#[tokio::test]
async fn the_clauses_of_create_table_stand_in_any_order() {
    let lake = TestLake::new();
    let clauses = ["comment 'of days'", "tblproperties ('a' = 'b')", "partitioned by (day)", "using delta"];
    for turn in 0..clauses.len() {
        let mut clauses = clauses;
        clauses.rotate_left(turn);
        lake.sql(&format!("create or replace table t {} as select 1 as n, 2 as day", clauses.join(" ")))
            .await;
        clauses.reverse();
        lake.sql(&format!("create or replace table u (n int, day int) {}", clauses.join("\n"))).await;
        designs(&lake, &["t", "u"]).await;
    }
    lake.sql("create table v (n int) with (c = 'd') cluster by (n) comment = 'v' options ('e' = 'f')").await;
    designs(&lake, &["v"]).await;
    lake.sql("alter table v set tblproperties ('comment' = 'w', 'g' = 'h')").await;
    designs(&lake, &["v"]).await;
    lake.sql("alter table v unset tblproperties ('c', 'comment')").await;
    lake.sql("alter table v unset tblproperties ('c')").await;
    lake.sql("alter table v unset tblproperties if exists ('c', 'e')").await;
    designs(&lake, &["v"]).await;
    lake.sql("show tblproperties v").await;
    lake.sql("create table w (n int) partitioned by (day date)").await;
    lake.sql("insert into w values (1, date '2026-01-01')").await;
    lake.sql("create table x deep clone w tblproperties ('a' = 'b') comment 'x'").await;
    designs(&lake, &["x"]).await;
    lake.sql("create table \"Order\" (\"Id\" bigint not null comment 'it''s', d double check (d > 0), up int generated always as (cast(d as int)), tags string[]) partitioned by (up) cluster by (d) comment 'all' tblproperties ('k' = 'v')").await;
    lake.sql("create table nested (s struct<x: int, \"Y z\": array<struct<q: string>>>)").await;
    let nested = lake.rows("show create table nested").await;
    lake.sql("drop table nested").await;
    lake.sql(&nested).await;
    assert_eq!(lake.rows("show create table nested").await, nested);
    let made = lake.rows("show create table \"Order\"").await;
    lake.sql("drop table \"Order\"").await;
    lake.sql(&made.replace(" | ", "\n")).await;
    assert_eq!(lake.rows("show create table \"Order\"").await, made);
    lake.sql("show create table \"Order\"").await;
    lake.sql("create table y (n int) comment 'a' comment 'b'").await;
    lake.sql("create table y (n int) using parquet").await;
    lake.sql("create table y (n int) comment 'a' stored as parquet").await;
    lake.sql("create table y (n int) cluster by auto").await;
    lake.sql("create table y (n int) comment 'a' location '/tmp/y' partitioned by (n)").await;
    lake.sql("create table y (n int) comment tblproperties ('a' = 'b')").await;
    assert_snapshot!(lake.story(), @r#"
    sql: CREATE TABLE 1 0 0 1
    sql: CREATE TABLE 0 0 0 2
    sql: of days day  {"a":"b"}
    sql: of days day  {"a":"b"}
    sql: CREATE TABLE 1 0 0 3
    sql: CREATE TABLE 0 0 0 -
    sql: of days day  {"a":"b"}
    sql: of days day  {"a":"b"}
    sql: CREATE TABLE 1 0 0 4
    sql: CREATE TABLE 0 0 0 -
    sql: of days day  {"a":"b"}
    sql: of days day  {"a":"b"}
    sql: CREATE TABLE 1 0 0 5
    sql: CREATE TABLE 0 0 0 -
    sql: of days day  {"a":"b"}
    sql: of days day  {"a":"b"}
    sql: CREATE TABLE 0 0 0 6
    sql: v  n {"c":"d","e":"f","elt.clusterBy":"n"}
    sql: ALTER TABLE 0 0 0 7
    sql: w  n {"c":"d","e":"f","elt.clusterBy":"n","g":"h"}
    sql: ALTER TABLE 0 0 0 8
    sql: `main.v` has no property `c`
    sql: ALTER TABLE 0 0 0 9
    sql: -  n {"elt.clusterBy":"n","g":"h"}
    sql: elt.clusterBy n | g h
    sql: CREATE TABLE 0 0 0 10
    sql: INSERT 1 0 0 11
    sql: CREATE TABLE 1 0 0 12
    sql: x day  {"a":"b"}
    sql: CREATE TABLE 0 0 0 13
    sql: CREATE TABLE 0 0 0 14
    sql: DROP TABLE 0 0 0 15
    sql: CREATE TABLE 0 0 0 16
    sql: DROP TABLE 0 0 0 17
    sql: CREATE TABLE 0 0 0 18
    sql: CREATE TABLE main."order" (
      "Id" bigint NOT NULL COMMENT 'it''s',
      d double,
      up int GENERATED ALWAYS AS (CAST(d AS INT)),
      tags varchar[],
      CONSTRAINT d_check_2 CHECK (d > 0)
    )
    PARTITIONED BY (up)
    CLUSTER BY (d)
    COMMENT 'all'
    TBLPROPERTIES (
      'k' = 'v'
    )
    sql: COMMENT is there twice
    sql: USING parquet is not supported, because the tables of a lake are Delta tables
    sql: STORED AS is not supported, because the tables of a lake are Delta tables
    sql: CLUSTER BY AUTO, by which a platform chooses the columns, is not supported
    sql: LOCATION is not supported, because the lake says where its tables are
    sql: Expected: Token::SingleQuotedString, found: tblproperties
    "#);
}

#[tokio::test]
async fn a_column_is_found_in_whatever_letters_it_is_written() {
    let lake = TestLake::new();
    lake.sql("create table t (\"Id\" int, \"Full Name\" varchar, n int)").await;
    lake.sql("insert into t values (1, 'Ann', 5), (2, 'Bob', 6)").await;
    lake.sql("select ID, N, \"Full Name\" from t where t.id > 1 order by iD").await;
    lake.sql("select a.id, b.n from t as a join t as b on a.ID = b.id order by 1").await;
    lake.sql("select sum(ID) over (order by n) as total from t order by total").await;
    lake.sql("update t set n = Id * 10 where ID = 1").await;
    lake.sql("create table v as select id + 1 as more, \"Id\" from t").await;
    lake.sql("select MORE, id from v order by 1").await;
    lake.sql("select \"ID\" from t order by 1").await;
    lake.sql("create table u as select 1 as id, 2 as \"Id\"").await;
    lake.sql("create table u as select 1 as \"ID\"").await;
    lake.sql("select id from u").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 2 0 0 2
    sql: 2 6 Bob
    sql: 1 5 | 2 6
    sql: 1 | 3
    sql: UPDATE 0 1 0 3
    sql: CREATE TABLE 2 0 0 4
    sql: 2 1 | 3 2
    sql: 1 | 2
    sql: the rows for `main.u` do not fit: two columns are named `Id`
    sql: CREATE TABLE 1 0 0 5
    sql: 1
    ");
}

#[tokio::test]
async fn what_is_read_by_a_view_is_dropped_as_it_is_said() {
    let lake = TestLake::new();
    for sql in [
        "create table base as select 1 as a",
        "create view upon as select * from base",
        "create view above as select a + 1 as b from upon",
        "drop table base restrict",
        "select b from above",
        "drop table base",
        "select b from above",
        "create table base as select 2 as x",
        "select b from above",
        "drop table base cascade",
        "select count(*) from elt.tables where table_schema = 'main'",
        "create transient table t (id int)",
    ] {
        lake.sql(sql).await;
    }
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 1 0 0 1
    sql: CREATE VIEW 0 0 0 2
    sql: CREATE VIEW 0 0 0 3
    sql: the view `main.upon` reads what would be dropped
    sql: 2
    sql: DROP TABLE 0 0 0 4
    sql: in the view `main.upon`: there is no table `main.base`
    sql: CREATE TABLE 1 0 0 5
    sql: in the view `main.above`: there is no column `a`
    sql: DROP TABLE 0 0 0 6
    sql: 0
    sql: CREATE TRANSIENT TABLE is not supported
    ");
}

#[tokio::test]
async fn a_double_that_is_no_number_is_found_wherever_it_lies() {
    let lake = TestLake::new();
    lake.sql("create table nn (d double)").await;
    lake.sql("insert into nn values ('nan'::double)").await;
    lake.sql("insert into nn values (1.5), ('nan'::double)").await;
    for condition in ["d > 1.5", "d >= 1.5", "d = 'nan'::double", "d <> 1.5", "not (d = 1.5)", "d < 5"] {
        lake.sql(&format!("select count(*) from nn where {condition}")).await;
    }
    lake.sql("delete from nn where d > 1.5").await;
    lake.sql("select * from nn").await;
    lake.sql("with c as (select 2.5::double as d) insert into nn select d from c").await;
    lake.sql("select max(d) from nn").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 1 0 0 2
    sql: INSERT 2 0 0 3
    sql: 2
    sql: 3
    sql: 2
    sql: 2
    sql: 2
    sql: 1
    sql: DELETE 0 0 2 4
    sql: 1.5
    sql: INSERT 1 0 0 5
    sql: 2.5
    ");
}
