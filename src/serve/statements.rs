//! Which answers were promised, and which statements prepared?
//!
//! A ticket names an answer: a query that was planned and waits to be run, or the rows that a statement gave
//! when it was executed, once. Handles are chance, never the text of a statement; whose they are is looked at.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use prost::bytes::Bytes;
use tokio::sync::watch;
use tonic::Status;

use super::cache::Key;
use super::clients::{Client, locked};
use super::error::malformed;
use super::polling::Early;
use super::stream::Answered;
use crate::lakehouse::{Prepared, Rights};

/// How long a promised answer can be fetched.
const FETCHABLE: Duration = Duration::from_secs(600);

/// How long a prepared statement is kept that nobody uses.
const USABLE: Duration = Duration::from_secs(24 * 3600);

/// Things of one kind kept at once. One more, and the oldest goes of whoever has the most: nobody pushes out what others
/// wait for.
const MOST: usize = 10_000;

/// An answer that was promised.
pub(super) struct Promised {
    owner: String,
    /// What the owner could see when it was planned.
    rights: Arc<Rights>,
    /// The columns, as promised.
    pub(super) schema: SchemaRef,
    pub(super) answer: Answer,
    /// What its readers share, if it is fetched in parts.
    pub(super) shared: Option<Arc<Shared>>,
    /// Under what it is kept once it was sent, if it is worth keeping.
    pub(super) key: Option<Key>,
    /// What was worked out of it before it was fetched.
    pub(super) early: Early,
    /// Turns true when the answer is no longer wanted.
    pub(super) cancelled: watch::Sender<bool>,
}

impl Promised {
    /// Whose it is.
    pub(super) fn owner(&self) -> &str {
        &self.owner
    }
}

/// What readers share who fetch an answer together: each gets rows that no other gets.
pub(super) struct Shared {
    /// How many there are.
    readers: usize,
    /// The rows of each who has not come for them, once the first has asked.
    parts: Mutex<Option<Vec<Option<Answered<RecordBatch>>>>>,
    /// How many of them wait for rows, and when one of them last did.
    read: Mutex<(usize, Instant)>,
}

/// A reader who waits for rows, until it is dropped.
pub(super) struct Reading<'a>(&'a Shared);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut read = locked(&self.0.read);
        *read = (read.0.saturating_sub(1), Instant::now());
    }
}

impl Shared {
    fn of(readers: usize) -> Self {
        Self { readers, parts: Mutex::default(), read: Mutex::new((0, Instant::now())) }
    }

    /// The rows of a part, once; the first who asks has all parts dealt with `deal`.
    ///
    /// # Errors
    /// There is no such part, or it was fetched already: nobody has its rows any more. Or they could not be dealt.
    pub(super) fn part(
        &self,
        part: usize,
        deal: impl FnOnce(usize) -> Result<Vec<Answered<RecordBatch>>, Status>,
    ) -> Result<Answered<RecordBatch>, Status> {
        let mut parts = locked(&self.parts);
        if parts.is_none() {
            *parts = Some(deal(self.readers)?.into_iter().map(Some).collect());
        }
        let rows = parts.as_mut().and_then(|parts| parts.get_mut(part));
        rows.ok_or_else(|| malformed("the ticket"))?.take().ok_or_else(|| {
            Status::failed_precondition(
                "this part of the answer was fetched already\nhelp: run the statement again",
            )
        })
    }

    /// Drops the rows that nobody has come for.
    pub(super) fn clear(&self) {
        locked(&self.parts).iter_mut().flatten().for_each(|part| *part = None);
    }

    /// Takes note that somebody waits for rows.
    pub(super) fn reading(&self) -> Reading<'_> {
        locked(&self.read).0 += 1;
        Reading(self)
    }

    /// For how long nobody has waited for rows.
    pub(super) fn unread(&self) -> Duration {
        let (reading, at) = *locked(&self.read);
        if reading > 0 { Duration::ZERO } else { at.elapsed() }
    }
}

