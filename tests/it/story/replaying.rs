//! A run is made again from what it read then.

use elt::base::Unwatched;

use crate::test_lake::TestLake;

async fn replay(lake: &TestLake, run: &str) -> String {
    match Box::pin(lake.open().replay(run, &Unwatched)).await {
        Err(error) => error.to_string(),
        Ok(replayed) => {
            let told = replayed.tables.iter().map(|table| {
                let how = match &table.difference {
                    Some(found) if found.is_nothing() => format!("same {}", found.unchanged),
                    Some(found) => format!("+{} -{} ={}", found.added, found.removed, found.unchanged),
                    None => "not made".to_owned(),
                };
                let because =
                    table.because.as_ref().map(|because| format!(" ({because})")).unwrap_or_default();
                format!("{}@{} {how}{because}", table.table, table.version)
            });
            told.collect::<Vec<_>>().join(", ")
        }
    }
}

#[tokio::test]
async fn a_run_gives_the_same_again_from_the_versions_that_it_read() {
    let lake = TestLake::new();
    lake.write(
        "models/sources.yml",
        "sources: [{name: shop, tables: [{name: orders, config: {location: inbox/orders_*.csv}}]}]\n",
    );
    lake.write("inbox/orders_1.csv", "id,amount\n1,5\n2,7\n");
    lake.write(
        "models/kept.sql",
        "{{ config(materialized='incremental', unique_key='id') }} select id, amount from {{ source('shop', 'orders') }}
         {% if is_incremental() %} where id > (select max(id) from {{ this }}) {% endif %}",
    );
    lake.write(
        "models/total.sql",
        "{{ config(materialized='table') }} select sum(amount) as amount from {{ ref('kept') }}",
    );
    lake.write(
        "models/odd.sql",
        "{{ config(materialized='table') }} select random() as r from {{ ref('kept') }}",
    );
    let first = lake.build_due().await.run;
    lake.write("inbox/orders_2.csv", "id,amount\n3,9\n");
    let second = lake.build_due().await.run;
    lake.sql("insert into kept values (4, 100)").await;
    let before = lake.rows("select * from kept order by id").await;
    assert_eq!(
        replay(&lake, &first).await,
        "main.kept@0 same 2, main.odd@0 +2 -2 =0 (it depends on the function `random`), main.total@0 same 1"
    );
    assert_eq!(
        replay(&lake, &second).await,
        "main.kept@1 same 3, main.odd@1 +3 -3 =0 (it depends on the function `random`), main.total@1 same 1"
    );
    // Nobody sees anything of it.
    assert_eq!(lake.rows("select * from kept order by id").await, before);
    assert_eq!(lake.rows("select count(*) from elt.releases").await, "3");
    // What was made by other code cannot be made again, and what is gone neither.
    lake.write(
        "models/total.sql",
        "{{ config(materialized='table') }} select max(amount) as amount from {{ ref('kept') }}",
    );
    std::fs::remove_file(lake.path().join("models/odd.sql")).unwrap();
    assert_eq!(
        replay(&lake, &second).await,
        "main.kept@1 same 3, main.total@1 not made (its code has changed since; check out the project as it was then), \
         main.odd@1 not made (the project has no `model.test.odd` any more)"
    );
    assert_eq!(replay(&lake, "nothing").await, "no run `nothing` has published anything");
    assert_eq!(replay(&lake, "id-").await, "`id-` is the beginning of 3 runs");
}
