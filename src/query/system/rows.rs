//! How do facts become rows?

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, Utc};
use datafusion::error::{DataFusionError, Result};
use serde_json::Value;

/// A column's name, and what its values are.
pub(super) type Column = (&'static str, Kind);

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Whole,
    Double,
    Flag,
    /// A point in time, UTC.
    Instant,
}

/// The values of a row, in the order of the columns. What is not of its column's kind is null.
pub(super) type Row = Vec<Value>;

/// A point in time as a value.
pub(super) fn instant(at: DateTime<Utc>) -> Value {
    at.timestamp_micros().into()
}

/// The columns as the engine sees them.
pub(super) fn schema(columns: &[Column]) -> SchemaRef {
    let data_type = |kind| match kind {
        Kind::Text => DataType::Utf8,
        Kind::Whole => DataType::Int64,
        Kind::Double => DataType::Float64,
        Kind::Flag => DataType::Boolean,
        Kind::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    };
    let fields = columns.iter().map(|(name, kind)| Field::new(*name, data_type(*kind), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The rows under those columns.
pub(super) fn batch(schema: &SchemaRef, columns: &[Column], rows: &[Row]) -> Result<RecordBatch> {
    let column = |(at, (_, kind)): (usize, &Column)| -> ArrayRef {
        let cells = rows.iter().map(|row| row.get(at).unwrap_or(&Value::Null));
        match kind {
            Kind::Text => Arc::new(cells.map(text).collect::<StringArray>()),
            Kind::Whole => Arc::new(cells.map(Value::as_i64).collect::<Int64Array>()),
            Kind::Double => Arc::new(cells.map(Value::as_f64).collect::<Float64Array>()),
            Kind::Flag => Arc::new(cells.map(Value::as_bool).collect::<BooleanArray>()),
            Kind::Instant => {
                let micros: TimestampMicrosecondArray = cells.map(Value::as_i64).collect();
                Arc::new(micros.with_timezone("UTC"))
            }
        }
    };
    let columns = columns.iter().enumerate().map(column).collect();
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(DataFusionError::from)
}

/// A text as it is; anything else as JSON.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
