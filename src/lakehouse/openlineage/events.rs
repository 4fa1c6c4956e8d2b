//! What a build has to tell, while it goes on and when it is over.
//!
//! A run is a job that begins, and completes or fails; so is each of its steps, with the run as its parent. That a step begins
//! is told at once ([`live`](super::live)); how it ended when the run is over: whether what it made is seen is only known then.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::live::{Begun, Live};
use super::writes::{Output, at};
use super::{Names, event, facet};
use crate::base::{Error, TableName};
use crate::build::{BuildRun, StepReport, Verdict, Visibility};
use crate::compile::{Manifest, Node, NodeKind, TestKind, TestSeverity};
use crate::lakehouse::{Built, Lakehouse, LandReport};
use crate::query::{Limits, MADE_OF, MadeOf, Scope, Session, made_of};
use crate::release::Pins;
use crate::table::{Change, history};

/// How long a server may take to answer. Work does not wait for whoever only listens.
const ANSWER: std::time::Duration = std::time::Duration::from_secs(5);

/// A run that is told of.
pub(in crate::lakehouse) struct Telling {
    names: Names,
    run: String,
    job: String,
    began: DateTime<Utc>,
    /// The steps, as far as they are known.
    steps: Vec<StepFacts>,
}

/// What all steps of a run are told with.
pub(super) struct Header {
    names: Names,
    run: String,
    job: String,
}

impl Header {
    /// That a step begins.
    pub(super) fn start(&self, step: &str, kind: &str, at: DateTime<Utc>) -> Value {
        let (job, run) = (self.job(step, kind, ""), self.run(step, None));
        event("START", at, Some(run), job, Vec::new(), Vec::new())
    }

    /// The step as a job, with its query if it has one.
    fn job(&self, step: &str, kind: &str, query: &str) -> Value {
        let mut facets = Map::from_iter([("jobType".to_owned(), job_type(kind))]);
        if !query.is_empty() {
            let body = json!({"query": query, "dialect": "datafusion"});
            facets.insert("sql".into(), facet("1-1-0/SQLJobFacet", body));
        }
        self.names.job(step, facets)
    }

    /// The run of a step, below that of all, and why it did not go well.
    fn run(&self, step: &str, error: Option<&str>) -> Value {
        let parent = facet(
            "1-2-0/ParentRunFacet",
            json!({"run": {"runId": self.run}, "job": {"namespace": self.names.jobs, "name": self.job}}),
        );
        let mut facets = Map::from_iter([("parent".to_owned(), parent)]);
        facets.extend(error.map(|why| ("errorMessage".to_owned(), error_facet(why))));
        json!({"runId": uuid_of(&format!("{} {step}", self.run)), "facets": facets})
    }
}

/// What is told of one step.
struct StepFacts {
    job: String,
    kind: &'static str,
    query: String,
    began: DateTime<Utc>,
    ended: DateTime<Utc>,
    state: &'static str,
    error: Option<String>,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
}

impl Telling {
    pub(in crate::lakehouse) fn new(
        lakehouse: &Lakehouse,
        run: &str,
        command: &str,
        jobs: Option<String>,
    ) -> Self {
        let mut names = Names::of(lakehouse.tables().lake(), &lakehouse.world().env);
        if let Some(jobs) = jobs {
            names.jobs = jobs;
        }
        let project =
            lakehouse.root().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let job = format!("{project}.{command}");
        Self { names, run: uuid_of(run), job, began: lakehouse.world().now(), steps: Vec::new() }
    }

    /// That the run begins.
    pub(in crate::lakehouse) fn begin(&self) -> Value {
        self.of_run("START", self.began, None)
    }

