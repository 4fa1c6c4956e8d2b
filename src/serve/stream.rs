//! How do rows get to a client?
//!
//! As they are found, two messages ahead at most. A reader that is slow makes the query wait, one that goes away ends it.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::FlightData;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::sync::{mpsc, oneshot};
use tonic::{Code, Status};

use super::clients::{Client, locked};
use super::endpoint::Endpoint;
use super::error::{malformed, query_status};
use super::metrics::Ended;
use super::statements::{Answer, Promised, Shared};
use super::wire::{fit, pieces};
use super::workers::{Turn, broken, too_long};
use crate::lakehouse::GivenUp;

/// What `DoGet` answers with.
pub(super) type Messages = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send>>;

/// A message, what went wrong, or nothing after the last row.
type Sent<T> = Option<Result<T, Status>>;

/// Rows that fit what was promised, in pieces that make a message each.
type Pieces = BoxStream<'static, Result<RecordBatch, Status>>;

/// What rows are sent as.
pub(super) type Answered<T> = BoxStream<'static, Result<T, Status>>;

/// Messages that wait for the reader.
const AHEAD: usize = 2;

impl Endpoint {
    /// Sends the answer that a ticket stands for, as the protocol of Flight has it.
    pub(super) fn send(self: &Arc<Self>, client: &Arc<Client>, handle: &[u8]) -> Result<Messages, Status> {
        if let Some((whole, part)) = parted(handle) {
            return self.send_part(client, whole, part);
        }
        let bytes = |message: &FlightData| message.data_body.len();
        self.send_as(client, handle, |schema, rows| encoded(schema, rows).boxed(), bytes)
    }

    /// Sends a part of an answer: its share of the rows. The parts are written at the same time.
    fn send_part(
        self: &Arc<Self>,
        client: &Arc<Client>,
        whole: &str,
        part: usize,
    ) -> Result<Messages, Status> {
        let promised = self.statements.promised(whole.as_bytes(), client)?;
        let shared = promised.shared.clone().ok_or_else(|| malformed("the ticket"))?;
        if *promised.cancelled.borrow() {
            return Err(Status::cancelled(
                "a part of the answer was given up, and the rest with it\nhelp: run the statement again",
            ));
        }
        let rows = shared.part(part, |readers| self.deal(client, whole, &promised, readers))?;
        let schema = Arc::clone(&promised.schema);
        let part = Part { promised, shared, rows, ended: false };
        let rows = futures::stream::unfold(part, |mut part| async move {
            let next = part.next().await?;
            Some((next, part))
        });
        Ok(encoded(schema, rows.boxed()).boxed())
    }

    /// Begins to work out an answer, and deals its rows to so many readers.
    fn deal(
        self: &Arc<Self>,
        client: &Arc<Client>,
        whole: &str,
        promised: &Arc<Promised>,
        readers: usize,
    ) -> Result<Vec<Answered<RecordBatch>>, Status> {
        let Answer::Query(prepared) = &promised.answer else { return Err(malformed("the ticket")) };
        let size = RecordBatch::get_array_memory_size;
        let rows = self.send_as(client, whole.as_bytes(), |_, rows| rows, size)?;
        let parts = prepared.dealt(&promised.schema, rows, readers, query_status).map_err(query_status)?;
        self.watch_parts(whole.to_owned(), promised);
        Ok(parts)
    }

    /// Gives an answer up once none of its readers has read for long: what waits for them takes memory, and room on disk.
    fn watch_parts(self: &Arc<Self>, whole: String, promised: &Arc<Promised>) {
        let (promised, statements) = (Arc::downgrade(promised), Arc::clone(&self.statements));
        let stall = self.workers.limits.stall;
        tokio::spawn(async move {
            let mut wait = stall;
            loop {
                tokio::time::sleep(wait).await;
                let Some(promised) = promised.upgrade() else { return };
                let Some(shared) = &promised.shared else { return };
                let unread = shared.unread();
                if unread >= stall {
                    promised.cancelled.send_replace(true);
                    shared.clear();
                    statements.forget(&whole);
                    return;
                }
                wait = stall.saturating_sub(unread);
            }
        });
    }

