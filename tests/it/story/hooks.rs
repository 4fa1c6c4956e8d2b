//! Hooks see the node that they belong to as it was made, and what their templates write is part of the release.

use std::process::Command;

use insta::assert_snapshot;

use crate::test_lake::TestLake;

fn elt(lake: &TestLake, arguments: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_elt"))
        .current_dir(lake.path())
        .arg("--no-use-colors")
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let both = [done.stdout, done.stderr].concat();
    String::from_utf8_lossy(&both).trim().to_owned()
}

/// The lines of what was said that name a mistake.
fn lines_with_mistakes(text: &str) -> String {
    text.lines()
        .filter(|line| line.contains('×') || line.contains("help:"))
        .map(str::trim)
        .collect::<Vec<_>>()
        .join("\n")
}

fn asked(lake: &TestLake, sql: &str) -> String {
    let rows = elt(lake, &["sql", "--format", "csv", "-c", sql]);
    rows.lines().skip(1).collect::<Vec<_>>().join(" ")
}

/// A project with a macro that counts what is in a table, and one that fills a table.
fn project() -> TestLake {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\n");
    lake.write(
        "macros/m.sql",
        "
{% macro counted(relation) %}
    {% if not execute %}{{ return(0) }}{% endif %}
    {{ return(run_query('select count(*) from ' ~ relation).rows[0][0]) }}
{% endmacro %}
{% macro fill(relation, values) %}
    {% for value in values %}
        {% call statement('fill') %}insert into {{ relation }} values ({{ value }}){% endcall %}
    {% endfor %}
    {% do adapter.commit() %}
{% endmacro %}
",
    );
    lake
}

#[test]
fn a_hook_after_a_node_reads_it_as_it_was_made() {
    let lake = project();
    let model = |rows: &str| {
        let hook = "insert into {{ this }} select {{ counted(this) }} * 10 + {{ adapter.get_columns_in_relation(this) | length }}";
        format!("{{{{ config(materialized='table', post_hook=\"{hook}\") }}}} {rows}")
    };
    lake.write("models/a.sql", &model("select 1 as n"));
    let told = elt(&lake, &["build"]);
    assert_eq!(asked(&lake, "select n from a order by n"), "1 11", "{told}");
    lake.write("models/a.sql", &model("select 1 as n union all select 2"));
    let told = elt(&lake, &["build"]);
    assert_eq!(asked(&lake, "select n from a order by n"), "1 2 21", "{told}");
}

#[test]
fn what_the_template_of_a_hook_writes_is_written_with_the_hook() {
    let lake = project();
    lake.write(
        "models/a.sql",
        "{{ config(materialized='table', post_hook=\"{{ fill(this, [5, 6]) }}\") }} select 1 as n where false",
    );
    lake.write("models/b.sql", "select sum(n) as n from {{ ref('a') }}");
    let told = elt(&lake, &["build"]);
    assert_eq!(asked(&lake, "select n from b"), "11", "{told}");
    assert_eq!(asked(&lake, "select count(*) from elt.releases"), "1");
    // A parse renders hooks as far as they ask nothing, and runs none.
    lake.write(
        "models/a.sql",
        "{{ config(materialized='table', post_hook=\"{{ counted('nowhere') }}\") }} select 1 as n",
    );
    assert_snapshot!(elt(&lake, &["parse", "--quiet"]), @"");
    assert_snapshot!(lines_with_mistakes(&elt(&lake, &["build", "--quiet"])), @"× run_query() failed: there is no table `main.nowhere`");
}

