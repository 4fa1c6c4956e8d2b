//! Which long descriptions does the project keep in Markdown?

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

/// Adds the `{% docs name %} … {% enddocs %}` blocks of one file to `docs`. Bodies are not rendered.
pub(super) fn read_blocks(text: &str, docs: &mut BTreeMap<String, String>) {
    let mut rest = text;
    while let Some(tag) = next_tag(rest, "docs") {
        let body = &rest[tag.end..];
        let Some(end) = next_tag(body, "enddocs") else { return };
        docs.insert(tag.argument.to_owned(), body[..end.start].trim().to_owned());
        rest = &body[end.end..];
    }
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
        let mut docs = BTreeMap::new();
        read_blocks(
            "# Title\n{% docs a %}\nOne *a*.\n{% enddocs %} x {%- docs b -%}B{% enddocs %}{% docs open %}",
            &mut docs,
        );
        assert_eq!(
            docs.into_iter().collect::<Vec<_>>(),
            [("a".into(), "One *a*.".into()), ("b".into(), "B".into())]
        );
    }
}
