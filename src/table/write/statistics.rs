//! What does the log say of a new file's values?
//!
//! Delta's per-file statistics: `numRecords`, `minValues`, `maxValues`, `nullCount`. A bound that
//! JSON cannot carry exactly is widened, or left out; no bound is always right, a wrong one hides rows.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use chrono::{DateTime, Datelike};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::file::metadata::ParquetMetaData;
use serde_json::Value;

use crate::table::TableError;

/// Columns beyond this many have no statistics, as is Delta's default.
const COLUMNS: usize = 32;

/// The statistics of a file, from its own footer.
pub(in crate::table) fn statistics_json(
    file: &ParquetMetaData,
    schema: &SchemaRef,
) -> Result<String, TableError> {
    let (mut min, mut max, mut nulls) = (Vec::new(), Vec::new(), Vec::new());
    for field in schema.fields().iter().take(COLUMNS).filter(|field| !field.data_type().is_nested()) {
        let columns = bounds(file, schema, field).map_err(DataFusionError::from)?;
        let (mins, maxes, null_count) = columns;
        let least = fold(&mins, std::cmp::Ordering::Less).and_then(|value| bound(&value, Side::Min));
        let most = fold(&maxes, std::cmp::Ordering::Greater).and_then(|value| bound(&value, Side::Max));
        if let (Some(least), Some(most)) = (least, most) {
            min.push((field.name(), least));
            max.push((field.name(), most));
        }
        if let Some(count) = null_count {
            nulls.push((field.name(), count.to_string()));
        }
    }
    let rows = file.file_metadata().num_rows();
    let (min, max, nulls) = (object(&min), object(&max), object(&nulls));
    Ok(format!(r#"{{"numRecords":{rows},"minValues":{min},"maxValues":{max},"nullCount":{nulls}}}"#))
}

/// A JSON object of texts that are JSON already. Decimals have more digits than a JSON library keeps.
fn object(entries: &[(&String, String)]) -> String {
    let entries = entries.iter().map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())));
    format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
}

type Bounds = (ArrayRef, ArrayRef, Option<u64>);

/// Least and greatest values of a column, one each per row group, and its nulls.
fn bounds(file: &ParquetMetaData, schema: &SchemaRef, field: &Field) -> parquet::errors::Result<Bounds> {
    let converter = StatisticsConverter::try_new(field.name(), schema, file.file_metadata().schema_descr())?;
    let groups = file.row_groups();
    let nulls = converter.row_group_null_counts(groups.iter())?;
    let counted = (nulls.null_count() == 0).then(|| nulls.iter().flatten().sum());
    Ok((converter.row_group_mins(groups.iter())?, converter.row_group_maxes(groups.iter())?, counted))
}

/// The outermost of the row groups' bounds; nothing if one is not known. Groups of nulls have none.
fn fold(values: &ArrayRef, outer: std::cmp::Ordering) -> Option<ScalarValue> {
    let mut folded: Option<ScalarValue> = None;
    for at in 0..values.len() {
        let value = ScalarValue::try_from_array(values, at).ok()?;
        if value.is_null() {
            return None;
        }
        folded = match folded {
            Some(so_far) if value.partial_cmp(&so_far)? != outer => Some(so_far),
            _ => Some(value),
        };
    }
    folded
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Min,
    Max,
}

/// A bound as the Delta protocol writes it, in JSON, never inside the true one.
///
/// Every type that can have bounds has them: some readers skip a file that has none for a column.
fn bound(value: &ScalarValue, side: Side) -> Option<String> {
    match value.data_type() {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            match value.cast_to(&DataType::Int64).ok()? {
                ScalarValue::Int64(Some(number)) => Some(number.to_string()),
                _ => None,
            }
        }
        DataType::Boolean => match value {
            ScalarValue::Boolean(Some(value)) => Some(value.to_string()),
            _ => None,
        },
        DataType::Float32 | DataType::Float64 => match value.cast_to(&DataType::Float64).ok()? {
            ScalarValue::Float64(Some(number)) if number.is_finite() => Some(Value::from(number).to_string()),
            _ => None,
        },
        DataType::Decimal128(..) => match value.cast_to(&DataType::Utf8).ok()? {
            ScalarValue::Utf8(Some(digits)) => Some(digits),
            _ => None,
        },
        DataType::Utf8 => match value {
            ScalarValue::Utf8(Some(text)) => Some(Value::from(text.as_str()).to_string()),
            _ => None,
        },
        DataType::Date32 => match value.cast_to(&DataType::Utf8).ok()? {
            ScalarValue::Utf8(Some(date)) => Some(Value::from(date).to_string()),
            _ => None,
        },
        DataType::Timestamp(TimeUnit::Microsecond, zone) => match value {
            ScalarValue::TimestampMicrosecond(Some(micros), _) => instant(*micros, zone.is_some(), side),
            _ => None,
        },
        _ => None,
    }
}

/// Milliseconds are what the protocol has; a greatest value is rounded up to them, unless that
/// would leave the years that can be written: then it keeps its microseconds.
fn instant(micros: i64, zoned: bool, side: Side) -> Option<String> {
    let up = i64::from(side == Side::Max && micros.rem_euclid(1000) != 0);
    let millis = micros.div_euclid(1000).checked_add(up)?;
    let rounded = DateTime::from_timestamp_millis(millis)?;
    let text = match rounded.year() {
        0..=9999 => rounded.format("%Y-%m-%dT%H:%M:%S%.3f").to_string(),
        _ => DateTime::from_timestamp_micros(micros)?.format("%Y-%m-%dT%H:%M:%S%.6f").to_string(),
    };
    Some(Value::from(if zoned { format!("{text}Z") } else { text }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_never_inside_the_true_ones() {
        let micros = |micros| ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()));
        let least = |value: &ScalarValue| bound(value, Side::Min).unwrap_or_default();
        let most = |value: &ScalarValue| bound(value, Side::Max).unwrap_or_default();
        assert_eq!(least(&micros(1_500)), "\"1970-01-01T00:00:00.001Z\"");
        assert_eq!(most(&micros(1_500)), "\"1970-01-01T00:00:00.002Z\"");
        assert_eq!(least(&micros(-1_500)), "\"1969-12-31T23:59:59.998Z\"");
        assert_eq!(most(&micros(2_000)), "\"1970-01-01T00:00:00.002Z\"");
        assert_eq!(most(&micros(253_402_300_799_999_999)), "\"9999-12-31T23:59:59.999999Z\"");
        assert_eq!(least(&ScalarValue::Decimal128(Some(1234), 10, 2)), "12.34");
        assert_eq!(
            most(&ScalarValue::Decimal128(Some(900_719_925_474_099_301), 38, 2)),
            "9007199254740993.01"
        );
        assert_eq!(most(&ScalarValue::Float64(Some(f64::INFINITY))), "");
        assert_eq!(least(&ScalarValue::Date32(Some(1))), "\"1970-01-02\"");
        assert_eq!(least(&ScalarValue::Int32(Some(-7))), "-7");
        assert_eq!(most(&ScalarValue::Boolean(Some(true))), "true");
        assert_eq!(least(&ScalarValue::Utf8(Some("a\"b".into()))), r#""a\"b""#);
    }
}
