//! What whoever gathers traces is told of a run.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::test_lake::TestLake;

/// A server that takes documents, with what the request line and the headers are.
fn collector() -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
            let whole = loop {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let length = head.to_lowercase();
                    let length = length.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
                    let length: usize = length.unwrap().trim().parse().unwrap();
                    if body.len() >= length {
                        break (head.to_owned(), serde_json::from_str(body).unwrap());
                    }
                }
                let read = client.read(&mut piece).unwrap();
                bytes.extend_from_slice(&piece[..read]);
            };
            client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").unwrap();
            if tell.send(whole).is_err() {
                return;
            }
        }
    });
    (address, told)
}

fn shop() -> TestLake {
    let lake = TestLake::new();
    lake.write("seeds/people.csv", "id,name\n1,Ann\n");
    lake.write("models/names.sql", "{{ config(materialized='table') }} select name from {{ ref('people') }}");
    lake.write(
        "models/checks.yml",
        "models:\n  - {name: names, columns: [{name: name, data_tests: [unique]}]}\n",
    );
    lake
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_a_trace_with_a_span_for_each_step() {
    let (address, told) = collector();
    let mut lake = shop();
    lake.set_env("OTEL_EXPORTER_OTLP_ENDPOINT", &address);
    lake.set_env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b");
    lake.set_env("OTEL_SERVICE_NAME", "nightly");
    lake.set_env("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    lake.build_due().await;
    let (head, document) = told.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(head.starts_with("POST /v1/traces"), "{head}");
    assert!(head.contains("x-key: a b"), "{head}");
    let sent = &document["resourceSpans"][0];
    assert_eq!(sent["resource"]["attributes"][0]["value"]["stringValue"], "nightly");
    let spans = sent["scopeSpans"][0]["spans"].as_array().unwrap();
    let names: Vec<&str> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["elt build", "plan", "seed people", "table names", "test unique_names_name", "publish"]
    );
    let root = spans[0]["spanId"].as_str().unwrap();
    assert_eq!(spans[0]["parentSpanId"], "00f067aa0ba902b7");
    for span in spans {
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        let nanos = |key: &str| span[key].as_str().unwrap().parse::<i64>().unwrap();
        assert!(nanos("startTimeUnixNano") <= nanos("endTimeUnixNano"), "{span}");
        assert_eq!(span["status"]["code"], 1, "{span}");
    }
    assert!(spans[1..].iter().all(|span| span["parentSpanId"] == root));
    // What fails says so.
    lake.write("seeds/people.csv", "id,name\n1,Ann\n2,Ann\n");
    lake.build_due().await;
    let (_, document) = told.recv_timeout(Duration::from_secs(10)).unwrap();
    let spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    let failed: Vec<&str> = spans
        .iter()
        .filter(|span| span["status"]["code"] == 2)
        .map(|span| span["name"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["elt build", "test unique_names_name"]);
    // What was not done is not said to have gone well: nothing was published.
    let publish = spans.iter().find(|span| span["name"] == "publish").unwrap();
    assert_eq!(publish["status"], serde_json::json!({}));
    lake.write(
        "models/names.sql",
        "{{ config(materialized='table') }} select nothing from {{ ref('people') }}",
    );
    lake.build_due().await;
    let (_, document) = told.recv_timeout(Duration::from_secs(10)).unwrap();
    let spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    let skipped = spans.iter().find(|span| span["name"] == "test unique_names_name").unwrap();
    assert_eq!(skipped["status"], serde_json::json!({}), "{skipped}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_listens_changes_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut lake = shop();
    lake.set_env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}", taken.local_addr().unwrap()));
    lake.set_env("OTEL_EXPORTER_OTLP_TIMEOUT", "300");
    // It is listened to, and never answered.
    let begun = Instant::now();
    let built = lake.build_due().await;
    assert!(built.is_well() && built.release.is_some());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    drop(taken);
    assert!(lake.build_due().await.is_well());
}
