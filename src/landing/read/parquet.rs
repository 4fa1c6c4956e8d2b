//! How does a Parquet file become rows of the table's types?
//!
//! Its columns are typed already; those whose types differ from the table's are cast, and a value that the cast
//! would change is rescued. The footer says how many rows there are, so a reader that stops early is noticed.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::literal::Spelling;
use super::{BATCH_ROWS, Parsed, Told, header, internal, landed_batch, landed_schema};
use crate::landing::discover::FileStamp;
use crate::landing::error::LandingError;
use crate::landing::format::ReadOptions;
use crate::landing::rescue::{Misfits, fit_array};

/// The rows of a Parquet file, in batches.
pub(super) struct Rows {
    batches: ParquetRecordBatchReader,
    told: Told,
    schema: SchemaRef,
    stored: SchemaRef,
    landed: SchemaRef,
    columns: Vec<(Option<usize>, Spelling)>,
    extras: Vec<(usize, Arc<str>)>,
    /// Rows by the footer, until the first batch tells.
    promised: u64,
    /// Rows given out.
    given: i64,
}

/// Returns the schema of a Parquet file as it is stored.
///
/// # Errors
/// [`LandingError::Damaged`] if the file has no readable footer.
pub(crate) fn schema(file: &FileStamp) -> Result<SchemaRef, LandingError> {
    Ok(Arc::clone(open(file)?.schema()))
}

fn open(file: &FileStamp) -> Result<ParquetRecordBatchReaderBuilder<File>, LandingError> {
    let opened = File::open(&file.on_disk)
        .map_err(|source| LandingError::Unreadable { path: file.path.clone(), source })?;
    ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|source| damaged(&file.path, source))
}

fn damaged(path: &str, source: impl std::error::Error + Send + Sync + 'static) -> LandingError {
    LandingError::Damaged { path: path.to_owned(), format: "Parquet", source: Box::new(source) }
}

impl Rows {
    pub(super) fn open(
        file: &FileStamp,
        schema: &SchemaRef,
        options: &ReadOptions,
    ) -> Result<Self, LandingError> {
        let builder = open(file)?;
        let in_file: Vec<String> =
            builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        let names = header::column_names(&file.path, &in_file)?;
        let matched = header::matching(schema, &in_file);
        let extras = (0..names.len())
            .filter(|at| !matched.contains(&Some(*at)))
            .map(|at| (at, names[at].as_str().into()))
            .collect();
        let stored = Arc::clone(builder.schema());
        let promised = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let batches =
            builder.with_batch_size(BATCH_ROWS).build().map_err(|source| damaged(&file.path, source))?;
        Ok(Self {
            batches,
            told: Told { path: file.path.clone(), format: "Parquet" },
            landed: landed_schema(schema),
            columns: matched.into_iter().zip(options.spellings(schema)).collect(),
            schema: Arc::clone(schema),
            stored,
            extras,
            promised,
            given: 0,
        })
    }

    fn typed(&mut self, batch: &RecordBatch) -> Result<Parsed, LandingError> {
        let rows = batch.num_rows();
        let mut misfits = Misfits::default();
        let columns = self.fitted(batch, &mut misfits).map_err(|source| internal(&self.told.path, source))?;
        let first = self.given + 1;
        self.given += i64::try_from(rows).unwrap_or(i64::MAX);
        let numbers = (first..=self.given).collect();
        let (batch, rescued) = landed_batch(&self.told.path, &self.landed, columns, misfits, numbers)?;
        Ok(Parsed { batch, read: std::mem::take(&mut self.promised), rescued, rejected: Vec::new() })
    }

    fn fitted(&self, batch: &RecordBatch, misfits: &mut Misfits) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut columns = Vec::with_capacity(self.columns.len() + 2);
        for (field, (place, spelling)) in self.schema.fields().iter().zip(&self.columns) {
            let name: Arc<str> = field.name().as_str().into();
            columns.push(match place {
                Some(at) => fit_array(field.data_type(), batch.column(*at), *spelling, |row, text| {
                    misfits.keep_text(row, &name, text);
                })?,
                None => new_null_array(field.data_type(), batch.num_rows()),
            });
        }
        for (place, name) in &self.extras {
            // A cast to nothing keeps everything that is not null.
            let extra = batch.column(*place);
            if extra.null_count() < extra.len() {
                fit_array(&DataType::Null, extra, Spelling::Strict, |row, text| {
                    misfits.keep_text(row, name, text)
                })?;
            }
        }
        Ok(columns)
    }
}

impl Iterator for Rows {
    type Item = Result<Parsed, LandingError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.batches.next() {
            Some(Ok(batch)) => Some(self.typed(&batch)),
            Some(Err(source)) => Some(Err(damaged(&self.told.path, source))),
            // Rows were promised and not one came: the account has to hear of it.
            None if self.promised > 0 => Some(self.typed(&RecordBatch::new_empty(Arc::clone(&self.stored)))),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, StringArray, TimestampNanosecondArray};
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
