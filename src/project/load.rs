//! What did the user write, all of it?
//!
//! [`load`] and what it calls is the only code in the study that reads files. It reads
//! `dbt_project.yml`, the profile, every file under the project's paths and those of its packages, and
//! returns a [`Project`] with all that is wrong in it, so that a person mends a project in one go.
//!
//! Not here: rendering SQL, resolving `ref`s, or anything else that needs the whole (`compile`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::base::Diagnostic;

use super::Project;
use super::describe::{Left, look_for_unused_settings};
use super::files::{Files, slashed};
use super::package::{Finder, Package};
use super::reading::{self, Reading};
use super::settings::Settings;
use super::target;
use super::yaml::{RenderScope, Yaml, YamlJinja};

/// Where a project is, and what the command line says about it.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The project's folder; see [`find_root`].
    pub root: PathBuf,
    /// `--target`: the output of the profile to build into.
    pub target: Option<String>,
    /// `--profile`: the profile to use, over what the project asks for.
    pub profile: Option<String>,
    /// `--profiles-dir`: the folder of `profiles.yml`.
    pub profiles_dir: Option<PathBuf>,
    /// `--vars`: they win over those of `dbt_project.yml`.
    pub vars: BTreeMap<String, Value>,
    /// `--target-path`: where artifacts go, relative to the root.
    pub target_path: Option<PathBuf>,
    /// Environment variables, for `env_var()` and for finding the profile.
    pub env: Arc<BTreeMap<String, String>>,
}

/// Finds the project that `start` lies in.
///
/// That is the nearest folder, going up from `start`, with a `dbt_project.yml`; else `start`
/// itself if it has a folder `models`.
pub fn find_root(start: &Path) -> Option<PathBuf> {
    let with_file = start.ancestors().find(|folder| folder.join("dbt_project.yml").is_file());
    let root = with_file.or_else(|| start.join("models").is_dir().then_some(start));
    root.map(Path::to_path_buf)
}

/// Reads a project with everything that is wrong with it.
///
/// The project is missing only if nothing can be made of it: there is none at the root, or its
/// `dbt_project.yml` is no YAML. Otherwise what could be read is there, and the caller decides by
/// the diagnostics whether to go on.
pub fn load(options: &LoadOptions, jinja: &dyn YamlJinja) -> (Option<Project>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let project = Loading::start(options, jinja, &mut found).map(Loading::finish);
    (project, found)
}

/// What is known of a project before its files are read.
#[derive(Clone, Debug)]
pub struct Outline {
    /// Its name.
    pub name: String,
    /// Where models are built.
    pub target: super::Target,
    /// Where artifacts go.
    pub target_path: PathBuf,
    /// Where packages are installed.
    pub packages_path: PathBuf,
}

/// Reads `dbt_project.yml` and the profile, and nothing else.
///
/// What is wrong with them is left to [`load`] to tell.
pub fn outline(options: &LoadOptions, jinja: &dyn YamlJinja) -> Option<Outline> {
    let mut found = Vec::new();
    let Loading { settings, project, .. } = Loading::start(options, jinja, &mut found)?;
    let packages = settings.packages_path.as_deref().unwrap_or("dbt_packages");
    Some(Outline {
        name: project.name,
        target: project.target,
        target_path: project.target_path,
        packages_path: options.root.join(packages),
    })
}

/// What `dbt_project.yml` says under `flags:` and `log-path:`, of a project in `root`.
pub fn written_flags(
    root: &Path,
    jinja: &dyn YamlJinja,
    env: &BTreeMap<String, String>,
) -> (serde_json::Map<String, Value>, Option<String>) {
    let text = Files::new(root, "").read("dbt_project.yml", &mut Vec::new());
    let Some(yaml) = text.and_then(|text| Yaml::parse(&text).ok()) else { return Default::default() };
    let (vars, docs) = (BTreeMap::new(), BTreeMap::new());
    let scope = RenderScope { vars: &vars, env, target: None, docs: &docs };
    let rendered = |key: &str| {
        let mut value = yaml.get(key)?.clone();
        value.render(jinja, &scope, &[], &mut Vec::new());
        Some(value)
    };
    let flags = rendered("flags").and_then(|flags| flags.to_json().as_object().cloned());
    (flags.unwrap_or_default(), rendered("log-path").and_then(|path| path.text()))
}

