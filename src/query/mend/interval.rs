//! How long is three times a day?

use std::sync::Arc;

use arrow::array::{AsArray, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::{DFSchema, Result, exec_err};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
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
