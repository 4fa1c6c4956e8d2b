//! How long is three times a day, what is five hours after a date, and what is 7 divided by 2?
//!
//! A date and hours are an instant. The engine would give the date, and drop the hours. A quotient of whole numbers has its
//! fraction where the one who wrote `/` meant that (`dialect::division`).

use std::sync::Arc;

use arrow::array::{AsArray, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use arrow::error::ArrowError;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, binary_expr, cast as logical_cast,
};
use sqlparser::ast::BinaryOperator;

use crate::query::dialect::EXACT;

/// Plans `interval * n`, `n * interval` and `interval / n`, which the engine has no operator for, and `/` with fractions.
#[derive(Debug)]
pub(super) struct Times {
    times: Arc<ScalarUDF>,
    scaled: Arc<ScalarUDF>,
    over: Arc<ScalarUDF>,
}

impl Times {
    pub(super) fn new() -> Self {
        let of = |how| {
            let signature = Signature::any(2, Volatility::Immutable);
            Arc::new(ScalarUDF::from(Multiplied { how, signature }))
        };
        Self { times: of(How::Times), scaled: of(How::Scaled), over: of(How::Over) }
    }
}

impl ExprPlanner for Times {
    fn plan_binary_op(
        &self,
        mut expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        match &expr.op {
            BinaryOperator::DuckIntegerDivide => expr.op = BinaryOperator::Divide,
            BinaryOperator::Custom(op) if op == EXACT => {
                expr.op = BinaryOperator::Divide;
                let is_whole = |side: &Expr| side.get_type(schema).is_ok_and(|of| of.is_integer());
                if is_whole(&expr.left) && is_whole(&expr.right) {
                    let double = |side| logical_cast(side, DataType::Float64);
                    let (left, right) = (double(expr.left), double(expr.right));
                    return Ok(PlannerResult::Planned(binary_expr(left, Operator::Divide, right)));
                }
            }
            _ => {}
        }
        // What is neither a text nor a list is written as a text.
        if expr.op == BinaryOperator::StringConcat {
            let is_plain = |side: &Expr| {
                side.get_type(schema)
                    .is_ok_and(|of| of.is_numeric() || of.is_temporal() || of == DataType::Boolean)
            };
            if is_plain(&expr.left) && is_plain(&expr.right) {
                expr.left = logical_cast(expr.left, DataType::Utf8);
            }
            return Ok(PlannerResult::Original(expr));
        }
        if matches!(expr.op, BinaryOperator::Plus | BinaryOperator::Minus) {
            return Ok(moved(expr, schema));
        }
        if !matches!(expr.op, BinaryOperator::Multiply | BinaryOperator::Divide) {
            return Ok(PlannerResult::Original(expr));
        }
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        let is_product = expr.op == BinaryOperator::Multiply;
        Ok(match (left, right) {
            (DataType::Interval(_), number) if number.is_numeric() && !is_product => {
                PlannerResult::Planned(self.over.call(vec![expr.left, expr.right]))
            }
            (_, DataType::Interval(_)) if !is_product => PlannerResult::Original(expr),
            (DataType::Interval(_), number) if number.is_numeric() && !number.is_integer() => {
                PlannerResult::Planned(self.scaled.call(vec![expr.left, expr.right]))
            }
            (number, DataType::Interval(_)) if number.is_numeric() && !number.is_integer() => {
                PlannerResult::Planned(self.scaled.call(vec![expr.right, expr.left]))
            }
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

/// What is done with an interval and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum How {
    /// It is taken so many times.
    Times,
    /// It is multiplied by a number with a fraction.
    Scaled,
    /// It is divided.
    Over,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Multiplied {
    how: How,
    signature: Signature,
}

impl ScalarUDFImpl for Multiplied {
    fn name(&self) -> &str {
        match self.how {
            How::Times => "_elt_times",
            How::Scaled => "_elt_scaled",
            How::Over => "_elt_over",
        }
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
        let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>().iter();
        let numbers = number.clone().into_array(args.number_rows)?;
        if self.how != How::Times {
            let numbers = cast(&numbers, &DataType::Float64)?;
            let scaled = |(interval, number): (Option<IntervalMonthDayNano>, Option<f64>)| {
                let (Some(interval), Some(number)) = (interval, number) else { return Ok(None) };
                let scaled = match self.how {
                    How::Over if number == 0.0 => return Err(ArrowError::DivideByZero.into()),
                    How::Over => scaled(interval, |part| part / number),
                    _ => scaled(interval, |part| part * number),
                };
                match scaled {
                    Some(scaled) => Ok(Some(scaled)),
                    None => exec_err!("the interval is too long, by {number}, for an interval"),
                }
            };
            let scaled = intervals.zip(numbers.as_primitive::<Float64Type>().iter()).map(scaled);
            let scaled: IntervalMonthDayNanoArray = scaled.collect::<Result<Vec<_>>>()?.into();
            return Ok(ColumnarValue::Array(Arc::new(scaled)));
        }
        let numbers = cast(&numbers, &DataType::Int64)?;
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

/// Each part by a number. What is left of a month is days, thirty to a month; what is left of a day is hours.
fn scaled(interval: IntervalMonthDayNano, by: impl Fn(f64) -> f64) -> Option<IntervalMonthDayNano> {
    const DAY: f64 = 86_400e9;
    let whole = |part: f64| {
        let is_int = part.is_finite() && part.abs() <= f64::from(i32::MAX);
        is_int.then_some(part as i32)
    };
    // A share such as a third is not exact in binary; a millionth of a day is nobody's.
    let near = |part: f64| if (part - part.round()).abs() < 1e-9 { part.round() } else { part };
    let months = near(by(f64::from(interval.months)));
    let of_months = near((months - months.trunc()) * 30.0);
    let days = near(by(f64::from(interval.days)));
    let rest = near((days - days.trunc()) + (of_months - of_months.trunc()));
    let micros = (by(interval.nanoseconds as f64) / 1e3 + rest * DAY / 1e3).round();
    if !micros.is_finite() || micros.abs() > 9e15 {
        return None;
    }
    Some(IntervalMonthDayNano {
        months: whole(months.trunc())?,
        days: whole(days.trunc() + of_months.trunc())?,
        nanoseconds: (micros as i64).checked_mul(1_000)?,
    })
}
