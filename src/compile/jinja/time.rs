//! What time is it, to a template?
//!
//! Python's `datetime` as far as dbt's templates use it. The present is always the instant the run started:
//! a template has no clock, so two renders of it agree.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use chrono::{
    DateTime, Datelike, Duration, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone,
    Timelike, Utc,
};
use chrono_tz::Tz;
use minijinja::value::{DynObject, Object, ObjectRepr, Tuple};
use minijinja::{Error, ErrorKind, State, Value};

use super::call::Call;
use super::duration::Delta;
use super::mistake::Mistake;

/// A Python `datetime`, `date` or `time`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Instant {
    pub(super) naive: NaiveDateTime,
    pub(super) offset: Option<FixedOffset>,
    pub(super) parts: Parts,
}

/// Which parts of an instant are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parts {
    Both,
    Date,
    Time,
}

/// A zone as `pytz.timezone` gives it.
#[derive(Clone, Debug, PartialEq)]
struct Zone(Tz);

pub(super) fn wrong(message: impl Into<String>) -> Error {
    Mistake::new("elt::jinja", message).into()
}

/// `run_started_at`: in UTC, and it says so.
pub(super) fn started(at: DateTime<Utc>) -> Value {
    Instant { naive: at.naive_utc(), offset: Some(Utc.fix()), parts: Parts::Both }.value()
}

/// The date or instant that a query answered as a text; nothing for a column of another type, or for a date that
/// Python has none of.
pub(super) fn of_column(data_type: &str, text: &str) -> Option<Value> {
    let parts = match data_type {
        "date" => Parts::Date,
        "timestamp" | "timestamptz" => Parts::Both,
        _ => return None,
    };
    Some(Instant { parts, ..from_iso(text).ok()? }.value())
}

impl Instant {
    pub(super) fn value(self) -> Value {
        Value::from_object(self)
    }

    fn plain(naive: NaiveDateTime) -> Self {
        Self { naive, offset: None, parts: Parts::Both }
    }

    pub(super) fn utc(&self) -> NaiveDateTime {
        match self.offset {
            Some(offset) => self.naive - Duration::seconds(offset.local_minus_utc().into()),
            None => self.naive,
        }
    }

    fn in_zone(utc: NaiveDateTime, zone: &Value) -> Result<Self, Error> {
        let offset = offset_at(zone, utc)?;
        let naive = utc + Duration::seconds(offset.local_minus_utc().into());
        Ok(Self { naive, offset: Some(offset), parts: Parts::Both })
    }

    fn strftime(&self, format: &str) -> Result<Value, Error> {
        // Python's %f is six digits of microseconds; chrono's is nanoseconds.
        let format = format.replace("%f", "%6f");
        let mut text = String::new();
        let offset = self.offset.unwrap_or_else(|| Utc.fix());
        let with_offset = DateTime::<FixedOffset>::from_naive_utc_and_offset(self.utc(), offset);
        match write!(text, "{}", with_offset.format(&format)) {
            Ok(()) => Ok(text.into()),
            Err(_) => Err(wrong(format!("`{format}` is not a format of strftime"))),
        }
    }

    fn replace(&self, call: &Call) -> Result<Value, Error> {
        let part = |name: &str, now: u32| {
            call.named.get(name).and_then(Value::as_i64).and_then(|n| u32::try_from(n).ok()).unwrap_or(now)
        };
        let year = call.named.get("year").and_then(Value::as_i64).and_then(|n| i32::try_from(n).ok());
        let (date, time) = (self.naive.date(), self.naive.time());
        let date = NaiveDate::from_ymd_opt(
            year.unwrap_or_else(|| date.year()),
            part("month", date.month()),
            part("day", date.day()),
        );
        let micro = part("microsecond", time.nanosecond() / 1000);
        let time = NaiveTime::from_hms_micro_opt(
            part("hour", time.hour()),
            part("minute", time.minute()),
            part("second", time.second()),
            micro,
        );
        let (Some(date), Some(time)) = (date, time) else {
            return Err(wrong("there is no such day or time"));
        };
        let offset = match call.named.get("tzinfo") {
            Some(zone) if zone.is_none() => None,
            Some(zone) => Some(first_offset(zone)?),
            None => self.offset,
        };
        Ok(Self { naive: date.and_time(time), offset, parts: self.parts }.value())
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.parts != Parts::Time {
            write!(f, "{}", self.naive.format("%Y-%m-%d"))?;
        }
        if self.parts == Parts::Date {
            return Ok(());
        }
        if self.parts == Parts::Both {
            f.write_char(' ')?;
        }
        write!(f, "{}", self.naive.format("%H:%M:%S"))?;
        if self.naive.nanosecond() > 0 {
            write!(f, ".{:06}", self.naive.nanosecond() / 1000)?;
        }
        let Some(offset) = self.offset else { return Ok(()) };
        let seconds = offset.local_minus_utc();
        let (sign, size) = if seconds < 0 { ('-', -seconds) } else { ('+', seconds) };
        // pytz knows local mean time to the minute.
        write!(f, "{sign}{:02}:{:02}", (size + 30) / 3600, (size + 30) % 3600 / 60)
    }
}

