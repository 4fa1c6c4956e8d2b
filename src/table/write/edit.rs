//! Rows are deleted, updated and inserted, each as a query says.
//!
//! An *edit* is a row that says what is to happen: which row of the table goes ([`FILE_COLUMN`],
//! [`POSITION_COLUMN`]), what kind of edit it is ([`ACTION_COLUMN`]), and the row that comes in its place or
//! is new. DELETE, UPDATE and MERGE are queries that give edits; nobody else needs to know them.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use super::WriteMode;
use super::files::RowsWriter;
use super::touch::{Touched, settle};
use crate::table::{Change, Design, Operation, Snapshot, TableError, Tables};

/// The column that says what is to happen: [`INSERT`], [`UPDATE`], [`DELETE`], or null for nothing.
pub const ACTION_COLUMN: &str = "_elt_action";
/// The row is new.
pub const INSERT: i64 = 1;
/// The row stands in for the one that goes.
pub const UPDATE: i64 = 2;
/// The row goes.
pub const DELETE: i64 = 3;

/// Carries out a stream of edits on `base`.
///
/// `schema` and `design` are the table's afterwards; columns are matched by name. The stream is read once,
/// new rows are written as they come, and of the rows that go no more than their places is kept in memory.
///
/// # Errors
/// [`TableError::MatchedTwice`] if two edits are of one row of the table.
pub async fn edit(
    tables: &Tables,
    base: Arc<Snapshot>,
    (schema, design): (SchemaRef, Design),
    mut edits: SendableRecordBatchStream,
    operation: Operation,
    mode: WriteMode,
) -> Result<Change, TableError> {
    base.check_writable()?;
    let mut change = Change::blank(base.table(), Some(Arc::clone(&base)), schema, design);
    let mut touched = Touched::default();
    let mut writer = RowsWriter::new(tables, base.table(), &change.schema, &change.design)?;
    let effect = &mut change.effect;
    while let Some(batch) = edits.next().await {
        let batch = batch?;
        let actions = actions(&batch)?;
        let is = |row: usize, action: i64| actions.is_valid(row) && actions.value(row) == action;
        let rows = 0..batch.num_rows();
        let twice = touched.extend(&batch, |row| is(row, UPDATE) || is(row, DELETE))?;
        if let Some(row) = twice {
            return Err(TableError::MatchedTwice {
                table: base.table().clone(),
                row: super::rules::show_edit(&batch, row)?,
            });
        }
        let count = |action: i64| rows.clone().filter(|row| is(*row, action)).count() as u64;
        effect.added += count(INSERT);
        effect.updated += count(UPDATE);
        effect.removed += count(DELETE);
        let comes: BooleanArray = rows.clone().map(|row| Some(is(row, INSERT) || is(row, UPDATE))).collect();
        if comes.true_count() > 0 {
            writer.push(&filter_record_batch(&batch, &comes).map_err(DataFusionError::from)?).await?;
        }
    }
    let (added, _) = writer.finish().await?;
    if !touched.is_empty() {
        base.refuse_if_append_only()?;
    }
    let settled = settle(tables, &base, touched, mode).await?;
    change.operation = operation;
    change.retire = settled.retire;
    change.add = settled.add;
    change.add.extend(added);
    change.count_rows_after();
    Ok(change)
}

fn actions(batch: &RecordBatch) -> Result<arrow::array::Int64Array, TableError> {
    let column = batch.column_by_name(ACTION_COLUMN).ok_or_else(|| {
        TableError::Rows(DataFusionError::Internal(format!("edits lack the column {ACTION_COLUMN}")))
    })?;
    let actions = cast(column, &DataType::Int64).map_err(DataFusionError::from)?;
    Ok(actions.as_primitive::<Int64Type>().clone())
}
