//! The rows that a predicate picks are replaced.

use std::sync::Arc;

use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::Expr;

use super::NewColumns;
use super::append::append;
use super::touch::{Touched, settle};
use crate::table::{Change, Operation, Scan, Snapshot, TableError, Tables};

/// Takes out the rows of `base` for which `predicate` is true, and puts `rows` in.
pub async fn replace_where(
    tables: &Tables,
    base: Arc<Snapshot>,
    predicate: Expr,
    rows: SendableRecordBatchStream,
    new_columns: NewColumns,
) -> Result<Change, TableError> {
    let gone = tables.context().read_table(Arc::new(Scan::of(&base)?.with_places()))?.filter(predicate)?;
    replace_rows(tables, base, gone.execute_stream().await?, rows, new_columns).await
}

/// Takes out the rows of `base` that `gone` names by their places, and puts `rows` in.
pub async fn replace_rows(
    tables: &Tables,
    base: Arc<Snapshot>,
    gone: SendableRecordBatchStream,
    rows: SendableRecordBatchStream,
    new_columns: NewColumns,
) -> Result<Change, TableError> {
    base.refuse_if_append_only()?;
    let touched = Touched::by(gone).await?;
    let removed = touched.rows();
    let mut change = append(tables, base.table(), Some(Arc::clone(&base)), rows, new_columns).await?;
    let settled = settle(tables, &base, touched, base.design().write_mode()).await?;
    change.operation = Operation::ReplaceWhere;
    change.effect.removed = removed;
    change.retire = settled.retire;
    change.add.extend(settled.add);
    change.count_rows_after();
    Ok(change)
}

/// Takes out all rows of `base` and puts `rows` in. Its columns and rules stay.
pub async fn replace_all(
    tables: &Tables,
    base: Arc<Snapshot>,
    rows: SendableRecordBatchStream,
) -> Result<Change, TableError> {
    base.refuse_if_append_only()?;
    let mut change = append(tables, base.table(), Some(Arc::clone(&base)), rows, NewColumns::None).await?;
    change.operation = Operation::Overwrite;
    change.retire = base.files().to_vec();
    change.effect.removed = base.rows().unwrap_or(0);
    change.count_rows_after();
    Ok(change)
}

/// Takes out all rows of `base`. Nothing is read or written.
pub fn truncate(base: Arc<Snapshot>, operation: Operation) -> Result<Change, TableError> {
    base.check_writable()?;
    base.refuse_if_append_only()?;
    let (schema, design) = (Arc::clone(base.schema()), base.design().clone());
    let mut change = Change::blank(base.table(), Some(Arc::clone(&base)), schema, design);
    change.operation = operation;
    change.retire = base.files().to_vec();
    change.effect.removed = base.rows().unwrap_or(0);
    change.count_rows_after();
    Ok(change)
}
