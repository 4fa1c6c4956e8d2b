//! What is the average of 1, 2 and 2, in decimals?
//!
//! 1.666667: a sum, divided by a count, and rounded as quotients are ([`quotient`](super::quotient)). The engine's `avg` cuts.
//! [`Averages`] puts the two in its place, in aggregates and windows; doubles stay the engine's.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, Result};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::logical_plan::{Aggregate, Window};
use datafusion::logical_expr::{
    AggregateUDF, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, WindowFunctionDefinition, cast,
};
use datafusion::optimizer::AnalyzerRule;

use super::has_any;
use super::quotient::quotient;
use super::sum::CheckedSum;

/// Averages of decimals are rounded.
#[derive(Debug)]
pub(super) struct Averages {
    sum: Arc<AggregateUDF>,
}

impl Averages {
    pub(super) fn new() -> Self {
        Self { sum: Arc::new(AggregateUDF::from(CheckedSum::new())) }
    }
}

impl AnalyzerRule for Averages {
    fn name(&self) -> &str {
        "rounded_averages"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        if !has_any(&plan, is_average)? {
            return Ok(plan);
        }
        let rounded = plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Aggregate(aggregate) => {
                let keys = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
                let Some((exprs, shown)) =
                    self.parts(&aggregate.aggr_expr, keys, &aggregate.schema, aggregate.input.schema())?
                else {
                    return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
                };
                let parts = Aggregate::try_new(aggregate.input, aggregate.group_expr, exprs)?;
                let plan = LogicalPlanBuilder::from(LogicalPlan::Aggregate(parts)).project(shown)?.build()?;
                Ok(Transformed::yes(plan))
            }
            LogicalPlan::Window(window) => {
                let before = window.input.schema().fields().len();
                let Some((exprs, shown)) =
                    self.parts(&window.window_expr, before, &window.schema, window.input.schema())?
                else {
                    return Ok(Transformed::no(LogicalPlan::Window(window)));
                };
                let parts = Window::try_new(exprs, window.input)?;
                let plan = LogicalPlanBuilder::from(LogicalPlan::Window(parts)).project(shown)?.build()?;
                Ok(Transformed::yes(plan))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(rounded.data)
    }
}

/// What is worked out, each thing once: the engine takes what is there twice out of a window, and then has no window.
#[derive(Default)]
struct Parts {
    exprs: Vec<Expr>,
    called: Vec<Column>,
}

impl Parts {
    /// Adds what will be called `column`, unless it is there; returns what it is called.
    fn add(&mut self, expr: Expr, column: Column) -> Column {
        let same = |there: &Expr| there.clone().unalias() == expr.clone().unalias();
        match self.exprs.iter().position(same) {
            Some(at) => self.called[at].clone(),
            None => {
                self.exprs.push(expr);
                self.called.push(column.clone());
                column
            }
        }
    }
}

fn is_average(expr: &Expr) -> bool {
    match expr {
        Expr::AggregateFunction(call) => call.func.name() == "avg",
        Expr::WindowFunction(call) => {
            matches!(&call.fun, WindowFunctionDefinition::AggregateUDF(function) if function.name() == "avg")
        }
        _ => false,
    }
}

impl Averages {
    /// What is worked out in the place of `exprs`, which stand behind the first columns of `schema`, and the list that
    /// makes of it what they were; nothing if none is the average of decimals.
    fn parts(
        &self,
        exprs: &[Expr],
        before: usize,
        schema: &DFSchema,
        input: &DFSchema,
    ) -> Result<Option<(Vec<Expr>, Vec<Expr>)>> {
        let mut parts = Parts::default();
        let columns = schema.columns();
        let mut shown: Vec<Expr> = columns.iter().take(before).cloned().map(Expr::Column).collect();
        let mut found = false;
        for (at, (expr, column)) in exprs.iter().zip(columns.iter().skip(before)).enumerate() {
            let Some((sum, count)) = self.halves(expr, input) else {
                let own = parts.add(expr.clone(), column.clone());
                let called = own == *column;
                let own = Expr::Column(own);
                shown.push(match called {
                    true => own,
                    false => own.alias_qualified(column.relation.clone(), &column.name),
                });
                continue;
            };
            found = true;
            let mut half = |half: Expr, name: String| {
                Expr::Column(parts.add(half.alias(&name), Column::new_unqualified(name)))
            };
            let (sum, count) = (half(sum, format!("_elt_sum_{at}")), half(count, format!("_elt_count_{at}")));
            let of = schema.qualified_field_from_column(column)?.1.data_type().clone();
            let average = quotient(of, sum, cast(count, DataType::Decimal128(20, 0)));
            shown.push(average.alias_qualified(column.relation.clone(), &column.name));
        }
        let parts = parts.exprs;
        Ok(found.then_some((parts, shown)))
    }

    /// The sum and the count that an average of decimals is made of.
    fn halves(&self, expr: &Expr, input: &DFSchema) -> Option<(Expr, Expr)> {
        let is_decimal = |args: &[Expr]| matches!(args, [arg] if matches!(arg.get_type(input), Ok(DataType::Decimal128(..))));
        match expr {
            Expr::Alias(alias) => self.halves(&alias.expr, input),
            Expr::AggregateFunction(call) if is_average(expr) && is_decimal(&call.params.args) => {
                let of = |func: Arc<AggregateUDF>| {
                    Expr::AggregateFunction(AggregateFunction { func, params: call.params.clone() })
                };
                Some((of(Arc::clone(&self.sum)), of(count_udaf())))
            }
            Expr::WindowFunction(call) if is_average(expr) && is_decimal(&call.params.args) => {
                let of = |func: Arc<AggregateUDF>| {
                    let fun = WindowFunctionDefinition::AggregateUDF(func);
                    Expr::from(WindowFunction { fun, params: call.params.clone() })
                };
                Some((of(Arc::clone(&self.sum)), of(count_udaf())))
            }
            _ => None,
        }
    }
}
