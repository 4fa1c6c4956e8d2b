//! Which words of other systems are put into the parser's own before it reads them?
//!
//! `ASOF LEFT JOIN … ON` of DuckDB, `USING SAMPLE 10%`, `{{ ref('orders') }}` as a model has it, and texts in pieces, `'a' 'b'`.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace, Word};

use super::pivot_on::is_keyword;
use crate::query::SqlMistake;

type Tokens = Vec<TokenWithSpan>;

/// Puts them into the parser's words.
///
/// # Errors
/// A word would be taken for another that it is not.
pub(super) fn spell(tokens: Tokens) -> Result<Tokens, SqlMistake> {
    samples(asof(without_braces(joined(of_their_tables(tokens))))?)
}

/// What is between a table and its column in a name that is one to the parser.
pub(in crate::query) const OF_TABLE: char = '\u{1f}';

/// `* RENAME (a.x AS y)` with `a.x` as one name: the parser has no place for a table there.
fn of_their_tables(mut tokens: Tokens) -> Tokens {
    let at = solid(&tokens);
    let mut merged = Vec::new();
    for begin in at.windows(2).enumerate().filter(|(_, pair)| {
        is_keyword(&tokens[pair[0]], Keyword::RENAME) && tokens[pair[1]].token == Token::LParen
    }) {
        for four in at[begin.0..].windows(5).take_while(|part| tokens[part[0]].token != Token::RParen) {
            if let (Token::LParen | Token::Comma, Token::Word(table), Token::Period, Token::Word(column)) = (
                &tokens[four[0]].token,
                &tokens[four[1]].token,
                &tokens[four[2]].token,
                &tokens[four[3]].token,
            ) && is_keyword(&tokens[four[4]], Keyword::AS)
            {
                let folded = |word: &Word| match word.quote_style {
                    Some(_) => word.value.clone(),
                    None => word.value.to_lowercase(),
                };
                let name = format!("{}{OF_TABLE}{}", folded(table), folded(column));
                merged.push((four[1], four[3], name));
            }
        }
    }
    for (from, to, name) in merged.into_iter().rev() {
        let span = tokens[from].span;
        let word = Word { value: name, quote_style: Some('"'), keyword: Keyword::NoKeyword };
        tokens.splice(from..=to, [TokenWithSpan { token: Token::Word(word), span }]);
    }
    tokens
}

fn solid(tokens: &[TokenWithSpan]) -> Vec<usize> {
    (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect()
}

fn is_word(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(known) if known.quote_style.is_none() && known.value.eq_ignore_ascii_case(word))
}

/// Texts that follow each other are one, as in the standard over the end of a line and in Databricks everywhere. The parser
/// would take the second for the name of a column.
fn joined(tokens: Tokens) -> Tokens {
    let mut whole: Tokens = Vec::with_capacity(tokens.len());
    let mut last: Option<usize> = None;
    for token in tokens {
        if let (Some(at), Token::SingleQuotedString(piece)) = (last, &token.token)
            && let Token::SingleQuotedString(text)
            | Token::EscapedStringLiteral(text)
            | Token::NationalStringLiteral(text) = &mut whole[at].token
        {
            text.push_str(piece);
            whole[at].span.end = token.span.end;
            whole.truncate(at + 1);
            continue;
        }
        if !matches!(token.token, Token::Whitespace(_)) {
            last = Some(whole.len());
        }
        whole.push(token);
    }
    whole
}

