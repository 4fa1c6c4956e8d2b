//! What other programs are told of a run, in OpenLineage's words. Whether it is valid, `tests/interop/openlineage.py` sees.

use std::pin::Pin;

use elt::base::{Event, Stop, Watch};
use elt::lakehouse::BuildRequest;
use insta::assert_snapshot;
use serde_json::Value;

use crate::test_lake::TestLake;

fn events(lake: &TestLake) -> Vec<Value> {
    let path = lake.path().join("events.jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    drop(std::fs::remove_file(path));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// An event in a line: the job, what happened, what was read and written.
fn line(event: &Value) -> String {
    let named = |list: &Value| {
        let list = list.as_array().unwrap().iter();
        let one = |dataset: &Value| {
            let symlink = dataset["facets"]["symlinks"]["identifiers"][0]["name"].as_str();
            // A file has no other name.
            let file = || dataset["name"].as_str().unwrap().rsplit('/').next().unwrap();
            let name = symlink.unwrap_or_else(file).to_owned();
            let version = dataset["facets"]["version"]["datasetVersion"].as_str();
            let assertions = &dataset["inputFacets"]["dataQualityAssertions"]["assertions"][0]["success"];
            let fields = dataset["facets"]["columnLineage"]["fields"].as_object().map(serde_json::Map::len);
            let mut told = name;
            told += &version.map(|version| format!("@{version}")).unwrap_or_default();
            told += &assertions.as_bool().map(|success| format!(" holds: {success}")).unwrap_or_default();
            told + &fields.map(|fields| format!(" {fields} columns")).unwrap_or_default()
        };
        list.map(one).collect::<Vec<_>>().join(", ")
    };
    let why = event["run"]["facets"]["errorMessage"]["message"].as_str().unwrap_or_default();
    let job = event["job"]["name"].as_str().unwrap();
    let job = if job.ends_with(".build") { "the build" } else { job };
    format!(
        "{} {job}: {} -> {} {why}",
        event["eventType"].as_str().unwrap(),
        named(&event["inputs"]),
        named(&event["outputs"])
    )
}

#[tokio::test]
async fn a_run_and_its_steps_begin_and_end() {
    let lake = TestLake::new();
    lake.write("elt.yml", "openlineage: {url: events.jsonl, namespace: shop}\n");
    lake.write("seeds/people.csv", "person,city\n1,Oslo\n2,Rome\n");
    lake.write("models/named.sql", "select person, upper(city) as city from {{ ref('people') }}");
    lake.write(
        "models/cities.sql",
        "{{ config(materialized='table') }} select city, count(*) as n from {{ ref('named') }} group by city",
    );
    lake.write(
        "models/cities.yml",
        "models: [{name: cities, columns: [{name: city, data_tests: [not_null]}]}]\n",
    );
    let mut story = Vec::new();
    lake.build_due().await;
    story.extend(events(&lake).iter().map(line));
    story.push("-- nothing new".to_owned());
    lake.build_due().await;
    story.extend(events(&lake).iter().map(line));
    story.push("-- a test fails".to_owned());
    lake.write("seeds/people.csv", "person,city\n1,Oslo\n2,\n");
    lake.build_due().await;
    story.extend(events(&lake).iter().map(line));
    assert_snapshot!(story.join("\n"), @r"
    START the build:  ->  
    START seed.test.people:  ->  
    START model.test.named:  ->  
    START model.test.cities:  ->  
    START test.test.not_null_cities_city.ad1722bce1:  ->  
    COMPLETE seed.test.people:  -> main.people@0 0 columns 
    COMPLETE model.test.named: main.people@0 -> main.named 2 columns 
    COMPLETE model.test.cities: main.named -> main.cities@0 2 columns 
    COMPLETE test.test.not_null_cities_city.ad1722bce1: main.cities@0 holds: true ->  
    COMPLETE the build:  ->  
    -- nothing new
    START the build:  ->  
    COMPLETE the build:  ->  
    -- a test fails
    START the build:  ->  
    START seed.test.people:  ->  
    START model.test.named:  ->  
    START model.test.cities:  ->  
    START test.test.not_null_cities_city.ad1722bce1:  ->  
    ABORT seed.test.people:  ->  not published: `not_null_cities_city` failed
    ABORT model.test.named:  ->  not published: `not_null_cities_city` failed
    ABORT model.test.cities:  ->  not published: the test `not_null_cities_city` failed
    FAIL test.test.not_null_cities_city.ad1722bce1: main.cities holds: false ->  1 row
    FAIL the build:  ->  not everything of it is well
    ");
    // Whoever cannot be told does not stop a build.
    lake.write("elt.yml", "openlineage: {url: no/such/folder/events.jsonl}\n");
    lake.write("seeds/people.csv", "person,city\n1,Oslo\n");
    lake.build_due().await;
    lake.write("elt.yml", "openlineage: {adress: x}\n");
    drop(lake.try_build(&BuildRequest::default()).await);
    let told = lake.story();
    assert!(told.contains("`adress` is not known in elt.yml"), "{told}");
    assert!(told.contains("release 2"), "{told}");
}

/// Calls a run off once a step of it has begun.
#[derive(Default)]
struct Impatient(tokio::sync::Notify);

impl Watch for Impatient {
    fn on(&self, event: Event) {
        if matches!(&event, Event::Started(step) if step.name == "endless") {
            self.0.notify_one();
        }
    }

    fn called_off(&self) -> Pin<Box<dyn Future<Output = Stop> + Send + '_>> {
        Box::pin(async {
            self.0.notified().await;
            Stop::Interrupted
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_called_off_is_told_and_what_fails_before_its_first_step() {
    let lake = TestLake::new();
    lake.write("elt.yml", "openlineage: {url: events.jsonl, namespace: shop}\n");
    lake.write("models/first.sql", "select 1 as one");
    lake.write(
        "models/endless.sql",
        "{{ config(materialized='table') }} select sum(sin(a.i * b.i)) as s from {{ ref('first') }}, range(90000) a(i), range(200000) b(i)",
    );
    let request = BuildRequest { threads: Some(1), ..BuildRequest::default() };
    let stopped = Box::pin(lake.open().build(&request, &Impatient::default())).await.unwrap_err();
    let mut story: Vec<String> = vec![format!("{} {stopped}", stopped.kind().exit_code())];
    story.extend(events(&lake).iter().map(line));
    lake.write("models/endless.sql", "select {{ nothing_like_it() }}");
    drop(lake.try_build(&BuildRequest::default()).await);
    story.extend(events(&lake).iter().map(|event| line(event).lines().next().unwrap_or_default().to_owned()));
    assert_snapshot!(story.join("\n"), @r"
    130 interrupted; nothing was published
    START the build:  ->  
    START model.test.first:  ->  
    START model.test.endless:  ->  
    ABORT model.test.first:  ->  interrupted; nothing was published
    ABORT model.test.endless:  ->  interrupted; nothing was published
    ABORT the build:  ->  interrupted; nothing was published
    START the build:  ->  
    FAIL the build:  ->  there is no function or macro `nothing_like_it`
    ");
    lake.story();
    lake.sql("select command, status, num_steps, message from elt.runs order by started_at").await;
    lake.write("elt.yml", "openlineage: {url: 'nope://x'}\n");
    drop(lake.try_build(&BuildRequest::default()).await);
    assert_snapshot!(lake.story(), @r"
    sql: build interrupted 1 interrupted; nothing was published
    build: events of lineage cannot be sent to `nope://x`: `nope` is no way to send them
    ");
}

#[tokio::test]
async fn what_is_landed_and_what_statements_write_is_told_too() {
    let lake = TestLake::new();
    lake.write("elt.yml", "openlineage: {url: events.jsonl, namespace: shop}\n");
    lake.write(
        "models/sources.yml",
        "sources:\n  - {name: shop, tables: [{name: orders, config: {location: 'inbox/orders_*.csv'}}]}\n",
    );
    lake.write("models/big.sql", "select id from {{ source('shop', 'orders') }} where amount > 5");
    lake.write("inbox/orders_1.csv", "id,amount\n1,5\n2,7\n");
    let mut story = Vec::new();
    lake.build_due().await;
    story.extend(events(&lake).iter().map(line));
    story.push("-- by hand".to_owned());
    lake.write("inbox/orders_2.csv", "id,amount\n3,9\n");
    lake.land_as("shop.orders", &["inbox/orders_2.csv"], &[]).await;
    lake.sql("create table kept as select id, amount from shop.orders").await;
    lake.sql("insert into kept select id + 10, amount from shop.orders where id = 1").await;
    lake.sql("merge into kept using shop.orders o on kept.id = o.id when matched then update set amount = o.amount * 2").await;
    lake.sql("create view seen as select id from kept").await;
    lake.sql("select count(*) from kept").await;
    let told = events(&lake);
    story.extend(told.iter().map(line));
    let query = told.iter().filter_map(|event| event["job"]["facets"]["sql"]["query"].as_str()).next();
    assert_eq!(query, Some("create table kept as select id, amount from shop.orders"));
    story.push("-- what fails".to_owned());
    let session = lake.open().session().await.unwrap();
    assert!(
        lake.open().execute(&session, "insert into kept select 'x' || id, nothing from kept").await.is_err()
    );
    story.extend(events(&lake).iter().map(line));
    let story = story.join("\n").replace(&format!("{}.", lake.path().file_name().unwrap().display()), "");
    for wanted in [
        "START source.test.shop.orders",
        "COMPLETE source.test.shop.orders: orders_1.csv -> shop.orders@0",
        "START land.shop.orders",
        "COMPLETE land.shop.orders: orders_2.csv -> shop.orders@1",
        "COMPLETE sql.create_table.main.kept: shop.orders@1 -> main.kept@0 2 columns",
        "COMPLETE sql.insert.main.kept: shop.orders@1 -> main.kept@1",
        "COMPLETE sql.merge.main.kept: shop.orders@1 -> main.kept@2",
        "COMPLETE sql.create_view.main.seen: main.kept@2 -> main.seen 1 columns",
        "FAIL sql.insert.main.kept: ",
    ] {
        assert!(story.lines().any(|line| line.starts_with(wanted)), "no {wanted} in {story}");
    }
}

#[tokio::test]
async fn what_is_dropped_rolled_back_and_promoted_is_told() {
    let mut lake = TestLake::new();
    lake.write("profiles.yml", "test:\n  target: prod\n  outputs:\n    prod: {type: elt, schema: main}\n    dev: {type: elt, schema: dev}\n");
    let model = |sql: &str| format!("{{{{ config(materialized='table') }}}} {sql}");
    lake.write("models/total.sql", &model("select 1 as n"));
    lake.target("prod");
    lake.build_due().await;
    lake.write("models/total.sql", &model("select 2 as n"));
    lake.target("dev");
    lake.build_due().await;
    lake.write("elt.yml", "openlineage: {url: events.jsonl}\n");
    lake.promote("dev").await;
    lake.roll_back(None).await;
    for sql in ["create table gone as select 1 as id", "truncate table gone", "drop table gone"] {
        lake.sql(sql).await;
    }
    let told = events(&lake);
    let own = format!("{}.", lake.path().file_name().unwrap().display());
    let ends = told.iter().filter(|event| event["eventType"] != "START").map(|event| {
        let became = &event["outputs"][0]["facets"]["lifecycleStateChange"]["lifecycleStateChange"];
        format!("{} {}", line(event).replace(&own, "").trim_end(), became.as_str().unwrap_or_default())
    });
    assert_snapshot!(ends.collect::<Vec<_>>().join("\n"), @r"
    COMPLETE promote.dev: dev.total@0 -> main.total@1 1 columns OVERWRITE
    COMPLETE rollback:  -> main.total@2 0 columns OVERWRITE
    COMPLETE sql.create_table.dev.gone:  -> dev.gone@0 0 columns CREATE
    COMPLETE sql.truncate.dev.gone:  -> dev.gone@1 0 columns TRUNCATE
    COMPLETE sql.drop_table.dev.gone:  -> dev.gone@1 DROP
    ");
}

#[tokio::test]
async fn a_run_whose_process_died_is_told_once_somebody_finds_out() {
    let lake = TestLake::on_disk();
    lake.write("elt.yml", "openlineage: {url: events.jsonl}\n");
    lake.write("models/total.sql", "select 1 as n");
    let folder = lake.path().join("lake/_elt/running");
    std::fs::create_dir_all(&folder).unwrap();
    let died = serde_json::json!({
        "run": "id-dead", "command": "build", "purpose": "build", "publish": "all", "status": "running",
        "started_at": "2026-01-01T00:00:00Z", "user": "ann", "pid": 7,
        "results": [{"unique_id": "model.test.total", "status": "success"}], "at_work": ["test.test.odd"],
    });
    std::fs::write(folder.join("id-dead.json"), died.to_string()).unwrap();
    lake.build_due().await;
    let told = events(&lake);
    let told: Vec<String> = told.iter().map(line).filter(|line| line.starts_with("ABORT")).collect();
    assert_eq!(
        told,
        [
            "ABORT model.test.total:  ->  its process died",
            "ABORT test.test.odd:  ->  its process died",
            "ABORT the build:  ->  its process died"
        ]
    );
}

/// A server that takes events and never answers keeps no build waiting.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_long_for_whoever_only_listens() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let lake = TestLake::new();
    lake.write("elt.yml", &format!("openlineage: {{url: 'http://{}'}}\n", silent.local_addr().unwrap()));
    lake.write("models/total.sql", "select 1 as n");
    let begun = std::time::Instant::now();
    assert!(lake.build_due().await.release.is_some());
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}
