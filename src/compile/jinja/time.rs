//! What time is it, to a template?
//!
//! Always the instant the run started: a template has no clock, so two renders of it agree.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use chrono::{DateTime, Datelike, Timelike, Utc};
use minijinja::value::{Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

use super::call::Call;
use super::mistake::Mistake;

/// `run_started_at`, `modules.datetime.datetime.now()`: a Python datetime in UTC, or only its date.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Instant {
    pub(super) at: DateTime<Utc>,
    pub(super) date_only: bool,
}

impl Instant {
    fn strftime(&self, format: &str) -> Result<Value, Error> {
        // Python's %f is six digits of microseconds; chrono's is nanoseconds.
        let format = format.replace("%f", "%6f");
        let mut text = String::new();
        match write!(text, "{}", self.at.format(&format)) {
            Ok(()) => Ok(text.into()),
            Err(_) => {
                Err(Mistake::new("elt::jinja", format!("`{format}` is not a format of strftime")).into())
            }
        }
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = if self.date_only { "%Y-%m-%d" } else { "%Y-%m-%d %H:%M:%S%.6f+00:00" };
        write!(f, "{}", self.at.format(format))
    }
}

impl Object for Instant {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "year" => self.at.year().into(),
            "month" => self.at.month().into(),
            "day" => self.at.day().into(),
            "hour" => self.at.hour().into(),
            "minute" => self.at.minute().into(),
            "second" => self.at.second().into(),
            "microsecond" => self.at.timestamp_subsec_micros().into(),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let call = Call::read(args);
        match method {
            "strftime" => self.strftime(&call.text(0, "format")?),
            "isoformat" => Ok(self.to_string().replacen(' ', "T", 1).into()),
            "date" => Ok(Value::from_object(Self { at: self.at, date_only: true })),
            "timestamp" => Ok((self.at.timestamp_micros() as f64 / 1e6).into()),
            "weekday" => Ok(self.at.weekday().num_days_from_monday().into()),
            "astimezone" | "replace" => Err(Mistake::unsupported(
                format!("`.{method}()` of an instant"),
                "instead convert it in SQL; instants of templates are UTC",
            )
            .into()),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
