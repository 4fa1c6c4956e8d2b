//! What does `dbt_project.yml` say?
//!
//! [`Settings`] is that file, read and rendered, with dbt's defaults for what it leaves out. A
//! folder without the file but with `models/` is a project too: [`Settings::default_for`].
//!
//! Not here: profiles ([`target`](super::target)), or the files the paths lead to.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::{Diagnostic, Span};

use super::config::{ConfigTree, as_flag};
use super::words;
use super::yaml::{Yaml, YamlNode};

/// The words of `dbt_project.yml` that say where the files are, each a list of folders.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    /// Models, and properties of anything.
    pub(super) models: Vec<String>,
    /// Macros.
    pub(super) macros: Vec<String>,
    /// Singular tests; generic ones in the folder `generic` inside.
    pub(super) tests: Vec<String>,
    /// Analyses. elt reads the properties there and leaves the rest alone.
    pub(super) analyses: Vec<String>,
    /// Seeds; a CSV file in one is an error until elt has seeds.
    pub(super) seeds: Vec<String>,
    /// Snapshots; a file in one is an error until elt has snapshots.
    pub(super) snapshots: Vec<String>,
}

/// `dbt_project.yml`.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The project's name, which is also its package in every id.
    pub(super) name: String,
    /// The profile it asks for.
    pub(super) profile: Option<String>,
    /// Where its files are.
    pub(super) paths: Paths,
    /// Where artifacts go, relative to the root.
    pub(super) target_path: String,
    /// `vars:`, those scoped to this project on top.
    pub(super) vars: BTreeMap<String, Value>,
    /// `models:`.
    pub(super) models: ConfigTree,
    /// `sources:`.
    pub(super) sources: ConfigTree,
    /// `data_tests:` (or `tests:`).
    pub(super) tests: ConfigTree,
}

impl Settings {
    /// The settings of a project that has no `dbt_project.yml`.
    pub(super) fn default_for(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            profile: None,
            paths: Paths {
                models: vec!["models".into()],
                macros: vec!["macros".into()],
                tests: vec!["tests".into()],
                analyses: vec!["analyses".into()],
                seeds: vec!["seeds".into()],
                snapshots: vec!["snapshots".into()],
            },
            target_path: "target".into(),
            vars: BTreeMap::new(),
            models: ConfigTree::default(),
            sources: ConfigTree::default(),
            tests: ConfigTree::default(),
        }
    }

    /// Reads the rendered file. `folder` is the name to take if the file gives none.
    pub(super) fn read(yaml: &Yaml, folder: &str, found: &mut Vec<Diagnostic>) -> Self {
        for entry in yaml.entries() {
            let is_blank = entry.value.is_blank();
            found.extend(words::judge(
                words::PROJECT,
                "dbt_project.yml",
                &entry.key,
                &entry.key_at,
                is_blank,
            ));
        }
        let mut settings = Self::default_for(&name(yaml, folder, found));
        settings.profile = yaml.get("profile").and_then(Yaml::text);
        if let Some(path) = yaml.get("target-path").and_then(Yaml::text) {
            settings.target_path = path;
        }
        settings.paths = paths(yaml, settings.paths);
        settings.vars = vars(yaml, &settings.name);
        let mut tree = |keys: &[&str], words, place| {
            let mut trees = keys.iter().filter_map(|key| yaml.get(key));
            trees.next().map(|tree| ConfigTree::read(tree, words, place, found)).unwrap_or_default()
        };
        settings.models = tree(&["models"], words::MODEL_CONFIG, "`models:` of dbt_project.yml");
        settings.sources = tree(&["sources"], words::SOURCE_CONFIG, "`sources:` of dbt_project.yml");
        settings.tests =
            tree(&["data_tests", "tests"], words::TEST_CONFIG, "`data_tests:` of dbt_project.yml");
        settings
    }
}

fn name(yaml: &Yaml, folder: &str, found: &mut Vec<Diagnostic>) -> String {
    let Some(written) = yaml.get("name") else {
        found.push(
            Diagnostic::warning("elt::project_name", "dbt_project.yml gives the project no name")
                .at(&yaml.at, "no `name:` here")
                .help(format!("add `name: {folder}`; the folder's name is used until then")),
        );
        return folder.to_owned();
    };
    match written.text().filter(|name| is_word(name)) {
        Some(name) => name,
        None => {
            found.push(
                Diagnostic::error("elt::project_name", "a project's name is letters, digits and `_`")
                    .at(&written.at, "cannot name a project"),
            );
            folder.to_owned()
        }
    }
}

