//! What does the clock on the wall say somewhere?
//!
//! `instant at time zone 'Europe/Oslo'` is the time that clocks there show, without a zone; `time at time zone
//! 'Europe/Oslo'` is the instant at which they show it. So SQL has it; the engine's cast keeps the instant and only says it
//! otherwise. A time that clocks show twice is the second one, one that they skip is as if they had not: as in Postgres.
//!
//! In a session with a zone of its own the same is so where an instant is cast to a time without a zone, and the other way round
//! ([`WallClocks`]).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, cast as logical_cast, lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite_expressions;

/// `timezone(zone, time)`, which is `time at time zone zone`.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(AtTimeZone::of(None))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AtTimeZone {
    /// The time zone that instants are told in.
    told: Arc<str>,
    signature: Signature,
}

impl AtTimeZone {
    fn of(zone: Option<&str>) -> Self {
        let told = zone.unwrap_or("UTC").into();
        Self { told, signature: Signature::user_defined(Volatility::Immutable) }
    }
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
            DataType::Timestamp(_, Some(_)) => moment(Some(&self.told)),
            DataType::Timestamp(_, None) | DataType::Date32 | DataType::Null => moment(None),
            text if text.is_string() => moment(Some(&self.told)),
            _ => return plan_err!("only a date or a timestamp is at a time zone"),
        };
        Ok(vec![DataType::Utf8, time])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [_, DataType::Timestamp(_, Some(_))] => Ok(moment(None)),
            _ => Ok(moment(Some(&self.told))),
        }
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        Some(Self::of(config.execution.time_zone.as_deref()).into())
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
        let told = if is_instant { told } else { told.with_timezone(Arc::clone(&self.told)) };
        Ok(ColumnarValue::Array(Arc::new(told)))
    }
}

fn naive(micros: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros).map(|time| time.naive_utc())
}

/// What clocks show at an instant.
pub(super) fn wall_clock(zone: Tz, micros: i64) -> Option<i64> {
    micros.checked_add(ahead(zone, micros)?)
}

/// By how many microseconds clocks are ahead of UTC at an instant.
pub(super) fn ahead(zone: Tz, micros: i64) -> Option<i64> {
    let offset = zone.offset_from_utc_datetime(&naive(micros)?).fix().local_minus_utc();
    Some(i64::from(offset) * 1_000_000)
}

/// The zone of a type, if its clocks are not UTC's.
pub(super) fn elsewhere(of: &DataType) -> Result<Option<Tz>> {
    match of {
        DataType::Timestamp(_, Some(zone)) if !is_utc(zone) => Ok(Some(zone.parse()?)),
        _ => Ok(None),
    }
}

/// Whether a zone's clocks are always UTC's.
pub(super) fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "+00:00" | "Z")
}

/// Instants, times and dates as what clocks show, in microseconds.
pub(super) fn wall_clocks(times: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    let plain = cast(times, &moment(None))?;
    let plain = plain.as_primitive::<TimestampMicrosecondType>();
    let Some(zone) = elsewhere(times.data_type())? else { return Ok(plain.clone()) };
    let shown =
        |micros| wall_clock(zone, micros).ok_or_else(|| exec_datafusion_err!("a time is out of range"));
    plain.try_unary(shown)
}

/// The instant at which clocks show a time.
pub(super) fn instant(zone: Tz, micros: i64) -> Option<i64> {
    let local = naive(micros)?;
    let offset = match zone.offset_from_local_datetime(&local).latest() {
        Some(offset) => offset.fix(),
        // Clocks skip it: by the clock of the day before.
        None => zone.offset_from_utc_datetime(&local.checked_sub_signed(TimeDelta::days(1))?).fix(),
    };
    micros.checked_sub(i64::from(offset.local_minus_utc()) * 1_000_000)
}

/// Casts between instants and times without a zone go by what clocks show in the session's zone.
#[derive(Debug)]
pub(super) struct WallClocks;

impl AnalyzerRule for WallClocks {
    fn name(&self) -> &str {
        "wall_clocks"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        if config.execution.time_zone.is_none() {
            return Ok(plan);
        }
        rewrite_expressions(plan, |mut expr, schema| {
            let (value, to) = match &mut expr {
                Expr::Cast(cast) => (&mut cast.expr, cast.field.data_type()),
                Expr::TryCast(cast) => (&mut cast.expr, cast.field.data_type()),
                _ => return Ok(Transformed::no(expr)),
            };
            let Ok(from) = value.get_type(schema) else { return Ok(Transformed::no(expr)) };
            let zone = match (&from, to) {
                (DataType::Timestamp(_, Some(zone)), DataType::Timestamp(_, None))
                | (DataType::Timestamp(_, None) | DataType::Date32, DataType::Timestamp(_, Some(zone)))
                    if !is_utc(zone) =>
                {
                    zone.clone()
                }
                _ => return Ok(Transformed::no(expr)),
            };
            let time = std::mem::take(&mut **value);
            let time = if from == DataType::Date32 { logical_cast(time, moment(None)) } else { time };
            let told = AtTimeZone::of(Some(&zone));
            **value = ScalarUDF::from(told).call(vec![lit(&*zone), time]);
            Ok(Transformed::yes(expr))
        })
    }
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
