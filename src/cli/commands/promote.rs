//! `elt promote TARGET`

use std::process::ExitCode;

use serde_json::json;

use super::review::Review;
use crate::base::{Error, Result, World};
use crate::cli::args::{Place, PromoteArgs, ReportFormat};
use crate::cli::or_interrupted;
use crate::cli::ui::Ui;
use crate::lakehouse::{Lakehouse, PromoteRequest, Reviewer};

pub(crate) async fn run(args: PromoteArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::create(&place.options()?, world)?;
    let request =
        PromoteRequest { environment: args.environment, full_refresh: args.full_refresh, wait: args.wait };
    let review = args.diff.then(|| Review::new(args.yes, args.format, ui));
    let reviewer = review.as_ref().map(|review| review as &dyn Reviewer);
    let promoted = or_interrupted(Box::pin(lakehouse.promote(&request, reviewer, ui)), ui).await?;
    ui.settle();
    if args.format == ReportFormat::Json {
        let mut told = json!({"release": promoted.release, "promoted": promoted.names});
        if promoted.difference.is_some() {
            told["difference"] = json!(promoted.difference);
        }
        ui.print_json(&told)?;
    }
    if promoted.is_withdrawn && review.as_ref().is_some_and(Review::asks_nobody) {
        let what = "nothing was promoted: there is nobody to ask whether what --diff shows is wanted";
        let help =
            "`elt promote TARGET --diff --yes` publishes it, `elt promote TARGET --diff` at a terminal asks";
        return Err(Error::user("elt::not_asked", what, help));
    }
    match &promoted.release {
        None if promoted.is_withdrawn => ui.line("nothing was promoted: it was not wanted"),
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
