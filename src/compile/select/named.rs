//! What do the names of `selectors.yml` mean?
//!
//! A definition is a text in the grammar of the command line, one `method: value`, or lists of such below
//! `union` and `intersection`, with an `exclude` among them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::base::{Diagnostic, Span};
use crate::project::{SelectorDefinition, as_flag, plain};

use super::term::{Around, Term};
use super::{Indirect, Rule, Selector, no_such_selector};
use crate::compile::manifest::Manifest;

/// A definition of `selectors.yml`.
#[derive(Clone, Debug)]
pub struct NamedSelector {
    /// What it is for, in words.
    pub description: String,
    /// Whether it stands in for a selection that is not made.
    pub is_default: bool,
    /// What is written.
    pub written: Value,
    pub(super) rule: Rule,
}

/// Reads every definition. One may use those above it.
pub(in crate::compile) fn read(
    definitions: &[SelectorDefinition],
    found: &mut Vec<Diagnostic>,
) -> BTreeMap<String, NamedSelector> {
    let mut all: BTreeMap<String, NamedSelector> = BTreeMap::new();
    for one in definitions {
        let reader = Reader { at: &one.at, known: &all };
        match reader.root(&one.definition) {
            Ok(rule) => {
                if let Some(first) = all.iter().find(|(_, other)| other.is_default && one.is_default) {
                    found.push(
                        Diagnostic::error(
                            "elt::selector",
                            format!("two selectors are the default: `{}` and `{}`", first.0, one.name),
                        )
                        .at(&one.at, "the second")
                        .help("take `default` away from one of them"),
                    );
                }
                let named = NamedSelector {
                    description: one.description.clone(),
                    is_default: one.is_default,
                    written: one.definition.clone(),
                    rule,
                };
                all.insert(one.name.clone(), named);
            }
            Err(diagnostic) => found.push(diagnostic),
        }
    }
    all
}

/// The selector of this name.
pub(super) fn find<'a>(manifest: &'a Manifest, name: &str) -> Result<&'a NamedSelector, Diagnostic> {
    manifest.selectors.get(name).ok_or_else(|| no_such_selector(manifest, name))
}

struct Reader<'a> {
    at: &'a Span,
    known: &'a BTreeMap<String, NamedSelector>,
}

