//! What do the hooks of a node write?
//!
//! They take their turn between the steps, one after the other, on top of all that was made so far.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::State;
use crate::base::{Event, TableName, Watch};
use crate::build::materialize::Made;
use crate::build::plan::PlannedStep;
use crate::build::step::{Done, What, render_late};
use crate::build::{BuildError, HookError, run_hooks};
use crate::compile::{Late, Lookup, Node, NodeId};
use crate::query::{Limits, Scope, Session};
use crate::table::Change;

impl State<'_> {
    /// Carries out the hooks before a step that write, or are late; those that only read are the step's own business.
    pub(super) async fn hooks_before(
        &mut self,
        step: &PlannedStep,
        watch: &dyn Watch,
    ) -> Result<(), BuildError> {
        let node = self.inputs.manifest.node(&step.node);
        for at in 0..node.hooks.late_before {
            let scope = self.scope.clone();
            let hook = self.rendered(node, &scope, (false, at), watch).await?;
            self.write(node, scope, &hook, None).await?;
        }
        if !node.hooks.write || node.hooks.before.is_empty() {
            return Ok(());
        }
        let scope = self.scope.clone();
        self.write(node, scope, &node.hooks.before, None).await.map(drop)
    }

    /// The statements of a late hook, with the lake as `scope` has it.
    async fn rendered(
        &self,
        node: &Node,
        scope: &Scope,
        which: (bool, usize),
        watch: &dyn Watch,
    ) -> Result<Vec<String>, BuildError> {
        let session = Session::new(scope.clone().apart(), self.inputs.default_schema, Limits::default());
        let render = move |late: &Late, id: &NodeId, lake: &Arc<dyn Lookup>| late.hook(id, which, lake);
        let (hooks, messages) = render_late(self.inputs.manifest, &session, &node.id, render).await?;
        messages.into_iter().for_each(|message| watch.on(Event::Said(message)));
        Ok(hooks)
    }

    /// Carries out the hooks after a step that write, or are late. What they do to the node's own table becomes part of it.
    pub(super) async fn hooks_after(
        &mut self,
        at: usize,
        mut done: Done,
        watch: &dyn Watch,
    ) -> Result<Done, BuildError> {
        let node = self.inputs.manifest.node(&self.inputs.plan.steps[at].node);
        let node = done.late.as_ref().unwrap_or(node).clone();
        let late = node.hooks.late_after;
        if late == 0 && (!node.hooks.write || node.hooks.after.is_empty()) {
            return Ok(done);
        }
        let (What::Made(made) | What::Batches(Some(made), ..)) = &mut done.what else { return Ok(done) };
        let name = node.relation.clone().expect("what is made has a name");
        for at in 0..late.max(1) {
            let scope = match &made {
                Made::Table(change) => self.scope.clone().with_change(Arc::clone(change)),
                Made::View(view) => self.scope.clone().with_view(&name, view.clone()),
            };
            let hooks = match late {
                0 => node.hooks.after.clone(),
                _ => self.rendered(&node, &scope, (true, at), watch).await?,
            };
            if let Some(own) = self.write(&node, scope, &hooks, Some(&name)).await? {
                *made = Made::Table(own);
            }
        }
        Ok(done)
    }

    /// Carries out the statements of a node's hooks. Returns what became of the node's own table, if they wrote to it.
    async fn write(
        &mut self,
        node: &Node,
        scope: Scope,
        hooks: &[String],
        own: Option<&TableName>,
    ) -> Result<Option<Arc<Change>>, BuildError> {
        let (manifest, plan, landed) = (self.inputs.manifest, self.inputs.plan, &self.inputs.landed);
        let is_refused = |name: &TableName| {
            let of_another = plan.steps.iter().any(|step| {
                manifest.node(&step.node).relation.as_ref() == Some(name) && !step.action.is_test()
            });
            match () {
                () if own == Some(name) => None,
                () if landed.contains_key(name) => Some("it is landed in this run; instead write to a table of its own".to_owned()),
                () if of_another => Some("a node of this build makes it; instead write to a table of its own, or in a hook of that node".to_owned()),
                () => None,
            }
        };
        let done = Box::pin(run_hooks(scope, self.inputs.default_schema, hooks, is_refused)).await;
        let done = done.map_err(|error| match error {
            HookError::Query(error) => BuildError::query(node, error),
            HookError::Refused(why) => BuildError::wrong(node, why),
        })?;
        let mut of_own = None;
        let tables = done.changes.into_iter().map(|(name, change)| (name, Made::Table(change)));
        let views = done.views.into_iter().map(|(name, view)| (name, Made::View(view)));
        for (name, made) in tables.chain(views) {
            match made {
                Made::Table(change) if own == Some(&name) => of_own = Some(change),
                made => {
                    self.scope = match &made {
                        Made::Table(change) => self.scope.clone().with_change(Arc::clone(change)),
                        Made::View(view) => self.scope.clone().with_view(&name, view.clone()),
                    };
                    let (whole, by) =
                        self.hooked.entry(name).or_insert_with(|| (made.clone(), BTreeSet::new()));
                    *whole = made;
                    by.insert(node.id.clone());
                }
            }
        }
        Ok(of_own)
    }
}
