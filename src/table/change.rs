//! What would this write do to the table?
//!
//! A [`Change`] is the answer, held as a value: files to add, files to retire, the schema
//! afterwards, and what to tell about it. [`write`](super::write) makes changes, [`Scan`] reads through
//! them, and only [`commit`](super::commit) makes an entry of a log from one. Until `release` puts
//! that entry in its place the change can be tested, printed or dropped, and the table has not moved.
//!
//! Not here: how the rows to change are found (`write`), or when a change becomes visible (`release`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use deltalake::kernel::{Metadata, Protocol};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DataFile, Design, Scan, Snapshot};
use crate::base::{TableName, TableVersion, grouped};

/// A write not yet published. Dropping it leaves unreferenced files at worst.
#[derive(Clone, Debug)]
pub struct Change {
    pub(super) table: TableName,
    pub(super) base: Option<Arc<Snapshot>>,
    pub(super) schema: SchemaRef,
    pub(super) design: Design,
    pub(super) definition: Definition,
    pub(super) add: Vec<DataFile>,
    pub(super) retire: Vec<DataFile>,
    pub(super) operation: Operation,
    pub(super) effect: Effect,
    pub(super) transactions: BTreeMap<String, Progress>,
    pub(super) provenance: BTreeMap<String, Value>,
}

/// Whether the table's protocol and metadata change with it.
#[derive(Clone, Debug)]
pub(super) enum Definition {
    /// They stay as they are.
    Same,
    /// They are those of the change's design, new or in place of the old ones.
    Made,
    /// They are those of an earlier version.
    Restored { metadata: Box<Metadata>, protocol: Box<Protocol> },
}

/// How far an application has come, by Delta's `txn` actions. Nothing means that it was never there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) before: Option<i64>,
    pub(super) now: Option<i64>,
}

/// What kind of write it is, in Delta's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Rows were added.
    Append,
    /// All rows were replaced.
    Overwrite,
    /// The rows that a predicate picks were replaced.
    ReplaceWhere,
    /// Rows were updated by key, the others added; or whatever a MERGE statement asked for.
    Merge,
    /// Rows were taken out.
    Delete,
    /// Rows were given other values.
    Update,
    /// All rows were taken out.
    Truncate,
    /// The same rows are in fewer files, or in another order.
    Optimize,
    /// The table was made, without rows.
    Create,
    /// The table took the files of another.
    Clone,
    /// The table's columns, properties or constraints changed, and no row.
    Alter,
    /// The table is as it was at an earlier version.
    Restore {
        /// That version.
        to: TableVersion,
    },
}

/// How many rows and files a change touches. Rows that a rewrite only copies count nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Rows that were not in the table before.
    pub added: u64,
    /// Rows whose key was in the table before.
    pub updated: u64,
    /// Rows that are gone.
    pub removed: u64,
    /// Rows in the table afterwards, if the log says so for every file.
    pub rows_after: Option<u64>,
    /// Bytes of the new files.
    pub bytes: u64,
}

/// How the application is called whose number is the version of `table` that a follower of it has seen.
#[must_use]
pub fn follows(table: &TableName) -> String {
    format!("elt/follows/{table}")
}

/// The application whose number is the version since which a table's ledger of landed files counts.
///
/// A table that was dropped and is made anew has none of the files that were landed before.
pub const LEDGER: &str = "elt/ledger";

impl Change {
    /// Which table.
    pub fn table(&self) -> &TableName {
        &self.table
    }

    /// The version it was made from; nothing if it creates the table.
    pub fn base(&self) -> Option<TableVersion> {
        self.base.as_ref().map(|snapshot| snapshot.version())
    }

    /// The version that its commit makes.
    pub fn version(&self) -> TableVersion {
        self.base().map_or(TableVersion(0), TableVersion::next)
    }

    /// The version at which the table is seen once this is published: nothing is committed for a change that says nothing, so
    /// that is the version it was made from.
    pub fn seen_at(&self) -> TableVersion {
        match self.base() {
            Some(base) if self.is_empty() => base,
            _ => self.version(),
        }
    }

    /// The columns afterwards.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What kind of write it is.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// How many rows and files it touches.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Whether its commit would say nothing: no file moves, nothing is recorded, nothing is redefined.
    pub fn is_empty(&self) -> bool {
        self.add.is_empty()
            && self.retire.is_empty()
            && self.transactions.is_empty()
            && matches!(self.definition, Definition::Same)
    }

