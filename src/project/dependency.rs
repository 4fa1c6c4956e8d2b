//! What does the project stand on, as it is written?
//!
//! The entries of `packages.yml` and `dependencies.yml`, each with its kind and its place. Where a package
//! is found on this machine is [`package`](super::package)'s; how it gets there, the room `packages`'.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::base::{Diagnostic, SourceText, Span, did_you_mean};

use super::files::Files;
use super::words::unsupported;
use super::yaml::{RenderScope, Yaml, YamlJinja};

/// The files that list what a project stands on.
const LISTS: [&str; 2] = ["packages.yml", "dependencies.yml"];

/// One entry of `packages.yml` or `dependencies.yml`.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// The name it is likely to have: the one it is given, or the last part of its hub name, its address or its folder.
    pub name: String,
    /// What it is.
    pub kind: DependencyKind,
    /// Where it is written.
    pub at: Span,
    /// The entry with its Jinja rendered.
    pub rendered: Value,
    /// The entry as it is written.
    pub written: Value,
}

/// How a package is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DependencyKind {
    /// A package of the hub: `package: dbt-labs/dbt_utils`.
    Hub {
        /// Its name there, `owner/name`.
        package: String,
        /// The bounds of its version: `1.1.1`, `>=0.8.0`, `<2.0.0`.
        versions: Vec<String>,
        /// Whether versions before a release will do: `1.0.0-rc1`.
        prerelease: bool,
    },
    /// A repository: `git: https://…`.
    Git {
        /// Its address.
        url: String,
        /// A tag, a branch or a commit; what the repository shows first if nothing.
        revision: Option<String>,
        /// The folder in it that is the package.
        subdirectory: Option<String>,
        /// Whether it is worth a warning that the revision may move.
        warn_unpinned: bool,
    },
    /// An archive: `tarball: https://…`.
    Tarball {
        /// Its address.
        url: String,
    },
    /// A folder of this machine: `local: ../tools`.
    Local {
        /// The folder.
        folder: PathBuf,
    },
}

/// The name that a package in a folder gives itself.
pub fn package_name(folder: &Path) -> Option<String> {
    let files = Files::new(folder, "");
    let text = files.read("dbt_project.yml", &mut Vec::new())?;
    Yaml::parse(&text).ok()?.get("name")?.text()
}

/// What the package in a folder stands on. `shown` is how the folder is written in front of its files.
pub fn dependencies(
    folder: &Path,
    shown: &str,
    jinja: &dyn YamlJinja,
    scope: &RenderScope<'_>,
    found: &mut Vec<Diagnostic>,
) -> Vec<Dependency> {
    let files = Files::new(folder, shown);
    let texts: Vec<SourceText> = LISTS.iter().filter_map(|name| files.read(name, found)).collect();
    texts.iter().flat_map(|text| dependencies_in(text, folder, jinja, scope, found)).collect()
}

/// What a text in the form of `packages.yml` names, its folders relative to `folder`.
pub fn dependencies_in(
    text: &SourceText,
    folder: &Path,
    jinja: &dyn YamlJinja,
    scope: &RenderScope<'_>,
    found: &mut Vec<Diagnostic>,
) -> Vec<Dependency> {
    match Yaml::parse(text) {
        Ok(written) => {
            let mut yaml = written.clone();
            yaml.render(jinja, scope, &[], found);
            Reader { folder, file: &text.path, found }.list(&yaml, &written)
        }
        Err(diagnostic) => {
            found.push(diagnostic);
            Vec::new()
        }
    }
}

