//! A copy of a table knows the files that the table knows.

use crate::table::{Change, LEDGER, Snapshot, TableError, Tables};

/// Makes the landed files of `source` those of the table that `change` makes a clone: what was landed there counts as landed
/// here, and a forced load replaces its rows. `before` is where the table's own ledger began so far, if not with the table.
///
/// # Errors
/// If the log of `source` cannot be read.
pub async fn with_ledger_of(
    mut change: Change,
    tables: &Tables,
    source: &Snapshot,
    before: Option<i64>,
) -> Result<Change, TableError> {
    let Some(all) = source.all_transactions(tables).await? else {
        tracing::warn!(table = %source.table(), "the log's beginning is gone; the clone knows none of its files");
        return Ok(change);
    };
    let version = i64::try_from(change.version().0).unwrap_or(i64::MAX - 1);
    let there = all.get(LEDGER).map_or("elt/".to_owned(), |since| format!("elt@{since}/"));
    let entries = all.iter().filter_map(|(app, number)| Some((app.strip_prefix(&there)?, *number)));
    for (entry, number) in entries.filter(|(entry, _)| KINDS.iter().any(|kind| entry.starts_with(kind))) {
        // What says which version took a file's content: the rows came to this table with the clone.
        let number = if entry.starts_with("content/") && number > 0 { version + 1 } else { number };
        change = change.with_transaction(format!("elt@{version}/{entry}"), None, number);
    }
    Ok(change.with_new_ledger(before))
}

/// The entries of a ledger; others of `elt/…` speak of tables that follow each other.
const KINDS: [&str; 6] = ["file/", "stamp/", "content/", "order/", "untyped/", "decimal_comma"];
