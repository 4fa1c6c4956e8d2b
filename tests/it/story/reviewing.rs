//! What a build changes is looked at before it is published.

use std::sync::Mutex;

use elt::base::{ReleaseNumber, Unwatched};
use elt::lakehouse::{BuildRequest, Difference, ReleaseDifference, Reviewer};
use futures::FutureExt;
use futures::future::BoxFuture;
use insta::assert_snapshot;

use crate::test_lake::{TestLake, told};

/// Wants it, or does not, and writes down what was shown.
struct Somebody {
    wants: bool,
    shown: Mutex<String>,
}

impl Reviewer for Somebody {
    fn is_wanted<'a>(&'a self, difference: &'a ReleaseDifference) -> BoxFuture<'a, bool> {
        *self.shown.lock().unwrap() = lines(difference);
        async { self.wants }.boxed()
    }

    fn limit(&self) -> usize {
        3
    }
}

fn lines(difference: &ReleaseDifference) -> String {
    let table = |one: &Difference| {
        let Difference { table, from, to, key, added, removed, changed, unchanged, columns, rows, whole } =
            one;
        let columns: Vec<String> = columns
            .iter()
            .map(|column| format!("{} {:?} {}", column.name, column.change, column.rows))
            .collect();
        let rows: Vec<String> =
            rows.iter().map(|row| format!("{:?} {:?} {:?}", row.change, row.key, row.values)).collect();
        format!(
            "{table} {from:?} {to:?} {whole:?} by {key:?}: +{added} -{removed} ~{changed} ={unchanged} {columns:?}\n  {}",
            rows.join("\n  ")
        )
    };
    let tables: Vec<String> = difference.tables.iter().map(table).collect();
    let told =
        format!("{} to {}\n{}\n{:?}", difference.from, difference.to, tables.join("\n"), difference.views);
    told.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

async fn review(lake: &TestLake, wants: bool) -> String {
    let somebody = Somebody { wants, shown: Mutex::default() };
    let request = BuildRequest { threads: Some(1), ..BuildRequest::default() };
    let built = Box::pin(lake.open().build_reviewed(&request, Some(&somebody), &Unwatched)).await.unwrap();
    let shown = somebody.shown.lock().unwrap().clone();
    format!("{shown}\nwithdrawn: {}\n{}", built.is_withdrawn, told(&built))
}

fn shop(prices: &str) -> TestLake {
    let lake = TestLake::new();
    lake.write("seeds/prices.csv", prices);
    lake.write("models/dear.sql", "select id from {{ ref('prices') }} where price > 10");
    lake.write(
        "models/priced.sql",
        "{{ config(materialized='table') }} select id, price * 2 as twice from {{ ref('prices') }}",
    );
    lake.write(
        "models/priced.yml",
        "models:\n  - {name: priced, columns: [{name: id, data_tests: [unique]}]}\n",
    );
    lake
}

#[tokio::test]
async fn nothing_is_published_that_nobody_wants() {
    let lake = shop("id,price\n1,5\n2,15\n");
    assert_snapshot!(review(&lake, true).await, @r#"
    0 to 1
    main.priced None Some(0) Some(Added) by []: +2 -0 ~0 =0 []

    main.prices None Some(0) Some(Added) by []: +2 -0 ~0 =0 []

    [(TableName { schema: "main", table: "dear" }, Added)]
    withdrawn: false
    build: prices loaded (2 added)
    build: dear view (no rows)
    build: priced created (2 added)
    build: unique_priced_id pass
    build: release 1
    "#);
    lake.write("seeds/prices.csv", "id,price\n1,6\n3,15\n");
    lake.write("models/dear.sql", "select id from {{ ref('prices') }} where price > 9");
    assert_snapshot!(review(&lake, false).await, @r#"
    1 to 2
    main.priced Some(0) Some(1) None by ["id"]: +1 -1 ~1 =0 ["twice Changed 1"]
      Changed [Some("1")] [("twice", Some("10"), Some("12"))]
      Removed [Some("2")] []
      Added [Some("3")] []
    main.prices Some(0) Some(1) None by []: +2 -2 ~0 =0 []
      Removed [Some("1"), Some("5")] []
      Removed [Some("2"), Some("15")] []
      Added [Some("1"), Some("6")] []
    [(TableName { schema: "main", table: "dear" }, Changed)]
    withdrawn: true
    build: prices loaded (2 added)  NOT PUBLISHED: it was not wanted
    build: dear view (no rows)  NOT PUBLISHED: it was not wanted
    build: priced replaced (2 added)  NOT PUBLISHED: it was not wanted
    build: unique_priced_id pass
    build: no release
    "#);
    lake.sql("select * from priced order by id").await;
    lake.sql("select count(*) from elt.releases").await;
    // What was not wanted is not remembered as made.
    assert_snapshot!(review(&lake, true).await, @r#"
    1 to 2
    main.priced Some(0) Some(1) None by ["id"]: +1 -1 ~1 =0 ["twice Changed 1"]
      Changed [Some("1")] [("twice", Some("10"), Some("12"))]
      Removed [Some("2")] []
      Added [Some("3")] []
    main.prices Some(0) Some(1) None by []: +2 -2 ~0 =0 []
      Removed [Some("1"), Some("5")] []
      Removed [Some("2"), Some("15")] []
      Added [Some("1"), Some("6")] []
    [(TableName { schema: "main", table: "dear" }, Changed)]
    withdrawn: false
    build: prices loaded (2 added)
    build: dear view (no rows)
    build: priced replaced (2 added)
    build: unique_priced_id pass
    build: release 2
    "#);
    lake.sql("select * from priced order by id").await;
    // Nothing is asked about nothing.
    assert_snapshot!(review(&lake, false).await, @r"

    withdrawn: false
    build: up to date: prices, dear, priced, unique_priced_id
    build: no release
    ");
    assert_snapshot!(lake.story(), @r"
    sql: 1 10 | 2 30
    sql: 1
    sql: 1 12 | 3 30
    ");
}

#[tokio::test]
async fn two_releases_are_compared_table_by_table() {
    let lake = shop("id,price\n1,5\n2,15\n");
    lake.build_due().await;
    lake.sql("create table notes as select 'a' as note").await;
    lake.write("seeds/prices.csv", "id,price\n1,6\n2,15\n");
    lake.write("models/dear.sql", "select id, price from {{ ref('prices') }} where price > 10");
    lake.build_due().await;
    lake.sql("drop table notes").await;
    let between = async |from, to| {
        let found = Box::pin(lake.open().diff_releases(ReleaseNumber(from), ReleaseNumber(to), 3)).await;
        found.map_or_else(|error| error.to_string(), |found| lines(&found))
    };
    assert_snapshot!(between(1, 3).await, @r#"
    1 to 3
    main.notes None Some(0) Some(Added) by []: +1 -0 ~0 =0 []

    main.priced Some(0) Some(1) None by ["id"]: +0 -0 ~1 =1 ["twice Changed 1"]
      Changed [Some("1")] [("twice", Some("10"), Some("12"))]
    main.prices Some(0) Some(1) None by []: +1 -1 ~0 =1 []
      Removed [Some("1"), Some("5")] []
      Added [Some("1"), Some("6")] []
    [(TableName { schema: "main", table: "dear" }, Changed)]
    "#);
    assert_snapshot!(between(3, 1).await, @r#"
    3 to 1
    main.notes Some(0) None Some(Removed) by []: +0 -1 ~0 =0 []

    main.priced Some(1) Some(0) None by ["id"]: +0 -0 ~1 =1 ["twice Changed 1"]
      Changed [Some("1")] [("twice", Some("12"), Some("10"))]
    main.prices Some(1) Some(0) None by []: +1 -1 ~0 =1 []
      Removed [Some("1"), Some("6")] []
      Added [Some("1"), Some("5")] []
    [(TableName { schema: "main", table: "dear" }, Changed)]
    "#);
    assert_snapshot!(between(3, 4).await, @r"
    3 to 4
    main.notes Some(0) None Some(Removed) by []: +0 -1 ~0 =0 []

    []
    ");
    assert_snapshot!(between(2, 9).await, @r"there is no release 9");
}
