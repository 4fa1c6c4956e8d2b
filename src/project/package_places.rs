//! From where are packages had, if not from where everybody has them?
//!
//! `elt.yml`, beside the project, may say so:
//!
//! ```yaml
//! packages:
//!   hub: https://mirror.example/hub/
//!   mirrors:
//!     https://github.com/: https://mirror.example/github/
//! ```

use super::yaml::{RenderScope, Yaml, YamlJinja};
use crate::base::{Diagnostic, SourceText, did_you_mean};

/// Where packages are had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackagePlaces {
    /// The hub, if it is another.
    pub hub: Option<String>,
    /// For the beginning of an address, what stands for it.
    pub mirrors: Vec<(String, String)>,
}

/// Reads the text of an `elt.yml`. Addresses may ask for `env_var()`.
///
/// # Errors
/// The first thing under `packages:` that is not known, and its place.
pub fn read_package_places(
    source: &SourceText,
    jinja: &dyn YamlJinja,
    scope: &RenderScope<'_>,
) -> Result<PackagePlaces, Diagnostic> {
    let mut yaml = Yaml::parse_own(source)?;
    let mut found = Vec::new();
    yaml.render(jinja, scope, &["users", "schedules", "notifications", "openlineage"], &mut found);
    if let Some(first) = found.into_iter().next() {
        return Err(first);
    }
    let mut places = PackagePlaces::default();
    for entry in yaml.get("packages").map(Yaml::entries).unwrap_or_default() {
        match entry.key.as_str() {
            "hub" => places.hub = entry.value.text(),
            "mirrors" => {
                let pairs = entry.value.entries().iter();
                places.mirrors =
                    pairs.filter_map(|pair| Some((pair.key.clone(), pair.value.text()?))).collect();
            }
            key => {
                let known = ["hub", "mirrors"];
                return Err(Diagnostic::error(
                    "elt::packages::unknown",
                    format!("`{key}` is not known under `packages:`"),
                )
                .at(&entry.key_at, "here")
                .help(format!("here may stand: {}", known.join(", ")))
                .maybe_help(did_you_mean(key, known)));
            }
        }
    }
    Ok(places)
}
