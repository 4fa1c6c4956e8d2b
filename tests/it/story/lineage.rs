//! Which columns of which versions made which.

use elt::lakehouse::{LineageGraph, LineageRequest};
use insta::assert_snapshot;

use crate::test_lake::TestLake;

/// Orders of customers, and what they come to.
fn shop() -> TestLake {
    let lake = TestLake::new();
    lake.write(
        "models/sources.yml",
        "sources:\n  - name: shop\n    tables:\n      - {name: orders, config: {location: inbox/orders_*.csv}}\n",
    );
    lake.write("seeds/people.csv", "person,city\n1,Oslo\n2,Rome\n");
    lake.write(
        "models/stg_orders.sql",
        "select id, person, amount * 100 as cents from {{ source('shop', 'orders') }}",
    );
    lake.write(
        "models/cities.sql",
        "{{ config(materialized='table') }} select p.city, sum(o.cents) as cents, count(*) as n
         from {{ ref('stg_orders') }} o join {{ ref('people') }} p on p.person = o.person where o.id > 0 group by p.city",
    );
    lake.write(
        "models/report.sql",
        "{{ config(materialized='table') }} select upper(city) as city, cents from {{ ref('cities') }} order by cents",
    );
    lake.write("inbox/orders_1.csv", "id,person,amount\n1,1,5\n2,2,7\n");
    lake
}

async fn told(lake: &TestLake, of: &str, asked: &str, at: Option<u64>) -> String {
    let request =
        LineageRequest { of: of.to_owned(), upstream: asked == "up", downstream: asked == "down", at };
    match Box::pin(lake.open().lineage(&request)).await {
        Err(error) => error.to_string(),
        Ok(graph) => lines(&graph),
    }
}

fn lines(graph: &LineageGraph) -> String {
    let end = |id: &str, column: &Option<String>| match column {
        Some(column) => format!("{id}.{column}"),
        None => id.to_owned(),
    };
    let mut lines: Vec<String> = graph
        .nodes
        .iter()
        .map(|node| {
            let how = node.operation.as_deref().unwrap_or_default();
            let files = node.files.join(" ");
            format!("{} {} {how} {files}", node.id, node.kind).trim_end().to_owned()
        })
        .collect();
    lines.extend(graph.edges.iter().map(|edge| {
        format!(
            "  {} -> {}  {}",
            end(&edge.from, &edge.from_column),
            end(&edge.to, &edge.to_column),
            edge.how
        )
    }));
    lines.join("\n")
}

