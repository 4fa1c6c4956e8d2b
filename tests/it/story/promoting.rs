//! What must not become production, and what does in the end.

use elt::base::Unwatched;
use elt::lakehouse::{BuildRequest, LineageRequest, PromoteRequest, Purpose, ReleaseDifference, Reviewer};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::test_lake::TestLake;

const PROFILES: &str = "test:\n  target: prod\n  outputs:\n    prod: {type: elt, schema: main}\n    dev: {type: elt, schema: dev}\n";

/// Events, and what is made of them, in production since release 1.
async fn events() -> TestLake {
    let mut lake = TestLake::new();
    lake.write("profiles.yml", PROFILES);
    lake.write("seeds/events.csv", "id,v\n1,10\n2,20\n");
    lake.write(
        "models/total.sql",
        "{{ config(materialized='table') }} select sum(v) as v from {{ ref('events') }}",
    );
    lake.write(
        "models/checks.yml",
        "models:\n  - {name: total, columns: [{name: v, data_tests: [not_null]}]}\n",
    );
    lake.target("prod");
    lake.build_due().await;
    lake.story();
    lake
}

fn only(purpose: Purpose, node: &str) -> BuildRequest {
    BuildRequest { purpose, select: vec![node.parse().unwrap()], ..BuildRequest::default() }
}

#[tokio::test]
async fn what_nobody_has_tested_is_tested_before_it_is_promoted() {
    let mut lake = events().await;
    lake.target("dev");
    lake.write("models/total.sql", "{{ config(materialized='table') }} select cast(null as bigint) as v from {{ ref('events') }} limit 1");
    lake.build_with(&only(Purpose::Run, "total")).await;
    lake.story();
    lake.promote("dev").await;
    let story = lake.story();
    assert!(story.starts_with("promote: nothing was promoted: `not_null_total_v` fails: "), "{story}");
    assert_eq!(lake.rows("select v from main.total").await, "30");
    lake.write(
        "models/total.sql",
        "{{ config(materialized='table') }} select sum(v) + 1 as v from {{ ref('events') }}",
    );
    lake.build_with(&only(Purpose::Run, "total")).await;
    lake.story();
    lake.promote("dev").await;
    let story = lake.story();
    assert!(story.contains("(promote dev) dev.total > main.total"), "{story}");
    assert_eq!(lake.rows("select v from main.total").await, "31");
    // The test that was asked there is known to hold here.
    lake.target("prod");
    lake.plan().await;
    assert_eq!(lake.story(), "plan: 3 up to date\n");
}

#[tokio::test]
async fn a_test_that_only_warns_stops_nobody() {
    let mut lake = events().await;
    lake.target("dev");
    lake.write(
        "models/checks.yml",
        "models:\n  - {name: total, columns: [{name: v, data_tests: [{not_null: {config: {severity: warn}}}]}]}\n",
    );
    lake.write("models/total.sql", "{{ config(materialized='table') }} select cast(null as bigint) as v from {{ ref('events') }} limit 1");
    lake.build_due().await;
    lake.story();
    lake.promote("dev").await;
    let story = lake.story();
    assert!(story.contains("(promote dev) dev.total > main.total"), "{story}");
    lake.target("prod");
    lake.plan().await;
    // It did not hold: production asks it again.
    let story = lake.story();
    assert!(story.contains("plan: not_null_total_v "), "{story}");
}

