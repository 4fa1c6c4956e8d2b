//! `elt run-operation`

use std::process::ExitCode;

use crate::base::{Result, World};
use crate::cli::args::{OperationArgs, Place};
use crate::cli::or_interrupted;
use crate::cli::ui::Ui;
use crate::lakehouse::{Lakehouse, OpenOptions};

/// Runs a macro and says what it said.
pub(crate) async fn run(args: &OperationArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::create(&place.options()?, world)?;
    let arguments = args
        .args
        .as_deref()
        .map(|text| OpenOptions::read_map("--args", text))
        .transpose()?
        .unwrap_or_default();
    let told = or_interrupted(lakehouse.operate(&args.name, &arguments), ui).await?;
    told.warnings.iter().for_each(|warning| ui.diagnostic(warning));
    ui.said(&told.messages);
    match told.releases.as_slice() {
        [] => ui.line(&format!("ran `{}`", args.name)),
        [one] => ui.line(&format!("ran `{}`, published release {one}", args.name)),
        [first, .., last] => ui.line(&format!("ran `{}`, published releases {first} to {last}", args.name)),
    }
    Ok(ExitCode::SUCCESS)
}
