//! What else can a client ask for?
//!
//! To prepare a statement and to forget it, to cancel an answer, to agree on something, to end a session.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow_flight::sql::{
    ActionBeginTransactionRequest, ActionBeginTransactionResult, ActionCancelQueryRequest,
    ActionCancelQueryResult, ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, ActionEndTransactionRequest, Any, Command, EndTransaction,
    ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo,
};
use prost::Message;
use prost::bytes::Bytes;
use tonic::Status;

use super::clients::Client;
use super::endpoint::Endpoint;
use super::error::{malformed, not_supported};
use super::flight::schema_bytes;
use super::messages::{
    CloseSessionResult, Closing, GetSessionOptionsResult, OptionError, OptionMistake, OptionValue,
    PreparedStatementResult, SessionOptionValue, SetSessionOptionsRequest, SetSessionOptionsResult,
};
use super::settings::NotSet;
use super::statements::Statement;
use super::wire::{Wire, wire_schema};
use crate::lakehouse::{StatementKind, shown_variable};

/// Every action, with what it does.
const ACTIONS: [(&str, &str); 9] = [
    ("CreatePreparedStatement", "Reads a statement that is executed later, with values for its places"),
    ("ClosePreparedStatement", "Forgets a prepared statement"),
    ("BeginTransaction", "Begins statements that are published together"),
    ("EndTransaction", "Publishes what the statements of a transaction did as one release, or none of it"),
    ("CancelQuery", "Stops a statement (the older way)"),
    ("CancelFlightInfo", "Stops a statement"),
    (
        "SetSessionOptions",
        "Sets the catalog, the schema, the release, the time zone or the types of a session",
    ),
    ("GetSessionOptions", "Tells what is set"),
    ("CloseSession", "Ends a session"),
];

/// What an action answers, if anything, and the token of the client that the caller has become.
pub(super) struct Acted {
    pub(super) body: Option<Bytes>,
    pub(super) token: Option<String>,
}

impl Acted {
    fn with(message: &impl Message) -> Self {
        Self { body: Some(message.encode_to_vec().into()), token: None }
    }
}

/// The list of actions.
pub(super) fn actions() -> Vec<ActionType> {
    let action = |(name, does): &(&str, &str)| ActionType {
        r#type: (*name).to_owned(),
        description: (*does).to_owned(),
    };
    ACTIONS.iter().map(action).collect()
}

