//! Where do events of lineage go?
//!
//! `elt.yml`, beside the project, may say so:
//!
//! ```yaml
//! openlineage:
//!   url: https://lineage.example
//!   namespace: warehouse
//! ```

use super::users::unknown;
use super::yaml::{RenderScope, Yaml, YamlJinja};
use crate::base::{Diagnostic, SourceText};

/// Where events go, and the namespace of jobs in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineagePlace {
    /// The address of a server, or a file.
    pub url: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
}

/// Reads the text of an `elt.yml`. Values may ask for `env_var()`.
///
/// # Errors
/// The first thing under `openlineage:` that is not known, and its place.
pub fn read_lineage_place(
    source: &SourceText,
    jinja: &dyn YamlJinja,
    scope: &RenderScope<'_>,
) -> Result<LineagePlace, Diagnostic> {
    let mut yaml = Yaml::parse_own(source)?;
    let mut found = Vec::new();
    yaml.render(jinja, scope, &["users", "packages", "schedules", "notifications"], &mut found);
    if let Some(first) = found.into_iter().next() {
        return Err(first);
    }
    let mut place = LineagePlace::default();
    for entry in yaml.get("openlineage").map(Yaml::entries).unwrap_or_default() {
        let text = entry.value.text().filter(|text| !text.is_empty());
        match entry.key.as_str() {
            "url" => place.url = text,
            "namespace" => place.namespace = text,
            key => return Err(unknown(key, &entry.key_at, &["url", "namespace"])),
        }
    }
    Ok(place)
}
