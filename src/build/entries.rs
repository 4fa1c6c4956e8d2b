//! What does `manifest.json` have of one node, macro or docs block?
//!
//! Every key by dbt's name, with dbt's default where elt has no notion of it, and paths relative to the package.
//!
//! Not here: the file as a whole ([`artifacts`](super::artifacts)).

mod promises;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub(super) use promises::time_spine;
use promises::{constraints, contract_checksum, primary_key};

use super::artifacts::{Stamp, materialized};
use super::{semantic, sql_text};
use crate::base::TableName;
use crate::compile::{
    DocText, DocumentNode, Edition, MacroText, Manifest, Node, NodeId, NodeKind, Reference, TestKind,
    TestNode, TestSeverity, UnitTestNode, md5_hex,
};

/// The most bytes of a seed whose content is hashed; of larger ones the path is, as in dbt.
const LARGEST_SEED: usize = 1024 * 1024;

fn sha256(text: &[u8]) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash of a node's file, by which `state:modified` knows it again.
fn checksum(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Seed(seed) => match std::fs::read(&seed.file) {
            Ok(bytes) if bytes.len() <= LARGEST_SEED => {
                json!({"name": "sha256", "checksum": sha256(bytes.trim_ascii())})
            }
            _ => json!({"name": "path", "checksum": node.path}),
        },
        NodeKind::Test(test) if test.kind != TestKind::Singular => json!({"name": "none", "checksum": ""}),
        _ => json!({"name": "sha256", "checksum": sha256(node.raw.trim().as_bytes())}),
    }
}

/// The ids of the docs blocks that a description of a package is made of.
fn doc_blocks(manifest: &Manifest, package: &str, description: &str) -> Value {
    let of = (package.to_owned(), description.to_owned());
    json!(manifest.written.doc_blocks.get(&of).map_or(&[][..], Vec::as_slice))
}

fn columns(node: &Node, manifest: &Manifest) -> Map<String, Value> {
    let entry = |column: &crate::compile::Column| {
        let value = json!({
            "name": column.name, "description": column.description, "meta": column.meta,
            "data_type": column.data_type, "constraints": constraints(node, Some(&column.name)),
            "quote": column.quote, "config": {"meta": column.meta, "tags": column.tags}, "tags": column.tags,
            "granularity": column.granularity,
            "doc_blocks": doc_blocks(manifest, &node.package, &column.description),
        });
        (column.name.clone(), value)
    };
    node.columns.iter().map(entry).collect()
}

/// Hooks as dbt keeps them: each with whether it is part of the transaction.
fn hooks(value: &Value) -> Value {
    let one = |hook: &Value| match hook {
        Value::Object(hook) => json!({
            "sql": hook.get("sql"), "transaction": hook.get("transaction").cloned().unwrap_or(true.into()), "index": null,
        }),
        text => json!({"sql": text, "transaction": true, "index": null}),
    };
    match value {
        Value::Array(hooks) => hooks.iter().map(one).collect(),
        Value::Null => json!([]),
        hook => json!([one(hook)]),
    }
}

/// A key of a setting, as dbt writes it.
fn config_key(key: &str) -> &str {
    match key {
        "pre_hook" => "pre-hook",
        "post_hook" => "post-hook",
        key => key,
    }
}

/// Properties of a model that are kept among its settings, and are none to dbt.
const BESIDE: [&str; 2] = ["constraints", "time_spine"];

