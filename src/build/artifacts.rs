//! What do other tools read of a build?
//!
//! dbt's artifacts, by dbt's field names: `manifest.json` (version 12), `run_results.json` (6),
//! `catalog.json` (1) and `sources.json` (3). Documentation sites, orchestrators and linters live on them.
//! What elt has no notion of is there with dbt's default.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};

use super::compiled::{COMPILED, RUN, place};
use super::report::{StepReport, Verdict};
use super::sql_text;
use crate::base::Told;
use crate::compile::{Condition, DBT_VERSION, Manifest, Node, NodeId, NodeKind, TestNode};

/// Which run an artifact is of.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The run's id.
    pub run: String,
    /// When the run began.
    pub started: DateTime<Utc>,
    /// When the artifact is written.
    pub at: DateTime<Utc>,
    /// The verb: `build`, `test` …
    pub command: String,
    /// What else was asked, for `args`.
    pub arguments: Map<String, Value>,
    /// The folder of artifacts, as paths in them begin; nothing if none are written.
    pub target: Option<String>,
    /// The nodes whose statements are written down.
    pub executed: BTreeSet<NodeId>,
}

impl Stamp {
    /// The stamp of what is written nowhere.
    pub(super) fn none() -> Self {
        Self {
            run: String::new(),
            started: DateTime::UNIX_EPOCH,
            at: DateTime::UNIX_EPOCH,
            command: String::new(),
            arguments: Map::new(),
            target: None,
            executed: BTreeSet::new(),
        }
    }

    /// The file of a node's compiled SQL, if it has one.
    pub(super) fn compiled_at(&self, node: &Node, manifest: &Manifest) -> Option<String> {
        self.file(COMPILED, node, manifest).filter(|_| !node.sql.is_empty())
    }

    /// The file of the statements that were carried out for a node, if some were.
    pub(super) fn executed_at(&self, node: &Node, manifest: &Manifest) -> Option<String> {
        self.file(RUN, node, manifest).filter(|_| self.executed.contains(&node.id))
    }

    fn file(&self, folder: &str, node: &Node, manifest: &Manifest) -> Option<String> {
        let target = self.target.as_ref()?;
        Some(format!("{target}/{folder}/{}", place(node, manifest).display()))
    }
}

/// Writes an artifact as `<target>/<name>`, entry by entry: it may be far larger than what is kept in memory of it.
///
/// Whoever reads meanwhile reads the one before, whole.
pub fn write(target: &Path, name: &str, artifact: &impl Serialize) -> io::Result<()> {
    fs::create_dir_all(target)?;
    let beside = target.join(format!("{name}.new"));
    let mut file = BufWriter::new(fs::File::create(&beside)?);
    serde_json::to_writer(&mut file, artifact).map_err(io::Error::other)?;
    file.flush()?;
    fs::rename(beside, target.join(name))
}

pub(super) fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

pub(super) fn metadata(kind: &str, version: u32, stamp: &Stamp) -> Map<String, Value> {
    let mut metadata = Map::new();
    let schema = format!("https://schemas.getdbt.com/dbt/{kind}/v{version}.json");
    metadata.insert("dbt_schema_version".into(), schema.into());
    metadata.insert("dbt_version".into(), DBT_VERSION.into());
    metadata.insert("generated_at".into(), instant(stamp.at).into());
    metadata.insert("invocation_id".into(), stamp.run.as_str().into());
    metadata.insert("invocation_started_at".into(), instant(stamp.started).into());
    metadata.insert("env".into(), json!({}));
    metadata
}

/// Entries of a mapping, made one after the other while it is written.
pub(super) struct Each<F>(pub(super) F);

impl<F, I, K, V> Serialize for Each<F>
where
    F: Fn() -> I,
    I: Iterator<Item = (K, V)>,
    K: Serialize,
    V: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in (self.0)() {
            map.serialize_entry(&key, &value)?;
        }
        map.end()
    }
}

/// `graph_summary.json`, to be written: who reads whom, by numbers.
#[derive(Clone, Copy, Debug)]
pub struct GraphSummary<'a> {
    manifest: &'a Manifest,
    stamp: &'a Stamp,
}

/// `graph_summary.json` of a project.
pub fn graph_summary<'a>(manifest: &'a Manifest, stamp: &'a Stamp) -> GraphSummary<'a> {
    GraphSummary { manifest, stamp }
}

impl Serialize for GraphSummary<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let manifest = self.manifest;
        let numbers: HashMap<&NodeId, usize> =
            manifest.nodes.keys().enumerate().map(|(at, id)| (id, at)).collect();
        let one = |(at, (id, node)): (usize, (&NodeId, &Node))| {
            let children: Vec<usize> =
                manifest.children(id).iter().filter_map(|child| numbers.get(child)).copied().collect();
            let mut entry = json!({"name": id.as_str(), "type": node.resource_type()});
            if !children.is_empty() {
                entry["succ"] = json!(children);
            }
            (at.to_string(), entry)
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("_invocation_id", &self.stamp.run)?;
        map.serialize_entry("linked", &Each(|| manifest.nodes.iter().enumerate().map(one)))?;
        map.end()
    }
}

