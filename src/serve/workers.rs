//! Which threads compute, and for how many at once?
//!
//! Queries have threads of their own, so that a server whose every core is busy still answers who knocks.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tonic::Status;

use super::clients::Client;
use super::gate::{Gate, Running};
use crate::base::{STACK, while_wanted};
use crate::lakehouse::RoleLimits;

/// How much a server does at once, and how long.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// Statements that run at once.
    pub running: usize,
    /// Statements that wait for their turn. One more is refused.
    pub waiting: usize,
    /// How long a statement waits for its turn.
    pub patience: Duration,
    /// How long a statement may take, from its turn to its last row taken.
    pub time: Duration,
    /// How long statements at work may go on once the server is told to stop.
    pub grace: Duration,
    /// How much each user may ask whose role says nothing of it.
    pub per_user: RoleLimits,
    /// Bytes of answers that are kept to be given again.
    pub cache: usize,
    /// How long a reader may take nothing of its answer before that is cancelled: it holds memory, and its turn.
    pub stall: Duration,
    /// How long the token of a session holds; then its user shows the password again.
    pub life: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            running: (4 * cores).max(8),
            waiting: 256,
            patience: Duration::from_secs(60),
            time: Duration::from_secs(3600),
            grace: Duration::from_secs(10),
            per_user: RoleLimits::default(),
            cache: 128 << 20,
            stall: Duration::from_secs(300),
            life: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// The right to run a statement, until it is dropped.
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    _running: Running,
}

/// The threads that compute.
pub(super) struct Workers {
    runtime: Option<Runtime>,
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    pub(super) gate: Arc<Gate>,
    pub(super) limits: ServeLimits,
}

impl Workers {
    pub(super) fn new(limits: ServeLimits) -> std::io::Result<Self> {
        // What computes for long without a pause keeps its thread although it was cancelled. So that others need not wait
        // for it, each statement has a thread, however few the cores.
        let threads = limits.running.clamp(2, 128);
        let runtime = Builder::new_multi_thread()
            .enable_all()
            .worker_threads(threads)
            .thread_name("query")
            .thread_stack_size(STACK)
            .build()?;
        let turns = Arc::new(Semaphore::new(limits.running.max(1)));
        Ok(Self { runtime: Some(runtime), turns, waiting: AtomicUsize::new(0), gate: Arc::default(), limits })
    }

    /// Waits for a turn of a client.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED`: as many of theirs run as may, too many wait already, or it took too long.
    pub(super) async fn turn(&self, client: &Client) -> Result<Turn, Status> {
        let running = self.gate.runs(&client.user, &client.limits())?;
        Ok(Turn { _permit: self.permit().await?, _running: running })
    }

    /// How many statements run and how many wait.
    pub(super) fn at_work(&self) -> (usize, usize) {
        let running = self.limits.running.max(1).saturating_sub(self.turns.available_permits());
        (running, self.waiting.load(Ordering::Relaxed))
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, Status> {
        if let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() {
            return Ok(turn);
        }
        let queue = Queued::enter(&self.waiting);
        if queue.before > self.limits.waiting {
            return Err(busy(&format!(
                "{} statements run and {} wait",
                self.limits.running, self.limits.waiting
            )));
        }
        match tokio::time::timeout(self.limits.patience, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) => Err(Status::unavailable("the server is stopping")),
            Err(_) => Err(busy(&format!(
                "{} statements run, and none ended within {} s",
                self.limits.running,
                self.limits.patience.as_secs()
            ))),
        }
    }

    /// Computes something away from the threads that talk. Dropped, it stops at its next pause.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Status>> + Send + 'static,
    ) -> Result<T, Status> {
        // Dropped while it waits, this says so to what plans without a pause.
        let (_waiting, work) = while_wanted(work);
        let mut task = JoinSet::new();
        task.spawn_on(work, &self.handle());
        match task.join_next().await {
            Some(Ok(done)) => done,
            Some(Err(error)) if error.is_panic() => Err(broken()),
            _ => Err(Status::unavailable("the server is stopping")),
        }
    }

    /// How long a statement of a client may take.
    pub(super) fn time_of(&self, client: &Client) -> Duration {
        let most = client.limits().time.unwrap_or(self.limits.time).min(self.limits.time);
        client.agreed().time.map_or(most, |wanted| wanted.min(most))
    }

    fn handle(&self) -> Handle {
        self.runtime.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A place in the queue, given up when dropped.
struct Queued<'a> {
    waiting: &'a AtomicUsize,
    before: usize,
}

impl<'a> Queued<'a> {
    fn enter(waiting: &'a AtomicUsize) -> Self {
        Self { waiting, before: waiting.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn busy(because: &str) -> Status {
    Status::resource_exhausted(format!(
        "the server is busy: {because}\nhelp: try again, or start it with a higher `--max-queries`"
    ))
}

pub(super) fn too_long(limit: Duration) -> Status {
    Status::deadline_exceeded(format!(
        "the statement took longer than {} s\nhelp: ask for less, or start the server with a higher `--query-timeout`",
        limit.as_secs_f64()
    ))
}

/// A panic is ours, whatever was asked.
pub(super) fn broken() -> Status {
    Status::internal("the statement met a bug in elt; the server goes on\nhelp: report the statement")
}
