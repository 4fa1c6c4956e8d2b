//! How does one file become typed rows, none of them lost?
//!
//! [`read`] gives batches of a file's rows in the table's types, each a [`Parsed`]. A record that cannot
//! be a row is a [`Rejected`]; a value that does not fit its column is in `_rescued_data`
//! (`rescue`). All readers use constant memory: a batch is 8,192 rows, or fewer if
//! they are large.
//!
//! Not here: which types the table has (`infer`, or the table itself), and adding up (`account`).

mod csv;
pub(crate) mod header;
mod json;
pub(crate) mod literal;
pub(crate) mod parquet;
pub(crate) mod split;
pub(crate) mod value;

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use flate2::read::MultiGzDecoder;

pub use header::column_name;
pub(crate) use json::Lines;

use super::discover::FileStamp;
use super::error::LandingError;
use super::format::{self, Compression, Format, ReadOptions};
use super::rescue::Misfits;

/// The column that holds what did not fit, as a JSON object of column names and original values, or null.
pub const RESCUED_DATA: &str = "_rescued_data";
/// The column that holds the line on which a row starts, or in Parquet its ordinal; both from 1.
pub const ROW_NUMBER: &str = "_row_number";

/// Rows in a full batch.
const BATCH_ROWS: usize = 8192;
/// A batch with this many bytes of text is full, however few its rows.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// A record that could not become a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The physical line on which it starts, counted from 1; the header is a line.
    pub line: u64,
    /// The column at fault, if one is.
    pub column: Option<String>,
    /// One of `too_few_fields`, `too_many_fields`, `unclosed_quote`, `text_after_quote`, `stray_quote`,
    /// `invalid_utf8`, `invalid_json`, `not_an_object`.
    pub error_type: &'static str,
    /// The same for a person.
    pub message: String,
    /// The record as it is in the file, without its line end; bytes that are not UTF-8 are shown as `�`.
    pub raw: String,
}

/// Some rows of a file, typed, and the records among them that became none.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The table's columns, then `_rescued_data` and `_row_number`. All are nullable.
    pub batch: RecordBatch,
    /// Records seen in the file since the batch before, counted where they are split (for Parquet:
    /// all rows of the footer, with the first batch).
    pub read: u64,
    /// How many of the batch's rows have something in `_rescued_data`.
    pub rescued: u64,
    /// Records that became no row, in the order of the file.
    pub rejected: Vec<Rejected>,
}

/// Batches of one file. After an error there are no more.
pub type Batches = Box<dyn Iterator<Item = Result<Parsed, LandingError>> + Send>;

/// Reads a file into rows of `schema`. Blocks; call it where that is allowed.
///
/// Columns are matched by name ([`column_name`]), in files without a header by position. Columns that the file
/// lacks are null; columns that `schema` lacks are rescued. The batches have [`landed_schema`].
/// A batch may have rejected records and no rows; a file without records has no batches.
///
/// # Errors
/// At once if the file cannot be opened or its header not be used; later, as an item, [`LandingError::Damaged`] or
/// [`LandingError::Unreadable`] if it cannot be read to its end. What was read before then is
/// not the whole file, and should not be kept.
pub fn read(file: &FileStamp, schema: &SchemaRef, options: &ReadOptions) -> Result<Batches, LandingError> {
    let (format, compression) = format::of(&file.on_disk, options)?;
    let batches: Batches = match format {
        Format::Csv { delimiter, header } => {
            let source = Source::open(file, compression, "CSV")?;
            Box::new(csv::Rows::open(source, (delimiter, header), schema, options)?)
        }
        Format::JsonLines => {
            Box::new(json::Rows::open(Source::open(file, compression, "JSON")?, schema, options))
        }
        Format::Parquet => Box::new(parquet::Rows::open(file, schema, options)?),
    };
    let mut failed = false;
    Ok(Box::new(batches.take_while(move |batch| !std::mem::replace(&mut failed, batch.is_err()))))
}

/// The schema of the batches that [`read`] gives: the columns of `schema`, each nullable, then
/// [`RESCUED_DATA`] and [`ROW_NUMBER`].
pub fn landed_schema(schema: &Schema) -> SchemaRef {
    let mut fields: Vec<Field> =
        schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    fields.push(Field::new(RESCUED_DATA, DataType::Utf8, true));
    fields.push(Field::new(ROW_NUMBER, DataType::Int64, true));
    Arc::new(Schema::new(fields))
}

