//! What does the program say of itself while it works?
//!
//! A server's refused logins, statements that failed, what was written; what a library found odd. Lines on standard error, as plain
//! text; events on standard output with `--log-format json`, and in the log file if there is one, like all else.

use std::fmt;
use std::io::Write as _;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::{Log, Said};
use crate::cli::args::Level;

/// Where it is said, once the flags are read.
static HEARD: OnceLock<Log> = OnceLock::new();

/// Hands on what is traced.
#[derive(Debug)]
pub struct Traces;

/// From now on this log has what is traced.
pub(in crate::cli) fn heard_by(log: Log) {
    // A second command of the same process, in a shell, has the same flags.
    let _ = HEARD.set(log);
}

impl<S: Subscriber> Layer<S> for Traces {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            _ => Level::Debug,
        };
        let log = HEARD.get();
        if let Some(log) = log {
            let mut data = words.fields.clone();
            data.insert("msg".to_owned(), json!(words.message));
            data.insert("target".to_owned(), json!(event.metadata().target()));
            let message = words.message.clone();
            log.say(&Said { name: "Note", code: "Z050", level, message, data: Value::Object(data) });
        }
        if log.is_none_or(|log| !log.is_json()) {
            let at = log.map_or_else(String::new, |log| format!("{} ", super::instant(log.world.now())));
            let facts = words.fields.iter().map(|(name, value)| format!(" {name}={value}"));
            let facts: String = facts.collect();
            // Whoever listened may be gone.
            let _ = writeln!(std::io::stderr(), "{at}{}: {}{facts}", event.metadata().level(), words.message);
        }
    }
}

/// The message of an event and the facts beside it.
#[derive(Default)]
struct Words {
    message: String,
    fields: Map<String, Value>,
}

impl Words {
    fn take(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => drop(self.fields.insert(name.to_owned(), value)),
        }
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, json!(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, json!(value));
    }
}
