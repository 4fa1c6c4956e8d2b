//! Tables that each build adds to.

use insta::assert_snapshot;

use elt::lakehouse::BuildRequest;

use crate::test_lake::TestLake;

/// A source that is landed by hand, and a model that adds what is new.
fn people(config: &str) -> TestLake {
    let lake = TestLake::new();
    lake.write("models/s.yml", "sources: [{name: crm, tables: [{name: people}]}]");
    lake.write(
        "models/customers.sql",
        &format!(
            "
            {{{{ config(materialized='incremental', {config}) }}}}
            select id, city, _load_id as load from {{{{ source('crm', 'people') }}}}
            {{% if is_incremental() %}} where _load_id > (select max(load) from {{{{ this }}}}) {{% endif %}}
            "
        ),
    );
    lake
}

#[tokio::test]
async fn merge_updates_what_matches_and_adds_the_rest() {
    let lake = people("unique_key='id'");
    lake.land("crm.people", "a.csv", "id,city\n1,Oslo\n2,Rome").await;
    lake.build().await;
    lake.land("crm.people", "b.csv", "id,city\n2,Paris\n3,Lima\n,Nowhere").await;
    lake.build().await;
    lake.sql("select id, city from customers order by id").await;
    lake.sql("select id, city from customers version as of 0 order by id").await;
    lake.sql("select id, city from customers as of release 2 order by id").await;
    assert_snapshot!(lake.story(), @"
    land: crm.people  read 2 loaded 2 rescued 0 rejected 0  release 1
    build: customers created (2 added)
    build: release 2
    land: crm.people  read 3 loaded 3 rescued 0 rejected 0  release 3
    build: customers merged (2 added, 1 updated)
    build: release 4
    sql: 1 Oslo | 2 Paris | 3 Lima | - Nowhere
    sql: 1 Oslo | 2 Rome
    sql: 1 Oslo | 2 Rome
    ");
}

#[tokio::test]
async fn append_adds_and_a_full_refresh_begins_anew() {
    let lake = people("incremental_strategy='append'");
    lake.land("crm.people", "a.csv", "id,city\n1,Oslo").await;
    lake.build().await;
    lake.land("crm.people", "b.csv", "id,city\n1,Bergen").await;
    lake.build().await;
    lake.sql("select id, city from customers order by city").await;
    lake.write(
        "models/customers.sql",
        "{{ config(materialized='incremental') }} select id from {{ source('crm', 'people') }}",
    );
    lake.build_with(&BuildRequest { full_refresh: true, ..BuildRequest::default() }).await;
    lake.sql("select * from customers order by id").await;
    assert_snapshot!(lake.story(), @"
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0  release 1
    build: customers created (1 added)
    build: release 2
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0  release 3
    build: customers appended (1 added)
    build: release 4
    sql: 1 Bergen | 1 Oslo
    build: customers replaced (2 added)
    build: release 5
    sql: 1 | 1
    ");
}

#[tokio::test]
async fn a_merge_with_two_rows_of_one_key_is_refused_and_names_the_key() {
    let lake = people("unique_key='id'");
    lake.land("crm.people", "a.csv", "id,city\n1,Oslo").await;
    lake.build().await;
    lake.land("crm.people", "b.csv", "id,city\n7,Paris\n7,Lima").await;
    lake.build().await;
    lake.sql("select id, city from customers").await;
    assert_snapshot!(lake.story(), @"
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0  release 1
    build: customers created (1 added)
    build: release 2
    land: crm.people  read 2 loaded 2 rescued 0 rejected 0  release 3
    build: customers ERROR `customers` failed: two incoming rows for `main.customers` have the same key: id = 7  NOT PUBLISHED: it could not be built
    build: no release
    sql: 1 Oslo
    ");
}

#[tokio::test]
async fn a_new_column_is_left_out_refused_or_added_as_the_model_says() {
    let mut stories = String::new();
    for how in ["ignore", "fail", "append_new_columns"] {
        let lake = TestLake::new();
        let model = |columns: &str| {
            format!(
                "{{{{ config(materialized='incremental', unique_key='id', on_schema_change='{how}') }}}} select {columns}"
            )
        };
        lake.write("models/m.sql", &model("1 as id, 'a' as x"));
        lake.build().await;
        lake.write("models/m.sql", &model("2 as id, 'b' as x, cast('2026-01-01' as date) as since"));
        lake.build().await;
        lake.sql("select * from m order by id").await;
        stories.push_str(&format!("{how}\n{}", lake.story()));
    }
    assert_snapshot!(stories, @"
    ignore
    build: m created (1 added)
    build: release 1
    build: m merged (1 added)
    build: release 2
    sql: 1 a | 2 b
    fail
    build: m created (1 added)
    build: release 1
    build: m ERROR model `m`: Compilation Error: the source and target schemas are out of sync; the columns changed; new: since; missing: none
    `on_schema_change` is `fail`: run with `--full-refresh`, or set it to `append_new_columns`  NOT PUBLISHED: it could not be built
    build: no release
    sql: 1 a
    append_new_columns
    build: m created (1 added)
    build: release 1
    build: m merged (1 added)
    build: release 2
    sql: 1 a - | 2 b 2026-01-01
    ");
}

#[tokio::test]
async fn a_model_says_how_its_table_is_kept() {
    let lake = TestLake::on_disk();
    lake.write(
        "models/kept.sql",
        "
        {{ config(materialized='incremental', unique_key='id', write_mode='merge-on-read', partition_by='city',
                  tblproperties={'owner': 'me'}) }}
        select * from (values (1, 'Oslo'), (2, 'Rome')) as v (id, city)
        {% if is_incremental() %} where id = 2 union all select 3, 'Oslo' {% endif %}
        ",
    );
    lake.build().await;
    lake.build().await;
    lake.sql("select * from kept order by id").await;
    assert!(lake.table_folder("main.kept").join("city=Rome").is_dir());
    let hidden = std::fs::read_dir(lake.table_folder("main.kept")).unwrap();
    let hidden =
        hidden.flatten().filter(|entry| entry.file_name().to_string_lossy().ends_with(".bin")).count();
    assert_eq!(hidden, 0, "a file whose rows all go is not kept for their sake");
    let log = lake.table_folder("main.kept").join("_delta_log/00000000000000000000.json");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("\"elt.writeMode\":\"merge-on-read\"") && log.contains("\"owner\":\"me\""), "{log}");
    lake.write(
        "models/kept.sql",
        "{{ config(materialized='table', write_mode='sometimes') }} select 1 as id, 2 as city",
    );
    lake.build().await;
    assert_snapshot!(lake.story(), @"
    build: kept created (2 added)
    build: release 1
    build: kept merged (1 added, 1 updated)
    build: release 2
    sql: 1 Oslo | 2 Rome | 3 Oslo
    build: kept ERROR model `kept`: `sometimes` is not a write mode: write copy-on-write, merge-on-read or auto  NOT PUBLISHED: it could not be built
    build: no release
    ");
}

#[tokio::test]
async fn a_model_takes_in_what_changed_since_it_last_ran() {
    let lake = TestLake::new();
    lake.write("models/s.yml", "sources: [{name: crm, tables: [{name: people}]}]");
    lake.write(
        "models/arrived.sql",
        "{{ config(materialized='incremental', incremental_strategy='append') }}
        select id, city from table_changes({{ source('crm', 'people') }}) where _change_type = 'insert'",
    );
    lake.write(
        "models/moves.sql",
        "{{ config(materialized='incremental', incremental_strategy='append') }}
        select id, city, _change_type as did, _commit_version as at_version from table_changes({{ ref('arrived') }})",
    );
    lake.land("crm.people", "a.csv", "id,city\n1,Oslo\n2,Rome").await;
    lake.build().await;
    lake.land("crm.people", "b.csv", "id,city\n3,Lima").await;
    lake.land("crm.people", "c.csv", "id,city\n4,Bonn").await;
    lake.build().await;
    lake.sql("select * from arrived order by id").await;
    lake.sql("select * from moves order by id").await;
    // Nothing new, then a row that goes, then a build taken back.
    lake.build().await;
    lake.sql("delete from arrived where id = 2").await;
    lake.build().await;
    lake.sql("select * from moves order by id, did desc, at_version").await;
    lake.land("crm.people", "d.csv", "id,city\n5,Cairo").await;
    lake.build().await;
    lake.roll_back(None).await;
    lake.sql("select count(*) from arrived").await;
    lake.build().await;
    lake.sql("select * from moves order by id, did desc, at_version").await;
    lake.build_with(&BuildRequest { full_refresh: true, ..BuildRequest::default() }).await;
    lake.sql("select id, did from moves order by id, did desc, at_version").await;
    lake.sql("select * from table_changes(arrived)").await;
    assert_snapshot!(lake.story(), @"
    land: crm.people  read 2 loaded 2 rescued 0 rejected 0  release 1
    build: arrived created (2 added)
    build: moves created (2 added)
    build: release 2
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0  release 3
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0  release 4
    build: arrived appended (2 added)
    build: moves appended (2 added)
    build: release 5
    sql: 1 Oslo | 2 Rome | 3 Lima | 4 Bonn
    sql: 1 Oslo insert 0 | 2 Rome insert 0 | 3 Lima insert 1 | 4 Bonn insert 1
    build: arrived appended (no rows)
    build: moves appended (no rows)
    build: release 6
    sql: DELETE 0 0 1 7
    build: arrived appended (no rows)
    build: moves appended (1 added)
    build: release 8
    sql: 1 Oslo insert 0 | 2 Rome insert 0 | 2 Rome delete 3 | 3 Lima insert 1 | 4 Bonn insert 1
    land: crm.people  read 1 loaded 1 rescued 0 rejected 0  release 9
    build: arrived appended (1 added)
    build: moves appended (1 added)
    build: release 10
    rollback: release 11 (rollback to 9)
    sql: 3
    build: arrived appended (1 added)
    build: moves appended (3 added)
    build: release 12
    sql: 1 Oslo insert 0 | 2 Rome insert 0 | 2 Rome delete 3 | 3 Lima insert 1 | 4 Bonn insert 1 | 5 Cairo insert 5 | 5 Cairo insert 7 | 5 Cairo delete 6
    build: arrived replaced (5 added)
    build: moves replaced (5 added)
    build: release 13
    sql: 1 insert | 2 insert | 3 insert | 4 insert | 5 insert
    sql: from which version on are the changes of `main.arrived` to be told?
    ");
}

#[tokio::test]
async fn fields_come_into_structs_in_every_strategy() {
    for strategy in ["delete+insert", "merge", "append", "insert_overwrite"] {
        for change in ["append_new_columns", "sync_all_columns"] {
            let lake = TestLake::new();
            let model = |rows: &str| {
                format!(
                    "{{{{ config(materialized='incremental', unique_key='id', incremental_strategy='{strategy}', \
                     partition_by=['id'], merge_exclude_columns=['kept'], on_schema_change='{change}') }}}} {rows}"
                )
            };
            lake.write(
                "models/m.sql",
                &model("select 1 as id, named_struct('city', 'Oslo') as place, 'x' as kept union all select 2, named_struct('city', 'Rome'), 'y'"),
            );
            lake.build().await;
            lake.write(
                "models/m.sql",
                &model("select 2 as id, named_struct('zip', 'I-118', 'city', 'Roma') as place, 'z' as kept, 7 as more union all select 3, null, 'w', 8"),
            );
            lake.build().await;
            let seen = lake
                .rows("select id, place['city'] as city, place['zip'] as zip, more from m order by id, zip nulls first")
                .await;
            let expected = match strategy {
                "append" => "1 Oslo - - | 2 Rome - - | 2 Roma I-118 7 | 3 - - 8",
                _ => "1 Oslo - - | 2 Roma I-118 7 | 3 - - 8",
            };
            assert_eq!(seen, expected, "{strategy} {change}");
        }
    }
}

/// What a cast would cut is refused, by every strategy; `sync_all_columns` widens, inside structs too.
#[tokio::test]
async fn a_value_that_outgrew_its_column_is_never_cut() {
    let mut stories = String::new();
    for (strategy, how) in [
        ("delete+insert", "ignore"),
        ("delete+insert", "append_new_columns"),
        ("delete+insert", "fail"),
        ("delete+insert", "sync_all_columns"),
        ("merge", "ignore"),
        ("merge", "sync_all_columns"),
    ] {
        let lake = TestLake::new();
        let model = |columns: &str| {
            format!(
                "{{{{ config(materialized='incremental', unique_key='id', incremental_strategy='{strategy}', on_schema_change='{how}') }}}} select {columns}"
            )
        };
        lake.write("models/m.sql", &model("1 as id, 1 as v, {'a': 1} as s, date '2026-01-01' as d"));
        lake.build().await;
        lake.write(
            "models/m.sql",
            &model("2 as id, 4.5 as v, {'a': 4.5} as s, timestamp '2026-01-02 03:00:00' as d"),
        );
        lake.build().await;
        lake.sql("select * from m order by id").await;
        stories.push_str(&format!("{strategy} {how}\n{}", lake.story()));
    }
    assert_snapshot!(stories, @"
    delete+insert ignore
    build: m created (1 added)
    build: release 1
    build: m ERROR model `m`: a value of column `v` does not fit: it is double in the rows and bigint in the table; round or cast it in the query, set `on_schema_change: sync_all_columns`, or run with --full-refresh  NOT PUBLISHED: it could not be built
    build: no release
    sql: 1 1 {a: 1} 2026-01-01
    delete+insert append_new_columns
    build: m created (1 added)
    build: release 1
    build: m ERROR model `m`: a value of column `v` does not fit: it is double in the rows and bigint in the table; round or cast it in the query, set `on_schema_change: sync_all_columns`, or run with --full-refresh  NOT PUBLISHED: it could not be built
    build: no release
    sql: 1 1 {a: 1} 2026-01-01
    delete+insert fail
    build: m created (1 added)
    build: release 1
    build: m ERROR model `m`: a value of column `v` does not fit: it is double in the rows and bigint in the table; round or cast it in the query, set `on_schema_change: sync_all_columns`, or run with --full-refresh  NOT PUBLISHED: it could not be built
    build: no release
    sql: 1 1 {a: 1} 2026-01-01
    delete+insert sync_all_columns
    build: m created (1 added)
    build: release 1
    build: m rows replaced (1 added)
    build: release 2
    sql: 1 1.0 {a: 1.0} 2026-01-01T00:00:00 | 2 4.5 {a: 4.5} 2026-01-02T03:00:00
    merge ignore
    build: m created (1 added)
    build: release 1
    build: m ERROR model `m`: a value of column `v` does not fit: it is double in the rows and bigint in the table; round or cast it in the query, or run with --full-refresh  NOT PUBLISHED: it could not be built
    build: no release
    sql: 1 1 {a: 1} 2026-01-01
    merge sync_all_columns
    build: m created (1 added)
    build: release 1
    build: m merged (1 added)
    build: release 2
    sql: 1 1.0 {a: 1.0} 2026-01-01T00:00:00 | 2 4.5 {a: 4.5} 2026-01-02T03:00:00
    ");
}

#[tokio::test]
async fn conditions_of_a_delete_are_on_the_table() {
    let lake = TestLake::new();
    let model = |rows: &str, predicate: &str| {
        format!(
            "{{{{ config(materialized='incremental', unique_key='id', incremental_strategy='delete+insert', incremental_predicates=[\"{predicate}\"]) }}}} select * from (values {rows}) v(id, amount)"
        )
    };
    lake.write("models/m.sql", &model("(1, 50), (2, 500)", "amount > 100"));
    lake.build().await;
    lake.write("models/m.sql", &model("(1, 51), (2, 501)", "amount > 100"));
    lake.build().await;
    lake.sql("select * from m order by id, amount").await;
    lake.write("models/m.sql", &model("(2, 900)", "DBT_INTERNAL_SOURCE.amount > DBT_INTERNAL_DEST.amount"));
    lake.build().await;
    lake.sql("select * from m order by id, amount").await;
    assert_snapshot!(lake.story(), @"
    build: m created (2 added)
    build: release 1
    build: m rows replaced (2 added, 1 removed)
    build: release 2
    sql: 1 50 | 1 51 | 2 501
    build: m rows replaced (1 added, 1 removed)
    build: release 3
    sql: 1 50 | 1 51 | 2 900
    ");
}
