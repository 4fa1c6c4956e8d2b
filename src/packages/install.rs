//! How do packages come to where the project looks for them?
//!
//! Each is put together beside its place and then moved there, so that a place holds a whole package or the one
//! that was there before. A mark in its folder says what it is: what is there already is not fetched again, and what
//! bears no mark was put there by somebody else.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::PackageError;
use super::lock;
use super::pin::Pin;
use super::stock::{Stock, named};
use crate::project::PACKAGE_MARK as MARK;

/// Whether the folder of a package holds just what is settled.
pub(super) fn is_there(pin: &Pin, place: &Path) -> bool {
    let mark = || -> Option<Value> {
        serde_json::from_slice(&std::fs::read(place.join(pin.name()).join(MARK)).ok()?).ok()
    };
    mark().is_some_and(|mark| mark == lock::mark(pin))
}

/// Gets a package and puts it in its place below `place`; says the name that it gives itself.
pub(super) async fn install(pin: &Pin, place: &Path, stock: &mut Stock<'_>) -> Result<String, PackageError> {
    let (folder, name) = match pin {
        Pin::Hub { package, version, .. } => {
            let offer = stock.offer(package).await?;
            let edition = offer.versions.values().find(|one| one.written == *version).cloned();
            let what = format!("{package} {version}");
            let edition = edition.ok_or_else(|| PackageError::NotFound {
                what: what.clone(),
                url: package.clone(),
                help: Some(
                    "the hub does not have this version any more; `elt deps --upgrade` settles on another"
                        .to_owned(),
                ),
            })?;
            let folder = stock.archive(&edition.tarball, &what).await?;
            // Some packages of the hub give themselves other names in their archives; dbt goes by the hub.
            named(&folder, &what)?;
            (folder, edition.name)
        }
        Pin::Git { url, commit, subdirectory, .. } => {
            let taken = stock.repository(url, commit, subdirectory.as_deref()).await?;
            (taken.folder, taken.name)
        }
        Pin::Tarball { url, name, .. } => {
            let folder = stock.archive(url, url).await?;
            named(&folder, url)?;
            (folder, name.clone())
        }
        Pin::Local { name, .. } | Pin::Vendored { name, .. } => return Ok(name.clone()),
    };
    if name.is_empty() || !name.chars().all(|letter| letter.is_alphanumeric() || letter == '_') {
        let because = format!("`{name}` cannot name a folder");
        return Err(PackageError::NotAPackage { what: pin.from().to_owned(), because });
    }
    let mark = lock::mark(pin).to_string();
    let target = place.join(&name);
    write(&folder.join(MARK), mark.as_bytes())?;
    replace(&folder, &target)?;
    Ok(name)
}

/// Moves a folder to where another may be, which goes.
fn replace(new: &Path, target: &Path) -> Result<(), PackageError> {
    let cannot = |because: std::io::Error| PackageError::Files { path: target.to_owned(), because };
    let Ok(there) = target.symlink_metadata() else {
        return std::fs::rename(new, target).map_err(cannot);
    };
    if there.is_symlink() || there.is_file() {
        std::fs::remove_file(target).map_err(cannot)?;
        return std::fs::rename(new, target).map_err(cannot);
    }
    // Beside it, so that it goes with the temporary folder that the new one is in.
    let old = new.with_extension("old");
    std::fs::rename(target, &old).map_err(cannot)?;
    if let Err(because) = std::fs::rename(new, target) {
        let _ = std::fs::rename(&old, target);
        return Err(cannot(because));
    }
    let _ = std::fs::remove_dir_all(old);
    Ok(())
}

/// Takes away what was installed here and is asked for no more; says the names.
pub(super) fn prune(pins: &[Pin], place: &Path) -> Result<Vec<String>, PackageError> {
    let mut gone = Vec::new();
    let Ok(entries) = std::fs::read_dir(place) else { return Ok(gone) };
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    for folder in folders {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_asked_for = pins.iter().any(|pin| pin.name() == name);
        if is_asked_for || folder.is_symlink() || !folder.join(MARK).is_file() {
            continue;
        }
        std::fs::remove_dir_all(&folder)
            .map_err(|because| PackageError::Files { path: folder.clone(), because })?;
        gone.push(name);
    }
    Ok(gone)
}

/// Writes a file as a whole: it holds the old text or the new.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), PackageError> {
    let cannot = |because: std::io::Error| PackageError::Files { path: path.to_owned(), because };
    let beside = path.with_extension("elt-new");
    std::fs::write(&beside, bytes).map_err(cannot)?;
    std::fs::rename(&beside, path).map_err(cannot)
}
