//! Tables that take the files of others, and files that become a table where they are.

use insta::assert_snapshot;

use crate::test_lake::TestLake;

#[tokio::test]
async fn a_shallow_clone_reads_no_row_and_lives_on_its_own() {
    let lake = TestLake::on_disk();
    lake.sql("create table t (id bigint not null, city string, day date) partitioned by (day) comment 'who lives where'").await;
    lake.sql("alter table t set tblproperties ('delta.enableDeletionVectors' = 'true', 'elt.writeMode' = 'merge-on-read')").await;
    lake.sql("insert into t values (1, 'Oslo', date '2026-01-01'), (2, 'Rome', date '2026-01-01'), (3, 'Lima', date '2026-01-02')").await;
    lake.sql("delete from t where id = 2").await;
    lake.sql("create table c shallow clone t").await;
    lake.sql("create table early shallow clone t version as of 2").await;
    lake.sql("create table deep deep clone t version as of 2").await;
    lake.sql("create table late clone t as of release 4 comment 'its own'").await;
    lake.sql("create table u shallow clone t tblproperties ('a' = 'b')").await;
    lake.sql("create table u shallow clone t version as of 9").await;
    lake.sql("create table u shallow clone nope").await;
    lake.sql("select * from c order by id").await;
    lake.sql("select (select count(*) from early), (select count(*) from deep), (select count(*) from late)")
        .await;
    lake.note(&format!("files of a name in both: {}", shared(&lake, "t", "c")));
    lake.sql("update c set city = upper(city)").await;
    lake.sql("insert into c values (null, 'x', null)").await;
    lake.sql("delete from t where id = 3").await;
    lake.sql("optimize t").await;
    lake.sql("alter table t set tblproperties ('delta.deletedFileRetentionDuration' = 'interval 0 hours')")
        .await;
    lake.sql("vacuum t retain 0 hours").await;
    lake.sql("select * from c order by id").await;
    lake.sql("select * from t order by id").await;
    lake.sql("create or replace table c shallow clone early").await;
    lake.sql("create or replace table c shallow clone early").await;
    lake.sql("select * from c order by id").await;
    lake.sql("describe history c").await;
    lake.sql("describe c").await;
    assert_snapshot!(lake.story(), @r#"
    sql: CREATE TABLE 0 0 0 1
    sql: ALTER TABLE 0 0 0 2
    sql: INSERT 3 0 0 3
    sql: DELETE 0 0 1 4
    sql: CREATE TABLE 2 0 0 5
    sql: CREATE TABLE 3 0 0 6
    sql: CREATE TABLE 3 0 0 7
    sql: CREATE TABLE 2 0 0 8
    sql: TBLPROPERTIES for a shallow clone is not supported
    sql: `main.t` has no version 9
    sql: there is no table `main.nope`
    sql: 1 Oslo 2026-01-01 | 3 Lima 2026-01-02
    sql: 3 3 2
    files of a name in both: 3
    sql: UPDATE 0 2 0 9
    sql: a row for `main.c` has no `id`, which is NOT NULL: id = null, city = x, day = null
    sql: DELETE 0 0 1 10
    sql: OPTIMIZE 0 0 0 11
    sql: ALTER TABLE 0 0 0 12
    sql: tables/main/t/day=2026-01-01/part-id-0005.parquet 786 | tables/main/t/day=2026-01-02/part-id-0006.parquet 766 | tables/main/t/deletion_vector_a4f4dcdd-fd8f-e67f-be14-1f8f0dd94b8f.bin 43
    sql: 1 OSLO 2026-01-01 | 3 LIMA 2026-01-02
    sql: 1 Oslo 2026-01-01
    sql: CREATE TABLE 3 0 0 13
    sql: CREATE TABLE 3 0 0 14
    sql: 1 Oslo 2026-01-01 | 2 Rome 2026-01-01 | 3 Lima 2026-01-02
    sql: 3 2026-01-01 00:00:32.000 tester CLONE {"isShallow":"true"} {"numDeletedRows":"0","numFiles":"0","numOutputBytes":"0","numOutputRows":"3","numRemovedFiles":"0","numUpdatedRows":"0"} elt/0.1.0 14 | 2 2026-01-01 00:00:30.000 tester CLONE {"isShallow":"true"} {"numDeletedRows":"0","numFiles":"2","numOutputBytes":"1552","numOutputRows":"3","numRemovedFiles":"2","numUpdatedRows":"0"} elt/0.1.0 13 | 1 2026-01-01 00:00:20.000 tester UPDATE {} {"numDeletedRows":"0","numFiles":"2","numOutputBytes":"1532","numOutputRows":"2","numRemovedFiles":"2","numUpdatedRows":"2"} elt/0.1.0 9 | 0 2026-01-01 00:00:08.000 tester CLONE {"isShallow":"true"} {"numDeletedRows":"0","numFiles":"2","numOutputBytes":"1552","numOutputRows":"2","numRemovedFiles":"0","numUpdatedRows":"0"} elt/0.1.0 5
    sql: id bigint NO | city varchar YES | day date YES
    "#);
}

/// How many data files of one table are, by their names, another's too.
fn shared(lake: &TestLake, one: &str, other: &str) -> usize {
    let names = |table: &str| -> Vec<String> {
        let root = lake.table_folder(&format!("main.{table}"));
        let all = lake.all_files().into_iter().filter_map(|(path, _)| {
            let path = path.strip_prefix(&root).ok()?.display().to_string();
            (path.ends_with(".parquet") || path.ends_with(".bin")).then_some(path)
        });
        all.collect()
    };
    let others = names(other);
    names(one).iter().filter(|name| others.contains(name)).count()
}

#[tokio::test]
async fn parquet_files_become_a_table_where_they_are() {
    let lake = TestLake::on_disk();
    let folder = lake.path().join("warehouse");
    let copy =
        |to: &str, query: &str| format!("copy ({query}) to '{}' (format parquet)", folder.join(to).display());
    for folder in
        ["trips/month=01/kind=a%20b", "trips/month=02/kind=__HIVE_DEFAULT_PARTITION__", "odd", "two", "none"]
    {
        std::fs::create_dir_all(lake.path().join("warehouse").join(folder)).unwrap();
    }
    let rows = "select 1 as id, 'Oslo' as city, timestamp '2026-01-01 10:00:00' as at, {'n': 1} as more union all select 2, null, null, null";
    lake.sql(&copy("trips/month=01/kind=a%20b/x.parquet", rows)).await;
    lake.sql(&copy(
        "trips/month=02/kind=__HIVE_DEFAULT_PARTITION__/y.parquet",
        "select 3 as id, 1.5 as fare",
    ))
    .await;
    std::fs::write(folder.join("trips/_SUCCESS"), "").unwrap();
    let convert = |place: &str| format!("convert to delta parquet.`{}`", folder.join(place).display());
    lake.sql(&convert("trips")).await;
    lake.sql(&convert("trips")).await;
    let scan = format!("delta_scan('{}')", folder.join("trips").display());
    lake.sql(&format!("select id, city, at, more, fare, month, kind from {scan} order by id")).await;
    lake.sql(&format!("select id from {scan} where month = 2 and fare > 1")).await;
    lake.sql(&format!("select count(*), min(id), max(id) from {scan} where kind = 'a b'")).await;
    // What cannot be converted says why.
    lake.sql(&copy("two/a.parquet", "select 1 as id")).await;
    lake.sql(&copy("two/b.parquet", "select 'x' as id")).await;
    lake.sql(&convert("two")).await;
    lake.sql(&convert("none")).await;
    lake.sql(&format!("{} partitioned by (day date)", convert("trips"))).await;
    std::fs::write(folder.join("odd/a.csv"), "id\n1").unwrap();
    lake.sql(&convert("odd")).await;
    std::fs::rename(folder.join("odd/a.csv"), folder.join("odd/a.parquet")).unwrap();
    lake.sql(&convert("odd")).await;
    std::fs::remove_dir_all(folder.join("trips/_delta_log")).unwrap();
    lake.sql(&format!("{} partitioned by (day date)", convert("trips"))).await;
    lake.sql(&format!("{} partitioned by (month date, kind string)", convert("trips"))).await;
    lake.sql(&format!("{} partitioned by (month string, kind string)", convert("trips"))).await;
    lake.sql(&format!("select id, month from {scan} order by id")).await;
    lake.sql("convert to delta t").await;
    lake.sql(&format!("{} no statistics", convert("trips"))).await;
    lake.sql("convert t to delta").await;
    let story = lake.story().replace(&folder.display().to_string(), "FOLDER");
    assert_snapshot!(story, @r#"
    sql: 2 1 1430
    sql: 1 1 774
    sql: 2 3 2204
    sql: 0 0 0
    sql: 1 Oslo 2026-01-01T10:00:00 {n: 1} - 1 a b | 2 - - - - 1 a b | 3 - - - 1.5 2 -
    sql: 3
    sql: 2 1 2
    sql: 1 1 470
    sql: 1 1 415
    sql: FOLDER/two was not converted: `id` is bigint in `a.parquet` and varchar in `b.parquet`
    sql: FOLDER/none was not converted: there are no Parquet files in it
    sql: 0 0 0
    sql: FOLDER/odd was not converted: `a.csv` is not Parquet
    sql: FOLDER/odd was not converted: `a.parquet` cannot be read as Parquet: Parquet error: Parquet error: Parquet files are at least 8 bytes long, but file length is 4
    sql: FOLDER/trips was not converted: its folders are of ["month", "kind"]
    sql: FOLDER/trips was not converted: `month=01` of `month=01/kind=a%20b/x.parquet` is not date
    sql: 2 3 2204
    sql: 1 01 | 2 01 | 3 02
    sql: CONVERT TO DELTA of a table's name is not supported, because the tables of a lake are Delta already
    sql: NO STATISTICS is not supported, because the files' footers have them and without them every query reads every file
    sql: `t` is not expected here
    "#);
}
