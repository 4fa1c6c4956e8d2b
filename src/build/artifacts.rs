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
use sha2::{Digest, Sha256};

use super::report::{StepReport, Verdict};
use super::sql_text;
use crate::base::TableName;
use crate::compile::{
    Condition, DBT_VERSION, DocumentNode, Edition, Manifest, NamedSelector, Node, NodeId, NodeKind, TestKind,
    TestNode, TestSeverity, md5_hex,
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
    about.insert("adapter_type".into(), manifest.written.engine.as_str().into());
    let (mut nodes, mut sources, mut unit_tests) = (Map::new(), Map::new(), Map::new());
    let (mut parent_map, mut child_map) = (Map::new(), Map::new());
    let ids = |ids: &[NodeId]| ids.iter().map(|id| Value::from(id.as_str())).collect::<Value>();
    for (id, node) in &manifest.nodes {
        let node = late.get(id).unwrap_or(node);
        let parents = ids(manifest.parents(id));
        parent_map.insert(id.to_string(), parents.clone());
        child_map.insert(id.to_string(), ids(manifest.children(id)));
        let entry = node_entry(node, parents, manifest, stamp);
        match &node.kind {
            NodeKind::Source(_) => sources.insert(id.to_string(), source_entry(node)),
            NodeKind::UnitTest(_) => unit_tests.insert(id.to_string(), entry),
            _ => nodes.insert(id.to_string(), entry),
        };
    }
    let macros: Map<String, Value> = manifest
        .written
        .macros
        .iter()
        .map(|one| {
            let entry = json!({
                "name": one.name, "resource_type": "macro", "package_name": one.package, "path": one.path,
                "original_file_path": one.path, "unique_id": one.id, "macro_sql": one.text,
                "depends_on": {"macros": []}, "description": "", "meta": {}, "docs": {"show": true, "node_color": null},
                "patch_path": null, "arguments": [], "created_at": 0.0, "supported_languages": null, "config": {},
            });
            (one.id.clone(), entry)
        })
        .collect();
    let docs: Map<String, Value> = manifest
        .written
        .docs
        .iter()
        .map(|(package, name, text)| {
            let id = format!("doc.{package}.{name}");
            let entry = json!({
                "name": name, "resource_type": "doc", "package_name": package, "path": "", "original_file_path": "",
                "unique_id": id, "block_contents": text,
            });
            (id, entry)
        })
        .collect();
    for document in manifest.documents.iter().filter(|document| document.kind != "group") {
        parent_map.insert(document.id.to_string(), ids(&document.depends_on));
        child_map.entry(document.id.to_string()).or_insert_with(|| json!([]));
        for parent in &document.depends_on {
            if let Some(Value::Array(children)) = child_map.get_mut(parent.as_str()) {
                children.push(document.id.as_str().into());
            }
        }
    }
    let of = |kind: &str| -> Map<String, Value> {
        let those = manifest.documents.iter().filter(|document| document.kind == kind);
        those.map(|document| (document.id.to_string(), document_entry(document))).collect()
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
        "disabled": {}, "parent_map": parent_map, "child_map": child_map, "group_map": group_map,
        "saved_queries": of("saved_query"), "semantic_models": of("semantic_model"), "unit_tests": unit_tests,
        "functions": {},
    })
}

fn columns(node: &Node) -> Map<String, Value> {
    let entry = |column: &crate::compile::Column| {
        let value = json!({
            "name": column.name, "description": column.description, "meta": {}, "data_type": column.data_type,
            "constraints": [], "quote": null, "config": {"meta": {}, "tags": column.tags}, "tags": column.tags,
            "granularity": null, "doc_blocks": [],
        });
        (column.name.clone(), value)
    };
    node.columns.iter().map(entry).collect()
}