/// Puts typed columns, what did not fit and the rows' numbers together.
fn landed_batch(
    path: &str,
    landed: &SchemaRef,
    mut columns: Vec<ArrayRef>,
    misfits: Misfits,
    numbers: Vec<i64>,
) -> Result<(RecordBatch, u64), LandingError> {
    let rows = numbers.len();
    let (rescued_data, rescued) = misfits.finish(rows);
    columns.push(Arc::new(rescued_data));
    columns.push(Arc::new(Int64Array::from(numbers)));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(landed), columns, &options)
        .map_err(|source| internal(path, source))?;
    Ok((batch, rescued))
}

fn internal(path: &str, source: ArrowError) -> LandingError {
    LandingError::Internal { path: path.to_owned(), source }
}

/// An open file, unpacked while it is read.
pub(crate) struct Source {
    told: Told,
    bytes: Box<dyn Read + Send>,
}

/// What an error tells about the file it comes from.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) path: String,
    format: &'static str,
}

impl Source {
    /// Opens a file. `format` is the word for it in errors.
    pub(crate) fn open(
        file: &FileStamp,
        compression: Compression,
        format: &'static str,
    ) -> Result<Self, LandingError> {
        let opened = File::open(&file.on_disk)
            .map_err(|source| LandingError::Unreadable { path: file.path.clone(), source })?;
        let (bytes, format): (Box<dyn Read + Send>, _) = match compression {
            Compression::None => (Box::new(opened), format),
            Compression::Gzip => {
                (Box::new(MultiGzDecoder::new(BufReader::with_capacity(64 * 1024, opened))), "gzip")
            }
        };
        Ok(Self { told: Told { path: file.path.clone(), format }, bytes })
    }

    pub(crate) fn told(&self) -> Told {
        self.told.clone()
    }
}

impl Told {
    /// The error for a read that failed: the file is damaged, or the operating system did not give it.
    pub(crate) fn failed(&self, source: io::Error) -> LandingError {
        let path = self.path.clone();
        match source.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput => {
                LandingError::Damaged { path, format: self.format, source: Box::new(source) }
            }
            _ => LandingError::Unreadable { path, source },
        }
    }
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(into)
    }
}

/// Files to try the readers on, and what they make of them as text.
#[cfg(test)]
pub(crate) mod trial {
    use std::io::Write;

    use arrow::array::Array;
    use arrow::util::display::{ArrayFormatter, FormatOptions};

    use super::*;
    use crate::base::parse_data_type;
    use crate::landing::account::FileAccount;
    use crate::landing::discover::discover;

    pub(crate) struct Inbox(tempfile::TempDir);

    impl Inbox {
        pub(crate) fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> FileStamp {
            std::fs::write(self.0.path().join(name), bytes).unwrap();
            discover(self.0.path(), &[name.to_owned()]).unwrap().remove(0)
        }
    }

    pub(crate) fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    pub(crate) fn schema(columns: &str) -> SchemaRef {
        let field = |column: &str| {
            let (name, data_type) = column.trim().split_once(' ').unwrap();
            Field::new(name, parse_data_type(data_type).unwrap(), true)
        };
        Arc::new(Schema::new(columns.split(',').map(field).collect::<Vec<_>>()))
    }

    /// Each row as `line: cell|cell rescued`, each rejected record as `line! error_type`, then the account.
    pub(crate) fn told(file: &FileStamp, schema: &SchemaRef, options: &ReadOptions) -> Vec<String> {
        let batches = match read(file, schema, options) {
            Ok(batches) => batches,
            Err(error) => return vec![format!("error: {error}")],
        };
        let (mut lines, mut account) = (Vec::new(), FileAccount::new(&file.path));
        for parsed in batches {
            let parsed = match parsed {
                Ok(parsed) => parsed,
                Err(error) => return vec![format!("error: {error}")],
            };
            account.add(&parsed);
            assert_eq!(parsed.batch.schema(), landed_schema(schema));
            lines.extend(rows(&parsed.batch));
            let rejected = parsed.rejected.iter();
            lines.extend(
                rejected
                    .map(|rejected| format!("{}! {}: {}", rejected.line, rejected.error_type, rejected.raw)),
            );
        }
        account.check().unwrap();
        let FileAccount { read, loaded, rescued, rejected, .. } = account;
        lines.push(format!("{read} = {loaded} + {rescued} + {rejected}"));
        lines
    }

    fn rows(batch: &RecordBatch) -> Vec<String> {
        let options = FormatOptions::default().with_null("-");
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        let (cells, own) = columns.split_at(columns.len() - 2);
        let row = |row: usize| {
            let cells: Vec<String> = cells.iter().map(|column| column.value(row).to_string()).collect();
            let rescued = if batch.column(columns.len() - 2).is_null(row) {
                String::new()
            } else {
                format!(" {}", own[0].value(row))
            };
            format!("{}: {}{rescued}", own[1].value(row), cells.join("|"))
        };
        (0..batch.num_rows()).map(row).collect()
    }
}
