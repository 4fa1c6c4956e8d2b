//! Which packages does the project stand on, and where are they?
//!
//! A package is a folder of this machine: one that `packages.yml` names by `local:`, or one below
//! `dbt_packages/` (as `packages-install-path` says), where `elt deps` installed it or somebody copied it.
//! A package that is asked for and is in neither place is a mistake that says how it gets there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::base::Diagnostic;

use super::dependency::{Dependency, DependencyKind, dependencies};
use super::files::{Files, slashed};
use super::settings::Settings;
use super::yaml::{RenderScope, Yaml, YamlJinja};

/// A package on its way in: its settings, and where its files are.
pub(super) struct Package {
    pub(super) settings: Settings,
    pub(super) root: PathBuf,
    pub(super) files: Files,
}

/// What finding packages needs.
pub(super) struct Finder<'a> {
    pub(super) jinja: &'a dyn YamlJinja,
    pub(super) scope: RenderScope<'a>,
    pub(super) root: &'a Path,
    pub(super) settings: &'a Settings,
    pub(super) found: &'a mut Vec<Diagnostic>,
}

impl Finder<'_> {
    /// Every package below the project, by name, with what is wrong added to `found`.
    ///
    /// Those that are asked for and, of those that elt installed, all: somebody in between asks for them.
    pub(super) fn find(mut self) -> Vec<Package> {
        let marked = marked(&self.root.join(self.install_path()));
        let mut packages: Vec<Package> = Vec::new();
        let mut seen = BTreeSet::from([self.settings.name.clone()]);
        let mut open: Vec<Dependency> = self.wanted(self.root, "");
        let mut missing = Vec::new();
        while let Some(wanted) = open.pop() {
            let folder = match &wanted.kind {
                DependencyKind::Local { folder } => Some(folder.clone()),
                _ => {
                    let by_mark = marked.iter().find(|(_, mark)| is_mark_of(mark, &wanted));
                    by_mark.map(|(folder, _)| folder.clone()).or_else(|| self.installed(&wanted.name))
                }
            };
            let Some(folder) = folder.filter(|folder| folder.join("dbt_project.yml").is_file()) else {
                missing.push(wanted);
                continue;
            };
            let Some(package) = self.read(&folder) else { continue };
            if seen.insert(package.settings.name.clone()) {
                let shown = package.files.shown("");
                open.extend(self.wanted(&folder, shown.trim_end_matches('/')));
                packages.push(package);
            }
        }
        for (folder, _) in &marked {
            let Some(package) = self.read(folder) else { continue };
            if seen.insert(package.settings.name.clone()) {
                packages.push(package);
            }
        }
        for wanted in missing.into_iter().rev().filter(|wanted| !seen.contains(&wanted.name)) {
            self.found.push(not_installed(&wanted, &self.install_path()));
        }
        packages.sort_by(|a, b| a.settings.name.cmp(&b.settings.name));
        packages
    }

    fn install_path(&self) -> String {
        self.settings.packages_path.clone().unwrap_or_else(|| "dbt_packages".to_owned())
    }

    fn installed(&self, name: &str) -> Option<PathBuf> {
        let places = [self.install_path(), "dbt_modules".to_owned()].map(|place| self.root.join(place));
        installed(&places, name)
    }

    fn read(&mut self, folder: &Path) -> Option<Package> {
        let shown = folder.strip_prefix(self.root).map_or_else(|_| slashed(folder), slashed);
        let files = Files::new(folder, shown.trim_end_matches('/'));
        let text = files.read("dbt_project.yml", self.found)?;
        let mut yaml = Yaml::parse(&text).map_err(|diagnostic| self.found.push(diagnostic)).ok()?;
        // What a package says of itself is not the user's to mend: only errors are told.
        let mut found = Vec::new();
        yaml.render(self.jinja, &self.scope, super::settings::LATE, &mut found);
        let settings = Settings::read(&yaml, "package", &mut found);
        self.found.extend(found.into_iter().filter(Diagnostic::is_error));
        Some(Package { settings, root: folder.to_path_buf(), files })
    }

    fn wanted(&mut self, folder: &Path, shown: &str) -> Vec<Dependency> {
        dependencies(folder, shown, self.jinja, &self.scope, self.found)
    }
}

/// The file in the folder of an installed package that says what it is: its entry of the lock file, as JSON.
pub const PACKAGE_MARK: &str = ".elt-package.json";

/// The folders that elt installed, each with what its mark says.
fn marked(place: &Path) -> Vec<(PathBuf, Value)> {
    let entries = std::fs::read_dir(place).ok().into_iter().flatten().flatten();
    let read = |folder: PathBuf| {
        let mark = serde_json::from_slice(&std::fs::read(folder.join(PACKAGE_MARK)).ok()?).ok()?;
        Some((folder, mark))
    };
    let mut all: Vec<(PathBuf, Value)> = entries.filter_map(|entry| read(entry.path())).collect();
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

/// Whether a mark is that of a package that is asked for.
fn is_mark_of(mark: &Value, wanted: &Dependency) -> bool {
    let same = |key: &str| {
        let bare = |of: &Value| {
            let text = of.get(key).and_then(Value::as_str).unwrap_or_default();
            text.trim_end_matches('/').trim_end_matches(".git").to_owned()
        };
        bare(mark) == bare(&wanted.written)
    };
    match &wanted.kind {
        DependencyKind::Hub { .. } => mark.get("package").is_some() && same("package"),
        DependencyKind::Git { .. } => mark.get("git").is_some() && same("git") && same("subdirectory"),
        DependencyKind::Tarball { .. } => mark.get("tarball").is_some() && same("tarball"),
        DependencyKind::Local { .. } => false,
    }
}

/// The folder of an installed package below one of `places`, by its folder's name or by the name that it gives itself.
pub fn installed(places: &[PathBuf], name: &str) -> Option<PathBuf> {
    // A name may be the last part of an address that somebody wrote; it is no path.
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
        return None;
    }
    // A repository `dbt-audit-helper` holds the package `audit_helper`.
    let usual = name.trim_start_matches("dbt-").replace('-', "_");
    let direct = places.iter().flat_map(|place| [place.join(name), place.join(&usual)]);
    if let Some(folder) = direct.into_iter().find(|folder| folder.join("dbt_project.yml").is_file()) {
        return Some(folder);
    }
    let is_hidden =
        |folder: &PathBuf| folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let mut folders: Vec<PathBuf> = places
        .iter()
        .filter_map(|place| std::fs::read_dir(place).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|folder| !is_hidden(folder))
        .collect();
    folders.sort();
    folders.into_iter().find(|folder| {
        let text = std::fs::read_to_string(folder.join("dbt_project.yml")).unwrap_or_default();
        let named = text.lines().find_map(|line| line.strip_prefix("name:"));
        named.is_some_and(|named| {
            let named = named.trim().trim_matches(['"', '\'']);
            named == name || named == usual
        })
    })
}

fn not_installed(wanted: &Dependency, install_path: &str) -> Diagnostic {
    let name = &wanted.name;
    match &wanted.kind {
        DependencyKind::Local { folder } => {
            Diagnostic::error("elt::package_not_found", format!("there is no package in {}", slashed(folder)))
                .at(&wanted.at, "no dbt_project.yml there")
                .help("a local package is a folder with a dbt_project.yml, relative to this file")
        }
        _ => Diagnostic::error("elt::package_not_found", format!("the package `{name}` is not installed"))
            .at(&wanted.at, format!("not in {install_path}/"))
            .help(format!("`elt deps` installs it; without a network, copy it to {install_path}/{name}/")),
    }
}
