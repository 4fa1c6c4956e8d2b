//! Which threads compute, and for how many at once?
//!
//! Queries have threads of their own, so that a server whose every core is busy still answers who knocks.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tonic::Status;

use super::clients::{Client, locked};
use super::gate::{Gate, Running};
use crate::base::{STACK, leave, while_wanted};
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
    /// How long every turn may be taken, and none be given, before the server is said not to be ready.
    pub taken: Duration,
    /// How long a reader may take nothing of its answer before others have its turn, until it reads on.
    pub idle: Duration,
    /// How long a reader may take nothing of its answer before that is cancelled: it holds memory.
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
            taken: Duration::from_secs(30),
            idle: Duration::from_secs(5),
            stall: Duration::from_secs(300),
            life: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// The right to run a statement, until it is dropped.
pub(super) struct Turn {
    /// Nothing while others have it.
    permit: Option<OwnedSemaphorePermit>,
    idle: Option<Idle>,
    _running: Running,
}

/// A statement whose reader does not read, for as long as it has no turn.
struct Idle(Arc<AtomicUsize>);

impl Drop for Idle {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The threads that compute.
pub(super) struct Workers {
    runtime: Option<Runtime>,
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    idle: Arc<AtomicUsize>,
    /// When a turn was given last.
    given: Mutex<Instant>,
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
        Ok(Self {
            runtime: Some(runtime),
            turns,
            waiting: AtomicUsize::new(0),
            idle: Arc::default(),
            given: Mutex::new(Instant::now()),
            gate: Arc::default(),
            limits,
        })
    }

    /// Waits for a turn of a client.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED`: as many of theirs run as may, too many wait already, or it took too long.
    pub(super) async fn turn(&self, client: &Client) -> Result<Turn, Status> {
        let running = self.gate.runs(&client.user, &client.limits())?;
        let permit = Some(self.permit().await?);
        self.note_given();
        Ok(Turn { permit, idle: None, _running: running })
    }

    /// Lets others have the turn of a statement whose reader does not read. As many statements may rest so as may wait for a turn,
    /// for what they have taken of memory they keep.
    pub(super) fn rest(&self, turn: &mut Turn) {
        let before = self.idle.fetch_add(1, Ordering::Relaxed);
        let idle = Idle(Arc::clone(&self.idle));
        if before < self.limits.waiting {
            turn.idle = Some(idle);
            turn.permit = None;
        }
    }

    /// Waits until a statement that rested has its turn again.
    ///
    /// # Errors
    /// `UNAVAILABLE`: the server is stopping.
    pub(super) async fn go_on(&self, turn: &mut Turn) -> Result<(), Status> {
        if turn.permit.is_none() {
            let permit = Arc::clone(&self.turns).acquire_owned().await;
            turn.permit = Some(permit.map_err(|_| Status::unavailable("the server is stopping"))?);
            turn.idle = None;
            self.note_given();
        }
        Ok(())
    }

    fn note_given(&self) {
        *locked(&self.given) = Instant::now();
    }

    /// How many statements run, how many wait for their turn, and how many rest because nobody reads their rows.
    pub(super) fn at_work(&self) -> (usize, usize, usize) {
        let running = self.limits.running.max(1).saturating_sub(self.turns.available_permits());
        (running, self.waiting.load(Ordering::Relaxed), self.idle.load(Ordering::Relaxed))
    }

    /// For how long every turn has been taken and none was given, if that is long.
    pub(super) fn taken_for_long(&self) -> Option<Duration> {
        let taken = locked(&self.given).elapsed();
        (self.turns.available_permits() == 0 && taken > self.limits.taken).then_some(taken)
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
            leave(runtime);
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
