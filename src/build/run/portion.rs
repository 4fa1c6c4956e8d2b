//! What is published while a run goes on?
//!
//! With [`PublishMode::Each`] a model is seen soon after it is made: what was made since the last time is published
//! together, at most once in a while. Releases are for people to look at and go back to; a thousand of them for a
//! thousand small models, each with the versions of a thousand tables, would be good for nobody.
//!
//! What hooks write, rows in quarantine and failing rows of tests are shared by nodes; they come at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Happened, PublishMode, State};
use crate::base::TableName;
use crate::build::materialize::Made;
use crate::compile::NodeId;
use crate::release::View;
use crate::table::Change;

/// What was made since the last time.
#[derive(Debug, Default)]
pub struct Portion {
    /// The tables that change, one change each.
    pub changes: Vec<Change>,
    /// Views to make or replace.
    pub views: BTreeMap<TableName, View>,
}

/// Publishes what a run has made so far.
pub trait Publisher: Sync {
    /// Publishes a portion, all of it or nothing. Returns whether the run can go on; why not, the publisher keeps.
    fn publish(&self, portion: Portion) -> BoxFuture<'_, bool>;

    /// The time between two releases, at least.
    fn pace(&self) -> Duration;
}

/// How far publishing is.
#[derive(Debug, Default)]
pub(super) struct Out {
    /// What is published, or is being published.
    pub(super) nodes: BTreeSet<NodeId>,
    /// Whether what was landed is.
    pub(super) has_landed: bool,
    /// Whether something is being published now.
    is_under_way: bool,
    /// Whether it could not be; then nothing more is begun.
    pub(super) has_failed: bool,
    /// When the last portion went out, since the run began.
    last: Duration,
}

impl<'a> State<'a> {
    /// Takes what was made since the last time, if it is time to publish it and there is more to come. What is made
    /// last is published at the end.
    pub(super) fn portion(&mut self) -> Option<BoxFuture<'a, Happened>> {
        let publisher = self.inputs.publisher.filter(|_| self.inputs.publish == PublishMode::Each)?;
        let now = self.clock.elapsed();
        let is_time = now.saturating_sub(self.out.last) >= publisher.pace();
        if self.out.is_under_way || self.out.has_failed || self.at_work == 0 || !is_time {
            return None;
        }
        let new: Vec<NodeId> = self.made.keys().filter(|id| !self.out.nodes.contains(*id)).cloned().collect();
        if new.is_empty() {
            return None;
        }
        let mut portion = Portion::default();
        if !std::mem::replace(&mut self.out.has_landed, true) {
            let landed = self.inputs.landed.values().flatten();
            portion.changes.extend(landed.map(|change| Change::clone(change)));
        }
        for id in new {
            match &self.made[&id] {
                Made::Table(change) => portion.changes.push(Change::clone(change)),
                Made::View(view) => {
                    let name = self.inputs.manifest.node(&id).relation.clone();
                    portion.views.extend(name.map(|name| (name, view.clone())));
                }
            }
            self.out.nodes.insert(id);
        }
        self.out.is_under_way = true;
        Some(publisher.publish(portion).map(Happened::Published).boxed())
    }

    /// How long it is until what was made and waits may be published; nothing if nothing waits.
    pub(super) fn until_portion(&self) -> Option<Duration> {
        let publisher = self.inputs.publisher.filter(|_| self.inputs.publish == PublishMode::Each)?;
        // What is out was made: it is asked after each of thousands of steps.
        let waits = self.made.len() > self.out.nodes.len();
        let is_free = !self.out.is_under_way && !self.out.has_failed && self.at_work > 0;
        (waits && is_free)
            .then(|| publisher.pace().saturating_sub(self.clock.elapsed().saturating_sub(self.out.last)))
    }

    /// Takes note that the portion is out, or could not be published.
    pub(super) fn published(&mut self, is_done: bool) {
        self.out.is_under_way = false;
        self.out.has_failed |= !is_done;
        self.out.last = self.clock.elapsed();
    }
}
