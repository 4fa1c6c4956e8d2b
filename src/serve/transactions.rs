//! Which statements belong together?
//!
//! A driver begins a transaction, names it in each statement, and ends it: then what its statements did is one release, or nothing
//! has happened. It sees the release that was the newest when its first statement came, and what its own statements did.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prost::bytes::Bytes;
use tokio::sync::Mutex as Waiting;
use tonic::{Code, Status};

use super::clients::{Client, locked};
use super::endpoint::{Endpoint, may_write};
use super::error::{error_status, query_status};
use crate::lakehouse::{GivenUp, Session, Transaction};

/// After so long without a statement a transaction is rolled back.
const IDLE: Duration = Duration::from_secs(3600);

/// Transactions at once, of everybody.
const MOST: usize = 10_000;

/// Transactions at once of one user, who has a connection for each.
const MOST_OF_USER: usize = 250;

/// Transactions at once in one session. Drivers have one.
const MOST_OF_SESSION: usize = 16;

/// One that was begun.
pub(super) struct Begun {
    owner: String,
    /// The session that it was begun in.
    session: [u8; 32],
    used: Mutex<Instant>,
    /// Nothing until its first statement. One statement at a time.
    pub(super) at: Waiting<Option<Transaction>>,
}

/// Those that were begun and not ended, by id.
#[derive(Default)]
pub(super) struct Transactions(Mutex<HashMap<String, Arc<Begun>>>);

impl Transactions {
    fn begin(&self, id: String, client: &Client) -> Result<(), Status> {
        let mut all = locked(&self.0);
        all.retain(|_, begun| locked(&begun.used).elapsed() < IDLE);
        let (owner, session) = (client.user.clone(), *client.session_key());
        let full = |most: usize, whose: &str| {
            Err(Status::resource_exhausted(format!(
                "{most} transactions are open{whose}\nhelp: end those that are not needed; closing a session ends its own"
            )))
        };
        let own = |begun: &&Arc<Begun>| !client.shared && begun.session == session;
        if all.values().filter(own).count() >= MOST_OF_SESSION {
            return full(MOST_OF_SESSION, " in this session");
        }
        if all.values().filter(|begun| begun.owner == owner).count() >= MOST_OF_USER {
            return full(MOST_OF_USER, &format!(" of `{owner}`"));
        }
        if all.len() >= MOST {
            return full(MOST, "");
        }
        let begun = Begun { owner, session, used: Mutex::new(Instant::now()), at: Waiting::default() };
        all.insert(id, Arc::new(begun));
        Ok(())
    }

    /// The only transaction that is open in a client's session.
    ///
    /// Drivers name the transaction in statements and forget to with rows that they send (ADBC's does); a connection has one
    /// at a time, and what comes over it belongs to it.
    pub(super) fn only_of(&self, client: &Client) -> Option<Bytes> {
        let all = locked(&self.0);
        let mut own =
            all.iter().filter(|(_, begun)| !client.shared && begun.session == *client.session_key());
        let (id, _) = own.next()?;
        own.next().is_none().then(|| Bytes::from(id.clone()))
    }

    fn find(&self, id: &[u8], owner: &str) -> Result<Arc<Begun>, Status> {
        let found = std::str::from_utf8(id).ok().and_then(|id| locked(&self.0).get(id).cloned());
        let found = found.filter(|begun| begun.owner == owner && locked(&begun.used).elapsed() < IDLE);
        let found = found.ok_or_else(|| {
            Status::not_found(
                "this transaction is not known any more\nhelp: begin another; one is rolled back that was silent for an hour",
            )
        })?;
        *locked(&found.used) = Instant::now();
        Ok(found)
    }

    /// Rolls back what is open in a session that has ended. One that others share has not.
    pub(super) fn end_session(&self, client: &Client) {
        if !client.shared {
            locked(&self.0).retain(|_, begun| begun.session != *client.session_key());
        }
    }

    fn end(&self, id: &[u8]) {
        if let Ok(id) = std::str::from_utf8(id) {
            locked(&self.0).remove(id);
        }
    }
}

impl Endpoint {
    /// Begins a transaction, and says what it is called.
    pub(super) fn begin(&self, client: &Client) -> Result<String, Status> {
        let id = self.lakehouse.world().id();
        self.transactions.begin(id.clone(), client)?;
        Ok(id)
    }

