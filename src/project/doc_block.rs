//! Which long descriptions does the project keep in Markdown?

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::yaml::{RenderScope, Yaml, YamlJinja, YamlNode};
use crate::base::{Diagnostic, SourceText, Span};

/// The `{% docs name %} … {% enddocs %}` blocks of one file: names, and bodies with their places.
///
/// A body is a template of its own that knows no variable, as in dbt: `{% raw %}` and comments are gone from it.
pub(super) fn read_blocks(
    text: &SourceText,
    jinja: &dyn YamlJinja,
    found: &mut Vec<Diagnostic>,
) -> BTreeMap<String, String> {
    let nothing =
        RenderScope { vars: &BTreeMap::new(), env: &BTreeMap::new(), target: None, docs: &BTreeMap::new() };
    let mut docs = BTreeMap::new();
    for (name, bytes) in blocks(&text.text) {
        let node = YamlNode::Scalar(Value::String(text.text[bytes.clone()].trim().to_owned()));
        let mut body = Yaml { at: Span { source: text.clone(), bytes }, node };
        body.render_prose(jinja, &nothing, found);
        docs.insert(name, body.text().unwrap_or_default().trim().to_owned());
    }
    docs
}

/// The names of the blocks, and where their bodies stand.
fn blocks(text: &str) -> Vec<(String, Range<usize>)> {
    let (mut all, mut from) = (Vec::new(), 0);
    while let Some(tag) = next_tag(&text[from..], "docs") {
        let start = from + tag.end;
        let Some(end) = next_tag(&text[start..], "enddocs") else { break };
        all.push((tag.argument.to_owned(), start..start + end.start));
        from = start + end.end;
    }
    all
}

struct Tag<'a> {
    start: usize,
    end: usize,
    argument: &'a str,
}

fn next_tag<'a>(text: &'a str, word: &str) -> Option<Tag<'a>> {
    let mut from = 0;
    while let Some(start) = text[from..].find("{%").map(|at| from + at) {
        let end = start + text[start..].find("%}")? + 2;
        let inside = text[start + 2..end - 2].trim_matches(['-', ' ', '\t', '\n']);
        let (first, argument) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
        if first == word {
            return Some(Tag { start, end, argument: argument.trim() });
        }
        from = end;
    }
    None
}

/// The blocks that a text asks for, as `name` or `package.name`, each once.
pub(super) fn asked_of(text: &str) -> Vec<String> {
    static CALL: LazyLock<Regex> = LazyLock::new(|| {
        let name = r#"['"]([^'"]+)['"]"#;
        Regex::new(&format!(r"\bdoc\(\s*{name}(?:\s*,\s*{name})?\s*\)")).expect("a regular expression")
    });
    let mut all = Vec::new();
    for call in CALL.captures_iter(text) {
        let name = match call.get(2) {
            Some(name) => format!("{}.{}", &call[1], name.as_str()),
            None => call[1].to_owned(),
        };
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_between_other_text() {
        let text =
            "# Title\n{% docs a %}\nOne *a*.\n{% enddocs %} x {%- docs b -%}B{% enddocs %}{% docs open %}";
        let found: Vec<_> =
            blocks(text).into_iter().map(|(name, bytes)| (name, text[bytes].trim())).collect();
        assert_eq!(found, [("a".to_owned(), "One *a*."), ("b".to_owned(), "B")]);
    }
}