fn is_word(text: &str) -> bool {
    let starts_well = text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
    starts_well && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn paths(yaml: &Yaml, default: Paths) -> Paths {
    let folders = |keys: &[&str], default: Vec<String>| match keys.iter().find_map(|key| yaml.get(key)) {
        Some(list) => list.items().iter().filter_map(Yaml::text).collect(),
        None => default,
    };
    Paths {
        models: folders(&["model-paths", "source-paths"], default.models),
        macros: folders(&["macro-paths"], default.macros),
        tests: folders(&["test-paths"], default.tests),
        analyses: folders(&["analysis-paths"], default.analyses),
        seeds: folders(&["seed-paths", "data-paths"], default.seeds),
        snapshots: folders(&["snapshot-paths"], default.snapshots),
    }
}

fn vars(yaml: &Yaml, project: &str) -> BTreeMap<String, Value> {
    let entries = yaml.get("vars").map(Yaml::entries).unwrap_or_default();
    let scoped = entries.iter().filter(|entry| entry.key == project).flat_map(|entry| entry.value.entries());
    let global = entries.iter().filter(|entry| entry.key != project);
    global.chain(scoped).map(|entry| (entry.key.clone(), entry.value.to_json())).collect()
}

/// What a `packages.yml` or `dependencies.yml` asks for that elt cannot give: each package it names.
pub(super) fn judge_packages(yaml: &Yaml, found: &mut Vec<Diagnostic>) {
    let lists = ["packages", "projects"].into_iter().filter_map(|key| yaml.get(key));
    for item in lists.flat_map(Yaml::items) {
        let name = match &item.node {
            YamlNode::Map(entries) => entries.first().and_then(|entry| entry.value.text()),
            YamlNode::Scalar(_) | YamlNode::List(_) => item.text(),
        };
        let what = format!("the package `{}`", name.unwrap_or_default());
        found.push(words::unsupported(
            &what,
            "instead copy the macros and models you use into this project, and remove it here",
            &item.at,
        ));
    }
}

/// Whether `enabled` of a config says no; an `enabled` that is no boolean is a mistake.
pub(super) fn is_disabled(value: &Value, at: &Span, found: &mut Vec<Diagnostic>) -> bool {
    let flag = as_flag(value);
    if flag.is_none() {
        found.push(
            Diagnostic::error("elt::config", "`enabled` must be true or false")
                .at(at, "neither true nor false"),
        );
    }
    flag == Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{SourceText, show_all};

    fn read(text: &str) -> (Settings, Vec<Diagnostic>) {
        let mut found = Vec::new();
        let yaml = Yaml::parse(&SourceText::new("dbt_project.yml", text)).unwrap();
        let settings = Settings::read(&yaml, "folder", &mut found);
        (settings, found)
    }

    #[test]
    fn scoped_vars_win_over_global_ones() {
        let (settings, found) =
            read("name: shop\nvars:\n  shop: {a: 2}\n  a: 1\n  b: [x]\nmodel-paths: [m]\ntarget-path: out\n");
        assert!(found.is_empty(), "{}", show_all(&found));
        assert_eq!(settings.vars["a"], 2);
        assert_eq!(settings.vars["b"][0], "x");
        assert_eq!(settings.paths.models, ["m"]);
        assert_eq!(settings.target_path, "out");
    }

    #[test]
    fn hooks_are_errors_and_slips_are_named() {
        let (settings, found) = read("model-path: [m]\non-run-end: ['drop table x']\nquery-comment: ''\n");
        assert_eq!(settings.name, "folder");
        insta::assert_snapshot!(show_all(&found), @r"
    dbt_project.yml:1:1: `model-path` is not a known key of dbt_project.yml (did you mean `model-paths`?)
    dbt_project.yml:2:1: not supported yet: `on-run-end` in dbt_project.yml (instead make the statement a model of its own)
    dbt_project.yml:1:1: dbt_project.yml gives the project no name (add `name: folder`; the folder's name is used until then)
    ");
    }
}
