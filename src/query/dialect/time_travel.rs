//! Which version of a table does a query mean?
//!
//! sqlparser reads a version clause and DataFusion's planner drops it. So no clause gets that far:
//! [`resolve_versions`] takes each one off and leaves its meaning in the table's name, as
//! `orders@version=3`, which the session's catalog understands and which no table can be called.
//! A clause that has no such meaning is an error.
//!
//! All the spellings that users know arrive at the same three meanings:
//! `VERSION AS OF 3`, `FOR VERSION AS OF 3`, `AT (VERSION => 3)`; `TIMESTAMP AS OF '…'`,
//! `FOR SYSTEM_TIME AS OF '…'`, `AT (TIMESTAMP => '…')`; `AS OF RELEASE 2`, `RELEASE AS OF 2`, `AT (RELEASE => 2)`.

use std::collections::HashSet;
use std::fmt;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query, SetExpr,
    Statement, TableAlias, TableFactor, TableVersion as VersionClause, Value, VisitMut, VisitorMut,
};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::base::{AsOf, ReleaseNumber, TableVersion, parse_instant};
use crate::query::SqlMistake;

/// The function that stands for a release between the tokens and the tree.
const RELEASE: &str = "__elt_release";
/// The schema in which quoted file names are looked up.
pub(in crate::query) const FILES: &str = "@file";

/// Rewrites `AS OF RELEASE n` and `RELEASE AS OF n` to what the parser can read.
pub(super) fn spell_out_releases(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let solid: Vec<usize> =
        (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect();
    let mut out = tokens.clone();
    let word_at = |at: usize| solid.get(at).map(|index| tokens[*index].token.to_string().to_uppercase());
    let is = |at: usize, words: &[&str]| {
        words.iter().enumerate().all(|(offset, word)| word_at(at + offset).as_deref() == Some(word))
    };
    let mut at = 0;
    let mut removed = Vec::new();
    while at < solid.len() {
        let release = is(at, &["AS", "OF", "RELEASE"]) || is(at, &["RELEASE", "AS", "OF"]);
        if let (true, Some(number)) = (release, solid.get(at + 3)) {
            let words = ["TIMESTAMP", "AS", "OF"];
            for (offset, word) in words.iter().enumerate() {
                out[solid[at + offset]].token = Token::make_keyword(word);
            }
            let call = format!("{RELEASE}({})", tokens[*number].token);
            out[*number].token = Token::SingleQuotedString(call);
            at += 4;
        } else {
            if is(at, &["FOR", "VERSION", "AS", "OF"]) || is(at, &["FOR", "TIMESTAMP", "AS", "OF"]) {
                removed.push(solid[at]);
            } else if is(at, &["FOR", "SYSTEM_VERSION", "AS", "OF"]) {
                removed.push(solid[at]);
                out[solid[at + 1]].token = Token::make_keyword("VERSION");
            }
            at += 1;
        }
    }
    let kept = out.into_iter().enumerate().filter(|(at, _)| !removed.contains(at));
    kept.map(|(_, token)| token).collect()
}

/// A table's name as the catalog is asked for it: `orders`, or `orders@version=3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::query) struct Reference {
    /// The name, without the version.
    pub(in crate::query) table: String,
    /// The version, if one is asked for.
    pub(in crate::query) as_of: Option<AsOf>,
    /// Whether each row says where it is.
    pub(in crate::query) places: bool,
    /// The versions whose changes are asked for: from the first, if it is nothing, that a model has not seen; to the
    /// newest, if the second is nothing.
    pub(in crate::query) changes: Option<(Option<u64>, Option<u64>)>,
}

/// An [`AsOf`] inside a name.
pub(in crate::query) struct AsOfText<'a>(pub(in crate::query) &'a AsOf);

impl fmt::Display for AsOfText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            AsOf::Version(version) => write!(f, "@version={version}"),
            AsOf::Timestamp(instant) => write!(f, "@timestamp={}", instant.to_rfc3339()),
            AsOf::Release(number) => write!(f, "@release={number}"),
        }
    }
}

