//! How is a model materialized, once all its settings are known?

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Diagnostic, Span, TableName, did_you_mean};
use crate::project::words::unsupported;
use crate::project::{Config, Project, Setting};

use super::Facts;
use super::batch::{BatchSize, Window};
use super::draft::Draft;
use super::jinja::Jinja;
use super::node::{
    IncrementalDetails, Materialization, NodeKind, OnConfigurationChange, OnSchemaChange, Strategy,
};
use super::sql_name::unquoted;

/// Materializations elt has, then dbt's that are for no model.
const KNOWN: [&str; 5] = ["view", "table", "incremental", "ephemeral", "materialized_view"];
const NOT_YET: [&str; 3] = ["snapshot", "seed", "test"];

const STRATEGIES: [&str; 6] =
    ["append", "merge", "delete+insert", "insert_overwrite", "microbatch", "default"];

const SCHEMA_CHANGES: [&str; 4] = ["ignore", "fail", "append_new_columns", "sync_all_columns"];

/// Reads how a model is materialized. `written_at` finds the place of a setting in the user's files.
///
/// What is wrong is added to `found`, and dbt's default taken in its place.
pub(super) fn read(
    config: &Config,
    relation: Option<&TableName>,
    facts: &Facts,
    jinja: &Jinja,
    found: &mut Vec<Diagnostic>,
) -> Materialization {
    let has_macro = |name: &str| jinja.find_macro(None, name).is_ok();
    let Some(setting) = config.get("materialized") else { return Materialization::View };
    match text(setting).as_str() {
        "view" => Materialization::View,
        "table" => Materialization::Table,
        "ephemeral" => Materialization::Ephemeral,
        "incremental" => incremental(config, setting, relation, facts, &has_macro, found),
        "materialized_view" => {
            Materialization::MaterializedView { on_change: on_configuration_change(config, found) }
        }
        other => {
            let block = jinja.materializations().iter().find(|block| block.name == other);
            found.push(match block {
                Some(block) => {
                    let what = format!(
                        "not supported: the materialization `{other}`, defined at {}",
                        block.span().place()
                    );
                    Diagnostic::error("elt::not_supported", what)
                        .at(&setting.at, "not one of elt's")
                        .help(instead())
                }
                None if NOT_YET.contains(&other) || did_you_mean(other, KNOWN).is_some() => {
                    wrong("materialized", other, &setting.at, &KNOWN, &NOT_YET)
                }
                None => Diagnostic::error("elt::config", format!("No materialization '{other}' was found"))
                    .at(&setting.at, "not known")
                    .help(format!("use one of: {}", KNOWN.join(", "))),
            });
            Materialization::View
        }
    }
}

/// Why a project's own materialization is not carried out, and what to do.
fn instead() -> String {
    format!(
        "because a build makes changes that are tested before anybody sees them, and the statements of a \
         `{{% materialization %}}` block would be seen at once; instead use one of: {}, with hooks or with a \
         strategy of your own (`get_incremental_…_sql`)",
        KNOWN.join(", ")
    )
}

/// Refuses materializations that the project has in the place of dbt's, if something would be made by them. As in dbt
/// those of packages, and of other adapters, are not taken.
pub(super) fn check_replaced<'a>(
    project: &Project,
    jinja: &Jinja,
    drafts: impl Iterator<Item = &'a Draft>,
    found: &mut Vec<Diagnostic>,
) {
    let mut used: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for draft in drafts {
        let by = match &draft.kind {
            NodeKind::Model(how) => how.word(),
            NodeKind::Seed(_) => "seed",
            NodeKind::Snapshot(_) => "snapshot",
            NodeKind::Test(_) => "test",
            NodeKind::UnitTest(_) => "unit",
            NodeKind::Source(_) | NodeKind::Analysis => continue,
        };
        used.entry(by).or_default().push(draft.shown());
    }
    let adapters = ["default", "elt", project.target.dialect.as_str()];
    let own = jinja.materializations().iter().filter(|block| block.package == project.name);
    for block in own.filter(|block| adapters.contains(&block.adapter.as_str())) {
        let Some(nodes) = used.get(block.name.as_str()) else { continue };
        let rest = match nodes.len() {
            1 => String::new(),
            many => format!(" and {} more", many - 1),
        };
        let what = format!(
            "not supported: a materialization of the project's own in the place of `{}`, by which `{}`{rest} would be made",
            block.name, nodes[0]
        );
        found.push(
            Diagnostic::error("elt::not_supported", what)
                .at(&block.span(), "not carried out")
                .help(instead()),
        );
    }
}