impl Endpoint {
    /// Does what an action says.
    pub(super) async fn act(&self, client: &Arc<Client>, action: &Action) -> Result<Acted, Status> {
        match action.r#type.as_str() {
            "CreatePreparedStatement" => self.create_prepared(client, unpack(action)?).await,
            "ClosePreparedStatement" => {
                let request: ActionClosePreparedStatementRequest = unpack(action)?;
                self.statements.close(&request.prepared_statement_handle, client);
                Ok(Acted { body: None, token: None })
            }
            "CancelQuery" => {
                let request: ActionCancelQueryRequest = unpack(action)?;
                let info =
                    FlightInfo::decode(&*request.info).map_err(|_| malformed("the statement to cancel"))?;
                let result = if self.cancel(client, &info) {
                    CancelStatus::Cancelled
                } else {
                    CancelStatus::NotCancellable
                };
                Ok(Acted::with(&ActionCancelQueryResult { result: result as i32 }.as_any()))
            }
            "CancelFlightInfo" => {
                let request = CancelFlightInfoRequest::decode(&*action.body);
                let info = request.ok().and_then(|request| request.info);
                let info = info.ok_or_else(|| malformed("the statement to cancel"))?;
                let status = if self.cancel(client, &info) {
                    CancelStatus::Cancelled
                } else {
                    CancelStatus::NotCancellable
                };
                Ok(Acted::with(&CancelFlightInfoResult { status: status as i32 }))
            }
            "SetSessionOptions" => {
                let request = SetSessionOptionsRequest::decode(&*action.body);
                self.set_options(client, request.map_err(|_| malformed("the session's options"))?).await
            }
            "GetSessionOptions" => {
                let text = |text| SessionOptionValue { value: Some(OptionValue::Text(text)) };
                let told = self.told(&client.agreed()).into_iter();
                let options = told.map(|(name, value)| (name.to_owned(), text(value)));
                Ok(Acted::with(&GetSessionOptionsResult { options: options.collect() }))
            }
            "CloseSession" => {
                // One that others share goes on for them; for this caller it has ended.
                self.transactions.end_session(client);
                self.clients.forget(client);
                Ok(Acted::with(&CloseSessionResult { status: Closing::Closed as i32 }))
            }
            "BeginTransaction" => {
                let _: ActionBeginTransactionRequest = unpack(action)?;
                let id = self.begin(client)?;
                Ok(Acted::with(&ActionBeginTransactionResult { transaction_id: id.into() }.as_any()))
            }
            "EndTransaction" => {
                let request: ActionEndTransactionRequest = unpack(action)?;
                let commits = match request.action() {
                    EndTransaction::Commit => true,
                    EndTransaction::Rollback => false,
                    EndTransaction::Unspecified => {
                        return Err(malformed("how the transaction is to end"));
                    }
                };
                self.end(client, &request.transaction_id, commits).await?;
                Ok(Acted { body: None, token: None })
            }
            "BeginSavepoint" | "EndSavepoint" => Err(not_supported(
                "a savepoint",
                "a statement that fails leaves its transaction as it was; roll the whole of it back, or go on",
            )),
            other => {
                let known: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
                Err(not_supported(
                    &format!("the action `{other}`"),
                    &format!("there are: {}", known.join(", ")),
                ))
            }
        }
    }

    async fn create_prepared(
        &self,
        client: &Arc<Client>,
        request: ActionCreatePreparedStatementRequest,
    ) -> Result<Acted, Status> {
        let within = request.transaction_id.filter(|id| !id.is_empty());
        let agreed = client.agreed();
        let shown = shown_variable(&request.query).and_then(|name| self.shown(&agreed, &name));
        let (columns, parameters, is_update) = match shown {
            Some((columns, _)) => (columns, Arc::new(Schema::empty()), false),
            None => {
                let begun = std::time::Instant::now();
                let prepared = self.prepare(client, within.as_deref(), &request.query).await;
                let prepared =
                    prepared.inspect_err(|status| self.note(client, &request.query, begun, Err(status)))?;
                let is_update = matches!(prepared.kind, StatementKind::Write | StatementKind::Setting { .. });
                (prepared.schema, prepared.parameters, is_update)
            }
        };
        let handle = self.lakehouse.world().id();
        let statement = Statement::new(client, request.query, within, Arc::clone(&columns));
        self.statements.prepare(handle.clone(), statement);
        let result = PreparedStatementResult {
            handle: handle.into(),
            // Drivers take a statement without columns for one that changes tables.
            dataset_schema: match is_update {
                true => Bytes::new(),
                false => schema_bytes(&wire_schema(&columns, agreed.wire))?,
            },
            parameter_schema: schema_bytes(&wire_schema(&parameters, Wire::Plain))?,
            is_update: Some(is_update),
        };
        let any = Any {
            type_url: ActionCreatePreparedStatementResult::type_url().to_owned(),
            value: result.encode_to_vec().into(),
        };
        Ok(Acted::with(&any))
    }

    /// Stops the answers that an info has tickets for. Returns whether there was one.
    fn cancel(&self, client: &Client, info: &FlightInfo) -> bool {
        let tickets = info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.as_ref());
        let handles = tickets.filter_map(|ticket| {
            let any = Any::decode(&*ticket.ticket).ok()?;
            match Command::try_from(any).ok()? {
                Command::TicketStatementQuery(ticket) => Some(ticket.statement_handle),
                _ => None,
            }
        });
        // One that is polled for has no ticket yet.
        let polled = info.flight_descriptor.as_ref().and_then(super::polling::polled);
        let all = handles.chain(polled);
        all.map(|handle| self.statements.cancel(&handle, client)).filter(|was_there| *was_there).count() > 0
    }

    /// Sets all options that can be set, and says of the others why not.
    async fn set_options(
        &self,
        client: &Arc<Client>,
        request: SetSessionOptionsRequest,
    ) -> Result<Acted, Status> {
        let mut agreed = client.agreed();
        let mut errors = HashMap::new();
        for (name, value) in request.options {
            let text = match value.value {
                None => None,
                Some(OptionValue::Text(text)) => Some(text),
                Some(OptionValue::Bool(value)) => Some(value.to_string()),
                Some(OptionValue::Integer(value)) => Some(value.to_string()),
                Some(OptionValue::Float(value)) => Some(value.to_string()),
                Some(OptionValue::Texts(texts)) => Some(texts.values.join(",")),
            };
            match self.wanted(agreed.clone(), &name, text.as_deref()).await {
                Ok(wanted) => agreed = wanted,
                Err(error) => {
                    let mistake = match error {
                        NotSet::Name(_) => OptionMistake::Name,
                        NotSet::Value(_) => OptionMistake::Value,
                        NotSet::Other(_) => OptionMistake::Other,
                    };
                    errors.insert(name, OptionError { mistake: mistake as i32 });
                }
            }
        }
        let token = self.keep(client, agreed);
        Ok(Acted { token, ..Acted::with(&SetSessionOptionsResult { errors }) })
    }
}

/// The message that an action's body wraps.
fn unpack<M: ProstMessageExt>(action: &Action) -> Result<M, Status> {
    let wrong = || malformed(&format!("the request of the action `{}`", action.r#type));
    let any = Any::decode(&*action.body).map_err(|_| wrong())?;
    any.unpack::<M>().ok().flatten().ok_or_else(wrong)
}
