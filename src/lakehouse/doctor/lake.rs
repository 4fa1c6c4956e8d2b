//! What makes a lake slow or large.

use std::collections::BTreeSet;

use super::super::environment::pointed_to;
use super::super::maintain::SMALL_FILES;
use super::super::{Lakehouse, Manifest};
use super::{Finding, add};
use crate::base::{Result, Unwatched, grouped};
use crate::table::write::{Compaction, worth_compacting};
use crate::table::{DataFile, history};

/// A share of hidden rows from which on a table is worth writing anew.
const HIDDEN: f64 = 0.1;
/// Commits that one table may have had in a week before its log is told of.
const MANY_VERSIONS: u64 = 1000;

pub(super) async fn look(
    lakehouse: &Lakehouse,
    manifest: Option<&Manifest>,
    found: &mut Vec<Finding>,
) -> Result<()> {
    let pins = lakehouse.pins().await?;
    let due = Box::pin(lakehouse.maintain(None, true, &Unwatched)).await?;
    let of = |action: &str| -> Vec<String> {
        let done = due.done.iter().filter(|done| done.action == action);
        done.map(|done| format!("{}: {}", done.table, done.detail)).collect()
    };
    add(
        found,
        "log_growth",
        "a long log without a checkpoint, which every reader replays",
        of("checkpoint"),
        "elt maintain",
    );
    add(found, "old_files", "files that no release of the last week has", of("vacuum"), "elt maintain");
    add(
        found,
        "old_log",
        "entries of logs that no release of the last month needs",
        of("log cleanup"),
        "elt maintain",
    );
    let damaged = due.failed.iter().map(|(table, error)| format!("{table}: {error}")).collect();
    add(
        found,
        "damaged",
        "tables that cannot be read",
        damaged,
        "elt rollback, or restore the files from a backup",
    );
    let (mut small, mut hidden, mut many) = (Vec::new(), Vec::new(), Vec::new());
    // What is hidden is told apart, and is no reason here.
    let pieces = Compaction { at_least: SMALL_FILES, hidden_one_in: 0, ..Compaction::default() };
    for (name, version) in &pins.tables {
        let Ok(snapshot) = lakehouse.tables.snapshot(name, *version).await else { continue };
        let in_pieces = worth_compacting(&snapshot, &pieces).len();
        if in_pieces > 0 {
            small.push(format!("{name}: {in_pieces} files to be written again"));
        }
        let rows: u64 = snapshot.files().iter().filter_map(DataFile::rows_in_file).sum();
        let gone: u64 = snapshot.files().iter().map(DataFile::hidden_rows).sum();
        let share = gone as f64 / rows.max(1) as f64;
        if share >= HIDDEN {
            hidden.push(format!(
                "{name}: {} of {} rows ({:.0} %)",
                grouped(gone),
                grouped(rows),
                share * 100.0
            ));
        }
        if version.0 >= MANY_VERSIONS {
            many.push(format!("{name}: version {version}"));
        }
    }
    add(found, "small_files", "many small files, which every query opens one by one", small, "elt maintain");
    add(
        found,
        "hidden_rows",
        "rows that are deleted and still in files, which every query reads past",
        hidden,
        "elt maintain TABLE, or `optimize TABLE` in SQL",
    );
    add(
        found,
        "many_versions",
        "a history of many versions",
        many,
        "land and build less often, or more files at once (`--max-files-per-trigger`)",
    );
    let Some(manifest) = manifest else { return Ok(()) };
    let made: BTreeSet<_> = manifest.nodes.values().filter_map(|node| node.relation.as_ref()).collect();
    let mut orphans = Vec::new();
    for (name, version) in pins.tables.iter().filter(|(name, _)| !made.contains(name)) {
        if name.schema() != lakehouse.default_schema() {
            continue;
        }
        let commits = history(&lakehouse.tables, name, *version, 1).await?;
        let by =
            commits.first().and_then(|commit| commit.provenance.get("model")?.as_str().map(str::to_owned));
        orphans.extend(by.map(|by| format!("{name}: made by {by}")));
    }
    let views = pins.views.iter().filter(|(name, view)| {
        !made.contains(name) && name.schema() == lakehouse.default_schema() && pointed_to(view).is_none()
    });
    orphans.extend(views.map(|(name, _)| format!("{name}: a view")));
    add(
        found,
        "orphan",
        "nothing of the project makes it any more",
        orphans,
        "elt sql -c \"drop table NAME\" (or view)",
    );
    Ok(())
}
