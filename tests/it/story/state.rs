//! `state:` compares what people wrote, and nothing that follows from where it is built.

use std::process::Command;

use insta::assert_snapshot;

use crate::test_lake::TestLake;

/// The names that a selector means, compared with the state that was put aside.
fn selected(lake: &TestLake, selector: &str) -> String {
    let arguments = ["ls", "--quiet", "--output", "name", "--state", "state", "--select", selector];
    let done = Command::new(env!("CARGO_BIN_EXE_elt"))
        .current_dir(lake.path())
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    told.lines().collect::<Vec<_>>().join(" ") + String::from_utf8_lossy(&done.stderr).trim()
}

/// A project with something of every kind.
fn project() -> TestLake {
    let lake = TestLake::on_disk();
    lake.write(
        "dbt_project.yml",
        "
        name: shop
        profile: shop
        models:
          shop:
            +post-hook: select 1
            +enabled: \"{{ target.name != 'nowhere' }}\"
            deep: {+schema: \"{{ target.name }}\"}
        ",
    );
    lake.write("profiles.yml", &profile("dev", "main"));
    lake.write("seeds/codes.csv", "id,name\n1,one\n");
    lake.write("macros/m.sql", "{% macro cents(x) %}{{ x }} * {{ hundred() }}{% endmacro %}\n");
    lake.write("macros/n.sql", "{% macro hundred() %}100{% endmacro %}\n");
    lake.write(
        "models/a.sql",
        "{{ config(materialized='table') }}\nselect id, {{ cents('id') }} as c from {{ ref('codes') }}\n",
    );
    lake.write("models/deep/b.sql", "\n\nselect * from {{ ref('a') }}\n\n");
    lake.write("models/p.yml", PROPERTIES);
    lake.write("snapshots/then.sql", "{% snapshot then %}{{ config(unique_key='id', strategy='check', check_cols='all') }} select * from {{ ref('a') }}{% endsnapshot %}");
    lake.write("tests/none.sql", "select 1 as x where false");
    let parsed =
        Command::new(env!("CARGO_BIN_EXE_elt")).current_dir(lake.path()).arg("parse").env_clear().output();
    assert!(parsed.unwrap().status.success());
    lake.write(
        "state/manifest.json",
        &std::fs::read_to_string(lake.path().join("target/manifest.json")).unwrap(),
    );
    lake
}

fn profile(target: &str, schema: &str) -> String {
    format!(
        "shop: {{target: {target}, outputs: {{{target}: {{type: elt, lake: ./lake, schema: {schema}}}}}}}"
    )
}

const PROPERTIES: &str = "
sources:
- name: crm
  schema: main
  tables: [{name: people, description: All of them., freshness: {warn_after: {count: 1, period: day}}}]
models:
- name: a
  description: The first.
  config: {contract: {enforced: true}, tags: [one]}
  columns:
  - {name: id, data_type: bigint, data_tests: [not_null, {accepted_values: {arguments: {values: [1, 2]}}}]}
  - {name: c, data_type: bigint}
- name: b
  description: The second.
  config: {persist_docs: {relation: true}}
exposures:
- {name: weekly, type: dashboard, owner: {name: ann, email: ann@example.com}, depends_on: [ref('b')]}
unit_tests:
- name: it_is_kept
  model: b
  given: [{input: ref('a'), rows: [{id: 1}]}]
  expect: {rows: [{id: 1}]}
";

#[test]
fn nothing_is_modified_in_a_project_that_stayed_as_it_was() {
    let lake = project();
    assert_snapshot!(selected(&lake, "state:modified"), @"");
    assert_snapshot!(selected(&lake, "state:new"), @"");
    let all = selected(&lake, "state:old");
    assert_snapshot!(all, @"a accepted_values_a_id__1__2 b codes crm.people it_is_kept none not_null_a_id then weekly");
    assert_eq!(selected(&lake, "state:unmodified"), all);
    // Elsewhere it is the same project, and white space around a text is none of it.
    lake.write("profiles.yml", &profile("prod", "other"));
    lake.write("models/deep/b.sql", "select * from {{ ref('a') }}");
    assert_snapshot!(selected(&lake, "state:modified"), @"");
    assert_snapshot!(selected(&lake, "state:changed"), @"
    elt::selector

      × `state:changed` is not a selector: this is no state
      help: use one of: new, old, modified, unmodified, modified.body, modified.configs,
            modified.contract, modified.relation, modified.persisted_descriptions, modified.macros
    ");
}

#[test]
fn what_is_modified_is_told_by_what_it_is() {
    let edit = |from: &str, to: &str| {
        assert!(PROPERTIES.contains(from), "{from}");
        PROPERTIES.replace(from, to)
    };
    let changes: Vec<(&str, &str, String)> = vec![
        ("a body", "models/deep/b.sql", "select id from {{ ref('a') }}".into()),
        ("a seed", "seeds/codes.csv", "id,name\n1,uno\n".into()),
        ("a macro below another", "macros/n.sql", "{% macro hundred() %}1000{% endmacro %}\n".into()),
        ("a macro that nothing calls", "macros/o.sql", "{% macro other() %}1{% endmacro %}".into()),
        ("a setting", "models/p.yml", edit("{persist_docs: {relation: true}}", "{materialized: table}")),
        ("a tag", "models/p.yml", edit("tags: [one]", "tags: [two]")),
        ("a contract", "models/p.yml", edit("{name: c, data_type: bigint}", "{name: c, data_type: int}")),
        ("a contract gone", "models/p.yml", edit("contract: {enforced: true}, ", "")),
        ("a relation", "models/p.yml", edit("tags: [one]", "alias: aa")),
        ("a description that is kept in the lake", "models/p.yml", edit("The second.", "The 2nd.")),
        ("a description that is not", "models/p.yml", edit("The first.", "The 1st.")),
        ("a source", "models/p.yml", edit("count: 1", "count: 2")),
        ("a source's schema", "models/p.yml", edit("schema: main", "schema: other")),
        ("a source's description", "models/p.yml", edit("All of them.", "Some.")),
        ("a test", "models/p.yml", edit("data_tests: [not_null,", "data_tests: [{not_null: {config: {severity: warn}}},")),
        ("a unit test", "models/p.yml", edit("expect: {rows: [{id: 1}]}", "expect: {rows: [{id: 2}]}")),
        ("an exposure", "models/p.yml", edit("type: dashboard", "type: notebook")),
        ("a snapshot", "snapshots/then.sql", "{% snapshot then %}{{ config(unique_key='id', strategy='check', check_cols=['c']) }} select * from {{ ref('a') }}{% endsnapshot %}".into()),
        ("a singular test", "tests/none.sql", "select 2 as x where false".into()),
        ("a new model", "models/c.sql", "select 1 as one".into()),
    ];
    let lines = changes.iter().map(|(what, file, text)| {
        let lake = project();
        lake.write(file, text);
        let mut kinds = Vec::new();
        for kind in ["new", "body", "configs", "contract", "relation", "persisted_descriptions", "macros"] {
            let selector =
                if kind == "new" { "state:new".to_owned() } else { format!("state:modified.{kind}") };
            if !selected(&lake, &selector).is_empty() {
                kinds.push(kind);
            }
        }
        format!("{what}: {} ({})", selected(&lake, "state:modified"), kinds.join(", "))
    });
    assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @"
    a body: b it_is_kept (body)
    a seed: codes (body)
    a macro below another: a accepted_values_a_id__1__2 not_null_a_id (macros)
    a macro that nothing calls:  ()
    a setting: b it_is_kept (configs)
    a tag:  ()
    a contract: a accepted_values_a_id__1__2 not_null_a_id (contract)
    a contract gone: a accepted_values_a_id__1__2 not_null_a_id (configs, contract)
    a relation: a accepted_values_a_id__1__2 not_null_a_id (relation)
    a description that is kept in the lake: b it_is_kept (persisted_descriptions)
    a description that is not:  ()
    a source: crm.people (configs)
    a source's schema: crm.people (relation)
    a source's description:  ()
    a test: not_null_a_id (body, configs)
    a unit test: it_is_kept ()
    an exposure: weekly ()
    a snapshot: then (body, configs)
    a singular test: none (body)
    a new model: c (new, body, configs, contract, relation, persisted_descriptions)
    ");
}

#[test]
fn settings_that_nobody_sets_are_selected_by_too() {
    let lake = project();
    lake.write(
        "selectors.yml",
        "
        selectors:
          - {name: first, definition: {method: fqn, value: a}}
          - {name: around, definition: {method: selector, value: first, parents: true}}
        ",
    );
    let story = [
        "config.on_schema_change:ignore,resource_type:model",
        "config.contract.enforced:false,resource_type:model",
        "config.severity:error",
        "config.access:protected",
        "path:models/p.yml,resource_type:model",
        "selector:around,resource_type:seed",
        "+selector:first,resource_type:seed",
        "selector:first+,resource_type:model",
    ]
    .map(|selector| format!("{selector}: {}", selected(&lake, selector)))
    .join("\n");
    assert_snapshot!(story, @"
    config.on_schema_change:ignore,resource_type:model: a accepted_values_a_id__1__2 b it_is_kept not_null_a_id
    config.contract.enforced:false,resource_type:model: b it_is_kept
    config.severity:error: accepted_values_a_id__1__2 none not_null_a_id
    config.access:protected: a accepted_values_a_id__1__2 b it_is_kept not_null_a_id
    path:models/p.yml,resource_type:model: a accepted_values_a_id__1__2 b it_is_kept not_null_a_id
    selector:around,resource_type:seed: codes
    +selector:first,resource_type:seed: codes
    selector:first+,resource_type:model: a accepted_values_a_id__1__2 b it_is_kept not_null_a_id
    ");
}

#[test]
fn without_a_folder_the_published_release_is_the_state() {
    let lake = TestLake::on_disk();
    let elt = |arguments: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_elt"))
            .current_dir(lake.path())
            .args(arguments)
            .env_clear()
            .output();
        let done = done.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().collect::<Vec<_>>().join(" ");
        (text(&done.stdout), text(&done.stderr))
    };
    let asked = |selector: &str| elt(&["ls", "--quiet", "--output", "name", "--select", selector]);
    let ls = |selector: &str| asked(selector).0;
    let outputs = "prod: {type: elt, schema: main}\n    dev: {type: elt, schema: dev}\n";
    lake.write("profiles.yml", &format!("test:\n  target: prod\n  outputs:\n    {outputs}"));
    lake.write("models/a.sql", "{{ config(materialized='table') }} select 1 as id");
    lake.write("models/b.sql", "{{ config(materialized='table') }} select id from {{ ref('a') }}");
    lake.write("models/c.sql", "{{ config(materialized='table') }} select 3 as id");
    let (_, none) = asked("state:modified");
    assert!(none.contains("there is no earlier state"), "{none}");
    elt(&["build", "--quiet"]);
    assert_eq!(ls("state:modified"), "");
    lake.write("models/a.sql", "{{ config(materialized='table') }} select 2 as id");
    lake.write("models/d.sql", "select 4 as id");
    assert_eq!(ls("state:modified"), "a d");
    assert_eq!(ls("state:modified+"), "a b d");
    assert_eq!(ls("state:new"), "d");
    assert_eq!(ls("state:unmodified"), "b c");
    let (_, part) = asked("state:modified.body");
    assert!(part.contains("not which part of it"), "{part}");
    // An environment is compared with production, and reads the rest from there.
    elt(&["build", "--quiet", "--target", "dev", "--defer", "--select", "state:modified+"]);
    let (rows, trouble) = elt(&["sql", "--format", "csv", "select id from dev.b"]);
    assert!(rows.contains('2'), "{rows} {trouble}");
    let (_, refused) = elt(&["build", "--defer"]);
    assert!(refused.contains("there is no state to defer to"), "{refused}");
}
