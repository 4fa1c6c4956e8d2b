//! How is a thing configured, and who said so?
//!
//! A [`Config`] maps keys to [`Setting`]s, each with the place that set it. Configs are laid over
//! one another from weak to strong: the trees of `dbt_project.yml` ([`ConfigTree`]), the
//! properties' `config:`, the `config()` in the file. The stronger value wins, except that
//! `tags` and hooks add up, and `meta`, `column_types`, `docs` and `quoting` are merged key by key.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::base::{Diagnostic, Span, did_you_mean};

use super::words::{self, Words};
use super::yaml::{Yaml, YamlNode};

/// A value and the place that set it.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The value.
    pub value: Value,
    /// Who said so.
    pub at: Span,
}

/// Settings by key. Keys use `_`, never `-`.
///
/// There are as many as there are nodes and tests, each with few settings: they are kept in order, side by side.
#[derive(Clone, Debug, Default)]
pub struct Config(Vec<(String, Setting)>);

impl Config {
    /// Reads a mapping of settings and judges its keys against `words`.
    pub fn read(yaml: &Yaml, words: Words, place: &str, found: &mut Vec<Diagnostic>) -> Self {
        let mut config = Self::default();
        if !yaml.is_null() && !matches!(yaml.node, YamlNode::Map(_)) {
            found.push(not_a_mapping(place, &yaml.at));
        }
        found.extend(conflict(yaml, "", place));
        for entry in yaml.entries() {
            let key = canonical(&entry.key);
            found.extend(words::judge(
                words,
                place,
                &key,
                &entry.key_at,
                asks_for_nothing(&key, &entry.value),
            ));
            config.set(&key, entry.value.to_json(), entry.value.at.clone());
        }
        config
    }

    /// Sets `key`, laying the value over what is there.
    pub fn set(&mut self, key: &str, value: Value, at: Span) {
        let at_key = self.0.binary_search_by(|(known, _)| known.as_str().cmp(key));
        let value = match (key, at_key.ok().map(|found| &self.0[found].1)) {
            ("grants", old) => granted(old.map(|old| &old.value), &value),
            ("tags", Some(old)) => add_up(&old.value, &value),
            ("pre_hook" | "post_hook", Some(old)) => in_sequence(&old.value, &value),
            ("meta" | "column_types" | "docs" | "quoting", Some(old)) => merged(&old.value, &value),
            _ => value,
        };
        let setting = Setting { value, at };
        match at_key {
            Ok(found) => self.0[found].1 = setting,
            Err(place) => {
                self.0.reserve_exact(1);
                self.0.insert(place, (key.to_owned(), setting));
            }
        }
    }

    /// Lays `over` on top of this one.
    pub fn lay(&mut self, over: &Self) {
        for (key, setting) in &over.0 {
            self.set(key, setting.value.clone(), setting.at.clone());
        }
    }

    /// The setting of `key`, if it has one that is not null.
    pub fn get(&self, key: &str) -> Option<&Setting> {
        let found = self.0.binary_search_by(|(known, _)| known.as_str().cmp(key)).ok()?;
        Some(&self.0[found].1).filter(|setting| !setting.value.is_null())
    }

    /// The text of `key`.
    pub fn text(&self, key: &str) -> Option<String> {
        self.get(key).map(|setting| plain(&setting.value))
    }

    /// The texts of `key`, which may be written as one text or a list.
    pub fn texts(&self, key: &str) -> Vec<String> {
        self.get(key).map(|setting| texts(&setting.value)).unwrap_or_default()
    }

    /// The boolean of `key`; the words dbt and YAML 1.1 use for one are read too.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.get(key).and_then(|setting| as_flag(&setting.value))
    }

    /// Every setting, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.0.iter().map(|(key, setting)| (key.as_str(), setting))
    }

    /// The settings that stand under `meta` here.
    pub fn meta(&self) -> Option<&serde_json::Map<String, Value>> {
        self.get("meta").and_then(|setting| setting.value.as_object())
    }

    /// All values, as Jinja and selectors see them.
    pub fn to_json(&self) -> BTreeMap<String, Value> {
        self.0.iter().map(|(key, setting)| (key.clone(), setting.value.clone())).collect()
    }
}