fn checksum(text: &str) -> Value {
    let hash: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    json!({"name": "sha256", "checksum": hash})
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

/// A node's settings with dbt's defaults below them.
fn config(node: &Node) -> Map<String, Value> {
    let materialized = materialized(node);
    let mut all = json!({
        "enabled": true, "alias": null, "schema": null, "database": null, "tags": node.tags, "meta": {},
        "group": null, "materialized": materialized, "incremental_strategy": null, "batch_size": null,
        "lookback": 1, "begin": null, "persist_docs": {}, "post-hook": [], "pre-hook": [], "quoting": {},
        "column_types": {}, "full_refresh": null, "unique_key": null, "on_schema_change": "ignore",
        "on_configuration_change": "apply", "grants": {}, "packages": [],
        "docs": {"show": true, "node_color": null}, "contract": {"enforced": false, "alias_types": true},
        "event_time": null, "concurrent_batches": null, "access": "protected", "freshness": null,
    });
    if let NodeKind::Test(test) = &node.kind {
        let severity = if test.severity == TestSeverity::Warn { "WARN" } else { "ERROR" };
        all = json!({
            "enabled": true, "alias": null, "schema": "dbt_test__audit", "database": null, "tags": node.tags,
            "meta": {}, "group": null, "materialized": "test", "severity": severity,
            "store_failures": test.stored.is_some(), "store_failures_as": null, "where": null, "limit": test.limit,
            "fail_calc": test.fail_calc, "warn_if": test.warn_if.to_string(), "error_if": test.error_if.to_string(),
        });
    }
    let mut all = all.as_object().cloned().unwrap_or_default();
    for (key, value) in &node.config {
        let key = match key.as_str() {
            "pre_hook" => "pre-hook",
            "post_hook" => "post-hook",
            key => key,
        };
        if !(key == "severity" && value.is_string()) {
            all.insert(key.to_owned(), value.clone());
        }
    }
    all
}

fn node_entry(node: &Node, parents: Value, manifest: &Manifest, stamp: &Stamp) -> Value {
    let schema = match (&node.relation, &node.kind) {
        (Some(name), _) => name.schema().to_owned(),
        (None, NodeKind::Test(_)) => format!("{}_dbt_test__audit", manifest.written.schema),
        (None, _) => manifest.written.schema.clone(),
    };
    let relation = node.relation.as_ref();
    let file = node.path.rsplit('/').next().unwrap_or(&node.path);
    let inside: Vec<&str> = node.fqn.iter().skip(1).map(String::as_str).collect();
    let inside =
        inside[..inside.len().saturating_sub(1)].iter().copied().chain([file]).collect::<Vec<_>>().join("/");
    let refs: Vec<Value> = node
        .refs
        .iter()
        .map(|one| {
            let version = one.version.as_deref().map(Edition::written);
            json!({"name": one.name, "package": one.package, "version": version})
        })
        .collect();
    let sources: Vec<Value> = node.source_refs.iter().map(|(source, table)| json!([source, table])).collect();
    let described = !node.description.is_empty() || !node.columns.is_empty();
    let mut entry = json!({
        "database": "elt", "schema": schema, "name": node.name,
        "resource_type": node.resource_type(), "package_name": node.package, "path": inside,
        "original_file_path": node.path, "unique_id": node.id.as_str(), "fqn": node.fqn,
        "alias": relation.map_or(node.name.as_str(), TableName::table), "checksum": checksum(&node.raw),
        "config": config(node), "tags": node.tags, "description": node.description, "columns": columns(node),
        "meta": node.config.get("meta").cloned().unwrap_or_else(|| json!({})),
        "group": node.config.get("group"), "docs": {"show": true, "node_color": null},
        "patch_path": described.then(|| format!("{}://{}", node.package, node.path)), "build_path": null,
        "unrendered_config": node.config, "created_at": stamp.started.timestamp_micros() as f64 / 1e6
    });
    let more = json!({
        "relation_name": relation.map(sql_text::table), "raw_code": &*node.raw, "doc_blocks": [],
        "language": "sql", "refs": refs, "sources": sources, "metrics": [], "functions": [],
        "depends_on": {"macros": node.macros, "nodes": parents}, "compiled_path": null,
        "compiled": !node.sql.is_empty(), "compiled_code": node.sql, "extra_ctes_injected": true, "extra_ctes": [],
        "contract": {"enforced": false, "alias_types": true, "checksum": null},
        "access": node.config.get("access").cloned().unwrap_or_else(|| "protected".into()), "constraints": [],
        "version": node.edition.as_ref().map(|edition| Edition::written(&edition.version)),
        "latest_version": node.edition.as_ref().map(|edition| Edition::written(&edition.latest)),
        "deprecation_date": node.config.get("deprecation_date"), "primary_key": [], "time_spine": null,
    });
    if let (Value::Object(entry), Value::Object(more)) = (&mut entry, more) {
        entry.extend(more);
    }
    for key in foreign(&node.kind) {
        if let Value::Object(entry) = &mut entry {
            entry.remove(*key);
        }
    }
    if let NodeKind::Test(test) = &node.kind {
        add_test(&mut entry, test);
    }
    if let NodeKind::UnitTest(test) = &node.kind {
        entry["model"] = test.model.as_str().rsplit('.').next().unwrap_or_default().into();
        entry["tested_node_unique_id"] = test.model.as_str().into();
    }
    if let NodeKind::Seed(seed) = &node.kind {
        entry["root_path"] = seed.file.display().to_string().into();
        entry["raw_code"] = "".into();
        entry["depends_on"] = json!({"macros": []});
    }
    entry
}

/// The keys of a model that other nodes do not have.
fn foreign(kind: &NodeKind) -> &'static [&'static str] {
    const OF_MODELS: &[&str] = &[
        "access",
        "constraints",
        "deprecation_date",
        "latest_version",
        "primary_key",
        "time_spine",
        "version",
    ];
    const OF_QUERIES: &[&str] = &[
        "access",
        "compiled",
        "compiled_code",
        "compiled_path",
        "constraints",
        "contract",
        "deprecation_date",
        "extra_ctes",
        "extra_ctes_injected",
        "functions",
        "language",
        "latest_version",
        "metrics",
        "primary_key",
        "refs",
        "sources",
        "time_spine",
        "version",
    ];
    match kind {
        NodeKind::Model(_) | NodeKind::Source(_) | NodeKind::UnitTest(_) => &[],
        NodeKind::Seed(_) => OF_QUERIES,
        NodeKind::Test(_) | NodeKind::Snapshot(_) | NodeKind::Analysis => OF_MODELS,
    }
}

