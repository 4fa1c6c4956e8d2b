//! What can be set for a session, and what does it say of itself?
//!
//! What a statement leaves unsaid (`integer_division`, `null_order`), and those settings of the engine that change an answer's
//! way. What the engine has for its own shell and its own catalog would be taken and change nothing here: it is refused, and not
//! listed.

use datafusion::config::ConfigOptions;
use sqlparser::ast;

use super::describe::is_like;
use super::dialect;
use super::own;
use super::prepared::{StatementKind, setting};
use super::{Outcome, QueryError, Session, SqlMistake, zone};
use crate::base::{Division, NullOrder, Unsaid};

const INTEGER_DIVISION: &str = "integer_division";
const NULL_ORDER: &str = "null_order";

/// What the session's time zone is called.
const TIME_ZONE: [&str; 4] = ["timezone", "time_zone", "time.zone", "datafusion.execution.time_zone"];

/// Other names of settings.
const ALSO: &[(&str, &str)] = &[
    ("default_null_order", NULL_ORDER),
    ("datafusion.sql_parser.default_null_ordering", NULL_ORDER),
    ("memory_limit", "datafusion.runtime.memory_limit"),
    ("max_memory", "datafusion.runtime.memory_limit"),
    ("threads", "datafusion.execution.target_partitions"),
    ("worker_threads", "datafusion.execution.target_partitions"),
];

/// What the engine would take and nothing here would follow, and what to write instead.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    (
        "datafusion.catalog.",
        "`use schema` changes where names are looked for; options of files stand at their names: `read_csv('f', header = true)`",
    ),
    ("datafusion.explain.", "`explain analyze` tells what was read, `explain verbose` more"),
    (
        "datafusion.format.",
        "`\\pset null TEXT` and `\\mode FORMAT` change how the shell shows rows; `to_char(t, 'DD.MM.YYYY')` writes a date",
    ),
    (
        "datafusion.sql_parser.enable_ident_normalization",
        "names in double quotes keep their letters, and others are found in any",
    ),
    ("datafusion.sql_parser.dialect", "the dialect is elt's own"),
    ("datafusion.execution.listing_table_", "files are read by name: `from 'folder/*.parquet'`"),
    (
        "datafusion.execution.minimum_parallel_output_files",
        "`copy … to 'file'` writes one file, and with `partition_by` one for each folder",
    ),
    (
        "datafusion.execution.soft_max_rows_per_output_file",
        "`copy … to 'file'` writes one file, and with `partition_by` one for each folder",
    ),
    (
        "datafusion.execution.max_buffered_batches_per_output_file",
        "`copy … to 'file'` writes one file, and with `partition_by` one for each folder",
    ),
    (
        "datafusion.execution.keep_partition_by_columns",
        "write it with the copy: `copy … to 'folder' (partition_by (a), write_partition_columns true)`",
    ),
    (
        "datafusion.execution.enable_ansi_mode",
        "`cast` and arithmetic fail where a value does not fit; `try_cast` and `try(…)` give null",
    ),
    ("datafusion.spark.", "maps are made by `map([keys], [values])`"),
];

/// Settings that are told and cannot be changed.
fn is_without_effect(name: &str) -> Option<&'static str> {
    WITHOUT_EFFECT.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, instead)| *instead)
}

fn wrong(what: String, help: impl Into<String>) -> QueryError {
    SqlMistake::new("elt::sql::setting", what).help(help).into()
}

