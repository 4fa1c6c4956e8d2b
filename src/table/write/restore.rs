//! The table is put back to what it was.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use deltalake::kernel::Action;
use futures::StreamExt;
use object_store::path::Path;
use serde_json::Value;

use crate::base::TableVersion;
use crate::lake::layout;
use crate::table::change::{Definition, Progress};
use crate::table::hidden::relative_file;
use crate::table::{Change, DataFile, Effect, Operation, Snapshot, TableError, Tables};

/// Makes the content and columns of `base` those of the earlier version `target`.
///
/// No rows are read or written: the log takes old files back in and newer ones out, and forgets
/// what was loaded since. The files of `target` must still be there.
pub async fn restore(tables: &Tables, base: Arc<Snapshot>, target: &Snapshot) -> Result<Change, TableError> {
    refuse_if_gone(tables, &base, target).await?;
    let definition = if base.metadata() == target.metadata() && base.protocol() == target.protocol() {
        Definition::Same
    } else {
        Definition::Restored {
            metadata: Box::new(target.metadata().clone()),
            protocol: Box::new(base.protocol().clone()),
        }
    };
    let operation = Operation::Restore { to: target.version() };
    let (schema, design) = (Arc::clone(target.schema()), target.design().clone());
    let transactions = transactions(tables, &base, Some(target)).await?;
    refuse_other_spellings(tables, &base, target.version()).await?;
    Ok(to_files(
        base,
        target.files(),
        Change { schema, design, definition, operation, transactions, ..blank(target) },
    ))
}

/// Refuses a version that a vacuum has taken files of. Only those that come back are looked for.
async fn refuse_if_gone(tables: &Tables, base: &Snapshot, target: &Snapshot) -> Result<(), TableError> {
    let comes_back = |file: &&DataFile| !base.files().iter().any(|own| own.path() == file.path());
    let wanted: Vec<&DataFile> = target.files().iter().filter(comes_back).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let root = layout::table(target.table());
    let there: BTreeSet<String> =
        tables.lake().list(&root).await?.into_iter().map(|object| object.location.to_string()).collect();
    let is_there = |path: &str| {
        let path =
            Path::from_iter(root.parts().chain(Path::parse(path).unwrap_or_else(|_| path.into()).parts()));
        there.contains(path.as_ref())
    };
    let vectors = target.files().iter().filter_map(|file| relative_file(file.vector()?));
    let gone =
        wanted.into_iter().map(|file| file.path().to_owned()).chain(vectors).find(|path| !is_there(path));
    match gone {
        None => Ok(()),
        Some(path) => {
            Err(TableError::FilesGone { table: target.table().clone(), version: target.version(), path })
        }
    }
}

/// Refuses to take out a file that was added after `since` and whose path in the log is not spelled as we would spell it.
async fn refuse_other_spellings(
    tables: &Tables,
    base: &Snapshot,
    since: TableVersion,
) -> Result<(), TableError> {
    let table = base.table();
    let entries = futures::stream::iter((since.0 + 1)..=base.version().0).map(|version| async move {
        tables.lake().read(&layout::log_entry(table, TableVersion(version))).await
    });
    let entries: Vec<_> = entries.buffered(16).collect().await;
    for entry in entries {
        let text = entry?.unwrap_or_default();
        for line in String::from_utf8_lossy(&text).lines().filter(|line| line.contains("\"add\"")) {
            let Ok(written) = serde_json::from_str::<Value>(line) else { continue };
            let Ok(read @ Action::Add(_)) = serde_json::from_str::<Action>(line) else { continue };
            let ours = serde_json::to_value(&read).unwrap_or_default();
            let (raw, path) = (&written["add"]["path"], &ours["add"]["path"]);
            if raw != path
                && base
                    .files()
                    .iter()
                    .any(|file| matches!(&read, Action::Add(add) if add.path == file.path()))
            {
                let text = |path: &Value| path.as_str().unwrap_or_default().to_owned();
                return Err(TableError::PathSpelling {
                    table: table.clone(),
                    path: text(path),
                    raw: text(raw),
                });
            }
        }
    }
    Ok(())
}

/// Takes every row out of `base` and keeps its columns.
pub async fn empty(tables: &Tables, base: Arc<Snapshot>) -> Result<Change, TableError> {
    let transactions = transactions(tables, &base, None).await?;
    let change = Change { transactions, ..blank(&base) };
    Ok(to_files(base, &[], change))
}

/// What applications had come to at `target`, where that differs from `base`: with the rows, the
/// memory of having loaded them goes back too.
async fn transactions(
    tables: &Tables,
    base: &Snapshot,
    target: Option<&Snapshot>,
) -> Result<BTreeMap<String, Progress>, TableError> {
    let now = base.all_transactions(tables).await?;
    let then = match target {
        Some(target) => target.all_transactions(tables).await?,
        None => Some(HashMap::new()),
    };
    let (Some(now), Some(then)) = (now, then) else {
        tracing::warn!(table = %base.table(), "the log's beginning is gone; files loaded since stay known as loaded");
        return Ok(BTreeMap::new());
    };
    let apps: BTreeSet<&String> = now.keys().chain(then.keys()).collect();
    let progress = apps
        .into_iter()
        .map(|app| (app.clone(), Progress { before: now.get(app).copied(), now: then.get(app).copied() }));
    Ok(progress.filter(|(_, progress)| progress.before != progress.now).collect())
}

fn blank(snapshot: &Snapshot) -> Change {
    let (schema, design) = (Arc::clone(snapshot.schema()), snapshot.design().clone());
    let blank = Change::blank(snapshot.table(), None, schema, design);
    Change { definition: Definition::Same, operation: Operation::Overwrite, ..blank }
}

/// The change that makes `wanted` the files of `base`.
pub(super) fn to_files(base: Arc<Snapshot>, wanted: &[DataFile], change: Change) -> Change {
    let lacks = |files: &[DataFile], file: &DataFile| !files.iter().any(|other| other.is(file));
    let add: Vec<DataFile> = wanted.iter().filter(|file| lacks(base.files(), file)).cloned().collect();
    let retire: Vec<DataFile> = base.files().iter().filter(|file| lacks(wanted, file)).cloned().collect();
    let rows = |files: &[DataFile]| files.iter().filter_map(DataFile::rows).sum();
    let effect = Effect { added: rows(&add), removed: rows(&retire), ..Effect::default() };
    let mut change = Change { base: Some(base), add, retire, effect, ..change };
    change.count_rows_after();
    change
}
