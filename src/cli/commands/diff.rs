//! `elt diff TABLE [FROM [TO]]`

use std::process::ExitCode;

use serde_json::json;

use super::{print_json, print_text};
use crate::base::{Result, World, grouped};
use crate::cli::args::{DiffArgs, Place, ReportFormat};
use crate::cli::ui::Ui;
use crate::lakehouse::{ChangedRow, DiffRequest, Difference, Lakehouse, RowChange};

pub(crate) async fn run(args: DiffArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let DiffArgs { table, from, to, key, limit, format } = args;
    let request = DiffRequest { table, from, to, key, limit };
    let difference = crate::cli::or_interrupted(lakehouse.diff(&request), ui).await?;
    match format {
        ReportFormat::Json => print_json(&json!(difference))?,
        ReportFormat::Text => print_text(&told(&difference))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn told(difference: &Difference) -> String {
    let Difference { table, from, to, key, added, removed, changed, unchanged, columns, rows } = difference;
    let by = if key.is_empty() { "by whole rows".to_owned() } else { format!("by {}", key.join(", ")) };
    let mut lines = vec![format!("{table}  version {from} to {to}, {by}")];
    lines.push(format!(
        "{} added, {} removed, {} changed, {} unchanged",
        grouped(*added),
        grouped(*removed),
        grouped(*changed),
        grouped(*unchanged)
    ));
    for column in columns {
        lines.push(match column.change {
            RowChange::Added => format!("  column {}: added", column.name),
            RowChange::Removed => format!("  column {}: removed", column.name),
            RowChange::Changed => format!("  column {}: changed in {}", column.name, grouped(column.rows)),
        });
    }
    lines.extend(rows.iter().map(row));
    let all = added + removed + changed;
    let shown = rows.len() as u64;
    if shown > 0 && shown < all {
        lines.push(format!("  … {} more", grouped(all - shown)));
    }
    lines.join("\n")
}

fn row(row: &ChangedRow) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
    let key = row.key.iter().map(text).collect::<Vec<_>>().join(", ");
    let sign = match row.change {
        RowChange::Added => '+',
        RowChange::Removed => '-',
        RowChange::Changed => '~',
    };
    let values =
        row.values.iter().map(|(name, before, after)| format!("{name}: {} → {}", text(before), text(after)));
    let values = values.collect::<Vec<_>>().join(", ");
    format!("{sign} {key}  {values}").trim_end().to_owned()
}
