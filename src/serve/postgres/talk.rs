//! How does a conversation with a client of PostgreSQL go?

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, Weak};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_pg::datatypes::arrow_schema_to_pg_fields;
use arrow_pg::encode_recordbatch;
use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{Sink, SinkExt as _, StreamExt as _, TryStreamExt as _};
use pgwire::api::auth::{
    DefaultServerParameterProvider, LoginInfo, StartupHandler, finish_authentication, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use pgwire::api::cancel::CancelHandler;
use pgwire::api::portal::Format;
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use pgwire::api::results::{FieldFormat, QueryResponse, Response, Tag};
use pgwire::api::{
    ClientInfo, ClientPortalStore, ConnectionGuard, ConnectionHandle, ConnectionManager,
    PgWireConnectionState, PgWireServerHandlers, PidSecretKeyGenerator as _, RandomPidSecretKeyGenerator,
};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::response::TransactionStatus;
use pgwire::messages::startup::Authentication;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tonic::Status;

use super::mistakes::{told, wrong};
use super::prepared::Prepared;
use super::values::{sent_columns, sent_rows};
use super::words::Own;
use crate::base::ReleaseNumber;
use crate::lakehouse::{PG_VERSION, PgCatalog, Piece, StatementKind, split};
use crate::serve::clients::{Agreed, Client, locked};
use crate::serve::endpoint::Endpoint;
use crate::serve::error::query_status;
use crate::serve::stream::Answered;

/// All connections, by what a client shows who wants to stop a query of another one.
pub(super) struct Cancels {
    connections: Arc<ConnectionManager>,
    ids: RandomPidSecretKeyGenerator,
    talks: Mutex<HashMap<(i32, Vec<u8>), Weak<Talk>>>,
}

impl Cancels {
    pub(super) fn new() -> Self {
        Self {
            connections: Arc::new(ConnectionManager::new()),
            ids: RandomPidSecretKeyGenerator::default(),
            talks: Mutex::default(),
        }
    }
}

#[async_trait]
impl CancelHandler for Cancels {
    async fn on_cancel_request(&self, request: CancelRequest) {
        // The library stops what gives no rows yet; rows on their way are stopped as Flight's are.
        self.connections.cancel(request.pid, &request.secret_key).await;
        let key = (request.pid, request.secret_key.to_bytes().to_vec());
        let talk = locked(&self.talks).get(&key).and_then(Weak::upgrade);
        if let Some(talk) = talk {
            talk.cancel();
        }
    }
}

/// One connection.
pub(super) struct Talk {
    endpoint: Arc<Endpoint>,
    /// Whether what is said can be overheard by nobody.
    is_private: bool,
    cancels: Arc<Cancels>,
    client: Mutex<Option<Arc<Client>>>,
    /// The transaction that is open.
    within: Mutex<Option<String>>,
    /// PostgreSQL's catalog, of a release as it was agreed on.
    catalog: Mutex<Option<(Option<ReleaseNumber>, Agreed, PgCatalog)>>,
    /// The answer that is on its way.
    sent: Mutex<Option<String>>,
    /// By what it is cancelled.
    key: Mutex<Option<(i32, Vec<u8>)>>,
    me: Weak<Self>,
}

/// A statement that was read.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) sql: String,
    pub(super) meaning: Meaning,
}

#[derive(Clone, Debug)]
pub(super) enum Meaning {
    Own(Own),
    /// One for PostgreSQL's catalog.
    Catalog,
    /// One for the lake: the columns of its answer, if it gives rows, and the types of its places.
    Lake {
        rows: Option<SchemaRef>,
        places: SchemaRef,
    },
}

