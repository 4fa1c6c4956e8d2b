//! Which files lie under the project's paths?

use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::base::{Diagnostic, SourceText};

/// The files of one package. Listings are sorted, so that everything after them is stable.
pub(super) struct Files {
    root: PathBuf,
    /// How the package's folder is written in front of its files; empty for the project itself.
    shown: String,
    ignored: Vec<Ignored>,
}

/// A file under one of the package's paths.
pub(super) struct Found {
    /// Relative to the package's folder, with `/`.
    pub(super) path: String,
    /// The folders between the package's path and the file.
    pub(super) folders: Vec<String>,
    /// The file's name without its ending.
    pub(super) stem: String,
}

/// One line of `.dbtignore`, in the words of `.gitignore`.
struct Ignored {
    pattern: Pattern,
    /// `!pattern`: takes a file back in.
    is_back: bool,
    /// Whether the pattern has a `/` before its end, so that it begins at the folder.
    is_anchored: bool,
}

impl Files {
    pub(super) fn new(root: &Path, shown: &str) -> Self {
        let text = std::fs::read_to_string(root.join(".dbtignore")).unwrap_or_default();
        let ignored = text.lines().filter_map(Ignored::read).collect();
        Self { root: root.to_path_buf(), shown: shown.to_owned(), ignored }
    }

    /// The path as the user would type it.
    pub(super) fn shown(&self, path: &str) -> String {
        if self.shown.is_empty() { path.to_owned() } else { format!("{}/{path}", self.shown) }
    }

    /// The file on this machine.
    pub(super) fn on_disk(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Reads a file. Nothing if there is none; one that cannot be read is a mistake.
    pub(super) fn read(&self, path: &str, found: &mut Vec<Diagnostic>) -> Option<SourceText> {
        let full = self.root.join(path);
        let shown = self.shown(path);
        match std::fs::read_to_string(&full) {
            Ok(text) => Some(SourceText::new(&shown, text.strip_prefix('\u{feff}').unwrap_or(&text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                found.push(
                    Diagnostic::error("elt::unreadable", format!("{shown} cannot be read: {error}"))
                        .help("project files are UTF-8 text that the current user may read"),
                );
                None
            }
        }
    }

    /// The files with one of `endings` below `folders` (relative to the root), hidden and ignored ones left out.
    pub(super) fn list(&self, folders: &[String], endings: &[&str]) -> Vec<Found> {
        let mut all = Vec::new();
        for folder in folders {
            let base = self.root.join(folder.trim_end_matches('/'));
            self.walk(&base, &base, endings, &mut all);
        }
        all.sort_by(|a: &Found, b| a.path.cmp(&b.path));
        all.dedup_by(|a, b| a.path == b.path);
        all
    }

    fn walk(&self, base: &Path, folder: &Path, endings: &[&str], all: &mut Vec<Found>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
            if hidden || self.is_ignored(&path) {
                continue;
            }
            if path.is_dir() {
                self.walk(base, &path, endings, all);
            } else if path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known)) {
                all.push(self.found(base, &path));
            }
        }
    }

    fn is_ignored(&self, path: &Path) -> bool {
        if self.ignored.is_empty() {
            return false;
        }
        let inside = slashed(path.strip_prefix(&self.root).unwrap_or(path));
        let mut hits = self.ignored.iter().rev().filter(|line| line.matches(&inside));
        hits.next().is_some_and(|line| !line.is_back)
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

impl Ignored {
    fn read(line: &str) -> Option<Self> {
        let line = line.trim();
        let (line, is_back) = match line.strip_prefix('!') {
            Some(rest) => (rest, true),
            None => (line, false),
        };
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let bare = line.trim_end_matches('/');
        let is_anchored = bare.contains('/');
        let pattern = Pattern::new(bare.trim_start_matches('/')).ok()?;
        Some(Self { pattern, is_back, is_anchored })
    }

    /// A folder's pattern takes all that is below it: the walk does not go in.
    fn matches(&self, path: &str) -> bool {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::default() };
        let subject = if self.is_anchored { path } else { path.rsplit('/').next().unwrap_or(path) };
        self.pattern.matches_with(subject, options)
    }
}

/// A path with `/` between its parts and no `./` before them.
pub(super) fn slashed(path: &Path) -> String {
    let text = path.display().to_string().replace('\\', "/");
    text.strip_prefix("./").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dbtignore_names_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["models/a.sql", "models/old/b.sql", "models/old/keep.sql", "models/c_tmp.sql"] {
            std::fs::create_dir_all(folder.path().join(path).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(path), "").unwrap();
        }
        std::fs::write(folder.path().join(".dbtignore"), "# old ones\n*_tmp.sql\nmodels/old/b*\n").unwrap();
        let files = Files::new(folder.path(), "");
        let paths: Vec<String> =
            files.list(&["models".into()], &["sql"]).into_iter().map(|file| file.path).collect();
        assert_eq!(paths, ["models/a.sql", "models/old/keep.sql"]);
    }
}
