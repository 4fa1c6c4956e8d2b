//! What lies in the folders of one package?
//!
//! [`Reading`] reads the files of a package, the project's own or one it stands on, into the one
//! [`Project`]. Settings come from the package's own `dbt_project.yml` and, over them, from the project's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::base::{Diagnostic, SourceText};

use super::config::{Config, ConfigTree};
use super::doc_block;
use super::files::{Files, Found};
use super::properties::{Properties, Reader};
use super::settings::Settings;
use super::snapshot;
use super::words::unsupported;
use super::yaml::{RenderScope, Yaml, YamlJinja};
use super::{Analysis, MacroFile, Model, Project, Seed, SingularTest, SnapshotFile};

/// Which of the trees of `dbt_project.yml` a thing is configured by.
pub(super) type Tree = fn(&Settings) -> &ConfigTree;

/// One package being read into the project.
pub(super) struct Reading<'a> {
    /// The package's settings.
    pub(super) own: &'a Settings,
    /// Those of the project, if the package is another one.
    pub(super) over: Option<&'a Settings>,
    pub(super) files: &'a Files,
    pub(super) root: &'a Path,
    pub(super) project: &'a mut Project,
    pub(super) found: &'a mut Vec<Diagnostic>,
}

/// Adds the docs blocks of a package to `docs`, and says the file of each.
pub(super) fn read_docs(
    own: &Settings,
    files: &Files,
    jinja: &dyn YamlJinja,
    docs: &mut BTreeMap<String, String>,
    found: &mut Vec<Diagnostic>,
) -> Vec<(String, String)> {
    let mut places = Vec::new();
    let folders = if own.paths.docs.is_empty() { own.paths.all() } else { own.paths.docs.clone() };
    for file in files.list(&folders, &["md"]) {
        if let Some(text) = files.read(&file.path, found) {
            let own = doc_block::read_blocks(&text, jinja, found);
            places.extend(own.keys().map(|name| (name.clone(), file.path.clone())));
            docs.extend(own);
        }
    }
    places
}

