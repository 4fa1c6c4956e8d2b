//! COPY INTO and COPY TO: files in and out by SQL.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use elt::base::ErrorKind;
use elt::lakehouse::BuildRequest;
use insta::assert_snapshot;

use crate::test_lake::TestLake;

/// Runs a statement in which `@` is the lake's folder, and tells the rows without that folder's name.
async fn copy(lake: &TestLake, sql: &str) {
    let here = lake.path().canonicalize().unwrap().display().to_string();
    let told = lake.rows(&sql.replace('@', &here)).await;
    lake.note(&format!(
        "{}: {}",
        sql.split_whitespace().take(2).collect::<Vec<_>>().join(" "),
        told.replace(&here, "@")
    ));
}

fn text(lake: &TestLake, file: &str) -> String {
    std::fs::read_to_string(lake.path().join(file)).unwrap_or_else(|error| error.to_string())
}

#[tokio::test]
async fn copy_into_loads_each_file_once_as_elt_land_does() {
    let lake = TestLake::new();
    lake.write("inbox/a.csv", "id;city\n1;Oslo\n2;Rome");
    lake.write("inbox/b.csv", "id;city\nthree;Lima\n4\n");
    lake.write("inbox/notes.txt", "nothing");
    let into = "copy into crm.people from '@/inbox' fileformat = csv pattern = '*.csv' format_options ('sep' = ';', 'schemaHints' = 'id bigint')";
    copy(&lake, &format!("{into} validate")).await;
    copy(&lake, into).await;
    copy(&lake, into).await;
    lake.land_as("crm.people", &["inbox/*.csv"], &[("sep", ";")]).await;
    lake.write("inbox/b.csv", "id;city\n3;Lima");
    copy(&lake, into).await;
    copy(&lake, &format!("{into} copy_options ('force' = 'true')")).await;
    lake.sql("select id, city, _file_path from crm.people order by id").await;
    lake.sql("select id, city from crm.people as of release 1 order by id").await;
    assert_snapshot!(lake.story(), @"
    copy into: inbox/a.csv loaded 2 2 0 0 - | inbox/b.csv loaded 2 0 1 1 inbox/b.csv:3: 1 field where the header has 2
    copy into: 3 3 0 1 1 2 0 0 1
    copy into: 0 0 0 0 0 0 2 0 -
    land: crm.people  known, known  nothing new
    copy into: 0 0 0 0 0 0 1 1 -
    copy into: 3 3 0 0 0 2 0 0 2
    sql: 1 Oslo inbox/a.csv | 2 Rome inbox/a.csv | 3 Lima inbox/b.csv
    sql: 1 Oslo | 2 Rome | - Lima
    ");
}

#[tokio::test]
async fn copy_into_honours_its_options_or_refuses_them() {
    let lake = TestLake::new();
    lake.write("inbox/a.csv", "id,city\n1,Oslo");
    lake.write("inbox/b.csv", "id,city,age\n2,Rome,7\nx,Lima,8\n");
    lake.write("inbox/c.csv", "id,city\n3,Bonn\n");
    copy(&lake, "copy into crm.people from '@/inbox' files = ('a.csv', 'c.csv')").await;
    copy(&lake, "copy into crm.people from '@/inbox/b.csv' copy_options ('mergeSchema' = 'false')").await;
    copy(&lake, "copy into crm.people from '@/inbox/b.csv' format_options ('mode' = 'FAILFAST')").await;
    copy(
        &lake,
        "copy into crm.people from '@/inbox/b.csv' validate 1 rows format_options ('mode' = 'DROPMALFORMED')",
    )
    .await;
    copy(&lake, "copy into crm.people from '@/inbox/{b,c}.csv'").await;
    copy(
        &lake,
        "copy into crm.people from '@/inbox' pattern = '{b,c}.csv' format_options ('mode' = 'DROPMALFORMED')",
    )
    .await;
    copy(&lake, "copy into crm.people from '@/inbox' format_options ('multiLine' = 'false')").await;
    copy(&lake, "copy into crm.people from '@/inbox' format_options ('lineSep' = '#')").await;
    copy(&lake, "copy into crm.people from '@/inbox' fileformat = orc").await;
    copy(&lake, "copy into crm.people from '@/inbocks'").await;
    copy(&lake, "copy into people__rejected from '@/inbox'").await;
    lake.sql("select id, city, age from crm.people order by id").await;
    assert_snapshot!(lake.story(), @r#"
    copy into: 2 2 0 0 0 2 0 0 1
    copy into: inbox/b.csv:2 has a column `age`, and the table has none
    copy into: inbox/b.csv:3: "x" does not fit column `id` (bigint)
    copy into: inbox/b.csv loaded 2 1 0 1 inbox/b.csv:3 column `id`: "x" is no bigint
    copy into: there is no file or folder: @/inbox/{b,c}.csv
    copy into: 1 1 0 0 1 1 1 0 2
    copy into: `multiLine` cannot be `false`
    copy into: there is no option `lineSep`
    copy into: `format` cannot be `orc`
    copy into: there is no file or folder: @/inbocks
    copy into: files cannot be landed in `main.people__rejected`: its name is elt's own
    sql: 1 Oslo - | 2 Rome 7 | 3 Bonn -
    "#);
}

#[tokio::test]
async fn what_is_selected_of_files_is_copied_row_for_row() {
    let lake = TestLake::new();
    lake.write("inbox/a.csv", "id;name;price;zip\n1;ann;1.50;1234\nonly one\n2;bob;abc;5678\n");
    lake.sql("create table shop (id bigint, label varchar, price varchar, zip varchar, file varchar)").await;
    let into = "copy into shop from (select id, upper(name) || '!' as label, price, f.zip, _metadata.file_name as file
        from '@/inbox' f) fileformat = csv";
    copy(&lake, &format!("{into} validate")).await;
    copy(&lake, into).await;
    copy(&lake, into).await;
    lake.sql("select id, label, price, zip, file, _row_number from shop order by id").await;
    lake.sql("select line, error_type from shop__rejected").await;
    // In place of the rows that it had, by position, with a column that is new.
    let again = "copy_options ('force' = 'true')";
    copy(&lake, &format!("copy into shop (label, id) from (select name, id * 10 from '@/inbox') {again}"))
        .await;
    lake.sql("select id, label, price, file from shop order by id").await;
    copy(&lake, &format!("copy into shop from (select id, zip as postcode from '@/inbox') {again}")).await;
    lake.sql("select id, label, postcode from shop order by id").await;
    // A table is made of what is selected; what does not fit a type is still kept.
    lake.write("b.json", "{\"a\":1,\"b\":{\"c\":[1,2]}}\n{\"a\":2}\n{\"a\":99999999999999999999}\n");
    copy(&lake, "copy into made from (select a, b.c[1] as first, * exclude (a, b) from '@/b.json') format_options ('schemaHints' = 'a bigint')").await;
    lake.sql("select a, first, _rescued_data from made order by _row_number").await;
    for (wrong, options) in [
        ("select idd from '@/inbox'", ""),
        ("select id + 1 from '@/inbox'", ""),
        ("select sum(id) as id from '@/inbox'", ""),
        ("select row_number() over () as id from '@/inbox'", ""),
        ("select unnest([1, 2]) as id from '@/inbox'", ""),
        ("select (select 1) as id from '@/inbox'", ""),
        ("select price::int as id from '@/inbox'", ""),
        ("select id, 1 as more from '@/inbox'", ", 'mergeSchema' = 'false'"),
    ] {
        copy(&lake, &format!("copy into shop from ({wrong}) copy_options ('force' = 'true'{options})")).await;
    }
    copy(&lake, &format!("copy into shop (id, label) from (select id from '@/inbox') {again}")).await;
    copy(&lake, &format!("copy into shop (id, lable) from (select id, name from '@/inbox') {again}")).await;
    lake.sql("select count(*) from shop").await;
    assert_snapshot!(lake.story(), @r#"
    sql: CREATE TABLE 0 0 0 1
    copy into: inbox/a.csv loaded 3 2 0 1 inbox/a.csv:3: 1 field where the header has 4
    copy into: 2 2 0 0 1 1 0 0 2
    copy into: 0 0 0 0 0 0 1 0 -
    sql: 1 ANN! 1.50 1234 a.csv 2 | 2 BOB! abc 5678 a.csv 4
    sql: 3 too_few_fields
    copy into: 2 2 0 0 1 1 0 0 3
    sql: 10 ann - - | 20 bob - -
    copy into: 2 2 0 0 1 1 0 0 4
    sql: 1 - 1234 | 2 - 5678
    copy into: 3 3 0 1 0 1 0 0 5
    sql: 1 1 - | 2 - - | - - {"a":99999999999999999999,"_file_path":"b.json"}
    copy into: there is no column `idd`
    copy into: this has no name, and columns are found by it
    copy into: an aggregate in a COPY INTO is not supported
    copy into: a window in a COPY INTO is not supported
    copy into: UNNEST in a COPY INTO is not supported
    copy into: a subquery in a COPY INTO is not supported
    copy into: 'abc' cannot be read as int
    copy into: the table has no column `more`
    copy into: 1 selected for 2 columns: id, label
    copy into: the table has no column `lable`
    sql: 2
    "#);
}

#[tokio::test]
async fn columns_of_files_go_where_their_positions_say() {
    let lake = TestLake::new();
    lake.write("inbox/a.csv", "x,y,z\n7,Oslo,1\n8,Rome,two\n");
    lake.write("b.csv", "7,Oslo\n");
    lake.write("c.json", "{\"a\":1}\n");
    copy(&lake, "copy into t by position from '@/inbox'").await;
    lake.sql("create table t (n int, city varchar, k bigint)").await;
    copy(&lake, "copy into t by position from '@/inbox' format_options ('header' = 'true')").await;
    lake.sql("select n, city, k, _rescued_data from t order by n").await;
    copy(&lake, "copy into t (k, city, n) from '@/inbox' format_options ('header' = 'true') copy_options ('force' = 'true')").await;
    lake.sql("select n, city, k, _rescued_data from t order by k").await;
    copy(&lake, "copy into t by position from (select z, y, 5 from '@/inbox') format_options ('header' = 'true') copy_options ('force' = 'true')").await;
    lake.sql("select n, city, k, _rescued_data from t order by _row_number").await;
    copy(&lake, "copy into t by position from '@/b.csv' format_options ('header' = 'false')").await;
    copy(&lake, "copy into t (k, city) from '@/b.csv' format_options ('header' = 'false')").await;
    copy(&lake, "copy into t by position from '@/c.json'").await;
    lake.sql("select n, city, k from t where _file_path like '%b.csv'").await;
    lake.land_as("main.u", &["b.csv"], &[("names", "id, town")]).await;
    lake.sql("select id, town from u").await;
    assert_snapshot!(lake.story(), @r#"
    copy into: there is no table `main.t` whose columns have positions
    sql: CREATE TABLE 0 0 0 1
    copy into: 2 2 0 1 0 1 0 0 2
    sql: 7 Oslo 1 - | 8 Rome - {"k":"two","_file_path":"inbox/a.csv"}
    copy into: 2 2 0 1 0 1 0 0 3
    sql: 1 Oslo 7 - | - Rome 8 {"n":"two","_file_path":"inbox/a.csv"}
    copy into: 2 2 0 1 0 1 0 0 4
    sql: 1 Oslo 5 - | - Rome 5 {"z":"two","_file_path":"inbox/a.csv"}
    copy into: columns of b.csv: 2; names given for them: 3
    copy into: 1 1 0 0 0 1 0 0 5
    copy into: c.json holds JSON, whose columns have names and no order
    sql: - Oslo 7
    land: main.u  read 1 loaded 1 rescued 0 rejected 0  release 6
    sql: 7 Oslo
    "#);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_fails_alone() {
    let lake = TestLake::new();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let rows: String = (0..50_000).map(|id| format!("{id},city {}\n", id % 97)).collect();
    std::io::Write::write_all(&mut packed, format!("id,city\n{rows}").as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    lake.write_bytes("inbox/a.csv.gz", &packed[..packed.len() / 2]);
    lake.write("inbox/b.csv", "id,city\n1,Oslo\n2,Rome");
    lake.write_bytes("inbox/c.parquet", b"PAR1 and nothing else");
    lake.write("inbox/d.csv", "day\n01/02/2013\n");
    lake.write("inbox/readme.md", "# not data");
    lake.validate("crm.people", &["inbox"]).await;
    lake.land_as("crm.people", &["inbox"], &[("on_damaged", "fail")]).await;
    lake.sql("show tables").await;
    lake.land_as("crm.people", &["inbox"], &[]).await;
    lake.sql("select id, city from crm.people").await;
    copy(&lake, "copy into crm.people from '@/inbox'").await;
    // It is tried again, and comes when it is whole.
    lake.write_bytes("inbox/a.csv.gz", &packed);
    copy(&lake, "copy into crm.people from '@/inbox' pattern = '*.{csv,gz}'").await;
    lake.sql("select count(*), count(distinct city) from crm.people").await;
    assert_snapshot!(lake.story(), @"
    land: crm.people  failed: inbox/a.csv.gz is damaged: it cannot be read to its end as gzip: incomplete deflate stream, read 2 loaded 2 rescued 0 rejected 0, failed: inbox/c.parquet is damaged: it cannot be read to its end as Parquet: Parquet argument error: Parquet error: Invalid Parquet file. Corrupt footer, failed: inbox/d.csv:2 reads two ways: `01/02/2013` of column `day` begins with the day, or it begins with the month, failed: cannot tell the format of inbox/readme.md  dry run
    land: inbox/a.csv.gz is damaged: it cannot be read to its end as gzip
    sql: no rows
    land: crm.people  failed: inbox/a.csv.gz is damaged: it cannot be read to its end as gzip: incomplete deflate stream, read 2 loaded 2 rescued 0 rejected 0, failed: inbox/c.parquet is damaged: it cannot be read to its end as Parquet: Parquet argument error: Parquet error: Invalid Parquet file. Corrupt footer, failed: inbox/d.csv:2 reads two ways: `01/02/2013` of column `day` begins with the day, or it begins with the month, failed: cannot tell the format of inbox/readme.md  release 1
    sql: 1 Oslo | 2 Rome
    copy into: inbox/a.csv.gz is damaged: it cannot be read to its end as gzip
    copy into: 50000 50000 1 0 0 1 1 0 2
    sql: 50002 99
    ");
}

#[tokio::test]
async fn a_build_goes_on_without_a_damaged_file_and_does_not_call_that_well() {
    for policy in ["skip", "fail"] {
        let lake = TestLake::new();
        lake.write(
            "models/s.yml",
            &format!("sources: [{{name: crm, tables: [{{name: people, config: {{location: 'inbox/*', on_damaged: {policy}}}}}]}}]"),
        );
        lake.write("models/n.sql", "select count(*) as n from {{ source('crm', 'people') }}");
        lake.write("inbox/a.csv", "id\n1\n2");
        lake.write_bytes("inbox/b.parquet", b"PAR1 and no more");
        let built = lake.try_build(&BuildRequest::default()).await;
        lake.sql("select * from n").await;
        match (policy, built) {
            ("skip", Ok(built)) => assert!(!built.is_well()),
            ("fail", Err(error)) => assert_eq!(error.kind(), ErrorKind::Data),
            (policy, other) => panic!("{policy}: {other:?}"),
        }
        let told = lake.story();
        let last = if policy == "skip" { "sql: 2\n" } else { "sql: there is no table `main.n`\n" };
        assert!(told.ends_with(last), "{told}");
    }
}

#[tokio::test]
async fn a_table_that_was_dropped_knows_no_files() {
    let lake = TestLake::new();
    lake.land("crm.people", "a.csv", "id,city\n1,Oslo\n2").await;
    lake.land("crm.people", "b.csv", "id,city\n2,Rome").await;
    lake.sql("drop table crm.people").await;
    lake.sql("drop table crm.people__rejected").await;
    lake.land("crm.people", "a.csv", "id,city\n1,Oslo\n2").await;
    lake.land_as("crm.people", &["inbox"], &[]).await;
    lake.land_as("crm.people", &["inbox"], &[]).await;
    lake.sql("select id, city from crm.people order by id").await;
    lake.sql("select line, csv_line from crm.people__rejected").await;
    lake.sql("drop table crm.people").await;
    lake.sql("create table crm.people (id varchar)").await;
    copy(&lake, "copy into crm.people from '@/inbox'").await;
    copy(&lake, "copy into crm.people from '@/inbox'").await;
    lake.sql("select id, city from crm.people order by id").await;
    lake.roll_back(Some(2)).await;
    lake.land_as("crm.people", &["inbox"], &[]).await;
    lake.sql("select id, city from crm.people order by id").await;
    assert_snapshot!(lake.story(), @"
    land: crm.people  read 2 loaded 1 rescued 0 rejected 1  release 1
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0  release 2
    sql: DROP TABLE 0 0 0 3
    sql: DROP TABLE 0 0 0 4
    land: crm.people  read 2 loaded 1 rescued 0 rejected 1  release 5
    land: crm.people  known, read 1 loaded 1 rescued 0 rejected 0  release 6
    land: crm.people  known, known  nothing new
    sql: 1 Oslo | 2 Rome
    sql: 3 2
    sql: DROP TABLE 0 0 0 7
    sql: CREATE TABLE 0 0 0 8
    copy into: 2 2 0 0 1 2 0 0 9
    copy into: 0 0 0 0 0 0 2 0 -
    sql: 1 Oslo | 2 Rome
    rollback: release 10 (rollback to 2)
    land: crm.people  known, known  nothing new
    sql: 1 Oslo | 2 Rome
    ");
}

#[tokio::test]
async fn a_table_in_place_of_another_knows_no_files() {
    let lake = TestLake::new();
    lake.land("crm.people", "a.csv", "id,city\n1,Oslo\n2,Rome").await;
    for _ in 0..2 {
        lake.sql("create or replace table crm.people (id bigint)").await;
        copy(&lake, "copy into crm.people from '@/inbox'").await;
    }
    copy(&lake, "copy into crm.people from '@/inbox'").await;
    lake.sql("create or replace table crm.people (id bigint)").await;
    lake.roll_back(None).await;
    copy(&lake, "copy into crm.people from '@/inbox'").await;
    lake.sql("select id, city from crm.people order by id").await;
    assert_snapshot!(lake.story(), @"
    land: crm.people  read 2 loaded 2 rescued 0 rejected 0  release 1
    sql: CREATE TABLE 0 0 0 2
    copy into: 2 2 0 0 0 1 0 0 3
    sql: CREATE TABLE 0 0 0 4
    copy into: 2 2 0 0 0 1 0 0 5
    copy into: 0 0 0 0 0 0 1 0 -
    sql: CREATE TABLE 0 0 0 6
    rollback: release 7 (rollback to 5)
    copy into: 0 0 0 0 0 0 1 0 -
    sql: 1 Oslo | 2 Rome
    ");
}

#[tokio::test]
async fn columns_guessed_from_the_beginning_of_a_large_file_lose_nothing() {
    for (tail, told) in [
        ("200001,1,", "bigint bigint varchar"),
        ("x,1,", "varchar bigint varchar"),
        ("200001,1.5,", "bigint double varchar"),
        ("200001,1,7", "bigint bigint bigint"),
    ] {
        let lake = TestLake::new();
        let rows: String = (0..140_000).map(|id| format!("{id},1,,{}\n", "x".repeat(30))).collect();
        let rows = format!("id,n,late,pad\n{rows}");
        lake.write_bytes("inbox/a.csv", (rows + tail + ",pad\n").as_bytes());
        lake.land_as("crm.big", &["inbox"], &[]).await;
        let described = lake.rows("describe crm.big").await;
        let types = described.split(" | ").take(3).map(|row| row.split(' ').nth(1).unwrap());
        let types = types.collect::<Vec<_>>().join(" ");
        assert_eq!(types, told, "{tail}");
        let story = lake.story();
        assert!(story.contains("read 140001 loaded 140001 rescued 0 rejected 0"), "{story}");
        let last = lake.rows("select count(*), max(_row_number) from crm.big").await;
        assert_eq!(last, "140001 140002");
    }
}

#[tokio::test]
async fn copy_to_writes_what_can_be_read_again() {
    let lake = TestLake::new();
    let odd = "select * from (values (1, 'Åse, \"B\"', 1.5, date '2013-01-31', timestamp '2013-01-31 10:00:00.25', [1, 2]), \
               (2, '', null, null, null, null), (3, null, -0.25, date '1999-12-31', timestamp '2013-02-01', [])) \
               as t(id, name, price, day, at, tags)";
    for file in
        ["o.csv", "o.tsv.gz", "o.jsonl", "o.json.zst", "o.parquet", "o.arrow", "o.csv.bz2", "o.csv.xz"]
    {
        copy(&lake, &format!("copy ({odd}) to '@/{file}'")).await;
        lake.land_as("crm.again", &[file], &[("on_copy", "load")]).await;
        lake.sql("select id, name, price, day, at from crm.again order by id").await;
        lake.sql("drop table crm.again").await;
    }
    lake.note(&text(&lake, "o.csv"));
    lake.note(&text(&lake, "o.jsonl"));
    copy(&lake, &format!("copy ({odd}) to '@/o.txt' with (format csv, header false, delimiter '|', null 'NA', force_quote *, dateformat '%d.%m.%Y')")).await;
    lake.note(&text(&lake, "o.txt"));
    copy(&lake, "copy (select 1 as a, 'x' as b) to '@/o.json' (array)").await;
    lake.note(&text(&lake, "o.json"));
    for codec in ["zstd", "gzip", "lz4", "brotli", "none"] {
        copy(
            &lake,
            &format!("copy (select 1 as a) to '@/c.parquet' (compression {codec}, row_group_size 10)"),
        )
        .await;
        lake.sql(&format!("select a from '{}/c.parquet'", lake.path().display())).await;
    }
    assert_snapshot!(lake.story(), @r#"
    copy (select: 3 1 141
    land: crm.again  read 3 loaded 3 rescued 0 rejected 0  release 1
    sql: 1 Åse, "B" 1.5 2013-01-31 2013-01-31T10:00:00.250 | 2  - - - | 3 - -0.25 1999-12-31 2013-02-01T00:00:00
    sql: DROP TABLE 0 0 0 2
    copy (select: 3 1 128
    land: crm.again  read 3 loaded 3 rescued 0 rejected 0  release 3
    sql: 1 Åse, "B" 1.5 2013-01-31 2013-01-31T10:00:00.250 | 2  - - - | 3 - -0.25 1999-12-31 2013-02-01T00:00:00
    sql: DROP TABLE 0 0 0 4
    copy (select: 3 1 261
    land: crm.again  read 3 loaded 3 rescued 0 rejected 0  release 5
    sql: 1 Åse, "B" 1.5 2013-01-31 2013-01-31T10:00:00.250 | 2  - - - | 3 - -0.25 1999-12-31 2013-02-01T00:00:00
    sql: DROP TABLE 0 0 0 6
    copy (select: 3 1 157
    land: crm.again  read 3 loaded 3 rescued 0 rejected 0  release 7
    sql: 1 Åse, "B" 1.5 2013-01-31 2013-01-31T10:00:00.250 | 2  - - - | 3 - -0.25 1999-12-31 2013-02-01T00:00:00
    sql: DROP TABLE 0 0 0 8
    copy (select: 3 1 2096
    land: crm.again  read 3 loaded 3 rescued 0 rejected 0  release 9
    sql: 1 Åse, "B" 1.5 2013-01-31 2013-01-31T10:00:00.250 | 2  - - - | 3 - -0.25 1999-12-31 2013-02-01T00:00:00
    sql: DROP TABLE 0 0 0 10
    copy (select: 3 1 2370
    land: crm.again  read 3 loaded 3 rescued 0 rejected 0  release 11
    sql: 1 Åse, "B" 1.5 2013-01-31 2013-01-31T10:00:00.250 | 2  - - - | 3 - -0.25 1999-12-31 2013-02-01T00:00:00
    sql: DROP TABLE 0 0 0 12
    copy (select: 3 1 142
    land: crm.again  read 3 loaded 3 rescued 0 rejected 0  release 13
    sql: 1 Åse, "B" 1.5 2013-01-31 2013-01-31T10:00:00.250 | 2  - - - | 3 - -0.25 1999-12-31 2013-02-01T00:00:00
    sql: DROP TABLE 0 0 0 14
    copy (select: 3 1 176
    land: crm.again  read 3 loaded 3 rescued 0 rejected 0  release 15
    sql: 1 Åse, "B" 1.5 2013-01-31 2013-01-31T10:00:00.250 | 2  - - - | 3 - -0.25 1999-12-31 2013-02-01T00:00:00
    sql: DROP TABLE 0 0 0 16
    id,name,price,day,at,tags
    1,"Åse, ""B""",1.5,2013-01-31,2013-01-31 10:00:00.250,"[1,2]"
    2,"",,,,
    3,,-0.25,1999-12-31,2013-02-01 00:00:00,[]

    {"id":1,"name":"Åse, \"B\"","price":1.5,"day":"2013-01-31","at":"2013-01-31T10:00:00.250","tags":[1,2]}
    {"id":2,"name":"","price":null,"day":null,"at":null,"tags":null}
    {"id":3,"name":null,"price":-0.25,"day":"1999-12-31","at":"2013-02-01T00:00:00","tags":[]}

    copy (select: 3 1 145
    "1"|"Åse, ""B"""|"1.5"|"31.01.2013"|"2013-01-31 10:00:00.250"|"[1,2]"
    "2"|""|NA|NA|NA|NA
    "3"|NA|"-0.25"|"31.12.1999"|"2013-02-01 00:00:00"|"[]"

    copy (select: 1 1 17
    [{"a":1,"b":"x"}]
    copy (select: 1 1 482
    sql: 1
    copy (select: 1 1 502
    sql: 1
    copy (select: 1 1 466
    sql: 1
    copy (select: 1 1 472
    sql: 1
    copy (select: 1 1 464
    sql: 1
    "#);
}

#[tokio::test]
async fn copy_to_folders_named_by_values() {
    let lake = TestLake::new();
    let rows = "select id, case when id % 3 = 0 then null else id % 3 end as part, 'a/b c' as city from generate_series(1, 20000) as t(id)";
    copy(&lake, &format!("copy ({rows}) to '@/out' (format parquet, partition_by (part, city))")).await;
    let mut found: Vec<String> = glob(&lake, "out");
    lake.note(&found.join(" "));
    lake.land_as("crm.again", &["out"], &[]).await;
    lake.sql("select part, city, count(*) from crm.again group by all order by part").await;
    // What is there is not replaced unless that is said.
    copy(&lake, "copy (select 1 as a, 2 as part) to '@/out' (format csv, partition_by (part))").await;
    copy(&lake, "copy (select 1 as a, 2 as part) to '@/out' (format csv, partition_by (part), append)").await;
    found = glob(&lake, "out");
    lake.note(&found.len().to_string());
    copy(&lake, "copy (select 1 as a, 2 as part) to '@/out' (format csv, partition_by (part), overwrite)")
        .await;
    found = glob(&lake, "out");
    lake.note(&found.join(" "));
    copy(&lake, "copy (select 5 as a, 2 as part) to '@/out' (format csv, partition_by Part, overwrite_or_ignore, write_partition_columns)").await;
    lake.note(&text(&lake, "out/part=2/data_0.csv"));
    lake.write("out/mine.txt", "mine");
    copy(&lake, "copy (select 5 as a, 2 as part) to '@/out' (format csv, partition_by part, overwrite)")
        .await;
    copy(&lake, "copy (select 5 as a) to '@/out' (format csv, partition_by (a))").await;
    copy(&lake, "copy (select 5 as a, 1 as b) to '@/out' (format csv, partition_by (c))").await;
    assert_snapshot!(lake.story(), @"
    copy (select: 20000 3 114279
    part=1/city=a%2Fb%20c/data_0.parquet part=2/city=a%2Fb%20c/data_0.parquet part=__HIVE_DEFAULT_PARTITION__/city=a%2Fb%20c/data_0.parquet
    land: crm.again  read 6667 loaded 6667 rescued 0 rejected 0, read 6667 loaded 6667 rescued 0 rejected 0, read 6666 loaded 6666 rescued 0 rejected 0  release 1
    sql: 1 a/b c 6667 | 2 a/b c 6667 | - a/b c 6666
    copy (select: `@/out` is there already
    copy (select: 1 1 4
    4
    copy (select: 1 1 4
    part=2/data_0.csv
    copy (select: 1 1 11
    a,part
    5,2

    copy (select: `@/out` holds what no COPY has written: mine.txt
    copy (select: every column names a folder, and none is left for the files
    copy (select: there is no column `c` to partition by
    ");
}

#[tokio::test]
async fn copy_to_leaves_a_whole_file_or_what_was_there() {
    let lake = TestLake::new();
    lake.land("crm.people", "a.csv", "id,city\n1,Oslo").await;
    copy(&lake, "copy crm.people (id, city) to '@/o.csv'").await;
    copy(&lake, "copy (select 1 / (id - 5000) from generate_series(1, 10000) as t(id)) to '@/o.csv'").await;
    lake.note(&text(&lake, "o.csv"));
    copy(&lake, "copy (select 2 as id) to '@/o.csv' (overwrite false)").await;
    copy(&lake, "copy (select 2 as id) to '@/o.csv' (overwrite)").await;
    lake.note(&text(&lake, "o.csv"));
    copy(&lake, "copy crm.people to '@/lake/tables/crm/people/x.parquet'").await;
    copy(&lake, "copy crm.people to '@/lake' (format csv, partition_by (city), overwrite)").await;
    copy(&lake, "copy crm.people to '@/none/x.csv'").await;
    copy(&lake, "copy crm.people to '@'").await;
    copy(&lake, "copy crm.people to '@' (format csv)").await;
    copy(&lake, "copy crm.people to 'https://127.0.0.1/x.csv'").await;
    copy(&lake, "copy crm.peple to '@/x.csv'").await;
    copy(&lake, "copy (select interval '1 month' as i) to '@/x.parquet'").await;
    let left: Vec<String> = glob(&lake, ".").into_iter().filter(|file| file.contains(".elt-")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_snapshot!(lake.story(), @"
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0  release 1
    copy crm.people: 1 1 15
    copy (select: division by zero
    id,city
    1,Oslo

    copy (select: `@/o.csv` is there already
    copy (select: 1 1 5
    id
    2

    copy crm.people: `@/lake/tables/crm/people/x.parquet` is the lake's own, or holds the lake
    copy crm.people: `@/lake` is the lake's own, or holds the lake
    copy crm.people: cannot write `@/none/x.csv`: No such file or directory (os error 2)
    copy crm.people: `@` has no ending that tells its format
    copy crm.people: `@` is the lake's own, or holds the lake
    copy crm.people: `https://127.0.0.1/x.csv` is on a web server, which takes no files
    copy crm.peple: there is no table `crm.peple`
    copy (select: cannot write @/x.parquet
    ");
}

/// The files below a folder, sorted.
fn glob(lake: &TestLake, folder: &str) -> Vec<String> {
    let root = lake.path().join(folder);
    let (mut files, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => files.push(path.strip_prefix(&root).unwrap().display().to_string()),
            }
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn files_that_come_to_a_folder_are_seen_by_the_session_that_asked_before() {
    let lake = TestLake::new();
    let session = lake.open().session().await.unwrap();
    let count = async || {
        let sql = format!("select sum(a) from '{}/inbox/*.csv'", lake.path().display());
        session.execute(&sql).await.unwrap().collect().await.unwrap()[0]
            .column(0)
            .as_primitive::<Int64Type>()
            .value(0)
    };
    lake.write("inbox/a.csv", "a\n1\n");
    assert_eq!(count().await, 1);
    lake.write("inbox/b.csv", "a\n2\n");
    assert_eq!(count().await, 3);
    lake.write("inbox/a.csv", "a\n1\n7\n");
    assert_eq!(count().await, 10);
}
