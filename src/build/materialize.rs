//! How does a model become something that can be read?

use std::sync::Arc;

use super::{Action, BuildError};
use crate::compile::{Materialization, Node, OnSchemaChange};
use crate::query::{QueryError, Scope, Session};
use crate::release::View;
use crate::table::write::{NewColumns, append, merge, overwrite};
use crate::table::{Change, Snapshot, TableError};

/// A model, made and not yet seen by anyone.
#[derive(Clone, Debug)]
pub(super) enum Made {
    /// As a table.
    Table(Arc<Change>),
    /// As a view.
    View(View),
}

/// Makes a model in `session`, as `action` says.
pub(super) async fn make(session: &Session, node: &Node, action: Action) -> Result<Made, BuildError> {
    if action == Action::MakeView {
        session.check(&node.sql).await.map_err(|error| BuildError::query(node, error))?;
        return Ok(Made::View(View { sql: node.sql.clone(), description: node.description.clone() }));
    }
    let outcome = session.query(&node.sql).await.map_err(|error| BuildError::query(node, error))?;
    let rows = outcome.into_stream();
    let name = node.relation.as_ref().expect("a model that is made has a name");
    let tables = session.scope().tables();
    let base = head(session.scope(), node).await.map_err(|error| BuildError::query(node, error))?;
    let (key, new_columns) = incremental(node);
    let change = match (action, base) {
        (Action::MergeRows, Some(base)) => merge(tables, base, key, rows, new_columns).await,
        (Action::AppendRows, base) => append(tables, name, base, rows, new_columns).await,
        (_, base) => overwrite(tables, name, base, rows).await,
    };
    let change = change.map_err(|error: TableError| BuildError::table(node, error))?;
    Ok(Made::Table(Arc::new(with_provenance(change, node))))
}

/// The version of the model's table that the change goes on from, whether readers see it or not.
async fn head(scope: &Scope, node: &Node) -> Result<Option<Arc<Snapshot>>, QueryError> {
    let Some(name) = &node.relation else { return Ok(None) };
    match scope.pins().head(name) {
        Some(version) => Ok(Some(scope.tables().snapshot(name, version).await?)),
        None => Ok(None),
    }
}

fn incremental(node: &Node) -> (&[String], NewColumns) {
    let Some(Materialization::Incremental { unique_key, on_schema_change, .. }) = node.materialization()
    else {
        return (&[], NewColumns::Ignore);
    };
    let new_columns = match on_schema_change {
        OnSchemaChange::Ignore => NewColumns::Ignore,
        OnSchemaChange::Fail => NewColumns::Fail,
        OnSchemaChange::AppendNewColumns => NewColumns::Append,
    };
    (unique_key, new_columns)
}

/// Writes into the commit which code made it.
fn with_provenance(change: Change, node: &Node) -> Change {
    change
        .with_provenance("model", node.id.to_string())
        .with_provenance("fingerprint", node.fingerprint.to_string())
        .with_provenance("path", node.path.clone())
}
