//! What do engines of metrics read of a project?
//!
//! `semantic_manifest.json`, in the shape of dbt-semantic-interfaces: semantic models, metrics and saved queries by
//! themselves, with what `manifest.json` has of them, and the project's time spines.

use serde_json::{Map, Value, json};

use super::artifacts::Stamp;
use super::{entries, semantic};
use crate::compile::{Manifest, Node, NodeKind};

/// The version of dbt-semantic-interfaces whose shape it is.
const INTERFACES: [&str; 3] = ["0", "9", "0"];

/// `semantic_manifest.json`.
pub fn semantic_manifest(manifest: &Manifest, stamp: &Stamp) -> Value {
    let of = |kind: &str, shape: fn(&Value) -> Value| -> Value {
        let those = manifest.documents.iter().filter(|document| document.kind == kind);
        those.map(|document| shape(&entries::document(document, manifest, stamp))).collect()
    };
    let [major, minor, patch] = INTERFACES;
    let spines: Vec<Value> = manifest.nodes.values().filter_map(time_spine).collect();
    json!({
        "semantic_models": of("semantic_model", semantic_model),
        "metrics": of("metric", metric),
        "project_configuration": {
            "time_spine_table_configurations": [],
            "metadata": null,
            "dsi_package_version": {"major_version": major, "minor_version": minor, "patch_version": patch},
            "time_spines": spines,
        },
        "saved_queries": of("saved_query", saved_query),
    })
}

/// Some keys of a mapping, in this order; null where it has none.
fn some(entry: &Value, keys: &[&str]) -> Value {
    let one = |key: &&str| ((*key).to_owned(), entry.get(*key).cloned().unwrap_or_default());
    Value::Object(keys.iter().map(one).collect::<Map<_, _>>())
}

fn each(list: &Value, shape: impl Fn(&Value) -> Value) -> Value {
    list.as_array().into_iter().flatten().map(shape).collect()
}

/// The `meta` of an entry, wherever it is written, as its whole configuration.
fn with_meta(entry: &Value, mut shaped: Value) -> Value {
    let meta = entry["config"].get("meta").cloned().unwrap_or_else(|| json!({}));
    shaped["config"] = json!({"meta": meta});
    shaped
}

fn semantic_model(entry: &Value) -> Value {
    let keys = ["name", "defaults", "description", "node_relation", "primary_entity", "label", "metadata"];
    let mut model = with_meta(entry, some(entry, &keys));
    let entities = ["name", "description", "type", "role", "expr", "metadata", "label"];
    model["entities"] = each(&entry["entities"], |one| with_meta(one, some(one, &entities)));
    let measures = [
        "name",
        "agg",
        "description",
        "create_metric",
        "expr",
        "agg_params",
        "metadata",
        "non_additive_dimension",
        "agg_time_dimension",
        "label",
    ];
    model["measures"] = each(&entry["measures"], |one| with_meta(one, some(one, &measures)));
    let dimensions =
        ["name", "description", "type", "is_partition", "type_params", "expr", "metadata", "label"];
    model["dimensions"] = each(&entry["dimensions"], |one| with_meta(one, some(one, &dimensions)));
    if model["description"] == "" {
        model["description"] = Value::Null;
    }
    model
}

fn metric(entry: &Value) -> Value {
    let keys =
        ["name", "description", "type", "type_params", "filter", "metadata", "label", "time_granularity"];
    with_meta(entry, some(entry, &keys))
}

fn saved_query(entry: &Value) -> Value {
    let keys = ["name", "query_params", "description", "metadata", "label"];
    let mut query = some(entry, &keys);
    let config = ["export_as", "schema_name", "alias"];
    query["exports"] =
        each(&entry["exports"], |one| json!({"name": one["name"], "config": some(&one["config"], &config)}));
    query["tags"] = entry.get("tags").cloned().unwrap_or_else(|| json!([]));
    query
}

/// A model that holds instants, one a row, for metrics over time.
fn time_spine(node: &Node) -> Option<Value> {
    let (NodeKind::Model(_), Some(relation)) = (&node.kind, &node.relation) else { return None };
    let written = entries::time_spine(node);
    let name = written.get("standard_granularity_column")?.as_str()?.to_owned();
    let column = node.columns.iter().find(|column| column.name == name)?;
    Some(json!({
        "node_relation": semantic::relation(relation),
        "primary_column": {"name": name, "time_granularity": column.granularity},
        "custom_granularities": written["custom_granularities"],
    }))
}
