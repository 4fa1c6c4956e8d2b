//! How do rows come from files, and go to files?
//!
//! `COPY INTO t FROM '…'` in the words of Databricks ([`copy_into`](super::copy_into)), `COPY t TO '…'` in those of DuckDB
//! and Postgres. Here both are only read; what the options mean is known by who honours them, and who does not know one
//! refuses it by its name.

use sqlparser::ast;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};

use super::copy_into::{self, CopyInto};
use super::statement::parse_tokens;
use super::write::spelled;
use crate::query::SqlMistake;

/// `COPY t TO 'file' (…)`
#[derive(Clone, Debug)]
pub struct CopyTo {
    /// Which rows.
    pub query: Box<ast::Statement>,
    /// Where they go.
    pub file: String,
    /// Names, and values as written: one, several in brackets, or none.
    pub options: Vec<(String, Vec<String>)>,
}

const TO_HELP: &str =
    "write `copy orders to 'orders.csv' (header, delimiter ';')`, or `copy (select …) to 'o.parquet'`";

/// What a COPY asks for.
pub(super) enum Copy {
    Into(Box<CopyInto>),
    To(CopyTo),
}

/// Reads a COPY; nothing if it is another statement.
pub(super) fn copy(tokens: &[TokenWithSpan]) -> Result<Option<Copy>, SqlMistake> {
    let solid =
        |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::SemiColon | Token::EOF);
    let tokens: Vec<TokenWithSpan> = tokens.iter().filter(solid).cloned().collect();
    let mut words = Words { tokens: &tokens, at: 0 };
    if !words.take("COPY") {
        return Ok(None);
    }
    Ok(Some(match words.take("INTO") {
        true => Copy::Into(Box::new(
            copy_into::into(words).map_err(|mistake| mistake.help_if_none(copy_into::HELP))?,
        )),
        false => Copy::To(to(words).map_err(|mistake| mistake.help_if_none(TO_HELP))?),
    }))
}

fn to(mut words: Words<'_>) -> Result<CopyTo, SqlMistake> {
    let begin = words.at;
    let query = match words.is_symbol(&Token::LParen) {
        true => {
            let inner = words.bracketed()?;
            parse_tokens(inner)?
        }
        false => {
            let end = (begin..words.tokens.len())
                .find(|at| ["TO", "FROM"].iter().any(|word| is(&words.tokens[*at].token, word)));
            let end = end.ok_or_else(|| words.here("COPY does not say where the rows go".to_owned()))?;
            let table = &words.tokens[begin..end];
            words.at = end;
            if table.is_empty() {
                return Err(words.here("COPY does not say which rows".to_owned()));
            }
            parse_tokens(rows_of(table))?
        }
    };
    if words.is_at("FROM") {
        return Err(words.refused(
            "COPY … FROM",
            "write `copy into t from 'file.csv'`: each file is loaded once, and every row accounted for",
        ));
    }
    if !matches!(query, ast::Statement::Query(_)) {
        return Err(SqlMistake::new(
            "elt::sql::not_a_query",
            "only the rows of a query can be copied to a file",
        ));
    }
    words.expect("TO")?;
    if words.is_at("STDOUT") || words.is_at("PROGRAM") || words.is_at("STDIN") {
        return Err(words.refused(
            "COPY to anything but a file",
            "`elt sql -c … --format csv` writes rows to standard output",
        ));
    }
    let file = words.text("the file")?;
    words.take("WITH");
    let options = match words.is_symbol(&Token::LParen) {
        true => words.options()?,
        false => words.bare_options()?,
    };
    words.end()?;
    Ok(CopyTo { query: Box::new(query), file, options })
}

/// `t`, `t version as of 3` or `t (a, b)` as a query.
fn rows_of(table: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let first = &table[0];
    let columns = table.iter().position(|token| token.token == Token::LParen);
    let mut query = spelled("select", first);
    match columns.filter(|_| table.last().is_some_and(|last| last.token == Token::RParen)) {
        Some(at) if at > 0 => {
            query.extend(table[at + 1..table.len() - 1].iter().cloned());
            query.extend(spelled("from", first));
            query.extend(table[..at].iter().cloned());
        }
        _ => {
            query.extend(spelled("* from", first));
            query.extend(table.iter().cloned());
        }
    }
    query
}

/// The words of a statement, one after another.
pub(super) struct Words<'a> {
    pub(super) tokens: &'a [TokenWithSpan],
    pub(super) at: usize,
}

