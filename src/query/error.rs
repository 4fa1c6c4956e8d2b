//! What is wrong with a statement, or with answering it?

use datafusion::error::DataFusionError;

use super::located::{beside_number, is_misplaced, located};
use super::words::mistake;
use crate::base::{Diagnostic, ErrorKind, SourceText};
use crate::lake::is_forbidden;
use crate::landing::LandingError;
use crate::release::ReleaseError;
use crate::table::TableError;

/// The code of mistakes that only a value in the data shows.
pub const VALUE: &str = "elt::sql::value";
/// The code of asking for rows of what is not made yet.
pub(crate) const NO_ROWS: &str = "elt::sql::no_rows";

/// What to do where a text stands beside a number.
const BESIDE_A_NUMBER: &str = "a text beside a number is read as one: write the number as a text, `a = '5'`, or `try_cast(a as bigint) = 5`, which is NULL where \
                               a text is none";

/// A mistake in a statement: what, where in its text, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SqlMistake {
    code: &'static str,
    message: String,
    place: Option<(usize, usize)>,
    help: Option<String>,
    meant: Option<String>,
}

impl SqlMistake {
    /// A mistake with a stable code.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), place: None, help: None, meant: None }
    }

    /// There is no statement.
    pub fn empty() -> Self {
        Self::new("elt::sql::syntax", "there is no statement")
    }

    /// Something that there is, and not here.
    pub fn refused(what: impl Into<String>, help: &str) -> Self {
        Self::new("elt::sql::not_supported", what).help(help)
    }

    /// Something is to be written where an earlier release is read.
    pub fn reads_only(release: crate::base::ReleaseNumber) -> Self {
        Self::new(
            "elt::sql::read_only",
            format!("release {release} is read here, and a release never changes"),
        )
        .help("`\\release latest` goes back to the newest, which a statement can go on from")
    }

    /// It is at this line and column, counted from 1; 0 means the place is not known.
    pub(super) fn at(mut self, line: u64, column: u64) -> Self {
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        self.place = (line > 0 && column > 0).then(|| (count(line), count(column)));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// It is a column's name, and this is the only column that differs in no more than the case of its letters.
    pub(super) fn meaning(mut self, column: &str) -> Self {
        self.meant = Some(column.to_owned());
        self
    }

    /// The column that was meant beyond doubt.
    pub(super) fn meant(&self) -> Option<&str> {
        self.meant.as_deref()
    }

    /// The same, unless it says already what to do next.
    pub(super) fn help_if_none(self, help: &str) -> Self {
        if self.help.is_some() { self } else { self.help(help) }
    }

    /// The same mistake in a text that begins `lines` lines further down.
    #[must_use]
    pub fn lines_up(mut self, lines: usize) -> Self {
        self.place = self.place.and_then(|(line, column)| Some((line.checked_sub(lines)?, column)));
        self.place = self.place.filter(|(line, _)| *line > 0);
        self
    }

    /// Line and column in the statement's text, counted from 1.
    pub fn place(&self) -> Option<(usize, usize)> {
        self.place
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next.
    pub fn help_text(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What it asks of whoever ran the command: to correct the statement, or the data it met.
    pub fn kind(&self) -> ErrorKind {
        if self.code == VALUE { ErrorKind::Data } else { ErrorKind::User }
    }

    /// As a diagnostic on the text that the statement was read from.
    pub fn diagnostic(&self, text: &SourceText) -> Diagnostic {
        let diagnostic = Diagnostic::error(self.code, self.message.clone()).maybe_help(self.help.clone());
        match self.clone().located(&text.text).place {
            Some((line, column)) => diagnostic.at(&text.word_at(line, column), "here"),
            None => diagnostic,
        }
    }

    /// The same, met in a view's query, whose text is not the one that was typed.
    pub(super) fn in_view(mut self, name: &crate::base::TableName) -> Self {
        let is_missing = self.message.starts_with("there is no table `")
            || self.message.starts_with("there is no column `");
        if is_missing {
            self.message = format!("in the view `{name}`: {}", self.message);
            self.help = Some(format!("`show create table {name}` shows its query"));
            self.meant = None;
        }
        self.unplaced()
    }

    /// The same without its place, which was one in another text.
    pub(super) fn unplaced(mut self) -> Self {
        self.place = None;
        self
    }

    /// The same at another place: line and column in the text that it is shown in, if they are known.
    #[must_use]
    pub fn moved(mut self, place: Option<(usize, usize)>) -> Self {
        self.place = place;
        self
    }

    /// The same with the place of what it speaks of in the statement, if nobody told it, or told one that is not in it.
    #[must_use]
    pub fn located(self, sql: &str) -> Self {
        let is_in_it = |(line, column): (usize, usize)| {
            sql.lines().nth(line - 1).is_some_and(|line| column <= line.chars().count() + 1)
        };
        if self.place.is_some_and(is_in_it) && !is_misplaced(&self.message) {
            return self;
        }
        match (located(&self.message, sql), beside_number(&self.message, sql)) {
            (Some((line, column)), _) => self.at(line, column),
            (None, Some((line, column))) => self.at(line, column).help(BESIDE_A_NUMBER),
            (None, None) => self.unplaced(),
        }
    }
}

/// A statement could not be answered.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum QueryError {
    /// The statement is wrong.
    #[error(transparent)]
    #[diagnostic(code(elt::sql))]
    Sql(#[from] SqlMistake),
    /// A table could not be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Table(TableError),
    /// A release could not be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Release(#[from] ReleaseError),
    /// A file that is queried could not be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    File(Box<LandingError>),
    /// A file that a COPY writes could not be written to its end.
    #[error("cannot write {path}")]
    #[diagnostic(
        code(elt::sql::copy),
        help(
            "what was there before is there still; the cause is below: make room, choose another place, or cast the column that the format does not have"
        )
    )]
    Export {
        /// The file or folder.
        path: String,
        /// What the disk or the format says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something that the statement asked for besides rows failed.
    #[error(transparent)]
    #[diagnostic(code(elt::sql::failed))]
    Other(#[from] Box<crate::base::Error>),
    /// The engine failed while it was answering.
    #[error("the query failed while it ran")]
    #[diagnostic(
        code(elt::sql::failed),
        help("the cause is below; rows shown before it are not the whole answer")
    )]
    Engine(#[source] DataFusionError),
}

impl QueryError {
    /// What it asks of whoever ran the command.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Sql(mistake) => mistake.kind(),
            Self::Table(error) => error.kind(),
            Self::Release(error) => error.kind(),
            Self::File(error) => error.kind(),
            Self::Export { .. } => ErrorKind::Data,
            Self::Other(error) => error.kind(),
            Self::Engine(error) => match error.find_root() {
                DataFusionError::ObjectStore(failure) if is_forbidden(failure) => ErrorKind::Forbidden,
                DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => ErrorKind::Unavailable,
                DataFusionError::Internal(_) => ErrorKind::Internal,
                _ => ErrorKind::Data,
            },
        }
    }
}

