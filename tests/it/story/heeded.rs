//! Lesser words of dbt are heeded: each does what it says, or is told.

use std::process::Command;

use insta::assert_snapshot;
use serde_json::Value;

use crate::test_lake::TestLake;

/// What a command says, both of its outputs, without what differs from run to run.
fn elt(lake: &TestLake, arguments: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_elt"))
        .current_dir(lake.path())
        .args(["--no-use-colors", "--no-partial-parse"])
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let both = [done.stdout, done.stderr].concat();
    let code = done.status.code().unwrap();
    let text = String::from_utf8_lossy(&both).trim().to_owned();
    if code == 0 { text } else { format!("{text}\nexit {code}") }
}

/// The same without how long things took.
fn steady(text: &str) -> String {
    let cut = |line: &str| match line.rsplit_once("  ") {
        Some((told, took)) if took.ends_with(" ms") || took.ends_with(" s") => told.trim_end().to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

/// The lines of a text that have one of these words.
fn lines_with(text: &str, words: &[&str]) -> String {
    let those = text.lines().filter(|line| words.iter().any(|word| line.contains(word)));
    those.map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n")
}

fn asked(lake: &TestLake, sql: &str) -> String {
    elt(lake, &["sql", "--format", "csv", "-c", sql])
}

fn artifact(lake: &TestLake, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(lake.path().join("target").join(name)).unwrap()).unwrap()
}

fn ran(lake: &TestLake, model: &str) -> String {
    std::fs::read_to_string(lake.path().join(format!("target/run/shop/models/{model}.sql"))).unwrap()
}

#[test]
fn a_query_comment_stands_before_each_statement() {
    let lake = TestLake::on_disk();
    lake.write("macros/c.sql", "{% macro said(node) %}made by {{ node.name }}{% endmacro %}");
    lake.write("models/a.sql", "{{ config(materialized='table') }} select 1 as id");
    let with = |comment: &str| {
        lake.write("dbt_project.yml", &format!("name: shop\nquery-comment: {comment}\n"));
        elt(&lake, &["run"])
    };
    with("\"{{ said(node) }} for {{ target.name }}, {{ connection_name }}\"");
    assert_snapshot!(ran(&lake, "a"), @r#"
    /* made by a for dev, model.shop.a */
    create or replace table "main"."a" as
    select 1 as id;
    "#);
    with("{comment: later, append: true}");
    assert_snapshot!(ran(&lake, "a"), @r#"
    create or replace table "main"."a" as
    select 1 as id
    /* later */;
    "#);
    with("''");
    assert!(!ran(&lake, "a").contains("/*"));
    // What cannot be a comment is told before anything runs.
    assert_snapshot!(with("'{{ nobody() }}'"), @"
    elt::macro_not_found

      × there is no function or macro `nobody`
       ╭─[dbt_project.yml:2:16]
     1 │ name: shop
     2 │ query-comment: '{{ nobody() }}'
       ·                ────────┬───────
       ·                        ╰── not known
       ╰────
      help: define it in a file under macros/
    exit 2
    ");
    assert_snapshot!(with("'ends */ here'"), @"
    elt::query_comment

      × the comment of `model.shop.a` has `*/` in it, which ends comments
       ╭─[dbt_project.yml:2:16]
     1 │ name: shop
     2 │ query-comment: 'ends */ here'
       ·                ───────┬──────
       ·                       ╰── rendered from this
       ╰────
      help: write what it says without `*/`
    exit 2
    ");
    assert_snapshot!(with("{comment: x, apend: true}"), @"
    elt::unknown_key

      × `apend` is not a known key of `query-comment`
       ╭─[dbt_project.yml:2:29]
     1 │ name: shop
     2 │ query-comment: {comment: x, apend: true}
       ·                             ──┬──
       ·                               ╰── not known
       ╰────
      help: did you mean `append`?
    exit 2
    ");
}

#[test]
fn columns_that_are_described_and_not_there_are_told() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\nmodels: {shop: {+persist_docs: {columns: true}}}\n");
    lake.write("models/a.sql", "{{ config(materialized='table') }} select 1 as id");
    lake.write(
        "models/s.yml",
        "models: [{name: a, columns: [{name: ID, description: key}, {name: bogus_col_one, description: x}, {name: quiet}]}]",
    );
    assert_snapshot!(lines_with(&elt(&lake, &["run"]), &["specified in the schema"]), @"note: warning: a: The following columns are specified in the schema but are not present in the database: bogus_col_one");
}

#[test]
fn a_contract_says_the_order_of_columns() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\n");
    lake.write("models/a.sql", "{{ config(materialized='table') }} select 'x' as name, cast(1 as int) as id");
    lake.write(
        "models/s.yml",
        "models: [{name: a, config: {contract: {enforced: true}}, columns: [{name: id, data_type: int}, {name: name, data_type: text}]}]",
    );
    elt(&lake, &["build"]);
    assert_snapshot!(asked(&lake, "from a"), @"
    id,name
    1,x
    ");
}

#[test]
fn a_contract_of_whole_numbers_is_kept_by_any_that_fit() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\n");
    let properties = |name: &str| {
        format!(
            "{{name: {name}, config: {{contract: {{enforced: true}}}}, columns: [{{name: n, data_type: smallint}}, {{name: id, data_type: integer}}]}}"
        )
    };
    lake.write("models/s.yml", &format!("models: [{}, {}]", properties("a"), properties("v")));
    lake.write("models/a.sql", "{{ config(materialized='table') }} select 1 as id, count(*) as n");
    lake.write("models/v.sql", "select id, n from {{ ref('a') }}");
    let told = elt(&lake, &["build"]);
    let types = "select table_name, column_name, data_type from information_schema.columns where table_schema = 'main' order by 1, ordinal_position";
    assert_snapshot!(asked(&lake, types), @"
    table_name,column_name,data_type
    a,n,smallint
    a,id,int
    v,n,smallint
    v,id,int
    ");
    assert!(told.contains("published release 1"), "{told}");
    assert!(elt(&lake, &["compile", "--check"]).contains("no mistakes"));
    lake.write("models/a.sql", "{{ config(materialized='table') }} select 1 as id, 40000 as n");
    assert_snapshot!(lines_with(&elt(&lake, &["build"]), &["×"]), @"× model `a`: `40000` does not fit into smallint, which is from -32768 to 32767");
}

#[test]
fn a_key_may_be_an_expression() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\nvars: {v: 1, k: A}\n");
    let query = "select '{{ var('k') }}' as k, {{ var('v') }} as v union all select 'other{{ var('v') }}', 0";
    let model = "{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='lower(k)') }} ";
    lake.write("models/a.sql", &format!("{model}{query}"));
    let snapshot = "{% snapshot s %}{{ config(unique_key=\"lower(k) || '-'\", strategy='check', check_cols=['v'], hard_deletes='invalidate') }} ";
    lake.write("snapshots/s.sql", &format!("{snapshot}{query}{{% endsnapshot %}}"));
    elt(&lake, &["build"]);
    elt(&lake, &["build", "--full", "--vars", "{v: 2, k: a}"]);
    assert_snapshot!(asked(&lake, "select k, v from a order by 1"), @"
    k,v
    a,2
    other1,0
    other2,0
    ");
    let versions = "select k, v, dbt_valid_to is null as current from s order by k, v";
    assert_snapshot!(asked(&lake, versions), @"
    k,v,current
    A,1,false
    a,2,true
    other1,0,false
    other2,0,true
    ");
    // Two rows of one key are refused, and so is a column that is none.
    lake.write(
        "snapshots/s.sql",
        &format!("{snapshot}select 'A' as k, 1 as v union all select 'a', 2{{% endsnapshot %}}"),
    );
    assert_snapshot!(lines_with(&elt(&lake, &["snapshot"]), &["× snapshot"]), @"
    × snapshot `s`: the query gives two rows with the same key: lower(k) || '-' = 'a-'; make
    ");
    lake.write("models/a.sql", &format!("{}{query}", model.replace("lower(k)", "nope")));
    assert_snapshot!(lines_with(&elt(&lake, &["run"]), &["×"]), @"× model `a`: the column `nope` is not in the model's table");
}

#[test]
fn what_is_wrong_at_the_root_hides_nothing_below() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\n");
    lake.write("models/a.sql", "{{ config(materialized='table') }} select 1 as id");
    lake.write("models/b.sql", "select id, wrong from {{ ref('a') }}");
    lake.write(
        "models/s.yml",
        "models: [{name: a, config: {expectations: [{name: e, expect: nope > 1, on_violation: drop}]}}]",
    );
    assert_snapshot!(lines_with(&elt(&lake, &["compile", "--check"]), &["×"]), @"
    × model `a`: its expectations cannot be asked: there is no column `nope`
    × model `b`: there is no column `wrong`
    ");
}

#[test]
fn an_operation_leaves_its_result_and_can_be_tried_again() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\n");
    let macro_of = |body: &str| format!("{{% macro greet(name) %}}{body}{{% endmacro %}}");
    lake.write("macros/m.sql", &macro_of("{{ exceptions.raise_compiler_error('no ' ~ name) }}"));
    elt(&lake, &["run-operation", "greet", "--args", "{name: ann}"]);
    let result = artifact(&lake, "run_results.json")["results"][0].clone();
    let told = format!("{} {} {}", result["unique_id"], result["status"], result["message"]);
    assert_snapshot!(told, @r#""macro.shop.greet" "error" "no ann""#);
    lake.write("macros/m.sql", &macro_of("{{ print('hello ' ~ name ~ ' of ' ~ var('city', 'nowhere')) }}"));
    assert_snapshot!(elt(&lake, &["retry"]), @"
    hello ann of nowhere
    ran `greet`
    ");
    assert_snapshot!(elt(&lake, &["retry"]), @"
    elt::nothing_to_do

      ⚠ Nothing to do. Try checking your model configs and model specification args
    the last run left nothing to do
    ");
}

#[test]
fn seeds_can_be_shown() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\n");
    lake.write("seeds/codes.csv", "id,name\n1,one\n2,two\n");
    let told = elt(&lake, &["seed", "--show"]);
    let from = told.find("Random sample").unwrap_or_default();
    assert_snapshot!(told[from..].split("\n\n").next().unwrap(), @"
    Random sample of table: main.codes
    ┌────────┬─────────┐
    │     id │ name    │
    │ bigint │ varchar │
    ├────────┼─────────┤
    │      1 │ one     │
    │      2 │ two     │
    └────────┴─────────┘
    2 rows
    ");
}

#[test]
fn keys_of_a_listing_may_lie_deeper() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\n");
    lake.write("models/a.sql", "select 1 as id");
    let keys = "name config.materialized depends_on.nodes nothing";
    assert_snapshot!(elt(&lake, &["ls", "--output", "json", "--output-keys", keys]), @r#"{"name":"a","config.materialized":"view","depends_on.nodes":[]}"#);
}

#[test]
fn two_lists_of_tests_are_refused() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\nmodules-path: elsewhere\n");
    lake.write("models/a.sql", "select 1 as id");
    lake.write(
        "models/s.yml",
        "models: [{name: a, columns: [{name: id, tests: [unique], data_tests: [not_null]}]}]",
    );
    assert_snapshot!(elt(&lake, &["parse"]), @"
    elt::properties

      × `tests` and `data_tests` are two names of one list
       ╭─[models/s.yml:1:48]
     1 │ models: [{name: a, columns: [{name: id, tests: [unique], data_tests: [not_null]}]}]
       ·                                                ┬
       ·                                                ╰── beside `data_tests`
       ╰────
      help: move what is under `tests` to `data_tests`
    exit 2
    ");
}

#[test]
fn the_manifest_says_which_blocks_and_names_were_written() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\n");
    lake.write("models/a.sql", "select 1 as id");
    lake.write("models/docs.md", "{% docs one %}One.{% enddocs %}\n{% docs two %}Two.{% enddocs %}");
    lake.write(
        "models/s.yml",
        "
sources: [{name: crm, tables: [{name: people, description: \"{{ doc('shop', 'two') }}\"}]}]
models:
- name: a
  description: \"{{ doc('one') }} and {{ doc(\\\"two\\\") }}\"
  columns: [{name: id, description: \"{{ doc('one') }}\"}]
groups: [{name: team, owner: {name: ann}}]
exposures:
- {name: weekly, type: dashboard, owner: {name: ann}, depends_on: [ref('a'), \"source('crm', 'people')\"]}
",
    );
    elt(&lake, &["parse"]);
    let manifest = artifact(&lake, "manifest.json");
    let model = &manifest["nodes"]["model.shop.a"];
    let told = [
        &model["doc_blocks"],
        &model["columns"]["id"]["doc_blocks"],
        &manifest["sources"]["source.shop.crm.people"]["doc_blocks"],
        &manifest["exposures"]["exposure.shop.weekly"]["refs"],
        &manifest["exposures"]["exposure.shop.weekly"]["sources"],
        &manifest["groups"]["group.shop.team"]["config"],
    ];
    assert_snapshot!(told.map(ToString::to_string).join("\n"), @r#"
    ["doc.shop.one","doc.shop.two"]
    ["doc.shop.one"]
    ["doc.shop.two"]
    [{"name":"a","package":null,"version":null}]
    [["crm","people"]]
    {"meta":{}}
    "#);
}

#[test]
fn the_manifest_says_which_macros_were_called_and_what_docs_came_out_as() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\n");
    lake.write("models/a.sql", "{{ config(pre_hook='{{ noted() }}') }} select 1 as id");
    lake.write(
        "macros/m.sql",
        "{% macro length(x) %}1{% endmacro %}\n\
         {% macro sum_up(xs) %}{{ xs | length() }}{{ replace(xs) }}{% endmacro %}\n\
         {% macro noted() %}{{ log('now') }}{% endmacro %}",
    );
    lake.write(
        "models/docs.md",
        "{% docs one %}Write {% raw %}`{{ x }}`{% endraw %}.{# Not this. #}{{ nobody }}{% enddocs %}",
    );
    elt(&lake, &["parse"]);
    let manifest = artifact(&lake, "manifest.json");
    let told = [
        &manifest["nodes"]["model.shop.a"]["depends_on"]["macros"],
        &manifest["macros"]["macro.shop.sum_up"]["depends_on"]["macros"],
        &manifest["docs"]["doc.shop.one"]["block_contents"],
    ];
    assert_snapshot!(told.map(ToString::to_string).join("\n"), @r#"
    ["macro.shop.noted"]
    ["macro.dbt.replace"]
    "Write `{{ x }}`."
    "#);
    // A block that is no template is told with its place.
    lake.write("models/docs.md", "One.\n{% docs one %}{{ 1 + }}{% enddocs %}");
    assert_snapshot!(elt(&lake, &["parse"]), @"
    elt::yaml_jinja

      × this Jinja cannot be rendered: unexpected end of variable block
       ╭─[models/docs.md:2:15]
     1 │ One.
     2 │ {% docs one %}{{ 1 + }}{% enddocs %}
       ·               ────┬────
       ·                   ╰── here
       ╰────
      help: YAML files know `var()`, `env_var()`, `target` and, in descriptions, `doc()`
    exit 2
    ");
}

#[test]
fn metrics_without_a_time_spine_are_warned_of() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\n");
    lake.write("models/a.sql", "select 1 as id, date '2024-01-01' as day");
    let semantic = "semantic_models: [{name: a, model: ref('a'), defaults: {agg_time_dimension: day}, entities: [{name: id, type: primary}], dimensions: [{name: day, type: time, type_params: {time_granularity: day}}]}]\n";
    lake.write("models/s.yml", semantic);
    assert_snapshot!(elt(&lake, &["parse", "--quiet"]), @"");
    lake.write("models/days.sql", "select date '2024-01-01' as day");
    lake.write(
        "models/s.yml",
        &format!("{semantic}models: [{{name: days, time_spine: {{standard_granularity_column: day}}, columns: [{{name: day, granularity: day}}]}}]\n"),
    );
    assert!(!elt(&lake, &["parse"]).contains("time_spine"));
}

#[test]
fn what_dbt_lets_pass_in_yaml_passes_with_a_word() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\n");
    // One of two files of a name says itself that it is not enabled.
    lake.write("models/x/a.sql", "{{ config(enabled=false) }} select 1 as id");
    lake.write("models/y/a.sql", "select 2 as id");
    lake.write("macros/m.sql", "{% macro is_a(relation) %}1{% endmacro %}");
    lake.write(
        "models/s.yml",
        "
models:
- name: a
  description: first
  description: 'made of {{ nothing }} and {{ nobody() }}'
  columns:
  - {name: id, description: one, data_tests: [not_null]}
  - {name: id, description: two, data_tests: [unique]}
sources: [{name: crm, schema: main, tables: [{name: '\"GROUP\"'}]}]
macros: [{name: is_a, description: 'hi {{ relation }} there'}]
",
    );
    assert_snapshot!(steady(&elt(&lake, &["build"])), @r#"
    built       view a
    passed      test not_null_a_id
    passed      test unique_a_id
    elt::duplicate_key

      ⚠ the key `description` is written twice here
       ╭─[models/s.yml:4:3]
     3 │   description: first
     4 │   description: 'made of {{ nothing }} and {{ nobody() }}'
       ·   ─────┬─────
       ·        ╰── again here
     5 │   columns:
       ╰────
      help: this one holds; take the one at models/s.yml:3:3 away
    elt::duplicate

      ⚠ the column `id` is described twice
       ╭─[models/s.yml:7:12]
     6 │   - {name: id, description: one, data_tests: [not_null]}
     7 │   - {name: id, description: two, data_tests: [unique]}
       ·            ─┬
       ·             ╰── again here
     8 │ sources: [{name: crm, schema: main, tables: [{name: '"GROUP"'}]}]
       ╰────
      help: it is already at models/s.yml:6:12; keep one of the two

    published release 1  1 model built · tests: 2 passed
    Done. PASS=3 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=3
    "#);
    let manifest = artifact(&lake, "manifest.json");
    let model = &manifest["nodes"]["model.shop.a"];
    let told = [&model["description"], &model["columns"]["id"]["description"], &model["original_file_path"]];
    assert_snapshot!(told.map(ToString::to_string).join("\n"), @r#"
    "made of {{ nothing }} and {{ nobody() }}"
    "two"
    "models/y/a.sql"
    "#);
    lake.write("models/x/a.sql", "select 1 as id");
    assert_snapshot!(lines_with(&elt(&lake, &["build"]), &["×", "the first is"]), @"
    × two models are called `a`
    help: the first is models/x/a.sql; rename one of the files
    ");
}

#[test]
fn a_package_says_what_it_means_as_dbt_reads_it() {
    let lake = TestLake::on_disk();
    lake.write(
        "dbt_project.yml",
        "name: shop
",
    );
    lake.write("models/a.sql", "select 1 as id");
    lake.write(
        "models/s.yml",
        "
models:
- {name: a, meta: {relation: '{{ target.name }}'}, columns: [{name: id, data_tests: [{not_null: {config: {where: __mine__}}}]}]}
",
    );
    lake.write("seeds/s.csv", "description\n12\n");
    lake.write(
        "seeds/s.yml",
        "seeds: [{name: s, config: {column_types: {description: \"{{ 'varchar' }}\"}}}]",
    );
    lake.write(
        "macros/m.sql",
        "
{% macro default__generate_schema_name(custom_schema_name, node) %}{{ custom_schema_name or 'elsewhere' }}{% endmacro %}
{% macro get_where_subquery(relation) %}(select * from {{ relation }} where id = {{ config.get('where') | replace('__mine__', '2') }}) x{% endmacro %}
",
    );
    lake.write("packages.yml", "packages: [{local: ./more}]");
    lake.write("more/dbt_project.yml", "name: more\nmodels: {more: {+schema: other}}\n");
    lake.write("more/models/a.sql", "select 2 as id");
    lake.write("more/models/b.sql", "select * from {{ ref('a') }}");
    lake.write("more/models/c.sql", "select {{ least_of() }} as id");
    lake.write(
        "more/macros/m.sql",
        "{% macro least_of() %}{{ adapter.dispatch('least_of', 'macros')() }}{% endmacro %}{% macro default__least_of() %}3{% endmacro %}",
    );
    let told = elt(&lake, &["build"]);
    assert_snapshot!(asked(&lake, "select a.id, b.id as b, c.id as c, typeof(s.description) as d from elsewhere.a, other.b, other.c, elsewhere.s"), @"
    id,b,c,d
    1,1,3,varchar
    ");
    assert!(told.contains("PASS=6"), "{told}");
    let manifest = artifact(&lake, "manifest.json");
    assert_snapshot!(manifest["nodes"]["model.shop.a"]["meta"].to_string(), @r#"{"relation":"dev"}"#);
    lake.write(
        "dbt_project.yml",
        "name: shop\nflags: {require_ref_searches_node_package_before_root: true}\n",
    );
    elt(&lake, &["build"]);
    assert_eq!(asked(&lake, "select id from other.b"), "id\n2");
}

#[test]
fn a_project_may_describe_what_its_packages_have() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\n");
    lake.write("packages.yml", "packages: [{local: ./more}]");
    lake.write("more/dbt_project.yml", "name: more\n");
    lake.write("more/models/only.sql", "select 1 as id");
    lake.write(
        "models/s.yml",
        "models: [{name: only, description: of the project, columns: [{name: id, data_tests: [unique]}]}, {name: none}]",
    );
    assert_snapshot!(steady(&elt(&lake, &["build"])), @"
    built       view only
    passed      test unique_only_id
    elt::unused_properties

      ⚠ there is no model `none`
       ╭─[models/s.yml:1:105]
     1 │ models: [{name: only, description: of the project, columns: [{name: id, data_tests: [unique]}]}, {name: none}]
       ·                                                                                                         ──┬─
       ·                                                                                                           ╰── no file of this name
       ╰────
      help: what is said of it here has no effect, its tests included

    published release 1  1 model built · tests: 1 passed
    Done. PASS=2 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=2
    ");
}

#[test]
fn what_a_query_answers_is_of_its_types() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\n");
    lake.write(
        "macros/m.sql",
        "{% macro told() %}
{% set t = run_query(\"select date '2024-01-31' as d, timestamp '2024-01-31 10:00:00' as at, timestamptz '2024-01-31 10:00:00+00' as zoned, null as nothing, 'a' as word, 12::decimal(10, 0) as whole, ['é', 'b'] as items\") %}
{% set row = t.rows[0] %}
{% do log(row[0].strftime('%Y/%m') ~ ' ' ~ (row['d'] + modules.datetime.timedelta(days=1)), true) %}
{% do log(row['at'].isoformat() ~ ' ' ~ row['at'].hour ~ ' ' ~ row['zoned'], true) %}
{% do log(('none' if row['nothing'] is none else 'a value') ~ ' ' ~ row['whole'], true) %}
{% do log(t.columns['word'].values() ~ ' ' ~ row.values(), true) %}
{% if row['word'] == 'a': %}{% do log('%(x)s and %(n)03d of %%' % {'x': 'v', 'n': 7}, true) %}{% else: %}{% endif %}
{% for name in t.column_names: %}{% if loop.first: %}{% do log(name, true) %}{% endif %}{% endfor %}
{% do t.print_csv() %}
{% do t.select(['word', 'd']).print_json() %}
{% endmacro %}
{% macro too_many() %}{{ 'a %s' % (1, 2) }}{% endmacro %}",
    );
    assert_snapshot!(elt(&lake, &["run-operation", "told"]), @r#"
    d,at,zoned,nothing,word,whole,items
    2024-01-31,2024-01-31 10:00:00,2024-01-31 10:00:00+00:00,,a,12,"[""\u00e9"", ""b""]"
    [{"word":"a","d":"2024-01-31"}]
    note: 2024/01 2024-02-01
    note: 2024-01-31T10:00:00 10 2024-01-31 10:00:00+00:00
    note: none 12
    note: ('a',) (2024-01-31, 2024-01-31 10:00:00, 2024-01-31 10:00:00+00:00, None, 'a', 12, '["\\u00e9", "b"]')
    note: v and 007 of %
    note: d
    ran `told`
    "#);
    assert_snapshot!(elt(&lake, &["run-operation", "too_many"]), @"
    elt::jinja

      × there are more arguments than the format takes
        ╭─[macros/m.sql:13:33]
     12 │ {% endmacro %}
     13 │ {% macro too_many() %}{{ 'a %s' % (1, 2) }}{% endmacro %}
        ·                                 ────┬───
        ·                                     ╰── here
        ╰────
    exit 2
    ");
}

#[test]
fn columns_in_capitals_are_keys_and_are_checked() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\n");
    let source =
        "{{ config(materialized='table') }} select 1 as id, '{{ var('v', 'a') }}' as \"Name\", 7 as \"A b\"";
    lake.write("models/src.sql", source);
    lake.write(
        "snapshots/s.yml",
        "
snapshots:
- {name: by_all, relation: ref('src'), config: {unique_key: id, strategy: check, check_cols: all}}
- {name: by_name, relation: ref('src'), config: {unique_key: '\"A b\"', strategy: check, check_cols: ['\"Name\"']}}
",
    );
    lake.write(
        "models/merged.sql",
        "{{ config(materialized='incremental', unique_key='\"A b\"', merge_update_columns=['\"Name\"']) }} select * from {{ ref('src') }}",
    );
    elt(&lake, &["build"]);
    assert!(elt(&lake, &["build", "--vars", "v: b"]).contains("ERROR=0"));
    let sql = "select 'all', count(*), max(\"Name\") from by_all union all \
               select 'name', count(*), max(\"Name\") from by_name union all \
               select 'merged', count(*), max(\"Name\") from merged order by 1";
    assert_snapshot!(asked(&lake, sql), @r#"
    'all',count(*),"max(""Name"")"
    all,2,b
    merged,1,b
    name,2,b
    "#);
}

#[test]
fn a_snapshot_keeps_versions_apart_whose_time_does_not_move() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\n");
    lake.write(
        "models/src.sql",
        "select 1 as id, '{{ var('v', 'a') }}' as v, date '2024-01-01' as u {% if var('gone', false) %} where false {% endif %}",
    );
    lake.write(
        "snapshots/s.yml",
        "
snapshots:
- name: s
  relation: ref('src')
  config: {unique_key: id, strategy: check, check_cols: [v], updated_at: u, hard_deletes: invalidate}
",
    );
    for vars in ["v: a", "v: b", "v: a", "v: a", "gone: true", "v: a"] {
        let told = elt(&lake, &["build", "--vars", &format!("{{{vars}}}")]);
        assert!(!told.contains("exit "), "{vars}: {told}");
    }
    let sql = "select v, count(*) as versions, count(dbt_valid_to) as ended, count(distinct dbt_scd_id) as ids from s group by v order by v";
    assert_snapshot!(asked(&lake, sql), @"
    v,versions,ended,ids
    a,3,2,3
    b,1,1,1
    ");
}

#[test]
fn a_profile_that_is_asked_for_must_be_there() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\n");
    lake.write("models/a.sql", "select 1 as id");
    let there = |told: String| told.replace(&lake.path().display().to_string(), "PROJECT");
    assert_snapshot!(there(elt(&lake, &["run", "--profile", "shp"])), @"
    elt::profile

      × there is no profile `shp`: PROJECT/profiles.yml does not exist
      help: write a profiles.yml with this profile, or leave out the profile
    exit 2
    ");
    lake.write("profiles.yml", "shop: {target: dev, outputs: {dev: {type: elt, lake: ./lake}}}\n");
    assert_snapshot!(elt(&lake, &["run", "--profile", "shp"]), @"
    elt::profile

      × profiles.yml has no profile `shp`
      help: did you mean `shop`?
    exit 2
    ");
    lake.write("profiles.yml", "other: {target: dev, outputs: {dev: {type: elt, lake: ./lake}}}\n");
    assert_snapshot!(elt(&lake, &["run", "--target", "dev"]), @"
    elt::profile

      × profiles.yml has no profile `shop`
      help: it has: other
    exit 2
    ");
}

#[test]
fn a_seeds_column_without_values_can_be_summed() {
    let lake = TestLake::on_disk();
    lake.write("dbt_project.yml", "name: shop\n");
    lake.write("seeds/s.csv", "id,n,m\n1,,x\n2,,y\n");
    lake.write("models/a.sql", "select sum(n) as s, max(id - n) as q, count(m) as c from {{ ref('s') }}");
    assert!(elt(&lake, &["build"]).contains("ERROR=0"));
    assert_snapshot!(asked(&lake, "describe s"), @"
    column_name,column_type,null
    id,bigint,YES
    n,bigint,YES
    m,varchar,YES
    ");
}
