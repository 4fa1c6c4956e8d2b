//! How do rows leave a table?
//!
//! Whoever deletes, updates or merges first finds the rows it touches: [`Touched`], the positions in each
//! file. [`settle`] is the other half, the same for all of them: a file whose rows all go is retired; of
//! the others each is written again without those rows, or keeps them hidden, as the
//! [`WriteMode`] has it.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::{StreamExt, stream};

use super::WriteMode;
use super::again;
use super::files::{stored, write_rows_as};
use crate::lake::layout;
use crate::table::hidden::{self, Positions};
use crate::table::{
    DataFile, FILE_COLUMN, Kept, POSITION_COLUMN, Scan, Snapshot, TableError, Tables, as_they_lie,
};

/// Files with so many bytes or fewer, together, are written again as one.
const TOGETHER: u64 = 32 * 1024 * 1024;

/// Rows of a table, by the file they are in.
#[derive(Clone, Debug, Default)]
pub(super) struct Touched {
    by_file: BTreeMap<String, Positions>,
    rows: u64,
}

impl Touched {
    /// Every row that `places` names, by its two columns that say where it is.
    pub(super) async fn by(mut places: SendableRecordBatchStream) -> Result<Self, TableError> {
        let mut touched = Self::default();
        while let Some(batch) = places.next().await {
            touched.extend(&batch?, |_| true)?;
        }
        Ok(touched)
    }

    /// Adds the rows of a batch that `wanted` picks. Returns the first of them that was there already.
    pub(super) fn extend(
        &mut self,
        batch: &RecordBatch,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Option<usize>, TableError> {
        let column = |name: &str, data_type: &DataType| -> Result<ArrayRef, TableError> {
            let column = batch.column_by_name(name).ok_or_else(|| {
                TableError::Rows(DataFusionError::Internal(format!("rows to touch lack the column {name}")))
            })?;
            Ok(cast(column, data_type).map_err(DataFusionError::from)?)
        };
        let files = column(FILE_COLUMN, &DataType::Utf8)?;
        let positions = column(POSITION_COLUMN, &DataType::Int64)?;
        let (files, positions) = (files.as_string::<i32>(), positions.as_primitive::<Int64Type>());
        let mut twice = None;
        let mut current: Option<(&str, &mut Positions)> = None;
        for row in (0..batch.num_rows()).filter(|row| wanted(*row)) {
            if files.is_null(row) || positions.is_null(row) {
                continue;
            }
            let file = files.value(row);
            let known = match current.take() {
                Some((name, known)) if name == file => known,
                _ => {
                    if !self.by_file.contains_key(file) {
                        self.by_file.insert(file.to_owned(), Positions::new());
                    }
                    self.by_file.get_mut(file).expect("it was just inserted")
                }
            };
            match known.insert(u64::try_from(positions.value(row)).unwrap_or(0)) {
                true => self.rows += 1,
                false => twice = twice.or(Some(row)),
            }
            current = Some((file, known));
        }
        Ok(twice)
    }

    /// How many rows.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

/// What becomes of the files that lose rows.
#[derive(Default)]
pub(super) struct Settled {
    /// The entries that go.
    pub(super) retire: Vec<DataFile>,
    /// The entries that come in their place.
    pub(super) add: Vec<DataFile>,
}

/// Takes the touched rows out of `base`.
pub(super) async fn settle(
    tables: &Tables,
    base: &Snapshot,
    touched: Touched,
    mode: WriteMode,
) -> Result<Settled, TableError> {
    let mut settled = Settled::default();
    let (mut rewrite, mut hide) = (Vec::new(), Vec::new());
    let (store, root) = (tables.lake().store(), layout::table(base.table()));
    for file in base.files() {
        let Some(gone) = touched.by_file.get(file.path()).filter(|gone| !gone.is_empty()) else { continue };
        settled.retire.push(file.clone());
        let hidden = file.hidden(store.as_ref(), &root).await?;
        let all = hidden.map_or_else(|| gone.clone(), |hidden| &*hidden | gone);
        match file.rows_in_file() {
            Some(rows) if all.len() >= rows => {}
            Some(rows) if mode.hides(file.size(), rows, all.len()) => hide.push((file, all)),
            _ => rewrite.push((file.clone(), all)),
        }
    }
    let (files, vectors): (Vec<&DataFile>, Vec<Positions>) = hide.into_iter().unzip();
    let vectors = hidden::write(tables, base.table(), &vectors).await?;
    let now = tables.now_millis();
    settled.add.extend(files.into_iter().zip(vectors).map(|(file, vector)| file.with_hidden(vector, now)));
    let over = Arc::new(touched.by_file);
    let stored = stored(base.schema(), base.design());
    let is_clustered = !base.design().cluster_by().is_empty();
    let rewritten = together(rewrite, TOGETHER).into_iter().map(|files| {
        let alone = match &files[..] {
            [one] if !is_clustered => Some(one.clone()),
            _ => None,
        };
        let files = files.into_iter().map(|(file, _)| file).collect();
        let scan = Scan::new(base.table(), base.schema(), base.design().layout(), files);
        let scan = scan.passing_over(Arc::clone(&over));
        let (tables, table) = (tables.clone(), base.table().clone());
        let (schema, design) = (Arc::clone(base.schema()), base.design().clone());
        let stored = Arc::clone(&stored);
        // Its name is given before anything runs at once: names are in the order of what was there.
        let name = tables.id();
        SpawnedTask::spawn(async move {
            if let Some((file, gone)) = alone {
                let path = again::beside(file.path(), &name);
                if let Some(file) = again::without(&tables, &table, &stored, &file, &gone, path).await? {
                    return Ok((vec![file], 0));
                }
            }
            let rows = as_they_lie(tables.context().read_table(Arc::new(scan))?, Kept::All).await?;
            write_rows_as(&tables, &table, &schema, &design, rows, Some(name)).await
        })
    });
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut rewritten = stream::iter(rewritten).map(SpawnedTask::join_unwind).buffered(cores);
    while let Some(files) = rewritten.next().await {
        let files = files.map_err(|error| DataFusionError::External(Box::new(error)))?;
        settled.add.extend(files?.0);
    }
    Ok(settled)
}

/// Files, in groups that are written again together: a large one by itself, so that its rows stay between the bounds that
/// they had; small ones that stand beside each other as one, up to so many bytes.
fn together(files: Vec<(DataFile, Positions)>, bytes: u64) -> Vec<Vec<(DataFile, Positions)>> {
    let mut groups: Vec<Vec<(DataFile, Positions)>> = Vec::new();
    let mut size = 0;
    for (file, gone) in files {
        size += file.size();
        match groups.last_mut() {
            Some(group) if size <= bytes => group.push((file, gone)),
            _ => {
                size = file.size();
                groups.push(vec![(file, gone)]);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use deltalake::kernel::Add;

    use super::*;

    #[test]
    fn large_files_are_written_again_alone_and_small_ones_together() {
        for (sizes, expected) in [
            (&[][..], &[][..]),
            (&[500], &[&[500][..]]),
            (&[40, 40, 20, 1], &[&[40, 40, 20][..], &[1]]),
            (&[10, 500, 10, 20, 500, 500], &[&[10][..], &[500], &[10, 20], &[500], &[500]]),
        ] {
            let file = |size: &i64| (DataFile::new(Add { size: *size, ..Add::default() }), Positions::new());
            let groups = together(sizes.iter().map(file).collect(), 100);
            let sizes: Vec<Vec<u64>> =
                groups.iter().map(|group| group.iter().map(|(file, _)| file.size()).collect()).collect();
            assert_eq!(sizes, expected);
        }
    }
}
