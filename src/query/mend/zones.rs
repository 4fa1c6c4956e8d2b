//! What does the clock on the wall say somewhere?
//!
//! `instant at time zone 'Europe/Oslo'` is the time that clocks there show, without a zone; `time at time zone
//! 'Europe/Oslo'` is the instant at which they show it. So SQL has it; the engine's cast keeps the instant and only says it
//! otherwise. A time that clocks show twice is the second one, one that they skip is as if they had not: as in Postgres.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, AsArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone};
use datafusion::common::{Result, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// `timezone(zone, time)`, which is `time at time zone zone`.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(AtTimeZone { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AtTimeZone {
    signature: Signature,
}

fn moment(zone: Option<&str>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into))
}

impl ScalarUDFImpl for AtTimeZone {
    fn name(&self) -> &str {
        "timezone"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [zone, time] = types else { return plan_err!("timezone takes a zone and a time") };
        if !zone.is_string() && !zone.is_null() {
            return plan_err!("a time zone is a text: `at time zone 'Europe/Oslo'`");
        }
        let time = match time {
            DataType::Timestamp(_, Some(_)) => moment(Some("UTC")),
            DataType::Timestamp(_, None) | DataType::Date32 | DataType::Null => moment(None),
            text if text.is_string() => moment(Some("UTC")),
            _ => return plan_err!("only a date or a timestamp is at a time zone"),
        };
        Ok(vec![DataType::Utf8, time])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [_, DataType::Timestamp(_, Some(_))] => Ok(moment(None)),
            _ => Ok(moment(Some("UTC"))),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [zone, time] = &args.args[..] else { return exec_err!("timezone takes a zone and a time") };
        let zones = cast(&zone.to_array(args.number_rows)?, &DataType::Utf8)?;
        let zones = zones.as_string::<i32>();
        let times = time.to_array(args.number_rows)?;
        let is_instant = matches!(times.data_type(), DataType::Timestamp(_, Some(_)));
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let mut known: HashMap<&str, Tz> = HashMap::new();
        let mut told = Vec::with_capacity(times.len());
        for row in 0..times.len() {
            if times.is_null(row) || zones.is_null(row) {
                told.push(None);
                continue;
            }
            let name = zones.value(row);
            let zone = match known.get(name) {
                Some(zone) => *zone,
                None => {
                    let zone = name.trim().parse().map_err(|_| {
                        exec_datafusion_err!("there is no time zone `{name}`; zones are called `Europe/Oslo`, `UTC` or `+02:00`")
                    })?;
                    known.insert(name, zone);
                    zone
                }
            };
            let micros = times.value(row);
            let moved = if is_instant { wall_clock(zone, micros) } else { instant(zone, micros) };
            match moved {
                Some(micros) => told.push(Some(micros)),
                None => return exec_err!("a time is out of range for `{name}`"),
            }
        }
        let told = TimestampMicrosecondArray::from(told);
        let told = if is_instant { told } else { told.with_timezone("UTC") };
        Ok(ColumnarValue::Array(Arc::new(told)))
    }
}

fn naive(micros: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros).map(|time| time.naive_utc())
}

fn wall_clock(zone: Tz, micros: i64) -> Option<i64> {
    let utc = naive(micros)?;
    let offset = zone.offset_from_utc_datetime(&utc).fix().local_minus_utc();
    micros.checked_add(i64::from(offset) * 1_000_000)
}

fn instant(zone: Tz, micros: i64) -> Option<i64> {
    let local = naive(micros)?;
    let offset = match zone.offset_from_local_datetime(&local).latest() {
        Some(offset) => offset.fix(),
        // Clocks skip it: by the clock of the day before.
        None => zone.offset_from_utc_datetime(&local.checked_sub_signed(TimeDelta::days(1))?).fix(),
    };
    micros.checked_sub(i64::from(offset.local_minus_utc()) * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_jump() {
        let zone: Tz = "America/New_York".parse().unwrap();
        let micros = |text: &str| text.parse::<NaiveDateTime>().unwrap().and_utc().timestamp_micros();
        for (wall, utc) in [
            ("2024-01-01T12:00:00", "2024-01-01T17:00:00"),
            ("2024-07-01T12:00:00", "2024-07-01T16:00:00"),
            // Skipped, and shown twice.
            ("2024-03-10T02:30:00", "2024-03-10T07:30:00"),
            ("2024-11-03T01:30:00", "2024-11-03T06:30:00"),
        ] {
            assert_eq!(instant(zone, micros(wall)), Some(micros(utc)), "{wall}");
        }
        assert_eq!(wall_clock(zone, micros("2024-07-01T16:00:00")), Some(micros("2024-07-01T12:00:00")));
    }
}