#[tokio::test]
async fn a_table_comes_from_exact_versions_and_so_does_each_column() {
    let lake = shop();
    lake.build_due().await;
    assert_snapshot!(told(&lake, "report", "up", None).await, @r"
    main.report@0 table CREATE TABLE AS SELECT
    main.cities@0 table CREATE TABLE AS SELECT
    main.people@0 table CREATE TABLE AS SELECT
    main.stg_orders#1 view
    shop.orders@0 table landed inbox/orders_1.csv
      main.cities@0.cents -> main.report@0  sorts
      main.cities@0.cents -> main.report@0.cents  copied
      main.cities@0.city -> main.report@0.city  derived
      main.people@0.city -> main.cities@0  groups
      main.people@0.city -> main.cities@0.city  copied
      main.people@0.person -> main.cities@0  joins
      main.stg_orders#1.cents -> main.cities@0.cents  aggregated
      main.stg_orders#1.id -> main.cities@0  filters
      main.stg_orders#1.person -> main.cities@0  joins
      shop.orders@0.amount -> main.stg_orders#1.cents  derived
      shop.orders@0.id -> main.stg_orders#1.id  copied
      shop.orders@0.person -> main.stg_orders#1.person  copied
    ");
    assert_snapshot!(told(&lake, "report.cents", "up", None).await, @r"
    main.report@0 table CREATE TABLE AS SELECT
    main.cities@0 table CREATE TABLE AS SELECT
    main.stg_orders#1 view
    main.people@0 table CREATE TABLE AS SELECT
    shop.orders@0 table landed inbox/orders_1.csv
      main.cities@0.cents -> main.report@0  sorts
      main.cities@0.cents -> main.report@0.cents  copied
      main.people@0.city -> main.cities@0  groups
      main.people@0.person -> main.cities@0  joins
      main.stg_orders#1.cents -> main.cities@0.cents  aggregated
      main.stg_orders#1.id -> main.cities@0  filters
      main.stg_orders#1.person -> main.cities@0  joins
      shop.orders@0.amount -> main.stg_orders#1.cents  derived
    ");
    assert_snapshot!(told(&lake, "shop.orders.amount", "down", None).await, @r"
    shop.orders@0 table landed inbox/orders_1.csv
    main.stg_orders#1 view
    main.cities@0 table CREATE TABLE AS SELECT
    main.report@0 table CREATE TABLE AS SELECT
      main.cities@0.cents -> main.report@0  sorts
      main.cities@0.cents -> main.report@0.cents  copied
      main.stg_orders#1.cents -> main.cities@0.cents  aggregated
      shop.orders@0.amount -> main.stg_orders#1.cents  derived
    ");
    // Another file: the same tables, later versions. The versions of before are still told.
    lake.write("inbox/orders_2.csv", "id,person,amount\n3,1,1\n");
    lake.build_due().await;
    assert_snapshot!(told(&lake, "report", "up", Some(0)).await, @r"
    main.report@0 table CREATE TABLE AS SELECT
    main.cities@0 table CREATE TABLE AS SELECT
    main.people@0 table CREATE TABLE AS SELECT
    main.stg_orders#1 view
    shop.orders@0 table landed inbox/orders_1.csv
      main.cities@0.cents -> main.report@0  sorts
      main.cities@0.cents -> main.report@0.cents  copied
      main.cities@0.city -> main.report@0.city  derived
      main.people@0.city -> main.cities@0  groups
      main.people@0.city -> main.cities@0.city  copied
      main.people@0.person -> main.cities@0  joins
      main.stg_orders#1.cents -> main.cities@0.cents  aggregated
      main.stg_orders#1.id -> main.cities@0  filters
      main.stg_orders#1.person -> main.cities@0  joins
      shop.orders@0.amount -> main.stg_orders#1.cents  derived
      shop.orders@0.id -> main.stg_orders#1.id  copied
      shop.orders@0.person -> main.stg_orders#1.person  copied
    ");
    assert_snapshot!(told(&lake, "shop.orders", "down", Some(1)).await, @r"
    shop.orders@1 table landed inbox/orders_2.csv
    main.stg_orders#2 view
    main.cities@1 table WRITE
    main.report@1 table WRITE
      main.cities@1.cents -> main.report@1  sorts
      main.cities@1.cents -> main.report@1.cents  copied
      main.cities@1.city -> main.report@1.city  derived
      main.stg_orders#2.cents -> main.cities@1.cents  aggregated
      main.stg_orders#2.id -> main.cities@1  filters
      main.stg_orders#2.person -> main.cities@1  joins
      shop.orders@1.amount -> main.stg_orders#2.cents  derived
      shop.orders@1.id -> main.stg_orders#2.id  copied
      shop.orders@1.person -> main.stg_orders#2.person  copied
    ");
    // A rollback shows the rows of before, which were made of the versions of before.
    lake.roll_back(None).await;
    assert_snapshot!(told(&lake, "cities", "up", None).await, @r"
    main.cities@2 table CREATE TABLE AS SELECT
    main.people@0 table CREATE TABLE AS SELECT
    main.stg_orders#1 view
    shop.orders@0 table landed inbox/orders_1.csv
      main.people@0.city -> main.cities@2  groups
      main.people@0.city -> main.cities@2.city  copied
      main.people@0.person -> main.cities@2  joins
      main.stg_orders#1.cents -> main.cities@2.cents  aggregated
      main.stg_orders#1.id -> main.cities@2  filters
      main.stg_orders#1.person -> main.cities@2  joins
      shop.orders@0.amount -> main.stg_orders#1.cents  derived
      shop.orders@0.id -> main.stg_orders#1.id  copied
      shop.orders@0.person -> main.stg_orders#1.person  copied
    ");
}

#[tokio::test]
async fn every_run_is_told_by_the_table_of_lineage() {
    let lake = shop();
    lake.build_due().await;
    lake.write("inbox/orders_2.csv", "id,person,amount\n3,1,1\n");
    lake.build_due().await;
    lake.story();
    lake.sql(
        "select release, table_name, version, column_name, source_name, source_version, source_column, how from elt.lineage
         where table_name in ('cities', 'stg_orders') order by release, table_name, column_name, source_name, source_column",
    )
    .await;
    // What statements write comes from somewhere too.
    lake.sql("create table big as select city, cents from cities where cents > 100").await;
    lake.sql("insert into big (cents, city) select n, city from cities").await;
    lake.sql(
        "select table_name, version, column_name, source_version, source_column, how from elt.lineage
         where table_name = 'big' order by version, column_name, source_column",
    )
    .await;
    lake.sql("select count(distinct run_id), count(distinct release) from elt.lineage").await;
    assert_snapshot!(lake.story(), @r"
    sql: 1 cities 0 cents stg_orders - cents aggregated | 1 cities 0 city people 0 city copied | 1 cities 0 n - - - constant | 1 cities 0 - people 0 city groups | 1 cities 0 - people 0 person joins | 1 cities 0 - stg_orders - id filters | 1 cities 0 - stg_orders - person joins | 1 stg_orders - cents orders 0 amount derived | 1 stg_orders - id orders 0 id copied | 1 stg_orders - person orders 0 person copied | 2 cities 1 cents stg_orders - cents aggregated | 2 cities 1 city people 0 city copied | 2 cities 1 n - - - constant | 2 cities 1 - people 0 city groups | 2 cities 1 - people 0 person joins | 2 cities 1 - stg_orders - id filters | 2 cities 1 - stg_orders - person joins
    sql: CREATE TABLE 2 0 0 3
    sql: INSERT 2 0 0 4
    sql: big 0 cents 1 cents copied | big 0 city 1 city copied | big 0 - 1 cents filters | big 1 cents 1 n copied | big 1 city 1 city copied
    sql: 4 4
    ");
}

#[tokio::test]
async fn what_there_is_not_has_no_lineage() {
    let lake = shop();
    lake.build_due().await;
    let mut story = Vec::new();
    for (of, at) in [("reprot", None), ("report.cent", None), ("report", Some(7)), ("stg_orders", Some(0))] {
        story.push(told(&lake, of, "up", at).await);
    }
    story.push(told(&lake, "people", "up", None).await);
    assert_snapshot!(story.join("\n"), @r"
    there is no table `reprot`
    `main.report` has no column `cent`
    `main.report` has no version 7
    `main.stg_orders` is a view and has no versions
    main.people@0 table CREATE TABLE AS SELECT
    ");
}

#[tokio::test]
async fn statements_that_change_rows_tell_what_of_and_forget_nothing() {
    let lake = TestLake::new();
    lake.sql("create table one as select 1 as id, 10 as amount").await;
    lake.sql("create table two as select 2 as id, 20 as amount").await;
    lake.sql("create table three as select 1 as id, 7 as more").await;
    lake.sql("create table goal as select id, amount from one").await;
    lake.sql("insert into goal select id, amount from two").await;
    lake.sql(
        "merge into goal using three on goal.id = three.id when matched then update set amount = three.more * 3
         when not matched then insert (id, amount) values (three.id, three.more)",
    )
    .await;
    lake.sql("update goal set amount = (select max(more) from three) where id = 2").await;
    lake.sql("update goal set amount = 5 where id = 9").await;
    lake.story();
    // Each version by itself.
    lake.sql(
        "select version, column_name, source_name, source_column, how from elt.lineage
         where table_name = 'goal' and column_name is not null order by version, column_name, source_column",
    )
    .await;
    let story = lake.story();
    let first =
        "0 amount one amount copied | 0 id one id copied | 1 amount two amount copied | 1 id two id copied";
    assert!(story.contains(first), "{story}");
    assert!(
        story.contains("2 amount three more derived | 2 id three id copied | 3 amount three more "),
        "{story}"
    );
    // And what all rows that are there came from.
    let all = told(&lake, "goal.amount", "up", None).await;
    for source in ["main.one@0.amount ->", "main.two@0.amount ->", "main.three@0.more ->"] {
        assert!(all.contains(source), "{source} in {all}");
    }
    // A clone's columns are its original's.
    lake.sql("create table copy deep clone goal").await;
    lake.sql("create table same shallow clone goal").await;
    for clone in ["copy", "same"] {
        let of = told(&lake, &format!("{clone}.amount"), "up", None).await;
        assert!(of.contains(".amount -> main."), "{of}");
        assert!(of.contains("main.one@0.amount ->"), "{of}");
    }
}

#[tokio::test]
async fn a_version_is_followed_through_the_views_of_then_and_through_what_names_it() {
    let lake = TestLake::new();
    lake.sql("create table seed as select 1 as a").await;
    lake.sql("create view seen as select a * 2 as b from seed").await;
    lake.sql("create table first as select b from seen").await;
    lake.sql("insert into seed values (2)").await;
    lake.sql("create table old as select a as c from seed version as of 0").await;
    lake.sql("create view looks_back as select a as d from seed version as of 0").await;
    let down = told(&lake, "seed", "down", Some(0)).await;
    for edge in [
        "main.seed@0.a -> main.seen#3.b  derived",
        "main.seen#3.b -> main.first@0.b  copied",
        "main.seed@0.a -> main.old@0.c  copied",
        "main.seed@0.a -> main.looks_back#6.d  copied",
    ] {
        assert!(down.contains(edge), "no {edge} in {down}");
    }
    assert!(!down.contains("main.seen#6"), "the view shows another version by now: {down}");
    let up = told(&lake, "first.b", "up", Some(0)).await;
    assert!(up.contains("main.seed@0.a -> main.seen#3.b"), "{up}");
    lake.sql("select table_name, source_name, source_version, source_column from elt.lineage where table_name in ('old', 'looks_back') order by 1").await;
    assert_eq!(lake.story().lines().last().unwrap(), "sql: looks_back seed 0 a | old seed 0 a");
}

#[tokio::test]
async fn what_is_read_as_it_was_and_as_it_is_comes_from_both() {
    let lake = TestLake::new();
    lake.sql("create table seed as select 1 as a").await;
    lake.sql("insert into seed values (2)").await;
    let both = "select b.a as was, c.a as is_now from seed version as of 0 as b join seed as c on true";
    lake.sql(&format!("create table grown as {both}")).await;
    lake.sql(&format!("create view growing as {both}")).await;
    lake.sql("create view then as select count(*) as n from seed as of release 1").await;
    lake.sql("create view before as select a from seed timestamp as of '2200-01-01'").await;
    lake.sql("insert into seed values (3)").await;
    // A view is of a version for good, or of what there is.
    lake.story();
    lake.sql("select (select count(*) from growing), (select n from then), (select count(*) from before)")
        .await;
    lake.sql(
        "select distinct table_name, column_name, source_version, how from elt.lineage
         where table_name <> 'seed' and column_name is not null or how = 'read' order by all",
    )
    .await;
    assert_snapshot!(lake.story(), @r"
    sql: 3 1 3
    sql: before a 1 copied | growing is_now 1 copied | growing was 0 copied | grown is_now 1 copied | grown was 0 copied | then n - constant | then - 0 read
    ");
    for (of, edges) in [
        ("grown", ["main.seed@0.a -> main.grown@0.was", "main.seed@1.a -> main.grown@0.is_now"]),
        ("growing", ["main.seed@0.a -> main.growing#7.was", "main.seed@2.a -> main.growing#7.is_now"]),
    ] {
        let up = told(&lake, of, "up", None).await;
        assert!(edges.iter().all(|edge| up.contains(edge)), "{up}");
    }
    // Columns whose names have dots, and tables beyond ASCII, are asked for in quotes.
    lake.sql("create table \"größe\" as select a as \"A.b\" from seed").await;
    let up = told(&lake, "main.\"größe\".\"A.b\"", "up", None).await;
    assert!(up.contains("main.seed@2.a -> main.größe@0.A.b  copied"), "{up}");
    assert_eq!(lake.rows("select count(*) from \"größe\"").await, "3");
}

#[tokio::test]
async fn values_that_ask_a_table_come_from_it() {
    let lake = TestLake::new();
    lake.sql("create table three as select 7 as more").await;
    lake.sql("create table goal (id int, amount int)").await;
    lake.sql("insert into goal values (1, 2)").await;
    lake.sql("insert into goal values (2, (select max(more) from three))").await;
    lake.story();
    lake.sql(
        "select version, column_name, source_name, source_column, how from elt.lineage
         where table_name = 'goal' order by version, column_name, source_column",
    )
    .await;
    assert_snapshot!(lake.story(), @"sql: 2 amount three more aggregated | 2 id - - constant");
}