    /// Sends the answer that a ticket stands for, each message made by `encode` of rows of these columns.
    pub(super) fn send_as<T: Send + 'static>(
        self: &Arc<Self>,
        client: &Arc<Client>,
        handle: &[u8],
        encode: fn(SchemaRef, Pieces) -> Answered<T>,
        bytes: fn(&T) -> usize,
    ) -> Result<Answered<T>, Status> {
        let promised = self.statements.promised(handle, client)?;
        if let Answer::Rows(rows) = &promised.answer {
            self.statements.sending(handle, &promised).done();
            return Ok(encode(Arc::clone(&promised.schema), fitting(&promised.schema, rows.clone())));
        }
        let mut sending = self.statements.sending(handle, &promised);
        let begun = Instant::now();
        let (sender, receiver) = mpsc::channel(AHEAD);
        let endpoint = Arc::clone(self);
        let client = Arc::clone(client);
        let told_of = Arc::clone(&client);
        let sql = match &promised.answer {
            Answer::Query(prepared) => prepared.sql().to_owned(),
            Answer::Rows(_) => String::new(),
        };
        tokio::spawn(async move {
            let (mut cancelled, mut stopped) = (promised.cancelled.subscribe(), endpoint.stopped.subscribe());
            let limit = endpoint.workers.time_of(&client);
            let (its_turn, turn) = oneshot::channel();
            let given_up = GivenUp::default();
            let order = Order { promised, sender: sender.clone(), its_turn, given_up: given_up.clone() };
            let rows = Arc::clone(&endpoint).rows(Arc::clone(&client), order, encode, bytes);
            let mut rows = std::pin::pin!(endpoint.workers.run(rows));
            // Waiting for its turn is no part of a statement's time.
            let timed = async {
                match turn.await {
                    Ok(()) => tokio::time::sleep(limit).await,
                    Err(_) => std::future::pending().await,
                }
            };
            let ended = tokio::select! {
                biased;
                // The reader has gone: nobody is left to tell.
                () = sender.closed() => {
                    endpoint.metrics.ended(Ended::Cancelled, begun.elapsed());
                    return;
                }
                _ = cancelled.wait_for(|now| *now) => Err(Status::cancelled("the statement was cancelled")),
                _ = stopped.wait_for(|now| *now) => Err(Status::unavailable("the server is stopping")),
                () = timed => Err(too_long(limit)),
                lapsed = endpoint.clients.lapsed(&client) => Err(lapsed),
                ended = &mut rows => ended,
            };
            // Whoever cancels a statement knows why it has no answer.
            if let Err(status) = &ended
                && status.code() != Code::Cancelled
            {
                given_up.because(status.message());
            }
            let how = ended.as_ref().map_or_else(|status| Ended::of(status.code()), |()| Ended::Succeeded);
            endpoint.metrics.ended(how, begun.elapsed());
            endpoint.note(&told_of, &sql, begun, ended.as_ref().map(|()| None));
            let last = match ended {
                Ok(()) => {
                    sending.done();
                    None
                }
                Err(status) => Some(Err(status)),
            };
            // A reader that does not read is not told either, so that this ends.
            let stall = endpoint.workers.limits.stall;
            drop(tokio::time::timeout(stall, sender.send(last)).await);
        });
        let answered = futures::stream::unfold(Some(receiver), |receiver| async move {
            let mut receiver = receiver?;
            match receiver.recv().await {
                Some(Some(Ok(message))) => Some((Ok(message), Some(receiver))),
                Some(Some(Err(status))) => Some((Err(status), None)),
                Some(None) => None,
                // The task died before the last row: what was sent is not the whole answer.
                None => Some((Err(broken()), None)),
            }
        });
        Ok(answered.boxed())
    }

    /// Runs a query and sends its rows.
    async fn rows<T: Send + 'static>(
        self: Arc<Self>,
        client: Arc<Client>,
        order: Order<T>,
        encode: fn(SchemaRef, Pieces) -> Answered<T>,
        bytes: fn(&T) -> usize,
    ) -> Result<(), Status> {
        let Order { promised, sender, its_turn, given_up } = order;
        let Answer::Query(prepared) = &promised.answer else { return Ok(()) };
        let asked = prepared.asked(promised.owner(), client.application).or(&given_up);
        let mut turn = match self.workers.turn(&client).await {
            Ok(turn) => turn,
            Err(refused) => {
                asked.refused(refused.message());
                return Err(refused);
            }
        };
        // Nobody listens only if the statement was given up already.
        let _ = its_turn.send(());
        let outcome = match prepared.run().await {
            Ok(outcome) => asked.answered(outcome),
            Err(error) => {
                asked.failed(&error);
                return Err(query_status(error));
            }
        };
        *locked(&promised.early.progress) = outcome.progress().cloned();
        let (schema, counting) = (Arc::clone(&promised.schema), Arc::clone(&self));
        let room = if promised.key.is_some() { self.cache.most_of_one() } else { 0 };
        let keeping = Arc::new(Mutex::new(Keeping { rows: Vec::new(), room: Some(room) }));
        let noting = Arc::clone(&keeping);
        let batches = futures::stream::try_unfold(outcome, |mut outcome| async move {
            match outcome.next().await {
                Some(Ok(batch)) => Ok(Some((batch, outcome))),
                Some(Err(error)) => Err(query_status(error)),
                None => Ok(None),
            }
        });
        let fitting = batches
            .and_then(move |batch| {
                counting.metrics.sent(batch.num_rows(), 0);
                futures::future::ready(fit(&batch, &schema).map_err(|error| unfit(&error)))
            })
            .inspect_ok(move |batch| locked(&noting).take(batch))
            .map_ok(|batch| futures::stream::iter(pieces(&batch).map(Ok)))
            .try_flatten();
        let mut messages = encode(Arc::clone(&promised.schema), fitting.boxed());
        while let Some(message) = messages.next().await {
            let message = message?;
            self.metrics.sent(0, bytes(&message));
            if !self.taken(&sender, message, &mut turn).await? {
                return Ok(());
            }
        }
        let kept = std::mem::replace(&mut *locked(&keeping), Keeping { rows: Vec::new(), room: None });
        if let (Some(key), Some(_)) = (promised.key.clone(), kept.room) {
            self.cache.keep(key, Arc::clone(&promised.schema), kept.rows);
        }
        Ok(())
    }

    /// Hands a message to its reader. While that one does not read, others have the turn. Returns whether there is a reader still.
    async fn taken<T>(
        &self,
        sender: &mpsc::Sender<Sent<T>>,
        message: T,
        turn: &mut Turn,
    ) -> Result<bool, Status> {
        let (idle, stall) = (self.workers.limits.idle, self.workers.limits.stall);
        let mut taken = std::pin::pin!(sender.send(Some(Ok(message))));
        if let Ok(taken) = tokio::time::timeout(idle.min(stall), &mut taken).await {
            return Ok(taken.is_ok());
        }
        self.workers.rest(turn);
        let Ok(taken) = tokio::time::timeout(stall.saturating_sub(idle), taken).await else {
            return Err(stalled(stall));
        };
        self.workers.go_on(turn).await?;
        Ok(taken.is_ok())
    }
}

