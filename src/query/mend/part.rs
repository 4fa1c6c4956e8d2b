//! What hour is it, and how many hours are in it?
//!
//! The engine's `date_part`, with the decade, the century and the millennium, and with intervals taken apart as Postgres and
//! DuckDB do: what is between two instants is days and a time, of which 23 is the most hours. And how many milliseconds,
//! microseconds and nanoseconds have passed since 1970.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, FieldRef, Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::functions::datetime;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::trunc::DAY;

const SECOND: i64 = 1_000_000;

/// `date_part`, `epoch_ms`, `epoch_us`, `epoch_ns`, and the number of a day of the week.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let signature = || Signature::any(1, Volatility::Immutable);
    let epoch = |name, per_second| ScalarUDF::from(Epoch { name, per_second, signature: signature() });
    vec![
        ScalarUDF::from(DatePart { inner: datetime::date_part() }),
        epoch("epoch_ms", 1_000),
        epoch("epoch_us", 1_000_000),
        epoch("epoch_ns", 1_000_000_000),
        ScalarUDF::from(Weekday { signature: signature() }),
    ]
}

/// `date_part`
#[derive(Debug, PartialEq, Eq, Hash)]
struct DatePart {
    inner: Arc<ScalarUDF>,
}

/// Parts that are counted in years.
fn years(part: &str) -> Option<fn(i32) -> i32> {
    Some(match part {
        "decade" | "decades" => |year| year.div_euclid(10),
        // The first century began with the year 1.
        "century" | "centuries" => |year| if year > 0 { (year - 1) / 100 + 1 } else { year / 100 - 1 },
        "millennium" | "millennia" | "millenniums" => {
            |year| if year > 0 { (year - 1) / 1000 + 1 } else { year / 1000 - 1 }
        }
        _ => return None,
    })
}

impl ScalarUDFImpl for DatePart {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let part = match args.args.first() {
            Some(ColumnarValue::Scalar(part)) => part.try_as_str().flatten().map(str::to_lowercase),
            _ => None,
        };
        let (Some(part), Some(of)) = (part, args.args.get(1)) else {
            return self.inner.invoke_with_args(args);
        };
        let part = part.trim().to_owned();
        if matches!(of.data_type(), DataType::Interval(_) | DataType::Duration(_)) {
            let is_scalar = matches!(of, ColumnarValue::Scalar(_));
            let intervals = apart(&of.clone().into_array(1)?)?;
            if let Some(parts) = of_intervals(&part, &intervals, args.return_field.data_type())? {
                return as_given(parts, is_scalar);
            }
        }
        let Some(count) = years(&part) else { return self.inner.invoke_with_args(args) };
        let is_scalar = matches!(of, ColumnarValue::Scalar(_));
        args.args[0] = ColumnarValue::Scalar(ScalarValue::from("year"));
        let rows = args.number_rows;
        let year = self.inner.invoke_with_args(args)?.into_array(rows)?;
        let counted: Int32Array = year.as_primitive::<Int32Type>().unary(count);
        as_given(Arc::new(counted), is_scalar)
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        self.inner.inner().preimage(args, literal, info)
    }
}

fn as_given(values: ArrayRef, is_scalar: bool) -> Result<ColumnarValue> {
    Ok(match is_scalar {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?),
        false => ColumnarValue::Array(values),
    })
}

/// Intervals as months, days and a time. A duration has whole days in it.
fn apart(values: &ArrayRef) -> Result<Vec<Option<IntervalMonthDayNano>>> {
    if let DataType::Duration(_) = values.data_type() {
        let micros = cast(values, &DataType::Duration(TimeUnit::Microsecond))?;
        let micros = cast(&micros, &DataType::Int64)?;
        let of = |micros: i64| IntervalMonthDayNano {
            months: 0,
            days: i32::try_from(micros / DAY).unwrap_or(i32::MAX),
            nanoseconds: micros % DAY * 1_000,
        };
        return Ok(micros.as_primitive::<Int64Type>().iter().map(|micros| micros.map(of)).collect());
    }
    let intervals = cast(values, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    Ok(intervals.as_primitive::<IntervalMonthDayNanoType>().iter().collect())
}

/// A part of each interval; nothing for a part that an interval does not have.
fn of_intervals(
    part: &str,
    intervals: &[Option<IntervalMonthDayNano>],
    wanted: &DataType,
) -> Result<Option<ArrayRef>> {
    if part == "epoch" {
        let seconds = |of: &IntervalMonthDayNano| {
            let (years, months) = (f64::from(of.months / 12), f64::from(of.months % 12));
            // A year has 365.25 days, and a month 30.
            let days = years * 365.25 + months * 30.0 + f64::from(of.days);
            days * 86_400.0 + (of.nanoseconds / 1_000) as f64 / 1e6
        };
        let seconds: Float64Array = intervals.iter().map(|of| of.as_ref().map(seconds)).collect();
        return Ok(Some(Arc::new(seconds)));
    }
    let micros = |of: &IntervalMonthDayNano| of.nanoseconds / 1_000;
    let take: Box<dyn Fn(&IntervalMonthDayNano) -> i64> = match part.trim_end_matches('s') {
        "year" => Box::new(|of| i64::from(of.months / 12)),
        "quarter" => Box::new(|of| i64::from(of.months % 12 / 3 + 1)),
        "month" => Box::new(|of| i64::from(of.months % 12)),
        "day" => Box::new(|of| i64::from(of.days)),
        "hour" => Box::new(move |of| micros(of) / (3_600 * SECOND)),
        "minute" => Box::new(move |of| micros(of) / (60 * SECOND) % 60),
        "second" => Box::new(move |of| micros(of) / SECOND % 60),
        "millisecond" => Box::new(move |of| micros(of) % (60 * SECOND) / 1_000),
        "microsecond" => Box::new(move |of| micros(of) % (60 * SECOND)),
        name => match years(name) {
            Some(count) if name == "decade" => Box::new(move |of| i64::from(count(of.months / 12))),
            _ => return Ok(None),
        },
    };
    let parts: Int64Array = intervals.iter().map(|of| of.as_ref().map(&take)).collect();
    Ok(Some(cast(&parts, wanted)?))
}

/// `epoch_ms(t)`: how many have passed; of a number, the instant that is so far from 1970.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Epoch {
    name: &'static str,
    per_second: i64,
    signature: Signature,
}

