//! Which answers need not be worked out again?
//!
//! A release never changes, so what a query gave of it, it gives again: dashboards ask the same of the same release all day. An answer
//! is kept by the release, by the text, by what the client agreed on and by what it may see. Queries that ask what time it is, or
//! what the schema `elt` has, are not kept. What was not asked for the longest time goes first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::clients::{Agreed, locked};
use crate::base::ReleaseNumber;
use crate::lakehouse::Session;

/// The part of all memory for answers that one answer may have, as a divisor.
const SHARE: usize = 8;

/// What an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    release: ReleaseNumber,
    sql: String,
    agreed: Agreed,
}

impl Key {
    /// Of a statement in a session; nothing if the session reads no release.
    pub(super) fn of(session: &Session, agreed: &Agreed, sql: &str) -> Option<Self> {
        let release = session.scope().pins().release?;
        Some(Self { release, sql: sql.to_owned(), agreed: agreed.clone() })
    }
}

/// An answer that is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) schema: SchemaRef,
    pub(super) rows: Vec<RecordBatch>,
}

/// Answers, up to so many bytes.
pub(super) struct Cache {
    most: usize,
    kept: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    answers: HashMap<Key, (Arc<Kept>, usize, u64)>,
    bytes: usize,
    asked: u64,
    found: u64,
}

impl Cache {
    pub(super) fn new(most: usize) -> Self {
        Self { most, kept: Mutex::default() }
    }

    /// Bytes that an answer may have to be kept.
    pub(super) fn most_of_one(&self) -> usize {
        self.most / SHARE
    }

    /// The answer, if it is kept.
    pub(super) fn find(&self, key: &Key) -> Option<Arc<Kept>> {
        if self.most == 0 {
            return None;
        }
        let mut shelf = locked(&self.kept);
        shelf.asked += 1;
        let now = shelf.asked;
        let (kept, _, used) = shelf.answers.get_mut(key)?;
        *used = now;
        let kept = Arc::clone(kept);
        shelf.found += 1;
        Some(kept)
    }

    /// Keeps an answer, in place of those that were not asked for the longest.
    pub(super) fn keep(&self, key: Key, schema: SchemaRef, rows: Vec<RecordBatch>) {
        let bytes = rows.iter().map(RecordBatch::get_array_memory_size).sum::<usize>() + key.sql.len() + 512;
        if bytes > self.most_of_one() {
            return;
        }
        let mut shelf = locked(&self.kept);
        while shelf.bytes + bytes > self.most {
            let oldest =
                shelf.answers.iter().min_by_key(|(_, (_, _, used))| *used).map(|(key, _)| key.clone());
            let Some((_, freed, _)) = oldest.and_then(|key| shelf.answers.remove(&key)) else { break };
            shelf.bytes -= freed;
        }
        let now = shelf.asked;
        if let Some((_, before, _)) = shelf.answers.insert(key, (Arc::new(Kept { schema, rows }), bytes, now))
        {
            shelf.bytes -= before;
        }
        shelf.bytes += bytes;
    }

    /// How often an answer was asked for, how often it was found, and how many bytes are kept.
    pub(super) fn told(&self) -> (u64, u64, usize) {
        let shelf = locked(&self.kept);
        (shelf.asked, shelf.found, shelf.bytes)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    fn key(sql: &str) -> Key {
        Key { release: ReleaseNumber(1), sql: sql.to_owned(), agreed: Agreed::default() }
    }

    fn rows(count: i64) -> (SchemaRef, Vec<RecordBatch>) {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
        let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
        (batch.schema(), vec![batch])
    }

    #[test]
    fn what_was_not_asked_for_the_longest_goes_first() {
        let cache = Cache::new(8 * 2000);
        let keep = |sql: &str, count| {
            let (schema, rows) = rows(count);
            cache.keep(key(sql), schema, rows);
        };
        for number in 0..20 {
            keep(&format!("q{number}"), 100);
            assert!(cache.find(&key("q0")).is_some(), "it is asked for all the time");
        }
        assert!(cache.find(&key("q1")).is_none() && cache.find(&key("q19")).is_some());
        assert!(cache.told().2 <= 8 * 2000);
        keep("large", 100_000);
        assert!(cache.find(&key("large")).is_none(), "one answer does not take the place of all others");
        let none = Cache::new(0);
        let (schema, rows) = rows(1);
        none.keep(key("q"), schema, rows);
        assert!(none.find(&key("q")).is_none());
    }
}
