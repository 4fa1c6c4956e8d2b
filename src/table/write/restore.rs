//! The table is put back to what it was.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::table::change::{Definition, Progress};
use crate::table::{Change, DataFile, Effect, Operation, Snapshot, TableError, Tables};

/// Makes the content and columns of `base` those of the earlier version `target`.
///
/// No rows are read or written: the log takes old files back in and newer ones out, and forgets
/// what was loaded since. The files of `target` must still be there.
pub async fn restore(tables: &Tables, base: Arc<Snapshot>, target: &Snapshot) -> Result<Change, TableError> {
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
    Ok(to_files(
        base,
        target.files(),
        Change { schema, design, definition, operation, transactions, ..blank(target) },
    ))
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

fn to_files(base: Arc<Snapshot>, wanted: &[DataFile], change: Change) -> Change {
    let lacks = |files: &[DataFile], file: &DataFile| !files.iter().any(|other| other.is(file));
    let add: Vec<DataFile> = wanted.iter().filter(|file| lacks(base.files(), file)).cloned().collect();
    let retire: Vec<DataFile> = base.files().iter().filter(|file| lacks(wanted, file)).cloned().collect();
    let rows = |files: &[DataFile]| files.iter().filter_map(DataFile::rows).sum();
    let effect = Effect { added: rows(&add), removed: rows(&retire), ..Effect::default() };
    let mut change = Change { base: Some(base), add, retire, effect, ..change };
    change.count_rows_after();
    change
}
