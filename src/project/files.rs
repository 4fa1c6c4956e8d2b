//! Which files lie under the project's paths?

use std::path::{Path, PathBuf};

use crate::base::{Diagnostic, SourceText};

/// The files of one project. Listings are sorted, so that everything after them is stable.
pub(super) struct Files {
    root: PathBuf,
}

/// A file under one of the project's paths.
pub(super) struct Found {
    /// Relative to the root, with `/`.
    pub(super) path: String,
    /// The folders between the project's path and the file.
    pub(super) folders: Vec<String>,
    /// The file's name without its ending.
    pub(super) stem: String,
}

impl Files {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// Reads a file. Nothing if there is none; one that cannot be read is a mistake.
    pub(super) fn read(&self, path: &str, found: &mut Vec<Diagnostic>) -> Option<SourceText> {
        let full = self.root.join(path);
        match std::fs::read_to_string(&full) {
            Ok(text) => Some(SourceText::new(path, text.strip_prefix('\u{feff}').unwrap_or(&text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                found.push(
                    Diagnostic::error("elt::unreadable", format!("{path} cannot be read: {error}"))
                        .help("project files are UTF-8 text that the current user may read"),
                );
                None
            }
        }
    }

    /// The files with one of `endings` below `folders` (relative to the root), hidden ones left out.
    pub(super) fn list(&self, folders: &[String], endings: &[&str]) -> Vec<Found> {
        let mut all = Vec::new();
        for folder in folders {
            let base = self.root.join(folder);
            self.walk(&base, &base, endings, &mut all);
        }
        all.sort_by(|a: &Found, b| a.path.cmp(&b.path));
        all.dedup_by(|a, b| a.path == b.path);
        all
    }

    fn walk(&self, base: &Path, folder: &Path, endings: &[&str], all: &mut Vec<Found>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.')) {
                continue;
            }
            if path.is_dir() {
                self.walk(base, &path, endings, all);
            } else if path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known)) {
                all.push(self.found(base, &path));
            }
        }
    }

    fn found(&self, base: &Path, path: &Path) -> Found {
        let inside = path.strip_prefix(base).unwrap_or(path);
        let folders =
            inside.parent().map(|parent| parent.iter().map(|part| part.to_string_lossy().into_owned()));
        Found {
            path: slashed(path.strip_prefix(&self.root).unwrap_or(path)),
            folders: folders.into_iter().flatten().collect(),
            stem: path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(),
        }
    }
}

/// A path with `/` between its parts and no `./` before them.
pub(super) fn slashed(path: &Path) -> String {
    let text = path.display().to_string().replace('\\', "/");
    text.strip_prefix("./").map(str::to_owned).unwrap_or(text)
}