impl Talk {
    pub(super) fn begin(endpoint: Arc<Endpoint>, is_private: bool, cancels: Arc<Cancels>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            endpoint,
            is_private,
            cancels,
            client: Mutex::default(),
            within: Mutex::default(),
            catalog: Mutex::default(),
            sent: Mutex::default(),
            key: Mutex::default(),
            me: me.clone(),
        })
    }

    /// Stops the answer that is on its way.
    fn cancel(&self) {
        if let (Some(client), Some(handle)) = (locked(&self.client).clone(), locked(&self.sent).take()) {
            self.endpoint.statements.cancel(handle.as_bytes(), &client);
        }
    }

    /// The connection has ended: what it had begun is rolled back.
    pub(super) fn leave(&self) {
        if let Some(key) = locked(&self.key).take() {
            locked(&self.cancels.talks).remove(&key);
        }
        if let (Some(client), Some(id)) = (locked(&self.client).take(), locked(&self.within).take()) {
            let endpoint = Arc::clone(&self.endpoint);
            tokio::spawn(async move { drop(endpoint.end(&client, id.as_bytes(), false).await) });
        }
    }

    /// Who asks, if they are still let in.
    fn client(&self) -> PgWireResult<Arc<Client>> {
        let client = locked(&self.client).clone();
        let client = client.ok_or_else(|| wrong("28000", "nobody has been let in yet".to_owned()))?;
        self.endpoint.clients.renew(&client).map_err(told)?;
        Ok(client)
    }

    fn transaction(&self) -> Option<String> {
        locked(&self.within).clone()
    }

    async fn catalog(&self, client: &Client) -> PgWireResult<PgCatalog> {
        let agreed = client.agreed();
        let session = self.endpoint.session(&agreed).await.map_err(told)?;
        let release = session.scope().pins().release;
        // Tools ask for the number of a table, and then by it: numbers hold while the release and the rights are the same.
        if let Some((of, wished, catalog)) = &*locked(&self.catalog)
            && (*of, wished) == (release, &agreed)
        {
            return Ok(catalog.clone());
        }
        let catalog = session.pg_catalog(&client.user).map_err(|error| told(query_status(error)))?;
        *locked(&self.catalog) = Some((release, agreed, catalog.clone()));
        Ok(catalog)
    }

    /// Reads a statement, and plans it if it is for the lake.
    pub(super) async fn read(&self, sql: &str) -> PgWireResult<Known> {
        let known = |meaning| Known { sql: sql.to_owned(), meaning };
        if let Some(own) = Own::read(sql) {
            return Ok(known(Meaning::Own(own)));
        }
        if PgCatalog::is_meant(sql) {
            return Ok(known(Meaning::Catalog));
        }
        let (client, within) = (self.client()?, self.transaction());
        let prepared =
            self.endpoint.prepare(&client, within.as_deref().map(str::as_bytes), sql).await.map_err(told)?;
        let gives_rows =
            matches!(prepared.kind, StatementKind::Query | StatementKind::Report | StatementKind::Told);
        let rows = gives_rows.then(|| Arc::new(sent_columns(&prepared.schema)));
        Ok(known(Meaning::Lake { rows, places: prepared.parameters.clone() }))
    }

    /// The columns of an answer, as far as they are known before it is asked for.
    pub(super) async fn columns(&self, known: &Known, sql: &str) -> PgWireResult<Option<Schema>> {
        Ok(match &known.meaning {
            Meaning::Own(Own::Show(name, _)) => Some(shown(name)),
            Meaning::Own(_) => None,
            Meaning::Catalog => {
                let client = self.client()?;
                let catalog = self.catalog(&client).await?;
                let (schema, _) = catalog.plan(sql).await.map_err(|error| told(query_status(error)))?;
                Some(catalog_columns(&schema))
            }
            Meaning::Lake { rows: None, .. } => None,
            Meaning::Lake { rows: Some(rows), .. } if sql == known.sql => Some(rows.as_ref().clone()),
            Meaning::Lake { .. } => match self.read(sql).await?.meaning {
                Meaning::Lake { rows, .. } => rows.map(|rows| rows.as_ref().clone()),
                _ => None,
            },
        })
    }

    /// Answers a statement whose values are in it.
    pub(super) async fn answer(
        &self,
        known: &Known,
        sql: &str,
        status: TransactionStatus,
        format: &Format,
    ) -> PgWireResult<Response> {
        let client = self.client()?;
        let ends = matches!(known.meaning, Meaning::Own(Own::Commit | Own::Rollback));
        if status == TransactionStatus::Error && !ends {
            let what = "the transaction has failed, and nothing is done until it is rolled back".to_owned();
            return Err(wrong("25P02", what));
        }
        match &known.meaning {
            Meaning::Own(own) => self.own(&client, own, status, format).await,
            Meaning::Catalog => {
                let catalog = self.catalog(&client).await?;
                let outcome = catalog.answer(sql).await.map_err(|error| told(query_status(error)))?;
                let schema = Arc::new(catalog_columns(outcome.schema()));
                let batches = outcome.collect().await.map_err(|error| told(query_status(error)))?;
                let rows = futures::stream::iter(batches.into_iter().map(Ok)).boxed();
                rows_of(schema, rows, format, true)
            }
            Meaning::Lake { rows: Some(_), .. } => {
                let within = self.transaction();
                let within = within.as_deref().map(str::as_bytes);
                let promise = self.endpoint.promise(&client, within, sql, None, None).await.map_err(told)?;
                *locked(&self.sent) = Some(promise.handle.clone());
                let rows = self.endpoint.send_as(
                    &client,
                    promise.handle.as_bytes(),
                    as_they_are,
                    RecordBatch::get_array_memory_size,
                );
                let schema = Arc::new(sent_columns(&promise.schema));
                rows_of(schema, rows.map_err(told)?, format, false)
            }
            Meaning::Lake { rows: None, .. } => {
                let within = self.transaction();
                let within = within.as_deref().map(str::as_bytes);
                let (word, rows) = self.endpoint.done(&client, within, sql).await.map_err(told)?;
                Ok(Response::Execution(tag(&word, rows)))
            }
        }
    }

    async fn own(
        &self,
        client: &Client,
        own: &Own,
        status: TransactionStatus,
        format: &Format,
    ) -> PgWireResult<Response> {
        Ok(match own {
            Own::Begin => {
                if self.transaction().is_none() {
                    let id = self.endpoint.begin(client).map_err(told)?;
                    *locked(&self.within) = Some(id);
                }
                Response::TransactionStart(Tag::new("BEGIN"))
            }
            Own::Commit | Own::Rollback => {
                let commits = *own == Own::Commit && status != TransactionStatus::Error;
                let id = locked(&self.within).take();
                if let Some(id) = id {
                    self.endpoint.end(client, id.as_bytes(), commits).await.map_err(told)?;
                }
                Response::TransactionEnd(Tag::new(if commits { "COMMIT" } else { "ROLLBACK" }))
            }
            Own::Done(word) => Response::Execution(Tag::new(word)),
            Own::Reset(word) => {
                self.endpoint.clients.forget_wishes(client);
                Response::Execution(Tag::new(word))
            }
            Own::Show(name, value) => {
                let schema = Arc::new(shown(name));
                let column = Arc::new(arrow::array::StringArray::from(vec![*value]));
                let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]);
                let batch = batch.map_err(|error| wrong("XX000", error.to_string()))?;
                rows_of(schema, futures::stream::iter([Ok(batch)]).boxed(), format, true)?
            }
            Own::Refused(code, what) => return Err(wrong(code, what.clone())),
        })
    }
}

