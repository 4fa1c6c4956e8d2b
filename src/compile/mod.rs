//! What does it mean, and in what order?
//!
//! [`compile`] makes a [`Manifest`] out of a [`Project`], in three phases:
//!
//! 1. *parse* renders every template with `execute` false and records what it asks for;
//! 2. *resolve* finds the node behind every name, and checks the graph;
//! 3. *render* renders again with the names answered: that is each [`Node`]'s SQL.
//!
//! All of it is pure. The lake is not read: what a template may know of it comes in as [`Facts`]. A template
//! that asks for more makes its node late, and [`Late`] renders it when it is built. Nor is a mistake the end: every one is collected, with its place in the user's file.
//!
//! Not here: running anything (`build`), or whether the SQL itself is right (`query`).

mod batch;
mod by_id;
mod constraint;
mod data_test;
mod deprecation;
mod document;
mod draft;
mod ephemeral;
mod expectation;
mod fingerprint;
mod freshness;
mod grants;
mod graph;
mod hook;
mod hooked;
mod jinja;
mod lookup;
mod manifest;
mod materialization;
mod meaning;
mod node;
mod node_id;
mod normal;
mod operation;
mod parse;
mod query_comment;
mod render;
mod resolve;
mod running;
mod said;
mod sample;
mod select;
mod snapshot;
mod source_map;
mod sql_name;
mod state;
mod time_spine;
mod unit_test;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::base::{Diagnostic, SourceText, TableName};
use crate::project::Project;

pub use batch::{BatchSize, Stretch, Window};
pub use by_id::{ById, Known};
pub use constraint::{Constraint, ConstraintKind};
pub use data_test::python_value;
pub use document::RunHook;
pub use expectation::{Expectation, OnViolation};
pub use fingerprint::{Fingerprint, Meaning};
pub use hook::statements as hook_statements;
pub use jinja::YamlRenderer;
pub use lookup::{Answer, AnswerColumn, Lookup};
pub use manifest::{DocText, DocumentNode, Late, MacroText, Manifest, Named, Written};
pub use node::{
    Age, Condition, Freshness, HardDeletes, Hooks, IncrementalDetails, Materialization, Node, NodeId,
    NodeKind, OnConfigurationChange, OnSchemaChange, Reference, SeedNode, SnapshotNames, SnapshotNode,
    SnapshotStrategy, SourceNode, Stored, Strategy, TestKind, TestNode, TestSeverity, UnitInput, UnitRows,
    UnitTestNode,
};
pub use query_comment::Comment;
pub use running::{OnError, Running};
pub use sample::Sample;
pub use select::{
    Earlier, Indirect, NamedSelector, Published, Selector, select, select_with_documents, unmatched,
};

use jinja::{Given, Jinja};
use meaning::{Answers, Limits};
use parse::{Parsed, Parser, analysis_template, model_template, snapshot_template, test_template};
use render::{Pass, Templates};
use resolve::{Names, Resolved};

// `build` reads columns; what they are is the project's word.
pub use crate::project::{Column, Edition, ON_COLUMN, WholeSource};

/// The version of dbt that elt answers for in templates and artifacts.
pub const DBT_VERSION: &str = jinja::DBT_VERSION;

/// Whether a query gives only so many of its rows, somewhere in it.
pub fn has_limit(sql: &str) -> bool {
    normal::has_limit(sql)
}

/// Whether two queries are the same but for how they are spelled, and for names that are others in the second.
pub fn is_same_query(first: &str, second: &str, renamed: &[(&TableName, &TableName)]) -> bool {
    let mut first = first.to_owned();
    for (from, to) in renamed {
        first = first.replace(&sql_name::shown(from), &sql_name::shown(to));
    }
    normal::normal(&first) == normal::normal(second) || said::said(&first) == said::said(second)
}

/// The texts of a value: of a list each, of a text itself.
pub fn texts_of(value: &serde_json::Value) -> Vec<String> {
    crate::project::texts(value)
}

/// The MD5 of a text in hexadecimal, by which dbt makes names short.
pub fn md5_hex(text: &str) -> String {
    jinja::md5_hex(text)
}

/// What compiling may know of the world.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The names that are tables in the pinned release, for `is_incremental()`.
    pub existing: BTreeSet<TableName>,
    /// `--full-refresh`.
    pub full_refresh: bool,
    /// `--store-failures`.
    pub store_failures: bool,
    /// `--empty`: nothing that is read has rows.
    pub empty: bool,
    /// `--sample`: what says when its rows happened is read for this stretch of time.
    pub sample: Option<Stretch>,
    /// What was asked of elt, for `flags.WHICH`: `build`, `test`, `compile` …
    pub command: String,
    /// `--event-time-start`, for microbatches.
    pub event_time_start: Option<DateTime<Utc>>,
    /// `--event-time-end`, for microbatches.
    pub event_time_end: Option<DateTime<Utc>>,
    /// The batches to build again, by node; of others those that are due.
    pub batches: BTreeMap<String, Vec<Stretch>>,
    /// Where nodes are read that are not built but taken from another state, by id.
    pub deferred: BTreeMap<String, TableName>,
    /// The run's id: `invocation_id`.
    pub run_id: String,
    /// When the run started: `run_started_at`, and `now()` of templates.
    pub run_started_at: DateTime<Utc>,
    /// Environment variables, for `env_var()`.
    pub env: Arc<BTreeMap<String, String>>,
    /// What `manifest.json` has of a node: that is what templates see of it in `graph`.
    pub entry: fn(&Manifest, &str) -> Option<serde_json::Value>,
}

