//! Which version was current then?

use chrono::{DateTime, Utc};

use super::{TableError, Tables, history};
use crate::base::{TableName, TableVersion};

/// Returns the newest version of `table`, `upto` at most, that was committed at or before `instant`.
///
/// Time is that of the commits themselves, made to rise: a commit is never older than the one
/// before it. Copying a lake therefore changes nothing, unlike with file times.
///
/// # Errors
/// [`TableError::BeforeFirst`] if the oldest commit still known is younger than `instant`.
pub async fn version_at(
    tables: &Tables,
    table: &TableName,
    upto: TableVersion,
    instant: DateTime<Utc>,
) -> Result<TableVersion, TableError> {
    let mut commits = history(tables, table, upto, usize::MAX).await?;
    commits.reverse();
    let first = commits.first().map(|commit| commit.timestamp);
    let mut clock = DateTime::<Utc>::MIN_UTC;
    let mut found = None;
    for commit in &commits {
        clock = clock.max(commit.timestamp);
        if clock <= instant {
            found = Some(commit.version);
        }
    }
    found.ok_or_else(|| TableError::BeforeFirst {
        table: table.clone(),
        asked: instant.to_rfc3339(),
        first: first.map_or_else(|| "unknown".to_owned(), |first| first.to_rfc3339()),
    })
}
