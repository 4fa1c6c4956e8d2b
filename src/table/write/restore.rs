//! The table is put back to what it was.

use std::sync::Arc;

use crate::table::change::Definition;
use crate::table::{Change, DataFile, Effect, Operation, Snapshot};

/// Makes the content and columns of `base` those of the earlier version `target`.
///
/// No rows are read or written: the log takes old files back in and newer ones out. The files of
/// `target` must still be there.
pub fn restore(base: Arc<Snapshot>, target: &Snapshot) -> Change {
    let definition = if base.metadata() == target.metadata() && base.protocol() == target.protocol() {
        Definition::Same
    } else {
        Definition::Restored {
            metadata: Box::new(target.metadata().clone()),
            protocol: Box::new(base.protocol().clone()),
        }
    };
    let operation = Operation::Restore { to: target.version() };
    let schema = Arc::clone(target.schema());
    to_files(base, target.files(), Change {
        schema,
        definition,
        operation,
        ..blank(target)
    })
}

/// Takes every row out of `base` and keeps its columns.
pub fn empty(base: Arc<Snapshot>) -> Change {
    let change = blank(&base);
    to_files(base, &[], change)
}

fn blank(snapshot: &Snapshot) -> Change {
    Change {
        table: snapshot.table().clone(),
        base: None,
        schema: Arc::clone(snapshot.schema()),
        definition: Definition::Same,
        add: Vec::new(),
        retire: Vec::new(),
        operation: Operation::Overwrite,
        effect: Effect::default(),
        transactions: Default::default(),
        provenance: Default::default(),
    }
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
