//! Which version of every table, and the text of every view?

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::base::{Division, NullOrder, ReleaseNumber, TableName, TableVersion, Unsaid};

/// A complete, immutable view of the lake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    /// The release that these are the pins of; nothing in a lake without one.
    #[serde(skip)]
    pub release: Option<ReleaseNumber>,
    /// Every table that readers see, at one version.
    pub tables: BTreeMap<TableName, TableVersion>,
    /// Every view that readers see.
    pub views: BTreeMap<TableName, View>,
    /// Tables that readers no longer see, at the version elt left them. Their folders are still
    /// elt's, so that a table may come back under its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retired: BTreeMap<TableName, TableVersion>,
    /// Schemas that somebody made, and that are there without a table too.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub schemas: BTreeSet<String>,
}

/// A named query. Its tables are read at the versions of the pins it stands in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The query, with relations written `schema.table`.
    pub sql: String,
    /// What it says, as the project describes it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What `/` meant to who wrote it.
    #[serde(default, skip_serializing_if = "Division::is_default")]
    pub division: Division,
    /// Where nulls were among sorted rows for who wrote it.
    #[serde(default, skip_serializing_if = "NullOrder::is_default")]
    pub nulls: NullOrder,
}

impl View {
    /// A query by its text, with what is said of it.
    pub fn new(sql: impl Into<String>, description: impl Into<String>) -> Self {
        let Unsaid { division, nulls } = Unsaid::default();
        Self { sql: sql.into(), description: description.into(), division, nulls }
    }

    /// The same by somebody to whom what it leaves unsaid means this.
    #[must_use]
    pub fn meant_by(self, Unsaid { division, nulls }: Unsaid) -> Self {
        Self { division, nulls, ..self }
    }

    /// What it means where it leaves something unsaid.
    pub fn unsaid(&self) -> Unsaid {
        Unsaid { division: self.division, nulls: self.nulls }
    }
}

impl Pins {
    /// The version at which elt left the table's log, whether readers see the table or not.
    pub fn head(&self, table: &TableName) -> Option<TableVersion> {
        self.tables.get(table).or_else(|| self.retired.get(table)).copied()
    }

    /// Whether readers see the same through both.
    pub fn same_as(&self, other: &Self) -> bool {
        self.tables == other.tables && self.views == other.views && self.schemas == other.schemas
    }

    /// The names under which readers see something else than they saw through `before`, in order.
    pub fn moved_since(&self, before: &Self) -> Vec<TableName> {
        let names: BTreeSet<&TableName> = self.names().into_iter().chain(before.names()).collect();
        let is_moved = |name: &&TableName| {
            self.tables.get(*name) != before.tables.get(*name)
                || self.views.get(*name) != before.views.get(*name)
        };
        names.into_iter().filter(is_moved).cloned().collect()
    }

    /// The names that readers can use, tables and views, in order.
    pub fn names(&self) -> Vec<&TableName> {
        let mut names: Vec<&TableName> = self.tables.keys().chain(self.views.keys()).collect();
        names.sort();
        names
    }

    /// Pins `table` at `version`; a view of that name is gone.
    pub fn pin_table(&mut self, table: &TableName, version: TableVersion) {
        self.views.remove(table);
        self.retired.remove(table);
        self.tables.insert(table.clone(), version);
    }

    /// Makes `name` a view; a table of that name is retired.
    pub fn pin_view(&mut self, name: &TableName, view: View) {
        self.retire(name);
        self.views.insert(name.clone(), view);
    }

    /// Takes a table out of readers' sight.
    pub fn retire(&mut self, table: &TableName) {
        if let Some(version) = self.tables.remove(table) {
            self.retired.insert(table.clone(), version);
        }
    }
}
