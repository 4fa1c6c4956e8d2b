//! `elt land`

use std::process::ExitCode;

use serde_json::json;

use super::{columns, print_json};
use crate::base::{Result, World, grouped};
use crate::cli::args::{LandArgs, Place, ReportFormat};
use crate::cli::or_interrupted;
use crate::cli::ui::Ui;
use crate::lakehouse::{FileOutcome, Lakehouse};

pub(crate) async fn run(args: LandArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::create(&place.options()?, world)?;
    let files = from_here(&args.files);
    let landed = or_interrupted(lakehouse.land(&args.table, &files, ui), ui).await?;
    ui.settle();
    if args.format == ReportFormat::Json {
        print_json(&json!(landed))?;
    }
    let rows: Vec<[String; 6]> = landed.report.files.iter().map(row).collect();
    if !rows.is_empty() {
        ui.line(&columns(["file", "outcome", "read", "loaded", "rescued", "rejected"], &rows));
    }
    match &landed.release {
        Some(release) => ui.line(&format!("published release {}", release.number)),
        None => ui.line("nothing new to publish"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Paths that a person types are relative to where that person is, not to the project's root.
fn from_here(files: &[String]) -> Vec<String> {
    let absolute = |file: &String| match std::path::absolute(file) {
        Ok(path) => path.to_string_lossy().into_owned(),
        Err(_) => file.clone(),
    };
    files.iter().map(absolute).collect()
}

fn row(file: &FileOutcome) -> [String; 6] {
    let bare = |path: &str, outcome: &str| {
        [path.to_owned(), outcome.to_owned(), String::new(), String::new(), String::new(), String::new()]
    };
    let (account, outcome) = match file {
        FileOutcome::Loaded(account) => (account, "loaded"),
        FileOutcome::Reloaded(account) => (account, "reloaded"),
        FileOutcome::Skipped { path } => return bare(path, "already loaded"),
        FileOutcome::Changed { path } => return bare(path, "changed, left as it is"),
        FileOutcome::Empty { path } => return bare(path, "empty"),
    };
    let counts = [account.read, account.loaded, account.rescued, account.rejected].map(grouped);
    let [read, loaded, rescued, rejected] = counts;
    [account.path.clone(), outcome.to_owned(), read, loaded, rescued, rejected]
}
