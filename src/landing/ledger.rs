//! Which files has a table already?
//!
//! The ledger is made of Delta `txn` actions, two for a file, in the commit of its rows:
//! `elt/file/<path>` carries the first 63 bits of the content's SHA-256, and `elt/stamp/<path>` a
//! digest of size and modification time, so that an unchanged file is known without being read.
//! They live as long as the table, survive checkpoints, and no other engine takes them away.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::LandingError;
use super::discover::{ContentHash, FileStamp, content_hash};
use crate::table::{Change, Snapshot, Tables};

/// What the ledger says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Never seen.
    New,
    /// Loaded, and the same now.
    Same,
    /// Loaded, and different now.
    Changed,
}

/// The entries of some files, at one version of a table.
#[derive(Debug, Default)]
pub struct Ledger(HashMap<String, i64>);

impl Ledger {
    /// Reads what `table` knows of `files`; a table that does not exist knows nothing.
    pub async fn read(
        tables: &Tables,
        table: Option<&Arc<Snapshot>>,
        files: &[FileStamp],
    ) -> Result<Self, LandingError> {
        let Some(table) = table else { return Ok(Self::default()) };
        let apps = files.iter().flat_map(|file| [file_app(&file.path), stamp_app(&file.path)]);
        Ok(Self(table.transactions(tables, apps).await?))
    }

    /// Writes a file's entries into the change that brings its rows.
    pub(super) fn enter(&self, change: Change, file: &FileStamp, content: ContentHash) -> Change {
        let (path, stamp) = (file_app(&file.path), stamp_app(&file.path));
        let (content_before, stamp_before) = (self.0.get(&path).copied(), self.0.get(&stamp).copied());
        change.with_transaction(path, content_before, content.as_i63()).with_transaction(
            stamp,
            stamp_before,
            stamp_of(file),
        )
    }

    /// Whether `file` is new, the same or changed. Reads the file only if its size or time differ.
    pub fn look_up(&self, file: &FileStamp) -> Result<Known, LandingError> {
        if self.0.get(&stamp_app(&file.path)) == Some(&stamp_of(file)) {
            return Ok(Known::Same);
        }
        match self.0.get(&file_app(&file.path)) {
            None => Ok(Known::New),
            Some(known) if *known == content_hash(&file.on_disk)?.as_i63() => Ok(Known::Same),
            Some(_) => Ok(Known::Changed),
        }
    }
}

fn file_app(path: &str) -> String {
    format!("elt/file/{path}")
}

fn stamp_app(path: &str) -> String {
    format!("elt/stamp/{path}")
}

fn stamp_of(file: &FileStamp) -> i64 {
    let mut hasher = Sha256::new();
    hasher.update(file.size.to_le_bytes());
    hasher.update(file.modified.timestamp_nanos_opt().unwrap_or(i64::MAX).to_le_bytes());
    ContentHash::of(hasher).as_i63()
}
