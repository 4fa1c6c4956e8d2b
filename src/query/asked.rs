//! What was asked of a lake from this machine, and what came of it?
//!
//! A line of JSON for each statement, in a file of the user's own where programs keep their state: readers write nothing
//! into a lake, which may be a bucket that they cannot write to. `elt.query_history` has what the file has.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Outcome, QueryError, Session};
use crate::base::state_folder;
use crate::table::Tables;

/// A file of this size is put aside.
const FULL: u64 = 8 * 1024 * 1024;

/// Files that are put aside. One more, and the oldest goes.
const ASIDE: usize = 7;

/// Bytes of a statement, and of a message, that are kept: whoever asks much must not push out what others asked.
const LONGEST: usize = 8 * 1024;

/// One statement, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) query_id: String,
    pub(super) started_at: String,
    pub(super) elapsed_seconds: f64,
    pub(super) status: String,
    pub(super) num_rows: Option<u64>,
    pub(super) statement_text: String,
    pub(super) message: Option<String>,
    pub(super) user_name: String,
    pub(super) application: String,
    pub(super) release: Option<u64>,
    /// What tells this lake from one that was in its folder before; nothing where that cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lake: Option<String>,
}

/// A statement that is being answered. Dropped before [`answered`](Self::answered) rows have ended, it was cancelled.
#[derive(Debug)]
pub struct Asked(Option<Open>);

/// Why a statement was given up: said by whoever ends it, before the work is dropped.
#[derive(Clone, Debug, Default)]
pub struct GivenUp(Arc<Mutex<Option<String>>>);

impl GivenUp {
    /// The statement is ended because of this, and not because nobody wants its answer any more.
    pub fn because(&self, why: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
    }

    fn told(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[derive(Debug)]
struct Open {
    file: PathBuf,
    entry: Entry,
    begun: Instant,
    given_up: GivenUp,
}

impl Session {
    /// Notes that a user asks a statement, by a program of the name `application`.
    pub fn asked(&self, sql: &str, user: &str, application: &str) -> Asked {
        let tables = self.scope().tables();
        let world = tables.world();
        let open = |file| Open {
            file,
            entry: Entry {
                query_id: world.id(),
                started_at: world.now().to_rfc3339(),
                elapsed_seconds: 0.0,
                status: "cancelled".to_owned(),
                num_rows: None,
                statement_text: shortened(sql),
                message: None,
                user_name: user.to_owned(),
                application: application.to_owned(),
                release: self.scope().pins().release.map(|release| release.0),
                lake: made_at(tables),
            },
            begun: Instant::now(),
            given_up: GivenUp::default(),
        };
        Asked(file(tables).map(open))
    }
}

impl Asked {
    /// The same; if it is dropped unanswered, what `given_up` says is why.
    #[must_use]
    pub fn or(mut self, given_up: &GivenUp) -> Self {
        if let Some(open) = &mut self.0 {
            open.given_up = given_up.clone();
        }
        self
    }

    /// The same answer, which is noted when its rows have ended.
    pub fn answered(mut self, outcome: Outcome) -> Outcome {
        match self.0.take() {
            None => outcome,
            Some(open) => outcome.through(|rows| Box::pin(Noting { rows, open: Some(open), seen: 0 })),
        }
    }

    /// Notes that it was done, and to how many rows.
    pub fn done(mut self, rows: u64) {
        if let Some(open) = self.0.take() {
            open.close("succeeded", Some(rows), None);
        }
    }

    /// Notes that it was refused, and why.
    pub fn refused(mut self, because: &str) {
        if let Some(open) = self.0.take() {
            open.close("refused", None, Some(because.to_owned()));
        }
    }

    /// Notes that there is no answer.
    pub fn failed(mut self, error: &QueryError) {
        if let Some(open) = self.0.take() {
            let status = if error.is_of_rights() { "refused" } else { "failed" };
            open.close(status, None, Some(error.to_string()));
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            open.give_up(None);
        }
    }
}

impl Open {
    fn give_up(self, rows: Option<u64>) {
        match self.given_up.told() {
            Some(why) => self.close("failed", rows, Some(why)),
            None => self.close("cancelled", rows, None),
        }
    }

    /// Writes the entry. Nobody's question fails because that fails.
    fn close(mut self, status: &str, rows: Option<u64>, message: Option<String>) {
        self.entry.elapsed_seconds = self.begun.elapsed().as_secs_f64();
        (self.entry.status, self.entry.num_rows, self.entry.message) =
            (status.to_owned(), rows, message.map(|text| shortened(&text)));
        let Ok(mut line) = serde_json::to_vec(&self.entry) else { return };
        line.push(b'\n');
        let _ = append(&self.file, &line);
    }
}

/// Rows that are counted.
struct Noting {
    rows: SendableRecordBatchStream,
    open: Option<Open>,
    seen: u64,
}

impl Stream for Noting {
    type Item = Result<RecordBatch, DataFusionError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.rows.poll_next_unpin(context);
        match &next {
            Poll::Ready(Some(Ok(batch))) => self.seen += batch.num_rows() as u64,
            Poll::Ready(Some(Err(error))) => {
                let message = match super::words::mistake(error) {
                    Some(mistake) => mistake.to_string(),
                    None => error.to_string(),
                };
                if let Some(open) = self.open.take() {
                    open.close("failed", None, Some(message));
                }
            }
            Poll::Ready(None) => {
                let seen = self.seen;
                if let Some(open) = self.open.take() {
                    open.close("succeeded", Some(seen), None);
                }
            }
            Poll::Pending => {}
        }
        next
    }
}

impl RecordBatchStream for Noting {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            open.give_up(Some(self.seen));
        }
    }
}

