//! Which columns does a client get?
//!
//! [`wire_schema`] is the only answer, for a promise (prepared statements, FlightInfo, GetSchema, GetTables) as for the rows
//! themselves, which [`fit`] casts to it. Many drivers cannot read views, dictionaries and large
//! texts; unless a client asks for them, it gets plain types. Every column may be null: what a plan says of that and what
//! the rows are differ.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;

use crate::base::sql_type_name;
use crate::lakehouse::DESCRIPTION;

/// Which types a client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Wire {
    /// Those that every driver reads.
    #[default]
    Plain,
    /// Those of the engine, as far as the protocol carries them.
    Native,
}

/// Bytes of rows that a message carries, about. Some clients take no more than 4 MiB.
const MESSAGE_BYTES: usize = 1 << 20;

/// The columns that a client gets of rows with the columns of `schema`.
pub(super) fn wire_schema(schema: &Schema, wire: Wire) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let told = wire_field(field, wire);
        let metadata = metadata(field, told.data_type());
        told.with_metadata(metadata)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn wire_field(field: &Field, wire: Wire) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.retain(|key, _| key.starts_with("ARROW:extension:"));
    Field::new(field.name(), wire_type(field.data_type(), wire), true).with_metadata(metadata)
}

fn wire_type(data_type: &DataType, wire: Wire) -> DataType {
    let item = |field: &FieldRef| Arc::new(wire_field(field, wire));
    match (data_type, wire) {
        // What the encoder would change behind our back, it does not get to see.
        (DataType::Dictionary(_, values), _) => wire_type(values, wire),
        (DataType::RunEndEncoded(_, values), _) => wire_type(values.data_type(), wire),
        (
            DataType::List(field)
            | DataType::LargeList(field)
            | DataType::ListView(field)
            | DataType::LargeListView(field),
            _,
        ) => DataType::List(item(field)),
        (DataType::FixedSizeList(field, size), Wire::Native) => DataType::FixedSizeList(item(field), *size),
        (DataType::FixedSizeList(field, _), Wire::Plain) => DataType::List(item(field)),
        (DataType::Struct(fields), _) => DataType::Struct(fields.iter().map(item).collect::<Fields>()),
        (DataType::Map(entries, sorted), _) => DataType::Map(wire_entries(entries, wire), *sorted),
        (other, Wire::Native) => other.clone(),
        (DataType::Utf8View | DataType::LargeUtf8 | DataType::Null, Wire::Plain) => DataType::Utf8,
        (DataType::BinaryView | DataType::LargeBinary, Wire::Plain) => DataType::Binary,
        (DataType::Float16, Wire::Plain) => DataType::Float32,
        (DataType::Decimal32(p, s) | DataType::Decimal64(p, s), Wire::Plain) => DataType::Decimal128(*p, *s),
        (other, Wire::Plain) => other.clone(),
    }
}

/// A map's keys are never null, nor are its entries.
fn wire_entries(entries: &FieldRef, wire: Wire) -> FieldRef {
    let DataType::Struct(fields) = entries.data_type() else { return Arc::clone(entries) };
    let fields = fields
        .iter()
        .enumerate()
        .map(|(at, field)| Arc::new(wire_field(field, wire).with_nullable(at > 0 && field.is_nullable())));
    Arc::new(Field::new(entries.name(), DataType::Struct(fields.collect()), false))
}

/// What drivers show of a column besides its name and its Arrow type.
fn metadata(field: &Field, told: &DataType) -> HashMap<String, String> {
    let mut metadata = field.metadata().clone();
    let description = metadata.remove(DESCRIPTION);
    metadata.retain(|key, _| key.starts_with("ARROW:extension:"));
    let mut tell = |key: &str, value: String| metadata.insert(format!("ARROW:FLIGHT:SQL:{key}"), value);
    tell("TYPE_NAME", type_name(told));
    tell("IS_AUTO_INCREMENT", "0".to_owned());
    tell("IS_CASE_SENSITIVE", if told.is_string() { "1" } else { "0" }.to_owned());
    tell("IS_SEARCHABLE", "1".to_owned());
    if let DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) = told {
        tell("PRECISION", precision.to_string());
        tell("SCALE", scale.to_string());
    }
    if let Some(description) = description {
        tell("REMARKS", description);
    }
    metadata
}