pub(super) enum Answer {
    /// To be run.
    Query(Box<Prepared>),
    /// Known.
    Rows(Vec<RecordBatch>),
}

/// A statement that waits for values.
#[derive(Clone)]
pub(super) struct Statement {
    owner: String,
    pub(super) sql: String,
    /// The transaction that it is executed in.
    pub(super) within: Option<Bytes>,
    /// The columns that were told when it was prepared.
    pub(super) columns: SchemaRef,
    /// The values that were given last.
    pub(super) values: Option<RecordBatch>,
}

impl Statement {
    pub(super) fn new(client: &Client, sql: String, within: Option<Bytes>, columns: SchemaRef) -> Self {
        Self { owner: client.user.clone(), sql, within, columns, values: None }
    }
}

/// What the server remembers from one call to the next.
pub(super) struct Statements {
    promised: Shelf<Arc<Promised>>,
    sent: Mutex<HashMap<String, Arc<Promised>>>,
    prepared: Shelf<Statement>,
}

/// An answer on its way.
pub(super) struct Sending {
    statements: Arc<Statements>,
    handle: String,
    /// Whether the last row was sent.
    whole: bool,
    /// Whether other parts, or what was worked out early, may still be asked for.
    in_parts: bool,
}

impl Sending {
    /// The last row was sent: nobody needs the answer once more.
    pub(super) fn done(&mut self) {
        self.whole = true;
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        locked(&self.statements.sent).remove(&self.handle);
        if self.whole && !self.in_parts {
            self.statements.promised.take(&self.handle);
        }
    }
}

impl Statements {
    pub(super) fn new() -> Self {
        Self { promised: Shelf::new(FETCHABLE), sent: Mutex::default(), prepared: Shelf::new(USABLE) }
    }

    /// Remembers an answer under a handle.
    pub(super) fn promise(
        &self,
        handle: String,
        client: &Client,
        schema: SchemaRef,
        answer: Answer,
        key: Option<Key>,
        parts: usize,
    ) {
        let (cancelled, _) = watch::channel(false);
        let shared = (parts > 1).then(|| Arc::new(Shared::of(parts)));
        let rights = client.rights();
        let (owner, early) = (client.user.clone(), Early::default());
        let promised = Promised { owner, rights, schema, answer, shared, key, early, cancelled };
        self.promised.put(handle, &client.user, Arc::new(promised));
    }

    /// The answer that a ticket names.
    pub(super) fn promised(&self, handle: &[u8], client: &Client) -> Result<Arc<Promised>, Status> {
        let found = text(handle).and_then(|handle| self.promised.get(handle));
        // What was planned with other rights than there are now is not given any more.
        let is_theirs =
            |promised: &Arc<Promised>| promised.owner == client.user && promised.rights == client.rights();
        found.filter(is_theirs).ok_or_else(|| {
            Status::not_found("this ticket is not known any more\nhelp: run the statement again; answers can be fetched for ten minutes")
        })
    }

    /// Stops an answer, whether it is being sent or not. Returns whether there was one.
    pub(super) fn cancel(&self, handle: &[u8], client: &Client) -> bool {
        let Some(name) = text(handle) else { return false };
        let name = name.split_once('#').map_or(name, |(whole, _)| whole);
        let handle = name.as_bytes();
        let sent = locked(&self.sent).get(name).cloned().filter(|promised| promised.owner == client.user);
        let Some(promised) = sent.or_else(|| self.promised(handle, client).ok()) else { return false };
        promised.cancelled.send_replace(true);
        self.promised.take(name);
        true
    }

    /// Forgets an answer that failed.
    pub(super) fn forget(&self, handle: &str) {
        self.promised.take(handle);
    }

