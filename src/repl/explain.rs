//! How is a mistake shown, and where in the text?

use std::error::Error as StdError;
use std::fmt;

use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::base::{Diagnostic, Error, Narrowed, SourceText};
use crate::lakehouse::{Piece, QueryError};

/// An error as people read it: what, where with the text, why, and what to do next. Ends in a new line.
pub fn explain(error: &Error, color: bool, width: Option<usize>) -> String {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler =
        GraphicalReportHandler::new_themed(theme).with_links(false).with_width(width.unwrap_or(100));
    let mut text = String::new();
    for diagnostic in error.diagnostics() {
        let narrowed = Narrowed::to(diagnostic, width.unwrap_or(Narrowed::LINE));
        if handler.render_report(&mut text, &narrowed).is_err() {
            text += &format!("error: {diagnostic}\n");
        }
    }
    text
}

/// The error of a statement, with its place in the text that the statement is a piece of.
pub(super) fn placed(error: QueryError, source: &SourceText, piece: &Piece) -> Error {
    let kind = error.kind();
    let mistake = match error {
        QueryError::Sql(mistake) => mistake.located(&piece.sql),
        other if is_all(source, piece) => return other.into(),
        error => {
            return Error::new(
                kind,
                Met { place: source.span(piece.bytes.clone()).place(), error: Of::Statement(error) },
            );
        }
    };
    let diagnostic = Diagnostic::error(mistake.code(), mistake.message().to_owned());
    let diagnostic = diagnostic.maybe_help(mistake.help_text().map(str::to_owned));
    let diagnostic = match mistake.place() {
        Some((line, column)) => {
            let word = SourceText::new("", &piece.sql).word_at(line, column).bytes;
            let start = piece.bytes.start;
            diagnostic.at(&source.span(start + word.start..start + word.end), "here")
        }
        None => at_piece(diagnostic, source, piece),
    };
    Error::new(kind, diagnostic)
}

/// Shows the piece of a longer text that a diagnostic is about, by its first line.
pub(super) fn at_piece(diagnostic: Diagnostic, source: &SourceText, piece: &Piece) -> Diagnostic {
    if is_all(source, piece) {
        return diagnostic;
    }
    let line = piece.sql.lines().next().unwrap_or_default().trim_end();
    let start = piece.bytes.start;
    diagnostic.at(&source.span(start..start + line.len()), "in this statement")
}

/// The error of a command, with its place in the text, if it says none.
pub(super) fn of_command(error: Error, source: &SourceText, piece: &Piece) -> Error {
    let has_place = error.diagnostics().iter().any(|told| told.labels().is_some());
    if has_place || is_all(source, piece) {
        return error;
    }
    Error::new(
        error.kind(),
        Met { place: source.span(piece.bytes.clone()).place(), error: Of::Command(error) },
    )
}

/// Whether a text was typed, and is nothing but this statement; then there is no need to say which it was.
fn is_all(source: &SourceText, piece: &Piece) -> bool {
    let is_typed = ["sql", "statement", "stdin"].contains(&&*source.path);
    is_typed && source.text.trim().trim_end_matches(';').trim_end() == piece.sql.trim_end_matches(';')
}

/// An error that is not in the words of a statement or a command, met by one of several.
#[derive(Debug)]
struct Met {
    place: String,
    error: Of,
}

#[derive(Debug)]
enum Of {
    Statement(QueryError),
    Command(Error),
}

impl Of {
    fn told(&self) -> &dyn miette::Diagnostic {
        match self {
            Self::Statement(error) => error,
            Self::Command(error) => {
                error.diagnostics().into_iter().next().expect("an error says at least one thing")
            }
        }
    }
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.error.told())
    }
}

impl StdError for Met {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.told().source()
    }
}

impl miette::Diagnostic for Met {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.error.told().code()
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.error.told().help()
    }
}
