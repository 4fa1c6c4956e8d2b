//! What is in an archive, and may it be unpacked?

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;

use super::error::PackageError;

/// The most that an archive may unpack to: an archive can be made that never ends.
const MOST: u64 = 2 * 1024 * 1024 * 1024;

/// Unpacks a `.tar.gz` into a folder that is there and empty, and returns the folder in it that is the package.
///
/// Files and folders are unpacked, and nothing else: no links, no devices. A path that leads out of the folder is a
/// mistake of the whole archive.
///
/// # Errors
/// [`PackageError::NotAPackage`] if it is no such archive or holds no package.
pub(super) fn unpack(archive: &Path, into: &Path, what: &str) -> Result<PathBuf, PackageError> {
    let bad = |because: String| PackageError::NotAPackage { what: what.to_owned(), because };
    let file =
        File::open(archive).map_err(|because| PackageError::Files { path: archive.to_owned(), because })?;
    let mut tar = tar::Archive::new(GzDecoder::new(file));
    let mut left = MOST;
    let entries = tar.entries().map_err(|error| bad(format!("it is no .tar.gz: {error}")))?;
    for entry in entries {
        let mut entry = entry.map_err(|error| bad(format!("it is no whole .tar.gz: {error}")))?;
        let path = entry.path().map_err(|error| bad(error.to_string()))?.into_owned();
        let kind = entry.header().entry_type();
        if !kind.is_file() && !kind.is_dir() {
            continue;
        }
        let inside = inside(&path)
            .ok_or_else(|| bad(format!("it holds the path {}, which leads out of it", path.display())))?;
        if inside.as_os_str().is_empty() {
            continue;
        }
        let full = into.join(inside);
        let cannot = |because: io::Error| PackageError::Files { path: full.clone(), because };
        if kind.is_dir() {
            std::fs::create_dir_all(&full).map_err(cannot)?;
            continue;
        }
        if let Some(parent) = full.parent() {
            std::fs::create_dir_all(parent).map_err(cannot)?;
        }
        let mut out = File::create(&full).map_err(cannot)?;
        let copied = io::copy(&mut entry.by_ref().take(left + 1), &mut out);
        let copied = copied.map_err(|error| bad(format!("{} is damaged: {error}", path.display())))?;
        left = left
            .checked_sub(copied)
            .ok_or_else(|| bad(format!("it unpacks to more than {} GB", MOST >> 30)))?;
    }
    package_in(into).ok_or_else(|| bad("it has no dbt_project.yml in its one folder".to_owned()))
}

/// A path without `.`; nothing if it is absolute or goes up.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => inside.push(part),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(inside)
}

/// The folder of the package: the one folder of the archive or, if it was packed without one, the archive itself.
fn package_in(folder: &Path) -> Option<PathBuf> {
    let is_package = |folder: &Path| folder.join("dbt_project.yml").is_file();
    if is_package(folder) {
        return Some(folder.to_owned());
    }
    let mut folders =
        std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).filter(|path| is_package(path));
    let first = folders.next()?;
    folders.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of paths and their texts; names are written as they are, good or bad.
    fn archive(folder: &Path, files: &[(&str, &str)]) -> PathBuf {
        let path = folder.join("a.tar.gz");
        let gz = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gz);
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append(&header, text.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        path
    }

    fn unpacked(files: &[(&str, &str)]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("out");
        std::fs::create_dir(&into).unwrap();
        let packed = archive(folder.path(), files);
        let found = unpack(&packed, &into, "x").map_err(|error| error.to_string())?;
        Ok(found.strip_prefix(&into).unwrap().display().to_string())
    }

    #[test]
    fn the_one_folder_is_the_package() {
        assert_eq!(
            unpacked(&[("p-1.0/dbt_project.yml", "name: p"), ("p-1.0/macros/m.sql", "")]).unwrap(),
            "p-1.0"
        );
        assert_eq!(unpacked(&[("./dbt_project.yml", "name: p")]).unwrap(), "");
        assert_eq!(
            unpacked(&[("p/readme.md", "")]).unwrap_err(),
            "x is no package: it has no dbt_project.yml in its one folder"
        );
    }

    #[test]
    fn nothing_is_written_outside() {
        for path in ["../evil", "p/../../evil", "/tmp/evil"] {
            let told = unpacked(&[("p/dbt_project.yml", ""), (path, "x")]).unwrap_err();
            assert!(told.contains("which leads out of it"), "{told}");
        }
    }

    #[test]
    fn what_is_no_archive_is_said_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "<html>not found</html>").unwrap();
        let told = unpack(&file, folder.path(), "x").unwrap_err().to_string();
        assert!(told.starts_with("x is no package: it is no"), "{told}");
    }
}
