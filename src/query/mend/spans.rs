//! Which of two intervals is longer?
//!
//! The engine compares months, then days, then the rest, so that 60 days that are a difference of two timestamps, and hold
//! no day, were shorter than a day. [`Spans`] compares how long they are: a month is 30 days and a day 24 hours, as in
//! Postgres and DuckDB. It does so wherever intervals are compared or sorted.

use std::sync::Arc;

use arrow::array::{AsArray, Decimal128Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Sort, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::{is_comparison, rewrite_expressions};

const NANOS_OF_A_DAY: i128 = 24 * 60 * 60 * 1_000_000_000;

/// Intervals are compared by how long they are.
#[derive(Debug)]
pub(super) struct Spans {
    length: Arc<ScalarUDF>,
}

impl Spans {
    pub(super) fn new() -> Self {
        let length = Length { signature: Signature::any(1, Volatility::Immutable) };
        Self { length: Arc::new(ScalarUDF::from(length)) }
    }
}

impl AnalyzerRule for Spans {
    fn name(&self) -> &str {
        "spans"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = rewrite_expressions(plan, |mut expr, schema| {
            let sides: Vec<&mut Expr> = match &mut expr {
                Expr::BinaryExpr(binary) if is_comparison(binary.op) => {
                    vec![&mut binary.left, &mut binary.right]
                }
                Expr::Between(between) => vec![&mut between.expr, &mut between.low, &mut between.high],
                Expr::InList(list) => std::iter::once(&mut *list.expr).chain(list.list.iter_mut()).collect(),
                _ => return Ok(Transformed::no(expr)),
            };
            if !sides.iter().all(|side| is_span(side, schema)) {
                return Ok(Transformed::no(expr));
            }
            for side in sides {
                *side = self.length.call(vec![std::mem::take(side)]);
            }
            Ok(Transformed::yes(expr))
        })?;
        Ok(plan
            .transform_up_with_subqueries(|plan| match plan {
                LogicalPlan::Sort(Sort { mut expr, input, fetch }) => {
                    let mut changed = false;
                    for key in expr.iter_mut().filter(|key| is_span(&key.expr, input.schema())) {
                        key.expr = self.length.call(vec![std::mem::take(&mut key.expr)]);
                        changed = true;
                    }
                    let sort = LogicalPlan::Sort(Sort { expr, input, fetch });
                    Ok(if changed { Transformed::yes(sort) } else { Transformed::no(sort) })
                }
                other => Ok(Transformed::no(other)),
            })?
            .data)
    }
}

fn is_span(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Interval(_)))
}

/// `_elt_length(interval)`: nanoseconds, of which a day has as many as it usually does.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Length {
    signature: Signature,
}

impl ScalarUDFImpl for Length {
    fn name(&self) -> &str {
        "_elt_length"
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(Expr::to_string).unwrap_or_default())
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(|arg| arg.schema_name().to_string()).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal128(38, 0))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [interval] = &args.args[..] else { return exec_err!("it is the length of one interval") };
        let intervals = interval.to_array(args.number_rows)?;
        let intervals = cast(&intervals, &DataType::Interval(IntervalUnit::MonthDayNano))?;
        let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
        let lengths: Decimal128Array = intervals
            .iter()
            .map(|interval| {
                let interval = interval?;
                let days = i128::from(interval.months) * 30 + i128::from(interval.days);
                Some(days * NANOS_OF_A_DAY + i128::from(interval.nanoseconds))
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(lengths.with_precision_and_scale(38, 0)?)))
    }
}