/// `perf_info.json`: how much was read, and how long that and understanding it took.
pub fn perf_info(manifest: &Manifest, read: Duration, parsed: Duration, is_partial: bool) -> Value {
    let mut counts: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for node in manifest.nodes.values() {
        let kinds = counts.entry(&node.package).or_default();
        kinds.entry(node.resource_type()).or_default().insert(&node.path);
    }
    for one in &manifest.written.macros {
        counts.entry(&one.package).or_default().entry("macro").or_default().insert(&one.path);
    }
    let project = |(name, kinds): (&&str, &BTreeMap<&str, BTreeSet<&str>>)| {
        let parser = |(kind, files): (&&str, &BTreeSet<&str>)| json!({"parser": kind, "parsed_path_count": files.len(), "elapsed": null});
        let files: BTreeSet<&&str> = kinds.values().flatten().collect();
        json!({
            "project_name": name, "elapsed": null, "parsed_path_count": files.len(),
            "parsers": kinds.iter().map(parser).collect::<Vec<_>>(),
        })
    };
    let projects: Vec<Value> = counts.iter().map(project).collect();
    let files: u64 = projects.iter().filter_map(|one| one["parsed_path_count"].as_u64()).sum();
    // All is read and understood in two steps; dbt's others are parts of the second.
    json!({
        "path_count": files, "parsed_path_count": files, "static_analysis_path_count": 0,
        "static_analysis_parsed_path_count": 0, "is_partial_parse_enabled": is_partial,
        "is_static_analysis_enabled": false, "read_files_elapsed": read.as_secs_f64(), "load_macros_elapsed": null,
        "parse_project_elapsed": parsed.as_secs_f64(), "patch_sources_elapsed": null,
        "process_manifest_elapsed": null, "load_all_elapsed": (read + parsed).as_secs_f64(), "projects": projects,
    })
}

/// dbt's word for how a node is made.
pub(super) fn materialized(node: &Node) -> &'static str {
    match &node.kind {
        NodeKind::Model(materialization) => materialization.word(),
        NodeKind::Seed(_) => "seed",
        NodeKind::Snapshot(_) => "snapshot",
        NodeKind::Test(_) => "test",
        NodeKind::UnitTest(_) => "unit",
        NodeKind::Analysis | NodeKind::Source(_) => "view",
    }
}

/// dbt's sentence for a step: what a test counted, what went wrong.
pub(super) fn message(step: &StepReport, node: Option<&Node>) -> Option<String> {
    let condition = |of: fn(&TestNode) -> &Condition| match node.map(|node| &node.kind) {
        Some(NodeKind::Test(test)) => of(test).to_string(),
        _ => "!= 0".to_owned(),
    };
    let results =
        |failures: f64| if failures == 1.0 { "1 result".to_owned() } else { format!("{failures} results") };
    match &step.verdict {
        Verdict::Made(effect) => Some(format!("OK {}", effect.added + effect.updated)),
        Verdict::Partly(_, error) => {
            let (good, bad) =
                step.batches.as_ref().map_or((0, 0), |all| (all.successful.len(), all.failed.len()));
            Some(format!("PARTIAL SUCCESS ({good}/{}): {error}", good + bad))
        }
        Verdict::Passed => None,
        Verdict::Warned(sample) => Some(format!(
            "Got {}, configured to warn if {}",
            results(sample.failures),
            condition(|test| &test.warn_if)
        )),
        Verdict::Failed(sample) => Some(format!(
            "Got {}, configured to fail if {}",
            results(sample.failures),
            condition(|test| &test.error_if)
        )),
        Verdict::Broken(error) => Some(error.to_string()),
        Verdict::Skipped { because } => Some(format!("skipped, because `{because}` failed")),
    }
}

/// `run_results.json`: what happened to each node.
pub fn run_results(
    steps: &[StepReport],
    manifest: &Manifest,
    late: &BTreeMap<NodeId, Node>,
    stamp: &Stamp,
) -> Value {
    let result = |step: &StepReport| {
        let node = late.get(&step.node).or_else(|| manifest.nodes.get(&step.node));
        let began = stamp.started + step.began;
        let timing = |name: &str, from: DateTime<Utc>, to: DateTime<Utc>| json!({"name": name, "started_at": instant(from), "completed_at": instant(to)});
        let failures = match &step.verdict {
            Verdict::Passed => Some(0.0),
            Verdict::Warned(sample) | Verdict::Failed(sample) => Some(sample.failures),
            _ => None,
        };
        let failures =
            failures.map(|count| if count.fract() == 0.0 { json!(count as i64) } else { json!(count) });
        let rows = if let Verdict::Made(effect) = &step.verdict {
            Some(effect.added + effect.updated)
        } else {
            None
        };
        let mut response = match rows {
            Some(rows) => json!({"_message": format!("OK {rows}"), "code": "OK", "rows_affected": rows}),
            None => json!({}),
        };
        if !step.expectations.is_empty() {
            response["expectations"] = json!(step.expectations);
        }
        let skipped = matches!(step.verdict, Verdict::Skipped { .. });
        json!({
            "status": step.verdict.status(),
            "timing": if skipped { json!([]) } else { json!([timing("compile", began, began), timing("execute", began, began + step.took)]) },
            "thread_id": "Thread-1", "execution_time": step.took.as_secs_f64(), "adapter_response": response,
            "message": message(step, node), "failures": failures, "unique_id": step.node.as_str(),
            "compiled": node.map(|node| !node.sql.is_empty()), "compiled_code": node.map(|node| node.sql.as_str()),
            "relation_name": node.and_then(|node| node.relation.as_ref()).map(sql_text::table), "batch_results": step.batches.as_ref().map(|batches| {
                let stretches = |all: &[(DateTime<Utc>, DateTime<Utc>)]| -> Vec<Value> {
                    all.iter().map(|(start, end)| json!([instant(*start), instant(*end)])).collect()
                };
                json!({"successful": stretches(&batches.successful), "failed": stretches(&batches.failed)})
            }),
        })
    };
    run_results_of(steps.iter().map(result).collect(), stamp)
}

