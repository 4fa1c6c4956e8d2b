//! How is a model materialized, once all its settings are known?

use std::collections::BTreeSet;

use crate::base::{Diagnostic, Span, TableName, did_you_mean};
use crate::project::words::unsupported;
use crate::project::{Config, Setting};

use super::Facts;
use super::node::{Materialization, OnSchemaChange, Strategy};

/// Materializations elt has, then dbt's that it does not have yet.
const KNOWN: [&str; 4] = ["view", "table", "incremental", "ephemeral"];
const NOT_YET: [&str; 4] = ["snapshot", "seed", "materialized_view", "test"];

const STRATEGIES: [&str; 3] = ["append", "merge", "default"];
const STRATEGIES_NOT_YET: [&str; 3] = ["delete+insert", "insert_overwrite", "microbatch"];

const SCHEMA_CHANGES: [&str; 4] = ["ignore", "fail", "append_new_columns", "sync_all_columns"];

/// Reads how a model is materialized. `written_at` finds the place of a setting in the user's files.
///
/// What is wrong is added to `found`, and dbt's default taken in its place.
pub(super) fn read(
    config: &Config,
    relation: Option<&TableName>,
    facts: &Facts,
    found: &mut Vec<Diagnostic>,
) -> Materialization {
    let Some(setting) = config.get("materialized") else { return Materialization::View };
    match text(setting).as_str() {
        "view" => Materialization::View,
        "table" => Materialization::Table,
        "ephemeral" => Materialization::Ephemeral,
        "incremental" => incremental(config, setting, relation, facts, found),
        other => {
            found.push(wrong("materialized", other, &setting.at, &KNOWN, &NOT_YET));
            Materialization::View
        }
    }
}

fn incremental(
    config: &Config,
    materialized: &Setting,
    relation: Option<&TableName>,
    facts: &Facts,
    found: &mut Vec<Diagnostic>,
) -> Materialization {
    let unique_key = config.texts("unique_key");
    let by_key = if unique_key.is_empty() { Strategy::Append } else { Strategy::Merge };
    let strategy = match config.get("incremental_strategy") {
        None => by_key,
        Some(setting) => match text(setting).as_str() {
            "append" => Strategy::Append,
            "merge" => {
                if unique_key.is_empty() {
                    found.push(no_key(&setting.at));
                }
                Strategy::Merge
            }
            "default" => by_key,
            other => {
                found.push(wrong(
                    "incremental_strategy",
                    other,
                    &setting.at,
                    &STRATEGIES,
                    &STRATEGIES_NOT_YET,
                ));
                by_key
            }
        },
    };
    let is_there = relation.is_some_and(|name| facts.existing.contains(name));
    // A model's own `full_refresh` wins over the command line's, either way.
    let is_refresh = config.flag("full_refresh").unwrap_or(facts.full_refresh);
    Materialization::Incremental {
        strategy,
        unique_key: checked_key(unique_key, &materialized.at, found),
        is_incremental_run: is_there && !is_refresh,
        on_schema_change: on_schema_change(config, found),
    }
}

fn checked_key(key: Vec<String>, at: &Span, found: &mut Vec<Diagnostic>) -> Vec<String> {
    let distinct: BTreeSet<&String> = key.iter().collect();
    if distinct.len() < key.len() {
        found.push(
            Diagnostic::error("elt::config", "the `unique_key` names a column twice").at(at, "of this model"),
        );
    }
    key
}

fn on_schema_change(config: &Config, found: &mut Vec<Diagnostic>) -> OnSchemaChange {
    let Some(setting) = config.get("on_schema_change") else { return OnSchemaChange::Ignore };
    match text(setting).as_str() {
        "ignore" => OnSchemaChange::Ignore,
        "fail" => OnSchemaChange::Fail,
        "append_new_columns" => OnSchemaChange::AppendNewColumns,
        "sync_all_columns" => {
            found.push(unsupported(
                "`on_schema_change: sync_all_columns`",
                "instead use `append_new_columns`, or build with --full-refresh when columns go away",
                &setting.at,
            ));
            OnSchemaChange::AppendNewColumns
        }
        other => {
            found.push(wrong("on_schema_change", other, &setting.at, &SCHEMA_CHANGES, &[]));
            OnSchemaChange::Ignore
        }
    }
}

fn text(setting: &Setting) -> String {
    crate::project::plain(&setting.value).to_lowercase()
}

fn wrong(key: &str, value: &str, at: &Span, known: &[&str], not_yet: &[&str]) -> Diagnostic {
    if not_yet.contains(&value) {
        return unsupported(
            &format!("`{key}: {value}`"),
            &format!("instead use one of: {}", known.join(", ")),
            at,
        );
    }
    Diagnostic::error("elt::config", format!("`{value}` is no value of `{key}`"))
        .at(at, "not known")
        .help(format!("use one of: {}", known.join(", ")))
        .maybe_help(did_you_mean(value, known.iter().copied()))
}

fn no_key(at: &Span) -> Diagnostic {
    Diagnostic::error("elt::config", "a merge needs a `unique_key`, which says which rows are the same")
        .at(at, "merge without a key")
        .help("set `unique_key`, or use `incremental_strategy: append`")
}
