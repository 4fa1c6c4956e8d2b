//! How does a change become an entry of a Delta log?
//!
//! [`entry`] turns a [`Change`] into the exact text of the next log entry; `release` writes that text
//! down first and puts it in its place later, any number of times, with put-if-absent: the version is
//! the compare-and-swap. deltalake's own commit loop is not used, because it rebases a change on
//! top of another writer's without deriving it anew. [`undo`] is the entry that takes one back.
//!
//! Format: the Delta transaction protocol, sections *Actions* and *Commit Provenance Information*.

use chrono::{DateTime, Utc};
use deltalake::kernel::Action;
use serde_json::{Map, Value, json};

use super::change::Definition;
use super::{Change, DataFile, Design, Operation};
use crate::base::TableName;

/// What a commit says about itself, besides its actions.
#[derive(Clone, Debug)]
pub struct CommitFacts {
    /// When.
    pub at: DateTime<Utc>,
    /// By whom.
    pub user: String,
    /// The run that made it.
    pub run: String,
    /// The release that publishes it.
    pub release: u64,
    /// A new table's identity, should it be one.
    pub table_id: String,
}

/// The engine's name and version, as Delta's `engineInfo` has it.
pub const ENGINE: &str = concat!("elt/", env!("CARGO_PKG_VERSION"));

/// Returns the text of the log entry that publishes `change`: one action a line.
pub fn entry(change: &Change, facts: &CommitFacts) -> String {
    let millis = facts.at.timestamp_millis();
    let mut lines = vec![commit_info(change, facts)];
    match &change.definition {
        Definition::Same => {}
        Definition::Made => {
            let base = change.base.as_deref();
            if base.is_none_or(|base| !base.design().same_protocol(&change.design)) {
                lines.push(change.design.protocol_action());
            }
            let (id, created) = match base {
                Some(base) => (base.id(), base.metadata().created_time()),
                None => (facts.table_id.as_str(), Some(millis)),
            };
            lines.push(change.design.metadata_action(&change.table, id, created));
        }
        Definition::Restored { metadata, protocol } => {
            lines.push(json!({"protocol": protocol}));
            lines.push(json!({"metaData": metadata}));
        }
    }
    lines.extend(change.transactions.iter().map(|(app, progress)| transaction(app, progress.now, millis)));
    let data_change = change.operation != Operation::Optimize;
    for file in &change.retire {
        lines.push(action(Action::Remove(file.remove(millis, data_change))));
    }
    for file in &change.add {
        lines.push(action(Action::Add(file.add().clone())));
    }
    text(&lines)
}

/// Returns the text of the log entry that takes `change` back, for the version after its own.
///
/// Only needed when another writer's commit on another table stops a release half-way.
pub fn undo(change: &Change, facts: &CommitFacts) -> String {
    let millis = facts.at.timestamp_millis();
    let mut lines = vec![json!({"commitInfo": {
        "timestamp": millis,
        "operation": "RESTORE",
        "operationParameters": {"version": change.base().map(|version| version.0)},
        "engineInfo": ENGINE,
        "elt.abandoned_release": facts.release,
        "elt.run": facts.run,
    }})];
    if let (Some(base), false) = (&change.base, matches!(change.definition, Definition::Same)) {
        lines.push(json!({"protocol": base.protocol()}));
        lines.push(json!({"metaData": base.metadata()}));
    }
    lines.extend(change.transactions.iter().map(|(app, progress)| transaction(app, progress.before, millis)));
    lines.extend(change.add.iter().map(|file| action(Action::Remove(file.remove(millis, true)))));
    lines.extend(change.retire.iter().map(|file| action(Action::Add(file.add().clone()))));
    text(&lines)
}

/// Returns the text of a table's first log entry that names files which are there already.
pub(super) fn converted(
    table: &TableName,
    design: &Design,
    files: &[DataFile],
    id: &str,
    millis: i64,
) -> String {
    let mut lines = vec![
        json!({"commitInfo": {
            "timestamp": millis,
            "operation": "CONVERT",
            "operationParameters": {
                "numFiles": files.len().to_string(),
                "partitionedBy": json!(design.partition_columns()).to_string(),
                "collectStats": "true",
                "sourceFormat": "parquet",
            },
            "operationMetrics": {"numConvertedFiles": files.len().to_string()},
            "engineInfo": ENGINE,
        }}),
        design.protocol_action(),
        design.metadata_action(table, id, Some(millis)),
    ];
    lines.extend(files.iter().map(|file| action(Action::Add(file.add().clone()))));
    text(&lines)
}

