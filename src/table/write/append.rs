//! Rows are added.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;

use super::files::write_rows;
use crate::base::TableName;
use crate::table::schema::drift;
use crate::table::{Change, Design, Effect, Snapshot, TableError, Tables, grown, storable};

/// What to do with a column that the rows have and the table lacks: dbt's `on_schema_change`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewColumns {
    /// Leave it out.
    Ignore,
    /// Refuse the rows.
    Fail,
    /// Give it to the table; its old rows have nulls there. Types widen as [`grown`] says.
    Append,
    /// There is none. A column that the rows lack is null in them, and nothing of the table changes.
    None,
}

/// Adds `rows` to `table`; makes the table if `base` is nothing.
///
/// Columns are matched by name. A column of the table that the rows lack is an error, unless
/// `new_columns` is [`NewColumns::Append`] or [`NewColumns::None`]: then it is null in them.
pub async fn append(
    tables: &Tables,
    table: &TableName,
    base: Option<Arc<Snapshot>>,
    rows: SendableRecordBatchStream,
    new_columns: NewColumns,
) -> Result<Change, TableError> {
    append_as(tables, table, base, rows, new_columns, Ok).await
}

/// The same; a table that is made has the design that `designed` makes of the one that the rows alone would give it.
pub async fn append_as(
    tables: &Tables,
    table: &TableName,
    base: Option<Arc<Snapshot>>,
    rows: SendableRecordBatchStream,
    new_columns: NewColumns,
    designed: impl FnOnce(Design) -> Result<Design, TableError>,
) -> Result<Change, TableError> {
    let incoming = storable(table, &rows.schema())?;
    let (schema, design) = match &base {
        None => (Arc::clone(&incoming), designed(Design::new(table, &incoming)?)?),
        Some(base) => evolve(base, &incoming, new_columns)?,
    };
    let (add, added) = write_rows(tables, table, &schema, &design, rows).await?;
    let mut change = Change::blank(table, base, schema, design);
    change.add = add;
    change.effect = Effect { added, ..Effect::default() };
    change.count_rows_after();
    Ok(change)
}

/// The table's schema after rows of `incoming` were let in.
pub(super) fn evolve(
    base: &Snapshot,
    incoming: &SchemaRef,
    new_columns: NewColumns,
) -> Result<(SchemaRef, Design), TableError> {
    base.check_writable()?;
    let drift = drift(base.schema(), incoming);
    if new_columns == NewColumns::Ignore && !drift.missing.is_empty() {
        return Err(missing(base, &drift.missing));
    }
    let names: Vec<&str> = drift.added.iter().map(|field| field.name().as_str()).collect();
    if new_columns == NewColumns::Fail && !(names.is_empty() && drift.missing.is_empty()) {
        return Err(TableError::SchemaMismatch {
            table: base.table().clone(),
            because: format!(
                "the columns changed; new: {}; missing: {}",
                list(&names),
                list(&drift.missing.iter().map(String::as_str).collect::<Vec<_>>())
            ),
            help:
                "`on_schema_change` is `fail`: run with `--full-refresh`, or set it to `append_new_columns`"
                    .into(),
        });
    }
    match new_columns {
        NewColumns::Append => grown(base, incoming),
        _ => Ok((Arc::clone(base.schema()), base.design().clone())),
    }
}

/// The table has columns that the rows lack; writing nulls there would be losing what was known.
pub(super) fn missing(base: &Snapshot, columns: &[String]) -> TableError {
    TableError::SchemaMismatch {
        table: base.table().clone(),
        because: format!("they lack columns that the table has: {}", columns.join(", ")),
        help: "select the columns again (`null as name` says it on purpose), or run with `--full-refresh`"
            .into(),
    }
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