impl Object for Instant {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "year" => self.naive.year().into(),
            "month" => self.naive.month().into(),
            "day" => self.naive.day().into(),
            "hour" => self.naive.hour().into(),
            "minute" => self.naive.minute().into(),
            "second" => self.naive.second().into(),
            "microsecond" => (self.naive.nanosecond() / 1000).into(),
            "tzinfo" => self.offset.map_or(Value::from(()), |offset| offset.to_string().into()),
            _ => return None,
        })
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<std::cmp::Ordering> {
        Some(self.utc().cmp(&other.downcast_ref::<Self>()?.utc()))
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
            "date" => Ok(Self { offset: None, parts: Parts::Date, ..Self::clone(self) }.value()),
            "time" => Ok(Self { offset: None, parts: Parts::Time, ..Self::clone(self) }.value()),
            "timestamp" => Ok((self.utc().and_utc().timestamp_micros() as f64 / 1e6).into()),
            "weekday" => Ok(self.naive.weekday().num_days_from_monday().into()),
            "isocalendar" => {
                let week = self.naive.iso_week();
                let parts = [
                    week.year().into(),
                    week.week().into(),
                    self.naive.weekday().number_from_monday().into(),
                ];
                Ok(Value::from(Tuple::from(parts)))
            }
            "toordinal" => Ok(self.naive.num_days_from_ce().into()),
            "ctime" => self.strftime("%a %b %e %H:%M:%S %Y"),
            "utcoffset" => Ok(self.offset.map_or(Value::from(()), |offset| {
                Delta(Duration::seconds(offset.local_minus_utc().into())).value()
            })),
            "isoweekday" => Ok(self.naive.weekday().number_from_monday().into()),
            "astimezone" => {
                let zone = call.get(0, "tz").cloned().unwrap_or_else(|| Value::from("UTC"));
                Ok(Self::in_zone(self.utc(), &zone)?.value())
            }
            "replace" => self.replace(&call),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl Object for Zone {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "localize" => {
                let call = Call::read(args);
                let instant = call.get(0, "dt").and_then(|value| value.downcast_object_ref::<Instant>());
                let Some(instant) = instant else { return Err(wrong("localize() takes a datetime")) };
                let local = self.0.from_local_datetime(&instant.naive).earliest();
                let Some(local) = local else { return Err(wrong("this time does not exist in that zone")) };
                let offset = Some(local.offset().fix());
                Ok(Instant { naive: instant.naive, offset, parts: Parts::Both }.value())
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

/// `modules.pytz.timezone(name)`
pub(super) fn zone(name: &str) -> Result<Value, Error> {
    let zone = name.parse::<Tz>().map_err(|_| wrong(format!("there is no time zone `{name}`")))?;
    Ok(Value::from_object(Zone(zone)))
}

fn tz(zone: &Value) -> Result<Tz, Error> {
    match zone.downcast_object_ref::<Zone>() {
        Some(Zone(tz)) => Ok(*tz),
        None => zone.to_string().parse().map_err(|_| wrong(format!("`{zone}` is no time zone"))),
    }
}

fn offset_at(zone: &Value, utc: NaiveDateTime) -> Result<FixedOffset, Error> {
    Ok(tz(zone)?.offset_from_utc_datetime(&utc).fix())
}

/// The zone's first offset: what a pytz zone stands for until it is localized.
fn first_offset(zone: &Value) -> Result<FixedOffset, Error> {
    offset_at(zone, NaiveDate::from_ymd_opt(1800, 1, 1).unwrap_or_default().and_time(NaiveTime::MIN))
}

fn parsed(text: &str, format: &str) -> Result<Instant, Error> {
    let format = format.replace("%f", "%6f").replace(".%6f", "%.f");
    if let Ok(instant) = DateTime::parse_from_str(text, &format) {
        let offset = Some(*instant.offset());
        return Ok(Instant { naive: instant.naive_local(), offset, parts: Parts::Both });
    }
    let whole = NaiveDateTime::parse_from_str(text, &format);
    let whole =
        whole.or_else(|_| NaiveDate::parse_from_str(text, &format).map(|d| d.and_time(NaiveTime::MIN)));
    let whole =
        whole.or_else(|_| NaiveDateTime::parse_from_str(&format!("{text} 0"), &format!("{format} %M")));
    whole.map(Instant::plain).map_err(|_| wrong(format!("`{text}` does not match the format `{format}`")))
}

fn from_iso(text: &str) -> Result<Instant, Error> {
    let formats = ["%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d"];
    let text = text.trim().replacen(' ', "T", 1).replace('Z', "+00:00");
    let found = formats.iter().find_map(|format| parsed(&text, format).ok());
    found.ok_or_else(|| wrong(format!("`{text}` is not an ISO date or time")))
}

/// `modules.datetime.<class>`: `datetime`, `date`, `time` or `timedelta`.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) name: &'static str,
    /// The present, for `now()` and `today()`.
    pub(super) now: DateTime<Utc>,
}

impl Class {
    fn construct(&self, call: &Call) -> Result<Value, Error> {
        let number = |at: usize, name: &str| call.get(at, name).and_then(Value::as_i64).unwrap_or(0);
        let small = |at: usize, name: &str| u32::try_from(number(at, name)).unwrap_or(u32::MAX);
        let no_such = || wrong("there is no such day or time");
        match self.name {
            "timedelta" => {
                let units = [
                    (0, "days", 86_400_000_000.0),
                    (1, "seconds", 1e6),
                    (2, "microseconds", 1.0),
                    (3, "milliseconds", 1e3),
                    (4, "minutes", 6e7),
                    (5, "hours", 3.6e9),
                    (6, "weeks", 604_800_000_000.0),
                ];
                let micros: f64 = units
                    .iter()
                    .filter_map(|(at, name, size)| {
                        call.get(*at, name).map(|n| n.to_string().parse::<f64>().unwrap_or(0.0) * size)
                    })
                    .sum();
                Ok(Delta(Duration::microseconds(micros as i64)).value())
            }
            "time" => {
                let time = NaiveTime::from_hms_opt(small(0, "hour"), small(1, "minute"), small(2, "second"));
                let naive = NaiveDate::default().and_time(time.ok_or_else(no_such)?);
                Ok(Instant { naive, offset: None, parts: Parts::Time }.value())
            }
            kind => {
                let year = i32::try_from(number(0, "year")).unwrap_or_default();
                let date = NaiveDate::from_ymd_opt(year, small(1, "month"), small(2, "day"));
                let date = date.ok_or_else(no_such)?;
                if kind == "date" {
                    let naive = date.and_time(NaiveTime::MIN);
                    return Ok(Instant { naive, offset: None, parts: Parts::Date }.value());
                }
                let time = NaiveTime::from_hms_micro_opt(
                    small(3, "hour"),
                    small(4, "minute"),
                    small(5, "second"),
                    small(6, "microsecond"),
                );
                let naive = date.and_time(time.ok_or_else(no_such)?);
                let zone = call.get(7, "tzinfo").filter(|zone| !zone.is_none());
                let offset = zone.map(first_offset).transpose()?;
                Ok(Instant { naive, offset, parts: Parts::Both }.value())
            }
        }
    }

    fn narrowed(&self, mut instant: Instant) -> Value {
        if self.name == "date" {
            instant.parts = Parts::Date;
        }
        instant.value()
    }
}

impl Object for Class {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        self.construct(&Call::read(args))
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let call = Call::read(args);
        let now = Instant { naive: self.now.naive_utc(), offset: None, parts: Parts::Both };
        match method {
            "now" | "utcnow" => match call.get(0, "tz").filter(|zone| !zone.is_none()) {
                Some(zone) => Ok(Instant::in_zone(self.now.naive_utc(), zone)?.value()),
                None => Ok(now.value()),
            },
            "today" => Ok(self.narrowed(now)),
            "strptime" => Ok(self.narrowed(parsed(&call.text(0, "text")?, &call.text(1, "format")?)?)),
            "fromisoformat" => Ok(self.narrowed(from_iso(&call.text(0, "text")?)?)),
            "fromtimestamp" | "utcfromtimestamp" => {
                let seconds = call.text(0, "timestamp")?.parse::<f64>().unwrap_or(0.0);
                let at = DateTime::from_timestamp_micros((seconds * 1e6) as i64);
                let at = at.ok_or_else(|| wrong("there is no such instant"))?;
                Ok(self.narrowed(Instant::plain(at.naive_utc())))
            }
            "combine" => {
                let part = |at: usize| {
                    call.positional.get(at).and_then(|value| value.downcast_object_ref::<Instant>()).cloned()
                };
                let (Some(date), Some(time)) = (part(0), part(1)) else {
                    return Err(wrong("combine() takes a date and a time"));
                };
                Ok(Instant::plain(date.naive.date().and_time(time.naive.time())).value())
            }
            _ => Err(Mistake::unsupported(
                format!("`modules.datetime.{}.{method}()`", self.name),
                "instead compute it in SQL",
            )
            .into()),
        }
    }
}
