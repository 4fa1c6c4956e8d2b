//! Which place in the user's file did this piece of SQL come from?
//!
//! A rendered template still holds the marks that [`prepare`](super::jinja) put before its text and
//! its expressions. [`SourceMap::read`] takes them out and keeps what they say, so that an error in
//! the SQL can be shown in the model. Inside what an expression gave, the place is its tag.

use std::ops::Range;

use crate::base::{SourceText, Span};

use super::jinja::prepare::{MARK, TAG_MARK, TEXT_MARK};
use super::jinja::tag_at;

/// Where each part of a compiled SQL text came from.
#[derive(Clone, Debug, Default)]
pub(super) struct SourceMap {
    /// In the order of the SQL, without overlaps; gaps came from nowhere in particular.
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    /// Bytes of the SQL.
    sql: Range<usize>,
    source: SourceText,
    /// Byte of the source.
    at: usize,
    /// Whether the SQL is the source's text, byte by byte; otherwise a tag at `at` made it.
    is_text: bool,
}

impl SourceMap {
    /// Takes the marks out of a rendered template, and what they say with them.
    pub(super) fn read(marked: &str, source: &SourceText) -> (String, Self) {
        let mut sql = String::with_capacity(marked.len());
        let mut map = Self::default();
        let mut stretches = marked.split(MARK);
        sql.push_str(stretches.next().unwrap_or_default());
        for stretch in stretches {
            let Some(close) = stretch.find([TEXT_MARK, TAG_MARK]) else {
                // Not a mark of ours: the user wrote that character.
                sql.push(MARK);
                sql.push_str(stretch);
                continue;
            };
            let at: usize = stretch[..close].parse().unwrap_or_default();
            let is_text = stretch[close..].starts_with(TEXT_MARK);
            let text = &stretch[close + TEXT_MARK.len_utf8()..];
            map.add(sql.len(), text, source, at, is_text);
            sql.push_str(text);
        }
        (sql, map)
    }

    /// Adds what follows one mark: text as far as it equals the source, then what a tag made.
    fn add(&mut self, start: usize, text: &str, source: &SourceText, at: usize, is_text: bool) {
        let origin = source.text.get(at..).unwrap_or_default();
        let same = if is_text { common_prefix(text, origin) } else { 0 };
        let mut push = |sql: Range<usize>, at: usize, is_text: bool| {
            if !sql.is_empty() {
                self.parts.push(Part { sql, source: source.clone(), at, is_text });
            }
        };
        push(start..start + same, at, true);
        let blanks = origin[same..].len() - origin[same..].trim_start().len();
        push(start + same..start + text.len(), at + same + blanks, false);
    }

    /// Makes room for `text` inserted into the SQL at byte `at`, whose own parts are `inner`.
    ///
    /// The part that `at` falls into is cut in two.
    pub(super) fn splice(&mut self, at: usize, length: usize, inner: Self) {
        let mut parts = Vec::with_capacity(self.parts.len() + inner.parts.len() + 1);
        let mut after = Vec::new();
        for part in self.parts.drain(..) {
            if part.sql.end <= at {
                parts.push(part);
            } else if part.sql.start >= at {
                after.push(part.moved(length));
            } else {
                let cut = at - part.sql.start;
                let at_source = if part.is_text { part.at + cut } else { part.at };
                let rest = Part { sql: at..part.sql.end, at: at_source, ..part.clone() };
                parts.push(Part { sql: part.sql.start..at, ..part });
                after.push(rest.moved(length));
            }
        }
        parts.extend(inner.parts);
        parts.extend(after);
        self.parts = parts;
    }

    /// The same map for SQL that begins `by` bytes later.
    pub(super) fn moved(self, by: usize) -> Self {
        Self { parts: self.parts.into_iter().map(|part| part.moved(by)).collect() }
    }

    /// Joins the parts of SQL that follows.
    pub(super) fn append(&mut self, other: Self) {
        self.parts.extend(other.parts);
    }

    /// The word, or the tag, that byte `offset` of the SQL came from.
    pub(super) fn locate(&self, offset: usize) -> Option<Span> {
        let at = self.parts.partition_point(|part| part.sql.end <= offset);
        let part = self.parts.get(at).filter(|part| part.sql.start <= offset)?;
        if part.is_text {
            let (line, column) = part.source.line_column(part.at + (offset - part.sql.start));
            return Some(part.source.word_at(line, column));
        }
        Some(part.source.span(tag_at(&part.source.text, part.at)))
    }
}

impl Part {
    fn moved(self, by: usize) -> Self {
        Self { sql: self.sql.start + by..self.sql.end + by, ..self }
    }
}

fn common_prefix(a: &str, b: &str) -> usize {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    (0..=same).rev().find(|at| a.is_char_boundary(*at)).unwrap_or(0)
}

/// The byte at line `line`, column `column` of `text`, both counted from 1; columns are characters.
pub(super) fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text[start..].lines().next().unwrap_or_default();
    start + rest.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum::<usize>()
}