impl Reference {
    /// Reads a name that [`resolve_versions`] made, or any other.
    pub(in crate::query) fn read(name: &str) -> Self {
        let plain = || Self { table: name.to_owned(), as_of: None, places: false, changes: None };
        if let Some(table) = name.strip_suffix(super::PLACES) {
            return Self { places: true, table: table.to_owned(), ..plain() };
        }
        let Some((table, clause)) = name.split_once('@') else { return plain() };
        if let Some((from, to)) = clause.strip_prefix("changes=").and_then(|range| range.split_once("..")) {
            let changes = Some((from.parse().ok(), to.parse().ok()));
            return Self { changes, table: table.to_owned(), ..plain() };
        }
        let as_of = clause.split_once('=').and_then(|(kind, value)| match kind {
            "version" => value.parse().ok().map(|number| AsOf::Version(TableVersion(number))),
            "release" => value.parse().ok().map(|number| AsOf::Release(ReleaseNumber(number))),
            "timestamp" => parse_instant(value).map(AsOf::Timestamp),
            _ => None,
        });
        match as_of {
            Some(as_of) => Self { table: table.to_owned(), as_of: Some(as_of), ..plain() },
            None => plain(),
        }
    }
}

/// Takes every version clause off a statement and leaves its meaning in the names.
///
/// Quoted file names (`FROM 'a.csv'`) are given their schema in the same pass. Each table keeps the
/// alias it is known by: `select orders.id from orders version as of 3` works. With `release`, every table
/// without a clause, but no CTE, means the table at that release.
///
/// # Errors
/// A clause that cannot be honoured.
pub(super) fn resolve_versions(
    statement: &mut Statement,
    release: Option<ReleaseNumber>,
) -> Result<(), SqlMistake> {
    let mut resolver = Resolver { release, ctes: HashSet::new() };
    match statement.visit(&mut resolver) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(mistake) => Err(*mistake),
    }
}

/// The table and the version of `select * from t version as of 3`.
pub(super) fn version_of(statement: &Statement) -> Result<Option<(String, AsOf)>, SqlMistake> {
    let Statement::Query(query) = statement else { return Ok(None) };
    let SetExpr::Select(select) = &*query.body else { return Ok(None) };
    match select.from.first().map(|from| &from.relation) {
        Some(TableFactor::Table { name, version: Some(version), .. }) => {
            Ok(Some((super::write::plain_name(name), meaning(version)?)))
        }
        _ => Ok(None),
    }
}

struct Resolver {
    /// The release that tables without a clause of their own are read from.
    release: Option<ReleaseNumber>,
    /// The names that `with` has given so far.
    ctes: HashSet<String>,
}

impl VisitorMut for Resolver {
    type Break = Box<SqlMistake>;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        self.ctes.extend(ctes.map(|cte| cte.alias.name.value.to_lowercase()));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        let TableFactor::Table { name, alias, version, args, .. } = factor else {
            return ControlFlow::Continue(());
        };
        if name.to_string().eq_ignore_ascii_case("table_changes")
            && let Some(args) = args.take()
        {
            let renamed = changes_of(&args.args);
            match renamed {
                Ok((table, bare)) => {
                    *name = table;
                    alias.get_or_insert_with(|| known_as(bare));
                }
                Err(mistake) => return ControlFlow::Break(Box::new(mistake)),
            }
            return ControlFlow::Continue(());
        }
        if is_file(name) {
            if version.is_some() {
                return refuse("a file has no versions", "leave the version clause out, or query a table");
            }
            name_file(name, alias);
            return ControlFlow::Continue(());
        }
        if is_known_file(name) {
            return ControlFlow::Continue(());
        }
        let as_of = match version.take() {
            Some(_) if args.is_some() => return refuse("a table function has no versions", "query a table"),
            Some(clause) => match meaning(&clause) {
                Ok(as_of) => as_of,
                Err(mistake) => return ControlFlow::Break(Box::new(mistake)),
            },
            None => match self.release {
                Some(number) if args.is_none() && !self.is_cte(name) => AsOf::Release(number),
                _ => return ControlFlow::Continue(()),
            },
        };
        let Some(ObjectNamePart::Identifier(last)) = name.0.last_mut() else {
            return refuse("this is not a table's name", "write `schema.table` before the version clause");
        };
        let folded = if last.quote_style.is_some() { last.value.clone() } else { last.value.to_lowercase() };
        alias.get_or_insert_with(|| known_as(Ident { value: folded.clone(), ..last.clone() }));
        last.value = format!("{folded}{}", AsOfText(&as_of));
        last.quote_style = Some('"');
        ControlFlow::Continue(())
    }
}

