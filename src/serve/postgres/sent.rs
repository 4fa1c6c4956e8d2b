//! As what are columns sent?
//!
//! As types that PostgreSQL has. Records, maps and lists of them are JSON there.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{FieldFormat, FieldInfo};
use pgwire::error::PgWireResult;

/// The type that a column is sent as: one that PostgreSQL has.
fn sent_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Null => DataType::Utf8,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Decimal256(..) | DataType::Duration(_) => DataType::Utf8,
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

/// What marks a column whose texts are JSON.
const JSON: &str = "elt.json";

/// The columns that are sent for these.
pub(super) fn sent_columns(schema: &Schema) -> Schema {
    let field = |field: &arrow::datatypes::FieldRef| {
        let sent = Field::new(field.name(), sent_type(field.data_type()), true);
        match is_json(field.data_type()) {
            true => sent.with_metadata([(JSON.to_owned(), String::new())].into()),
            false => sent,
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
        DataType::Decimal128(precision, scale) => {
            told.with_type_modifier(((i32::from(*precision) << 16) | (i32::from(*scale) & 0xffff)) + 4)
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
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        match is_json(column.data_type()) {
            true => json(column),
            false => cast(column, field.data_type()),
        }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
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
    use arrow::array::AsArray;

    use super::*;

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