impl Session {
    /// What a `SET` or `SHOW` of our own settings gives; the statement back if it is the engine's, or no such statement.
    pub(super) fn set_or_shown(
        &self,
        statement: ast::Statement,
    ) -> Result<std::result::Result<Outcome, ast::Statement>, QueryError> {
        if let ast::Statement::Reset(_) = &statement {
            return self.all_reset().map(Ok);
        }
        if let ast::Statement::Set(ast::Set::SetTransaction { modes, .. }) = &statement {
            let reads = ast::TransactionMode::AccessMode(ast::TransactionAccessMode::ReadOnly);
            // Every transaction is serializable, whichever level is asked for.
            return match modes.contains(&reads) {
                false => Ok(Ok(own::nothing())),
                true => Err(wrong(
                    "that transactions only read is not set for a session".to_owned(),
                    "`begin read only` begins one that only reads; `elt sql --release 3` reads a release, which never changes",
                )),
            };
        }
        if let ast::Statement::ShowVariable { variable } = &statement {
            let name = variable.iter().map(|part| part.value.to_lowercase()).collect::<Vec<_>>().join(".");
            if TIME_ZONE.contains(&name.as_str()) {
                let zone = self.own.zone().unwrap_or_else(|| "UTC".to_owned());
                let row = [Some("timezone".to_owned()), Some(zone)];
                return Ok(Ok(Outcome::table(["name", "value"], &[], vec![row])));
            }
            return match (meant(&name), self.own_settings()) {
                (name, own) if own.iter().any(|(known, ..)| *known == name) => {
                    let told = own.into_iter().find(|(known, ..)| *known == name);
                    let row = told.map(|(name, value, _)| [Some(name.to_owned()), Some(value)]);
                    Ok(Ok(Outcome::table(["name", "value"], &[], row.into_iter().collect())))
                }
                (name, _)
                    if name.starts_with("datafusion.")
                        && !variable[0].value.eq_ignore_ascii_case("datafusion") =>
                {
                    let parts = name.split('.').map(ast::Ident::new).collect();
                    Ok(Err(ast::Statement::ShowVariable { variable: parts }))
                }
                _ => Ok(Err(statement)),
            };
        }
        let Some(StatementKind::Setting { name, value }) = setting(&statement)? else {
            return Ok(Err(statement));
        };
        if TIME_ZONE.contains(&name.as_str()) {
            let zone = value.as_deref().map(zone::time_zone).transpose()?.flatten();
            self.own.stay_in(zone);
            zone::settle(&self.context, &self.own);
            return Ok(Ok(own::nothing()));
        }
        match meant(&name) {
            INTEGER_DIVISION => {
                let division = value.as_deref().map(Division::read);
                if division == Some(None) {
                    return Err(wrong(
                        format!("`{}` is neither true nor false", value.unwrap_or_default()),
                        "`set integer_division = true` has 7 / 2 be 3, and `false` 3.5",
                    ));
                }
                self.own.divide(division.flatten());
                Ok(Ok(own::nothing()))
            }
            NULL_ORDER => {
                let nulls = value.as_deref().map(NullOrder::read);
                if nulls == Some(None) {
                    return Err(wrong(
                        format!("`{}` is no order of nulls", value.unwrap_or_default()),
                        "write `last` or `first`, `largest` (last, and first with DESC) or `smallest`",
                    ));
                }
                self.own.sort_nulls(nulls.flatten());
                Ok(Ok(own::nothing()))
            }
            "schema" | "search_path" => {
                let schema = value.unwrap_or_else(|| "main".to_owned());
                Err(wrong(format!("`{name}` is not set here"), format!("write `use {schema}`")))
            }
            engine => {
                if let Some(instead) = is_without_effect(engine) {
                    let what = format!("`{name}` is not supported, because nothing here would follow it");
                    return Err(wrong(what, instead));
                }
                self.note(engine);
                if engine == name && value.is_some() {
                    return Ok(Err(statement));
                }
                let Some(value) = value.or_else(|| usual(engine)) else {
                    return Err(
                        match self.setting_names().iter().any(|known| known == engine) || engine != name {
                            true => wrong(
                                format!("`{name}` has no default to go back to"),
                                "write its value: `set …`",
                            ),
                            false => wrong(
                                format!("there is no setting `{name}`"),
                                "`show all` lists the settings; a variable is forgotten by `reset variable x`",
                            ),
                        },
                    );
                };
                // `1GB`, `1 GiB` and `1G` are the same to whoever writes them.
                let value = value.replace(' ', "").to_uppercase();
                let value = value.trim_end_matches('B').trim_end_matches('I');
                let spelt = format!("set {engine} = '{}'", value.replace('\'', "''"));
                match dialect::parse(&spelt)? {
                    dialect::Statement::Query(spelt) => Ok(Err(*spelt)),
                    _ => Ok(Err(statement)),
                }
            }
        }
    }

    /// Notes what a setting of the engine is before it is set for the first time.
    fn note(&self, engine: &str) {
        let entries = self.context.state().config_options().entries();
        if let Some(entry) = entries.into_iter().find(|entry| entry.key == engine) {
            self.own.note(entry.key, entry.value);
        }
    }