/// The settings of a node as templates, selectors and artifacts see them: values by key. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Settings(Arc<Config>);

impl Settings {
    /// The value of `key`, null if it is set to that.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let found = self.0.0.binary_search_by(|(known, _)| known.as_str().cmp(key)).ok()?;
        Some(&self.0.0[found].1.value)
    }

    /// Every value, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, setting)| (key, &setting.value))
    }

    /// Every value as it is written in properties files and `dbt_project.yml`: before its Jinja is rendered, if it is one
    /// text.
    pub fn unrendered(&self) -> impl Iterator<Item = (&str, Value)> {
        self.0.iter().map(|(key, setting)| (key, setting.unrendered()))
    }
}

impl Setting {
    fn unrendered(&self) -> Value {
        let source = &self.at.source;
        let written = source.text.get(self.at.bytes.clone()).unwrap_or_default().trim();
        let is_template = !source.path.ends_with(".sql") && written.contains("{{");
        match self.value {
            Value::Array(_) | Value::Object(_) => self.value.clone(),
            _ if is_template => written.trim_matches(['"', '\'']).into(),
            _ => self.value.clone(),
        }
    }
}

impl From<Arc<Config>> for Settings {
    fn from(config: Arc<Config>) -> Self {
        Self(config)
    }
}

impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// Grants laid over others: a privilege with a `+` before it adds those who have it, another takes their place.
fn granted(old: Option<&Value>, new: &Value) -> Value {
    let Value::Object(new) = new else { return new.clone() };
    let mut whole = old.and_then(Value::as_object).cloned().unwrap_or_default();
    for (key, who) in new {
        let privilege = key.trim_start_matches('+');
        let there = whole.keys().find(|known| known.trim_start_matches('+') == privilege).cloned();
        match (there.and_then(|there| whole.remove(&there)), key == privilege) {
            (Some(before), false) => whole.insert(privilege.to_owned(), add_up(&before, who)),
            // Whether there is something to add to shows when this is laid over others.
            (None, false) => whole.insert(key.clone(), who.clone()),
            (_, true) => whole.insert(key.clone(), who.clone()),
        };
    }
    Value::Object(whole)
}

/// A key as configs keep it: `pre-hook` is `pre_hook`.
pub fn canonical(key: &str) -> String {
    match key {
        "pre-hook" | "post-hook" => key.replace('-', "_"),
        _ => key.to_owned(),
    }
}

/// The two spellings of one hook, if both are there.
pub fn conflicting_hooks<'a>(keys: impl Iterator<Item = &'a str>) -> Option<(&'static str, &'static str)> {
    let keys: Vec<&str> = keys.collect();
    let pairs = [("pre_hook", "pre-hook"), ("post_hook", "post-hook")];
    pairs.into_iter().find(|(old, new)| keys.contains(old) && keys.contains(new))
}

/// Says of a setting that is not what dbt takes there.
pub fn judge_values(config: &Config, found: &mut Vec<Diagnostic>) {
    let is_text = |value: &Value| value.is_string();
    for (key, setting) in config.iter().filter(|(_, setting)| !setting.value.is_null()) {
        let wanted = match (key, &setting.value) {
            ("tags", Value::Array(tags)) if tags.iter().all(is_text) => continue,
            ("tags", Value::String(_)) => continue,
            ("tags", _) => "a text or a list of texts",
            ("meta" | "column_types" | "persist_docs" | "docs", Value::Object(_)) => continue,
            ("meta" | "column_types" | "persist_docs" | "docs", _) => "a mapping",
            _ => continue,
        };
        found.push(
            Diagnostic::error(
                "elt::config",
                format!("`{key}` must be {wanted}, and here is {}", setting.value),
            )
            .at(&setting.at, format!("not {wanted}"))
            .help("numbers and words such as `yes` are texts in quotes"),
        );
    }
}

