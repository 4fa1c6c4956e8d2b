//! `elt maintain [TABLE] [--dry-run]`

use std::process::ExitCode;

use serde_json::json;

use crate::base::{Result, World};
use crate::cli::args::{MaintainArgs, Place, ReportFormat};
use crate::cli::or_interrupted;
use crate::cli::ui::Ui;
use crate::lakehouse::Lakehouse;

pub(crate) async fn run(args: MaintainArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::create(&place.options()?, world)?;
    let work = lakehouse.maintain(args.table.as_deref(), args.dry_run, ui);
    let done = or_interrupted(work, ui).await?;
    if args.format == ReportFormat::Json {
        let failed =
            done.failed.iter().map(|(table, error)| json!({"table": table, "error": error.to_string()}));
        ui.print_json(&json!({
            "dry_run": args.dry_run,
            "actions": done.done,
            "release": done.release,
            "failed": failed.collect::<Vec<_>>(),
        }))?;
    }
    for action in &done.done {
        ui.line(&format!("{:<11} {}  {}", action.action, action.table, action.detail));
    }
    match (&done.release, done.done.is_empty(), args.dry_run) {
        (_, true, _) if done.failed.is_empty() => ui.line("nothing is due"),
        (_, _, true) => ui.line("this is what is due; without --dry-run it is done"),
        (Some(release), ..) => ui.line(&format!("published release {}", release.number)),
        (None, ..) => {}
    }
    for (table, error) in &done.failed {
        ui.line(&format!("{:<11} {table}  {error}", "failed"));
    }
    match done.failed.into_iter().next() {
        Some((_, error)) => Err(error.into()),
        None => Ok(ExitCode::SUCCESS),
    }
}
