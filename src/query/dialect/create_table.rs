//! In which order may the clauses of CREATE TABLE stand?
//!
//! In any, as [Databricks has it](https://docs.databricks.com/sql/language-manual/sql-ref-syntax-ddl-create-table-using.html);
//! sqlparser knows one.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::write::{is, spelled};
use crate::query::SqlMistake;

/// A clause between the columns and the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Clause {
    Using,
    PartitionedBy,
    Location,
    With,
    Options,
    Properties,
    ClusterBy,
    Comment,
}

impl Clause {
    const ALL: [(Self, &'static [&'static str]); 8] = [
        (Self::Using, &["USING"]),
        (Self::PartitionedBy, &["PARTITIONED", "BY"]),
        (Self::Location, &["LOCATION"]),
        (Self::With, &["WITH"]),
        (Self::Options, &["OPTIONS"]),
        (Self::Properties, &["TBLPROPERTIES"]),
        (Self::ClusterBy, &["CLUSTER", "BY"]),
        (Self::Comment, &["COMMENT"]),
    ];

    fn words(self) -> &'static [&'static str] {
        Self::ALL.iter().find(|(clause, _)| *clause == self).map_or(&[], |(_, words)| words)
    }
}

/// Puts the clauses of a `CREATE TABLE` in the order that the parser knows. `USING DELTA` is taken out, as there is no
/// other format, and the comment becomes the property `comment`, which it is in Spark too.
///
/// Any other statement, and one with a clause that is not known here, is given back as it came.
///
/// # Errors
/// A clause that is there twice, `LOCATION`, `USING` of another format, and `STORED AS` and `ROW FORMAT`.
pub(super) fn in_order(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, SqlMistake> {
    let solid: Vec<&TokenWithSpan> =
        tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let Some(head) = head(&solid) else { return Ok(tokens) };
    let mut clauses: Vec<(Clause, &[&TokenWithSpan])> = Vec::new();
    let mut at = head;
    while let Some(clause) = begins(&solid[at..]) {
        let words = clause.words().len();
        let Some(length) = length(clause, &solid[at + words..]) else { return Ok(tokens) };
        if clauses.iter().any(|(known, _)| *known == clause) {
            let twice = clause.words().join(" ");
            return Err(SqlMistake::new("elt::sql::syntax", format!("{twice} is there twice"))
                .at(solid[at].span.start.line, solid[at].span.start.column)
                .help("leave one of them out"));
        }
        clauses.push((clause, &solid[at..at + words + length]));
        at += words + length;
    }
    let format = [&["STORED", "AS"][..], &["STORED", "BY"], &["ROW", "FORMAT"]]
        .into_iter()
        .find(|words| are_at(&solid[at..], words));
    if let Some(words) = format {
        return Err(only_delta(&words.join(" "), solid[at]));
    }
    clauses.sort_by_key(|(clause, _)| *clause);
    let mut ordered: Vec<TokenWithSpan> = solid[..head].iter().copied().cloned().collect();
    let mut properties: Vec<TokenWithSpan> = Vec::new();
    let mut by: &[&TokenWithSpan] = &[];
    for (clause, words) in clauses {
        match clause {
            Clause::Using if is(words[1], "DELTA") => {}
            Clause::Using => return Err(only_delta(&format!("USING {}", words[1].token), words[0])),
            Clause::PartitionedBy => ordered.extend(words.iter().copied().cloned()),
            Clause::Location => {
                let what = "LOCATION is not supported, because the lake says where its tables are";
                return Err(SqlMistake::new("elt::sql::not_supported", what)
                    .at(words[0].span.start.line, words[0].span.start.column)
                    .help("leave it out; a Delta table elsewhere is read by its quoted folder, `from 's3://bucket/t'`"));
            }
            Clause::ClusterBy => by = words,
            Clause::With | Clause::Options | Clause::Properties => {
                listed(&mut properties, words[0], &words[2..words.len() - 1]);
            }
            Clause::Comment => {
                let mut comment = spelled("'comment' =", words[0]);
                comment.push(words[words.len() - 1].clone());
                listed(&mut properties, words[0], &comment.iter().collect::<Vec<_>>());
            }
        }
    }
    if let Some(first) = properties.first().cloned() {
        ordered.extend(spelled("tblproperties (", &first));
        ordered.append(&mut properties);
        ordered.extend(spelled(")", &first));
    }
    ordered.extend(by.iter().copied().cloned());
    ordered.extend(solid[at..].iter().copied().cloned());
    Ok(ordered)
}

/// Adds to a list that is written with commas.
fn listed(list: &mut Vec<TokenWithSpan>, at: &TokenWithSpan, more: &[&TokenWithSpan]) {
    if !list.is_empty() && !more.is_empty() {
        list.extend(spelled(",", at));
    }
    list.extend(more.iter().copied().cloned());
}

/// Where the clauses begin: behind `CREATE TABLE`, the name, what it is like or a clone of, and the columns.
fn head(tokens: &[&TokenWithSpan]) -> Option<usize> {
    let mut at = 0;
    let mut skip = |words: &[&str]| {
        let found = are_at(&tokens[at..], words);
        at += if found { words.len() } else { 0 };
        found
    };
    if !skip(&["CREATE"]) {
        return None;
    }
    skip(&["OR", "REPLACE"]);
    let _ = skip(&["GLOBAL"]) || skip(&["LOCAL"]);
    let _ = skip(&["TEMP"]) || skip(&["TEMPORARY"]) || skip(&["EXTERNAL"]);
    if !skip(&["TABLE"]) {
        return None;
    }
    skip(&["IF", "NOT", "EXISTS"]);
    at = name(tokens, at)?;
    if tokens.get(at).is_some_and(|token| is(token, "CLONE") || is(token, "LIKE")) {
        at = name(tokens, at + 1)?;
    }
    match tokens.get(at).map(|token| &token.token) {
        Some(Token::LParen) => Some(at + closed(&tokens[at..])?),
        _ => Some(at),
    }
}

/// Where a name with its dots ends.
fn name(tokens: &[&TokenWithSpan], mut at: usize) -> Option<usize> {
    loop {
        match tokens.get(at)?.token {
            Token::Word(_) => at += 1,
            _ => return None,
        }
        match tokens.get(at).map(|token| &token.token) {
            Some(Token::Period) => at += 1,
            _ => return Some(at),
        }
    }
}

fn begins(tokens: &[&TokenWithSpan]) -> Option<Clause> {
    Clause::ALL.iter().find(|(_, words)| are_at(tokens, words)).map(|(clause, _)| *clause)
}

/// How many tokens follow a clause's own words; nothing if they are not what belongs there.
fn length(clause: Clause, tokens: &[&TokenWithSpan]) -> Option<usize> {
    let first = &tokens.first()?.token;
    match clause {
        Clause::Using => matches!(first, Token::Word(_)).then_some(1),
        Clause::Location => text(first).then_some(1),
        Clause::Comment if *first == Token::Eq => text(&tokens.get(1)?.token).then_some(2),
        Clause::Comment => text(first).then_some(1),
        Clause::ClusterBy if *first != Token::LParen => {
            // Columns without parentheses, as BigQuery and Snowflake have them.
            let mut at = name(tokens, 0)?;
            while tokens.get(at).is_some_and(|token| token.token == Token::Comma) {
                at = name(tokens, at + 1)?;
            }
            Some(at)
        }
        _ if *first == Token::LParen => closed(tokens),
        _ => None,
    }
}

fn text(token: &Token) -> bool {
    matches!(token, Token::SingleQuotedString(_) | Token::DoubleQuotedString(_))
}

/// How many tokens a pair of parentheses has, with what is between.
fn closed(tokens: &[&TokenWithSpan]) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 1 => return Some(at + 1),
            Token::RParen => depth -= 1,
            _ => {}
        }
    }
    None
}

fn are_at(tokens: &[&TokenWithSpan], words: &[&str]) -> bool {
    tokens.len() >= words.len() && tokens.iter().zip(words).all(|(token, word)| is(token, word))
}

fn only_delta(what: &str, at: &TokenWithSpan) -> SqlMistake {
    SqlMistake::new(
        "elt::sql::not_supported",
        format!("{what} is not supported, because the tables of a lake are Delta tables"),
    )
    .at(at.span.start.line, at.span.start.column)
    .help("leave it out; files of other formats are read by their quoted names, and written by COPY … TO")
}
