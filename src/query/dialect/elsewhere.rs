//! Which statements do other systems have that there is no need for here?
//!
//! Each is known by its first words, and refused with what to write instead; a few are another spelling of a statement that there
//! is ([`respelt`]).

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

use crate::query::SqlMistake;

/// The first words of a statement, what it is called, and what to write instead. `…` is any word.
const INSTEAD: &[(&str, &str, &str)] = &[
    (
        "describe extended|formatted …",
        "DESCRIBE EXTENDED",
        "`describe t` lists the columns, `describe detail t` tells of files and properties, `describe history t` of versions",
    ),
    (
        "describe function|functions …",
        "DESCRIBE FUNCTION",
        "`show functions like 'abs'` tells what a function takes and gives",
    ),
    (
        "explain extended|formatted|codegen|cost …",
        "this form of EXPLAIN",
        "`explain` shows the plan, `explain analyze` what it took, `explain verbose` the engine's own plans",
    ),
    ("declare …", "DECLARE", "write `set variable x = 5`, and `getvariable('x')` where it is wanted"),
    (
        "execute immediate …",
        "EXECUTE IMMEDIATE",
        "write the statement itself; with values, `prepare p as select … where a = ?` and `execute p(1)`",
    ),
    ("refresh …", "REFRESH", "leave it out: a statement reads the newest release, and files as they are"),
    ("msck …", "MSCK REPAIR", "leave it out: the table's log knows its files"),
    (
        "show partitions …",
        "SHOW PARTITIONS",
        "`describe detail t` tells the columns that a table is partitioned by, `select distinct a from t` their values",
    ),
    (
        "attach …",
        "ATTACH",
        "read files by their names: `from 'other.parquet'`; another lake is `elt sql --lake PLACE`",
    ),
    ("detach …", "DETACH", "a session reads one lake; another is `elt sql --lake PLACE`"),
    ("install|load …", "INSTALL and LOAD", "leave it out: there are no extensions"),
    ("force checkpoint|install …", "FORCE", "leave it out"),
    ("checkpoint", "CHECKPOINT", "leave it out: what a statement writes is on the disk when it has answered"),
    ("cache|uncache …", "CACHE", "leave it out, or keep the rows: `create temp table t as select …`"),
    ("clear cache", "CACHE", "leave it out: nothing is kept that would have to be forgotten"),
    (
        "export|import database …",
        "EXPORT DATABASE",
        "write each table: `copy t to 't.parquet'`; a copy of a lake is `elt clone`",
    ),
    (
        "lock …",
        "LOCK",
        "leave it out: a statement sees one release from beginning to end, and of two that write the same rows one fails",
    ),
    ("do …", "DO", "write the statements one after another in a file: `elt sql -f FILE`"),
];

/// Refuses what is not known here, in words that say what to write instead.
///
/// # Errors
/// It is one of those.
pub(super) fn refuse(tokens: &[TokenWithSpan]) -> Result<(), SqlMistake> {
    let words = words(tokens);
    let begins = |pattern: &str| {
        let mut wanted = pattern.split(' ').enumerate();
        let fits = wanted.all(|(at, wanted)| {
            words.get(at).is_some_and(|word| wanted == "…" || wanted.split('|').any(|one| one == word))
        });
        // Behind `…` there may be more; without it the words are all.
        fits && (pattern.ends_with('…') || words.len() == pattern.split(' ').count())
    };
    match INSTEAD.iter().find(|(pattern, ..)| begins(pattern)) {
        Some((_, what, instead)) => {
            Err(SqlMistake::new("elt::sql::not_supported", super::statement::not_supported(what))
                .help(*instead))
        }
        None => Ok(()),
    }
}

/// The first words of a statement, in lower case.
fn words(tokens: &[TokenWithSpan]) -> Vec<String> {
    let is_solid =
        |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::EOF | Token::SemiColon);
    tokens.iter().filter(is_solid).take(4).map(|token| token.token.to_string().to_lowercase()).collect()
}

