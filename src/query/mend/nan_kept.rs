//! Which conditions may not pass over files, though their bounds say so?
//!
//! NaN is larger than every number to SQL, as in Postgres, DuckDB and Spark, and the bounds that files keep of floating numbers leave it
//! out: `d > 1.5` would pass over a file whose largest number is 1, and lose its NaN. So where NaN may be what is asked for,
//! a column stands in the condition as [`function`] of itself, which nobody who looks at bounds understands. What only asks for
//! less than a number, or for one number, goes on passing over files.
//!
//! The same holds for what asks for the largest: `order by d desc limit 3` and `max(d)` pass over files in which nothing is larger than
//! what they have found so far. There is one NaN: the one with a minus, which `inf - inf` and `-NaN` give, is the same.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Distinct, Expr, ExprSchemable, Filter, LogicalPlan, Operator, Projection,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

/// What the function is called that gives what it is given.
pub(in crate::query) const ITSELF: &str = "_elt_itself";

/// It.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(Itself { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Itself {
    signature: Signature,
}

impl ScalarUDFImpl for Itself {
    fn name(&self) -> &str {
        ITSELF
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.pop() {
            Some(ColumnarValue::Array(values)) => Ok(ColumnarValue::Array(with_one_nan(values))),
            Some(ColumnarValue::Scalar(ScalarValue::Float64(Some(value)))) if value.is_nan() => {
                Ok(ColumnarValue::Scalar(ScalarValue::Float64(Some(f64::NAN))))
            }
            Some(value) => Ok(value),
            None => exec_err!("`{ITSELF}` gives what it is given"),
        }
    }
}

/// The same numbers, among which every NaN is the one that is sorted last.
fn with_one_nan(values: ArrayRef) -> ArrayRef {
    if let Some(doubles) = values.as_primitive_opt::<Float64Type>()
        && doubles.values().iter().any(|value| value.is_nan() && value.is_sign_negative())
    {
        let one = |value: f64| if value.is_nan() { f64::NAN } else { value };
        return Arc::new(doubles.unary::<_, Float64Type>(one));
    }
    if let Some(floats) = values.as_primitive_opt::<Float32Type>()
        && floats.values().iter().any(|value| value.is_nan() && value.is_sign_negative())
    {
        let one = |value: f32| if value.is_nan() { f32::NAN } else { value };
        return Arc::new(floats.unary::<_, Float32Type>(one));
    }
    values
}

/// Keeps files with NaN where it may be asked for.
#[derive(Debug)]
pub(super) struct NanKept;

impl AnalyzerRule for NanKept {
    fn name(&self) -> &str {
        "nan_kept"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Filter(filter) => {
                let Filter { predicate, input, .. } = filter;
                let kept = kept(predicate, &input, false)?;
                Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(kept, input)?)))
            }
            LogicalPlan::Join(mut join) => {
                let whole = LogicalPlan::Join(join.clone());
                join.filter = join.filter.map(|condition| kept(condition, &whole, false)).transpose()?;
                Ok(Transformed::yes(LogicalPlan::Join(join)))
            }
            LogicalPlan::Sort(mut sort) => {
                let whole = LogicalPlan::Sort(sort.clone());
                let mut is_changed = false;
                for key in &mut sort.expr {
                    // What looks for the smallest may pass over files.
                    if is_floating(&key.expr, &whole) && !key.asc {
                        key.expr = itself(std::mem::take(&mut key.expr));
                        is_changed = true;
                    }
                }
                let sort = LogicalPlan::Sort(sort);
                Ok(if is_changed { Transformed::yes(sort) } else { Transformed::no(sort) })
            }
            LogicalPlan::Aggregate(mut aggregate) => {
                for key in &mut aggregate.group_expr {
                    if is_of_doubles(key, aggregate.input.schema()) {
                        *key = named_as_before(key);
                    }
                }
                largest_kept(LogicalPlan::Aggregate(aggregate))
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let schema = Arc::clone(input.schema());
                let columns: Vec<Expr> = schema.columns().into_iter().map(Expr::Column).collect();
                if !columns.iter().any(|column| is_of_doubles(column, &schema)) {
                    return Ok(Transformed::no(LogicalPlan::Distinct(Distinct::All(input))));
                }
                let one_nan = |column: Expr| match is_of_doubles(&column, &schema) {
                    true => named_as_before(&column),
                    false => column,
                };
                let rows = Projection::try_new(columns.into_iter().map(one_nan).collect(), input)?;
                Ok(Transformed::yes(LogicalPlan::Distinct(Distinct::All(Arc::new(LogicalPlan::Projection(
                    rows,
                ))))))
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
    }
}

