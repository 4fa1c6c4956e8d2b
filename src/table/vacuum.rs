//! Which files does nobody need any more?
//!
//! A file stays while a version that can still be asked for has it, as data or as a deletion vector. Which
//! versions those are is said by the caller, who knows the releases.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use deltalake::kernel::{Action, DeletionVectorDescriptor};
use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use serde::Serialize;

use super::hidden::relative_file;
use super::{Change, DataFile, TableError, Tables};
use crate::base::{TableName, TableVersion};
use crate::lake::{LakeError, layout};

/// A file that a table no longer needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unneeded {
    /// Its path in the lake.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
}

/// How long files are kept unless somebody says otherwise, as in Delta.
pub fn default_retention() -> Duration {
    Duration::days(7)
}

/// Finds the files of a table that no version from `oldest` on has, and that are older than `retain`.
///
/// Age is measured by the store's own times, against the newest file of the table: a wrong clock on this
/// machine takes nothing away. A file that a writer has just made and not yet committed is young.
pub async fn unneeded(
    tables: &Tables,
    table: &TableName,
    oldest: TableVersion,
    retain: Duration,
) -> Result<Vec<Unneeded>, TableError> {
    let needed = needed(tables, table, oldest).await?;
    let root = layout::table(table);
    let is_own = |object: &ObjectMeta| {
        let below = object.location.prefix_match(&root)?;
        let parts: Vec<String> = below.map(|part| part.as_ref().to_owned()).collect();
        let is_data = parts.first().is_none_or(|first| !first.starts_with(['_', '.']) || first.contains('='));
        is_data.then(|| parts.join("/"))
    };
    let listed = tables.lake().list(&root).await?;
    let newest = listed.iter().map(|object| object.last_modified).max().unwrap_or(DateTime::<Utc>::MIN_UTC);
    let mut found = Vec::new();
    for object in &listed {
        let Some(path) = is_own(object) else { continue };
        if !needed.contains(&path) && newest - object.last_modified >= retain {
            found.push(Unneeded { path: object.location.to_string(), bytes: object.size });
        }
    }
    Ok(found)
}

/// Deletes files. What is gone stays gone if the store fails part-way; run it again to go on.
pub async fn delete(tables: &Tables, files: &[Unneeded]) -> Result<(), TableError> {
    let store = tables.lake().store();
    for file in files {
        match store.delete(&Path::parse(&file.path).unwrap_or_else(|_| file.path.as_str().into())).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => {
                return Err(TableError::Lake(LakeError::of_store(file.path.clone(), source)));
            }
        }
    }
    Ok(())
}

/// The files of deletion vectors that a change has brought, as paths in the lake. Nothing refers to them unless it is
/// committed.
pub fn vectors_brought(change: &Change) -> Vec<String> {
    let vectors = |files: &[DataFile]| -> BTreeSet<String> {
        files.iter().filter_map(|file| file.vector().and_then(relative_file)).collect()
    };
    let known: BTreeSet<String> = change.base.iter().flat_map(|base| vectors(base.files())).collect();
    let root = layout::table(&change.table);
    vectors(&change.add).difference(&known).map(|path| format!("{root}/{path}")).collect()
}

/// Every path that a version from `oldest` to the head has, below the table's root.
async fn needed(
    tables: &Tables,
    table: &TableName,
    oldest: TableVersion,
) -> Result<BTreeSet<String>, TableError> {
    let mut needed = BTreeSet::new();
    let mut need = |path: &str, vector: Option<&DeletionVectorDescriptor>| {
        needed.extend([path.to_owned(), Path::from(path).to_string()]);
        needed.extend(vector.and_then(relative_file));
    };
    for file in tables.snapshot(table, oldest).await?.files() {
        need(file.path(), file.vector());
    }
    let head = tables.head(table).await?.unwrap_or(oldest);
    let entries = futures::stream::iter((oldest.0 + 1)..=head.0).map(|version| async move {
        tables.lake().read(&layout::log_entry(table, TableVersion(version))).await
    });
    let entries: Vec<_> = entries.buffered(16).collect().await;
    for entry in entries {
        let text = entry?.unwrap_or_default();
        for line in String::from_utf8_lossy(&text).lines() {
            if let Ok(Action::Add(add)) = serde_json::from_str::<Action>(line) {
                need(&add.path, add.deletion_vector.as_ref());
            }
        }
    }
    Ok(needed)
}
