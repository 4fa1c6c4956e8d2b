//! Which files has a table already?
//!
//! The ledger is made of Delta `txn` actions, three for a file, in the commit of its rows:
//!
//! | entry | number |
//! |---|---|
//! | `elt/file/<path>` | the first 63 bits of the content's SHA-256 |
//! | `elt/stamp/<path>` | a digest of size, modification time and ETag, so that an unchanged file is known unread |
//! | `elt/content/<the same 63 bits>` | 1 + the version of the table that took the rows, so that a copy is known by any name |
//! | `elt/order/<column>`, `elt/decimal_comma` | what the first files told about dates and numbers |
//! | `elt/untyped/<column>` | 1 as long as no file had a value in it, and nobody knows its type |
//!
//! They live as long as the table, survive checkpoints, are taken back with a rollback, and no other engine takes them away.
//! A table that was dropped and is made anew begins with an empty ledger, though its log goes on: from then on the
//! entries begin with `elt@<n>/`, where `n` is the version that made it anew, and [`LEDGER`] says so.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::LandingError;
use super::discover::{ContentHash, FileStamp};
use super::read::moment::DateOrder;
use crate::table::{Change, LEDGER, Snapshot, Tables};

/// What the ledger says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Never seen.
    New,
    /// Loaded, and the same now.
    Same,
    /// Loaded, and different now.
    Changed,
    /// Never seen, but its bytes were loaded: by the version of the table that is named.
    Copy(i64),
}

/// The entries of some files, at one version of a table.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    known: HashMap<String, i64>,
    /// The version since which it counts; nothing if it is as old as the table.
    since: Option<i64>,
    /// Whether the next change begins it, and how it was before.
    begins: Option<Option<i64>>,
}

impl Ledger {
    /// Reads what `table` knows of the paths of `files` and of how `columns` are written; a table that does not exist
    /// knows nothing.
    pub(super) async fn read(
        tables: &Tables,
        table: Option<&Arc<Snapshot>>,
        files: &[FileStamp],
        columns: &[String],
    ) -> Result<Self, LandingError> {
        let mut ledger = Self::default();
        let mut apps = ledger.apps(files, columns);
        apps.push(LEDGER.to_owned());
        ledger.read_apps(tables, table, apps).await?;
        ledger.since = ledger.known.remove(LEDGER);
        if ledger.since.is_some() {
            ledger.known.clear();
            let apps = ledger.apps(files, columns);
            ledger.read_apps(tables, table, apps).await?;
        }
        Ok(ledger)
    }

    /// The empty ledger of a table that was dropped, after version `table`, and is to be made anew.
    pub(super) async fn anew(tables: &Tables, table: &Arc<Snapshot>) -> Result<Self, LandingError> {
        let before = table.transactions(tables, [LEDGER.to_owned()]).await?.remove(LEDGER);
        let since = i64::try_from(table.version().next().0).unwrap_or(i64::MAX);
        Ok(Self { since: Some(since), begins: Some(before), ..Self::default() })
    }

    fn apps(&self, files: &[FileStamp], columns: &[String]) -> Vec<String> {
        let of_files = files.iter().flat_map(|file| [self.file_app(&file.path), self.stamp_app(&file.path)]);
        let of_columns = columns.iter().flat_map(|column| [self.order_app(column), self.untyped_app(column)]);
        of_files.chain(of_columns).chain([self.app("decimal_comma")]).collect()
    }

    /// Reads what `table` knows of some contents, whatever they are called.
    pub(super) async fn read_contents(
        &mut self,
        tables: &Tables,
        table: Option<&Arc<Snapshot>>,
        contents: impl Iterator<Item = ContentHash>,
    ) -> Result<(), LandingError> {
        let apps = contents.map(|content| self.content_app(content.as_i63())).collect();
        self.read_apps(tables, table, apps).await
    }

    /// What earlier files told about the dates of `columns` and about decimals.
    pub(super) fn habits(&self, columns: &[String]) -> Habits {
        let order = |column: &String| match self.known.get(&self.order_app(column)) {
            Some(1) => Some((column.clone(), DateOrder::Dmy)),
            Some(2) => Some((column.clone(), DateOrder::Mdy)),
            _ => None,
        };
        let is_untyped = |column: &&String| self.known.get(&self.untyped_app(column)) == Some(&1);
        Habits {
            untyped: columns.iter().filter(is_untyped).cloned().collect(),
            orders: columns.iter().filter_map(order).collect(),
            decimal_comma: self.known.get(&self.app("decimal_comma")) == Some(&1),
            typed: Vec::new(),
        }
    }

    async fn read_apps(
        &mut self,
        tables: &Tables,
        table: Option<&Arc<Snapshot>>,
        apps: Vec<String>,
    ) -> Result<(), LandingError> {
        if let Some(table) = table
            && !apps.is_empty()
        {
            self.known.extend(table.transactions(tables, apps).await?);
        }
        Ok(())
    }

