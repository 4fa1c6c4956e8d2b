//! Which nodes are still what they were when they were made?
//!
//! Not whether there are new rows: whether the same project would make them in the same way. A node has changed if its code
//! is another than the one it is remembered by, or if something that it reads has changed.

use std::collections::{BTreeMap, BTreeSet};

use super::basis::Code;
use super::due::seeds;
use super::plan::memory_name;
use super::step::compile_late;
use crate::compile::{Manifest, Node, NodeId, NodeKind};
use crate::query::{Limits, Scope, Session};
use crate::release::Memory;

/// What has not changed.
#[derive(Clone, Debug, Default)]
pub struct Unchanged {
    /// The nodes, tests among them.
    pub nodes: BTreeSet<NodeId>,
    /// Those whose own code is another than the one they were made by.
    pub recoded: BTreeSet<NodeId>,
    /// The codes by which nodes would be remembered now.
    pub codes: BTreeMap<NodeId, Code>,
}

/// The name under which a release remembers what a node was made from, or that a test held.
pub fn remembered_as(node: &Node, default_schema: &str) -> String {
    memory_name(node, default_schema)
}

/// Finds the nodes that are made, and the tests that held, by the code that the project has now.
///
/// `is_other` tells of sources that do not mean the same as they did.
pub async fn unchanged(
    manifest: &Manifest,
    scope: &Scope,
    memory: &Memory,
    default_schema: &str,
    is_other: impl Fn(&Node) -> bool,
) -> Unchanged {
    let all: BTreeSet<NodeId> = manifest.nodes.keys().cloned().collect();
    let mut found = Unchanged { codes: seeds(manifest, &all).await, ..Unchanged::default() };
    let session = Session::new(scope.clone().apart(), default_schema, Limits::default());
    for id in manifest.order() {
        let node = manifest.node(&id);
        if !found.codes.contains_key(&id) {
            let code = match node.is_late {
                false => Some(Code::of(node)),
                // What is wrong with a template is told when it is built.
                true => match compile_late(manifest, node, &session).await {
                    Ok((node, _)) => Some(Code::of(&node)),
                    Err(_) => None,
                },
            };
            found.codes.extend(code.map(|code| (id.clone(), code)));
        }
        let parents_are = manifest.parents(&id).iter().all(|parent| found.nodes.contains(parent));
        let is_same = match &node.kind {
            NodeKind::Source(_) => !is_other(node),
            // Its query is part of those that read it.
            _ if node.is_ephemeral() => true,
            _ => {
                let basis = memory.get(&memory_name(node, default_schema));
                let is_there = node.relation.as_ref().is_none_or(|own| !node.is_made() || scope.has(own));
                let is_same =
                    basis.map(|basis| found.codes.get(&id).is_some_and(|code| code.has_made(basis)));
                if is_there && is_same == Some(false) {
                    found.recoded.insert(id.clone());
                }
                is_there && is_same == Some(true)
            }
        };
        if is_same && parents_are {
            found.nodes.insert(id);
        }
    }
    found
}
