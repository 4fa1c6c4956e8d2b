//! What do other tools read of a build?
//!
//! dbt's artifacts, by dbt's field names: `manifest.json` (version 12), `run_results.json` (6),
//! `catalog.json` (1) and `sources.json` (3). Documentation sites, orchestrators and linters live on them.
//! What elt has no notion of is there with dbt's default.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::entries;
use super::report::{StepReport, Verdict};
use super::sql_text;
use crate::compile::{
    Condition, DBT_VERSION, Manifest, NamedSelector, Node, NodeId, NodeKind, TestNode, md5_hex,
};

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
}

/// Writes an artifact as `<target>/<name>`.
pub fn write(target: &Path, name: &str, artifact: &Value) -> io::Result<()> {
    fs::create_dir_all(target)?;
    let bytes = serde_json::to_vec(artifact).map_err(io::Error::other)?;
    fs::write(target.join(name), bytes)
}

fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

fn metadata(kind: &str, version: u32, stamp: &Stamp) -> Map<String, Value> {
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

/// `manifest.json`: the project as it is meant. `late` are the nodes that were compiled while they were built.
pub fn manifest(manifest: &Manifest, late: &BTreeMap<NodeId, Node>, stamp: &Stamp) -> Value {
    let mut about = metadata("manifest", 12, stamp);
    about.insert("project_name".into(), manifest.project.as_str().into());
    about.insert("project_id".into(), md5_hex(&manifest.project).into());
    about.insert("user_id".into(), Value::Null);
    about.insert("send_anonymous_usage_stats".into(), false.into());
    about.insert("run_started_at".into(), instant(stamp.started).into());
    let quoting = json!({"database": true, "schema": true, "identifier": true, "column": null});
    about.insert("quoting".into(), quoting);
    about.insert("adapter_type".into(), manifest.written.engine.as_str().into());
    let (mut nodes, mut sources, mut unit_tests) = (Map::new(), Map::new(), Map::new());
    let (mut parent_map, mut child_map) = (Map::new(), Map::new());
    let ids = |ids: &[NodeId]| ids.iter().map(|id| Value::from(id.as_str())).collect::<Value>();
    for (id, node) in &manifest.nodes {
        let node = late.get(id).unwrap_or(node);
        let parents = ids(manifest.parents(id));
        parent_map.insert(id.to_string(), parents.clone());
        child_map.insert(id.to_string(), ids(manifest.children(id)));
        match &node.kind {
            NodeKind::Source(_) => sources.insert(id.to_string(), entries::source(node, manifest)),
            NodeKind::UnitTest(test) => {
                unit_tests.insert(id.to_string(), entries::unit_test(node, test, parents, manifest))
            }
            _ => nodes.insert(id.to_string(), entries::node(node, parents, manifest, stamp)),
        };
    }
    let macros = manifest.written.macros.iter();
    let macros: Map<String, Value> =
        macros.map(|one| (one.id.clone(), entries::macro_text(one, manifest))).collect();
    let docs = manifest.written.docs.iter().map(entries::doc);
    let docs: Map<String, Value> =
        docs.map(|one| (one["unique_id"].as_str().unwrap_or_default().to_owned(), one)).collect();
    let mut disabled: Map<String, Value> = Map::new();
    for node in &manifest.disabled {
        let entry = match &node.kind {
            NodeKind::UnitTest(test) => entries::unit_test(node, test, json!([]), manifest),
            _ => entries::node(node, json!([]), manifest, stamp),
        };
        if let Value::Array(all) = disabled.entry(node.id.to_string()).or_insert_with(|| json!([])) {
            all.push(entry);
        }
    }
    let documents = || manifest.documents.iter().filter(|document| document.kind != "group");
    for document in documents() {
        parent_map.insert(document.id.to_string(), ids(&document.depends_on));
        child_map.entry(document.id.to_string()).or_insert_with(|| json!([]));
    }
    for document in documents() {
        for parent in &document.depends_on {
            if let Some(Value::Array(children)) = child_map.get_mut(parent.as_str()) {
                children.push(document.id.as_str().into());
            }
        }
    }
    let of = |kind: &str| -> Map<String, Value> {
        let those = manifest.documents.iter().filter(|document| document.kind == kind);
        those
            .map(|document| (document.id.to_string(), entries::document(document, manifest, stamp)))
            .collect()
    };
    let mut group_map: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for node in manifest.nodes.values() {
        if let Some(group) = node.config.get("group").and_then(Value::as_str) {
            group_map.entry(group.to_owned()).or_default().push(node.id.as_str());
        }
    }
    let selector = |(name, one): (&String, &NamedSelector)| {
        let entry = json!({"name": name, "description": one.description, "definition": one.written});
        (name.clone(), entry)
    };
    let selectors: Map<String, Value> = manifest.selectors.iter().map(selector).collect();
    json!({
        "metadata": about, "nodes": nodes, "sources": sources, "macros": macros, "docs": docs,
        "exposures": of("exposure"), "metrics": of("metric"), "groups": of("group"), "selectors": selectors,
        "disabled": disabled, "parent_map": parent_map, "child_map": child_map, "group_map": group_map,
        "saved_queries": of("saved_query"), "semantic_models": of("semantic_model"), "unit_tests": unit_tests,
        "functions": {},
    })
}

/// `graph_summary.json`: who reads whom, by numbers.
pub fn graph_summary(manifest: &Manifest, stamp: &Stamp) -> Value {
    let numbers: BTreeMap<&NodeId, usize> =
        manifest.nodes.keys().enumerate().map(|(at, id)| (id, at)).collect();
    let one = |(id, at): (&&NodeId, &usize)| {
        let children: Vec<usize> =
            manifest.children(id).iter().filter_map(|child| numbers.get(child)).copied().collect();
        let mut entry = json!({"name": id.as_str(), "type": manifest.node(id).resource_type()});
        if !children.is_empty() {
            entry["succ"] = json!(children);
        }
        (at.to_string(), entry)
    };
    let linked: Map<String, Value> = numbers.iter().map(one).collect();
    json!({"_invocation_id": stamp.run, "linked": linked})
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
        Verdict::Partly(_, error) => Some(format!("PARTIAL SUCCESS: {error}")),
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
        let response = match rows {
            Some(rows) => json!({"_message": format!("OK {rows}"), "code": "OK", "rows_affected": rows}),
            None => json!({}),
        };
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
    let mut args = stamp.arguments.clone();
    args.insert("which".into(), stamp.command.as_str().into());
    args.insert("invocation_command".into(), format!("elt {}", stamp.command).into());
    json!({
        "metadata": metadata("run-results", 6, stamp),
        "results": steps.iter().map(result).collect::<Vec<_>>(),
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
