//! Who publishes what a run makes while it goes on?
//!
//! Each portion goes on top of the one before it, as a release of its own. All of them bear the id of the run, by
//! which a rollback knows what belongs together.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Lakehouse, Release};
use crate::base::{Error, Result, TableName, TableVersion};
use crate::build::{Portion, Publisher};
use crate::query::Scope;
use crate::release::{self, Goal, Learnt, Pins, Proposal, Published, ReleaseKind};

/// The time between two releases of one run, at least. Readers wait for a model a moment, and the lake has no more
/// releases than there are seconds.
const PACE: Duration = Duration::from_secs(1);

/// The releases of one run.
pub(super) struct Portions<'a> {
    lakehouse: &'a Lakehouse,
    run: &'a str,
    /// The scope through which the run reads.
    watched: Scope,
    pace: Duration,
    state: Mutex<State>,
}

/// How far they are.
struct State {
    pins: Pins,
    releases: Vec<Release>,
    error: Option<Error>,
}

/// What came of them.
pub(super) struct Out {
    /// What readers see now.
    pub(super) pins: Pins,
    /// The releases, in order.
    pub(super) releases: Vec<Release>,
    /// What the run has read, as it is there now if nobody else moved it.
    pub(super) read: BTreeMap<TableName, TableVersion>,
}

impl<'a> Portions<'a> {
    pub(super) fn new(lakehouse: &'a Lakehouse, run: &'a str, pins: &Pins, watched: &Scope) -> Self {
        let state = State { pins: pins.clone(), releases: Vec::new(), error: None };
        Self { lakehouse, run, watched: watched.clone(), pace: PACE, state: Mutex::new(state) }
    }

    /// The same, with another time between two releases.
    pub(super) fn paced(self, pace: Option<Duration>) -> Self {
        Self { pace: pace.unwrap_or(self.pace), ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the run has read and must not have been moved since. What the run itself moved is where it was left.
    fn read(&self, pins: &Pins) -> BTreeMap<TableName, TableVersion> {
        let state = self.state();
        let own = state.releases.iter().flat_map(|release| release.tables.iter().map(|one| &one.table));
        let mut read = self.watched.read_so_far();
        for table in own {
            if let (Some(version), Some(now)) = (read.get_mut(table), pins.tables.get(table)) {
                *version = *now;
            }
        }
        read
    }

    /// What came of them, once nothing is published any more.
    ///
    /// # Errors
    /// Why a portion could not be published. Those before it are.
    pub(super) fn conclude(&self) -> Result<Out> {
        if let Some(error) = self.state().error.take() {
            return Err(error);
        }
        let pins = self.state().pins.clone();
        let read = self.read(&pins);
        Ok(Out { pins, releases: std::mem::take(&mut self.state().releases), read })
    }

    async fn put_out(&self, portion: Portion) -> Result<()> {
        let base = self.state().pins.clone();
        let proposal = Proposal {
            read: self.read(&base),
            base,
            accepted: BTreeMap::new(),
            kind: ReleaseKind::Build,
            run: self.run.to_owned(),
            changes: portion.changes,
            views: portion.views,
            // What was made from what is remembered by the last of them.
            learnt: Learnt::default(),
            goal: Goal::Keep,
        };
        let published = release::publish(self.lakehouse.tables(), self.lakehouse.world(), proposal).await?;
        if let Published::Release(release) = published {
            let mut state = self.state();
            state.pins = release.pinned();
            state.releases.push(*release);
        }
        Ok(())
    }
}

impl Publisher for Portions<'_> {
    fn publish(&self, portion: Portion) -> BoxFuture<'_, bool> {
        async {
            match self.put_out(portion).await {
                Ok(()) => true,
                Err(error) => {
                    self.state().error = Some(error);
                    false
                }
            }
        }
        .boxed()
    }

    fn pace(&self) -> Duration {
        self.pace
    }
}
