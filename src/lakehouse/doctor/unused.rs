//! Columns that nobody uses.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::{Manifest, Node, NodeKind};
use super::{Finding, add};
use crate::build::has_contract;
use crate::compile::TestKind;

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
        // What is promised has to be there.
        if has_contract(known) {
            continue;
        }
        let needed = needed(manifest, known);
        let columns = list(&node["columns"]);
        // Where a row is from is for people who look for it.
        let names =
            columns.iter().filter_map(|column| column["name"].as_str()).filter(|name| !name.starts_with('_'));
        let idle: Vec<&str> = names
            .filter(|name| {
                !used.contains(&(id.clone(), name.to_lowercase())) && !needed.contains(&name.to_lowercase())
            })
            .collect();
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

/// Settings that name columns without which a model cannot be made, or not as it is.
const NAMING: [&str; 9] = [
    "unique_key",
    "event_time",
    "partition_by",
    "cluster_by",
    "merge_update_columns",
    "merge_exclude_columns",
    "incremental_predicates",
    "constraints",
    "expectations",
];

/// The words in small letters that a model's settings and the tests on it say: whichever of them are columns are needed,
/// whether anybody reads them or not.
fn needed(manifest: &Manifest, node: &Node) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut read = |text: &str| {
        let all = text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        words.extend(all.map(str::to_lowercase));
    };
    NAMING.iter().filter_map(|key| node.config.get(key)).for_each(|value| read(&value.to_string()));
    for test in manifest.tests_of(&node.id) {
        let test = manifest.node(&test);
        read(&test.sql);
        if let NodeKind::Test(test) = &test.kind
            && let TestKind::Generic { column: Some(column), .. } = &test.kind
        {
            read(column);
        }
    }
    words
}
