//! As what are columns sent?
//!
//! As types that PostgreSQL has. Records, maps and lists of them are JSON there.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{FieldFormat, FieldInfo};
use pgwire::error::PgWireResult;

use super::numbers::number_bytes;

/// The type that a column is sent as: one that PostgreSQL has.
fn sent_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Null => DataType::Utf8,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Duration(_) => DataType::Utf8,
        decimal if numeric(decimal).is_some() => DataType::Utf8,
        nested if is_json(nested) => DataType::Utf8,
        DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Time64(_) | DataType::Time32(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        other => other.clone(),
    }
}

/// Whether values of a type are sent as JSON: records, maps, and lists of what lists of PostgreSQL do not hold.
fn is_json(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) | DataType::Struct(_) => true,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            item.data_type().is_nested() || matches!(item.data_type(), DataType::Decimal256(..))
        }
        _ => false,
    }
}

/// The digits, all of them and those after the point, of a decimal that is sent as [`NUMERIC`] says: one that does not fit
/// the 96 bits that the encoder has for it.
fn numeric(data_type: &DataType) -> Option<(u8, i8)> {
    match *data_type {
        DataType::Decimal128(precision, scale) if precision <= 28 && (0..=28).contains(&scale) => None,
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            Some((precision, scale))
        }
        _ => None,
    }
}

/// What marks a column whose texts are numbers, with the modifier of its type.
const NUMERIC: &str = "elt.numeric";

/// PostgreSQL's modifier of `numeric(precision, scale)`.
fn modifier(precision: u8, scale: i8) -> i32 {
    ((i32::from(precision) << 16) | (i32::from(scale) & 0x7ff)) + 4
}

/// What marks a column whose texts are JSON.
const JSON: &str = "elt.json";

/// The columns that are sent for these.
pub(super) fn sent_columns(schema: &Schema) -> Schema {
    let field = |field: &arrow::datatypes::FieldRef| {
        let sent = Field::new(field.name(), sent_type(field.data_type()), true);
        match numeric(field.data_type()) {
            Some((precision, scale)) => {
                let told = modifier(precision, scale).to_string();
                sent.with_metadata([(NUMERIC.to_owned(), told)].into())
            }
            None if is_json(field.data_type()) => {
                sent.with_metadata([(JSON.to_owned(), String::new())].into())
            }
            None => sent,
        }
    };
    Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>())
}

/// The formats that a client wants, one for each column, whatever it sent.
pub(super) fn whole(format: &Format, columns: usize) -> Format {
    match format {
        Format::Individual(formats) if formats.len() < columns => {
            let mut formats = formats.clone();
            formats.resize(columns, FieldFormat::Text.value());
            Format::Individual(formats)
        }
        Format::Individual(formats) => Format::Individual(formats.clone()),
        Format::UnifiedBinary => Format::UnifiedBinary,
        Format::UnifiedText => Format::UnifiedText,
    }
}

/// How columns are told to a client.
pub(super) fn told_columns(schema: &Schema, format: &Format) -> PgWireResult<Vec<FieldInfo>> {
    let told = arrow_pg::datatypes::arrow_schema_to_pg_fields(schema, format, None)?;
    let exact = told.into_iter().zip(schema.fields()).map(|(told, field)| match field.data_type() {
        DataType::Decimal128(precision, scale) => told.with_type_modifier(modifier(*precision, *scale)),
        DataType::Utf8 if field.metadata().contains_key(NUMERIC) => {
            let told = FieldInfo::new(field.name().clone(), None, None, Type::NUMERIC, told.format());
            told.with_type_modifier(field.metadata()[NUMERIC].parse().unwrap_or(-1))
        }
        DataType::Utf8 if field.metadata().contains_key(JSON) => {
            FieldInfo::new(field.name().clone(), None, None, Type::JSON, told.format())
        }
        _ => told,
    });
    Ok(exact.collect())
}

/// The rows as they are sent.
pub(super) fn sent_rows(
    batch: &RecordBatch,
    schema: &Arc<Schema>,
    told: &[FieldInfo],
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields()).zip(told).map(|((column, field), told)| {
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        if numeric(column.data_type()).is_some() && told.format() == FieldFormat::Binary {
            let texts = cast(column, &DataType::Utf8)?;
            let bytes = texts.as_string::<i32>().iter().map(|text| text.map(number_bytes));
            return Ok(Arc::new(bytes.collect::<BinaryArray>()) as ArrayRef);
        }
        match is_json(column.data_type()) {
            true => json(column),
            false => cast(column, field.data_type()),
        }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let fields = schema.fields().iter().zip(&columns);
    let fields =
        fields.map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns, &options)
}

/// Records, maps and lists as JSON; as they are shown, if JSON has no form for them.
fn json(column: &ArrayRef) -> Result<ArrayRef, arrow::error::ArrowError> {
    let field = Field::new("v", column.data_type().clone(), true);
    let rows = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::clone(column)])?;
    let mut lines = Vec::new();
    let builder = arrow::json::WriterBuilder::new().with_explicit_nulls(true);
    let mut writer = builder.build::<_, arrow::json::writer::LineDelimited>(&mut lines);
    if writer.write(&rows).and_then(|()| writer.finish()).is_ok() {
        drop(writer);
        let text = String::from_utf8_lossy(&lines);
        let value = |line: &str| {
            line.strip_prefix("{\"v\":").and_then(|line| line.strip_suffix('}')).map(str::to_owned)
        };
        let texts = text.lines().enumerate().map(|(row, line)| value(line).filter(|_| column.is_valid(row)));
        let texts: StringArray = texts.collect();
        if texts.len() == column.len() {
            return Ok(Arc::new(texts));
        }
    }
    let options = FormatOptions::new();
    let shown = ArrayFormatter::try_new(column, &options)?;
    let text = |row: usize| {
        column.is_valid(row).then(|| serde_json::Value::from(shown.value(row).to_string()).to_string())
    };
    Ok(Arc::new((0..column.len()).map(text).collect::<StringArray>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_decimals_are_numbers_in_both_forms() {
        let value = -123_456_789_012_345_678_901_234_567_890_i128;
        let column = arrow::array::Decimal128Array::from(vec![Some(value), None]);
        let column: ArrayRef = Arc::new(column.with_precision_and_scale(38, 2).unwrap());
        let batch = RecordBatch::try_from_iter([("v", column)]).unwrap();
        let schema = Arc::new(sent_columns(&batch.schema()));
        for format in [Format::UnifiedText, Format::UnifiedBinary] {
            let told = told_columns(&schema, &format).unwrap();
            assert_eq!(told[0].datatype(), &Type::NUMERIC);
            let sent = sent_rows(&batch, &schema, &told).unwrap();
            let (column, exact) = (sent.column(0), "-1234567890123456789012345678.90");
            assert!(column.is_null(1));
            match format {
                Format::UnifiedText => assert_eq!(column.as_string::<i32>().value(0), exact),
                _ => {
                    let bytes = column.as_binary::<i32>().value(0);
                    assert_eq!(super::super::numbers::binary_number(bytes).as_deref(), Some(exact));
                }
            }
        }
    }

    #[test]
    fn what_is_nested_is_sent_as_json() {
        let items: ArrayRef = Arc::new(StringArray::from(vec!["it\"s"]));
        let column: ArrayRef = Arc::new(arrow::array::StructArray::from(vec![(
            Arc::new(Field::new("a", DataType::Utf8, true)),
            items,
        )]));
        assert_eq!(json(&column).unwrap().as_string::<i32>().value(0), r#"{"a":"it\"s"}"#);
    }
}
