//! Which columns are worked out from others?
//!
//! A generated column has an expression. A row that comes without a value for it is given one; a value that comes with
//! the row must be the expression's.
//!
//! Format: the Delta transaction protocol, section *Generated Columns*.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{cast, is_null, or};
use arrow::datatypes::SchemaRef;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, Volatility};
use datafusion::physical_expr::PhysicalExpr;

use super::rules::{bad, planned, show};
use crate::base::TableName;
use crate::table::{Design, TableError, Tables};

/// The generated columns of a table, ready to be worked out.
pub(super) struct Generated {
    table: TableName,
    columns: Vec<Column>,
}

struct Column {
    at: usize,
    text: String,
    value: Arc<dyn PhysicalExpr>,
}

impl Generated {
    /// The generated columns of a table of this design.
    pub(super) fn of(
        tables: &Tables,
        table: &TableName,
        schema: &SchemaRef,
        design: &Design,
    ) -> Result<Self, TableError> {
        let mut columns = Vec::new();
        let expressions = schema.fields().iter().enumerate();
        let expressions =
            expressions.filter_map(|(at, field)| Some((at, field, design.generation(field.name())?)));
        for (at, field, text) in expressions {
            let context = tables.context();
            let known = DFSchema::try_from(Arc::clone(schema))?;
            let allowed = |expr: &Expr| {
                always_the_same(expr)?;
                match expr.column_refs().iter().all(|column| design.generation(column.name()).is_none()) {
                    true => Ok(()),
                    false => Err(plan("it is made of a generated column; write out that one's expression")),
                }
            };
            let value = planned(&context, text, &known, &allowed).map_err(bad(table, field.name(), text))?;
            columns.push(Column { at, text: text.to_owned(), value });
        }
        Ok(Self { table: table.clone(), columns })
    }

    /// The rows with a value in every generated column.
    ///
    /// # Errors
    /// [`TableError::ConstraintViolated`] for a value that is not its expression's.
    pub(super) fn fill(&self, rows: RecordBatch) -> Result<RecordBatch, TableError> {
        if self.columns.is_empty() {
            return Ok(rows);
        }
        let mut arrays: Vec<ArrayRef> = rows.columns().to_vec();
        for column in &self.columns {
            let given = &arrays[column.at];
            let value = column.value.evaluate(&rows)?.into_array(rows.num_rows())?;
            let value = cast(&value, given.data_type()).map_err(DataFusionError::from)?;
            let fits = not_distinct(given, &value).and_then(|same| or(&same, &is_null(given)?));
            let fits = fits.map_err(DataFusionError::from)?;
            if let Some(bad) = (0..fits.len()).find(|row| !fits.value(*row)) {
                let name = rows.schema_ref().field(column.at).name().clone();
                return Err(TableError::ConstraintViolated {
                    table: self.table.clone(),
                    condition: format!("{name} = {}", column.text),
                    name,
                    row: show(&rows, bad)?,
                });
            }
            arrays[column.at] = value;
        }
        Ok(RecordBatch::try_new(rows.schema(), arrays).map_err(DataFusionError::from)?)
    }
}

/// Refuses an expression that may have another value the next time.
fn always_the_same(expr: &Expr) -> Result<(), DataFusionError> {
    let mut changing = None;
    expr.apply(|expr| {
        match expr {
            Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => {
                changing = Some(call.func.name().to_owned());
            }
            Expr::AggregateFunction(_) | Expr::WindowFunction(_) | Expr::ScalarSubquery(_) => {
                changing = Some("an aggregate, a window or a subquery".to_owned());
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    match changing {
        Some(name) => Err(plan(&format!("{name} may give another value the next time"))),
        None => Ok(()),
    }
}

fn plan(because: &str) -> DataFusionError {
    DataFusionError::Plan(because.to_owned())
}
