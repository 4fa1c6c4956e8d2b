//! What does the log say of a new file's values?
//!
//! Delta's per-file statistics: `numRecords`, `minValues`, `maxValues`, `nullCount`. A bound that
//! JSON cannot carry exactly is widened, or left out; no bound is always right, a wrong one hides rows.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use chrono::DateTime;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::file::metadata::ParquetMetaData;
use serde_json::{Map, Value, json};

use crate::table::TableError;

/// Columns beyond this many have no statistics, as is Delta's default.
const COLUMNS: usize = 32;

/// The statistics of a file, from its own footer.
pub(super) fn statistics_json(file: &ParquetMetaData, schema: &SchemaRef) -> Result<String, TableError> {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for field in schema.fields().iter().take(COLUMNS).filter(|field| !field.data_type().is_nested()) {
        let columns = bounds(file, schema, field).map_err(DataFusionError::from)?;
        let (mins, maxes, null_count) = columns;
        let least = fold(&mins, std::cmp::Ordering::Less).and_then(|value| bound(&value, Side::Min));
        let most = fold(&maxes, std::cmp::Ordering::Greater).and_then(|value| bound(&value, Side::Max));
        if let (Some(least), Some(most)) = (least, most) {
            min.insert(field.name().clone(), least);
            max.insert(field.name().clone(), most);
        }
        if let Some(count) = null_count {
            nulls.insert(field.name().clone(), count.into());
        }
    }
    let rows = file.file_metadata().num_rows();
    Ok(json!({"numRecords": rows, "minValues": min, "maxValues": max, "nullCount": nulls}).to_string())
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

/// A bound as the Delta protocol writes it, never inside the true one.
fn bound(value: &ScalarValue, side: Side) -> Option<Value> {
    match value.data_type() {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            match value.cast_to(&DataType::Int64).ok()? {
                ScalarValue::Int64(Some(number)) => Some(number.into()),
                _ => None,
            }
        }
        DataType::Float32 | DataType::Float64 => match value.cast_to(&DataType::Float64).ok()? {
            ScalarValue::Float64(Some(number)) if number.is_finite() => Some(number.into()),
            _ => None,
        },
        DataType::Decimal128(precision, _) if precision <= 15 => {
            serde_json::from_str(&value.to_string()).ok().filter(Value::is_number)
        }
        DataType::Utf8 => match value {
            ScalarValue::Utf8(Some(text)) => Some(text.clone().into()),
            _ => None,
        },
        DataType::Date32 => match value.cast_to(&DataType::Utf8).ok()? {
            ScalarValue::Utf8(Some(date)) => Some(date.into()),
            _ => None,
        },
        DataType::Timestamp(TimeUnit::Microsecond, zone) => match value {
            ScalarValue::TimestampMicrosecond(Some(micros), _) => instant(*micros, zone.is_some(), side),
            _ => None,
        },
        _ => None,
    }
}

/// Milliseconds are what the protocol has; a greatest value is rounded up to them.
fn instant(micros: i64, zoned: bool, side: Side) -> Option<Value> {
    let up = i64::from(side == Side::Max && micros.rem_euclid(1000) != 0);
    let millis = micros.div_euclid(1000).checked_add(up)?;
    let text = DateTime::from_timestamp_millis(millis)?.format("%Y-%m-%dT%H:%M:%S%.3f").to_string();
    Some(if zoned { format!("{text}Z") } else { text }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_never_inside_the_true_ones() {
        let zone = || Some("UTC".into());
        let micros = |micros| ScalarValue::TimestampMicrosecond(Some(micros), zone());
        assert_eq!(bound(&micros(1_500), Side::Min), Some("1970-01-01T00:00:00.001Z".into()));
        assert_eq!(bound(&micros(1_500), Side::Max), Some("1970-01-01T00:00:00.002Z".into()));
        assert_eq!(bound(&micros(-1_500), Side::Min), Some("1969-12-31T23:59:59.998Z".into()));
        assert_eq!(bound(&micros(2_000), Side::Max), Some("1970-01-01T00:00:00.002Z".into()));
        assert_eq!(bound(&ScalarValue::Decimal128(Some(1234), 10, 2), Side::Min), Some(json!(12.34)));
        assert_eq!(bound(&ScalarValue::Decimal128(Some(1234), 38, 2), Side::Min), None);
        assert_eq!(bound(&ScalarValue::Float64(Some(f64::INFINITY)), Side::Max), None);
        assert_eq!(bound(&ScalarValue::Date32(Some(1)), Side::Min), Some("1970-01-02".into()));
        assert_eq!(bound(&ScalarValue::Int32(Some(-7)), Side::Min), Some(json!(-7)));
    }
}
