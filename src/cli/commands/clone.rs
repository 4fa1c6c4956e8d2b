//! `elt clone`

use std::process::ExitCode;

use super::columns;
use crate::base::{Result, World};
use crate::cli::args::{CloneArgs, Place};
use crate::cli::or_interrupted;
use crate::cli::ui::Ui;
use crate::lakehouse::{CloneRequest, Lakehouse};

/// Brings the tables of another state over, and says what became of each.
pub(crate) async fn run(args: CloneArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::create(&place.options()?, world)?;
    args.selection.warn_of_state(&lakehouse, ui);
    let request = CloneRequest {
        select: args.selection.include()?,
        exclude: args.selection.exclude()?,
        earlier: args.selection.earlier()?,
        full_refresh: args.full_refresh,
        kinds: args.selection.kinds(),
    };
    let (told, release) = or_interrupted(lakehouse.clone_state(&request), ui).await?;
    if !told.is_empty() {
        let rows: Vec<[String; 2]> = told.into_iter().map(|one| [one.name, one.what]).collect();
        ui.print(&columns(["name", "clone"], &rows))?;
    }
    match release {
        Some(number) => ui.line(&format!("published release {number}")),
        None => ui.line("nothing to clone"),
    }
    Ok(ExitCode::SUCCESS)
}
