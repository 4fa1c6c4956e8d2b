//! How do files that have types already become rows?
//!
//! Parquet, Avro and Arrow files hold columns or records of known types. Each column is cast to its type in the table;
//! a value that the cast would change is rescued. Rows are numbered from 1. Parquet's rows are counted
//! by its footer, so that a reader that stops early is noticed.

use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_avro::reader::ReaderBuilder;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::ipc::Messages;
use super::literal::Spelling;
use super::target::{Target, Typed};
use super::{BATCH_ROWS, Parsed, Piece, header, internal};
use crate::landing::discover::FileStamp;
use crate::landing::error::LandingError;
use crate::landing::format::{Format, ReadOptions};
use crate::landing::rescue::{Misfits, fit_array};

/// A file with types of its own.
pub(crate) struct Stored {
    pub(crate) schema: SchemaRef,
    /// How many rows it has, if it says so before they are read.
    promised: Option<u64>,
    batches: Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>,
}

/// Opens a file and reads its schema.
///
/// # Errors
/// [`LandingError::Damaged`] if it has none that can be read; [`LandingError::NamesAndColumns`].
pub(crate) fn open(file: &FileStamp, format: Format, options: &ReadOptions) -> Result<Stored, LandingError> {
    let unreadable = |source| LandingError::Unreadable { path: file.path.clone(), source };
    let opened = File::open(&file.on_disk).map_err(unreadable)?;
    let failed = |source: ArrowError| damaged(&file.path, format, source);
    let mut stored = match format {
        Format::Avro => {
            let builder = ReaderBuilder::new().with_batch_size(BATCH_ROWS);
            let reader = builder.build(BufReader::new(opened)).map_err(failed)?;
            Stored { schema: reader.schema(), promised: None, batches: Box::new(reader) }
        }
        Format::Arrow => {
            let (schema, messages) = Messages::open(opened).map_err(failed)?;
            Stored { schema, promised: None, batches: Box::new(messages) }
        }
        _ => {
            let builder =
                ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|error| failed(error.into()))?;
            let schema = Arc::clone(builder.schema());
            let promised = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
            let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(|error| failed(error.into()))?;
            Stored { schema, promised: Some(promised), batches: Box::new(reader) }
        }
    };
    if options.names.is_some() {
        let fields = stored.schema.fields();
        let in_file = fields.iter().map(|field| field.name().clone()).collect();
        let named = fields.iter().zip(header::named(&file.path, in_file, options)?);
        let named = named.map(|(field, name)| field.as_ref().clone().with_name(name)).collect::<Vec<_>>();
        stored.schema = Arc::new(Schema::new(named));
    }
    Ok(stored)
}

fn damaged(path: &str, format: Format, source: ArrowError) -> LandingError {
    LandingError::Damaged { path: path.to_owned(), format: format.word(), source: Box::new(source) }
}

/// The rows of such a file, in pieces.
pub(super) struct Rows {
    stored: Stored,
    format: Format,
    shape: Arc<Shape>,
    /// Rows given out.
    given: i64,
}

/// What its columns mean.
struct Shape {
    target: Target,
    columns: Vec<(Option<usize>, Spelling)>,
    extras: Vec<(usize, Arc<str>)>,
}

impl Rows {
    pub(super) fn open(
        file: &FileStamp,
        format: Format,
        target: Target,
        options: &ReadOptions,
    ) -> Result<Self, LandingError> {
        let stored = open(file, format, options)?;
        let in_file: Vec<String> = stored.schema.fields().iter().map(|field| field.name().clone()).collect();
        let names = header::column_names(&file.path, &in_file, options)?;
        let matched = header::matching(&target.schema, &in_file);
        let extras = (0..names.len())
            .filter(|at| !matched.contains(&Some(*at)))
            .map(|at| (at, names[at].as_str().into()))
            .collect();
        let columns = matched.into_iter().zip(options.spellings(&target.schema, false)).collect();
        Ok(Self { stored, format, shape: Arc::new(Shape { target, columns, extras }), given: 0 })
    }

    fn piece(&mut self, batch: RecordBatch) -> Piece {
        let rows = batch.num_rows();
        let first = self.given + 1;
        self.given += i64::try_from(rows).unwrap_or(i64::MAX);
        let numbers = (first..=self.given).collect();
        // The promise is told with the first piece, and stays told.
        let read = match &mut self.stored.promised {
            Some(promised) => std::mem::take(promised),
            None => rows as u64,
        };
        let shape = Arc::clone(&self.shape);
        Box::new(move || shape.typed(&batch, numbers, read))
    }
}