/// Whether a value of `key` asks for nothing, as `contract: {enforced: false}` does.
fn asks_for_nothing(key: &str, value: &Yaml) -> bool {
    let is_no = |flag: &Yaml| flag.is_blank() || flag.text().as_deref() == Some("false");
    let unenforced = key == "contract" && value.get("enforced").is_none_or(is_no);
    let unpersisted = key == "persist_docs" && value.entries().iter().all(|entry| is_no(&entry.value));
    value.is_blank() || unenforced || unpersisted
}

/// A scalar as the text a person would write.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// One text, or a list of them.
pub fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Null => Vec::new(),
        one => vec![plain(one)],
    }
}

/// A boolean, also if it is written as text.
pub fn as_flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn add_up(old: &Value, new: &Value) -> Value {
    let mut all = texts(old);
    for tag in texts(new) {
        if !all.contains(&tag) {
            all.push(tag);
        }
    }
    all.into_iter().collect()
}

/// The items of both, the old ones first.
fn in_sequence(old: &Value, new: &Value) -> Value {
    let items = |value: &Value| match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let mut all = items(old);
    all.extend(items(new));
    Value::Array(all)
}

fn merged(old: &Value, new: &Value) -> Value {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let mut all = old.clone();
            all.extend(new.clone());
            Value::Object(all)
        }
        (_, new) => new.clone(),
    }
}

/// The error for two spellings of one hook in one mapping; its keys may begin with `plus`.
fn conflict(yaml: &Yaml, plus: &str, place: &str) -> Option<Diagnostic> {
    let keys = yaml.entries().iter().map(|entry| entry.key.trim_start_matches(plus));
    let (old, new) = conflicting_hooks(keys)?;
    let second = yaml.entries().iter().find(|entry| entry.key.trim_start_matches(plus) == new)?;
    let what = format!("Invalid config, has conflicting keys \"{old}\" and \"{new}\" in {place}");
    Some(
        Diagnostic::error("elt::config", what)
            .at(&second.key_at, "the same setting again")
            .help("they are two spellings of one setting; keep one, with a list if there are several hooks"),
    )
}

fn not_a_mapping(place: &str, at: &Span) -> Diagnostic {
    Diagnostic::error("elt::properties", format!("{place} must be a mapping of keys to values"))
        .at(at, "this is no mapping")
}

/// Settings that are mappings: in old trees they stand without a `+`, and are no folders.
const MAPPINGS: [&str; 6] = ["column_types", "docs", "persist_docs", "quoting", "meta", "contract"];

/// The `models:`, `sources:` or `tests:` of `dbt_project.yml`: settings for folders.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigTree {
    config: Config,
    folders: BTreeMap<String, (Span, ConfigTree)>,
}

impl ConfigTree {
    /// Reads one of the trees. `+key` is a setting; so is a bare key whose value is no mapping.
    pub(super) fn read(yaml: &Yaml, words: Words, place: &str, found: &mut Vec<Diagnostic>) -> Self {
        let mut tree = Self::default();
        found.extend(conflict(yaml, "+", place));
        for entry in yaml.entries() {
            let is_folder = matches!(entry.value.node, YamlNode::Map(_)) || entry.value.is_null();
            let is_setting = entry.key.starts_with('+') || MAPPINGS.contains(&entry.key.as_str());
            if is_folder && !is_setting {
                let folder = Self::read(&entry.value, words, place, found);
                tree.folders.insert(entry.key.clone(), (entry.key_at.clone(), folder));
                continue;
            }
            let key = canonical(entry.key.trim_start_matches('+'));
            found.extend(words::judge(
                words,
                place,
                &key,
                &entry.key_at,
                asks_for_nothing(&key, &entry.value),
            ));
            tree.config.set(&key, entry.value.to_json(), entry.value.at.clone());
        }
        tree
    }

