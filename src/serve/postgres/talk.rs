//! How does a conversation with a client of PostgreSQL go?

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_pg::encode_recordbatch;
use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{Sink, SinkExt as _, StreamExt as _, TryStreamExt as _};
use pgwire::api::auth::StartupHandler;
use pgwire::api::cancel::CancelHandler;
use pgwire::api::copy::CopyHandler;
use pgwire::api::portal::Format;
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use pgwire::api::results::{FieldInfo, QueryResponse, Response, Tag};
use pgwire::api::{ClientInfo, ClientPortalStore, PgWireServerHandlers, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::DataRow;
use pgwire::messages::response::TransactionStatus;
use tokio::sync::Notify;
use tonic::Status;

use super::cancels::{Backends, Cancels, Key};
use super::copying::Coming;
use super::mistakes::{told, wrong};
use super::prepared::Prepared;
use super::savepoints::Savepoint;
use super::sent::{sent_columns, sent_rows, told_columns, whole};
use super::settled::Before;
use super::values::{list_of, type_named, types_of};
use super::words::{Own, for_the_lake};
use crate::base::{ReleaseNumber, TableName};
use crate::lakehouse::{
    Described, PgAsker, PgCatalog, PgKey, Piece, StatementKind, TableKey, pg_settings, split,
};
use crate::serve::clients::{Agreed, Client, locked};
use crate::serve::endpoint::{Endpoint, may_write};
use crate::serve::error::query_status;
use crate::serve::stream::Answered;

/// One connection.
pub(super) struct Talk {
    pub(super) endpoint: Arc<Endpoint>,
    /// Whether what is said can be overheard by nobody.
    pub(super) is_private: bool,
    pub(super) cancels: Arc<Cancels>,
    pub(super) client: Mutex<Option<Arc<Client>>>,
    /// The transaction that is open.
    within: Mutex<Option<String>>,
    /// Whether anything was asked in it.
    is_used: AtomicBool,
    /// What can be gone back to in it.
    pub(super) savepoints: Mutex<Vec<Savepoint>>,
    /// Rows that come by COPY.
    pub(super) coming: Mutex<Option<Coming>>,
    /// PostgreSQL's catalog, of a release as it was agreed on, for one who may write or not.
    catalog: Mutex<Option<(Option<ReleaseNumber>, Agreed, bool, PgCatalog)>>,
    /// The answer that is on its way.
    sent: Mutex<Option<String>>,
    /// By what it is cancelled.
    pub(super) key: Mutex<Option<Key>>,
    /// Wakes when somebody else ends it.
    pub(super) ended: Notify,
    /// What the program calls itself.
    pub(super) application: Mutex<String>,
    pub(super) doing: Mutex<Doing>,
    /// The time zone and the schema that the client was told of.
    pub(super) told: Mutex<Option<(String, String)>>,
    /// What was agreed on before the transaction that is open.
    pub(super) before: Mutex<Option<Before>>,
    pub(super) me: Weak<Self>,
}

/// What a connection is doing, or was doing last.
#[derive(Debug, Default)]
pub(super) struct Doing {
    pub(super) is_active: bool,
    pub(super) sql: String,
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
    /// One for PostgreSQL's catalog: the types of its places, and the statement with nulls in them.
    Catalog {
        types: Vec<Type>,
        bare: String,
    },
    /// One for the lake: the columns of its answer, if it gives rows, and the types of its places: here, and as a client is told.
    Lake {
        rows: Option<SchemaRef>,
        places: SchemaRef,
        types: Vec<Type>,
    },
}

/// Rows that are on their way; when they are dropped, nothing is at work.
struct Working(Weak<Talk>);

impl Drop for Working {
    fn drop(&mut self) {
        if let Some(talk) = self.0.upgrade() {
            locked(&talk.doing).is_active = false;
        }
    }
}

impl Meaning {
    /// The types of the places for values, as a client is told.
    pub(super) fn places(&self) -> &[Type] {
        match self {
            Self::Own(_) => &[],
            Self::Catalog { types, .. } | Self::Lake { types, .. } => types,
        }
    }
}

impl Talk {
    pub(super) fn begin(endpoint: Arc<Endpoint>, is_private: bool, cancels: Arc<Cancels>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            endpoint,
            is_private,
            cancels,
            client: Mutex::default(),
            within: Mutex::default(),
            is_used: AtomicBool::default(),
            savepoints: Mutex::default(),
            coming: Mutex::default(),
            catalog: Mutex::default(),
            sent: Mutex::default(),
            key: Mutex::default(),
            ended: Notify::new(),
            application: Mutex::default(),
            doing: Mutex::default(),
            told: Mutex::default(),
            before: Mutex::default(),
            me: me.clone(),
        })
    }

    /// Stops the answer that is on its way.
    pub(super) fn cancel(&self) {
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
    pub(super) fn client(&self) -> PgWireResult<Arc<Client>> {
        let client = locked(&self.client).clone();
        let client = client.ok_or_else(|| wrong("28000", "nobody has been let in yet".to_owned()))?;
        self.endpoint.clients.renew(&client).map_err(told)?;
        Ok(client)
    }

    /// Whose connection it is, once they were let in.
    pub(super) fn user(&self) -> Option<String> {
        locked(&self.client).as_ref().map(|client| client.user.clone())
    }

    pub(super) fn transaction(&self) -> Option<String> {
        locked(&self.within).clone()
    }

    /// What is settled in the session, in PostgreSQL's words.
    fn settings(&self, client: &Client) -> Vec<(String, String)> {
        let (zone, schema) = self.place(client);
        let time = client.agreed().time.map(|time| format!("{}ms", time.as_millis()));
        pg_settings(&schema, &zone, time.as_deref().unwrap_or("0"), &client.user)
    }

    async fn catalog(&self, client: &Arc<Client>) -> PgWireResult<PgCatalog> {
        let agreed = client.agreed();
        let writes = may_write(client).is_ok();
        let session = self.endpoint.session(&agreed).await.map_err(told)?;
        let release = session.scope().pins().release;
        // Tools ask for the number of a table, and then by it: numbers hold while the release and the rights are the same.
        if let Some((of, wished, wrote, catalog)) = &*locked(&self.catalog)
            && (*of, wished, *wrote) == (release, &agreed, writes)
        {
            return Ok(catalog.clone());
        }
        let keys = self.endpoint.keys(client, false).await.map_err(told)?;
        let declared = self.endpoint.declared().await.map_err(told)?;
        let described = |(table, said): (&TableName, &Described)| {
            (table.clone(), (said.table.clone(), said.columns.clone()))
        };
        let key =
            |key: TableKey| PgKey { name: key.name, table: key.table, columns: key.columns, of: key.of };
        let own = locked(&self.key).as_ref().map_or(0, |(pid, _)| *pid);
        let backends = Backends { cancels: Arc::clone(&self.cancels), user: client.user.clone(), own };
        let asker = PgAsker {
            user: client.user.clone(),
            may_write: writes,
            keys: keys.into_iter().map(key).collect(),
            described: declared.described.iter().map(described).collect(),
            settings: self.settings(client),
            backends: Arc::new(backends),
        };
        let catalog = Box::pin(session.pg_catalog(asker)).await.map_err(|error| told(query_status(error)))?;
        *locked(&self.catalog) = Some((release, agreed, writes, catalog.clone()));
        Ok(catalog)
    }

    /// Reads a statement, and plans it if it is for the lake.
    pub(super) async fn read(&self, sql: &str) -> PgWireResult<Known> {
        let known = |meaning| Known { sql: sql.to_owned(), meaning };
        if let Some(own) = Own::read(sql) {
            return Ok(known(Meaning::Own(own)));
        }
        if PgCatalog::is_meant(sql) {
            let (types, bare) = PgCatalog::places(sql);
            let types = types.iter().map(|name| type_named(name)).collect();
            return Ok(known(Meaning::Catalog { types, bare }));
        }
        let spelled = match for_the_lake(sql) {
            Ok(spelled) => spelled.or_else(|| super::lists::spelled(sql)),
            Err(what) => return Err(wrong("22023", what)),
        };
        let sql = spelled.as_deref().unwrap_or(sql);
        let known = |meaning| Known { sql: sql.to_owned(), meaning };
        let (client, within) = (self.client()?, self.transaction());
        let prepared =
            self.endpoint.prepare(&client, within.as_deref().map(str::as_bytes), sql).await.map_err(told)?;
        let gives_rows =
            matches!(prepared.kind, StatementKind::Query | StatementKind::Report | StatementKind::Told);
        let rows = gives_rows.then(|| Arc::new(sent_columns(&prepared.schema)));
        let places = prepared.parameters.clone();
        let mut types = types_of(sql, &places);
        let lists = super::lists::asked(sql);
        if lists.iter().any(|at| types.get(*at) == Some(&Type::TEXT_ARRAY)) {
            // The items of a list are of the type that one of them would have there.
            let alone = super::lists::alone(sql);
            let within = within.as_deref().map(str::as_bytes);
            if let Ok(twin) = self.endpoint.prepare(&client, within, &alone).await {
                for at in lists {
                    if let (Some(list), Some(field)) = (types.get_mut(at), twin.parameters.fields().get(at)) {
                        *list = list_of(field.data_type());
                    }
                }
            }
        }
        Ok(known(Meaning::Lake { rows, places, types }))
    }

    /// The columns of an answer, as far as they are known before it is asked for.
    pub(super) async fn columns(&self, known: &Known, sql: &str) -> PgWireResult<Option<Schema>> {
        Ok(match &known.meaning {
            Meaning::Own(Own::Show(name)) => Some(shown(name)),
            Meaning::Own(_) => None,
            Meaning::Catalog { types, bare } => {
                let client = self.client()?;
                let catalog = self.catalog(&client).await?;
                let is_open = !types.is_empty() && sql == known.sql;
                let plan = Box::pin(catalog.plan(if is_open { bare.as_str() } else { sql }));
                let answer = plan.await.map_err(|error| told(query_status(error)))?;
                Some(answer.schema.as_ref().clone())
            }
            Meaning::Lake { rows: None, .. } => None,
            Meaning::Lake { rows: Some(rows), .. } if sql == known.sql => Some(rows.as_ref().clone()),
            Meaning::Lake { .. } => match self.read(sql).await?.meaning {
                Meaning::Lake { rows, .. } => rows.map(|rows| rows.as_ref().clone()),
                _ => None,
            },
        })
    }

    /// Answers a statement whose values are in it. It is seen at work until its answer is there.
    pub(super) async fn answer(
        &self,
        known: &Known,
        sql: &str,
        status: TransactionStatus,
        format: &Format,
    ) -> PgWireResult<Response> {
        let gives_rows = matches!(known.meaning, Meaning::Lake { rows: Some(_), .. });
        *locked(&self.doing) = Doing { is_active: true, sql: sql.to_owned() };
        let answered = Box::pin(self.answered(known, sql, status, format)).await;
        // Rows that are on their way are its work until the last of them.
        locked(&self.doing).is_active = gives_rows && answered.is_ok();
        answered
    }

    async fn answered(
        &self,
        known: &Known,
        sql: &str,
        status: TransactionStatus,
        format: &Format,
    ) -> PgWireResult<Response> {
        let client = self.client()?;
        let ends = matches!(known.meaning, Meaning::Own(Own::Commit | Own::Rollback | Own::RollbackTo(_)));
        if status == TransactionStatus::Error && !ends {
            let what = "the transaction has failed, and nothing is done until it is rolled back".to_owned();
            return Err(wrong("25P02", what));
        }
        match &known.meaning {
            Meaning::Own(own) => self.own(&client, own, status, format).await,
            Meaning::Catalog { .. } => {
                let catalog = self.catalog(&client).await?;
                let outcome =
                    Box::pin(catalog.answer(sql)).await.map_err(|error| told(query_status(error)))?;
                let schema = Arc::clone(outcome.schema());
                let batches = outcome.collect().await.map_err(|error| told(query_status(error)))?;
                let rows = futures::stream::iter(batches.into_iter().map(Ok)).boxed();
                rows_of(schema, rows, format, true)
            }
            Meaning::Lake { rows: Some(_), .. } => {
                let (schema, rows) = self.rows(&client, sql).await?;
                rows_of(schema, rows, format, false)
            }
            Meaning::Lake { rows: None, .. } => {
                let is_setting = sql.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("set "));
                if is_setting {
                    let is_local = sql[4..].trim_start().get(..6);
                    let is_local = is_local.is_some_and(|word| word.eq_ignore_ascii_case("local "));
                    if is_local && self.transaction().is_none() {
                        // For a transaction that there is not.
                        return Ok(Response::Execution(Tag::new("SET")));
                    }
                    self.note_setting(&client, is_local);
                }
                let is_fresh = !self.is_used.load(Ordering::Relaxed);
                if is_setting && is_fresh && self.transaction().is_some() {
                    return self.set_first(&client, sql).await;
                }
                self.is_used.store(true, Ordering::Relaxed);
                let within = self.transaction();
                let within = within.as_deref().map(str::as_bytes);
                let (word, rows) = self.endpoint.done(&client, within, sql).await.map_err(told)?;
                Ok(Response::Execution(tag(&word, rows)))
            }
        }
    }

    /// The columns and the rows of a query of the lake.
    async fn rows(
        &self,
        client: &Arc<Client>,
        sql: &str,
    ) -> PgWireResult<(SchemaRef, Answered<RecordBatch>)> {
        self.is_used.store(true, Ordering::Relaxed);
        let within = self.transaction();
        let within = within.as_deref().map(str::as_bytes);
        let promise = self.endpoint.promise(client, within, sql, None, None).await.map_err(told)?;
        *locked(&self.sent) = Some(promise.handle.clone());
        let handle = promise.handle.as_bytes();
        let rows = self.endpoint.send_as(client, handle, as_they_are, RecordBatch::get_array_memory_size);
        let working = Working(self.me.clone());
        let rows = rows.map_err(told)?.inspect(move |_| {
            let _ = &working;
        });
        Ok((Arc::new(sent_columns(&promise.schema)), rows.boxed()))
    }

    /// The same, each row in PostgreSQL's texts.
    pub(super) async fn lines(
        &self,
        client: &Arc<Client>,
        sql: &str,
    ) -> PgWireResult<(Arc<Vec<FieldInfo>>, BoxStream<'static, PgWireResult<DataRow>>)> {
        let (schema, rows) = self.rows(client, sql).await?;
        let fields = Arc::new(told_columns(&schema, &Format::UnifiedText)?);
        Ok((Arc::clone(&fields), written_rows(schema, fields, rows, false)))
    }

    /// Sets something at the begin of a transaction in which nothing was asked: it begins after that.
    async fn set_first(&self, client: &Arc<Client>, sql: &str) -> PgWireResult<Response> {
        let (word, rows) = self.endpoint.done(client, None, sql).await.map_err(told)?;
        let id = locked(&self.within).take();
        if let Some(id) = id {
            self.endpoint.end(client, id.as_bytes(), false).await.map_err(told)?;
        }
        let id = self.endpoint.begin(client).map_err(told)?;
        *locked(&self.within) = Some(id);
        locked(&self.savepoints).clear();
        Ok(Response::Execution(tag(&word, rows)))
    }

    async fn own(
        &self,
        client: &Arc<Client>,
        own: &Own,
        status: TransactionStatus,
        format: &Format,
    ) -> PgWireResult<Response> {
        Ok(match own {
            Own::Begin => {
                if self.transaction().is_none() {
                    let id = self.endpoint.begin(client).map_err(told)?;
                    *locked(&self.within) = Some(id);
                    self.note_begin(client);
                    self.is_used.store(false, Ordering::Relaxed);
                }
                Response::TransactionStart(Tag::new("BEGIN"))
            }
            Own::Commit | Own::Rollback => {
                let commits = *own == Own::Commit && status != TransactionStatus::Error;
                let id = locked(&self.within).take();
                locked(&self.savepoints).clear();
                if let Some(id) = id {
                    let ended = self.endpoint.end(client, id.as_bytes(), commits).await;
                    self.settle_end(client, commits && ended.is_ok());
                    ended.map_err(told)?;
                }
                Response::TransactionEnd(Tag::new(if commits { "COMMIT" } else { "ROLLBACK" }))
            }
            Own::Copy(copy) if copy.comes => self.copy_in(copy).await?,
            Own::Copy(copy) => self.copy_out(client, copy).await?,
            Own::Savepoint(name) => {
                self.save(client, name).await?;
                Response::Execution(Tag::new("SAVEPOINT"))
            }
            Own::Release(name) => {
                self.release(name)?;
                Response::Execution(Tag::new("RELEASE"))
            }
            Own::RollbackTo(name) => {
                self.go_back(client, name).await?;
                Response::Execution(Tag::new("ROLLBACK"))
            }
            Own::Done(word) => Response::Execution(Tag::new(word)),
            Own::Reset(word) => {
                self.endpoint.clients.forget_wishes(client);
                Response::Execution(Tag::new(word))
            }
            Own::Show(name) => {
                let schema = Arc::new(shown(name));
                let settings = self.settings(client);
                let value = settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
                let column = Arc::new(arrow::array::StringArray::from(vec![value]));
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
    let fields = Arc::new(told_columns(&schema, &whole(format, schema.fields().len()))?);
    let rows = written_rows(schema, Arc::clone(&fields), rows, is_catalog);
    Ok(Response::Query(QueryResponse::new(fields, rows)))
}

fn written_rows(
    schema: SchemaRef,
    fields: Arc<Vec<FieldInfo>>,
    rows: Answered<RecordBatch>,
    is_catalog: bool,
) -> BoxStream<'static, PgWireResult<DataRow>> {
    let rows = rows.map_err(told).map(move |batch| {
        let batch = match batch {
            Ok(batch) if is_catalog => batch,
            Ok(batch) => match sent_rows(&batch, &schema, &fields) {
                Ok(batch) => batch,
                Err(error) => return futures::stream::iter(vec![Err(wrong("XX000", error.to_string()))]),
            },
            Err(error) => return futures::stream::iter(vec![Err(error)]),
        };
        // The encoder meets the same mistake for ever, once it has met one.
        let mut rows = Vec::with_capacity(batch.num_rows());
        for row in encode_recordbatch(Arc::clone(&fields), batch) {
            let failed = row.is_err();
            rows.push(row);
            if failed {
                break;
            }
        }
        futures::stream::iter(rows)
    });
    rows.flatten().boxed()
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
                self.answer(&known, &known.sql, status, &Format::UnifiedText).await
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
        for news in self.news(&*self.client()?) {
            client.feed(news).await?;
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

    fn copy_handler(&self) -> Arc<impl CopyHandler> {
        Arc::clone(&self.0)
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::clone(&self.0.cancels)
    }
}

/// A conversation, for the library.
pub(super) struct Handlers(pub(super) Arc<Talk>);
