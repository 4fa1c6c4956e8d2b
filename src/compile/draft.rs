//! What is known of a node before its names are resolved?

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{SourceText, Span, TableName};
use crate::project::{Column, Config, Edition};

use super::by_id::Known;
use super::constraint::Constraint;
use super::expectation::Expectation;
use super::jinja::{Argument, Overrides, RefCall, SourceCall, Subject};
use super::node::{NodeId, NodeKind};
use super::running::Running;

/// A node that was parsed: everything but its parents and its SQL.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) id: NodeId,
    pub(super) package: String,
    pub(super) name: String,
    /// Which version of a model it is, if there are several.
    pub(super) edition: Option<Edition>,
    pub(super) kind: NodeKind,
    pub(super) relation: Option<TableName>,
    /// Where it is read instead, if it is taken from another state of the project.
    pub(super) deferred: Option<TableName>,
    pub(super) source_text: SourceText,
    /// The template, if it is not all of the file.
    pub(super) raw: Option<Arc<str>>,
    pub(super) description: String,
    pub(super) columns: Arc<[Column]>,
    pub(super) fqn: Vec<String>,
    pub(super) config: Arc<Config>,
    /// What it expects of each of its rows.
    pub(super) expectations: Vec<Expectation>,
    /// What its table refuses to hold.
    pub(super) constraints: Vec<Constraint>,
    pub(super) at: Span,
    /// What makes its SQL.
    pub(super) maker: Maker,
    pub(super) refs: Vec<RefCall>,
    pub(super) sources: Vec<SourceCall>,
    /// The macros that its own template calls.
    pub(super) called: Vec<String>,
    /// The properties file that describes it.
    pub(super) described_in: Option<Arc<str>>,
    /// A parent that no template names: the node a generic test is on.
    pub(super) attached: Option<NodeId>,
    /// What a unit test puts in the place of macros and vars.
    pub(super) overrides: Option<Arc<Overrides>>,
    /// The hooks, unrendered: each its text, and whether it comes after.
    pub(super) hooks: Vec<(String, bool)>,
    pub(super) running: Running,
    /// Whether parsing failed, so that there is nothing to compile.
    pub(super) is_broken: bool,
}

/// What makes the SQL of a node.
#[derive(Clone, Debug)]
pub(super) enum Maker {
    /// Nothing: it is a source.
    None,
    /// The template of this name.
    Template(String),
    /// A macro and its arguments; the node it is on is passed as `model`.
    Macro {
        package: Option<String>,
        name: String,
        arguments: Vec<(String, Argument)>,
        filter: Option<serde_json::Value>,
    },
}

impl Known for Draft {
    fn id(&self) -> &NodeId {
        &self.id
    }
}

impl Draft {
    /// A draft that nothing is known of but its name and place. It counts as broken until it is parsed.
    pub(super) fn new(id: NodeId, name: &str, kind: NodeKind, at: &Span, fqn: &[String]) -> Self {
        Self {
            package: fqn.first().cloned().unwrap_or_default(),
            id,
            name: name.to_owned(),
            edition: None,
            kind,
            relation: None,
            deferred: None,
            source_text: at.source.clone(),
            raw: None,
            description: String::new(),
            columns: Arc::new([]),
            fqn: fqn.to_vec(),
            config: Arc::default(),
            expectations: Vec::new(),
            constraints: Vec::new(),
            at: at.clone(),
            maker: Maker::None,
            refs: Vec::new(),
            sources: Vec::new(),
            called: Vec::new(),
            described_in: None,
            attached: None,
            overrides: None,
            hooks: Vec::new(),
            running: Running::default(),
            is_broken: true,
        }
    }

    /// What people call it: the name, and the version if there are several.
    pub(super) fn shown(&self) -> String {
        self.edition.as_ref().map_or_else(|| self.name.clone(), |edition| edition.shown(&self.name))
    }

    /// What it is called where a name must be a word: in CTEs and the names of tests.
    pub(super) fn word(&self) -> String {
        self.edition.as_ref().map_or_else(|| self.name.clone(), |edition| edition.file_name(&self.name))
    }

    /// Whether it is the model, seed or snapshot that `call` means, packages left aside.
    pub(super) fn answers_to(&self, call: &RefCall) -> bool {
        let is_version = match (&call.version, &self.edition) {
            (None, None) => true,
            (None, Some(edition)) => edition.is_latest(),
            (Some(version), Some(edition)) => edition.version == *version,
            (Some(_), None) => false,
        };
        let can_be_read = matches!(self.kind, NodeKind::Model(_) | NodeKind::Seed(_) | NodeKind::Snapshot(_));
        can_be_read && self.name == call.name && is_version
    }

    /// The node as its template sees it.
    pub(super) fn subject(&self) -> Subject {
        Subject {
            id: self.id.to_string(),
            package: self.package.clone(),
            name: self.name.clone(),
            resource_type: self.kind.resource_type(),
            path: self.source_text.path.to_string(),
            fqn: self.fqn.clone(),
            edition: self.edition.clone(),
            batch: None,
            given: BTreeMap::new(),
            is_hook: false,
            this: self.relation.clone(),
            config: self.config.clone().into(),
            overrides: self.overrides.clone(),
        }
    }
}

/// Finds where a template writes a call of `function` with the text `argument`, quotes left out.
///
/// The place of the text itself, or the file's beginning if the call is made in a macro or its
/// argument computed.
pub(super) fn place_of_call(source: &SourceText, function: &str, argument: &str) -> Span {
    let text = &*source.text;
    let quoted = ['\'', '"'].map(|quote| format!("{quote}{argument}{quote}"));
    let mut first = None;
    for quoted in &quoted {
        for (at, _) in text.match_indices(quoted.as_str()) {
            let inner = at + 1..at + 1 + argument.len();
            let line = text[..at].rsplit(['\n', '{', '(']).next().unwrap_or_default();
            let before = text[..at].trim_end_matches(|c: char| c != '(');
            let is_call = before.trim_end_matches('(').trim_end().ends_with(function);
            if is_call && !line.contains(')') {
                return source.span(inner);
            }
            first.get_or_insert(inner);
        }
    }
    source.span(first.unwrap_or(0..0))
}

/// Finds where a template's `config()` sets `key`; the file's beginning if it cannot be seen.
pub(super) fn place_of_setting(source: &SourceText, key: &str) -> Span {
    let text = &*source.text;
    let start = text.find("config").map_or(0, |at| at + "config".len());
    let is_edge = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let found = text[start..].match_indices(key).map(|(at, _)| start + at).find(|at| {
        is_edge(text[..*at].chars().next_back()) && is_edge(text[at + key.len()..].chars().next())
    });
    source.span(found.map_or(0..0, |at| at..at + key.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_settings_are_found_where_they_are_written() {
        let source = SourceText::new(
            "m.sql",
            "{{ config(alias = 'a', materialized='table') }}\nselect 'orders' from {{ ref( \"orders\") }} join {{ ref('shop', 'items') }}",
        );
        assert_eq!(place_of_call(&source, "ref", "orders").place(), "m.sql:2:31");
        assert_eq!(place_of_call(&source, "ref", "items").place(), "m.sql:2:64");
        assert_eq!(place_of_call(&source, "ref", "computed").place(), "m.sql:1:1");
        assert_eq!(place_of_setting(&source, "materialized").place(), "m.sql:1:24");
    }
}
