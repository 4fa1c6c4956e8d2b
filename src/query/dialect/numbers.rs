//! Which whole numbers are not written in tens?
//!
//! `0x1F`, `0o17` and `0b101`, with `_` between digits, as in Postgres. sqlparser takes the first for bytes, which are written
//! `x'1F'`, and of the others the zero for a number and the rest for its name.

use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use crate::query::SqlMistake;

/// Puts each of them as the number that it is.
///
/// # Errors
/// One of them has a digit that is none, or none at all, or is too large.
pub(super) fn read(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, SqlMistake> {
    if !(0..tokens.len()).any(|at| begun(&tokens, at).is_some()) {
        return Ok(tokens);
    }
    let mut read = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let Some(mut written) = begun(&tokens, at) else {
            read.push(tokens[at].clone());
            at += 1;
            continue;
        };
        let mut span = tokens[at].span;
        at += 1;
        while let Some(next) = tokens.get(at).filter(|next| next.span.start == span.end)
            && let Some(more) = in_a_number(&next.token)
        {
            written.push_str(more);
            span.end = next.span.end;
            at += 1;
        }
        let number = value(&written).map_err(|mistake| mistake.at(span.start.line, span.start.column))?;
        read.push(TokenWithSpan { token: Token::Number(number.to_string(), false), span });
    }
    Ok(read)
}

/// How such a number begins, if one begins with this token.
fn begun(tokens: &[TokenWithSpan], at: usize) -> Option<String> {
    let TokenWithSpan { token, span } = tokens.get(at)?;
    match token {
        // With quotes it would be wider.
        Token::HexStringLiteral(digits) => {
            let width = span.end.column.checked_sub(span.start.column)?;
            let is_number = span.start.line == span.end.line && width == digits.len() as u64 + 2;
            is_number.then(|| format!("0x{digits}"))
        }
        Token::Number(zero, false) if zero == "0" => {
            let next = tokens.get(at + 1).filter(|next| next.span.start == span.end)?;
            let Token::Word(Word { value, quote_style: None, .. }) = &next.token else { return None };
            let is_of = value.starts_with(['b', 'B', 'o', 'O', 'X']);
            let digits = value.get(1..).filter(|_| is_of)?;
            let has_digits = digits.starts_with(|c: char| c.is_ascii_digit() || c == '_');
            let is_hex = value.starts_with('X') && digits.starts_with(|c: char| c.is_ascii_hexdigit());
            (has_digits || is_hex).then(|| zero.clone())
        }
        _ => None,
    }
}

/// The letters and digits of a token that goes on with a number.
fn in_a_number(token: &Token) -> Option<&str> {
    match token {
        Token::Word(Word { value, quote_style: None, .. }) => Some(value),
        Token::Number(digits, _) => Some(digits),
        _ => None,
    }
}

fn value(written: &str) -> Result<u128, SqlMistake> {
    let (base, named) = match written.as_bytes().get(1) {
        Some(b'x' | b'X') => (16, "0 to 9 and A to F"),
        Some(b'o' | b'O') => (8, "0 to 7"),
        _ => (2, "0 and 1"),
    };
    let digits = written.get(2..).unwrap_or_default();
    let wrong = |what: &str| SqlMistake::new("elt::sql::syntax", format!("`{written}` {what}"));
    let is_digit = |c: char| c == '_' || c.is_digit(base);
    let has_gaps = digits.ends_with('_') || digits.contains("__");
    if digits.trim_matches('_').is_empty() || has_gaps || !digits.chars().all(is_digit) {
        return Err(wrong("is no number").help(format!(
            "its digits are {named}, with one `_` between them at most; bytes are written in quotes: `x'1F'`"
        )));
    }
    u128::from_str_radix(&digits.replace('_', ""), base)
        .map_err(|_| wrong("is too large for a number").help("bytes are written in quotes: `x'1F'`"))
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;

    #[test]
    fn numbers_of_other_bases_are_numbers_and_bytes_are_bytes() {
        for (sql, means) in [
            ("select 0b101, 0B1", "SELECT 5, 1"),
            ("select 0x1F, 0X1f, x'1F'", "SELECT 31, 31, X'1F'"),
            ("select 0o17+1, -0x10", "SELECT 15 + 1, -16"),
            ("select 0x1_F, 0b1_0", "SELECT 31, 2"),
            ("select 0 b101, 0banana, a0b1, 10b1", "SELECT 0 AS b101, 0 AS banana, a0b1, 10 AS b1"),
            ("select '0b101', 0", "SELECT '0b101', 0"),
            ("select 0x8000000000000000", "SELECT 9223372036854775808"),
        ] {
            assert_eq!(parse_query(sql).map(|query| query.to_string()), Ok(means.to_owned()), "{sql}");
        }
        for sql in
            ["select 0b12", "select 1, 0x", "select 0x1G", "select 0o8", "select 0b1__0", "select 0x1_"]
        {
            let mistake = parse_query(sql).unwrap_err();
            assert!(mistake.message().ends_with("is no number"), "{sql}: {}", mistake.message());
            assert!(mistake.place().is_some(), "{sql}");
        }
    }
}
