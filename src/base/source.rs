//! Where in which file was it written?

use std::ops::Range;
use std::sync::Arc;

use miette::{NamedSource, SourceSpan};

/// A file the user wrote, kept so that a mistake can be shown in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceText {
    /// The path as the user would type it, relative to the project's root, with `/`.
    pub path: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
}

/// A range of bytes in a [`SourceText`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The file.
    pub source: SourceText,
    /// The bytes, from the first to one past the last.
    pub bytes: Range<usize>,
}

impl SourceText {
    /// Keeps `text` under the name `path`.
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// The span of `bytes`, cut to the text's length and to whole characters.
    pub fn span(&self, bytes: Range<usize>) -> Span {
        let floor = |mut at: usize| {
            at = at.min(self.text.len());
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = floor(bytes.start);
        Span { source: self.clone(), bytes: start..floor(bytes.end).max(start) }
    }

    /// The span of the word at line `line`, column `column`, both counted from 1; columns are characters. A text in quotes is one word.
    pub fn word_at(&self, line: usize, column: usize) -> Span {
        let line_start: usize =
            self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let rest = self.text.get(line_start..).unwrap_or_default();
        let offset: usize = rest.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
        let start = line_start + offset;
        let tail = self.text.get(start..).unwrap_or_default();
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$');
        let length: usize = tail.chars().take_while(|c| is_word(*c)).map(char::len_utf8).sum();
        let length = length
            .max(quoted(tail))
            .max(tail.chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8));
        self.span(start..start + length)
    }

    /// Line and column of byte `at`, both counted from 1; columns are characters.
    pub fn line_column(&self, at: usize) -> (usize, usize) {
        let before = &self.text[..self.span(at..at).bytes.start];
        // A properties file may tell of thousands of models, and each asks.
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    pub(crate) fn named(&self) -> NamedSource<String> {
        let language = if self.path.ends_with(".sql") { "SQL" } else { "YAML" };
        NamedSource::new(&*self.path, self.text.to_string()).with_language(language)
    }
}

/// How long the text in quotes is that `tail` begins with, if it ends on its line.
fn quoted(tail: &str) -> usize {
    let line = tail.lines().next().unwrap_or_default();
    let quote = line.chars().next().filter(|c| matches!(c, '\'' | '"' | '`'));
    quote.and_then(|quote| line[1..].find(quote)).map_or(0, |end| end + 2)
}

impl Span {
    /// `path:line:column` of the first byte.
    pub fn place(&self) -> String {
        let (line, column) = self.source.line_column(self.bytes.start);
        format!("{}:{line}:{column}", self.source.path)
    }

    pub(crate) fn labelled(&self) -> SourceSpan {
        SourceSpan::from(self.bytes.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_from_one_and_in_characters() {
        let text = SourceText::new("m.sql", "select é,\n  amuont from t");
        let span = text.word_at(2, 3);
        assert_eq!(&text.text[span.bytes.clone()], "amuont");
        assert_eq!(span.place(), "m.sql:2:3");
        assert_eq!(text.word_at(1, 8).bytes, 7..9);
        assert_eq!(text.span(8..400).bytes, 7..text.text.len());
        assert_eq!(text.word_at(9, 9).bytes.len(), 0);
    }
}
