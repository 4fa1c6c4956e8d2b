//! Through which door do time, chance and the environment come in?
//!
//! `main` opens the door once; tests open it to a clock that they move and ids that they count.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

/// Tells the time, in UTC.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> DateTime<Utc>;
}

/// Makes identifiers that no other process makes.
pub trait Ids: Send + Sync {
    /// A new identifier: lower-case letters, digits and `-`, at most 36 characters.
    fn next(&self) -> String;
}

/// What the library may know of the world outside the lake.
#[derive(Clone)]
pub struct World {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes identifiers for runs, loads and files.
    pub ids: Arc<dyn Ids>,
    /// Environment variables, for `env_var()` and for editors and pagers.
    pub env: Arc<BTreeMap<String, String>>,
    /// Who asks: the name that releases and locks record.
    pub user: String,
    /// This machine's name, as locks record it.
    pub host: String,
    /// This process's number, as locks record it.
    pub pid: u32,
}

impl World {
    /// The present instant.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A new identifier.
    pub fn id(&self) -> String {
        self.ids.next()
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("user", &self.user).field("host", &self.host).finish_non_exhaustive()
    }
}

/// Where the environment says that elt keeps what a user did: `elt` in `$XDG_STATE_HOME`, else in `~/.local/state`.
/// Nothing if nobody says where home is.
pub fn state_folder(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let folder = |name: &str| env.get(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("elt"))
}

/// Reads an instant as SQL users write one: a date, a date and time, or RFC 3339 with a zone.
///
/// Without a zone it is UTC; a date alone is its first instant.
pub fn parse_instant(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.with_timezone(&Utc));
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z"] {
        if let Ok(instant) = DateTime::parse_from_str(text, format) {
            return Some(instant.with_timezone(&Utc));
        }
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"] {
        if let Ok(instant) = NaiveDateTime::parse_from_str(text, format) {
            return Some(instant.and_utc());
        }
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_every_common_form() {
        for text in [
            "2026-01-02",
            "2026-01-02 00:00",
            "2026-01-02T00:00:00Z",
            "2026-01-02 00:00:00.000",
            "2026-01-02 02:00:00+02",
            "2026-01-02 02:00:00 +02:00",
        ] {
            let read = parse_instant(text).map(|instant| instant.to_rfc3339());
            assert_eq!(read.as_deref(), Some("2026-01-02T00:00:00+00:00"), "{text}");
        }
        assert_eq!(parse_instant("yesterday"), None);
    }
}
