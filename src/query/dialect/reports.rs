//! What if a query reads what DESCRIBE, SHOW or SUMMARIZE tells?
//!
//! `from (describe t) where null = 'NO'`. The reports are told first; the query then reads their rows by names that nobody else
//! has. Its text stays as long as it was where it can, so that mistakes are told where they are.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::LineStarts;

/// A query of reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reports {
    /// The query, with a name in the place of each report.
    pub sql: String,
    /// The names, and the statements that tell the rows.
    pub told: Vec<(String, String)>,
}

impl Reports {
    /// The reports that stand in brackets where a table could; nothing if there are none.
    pub(super) fn within(sql: &str, tokens: &[TokenWithSpan]) -> Option<Self> {
        let is_solid = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::EOF);
        let solid: Vec<&TokenWithSpan> = tokens.iter().filter(is_solid).collect();
        let word = |at: usize| match solid.get(at).map(|token| &token.token) {
            Some(Token::Word(word)) if word.quote_style.is_none() => word.value.to_lowercase(),
            _ => String::new(),
        };
        if !matches!(word(0).as_str(), "select" | "with" | "from" | "summarize") {
            return None;
        }
        let lines = LineStarts::of(sql);
        let place = |at: usize| lines.byte(sql, solid[at].span.start);
        let (mut text, mut told, mut copied) = (String::new(), Vec::new(), 0);
        let mut at = 1;
        while at + 2 < solid.len() {
            let is_table = match &solid[at - 1].token {
                Token::Word(before) => matches!(before.keyword, Keyword::FROM | Keyword::JOIN),
                before => *before == Token::Comma,
            };
            let is_report = is_table
                && solid[at].token == Token::LParen
                && matches!(word(at + 1).as_str(), "describe" | "desc" | "show" | "summarize" | "summarise")
                && solid[at + 2].token != Token::RParen
                && solid[at + 2].token != Token::Comma;
            let Some(close) = is_report.then(|| closing(&solid, at)).flatten() else {
                at += 1;
                continue;
            };
            let (from, to) = (place(at + 1), place(close));
            let name = format!("_elt_{}", told.len() + 1);
            text.push_str(&sql[copied..from]);
            let read = format!("from {name}");
            let width = to - from;
            text.push_str(&format!("{read:<width$}"));
            told.push((name, sql[from..to].trim().to_owned()));
            copied = to;
            at = close;
        }
        text.push_str(&sql[copied..]);
        (!told.is_empty()).then_some(Self { sql: text, told })
    }
}

/// The bracket that closes the one at `open`.
fn closing(solid: &[&TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in solid.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::statement::tokenize;
    use super::*;

    #[test]
    fn reports_are_found_where_tables_stand() {
        let found = |sql: &str| Reports::within(sql, &tokenize(sql).unwrap());
        let reports = found("select name from (show all tables) s join (describe t) d on true").unwrap();
        assert_eq!(reports.sql, "select name from (from _elt_1    ) s join (from _elt_2) d on true");
        assert_eq!(
            reports.told,
            [("_elt_1".into(), "show all tables".into()), ("_elt_2".into(), "describe t".into())]
        );
        for sql in
            ["select a from (select 1)", "select (desc) from t", "select a, (show) from t", "describe t"]
        {
            assert_eq!(found(sql), None, "{sql}");
        }
    }
}
