//! A dbt project as it is cloned: seeds, packages, hooks, templates that read the lake.

use insta::assert_snapshot;

use elt::lakehouse::{BuildRequest, Purpose};

use crate::test_lake::TestLake;

#[tokio::test]
async fn a_seed_is_a_table_that_models_and_tests_refer_to() {
    let lake = TestLake::new();
    lake.write(
        "dbt_project.yml",
        "
        name: test
        seeds:
          test:
            +schema: raw
            countries: {+column_types: {code: varchar}}
        ",
    );
    lake.write("seeds/countries.csv", "Code,name,people\n007,Norway,5.5\n008,\"Italy, the\",\n");
    lake.write("seeds/s.yml", "seeds: [{name: countries, columns: [{name: code, data_tests: [unique]}]}]");
    lake.write("models/m.sql", "select code, name, people * 2 as twice from {{ ref('countries') }}");
    lake.build().await;
    lake.sql("select * from m order by code").await;
    lake.write("seeds/countries.csv", "code,name,people\n009,Peru,1\n");
    lake.build_with(&BuildRequest { purpose: Purpose::Seed, ..BuildRequest::default() }).await;
    lake.sql("select * from m").await;
    assert_snapshot!(lake.story(), @"
    build: countries loaded (2 added)
    build: unique_countries_code pass
    build: m view (no rows)
    build: release 1
    sql: 007 Norway 11.0 | 008 Italy, the -
    build: countries loaded (1 added)
    build: release 2
    sql: 009 Peru 2
    ");
}

#[tokio::test]
async fn a_package_brings_macros_tests_and_models_and_the_project_has_the_last_word() {
    let lake = TestLake::new();
    lake.write("packages.yml", "packages: [{package: acme/tools, version: 1.0.0}]");
    lake.write(
        "dbt_project.yml",
        "
        name: test
        vars: {tools: {greeting: Hei}}
        dispatch: [{macro_namespace: tools, search_order: [test, tools]}]
        models: {tools: {+materialized: table, +schema: extra}}
        ",
    );
    let package = "dbt_packages/tools";
    lake.write(&format!("{package}/dbt_project.yml"), "name: tools\nvars: {greeting: Hello, who: you}\n");
    lake.write(
        &format!("{package}/macros/m.sql"),
        "
        {% macro cents(x) %}{{ return(adapter.dispatch('cents', 'tools')(x)) }}{% endmacro %}
        {% macro default__cents(x) %}{{ x }} * 100{% endmacro %}
        {% macro plain(x) %}{{ helper(x) }}{% endmacro %}
        {% macro helper(x) %}({{ x }}){% endmacro %}
        {% test positive(model, column_name) %}select * from {{ model }} where {{ column_name }} <= 0{% endtest %}
        ",
    );
    lake.write(
        &format!("{package}/models/hello.sql"),
        "select '{{ var('greeting') }} {{ var('who') }}' as words",
    );
    lake.write("macros/mine.sql", "{% macro elt__cents(x) %}{{ x }} * 1000{% endmacro %}");
    lake.write(
        "models/m.sql",
        "select {{ tools.cents(2) }} as a, {{ tools.plain(3) }} as b, words from {{ ref('tools', 'hello') }}",
    );
    lake.write("models/s.yml", "models: [{name: m, columns: [{name: a, data_tests: [tools.positive]}]}]");
    lake.build().await;
    lake.sql("select * from m").await;
    lake.sql("select table_schema from information_schema.tables where table_name = 'hello'").await;
    assert_snapshot!(lake.story(), @"
    build: hello created (1 added)
    build: m view (no rows)
    build: tools_positive_m_a pass
    build: release 1
    sql: 2000 3 Hei you
    sql: main_extra
    ");
}

#[tokio::test]
async fn a_package_that_is_not_there_is_one_mistake() {
    let lake = TestLake::new();
    lake.write("packages.yml", "packages:\n  - package: dbt-labs/dbt_utils\n    version: 1.0.0\n");
    lake.write("models/m.sql", "select {{ dbt_utils.star(ref('x')) }}");
    lake.try_build(&BuildRequest::default()).await.unwrap_err();
    assert_snapshot!(lake.story(), @"build: the package `dbt_utils` is not installed");
}

#[tokio::test]
async fn a_template_reads_what_the_build_has_made_so_far() {
    let lake = TestLake::new();
    lake.write("seeds/kinds.csv", "kind,n\na,1\nb,2\n");
    lake.write(
        "models/pivot.sql",
        "
        {% set kinds = run_query('select distinct kind from ' ~ ref('kinds') ~ ' order by 1') %}
        select
          {% for kind in (kinds.columns[0].values() if execute else []) -%}
          sum(case when kind = '{{ kind }}' then n end) as {{ kind }},
          {% endfor -%}
          {{ adapter.get_columns_in_relation(ref('kinds')) | length }} as columns
        from {{ ref('kinds') }}
        ",
    );
    lake.write(
        "models/counted.sql",
        "
        -- depends_on: {{ ref('pivot') }}
        {% call statement('n', fetch_result=true) %}select count(*) from {{ ref('pivot') }}{% endcall %}
        select {{ load_result('n').data[0][0] if execute else 0 }} as rows,
          {{ 'true' if adapter.get_relation('', target.schema, 'pivot') else 'false' }} as is_there
        ",
    );
    lake.build().await;
    lake.sql("select * from pivot").await;
    lake.sql("select * from counted").await;
    assert_snapshot!(lake.story(), @"
    build: kinds loaded (2 added)
    build: pivot view (no rows)
    build: counted view (no rows)
    build: release 1
    sql: 1 2 2
    sql: 1 true
    ");
}

#[tokio::test]
async fn hooks_read_and_what_has_no_place_in_a_lake_is_left_out() {
    let lake = TestLake::new();
    lake.write("dbt_project.yml", "name: test\non-run-end: ['grant select on all to public', 'select 1']\n");
    lake.write(
        "models/m.sql",
        "{{ config(post_hook=['select count(*) from {{ this }}', 'analyze {{ this }}']) }} select 1 as id",
    );
    lake.build().await;
    lake.write("models/m.sql", "{{ config(post_hook='drop table {{ this }}') }} select 1 as id");
    lake.try_build(&BuildRequest::default()).await.unwrap_err();
    assert_snapshot!(lake.story(), @"
    build: m view (no rows)
    build: release 1
    build: not supported: a hook of `m` that runs `drop table main.m …`
    ");
}
