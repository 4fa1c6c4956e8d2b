//! How does dbt's Jinja become what the library accepts?
//!
//! Four things are rewritten, always inside tags: list and dict literals become values that can
//! be changed in place (`{% do l.append(x) %}`), operators become calls where dates may be added
//! ([`arithmetic`]), `{% do … %}` takes any expression, and the headers of macros and tests lose their types. Every byte of the result remembers where it came from
//! ([`Prepared::origin`]), so that an error is shown in the file the user wrote.
//!
//! Templates that make SQL also get *marks*: invisible characters before each stretch of text,
//! which [`SourceMap`](crate::compile::source_map) reads off the output to tell which SQL came from where.

use std::ops::Range;

use super::arithmetic;
use super::pieces::{Piece, PieceKind, inside, pieces, trims, word};

/// Opens a mark; the byte offset in the file follows in decimal.
pub(crate) const MARK: char = '\u{F8F0}';
/// Closes the mark of a stretch of text.
pub(crate) const TEXT_MARK: char = '\u{F8F1}';
/// Closes the mark of an expression.
pub(crate) const TAG_MARK: char = '\u{F8F2}';

/// A template ready for the library, and the way back to the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Prepared {
    pub(super) text: String,
    steps: Vec<Step>,
}

/// From `out` on, the text came from `source` on (`moves`), or was made for what stands at `source`.
#[derive(Clone, Copy, Debug)]
struct Step {
    out: usize,
    source: usize,
    moves: bool,
}

impl Prepared {
    /// Prepares a whole template. `marked` is for templates whose output is SQL.
    pub(super) fn template(source: &str, marked: bool) -> Self {
        let mut prepared = Self::default();
        prepared.body(source, 0..source.len(), marked);
        prepared
    }

    /// Where in the file the byte `out` of the prepared text comes from.
    pub(super) fn origin(&self, out: usize) -> usize {
        let at = self.steps.partition_point(|step| step.out <= out);
        match at.checked_sub(1).map(|at| self.steps[at]) {
            Some(step) if step.moves => step.source + (out - step.out),
            Some(step) => step.source,
            None => 0,
        }
    }

    pub(super) fn copy(&mut self, source: &str, range: Range<usize>) {
        self.steps.push(Step { out: self.text.len(), source: range.start, moves: true });
        self.text.push_str(&source[range]);
    }

    pub(super) fn insert(&mut self, text: &str, source: usize) {
        self.steps.push(Step { out: self.text.len(), source, moves: false });
        self.text.push_str(text);
    }

    /// Prepares the part `range` of a file.
    pub(super) fn body(&mut self, source: &str, range: Range<usize>, marked: bool) {
        let pieces: Vec<Piece> = pieces(&source[range.clone()])
            .into_iter()
            .map(|p| Piece { kind: p.kind, at: p.at.start + range.start..p.at.end + range.start })
            .collect();
        // Inside a captured block the output is a value, which marks would change.
        let mut captured = 0usize;
        for (index, piece) in pieces.iter().enumerate() {
            let before = index.checked_sub(1).map(|before| &pieces[before]);
            let after = pieces.get(index + 1);
            let marks = marked && captured == 0;
            match piece.kind {
                PieceKind::Text if marks => self.marked_text(source, piece, before, after),
                PieceKind::Text | PieceKind::Comment => self.copy(source, piece.at.clone()),
                PieceKind::Expression | PieceKind::Raw => {
                    if marks && before.is_none_or(|before| before.kind != PieceKind::Text) {
                        self.mark(TAG_MARK, piece.at.start);
                    }
                    match piece.kind {
                        PieceKind::Raw => self.copy(source, piece.at.clone()),
                        _ => self.tag(source, &piece.at),
                    }
                }
                PieceKind::Statement => {
                    captured = captured.saturating_add_signed(capture(source, &piece.at));
                    self.statement(source, &piece.at);
                }
            }
        }
    }

    fn mark(&mut self, kind: char, at: usize) {
        self.insert(&format!("{MARK}{at}{kind}"), at);
    }

    /// Text with a mark before it, and one after it for the expression that follows. Blanks that a
    /// tag's `-` swallows are left out here, as a mark would keep them from it.
    fn marked_text(&mut self, source: &str, text: &Piece, before: Option<&Piece>, after: Option<&Piece>) {
        let (mut start, mut end) = (text.at.start, text.at.end);
        if after.is_some_and(|after| trims(source, &after.at).0) {
            end = start + source[start..end].trim_end().len();
        }
        if before.is_some_and(|before| trims(source, &before.at).1) {
            start = end - source[start..end].trim_start().len();
        }
        if start < end {
            self.mark(TEXT_MARK, start);
            self.copy(source, start..end);
        }
        if let Some(after) = after.filter(|after| makes_text(after)) {
            self.mark(TAG_MARK, after.at.start);
        }
    }

