//! What comes of a double and a decimal?
//!
//! A double, as in Postgres and DuckDB. To the engine, where they are compared, or where one value is either of them, both are
//! decimals of 30 digits, 15 of them behind the point: what is tiny becomes 0, what is large fails. [`Doubles`] makes doubles of the
//! decimals there, also where one query is put below another.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Union, cast};
use datafusion::optimizer::AnalyzerRule;

use super::{peers, rewrite_expressions};

/// Decimals beside doubles are doubles.
#[derive(Debug)]
pub(super) struct Doubles;

impl AnalyzerRule for Doubles {
    fn name(&self) -> &str {
        "decimals_beside_doubles"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Union(union) => aligned(union),
            other => Ok(Transformed::no(other)),
        })?;
        rewrite_expressions(plan.data, |mut expr, schema| {
            let mut changed = false;
            for group in peers(&mut expr) {
                changed |= widen(group, schema);
            }
            if let Expr::ScalarFunction(call) = &mut expr
                && call.func.name() == "make_array"
            {
                changed |= widen(call.args.iter_mut().collect(), schema);
            }
            Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
        })
    }
}

/// Makes doubles of the decimals among expressions of which another is one.
fn widen(group: Vec<&mut Expr>, schema: &DFSchema) -> bool {
    let (mut decimals, mut has_double) = (Vec::new(), false);
    for expr in group {
        match expr.get_type(schema) {
            Ok(of) if of.is_floating() => has_double = true,
            Ok(of) if of.is_decimal() => decimals.push(expr),
            _ => {}
        }
    }
    let changed = has_double && !decimals.is_empty();
    for decimal in decimals.into_iter().filter(|_| has_double) {
        *decimal = cast(std::mem::take(decimal), DataType::Float64);
    }
    changed
}

/// The same queries one below the other, with doubles in columns where one has a double and another a decimal.
fn aligned(union: Union) -> Result<Transformed<LogicalPlan>> {
    let columns = union.inputs.iter().map(|input| input.schema().fields().len()).min().unwrap_or(0);
    let has = |at: usize, is_it: &dyn Fn(&DataType) -> bool| {
        union.inputs.iter().any(|input| is_it(input.schema().field(at).data_type()))
    };
    let is_mixed = |at: &usize| has(*at, &DataType::is_floating) && has(*at, &DataType::is_decimal);
    let mixed: Vec<usize> = (0..columns).filter(is_mixed).collect();
    if mixed.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let mut inputs = Vec::with_capacity(union.inputs.len());
    for input in union.inputs {
        let is_decimal = |at: &usize| input.schema().field(*at).data_type().is_decimal();
        if !mixed.iter().any(is_decimal) {
            inputs.push(input);
            continue;
        }
        let list = input.schema().iter().enumerate().map(|(at, (table, field))| {
            let column = Expr::from((table, field));
            match mixed.contains(&at) && field.data_type().is_decimal() {
                true => cast(column, DataType::Float64).alias_qualified(table.cloned(), field.name()),
                false => column,
            }
        });
        let list: Vec<Expr> = list.collect();
        inputs.push(Arc::new(LogicalPlanBuilder::from(input.as_ref().clone()).project(list)?.build()?));
    }
    let union = Union::try_new_with_loose_types(inputs)?;
    Ok(Transformed::yes(LogicalPlan::Union(union)))
}