fn append(file: &Path, line: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    if fs::metadata(file).is_ok_and(|found| found.len() >= FULL) {
        for older in (1..ASIDE).rev() {
            // The first few times there are not that many.
            let _ = fs::rename(aside(file, older - 1), aside(file, older));
        }
        fs::rename(file, aside(file, 0))?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(line)
}

/// The file that was put aside so many files ago.
fn aside(file: &Path, ago: usize) -> PathBuf {
    match ago {
        0 => file.with_extension("old.jsonl"),
        ago => file.with_extension(format!("old{}.jsonl", ago + 1)),
    }
}

/// The beginning of a text that is too long to be kept, and how long it is.
fn shortened(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    format!("{}… ({} bytes)", &text[..text.floor_char_boundary(LONGEST)], text.len())
}

/// Where the statements of a lake are kept: in `$ELT_QUERY_HISTORY`, or in `elt/queries` where a user's state belongs.
/// Nothing if that is empty, or nobody says where home is.
fn file(tables: &Tables) -> Option<PathBuf> {
    let env = &tables.world().env;
    let folder = match env.get("ELT_QUERY_HISTORY") {
        Some(folder) if folder.is_empty() => return None,
        Some(folder) => PathBuf::from(folder),
        None => state_folder(env)?.join("queries"),
    };
    let shown = tables.lake().to_string();
    let place = fs::canonicalize(&shown).map_or(shown, |path| path.display().to_string());
    let hash = Sha256::digest(place.as_bytes());
    let name: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Some(folder.join(name).with_extension("jsonl"))
}

/// When the folder of a lake was made: a lake that is made anew in its place is another. Nothing for a bucket, for a lake that
/// is not there yet, and where the file system does not say.
fn made_at(tables: &Tables) -> Option<String> {
    let made = fs::metadata(tables.lake().folder()?).ok()?.created().ok()?;
    let since = made.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(since.as_nanos().to_string())
}

/// What is kept of a lake, the oldest first. Lines that are not whole are left out.
pub(super) fn entries(tables: &Tables) -> Vec<Entry> {
    let Some(file) = file(tables) else { return Vec::new() };
    let files = (0..ASIDE).rev().map(|ago| aside(&file, ago)).chain([file.clone()]);
    let texts: Vec<String> = files.map(|file| fs::read_to_string(file).unwrap_or_default()).collect();
    let made = made_at(tables);
    let is_ours = |entry: &Entry| entry.lake.is_none() || made.is_none() || entry.lake == made;
    let lines = texts.iter().flat_map(|text| text.lines());
    lines.filter_map(|line| serde_json::from_str(line).ok()).filter(is_ours).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_statement_does_not_push_out_what_others_asked() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.jsonl");
        append(&file, b"first\n").unwrap();
        let long = shortened(&"ü".repeat(9_000_000));
        assert!(long.len() < LONGEST + 40 && long.ends_with("… (18000000 bytes)"), "{}", long.len());
        for _ in 0..5 {
            append(&file, &vec![b'x'; FULL as usize]).unwrap();
        }
        let found = (0..ASIDE).map(|ago| fs::read(aside(&file, ago)).unwrap_or_default());
        assert!(found.into_iter().any(|text| text.starts_with(b"first")), "several files are put aside");
    }
}
