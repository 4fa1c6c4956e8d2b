//! What other tools read: events of commands that make nothing, statements as they were carried out, files of a project.

use std::path::Path;
use std::process::{Command, Output};

use insta::assert_snapshot;
use serde_json::Value;

use crate::test_lake::TestLake;

fn elt(lake: &TestLake, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elt"));
    command.current_dir(lake.path()).args(arguments).env_clear().output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The events of a command, notes left out: what each is, how loud, and what it says in its first line.
fn events(lake: &TestLake, arguments: &[&str]) -> String {
    let all: Vec<&str> =
        ["--log-format", "json", "--no-partial-parse"].iter().chain(arguments).copied().collect();
    let told = elt(lake, &all);
    let quiet = ["Note", "MainReportVersion", "AdapterRegistered"];
    let events = text(&told.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .collect::<Vec<_>>();
    let lines = events.iter().filter(|event| !quiet.contains(&event["info"]["name"].as_str().unwrap()));
    let lines = lines.map(|event| {
        let info = &event["info"];
        let word = |key: &str| info[key].as_str().unwrap_or_default().to_owned();
        let said = word("msg").replace(&*lake.path().display().to_string(), "…");
        let said = said.split(" in 0.").next().unwrap_or_default().replace("\n", " / ");
        let said = said.split(" in 0 hours").next().unwrap_or_default().to_owned();
        format!("{} {} {}: {said}", word("name"), word("code"), word("level"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn project() -> TestLake {
    let lake = TestLake::on_disk();
    lake.write("raw/people.csv", "id,city,seen\n1,Oslo,2024-01-01 10:00:00\n2,Rome,2024-01-02 10:00:00\n");
    lake.write("models/people.sql", "{{ config(materialized='table') }}\n{{ print('hello') }}\n{{ log('logged', info=true) }}\nselect id, city from {{ source('crm', 'people') }}");
    lake.write("models/cities.sql", "select city, count(*) as n from {{ ref('people') }} group by city");
    lake.write(
        "models/latest.sql",
        "{{ config(materialized='incremental', unique_key='id') }} select id, city from {{ ref('people') }}",
    );
    lake.write("models/days.sql", "select cast('2024-01-01' as timestamp) as day");
    lake.write(
        "models/s.yml",
        r"
sources:
- name: crm
  freshness: {warn_after: {count: 1, period: day}}
  loaded_at_field: seen
  tables: [{name: people, config: {location: 'raw/*.csv'}}]
models:
- name: people
  config: {contract: {enforced: true}}
  constraints: [{type: check, expression: id > 0, name: positive}]
  columns:
  - {name: id, data_type: bigint, constraints: [{type: not_null}], data_tests: [unique]}
  - {name: city, data_type: varchar}
- name: days
  time_spine: {standard_granularity_column: day, custom_granularities: [{name: fiscal, column_name: day}]}
  columns: [{name: day, granularity: day}]
semantic_models:
- name: people
  model: ref('people')
  defaults: {agg_time_dimension: day}
  entities: [{name: person, type: primary, expr: id}]
  dimensions: [{name: city, type: categorical}]
  measures: [{name: heads, agg: count, expr: id, create_metric: true}]
metrics:
- {name: population, label: Population, type: simple, type_params: {measure: heads}}
",
    );
    lake
}

#[test]
fn commands_that_make_nothing_speak_in_events_of_dbt() {
    let lake = project();
    elt(&lake, &["build"]);
    assert_snapshot!(events(&lake, &["ls", "--resource-type", "model"]), @"
    PrintEvent Z052 info: hello
    JinjaLogInfo I062 info: logged
    PrintEvent Z052 info: test.cities
    PrintEvent Z052 info: test.days
    PrintEvent Z052 info: test.latest
    PrintEvent Z052 info: test.people
    ");
    assert_snapshot!(events(&lake, &["show", "-s", "cities"]), @"
    PrintEvent Z052 info: hello
    JinjaLogInfo I062 info: logged
    FoundStats W006 info: Found 4 models, 1 data test, 1 source, 2 metrics, 108 macros, 1 semantic model
    ShowNode Q041 info: Previewing node 'cities': / | city | n | / | --- | ---: | / | Oslo | 1 | / | Rome | 1 |
    ");
    assert_snapshot!(events(&lake, &["show", "--inline", "select 1 as a", "--output", "json"]), @r#"
    PrintEvent Z052 info: hello
    JinjaLogInfo I062 info: logged
    FoundStats W006 info: Found 4 models, 1 analysis, 1 data test, 1 source, 2 metrics, 108 macros, 1 semantic model
    ShowNode Q041 info: { /   "show": [ /     { /       "a": 1 /     } /   ] / }
    "#);
    assert_snapshot!(events(&lake, &["compile", "-s", "cities"]), @"
    PrintEvent Z052 info: hello
    JinjaLogInfo I062 info: logged
    FoundStats W006 info: Found 4 models, 1 data test, 1 source, 2 metrics, 108 macros, 1 semantic model
    CompiledNode Q042 info: Compiled node 'cities' is: / select city, count(*) as n from main.people group by city
    ParsePerfInfoPath I010 info: Performance info: …/target/perf_info.json
    ");
    assert_snapshot!(events(&lake, &["source", "freshness"]), @"
    PrintEvent Z052 info: hello
    JinjaLogInfo I062 info: logged
    FoundStats W006 info: Found 4 models, 1 data test, 1 source, 2 metrics, 108 macros, 1 semantic model
    ConcurrencyLine Q027 info: Concurrency: 1 threads (target='dev')
    LogStartLine Q011 info: 1 of 1 START freshness of crm.people ........................................... [RUN]
    LogFreshnessResult Q018 warn: 1 of 1 WARN freshness of crm.people ............................................ [WARN
    FinishedRunningStats E047 info: Finished running 1 source
    FreshnessCheckComplete Q003 info: Done.
    ");
    assert_snapshot!(events(&lake, &["docs", "generate"]), @"
    PrintEvent Z052 info: hello
    JinjaLogInfo I062 info: logged
    FoundStats W006 info: Found 4 models, 1 data test, 1 source, 2 metrics, 108 macros, 1 semantic model
    ConcurrencyLine Q027 info: Concurrency: 1 threads (target='dev')
    BuildingCatalog E044 info: Building catalog
    CatalogWritten E042 info: Catalog written to …/target/catalog.json
    ");
}

#[test]
fn what_templates_print_can_be_silenced() {
    let lake = project();
    let told = elt(&lake, &["run", "-s", "people", "--log-format", "text"]);
    assert!(text(&told.stdout).contains("hello") && text(&told.stderr).contains("logged"));
    // In a report for programs there is nothing else.
    let told = elt(&lake, &["run", "-s", "people", "--format", "json"]);
    assert!(serde_json::from_slice::<Value>(&told.stdout).is_ok() && text(&told.stderr).contains("hello"));
    let told = elt(&lake, &["run", "-s", "people", "--no-print"]);
    assert!(!text(&told.stdout).contains("hello") && text(&told.stderr).contains("logged"));
    let quiet = elt(&lake, &["run", "-s", "people", "--quiet"]);
    assert_eq!((text(&quiet.stdout).as_str(), text(&quiet.stderr).as_str()), ("hello\n", ""));
    assert!(events(&lake, &["compile", "-s", "people"]).contains("PrintEvent Z052 info: hello"));
    assert!(!events(&lake, &["--no-print", "compile", "-s", "people"]).contains("hello"));
}

#[test]
fn statements_are_written_as_they_were_carried_out() {
    let lake = project();
    elt(&lake, &["build"]);
    let run = |path: &str| std::fs::read_to_string(lake.path().join("target/run").join(path)).unwrap();
    assert_snapshot!(run("test/models/people.sql"), @r#"
    create or replace table "main"."people" as
    select id, city from crm.people;
    "#);
    assert_snapshot!(run("test/models/cities.sql"), @r#"
    create or replace view "main"."cities" as
    select city, count(*) as n from main.people group by city;
    "#);
    elt(&lake, &["run"]);
    assert_snapshot!(run("test/models/latest.sql"), @r#"
    merge into "main"."latest" as old using (
    select id, city from main.people
    ) as new
    on old."id" = new."id"
    when matched then update set *
    when not matched then insert *;
    "#);
    let results = json(&lake.path().join("target/manifest.json"));
    let node = &results["nodes"]["model.test.people"];
    let shown = ["compiled_path", "build_path", "relation_name", "constraints", "contract"]
        .map(|key| format!("{key}: {}", node[key]));
    assert_snapshot!(shown.join("\n"), @r#"
    compiled_path: "target/compiled/test/models/people.sql"
    build_path: "target/run/test/models/people.sql"
    relation_name: "\"main\".\"people\""
    constraints: [{"type":"check","name":"positive","expression":"id > 0","warn_unenforced":true,"warn_unsupported":true,"to":null,"to_columns":[],"columns":[]}]
    contract: {"enforced":true,"alias_types":true,"checksum":"5e27eca590000cd90039317bdfeca42b0d112cde59373c5dd900f6f8b90738c6"}
    "#);
    assert_snapshot!(node["columns"]["id"]["constraints"], @r#"
    [{"type":"not_null","name":null,"expression":null,"warn_unenforced":true,"warn_unsupported":true,"to":null,"to_columns":[]}]
    "#);
    assert_snapshot!(results["nodes"]["model.test.days"]["time_spine"], @r#"
    {"standard_granularity_column":"day","custom_granularities":[{"name":"fiscal","column_name":"day"}]}
    "#);
    // What failed has its statement too.
    lake.write("models/cities.sql", "select nope from {{ ref('people') }}");
    let told = elt(&lake, &["run", "-s", "cities", "--log-format", "json"]);
    assert!(run("test/models/cities.sql").contains("nope"));
    assert!(
        text(&told.stdout).contains("SQLCompiledPath")
            && text(&told.stdout).contains("target/compiled/test/models/cities.sql")
    );
    elt(&lake, &["clean"]);
    assert!(!lake.path().join("target/run").exists());
}

#[test]
fn statements_of_seeds_and_unit_tests_are_written_down_where_dbt_has_them() {
    let lake = TestLake::on_disk();
    lake.write("seeds/deep/codes.csv", "id,name,day\n1,it's,2026-01-02\n2,,\n");
    lake.write("models/deep/loud.v1.sql", "select id, upper(name) as name from {{ ref('codes') }}");
    lake.write("models/deep/loud.v2.sql", "select id, upper(name) as name, 2 as v from {{ ref('codes') }}");
    lake.write(
        "models/deep/s.yml",
        "
        models: [{name: loud, latest_version: 2, versions: [{v: 1, defined_in: loud.v1}, {v: 2, defined_in: loud.v2}]}]
        unit_tests:
        - name: is_loud
          model: loud
          given: [{input: ref('codes'), rows: [{id: 1, name: a}]}]
          expect: {rows: [{id: 1, name: A}]}
        ",
    );
    let told = elt(&lake, &["build"]);
    assert!(told.status.success(), "{}", text(&told.stderr));
    let file = |path: &str| std::fs::read_to_string(lake.path().join("target").join(path)).unwrap();
    assert_snapshot!(file("run/test/seeds/deep/codes.csv"), @r#"
    create or replace table "main"."codes" ("id" bigint, "name" varchar, "day" date);

    -- dbt seed --
    insert into "main"."codes" ("id", "name", "day") values
        (1, 'it''s', '2026-01-02'),
        (2, null, null);
    "#);
    assert_snapshot!(file("run/test/models/deep/s.yml/models/deep/is_loud_v1.sql"), @r#"
    create or replace view "main"."codes" as
    select cast(1 as bigint) as "id", cast('a' as varchar) as "name", cast(null as date) as "day";

    create or replace view "dbt_unit_test"."actual" as
    select id, upper(name) as name from main.codes;

    create or replace view "dbt_unit_test"."expected" as
    select cast(1 as bigint) as "id", cast('A' as varchar) as "name";

    select 'missing' as difference, * from (select "id", "name" from "dbt_unit_test"."expected" except all select "id", "name" from "dbt_unit_test"."actual") union all select 'unexpected' as difference, * from (select "id", "name" from "dbt_unit_test"."actual" except all select "id", "name" from "dbt_unit_test"."expected");
    "#);
    assert!(file("run/test/models/deep/s.yml/models/deep/is_loud_v2.sql").contains("2 as v"));
    assert!(file("compiled/test/models/deep/s.yml/models/deep/is_loud_v2.sql").contains("2 as v"));
    let manifest = json(&lake.path().join("target/manifest.json"));
    assert_eq!(manifest["nodes"]["seed.test.codes"]["build_path"], "target/run/test/seeds/deep/codes.csv");
}

#[test]
fn a_catalog_is_of_what_was_asked_for_and_of_nothing_that_cannot_be_compiled() {
    let lake = project();
    elt(&lake, &["build"]);
    let tables = || {
        let catalog = json(&lake.path().join("target/catalog.json"));
        let ids = ["nodes", "sources"]
            .map(|list| catalog[list].as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" "));
        ids.join(" | ")
    };
    elt(&lake, &["docs", "generate", "--select", "+people", "--exclude", "resource_type:test"]);
    assert_eq!(tables(), "model.test.people | source.test.crm.people");
    elt(&lake, &["docs", "generate", "--resource-type", "source"]);
    assert_eq!(tables(), " | source.test.crm.people");
    elt(&lake, &["docs", "generate", "--empty-catalog"]);
    assert_eq!(tables(), " | ");
    let made = || std::fs::metadata(lake.path().join("target/manifest.json")).unwrap().modified().unwrap();
    let before = made();
    let told = elt(&lake, &["docs", "generate", "--no-compile", "--select", "cities"]);
    assert_eq!((tables().as_str(), made()), ("model.test.cities | ", before), "{}", text(&told.stderr));
    lake.write(
        "models/late.sql",
        "-- depends_on: {{ ref('people') }}\nselect {% if execute %}{{ run_query('select nope from ' ~ ref('people')).columns | length }}{% endif %} as n",
    );
    let told = elt(&lake, &["docs", "generate"]);
    assert_eq!((told.status.code(), tables().as_str()), (Some(1), "model.test.cities | "));
    assert!(text(&told.stderr).contains("compile failed, cannot generate docs"), "{}", text(&told.stderr));
    let told = events(&lake, &["docs", "generate"]);
    assert!(told.contains("CannotGenerateDocs E043"), "{told}");
}

#[test]
fn kinds_of_nodes_are_left_out_wherever_nodes_are_chosen() {
    let lake = project();
    elt(&lake, &["build"]);
    let told = text(&elt(&lake, &["compile", "-s", "+cities", "--resource-type", "model"]).stderr);
    assert!(told.contains("`people`") && told.contains("`cities`"), "{told}");
    let told = text(&elt(&lake, &["show", "-s", "+cities", "--exclude-resource-type", "source"]).stderr);
    assert!(told.contains("rows of `people`") && !told.contains("crm.people"), "{told}");
    let told = text(&elt(&lake, &["source", "freshness", "--exclude-resource-type", "source"]).stderr);
    assert!(told.contains("no source says how old it may be"), "{told}");
    let told = elt(&lake, &["run", "--resource-type", "modle"]);
    assert_eq!(told.status.code(), Some(2));
    assert!(
        text(&told.stderr).contains("'modle'") && text(&told.stderr).contains("model"),
        "{}",
        text(&told.stderr)
    );
}

#[test]
fn engines_of_metrics_find_their_manifest() {
    let lake = project();
    elt(&lake, &["parse"]);
    let semantic = json(&lake.path().join("target/semantic_manifest.json"));
    assert_snapshot!(serde_json::to_string_pretty(&semantic["project_configuration"]).unwrap(), @r#"
    {
      "time_spine_table_configurations": [],
      "metadata": null,
      "dsi_package_version": {
        "major_version": "0",
        "minor_version": "9",
        "patch_version": "0"
      },
      "time_spines": [
        {
          "node_relation": {
            "alias": "days",
            "schema_name": "main",
            "database": "elt",
            "relation_name": "\"main\".\"days\""
          },
          "primary_column": {
            "name": "day",
            "time_granularity": "day"
          },
          "custom_granularities": [
            {
              "name": "fiscal",
              "column_name": "day"
            }
          ]
        }
      ]
    }
    "#);
    let names: Vec<&str> =
        semantic["metrics"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["population", "heads"]);
    assert_snapshot!(semantic["semantic_models"][0]["node_relation"], @r#"
    {"alias":"people","schema_name":"main","database":"elt","relation_name":"\"main\".\"people\""}
    "#);
    let perf = json(&lake.path().join("target/perf_info.json"));
    assert!(perf["path_count"].as_u64() > Some(4) && perf["load_all_elapsed"].as_f64() > Some(0.0));
    lake.write("models/s2.yml", "models: [{name: cities, time_spine: {standard_granularity_column: city}}]");
    let told = elt(&lake, &["parse"]);
    assert!(
        text(&told.stderr).contains("the time spine's column `city` is not one of the model's `columns`"),
        "{}",
        text(&told.stderr)
    );
}
