//! What can one who asks do to the others, and what is he told?

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Schema};
use arrow_flight::Action;
use elt::lakehouse::Role;
use elt::serve::ServeLimits;
use futures::StreamExt;
use tonic::Request;

use crate::serve::{Served, fetch, rows};
use crate::test_lake::{TestLake, cells};

/// `count` times a text, with another between.
fn row(text: &str, between: &str, count: usize) -> String {
    vec![text; count].join(between)
}

#[tokio::test]
async fn what_is_too_deep_is_refused_and_what_is_long_is_answered() {
    let lake = TestLake::new();
    let served = Served::of(lake.open(), Role::Reads, ServeLimits::default()).await;
    let mut client = served.client().await;
    let conditions: Vec<String> = (0..1_000).map(|at| format!("a = {at}")).collect();
    for (sql, said) in [
        (format!("select {}", row("1", "+", 500)), "500"),
        (format!("select {}", row("2", "-", 500)), "-996"),
        (format!("select {}", row("1", "*", 300)), "1"),
        (format!("select length({})", row("'x'", "||", 200)), "200"),
        (format!("select count(*) from ({})", row("select 1", " union all ", 500)), "500"),
        (
            format!(
                "select count(*) from (values (1), (999), (1000)) t(a) where {}",
                conditions.join(" or ")
            ),
            "2",
        ),
        (format!("select 7 in ({})", row("1, 7", ",", 2_000)), "true"),
    ] {
        assert_eq!(rows(&mut client, &sql).await, said, "{}", &sql[..40]);
    }
    for sql in [
        format!("select {}", row("1", "+", 10_000)),
        format!("select {}", row("'x'", "||", 10_000)),
        format!("select {}", row("select 1", " union all ", 5_000)),
        format!("select 1{}", row("::int", "", 10_000)),
        format!("select 1 where {}", row("1 = 1", " or ", 100_000)),
    ] {
        let said = rows(&mut client, &sql).await;
        assert!(said.contains("nested too deep") || said.contains("more than 20000 conditions"), "{said}");
        let info = client.prepare(sql, None).await.map(|_| ()).unwrap_err().to_string();
        assert!(info.contains("help:"), "{info}");
    }
    // Each step is looked at, not the end alone.
    let over = rows(&mut client, "select a + 1 - 2 from (values (9223372036854775807)) t(a)").await;
    assert!(over.parse::<i64>().is_err(), "{over}");
    assert_eq!(rows(&mut client, "select a - 2 + 1, (a - 1) * 1 from (values (7)) t(a)").await, "6 6");
    assert_eq!(rows(&mut client, "select 1").await, "1");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_and_fifty_joins_come_to_an_end() {
    let lake = TestLake::new();
    let served = Served::of(lake.open(), Role::Reads, ServeLimits::default()).await;
    let mut client = served.client().await;
    let joins: Vec<String> =
        (1..150).map(|at| format!("join v o{at} on o{at}.id = o{}.id", at - 1)).collect();
    let sql =
        format!("with v as (select * from range(3) t(id)) select count(*) from v o0 {}", joins.join(" "));
    let counted = tokio::time::timeout(Duration::from_secs(300), rows(&mut client, &sql));
    assert_eq!(counted.await.expect("it goes on"), "3");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_a_part_that_goes_away_ends_the_statement() {
    let lake = TestLake::new();
    let limits = ServeLimits { running: 1, patience: Duration::from_millis(300), ..ServeLimits::default() };
    let served = Served::of(lake.open(), Role::Reads, limits).await;
    let (mut client, mut asker) = (served.client().await, served.client().await);
    client.execute_update("set elt.endpoints = 3".to_owned(), None).await.unwrap();
    let endless = "select a.value from range(100000000) a cross join range(1000) b";
    let info = client.execute(endless.to_owned(), None).await.unwrap();
    assert_eq!(info.endpoint.len(), 3);
    let ticket = |at: usize| info.endpoint[at].ticket.clone().unwrap();
    let mut reader = client.do_get(ticket(0)).await.unwrap();
    assert!(reader.next().await.unwrap().unwrap().num_rows() > 0);
    drop(reader);
    let mut said = String::new();
    for _ in 0..40 {
        said = rows(&mut asker, "select 1").await;
        if !said.contains("busy") {
            break;
        }
    }
    assert_eq!(said, "1");
    let other = match client.do_get(ticket(1)).await {
        Ok(mut rows) => rows.next().await.unwrap().unwrap_err().to_string(),
        Err(refused) => refused.to_string(),
    };
    assert!(
        other.contains("given up") || other.contains("cancelled") || other.contains("not known"),
        "{other}"
    );
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_rests_keeps_nobody_waiting() {
    let lake = TestLake::new();
    let limits = ServeLimits {
        running: 1,
        idle: Duration::from_millis(100),
        patience: Duration::from_secs(20),
        ..ServeLimits::default()
    };
    let served = Served::of(lake.open(), Role::Reads, limits).await;
    let (mut client, mut asker) = (served.client().await, served.client().await);
    let many = 20_000_000;
    let info =
        client.execute(format!("select value, value::varchar as t from range({many})"), None).await.unwrap();
    let mut reader = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    let mut counted = reader.next().await.unwrap().unwrap().num_rows();
    assert_eq!(rows(&mut asker, "select 1").await, "1", "the only turn is another's meanwhile");
    // Then it goes on where it was.
    while let Some(batch) = reader.next().await {
        counted += batch.unwrap().num_rows();
    }
    assert_eq!(counted, many);
    assert_eq!(rows(&mut asker, "select 2").await, "2");
    served.stop().await;
}

#[tokio::test]
async fn transactions_of_one_do_not_take_those_of_others_and_end_with_their_session() {
    let lake = TestLake::new();
    let served = Served::of(lake.open(), Role::Writes, ServeLimits::default()).await;
    let (mut ann, mut bob) = (served.client().await, served.client().await);
    let mut first = None;
    for _ in 0..16 {
        first = first.or(Some(ann.begin_transaction().await.unwrap()));
    }
    let error = ann.begin_transaction().await.unwrap_err().to_string();
    assert!(error.contains("16 transactions are open in this session"), "{error}");
    let own = bob.begin_transaction().await.unwrap();
    let within = bob.execute("select 1".to_owned(), first.clone()).await;
    assert!(within.is_ok(), "the same user, by another connection");
    let close = Request::new(Action::new("CloseSession", Vec::new()));
    let mut closed = ann.do_action(close).await.unwrap();
    assert!(closed.message().await.unwrap().is_some());
    let error = bob.execute("select 1".to_owned(), first).await.unwrap_err().to_string();
    assert!(error.contains("not known any more"), "{error}");
    assert!(bob.execute("select 1".to_owned(), Some(own)).await.is_ok());
    served.stop().await;
}

#[tokio::test]
async fn a_prepared_statement_gives_the_columns_that_it_told_whatever_its_values_are() {
    let lake = TestLake::new();
    let served = Served::of(lake.open(), Role::Reads, ServeLimits::default()).await;
    let mut client = served.client().await;
    let values = |columns: Vec<ArrayRef>| {
        let named = columns.into_iter().enumerate().map(|(at, column)| (at.to_string(), column));
        RecordBatch::try_from_iter(named).unwrap()
    };
    let whole = |value: Option<i64>| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    let text = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    for (sql, given, found) in [
        ("select id + ? from range(2) t(id)", whole(Some(5)), "5 | 6"),
        ("select ?", text("x"), "x"),
        ("select cast(? as date), 1", text("2024-01-01"), "2024-01-01 1"),
        ("select ? || 'x'", text("a"), "ax"),
        ("select id from range(9) t(id) limit ?", whole(Some(1)), "0"),
    ] {
        let mut statement = client.prepare(sql.to_owned(), None).await.unwrap();
        let told = statement.dataset_schema().unwrap().clone();
        statement.set_parameters(values(vec![given])).unwrap();
        let info = statement.execute().await.unwrap();
        let batches = fetch(&mut client, info).await.unwrap();
        let rows: Vec<String> = cells(&batches).iter().map(|row| row.join(" ")).collect();
        assert_eq!(rows.join(" | "), found, "{sql}");
        let columns = |schema: &Schema| -> Vec<_> {
            schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
        };
        assert_eq!(columns(&told), columns(batches[0].schema().as_ref()), "{sql}");
    }
    let rows_of_limit = client.prepare("select 1 limit ?".to_owned(), None).await.unwrap();
    assert_eq!(*rows_of_limit.parameter_schema().unwrap().field(0).data_type(), DataType::Int64);
    // A null has the type that it was given with, and a value too many is one.
    let mut typed = client.prepare("select ? as v".to_owned(), None).await.unwrap();
    typed.set_parameters(values(vec![Arc::new(Float64Array::from(vec![None])) as ArrayRef])).unwrap();
    let info = typed.execute().await.unwrap();
    let batches = fetch(&mut client, info).await.unwrap();
    assert_eq!(*batches[0].schema().field(0).data_type(), DataType::Float64);
    let mut few = client.prepare("select ?".to_owned(), None).await.unwrap();
    few.set_parameters(values(vec![whole(Some(1)), whole(Some(2))])).unwrap();
    let error = few.execute().await.unwrap_err().to_string();
    assert!(error.contains("has 1 place and was given 2 values"), "{error}");
    served.stop().await;
}

#[tokio::test]
async fn what_is_set_is_shown_and_what_cannot_be_is_refused_in_words() {
    let lake = TestLake::new();
    lake.write("models/one.sql", "{{ config(materialized='table') }} select 1 as id");
    lake.build().await;
    let served = Served::of(lake.open(), Role::Reads, ServeLimits::default()).await;
    let mut client = served.client().await;
    assert_eq!(rows(&mut client, "show elt.release").await, "elt.release latest");
    client.execute_update("set elt.release = 1".to_owned(), None).await.unwrap();
    assert_eq!(rows(&mut client, "show elt.release").await, "elt.release 1");
    let mut prepared = client.prepare("show elt.release".to_owned(), None).await.unwrap();
    assert_eq!(prepared.dataset_schema().unwrap().field(1).name(), "value");
    let info = prepared.execute().await.unwrap();
    assert_eq!(cells(&fetch(&mut client, info).await.unwrap()), [["elt.release", "1"]]);
    assert_eq!(rows(&mut client, "show timezone").await, "timezone UTC");
    client.execute_update("set time zone = 'UTC'".to_owned(), None).await.unwrap();
    let begun = rows(&mut client, "begin").await;
    assert!(begun.contains("autocommit=False"), "{begun}");
    served.stop().await;
}

/// `elt serve`, killed when the test is over.
struct Service(std::process::Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Service {
    /// Starts it without a terminal, and returns what it says, line by line.
    fn begin(lake: &TestLake, options: &[&str]) -> (Self, std::sync::mpsc::Receiver<String>) {
        use std::io::BufRead as _;
        use std::process::{Command, Stdio};
        let mut command = Command::new(env!("CARGO_BIN_EXE_elt"));
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(options).current_dir(lake.path());
        command.env_clear().env("ELT_QUERY_HISTORY", "asked").env("ELT_TOKEN", crate::serve::TOKEN);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = std::sync::mpsc::channel();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let said: [Box<dyn std::io::Read + Send>; 2] = [Box::new(out), Box::new(err)];
        for said in said {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in std::io::BufReader::new(said).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        (Self(child), lines)
    }

    fn signal(&self, signal: &str) {
        let sent = std::process::Command::new("kill").args([signal, &self.0.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

fn heard(lines: &std::sync::mpsc::Receiver<String>, word: &str) -> String {
    let mut all = Vec::new();
    while let Ok(line) = lines.recv_timeout(Duration::from_secs(60)) {
        if line.contains(word) {
            return line;
        }
        all.push(line);
    }
    panic!("nothing was said of `{word}`: {}", all.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_tells_of_what_it_refuses_and_reads_its_users_again_when_it_is_told_to() {
    for options in [&[][..], &["--log-format", "json"]] {
        let lake = TestLake::on_disk();
        lake.write("models/one.sql", "{{ config(materialized='table') }} select 1 as id");
        lake.build().await;
        let (mut service, lines) = Service::begin(&lake, &[options, &["--writable"]].concat());
        let at = heard(&lines, " at grpc://");
        let at = at.split("grpc://").nth(1).unwrap();
        let at: String = at.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{at}")).unwrap();
        let channel = channel.connect().await.unwrap();
        let mut client = arrow_flight::sql::client::FlightSqlServiceClient::new(channel);
        assert!(client.handshake("eve", "guessed").await.is_err());
        let line = heard(&lines, "turned away");
        assert!(line.contains("eve") && !line.contains('\u{1b}') && !line.contains("guessed"), "{line}");
        client.handshake("eve", crate::serve::TOKEN).await.unwrap();
        assert!(client.execute("select * from nothing_of_the_kind".to_owned(), None).await.is_err());
        let line = heard(&lines, "statement failed");
        assert!(line.contains("nothing_of_the_kind") && line.contains("eve"), "{line}");
        client.execute_update("insert into one values (2)".to_owned(), None).await.unwrap();
        let line = heard(&lines, "wrote");
        assert!(line.contains("insert into one"), "{line}");
        if !options.is_empty() {
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!((&event["data"]["rows"], &event["data"]["user"]), (&1.into(), &"eve".into()));
        }
        service.signal("-HUP");
        heard(&lines, "again");
        assert_eq!(rows(&mut client, "select count(*) from one").await, "2");
        service.signal("-TERM");
        assert!(service.0.wait().unwrap().success());
        let kept = std::fs::read_dir(lake.path().join("asked")).unwrap().count();
        assert_eq!(kept, 1, "what was asked is kept");
    }
}
