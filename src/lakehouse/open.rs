//! Where is the lakehouse?

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::Lakehouse;
use crate::base::{Error, Result, World};
use crate::compile::YamlRenderer;
use crate::lake::Lake;
use crate::project::{self, LoadOptions, Project};
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
}

impl OpenOptions {
    /// Reads `--vars`: a map in YAML, of which JSON is a part.
    pub fn read_vars(text: &str) -> Result<BTreeMap<String, serde_json::Value>> {
        project::read_vars(text).map_err(|error| {
            Error::user(
                "elt::vars",
                format!("`--vars` is not a map: {error}"),
                "write it as `--vars '{\"start\": \"2013-01-01\"}'`",
            )
        })
    }
}

/// A lakehouse whose lake is not open yet.
pub(super) struct Found {
    project: Option<LoadOptions>,
    loaded: Option<Project>,
    root: PathBuf,
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
            env: Arc::clone(&world.env),
        });
        let loaded = load.as_ref().and_then(|load| project::load(load, &YamlRenderer::new()).0);
        Ok(Self { project: load, loaded, root: root.unwrap_or(folder) })
    }

    /// Where the lake is: as asked for, as the profile says, or `lake` in the root.
    pub(super) fn place(&self, options: &OpenOptions) -> Place {
        let declared = self.loaded.as_ref().and_then(|project| project.target.lake.clone());
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
        let schema = self.loaded.map_or_else(|| "main".to_owned(), |project| project.target.schema);
        Lakehouse {
            tables: Tables::new(lake, world.clone()),
            world,
            project: self.project,
            root: self.root,
            default_schema: schema,
        }
    }
}
