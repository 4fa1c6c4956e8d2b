//! How do the files of a load become batches, each row with where it is from?
//!
//! [`Reading::run`] reads files in their order and all cores' worth of pieces at a time: pieces of a large file side by
//! side, small files whole. Batches and rejects are handed over as they come, nothing is kept, so memory is
//! bounded whatever the files' size; [`Books`] is what remains.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

use super::discover::FileStamp;
use super::options::LandOptions;
use super::parallel::in_order;
use super::read::{Parsed, Piece, Pieces, ROW_NUMBER, Rejected, landed_schema, read};
use super::rejects::Reject;
use super::{FileAccount, LandingError};
use crate::base::grouped;

/// The column that says which file a row is from.
pub(super) const FILE_PATH: &str = "_file_path";
/// The column that says when that file was last written.
pub(super) const FILE_TIME: &str = "_file_modification_time";
/// The column that says which load brought the row. Ids of later loads sort after those of earlier ones.
pub(super) const LOAD_ID: &str = "_load_id";

/// Rejects that are remembered for messages.
const REMEMBERED: usize = 5;

/// Some files to read, and what becomes of their rows.
pub(super) struct Reading {
    pub(super) files: Vec<FileStamp>,
    /// The table's columns, but for those that landing adds.
    pub(super) schema: SchemaRef,
    pub(super) options: LandOptions,
    pub(super) load: String,
    /// If the columns are a guess: those that had no value where it was looked. The guess is wrong if they have one,
    /// or if anything does not fit.
    pub(super) doubtful: Option<Vec<usize>>,
}

/// What is written down while files are read.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) accounts: Vec<FileAccount>,
    pub(super) rejected: u64,
    /// The first rejects, for messages.
    pub(super) first_rejects: Vec<String>,
    /// Whether a row showed that the columns were guessed wrongly; then nothing else here counts.
    pub(super) misfit: bool,
}

/// One thing to do on any core.
enum Job {
    File(usize),
    Piece(usize, Piece),
    Failed(LandingError),
}

/// The columns of a table that is landed: those of the files, `_rescued_data`, and where rows are from if anybody asks.
pub(super) fn whole_schema(data: &Schema, options: &LandOptions) -> SchemaRef {
    let landed = landed_schema(data);
    let own = landed.fields().iter().filter(|field| field.name() != ROW_NUMBER).cloned();
    let mut fields: Vec<Arc<Field>> = own.collect();
    if options.provenance {
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let origin = [
            (FILE_PATH, DataType::Utf8),
            (FILE_TIME, instant),
            (ROW_NUMBER, DataType::Int64),
            (LOAD_ID, DataType::Utf8),
        ];
        fields.extend(origin.map(|(name, data_type)| Arc::new(Field::new(name, data_type, true))));
    }
    Arc::new(Schema::new(fields))
}

impl Reading {
    /// The schema of the batches: data columns, `_rescued_data`, and where rows are from if anybody asks.
    pub(super) fn schema(&self) -> SchemaRef {
        whole_schema(&self.schema, &self.options)
    }

    /// Reads all files, and gives each batch to `take` and rejects to `refuse`. Blocks.
    ///
    /// Stops early and without an error if one of them returns false, and if a row refutes what was guessed.
    ///
    /// # Errors
    /// The first file that cannot be read; [`LandingError::TooManyRejected`]; [`LandingError::Unbalanced`].
    pub(super) fn run(
        &self,
        mut take: impl FnMut(RecordBatch) -> bool,
        mut refuse: impl FnMut(&[Reject]) -> bool,
    ) -> Result<Books, LandingError> {
        let accounts = self.files.iter().map(|file| FileAccount::new(&file.path)).collect();
        let mut books = Books { accounts, ..Books::default() };
        let schema = self.schema();
        let mut origins: Vec<Option<Origin>> = vec![None; self.files.len()];
        let (mut ended, mut stopped) = (Ok(()), false);
        each_parsed(&self.files, &self.schema, &self.options, |at, parsed| {
            let batches = match parsed {
                Ok(batches) => batches,
                Err(error) => {
                    ended = Err(error);
                    return false;
                }
            };
            for parsed in batches {
                let file = &self.files[at];
                if self.refutes(&parsed) {
                    (books.misfit, stopped) = (true, true);
                    return false;
                }
                books.accounts[at].add(&parsed);
                let origin = origins[at].get_or_insert_with(|| Origin::of(file, &self.load));
                let batch = match placed(&parsed, &schema, origin) {
                    Ok(batch) => batch,
                    Err(source) => {
                        ended = Err(LandingError::Internal { path: file.path.clone(), source });
                        return false;
                    }
                };
                let rejects: Vec<Reject> = parsed
                    .rejected
                    .into_iter()
                    .map(|record| Reject { file: file.path.clone(), record })
                    .collect();
                books.note(&rejects);
                ended = books.check(&self.options, false);
                if ended.is_err() {
                    return false;
                }
                let goes_on =
                    (rejects.is_empty() || refuse(&rejects)) && (batch.num_rows() == 0 || take(batch));
                if !goes_on {
                    stopped = true;
                    return false;
                }
            }
            true
        });
        ended?;
        // Books of a part need not add up; whoever stopped knows why.
        if !stopped {
            books.check(&self.options, true)?;
        }
        Ok(books)
    }

