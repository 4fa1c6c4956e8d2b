//! Does a project, as a user writes it, mean what dbt would make of it?

use std::time::Instant;

use super::*;
use crate::base::{SourceText, show_all};
use crate::project::{LoadOptions, load};

/// A project in a temporary folder, and the facts it is compiled with.
pub(super) struct Written {
    folder: tempfile::TempDir,
    facts: Facts,
}

impl Written {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let written = Self {
            folder,
            facts: Facts {
                existing: BTreeSet::new(),
                full_refresh: false,
                store_failures: false,
                command: "build".into(),
                event_time_start: None,
                event_time_end: None,
                batches: BTreeMap::new(),
                deferred: BTreeMap::new(),
                empty: false,
                sample: None,
                run_id: "run-1".into(),
                entry: |_, _| None,
                run_started_at: crate::base::parse_instant("2026-01-02 03:04:05").unwrap(),
                env: Arc::new(BTreeMap::from([("WHO".into(), "me".into())])),
            },
        };
        written.write("dbt_project.yml", "name: shop\nvars: {start: '2026-01-01', kinds: [a, b]}\n");
        for (path, text) in files {
            written.write(path, text);
        }
        written
    }

    fn write(&self, path: &str, text: &str) {
        let full = self.folder.path().join(path);
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        std::fs::write(full, text).unwrap();
    }

    pub(super) fn compile(&self) -> (Manifest, Vec<Diagnostic>) {
        let options = LoadOptions {
            root: self.folder.path().to_path_buf(),
            target: None,
            profile: None,
            profiles_dir: None,
            vars: BTreeMap::new(),
            target_path: None,
            env: self.facts.env.clone(),
        };
        let (project, mut found) = load(&options, &YamlRenderer::new());
        let (manifest, more) = compile(&project.unwrap(), &self.facts);
        found.extend(more);
        (manifest, found)
    }

    /// Compiles what must be without any mistake.
    pub(super) fn manifest(&self) -> Manifest {
        let (manifest, found) = self.compile();
        assert!(found.is_empty(), "{}", show_all(&found));
        manifest
    }

    pub(super) fn mistakes(&self) -> String {
        show_all(&self.compile().1)
    }
}

fn model<'a>(manifest: &'a Manifest, name: &str) -> &'a Node {
    manifest.models().find(|node| node.name == name).unwrap()
}

