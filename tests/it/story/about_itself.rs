//! What the lake says of itself: the tables of the schema `elt`.

use insta::assert_snapshot;

use crate::test_lake::TestLake;

async fn shop() -> TestLake {
    let lake = TestLake::new();
    lake.write(
        "models/s.yml",
        "sources: [{name: crm, tables: [{name: people, config: {location: 'inbox/*.csv'}}]}]\n\
         models: [{name: cities, description: every city, columns: [{name: city, data_tests: [not_null, unique]}]}]",
    );
    lake.write(
        "models/cities.sql",
        "{{ config(materialized='table') }} select distinct city from {{ source('crm', 'people') }}",
    );
    lake.write("models/first.sql", "select min(city) as city from {{ ref('cities') }}");
    lake.write("inbox/a.csv", "id,city\n1,Oslo\n2,Rome\n");
    lake.build().await;
    lake.write("inbox/b.csv", "id,city\n3,Oslo\nfour,Lima\n5\n");
    lake.write_bytes("inbox/c.csv", b"PAR1 this is no text");
    lake.build().await;
    lake.story();
    lake
}

#[tokio::test]
async fn releases_tables_and_runs_can_be_asked_for() {
    let lake = shop().await;
    lake.sql("select release, published_at::date, user_name, made_by, is_published, num_tables_changed, num_tables, num_views from elt.releases order by release").await;
    lake.sql("select table_name, version, release, operation, rows_added, rows_after from elt.table_versions order by release, table_name").await;
    lake.sql("select table_schema, table_name, table_type, version, num_rows, num_files, size_in_bytes > 0, write_mode, location, description from elt.tables where table_schema <> 'elt' order by 1, 2").await;
    lake.sql("select table_name, column_name, ordinal_position, data_type, is_nullable from elt.columns where table_schema = 'main' order by 1, 3").await;
    lake.sql("select table_name, count(*), sum(num_rows), min(size_in_bytes) > 0 from elt.files group by 1 order by 1").await;
    lake.sql("select command, started_at < now(), user_name, release, num_steps, num_failed from elt.runs order by started_at").await;
    lake.sql("select name, resource_type, action, status, is_published, rows_added, execution_time >= 0 from elt.model_runs order by run_id, name").await;
    lake.sql("select name, status, failures, path from elt.test_results order by run_id, name").await;
    lake.sql("select count(*) from elt.runs join elt.model_runs using (run_id)").await;
    assert_snapshot!(lake.story(), @"
    sql: 1 2026-01-01 tester build true 2 2 1 | 2 2026-01-01 tester build true 3 3 1
    sql: cities 0 1 Overwrite 2 2 | people 0 1 Append 2 2 | cities 1 2 Overwrite 3 3 | people 1 2 Append 2 4 | people__rejected 0 2 Append 1 1
    sql: crm people table 1 4 2 true copy-on-write tables/crm/people - | crm people__rejected table 0 1 1 true copy-on-write tables/crm/people__rejected - | main cities table 1 3 1 true copy-on-write tables/main/cities - | main first view - - - - - - -
    sql: cities city 1 varchar true | first city 1 varchar true
    sql: cities 1 3 true | people 2 4 true | people__rejected 1 1 true
    sql: build true tester 1 4 0 | build true tester 2 4 0
    sql: cities model create_table success true 2 true | first model make_view success true 0 true | cities model replace_table success true 3 true | first model make_view success true 0 true
    sql: not_null_cities_city pass 0 models/s.yml:2:86 | unique_cities_city pass 0 models/s.yml:2:96 | not_null_cities_city pass 0 models/s.yml:2:86 | unique_cities_city pass 0 models/s.yml:2:96
    sql: 4
    ");
}

#[tokio::test]
async fn runs_tell_what_they_took_and_tests_which_rows_break_them() {
    let lake = TestLake::new();
    lake.write("models/wide.sql", "{{ config(materialized='table') }} select a.i % 10 as k, count(*) as n from range(1000) a(i) join range(1000) b(j) on a.i = b.j group by 1");
    lake.write("models/seen.sql", "select k, n from {{ ref('wide') }} where k < 3");
    lake.write(
        "models/s.yml",
        "models:\n  - name: seen\n    columns:\n      - name: k\n        data_tests:\n          - accepted_values: {values: [0, 1]}\n          \
         - unique\n",
    );
    drop(lake.build_passing().await);
    lake.story();
    lake.sql("select status, num_failed, num_warned, rows_written, bytes_written > 0, files_written, peak_memory_bytes > 0, spilled_bytes from elt.runs").await;
    lake.sql("select name, bytes_written > 0, files_written, peak_memory_bytes > 0, spilled_bytes from elt.model_runs order by name").await;
    lake.sql("select name, status, failures, sample from elt.test_results order by name").await;
    assert_snapshot!(lake.story(), @r#"
    sql: error 1 0 10 true 1 true 0
    sql: seen - - - - | wide true 1 true 0
    sql: accepted_values_seen_k__0__1 fail 1 [{"k":2,"n":100}] | unique_seen_k pass 0 -
    "#);
}

#[tokio::test]
async fn what_was_asked_can_be_asked_for() {
    let state = tempfile::tempdir().unwrap();
    let mut lake = TestLake::new();
    lake.set_env("ELT_QUERY_HISTORY", &state.path().display().to_string());
    lake.sql("create table t as select * from (values (1), (2)) as v(n)").await;
    let session = lake.open().session().await.unwrap();
    for sql in ["from t", "select nothing from t", "select 1 / (n - n) from t"] {
        let asked = session.asked(sql, "ada", "test");
        match session.execute(sql).await {
            Ok(outcome) => drop(asked.answered(outcome).collect().await),
            Err(error) => asked.failed(&error),
        }
    }
    let asked = session.asked("select left", "ben", "test");
    drop(asked.answered(session.execute("from t").await.unwrap()));
    lake.sql("select status, num_rows, statement_text, message, user_name, application, release, elapsed_seconds >= 0, started_at < now() from elt.query_history order by started_at").await;
    lake.set_env("ELT_QUERY_HISTORY", "");
    drop(session.asked("select of another", "ben", "test"));
    drop(lake.open().session().await.unwrap().asked("select unnoted", "ben", "test"));
    lake.sql("select count(*) from elt.query_history").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 2 0 0 1
    sql: succeeded 2 from t - ada test 1 true true | failed - select nothing from t there is no column `nothing` ada test 1 true true | failed - select 1 / (n - n) from t division by zero ada test 1 true true | cancelled 0 select left - ben test 1 true true
    sql: 0
    ");
}

#[tokio::test]
async fn loads_can_be_asked_for() {
    let lake = shop().await;
    lake.sql("select table_name, file_name, status, row_parsed, row_count, rows_rescued, error_count, first_error_message, first_error_line_number, version, release, load_id is not null from elt.copy_history order by version, file_name").await;
    lake.sql("select table_schema, table_name, file_name, line, error_type, csv_line from elt.load_errors")
        .await;
    lake.sql("select h.file_name, count(e.line) from elt.copy_history h left join elt.load_errors e using (load_id, file_name) group by 1 order by 1").await;
    lake.roll_back(Some(1)).await;
    lake.sql("select file_name, status from elt.copy_history order by version, file_name").await;
    assert_snapshot!(lake.story(), @"
    sql: people inbox/a.csv loaded 2 2 0 0 - - 0 1 true | people inbox/b.csv loaded 3 2 1 1 1 field where the header has 2 4 1 2 true | people inbox/c.csv failed - - - - inbox/c.csv would be read as CSV, and is a Parquet file - 1 2 true
    sql: crm people inbox/b.csv 4 too_few_fields 5
    sql: inbox/a.csv 0 | inbox/b.csv 1 | inbox/c.csv 0
    rollback: release 3 (rollback to 1)
    sql: inbox/a.csv loaded | inbox/b.csv loaded | inbox/c.csv failed
    ");
}

#[tokio::test]
async fn a_lake_with_nothing_in_it_has_these_tables_too() {
    let lake = TestLake::new();
    for table in [
        "releases",
        "tables",
        "columns",
        "table_versions",
        "files",
        "runs",
        "model_runs",
        "test_results",
        "copy_history",
        "load_errors",
        "query_history",
    ] {
        let rows = lake.rows(&format!("select count(*) from elt.{table} where true")).await;
        assert_eq!(rows, if table == "tables" { "12" } else { "0" }, "{table}");
        assert!(!lake.rows(&format!("describe elt.{table}")).await.contains("no table"), "{table}");
    }
    lake.sql("show tables in elt").await;
    lake.sql("describe elt.load_errors").await;
    lake.sql("select * from elt.relases").await;
    lake.sql("create table elt.releases (a int)").await;
    lake.sql("drop table elt.releases").await;
    lake.sql("insert into elt.releases values (1)").await;
    lake.sql("create table information_schema.tables as select 1 as a").await;
    lake.sql("create view pg_catalog.pg_class as select 1 as a").await;
    lake.sql(
        "select table_name from information_schema.tables where table_schema = 'elt' order by 1 limit 2",
    )
    .await;
    // A lake may have a schema of that name.
    lake.sql("create table elt.mine as select 1 as a").await;
    lake.sql("select a from elt.mine").await;
    lake.sql("select release, made_by from ELT.\"Releases\"").await;
    assert_snapshot!(lake.story(), @"
    sql: elt columns system - - | elt copy_history system - - | elt files system - - | elt lineage system - - | elt load_errors system - - | elt model_runs system - - | elt query_history system - - | elt releases system - - | elt runs system - - | elt table_versions system - - | elt tables system - - | elt test_results system - -
    sql: table_schema varchar NO | table_name varchar NO | file_name varchar NO | line bigint NO | column_name varchar NO | error_type varchar NO | error_message varchar NO | csv_line varchar NO | load_id varchar NO
    sql: there is no table `elt.relases`
    sql: a table of the name `elt.releases`, which is elt's own, is not supported
    sql: `elt.releases` is told by elt, and nothing can be written there
    sql: `elt.releases` is told by elt, and nothing can be written there
    sql: a table in the schema `information_schema` is not supported
    sql: a table in the schema `pg_catalog` is not supported
    sql: columns | copy_history
    sql: CREATE TABLE 1 0 0 1
    sql: 1
    sql: 1 CREATE TABLE
    ");
}

#[tokio::test]
async fn a_lake_that_is_made_anew_does_not_tell_what_another_was_asked() {
    let mut lake = TestLake::on_disk();
    let folder = lake.path().join("asked").display().to_string();
    lake.set_env("ELT_QUERY_HISTORY", &folder);
    lake.sql("create table t as select 1 as id").await;
    let ask = async |lake: &TestLake, sql: &str| {
        let session = lake.open().session().await.unwrap();
        let asked = session.asked(sql, "ann", "test");
        asked.done(1);
    };
    ask(&lake, "select 1").await;
    lake.sql("select statement_text from elt.query_history").await;
    std::fs::remove_dir_all(lake.path().join("lake")).unwrap();
    lake.sql("create table t as select 1 as id").await;
    ask(&lake, "select 2").await;
    lake.sql("select statement_text from elt.query_history").await;
    let story = lake.story();
    let told: Vec<&str> = story.lines().filter(|line| line.contains("select")).collect();
    assert_eq!(told, ["sql: select 1", "sql: select 2"], "{story}");
}
