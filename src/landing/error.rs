//! What can go wrong between a file and typed rows?
//!
//! A [`LandingError`] stops a file or the whole load. A row that cannot be used does not: it becomes a
//! [`Rejected`](super::read::Rejected), and a value that does not fit goes to `_rescued_data`.

use std::io;

use arrow::error::ArrowError;

use datafusion::error::DataFusionError;

use crate::base::{ErrorKind, NameError, grouped};
use crate::lake::{LakeError, is_forbidden};
use crate::table::TableError;

/// Any cause that a damaged file can have: gzip, Parquet, text.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why files could not be landed.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum LandingError {
    /// A path without wildcards names nothing.
    #[error("there is no file or folder: {path}")]
    #[diagnostic(code(elt::landing::not_found))]
    NotFound {
        /// As the user wrote it.
        path: String,
        /// The neighbour that was probably meant.
        #[help]
        help: Option<String>,
    },

    /// A pattern that is no pattern.
    #[error("`{pattern}` is not a file pattern")]
    #[diagnostic(
        code(elt::landing::bad_pattern),
        help(
            "`*` and `?` match within a name, `**` whole folders, `[ab]` one of two letters; write `[[]` for a bracket"
        )
    )]
    BadPattern {
        /// As the user wrote it.
        pattern: String,
        /// What the pattern reader says.
        source: glob::PatternError,
    },

    /// A pattern whose braces do not match, or mean too much.
    #[error("the braces of `{pattern}` do not match")]
    #[diagnostic(
        code(elt::landing::bad_braces),
        help(
            "write `{{a,b}}` for either of two; braces in a file's own name cannot be matched, name such files one by one"
        )
    )]
    BadBraces {
        /// As the user wrote it.
        pattern: String,
    },

    /// A file name that no table could record.
    #[error("the name of a file is not valid UTF-8: {path}")]
    #[diagnostic(code(elt::landing::file_name), help("rename the file"))]
    FileName {
        /// The path, with the bad bytes replaced.
        path: String,
    },

    /// The operating system did not give the bytes.
    #[error("cannot read {path}")]
    #[diagnostic(
        code(elt::landing::unreadable),
        help("check that the file is still there and that you may read it")
    )]
    Unreadable {
        /// The file or folder.
        path: String,
        /// What the operating system says.
        source: io::Error,
    },

    /// The bytes are there and cannot be what the file claims to be.
    #[error("{path} is damaged: it cannot be read to its end as {format}")]
    #[diagnostic(
        code(elt::landing::damaged),
        help("nothing of this file was loaded; fetch it again from where it came from, then load it again")
    )]
    Damaged {
        /// The file.
        path: String,
        /// `gzip` or `Parquet`.
        format: &'static str,
        /// What its reader says.
        source: Cause,
    },

    /// Nothing says what kind of file this is.
    #[error("cannot tell the format of {path}")]
    #[diagnostic(
        code(elt::landing::unknown_format),
        help(
            "known are .csv, .tsv, .txt, .json, .jsonl and .ndjson, each also with .gz, .zst, .bz2 or .xz, and .parquet, .avro and .arrow; for another name declare a `format`: csv, tsv, json, jsonl, parquet, avro or arrow"
        )
    )]
    UnknownFormat {
        /// The file.
        path: String,
    },

    /// An option with a value that it cannot have.
    #[error("`{option}` cannot be `{value}`")]
    #[diagnostic(code(elt::landing::bad_option))]
    BadOption {
        /// The option's name.
        option: &'static str,
        /// As the user wrote it.
        value: String,
        /// The values that it can have.
        #[help]
        help: String,
    },

    /// Columns without a name.
    #[error("{path} has columns without a name: {}", places(columns))]
    #[diagnostic(
        code(elt::landing::unnamed_columns),
        help("name them in the first line, or declare `header: false` if the file has no header")
    )]
    UnnamedColumns {
        /// The file.
        path: String,
        /// Which columns, counted from 1.
        columns: Vec<usize>,
    },

    /// Two columns of a file would be one column of the table.
    #[error("columns of {path} would both be named `{landed}`: {}", quoted(columns))]
    #[diagnostic(
        code(elt::landing::same_name),
        help(
            "rename one of them in the file; names are trimmed and lower-cased, and what is no letter or digit becomes `_`"
        )
    )]
    SameName {
        /// The file.
        path: String,
        /// Their name in the table.
        landed: String,
        /// Their names in the file.
        columns: Vec<String>,
    },

    /// A column whose name landing needs for itself.
    #[error("{path} has a column `{column}`, and every landed table has one of its own")]
    #[diagnostic(code(elt::landing::reserved_name), help("rename the column in the file"))]
    ReservedName {
        /// The file.
        path: String,
        /// The column.
        column: String,
    },

    /// The first record of a CSV file is no header.
    #[error("the header of {path} cannot be read: {reason}")]
    #[diagnostic(
        code(elt::landing::bad_header),
        help("correct the first line, or declare `header: false` if the file has no header")
    )]
    BadHeader {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },

    /// Names were given for the columns of a file that has more or fewer.
    #[error("columns of {path}: {columns}; names given for them: {names}")]
    #[diagnostic(
        code(elt::landing::column_names),
        help("name every column of the file, in its order; of files that differ, load each kind by itself")
    )]
    NamesAndColumns {
        /// The file.
        path: String,
        /// How many columns it has.
        columns: usize,
        /// How many names were given.
        names: usize,
    },

    /// Names were given for the columns of a file whose columns have no order.
    #[error("{path} holds JSON, whose columns have names and no order")]
    #[diagnostic(
        code(elt::landing::no_positions),
        help(
            "leave out `column_names`, or BY POSITION; in SQL, `copy into t from (select a as b from '…')` gives columns other names"
        )
    )]
    NoPositions {
        /// The file.
        path: String,
    },

    /// The first line has one column, and would have more with another delimiter.
    #[error("two readings of {path}: 1 column with `{used}` as delimiter, {columns} columns with `{other}`")]
    #[diagnostic(
        code(elt::landing::delimiter),
        help("declare `delimiter: \"{other}\"`, or `delimiter: \"{used}\"` if there is only one column")
    )]
    Delimiter {
        /// The file.
        path: String,
        /// The delimiter that was tried.
        used: String,
        /// The one that would give more columns.
        other: String,
        /// How many.
        columns: usize,
    },

    /// Text in an encoding that is not read, or with line ends that are not.
    #[error("{path} is text in a form that is not read: {found}")]
    #[diagnostic(
        code(elt::landing::encoding),
        help(
            "declare its `encoding`, for example `latin1` or `utf-16le`; lines have to end in LF or CRLF (`dos2unix -c mac` makes them so)"
        )
    )]
    Encoding {
        /// The file.
        path: String,
        /// What was seen.
        found: &'static str,
    },

    /// Nothing in the file is a JSON object.
    #[error("{path} has {} and none is a JSON object", counted(*records, "record"))]
    #[diagnostic(
        code(elt::landing::not_json),
        help(
            "rows are objects, `{{\"id\": 1}}`: one per line, or in one array; declare another `format` if it is not JSON"
        )
    )]
    NotJson {
        /// The file.
        path: String,
        /// Records that are not blank.
        records: u64,
    },

    /// Bytes of one kind under the name of another.
    #[error("{path} would be read as {read_as}, and is {content}")]
    #[diagnostic(
        code(elt::landing::wrong_format),
        help(
            "declare its `format` if elt reads it (csv, tsv, json, jsonl, parquet, avro, arrow); otherwise export it as one of these"
        )
    )]
    WrongFormat {
        /// The file.
        path: String,
        /// What its name or its source says.
        read_as: &'static str,
        /// What its first bytes say.
        content: &'static str,
    },

    /// A file that can be read in two ways, which give different rows.
    #[error("{path} reads two ways: {one}, or {other}")]
    #[diagnostic(code(elt::landing::two_readings))]
    TwoReadings {
        /// The file, with the line if there is one to look at.
        path: String,
        /// One reading.
        one: String,
        /// The other.
        other: String,
        /// How to say which is meant.
        #[help]
        help: String,
    },

    /// An option that does not exist.
    #[error("there is no option `{name}`")]
    #[diagnostic(code(elt::landing::unknown_option))]
    UnknownOption {
        /// As the user wrote it.
        name: String,
        /// The one that was probably meant.
        #[help]
        help: String,
    },

    /// A column that the table lacks, where the contract freezes columns.
    #[error("{path}:{line} has a column `{column}`, and the table has none")]
    #[diagnostic(
        code(elt::landing::new_column),
        help(
            "nothing was landed; `schema_evolution_mode: addNewColumns` gives it to the table, `rescue` keeps its values in `_rescued_data`"
        )
    )]
    NewColumn {
        /// The file.
        path: String,
        /// The first line that has a value there.
        line: i64,
        /// The column.
        column: String,
    },

    /// A value that does not fit, where the contract freezes types.
    #[error("{path}:{line}: {value} does not fit column `{column}` ({data_type})")]
    #[diagnostic(
        code(elt::landing::misfit),
        help(
            "nothing was landed; correct the file, or let `contract_data_type` be rescue, discard_row or evolve"
        )
    )]
    Misfit {
        /// The file.
        path: String,
        /// The line on which its row starts.
        line: i64,
        /// The column.
        column: String,
        /// Its type.
        data_type: String,
        /// The value, as JSON.
        value: String,
    },

    /// A table that would have to be made, where the contract freezes tables.
    #[error("there is no table `{table}`, and its contract makes none")]
    #[diagnostic(code(elt::landing::no_table), help("`contract_tables: evolve` makes it from the files"))]
    NoTable {
        /// The table.
        table: String,
    },

    /// More records were rejected than the source allows.
    #[error("{} of {read} rejected, and {allowed} allowed; the first is {first}", counted(*rejected, "record"))]
    #[diagnostic(
        code(elt::landing::too_many_rejected),
        help(
            "nothing was landed; `elt land --dry-run` shows more of them; correct the files, or raise `max_rejected` or `max_rejected_fraction`"
        )
    )]
    TooManyRejected {
        /// How many.
        rejected: u64,
        /// Of how many that were read so far.
        read: u64,
        /// What is allowed, in words.
        allowed: String,
        /// Where the first is and what is wrong with it.
        first: String,
    },

    /// Rows that have to give way and do not say which file they are from.
    #[error("the rows of {path} cannot be replaced: the table does not say which file its rows are from")]
    #[diagnostic(
        code(elt::landing::no_provenance),
        help(
            "files are reloaded by `_file_path`, which `provenance: false` leaves out; land the new content under another name"
        )
    )]
    NoProvenance {
        /// The file.
        path: String,
    },

    /// A file whose bytes were loaded under another name, where the source wants that to be an error.
    #[error("{path} has the same bytes as {of}")]
    #[diagnostic(
        code(elt::landing::copied),
        help("`on_copy: skip` leaves such files out, `on_copy: load` loads them all the same")
    )]
    Copied {
        /// The file.
        path: String,
        /// The file that was loaded.
        of: String,
    },

    /// A URL that cannot be used.
    #[error("cannot land from {url}: {because}")]
    #[diagnostic(
        code(elt::landing::bad_url),
        help(
            "URLs of files begin with s3://, gs://, az://, https:// or file://; credentials come from the environment (AWS_…, GOOGLE_…, AZURE_…)"
        )
    )]
    BadUrl {
        /// As the user wrote it.
        url: String,
        /// What is wrong with it.
        because: String,
    },

    /// A store or a server did not give what was asked of it.
    #[error("cannot read {url}")]
    #[diagnostic(
        code(elt::landing::elsewhere),
        help(
            "check the name, the network and the credentials in the environment (AWS_…, GOOGLE_…, AZURE_…); nothing was landed"
        )
    )]
    Elsewhere {
        /// The file.
        url: String,
        /// What the store says.
        source: object_store::Error,
    },

    /// Rows went missing between reading and typing, or came from nowhere.
    #[error(
        "{path} does not add up: read {read}, but loaded {loaded} + rescued {rescued} + rejected {rejected} = {}",
        loaded + rescued + rejected
    )]
    #[diagnostic(
        code(elt::landing::unbalanced),
        help("nothing was loaded; this is a bug in elt, please report it with the first lines of the file")
    )]
    Unbalanced {
        /// The file.
        path: String,
        /// Records seen in the file.
        read: u64,
        /// Rows that fitted wholly.
        loaded: u64,
        /// Rows with something in `_rescued_data`.
        rescued: u64,
        /// Records that became no row.
        rejected: u64,
    },

    /// Arrow refused what landing built.
    #[error("the rows of {path} could not be put together")]
    #[diagnostic(
        code(elt::landing::internal),
        help("this is a bug in elt, please report it with the table's schema")
    )]
    Internal {
        /// The file.
        path: String,
        /// What Arrow says.
        source: ArrowError,
    },

    /// A file that was loaded is different now, and the source wants that to be an error.
    #[error("{path} was loaded before and has changed since")]
    #[diagnostic(
        code(elt::landing::changed),
        help(
            "`on_change: reload` or `--force` takes its new rows in place of the old; or land the new content under another name"
        )
    )]
    Changed {
        /// The file.
        path: String,
    },

    /// A file was written to while it was read.
    #[error("{path} changed while it was being read")]
    #[diagnostic(
        code(elt::landing::moving),
        help(
            "nothing was landed; run it again when the file is complete, or have it written under another name and renamed"
        )
    )]
    Moving {
        /// The file.
        path: String,
    },

    /// The name of the table of rejects would be no name.
    #[error(transparent)]
    #[diagnostic(code(elt::landing::name), help("give the table a shorter name"))]
    Name(#[from] NameError),

    /// A SELECT gives the table a column that it lacks and may not be given.
    #[error("the table has no column `{column}`")]
    #[diagnostic(
        code(elt::landing::selected_column),
        help(
            "nothing was landed; `copy_options ('mergeSchema' = 'true')` gives it to the table; or leave it out of the SELECT, or call it as the table does"
        )
    )]
    SelectedColumn {
        /// The column.
        column: String,
    },

    /// Columns are to be matched by position with those of a table that does not exist.
    #[error("there is no table `{table}` whose columns have positions")]
    #[diagnostic(
        code(elt::landing::no_positions_yet),
        help("create the table first, or list its columns: `copy into t (a, b) from '…'`")
    )]
    NoTablePositions {
        /// The table.
        table: String,
    },

    /// What stands between the files and the table does not fit, or cannot be done with a row.
    #[error("{0}")]
    #[diagnostic(code(elt::landing::shape))]
    Shape(crate::base::Error),

    /// The rows could not be written, or the lake could not be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Table(TableError),

    /// The raw zone could not be written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Lake(#[from] LakeError),
}

