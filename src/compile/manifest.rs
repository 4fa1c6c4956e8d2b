//! What does the project mean, as one checked graph?
//!
//! A [`Manifest`] holds the nodes and who depends on whom. It is complete and acyclic as far as
//! the diagnostics beside it hold no error; with errors it holds what could be made sense of.

use std::collections::{BTreeMap, BTreeSet};

use super::graph;
use super::node::{Node, NodeId, NodeKind};

/// The compiled project.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// The project's name.
    pub project: String,
    /// The nodes, by id.
    pub nodes: BTreeMap<NodeId, Node>,
    /// What templates said by `log(…, info=true)` and `print()`, in order of rendering.
    pub messages: Vec<String>,
    pub(super) parents: BTreeMap<NodeId, Vec<NodeId>>,
    pub(super) children: BTreeMap<NodeId, Vec<NodeId>>,
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
        let is_test = |id: &&NodeId| matches!(self.node(id).kind, NodeKind::Test(_));
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

    /// The models, by id.
    pub fn models(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|node| matches!(node.kind, NodeKind::Model(_)))
    }

    /// The tables of sources, by id.
    pub fn sources(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|node| matches!(node.kind, NodeKind::Source(_)))
    }
}