impl Reading<'_> {
    /// Reads everything but properties.
    pub(super) fn read(&mut self) {
        self.refuse_python();
        self.models();
        self.seeds();
        self.snapshots();
        self.macros();
        self.singular_tests();
        self.analyses();
    }

    /// The settings of a thing at `fqn`: the package's own, then the project's.
    pub(super) fn config(&self, tree: Tree, fqn: &[String]) -> Config {
        let mut config = tree(self.own).resolve(fqn);
        if let Some(over) = self.over {
            config.lay(&tree(over).resolve(fqn));
        }
        config
    }

    fn fqn(&self, file: &Found, name: &str) -> Vec<String> {
        let package = std::iter::once(self.own.name.clone());
        package.chain(file.folders.iter().cloned()).chain([name.to_owned()]).collect()
    }

    fn refuse_python(&mut self) {
        for file in self.files.list(&self.own.paths.models, &["py"]) {
            let shown = self.files.shown(&file.path);
            let fqn = self.fqn(&file, &file.stem);
            if self.config(|s| &s.models, &fqn).flag("enabled") == Some(false) {
                continue;
            }
            let text = SourceText::new(&shown, "");
            self.found.push(unsupported(
                &format!("Python models, as in {shown}"),
                "instead write the model in SQL",
                &text.span(0..0),
            ));
        }
    }

    fn models(&mut self) {
        for file in self.files.list(&self.own.paths.models, &["sql"]) {
            let Some(source_text) = self.files.read(&file.path, self.found) else { continue };
            let fqn = self.fqn(&file, &file.stem);
            let config = self.config(|s| &s.models, &fqn);
            self.project.models.push(Model {
                config,
                name: file.stem,
                edition: None,
                package: self.own.name.clone(),
                source_text,
                fqn,
                description: String::new(),
                columns: Arc::new([]),
                tests: Vec::new(),
                described_at: None,
            });
        }
    }

    fn seeds(&mut self) {
        for file in self.files.list(&self.own.paths.seeds, &["csv"]) {
            let fqn = self.fqn(&file, &file.stem);
            self.project.seeds.push(Seed {
                config: self.config(|s| &s.seeds, &fqn),
                name: file.stem,
                package: self.own.name.clone(),
                source_text: SourceText::new(&self.files.shown(&file.path), ""),
                file: self.files.on_disk(&file.path),
                fqn,
                description: String::new(),
                columns: Arc::new([]),
                tests: Vec::new(),
                described_at: None,
            });
        }
    }

    fn snapshots(&mut self) {
        for file in self.files.list(&self.own.paths.snapshots, &["sql"]) {
            let Some(source_text) = self.files.read(&file.path, self.found) else { continue };
            let blocks = snapshot::blocks(&source_text.text);
            if blocks.is_empty() && !source_text.text.trim().is_empty() {
                self.found.push(
                    Diagnostic::warning("elt::snapshot", format!("{} holds no snapshot", source_text.path))
                        .at(&source_text.span(0..0), "no block")
                        .help("write `{% snapshot name %} … {% endsnapshot %}`"),
                );
            }
            for block in blocks {
                let mut fqn = self.fqn(&file, &file.stem);
                fqn.push(block.name.to_owned());
                self.project.snapshots.push(SnapshotFile {
                    config: self.config(|s| &s.snapshots, &fqn),
                    name: block.name.to_owned(),
                    package: self.own.name.clone(),
                    source_text: source_text.clone(),
                    template: block.body.to_owned(),
                    starts_at: block.starts_at,
                    at: source_text.span(block.at),
                    fqn,
                    description: String::new(),
                    columns: Arc::new([]),
                    tests: Vec::new(),
                    described_at: None,
                });
            }
        }
    }

    fn macros(&mut self) {
        let generic = self.own.paths.tests.iter().map(|folder| format!("{folder}/generic"));
        let folders: Vec<String> = self.own.paths.macros.iter().cloned().chain(generic).collect();
        for file in self.files.list(&folders, &["sql"]) {
            if let Some(source_text) = self.files.read(&file.path, self.found) {
                self.project.macros.push(MacroFile { package: self.own.name.clone(), source_text });
            }
        }
    }

    fn singular_tests(&mut self) {
        for file in self.files.list(&self.own.paths.tests, &["sql"]) {
            // Macros of generic tests, and rows for unit tests.
            if file.folders.first().is_some_and(|folder| matches!(folder.as_str(), "generic" | "fixtures")) {
                continue;
            }
            let Some(source_text) = self.files.read(&file.path, self.found) else { continue };
            let fqn = self.fqn(&file, &file.stem);
            self.project.tests.push(SingularTest {
                config: self.config(|s| &s.tests, &fqn),
                name: file.stem,
                package: self.own.name.clone(),
                source_text,
                fqn,
                description: String::new(),
            });
        }
    }

    fn analyses(&mut self) {
        for file in self.files.list(&self.own.paths.analyses, &["sql"]) {
            let Some(source_text) = self.files.read(&file.path, self.found) else { continue };
            let fqn = self.fqn(&file, &file.stem);
            self.project.analyses.push(Analysis {
                name: file.stem,
                package: self.own.name.clone(),
                source_text,
                fqn,
            });
        }
    }

    /// Reads the properties files of the package.
    pub(super) fn properties(&mut self, jinja: &dyn YamlJinja, scope: RenderScope<'_>) -> Vec<Properties> {
        let mut all = Vec::new();
        for file in self.files.list(&self.own.paths.all(), &["yml", "yaml"]) {
            let Some(text) = self.files.read(&file.path, self.found) else { continue };
            let yaml = match Yaml::parse_lenient(&text, self.found) {
                Ok(yaml) => yaml,
                Err(diagnostic) => {
                    self.found.push(diagnostic);
                    continue;
                }
            };
            let mut folder = vec![self.own.name.clone()];
            folder.extend(file.folders);
            let sources = std::iter::once(&self.own.sources).chain(self.over.map(|over| &over.sources));
            let mut reader = Reader {
                jinja,
                scope,
                sources: sources.collect(),
                root: self.root,
                folder,
                doc_calls: &mut self.project.doc_calls,
                found: self.found,
            };
            all.push(reader.read(yaml));
        }
        all
    }
}
