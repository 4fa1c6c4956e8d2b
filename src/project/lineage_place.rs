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
    let url = yaml.get("openlineage").and_then(|place| place.get("url"));
    // What a variable leaves empty is meant to be off.
    let is_empty = url.is_some_and(|url| url.text().is_none_or(|text| text.is_empty()));
    let mut found = Vec::new();
    yaml.render(jinja, scope, &["users", "packages", "schedules", "notifications"], &mut found);
    if let Some(first) = found.into_iter().next() {
        return Err(first);
    }
    let mut place = LineagePlace::default();
    for entry in yaml.get("openlineage").map(Yaml::entries).unwrap_or_default() {
        let text = entry.value.text().filter(|text| !text.is_empty());
        match entry.key.as_str() {
            "url" if is_empty => {
                let mistake = Diagnostic::error("elt::openlineage", "the `url` of `openlineage` is empty");
                let help = "write an address or a file, or take `url` out: then OPENLINEAGE_URL says it, or nobody is told";
                return Err(mistake.at(&entry.value.at, "nobody is told").help(help));
            }
            "url" => place.url = text,
            "namespace" => place.namespace = text,
            key => return Err(unknown(key, &entry.key_at, &["url", "namespace"])),
        }
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl YamlJinja for Nothing {
        fn render(&self, text: &str, _: &RenderScope<'_>) -> Result<String, String> {
            Ok(if text.contains("{{") { String::new() } else { text.to_owned() })
        }
    }

    #[test]
    fn a_place_is_read_and_an_empty_one_is_refused() {
        let read = |text: &str| {
            let (vars, env, docs) = Default::default();
            let scope = RenderScope { vars: &vars, env: &env, target: None, docs: &docs };
            read_lineage_place(&SourceText::new("elt.yml", text), &Nothing, &scope)
                .map(|place| (place.url, place.namespace))
                .map_err(|error| error.message().to_owned())
        };
        let said = |text: &str| Some(text.to_owned());
        assert_eq!(read("openlineage: {url: 'http://x', namespace: n}\n"), Ok((said("http://x"), said("n"))));
        assert_eq!(read("openlineage: {namespace: n}\n"), Ok((None, said("n"))));
        assert_eq!(read("openlineage: {url: \"{{ env_var('X', '') }}\"}\n"), Ok((None, None)));
        let empty = Err("the `url` of `openlineage` is empty".to_owned());
        assert_eq!(read("openlineage: {url: ''}\n"), empty);
        assert_eq!(read("openlineage: {url: }\n"), empty);
    }
}
