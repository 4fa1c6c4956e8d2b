//! Which statements write, that sqlparser does not know?
//!
//! What Delta's users type and no parser of ours reads is spelled so that it does: `UPDATE SET *` and
//! `INSERT *` in a MERGE, `WITH SCHEMA EVOLUTION`, `REPLACE WHERE`. OPTIMIZE, RESTORE and UNDROP
//! are read here.

use sqlparser::ast::{self, Ident, ObjectName, ObjectNamePart};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::create_table::in_order;
use super::statement::{parse_tokens, tokenize};
use super::time_travel::version_of;
use crate::base::AsOf;
use crate::query::SqlMistake;

/// The column that stands for `*` in a MERGE's clauses.
pub(in crate::query) const ALL_COLUMNS: &str = "__elt_all_columns";
/// The property whose value is the name of one that goes; the second, if there is one.
pub(in crate::query) const UNSET: &str = "@unset";
pub(in crate::query) const UNSET_IF_THERE: &str = "@unset if there";
/// What is added to a table's name to see where each of its rows is.
pub(in crate::query) const PLACES: &str = "@places";

/// A statement that writes and that sqlparser has no form for.
#[derive(Clone, Debug)]
pub enum OwnWrite {
    /// `MERGE … INTO t`, with whether new columns of the source are let in.
    Merge {
        /// The statement, `*` spelled out.
        merge: Box<ast::Merge>,
        /// `WITH SCHEMA EVOLUTION`
        evolve: bool,
    },
    /// `INSERT INTO t BY NAME query`
    InsertByName {
        /// The statement without these words.
        insert: Box<ast::Insert>,
    },
    /// `INSERT INTO t REPLACE WHERE p query`
    ReplaceWhere {
        /// The statement without the predicate.
        insert: Box<ast::Insert>,
        /// Which rows go.
        predicate: Box<ast::Expr>,
    },
    /// `CREATE TABLE a [SHALLOW | DEEP] CLONE b [VERSION AS OF n]`
    Clone {
        /// The statement, with what is cloned.
        create: Box<ast::CreateTable>,
        /// The version that is cloned; the newest if it is nothing.
        as_of: Option<AsOf>,
        /// Whether the files are shared, and no row is read.
        shallow: bool,
    },
    /// `UNDROP TABLE t`
    Undrop {
        /// The table, as written.
        table: String,
    },
    /// `RESTORE [TABLE] t [TO] VERSION AS OF n`
    Restore {
        /// The table, as written.
        table: String,
        /// The version to go back to.
        as_of: AsOf,
    },
    /// `OPTIMIZE t [WHERE p] [ZORDER BY (columns)]`
    Optimize {
        /// The table.
        table: ObjectName,
        /// Only files with such rows.
        predicate: Option<Box<ast::Expr>>,
        /// Order rows so that these columns' values are near each other.
        order_by: Vec<Ident>,
    },
}

/// `VACUUM t [RETAIN n HOURS] [DRY RUN]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vacuum {
    /// The table, as written.
    pub table: String,
    /// How long files are kept; nothing means as long as ever.
    pub retain_hours: Option<i64>,
    /// Whether only to tell.
    pub dry_run: bool,
}

impl Vacuum {
    pub(super) fn read(tokens: &[&Token]) -> Result<Self, SqlMistake> {
        let help = "write `VACUUM t`, `VACUUM t RETAIN 200 HOURS` or `VACUUM t DRY RUN`";
        let (table, mut rest) = super::statement::name(&tokens[1..], "VACUUM")?;
        let mut vacuum = Self { table, retain_hours: None, dry_run: false };
        while !rest.is_empty() {
            let words: Vec<String> =
                rest.iter().take(3).map(|token| token.to_string().to_uppercase()).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            rest = match words.as_slice() {
                ["RETAIN", hours, "HOURS"] => {
                    let number = hours.parse::<u32>().map(i64::from).map_err(|_| {
                        SqlMistake::new("elt::sql::syntax", format!("`{hours}` is not a number of hours"))
                            .help(help)
                    })?;
                    vacuum.retain_hours = Some(number);
                    &rest[3..]
                }
                ["DRY", "RUN", ..] => {
                    vacuum.dry_run = true;
                    &rest[2..]
                }
                _ => {
                    return Err(SqlMistake::new(
                        "elt::sql::syntax",
                        format!("`{}` is not expected here", rest[0]),
                    )
                    .help(help));
                }
            };
        }
        Ok(vacuum)
    }
}

