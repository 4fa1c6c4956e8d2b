//! What are the rows made of that a statement puts into a table?
//!
//! Of `INSERT … SELECT` and `CREATE TABLE … AS SELECT` the query tells; it is kept in the commit, as a build keeps it.

use sqlparser::ast::{self, Ident, Query};

use super::super::{Limits, MADE_OF, MadeOf, Session};
use super::Staged;

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
    // Reads of its own: the rows were read already.
    let apart = Session::new(session.scope().clone().apart(), session.default_schema(), Limits::default());
    let traced = Box::pin(apart.trace_statement(ast::Statement::Query(source.query))).await;
    let mut change = change;
    if let Ok(mut lineage) = traced
        && !lineage.tables.is_empty()
    {
        if let Some(named) = source.columns {
            let fields = change.schema().fields().iter().map(|field| field.name().clone());
            let names = if named.is_empty() { fields.collect() } else { named };
            for ((column, _), name) in lineage.columns.iter_mut().zip(names) {
                *column = name;
            }
        }
        let reads = apart.scope().reads();
        change = change.with_provenance(MADE_OF, MadeOf::new(lineage, &reads).to_json());
    }
    staged.changes.push(change);
}
