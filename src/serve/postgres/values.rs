//! Which values does a client give to a statement, and which rows does it get?

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime};
use pgwire::api::Type;
use pgwire::api::portal::{Format, Portal};
use pgwire::error::PgWireResult;
use rust_decimal::Decimal;

use super::mistakes::wrong;

/// The values of a portal, as one row. `inferred` are the types that the statement gives its places.
pub(super) fn given<S: Clone>(portal: &Portal<S>, inferred: &Schema) -> PgWireResult<Option<RecordBatch>> {
    let count = portal.parameter_len();
    if count == 0 {
        return Ok(None);
    }
    if let Format::Individual(formats) = &portal.parameter_format
        && formats.len() < count
    {
        return Err(wrong("08P01", format!("{count} values have {} formats", formats.len())));
    }
    let mut fields = Vec::with_capacity(count);
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(count);
    for at in 0..count {
        let wanted = inferred.fields().get(at).map(|field| field.data_type().clone());
        let told = portal.statement.parameter_types.get(at).cloned().flatten();
        let told = told.filter(|told| *told != Type::UNKNOWN);
        let meant = match (&told, &wanted) {
            (Some(told), _) => told.clone(),
            (None, Some(wanted)) => arrow_pg::datatypes::into_pg_type(wanted).unwrap_or(Type::TEXT),
            (None, None) => Type::TEXT,
        };
        let value = value(portal, at, &meant)?;
        let value = match wanted {
            // A type that the client does not tell is the one that the statement gives.
            Some(wanted) if told.is_none() && *value.data_type() != wanted => cast(&value, &wanted)
                .map_err(|error| wrong("22P02", format!("the value {} does not fit: {error}", at + 1)))?,
            _ => value,
        };
        fields.push(Field::new(format!("p{at}"), value.data_type().clone(), true));
        columns.push(value);
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
    batch.map(Some).map_err(|error| wrong("22P02", error.to_string()))
}

fn value<S: Clone>(portal: &Portal<S>, at: usize, meant: &Type) -> PgWireResult<ArrayRef> {
    let is_null = portal.parameters.get(at).is_none_or(Option::is_none);
    if is_null {
        let data_type = match *meant {
            Type::BOOL => DataType::Boolean,
            Type::INT2 => DataType::Int16,
            Type::INT4 => DataType::Int32,
            Type::INT8 => DataType::Int64,
            Type::FLOAT4 => DataType::Float32,
            Type::FLOAT8 => DataType::Float64,
            Type::DATE => DataType::Date32,
            _ => DataType::Utf8,
        };
        return Ok(new_null_array(&data_type, 1));
    }
    let micros = |at: NaiveDateTime| at.and_utc().timestamp_micros();
    Ok(match *meant {
        Type::BOOL => Arc::new(BooleanArray::from(vec![portal.parameter::<bool>(at, meant)?])),
        Type::INT2 => Arc::new(Int16Array::from(vec![portal.parameter::<i16>(at, meant)?])),
        Type::INT4 => Arc::new(Int32Array::from(vec![portal.parameter::<i32>(at, meant)?])),
        Type::INT8 => Arc::new(Int64Array::from(vec![portal.parameter::<i64>(at, meant)?])),
        Type::FLOAT4 => Arc::new(Float32Array::from(vec![portal.parameter::<f32>(at, meant)?])),
        Type::FLOAT8 => Arc::new(Float64Array::from(vec![portal.parameter::<f64>(at, meant)?])),
        Type::BYTEA => {
            let bytes = portal.parameter::<Vec<u8>>(at, meant)?;
            Arc::new(BinaryArray::from(vec![bytes.as_deref()]))
        }
        Type::DATE => {
            let day = portal.parameter::<NaiveDate>(at, meant)?;
            let since = |day: NaiveDate| (day - NaiveDate::default()).num_days();
            let days = day.map(|day| i32::try_from(since(day)).unwrap_or_default());
            Arc::new(Date32Array::from(vec![days]))
        }
        Type::TIMESTAMP => {
            let at = portal.parameter::<NaiveDateTime>(at, meant)?;
            Arc::new(TimestampMicrosecondArray::from(vec![at.map(micros)]))
        }
        Type::TIMESTAMPTZ => {
            let at = portal.parameter::<DateTime<FixedOffset>>(at, meant)?;
            let at = TimestampMicrosecondArray::from(vec![at.map(|at| at.timestamp_micros())]);
            Arc::new(at.with_timezone("UTC"))
        }
        Type::NUMERIC => {
            let number = portal.parameter::<Decimal>(at, meant)?.unwrap_or_default();
            let scale = i8::try_from(number.scale()).unwrap_or(0);
            let text: ArrayRef = Arc::new(StringArray::from(vec![number.to_string()]));
            cast(&text, &DataType::Decimal128(38, scale))
                .map_err(|error| wrong("22003", error.to_string()))?
        }
        // Types without a form of their own here come as they are written.
        _ => {
            let bytes = portal.parameters.get(at).and_then(Option::as_ref);
            let text = bytes.map(|bytes| String::from_utf8(bytes.to_vec()));
            let text = text.transpose().map_err(|_| {
                let what = format!("a value of the type {} in binary form is not supported", meant.name());
                wrong("0A000", what)
            })?;
            Arc::new(StringArray::from(vec![text]))
        }
    })
}

/// The type that a column is sent as: one that PostgreSQL has.
pub(super) fn sent_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Null => DataType::Utf8,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Decimal256(..) | DataType::Map(..) | DataType::Struct(_) | DataType::Duration(_) => {
            DataType::Utf8
        }
        DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Time64(_) | DataType::Time32(_) => {
            DataType::Time64(arrow::datatypes::TimeUnit::Microsecond)
        }
        DataType::Timestamp(_, zone) => {
            DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, zone.clone())
        }
        DataType::List(item)
            if item.data_type().is_nested() || matches!(item.data_type(), DataType::Decimal256(..)) =>
        {
            DataType::Utf8
        }
        other => other.clone(),
    }
}

/// The columns that are sent for these.
pub(super) fn sent_columns(schema: &Schema) -> Schema {
    let field =
        |field: &arrow::datatypes::FieldRef| Field::new(field.name(), sent_type(field.data_type()), true);
    Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>())
}

/// The rows as they are sent.
pub(super) fn sent_rows(
    batch: &RecordBatch,
    schema: &Arc<Schema>,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        if column.data_type().is_nested() && *field.data_type() == DataType::Utf8 {
            let options = FormatOptions::new();
            let shown = ArrayFormatter::try_new(column, &options)?;
            let texts = (0..column.len()).map(|row| {
                (!arrow::array::Array::is_null(column, row)).then(|| shown.value(row).to_string())
            });
            return Ok(Arc::new(texts.collect::<StringArray>()) as ArrayRef);
        }
        cast(column, field.data_type())
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}