impl ScalarUDFImpl for Epoch {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(match &types[0] {
            number if number.is_integer() => DataType::Timestamp(TimeUnit::Microsecond, None),
            _ => DataType::Int64,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = matches!(args.args[0], ColumnarValue::Scalar(_));
        let values = args.args[0].clone().into_array(args.number_rows)?;
        let scaled = |value: i64, by: i64, per: i64| {
            let product = i128::from(value) * i128::from(by);
            i64::try_from(product.div_euclid(i128::from(per))).ok()
        };
        let answer: Result<Int64Array> = match values.data_type() {
            number if number.is_integer() => {
                let counts = cast(&values, &DataType::Int64)?;
                let micros = |count: Option<i64>| match count {
                    None => Ok(None),
                    Some(count) => match scaled(count, SECOND, self.per_second) {
                        Some(micros) => Ok(Some(micros)),
                        None => exec_err!("{}({count}) is out of the calendar", self.name),
                    },
                };
                let micros =
                    counts.as_primitive::<Int64Type>().iter().map(micros).collect::<Result<Int64Array>>()?;
                let instants = cast(&micros, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
                return as_given(instants, is_scalar);
            }
            DataType::Interval(_) | DataType::Duration(_) => {
                let seconds = of_intervals("epoch", &apart(&values)?, &DataType::Float64)?;
                let seconds = seconds
                    .ok_or_else(|| datafusion::common::internal_datafusion_err!("an interval is long"))?;
                let seconds = seconds.as_primitive::<arrow::datatypes::Float64Type>();
                Ok(seconds
                    .iter()
                    .map(|of| of.map(|of| (of * self.per_second as f64).round() as i64))
                    .collect())
            }
            _ => {
                let micros = match values.data_type() {
                    text if text.is_string() => super::reading::instants(&values, None, false)?,
                    DataType::Timestamp(_, zone) => {
                        cast(&values, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?
                    }
                    _ => cast(&values, &DataType::Timestamp(TimeUnit::Microsecond, None))?,
                };
                let micros = micros.as_primitive::<TimestampMicrosecondType>();
                let count = |micros: Option<i64>| match micros {
                    None => Ok(None),
                    Some(micros) => match scaled(micros, self.per_second, SECOND) {
                        Some(count) => Ok(Some(count)),
                        None => exec_err!("{} of this instant is too large for a bigint", self.name),
                    },
                };
                micros.iter().map(count).collect()
            }
        };
        as_given(Arc::new(answer?), is_scalar)
    }
}

/// `_elt_weekday('Mon')`: 1, as `date_part('dow', …)` counts.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Weekday {
    signature: Signature,
}

impl ScalarUDFImpl for Weekday {
    fn name(&self) -> &str {
        "_elt_weekday"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = matches!(args.args[0], ColumnarValue::Scalar(_));
        let words = cast(&args.args[0].clone().into_array(args.number_rows)?, &DataType::Utf8)?;
        let number = |word: Option<&str>| {
            const DAYS: [&str; 7] =
                ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
            let Some(word) = word else { return Ok(None) };
            let short = word.trim().to_lowercase();
            match DAYS.iter().position(|day| short.len() > 1 && day.starts_with(&short)) {
                Some(at) => Ok(i32::try_from(at).ok()),
                None => exec_err!("`{word}` is no day of the week; there are `Monday`, `Mon` and `Mo`"),
            }
        };
        let numbers = words.as_string::<i32>().iter().map(number).collect::<Result<Int32Array>>()?;
        as_given(Arc::new(numbers), is_scalar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centuries_begin_with_the_year_one() {
        let told = |part: &str, year: i32| years(part).unwrap()(year);
        assert_eq!([told("century", 2000), told("century", 2001), told("century", 1)], [20, 21, 1]);
        assert_eq!([told("millennium", 2000), told("millennium", 2001)], [2, 3]);
        assert_eq!([told("decade", 1999), told("decade", 2000)], [199, 200]);
    }
}
