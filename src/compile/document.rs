//! What does a project say besides its nodes?
//!
//! Exposures, metrics and the like, with the nodes they stand on; the graph as templates see it; hooks of
//! the whole run; and the texts that only the manifest file shows.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::base::Diagnostic;
use crate::project::{Document, Project, plain};

use super::hook::{self, Permitted};
use super::jinja::{Jinja, NEEDS_LAKE, RefCall, SourceCall};
use super::manifest::{DocumentNode, MacroText, Written};
use super::node::{NodeId, NodeKind};
use super::parse::Parsed;
use super::render::{Templates, refused};
use super::resolve::Names;

/// Reads the documents of a project, and what they stand on.
pub(super) fn read(
    project: &Project,
    jinja: &Jinja,
    names: &Names<'_>,
    found: &mut Vec<Diagnostic>,
) -> Vec<DocumentNode> {
    let _ = jinja;
    let metrics: BTreeMap<&str, &Document> =
        project.documents.iter().filter(|d| d.kind == "metric").map(|d| (d.name.as_str(), d)).collect();
    let read = |document: &Document| {
        let calls = calls(document);
        let mut depends_on = Vec::new();
        for call in calls {
            let parent = match &call {
                NameCall::Ref(call) => names.model(call, &document.package).map(|draft| draft.id.clone()),
                NameCall::Source(call) => names.source(call, &document.package).map(|draft| draft.id.clone()),
                NameCall::Metric(name) => metrics.get(name.as_str()).map(|metric| id(metric)),
            };
            match parent {
                Some(parent) => depends_on.push(parent),
                None => found.push(
                    Diagnostic::warning(
                        "elt::ref_not_found",
                        format!(
                            "the {} `{}` stands on {call}, which is not there",
                            document.kind, document.name
                        ),
                    )
                    .at(&document.at, "of this entry"),
                ),
            }
        }
        DocumentNode {
            id: id(document),
            kind: document.kind,
            name: document.name.clone(),
            package: document.package.clone(),
            fqn: document.fqn.clone(),
            path: document.at.source.path.to_string(),
            depends_on,
            written: document.written.clone(),
        }
    };
    project.documents.iter().map(read).collect()
}

fn id(document: &Document) -> NodeId {
    NodeId::new(format!("{}.{}.{}", document.kind, document.package, document.name))
}

/// A name that a document stands on.
pub(super) enum NameCall {
    Ref(RefCall),
    Source(SourceCall),
    Metric(String),
}

impl std::fmt::Display for NameCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ref(call) => write!(f, "`ref('{}')`", call.name),
            Self::Source(call) => write!(f, "`source('{}', '{}')`", call.source, call.table),
            Self::Metric(name) => write!(f, "the metric `{name}`"),
        }
    }
}

/// What a document names: an exposure under `depends_on`, a semantic model under `model`.
fn calls(document: &Document) -> Vec<NameCall> {
    let texts: Vec<String> = match document.kind {
        "exposure" => {
            let list = document.written.get("depends_on").and_then(Value::as_array);
            list.into_iter().flatten().map(plain).collect()
        }
        "semantic_model" => document.written.get("model").map(plain).into_iter().collect(),
        _ => Vec::new(),
    };
    texts.iter().filter_map(|text| call(text)).collect()
}

fn unquoted(text: &str) -> String {
    text.trim().trim_matches(['"', '\'']).to_owned()
}

/// Reads `ref('m', v=2)`, `source('s', 't')` or `metric('n')`, as YAML has them.
pub(super) fn call(text: &str) -> Option<NameCall> {
    let text = text.trim().trim_start_matches("{{").trim_end_matches("}}").trim();
    let (function, rest) = text.split_once('(')?;
    let arguments: Vec<String> = rest
        .trim_end()
        .trim_end_matches(')')
        .split(',')
        .filter(|argument| !argument.contains('='))
        .map(unquoted)
        .collect();
    let version = rest.trim_end().trim_end_matches(')').split(',').find_map(|argument| {
        let (key, value) = argument.split_once('=')?;
        matches!(key.trim(), "v" | "version").then(|| unquoted(value))
    });
    match (function.trim(), arguments.as_slice()) {
        ("ref", [name]) => Some(NameCall::Ref(RefCall { package: None, name: name.clone(), version })),
        ("ref", [package, name]) => {
            Some(NameCall::Ref(RefCall { package: Some(package.clone()), name: name.clone(), version }))
        }
        ("source", [source, table]) => {
            Some(NameCall::Source(SourceCall { source: source.clone(), table: table.clone() }))
        }
        ("metric", [name]) => Some(NameCall::Metric(name.clone())),
        _ => None,
    }
}

