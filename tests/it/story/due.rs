//! What a build leaves alone, and what makes it do something again.

use insta::assert_snapshot;

use elt::lakehouse::{BuildRequest, PublishMode, Purpose};

use crate::test_lake::TestLake;

/// A source that the project lands itself, a view on it, a table below with a test, and one that stands alone.
fn shop() -> TestLake {
    let lake = TestLake::new();
    lake.write(
        "models/s.yml",
        "
        sources:
          - name: shop
            tables: [{name: orders, config: {location: 'inbox/orders_*.csv'}}]
        models:
          - name: sales
            columns: [{name: total, data_tests: [not_null]}]
        ",
    );
    lake.write(
        "models/stg.sql",
        "{{ config(materialized='view') }} select * from {{ source('shop', 'orders') }}",
    );
    lake.write(
        "models/sales.sql",
        "{{ config(materialized='table') }} select sum(amount) as total from {{ ref('stg') }}",
    );
    lake.write("models/calendar.sql", "{{ config(materialized='table') }} select 2026 as year");
    lake.write("inbox/orders_1.csv", "id,amount\n1,10\n2,20");
    lake
}

#[tokio::test]
async fn a_build_makes_what_has_changed_and_what_is_below_it() {
    let lake = shop();
    lake.plan().await;
    lake.build_due().await;
    lake.note("-- nothing");
    lake.plan().await;
    lake.build_due().await;
    lake.note("-- other looks");
    lake.write(
        "models/sales.sql",
        "{{ config(materialized='table', tags=['money'], meta={'owner': 'ann'}) }}\nSELECT\n  sum(amount) AS total -- of all\nFROM {{ ref('stg') }}",
    );
    lake.plan().await;
    lake.note("-- another query");
    lake.write("models/stg.sql", "{{ config(materialized='view') }} select id, amount * 2 as amount from {{ source('shop', 'orders') }}");
    lake.plan().await;
    lake.build_due().await;
    lake.sql("select total from sales").await;
    lake.note("-- another setting");
    lake.write(
        "models/calendar.sql",
        "{{ config(materialized='table', tblproperties={'delta.enableDeletionVectors': 'true'}) }} select 2026 as year",
    );
    lake.plan().await;
    lake.build_due().await;
    lake.note("-- a new file");
    lake.write("inbox/orders_2.csv", "id,amount\n3,30");
    lake.plan().await;
    lake.build_due().await;
    lake.sql("select total from sales").await;
    lake.note("-- all of it");
    lake.build().await;
    lake.plan().await;
    assert_snapshot!(lake.story(), @"
    plan: calendar missing
    plan: stg missing
    plan: sales missing
    plan: not_null_sales_total not known to hold
    plan: 0 up to date
    build: landed shop.orders  read 2 loaded 2 rescued 0 rejected 0
    build: calendar created (1 added)
    build: stg view (no rows)
    build: sales created (1 added)
    build: not_null_sales_total pass
    build: release 1
    -- nothing
    plan: 4 up to date
    build: landed shop.orders  known
    build: up to date: calendar, stg, sales, not_null_sales_total
    build: no release
    -- other looks
    plan: 4 up to date
    -- another query
    plan: stg code changed
    plan: sales input rebuilt: main.stg
    plan: not_null_sales_total input rebuilt: main.sales
    plan: 1 up to date
    build: landed shop.orders  known
    build: stg view (no rows)
    build: sales replaced (1 added)
    build: not_null_sales_total pass
    build: up to date: calendar
    build: release 2
    sql: 60
    -- another setting
    plan: calendar code changed
    plan: 3 up to date
    build: landed shop.orders  known
    build: calendar replaced (1 added)
    build: up to date: stg, sales, not_null_sales_total
    build: release 3
    -- a new file
    plan: stg input advanced: shop.orders from version 0 to 1
    plan: sales input rebuilt: main.stg
    plan: not_null_sales_total input rebuilt: main.sales
    plan: 1 up to date
    build: landed shop.orders  known, read 1 loaded 1 rescued 0 rejected 0
    build: stg view (no rows)
    build: sales replaced (1 added)
    build: not_null_sales_total pass
    build: up to date: calendar
    build: release 4
    sql: 120
    -- all of it
    build: landed shop.orders  known, known
    build: calendar replaced (1 added)
    build: stg view (no rows)
    build: sales replaced (1 added)
    build: not_null_sales_total pass
    build: release 5
    plan: 4 up to date
    ");
}

#[tokio::test]
async fn what_a_build_did_not_write_is_made_again() {
    let lake = shop();
    lake.build_due().await;
    lake.note("-- by hand");
    lake.sql("insert into sales values (7)").await;
    lake.plan().await;
    lake.build_due().await;
    lake.sql("select total from sales").await;
    lake.note("-- a source by hand");
    lake.sql("delete from shop.orders where id = 2").await;
    lake.plan().await;
    lake.build_due().await;
    lake.note("-- gone back");
    lake.roll_back(Some(1)).await;
    lake.plan().await;
    lake.build_due().await;
    lake.plan().await;
    lake.note("-- written in another way");
    lake.sql("insert into shop.orders (id, amount) values (3, 5)").await;
    lake.build_due().await;
    lake.sql("optimize shop.orders").await;
    lake.plan().await;
    lake.note("-- dropped");
    lake.sql("drop table calendar").await;
    lake.plan().await;
    assert_snapshot!(lake.story(), @"
    build: landed shop.orders  read 2 loaded 2 rescued 0 rejected 0
    build: calendar created (1 added)
    build: stg view (no rows)
    build: sales created (1 added)
    build: not_null_sales_total pass
    build: release 1
    -- by hand
    sql: INSERT 1 0 0 2
    plan: sales written since by something else than a build
    plan: not_null_sales_total input rebuilt: main.sales
    plan: 2 up to date
    build: landed shop.orders  known
    build: sales replaced (1 added)
    build: not_null_sales_total pass
    build: up to date: calendar, stg
    build: release 3
    sql: 30
    -- a source by hand
    sql: DELETE 0 0 1 4
    plan: stg input advanced: shop.orders from version 0 to 1
    plan: sales input rebuilt: main.stg
    plan: not_null_sales_total input rebuilt: main.sales
    plan: 1 up to date
    build: landed shop.orders  known
    build: stg view (no rows)
    build: sales replaced (1 added)
    build: not_null_sales_total pass
    build: up to date: calendar
    build: release 5
    -- gone back
    rollback: release 6 (rollback to 1)
    plan: 4 up to date
    build: landed shop.orders  known
    build: up to date: calendar, stg, sales, not_null_sales_total
    build: no release
    plan: 4 up to date
    -- written in another way
    sql: INSERT 1 0 0 7
    build: landed shop.orders  known
    build: stg view (no rows)
    build: sales replaced (1 added)
    build: not_null_sales_total pass
    build: up to date: calendar
    build: release 8
    sql: OPTIMIZE 0 0 0 9
    plan: 4 up to date
    -- dropped
    sql: DROP TABLE 0 0 0 10
    plan: calendar missing
    plan: 3 up to date
    ");
}

#[tokio::test]
async fn what_depends_on_more_than_the_lake_is_made_every_time() {
    let lake = TestLake::new();
    lake.write("dbt_project.yml", "name: test\nvars: {year: 2026}\nmodels: {+materialized: table}\n");
    lake.write("macros/cents.sql", "{% macro cents(x) %} {{ x }} * 100 {% endmacro %}");
    lake.write("seeds/colours.csv", "colour\nred\n");
    lake.write("models/a_clock.sql", "select now() as at");
    lake.write(
        "models/a_view_of_it.sql",
        "{{ config(materialized='view') }} select * from {{ ref('a_clock') }}",
    );
    lake.write("models/chance.sql", "select id from {{ ref('plain') }} where random() < 2");
    lake.write("models/file.sql", "select count(*) as planes from 'tests/data/nycflights13/planes.csv'");
    lake.write("models/itself.sql", "select {{ cents(2) }} as two_hundred");
    lake.write("models/known.sql", "select count(*) as releases from elt.releases");
    lake.write(
        "models/late.sql",
        "{% set rows = run_query('select count(*) as n from ' ~ ref('colours')) %} select {{ rows.columns[0].values()[0] if execute else 0 }} as n",
    );
    lake.write("models/plain.sql", "select {{ var('year') }} as id");
    lake.write("models/started.sql", "select '{{ run_started_at }}' as at");
    lake.build_due().await;
    lake.story();
    lake.note("-- nothing");
    lake.plan().await;
    lake.note("-- a macro");
    lake.write("macros/cents.sql", "{% macro cents(x) %} {{ x }} * 1000 {% endmacro %}");
    lake.plan().await;
    lake.note("-- a var");
    lake.write("dbt_project.yml", "name: test\nvars: {year: 2027}\nmodels: {+materialized: table}\n");
    lake.plan().await;
    lake.build_due().await;
    lake.note("-- a seed");
    lake.write("seeds/colours.csv", "colour\nred\nblue\n");
    lake.plan().await;
    lake.build_due().await;
    lake.sql("select n from late").await;
    lake.plan().await;
    assert_snapshot!(lake.story(), @"
    -- nothing
    plan: a_clock depends on the function `now`
    plan: a_view_of_it input rebuilt: main.a_clock
    plan: file depends on the file `tests/data/nycflights13/planes.csv`
    plan: known depends on `elt.releases`
    plan: chance depends on the function `random`
    plan: started code changed
    plan: 4 up to date
    -- a macro
    plan: a_clock depends on the function `now`
    plan: a_view_of_it input rebuilt: main.a_clock
    plan: file depends on the file `tests/data/nycflights13/planes.csv`
    plan: itself code changed
    plan: known depends on `elt.releases`
    plan: chance depends on the function `random`
    plan: started code changed
    plan: 3 up to date
    -- a var
    plan: a_clock depends on the function `now`
    plan: a_view_of_it input rebuilt: main.a_clock
    plan: file depends on the file `tests/data/nycflights13/planes.csv`
    plan: itself code changed
    plan: known depends on `elt.releases`
    plan: plain code changed
    plan: chance input rebuilt: main.plain
    plan: started code changed
    plan: 2 up to date
    build: a_clock replaced (1 added)
    build: a_view_of_it view (no rows)
    build: file replaced (1 added)
    build: itself replaced (1 added)
    build: known replaced (1 added)
    build: plain replaced (1 added)
    build: chance replaced (1 added)
    build: started replaced (1 added)
    build: up to date: colours, late
    build: release 2
    -- a seed
    plan: a_clock depends on the function `now`
    plan: a_view_of_it input rebuilt: main.a_clock
    plan: file depends on the file `tests/data/nycflights13/planes.csv`
    plan: known depends on `elt.releases`
    plan: chance depends on the function `random`
    plan: started code changed
    plan: colours content changed
    plan: late input rebuilt: main.colours
    plan: 2 up to date
    build: a_clock replaced (1 added)
    build: a_view_of_it view (no rows)
    build: file replaced (1 added)
    build: known replaced (1 added)
    build: chance replaced (1 added)
    build: started replaced (1 added)
    build: colours loaded (2 added)
    build: late replaced (1 added)
    build: up to date: itself, plain
    build: release 3
    sql: 2
    plan: a_clock depends on the function `now`
    plan: a_view_of_it input rebuilt: main.a_clock
    plan: file depends on the file `tests/data/nycflights13/planes.csv`
    plan: known depends on `elt.releases`
    plan: chance depends on the function `random`
    plan: started code changed
    plan: 4 up to date
    ");
}

#[tokio::test]
async fn an_incremental_model_waits_for_new_rows() {
    let lake = TestLake::new();
    lake.write(
        "models/customers.sql",
        "{{ config(materialized='incremental', unique_key='id') }} select id, city, _load_id as load from crm.people {% if is_incremental() %} where _load_id > (select max(load) from {{ this }}) {% endif %}",
    );
    lake.write(
        "models/parts.sql",
        "{{ config(materialized='incremental') }} select id from crm.people {% if is_incremental() %} where id > (select max(id) from {{ this }}) {% endif %} order by id limit 1",
    );
    lake.write("snapshots/s.yml", "snapshots: [{name: cities, relation: \"source('crm', 'people')\", config: {unique_key: id, strategy: check, check_cols: [city]}}]");
    lake.write("models/s.yml", "sources: [{name: crm, tables: [{name: people}]}]");
    lake.land("crm.people", "1.csv", "id,city\n1,Oslo\n2,Rome").await;
    lake.build_due().await;
    lake.note("-- nothing new");
    lake.plan().await;
    lake.build_due().await;
    lake.sql("select id from parts order by id").await;
    lake.land("crm.people", "2.csv", "id,city\n3,Lima").await;
    lake.plan().await;
    lake.build_due().await;
    lake.sql("select id, city from customers order by id").await;
    assert_snapshot!(lake.story(), @"
    land: crm.people  read 2 loaded 2 rescued 0 rejected 0  release 1
    build: customers created (2 added)
    build: parts created (1 added)
    build: cities taken (2 added)
    build: release 2
    -- nothing new
    plan: parts depends on a limit: each run may take the next rows
    plan: 2 up to date
    build: parts appended (1 added)
    build: up to date: customers, cities
    build: release 3
    sql: 1 | 2
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0  release 4
    plan: customers input advanced: crm.people from version 0 to 1
    plan: parts input advanced: crm.people from version 0 to 1
    plan: cities input advanced: crm.people from version 0 to 1
    plan: 0 up to date
    build: customers merged (1 added)
    build: parts appended (1 added)
    build: cities taken (1 added)
    build: release 5
    sql: 1 Oslo | 2 Rome | 3 Lima
    ");
}

#[tokio::test]
async fn a_test_that_held_is_not_asked_again_and_others_are() {
    let lake = TestLake::new();
    lake.write(
        "models/s.yml",
        "
        models:
          - name: people
            columns:
              - name: id
                data_tests: [unique, not_null]
              - name: city
                data_tests: [{not_null: {config: {severity: warn}}}]
        ",
    );
    lake.write("models/people.sql", "{{ config(materialized='view') }} select * from crm.people");
    lake.write("models/other.sql", "{{ config(materialized='table') }} select 1 as one");
    lake.land("crm.people", "1.csv", "id,city\n1,Oslo\n2,").await;
    lake.build_with(&BuildRequest { purpose: Purpose::Run, ..BuildRequest::default() }).await;
    lake.build_due().await;
    lake.plan().await;
    lake.note("-- a statement is a release between");
    lake.sql("create table notes as select 1 as one").await;
    lake.plan().await;
    lake.note("-- what is not published is not remembered");
    lake.land("crm.people", "2.csv", "id,city\n1,Rome").await;
    lake.write("models/other.sql", "{{ config(materialized='table') }} select 2 as one");
    let publish = PublishMode::Passing;
    lake.build_with(&BuildRequest { publish, ..BuildRequest::default() }).await;
    lake.plan().await;
    lake.note("-- verbs for a part do what they are asked for");
    lake.build_with(&BuildRequest { purpose: Purpose::Test, ..BuildRequest::default() }).await;
    assert_snapshot!(lake.story(), @"
    land: crm.people  read 2 loaded 2 rescued 0 rejected 0  release 1
    build: other created (1 added)
    build: people view (no rows)
    build: release 2
    build: not_null_people_city warn 1 row
    build: not_null_people_id pass
    build: unique_people_id pass
    build: up to date: other, people
    build: no release
    plan: not_null_people_city depends on rows that it warned of
    plan: 4 up to date
    -- a statement is a release between
    sql: CREATE TABLE 1 0 0 3
    plan: not_null_people_city depends on rows that it warned of
    plan: 4 up to date
    -- what is not published is not remembered
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0  release 4
    build: other replaced (1 added)
    build: people view (no rows)  NOT PUBLISHED: the test `unique_people_id` failed
    build: not_null_people_city warn 1 row
    build: not_null_people_id pass
    build: unique_people_id FAIL 1 row
    build: release 5
    plan: people input advanced: crm.people from version 0 to 1
    plan: not_null_people_city input rebuilt: main.people
    plan: not_null_people_id input rebuilt: main.people
    plan: unique_people_id input rebuilt: main.people
    plan: 1 up to date
    -- verbs for a part do what they are asked for
    build: not_null_people_city warn 1 row
    build: not_null_people_id pass
    build: unique_people_id FAIL 1 row
    build: no release
    ");
}

#[tokio::test]
async fn a_seed_in_other_quotes_is_the_same_seed() {
    let lake = TestLake::new();
    lake.write("seeds/colours.csv", "colour,note\nred,\n");
    lake.write("models/painted.sql", "select * from {{ ref('colours') }}");
    lake.build_due().await;
    lake.write_bytes("seeds/colours.csv", b"\xef\xbb\xbf\"colour\",\"note\"\r\n\"red\",\"\"\r\n");
    lake.story();
    lake.plan().await;
    lake.write("seeds/colours.csv", "colour,note\nred,warm\n");
    lake.plan().await;
    assert_snapshot!(lake.story(), @"
    plan: 2 up to date
    plan: colours content changed
    plan: painted input rebuilt: main.colours
    plan: 0 up to date
    ");
}

#[tokio::test]
async fn a_query_that_is_spelled_in_another_way_is_no_change() {
    let lake = shop();
    lake.write(
        "models/monthly.sql",
        "{{ config(materialized='incremental', unique_key=['id', 'day'], tblproperties={'delta.enableDeletionVectors': 'true', 'elt.writeMode': 'merge-on-read'}) }}
         select id, amount n, 1 as day from {{ ref('stg') }} where amount > 0 and id > 0",
    );
    lake.build_due().await;
    lake.write(
        "models/sales.sql",
        "{{ config(materialized='table') }} SELECT (SUM(AMOUNT)) total FROM {{ ref('stg') }} AS stg WHERE ((1 = 1))",
    );
    lake.plan().await;
    lake.build_due().await;
    lake.note("-- other words");
    lake.write(
        "models/sales.sql",
        "{{ config(materialized='table') }} select sum(amount) as total from {{ ref('stg') }} stg where 1 = 1",
    );
    lake.write(
        "models/monthly.sql",
        "{{ config(materialized='incremental', unique_key=['id', 'day'], tblproperties={'elt.writeMode': 'merge-on-read', 'delta.enableDeletionVectors': 'true'}) }}
         SELECT ID, (Amount) AS N, 1 AS Day FROM {{ ref('stg') }} WHERE (Amount > 0) AND (ID > 0)",
    );
    lake.plan().await;
    lake.note("-- another query");
    lake.write(
        "models/monthly.sql",
        "{{ config(materialized='incremental', unique_key=['id', 'day'], tblproperties={'elt.writeMode': 'merge-on-read', 'delta.enableDeletionVectors': 'true'}) }}
         select id, amount as n, 1 as day from {{ ref('stg') }} where amount > 0 or id > 0",
    );
    lake.plan().await;
    let story = lake.story();
    let (before, after) = story.split_once("-- other words\n").unwrap();
    assert!(before.contains("plan: sales code changed\n"), "it says more: {story}");
    let (same, other) = after.split_once("-- another query\n").unwrap();
    assert_eq!(same, "plan: 5 up to date\n");
    assert_eq!(other, "plan: monthly code changed\nplan: 4 up to date\n");
}
