//! Which promises does every row of a table keep?
//!
//! `NOT NULL` columns and `CHECK` constraints. They are asked of every row that is written, by whatever way.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;

use crate::base::TableName;
use crate::table::schema::RESERVED;
use crate::table::{Design, TableError, Tables};

/// A table's rules, ready to be asked.
pub(super) struct Rules {
    table: TableName,
    schema: SchemaRef,
    checks: Vec<Check>,
}

struct Check {
    name: String,
    condition: String,
    holds: Arc<dyn PhysicalExpr>,
}

impl Rules {
    /// The rules of a table of this design.
    pub(super) fn of(
        tables: &Tables,
        table: &TableName,
        schema: &SchemaRef,
        design: &Design,
    ) -> Result<Self, TableError> {
        let mut checks = Vec::new();
        let mut named = design.constraints().peekable();
        if named.peek().is_some() {
            let context = tables.context();
            let columns = DFSchema::try_from(Arc::clone(schema))?;
            for (name, condition) in named {
                let planned = planned(&context, condition, &columns, &|_| Ok(()));
                let holds = planned.and_then(|expr| is_condition(expr, schema));
                let holds = holds.map_err(bad(table, name, condition))?;
                checks.push(Check { name: name.to_owned(), condition: condition.to_owned(), holds });
            }
        }
        Ok(Self { table: table.clone(), schema: Arc::clone(schema), checks })
    }

    /// Refuses rows that break a rule.
    ///
    /// # Errors
    /// [`TableError::NullNotAllowed`] or [`TableError::ConstraintViolated`], with a row that breaks it. As in the
    /// protocol a condition must be true: unknown, because of a null, is not enough.
    pub(super) fn check(&self, rows: &RecordBatch) -> Result<(), TableError> {
        for check in &self.checks {
            let held = check.holds.evaluate(rows)?.into_array(rows.num_rows())?;
            let Some(held) = held.as_boolean_opt() else {
                return Err(TableError::BadConstraint {
                    table: self.table.clone(),
                    name: check.name.clone(),
                    condition: check.condition.clone(),
                    because: "it is not a condition".to_owned(),
                });
            };
            if let Some(bad) = (0..held.len()).find(|row| held.is_null(*row) || !held.value(*row)) {
                return Err(TableError::ConstraintViolated {
                    table: self.table.clone(),
                    name: check.name.clone(),
                    condition: check.condition.clone(),
                    row: show(rows, bad)?,
                });
            }
        }
        Ok(())
    }

    /// The error of a row that has nothing in `column`.
    pub(super) fn null_at(&self, column: &str, rows: &RecordBatch, row: usize) -> TableError {
        TableError::NullNotAllowed {
            table: self.table.clone(),
            column: column.to_owned(),
            row: show(rows, row).unwrap_or_default(),
        }
    }

    /// Refuses a null where there may be none. Asked before columns take the table's types, which would fail.
    pub(super) fn check_nulls(&self, rows: &RecordBatch) -> Result<(), TableError> {
        for field in self.schema.fields().iter().filter(|field| !field.is_nullable()) {
            let null = |row: usize| self.null_at(field.name(), rows, row);
            let found = rows
                .schema_ref()
                .fields()
                .iter()
                .position(|own| own.name().eq_ignore_ascii_case(field.name()));
            let Some(column) = found.map(|at| rows.column(at)) else {
                if rows.num_rows() > 0 {
                    return Err(null(0));
                }
                continue;
            };
            if column.logical_null_count() > 0 {
                let nulls = column.logical_nulls();
                let first = nulls.and_then(|nulls| (0..nulls.len()).find(|row| nulls.is_null(*row)));
                return Err(null(first.unwrap_or(0)));
            }
        }
        Ok(())
    }
}

/// An expression that a table's design gives as text, ready to be asked of rows, if `allowed` has nothing against it.
pub(super) fn planned(
    context: &SessionContext,
    text: &str,
    columns: &DFSchema,
    allowed: &dyn Fn(&Expr) -> Result<(), DataFusionError>,
) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    let expr = context.parse_sql_expr(text, columns)?;
    allowed(&expr)?;
    context.create_physical_expr(simplified(context, expr, columns)?, columns)
}

/// The error of an expression that cannot be asked.
pub(super) fn bad(table: &TableName, name: &str, text: &str) -> impl FnOnce(DataFusionError) -> TableError {
    let (table, name, condition) = (table.clone(), name.to_owned(), text.to_owned());
    move |error| TableError::BadConstraint { table, name, condition, because: error.strip_backtrace() }
}

/// Functions such as `coalesce` and `now` have to be taken apart before they can be asked.
fn simplified(context: &SessionContext, expr: Expr, columns: &DFSchema) -> Result<Expr, DataFusionError> {
    let state = context.state();
    let facts = SimplifyContext::builder()
        .with_schema(Arc::new(columns.clone()))
        .with_config_options(Arc::clone(state.config_options()))
        .with_query_execution_start_time(state.execution_props().query_execution_start_time)
        .build();
    let simplifier = ExprSimplifier::new(facts);
    simplifier.simplify(simplifier.coerce(expr, columns)?)
}

/// Refuses what cannot be asked of a row, or is no question.
fn is_condition(
    expr: Arc<dyn PhysicalExpr>,
    schema: &SchemaRef,
) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    let none = RecordBatch::new_empty(Arc::clone(schema));
    match expr.evaluate(&none)?.data_type() {
        DataType::Boolean => Ok(expr),
        other => Err(DataFusionError::Plan(format!("it is not a condition but a value of type {other}"))),
    }
}

/// The columns of an edit that are the row's own, as `column = value, …`.
pub(super) fn show_edit(edits: &RecordBatch, row: usize) -> Result<String, DataFusionError> {
    show(edits, row)
}

/// A row as `column = value, …`, the first few columns of it.
pub(super) fn show(rows: &RecordBatch, row: usize) -> Result<String, DataFusionError> {
    const SHOWN: usize = 6;
    let options = FormatOptions::default().with_null("null");
    let own = |name: &str| !name.starts_with(RESERVED);
    let fields = rows.schema_ref().fields().iter().zip(rows.columns());
    let fields = fields.filter(|(field, _)| own(field.name())).take(SHOWN);
    let parts = fields.map(|(field, column)| {
        let value = ArrayFormatter::try_new(column, &options)?.value(row).to_string();
        Ok::<_, arrow::error::ArrowError>(format!("{} = {value}", field.name()))
    });
    let mut parts = parts.collect::<Result<Vec<_>, _>>()?;
    if rows.num_columns() > SHOWN {
        parts.push("…".to_owned());
    }
    Ok(parts.join(", "))
}
