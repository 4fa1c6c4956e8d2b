//! What does it mean, and in what order?
//!
//! [`compile`] makes a [`Manifest`] out of a [`Project`], in three phases:
//!
//! 1. *parse* renders every template with `execute` false and records what it asks for;
//! 2. *resolve* finds the node behind every name, and checks the graph;
//! 3. *render* renders again with the names answered: that is each [`Node`]'s SQL.
//!
//! All of it is pure. The lake is not read: what a template may know of it comes in as [`Facts`].
//! Nor is a mistake the end: every one is collected, with its place in the user's file.
//!
//! Not here: running anything (`build`), or whether the SQL itself is right (`query`).

mod data_test;
mod draft;
mod ephemeral;
mod fingerprint;
mod graph;
mod jinja;
mod manifest;
mod materialization;
mod node;
mod parse;
mod render;
mod resolve;
mod select;
mod source_map;
mod sql_name;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::base::{Diagnostic, TableName};
use crate::project::Project;

pub use fingerprint::Fingerprint;
pub use jinja::YamlRenderer;
pub use manifest::Manifest;
pub use node::{
    Condition, Materialization, Node, NodeId, NodeKind, OnSchemaChange, SourceNode, Strategy, TestKind,
    TestNode, TestSeverity,
};
pub use select::{Selector, select};

use jinja::{Given, Jinja};
use parse::{Parsed, Parser, model_template, test_template};
use render::Renderer;
use resolve::{Names, Resolved};

/// What compiling may know of the world.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The names that are tables in the pinned release, for `is_incremental()`.
    pub existing: BTreeSet<TableName>,
    /// `--full-refresh`.
    pub full_refresh: bool,
    /// The run's id: `invocation_id`.
    pub run_id: String,
    /// When the run started: `run_started_at`, and `now()` of templates.
    pub run_started_at: DateTime<Utc>,
    /// Environment variables, for `env_var()`.
    pub env: Arc<BTreeMap<String, String>>,
}

/// Compiles a project, with everything that is wrong with it.
///
/// The same project and facts give the same manifest. If any diagnostic is an error the manifest is
/// not fit to be built: nodes that could not be compiled have empty SQL.
pub fn compile(project: &Project, facts: &Facts) -> (Manifest, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let jinja = templates(project, facts, &mut found);
    let parser = Parser { project, facts, jinja: &jinja, parsed: Parsed::default(), found: &mut found };
    let parsed = parser.parse();
    let names = Names::of(&parsed, &project.name);
    let resolved = resolve::resolve(&parsed, &names, &mut found);
    let manifest = render(project, &jinja, &parsed, &names, resolved, &mut found);
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
        vars: project.vars.clone(),
        env: facts.env.clone(),
        full_refresh: facts.full_refresh,
        run_id: facts.run_id.clone(),
        run_started_at: facts.run_started_at,
    };
    let mut jinja = Jinja::new(project, given, found);
    for model in &project.models {
        jinja.add_sql(&model_template(model), &model.source_text, found);
    }
    for test in &project.tests {
        jinja.add_sql(&test_template(test), &test.source_text, found);
    }
    jinja
}

fn render(
    project: &Project,
    jinja: &Jinja,
    parsed: &Parsed,
    names: &Names<'_>,
    resolved: Resolved,
    found: &mut Vec<Diagnostic>,
) -> Manifest {
    let Resolved { parents, unresolved } = resolved;
    let mut renderer = Renderer {
        jinja,
        names,
        parents: &parents,
        drafts: parsed.drafts.iter().map(|draft| (&draft.id, draft)).collect(),
        ephemeral: BTreeMap::new(),
        messages: Vec::new(),
        found,
    };
    let mut nodes = BTreeMap::new();
    for id in graph::order(&parents).into_iter().filter(|id| !unresolved.contains(id)) {
        nodes.insert(id.clone(), renderer.node(&id));
    }
    // Nodes of a cycle, or with an unknown name: listed, without SQL.
    for id in parents.keys() {
        nodes.entry(id.clone()).or_insert_with(|| renderer.unrendered(id));
    }
    let messages = renderer.messages;
    Manifest { project: project.name.clone(), nodes, messages, children: graph::children(&parents), parents }
}

#[cfg(test)]
mod tests;