/// Compiles a project, with everything that is wrong with it.
///
/// The same project and facts give the same manifest. If any diagnostic is an error the manifest is
/// not fit to be built: nodes that could not be compiled have empty SQL.
pub fn compile(project: &Project, facts: &Facts) -> (Manifest, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let jinja = templates(project, facts, &mut found);
    let parser = Parser { project, facts, jinja: &jinja, parsed: Parsed::default(), found: &mut found };
    let mut parsed = parser.parse();
    for draft in &mut parsed.drafts {
        draft.deferred = facts.deferred.get(draft.id.as_str()).cloned();
    }
    let names = Names::of(&parsed, project);
    let resolved = resolve::resolve(&parsed, &names, &mut found);
    let documents = document::read(project, &jinja, &names, &mut found);
    time_spine::check_documents(&project.documents, &parsed.drafts, &mut found);
    let written = Arc::new(document::written(project, &jinja));
    // Few projects look at it.
    if document::asks_for_graph(project, &parsed) {
        let (parents, entry) = (&resolved.parents, facts.entry);
        jinja.set_graph(document::graph(project, &parsed, parents, &documents, &written, entry));
    }
    let all_names = names.all();
    let answers = parsed.drafts.iter().map(|draft| (draft.id.clone(), Answers::of(draft, &names))).collect();
    drop(names);
    let mut manifest = render(project, facts, jinja, parsed, (answers, all_names), resolved, &mut found);
    manifest.documents = documents;
    manifest.written = written;
    deprecation::check(&manifest, facts.run_started_at, &mut found);
    batch::check_inputs(&manifest, &mut found);
    (manifest, without_repeats(found))
}

/// A macro's mistake is found by everything that calls it, and told once.
fn without_repeats(found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut told = BTreeSet::new();
    let is_new = |diagnostic: &Diagnostic| told.insert((diagnostic.place(), diagnostic.message().to_owned()));
    found.into_iter().filter(is_new).collect()
}

/// Compiles every template once.
fn templates(project: &Project, facts: &Facts, found: &mut Vec<Diagnostic>) -> Jinja {
    let given = Given {
        project: project.name.clone(),
        target: project.target.clone(),
        vars: project.packages.clone(),
        command: facts.command.clone(),
        graph: Arc::default(),
        selected: Arc::default(),
        env: facts.env.clone(),
        full_refresh: facts.full_refresh,
        empty: facts.empty,
        store_failures: facts.store_failures,
        run_id: facts.run_id.clone(),
        run_started_at: facts.run_started_at,
    };
    let mut jinja = Jinja::new(project, given, found);
    let whole = |source: &SourceText| 0..source.text.len();
    for model in &project.models {
        jinja.add_sql(model_template(model), &model.source_text, whole(&model.source_text));
    }
    for test in &project.tests {
        jinja.add_sql(test_template(test), &test.source_text, whole(&test.source_text));
    }
    for analysis in &project.analyses {
        jinja.add_sql(analysis_template(analysis), &analysis.source_text, whole(&analysis.source_text));
    }
    for snapshot in &project.snapshots {
        let (start, end) = (snapshot.starts_at, snapshot.starts_at + snapshot.template.len());
        let in_file = snapshot.source_text.text.get(start..end) == Some(snapshot.template.as_str());
        match in_file {
            true => jinja.add_sql(snapshot_template(snapshot), &snapshot.source_text, start..end),
            false => jinja.add_text(snapshot_template(snapshot), &snapshot.template, &snapshot.at),
        }
    }
    jinja
}

fn render(
    project: &Project,
    facts: &Facts,
    jinja: Jinja,
    parsed: Parsed,
    (answers, all_names): (BTreeMap<NodeId, Answers>, Answers),
    resolved: Resolved,
    found: &mut Vec<Diagnostic>,
) -> Manifest {
    let Resolved { parents, unresolved } = resolved;
    let disabled = parsed.off.iter().map(render::bare_node).collect();
    let limits = Limits { empty: facts.empty, sample: facts.sample };
    let drafts = parsed.drafts.into();
    let run_hooks = (project.on_run_start.clone(), project.on_run_end.clone());
    let templates = Templates {
        run_hooks,
        query_comment: project.query_comment.clone(),
        jinja,
        project: project.name.clone(),
        limits,
        unsaid: project.target.unsaid,
        drafts,
        answers,
        all_names,
        parents,
    };
    document::check_run_hooks(project, &templates, found);
    templates.check_comment(found);
    let mut pass = Pass::default();
    let mut nodes = Vec::with_capacity(templates.parents.len());
    for id in graph::order(&templates.parents).iter().filter(|id| !unresolved.contains(*id)) {
        nodes.push(templates.node(id, None, &mut pass));
    }
    // Nodes of a cycle, or with an unknown name: listed, without SQL.
    if nodes.len() < templates.parents.len() {
        let done: BTreeSet<NodeId> = nodes.iter().map(|node| node.id.clone()).collect();
        let left = templates.parents.keys().filter(|id| !done.contains(*id));
        nodes.extend(left.map(|id| templates.unrendered(id)));
    }
    found.append(&mut pass.found);
    Manifest {
        project: project.name.clone(),
        root: project.root.display().to_string(),
        nodes: nodes.into(),
        documents: Vec::new(),
        disabled,
        selectors: select::read_named(&project.selectors, found),
        written: Arc::default(),
        messages: pass.messages,
        children: graph::children(&templates.parents),
        parents: templates.parents.clone(),
        templates: Some(Arc::new(templates)),
    }
}

#[cfg(test)]
mod template_tests;
#[cfg(test)]
mod tests;
