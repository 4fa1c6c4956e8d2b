//! How is a statement answered?
//!
//! In two steps, as the protocol has it: first its columns are promised and a ticket is given, then the ticket is
//! exchanged for the rows. A query is planned in the first step, on one release, and run in the second, as it was planned.
//! What writes is executed in the first step, once, and its ticket stands for what it told: a client that
//! never fetches has written all the same, and one that fetches twice has not written twice.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, Schema, SchemaRef};
use tokio::sync::watch;
use tonic::{Code, Status};

use super::cache::{Cache, Key};
use super::clients::{Agreed, Client, Clients};
use super::error::{error_status, query_status};
use super::metrics::{Ended, Metrics};
use super::statements::{Answer, Statements};
use super::transactions::{Transactions, execute};
use super::wire::wire_schema;
use super::workers::{Workers, too_long};
use crate::base::ReleaseNumber;
use crate::lakehouse::{
    Declared, GivenUp, Lakehouse, Prepared, Role, RunsSeen, Session, StatementKind, bound, gone_since,
    shown_variable,
};

/// What the project declares, and what stands for the files in which it does.
type DeclaredIn = (String, Arc<Declared>);

/// Characters of a statement that the log has. `elt.query_history` has more.
const LOGGED: usize = 1_000;

/// A lakehouse that programs ask over the wire.
pub(super) struct Endpoint {
    pub(super) lakehouse: Lakehouse,
    pub(super) clients: Clients,
    pub(super) statements: Arc<Statements>,
    pub(super) transactions: Transactions,
    pub(super) workers: Workers,
    pub(super) metrics: Metrics,
    /// What is known of the last runs.
    pub(super) runs: tokio::sync::Mutex<RunsSeen>,
    /// Answers that are given again.
    pub(super) cache: Cache,
    /// What the project declared when it was last read.
    pub(super) declared: Mutex<Option<DeclaredIn>>,
    /// Whether new statements are refused.
    pub(super) closing: AtomicBool,
    /// Turns true when statements at work are to stop.
    pub(super) stopped: watch::Sender<bool>,
    /// The newest release that was seen; 0 before there was one.
    pub(super) newest: AtomicU64,
}

/// A promise: the columns, and the handle to fetch the rows with.
pub(super) struct Promise {
    pub(super) schema: SchemaRef,
    pub(super) handle: String,
    /// From how many endpoints the rows are fetched.
    pub(super) parts: usize,
    /// The token of the client that the caller has become.
    pub(super) token: Option<String>,
}

/// What a statement did that writes.
pub(super) struct Done {
    /// Rows inserted, updated and deleted.
    pub(super) rows: i64,
    /// What it tells.
    told: Vec<RecordBatch>,
    told_schema: SchemaRef,
}

impl Endpoint {
    /// A session of the release that the client reads now.
    pub(super) async fn session(&self, agreed: &Agreed) -> Result<Session, Status> {
        if self.closing.load(Ordering::Relaxed) {
            return Err(Status::unavailable("the server is stopping\nhelp: try again in a moment"));
        }
        let mut session = self.session_now(agreed).await?;
        // A release that came while this one was read was seen by somebody else: then a second look sees it too.
        if agreed.manner.release.is_none() && self.still_the_lake(session.scope().pins().release).is_err() {
            session = self.session_now(agreed).await?;
            self.still_the_lake(session.scope().pins().release).map_err(Status::unavailable)?;
        }
        Ok(session)
    }

    async fn session_now(&self, agreed: &Agreed) -> Result<Session, Status> {
        let lakehouse = self.lakehouse.clone();
        let (manner, rights) = (agreed.manner.clone(), agreed.rights.clone());
        let work =
            async move { lakehouse.session_as(&manner, rights).await.map_err(|error| error_status(&error)) };
        self.workers.run(work).await
    }

    /// Nothing is read from another lake in its place, and above all nothing written.
    pub(super) fn still_the_lake(&self, newest: Option<ReleaseNumber>) -> Result<(), String> {
        let now = newest.map_or(0, |release| release.0);
        let before = self.newest.fetch_max(now, Ordering::Relaxed);
        match gone_since((before > 0).then_some(ReleaseNumber(before)), newest) {
            None => Ok(()),
            Some(what) => Err(format!("{what}\nhelp: bring it back, or start the server again")),
        }
    }