impl Resolver {
    fn is_cte(&self, name: &ObjectName) -> bool {
        match &name.0[..] {
            [ObjectNamePart::Identifier(only)] => self.ctes.contains(&only.value.to_lowercase()),
            _ => false,
        }
    }
}

fn refuse<T>(what: &str, instead: &str) -> ControlFlow<Box<SqlMistake>, T> {
    ControlFlow::Break(Box::new(SqlMistake::new("elt::sql::version", what).help(instead)))
}

fn is_file(name: &ObjectName) -> bool {
    matches!(&name.0[..], [ObjectNamePart::Identifier(Ident { quote_style: Some('\''), .. })])
}

/// A file that a table function named.
fn is_known_file(name: &ObjectName) -> bool {
    matches!(&name.0[..], [ObjectNamePart::Identifier(schema), _] if schema.value.starts_with(FILES))
}

/// `'data/a.csv'` becomes `"@file"."data/a.csv" as a`.
fn name_file(name: &mut ObjectName, alias: &mut Option<TableAlias>) {
    let Some(ObjectNamePart::Identifier(path)) = name.0.first_mut() else { return };
    path.quote_style = Some('"');
    if let Some(stem) = stem(&path.value) {
        alias.get_or_insert_with(|| known_as(Ident { value: stem, quote_style: Some('"'), span: path.span }));
    }
    name.0.insert(0, ObjectNamePart::Identifier(Ident::with_quote('"', FILES)));
}

/// The name that a file is known by: its own, up to the first dot.
pub(super) fn stem(path: &str) -> Option<String> {
    let file = path.rsplit('/').next().unwrap_or_default();
    let stem = file.split('.').next().unwrap_or_default().to_lowercase();
    (!stem.is_empty() && !stem.contains('*')).then_some(stem)
}

fn known_as(name: Ident) -> TableAlias {
    TableAlias { explicit: true, name, columns: Vec::new(), at: None }
}

/// The name that stands for `table_changes('schema.table'[, from[, to]])`, and the table's own.
fn changes_of(args: &[FunctionArg]) -> Result<(ObjectName, Ident), SqlMistake> {
    let help = "write `table_changes('orders', 3)` or `table_changes('orders', 3, 5)`: the versions from 3 to 5, both included";
    let wrong = || {
        SqlMistake::new("elt::sql::table_changes", "table_changes needs a table's name and versions")
            .help(help)
    };
    let value = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    let values: Vec<Expr> = args.iter().map(value).collect::<Option<_>>().ok_or_else(wrong)?;
    let (table, from, to) = match &values[..] {
        [table] => (table, String::new(), String::new()),
        [table, from] => (table, number(from)?.to_string(), String::new()),
        [table, from, to] => (table, number(from)?.to_string(), number(to)?.to_string()),
        _ => return Err(wrong()),
    };
    let folded = |part: &Ident| match part.quote_style {
        Some(_) => Ident::with_quote('"', part.value.as_str()),
        None => Ident::with_quote('"', part.value.to_lowercase()),
    };
    let mut parts: Vec<Ident> = match table {
        Expr::Identifier(name) => vec![folded(name)],
        Expr::CompoundIdentifier(parts) => parts.iter().map(folded).collect(),
        Expr::Value(text) => match &text.value {
            Value::SingleQuotedString(text) => {
                text.split('.').map(|part| Ident::with_quote('"', part)).collect()
            }
            _ => return Err(wrong()),
        },
        _ => return Err(wrong()),
    };
    let bare = parts.last().cloned().ok_or_else(wrong)?;
    if let Some(last) = parts.last_mut() {
        last.value = format!("{}@changes={from}..{to}", last.value);
    }
    Ok((ObjectName::from(parts), bare))
}

