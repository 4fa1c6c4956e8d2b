//! How do rows leave a table?
//!
//! Whoever deletes, updates or merges first finds the rows it touches: [`Touched`], the positions in each
//! file. [`settle`] is the other half, the same for all of them: a file whose rows all go is retired; of
//! the others each is written again without those rows, or keeps them hidden, as the
//! [`WriteMode`] has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use super::WriteMode;
use super::files::write_rows;
use crate::lake::layout;
use crate::table::hidden::{self, Positions};
use crate::table::{DataFile, FILE_COLUMN, POSITION_COLUMN, Scan, Snapshot, TableError, Tables};

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
            _ => rewrite.push(file.clone()),
        }
    }
    let (files, vectors): (Vec<&DataFile>, Vec<Positions>) = hide.into_iter().unzip();
    let vectors = hidden::write(tables, base.table(), &vectors).await?;
    let now = tables.now_millis();
    settled.add.extend(files.into_iter().zip(vectors).map(|(file, vector)| file.with_hidden(vector, now)));
    if !rewrite.is_empty() {
        let scan = Scan::new(base.table(), base.schema(), base.design().layout(), rewrite)
            .passing_over(Arc::new(touched.by_file));
        let rows = tables.context().read_table(Arc::new(scan))?.execute_stream().await?;
        let (files, _) = write_rows(tables, base.table(), base.schema(), base.design(), rows).await?;
        settled.add.extend(files);
    }
    Ok(settled)
}
