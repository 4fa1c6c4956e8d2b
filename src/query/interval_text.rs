//! How is an interval written?
//!
//! `1 year 3 months 4 days 05:06:07.5`, as DuckDB has it, which Postgres reads too. A difference of two instants is days and
//! time.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, DurationNanosecondType, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};

const DAY: i64 = 24 * 60 * 60 * 1_000_000_000;

/// Intervals and durations as texts; nothing for other types, or if one is too long to be told.
pub fn interval_texts(values: &ArrayRef) -> Option<StringArray> {
    match values.data_type() {
        DataType::Interval(_) => {
            let values = cast(values, &DataType::Interval(IntervalUnit::MonthDayNano)).ok()?;
            let values = values.as_primitive::<IntervalMonthDayNanoType>().iter();
            Some(
                values
                    .map(|value| value.map(|one| text(one.months, i64::from(one.days), one.nanoseconds)))
                    .collect(),
            )
        }
        DataType::Duration(_) => {
            let nanos = cast(values, &DataType::Duration(TimeUnit::Nanosecond)).ok()?;
            if nanos.null_count() > values.null_count() {
                return None;
            }
            let nanos = nanos.as_primitive::<DurationNanosecondType>().iter();
            Some(nanos.map(|nanos| nanos.map(|nanos| text(0, nanos / DAY, nanos % DAY))).collect())
        }
        _ => None,
    }
}

fn text(months: i32, days: i64, nanos: i64) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (count, name) in [(i64::from(months / 12), "year"), (i64::from(months % 12), "month"), (days, "day")]
    {
        if count != 0 {
            parts.push(format!("{count} {name}{}", if count.abs() == 1 { "" } else { "s" }));
        }
    }
    if nanos != 0 || parts.is_empty() {
        let (sign, nanos) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
        let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        let fraction = format!(".{rest:09}");
        let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        parts.push(format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}"));
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_written_as_duckdb_has_them() {
        let second = 1_000_000_000;
        for (months, days, nanos, told) in [
            (0, 1, 0, "1 day"),
            (15, 4, (5 * 3600 + 6 * 60 + 7) * second + second / 2, "1 year 3 months 4 days 05:06:07.5"),
            (0, 60, 10 * 3600 * second, "60 days 10:00:00"),
            (-13, -1, -second, "-1 year -1 month -1 day -00:00:01"),
            (0, 0, 0, "00:00:00"),
            (0, 0, 100 * 3600 * second + 1_000, "100:00:00.000001"),
        ] {
            assert_eq!(text(months, days, nanos), told);
        }
    }
}
