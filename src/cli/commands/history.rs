//! `elt history TABLE`

use std::process::ExitCode;

use serde_json::json;

use super::columns;
use crate::base::{Result, World};
use crate::cli::args::{HistoryArgs, Place, ReportFormat};
use crate::cli::ui::Ui;
use crate::lakehouse::{Commit, Lakehouse};

pub(crate) async fn run(args: HistoryArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let commits = lakehouse.history(&args.table, args.limit).await?;
    if args.format == ReportFormat::Json {
        ui.print_json(&json!(commits))?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<[String; 6]> = commits.iter().map(row).collect();
    ui.print(&columns(["version", "at (UTC)", "by", "operation", "rows", "release"], &rows))?;
    Ok(ExitCode::SUCCESS)
}

fn row(commit: &Commit) -> [String; 6] {
    let metric =
        |key: &str| commit.metrics.get(key).and_then(|value| value.as_str()).filter(|count| *count != "0");
    let counts = [("numOutputRows", "written"), ("numUpdatedRows", "updated"), ("numDeletedRows", "deleted")];
    let rows: Vec<String> =
        counts.iter().filter_map(|(key, word)| metric(key).map(|count| format!("{count} {word}"))).collect();
    [
        commit.version.to_string(),
        commit.timestamp.format("%Y-%m-%d %H:%M:%S").to_string(),
        commit.user.clone().unwrap_or_else(|| commit.engine.clone().unwrap_or_default()),
        commit.operation.clone().unwrap_or_default(),
        rows.join(", "),
        commit.release.map(|release| release.to_string()).unwrap_or_default(),
    ]
}