impl Words<'_> {
    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|token| &token.token)
    }

    pub(super) fn is_at(&self, word: &str) -> bool {
        self.peek().is_some_and(|token| is(token, word))
    }

    pub(super) fn is_symbol(&self, symbol: &Token) -> bool {
        self.peek() == Some(symbol)
    }

    pub(super) fn take(&mut self, word: &str) -> bool {
        let found = self.is_at(word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn take_symbol(&mut self, symbol: &Token) -> bool {
        let found = self.is_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, word: &str) -> Result<(), SqlMistake> {
        if self.take(word) { Ok(()) } else { Err(self.here(format!("`{word}` is expected here"))) }
    }

    pub(super) fn expect_symbol(&mut self, symbol: &Token) -> Result<(), SqlMistake> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(self.here(format!("`{symbol}` is expected here"))) }
    }

    /// The equals sign, which may be missing.
    pub(super) fn equals(&mut self) {
        self.take_symbol(&Token::Eq);
    }

    /// The next word, in capitals.
    pub(super) fn word(&mut self) -> Option<String> {
        let Some(Token::Word(Word { value, quote_style: None, .. })) = self.peek() else { return None };
        let word = value.to_uppercase();
        self.at += 1;
        Some(word)
    }

    /// `a` or `a.b`.
    pub(super) fn name(&mut self) -> Result<String, SqlMistake> {
        let rest: Vec<&Token> = self.tokens[self.at..].iter().map(|token| &token.token).collect();
        if !matches!(rest.first(), Some(Token::Word(_))) {
            return Err(self.here("the name of a table is expected here".to_owned()));
        }
        let (name, after) = super::statement::name(&rest, "COPY INTO")?;
        self.at = self.tokens.len() - after.len();
        Ok(name)
    }

    /// Goes on to the next.
    pub(super) fn skip(&mut self) {
        self.at += 1;
    }

    /// `(a, "B")`, the names of columns.
    pub(super) fn columns(&mut self) -> Result<Vec<String>, SqlMistake> {
        self.expect_symbol(&Token::LParen)?;
        let mut columns = Vec::new();
        loop {
            let Some(Token::Word(word)) = self.peek() else {
                return Err(self.here("the name of a column is expected here".to_owned()));
            };
            columns.push(match word.quote_style {
                Some(_) => word.value.clone(),
                None => word.value.to_lowercase(),
            });
            self.skip();
            if !self.take_symbol(&Token::Comma) {
                self.expect_symbol(&Token::RParen)?;
                return Ok(columns);
            }
        }
    }

    /// A text in quotes.
    pub(super) fn text(&mut self, what: &str) -> Result<String, SqlMistake> {
        match self.peek() {
            Some(
                Token::SingleQuotedString(text)
                | Token::DoubleQuotedString(text)
                | Token::EscapedStringLiteral(text),
            ) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.here(format!("{what} stands in single quotes here"))),
        }
    }

    /// A text, a number or a bare word.
    pub(super) fn value(&mut self) -> Result<String, SqlMistake> {
        let minus = self.take_symbol(&Token::Minus);
        let value = match self.peek() {
            Some(Token::Word(word)) if word.quote_style.is_none() || word.quote_style == Some('"') => {
                word.value.clone()
            }
            Some(Token::Number(number, _)) => format!("{}{number}", if minus { "-" } else { "" }),
            Some(Token::Mul) => "*".to_owned(),
            _ => return self.text("a value"),
        };
        self.at += 1;
        Ok(value)
    }

    /// `('a', 'b')`
    pub(super) fn list(&mut self) -> Result<Vec<String>, SqlMistake> {
        self.expect_symbol(&Token::LParen)?;
        let mut values = Vec::new();
        while !self.take_symbol(&Token::RParen) {
            values.push(self.value()?);
            if !self.take_symbol(&Token::Comma) {
                self.expect_symbol(&Token::RParen)?;
                break;
            }
        }
        Ok(values)
    }

    /// `('a' = 'b', c = true)`
    pub(super) fn pairs(&mut self) -> Result<Vec<(String, String)>, SqlMistake> {
        self.equals();
        self.expect_symbol(&Token::LParen)?;
        let mut pairs: Vec<(String, String)> = Vec::new();
        while !self.take_symbol(&Token::RParen) {
            let name = self.value()?;
            self.expect_symbol(&Token::Eq)?;
            let value = self.value()?;
            if pairs.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name)) {
                return Err(self.before(format!("`{name}` is there twice")));
            }
            pairs.push((name, value));
            if !self.take_symbol(&Token::Comma) {
                self.expect_symbol(&Token::RParen)?;
                break;
            }
        }
        Ok(pairs)
    }

    /// `(header, delimiter ';', partition_by (a, b))`
    pub(super) fn options(&mut self) -> Result<Vec<(String, Vec<String>)>, SqlMistake> {
        self.expect_symbol(&Token::LParen)?;
        let mut options: Vec<(String, Vec<String>)> = Vec::new();
        while !self.take_symbol(&Token::RParen) {
            let name =
                self.word().ok_or_else(|| self.here("the name of an option is expected here".to_owned()))?;
            self.equals();
            let values = match self.peek() {
                None | Some(Token::Comma | Token::RParen) => Vec::new(),
                Some(Token::LParen) => self.list()?,
                Some(_) => vec![self.value()?],
            };
            if options.iter().any(|(known, _)| *known == name) {
                return Err(self.before(format!("`{name}` is there twice")));
            }
            options.push((name, values));
            if !self.take_symbol(&Token::Comma) {
                self.expect_symbol(&Token::RParen)?;
                break;
            }
        }
        Ok(options)
    }

    /// `csv header delimiter as ';'`, as psql has them without brackets.
    pub(super) fn bare_options(&mut self) -> Result<Vec<(String, Vec<String>)>, SqlMistake> {
        let mut options: Vec<(String, Vec<String>)> = Vec::new();
        while let Some(Token::Word(_)) = self.peek() {
            let option = match self.word().as_deref() {
                Some("CSV") => ("FORMAT".to_owned(), vec!["csv".to_owned()]),
                Some("HEADER") => ("HEADER".to_owned(), Vec::new()),
                Some(name @ ("DELIMITER" | "NULL" | "QUOTE" | "ESCAPE" | "ENCODING")) => {
                    let name = name.to_owned();
                    self.take("AS");
                    (name, vec![self.text("a value")?])
                }
                _ => {
                    return Err(self.before(format!(
                        "`{}` is not expected here",
                        self.tokens[self.at.saturating_sub(1)].token
                    )));
                }
            };
            if options.iter().any(|(known, _)| *known == option.0) {
                return Err(self.before(format!("`{}` is there twice", option.0)));
            }
            options.push(option);
        }
        Ok(options)
    }

    /// What stands between this bracket and the one that closes it.
    pub(super) fn bracketed(&mut self) -> Result<Vec<TokenWithSpan>, SqlMistake> {
        let begin = self.at + 1;
        let mut depth = 0_i32;
        while let Some(token) = self.peek() {
            match token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(self.tokens[begin..self.at - 1].to_vec());
            }
        }
        Err(self.here("a bracket is not closed".to_owned()))
    }

    pub(super) fn end(&self) -> Result<(), SqlMistake> {
        match self.peek() {
            None => Ok(()),
            Some(token) => Err(self.here(format!("`{token}` is not expected here"))),
        }
    }

    /// A mistake at the next word.
    pub(super) fn here(&self, message: String) -> SqlMistake {
        self.mistake(self.at, message)
    }

    /// A mistake at the word before.
    pub(super) fn before(&self, message: String) -> SqlMistake {
        self.mistake(self.at.saturating_sub(1), message)
    }

    pub(super) fn mistake(&self, at: usize, message: String) -> SqlMistake {
        let span = self.tokens.get(at).or(self.tokens.last()).map_or(Span::empty(), |token| token.span);
        SqlMistake::new("elt::sql::syntax", message).at(span.start.line, span.start.column)
    }

    pub(super) fn refused(&self, what: &str, instead: &str) -> SqlMistake {
        let span = self.tokens.get(self.at).map_or(Span::empty(), |token| token.span);
        SqlMistake::new("elt::sql::not_supported", format!("{what} is not supported"))
            .at(span.start.line, span.start.column)
            .help(instead)
    }
}

