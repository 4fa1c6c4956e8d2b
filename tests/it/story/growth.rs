//! Tables get more columns, nested ones too, and wider types, and no file is written for it.

use insta::assert_snapshot;

use crate::test_lake::TestLake;

#[tokio::test]
async fn a_type_widens_and_files_stay() {
    let lake = TestLake::on_disk();
    lake.sql(
        "create table t (id int, price decimal(5, 2), share float, day date, big int) partitioned by (big)",
    )
    .await;
    lake.sql(
        "insert into t values (1, 123.45, 0.7, date '2026-01-01', 7), (2, null, 0.1, date '2026-01-02', 8)",
    )
    .await;
    lake.sql("alter table t alter column id type bigint").await;
    lake.sql("alter table t set tblproperties ('delta.enableTypeWidening' = 'true')").await;
    lake.sql("alter table t alter column id type string").await;
    lake.sql("alter table t alter column id type smallint").await;
    lake.sql("alter table t alter column nope type bigint").await;
    lake.sql("alter table t alter column id type bigint, alter column price set data type decimal(8, 4)")
        .await;
    lake.sql("alter table t alter column share type double").await;
    lake.sql("alter table t alter column day type timestamp").await;
    lake.sql("alter table t alter column big type bigint").await;
    lake.sql(
        "insert into t values (5000000000, 1234.5678, 1e300, timestamp '2026-01-03 04:05:06', 9000000000)",
    )
    .await;
    lake.sql("select * from t order by id").await;
    lake.sql("select id from t where share < 0.7 and share > 0.5").await;
    lake.sql("select id from t where day = timestamp '2026-01-02 00:00:00' and big = 8 and price is null")
        .await;
    lake.sql("select min(id), max(id), min(big), max(price), min(day) from t").await;
    lake.sql("select id, price, share, day from t version as of 1 order by id").await;
    lake.sql("update t set price = price + 1 where id = 1").await;
    lake.sql("optimize t").await;
    lake.sql("select * from t order by id").await;
    lake.sql("restore table t to version as of 1").await;
    lake.sql("select * from t order by id").await;
    lake.sql("describe detail t").await;
    assert_snapshot!(lake.story(), @r#"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 2 0 0 2
    sql: a wider type needs type widening, which `main.t` does not have
    sql: ALTER TABLE 0 0 0 3
    sql: `id` of `main.t` is int and its files cannot be read as varchar: types only widen
    sql: `id` of `main.t` is int and its files cannot be read as smallint: types only widen
    sql: `main.t` has no column `nope`
    sql: ALTER TABLE 0 0 0 4
    sql: ALTER TABLE 0 0 0 5
    sql: ALTER TABLE 0 0 0 6
    sql: ALTER TABLE 0 0 0 7
    sql: INSERT 1 0 0 8
    sql: 1 123.4500 0.699999988079071 2026-01-01T00:00:00 7 | 2 - 0.10000000149011612 2026-01-02T00:00:00 8 | 5000000000 1234.5678 1e300 2026-01-03T04:05:06 9000000000
    sql: 1
    sql: 2
    sql: 1 5000000000 7 1234.5678 2026-01-01T00:00:00
    sql: 1 123.45 0.7 2026-01-01 | 2 - 0.1 2026-01-02
    sql: UPDATE 0 1 0 9
    sql: OPTIMIZE 0 0 0 -
    sql: 1 124.4500 0.699999988079071 2026-01-01T00:00:00 7 | 2 - 0.10000000149011612 2026-01-02T00:00:00 8 | 5000000000 1234.5678 1e300 2026-01-03T04:05:06 9000000000
    sql: RESTORE 1 0 2 10
    sql: 1 123.45 0.7 2026-01-01 7 | 2 - 0.1 2026-01-02 8
    sql: delta id-0002 main.t - tables/main/t 9 ["big"] 2 2645 2 0 {} copy-on-write {"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["timestampNtz","typeWidening"],"writerFeatures":["appendOnly","invariants","timestampNtz","typeWidening"]}
    "#);
}

#[tokio::test]
async fn a_merge_lets_in_fields_and_wider_types() {
    let lake = TestLake::new();
    lake.sql("create table t (id int, place struct<city: string>, seen struct<n: int>[])").await;
    lake.sql(
        "insert into t values (1, named_struct('city', 'Oslo'), [named_struct('n', 1)]), (2, null, null)",
    )
    .await;
    let merge = |source: &str| {
        format!(
            "merge with schema evolution into t using ({source}) as s on t.id = s.id when matched then update set * when not matched then insert *"
        )
    };
    let with_zip = "select 1 as id, named_struct('zip', 'N-150', 'city', 'Oslo!') as place union all select 3, named_struct('zip', 'I-118', 'city', 'Rome')";
    lake.sql(&merge(with_zip)).await;
    lake.sql("select * from t order by id").await;
    lake.sql("insert into t values (4, named_struct('city', 'Bonn', 'land', 'D'), null)").await;
    lake.sql("insert into t values (4, named_struct('city', 'Bonn'), null)").await;
    // Without the property a wider value is cast, or refused.
    lake.sql(&merge("select 5000000000 as id, 'x' as more")).await;
    lake.sql(&merge("select 4 as id, [named_struct('n', 2.5)] as seen")).await;
    lake.sql("alter table t set tblproperties ('delta.enableTypeWidening' = 'true')").await;
    lake.sql(&merge(
        "select 5000000000 as id, [named_struct('n', 5000000001, 'm', 'new')] as seen, 'x' as more",
    ))
    .await;
    lake.sql("select * from t order by id").await;
    lake.sql("select id from t where place['zip'] = 'I-118' or more = 'x' order by id").await;
    lake.sql("delete from t where place['zip'] is null").await;
    lake.sql("select * from t order by id").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 2 0 0 2
    sql: MERGE 1 1 0 3
    sql: 1 {city: Oslo!, zip: N-150} [{n: 1}] | 2 - - | 3 {city: Rome, zip: I-118} -
    sql: `place` has no field `land` in the table; leave it out, or let the table take new columns
    sql: INSERT 1 0 0 4
    sql: a value does not fit column `id`: Can't cast value 5000000000 to type int
    sql: `seen` of `main.t` is struct(n int)[] and cannot take struct(n double)[]
    sql: ALTER TABLE 0 0 0 5
    sql: MERGE 1 0 0 6
    sql: 1 {city: Oslo!, zip: N-150} [{n: 1, m: -}] - | 2 - - - | 3 {city: Rome, zip: I-118} - - | 4 {city: Bonn, zip: -} - - | 5000000000 - [{n: 5000000001, m: new}] x
    sql: 3 | 5000000000
    sql: DELETE 0 0 3 7
    sql: 1 {city: Oslo!, zip: N-150} [{n: 1, m: -}] - | 3 {city: Rome, zip: I-118} - -
    ");
}

#[tokio::test]
async fn what_is_worked_out_from_a_column_holds_its_type() {
    let lake = TestLake::new();
    lake.sql("create table t (id int, twice int generated always as (id * 2)) tblproperties ('delta.enableTypeWidening' = 'true')").await;
    lake.sql("alter table t alter column id type bigint").await;
    lake.sql("alter table t alter column twice type bigint").await;
    lake.sql("insert with schema evolution into t select 1").await;
    assert_snapshot!(lake.story(), @"
    sql: CREATE TABLE 0 0 0 1
    sql: another column of `main.t` is worked out from `id`
    sql: ALTER TABLE 0 0 0 2
    sql: INSERT WITH SCHEMA EVOLUTION is not supported, because an INSERT matches columns by their place
    ");
}