/// Writes a release in a version clause as it can be read again: the words that stand for it between the tokens and the
/// tree are nobody's.
pub(in crate::query) fn spell_out(clause: &mut VersionClause) {
    if let Ok(AsOf::Release(number)) = meaning(clause) {
        let sql = format!("select * from t at (release => {number})");
        let Ok(Statement::Query(query)) = super::parse_query(&sql) else { return };
        if let SetExpr::Select(select) = *query.body
            && let Some(TableFactor::Table { version: Some(version), .. }) =
                select.from.into_iter().next().map(|from| from.relation)
        {
            *clause = version;
        }
    }
}

/// What a version clause means.
fn meaning(clause: &VersionClause) -> Result<AsOf, SqlMistake> {
    match clause {
        VersionClause::VersionAsOf(expr) => number(expr).map(|n| AsOf::Version(TableVersion(n))),
        VersionClause::TimestampAsOf(expr) | VersionClause::ForSystemTimeAsOf(expr) => instant(expr),
        VersionClause::Function(expr) => at_function(expr),
        VersionClause::Changes { .. } => Err(SqlMistake::new(
            "elt::sql::version",
            "CHANGES is not supported yet",
        )
        .help(
            "compare two versions with `except`: `select * from t except select * from t version as of 3`",
        )),
    }
}

/// `AT (VERSION => 3)`
fn at_function(expr: &Expr) -> Result<AsOf, SqlMistake> {
    let help = "write `AT (VERSION => 3)`, `AT (TIMESTAMP => '2026-01-31')` or `AT (RELEASE => 2)`";
    let unknown = || SqlMistake::new("elt::sql::version", format!("`{expr}` names no version")).help(help);
    let Expr::Function(function) = expr else { return Err(unknown()) };
    let FunctionArguments::List(list) = &function.args else { return Err(unknown()) };
    let named = match &list.args[..] {
        [FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. }] => {
            Some((name.value.clone(), value))
        }
        [FunctionArg::ExprNamed { name, arg: FunctionArgExpr::Expr(value), .. }] => {
            Some((name.to_string(), value))
        }
        _ => None,
    };
    let is_at = function.name.to_string().eq_ignore_ascii_case("at");
    let Some((name, value)) = named.filter(|_| is_at) else { return Err(unknown()) };
    match name.to_uppercase().as_str() {
        "VERSION" => number(value).map(|n| AsOf::Version(TableVersion(n))),
        "RELEASE" => number(value).map(|n| AsOf::Release(ReleaseNumber(n))),
        "TIMESTAMP" => instant(value),
        _ => Err(unknown()),
    }
}

fn number(expr: &Expr) -> Result<u64, SqlMistake> {
    let text = match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) | Value::SingleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        other => other.to_string(),
    };
    text.parse().map_err(|_| {
        SqlMistake::new(
            "elt::sql::version",
            format!("`{text}` is not a version or release: they are whole numbers from 0"),
        )
        .help("`elt history TABLE` lists versions, `elt releases` lists releases")
    })
}

