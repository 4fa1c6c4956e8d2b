//! What a table knows of the files that were landed, and of columns that nobody has said anything of.

use insta::assert_snapshot;

use crate::test_lake::TestLake;

#[tokio::test]
async fn a_column_gets_its_type_from_its_first_value() {
    let lake = TestLake::new();
    lake.land("crm.t", "a.csv", "id,at,zip,note\n1,,,\n2,,,").await;
    lake.land_as("crm.t", &["inbox/a.csv"], &[]).await;
    lake.land("crm.t", "b.csv", "id,at,zip,note\n3,2013-01-05,01234,\n").await;
    // From now on it is a date; and what was seen to be text stays that.
    lake.land("crm.t", "c.csv", "id,at,zip,note\n4,soon,1234,1.5\n").await;
    lake.sql("select id, at + 1, zip, note + 1, _rescued_data from crm.t order by id").await;
    lake.sql(
        "select column_name, data_type from elt.columns where table_name = 't' and left(column_name, 1) <> '_'",
    )
    .await;
    lake.sql("create table crm.u as select 'x' as a, cast(null as varchar) as b").await;
    lake.land("crm.u", "d.csv", "a,b\ny,7\n").await;
    lake.sql("select a, b || '!' from crm.u order by a").await;
    assert_snapshot!(lake.story(), @r#"
    land: crm.t  read 2 loaded 2 rescued 0 rejected 0  release 1
    land: crm.t  known  nothing new
    land: crm.t  read 1 loaded 1 rescued 0 rejected 0  at varchar -> date  release 2
    land: crm.t  read 1 loaded 0 rescued 1 rejected 0  note varchar -> double  release 3
    sql: 1 - - - - | 2 - - - - | 3 2013-01-06 01234 - - | 4 - 1234 2.5 {"at":"soon","_file_path":"inbox/c.csv"}
    sql: id bigint | at date | zip varchar | note double
    sql: CREATE TABLE 1 0 0 4
    land: crm.u  read 1 loaded 1 rescued 0 rejected 0  release 5
    sql: x - | y 7!
    "#);
}

#[tokio::test]
async fn a_type_that_was_declared_and_a_value_that_was_inserted_stay() {
    let lake = TestLake::new();
    lake.land("crm.t", "a.csv", "id,zip,code\n1,,").await;
    lake.sql("insert into crm.t (id, code) values (2, 'x')").await;
    lake.write("inbox/b.csv", "id,zip,code\n3,07,7\n");
    lake.land_as("crm.t", &["inbox/b.csv"], &[("schema_hints", "zip varchar")]).await;
    lake.sql("select id, zip || '', code || '' from crm.t order by id").await;
    assert_snapshot!(lake.story(), @"
    land: crm.t  read 1 loaded 1 rescued 0 rejected 0  release 1
    sql: INSERT 1 0 0 2
    land: crm.t  read 1 loaded 1 rescued 0 rejected 0  release 3
    sql: 1 - - | 2 - x | 3 07 7
    ");
}

#[tokio::test]
async fn one_column_keeps_its_nulls_through_a_file() {
    let lake = TestLake::new();
    lake.write("inbox/other.txt", "");
    let file = lake.path().join("inbox/n.csv");
    lake.sql(&format!("copy (values ('x'), (null), ('y'), (null)) to '{}'", file.display())).await;
    lake.land_as("crm.n", &["inbox/n.csv"], &[]).await;
    lake.sql("select count(*), count(column1) from crm.n").await;
    lake.sql(&format!("select count(*), count(column1) from '{}'", file.display())).await;
    assert_snapshot!(lake.story(), @"
    sql: 4 1 14
    land: crm.n  read 4 loaded 4 rescued 0 rejected 0  release 1
    sql: 4 2
    sql: 4 2
    ");
}

#[tokio::test]
async fn a_clone_knows_the_files_of_its_original() {
    let lake = TestLake::new();
    lake.land("crm.t", "a.csv", "id,n\n1,1\n2,x").await;
    lake.sql("create table crm.deep deep clone crm.t").await;
    lake.sql("create table crm.shallow shallow clone crm.t").await;
    for table in ["crm.deep", "crm.shallow"] {
        lake.land_as(table, &["inbox/a.csv"], &[]).await;
        lake.land_as(table, &["inbox/a.csv"], &[("force", "true")]).await;
        lake.land(table, &format!("{table}.csv"), "id,n\n1,1\n2,x").await;
        lake.land(table, &format!("{table}.csv"), "id,n\n3,1").await;
        lake.sql(&format!("select count(*) from {table}")).await;
    }
    // In place of another table, a clone has the files of its original and no others.
    lake.sql("create or replace table crm.deep deep clone crm.t").await;
    lake.land_as("crm.deep", &["inbox"], &[]).await;
    lake.sql("select count(*) from crm.deep").await;
    assert_snapshot!(lake.story(), @"
    land: crm.t  read 2 loaded 2 rescued 0 rejected 0  release 1
    sql: CREATE TABLE 2 0 0 2
    sql: CREATE TABLE 2 0 0 3
    land: crm.deep  known  nothing new
    land: crm.deep  read 2 loaded 2 rescued 0 rejected 0  release 4
    land: crm.deep  copy of a file that version 1 of the table loaded  nothing new
    land: crm.deep  read 1 loaded 1 rescued 0 rejected 0  release 5
    sql: 3
    land: crm.shallow  known  nothing new
    land: crm.shallow  read 2 loaded 2 rescued 0 rejected 0  release 6
    land: crm.shallow  copy of a file that version 1 of the table loaded  nothing new
    land: crm.shallow  read 1 loaded 1 rescued 0 rejected 0  release 7
    sql: 3
    sql: CREATE TABLE 2 0 0 8
    land: crm.deep  known, read 1 loaded 1 rescued 0 rejected 0, copy of inbox/crm.deep.csv  release 9
    sql: 3
    ");
}

#[tokio::test]
async fn rejects_of_an_edition_go_with_it() {
    let lake = TestLake::new();
    lake.land("crm.t", "a.csv", "id,n\n1,1\n2\n3").await;
    lake.land("crm.t", "b.csv", "id,n\n4").await;
    lake.write("inbox/a.csv", "id,n\n1,1\n2,2\n3");
    lake.land_as("crm.t", &["inbox/a.csv"], &[("on_change", "reload")]).await;
    lake.sql("select _file_path, line, csv_line from crm.t__rejected order by all").await;
    lake.write("inbox/a.csv", "id,n\n1,1\n2,2\n3,3");
    lake.land_as("crm.t", &["inbox/a.csv"], &[("on_change", "reload")]).await;
    lake.sql("select _file_path, line, csv_line from crm.t__rejected order by all").await;
    lake.sql("select count(*) from elt.load_errors").await;
    assert_snapshot!(lake.story(), @"
    land: crm.t  read 3 loaded 1 rescued 0 rejected 2  release 1
    land: crm.t  read 1 loaded 0 rescued 0 rejected 1  release 2
    land: crm.t  read 3 loaded 2 rescued 0 rejected 1  release 3
    sql: inbox/a.csv 4 3 | inbox/b.csv 2 4
    land: crm.t  read 3 loaded 3 rescued 0 rejected 0  release 4
    sql: inbox/b.csv 2 4
    sql: 1
    ");
}
