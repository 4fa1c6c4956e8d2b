//! What does a build leave beside the lake?
//!
//! The compiled SQL of every node, under the project's target path, for people and tools that want to
//! read it. elt marks the folder as its own, and cleans nothing that does not bear the mark: a
//! project's target path may be some other tool's too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::compile::{Manifest, Node, NodeId, NodeKind};

/// The file that marks a folder as made by elt.
pub const MARK: &str = ".made-by-elt";
/// The folder of compiled SQL under the target path.
pub(super) const COMPILED: &str = "compiled";
/// The folder of statements as they were carried out.
pub(super) const RUN: &str = "run";

/// The files beside it.
const ARTIFACTS: [&str; 9] = [
    "manifest.json",
    "run_results.json",
    "catalog.json",
    "sources.json",
    "graph_summary.json",
    "semantic_manifest.json",
    "perf_info.json",
    "index.html",
    "static_index.html",
];

/// Writes every model's and test's compiled SQL to `<target>/compiled/<project>/<path>`.
///
/// Nothing of an earlier project state stays in the folder. What is there already is not written again.
pub fn write_compiled(target: &Path, manifest: &Manifest) -> io::Result<()> {
    let folder = target.join(COMPILED);
    if folder.exists() && !folder.join(MARK).exists() {
        return Err(io::Error::other(format!("{} was not made by elt", folder.display())));
    }
    match write_into(&folder, manifest) {
        Ok(()) => Ok(()),
        // A file may be where a folder has to be now.
        Err(_) => {
            fs::remove_dir_all(&folder)?;
            write_into(&folder, manifest)
        }
    }
}

fn write_into(folder: &Path, manifest: &Manifest) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mark = folder.join(MARK);
    write_if_other(&mark, "elt makes the files of this folder, and deletes all others\n")?;
    let mut wanted = BTreeSet::from([mark]);
    for node in manifest.nodes.values().filter(|node| !node.sql.is_empty()) {
        wanted.insert(write_one(folder, node, manifest)?);
    }
    delete_others(folder, &wanted)
}

/// Deletes the files below `folder` that are not `wanted`, and the folders that have none.
fn delete_others(folder: &Path, wanted: &BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            delete_others(&path, wanted)?;
            // It stays if something is left in it.
            let _ = fs::remove_dir(&path);
        } else if !wanted.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn write_if_other(path: &Path, text: &str) -> io::Result<()> {
    match fs::read(path) {
        Ok(there) if there == text.as_bytes() => Ok(()),
        _ => fs::write(path, text),
    }
}

/// Writes the SQL of nodes that were compiled only while they were built.
pub fn write_late(target: &Path, manifest: &Manifest, late: &BTreeMap<NodeId, Node>) -> io::Result<()> {
    let folder = target.join(COMPILED);
    late.values().try_for_each(|node| write_one(&folder, node, manifest).map(drop))
}

/// Writes the statements that made or tested nodes, as they were carried out, to `<target>/run/<project>/<path>`.
///
/// Files of nodes that this run did not come to stay as they are, as in dbt.
pub fn write_run(
    target: &Path,
    manifest: &Manifest,
    executed: &BTreeMap<NodeId, Vec<String>>,
) -> io::Result<()> {
    let folder = target.join(RUN);
    let mark = folder.join(MARK);
    if folder.exists() && !mark.exists() {
        return Err(io::Error::other(format!("{} was not made by elt", folder.display())));
    }
    fs::create_dir_all(&folder)?;
    write_if_other(&mark, "elt makes the files of this folder\n")?;
    for (id, statements) in executed.iter().filter(|(_, statements)| !statements.is_empty()) {
        let text: String = statements.iter().map(|sql| format!("{};\n\n", sql.trim())).collect();
        let path = folder.join(place(manifest.node(id), manifest));
        write_below(&path, text.trim_end())?;
    }
    Ok(())
}

fn write_below(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    write_if_other(path, text)
}

/// Writes one node's SQL, and says where.
fn write_one(folder: &Path, node: &Node, manifest: &Manifest) -> io::Result<PathBuf> {
    let path = folder.join(place(node, manifest));
    write_below(&path, &node.sql)?;
    Ok(path)
}

/// The file of a node below the folder of all: its package, and the path of its own file.
pub(super) fn place(node: &Node, manifest: &Manifest) -> PathBuf {
    // A package's files may lie above the project; they are kept inside by their own names.
    let inside = manifest.written.inside(&node.package, &node.path);
    let inside = inside.trim_start_matches("../").trim_start_matches('/');
    let is_own_file = matches!(node.kind, NodeKind::Seed(_))
        || inside.ends_with(".sql")
            && !node.is_test_in_yaml()
            && !matches!(node.kind, NodeKind::Snapshot(_) | NodeKind::UnitTest(_));
    let relative = match is_own_file {
        true => PathBuf::from(inside),
        false => {
            let file = Path::new(inside);
            match &node.kind {
                NodeKind::Test(test) => file.join(format!("{}.sql", test.short_name(&node.name))),
                // dbt repeats the folder of the properties file, and tells the versions of a model apart.
                NodeKind::UnitTest(test) => {
                    let edition = manifest.nodes.get(&test.model).and_then(|model| model.edition.as_ref());
                    let version = edition.map(|edition| format!("_v{}", edition.version)).unwrap_or_default();
                    let folder = file.parent().unwrap_or(Path::new(""));
                    file.join(folder).join(format!("{}{version}.sql", node.name))
                }
                _ => file.join(format!("{}.sql", node.name)),
            }
        }
    };
    Path::new(&node.package).join(relative)
}

/// Deletes what [`write_compiled`] made, and says what that was. The lake is not touched.
pub fn clean(target: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = target.join(COMPILED);
    if !folder.join(MARK).exists() {
        return Ok(Vec::new());
    }
    fs::remove_dir_all(&folder)?;
    let run = target.join(RUN);
    if run.join(MARK).exists() {
        fs::remove_dir_all(&run)?;
    }
    for name in ARTIFACTS {
        let _ = fs::remove_file(target.join(name));
    }
    let docs = target.join("docs");
    if docs.join(MARK).exists() {
        fs::remove_dir_all(&docs)?;
    }
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