/// A node's settings with dbt's defaults below them.
fn config(node: &Node) -> Map<String, Value> {
    let mut all = match &node.kind {
        NodeKind::Test(test) => {
            let severity = if test.severity == TestSeverity::Warn { "WARN" } else { "ERROR" };
            json!({
                "enabled": true, "alias": null, "schema": "dbt_test__audit", "database": null, "tags": node.tags,
                "meta": {}, "group": null, "static_analysis": null, "materialized": "test", "severity": severity,
                "store_failures": null, "store_failures_as": null, "where": null, "limit": test.limit,
                "fail_calc": test.fail_calc, "warn_if": test.warn_if.to_string(), "error_if": test.error_if.to_string(),
            })
        }
        NodeKind::UnitTest(_) => {
            json!({"tags": node.tags, "meta": {}, "enabled": true, "static_analysis": null})
        }
        kind => {
            let mut all = json!({
                "enabled": true, "alias": null, "schema": null, "database": null, "tags": node.tags, "meta": {},
                "group": null, "static_analysis": null, "materialized": materialized(node),
                "incremental_strategy": null, "batch_size": null, "lookback": 1, "begin": null, "persist_docs": {},
                "post-hook": [], "pre-hook": [], "quoting": {}, "column_types": {}, "full_refresh": null,
                "unique_key": null, "on_schema_change": "ignore", "on_configuration_change": "apply", "grants": {},
                "packages": [], "docs": {"show": true, "node_color": null},
                "contract": {"enforced": false, "alias_types": true}, "event_time": null, "concurrent_batches": null,
            });
            let more = match kind {
                NodeKind::Model(_) => json!({"access": "protected", "freshness": null}),
                NodeKind::Seed(_) => json!({"delimiter": ",", "quote_columns": null}),
                NodeKind::Snapshot(_) => json!({
                    "strategy": null, "target_schema": null, "target_database": null, "updated_at": null,
                    "check_cols": null, "hard_deletes": "ignore",
                    "snapshot_meta_column_names": {
                        "dbt_valid_to": null, "dbt_valid_from": null, "dbt_scd_id": null, "dbt_updated_at": null, "dbt_is_deleted": null,
                    },
                    "dbt_valid_to_current": null,
                }),
                _ => json!({}),
            };
            extend(&mut all, more);
            all
        }
    };
    let is_test = matches!(node.kind, NodeKind::Test(_));
    if let Value::Object(all) = &mut all {
        // What is written beside `config:` has a place of its own.
        for (key, value) in node.config.iter().filter(|(key, _)| !BESIDE.contains(key)) {
            let value = match key {
                "pre_hook" | "post_hook" => hooks(value),
                "severity" | "warn_if" | "error_if" | "fail_calc" if is_test => value.clone(),
                "tags" => json!(node.tags),
                // A plus only says that it adds to others.
                "grants" => value.as_object().map_or_else(
                    || value.clone(),
                    |grants| {
                        let plain = grants
                            .iter()
                            .map(|(key, who)| (key.trim_start_matches('+').to_owned(), who.clone()));
                        Value::Object(plain.collect())
                    },
                ),
                "contract" | "docs" => {
                    let mut whole = all.get(key).cloned().unwrap_or_default();
                    extend(&mut whole, value.clone());
                    whole
                }
                _ => value.clone(),
            };
            all.insert(config_key(key).to_owned(), value);
        }
    }
    all.as_object().cloned().unwrap_or_default()
}

fn extend(entry: &mut Value, more: Value) {
    if let (Value::Object(entry), Value::Object(more)) = (entry, more) {
        entry.extend(more);
    }
}

/// What is set of a node in its own files and those of the project.
/// What is asked for by `ref(…)`.
pub(super) fn references(refs: &[Reference]) -> Vec<Value> {
    let one = |one: &Reference| {
        let version = one.version.as_deref().map(Edition::written);
        json!({"name": one.name, "package": one.package, "version": version})
    };
    refs.iter().map(one).collect()
}

fn unrendered(node: &Node) -> Map<String, Value> {
    let set = node.config.unrendered().filter(|(key, _)| !BESIDE.contains(key));
    set.map(|(key, value)| (config_key(key).to_owned(), value)).collect()
}