fn incremental(
    config: &Config,
    materialized: &Setting,
    relation: Option<&TableName>,
    facts: &Facts,
    has_macro: &dyn Fn(&str) -> bool,
    found: &mut Vec<Diagnostic>,
) -> Materialization {
    let mut by_macro = None;
    let unique_key = columns(config, "unique_key");
    let by_key = if unique_key.is_empty() { Strategy::Append } else { Strategy::Merge };
    let mut strategy = match config.get("incremental_strategy") {
        None => by_key,
        Some(setting) => match text(setting).as_str() {
            "append" => Strategy::Append,
            // As in dbt, a merge without a key adds.
            "merge" => by_key,
            "delete+insert" | "delete_insert" => Strategy::DeleteInsert,
            "insert_overwrite" => Strategy::InsertOverwrite,
            "microbatch" => Strategy::Microbatch,
            "default" => by_key,
            other if has_macro(&strategy_macro(other)) => {
                by_macro = Some(strategy_macro(other));
                if let Some(change) = config.get("on_schema_change").filter(|change| text(change) != "ignore")
                {
                    found.push(unsupported(
                        &format!("`on_schema_change` beside the strategy `{other}` of the project's own"),
                        "leave it out, and build with --full-refresh when columns change",
                        &change.at,
                    ));
                }
                Strategy::Custom
            }
            other => {
                let what = format!(
                    "dbt could not find an incremental strategy macro with the name \"{}\"",
                    strategy_macro(other)
                );
                found.push(
                    Diagnostic::error("elt::config", what)
                        .at(&setting.at, "not known")
                        .help(format!("use one of: {}", STRATEGIES.join(", ")))
                        .maybe_help(did_you_mean(other, STRATEGIES)),
                );
                by_key
            }
        },
    };
    let details = IncrementalDetails {
        update_columns: columns(config, "merge_update_columns"),
        exclude_columns: columns(config, "merge_exclude_columns"),
        predicates: [config.texts("incremental_predicates"), config.texts("predicates")].concat(),
        partition_by: partition_columns(config),
        window: (strategy == Strategy::Microbatch).then(|| window(config, relation, facts, found)).flatten(),
        by_macro,
    };
    if strategy == Strategy::DeleteInsert && unique_key.is_empty() {
        strategy = Strategy::Append;
    }
    if strategy == Strategy::InsertOverwrite && details.partition_by.is_empty() {
        let at = &config.get("incremental_strategy").unwrap_or(materialized).at;
        found.push(
            Diagnostic::error("elt::config", "`insert_overwrite` needs `partition_by`")
                .at(at, "which partitions?")
                .help("name the columns by whose values rows are replaced: `partition_by=['day']`"),
        );
    }
    let is_there = relation.is_some_and(|name| facts.existing.contains(name));
    Materialization::Incremental {
        strategy,
        unique_key: checked_key(unique_key, &materialized.at, found),
        is_incremental_run: is_there && !is_refresh(config, facts),
        on_schema_change: on_schema_change(config, found),
        details: Box::new(details),
    }
}

/// The macro that a project may have for a strategy of its own.
fn strategy_macro(strategy: &str) -> String {
    format!("get_incremental_{}_sql", strategy.replace('+', "_"))
}

fn on_configuration_change(config: &Config, found: &mut Vec<Diagnostic>) -> OnConfigurationChange {
    let Some(setting) = config.get("on_configuration_change") else { return OnConfigurationChange::Apply };
    match text(setting).as_str() {
        "apply" => OnConfigurationChange::Apply,
        "continue" => OnConfigurationChange::Continue,
        "fail" => OnConfigurationChange::Fail,
        other => {
            found.push(wrong(
                "on_configuration_change",
                other,
                &setting.at,
                &["apply", "continue", "fail"],
                &[],
            ));
            OnConfigurationChange::Apply
        }
    }
}

/// A model's own `full_refresh` wins over the command line's, either way.
fn is_refresh(config: &Config, facts: &Facts) -> bool {
    config.flag("full_refresh").unwrap_or(facts.full_refresh)
}

/// The columns that a setting names.
pub(super) fn columns(config: &Config, key: &str) -> Vec<String> {
    config.texts(key).into_iter().map(unquoted).collect()
}

/// The columns of `partition_by`, which may be a name, a list, or a mapping with `field`.
fn partition_columns(config: &Config) -> Vec<String> {
    match config.get("partition_by").map(|setting| &setting.value) {
        Some(serde_json::Value::Object(entries)) => {
            entries.get("field").map(crate::project::plain).into_iter().collect()
        }
        _ => columns(config, "partition_by"),
    }
}

/// The stretch of time that a microbatch builds: from `begin` on a first run, otherwise the present batch
/// and `lookback` before it.
fn window(
    config: &Config,
    relation: Option<&TableName>,
    facts: &Facts,
    found: &mut Vec<Diagnostic>,
) -> Option<Window> {
    let mut need = |key: &str, example: &str| {
        let value = config.text(key);
        if value.is_none() {
            let at = config.get("incremental_strategy").map(|setting| &setting.at)?;
            found.push(
                Diagnostic::error("elt::config", format!("a microbatch model needs `{key}`"))
                    .at(at, "not set")
                    .help(format!("set `{key}={example}`")),
            );
        }
        value
    };
    let event_time = need("event_time", "'created_at'");
    let begin = need("begin", "'2024-01-01'");
    let size = need("batch_size", "'day'");
    let (event_time, begin, size) = (event_time?, begin?, size?.to_lowercase());
    let begin = match crate::base::parse_instant(begin.trim_end_matches("+00:00")) {
        Some(begin) => begin,
        None => {
            let at = &config.get("begin")?.at;
            found
                .push(Diagnostic::error("elt::config", format!("`{begin}` is no date")).at(at, "not a date"));
            return None;
        }
    };
    let Some(size) = BatchSize::parse(&size) else {
        let at = &config.get("batch_size")?.at;
        found.push(
            Diagnostic::error("elt::config", format!("`{size}` is no `batch_size`"))
                .at(at, "not known")
                .help("use hour, day, month or year"),
        );
        return None;
    };
    let lookback: u32 = config.text("lookback").and_then(|n| n.parse().ok()).unwrap_or(1);
    let present = size.floor(facts.run_started_at);
    let is_there = relation.is_some_and(|name| facts.existing.contains(name));
    let start = match facts.event_time_start {
        Some(start) => size.floor(start),
        None if is_there && !is_refresh(config, facts) => {
            size.step(present, -i32::try_from(lookback).unwrap_or(1))
        }
        None => size.floor(begin),
    };
    let end = match facts.event_time_end {
        Some(end) if size.floor(end) == end => end,
        Some(end) => size.step(size.floor(end), 1),
        None => size.step(present, 1),
    };
    Some(Window { event_time, start, end, size, only: None })
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
        "sync_all_columns" => OnSchemaChange::SyncAllColumns,
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
