//! Is a long query done?
//!
//! Who polls instead of asking for an info does not wait in one call: the query is begun, and each poll waits a moment and tells how
//! far it is, until its first rows are there. Then the info has a ticket, and the rest is worked out as it is fetched.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_flight::sql::{Any, Command, ProstMessageExt as _, TicketStatementQuery};
use arrow_flight::{FlightData, FlightDescriptor};
use futures::StreamExt as _;
use prost::Message as _;
use prost::bytes::Bytes;
use tokio::task::JoinHandle;
use tonic::Status;

use super::clients::{Client, locked};
use super::endpoint::Endpoint;
use super::statements::Answer;
use super::stream::Messages;
use crate::lakehouse::Progress;

/// How long a poll waits for rows before it tells how far they are.
const WAIT: Duration = Duration::from_secs(2);

/// Messages that show that there are rows: the columns, and the first of them.
const SHOWING: usize = 2;

/// The first messages of an answer, and those after them.
type First = (Vec<Result<FlightData, Status>>, Messages);

/// An answer that is worked out before it is fetched.
#[derive(Default)]
pub(super) struct Early {
    /// Whether it was begun.
    begun: AtomicBool,
    /// What waits for the first messages.
    waiting: tokio::sync::Mutex<Option<JoinHandle<First>>>,
    /// They are there, and nobody has fetched them.
    there: Mutex<Option<First>>,
    /// How far the query is.
    pub(super) progress: Mutex<Option<Progress>>,
}

impl Early {
    /// Waits for the first messages. Returns whether they are there.
    async fn is_there(&self, wait: Duration) -> Result<bool, Status> {
        let mut waiting = self.waiting.lock().await;
        if let Some(task) = &mut *waiting {
            let Ok(first) = tokio::time::timeout(wait, task).await else { return Ok(false) };
            *waiting = None;
            *locked(&self.there) = Some(first.map_err(|_| super::workers::broken())?);
        }
        match &*locked(&self.there) {
            Some((first, _)) => match first.iter().find_map(|message| message.as_ref().err()) {
                Some(status) => Err(status.clone()),
                None => Ok(true),
            },
            None => Ok(true),
        }
    }

    /// Whether it is worked out before it is fetched: then it is kept until then.
    pub(super) fn is_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// The part that is done, from 0 to 1.
    fn done(&self) -> f64 {
        let seen = locked(&self.progress).as_ref().map(Progress::seen).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a part of a whole")]
        let part = seen.total.map_or(0.0, |total| seen.rows as f64 / total as f64);
        part.clamp(0.0, 0.99)
    }
}

impl Endpoint {
    /// Begins to work out a promised answer, unless that was done.
    pub(super) async fn begin_early(
        self: &Arc<Self>,
        client: &Arc<Client>,
        handle: &str,
    ) -> Result<(), Status> {
        let promised = self.statements.promised(handle.as_bytes(), client)?;
        if matches!(promised.answer, Answer::Rows(_)) {
            return Ok(());
        }
        let mut waiting = promised.early.waiting.lock().await;
        if promised.early.begun.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let mut messages = self.send(client, handle.as_bytes())?;
        *waiting = Some(tokio::spawn(async move {
            let mut first = Vec::with_capacity(SHOWING);
            while first.len() < SHOWING {
                let Some(message) = messages.next().await else { break };
                let is_last = message.is_err();
                first.push(message);
                if is_last {
                    break;
                }
            }
            (first, messages)
        }));
        Ok(())
    }

    /// Waits a moment for an answer that was begun. Returns how much of it is done; nothing once its rows can be fetched.
    ///
    /// # Errors
    /// The query failed, or nothing was promised under this handle.
    pub(super) async fn poll(&self, client: &Arc<Client>, handle: &str) -> Result<Option<f64>, Status> {
        let promised = self.statements.promised(handle.as_bytes(), client)?;
        match promised.early.is_there(WAIT).await {
            Ok(true) => Ok(None),
            Ok(false) => Ok(Some(promised.early.done())),
            Err(status) => {
                self.statements.forget(handle);
                Err(status)
            }
        }
    }

    /// The messages of an answer that was begun early, once; nothing for others.
    pub(super) async fn begun_early(
        &self,
        client: &Arc<Client>,
        handle: &[u8],
    ) -> Result<Option<Messages>, Status> {
        let Ok(promised) = self.statements.promised(handle, client) else { return Ok(None) };
        let task = promised.early.waiting.lock().await.take();
        let first = match task {
            Some(task) => Some(task.await.map_err(|_| super::workers::broken())?),
            None => locked(&promised.early.there).take(),
        };
        let Some((first, rest)) = first else { return Ok(None) };
        self.statements.forget(&String::from_utf8_lossy(handle));
        Ok(Some(futures::stream::iter(first).chain(rest).boxed()))
    }
}

/// What to poll with next.
pub(super) fn next_poll(handle: &str) -> FlightDescriptor {
    let ticket = TicketStatementQuery { statement_handle: handle.to_owned().into() };
    FlightDescriptor::new_cmd(ticket.as_any().encode_to_vec())
}

/// The answer that is polled for, if a descriptor is one of [`next_poll`].
pub(super) fn polled(descriptor: &FlightDescriptor) -> Option<Bytes> {
    match Command::try_from(Any::decode(&*descriptor.cmd).ok()?).ok()? {
        Command::TicketStatementQuery(ticket) => Some(ticket.statement_handle),
        _ => None,
    }
}