impl Reader<'_> {
    fn wrong(&self, why: String) -> Diagnostic {
        Diagnostic::error("elt::selector", why).at(self.at, "in this definition").help(
            "a definition is a text such as `tag:nightly`, `{method: …, value: …}`, or a list below `union:` or `intersection:`",
        )
    }

    fn root(&self, definition: &Value) -> Result<Rule, Diagnostic> {
        if let Value::Object(entries) = definition
            && entries.len() > 1
            && (entries.contains_key("union") || entries.contains_key("intersection"))
        {
            let keys = entries.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(self.wrong(format!(
                "a selector has one `union` or one `intersection` at its root, and nothing beside it; found {keys}"
            )));
        }
        self.rule(definition)
    }

    fn rule(&self, definition: &Value) -> Result<Rule, Diagnostic> {
        let entries = match definition {
            Value::String(text) => {
                let selector: Selector =
                    text.parse().map_err(|d: Diagnostic| d.at(self.at, "in this definition"))?;
                return Ok(self.known_names(selector.rule)).and_then(|rule| rule);
            }
            Value::Object(entries) => entries,
            other => return Err(self.wrong(format!("`{}` defines no selection", plain(other)))),
        };
        if let Some(parts) = entries.get("union") {
            return self.parts(parts, Rule::Union);
        }
        if let Some(parts) = entries.get("intersection") {
            return self.parts(parts, Rule::Intersection);
        }
        let rule = match (entries.get("method"), entries.get("value")) {
            (Some(method), Some(value)) => self.method(&plain(method), &plain(value), entries)?,
            (None, None) if entries.len() == 1 => {
                let (method, value) = entries.iter().next().expect("it has one entry");
                self.method(method, &plain(value), &Map::new())?
            }
            _ => {
                let keys = entries.keys().cloned().collect::<Vec<_>>().join(", ");
                return Err(self.wrong(format!("expected one key, or `method` and `value`; found {keys}")));
            }
        };
        match entries.get("exclude") {
            Some(exclude) => {
                Ok(Rule::Difference(Box::new(rule), Box::new(self.parts(exclude, Rule::Union)?)))
            }
            None => Ok(rule),
        }
    }

    /// Refuses names that no definition above has.
    fn known_names(&self, rule: Rule) -> Result<Rule, Diagnostic> {
        let named = |rule: &Rule| if let Rule::Named(name, _) = rule { Some(name.clone()) } else { None };
        let inside: Vec<String> = match &rule {
            Rule::Union(parts) => parts
                .iter()
                .flat_map(|part| match part {
                    Rule::Intersection(terms) => terms.iter().filter_map(named).collect::<Vec<_>>(),
                    _ => Vec::new(),
                })
                .collect(),
            other => named(other).into_iter().collect(),
        };
        match inside.into_iter().find(|name| !self.known.contains_key(name)) {
            Some(name) => Err(self.wrong(format!("no selector above is called `{name}`"))),
            None => Ok(rule),
        }
    }

    fn parts(&self, parts: &Value, join: fn(Vec<Rule>) -> Rule) -> Result<Rule, Diagnostic> {
        let Value::Array(items) = parts else {
            return Err(self.wrong("`union`, `intersection` and `exclude` hold lists".to_owned()));
        };
        let (mut rules, mut out) = (Vec::new(), None);
        for item in items {
            let exclude = item.get("exclude").filter(|_| item.get("method").is_none());
            match exclude {
                Some(_) if out.is_some() => {
                    return Err(self.wrong("a list may hold one `exclude`, and here are two".to_owned()));
                }
                Some(exclude) => out = Some(self.parts(exclude, Rule::Union)?),
                None => rules.push(self.rule(item)?),
            }
        }
        let rule = join(rules);
        Ok(match out {
            Some(out) => Rule::Difference(Box::new(rule), Box::new(out)),
            None => rule,
        })
    }

    fn method(&self, method: &str, value: &str, options: &Map<String, Value>) -> Result<Rule, Diagnostic> {
        const KNOWN: [&str; 9] = [
            "method",
            "value",
            "parents",
            "children",
            "parents_depth",
            "children_depth",
            "childrens_parents",
            "indirect_selection",
            "exclude",
        ];
        if let Some(key) = options.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            return Err(self.wrong(format!("`{key}` is not known beside `method` and `value`")));
        }
        let flag = |key: &str| options.get(key).and_then(as_flag).unwrap_or(false);
        let depth = |key: &str| match options.get(key) {
            None => Ok(usize::MAX),
            Some(depth) => {
                plain(depth).parse().map_err(|_| self.wrong(format!("`{key}` is a number of generations")))
            }
        };
        let indirect = match options.get("indirect_selection") {
            None => None,
            Some(indirect) => Some(plain(indirect).parse::<Indirect>().map_err(|why| self.wrong(why))?),
        };
        if flag("childrens_parents") && flag("children") {
            return Err(self.wrong("`childrens_parents` and `children` cannot go together".to_owned()));
        }
        let around = Around {
            with_needs_of_descendants: flag("childrens_parents"),
            ancestors: if flag("parents") { depth("parents_depth")? } else { 0 },
            descendants: if flag("children") { depth("children_depth")? } else { 0 },
        };
        if method == "selector" {
            return self.known_names(Rule::Named(value.to_owned(), around));
        }
        let mut term = Term::read(&format!("{method}:{value}"), value)
            .map_err(|d| d.at(self.at, "in this definition"))?;
        term.value = value.to_owned();
        term.around = around;
        Ok(Rule::Term(term, indirect))
    }
}