impl Shape {
    fn typed(&self, batch: &RecordBatch, numbers: Vec<i64>, read: u64) -> Result<Parsed, LandingError> {
        let mut misfits = Misfits::default();
        let failed = |source| internal(&self.target.path, source);
        let columns = self.fitted(batch, &mut misfits).map_err(failed)?;
        let typed = Typed { columns, misfits, numbers, read, rejected: Vec::new() };
        self.target.finish(typed, |row| row_text(batch, row))
    }

    fn fitted(&self, batch: &RecordBatch, misfits: &mut Misfits) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut columns = Vec::with_capacity(self.columns.len() + 2);
        let fields = self.target.schema.fields().iter().zip(&self.columns);
        for (at, (field, (place, spelling))) in fields.enumerate() {
            if let Some(nulls) = self.target.unasked(at, batch.num_rows()) {
                columns.push(nulls);
                continue;
            }
            let name: Arc<str> = field.name().as_str().into();
            columns.push(match place {
                Some(at) => {
                    fit_array(field.data_type(), batch.column(*at), *spelling, &mut |row, place, text| {
                        match place {
                            "" => misfits.keep_text(row, &name, text),
                            place => misfits.keep_text(row, &format!("{name}{place}").into(), text),
                        }
                    })?
                }
                None => new_null_array(field.data_type(), batch.num_rows()),
            });
        }
        for (place, name) in &self.extras {
            // A cast to nothing keeps everything that is not null.
            let extra = batch.column(*place);
            if extra.logical_null_count() < extra.len() {
                fit_array(&DataType::Null, extra, Spelling::STRICT, &mut |row, _, text| {
                    misfits.extra_text(row, name, text);
                })?;
            }
        }
        Ok(columns)
    }
}

/// A row as JSON; as much of it as JSON can say.
fn row_text(batch: &RecordBatch, row: usize) -> String {
    let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
    match writer.write(&batch.slice(row, 1)).and_then(|()| writer.finish()) {
        Ok(()) => String::from_utf8_lossy(&writer.into_inner()).trim_end().to_owned(),
        Err(error) => format!("row {} cannot be shown: {error}", row + 1),
    }
}

impl Iterator for Rows {
    type Item = Result<Piece, LandingError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.stored.batches.next() {
            Some(Ok(batch)) => Some(Ok(self.piece(batch))),
            Some(Err(source)) => Some(Err(damaged(&self.shape.target.path, self.format, source))),
            // Rows were promised and not one came: the account has to hear of it.
            None if self.stored.promised.is_some_and(|promised| promised > 0) => {
                let nothing = RecordBatch::new_empty(Arc::clone(&self.stored.schema));
                Some(Ok(self.piece(nothing)))
            }
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, StringArray, TimestampNanosecondArray};
    use arrow::datatypes::Field;
    use parquet::arrow::ArrowWriter;

    use super::super::trial::{Inbox, schema, told};
    use super::*;