/// Whether rows are told apart by floating numbers here. Several sets of keys are left as they are.
fn is_of_doubles(key: &Expr, schema: &DFSchema) -> bool {
    !matches!(key, Expr::GroupingSet(_)) && key.get_type(schema).is_ok_and(|of| of.is_floating())
}

/// The key with one NaN, under its name.
fn named_as_before(key: &Expr) -> Expr {
    let (relation, name) = key.qualified_name();
    itself(key.clone()).alias_qualified(relation, name)
}

/// `max(d)`, with files that hold NaN looked into.
fn largest_kept(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&plan);
    let inputs = merge_schema(&plan.inputs());
    let is_of_doubles = |call: &AggregateFunction| {
        let of =
            call.params.args.first().filter(|of| !is_itself(of)).and_then(|of| of.get_type(&inputs).ok());
        call.func.name() == "max" && of.is_some_and(|of| of.is_floating())
    };
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let kept = expr.transform_up(|expr| match expr {
            Expr::AggregateFunction(mut call) if is_of_doubles(&call) => {
                call.params.args = call.params.args.into_iter().map(itself).collect();
                Ok(Transformed::yes(Expr::AggregateFunction(call)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(if kept.transformed { kept.update_data(|expr| name.restore(expr)) } else { kept })
    })
}

/// A condition in which NaN is kept; `is_denied` is what is true where the condition is false.
fn kept(condition: Expr, plan: &LogicalPlan, is_denied: bool) -> Result<Expr> {
    use Operator as O;
    Ok(match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (O::And | O::Or), right }) => {
            Expr::BinaryExpr(BinaryExpr::new(
                Box::new(kept(*left, plan, is_denied)?),
                op,
                Box::new(kept(*right, plan, is_denied)?),
            ))
        }
        Expr::Not(inner) => Expr::Not(Box::new(kept(*inner, plan, !is_denied)?)),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let op_of_left = |op: Operator| if is_denied { op.negate() } else { Some(op) };
            let needs = |column: &Expr, op: Option<Operator>, other: &Expr| match op {
                Some(O::Lt | O::LtEq) => false,
                Some(O::Eq | O::IsNotDistinctFrom) => is_floating(column, plan) && !is_number(other),
                _ => is_floating(column, plan),
            };
            let (one, two) = (
                needs(&left, op_of_left(op), &right),
                needs(&right, op_of_left(op).and_then(|op| op.swap()), &left),
            );
            let itself = |expr: Box<Expr>, needed| if needed { Box::new(itself(*expr)) } else { expr };
            Expr::BinaryExpr(BinaryExpr::new(itself(left, one), op, itself(right, two)))
        }
        Expr::InList(mut list) if is_floating(&list.expr, plan) => {
            if list.negated != is_denied || !list.list.iter().all(is_number) {
                list.expr = Box::new(itself(*list.expr));
            }
            Expr::InList(list)
        }
        Expr::Between(mut between) if is_floating(&between.expr, plan) => {
            if between.negated != is_denied || !is_number(&between.high) {
                between.expr = Box::new(itself(*between.expr));
            }
            Expr::Between(between)
        }
        Expr::IsNull(_) | Expr::IsNotNull(_) => condition,
        // Within anything else it is not known what is asked for.
        other => other
            .transform_up(|expr| match &expr {
                Expr::Column(_) if is_floating(&expr, plan) => Ok(Transformed::yes(itself(expr))),
                _ => Ok(Transformed::no(expr)),
            })
            .data()?,
    })
}

fn itself(expr: Expr) -> Expr {
    function().call(vec![expr])
}

fn is_itself(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.name() == ITSELF)
}

/// Whether it is a column of floating numbers, as it is or cast.
fn is_floating(expr: &Expr, plan: &LogicalPlan) -> bool {
    match expr {
        Expr::Column(_) => {
            let of = |schema| expr.get_type(schema).is_ok_and(|data_type| data_type.is_floating());
            plan.inputs().iter().any(|input| of(input.schema())) || of(plan.schema())
        }
        Expr::Cast(cast) => is_floating(&cast.expr, plan),
        Expr::TryCast(cast) => is_floating(&cast.expr, plan),
        _ => false,
    }
}

/// Whether it is a number, and not NaN.
fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(ScalarValue::Float64(Some(number)), _) => !number.is_nan(),
        Expr::Literal(ScalarValue::Float32(Some(number)), _) => !number.is_nan(),
        Expr::Literal(value, _) => value.data_type().is_numeric(),
        Expr::Negative(inner) => is_number(inner),
        Expr::Cast(cast) => is_number(&cast.expr),
        _ => false,
    }
}