    /// Writes a file's entries into the change that brings its rows.
    pub(super) fn enter(&self, mut change: Change, file: &FileStamp, content: ContentHash) -> Change {
        let version = i64::try_from(change.version().0).unwrap_or(i64::MAX - 1);
        if let (Some(before), Some(since)) = (self.begins, self.since) {
            change = change.with_transaction(LEDGER.to_owned(), before, since);
        }
        // The rows of the content before are gone with this change, and so is what was known of it.
        let gone = self.known.get(&self.file_app(&file.path)).filter(|before| **before != content.as_i63());
        let change = match gone {
            Some(before) => self.note(change, self.content_app(*before), GONE),
            None => change,
        };
        let change = self.note(change, self.file_app(&file.path), content.as_i63());
        let change = self.note(change, self.stamp_app(&file.path), stamp_of(file));
        self.note(change, self.content_app(content.as_i63()), version + 1)
    }

    /// Writes down what files told about dates and decimals, if it was not known.
    pub(super) fn enter_habits(&self, mut change: Change, habits: &Habits) -> Change {
        for (column, order) in &habits.orders {
            let number = match order {
                DateOrder::Ymd => continue,
                DateOrder::Dmy => 1,
                DateOrder::Mdy => 2,
            };
            if !self.known.contains_key(&self.order_app(column)) {
                change = self.note(change, self.order_app(column), number);
            }
        }
        if habits.decimal_comma && !self.known.contains_key(&self.app("decimal_comma")) {
            change = self.note(change, self.app("decimal_comma"), 1);
        }
        for column in &habits.untyped {
            if self.known.get(&self.untyped_app(column)) != Some(&1) {
                change = self.note(change, self.untyped_app(column), 1);
            }
        }
        for column in &habits.typed {
            change = self.note(change, self.untyped_app(column), 0);
        }
        change
    }

    /// The name of an entry.
    fn app(&self, name: &str) -> String {
        match self.since {
            None => format!("elt/{name}"),
            Some(since) => format!("elt@{since}/{name}"),
        }
    }

    fn file_app(&self, path: &str) -> String {
        self.app(&format!("file/{path}"))
    }

    fn stamp_app(&self, path: &str) -> String {
        self.app(&format!("stamp/{path}"))
    }

    fn content_app(&self, content: i64) -> String {
        self.app(&format!("content/{content:016x}"))
    }

    fn order_app(&self, column: &str) -> String {
        self.app(&format!("order/{column}"))
    }

    fn untyped_app(&self, column: &str) -> String {
        self.app(&format!("untyped/{column}"))
    }

    fn note(&self, change: Change, app: String, number: i64) -> Change {
        let before = self.known.get(&app).copied();
        change.with_transaction(app, before, number)
    }

    /// Whether `file` is as it was when it was loaded, by its size, time and ETag alone.
    pub(super) fn is_untouched(&self, file: &FileStamp) -> bool {
        self.known.get(&self.stamp_app(&file.path)) == Some(&stamp_of(file))
    }

    /// Whether anything was loaded from this path.
    pub(super) fn has_path(&self, path: &str) -> bool {
        self.known.contains_key(&self.file_app(path))
    }

    /// Whether `file`, which holds `content`, is new, the same, changed or a copy.
    pub(super) fn look_up(&self, file: &FileStamp, content: ContentHash) -> Known {
        match self.known.get(&self.file_app(&file.path)) {
            Some(known) if *known == content.as_i63() => Known::Same,
            Some(_) => Known::Changed,
            None => match self.known.get(&self.content_app(content.as_i63())) {
                Some(version) if *version != GONE && file.size > 0 => Known::Copy(*version - 1),
                _ => Known::New,
            },
        }
    }
}

/// What files told about how they are written, once and for the files to come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Habits {
    /// Which number of a column's dates is the month.
    pub(super) orders: Vec<(String, DateOrder)>,
    /// Whether numbers are written `1.234,5`.
    pub(super) decimal_comma: bool,
    /// Columns that never had a value, so that their types are nobody's decision yet.
    pub(super) untyped: Vec<String>,
    /// Columns that were so, and have a value now.
    pub(super) typed: Vec<String>,
}

/// In place of a content's version: its rows were replaced.
const GONE: i64 = 0;

fn stamp_of(file: &FileStamp) -> i64 {
    let mut hasher = Sha256::new();
    hasher.update(file.size.to_le_bytes());
    hasher.update(file.modified.timestamp_nanos_opt().unwrap_or(i64::MAX).to_le_bytes());
    hasher.update(file.etag.as_deref().unwrap_or_default());
    ContentHash::of(hasher).as_i63()
}
