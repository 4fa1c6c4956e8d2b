//! Which statements are about the session alone, and have no meaning for a lake?
//!
//! Drivers begin and end transactions, and agree on how values are written. What they ask for is what is done anyway, or it is refused.

use super::copy_order::Copy;
use crate::lakehouse::{is_idle, pg_settings};

/// A statement that the door itself answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// `BEGIN`
    Begin,
    /// `COMMIT`
    Commit,
    /// `ROLLBACK`
    Rollback,
    /// `SAVEPOINT name`
    Savepoint(String),
    /// `RELEASE SAVEPOINT name`
    Release(String),
    /// `ROLLBACK TO SAVEPOINT name`
    RollbackTo(String),
    /// `COPY … FROM STDIN`, `COPY … TO STDOUT`
    Copy(Box<Copy>),
    /// Done already, or nothing to be done: what the client hears.
    Done(&'static str),
    /// `SHOW name`.
    Show(String),
    /// `DISCARD ALL`, `RESET ALL`: everything that was set goes back to how it was.
    Reset(&'static str),
    /// Refused: with which of PostgreSQL's codes, and what to hear.
    Refused(&'static str, String),
}

/// Settings that a client may set to what holds anyway.
const HOLDS: [(&str, &[&str]); 10] = [
    ("client_encoding", &["utf8", "utf-8", "unicode"]),
    ("datestyle", &["iso", "iso, mdy", "iso, dmy", "iso, ymd", "iso,mdy"]),
    ("standard_conforming_strings", &["on", "true", "1"]),
    ("intervalstyle", &["postgres"]),
    ("bytea_output", &["hex"]),
    ("row_security", &["on"]),
    ("default_transaction_isolation", &["serializable", "repeatable read", "read committed"]),
    ("idle_in_transaction_session_timeout", &["0"]),
    ("escape_string_warning", &["on", "off"]),
    ("enable_seqscan", &["on"]),
];

impl Own {
    /// Reads one; nothing if a statement is for the lake.
    pub(super) fn read(sql: &str) -> Option<Self> {
        let text = sql.trim().trim_end_matches(';').trim();
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Some(match words[..] {
            ["begin", ..] | ["start", "transaction", ..] => Self::Begin,
            ["commit" | "end"] | ["commit" | "end", "work" | "transaction"] => Self::Commit,
            ["rollback" | "abort"] | ["rollback" | "abort", "work" | "transaction"] => Self::Rollback,
            ["savepoint", name] => Self::Savepoint(name.trim_matches('"').to_owned()),
            ["release", "savepoint", name] | ["release", name] => Self::Release(name.trim_matches('"').to_owned()),
            ["rollback", "to", "savepoint", name] | ["rollback", "to", name] => {
                Self::RollbackTo(name.trim_matches('"').to_owned())
            }
            ["discard", "all"] => Self::Reset("DISCARD ALL"),
            ["reset", "all"] => Self::Reset("RESET"),
            ["reset", name] if is_idle(name) || HOLDS.iter().any(|(known, _)| *known == name) => Self::Done("RESET"),
            ["unlisten", ..] => Self::Done("UNLISTEN"),
            ["close", ..] => Self::Done("CLOSE CURSOR ALL"),
            ["deallocate", ..] => Self::Done("DEALLOCATE"),
            ["listen" | "notify", ..] => {
                Self::Refused("0A000", "LISTEN and NOTIFY are not supported: ask again for what is new".to_owned())
            }
            ["declare", ..] | ["fetch", ..] => Self::Refused(
                "0A000",
                "cursors by SQL are not supported: rows come as they are found, in portions if the driver asks for portions".to_owned(),
            ),
            ["copy", ..] => match Copy::read(text)? {
                Ok(copy) => Self::Copy(Box::new(copy)),
                Err(what) => Self::Refused("0A000", what),
            },
            ["set", "session", "characteristics", "as", "transaction", ..] | ["set", "transaction", ..] => {
                Self::Done("SET")
            }
            ["set", "session", "authorization" | "role", ..] | ["set", "role", ..] => {
                Self::Refused("42501", "another user or role is another connection".to_owned())
            }
            ["set", ..] => return Self::set(text),
            ["show", "transaction", "isolation", "level"] => Self::Show("transaction_isolation".to_owned()),
            ["show", "time", "zone"] => Self::Show("timezone".to_owned()),
            ["show", "session", "authorization"] => Self::Show("session_authorization".to_owned()),
            ["show", name] if pg_settings("", "", "", "").iter().any(|(known, _)| known == name) => {
                Self::Show(name.to_owned())
            }
            _ => return None,
        })
    }

    fn set(text: &str) -> Option<Self> {
        let rest = text.get(4..)?.trim_start();
        let lower = rest.to_lowercase();
        let skipped =
            ["session ", "local "].iter().find(|word| lower.starts_with(*word)).map_or(0, |word| word.len());
        let lower = lower[skipped..].trim_start();
        let (name, value) = match lower.split_once('=') {
            Some((name, value)) => (name.trim(), value.trim()),
            None => {
                let (name, value) = lower.split_once(" to ")?;
                (name.trim(), value.trim())
            }
        };
        let value = value.trim_matches(['\'', '"']).trim();
        if is_idle(name) {
            return Some(Self::Done("SET"));
        }
        let (_, holds) = HOLDS.iter().find(|(known, _)| *known == name)?;
        Some(match holds.contains(&value) || value == "default" {
            true => Self::Done("SET"),
            false => {
                Self::Refused("22023", format!("`{name}` cannot be `{value}` here; it is `{}`", holds[0]))
            }
        })
    }
}

/// The statement as the lake reads it: a search path has one schema here, and PostgreSQL's own are always found.
///
/// # Errors
/// What to hear, if names are to be looked for in several schemas.
pub(super) fn for_the_lake(sql: &str) -> Result<Option<String>, String> {
    let lower = sql.trim().trim_end_matches(';').to_lowercase();
    if let Some(name) = lower.strip_prefix("reset ") {
        let name = if name.trim() == "time zone" { "timezone" } else { name.trim() };
        return Ok(Some(format!("set {name} = default")));
    }
    let Some(rest) = lower.strip_prefix("set ") else { return Ok(None) };
    let rest = rest.trim_start().trim_start_matches("session ").trim_start();
    let Some(rest) = rest.strip_prefix("search_path") else { return Ok(None) };
    let rest = rest.trim_start();
    let Some(value) = rest.strip_prefix('=').or_else(|| rest.strip_prefix("to ")) else { return Ok(None) };
    let all = value.split(',').map(|name| name.trim().trim_matches(['"', '\'']));
    let schemas: Vec<&str> = all
        .filter(|name| !["", "$user", "public", "pg_catalog", "information_schema", "default"].contains(name))
        .collect();
    match schemas[..] {
        [] => Ok(Some("set search_path = default".to_owned())),
        [one] => Ok(Some(format!("set search_path = '{}'", one.replace('\'', "''")))),
        _ => Err(format!("names are looked for in one schema, and these are {}", schemas.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drivers_say_before_they_ask_is_understood() {
        for (sql, own) in [
            ("BEGIN", Own::Begin),
            ("begin transaction isolation level serializable;", Own::Begin),
            ("START TRANSACTION READ ONLY", Own::Begin),
            ("COMMIT;", Own::Commit),
            ("rollback work", Own::Rollback),
            ("SET extra_float_digits = 3", Own::Done("SET")),
            ("set client_encoding to 'UTF8'", Own::Done("SET")),
            ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", Own::Done("SET")),
            ("set session lock_timeout = 100", Own::Done("SET")),
            ("DISCARD ALL", Own::Reset("DISCARD ALL")),
            ("show standard_conforming_strings", Own::Show("standard_conforming_strings".to_owned())),
            ("show transaction isolation level", Own::Show("transaction_isolation".to_owned())),
        ] {
            assert_eq!(Own::read(sql), Some(own), "{sql}");
        }
        assert!(matches!(Own::read("set client_encoding to latin1"), Some(Own::Refused("22023", _))));
        assert!(matches!(Own::read("copy t (a) from stdin with csv"), Some(Own::Copy(_))));
        assert_eq!(Own::read("copy into t from 'a.csv'"), None);
        assert_eq!(Own::read("SAVEPOINT \"A1\""), Some(Own::Savepoint("a1".to_owned())));
        assert_eq!(Own::read("rollback to savepoint a"), Some(Own::RollbackTo("a".to_owned())));
        for sql in [
            "select 1",
            "set elt.release = 1",
            "set search_path to nyc",
            "show tables",
            "set time zone 'UTC'",
            "",
        ] {
            assert_eq!(Own::read(sql), None, "{sql}");
        }
    }

    #[test]
    fn a_search_path_is_one_schema() {
        let read = |sql: &str| for_the_lake(sql).map(|read| read.unwrap_or_default());
        assert_eq!(read("SET search_path = \"nyc\""), Ok("set search_path = 'nyc'".to_owned()));
        assert_eq!(read("set search_path to nyc, public"), Ok("set search_path = 'nyc'".to_owned()));
        assert_eq!(
            read("set session search_path to '$user', public;"),
            Ok("set search_path = default".to_owned())
        );
        assert!(read("set search_path to a, b").is_err());
        assert_eq!(read("RESET search_path"), Ok("set search_path = default".to_owned()));
        assert_eq!(read("reset time zone"), Ok("set timezone = default".to_owned()));
        assert_eq!(read("select 1"), Ok(String::new()));
    }
}
