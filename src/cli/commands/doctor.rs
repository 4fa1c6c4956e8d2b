//! `elt doctor` and `elt storage`: what could be better, and what everything costs

use std::process::ExitCode;

use serde_json::json;

use super::columns;
use crate::base::{Result, World, grouped};
use crate::cli::args::{DoctorArgs, Place, ReportFormat, StorageArgs};
use crate::cli::or_interrupted;
use crate::cli::ui::Ui;
use crate::lakehouse::{Finding, Lakehouse, TableStorage};

/// Things that are named one by one, unless all are asked for.
const FEW: usize = 5;

pub(crate) async fn run(args: DoctorArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    lakehouse.check_there()?;
    let found = or_interrupted(Box::pin(lakehouse.examine()), ui).await?;
    if args.format == ReportFormat::Json {
        ui.print_json(&json!(found))?;
        return Ok(ExitCode::SUCCESS);
    }
    for finding in &found {
        ui.print(&told(finding, args.all))?;
    }
    ui.line(&match found.len() {
        0 => "nothing that could be better was found".to_owned(),
        1 => "1 thing could be better".to_owned(),
        many => format!("{many} things could be better"),
    });
    Ok(ExitCode::SUCCESS)
}

fn told(finding: &Finding, all: bool) -> String {
    let Finding { check, says, of, mend } = finding;
    let mut lines = vec![format!("{check}  {}: {says}", of.len())];
    let shown = if all { of.len() } else { FEW };
    lines.extend(of.iter().take(shown).map(|one| format!("  {one}")));
    if of.len() > shown {
        lines.push(format!("  … {} more (--all)", of.len() - shown));
    }
    lines.push(format!("  to mend it: {mend}"));
    lines.join("\n")
}

pub(crate) async fn storage(args: StorageArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    lakehouse.check_there()?;
    let storage = or_interrupted(Box::pin(lakehouse.storage()), ui).await?;
    if args.format == ReportFormat::Json {
        ui.print_json(&json!(storage))?;
        return Ok(ExitCode::SUCCESS);
    }
    let sum = |of: fn(&TableStorage) -> u64| storage.tables.iter().map(of).sum::<u64>();
    let row = |table: &TableStorage| {
        let rows = table.rows.map(grouped).unwrap_or_default();
        let name = if table.is_visible { table.table.clone() } else { format!("{} (dropped)", table.table) };
        [
            name,
            rows,
            grouped(table.versions),
            grouped(table.files),
            bytes(table.live),
            bytes(table.history),
            bytes(table.deletable),
            bytes(table.log),
            bytes(table.raw),
        ]
    };
    let mut rows: Vec<[String; 9]> = storage.tables.iter().map(row).collect();
    let live = sum(|table| table.live);
    let total = sum(TableStorage::total);
    rows.push([
        "all".to_owned(),
        String::new(),
        String::new(),
        grouped(sum(|table| table.files)),
        bytes(live),
        bytes(sum(|table| table.history)),
        bytes(sum(|table| table.deletable)),
        bytes(sum(|table| table.log)),
        bytes(sum(|table| table.raw)),
    ]);
    let names = ["table", "rows", "versions", "files", "live", "history", "deletable", "log", "raw"];
    ui.print(&columns(names, &rows))?;
    let ((releases, of_releases), (runs, of_runs)) = (storage.releases, storage.runs);
    ui.line(&format!(
        "{} in all, {} of it is what readers see; {} releases take {}, {} reports of runs {}",
        bytes(total + of_releases + of_runs),
        bytes(live),
        grouped(releases),
        bytes(of_releases),
        grouped(runs),
        bytes(of_runs)
    ));
    if sum(|table| table.deletable) > 0 {
        ui.line("next: `elt maintain` deletes what is deletable");
    }
    Ok(ExitCode::SUCCESS)
}

/// Bytes as people read them: `1.5 MB`.
fn bytes(count: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut size, mut at) = (count as f64, 0);
    while size >= 999.5 && at + 1 < units.len() {
        size /= 1000.0;
        at += 1;
    }
    match at {
        0 => format!("{count} B"),
        _ if size < 9.95 => format!("{size:.1} {}", units[at]),
        _ => format!("{size:.0} {}", units[at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_a_unit_that_fits() {
        let told: Vec<String> = [0, 999, 1000, 1549, 99_400, 999_600, 2_500_000_000].map(bytes).into();
        assert_eq!(told, ["0 B", "999 B", "1.0 kB", "1.5 kB", "99 kB", "1.0 MB", "2.5 GB"]);
    }
}
