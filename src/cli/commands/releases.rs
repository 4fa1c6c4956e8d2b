//! `elt releases`

use std::process::ExitCode;

use serde_json::json;

use super::columns;
use crate::base::{Result, World};
use crate::cli::args::{Place, ReleasesArgs, ReportFormat};
use crate::cli::ui::Ui;
use crate::lakehouse::{Lakehouse, Release};

pub(crate) async fn run(args: ReleasesArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    lakehouse.check_there()?;
    let releases = lakehouse.releases(args.limit).await?;
    if args.format == ReportFormat::Json {
        ui.print_json(&json!(releases))?;
        return Ok(ExitCode::SUCCESS);
    }
    if releases.is_empty() {
        ui.print("no releases yet; `elt build` makes the first")?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<[String; 6]> = releases.iter().map(row).collect();
    ui.print(&columns(["release", "published at (UTC)", "by", "made by", "run", "what changed"], &rows))?;
    Ok(ExitCode::SUCCESS)
}

/// So many tables of a release are named; the rest is counted.
const NAMED: usize = 20;

fn row(release: &Release) -> [String; 6] {
    let named = release.tables.iter().take(NAMED);
    let mut changed: Vec<String> =
        named.map(|summary| format!("{} ({})", summary.table, summary.effect)).collect();
    if let Some(more @ 1..) = release.tables.len().checked_sub(NAMED) {
        changed.push(format!("and {more} more"));
    }
    let what = match release.abandoned_because() {
        Some(because) => format!("abandoned: {because}"),
        None if changed.is_empty() => "names and views only".to_owned(),
        None => changed.join(", "),
    };
    [
        release.number.to_string(),
        release.at.format("%Y-%m-%d %H:%M:%S").to_string(),
        release.user.clone(),
        release.kind_words(),
        release.run.clone(),
        what,
    ]
}