fn shown(name: &str) -> Schema {
    Schema::new(vec![arrow::datatypes::Field::new(name, arrow::datatypes::DataType::Utf8, true)])
}

/// The columns of the catalog's answers keep what is told of them: which are oids, for one.
fn catalog_columns(schema: &Schema) -> Schema {
    schema.clone()
}

fn as_they_are(_: SchemaRef, rows: BoxStream<'static, Result<RecordBatch, Status>>) -> Answered<RecordBatch> {
    rows
}

/// Rows as the protocol has them.
fn rows_of(
    schema: SchemaRef,
    rows: Answered<RecordBatch>,
    format: &Format,
    is_catalog: bool,
) -> PgWireResult<Response> {
    let fields = Arc::new(arrow_schema_to_pg_fields(&schema, &whole(format, schema.fields().len()), None)?);
    let told_fields = Arc::clone(&fields);
    let rows = rows.map_err(told).map(move |batch| {
        let batch = match batch {
            Ok(batch) if is_catalog => batch,
            Ok(batch) => match sent_rows(&batch, &schema) {
                Ok(batch) => batch,
                Err(error) => return futures::stream::iter(vec![Err(wrong("XX000", error.to_string()))]),
            },
            Err(error) => return futures::stream::iter(vec![Err(error)]),
        };
        futures::stream::iter(encode_recordbatch(Arc::clone(&told_fields), batch).collect::<Vec<_>>())
    });
    Ok(Response::Query(QueryResponse::new(fields, rows.flatten())))
}

/// The formats that a client wants, one for each column, whatever it sent.
pub(super) fn whole(format: &Format, columns: usize) -> Format {
    match format {
        Format::Individual(formats) if formats.len() < columns => {
            let mut formats = formats.clone();
            formats.resize(columns, FieldFormat::Text.value());
            Format::Individual(formats)
        }
        Format::Individual(formats) => Format::Individual(formats.clone()),
        Format::UnifiedBinary => Format::UnifiedBinary,
        Format::UnifiedText => Format::UnifiedText,
    }
}

