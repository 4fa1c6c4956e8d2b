//! The table's columns and rules change, and no row.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};

use super::generated::Generated;
use super::rules::Rules;
use crate::base::TableName;
use crate::table::{Change, Design, Operation, Snapshot, TableError, Tables, storable};

/// Makes `table` with these columns and no rows, in place of `base` if there is one.
pub fn create(
    tables: &Tables,
    table: &TableName,
    base: Option<Arc<Snapshot>>,
    columns: &Schema,
    designed: impl FnOnce(Design) -> Result<Design, TableError>,
) -> Result<Change, TableError> {
    let (schema, design) = replaced(table, base.as_deref(), columns, designed)?;
    Rules::of(tables, table, &schema, &design)?;
    Generated::of(tables, table, &schema, &design)?;
    let retire = base.as_ref().map(|base| base.files().to_vec()).unwrap_or_default();
    let mut change = Change::blank(table, base, schema, design);
    change.retire = retire;
    change.operation = Operation::Create;
    change.count_rows_after();
    Ok(change)
}

/// What a table is whose rows are all to be replaced by rows of `columns`, or that is new.
pub(super) fn replaced(
    table: &TableName,
    base: Option<&Snapshot>,
    columns: &Schema,
    designed: impl FnOnce(Design) -> Result<Design, TableError>,
) -> Result<(SchemaRef, Design), TableError> {
    let schema = storable(table, columns)?;
    let design = match base {
        Some(base) => {
            base.check_writable()?;
            base.refuse_if_append_only()?;
            base.design().clone().with_schema(table, &schema)?
        }
        None => Design::new(table, &schema)?,
    };
    let design = designed(design)?;
    Ok((design.columns_of(&schema), design))
}

/// Gives `base` other columns and rules. Rows that are there are not looked at.
pub fn redesign(
    tables: &Tables,
    base: Arc<Snapshot>,
    schema: SchemaRef,
    design: Design,
) -> Result<Change, TableError> {
    base.check_writable()?;
    let is_another = |field: &FieldRef| {
        schema.field_with_name(field.name()).map_or(true, |now| now.data_type() != field.data_type())
    };
    let is_asked_anew = base.schema().fields().iter().any(is_another);
    if is_asked_anew || design.constraints().count() > base.design().constraints().count() {
        Rules::of(tables, base.table(), &schema, &design)?;
        Generated::of(tables, base.table(), &schema, &design)?;
    }
    let mut change = Change::blank(&base.table().clone(), Some(base), schema, design);
    change.operation = Operation::Alter;
    change.count_rows_after();
    Ok(change)
}
