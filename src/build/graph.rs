//! What must be done before what?
//!
//! dbt's rule for `build`: a model waits for its parents and for the tests on them, and is skipped if
//! one of those fails. Its unit tests come before it. A test on several models holds back only models below all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::BuildPlan;
use crate::compile::{Manifest, NodeId, NodeKind};

/// For each planned node, the planned nodes it waits for.
pub(super) fn waits_for(manifest: &Manifest, plan: &BuildPlan) -> BTreeMap<NodeId, BTreeSet<NodeId>> {
    let planned: BTreeSet<&NodeId> = plan.steps.iter().map(|step| &step.node).collect();
    let mut waits: BTreeMap<NodeId, BTreeSet<NodeId>> = BTreeMap::new();
    for step in &plan.steps {
        let parents = match &manifest.node(&step.node).kind {
            // What the model reads must be there for its types; the model itself comes after.
            NodeKind::UnitTest(test) => solid_parents(manifest, &test.model),
            _ => solid_parents(manifest, &step.node),
        };
        let parents = parents.into_iter().filter(|parent| planned.contains(parent)).collect();
        waits.insert(step.node.clone(), parents);
    }
    for step in &plan.steps {
        if let NodeKind::UnitTest(test) = &manifest.node(&step.node).kind
            && let Some(waiting) = waits.get_mut(&test.model)
        {
            waiting.insert(step.node.clone());
        }
        if matches!(manifest.node(&step.node).kind, NodeKind::Test(_)) {
            for held_back in held_back_by(manifest, &step.node) {
                if let Some(waiting) = waits.get_mut(&held_back) {
                    waiting.insert(step.node.clone());
                }
            }
        }
    }
    waits
}

/// The parents that are made or landed; parents of an ephemeral model stand in for it.
pub(super) fn solid_parents(manifest: &Manifest, id: &NodeId) -> BTreeSet<NodeId> {
    let mut solid = BTreeSet::new();
    let mut open: Vec<&NodeId> = manifest.parents(id).iter().collect();
    while let Some(parent) = open.pop() {
        if manifest.node(parent).is_ephemeral() {
            open.extend(manifest.parents(parent));
        } else {
            // A source may be what a seed makes.
            open.extend(manifest.parents(parent).iter().filter(|_| is_source(manifest, parent)));
            solid.insert(parent.clone());
        }
    }
    solid
}

/// What a test asks about: the model of a unit test, and what any other test reads that is made or landed.
pub fn tested(manifest: &Manifest, test: &NodeId) -> BTreeSet<NodeId> {
    match &manifest.node(test).kind {
        NodeKind::UnitTest(test) => BTreeSet::from([test.model.clone()]),
        _ => solid_parents(manifest, test),
    }
}

fn is_source(manifest: &Manifest, id: &NodeId) -> bool {
    matches!(manifest.node(id).kind, NodeKind::Source(_))
}

/// The models directly below a test's models, if they are below all of them.
fn held_back_by(manifest: &Manifest, test: &NodeId) -> BTreeSet<NodeId> {
    let tested = solid_parents(manifest, test);
    let mut below = BTreeSet::new();
    for model in &tested {
        let mut open: Vec<&NodeId> = manifest.children(model).iter().collect();
        while let Some(child) = open.pop() {
            let node = manifest.node(child);
            if node.is_ephemeral() {
                open.extend(manifest.children(child));
            } else if node.is_made() {
                below.insert(child.clone());
            }
        }
    }
    // What is directly below the one model of a test is below it: there are thousands of such tests, and above a model may be
    // thousands of others.
    if tested.len() > 1 {
        for model in &tested {
            let descendants = manifest.descendants(model);
            below.retain(|child| descendants.contains(child));
        }
    }
    below
}