    /// Computes something for a client, for as long as a statement of theirs may take, and they are who they were.
    pub(super) async fn in_time<T: Send + 'static>(
        &self,
        client: &Client,
        given_up: &GivenUp,
        work: impl Future<Output = Result<T, Status>> + Send + 'static,
    ) -> Result<T, Status> {
        let limit = self.workers.time_of(client);
        let mut work = std::pin::pin!(self.workers.run(work));
        let ended = tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(limit) => too_long(limit),
            lapsed = self.clients.lapsed(client) => lapsed,
        };
        given_up.because(ended.message());
        Err(ended)
    }

    /// Reads a statement, and plans it if it is a query; as it is seen within a transaction, if it is in one.
    pub(super) async fn prepare(
        &self,
        client: &Client,
        within: Option<&[u8]>,
        sql: &str,
    ) -> Result<Prepared, Status> {
        let session = match within {
            Some(id) => self.within(client, id).await?.1,
            None => self.session(&client.agreed()).await?,
        };
        self.prepare_in(client, session, sql).await
    }

    /// Reads a statement in a session, and plans it if it is a query.
    async fn prepare_in(&self, client: &Client, session: Session, sql: &str) -> Result<Prepared, Status> {
        let (sql, user, application) = (sql.to_owned(), client.user.clone(), client.application);
        let work = async move {
            Box::pin(session.prepare(&sql)).await.map_err(|error| {
                // What was refused is part of what was asked.
                session.asked(&sql, &user, application).failed(&error);
                query_status(error)
            })
        };
        // Planning counts as part of the statement: beyond its time nobody waits for it.
        self.in_time(client, &GivenUp::default(), work).await
    }

    /// Promises the answer to a statement; if it writes, or sets something, that is done now.
    pub(super) async fn promise(
        &self,
        client: &Arc<Client>,
        within: Option<&[u8]>,
        sql: &str,
        values: Option<&RecordBatch>,
        told: Option<&SchemaRef>,
    ) -> Result<Promise, Status> {
        let begun = Instant::now();
        let promised = self.promised(client, within, sql, values, told).await;
        if let Err(status) = &promised {
            self.metrics.ended(Ended::of(status.code()), begun.elapsed());
            self.note(client, sql, begun, Err(status));
        }
        promised
    }

    /// Has the log tell how a statement ended: what failed, and with how many rows what writes was done.
    pub(super) fn note(
        &self,
        client: &Client,
        sql: &str,
        begun: Instant,
        ended: Result<Option<i64>, &Status>,
    ) {
        let (user, door) = (client.user.as_str(), client.application);
        let statement: String = sql.chars().take(LOGGED).collect();
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        match ended {
            Ok(None) => tracing::debug!(user, door, statement, milliseconds, "answered"),
            Ok(Some(rows)) => tracing::info!(user, door, statement, rows, milliseconds, "wrote"),
            Err(status) => {
                let (code, because) = (status.code().to_string(), status.message());
                tracing::info!(user, door, statement, code, because, milliseconds, "statement failed");
            }
        }
    }

    async fn promised(
        &self,
        client: &Arc<Client>,
        within: Option<&[u8]>,
        sql: &str,
        values: Option<&RecordBatch>,
        told: Option<&SchemaRef>,
    ) -> Result<Promise, Status> {
        let agreed = client.agreed();
        self.may_ask(client, &agreed, sql).await?;
        let sql = with_values(sql, values)?;
        if let Some((schema, rows)) = shown_variable(&sql).and_then(|name| self.shown(&agreed, &name)) {
            let (handle, schema) = (self.lakehouse.world().id(), wire_schema(&schema, agreed.wire));
            let answer = Answer::Rows(vec![rows]);
            self.statements.promise(handle.clone(), client, Arc::clone(&schema), answer, None, 1);
            return Ok(Promise { schema, handle, parts: 1, token: None });
        }
        let session = match within {
            Some(id) => self.within(client, id).await?.1,
            None => self.session(&agreed).await?,
        };
        // Within a transaction more is seen than the release.
        let key = Key::of(&session, &agreed, &sql).filter(|_| within.is_none());
        if let Some(kept) = key.as_ref().and_then(|key| self.cache.find(key)) {
            let count = kept.rows.iter().map(|batch| batch.num_rows() as u64).sum();
            session.asked(&sql, &client.user, client.application).done(count);
            let handle = self.lakehouse.world().id();
            let answer = Answer::Rows(kept.rows.clone());
            let schema = called_as_told(&kept.schema, told);
            self.statements.promise(handle.clone(), client, Arc::clone(&schema), answer, None, 1);
            return Ok(Promise { schema, handle, parts: 1, token: None });
        }
        let prepared = self.prepare_in(client, session, &sql).await?;
        let mut key = key.filter(|_| prepared.kind == StatementKind::Query && prepared.is_of_the_release());
        if !prepared.parameters.fields().is_empty() {
            let text = "the statement has places for values and was given none\nhelp: prepare it, and bind values to it";
            return Err(Status::invalid_argument(text));
        }
        let handle = self.lakehouse.world().id();
        let is_parted = prepared.kind == StatementKind::Query && !prepared.is_ordered();
        let parts = agreed.endpoints.filter(|_| is_parted).unwrap_or(1);
        let mut token = None;
        let (schema, answer) = match &prepared.kind {
            StatementKind::Query | StatementKind::Report => {
                let own = wire_schema(&prepared.schema, agreed.wire);
                let schema = called_as_told(&own, told);
                // What is kept is kept under the text, whose columns are called otherwise.
                key = key.filter(|_| schema == own);
                (schema, Answer::Query(Box::new(prepared)))
            }
            StatementKind::Setting { name, value } => {
                token = self.settle(client, within, name, value.as_deref()).await?;
                let (schema, rows) = self.setting(name, value.as_deref());
                (wire_schema(&schema, agreed.wire), Answer::Rows(vec![rows]))
            }
            StatementKind::Write | StatementKind::Told => {
                let done = self.write(client, within, &sql, &prepared.kind).await?;
                (wire_schema(&done.told_schema, agreed.wire), Answer::Rows(done.told))
            }
        };
        self.statements.promise(handle.clone(), client, Arc::clone(&schema), answer, key, parts);
        Ok(Promise { schema, handle, parts, token })
    }

    /// Executes statements that write, each as one release unless they are in a transaction; stops at the first that fails. Returns how many rows changed.
    pub(super) async fn update(
        &self,
        client: &Arc<Client>,
        within: Option<&[u8]>,
        statements: &[String],
    ) -> Result<(i64, Option<String>), Status> {
        let begun = Instant::now();
        let updated = self.updated(client, within, statements).await;
        if let Err(status) = &updated {
            self.metrics.ended(Ended::of(status.code()), begun.elapsed());
            let sql = statements.first().map(String::as_str).unwrap_or_default();
            self.note(client, sql, begun, Err(status));
        }
        updated
    }

    async fn updated(
        &self,
        client: &Arc<Client>,
        within: Option<&[u8]>,
        statements: &[String],
    ) -> Result<(i64, Option<String>), Status> {
        let sql = statements.first().map(String::as_str).unwrap_or_default();
        self.may_ask(client, &client.agreed(), sql).await?;
        let (mut rows, mut token) = (0, None);
        for (at, sql) in statements.iter().enumerate() {
            let prepared = self.prepare(client, within, sql).await?;
            let done = match &prepared.kind {
                StatementKind::Write => {
                    self.write(client, within, sql, &prepared.kind).await.map(|done| rows += done.rows)
                }
                StatementKind::Setting { name, value } => {
                    self.settle(client, within, name, value.as_deref()).await.map(|fresh| token = fresh)
                }
                StatementKind::Query | StatementKind::Report | StatementKind::Told => {
                    Err(Status::invalid_argument(
                        "the statement gives rows and changes nothing\nhelp: execute it as a query",
                    ))
                }
            };
            done.map_err(|status| match at {
                _ if within.is_some() => status,
                0 => status,
                _ => Status::new(
                    status.code(),
                    format!(
                        "{}\n{at} of {} statements were published before",
                        status.message(),
                        statements.len()
                    ),
                ),
            })?;
        }
        Ok((rows, token))
    }

    /// Executes a statement that gives no rows. Returns the word for what was done, and with how many rows.
    #[cfg(feature = "postgres")]
    pub(super) async fn done(
        &self,
        client: &Arc<Client>,
        within: Option<&[u8]>,
        sql: &str,
    ) -> Result<(String, Option<i64>), Status> {
        self.may_ask(client, &client.agreed(), sql).await?;
        let prepared = self.prepare(client, within, sql).await?;
        match &prepared.kind {
            StatementKind::Setting { name, value } => {
                self.settle(client, within, name, value.as_deref()).await?;
                Ok(("SET".to_owned(), None))
            }
            _ => {
                let done = self.write(client, within, sql, &prepared.kind).await?;
                let word = done.told.first().and_then(|batch| batch.column_by_name("statement").cloned());
                let word = word.and_then(|column| {
                    column.as_string_opt::<i32>()?.iter().flatten().next().map(str::to_owned)
                });
                Ok((word.unwrap_or_else(|| "DONE".to_owned()), Some(done.rows)))
            }
        }
    }

    /// Executes a statement that writes, and publishes it as one release; or one that the front door answers.
    async fn write(
        &self,
        client: &Client,
        within: Option<&[u8]>,
        sql: &str,
        kind: &StatementKind,
    ) -> Result<Done, Status> {
        let (begun, session) = match within {
            Some(id) => {
                let (begun, session) = self.within(client, id).await?;
                (Some(begun), session)
            }
            None => (None, self.session(&client.agreed()).await?),
        };
        if *kind == StatementKind::Write
            && let Err(refused) = may_write(client)
        {
            session.asked(sql, &client.user, client.application).refused(refused.message());
            return Err(refused);
        }
        let turn = self.workers.turn(client).await?;
        let (asked_at, text) = (Instant::now(), sql);
        let (lakehouse, sql) = (self.lakehouse.used_by(&client.user), sql.to_owned());
        let (user, application) = (client.user.clone(), client.application);
        if let Some(begun) = begun {
            let _turn = turn;
            let outcome = self.counted(execute(self, client, begun, &sql)).await?;
            let told_schema = Arc::clone(outcome.schema());
            let told = outcome.collect().await.map_err(query_status)?;
            let done = Done { rows: rows_changed(&told), told, told_schema };
            self.note(client, text, asked_at, Ok(Some(done.rows)));
            return Ok(done);
        }
        let given_up = GivenUp::default();
        let why = given_up.clone();
        let work = async move {
            let _turn = turn;
            let asked = session.asked(&sql, &user, application).or(&why);
            let outcome = match Box::pin(lakehouse.execute(&session, &sql)).await {
                Ok((outcome, _)) => asked.answered(outcome),
                Err(error) => {
                    asked.failed(&error);
                    return Err(query_status(error));
                }
            };
            let told_schema = Arc::clone(outcome.schema());
            let told = outcome.collect().await.map_err(query_status)?;
            Ok(Done { rows: rows_changed(&told), told, told_schema })
        };
        let done = self.counted(self.in_time(client, &given_up, work)).await?;
        let rows = (*kind == StatementKind::Write).then_some(done.rows);
        self.note(client, text, asked_at, Ok(rows));
        Ok(done)
    }

    /// Counts a statement that a client begins to ask. One that is refused was asked all the same, and is noted.
    pub(super) async fn may_ask(&self, client: &Client, agreed: &Agreed, sql: &str) -> Result<(), Status> {
        let Err(refused) = self.workers.gate.asks(&client.user, &client.limits()) else { return Ok(()) };
        // Whoever asks in a loop does not fill the history.
        if let Some(others) = refused.noted {
            let because = match others {
                0 => refused.status.message().to_owned(),
                others => format!(
                    "{}; so were {others} others since the last one told here",
                    refused.status.message()
                ),
            };
            self.session(agreed).await?.asked(sql, &client.user, client.application).refused(&because);
        }
        Err(refused.status)
    }

    /// The same, counted among the statements that have ended.
    pub(super) async fn counted<T>(
        &self,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let begun = Instant::now();
        let done = work.await;
        if done.is_ok() {
            self.metrics.ended(Ended::Succeeded, begun.elapsed());
        }
        done
    }
}

