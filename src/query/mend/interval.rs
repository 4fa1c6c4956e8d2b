//! How long is three times a day, and what is five hours after a date?
//!
//! A date and hours are an instant. The engine would give the date, and drop the hours.

use std::sync::Arc;

use arrow::array::{AsArray, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, binary_expr, cast as logical_cast,
};
use sqlparser::ast::BinaryOperator;

/// Plans `interval * n` and `n * interval`, which the engine has no operator for.
#[derive(Debug)]
pub(super) struct Times {
    times: Arc<ScalarUDF>,
}

impl Times {
    pub(super) fn new() -> Self {
        let times = Multiplied { signature: Signature::any(2, Volatility::Immutable) };
        Self { times: Arc::new(ScalarUDF::from(times)) }
    }
}

impl ExprPlanner for Times {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if matches!(expr.op, BinaryOperator::Plus | BinaryOperator::Minus) {
            return Ok(moved(expr, schema));
        }
        if expr.op != BinaryOperator::Multiply {
            return Ok(PlannerResult::Original(expr));
        }
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        Ok(match (left, right) {
            (DataType::Interval(_), number) if number.is_integer() => {
                PlannerResult::Planned(self.times.call(vec![expr.left, expr.right]))
            }
            (number, DataType::Interval(_)) if number.is_integer() => {
                PlannerResult::Planned(self.times.call(vec![expr.right, expr.left]))
            }
            _ => PlannerResult::Original(expr),
        })
    }
}

/// A date moved by an interval that may hold hours is an instant; by days and months, it stays a date.
fn moved(expr: RawBinaryExpr, schema: &DFSchema) -> PlannerResult<RawBinaryExpr> {
    let is = |side: &Expr, wanted: fn(&DataType) -> bool| side.get_type(schema).is_ok_and(|of| wanted(&of));
    let is_date = |of: &DataType| matches!(of, DataType::Date32);
    let is_interval = |of: &DataType| matches!(of, DataType::Interval(_));
    let instant = DataType::Timestamp(TimeUnit::Microsecond, None);
    let op = match expr.op {
        BinaryOperator::Plus => Operator::Plus,
        _ => Operator::Minus,
    };
    if is(&expr.left, is_date) && is(&expr.right, is_interval) && !is_whole_days(&expr.right) {
        return PlannerResult::Planned(binary_expr(logical_cast(expr.left, instant), op, expr.right));
    }
    let turned = op == Operator::Plus && is(&expr.left, is_interval) && is(&expr.right, is_date);
    if turned && !is_whole_days(&expr.left) {
        return PlannerResult::Planned(binary_expr(expr.left, op, logical_cast(expr.right, instant)));
    }
    PlannerResult::Original(expr)
}

/// Whether an interval is known to hold nothing but days, months and years.
fn is_whole_days(interval: &Expr) -> bool {
    match interval {
        Expr::Literal(ScalarValue::IntervalYearMonth(_), _) => true,
        Expr::Literal(ScalarValue::IntervalDayTime(Some(value)), _) => value.milliseconds == 0,
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(value)), _) => value.nanoseconds == 0,
        Expr::ScalarFunction(call) if call.func.name() == "_elt_times" => {
            call.args.first().is_some_and(is_whole_days)
        }
        // Hours, minutes and seconds are the last three.
        Expr::ScalarFunction(call) if call.func.name() == "_elt_interval" => {
            let is_nothing = |arg: &Expr| matches!(arg, Expr::Literal(ScalarValue::Int64(Some(0)), _));
            call.args.len() == 7 && call.args[4..].iter().all(is_nothing)
        }
        Expr::Negative(inner) => is_whole_days(inner),
        Expr::Alias(alias) => is_whole_days(&alias.expr),
        Expr::Cast(cast) => {
            let mut words = String::new();
            let looked = cast.expr.apply(|inner| {
                if let Expr::Literal(value, _) = inner {
                    words.push_str(&value.try_as_str().flatten().unwrap_or_default().to_lowercase());
                }
                Ok(TreeNodeRecursion::Continue)
            });
            looked.expect("looking at an expression does not fail");
            let has = |of: &[&str]| of.iter().any(|word| words.contains(word));
            has(&["day", "week", "month", "quarter", "year"]) && !has(&["hour", "min", "sec", ":"])
        }
        _ => false,
    }
}

/// `_elt_times`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Multiplied {
    signature: Signature,
}

impl ScalarUDFImpl for Multiplied {
    fn name(&self) -> &str {
        "_elt_times"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Interval(IntervalUnit::MonthDayNano))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [interval, number] = &args.args[..] else { return exec_err!("it is an interval times a number") };
        let month_day_nano = DataType::Interval(IntervalUnit::MonthDayNano);
        let intervals = cast(&interval.clone().into_array(args.number_rows)?, &month_day_nano)?;
        let numbers = cast(&number.clone().into_array(args.number_rows)?, &DataType::Int64)?;
        let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>().iter();
        let product = |(interval, number): (Option<IntervalMonthDayNano>, Option<i64>)| {
            let (Some(interval), Some(number)) = (interval, number) else { return Ok(None) };
            match times(interval, number) {
                Some(product) => Ok(Some(product)),
                None => exec_err!("{number} times the interval is too long for an interval"),
            }
        };
        let products = intervals.zip(numbers.as_primitive::<Int64Type>().iter()).map(product);
        let products: IntervalMonthDayNanoArray = products.collect::<Result<Vec<_>>>()?.into();
        Ok(ColumnarValue::Array(Arc::new(products)))
    }
}

fn times(interval: IntervalMonthDayNano, number: i64) -> Option<IntervalMonthDayNano> {
    let part = |part: i32| i32::try_from(i64::from(part).checked_mul(number)?).ok();
    Some(IntervalMonthDayNano {
        months: part(interval.months)?,
        days: part(interval.days)?,
        nanoseconds: interval.nanoseconds.checked_mul(number)?,
    })
}