/// `{{ ref('orders') }}` without its braces.
fn without_braces(mut tokens: Tokens) -> Tokens {
    let mut removed: Vec<usize> = Vec::new();
    let at = solid(&tokens);
    for start in 0..at.len() {
        let token = |offset: usize| at.get(start + offset).map(|index| &tokens[*index]);
        let is = |offset: usize, wanted: &Token| token(offset).is_some_and(|token| token.token == *wanted);
        let named = token(2).is_some_and(|token| is_word(token, "ref") || is_word(token, "source"));
        if !(is(0, &Token::LBrace) && is(1, &Token::LBrace) && named && is(3, &Token::LParen)) {
            continue;
        }
        let close = (start + 4..at.len()).find(|place| tokens[at[*place]].token == Token::RParen);
        let Some(close) = close else { continue };
        let ends = [close + 1, close + 2];
        if ends.iter().all(|place| at.get(*place).is_some_and(|index| tokens[*index].token == Token::RBrace))
        {
            removed.extend([at[start], at[start + 1], at[close + 1], at[close + 2]]);
        }
    }
    removed.sort_unstable();
    for index in removed.into_iter().rev() {
        tokens.remove(index);
    }
    tokens
}

/// `ASOF [LEFT | INNER] JOIN t ON` is `GLOBAL [LEFT | INNER] JOIN t ON` to the parser, which no one else may write.
/// With MATCH_CONDITION the parser knows it by itself.
fn asof(mut tokens: Tokens) -> Result<Tokens, SqlMistake> {
    let at = solid(&tokens);
    let joins = |place: usize| {
        let next = at.get(place + 1).map(|index| &tokens[*index]);
        next.is_some_and(|next| {
            [Keyword::JOIN, Keyword::LEFT, Keyword::INNER].iter().any(|keyword| is_keyword(next, *keyword))
        })
    };
    let mut changed = Vec::new();
    for place in 0..at.len() {
        let token = &tokens[at[place]];
        if is_keyword(token, Keyword::GLOBAL) && joins(place) {
            let start = token.span.start;
            let mistake = SqlMistake::new("elt::sql::not_supported", "GLOBAL JOIN is not supported");
            return Err(mistake.at(start.line, start.column).help("leave `global` out"));
        }
        let next = at.get(place + 1).map(|index| &tokens[*index]);
        if is_word(token, "positional") && next.is_some_and(|next| is_keyword(next, Keyword::JOIN)) {
            let start = token.span.start;
            let what = "POSITIONAL JOIN is not supported, because the rows of a table have no places";
            let mistake = SqlMistake::new("elt::sql::not_supported", what);
            return Err(mistake.at(start.line, start.column).help(
                "number the rows of both, and join by the number: `(select *, row_number() over (order by …) as n from a)`",
            ));
        }
        if is_keyword(token, Keyword::ASOF)
            && let Some(next) = next
            && ["full", "right", "cross", "natural", "semi", "anti"].iter().any(|word| is_word(next, word))
        {
            let start = token.span.start;
            let what = format!("ASOF {} JOIN is not supported", next.token.to_string().to_uppercase());
            let mistake = SqlMistake::new("elt::sql::not_supported", what);
            return Err(mistake.at(start.line, start.column).help("write `asof join` or `asof left join`"));
        }
        if is_keyword(token, Keyword::ASOF) && joins(place) && !has_match_condition(&tokens, &at[place + 1..])
        {
            changed.push(at[place]);
        }
    }
    for index in changed {
        tokens[index].token = Token::make_keyword("GLOBAL");
    }
    Ok(tokens)
}

/// Whether MATCH_CONDITION comes before the next join.
fn has_match_condition(tokens: &[TokenWithSpan], after: &[usize]) -> bool {
    let mut depth = 0_i32;
    let mut joins = 0;
    for index in after {
        match &tokens[*index].token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
        if depth == 0 {
            joins += i32::from(is_keyword(&tokens[*index], Keyword::JOIN));
            if joins > 1 {
                return false;
            }
            if is_keyword(&tokens[*index], Keyword::MATCH_CONDITION) {
                return true;
            }
        }
    }
    false
}

