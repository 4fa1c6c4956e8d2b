//! What does the project mean, as one checked graph?
//!
//! A [`Manifest`] holds the nodes and who depends on whom. It is complete and acyclic as far as
//! the diagnostics beside it hold no error; with errors it holds what could be made sense of.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::{Diagnostic, Message, TableName};
use crate::project::MacroWords;

use super::batch::Window;
use super::by_id::ById;
use super::document::RunHook;
use super::graph;
use super::lookup::Lookup;
use super::node::{Materialization, Node, NodeId, NodeKind, Reference, TestKind, TestNode};
use super::query_comment::Comment;
use super::render::Templates;
use super::select::NamedSelector;

/// The compiled project.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// The project's name.
    pub project: String,
    /// Its folder.
    pub root: String,
    /// The nodes, by id.
    pub nodes: ById<Node>,
    /// What is written down and builds nothing: exposures, metrics and the like, each with what it stands on.
    pub documents: Vec<DocumentNode>,
    /// What is switched off, without SQL.
    pub disabled: Vec<Node>,
    /// What `selectors.yml` defines, by name.
    pub selectors: BTreeMap<String, NamedSelector>,
    /// The unit tests' and macros' texts and everything else that only the manifest file shows.
    pub written: Arc<Written>,
    /// What templates said by `log(…, info=true)` and `print()`, in order of rendering.
    pub messages: Vec<Message>,
    pub(super) parents: BTreeMap<NodeId, Vec<NodeId>>,
    pub(super) children: BTreeMap<NodeId, Vec<NodeId>>,
    pub(super) templates: Option<Arc<Templates>>,
}

/// Compiles nodes whose templates read the lake, when there is a lake to read. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Late(Arc<Templates>);

impl Late {
    /// Compiles one node. It comes back with its SQL and hooks, and with what its templates said.
    ///
    /// Waits for the lake's answers, so it must run where a wait holds nobody up.
    ///
    /// # Errors
    /// What is wrong with the template, in its place.
    pub fn compile(
        &self,
        id: &NodeId,
        lake: &Arc<dyn Lookup>,
    ) -> Result<(Node, Vec<Message>), Vec<Diagnostic>> {
        self.0.late(id, None, lake)
    }

    /// Compiles one batch of a microbatch model; `is_incremental` says whether its table is there already.
    ///
    /// # Errors
    /// What is wrong with the template, in its place.
    pub fn compile_batch(
        &self,
        id: &NodeId,
        batch: Window,
        is_incremental: bool,
        lake: &Arc<dyn Lookup>,
    ) -> Result<(Node, Vec<Message>), Vec<Diagnostic>> {
        self.0.late(id, Some((batch, is_incremental)), lake)
    }
}