/// Columns as they were told when a statement was prepared: with values in its places the engine calls some otherwise.
fn called_as_told(schema: &SchemaRef, told: Option<&SchemaRef>) -> SchemaRef {
    let Some(told) = told.filter(|told| told.fields().len() == schema.fields().len()) else {
        return Arc::clone(schema);
    };
    let fields = schema.fields().iter().zip(told.fields());
    let fields = fields.map(|(field, told)| field.as_ref().clone().with_name(told.name()));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Refuses whoever may only read, and whoever reads an earlier release.
pub(super) fn may_write(client: &Client) -> Result<(), Status> {
    if client.role() != Role::Writes {
        return Err(Status::permission_denied(
            "this changes tables, and you may only read\nhelp: `elt serve --writable` lets whoever has its token write; a user of elt.yml needs `role: writes`",
        ));
    }
    match client.agreed().manner.release {
        Some(release) => Err(Status::failed_precondition(format!(
            "release {release} is read here, and a release never changes\nhelp: `set elt.release = default` goes back to the newest"
        ))),
        None => Ok(()),
    }
}

/// The statement with values in its places, if there are any.
fn with_values(sql: &str, values: Option<&RecordBatch>) -> Result<String, Status> {
    let Some(values) = values else { return Ok(sql.to_owned()) };
    match values.num_rows() {
        1 => bound(sql, values, 0).map_err(|mistake| query_status(mistake.into())),
        0 if values.num_columns() == 0 => Ok(sql.to_owned()),
        rows => Err(Status::new(
            Code::InvalidArgument,
            format!("a query takes one row of values and was given {rows}\nhelp: ask once for each row"),
        )),
    }
}

/// The sum of what a statement that writes told.
fn rows_changed(told: &[RecordBatch]) -> i64 {
    let counts = ["rows_inserted", "rows_updated", "rows_deleted"];
    let count = |batch: &RecordBatch, name: &str| -> i64 {
        let column =
            batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>().cloned());
        column.map_or(0, |column| column.iter().flatten().sum())
    };
    told.iter().map(|batch| counts.iter().map(|name| count(batch, name)).sum::<i64>()).sum()
}
