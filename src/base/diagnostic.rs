//! How is a mistake told to a person?

use std::fmt;

use miette::{LabeledSpan, NamedSource, SourceCode};

use super::Span;

/// How much a [`Diagnostic`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth reading; the work goes on.
    Warning,
    /// The work cannot go on.
    Error,
}

/// One thing that is wrong: what, where, why, and what to do next.
///
/// Reading and compiling a project return all of them at once, so that a person mends them in one go.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    severity: Severity,
    code: &'static str,
    message: String,
    place: Option<Box<Place>>,
    help: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Place {
    span: Span,
    label: String,
    source: NamedText,
}

#[derive(Clone, Debug)]
struct NamedText(NamedSource<String>);

impl PartialEq for NamedText {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name() && self.0.inner() == other.0.inner()
    }
}

impl Diagnostic {
    /// An error with a stable code such as `elt::ref_not_found`.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, message: message.into(), place: None, help: None }
    }

    /// A warning with a stable code.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Shows it at `span`, with `label` under it.
    #[must_use]
    pub fn at(mut self, span: &Span, label: impl Into<String>) -> Self {
        let source = NamedText(span.source.named());
        self.place = Some(Box::new(Place { span: span.clone(), label: label.into(), source }));
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to do next, if something is known.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// The same as an error.
    #[must_use]
    pub fn as_error(mut self) -> Self {
        self.severity = Severity::Error;
        self
    }

    /// The same as a warning.
    #[must_use]
    pub fn as_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Whether the work cannot go on.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The stable code.
    pub fn stable_code(&self) -> &'static str {
        self.code
    }

    /// What is wrong, in one sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// `path:line:column`, where it has a place.
    pub fn place(&self) -> Option<String> {
        self.place.as_ref().map(|place| place.span.place())
    }

    /// What to do next, where that is known.
    pub fn help_text(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place.as_ref().map(|place| &place.source.0 as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.place.as_ref()?;
        let label = (!place.label.is_empty()).then(|| place.label.clone());
        let span = LabeledSpan::new_primary_with_span(label, place.span.labelled());
        Some(Box::new(std::iter::once(span)))
    }
}

/// Every diagnostic as plain text, one line each: `place: message (help)`. For logs and tests.
pub fn show_all(diagnostics: &[Diagnostic]) -> String {
    let lines = diagnostics.iter().map(|d| {
        let place = d.place().map(|place| format!("{place}: ")).unwrap_or_default();
        let help = d.help_text().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{place}{}{help}", d.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}