/// A type's name without its measures, as the list of types has it: `DECIMAL`, `VARCHAR`.
pub(super) fn type_name(data_type: &DataType) -> String {
    let name = sql_type_name(data_type).to_uppercase();
    if name.ends_with("[]") {
        return "ARRAY".to_owned();
    }
    name.split_once('(').map_or(name.clone(), |(name, _)| name.to_owned())
}

/// The rows with the columns that were promised.
///
/// # Errors
/// A column is of a type that cannot be made the promised one: what was planned is not what came.
pub(super) fn fit(batch: &RecordBatch, promised: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.num_columns() != promised.fields().len() {
        let message = format!(
            "{} columns were promised, and the rows have {}",
            promised.fields().len(),
            batch.num_columns()
        );
        return Err(ArrowError::SchemaError(message));
    }
    let columns = batch.columns().iter().zip(promised.fields()).map(|(column, field)| {
        let fitting = if column.data_type() == field.data_type() {
            Arc::clone(column)
        } else {
            cast(column, field.data_type())?
        };
        Ok(compact(fitting))
    });
    let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(promised), columns, &options)
}

/// A view without the texts that it does not show, which would be sent along with it.
fn compact(column: ArrayRef) -> ArrayRef {
    use arrow::array::AsArray;
    match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        _ => column,
    }
}

/// The rows in pieces that make messages of about a mebibyte each; at least one row, however large.
pub(super) fn pieces(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> + use<> {
    let bytes: usize =
        batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum();
    let rows = batch.num_rows();
    let at_once = match bytes.div_ceil(MESSAGE_BYTES) {
        0 | 1 => rows.max(1),
        messages => rows.div_ceil(messages).max(1),
    };
    let batch = batch.clone();
    (0..rows).step_by(at_once).map(move |start| batch.slice(start, at_once.min(rows - start)))
}

#[cfg(test)]
mod tests {
    use arrow::array::{DictionaryArray, Int32Array, StringArray, StringViewArray, types::Int32Type};

    use super::*;

    fn of(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn plain_types_are_sent_and_promised_alike() {
        let words: DictionaryArray<Int32Type> = vec!["a", "b", "a"].into_iter().collect();
        let batch = of(vec![
            ("view", Arc::new(StringViewArray::from(vec![Some("x"), None, Some("z")]))),
            ("words", Arc::new(words)),
            ("number", Arc::new(Int32Array::from(vec![1, 2, 3]))),
        ]);
        let promised = wire_schema(&batch.schema(), Wire::Plain);
        let types: Vec<_> = promised.fields().iter().map(|field| field.data_type().clone()).collect();
        assert_eq!(types, [DataType::Utf8, DataType::Utf8, DataType::Int32]);
        assert!(promised.fields().iter().all(|field| field.is_nullable()));
        let sent = fit(&batch, &promised).unwrap();
        assert_eq!(sent.schema(), promised);
        assert_eq!(sent.column(1).as_any().downcast_ref::<StringArray>().unwrap().value(2), "a");

        let native = wire_schema(&batch.schema(), Wire::Native);
        assert_eq!(*native.field(0).data_type(), DataType::Utf8View);
        assert_eq!(*native.field(1).data_type(), DataType::Utf8, "no driver keeps dictionaries apart");
        assert_eq!(wire_schema(&native, Wire::Native), native);
    }

    #[test]
    fn nested_types_are_plain_all_the_way_down() {
        let inner = DataType::Struct(vec![Field::new("a", DataType::LargeUtf8, false)].into());
        let list = DataType::LargeList(Arc::new(Field::new("item", inner, false)));
        let told = wire_type(&list, Wire::Plain);
        let plain = DataType::Struct(vec![Field::new("a", DataType::Utf8, true)].into());
        assert_eq!(told, DataType::List(Arc::new(Field::new("item", plain, true))));
    }

    #[test]
    fn a_large_batch_goes_in_pieces_and_an_empty_one_not_at_all() {
        let text = "x".repeat(1000);
        let batch = of(vec![("t", Arc::new(StringArray::from(vec![text.as_str(); 5000])) as ArrayRef)]);
        let sizes: Vec<usize> = pieces(&batch).map(|piece| piece.num_rows()).collect();
        assert_eq!(sizes, [1000; 5]);
        assert_eq!(pieces(&batch.slice(0, 0)).count(), 0);
        assert_eq!(pieces(&batch.slice(10, 3)).map(|piece| piece.num_rows()).collect::<Vec<_>>(), [3]);
    }
}