/// Statements and tables that are only spelt otherwise elsewhere: `set var x = 5`, `describe query …`, and Spark's
/// csv.`path`, which is `read_csv('path')`.
pub(super) fn respelt(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let at: Vec<usize> =
        (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect();
    for place in (1..at.len().saturating_sub(2)).rev() {
        let is_table = match &tokens[at[place - 1]].token {
            Token::Word(before) => matches!(before.keyword, Keyword::FROM | Keyword::JOIN),
            before => *before == Token::Comma,
        };
        // What was respelt behind it may be shorter now.
        let token = |place: usize| tokens.get(at[place]).map(|token| &token.token);
        let (Some(Token::Word(format)), Some(Token::Period), Some(Token::Word(path))) =
            (token(place), token(place + 1), token(place + 2))
        else {
            continue;
        };
        if !is_table || path.quote_style != Some('`') || format.quote_style.is_some() {
            continue;
        }
        let reader = match format.value.to_lowercase().as_str() {
            "csv" => Some("read_csv"),
            "json" => Some("read_json"),
            "parquet" => Some("read_parquet"),
            "delta" => None,
            _ => continue,
        };
        let span = tokens[at[place]].span;
        let path = Token::SingleQuotedString(path.value.clone());
        let spelt = match reader {
            Some(reader) => vec![Token::make_word(reader, None), Token::LParen, path, Token::RParen],
            None => vec![path],
        };
        let spelt = spelt.into_iter().map(|token| TokenWithSpan { token, span });
        tokens.splice(at[place]..=at[place + 2], spelt);
    }
    let words = words(&tokens);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["set", "var", name, ..] if name != "=" && name != "to" => {
            tokens[at[1]].token = Token::make_word("variable", None);
        }
        // SQL's own way, without a sign between.
        ["set", "schema", name, ..] if name != "=" && name != "to" && at[2] > at[1] + 1 => {
            tokens[at[2] - 1].token = Token::Eq;
        }
        ["describe" | "desc", "query", "select" | "with" | "from" | "values" | "(", ..] => {
            tokens[at[1]].token = Token::Whitespace(Whitespace::Space);
        }
        _ => {}
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::super::statement::{parse, tokenize};
    use super::*;

    #[test]
    fn what_is_not_here_is_refused_and_names_are_left_alone() {
        for (sql, is_refused) in [
            ("describe extended t", true),
            ("describe extended", false),
            ("explain formatted select 1", true),
            ("declare x int", true),
            ("execute immediate 'select 1'", true),
            ("execute immediate", false),
            ("checkpoint", true),
            ("load 'x'", true),
            ("show partitions t", true),
            ("select 1", false),
        ] {
            assert_eq!(refuse(&tokenize(sql).unwrap()).is_err(), is_refused, "{sql}");
        }
    }

    #[test]
    fn other_spellings_are_read() {
        let shown = |sql: &str| format!("{:?}", parse(sql).unwrap());
        assert_eq!(shown("describe query select 1"), "DescribeQuery { sql: \"               select 1\" }");
        assert_eq!(shown("set var      x = 5"), shown("set variable x = 5"));
        assert_eq!(shown("set schema 'a'"), shown("set schema='a'"));
        assert_eq!(shown("set schema  b"), shown("set schema =b"));
        let read = |sql: &str| super::super::statement::parse_query(sql).unwrap().to_string();
        assert_eq!(read("select * from csv.`a.csv` as t"), "SELECT * FROM read_csv('a.csv') AS t");
        assert_eq!(read("select * from csv.t"), "SELECT * FROM csv.t");
        assert_eq!(read("select * from delta.`a`"), "SELECT * FROM 'a'");
        assert_eq!(read("select * from delta.`a`, delta.`b`"), "SELECT * FROM 'a', 'b'");
    }
}
