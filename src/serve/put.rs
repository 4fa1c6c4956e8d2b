//! What becomes of what a client sends?
//!
//! Values for a prepared statement, or rows for a table. Both come as a stream whose first message says what it is for.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{CommandStatementIngest, TableExistsOption, TableNotExistOption};
use arrow_flight::{FlightData, FlightDescriptor};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tonic::{Code, Status, Streaming};

use super::clients::Client;
use super::endpoint::{Endpoint, may_write};
use super::error::{malformed, not_supported, query_status};
use super::server::LARGEST_MESSAGE;
use super::settings::CATALOG;
use crate::base::TableName;
use crate::lakehouse::{GivenUp, IfAbsent, IfThere, Rows, bound_rows};

/// Bytes of values that a statement takes at once.
const MOST_BYTES: usize = 256 << 20;

/// Rows that a client sends, and what they are for.
pub(super) struct Sent {
    pub(super) descriptor: FlightDescriptor,
    messages: BoxStream<'static, Result<FlightData, Status>>,
}

impl Sent {
    /// Reads the first message.
    pub(super) async fn begin(mut messages: Streaming<FlightData>) -> Result<Self, Status> {
        let first = messages.message().await.map_err(too_large)?;
        let Some(mut first) = first else {
            return Err(Status::invalid_argument(
                "nothing was sent, not even what the rows are for: some drivers send no message for a table without rows\nhelp: make the empty table with `create table`",
            ));
        };
        let Some(descriptor) = first.flight_descriptor.take() else {
            return Err(malformed("a stream that does not say what it is for"));
        };
        let messages = futures::stream::iter([Ok(first)]).chain(messages.map_err(too_large));
        // What only says what the stream is for has no rows.
        let messages = messages.try_filter(|message| futures::future::ready(!message.data_header.is_empty()));
        Ok(Self { descriptor, messages: messages.boxed() })
    }

    fn batches(self) -> FlightRecordBatchStream {
        FlightRecordBatchStream::new_from_flight_data(
            self.messages.map_err(|status| FlightError::Tonic(Box::new(status))),
        )
    }

    /// All rows as one batch; nothing if not even columns were sent.
    async fn collect(self) -> Result<Option<RecordBatch>, Status> {
        let mut batches = self.batches();
        let (mut all, mut bytes) = (Vec::new(), 0);
        while let Some(batch) = batches.try_next().await.map_err(undecoded)? {
            bytes += batch.get_array_memory_size();
            if bytes > MOST_BYTES {
                let text = "more than 256 MiB of values\nhelp: send them as rows of a table (bulk ingestion)";
                return Err(Status::resource_exhausted(text));
            }
            all.push(batch);
        }
        let Some(schema) = batches.schema().cloned() else { return Ok(None) };
        concat_batches(&schema, &all).map(Some).map_err(|_| malformed("the values"))
    }
}

impl Endpoint {
    /// Gives a prepared statement the values that it is executed with next.
    pub(super) async fn bind(&self, client: &Arc<Client>, handle: &[u8], sent: Sent) -> Result<(), Status> {
        self.statements.prepared(handle, client)?;
        match self.workers.run(sent.collect()).await? {
            Some(values) => self.statements.bind(handle, client, values),
            None => Ok(()),
        }
    }

    /// Executes a prepared statement for each row of values that is sent; without values, once.
    pub(super) async fn update_prepared(
        &self,
        client: &Arc<Client>,
        handle: &[u8],
        sent: Sent,
    ) -> Result<(i64, Option<String>), Status> {
        let statement = self.statements.prepared(handle, client)?;
        let values = self.workers.run(sent.collect()).await?.or(statement.values);
        let statements = match values {
            Some(values) if values.num_columns() > 0 => {
                bound_rows(&statement.sql, &values).map_err(|mistake| query_status(mistake.into()))?
            }
            _ => vec![statement.sql],
        };
        self.update(client, statement.within.as_deref(), &statements).await
    }

