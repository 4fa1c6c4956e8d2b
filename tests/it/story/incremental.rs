//! Tables that each build adds to.

use insta::assert_snapshot;

use crate::test_lake::TestLake;

#[tokio::test]
async fn merge_updates_what_matches_and_adds_the_rest() {
    let lake = TestLake::new();
    lake.write("models/s.yml", "sources: [{name: crm, tables: [{name: people}]}]");
    lake.write(
        "models/customers.sql",
        "
        {{ config(materialized='incremental', unique_key='id') }}
        select id, city, _load_id as load from {{ source('crm', 'people') }}
        {% if is_incremental() %} where _load_id > (select max(load) from {{ this }}) {% endif %}
        ",
    );
    lake.land("crm.people", "a.csv", "id,city\n1,Oslo\n2,Rome").await;
    lake.build().await;
    lake.land("crm.people", "b.csv", "id,city\n2,Paris\n3,Lima").await;
    lake.build().await;
    lake.sql("select id, city from customers order by id").await;
    lake.sql("select id, city from customers version as of 0 order by id").await;
    lake.sql("select id, city from customers as of release 2 order by id").await;
    assert_snapshot!(lake.story(), @r"");
}
