//! Which stretches of time does a microbatch model build?
//!
//! A [`Window`] is what a run has to build; its batches are built one after the other, each as if it were a
//! window of its own.

use chrono::{DateTime, Datelike, Duration, Months, NaiveDate, Timelike, Utc};

use super::manifest::Manifest;
use super::node::NodeId;
use crate::base::Diagnostic;

/// From the first instant up to, and without, the second.
pub type Stretch = (DateTime<Utc>, DateTime<Utc>);

/// A stretch of time: from its beginning up to, and without, its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The column that says when a row happened.
    pub event_time: String,
    /// Its beginning.
    pub start: DateTime<Utc>,
    /// Its end.
    pub end: DateTime<Utc>,
    /// How long one of its batches is.
    pub size: BatchSize,
    /// Only these of its batches, by beginning and end: those that failed before.
    pub only: Option<Vec<Stretch>>,
}

/// How long a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSize {
    /// An hour.
    Hour,
    /// A day, of UTC.
    Day,
    /// A month of the calendar.
    Month,
    /// A year of the calendar.
    Year,
}

impl Window {
    /// The condition on `column` that a row is in the window.
    pub fn condition(&self, column: &str) -> String {
        during(column, self.start, self.end)
    }

    /// Its batches, in order of time.
    pub fn batches(&self) -> Vec<Self> {
        let one = |start: DateTime<Utc>, end: DateTime<Utc>| Self { start, end, only: None, ..self.clone() };
        if let Some(only) = &self.only {
            return only.iter().map(|(start, end)| one(*start, *end)).collect();
        }
        let mut batches = Vec::new();
        let mut start = self.start;
        while start < self.end {
            let end = self.size.step(self.size.floor(start), 1);
            if end <= start {
                break;
            }
            batches.push(one(start, end.min(self.end)));
            start = end;
        }
        batches
    }

    /// What dbt calls the batch that begins with this window: `20240131`.
    pub fn id(&self) -> String {
        let format = match self.size {
            BatchSize::Hour => "%Y%m%dT%H",
            BatchSize::Day => "%Y%m%d",
            BatchSize::Month => "%Y%m",
            BatchSize::Year => "%Y",
        };
        self.start.format(format).to_string()
    }
}

/// Says which models are made in batches of which each reads all that there is: nothing that they read says when its rows
/// happened, and they do not pick the rows of a batch themselves. The words are dbt's.
pub(super) fn check_inputs(manifest: &Manifest, found: &mut Vec<Diagnostic>) {
    for node in manifest.nodes.values().filter(|node| node.window().is_some()) {
        let says_when = |id: &NodeId| {
            let parent = manifest.nodes.get(id).filter(|parent| !parent.is_ephemeral());
            let said = parent.and_then(|parent| parent.config.get("event_time")?.as_str());
            said.is_some_and(|column| !column.is_empty())
        };
        if manifest.parents(&node.id).iter().any(says_when) || node.raw.contains("batch.") {
            continue;
        }
        let what = format!(
            "The microbatch model '{}' has no 'ref' or 'source' input with an 'event_time' configuration. This means no \
             filtering can be applied and can result in unexpected duplicate records in the resulting microbatch model.",
            node.name
        );
        found.push(Diagnostic::warning("elt::microbatch", what).at(&node.at, "each of its batches gets all rows").help(
            "say at what it reads which column tells when a row happened: `config(event_time='…')` in a model, `config: \
             {event_time: …}` at a source; or pick the rows in its query: `model.batch.event_time_start`",
        ));
    }
}

/// The condition that `column` is from `start` up to, and without, `end`.
pub(super) fn during(column: &str, start: DateTime<Utc>, end: DateTime<Utc>) -> String {
    let instant = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S%.f").to_string();
    format!("{column} >= timestamp '{}' and {column} < timestamp '{}'", instant(start), instant(end))
}

impl BatchSize {
    /// Reads dbt's word for it.
    pub(super) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "hour" => Self::Hour,
            "day" => Self::Day,
            "month" => Self::Month,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// The beginning of the batch that `at` lies in.
    pub(super) fn floor(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let (month, day, hour) = match self {
            Self::Year => (1, 1, 0),
            Self::Month => (at.month(), 1, 0),
            Self::Day => (at.month(), at.day(), 0),
            Self::Hour => (at.month(), at.day(), at.hour()),
        };
        let date = NaiveDate::from_ymd_opt(at.year(), month, day).unwrap_or_else(|| at.date_naive());
        date.and_hms_opt(hour, 0, 0).map_or(at, |floor| floor.and_utc())
    }

    /// So many batches later, or earlier.
    pub(super) fn step(self, at: DateTime<Utc>, by: i32) -> DateTime<Utc> {
        let months = |months: i32| {
            let step = Months::new(months.unsigned_abs());
            let moved = if months < 0 { at.checked_sub_months(step) } else { at.checked_add_months(step) };
            moved.unwrap_or(at)
        };
        match self {
            Self::Year => months(by.saturating_mul(12)),
            Self::Month => months(by),
            Self::Day => at + Duration::days(by.into()),
            Self::Hour => at + Duration::hours(by.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_cut_at_the_calendar() {
        let at = |text: &str| crate::base::parse_instant(text).unwrap();
        let window = |start, end, size| Window {
            event_time: "at".into(),
            start: at(start),
            end: at(end),
            size,
            only: None,
        };
        let ids = |window: Window| window.batches().iter().map(Window::id).collect::<Vec<_>>().join(" ");
        assert_eq!(ids(window("2024-01-30", "2024-02-02", BatchSize::Day)), "20240130 20240131 20240201");
        assert_eq!(ids(window("2023-12-01", "2024-02-15", BatchSize::Month)), "202312 202401 202402");
        assert_eq!(ids(window("2024-01-01", "2024-01-01", BatchSize::Hour)), "");
    }
}