/// Reads such a statement; nothing if it is not one.
pub(super) fn own_write(tokens: &[TokenWithSpan]) -> Result<Option<OwnWrite>, SqlMistake> {
    let tokens: Vec<TokenWithSpan> = tokens
        .iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::SemiColon))
        .cloned()
        .collect();
    let words: Vec<String> =
        tokens.iter().take(3).map(|token| token.token.to_string().to_uppercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["MERGE", ..] => merge(tokens).map(Some),
        ["INSERT", "WITH", "SCHEMA"] => Err(SqlMistake::new(
            "elt::sql::not_supported",
            "INSERT WITH SCHEMA EVOLUTION is not supported, because an INSERT matches columns by their place",
        )
        .help(
            "add the column first, `alter table t add column c bigint`, or write MERGE WITH SCHEMA EVOLUTION",
        )),
        ["INSERT", ..] => match by_name(&tokens)? {
            Some(insert) => Ok(Some(insert)),
            None => replace_where(tokens),
        },
        ["UNDROP", ..] => {
            let name = if words.get(1) == Some(&"TABLE") { &tokens[2..] } else { &tokens[1..] };
            Ok(Some(OwnWrite::Undrop { table: shown(name) }))
        }
        ["RESTORE", ..] => restore(&tokens).map(Some),
        ["OPTIMIZE", ..] => optimize(tokens).map(Some),
        ["CREATE", ..] => clone(&tokens),
        _ => Ok(None),
    }
}

/// Says `CLUSTER BY NONE` and `UNSET TBLPROPERTIES` of an ALTER TABLE as the parser knows them, and has the clauses of a
/// CREATE TABLE in its order.
pub(super) fn in_known_words(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, SqlMistake> {
    let solid = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_));
    if !tokens.iter().find(solid).is_some_and(|first| is(first, "ALTER")) {
        return in_order(tokens);
    }
    let words: Vec<TokenWithSpan> = tokens.iter().filter(solid).cloned().collect();
    if let Some(at) = (0..words.len()).find(|at| are(&words[*at..], &["UNSET", "TBLPROPERTIES"])) {
        return Ok(unset(&words, at));
    }
    match (0..words.len()).find(|at| are(&words[*at..], &["CLUSTER", "BY", "NONE"])) {
        Some(at) => {
            let none = spelled("drop clustering key", &words[at]);
            Ok(words[..at].iter().cloned().chain(none).chain(words[at + 3..].iter().cloned()).collect())
        }
        None => Ok(tokens),
    }
}

/// `WHEN MATCHED … THEN DO NOTHING` at the end says what is so without it. Before others of its kind it would keep rows from
/// them.
fn without_nothing(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, SqlMistake> {
    let mut words: Vec<TokenWithSpan> =
        tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).cloned().collect();
    let Some(does) = (0..words.len()).find(|at| are(&words[*at..], &["THEN", "DO", "NOTHING"])) else {
        return Ok(tokens);
    };
    let when = (0..does).rev().find(|at| is(&words[*at], "WHEN")).unwrap_or(does);
    let kind = |at: usize| {
        let by_source = |at: usize| are(&words[at..], &["BY", "SOURCE"]);
        match is(&words[at + 1], "NOT") {
            false => 0,
            true if words.len() > at + 4 && by_source(at + 3) => 1,
            true => 2,
        }
    };
    let goes_on = |at: &usize| is(&words[*at], "WHEN") && words.len() > at + 3 && kind(*at) == kind(when);
    if (does..words.len()).any(|at| goes_on(&at)) {
        let start = words[does + 1].span.start;
        let what = "DO NOTHING before another clause of its kind is not supported";
        return Err(SqlMistake::new("elt::sql::not_supported", what).at(start.line, start.column).help(
            "say in the other clause which rows it is for: `when matched and not (…) then update set …`",
        ));
    }
    words.drain(when..does + 3);
    without_nothing(words)
}

/// `UNSET TBLPROPERTIES [IF EXISTS] ('a', 'b')` as properties that are set: [`UNSET`] to each name.
fn unset(words: &[TokenWithSpan], at: usize) -> Vec<TokenWithSpan> {
    let names = at + if are(&words[at + 2..], &["IF", "EXISTS"]) { 4 } else { 2 };
    let key = format!("'{}' =", if names > at + 2 { UNSET_IF_THERE } else { UNSET });
    let mut out = words[..at].to_vec();
    out.extend(spelled("set tblproperties", &words[at]));
    for word in &words[names..] {
        if matches!(word.token, Token::SingleQuotedString(_)) {
            out.extend(spelled(&key, word));
        }
        out.push(word.clone());
    }
    out
}

pub(super) fn is(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(own) if own.quote_style.is_none() && own.value.eq_ignore_ascii_case(word))
}

fn are(tokens: &[TokenWithSpan], words: &[&str]) -> bool {
    tokens.len() >= words.len() && tokens.iter().zip(words).all(|(token, word)| is(token, word))
}