    /// What happened in it, and that it is over.
    pub(in crate::lakehouse) fn end(
        &self,
        built: &Result<Built, Error>,
        live: &Live<'_>,
        now: DateTime<Utc>,
    ) -> Vec<Value> {
        let (mut events, header, begun) = (Vec::new(), self.header(), live.begun());
        for step in &self.steps {
            let known = begun.iter().find(|one| one.job == step.job);
            if !known.is_some_and(|one| one.is_told) {
                let began = known.map_or(step.began, |one| one.began);
                events.push(header.start(&step.job, step.kind, began));
            }
            let ended = known.and_then(|one| one.ended).unwrap_or(step.ended);
            let job = header.job(&step.job, step.kind, &step.query);
            let run = header.run(&step.job, step.error.as_deref());
            let (inputs, outputs) = (step.inputs.clone(), step.outputs.clone());
            events.push(event(step.state, ended, Some(run), job, inputs, outputs));
        }
        // The run ended before it came to be told what its steps came to.
        let is_open = |one: &&Begun| !self.steps.iter().any(|step| step.job == one.job);
        for one in begun.iter().filter(is_open) {
            if !one.is_told {
                events.push(header.start(&one.job, one.kind, one.began));
            }
            let (state, why) = match built {
                _ if one.is_out => ("COMPLETE", None),
                Err(error) if !error.is_stop() => ("FAIL", Some(error.to_string())),
                Err(error) => ("ABORT", Some(error.to_string())),
                Ok(_) => ("ABORT", None),
            };
            let (job, run) = (header.job(&one.job, one.kind, ""), header.run(&one.job, why.as_deref()));
            events.push(event(state, one.ended.unwrap_or(now), Some(run), job, Vec::new(), Vec::new()));
        }
        let (state, why) = match built {
            Ok(built) if built.is_well() => ("COMPLETE", None),
            Ok(_) => ("FAIL", Some("not everything of it is well".to_owned())),
            Err(error) if error.is_stop() => ("ABORT", Some(error.to_string())),
            Err(error) => ("FAIL", Some(error.to_string())),
        };
        events.push(self.of_run(state, now, why));
        events
    }

    /// That it is over since its process died, by what it wrote down; so are its steps.
    pub(in crate::lakehouse) fn died(&self, report: &Value, now: DateTime<Utc>) -> Vec<Value> {
        let header = self.header();
        let is_done = report["status"] == "success";
        let why = "its process died";
        let list = |key: &str| report[key].as_array().into_iter().flatten();
        let ended = list("results").filter_map(|step| {
            Some((step["unique_id"].as_str()?, is_done || step["visibility"] == "published"))
        });
        let open = list("at_work").filter_map(|step| Some((step.as_str()?, is_done)));
        let mut events: Vec<Value> = Vec::new();
        for (step, is_out) in ended.chain(open) {
            let kind = match step.split('.').next() {
                Some("seed") => "SEED",
                Some("snapshot") => "SNAPSHOT",
                Some("test" | "unit_test") => "TEST",
                _ => "MODEL",
            };
            let (state, why) = if is_out { ("COMPLETE", None) } else { ("ABORT", Some(why)) };
            let (job, run) = (header.job(step, kind, ""), header.run(step, why));
            events.push(event(state, now, Some(run), job, Vec::new(), Vec::new()));
        }
        let (state, why) = if is_done { ("COMPLETE", None) } else { ("ABORT", Some(why.to_owned())) };
        events.push(self.of_run(state, now, why));
        events
    }

    /// What all steps of it are told with.
    pub(super) fn header(&self) -> Header {
        Header { names: self.names.clone(), run: self.run.clone(), job: self.job.clone() }
    }

    fn of_run(&self, state: &str, at: DateTime<Utc>, error: Option<String>) -> Value {
        let engine = json!({"version": env!("CARGO_PKG_VERSION"), "name": "elt"});
        let mut facets = Map::from_iter([(
            "processing_engine".to_owned(),
            facet("1-1-1/ProcessingEngineRunFacet", engine),
        )]);
        facets.extend(error.map(|why| ("errorMessage".to_owned(), error_facet(&why))));
        let run = json!({"runId": self.run, "facets": facets});
        let job = self.names.job(&self.job, Map::from_iter([("jobType".to_owned(), job_type("DAG"))]));
        event(state, at, Some(run), job, Vec::new(), Vec::new())
    }

