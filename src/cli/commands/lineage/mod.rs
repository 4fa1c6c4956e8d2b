//! `elt lineage TABLE[.COLUMN]`

mod drawing;
mod tree;

use std::process::ExitCode;

use serde_json::json;

use crate::base::{Result, World};
use crate::cli::args::{LineageArgs, LineageFormat, Place};
use crate::cli::or_interrupted;
use crate::cli::ui::Ui;
use crate::lakehouse::{Lakehouse, LineageRequest};

pub(crate) async fn run(args: LineageArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let LineageArgs { of, upstream, downstream, at, format } = args;
    let request = LineageRequest { of, upstream, downstream, at };
    let graph = or_interrupted(Box::pin(lakehouse.lineage(&request)), ui).await?;
    match format {
        LineageFormat::Text => {
            let (up, down) = if upstream == downstream { (true, true) } else { (upstream, downstream) };
            ui.print(&tree::told(&graph, up, down))?;
        }
        LineageFormat::Json => ui.print_json(&json!(graph))?,
        LineageFormat::Dot => ui.print(&drawing::dot(&graph))?,
        LineageFormat::Mermaid => ui.print(&drawing::mermaid(&graph))?,
        LineageFormat::Openlineage => {
            for event in lakehouse.open_lineage(&graph) {
                ui.print(&event.to_string())?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
