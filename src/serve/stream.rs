//! How do rows get to a client?
//!
//! As they are found, two messages ahead at most. A reader that is slow makes the query wait, one that goes away ends it.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::FlightData;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tonic::Status;

use super::clients::Client;
use super::endpoint::Endpoint;
use super::error::query_status;
use super::statements::{Answer, Promised};
use super::wire::{fit, pieces};
use super::workers::{broken, too_long};

/// What `DoGet` answers with.
pub(super) type Messages = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send>>;

/// A message, what went wrong, or nothing after the last row.
type Sent = Option<Result<FlightData, Status>>;

/// Messages that wait for the reader.
const AHEAD: usize = 2;

impl Endpoint {
    /// Sends the answer that a ticket stands for.
    pub(super) fn send(self: &Arc<Self>, client: &Client, handle: &[u8]) -> Result<Messages, Status> {
        let promised = self.statements.promised(handle, client)?;
        if let Answer::Rows(rows) = &promised.answer {
            self.statements.sending(handle, &promised).done();
            return Ok(known(Arc::clone(&promised.schema), rows.clone()));
        }
        let mut sending = self.statements.sending(handle, &promised);
        let (sender, receiver) = mpsc::channel(AHEAD);
        let endpoint = Arc::clone(self);
        tokio::spawn(async move {
            let (mut cancelled, mut stopped) = (promised.cancelled.subscribe(), endpoint.stopped.subscribe());
            let limit = endpoint.workers.limits.time;
            let rows = endpoint.workers.run(Arc::clone(&endpoint).rows(promised, sender.clone()));
            let ended = tokio::select! {
                biased;
                // The reader has gone: nobody is left to tell.
                () = sender.closed() => return,
                _ = cancelled.wait_for(|now| *now) => Err(Status::cancelled("the statement was cancelled")),
                _ = stopped.wait_for(|now| *now) => Err(Status::unavailable("the server is stopping")),
                () = tokio::time::sleep(limit) => Err(too_long(limit)),
                ended = rows => ended,
            };
            let last = match ended {
                Ok(()) => {
                    sending.done();
                    None
                }
                Err(status) => Some(Err(status)),
            };
            // A reader that does not read is not told either, so that this ends.
            drop(tokio::time::timeout(limit, sender.send(last)).await);
        });
        Ok(Box::pin(futures::stream::unfold(Some(receiver), |receiver| async move {
            let mut receiver = receiver?;
            match receiver.recv().await {
                Some(Some(Ok(message))) => Some((Ok(message), Some(receiver))),
                Some(Some(Err(status))) => Some((Err(status), None)),
                Some(None) => None,
                // The task died before the last row: what was sent is not the whole answer.
                None => Some((Err(broken()), None)),
            }
        })))
    }

    /// Runs a query and sends its rows.
    async fn rows(
        self: Arc<Self>,
        promised: Arc<Promised>,
        sender: mpsc::Sender<Sent>,
    ) -> Result<(), Status> {
        let Answer::Query(prepared) = &promised.answer else { return Ok(()) };
        let _turn = self.workers.turn().await?;
        let asked = prepared.asked(promised.owner(), "flight");
        let outcome = match prepared.run().await {
            Ok(outcome) => asked.answered(outcome),
            Err(error) => {
                asked.failed(&error);
                return Err(query_status(error));
            }
        };
        let schema = Arc::clone(&promised.schema);
        let batches = futures::stream::try_unfold(outcome, |mut outcome| async move {
            match outcome.next().await {
                Some(Ok(batch)) => Ok(Some((batch, outcome))),
                Some(Err(error)) => Err(query_status(error)),
                None => Ok(None),
            }
        });
        let fitting = batches
            .and_then(move |batch| {
                futures::future::ready(fit(&batch, &schema).map_err(|error| unfit(&error)))
            })
            .map_ok(|batch| futures::stream::iter(pieces(&batch).map(Ok)))
            .try_flatten();
        let mut messages = Box::pin(encoded(Arc::clone(&promised.schema), fitting));
        while let Some(message) = messages.next().await {
            if sender.send(Some(Ok(message?))).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Rows that are already there.
pub(super) fn known(schema: SchemaRef, rows: Vec<RecordBatch>) -> Messages {
    let promised = Arc::clone(&schema);
    let fitting = rows.into_iter().map(move |batch| fit(&batch, &promised).map_err(|error| unfit(&error)));
    Box::pin(encoded(schema, futures::stream::iter(fitting.collect::<Vec<_>>())))
}

/// Rows as the protocol's messages, the columns first, even if no row follows.
fn encoded(
    schema: SchemaRef,
    rows: impl Stream<Item = Result<RecordBatch, Status>> + Send + 'static,
) -> impl Stream<Item = Result<FlightData, Status>> + Send {
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

fn unfit(error: &arrow::error::ArrowError) -> Status {
    Status::internal(format!(
        "the rows are not what was planned: {error}\nhelp: report the statement; it met a bug in elt"
    ))
}