/// The users of the lake. A mistake in their file is told where they are let in.
fn users(files: &Files) -> Vec<super::User> {
    let text = files.read(super::USERS_FILE, &mut Vec::new());
    text.and_then(|text| super::read_users(&text).ok()).unwrap_or_default()
}

/// A project on its way in.
struct Loading<'a> {
    options: &'a LoadOptions,
    jinja: &'a dyn YamlJinja,
    settings: Settings,
    files: Files,
    project: Project,
    found: &'a mut Vec<Diagnostic>,
}

impl<'a> Loading<'a> {
    /// Reads `dbt_project.yml` and the profile.
    fn start(
        options: &'a LoadOptions,
        jinja: &'a dyn YamlJinja,
        found: &'a mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let files = Files::new(&options.root, "");
        let folder = folder_name(&options.root);
        let yaml = match files.read("dbt_project.yml", found) {
            Some(text) => {
                Some(Yaml::parse_lenient(&text, found).map_err(|diagnostic| found.push(diagnostic)).ok()?)
            }
            None if options.root.join("models").is_dir() => None,
            None => {
                found.push(no_project(&options.root));
                return None;
            }
        };
        let no_docs = BTreeMap::new();
        let mut scope = RenderScope { vars: &options.vars, env: &options.env, target: None, docs: &no_docs };
        let asked = yaml.as_ref().and_then(|yaml| yaml.get("profile")).cloned().map(|mut profile| {
            profile.render(jinja, &scope, &[], found);
            profile.text().unwrap_or_default()
        });
        let named = yaml.as_ref().and_then(|yaml| yaml.get("name")).and_then(Yaml::text);
        let profile = options.profile.clone().or(asked).or(named).unwrap_or_else(|| folder.clone());
        let wanted = target::Wanted {
            profiles_dir: options.profiles_dir.as_deref(),
            root: &options.root,
            profile: &profile,
            is_asked: options.profile.is_some(),
            target: options.target.as_deref(),
        };
        let target = target::find(&wanted, jinja, &scope, found);
        scope.target = Some(&target);
        let settings = match yaml {
            Some(mut yaml) => {
                yaml.render(jinja, &scope, super::settings::LATE, found);
                Settings::read(&yaml, &folder, found)
            }
            None => Settings::default_for(&folder),
        };
        let project = Project {
            name: settings.name.clone(),
            root: options.root.clone(),
            target_path: match &options.target_path {
                Some(path) => options.root.join(path),
                None => options.root.join(&settings.target_path),
            },
            packages: BTreeMap::new(),
            dispatch: settings.dispatch.clone(),
            on_run_start: Vec::new(),
            own_names_first: settings.own_names_first,
            query_comment: settings.query_comment.clone(),
            on_run_end: Vec::new(),
            target,
            models: Vec::new(),
            seeds: Vec::new(),
            snapshots: Vec::new(),
            sources: Vec::new(),
            tests: Vec::new(),
            unit_tests: Vec::new(),
            analyses: Vec::new(),
            documents: Vec::new(),
            selectors: Vec::new(),
            docs: BTreeMap::new(),
            doc_files: BTreeMap::new(),
            doc_calls: BTreeMap::new(),
            roots: BTreeMap::new(),
            users: users(&files),
            macros: Vec::new(),
            macro_words: Vec::new(),
            requires_dbt: Vec::new(),
            test_trees: Vec::new(),
        };
        Some(Self { options, jinja, settings, files, project, found })
    }