    /// The settings for a thing of this path (`[package, folder…, name]`), the most specific on top.
    pub(crate) fn resolve(&self, fqn: &[String]) -> Config {
        let mut config = self.config.clone();
        if let Some((first, rest)) = fqn.split_first()
            && let Some((_, folder)) = self.folders.get(first)
        {
            config.lay(&folder.resolve(rest));
        }
        config
    }

    /// Warns of every folder in the tree that holds none of `things`.
    pub(super) fn unused(&self, things: &[Vec<String>], found: &mut Vec<Diagnostic>) {
        let heads: Vec<&str> = things.iter().filter_map(|fqn| fqn.first().map(String::as_str)).collect();
        for (name, (at, folder)) in &self.folders {
            let inside: Vec<Vec<String>> =
                things.iter().filter(|fqn| fqn.first() == Some(name)).map(|fqn| fqn[1..].to_vec()).collect();
            if inside.is_empty() {
                found.push(
                    Diagnostic::warning("elt::unused_config", format!("nothing lies under `{name}`"))
                        .at(at, "no folder, file or project of this name")
                        .help("the settings below it have no effect")
                        .maybe_help(did_you_mean(name, heads.iter().copied())),
                );
            } else {
                folder.unused(&inside, found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SourceText;

    fn tree(text: &str) -> (ConfigTree, Vec<Diagnostic>) {
        let mut found = Vec::new();
        let yaml = Yaml::parse(&SourceText::new("dbt_project.yml", text)).unwrap();
        let tree = ConfigTree::read(&yaml, words::MODEL_CONFIG, "models", &mut found);
        (tree, found)
    }

    fn fqn(path: &str) -> Vec<String> {
        path.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn a_grant_with_a_plus_adds_to_those_before() {
        let (tree, _) = tree(
            "+grants: {select: [ann], insert: bob}\nshop:\n  +grants: {+select: carl, insert: [dora]}\n  deep:\n    +grants: {+delete: [eve]}\n",
        );
        let granted = |path: &str| {
            let config = tree.resolve(&fqn(path));
            let grants = config.get("grants").unwrap().value.as_object().unwrap().clone();
            let mut told: Vec<String> =
                grants.iter().map(|(key, who)| format!("{key} {}", texts(who).join("+"))).collect();
            told.sort();
            told.join(", ")
        };
        assert_eq!(granted("other/m"), "insert bob, select ann");
        assert_eq!(granted("shop/m"), "insert dora, select ann+carl");
        assert_eq!(granted("shop/deep/m"), "+delete eve, insert dora, select ann+carl");
    }

    #[test]
    fn the_most_specific_path_wins_and_tags_add_up() {
        let (tree, found) = tree(
            "+materialized: view\n+tags: a\nshop:\n  marts:\n    +materialized: table\n    +tags: [b, a]\n    +meta: {owner: me}\n",
        );
        assert!(found.is_empty());
        let config = tree.resolve(&fqn("shop/marts/orders"));
        assert_eq!(config.text("materialized").as_deref(), Some("table"));
        assert_eq!(config.texts("tags"), ["a", "b"]);
        assert_eq!(tree.resolve(&fqn("shop/staging/x")).text("materialized").as_deref(), Some("view"));
    }

    #[test]
    fn folders_that_hold_nothing_are_reported() {
        let (tree, mut found) = tree("shop:\n  mart:\n    +materialized: table\n");
        tree.unused(&[fqn("shop/marts/orders")], &mut found);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].help_text(), Some("did you mean `marts`?"));
        assert_eq!(found[0].place().as_deref(), Some("dbt_project.yml:2:3"));
    }
}
