//! Which call of the protocol asks for what?
//!
//! Written against the protocol itself and not against its crate's helper, which leaves out GetSchema, PollFlightInfo and
//! what a session is, and which tells errors in the words of its own types.

use std::pin::Pin;
use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{
    Any, Command, DoPutPreparedStatementResult, DoPutUpdateResult, ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo,
    HandshakeRequest, HandshakeResponse, IpcMessage, PollInfo, PutResult, Result as ActionResult,
    SchemaAsIpc, SchemaResult, Ticket,
};
use arrow_ipc::writer::IpcWriteOptions;
use futures::{Stream, StreamExt};
use prost::Message;
use prost::bytes::Bytes;
use tonic::{Request, Response, Status, Streaming};

use super::actions::actions;
use super::clients::Client;
use super::endpoint::{Endpoint, Promise};
use super::error::{malformed, not_supported};
use super::metadata::is_metadata;
use super::polling::{next_poll, polled};
use super::put::Sent;
use super::stream::{Messages, known, part_of};
use super::wire::wire_schema;

/// The protocol's side of an endpoint.
pub(super) struct Flight(pub(super) Arc<Endpoint>);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl FlightService for Flight {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Messages;
    type DoPutStream = Answers<PutResult>;
    type DoExchangeStream = Answers<FlightData>;
    type DoActionStream = Answers<ActionResult>;
    type ListActionsStream = Answers<ActionType>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let token = self.0.clients.let_in(request.metadata()).await?;
        let payload = Bytes::from(token.clone().unwrap_or_default());
        let answer = HandshakeResponse { protocol_version: 0, payload };
        // A client that shows a token closes the stream without a message, and waits for ours.
        let mut response = Response::new(once(answer));
        give_token(&mut response, token)?;
        Ok(response)
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(not_supported(
            "ListFlights",
            "ask for the tables (CommandGetTables) or query `information_schema.tables`",
        ))
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let client = self.0.clients.of(request.metadata()).await?;
        let descriptor = request.into_inner();
        let (info, token) = self.info(&client, descriptor).await?;
        let mut response = Response::new(info);
        give_token(&mut response, token)?;
        Ok(response)
    }

    /// Begins a query, and tells how far it is until its first rows are there. What else there is to ask for is there at once.
    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        let client = self.0.clients.of(request.metadata()).await?;
        let descriptor = request.into_inner();
        let (info, handle, token) = match polled(&descriptor) {
            Some(handle) => {
                let promised = self.0.statements.promised(&handle, &client)?;
                let handle = String::from_utf8_lossy(&handle).into_owned();
                let ticket = TicketStatementQuery { statement_handle: handle.clone().into() };
                (
                    told_info(descriptor, &promised.schema, vec![ticket.as_any().encode_to_vec()])?,
                    Some(handle),
                    None,
                )
            }
            None => {
                let (info, token) = self.info(&client, descriptor).await?;
                let handle = only_handle(&info);
                if let Some(handle) = &handle {
                    self.0.begin_early(&client, handle).await?;
                }
                (info, handle, token)
            }
        };
        let done = match &handle {
            Some(handle) => self.0.poll(&client, handle).await?,
            None => None,
        };
        let poll = match (done, handle) {
            (Some(done), Some(handle)) => {
                let next = next_poll(&handle);
                // Without a ticket, for there are no rows yet; what is polled for is what is cancelled.
                let info = FlightInfo { endpoint: Vec::new(), flight_descriptor: Some(next.clone()), ..info };
                PollInfo {
                    info: Some(info),
                    flight_descriptor: Some(next),
                    progress: Some(done),
                    ..PollInfo::default()
                }
            }
            _ => PollInfo { info: Some(info), progress: Some(1.0), ..PollInfo::default() },
        };
        let mut response = Response::new(poll);
        give_token(&mut response, token)?;
        Ok(response)
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let client = self.0.clients.of(request.metadata()).await?;
        let (within, sql) = match command(&request.get_ref().cmd)? {
            Command::CommandStatementQuery(query) => (transaction(query.transaction_id), query.query),
            Command::CommandPreparedStatementQuery(query) => {
                let known = self.0.statements.prepared(&query.prepared_statement_handle, &client)?;
                (known.within, known.sql)
            }
            other if is_metadata(&other) => {
                let (schema, _) = self.0.metadata(&client, other, true).await?;
                return Ok(Response::new(SchemaResult { schema: schema_bytes(&schema)? }));
            }
            other => return Err(unknown_command(&other)),
        };
        let agreed = client.agreed();
        let prepared = self.0.prepare(&client, within.as_deref(), &sql).await?;
        let schema = wire_schema(&prepared.schema, agreed.wire);
        Ok(Response::new(SchemaResult { schema: schema_bytes(&schema)? }))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let client = self.0.clients.of(request.metadata()).await?;
        let messages = match command(&request.get_ref().ticket)? {
            Command::TicketStatementQuery(ticket) => {
                let handle = &ticket.statement_handle;
                match self.0.begun_early(&client, handle).await? {
                    Some(begun) => begun,
                    None => self.0.send(&client, handle)?,
                }
            }
            // A few clients fetch a prepared statement by its own handle.
            Command::CommandPreparedStatementQuery(query) => {
                let promise = self.promise_prepared(&client, &query.prepared_statement_handle).await?;
                self.0.send(&client, promise.handle.as_bytes())?
            }
            other if is_metadata(&other) => {
                let (schema, rows) = self.0.metadata(&client, other, false).await?;
                known(schema, rows)
            }
            other => return Err(unknown_command(&other)),
        };
        Ok(Response::new(messages))
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let client = self.0.clients.of(request.metadata()).await?;
        let sent = Sent::begin(request.into_inner()).await?;
        let endpoint = &self.0;
        let (count, token) = match command(&sent.descriptor.cmd)? {
            Command::CommandStatementUpdate(update) => {
                let within = transaction(update.transaction_id);
                endpoint.update(&client, within.as_deref(), &[update.query]).await?
            }
            Command::CommandPreparedStatementUpdate(update) => {
                endpoint.update_prepared(&client, &update.prepared_statement_handle, sent).await?
            }
            Command::CommandStatementIngest(order) => (endpoint.ingest(&client, order, sent).await?, None),
            Command::CommandPreparedStatementQuery(query) => {
                endpoint.bind(&client, &query.prepared_statement_handle, sent).await?;
                let handle = Some(query.prepared_statement_handle);
                let result = DoPutPreparedStatementResult { prepared_statement_handle: handle };
                let result = PutResult { app_metadata: result.encode_to_vec().into() };
                return Ok(Response::new(once(result)));
            }
            other => return Err(unknown_command(&other)),
        };
        let result = DoPutUpdateResult { record_count: count };
        let mut response = Response::new(once(PutResult { app_metadata: result.encode_to_vec().into() }));
        give_token(&mut response, token)?;
        Ok(response)
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(not_supported("DoExchange", "send rows with DoPut and fetch them with DoGet"))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let client = self.0.clients.of(request.metadata()).await?;
        let acted = self.0.act(&client, request.get_ref()).await?;
        let results = acted.body.map(|body| Ok(ActionResult { body }));
        let mut response = Response::new(futures::stream::iter(results).boxed());
        give_token(&mut response, acted.token)?;
        Ok(response)
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        self.0.clients.of(request.metadata()).await?;
        Ok(Response::new(futures::stream::iter(actions().into_iter().map(Ok)).boxed()))
    }
}