fn commit_info(change: &Change, facts: &CommitFacts) -> Value {
    let mut info = Map::new();
    info.insert("timestamp".into(), facts.at.timestamp_millis().into());
    info.insert("userName".into(), facts.user.clone().into());
    let (operation, parameters) = operation(change);
    info.insert("operation".into(), operation.into());
    info.insert("operationParameters".into(), parameters);
    if let Some(base) = change.base() {
        info.insert("readVersion".into(), base.0.into());
    }
    info.insert("isBlindAppend".into(), matches!(change.operation, Operation::Append).into());
    info.insert("operationMetrics".into(), metrics(change));
    info.insert("engineInfo".into(), ENGINE.into());
    info.insert("elt.release".into(), facts.release.into());
    info.insert("elt.run".into(), facts.run.clone().into());
    for (key, value) in &change.provenance {
        info.insert(format!("elt.{key}"), value.clone());
    }
    json!({"commitInfo": info})
}

/// The version that stands for "never": a `txn` cannot be taken out of a log, only be outdone.
pub(super) const NEVER: i64 = -1;

fn transaction(app: &str, version: Option<i64>, millis: i64) -> Value {
    json!({"txn": {"appId": app, "version": version.unwrap_or(NEVER), "lastUpdated": millis}})
}

/// The operation and its parameters, in the words that `DESCRIBE HISTORY` users know. Values are strings.
fn operation(change: &Change) -> (&'static str, Value) {
    let partition_by = json!(change.design.partition_columns()).to_string();
    let write = |mode: &str| ("WRITE", json!({"mode": mode, "partitionBy": partition_by}));
    match change.operation {
        Operation::Append => write("Append"),
        Operation::Overwrite if change.base.is_none() => (
            "CREATE TABLE AS SELECT",
            json!({"mode": "ErrorIfExists", "partitionBy": partition_by,
                   "properties": json!(change.design.properties()).to_string()}),
        ),
        Operation::Overwrite | Operation::ReplaceWhere => write("Overwrite"),
        Operation::Merge => ("MERGE", json!({})),
        Operation::Delete => ("DELETE", json!({})),
        Operation::Update => ("UPDATE", json!({})),
        Operation::Truncate => ("TRUNCATE", json!({})),
        Operation::Optimize => ("OPTIMIZE", json!({})),
        Operation::Create => (
            "CREATE TABLE",
            json!({"partitionBy": partition_by, "properties": json!(change.design.properties()).to_string()}),
        ),
        Operation::Clone => ("CLONE", json!({"isShallow": "true"})),
        Operation::Alter => {
            ("SET TBLPROPERTIES", json!({"properties": json!(change.design.properties()).to_string()}))
        }
        Operation::Restore { to } => ("RESTORE", json!({"version": to.0.to_string()})),
    }
}

fn metrics(change: &Change) -> Value {
    let effect = change.effect;
    json!({
        "numFiles": change.add.len().to_string(),
        "numRemovedFiles": change.retire.len().to_string(),
        "numOutputRows": (effect.added + effect.updated).to_string(),
        "numUpdatedRows": effect.updated.to_string(),
        "numDeletedRows": effect.removed.to_string(),
        "numOutputBytes": effect.bytes.to_string(),
    })
}

fn action(action: Action) -> Value {
    serde_json::to_value(action).expect("actions are plain data")
}

fn text(lines: &[Value]) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(&line.to_string());
        text.push('\n');
    }
    text
}

/// Reads back which release of elt made a log entry, if any did.
pub fn release_of(entry: &str) -> Option<u64> {
    let first: Value = serde_json::from_str(entry.lines().next()?).ok()?;
    first.get("commitInfo")?.get("elt.release")?.as_u64()
}

/// Says in a few words who made a log entry: `MERGE by delta-rs:1.6.6`.
pub fn author_of(table: &TableName, entry: &str) -> String {
    let info = entry.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let info = info.filter_map(|line| line.get("commitInfo").cloned()).next().unwrap_or_default();
    let word = |key: &str| info.get(key).and_then(Value::as_str);
    let operation = word("operation").unwrap_or("a commit");
    match word("engineInfo") {
        Some(engine) => format!("{operation} on `{table}` by {engine}"),
        None => format!("{operation} on `{table}` by another program"),
    }
}
