//! A target beside production, and how it becomes production.

use elt::lakehouse::BuildRequest;
use insta::assert_snapshot;

use crate::test_lake::TestLake;

/// Orders of people, in production since release 1.
async fn shop() -> TestLake {
    let mut lake = TestLake::new();
    lake.write(
        "profiles.yml",
        "test:\n  target: prod\n  outputs:\n    prod: {type: elt, schema: main}\n    dev: {type: elt, schema: dev}\n",
    );
    lake.write(
        "models/sources.yml",
        "sources:\n  - name: shop\n    tables:\n      - {name: orders, config: {location: inbox/orders_*.csv}}\n",
    );
    lake.write("inbox/orders_1.csv", "id,person,amount\n1,1,5\n2,2,7\n");
    lake.write("seeds/people.csv", "person,city\n1,Oslo\n2,Rome\n");
    lake.write("models/stg_orders.sql", "select id, person, amount from {{ source('shop', 'orders') }}");
    lake.write(
        "models/cities.sql",
        "{{ config(materialized='table') }} select p.city, sum(o.amount) as amount
         from {{ ref('stg_orders') }} o join {{ ref('people') }} p on p.person = o.person group by p.city",
    );
    lake.write(
        "models/report.sql",
        "{{ config(materialized='table') }} select max(amount) as most from {{ ref('cities') }}",
    );
    lake.write(
        "models/checks.yml",
        "models:\n  - {name: cities, columns: [{name: city, data_tests: [not_null, unique]}]}\n  \
         - {name: report, columns: [{name: most, data_tests: [not_null]}]}\n",
    );
    lake.target("prod");
    lake.build_due().await;
    lake.story();
    lake
}

const DOUBLED: &str =
    "{{ config(materialized='table') }} select max(amount) * 2 as most from {{ ref('cities') }}";

