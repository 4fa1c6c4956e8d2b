//! Into which stretch of time does an instant fall?
//!
//! `time_bucket(interval '1 week', t)`: the beginning of its stretch, as in DuckDB and Timescale. Stretches of days and
//! hours are counted from Monday, the 3rd of January 2000, those of months from the 1st; or from what the third argument
//! says, an instant or an interval by which all of them are moved.

use std::sync::Arc;

use arrow::array::{AsArray, Date32Array, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
    TimestampMicrosecondType,
};
use chrono::{DateTime, Datelike as _, Months};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::trunc::DAY;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const MONDAY: i64 = 10_959 * DAY;
const FIRST: i64 = 10_957 * DAY;

/// `time_bucket`
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(Bucket { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bucket {
    signature: Signature,
}

impl ScalarUDFImpl for Bucket {
    fn name(&self) -> &str {
        "time_bucket"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let moment = |of: &DataType| match of {
            DataType::Date32 => DataType::Date32,
            DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            _ => DataType::Timestamp(TimeUnit::Microsecond, None),
        };
        match types {
            [_, of] => Ok(vec![INTERVAL, moment(of)]),
            [_, of, DataType::Interval(_) | DataType::Duration(_)] => {
                Ok(vec![INTERVAL, moment(of), INTERVAL])
            }
            [_, of, _] => Ok(vec![INTERVAL, moment(of), DataType::Timestamp(TimeUnit::Microsecond, None)]),
            _ => plan_err!("`time_bucket` has an interval, an instant, and from where to count"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[1].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let array = |at: usize| args.args[at].clone().into_array(rows);
        let widths = cast(&array(0)?, &INTERVAL)?;
        let widths = widths.as_primitive::<IntervalMonthDayNanoType>();
        let zone = match args.args[1].data_type() {
            DataType::Timestamp(_, zone) => zone,
            _ => None,
        };
        let moments = cast(&array(1)?, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
        let moments = moments.as_primitive::<TimestampMicrosecondType>();
        let third = args.args.get(2).map(|third| third.clone().into_array(rows)).transpose()?;
        let mut starts = Vec::with_capacity(rows);
        for row in 0..rows {
            let is_null = |array: &dyn arrow::array::Array| array.is_null(row);
            if is_null(widths) || is_null(moments) || third.as_ref().is_some_and(|third| third.is_null(row)) {
                starts.push(None);
                continue;
            }
            let (width, at) = (widths.value(row), moments.value(row));
            let start = match &third {
                None => start(width, at, None)?,
                Some(third) if matches!(third.data_type(), DataType::Interval(_)) => {
                    let by = third.as_primitive::<IntervalMonthDayNanoType>().value(row);
                    let back = IntervalMonthDayNano {
                        months: -by.months,
                        days: -by.days,
                        nanoseconds: -by.nanoseconds,
                    };
                    let there = moved(at, back).and_then(|at| start(width, at, None).ok());
                    match there.and_then(|start| moved(start, by)) {
                        Some(start) => start,
                        None => return exec_err!("the bucket begins outside of the calendar"),
                    }
                }
                Some(third) => {
                    let origin = third.as_primitive::<TimestampMicrosecondType>().value(row);
                    start(width, at, Some(origin))?
                }
            };
            starts.push(Some(start));
        }
        Ok(ColumnarValue::Array(match args.return_field.data_type() {
            DataType::Date32 => {
                let day = |micros: i64| i32::try_from(micros.div_euclid(DAY)).ok();
                Arc::new(starts.into_iter().map(|start| start.and_then(day)).collect::<Date32Array>())
            }
            _ => Arc::new(TimestampMicrosecondArray::from(starts).with_timezone_opt(zone)),
        }))
    }
}

/// Where the stretch begins that an instant is in.
fn start(width: IntervalMonthDayNano, at: i64, origin: Option<i64>) -> Result<i64> {
    let micros = i64::from(width.days) * DAY + width.nanoseconds / 1_000;
    if width.months != 0 && micros != 0 || width.months < 0 || width.months == 0 && micros <= 0 {
        return exec_err!(
            "a bucket is as wide as some months, or as some days and hours, and wider than nothing"
        );
    }
    if width.months == 0 {
        let origin = origin.unwrap_or(MONDAY);
        return match at.checked_sub(origin).and_then(|since| at.checked_sub(since.rem_euclid(micros))) {
            Some(start) => Ok(start),
            None => exec_err!("the bucket begins outside of the calendar"),
        };
    }
    let months = |micros: i64| {
        let date = DateTime::from_timestamp_micros(micros).unwrap_or_default();
        i64::from(date.year()) * 12 + i64::from(date.month0())
    };
    let origin = origin.unwrap_or(FIRST);
    let wide = i64::from(width.months);
    let mut whole = (months(at) - months(origin)).div_euclid(wide) * wide;
    let begins = |whole: i64| {
        let months = i32::try_from(whole).ok()?;
        moved(origin, IntervalMonthDayNano { months, days: 0, nanoseconds: 0 })
    };
    // The stretch begins later in its month than the instant is.
    if begins(whole).is_some_and(|begins| begins > at) {
        whole -= wide;
    }
    match begins(whole) {
        Some(start) => Ok(start),
        None => exec_err!("the bucket begins outside of the calendar"),
    }
}

fn moved(at: i64, by: IntervalMonthDayNano) -> Option<i64> {
    let date = DateTime::from_timestamp_micros(at)?;
    let months = Months::new(by.months.unsigned_abs());
    let date =
        if by.months < 0 { date.checked_sub_months(months)? } else { date.checked_add_months(months)? };
    let rest = i64::from(by.days).checked_mul(DAY)?.checked_add(by.nanoseconds / 1_000)?;
    date.timestamp_micros().checked_add(rest)
}