    /// Whether a batch shows that the columns were guessed wrongly.
    fn refutes(&self, parsed: &Parsed) -> bool {
        let Some(doubtful) = &self.doubtful else { return false };
        let has_value = |column: &usize| parsed.batch.column(*column).null_count() < parsed.batch.num_rows();
        let of_columns = |reject: &Rejected| ["type_mismatch", "new_column"].contains(&reject.error_type);
        parsed.rescued > 0
            || parsed.discarded > 0
            || parsed.rejected.iter().any(of_columns)
            || doubtful.iter().any(has_value)
    }
}

/// Reads files in their order on all cores, and hands over what each piece of them becomes, with the file's place.
///
/// Stops early if `each` returns false, and after the first error. Blocks.
pub(super) fn each_parsed(
    files: &[FileStamp],
    schema: &SchemaRef,
    options: &LandOptions,
    mut each: impl FnMut(usize, Result<Vec<Parsed>, LandingError>) -> bool,
) {
    let work = |job: Job| match job {
        Job::Failed(error) => (0, Err(error)),
        Job::Piece(at, piece) => (at, piece().map(|parsed| vec![parsed])),
        Job::File(at) => {
            let pieces = read(&files[at], schema, options);
            (at, pieces.and_then(|pieces| pieces.map(|piece| piece?()).collect()))
        }
    };
    in_order(jobs(files, schema, options), work, |(at, parsed)| {
        let goes_on = parsed.is_ok();
        each(at, parsed) && goes_on
    });
}

fn jobs(files: &[FileStamp], schema: &SchemaRef, options: &LandOptions) -> impl Iterator<Item = Job> {
    let mut files = files.iter().enumerate();
    let mut open: Option<(usize, Pieces)> = None;
    std::iter::from_fn(move || {
        loop {
            if let Some((at, pieces)) = &mut open {
                match pieces.next() {
                    Some(Ok(piece)) => return Some(Job::Piece(*at, piece)),
                    Some(Err(error)) => return Some(Job::Failed(error)),
                    None => open = None,
                }
            }
            let (at, file) = files.next()?;
            if file.is_small(&options.read) {
                return Some(Job::File(at));
            }
            match read(file, schema, options) {
                Ok(pieces) => open = Some((at, pieces)),
                Err(error) => return Some(Job::Failed(error)),
            }
        }
    })
}

/// What every row of a file says of where it is from, as columns as long as the longest batch so far.
#[derive(Clone)]
struct Origin {
    path: String,
    load: String,
    micros: i64,
    columns: Option<[ArrayRef; 3]>,
}

impl Origin {
    fn of(file: &FileStamp, load: &str) -> Self {
        let micros = file.modified.timestamp_micros();
        Self { path: file.path.clone(), load: load.to_owned(), micros, columns: None }
    }

    /// File, time of the file, and load.
    fn columns(&mut self, rows: usize) -> &[ArrayRef; 3] {
        if self.columns.as_ref().is_some_and(|[path, ..]| path.len() < rows) {
            self.columns = None;
        }
        self.columns.get_or_insert_with(|| {
            let repeated = |text: &str| -> ArrayRef {
                Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows)))
            };
            let micros = TimestampMicrosecondArray::from(vec![self.micros; rows]).with_timezone("UTC");
            [repeated(&self.path), Arc::new(micros), repeated(&self.load)]
        })
    }
}

/// A batch with where its rows are from.
fn placed(parsed: &Parsed, schema: &SchemaRef, origin: &mut Origin) -> Result<RecordBatch, ArrowError> {
    let rows = parsed.batch.num_rows();
    let columns = schema.fields().iter().map(|field| match field.name().as_str() {
        FILE_PATH => origin.columns(rows)[0].slice(0, rows),
        FILE_TIME => origin.columns(rows)[1].slice(0, rows),
        LOAD_ID => origin.columns(rows)[2].slice(0, rows),
        name => match parsed.batch.column_by_name(name) {
            Some(column) => Arc::clone(column),
            None => new_null_array(field.data_type(), rows),
        },
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect())
}

impl Books {
    fn note(&mut self, rejects: &[Reject]) {
        self.rejected += rejects.len() as u64;
        let room = REMEMBERED.saturating_sub(self.first_rejects.len());
        self.first_rejects.extend(rejects.iter().take(room).map(Reject::told));
    }

    /// Whether few enough were rejected; at the end also as a part of all, and whether all adds up.
    fn check(&self, options: &LandOptions, at_end: bool) -> Result<(), LandingError> {
        let read: u64 = self.accounts.iter().map(|account| account.read).sum();
        let too_many = |allowed: String| {
            let first = self.first_rejects.first().cloned().unwrap_or_default();
            Err(LandingError::TooManyRejected { rejected: self.rejected, read, allowed, first })
        };
        if let Some(most) = options.max_rejected.filter(|most| self.rejected > *most) {
            return too_many(format!("{} {}", grouped(most), if most == 1 { "is" } else { "are" }));
        }
        if !at_end {
            return Ok(());
        }
        let allowed = |fraction: &f64| self.rejected as f64 > fraction * read as f64;
        if let Some(fraction) = options.max_rejected_fraction.filter(allowed) {
            return too_many(format!("{} % are", fraction * 100.0));
        }
        self.accounts.iter().try_for_each(FileAccount::check)
    }
}
