//! Is `-0.0` zero?
//!
//! It is (IEEE 754), and `=` says so. The engine's `nullif`, `case x when 0` and `in` of many values compare bits; for doubles they
//! are said as the comparisons that they are, and `in` is asked of sums with zero, which have one zero only.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, lit, when};
use datafusion::optimizer::AnalyzerRule;

use super::{has_any, rewrite_expressions};

/// Comparisons of doubles that are not written as such.
#[derive(Debug)]
pub(super) struct Zeros;

impl AnalyzerRule for Zeros {
    fn name(&self) -> &str {
        "one_zero"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let compares = |expr: &Expr| match expr {
            Expr::ScalarFunction(call) => call.func.name() == "nullif",
            Expr::Case(case) => case.expr.is_some(),
            Expr::InList(_) => true,
            _ => false,
        };
        if !has_any(&plan, compares)? {
            return Ok(plan);
        }
        rewrite_expressions(plan, |expr, schema| match expr {
            Expr::ScalarFunction(call) if call.func.name() == "nullif" => match &call.args[..] {
                [value, other] if is_double(value, schema) || is_double(other, schema) => {
                    let nothing = lit(ScalarValue::Null);
                    let is_other = value.clone().eq(other.clone());
                    Ok(Transformed::yes(when(is_other, nothing).otherwise(value.clone())?))
                }
                _ => Ok(Transformed::no(Expr::ScalarFunction(call))),
            },
            Expr::Case(mut case) => {
                match case.expr.take_if(|of| is_double(of, schema) && !of.is_volatile()) {
                    None => Ok(Transformed::no(Expr::Case(case))),
                    Some(of) => {
                        for (when, _) in &mut case.when_then_expr {
                            **when = (*of).clone().eq(std::mem::take(&mut **when));
                        }
                        Ok(Transformed::yes(Expr::Case(case)))
                    }
                }
            }
            Expr::InList(mut list) if is_double(&list.expr, schema) && list.list.iter().any(may_be_zero) => {
                for item in std::iter::once(&mut *list.expr).chain(&mut list.list) {
                    // Two literals with a point would be taken for decimals.
                    *item = match item {
                        Expr::Literal(value, _) => match value.cast_to(&DataType::Float64)? {
                            ScalarValue::Float64(Some(value)) => lit(value + 0.0),
                            nothing => lit(nothing),
                        },
                        _ => std::mem::take(item) + lit(0.0),
                    };
                }
                Ok(Transformed::yes(Expr::InList(list)))
            }
            other => Ok(Transformed::no(other)),
        })
    }
}

/// Whether it may be zero: files are skipped by what other values say.
fn may_be_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => match value.cast_to(&DataType::Float64) {
            Ok(ScalarValue::Float64(Some(value))) => value == 0.0,
            _ => false,
        },
        _ => true,
    }
}

fn is_double(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Float16 | DataType::Float32 | DataType::Float64))
}