/// What is known of a node of a run that goes on.
#[derive(Clone, Debug)]
pub struct SoFar {
    /// `model.shop.orders`
    pub unique_id: String,
    /// Its table, quoted; empty if it is none.
    pub relation: String,
    /// How its step ended.
    pub told: Told,
    /// How long that took.
    pub took: Duration,
}

/// `run_results.json` of a run that has not come to its end.
pub fn run_results_so_far(results: &[SoFar], stamp: &Stamp) -> Value {
    run_results_of(results.iter().map(result_so_far).collect(), stamp)
}

fn result_so_far(one: &SoFar) -> Value {
    let failures = one.told.failures.map(|count| count as i64);
    let relation = Some(one.relation.as_str()).filter(|name| !name.is_empty());
    json!({
        "status": one.told.status, "timing": [], "thread_id": "Thread-1", "execution_time": one.took.as_secs_f64(),
        "adapter_response": {}, "message": one.told.message, "failures": failures, "unique_id": one.unique_id,
        "compiled": null, "compiled_code": null, "relation_name": relation, "batch_results": null,
    })
}

/// The same `run_results.json` with the hooks of the whole run, before its nodes and after them.
pub fn with_operations(mut results: Value, before: &[SoFar], after: &[SoFar]) -> Value {
    if let Some(Value::Array(nodes)) = results.get_mut("results") {
        nodes.splice(0..0, before.iter().map(result_so_far));
        nodes.extend(after.iter().map(result_so_far));
    }
    results
}

fn run_results_of(results: Vec<Value>, stamp: &Stamp) -> Value {
    let mut args = stamp.arguments.clone();
    args.insert("which".into(), stamp.command.as_str().into());
    args.insert("invocation_command".into(), format!("elt {}", stamp.command).into());
    json!({
        "metadata": metadata("run-results", 6, stamp),
        "results": results,
        "elapsed_time": (stamp.at - stamp.started).num_milliseconds() as f64 / 1000.0,
        "args": args,
    })
}

/// What can be read of a node: whether it is a view, and its columns with their types.
type Readable = (bool, Vec<(String, String)>);

/// `catalog.json`: the columns that tables and views really have.
///
/// `found` has, for each node that can be read, whether it is a view and its columns with their types.
pub fn catalog(manifest: &Manifest, found: &BTreeMap<NodeId, Readable>, stamp: &Stamp) -> Value {
    let (mut nodes, mut sources) = (Map::new(), Map::new());
    for (id, (is_view, columns)) in found {
        let Some(node) = manifest.nodes.get(id) else { continue };
        let Some(name) = &node.relation else { continue };
        let columns: Map<String, Value> = columns
            .iter()
            .enumerate()
            .map(|(at, (name, data_type))| {
                let told = node.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
                let comment = told.map(|column| column.description.clone()).filter(|text| !text.is_empty());
                (name.clone(), json!({"type": data_type, "index": at + 1, "name": name, "comment": comment}))
            })
            .collect();
        let entry = json!({
            "metadata": {
                "type": if *is_view { "VIEW" } else { "BASE TABLE" }, "schema": name.schema(), "name": name.table(),
                "database": "elt", "comment": node.description, "owner": null,
            },
            "columns": columns,
            "stats": {"has_stats": {"id": "has_stats", "label": "Has Stats?", "value": false, "include": false, "description": "Indicates whether there are statistics for this table"}},
            "unique_id": id.as_str(),
        });
        match node.kind {
            NodeKind::Source(_) => sources.insert(id.to_string(), entry),
            _ => nodes.insert(id.to_string(), entry),
        };
    }
    json!({"metadata": metadata("catalog", 1, stamp), "nodes": nodes, "sources": sources, "errors": null})
}

/// `sources.json`: how old the rows of sources are.
pub fn freshness_results(results: Vec<Value>, stamp: &Stamp) -> Value {
    json!({
        "metadata": metadata("sources", 3, stamp),
        "results": results,
        "elapsed_time": (stamp.at - stamp.started).num_milliseconds() as f64 / 1000.0,
    })
}
