//! What runs before and after everything else in a build?
//!
//! The hooks of the project. What they write becomes part of the build's release; those at the end are told what
//! happened, and see what is about to be published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::{Lakehouse, Manifest, NodeId};
use crate::base::{Error, Event, Result, TableName, Told, Watch};
use crate::build::{self, BuildRun, HookError, Hooked, SessionLookup, SoFar, Stamp};
use crate::compile::{Lookup, RunHook};
use crate::query::{Limits, Scope, Session};
use crate::release::Pins;
use crate::table::Change;

/// What the hooks at the end of a run are told.
pub(super) struct RunEnd<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) selected: &'a BTreeSet<NodeId>,
    pub(super) pins: &'a Pins,
    pub(super) stamp: &'a Stamp,
}

impl Lakehouse {
    /// Carries out the hooks before a run.
    pub(super) async fn hooks_of_start(
        &self,
        manifest: &Manifest,
        scope: Scope,
        selected: &BTreeSet<NodeId>,
        watch: &dyn Watch,
    ) -> Result<(Hooked, Vec<SoFar>)> {
        let given = BTreeMap::from([("selected_resources".to_owned(), ids(selected))]);
        let made: BTreeSet<TableName> = selected
            .iter()
            .filter_map(|id| manifest.nodes.get(id).filter(|node| !node.is_test())?.relation.clone())
            .collect();
        let is_refused = |name: &TableName| {
            let why = "a node of this build makes it; instead write to a table of its own, or in a hook of that node";
            made.contains(name).then(|| why.to_owned())
        };
        self.hooks(manifest, RunHook::Start, given, scope, &is_refused, watch).await
    }

    /// Carries out the hooks after a run, and adds what those before it and after it wrote to what it publishes.
    pub(super) async fn hooks_around(
        &self,
        end: RunEnd<'_>,
        start: Hooked,
        done: &mut BuildRun,
        watch: &dyn Watch,
    ) -> Result<Vec<SoFar>> {
        let mut changes: BTreeMap<_, Arc<Change>> = start.changes;
        let made = std::mem::take(&mut done.changes).into_iter();
        changes.extend(made.map(|change| (change.table().clone(), Arc::new(change))));
        let mut views = start.views;
        views.append(&mut done.views);
        let mut scope = self.scope_of(end.pins.clone());
        for change in changes.values() {
            scope = scope.with_change(Arc::clone(change));
        }
        for (name, view) in &views {
            scope = scope.with_view(name, view.clone());
        }
        if end.manifest.late().run_hooks(RunHook::End).is_empty() {
            done.changes = changes.into_values().map(Arc::unwrap_or_clone).collect();
            done.views = views;
            return Ok(Vec::new());
        }
        let results = build::run_results(&done.steps, end.manifest, &done.late, end.stamp);
        let nodes = build::manifest_json(end.manifest, &done.late, end.stamp);
        let with_node = |result: &Value| {
            let mut result = result.clone();
            let id = result["unique_id"].as_str().unwrap_or_default();
            result["node"] = nodes.entry(id).unwrap_or_default();
            result
        };
        let results: Vec<Value> =
            results["results"].as_array().into_iter().flatten().map(with_node).collect();
        let made = end.selected.iter().filter_map(|id| end.manifest.nodes.get(id));
        let schemas: BTreeSet<&str> = made
            .filter(|node| node.is_made())
            .filter_map(|node| Some(node.relation.as_ref()?.schema()))
            .collect();
        let given = BTreeMap::from([
            ("results".to_owned(), Value::from(results)),
            ("database_schemas".to_owned(), schemas.iter().map(|schema| json!(["elt", schema])).collect()),
            ("schemas".to_owned(), schemas.iter().copied().collect()),
            ("selected_resources".to_owned(), ids(end.selected)),
        ]);
        let (ended, told) = self.hooks(end.manifest, RunHook::End, given, scope, &|_| None, watch).await?;
        changes.extend(ended.changes);
        views.extend(ended.views);
        done.changes = changes.into_values().map(Arc::unwrap_or_clone).collect();
        done.views = views;
        Ok(told)
    }

    async fn hooks(
        &self,
        manifest: &Manifest,
        which: RunHook,
        given: BTreeMap<String, Value>,
        scope: Scope,
        is_refused: &(dyn Fn(&TableName) -> Option<String> + Sync),
        watch: &dyn Watch,
    ) -> Result<(Hooked, Vec<SoFar>)> {
        let mut whole = Hooked { scope, changes: BTreeMap::new(), views: BTreeMap::new() };
        // One after the other: each is rendered with what those before it wrote.
        let mut all = Vec::new();
        for (at, unique_id) in manifest.late().run_hooks(which).into_iter().enumerate() {
            let begun = Instant::now();
            let session = Session::new(whole.scope.clone(), &self.default_schema, Limits::default());
            let lake: Arc<dyn Lookup> = Arc::new(SessionLookup::new(session));
            let (late, given) = (manifest.late(), given.clone());
            let rendered =
                tokio::task::spawn_blocking(move || late.run_hook((which, at), &given, &lake)).await;
            let rendered = rendered.expect("rendering a template does not panic");
            let (statements, messages) = rendered.map_err(Error::project)?;
            messages.into_iter().for_each(|message| watch.on(Event::Said(message)));
            let scope = whole.scope.clone();
            let done = Box::pin(build::run_hooks(scope, &self.default_schema, &statements, is_refused)).await;
            let done = done.map_err(|error| match error {
                HookError::Query(error) => error.into(),
                HookError::Refused(why) => {
                    Error::user("elt::hook", why, "see `on-run-start` and `on-run-end` of dbt_project.yml")
                }
            })?;
            whole.scope = done.scope;
            whole.changes.extend(done.changes);
            whole.views.extend(done.views);
            let told = Told { status: "success", ..Told::default() };
            all.push(SoFar { unique_id, relation: String::new(), told, took: begun.elapsed() });
        }
        Ok((whole, all))
    }
}

fn ids(selected: &BTreeSet<NodeId>) -> Value {
    selected.iter().map(|id| Value::from(id.as_str())).collect()
}