/// An answer that is to be worked out.
struct Order<T> {
    promised: Arc<Promised>,
    sender: mpsc::Sender<Sent<T>>,
    /// Told when it has its turn.
    its_turn: oneshot::Sender<()>,
    given_up: GivenUp,
}

/// One of the readers who fetch an answer together.
struct Part {
    promised: Arc<Promised>,
    shared: Arc<Shared>,
    /// Its share.
    rows: Answered<RecordBatch>,
    /// Whether it has got all that there is for it.
    ended: bool,
}

impl Part {
    async fn next(&mut self) -> Option<Result<RecordBatch, Status>> {
        if self.ended {
            return None;
        }
        let reading = self.shared.reading();
        let next = self.rows.next().await;
        drop(reading);
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Drop for Part {
    /// A reader that goes away takes rows with it that nobody else gets: what is left is no answer, and is not worked out.
    fn drop(&mut self) {
        if !self.ended {
            self.promised.cancelled.send_replace(true);
            self.shared.clear();
        }
    }
}

/// The handle of a part of an answer.
pub(super) fn part_of(whole: &str, part: usize) -> String {
    format!("{whole}#{part}")
}

/// The answer that a handle is a part of, and which, if it is one.
fn parted(handle: &[u8]) -> Option<(&str, usize)> {
    let (whole, part) = std::str::from_utf8(handle).ok()?.rsplit_once('#')?;
    Some((whole, part.parse().ok()?))
}

/// Rows that are set aside to be kept, while there is room for them.
struct Keeping {
    rows: Vec<RecordBatch>,
    /// Bytes that are left; nothing once it was too much.
    room: Option<usize>,
}

impl Keeping {
    fn take(&mut self, batch: &RecordBatch) {
        self.room = self.room.and_then(|room| room.checked_sub(batch.get_array_memory_size()));
        match self.room {
            Some(_) => self.rows.push(batch.clone()),
            None => self.rows = Vec::new(),
        }
    }
}

/// Rows that are already there, as the protocol of Flight has them.
pub(super) fn known(schema: SchemaRef, rows: Vec<RecordBatch>) -> Messages {
    let rows = fitting(&schema, rows);
    Box::pin(encoded(schema, rows))
}

/// Rows that are already there, as they were promised.
fn fitting(schema: &SchemaRef, rows: Vec<RecordBatch>) -> Pieces {
    let fitting = rows.iter().map(|batch| fit(batch, schema).map_err(|error| unfit(&error)));
    futures::stream::iter(fitting.collect::<Vec<_>>()).boxed()
}

/// Rows as the protocol's messages, the columns first, even if no row follows.
fn encoded(
    schema: SchemaRef,
    rows: Pieces,
) -> impl Stream<Item = Result<FlightData, Status>> + Send + 'static {
    FlightDataEncoderBuilder::new()
        .with_schema(schema)
        // The rows come in pieces already; the encoder counts bytes that a slice does not show.
        .with_max_flight_data_size(usize::MAX)
        .build(rows.map_err(|status| FlightError::Tonic(Box::new(status))))
        .map_err(|error| match error {
            FlightError::Tonic(status) => *status,
            other => Status::internal(format!("the rows cannot be sent: {other}")),
        })
}

fn stalled(stall: std::time::Duration) -> Status {
    Status::deadline_exceeded(format!(
        "nothing of the answer was taken for {} s, so it was given up\nhelp: fetch the rows as they come, or ask for fewer",
        stall.as_secs_f64()
    ))
}

fn unfit(error: &arrow::error::ArrowError) -> Status {
    Status::internal(format!(
        "the rows are not what was planned: {error}\nhelp: report the statement; it met a bug in elt"
    ))
}
