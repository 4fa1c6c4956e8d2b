//! Steps are told when they begin, and not when the run is over: who follows a run sees what it is at, and of one that is called
//! off it is told what it had begun.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::Notify;

use super::events::{Destination, Telling};
use crate::base::{Event, Step, Stop, Watch, World};

/// A step that has begun.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    pub(super) job: String,
    pub(super) kind: &'static str,
    pub(super) began: DateTime<Utc>,
    pub(super) ended: Option<DateTime<Utc>>,
    /// Whether readers see what it made.
    pub(super) is_out: bool,
    /// Whether it was told that it began.
    pub(super) is_told: bool,
}

#[derive(Default)]
struct Known {
    /// In the order in which they began.
    begun: Vec<Begun>,
    /// Those that had ended when publishing began.
    going_out: BTreeSet<String>,
    /// Whoever listens did not answer: the rest is told when the run is over.
    is_mute: bool,
    is_closed: bool,
}

/// Stands between a run and whoever watches it, and tells of steps that begin.
pub(in crate::lakehouse) struct Live<'a> {
    world: &'a World,
    watch: &'a dyn Watch,
    known: Mutex<Known>,
    news: Notify,
}

impl<'a> Live<'a> {
    pub(in crate::lakehouse) fn new(world: &'a World, watch: &'a dyn Watch) -> Self {
        Self { world, watch, known: Mutex::default(), news: Notify::new() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether whoever listens has answered; if not, steps are told when the run is over.
    pub(in crate::lakehouse) fn heard(&self, sent: &Result<(), String>) {
        self.known().is_mute = sent.is_err();
    }

    /// Tells of steps as they begin, until it is [`close`](Self::close)d. Returns why that did not arrive, if it did not.
    pub(in crate::lakehouse) async fn keep(
        &self,
        telling: &Starts,
        destination: &Destination,
    ) -> Result<(), String> {
        let mut answer = Ok(());
        loop {
            self.news.notified().await;
            let (open, is_closed) = {
                let known = self.known();
                let open = known.begun.iter().filter(|step| !step.is_told && !known.is_mute);
                (open.cloned().collect::<Vec<_>>(), known.is_closed)
            };
            let events: Vec<Value> = open.iter().map(|step| telling.start(step)).collect();
            if !events.is_empty() {
                let sent = destination.send(&events).await;
                let mut known = self.known();
                known.is_mute = sent.is_err();
                for step in known.begun.iter_mut().filter(|_| sent.is_ok()) {
                    step.is_told |= open.iter().any(|one| one.job == step.job);
                }
                answer = answer.and(sent);
            }
            if is_closed {
                return answer;
            }
        }
    }

    /// Ends [`keep`](Self::keep), once it has told of what has begun.
    pub(in crate::lakehouse) fn close(&self) {
        self.known().is_closed = true;
        self.news.notify_one();
    }

    /// The steps that have begun, in that order.
    pub(super) fn begun(&self) -> Vec<Begun> {
        self.known().begun.clone()
    }
}

/// What the beginning of a step is told with.
pub(in crate::lakehouse) struct Starts(pub(super) Box<dyn Fn(&Begun) -> Value + Send + Sync>);

impl Starts {
    fn start(&self, step: &Begun) -> Value {
        (self.0)(step)
    }
}

impl Telling {
    /// How the beginning of a step is told.
    pub(in crate::lakehouse) fn starts(&self) -> Starts {
        let header = self.header();
        Starts(Box::new(move |step| header.start(&step.job, step.kind, step.began)))
    }
}

fn kind(step: &Step) -> &'static str {
    match step.kind.as_str() {
        "seed" => "SEED",
        "snapshot" => "SNAPSHOT",
        "test" | "unit test" => "TEST",
        _ => "MODEL",
    }
}

impl Watch for Live<'_> {
    fn on(&self, event: Event) {
        let now = self.world.now();
        let mut known = self.known();
        match &event {
            Event::Started(step) => {
                if let Some(job) =
                    step.node.clone().filter(|job| !known.begun.iter().any(|one| one.job == *job))
                {
                    let (kind, began) = (kind(step), now);
                    known.begun.push(Begun { job, kind, began, ended: None, is_out: false, is_told: false });
                    self.news.notify_one();
                }
            }
            Event::Finished { step, .. } => {
                let one = known.begun.iter_mut().find(|one| Some(&one.job) == step.node.as_ref());
                one.into_iter().for_each(|one| one.ended = Some(now));
            }
            Event::Publishing => {
                let ended = known.begun.iter().filter(|one| one.ended.is_some());
                known.going_out = ended.map(|one| one.job.clone()).collect();
            }
            Event::Published => {
                let out = std::mem::take(&mut known.going_out);
                known.begun.iter_mut().for_each(|one| one.is_out |= out.contains(&one.job));
            }
            _ => {}
        }
        drop(known);
        self.watch.on(event);
    }

    fn called_off(&self) -> Pin<Box<dyn Future<Output = Stop> + Send + '_>> {
        self.watch.called_off()
    }
}
