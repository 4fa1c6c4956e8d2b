//! What does `PIVOT t ON c USING sum(n)` mean?
//!
//! DuckDB's short form of turning rows into columns. It is put into the words of the standard before the parser reads
//! it: `SELECT * FROM t PIVOT (sum(n) FOR c IN (ANY))`. `UNPIVOT … ON … INTO` likewise. Both may stand wherever a query
//! can begin.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Visit, Visitor};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::EltDialect;
use super::from_first::begins_a_query;
use super::statement::tokenize;
use crate::query::SqlMistake;

type Tokens = Vec<TokenWithSpan>;

/// Spells the short forms out, from the innermost to the outermost.
///
/// # Errors
/// One of them has no list of columns to make, or of columns to take.
pub(super) fn spell(tokens: Tokens) -> Result<Tokens, SqlMistake> {
    let mut tokens = tokens;
    // The last that begins is inside of no other.
    while let Some(at) = last_short_form(&tokens) {
        let end = end_of(&tokens, at);
        let spelled = if is(&tokens[at], &["UNPIVOT", "PIVOT_LONGER"]) {
            unpivot(&tokens[at..end])?
        } else {
            pivot(&tokens[at..end])?
        };
        tokens.splice(at..end, spelled);
    }
    in_brackets(tokens)
}

/// `PIVOT (sum(n) FOR a IN (…) b IN (…) GROUP BY k)` with one column and one list, and the key where the parser has a place
/// for it.
fn in_brackets(mut tokens: Tokens) -> Result<Tokens, SqlMistake> {
    let solid: Vec<usize> = (0..tokens.len()).filter(|at| is_solid(&tokens[*at])).collect();
    let opens = solid
        .windows(2)
        .filter(|pair| is(&tokens[pair[0]], &["PIVOT"]) && tokens[pair[1]].token == Token::LParen);
    let opens: Vec<usize> = opens.map(|pair| pair[1]).collect();
    for open in opens.into_iter().rev() {
        let end = end_of(&tokens, open + 1);
        let parts = split(&tokens[open + 1..end], &["FOR", "GROUP"]);
        let [aggregates, turned_by, rest @ ..] = &parts[..] else { continue };
        let mut ins = Vec::new();
        let mut start = 1;
        let mut depth = 0_i32;
        for (at, token) in turned_by.iter().enumerate() {
            match &token.token {
                Token::LParen => depth += 1,
                Token::RParen => {
                    depth -= 1;
                    let inside = &turned_by[start..=at];
                    if depth == 0 && split(inside, &["IN"]).len() > 1 {
                        ins.push(inside);
                        start = at + 1;
                    }
                }
                _ => {}
            }
        }
        if rest.is_empty() && ins.len() < 2 {
            continue;
        }
        let near = &tokens[open];
        let mut out = aggregates.to_vec();
        match ins.len() {
            0 | 1 => out.extend_from_slice(turned_by),
            _ => {
                let (value, values) = turned(&ins)?;
                out.extend(words(" FOR (", near));
                out.extend(value);
                out.extend(words(") IN (", near));
                out.extend(values.unwrap_or_else(|| words("ANY", near)));
                out.extend(words(") ", near));
            }
        }
        if let [group] = rest {
            let by = group.iter().skip(1).position(is_solid).map(|at| at + 1);
            let by = by.filter(|at| is(&group[*at], &["BY"]));
            let by = by.ok_or_else(|| wrong(&group[0], "GROUP needs BY", PIVOT_HELP))?;
            out.extend(words(&format!(" DEFAULT ON NULL ({PIVOT_KEYS}("), near));
            out.extend_from_slice(&group[by + 1..]);
            out.extend(words("))", near));
        }
        tokens.splice(open + 1..end, out);
    }
    Ok(tokens)
}

/// The call that says which columns a PIVOT keeps.
pub(in crate::query) const PIVOT_KEYS: &str = "_elt_pivot_keys";

