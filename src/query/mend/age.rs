//! How long is it from one instant to another, in years, months, days and time?
//!
//! `age(a, b)` as Postgres has it: field by field, days borrowed from the month of the earlier one. And
//! `make_interval(years, months, weeks, days, hours, minutes, seconds)`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, IntervalMonthDayNano, IntervalUnit};
use chrono::{DateTime, Datelike, NaiveDateTime, Timelike};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::zones::wall_clocks;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// Both functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![
        ScalarUDF::from(Age { signature: Signature::any(2, Volatility::Immutable) }),
        ScalarUDF::from(Made { signature: Signature::any(7, Volatility::Immutable) }),
    ]
}

/// `_elt_age`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Age {
    signature: Signature,
}

impl ScalarUDFImpl for Age {
    fn name(&self) -> &str {
        "_elt_age"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let clocks = |value: &ColumnarValue| wall_clocks(&value.clone().into_array(args.number_rows)?);
        let (to, from) = (clocks(&args.args[0])?, clocks(&args.args[1])?);
        let instant = |micros: i64| DateTime::from_timestamp_micros(micros).map(|at| at.naive_utc());
        let ages = to.iter().zip(from.iter());
        let ages = ages.map(|(to, from)| Some(age(instant(to?)?, instant(from?)?)));
        Ok(ColumnarValue::Array(Arc::new(ages.collect::<IntervalMonthDayNanoArray>())))
    }
}

/// The fields of an instant, from the smallest to the largest.
fn fields(at: NaiveDateTime) -> [i64; 7] {
    [
        i64::from(at.nanosecond()),
        i64::from(at.second()),
        i64::from(at.minute()),
        i64::from(at.hour()),
        i64::from(at.day()),
        i64::from(at.month()),
        i64::from(at.year()),
    ]
}

fn days_in_month(at: NaiveDateTime) -> i64 {
    i64::from(at.date().num_days_in_month())
}

fn age(to: NaiveDateTime, from: NaiveDateTime) -> IntervalMonthDayNano {
    let is_back = to < from;
    let (later, earlier) = if is_back { (from, to) } else { (to, from) };
    let (later, earlier_fields) = (fields(later), fields(earlier));
    let mut parts: [i64; 7] = std::array::from_fn(|at| later[at] - earlier_fields[at]);
    let sizes = [1_000_000_000, 60, 60, 24, days_in_month(earlier), 12];
    for (at, size) in sizes.into_iter().enumerate() {
        while parts[at] < 0 {
            parts[at] += size;
            parts[at + 1] -= 1;
        }
    }
    let sign = if is_back { -1 } else { 1 };
    let [nanos, seconds, minutes, hours, days, months, years] = parts.map(|part| part * sign);
    let small = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    let time = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000 + nanos;
    IntervalMonthDayNano::new(small(years * 12 + months), small(days), time)
}

/// `_elt_interval`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Made {
    signature: Signature,
}

impl ScalarUDFImpl for Made {
    fn name(&self) -> &str {
        "_elt_interval"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let numbers = args
            .args
            .iter()
            .map(|value| Ok(cast(&value.clone().into_array(args.number_rows)?, &DataType::Float64)?))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let value = |row: usize| -> Result<Option<IntervalMonthDayNano>> {
            if numbers.iter().any(|column| column.is_null(row)) {
                return Ok(None);
            }
            let part = |at: usize| numbers[at].as_primitive::<Float64Type>().value(row);
            let months = part(0) * 12.0 + part(1);
            let days = part(2) * 7.0 + part(3);
            let nanos = ((part(4) * 60.0 + part(5)) * 60.0 + part(6)) * 1e9;
            let fits = |number: f64, most: f64| number.abs() <= most;
            if !fits(months, i32::MAX.into()) || !fits(days, i32::MAX.into()) || !fits(nanos, 9.2e18) {
                return exec_err!("the interval is too long");
            }
            Ok(Some(IntervalMonthDayNano::new(months as i32, days as i32, nanos.round() as i64)))
        };
        let made = (0..args.number_rows).map(value).collect::<Result<Vec<_>>>()?;
        Ok(ColumnarValue::Array(Arc::new(IntervalMonthDayNanoArray::from(made))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_those_of_postgres() {
        let at = |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
        let told = |to: &str, from: &str| {
            let age = age(at(to), at(from));
            (age.months, age.days, age.nanoseconds / 60_000_000_000)
        };
        assert_eq!(told("2001-04-10 00:00", "1957-06-13 00:00"), (43 * 12 + 9, 27, 0));
        assert_eq!(told("1957-06-13 00:00", "2001-04-10 00:00"), (-(43 * 12 + 9), -27, 0));
        assert_eq!(told("2024-03-01 00:00", "2024-01-31 23:30"), (1, 0, 30));
        assert_eq!(told("2024-01-01 00:00", "2024-01-01 00:00"), (0, 0, 0));
    }
}
