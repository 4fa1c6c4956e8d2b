//! What is different from one version to another, whatever the columns are.

use elt::lakehouse::{DiffRequest, Difference};

use crate::test_lake::TestLake;

async fn difference(lake: &TestLake, request: DiffRequest) -> String {
    match Box::pin(lake.open().diff(&DiffRequest { limit: 5, ..request })).await {
        Err(error) => error.to_string(),
        Ok(Difference { added, removed, changed, unchanged, columns, .. }) => {
            let columns = columns.iter().map(|column| {
                let types = column.types.as_ref().map(|(a, b)| format!(" {a} > {b}")).unwrap_or_default();
                format!("{} {:?} {}{types}", column.name, column.change, column.rows)
            });
            format!("+{added} -{removed} ~{changed} ={unchanged} {}", columns.collect::<Vec<_>>().join(", "))
        }
    }
}

async fn versions(lake: &TestLake, table: &str, key: &[&str]) -> String {
    let key = key.iter().map(|column| (*column).to_owned()).collect();
    difference(lake, DiffRequest { table: table.to_owned(), key, ..DiffRequest::default() }).await
}

#[tokio::test]
async fn a_column_of_another_type_is_told() {
    let lake = TestLake::new();
    lake.sql("create table t as select 1 as id, 5 as a, timestamp '2024-01-02 00:00:00' as b").await;
    lake.sql("create or replace table t as select 1 as id, '5' as a, date '2024-01-02' as b").await;
    let types = "a Changed 0 bigint > varchar, b Changed 0 timestamp > date";
    assert_eq!(versions(&lake, "t", &["id"]).await, format!("+0 -0 ~0 =1 {types}"));
    assert_eq!(versions(&lake, "t", &[]).await, format!("+0 -0 ~0 =1 {types}"));
    // Types that have nothing in common.
    lake.sql("create or replace table t as select 1 as id, [5] as a, cast(1.5 as decimal(2,1)) as b").await;
    assert_eq!(
        versions(&lake, "t", &["id"]).await,
        "+0 -0 ~1 =0 a Changed 1 varchar > bigint[], b Changed 1 date > decimal(2,1)"
    );
    assert_eq!(
        versions(&lake, "t", &[]).await,
        "+1 -1 ~0 =0 a Changed 0 varchar > bigint[], b Changed 0 date > decimal(2,1)"
    );
    // Numbers are the same number in any type.
    lake.sql("create or replace table t as select 1 as id, [5] as a, cast(1.5 as double) as b").await;
    assert_eq!(versions(&lake, "t", &["id"]).await, "+0 -0 ~0 =1 b Changed 0 decimal(2,1) > double");
}

#[tokio::test]
async fn a_model_that_is_made_anew_says_what_tells_its_rows_apart_too() {
    let lake = TestLake::new();
    let model = |rows: &str| {
        format!(
            "{{{{ config(materialized='table', unique_key='id') }}}} select * from (values {rows}) as t(id, v)"
        )
    };
    lake.write("models/m.sql", &model("(1, 'a'), (2, 'b')"));
    lake.build_due().await;
    lake.write("models/m.sql", &model("(1, 'a'), (2, 'c')"));
    lake.build_due().await;
    assert_eq!(versions(&lake, "m", &[]).await, "+0 -0 ~1 =1 v Changed 1");
}

#[tokio::test]
async fn nulls_of_a_key_are_one_value_and_no_column_is_enough() {
    let lake = TestLake::new();
    lake.sql("create table n as select * from (values (null, 1), (2, 2)) as v(k, a)").await;
    lake.sql("create or replace table n as select * from (values (null, 1), (2, 3)) as v(k, a)").await;
    assert_eq!(versions(&lake, "n", &["k"]).await, "+0 -0 ~1 =1 a Changed 1");
    lake.sql("create or replace table n as select 7 as other").await;
    assert_eq!(versions(&lake, "n", &[]).await, "+1 -2 ~0 =0 other Added 0, k Removed 0, a Removed 0");
}

#[tokio::test]
async fn two_tables_are_compared_as_readers_see_them() {
    let lake = TestLake::new();
    lake.sql("create table main.t as select 1 as id, 2 as a").await;
    lake.sql("create table dev.t as select 1 as id, 3 as a").await;
    lake.write("models/v.sql", "select id, a from dev.t");
    lake.build().await;
    let request = |with: &str| DiffRequest {
        table: "main.t".to_owned(),
        with: Some(with.to_owned()),
        key: vec!["id".to_owned()],
        ..DiffRequest::default()
    };
    assert_eq!(difference(&lake, request("dev.t")).await, "+0 -0 ~1 =0 a Changed 1");
    assert_eq!(difference(&lake, request("main.v")).await, "+0 -0 ~1 =0 a Changed 1");
    let missing = difference(&lake, request("dev.w")).await;
    assert!(missing.contains("dev.w"), "{missing}");
}

#[tokio::test]
async fn a_view_with_another_query_shows_its_rows() {
    let lake = TestLake::new();
    lake.write("models/v.sql", "select 1 as id");
    lake.build().await;
    lake.write("models/v.sql", "select 2 as id");
    lake.build().await;
    let (from, to) = (elt::base::ReleaseNumber(1), elt::base::ReleaseNumber(2));
    let found = Box::pin(lake.open().diff_releases(from, to, 5)).await.unwrap();
    let [rows] = &found.view_rows[..] else { panic!("{found:?}") };
    assert_eq!((rows.table.as_str(), rows.added, rows.removed), ("main.v", 1, 1));
}
