//! How long is it between two instants, to a template?
//!
//! Python's `timedelta`, and what its operators and those of dates give.

use std::fmt;
use std::sync::Arc;

use chrono::Duration;
use minijinja::value::{DynObject, Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

use super::time::{Instant, Parts, wrong};

/// A Python `timedelta`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Delta(pub(super) Duration);

impl Delta {
    pub(super) fn value(self) -> Value {
        Value::from_object(self)
    }
}

/// A day in microseconds.
const DAY: i64 = 86_400_000_000;

impl Object for Delta {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !self.0.is_zero()
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let micros = self.0.num_microseconds()?;
        Some(match key.as_str()? {
            "days" => micros.div_euclid(DAY).into(),
            "seconds" => (micros.rem_euclid(DAY) / 1_000_000).into(),
            "microseconds" => (micros.rem_euclid(1_000_000)).into(),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        _: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "total_seconds" => Ok((self.0.num_microseconds().unwrap_or(i64::MAX) as f64 / 1e6).into()),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<std::cmp::Ordering> {
        Some(self.0.cmp(&other.downcast_ref::<Self>()?.0))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.num_microseconds().unwrap_or(i64::MAX);
        let (days, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY) / 1_000_000);
        if days != 0 {
            write!(f, "{days} day{}, ", if days.abs() == 1 { "" } else { "s" })?;
        }
        write!(f, "{}:{:02}:{:02}", rest / 3600, rest % 3600 / 60, rest % 60)?;
        match micros.rem_euclid(1_000_000) {
            0 => Ok(()),
            micros => write!(f, ".{micros:06}"),
        }
    }
}

/// What an operator makes of two values, if one of them is an instant or a timedelta.
pub(super) fn calculated(operator: &str, left: &Value, right: &Value) -> Option<Result<Value, Error>> {
    let instant = |value: &Value| value.downcast_object_ref::<Instant>().cloned();
    let delta = |value: &Value| value.downcast_object_ref::<Delta>().map(|Delta(by)| *by);
    let number = |value: &Value| value.is_number().then(|| value.to_string().parse::<f64>().ok()).flatten();
    let kinds = ((instant(left), delta(left)), (instant(right), delta(right)));
    if let ((None, None), (None, None)) = &kinds {
        return None;
    }
    let out_of_range = || wrong("this lies beyond the years that there are");
    let moved = |instant: Instant, by: Duration| -> Result<Value, Error> {
        // A date moves by whole days.
        let by = if instant.parts == Parts::Date { Duration::days(days_of(by)) } else { by };
        let naive = instant.naive.checked_add_signed(by).ok_or_else(out_of_range)?;
        Ok(Instant { naive, ..instant }.value())
    };
    let micros = |by: Duration| by.num_microseconds().unwrap_or(i64::MAX);
    let scaled = |by: Duration, factor: f64| {
        Delta(Duration::microseconds((micros(by) as f64 * factor).round_ties_even() as i64)).value()
    };
    Some(match (operator, kinds) {
        ("+", ((Some(at), _), (_, Some(by)))) | ("+", ((_, Some(by)), (Some(at), _)))
            if at.parts != Parts::Time =>
        {
            moved(at, by)
        }
        ("-", ((Some(at), _), (_, Some(by)))) if at.parts != Parts::Time => moved(at, -by),
        ("-", ((Some(a), _), (Some(b), _))) if a.parts == b.parts && a.parts != Parts::Time => {
            match a.offset.is_some() == b.offset.is_some() {
                true => Ok(Delta(a.utc() - b.utc()).value()),
                false => Err(wrong("can't subtract offset-naive and offset-aware datetimes")),
            }
        }
        ("+", ((_, Some(a)), (_, Some(b)))) => {
            a.checked_add(&b).map(|sum| Delta(sum).value()).ok_or_else(out_of_range)
        }
        ("-", ((_, Some(a)), (_, Some(b)))) => {
            a.checked_sub(&b).map(|sum| Delta(sum).value()).ok_or_else(out_of_range)
        }
        ("/" | "//", ((_, Some(_)), (_, Some(b)))) if b.is_zero() => Err(wrong("division by zero")),
        ("/", ((_, Some(a)), (_, Some(b)))) => Ok((micros(a) as f64 / micros(b) as f64).into()),
        ("//", ((_, Some(a)), (_, Some(b)))) => {
            Ok(((micros(a) as f64 / micros(b) as f64).floor() as i64).into())
        }
        ("*", ((_, Some(by)), _)) if number(right).is_some() => {
            Ok(scaled(by, number(right).unwrap_or_default()))
        }
        ("*", (_, (_, Some(by)))) if number(left).is_some() => {
            Ok(scaled(by, number(left).unwrap_or_default()))
        }
        ("/" | "//", ((_, Some(by)), _)) if number(right).is_some() => {
            match number(right).unwrap_or_default() {
                0.0 => Err(wrong("division by zero")),
                by_what => Ok(scaled(by, 1.0 / by_what)),
            }
        }
        (operator, _) => {
            Err(wrong(format!("there is no `{operator}` between {} and {}", class(left), class(right))))
        }
    })
}

/// Whole days, rounded down.
fn days_of(by: Duration) -> i64 {
    by.num_seconds().div_euclid(86_400)
}

/// What Python calls the kind of a value.
fn class(value: &Value) -> String {
    match (value.downcast_object_ref::<Instant>(), value.downcast_object_ref::<Delta>()) {
        (Some(Instant { parts: Parts::Both, .. }), _) => "a datetime".to_owned(),
        (Some(Instant { parts: Parts::Date, .. }), _) => "a date".to_owned(),
        (Some(Instant { parts: Parts::Time, .. }), _) => "a time".to_owned(),
        (_, Some(_)) => "a timedelta".to_owned(),
        _ => format!("`{value}`"),
    }
}
