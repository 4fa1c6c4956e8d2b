//! Which columns name a row, and which name a row of another table?
//!
//! Nothing enforces keys here; tools that draw schemas ask for them all the same. They are what the project declares: constraints of the
//! types `primary_key` and `foreign_key`, or else what its tests ask for, `unique` with `not_null`, and `relationships`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::TableName;
use crate::compile::{Manifest, Node, NodeKind, ON_COLUMN, TestKind, texts_of};

/// Columns of a table that name a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableKey {
    /// The table.
    pub table: TableName,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// What the key is called.
    pub name: String,
    /// The table, and its columns, whose rows are named; the own row of a primary key, if nothing.
    pub of: Option<(TableName, Vec<String>)>,
}

/// The keys that a project declares, in order.
pub(super) fn keys_of(manifest: &Manifest) -> Vec<TableKey> {
    let mut keys = Vec::new();
    for node in manifest.nodes.values() {
        let Some(table) = node.relation.as_ref().filter(|_| !node.is_test()) else { continue };
        let of_constraints = constraints(manifest, node, table);
        let has_primary = of_constraints.iter().any(|key| key.of.is_none());
        keys.extend(of_constraints);
        if let Some(column) = tested(manifest, node).filter(|_| !has_primary) {
            keys.push(TableKey {
                table: table.clone(),
                name: format!("pk_{}", table.table()),
                columns: vec![column],
                of: None,
            });
        }
        keys.extend(relationships(manifest, node, table));
    }
    keys.sort();
    keys.dedup_by(|a, b| (&a.table, &a.columns, &a.of) == (&b.table, &b.columns, &b.of));
    keys
}

fn constraints(manifest: &Manifest, node: &Node, table: &TableName) -> Vec<TableKey> {
    let all = node.config.get("constraints").and_then(Value::as_array).into_iter().flatten();
    let key = |one: &Value| {
        let text = |name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
        let kind = text("type")?.to_lowercase();
        let columns = match text(ON_COLUMN) {
            Some(column) => vec![column],
            None => one.get("columns").map(texts_of).unwrap_or_default(),
        };
        let of = match kind.as_str() {
            "primary_key" => None,
            "foreign_key" => Some((
                referred(manifest, &text("to")?)?,
                one.get("to_columns").map(texts_of).unwrap_or_default(),
            )),
            _ => return None,
        };
        let short = if of.is_none() { "pk" } else { "fk" };
        let name = text("name").unwrap_or_else(|| format!("{short}_{}_{}", table.table(), columns.join("_")));
        let is_whole = !columns.is_empty() && of.as_ref().is_none_or(|(_, to)| to.len() == columns.len());
        is_whole.then(|| TableKey { table: table.clone(), columns, name, of })
    };
    all.filter_map(key).collect()
}

/// The tests of a node: what each is called, its column and its arguments.
fn tests<'a>(
    manifest: &'a Manifest,
    node: &'a Node,
) -> impl Iterator<Item = (&'a str, &'a str, BTreeMap<String, Value>)> {
    manifest.children(&node.id).iter().filter_map(|id| {
        let Some(NodeKind::Test(test)) = manifest.nodes.get(id).map(|node| &node.kind) else { return None };
        let TestKind::Generic { test_name, column: Some(column), package: None, arguments, .. } = &test.kind
        else {
            return None;
        };
        let arguments = arguments.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        (test.attached.as_ref() == Some(&node.id)).then_some((test_name.as_str(), column.as_str(), arguments))
    })
}

/// The first column that tests say is unique and never null.
fn tested(manifest: &Manifest, node: &Node) -> Option<String> {
    let (mut unique, mut not_null) = (Vec::new(), Vec::new());
    for (test, column, _) in tests(manifest, node) {
        match test {
            "unique" => unique.push(column),
            "not_null" => not_null.push(column),
            _ => {}
        }
    }
    unique.sort_unstable();
    unique.into_iter().find(|column| not_null.contains(column)).map(str::to_owned)
}

fn relationships(manifest: &Manifest, node: &Node, table: &TableName) -> Vec<TableKey> {
    let key = |(test, column, arguments): (&str, &str, BTreeMap<String, Value>)| {
        let text = |name: &str| arguments.get(name).and_then(Value::as_str);
        let to = (test == "relationships").then(|| text("to")).flatten()?;
        let of = (referred(manifest, to)?, vec![text("field")?.to_owned()]);
        let name = format!("fk_{}_{column}", table.table());
        Some(TableKey { table: table.clone(), columns: vec![column.to_owned()], name, of: Some(of) })
    };
    tests(manifest, node).filter_map(key).collect()
}

/// What `ref('customers')`, `source('crm', 'people')` or `main.customers` means.
fn referred(manifest: &Manifest, text: &str) -> Option<TableName> {
    let quoted: Vec<&str> = text.split(['\'', '"']).skip(1).step_by(2).collect();
    let named = |name: &str| {
        let found = manifest
            .nodes
            .values()
            .find(|node| node.name == name && !node.is_test() && node.relation.is_some());
        found.and_then(|node| node.relation.clone())
    };
    match (text.contains("source("), &quoted[..]) {
        (true, [.., source, table]) => TableName::new(source, table).ok(),
        (false, [.., name]) if text.contains("ref(") => named(name),
        _ => text.trim().parse().ok().or_else(|| named(text.trim())),
    }
}