    /// Reads everything the settings lead to: the project's own files, then those of its packages.
    fn finish(mut self) -> Project {
        if let Some(own) = self.files.read(super::USERS_FILE, &mut Vec::new()) {
            self.found.extend(super::own_file::not_known(&own));
        }
        let packages = self.find_packages();
        let mut docs: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let own = (&self.settings, &self.files);
        for (settings, files) in std::iter::once(own).chain(packages.iter().map(|p| (&p.settings, &p.files)))
        {
            let blocks = docs.entry(settings.name.clone()).or_default();
            for (name, file) in reading::read_docs(settings, files, self.jinja, blocks, self.found) {
                self.project.doc_files.insert((settings.name.clone(), name), file);
            }
            self.project
                .roots
                .insert(settings.name.clone(), files.shown("").trim_end_matches('/').to_owned());
        }
        let all = std::iter::once(&self.settings).chain(packages.iter().map(|package| &package.settings));
        let required = all.flat_map(|settings| {
            settings.requires_dbt.iter().map(|(bound, at)| (settings.name.clone(), bound.clone(), at.clone()))
        });
        self.project.requires_dbt = required.collect();
        self.project.selectors = self.selectors();
        let mut left = self.one_package(None, &docs);
        for package in &packages {
            left.append(self.one_package(Some(package), &docs));
        }
        left.hang(&mut self.project, self.found);
        self.project.docs = docs;
        let trees = packages.iter().map(|package| package.settings.tests.clone());
        self.project.test_trees = trees.chain([self.settings.tests.clone()]).collect();
        self.project.sources.sort_by(|a, b| (&a.source, &a.table).cmp(&(&b.source, &b.table)));
        look_for_unused_settings(&self.settings, &self.project, self.found);
        self.project
    }

    fn selectors(&mut self) -> Vec<super::SelectorDefinition> {
        let no_docs = BTreeMap::new();
        let mut vars = self.settings.vars_of(&self.settings.name);
        vars.extend(self.options.vars.clone());
        let target = Some(&self.project.target);
        let scope = RenderScope { vars: &vars, env: &self.options.env, target, docs: &no_docs };
        super::selector::read(&self.files, self.jinja, &scope, self.found)
    }

    fn find_packages(&mut self) -> Vec<Package> {
        let no_docs = BTreeMap::new();
        let scope = RenderScope {
            vars: &self.options.vars,
            env: &self.options.env,
            target: Some(&self.project.target),
            docs: &no_docs,
        };
        let finder = Finder {
            jinja: self.jinja,
            scope,
            root: &self.options.root,
            settings: &self.settings,
            found: self.found,
        };
        finder.find()
    }

    /// Reads one package; the project itself if none is given. Returns the descriptions of what it does not have.
    fn one_package(
        &mut self,
        package: Option<&Package>,
        docs: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Left {
        let (own, files, root) = match package {
            Some(package) => (&package.settings, &package.files, package.root.as_path()),
            None => (&self.settings, &self.files, self.options.root.as_path()),
        };
        // From weak to strong: the package's own vars, those that the project gives it, the command line's.
        let mut vars = own.vars_of(&own.name);
        vars.extend(self.settings.vars_of(&own.name));
        vars.extend(self.options.vars.clone());
        let docs = docs_of(&self.settings.name, &own.name, docs);
        let target = self.project.target.clone();
        let scope = RenderScope { vars: &vars, env: &self.options.env, target: Some(&target), docs: &docs };
        let mut found = Vec::new();
        let mut reading = Reading {
            own,
            over: package.map(|_| &self.settings),
            files,
            root,
            project: &mut self.project,
            found: &mut found,
        };
        reading.read();
        let properties = reading.properties(self.jinja, scope);
        let left = reading.describe(properties);
        // A package's warnings are not the user's to mend.
        self.found.extend(found.into_iter().filter(|one| package.is_none() || one.is_error()));
        self.project.on_run_start.extend(own.on_run_start.clone());
        self.project.on_run_end.extend(own.on_run_end.clone());
        self.project.packages.insert(own.name.clone(), vars);
        left
    }
}

/// The docs blocks that files of `package` may name: by name alone the project's, then its own, then anybody's; everybody's by
/// `package.name`.
fn docs_of(
    root: &str,
    package: &str,
    docs: &BTreeMap<String, BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (owner, blocks) in docs {
        for (name, text) in blocks {
            all.insert(format!("{owner}.{name}"), text.clone());
            all.entry(name.clone()).or_insert_with(|| text.clone());
        }
    }
    for first in [package, root] {
        all.extend(docs.get(first).cloned().unwrap_or_default());
    }
    all
}

fn folder_name(root: &Path) -> String {
    let full = std::path::absolute(root).unwrap_or_else(|_| root.to_path_buf());
    let name = full.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let word: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    if word.chars().next().is_some_and(char::is_alphabetic) { word } else { format!("project_{word}") }
}

fn no_project(root: &Path) -> Diagnostic {
    let root = slashed(root);
    Diagnostic::error("elt::no_project", format!("there is no project in {root}"))
        .help("a project is a folder with a dbt_project.yml, or with a folder models/ of .sql files")
}
