//! What is there to know of a project and of what it has made?
//!
//! [`Lakehouse::document`] writes `catalog.json`, and the site: a page that a browser opens from disk, with search, lineage,
//! runs and history. What it shows is gathered from what is there already: the entries of `manifest.json`, the tables of the
//! release that readers see ([`found`]), the reports of runs and the releases ([`past`]). [`pages`] makes one document
//! of that, and [`site`] writes it beside the files of the page itself, which are in `site/`.
//!
//! Not here: the server that shows the site to a browser, which is a door (`serve`).

mod found;
mod pages;
mod past;
mod site;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Lakehouse, NodeId, Studied, StudyRequest};
use crate::base::{Error, Result, sql_type_name};
use crate::build;
use pages::Pages;

pub use site::{DOCS, SITE_FILES};

/// What is to be written about a project.
#[derive(Clone, Copy, Debug, Default)]
pub struct DocumentRequest {
    /// Say nothing of the lake's tables.
    pub is_empty: bool,
    /// Write the site as one file as well, `static_index.html`.
    pub is_static: bool,
}

/// What a catalog and its site were made of.
#[derive(Debug)]
pub struct Documented {
    /// How many tables and views the catalog has.
    pub count: usize,
    /// Where `catalog.json` is.
    pub path: PathBuf,
    /// The pages that were written; none if no artifacts are.
    pub pages: Vec<PathBuf>,
}

impl Lakehouse {
    /// Writes `catalog.json` of a compiled project: the columns that everything readable that was picked really has,
    /// or of nothing; and the site, which has every node of the project.
    ///
    /// # Errors
    /// The lake cannot be read, or the target path cannot be written.
    pub async fn document(&self, studied: &Studied, request: &DocumentRequest) -> Result<Documented> {
        let session = self.session().await?;
        let found = match request.is_empty {
            true => BTreeMap::new(),
            false => found::found(&session, studied).await?,
        };
        let readable = found.iter().map(|(id, one)| {
            let column =
                |field: &arrow::datatypes::FieldRef| (field.name().clone(), sql_type_name(field.data_type()));
            (id.clone(), (one.is_view, one.schema.fields().iter().map(column).collect()))
        });
        let readable = readable.collect();
        let project = &studied.compiled.project;
        let stamp = self.stamp_in(project, &self.run_id(), "generate");
        let catalog = build::catalog(&studied.compiled.manifest, &readable, &stamp);
        let target = &project.target_path;
        self.write_artifact(target, "catalog.json", &catalog).map_err(|error| self.not_written(&error))?;
        let mut written = Vec::new();
        if !self.no_artifacts {
            let past = match request.is_empty {
                true => past::Past::default(),
                false => past::past(self.tables.lake()).await?,
            };
            let fresh = std::fs::read(target.join("sources.json"));
            let fresh = fresh.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
            let release = session.scope().pins().release;
            let pages = Pages { studied, found: &found, past: &past, fresh: &fresh, stamp: &stamp, release };
            let site = site::write(target, &pages, &self.secrets(), request.is_static);
            written = site.map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    let help = "move it elsewhere, or give another folder: `--target-path`";
                    Error::user("elt::docs::folder", error.to_string(), help)
                }
                _ => self.not_written(&error),
            })?;
        }
        Ok(Documented { count: found.len(), path: target.join("catalog.json"), pages: written })
    }

    /// The project without its nodes' SQL, for who documents what was compiled before.
    pub async fn picked(&self, request: &StudyRequest) -> Result<Studied> {
        let (compiled, selected) = self.select(&request.select, &request.exclude, &request.earlier).await?;
        let is_picked = |id: &NodeId| {
            selected.contains(id) && request.kinds.take(compiled.manifest.node(id).resource_type())
        };
        let picked = compiled.manifest.order().into_iter().filter(is_picked).collect();
        Ok(Studied::of(compiled, picked))
    }

    /// The folder that artifacts are written to, and the site with them.
    ///
    /// # Errors
    /// There is no project.
    pub fn target_folder(&self) -> Result<PathBuf> {
        self.target_path.clone().ok_or_else(|| self.no_project())
    }
}
