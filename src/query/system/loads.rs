//! Which files were loaded, and which records were not?

use futures::FutureExt;
use serde_json::Value;

use super::rows::{Kind, Row, instant};
use super::{LakeCatalog, QueryError, Rows, Scope, SystemTable};
use crate::base::TableName;
use crate::table::{self, Commit};

/// What follows a table's name in the name of its rejects.
const REJECTS: &str = "__rejected";

pub(super) const COPY_HISTORY: SystemTable = SystemTable {
    name: "copy_history",
    about: "every file that was loaded into a table, and what became of its rows",
    columns: &[
        ("table_schema", Kind::Text),
        ("table_name", Kind::Text),
        ("file_name", Kind::Text),
        ("status", Kind::Text),
        ("last_load_time", Kind::Instant),
        ("row_parsed", Kind::Whole),
        ("row_count", Kind::Whole),
        ("rows_rescued", Kind::Whole),
        ("error_count", Kind::Whole),
        ("values_discarded", Kind::Whole),
        ("first_error_message", Kind::Text),
        ("first_error_line_number", Kind::Whole),
        ("load_id", Kind::Text),
        ("raw_location", Kind::Text),
        ("version", Kind::Whole),
        ("release", Kind::Whole),
    ],
    rows: Rows::Read(|catalog| copy_history(catalog).boxed()),
};

pub(super) const LOAD_ERRORS: SystemTable = SystemTable {
    name: "load_errors",
    about: "every record that became no row, with where it was and what is wrong with it",
    columns: &[],
    rows: Rows::Query(load_errors),
};

async fn copy_history(catalog: &LakeCatalog) -> Result<Vec<Row>, QueryError> {
    let scope = &catalog.scope;
    let mut rows = Vec::new();
    for (name, version) in &scope.pins().tables {
        if name.table().ends_with(REJECTS) {
            continue;
        }
        let mut commits = table::history(scope.tables(), name, *version, usize::MAX).await?;
        commits.reverse();
        rows.extend(commits.iter().flat_map(|commit| files(name, commit)));
    }
    Ok(rows)
}

/// The files that a commit brought, and those that its load could not read.
fn files(name: &TableName, commit: &Commit) -> Vec<Row> {
    let fact = |key: &str| commit.provenance.get(key).unwrap_or(&Value::Null);
    let row = |file: &Value, status: &str| {
        let count = |key: &str| file[key].as_i64();
        let kept = count("loaded").zip(count("rescued")).map(|(loaded, rescued)| loaded + rescued);
        vec![
            name.schema().into(),
            name.table().into(),
            file["path"].clone(),
            status.into(),
            instant(commit.timestamp),
            count("read").into(),
            kept.into(),
            count("rescued").into(),
            count("rejected").into(),
            kept.map(|_| count("discarded").unwrap_or(0)).into(),
            if file["error"].is_null() { file["first_error"].clone() } else { file["error"].clone() },
            file["first_error_line"].clone(),
            fact("load_id").clone(),
            fact("raw").clone(),
            commit.version.0.into(),
            commit.release.into(),
        ]
    };
    let all = |key: &str| fact(key).as_array().cloned().unwrap_or_default();
    let loaded = all("files");
    let failed = all("failed");
    loaded
        .iter()
        .map(|file| row(file, "loaded"))
        .chain(failed.iter().map(|file| row(file, "failed")))
        .collect()
}

/// The rejects of every table, under each other.
fn load_errors(scope: &Scope) -> String {
    let names =
        scope.pins().tables.keys().filter_map(|name| Some((name, name.table().strip_suffix(REJECTS)?)));
    let of_table = |(name, landed): (&TableName, &str)| {
        format!(
            "select '{schema}' as table_schema, '{landed}' as table_name, _file_path as file_name, line, \
             column_name, error_type, error_message, csv_line, _load_id as load_id from \"{schema}\".\"{table}\"",
            schema = name.schema(),
            table = name.table(),
        )
    };
    let parts: Vec<String> = names.map(of_table).collect();
    if !parts.is_empty() {
        return parts.join(" union all ");
    }
    "select '' as table_schema, '' as table_name, '' as file_name, 0 as line, '' as column_name, '' as error_type, \
     '' as error_message, '' as csv_line, '' as load_id where false"
        .to_owned()
}
