//! What does `selectors.yml` define?
//!
//! Names for selections. What a definition means is `compile`'s business; here it is only read.

use serde_json::Value;

use crate::base::{Diagnostic, Span};

use super::as_flag;
use super::files::Files;
use super::properties::twice;
use super::words::{self, Words};
use super::yaml::{RenderScope, Yaml, YamlJinja};

/// A named selection, as it is written.
#[derive(Clone, Debug)]
pub struct SelectorDefinition {
    /// Its name.
    pub name: String,
    /// What it is for, in words.
    pub description: String,
    /// Whether it stands in for a selection that is not made.
    pub is_default: bool,
    /// What it selects.
    pub definition: Value,
    /// Where it is written.
    pub at: Span,
}

const SELECTOR: Words = &[
    ("name", words::Standing::Done),
    ("description", words::Standing::Done),
    ("default", words::Standing::Done),
    ("definition", words::Standing::Done),
];

/// Reads the file, if it is there.
pub(super) fn read(
    files: &Files,
    jinja: &dyn YamlJinja,
    scope: &RenderScope<'_>,
    found: &mut Vec<Diagnostic>,
) -> Vec<SelectorDefinition> {
    let file = ["selectors.yml", "selectors.yaml"].into_iter().find(|file| files.on_disk(file).is_file());
    let Some(text) = file.and_then(|file| files.read(file, found)) else { return Vec::new() };
    let mut yaml = match Yaml::parse(&text) {
        Ok(yaml) => yaml,
        Err(diagnostic) => {
            found.push(diagnostic);
            return Vec::new();
        }
    };
    yaml.render(jinja, scope, &[], found);
    let mut all: Vec<SelectorDefinition> = Vec::new();
    for item in yaml.get("selectors").map(Yaml::items).unwrap_or_default() {
        for entry in item.entries() {
            found.extend(words::judge(
                SELECTOR,
                "a selector",
                &entry.key,
                &entry.key_at,
                entry.value.is_blank(),
            ));
        }
        let name = item.get("name").and_then(|name| Some((name.text()?, name.at.clone())));
        let (Some((name, at)), Some(definition)) = (name, item.get("definition")) else {
            found.push(
                Diagnostic::error("elt::selector", "a selector has a `name` and a `definition`")
                    .at(&item.at, "one of them is missing"),
            );
            continue;
        };
        if let Some(twin) = all.iter().find(|other| other.name == name) {
            found.push(twice("selector", &name, &at, &twin.at));
            continue;
        }
        all.push(SelectorDefinition {
            description: item.get("description").and_then(Yaml::text).unwrap_or_default(),
            is_default: item.get("default").and_then(|flag| as_flag(&flag.to_json())).unwrap_or(false),
            definition: definition.to_json(),
            name,
            at,
        });
    }
    all
}