impl From<TableError> for LandingError {
    /// Takes out the error that reading gave to the writer.
    fn from(error: TableError) -> Self {
        match error {
            TableError::Rows(DataFusionError::External(boxed)) => match boxed.downcast::<Self>() {
                Ok(own) => *own,
                Err(boxed) => Self::Table(TableError::Rows(DataFusionError::External(boxed))),
            },
            other => Self::Table(other),
        }
    }
}

impl LandingError {
    /// Whether it is a fault of one file, so that the others can do without it.
    pub(super) fn is_of_one_file(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. }
                | Self::UnknownFormat { .. }
                | Self::UnnamedColumns { .. }
                | Self::SameName { .. }
                | Self::ReservedName { .. }
                | Self::BadHeader { .. }
                | Self::NamesAndColumns { .. }
                | Self::Delimiter { .. }
                | Self::Encoding { .. }
                | Self::NotJson { .. }
                | Self::WrongFormat { .. }
                | Self::TwoReadings { .. }
        )
    }

    /// The error and its cause in one line.
    pub(crate) fn with_cause(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }

    /// What it asks of whoever ran the command.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Damaged { .. }
            | Self::Unbalanced { .. }
            | Self::NotJson { .. }
            | Self::NewColumn { .. }
            | Self::Misfit { .. }
            | Self::TooManyRejected { .. }
            | Self::Copied { .. }
            | Self::Encoding { .. } => ErrorKind::Data,
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                ErrorKind::Forbidden
            }
            Self::Elsewhere { source, .. } if is_forbidden(source) => ErrorKind::Forbidden,
            Self::Unreadable { .. } | Self::Elsewhere { .. } => ErrorKind::Unavailable,
            Self::Internal { .. } => ErrorKind::Internal,
            Self::Changed { .. } => ErrorKind::Data,
            Self::Moving { .. } => ErrorKind::Conflict,
            Self::Shape(error) => error.kind(),
            Self::Table(error) => error.kind(),
            Self::Lake(error) => error.kind(),
            _ => ErrorKind::User,
        }
    }
}

fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

fn places(columns: &[usize]) -> String {
    columns.iter().map(|column| format!("column {column}")).collect::<Vec<_>>().join(", ")
}

fn quoted(columns: &[String]) -> String {
    columns.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ")
}
