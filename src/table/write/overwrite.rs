//! All rows are replaced.

use std::sync::Arc;

use datafusion::execution::SendableRecordBatchStream;

use super::files::write_rows;
use crate::base::TableName;
use crate::table::change::Definition;
use crate::table::{Change, Effect, Operation, Snapshot, TableError, Tables, storable};

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
    if let Some(base) = &base {
        base.check_supported()?;
    }
    let schema = storable(table, &rows.schema())?;
    let (add, added) = write_rows(tables, table, &schema, rows).await?;
    let same = base.as_ref().is_some_and(|base| base.schema() == &schema);
    let retire = base.as_ref().map(|base| base.files().to_vec()).unwrap_or_default();
    let mut change = Change {
        table: table.clone(),
        base,
        schema,
        definition: if same { Definition::Same } else { Definition::Made },
        add,
        retire,
        operation: Operation::Overwrite,
        effect: Effect { added, ..Effect::default() },
        transactions: Default::default(),
        provenance: Default::default(),
    };
    change.count_rows_after();
    Ok(change)
}
