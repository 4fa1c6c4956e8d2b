//! What did the user write, all of it?
//!
//! [`load`] is the only code in the study that reads files. It reads `dbt_project.yml`, the
//! profile, and every file under the project's paths, and returns a [`Project`] with all that is
//! wrong in it, so that a person mends a project in one go.
//!
//! Not here: rendering SQL, resolving `ref`s, or anything else that needs the whole (`compile`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::base::{Diagnostic, SourceText, did_you_mean};

use super::doc_block;
use super::files::{Files, slashed};
use super::properties::{Described, Properties, Reader, twice};
use super::settings::{Settings, judge_packages};
use super::target;
use super::words::unsupported;
use super::yaml::{RenderScope, Yaml, YamlJinja};
use super::{MacroFile, Model, Project, SingularTest};

/// Where a project is, and what the command line says about it.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The project's folder; see [`find_root`].
    pub root: PathBuf,
    /// `--target`: the output of the profile to build into.
    pub target: Option<String>,
    /// `--profiles-dir`: the folder of `profiles.yml`.
    pub profiles_dir: Option<PathBuf>,
    /// `--vars`: they win over those of `dbt_project.yml`.
    pub vars: BTreeMap<String, Value>,
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

/// A project on its way in.
struct Loading<'a> {
    options: &'a LoadOptions,
    jinja: &'a dyn YamlJinja,
    settings: Settings,
    files: Files,
    docs: BTreeMap<String, String>,
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
        let files = Files::new(&options.root);
        let folder = folder_name(&options.root);
        let yaml = match files.read("dbt_project.yml", found) {
            Some(text) => Some(Yaml::parse(&text).map_err(|diagnostic| found.push(diagnostic)).ok()?),
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
        let profile = asked.or(named).unwrap_or_else(|| folder.clone());
        let wanted = target::Wanted {
            profiles_dir: options.profiles_dir.as_deref(),
            root: &options.root,
            profile: &profile,
            target: options.target.as_deref(),
        };
        let target = target::find(&wanted, jinja, &scope, found);
        scope.target = Some(&target);
        let mut settings = match yaml {
            Some(mut yaml) => {
                yaml.render(jinja, &scope, &["on-run-start", "on-run-end", "query-comment"], found);
                Settings::read(&yaml, &folder, found)
            }
            None => Settings::default_for(&folder),
        };
        settings.vars.extend(options.vars.clone());
        let project = Project {
            name: settings.name.clone(),
            root: options.root.clone(),
            target_path: options.root.join(&settings.target_path),
            vars: settings.vars.clone(),
            target,
            models: Vec::new(),
            sources: Vec::new(),
            tests: Vec::new(),
            macros: Vec::new(),
        };
        Some(Self { options, jinja, settings, files, docs: BTreeMap::new(), project, found })
    }

    /// Reads everything the settings lead to.
    fn finish(mut self) -> Project {
        self.refuse_what_is_missing();
        self.read_docs();
        self.read_models();
        self.read_macros();
        self.read_singular_tests();
        let properties = self.read_properties();
        self.describe(properties);
        self.look_for_unused_settings();
        self.project
    }

    /// Seeds, snapshots, packages and Python models: dbt runs them, elt does not yet.
    fn refuse_what_is_missing(&mut self) {
        let paths = self.settings.paths.clone();
        self.refuse(
            &paths.seeds,
            "csv",
            "seeds",
            "instead land the file: describe it as a source with `config: {location: …}`",
        );
        self.refuse(&paths.snapshots, "sql", "snapshots", "instead keep history with an incremental model");
        self.refuse(&paths.models, "py", "Python models", "instead write the model in SQL");
        for name in ["packages.yml", "dependencies.yml"] {
            let Some(text) = self.files.read(name, self.found) else { continue };
            match Yaml::parse(&text) {
                Ok(yaml) => judge_packages(&yaml, self.found),
                Err(diagnostic) => self.found.push(diagnostic),
            }
        }
    }

    fn refuse(&mut self, folders: &[String], extension: &str, what: &str, instead: &str) {
        for file in self.files.list(folders, &[extension]) {
            let text = SourceText::new(&file.path, "");
            self.found.push(unsupported(&format!("{what}, as in {}", file.path), instead, &text.span(0..0)));
        }
    }

    fn read_docs(&mut self) {
        let paths = &self.settings.paths;
        let folders: Vec<String> =
            [&paths.models, &paths.macros, &paths.tests, &paths.analyses, &paths.seeds, &paths.snapshots]
                .into_iter()
                .flatten()
                .cloned()
                .collect();
        for file in self.files.list(&folders, &["md"]) {
            if let Some(text) = self.files.read(&file.path, self.found) {
                doc_block::read_blocks(&text.text, &mut self.docs);
            }
        }
    }

    fn read_models(&mut self) {
        let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
        for file in self.files.list(&self.settings.paths.models, &["sql"]) {
            let Some(source_text) = self.files.read(&file.path, self.found) else { continue };
            let fqn = self.fqn(&file.folders, &file.stem);
            if let Some(twin) = by_name.get(&file.stem) {
                let first = &self.project.models[*twin].source_text;
                self.found.push(
                    Diagnostic::error("elt::duplicate", format!("two models are called `{}`", file.stem))
                        .at(&source_text.span(0..0), "the second")
                        .help(format!("the first is {}; rename one of the files", first.path)),
                );
                continue;
            }
            by_name.insert(file.stem.clone(), self.project.models.len());
            self.project.models.push(Model {
                config: self.settings.models.resolve(&fqn),
                name: file.stem,
                source_text,
                fqn,
                description: String::new(),
                columns: Arc::new([]),
                tests: Vec::new(),
                described_at: None,
            });
        }
    }

    fn read_macros(&mut self) {
        let generic = self.settings.paths.tests.iter().map(|folder| format!("{folder}/generic"));
        let folders: Vec<String> = self.settings.paths.macros.iter().cloned().chain(generic).collect();
        for file in self.files.list(&folders, &["sql"]) {
            if let Some(source_text) = self.files.read(&file.path, self.found) {
                self.project.macros.push(MacroFile { source_text });
            }
        }
    }

    fn read_singular_tests(&mut self) {
        for file in self.files.list(&self.settings.paths.tests, &["sql"]) {
            if file.folders.first().is_some_and(|folder| folder == "generic") {
                continue;
            }
            let Some(source_text) = self.files.read(&file.path, self.found) else { continue };
            let fqn = self.fqn(&file.folders, &file.stem);
            let config = self.settings.tests.resolve(&fqn);
            self.project.tests.push(SingularTest {
                name: file.stem,
                source_text,
                fqn,
                description: String::new(),
                config,
            });
        }
    }

    fn fqn(&self, folders: &[String], name: &str) -> Vec<String> {
        let package = std::iter::once(self.settings.name.clone());
        package.chain(folders.iter().cloned()).chain([name.to_owned()]).collect()
    }

    fn read_properties(&mut self) -> Vec<Properties> {
        let paths = &self.settings.paths;
        let folders: Vec<String> = [&paths.models, &paths.macros, &paths.tests, &paths.analyses]
            .into_iter()
            .chain([&paths.seeds, &paths.snapshots])
            .flatten()
            .cloned()
            .collect();
        let mut all = Vec::new();
        for file in self.files.list(&folders, &["yml", "yaml"]) {
            let Some(text) = self.files.read(&file.path, self.found) else { continue };
            let yaml = match Yaml::parse(&text) {
                Ok(yaml) => yaml,
                Err(diagnostic) => {
                    self.found.push(diagnostic);
                    continue;
                }
            };
            let mut folder = vec![self.settings.name.clone()];
            folder.extend(file.folders);
            let scope = RenderScope {
                vars: &self.settings.vars,
                env: &self.options.env,
                target: Some(&self.project.target),
                docs: &self.docs,
            };
            let sources = &self.settings.sources;
            let mut reader = Reader { jinja: self.jinja, scope, sources, folder, found: self.found };
            all.push(reader.read(yaml));
        }
        all
    }

    /// Hangs what properties say on the things they speak of.
    fn describe(&mut self, all: Vec<Properties>) {
        for properties in all {
            properties.models.into_iter().for_each(|described| self.describe_model(described));
            properties.tests.into_iter().for_each(|described| self.describe_test(described));
            for source in properties.sources {
                let twin = self
                    .project
                    .sources
                    .iter()
                    .find(|other| (&other.source, &other.table) == (&source.source, &source.table));
                match twin {
                    Some(twin) => {
                        let name = format!("{}.{}", source.source, source.table);
                        self.found.push(twice("source table", &name, &source.at, &twin.at));
                    }
                    None => self.project.sources.push(source),
                }
            }
        }
        self.project.sources.sort_by(|a, b| (&a.source, &a.table).cmp(&(&b.source, &b.table)));
    }

    fn describe_model(&mut self, described: Described) {
        let models = &mut self.project.models;
        let Some(model) = models.iter_mut().find(|model| model.name == described.name) else {
            let names = models.iter().map(|model| model.name.as_str());
            self.found.push(
                Diagnostic::warning(
                    "elt::unused_properties",
                    format!("there is no model `{}`", described.name),
                )
                .at(&described.at, "no file of this name")
                .help("what is said of it here has no effect, its tests included")
                .maybe_help(did_you_mean(&described.name, names)),
            );
            return;
        };
        if let Some(first) = &model.described_at {
            self.found.push(twice("model", &described.name, &described.at, first));
            return;
        }
        model.description = described.description;
        model.config.lay(&described.config);
        model.columns = described.columns.into();
        model.tests = described.tests;
        model.described_at = Some(described.at);
    }

    fn describe_test(&mut self, described: Described) {
        match self.project.tests.iter_mut().find(|test| test.name == described.name) {
            Some(test) => {
                test.description = described.description;
                test.config.lay(&described.config);
            }
            None => self.found.push(
                Diagnostic::warning(
                    "elt::unused_properties",
                    format!("there is no test file `{}`", described.name),
                )
                .at(&described.at, "no file of this name"),
            ),
        }
    }

    fn look_for_unused_settings(&mut self) {
        let of_models: Vec<_> = self.project.models.iter().map(|model| model.fqn.clone()).collect();
        self.settings.models.unused(&of_models, self.found);
        let of_sources: Vec<_> = self.project.sources.iter().map(|source| source.fqn.clone()).collect();
        self.settings.sources.unused(&of_sources, self.found);
    }
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
