//! A broken row, and what does not happen then.

use insta::assert_snapshot;

use elt::lakehouse::BuildRequest;

use crate::test_lake::TestLake;

/// Orders that the project lands itself, a view with tests, and two tables, one of them below the view.
fn shop() -> TestLake {
    let lake = TestLake::new();
    lake.write(
        "models/s.yml",
        "
        sources:
          - name: shop
            tables: [{name: orders, config: {location: 'inbox/orders_*.csv'}}]
        models:
          - name: stg_orders
            columns:
              - name: amount
                data_tests: [not_null]
              - name: id
                data_tests: [unique]
        ",
    );
    lake.write(
        "models/stg_orders.sql",
        "{{ config(materialized='view') }} select * from {{ source('shop', 'orders') }}",
    );
    lake.write(
        "models/sales.sql",
        "{{ config(materialized='table') }} select sum(amount) as total from {{ ref('stg_orders') }}",
    );
    lake.write("models/calendar.sql", "{{ config(materialized='table') }} select 2026 as year");
    lake.write("inbox/orders_1.csv", "id,amount\n1,10\n2,20");
    lake
}

#[tokio::test]
async fn a_broken_row_is_not_published_and_names_the_line_it_came_from() {
    let lake = shop();
    lake.build().await;
    lake.write("inbox/orders_2.csv", "id,amount\n3,30\n4,");
    lake.build().await;
    lake.sql("select total from sales").await;
    lake.sql("select count(*) from shop.orders").await;
    lake.write("inbox/orders_2.csv", "id,amount\n3,30\n4,40");
    lake.build().await;
    lake.sql("select total from sales").await;
    lake.sql("select total from sales as of release 1").await;
    lake.roll_back(None).await;
    lake.sql("select total from sales").await;
    lake.build().await;
    lake.sql("select total from sales").await;
    assert_snapshot!(lake.story(), @"
    build: landed shop.orders  read 2 loaded 2 rescued 0 rejected 0
    build: calendar created (1 added)
    build: stg_orders view (no rows)
    build: not_null_stg_orders_amount pass
    build: unique_stg_orders_id pass
    build: sales created (1 added)
    build: release 1
    build: landed shop.orders  known, read 2 loaded 2 rescued 0 rejected 0
    build: calendar replaced (1 added)  NOT PUBLISHED: `not_null_stg_orders_amount` failed
    build: stg_orders view (no rows)  NOT PUBLISHED: the test `not_null_stg_orders_amount` failed
    build: not_null_stg_orders_amount FAIL 1 row inbox/orders_2.csv:3
    build: unique_stg_orders_id pass
    build: sales skipped, `not_null_stg_orders_amount` failed  NOT PUBLISHED: `not_null_stg_orders_amount` failed
    build: no release
    sql: 30
    sql: 2
    build: landed shop.orders  known, read 2 loaded 2 rescued 0 rejected 0
    build: calendar replaced (1 added)
    build: stg_orders view (no rows)
    build: not_null_stg_orders_amount pass
    build: unique_stg_orders_id pass
    build: sales replaced (1 added)
    build: release 2
    sql: 100
    sql: 30
    rollback: release 3 (rollback to 1)
    sql: 30
    build: landed shop.orders  known, read 2 loaded 2 rescued 0 rejected 0
    build: calendar replaced (1 added)
    build: stg_orders view (no rows)
    build: not_null_stg_orders_amount pass
    build: unique_stg_orders_id pass
    build: sales replaced (1 added)
    build: release 4
    sql: 100
    ");
}

#[tokio::test]
async fn publishing_what_passes_leaves_out_what_is_below_a_failure() {
    let lake = shop();
    lake.build().await;
    lake.write("inbox/orders_2.csv", "id,amount\n3,30\n4,");
    lake.write("models/calendar.sql", "{{ config(materialized='table') }} select 2027 as year");
    lake.build_passing().await;
    lake.sql("select total, year from sales, calendar").await;
    // The view is as it was, so what it shows is, too.
    lake.sql("select count(*), count(amount) from stg_orders").await;
    assert_snapshot!(lake.story(), @"
    build: landed shop.orders  read 2 loaded 2 rescued 0 rejected 0
    build: calendar created (1 added)
    build: stg_orders view (no rows)
    build: not_null_stg_orders_amount pass
    build: unique_stg_orders_id pass
    build: sales created (1 added)
    build: release 1
    build: landed shop.orders  known, read 2 loaded 2 rescued 0 rejected 0
    build: calendar replaced (1 added)
    build: stg_orders view (no rows)  NOT PUBLISHED: the test `not_null_stg_orders_amount` failed
    build: not_null_stg_orders_amount FAIL 1 row inbox/orders_2.csv:3
    build: unique_stg_orders_id pass
    build: sales skipped, `not_null_stg_orders_amount` failed  NOT PUBLISHED: `not_null_stg_orders_amount` failed
    build: release 2
    sql: 30 2027
    sql: 2 2
    ");
}

#[tokio::test]
async fn only_what_is_selected_is_built() {
    let lake = shop();
    let select = vec!["+sales".parse().unwrap()];
    lake.build_with(&BuildRequest { select, ..BuildRequest::default() }).await;
    lake.sql("select year from calendar").await;
    assert_snapshot!(lake.story(), @"
    build: landed shop.orders  read 2 loaded 2 rescued 0 rejected 0
    build: stg_orders view (no rows)
    build: not_null_stg_orders_amount pass
    build: unique_stg_orders_id pass
    build: sales created (1 added)
    build: release 1
    sql: there is no table `main.calendar`
    ");
}

#[tokio::test]
async fn going_back_takes_away_what_was_not_there_then() {
    let lake = shop();
    lake.build().await;
    lake.write("models/extra.sql", "{{ config(materialized='table') }} select 1 as one");
    lake.write("models/calendar.sql", "{{ config(materialized='view') }} select 2027 as year");
    lake.build().await;
    lake.sql("select one, year from extra, calendar").await;
    lake.roll_back(Some(1)).await;
    lake.sql("select * from extra").await;
    lake.sql("select year from calendar").await;
    lake.roll_back(Some(1)).await;
    lake.roll_back(Some(9)).await;
    lake.build().await;
    lake.sql("select one, year from extra, calendar").await;
    assert_snapshot!(lake.story(), @"
    build: landed shop.orders  read 2 loaded 2 rescued 0 rejected 0
    build: calendar created (1 added)
    build: stg_orders view (no rows)
    build: not_null_stg_orders_amount pass
    build: unique_stg_orders_id pass
    build: sales created (1 added)
    build: release 1
    build: landed shop.orders  known
    build: calendar view (no rows)
    build: extra created (1 added)
    build: stg_orders view (no rows)
    build: not_null_stg_orders_amount pass
    build: unique_stg_orders_id pass
    build: sales replaced (1 added)
    build: release 2
    sql: 1 2027
    rollback: release 3 (rollback to 1)
    sql: there is no table `main.extra`
    sql: 2026
    rollback: nothing to do
    rollback: there is no release 9
    build: landed shop.orders  known
    build: calendar view (no rows)
    build: extra created (1 added)
    build: stg_orders view (no rows)
    build: not_null_stg_orders_amount pass
    build: unique_stg_orders_id pass
    build: sales replaced (1 added)
    build: release 4
    sql: 1 2027
    ");
}