    fn tag(&mut self, source: &str, tag: &Range<usize>) {
        let inside = inside(source, tag);
        self.copy(source, tag.start..inside.start);
        self.expression(source, inside.clone());
        self.copy(source, inside.end..tag.end);
    }

    fn statement(&mut self, source: &str, tag: &Range<usize>) {
        let word = word(source, tag);
        let body = inside(source, tag);
        let blanks = source[body.clone()].len() - source[body.clone()].trim_start().len();
        let rest = body.start + blanks + word.len()..body.end;
        match word {
            "do" => {
                self.copy(source, tag.start..body.start + blanks);
                self.insert("set __do =", body.start + blanks);
                self.expression(source, rest);
                self.copy(source, body.end..tag.end);
            }
            "set" => match equals_sign(&source[rest.clone()]) {
                Some(at) if !has_top_comma(&source[rest.start + at + 1..rest.end]) => {
                    let value = rest.start + at + 1;
                    self.copy(source, tag.start..value);
                    self.insert(" __own(", value);
                    self.expression(source, value..rest.end);
                    self.insert(") ", rest.end);
                    self.copy(source, body.end..tag.end);
                }
                _ => self.tag(source, tag),
            },
            // Jinja lets a colon stand at the end, as Python has it.
            "if" | "elif" | "else" | "for" if source[body.clone()].trim_end().ends_with(':') => {
                let colon = body.start + source[body.clone()].trim_end().len() - 1;
                self.copy(source, tag.start..body.start);
                self.expression(source, body.start..colon);
                self.copy(source, body.end..tag.end);
            }
            _ => self.tag(source, tag),
        }
    }

    /// Rewrites one expression: list and dict literals, no-break spaces, unary plus.
    pub(super) fn expression(&mut self, source: &str, range: Range<usize>) {
        let mut closers: Vec<&'static str> = Vec::new();
        let (mut after_value, mut after_string) = (false, false);
        let mut edits = arithmetic::edits(source, range.clone()).into_iter().peekable();
        let mut close_at: Option<usize> = None;
        let (mut at, mut copied) = (range.start, range.start);
        loop {
            while let Some(edit) = edits.next_if(|edit| edit.at <= at) {
                self.copy(source, copied..at);
                self.insert(&edit.text, at);
                copied = at + edit.skip;
                if edit.skip > 0 {
                    (after_value, after_string) = (false, false);
                    at = copied;
                }
            }
            let rest = &source[at..range.end];
            let Some(c) = rest.chars().next() else { break };
            let mut end = at + c.len_utf8();
            let mut replacement = None;
            match c {
                '\u{a0}' => replacement = Some(" "),
                c if c.is_whitespace() => {}
                '"' | '\'' => {
                    end = at + string_length(rest);
                    after_value = true;
                }
                c if c.is_alphanumeric() || c == '_' => {
                    let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                    end = at + length;
                    after_value = !KEYWORDS.contains(&&rest[..length]);
                }
                '[' | '{' | '(' => {
                    let literal = c != '(' && !after_value;
                    closers.push(match (c, literal) {
                        ('[', true) => "])",
                        ('{', _) => "})",
                        ('[', false) => "]",
                        _ => ")",
                    });
                    // A word may stand before it without a blank: `x in['a']`.
                    let is_word = |c: char| c.is_alphanumeric() || c == '_';
                    let is_close = source[range.start..at].ends_with(is_word);
                    replacement = match (c, literal) {
                        ('[', true) if is_close => Some(" __list(["),
                        ('[', true) => Some("__list(["),
                        ('{', _) if is_close => Some(" __dict({"),
                        ('{', _) => Some("__dict({"),
                        _ => None,
                    };
                    after_value = false;
                }
                ']' | '}' | ')' => {
                    replacement = closers.pop().filter(|closer| closer.len() > 1);
                    after_value = true;
                }
                '+' if !after_value => replacement = Some(" "),
                '%' if after_string => {
                    replacement = Some("|__format");
                    after_value = true;
                    let next = source[end..range.end].trim_start();
                    if !next.starts_with('(') {
                        replacement = Some("|__format(");
                        let blanks = source[end..range.end].len() - next.len();
                        close_at = Some(end + blanks + operand_length(next));
                    }
                }
                _ => after_value = false,
            }
            after_string = matches!(c, '"' | '\'') || (after_string && c.is_whitespace());
            if let Some(text) = replacement {
                self.copy(source, copied..at);
                self.insert(text, at);
                copied = end;
            }
            if close_at.is_some_and(|close| end >= close) {
                close_at = None;
                self.copy(source, copied..end);
                self.insert(")", end);
                copied = end;
            }
            at = end;
        }
        self.copy(source, copied..range.end.max(copied));
    }
}

/// Length of the operand that `text` begins with: a name with its attributes, calls and indexes, or a literal.
fn operand_length(text: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' | '\'' => {
                at += string_length(&text[at..]);
                continue;
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            c if depth == 0 && !(c.is_alphanumeric() || matches!(c, '_' | '.')) => break,
            _ => {}
        }
        at += c.len_utf8();
    }
    at.max(1).min(text.len())
}