fn tag(word: &str, rows: Option<i64>) -> Tag {
    let count = rows.and_then(|rows| usize::try_from(rows).ok());
    match (word, count) {
        ("INSERT", Some(rows)) => Tag::new("INSERT").with_oid(0).with_rows(rows),
        ("UPDATE" | "DELETE" | "MERGE", Some(rows)) => Tag::new(word).with_rows(rows),
        _ => Tag::new(word),
    }
}

#[async_trait]
impl StartupHandler for Talk {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match message {
            PgWireFrontendMessage::Startup(ref startup) => {
                if !self.is_private {
                    let mut info = ErrorInfo::new(
                        "FATAL".to_owned(),
                        "28000".to_owned(),
                        "passwords are not taken where they can be overheard".to_owned(),
                    );
                    info.hint = Some("start the server with `--tls-cert` and `--tls-key`, and connect with `sslmode=require`".to_owned());
                    return Err(PgWireError::UserError(Box::new(info)));
                }
                protocol_negotiation(client, startup).await?;
                save_startup_parameters_to_metadata(client, startup);
                client.set_state(PgWireConnectionState::AuthenticationInProgress);
                client.send(PgWireBackendMessage::Authentication(Authentication::CleartextPassword)).await?;
            }
            PgWireFrontendMessage::PasswordMessageFamily(password) => {
                let password = password.into_password()?;
                let login = LoginInfo::from_client_info(client);
                let user = login.user().unwrap_or_default().to_owned();
                let database = login.database().unwrap_or_default().to_owned();
                if ![user.as_str(), "elt", "postgres", ""].contains(&database.as_str()) {
                    let mut info = ErrorInfo::new(
                        "FATAL".to_owned(),
                        "3D000".to_owned(),
                        format!("there is no database `{database}`"),
                    );
                    info.hint = Some("the only one is `elt`".to_owned());
                    return Err(PgWireError::UserError(Box::new(info)));
                }
                let entered = self.endpoint.clients.enter(&user, &password.password).await.map_err(told)?;
                *locked(&self.client) = Some(entered);
                let (pid, secret) = self.cancels.ids.generate(client);
                client.set_pid_and_secret_key(pid, secret);
                // By these a query is cancelled from another connection.
                let (handle, guard) = self.cancels.connections.register(pid, client.pid_and_secret_key().1);
                client.session_extensions().insert::<Arc<ConnectionHandle>>(handle);
                client.session_extensions().insert::<ConnectionGuard>(guard);
                let key = (pid, client.pid_and_secret_key().1.to_bytes().to_vec());
                locked(&self.cancels.talks).insert(key.clone(), self.me.clone());
                *locked(&self.key) = Some(key);
                let mut parameters = DefaultServerParameterProvider::default();
                parameters.server_version = format!("{PG_VERSION} (elt {})", env!("CARGO_PKG_VERSION"));
                parameters.is_superuser = false;
                self.endpoint.lakehouse.default_schema().clone_into(&mut parameters.search_path);
                finish_authentication(client, &parameters).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

#[async_trait]
impl SimpleQueryHandler for Talk {
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let mut responses = Vec::new();
        let mut status = client.transaction_status();
        for sql in statements(query) {
            let done = async {
                let known = self.read(&sql).await?;
                self.answer(&known, &sql, status, &Format::UnifiedText).await
            };
            match done.await {
                Ok(response) => {
                    match &response {
                        Response::TransactionStart(_) => status = TransactionStatus::Transaction,
                        Response::TransactionEnd(_) => status = TransactionStatus::Idle,
                        _ => {}
                    }
                    responses.push(response);
                }
                // What came before is told before it.
                Err(PgWireError::UserError(info)) if !responses.is_empty() => {
                    responses.push(Response::Error(info));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if responses.is_empty() {
            responses.push(Response::EmptyQuery);
        }
        Ok(responses)
    }
}

/// The statements of a text.
pub(super) fn statements(text: &str) -> Vec<String> {
    let pieces = split(text).all().into_iter();
    let statements = pieces.map(|Piece { sql, .. }| sql.trim().trim_end_matches(';').trim().to_owned());
    statements.filter(|sql| !sql.is_empty()).collect()
}

/// What the library asks for the parts of a conversation.
impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::clone(&self.0)
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::new(Prepared(Arc::clone(&self.0)))
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::clone(&self.0)
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::clone(&self.0.cancels)
    }
}

/// A conversation, for the library.
pub(super) struct Handlers(pub(super) Arc<Talk>);
