//! `elt promote TARGET`

use std::process::ExitCode;

use serde_json::json;

use crate::base::{Result, World};
use crate::cli::args::{Place, PromoteArgs, ReportFormat};
use crate::cli::or_interrupted;
use crate::cli::ui::Ui;
use crate::lakehouse::Lakehouse;

pub(crate) async fn run(args: PromoteArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::create(&place.options()?, world)?;
    let promoted = or_interrupted(Box::pin(lakehouse.promote(&args.environment, ui)), ui).await?;
    if args.format == ReportFormat::Json {
        ui.print_json(&json!({"release": promoted.release, "promoted": promoted.names}))?;
    }
    match &promoted.release {
        Some(release) => {
            let (from, to) = (&promoted.environment, &promoted.production);
            ui.line(&format!("published release {}: `{from}` is `{to}` now", release.number));
            for (from, to) in &promoted.names {
                ui.line(&format!("  {to}  as {from} is"));
            }
        }
        None => ui.line("nothing to promote: all of it is as production has it"),
    }
    Ok(ExitCode::SUCCESS)
}