/// `FROM t … USING SAMPLE 10%` is `FROM t TABLESAMPLE (10 PERCENT) …`.
fn samples(mut tokens: Tokens) -> Result<Tokens, SqlMistake> {
    // `TABLESAMPLE RESERVOIR (10 ROWS)`: the parser does not know the word, which promises nothing more.
    let at = solid(&tokens);
    for pair in at.windows(4).rev() {
        if is_word(&tokens[pair[0]], "tablesample") && is_word(&tokens[pair[1]], "reservoir") {
            let is_bare = tokens.get(pair[3] + 1).is_some_and(|next| next.token == Token::RParen);
            if is_bare && matches!(tokens[pair[3]].token, Token::Number(..)) {
                let span = tokens[pair[3]].span;
                let words = [Token::Whitespace(Whitespace::Space), Token::make_keyword("ROWS")];
                let words = words.map(|token| TokenWithSpan { token, span });
                tokens.splice(pair[3] + 1..pair[3] + 1, words);
            }
            tokens.remove(pair[1]);
        }
    }
    percents(&mut tokens);
    loop {
        let at = solid(&tokens);
        let found = (0..at.len()).find(|place| {
            is_keyword(&tokens[at[*place]], Keyword::USING)
                && at.get(place + 1).is_some_and(|next| is_word(&tokens[*next], "sample"))
        });
        let Some(place) = found else { return Ok(tokens) };
        let start = tokens[at[place]].span.start;
        let wrong = |what: &str, help: &str| {
            SqlMistake::new("elt::sql::not_supported", what).at(start.line, start.column).help(help)
        };
        let (size, used) = size(&tokens, &at[place + 2..]).ok_or_else(|| {
            wrong("this sample has no size", "write `using sample 10%` or `using sample 100 rows`")
        })?;
        let end = from_end(&tokens, &at[..place]).map_err(|what| {
            wrong(what, "write the sample after its table: `from t tablesample (10 percent) join …`")
        })?;
        let near = tokens[at[place]].span;
        let last = at[place + 1 + used];
        tokens.drain(at[place]..=last);
        let words = format!(" TABLESAMPLE {size} ");
        let words = super::statement::tokenize(&words).expect("our own words are correct");
        let words = words.into_iter().filter(|token| token.token != Token::EOF);
        let words: Tokens = words.map(|token| TokenWithSpan { token: token.token, span: near }).collect();
        tokens.splice(end..end, words);
    }
}

/// `tablesample 50%` and `tablesample bernoulli(50%)` with the word that the parser knows.
fn percents(tokens: &mut Tokens) {
    let at = solid(tokens);
    for place in (0..at.len()).rev() {
        if !is_word(&tokens[at[place]], "tablesample") {
            continue;
        }
        let signs: Vec<usize> = (place + 1..at.len().min(place + 5))
            .filter(|next| {
                tokens[at[*next]].token == Token::Mod
                    && matches!(tokens[at[*next - 1]].token, Token::Number(..))
            })
            .collect();
        let Some(sign) = signs.first().map(|sign| at[*sign]) else { continue };
        let span = tokens[sign].span;
        let blank = || TokenWithSpan { token: Token::Whitespace(Whitespace::Space), span };
        let word = TokenWithSpan { token: Token::make_keyword("PERCENT"), span };
        tokens.splice(sign..=sign, [blank(), word, blank()]);
    }
}

/// `10%`, `100 rows`, `(10 percent)`, `reservoir(50 rows)`, `10 percent (bernoulli, 42)`, `10% repeatable (42)`: its size and
/// seed, as TABLESAMPLE has them, and how many tokens it is.
fn size(tokens: &[TokenWithSpan], after: &[usize]) -> Option<(String, usize)> {
    let token = |at: usize| after.get(at).map(|index| &tokens[*index]);
    let is = |at: usize, wanted: &Token| token(at).is_some_and(|token| token.token == *wanted);
    let mut seed = None;
    let mut at = 0;
    if ["reservoir", "bernoulli", "system"]
        .iter()
        .any(|method| token(0).is_some_and(|token| is_word(token, method)))
    {
        at += 1;
    }
    let in_brackets = is(at, &Token::LParen);
    at += usize::from(in_brackets);
    let Some(Token::Number(number, _)) = token(at).map(|token| &token.token) else { return None };
    at += 1;
    let unit = match token(at) {
        Some(unit) if unit.token == Token::Mod || is_word(unit, "percent") => {
            at += 1;
            "PERCENT"
        }
        Some(unit) if is_word(unit, "rows") || is_word(unit, "row") => {
            at += 1;
            "ROWS"
        }
        _ => "ROWS",
    };
    if in_brackets {
        if !is(at, &Token::RParen) {
            return None;
        }
        at += 1;
    } else if is(at, &Token::LParen) && is(at + 2, &Token::RParen) {
        at += 3; // the method, which changes nothing of what is promised
    } else if is(at, &Token::LParen) && is(at + 2, &Token::Comma) && is(at + 4, &Token::RParen) {
        seed = token(at + 3).map(|token| token.token.to_string());
        at += 5;
    }
    if token(at).is_some_and(|token| is_word(token, "repeatable")) && is(at + 3, &Token::RParen) {
        seed = token(at + 2).map(|token| token.token.to_string());
        at += 4;
    }
    let seed = seed.map(|seed| format!(" REPEATABLE ({seed})")).unwrap_or_default();
    Some((format!("({number} {unit}){seed}"), at))
}

