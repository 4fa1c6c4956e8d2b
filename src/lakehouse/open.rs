//! Where is the lakehouse?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Lakehouse;
use crate::base::{Error, Result, Strictness, World};
use crate::compile::YamlRenderer;
use crate::lake::Lake;
use crate::project::{self, LoadOptions, Outline};
use crate::table::Tables;

/// Where a lakehouse is found, and in which shape.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The folder to start from; the project is its nearest parent that is one.
    pub folder: PathBuf,
    /// The lake's folder or URL, over what the project says.
    pub lake: Option<String>,
    /// The target of the profile to use.
    pub target: Option<String>,
    /// The profile to use, over what the project asks for.
    pub profile: Option<String>,
    /// Where profiles.yml is.
    pub profiles_dir: Option<PathBuf>,
    /// `--vars`
    pub vars: BTreeMap<String, serde_json::Value>,
    /// Where artifacts go, relative to the project, over what the project says.
    pub target_path: Option<PathBuf>,
    /// Which warnings are mistakes.
    pub strictness: Strictness,
    /// Whether no artifacts are written.
    pub no_artifacts: bool,
    /// Whether every file of the project is read, changed or not.
    pub reads_all: bool,
    /// Whether any version of dbt that a package needs will do.
    pub any_dbt_version: bool,
    /// The id of the one run to come, where somebody has told it already; a new one if nothing.
    pub invocation: Option<String>,
}

impl OpenOptions {
    /// Reads `--vars`: a map in YAML, of which JSON is a part.
    pub fn read_vars(text: &str) -> Result<BTreeMap<String, serde_json::Value>> {
        Self::read_map("--vars", text)
    }

    /// Reads the map that a flag was given.
    pub fn read_map(flag: &str, text: &str) -> Result<BTreeMap<String, serde_json::Value>> {
        project::read_vars(text).map_err(|error| {
            Error::user(
                "elt::vars",
                format!("`{flag}` is not a map: {error}"),
                format!("write it as `{flag} '{{\"start\": \"2013-01-01\"}}'`"),
            )
        })
    }
}

/// What a project says of flags, before anything of it is asked.
#[derive(Clone, Debug, Default)]
pub struct WrittenFlags {
    /// The project's folder, or the folder that was asked about.
    pub root: PathBuf,
    /// `flags:` of `dbt_project.yml`
    pub flags: serde_json::Map<String, serde_json::Value>,
    /// `log-path:`
    pub log_path: Option<PathBuf>,
}

/// What the project that `folder` is in says of flags. What is wrong with it is told by whoever reads it whole.
pub fn written_flags(folder: &Path, env: &BTreeMap<String, String>) -> WrittenFlags {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let Some(root) = project::find_root(&folder) else {
        return WrittenFlags { root: folder, ..WrittenFlags::default() };
    };
    let (flags, log_path) = project::written_flags(&root, &YamlRenderer::new(), env);
    WrittenFlags { root, flags, log_path: log_path.map(PathBuf::from) }
}

/// A lakehouse whose lake is not open yet.
pub(super) struct Found {
    project: Option<LoadOptions>,
    outline: Option<Outline>,
    root: PathBuf,
    strictness: Strictness,
    no_artifacts: bool,
    reads_all: bool,
    checks_version: bool,
    invocation: Option<String>,
}

/// Where a lake is.
pub(super) enum Place {
    /// On this machine.
    Folder(PathBuf),
    /// In an object store.
    Url(String),
}

impl Found {
    pub(super) fn from(options: &OpenOptions, world: &World) -> Result<Self> {
        let folder = std::path::absolute(&options.folder).map_err(|error| {
            Error::user(
                "elt::folder",
                format!("{}: {error}", options.folder.display()),
                "give a folder that exists",
            )
        })?;
        let root = project::find_root(&folder);
        let load = root.clone().map(|root| LoadOptions {
            root,
            target: options.target.clone(),
            profile: options.profile.clone(),
            profiles_dir: options.profiles_dir.clone(),
            vars: options.vars.clone(),
            target_path: options.target_path.clone(),
            env: Arc::clone(&world.env),
        });
        let outline = load.as_ref().and_then(|load| project::outline(load, &YamlRenderer::new()));
        Ok(Self {
            project: load,
            outline,
            root: root.unwrap_or(folder),
            strictness: options.strictness.clone(),
            no_artifacts: options.no_artifacts,
            reads_all: options.reads_all,
            checks_version: !options.any_dbt_version,
            invocation: options.invocation.clone(),
        })
    }

    /// Where the lake is: as asked for, as the profile says, or `lake` in the root.
    pub(super) fn place(&self, options: &OpenOptions) -> Place {
        let declared = self.outline.as_ref().and_then(|outline| outline.target.lake.clone());
        let (lake, from) = match (&options.lake, declared) {
            (Some(lake), _) => (lake.clone(), &options.folder),
            (None, Some(lake)) => (lake, &self.root),
            (None, None) => ("lake".to_owned(), &self.root),
        };
        match lake.strip_prefix("file://") {
            Some(path) => Place::Folder(from.join(path)),
            None if lake.contains("://") => Place::Url(lake),
            None => Place::Folder(from.join(lake)),
        }
    }

    pub(super) fn with(self, world: World, lake: Lake) -> Lakehouse {
        let target_path = self.outline.as_ref().map(|outline| outline.target_path.clone());
        let target = self.outline.map(|outline| outline.target);
        let unsaid = target.as_ref().map(|target| target.unsaid).unwrap_or_default();
        let schema = target.map_or_else(|| "main".to_owned(), |target| target.schema);
        Lakehouse {
            tables: Tables::new(lake, world.clone()),
            world,
            project: self.project,
            root: self.root,
            default_schema: schema,
            unsaid,
            strictness: self.strictness,
            no_artifacts: self.no_artifacts,
            reads_all: self.reads_all,
            checks_version: self.checks_version,
            target_path,
            invocation: self.invocation,
        }
    }
}
