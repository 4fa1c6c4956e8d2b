//! What do the statements around a build write?
//!
//! They are staged like everything that a build makes, one on top of the other, and become part of its release:
//! a hook that inserts into a log of runs does so if and when the run is published.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::TableName;
use crate::compile::hook_statements;
use crate::query::{Limits, QueryError, Scope, Session};
use crate::release::View;
use crate::table::Change;

/// What hooks wrote, and what is seen with it.
#[derive(Clone, Debug)]
pub struct Hooked {
    /// What a session sees after them.
    pub scope: Scope,
    /// The tables that they changed; each change is whole, with what was staged for its table before.
    pub changes: BTreeMap<TableName, Arc<Change>>,
    /// The views that they made.
    pub views: BTreeMap<TableName, View>,
}

/// Why hooks could not be carried out.
#[derive(Debug)]
pub enum HookError {
    /// A statement is wrong, or failed.
    Query(QueryError),
    /// It has no place in a build; with the reason and what to do instead.
    Refused(String),
}

impl From<QueryError> for HookError {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

/// Carries out the statements of hooks, each seeing what those before it did. The rows of queries are dropped.
///
/// # Errors
/// Nothing of it is to be published then.
pub async fn run_hooks(
    scope: Scope,
    default_schema: &str,
    hooks: &[String],
    is_refused: impl Fn(&TableName) -> Option<String>,
) -> Result<Hooked, HookError> {
    let mut hooked = Hooked { scope, changes: BTreeMap::new(), views: BTreeMap::new() };
    for statement in hooks.iter().flat_map(|sql| hook_statements(sql)) {
        let session = Session::new(hooked.scope.clone(), default_schema, Limits::default());
        let Some(staged) = Box::pin(session.stage(&statement)).await? else {
            Box::pin(session.query(&statement)).await?.collect().await?;
            continue;
        };
        if !staged.hide.is_empty() || !staged.show.is_empty() {
            return Err(HookError::Refused(format!(
                "not supported: a hook that runs {}, because a build shows more and never less; instead drop the table by `elt sql`, or in a macro that `elt run-operation` runs",
                staged.statement
            )));
        }
        let written = staged.changes.iter().map(Change::table).chain(staged.views.keys());
        if let Some((name, why)) = written.filter_map(|name| Some((name, is_refused(name)?))).next() {
            return Err(HookError::Refused(format!(
                "not supported: a hook that writes to `{name}`, because {why}"
            )));
        }
        for change in staged.changes {
            let name = change.table().clone();
            let whole = match hooked.scope.change(&name).cloned() {
                Some(before) => Arc::unwrap_or_clone(before).then(change),
                None => change,
            };
            let whole = Arc::new(whole);
            hooked.scope = hooked.scope.with_change(Arc::clone(&whole));
            hooked.changes.insert(name, whole);
        }
        for (name, view) in staged.views {
            hooked.scope = hooked.scope.with_view(&name, view.clone());
            hooked.views.insert(name, view);
        }
    }
    Ok(hooked)
}
