//! What a project does not say, and what it says to no purpose.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::{Manifest, Materialization, Node, NodeKind};
use super::{Finding, add};
use crate::compile::Strategy;

pub(super) fn look(manifest: &Manifest, found: &mut Vec<Finding>) {
    let own: Vec<&Node> = manifest.nodes.values().filter(|node| node.package == manifest.project).collect();
    let models = || own.iter().filter(|node| matches!(node.kind, NodeKind::Model(_)));
    let shown: BTreeSet<_> = manifest.documents.iter().flat_map(|document| &document.depends_on).collect();
    let is_read = |node: &Node| {
        let by_nodes = manifest.children(&node.id).iter().any(|id| !manifest.node(id).is_test());
        by_nodes || shown.contains(&node.id)
    };
    let names = |of: &mut dyn Iterator<Item = &&&Node>| of.map(|node| node.shown()).collect::<Vec<_>>();
    add(
        found,
        "unread",
        "no model and no exposure reads it",
        names(&mut models().filter(|node| !is_read(node)).collect::<Vec<_>>().iter()),
        "say who reads it in an exposure (`exposures:` in a properties file), or delete it",
    );
    add(
        found,
        "untested",
        "no test looks at it",
        names(&mut models().filter(|node| manifest.tests_of(&node.id).is_empty()).collect::<Vec<_>>().iter()),
        "write `data_tests: [unique, not_null]` under its key column in a properties file",
    );
    add(
        found,
        "undescribed",
        "it has no description",
        names(&mut models().filter(|node| node.description.trim().is_empty()).collect::<Vec<_>>().iter()),
        "write `description:` in a properties file",
    );
    add(
        found,
        "unowned",
        "it has no owner",
        names(&mut models().filter(|node| !has_owner(node)).collect::<Vec<_>>().iter()),
        "write `config: {group: …}` or `meta: {owner: …}`, for a whole folder in dbt_project.yml",
    );
    let stale = own.iter().filter(|node| match &node.kind {
        NodeKind::Source(source) => source.freshness.is_none(),
        _ => false,
    });
    add(
        found,
        "no_freshness",
        "nothing says how old its rows may be",
        stale.map(|node| node.shown()).collect(),
        "write `freshness: {warn_after: {count: 1, period: day}}` at the source; `elt source freshness` asks",
    );
    let mut odd = Vec::new();
    for node in models() {
        odd.extend(
            contradictions(node).into_iter().map(|why| format!("{} ({}): {why}", node.shown(), node.path)),
        );
    }
    add(
        found,
        "contradiction",
        "settings that mean nothing together",
        odd,
        "take the setting out, or change the other one",
    );
}

fn has_owner(node: &Node) -> bool {
    let is_said = |value: Option<&Value>| value.is_some_and(|value| !value.is_null() && value != "");
    let meta = node.config.get("meta");
    is_said(node.config.get("group")) || is_said(meta.and_then(|meta| meta.get("owner")))
}

/// Settings that do nothing beside the materialization that a model has.
fn contradictions(node: &Node) -> Vec<String> {
    let is_set = |key: &str| match node.config.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    };
    let Some(how) = node.materialization() else { return Vec::new() };
    let word = how.word();
    let mut found = Vec::new();
    let mut useless = |keys: &[&str]| {
        let set = keys.iter().filter(|key| is_set(key));
        found
            .extend(set.map(|key| format!("`{key}` does nothing in a model that is materialized as {word}")));
    };
    const OF_TABLES: [&str; 4] = ["partition_by", "cluster_by", "write_mode", "properties"];
    const OF_INCREMENTAL: [&str; 5] = [
        "unique_key",
        "incremental_strategy",
        "merge_update_columns",
        "merge_exclude_columns",
        "incremental_predicates",
    ];
    match how {
        Materialization::View | Materialization::Ephemeral => {
            useless(&OF_TABLES);
            useless(&OF_INCREMENTAL);
        }
        Materialization::Table | Materialization::MaterializedView { .. } => useless(&OF_INCREMENTAL),
        Materialization::Incremental { strategy, unique_key, .. } => {
            match strategy {
                Strategy::Append if !unique_key.is_empty() => {
                    found.push("`unique_key` does nothing where rows are only appended (`incremental_strategy: append`)".to_owned());
                }
                Strategy::Merge if unique_key.is_empty() => {
                    found.push("it merges without a `unique_key`, so that every row is added".to_owned());
                }
                _ => {}
            }
        }
    }
    if matches!(how, Materialization::Ephemeral)
        && (!node.constraints.is_empty() || crate::build::has_contract(node))
    {
        found.push("a contract holds for what is stored, and an ephemeral model is not".to_owned());
    }
    found
}
