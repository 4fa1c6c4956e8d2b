//! What a role does not get to see, however it asks.

use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTables};
use elt::lakehouse::Role;
use elt::serve::ServeLimits;

use crate::serve::{Client, Served, ask, rows};
use crate::test_lake::{TestLake, rows_of};

/// Orders of two regions, with card numbers; a table that nobody is granted, and a view of it that the analyst may read.
async fn shop() -> (TestLake, Served) {
    let lake = TestLake::new();
    let table = |rows: &str| format!("{{{{ config(materialized='table') }}}} select * from (values {rows})");
    lake.write(
        "models/orders.sql",
        &format!(
            "{} as t (id, region, amount, card)",
            table("(1, 'EU', 10, 'visa-1'), (2, 'US', 777, 'amex-2'), (3, 'EU', 30, 'visa-3'), (4, null, 888, 'amex-4')")
        ),
    );
    lake.write(
        "models/salaries.sql",
        &format!("{} as t (name, salary)", table("('Ann', 424242), ('Bob', 5)")),
    );
    let view = |sql: &str| format!("{{{{ config(materialized='view') }}}} {sql}");
    lake.write("models/all_orders.sql", &view("select id, region, amount, card from {{ ref('orders') }}"));
    lake.write(
        "models/low_salaries.sql",
        &view("select name, salary from {{ ref('salaries') }} where salary < 100"),
    );
    lake.build().await;
    lake.write(
        "elt.yml",
        "
roles:
  analyst:
    grants:
      - select on main.orders
      - select on main.all_orders
      - select on main.low_salaries
      - all on schema box
    row_filters:
      main.orders: region = 'EU'
    masks:
      main.orders: {card: \"'****-' || right(card, 1)\"}
  auditor:
    grants:
      - select on schema elt
  own:
    grants:
      - select on main.orders
    row_filters:
      main.orders: card like current_user() || '%'
",
    );
    for (name, role) in
        [("ann", "analyst"), ("aud", "auditor"), ("visa", "own"), ("bob", "reads"), ("eve", "writes")]
    {
        lake.open().add_user(name, role, &format!("{name}'s own")).unwrap();
    }
    let served = Served::of(lake.open(), Role::Reads, ServeLimits::default()).await;
    (lake, served)
}

async fn user(served: &Served, name: &str) -> Client {
    served.user(name, &format!("{name}'s own")).await.unwrap()
}

#[tokio::test]
async fn a_role_sees_its_rows_and_its_columns() {
    let (_lake, served) = shop().await;
    let mut ann = user(&served, "ann").await;
    for (sql, found) in [
        ("select * from orders order by id", "1 EU 10 ****-1 | 3 EU 30 ****-3"),
        ("select * from all_orders order by id", "1 EU 10 ****-1 | 3 EU 30 ****-3"),
        ("select count(*), min(amount), max(amount) from orders", "2 10 30"),
        ("select count(*) from orders", "2"),
        ("select card from orders where card like '%visa%'", "no rows"),
        ("select id from orders where card = '****-3'", "3"),
        ("select id from orders where amount > 10 and id in (1, 3) limit 1", "3"),
        ("select id from orders version as of 0 order by id", "1 | 3"),
        ("select id from orders as of release 1 order by id", "1 | 3"),
        ("select id, _change_type from table_changes('orders', 0) order by id", "1 insert | 3 insert"),
        ("select o.id from orders o join all_orders a on o.id = a.id order by 1", "1 | 3"),
        ("select (select sum(amount) from orders)", "40"),
        (
            "with recursive r as (select 1 as n union all select n + 1 from r where n < (select count(*) from orders)) select count(*) from r",
            "2",
        ),
        ("select * from low_salaries", "Bob 5"),
        ("select current_user(), current_role()", "ann analyst"),
        ("select current_user", "ann"),
        ("show tables", "main all_orders view - - | main low_salaries view - - | main orders table 0 -"),
        ("show schemas", "main"),
        (
            "select table_name from information_schema.tables where table_schema = 'main' order by 1",
            "all_orders | low_salaries | orders",
        ),
        (
            "select distinct table_name from information_schema.columns where table_schema = 'main' order by 1",
            "all_orders | low_salaries | orders",
        ),
        (
            "select table_name, num_rows, view_definition from elt.tables where table_schema = 'main' order by 1",
            "all_orders - - | low_salaries - - | orders - -",
        ),
    ] {
        assert_eq!(rows(&mut ann, sql).await, found, "{sql}");
    }
    let mut visa = user(&served, "visa").await;
    assert_eq!(rows(&mut visa, "select id from orders order by id").await, "1 | 3", "by who asks");
    let mut bob = user(&served, "bob").await;
    assert_eq!(rows(&mut bob, "select count(*), max(card) from orders").await, "4 visa-3");
    assert_eq!(rows(&mut bob, "select max(salary) from salaries").await, "424242");
    served.stop().await;
}

/// Nothing that is hidden comes out, neither as rows nor in words, whatever is asked.
#[tokio::test]
async fn what_is_hidden_does_not_leak() {
    let (lake, served) = shop().await;
    let mut ann = user(&served, "ann").await;
    let hidden = ["amex", "visa", "777", "888", "US", "424242", "salaries where"];
    for sql in [
        // Conditions that fail on a hidden value, or tell of it.
        "select id from orders where 1 / (amount - 777) > 5",
        "select id from orders where region = 'EU' and 1 / (amount - 777) > 5",
        "select id from orders where cast(region as int) = 1",
        "select cast(card as int) from orders",
        "select id from orders order by cast(card as int)",
        "select id from orders o join (select 777 as a) x on 1 / (o.amount - x.a) > 5",
        "select * from low_salaries where 1 / (salary - 424242) > 2",
        "select * from low_salaries where cast(name as int) = 1",
        "select count(*) from orders where amount = 777",
        // Other ways to the same rows.
        "select * from salaries",
        "select * from main.salaries version as of 0",
        "select * from salaries as of release 1",
        "select * from table_changes('salaries', 0)",
        "select * from \"main\".\"orders@version=0\"",
        "select * from \"main\".\"orders@places\"",
        "select * from \"main\".\"orders#places\"",
        "select * from salary",
        "select * from salarie",
        "describe salaries",
        "describe detail orders",
        "describe detail salaries",
        "describe history orders",
        "show create view low_salaries",
        "show create table salaries",
        "show tblproperties salaries",
        "summarize orders",
        "summarize salaries",
        "explain select * from orders where id = 1",
        "explain verbose select * from orders where id = 1",
        "explain analyze select * from low_salaries",
        "explain (format json) select * from all_orders",
        "show views",
        "show releases",
        "select * from elt.files",
        "select * from elt.lineage",
        "select * from elt.table_versions",
        "select * from elt.tables",
        "select * from elt.columns",
        "select * from elt.query_history",
        "select * from information_schema.views",
        "select error(card) from orders",
        "select id from orders tablesample (50 percent)",
        "select input_file_name() from orders",
        "analyze table orders",
        "select current_setting('elt.lake')",
        "show all",
        "create table box.c shallow clone orders",
        "create table box.c deep clone salaries",
        "create table box.c as select * from salaries",
        "insert into orders values (9, 'US', 1, 'x')",
        "delete from orders where 1 / (amount - 777) > 5",
        "update orders set region = 'EU'",
        "merge into orders o using all_orders a on o.id = a.id when matched then delete",
        "truncate table orders",
        "drop table salaries",
        "drop table orders",
        "drop view low_salaries",
        "undrop table salaries",
        "restore table orders to version as of 0",
        "optimize orders",
        "vacuum orders",
        "vacuum salaries",
        "alter table orders rename column card to c",
        "grant select on main.salaries to role analyst",
        "create role boss",
        "copy orders to '/tmp/orders.csv'",
        "select * from '/etc/passwd'",
        "set datafusion.execution.target_partitions = 1",
    ] {
        let told = rows(&mut ann, sql).await;
        for word in hidden {
            assert!(!told.contains(word), "`{sql}` tells of `{word}`: {told}");
        }
        assert!(!told.contains("Internal"), "`{sql}`: {told}");
    }
    // Files are read by nobody here, those of the lake and of the project least of all.
    lake.write("card.csv", "card\nvisa-9\n");
    let (root, folder) =
        (lake.path().display().to_string(), lake.table_folder("main.orders").display().to_string());
    for who in ["ann", "bob", "eve"] {
        let mut client = user(&served, who).await;
        for path in [
            &format!("{root}/card.csv"),
            "card.csv",
            "elt.yml",
            &folder,
            &format!("{folder}/*.parquet"),
            "/etc/passwd",
        ] {
            let functions = [
                "read_csv",
                "read_json",
                "read_parquet",
                "read_files",
                "read_text",
                "read_blob",
                "glob",
                "parquet_metadata",
                "parquet_schema",
                "parquet_file_metadata",
                "parquet_kv_metadata",
            ];
            let by_function = functions.iter().map(|function| format!("select * from {function}('{path}')"));
            let others = [
                format!("select * from '{path}'"),
                format!("select * from parquet.`{path}`"),
                format!("select * from delta.`{path}`"),
                format!("describe '{path}'"),
                format!("describe select * from '{path}'"),
                format!("summarize '{path}'"),
                format!("explain select * from '{path}'"),
                format!("create view box.f as select * from '{path}'"),
                format!("copy into box.f from '{path}'"),
                format!("convert to delta parquet.`{path}`"),
            ];
            for sql in by_function.chain(others) {
                let told = rows(&mut client, &sql).await;
                let is_refused = ["does not have permission", "files cannot be ", "there is no function"]
                    .iter()
                    .any(|words| told.contains(words));
                assert!(is_refused, "{who}: `{sql}`: {told}");
            }
        }
    }
    // Whoever reads a view reads with the rights of who made it, from whom nothing would be hidden there.
    for view in [
        "create view box.v as select id, card from orders",
        "create view box.v as select * from all_orders",
        "create view box.v as select (select max(card) from orders) as card",
        "create or replace view box.v as select * from orders version as of 0",
    ] {
        let refused = rows(&mut ann, view).await;
        assert!(refused.contains("the role `analyst` cannot make the view `box.v`"), "{view}: {refused}");
    }
    assert!(
        rows(&mut ann, "create view box.fine as select * from low_salaries").await.contains("CREATE VIEW")
    );
    assert!(rows(&mut ann, "drop view box.fine").await.contains("DROP VIEW"));
    // What she makes of what she sees is what she sees.
    assert!(
        rows(&mut ann, "create table box.mine as select * from orders").await.starts_with("CREATE TABLE")
    );
    assert!(rows(&mut ann, "create table box.deep deep clone orders").await.starts_with("CREATE TABLE"));
    for table in ["mine", "deep"] {
        let found = rows_of(&lake.open(), &format!("select * from box.{table} order by id")).await;
        assert_eq!(found, "1 EU 10 ****-1 | 3 EU 30 ****-3", "{table}");
    }
    assert_eq!(
        rows(&mut ann, "insert into box.mine select * from orders").await.split(' ').next(),
        Some("INSERT")
    );
    // Nothing else has changed, and what everybody sees is still there.
    assert_eq!(rows_of(&lake.open(), "select count(*), sum(amount) from orders").await, "4 1705");
    assert_eq!(rows_of(&lake.open(), "select max(salary) from salaries").await, "424242");
    // Tools are told of what there is for her.
    let info = ann
        .get_tables(CommandGetTables { include_schema: true, ..CommandGetTables::default() })
        .await
        .unwrap();
    let tables = crate::serve::fetch(&mut ann, info).await.unwrap();
    let names = crate::test_lake::cells(&tables).iter().map(|row| row[2].clone()).collect::<Vec<_>>();
    assert_eq!(names, ["deep", "mine", "all_orders", "low_salaries", "orders"]);
    let info = ann.get_db_schemas(CommandGetDbSchemas::default()).await.unwrap();
    assert_eq!(crate::test_lake::cells(&crate::serve::fetch(&mut ann, info).await.unwrap()).len(), 2);
    served.stop().await;
}

#[tokio::test]
async fn a_policy_that_does_not_fit_hides_everything() {
    let (lake, served) = shop().await;
    let mut ann = user(&served, "ann").await;
    let text = std::fs::read_to_string(lake.path().join("elt.yml")).unwrap();
    for (was, is) in [
        ("region = 'EU'", "reigon = 'EU'"),
        ("region = 'EU'", "cast(card as int) = 1"),
        ("{card: ", "{crad: "),
        ("right(card, 1)", "nothing_such(card)"),
        ("region = 'EU'", "true) or (true"),
    ] {
        lake.write("elt.yml", &text.replacen(was, is, 1));
        let told = rows(&mut ann, "select * from orders").await;
        assert!(told.contains("cannot be read as the role `analyst` sees it"), "{is}: {told}");
        let told = rows(&mut ann, "select * from all_orders").await;
        assert!(told.contains("cannot be read as the role `analyst` sees it"), "{is}: {told}");
    }
    // An expression of its own that comments the rest away.
    lake.write("elt.yml", &text.replacen("region = 'EU'", "region = 'EU' -- only ours", 1));
    assert_eq!(rows(&mut ann, "select count(*) from orders").await, "2");
    // A policy may look elsewhere, at what the role itself cannot see.
    lake.write(
        "elt.yml",
        &text.replacen("region = 'EU'", "amount in (select 10 * salary - 40 from salaries)", 1),
    );
    assert_eq!(rows(&mut ann, "select id from orders").await, "1");
    let doubts = lake.open().doubts_about_roles().await.unwrap();
    assert_eq!(doubts, Vec::<String>::new());
    lake.write("elt.yml", &text.replace("main.orders: {card", "main.oders: {card"));
    let doubts = lake.open().doubts_about_roles().await.unwrap();
    assert_eq!(
        doubts,
        [
            "the role `analyst` has a row filter or masks for `main.oders`, and there is no such table: they hide nothing"
        ]
    );
    served.stop().await;
}

#[tokio::test]
async fn rights_are_given_and_taken_in_one_place_and_hold_at_once() {
    let (lake, served) = shop().await;
    let mut ann = user(&served, "ann").await;
    let lakehouse = lake.open();
    assert!(rows(&mut ann, "select * from salaries").await.contains("there is no table"));
    assert_eq!(rows_of(&lakehouse, "grant select on salaries to role analyst").await, "GRANT 1 to analyst");
    assert_eq!(rows(&mut ann, "select count(*) from salaries").await, "2", "in a session that is open");
    assert_eq!(rows_of(&lakehouse, "grant select on salaries to role analyst").await, "GRANT 0 to analyst");
    let shown = rows_of(&lakehouse, "show grants on salaries").await;
    assert_eq!(shown, "analyst select table main.salaries ann");
    assert_eq!(rows(&mut ann, "show grants on salaries").await, "analyst select table main.salaries ");
    assert_eq!(
        rows_of(&lakehouse, "revoke select on salaries from role analyst").await,
        "REVOKE 1 from analyst"
    );
    assert!(rows(&mut ann, "select * from salaries").await.contains("there is no table"));
    assert_eq!(rows_of(&lakehouse, "create role intern").await, "CREATE ROLE intern");
    assert_eq!(rows_of(&lakehouse, "grant all on schema main to intern").await, "GRANT 2 to intern");
    assert_eq!(rows_of(&lakehouse, "grant all on schema to_come to intern").await, "GRANT 2 to intern");
    assert_eq!(rows_of(&lakehouse, "revoke all on schema to_come from intern").await, "REVOKE 2 from intern");
    assert_eq!(
        rows_of(&lakehouse, "show grants to role intern").await,
        "intern select schema main  | intern modify schema main "
    );
    for (sql, word) in [
        ("grant select on salaris to role analyst", "did you mean `salaries`"),
        ("grant select on salaries to role analist", "did you mean `analyst`"),
        ("grant select on salaries to role reads", "is built in"),
        ("grant insert on salaries to role analyst", "`modify` is the right to all of it"),
        ("revoke select on salaries from role analyst", "has no `select on table main.salaries`"),
        ("create role analyst", "there is a role `analyst` already"),
    ] {
        let session = lakehouse.session().await.unwrap();
        let error =
            elt::base::Error::from(Box::pin(lakehouse.execute(&session, sql)).await.map(|_| ()).unwrap_err());
        let told: Vec<String> = error.diagnostics().iter().map(|one| format!("{one:?}")).collect();
        assert!(told.join(" ").contains(word), "{sql}: {told:?}");
    }
    // Whoever is no user any more is not heard any more; nor is whoever was given another password.
    let text = std::fs::read_to_string(lake.path().join("elt.yml")).unwrap();
    let without = text.replace("  ann:\n", "  anna:\n");
    lake.write("elt.yml", &without);
    let told = rows(&mut ann, "select 1").await;
    assert!(told.contains("`ann` is no user any more"), "{told}");
    // What is wrong in the file does not shut everybody out, nor let anybody in.
    let mut bob = user(&served, "bob").await;
    lake.write("elt.yml", "users: [");
    assert_eq!(rows(&mut bob, "select 1").await, "1");
    served.stop().await;
}

#[tokio::test]
async fn who_asked_what_is_told_to_those_who_may_know() {
    let mut lake = TestLake::new();
    let history = lake.path().join("history");
    lake.set_env("ELT_QUERY_HISTORY", &history.display().to_string());
    lake.write("models/t.sql", "{{ config(materialized='table') }} select 1 as a");
    lake.build().await;
    lake.write("elt.yml", "roles:\n  auditor:\n    grants:\n      - select on schema elt\n");
    for (name, role) in [("bob", "reads"), ("eve", "reads"), ("aud", "auditor")] {
        lake.open().add_user(name, role, &format!("{name}'s own")).unwrap();
    }
    let served = Served::of(lake.open(), Role::Reads, ServeLimits::default()).await;
    let (mut bob, mut eve, mut aud) =
        (user(&served, "bob").await, user(&served, "eve").await, user(&served, "aud").await);
    rows(&mut bob, "select 'mine'").await;
    rows(&mut eve, "delete from t").await;
    rows(&mut eve, "select * from nowhere").await;
    ask(&mut eve, "select 2").await.unwrap();
    let sql = "select user_name, application, status, statement_text from elt.query_history where statement_text not like '%query_history%' order by started_at";
    assert_eq!(rows(&mut bob, sql).await, "bob flight succeeded select 'mine'");
    assert_eq!(
        rows(&mut aud, sql).await,
        "bob flight succeeded select 'mine' | eve flight refused delete from t | eve flight failed select * from nowhere | eve flight succeeded select 2"
    );
    assert!(rows(&mut aud, "select * from t").await.contains("there is no table"));
    served.stop().await;
}

#[tokio::test]
async fn a_view_from_before_its_maker_saw_less_is_named_by_the_doctor() {
    let (lake, served) = shop().await;
    let written = std::fs::read_to_string(lake.path().join("elt.yml")).unwrap();
    let open = written
        .replace("main.orders: region = 'EU'", "")
        .replace("main.orders: {card: \"'****-' || right(card, 1)\"}", "");
    lake.write("elt.yml", &open);
    let mut ann = user(&served, "ann").await;
    assert_eq!(
        rows(&mut ann, "create view box.mine as select id, card from orders").await,
        "CREATE VIEW 0 0 0 2"
    );
    lake.write("elt.yml", &written);
    let findings = Box::pin(lake.open().examine()).await.unwrap();
    let told = findings.iter().find(|finding| finding.check == "shown_by_view").expect("it is named");
    assert_eq!(told.of, ["box.mine: made by `ann`, and `analyst` sees `main.orders` in part"]);
    // What is kept from whoever reads stays so; whoever it is not kept from sees what its maker does not.
    let mut ann = user(&served, "ann").await;
    assert_eq!(rows(&mut ann, "select count(*) from box.mine").await, "2");
    let mut bob = user(&served, "bob").await;
    assert_eq!(rows(&mut bob, "select count(*) from box.mine").await, "4");
    served.stop().await;
}