fn last_short_form(tokens: &[TokenWithSpan]) -> Option<usize> {
    let solid: Vec<usize> =
        (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect();
    (0..solid.len()).rev().map(|at| (at, solid[at])).find_map(|(at, index)| {
        let is_word = is(&tokens[index], &["PIVOT", "UNPIVOT", "PIVOT_WIDER", "PIVOT_LONGER"]);
        if !is_word || !begins_a_query(tokens, &solid[..at]) {
            return None;
        }
        let end = end_of(tokens, index);
        let has_on = split(&tokens[index..end], &["ON"]).len() > 1;
        has_on.then_some(index)
    })
}

fn is(token: &TokenWithSpan, words: &[&str]) -> bool {
    match &token.token {
        Token::Word(word) => {
            word.quote_style.is_none() && words.iter().any(|known| word.value.eq_ignore_ascii_case(known))
        }
        _ => false,
    }
}

/// Where the query that begins at `at` ends: at a bracket of another, a semicolon, or the end.
fn end_of(tokens: &[TokenWithSpan], at: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, token) in tokens[at..].iter().enumerate() {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return at + offset,
            Token::RParen => depth -= 1,
            Token::SemiColon | Token::EOF if depth == 0 => return at + offset,
            _ => {}
        }
    }
    tokens.len()
}

/// The tokens from each of these words to the next, outside of brackets; the first part is what comes before.
fn split<'a>(tokens: &'a [TokenWithSpan], words: &[&str]) -> Vec<&'a [TokenWithSpan]> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (at, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth -= 1,
            _ if depth == 0 && is(token, words) => {
                parts.push(&tokens[start..at]);
                start = at;
            }
            _ => {}
        }
    }
    parts.push(&tokens[start..]);
    parts
}

/// What stands between the commas, outside of brackets.
fn items(tokens: &[TokenWithSpan]) -> Vec<&[TokenWithSpan]> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (at, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth -= 1,
            Token::Comma if depth == 0 => {
                parts.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[start..]);
    parts.retain(|part| part.iter().any(is_solid));
    parts
}

fn is_solid(token: &TokenWithSpan) -> bool {
    !matches!(token.token, Token::Whitespace(_))
}

/// Words of ours, at the place of `near`.
fn words(text: &str, near: &TokenWithSpan) -> Tokens {
    let tokens = tokenize(text).expect("our own words are correct");
    let solid = tokens.into_iter().filter(|token| token.token != Token::EOF);
    solid.map(|token| TokenWithSpan { token: token.token, span: near.span }).collect()
}

fn wrong(near: &TokenWithSpan, what: &str, help: &str) -> SqlMistake {
    let start = near.span.start;
    SqlMistake::new("elt::sql::syntax", what).at(start.line, start.column).help(help)
}

const PIVOT_HELP: &str = "write `pivot t on column using sum(n) group by key`";

fn pivot(tokens: &[TokenWithSpan]) -> Result<Tokens, SqlMistake> {
    let near = &tokens[0];
    let parts = split(&tokens[1..], &["ON", "USING", "GROUP", "ORDER", "LIMIT"]);
    let (source, parts) = parts.split_first().expect("there is always a first part");
    let (mut on, mut using, mut group, mut tail): (
        &[TokenWithSpan],
        &[TokenWithSpan],
        &[TokenWithSpan],
        Tokens,
    ) = (&[], &[], &[], Vec::new());
    for part in parts {
        let body = &part[1..];
        if is(&part[0], &["ON"]) {
            on = body;
        } else if is(&part[0], &["USING"]) {
            using = body;
        } else if is(&part[0], &["GROUP"]) {
            let by = body.iter().position(is_solid).filter(|at| is(&body[*at], &["BY"]));
            let by = by.ok_or_else(|| wrong(&part[0], "GROUP needs BY", PIVOT_HELP))?;
            group = &body[by + 1..];
        } else {
            tail.extend_from_slice(part);
        }
    }
    let by = items(on);
    if by.is_empty() || !source.iter().any(is_solid) {
        return Err(wrong(near, "PIVOT needs a table, and after ON a column", PIVOT_HELP));
    }
    let (value, values) = turned(&by)?;
    let aggregates = match using.iter().any(is_solid) {
        true => using.to_vec(),
        false => words("count(*)", near),
    };
    let mut out = words("SELECT * FROM ", near);
    // What is added up is no key of its own accord; it may be asked for as one.
    let mut is_key_too = false;
    match group.iter().any(is_solid) {
        false => out.extend_from_slice(source),
        true => {
            out.extend(words("(SELECT ", near));
            out.extend_from_slice(group);
            let kept: Vec<String> = items(group).into_iter().filter_map(only_name).collect();
            let (mut used, mut added): (Vec<String>, Vec<String>) = Default::default();
            by.iter().for_each(|part| names_of(part, &mut used));
            items(using).into_iter().for_each(|part| names_of(part, &mut added));
            is_key_too = kept.len() == items(group).len() && kept.iter().any(|name| added.contains(name));
            used.extend(added.into_iter().filter(|name| !used.contains(name)).collect::<Vec<_>>());
            for name in used.into_iter().filter(|name| !kept.contains(name)) {
                out.extend(words(&format!(", \"{name}\""), near));
            }
            out.extend(words(" FROM ", near));
            out.extend_from_slice(source);
            out.extend(words(") AS \"pivoted\"", near));
        }
    }
    out.extend(words(" PIVOT (", near));
    out.extend(aggregates);
    out.extend(words(" FOR (", near));
    out.extend(value);
    out.extend(words(") IN (", near));
    out.extend(values.unwrap_or_else(|| words("ANY", near)));
    out.extend(words(")", near));
    if is_key_too {
        out.extend(words(&format!(" DEFAULT ON NULL ({PIVOT_KEYS}("), near));
        out.extend_from_slice(group);
        out.extend(words("))", near));
    }
    out.extend(words(") ", near));
    out.extend(tail);
    Ok(out)
}

