//! Which stretch of time is a sample?

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Duration, Months, Utc};
use serde_json::Value;

use crate::project::plain;

/// What `--sample` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// The time up to the run's start: so many hours, days, months or years.
    Newest(u32, Unit),
    /// From one instant up to, and without, another.
    Between(DateTime<Utc>, DateTime<Utc>),
}

/// What time is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Of 60 minutes.
    Hour,
    /// Of 24 hours.
    Day,
    /// Of the calendar.
    Month,
    /// Of the calendar.
    Year,
}

impl Sample {
    /// The stretch, for a run that starts at `now`.
    pub fn window(self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let months = |months: u32| now.checked_sub_months(Months::new(months)).unwrap_or(now);
        match self {
            Self::Between(start, end) => (start, end),
            Self::Newest(count, Unit::Hour) => (now - Duration::hours(count.into()), now),
            Self::Newest(count, Unit::Day) => (now - Duration::days(count.into()), now),
            Self::Newest(count, Unit::Month) => (months(count), now),
            Self::Newest(count, Unit::Year) => (months(count.saturating_mul(12)), now),
        }
    }
}

/// As it is written on the command line.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest(count, unit) => write!(f, "{count} {unit:?}"),
            Self::Between(start, end) => {
                write!(f, "{{start: \"{}\", end: \"{}\"}}", start.to_rfc3339(), end.to_rfc3339())
            }
        }
    }
}

impl FromStr for Sample {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "write a number of hours, days, months or years, as `3 days`, or `{start: 2024-01-01, end: 2024-02-01}`".to_owned()
        };
        if text.trim_start().starts_with('{') {
            let map = crate::project::read_vars(text)?;
            let instant = |key: &str| {
                let written = map.get(key).map(plain).ok_or_else(wrong)?;
                crate::base::parse_instant(&written).ok_or_else(|| format!("`{written}` is no date"))
            };
            if let Some(key) = map.keys().find(|key| !matches!(key.as_str(), "start" | "end")) {
                return Err(format!("`{key}` is neither `start` nor `end`"));
            }
            let (start, end) = (instant("start")?, instant("end")?);
            return if start < end {
                Ok(Self::Between(start, end))
            } else {
                Err("`start` is before `end`".into())
            };
        }
        let (count, unit) = text.trim().split_once(char::is_whitespace).ok_or_else(wrong)?;
        let unit = match unit.trim().to_lowercase().trim_end_matches('s') {
            "hour" => Unit::Hour,
            "day" => Unit::Day,
            "month" => Unit::Month,
            "year" => Unit::Year,
            _ => return Err(wrong()),
        };
        match plain(&Value::from(count)).parse() {
            Ok(count) if count > 0 => Ok(Self::Newest(count, unit)),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read() {
        let now = crate::base::parse_instant("2024-03-31 12:00:00").unwrap();
        let start = |text: &str| text.parse::<Sample>().unwrap().window(now).0.to_string();
        assert_eq!(start("3 days"), "2024-03-28 12:00:00 UTC");
        assert_eq!(start("1 month"), "2024-02-29 12:00:00 UTC");
        assert_eq!(start("{start: 2024-01-01, end: 2024-02-01}"), "2024-01-01 00:00:00 UTC");
        for text in ["3 days", "1 month", "{start: 2024-01-01, end: 2024-02-01}"] {
            let sample = text.parse::<Sample>().unwrap();
            assert_eq!(sample.to_string().parse(), Ok(sample));
        }
        assert!("days".parse::<Sample>().is_err());
        assert!("{start: 2024-01-01}".parse::<Sample>().is_err());
        assert!("{start: 2024-02-01, end: 2024-01-01}".parse::<Sample>().is_err());
    }
}
