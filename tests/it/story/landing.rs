//! Files that arrive, and files that should not.

use insta::assert_snapshot;

use elt::base::Unwatched;
use elt::lakehouse::{LandOrder, Portion};

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
    land: crm.people  read 4 loaded 1 rescued 1 rejected 2  +age bigint  release 2
    sql: 1 Oslo - | 2 Rome - | - Lima {"id":"three","_file_path":"inbox/b.csv"} | 4 Cork -
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
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0  id varchar -> bigint  release 2
    sql: 1
    land: `people` has no schema: write `schema.table`
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

#[tokio::test]
async fn a_copy_is_left_out_and_a_link_is_the_file_itself() {
    let lake = TestLake::new();
    lake.land("crm.people", "a.csv", "id,city\n1,Oslo").await;
    lake.land("crm.people", "b.csv", "id,city\n1,Oslo").await;
    #[cfg(unix)]
    std::os::unix::fs::symlink(lake.path().join("inbox/a.csv"), lake.path().join("inbox/link.csv")).unwrap();
    lake.land_as("crm.people", &["inbox/link.csv"], &[]).await;
    lake.land_as("crm.people", &["inbox"], &[("on_copy", "load")]).await;
    lake.sql("select count(*), count(distinct _file_path) from crm.people").await;
    lake.land_as("crm.people", &["inbox/a.csv"], &[("force", "true")]).await;
    lake.sql("select id, city, _file_path from crm.people order by _file_path").await;
    lake.write("inbox/c.csv", "id,city\n1,Oslo");
    lake.land_as("crm.people", &["inbox/c.csv"], &[("on_copy", "fail")]).await;
    assert_snapshot!(lake.story(), @"
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0  release 1
    land: crm.people  copy of a file that version 0 of the table loaded  nothing new
    land: crm.people  known  nothing new
    land: crm.people  known, read 1 loaded 1 rescued 0 rejected 0  release 2
    sql: 2 2
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0  release 3
    sql: 1 Oslo inbox/a.csv | 1 Oslo inbox/b.csv
    land: inbox/c.csv has the same bytes as a file that version 2 of the table loaded
    ");
}

#[tokio::test]
async fn copies_among_new_files_are_seen_and_a_reloaded_file_frees_its_bytes() {
    let lake = TestLake::new();
    lake.write("inbox/a.csv", "id\n1");
    lake.write("inbox/b.csv", "id\n1");
    lake.land_as("crm.ids", &["inbox"], &[]).await;
    lake.write("inbox/a.csv", "id\n2");
    lake.land_as("crm.ids", &["inbox/a.csv"], &[("on_change", "reload")]).await;
    // Nobody has the rows of `b.csv` any more.
    lake.land_as("crm.ids", &["inbox"], &[]).await;
    lake.sql("select id, _file_path from crm.ids order by id").await;
    lake.roll_back(Some(1)).await;
    lake.land_as("crm.ids", &["inbox"], &[]).await;
    assert_snapshot!(lake.story(), @"
    land: crm.ids  read 1 loaded 1 rescued 0 rejected 0, copy of inbox/a.csv  release 1
    land: crm.ids  read 1 loaded 1 rescued 0 rejected 0  release 2
    land: crm.ids  known, read 1 loaded 1 rescued 0 rejected 0  release 3
    sql: 1 inbox/b.csv | 2 inbox/a.csv
    rollback: release 4 (rollback to 1)
    land: crm.ids  changed: inbox/a.csv, copy of a file that version 0 of the table loaded  nothing new
    ");
}

#[tokio::test]
async fn columns_that_appear_later_are_added_rescued_refused_or_left_out() {
    let mut told = String::new();
    for mode in ["addNewColumns", "rescue", "failOnNewColumns", "none", "discard_row"] {
        let lake = TestLake::new();
        lake.land("crm.people", "a.csv", "id,city\n1,Oslo").await;
        lake.write("inbox/b.csv", "city,age,id,note\nRome,7,2,\nLima,,3,\n");
        lake.land_as("crm.people", &["inbox/b.csv"], &[("schema_evolution_mode", mode)]).await;
        lake.sql(
            "select * exclude (_file_path, _file_modification_time, _load_id) from crm.people order by id",
        )
        .await;
        lake.sql("select line, column_name, error_type, error_message, csv_line from crm.people__rejected")
            .await;
        told += &format!("{mode}\n{}", lake.story().split_once('\n').unwrap().1);
    }
    assert_snapshot!(told, @r#"
    addNewColumns
    land: crm.people  read 2 loaded 2 rescued 0 rejected 0  +age bigint  release 2
    sql: 1 Oslo - 2 - | 2 Rome - 2 7 | 3 Lima - 3 -
    sql: there is no table `crm.people__rejected`
    rescue
    land: crm.people  read 2 loaded 1 rescued 1 rejected 0  release 2
    sql: 1 Oslo - 2 | 2 Rome {"age":"7","_file_path":"inbox/b.csv"} 2 | 3 Lima - 3
    sql: there is no table `crm.people__rejected`
    failOnNewColumns
    land: inbox/b.csv:2 has a column `age`, and the table has none
    sql: 1 Oslo - 2
    sql: there is no table `crm.people__rejected`
    none
    land: crm.people  read 2 loaded 2 rescued 0 rejected 0  release 2
    sql: 1 Oslo - 2 | 2 Rome - 2 | 3 Lima - 3
    sql: there is no table `crm.people__rejected`
    discard_row
    land: crm.people  read 2 loaded 1 rescued 0 rejected 1  release 2
    sql: 1 Oslo - 2 | 3 Lima - 3
    sql: 2 age new_column the table has no column `age` Rome,7,2,
    "#);
}

#[tokio::test]
async fn values_that_do_not_fit_are_rescued_widened_refused_or_left_out() {
    let mut told = String::new();
    for contract in ["rescue", "evolve", "freeze", "discard_value", "discard_row"] {
        let lake = TestLake::new();
        lake.land(
            "shop.prices",
            "a.csv",
            "id,big,price,day\n1,9007199254740993,5,2013-01-01\n3,4,6,2013-01-02",
        )
        .await;
        lake.write("inbox/b.csv", "id,big,price,day\n2,1.5,5.5,2013-01-03 10:00:00\nx,8,7,soon\n");
        lake.land_as("shop.prices", &["inbox/b.csv"], &[("contract_data_type", contract)]).await;
        lake.sql(
            "select id, big, price, day, _rescued_data from shop.prices order by _file_path, _row_number",
        )
        .await;
        lake.sql("select line, column_name, error_type, csv_line from shop.prices__rejected").await;
        told += &format!("{contract}\n{}", lake.story().split_once('\n').unwrap().1);
    }
    assert_snapshot!(told, @r#"
    rescue
    land: shop.prices  read 2 loaded 0 rescued 2 rejected 0  release 2
    sql: 1 9007199254740993 5 2013-01-01 - | 3 4 6 2013-01-02 - | 2 - - - {"big":"1.5","price":"5.5","day":"2013-01-03 10:00:00","_file_path":"inbox/b.csv"} | - 8 7 - {"id":"x","day":"soon","_file_path":"inbox/b.csv"}
    sql: there is no table `shop.prices__rejected`
    evolve
    land: shop.prices  read 2 loaded 2 rescued 0 rejected 0  id bigint -> varchar  big bigint -> varchar  price bigint -> double  day date -> varchar  release 2
    sql: 1 9007199254740993 5.0 2013-01-01 - | 3 4 6.0 2013-01-02 - | 2 1.5 5.5 2013-01-03 10:00:00 - | x 8 7.0 soon -
    sql: there is no table `shop.prices__rejected`
    freeze
    land: inbox/b.csv:2: "1.5" does not fit column `big` (bigint)
    sql: 1 9007199254740993 5 2013-01-01 - | 3 4 6 2013-01-02 -
    sql: there is no table `shop.prices__rejected`
    discard_value
    land: shop.prices  read 2 loaded 2 rescued 0 rejected 0  release 2
    sql: 1 9007199254740993 5 2013-01-01 - | 3 4 6 2013-01-02 - | 2 - - - - | - 8 7 - -
    sql: there is no table `shop.prices__rejected`
    discard_row
    land: shop.prices  read 2 loaded 0 rescued 0 rejected 2  release 2
    sql: 1 9007199254740993 5 2013-01-01 - | 3 4 6 2013-01-02 -
    sql: 2 big type_mismatch 2,1.5,5.5,2013-01-03 10:00:00 | 3 id type_mismatch x,8,7,soon
    "#);
}

#[tokio::test]
async fn too_many_rejected_records_fail_the_load_and_leave_nothing() {
    let lake = TestLake::new();
    lake.write("inbox/a.csv", "id,city\n1,Oslo\n2\n3,Rome\n4,Lima,5\n");
    lake.land_as("crm.people", &["inbox/a.csv"], &[("max_rejected", "1")]).await;
    lake.land_as("crm.people", &["inbox/a.csv"], &[("max_rejected_fraction", "0.4")]).await;
    lake.sql("select count(*) from crm.people").await;
    lake.land_as("crm.people", &["inbox/a.csv"], &[("max_rejected", "2"), ("max_rejected_fraction", "0.5")])
        .await;
    assert_snapshot!(lake.story(), @"
    land: 2 records of 4 rejected, and 1 is allowed; the first is inbox/a.csv:3: 1 field where the header has 2
    land: 2 records of 4 rejected, and 40 % are allowed; the first is inbox/a.csv:3: 1 field where the header has 2
    sql: there is no table `crm.people`
    land: crm.people  read 4 loaded 2 rescued 0 rejected 2  release 1
    ");
}

#[tokio::test]
async fn a_dry_run_tells_what_would_happen_and_writes_nothing() {
    let lake = TestLake::on_disk();
    lake.land("crm.people", "a.csv", "id,city\n1,Oslo").await;
    lake.write("inbox/b.csv", "id,city,age\n2,Rome,7\nx,Lima,8\n3\n");
    let before = lake.all_files();
    lake.validate("crm.people", &["inbox"]).await;
    lake.validate("crm.new", &["inbox"]).await;
    assert_eq!(lake.all_files(), before);
    assert_snapshot!(lake.story(), @"
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0  release 1
    land: crm.people  known, read 3 loaded 1 rescued 1 rejected 1  +age bigint  dry run
          inbox/b.csv:4: 1 field where the header has 3
    land: crm.new  read 1 loaded 1 rescued 0 rejected 0, read 3 loaded 2 rescued 0 rejected 1  dry run
          inbox/b.csv:4: 1 field where the header has 3
    ");
}

#[tokio::test]
async fn a_contract_may_freeze_the_tables() {
    let lake = TestLake::new();
    lake.write("inbox/a.csv", "id\n1");
    lake.land_as("crm.people", &["inbox/a.csv"], &[("contract_tables", "freeze")]).await;
    lake.land_as("crm.people", &["inbox/a.csv"], &[("contract_tabels", "freeze")]).await;
    assert_snapshot!(lake.story(), @"
    land: there is no table `crm.people`, and its contract makes none
    land: there is no option `contract_tabels`
    ");
}

#[tokio::test]
async fn dates_and_decimals_are_read_as_the_first_files_told() {
    let lake = TestLake::new();
    lake.land("shop.sales", "a.csv", "day;amount\n31/01/2013;1.234,50\n01/02/2013;7,5\n").await;
    // Nothing here tells that the day comes first, and that a point parts thousands.
    lake.land("shop.sales", "b.csv", "day;amount\n05/06/2013;1.234\n").await;
    lake.sql("select day, amount from shop.sales order by day").await;
    lake.land("shop.other", "c.csv", "day,amount\n05/06/2013,1\n").await;
    lake.land("shop.other", "c.csv", "day,amount|x\n2013-06-05,1|2\n").await;
    assert_snapshot!(lake.story(), @r#"
    land: shop.sales  read 2 loaded 2 rescued 0 rejected 0  release 1
    land: shop.sales  read 1 loaded 1 rescued 0 rejected 0  release 2
    sql: 2013-01-31 1234.5 | 2013-02-01 7.5 | 2013-06-05 1234.0
    land: inbox/c.csv:2 reads two ways: `05/06/2013` of column `day` begins with the day, or it begins with the month
    land: inbox/c.csv reads two ways: 2 columns between "," (`day` `amount|x`), or 2 columns between "|" (`day,amount` `x`)
    "#);
}

#[tokio::test]
async fn folders_that_name_a_column_become_a_column() {
    let lake = TestLake::new();
    lake.write("inbox/year=2013/city=Oslo/a.csv", "id\n1\n2");
    lake.write("inbox/year=2014/city=New%20York/a.csv", "id\n3");
    lake.land_as("crm.visits", &["inbox"], &[]).await;
    lake.write("inbox/year=unknown/city=__HIVE_DEFAULT_PARTITION__/a.csv", "id\n4");
    lake.land_as("crm.visits", &["inbox/**/*.csv"], &[]).await;
    lake.sql("select id, year, city, _rescued_data from crm.visits order by id").await;
    lake.land_as("crm.plain", &["inbox"], &[("hive_partitioning", "false")]).await;
    lake.sql("select * exclude (_file_path, _file_modification_time, _load_id, _row_number) from crm.plain order by id").await;
    assert_snapshot!(lake.story(), @r#"
    land: crm.visits  read 2 loaded 2 rescued 0 rejected 0, read 1 loaded 1 rescued 0 rejected 0  release 1
    land: crm.visits  known, known, read 1 loaded 0 rescued 1 rejected 0  release 2
    sql: 1 2013 Oslo - | 2 2013 Oslo - | 3 2014 New York - | 4 - - {"year":"unknown","_file_path":"inbox/year=unknown/city=__HIVE_DEFAULT_PARTITION__/a.csv"}
    land: crm.plain  read 2 loaded 2 rescued 0 rejected 0, read 1 loaded 1 rescued 0 rejected 0, read 1 loaded 1 rescued 0 rejected 0  release 3
    sql: 1 - | 2 - | 3 - | 4 -
    "#);
}

#[tokio::test]
async fn nobody_has_to_know_where_rows_are_from() {
    let lake = TestLake::new();
    lake.write("inbox/a.csv", "id\n1");
    lake.land_as("crm.ids", &["inbox/a.csv"], &[("provenance", "false"), ("external", "true")]).await;
    lake.sql("select * from crm.ids").await;
    assert!(!lake.path().join("lake/raw").exists());
    lake.write("inbox/a.csv", "id\n22");
    lake.land_as("crm.ids", &["inbox/a.csv"], &[("on_change", "reload")]).await;
    lake.write("inbox/b.csv", "id\n3");
    lake.land_as("crm.ids", &["inbox/b.csv"], &[]).await;
    lake.sql("select id, _file_path from crm.ids order by id").await;
    assert_snapshot!(lake.story(), @"
    land: crm.ids  read 1 loaded 1 rescued 0 rejected 0  release 1
    sql: 1 -
    land: the rows of inbox/a.csv cannot be replaced: the table does not say which file its rows are from
    land: crm.ids  read 1 loaded 1 rescued 0 rejected 0  release 2
    sql: 1 - | 3 inbox/b.csv
    ");
}

#[tokio::test]
async fn a_landed_table_is_partitioned_and_clustered_as_its_source_declares() {
    let lake = TestLake::new();
    lake.write(
        "models/s.yml",
        "sources: [{name: crm, tables: [{name: people, config: {location: 'inbox/*.csv', \
         partition_by: [city], cluster_by: id, write_mode: merge-on-read}}]}]",
    );
    for file in 0..9 {
        let rows: String =
            (0..4).map(|row| format!("{},{}\n", 100 - file - row, ["Oslo", "Rome"][row % 2])).collect();
        lake.write(&format!("inbox/{file:02}.csv"), &format!("id,City\n{rows}"));
    }
    lake.build().await;
    lake.sql("select partition_columns from elt.tables where table_name = 'people'").await;
    lake.sql("select count(*) as files from elt.files where table_name = 'people'").await;
    let detail = lake.rows("describe detail crm.people").await;
    assert!(detail.contains("merge-on-read") && detail.contains("\"id\""), "{detail}");
    lake.sql("select count(*) as n, min(id) as first from crm.people where city = 'Oslo'").await;
    lake.write("inbox/more.csv", "id,City\n1,Lima\n");
    lake.build_due().await;
    lake.land_as("crm.other", &["inbox/more.csv"], &[("partition_by", "town")]).await;
    lake.sql("select count(*) as n, count(distinct city) as cities from crm.people").await;
    let told = lake.story().replace("read 4 loaded 4 rescued 0 rejected 0, ", "");
    assert_snapshot!(told, @"
    build: landed crm.people  read 4 loaded 4 rescued 0 rejected 0
    build: release 1
    sql: city
    sql: 2
    sql: 18 90
    build: landed crm.people  known, known, known, known, known, known, known, known, known, read 1 loaded 1 rescued 0 rejected 0
    build: release 2
    land: there is no column `town` to partition by
    sql: 37 3
    ");
}

#[tokio::test]
async fn a_load_in_portions_takes_the_oldest_files_and_goes_on_with_the_others() {
    let lake = TestLake::new();
    for (file, age) in [("a", 10), ("b", 30), ("c", 20), ("d", 5)] {
        let path = lake.path().join(format!("inbox/{file}.csv"));
        lake.write(&format!("inbox/{file}.csv"), &format!("id\n{age}\n"));
        let modified =
            std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000 - age);
        std::fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
    }
    for portion in
        [Portion { files: 2, bytes: 1000 }, Portion { files: 10, bytes: 1 }, Portion::ALL, Portion::ALL]
    {
        let order = LandOrder {
            table: "raw.t".into(),
            files: vec!["inbox".into()],
            portion: Some(portion),
            ..LandOrder::default()
        };
        let landed = Box::pin(lake.open().land_files(&order, &Unwatched)).await.unwrap();
        let loaded: Vec<&str> = landed.report.accounts().map(|account| account.path.as_str()).collect();
        lake.note(&format!("{loaded:?}, {} wait", landed.report.waiting));
    }
    assert_snapshot!(lake.story(), @r#"
    ["inbox/b.csv", "inbox/c.csv"], 2 wait
    ["inbox/a.csv"], 1 wait
    ["inbox/d.csv"], 0 wait
    [], 0 wait
    "#);
}
