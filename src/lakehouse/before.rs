//! Has anything changed since the project was last read?
//!
//! A file beside the artifacts remembers what `parse` and `ls` told, under a key made of everything that they
//! depend on: the names, sizes and times of the project's files and its packages', the profile, vars, the environment,
//! the release that readers see, elt's version. While the key stays the same, the project is not read again.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Compiled, Lakehouse, Node, NodeKind};
use crate::base::{Diagnostic, Result};
use crate::build;
use crate::release::Pins;

/// The file, below the target path.
const FILE: &str = "partial_parse.elt.json";

/// Endings of files that a project is read from.
const ENDINGS: [&str; 6] = ["sql", "yml", "yaml", "csv", "md", "py"];

/// Variables that differ from shell to shell and that no project asks for.
const OF_SHELLS: [&str; 9] =
    ["_", "PWD", "OLDPWD", "SHLVL", "WINDOWID", "TERM_SESSION_ID", "COLUMNS", "LINES", "DBT_INVOCATION_ID"];

/// What is listed of one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// Its id.
    pub unique_id: String,
    /// Its name, with its source or its version.
    pub name: String,
    /// dbt's word for what it is.
    pub resource_type: String,
    /// How it is made, if it is.
    pub materialized: String,
    /// Where it is in the lake, if it is there.
    pub relation: Option<String>,
    /// Its file.
    pub path: String,
    /// What selects it alone.
    pub selector: String,
}

/// What was told of a project when it was last read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Before {
    key: String,
    /// Folders of packages outside the project's.
    roots: Vec<PathBuf>,
    /// Whether the artifacts were written, too.
    has_artifacts: bool,
    /// Everything that can be listed, in the order in which it is.
    pub listed: Vec<Listed>,
    /// How many nodes there are.
    pub nodes: usize,
    /// Warnings: their codes, their words, and what to do.
    warnings: Vec<(String, String, Option<String>)>,
    /// The folder of artifacts.
    pub target: PathBuf,
}

impl Before {
    /// The warnings that there were, without the lines that they were about.
    pub fn warnings(&self) -> Vec<Diagnostic> {
        let warning = |(code, message, help): &(String, String, Option<String>)| {
            // Codes live as long as the program; there are a few of them.
            let code: &'static str = Box::leak(code.clone().into_boxed_str());
            Diagnostic::warning(code, message.clone()).maybe_help(help.clone())
        };
        self.warnings.iter().map(warning).collect()
    }
}

impl Lakehouse {
    /// What was told of the project when it was last read, if nothing has changed since.
    ///
    /// With `artifacts`, only if the artifacts of that time are still there.
    pub async fn before(&self, artifacts: bool) -> Result<Option<Before>> {
        let (Some(target), false) = (&self.target_path, self.reads_all) else { return Ok(None) };
        let Ok(bytes) = std::fs::read(target.join(FILE)) else { return Ok(None) };
        let Ok(before) = serde_json::from_slice::<Before>(&bytes) else { return Ok(None) };
        if artifacts
            && (self.no_artifacts || !before.has_artifacts || !target.join("manifest.json").is_file())
        {
            return Ok(None);
        }
        let key = self.key(&before.roots, &self.pins().await?, target);
        Ok((key.text == before.key).then_some(before))
    }

    /// What stands for all that the project is read from: another text when something of it has changed, or the release has.
    ///
    /// # Errors
    /// The release cannot be read.
    pub async fn project_mark(&self) -> Result<String> {
        if !self.has_project() {
            return Ok(String::new());
        }
        let target = self.target_path.clone().unwrap_or_else(|| self.root.join("target"));
        Ok(self.key(&[], &self.pins().await?, &target).text)
    }

    /// Remembers what was told of the project, which was read from `began` on. That it cannot be written is no matter:
    /// it will be read again. Nor is anything remembered if a file was written since.
    pub(super) async fn remember(
        &self,
        compiled: &Compiled,
        began: DateTime<Utc>,
        has_artifacts: bool,
    ) -> Result<()> {
        let Some(target) = self.target_path.as_ref().filter(|_| !self.no_artifacts) else { return Ok(()) };
        let project = &compiled.project;
        let roots =
            project.roots.values().filter(|root| !root.is_empty()).map(|root| project.root.join(root));
        let mut roots: Vec<PathBuf> = roots.collect();
        roots.sort();
        let pins = self.pins().await?;
        let key = self.key(&roots, &pins, target);
        if key.newest >= began {
            return Ok(());
        }
        let warnings = compiled.warnings.iter().map(|one| {
            let place = one.place().map(|place| format!("{place}: ")).unwrap_or_default();
            (
                one.stable_code().to_owned(),
                format!("{place}{}", one.message()),
                one.help_text().map(str::to_owned),
            )
        });
        let before = Before {
            key: key.text,
            roots,
            has_artifacts,
            listed: listed(compiled),
            nodes: compiled.manifest.nodes.len(),
            warnings: warnings.collect(),
            target: target.clone(),
        };
        let _ = build::write_artifact(target, FILE, &before);
        Ok(())
    }

