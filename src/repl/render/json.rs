//! How are rows written as JSON?

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::writer::{JsonFormat, LineDelimited, Writer, WriterBuilder};

use super::Renderer;

/// One object a row, keys in the order of the columns. NULL is `null`; decimals are exact numbers.
pub(super) struct Json<F: JsonFormat> {
    writer: Writer<Vec<u8>, F>,
    /// The columns, with names that differ.
    schema: SchemaRef,
}

impl Json<Array> {
    /// All rows in one array, a row a line.
    pub(super) fn array(schema: &SchemaRef) -> Self {
        Self::new(schema)
    }
}

impl Json<LineDelimited> {
    /// A row a line, and nothing else.
    pub(super) fn lines(schema: &SchemaRef) -> Self {
        Self::new(schema)
    }
}

impl<F: JsonFormat> Json<F> {
    fn new(schema: &SchemaRef) -> Self {
        let writer = WriterBuilder::new().with_explicit_nulls(true).build(Vec::new());
        Self { writer, schema: with_names_that_differ(schema) }
    }

    fn take(&mut self, page: &mut String) {
        page.push_str(&String::from_utf8_lossy(self.writer.get_ref()));
        self.writer.get_mut().clear();
    }
}

impl<F: JsonFormat> Renderer for Json<F> {
    fn rows(&mut self, batch: &RecordBatch, page: &mut String) -> Result<(), ArrowError> {
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns = columns.map(|(column, field)| match column.data_type() == field.data_type() {
            true => Ok(Arc::clone(column)),
            false => cast(column, field.data_type()),
        });
        let renamed = RecordBatch::try_new(Arc::clone(&self.schema), columns.collect::<Result<_, _>>()?)?;
        self.writer.write(&renamed)?;
        self.take(page);
        Ok(())
    }

    fn end(&mut self, page: &mut String) {
        self.writer.finish().expect("writing to memory does not fail");
        self.take(page);
    }
}

/// `[{…},` and the other rows below it.
#[derive(Debug, Default)]
pub(super) struct Array;

impl JsonFormat for Array {
    fn start_stream<W: io::Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        Ok(writer.write_all(b"[")?)
    }

    fn start_row<W: io::Write>(&self, writer: &mut W, is_first_row: bool) -> Result<(), ArrowError> {
        Ok(writer.write_all(if is_first_row { b"" } else { b",\n " })?)
    }

    fn end_stream<W: io::Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        Ok(writer.write_all(b"]\n")?)
    }
}

/// An object with a key twice loses a value in most readers, so the second `id` becomes `id_1`.
fn with_names_that_differ(schema: &SchemaRef) -> SchemaRef {
    let mut taken: BTreeSet<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut seen = BTreeSet::new();
    let fields = schema.fields().iter().map(|field| {
        // Nullable, because a schema may promise more than its rows keep, and nothing here depends on it.
        let data_type = with_text_keys(field.data_type());
        let field = Field::clone(field).with_nullable(true).with_data_type(data_type);
        if seen.insert(field.name().clone()) {
            return field;
        }
        let numbered =
            (1..).map(|number| format!("{}_{number}", field.name())).find(|name| !taken.contains(name));
        let name = numbered.expect("there are more numbers than columns");
        taken.insert(name.clone());
        field.with_name(name)
    });
    let fields: Vec<Field> = fields.collect();
    Arc::new(Schema::new(fields))
}

/// A type whose maps have texts for keys, as JSON's objects do, and whose decimals have no zeros that are left out.
fn with_text_keys(data_type: &DataType) -> DataType {
    let inside =
        |field: &FieldRef| Arc::new(field.as_ref().clone().with_data_type(with_text_keys(field.data_type())));
    match data_type {
        DataType::Map(entries, sorted) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                let key = match fields[0].data_type() {
                    DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Arc::clone(&fields[0]),
                    _ => Arc::new(fields[0].as_ref().clone().with_data_type(DataType::Utf8)),
                };
                let fields = DataType::Struct(vec![key, inside(&fields[1])].into());
                DataType::Map(Arc::new(entries.as_ref().clone().with_data_type(fields)), *sorted)
            }
            _ => data_type.clone(),
        },
        DataType::Decimal128(_, ..0) => DataType::Decimal128(38, 0),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inside).collect()),
        DataType::List(item) => DataType::List(inside(item)),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};

    use super::super::tests::shown;
    use super::super::{Format, ShowOptions};
    use super::*;

    fn batch() -> RecordBatch {
        let sum = Decimal128Array::from(vec![Some(12_345_678_901_234_567_890), None]);
        let at = TimestampMicrosecondArray::from(vec![1_767_225_600_000_000; 2]).with_timezone("UTC");
        let arrays: [ArrayRef; 5] = [
            Arc::new(Int64Array::from(vec![Some(1), None])),
            Arc::new(sum.with_precision_and_scale(30, 2).unwrap()),
            Arc::new(StringArray::from(vec!["say \"ja\"", "b"])),
            Arc::new(at),
            Arc::new(Int64Array::from(vec![7, 8])),
        ];
        let names = ["id", "sum", "text", "at", "id"];
        let fields: Vec<Field> =
            names.iter().zip(&arrays).map(|(n, a)| Field::new(*n, a.data_type().clone(), true)).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays.to_vec()).unwrap()
    }

    #[test]
    fn rows_are_objects_with_exact_numbers_and_explicit_nulls() {
        let rows = [batch().slice(0, 1), batch().slice(1, 1)];
        insta::assert_snapshot!(shown(&rows, Format::Json, &ShowOptions::default()), @r#"
        [{"id":1,"sum":123456789012345678.90,"text":"say \"ja\"","at":"2026-01-01T00:00:00Z","id_1":7},
         {"id":null,"sum":null,"text":"b","at":"2026-01-01T00:00:00Z","id_1":8}]
        "#);
        insta::assert_snapshot!(shown(&rows, Format::Jsonl, &ShowOptions::default()), @r#"
        {"id":1,"sum":123456789012345678.90,"text":"say \"ja\"","at":"2026-01-01T00:00:00Z","id_1":7}
        {"id":null,"sum":null,"text":"b","at":"2026-01-01T00:00:00Z","id_1":8}
        "#);
    }

    #[test]
    fn no_rows_are_an_empty_array() {
        let none = [batch().slice(0, 0)];
        assert_eq!(shown(&none, Format::Json, &ShowOptions::default()), "[]\n");
        assert_eq!(shown(&none, Format::Jsonl, &ShowOptions::default()), "");
    }
}