fn add_test(entry: &mut Value, test: &TestNode) {
    let TestKind::Generic { test_name, column, package, arguments, .. } = &test.kind else { return };
    let mut kwargs = arguments.clone();
    if let Some(column) = column {
        kwargs.insert("column_name".into(), column.as_str().into());
    }
    entry["test_metadata"] = json!({"name": test_name, "namespace": package, "kwargs": kwargs});
    entry["column_name"] = column.as_deref().into();
    entry["attached_node"] = test.attached.as_ref().map(NodeId::as_str).into();
    entry["file_key_name"] = Value::Null;
}

fn source_entry(node: &Node) -> Value {
    let NodeKind::Source(source) = &node.kind else { return Value::Null };
    let relation = node.relation.as_ref();
    json!({
        "database": "elt", "schema": relation.map(TableName::schema), "name": source.table,
        "resource_type": "source", "package_name": node.package, "path": node.path, "original_file_path": node.path,
        "unique_id": node.id.as_str(), "fqn": node.fqn, "source_name": source.source, "source_description": "",
        "loader": "", "identifier": relation.map(TableName::table),
        "quoting": {"database": null, "schema": null, "identifier": null, "column": null},
        "loaded_at_field": node.config.get("loaded_at_field"), "loaded_at_query": node.config.get("loaded_at_query"),
        "freshness": node.config.get("freshness"), "external": null, "description": node.description,
        "columns": columns(node), "meta": node.config.get("meta").cloned().unwrap_or_else(|| json!({})),
        "source_meta": {}, "tags": node.tags, "config": {"enabled": true}, "patch_path": null,
        "unrendered_config": {}, "relation_name": relation.map(sql_text::table), "created_at": 0.0,
        "unrendered_database": null, "unrendered_schema": null, "doc_blocks": [],
    })
}

fn document_entry(document: &DocumentNode) -> Value {
    let mut entry = document.written.as_object().cloned().unwrap_or_default();
    let depends_on: Vec<&str> = document.depends_on.iter().map(NodeId::as_str).collect();
    let facts = [
        ("unique_id", json!(document.id.as_str())),
        ("resource_type", json!(document.kind)),
        ("package_name", json!(document.package)),
        ("path", json!(document.path)),
        ("original_file_path", json!(document.path)),
        ("fqn", json!(document.fqn)),
        ("depends_on", json!({"macros": [], "nodes": depends_on})),
    ];
    entry.extend(facts.map(|(key, value)| (key.to_owned(), value)));
    for (key, value) in [
        ("description", json!("")),
        ("meta", json!({})),
        ("tags", json!([])),
        ("config", json!({"enabled": true})),
    ] {
        entry.entry(key).or_insert(value);
    }
    Value::Object(entry)
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