/// Where the FROM of the query that `before` ends in has its end; there must be one table in it.
fn from_end(tokens: &[TokenWithSpan], before: &[usize]) -> Result<usize, &'static str> {
    let mut depth = 0_i32;
    let mut end = None;
    for index in before.iter().rev() {
        let token = &tokens[*index];
        match &token.token {
            Token::RParen => depth += 1,
            Token::LParen if depth == 0 => break,
            Token::LParen => depth -= 1,
            _ => {}
        }
        if depth != 0 {
            continue;
        }
        let ends = [
            Keyword::WHERE,
            Keyword::GROUP,
            Keyword::HAVING,
            Keyword::QUALIFY,
            Keyword::ORDER,
            Keyword::LIMIT,
            Keyword::WINDOW,
        ];
        if ends.iter().any(|keyword| is_keyword(token, *keyword)) {
            end = Some(*index);
        }
        if is_keyword(token, Keyword::JOIN) || token.token == Token::Comma && end.is_none() {
            return Err("a sample of several tables is not supported");
        }
        if is_keyword(token, Keyword::FROM) {
            return Ok(end.unwrap_or_else(|| before.last().map_or(0, |last| last + 1)));
        }
    }
    Err("a sample needs a table")
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;

    #[test]
    fn other_words_for_the_same() {
        for (sql, means) in [
            ("select * from {{ ref('orders') }} o", "SELECT * FROM ref('orders') o"),
            (
                "select a, b from t as x where a > 1 using sample 10%",
                "SELECT a, b FROM t AS x TABLESAMPLE (10 PERCENT) WHERE a > 1",
            ),
            ("from t using sample reservoir(50 rows)", "SELECT * FROM t TABLESAMPLE (50 ROWS)"),
            (
                "from t using sample 10% (bernoulli, 42)",
                "SELECT * FROM t TABLESAMPLE (10 PERCENT) REPEATABLE (42)",
            ),
            (
                "from t using sample 5 rows repeatable (1)",
                "SELECT * FROM t TABLESAMPLE (5 ROWS) REPEATABLE (1)",
            ),
            (
                "select * from (from t using sample 5) as x",
                "SELECT * FROM (SELECT * FROM t TABLESAMPLE (5 ROWS)) AS x",
            ),
            (
                "select * from a asof left join b on a.t >= b.t",
                "SELECT * FROM a GLOBAL LEFT JOIN b ON a.t >= b.t",
            ),
            (
                "select * from a asof join b match_condition (a.t >= b.t) on a.k = b.k",
                "SELECT * FROM a ASOF JOIN b MATCH_CONDITION (a.t >= b.t) ON a.k = b.k",
            ),
        ] {
            assert_eq!(parse_query(sql).map(|query| query.to_string()), Ok(means.to_owned()), "{sql}");
        }
        for sql in [
            "from a join b using (k) using sample 10%",
            "from a global join b on true",
            "from t using sample",
        ] {
            assert!(parse_query(sql).is_err(), "{sql}");
        }
    }
}
