//! All rows are replaced.

use std::sync::Arc;

use datafusion::execution::SendableRecordBatchStream;

use super::design::replaced;
use super::files::write_rows;
use crate::base::TableName;
use crate::table::{Change, Design, Effect, Operation, Snapshot, TableError, Tables};

/// Makes `rows` the whole content of `table`, and their columns its columns.
///
/// `base` is the version to be replaced; nothing if the table is new. The effect counts all rows
/// as added, none as removed: they are another edition, not the old rows changed.
pub async fn overwrite(
    tables: &Tables,
    table: &TableName,
    base: Option<Arc<Snapshot>>,
    rows: SendableRecordBatchStream,
) -> Result<Change, TableError> {
    overwrite_as(tables, table, base, rows, Ok).await
}

/// The same, with the design that `designed` makes of the one that the rows alone would give the table.
pub async fn overwrite_as(
    tables: &Tables,
    table: &TableName,
    base: Option<Arc<Snapshot>>,
    rows: SendableRecordBatchStream,
    designed: impl FnOnce(Design) -> Result<Design, TableError>,
) -> Result<Change, TableError> {
    let (schema, design) = replaced(table, base.as_deref(), &rows.schema(), designed)?;
    let (add, added) = write_rows(tables, table, &schema, &design, rows).await?;
    let retire = base.as_ref().map(|base| base.files().to_vec()).unwrap_or_default();
    let mut change = Change::blank(table, base, schema, design);
    change.add = add;
    change.retire = retire;
    change.operation = Operation::Overwrite;
    change.effect = Effect { added, ..Effect::default() };
    change.count_rows_after();
    Ok(change)
}