    fn stored(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    #[test]
    fn columns_are_cast_and_what_a_cast_would_change_is_rescued() {
        let inbox = Inbox::new();
        let file = inbox.file(
            "f.parquet",
            &stored(vec![
                ("Id", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]))),
                ("n", Arc::new(Float64Array::from(vec![1.0, 1.5, 3.0]))),
                ("at", Arc::new(TimestampNanosecondArray::from(vec![0, 1_000, 1]))),
                ("Zip Code", Arc::new(StringArray::from(vec![None, None, Some("01234")]))),
            ]),
        );
        let rows = [
            "1: 1|1|1970-01-01T00:00:00|-",
            "2: -|-|1970-01-01T00:00:00.000001|- {\"n\":\"1.5\"}",
            "3: 3|3|-|- {\"at\":\"1970-01-01T00:00:00.000000001\",\"zip_code\":\"01234\"}",
            "3 = 1 + 2 + 0",
        ];
        let columns = schema("id bigint, n bigint, at timestamp, gone date");
        assert_eq!(told(&file, &columns, &ReadOptions::default()), rows);
    }

    #[test]
    fn a_column_without_a_type_has_no_values() {
        let inbox = Inbox::new();
        let nothing: ArrayRef = Arc::new(arrow::array::NullArray::new(2));
        let file = inbox.file("f.arrow", &{
            let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
            let batch = RecordBatch::try_from_iter([("id", ids), ("nul", nothing)]).unwrap();
            let mut writer = arrow::ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
            writer.write(&batch).unwrap();
            writer.into_inner().unwrap()
        });
        let columns = schema("id bigint, nul varchar");
        let rows = ["1: 1|-", "2: 2|-", "2 = 2 + 0 + 0"];
        assert_eq!(told(&file, &columns, &ReadOptions::default()), rows);
    }

    #[test]
    fn structs_fit_field_by_field_and_lists_as_wholes() {
        let inbox = Inbox::new();
        let json = b"{\"s\":{\"b\":\"x\",\"A\":1,\"more\":[5]},\"l\":[{\"k\":1}]}\n{\"s\":{\"A\":2.5},\"l\":[{\"k\":1},{\"k\":0.5}]}\n{\"l\":null}\n";
        let schema_of = arrow::json::reader::infer_json_schema(&json[..], None).unwrap().0;
        let batch = arrow::json::ReaderBuilder::new(Arc::new(schema_of)).build(&json[..]).unwrap().next();
        let batch = batch.unwrap().unwrap();
        let columns = batch.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
        let columns = columns.iter().map(String::as_str).zip(batch.columns().iter().cloned()).collect();
        let file = inbox.file("f.parquet", &stored(columns));
        let rows = [
            "1: {a: 1, b: x, c: -}|[{k: 1}] {\"s.more\":\"[5]\"}",
            "2: {a: -, b: -, c: -}|- {\"s.a\":\"2.5\",\"l\":\"[{\\\"k\\\":1.0},{\\\"k\\\":0.5}]\"}",
            "3: -|-",
            "3 = 1 + 2 + 0",
        ];
        let item = DataType::Struct(vec![Field::new("k", DataType::Int64, true)].into());
        let parts = [("a", DataType::Int64), ("b", DataType::Utf8), ("c", DataType::Date32)];
        let parts = parts.map(|(name, of)| Field::new(name, of, true));
        let wanted = Arc::new(Schema::new(vec![
            Field::new("s", DataType::Struct(parts.to_vec().into()), true),
            Field::new("l", DataType::List(Arc::new(Field::new("item", item, true))), true),
        ]));
        assert_eq!(told(&file, &wanted, &ReadOptions::default()), rows);
    }

    #[test]
    fn a_number_is_no_day() {
        let inbox = Inbox::new();
        let days: ArrayRef = Arc::new(Int64Array::from(vec![Some(20_200_101), None]));
        let file = inbox.file("f.parquet", &stored(vec![("d", days)]));
        let rows = ["1: - {\"d\":\"20200101\"}", "2: -", "2 = 1 + 1 + 0"];
        for columns in ["d date", "d timestamp"] {
            assert_eq!(told(&file, &schema(columns), &ReadOptions::default()), rows);
        }
    }

    #[test]
    fn rows_are_numbered_across_batches_and_counted_by_the_footer() {
        let inbox = Inbox::new();
        for (rows, last) in [(0, None), (20_000, Some("20000: 19999"))] {
            let file = inbox
                .file("f.parquet", &stored(vec![("id", Arc::new(Int64Array::from_iter_values(0..rows)))]));
            let told = told(&file, &schema("id bigint"), &ReadOptions::default());
            assert_eq!(told.iter().rev().nth(1).map(String::as_str), last);
            assert_eq!(told.last().unwrap(), &format!("{rows} = {rows} + 0 + 0"));
        }
    }

    #[test]
    fn a_damaged_file_fails() {
        let inbox = Inbox::new();
        let whole = stored(vec![("id", Arc::new(Int64Array::from_iter_values(0..20_000)))]);
        let mut holed = whole.clone();
        holed[4..2000].fill(0xAB);
        for bytes in [
            &b""[..],
            b"PAR1",
            b"id,name\n1,a\n",
            &whole[..whole.len() / 2],
            &whole[..whole.len() - 1],
            &holed,
        ] {
            let file = inbox.file("f.parquet", bytes);
            let damaged = ["error: f.parquet is damaged: it cannot be read to its end as Parquet"];
            assert_eq!(
                told(&file, &schema("id bigint"), &ReadOptions::default()),
                damaged,
                "{} bytes",
                bytes.len()
            );
        }
    }
}
