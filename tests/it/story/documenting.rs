//! A site about the project: what is written, what is in it, who may read it.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

use insta::assert_snapshot;
use serde_json::Value;

use crate::test_lake::TestLake;

fn command(lake: &TestLake, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elt"));
    command.current_dir(lake.path()).args(arguments).env_clear();
    command
}

fn elt(lake: &TestLake, arguments: &[&str]) -> Output {
    command(lake, arguments).output().unwrap()
}

/// What a command that has to end well says.
fn well(lake: &TestLake, arguments: &[&str]) -> String {
    let told = elt(lake, arguments);
    let said = text(&told.stderr);
    assert!(told.status.success(), "{arguments:?}: {said}");
    said
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn file(lake: &TestLake, path: &str) -> String {
    std::fs::read_to_string(lake.path().join("target").join(path)).unwrap()
}

/// What a script of data hands over: the JSON between the first and the last brace.
fn handed_over(script: &str) -> Value {
    let (first, last) = (script.find('{').unwrap(), script.rfind('}').unwrap());
    serde_json::from_str(&script[first..=last]).unwrap()
}

/// The data of the site.
fn data(lake: &TestLake) -> Value {
    handed_over(&file(lake, "docs/data.js"))
}

fn node<'a>(data: &'a Value, id: &str) -> &'a Value {
    let nodes = data["nodes"].as_array().unwrap();
    nodes.iter().find(|node| node["id"] == id).unwrap_or_else(|| panic!("{id} is not there"))
}

/// Names of nodes by their places.
fn names(data: &Value, places: &Value) -> String {
    let names = places.as_array().into_iter().flatten();
    let names = names.map(|at| data["nodes"][at.as_u64().unwrap() as usize]["name"].as_str().unwrap());
    names.collect::<Vec<_>>().join(" ")
}

fn project() -> TestLake {
    let lake = TestLake::on_disk();
    lake.write("raw/people.csv", "id,city\n1,Oslo\n2,Rome\n3,\n");
    lake.write(
        "models/people.sql",
        "{{ config(materialized='table') }}\nselect id, {{ loud('city') }} as city from {{ source('crm', 'people') }}",
    );
    lake.write(
        "models/cities.sql",
        "select city, count(*) as n, max(id) as last from {{ ref('people') }} group by city",
    );
    lake.write("macros/loud.sql", "{% macro loud(x) %}upper({{ x }}){% endmacro %}");
    lake.write("models/docs.md", "{% docs __overview__ %}# All about *people*{% enddocs %}");
    lake.write(
        "models/s.yml",
        r#"
sources:
- name: crm
  description: From the shop.
  tables: [{name: people, config: {location: 'raw/*.csv'}}]
macros:
- {name: loud, description: In capitals., arguments: [{name: x, type: string, description: What.}]}
models:
- name: people
  description: "Who buys. <script>alert(1)</script> <!-- **bold**"
  config: {tags: [daily], meta: {owner: ann}}
  columns:
  - {name: id, description: Their number., data_tests: [unique]}
  - name: city
    data_tests: [{not_null: {config: {severity: warn}}}]
  - {name: shoes, description: Not there any more.}
exposures:
- {name: board, type: dashboard, url: 'https://example.com/b', owner: {name: Bea, email: b@example.com}, depends_on: [ref('cities')]}
"#,
    );
    lake
}

