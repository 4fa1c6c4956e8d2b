//! What is a source, and how do its files arrive?
//!
//! A [`Source`] is one table of a `sources:` entry. If its `config:` (or `meta:`) gives a
//! `location`, elt lands those files itself; [`SourceLanding`] says how.

use std::sync::Arc;

use serde_json::Value;

use crate::base::{Diagnostic, Span, TableName, did_you_mean};

use super::config::{Config, Setting, as_flag, plain, texts};
use super::data_test::DataTest;
use super::model::Column;

/// One table of a source.
#[derive(Clone, Debug)]
pub struct Source {
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
}

/// How the files of a source are found and read. Types come from the source's columns.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceLanding {
    /// Paths or globs relative to the project's root, with `{name}` and `{identifier}` filled in.
    pub location: Vec<String>,
    /// `csv`, `json` or `parquet`; by the file's ending if nothing is said.
    pub format: Option<String>,
    /// What stands between two values of a CSV line.
    pub delimiter: Option<char>,
    /// Whether a CSV file begins with the names of its columns.
    pub header: Option<bool>,
    /// The texts that mean null.
    pub null_values: Option<Vec<String>>,
    /// What to do when a landed file has changed.
    pub on_change: OnChange,
    /// Where the location is written.
    pub at: Span,
}

/// What landing does about a file that changed after it was landed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChange {
    /// Leaves the table alone and says so. Written `report` or `skip`.
    #[default]
    Report,
    /// Replaces the rows of the file by its new ones.
    Reload,
    /// Fails the load.
    Fail,
}

/// The options that may stand under `meta:` as well as under `config:`.
const OPTIONS: [&str; 7] =
    ["location", "external_location", "format", "delimiter", "header", "null_values", "on_change"];

const FORMATS: [&str; 3] = ["csv", "json", "parquet"];
const ON_CHANGE: [&str; 4] = ["report", "reload", "fail", "skip"];

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
            if OPTIONS.contains(&key.as_str()) && config.get(&key).is_none() {
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
        Some(Self {
            location: paths,
            format: one_of(config, "format", &FORMATS, found),
            delimiter: delimiter(config, found),
            header: flag(config, "header", found),
            null_values: option(config, "null_values").map(|setting| texts(&setting.value)),
            on_change: match one_of(config, "on_change", &ON_CHANGE, found).as_deref() {
                Some("reload") => OnChange::Reload,
                Some("fail") => OnChange::Fail,
                _ => OnChange::Report,
            },
            at: location.at,
        })
    }
}

/// An option of landing.
fn option(config: &Config, key: &str) -> Option<Setting> {
    config.get(key).cloned()
}

fn one_of(config: &Config, key: &str, known: &[&str], found: &mut Vec<Diagnostic>) -> Option<String> {
    let setting = option(config, key)?;
    let written = plain(&setting.value).to_lowercase();
    if known.contains(&written.as_str()) {
        return Some(written);
    }
    found.push(
        bad(key, &format!("one of {}", known.join(", ")), &setting.at)
            .maybe_help(did_you_mean(&written, known.iter().copied())),
    );
    None
}

fn flag(config: &Config, key: &str, found: &mut Vec<Diagnostic>) -> Option<bool> {
    let setting = option(config, key)?;
    let flag = as_flag(&setting.value);
    if flag.is_none() {
        found.push(bad(key, "true or false", &setting.at));
    }
    flag
}

fn delimiter(config: &Config, found: &mut Vec<Diagnostic>) -> Option<char> {
    let setting = option(config, "delimiter")?;
    let written = match &setting.value {
        Value::String(text) if text == "\\t" || text == "tab" => "\t".to_owned(),
        value => plain(value),
    };
    let mut chars = written.chars();
    match (chars.next(), chars.next()) {
        (Some(one), None) if one.is_ascii() => Some(one),
        _ => {
            found.push(bad("delimiter", "one ASCII character, or `\\t`", &setting.at));
            None
        }
    }
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
        assert_eq!((read.delimiter, read.header, read.on_change), (Some(';'), Some(true), OnChange::Reload));
        assert_eq!(read.null_values, Some(vec![String::new()]));
        assert_eq!(landing("meta: {owner: me}").0, None);
    }

    #[test]
    fn wrong_options_are_shown_where_they_stand() {
        let (_, found) =
            landing("location: a.csv\nformat: prquet\ndelimiter: '||'\nheader: maybe\non_change: explode\n");
        insta::assert_snapshot!(show_all(&found), @r"
    s.yml:2:9: `format` of a source must be one of csv, json, parquet (did you mean `parquet`?)
    s.yml:3:12: `delimiter` of a source must be one ASCII character, or `\t` (write one ASCII character, or `\t`)
    s.yml:4:9: `header` of a source must be true or false (write true or false)
    s.yml:5:12: `on_change` of a source must be one of report, reload, fail, skip (write one of report, reload, fail, skip)
    ");
    }
}
