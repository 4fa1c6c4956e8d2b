//! `COPY INTO t FROM 'files'`, in the words of Databricks.
//!
//! Here it is only read; what the options mean is known by who honours them, and who does not know one refuses it by its
//! name.

use sqlparser::ast::{
    self, Expr, Ident, ObjectName, Query, SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins,
};
use sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use super::copy::Words;
use super::statement::{parse_query, parse_tokens};
use super::write::in_known_words;
use crate::query::SqlMistake;

/// `COPY INTO t FROM 'files' …`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyInto {
    /// The table, as written.
    pub table: String,
    /// Which of its columns the columns of the files are.
    pub places: Places,
    /// A file, a folder, a glob or a URL.
    pub from: String,
    /// What becomes of the columns of the files before they are those of the table.
    pub select: Option<CopySelect>,
    /// Only these files of the folder.
    pub files: Vec<String>,
    /// Only files of the folder whose names are like this.
    pub pattern: Option<String>,
    /// The format, if it is told.
    pub format: Option<String>,
    /// `FORMAT_OPTIONS (…)`, names and values as written.
    pub format_options: Vec<(String, String)>,
    /// `COPY_OPTIONS (…)`, names and values as written.
    pub copy_options: Vec<(String, String)>,
    /// Whether nothing is to be written, only looked at.
    pub validate: Option<Validate>,
}

/// Which columns of a table are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Places {
    /// Those of the same names.
    #[default]
    ByName,
    /// All, in their order.
    ByPosition,
    /// These, in this order.
    Listed(Vec<String>),
}

/// The `SELECT` of a `COPY INTO`: what stands in its list, and what the files are called there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopySelect {
    /// What is selected.
    pub items: Vec<SelectItem>,
    /// What the files are called.
    pub alias: Option<Ident>,
}

/// How much a `VALIDATE` looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validate {
    /// Every row.
    All,
    /// So many rows.
    Rows(u64),
}

pub(super) const HELP: &str = "write `copy into crm.people from 'inbox/' fileformat = csv pattern = '*.csv' \
                               format_options ('header' = 'true') copy_options ('mergeSchema' = 'true')`";

/// What follows the words `COPY INTO`.
pub(super) fn into(mut words: Words<'_>) -> Result<CopyInto, SqlMistake> {
    let mut copy = CopyInto { table: words.name()?, ..CopyInto::default() };
    if words.take("BY") {
        words.expect("POSITION")?;
        copy.places = Places::ByPosition;
    } else if words.is_symbol(&Token::LParen) {
        copy.places = Places::Listed(words.columns()?);
    }
    words.expect("FROM")?;
    if words.is_symbol(&Token::LParen) {
        let (from, select) = selected(&words.bracketed()?)?;
        (copy.from, copy.select) = (from, Some(select));
    } else {
        copy.from = words.text("the files")?;
        no_credentials(&words)?;
    }
    let mut seen: Vec<String> = Vec::new();
    while let Some(clause) = words.word() {
        if seen.contains(&clause) {
            return Err(words.before(format!("`{clause}` is there twice")));
        }
        match clause.as_str() {
            "FILEFORMAT" => {
                words.equals();
                copy.format = Some(words.value()?.to_lowercase());
            }
            "VALIDATE" => copy.validate = Some(validate(&mut words)?),
            "FILES" => {
                words.equals();
                copy.files = words.list()?;
            }
            "PATTERN" => {
                words.equals();
                copy.pattern = Some(words.text("a pattern")?);
            }
            "FORMAT_OPTIONS" => copy.format_options = words.pairs()?,
            "COPY_OPTIONS" => copy.copy_options = words.pairs()?,
            _ => return Err(words.before(format!("`{clause}` is not expected here")).help(HELP)),
        }
        seen.push(clause);
    }
    words.end()?;
    if !copy.files.is_empty() && copy.pattern.is_some() {
        return Err(SqlMistake::new("elt::sql::syntax", "FILES and PATTERN cannot both be given"));
    }
    Ok(copy)
}

fn no_credentials(words: &Words<'_>) -> Result<(), SqlMistake> {
    match words.is_at("WITH") {
        false => Ok(()),
        true => Err(words.refused(
            "WITH (CREDENTIAL …)",
            "credentials come from the environment: AWS_…, GOOGLE_…, AZURE_…",
        )),
    }
}

