//! Which node does each name mean?
//!
//! Every `ref` and `source` of every draft is looked up, all failures reported at once, each under
//! the name in the user's file. The result is the graph; a cycle in it is reported with its path.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Diagnostic, Span, TableName, did_you_mean, nearest};

use super::draft::{Draft, place_of_call};
use super::graph;
use super::jinja::{RefCall, SourceCall};
use super::node::{NodeId, NodeKind};
use super::parse::Parsed;

/// What the names of a project mean.
pub(super) struct Names<'a> {
    package: &'a str,
    models: BTreeMap<&'a str, &'a Draft>,
    sources: BTreeMap<(&'a str, &'a str), &'a Draft>,
    disabled: &'a BTreeMap<String, Span>,
}

impl<'a> Names<'a> {
    pub(super) fn of(parsed: &'a Parsed, package: &'a str) -> Self {
        let models = parsed.drafts.iter().filter(|draft| matches!(draft.kind, NodeKind::Model(_)));
        let sources = parsed.drafts.iter().filter_map(|draft| match &draft.kind {
            NodeKind::Source(source) => Some(((source.source.as_str(), source.table.as_str()), draft)),
            _ => None,
        });
        Self {
            package,
            models: models.map(|draft| (draft.name.as_str(), draft)).collect(),
            sources: sources.collect(),
            disabled: &parsed.disabled,
        }
    }

    /// The model a `ref` means.
    pub(super) fn model(&self, call: &RefCall) -> Option<&'a Draft> {
        let is_here = call.package.as_deref().is_none_or(|package| package == self.package);
        self.models.get(call.name.as_str()).copied().filter(|_| is_here)
    }

    /// The table a `source` means.
    pub(super) fn source(&self, call: &SourceCall) -> Option<&'a Draft> {
        self.sources.get(&(call.source.as_str(), call.table.as_str())).copied()
    }

    /// The parents of a draft, each once, in the order it names them, and what is wrong with its names.
    fn parents(&self, draft: &Draft) -> (Vec<NodeId>, Vec<Diagnostic>) {
        let mut parents: Vec<NodeId> = draft.attached.iter().cloned().collect();
        let mut wrong = Vec::new();
        for call in &draft.refs {
            match self.model(call) {
                Some(parent) => parents.push(parent.id.clone()),
                None => wrong.push(self.ref_not_found(draft, call)),
            }
        }
        for call in &draft.sources {
            match self.source(call) {
                Some(parent) => parents.push(parent.id.clone()),
                None => wrong.push(self.source_not_found(draft, call)),
            }
        }
        let mut seen = BTreeSet::new();
        parents.retain(|parent| seen.insert(parent.clone()));
        (parents, wrong)
    }

    /// The first disabled model that a test refers to: dbt drops such a test, and so does elt.
    fn dropped_for(&self, draft: &Draft) -> Option<Diagnostic> {
        let is_test = matches!(draft.kind, NodeKind::Test(_));
        let call = draft
            .refs
            .iter()
            .find(|call| is_test && self.model(call).is_none() && self.disabled.contains_key(&call.name))?;
        let message =
            format!("test `{}` is left out: it refers to `{}`, which is disabled", draft.name, call.name);
        Some(
            Diagnostic::warning("elt::test_dropped", message)
                .at(&place_in(draft, "ref", &call.name), "this model is disabled"),
        )
    }

    fn ref_not_found(&self, draft: &Draft, call: &RefCall) -> Diagnostic {
        let at = place_in(draft, "ref", &call.name);
        let what = describe(draft);
        if let Some(package) = call.package.as_ref().filter(|package| *package != self.package) {
            return Diagnostic::error(
                "elt::ref_not_found",
                format!("{what} refers to the package `{package}`"),
            )
            .at(&at, "of another package")
            .help("packages are not supported yet; copy the model into this project");
        }
        if let Some(switched_off) = self.disabled.get(&call.name) {
            return Diagnostic::error(
                "elt::ref_disabled",
                format!("{what} refers to `{}`, which is disabled", call.name),
            )
            .at(&at, "this model is disabled")
            .help(format!("it is disabled at {}", switched_off.place()));
        }
        let message = format!("{what} refers to `{}`, which is not in this project", call.name);
        let known = self.models.keys().copied();
        let near = nearest(&call.name, known).and_then(|name| self.models.get(name));
        let help = near.map(|near| format!("did you mean `{}`? It is {}", near.name, near.source_text.path));
        let as_source = self.sources.keys().find(|(_, table)| *table == call.name);
        let as_source =
            as_source.map(|(s, t)| format!("there is a source of this name: write `source('{s}', '{t}')`"));
        Diagnostic::error("elt::ref_not_found", message)
            .at(&at, "no model has this name")
            .maybe_help(as_source.or(help))
    }

    fn source_not_found(&self, draft: &Draft, call: &SourceCall) -> Diagnostic {
        let what = describe(draft);
        let SourceCall { source, table } = call;
        let tables: Vec<&str> = self.sources.keys().filter(|(s, _)| s == source).map(|(_, t)| *t).collect();
        if tables.is_empty() {
            let known: BTreeSet<&str> = self.sources.keys().map(|(s, _)| *s).collect();
            return Diagnostic::error(
                "elt::source_not_found",
                format!("{what} reads the source `{source}`, which is not described"),
            )
            .at(&place_in(draft, "source", source), "no source has this name")
            .help("describe it under `sources:` in a properties file below models/")
            .maybe_help(did_you_mean(source, known));
        }
        let message = format!("{what} reads `{source}.{table}`, but the source `{source}` has no such table");
        Diagnostic::error("elt::source_not_found", message)
            .at(&place_in(draft, "source", table), "no table of this source")
            .help(format!("it has: {}", tables.join(", ")))
            .maybe_help(did_you_mean(table, tables.iter().copied()))
    }
}

