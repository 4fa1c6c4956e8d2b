//! How does a snapshot notice change, once all its settings are known?

use crate::base::{Diagnostic, did_you_mean};
use crate::project::{Config, plain};

use super::draft::Draft;
use super::materialization::columns;
use super::node::{HardDeletes, SnapshotNames, SnapshotNode, SnapshotStrategy};

/// Reads the settings of a snapshot. What is wrong is added to `found`.
pub(super) fn read(draft: &Draft, found: &mut Vec<Diagnostic>) -> SnapshotNode {
    let config = &draft.config;
    let mut wrong = |message: String, help: &str| {
        let message = format!("Compilation Error in snapshot {}: {message}", draft.name);
        found.push(Diagnostic::error("elt::snapshot", message).at(&draft.at, "of this snapshot").help(help));
    };
    let unique_key = columns(config, "unique_key");
    if unique_key.is_empty() {
        wrong("it has no `unique_key`".into(), "say which columns name a row: `unique_key='id'`");
    }
    let updated_at = config.text("updated_at");
    let strategy = match config.text("strategy").as_deref() {
        Some("timestamp") => {
            if updated_at.is_none() {
                wrong(
                    "the strategy `timestamp` needs `updated_at`".into(),
                    "name the column that says when a row changed",
                );
            }
            SnapshotStrategy::Timestamp { updated_at: updated_at.unwrap_or_default() }
        }
        Some("check") => {
            let columns = columns(config, "check_cols");
            if columns.is_empty() {
                wrong(
                    "the strategy `check` needs `check_cols`".into(),
                    "name the columns, or write `check_cols='all'`",
                );
            }
            let all = columns.len() == 1 && columns[0] == "all";
            SnapshotStrategy::Check { columns: (!all).then_some(columns), updated_at }
        }
        other => {
            let what = match other {
                Some(other) => format!("`{other}` is no strategy"),
                None => "it has no `strategy`".to_owned(),
            };
            wrong(what, "use `timestamp`, with `updated_at`, or `check`, with `check_cols`");
            SnapshotStrategy::Check { columns: None, updated_at: None }
        }
    };
    SnapshotNode {
        unique_key,
        strategy,
        hard_deletes: hard_deletes(config, found),
        names: names(config, found),
        valid_to_current: config.text("dbt_valid_to_current"),
    }
}

fn hard_deletes(config: &Config, found: &mut Vec<Diagnostic>) -> HardDeletes {
    const KNOWN: [&str; 3] = ["ignore", "invalidate", "new_record"];
    let Some(setting) = config.get("hard_deletes") else {
        return match config.flag("invalidate_hard_deletes") {
            Some(true) => HardDeletes::Invalidate,
            _ => HardDeletes::Ignore,
        };
    };
    match plain(&setting.value).as_str() {
        "ignore" => HardDeletes::Ignore,
        "invalidate" => HardDeletes::Invalidate,
        "new_record" => HardDeletes::NewRecord,
        other => {
            found.push(
                Diagnostic::error("elt::snapshot", format!("`{other}` is no value of `hard_deletes`"))
                    .at(&setting.at, "not known")
                    .help(format!("use one of: {}", KNOWN.join(", ")))
                    .maybe_help(did_you_mean(other, KNOWN)),
            );
            HardDeletes::Ignore
        }
    }
}

fn names(config: &Config, found: &mut Vec<Diagnostic>) -> SnapshotNames {
    const KNOWN: [&str; 5] =
        ["dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to", "dbt_is_deleted"];
    let setting = config.get("snapshot_meta_column_names");
    let written = setting.and_then(|setting| Some((setting, setting.value.as_object()?)));
    if let Some((setting, entries)) = written {
        for key in entries.keys().filter(|key| !KNOWN.contains(&key.as_str())) {
            found.push(
                Diagnostic::error("elt::snapshot", format!("a snapshot has no column `{key}` to rename"))
                    .at(&setting.at, "not known")
                    .help(format!("they are: {}", KNOWN.join(", ")))
                    .maybe_help(did_you_mean(key, KNOWN)),
            );
        }
    }
    let name = |key: &str| {
        let given = written.and_then(|(_, entries)| entries.get(key)).map(plain);
        given.unwrap_or_else(|| key.to_owned())
    };
    SnapshotNames {
        scd_id: name("dbt_scd_id"),
        updated_at: name("dbt_updated_at"),
        valid_from: name("dbt_valid_from"),
        valid_to: name("dbt_valid_to"),
        is_deleted: name("dbt_is_deleted"),
    }
}
