//! Which threads compute?

use std::future::Future;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

use crate::base::{STACK, leave};

/// The threads that answer queries.
///
/// A cancelled query ends at its next pause, and a join of everything with everything may compute for
/// minutes without one. So that nobody waits for that, a shell's queries have threads of their own, and
/// a cancelled query keeps its threads while the next one gets new ones.
pub(super) struct Threads(Option<Runtime>);

impl Threads {
    /// Those of the caller. For whoever ends when a query is cancelled.
    pub(super) fn shared() -> Self {
        Self(None)
    }

    /// Threads for queries only; those of the caller, if the system has no more.
    pub(super) fn own() -> Self {
        let threads =
            Builder::new_multi_thread().enable_all().thread_name("query").thread_stack_size(STACK).build();
        Self(threads.ok())
    }

    /// Leaves the threads to what they cannot stop, and takes new ones.
    pub(super) fn renew(&mut self) {
        if let Some(busy) = self.0.take() {
            leave(busy);
            *self = Self::own();
        }
    }

    /// Begins a task, which is told to stop when the set is dropped.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinSet<T> {
        let mut tasks = JoinSet::new();
        let handle = self.0.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone());
        tasks.spawn_on(task, &handle);
        tasks
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            leave(runtime);
        }
    }
}