#[tokio::test]
async fn rows_that_only_production_has_stay() {
    let mut lake = events().await;
    let gathered = |factor: u32| {
        format!(
            "{{{{ config(materialized='incremental', unique_key='id') }}}} select id, v * {factor} as v from {{{{ ref('events') }}}}
             {{% if is_incremental() %}} where id >= (select min(id) from {{{{ this }}}}) {{% endif %}}"
        )
    };
    lake.write("models/gathered.sql", &gathered(1));
    lake.build_due().await;
    // The source forgets; the table does not.
    lake.write("seeds/events.csv", "id,v\n3,30\n");
    lake.build_due().await;
    lake.write("models/gathered.sql", &gathered(2));
    lake.target("dev");
    lake.build_due().await;
    assert_eq!(lake.rows("select * from dev.gathered order by id").await, "3 60");
    lake.story();
    lake.promote("dev").await;
    assert_eq!(
        lake.story(),
        "promote: nothing was promoted: `gathered` is incremental, `dev` made it from the beginning, and rows that only \
         `main.gathered` still has would be gone\n"
    );
    // As the message says: it begins with production's rows.
    lake.sql("create or replace table dev.gathered shallow clone main.gathered").await;
    lake.build_due().await;
    lake.story();
    lake.promote("dev").await;
    let story = lake.story();
    assert!(story.contains("(promote dev) dev.gathered > main.gathered"), "{story}");
    assert_eq!(lake.rows("select * from main.gathered order by id").await, "1 10 | 2 20 | 3 60");
    // Or it is asked for.
    lake.write("models/gathered.sql", &gathered(3));
    lake.build_with(&BuildRequest { full_refresh: true, ..only(Purpose::Build, "gathered") }).await;
    lake.story();
    lake.promote_as(PromoteRequest {
        environment: "dev".to_owned(),
        full_refresh: true,
        ..PromoteRequest::default()
    })
    .await;
    let story = lake.story();
    assert!(story.contains("(promote dev) dev.gathered > main.gathered"), "{story}");
    assert_eq!(lake.rows("select * from main.gathered order by id").await, "3 90");
}

#[tokio::test]
async fn what_asks_which_target_it_is_stays_where_it_was_made() {
    let mut lake = events().await;
    lake.target("dev");
    lake.write(
        "models/total.sql",
        "{{ config(materialized='table') }} select sum(v) + 5 as v from {{ ref('events') }} {% if target.name == 'dev' %} where id = 1 {% endif %}",
    );
    lake.build_due().await;
    lake.story();
    lake.promote("dev").await;
    let story = lake.story();
    assert!(
        story.contains("nothing was promoted: `total` is one query in `dev` and another in `prod`"),
        "{story}"
    );
    assert_eq!(lake.rows("select v from main.total").await, "30");
}

#[tokio::test]
async fn after_a_rollback_production_is_what_it_was() {
    let mut lake = events().await;
    lake.target("dev");
    lake.write(
        "models/total.sql",
        "{{ config(materialized='table') }} select sum(v) * 2 as v from {{ ref('events') }}",
    );
    lake.build_due().await;
    lake.promote("dev").await;
    assert_eq!(lake.rows("select v from main.total").await, "60");
    lake.roll_back(None).await;
    assert_eq!(lake.rows("select v from main.total").await, "30");
    lake.story();
    // Production is not thought to have the code that was taken back.
    lake.target("prod");
    lake.plan().await;
    assert_eq!(
        lake.story(),
        "plan: total code changed\nplan: not_null_total_v input rebuilt: main.total\nplan: 1 up to date\n"
    );
    lake.target("dev");
    lake.build_due().await;
    assert_eq!(lake.rows("select v from dev.total").await, "60");
    lake.story();
    lake.promote("dev").await;
    assert!(lake.story().contains("`main.total` has moved since `dev.total` was made"));
    lake.build_with(&BuildRequest { full: true, ..only(Purpose::Build, "total") }).await;
    lake.promote("dev").await;
    assert_eq!(lake.rows("select v from main.total").await, "60");
    // With the code of before, nothing is to be done after going back.
    lake.roll_back(None).await;
    lake.write(
        "models/total.sql",
        "{{ config(materialized='table') }} select sum(v) as v from {{ ref('events') }}",
    );
    lake.target("prod");
    lake.story();
    lake.plan().await;
    assert_eq!(lake.story(), "plan: 3 up to date\n");
}

