//! What does a project say besides its nodes?
//!
//! Exposures, metrics and the like, with the nodes they stand on; the graph as templates see it; hooks of
//! the whole run; and the texts that only the manifest file shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::base::{Diagnostic, SourceText};
use crate::project::{Document, MacroWords, Project, plain};

use super::hook::{self, Permitted};
use super::jinja::{Argument, Jinja, NEEDS_LAKE, Phase, RefCall, SourceCall, Subject, asks_of_graph};
use super::manifest::{DocText, DocumentNode, MacroText, Manifest, Named, Written};
use super::node::{NodeId, NodeKind, Reference};
use super::parse::Parsed;
use super::render::{Templates, bare_node, refused};
use super::resolve::Names;

/// Reads the documents of a project, and what they stand on.
pub(super) fn read(
    project: &Project,
    jinja: &Jinja,
    names: &Names<'_>,
    found: &mut Vec<Diagnostic>,
) -> Vec<DocumentNode> {
    let _ = jinja;
    let made: Vec<Document> = project.documents.iter().flat_map(made_metrics).collect();
    let metrics: BTreeMap<&str, &Document> = project
        .documents
        .iter()
        .chain(&made)
        .filter(|d| d.kind == "metric")
        .map(|d| (d.name.as_str(), d))
        .collect();
    let models = project.documents.iter().filter(|document| document.kind == "semantic_model");
    let measures: BTreeMap<String, &Document> = models
        .flat_map(|document| {
            let measures = document.written.get("measures").and_then(Value::as_array).into_iter().flatten();
            measures.filter_map(move |one| Some((one.get("name").map(plain)?, document)))
        })
        .collect();
    let read = |document: &Document| {
        let calls = calls(document);
        let mut depends_on = Vec::new();
        let named = Named::of(&calls);
        for call in calls {
            let parent = match &call {
                NameCall::Ref(call) => names.model(call, &document.package).map(|draft| draft.id.clone()),
                NameCall::Source(call) => names.source(call, &document.package).map(|draft| draft.id.clone()),
                NameCall::Metric(name) => {
                    // A measure may be a metric by itself.
                    let metric = metrics.get(name.as_str()).or_else(|| measures.get(name));
                    metric.map(|document| id(document))
                }
                NameCall::Measure(name) => measures.get(name).map(|model| id(model)),
            };
            match parent {
                Some(parent) if depends_on.contains(&parent) => {}
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
            named,
            written: document.written.clone(),
        }
    };
    project.documents.iter().chain(&made).map(read).collect()
}

/// The metrics that a semantic model's measures are by themselves: those with `create_metric: true`.
fn made_metrics(document: &Document) -> Vec<Document> {
    let measures = document.written.get("measures").and_then(Value::as_array).into_iter().flatten();
    let wants = |measure: &&Value| {
        document.kind == "semantic_model"
            && measure.get("create_metric").and_then(crate::project::as_flag) == Some(true)
    };
    let metric = |measure: &Value| {
        let name = measure.get("name").map(plain)?;
        let text = |key: &str| measure.get(key).filter(|value| !value.is_null()).map(plain);
        Some(Document {
            kind: "metric",
            fqn: vec![document.package.clone(), name.clone()],
            written: json!({
                "name": name, "label": text("label").unwrap_or_else(|| name.clone()), "type": "simple",
                "description": text("description").unwrap_or_else(|| format!("Metric created from measure {name}")),
                "type_params": {"measure": {"name": name}, "expr": text("expr").unwrap_or_else(|| name.clone())},
            }),
            name,
            ..document.clone()
        })
    };
    measures.filter(wants).filter_map(metric).collect()
}

fn id(document: &Document) -> NodeId {
    NodeId::new(format!("{}.{}.{}", document.kind, document.package, document.name))
}

/// A name that a document stands on.
pub(super) enum NameCall {
    Ref(RefCall),
    Source(SourceCall),
    Metric(String),
    /// What a semantic model can measure.
    Measure(String),
}

impl Named {
    fn of(calls: &[NameCall]) -> Self {
        let mut named = Self::default();
        for call in calls {
            match call {
                NameCall::Ref(call) => named.refs.push(Reference {
                    package: call.package.clone(),
                    name: call.name.clone(),
                    version: call.version.clone(),
                }),
                NameCall::Source(call) => named.sources.push((call.source.clone(), call.table.clone())),
                NameCall::Metric(name) => named.metrics.push(name.clone()),
                NameCall::Measure(_) => {}
            }
        }
        named
    }
}

impl std::fmt::Display for NameCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ref(call) => write!(f, "`ref('{}')`", call.name),
            Self::Source(call) => write!(f, "`source('{}', '{}')`", call.source, call.table),
            Self::Metric(name) => write!(f, "the metric `{name}`"),
            Self::Measure(name) => write!(f, "the measure `{name}`"),
        }
    }
}

