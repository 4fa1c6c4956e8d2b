//! What does the project mean, as one checked graph?
//!
//! A [`Manifest`] holds the nodes and who depends on whom. It is complete and acyclic as far as
//! the diagnostics beside it hold no error; with errors it holds what could be made sense of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::Diagnostic;

use super::graph;
use super::lookup::Lookup;
use super::node::{Node, NodeId, NodeKind};
use super::render::Templates;

/// The compiled project.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// The project's name.
    pub project: String,
    /// The nodes, by id.
    pub nodes: BTreeMap<NodeId, Node>,
    /// The statements that run before everything else, and after it.
    pub run_hooks: RunHooks,
    /// What is written down and builds nothing: exposures, metrics and the like, each with what it stands on.
    pub documents: Vec<DocumentNode>,
    /// The unit tests' and macros' texts and everything else that only the manifest file shows.
    pub written: Arc<Written>,
    /// What templates said by `log(…, info=true)` and `print()`, in order of rendering.
    pub messages: Vec<String>,
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
    ) -> Result<(Node, Vec<String>), Vec<Diagnostic>> {
        self.0.late(id, lake)
    }
}

/// The statements around a whole run, rendered: all of them only read.
#[derive(Clone, Debug, Default)]
pub struct RunHooks {
    /// `on-run-start`
    pub start: Vec<String>,
    /// `on-run-end`
    pub end: Vec<String>,
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
    /// All that is written.
    pub written: serde_json::Value,
}

/// Texts that only the manifest file shows.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Every macro.
    pub macros: Vec<MacroText>,
    /// Every docs block: its package, its name and its text.
    pub docs: Vec<(String, String, String)>,
    /// The name of the profile's target, and the engine that templates are told.
    pub engine: String,
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
}

impl Manifest {
    /// The node of this id.
    ///
    /// # Panics
    /// If the id is not one of this manifest's.
    pub fn node(&self, id: &NodeId) -> &Node {
        self.nodes.get(id).expect("ids come from the manifest they are used with")
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
