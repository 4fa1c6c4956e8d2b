//! What a model, a view or a source expects of its rows, and what a table refuses to hold.

use insta::assert_snapshot;

use elt::lakehouse::BuildRequest;

use crate::test_lake::TestLake;

#[tokio::test]
async fn constraints_of_a_contract_are_rules_of_the_table() {
    let lake = TestLake::new();
    lake.write(
        "models/s.yml",
        "
        models:
          - name: orders
            config: {contract: {enforced: true}}
            constraints:
              - {type: check, name: paid, expression: amount > 0}
              - {type: primary_key, columns: [id], warn_unenforced: false}
            columns:
              - {name: id, data_type: bigint, constraints: [{type: not_null}]}
              - {name: amount, data_type: bigint}
          - name: loose
            columns: [{name: id, constraints: [{type: not_null}]}]
        ",
    );
    lake.write("models/orders.sql", "{{ config(materialized='table') }} select 1 as id, 5 as amount");
    lake.write("models/loose.sql", "select null as id");
    let built = lake.build().await;
    let warned: Vec<&str> = built.warnings.iter().map(|warning| warning.message()).collect();
    assert_snapshot!(warned.join("\n"), @"constraints are rules of the table only if the model's contract is enforced");
    lake.write("models/orders.sql", "{{ config(materialized='table') }} select 2 as id, -5 as amount");
    lake.build().await;
    lake.write(
        "models/orders.sql",
        "{{ config(materialized='table') }} select cast(null as bigint) as id, 5 as amount",
    );
    lake.build().await;
    lake.note("what was there is there still");
    lake.sql("select * from orders").await;
    lake.write("models/orders.sql", "{{ config(materialized='table') }} select 3 as id, 5 as amount");
    lake.write(
        "models/s.yml",
        "
        models:
          - name: orders
            columns: [{name: id}, {name: amount}]
        ",
    );
    lake.build().await;
    lake.note("the rules are gone with the contract");
    lake.write(
        "models/orders.sql",
        "{{ config(materialized='table') }} select cast(null as bigint) as id, -5 as amount",
    );
    lake.build().await;
    assert_snapshot!(lake.story(), @r"
    build: loose view (no rows)
    build: orders created (1 added)
    build: release 1
    build: loose view (no rows)  NOT PUBLISHED: `orders` failed
    build: orders ERROR `orders` failed: a row for `main.orders` breaks the constraint `paid`, CHECK (amount > 0): id = 2, amount = -5  NOT PUBLISHED: it could not be built
    build: no release
    build: loose view (no rows)  NOT PUBLISHED: `orders` failed
    build: orders ERROR `orders` failed: a row for `main.orders` has no `id`, which is NOT NULL: id = null, amount = 5  NOT PUBLISHED: it could not be built
    build: no release
    what was there is there still
    sql: 1 5
    build: loose view (no rows)
    build: orders replaced (1 added)
    build: release 2
    the rules are gone with the contract
    build: loose view (no rows)
    build: orders replaced (1 added)
    build: release 3
    ");
}

#[tokio::test]
async fn a_constraint_that_cannot_be_kept_is_a_mistake() {
    let lake = TestLake::new();
    lake.write(
        "models/s.yml",
        "
        models:
          - name: m
            config: {contract: {enforced: true}, materialized: table}
            constraints: [{type: not_null}, {type: check}, {type: custom, expression: x}, {type: chek, expression: x}]
            columns: [{name: id, data_type: int}]
        ",
    );
    lake.write("models/m.sql", "select 1 as id");
    lake.try_build(&BuildRequest::default()).await.unwrap_err();
    assert_snapshot!(lake.story(), @r"
    build: which columns are never null?
    a `check` has an `expression`
    not supported: a constraint of the type `custom`, because it is text for another engine
    `chek` is no type of a constraint
    ");
}

#[tokio::test]
async fn a_view_leaves_out_what_it_does_not_expect_whenever_it_is_read() {
    let lake = TestLake::new();
    lake.land("crm.people", "people.csv", "id,age\n1,30\n2,-1\n3,200\n").await;
    lake.write(
        "models/s.yml",
        "
        sources: [{name: crm, tables: [{name: people}]}]
        models:
          - name: grown
            expectations:
              - {name: born, expect: age >= 0, on_violation: quarantine}
              - {name: mortal, expect: age < 150, on_violation: drop}
              - {name: adult, expect: age >= 18}
        ",
    );
    lake.write("models/grown.sql", "select id, age from {{ source('crm', 'people') }}");
    lake.write("models/ages.sql", "select id from {{ ref('grown') }}");
    lake.build().await;
    lake.sql("select * from grown order by id").await;
    lake.sql("select id, _expectations from grown__quarantine").await;
    lake.sql("select name, status, failures, message from elt.test_results order by name").await;
    lake.land("crm.people", "more.csv", "id,age\n4,-7\n5,40\n").await;
    lake.sql("select id from ages order by id").await;
    lake.sql("select id from grown__quarantine order by id").await;
    lake.write("models/ages.sql", "{{ config(expectations=[{'name': 'few', 'expect': 'id < 3', 'on_violation': 'fail'}]) }} select id from {{ ref('grown') }}");
    lake.build().await;
    assert_snapshot!(lake.story(), @"
    land: crm.people  read 3 loaded 3 rescued 0 rejected 0  release 1
    build: grown view (no rows)
    build: ages view (no rows)
    build: release 2
    sql: 1 30
    sql: 2 born
    sql: adult warn 1 1 of 3 rows, kept | born warn 1 1 of 3 rows, kept apart | mortal warn 1 1 of 3 rows, dropped
    land: crm.people  read 2 loaded 2 rescued 0 rejected 0  release 3
    sql: 1 | 5
    sql: 2 | 4
    build: grown view (no rows)  NOT PUBLISHED: the view `ages` would show it
    build: ages ERROR model `ages`: 1 of 2 rows break the expectation `few`  NOT PUBLISHED: it could not be built
    build: no release
    ");
}

#[tokio::test]
async fn a_source_tells_of_rows_that_it_does_not_expect() {
    let lake = TestLake::new();
    lake.write("inbox/people.csv", "id,age\n1,30\n2,-1\n");
    let source = |on_violation: &str| {
        format!(
            "
            sources:
              - name: crm
                tables:
                  - name: people
                    config: {{location: inbox/*.csv}}
                    expectations: [{{name: born, expect: age >= 0, on_violation: {on_violation}}}]
            "
        )
    };
    lake.write("models/s.yml", &source("warn"));
    lake.write("models/m.sql", "select id from {{ source('crm', 'people') }}");
    lake.build().await;
    lake.write("models/s.yml", &source("fail"));
    lake.write("inbox/more.csv", "id,age\n3,3\n");
    lake.build().await;
    lake.note("what broke it is not published");
    lake.sql("select id from m order by id").await;
    lake.write("models/s.yml", &source("drop"));
    lake.try_build(&BuildRequest::default()).await.unwrap_err();
    assert_snapshot!(lake.story(), @r"
    build: landed crm.people  read 2 loaded 2 rescued 0 rejected 0
    build: expectation_crm_people_born warn 1 row
    build: m view (no rows)
    build: release 1
    build: landed crm.people  read 1 loaded 1 rescued 0 rejected 0, known
    build: expectation_crm_people_born FAIL 1 row inbox/people.csv:3
    build: m skipped, `expectation_crm_people_born` failed  NOT PUBLISHED: `expectation_crm_people_born` failed
    build: no release
    what broke it is not published
    sql: 1 | 2
    build: not supported: `on_violation: drop` of a source, because landed rows stay as they came
    ");
}

#[tokio::test]
async fn a_batch_that_is_built_again_replaces_its_quarantine() {
    let lake = TestLake::new();
    lake.write(
        "models/events.sql",
        "{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at', begin='2013-01-01',
                   batch_size='year', lookback=30,
                   expectations=[{'name': 'known', 'expect': 'id > 0', 'on_violation': 'quarantine'}]) }}
        select * from (values (1, timestamp '2013-02-01'), (-1, timestamp '2013-03-01'), (-2, timestamp '2013-04-01')) t(id, at)
        where at >= '{{ model.batch.event_time_start }}' and at < '{{ model.batch.event_time_end }}'",
    );
    lake.build().await;
    lake.build().await;
    lake.sql("select id from events order by id").await;
    lake.sql("select id from events__quarantine order by id").await;
    assert_snapshot!(lake.story(), @r"
    build: events created (1 added)
    build: release 1
    build: events rows replaced (1 added, 1 removed)
    build: release 2
    sql: 1
    sql: -2 | -1
    ");
}

#[tokio::test]
async fn a_materialized_view_is_a_table_that_minds_its_layout() {
    let lake = TestLake::new();
    let model = |more: &str, n: u32| {
        format!("{{{{ config(materialized='materialized_view'{more}) }}}} select 'a' as part, {n} as n")
    };
    lake.write("models/m.sql", &model("", 1));
    lake.build().await;
    lake.write("models/m.sql", &model(", partition_by=['part'], on_configuration_change='fail'", 2));
    lake.build().await;
    lake.write("models/m.sql", &model(", partition_by=['part'], on_configuration_change='continue'", 3));
    lake.build().await;
    lake.sql("select n from m").await;
    lake.write("models/m.sql", &model(", partition_by=['part'], on_configuration_change='apply'", 4));
    lake.build().await;
    lake.sql("select n from m").await;
    assert_snapshot!(lake.story(), @r"
    build: m created (1 added)
    build: release 1
    build: m ERROR model `m`: its layout has changed (partition_by), and `on_configuration_change` is `fail`; set it to `apply`, or take the change back  NOT PUBLISHED: it could not be built
    build: no release
    build: m replaced (1 added)
    build: release 2
    sql: 3
    build: m replaced (1 added)
    build: release 3
    sql: 4
    ");
}

#[tokio::test]
async fn a_project_may_have_a_strategy_of_its_own() {
    let lake = TestLake::new();
    lake.write(
        "macros/strategy.sql",
        "
        {% macro get_incremental_newest_sql(arg_dict) %}
          delete from {{ arg_dict['target_relation'] }}
          where {{ arg_dict['unique_key'] }} in (select {{ arg_dict['unique_key'] }} from {{ arg_dict['temp_relation'] }});
          insert into {{ arg_dict['target_relation'] }}
          select {% for column in arg_dict['dest_columns'] %}{{ column.name }}{{ ', ' if not loop.last }}{% endfor %}
          from {{ arg_dict['temp_relation'] }}
        {% endmacro %}
        {% macro get_incremental_elsewhere_sql(arg_dict) %}insert into other select 1 as id{% endmacro %}
        {% materialization lookup, default %}{% endmaterialization %}
        ",
    );
    let model = |strategy: &str, n: u32| {
        format!(
            "{{{{ config(materialized='incremental', incremental_strategy='{strategy}', unique_key='id') }}}}
            select {n} as id, '{n}' as what union all select 9 as id, '{n}' as what"
        )
    };
    lake.write("models/m.sql", &model("newest", 1));
    lake.build().await;
    lake.write("models/m.sql", &model("newest", 2));
    lake.build().await;
    lake.sql("select * from m order by id").await;
    lake.write("models/m.sql", &model("elsewhere", 3));
    lake.build().await;
    for strategy in ["nowhere", "newst"] {
        lake.write("models/m.sql", &model(strategy, 3));
        lake.try_build(&BuildRequest::default()).await.unwrap_err();
    }
    for how in ["lookup", "by_day", "tabel"] {
        lake.write("models/m.sql", &format!("{{{{ config(materialized='{how}') }}}} select 1 as id"));
        lake.write(
            "macros/by_day.sql",
            "{% materialization by_day, adapter='other' %}{{ return({}) }}{% endmaterialization %}
            {% materialization snapshot, default %}{% endmaterialization %}
            {% materialization view, adapter='snowflake' %}{% endmaterialization %}",
        );
        lake.try_build(&BuildRequest::default()).await.unwrap_err();
    }
    // One that nothing is made by, or for another engine, is no matter; one in the place of dbt's is.
    lake.write("models/m.sql", "select 1 as id");
    lake.build().await;
    lake.write("macros/view.sql", "{% materialization view, default %}{% endmaterialization %}");
    lake.try_build(&BuildRequest::default()).await.unwrap_err();
    assert_snapshot!(lake.story(), @r#"
    build: m created (2 added)
    build: release 1
    build: m rows replaced (2 added, 1 removed)
    build: release 2
    sql: 1 1 | 2 2 | 9 2
    build: m ERROR model `m`: the statements of `get_incremental_elsewhere_sql` failed: there is no table `main.other`  NOT PUBLISHED: it could not be built
    build: no release
    build: dbt could not find an incremental strategy macro with the name "get_incremental_nowhere_sql"
    build: dbt could not find an incremental strategy macro with the name "get_incremental_newst_sql"
    build: not supported: the materialization `lookup`, defined at macros/strategy.sql:9:20
    build: not supported: the materialization `by_day`, defined at macros/by_day.sql:1:20
    build: `tabel` is no value of `materialized`
    build: m view (no rows)
    build: release 3
    build: not supported: a materialization of the project's own in the place of `view`, by which `m` would be made
    "#);
}

#[tokio::test]
async fn a_header_sets_what_a_session_can_set() {
    let lake = TestLake::new();
    lake.write(
        "models/m.sql",
        "{{ config(materialized='table') }}
        {% call set_sql_header(config) %}set datafusion.sql_parser.parse_float_as_decimal = true{% endcall %}
        select 1.50 as amount",
    );
    lake.write(
        "models/bad.sql",
        "{{ config(materialized='table', sql_header='create table t as select 1 as x') }} select 1 as x",
    );
    lake.build_passing().await;
    lake.sql("select * from m").await;
    assert_snapshot!(lake.story(), @r"
    build: bad ERROR model `bad`: not supported: `create table t as select 1 as x` in `sql_header`, because a model is one query; only `set name = value` can come before it, instead write a macro or a CTE  NOT PUBLISHED: it could not be built
    build: m created (1 added)
    build: release 1
    sql: 1.50
    ");
}

#[tokio::test]
async fn grants_are_held_against_the_users_of_the_lake() {
    let lake = TestLake::new();
    lake.write(
        "models/m.sql",
        "{{ config(grants={'select': ['ann', 'bob'], 'insert': 'bob'}) }} select 1 as id",
    );
    let warned = async |users: &str| {
        lake.write("elt.yml", users);
        let built = lake.try_build(&BuildRequest::default()).await.unwrap();
        let told = built
            .warnings
            .iter()
            .map(|one| format!("{} ({})", one.message(), one.help_text().unwrap_or_default()));
        told.collect::<Vec<_>>().join("\n")
    };
    let user = |name: &str, role: &str| format!("  {name}: {{role: {role}, password: $argon2id$x}}\n");
    assert_snapshot!(warned("").await, @r#"
    `select` is granted to `ann`, `bob`, and the lake has no users (who may read a lake is said by the rights on its folder or bucket, and by the users of `elt serve`: `elt user add NAME` adds one)
    `insert` is granted to `bob`, and the lake has no users (who may read a lake is said by the rights on its folder or bucket, and by the users of `elt serve`: `elt user add NAME` adds one)
    "#);
    assert_snapshot!(warned(&format!("users:\n{}{}", user("ann", "reads"), user("bob", "writes"))).await, @"");
    assert_snapshot!(warned(&format!("users:\n{}{}", user("carl", "writes"), user("bob", "reads"))).await, @r#"
    `select` is granted to `ann`, who is no user of the lake (add the user: `elt user add ann`)
    `select` is granted to `ann`, `bob`, and `carl` may do it too (who reads a lake reads all of it; name them too, or give them a role of their own in elt.yml: `grant select on … to role …`)
    `insert` is granted to `bob`, who only reads (give `bob` the role `writes` in elt.yml)
    `insert` is granted to `bob`, and `carl` may do it too (who writes a lake writes all of it; name them too, or give them a role of their own in elt.yml: `grant select on … to role …`)
    "#);
    lake.write("models/m.sql", "{{ config(grants={'selct': ['ann']}) }} select 1 as id");
    assert_snapshot!(warned("").await, @"`selct` is no privilege of elt: it is noted in the manifest (did you mean `select`?)");
    lake.write("models/m.sql", "{{ config(grants=['ann']) }} select 1 as id");
    let error = lake.try_build(&BuildRequest::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "`grants` has privileges, each with a list of who has it");
}

#[tokio::test]
async fn templates_know_what_is_selected() {
    let lake = TestLake::new();
    lake.write("models/m.sql", "select {{ selected_resources | length }} as n, '{{ selected_resources | sort | join(' ') }}' as what");
    lake.write("models/other.sql", "select 1 as id");
    lake.build().await;
    lake.sql("select * from m").await;
    lake.build_with(&BuildRequest { select: vec!["m".parse().unwrap()], ..BuildRequest::default() }).await;
    lake.sql("select * from m").await;
    assert_snapshot!(lake.story(), @r#"
    build: m view (no rows)
    build: other view (no rows)
    build: release 1
    sql: 2 model.test.m model.test.other
    build: m view (no rows)
    build: release 2
    sql: 1 model.test.m
    "#);
}
