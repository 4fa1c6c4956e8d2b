//! What a query has no need of is not read.

use crate::test_lake::TestLake;

/// How many rows came out of the scan of `big`, by `explain analyze`.
async fn scanned(lake: &TestLake, sql: &str) -> u64 {
    let plan = lake.rows(&format!("explain analyze {sql}")).await;
    let scan = plan
        .split(['|', '\n'])
        .find(|line| line.contains("Scan main.big"))
        .unwrap_or_else(|| panic!("{plan}"));
    let (before, _) = scan.split_once(" row").unwrap_or_else(|| panic!("{scan}"));
    let rows = before.rsplit(' ').next().unwrap().replace(',', "");
    rows.parse().unwrap_or_else(|_| panic!("{scan}"))
}

#[tokio::test]
async fn conditions_are_looked_at_first_where_few_rows_are_left() {
    let lake = TestLake::on_disk();
    // Every key twice, and no two that follow each other: bounds of files say nothing of them.
    lake.sql("create table big as select (range * 7919) % 100000 as k, range as v, 'note ' || range as note from range(200000)").await;
    lake.sql(
        "create table small as select * from (values (5, 'a'), (500, 'b'), (50000, 'b')) as t (k, kind)",
    )
    .await;
    for (sql, rows, read) in [
        // A condition of which the bounds of columns say nothing.
        ("select count(*), count(note) from big where k * 2 = 10", "2 2", 2),
        // The keys of the other side of a join.
        ("select count(*), min(note) from big join small using (k)", "6 note 139500", 6),
        // They go through groups too.
        (
            "select count(*) from small s join (select k, count(note) as n from big group by k) as b on b.k = s.k where s.kind = 'b' and b.n = 2",
            "2",
            4,
        ),
        ("select count(note) from big where k in (select k from small where kind = 'b')", "4", 4),
        // One condition leaves few, and what another looks at is read of these.
        ("select count(note) from big where v >= 0 and k * 2 = 10", "2", 2),
        // Where many are left, or little is spared, all are read at once.
        ("select count(v) from big where k + v = 92000", "74", 200_000),
        ("select count(*), count(note) from big where k * 2 >= 10", "199990 199990", 200_000),
    ] {
        assert_eq!(lake.rows(sql).await, rows, "{sql}");
        assert_eq!(scanned(&lake, sql).await, read, "{sql}");
    }
}

#[tokio::test]
async fn first_rows_are_the_same_however_they_are_looked_for() {
    let lake = TestLake::on_disk();
    lake.sql("create table big as select (range * 7919) % 100000 as k, range as v, 'note ' || range as note, case when range % 5000 = 0 then 'nan'::double else range / 3.0 end as d from range(200000)").await;
    for (sql, rows) in [
        (
            "select k, v, note from big order by k desc, v limit 2",
            "99999 82321 note 82321 | 99999 182321 note 182321",
        ),
        ("select v, note from big where k > 99998 order by v desc limit 1", "182321 note 182321"),
        ("select v from big order by note limit 2 offset 1", "1 | 10"),
        ("select v from big order by d desc, v limit 2", "0 | 5000"),
        ("select v from big order by d, v limit 2", "1 | 2"),
    ] {
        assert_eq!(lake.rows(sql).await, rows, "{sql}");
    }
    // Few rows come to the heap, which goes on telling the scan what it has; the step between is no step of its own.
    for (key, of) in [("v desc", "v@"), ("d desc", "_elt_itself(d@"), ("note", "note@"), ("k, note", "k@")] {
        let sql = format!("select v from big order by {key} limit 2");
        let plan = lake.rows(&format!("explain (format indent) {sql}")).await;
        assert!(plan.contains(&format!("ForemostExec: 2 by {of}")), "{plan}");
        let plan = lake.rows(&format!("explain analyze {sql}")).await;
        assert!(plan.contains("Top 2 by ") && !plan.contains("Foremost"), "{plan}");
        assert!(plan.contains("where DynamicFilter [ "), "{plan}");
    }
    let computed = lake.rows("explain (format indent) select v from big order by v % 7 limit 2").await;
    assert!(!computed.contains("ForemostExec"), "{computed}");
    // A table whose columns are called otherwise in its files, and one with rows that are hidden.
    lake.sql("alter table big set tblproperties ('delta.columnMapping.mode' = 'name')").await;
    lake.sql("alter table big rename column note to text").await;
    assert_eq!(lake.rows("select count(*), count(text) from big where k * 2 = 10").await, "2 2");
    lake.sql("create table kept tblproperties ('delta.enableDeletionVectors' = 'true', 'elt.writeMode' = 'merge-on-read') as select k, v, text from big").await;
    lake.sql("delete from kept where v < 100000").await;
    assert_eq!(lake.rows("select count(*), count(text) from kept where k * 2 = 10").await, "1 1");
}
