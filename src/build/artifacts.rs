//! What does a build leave beside the lake?
//!
//! The compiled SQL of every node, under the project's target path, for people and tools that want to
//! read it. elt marks the folder as its own, and cleans nothing that does not bear the mark: a
//! project's target path may be some other tool's too.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::compile::Manifest;

/// The file that marks a folder as made by elt.
const MARK: &str = ".made-by-elt";
/// The folder of compiled SQL under the target path.
const COMPILED: &str = "compiled";

/// Writes every model's and test's compiled SQL to `<target>/compiled/<project>/<path>`.
///
/// The folder is made anew, so nothing of an earlier project state stays in it.
pub fn write_compiled(target: &Path, manifest: &Manifest) -> io::Result<()> {
    let folder = target.join(COMPILED);
    if folder.exists() && !folder.join(MARK).exists() {
        return Err(io::Error::other(format!("{} was not made by elt", folder.display())));
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(MARK), "elt makes this folder anew with each build\n")?;
    for node in manifest.nodes.values().filter(|node| !node.sql.is_empty()) {
        let relative = match node.path.ends_with(".sql") {
            true => PathBuf::from(&node.path),
            false => Path::new(&node.path).join(format!("{}.sql", node.name)),
        };
        let path = folder.join(&manifest.project).join(relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, &node.sql)?;
    }
    Ok(())
}

/// Deletes what [`write_compiled`] made, and says what that was. The lake is not touched.
pub fn clean(target: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = target.join(COMPILED);
    if !folder.join(MARK).exists() {
        return Ok(Vec::new());
    }
    fs::remove_dir_all(&folder)?;
    // The target path goes too if nothing else is in it; otherwise it belongs to others as well.
    let _ = fs::remove_dir(target);
    Ok(vec![folder])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_marked_folder_is_cleaned() {
        let target = tempfile::tempdir().unwrap();
        let compiled = target.path().join(COMPILED);
        fs::create_dir_all(&compiled).unwrap();
        fs::write(compiled.join("cargo-made-this"), "").unwrap();
        assert_eq!(clean(target.path()).unwrap(), Vec::<PathBuf>::new());

        fs::write(compiled.join(MARK), "").unwrap();
        fs::write(target.path().join("debug"), "").unwrap();
        assert_eq!(clean(target.path()).unwrap(), vec![compiled.clone()]);
        assert!(!compiled.exists() && target.path().join("debug").exists());
    }
}
