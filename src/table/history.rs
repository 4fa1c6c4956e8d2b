//! What happened to a table, commit by commit?

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde::Serialize;
use serde_json::Value;

use super::{TableError, Tables};
use crate::base::{TableName, TableVersion};
use crate::lake::layout;

/// One entry of a table's log, as `DESCRIBE HISTORY` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Commit {
    /// The version that it made.
    pub version: TableVersion,
    /// When: the commit's own time, or its file's if it tells none.
    pub timestamp: DateTime<Utc>,
    /// By whom, if it tells.
    pub user: Option<String>,
    /// `WRITE`, `MERGE`, `RESTORE`, …
    pub operation: Option<String>,
    /// The operation's parameters.
    pub parameters: BTreeMap<String, Value>,
    /// The operation's metrics: files, rows, bytes.
    pub metrics: BTreeMap<String, Value>,
    /// The program that made it.
    pub engine: Option<String>,
    /// The release of elt that it belongs to, if it does.
    pub release: Option<u64>,
    /// Where its rows came from, as landing and builds have noted it.
    #[serde(skip)]
    pub provenance: BTreeMap<String, Value>,
    /// Whether it says anew what the table is: its columns, its properties.
    #[serde(skip)]
    pub defines: bool,
}

/// Returns the commits of a table, newest first, from `upto` down, at most `limit`.
///
/// One listing and one small read per commit. Commits that log clean-up has removed are not in it.
pub async fn history(
    tables: &Tables,
    table: &TableName,
    upto: TableVersion,
    limit: usize,
) -> Result<Vec<Commit>, TableError> {
    let objects = tables.lake().list(&layout::log(table)).await?;
    let mut entries: Vec<_> = objects
        .into_iter()
        .filter_map(|object| Some((TableVersion(layout::number_of(&object.location)?), object)))
        .filter(|(version, _)| *version <= upto)
        .collect();
    entries.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    entries.truncate(limit);
    let read = futures::stream::iter(entries).map(|(version, object)| async move {
        let bytes = tables.lake().read(&object.location).await?.unwrap_or_default();
        Ok::<_, TableError>(commit(version, object.last_modified, &String::from_utf8_lossy(&bytes)))
    });
    let commits: Vec<Result<Commit, TableError>> = read.buffered(16).collect().await;
    commits.into_iter().collect()
}

/// Returns the commit that made one version of a table; nothing if the log has none of it any more. One small read.
pub async fn commit_of(
    tables: &Tables,
    table: &TableName,
    version: TableVersion,
) -> Result<Option<Commit>, TableError> {
    let Some(bytes) = tables.lake().read(&layout::log_entry(table, version)).await? else { return Ok(None) };
    Ok(Some(commit(version, DateTime::UNIX_EPOCH, &String::from_utf8_lossy(&bytes))))
}

fn commit(version: TableVersion, modified: DateTime<Utc>, entry: &str) -> Commit {
    let lines = entry.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let info = lines.filter_map(|line| line.get("commitInfo").cloned()).next().unwrap_or_default();
    let defines = entry.lines().any(|line| line.trim_start().starts_with("{\"metaData\""));
    let text = |key: &str| info.get(key).and_then(Value::as_str).map(str::to_owned);
    let map = |key: &str| {
        let object = info.get(key).and_then(Value::as_object).into_iter().flatten();
        object.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let noted = info.as_object().into_iter().flatten();
    let noted = noted.filter_map(|(key, value)| Some((key.strip_prefix("elt.")?.to_owned(), value.clone())));
    let own_time = info.get("timestamp").and_then(Value::as_i64).and_then(DateTime::from_timestamp_millis);
    Commit {
        version,
        timestamp: own_time.unwrap_or(modified),
        user: text("userName"),
        operation: text("operation"),
        parameters: map("operationParameters"),
        metrics: map("operationMetrics"),
        engine: text("engineInfo"),
        release: info.get("elt.release").and_then(Value::as_u64),
        provenance: noted.collect(),
        defines,
    }
}