impl QueryError {
    /// The same with its place in the statement, where that can be found.
    #[must_use]
    pub fn located(self, sql: &str) -> Self {
        match self {
            Self::Sql(mistake) => Self::Sql(mistake.located(sql)),
            other => other,
        }
    }

    /// The same without its place, which was one in another text.
    pub(super) fn unplaced(self) -> Self {
        match self {
            Self::Sql(mistake) => Self::Sql(mistake.unplaced()),
            other => other,
        }
    }

    /// Why the engine failed, in its own words, if it was the engine.
    pub fn cause_words(&self) -> Option<String> {
        let Self::Engine(error) = self else { return None };
        let words = error.find_root().strip_backtrace();
        Some(
            words
                .split("\nThis issue was likely caused by a bug")
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned(),
        )
    }

    /// Whether it was asked by somebody who has no right to it.
    pub fn is_of_rights(&self) -> bool {
        matches!(self, Self::Sql(mistake) if mistake.code == super::rights::NOT_ALLOWED)
    }

    /// Whether rows were asked of what is not made yet.
    pub fn is_of_rows_to_come(&self) -> bool {
        matches!(self, Self::Sql(mistake) if mistake.code == NO_ROWS)
    }

    /// Whether there was not enough memory.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Engine(error) if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)))
    }
}

impl From<TableError> for QueryError {
    /// Rows that a query could not give are the query's mistake.
    fn from(error: TableError) -> Self {
        match error {
            TableError::Rows(inner) => match unwrap_own(inner) {
                Ok(own) => own,
                Err(inner) => match mistake(&inner) {
                    Some(mistake) => Self::Sql(mistake),
                    None => Self::Table(TableError::Rows(inner)),
                },
            },
            other => Self::Table(other),
        }
    }
}

impl From<DataFusionError> for QueryError {
    /// Finds our own errors inside DataFusion's, and a mistake of the user's where it is one.
    fn from(error: DataFusionError) -> Self {
        match unwrap_own(error) {
            Ok(own) => own,
            Err(error) => match of_a_file(&error).or_else(|| mistake(&error)) {
                Some(mistake) => Self::Sql(mistake),
                None => Self::Engine(error),
            },
        }
    }
}

/// What kept a file from being read, where several wait for its rows and each is told.
fn of_a_file(error: &DataFusionError) -> Option<SqlMistake> {
    let DataFusionError::External(boxed) = error.find_root() else { return None };
    let own = boxed.downcast_ref::<LandingError>()?;
    let help = miette::Diagnostic::help(own).map(|help| help.to_string()).unwrap_or_default();
    let words = || SqlMistake::new(VALUE, own.with_cause()).help(help);
    Some(super::files::mistaken(own).unwrap_or_else(words))
}

/// Takes out an error that one of our own providers gave to DataFusion.
fn unwrap_own(error: DataFusionError) -> Result<QueryError, DataFusionError> {
    let boxed = match error {
        DataFusionError::External(boxed) => boxed,
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner)
            if matches!(inner.find_root(), DataFusionError::External(_)) =>
        {
            return unwrap_own(*inner);
        }
        other => return Err(other),
    };
    let boxed = match boxed.downcast::<QueryError>() {
        Ok(own) => return Ok(*own),
        Err(boxed) => boxed,
    };
    let boxed = match boxed.downcast::<TableError>() {
        Ok(own) => return Ok(QueryError::Table(*own)),
        Err(boxed) => boxed,
    };
    let boxed = match boxed.downcast::<LandingError>() {
        Ok(own) => return Ok(super::files::unread(*own)),
        Err(boxed) => boxed,
    };
    Err(DataFusionError::External(boxed))
}

impl From<QueryError> for DataFusionError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Engine(inner) => inner,
            other => Self::External(Box::new(other)),
        }
    }
}
