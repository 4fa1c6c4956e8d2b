//! Which versions were settled on, and for which wishes?
//!
//! `package-lock.yml` is dbt's: every package with its settled version, and a hash of the list it was settled for. As
//! long as the list has that hash, nothing is settled anew. dbt reads what elt writes, and the other way round.

use serde_json::{Map, Value, json};

use super::pin::Pin;
use crate::project::{Dependency, DependencyKind};

/// The file's name.
pub(super) const LOCK_FILE: &str = "package-lock.yml";

/// The hash of a list of packages, as dbt makes it: of its own Python objects, written as JSON.
pub(super) fn hash(dependencies: &[Dependency]) -> String {
    let mut texts: Vec<String> = dependencies.iter().map(|one| python_json(&as_dbt(one))).collect();
    texts.sort();
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, texts.join("\n").as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An entry with the keys that dbt's class for it has.
fn as_dbt(dependency: &Dependency) -> Value {
    let keys: &[(&str, Value)] = match &dependency.kind {
        DependencyKind::Hub { .. } => {
            &[("package", Value::Null), ("version", Value::Null), ("install_prerelease", Value::Bool(false))]
        }
        DependencyKind::Git { .. } => &[
            ("git", Value::Null),
            ("revision", Value::Null),
            ("subdirectory", Value::Null),
            ("warn-unpinned", Value::Null),
        ],
        DependencyKind::Tarball { .. } => &[("tarball", Value::Null)],
        DependencyKind::Local { .. } => &[("local", Value::Null)],
    };
    let mut entry = Map::new();
    for (key, default) in keys {
        let value = dependency.rendered.get(*key).cloned().unwrap_or_else(|| default.clone());
        entry.insert((*key).to_owned(), value);
    }
    if let Some(name) = dependency.rendered.get("name").filter(|name| !name.is_null()) {
        entry.insert("name".into(), name.clone());
    }
    entry.insert("unrendered".into(), dependency.written.clone());
    Value::Object(entry)
}

/// JSON as `json.dumps(…, sort_keys=True)` writes it.
fn python_json(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(python_json).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) => {
            let mut entries: Vec<(&String, &Value)> = entries.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{}: {}", ascii(key), python_json(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::String(text) => ascii(text),
        other => other.to_string(),
    }
}

/// A JSON string of ASCII letters only.
fn ascii(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    let mut written = String::with_capacity(quoted.len());
    for letter in quoted.chars() {
        match letter {
            '\u{7f}' => written.push_str("\\u007f"),
            letter if letter.is_ascii() => written.push(letter),
            letter => {
                let mut units = [0; 2];
                letter
                    .encode_utf16(&mut units)
                    .iter()
                    .for_each(|unit| written.push_str(&format!("\\u{unit:04x}")));
            }
        }
    }
    written
}

/// The text of a lock file.
pub(super) fn write(pins: &[Pin], hash: &str) -> String {
    let mut text = String::from("packages:\n");
    for pin in pins {
        let mut entries: Vec<(&str, String)> = pin.entry();
        entries.sort_by_key(|(key, _)| *key);
        for (at, (key, value)) in entries.iter().enumerate() {
            let mark = if at == 0 { "  - " } else { "    " };
            text.push_str(&format!("{mark}{key}: {}\n", scalar(value)));
        }
    }
    if pins.is_empty() {
        text = "packages: []\n".to_owned();
    }
    text.push_str(&format!("sha1_hash: {}\n", scalar(hash)));
    text
}

/// The hash that a lock file was written for.
pub(super) fn hash_of(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("sha1_hash:"))?;
    Some(line.trim().trim_matches(['\'', '"']).to_owned())
}

/// A text as YAML has it: plain if it cannot be taken for something else.
pub(super) fn scalar(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_./:@+~-".contains(letter);
    let starts_well =
        text.chars().next().is_some_and(|first| first.is_ascii_alphanumeric() || "_./~".contains(first));
    let is_word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "~", ".", ".."];
    let is_other = is_word.contains(&text.to_lowercase().as_str())
        || text.parse::<f64>().is_ok()
        || text.chars().all(|letter| letter.is_ascii_digit() || ":_.xo".contains(letter))
            && !text.matches('.').count().gt(&1);
    match starts_well && text.chars().all(is_plain) && !text.ends_with(':') && !is_other {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "''")),
    }
}

/// What was installed, as the mark in its folder says it.
pub(super) fn mark(pin: &Pin) -> Value {
    let entries = pin.entry().into_iter().filter(|(key, _)| *key != "name");
    json!(entries.map(|(key, value)| (key.to_owned(), Value::from(value))).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SourceText;

    fn dependency(kind: DependencyKind, rendered: Value, written: Value) -> Dependency {
        let at = SourceText::new("packages.yml", "").span(0..0);
        Dependency { name: String::new(), kind, at, rendered, written }
    }

    fn hub(package: &str, version: Value) -> Dependency {
        let kind = DependencyKind::Hub { package: package.into(), versions: Vec::new(), prerelease: false };
        let entry = json!({"package": package, "version": version});
        dependency(kind, entry.clone(), entry)
    }

    fn git(url: &str, revision: &str) -> Dependency {
        let kind =
            DependencyKind::Git { url: url.into(), revision: None, subdirectory: None, warn_unpinned: true };
        let entry = json!({"git": url, "revision": revision});
        dependency(kind, entry.clone(), entry)
    }

    /// The hash is the one in the lock file of a public project that dbt wrote.
    #[test]
    fn the_hash_is_the_one_that_dbt_makes() {
        let list = [
            hub("dbt-labs/dbt_utils", json!("1.1.1")),
            hub("godatadriven/dbt_date", json!("0.10.0")),
            git("https://github.com/dbt-labs/dbt-audit-helper.git", "main"),
        ];
        assert_eq!(hash(&list), "f2a73967505955af30d18f70489a423fd47cdf79");
    }

    #[test]
    fn json_is_written_as_python_does() {
        let value = json!({"b": [1, 1.0, null, true], "a": {"é": "\u{1f600}\"\n"}});
        assert_eq!(
            python_json(&value),
            r#"{"a": {"\u00e9": "\ud83d\ude00\"\n"}, "b": [1, 1.0, null, true]}"#
        );
    }

    #[test]
    fn a_lock_file_is_yaml_as_dbt_writes_it() {
        let pins = [
            Pin::Hub {
                package: "dbt-labs/dbt_utils".into(),
                version: "1.1.1".into(),
                name: "dbt_utils".into(),
            },
            Pin::Git {
                url: "https://secret@x/y".into(),
                written: "https://{{ env_var('T') }}@x/y".into(),
                commit: "1234567".into(),
                asked: "main".into(),
                subdirectory: Some("pkg".into()),
                name: "y".into(),
            },
        ];
        insta::assert_snapshot!(write(&pins, "abc"), @"
        packages:
          - name: dbt_utils
            package: dbt-labs/dbt_utils
            version: 1.1.1
          - git: 'https://{{ env_var(''T'') }}@x/y'
            name: 'y'
            revision: '1234567'
            subdirectory: pkg
        sha1_hash: abc
        ");
        assert_eq!(hash_of(&write(&pins, "abc")).as_deref(), Some("abc"));
        for (text, written) in
            [("1.0", "'1.0'"), ("1.1.1", "1.1.1"), ("1e5", "'1e5'"), ("no", "'no'"), ("../x", "../x")]
        {
            assert_eq!(scalar(text), written);
        }
    }
}