/// Tokens in place of those at `like`, where the statement has them.
pub(super) fn spelled(sql: &str, like: &TokenWithSpan) -> Vec<TokenWithSpan> {
    let tokens = tokenize(sql).expect("our own words are correct");
    let solid = tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
    solid.map(|token| TokenWithSpan { span: like.span, ..token }).collect()
}

fn merge(tokens: Vec<TokenWithSpan>) -> Result<OwnWrite, SqlMistake> {
    let tokens = without_nothing(tokens)?;
    let mut out = Vec::with_capacity(tokens.len());
    let mut evolve = false;
    let mut at = 0;
    while at < tokens.len() {
        let rest = &tokens[at..];
        if at == 1 && are(rest, &["WITH", "SCHEMA", "EVOLUTION"]) {
            evolve = true;
            at += 3;
        } else if are(rest, &["UPDATE", "SET"]) && rest.get(2).is_some_and(|token| token.token == Token::Mul)
        {
            out.extend(spelled(&format!("update set {ALL_COLUMNS} = 1"), &rest[0]));
            at += 3;
        } else if are(rest, &["INSERT"]) && rest.get(1).is_some_and(|token| token.token == Token::Mul) {
            out.extend(spelled(&format!("insert ({ALL_COLUMNS}) values (1)"), &rest[0]));
            at += 2;
        } else {
            out.push(rest[0].clone());
            at += 1;
        }
    }
    match parse_tokens(out)? {
        ast::Statement::Merge(merge) => Ok(OwnWrite::Merge { merge: Box::new(merge), evolve }),
        _ => Err(SqlMistake::new("elt::sql::syntax", "this is not a MERGE")),
    }
}

/// `INSERT INTO t REPLACE WHERE p query`: the predicate goes to the end of a query of its own.
/// `INSERT [INTO | OVERWRITE] t BY NAME query`; nothing for another INSERT.
fn by_name(tokens: &[TokenWithSpan]) -> Result<Option<OwnWrite>, SqlMistake> {
    let begins_query = |token: &TokenWithSpan| {
        token.token == Token::LParen
            || ["SELECT", "VALUES", "WITH", "FROM"].iter().any(|word| is(token, word))
    };
    let query = tokens.iter().position(begins_query).unwrap_or(tokens.len());
    let Some(at) = tokens[..query].windows(2).position(|pair| is(&pair[0], "BY") && is(&pair[1], "NAME"))
    else {
        return Ok(None);
    };
    let rest = tokens[..at].iter().chain(&tokens[at + 2..]).cloned().collect();
    match parse_tokens(rest)? {
        ast::Statement::Insert(insert) => Ok(Some(OwnWrite::InsertByName { insert: Box::new(insert) })),
        _ => Ok(None),
    }
}

fn replace_where(tokens: Vec<TokenWithSpan>) -> Result<Option<OwnWrite>, SqlMistake> {
    let Some(at) = tokens.windows(2).position(|pair| is(&pair[0], "REPLACE") && is(&pair[1], "WHERE")) else {
        return Ok(None);
    };
    let mut depth = 0_i32;
    let begins_query = |token: &TokenWithSpan| {
        ["SELECT", "VALUES", "WITH", "FROM", "TABLE"].iter().any(|word| is(token, word))
    };
    let query = tokens.iter().enumerate().skip(at + 2).find(|(_, token)| {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        depth == 0 && begins_query(token)
    });
    let Some((query, _)) = query else {
        let mistake = SqlMistake::new("elt::sql::syntax", "REPLACE WHERE is not followed by rows");
        return Err(mistake.help("write `INSERT INTO t REPLACE WHERE day = '2013-01-01' SELECT …`"));
    };
    let mut probe = spelled("select 1 from t where", &tokens[at]);
    probe.extend(tokens[at + 2..query].iter().cloned());
    let ast::Statement::Query(probe) = parse_tokens(probe)? else {
        return Err(SqlMistake::new("elt::sql::syntax", "REPLACE WHERE has no condition"));
    };
    let ast::SetExpr::Select(select) = *probe.body else {
        return Err(SqlMistake::new("elt::sql::syntax", "REPLACE WHERE has no condition"));
    };
    let Some(predicate) = select.selection else {
        return Err(SqlMistake::new("elt::sql::syntax", "REPLACE WHERE has no condition"));
    };
    let insert: Vec<TokenWithSpan> = tokens[..at].iter().chain(&tokens[query..]).cloned().collect();
    match parse_tokens(insert)? {
        ast::Statement::Insert(insert) => {
            Ok(Some(OwnWrite::ReplaceWhere { insert: Box::new(insert), predicate: Box::new(predicate) }))
        }
        _ => Err(SqlMistake::new("elt::sql::syntax", "this is not an INSERT")),
    }
}