fn sql(manifest: &Manifest, name: &str) -> String {
    let node = manifest.nodes.values().find(|node| node.name == name).unwrap();
    node.sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The SQL of one model `m`, in a project that also has the model `orders` and the source `crm.people`.
pub(super) fn rendered(template: &str, macros: &str) -> String {
    let project = Written::new(&[
        ("models/m.sql", template),
        ("models/orders.sql", "select 1 as id"),
        ("models/crm.yml", "sources: [{name: crm, tables: [{name: people}]}]"),
        ("macros/all.sql", macros),
    ]);
    let (manifest, found) = project.compile();
    if found.is_empty() { sql(&manifest, "m") } else { show_all(&found) }
}

#[test]
fn templates_mean_what_dbt_makes_of_them() {
    for (template, expected) in [
        ("select * from {{ ref('orders') }}", "select * from main.orders"),
        ("{{ ref('shop', 'orders') }} {{ source('crm', 'people') }}", "main.orders crm.people"),
        (
            "{{ this }} {{ this.schema }} {{ this.identifier }} {{ this.include(schema=false) }}",
            "main.m main m m",
        ),
        (
            "{{ var('start') }} {{ var('no', 3) }} {{ env_var('WHO') }} {{ env_var('X', 'd') }}",
            "2026-01-01 3 me d",
        ),
        (
            "{% set l = [] %}{% for k in var('kinds') %}{% do l.append(k ~ loop.index) %}{% endfor %}{{ l | join(',') }}",
            "a1,b2",
        ),
        (
            "{% set d = {'a': 1} %}{% do d.update({'b': [2]}) %}{% do d['b'].append(3) %}{{ d }}",
            "{'a': 1, 'b': [2, 3]}",
        ),
        (
            "{% set ns = namespace(n=0) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
            "3",
        ),
        ("{% for k, v in {'x': 1}.items() %}{{ k }}={{ v }}{% endfor %}", "x=1"),
        (
            "{{ 'a,b'.split(',')[1].upper() }} {{ tojson({'a': [1, none]}) }} {{ fromjson('[1]')[0] }}",
            "B {\"a\": [1, null]} 1",
        ),
        (
            "{{ target.name }} {{ target.schema }} {{ target.type }} {{ project_name }} {{ invocation_id }}",
            "dev main elt shop run-1",
        ),
        (
            "{{ run_started_at.strftime('%Y%m%d') }} {{ modules.datetime.datetime.now().year }} {{ execute }}",
            "20260102 2026 True",
        ),
        (
            "{{ config(materialized='table', meta={'k': 'v'}) }}{{ config.get('materialized') }} {{ config.get('x', 'y') }}",
            "table y",
        ),
        (
            "{{ model.name }} {{ model.unique_id }} {{ is_incremental() }} {{ flags.FULL_REFRESH }}",
            "m model.shop.m False False",
        ),
        ("{% raw %}{{ x }}{% endraw %}{# {{ no() }} #}", "{{ x }}"),
        ("{{ dbt.type_string() }} {{ type_int() }} {{ dbt.concat(['a', 'b']) }}", "varchar int a || b"),
        ("{{ 'x' if var('kinds') is iterable and 'q' is string and {} is mapping }}", "x"),
        ("{{ cents('a') }} {{ shop.cents('b', 1000) }}", "(a / 100) (b / 1000)"),
        ("{{ first_long(['a', 'bbb', 'cccc']) + 1 }}", "2"),
        ("{{ ref('orders') is mapping }} {{ ref('orders').get('metadata').type }}", "True EltRelation"),
        ("{{ gather(1, 2, 3, z=4) }}", "1 (2, 3) {'z': 4}"),
        (
            "{{ api.Relation.scd_args(['a'], 'b') }} {{ this.matches(schema='MAIN') }} {{ this.matches(identifier='x') }}",
            "['a', 'b'] True False",
        ),
        (
            "{{ adapter.get_hard_deletes_behavior({'invalidate_hard_deletes': true}) }} {{ should_full_refresh() }} {{ get_quoted_csv(['a', 'b']) }}",
            "invalidate False \"a\", \"b\"",
        ),
        ("{{ dbt.get_powers_of_two(5) }} {{ make_backup_relation(this).identifier }}", "3 m__dbt_backup"),
        ("{% call wrap('b') %}hi {{ cents(1) }}{% endcall %}", "<b>hi (1 / 100)</b>"),
        ("{{ shout('x') }} {{ dbt.type_bigint() }}", "elt x! int64"),
    ] {
        let macros = r#"
            {% macro cents(x, by: int = 100) %}({{ x }} / {{ by }}){% endmacro %}
            {% macro first_long(all) %}{% for x in all %}{% if x | length > 2 %}{{ return(loop.index0) }}{% endif %}{% endfor %}{% endmacro %}
            {% macro gather(a) %}{{ a }} {{ varargs }} {{ kwargs }}{% endmacro %}
            {% macro wrap(tag) %}<{{ tag }}>{{ caller() }}</{{ tag }}>{% endmacro %}
            {% macro shout(x) %}{{ return(adapter.dispatch('shout', 'shop')(x)) }}{% endmacro %}
            {% macro default__shout(x) %}{{ x }}{% endmacro %}
            {% macro elt__shout(x) %}elt {{ x }}!{% endmacro %}
            {% macro default__type_bigint() %}int64{% endmacro %}
        "#;
        assert_eq!(rendered(template, macros), expected, "{template}");
    }
}

#[test]
fn what_cannot_be_rendered_is_told_with_place_and_help() {
    let told: Vec<String> = [
        "select {{ cent(1) }}",
        "select {{ var('strat') }}",
        "{% if x %}",
        "{{ exceptions.raise_compiler_error('no ' ~ 'way') }}",
        "{{ dbt_utils.star(ref('orders')) }}",
        "{{ broken() }}",
        "{{ calls_nothing() }}",
        "{{ dbt.datediff('a', 'b', 'decade') }}",
        "{% if execute %}{{ ref('orders') }}{% endif %}",
        "{{ 1 + 'a' }}",
        "{{ exceptions.relation_wrong_type(this, 'view') }}",
        "{{ config(materialized='tabel') }}",
        "{{ config(materialised='table', post_hook='drop table x') }}",
        "{{ config(materialized='incremental', incremental_strategy='bad') }}",
    ]
    .into_iter()
    .map(|template| {
        rendered(
            template,
            "{% macro cents(x) %}{% endmacro %}\n{% macro broken() %}\n  {{ nothing.here }}{% endmacro %}{% macro calls_nothing() %}{{ cent(2) }}{% endmacro %}",
        )
    })
    .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    models/m.sql:1:11: there is no function or macro `cent` (did you mean `cents`?)
    models/m.sql:1:11: there is no var `strat` (did you mean `start`?)
    models/m.sql:1:9: unexpected end of input, expected end of block
    models/m.sql:1:14: no way
    models/m.sql:1:13: `dbt_utils` is not defined (set it with `{% set %}`, define the macro, or install the package that has it)
    macros/all.sql:3:6: `nothing.here` is not defined (set it with `{% set %}`, define the macro, or install the package that has it)
    macros/all.sql:3:65: there is no function or macro `cent` (did you mean `cents`?)
    models/m.sql:1:7: datediff does not know the part `decade`; it knows year, quarter, month, week, day, hour, minute and second
    models/m.sql:1:20: `ref('orders')` is only reached once `execute` is true, so the graph does not know it (add the line `-- depends_on: {{ ref('orders') }}` outside the condition)
    models/m.sql:1:4: tried to use + operator on unsupported types number and string
    models/m.sql:1:14: main.m is to be a view, and is there already as something else
    models/m.sql:1:11: `tabel` is no value of `materialized` (did you mean `table`?)
    models/m.sql:1:11: `materialised` is not a known key of config() (did you mean `materialized`?)
    models/m.sql:1:1: not supported: a hook of `m` that runs `drop table x …` (hooks read, and insert, update, delete, merge, create and alter; run anything else by `elt run-operation`)
    models/m.sql:1:39: dbt could not find an incremental strategy macro with the name "get_incremental_bad_sql" (use one of: append, merge, delete+insert, insert_overwrite, microbatch, default)
    "#);
}

const SHOP: &[(&str, &str)] = &[
    (
        "models/crm.yml",
        r"
sources:
  - name: crm
    tables:
      - name: people
        columns: [{name: id, data_tests: [unique]}]
models:
  - name: customers
    config: {tags: [daily]}
    data_tests:
      - small_enough: {arguments: {limit: 5}}
    columns:
      - name: id
        tests:
          - unique
          - not_null: {severity: warn, where: id > 0}
      - name: city
        tests:
          - accepted_values: {values: [Oslo, Rome], config: {error_if: '> 10', limit: 3}}
      - name: boss
        tests:
          - relationships: {to: ref('people_clean'), field: id}
",
    ),
    (
        "models/staging/people_clean.sql",
        "{{ config(materialized='ephemeral') }}\nselect * from {{ source('crm', 'people') }}",
    ),
    (
        "models/customers.sql",
        "{{ config(materialized='incremental', unique_key='id') }}\nselect * from {{ ref('people_clean') }}\n{% if is_incremental() %}where load > (select max(load) from {{ this }}){% endif %}",
    ),
    (
        "models/report.sql",
        "{{ config(materialized='table', schema='marts', alias='order', tags='daily') }}select * from {{ ref('customers') }}",
    ),
    ("models/off.sql", "{{ config(enabled=false) }}select * from {{ ref('nowhere') }}"),
    ("tests/no_strangers.sql", "select * from {{ ref('report') }} where id is null"),
    (
        "tests/generic/small.sql",
        "{% test small_enough(model, limit) %}select * from {{ model }} having count(*) > {{ limit }}{% endtest %}",
    ),
];

#[test]
fn a_project_becomes_a_graph_of_sql() {
    let manifest = Written::new(SHOP).manifest();
    let seen: Vec<String> = manifest
        .order()
        .iter()
        .map(|id| {
            let parents: Vec<&str> =
                manifest.parents(id).iter().map(|id| manifest.node(id).name.as_str()).collect();
            let name = id.as_str().rsplit_once('.').map_or(id.as_str(), |(rest, _)| {
                if id.as_str().starts_with("test") && id.as_str().matches('.').count() > 2 {
                    rest
                } else {
                    id.as_str()
                }
            });
            format!("{name} <- {}\n    {}", parents.join(", "), sql(&manifest, &manifest.node(id).name))
        })
        .collect();
    insta::assert_snapshot!(seen.join("\n"), @r#"
    source.shop.crm.people <- 
        
    model.shop.people_clean <- crm.people
        select * from crm.people
    model.shop.customers <- people_clean
        with __dbt__cte__people_clean as ( select * from crm.people ) select * from __dbt__cte__people_clean
    model.shop.report <- customers
        select * from main.customers
    test.shop.accepted_values_customers_city__Oslo__Rome <- customers
        select * from main.customers where city not in ('Oslo', 'Rome')
    test.shop.no_strangers <- report
        select * from main_marts."order" where id is null
    test.shop.not_null_customers_id <- customers
        select * from (select * from main.customers where id > 0) dbt_subquery where id is null
    test.shop.relationships_customers_boss__id__ref_people_clean_ <- customers, people_clean
        with __dbt__cte__people_clean as ( select * from crm.people ) select * from main.customers where boss is not null and boss not in (select id from __dbt__cte__people_clean where id is not null)
    test.shop.small_enough_customers_5 <- customers
        select * from main.customers having count(*) > 5
    test.shop.source_unique_crm_people_id <- crm.people
        select id, count(*) as n_records from crm.people where id is not null group by id having count(*) > 1
    test.shop.unique_customers_id <- customers
        select id, count(*) as n_records from main.customers where id is not null group by id having count(*) > 1
    "#);
}

#[test]
fn an_incremental_run_filters_and_keeps_its_fingerprint() {
    let mut project = Written::new(SHOP);
    let first = project.manifest();
    project.facts.existing.insert("main.customers".parse().unwrap());
    let later = project.manifest();
    assert!(!sql(&first, "customers").contains("where load"));
    assert!(sql(&later, "customers").ends_with("where load > (select max(load) from main.customers)"));
    assert_eq!(model(&first, "customers").fingerprint, model(&later, "customers").fingerprint);
    let Some(Materialization::Incremental { strategy, unique_key, is_incremental_run, .. }) =
        model(&later, "customers").materialization()
    else {
        panic!("customers is incremental")
    };
    assert_eq!(
        (*strategy, unique_key.as_slice(), *is_incremental_run),
        (Strategy::Merge, &["id".to_owned()][..], true)
    );

    project.facts.full_refresh = true;
    assert!(!sql(&project.manifest(), "customers").contains("where load"));
    project.write(
        "models/customers.sql",
        "{{ config(materialized='incremental', unique_key='id') }} select 1 as id",
    );
    assert_ne!(model(&project.manifest(), "customers").fingerprint, model(&first, "customers").fingerprint);
}

#[test]
fn every_wrong_name_is_reported_at_once_where_it_is_written() {
    let project = Written::new(SHOP);
    project.write("models/a.sql", "-- join later\nselect * from {{ ref('custmers') }}, {{ source('crm', 'poeple') }}, {{ source('cmr', 'x') }}");
    project.write("models/b.sql", "select * from {{ ref('off') }} join {{ ref('people') }} using (id)");
    project.write("models/c.sql", "select * from {{ ref('d') }}");
    project.write("models/d.sql", "select * from {{ ref('c') }}");
    project.write("models/e.sql", "{{ config(alias='customers') }}select 1");
    project.write("models/t.yml", "models:\n  - name: report\n    columns:\n      - name: id\n        tests:\n          - uniqe\n          - relationships: {to: ref('nobody'), field: id}\n");
    insta::assert_snapshot!(project.mistakes(), @r#"
    models/t.yml:6:13: there is no test `uniqe` (did you mean `unique`?)
    models/a.sql:2:23: model `a` refers to `custmers`, which is not in this project (did you mean `customers`? It is models/customers.sql)
    models/a.sql:2:56: model `a` reads `crm.poeple`, but the source `crm` has no such table (did you mean `people`?)
    models/a.sql:2:80: model `a` reads the source `cmr`, which is not described (did you mean `crm`?)
    models/b.sql:1:23: model `b` refers to `off`, which is disabled (it is disabled at models/off.sql:1:11)
    models/b.sql:1:45: model `b` refers to `people`, which is not in this project (there is a source of this name: write `source('crm', 'people')`)
    models/t.yml:7:13: test `relationships_report_id__id__ref_nobody_` refers to `nobody`, which is not in this project
    models/e.sql:1:1: `customers` and `e` would both be the table main.customers (the first is at models/customers.sql:1:1; give one of them another `alias` or `schema`)
    models/c.sql:1:23: these models wait for each other: c → d → c (take one of the `ref`s out; an arrow reads "reads")
    "#);
}

#[test]
fn settings_come_from_tree_properties_and_file_in_that_order() {
    let project = Written::new(&[
        (
            "dbt_project.yml",
            "name: shop\nmodels:\n  +schema: a\n  +tags: [t]\n  shop:\n    marts:\n      +materialized: table\n",
        ),
        ("models/marts/x.sql", "{{ config(schema='c', tags='f') }}select 1"),
        ("models/marts/y.sql", "select 1"),
        ("models/z.sql", "select '{{ config.get('schema') }}'"),
        (
            "models/p.yml",
            "models:\n  - {name: x, config: {schema: b, tags: [p]}}\n  - {name: y, config: {schema: b, materialized: view}}\n",
        ),
    ]);
    let manifest = project.manifest();
    let seen = |name| {
        let node = model(&manifest, name);
        format!(
            "{} {:?} {}",
            node.relation.as_ref().unwrap(),
            node.materialization().unwrap(),
            node.tags.join(",")
        )
    };
    assert_eq!(seen("x"), "main_c.x Table t,p,f");
    assert_eq!(seen("y"), "main_b.y View t");
    assert_eq!(seen("z"), "main_a.z View t");
    assert_eq!(sql(&manifest, "z"), "select 'a'");

    project.write(
        "macros/n.sql",
        "{% macro generate_schema_name(custom, its_node) %}{{ custom or its_node.name }}{% endmacro %}",
    );
    assert_eq!(model(&project.manifest(), "y").relation.as_ref().unwrap().to_string(), "b.y");
}

#[test]
fn a_mistake_in_a_macro_is_told_once_and_hides_no_other() {
    let project = Written::new(&[
        ("macros/m.sql", "{% macro bad() %}\n{{ 1 / 0 }}{% endmacro %}"),
        ("models/a.sql", "{% if execute %}{{ bad() }}{% endif %}"),
        ("models/b.sql", "{{ bad() }}"),
        ("models/c.sql", "{{ ref('nowhere') }}"),
        ("models/off.sql", "{{ config(enabled=false) }}"),
        ("tests/t.sql", "select * from {{ ref('off') }}"),
    ]);
    insta::assert_snapshot!(project.mistakes(), @r"
    macros/m.sql:2:4: unable to calculate 1 / 0
    models/c.sql:1:9: model `c` refers to `nowhere`, which is not in this project
    tests/t.sql:1:23: test `t` is left out: it refers to `off`, which is disabled
    ");
}

#[test]
fn a_place_in_the_sql_leads_back_to_the_file() {
    let project = Written::new(&[
        ("macros/m.sql", "{% macro columns() %}a,\n  b{% endmacro %}"),
        ("models/base.sql", "{{ config(materialized='ephemeral') }}\nselect baddd as x"),
        (
            "models/m.sql",
            "{{ config(materialized='table') }}\n{%- set wide = 'w' %}\nselect {{ columns() }}, amuont,\n{% for k in ['p', 'q'] -%}\n  sum({{ k }}) as {{ k }}_totl,\n{% endfor %}\nfrom {{ ref('base') }} {{- ' as é' }} where lasst",
        ),
    ]);
    let manifest = project.manifest();
    let node = model(&manifest, "m");
    for (word, place, text) in [
        ("amuont", "models/m.sql:3:25", "amuont"),
        ("b,", "models/m.sql:3:8", "{{ columns() }}"),
        ("q)", "models/m.sql:5:7", "{{ k }}"),
        ("q_totl", "models/m.sql:5:19", "{{ k }}"),
        ("_totl,\nsum(q", "models/m.sql:5:26", "_totl"),
        ("baddd", "models/base.sql:2:8", "baddd"),
        ("__dbt__cte__base as é", "models/m.sql:7:6", "{{ ref('base') }}"),
        ("as é where", "models/m.sql:7:24", "{{- ' as é' }}"),
        ("lasst", "models/m.sql:7:45", "lasst"),
    ] {
        let at = node.sql.find(word).unwrap_or_else(|| panic!("{word} is not in\n{}", node.sql));
        let compiled = SourceText::new("compiled", &node.sql);
        let (line, column) = compiled.line_column(at);
        let span = node.locate(line, column);
        assert_eq!(
            (span.place().as_str(), &span.source.text[span.bytes.clone()]),
            (place, text),
            "{word} in\n{}",
            node.sql
        );
    }
    assert!(!node.sql.contains(jinja::prepare::MARK));
}

#[test]
fn models_on_their_way_out_are_told_with_who_reads_them() {
    let project = Written::new(&[
        ("models/old.sql", "select 1 as id"),
        ("models/going.sql", "select 2 as id"),
        ("models/reader.sql", "select * from {{ ref('old') }} union all select * from {{ ref('going') }}"),
        (
            "models/s.yml",
            "models: [{name: old, deprecation_date: 2025-12-31}, {name: going, deprecation_date: '2026-06-01'}]",
        ),
    ]);
    insta::assert_snapshot!(project.mistakes(), @"
    models/reader.sql:1:1: While compiling 'reader': Found a reference to going, which is slated for deprecation on '2026-06-01'. (read what takes its place)
    models/old.sql:1:1: Model old has passed its deprecation date of 2025-12-31. This model should be disabled or removed. (take it away, disable it, or set a later `deprecation_date`)
    models/reader.sql:1:1: While compiling 'reader': Found a reference to old, which was deprecated on '2025-12-31'. (read what takes its place)
    ");
}

#[test]
fn selectors_mean_what_dbt_makes_of_them() {
    let manifest = Written::new(SHOP).manifest();
    let selected = |include: &str, exclude: &str| {
        let read = |text: &str| -> Vec<Selector> {
            if text.is_empty() { Vec::new() } else { vec![text.parse().unwrap()] }
        };
        match select(&manifest, &read(include), &read(exclude), &Earlier::default()) {
            Ok(ids) => {
                let names = ids
                    .iter()
                    .filter(|id| !id.as_str().starts_with("test."))
                    .map(|id| manifest.node(id).name.clone());
                let tests = ids.iter().filter(|id| id.as_str().starts_with("test.")).count();
                format!("{} +{tests}", names.collect::<Vec<_>>().join(" "))
            }
            Err(diagnostic) => show_all(&[diagnostic]),
        }
    };
    for (include, exclude, expected) in [
        ("", "", "customers people_clean report crm.people +7"),
        ("report", "", "report +1"),
        ("+report", "", "customers people_clean report crm.people +7"),
        ("1+report", "", "customers report +6"),
        ("customers+", "report", "customers +5"),
        ("staging.*", "", "people_clean +1"),
        ("shop.staging", "", "people_clean +1"),
        ("path:models/staging", "", "people_clean +1"),
        ("models/rep*.sql", "", "report +1"),
        ("tag:daily,config.materialized:table", "", "report +1"),
        ("tag:daily", "", "customers report +6"),
        ("source:crm", "", "crm.people +1"),
        ("source:crm+", "", "customers people_clean report crm.people +7"),
        ("customers,test_name:unique", "", " +1"),
        ("test_type:singular", "", " +1"),
        ("resource_type:source", "", "crm.people +1"),
        ("cust* nothing*", "", "customers +5"),
        ("@people_clean", "", "customers people_clean report crm.people +7"),
        ("resource_type:*", "resource_type:test", "customers people_clean report crm.people +0"),
        ("reprot", "", " +0"),
        ("tag:dayly", "", " +0"),
    ] {
        assert_eq!(selected(include, exclude), expected, "{include} without {exclude}");
    }
    let unmatched = |text: &str| {
        let selector = text.parse::<Selector>().unwrap();
        show_all(&unmatched(&manifest, &[selector], &[], &Earlier::default()))
    };
    assert_eq!(
        unmatched("+reprot report tag:dayly"),
        "The selection criterion '+reprot' does not match any enabled nodes (no model or test is called `reprot`; did you mean `report`?)\n\
         The selection criterion 'tag:dayly' does not match any enabled nodes (no node has the tag `dayly`; did you mean `daily`?)"
    );
    assert!(unmatched("config.materialized:nope").contains("does not match any enabled nodes"));
    let refused = |text: &str| show_all(&[text.parse::<Selector>().unwrap_err()]);
    assert!(selected("version:newest", "").contains("this is no kind of version"));
    assert!(selected("test_type:nothing", "").contains("`nothing` is none of its values"));
    assert!(selected("resource_type:modle", "").contains("did you mean `model`?"));
    assert!(selected("state:modified", "").contains("there is no earlier state"));
    assert!(refused("tga:x").ends_with("(did you mean `tag`?)"));
}

#[test]
fn a_thousand_models_compile_quickly() {
    let mut files =
        vec![("macros/m.sql".to_owned(), "{% macro twice(x) %}{{ x }} * 2{% endmacro %}".to_owned())];
    let mut yaml = String::from("models:\n");
    for n in 0..1000 {
        let from = if n == 0 {
            "select 1 as id".into()
        } else {
            format!("select {{{{ twice('id') }}}} as id from {{{{ ref('m{}') }}}}", n - 1)
        };
        files.push((format!("models/m{n}.sql"), format!("{{{{ config(materialized='table') }}}}\n{from}")));
        yaml.push_str(&format!("  - name: m{n}\n    columns: [{{name: id, tests: [unique, not_null]}}]\n"));
    }
    files.push(("models/s.yml".into(), yaml));
    let borrowed: Vec<(&str, &str)> =
        files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let project = Written::new(&borrowed);
    let start = Instant::now();
    let manifest = project.manifest();
    let took = start.elapsed();
    assert_eq!(manifest.nodes.len(), 3000);
    // A debug build on a busy machine; a release build takes about a twentieth.
    assert!(took.as_secs() < 60, "took {took:?}");
}