    /// `RESET ALL`: everything that was set is as it was at first.
    fn all_reset(&self) -> Result<Outcome, QueryError> {
        self.own.divide(None);
        self.own.sort_nulls(None);
        self.own.stay_in(None);
        zone::settle(&self.context, &self.own);
        let mut stays = Vec::new();
        for (name, before) in self.own.noted() {
            match before.filter(|_| !name.starts_with("datafusion.runtime.")) {
                Some(before) => {
                    self.context.state_ref().write().config_mut().options_mut().set(&name, &before)?;
                }
                None => stays.push(format!("`{name}`")),
            }
        }
        match stays.is_empty() {
            true => Ok(own::nothing()),
            false => Err(wrong(
                format!("{} has no default to go back to", stays.join(" and ")),
                "all else is as it was; write its value: `set …`",
            )),
        }
    }

    /// Our own settings: name, value, and what they are.
    fn own_settings(&self) -> Vec<(&'static str, String, &'static str)> {
        let unsaid = self.unsaid();
        vec![
            (INTEGER_DIVISION, unsaid.division.told().to_owned(), "Whether 7 / 2 is 3, or 3.5"),
            (
                NULL_ORDER,
                unsaid.nulls.told().to_owned(),
                "Where ORDER BY puts nulls: last, first, as the largest (first with DESC) or as the smallest",
            ),
        ]
    }

    /// `SHOW ALL [LIKE 'pattern']`
    pub(super) fn settings(&self, pattern: Option<&str>) -> Outcome {
        let state = self.context.state();
        let engine = state.config_options().entries().into_iter();
        let engine = engine.filter(|entry| is_without_effect(&entry.key).is_none()).map(|entry| {
            let told = entry.description.split_whitespace().collect::<Vec<_>>().join(" ");
            [Some(entry.key), entry.value, Some(told)]
        });
        let own = self.own_settings().into_iter();
        let own = own.map(|(name, value, told)| [Some(name.to_owned()), Some(value), Some(told.to_owned())]);
        let mut rows: Vec<_> = own.chain(engine).collect();
        rows.retain(|[name, ..]| {
            pattern.is_none_or(|pattern| name.as_ref().is_some_and(|name| is_like(name, pattern)))
        });
        rows.sort();
        Outcome::table(["name", "value", "description"], &[], rows)
    }

    /// The values that a setting can be given, where they are few, in the order in which they are told.
    pub fn setting_values(&self) -> Vec<(String, Vec<&'static str>)> {
        let state = self.context.state();
        let is_switch = |value: &Option<String>| matches!(value.as_deref(), Some("true" | "false"));
        let engine = state.config_options().entries().into_iter().filter(|entry| is_switch(&entry.value));
        let engine = engine.map(|entry| (entry.key, vec!["true", "false"]));
        let nulls = vec!["last", "first", "largest", "smallest"];
        let own = [
            (INTEGER_DIVISION, vec!["true", "false"]),
            (NULL_ORDER, nulls.clone()),
            ("default_null_order", nulls),
            (
                "timezone",
                vec!["'UTC'", "'Europe/London'", "'Europe/Berlin'", "'America/New_York'", "'Asia/Tokyo'"],
            ),
        ];
        engine.chain(own.map(|(name, values)| (name.to_owned(), values))).collect()
    }

    /// The settings that `SET` knows, in order.
    pub fn setting_names(&self) -> Vec<String> {
        let state = self.context.state();
        let engine = state.config_options().entries().into_iter().map(|entry| entry.key);
        let engine = engine.filter(|name| is_without_effect(name).is_none());
        let own = self.own_settings().into_iter().map(|(name, ..)| name.to_owned());
        let mut names: Vec<String> = engine.chain(own).collect();
        names.sort();
        names
    }
}

/// The value that a setting of the engine has where nobody sets it.
fn usual(engine: &str) -> Option<String> {
    let entries = ConfigOptions::new().entries();
    entries.into_iter().find(|entry| entry.key == engine).and_then(|entry| entry.value)
}

/// What one of our own settings is, by its name in lower case.
pub(super) fn told(name: &str, unsaid: &Unsaid, zone: Option<String>, schema: &str) -> Option<String> {
    if TIME_ZONE.contains(&name) {
        return Some(zone.unwrap_or_else(|| "UTC".to_owned()));
    }
    match meant(name) {
        INTEGER_DIVISION => Some(unsaid.division.told().to_owned()),
        NULL_ORDER => Some(unsaid.nulls.told().to_owned()),
        "schema" | "search_path" => Some(schema.to_owned()),
        _ => None,
    }
}

/// The name of a setting that has several.
pub(super) fn meant(name: &str) -> &str {
    ALSO.iter().find(|(also, _)| *also == name).map_or(name, |(_, name)| *name)
}
