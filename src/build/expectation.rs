//! Which rows are as a model expects them?
//!
//! The rows of the model's query are staged and counted; those that are to be left out are left out of what comes
//! into the table, and those for the quarantine come into a table of their own, with the names of what they break.

use std::sync::Arc;

use serde::Serialize;

use super::sql_text::{literal, quoted, table};
use super::{Action, BuildError};
use crate::base::{TableName, grouped};
use crate::compile::{Expectation, Node, OnViolation};
use crate::query::{Limits, QueryError, Session};
use crate::table::Change;
use crate::table::write::{NewColumns, append, overwrite};

/// How many rows broke an expectation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The expectation.
    pub name: String,
    /// What became of the rows: `warn`, `drop`, `quarantine` or `fail`.
    pub on_violation: &'static str,
    /// Rows that broke it.
    pub violated: u64,
    /// Rows there were.
    pub rows: u64,
}

/// The column of a quarantine that says what its row breaks.
pub(super) const BROKEN: &str = "_expectations";

/// The condition that a row breaks it. What is unknown is not as it should be.
fn breaks(one: &Expectation) -> String {
    format!("not coalesce(({}), false)", one.expect)
}

fn any(all: &[Expectation], is: impl Fn(OnViolation) -> bool) -> Option<String> {
    let conditions: Vec<String> = all.iter().filter(|one| is(one.on_violation)).map(breaks).collect();
    (!conditions.is_empty()).then(|| conditions.join(" or "))
}

/// The query for the number of rows, and of those that break each expectation.
pub(super) fn counts(all: &[Expectation], staged: &TableName) -> String {
    let sums: Vec<String> =
        all.iter().map(|one| format!(", sum(case when {} then 1 else 0 end)", breaks(one))).collect();
    format!("select count(*){} from {}", sums.concat(), table(staged))
}

/// The query for the rows that come into the table.
pub(super) fn good(all: &[Expectation], staged: &TableName) -> String {
    let out = any(all, |action| matches!(action, OnViolation::Drop | OnViolation::Quarantine));
    let staged = table(staged);
    out.map_or_else(
        || format!("select * from {staged}"),
        |out| format!("select * from {staged} where not ({out})"),
    )
}

/// The query for the rows that come into the quarantine, if there is one.
pub(super) fn quarantined(all: &[Expectation], staged: &TableName) -> Option<String> {
    let out = any(all, |action| action == OnViolation::Quarantine)?;
    let names = all.iter().filter(|one| one.on_violation == OnViolation::Quarantine);
    let names: Vec<String> =
        names.map(|one| format!("case when {} then {} end", breaks(one), literal(&one.name))).collect();
    let broken = format!("concat_ws(', ', {})", names.join(", "));
    Some(format!("select *, {broken} as {} from {} where {out}", quoted(BROKEN), table(staged)))
}

/// A node whose rows were looked at: what is to be made of it now, and where.
pub(super) struct Checked {
    /// Sees the rows.
    pub(super) session: Session,
    /// The same node, of the rows that are as they should be.
    pub(super) node: Node,
    /// How many rows broke each expectation.
    pub(super) kept: Vec<Kept>,
    /// The table of rows that are kept apart.
    pub(super) quarantine: Option<(TableName, Arc<Change>)>,
}

/// Stages the rows of a model that expects something of them, and parts them. Nothing if it expects nothing.
///
/// # Errors
/// If an expectation that is not to be broken is broken.
pub(super) async fn check(
    session: &Session,
    node: &Node,
    action: Action,
) -> Result<Option<Checked>, BuildError> {
    let (all, Some(name)) = (&node.expectations, &node.relation) else { return Ok(None) };
    if all.is_empty() {
        return Ok(None);
    }
    // Rows that are staged first would not tell how far the model has come.
    if node.sql.to_lowercase().contains("table_changes") {
        let why = "not supported: expectations of a model that reads table_changes(), because its rows are staged first; instead write them at a model that reads this one";
        return Err(BuildError::wrong(node, why.to_owned()));
    }
    let ask = |error| BuildError::query(node, error);
    let companion =
        |what: &str| name.companion(what).map_err(|error| BuildError::wrong(node, error.to_string()));
    let tables = session.scope().tables();
    let staged = companion("elt_rows")?;
    let rows = session.query(&node.sql).await.map_err(ask)?.into_stream();
    let change =
        overwrite(tables, &staged, None, rows).await.map_err(|error| BuildError::table(node, error))?;
    let scope = session.scope().clone().with_change(Arc::new(change));
    let session = Session::new(scope, session.default_schema(), Limits::default());
    let counted = session.query(&counts(all, &staged)).await.map_err(|error| unclear(node, error))?;
    let counted = super::answer(counted).await.map_err(|error| unclear(node, error))?;
    let number = |at: usize| counted.rows.first().and_then(|row| row.get(at)?.as_u64()).unwrap_or(0);
    let kept: Vec<Kept> = all
        .iter()
        .enumerate()
        .map(|(at, one)| Kept {
            name: one.name.clone(),
            on_violation: one.on_violation.word(),
            violated: number(at + 1),
            rows: number(0),
        })
        .collect();
    if let Some(broken) = kept.iter().find(|one| one.on_violation == "fail" && one.violated > 0) {
        return Err(BuildError::broken(node, broken));
    }
    let quarantine = match quarantined(all, &staged) {
        None => None,
        Some(sql) => {
            let apart = companion("quarantine")?;
            let rows = session.query(&sql).await.map_err(ask)?.into_stream();
            let base = match (session.scope().change(&apart), session.scope().pins().head(&apart)) {
                (Some(change), _) => Some(change.as_snapshot()),
                (None, Some(version)) => Some(tables.snapshot(&apart, version).await),
                (None, None) => None,
            };
            let base = base.transpose().map_err(|error| BuildError::table(node, error))?;
            let goes_on = matches!(action, Action::AppendRows | Action::MergeRows | Action::ReplaceRows);
            let change = match base {
                Some(base) if goes_on => append(tables, &apart, Some(base), rows, NewColumns::Append).await,
                base => overwrite(tables, &apart, base, rows).await,
            };
            let change = change.map_err(|error| BuildError::table(node, error))?;
            let whole = match session.scope().change(&apart).cloned() {
                Some(before) => Arc::unwrap_or_clone(before).then(change),
                None => change,
            };
            Some((apart, Arc::new(whole.with_provenance("model", node.id.to_string()))))
        }
    };
    let mut of_good = node.clone();
    of_good.sql = good(all, &staged);
    let node = of_good;
    Ok(Some(Checked { session, node, kept, quarantine }))
}

/// An expectation that cannot be asked is a mistake in the properties, not in the model's SQL.
fn unclear(node: &Node, error: QueryError) -> BuildError {
    BuildError::wrong(node, format!("its expectations cannot be asked: {error}"))
}

/// What became of the rows that broke expectations, in few words.
pub(super) fn told(kept: &[Kept]) -> String {
    let one = |kept: &Kept| {
        let what = match kept.on_violation {
            "drop" => "dropped by",
            "quarantine" => "quarantined by",
            _ => "against",
        };
        format!(", {} {what} `{}`", grouped(kept.violated), kept.name)
    };
    kept.iter().filter(|kept| kept.violated > 0).map(one).collect()
}
