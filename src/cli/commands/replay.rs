//! `elt replay RUN`

use std::process::ExitCode;

use serde_json::json;

use crate::base::{Ending, Result, World, grouped};
use crate::cli::args::{Place, ReplayArgs, ReportFormat};
use crate::cli::ui::Ui;
use crate::lakehouse::{Lakehouse, ReplayedTable};

pub(crate) async fn run(args: ReplayArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let replayed = Box::pin(lakehouse.replay(&args.run, ui)).await?;
    ui.settle();
    match args.format {
        ReportFormat::Json => ui.print_json(&json!(replayed))?,
        ReportFormat::Text => {
            for table in &replayed.tables {
                ui.print(&told(table, ui))?;
            }
        }
    }
    let count = |is: fn(&ReplayedTable) -> bool| replayed.tables.iter().filter(|table| is(table)).count();
    let same = count(ReplayedTable::is_same);
    let made = count(|table| table.difference.is_some());
    let all = replayed.tables.len();
    ui.line(&format!(
        "run {}: {same} of {all} tables are the same when they are made again, {} differ, {} were not made again",
        replayed.run,
        made - same,
        all - made
    ));
    Ok(match (made == same, made == all) {
        (false, _) => ExitCode::from(1),
        (true, false) => ExitCode::from(2),
        (true, true) => ExitCode::SUCCESS,
    })
}

fn told(table: &ReplayedTable, ui: &Ui) -> String {
    let ReplayedTable { table: name, version, difference, because, .. } = table;
    let because = because.as_ref().map(|because| format!("  ({because})")).unwrap_or_default();
    match difference {
        None => format!("{}  {name}  version {version}{because}", ui.paint("not made", Ending::Skipped)),
        Some(found) if found.is_nothing() => {
            format!(
                "{}  {name}  version {version}, {} rows",
                ui.paint("same", Ending::Done),
                grouped(found.unchanged)
            )
        }
        Some(found) => format!(
            "{}  {name}  version {version}: {} rows only now, {} rows only then, {} the same{because}",
            ui.paint("DIFFERS", Ending::Failed),
            grouped(found.added),
            grouped(found.removed),
            grouped(found.unchanged)
        ),
    }
}
