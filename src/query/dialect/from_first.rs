//! What does `from t` mean without a `select`?
//!
//! `select * from t`. The parser takes `from t` alone, and nothing after it. So the words are put in before it reads
//! them, wherever a query can begin and no `select` follows on the same level: `from t where x > 1 order by x`.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Puts `SELECT *` before each `FROM` that begins a query and has no `SELECT` of its own.
pub(super) fn select_all(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let solid: Vec<usize> =
        (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect();
    let begins: Vec<usize> = (0..solid.len())
        .filter(|at| keyword(&tokens[solid[*at]]) == Keyword::FROM)
        .filter(|at| begins_a_query(&tokens, &solid[..*at]) && !has_select(&tokens, &solid[at + 1..]))
        .map(|at| solid[at])
        .collect();
    if begins.is_empty() {
        return tokens;
    }
    let mut out = Vec::with_capacity(tokens.len() + 2 * begins.len());
    for (at, token) in tokens.into_iter().enumerate() {
        if begins.contains(&at) {
            for put_in in [Token::make_keyword("SELECT"), Token::Mul] {
                out.push(TokenWithSpan { token: put_in, span: token.span });
            }
        }
        out.push(token);
    }
    out
}

fn keyword(token: &TokenWithSpan) -> Keyword {
    match &token.token {
        Token::Word(word) => word.keyword,
        _ => Keyword::NoKeyword,
    }
}

/// Whether a query can begin after these tokens.
pub(super) fn begins_a_query(tokens: &[TokenWithSpan], before: &[usize]) -> bool {
    let Some(last) = before.last().map(|at| &tokens[*at]) else { return true };
    match &last.token {
        // `trim(from x)` and `extract(from x)` are no SQL; `in (from t)` and `exists (from t)` are.
        Token::LParen | Token::SemiColon => true,
        Token::RParen => closes_a_cte(tokens, before) || is_inserted_into(tokens, before),
        Token::Word(word) => match word.keyword {
            Keyword::UNION
            | Keyword::EXCEPT
            | Keyword::INTERSECT
            | Keyword::EXPLAIN
            | Keyword::ANALYZE
            | Keyword::VERBOSE
            | Keyword::DESCRIBE
            | Keyword::DESC
            | Keyword::AS => true,
            Keyword::ALL | Keyword::DISTINCT => follows_a_set_operator(tokens, before, 1),
            Keyword::NAME => {
                let by = before.iter().rev().nth(1).is_some_and(|at| keyword(&tokens[*at]) == Keyword::BY);
                by && follows_a_set_operator(tokens, before, 2)
            }
            _ if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("summarize") => true,
            _ => is_inserted_into(tokens, before),
        },
        _ => false,
    }
}

/// Whether these are `insert into t`, perhaps with columns or `by name`, and nothing that gives rows yet.
fn is_inserted_into(tokens: &[TokenWithSpan], before: &[usize]) -> bool {
    let begin = before.iter().rposition(|at| tokens[*at].token == Token::SemiColon).map_or(0, |at| at + 1);
    let words = || before[begin..].iter().map(|at| keyword(&tokens[*at]));
    let gives = |word| matches!(word, Keyword::SELECT | Keyword::VALUES | Keyword::FROM | Keyword::WHERE);
    before.len() - begin > 2 && words().next() == Some(Keyword::INSERT) && !words().any(gives)
}

/// Whether the bracket that ends here is a CTE's: it began after `as`, or after `as materialized`, and has more in it than names,
/// as in `explode(m) as (k, v)`.
fn closes_a_cte(tokens: &[TokenWithSpan], before: &[usize]) -> bool {
    let mut depth = 0_usize;
    for (at, index) in before.iter().enumerate().rev() {
        match tokens[*index].token {
            Token::RParen => depth += 1,
            Token::LParen => {
                depth -= 1;
                if depth == 0 {
                    let before_it = at.checked_sub(1).map(|at| keyword(&tokens[before[at]]));
                    let inside = &before[at + 1..before.len() - 1];
                    let is_name = |(place, index): (usize, &usize)| match tokens[*index].token {
                        Token::Word(_) => place % 2 == 0,
                        Token::Comma => place % 2 == 1,
                        _ => false,
                    };
                    let are_names = inside.iter().enumerate().all(is_name);
                    return matches!(before_it, Some(Keyword::AS | Keyword::MATERIALIZED)) && !are_names;
                }
            }
            _ => {}
        }
    }
    false
}

fn follows_a_set_operator(tokens: &[TokenWithSpan], before: &[usize], back: usize) -> bool {
    let words = before.iter().rev().skip(back).take(2).map(|at| keyword(&tokens[*at]));
    words.into_iter().any(|word| matches!(word, Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT))
}

/// Whether a `select` stands in what follows, before the query ends.
fn has_select(tokens: &[TokenWithSpan], after: &[usize]) -> bool {
    let mut depth = 0_usize;
    for at in after {
        match &tokens[*at].token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return false,
            Token::RParen => depth -= 1,
            Token::SemiColon => return false,
            Token::Word(word) if depth == 0 => match word.keyword {
                Keyword::SELECT => return true,
                Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT => return false,
                _ => {}
            },
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;

    #[test]
    fn a_query_may_begin_with_from() {
        for (sql, means) in [
            ("from t where a = 1", "SELECT * FROM t WHERE a = 1"),
            ("from t order by a limit 3", "SELECT * FROM t ORDER BY a LIMIT 3"),
            ("from t", "SELECT * FROM t"),
            ("from t union all from u", "SELECT * FROM t UNION ALL SELECT * FROM u"),
            ("from t union by name from u", "SELECT * FROM t UNION BY NAME SELECT * FROM u"),
            ("from t union all by name from u", "SELECT * FROM t UNION ALL BY NAME SELECT * FROM u"),
            ("select a from t union select name from u", "SELECT a FROM t UNION SELECT name FROM u"),
            ("with a as (from t where b) from a", "WITH a AS (SELECT * FROM t WHERE b) SELECT * FROM a"),
            ("select 1 from t where a in (from u)", "SELECT 1 FROM t WHERE a IN (SELECT * FROM u)"),
            ("from (from t where a) as x", "SELECT * FROM (SELECT * FROM t WHERE a) AS x"),
            ("from t select a where b", "FROM t SELECT a WHERE b"),
            ("select extract(year from a) from t", "SELECT EXTRACT(YEAR FROM a) FROM t"),
            ("select a from (select 1 as a) from_", "SELECT a FROM (SELECT 1 AS a) from_"),
            ("select count(*) filter (where a) from t", "SELECT count(*) FILTER (WHERE a) FROM t"),
            ("select sum(a) over (order by b) from t", "SELECT sum(a) OVER (ORDER BY b) FROM t"),
        ] {
            assert_eq!(parse_query(sql).unwrap().to_string(), means);
        }
    }
}
