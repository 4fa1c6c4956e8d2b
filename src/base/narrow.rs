//! How is a long line of a text shown on a narrow terminal?
//!
//! Cut on both sides of what is wrong, with `…` where something is left out. Line and column are told as they are in the text.

use std::fmt;

use miette::{
    Diagnostic, LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents,
};

/// What stands in front of a line, and cells that are left free behind it.
const MARGIN: usize = 7;
/// Cells for the words under the line.
const WORDS: usize = 12;

/// A diagnostic whose text fits into so many cells.
pub struct Narrowed<'a> {
    inner: &'a dyn Diagnostic,
    cut: Option<Cut>,
}

/// The lines of a text, cut, with the place of what is wrong in them.
struct Cut {
    name: Option<String>,
    text: String,
    label: LabeledSpan,
    /// The column in the whole line, counted from 0.
    column: usize,
}

impl<'a> Narrowed<'a> {
    /// So many cells have lines where no terminal says how many.
    pub const LINE: usize = 1_000;

    /// The diagnostic with its lines cut to `width` cells, if one that is shown is longer. A diagnostic with several places stays
    /// as it is.
    pub fn to(inner: &'a dyn Diagnostic, width: usize) -> Self {
        Self { inner, cut: cut(inner, width.saturating_sub(MARGIN).max(2 * WORDS)) }
    }
}

fn cut(inner: &dyn Diagnostic, width: usize) -> Option<Cut> {
    let source = inner.source_code()?;
    let labels: Vec<LabeledSpan> = inner.labels()?.collect();
    let [label] = labels.as_slice() else { return None };
    let shown = source.read_span(label.inner(), 1, 1).ok()?;
    let lines = |data: &[u8]| String::from_utf8_lossy(data).into_owned();
    let near = lines(shown.data());
    if near.lines().all(|line| line.chars().count() <= width) {
        return None;
    }
    let own = source.read_span(label.inner(), 0, 0).ok()?;
    let (line, column) = (own.line(), own.column());
    // Lines that are not shown only count.
    let mut text = "\n".repeat(shown.line());
    let mut at = text.len()..text.len();
    for (number, whole) in near.lines().enumerate() {
        let number = shown.line() + number;
        if number != line {
            text += &windowed(whole, 0, 0, width).0;
        } else {
            let before = whole.get(..column).map_or(column, |before| before.chars().count());
            let wrong = whole.get(column..).unwrap_or_default();
            let wrong = wrong.get(..label.len()).unwrap_or(wrong).chars().count();
            let (shown, start, length) = windowed(whole, before, wrong, width);
            at = text.len() + start..text.len() + start + length;
            text += &shown;
        }
        text.push('\n');
    }
    let words = label.label().map(str::to_owned);
    let label = LabeledSpan::new_primary_with_span(words, SourceSpan::from(at));
    Some(Cut { name: own.name().map(str::to_owned), text, label, column })
}

/// So much of a line as fits, around `length` characters from the one at `start`; and where these are then, in bytes.
fn windowed(line: &str, start: usize, length: usize, width: usize) -> (String, usize, usize) {
    let chars: Vec<char> = line.chars().collect();
    let fits = chars.len() <= width && start + length / 2 + WORDS <= width + chars.len();
    let first = match fits || start + length.min(width / 2) + WORDS <= width {
        true => 0,
        false => start.saturating_sub(width / 3).min(start),
    };
    let room = width - usize::from(first > 0);
    let is_cut = chars.len() - first > room;
    let last = if is_cut { first + room - 1 } else { chars.len() };
    let mut shown = String::new();
    if first > 0 {
        shown.push('…');
    }
    let (mut from, mut to) = (shown.len(), shown.len());
    for (at, c) in chars.iter().enumerate().take(last).skip(first) {
        if at == start {
            from = shown.len();
        }
        shown.push(*c);
        if at < start + length {
            to = shown.len();
        }
    }
    if is_cut {
        shown.push('…');
    }
    (shown, from, to.saturating_sub(from))
}

impl SourceCode for Cut {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let read = self.text.read_span(span, before, after)?;
        let column = if span == self.label.inner() && before == 0 { self.column } else { read.column() };
        let (data, at, line, count) = (read.data(), *read.span(), read.line(), read.line_count());
        Ok(Box::new(match &self.name {
            Some(name) => MietteSpanContents::new_named(name.clone(), data, at, line, column, count),
            None => MietteSpanContents::new(data, at, line, column, count),
        }))
    }
}

impl fmt::Debug for Narrowed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.inner, f)
    }
}

impl fmt::Display for Narrowed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.inner, f)
    }
}

impl std::error::Error for Narrowed<'_> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source()
    }
}

impl Diagnostic for Narrowed<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.inner.code()
    }

    fn severity(&self) -> Option<miette::Severity> {
        self.inner.severity()
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.inner.help()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        match &self.cut {
            Some(cut) => Some(cut),
            None => self.inner.source_code(),
        }
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        match &self.cut {
            Some(cut) => Some(Box::new(std::iter::once(cut.label.clone()))),
            None => self.inner.labels(),
        }
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        self.inner.related()
    }

    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        self.inner.diagnostic_source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Diagnostic as Told, SourceText};

    #[test]
    fn a_line_is_cut_around_what_is_wrong_and_says_so() {
        let line = format!("select {} nope, {} from t", "a, ".repeat(40), "b, ".repeat(40));
        let text = SourceText::new("q.sql", &format!("-- first\n{line}\n"));
        let at = text.text.find("nope").unwrap();
        let told = Told::error("elt::x", "there is no `nope`").at(&text.span(at..at + 4), "here");
        let narrowed = Narrowed::to(&told, 60);
        let source = narrowed.source_code().unwrap();
        let label = narrowed.labels().unwrap().next().unwrap();
        let own = source.read_span(label.inner(), 0, 0).unwrap();
        assert_eq!((own.line(), own.column()), (1, at - "-- first\n".len()));
        assert_eq!(own.data(), b"nope");
        let near = source.read_span(label.inner(), 1, 1).unwrap();
        let near = String::from_utf8(near.data().to_vec()).unwrap();
        let shown = near.lines().nth(1).unwrap();
        assert!(shown.starts_with('…') && shown.ends_with('…') && shown.chars().count() <= 53, "{shown}");
        let whole = Narrowed::to(&told, 400);
        assert_eq!(whole.labels().unwrap().next().unwrap().offset(), at);
    }

    #[test]
    fn a_window_keeps_what_is_wrong() {
        let line = "0123456789".repeat(10);
        assert_eq!(windowed("short", 1, 2, 40), ("short".to_owned(), 1, 2));
        let (shown, start, length) = windowed(&line, 3, 4, 40);
        assert_eq!((&shown[start..start + length], shown.chars().count()), ("3456", 40));
        let (shown, start, length) = windowed(&line, 93, 4, 40);
        assert_eq!(&shown[start..start + length], "3456");
        assert!(shown.starts_with('…') && !shown.ends_with('…'), "{shown}");
        let (shown, start, length) = windowed(&line, 10, 80, 40);
        assert!(shown[start..start + length].starts_with("0123") && shown.chars().count() <= 40, "{shown}");
    }
}