impl Late {
    /// Lets templates that are rendered from now on see which nodes are selected: `selected_resources`.
    pub fn set_selected<'a>(&self, ids: impl IntoIterator<Item = &'a NodeId>) {
        self.0.jinja.set_selected(ids.into_iter().map(NodeId::as_str));
    }

    /// The hooks of the whole run on this side of it, by dbt's ids: `operation.shop.shop-on-run-end-0`.
    pub fn run_hooks(&self, which: RunHook) -> Vec<String> {
        self.0.run_hook_ids(which)
    }

    /// Renders a hook of the whole run, by its place on its side: its statements, and what its template said.
    ///
    /// `given` are the names that templates have besides: at the end `results`, `schemas` and `database_schemas`.
    /// Waits for the lake's answers, so it must run where a wait holds nobody up.
    ///
    /// # Errors
    /// What is wrong with it, in its place.
    pub fn run_hook(
        &self,
        (which, at): (RunHook, usize),
        given: &BTreeMap<String, serde_json::Value>,
        lake: &Arc<dyn Lookup>,
    ) -> Result<(Vec<String>, Vec<Message>), Vec<Diagnostic>> {
        self.0.run_hook_rendered((which, at), given, lake).map_err(|diagnostic| vec![diagnostic])
    }

    /// Renders a text with Jinja as if it stood in a node.
    ///
    /// Waits for the lake's answers, so it must run where a wait holds nobody up.
    ///
    /// # Errors
    /// What is wrong with it, at the node.
    pub fn text(&self, id: &NodeId, text: &str, lake: &Arc<dyn Lookup>) -> Result<String, Vec<Diagnostic>> {
        self.0.text(id, text, lake).map_err(|diagnostic| vec![diagnostic])
    }

    /// Renders a late hook of a node, by its place among those before it or those after it: its statements, and what its
    /// template said.
    ///
    /// Waits for the lake's answers, so it must run where a wait holds nobody up.
    ///
    /// # Errors
    /// What is wrong with it, at the node.
    pub fn hook(
        &self,
        id: &NodeId,
        (is_after, at): (bool, usize),
        lake: &Arc<dyn Lookup>,
    ) -> Result<(Vec<String>, Vec<Message>), Vec<Diagnostic>> {
        self.0.late_hook(id, (is_after, at), lake)
    }

    /// Whether the project has a `query-comment`.
    pub fn has_comment(&self) -> bool {
        self.0.query_comment.is_some()
    }

    /// The project's `query-comment`, rendered for a node; nothing if there is none or it comes out empty.
    ///
    /// Waits for the lake's answers, so it must run where a wait holds nobody up.
    ///
    /// # Errors
    /// What is wrong with it, in `dbt_project.yml`.
    pub fn comment(&self, id: &NodeId, lake: &Arc<dyn Lookup>) -> Result<Option<Comment>, Vec<Diagnostic>> {
        self.0.comment(id, Some(lake)).map_err(|diagnostic| vec![diagnostic])
    }

    /// Runs a macro by itself, and returns what it said.
    ///
    /// Waits for the lake's answers, so it must run where a wait holds nobody up.
    ///
    /// # Errors
    /// That there is no such macro, or what went wrong in it, in its place.
    pub fn operate(
        &self,
        name: &str,
        arguments: &BTreeMap<String, serde_json::Value>,
        lake: &Arc<dyn Lookup>,
    ) -> Result<Vec<Message>, Vec<Diagnostic>> {
        self.0.operate(name, arguments, lake)
    }
}

/// An exposure, a metric, a semantic model, a saved query or a group.
#[derive(Clone, Debug)]
pub struct DocumentNode {
    /// `exposure.shop.weekly`
    pub id: NodeId,
    /// dbt's word for what it is.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The package it belongs to.
    pub package: String,
    /// `[package, folder…, name]`.
    pub fqn: Vec<String>,
    /// The file it is written in.
    pub path: String,
    /// The nodes it stands on.
    pub depends_on: Vec<NodeId>,
    /// The names that they are called by.
    pub named: Named,
    /// All that is written.
    pub written: serde_json::Value,
}

/// The names that a document says it stands on.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// Those of `ref(…)`.
    pub refs: Vec<Reference>,
    /// Those of `source(…)`: the source and its table.
    pub sources: Vec<(String, String)>,
    /// Those of `metric(…)`.
    pub metrics: Vec<String>,
}

/// For each node, those beside it on one side.
type Graph = BTreeMap<NodeId, Vec<NodeId>>;

impl DocumentNode {
    /// Its tags, wherever they are written.
    pub fn tags(&self) -> Vec<String> {
        let of =
            |written: &serde_json::Value| written.get("tags").map(crate::project::texts).unwrap_or_default();
        let config = self.written.get("config").map(of).unwrap_or_default();
        of(&self.written).into_iter().chain(config).collect()
    }
}

/// Texts that only the manifest file shows.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Every macro.
    pub macros: Vec<MacroText>,
    /// Every docs block.
    pub docs: Vec<DocText>,
    /// For a description with docs blocks in it, by package and text: the ids of those blocks.
    pub doc_blocks: BTreeMap<(String, String), Vec<String>>,
    /// For each package how its folder is written in front of its files; nothing for the project itself.
    pub roots: BTreeMap<String, String>,
    /// The name of the profile's target, and the engine that templates are told.
    pub engine: String,
    /// The schema of the profile's target.
    pub schema: String,
    /// The schema that tests would keep their failing rows in.
    pub test_schema: String,
}

/// A macro, as it is written.
#[derive(Clone, Debug)]
pub struct MacroText {
    /// `macro.shop.cents`
    pub id: String,
    /// Its package.
    pub package: String,
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: String,
    /// Its text.
    pub text: String,
    /// The macros that its text calls, as far as that can be seen.
    pub calls: Vec<String>,
    /// What a properties file says of it.
    pub words: Option<MacroWords>,
}

