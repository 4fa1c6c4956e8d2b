//! Which data files can hold a row that is asked for?
//!
//! Told from the log alone: the bounds and null counts of each file's columns, and its partition values.
//! A file about which nothing is known is always among them.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use super::DataFile;
use super::file::Side;
use super::names::Layout;

/// Returns the files that may hold a row for which `predicate` is true, in their order.
pub(super) fn needed(
    files: &[DataFile],
    columns: &SchemaRef,
    layout: &Layout,
    predicate: &Arc<dyn PhysicalExpr>,
) -> Result<Vec<DataFile>> {
    let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(columns));
    let predicate = builder.try_build(Arc::clone(predicate));
    let Ok(predicate) = predicate else { return Ok(files.to_vec()) };
    if predicate.always_true() {
        return Ok(files.to_vec());
    }
    let keep = predicate.prune(&Known { files, columns, layout })?;
    Ok(files.iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| file.clone()).collect())
}

/// What the log knows of some files.
struct Known<'a> {
    files: &'a [DataFile],
    columns: &'a SchemaRef,
    layout: &'a Layout,
}

impl Known<'_> {
    fn bounds(&self, column: &Column, side: Side) -> Option<ArrayRef> {
        let field = self.columns.field_with_name(column.name()).ok()?;
        let unknown = ScalarValue::try_from(field.data_type()).ok()?;
        let bounds = self.files.iter().map(|file| match self.is_partition(field) {
            true => self.partition_value(file, field),
            false => file.bound(field, self.in_log(field), side).map(|bound| bound.value),
        });
        ScalarValue::iter_to_array(bounds.map(|bound| bound.unwrap_or_else(|| unknown.clone()))).ok()
    }

    /// The name that the log has for a column.
    fn in_log<'b>(&'b self, field: &'b Field) -> &'b str {
        self.layout.names.in_files(field.name())
    }

    fn is_partition(&self, field: &Field) -> bool {
        self.layout.partition_columns.iter().any(|name| name == field.name())
    }

    fn partition_value(&self, file: &DataFile, field: &Field) -> Option<ScalarValue> {
        let text = file.partition_value(self.in_log(field))?;
        match field.data_type() {
            DataType::Utf8View => Some(ScalarValue::Utf8View(Some(text.to_owned()))),
            other => ScalarValue::Utf8(Some(text.to_owned())).cast_to(other).ok(),
        }
    }
}

impl PruningStatistics for Known<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, Side::Min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, Side::Max)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    /// Hidden rows are counted with the others, in the nulls as in the rows: a file whose rows that count
    /// are all null is then read in vain, and none is passed over wrongly.
    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let field = self.columns.field_with_name(column.name()).ok()?;
        let counts = self.files.iter().map(|file| match self.is_partition(field) {
            true if file.partition_value(self.in_log(field)).is_none() => file.rows_in_file(),
            true => Some(0),
            false => file.nulls(self.in_log(field)).map(|nulls| nulls as u64),
        });
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.files.iter().map(DataFile::rows_in_file).collect::<UInt64Array>()))
    }

    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        let field = self.columns.field_with_name(column.name()).ok()?;
        // Zero and minus zero are equal to SQL and not to a set.
        if !self.is_partition(field) || field.data_type().is_floating() {
            return None;
        }
        let contained = |file: &DataFile| Some(values.contains(&self.partition_value(file, field)?));
        Some(self.files.iter().map(contained).collect())
    }
}
