//! What are the rows made of that a statement puts into a table?
//!
//! Of `INSERT … SELECT` and `CREATE TABLE … AS SELECT` the query tells, of UPDATE and MERGE the values that are given to
//! columns; it is kept in the commit, as a build keeps it.

use std::ops::ControlFlow;

use sqlparser::ast::{self, Expr, Ident, Query, SetExpr};

use super::super::{ColumnOf, Limits, Lineage, MADE_OF, MadeOf, Session, Way};
use super::Staged;
use crate::table::{Change, Snapshot};

/// The query of a statement, and the columns that its rows go into if the statement names them.
pub(super) struct Source {
    query: Box<Query>,
    columns: Option<Vec<String>>,
}

/// The query whose rows a statement puts into a table, if it has one.
pub(super) fn source_of(statement: &ast::Statement) -> Option<Source> {
    let name = |ident: &Ident| match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    };
    match statement {
        ast::Statement::CreateTable(create) => Some(Source { query: create.query.clone()?, columns: None }),
        ast::Statement::Insert(insert) => {
            let columns = insert.columns.iter().filter_map(|column| column.0.last()?.as_ident().map(name));
            Some(Source { query: insert.source.clone()?, columns: Some(columns.collect()) })
        }
        _ => None,
    }
}

/// Notes in what is staged where the rows come from, if that can be told.
pub(super) async fn tell(session: &Session, source: Source, staged: &mut Staged) {
    let Some(change) = staged.changes.pop() else { return };
    let names = source.columns.map(|named| {
        let fields = change.schema().fields().iter().map(|field| field.name().clone());
        if named.is_empty() { fields.collect() } else { named }
    });
    staged.changes.push(told(session, *source.query, names, change).await);
}

/// The same change, and it says where the values come from that a query gives; under these names, if the query's own are
/// others.
pub(super) async fn told(
    session: &Session,
    query: Query,
    names: Option<Vec<String>>,
    change: Change,
) -> Change {
    if is_written_out(&query) {
        return change;
    }
    // Reads of its own: the rows were read already.
    let apart = Session::new(session.scope().clone().apart(), session.default_schema(), Limits::default());
    let traced = Box::pin(apart.trace_statement(ast::Statement::Query(Box::new(query)))).await;
    let Ok(mut lineage) = traced else { return change };
    for ((column, _), name) in lineage.columns.iter_mut().zip(names.unwrap_or_default()) {
        *column = name;
    }
    // Where the rows of before come from is said by the commits before.
    let of = MadeOf::new(lineage, &apart.scope().reads()).without(change.table());
    match of.lineage.inputs().next().is_none() {
        true => change,
        false => change.with_provenance(MADE_OF, of.to_json()),
    }
}

/// Whether the rows of a query are VALUES that name no table.
fn is_written_out(query: &Query) -> bool {
    let asks = ast::visit_expressions(query, |expr| match expr {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let names = ast::visit_relations(query, |_| ControlFlow::Break(()));
    matches!(*query.body, SetExpr::Values(_)) && asks.is_continue() && names.is_continue()
}

/// The same change, and it says that its columns are another table's.
pub(super) fn cloned(change: Change, source: &Snapshot) -> Change {
    let (table, version) = (source.table().clone(), source.version());
    let column = |name: &String| {
        let of = ColumnOf { table: table.clone(), column: name.clone(), then: None };
        (name.clone(), [(of, Way::Copied)].into())
    };
    let names = source.schema().fields().iter().map(|field| field.name().clone());
    let lineage = Lineage {
        columns: names.collect::<Vec<_>>().iter().map(column).collect(),
        rows: Default::default(),
        tables: [table.clone()].into(),
        past: Default::default(),
    };
    let of = MadeOf { tables: [(table.clone(), version)].into(), lineage };
    change
        .with_provenance("source", format!("{table} version {version}"))
        .with_provenance(MADE_OF, of.to_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_out_unless_they_ask() {
        for (sql, expected) in [
            ("values (1, 'a'), (-2.5, null)", true),
            ("values (upper('a'), date '2026-01-01', now())", true),
            ("values ((select max(n) from t))", false),
            ("values (array(select n from t))", false),
            ("values (1 in (select n from t), 2)", false),
            ("values (exists (select 1))", false),
            ("with t as (select * from s) values (1)", false),
            ("select 1", false),
            ("select n from t", false),
        ] {
            let statement = crate::query::dialect::parse_query(sql).unwrap();
            let ast::Statement::Query(query) = statement else { panic!("{sql} is a query") };
            assert_eq!(is_written_out(&query), expected, "{sql}");
        }
    }
}