impl Flight {
    /// What a client gets to know before it fetches: the columns, and one ticket.
    async fn info(
        &self,
        client: &Arc<Client>,
        descriptor: FlightDescriptor,
    ) -> Result<(FlightInfo, Option<String>), Status> {
        let (schema, tickets, token) = match command(&descriptor.cmd)? {
            Command::CommandStatementQuery(query) => {
                let within = transaction(query.transaction_id);
                tickets(self.0.promise(client, within.as_deref(), &query.query, None, None).await?)
            }
            Command::CommandPreparedStatementQuery(query) => {
                tickets(self.promise_prepared(client, &query.prepared_statement_handle).await?)
            }
            other if is_metadata(&other) => {
                let ticket = other.clone().into_any().encode_to_vec();
                let (schema, _) = self.0.metadata(client, other, true).await?;
                (schema, vec![ticket], None)
            }
            other => return Err(unknown_command(&other)),
        };
        Ok((told_info(descriptor, &schema, tickets)?, token))
    }

    /// Promises the answer to a prepared statement with the values that it was given last.
    async fn promise_prepared(&self, client: &Arc<Client>, handle: &[u8]) -> Result<Promise, Status> {
        let statement = self.0.statements.prepared(handle, client)?;
        let (within, values) = (statement.within.as_deref(), statement.values.as_ref());
        self.0.promise(client, within, &statement.sql, values, Some(&statement.columns)).await
    }
}

