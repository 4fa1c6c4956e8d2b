//! Columns that nobody uses.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::{Manifest, NodeKind};
use super::{Finding, add};

/// Finds columns of models that others read, and of which none of them uses the column. `lineage` is what planning the
/// project has found out.
pub(super) fn look(manifest: &Manifest, lineage: &Value, found: &mut Vec<Finding>) {
    let nodes = || lineage["nodes"].as_object().into_iter().flatten();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut used: BTreeSet<(String, String)> = BTreeSet::new();
    for (_, node) in nodes() {
        let from = list(&node["columns"]).into_iter().flat_map(|column| list(&column["from"]));
        for one in from.chain(list(&node["rows_depend_on"])) {
            if let (Some(node), Some(column)) = (one["node"].as_str(), one["column"].as_str()) {
                used.insert((node.to_owned(), column.to_lowercase()));
            }
        }
    }
    let shown: BTreeSet<_> = manifest.documents.iter().flat_map(|document| &document.depends_on).collect();
    let by_id: BTreeMap<_, _> = manifest.nodes.iter().map(|(id, node)| (id.as_str(), node)).collect();
    let mut unused = Vec::new();
    for (id, node) in nodes() {
        let Some(known) = by_id.get(id.as_str()) else { continue };
        let is_model = matches!(known.kind, NodeKind::Model(_)) && known.package == manifest.project;
        // What nobody of the project reads is read by somebody else, who may use any column.
        let readers = manifest
            .children(&known.id)
            .iter()
            .filter(|id| manifest.node(id).is_made() || manifest.node(id).is_ephemeral());
        if !is_model || readers.count() == 0 || shown.contains(&known.id) {
            continue;
        }
        let columns = list(&node["columns"]);
        // Where a row is from is for people who look for it.
        let names =
            columns.iter().filter_map(|column| column["name"].as_str()).filter(|name| !name.starts_with('_'));
        let idle: Vec<&str> =
            names.filter(|name| !used.contains(&(id.clone(), name.to_lowercase()))).collect();
        if !idle.is_empty() && idle.len() < columns.len() {
            unused.push(format!("{}: {}", known.shown(), idle.join(", ")));
        }
    }
    add(
        found,
        "unused_columns",
        "columns that no model uses which reads it",
        unused,
        "leave the columns out; `elt lineage MODEL.COLUMN --downstream` says what they went into before",
    );
}