/// Words after which `[` begins a list and not an index.
const KEYWORDS: &[&str] = &[
    "in",
    "not",
    "and",
    "or",
    "is",
    "if",
    "else",
    "elif",
    "for",
    "set",
    "do",
    "call",
    "filter",
    "with",
    "recursive",
];

/// Whether the piece puts something out that is not the text of the file.
fn makes_text(piece: &Piece) -> bool {
    matches!(piece.kind, PieceKind::Expression | PieceKind::Raw)
}

/// How a statement changes the number of open blocks whose output is captured.
fn capture(source: &str, tag: &Range<usize>) -> isize {
    let word = word(source, tag);
    match word {
        "call" | "filter" | "macro" => 1,
        "set" => {
            let body = &source[inside(source, tag)];
            let rest = body.trim_start().strip_prefix("set").unwrap_or_default();
            isize::from(equals_sign(rest).is_none())
        }
        "endcall" | "endfilter" | "endmacro" | "endset" => -1,
        _ => 0,
    }
}

/// Length of the string literal that `text` begins with, quotes included.
pub(super) fn string_length(text: &str) -> usize {
    let mut chars = text.char_indices();
    let Some((_, quote)) = chars.next() else { return 0 };
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Calls `see` with every character of `text` that stands outside strings and brackets, until it says stop.
fn scan_top(text: &str, mut see: impl FnMut(usize, char) -> bool) {
    let (mut at, mut depth) = (0, 0usize);
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' | '\'' => {
                at += string_length(&text[at..]);
                continue;
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            c if depth == 0 && see(at, c) => return,
            _ => {}
        }
        at += c.len_utf8();
    }
}

/// The `=` of `x = …`, if the statement has one.
pub(super) fn equals_sign(text: &str) -> Option<usize> {
    let mut found = None;
    scan_top(text, |at, c| {
        if c == '=' {
            found = Some(at);
        }
        c == '='
    });
    found
}

/// The byte offsets of the commas outside strings and brackets.
pub(super) fn top_commas(text: &str) -> Vec<usize> {
    let mut commas = Vec::new();
    scan_top(text, |at, c| {
        if c == ',' {
            commas.push(at);
        }
        false
    });
    commas
}

fn has_top_comma(text: &str) -> bool {
    !top_commas(text).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_become_changeable_and_indexes_stay() {
        for (written, prepared) in [
            ("{% set l = [1, x[0]] %}", "{% set l = __own( __list([1, x[0]]) ) %}"),
            (
                "{% do l.append({'a': []}) if x %}",
                "{% set __do = l.append(__dict({'a': __list([])})) if x %}",
            ),
            ("{% for a in ['[', \"{\"] -%}", "{% for a in __list(['[', \"{\"]) -%}"),
            ("{% set a, b = 1, 2 %}", "{% set a, b = 1, 2 %}"),
            ("{% set x %}[1]{% endset %}", "{% set x %}[1]{% endset %}"),
            ("{{ f(+1, a=[2])[1:] }}", "{{ f( 1, a=__list([2]))[1:] }}"),
            (
                "{{ (a + modules.datetime.timedelta(days=(1))).date() }}",
                "{{ (__plus(a , modules.datetime.timedelta(days=(1)))).date() }}",
            ),
            ("{{ '%s-%s' % (a, b) }}", "{{ '%s-%s' |__format (a, b) }}"),
            ("{{ '%s' % a.b ~ 'x' }}", "{{ '%s' |__format( a.b) ~ 'x' }}"),
        ] {
            assert_eq!(Prepared::template(written, false).text, prepared);
        }
    }

    #[test]
    fn every_byte_knows_where_it_came_from() {
        let source = "select {{ [1] }} from {{ boom }}";
        let prepared = Prepared::template(source, true);
        let boom = prepared.text.find("boom").unwrap();
        assert_eq!(prepared.origin(boom), source.find("boom").unwrap());
        assert_eq!(prepared.origin(prepared.text.len()), source.len());
    }

    #[test]
    fn marks_stay_out_of_captured_blocks_and_of_swallowed_blanks() {
        let marked = |source| {
            Prepared::template(source, true).text.replace(MARK, "<").replace([TEXT_MARK, TAG_MARK], ">")
        };
        assert_eq!(marked("a {{ x }} b"), "<0>a <2>{{ x }}<9> b");
        assert_eq!(marked("{% set y %}in{% endset %}{{ y }}"), "{% set y %}in{% endset %}<25>{{ y }}");
        assert_eq!(marked("{% if x -%}  a  {%- endif %}"), "{% if x -%}<13>a{%- endif %}");
        assert_eq!(marked("{{ x }}  {{- y -}} "), "<0>{{ x }}<9>{{- y -}}");
    }
}