/// The expression whose values become columns, and the values if they are listed.
fn turned(by: &[&[TokenWithSpan]]) -> Result<(Tokens, Option<Tokens>), SqlMistake> {
    let one = |item: &[TokenWithSpan]| -> Result<(Tokens, Option<Tokens>), SqlMistake> {
        let parts = split(item, &["IN"]);
        let values = match parts.get(1) {
            None => None,
            Some(list) => {
                let open = list.iter().position(|token| token.token == Token::LParen);
                let close = list.iter().rposition(|token| token.token == Token::RParen);
                match open.zip(close) {
                    Some((open, close)) => Some(list[open + 1..close].to_vec()),
                    None => return Err(wrong(&list[0], "IN needs a list in brackets", PIVOT_HELP)),
                }
            }
        };
        Ok((parts[0].to_vec(), values))
    };
    if let [only] = by {
        return one(only);
    }
    // Several columns become one: their values with `_` between them.
    let near = &by[0][0];
    let mut value = Vec::new();
    let mut texts: Option<Vec<String>> = Some(vec![String::new()]);
    for (at, item) in by.iter().enumerate() {
        let (expr, values) = one(item)?;
        value.extend(words(if at == 0 { "CAST(" } else { " || '_' || CAST(" }, near));
        value.extend(expr);
        value.extend(words(" AS VARCHAR)", near));
        let literal = |token: &TokenWithSpan| match &token.token {
            Token::SingleQuotedString(text) => Some(text.clone()),
            Token::Number(text, _) => Some(text.clone()),
            _ => None,
        };
        let listed: Option<Vec<String>> = values.and_then(|values| {
            items(&values)
                .into_iter()
                .map(|item| item.iter().find(|token| is_solid(token)).and_then(literal))
                .collect()
        });
        texts = texts.zip(listed).map(|(before, listed)| {
            let with = |before: &String| {
                let join = if at == 0 { "" } else { "_" };
                listed.iter().map(|text| format!("{before}{join}{text}")).collect::<Vec<_>>()
            };
            before.iter().flat_map(with).collect()
        });
    }
    let texts = texts.map(|texts| {
        let quoted: Vec<String> =
            texts.iter().map(|text| format!("'{}'", text.replace('\'', "''"))).collect();
        words(&quoted.join(", "), near)
    });
    Ok((value, texts))
}

/// The name that an item is, if it is nothing but a name.
fn only_name(item: &[TokenWithSpan]) -> Option<String> {
    let mut solid = item.iter().filter(|token| is_solid(token));
    match (solid.next().map(|token| &token.token), solid.next()) {
        (Some(Token::Word(word)), None) => {
            Some(if word.quote_style.is_some() { word.value.clone() } else { word.value.to_lowercase() })
        }
        _ => None,
    }
}

/// The columns that an expression uses.
fn names_of(tokens: &[TokenWithSpan], names: &mut Vec<String>) {
    struct Names<'a>(&'a mut Vec<String>);
    impl Visitor for Names<'_> {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let last = match expr {
                Expr::Identifier(name) => Some(name),
                Expr::CompoundIdentifier(path) => path.last(),
                _ => None,
            };
            if let Some(name) = last {
                let name =
                    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() };
                if !self.0.contains(&name) {
                    self.0.push(name);
                }
            }
            ControlFlow::Continue(())
        }
    }
    let dialect = EltDialect::default();
    if let Ok(expr) = Parser::new(&dialect).with_tokens_with_locations(tokens.to_vec()).parse_expr() {
        let _ = expr.visit(&mut Names(names));
    }
}