    /// The key of everything that reading the project depends on.
    fn key(&self, roots: &[PathBuf], pins: &Pins, target: &Path) -> Key {
        let mut hasher = Sha256::new();
        let mut add = |text: &str| {
            hasher.update(text.as_bytes());
            hasher.update([0]);
        };
        add(env!("CARGO_PKG_VERSION"));
        if let Ok(program) = std::env::current_exe().and_then(|path| path.metadata()) {
            add(&stamp(&program));
        }
        add(&format!("{:?} {:?}", pins.release, self.strictness));
        if let Some(options) = &self.project {
            add(&format!(
                "{:?}",
                (&options.root, &options.target, &options.profile, &options.profiles_dir, &options.vars)
            ));
            let variables = options.env.iter().filter(|(name, _)| !OF_SHELLS.contains(&name.as_str()));
            variables.for_each(|(name, value)| add(&format!("{name}={value}")));
            let folders =
                [options.profiles_dir.clone(), options.env.get("DBT_PROFILES_DIR").map(PathBuf::from)];
            let home = options.env.get("HOME").map(|home| Path::new(home).join(".dbt"));
            for folder in folders.into_iter().chain([home]).flatten() {
                if let Ok(file) = folder.join("profiles.yml").metadata() {
                    add(&stamp(&file));
                }
            }
        }
        let mut files = BTreeMap::new();
        for root in std::iter::once(&self.root).chain(roots) {
            walk(root, target, &mut files);
        }
        files.iter().for_each(|(path, about)| add(&format!("{} {}", path.display(), stamp(about))));
        let times = files.values().filter_map(|about| about.modified().ok()).map(DateTime::<Utc>::from);
        Key {
            newest: times.max().unwrap_or(DateTime::UNIX_EPOCH),
            text: hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// What a project was read from, in a word, and when the last file of it was written.
struct Key {
    text: String,
    newest: DateTime<Utc>,
}

/// The size and the time of a file.
fn stamp(file: &Metadata) -> String {
    let time = file.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("{} {}", file.len(), time.unwrap_or_default().as_nanos())
}

/// The files below a folder that a project is read from.
fn walk(folder: &Path, target: &Path, files: &mut BTreeMap<PathBuf, Metadata>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let Ok(about) = path.metadata() else { continue };
        if about.is_dir() {
            // A lake's tables and a repository's objects are many, and no project is read from them.
            let is_other = name.starts_with('.')
                || name == "node_modules"
                || path == target
                || path.join("_elt").is_dir();
            if !is_other && !leads_up(&path) {
                walk(&path, target, files);
            }
        } else if name == ".dbtignore" || ENDINGS.iter().any(|ending| name.ends_with(&format!(".{ending}"))) {
            files.insert(path, about);
        }
    }
}

/// Whether a folder is a link to one that it lies in: a package may be linked into its own tests.
fn leads_up(path: &Path) -> bool {
    let is_link = path.symlink_metadata().is_ok_and(|about| about.is_symlink());
    let to = || path.canonicalize().ok();
    let within = || path.parent()?.canonicalize().ok();
    is_link && to().zip(within()).is_none_or(|(to, within)| within.starts_with(to))
}

/// Everything that can be listed: nodes, parents first, then exposures, metrics and the like.
pub fn listed(compiled: &Compiled) -> Vec<Listed> {
    let manifest = &compiled.manifest;
    let inside = |package: &str, path: &str| manifest.written.inside(package, path).to_owned();
    let nodes = manifest.order().into_iter().map(|id| {
        let node = manifest.node(&id);
        Listed {
            unique_id: id.to_string(),
            name: node.shown(),
            resource_type: node.resource_type().to_owned(),
            materialized: made(node).to_owned(),
            relation: node.relation.as_ref().map(ToString::to_string),
            path: inside(&node.package, &node.path),
            selector: selector(node),
        }
    });
    let documents = manifest.documents.iter().map(|document| Listed {
        unique_id: document.id.to_string(),
        name: document.name.clone(),
        resource_type: document.kind.to_owned(),
        materialized: String::new(),
        relation: None,
        path: inside(&document.package, &document.path),
        selector: format!("{}:{}.{}", document.kind, document.package, document.name),
    });
    nodes.chain(documents).filter(|one| one.resource_type != "group").collect()
}

/// What selects a node alone.
fn selector(node: &Node) -> String {
    match &node.kind {
        NodeKind::Source(source) => format!("source:{}.{}.{}", node.package, source.source, source.table),
        NodeKind::UnitTest(_) => format!("unit_test:{}.{}", node.package, node.name),
        _ => node.fqn.join("."),
    }
}

fn made(node: &Node) -> &'static str {
    match (&node.kind, node.materialization()) {
        (_, Some(how)) => how.word(),
        (NodeKind::Source(source), None) if source.landing.is_some() => "landed",
        (NodeKind::Seed(_), _) => "seed",
        (NodeKind::Snapshot(_), _) => "snapshot",
        _ => "",
    }
}
