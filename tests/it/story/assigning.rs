//! What becomes of a value on its way into a column, and which table a name means.

use std::process::Command;

use insta::assert_snapshot;

use crate::test_lake::TestLake;

#[tokio::test]
async fn a_value_is_assigned_as_it_would_be_cast() {
    let lake = TestLake::new();
    lake.sql("create table z (d decimal(10,2), ts timestamp, dt date)").await;
    lake.sql("insert into z (d) values (1.005), (-1.005), (2)").await;
    lake.sql("insert into z (d) select 1.005").await;
    lake.sql("insert into z (ts) values ('2024-01-01 10:00:00+02'), ('2024-01-01 10:00'), (timestamp '2024-01-02 00:00:00')").await;
    lake.sql("insert into z (ts, dt) select '2024-01-01 11:00', '2024-02-29'").await;
    lake.sql("update z set ts = '2024-05-01 09:30', dt = '2024-01-02' where d = 2").await;
    lake.sql("merge into z using (select 1.01 as d) s on z.d = s.d when matched then update set ts = '2024-06-01 12:00', d = 3.005 when not matched then insert (d) values (9)").await;
    lake.sql("select * from z order by all").await;
    // A number is no day, and a text that is no day is an error.
    lake.sql("insert into z (ts) values (20240101)").await;
    lake.sql("insert into z (dt) values ('soon')").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 3 0 0 2
    sql: INSERT 1 0 0 3
    sql: INSERT 3 0 0 4
    sql: INSERT 1 0 0 5
    sql: UPDATE 0 1 0 6
    sql: MERGE 0 2 0 7
    sql: -1.01 - - | 2.00 2024-05-01T09:30:00 2024-01-02 | 3.01 2024-06-01T12:00:00 - | 3.01 2024-06-01T12:00:00 - | - 2024-01-01T10:00:00 - | - 2024-01-01T10:00:00 - | - 2024-01-01T11:00:00 2024-02-29 | - 2024-01-02T00:00:00 -
    sql: a value does not fit column `ts`: it is bigint in the rows and timestamp in the table; say in the query what is meant
    sql: 'soon' cannot be read as date
    ");
}

#[test]
fn a_name_with_its_schema_is_a_table_of_the_lake() {
    let folder = tempfile::tempdir().unwrap();
    let ran = |sql: &str| {
        let mut elt = Command::new(env!("CARGO_BIN_EXE_elt"));
        let run =
            elt.current_dir(folder.path()).env_remove("ELT_LAKE").args(["sql", "--format", "csv", "-c", sql]);
        String::from_utf8_lossy(&run.output().unwrap().stdout).into_owned()
    };
    let counts = "select (select count(*) from u) as here, (select count(*) from main.u) as there, \
                  (select max(id) from temp.u) as most";
    ran("create table u (id int); insert into u values (1), (2), (3)");
    let told = ran(&format!(
        "create temp table u as select 9 as id; delete from main.u where id = 1; insert into main.u values (4), (5); {counts}"
    ));
    assert!(told.ends_with("here,there,most\n1,4,9\n"), "{told}");
    assert_eq!(ran("select count(*) as n from u"), "n\n4\n");
    ran("create temp table u as select 9 as id; drop table main.u");
    assert_eq!(ran("from u"), "");
}
