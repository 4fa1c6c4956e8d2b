//! Which node does each name mean?
//!
//! Every `ref` and `source` of every draft is looked up, all failures reported at once, each under
//! the name in the user's file. The result is the graph; a cycle in it is reported with its path.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Diagnostic, Span, TableName, did_you_mean, nearest};
use crate::project::Project;

use super::draft::{Draft, place_of_call};
use super::graph;
use super::jinja::{RefCall, SourceCall};
use super::meaning::{Answers, Meant};
use super::node::{NodeId, NodeKind};
use super::parse::Parsed;

/// What the names of a project mean.
pub(super) struct Names<'a> {
    /// The project's own package.
    root: &'a str,
    /// Whether a name means what its own package has, before what the project has.
    own_first: bool,
    /// What `ref` may mean, by name.
    models: BTreeMap<&'a str, Vec<&'a Draft>>,
    sources: BTreeMap<(&'a str, &'a str), Vec<&'a Draft>>,
    disabled: &'a BTreeMap<String, Span>,
}

impl<'a> Names<'a> {
    pub(super) fn of(parsed: &'a Parsed, project: &'a Project) -> Self {
        let mut models: BTreeMap<&str, Vec<&Draft>> = BTreeMap::new();
        let mut sources: BTreeMap<(&str, &str), Vec<&Draft>> = BTreeMap::new();
        for draft in &parsed.drafts {
            match &draft.kind {
                NodeKind::Model(_) | NodeKind::Seed(_) | NodeKind::Snapshot(_) => {
                    models.entry(&draft.name).or_default().push(draft);
                }
                NodeKind::Source(source) => {
                    sources.entry((&source.source, &source.table)).or_default().push(draft);
                }
                _ => {}
            }
        }
        let (root, own_first) = (&project.name, project.own_names_first);
        Self { root, own_first, models, sources, disabled: &parsed.disabled }
    }

    /// The candidate that a name in package `from` means: the project's, then that of its own package, then any. With
    /// `require_ref_searches_node_package_before_root` that of its own package is the first.
    fn choose(&self, candidates: &[&'a Draft], from: &str) -> Option<&'a Draft> {
        let of = |package: &str| candidates.iter().find(|draft| draft.package == package);
        let order = if self.own_first { [from, self.root] } else { [self.root, from] };
        order.into_iter().find_map(of).or(candidates.first()).copied()
    }

    /// The model, seed or snapshot that a `ref` of package `from` means.
    pub(super) fn model(&self, call: &RefCall, from: &str) -> Option<&'a Draft> {
        let candidates = self.models.get(call.name.as_str())?;
        let candidates: Vec<&Draft> =
            candidates.iter().copied().filter(|draft| draft.answers_to(call)).collect();
        match &call.package {
            Some(package) => candidates.into_iter().find(|draft| draft.package == *package),
            None => self.choose(&candidates, from),
        }
    }

    /// The table that a `source` of package `from` means.
    pub(super) fn source(&self, call: &SourceCall, from: &str) -> Option<&'a Draft> {
        let candidates = self.sources.get(&(call.source.as_str(), call.table.as_str()))?;
        self.choose(candidates, from)
    }

    /// What every name means to something that stands outside the graph: an operation, a hook of the run.
    pub(super) fn all(&self) -> Answers {
        let (mut refs, mut sources) = (BTreeMap::new(), BTreeMap::new());
        for draft in self.models.values().flatten() {
            let version = draft.edition.as_ref().map(|edition| edition.version.clone());
            for package in [None, Some(draft.package.clone())] {
                for version in [None, version.clone()] {
                    let call = RefCall { package: package.clone(), name: draft.name.clone(), version };
                    if let Some(meant) = self.model(&call, self.root) {
                        refs.insert(call, Meant::of(meant));
                    }
                }
            }
        }
        for (source, table) in self.sources.keys() {
            let call = SourceCall { source: (*source).to_owned(), table: (*table).to_owned() };
            if let Some(meant) = self.source(&call, self.root) {
                sources.insert(call, Meant::of(meant));
            }
        }
        Answers { refs: refs.into_iter().collect(), sources: sources.into_iter().collect() }
    }

    /// The parents of a draft, each once, in the order it names them, and what is wrong with its names.
    fn parents(&self, draft: &Draft) -> (Vec<NodeId>, Vec<Diagnostic>) {
        let mut parents: Vec<NodeId> = draft.attached.iter().cloned().collect();
        // A unit test hangs on its model; what the model reads is made up.
        let model = if let NodeKind::UnitTest(test) = &draft.kind { Some(test.model.clone()) } else { None };
        let mut wrong = Vec::new();
        for call in &draft.refs {
            match self.model(call, &draft.package) {
                Some(parent) => {
                    wrong.extend(self.refused_access(draft, parent, call));
                    parents.push(parent.id.clone());
                }
                None => wrong.push(self.ref_not_found(draft, call)),
            }
        }
        for call in &draft.sources {
            match self.source(call, &draft.package) {
                Some(parent) => parents.push(parent.id.clone()),
                None => wrong.push(self.source_not_found(draft, call)),
            }
        }
        if let Some(model) = model {
            parents = vec![model];
        }
        let mut seen = BTreeSet::new();
        parents.retain(|parent| seen.insert(parent.clone()));
        (parents, wrong)
    }