#[tokio::test]
async fn what_was_promoted_knows_where_it_comes_from() {
    let mut lake = events().await;
    lake.write(
        "models/last.sql",
        "{{ config(materialized='table') }} select v + 1 as w from {{ ref('total') }}",
    );
    lake.build_due().await;
    lake.target("dev");
    lake.write(
        "models/total.sql",
        "{{ config(materialized='table') }} select sum(v) * 2 as v from {{ ref('events') }}",
    );
    lake.build_due().await;
    lake.promote("dev").await;
    // The environment has nothing of its own any more.
    lake.build_due().await;
    let edges = async |of: &str, upstream: bool| {
        let request = LineageRequest { of: of.to_owned(), upstream, downstream: !upstream, at: None };
        let graph = Box::pin(lake.open().lineage(&request)).await.unwrap();
        let edge = |edge: &elt::lakehouse::LineageEdge| {
            let of = |column: &Option<String>| column.clone().unwrap_or_default();
            format!("{}.{} {}.{}", edge.from, of(&edge.from_column), edge.to, of(&edge.to_column))
        };
        graph.edges.iter().map(edge).collect::<Vec<_>>().join(" | ")
    };
    assert_eq!(
        edges("main.last.w", true).await,
        "main.events@0.v main.total@1.v | main.total@1.v main.last@1.w"
    );
    let down = edges("main.events.v", false).await;
    assert!(down.contains("main.total@1.v main.last@1.w"), "{down}");
    assert_eq!(
        lake.rows("select column_name, source_name, source_version, source_column from elt.lineage where table_schema = 'main' and table_name = 'last' and version = 1").await,
        "w total 1 v"
    );
}

#[tokio::test]
async fn snapshots_stay_where_they_were_taken() {
    let mut lake = events().await;
    lake.write(
        "snapshots/seen.sql",
        "{% snapshot seen %}{{ config(unique_key='id', strategy='check', check_cols='all') }} select * from {{ ref('events') }}{% endsnapshot %}",
    );
    lake.build_due().await;
    lake.write(
        "snapshots/seen.sql",
        "{% snapshot seen %}{{ config(unique_key='id', strategy='check', check_cols='all') }} select id, v + 1 as v from {{ ref('events') }}{% endsnapshot %}",
    );
    lake.write(
        "models/total.sql",
        "{{ config(materialized='table') }} select sum(v) * 2 as v from {{ ref('events') }}",
    );
    lake.target("dev");
    lake.build_due().await;
    lake.story();
    // What has nothing to do with it is promoted.
    lake.promote("dev").await;
    let story = lake.story();
    assert!(story.contains("(promote dev) dev.total > main.total\n"), "{story}");
    assert_eq!(lake.rows("select sum(v) from main.seen").await, "30");
    // What was made of it is not, until it is made of production's.
    lake.write(
        "models/of_it.sql",
        "{{ config(materialized='table') }} select count(*) as n from {{ ref('seen') }}",
    );
    lake.build_due().await;
    lake.story();
    lake.promote("dev").await;
    let story = lake.story();
    assert!(story.contains("`of_it` was made of the snapshot `dev.seen`"), "{story}");
    lake.sql("drop table dev.seen").await;
    lake.build_with(&BuildRequest { exclude: vec!["seen".parse().unwrap()], ..BuildRequest::default() })
        .await;
    lake.story();
    lake.promote("dev").await;
    let story = lake.story();
    assert!(story.contains("dev.of_it > main.of_it"), "{story}");
}

/// Wants nothing.
struct Nobody;

impl Reviewer for Nobody {
    fn is_wanted<'a>(&'a self, difference: &'a ReleaseDifference) -> BoxFuture<'a, bool> {
        assert_eq!(difference.tables.len(), 1, "{difference:?}");
        async { false }.boxed()
    }

    fn limit(&self) -> usize {
        3
    }
}

#[tokio::test]
async fn what_would_change_is_shown_before_it_is_promoted() {
    let mut lake = events().await;
    lake.target("dev");
    lake.write(
        "models/total.sql",
        "{{ config(materialized='table') }} select sum(v) * 2 as v from {{ ref('events') }}",
    );
    lake.build_due().await;
    let request = PromoteRequest { environment: "dev".to_owned(), ..PromoteRequest::default() };
    let promoted = Box::pin(lake.open().promote(&request, Some(&Nobody), &Unwatched)).await.unwrap();
    assert!(promoted.is_withdrawn && promoted.release.is_none());
    let difference = promoted.difference.unwrap();
    let table = &difference.tables[0];
    assert_eq!((table.table.as_str(), table.added, table.removed), ("main.total", 1, 1));
    assert_eq!(lake.rows("select v from main.total").await, "30");
}

