//! How does a library error become a mistake in the user's file?
//!
//! Functions of elt fail with a [`Mistake`], which carries code and help through the library.
//! [`Origins`] knows the file behind every template, and turns any error into a [`Diagnostic`].

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use minijinja::{Error, ErrorKind};

use crate::base::{Diagnostic, SourceText, Span, did_you_mean};

use super::prepare::Prepared;

/// What a function of elt says when it cannot do what it was called for.
#[derive(Clone, Debug)]
pub(super) struct Mistake {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Mistake {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Something dbt does and elt does not do yet.
    pub(super) fn unsupported(what: impl fmt::Display, instead: &str) -> Self {
        Self::new("elt::not_supported", format!("not supported yet: {what}")).help(instead)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mistake {}

impl From<Mistake> for Error {
    fn from(mistake: Mistake) -> Self {
        Self::new(ErrorKind::InvalidOperation, mistake.message.clone()).with_source(mistake)
    }
}

/// Finds a `T` among the causes of an error.
pub(super) fn cause<T: std::error::Error + 'static>(error: &Error) -> Option<&T> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The same error without its place, so that the caller's place is the one shown.
pub(super) fn displaced(error: &Error) -> Error {
    match cause::<Mistake>(error) {
        Some(mistake) => mistake.clone().into(),
        None => Error::new(error.kind(), sentence(error)),
    }
}

/// The files behind the templates.
#[derive(Debug, Default)]
pub(super) struct Origins {
    by_template: BTreeMap<String, (SourceText, Prepared)>,
    /// The names that a template may call, for suggestions.
    pub(super) callable: Vec<String>,
}

impl Origins {
    pub(super) fn add(&mut self, template: &str, source: &SourceText, prepared: Prepared) {
        self.by_template.insert(template.to_owned(), (source.clone(), prepared));
    }

    /// The diagnostic for an error of the library. `fallback` is shown if the error has no place.
    pub(super) fn diagnose(&self, error: &Error, fallback: &Span) -> Diagnostic {
        let origin = error.name().and_then(|name| self.by_template.get(name));
        let at = origin.and_then(|(source, prepared)| place(error, source, prepared));
        self.diagnose_at(error, at.unwrap_or_else(|| fallback.clone()))
    }

    /// The diagnostic for an error of the library that happened at `at`.
    pub(super) fn diagnose_at(&self, error: &Error, at: Span) -> Diagnostic {
        if let Some(mistake) = cause::<Mistake>(error) {
            return Diagnostic::error(mistake.code, mistake.message.clone())
                .at(&at, "here")
                .maybe_help(mistake.help.clone());
        }
        let written = at.source.text.get(at.bytes.clone()).unwrap_or_default();
        match error.kind() {
            ErrorKind::SyntaxError => Diagnostic::error("elt::jinja_syntax", sentence(error)).at(&at, "here"),
            ErrorKind::UnknownFunction => self.unknown(called(error, written), &at),
            // So the library says it of a macro that is called inside a macro.
            ErrorKind::InvalidOperation
                if error.detail() == Some("value of type undefined is not callable") =>
            {
                self.unknown(word(written), &at)
            }
            ErrorKind::UndefinedError | ErrorKind::UnknownMethod if undefined(error).is_some() => {
                let name = undefined(error).filter(|name| !name.is_empty()).unwrap_or(written);
                Diagnostic::error("elt::jinja_undefined", format!("`{name}` is not defined"))
                    .at(&at, "needs it")
                    .help("set it with `{% set %}`, define the macro, or install the package that has it")
            }
            _ => Diagnostic::error("elt::jinja", sentence(error)).at(&at, "here"),
        }
    }

    fn unknown(&self, name: &str, at: &Span) -> Diagnostic {
        Diagnostic::error("elt::macro_not_found", format!("there is no function or macro `{name}`"))
            .at(at, "not known")
            .help("define it in a file under macros/")
            .maybe_help(did_you_mean(name, self.callable.iter().map(String::as_str)))
    }
}

/// The place of an error in the file that its template was prepared from.
pub(super) fn place(error: &Error, source: &SourceText, prepared: &Prepared) -> Option<Span> {
    let range = match error.range() {
        Some(range) => range,
        None => line_range(&prepared.text, error.line()?),
    };
    let start = prepared.origin(range.start);
    let end = prepared.origin(range.end).max(start + 1);
    let line = source.text.get(start..).and_then(|rest| rest.lines().next()).map_or(0, str::len);
    Some(source.span(start..end.min(start + line.max(1))))
}

/// The name that an error blames for being undefined; empty if it blames something undefined without a name.
fn undefined(error: &Error) -> Option<&str> {
    let is_undefined = error.kind() == ErrorKind::UndefinedError;
    let Some(detail) = error.detail() else { return is_undefined.then_some("") };
    let name = detail.split_once("` is undefined").and_then(|(before, _)| before.rsplit('`').next());
    name.or(is_undefined.then_some(""))
}

/// The name that an unknown function was called by.
fn called<'a>(error: &'a Error, written: &'a str) -> &'a str {
    let detail = error.detail().map(word).filter(|name| !name.is_empty());
    detail.unwrap_or_else(|| word(written))
}

/// The word that `text` begins with.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// What the library says, as one sentence.
pub(super) fn sentence(error: &Error) -> String {
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    }
}

fn line_range(text: &str, line: usize) -> Range<usize> {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let line = text[start..].lines().next().unwrap_or_default();
    let blanks = line.len() - line.trim_start().len();
    start + blanks..start + line.trim_end().len().max(blanks)
}
