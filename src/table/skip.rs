//! Which data files can hold a row that is asked for?
//!
//! Told from the log alone: the bounds and null counts of each file's columns, and its partition values.
//! A file about which nothing is known is always among them.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
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

/// Whether rows are asked for in which a double may be NaN, which the bounds in data files do not count: `d > 1.5`, `d <> 1.5`. Not
/// if something else keeps it below a value.
pub(super) fn may_want_nan(filters: &[Expr], columns: &Schema) -> bool {
    let is_double = |column: &Column| {
        columns.field_with_name(column.name()).is_ok_and(|field| field.data_type().is_floating())
    };
    let conditions: Vec<&Expr> = filters.iter().flat_map(split_conjunction).collect();
    let below: HashSet<&str> = conditions.iter().filter_map(|condition| kept_below(condition)).collect();
    conditions.iter().any(|condition| {
        let is_of_null = matches!(condition, Expr::IsNull(_) | Expr::IsNotNull(_));
        !is_of_null
            && condition
                .column_refs()
                .into_iter()
                .any(|column| is_double(column) && !below.contains(column.name()))
    })
}

/// The column of which a condition is false where it is NaN.
fn kept_below(condition: &Expr) -> Option<&str> {
    let value = |expr: &Expr| match expr {
        Expr::Literal(ScalarValue::Float64(value), _) => value.is_some_and(|value| !value.is_nan()),
        Expr::Literal(ScalarValue::Float32(value), _) => value.is_some_and(|value| !value.is_nan()),
        Expr::Literal(value, _) => !value.is_null(),
        _ => false,
    };
    let column = |expr: &'_ Expr| match expr {
        Expr::Column(_) => true,
        Expr::Cast(cast) => matches!(&*cast.expr, Expr::Column(_)),
        _ => false,
    };
    fn name(expr: &Expr) -> Option<&str> {
        match expr {
            Expr::Column(column) => Some(column.name()),
            Expr::Cast(cast) => name(&cast.expr),
            _ => None,
        }
    }
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Lt | Operator::LtEq | Operator::Eq, right })
            if column(left) && value(right) =>
        {
            name(left)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Gt | Operator::GtEq | Operator::Eq, right })
            if value(left) && column(right) =>
        {
            name(right)
        }
        Expr::Between(between) if !between.negated && column(&between.expr) && value(&between.high) => {
            name(&between.expr)
        }
        Expr::InList(list) if !list.negated && column(&list.expr) && list.list.iter().all(value) => {
            name(&list.expr)
        }
        _ => None,
    }
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

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    #[test]
    fn nan_is_wanted_where_nothing_keeps_it_below() {
        let columns = Schema::new(vec![
            Field::new("d", DataType::Float64, true),
            Field::new("n", DataType::Int64, true),
        ]);
        for (filters, wants) in [
            (vec![col("d").gt(lit(1.5))], true),
            (vec![col("d").not_eq(lit(1.5))], true),
            (vec![col("d").eq(lit(f64::NAN))], true),
            (vec![col("d").gt(lit(1.5)).and(col("d").lt_eq(lit(2.0)))], false),
            (vec![col("d").gt(lit(1.5)), col("d").lt(lit(2.0))], false),
            (vec![col("d").between(lit(1.0), lit(2.0))], false),
            (vec![col("d").lt(lit(1.5))], false),
            (vec![col("d").eq(lit(1.5))], false),
            (vec![col("n").gt(lit(1_i64)), col("d").is_not_null()], false),
            (Vec::new(), false),
        ] {
            assert_eq!(may_want_nan(&filters, &columns), wants, "{filters:?}");
        }
    }
}