    /// Takes note of all steps, and of what is about to be published.
    pub(in crate::lakehouse) async fn note(
        &mut self,
        lakehouse: &Lakehouse,
        manifest: &Manifest,
        pins: &Pins,
        done: &BuildRun,
        landed: &[LandReport],
    ) {
        for report in landed.iter().filter(|report| report.accounts().next().is_some()) {
            if let Some(change) = done.changes.iter().find(|change| *change.table() == report.table) {
                self.note_landed(manifest, report, change, lakehouse.world().now());
            }
        }
        let mut scope = lakehouse.scope_of(pins.clone());
        for change in &done.changes {
            scope = scope.with_change(std::sync::Arc::new(change.clone()));
        }
        for (name, view) in &done.views {
            scope = scope.with_view(name, view.clone());
        }
        let is_held_back = |step: &&StepReport| matches!(step.visibility, Visibility::NotPublished { .. });
        let held_back = done.steps.iter().filter(is_held_back);
        let held_back: BTreeSet<&TableName> =
            held_back.filter_map(|step| manifest.node(&step.node).relation.as_ref()).collect();
        // A view has no version, nor has what nobody will see.
        let looked_at = |table: &TableName| {
            let has_version = !held_back.contains(table) && !scope.pins().views.contains_key(table);
            scope.version_of(table).filter(|_| has_version).map(|version| version.0)
        };
        for report in &done.steps {
            let node = done.late.get(&report.node).unwrap_or_else(|| manifest.node(&report.node));
            let began = self.began + chrono::Duration::from_std(report.began).unwrap_or_default();
            let ended = began + chrono::Duration::from_std(report.took).unwrap_or_default();
            let (inputs, outputs) = match node.is_test() {
                true => (self.tested(manifest, node, report, &looked_at), Vec::new()),
                false => self.made(lakehouse, &scope, done, node, report).await,
            };
            self.steps.push(StepFacts {
                job: node.id.to_string(),
                kind: match &node.kind {
                    NodeKind::Seed(_) => "SEED",
                    NodeKind::Snapshot(_) => "SNAPSHOT",
                    _ if node.is_test() => "TEST",
                    _ => "MODEL",
                },
                query: node.sql.trim().to_owned(),
                began,
                ended,
                state: state(report),
                error: message(report),
                inputs,
                outputs,
            });
        }
    }

    /// What a node was made of, and what was made.
    async fn made(
        &self,
        lakehouse: &Lakehouse,
        scope: &Scope,
        done: &BuildRun,
        node: &Node,
        report: &StepReport,
    ) -> (Vec<Value>, Vec<Value>) {
        let Some(name) = node.relation.as_ref().filter(|_| matches!(report.verdict, Verdict::Made(_))) else {
            return (Vec::new(), Vec::new());
        };
        let change = done.changes.iter().find(|change| change.table() == name);
        let session = Session::new(scope.clone().apart(), lakehouse.default_schema(), Limits::default());
        let (mut of, mut columns, mut made_at) = (None, None, None);
        if let Some(change) = change {
            of = change.provenance(MADE_OF).and_then(MadeOf::from_json);
            columns = Some(std::sync::Arc::clone(change.schema()));
            made_at = Some(change.seen_at());
        } else if report.visibility != Visibility::Published {
            return (Vec::new(), Vec::new());
        } else if let Some(version) = scope.pins().tables.get(name).copied() {
            // It was published while the run went on.
            let commits = history(lakehouse.tables(), name, version, 1).await.unwrap_or_default();
            of = commits.first().and_then(made_of);
            let table = format!("\"{}\".\"{}\"", name.schema(), name.table());
            columns = session.check(&format!("select * from {table}")).await.ok();
            made_at = Some(version);
        } else if let Ok((schema, lineage)) = Box::pin(session.trace(&node.sql)).await {
            of = Some(MadeOf::new(lineage, &session.scope().reads()));
            columns = Some(schema);
        }
        let of = of.unwrap_or_default();
        let inputs = self.names.inputs(&of, |table| scope.version_of(table));
        let output = self.names.output(&Output {
            name,
            columns,
            version: made_at.map(|version| version.0),
            of: &of,
            effect: change.map(Change::effect),
            became: None,
        });
        (inputs, vec![output])
    }

