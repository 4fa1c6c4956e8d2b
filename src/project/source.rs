//! What is a source, and how do its files arrive?
//!
//! A [`Source`] is one table of a `sources:` entry. If its `config:` (or `meta:`) gives a
//! `location`, elt lands those files itself; [`SourceLanding`] says how.

use std::sync::Arc;

use serde_json::Value;

use crate::base::{Diagnostic, Span, TableName};

use super::config::{Config, Setting, as_flag, plain, texts};
use super::data_test::DataTest;
use super::model::Column;

/// One table of a source.
#[derive(Clone, Debug)]
pub struct Source {
    /// The package that describes it.
    pub package: String,
    /// The source's name: the first argument of `source()`.
    pub source: String,
    /// The table's name: the second argument of `source()`.
    pub table: String,
    /// Where the table lies in the lake.
    pub name: TableName,
    /// What it is, in words.
    pub description: String,
    /// The columns that properties describe, in their order.
    pub columns: Arc<[Column]>,
    /// How its files arrive, if elt lands them.
    pub landing: Option<SourceLanding>,
    /// Its settings, and those of the whole source below them.
    pub config: Config,
    /// `[package, folder…, source, table]`.
    pub fqn: Vec<String>,
    /// The tests on the whole table.
    pub tests: Vec<DataTest>,
    /// Where it is described.
    pub at: Span,
    /// What is said of the whole source, and only shown.
    pub whole: Arc<WholeSource>,
}

/// What is said of a whole source, and only shown.
#[derive(Clone, Debug, Default)]
pub struct WholeSource {
    /// What it is, in words.
    pub description: String,
    /// What loads it.
    pub loader: String,
    /// Its `meta`.
    pub meta: Value,
    /// Its schema, as it is written.
    pub schema: Option<String>,
}

/// How the files of a source are found and read. Types come from the source's columns.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceLanding {
    /// Paths or globs relative to the project's root, with `{name}` and `{identifier}` filled in.
    pub location: Vec<String>,
    /// What else is said about them, in a fixed order; landing understands the values.
    pub options: Vec<LandingOption>,
    /// Where the location is written.
    pub at: Span,
}

/// One thing that is said about a source's files.
#[derive(Clone, Debug, PartialEq)]
pub struct LandingOption {
    /// Its name.
    pub name: String,
    /// Its value, or its values.
    pub values: Vec<String>,
    /// Where it is written.
    pub at: Span,
}

/// The options that may stand under `meta:` as well as under `config:`.
const PLACES: [&str; 3] = ["location", "external_location", "schema_contract"];

/// The options of landing, all of which may stand under `meta:` as well as under `config:`.
const OPTIONS: [&str; 29] = [
    "format",
    "compression",
    "encoding",
    "delimiter",
    "quote",
    "header",
    "null_values",
    "decimal",
    "date_order",
    "date_format",
    "hive_partitioning",
    "infer_types",
    "schema_hints",
    "on_change",
    "on_copy",
    "on_damaged",
    "modified_after",
    "modified_before",
    "schema_evolution_mode",
    "contract_tables",
    "contract_columns",
    "contract_data_type",
    "max_rejected",
    "max_rejected_fraction",
    "provenance",
    "external",
    "partition_by",
    "cluster_by",
    "write_mode",
];

impl SourceLanding {
    /// Takes the options that stand under `meta` into the config itself, where it has none of that name.
    ///
    /// To be done before the config of a table is laid over that of its source.
    pub(super) fn promote(config: &mut Config) {
        let Some((meta, at)) = config.meta().cloned().zip(config.get("meta").map(|meta| meta.at.clone()))
        else {
            return;
        };
        for (key, value) in meta {
            let known = PLACES.iter().chain(&OPTIONS).any(|option| *option == key);
            if known && config.get(&key).is_none() {
                config.set(&key, value, at.clone());
            }
        }
    }

