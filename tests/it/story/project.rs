//! What is wrong with a project, all at once.

use insta::assert_snapshot;

use elt::lakehouse::BuildRequest;

use crate::test_lake::TestLake;

#[tokio::test]
async fn a_wrong_project_is_told_all_its_mistakes() {
    let lake = TestLake::new();
    lake.write("models/stg_orders.sql", "select 1 as id");
    lake.write("models/a.sql", "-- first\nselect * from {{ ref('stg_order') }}");
    lake.write("models/b.sql", "select * from {{ source('shop', 'orders') }}");
    lake.write("models/c.sql", "{{ config(materialised='table') }}\nselect {{ undefined_macro() }}");
    let error = lake.try_build(&BuildRequest::default()).await.unwrap_err();
    assert_eq!(error.kind().exit_code(), 2);
    let diagnostics = error.diagnostics();
    let told = diagnostics.iter().map(|d| {
        let help = d.help().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{d}{help}\n")
    });
    assert_snapshot!(told.collect::<String>(), @"
    `materialised` is not a known key of config() (did you mean `materialized`?)
    there is no function or macro `undefined_macro` (define it in a file under macros/)
    model `a` refers to `stg_order`, which is not in this project (did you mean `stg_orders`? It is models/stg_orders.sql)
    model `b` reads the source `shop`, which is not described (describe it under `sources:` in a properties file below models/)
    ");
}

#[tokio::test]
async fn a_mistake_in_sql_is_shown_in_the_file_that_was_written() {
    let lake = TestLake::new();
    lake.write("models/orders.sql", "select 1 as id, 2 as amount");
    lake.write(
        "models/sales.sql",
        "
        {# sums it up #}
        {{ config(materialized='table') }}
        select
            sum(amuont) as total
        from {{ ref('orders') }}
        ",
    );
    lake.write(
        "models/ratio.sql",
        "{{ config(materialized='table') }}\nselect id / (id - 1) as r\nfrom {{ ref('orders') }}",
    );
    let built = lake.build().await;
    let places: Vec<String> = built
        .steps
        .iter()
        .filter_map(|step| match &step.verdict {
            elt::lakehouse::Verdict::Broken(error) => match &**error {
                elt::build::BuildError::Sql(diagnostic) => diagnostic.place(),
                other => Some(other.to_string()),
            },
            _ => None,
        })
        .collect();
    assert_eq!(places, ["models/ratio.sql:1:1", "models/sales.sql:4:9"]);
    assert_snapshot!(lake.story(), @"
    build: orders view (no rows)  NOT PUBLISHED: `ratio` failed
    build: ratio ERROR model `ratio`: division by zero  NOT PUBLISHED: it could not be built
    build: sales ERROR model `sales`: there is no column `amuont`  NOT PUBLISHED: it could not be built
    build: no release
    ");
}

#[tokio::test]
async fn a_version_of_a_model_is_not_taken_for_the_model() {
    let lake = TestLake::new();
    lake.write("models/a.sql", "select 1 as id");
    lake.write("models/b.sql", "select * from {{ ref('a', v=2) }}");
    let error = lake.try_build(&BuildRequest::default()).await.unwrap_err();
    assert!(error.to_string().contains("refers to version 2 of `a`, which is not there"), "{error}");
}