    /// Takes note of a load of the run: files went into the table of a source.
    fn note_landed(&mut self, manifest: &Manifest, report: &LandReport, change: &Change, now: DateTime<Utc>) {
        let source = manifest.nodes.values().find(|node| node.relation.as_ref() == Some(&report.table));
        let (inputs, outputs) = self.names.landed(report, change, change.version().0);
        self.steps.push(StepFacts {
            job: source.map_or_else(|| report.table.to_string(), |node| node.id.to_string()),
            kind: "LOAD",
            query: String::new(),
            began: self.began,
            ended: now,
            state: "COMPLETE",
            error: None,
            inputs,
            outputs,
        });
    }

    /// What a test has found out about what it looked at.
    fn tested(
        &self,
        manifest: &Manifest,
        node: &Node,
        report: &StepReport,
        version_of: &dyn Fn(&TableName) -> Option<u64>,
    ) -> Vec<Value> {
        let success = match &report.verdict {
            Verdict::Passed => true,
            Verdict::Warned(_) | Verdict::Failed(_) => false,
            _ => return Vec::new(),
        };
        let mut assertion = json!({"assertion": node.name, "success": success, "name": node.name});
        if let NodeKind::Test(test) = &node.kind {
            assertion["severity"] = if test.severity == TestSeverity::Warn { "warn" } else { "error" }.into();
            if let TestKind::Generic { test_name, column, .. } = &test.kind {
                assertion["assertion"] = test_name.as_str().into();
                if let Some(column) = column {
                    assertion["column"] = column.as_str().into();
                }
            }
        }
        if let Verdict::Warned(sample) | Verdict::Failed(sample) = &report.verdict {
            assertion["actual"] = sample.count_words().into();
        }
        let attached = match &node.kind {
            NodeKind::Test(test) => test.attached.clone(),
            NodeKind::UnitTest(test) => Some(test.model.clone()),
            _ => None,
        };
        let about = attached.map_or_else(|| manifest.parents(&node.id).to_vec(), |one| vec![one]);
        let tables = about.iter().filter_map(|id| manifest.node(id).relation.as_ref());
        tables
            .map(|table: &TableName| {
                let body = json!({"assertions": [assertion]});
                let mut input = self.names.named(table, at(version_of(table)));
                let facet = facet("1-1-0/DataQualityAssertionsDatasetFacet", body);
                input.insert("inputFacets".into(), json!({"dataQualityAssertions": facet}));
                input.into()
            })
            .collect()
    }
}

fn state(report: &StepReport) -> &'static str {
    match (&report.verdict, &report.visibility) {
        (Verdict::Failed(_) | Verdict::Broken(_) | Verdict::Partly(..), _) => "FAIL",
        (Verdict::Skipped { .. }, _) | (_, Visibility::NotPublished { .. }) => "ABORT",
        _ => "COMPLETE",
    }
}

fn message(report: &StepReport) -> Option<String> {
    match (&report.verdict, &report.visibility) {
        (Verdict::Failed(sample), _) => Some(sample.count_words()),
        (Verdict::Broken(error) | Verdict::Partly(_, error), _) => Some(error.to_string()),
        (Verdict::Skipped { because }, _) => Some(format!("`{because}` failed")),
        (_, Visibility::NotPublished { because }) => Some(format!("not published: {because}")),
        _ => None,
    }
}

pub(super) fn error_facet(why: &str) -> Value {
    facet("1-0-1/ErrorMessageRunFacet", json!({"message": why, "programmingLanguage": "SQL"}))
}

pub(super) fn job_type(kind: &str) -> Value {
    facet("2-0-4/JobTypeJobFacet", json!({"processingType": "BATCH", "integration": "ELT", "jobType": kind}))
}

/// The id as a UUID; one that is made of it, if it is none.
pub(super) fn uuid_of(id: &str) -> String {
    if let Ok(known) = uuid::Uuid::parse_str(id) {
        return known.to_string();
    }
    let hash: [u8; 32] = Sha256::digest(id.as_bytes()).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::lakehouse) enum Destination {
    /// To the end of a file, one a line.
    File(std::path::PathBuf),
    /// To a web server, with a key if it wants one.
    Web { url: String, key: Option<String> },
}

