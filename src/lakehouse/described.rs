//! What does the project say of its tables and columns?
//!
//! Tools show descriptions beside the names. A table may carry its own (`persist_docs`, `comment on`); of others the project's YAML says
//! it, and nothing of that is in the lake.

use std::collections::BTreeMap;

use super::Lakehouse;
use super::keys::{TableKey, keys_of};
use crate::base::{Result, TableName};
use crate::compile::Manifest;

/// What the project declares that tools ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// The keys, in order.
    pub keys: Vec<TableKey>,
    /// The tables and views that are described.
    pub described: BTreeMap<TableName, Described>,
}

/// A table, and its columns, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// What the table is.
    pub table: Option<String>,
    /// What its columns are, by their names in lower case.
    pub columns: BTreeMap<String, String>,
}

impl Described {
    /// What a column is.
    pub fn column(&self, name: &str) -> Option<&str> {
        self.columns.get(&name.to_lowercase()).map(String::as_str)
    }
}

impl Lakehouse {
    /// What the project declares; nothing without a project.
    ///
    /// # Errors
    /// The project's mistakes.
    pub async fn declared(&self) -> Result<Declared> {
        if !self.has_project() {
            return Ok(Declared::default());
        }
        let manifest = self.compile(false).await?.manifest;
        Ok(Declared { keys: keys_of(&manifest), described: described(&manifest) })
    }
}

fn described(manifest: &Manifest) -> BTreeMap<TableName, Described> {
    let said = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let nodes = manifest.nodes.values().filter(|node| !node.is_test());
    let all = nodes.filter_map(|node| {
        let columns = node.columns.iter();
        let columns = columns
            .filter_map(|column| Some((column.name.to_lowercase(), said(&column.description)?)))
            .collect();
        Some((node.relation.clone()?, Described { table: said(&node.description), columns }))
    });
    all.filter(|(_, described)| *described != Described::default()).collect()
}