fn instant(expr: &Expr) -> Result<AsOf, SqlMistake> {
    let text = match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.as_str()),
            _ => None,
        },
        Expr::TypedString(typed) => match &typed.value.value {
            Value::SingleQuotedString(text) => Some(text.as_str()),
            _ => None,
        },
        _ => None,
    };
    if let Some(release) = text.and_then(|text| text.strip_prefix(RELEASE)) {
        let bare = release.trim_matches(['(', ')']);
        return number(&Expr::Value(Value::Number(bare.to_owned(), false).into()))
            .map(|n| AsOf::Release(ReleaseNumber(n)));
    }
    text.and_then(parse_instant).map(AsOf::Timestamp).ok_or_else(|| {
        SqlMistake::new("elt::sql::version", format!("`{expr}` is not a point in time"))
            .help("write a literal: `TIMESTAMP AS OF '2026-01-31 08:00:00'`; without a zone it is UTC")
    })
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;
    use super::*;

    fn resolved(sql: &str) -> Result<String, SqlMistake> {
        let mut statement = parse_query(sql)?;
        resolve_versions(&mut statement, None)?;
        Ok(statement.to_string())
    }

    #[test]
    fn every_spelling_arrives_at_one_meaning() {
        let name = |clause: &str| {
            let sql = resolved(&format!("select * from t {clause}")).unwrap();
            sql.split_once("FROM ").unwrap().1.to_owned()
        };
        for clause in
            ["version as of 3", "for version as of 3", "for system_version as of 3", "at (version => 3)"]
        {
            assert_eq!(name(clause), "\"t@version=3\" AS t", "{clause}");
        }
        for clause in ["as of release 2", "RELEASE AS OF 2", "at(release => 2)"] {
            assert_eq!(name(clause), "\"t@release=2\" AS t", "{clause}");
        }
        for clause in [
            "timestamp as of '2026-01-31'",
            "timestamp as of timestamp '2026-01-31 00:00:00'",
            "for system_time as of date '2026-01-31'",
            "at (timestamp => '2026-01-31T00:00:00Z')",
        ] {
            assert_eq!(name(clause), "\"t@timestamp=2026-01-31T00:00:00+00:00\" AS t", "{clause}");
        }
    }

    #[test]
    fn aliases_ctes_and_subqueries_are_all_reached() {
        let sql = resolved(
            "with a as (select * from Main.T version as of 1 as x) select * from a where id in (select id from \"T\" as of release 4)",
        );
        let sql = sql.unwrap();
        assert!(sql.contains("Main.\"t@version=1\" AS x"), "{sql}");
        assert!(sql.contains("\"T@release=4\" AS \"T\""), "{sql}");
    }

    #[test]
    fn a_clause_without_a_meaning_is_refused() {
        for sql in [
            "select * from t version as of -1",
            "select * from t timestamp as of now()",
            "select * from t timestamp as of 'yesterday'",
            "select * from t at (offset => 5)",
            "select * from t before (version => 5)",
            "select * from t changes (information => default) at (version => 1)",
            "select * from 'a.csv' version as of 1",
            "select * from t as of release latest",
        ] {
            assert!(resolved(sql).is_err(), "{sql} was taken");
        }
    }

    #[test]
    fn from_alone_means_all_columns() {
        assert_eq!(resolved("from t as of release 2").unwrap(), "SELECT * FROM \"t@release=2\" AS t");
    }

    #[test]
    fn file_names_find_their_schema() {
        let sql = resolved("select * from 'in/Sales.2024.csv' join 'x*.parquet' x on true").unwrap();
        assert!(sql.contains("FROM \"@file\".\"in/Sales.2024.csv\" AS \"sales\""), "{sql}");
        assert!(sql.contains("\"@file\".\"x*.parquet\" x ON"), "{sql}");
    }

    #[test]
    fn names_go_there_and_back() {
        let as_of = AsOf::Timestamp(parse_instant("2026-01-31 08:00").unwrap());
        let read = Reference::read(&format!("t{}", AsOfText(&as_of)));
        assert_eq!(read, Reference { table: "t".into(), as_of: Some(as_of), places: false, changes: None });
        assert_eq!(Reference::read("a@b").as_of, None);
    }
}