/// The entry of a model, seed, snapshot, analysis or data test.
pub(super) fn node(node: &Node, parents: Value, manifest: &Manifest, stamp: &Stamp) -> Value {
    let written = &manifest.written;
    let schema = match (&node.relation, &node.kind) {
        (Some(name), _) => name.schema().to_owned(),
        (None, NodeKind::Test(_)) => written.test_schema.clone(),
        (None, _) => written.schema.clone(),
    };
    let relation = node.relation.as_ref();
    let path = written.inside(&node.package, &node.path);
    let file = path.rsplit('/').next().unwrap_or(path);
    let folders = node.fqn.len().saturating_sub(if node.edition.is_some() { 2 } else { 1 }).max(1);
    let inside = node.fqn[1.min(node.fqn.len())..folders.min(node.fqn.len())].iter().map(String::as_str);
    let inside: Vec<&str> = inside.chain([file]).collect();
    let refs = references(&node.refs);
    let sources: Vec<Value> = node.source_refs.iter().map(|(source, table)| json!([source, table])).collect();
    let config = config(node);
    let docs = config.get("docs").cloned().unwrap_or_else(|| json!({"show": true, "node_color": null}));
    let contract = config.get("contract").cloned().unwrap_or_default();
    let is_enforced = contract.get("enforced").and_then(Value::as_bool).unwrap_or(false);
    let patch = node
        .described_in
        .as_ref()
        .map(|file| format!("{}://{}", node.package, written.inside(&node.package, file)));
    let alias = match (relation, &node.edition) {
        (Some(name), _) => name.table().to_owned(),
        (None, Some(edition)) => edition.file_name(&node.name),
        (None, None) => node.name.clone(),
    };
    let mut entry = json!({
        "database": "elt", "schema": schema, "name": node.name,
        "resource_type": node.resource_type(), "package_name": node.package, "path": inside.join("/"),
        "original_file_path": path, "unique_id": node.id.as_str(), "fqn": node.fqn,
        "alias": alias, "checksum": checksum(node),
        "tags": node.tags, "description": node.description, "columns": columns(node, manifest),
        "meta": config.get("meta"), "group": config.get("group"), "docs": docs, "patch_path": patch,
        "build_path": stamp.executed_at(node, manifest), "unrendered_config": unrendered(node),
        "created_at": stamp.started.timestamp_micros() as f64 / 1e6,
    });
    let more = json!({
        "relation_name": relation.map(sql_text::table), "raw_code": node.raw.trim(),
        "doc_blocks": doc_blocks(manifest, &node.package, &node.description),
        "language": "sql", "refs": refs, "sources": sources, "metrics": [], "functions": [],
        "depends_on": {"macros": node.called, "nodes": parents}, "compiled_path": stamp.compiled_at(node, manifest),
        "compiled": !node.sql.is_empty(), "compiled_code": node.sql, "extra_ctes_injected": true, "extra_ctes": [],
        "contract": {"enforced": is_enforced, "alias_types": true, "checksum": is_enforced.then(|| contract_checksum(node))},
        "access": config.get("access"), "constraints": constraints(node, None),
        "version": node.edition.as_ref().map(|edition| Edition::written(&edition.version)),
        "latest_version": node.edition.as_ref().map(|edition| Edition::written(&edition.latest)),
        "deprecation_date": node.config.get("deprecation_date"), "primary_key": primary_key(node, manifest),
        "time_spine": time_spine(node),
    });
    extend(&mut entry, more);
    entry["config"] = config.into();
    if let Value::Object(entry) = &mut entry {
        foreign(&node.kind).iter().for_each(|key| drop(entry.remove(*key)));
    }
    match &node.kind {
        NodeKind::Test(test) => add_test(&mut entry, node, test),
        NodeKind::Seed(_) => {
            entry["root_path"] = manifest.root.as_str().into();
            entry["raw_code"] = "".into();
            entry["depends_on"] = json!({"macros": node.called});
        }
        _ => {}
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

/// The settings of a test that dbt writes into its template, in dbt's order.
const TEST_SETTINGS: [&str; 14] = [
    "severity",
    "tags",
    "enabled",
    "where",
    "limit",
    "warn_if",
    "error_if",
    "fail_calc",
    "store_failures",
    "store_failures_as",
    "meta",
    "database",
    "schema",
    "alias",
];

fn add_test(entry: &mut Value, node: &Node, test: &TestNode) {
    entry["columns"] = json!({});
    entry["relation_name"] = match test.stored {
        Some(_) => entry["relation_name"].clone(),
        None => Value::Null,
    };
    let TestKind::Generic { test_name, column, package, arguments, reference, .. } = &test.kind else {
        return;
    };
    let mut kwargs = arguments.clone();
    if let Some(column) = column {
        kwargs.insert("column_name".into(), column.as_str().into());
    }
    kwargs.insert("model".into(), format!("{{{{ get_where_subquery({reference}) }}}}").into());
    let prefix = package.as_ref().map(|package| format!("{package}.")).unwrap_or_default();
    let mut raw = format!("{{{{ {prefix}test_{test_name}(**_dbt_generic_test_kwargs) }}}}");
    let short = test.short_name(&node.name);
    let mut set: Vec<String> = TEST_SETTINGS
        .iter()
        .filter_map(|key| Some((key, node.config.get(key)?)))
        .filter(|(_, value)| !value.is_null() && !value.as_array().is_some_and(Vec::is_empty))
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key}=\"{}\"", text.replace('"', "\\\"")),
            value => format!("{key}={}", crate::compile::python_value(value)),
        })
        .collect();
    if short != node.name && node.config.get("alias").is_none() {
        set.push(format!("alias=\"{short}\""));
    }
    if !set.is_empty() {
        raw.push_str(&format!("{{{{ config({}) }}}}", set.join(",")));
    }
    if short != node.name && node.config.get("alias").is_none() {
        entry["alias"] = short.as_str().into();
        entry["config"]["alias"] = short.as_str().into();
        entry["unrendered_config"]["alias"] = short.as_str().into();
    }
    // What its arguments refer to, and then what it is on.
    let own = match reference.strip_prefix("ref('").and_then(|rest| rest.split('\'').next()) {
        Some(name) => {
            let version = reference.split("version='").nth(1).and_then(|rest| rest.split('\'').next());
            ("refs", json!({"name": name, "package": null, "version": version.map(Edition::written)}))
        }
        None => ("sources", reference.split('\'').skip(1).step_by(2).collect()),
    };
    if let Some(Value::Array(names)) = entry.get_mut(own.0) {
        names.push(own.1);
    }
    entry["raw_code"] = raw.into();
    entry["path"] = format!("{short}.sql").into();
    entry["test_metadata"] = json!({"name": test_name, "namespace": package, "kwargs": kwargs});
    entry["column_name"] = column.as_deref().into();
    entry["attached_node"] = test.attached.as_ref().map(NodeId::as_str).into();
    let attached = test.attached.as_ref().map(NodeId::as_str).unwrap_or_default();
    let kind = attached.split('.').next().unwrap_or_default();
    let name = attached.split('.').nth(2).unwrap_or_default();
    entry["file_key_name"] = format!("{kind}s.{name}").into();
    // What is written at the test itself; the rest of its settings come from elsewhere.
    if let Some(Value::Object(unrendered)) = entry.get_mut("unrendered_config") {
        unrendered.retain(|key, value| key != "tags" || value.as_array().is_none_or(|tags| !tags.is_empty()));
    }
}