    /// Takes note that an answer is being sent. It can be cancelled until what is returned is dropped.
    pub(super) fn sending(self: &Arc<Self>, handle: &[u8], promised: &Arc<Promised>) -> Sending {
        let handle = text(handle).unwrap_or_default().to_owned();
        locked(&self.sent).insert(handle.clone(), Arc::clone(promised));
        let in_parts = promised.shared.is_some() || promised.early.is_begun();
        Sending { statements: Arc::clone(self), handle, whole: false, in_parts }
    }

    /// Remembers a statement under a handle.
    pub(super) fn prepare(&self, handle: String, statement: Statement) {
        let owner = statement.owner.clone();
        self.prepared.put(handle, &owner, statement);
    }

    /// The statement of a handle.
    pub(super) fn prepared(&self, handle: &[u8], client: &Client) -> Result<Statement, Status> {
        let found = text(handle).and_then(|handle| self.prepared.get(handle));
        found.filter(|statement| statement.owner == client.user).ok_or_else(|| {
            Status::not_found("this prepared statement is not known any more\nhelp: prepare it again")
        })
    }

    /// Gives a prepared statement its values.
    pub(super) fn bind(&self, handle: &[u8], client: &Client, values: RecordBatch) -> Result<(), Status> {
        let mut statement = self.prepared(handle, client)?;
        statement.values = Some(values);
        if let Some(handle) = text(handle) {
            self.prepared.put(handle.to_owned(), &client.user, statement);
        }
        Ok(())
    }

    /// Forgets a prepared statement. One that is not there is forgotten already.
    pub(super) fn close(&self, handle: &[u8], client: &Client) {
        if let (Ok(_), Some(handle)) = (self.prepared(handle, client), text(handle)) {
            self.prepared.take(handle);
        }
    }
}

fn text(handle: &[u8]) -> Option<&str> {
    std::str::from_utf8(handle).ok()
}

/// Things by handle, each for a time after it was last used.
struct Shelf<T> {
    things: Mutex<HashMap<String, Kept<T>>>,
    kept: Duration,
}

struct Kept<T> {
    used: Instant,
    owner: String,
    thing: T,
}

impl<T: Clone> Shelf<T> {
    fn new(kept: Duration) -> Self {
        Self { things: Mutex::default(), kept }
    }

    fn put(&self, handle: String, owner: &str, thing: T) {
        let mut things = locked(&self.things);
        // Dropping what is too old is put off until there is something to keep.
        things.retain(|_, kept| kept.used.elapsed() < self.kept);
        if things.len() >= MOST {
            let mut counts: HashMap<&str, usize> = HashMap::new();
            things.values().for_each(|kept| *counts.entry(kept.owner.as_str()).or_default() += 1);
            let greedy =
                counts.into_iter().max_by_key(|(_, count)| *count).map(|(owner, _)| owner.to_owned());
            let theirs = things.iter().filter(|(_, kept)| Some(&kept.owner) == greedy.as_ref());
            let oldest = theirs.min_by_key(|(_, kept)| kept.used).map(|(handle, _)| handle.clone());
            oldest.and_then(|handle| things.remove(&handle));
        }
        things.insert(handle, Kept { used: Instant::now(), owner: owner.to_owned(), thing });
    }

    fn get(&self, handle: &str) -> Option<T> {
        let mut things = locked(&self.things);
        let kept = things.get_mut(handle)?;
        if kept.used.elapsed() >= self.kept {
            things.remove(handle);
            return None;
        }
        kept.used = Instant::now();
        Some(kept.thing.clone())
    }

    fn take(&self, handle: &str) {
        locked(&self.things).remove(handle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_the_most_loses_the_oldest() {
        let shelf = Shelf::new(Duration::from_secs(60));
        shelf.put("first".to_owned(), "ann", 0);
        for number in 0..=MOST {
            shelf.put(number.to_string(), "bob", number);
        }
        assert_eq!(shelf.get("first"), Some(0), "she has one, and he has too many");
        assert_eq!((shelf.get("0"), shelf.get(&MOST.to_string())), (None, Some(MOST)));
        assert_eq!(locked(&shelf.things).len(), MOST);
    }
}