    /// The first disabled model that a test refers to: dbt drops such a test, and so does elt.
    fn dropped_for(&self, draft: &Draft) -> Option<Diagnostic> {
        let is_test = matches!(draft.kind, NodeKind::Test(_) | NodeKind::UnitTest(_));
        let call = draft.refs.iter().find(|call| {
            is_test && self.model(call, &draft.package).is_none() && self.disabled.contains_key(&call.name)
        })?;
        let message =
            format!("test `{}` is left out: it refers to `{}`, which is disabled", draft.name, call.name);
        Some(
            Diagnostic::warning("elt::test_dropped", message)
                .at(&place_in(draft, "ref", &call.name), "this model is disabled"),
        )
    }

    /// The versions of the model that `call` names, if only the version is wrong.
    fn versions_of(&self, call: &RefCall) -> Option<Vec<&str>> {
        let candidates = self.models.get(call.name.as_str())?;
        let those =
            candidates.iter().filter(|draft| call.package.as_ref().is_none_or(|p| draft.package == *p));
        Some(those.filter_map(|draft| draft.edition.as_ref()).map(|one| one.version.as_str()).collect())
    }

    /// Why a node may not read `parent`, if it may not: it is private to a group, or protected in its package.
    fn refused_access(&self, draft: &Draft, parent: &Draft, call: &RefCall) -> Option<Diagnostic> {
        if !matches!(parent.kind, NodeKind::Model(_))
            || matches!(draft.kind, NodeKind::Test(_) | NodeKind::UnitTest(_))
        {
            return None;
        }
        let (group, own) = (parent.config.text("group"), draft.config.text("group"));
        let (access, what) = (parent.config.text("access")?, describe(draft));
        let why = match access.as_str() {
            "private" if group != own || parent.package != draft.package => match group {
                Some(group) => format!("which is private to the group `{group}`"),
                None => "which is private and belongs to no group".to_owned(),
            },
            _ => return None,
        };
        Some(
            Diagnostic::error("elt::access", format!("{what} refers to `{}`, {why}", call.name))
                .at(&place_in(draft, "ref", &call.name), "may not be read here")
                .help("give both models the same `group`, or the model it reads `access: protected`"),
        )
    }

    fn ref_not_found(&self, draft: &Draft, call: &RefCall) -> Diagnostic {
        let at = place_in(draft, "ref", &call.name);
        let what = describe(draft);
        if let Some(package) = &call.package {
            let here: Vec<&str> = self
                .models
                .iter()
                .filter(|(_, drafts)| drafts.iter().any(|draft| draft.package == *package))
                .map(|(name, _)| *name)
                .collect();
            let message = match here.is_empty() {
                true => format!("{what} refers to the package `{package}`, which has no models here"),
                false => format!("{what} refers to `{}`, which is not in the package `{package}`", call.name),
            };
            return Diagnostic::error("elt::ref_not_found", message)
                .at(&at, "not in that package")
                .help("packages are found as `packages.yml` and the folder dbt_packages/ say")
                .maybe_help(did_you_mean(&call.name, here));
        }
        if let Some(versions) = self.versions_of(call) {
            let message = match &call.version {
                Some(version) => {
                    format!("{what} refers to version {version} of `{}`, which is not there", call.name)
                }
                None => format!("{what} refers to the latest version of `{}`, which is not there", call.name),
            };
            return Diagnostic::error("elt::ref_not_found", message).at(&at, "no such version").help(
                match versions.is_empty() {
                    true => "it has no versions: leave `v` out".to_owned(),
                    false => format!("it has: {}", versions.join(", ")),
                },
            );
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
        let near = nearest(&call.name, known).and_then(|name| self.models.get(name)?.first());
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
    format!("{} `{}`", draft.kind.resource_type().replace('_', " "), draft.shown())
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
    seeds_before_sources(parsed, &mut resolved.parents);
    two_in_one_place(parsed, found);
    for cycle in graph::cycles(&resolved.parents) {
        found.push(cycle_found(parsed, &cycle));
    }
    resolved
}

/// A source whose table a seed makes comes after that seed.
fn seeds_before_sources(parsed: &Parsed, parents: &mut BTreeMap<NodeId, Vec<NodeId>>) {
    let is_seed = |draft: &&Draft| matches!(draft.kind, NodeKind::Seed(_));
    let seeds: BTreeMap<&TableName, &NodeId> = parsed
        .drafts
        .iter()
        .filter(is_seed)
        .filter_map(|seed| Some((seed.relation.as_ref()?, &seed.id)))
        .collect();
    for source in parsed.drafts.iter().filter(|draft| matches!(draft.kind, NodeKind::Source(_))) {
        let seed = source.relation.as_ref().and_then(|name| seeds.get(name));
        if let (Some(seed), Some(of)) = (seed, parents.get_mut(&source.id)) {
            of.push((*seed).clone());
        }
    }
}

fn two_in_one_place(parsed: &Parsed, found: &mut Vec<Diagnostic>) {
    let mut taken: BTreeMap<&TableName, &Draft> = BTreeMap::new();
    for draft in &parsed.drafts {
        let Some(name) = &draft.relation else { continue };
        if matches!(draft.kind, NodeKind::Test(_) | NodeKind::UnitTest(_)) {
            continue;
        }
        let Some(first) = taken.insert(name, draft) else { continue };
        // A source may be what a seed of the same project brings.
        let is_source = |draft: &Draft| match &draft.kind {
            NodeKind::Source(source) => source.landing.is_none(),
            _ => false,
        };
        let both = matches!((&first.kind, &draft.kind), (NodeKind::Source(_), NodeKind::Source(_)));
        if both || is_source(first) || is_source(draft) {
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