impl Destination {
    /// Where an address leads: an `http` or `https` URL, with OpenLineage's usual path if it has none; a file, else.
    ///
    /// # Errors
    /// It is a URL of another kind.
    pub(in crate::lakehouse) fn read(
        text: &str,
        root: &std::path::Path,
        env: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let said = |name: &str| env.get(name).filter(|value| !value.is_empty()).cloned();
        if !(text.starts_with("http://") || text.starts_with("https://")) {
            let path = text.strip_prefix("file://").unwrap_or(text);
            if let Some((scheme, _)) = path.split_once("://") {
                let what = format!(
                    "events of lineage cannot be sent to `{text}`: `{scheme}` is no way to send them"
                );
                let help = "give a server, as http://localhost:5000, or a file, as events.jsonl";
                return Err(Error::user("elt::openlineage", what, help));
            }
            return Ok(Self::File(root.join(path)));
        }
        let rest = text.split_once("://").map_or("", |(_, rest)| rest);
        let has_path = rest.split_once('/').is_some_and(|(_, path)| !path.is_empty());
        let url = match has_path {
            true => text.to_owned(),
            false => {
                let path = said("OPENLINEAGE_ENDPOINT").unwrap_or_else(|| "api/v1/lineage".to_owned());
                format!("{}/{}", text.trim_end_matches('/'), path.trim_start_matches('/'))
            }
        };
        Ok(Self::Web { url, key: said("OPENLINEAGE_API_KEY") })
    }

    /// Sends events, in their order. Those that come after one that does not arrive are not sent.
    pub(in crate::lakehouse) async fn send(&self, events: &[Value]) -> Result<(), String> {
        match self {
            Self::File(path) => {
                let text: String = events.iter().map(|event| format!("{event}\n")).collect();
                let written = std::fs::OpenOptions::new().create(true).append(true).open(path);
                let written =
                    written.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
                written.map_err(|error| format!("{}: {error}", path.display()))
            }
            Self::Web { url, key } => {
                let headers: Vec<(&str, String)> =
                    key.iter().map(|key| ("authorization", format!("Bearer {key}"))).collect();
                for event in events {
                    let sent = crate::packages::post_json(url, event, &headers);
                    let silent = || format!("{url}: no answer within {ANSWER:?}");
                    tokio::time::timeout(ANSWER, sent).await.map_err(|_| silent())??;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_server_or_a_file() {
        let root = std::path::Path::new("/shop");
        let read = |text: &str, env: &[(&str, &str)]| {
            let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Destination::read(text, root, &env).unwrap()
        };
        let web = |url: &str, key: Option<&str>| Destination::Web {
            url: url.to_owned(),
            key: key.map(str::to_owned),
        };
        assert_eq!(read("http://localhost:5000", &[]), web("http://localhost:5000/api/v1/lineage", None));
        assert_eq!(
            read("http://localhost:5000/", &[("OPENLINEAGE_ENDPOINT", "/x")]),
            web("http://localhost:5000/x", None)
        );
        assert_eq!(
            read("https://a.example/in", &[("OPENLINEAGE_API_KEY", "k")]),
            web("https://a.example/in", Some("k"))
        );
        assert_eq!(read("events.jsonl", &[]), Destination::File("/shop/events.jsonl".into()));
        assert_eq!(read("file:///tmp/e", &[]), Destination::File("/tmp/e".into()));
        assert!(Destination::read("nope://x", root, &BTreeMap::new()).is_err());
    }

    #[test]
    fn every_id_is_a_uuid() {
        let known = "2a2f1fae-1660-4515-b730-e9741e8b4ce1";
        assert_eq!(uuid_of(known), known);
        assert_eq!(uuid_of("id-0001"), uuid_of("id-0001"));
        assert!(uuid::Uuid::parse_str(&uuid_of("id-0001")).is_ok());
    }
}
