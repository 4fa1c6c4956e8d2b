//! What of the packages is here by now?
//!
//! A [`Stock`] asks the hub, repositories and servers, each for the same thing once, and keeps what it got in a
//! temporary folder, beside where packages are installed so that they can be moved there at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::PackageError;
use super::hub::{self, Offer};
use super::mirrors::Mirrors;
use super::web::Web;
use super::{archive, git};
use crate::project::package_name;

/// A revision of a repository, taken out.
#[derive(Clone, Debug)]
pub(super) struct CheckedOut {
    /// The folder of the package.
    pub(super) folder: PathBuf,
    /// The commit.
    pub(super) commit: String,
    /// The name that the package gives itself.
    pub(super) name: String,
}

/// What was had, and where it is kept.
pub(super) struct Stock<'a> {
    mirrors: &'a Mirrors,
    web: Web,
    /// Where to make the temporary folder.
    beside: PathBuf,
    kept: Option<tempfile::TempDir>,
    count: usize,
    offers: BTreeMap<String, Offer>,
    repositories: BTreeMap<(String, String, Option<String>), CheckedOut>,
    archives: BTreeMap<String, PathBuf>,
}

impl<'a> Stock<'a> {
    /// Nothing yet. What is had is kept below `beside`.
    pub(super) fn new(mirrors: &'a Mirrors, beside: PathBuf) -> Result<Self, PackageError> {
        Ok(Self {
            mirrors,
            web: Web::new()?,
            beside,
            kept: None,
            count: 0,
            offers: BTreeMap::new(),
            repositories: BTreeMap::new(),
            archives: BTreeMap::new(),
        })
    }

    /// What the hub has of a package.
    pub(super) async fn offer(&mut self, package: &str) -> Result<&Offer, PackageError> {
        if !self.offers.contains_key(package) {
            let offer = hub::offer(&self.web, self.mirrors, package).await?;
            self.offers.insert(package.to_owned(), offer);
        }
        Ok(&self.offers[package])
    }

    /// What was asked of the hub already.
    pub(super) fn known_offer(&self, package: &str) -> Option<&Offer> {
        self.offers.get(package)
    }

    /// The folder of a revision that was taken out already.
    pub(super) fn known_repository(
        &self,
        url: &str,
        revision: &str,
        inside: Option<&str>,
    ) -> Option<PathBuf> {
        let key = (url.to_owned(), revision.to_owned(), inside.map(str::to_owned));
        self.repositories.get(&key).map(|taken| taken.folder.clone())
    }

    /// The folder of an archive that was unpacked already.
    pub(super) fn known_archive(&self, url: &str) -> Option<PathBuf> {
        self.archives.get(url).cloned()
    }

    /// A revision of a repository.
    pub(super) async fn repository(
        &mut self,
        url: &str,
        revision: &str,
        subdirectory: Option<&str>,
    ) -> Result<CheckedOut, PackageError> {
        let key = (url.to_owned(), revision.to_owned(), subdirectory.map(str::to_owned));
        if let Some(known) = self.repositories.get(&key) {
            return Ok(known.clone());
        }
        let into = self.new_folder()?;
        let (address, asked, there) = (self.mirrors.address(url), revision.to_owned(), into.clone());
        let taken = tokio::task::spawn_blocking(move || git::check_out(&address, &asked, &there)).await;
        let commit = taken.map_err(|error| PackageError::NoGit { because: error.to_string() })??;
        let what = format!("{url} at {revision}");
        let folder = match subdirectory {
            None => into.clone(),
            Some(inside) => inside_of(&into, inside).ok_or_else(|| PackageError::NotAPackage {
                what: what.clone(),
                because: format!("it has no folder {inside}"),
            })?,
        };
        let name = named(&folder, &what)?;
        let _ = std::fs::remove_dir_all(into.join(".git"));
        let taken = CheckedOut { folder, commit, name };
        // Its commit is its name too.
        for revision in [revision.to_owned(), taken.commit.clone()] {
            self.repositories
                .insert((url.to_owned(), revision, subdirectory.map(str::to_owned)), taken.clone());
        }
        Ok(taken)
    }

    /// The folder of the package in an archive.
    pub(super) async fn archive(&mut self, url: &str, what: &str) -> Result<PathBuf, PackageError> {
        if let Some(known) = self.archives.get(url) {
            return Ok(known.clone());
        }
        let into = self.new_folder()?;
        let packed = into.with_extension("tar.gz");
        self.web.file(&self.mirrors.address(url), &packed, what).await?;
        let (what, archive) = (what.to_owned(), packed.clone());
        let unpacked = tokio::task::spawn_blocking(move || archive::unpack(&archive, &into, &what)).await;
        let stopped = |error: tokio::task::JoinError| PackageError::NotAPackage {
            what: url.to_owned(),
            because: error.to_string(),
        };
        let folder = unpacked.map_err(stopped)??;
        let _ = std::fs::remove_file(packed);
        self.archives.insert(url.to_owned(), folder.clone());
        Ok(folder)
    }

    /// A new folder of its own, empty.
    fn new_folder(&mut self) -> Result<PathBuf, PackageError> {
        let cannot = |path: &Path| {
            let path = path.to_owned();
            move |because: std::io::Error| PackageError::Files { path, because }
        };
        if self.kept.is_none() {
            std::fs::create_dir_all(&self.beside).map_err(cannot(&self.beside))?;
            let made = tempfile::Builder::new().prefix(".elt-").tempdir_in(&self.beside);
            self.kept = Some(made.map_err(cannot(&self.beside))?);
        }
        self.count += 1;
        let folder =
            self.kept.as_ref().map_or(&*self.beside, |kept| kept.path()).join(self.count.to_string());
        std::fs::create_dir(&folder).map_err(cannot(&folder))?;
        Ok(folder)
    }
}

/// The name that the package in a folder gives itself.
pub(super) fn named(folder: &Path, what: &str) -> Result<String, PackageError> {
    let not =
        |because: &str| PackageError::NotAPackage { what: what.to_owned(), because: because.to_owned() };
    if !folder.join("dbt_project.yml").is_file() {
        return Err(not("it has no dbt_project.yml"));
    }
    let name = package_name(folder).ok_or_else(|| not("its dbt_project.yml gives it no name"))?;
    // It becomes the name of a folder.
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    if name.is_empty() || !name.chars().all(is_word) {
        return Err(not("its name is not made of letters, digits and `_`"));
    }
    Ok(name)
}

/// A folder inside another; nothing if it is not there or leads out.
fn inside_of(folder: &Path, inside: &str) -> Option<PathBuf> {
    let (folder, inside) = (folder.canonicalize().ok()?, folder.join(inside).canonicalize().ok()?);
    (inside.starts_with(&folder) && inside.is_dir()).then_some(inside)
}
