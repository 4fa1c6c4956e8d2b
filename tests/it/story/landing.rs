//! Files that arrive, and files that should not.

use insta::assert_snapshot;

use crate::test_lake::TestLake;

#[tokio::test]
async fn a_file_is_loaded_once_and_a_changed_one_is_reported() {
    let lake = TestLake::new();
    lake.land("crm.people", "a.csv", "id,city\n1,Oslo").await;
    lake.land("crm.people", "a.csv", "id,city\n1,Oslo").await;
    lake.land("crm.people", "a.csv", "id,city\n1,Bergen").await;
    lake.sql("select id, city, _file_path, _row_number from crm.people").await;
    assert_snapshot!(lake.story(), @"
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0  release 1
    land: crm.people  known  nothing new
    land: crm.people  changed: inbox/a.csv  nothing new
    sql: 1 Oslo inbox/a.csv 2
    ");
}

#[tokio::test]
async fn every_row_is_loaded_rescued_or_rejected() {
    let lake = TestLake::new();
    lake.land("crm.people", "a.csv", "id,city\n1,Oslo\n2,Rome").await;
    lake.land("crm.people", "b.csv", "id,city,age\nthree,Lima,9\n4,Cork,\n5,Kyiv,1,2\n6\n").await;
    lake.sql("select id, city, _rescued_data from crm.people order by _file_path, _row_number").await;
    lake.sql("select _file_path, line, error_type, csv_line from crm.people__rejected order by line").await;
    assert_snapshot!(lake.story(), @r#"
    land: crm.people  read 2 loaded 2 rescued 0 rejected 0  release 1
    land: crm.people  read 4 loaded 1 rescued 1 rejected 2  release 2
    sql: 1 Oslo - | 2 Rome - | - Lima {"id":"three","age":"9"} | 4 Cork -
    sql: inbox/b.csv 4 too_many_fields 5,Kyiv,1,2 | inbox/b.csv 5 too_few_fields 6
    "#);
}

#[tokio::test]
async fn a_source_that_reloads_takes_the_new_rows_of_a_changed_file() {
    let lake = TestLake::new();
    lake.write(
        "models/s.yml",
        "sources: [{name: crm, tables: [{name: firms, config: {location: 'inbox/*.csv', on_change: reload}}]}]",
    );
    lake.write("models/n.sql", "select count(*) as n, min(name) as first from {{ source('crm', 'firms') }}");
    lake.write("inbox/a.csv", "id,name\n1,Acme\n2,Bond");
    lake.write("inbox/b.csv", "id,name\n3,Cole");
    lake.build().await;
    lake.write("inbox/a.csv", "id,name\n1,Axis");
    lake.build().await;
    lake.sql("select * from n").await;
    lake.sql("select id, name from crm.firms order by id").await;
    lake.sql("select id, name from crm.firms version as of 0 order by id").await;
    assert_snapshot!(lake.story(), @"
    build: landed crm.firms  read 2 loaded 2 rescued 0 rejected 0, read 1 loaded 1 rescued 0 rejected 0
    build: n view (no rows)
    build: release 1
    build: landed crm.firms  read 1 loaded 1 rescued 0 rejected 0, known
    build: n view (no rows)
    build: release 2
    sql: 2 Axis
    sql: 1 Axis | 3 Cole
    sql: 1 Acme | 2 Bond | 3 Cole
    ");
}

#[tokio::test]
async fn files_with_nothing_in_them_and_files_that_are_not_there() {
    let lake = TestLake::new();
    lake.land("crm.people", "empty.csv", "").await;
    lake.land("crm.people", "header.csv", "id,city").await;
    lake.land("crm.people", "a.csv", "id,city\n1,Oslo").await;
    lake.sql("select count(*) from crm.people").await;
    lake.land("people", "b.csv", "id\n1").await;
    assert_snapshot!(lake.story(), @"
    land: crm.people  empty  nothing new
    land: crm.people  read 0 loaded 0 rescued 0 rejected 0  release 1
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0  release 2
    sql: 1
    land: `people` is not a table name: write `table` or `schema.table`
    ");
}

#[tokio::test]
async fn json_lines_keep_their_nested_values() {
    let lake = TestLake::new();
    lake.land(
        "crm.events",
        "a.jsonl",
        "{\"id\": 1, \"at\": {\"lat\": 59.9}, \"tags\": [\"a\", \"b\"]}\n{\"id\": 2}\nnot json",
    )
    .await;
    lake.sql("select id, at['lat'] as lat, tags[2] as tag from crm.events order by id").await;
    lake.sql("select line, error_type from crm.events__rejected").await;
    assert_snapshot!(lake.story(), @"
    land: crm.events  read 3 loaded 2 rescued 0 rejected 1  release 1
    sql: 1 59.9 b | 2 - -
    sql: 3 invalid_json
    ");
}
