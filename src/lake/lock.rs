//! Who is writing to this lake right now?
//!
//! The lock is advice between processes on one machine, taken from the operating system, which
//! takes it back when its holder dies. It spares work; it decides nothing. What decides is
//! [`Lake::create_once`](super::Lake::create_once).

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::LakeError;
use crate::base::World;

/// Who holds a lake's lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// What it is doing: `build`, `land`, …
    pub what: String,
    /// Its user.
    pub user: String,
    /// Its process number.
    pub pid: u32,
    /// Its machine.
    pub host: String,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// The place of the one writer. Dropping it frees the place.
#[derive(Debug)]
pub struct LakeLock {
    file: Option<File>,
}

impl LakeLock {
    /// A lock on a lake that has none.
    pub(super) fn none() -> Self {
        Self { file: None }
    }
}

impl Drop for LakeLock {
    fn drop(&mut self) {
        // A process that another thread begins just now has the file too, until it runs its own program: closing would not free it yet.
        if let Some(Err(error)) = self.file.as_ref().map(File::unlock) {
            tracing::debug!("the lock is freed by closing its file: {error}");
        }
    }
}

/// Takes the lock in the file `path`, or says who has it.
pub(super) fn take(path: &Path, world: &World, what: &str) -> Result<LakeLock, LakeError> {
    let cannot = |error: std::io::Error| LakeError::CannotOpen {
        url: path.display().to_string(),
        because: error.to_string(),
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(cannot)?;
    }
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(LakeError::Locked { holder: read_holder(&mut file) }),
        Err(TryLockError::Error(error)) => return Err(cannot(error)),
    }
    let holder = Holder {
        what: what.to_owned(),
        user: world.user.clone(),
        pid: world.pid,
        host: world.host.clone(),
        since: world.now(),
    };
    let text = serde_json::to_vec(&holder).expect("a holder is plain text and numbers");
    file.set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| file.write_all(&text))
        .map_err(cannot)?;
    Ok(LakeLock { file: Some(file) })
}

/// Who has the lock. One who has only just taken it may not have written a name yet.
fn read_holder(file: &mut File) -> Holder {
    let mut read = None;
    for _ in 0..20 {
        let mut text = String::new();
        let all = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text));
        read = all.ok().and_then(|_| serde_json::from_str(&text).ok());
        if read.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    read.unwrap_or_else(|| Holder {
        what: "something".into(),
        user: "unknown".into(),
        pid: 0,
        host: "unknown".into(),
        since: DateTime::UNIX_EPOCH,
    })
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.format("%Y-%m-%d %H:%M:%S UTC");
        write!(f, "`elt {}` by {}, pid {} on {}, since {since}", self.what, self.user, self.pid, self.host)
    }
}
