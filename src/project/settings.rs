//! What does `dbt_project.yml` say?
//!
//! [`Settings`] is that file, read and rendered, with dbt's defaults for what it leaves out. A
//! folder without the file but with `models/` is a project too: [`Settings::default_for`].
//!
//! Not here: profiles ([`target`](super::target)), or the files the paths lead to.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::{Diagnostic, Span, did_you_mean};

use super::config::{ConfigTree, as_flag};
use super::words;
use super::yaml::Yaml;

/// Below these keys of `dbt_project.yml` Jinja is rendered when the statement is due, or never.
pub(super) const LATE: &[&str] = &[
    "vars",
    "on-run-start",
    "on-run-end",
    "query-comment",
    "pre-hook",
    "post-hook",
    "pre_hook",
    "post_hook",
    "+pre-hook",
    "+post-hook",
    "+pre_hook",
    "+post_hook",
    "loaded_at_query",
    "+loaded_at_query",
];

/// The words of `dbt_project.yml` that say where the files are, each a list of folders.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    /// Models, and properties of anything.
    pub(super) models: Vec<String>,
    /// Macros.
    pub(super) macros: Vec<String>,
    /// Singular tests; generic ones in the folder `generic` inside.
    pub(super) tests: Vec<String>,
    /// Analyses.
    pub(super) analyses: Vec<String>,
    /// Seeds.
    pub(super) seeds: Vec<String>,
    /// Snapshots.
    pub(super) snapshots: Vec<String>,
    /// Docs blocks; all the other folders if nothing is said.
    pub(super) docs: Vec<String>,
}

impl Paths {
    /// Every folder that may hold properties.
    pub(super) fn all(&self) -> Vec<String> {
        let lists = [&self.models, &self.macros, &self.tests, &self.analyses, &self.seeds, &self.snapshots];
        lists.into_iter().flatten().cloned().collect()
    }
}

/// A statement that runs before or after everything else: an entry of `on-run-start` or `on-run-end`.
#[derive(Clone, Debug)]
pub struct Hook {
    /// The package it belongs to.
    pub package: String,
    /// The statement, unrendered.
    pub sql: String,
    /// Where it is written.
    pub at: Span,
}

/// The flag by which names are looked for in their own package first.
const OWN_FIRST: &str = "require_ref_searches_node_package_before_root";

/// What stands before, or after, each statement of a node.
#[derive(Clone, Debug)]
pub struct QueryComment {
    /// The text, unrendered.
    pub text: String,
    /// Whether it stands after the statement.
    pub append: bool,
    /// Where it is written.
    pub at: Span,
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
    /// Where packages are installed, relative to the root.
    pub(super) packages_path: Option<String>,
    /// `vars:`, as written.
    pub(super) vars: Vec<(String, Value)>,
    /// `require-dbt-version`: bounds, each with its place.
    pub(super) requires_dbt: Vec<(String, Span)>,
    /// `dispatch:`: for a namespace of macros, the packages that are searched, in order.
    pub(super) dispatch: BTreeMap<String, Vec<String>>,
    /// `on-run-start:`
    pub(super) on_run_start: Vec<Hook>,
    /// `on-run-end:`
    pub(super) on_run_end: Vec<Hook>,
    /// `require_ref_searches_node_package_before_root` of `flags:`.
    pub(super) own_names_first: bool,
    /// `query-comment:`
    pub(super) query_comment: Option<QueryComment>,
    /// `models:`.
    pub(super) models: ConfigTree,
    /// `seeds:`.
    pub(super) seeds: ConfigTree,
    /// `snapshots:`.
    pub(super) snapshots: ConfigTree,
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
                docs: Vec::new(),
            },
            target_path: "target".into(),
            packages_path: None,
            vars: Vec::new(),
            requires_dbt: Vec::new(),
            dispatch: BTreeMap::new(),
            on_run_start: Vec::new(),
            on_run_end: Vec::new(),
            own_names_first: false,
            query_comment: None,
            models: ConfigTree::default(),
            seeds: ConfigTree::default(),
            snapshots: ConfigTree::default(),
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
        settings.packages_path = ["packages-install-path", "modules-path"]
            .iter()
            .find_map(|key| yaml.get(key).and_then(Yaml::text));
        let vars = yaml.get("vars").map(Yaml::entries).unwrap_or_default();
        settings.vars = vars.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect();
        settings.requires_dbt = yaml.get("require-dbt-version").map(bounds).unwrap_or_default();
        settings.dispatch = dispatch(yaml);
        settings.on_run_start = hooks(yaml, "on-run-start", &settings.name);
        settings.on_run_end = hooks(yaml, "on-run-end", &settings.name);
        let flag = yaml.get("flags").and_then(|flags| flags.get(OWN_FIRST));
        settings.own_names_first = flag.map(Yaml::to_json).as_ref().and_then(as_flag).unwrap_or(false);
        settings.query_comment = yaml.get("query-comment").and_then(|written| comment(written, found));
        let mut tree = |keys: &[&str], words, place| {
            let mut trees = keys.iter().filter_map(|key| yaml.get(key));
            trees.next().map(|tree| ConfigTree::read(tree, words, place, found)).unwrap_or_default()
        };
        settings.models = tree(&["models"], words::MODEL_CONFIG, "`models:` of dbt_project.yml");
        settings.seeds = tree(&["seeds"], words::SEED_CONFIG, "`seeds:` of dbt_project.yml");
        settings.snapshots = tree(&["snapshots"], words::SNAPSHOT_CONFIG, "`snapshots:` of dbt_project.yml");
        settings.sources = tree(&["sources"], words::SOURCE_CONFIG, "`sources:` of dbt_project.yml");
        settings.tests =
            tree(&["data_tests", "tests"], words::TEST_CONFIG, "`data_tests:` of dbt_project.yml");
        settings
    }

    /// The vars that these settings give to `package`: those for everybody, and over them its own.
    pub(super) fn vars_of(&self, package: &str) -> BTreeMap<String, Value> {
        let own = self.vars.iter().filter(|(key, _)| key == package);
        let own = own.filter_map(|(_, value)| value.as_object()).flatten();
        let own = own.map(|(key, value)| (key.clone(), value.clone()));
        let all = self.vars.iter().filter(|(key, _)| key != package).cloned();
        all.chain(own).collect()
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

/// A list of bounds, or one text with commas between them.
fn bounds(yaml: &Yaml) -> Vec<(String, Span)> {
    let one = |text: Option<String>, at: &Span| -> Vec<(String, Span)> {
        let parts = text.unwrap_or_default();
        let parts = parts.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| (part.to_owned(), at.clone())).collect()
    };
    match yaml.items() {
        [] => one(yaml.text(), &yaml.at),
        items => items.iter().flat_map(|item| one(item.text(), &item.at)).collect(),
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
        docs: folders(&["docs-paths"], default.docs),
    }
}

