//! Which rows are as a model expects them?
//!
//! The rows of the model's query are staged and counted; those that are to be left out are left out of what comes
//! into the table, and those for the quarantine come into a table of their own, with the names of what they break.
//! A view keeps no rows: they are counted when it is built, and the view, and the view of its quarantine, part them
//! whenever they are read.

use std::fmt;
use std::sync::Arc;

use datafusion::execution::SendableRecordBatchStream;
use serde::Serialize;

use super::materialize::Made;
use super::sql_text::{literal, quoted, table};
use super::{Action, BuildError, incremental};
use crate::base::{TableName, grouped};
use crate::compile::{Expectation, Materialization, Node, OnSchemaChange, OnViolation, Strategy};
use crate::query::{Limits, QueryError, Session};
use crate::release::View;
use crate::table::write::{NewColumns, append, edit, overwrite};
use crate::table::{Change, Operation, TableError, grown};

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

/// Where rows are read from, in a query of our own.
#[derive(Clone, Debug)]
pub(super) enum From<'a> {
    /// A table.
    Table(&'a TableName),
    /// The query of a view.
    Query(&'a str),
}

impl fmt::Display for From<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(name) => f.write_str(&table(name)),
            Self::Query(sql) => write!(f, "(\n{}\n) as expected", sql.trim_end().trim_end_matches(';')),
        }
    }
}

/// The query for the number of rows, and of those that break each expectation.
pub(super) fn counts(all: &[Expectation], from: &From<'_>) -> String {
    let sums: Vec<String> =
        all.iter().map(|one| format!(", sum(case when {} then 1 else 0 end)", breaks(one))).collect();
    format!("select count(*){} from {from}", sums.concat())
}

/// The query for the rows that are as they should be, or that are only counted.
pub(super) fn good(all: &[Expectation], from: &From<'_>) -> String {
    let out = any(all, |action| matches!(action, OnViolation::Drop | OnViolation::Quarantine));
    out.map_or_else(
        || format!("select * from {from}"),
        |out| format!("select * from {from} where not ({out})"),
    )
}

/// The query for the rows that come into the quarantine, if there is one.
pub(super) fn quarantined(all: &[Expectation], from: &From<'_>) -> Option<String> {
    let out = any(all, |action| action == OnViolation::Quarantine)?;
    let names = all.iter().filter(|one| one.on_violation == OnViolation::Quarantine);
    let names: Vec<String> =
        names.map(|one| format!("case when {} then {} end", breaks(one), literal(&one.name))).collect();
    let broken = format!("concat_ws(', ', {})", names.join(", "));
    Some(format!("select *, {broken} as {} from {from} where {out}", quoted(BROKEN)))
}

/// A node whose rows were looked at: what is to be made of it now, and where.
pub(super) struct Checked {
    /// Sees the rows.
    pub(super) session: Session,
    /// The same node, of the rows that are as they should be.
    pub(super) node: Node,
    /// How many rows broke each expectation.
    pub(super) kept: Vec<Kept>,
    /// What keeps rows apart.
    pub(super) quarantine: Option<(TableName, Made)>,
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
    let is_view = action == Action::MakeView;
    let (session, staged) = if is_view {
        // What is wrong with the view's own SQL is told at its place.
        session.check(&node.sql).await.map_err(ask)?;
        (session.clone(), None)
    } else {
        let staged = companion("elt_rows")?;
        let rows = session.query(&node.sql).await.map_err(ask)?.into_stream();
        (
            with_rows(session, &staged, rows).await.map_err(|error| BuildError::table(node, error))?,
            Some(staged),
        )
    };
    let from = staged.as_ref().map_or(From::Query(&node.sql), From::Table);
    let kept = count(&session, node, &from).await?;
    if let Some(broken) = kept.iter().find(|one| one.on_violation == "fail" && one.violated > 0) {
        return Err(BuildError::broken(node, broken));
    }
    let quarantine = match quarantined(all, &from) {
        None => None,
        Some(sql) if is_view => {
            let description = format!("the rows that `{}` leaves out", node.name);
            let view = View::new(sql, description).meant_by(session.scope().unsaid());
            Some((companion("quarantine")?, Made::View(view)))
        }
        Some(sql) => {
            let apart = companion("quarantine")?;
            let change = Box::pin(put_apart(&session, node, action, &apart, &sql)).await?;
            let whole = match session.scope().change(&apart).cloned() {
                Some(before) => Arc::unwrap_or_clone(before).then(change),
                None => change,
            };
            Some((apart, Made::Table(Arc::new(whole.with_provenance("model", node.id.to_string())))))
        }
    };
    let sql = good(all, &from);
    let mut of_good = node.clone();
    of_good.sql = sql;
    Ok(Some(Checked { session, node: of_good, kept, quarantine }))
}

