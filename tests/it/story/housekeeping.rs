//! What could be better, and what everything costs.

use insta::assert_snapshot;

use crate::test_lake::TestLake;

#[tokio::test]
async fn a_doctor_says_what_could_be_better_and_what_mends_it() {
    let lake = TestLake::on_disk();
    lake.write(
        "models/sources.yml",
        "sources: [{name: shop, tables: [{name: orders, config: {location: inbox/orders_*.csv}}]}]\n",
    );
    lake.write("inbox/orders_1.csv", "id,person,amount\n1,1,5\n2,2,7\n");
    lake.write(
        "models/staged.sql",
        "{{ config(materialized='table', unique_key='id') }} select id, person, amount from {{ source('shop', 'orders') }}",
    );
    lake.write("models/total.sql", "{{ config(meta={'owner': 'ann'}) }} select sum(amount) as amount from {{ ref('staged') }} where id > 0");
    lake.write("models/old.sql", "{{ config(materialized='table') }} select 1 as id");
    lake.write(
        "models/total.yml",
        "models: [{name: total, description: all of it, columns: [{name: amount, data_tests: [not_null]}]}]\n\
         exposures: [{name: board, type: dashboard, owner: {name: ann}, depends_on: [\"ref('total')\"]}]\n",
    );
    lake.build_due().await;
    std::fs::remove_file(lake.path().join("models/old.sql")).unwrap();
    lake.sql("create table hidden tblproperties ('delta.enableDeletionVectors' = 'true', 'elt.writeMode' = 'merge-on-read') as select * from generate_series(1, 100) as t(n)").await;
    lake.sql("delete from hidden where n <= 20").await;
    let found = Box::pin(lake.open().examine()).await.unwrap();
    let told: Vec<String> =
        found.iter().map(|one| format!("{}: {} {:?}\n  {}", one.check, one.says, one.of, one.mend)).collect();
    assert_snapshot!(told.join("\n"), @r#"
    untested: no test looks at it ["staged"]
      write `data_tests: [unique, not_null]` under its key column in a properties file
    undescribed: it has no description ["staged"]
      write `description:` in a properties file
    unowned: it has no owner ["staged"]
      write `config: {group: …}` or `meta: {owner: …}`, for a whole folder in dbt_project.yml
    no_freshness: nothing says how old its rows may be ["shop.orders"]
      write `freshness: {warn_after: {count: 1, period: day}}` at the source; `elt source freshness` asks
    contradiction: settings that mean nothing together ["staged (models/staged.sql): `unique_key` does nothing in a model that is materialized as table"]
      take the setting out, or change the other one
    unused_columns: columns that no model uses which reads it ["staged: person"]
      leave the columns out; `elt lineage MODEL.COLUMN --downstream` says what they went into before
    hidden_rows: rows that are deleted and still in files, which every query reads past ["main.hidden: 20 of 100 rows (20 %)"]
      elt maintain TABLE, or `optimize TABLE` in SQL
    orphan: nothing of the project makes it any more ["main.old: made by model.test.old"]
      elt sql -c "drop table NAME" (or view)
    "#);
}

#[tokio::test]
async fn storage_tells_what_readers_see_from_what_is_history() {
    let lake = TestLake::on_disk();
    lake.write("seeds/people.csv", "person,city\n1,Oslo\n");
    lake.build_due().await;
    lake.write("seeds/people.csv", "person,city\n1,Oslo\n2,Rome\n");
    lake.build_due().await;
    lake.sql("create table gone as select 1 as id").await;
    lake.sql("drop table gone").await;
    let storage = Box::pin(lake.open().storage()).await.unwrap();
    let on_disk = |table: &str| -> u64 {
        let root = lake.table_folder(table);
        lake.all_files().iter().filter(|(path, _)| path.starts_with(&root)).map(|(_, size)| size).sum()
    };
    for table in &storage.tables {
        assert_eq!(table.total(), on_disk(&table.table), "every byte is somewhere: {table:?}");
        assert!(table.log > 0 && table.history > 0, "{table:?}");
        assert_eq!(table.live > 0, table.is_visible, "{table:?}");
    }
    let people = storage.tables.iter().find(|table| table.table == "main.people").unwrap();
    assert_eq!((people.rows, people.versions, people.files, people.deletable), (Some(2), 2, 1, 0));
    assert_eq!((storage.releases.0, storage.runs.0), (4, 2));
}

/// Makes the reports of all runs so many days old, by the lake's clock.
fn age_runs(lake: &TestLake, days: u64) {
    let runs = lake.path().join("lake/_elt/runs");
    let now = std::time::SystemTime::from(lake.open().world().now());
    for entry in std::fs::read_dir(runs).unwrap() {
        let file = std::fs::File::options().append(true).open(entry.unwrap().path()).unwrap();
        file.set_modified(now - std::time::Duration::from_secs(days * 86_400)).unwrap();
    }
}

#[tokio::test]
async fn reports_of_runs_stay_as_long_as_elt_yml_says() {
    let lake = TestLake::on_disk();
    lake.write("models/a.sql", "{{ config(materialized='table') }} select 1 as id");
    lake.build_due().await;
    lake.build_due().await;
    age_runs(&lake, 40);
    let releases = lake.path().join("lake/_elt/releases");
    for entry in std::fs::read_dir(releases).unwrap() {
        let file = std::fs::File::options().append(true).open(entry.unwrap().path()).unwrap();
        let now = std::time::SystemTime::from(lake.open().world().now());
        file.set_modified(now - std::time::Duration::from_secs(30 * 86_400)).unwrap();
    }
    lake.maintain(false).await;
    lake.sql("select count(*) from elt.runs").await;
    lake.note("-- 60 days");
    lake.write("elt.yml", "runs: {keep: 60 days}\n");
    lake.maintain(false).await;
    lake.sql("select count(*) from elt.runs").await;
    lake.note("-- 35 days");
    lake.write("elt.yml", "runs: {keep: 35 days}\n");
    lake.maintain(true).await;
    lake.sql("select count(*) from elt.runs").await;
    lake.maintain(false).await;
    lake.sql("select count(*) from elt.runs").await;
    lake.note("-- what no release remembers yet");
    lake.build_due().await;
    age_runs(&lake, 20);
    lake.write("elt.yml", "runs: {keep: 1 day}\n");
    lake.maintain(false).await;
    lake.sql("select count(*) from elt.runs").await;
    let story = lake.story();
    let counts: Vec<&str> = story.lines().filter(|line| line.starts_with("sql: ")).collect();
    assert_eq!(counts, ["sql: 2", "sql: 2", "sql: 2", "sql: 0", "sql: 1"], "{story}");
}