fn dispatch(yaml: &Yaml) -> BTreeMap<String, Vec<String>> {
    let entries = yaml.get("dispatch").map(Yaml::items).unwrap_or_default().iter();
    let read = |entry: &Yaml| {
        let order = entry.get("search_order").map(Yaml::items).unwrap_or_default();
        Some((entry.get("macro_namespace")?.text()?, order.iter().filter_map(Yaml::text).collect()))
    };
    entries.filter_map(read).collect()
}

fn hooks(yaml: &Yaml, key: &str, package: &str) -> Vec<Hook> {
    let items = yaml.get(key).map(Yaml::items).unwrap_or_default().iter();
    let read = |item: &Yaml| {
        let sql = item.text().or_else(|| item.get("sql").and_then(Yaml::text))?;
        (!sql.trim().is_empty()).then(|| Hook { package: package.to_owned(), sql, at: item.at.clone() })
    };
    items.filter_map(read).collect()
}

/// Reads `query-comment:`, a text or `{comment: …, append: …}`.
fn comment(yaml: &Yaml, found: &mut Vec<Diagnostic>) -> Option<QueryComment> {
    const KNOWN: [&str; 3] = ["comment", "append", "job-label"];
    for entry in yaml.entries().iter().filter(|entry| !KNOWN.contains(&entry.key.as_str())) {
        let unknown = format!("`{}` is not a known key of `query-comment`", entry.key);
        found.push(
            Diagnostic::error("elt::unknown_key", unknown)
                .at(&entry.key_at, "not known")
                .maybe_help(did_you_mean(&entry.key, KNOWN)),
        );
    }
    let (text, append) = match yaml.get("comment") {
        Some(text) => (text.text(), yaml.get("append").map(Yaml::to_json)),
        None => (yaml.text(), None),
    };
    let text = text.filter(|text| !text.trim().is_empty())?;
    let append = append.as_ref().and_then(as_flag).unwrap_or(false);
    Some(QueryComment { text, append, at: yaml.at.clone() })
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
        let vars = settings.vars_of("shop");
        assert_eq!((&vars["a"], &vars["b"][0]), (&2.into(), &"x".into()));
        assert_eq!(settings.vars_of("other")["a"], 1);
        assert_eq!(settings.paths.models, ["m"]);
        assert_eq!(settings.target_path, "out");
    }

    #[test]
    fn hooks_are_read_and_slips_are_named() {
        let (settings, found) = read("model-path: [m]\non-run-end: ['select 1', '']\nquery-comment: ''\n");
        assert_eq!(settings.name, "folder");
        assert_eq!((settings.on_run_end.len(), settings.on_run_end[0].sql.as_str()), (1, "select 1"));
        insta::assert_snapshot!(show_all(&found), @r"
    dbt_project.yml:1:1: `model-path` is not a known key of dbt_project.yml (did you mean `model-paths`?)
    dbt_project.yml:1:1: dbt_project.yml gives the project no name (add `name: folder`; the folder's name is used until then)
    ");
    }
}