/// The graph as templates see it: `graph.nodes`, `graph.sources` and the documents.
pub(super) fn graph(
    parsed: &Parsed,
    parents: &BTreeMap<NodeId, Vec<NodeId>>,
    documents: &[DocumentNode],
) -> Value {
    let (mut nodes, mut sources) = (serde_json::Map::new(), serde_json::Map::new());
    for draft in &parsed.drafts {
        let relation = draft.relation.as_ref();
        let columns: serde_json::Map<String, Value> = draft
            .columns
            .iter()
            .map(|column| {
                let entry = json!({
                    "name": column.name, "description": column.description, "data_type": column.data_type,
                    "tags": column.tags, "meta": {},
                });
                (column.name.clone(), entry)
            })
            .collect();
        let mut config = draft.config.to_json();
        if let NodeKind::Model(materialization) = &draft.kind {
            config.entry("materialized".into()).or_insert_with(|| materialization.word().into());
        }
        let mut entry = json!({
            "unique_id": draft.id.as_str(), "name": draft.name, "resource_type": draft.kind.resource_type(),
            "package_name": draft.package, "path": &*draft.source_text.path,
            "original_file_path": &*draft.source_text.path, "fqn": draft.fqn,
            "alias": relation.map_or(draft.name.as_str(), |name| name.table()),
            "schema": relation.map(|name| name.schema()), "database": "elt",
            "relation_name": relation.map(super::sql_name::shown), "config": config,
            "tags": draft.config.texts("tags"), "meta": draft.config.meta(), "columns": columns,
            "description": draft.description, "raw_code": &*draft.source_text.text,
            "depends_on": {"nodes": parents.get(&draft.id).map(|of| of.iter().map(NodeId::as_str).collect::<Vec<_>>()).unwrap_or_default(), "macros": []},
        });
        if let NodeKind::Source(source) = &draft.kind {
            entry["source_name"] = source.source.as_str().into();
            entry["name"] = source.table.as_str().into();
            entry["identifier"] = relation.map(|name| name.table()).into();
            sources.insert(draft.id.to_string(), entry);
        } else {
            nodes.insert(draft.id.to_string(), entry);
        }
    }
    let of = |kind: &str| -> Value {
        let those = documents.iter().filter(|document| document.kind == kind);
        those.map(|document| (document.id.to_string(), document.written.clone())).collect()
    };
    json!({
        "nodes": nodes, "sources": sources, "exposures": of("exposure"), "metrics": of("metric"),
        "groups": of("group"), "semantic_models": of("semantic_model"), "saved_queries": of("saved_query"),
    })
}

/// Which hooks of the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunHook {
    /// `on-run-start`
    Start,
    /// `on-run-end`
    End,
}

/// Looks at the hooks of the whole run, as far as they can be rendered without a lake.
pub(super) fn check_run_hooks(project: &Project, templates: &Templates, found: &mut Vec<Diagnostic>) {
    for hook in project.on_run_start.iter().chain(&project.on_run_end) {
        match templates.run_hook(hook, &BTreeMap::new(), None) {
            Err(diagnostic) if matches!(diagnostic.stable_code(), NEEDS_LAKE | "elt::raised") => {}
            Err(diagnostic) => found.push(diagnostic),
            Ok((sql, _)) => {
                if let Permitted::Refused(words) = hook::judge(&sql) {
                    found.push(refused(&words, &project.name, &hook.at));
                }
            }
        }
    }
}

/// The texts that only the manifest file shows.
pub(super) fn written(project: &Project, jinja: &Jinja) -> Written {
    let macros = jinja.all_macros().map(|(id, package, name, source, text)| MacroText {
        id,
        package: package.to_owned(),
        name: name.to_owned(),
        path: source.path.to_string(),
        text: text.to_owned(),
    });
    let docs = project.docs.iter().flat_map(|(package, blocks)| {
        blocks.iter().map(|(name, text)| (package.clone(), name.clone(), text.clone()))
    });
    Written {
        macros: macros.collect(),
        docs: docs.collect(),
        engine: project.target.engine.clone(),
        schema: project.target.schema.clone(),
    }
}
