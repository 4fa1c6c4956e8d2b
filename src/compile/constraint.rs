//! What does a model's table refuse to hold?
//!
//! The `constraints` of a model and of its columns, where its contract is enforced. `not_null` and `check` become rules of
//! the Delta table, which every engine that writes to it keeps: a build that breaks one changes nothing. Keys that elt
//! does not enforce (`primary_key`, `unique`, `foreign_key`) are told of; tests ask for them.

use serde_json::Value;

use crate::base::{Diagnostic, did_you_mean};
use crate::project::{Config, plain};

use super::node::Materialization;

/// A rule of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// Its name, without anything but letters, digits and `_`.
    pub name: String,
    /// What it is.
    pub kind: ConstraintKind,
    /// The columns that it is about.
    pub columns: Vec<String>,
}

/// What a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConstraintKind {
    /// The columns have values.
    NotNull,
    /// This condition is true.
    Check(String),
}

/// Reads the constraints of a model that is materialized so.
pub(super) fn read(
    config: &Config,
    materialization: &Materialization,
    found: &mut Vec<Diagnostic>,
) -> Vec<Constraint> {
    const KNOWN: [&str; 6] = ["not_null", "check", "primary_key", "unique", "foreign_key", "custom"];
    let Some(setting) = config.get("constraints") else { return Vec::new() };
    let wrong = |what: String, help: &str| {
        Diagnostic::error("elt::constraint", what).at(&setting.at, "here").help(help)
    };
    let idle = |what: String, help: &str| {
        Diagnostic::warning("elt::constraint", what).at(&setting.at, "no rule of the table").help(help)
    };
    let Value::Array(items) = &setting.value else {
        found.push(wrong("`constraints` is a list".to_owned(), "write `- {type: not_null}`"));
        return Vec::new();
    };
    let enforced = config.get("contract").and_then(|contract| contract.value.get("enforced"));
    let is_enforced = enforced.and_then(crate::project::as_flag) == Some(true);
    if !is_enforced && !items.is_empty() {
        let what = "constraints are rules of the table only if the model's contract is enforced".to_owned();
        found.push(idle(what, "set `contract: {enforced: true}`"));
    } else if matches!(materialization, Materialization::View | Materialization::Ephemeral)
        && !items.is_empty()
    {
        let what = format!(
            "constraints of a model that is a {} are no rules: it keeps no rows",
            materialization.word()
        );
        found.push(idle(what, "set `materialized: table`, or write data tests"));
    }
    let mut all = Vec::new();
    for item in items {
        let text = |key: &str| item.get(key).filter(|value| !value.is_null()).map(plain);
        let columns = item.get("columns").map(crate::project::texts).unwrap_or_default();
        let Some(kind) = text("type").map(|word| word.to_lowercase()) else {
            found.push(wrong("a constraint has a `type`".to_owned(), "write `- {type: not_null}`"));
            continue;
        };
        let kind = match (kind.as_str(), text("expression")) {
            ("not_null", _) if columns.is_empty() => {
                let what = "which columns are never null?".to_owned();
                found.push(wrong(what, "write it at the column, or name `columns: [id]`"));
                continue;
            }
            ("not_null", _) => ConstraintKind::NotNull,
            ("check", Some(condition)) => ConstraintKind::Check(condition),
            ("check", None) => {
                let what = "a `check` has an `expression`".to_owned();
                found.push(wrong(what, "write `- {type: check, expression: amount > 0}`"));
                continue;
            }
            ("primary_key" | "unique" | "foreign_key", _) => {
                if is_enforced && item.get("warn_unenforced").and_then(Value::as_bool) != Some(false) {
                    let what = format!("`{kind}` is noted in the manifest and not enforced by elt");
                    let help = match kind.as_str() {
                        "foreign_key" => {
                            "write the test `relationships`; `warn_unenforced: false` silences this"
                        }
                        _ => {
                            "write the tests `unique` and `not_null`; `warn_unenforced: false` silences this"
                        }
                    };
                    found.push(idle(what, help));
                }
                continue;
            }
            ("custom", _) => {
                found.push(wrong(
                    "not supported: a constraint of the type `custom`, because it is text for another engine"
                        .to_owned(),
                    "write it as `check`, with an expression",
                ));
                continue;
            }
            (other, _) => {
                let near =
                    did_you_mean(other, KNOWN).unwrap_or_else(|| format!("use one of: {}", KNOWN.join(", ")));
                found.push(wrong(format!("`{other}` is no type of a constraint"), &near));
                continue;
            }
        };
        let name = text("name").map(|name| word(&name)).unwrap_or_else(|| match &kind {
            ConstraintKind::NotNull => format!("not_null_{}", columns.join("_")),
            ConstraintKind::Check(_) => format!("check_{}", all.len() + 1),
        });
        if all.iter().any(|other: &Constraint| other.name == name) && matches!(kind, ConstraintKind::Check(_))
        {
            found.push(wrong(format!("two constraints are called `{name}`"), "rename one of them"));
            continue;
        }
        all.push(Constraint { name, kind, columns });
    }
    let has_rows = !matches!(materialization, Materialization::View | Materialization::Ephemeral);
    all.retain(|_| is_enforced && has_rows);
    all
}

/// A name with nothing in it that a property's key cannot have.
fn word(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}