fn describe(draft: &Draft) -> String {
    match draft.kind {
        NodeKind::Test(_) => format!("test `{}`", draft.name),
        _ => format!("model `{}`", draft.name),
    }
}

/// Where a draft names something: in its template, or at its entry of a properties file.
fn place_in(draft: &Draft, function: &str, name: &str) -> Span {
    if draft.attached.is_some() {
        draft.at.clone()
    } else {
        place_of_call(&draft.source_text, function, name)
    }
}

/// The graph, as far as names could be resolved.
pub(super) struct Resolved {
    /// The parents of every node, in the order it names them.
    pub(super) parents: BTreeMap<NodeId, Vec<NodeId>>,
    /// The nodes with a name that means nothing. They cannot be rendered.
    pub(super) unresolved: BTreeSet<NodeId>,
}

/// Resolves every draft. Cycles, unknown names and two nodes in one place are added to `found`.
pub(super) fn resolve(parsed: &Parsed, names: &Names<'_>, found: &mut Vec<Diagnostic>) -> Resolved {
    let mut resolved = Resolved { parents: BTreeMap::new(), unresolved: BTreeSet::new() };
    for draft in &parsed.drafts {
        if let Some(warning) = names.dropped_for(draft) {
            found.push(warning);
            continue;
        }
        let (parents, wrong) = names.parents(draft);
        if !wrong.is_empty() {
            resolved.unresolved.insert(draft.id.clone());
        }
        found.extend(wrong);
        resolved.parents.insert(draft.id.clone(), parents);
    }
    two_in_one_place(parsed, found);
    for cycle in graph::cycles(&resolved.parents) {
        found.push(cycle_found(parsed, &cycle));
    }
    resolved
}

fn two_in_one_place(parsed: &Parsed, found: &mut Vec<Diagnostic>) {
    let mut taken: BTreeMap<&TableName, &Draft> = BTreeMap::new();
    for draft in &parsed.drafts {
        let Some(name) = &draft.relation else { continue };
        let Some(first) = taken.insert(name, draft) else { continue };
        if matches!((&first.kind, &draft.kind), (NodeKind::Source(_), NodeKind::Source(_))) {
            continue;
        }
        found.push(
            Diagnostic::error(
                "elt::duplicate",
                format!("`{}` and `{}` would both be the table {name}", first.name, draft.name),
            )
            .at(&draft.at, "the second")
            .help(format!(
                "the first is at {}; give one of them another `alias` or `schema`",
                first.at.place()
            )),
        );
    }
}

fn cycle_found(parsed: &Parsed, cycle: &[NodeId]) -> Diagnostic {
    let draft = |id: &NodeId| parsed.drafts.iter().find(|draft| draft.id == *id);
    let names: Vec<&str> = cycle.iter().filter_map(draft).map(|draft| draft.name.as_str()).collect();
    let path = names.iter().chain(names.first()).copied().collect::<Vec<_>>().join(" → ");
    let diagnostic = Diagnostic::error("elt::cycle", format!("these models wait for each other: {path}"))
        .help("take one of the `ref`s out; an arrow reads \"reads\"");
    match (cycle.first().and_then(draft), names.get(1).or(names.first())) {
        (Some(first), Some(next)) => {
            diagnostic.at(&place_in(first, "ref", next), "the circle goes through here")
        }
        _ => diagnostic,
    }
}