/// The entry of a source's table.
pub(super) fn source(node: &Node, manifest: &Manifest) -> Value {
    let NodeKind::Source(source) = &node.kind else { return Value::Null };
    let (relation, whole) = (node.relation.as_ref(), &source.whole);
    let path = manifest.written.inside(&node.package, &node.path);
    let nothing = || json!({"warn_after": {"count": null, "period": null}, "error_after": {"count": null, "period": null}, "filter": null});
    let freshness = match node.config.get("freshness") {
        Some(Value::Object(said)) => {
            let mut freshness = nothing();
            extend(&mut freshness, Value::Object(said.clone()));
            for key in ["warn_after", "error_after"] {
                if freshness[key].is_null() {
                    freshness[key] = json!({"count": null, "period": null});
                }
            }
            freshness
        }
        Some(Value::Null) => Value::Null,
        _ => nothing(),
    };
    let meta = node.config.get("meta").cloned().unwrap_or_else(|| json!({}));
    let (field, query) = (node.config.get("loaded_at_field"), node.config.get("loaded_at_query"));
    let config = json!({
        "enabled": true, "event_time": node.config.get("event_time"), "freshness": freshness, "loaded_at_field": field,
        "loaded_at_query": query, "meta": meta, "tags": node.tags, "static_analysis": null,
    });
    let mut set = json!({"loaded_at_field": null, "loaded_at_query": null, "meta": {}, "tags": []});
    extend(&mut set, unrendered(node).into());
    json!({
        "database": "elt", "schema": relation.map(TableName::schema), "name": source.table,
        "resource_type": "source", "package_name": node.package, "path": path, "original_file_path": path,
        "unique_id": node.id.as_str(), "fqn": node.fqn, "source_name": source.source,
        "source_description": whole.description, "loader": whole.loader,
        "identifier": relation.map(TableName::table),
        "quoting": {"database": null, "schema": null, "identifier": null, "column": null},
        "loaded_at_field": field, "loaded_at_query": query, "freshness": freshness, "external": null,
        "description": node.description, "columns": columns(node, manifest), "meta": meta, "source_meta": whole.meta,
        "tags": node.tags, "config": config, "patch_path": null, "unrendered_config": set,
        "relation_name": relation.map(sql_text::table), "created_at": 0.0, "unrendered_database": null,
        "unrendered_schema": whole.schema, "doc_blocks": doc_blocks(manifest, &node.package, &node.description),
    })
}