    /// The same change, and the table's design after it.
    #[must_use]
    pub fn redesigned(mut self, design: Design) -> Self {
        if design != self.design {
            self.design = design;
            self.definition = Definition::Made;
        }
        self
    }

    /// Records that application `app` has come from `before` to `now`, in the same commit as the rows.
    ///
    /// If the commit is taken back, so is this. Versions are never negative.
    #[must_use]
    pub fn with_transaction(mut self, app: String, before: Option<i64>, now: i64) -> Self {
        self.transactions.insert(app, Progress { before, now: Some(now) });
        self
    }

    /// Makes it the beginning of the table's ledger: what was landed before is not known any more. `before` is where the
    /// ledger began so far, if not with the table.
    #[must_use]
    pub fn with_new_ledger(self, before: Option<i64>) -> Self {
        let since = i64::try_from(self.version().0).unwrap_or(i64::MAX);
        self.with_transaction(LEDGER.to_owned(), before, since)
    }

    /// Records a fact about where the rows came from, to be kept in the commit.
    #[must_use]
    pub fn with_provenance(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.provenance.insert(key.to_owned(), value.into());
        self
    }

    /// A fact that was recorded.
    pub fn provenance(&self, key: &str) -> Option<&Value> {
        self.provenance.get(key)
    }

    /// How many files go, and how many come.
    pub fn file_counts(&self) -> (usize, usize) {
        (self.retire.len(), self.add.len())
    }

    /// The data files afterwards.
    pub fn files(&self) -> Vec<DataFile> {
        let before = self.base.iter().flat_map(|snapshot| snapshot.files());
        let kept = before.filter(|file| !self.retire.iter().any(|gone| gone.is(file)));
        kept.chain(&self.add).cloned().collect()
    }

    /// Reads the table as it would be afterwards.
    pub fn scan(&self) -> Scan {
        Scan::new(&self.table, &self.schema, self.design.layout(), self.files())
    }

    /// What the table is afterwards, besides its rows.
    pub fn design(&self) -> &Design {
        &self.design
    }

    /// A change of `base` that does nothing yet; of a table that is to be made, if there is no base.
    pub(super) fn blank(
        table: &TableName,
        base: Option<Arc<Snapshot>>,
        schema: SchemaRef,
        design: Design,
    ) -> Self {
        let same = base.as_ref().is_some_and(|base| *base.design() == design);
        Self {
            table: table.clone(),
            base,
            schema,
            design,
            definition: if same { Definition::Same } else { Definition::Made },
            add: Vec::new(),
            retire: Vec::new(),
            operation: Operation::Append,
            effect: Effect::default(),
            transactions: BTreeMap::new(),
            provenance: BTreeMap::new(),
        }
    }

    /// The same change on top of a newer version of its table, if that asks nothing anew: rows are only
    /// added, nothing is remembered, and the table is still what it was.
    pub fn on_top_of(&self, newer: Arc<Snapshot>) -> Option<Self> {
        let base = self.base.as_ref()?;
        let adds_rows = self.operation == Operation::Append
            && self.retire.is_empty()
            && self.transactions.is_empty()
            && matches!(self.definition, Definition::Same);
        if !adds_rows || base.id() != newer.id() || base.design() != newer.design() {
            return None;
        }
        let mut change = Self { base: Some(newer), ..self.clone() };
        change.count_rows_after();
        Some(change)
    }

    pub(super) fn count_rows_after(&mut self) {
        self.effect.rows_after = self.files().iter().map(DataFile::rows).sum();
        let is_new = |file: &&DataFile| !self.retire.iter().any(|gone| gone.path() == file.path());
        self.effect.bytes = self.add.iter().filter(is_new).map(DataFile::size).sum();
    }
}

impl fmt::Display for Effect {
    /// `12 added, 3 updated`, or `no rows`; what is zero is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [(self.added, "added"), (self.updated, "updated"), (self.removed, "removed")];
        let said: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{} {word}", grouped(*count)))
            .collect();
        f.write_str(&if said.is_empty() { "no rows".to_owned() } else { said.join(", ") })
    }
}