/// The same session, with rows that are only there for it.
async fn with_rows(
    session: &Session,
    name: &TableName,
    rows: SendableRecordBatchStream,
) -> Result<Session, TableError> {
    let change = overwrite(session.scope().tables(), name, None, rows).await?;
    let scope = session.scope().clone().with_change(Arc::new(change));
    Ok(Session::new(scope, session.default_schema(), Limits::default()))
}

/// Counts the rows, and those that break each expectation.
async fn count(session: &Session, node: &Node, from: &From<'_>) -> Result<Vec<Kept>, BuildError> {
    let all = &node.expectations;
    let counted = session.query(&counts(all, from)).await.map_err(|error| unclear(node, error))?;
    let counted = super::answer(counted).await.map_err(|error| unclear(node, error))?;
    let number = |at: usize| counted.rows.first().and_then(|row| row.get(at)?.as_u64()).unwrap_or(0);
    let kept = all.iter().enumerate().map(|(at, one)| Kept {
        name: one.name.clone(),
        on_violation: one.on_violation.word(),
        violated: number(at + 1),
        rows: number(0),
    });
    Ok(kept.collect())
}

/// Writes the rows of a query into the quarantine: over what was there if the model is made anew, in the place of the
/// same stretch of time if it is one of a microbatch, and otherwise beside what was there.
async fn put_apart(
    session: &Session,
    node: &Node,
    action: Action,
    apart: &TableName,
    sql: &str,
) -> Result<Change, BuildError> {
    let ask = |error| BuildError::query(node, error);
    let failed = |error| BuildError::table(node, error);
    let tables = session.scope().tables();
    let rows = session.query(sql).await.map_err(ask)?.into_stream();
    let base = match (session.scope().change(apart), session.scope().pins().head(apart)) {
        (Some(change), _) => Some(change.as_snapshot().map_err(failed)?),
        (None, Some(version)) => Some(tables.snapshot(apart, version).await.map_err(failed)?),
        (None, None) => None,
    };
    let goes_on = matches!(action, Action::AppendRows | Action::MergeRows | Action::ReplaceRows);
    let Some(base) = base.clone().filter(|_| goes_on) else {
        return overwrite(tables, apart, base, rows).await.map_err(failed);
    };
    let details = match node.materialization() {
        Some(Materialization::Incremental { details, .. }) if details.window.is_some() => details,
        _ => return append(tables, apart, Some(base), rows, NewColumns::Append).await.map_err(failed),
    };
    let staged = apart.companion("elt_new").map_err(|error| BuildError::wrong(node, error.to_string()))?;
    let session = with_rows(session, &staged, rows).await.map_err(failed)?;
    let schema = session.scope().change(&staged).map(|change| Arc::clone(change.schema()));
    let schema = schema.expect("it was staged just now");
    let plan = incremental::Plan {
        strategy: Strategy::Microbatch,
        key: &[],
        on_schema_change: OnSchemaChange::AppendNewColumns,
        details,
        old: (apart, base.schema()),
        new: (&staged, &schema),
    };
    let wrong = |why| BuildError::wrong(node, why);
    let edits = session.query(&plan.edits().map_err(wrong)?).await.map_err(ask)?.into_stream();
    let after = grown(&base, &plan.after().map_err(wrong)?).map_err(failed)?;
    let mode = base.design().write_mode();
    edit(tables, base, after, edits, Operation::Merge, mode).await.map_err(failed)
}

/// An expectation that cannot be asked is a mistake in the properties, not in the model's SQL.
pub(super) fn unclear(node: &Node, error: QueryError) -> BuildError {
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