pub(super) fn is(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(own) if own.quote_style.is_none() && own.value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::super::{CopiedAs, CopyInto, Places, Statement, Validate, parse};

    fn read_into(sql: &str) -> CopyInto {
        match parse(sql).unwrap() {
            Statement::CopyInto(copy) => *copy,
            other => panic!("{other:?}"),
        }
    }

    fn read_to(sql: &str) -> (String, String, Vec<(String, Vec<String>)>) {
        match parse(sql).unwrap() {
            Statement::CopyTo(copy) => (copy.query.to_string(), copy.file, copy.options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_of_copy_into_is_read() {
        let copy = read_into(
            "copy into Crm.People from 's3://b/in' fileformat = CSV validate 10 rows pattern = '*.csv'
             format_options ('header' = 'true', sep = ';') copy_options ('force' = true);",
        );
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(copy.table, "crm.people");
        assert_eq!((copy.from.as_str(), copy.format.as_deref()), ("s3://b/in", Some("csv")));
        assert_eq!((copy.pattern.as_deref(), copy.validate), (Some("*.csv"), Some(Validate::Rows(10))));
        assert_eq!(copy.format_options, [pair("header", "true"), pair("sep", ";")]);
        assert_eq!(copy.copy_options, [pair("force", "true")]);
        let copy = read_into(
            "copy into t (A, \"B\") from (select f.a as x, b + c, D::int from 'in' as f) fileformat = csv",
        );
        assert_eq!((copy.places, copy.from.as_str()), (Places::Listed(vec!["a".into(), "B".into()]), "in"));
        let select = copy.select.unwrap();
        assert_eq!(select.alias.as_ref().map(|alias| alias.value.as_str()), Some("f"));
        let bare = CopiedAs { column: "a".into(), named: "x".into() };
        assert_eq!(select.as_they_are(), [Some(bare), None, None]);
        assert_eq!(read_into("copy into t by position from 'in'").places, Places::ByPosition);
        let copy = read_into("COPY INTO t FROM 'in' FILES = ('a.csv', 'b.csv') VALIDATE");
        assert_eq!((copy.files, copy.validate), (vec!["a.csv".into(), "b.csv".into()], Some(Validate::All)));
    }

    #[test]
    fn all_of_copy_to_is_read() {
        let (query, file, options) = read_to(
            "copy (select a, (1) from t) to 'x.csv' with (header, delimiter ';', partition_by (a, b))",
        );
        assert_eq!((query.as_str(), file.as_str()), ("SELECT a, (1) FROM t", "x.csv"));
        let option =
            |name: &str, values: &[&str]| (name.to_owned(), values.iter().map(|v| (*v).to_owned()).collect());
        assert_eq!(
            options,
            [option("HEADER", &[]), option("DELIMITER", &[";"]), option("PARTITION_BY", &["a", "b"])]
        );
        assert_eq!(read_to("copy crm.people (id, city) to 'x'").0, "SELECT id, city FROM crm.people");
        assert_eq!(read_to("copy t version as of 3 to 'x'").0, "SELECT * FROM t VERSION AS OF 3");
        assert_eq!(read_to("copy (from t) to 'x' (format parquet)").0, "SELECT * FROM t");
    }

    #[test]
    fn options_stand_without_brackets_as_psql_has_them() {
        let told = |sql: &str| match parse(sql).unwrap() {
            Statement::CopyTo(copy) => copy.options,
            other => panic!("{other:?}"),
        };
        let bare = told("copy t to 'x' with csv header delimiter as ';'");
        let bracketed = told("copy t to 'x' (format csv, header, delimiter ';')");
        assert_eq!(bare, bracketed);
    }

    #[test]
    fn what_is_wrong_with_a_copy_is_said_with_what_to_do() {
        for (sql, what, place) in [
            ("copy", "COPY does not say where the rows go", Some((1, 1))),
            ("copy t", "COPY does not say where the rows go", Some((1, 6))),
            ("copy to 'x'", "COPY does not say which rows", Some((1, 6))),
            ("copy t from 'x.csv'", "COPY … FROM is not supported", Some((1, 8))),
            ("copy t to x.csv", "the file stands in single quotes here", Some((1, 11))),
            ("copy (select 1 to 'x'", "a bracket is not closed", Some((1, 19))),
            ("copy (delete from t) to 'x'", "only the rows of a query can be copied to a file", None),
            ("copy t to 'x' (header, HEADER)", "`HEADER` is there twice", Some((1, 24))),
            ("copy t to 'x' csw", "`csw` is not expected here", Some((1, 15))),
            ("copy t to 'x' csv header csv", "`FORMAT` is there twice", Some((1, 26))),
            ("copy t to 'x' delimiter 5", "a value stands in single quotes here", Some((1, 25))),
            ("copy into 'x'", "the name of a table is expected here", Some((1, 11))),
            ("copy into t () from 'x'", "the name of a column is expected here", Some((1, 14))),
            ("copy into t by name from 'x'", "`POSITION` is expected here", Some((1, 16))),
            (
                "copy into t from (select a from 'x' where a > 1)",
                "more than SELECT and FROM in a COPY INTO is not supported",
                Some((1, 19)),
            ),
            (
                "copy into t from (select a from 'x' order by a)",
                "more than SELECT and FROM in a COPY INTO is not supported",
                Some((1, 19)),
            ),
            (
                "copy into t from (select a from u)",
                "the files stand in single quotes after FROM",
                Some((1, 19)),
            ),
            (
                "copy into t from (select a from 'x', 'y')",
                "anything but the files in FROM in a COPY INTO is not supported",
                Some((1, 19)),
            ),
            ("copy into t from 'x' validate 0 rows", "`0` is not a number of rows", Some((1, 31))),
            ("copy into t from 'x' validate 5", "`ROWS` is expected here", Some((1, 31))),
            ("copy into t from 'x' sort = a", "`SORT` is not expected here", Some((1, 22))),
            (
                "copy into t from 'x' files = ('a') pattern = 'b'",
                "FILES and PATTERN cannot both be given",
                None,
            ),
            ("copy into t from 'x' copy_options ('a' = 1, 'A' = 2)", "`A` is there twice", Some((1, 51))),
        ] {
            let mistake = parse(sql).unwrap_err();
            assert_eq!((mistake.message(), mistake.place()), (what, place), "{sql}");
            assert!(mistake.help_text().is_some(), "{sql}");
        }
    }
}