/// A docs block, as it is written.
#[derive(Clone, Debug)]
pub struct DocText {
    /// Its package.
    pub package: String,
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Written {
    /// A path of a package's file, relative to the package.
    pub fn inside<'a>(&self, package: &str, path: &'a str) -> &'a str {
        let root = self.roots.get(package).map(String::as_str).unwrap_or_default();
        path.strip_prefix(root).map_or(path, |inside| inside.trim_start_matches('/'))
    }
}

impl Manifest {
    /// The graph with exposures, metrics and the like in it: the parents and the children of each.
    pub(super) fn with_documents(&self) -> (Cow<'_, Graph>, Cow<'_, Graph>) {
        if self.documents.is_empty() {
            return (Cow::Borrowed(&self.parents), Cow::Borrowed(&self.children));
        }
        let (mut parents, mut children) = (self.parents.clone(), self.children.clone());
        for document in &self.documents {
            parents.insert(document.id.clone(), document.depends_on.clone());
            for parent in &document.depends_on {
                children.entry(parent.clone()).or_default().push(document.id.clone());
            }
        }
        (Cow::Owned(parents), Cow::Owned(children))
    }

    /// The node of this id.
    ///
    /// # Panics
    /// If the id is not one of this manifest's.
    pub fn node(&self, id: &NodeId) -> &Node {
        self.nodes.get(id).expect("ids come from the manifest they are used with")
    }

    /// The columns that tell a table's rows apart: as its model or snapshot says, or the column that a test `unique` is on.
    pub fn unique_key(&self, table: &TableName) -> Vec<String> {
        let Some(node) = self.nodes.values().find(|node| node.relation.as_ref() == Some(table)) else {
            return Vec::new();
        };
        match &node.kind {
            NodeKind::Model(Materialization::Incremental { unique_key, .. }) if !unique_key.is_empty() => {
                return unique_key.clone();
            }
            NodeKind::Snapshot(snapshot) => return vec![snapshot.names.scd_id.clone()],
            // A table is made anew each time, and may say all the same by what its rows are told apart.
            _ => {
                let said = node.config.get("unique_key").map(super::texts_of).unwrap_or_default();
                if !said.is_empty() {
                    return said;
                }
            }
        }
        let tested = self.nodes.values().find_map(|test| match &test.kind {
            NodeKind::Test(TestNode {
                kind: TestKind::Generic { test_name, column, .. }, attached, ..
            }) if test_name == "unique" && attached.as_ref() == Some(&node.id) => column.clone(),
            _ => None,
        });
        tested.into_iter().collect()
    }

    /// Every node, parents before children; among nodes that are ready at once, by id.
    pub fn order(&self) -> Vec<NodeId> {
        graph::order(&self.parents)
    }

    /// The nodes that `id` reads directly, in the order it names them.
    pub fn parents(&self, id: &NodeId) -> &[NodeId] {
        self.parents.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    /// The nodes that read `id` directly, tests included, by id.
    pub fn children(&self, id: &NodeId) -> &[NodeId] {
        self.children.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    /// The tests that read `id`, by id.
    pub fn tests_of(&self, id: &NodeId) -> Vec<NodeId> {
        let is_test = |id: &&NodeId| self.node(id).is_test();
        self.children(id).iter().filter(is_test).cloned().collect()
    }

    /// Everything `id` reads, directly or not.
    pub fn ancestors(&self, id: &NodeId) -> BTreeSet<NodeId> {
        graph::reach(id, &self.parents, usize::MAX)
    }

    /// Everything that reads `id`, directly or not.
    pub fn descendants(&self, id: &NodeId) -> BTreeSet<NodeId> {
        graph::reach(id, &self.children, usize::MAX)
    }

    /// What compiles the nodes whose templates read the lake.
    pub fn late(&self) -> Late {
        Late(Arc::clone(self.templates.as_ref().expect("a compiled manifest has its templates")))
    }

    /// The models, by id.
    pub fn models(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|node| matches!(node.kind, NodeKind::Model(_)))
    }

    /// The tables of sources, by id.
    pub fn sources(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|node| matches!(node.kind, NodeKind::Source(_)))
    }
}