/// The entry of a unit test.
pub(super) fn unit_test(node: &Node, test: &UnitTestNode, parents: Value, manifest: &Manifest) -> Value {
    let rows = |one: &Value| {
        json!({
            "rows": one.get("rows").cloned().unwrap_or_else(|| json!([])),
            "format": one.get("format").cloned().unwrap_or_else(|| "dict".into()), "fixture": one.get("fixture"),
        })
    };
    let given = test.written.get("given").and_then(Value::as_array);
    let given: Vec<Value> = given
        .into_iter()
        .flatten()
        .map(|one| {
            let mut entry = json!({"input": one.get("input")});
            extend(&mut entry, rows(one));
            entry
        })
        .collect();
    let model = manifest.nodes.get(&test.model);
    let path = manifest.written.inside(&node.package, &node.path);
    let schema = model.and_then(|model| model.relation.as_ref()).map(TableName::schema);
    let inside = path.split_once('/').map_or(path, |(_, inside)| inside);
    let mut fqn = model.map(|model| model.fqn.clone()).unwrap_or_default();
    fqn.push(node.name.clone());
    json!({
        "model": model.map(|model| model.name.as_str()), "given": given,
        "expect": rows(test.written.get("expect").unwrap_or(&Value::Null)), "name": node.name,
        "resource_type": "unit_test", "package_name": node.package, "path": inside, "original_file_path": path,
        "unique_id": node.id.as_str(), "fqn": fqn, "description": node.description,
        "overrides": test.written.get("overrides"), "depends_on": {"macros": [], "nodes": parents},
        "config": config(node), "checksum": md5_hex(&test.written.to_string()), "schema": schema, "created_at": 0.0,
        "versions": test.written.get("versions"),
        "version": model.and_then(|model| model.edition.as_ref()).map(|edition| Edition::written(&edition.version)),
    })
}

/// The entry of a macro.
pub(super) fn macro_text(one: &MacroText, manifest: &Manifest) -> Value {
    let path = manifest.written.inside(&one.package, &one.path);
    let mut docs = json!({"show": true, "node_color": null});
    let words = one.words.as_ref();
    if let Some(said) = words.map(|words| words.docs.clone()).filter(Value::is_object) {
        extend(&mut docs, said);
    }
    let meta = words.map(|words| words.meta.clone()).filter(Value::is_object).unwrap_or_else(|| json!({}));
    let argument = |one: &Value| {
        let description = one.get("description").cloned().unwrap_or_else(|| "".into());
        json!({"name": one.get("name"), "type": one.get("type"), "description": description})
    };
    let arguments = words.and_then(|words| words.arguments.as_array()).into_iter().flatten().map(argument);
    let described = words
        .map(|words| format!("{}://{}", one.package, manifest.written.inside(&one.package, &words.path)));
    json!({
        "name": one.name, "resource_type": "macro", "package_name": one.package, "path": path,
        "original_file_path": path, "unique_id": one.id, "macro_sql": one.text,
        "depends_on": {"macros": one.calls}, "description": words.map_or("", |words| words.description.as_str()),
        "meta": meta, "docs": docs, "patch_path": described, "arguments": arguments.collect::<Vec<_>>(), "created_at": 0.0,
        "supported_languages": null, "config": {"meta": meta, "docs": docs},
    })
}

/// The entry of a docs block.
pub(super) fn doc(one: &DocText) -> Value {
    let inside = one.path.split_once('/').map_or(one.path.as_str(), |(_, inside)| inside);
    json!({
        "name": one.name, "resource_type": "doc", "package_name": one.package, "path": inside,
        "original_file_path": one.path, "unique_id": format!("doc.{}.{}", one.package, one.name),
        "block_contents": one.text,
    })
}

/// The entry of an exposure, a metric, a semantic model, a saved query or a group.
pub(super) fn document(document: &DocumentNode, manifest: &Manifest, stamp: &Stamp) -> Value {
    let mut entry = document.written.as_object().cloned().unwrap_or_default();
    let depends_on: Vec<&str> = document.depends_on.iter().map(NodeId::as_str).collect();
    let path = manifest.written.inside(&document.package, &document.path);
    let inside = path.split_once('/').map_or(path, |(_, inside)| inside);
    let facts = [
        ("unique_id", json!(document.id.as_str())),
        ("resource_type", json!(document.kind)),
        ("package_name", json!(document.package)),
        ("path", json!(inside)),
        ("original_file_path", json!(path)),
        ("fqn", json!(document.fqn)),
    ];
    entry.extend(facts.map(|(key, value)| (key.to_owned(), value)));
    if document.kind != "group" {
        entry.insert("depends_on".into(), json!({"macros": [], "nodes": depends_on}));
        let config: BTreeMap<&str, Value> = BTreeMap::from([("enabled", json!(true)), ("meta", json!({}))]);
        let mut whole = json!(config);
        extend(&mut whole, entry.get("config").cloned().unwrap_or_default());
        entry.insert("config".into(), whole);
        let created = stamp.started.timestamp_micros() as f64 / 1e6;
        for (key, value) in [
            ("description", json!("")),
            ("meta", json!({})),
            ("tags", json!([])),
            ("label", Value::Null),
            ("unrendered_config", json!({})),
            ("created_at", json!(created)),
        ] {
            entry.entry(key).or_insert(value);
        }
    }
    semantic::complete(&mut entry, document, manifest);
    Value::Object(entry)
}