#[test]
fn a_site_is_written_with_all_that_is_known() {
    let lake = project();
    well(&lake, &["build"]);
    well(&lake, &["build", "--full"]);
    let said = well(&lake, &["docs", "generate"]);
    assert!(said.contains("open in a browser: ") && said.contains("target/index.html"), "{said}");
    assert!(!lake.path().join("target/static_index.html").exists());

    let page = file(&lake, "index.html");
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    assert!(page.contains("<script src=\"docs/data.js?") && !page.contains("src=\"http"));

    let data = data(&lake);
    let about = &data["about"];
    let (project, release, overview) = (&about["project"], &about["release"], &about["overview"]);
    assert_eq!(format!("{project} {release} {overview}"), r##""test" 2 "# All about *people*""##);
    let people = node(&data, "model.test.people");
    let facts = ["kind", "made", "relation", "lake", "tags", "meta", "path", "described", "columns"];
    let facts = facts.map(|key| format!("{key}: {}", people[key]));
    assert_snapshot!(facts.join("\n"), @r#"
    kind: "model"
    made: "table"
    relation: "main.people"
    lake: "table"
    tags: ["daily"]
    meta: {"owner":"ann"}
    path: "models/people.sql"
    described: "models/s.yml"
    columns: [["id","bigint","Their number."],["city","varchar"],["shoes",null,"Not there any more.",{"missing":true}]]
    "#);
    assert_eq!(names(&data, &people["parents"]), "people");
    assert_eq!(names(&data, &people["macros"]), "loud");
    let cities = node(&data, "model.test.cities");
    assert_eq!(
        (cities["lake"].as_str(), names(&data, &cities["parents"]).as_str()),
        (Some("view"), "people")
    );
    let origins = cities["from"].as_array().unwrap().iter();
    let origins = origins
        .map(|one| format!("{} of {} {}", one[0], names(&data, &Value::from(vec![one[1].clone()])), one));
    assert_snapshot!(origins.collect::<Vec<_>>().join("\n"), @r#"
    0 of people [0,1,"city","copied"]
    2 of people [2,1,"id","aggregated"]
    "#);
    assert_eq!(people["size"].as_array().unwrap()[..3], [1, 3, 1]);
    // The newest first: version, release by its place, operation, added, updated, removed, rows.
    let versions = people["versions"].as_array().unwrap().iter();
    let versions = versions.map(|one| Value::from(one.as_array().unwrap()[..7].to_vec()).to_string());
    assert_snapshot!(versions.collect::<Vec<_>>().join("\n"), @r#"
    [1,0,"Overwrite",3,0,0,3]
    [0,1,"Overwrite",3,0,0,3]
    "#);

    let board = node(&data, "exposure.test.board");
    assert_eq!(
        (board["owner"]["name"].as_str(), names(&data, &board["parents"]).as_str()),
        (Some("Bea"), "cities")
    );
    let nodes = data["nodes"].as_array().unwrap();
    let test = nodes.iter().find(|node| node["test"] == "not_null").unwrap();
    assert_eq!((test["column"].as_str(), &test["config"]["severity"]), (Some("city"), &Value::from("warn")));
    assert_eq!(data["nodes"][test["on"].as_u64().unwrap() as usize]["name"], "people");
    let loud = node(&data, "macro.test.loud");
    assert_eq!(
        (&loud["description"], &loud["arguments"][0]["description"]),
        (&"In capitals.".into(), &"What.".into())
    );
    let manifest: Value = serde_json::from_str(&file(&lake, "manifest.json")).unwrap();
    let entry = &manifest["macros"]["macro.test.loud"];
    assert_eq!(
        (&entry["description"], &entry["patch_path"]),
        (&"In capitals.".into(), &"test://models/s.yml".into())
    );
    assert!(
        !nodes.iter().any(|node| node["package"] == "dbt"),
        "what comes with the program is not the project's"
    );
}

#[test]
fn a_site_tells_of_runs_and_their_results() {
    let lake = project();
    well(&lake, &["build"]);
    lake.write("models/cities.sql", "select city / 0 as city from {{ ref('people') }}");
    assert_eq!(elt(&lake, &["build", "--full"]).status.code(), Some(2));
    well(&lake, &["docs", "generate"]);
    let data = data(&lake);
    let runs = data["runs"].as_array().unwrap();
    let release = |run: &Value| run["release"].to_string();
    assert_eq!((runs.len(), release(&runs[0]), release(&runs[1])), (2, "null".to_owned(), "1".to_owned()));
    let steps = |run: &Value| {
        let step = |step: &Value| {
            let name = &data["nodes"][step[0].as_u64().unwrap() as usize]["name"];
            assert!(step[2].is_number() && step[3].is_number(), "how long, and when it began: {step}");
            format!("{} {}", name.as_str().unwrap(), step[1].as_str().unwrap())
        };
        let mut steps: Vec<String> = run["steps"].as_array().unwrap().iter().map(step).collect();
        steps.sort();
        steps.join("\n")
    };
    assert_snapshot!(steps(&runs[1]), @"
    cities success
    not_null_people_city warn
    people success
    unique_people_id pass
    ");
    assert_snapshot!(steps(&runs[0]), @"
    cities error
    not_null_people_city warn
    people success
    unique_people_id pass
    ");
    assert_eq!(data["releases"][0]["number"], 1);
    // A node that is there no more has steps that are counted, and that is all.
    std::fs::remove_file(lake.path().join("models/cities.sql")).unwrap();
    let properties = std::fs::read_to_string(lake.path().join("models/s.yml")).unwrap();
    lake.write("models/s.yml", properties.split("exposures:").next().unwrap());
    well(&lake, &["docs", "generate"]);
    assert_eq!(self::data(&lake)["runs"][1]["gone"], 1);
}

#[test]
fn sql_lies_beside_the_rest_and_no_text_leaves_its_script() {
    let lake = project();
    well(&lake, &["docs", "generate", "--static"]);
    let script = file(&lake, "docs/data.js");
    assert!(!script.contains('<'), "a description could end the script that it stands in");
    let data = data(&lake);
    let people = node(&data, "model.test.people");
    assert_eq!(people["description"], "Who buys. <script>alert(1)</script> <!-- **bold**");
    let at = data["nodes"].as_array().unwrap().iter().position(|node| node == people).unwrap();
    let piece = file(&lake, &format!("docs/code_{}.js", people["code"]));
    let [raw, compiled] =
        [0, 1].map(|one| handed_over(&piece)[at.to_string()][one].as_str().unwrap().to_owned());
    assert!(raw.contains("{{ loud('city') }}") && compiled.contains("upper(city)"), "{raw}\n{compiled}");

    let whole = file(&lake, "static_index.html");
    assert!(whole.contains("window.elt_docs = {") && whole.contains("data-code=\"0\""));
    assert!(!whole.contains("docs/data.js?") && !whole.contains("<script>alert(1)"));
    assert!(whole.len() > file(&lake, "index.html").len());
    // Nothing was built: there is nothing of the lake, and the rest is there.
    assert_eq!((&data["about"]["release"], &people["lake"]), (&Value::Null, &Value::Null));
    assert_eq!(data["runs"], serde_json::json!([]));
}

#[test]
fn values_of_secrets_are_not_in_the_site() {
    let lake = project();
    lake.write("models/s2.yml", "models: [{name: cities, description: 'Key: hunter-22-key.'}]");
    lake.write("models/cities.sql", "select 'hunter-22-key' as city from {{ ref('people') }}");
    let mut generate = command(&lake, &["docs", "generate", "--static"]);
    let told = generate.env("DBT_ENV_SECRET_KEY", "hunter-22-key").output().unwrap();
    assert!(told.status.success(), "{}", text(&told.stderr));
    assert_eq!(node(&data(&lake), "model.test.cities")["description"], "Key: *****.");
    for path in ["docs/data.js", "docs/code_0.js", "static_index.html", "index.html"] {
        assert!(!file(&lake, path).contains("hunter-22-key"), "{path}");
    }
    assert!(file(&lake, "docs/code_0.js").contains("select '*****' as city"));
}

#[test]
fn nothing_is_overwritten_that_was_not_written_here_and_all_of_it_goes_again() {
    let lake = project();
    lake.write("target/docs/mine.md", "mine");
    let told = elt(&lake, &["docs", "generate"]);
    assert_eq!(told.status.code(), Some(2));
    assert!(text(&told.stderr).contains("was not made by elt"), "{}", text(&told.stderr));
    assert_eq!(file(&lake, "docs/mine.md").trim(), "mine");
    std::fs::remove_dir_all(lake.path().join("target/docs")).unwrap();
    well(&lake, &["docs", "generate", "--static"]);
    well(&lake, &["docs", "generate", "--empty-catalog"]);
    well(&lake, &["clean"]);
    let left = lake.path().join("target").read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["partial_parse.elt.json"]);
}

/// A served site, which stops when it is dropped.
struct Served {
    process: std::process::Child,
    address: String,
}

impl Served {
    fn of(lake: &TestLake) -> Self {
        let mut serve = command(lake, &["docs", "serve", "--port", "0", "--no-browser"]);
        let mut process = serve.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(process.stderr.take().unwrap()).lines();
        let line = said.next().unwrap().unwrap();
        let address = line.rsplit("http://").next().unwrap().to_owned();
        assert!(line.contains("the site is at http://127.0.0.1:"), "{line}");
        std::thread::spawn(move || said.for_each(drop));
        Self { process, address }
    }

    /// The answer to a request, whole.
    fn ask(&self, first: &str, host: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{first} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        text(&answer)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_site_is_served_and_nothing_else() {
    let lake = project();
    well(&lake, &["docs", "generate"]);
    let served = Served::of(&lake);
    let host = served.address.clone();
    let page = served.ask("GET /", &host);
    assert!(
        page.starts_with("HTTP/1.1 200 OK") && page.contains("text/html") && page.contains("<!doctype html>")
    );
    let data = served.ask("GET /docs/data.js?1", "localhost");
    assert!(data.contains("text/javascript") && data.contains("window.elt_docs = "));
    assert!(served.ask("GET /manifest.json", &host).contains("application/json"));
    let head = served.ask("HEAD /index.html", &host);
    assert!(head.starts_with("HTTP/1.1 200") && !head.contains("doctype"), "{head}");
    for path in [
        "/docs/../../dbt_project.yml",
        "/partial_parse.elt.json",
        "/docs/.made-by-elt",
        "/compiled/test/models/people.sql",
    ] {
        assert!(served.ask(&format!("GET {path}"), &host).starts_with("HTTP/1.1 404"), "{path}");
    }
    assert!(served.ask("POST /", &host).starts_with("HTTP/1.1 405"));
    assert!(served.ask("GET /", "example.com").starts_with("HTTP/1.1 403"));
    // Who writes the site anew has only to reload it.
    lake.write("models/more.sql", "select 1 as one");
    well(&lake, &["docs", "generate"]);
    assert!(served.ask("GET /docs/data.js", &host).contains("model.test.more"));
}

#[test]
fn what_cannot_be_served_is_said() {
    let lake = project();
    let told = elt(&lake, &["docs", "serve", "--no-browser"]);
    assert_eq!(told.status.code(), Some(2));
    assert!(text(&told.stderr).contains("`elt docs generate` writes it"), "{}", text(&told.stderr));
    well(&lake, &["docs", "generate"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let told = elt(&lake, &["docs", "serve", "--no-browser", "--port", &port]);
    assert!(text(&told.stderr).contains("`--port 0` takes a free one"), "{}", text(&told.stderr));
    for (flags, said) in [(["--port", "nine"], "invalid digit"), (["--host", "nowhere"], "write an address")]
    {
        let told = elt(&lake, &["docs", "serve", flags[0], flags[1]]);
        assert_eq!(told.status.code(), Some(2));
        assert!(text(&told.stderr).contains(said), "{}", text(&told.stderr));
    }
}
