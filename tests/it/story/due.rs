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
        "{{ config(materialized='table', tblproperties={'made.for': 'the year'}) }} select 2026 as year",
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
    assert_snapshot!(lake.story(), @"");
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
    assert_snapshot!(lake.story(), @"");
}

#[tokio::test]
async fn what_depends_on_more_than_the_lake_is_made_every_time() {
    let lake = TestLake::new();
    lake.write("dbt_project.yml", "name: test\nvars: {year: 2026}\nmodels: {+materialized: table}\n");
    lake.write("macros/cents.sql", "{% macro cents(x) %} {{ x }} * 100 {% endmacro %}");
    lake.write("data.csv", "a\n1\n");
    lake.write("seeds/colours.csv", "colour\nred\n");
    lake.write("models/a_clock.sql", "select now() as at");
    lake.write(
        "models/a_view_of_it.sql",
        "{{ config(materialized='view') }} select * from {{ ref('a_clock') }}",
    );
    lake.write("models/chance.sql", "select id from {{ ref('plain') }} where random() < 2");
    let file = lake.path().join("data.csv");
    lake.write("models/file.sql", &format!("select * from '{}'", file.display()));
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
    lake.story();
    lake.note("-- a seed");
    lake.write("seeds/colours.csv", "colour\nred\nblue\n");
    lake.plan().await;
    lake.build_due().await;
    lake.sql("select n from late").await;
    lake.plan().await;
    assert_snapshot!(lake.story(), @"");
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
    assert_snapshot!(lake.story(), @"");
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
    assert_snapshot!(lake.story(), @"");
}
