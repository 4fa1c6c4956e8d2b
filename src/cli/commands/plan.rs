//! `elt plan`

use std::process::ExitCode;

use serde_json::json;

use super::columns;
use crate::base::{ReleaseNumber, Result, World};
use crate::cli::args::{Place, PlanArgs, ReportFormat};
use crate::cli::or_interrupted;
use crate::cli::ui::Ui;
use crate::lakehouse::{BuildRequest, FileOutcome, Lakehouse, LandReport, Planned};

pub(crate) async fn run(args: PlanArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let request = BuildRequest {
        select: args.selection.include()?,
        exclude: args.selection.exclude()?,
        earlier: args.selection.earlier()?,
        kinds: args.selection.kinds(),
        full: args.full,
        full_refresh: args.full_refresh,
        ..BuildRequest::default()
    };
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let planned = Box::pin(or_interrupted(lakehouse.plan(&request), ui)).await?;
    planned.warnings.iter().for_each(|warning| ui.diagnostic(warning));
    match args.format {
        ReportFormat::Json => ui.print_json(&as_json(&planned))?,
        ReportFormat::Text => show(&planned, ui)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(planned: &Planned, ui: &Ui) -> Result<()> {
    let mut rows: Vec<[String; 4]> = Vec::new();
    for report in &planned.landed {
        let count = |is: fn(&FileOutcome) -> bool| report.files.iter().filter(|file| is(file)).count();
        let new = count(|file| matches!(file, FileOutcome::Loaded(_)));
        let again = count(|file| matches!(file, FileOutcome::Reloaded(_)));
        let action = if new + again == 0 { "-" } else { "land" };
        let because = land_words(report, new, again);
        rows.push([action.to_owned(), "source".to_owned(), report.table.to_string(), because]);
    }
    for step in &planned.steps {
        let action = match &step.action {
            None => "-",
            Some(action) if action.is_test() => "test",
            Some(_) => "build",
        };
        let because = step.because.to_string();
        rows.push([action.to_owned(), step.kind.to_owned(), step.name.clone(), because]);
    }
    if !rows.is_empty() {
        ui.print(&columns(["action", "kind", "name", "because"], &rows))?;
    }
    ui.line(&summary(planned));
    if !planned.gone.is_empty() {
        let names = planned.gone.iter().take(NAMED).map(ToString::to_string);
        let mut names: Vec<String> = names.collect();
        if planned.gone.len() > NAMED {
            names.push(format!("{} more", planned.gone.len() - NAMED));
        }
        ui.line(&format!(
            "not made by this project any more, and still there: {}; `drop table` or `drop view` takes it away",
            names.join(", ")
        ));
    }
    Ok(())
}

/// So many names are told of what is not made any more.
const NAMED: usize = 10;

/// What there is to land: `2 new files; changed since loaded, left as it is: inbox/a.csv`.
fn land_words(report: &LandReport, new: usize, again: usize) -> String {
    let mut words = Vec::new();
    let files =
        |count: usize| if count == 1 { "1 new file".to_owned() } else { format!("{count} new files") };
    words.extend((new > 0).then(|| files(new)));
    let changed =
        |count: usize| files(count).replace("new", "changed") + ", in place of what was loaded of it";
    words.extend((again > 0).then(|| changed(again)));
    let changed: Vec<&str> = report.changed().collect();
    if !changed.is_empty() {
        let files = changed.join(", ");
        words.push(format!(
            "changed since loaded, left as it is (`on_change: reload` would take it): {files}"
        ));
    }
    if words.is_empty() {
        words.push("no new file".to_owned());
    }
    words.join("; ")
}

/// The plan in a line: `2 to build, 5 to test, 40 up to date as of release 7`.
fn summary(planned: &Planned) -> String {
    let count = |is_test: bool| {
        let steps = planned.steps.iter().filter_map(|step| step.action);
        steps.filter(|action| action.is_test() == is_test).count()
    };
    let (to_build, to_test) = (count(false), count(true));
    let rest = planned.steps.len() - to_build - to_test;
    if to_build + to_test == 0 {
        return nothing_to_build(rest, planned.release);
    }
    format!("{to_build} to build, {to_test} to test, {rest} up to date")
}

/// What there is to say where nothing has to be done.
pub(super) fn nothing_to_build(nodes: usize, release: Option<ReleaseNumber>) -> String {
    let as_of = release.map(|number| format!(" as of release {number}")).unwrap_or_default();
    match nodes {
        0 => "nothing to build: no nodes are selected".to_owned(),
        1 => format!("nothing to build: the one node is up to date{as_of}"),
        nodes => format!("nothing to build: all {nodes} nodes are up to date{as_of}"),
    }
}

fn as_json(planned: &Planned) -> serde_json::Value {
    json!({
        "release": planned.release,
        "landed": planned.landed,
        "nodes": planned.steps,
        "gone": planned.gone,
    })
}
