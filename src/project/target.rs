//! Which lake, and which schema, is this project built into?
//!
//! A [`Target`] is one output of a profile. `profiles.yml` is looked for where dbt looks for it;
//! without one the target is the default: schema `main`, and the lake that the caller chooses. A
//! profile of another engine lends its schema; if that engine is near enough (DuckDB, Postgres), its name
//! too, so that projects which ask for `target.type` find themselves at home.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::base::{Diagnostic, SourceText, Unsaid, did_you_mean};

use super::yaml::{RenderScope, Yaml, YamlJinja};

/// One output of a profile: where models are built.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The profile's name.
    pub profile: String,
    /// The output's name: `dev`, `prod`.
    pub name: String,
    /// The engine that templates are told they run on: `elt`, or the one whose SQL is claimed.
    pub engine: String,
    /// Whose macros stand in where there is none for elt: `duckdb` or `postgres`.
    pub dialect: String,
    /// What SQL means in that engine where it leaves something unsaid.
    pub unsaid: Unsaid,
    /// The schema models go to, unless they say otherwise.
    pub schema: String,
    /// The lake, as written under `lake:` or `path:`.
    pub lake: Option<String>,
    /// How many models may be built at once.
    pub threads: Option<usize>,
    /// The output whose tables are read where this one has none of its own: this one is an environment beside it.
    pub production: Option<String>,
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
            dialect: "postgres".into(),
            unsaid: Unsaid::default(),
            schema: "main".into(),
            lake: None,
            threads: None,
            production: None,
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
    /// Whether that is `--profile`, which cannot be left aside.
    pub(super) is_asked: bool,
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
        let file = file.display().to_string();
        if wanted.is_asked {
            found.push(no_file("profile", wanted.profile, &file));
        } else if let Some(name) = wanted.target {
            found.push(no_file("target", name, &file));
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
        found.push(missing_profile(wanted, &yaml, &shown));
        return default;
    };
    for entry in profile.entries().iter().filter(|entry| !PROFILE_KEYS.contains(&entry.key.as_str())) {
        found.push(
            Diagnostic::warning(
                "elt::unknown_key",
                format!("`{}` is not a known key of a profile", entry.key),
            )
            .at(&entry.key_at, "not known here")
            .help("a profile has `target:` and `outputs:`")
            .maybe_help(did_you_mean(&entry.key, PROFILE_KEYS)),
        );
    }
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
    // What connects to another engine is not needed here, so its variables need not be set.
    let is_foreign = output.get("type").and_then(Yaml::text).is_some_and(|engine| engine != "elt");
    let mut wrong = Vec::new();
    output.render(jinja, scope, &[], &mut wrong);
    if !is_foreign {
        found.append(&mut wrong);
    }
    blank_unrendered(&mut output);
    let production = production(&profile, &name, &output, found);
    Target { production, ..read_output(&output, default, name, found) }
}

/// Names that an output has which people read.
const PRODUCTION: [&str; 2] = ["prod", "production"];

/// The output that this one is an environment beside: as it says under `production:`, or the one called `prod` if it
/// builds into another schema of the same lake.
fn production(profile: &Yaml, name: &str, output: &Yaml, found: &mut Vec<Diagnostic>) -> Option<String> {
    let outputs = profile.get("outputs")?;
    if let Some(said) = output.get("production") {
        let named = said.text().filter(|named| named != "none" && named != name)?;
        if outputs.get(&named).is_none() {
            found.push(missing_output(profile, "it names as production", &named));
            return None;
        }
        return Some(named);
    }
    let same_as = |other: &Yaml, keys: &[&str]| {
        let text = |yaml: &Yaml| keys.iter().find_map(|key| yaml.get(key).and_then(Yaml::text));
        text(other) == text(outputs.get(name).unwrap_or(output))
    };
    let is_elt = |yaml: &Yaml| yaml.get("type").and_then(Yaml::text).as_deref() == Some("elt");
    let beside = |named: &&str| {
        let Some(other) = outputs.get(named) else { return false };
        let is_other_schema = !same_as(other, &["schema", "dataset"]);
        **named != *name
            && is_elt(other)
            && is_elt(output)
            && same_as(other, &["lake", "path"])
            && is_other_schema
    };
    PRODUCTION.into_iter().find(beside).map(str::to_owned)
}

fn entry_mut<'a>(yaml: &'a mut Yaml, key: &str) -> Option<&'a mut Yaml> {
    match &mut yaml.node {
        super::yaml::YamlNode::Map(entries) => {
            entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
        }
        _ => None,
    }
}

/// What may stand in a profile.
const PROFILE_KEYS: [&str; 3] = ["target", "outputs", "config"];

/// Engines whose SQL is near enough to DataFusion's that their projects run as they are.
const NEAR: [&str; 2] = ["duckdb", "postgres"];