/// `RESTORE [TABLE] t [TO] VERSION AS OF 3`, read as the query `select * from t version as of 3`.
fn restore(tokens: &[TokenWithSpan]) -> Result<OwnWrite, SqlMistake> {
    let name = if tokens.get(1).is_some_and(|token| is(token, "TABLE")) { 2 } else { 1 };
    let mut query = spelled("select * from", &tokens[0]);
    query.extend(tokens[name.min(tokens.len())..].iter().filter(|token| !is(token, "TO")).cloned());
    let help = "write `RESTORE TABLE t TO VERSION AS OF 3` or `… TO TIMESTAMP AS OF '2026-01-31'`";
    let statement = parse_tokens(query).map_err(|mistake| mistake.help(help))?;
    version_of(&statement)?.map(|(table, as_of)| OwnWrite::Restore { table, as_of }).ok_or_else(|| {
        SqlMistake::new("elt::sql::syntax", "RESTORE does not say to which version").help(help)
    })
}

fn optimize(mut tokens: Vec<TokenWithSpan>) -> Result<OwnWrite, SqlMistake> {
    if tokens.get(1).is_some_and(|token| is(token, "TABLE")) {
        tokens.remove(1);
    }
    let ast::Statement::OptimizeTable { name, predicate, zorder, .. } = parse_tokens(tokens)? else {
        return Err(SqlMistake::new("elt::sql::syntax", "this is not an OPTIMIZE"));
    };
    let column = |expr: ast::Expr| match expr {
        ast::Expr::Identifier(name) => Ok(name),
        other => Err(SqlMistake::new("elt::sql::syntax", format!("`{other}` is not a column"))
            .help("write ZORDER BY (column, …)")),
    };
    let order_by = zorder.into_iter().flatten().map(column).collect::<Result<_, _>>()?;
    Ok(OwnWrite::Optimize { table: name, predicate: predicate.map(Box::new), order_by })
}

/// `CREATE TABLE a SHALLOW CLONE b [VERSION AS OF n]`. What is cloned is read as the query `select * from b …`.
fn clone(tokens: &[TokenWithSpan]) -> Result<Option<OwnWrite>, SqlMistake> {
    let Some(at) = tokens.iter().position(|token| is(token, "CLONE")) else { return Ok(None) };
    let (shallow, deep) = (is(&tokens[at - 1], "SHALLOW"), is(&tokens[at - 1], "DEEP"));
    let is_create = tokens[..at].iter().any(|token| is(token, "TABLE"));
    if !is_create || tokens[..at].iter().any(|token| is(token, "AS") || token.token == Token::LParen) {
        return Ok(None);
    }
    let ends = |word: &[&str]| (at..tokens.len()).find(|from| are(&tokens[*from..], word));
    let clauses = [&["TBLPROPERTIES"][..], &["COMMENT"], &["LOCATION"], &["USING"]];
    let end = clauses.iter().filter_map(|words| ends(words)).min().unwrap_or(tokens.len());
    let mut query = spelled("select * from", &tokens[at]);
    query.extend(tokens[at + 1..end].iter().cloned());
    let help = "write `create table a shallow clone b`, or `… clone b version as of 3`";
    let query = parse_tokens(query).map_err(|mistake| mistake.help(help))?;
    let version = version_of(&query)?;
    let name_ends = (at + 1..end)
        .find(|from| {
            ["VERSION", "TIMESTAMP", "FOR", "AS", "AT", "RELEASE"].iter().any(|word| is(&tokens[*from], word))
        })
        .unwrap_or(end);
    let head = &tokens[..if shallow || deep { at - 1 } else { at }];
    let create = head.iter().chain(&tokens[at..name_ends]).chain(&tokens[end..]).cloned().collect();
    match parse_tokens(in_order(create)?)? {
        ast::Statement::CreateTable(create) => Ok(Some(OwnWrite::Clone {
            create: Box::new(create),
            as_of: version.map(|(_, as_of)| as_of),
            shallow,
        })),
        _ => Err(SqlMistake::new("elt::sql::syntax", "this is not a CREATE TABLE").help(help)),
    }
}

/// A name as it was written.
fn shown(tokens: &[TokenWithSpan]) -> String {
    let part = |token: &TokenWithSpan| match &token.token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_lowercase(),
        Token::Word(word) => word.value.clone(),
        Token::EOF => String::new(),
        other => other.to_string(),
    };
    tokens.iter().map(part).collect()
}

/// The names of a table, as SQL reads them.
pub(super) fn plain_name(name: &ObjectName) -> String {
    let parts = name.0.iter().filter_map(ObjectNamePart::as_ident).map(|part| match part.quote_style {
        Some(_) => part.value.clone(),
        None => part.value.to_lowercase(),
    });
    parts.collect::<Vec<_>>().join(".")
}
