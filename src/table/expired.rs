//! Which entries of a log does nobody need any more?
//!
//! A version is read from the newest checkpoint at or before it and the entries since. So what lies before the last
//! checkpoint that the oldest wanted version stands on can go, once it is old: as in Delta after 30 days, or
//! `delta.logRetentionDuration`.

use chrono::{DateTime, Duration, Utc};
use object_store::ObjectMeta;

use super::{Snapshot, TableError, Tables, Unneeded};
use crate::base::TableVersion;
use crate::lake::layout;

/// The property that says how long entries are kept.
const RETENTION: &str = "delta.logRetentionDuration";

/// How long the entries of a table's log are kept.
pub fn log_retention(snapshot: &Snapshot) -> Duration {
    let said = snapshot.design().properties().get(RETENTION).and_then(|text| interval(text));
    said.unwrap_or_else(|| Duration::days(30))
}

/// Finds entries and checkpoints that no version from `oldest` on is read from, and that are older than `retain`.
///
/// They are in the order in which they are to be deleted: wherever that stops, the log that is left has no gap. Age
/// is measured by the store's own times, against the newest entry.
pub async fn expired(
    tables: &Tables,
    snapshot: &Snapshot,
    oldest: TableVersion,
    retain: Duration,
) -> Result<Vec<Unneeded>, TableError> {
    let listed = tables.lake().list(&layout::log(snapshot.table())).await?;
    let newest = listed.iter().map(|object| object.last_modified).max().unwrap_or(DateTime::<Utc>::MIN_UTC);
    let checkpoints = listed.iter().filter_map(|object| layout::checkpoint_of(&object.location));
    let Some(base) = checkpoints.filter(|version| *version <= oldest.0).max() else { return Ok(Vec::new()) };
    let is_before =
        |object: &&ObjectMeta| layout::version_of(&object.location).is_some_and(|version| version < base);
    // The first that is young keeps all after it.
    let old = |object: &&ObjectMeta| newest - object.last_modified >= retain;
    let found = listed.iter().filter(is_before).take_while(old);
    Ok(found.map(|object| Unneeded { path: object.location.to_string(), bytes: object.size }).collect())
}

/// Reads `interval 30 days`.
fn interval(text: &str) -> Option<Duration> {
    let text = text.trim().to_lowercase();
    let text = text.strip_prefix("interval").unwrap_or(&text);
    let mut words = text.split_whitespace();
    let count: i64 = words.next()?.parse().ok()?;
    let unit = words.next()?.trim_end_matches('s').to_owned();
    match unit.as_str() {
        "week" => Duration::try_weeks(count),
        "day" => Duration::try_days(count),
        "hour" => Duration::try_hours(count),
        "minute" => Duration::try_minutes(count),
        "second" => Duration::try_seconds(count),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_read_as_delta_writes_it() {
        assert_eq!(interval("interval 30 days"), Some(Duration::days(30)));
        assert_eq!(interval("INTERVAL 1 week"), Some(Duration::days(7)));
        assert_eq!(interval("interval 0 hours"), Some(Duration::zero()));
        assert_eq!(interval("for ever"), None);
    }
}