#[tokio::test]
async fn what_run_has_made_of_everything_is_promoted_too() {
    let mut lake = events().await;
    lake.write("models/base.sql", "{{ config(materialized='table') }} select id, v from {{ ref('events') }}");
    lake.write(
        "models/total.sql",
        "{{ config(materialized='table') }} select sum(v) as v from {{ ref('base') }}",
    );
    lake.build_due().await;
    lake.target("dev");
    lake.write(
        "models/total.sql",
        "{{ config(materialized='table') }} select sum(v) + 1 as v from {{ ref('base') }}",
    );
    let all = BuildRequest { purpose: Purpose::Seed, ..BuildRequest::default() };
    lake.build_with(&all).await;
    lake.build_with(&BuildRequest { purpose: Purpose::Run, ..BuildRequest::default() }).await;
    lake.story();
    lake.promote("dev").await;
    let story = lake.story();
    assert!(story.contains("dev.total > main.total"), "{story}");
    assert_eq!(lake.rows("select v from main.total").await, "31");
    lake.target("prod");
    lake.plan().await;
    let story = lake.story();
    assert!(story.ends_with("plan: 4 up to date\n") && !story.contains("code changed"), "{story}");
    // What would be made otherwise by now is refused, whoever made it.
    lake.target("dev");
    lake.build_with(&BuildRequest { purpose: Purpose::Run, ..BuildRequest::default() }).await;
    lake.write(
        "models/total.sql",
        "{{ config(materialized='table') }} select sum(v) + 2 as v from {{ ref('base') }}",
    );
    lake.story();
    lake.promote("dev").await;
    let story = lake.story();
    assert!(
        story.starts_with("promote: nothing was promoted: `total` is not what it would be now"),
        "{story}"
    );
}

#[tokio::test]
async fn each_thing_is_promoted_from_whatever_it_was_made_of() {
    let mut lake = events().await;
    let table = |sql: &str| format!("{{{{ config(materialized='table') }}}} {sql}");
    let only = |name: &str, purpose: Purpose| BuildRequest {
        purpose,
        select: vec![name.parse().unwrap()],
        ..BuildRequest::default()
    };
    lake.write("models/base.sql", &table("select id, v from {{ ref('events') }}"));
    for name in ["one", "two"] {
        lake.write(&format!("models/{name}.sql"), &table("select sum(v) as v from {{ ref('base') }}"));
    }
    lake.write("models/checks.yml", "models: [{name: base, columns: [{name: id, data_tests: [unique]}]}]\n");
    lake.build_due().await;
    lake.target("dev");
    lake.write("models/one.sql", &table("select sum(v) + 1 as v from {{ ref('base') }}"));
    lake.write("models/two.sql", &table("select sum(v) + 2 as v from {{ ref('base') }}"));
    // A build reads production's base; a run makes one of its own, and whatever it makes with it reads that.
    lake.build_due().await;
    lake.build_with(&only("base", Purpose::Run)).await;
    lake.build_with(&only("two", Purpose::Run)).await;
    lake.story();
    lake.promote("dev").await;
    let story = lake.story();
    assert!(story.contains("dev.one > main.one") && story.contains("dev.two > main.two"), "{story}");
    assert_eq!(lake.rows("select (select v from main.one), (select v from main.two)").await, "31 32");
    lake.target("prod");
    lake.plan().await;
    let story = lake.story();
    assert!(!story.contains("code changed"), "{story}");
    // What was made of rows of other code stays where it is, whatever production's code is by now.
    lake.target("dev");
    lake.write("models/base.sql", &table("select id, v * 10 as v from {{ ref('events') }}"));
    lake.build_with(&only("base", Purpose::Run)).await;
    lake.build_with(&only("two", Purpose::Run)).await;
    lake.write("models/base.sql", &table("select id, v from {{ ref('events') }}"));
    lake.story();
    lake.promote("dev").await;
    let story = lake.story();
    assert!(!story.contains("dev.two > main.two"), "{story}");
    assert_eq!(lake.rows("select v from main.two").await, "32");
}
