//! What does a model promise of each of its rows?
//!
//! `expectations: [{name, expect, on_violation}]`. Unlike a data test, which judges a table, an expectation
//! decides about every single row before it comes into the table.

use serde_json::Value;

use crate::base::{Diagnostic, did_you_mean};
use crate::project::{Config, Setting, plain};

use super::node::Materialization;

/// A promise about every row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Its name.
    pub name: String,
    /// The SQL condition that holds for a row as it should be. Null is not enough.
    pub expect: String,
    /// What becomes of a row for which it does not hold.
    pub on_violation: OnViolation,
}

/// What becomes of a row that breaks an expectation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnViolation {
    /// It is counted, and stays.
    #[default]
    Warn,
    /// It is left out.
    Drop,
    /// It is put into the table `<model>__quarantine`.
    Quarantine,
    /// The model fails.
    Fail,
}

impl Expectation {
    /// Its name as a word.
    pub(super) fn word(&self) -> String {
        self.name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect()
    }
}

impl OnViolation {
    /// The word for it in a properties file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Drop => "drop",
            Self::Quarantine => "quarantine",
            Self::Fail => "fail",
        }
    }
}

/// Reads the expectations of a model that is materialized so.
pub(super) fn read(
    config: &Config,
    materialization: &Materialization,
    found: &mut Vec<Diagnostic>,
) -> Vec<Expectation> {
    let Some(setting) = config.get("expectations") else { return Vec::new() };
    if matches!(materialization, Materialization::Ephemeral) {
        let what = "not supported: expectations of a model that is ephemeral".to_owned();
        let help = "because it is a part of the queries that read it; instead set `materialized: view`, `table` or `incremental`";
        found.push(Diagnostic::error("elt::expectation", what).at(&setting.at, "here").help(help));
        return Vec::new();
    }
    listed(setting, found)
}

/// Reads the expectations of a source: rows that break one stay as they came, so they can only be told of.
pub(super) fn of_source(config: &Config, found: &mut Vec<Diagnostic>) -> Vec<Expectation> {
    let Some(setting) = config.get("expectations") else { return Vec::new() };
    let mut all = listed(setting, found);
    all.retain(|one| {
        let is_told = matches!(one.on_violation, OnViolation::Warn | OnViolation::Fail);
        if !is_told {
            let what = format!(
                "not supported: `on_violation: {}` of a source, because landed rows stay as they came",
                one.on_violation.word()
            );
            let help = "set `warn` or `fail`, or write the expectation at the model that reads the source";
            found.push(Diagnostic::error("elt::expectation", what).at(&setting.at, "here").help(help));
        }
        is_told
    });
    all
}

fn listed(setting: &Setting, found: &mut Vec<Diagnostic>) -> Vec<Expectation> {
    const KNOWN: [&str; 4] = ["name", "expect", "on_violation", "description"];
    const ACTIONS: [&str; 4] = ["warn", "drop", "quarantine", "fail"];
    let mut wrong = |what: String, help: String| {
        found.push(Diagnostic::error("elt::expectation", what).at(&setting.at, "here").help(help));
    };
    let Value::Array(items) = &setting.value else {
        wrong("`expectations` is a list".to_owned(), "write `- {name: …, expect: …}`".to_owned());
        return Vec::new();
    };
    let mut all: Vec<Expectation> = Vec::new();
    for item in items {
        let text = |key: &str| item.get(key).filter(|value| !value.is_null()).map(plain);
        let (Some(name), Some(expect)) = (text("name"), text("expect").or_else(|| text("expression"))) else {
            wrong(
                "an expectation has a `name` and an `expect`".to_owned(),
                "write `- {name: positive, expect: amount > 0, on_violation: drop}`".to_owned(),
            );
            continue;
        };
        let keys = item.as_object().into_iter().flat_map(serde_json::Map::keys);
        if let Some(key) = keys.into_iter().find(|key| !KNOWN.contains(&key.as_str()) && *key != "expression")
        {
            let near = did_you_mean(key, KNOWN).unwrap_or_else(|| format!("known are: {}", KNOWN.join(", ")));
            wrong(format!("`{key}` is not a known key of an expectation"), near);
        }
        if all.iter().any(|other| other.name == name) {
            wrong(format!("two expectations are called `{name}`"), "rename one of them".to_owned());
            continue;
        }
        let on_violation = match text("on_violation").map(|word| word.to_lowercase()).as_deref() {
            None | Some("warn") => OnViolation::Warn,
            Some("drop" | "drop row") => OnViolation::Drop,
            Some("quarantine") => OnViolation::Quarantine,
            Some("fail" | "fail update") => OnViolation::Fail,
            Some(other) => {
                let near = did_you_mean(other, ACTIONS)
                    .unwrap_or_else(|| format!("use one of: {}", ACTIONS.join(", ")));
                wrong(format!("`{other}` is no value of `on_violation`"), near);
                continue;
            }
        };
        all.push(Expectation { name, expect, on_violation });
    }
    all
}
