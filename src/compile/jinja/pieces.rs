//! Where are the tags in a template?
//!
//! [`pieces`] cuts a template into text, expressions, statements, comments and raw blocks, by the
//! rules of Jinja's own lexer: a tag ends outside strings and brackets.

use std::ops::Range;

/// A part of a template; the parts of one template follow each other without gaps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) kind: PieceKind,
    /// The whole part, delimiters included.
    pub(super) at: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// Text that is put out as it is.
    Text,
    /// `{{ … }}`
    Expression,
    /// `{% … %}`
    Statement,
    /// `{# … #}`
    Comment,
    /// `{% raw %} … {% endraw %}`
    Raw,
}

/// Cuts `source` into pieces. A tag that is never closed counts as text, and Jinja will say so.
pub(super) fn pieces(source: &str) -> Vec<Piece> {
    let mut all = Vec::new();
    let (mut text_from, mut at) = (0, 0);
    while let Some(start) = source[at..].find('{').map(|found| at + found) {
        let (kind, close) = match source.as_bytes().get(start + 1) {
            Some(b'{') => (PieceKind::Expression, "}}"),
            Some(b'%') => (PieceKind::Statement, "%}"),
            Some(b'#') => (PieceKind::Comment, "#}"),
            _ => {
                at = start + 1;
                continue;
            }
        };
        let end = match kind {
            PieceKind::Comment => source[start..].find(close).map(|found| start + found + 2),
            _ => tag_end(source, start + 2, close),
        };
        let Some(end) = end else { break };
        let is_raw = kind == PieceKind::Statement && word(source, &(start..end)) == "raw";
        let (kind, end) = if is_raw { (PieceKind::Raw, raw_end(source, end)) } else { (kind, end) };
        if text_from < start {
            all.push(Piece { kind: PieceKind::Text, at: text_from..start });
        }
        all.push(Piece { kind, at: start..end });
        (text_from, at) = (end, end);
    }
    if text_from < source.len() {
        all.push(Piece { kind: PieceKind::Text, at: text_from..source.len() });
    }
    all
}

/// What stands between the delimiters of a tag, without `-` and `+` at its ends.
pub(super) fn inside(source: &str, tag: &Range<usize>) -> Range<usize> {
    let text = &source[tag.clone()];
    let start = if text[2..].starts_with(['-', '+']) { 3 } else { 2 };
    let end = text.len() - 2;
    let end = if end > start && text[..end].ends_with(['-', '+']) { end - 1 } else { end };
    tag.start + start..tag.start + end.max(start)
}

/// The first word of a statement: `if`, `endmacro`.
pub(super) fn word<'a>(source: &'a str, tag: &Range<usize>) -> &'a str {
    let text = source[inside(source, tag)].trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Whether the tag swallows the blanks before it, and those after it.
pub(super) fn trims(source: &str, tag: &Range<usize>) -> (bool, bool) {
    let text = &source[tag.clone()];
    let after = text.len() > 5 && ["-}}", "-%}", "-#}"].iter().any(|end| text.ends_with(end));
    let before = ["{{-", "{%-", "{#-"].iter().any(|start| text.starts_with(start));
    (before, after)
}

/// One past `close`, which must stand outside strings and braces.
fn tag_end(source: &str, from: usize, close: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    let (mut at, mut quote, mut depth) = (from, None, 0usize);
    while at < bytes.len() {
        let byte = bytes[at];
        match quote {
            Some(_) if byte == b'\\' => at += 1,
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if depth == 0 && source.is_char_boundary(at) && source[at..].starts_with(close) => {
                return Some(at + 2);
            }
            None => match byte {
                b'"' | b'\'' => quote = Some(byte),
                b'{' => depth += 1,
                b'}' => depth = depth.saturating_sub(1),
                _ => {}
            },
        }
        at += 1;
    }
    None
}

fn raw_end(source: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(start) = source[at..].find("{%").map(|found| at + found) {
        let Some(end) = source[start..].find("%}").map(|found| start + found + 2) else { break };
        if word(source, &(start..end)) == "endraw" {
            return end;
        }
        at = start + 2;
    }
    source.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_end_outside_strings_and_braces() {
        let source =
            "a {{ {'x': {'y': '}}'}} }} b{# {{ no }} #}{% raw %}{{ x }}{% endraw %}{%- if x -%}{ {{ open";
        let cut: Vec<(PieceKind, &str)> =
            pieces(source).into_iter().map(|piece| (piece.kind, &source[piece.at])).collect();
        assert_eq!(
            cut,
            [
                (PieceKind::Text, "a "),
                (PieceKind::Expression, "{{ {'x': {'y': '}}'}} }}"),
                (PieceKind::Text, " b"),
                (PieceKind::Comment, "{# {{ no }} #}"),
                (PieceKind::Raw, "{% raw %}{{ x }}{% endraw %}"),
                (PieceKind::Statement, "{%- if x -%}"),
                (PieceKind::Text, "{ {{ open"),
            ]
        );
        let tag = source.find("{%- if").unwrap()..source.find("{ {{ open").unwrap();
        assert_eq!((word(source, &tag), trims(source, &tag)), ("if", (true, true)));
    }
}
