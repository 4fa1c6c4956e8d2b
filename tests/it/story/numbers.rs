//! Numbers that are not, and numbers of two kinds.

use insta::assert_snapshot;

use crate::test_lake::TestLake;

/// Bounds of files leave NaN out, and SQL has it as the largest number.
#[tokio::test]
async fn a_condition_finds_nan_whatever_the_bounds_of_files_say() {
    let lake = TestLake::new();
    lake.sql("create table t (id int, d double, f real)").await;
    lake.sql("insert into t values (1, 'nan', 'nan')").await;
    lake.sql("insert into t values (2, 1.5, 1.5), (3, 'nan', 'nan')").await;
    lake.sql("insert into t values (4, 1, 1), (5, null, null)").await;
    for condition in [
        "d > 1.5",
        "d >= 2",
        "2 < d",
        "d <> 1.5",
        "not d <= 1.5",
        "not (d = 1.5)",
        "d = 'nan'::double",
        "d in ('nan'::double, 9)",
        "d not in (1.5)",
        "d not between 0 and 1.5",
        "d is distinct from 1.5",
        "not (d < 1 or d = 1)",
        "f > 1.5",
        "f <> 1.5::real",
        "d < 1.5",
        "d = 1.5",
        "d between 1 and 1.5",
        "d is null",
    ] {
        lake.note(condition);
        lake.sql(&format!("select id from t where {condition} order by id")).await;
    }
    lake.sql("delete from t where d > 1.5").await;
    lake.sql("select id from t order by id").await;
    assert_snapshot!(lake.story(), @r"
    sql: CREATE TABLE 0 0 0 1
    sql: INSERT 1 0 0 2
    sql: INSERT 2 0 0 3
    sql: INSERT 2 0 0 4
    d > 1.5
    sql: 1 | 3
    d >= 2
    sql: 1 | 3
    2 < d
    sql: 1 | 3
    d <> 1.5
    sql: 1 | 3 | 4
    not d <= 1.5
    sql: 1 | 3
    not (d = 1.5)
    sql: 1 | 3 | 4
    d = 'nan'::double
    sql: 1 | 3
    d in ('nan'::double, 9)
    sql: 1 | 3
    d not in (1.5)
    sql: 1 | 3 | 4
    d not between 0 and 1.5
    sql: 1 | 3
    d is distinct from 1.5
    sql: 1 | 3 | 4 | 5
    not (d < 1 or d = 1)
    sql: 1 | 2 | 3
    f > 1.5
    sql: 1 | 3
    f <> 1.5::real
    sql: 1 | 3 | 4
    d < 1.5
    sql: 4
    d = 1.5
    sql: 2
    d between 1 and 1.5
    sql: 2 | 4
    d is null
    sql: 5
    sql: DELETE 0 0 2 5
    sql: 2 | 4 | 5
    ");
}

#[tokio::test]
async fn a_double_and_a_decimal_meet_as_doubles() {
    let lake = TestLake::new();
    lake.sql("create table t as select 1e-20::double as d, 1.5::decimal(5, 2) as m").await;
    lake.sql("select d in (0.0), d in (1e-20, 2), d = m, d < m, d between 0 and m from t").await;
    lake.sql("select coalesce(d, m), case when d > 0 then d else m end, greatest(d, m), least(d, m) from t")
        .await;
    lake.sql("select d from t union all select m from t order by 1").await;
    lake.sql("select count(*) from t a join t b on a.d = b.m").await;
    lake.sql("select d * 1e36 > m, 'inf'::double > m, 'nan'::double in (m, 0.0) from t").await;
    lake.sql("select count(*) from t where d in (select m from t)").await;
    lake.sql(
        "select typeof(coalesce(m, 1)), typeof(m) from t union all select typeof(coalesce(d, m)), 'x' from t order by 1",
    )
    .await;
    assert_snapshot!(lake.story(), @r"
    sql: CREATE TABLE 1 0 0 1
    sql: false true false true true
    sql: 1e-20 1e-20 1.5 1e-20
    sql: 1e-20 | 1.5
    sql: 0
    sql: true true false
    sql: 0
    sql: decimal(22,2) decimal(5,2) | double x
    ");
}
