//! What does a project promise about its data?
//!
//! A [`DataTest`] is a generic test as a properties file asks for it; a [`SingularTest`] is a file
//! of SQL that returns the rows that break a promise. What they mean is `compile`'s business, so
//! arguments stay as written, Jinja and all.

use serde_json::{Map, Value};

use crate::base::{Diagnostic, SourceText, Span};

use super::config::Config;
use super::words;
use super::yaml::{Entry, RenderScope, Yaml, YamlJinja, YamlNode};

/// A generic test, as written under `data_tests:` or `tests:`.
#[derive(Clone, Debug)]
pub struct DataTest {
    /// The test's name: `unique`.
    pub test: String,
    /// The package it is taken from, if one is named: `dbt_utils`.
    pub package: Option<String>,
    /// The column it is on.
    pub column: Option<String>,
    /// The name the user gives it.
    pub name: Option<String>,
    /// What it is for, in words.
    pub description: String,
    /// Its arguments, unrendered, in the order written.
    pub arguments: Map<String, Value>,
    /// Its settings; `where` is unrendered.
    pub config: Config,
    /// Where it is asked for.
    pub at: Span,
}

/// A test that is a query of its own.
#[derive(Clone, Debug)]
pub struct SingularTest {
    /// The file's name without `.sql`.
    pub name: String,
    /// The package it belongs to.
    pub package: String,
    /// The file.
    pub source_text: SourceText,
    /// `[package, folder…, name]`.
    pub fqn: Vec<String>,
    /// What it is for, in words.
    pub description: String,
    /// The settings of `dbt_project.yml` and of properties.
    pub config: Config,
}

/// Settings that may stand beside a test's arguments, as dbt allowed before `config:`.
const LOOSE_SETTINGS: &[&str] = &[
    "severity",
    "where",
    "limit",
    "warn_if",
    "error_if",
    "fail_calc",
    "enabled",
    "tags",
    "meta",
    "alias",
    "schema",
    "database",
    "group",
    "store_failures",
    "store_failures_as",
];

/// Reads the list under `data_tests:`, adding what is wrong with it to `found`.
pub(super) fn read_tests(
    list: &Yaml,
    column: Option<&str>,
    jinja: &dyn YamlJinja,
    scope: &RenderScope<'_>,
    found: &mut Vec<Diagnostic>,
) -> Vec<DataTest> {
    let mut tests = Vec::new();
    for item in list.items() {
        match header(item) {
            Ok((test, body)) => tests.push(read_test(test, body, item, column, jinja, scope, found)),
            Err(diagnostic) => found.push(diagnostic),
        }
    }
    tests
}

/// The test's name and the entries that describe it, in any of dbt's three ways of writing it.
fn header(item: &Yaml) -> Result<(String, &[Entry]), Diagnostic> {
    if let Some(name) = item.text() {
        return Ok((name, &[]));
    }
    if let Some(name) = item.get("test_name").and_then(Yaml::text) {
        return Ok((name, item.entries()));
    }
    match item.entries() {
        [only] => Ok((only.key.clone(), only.value.entries())),
        [first, ..] => {
            Err(Diagnostic::error("elt::data_test", format!("`{}` stands beside other keys", first.key))
                .at(&item.at, "a test is one key")
                .help("indent the arguments and settings under the test's name"))
        }
        [] => Err(Diagnostic::error("elt::data_test", "this is not a test")
            .at(&item.at, "neither a name nor a mapping")
            .help("write `- unique`, or `- accepted_values:` with its arguments below")),
    }
}

fn read_test(
    written: String,
    body: &[Entry],
    item: &Yaml,
    column: Option<&str>,
    jinja: &dyn YamlJinja,
    scope: &RenderScope<'_>,
    found: &mut Vec<Diagnostic>,
) -> DataTest {
    let (package, test) = match written.split_once('.') {
        Some((package, test)) => (Some(package.to_owned()), test.to_owned()),
        None => (None, written),
    };
    let mut read = DataTest {
        test,
        package,
        column: column.map(str::to_owned),
        name: None,
        description: String::new(),
        arguments: Map::new(),
        config: Config::default(),
        at: item.at.clone(),
    };
    let mut settings: Vec<Entry> = Vec::new();
    for entry in body {
        match entry.key.as_str() {
            "test_name" => {}
            "name" => read.name = entry.value.text(),
            "description" => read.description = entry.value.text().unwrap_or_default(),
            "column_name" if column.is_none() => read.column = entry.value.text(),
            "arguments" => {
                read.arguments
                    .extend(entry.value.entries().iter().map(|e| (e.key.clone(), e.value.to_json())));
            }
            "config" => settings.extend(entry.value.entries().iter().cloned()),
            loose if LOOSE_SETTINGS.contains(&loose) => settings.push(entry.clone()),
            argument => {
                read.arguments.insert(argument.to_owned(), entry.value.to_json());
            }
        }
    }
    let mut settings = Yaml { at: item.at.clone(), node: YamlNode::Map(settings) };
    settings.render(jinja, scope, &["where"], found);
    read.config = Config::read(&settings, words::TEST_CONFIG, "a data test's config", found);
    read
}
