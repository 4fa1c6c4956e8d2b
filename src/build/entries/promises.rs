//! What does `manifest.json` have of a model's promises?
//!
//! Its constraints, the hash of its contract, its primary key, and the instants of a time spine.

use serde_json::{Value, json};

use super::{extend, sha256};
use crate::build::artifacts::materialized;
use crate::compile::{Manifest, Node, NodeKind, ON_COLUMN, TestKind};

/// The constraints that are written at a column, or at the model as a whole, with dbt's defaults.
pub(super) fn constraints(node: &Node, column: Option<&str>) -> Value {
    let all = node.config.get("constraints").and_then(Value::as_array).into_iter().flatten();
    let those = all.filter(|one| one.get(ON_COLUMN).and_then(Value::as_str) == column);
    let entry = |one: &Value| {
        let mut entry = json!({
            "type": null, "name": null, "expression": null, "warn_unenforced": true, "warn_unsupported": true,
            "to": null, "to_columns": [], "columns": [],
        });
        extend(&mut entry, one.clone());
        if let (Some(_), Value::Object(entry)) = (column, &mut entry) {
            entry.remove("columns");
            entry.remove(ON_COLUMN);
        }
        entry
    };
    those.map(entry).collect()
}

/// The hash of what an enforced contract promises: it changes when a promise does.
pub(super) fn contract_checksum(node: &Node) -> String {
    let mut columns: Vec<_> = node.columns.iter().collect();
    columns.sort_by(|a, b| a.name.cmp(&b.name));
    let one = |column: &&crate::compile::Column| {
        let data_type = column.data_type.as_deref().unwrap_or("None");
        format!("|{}{data_type}{}", column.name, constraints(node, Some(&column.name)))
    };
    let columns: String = columns.iter().map(one).collect();
    sha256(format!("{columns}{}{}", materialized(node), constraints(node, None)).as_bytes())
}

/// What a model says of the instants that it holds.
pub(in crate::build) fn time_spine(node: &Node) -> Value {
    let Some(written) = node.config.get("time_spine") else { return Value::Null };
    let mut whole = json!({"standard_granularity_column": null, "custom_granularities": []});
    extend(&mut whole, written.clone());
    for one in whole["custom_granularities"].as_array_mut().into_iter().flatten() {
        let mut with_column = json!({"name": null, "column_name": null});
        extend(&mut with_column, one.take());
        *one = with_column;
    }
    whole
}

/// The columns that tests say name a row: unique and never null, or unique together.
pub(super) fn primary_key(node: &Node, manifest: &Manifest) -> Vec<String> {
    if !matches!(node.kind, NodeKind::Model(_)) {
        return Vec::new();
    }
    let (mut unique, mut not_null, mut together): (Vec<&str>, Vec<&str>, Option<Vec<String>>) =
        Default::default();
    for id in manifest.children(&node.id) {
        let Some(NodeKind::Test(test)) = manifest.nodes.get(id).map(|node| &node.kind) else { continue };
        let TestKind::Generic { test_name, column, package, arguments, .. } = &test.kind else { continue };
        if test.attached.as_ref() != Some(&node.id) {
            continue;
        }
        match (package.as_deref(), test_name.as_str(), column) {
            (None, "unique", Some(column)) => unique.push(column),
            (None, "not_null", Some(column)) => not_null.push(column),
            (Some("dbt_utils"), "unique_combination_of_columns", _) => {
                together = arguments.get("combination_of_columns").map(crate::compile::texts_of);
            }
            _ => {}
        }
    }
    let mut both: Vec<String> =
        unique.iter().filter(|column| not_null.contains(column)).map(|c| (*c).to_owned()).collect();
    both.sort();
    both.truncate(1);
    if !both.is_empty() {
        return both;
    }
    together.unwrap_or_else(|| unique.iter().take(1).map(|column| (*column).to_owned()).collect())
}
