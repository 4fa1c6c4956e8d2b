//! `elt clean`

use std::process::ExitCode;

use crate::base::{Result, World};
use crate::cli::args::Place;
use crate::cli::ui::Ui;
use crate::lakehouse::Lakehouse;

pub(crate) fn run(place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let cleaned = Lakehouse::open(&place.options()?, world)?.clean()?;
    if cleaned.is_empty() {
        ui.line("nothing to clean");
    }
    cleaned.iter().for_each(|folder| ui.line(&format!("deleted {}", folder.display())));
    Ok(ExitCode::SUCCESS)
}
