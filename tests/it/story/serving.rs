//! What the endpoint tells tools, keeps for them, and does not let them do.

use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys,
};
use elt::lakehouse::{Role, RoleLimits};
use elt::serve::{ServeLimits, ServeOptions, Server, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::serve::{Served, TOKEN, ask, fetch, rows};
use crate::test_lake::{TestLake, cells};

async fn told(client: &mut crate::serve::Client, info: arrow_flight::FlightInfo) -> String {
    let batches = fetch(client, info).await.unwrap();
    cells(&batches).iter().map(|row| row.join(" ")).collect::<Vec<_>>().join(" | ")
}

#[tokio::test]
async fn tools_are_told_the_keys_that_the_project_declares() {
    let lake = TestLake::new();
    let table = |sql: &str| format!("{{{{ config(materialized='table') }}}} {sql}");
    lake.write("models/customers.sql", &table("select 1 as id, 'Ann' as name"));
    lake.write("models/orders.sql", &table("select 1 as id, 1 as customer_id, 1 as line"));
    lake.write("models/lines.sql", &table("select 1 as order_id, 1 as line"));
    lake.write(
        "models/schema.yml",
        "
models:
  - name: customers
    columns:
      - {name: id, data_tests: [unique, not_null]}
  - name: orders
    constraints:
      - {type: primary_key, columns: [id, line], name: pk_of_orders, warn_unenforced: false}
    columns:
      - name: customer_id
        data_tests:
          - relationships: {to: ref('customers'), field: id}
  - name: lines
    constraints:
      - {type: foreign_key, columns: [order_id, line], to: ref('orders'), to_columns: [id, line], warn_unenforced: false}
",
    );
    lake.build().await;
    let served = Served::of(lake.open(), Role::Reads, ServeLimits::default()).await;
    let mut client = served.client().await;
    let schema = || Some("main".to_owned());
    let primary =
        |table: &str| CommandGetPrimaryKeys { catalog: None, db_schema: schema(), table: table.to_owned() };
    let info = client.get_primary_keys(primary("customers")).await.unwrap();
    assert_eq!(told(&mut client, info).await, "elt main customers id pk_customers 1");
    let info = client.get_primary_keys(primary("orders")).await.unwrap();
    assert_eq!(
        told(&mut client, info).await,
        "elt main orders id pk_of_orders 1 | elt main orders line pk_of_orders 2"
    );
    let info = client.get_primary_keys(primary("nothing")).await.unwrap();
    assert_eq!(told(&mut client, info).await, "");
    let asked = CommandGetImportedKeys { catalog: None, db_schema: schema(), table: "orders".to_owned() };
    let info = client.get_imported_keys(asked).await.unwrap();
    let of_orders =
        "elt main customers id elt main orders customer_id 1 fk_orders_customer_id pk_customers 3 3";
    assert_eq!(told(&mut client, info).await, of_orders);
    let asked = CommandGetExportedKeys { catalog: None, db_schema: schema(), table: "customers".to_owned() };
    let info = client.get_exported_keys(asked).await.unwrap();
    assert_eq!(told(&mut client, info).await, of_orders);
    let asked = CommandGetCrossReference {
        pk_db_schema: schema(),
        pk_table: "orders".to_owned(),
        fk_db_schema: schema(),
        fk_table: "lines".to_owned(),
        ..CommandGetCrossReference::default()
    };
    let info = client.get_cross_reference(asked).await.unwrap();
    assert_eq!(
        told(&mut client, info).await,
        "elt main orders id elt main lines order_id 1 fk_lines_order_id_line pk_of_orders 3 3 | elt main orders line elt main lines line 2 fk_lines_order_id_line pk_of_orders 3 3"
    );
    served.stop().await;
}

/// What a watcher reads.
async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn number(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

#[tokio::test]
async fn an_answer_is_kept_for_as_long_as_its_release_is_the_newest() {
    let lake = TestLake::new();
    lake.write("models/t.sql", "{{ config(materialized='table') }} select 1 as a");
    lake.build().await;
    let any = "127.0.0.1:0".parse().unwrap();
    let options = ServeOptions {
        listen: any,
        token: Token::Given(TOKEN.to_owned()),
        role: Role::Writes,
        tls: None,
        limits: ServeLimits::default(),
        http: Some(any),
        postgres: None,
    };
    let server = Server::bind(lake.open(), options).await.unwrap();
    let (address, http) = (server.address(), server.http_address().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async { drop(stopped.await) }, std::future::pending()));
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut client = arrow_flight::sql::client::FlightSqlServiceClient::new(channel);
    client.handshake("ann", TOKEN).await.unwrap();
    assert!(get(http, "/healthz").await.ends_with("ok\n"));
    assert!(get(http, "/readyz").await.ends_with("ready\n"));
    for _ in 0..3 {
        assert_eq!(rows(&mut client, "select sum(a) from t").await, "1");
    }
    let hits = number(&get(http, "/metrics").await, "elt_cache_hits_total");
    assert!((hits - 2.0).abs() < 0.1, "{hits}");
    // Another release is another answer; what asks for the time is not kept.
    client.execute_update("insert into t values (41)".to_owned(), None).await.unwrap();
    assert_eq!(rows(&mut client, "select sum(a) from t").await, "42");
    let (one, other) =
        (rows(&mut client, "select random()").await, rows(&mut client, "select random()").await);
    assert_ne!(one, other);
    ask(&mut client, "select count(*) from elt.releases").await.unwrap();
    ask(&mut client, "select count(*) from elt.releases").await.unwrap();
    let metrics = get(http, "/metrics").await;
    assert!((number(&metrics, "elt_cache_hits_total") - 2.0).abs() < 0.1, "{metrics}");
    assert!(number(&metrics, "elt_release") > 1.5 && number(&metrics, "elt_sessions") > 0.5, "{metrics}");
    for (path, status) in [("/nothing", "404"), ("/metrics?x", "200")] {
        assert!(get(http, path).await.starts_with(&format!("HTTP/1.1 {status}")), "{path}");
    }
    drop(stop);
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_turns_are_all_taken_for_long_is_not_ready() {
    let lake = TestLake::new();
    let any = "127.0.0.1:0".parse().unwrap();
    let limits =
        ServeLimits { running: 1, taken: std::time::Duration::from_millis(300), ..ServeLimits::default() };
    let options = ServeOptions {
        listen: any,
        token: Token::Given(TOKEN.to_owned()),
        role: Role::Reads,
        tls: None,
        limits,
        http: Some(any),
        postgres: None,
    };
    let server = Server::bind(lake.open(), options).await.unwrap();
    let (address, http) = (server.address(), server.http_address().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async { drop(stopped.await) }, std::future::pending()));
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"));
    let mut client =
        arrow_flight::sql::client::FlightSqlServiceClient::new(channel.unwrap().connect().await.unwrap());
    client.handshake("ann", TOKEN).await.unwrap();
    assert!(get(http, "/readyz").await.ends_with("ready\n"));
    let long =
        "select count(*) from range(1000000) a cross join range(1000000) b where a.value + b.value < 0";
    let info = client.execute(long.to_owned(), None).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut asking = client.clone();
    let reading = tokio::spawn(async move {
        let mut rows = asking.do_get(ticket).await.unwrap();
        drop(futures::StreamExt::next(&mut rows).await);
    });
    let mut told = String::new();
    for _ in 0..50 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        told = get(http, "/readyz").await;
        if told.starts_with("HTTP/1.1 503") {
            break;
        }
    }
    assert!(told.contains("1 statements run, and none ended"), "{told}");
    reading.abort();
    for _ in 0..50 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        told = get(http, "/readyz").await;
        if told.ends_with("ready\n") {
            break;
        }
    }
    assert!(told.ends_with("ready\n"), "{told}");
    drop(stop);
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_for_a_query_is_refused_before_it_is_made() {
    let lake = TestLake::new();
    let per_user = RoleLimits { memory: Some(64 << 20), ..RoleLimits::default() };
    let served =
        Served::of(lake.open(), Role::Reads, ServeLimits { per_user, ..ServeLimits::default() }).await;
    let mut client = served.client().await;
    for (sql, words) in [
        ("select sum(length(repeat('x', 20000) || value::varchar)) from range(8000)", "64 MiB"),
        ("select sum(length(repeat('x', 5000000) || value::varchar)) from range(3000)", "2 GiB"),
        ("select sum(length(upper(repeat('x', 5000000)) || value::varchar)) from range(3000)", "2 GiB"),
        (
            "select array_length(list_transform(a, x -> array_length(a))) from (select range(100000) as a)",
            "64 MiB",
        ),
        ("select array_length(range(60000000))", "64 MiB"),
        ("select jaro_similarity(repeat('ab', 50000), repeat('ba', 50000))", "too long for it"),
    ] {
        let told = rows(&mut client, sql).await;
        assert!(told.contains(words), "{sql}: {told}");
    }
    for (sql, found) in [
        ("select length(repeat('x', 5000000) || 'y')", "5000001"),
        ("select length(t) from (values (repeat('x', 5000000))) v(t)", "5000000"),
        ("select list_grade_up([30, 10, 20])", "[2, 3, 1]"),
        ("select list_grade_up(range(300000))[300000]", "300000"),
        ("select list_transform(a, x -> x + array_length(a)) from (select range(3) as a)", "[3, 4, 5]"),
        ("select list_mode(range(5, 100000)), list_sum(range(200000))", "5 19999900000"),
    ] {
        assert_eq!(rows(&mut client, sql).await, found, "{sql}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_user_asks_so_much_and_no_more() {
    let lake = TestLake::new();
    lake.write("models/t.sql", "{{ config(materialized='table') }} select 1 as a");
    lake.build().await;
    let per_user = RoleLimits { queries: Some(1), per_minute: Some(5), memory: Some(32 << 20), time: None };
    let stall = std::time::Duration::from_millis(400);
    let served =
        Served::of(lake.open(), Role::Reads, ServeLimits { per_user, stall, ..ServeLimits::default() }).await;
    let mut client = served.client().await;
    let info = client.execute("select value from range(100000000)".to_owned(), None).await.unwrap();
    let mut reader = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    assert!(futures::StreamExt::next(&mut reader).await.unwrap().is_ok());
    let told = rows(&mut client, "select 1").await;
    assert!(told.contains("1 statements of `ann` run already"), "{told}");
    let mut other = served.user("bob", TOKEN).await.unwrap();
    assert_eq!(rows(&mut other, "select 1").await, "1", "others are not kept waiting");
    // Who takes nothing for long is given up, and holds nothing any more.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!(rows(&mut client, "select 2").await, "2");
    let told = rows(&mut client, "select array_agg(value) from range(20000000)").await;
    assert!(told.contains("a query may take 32 MiB"), "{told}");
    let mut refused = 0;
    for _ in 0..4 {
        refused += usize::from(rows(&mut client, "select 3").await.contains("within a minute"));
    }
    assert!(refused >= 2, "{refused}");
    drop(reader);
    served.stop().await;
}

#[tokio::test]
async fn builds_and_schedules_are_told_in_numbers() {
    let lake = TestLake::new();
    lake.write("models/t.sql", "{{ config(materialized='table') }} select 1 as a");
    lake.write("models/u.sql", "select a from {{ ref('t') }}");
    lake.write("models/t.yml", "models: [{name: t, columns: [{name: a, data_tests: [not_null]}]}]\n");
    lake.write("elt.yml", "schedules: {\"night\": {cron: '@daily'}}\n");
    let any = "127.0.0.1:0".parse().unwrap();
    let options = ServeOptions {
        listen: any,
        token: Token::Given(TOKEN.to_owned()),
        role: Role::Reads,
        tls: None,
        limits: ServeLimits::default(),
        http: Some(any),
        postgres: None,
    };
    let server = Server::bind(lake.open(), options).await.unwrap();
    let http = server.http_address().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async { drop(stopped.await) }, std::future::pending()));
    assert!(!get(http, "/metrics").await.contains("elt_last_run"), "nothing has run");
    lake.build().await;
    let told = get(http, "/metrics").await;
    for line in [
        "elt_last_run_success{command=\"build\"} 1",
        "elt_last_run_info{command=\"build\",status=\"success\"} 1",
        "elt_last_run_nodes{status=\"success\"} 2",
        "elt_last_run_nodes{status=\"pass\"} 1",
    ] {
        assert!(told.lines().any(|told| told == line), "no {line} in {told}");
    }
    assert!(number(&told, "elt_last_run_timestamp_seconds") > 1e9, "{told}");
    assert!(!told.contains("elt_schedule_last"), "it has not run");
    lake.write("models/t.sql", "{{ config(materialized='table') }} select cast(null as int) as a");
    let night = elt::lakehouse::Scheduled { schedule: "night".to_owned(), at: lake.open().world().now() };
    let request = elt::lakehouse::BuildRequest { scheduled: Some(night), ..Default::default() };
    lake.build_with(&request).await;
    let told = get(http, "/metrics").await;
    for line in [
        "elt_last_run_success{command=\"build\"} 0",
        "elt_last_run_nodes{status=\"fail\"} 1",
        "elt_schedule_last_success{schedule=\"night\"} 0",
    ] {
        assert!(told.lines().any(|told| told == line), "no {line} in {told}");
    }
    drop(stop);
    running.await.unwrap().unwrap();
}
