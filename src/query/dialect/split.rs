//! Where does one statement end and the next begin?
//!
//! By tokens, so that a semicolon in a string, a quoted name, a comment or a dollar-quoted text ends nothing.

use std::ops::Range;

use sqlparser::tokenizer::{Location, Token, Tokenizer};

use super::EltDialect;

/// One statement of a text, without its semicolon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its text.
    pub sql: String,
    /// Where it stands in the whole text, in bytes.
    pub bytes: Range<usize>,
}

/// A text taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The statements that end in a semicolon, in order; empty ones are left out.
    pub complete: Vec<Piece>,
    /// What follows the last semicolon, if it is more than space and comments.
    pub rest: Option<Piece>,
    /// Whether the rest ends inside a string, a quoted name or a comment.
    pub open: bool,
}

impl Split {
    /// All statements, the last one whether or not a semicolon ends it.
    pub fn all(self) -> Vec<Piece> {
        self.complete.into_iter().chain(self.rest).collect()
    }
}

/// Takes a text apart into statements.
pub fn split(text: &str) -> Split {
    let mut tokens = Vec::new();
    let tokenized = Tokenizer::new(&EltDialect::default(), text).tokenize_with_location_into_buf(&mut tokens);
    let lines = LineStarts::of(text);
    let mut complete = Vec::new();
    let (mut start, mut meaningful) = (0, false);
    for token in &tokens {
        match &token.token {
            Token::SemiColon => {
                let at = lines.byte(text, token.span.start);
                if meaningful {
                    complete.push(piece(text, start..at));
                }
                (start, meaningful) = (at + 1, false);
            }
            Token::Whitespace(_) | Token::EOF => {}
            _ => meaningful = true,
        }
    }
    let open = tokenized.is_err();
    let rest = (meaningful || open).then(|| piece(text, start..text.len()));
    Split { complete, rest: rest.filter(|piece| !piece.sql.is_empty()), open }
}

fn piece(text: &str, bytes: Range<usize>) -> Piece {
    let whole = &text[bytes.clone()];
    let start = bytes.start + (whole.len() - whole.trim_start().len());
    let sql = whole.trim().to_owned();
    Piece { bytes: start..start + sql.len(), sql }
}

/// Turns the tokenizer's lines and columns, counted in characters, into bytes.
pub(in crate::query) struct LineStarts(Vec<usize>);

impl LineStarts {
    pub(in crate::query) fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    pub(in crate::query) fn byte(&self, text: &str, location: Location) -> usize {
        let line = usize::try_from(location.line).unwrap_or(1).max(1) - 1;
        let column = usize::try_from(location.column).unwrap_or(1).max(1) - 1;
        let start = self.0.get(line).copied().unwrap_or(text.len());
        start + text[start..].chars().take(column).map(char::len_utf8).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqls(text: &str) -> Vec<String> {
        split(text).all().into_iter().map(|piece| piece.sql).collect()
    }

    #[test]
    fn only_a_semicolon_between_tokens_ends_a_statement() {
        assert_eq!(sqls("select 1; select 2"), ["select 1", "select 2"]);
        assert_eq!(
            sqls("select ';' as \"a;b\" -- no; not here\n;;"),
            ["select ';' as \"a;b\" -- no; not here"]
        );
        assert_eq!(
            sqls("/* ; */ select $$;$$ as é ; select 'é';"),
            ["/* ; */ select $$;$$ as é", "select 'é'"]
        );
        assert_eq!(sqls("  -- nothing\n"), Vec::<String>::new());
    }

    #[test]
    fn an_open_string_leaves_the_text_open() {
        let half = split("select 1; select 'it");
        assert_eq!((half.complete.len(), half.open), (1, true));
        assert_eq!(half.rest.unwrap().sql, "select 'it");
        assert!(!split("select 1").open);
        assert!(split("select 1 /* so far").open);
    }

    #[test]
    fn pieces_know_where_they_stand() {
        let text = "select 'é';\n  select 2 ;";
        let pieces = split(text).all();
        assert_eq!(&text[pieces[1].bytes.clone()], "select 2");
    }
}