struct Reader<'a> {
    folder: &'a Path,
    file: &'a str,
    found: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn list(&mut self, yaml: &Yaml, written: &Yaml) -> Vec<Dependency> {
        for project in yaml.get("projects").map(Yaml::items).unwrap_or_default() {
            self.found.push(unsupported(
                "another project as a dependency",
                "references across projects need dbt's platform; instead install it as a package, or read its tables as sources",
                &project.at,
            ));
        }
        let entries =
            |yaml: &Yaml| yaml.get("packages").map(|list| list.items().to_vec()).unwrap_or_default();
        let (rendered, written) = (entries(yaml), entries(written));
        rendered.iter().zip(&written).filter_map(|(entry, written)| self.entry(entry, written)).collect()
    }

    fn entry(&mut self, entry: &Yaml, written: &Yaml) -> Option<Dependency> {
        let text = |key: &str| entry.get(key).and_then(Yaml::text).filter(|text| !text.trim().is_empty());
        let flag = |keys: [&str; 2], default: bool| {
            let value = keys.iter().find_map(|key| entry.get(key)).and_then(Yaml::text);
            value.map_or(default, |value| value == "true")
        };
        if text("private").is_some() {
            self.found.push(unsupported(
                "a private package",
                "who may read it is known to dbt's platform alone; instead give its address as `git:`",
                &entry.at,
            ));
            return None;
        }
        let (known, kind, source): (&[&str], _, _) = if let Some(package) = text("package") {
            let versions = entry.get("version").map(Yaml::items).unwrap_or_default();
            let versions: Vec<String> = versions.iter().filter_map(Yaml::text).collect();
            if versions.is_empty() {
                self.wrong(
                    entry,
                    format!("the package `{package}` has no version"),
                    "add `version: 1.0.0`, or bounds: `version: [\">=1.0.0\", \"<2.0.0\"]`",
                );
                return None;
            }
            let versions =
                versions.iter().flat_map(|text| text.split(',')).map(|one| one.trim().to_owned()).collect();
            let prerelease = flag(["install_prerelease", "install-prerelease"], false);
            let known = &["package", "version", "install_prerelease", "install-prerelease", "name"];
            (known, DependencyKind::Hub { package: package.clone(), versions, prerelease }, package)
        } else if let Some(url) = text("git") {
            let known = &["git", "revision", "subdirectory", "warn-unpinned", "warn_unpinned", "name"];
            let warn_unpinned = flag(["warn-unpinned", "warn_unpinned"], true);
            let (revision, subdirectory) = (text("revision"), text("subdirectory"));
            (known, DependencyKind::Git { url: url.clone(), revision, subdirectory, warn_unpinned }, url)
        } else if let Some(url) = text("tarball") {
            (&["tarball", "name"], DependencyKind::Tarball { url: url.clone() }, url)
        } else if let Some(path) = text("local") {
            (&["local", "name"], DependencyKind::Local { folder: self.folder.join(&path) }, path)
        } else {
            self.wrong(
                entry,
                "a package does not say where it is from".to_owned(),
                "give `package:` with `version:`, `git:`, `tarball:` or `local:`",
            );
            return None;
        };
        for key in entry.entries().iter().filter(|one| !known.contains(&one.key.as_str())) {
            self.found.push(
                Diagnostic::warning(
                    "elt::unknown_key",
                    format!("`{}` is not a known key of this package", key.key),
                )
                .at(&key.key_at, "not known here")
                .help(format!("here may stand: {}", known.join(", ")))
                .maybe_help(did_you_mean(&key.key, known.iter().copied())),
            );
        }
        let name = text("name").unwrap_or_else(|| last_part(&kind, &source));
        Some(Dependency {
            name,
            kind,
            at: entry.at.clone(),
            rendered: entry.to_json(),
            written: written.to_json(),
        })
    }

    fn wrong(&mut self, entry: &Yaml, what: String, help: &str) {
        let label = format!("in {}", self.file);
        self.found.push(Diagnostic::error("elt::package", what).at(&entry.at, label).help(help));
    }
}

/// What a package is likely to be called: the last part of its hub name, its address or its folder.
fn last_part(kind: &DependencyKind, source: &str) -> String {
    let source = match kind {
        DependencyKind::Git { subdirectory: Some(inside), .. } => inside,
        _ => source,
    };
    let bare = source.trim_end_matches('/').trim_end_matches(".git");
    bare.rsplit(['/', ':']).next().unwrap_or(bare).to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::base::show_all;

    struct Plain;

    impl YamlJinja for Plain {
        fn render(&self, text: &str, _: &RenderScope<'_>) -> Result<String, String> {
            Ok(text.replace("{{ env_var('HOST') }}", "git.acme.org"))
        }
    }

    fn read(text: &str) -> (Vec<Dependency>, String) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("packages.yml"), text).unwrap();
        let (vars, env, docs) = Default::default();
        let (vars, env, docs): (BTreeMap<_, _>, BTreeMap<_, _>, BTreeMap<_, _>) = (vars, env, docs);
        let scope = RenderScope { vars: &vars, env: &env, target: None, docs: &docs };
        let mut found = Vec::new();
        let all = dependencies(folder.path(), "", &Plain, &scope, &mut found);
        (all, show_all(&found))
    }

    #[test]
    fn every_kind_of_package_is_read() {
        let (all, found) = read(
            "packages:\n  - package: dbt-labs/dbt_utils\n    version: ['>=0.8.0', '<2.0.0']\n  - git: https://{{ env_var('HOST') }}/a/dbt-date.git\n    revision: 0.10\n    subdirectory: pkg/date\n    warn-unpinned: false\n  - tarball: https://x/y.tar.gz\n    name: y\n  - local: ../tools\n",
        );
        assert_eq!(found, "");
        let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["dbt_utils", "date", "y", "tools"]);
        let DependencyKind::Git { url, warn_unpinned, .. } = &all[1].kind else { panic!("git") };
        assert_eq!((url.as_str(), *warn_unpinned), ("https://git.acme.org/a/dbt-date.git", false));
        assert_eq!(all[1].written["git"], "https://{{ env_var('HOST') }}/a/dbt-date.git");
    }

    #[test]
    fn what_is_wrong_with_an_entry_is_told() {
        let (all, found) = read(
            "packages:\n  - package: a/b\n  - version: 1.0.0\n  - private: a/b\n  - git: https://x/y\n    revison: main\n",
        );
        assert_eq!(all.len(), 1);
        insta::assert_snapshot!(found, @r#"
        packages.yml:2:5: the package `a/b` has no version (add `version: 1.0.0`, or bounds: `version: [">=1.0.0", "<2.0.0"]`)
        packages.yml:3:5: a package does not say where it is from (give `package:` with `version:`, `git:`, `tarball:` or `local:`)
        packages.yml:4:5: not supported yet: a private package (who may read it is known to dbt's platform alone; instead give its address as `git:`)
        packages.yml:6:5: `revison` is not a known key of this package (did you mean `revision`?)
        "#);
    }
}