/// Those and others whose macros may stand in where the profile says so.
const DIALECTS: [&str; 3] = ["duckdb", "postgres", "spark"];

fn read_output(output: &Yaml, default: Target, name: String, found: &mut Vec<Diagnostic>) -> Target {
    let text = |key: &str| output.get(key).and_then(Yaml::text);
    let engine = text("type").unwrap_or_else(|| default.engine.clone());
    let at = output.get("type").map_or(&output.at, |engine| &engine.at);
    let schema = text("schema").or_else(|| text("dataset")).filter(|schema| !schema.trim().is_empty());
    let schema = schema.unwrap_or_else(|| default.schema.clone());
    let threads = text("threads").and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    let mut raw = output.to_json().as_object().cloned().unwrap_or_default();
    if engine != "elt" {
        let is_near = NEAR.contains(&engine.as_str());
        let how = if is_near {
            format!("templates see `target.type` as `{engine}` and dispatch finds `{engine}__` macros")
        } else {
            "templates see `target.type` as `elt`".to_owned()
        };
        found.push(
            Diagnostic::warning("elt::profile", format!("the profile is for `{engine}`, not for elt"))
                .at(at, "not `elt`")
                .help(format!("models go to schema `{schema}` of the lake `./lake`, {how}; an output with `type: elt`, `lake:` and `schema:` says it your way")),
        );
        let unsaid = Unsaid::of_engine(&engine);
        let (engine, dialect) = if is_near {
            (engine.clone(), engine)
        } else {
            (default.engine.clone(), default.dialect.clone())
        };
        return Target { name, engine, dialect, unsaid, schema, raw, ..default };
    }
    judge_output(output, found);
    let dialect = text("dialect").unwrap_or_else(|| default.dialect.clone());
    if !DIALECTS.contains(&dialect.as_str()) {
        let at = output.get("dialect").map_or(&output.at, |dialect| &dialect.at);
        found.push(
            Diagnostic::error("elt::profile", format!("`{dialect}` is no dialect that elt can stand in for"))
                .at(at, "not known")
                .help(format!("use one of: {}", DIALECTS.join(", ")))
                .maybe_help(did_you_mean(&dialect, DIALECTS)),
        );
    }
    let engine = if output.get("dialect").is_some() { dialect.clone() } else { engine };
    raw.insert("type".into(), engine.as_str().into());
    Target {
        engine,
        unsaid: Unsaid::of_engine(&dialect),
        dialect,
        schema,
        lake: text("lake").or_else(|| text("path")),
        threads,
        raw,
        name,
        ..default
    }
}

/// Warns of keys of an output that elt does not know.
fn judge_output(output: &Yaml, found: &mut Vec<Diagnostic>) {
    const KNOWN: [&str; 9] =
        ["type", "lake", "path", "schema", "threads", "dialect", "database", "user", "production"];
    for entry in output.entries().iter().filter(|entry| !KNOWN.contains(&entry.key.as_str())) {
        found.push(
            Diagnostic::warning(
                "elt::unknown_key",
                format!("`{}` is not a known key of an elt output", entry.key),
            )
            .at(&entry.key_at, "not known here")
            .help("templates see it as `target.…`; elt itself does nothing with it")
            .maybe_help(did_you_mean(&entry.key, KNOWN)),
        );
    }
}

/// Empties what could not be rendered, so that no tag is taken for a value.
fn blank_unrendered(yaml: &mut Yaml) {
    if let super::yaml::YamlNode::Map(entries) = &mut yaml.node {
        for entry in
            entries.iter_mut().filter(|entry| entry.value.text().is_some_and(|text| text.contains("{{")))
        {
            entry.value.node = super::yaml::YamlNode::Scalar(Value::Null);
        }
    }
}

/// A profile that is not there. A project that names it is built into the default target; not so whoever asks for it, or
/// for a target of it: they mean another place.
fn missing_profile(wanted: &Wanted<'_>, yaml: &Yaml, shown: &str) -> Diagnostic {
    let names: Vec<&str> =
        yaml.entries().iter().map(|e| e.key.as_str()).filter(|key| *key != "config").collect();
    let message = format!("{shown} has no profile `{}`", wanted.profile);
    let help = did_you_mean(wanted.profile, names.iter().copied());
    let help = help.unwrap_or_else(|| format!("it has: {}", names.join(", ")));
    if wanted.is_asked || wanted.target.is_some() {
        return Diagnostic::error("elt::profile", message).help(help);
    }
    Diagnostic::warning("elt::profile", message)
        .help(format!("{help}; until then the default target is used"))
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

fn no_file(what: &str, name: &str, file: &str) -> Diagnostic {
    Diagnostic::error("elt::profile", format!("there is no {what} `{name}`: {file} does not exist"))
        .help(format!("write a profiles.yml with this {what}, or leave out the {what}"))
}