    /// The transaction of this name. Its session begins with the first statement.
    ///
    /// # Errors
    /// There is none of this client's, or the client may do something else now than when it began.
    pub(super) async fn within(&self, client: &Client, id: &[u8]) -> Result<(Arc<Begun>, Session), Status> {
        let begun = self.transactions.find(id, &client.user)?;
        let agreed = client.agreed();
        let mut at = begun.at.lock().await;
        let session = match &*at {
            Some(transaction) => transaction.session().clone(),
            None => {
                let session = self.session(&agreed).await?;
                *at = Some(Transaction::begin(session.clone()));
                session
            }
        };
        drop(at);
        if session.scope().rights() != agreed.rights.as_ref() {
            return Err(Status::aborted(
                "what you may do has changed since the transaction began\nhelp: roll it back, and begin another",
            ));
        }
        Ok((begun, session))
    }

    /// Agrees on something, in a transaction if there is one: what follows in it is read so as well.
    ///
    /// # Errors
    /// It cannot be set; or it is the release, and the transaction goes on seeing what it saw when it began.
    pub(super) async fn settle(
        &self,
        client: &Arc<Client>,
        within: Option<&[u8]>,
        name: &str,
        value: Option<&str>,
    ) -> Result<Option<String>, Status> {
        let agreed = client.agreed();
        let wanted = self.wanted(agreed.clone(), name, value).await.map_err(Status::from)?;
        if let Some(id) = within {
            if wanted.manner.release != agreed.manner.release {
                return Err(Status::failed_precondition(
                    "a transaction reads the release that it began with\nhelp: end it, then set another; in Python connect with `autocommit=True`",
                ));
            }
            let (begun, _) = self.within(client, id).await?;
            if let Some(transaction) = &mut *begun.at.lock().await {
                let schema = self.lakehouse.default_schema();
                transaction.settle(&wanted.manner, schema).map_err(query_status)?;
            }
        }
        Ok(self.keep(client, wanted))
    }

    /// Ends a transaction: publishes what it did, or leaves everything as it was.
    pub(super) async fn end(&self, client: &Client, id: &[u8], commits: bool) -> Result<(), Status> {
        let (begun, _) = match self.within(client, id).await {
            Ok(found) => found,
            Err(status) => {
                if !commits {
                    self.transactions.end(id);
                }
                return Err(status);
            }
        };
        self.transactions.end(id);
        let transaction = begun.at.lock().await.take();
        let Some(transaction) = transaction.filter(|transaction| commits && transaction.statements() > 0)
        else {
            return Ok(());
        };
        may_write(client)?;
        let lakehouse = self.lakehouse.used_by(&client.user);
        let work = async move {
            Box::pin(lakehouse.publish_transaction(transaction))
                .await
                .map(|_| ())
                .map_err(|error| of_a_transaction(error_status(&error.into())))
        };
        self.in_time(client, &GivenUp::default(), work).await
    }
}

/// What lost a race is to be done again from its beginning, not from its last statement.
fn of_a_transaction(status: Status) -> Status {
    if status.code() != Code::Aborted {
        return status;
    }
    let what = status.message().lines().next().unwrap_or_default();
    Status::aborted(format!(
        "{what}\nhelp: nothing of the transaction was published; begin it again, on what others have published; in Python on a new connection, for the driver keeps none after a commit that failed"
    ))
}

/// Carries out a statement within a transaction, one at a time.
pub(super) async fn execute(
    endpoint: &Endpoint,
    client: &Client,
    begun: Arc<Begun>,
    sql: &str,
) -> Result<crate::lakehouse::Outcome, Status> {
    let lakehouse = endpoint.lakehouse.used_by(&client.user);
    let (sql, user, application) = (sql.to_owned(), client.user.clone(), client.application);
    let given_up = GivenUp::default();
    let why = given_up.clone();
    let work = async move {
        let mut at = begun.at.lock().await;
        let Some(transaction) = at.as_mut() else {
            return Err(Status::not_found("this transaction has ended\nhelp: begin another"));
        };
        let asked = transaction.session().asked(&sql, &user, application).or(&why);
        match Box::pin(lakehouse.execute_within(transaction, &sql)).await {
            Ok(outcome) => Ok(asked.answered(outcome)),
            Err(error) => {
                asked.failed(&error);
                Err(query_status(error))
            }
        }
    };
    endpoint.in_time(client, &given_up, work).await
}
