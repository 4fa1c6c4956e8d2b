//! `elt compile --check`: what is wrong is found before anything is built.

use insta::assert_snapshot;

use elt::lakehouse::{Checked, Selector, StudyRequest};

use crate::test_lake::TestLake;

async fn check(lake: &TestLake, select: &[&str]) -> Checked {
    let lakehouse = lake.open();
    let select: Vec<Selector> = select.iter().map(|selector| selector.parse().unwrap()).collect();
    let studied = lakehouse.study(&StudyRequest { select, ..StudyRequest::default() }).await.unwrap();
    lakehouse.check(&studied).await.unwrap()
}

fn told(checked: &Checked) -> String {
    let mistakes = checked.mistakes.iter().map(|(_, mistake)| {
        let place = mistake.place().unwrap_or_default();
        format!("{place}: {}", mistake.message())
    });
    let left = checked.not_checked.iter().map(|(id, because)| format!("not checked: {id}: {because}"));
    let lines: Vec<String> = mistakes.chain(left).chain([format!("{} right", checked.well)]).collect();
    lines.join("\n")
}

/// `column: from, from` of one node.
fn origins(checked: &Checked, node: &str) -> String {
    let node = &checked.lineage["nodes"][node];
    let columns = node["columns"].as_array().into_iter().flatten().map(|column| {
        let from = column["from"].as_array().into_iter().flatten();
        let from: Vec<String> = from
            .map(|from| {
                format!(
                    "{}.{} {}",
                    from["table"].as_str().unwrap(),
                    from["column"].as_str().unwrap(),
                    from["way"].as_str().unwrap()
                )
            })
            .collect();
        format!(
            "{} {}: {}",
            column["name"].as_str().unwrap(),
            column["data_type"].as_str().unwrap(),
            from.join(", ")
        )
    });
    let rows = node["rows_depend_on"].as_array().into_iter().flatten();
    let rows = rows.map(|row| {
        format!("rows: {}.{} {}", row["table"].as_str().unwrap(), row["column"].as_str().unwrap(), row["by"])
    });
    columns.chain(rows).map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn shop() -> TestLake {
    let lake = TestLake::new();
    lake.write("inbox/people.csv", "id,name,born\n1,Ann,1980-01-02\n2,Bob,1990-03-04\n");
    lake.write("seeds/cities.csv", "person,city\n1,Oslo\n2,Rome\n");
    lake.write(
        "models/s.yml",
        "
        sources:
          - name: crm
            tables:
              - {name: people, config: {location: inbox/people.csv}}
              - name: orders
                columns: [{name: person, data_type: bigint}, {name: amount, data_type: 'decimal(10,2)'}]
              - {name: later}
        models:
          - name: people
            columns: [{name: id, data_tests: [unique]}, {name: nme, data_tests: [not_null]}]
        ",
    );
    lake.write(
        "models/people.sql",
        "select id, upper(name) as name, born from {{ source('crm', 'people') }}",
    );
    lake.write(
        "models/totals.sql",
        "{{ config(materialized='table') }}
        select p.name, c.city, sum(o.amount) as total
        from {{ ref('people') }} p
        join {{ ref('cities') }} c on c.person = p.id
        left join {{ source('crm', 'orders') }} o on o.person = p.id
        group by 1, 2",
    );
    lake
}

#[tokio::test]
async fn all_mistakes_are_told_at_once_and_where_they_are() {
    let lake = shop();
    lake.write("models/bad.sql", "select\n  name,\n  agee\nfrom {{ ref('people') }}");
    lake.write("models/worse.sql", "select\n  city + total as x from {{ ref('totals') }} where born > 3");
    lake.write("models/after.sql", "select * from {{ ref('bad') }}");
    lake.write("models/unknown.sql", "select * from {{ source('crm', 'later') }}");
    lake.write(
        "models/promised.sql",
        "{{ config(materialized='table', contract={'enforced': true}) }} select 1 as id, 'x' as name",
    );
    lake.write(
        "models/keyed.sql",
        "{{ config(materialized='incremental', unique_key='nr') }} select id from {{ ref('people') }}",
    );
    lake.write(
        "models/t.yml",
        "
        models:
          - name: promised
            columns: [{name: id, data_type: varchar}, {name: name, data_type: varchar}]
        ",
    );
    let checked = check(&lake, &[]).await;
    assert_snapshot!(told(&checked), @r"
    models/promised.sql:1:1: model `promised`: This model has an enforced contract that failed.

    | column_name | definition_type | contract_type | mismatch_reason |
    | id | bigint | varchar | data type mismatch |
    models/bad.sql:3:3: model `bad`: there is no column `agee`
    models/keyed.sql:1:1: model `keyed`: the query has no column `nr`, which `unique_key` names
    models/worse.sql:2:52: model `worse`: there is no column `born`
    models/s.yml:10:74: test `not_null_people_nme`: there is no column `nme`
    not checked: source.test.crm.later: it is not in the lake, and its properties do not give every column a `data_type`
    not checked: model.test.unknown: what it reads is not known: `crm.later`
    not checked: model.test.after: what it reads is not known: `bad`
    6 right
    ");
    assert_snapshot!(told(&check(&lake, &["promised"]).await), @r"
    models/promised.sql:1:1: model `promised`: This model has an enforced contract that failed.

    | column_name | definition_type | contract_type | mismatch_reason |
    | id | bigint | varchar | data type mismatch |
    6 right
    ");
    // Nothing was built, and nothing was landed.
    assert_eq!(
        lake.rows("select count(*) from information_schema.tables where table_schema = 'main'").await,
        "0"
    );
}

#[tokio::test]
async fn columns_know_where_they_come_from() {
    let lake = shop();
    lake.write("snapshots/s.yml", "snapshots: [{name: kept, relation: ref('people'), config: {unique_key: id, strategy: check, check_cols: all}}]");
    lake.write("models/seen.sql", "select id, dbt_valid_from from {{ ref('kept') }}");
    let checked = check(&lake, &["totals", "kept", "seen"]).await;
    assert_snapshot!(told(&checked), @"8 right");
    assert_snapshot!(origins(&checked, "model.test.totals"), @r#"
    name varchar: main.people.name copied
    city varchar: main.cities.city copied
    total decimal(20,2): crm.orders.amount aggregated
    rows: crm.orders.person ["join"]
    rows: main.cities.city ["group"]
    rows: main.cities.person ["join"]
    rows: main.people.id ["join"]
    rows: main.people.name ["group"]
    "#);
    assert_snapshot!(origins(&checked, "snapshot.test.kept"), @r"
    id bigint: main.people.id copied
    name varchar: main.people.name copied
    born date: main.people.born copied
    dbt_scd_id varchar:
    dbt_updated_at timestamp:
    dbt_valid_from timestamp:
    dbt_valid_to timestamp:
    ");
    let written = std::fs::read_to_string(lake.path().join("target/column_lineage.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written["nodes"], checked.lineage["nodes"]);
}

#[tokio::test]
async fn templates_see_the_columns_that_are_to_come() {
    let lake = shop();
    lake.write(
        "models/asks.sql",
        "select {% for column in adapter.get_columns_in_relation(ref('totals')) %}{{ column.name }} as {{ column.name }}_, {% endfor %} 1 as one from {{ ref('totals') }}",
    );
    lake.write(
        "models/reads.sql",
        "{% set n = run_query('select count(*) from ' ~ ref('totals')) %}select {{ n.columns[0].values()[0] if execute else 0 }} as n",
    );
    let checked = check(&lake, &["asks", "reads"]).await;
    assert_snapshot!(told(&checked), @r"
    not checked: model.test.reads: its template asks for what is not there yet: run_query() failed: there is no table `main.totals`
    7 right
    ");
    assert_snapshot!(origins(&checked, "model.test.asks"), @r"
    name_ varchar: main.totals.name copied
    city_ varchar: main.totals.city copied
    total_ decimal(20,2): main.totals.total copied
    one bigint:
    ");
}

/// How many rows there are changes nothing of what a query is; which columns there are may depend on rows.
#[tokio::test]
async fn what_depends_on_rows_that_are_to_come_is_no_mistake() {
    let lake = TestLake::new();
    lake.write("models/a.sql", "{{ config(materialized='table') }} select 2 as id, 'x' as k, 5 as v");
    lake.write("models/some.sql", "select id from {{ ref('a') }} limit (select max(id) from {{ ref('a') }})");
    lake.write("models/wide.sql", "pivot {{ ref('a') }} on k using sum(v)");
    lake.note(&told(&check(&lake, &[]).await));
    lake.build().await;
    lake.note(&told(&check(&lake, &[]).await));
    lake.sql("select * from some").await;
    lake.sql("select * from wide").await;
    assert_snapshot!(lake.story(), @"
    not checked: model.test.wide: which columns it has depends on rows that are not known before a build
    2 right
    build: a created (1 added)
    build: some view (no rows)
    build: wide view (no rows)
    build: release 1
    not checked: model.test.wide: which columns it has depends on rows that are not known before a build
    2 right
    sql: 2
    sql: 2 5
    ");
}