/// An info with these columns and tickets.
fn told_info(
    descriptor: FlightDescriptor,
    schema: &Schema,
    tickets: Vec<Vec<u8>>,
) -> Result<FlightInfo, Status> {
    // Without a location: the client fetches from where it is connected, through whatever is between.
    let info = FlightInfo::new().with_descriptor(descriptor).with_ordered(tickets.len() == 1);
    let info = tickets.into_iter().fold(info, |info, ticket| {
        info.with_endpoint(FlightEndpoint::new().with_ticket(Ticket::new(ticket)))
    });
    Ok(FlightInfo { schema: schema_bytes(schema)?, total_records: -1, total_bytes: -1, ..info })
}

/// The handle of an answer that has one ticket.
fn only_handle(info: &FlightInfo) -> Option<String> {
    let [endpoint] = &info.endpoint[..] else { return None };
    let any = Any::decode(&*endpoint.ticket.as_ref()?.ticket).ok()?;
    match Command::try_from(any).ok()? {
        Command::TicketStatementQuery(ticket) => String::from_utf8(ticket.statement_handle.to_vec()).ok(),
        _ => None,
    }
}

/// A ticket for the whole answer, or one for each of its parts.
fn tickets(promise: Promise) -> (arrow::datatypes::SchemaRef, Vec<Vec<u8>>, Option<String>) {
    let ticket =
        |handle: String| TicketStatementQuery { statement_handle: handle.into() }.as_any().encode_to_vec();
    let tickets = match promise.parts {
        1 => vec![ticket(promise.handle)],
        parts => (0..parts).map(|part| ticket(part_of(&promise.handle, part))).collect(),
    };
    (promise.schema, tickets, promise.token)
}

/// The command that bytes wrap.
fn command(bytes: &Bytes) -> Result<Command, Status> {
    let any = Any::decode(&**bytes).map_err(|_| malformed("the command"))?;
    Command::try_from(any).map_err(|_| malformed("the command"))
}

fn unknown_command(command: &Command) -> Status {
    let name = command.type_url().rsplit(['.', '/']).next().unwrap_or_default().to_owned();
    let name = if name.is_empty() { "a command without a name".to_owned() } else { format!("`{name}`") };
    not_supported(&format!("{name} in this place"), "send SQL, as a statement or prepared")
}

/// The transaction that a statement is in, if it is in one.
fn transaction(id: Option<Bytes>) -> Option<Bytes> {
    id.filter(|id| !id.is_empty())
}

/// A schema as the protocol writes it.
pub(super) fn schema_bytes(schema: &Schema) -> Result<Bytes, Status> {
    let options = IpcWriteOptions::default();
    let message: IpcMessage = SchemaAsIpc::new(schema, &options)
        .try_into()
        .map_err(|error| Status::internal(format!("the columns cannot be told: {error}")))?;
    Ok(message.0)
}

/// The token to show from now on. Drivers take it from the header of any answer.
fn give_token<T>(response: &mut Response<T>, token: Option<String>) -> Result<(), Status> {
    let Some(token) = token else { return Ok(()) };
    let value = format!("Bearer {token}").parse().map_err(|_| Status::internal("the token is no header"))?;
    response.metadata_mut().insert("authorization", value);
    Ok(())
}

fn once<T: Send + 'static>(answer: T) -> Answers<T> {
    futures::stream::iter([Ok(answer)]).boxed()
}
