//! How else can the type of a struct or a map be written?
//!
//! `struct(a int, b varchar)` of DuckDB and `map<k, v>` of Spark, as `struct<a int, b varchar>` and `map(k, v)`, which the
//! parser knows.

use sqlparser::tokenizer::{Token, TokenWithSpan};

type Tokens = Vec<TokenWithSpan>;

/// Puts them into the parser's words.
pub(super) fn spell(mut tokens: Tokens) -> Tokens {
    let solid = |tokens: &Tokens| -> Vec<usize> {
        (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect()
    };
    let at = solid(&tokens);
    let mut place = 0;
    while place + 1 < at.len() {
        let open = at[place + 1];
        let bounds = match (&tokens[open].token, word(&tokens[at[place]])) {
            (Token::LParen, Some("struct")) if is_field(&tokens, &at[place + 2..]) => {
                closed(&tokens, &at[place + 1..]).map(|close| (close, Token::Lt, Token::Gt))
            }
            _ => None,
        };
        if let Some((close, begins, ends)) = bounds {
            (tokens[open].token, tokens[close].token) = (begins, ends);
        }
        place += 1;
    }
    maps(&mut tokens);
    tokens
}

/// A word without quotes, in lower case, if it is one of those that matter.
fn word(token: &TokenWithSpan) -> Option<&'static str> {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => {
            ["struct", "map", "array"].into_iter().find(|known| word.value.eq_ignore_ascii_case(known))
        }
        _ => None,
    }
}

/// Whether `name type` comes next, and no expression.
fn is_field(tokens: &Tokens, next: &[usize]) -> bool {
    let word = |at: usize| match next.get(at).map(|index| &tokens[*index].token) {
        Some(Token::Word(word)) => Some(word),
        _ => None,
    };
    let (Some(name), Some(data_type)) = (word(0), word(1)) else { return false };
    let is = |word: &sqlparser::tokenizer::Word, words: &[&str]| {
        word.quote_style.is_none() && words.iter().any(|known| word.value.eq_ignore_ascii_case(known))
    };
    let begins = ["case", "not", "distinct", "exists", "interval", "select", "cast", "with"];
    let goes_on = [
        "as", "is", "in", "like", "ilike", "and", "or", "between", "not", "over", "at", "collate", "div",
        "glob",
    ];
    !is(name, &begins) && !is(data_type, &goes_on)
}

/// The bracket that closes the first.
fn closed(tokens: &Tokens, from: &[usize]) -> Option<usize> {
    let mut depth = 0_i32;
    for index in from {
        match tokens[*index].token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(*index);
        }
    }
    None
}

/// `map<k, v>` with brackets.
fn maps(tokens: &mut Tokens) {
    // `>>` closes two; apart, each can close what it belongs to.
    let is_typed = tokens.windows(2).any(|pair| word(&pair[0]).is_some() && pair[1].token == Token::Lt);
    if !is_typed {
        return;
    }
    let mut open: Vec<(usize, bool)> = Vec::new();
    let mut out: Tokens = Vec::with_capacity(tokens.len());
    for token in tokens.drain(..) {
        let before = out.iter().rev().find(|token| !matches!(token.token, Token::Whitespace(_)));
        let named = before.and_then(word);
        match &token.token {
            Token::Lt if named.is_some() => {
                open.push((out.len(), named == Some("map")));
                out.push(token);
            }
            Token::Gt | Token::ShiftRight if !open.is_empty() => {
                let count = if token.token == Token::Gt { 1 } else { 2 };
                for _ in 0..count {
                    let mut close = TokenWithSpan { token: Token::Gt, span: token.span };
                    if let Some((start, true)) = open.pop() {
                        out[start].token = Token::LParen;
                        close.token = Token::RParen;
                    }
                    out.push(close);
                }
            }
            _ => out.push(token),
        }
    }
    *tokens = out;
}

#[cfg(test)]
mod tests {
    use super::super::statement::{parse_query, tokenize};
    use super::*;

    #[test]
    fn types_are_spelled_as_the_parser_knows_them() {
        let said = |sql: &str| {
            spell(tokenize(sql).unwrap()).iter().map(|token| token.to_string()).collect::<String>()
        };
        for (sql, means) in [
            ("create table t (m map<int, array<int>>)", "create table t (m map(int, array<int>))"),
            (
                "create table t (s struct(a int, m map<int,int>))",
                "create table t (s struct<a int, m map(int,int)>)",
            ),
            ("create table t (s array<struct(a int)>)", "create table t (s array<struct<a int>>)"),
            ("select x::struct(a int)", "select x::struct<a int>"),
            (
                "select struct(a, b), struct(1 as a), a < b, a >> 2",
                "select struct(a, b), struct(1 as a), a < b, a >> 2",
            ),
        ] {
            assert_eq!(said(sql), means);
        }
        assert!(parse_query("select x::struct(a int, b varchar), y::map<int, varchar>").is_ok());
    }
}
