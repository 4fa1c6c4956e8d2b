//! How does a Parquet file become rows of the table's types?
//!
//! Its columns are typed already; those whose types differ from the table's are cast, and a value that the cast
//! would change is rescued. The footer says how many rows there are, so a reader that stops early is noticed.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Schema, SchemaRef};
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
    let opened =
        File::open(&file.on_disk).map_err(|source| LandingError::Unreadable { path: file.path.clone(), source })?;
    ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|source| damaged(&file.path, source))
}

fn damaged(path: &str, source: impl std::error::Error + Send + Sync + 'static) -> LandingError {
    LandingError::Damaged { path: path.to_owned(), format: "Parquet", source: Box::new(source) }
}

impl Rows {
    pub(super) fn open(file: &FileStamp, schema: &SchemaRef, options: &ReadOptions) -> Result<Self, LandingError> {
        let builder = open(file)?;
        let in_file: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        let names = header::column_names(&file.path, &in_file)?;
        let matched = header::matching(schema, &in_file);
        let extras = (0..names.len())
            .filter(|at| !matched.contains(&Some(*at)))
            .map(|at| (at, names[at].as_str().into()))
            .collect();
        let promised = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let batches = builder.with_batch_size(BATCH_ROWS).build().map_err(|source| damaged(&file.path, source))?;
        Ok(Self {
            batches,
            told: Told { path: file.path.clone(), format: "Parquet" },
            landed: landed_schema(schema),
            columns: matched.into_iter().zip(options.spellings(schema)).collect(),
            schema: Arc::clone(schema),
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
                fit_array(&DataType::Null, extra, Spelling::Strict, |row, text| misfits.keep_text(row, name, text))?;
            }
        }
        Ok(columns)
    }
}

impl Iterator for Rows {
    type Item = Result<Parsed, LandingError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.batches.next()? {
            Ok(batch) => Some(self.typed(&batch)),
            Err(source) => Some(Err(damaged(&self.told.path, source))),
        }
    }
}
