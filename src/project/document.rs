//! What else does a project write down?
//!
//! Exposures, metrics, semantic models, saved queries and groups build nothing. They are kept as
//! written, with their places, so that they stand in the manifest and selectors can mean them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::base::Span;

/// One entry of a properties file that builds nothing.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it is, in dbt's word for one of them: `exposure`, `metric`, `group`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The package it belongs to.
    pub package: String,
    /// `[package, folder…, name]`.
    pub fqn: Vec<String>,
    /// All that is written, rendered where Jinja is rendered in YAML.
    pub written: Value,
    /// Where it is written.
    pub at: Span,
}

/// The lists of a properties file that hold documents, with dbt's word for one entry.
pub(super) const KINDS: [(&str, &str); 5] = [
    ("exposures", "exposure"),
    ("metrics", "metric"),
    ("semantic_models", "semantic_model"),
    ("saved_queries", "saved_query"),
    ("groups", "group"),
];

/// What a project writes down about a model it wants tested on made-up rows.
#[derive(Clone, Debug)]
pub struct UnitTest {
    /// Its name.
    pub name: String,
    /// The package it belongs to.
    pub package: String,
    /// The model it tests.
    pub model: String,
    /// `[package, folder…, name]` of the file it is written in.
    pub fqn: Vec<String>,
    /// All that is written.
    pub written: Value,
    /// The texts of the fixture files that it names, by file name.
    pub fixtures: BTreeMap<String, String>,
    /// Where it is written.
    pub at: Span,
}

/// Reads the fixture files that a unit test names, wherever below the package's folder they lie.
pub(super) fn fixtures(written: &Value, folder: &Path) -> BTreeMap<String, String> {
    let given = written.get("given").and_then(Value::as_array).into_iter().flatten();
    let named = given.chain(written.get("expect")).filter_map(|entry| entry.get("fixture")?.as_str());
    let files = named.flat_map(|name| ["csv", "sql"].map(|ending| format!("{name}.{ending}")));
    let read = |file: String| {
        let text = std::fs::read_to_string(find_file(folder, &file, 0)?).ok()?;
        Some((file, text))
    };
    files.filter_map(read).collect()
}

/// The file of this name below `folder`, hidden folders left out, at most six folders down.
fn find_file(folder: &Path, name: &str, depth: usize) -> Option<PathBuf> {
    let mut folders = Vec::new();
    for path in std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())) {
        let own = path.file_name()?.to_string_lossy().into_owned();
        if path.is_dir() && !own.starts_with('.') && depth < 6 {
            folders.push(path);
        } else if own == name {
            return Some(path);
        }
    }
    folders.sort();
    folders.iter().find_map(|folder| find_file(folder, name, depth + 1))
}
