//! `elt rollback [RELEASE]`

use std::process::ExitCode;

use serde_json::json;

use crate::base::{ReleaseNumber, Result, World};
use crate::cli::args::{Place, ReportFormat, RollbackArgs};
use crate::cli::or_interrupted;
use crate::cli::ui::Ui;
use crate::lakehouse::Lakehouse;

pub(crate) async fn run(args: RollbackArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::create(&place.options()?, world)?;
    let rolled_back =
        or_interrupted(lakehouse.roll_back_within(args.release.map(ReleaseNumber), args.wait, ui), ui)
            .await?;
    if args.format == ReportFormat::Json {
        ui.print_json(&json!({"release": rolled_back}))?;
    }
    match rolled_back {
        Some(release) => {
            ui.line(&format!("published release {}: {}", release.number, release.kind_words()));
            for summary in &release.tables {
                ui.line(&format!("  {}  version {}, {}", summary.table, summary.version, summary.effect));
            }
        }
        None => ui.line("nothing to do: readers see that already"),
    }
    Ok(ExitCode::SUCCESS)
}