const UNPIVOT_HELP: &str = "write `unpivot t on a, b into name month value sales`";

fn unpivot(tokens: &[TokenWithSpan]) -> Result<Tokens, SqlMistake> {
    let near = &tokens[0];
    let parts = split(&tokens[1..], &["ON", "INTO", "ORDER", "LIMIT"]);
    let (source, parts) = parts.split_first().expect("there is always a first part");
    let (mut on, mut tail): (&[TokenWithSpan], Tokens) = (&[], Vec::new());
    let (mut name, mut value) = ("\"name\"".to_owned(), words("\"value\"", near));
    for part in parts {
        if is(&part[0], &["ON"]) {
            on = &part[1..];
        } else if is(&part[0], &["INTO"]) {
            let solid: Vec<&TokenWithSpan> = part[1..].iter().filter(|token| is_solid(token)).collect();
            match solid.as_slice() {
                [word, key, other, columns @ ..]
                    if is(word, &["NAME"]) && is(other, &["VALUE"]) && !columns.is_empty() =>
                {
                    name = key.token.to_string();
                    let columns: Tokens = columns.iter().map(|token| (*token).clone()).collect();
                    value = match items(&columns).len() {
                        1 => columns,
                        _ => [words("(", near), columns, words(")", near)].concat(),
                    };
                }
                _ => return Err(wrong(&part[0], "UNPIVOT needs a NAME and a VALUE", UNPIVOT_HELP)),
            }
        } else {
            tail.extend_from_slice(part);
        }
    }
    let mut source = source.to_vec();
    let mut nulls = "";
    let solid: Vec<usize> = (0..source.len()).filter(|at| is_solid(&source[*at])).collect();
    if let [.., include, last] = solid.as_slice()
        && is(&source[*include], &["INCLUDE"])
        && is(&source[*last], &["NULLS"])
    {
        nulls = "INCLUDE NULLS ";
        source.truncate(*include);
    }
    if !on.iter().any(is_solid) || !source.iter().any(is_solid) {
        return Err(wrong(near, "UNPIVOT needs a table, and after ON columns", UNPIVOT_HELP));
    }
    let mut out = words("SELECT * FROM ", near);
    out.extend(source);
    out.extend(words(&format!(" UNPIVOT {nulls}("), near));
    out.extend(value);
    out.extend(words(&format!(" FOR {name} IN ("), near));
    out.extend_from_slice(on);
    out.extend(words(")) ", near));
    out.extend(tail);
    Ok(out)
}

/// Whether a word is one of these; for who looks at keywords elsewhere.
pub(super) fn is_keyword(token: &TokenWithSpan, keyword: Keyword) -> bool {
    matches!(&token.token, Token::Word(word) if word.keyword == keyword && word.quote_style.is_none())
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;

    #[test]
    fn the_short_form_is_the_standard_s() {
        for (sql, means) in [
            (
                "pivot cities on year using sum(population)",
                "SELECT * FROM cities PIVOT(sum(population) FOR year IN (ANY))",
            ),
            (
                "pivot cities on year in (2000, 2010) using sum(p) as total group by country order by country",
                "SELECT * FROM (SELECT country, \"year\", \"p\" FROM cities) AS \"pivoted\" PIVOT(sum(p) AS total FOR year IN (2000, 2010)) ORDER BY country",
            ),
            (
                "from (pivot t on c) as x",
                "SELECT * FROM (SELECT * FROM t PIVOT(count(*) FOR c IN (ANY))) AS x",
            ),
            (
                "with p as (pivot (select * from t) on a, b using max(n)) select * from p",
                "WITH p AS (SELECT * FROM (SELECT * FROM t) PIVOT(max(n) FOR CAST(a AS VARCHAR) || '_' || CAST(b AS VARCHAR) IN (ANY))) SELECT * FROM p",
            ),
            (
                "unpivot t on jan, feb into name month value sales",
                "SELECT * FROM t UNPIVOT(sales FOR month IN (jan, feb))",
            ),
            ("select * from t pivot (sum(n) for c in ('a'))", "SELECT * FROM t PIVOT(sum(n) FOR c IN ('a'))"),
        ] {
            assert_eq!(parse_query(sql).map(|query| query.to_string()), Ok(means.to_owned()), "{sql}");
        }
        assert!(parse_query("pivot t on").is_err());
    }
}