#[test]
fn a_hook_that_reads_what_it_has_written_is_refused() {
    let lake = project();
    lake.write(
        "models/a.sql",
        "{{ config(materialized='table', post_hook=\"{{ fill(this, [5]) }}{{ counted(this) }}\") }} select 1 as n",
    );
    assert_snapshot!(lines_with_mistakes(&elt(&lake, &["build", "--quiet"])), @"
    × not supported yet: run_query(), which reads after the same hook has written
    help: a hook's statements are carried out together, after its template; instead write two hooks
    ");
}

#[test]
fn hooks_before_a_node_and_of_the_whole_run_write_by_their_templates_too() {
    let lake = project();
    lake.write(
        "dbt_project.yml",
        "
name: shop
on-run-start: [\"create table if not exists main.audit (n int)\", \"{{ fill('main.audit', [1]) }}\"]
on-run-end: \"{% do run_query('insert into main.audit select ' ~ counted('main.audit')) %}\"
",
    );
    lake.write(
        "models/a.sql",
        "{{ config(materialized='table', pre_hook=\"insert into main.audit select {{ counted('main.audit') }} + 10\") }} select 1 as n",
    );
    let told = elt(&lake, &["build"]);
    assert_eq!(asked(&lake, "select n from audit order by n"), "1 2 11", "{told}");
    let results = std::fs::read(lake.path().join("target/run_results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_slice(&results).unwrap();
    let ids = results["results"].as_array().unwrap().iter().map(|one| one["unique_id"].as_str().unwrap());
    assert_snapshot!(ids.collect::<Vec<_>>().join("\n"), @"
    operation.shop.shop-on-run-start-0
    operation.shop.shop-on-run-start-1
    model.shop.a
    operation.shop.shop-on-run-end-0
    ");
}

#[test]
fn hooks_of_one_side_come_one_after_the_other() {
    let lake = project();
    lake.write(
        "dbt_project.yml",
        "
name: shop
on-run-start: [\"create table if not exists main.audit (n int)\", \"{{ fill('main.audit', [1]) }}\", \"insert into main.audit select {{ counted('main.audit') }} + 1\"]
",
    );
    lake.write(
        "models/a.sql",
        "{{ config(materialized='table', post_hook=[\"{{ fill(this, [5]) }}\", \"insert into {{ this }} select {{ counted(this) }} * 10\"]) }} select 1 as n",
    );
    let told = elt(&lake, &["build"]);
    assert_eq!(asked(&lake, "select n from audit order by n"), "1 2", "{told}");
    assert_eq!(asked(&lake, "select n from a order by n"), "1 5 20", "{told}");
}

#[test]
fn hooks_know_whether_a_run_is_incremental() {
    let lake = project();
    lake.write(
        "models/a.sql",
        "{{ config(materialized='incremental', post_hook=\"{% if is_incremental() %}insert into {{ this }} select 100{% endif %}\") }} select 1 as n",
    );
    elt(&lake, &["build"]);
    assert_eq!(asked(&lake, "select n from a order by n"), "1");
    let told = elt(&lake, &["run"]);
    assert_eq!(asked(&lake, "select n from a order by n"), "1 1 100", "{told}");
}

#[test]
fn a_var_may_be_a_template() {
    let lake = project();
    lake.write(
        "dbt_project.yml",
        "
name: shop
vars:
  table: \"{{ ref('a') }}\"
  year: '{{ run_started_at.strftime(\"%Y\") | length }}'
  itself: \"{{ var('itself') }}\"
models:
  shop: {+enabled: \"{{ target.type == 'bigquery' | as_bool or var('wanted', true) }}\"}
",
    );
    lake.write("models/a.sql", "select {{ var('year') }} as n");
    lake.write("models/b.sql", "select n from {{ var('table') }}");
    let told = elt(&lake, &["build"]);
    assert_eq!(asked(&lake, "select n from b"), "4", "{told}");
    assert_eq!(elt(&lake, &["ls", "--quiet", "--output", "name", "--select", "+b"]), "a\nb");
    assert_snapshot!(elt(&lake, &["show", "--quiet", "--inline", "select {{ var('itself') }}"]), @"
    elt::var_in_itself

      × the var `itself` is made of itself
       ╭─[inline:1:1]
     1 │ select {{ var('itself') }}
       · ▲
       · ╰── here
       ╰────
      help: write what it is under `vars:` of dbt_project.yml without `var(…)` of the same name
    ");
}
