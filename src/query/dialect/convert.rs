//! `CONVERT TO DELTA`, in the words of Databricks.

use sqlparser::ast;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::statement::parse_tokens;
use super::write::{is, spelled};
use crate::query::SqlMistake;

/// ``CONVERT TO DELTA parquet.`folder` [PARTITIONED BY (column type, …)]``
#[derive(Clone, Debug)]
pub struct Convert {
    /// A folder or a URL.
    pub place: String,
    /// The columns that stand in the folders' names; if nothing is said, they are found there.
    pub partitioned_by: Vec<ast::ColumnDef>,
}

const HELP: &str =
    "write ``convert to delta parquet.`folder` ``, or `convert to delta 'folder' partitioned by (day date)`";

impl Convert {
    /// Reads such a statement; nothing if it is not one.
    pub(super) fn read(tokens: &[TokenWithSpan]) -> Result<Option<Self>, SqlMistake> {
        let solid = |token: &&TokenWithSpan| {
            !matches!(token.token, Token::Whitespace(_) | Token::SemiColon | Token::EOF)
        };
        let tokens: Vec<TokenWithSpan> = tokens.iter().filter(solid).cloned().collect();
        if !tokens.first().is_some_and(|token| is(token, "CONVERT")) {
            return Ok(None);
        }
        let wrong = |at: usize| {
            let token = tokens.get(at).or(tokens.last());
            let (line, column) =
                token.map_or((1, 1), |token| (token.span.start.line, token.span.start.column));
            let found =
                tokens.get(at).map_or_else(|| "the end".to_owned(), |token| format!("`{}`", token.token));
            let mistake = SqlMistake::new("elt::sql::syntax", format!("{found} is not expected here"));
            mistake.at(line, column).help(HELP)
        };
        if !tokens.get(1).is_some_and(|token| is(token, "TO"))
            || !tokens.get(2).is_some_and(|token| is(token, "DELTA"))
        {
            return Err(wrong(1));
        }
        let mut at = 3;
        if tokens.get(3).is_some_and(|token| is(token, "PARQUET"))
            && tokens.get(4).is_some_and(|token| token.token == Token::Period)
        {
            at = 5;
        }
        let place = match tokens.get(at).map(|token| &token.token) {
            Some(Token::SingleQuotedString(text)) => text.clone(),
            Some(Token::Word(word)) if word.quote_style.is_some() => word.value.clone(),
            Some(Token::Word(_)) => {
                let mistake = SqlMistake::new(
                    "elt::sql::not_supported",
                    "CONVERT TO DELTA of a table's name is not supported, because the tables of a lake are Delta already",
                );
                return Err(mistake.help(HELP));
            }
            _ => return Err(wrong(at)),
        };
        at += 1;
        if tokens.get(at).is_some_and(|token| is(token, "NO")) {
            let mistake = SqlMistake::new(
                "elt::sql::not_supported",
                "NO STATISTICS is not supported, because the files' footers have them and without them every query reads \
                 every file",
            );
            return Err(mistake.help("leave it out"));
        }
        let mut partitioned_by = Vec::new();
        if tokens.get(at).is_some_and(|token| is(token, "PARTITIONED")) {
            if !tokens.get(at + 1).is_some_and(|token| is(token, "BY")) {
                return Err(wrong(at + 1));
            }
            let mut table = spelled("create table t", &tokens[at]);
            table.extend(tokens[at + 2..].iter().cloned());
            let ast::Statement::CreateTable(table) =
                parse_tokens(table).map_err(|mistake| mistake.help(HELP))?
            else {
                return Err(wrong(at + 2));
            };
            partitioned_by = table.columns;
        } else if at < tokens.len() {
            return Err(wrong(at));
        }
        Ok(Some(Self { place, partitioned_by }))
    }
}