#[tokio::test]
async fn an_environment_makes_what_has_changed_and_reads_the_rest_as_it_was() {
    let mut lake = shop().await;
    lake.target("dev");
    lake.plan().await;
    lake.build_due().await;
    // Nothing was made, and everything is there.
    lake.sql("select * from dev.cities order by city").await;
    lake.write("models/report.sql", DOUBLED);
    lake.build_due().await;
    lake.sql("select (select most from main.report) as prod, (select most from dev.report) as dev").await;
    lake.build_due().await;
    // Production goes on, by files that an environment does not land; the environment stays as it was.
    lake.write("inbox/orders_2.csv", "id,person,amount\n3,1,100\n");
    lake.build_due().await;
    lake.sql("select count(*) from dev.stg_orders").await;
    lake.write(
        "models/report.sql",
        "{{ config(materialized='table') }} select max(amount) as most from {{ ref('cities') }}",
    );
    lake.target("prod");
    lake.build_due().await;
    lake.sql(
        "select (select sum(amount) from main.cities) as prod, (select sum(amount) from dev.cities) as dev",
    )
    .await;
    // Until it is built again.
    lake.target("dev");
    lake.build_due().await;
    lake.sql(
        "select (select sum(amount) from dev.cities) as cities, (select most from dev.report) as report",
    )
    .await;
    assert_snapshot!(lake.story(), @r"
    plan: 7 up to date
    build: up to date: cities, report, stg_orders, people, not_null_cities_city, not_null_report_most, unique_cities_city
    build: release 2
    sql: Oslo 5 | Rome 7
    build: report created (1 added)
    build: not_null_report_most pass
    build: up to date: cities, stg_orders, people, not_null_cities_city, unique_cities_city
    build: release 3
    sql: 7 14
    build: up to date: report, not_null_report_most, cities, stg_orders, people, not_null_cities_city, unique_cities_city
    build: no release
    build: up to date: report, not_null_report_most, cities, stg_orders, people, not_null_cities_city, unique_cities_city
    build: no release
    sql: 2
    build: landed shop.orders  known, read 1 loaded 1 rescued 0 rejected 0
    build: stg_orders view (no rows)
    build: cities replaced (2 added)
    build: not_null_cities_city pass
    build: unique_cities_city pass
    build: report replaced (1 added)
    build: not_null_report_most pass
    build: up to date: people
    build: release 4
    sql: 112 12
    build: up to date: cities, report, stg_orders, people, not_null_cities_city, not_null_report_most, unique_cities_city
    build: release 5
    sql: 112 105
    ");
}

#[tokio::test]
async fn what_was_tested_is_promoted_without_being_built_again() {
    let mut lake = shop().await;
    lake.target("dev");
    lake.promote("dev").await;
    lake.write("models/report.sql", DOUBLED);
    lake.promote("dev").await;
    lake.write(
        "models/stg_orders.sql",
        "select id, person, amount + 1 as amount from {{ source('shop', 'orders') }}",
    );
    lake.build_due().await;
    lake.promote("dev").await;
    lake.sql(
        "select (select most from main.report) as report, (select sum(amount) from main.cities) as cities",
    )
    .await;
    lake.sql(
        "select view_definition from elt.tables where table_schema = 'main' and table_name = 'stg_orders'",
    )
    .await;
    // Production knows it as its own, and the environment has nothing of its own any more.
    lake.target("prod");
    lake.plan().await;
    lake.build_due().await;
    lake.target("dev");
    lake.build_due().await;
    lake.promote("dev").await;
    // It is a release like any other.
    lake.roll_back(Some(1)).await;
    lake.sql("select most from main.report").await;
    assert_snapshot!(lake.story(), @r"
    promote: nothing was promoted: `dev` was not built yet
    promote: nothing was promoted: `dev` was not built yet
    build: stg_orders view (no rows)
    build: cities created (2 added)
    build: not_null_cities_city pass
    build: unique_cities_city pass
    build: report created (1 added)
    build: not_null_report_most pass
    build: up to date: people
    build: release 2
    promote: release 3 (promote dev) dev.cities > main.cities, dev.report > main.report, dev.stg_orders > main.stg_orders
    sql: 16 14
    sql: select id, person, amount + 1 as amount from shop.orders
    plan: 7 up to date
    build: landed shop.orders  known
    build: up to date: people, stg_orders, cities, report, not_null_cities_city, not_null_report_most, unique_cities_city
    build: no release
    build: up to date: cities, report, stg_orders, people, not_null_cities_city, not_null_report_most, unique_cities_city
    build: release 4
    promote: nothing 
    rollback: release 5 (rollback to 1)
    sql: 7
    ");
}

#[tokio::test]
async fn nothing_is_promoted_that_something_has_moved_under() {
    let mut lake = shop().await;
    lake.target("dev");
    lake.write("models/report.sql", DOUBLED);
    lake.build_due().await;
    lake.sql("insert into main.report values (1000)").await;
    lake.promote("dev").await;
    let again =
        BuildRequest { full: true, select: vec!["report".parse().unwrap()], ..BuildRequest::default() };
    lake.build_with(&again).await;
    lake.promote("dev").await;
    lake.sql("select most from main.report").await;
    // A snapshot's rows are production's own.
    lake.write(
        "snapshots/seen.sql",
        "{% snapshot seen %}{{ config(unique_key='city', strategy='check', check_cols='all') }} select * from {{ ref('cities') }}{% endsnapshot %}",
    );
    lake.build_due().await;
    lake.promote("dev").await;
    lake.promote("prod").await;
    lake.promote("test").await;
    assert_snapshot!(lake.story(), @r"
    build: report created (1 added)
    build: not_null_report_most pass
    build: up to date: cities, stg_orders, people, not_null_cities_city, unique_cities_city
    build: release 2
    sql: INSERT 1 0 0 3
    promote: nothing was promoted: `main.report` has moved since `dev.report` was made for release 2
    build: report replaced (1 added)
    build: not_null_report_most pass
    build: release 4
    promote: release 5 (promote dev) dev.report > main.report
    sql: 14
    build: seen taken (2 added)
    build: up to date: cities, report, stg_orders, people, not_null_cities_city, not_null_report_most, unique_cities_city
    build: release 6
    promote: nothing 
    promote: the target `prod` is no environment beside a production: it is production itself, or stands alone
    promote: the profile `test` has no target `test`
    ");
}

#[tokio::test]
async fn a_target_that_stands_apart_makes_all_that_it_has() {
    let mut lake = shop().await;
    lake.target("dev");
    let apart = BuildRequest { apart: true, ..BuildRequest::default() };
    lake.build_with(&apart).await;
    lake.write(
        "profiles.yml",
        "test:\n  target: dev\n  outputs:\n    prod: {type: elt, schema: main}\n    dev: {type: elt, schema: dev, production: none}\n",
    );
    lake.write("models/report.sql", DOUBLED);
    lake.build_due().await;
    lake.promote("dev").await;
    assert_snapshot!(lake.story(), @r"
    build: landed shop.orders  known
    build: people loaded (2 added)
    build: stg_orders view (no rows)
    build: cities created (2 added)
    build: not_null_cities_city pass
    build: unique_cities_city pass
    build: report created (1 added)
    build: not_null_report_most pass
    build: release 2
    build: landed shop.orders  known
    build: report replaced (1 added)
    build: not_null_report_most pass
    build: up to date: people, stg_orders, cities, not_null_cities_city, unique_cities_city
    build: release 3
    promote: the target `dev` is no environment beside a production: it is production itself, or stands alone
    ");
}

#[tokio::test]
async fn one_build_is_enough_to_promote_although_production_moved() {
    let mut lake = shop().await;
    lake.write("models/report.sql", DOUBLED);
    lake.target("dev");
    lake.plan().await;
    lake.build_due().await;
    // Production moves, so that the environment points elsewhere afterwards.
    lake.write("inbox/orders_2.csv", "id,person,amount\n3,1,100\n");
    lake.write(
        "models/report.sql",
        "{{ config(materialized='table') }} select max(amount) as most from {{ ref('cities') }}",
    );
    lake.target("prod");
    lake.build_due().await;
    lake.write("models/report.sql", DOUBLED);
    lake.target("dev");
    lake.build_due().await;
    lake.plan().await;
    lake.build_due().await;
    lake.promote("dev").await;
    lake.sql("select * from main.report").await;
    lake.target("prod");
    lake.plan().await;
    assert_snapshot!(lake.story(), @"
    plan: report code is another than production's
    plan: not_null_report_most not known to hold
    plan: 5 up to date
    build: report created (1 added)
    build: not_null_report_most pass
    build: up to date: cities, stg_orders, people, not_null_cities_city, unique_cities_city
    build: release 2
    build: landed shop.orders  known, read 1 loaded 1 rescued 0 rejected 0
    build: stg_orders view (no rows)
    build: cities replaced (2 added)
    build: not_null_cities_city pass
    build: unique_cities_city pass
    build: report replaced (1 added)
    build: not_null_report_most pass
    build: up to date: people
    build: release 3
    build: report replaced (1 added)
    build: not_null_report_most pass
    build: up to date: cities, stg_orders, people, not_null_cities_city, unique_cities_city
    build: release 4
    plan: 7 up to date
    build: up to date: report, not_null_report_most, cities, stg_orders, people, not_null_cities_city, unique_cities_city
    build: no release
    promote: release 5 (promote dev) dev.report > main.report
    sql: 210
    plan: 7 up to date
    ");
}

#[tokio::test]
async fn a_plan_says_why_something_is_not_taken_over() {
    let mut lake = shop().await;
    lake.write("models/cities.sql", "{{ config(materialized='table') }} select 'Oslo' as city, sum(amount) as amount from {{ ref('stg_orders') }}");
    lake.write("models/more.sql", "select 1 as one");
    lake.target("dev");
    lake.plan().await;
    lake.build_due().await;
    lake.write(
        "models/stg_orders.sql",
        "select id, person, amount * 2 as amount from {{ source('shop', 'orders') }}",
    );
    lake.plan().await;
    assert_snapshot!(lake.story(), @"
    plan: more missing
    plan: cities code is another than production's
    plan: report input rebuilt: dev.cities
    plan: not_null_cities_city not known to hold
    plan: not_null_report_most not known to hold
    plan: unique_cities_city not known to hold
    plan: 2 up to date
    build: more view (no rows)
    build: cities created (1 added)
    build: not_null_cities_city pass
    build: unique_cities_city pass
    build: report created (1 added)
    build: not_null_report_most pass
    build: up to date: stg_orders, people
    build: release 2
    plan: stg_orders code is another than production's
    plan: cities code changed
    plan: report input rebuilt: dev.cities
    plan: not_null_cities_city input rebuilt: dev.cities
    plan: not_null_report_most input rebuilt: dev.report
    plan: unique_cities_city input rebuilt: dev.cities
    plan: 2 up to date
    ");
}
