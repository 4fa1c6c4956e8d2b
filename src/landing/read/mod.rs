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
mod ipc;
pub(crate) mod json;
pub(crate) mod literal;
pub(crate) mod moment;
pub(crate) mod source;
pub(crate) mod split;
pub(crate) mod stored;
mod target;
pub(crate) mod texts;
pub(crate) mod value;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

pub(crate) use csv::{Gathered, gather};
pub use header::column_name;
pub(crate) use source::{Source, Told};

use super::discover::FileStamp;
use super::error::LandingError;
use super::format::Format;
use super::options::LandOptions;
use target::Target;

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
    /// `invalid_utf8`, `invalid_json`, `not_an_object`, `type_mismatch`, `new_column`.
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
    /// How many values were left out, because the options say so.
    pub discarded: u64,
    /// Records that became no row, in the order of the file.
    pub rejected: Vec<Rejected>,
}

/// Some records of a file, ready to be typed on any thread.
pub type Piece = Box<dyn FnOnce() -> Result<Parsed, LandingError> + Send>;

/// The pieces of one file, in its order. After an error there are no more.
pub type Pieces = Box<dyn Iterator<Item = Result<Piece, LandingError>> + Send>;

/// Reads a file into rows of `schema`. Blocks; call it where that is allowed.
///
/// The iterator finds where records end; its [`Piece`]s, which may run in parallel, do the rest. Columns are matched by
/// name ([`column_name`]), in files without a header by position. Columns that the file lacks are null; of columns
/// that `schema` lacks and values that do not fit, `options` say what becomes. The batches have
/// [`landed_schema`]. A batch may have rejected records and no rows; a file without records has no pieces.
///
/// # Errors
/// At once if the file cannot be opened or its header not be used; later, as an item, [`LandingError::Damaged`] or
/// [`LandingError::Unreadable`] if it cannot be read to its end. What was read before then is
/// not the whole file, and should not be kept.
pub fn read(file: &FileStamp, schema: &SchemaRef, options: &LandOptions) -> Result<Pieces, LandingError> {
    let (format, compression) = file.format(&options.read)?;
    let target = Target::new(file, schema, options);
    let open = || Source::open(file, format, compression, &options.read);
    let pieces: Pieces = match format {
        Format::Csv { delimiter } => Box::new(csv::Rows::open(open()?, delimiter, target, &options.read)?),
        Format::JsonLines | Format::Json => {
            Box::new(json::Rows::open(open()?, format, target, &options.read)?)
        }
        Format::Parquet | Format::Avro | Format::Arrow => {
            Box::new(stored::Rows::open(file, format, target, &options.read)?)
        }
    };
    let mut failed = false;
    Ok(Box::new(pieces.take_while(move |piece| !std::mem::replace(&mut failed, piece.is_err()))))
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

fn internal(path: &str, source: ArrowError) -> LandingError {
    LandingError::Internal { path: path.to_owned(), source }
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
    use crate::landing::format::ReadOptions;

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
        told_of(file, schema, &LandOptions { read: options.clone(), ..LandOptions::default() })
    }

    /// The same with all options.
    pub(crate) fn told_of(file: &FileStamp, schema: &SchemaRef, options: &LandOptions) -> Vec<String> {
        let pieces = match read(file, schema, options) {
            Ok(batches) => batches,
            Err(error) => return vec![format!("error: {error}")],
        };
        let (mut lines, mut account) = (Vec::new(), FileAccount::new(&file.path));
        for piece in pieces {
            let parsed = match piece.and_then(|piece| piece()) {
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
                // That they name the file is told elsewhere.
                let rescued = own[0].value(row).to_string();
                let values =
                    rescued.rsplit_once(",\"_file_path\":").expect("rescued values name their file").0;
                format!(" {values}}}")
            };
            format!("{}: {}{rescued}", own[1].value(row), cells.join("|"))
        };
        (0..batch.num_rows()).map(row).collect()
    }
}
