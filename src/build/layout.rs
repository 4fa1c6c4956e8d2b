//! What does a model say of its table's files?
//!
//! `write_mode`, `partition_by`, `cluster_by`, `tblproperties`, and with `persist_docs` its descriptions, as a [`Layout`].

use serde_json::Value;

use crate::compile::Node;
use crate::table::Layout;

/// Reads it from a model's settings.
///
/// # Errors
/// A write mode that there is not.
pub(super) fn layout_of(node: &Node) -> Result<Layout, String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let write_mode = node.config.get("write_mode").filter(|value| !value.is_null());
    let properties = node.config.get("tblproperties").and_then(Value::as_object).into_iter().flatten();
    let persists = |what: &str| {
        let docs = node.config.get("persist_docs").and_then(|docs| docs.get(what));
        docs.and_then(Value::as_bool).unwrap_or(false)
    };
    let described = node.columns.iter().filter(|column| !column.description.is_empty());
    Ok(Layout {
        write_mode: write_mode.map(|value| text(value).parse()).transpose()?,
        partition_by: match node.config.get("partition_by") {
            Some(Value::String(column)) => Some(vec![column.clone()]),
            Some(Value::Array(columns)) => Some(columns.iter().map(text).collect()),
            // A mapping is BigQuery's, by stretches of time; as folders these would be too many.
            _ => None,
        },
        cluster_by: match node.config.get("cluster_by") {
            Some(Value::String(column)) => vec![column.clone()],
            Some(Value::Array(columns)) => columns.iter().map(text).collect(),
            _ => Vec::new(),
        },
        properties: properties.map(|(key, value)| (key.clone(), text(value))).collect(),
        description: persists("relation").then(|| node.description.clone()),
        comments: match persists("columns") {
            true => described.map(|column| (column.name.clone(), column.description.clone())).collect(),
            false => Vec::new(),
        },
    })
}
