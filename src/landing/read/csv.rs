//! How do the records of a CSV file become rows?
//!
//! [`Rows`] gathers records until a batch is full, then types it column by column. A record is rejected
//! if its quotes are broken, it is not UTF-8, or it has more or fewer fields than the header.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};

use super::split::{Field, Record, Records};
use super::{BATCH_BYTES, BATCH_ROWS, Parsed, Rejected, Source, Told, header, internal, landed_batch, landed_schema};
use crate::landing::error::LandingError;
use crate::landing::format::ReadOptions;
use crate::landing::read::literal::Spelling;
use crate::landing::rescue::{Misfits, fit_texts};

/// The rows of a CSV file, in batches.
pub(super) struct Rows {
    records: Records<Source>,
    told: Told,
    schema: SchemaRef,
    landed: SchemaRef,
    /// For each column of the schema, which field of a record it is and how freely it is spelled.
    columns: Vec<(Option<usize>, Spelling)>,
    /// Fields that the schema has no column for, with the names they would have.
    extras: Vec<(usize, Arc<str>)>,
    width: usize,
    nulls: Vec<String>,
}

/// Records of one batch, before they are typed.
#[derive(Default)]
struct Gathered {
    text: String,
    cells: Vec<Cell>,
    lines: Vec<i64>,
    read: u64,
    rejected: Vec<Rejected>,
    rejected_bytes: usize,
}

/// Where in the text of the batch a field is.
#[derive(Clone, Copy)]
struct Cell {
    start: u32,
    /// The end, and in the highest bit whether the field was quoted.
    end: u32,
}

const QUOTED: u32 = 1 << 31;

impl Rows {
    /// Reads the header and matches its columns.
    pub(super) fn open(
        source: Source,
        dialect: (u8, bool),
        schema: &SchemaRef,
        options: &ReadOptions,
    ) -> Result<Self, LandingError> {
        let told = source.told();
        let positional: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let (records, in_file) = header::open_csv(source, dialect, options, &positional)?;
        let names = header::column_names(&told.path, &in_file)?;
        let matched = header::matching(schema, &in_file);
        let extras = (0..names.len())
            .filter(|at| !matched.contains(&Some(*at)))
            .map(|at| (at, names[at].as_str().into()))
            .collect();
        Ok(Self {
            records,
            told,
            landed: landed_schema(schema),
            columns: matched.into_iter().zip(options.spellings(schema)).collect(),
            schema: Arc::clone(schema),
            extras,
            width: names.len(),
            nulls: options.null_values.clone(),
        })
    }

    fn gather(&mut self) -> Result<Gathered, LandingError> {
        let mut gathered = Gathered::default();
        while gathered.lines.len() + gathered.rejected.len() < BATCH_ROWS
            && gathered.text.len() + gathered.rejected_bytes < BATCH_BYTES
        {
            let Some(record) = self.records.next().map_err(|error| self.told.failed(error))? else { break };
            gathered.read += 1;
            gathered.take(&record, self.width);
        }
        Ok(gathered)
    }

    fn typed(&self, gathered: Gathered) -> Result<Parsed, LandingError> {
        let rows = gathered.lines.len();
        let mut misfits = Misfits::default();
        let mut columns = Vec::with_capacity(self.columns.len() + 2);
        for (field, (place, spelling)) in self.schema.fields().iter().zip(&self.columns) {
            let column: Arc<str> = field.name().as_str().into();
            let as_text = matches!(field.data_type(), DataType::Utf8 | DataType::Binary);
            let cells = (0..rows).map(|row| {
                let (text, quoted) = gathered.cell(row * self.width + (*place)?);
                let null = if as_text { !quoted && self.is_null(text) } else { self.is_null(text.trim_ascii()) };
                (!null).then_some(text)
            });
            let misfit = |row, text: &str| misfits.keep_text(row, &column, text);
            let array = fit_texts(field.data_type(), *spelling, cells, misfit);
            columns.push(array.map_err(|source| internal(&self.told.path, source))?);
        }
        for (place, name) in &self.extras {
            for row in 0..rows {
                let (text, quoted) = gathered.cell(row * self.width + place);
                if quoted || !self.is_null(text) {
                    misfits.keep_text(row, name, text);
                }
            }
        }
        let (batch, rescued) = landed_batch(&self.told.path, &self.landed, columns, misfits, gathered.lines)?;
        Ok(Parsed { batch, read: gathered.read, rescued, rejected: gathered.rejected })
    }

    fn is_null(&self, text: &str) -> bool {
        self.nulls.iter().any(|null| null == text)
    }
}

impl Iterator for Rows {
    type Item = Result<Parsed, LandingError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.gather() {
            Ok(gathered) if gathered.read == 0 => None,
            Ok(gathered) => Some(self.typed(gathered)),
            Err(error) => Some(Err(error)),
        }
    }
}

impl Gathered {
    /// Makes the record a row, or rejects it.
    fn take(&mut self, record: &Record<'_>, width: usize) {
        if let Some(fault) = record.fault {
            return self.reject(record, fault.error_type(), fault.message().to_owned());
        }
        let found = record.fields.len();
        if found != width {
            let error_type = if found < width { "too_few_fields" } else { "too_many_fields" };
            return self.reject(record, error_type, format!("{found} fields where the header has {width}"));
        }
        let Ok(text) = std::str::from_utf8(record.bytes) else {
            return self.reject(record, "invalid_utf8", "the record is not valid UTF-8".to_owned());
        };
        // A batch is full long before its text reaches 2 GiB: BATCH_BYTES and one record.
        let base = self.text.len() as u32;
        self.text.push_str(text);
        for field in record.fields {
            let (start, end) = if field.doubled { self.undouble(text, field) } else { (base + field.start, base + field.end) };
            self.cells.push(Cell { start, end: if field.quoted { end | QUOTED } else { end } });
        }
        self.lines.push(i64::try_from(record.line).unwrap_or(i64::MAX));
    }

    /// Appends a field with its doubled quotes made single, and returns where it is.
    fn undouble(&mut self, text: &str, field: &Field) -> (u32, u32) {
        let start = self.text.len() as u32;
        self.text.push_str(&text[field.start as usize..field.end as usize].replace("\"\"", "\""));
        (start, self.text.len() as u32)
    }

    fn reject(&mut self, record: &Record<'_>, error_type: &'static str, message: String) {
        let raw = String::from_utf8_lossy(record.bytes).into_owned();
        self.rejected_bytes += raw.len();
        self.rejected.push(Rejected { line: record.line, column: None, error_type, message, raw });
    }

    fn cell(&self, at: usize) -> (&str, bool) {
        let Cell { start, end } = self.cells[at];
        (&self.text[start as usize..(end & !QUOTED) as usize], end & QUOTED != 0)
    }
}
