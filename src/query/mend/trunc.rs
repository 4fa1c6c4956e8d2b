//! When did the month begin?
//!
//! The engine's `date_trunc` counts in nanoseconds, which end in 2262. [`DateTrunc`] counts in a lake's microseconds,
//! which a zone's clocks show; everything else is asked of the engine.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray, TimestampMicrosecondArray};
use arrow::datatypes::{
    DataType, Field, FieldRef, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
    TimestampMicrosecondType,
};
use chrono::{Datelike as _, Days, NaiveDate};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::functions::datetime;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature,
};

use super::zones::{ahead, elsewhere, instant};

const SECOND: i64 = 1_000_000;
pub(super) const DAY: i64 = 86_400 * SECOND;

/// `date_trunc`, to the year 9999.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DateTrunc {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl DateTrunc {
    pub(super) fn new() -> Self {
        let inner = datetime::date_trunc();
        let known = inner.signature();
        let of_interval = TypeSignature::Exact(vec![DataType::Utf8, INTERVAL]);
        let signatures = vec![known.type_signature.clone(), of_interval];
        let signature = Signature::one_of(signatures, known.volatility);
        Self { inner, signature }
    }
}

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// An interval without what is less than a whole unit.
fn shortened(unit: Unit, of: IntervalMonthDayNano) -> IntervalMonthDayNano {
    let IntervalMonthDayNano { months, days, nanoseconds } = of;
    match unit {
        Unit::Months(length) => {
            let length = i32::try_from(length).unwrap_or(i32::MAX);
            IntervalMonthDayNano { months: months - months % length, days: 0, nanoseconds: 0 }
        }
        Unit::Week => IntervalMonthDayNano { months, days: days - days % 7, nanoseconds: 0 },
        Unit::Micros(DAY) => IntervalMonthDayNano { months, days, nanoseconds: 0 },
        Unit::Micros(micros) => IntervalMonthDayNano {
            months,
            days,
            nanoseconds: nanoseconds - nanoseconds % micros.saturating_mul(1_000),
        },
    }
}

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.get(1) {
            Some(&INTERVAL) => Ok(INTERVAL),
            _ => self.inner.return_type(types),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields.get(1) {
            Some(of) if *of.data_type() == INTERVAL => Ok(Arc::new(Field::new(self.name(), INTERVAL, true))),
            _ => self.inner.return_field_from_args(args),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let unit = match args.args.first() {
            Some(ColumnarValue::Scalar(unit)) => unit.try_as_str().flatten().and_then(Unit::parse),
            _ => None,
        };
        if let Some(interval) = args.args.get(1).filter(|of| of.data_type() == INTERVAL) {
            let Some(unit) = unit else {
                return exec_err!(
                    "an interval is cut off to a unit of time: 'year', 'month', 'day', 'hour', …"
                );
            };
            let intervals = interval.to_array(args.number_rows)?;
            let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
            let cut: IntervalMonthDayNanoArray = intervals.unary(|interval| shortened(unit, interval));
            return Ok(ColumnarValue::Array(Arc::new(cut)));
        }
        let (Some(unit), Some(moment)) = (unit, args.args.get(1)) else {
            return self.inner.invoke_with_args(args);
        };
        let zone = match moment.data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, zone) => zone,
            _ => return self.inner.invoke_with_args(args),
        };
        if let Some(there) = elsewhere(&moment.data_type())? {
            let moments = moment.to_array(args.number_rows)?;
            let begun = |micros| {
                unit.start_in(there, micros).ok_or_else(|| exec_datafusion_err!("a time is out of range"))
            };
            let starts: TimestampMicrosecondArray =
                moments.as_primitive::<TimestampMicrosecondType>().try_unary(begun)?;
            let starts: ArrayRef = Arc::new(starts.with_timezone_opt(zone));
            return Ok(match moment {
                ColumnarValue::Scalar(_) => ColumnarValue::Scalar(ScalarValue::try_from_array(&starts, 0)?),
                ColumnarValue::Array(_) => ColumnarValue::Array(starts),
            });
        }
        Ok(match moment {
            ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(micros, _)) => {
                let start = micros.map(|micros| unit.start(micros));
                ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(start, zone))
            }
            ColumnarValue::Array(moments) => {
                let moments = moments.as_primitive::<TimestampMicrosecondType>();
                let starts: TimestampMicrosecondArray = moments.unary(|micros| unit.start(micros));
                ColumnarValue::Array(Arc::new(starts.with_timezone_opt(zone)) as ArrayRef)
            }
            ColumnarValue::Scalar(_) => return self.inner.invoke_with_args(args),
        })
    }

    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(input)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// What a point in time is cut off to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// So many microseconds, counted from 1970.
    Micros(i64),
    /// From Monday.
    Week,
    /// So many months, counted from January, or from a year that they divide.
    Months(u32),
}

