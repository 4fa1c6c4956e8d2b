//! Which lake, and which schema, is this project built into?
//!
//! A [`Target`] is one output of a profile. `profiles.yml` is looked for where dbt looks for it;
//! without one, or with a profile of another engine, the target is the default: schema `main`,
//! and the lake that the caller chooses.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::base::{Diagnostic, SourceText, did_you_mean};

use super::yaml::{RenderScope, Yaml, YamlJinja};

/// One output of a profile: where models are built.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The profile's name.
    pub profile: String,
    /// The output's name: `dev`, `prod`.
    pub name: String,
    /// The engine: `elt`.
    pub engine: String,
    /// The schema models go to, unless they say otherwise.
    pub schema: String,
    /// The lake, as written under `lake:` or `path:`.
    pub lake: Option<String>,
    /// How many models may be built at once.
    pub threads: Option<usize>,
    /// Everything the output says, for `target.…` in Jinja.
    pub raw: serde_json::Map<String, Value>,
}

impl Target {
    /// The target of a project without a profile.
    pub fn default_for(profile: &str) -> Self {
        let name = "dev".to_owned();
        Self {
            profile: profile.to_owned(),
            name,
            engine: "elt".into(),
            schema: "main".into(),
            lake: None,
            threads: None,
            raw: serde_json::Map::new(),
        }
    }
}

/// What to look for in which profile, and where.
pub(super) struct Wanted<'a> {
    /// `--profiles-dir`.
    pub(super) profiles_dir: Option<&'a Path>,
    /// The project's folder.
    pub(super) root: &'a Path,
    /// The profile the project asks for; its own name if it asks for none.
    pub(super) profile: &'a str,
    /// `--target`.
    pub(super) target: Option<&'a str>,
}

impl Wanted<'_> {
    /// The first `profiles.yml` that exists: `--profiles-dir`, `DBT_PROFILES_DIR`, the project, `~/.dbt`.
    fn file(&self, env: &BTreeMap<String, String>) -> PathBuf {
        let given = self.profiles_dir.map(Path::to_path_buf);
        let given = given.or_else(|| env.get("DBT_PROFILES_DIR").map(PathBuf::from));
        if let Some(folder) = given {
            return folder.join("profiles.yml");
        }
        let beside = self.root.join("profiles.yml");
        match env.get("HOME") {
            Some(home) if !beside.exists() => Path::new(home).join(".dbt/profiles.yml"),
            _ => beside,
        }
    }
}

/// Finds the target. What is wrong with the profile is added to `found`.
pub(super) fn find(
    wanted: &Wanted<'_>,
    jinja: &dyn YamlJinja,
    scope: &RenderScope<'_>,
    found: &mut Vec<Diagnostic>,
) -> Target {
    let default = Target::default_for(wanted.profile);
    let file = wanted.file(scope.env);
    let Ok(text) = std::fs::read_to_string(&file) else {
        if let Some(name) = wanted.target {
            found.push(no_such_target(name, &file.display().to_string()));
        }
        return default;
    };
    let shown = file.strip_prefix(wanted.root).unwrap_or(&file).display().to_string();
    let yaml = match Yaml::parse(&SourceText::new(&shown, &text)) {
        Ok(yaml) => yaml,
        Err(diagnostic) => {
            found.push(diagnostic);
            return default;
        }
    };
    let Some(mut profile) = yaml.get(wanted.profile).cloned() else {
        found.extend(missing_profile(wanted, &yaml, &shown));
        return default;
    };
    // Only the chosen output is rendered: the others may ask for variables that are not set here.
    if let Some(chosen) = entry_mut(&mut profile, "target") {
        chosen.render(jinja, scope, &[], found);
    }
    let name = wanted.target.map(str::to_owned);
    let name =
        name.or_else(|| profile.get("target").and_then(Yaml::text)).unwrap_or_else(|| "default".into());
    let Some(mut output) = profile.get("outputs").and_then(|outputs| outputs.get(&name)).cloned() else {
        found.push(missing_output(&profile, wanted.profile, &name));
        return default;
    };
    output.render(jinja, scope, &[], found);
    read_output(&output, default, name, found)
}

fn entry_mut<'a>(yaml: &'a mut Yaml, key: &str) -> Option<&'a mut Yaml> {
    match &mut yaml.node {
        super::yaml::YamlNode::Map(entries) => {
            entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
        }
        _ => None,
    }
}

fn read_output(output: &Yaml, default: Target, name: String, found: &mut Vec<Diagnostic>) -> Target {
    let text = |key: &str| output.get(key).and_then(Yaml::text);
    let engine = text("type").unwrap_or_else(|| default.engine.clone());
    if engine != "elt" {
        let at = output.get("type").map_or(&output.at, |engine| &engine.at);
        found.push(
            Diagnostic::warning("elt::profile", format!("the profile is for `{engine}`, not for elt"))
                .at(at, "not `elt`")
                .help("models go to schema `main` of the default lake; add an output with `type: elt`, `lake:` and `schema:`"),
        );
        return Target { name, ..default };
    }
    let raw = output.to_json().as_object().cloned().unwrap_or_default();
    Target {
        engine,
        schema: text("schema").unwrap_or_else(|| default.schema.clone()),
        lake: text("lake").or_else(|| text("path")),
        threads: text("threads").and_then(|n| n.parse().ok()).filter(|n| *n > 0),
        raw,
        name,
        ..default
    }
}

fn missing_profile(wanted: &Wanted<'_>, yaml: &Yaml, shown: &str) -> Option<Diagnostic> {
    let names: Vec<&str> =
        yaml.entries().iter().map(|e| e.key.as_str()).filter(|key| *key != "config").collect();
    let message = format!("{shown} has no profile `{}`", wanted.profile);
    let help = did_you_mean(wanted.profile, names.iter().copied());
    let help = help.unwrap_or_else(|| format!("it has: {}", names.join(", ")));
    Some(
        Diagnostic::warning("elt::profile", message)
            .help(format!("{help}; until then the default target is used")),
    )
}

fn missing_output(profile: &Yaml, profile_name: &str, name: &str) -> Diagnostic {
    let outputs = profile.get("outputs").map(Yaml::entries).unwrap_or_default();
    let names: Vec<&str> = outputs.iter().map(|entry| entry.key.as_str()).collect();
    let at = profile.get("outputs").map_or(&profile.at, |outputs| &outputs.at);
    Diagnostic::error("elt::profile", format!("the profile `{profile_name}` has no target `{name}`"))
        .at(at, "no output of this name")
        .help(format!("it has: {}", names.join(", ")))
        .maybe_help(did_you_mean(name, names.iter().copied()))
}

fn no_such_target(name: &str, file: &str) -> Diagnostic {
    Diagnostic::error("elt::profile", format!("there is no target `{name}`: {file} does not exist"))
        .help("write a profiles.yml with this output, or leave out the target")
}
