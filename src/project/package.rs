//! Which packages does the project stand on, and where are they?
//!
//! Nothing is downloaded. A package is a folder of this machine: one that `packages.yml` names by `local:`,
//! or one below `dbt_packages/` (as `packages-install-path` says), where it was installed or copied.
//! A package that is asked for and is in neither place is a mistake that says where it belongs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::base::{Diagnostic, Span};

use super::files::{Files, slashed};
use super::settings::Settings;
use super::words::unsupported;
use super::yaml::{RenderScope, Yaml, YamlJinja};

/// A package on its way in: its settings, and where its files are.
pub(super) struct Package {
    pub(super) settings: Settings,
    pub(super) root: PathBuf,
    pub(super) files: Files,
}

/// One entry of `packages.yml` or `dependencies.yml`.
struct Wanted {
    /// The name it is likely to have: the last part of its hub name, its address or its folder.
    name: String,
    /// Its folder, if it is `local:`.
    local: Option<PathBuf>,
    at: Span,
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
    pub(super) fn find(mut self) -> Vec<Package> {
        let mut packages: Vec<Package> = Vec::new();
        let mut seen = BTreeSet::from([self.settings.name.clone()]);
        let mut open: Vec<Wanted> = self.wanted(self.root, "");
        let mut missing = Vec::new();
        while let Some(wanted) = open.pop() {
            let folder = wanted.local.clone().or_else(|| self.installed(&wanted.name));
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
        for wanted in missing.into_iter().rev().filter(|wanted| !seen.contains(&wanted.name)) {
            self.found.push(not_installed(&wanted, &self.install_path()));
        }
        packages.sort_by(|a, b| a.settings.name.cmp(&b.settings.name));
        packages
    }

    fn install_path(&self) -> String {
        self.settings.packages_path.clone().unwrap_or_else(|| "dbt_packages".to_owned())
    }

    /// The folder of an installed package, by its folder's name or by the name that it gives itself.
    fn installed(&self, name: &str) -> Option<PathBuf> {
        let places = [self.install_path(), "dbt_modules".to_owned()].map(|place| self.root.join(place));
        // A repository `dbt-audit-helper` holds the package `audit_helper`.
        let usual = name.trim_start_matches("dbt-").replace('-', "_");
        let direct = places.iter().flat_map(|place| [place.join(name), place.join(&usual)]);
        if let Some(folder) = direct.into_iter().find(|folder| folder.join("dbt_project.yml").is_file()) {
            return Some(folder);
        }
        let mut folders: Vec<PathBuf> = places
            .iter()
            .filter_map(|place| std::fs::read_dir(place).ok())
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
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

    fn wanted(&mut self, folder: &Path, shown: &str) -> Vec<Wanted> {
        let files = Files::new(folder, shown);
        let mut all = Vec::new();
        for name in ["packages.yml", "dependencies.yml"] {
            let Some(text) = files.read(name, self.found) else { continue };
            match Yaml::parse(&text) {
                Ok(mut yaml) => {
                    yaml.render(self.jinja, &self.scope, &[], self.found);
                    all.extend(self.entries(&yaml, folder));
                }
                Err(diagnostic) => self.found.push(diagnostic),
            }
        }
        all
    }

    fn entries(&mut self, yaml: &Yaml, folder: &Path) -> Vec<Wanted> {
        for project in yaml.get("projects").map(Yaml::items).unwrap_or_default() {
            self.found.push(unsupported(
                "another project as a dependency",
                "references across projects need dbt's platform; instead install it as a package, or read its tables as sources",
                &project.at,
            ));
        }
        let items = yaml.get("packages").map(Yaml::items).unwrap_or_default().iter();
        let read = |item: &Yaml| {
            let key = ["local", "package", "git", "tarball", "private"]
                .into_iter()
                .find_map(|key| Some((key, item.get(key)?.text()?)));
            let (key, text) = key?;
            let bare = text.trim_end_matches('/').trim_end_matches(".git");
            let name = item.get("name").and_then(Yaml::text);
            let name = name.unwrap_or_else(|| bare.rsplit(['/', ':']).next().unwrap_or(bare).to_owned());
            let local = (key == "local").then(|| folder.join(&text));
            Some(Wanted { name, local, at: item.at.clone() })
        };
        items.filter_map(read).collect()
    }
}

fn not_installed(wanted: &Wanted, install_path: &str) -> Diagnostic {
    let name = &wanted.name;
    match &wanted.local {
        Some(folder) => {
            Diagnostic::error("elt::package_not_found", format!("there is no package in {}", slashed(folder)))
                .at(&wanted.at, "no dbt_project.yml there")
                .help("a local package is a folder with a dbt_project.yml, relative to this file")
        }
        None => Diagnostic::error("elt::package_not_found", format!("the package `{name}` is not installed"))
            .at(&wanted.at, format!("not in {install_path}/"))
            .help(format!("copy or clone it to {install_path}/{name}/; elt downloads nothing")),
    }
}
