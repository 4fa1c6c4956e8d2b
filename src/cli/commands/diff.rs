//! `elt diff TABLE [FROM [TO]]`, `elt diff TABLE OTHER`, `elt diff --release FROM [TO]`

use std::process::ExitCode;

use serde_json::json;

use crate::base::{Error, ReleaseNumber, Result, TableName, World, grouped};
use crate::cli::args::{DiffArgs, Place, ReportFormat};
use crate::cli::or_interrupted;
use crate::cli::ui::Ui;
use crate::lakehouse::{ChangedRow, DiffRequest, Difference, Lakehouse, ReleaseDifference, RowChange};

pub(crate) async fn run(args: DiffArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let DiffArgs { table, from, to, release, key, limit, format } = args;
    let (as_json, as_text) = match (table, &release[..]) {
        (None, [_, ..]) if !key.is_empty() => {
            let what = "`--key` tells the rows of one table apart, and two releases have many";
            return Err(Error::user(
                "elt::flag",
                what,
                "name the table: `elt diff orders --release 1 2 --key id`",
            ));
        }
        (Some(table), [from, rest @ ..]) => {
            let (from, to) = in_releases(&lakehouse, &table, *from, rest.first().copied()).await?;
            if from == to {
                let text = format!("{table}  version {from} in both");
                (json!(Difference { table, from: Some(from), to: Some(to), ..Difference::default() }), text)
            } else {
                let request = DiffRequest { table, from: Some(from), to: Some(to), with: None, key, limit };
                let found = or_interrupted(lakehouse.diff(&request), ui).await?;
                (json!(found), told(&found))
            }
        }
        (Some(table), []) => {
            let (from, with) = match from.as_deref().map(str::parse) {
                None => (None, None),
                Some(Ok(version)) => (Some(version), None),
                Some(Err(_)) => (None, from),
            };
            if let (Some(other), Some(_)) = (&with, to) {
                let what =
                    format!("`{other}` is no version, and two tables are compared as readers see them");
                return Err(Error::user(
                    "elt::flag",
                    what,
                    "write two versions of one table, or two tables: `elt diff main.orders dev.orders`",
                ));
            }
            let request = DiffRequest { table, from, to, with, key, limit };
            let found = or_interrupted(lakehouse.diff(&request), ui).await?;
            (json!(found), told(&found))
        }
        (None, [from, rest @ ..]) => {
            let newest = lakehouse.releases(1).await?.first().map_or(0, |release| release.number.0);
            let to = rest.first().copied().unwrap_or(newest);
            let asked = Box::pin(lakehouse.diff_releases(ReleaseNumber(*from), ReleaseNumber(to), limit));
            let found = or_interrupted(asked, ui).await?;
            let title = format!("release {from} to {to}");
            (json!(found), releases_told(&found, &title))
        }
        (None, []) => unreachable!("clap asks for a table or releases"),
    };
    match format {
        ReportFormat::Json => ui.print_json(&as_json)?,
        ReportFormat::Text => ui.print(&as_text)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The versions of a table that two releases have, the newest in place of one that is not named.
async fn in_releases(lakehouse: &Lakehouse, table: &str, from: u64, to: Option<u64>) -> Result<(u64, u64)> {
    let releases = lakehouse.releases(usize::MAX).await?;
    let wrong = |what: String| {
        Error::user("elt::diff", what, "`elt releases` lists the releases, and what each changed")
    };
    let name = TableName::parse(table, lakehouse.default_schema());
    let name =
        name.map_err(|error| Error::user("elt::flag", error.to_string(), "write `table` or `schema.table`"))?;
    let version = |number: u64| {
        let release = releases.iter().find(|release| release.number.0 == number);
        let release = release.ok_or_else(|| wrong(format!("there is no release {number}")))?;
        let version = release.pins.tables.get(&name);
        version
            .map(|version| version.0)
            .ok_or_else(|| wrong(format!("release {number} has no table `{name}`")))
    };
    let newest = releases.iter().find(|release| release.is_published()).map_or(0, |release| release.number.0);
    Ok((version(from)?, version(to.unwrap_or(newest))?))
}

/// What is different between what readers saw and what they see, or would see.
pub(super) fn releases_told(difference: &ReleaseDifference, title: &str) -> String {
    let mut parts = vec![title.to_owned()];
    parts.extend(difference.tables.iter().map(told));
    parts.extend(difference.views.iter().map(|(name, change)| match change {
        RowChange::Added => format!("{name}  a new view"),
        RowChange::Removed => format!("{name}  a view that is gone"),
        RowChange::Changed => {
            let title = format!("{name}  a view with another query");
            let rows = difference.view_rows.iter().find(|rows| rows.table == name.to_string());
            rows.map_or_else(|| title.clone(), |rows| rows_told(&title, rows))
        }
    }));
    if difference.tables.is_empty() && difference.views.is_empty() {
        parts.push("no table and no view is another".to_owned());
    }
    parts.join("\n")
}

fn told(difference: &Difference) -> String {
    let Difference { table, from, to, added, removed, whole, .. } = difference;
    match whole {
        Some(RowChange::Added) => return format!("{table}  a new table, {} rows", grouped(*added)),
        Some(_) => return format!("{table}  a table that is gone, {} rows", grouped(*removed)),
        None => {}
    }
    match (from, to) {
        (Some(from), Some(to)) => rows_told(&format!("{table}  version {from} to {to}"), difference),
        _ => rows_told(table, difference),
    }
}

fn rows_told(title: &str, difference: &Difference) -> String {
    let Difference { key, added, removed, changed, unchanged, columns, rows, .. } = difference;
    let by = if key.is_empty() { "by whole rows".to_owned() } else { format!("by {}", key.join(", ")) };
    let mut lines = vec![format!("{title}, {by}")];
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
            RowChange::Changed => {
                let types = column.types.iter().map(|(before, after)| format!("{before} → {after}"));
                let rows = (column.rows > 0).then(|| format!("changed in {}", grouped(column.rows)));
                format!("  column {}: {}", column.name, types.chain(rows).collect::<Vec<_>>().join(", "))
            }
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
