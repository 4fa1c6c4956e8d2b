//! What does history cost?
//!
//! The bytes of every table: of what readers see, of the versions before, of its log, and of the raw files that it was landed
//! from; and how many of them maintenance would delete today.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Lakehouse;
use super::maintain::LookBack;
use crate::base::{Result, TableName};
use crate::lake::layout;
use crate::table::{DataFile, default_retention};

/// The bytes of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableStorage {
    /// The table.
    pub table: String,
    /// Whether readers see it; if not, all of it is history.
    pub is_visible: bool,
    /// Rows that readers see.
    pub rows: Option<u64>,
    /// Versions that there were.
    pub versions: u64,
    /// Files that readers see.
    pub files: u64,
    /// Bytes that readers see.
    pub live: u64,
    /// Bytes of versions before, and of what was never published.
    pub history: u64,
    /// Of these, the bytes that `elt maintain` would delete now.
    pub deletable: u64,
    /// Bytes of the log, with its checkpoints.
    pub log: u64,
    /// Bytes of the raw files.
    pub raw: u64,
}

/// The bytes of a lake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Storage {
    /// Its tables, the largest first.
    pub tables: Vec<TableStorage>,
    /// Releases, and the bytes of their documents.
    pub releases: (u64, u64),
    /// Runs, and the bytes of their reports.
    pub runs: (u64, u64),
}

impl TableStorage {
    /// All its bytes.
    pub fn total(&self) -> u64 {
        self.live + self.history + self.log + self.raw
    }
}

impl Lakehouse {
    /// Adds up the bytes of every table that there is or was. Lists the whole lake; reads no row.
    ///
    /// Files that a clone shares on a disk are counted for each table.
    pub async fn storage(&self) -> Result<Storage> {
        let lake = self.tables.lake();
        let pins = self.pins().await?;
        let mut deletable: BTreeMap<TableName, u64> = BTreeMap::new();
        let mut tables = Vec::new();
        let mut before = LookBack::default();
        for name in pins.tables.keys().chain(pins.retired.keys()) {
            let unneeded = self.vacuum_table(name, default_retention(), true, &mut before).await?;
            deletable.insert(name.clone(), unneeded.iter().map(|file| file.bytes).sum());
        }
        for (name, version) in pins.tables.iter().chain(&pins.retired) {
            let is_visible = pins.tables.contains_key(name);
            let snapshot = match is_visible {
                true => Some(self.tables.snapshot(name, *version).await?),
                false => None,
            };
            let files: &[DataFile] = snapshot.as_deref().map_or(&[], |snapshot| snapshot.files());
            let mut used: BTreeSet<String> = BTreeSet::new();
            for file in files {
                if let Ok(path) = file.location(&object_store::path::Path::default()) {
                    used.insert(path.to_string());
                }
            }
            let root = layout::table(name);
            let log = layout::log(name);
            let mut table = TableStorage {
                table: name.to_string(),
                is_visible,
                rows: snapshot.as_ref().and_then(|snapshot| snapshot.rows()),
                versions: version.0 + 1,
                files: files.len() as u64,
                deletable: deletable.get(name).copied().unwrap_or_default(),
                ..TableStorage::default()
            };
            for object in lake.list(&root).await? {
                let below = |prefix| object.location.prefix_match(prefix).is_some();
                let path = object.location.to_string();
                let own = path.strip_prefix(&format!("{root}/")).unwrap_or(&path);
                match () {
                    () if below(&log) => table.log += object.size,
                    () if used.contains(own) => table.live += object.size,
                    () => table.history += object.size,
                }
            }
            let raw = object_store::path::Path::from(format!("raw/{}/{}", name.schema(), name.table()));
            table.raw = lake.list(&raw).await?.iter().map(|object| object.size).sum();
            tables.push(table);
        }
        tables.sort_by(|a, b| b.total().cmp(&a.total()).then_with(|| a.table.cmp(&b.table)));
        let sum = async |folder: &str| -> Result<(u64, u64)> {
            let listed = lake.list(&folder.into()).await?;
            Ok((listed.len() as u64, listed.iter().map(|object| object.size).sum()))
        };
        Ok(Storage { tables, releases: sum(layout::RELEASES).await?, runs: sum(layout::RUNS).await? })
    }
}
