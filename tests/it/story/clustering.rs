//! Rows with near values lie near each other.

use std::collections::BTreeSet;
use std::path::PathBuf;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use insta::assert_snapshot;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

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

/// The keys in each data file of a table that was not known before, in the order in which they lie there.
fn new_keys(lake: &TestLake, table: &str, known: &mut BTreeSet<PathBuf>) -> Vec<Vec<i64>> {
    let listed = std::fs::read_dir(lake.table_folder(table)).unwrap().map(|entry| entry.unwrap().path());
    let new: BTreeSet<PathBuf> = listed
        .filter(|path| path.extension().is_some_and(|name| name == "parquet") && !known.contains(path))
        .collect();
    known.extend(new.iter().cloned());
    let keys_of = |path: &PathBuf| {
        let file = std::fs::File::open(path).unwrap();
        let rows = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let keys = |batch: arrow::array::RecordBatch| {
            batch.column_by_name("k").unwrap().as_primitive::<Int64Type>().values().to_vec()
        };
        rows.flat_map(|batch| keys(batch.unwrap())).collect()
    };
    new.iter().map(keys_of).collect()
}

/// Several files are read at once; what is written of them lies as it lay, so that statistics still tell where a key is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_written_again_lie_as_they_lay() {
    let lake = TestLake::on_disk();
    let each = |table: &str, first: i64| {
        let end = first + 16_000;
        format!("insert into {table} select value, value % 7, 'note ' || value from range({first}, {end})")
    };
    for table in ["t", "w"] {
        lake.sql(&format!("create table {table} (k bigint, v bigint, note varchar)")).await;
        for file in 0..6 {
            lake.sql(&each(table, file * 16_000)).await;
        }
    }
    lake.story();
    let mut known = BTreeSet::new();
    let in_order = |keys: &[Vec<i64>], rows: usize| {
        assert_eq!(keys.iter().map(Vec::len).sum::<usize>(), rows);
        for keys in keys {
            let scattered = keys.windows(2).find(|pair| pair[0] > pair[1]);
            assert!(scattered.is_none(), "keys are scattered: {scattered:?}");
        }
    };
    in_order(&new_keys(&lake, "main.t", &mut known), 96_000);

    lake.sql("create table u as select k, v + 1 as v, note from t").await;
    in_order(&new_keys(&lake, "main.u", &mut known), 96_000);
    lake.sql("create table few as select k, note from t where v <> 3").await;
    in_order(&new_keys(&lake, "main.few", &mut known), 82_286);
    lake.write("models/made.sql", "{{ config(materialized='table') }} select k, note from main.u");
    lake.build().await;
    in_order(&new_keys(&lake, "main.made", &mut known), 96_000);

    // Rows go from all six files.
    lake.sql("delete from t where k % 1000 = 7").await;
    in_order(&new_keys(&lake, "main.t", &mut known), 95_904);
    for file in 6..9 {
        lake.sql(&each("t", file * 16_000)).await;
    }
    new_keys(&lake, "main.t", &mut known);
    lake.sql("update t set v = 100 where k >= 92000 and k % 2 = 0").await;
    in_order(&new_keys(&lake, "main.t", &mut known), 143_904);
    new_keys(&lake, "main.w", &mut known);
    lake.sql("optimize w").await;
    in_order(&new_keys(&lake, "main.w", &mut known), 96_000);
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 96000 0 0 15
    sql: CREATE TABLE 82286 0 0 16
    build: made created (96,000 added)
    build: release 17
    sql: DELETE 0 0 96 18
    sql: INSERT 16000 0 0 19
    sql: INSERT 16000 0 0 20
    sql: INSERT 16000 0 0 21
    sql: UPDATE 0 26000 0 22
    sql: OPTIMIZE 0 0 0 23
    ");
}