/// `SELECT … FROM 'files' [alias]`, without anything that would make of a row more or less than a row.
fn selected(tokens: &[TokenWithSpan]) -> Result<(String, CopySelect), SqlMistake> {
    if let Some(at) = tokens.iter().position(|token| super::copy::is(&token.token, "WITH")) {
        no_credentials(&Words { tokens, at })?;
    }
    let place = tokens.first().map_or(Span::empty(), |token| token.span).start;
    let refused = |what: &str| {
        SqlMistake::new("elt::sql::not_supported", format!("{what} in a COPY INTO is not supported"))
            .at(place.line, place.column)
            .help("each row of a file becomes a row of the table; land the files as they are, and make a model of the query")
    };
    let ast::Statement::Query(query) = parse_tokens(in_known_words(tokens.to_vec())?)? else {
        return Err(refused("anything but a SELECT"));
    };
    let SetExpr::Select(select) = &*query.body else { return Err(refused("anything but a plain SELECT")) };
    let [TableWithJoins { relation: TableFactor::Table { name, alias, .. }, joins }] = &select.from[..]
    else {
        return Err(refused("anything but the files in FROM"));
    };
    if !joins.is_empty() {
        return Err(refused("a join"));
    }
    if *query != only(&select.projection, name, alias.as_ref())? {
        return Err(refused("more than SELECT and FROM"));
    }
    let file = match &name.0[..] {
        [ast::ObjectNamePart::Identifier(ident)] if ident.quote_style == Some('\'') => ident.value.clone(),
        _ => {
            return Err(SqlMistake::new("elt::sql::syntax", "the files stand in single quotes after FROM")
                .at(place.line, place.column)
                .help("write `copy into t from (select a, b from 'inbox/') fileformat = csv`"));
        }
    };
    let alias = alias.as_ref().map(|alias| alias.name.clone());
    Ok((file, CopySelect { items: select.projection.clone(), alias }))
}

/// `SELECT items FROM name AS alias`, and not a clause more.
fn only(items: &[SelectItem], name: &ObjectName, alias: Option<&TableAlias>) -> Result<Query, SqlMistake> {
    let ast::Statement::Query(mut query) = parse_query("select 1 from t")? else {
        unreachable!("a SELECT is a query")
    };
    if let SetExpr::Select(select) = &mut *query.body {
        select.projection = items.to_vec();
        for from in &mut select.from {
            if let TableFactor::Table { name: own, alias: known, .. } = &mut from.relation {
                own.clone_from(name);
                *known = alias.cloned();
            }
        }
    }
    Ok(*query)
}

fn validate(words: &mut Words<'_>) -> Result<Validate, SqlMistake> {
    if words.take("ALL") {
        return Ok(Validate::All);
    }
    let Some(Token::Number(number, _)) = words.peek() else { return Ok(Validate::All) };
    let rows = number.replace('_', "").parse().ok().filter(|rows| *rows > 0);
    let rows = rows.ok_or_else(|| words.here(format!("`{number}` is not a number of rows")))?;
    words.skip();
    words.expect("ROWS")?;
    Ok(Validate::Rows(rows))
}

/// A column of files that goes into a table as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedAs {
    /// What the files call it.
    pub column: String,
    /// What the SELECT calls it.
    pub named: String,
}

impl CopySelect {
    /// For each item of the list, the column of the files that it is, if it is one and that is asked for nowhere else.
    pub fn as_they_are(&self) -> Vec<Option<CopiedAs>> {
        let bare = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(expr) => {
                column(expr).map(|name| CopiedAs { named: name.clone(), column: name })
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                column(expr).map(|column| CopiedAs { column, named: folded(alias) })
            }
            _ => None,
        };
        let named = self.asked();
        let once = |of: &CopiedAs| named.iter().filter(|other| **other == of.column).count() == 1;
        self.items.iter().map(|item| bare(item).filter(once)).collect()
    }

    /// Whether all columns of the files are selected as they are, but for those that expressions ask for.
    pub fn takes_all(&self) -> bool {
        self.items
            .iter()
            .any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)))
    }

    /// The columns that expressions ask for, as often as they do.
    pub fn asked(&self) -> Vec<String> {
        let mut named: Vec<String> = Vec::new();
        for item in &self.items {
            let _ = ast::visit_expressions(item, |expr| {
                named.extend(column(expr));
                std::ops::ControlFlow::<()>::Continue(())
            });
        }
        named
    }
}

/// The column that an expression is.
fn column(expr: &Expr) -> Option<String> {
    let ident = match expr {
        Expr::Identifier(ident) => ident,
        Expr::CompoundIdentifier(parts) => parts.last()?,
        _ => return None,
    };
    Some(folded(ident))
}

fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}
