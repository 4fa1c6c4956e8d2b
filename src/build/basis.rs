//! What was a node made from?
//!
//! The [`Basis`] of a node is what its session has read while it was made, and what it refers to without reading it.
//! It goes into the release with what was made; [`plan`](super::plan) holds the next build against it.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::solid_parents;
use super::plan::{ENGINE, memory_name};
use super::report::Verdict;
use super::run::Inputs;
use crate::base::TableName;
use crate::compile::{Materialization, Meaning, Node, NodeId, NodeKind};
use crate::query::Scope;
use crate::release::{Basis, Memory, mark};

/// The code that a node has now, to be held against the one that it was made by.
#[derive(Clone, Debug)]
pub struct Code {
    text: String,
    meaning: Meaning,
}

impl Code {
    /// That of a compiled node.
    pub fn of(node: &Node) -> Self {
        Self { text: node.fingerprint.to_string(), meaning: node.meaning.clone() }
    }

    /// That of a seed, which is what its file holds too.
    pub(super) fn of_seed(text: String) -> Self {
        Self { text, meaning: Meaning::default() }
    }

    /// The text that is remembered.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether something was made by this code, or by another spelling of it.
    pub fn has_made(&self, basis: &Basis) -> bool {
        self.text == basis.code || !basis.meaning.is_empty() && self.meaning.mark() == basis.meaning
    }

    /// The basis of what this code would make, from what another has made.
    pub fn instead_of(&self, basis: &Basis) -> Basis {
        Basis { code: self.text.clone(), meaning: self.meaning.mark(), ..basis.clone() }
    }
}

/// What a node was made from: what was read for it, and what it refers to.
pub(super) fn basis(inputs: &Inputs<'_>, scope: &Scope, node: &Node) -> Basis {
    let (about, scope) = match &node.kind {
        // A unit test reads rows that stand in for others.
        NodeKind::UnitTest(test) => (&test.model, scope.clone().apart()),
        _ => (&node.id, scope.clone()),
    };
    let beyond = scope.reads().beyond;
    for parent in solid_parents(inputs.manifest, about) {
        inputs.manifest.node(&parent).relation.iter().for_each(|name| scope.stands_on(name));
    }
    let mut reads = scope.reads();
    reads.beyond.extend(beyond);
    if let Some(own) = node.relation.as_ref().filter(|_| node.is_made()) {
        let reads_itself = reads.tables.remove(own).is_some();
        let is_made_anew = matches!(
            node.materialization(),
            Some(Materialization::Table | Materialization::MaterializedView { .. })
        );
        if reads_itself && is_made_anew {
            reads.beyond.insert("its own rows".to_owned());
        }
        reads.views.remove(own);
        let staged = own.companion("elt_new").ok();
        reads.tables.retain(|name, _| Some(name) != staged.as_ref());
    }
    let code = inputs.plan.codes.get(&node.id).filter(|_| matches!(node.kind, NodeKind::Seed(_)));
    let Code { text, meaning } = code.cloned().unwrap_or_else(|| Code::of(node));
    Basis {
        code: text,
        meaning: meaning.mark(),
        engine: ENGINE.to_owned(),
        tables: reads.tables,
        views: reads.views.iter().map(|(name, view)| (name.clone(), mark(view))).collect(),
        beyond: reads.beyond,
    }
}

/// Why a test that warned is asked again, in words.
const WARNED: &str = "rows that it warned of";

/// What there is to remember: of what was made what it was made from, and the tests that held for it.
///
/// What was made from something that is not published is not remembered, nor is a test that held for it.
pub(super) fn learnt(
    inputs: &Inputs<'_>,
    bases: BTreeMap<NodeId, Basis>,
    ended: &BTreeMap<NodeId, Verdict>,
    hidden: &BTreeSet<TableName>,
) -> Memory {
    let mut learnt = Memory::new();
    for (id, mut basis) in bases {
        let node = inputs.manifest.node(&id);
        let own_is_seen = node.relation.as_ref().is_none_or(|own| !hidden.contains(own));
        let is_good = match &ended[&id] {
            Verdict::Made(_) => own_is_seen && !node.hooks.drops_it,
            Verdict::Passed => true,
            // It is asked again, whatever happens; but by which code it was asked is known.
            Verdict::Warned(_) => {
                basis.beyond.insert(WARNED.to_owned());
                true
            }
            _ => false,
        };
        let mut stands_on = basis.tables.keys().chain(basis.views.keys());
        if is_good && !stands_on.any(|name| hidden.contains(name)) {
            learnt.insert(memory_name(node, inputs.default_schema), basis);
        }
    }
    learnt
}