    /// Reads how a table lands out of its config; nothing if no location is given.
    ///
    /// `table` and `identifier` fill `{name}` and `{identifier}` of the location.
    pub(super) fn read(
        config: &Config,
        table: &str,
        identifier: &str,
        found: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let location = option(config, "location").or_else(|| option(config, "external_location"))?;
        let fill = |text: String| text.replace("{name}", table).replace("{identifier}", identifier);
        let paths: Vec<String> = texts(&location.value).into_iter().map(fill).collect();
        if paths.is_empty() || paths.iter().any(|path| path.trim().is_empty()) {
            found.push(bad("location", "a path, a glob, or a list of them", &location.at));
            return None;
        }
        if paths.iter().any(|path| path.contains('(')) {
            found.push(
                Diagnostic::error(
                    "elt::source_option",
                    "a location is a path or a glob, not a function call",
                )
                .at(&location.at, "a call")
                .help("write the path alone and say `format:`, `delimiter:` and `header:` beside it"),
            );
            return None;
        }
        let said = OPTIONS.iter().filter_map(|name| {
            let setting = option(config, name)?;
            let values = match *name {
                "null_values" | "partition_by" | "cluster_by" => texts(&setting.value),
                _ => vec![written(&setting.value)],
            };
            Some(LandingOption { name: (*name).to_owned(), values, at: setting.at })
        });
        let mut options: Vec<LandingOption> = contract(config);
        options.extend(said);
        Some(Self { location: paths, options, at: location.at })
    }
}

/// `schema_contract: freeze`, or a map of `tables`, `columns` and `data_type`.
fn contract(config: &Config) -> Vec<LandingOption> {
    let Some(setting) = option(config, "schema_contract") else { return Vec::new() };
    let said = |name: &str, value: &Value| LandingOption {
        name: format!("contract_{name}"),
        values: vec![written(value)],
        at: setting.at.clone(),
    };
    match &setting.value {
        Value::Object(parts) => parts.iter().map(|(name, value)| said(name, value)).collect(),
        Value::String(word) if word.starts_with("discard") => {
            ["columns", "data_type"].map(|name| said(name, &setting.value)).into()
        }
        value => ["tables", "columns", "data_type"].map(|name| said(name, value)).into(),
    }
}

/// A value as it was written, but for YAML's own words for yes and no.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => as_flag(value).map_or_else(|| plain(value), |flag| flag.to_string()),
    }
}

/// An option of landing.
fn option(config: &Config, key: &str) -> Option<Setting> {
    config.get(key).cloned()
}

fn bad(key: &str, wanted: &str, at: &Span) -> Diagnostic {
    Diagnostic::error("elt::source_option", format!("`{key}` of a source must be {wanted}"))
        .at(at, format!("not {wanted}"))
        .help(format!("write {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{SourceText, show_all};
    use crate::project::{words, yaml::Yaml};

    fn landing(text: &str) -> (Option<SourceLanding>, Vec<Diagnostic>) {
        let mut found = Vec::new();
        let yaml = Yaml::parse(&SourceText::new("s.yml", text)).unwrap();
        let mut config = Config::read(&yaml, words::SOURCE_CONFIG, "a source's config", &mut found);
        SourceLanding::promote(&mut config);
        let landing = SourceLanding::read(&config, "people", "crm_people", &mut found);
        (landing, found)
    }

    #[test]
    fn options_come_from_config_or_meta() {
        let (read, found) = landing(
            "location: 'inbox/{name}-{identifier}.csv'\nmeta: {delimiter: ';', header: 'yes', on_change: reload, null_values: ''}",
        );
        assert!(found.is_empty(), "{}", show_all(&found));
        let read = read.unwrap();
        assert_eq!(read.location, ["inbox/people-crm_people.csv"]);
        let said: Vec<(&str, &[String])> =
            read.options.iter().map(|option| (option.name.as_str(), option.values.as_slice())).collect();
        let expected = [("delimiter", ";"), ("header", "yes"), ("null_values", ""), ("on_change", "reload")];
        let expected = expected.map(|(name, value)| (name, [value.to_owned()]));
        assert_eq!(
            said,
            expected.iter().map(|(name, values)| (*name, values.as_slice())).collect::<Vec<_>>()
        );
        assert_eq!(landing("meta: {owner: me}").0, None);
    }
}