impl Unit {
    pub(super) fn parse(word: &str) -> Option<Self> {
        Some(match word.to_lowercase().as_str() {
            "microsecond" => Self::Micros(1),
            "millisecond" => Self::Micros(1_000),
            "second" => Self::Micros(SECOND),
            "minute" => Self::Micros(60 * SECOND),
            "hour" => Self::Micros(3_600 * SECOND),
            "day" => Self::Micros(DAY),
            "week" => Self::Week,
            "month" => Self::Months(1),
            "quarter" => Self::Months(3),
            "year" => Self::Months(12),
            "decade" => Self::Months(120),
            "century" => Self::Months(1_200),
            "millennium" => Self::Months(12_000),
            _ => return None,
        })
    }

    /// The same by the clocks of a time zone. What is less than a day goes on as long as it does, whatever clocks do meanwhile.
    fn start_in(self, zone: Tz, micros: i64) -> Option<i64> {
        let ahead = ahead(zone, micros)?;
        let start = self.start(micros.checked_add(ahead)?);
        match self {
            Self::Micros(length) if length < DAY => start.checked_sub(ahead),
            _ => instant(zone, start),
        }
    }

    /// The beginning of the unit that `micros` is in. A time outside chrono's calendar stays as it is.
    pub(super) fn start(self, micros: i64) -> i64 {
        let day = micros.div_euclid(DAY);
        match self {
            Self::Micros(length) => micros - micros.rem_euclid(length),
            // 1970 began on a Thursday.
            Self::Week => (day - (day + 3).rem_euclid(7)) * DAY,
            Self::Months(length) => first_of(day, length).map_or(micros, |day| day * DAY),
        }
    }
}

/// The first day of the months that a day is in, as days since 1970.
fn first_of(day: i64, months: u32) -> Option<i64> {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let date = match u64::try_from(day) {
        Ok(days) => epoch.checked_add_days(Days::new(days))?,
        Err(_) => epoch.checked_sub_days(Days::new(day.unsigned_abs()))?,
    };
    let number = date.year() * 12 + i32::try_from(date.month0()).ok()?;
    let number = number - number.rem_euclid(i32::try_from(months).ok()?);
    let month = u32::try_from(number.rem_euclid(12)).ok()?;
    let first = NaiveDate::from_ymd_opt(number.div_euclid(12), month + 1, 1)?;
    Some(first.signed_duration_since(epoch).num_days())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn a_unit_begins_where_the_calendar_says() {
        for (unit, at, start) in [
            ("month", "9999-12-31T23:59:59Z", "9999-12-01T00:00:00Z"),
            ("quarter", "2026-06-30T01:00:00Z", "2026-04-01T00:00:00Z"),
            ("year", "0001-07-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("decade", "2026-07-01T00:00:00Z", "2020-01-01T00:00:00Z"),
            ("century", "1999-07-01T00:00:00Z", "1900-01-01T00:00:00Z"),
            ("week", "2026-03-01T12:00:00Z", "2026-02-23T00:00:00Z"),
            ("week", "1969-12-31T12:00:00Z", "1969-12-29T00:00:00Z"),
            ("hour", "1969-12-31T23:30:00Z", "1969-12-31T23:00:00Z"),
            ("second", "2026-01-01T00:00:00.9Z", "2026-01-01T00:00:00Z"),
        ] {
            let micros = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros();
            assert_eq!(Unit::parse(unit).unwrap().start(micros(at)), micros(start), "{unit} of {at}");
        }
    }
}