    /// Writes rows to a table, as one release. Returns how many there were.
    pub(super) async fn ingest(
        &self,
        client: &Arc<Client>,
        order: CommandStatementIngest,
        sent: Sent,
    ) -> Result<i64, Status> {
        let agreed = client.agreed();
        let (table, if_absent, if_there) = self.target(&order, agreed.manner.schema.as_deref())?;
        let within = order.transaction_id.filter(|id| !id.is_empty());
        let within = within.or_else(|| self.transactions.only_of(client));
        let begun = match &within {
            Some(id) => Some(self.within(client, id).await?.0),
            None => None,
        };
        let session = self.session(&agreed).await?;
        let text = format!("INGEST INTO {table}");
        if let Err(refused) = may_write(client) {
            session.asked(&text, &client.user, client.application).refused(refused.message());
            return Err(refused);
        }
        self.may_ask(client, &agreed, &text).await?;
        let turn = self.workers.turn(client).await?;
        let (lakehouse, application) = (self.lakehouse.used_by(&client.user), client.application);
        let given_up = GivenUp::default();
        let why = given_up.clone();
        let work = async move {
            let _turn = turn;
            let (schema, rows) = rows(sent).await?;
            let asked = session.asked(&text, &lakehouse.world().user, application).or(&why);
            let ingested = async {
                let Some(begun) = begun else {
                    let done = lakehouse.ingest(&session, &table, if_absent, if_there, schema, rows);
                    return Box::pin(done).await.map(|(count, _)| count).map_err(Ok);
                };
                let mut at = begun.at.lock().await;
                let ended = || Status::not_found("this transaction has ended\nhelp: begin another");
                let Some(transaction) = at.as_mut() else { return Err(Err(ended())) };
                let done = lakehouse.ingest_within(transaction, &table, if_absent, if_there, schema, rows);
                Box::pin(done).await.map_err(Ok)
            };
            match ingested.await {
                Ok(count) => {
                    asked.done(count);
                    Ok(i64::try_from(count).unwrap_or(i64::MAX))
                }
                Err(Ok(error)) => {
                    asked.failed(&error);
                    Err(query_status(error))
                }
                Err(Err(status)) => Err(status),
            }
        };
        self.counted(self.in_time(client, &given_up, work)).await
    }

    /// Which table is meant, and what to do if it is there or not.
    fn target(
        &self,
        order: &CommandStatementIngest,
        schema: Option<&str>,
    ) -> Result<(TableName, IfAbsent, IfThere), Status> {
        if order.temporary {
            return Err(not_supported(
                "a temporary table",
                "write to a table, and drop it when it has served",
            ));
        }
        if let Some(option) = order.options.keys().next() {
            return Err(not_supported(&format!("the option `{option}`"), "leave it out"));
        }
        if let Some(catalog) = order.catalog.as_deref().filter(|name| !name.is_empty() && *name != CATALOG) {
            return Err(Status::not_found(format!(
                "there is no catalog `{catalog}`\nhelp: every table is in the catalog `{CATALOG}`"
            )));
        }
        let schema = order.schema.as_deref().filter(|name| !name.is_empty()).or(schema);
        let schema = schema.unwrap_or(self.lakehouse.default_schema());
        let table = TableName::new(schema, &order.table)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let options = order.table_definition_options.unwrap_or_default();
        let unclear = |what: &str| {
            Status::invalid_argument(format!("the rows do not say what to do if the table {what}"))
        };
        let if_absent = match options.if_not_exist() {
            TableNotExistOption::Create => IfAbsent::Create,
            TableNotExistOption::Fail => IfAbsent::Fail,
            TableNotExistOption::Unspecified => return Err(unclear("is not there")),
        };
        let if_there = match options.if_exists() {
            TableExistsOption::Fail => IfThere::Fail,
            TableExistsOption::Append => IfThere::Append,
            TableExistsOption::Replace => IfThere::Replace,
            TableExistsOption::Unspecified => return Err(unclear("is there")),
        };
        Ok((table, if_absent, if_there))
    }
}

/// The columns of what is sent, and its rows as they come.
async fn rows(sent: Sent) -> Result<(SchemaRef, Rows), Status> {
    let mut batches = sent.batches();
    let first = batches.try_next().await.map_err(undecoded)?;
    let Some(schema) = batches.schema().cloned() else { return Err(malformed("rows without columns")) };
    let first = futures::stream::iter(first.map(Ok));
    let rows = first.chain(batches).map_err(|error| Box::new(undecoded(error)) as _);
    Ok((schema, rows.boxed()))
}

/// The protocol's word for a message that is too large is for those who write servers.
fn too_large(status: Status) -> Status {
    match status.code() {
        Code::OutOfRange => Status::resource_exhausted(format!(
            "one message has more than {} MiB of rows\nhelp: send the rows in smaller batches, in Python `table.to_batches(max_chunksize=100_000)`",
            LARGEST_MESSAGE >> 20
        )),
        _ => status,
    }
}

fn undecoded(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        FlightError::Arrow(error) => Status::invalid_argument(format!("the rows cannot be read: {error}")),
        _ => malformed("the rows"),
    }
}
