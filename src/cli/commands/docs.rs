//! `elt docs generate`

use std::process::ExitCode;

use super::study::told;
use crate::base::{Result, World};
use crate::cli::args::{DocsArgs, Place};
use crate::cli::ui::Ui;
use crate::lakehouse::{Lakehouse, StudyRequest};

/// Writes the catalog. Exit code 1, and no catalog, if something could not be compiled.
pub(crate) async fn generate(args: DocsArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let defer = args.deferral.read(&args.selection)?;
    args.selection.warn_of_state(&lakehouse, ui);
    let request = StudyRequest { defer, ..args.selection.study()? };
    let studied = match args.no_compile {
        true => Box::pin(lakehouse.picked(&request)).await?,
        false => Box::pin(lakehouse.study(&request)).await?,
    };
    told(&studied, ui);
    if !studied.not_compiled.is_empty() {
        ui.log().cannot_document();
        ui.line("compile failed, cannot generate docs; build what these nodes read, or use --no-compile");
        return Ok(ExitCode::from(1));
    }
    let target = &studied.compiled.project.target;
    ui.log().concurrency(1, &target.name, studied.picked.len());
    ui.log().building_catalog();
    let documented = Box::pin(lakehouse.document(&studied, args.empty_catalog)).await?;
    ui.log().written("CatalogWritten", &documented.path);
    let beside = if args.no_compile { "" } else { "; manifest.json is beside it" };
    ui.line(&format!("catalog.json tells of {} tables and views{beside}", documented.count));
    Ok(ExitCode::SUCCESS)
}