/// What a document names: an exposure under `depends_on`, a semantic model under `model`, a metric the measures and
/// metrics that it is made of, a saved query its metrics.
fn calls(document: &Document) -> Vec<NameCall> {
    let at = |path: &[&str]| path.iter().try_fold(&document.written, |value, key| value.get(key));
    // A measure or a metric is named alone, or in a mapping with what is said of it.
    let named = |value: &Value| match value {
        Value::Object(entry) => entry.get("name").map(plain),
        Value::Null => None,
        value => Some(plain(value)),
    };
    match document.kind {
        "metric" => {
            const MEASURES: [&[&str]; 3] = [
                &["type_params", "measure"],
                &["type_params", "conversion_type_params", "base_measure"],
                &["type_params", "conversion_type_params", "conversion_measure"],
            ];
            const METRICS: [&[&str]; 3] = [
                &["type_params", "numerator"],
                &["type_params", "denominator"],
                &["type_params", "cumulative_type_params", "metric"],
            ];
            let measures = MEASURES.iter().filter_map(|path| named(at(path)?)).map(NameCall::Measure);
            let listed = at(&["type_params", "metrics"]).and_then(Value::as_array).into_iter().flatten();
            let metrics = METRICS.iter().filter_map(|path| named(at(path)?)).chain(listed.filter_map(named));
            return measures.chain(metrics.map(NameCall::Metric)).collect();
        }
        "saved_query" => {
            let listed = at(&["query_params", "metrics"]).and_then(Value::as_array).into_iter().flatten();
            return listed.filter_map(named).map(NameCall::Metric).collect();
        }
        _ => {}
    }
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

/// Whether a template may look at the graph: whether its word is anywhere in the project.
pub(super) fn asks_for_graph(project: &Project, parsed: &Parsed) -> bool {
    let files = project.models.iter().map(|model| &model.source_text);
    let files = files.chain(project.macros.iter().map(|file| &file.source_text));
    let files = files.chain(project.tests.iter().map(|test| &test.source_text));
    let files = files.chain(project.analyses.iter().map(|analysis| &analysis.source_text));
    let texts = files.map(|file| &*file.text);
    let texts = texts.chain(project.snapshots.iter().map(|snapshot| snapshot.template.as_str()));
    let runs = project.on_run_start.iter().chain(&project.on_run_end).map(|hook| hook.sql.as_str());
    let hooks = parsed.drafts.iter().flat_map(|draft| draft.hooks.iter().map(|(sql, _)| sql.as_str()));
    texts.chain(runs).chain(hooks).any(|text| text.contains("graph") || asks_of_graph(text))
}

/// The graph as templates see it: what the manifest file has of nodes, sources and documents, before any is rendered.
///
/// It is made when it is first looked at.
pub(super) fn graph(
    project: &Project,
    parsed: &Parsed,
    parents: &BTreeMap<NodeId, Vec<NodeId>>,
    documents: &[DocumentNode],
    written: &Arc<Written>,
    entry: fn(&Manifest, &str) -> Option<Value>,
) -> impl Fn() -> Value + Send + Sync + 'static {
    let manifest = Manifest {
        project: project.name.clone(),
        root: project.root.display().to_string(),
        nodes: parsed.drafts.iter().map(bare_node).collect::<Vec<_>>().into(),
        documents: documents.to_vec(),
        written: written.clone(),
        parents: parents.clone(),
        children: super::graph::children(parents),
        ..Manifest::default()
    };
    move || {
        let entry = |id: &NodeId| Some((id.to_string(), entry(&manifest, id.as_str())?));
        let nodes = |is_in: &dyn Fn(&NodeKind) -> bool| -> Value {
            let those = manifest.nodes.values().filter(|node| is_in(&node.kind));
            those.filter_map(|node| entry(&node.id)).collect()
        };
        let of = |kind: &str| -> Value {
            let those = manifest.documents.iter().filter(|document| document.kind == kind);
            those.filter_map(|document| entry(&document.id)).collect()
        };
        let is_source = |kind: &NodeKind| matches!(kind, NodeKind::Source(_));
        let is_unit_test = |kind: &NodeKind| matches!(kind, NodeKind::UnitTest(_));
        json!({
            "nodes": nodes(&|kind| !is_source(kind) && !is_unit_test(kind)), "sources": nodes(&is_source),
            "unit_tests": nodes(&is_unit_test), "exposures": of("exposure"), "metrics": of("metric"),
            "groups": of("group"), "semantic_models": of("semantic_model"), "saved_queries": of("saved_query"),
        })
    }
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
    let words: BTreeMap<(&str, &str), &MacroWords> = project
        .macro_words
        .iter()
        .map(|words| ((words.package.as_str(), words.name.as_str()), words))
        .collect();
    let macros = jinja.all_macros().map(|(package, name, source, text)| {
        let id = format!("macro.{package}.{name}");
        MacroText {
            calls: jinja.calls_of(package, text).into_iter().filter(|call| *call != id).collect(),
            words: words.get(&(package, name.as_str())).map(|words| (*words).clone()),
            id,
            package: package.to_owned(),
            name,
            path: source.path.to_string(),
            text: text.to_owned(),
        }
    });
    let docs = project.docs.iter().flat_map(|(package, blocks)| {
        blocks.iter().map(|(name, text)| DocText {
            package: package.clone(),
            name: name.clone(),
            path: project.doc_files.get(&(package.clone(), name.clone())).cloned().unwrap_or_default(),
            text: text.clone(),
        })
    });
    let owner = |packages: &[&str], name: &str| {
        let has = |owner: &&&str| project.docs.get(**owner).is_some_and(|blocks| blocks.contains_key(name));
        packages.iter().find(has).map(|owner| format!("doc.{owner}.{name}"))
    };
    let doc_blocks = project.doc_calls.iter().map(|(of, names)| {
        let id = |name: &String| match name.split_once('.') {
            Some((package, name)) => owner(&[package], name),
            None => {
                let all = project.docs.keys().map(String::as_str);
                owner(&[project.name.as_str(), &of.0].into_iter().chain(all).collect::<Vec<_>>(), name)
            }
        };
        (of.clone(), names.iter().filter_map(id).collect())
    });
    Written {
        doc_blocks: doc_blocks.collect(),
        macros: macros.collect(),
        docs: docs.collect(),
        roots: project.roots.clone(),
        engine: project.target.engine.clone(),
        schema: project.target.schema.clone(),
        test_schema: test_schema(project, jinja),
    }
}

/// The schema of tests, as the project's `generate_schema_name` has it of one that says nothing itself.
fn test_schema(project: &Project, jinja: &Jinja) -> String {
    const OF_TESTS: &str = "dbt_test__audit";
    let node = json!({
        "resource_type": "test", "name": "", "package_name": project.name, "fqn": [project.name], "config": {},
        "tags": [], "meta": {}, "path": "", "original_file_path": "", "unique_id": "", "version": null,
    });
    // By position, as dbt does: a project may name the parameters as it likes.
    let arguments = [OF_TESTS.into(), node].map(|value| (String::new(), Argument::Json(value)));
    let subject = Subject { package: project.name.clone(), ..Subject::default() };
    let (scope, generator) = (jinja.scope(subject, Phase::Parse), "generate_schema_name");
    let at = SourceText::new("dbt_project.yml", "").span(0..0);
    let found = jinja.naming_macro(generator);
    let (package, name) = found.map_or((None, generator), |(package, name)| (Some(package), name));
    let named = jinja.call(package, name, &arguments, &scope, &at);
    named.map_or_else(|_| format!("{}_{OF_TESTS}", project.target.schema), |name| name.trim().to_owned())
}
