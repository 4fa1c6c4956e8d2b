//! Which statements are about the session alone, and have no meaning for a lake?
//!
//! Drivers begin and end transactions, and agree on how values are written. What they ask for is what is done anyway, or it is refused.

/// A statement that the door itself answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// `BEGIN`
    Begin,
    /// `COMMIT`
    Commit,
    /// `ROLLBACK`
    Rollback,
    /// Done already, or nothing to be done: what the client hears.
    Done(&'static str),
    /// `SHOW name`: the column, and the value.
    Show(&'static str, &'static str),
    /// `DISCARD ALL`, `RESET ALL`: everything that was set goes back to how it was.
    Reset(&'static str),
    /// Refused: with which of PostgreSQL's codes, and what to hear.
    Refused(&'static str, String),
}

/// Settings that a client may set to what holds anyway.
const HOLDS: [(&str, &[&str]); 12] = [
    ("client_encoding", &["utf8", "utf-8", "unicode"]),
    ("datestyle", &["iso", "iso, mdy", "iso, dmy", "iso, ymd", "iso,mdy"]),
    ("standard_conforming_strings", &["on", "true", "1"]),
    ("intervalstyle", &["postgres"]),
    ("bytea_output", &["hex"]),
    ("row_security", &["on"]),
    ("default_transaction_isolation", &["serializable", "repeatable read", "read committed"]),
    ("statement_timeout", &["0"]),
    ("lock_timeout", &["0"]),
    ("idle_in_transaction_session_timeout", &["0"]),
    ("escape_string_warning", &["on", "off"]),
    ("enable_seqscan", &["on"]),
];

/// Settings of which every value is fine: they are about messages, names or plans that there are not.
const ANY: [&str; 6] =
    ["application_name", "extra_float_digits", "client_min_messages", "jit", "synchronize_seqscans", "geqo"];

/// What `SHOW` tells of PostgreSQL's own settings.
const SHOWN: [(&str, &str); 11] = [
    ("server_version", crate::lakehouse::PG_VERSION),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
    ("datestyle", "ISO, YMD"),
    ("intervalstyle", "postgres"),
    ("transaction_isolation", "serializable"),
    ("default_transaction_isolation", "serializable"),
    ("max_identifier_length", "128"),
    ("integer_datetimes", "on"),
    ("timezone", "UTC"),
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
            ["savepoint", ..] | ["release", "savepoint", ..] | ["rollback", "to", ..] => {
                let what = "savepoints are not supported: roll the whole transaction back, or go on";
                Self::Refused("0A000", what.to_owned())
            }
            ["discard", "all"] => Self::Reset("DISCARD ALL"),
            ["reset", "all"] => Self::Reset("RESET"),
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
            ["set", "session", "characteristics", "as", "transaction", ..] | ["set", "transaction", ..] => {
                Self::Done("SET")
            }
            ["set", "session", "authorization" | "role", ..] | ["set", "role", ..] => {
                Self::Refused("42501", "another user or role is another connection".to_owned())
            }
            ["set", ..] => return Self::set(text),
            ["show", "transaction", "isolation", "level"] => Self::Show("transaction_isolation", "serializable"),
            ["show", name] => {
                let (name, value) = SHOWN.iter().find(|(known, _)| *known == name)?;
                Self::Show(name, value)
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
        if ANY.contains(&name) {
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
            ("set session statement_timeout = 0", Own::Done("SET")),
            ("DISCARD ALL", Own::Reset("DISCARD ALL")),
            ("show standard_conforming_strings", Own::Show("standard_conforming_strings", "on")),
            ("show transaction isolation level", Own::Show("transaction_isolation", "serializable")),
        ] {
            assert_eq!(Own::read(sql), Some(own), "{sql}");
        }
        assert!(matches!(Own::read("set client_encoding to latin1"), Some(Own::Refused("22023", _))));
        assert!(matches!(Own::read("savepoint a"), Some(Own::Refused(..))));
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
}
