//! Which step is next?

use std::collections::{BTreeMap, BTreeSet};

use crate::compile::NodeId;

use super::BuildPlan;

/// The steps that can be begun, in their order, and what keeps the others waiting. Each step is looked at once for each step
/// that it waits for: a plan may have thousands.
pub(super) struct Queue {
    ready: BTreeSet<usize>,
    /// For how many others each step still waits.
    left: Vec<usize>,
    /// The steps that wait for a node.
    waiting: BTreeMap<NodeId, Vec<usize>>,
}

impl Queue {
    pub(super) fn new(plan: &BuildPlan, waits: &BTreeMap<NodeId, BTreeSet<NodeId>>) -> Self {
        let mut queue = Self { ready: BTreeSet::new(), left: Vec::new(), waiting: BTreeMap::new() };
        for (at, step) in plan.steps.iter().enumerate() {
            let waits = &waits[&step.node];
            queue.left.push(waits.len());
            for node in waits {
                queue.waiting.entry(node.clone()).or_default().push(at);
            }
            if waits.is_empty() {
                queue.ready.insert(at);
            }
        }
        queue
    }

    /// Takes the first step that waits for nothing any more.
    pub(super) fn next(&mut self) -> Option<usize> {
        self.ready.pop_first()
    }

    /// Takes note that a step has ended, however it has.
    pub(super) fn ended(&mut self, node: &NodeId) {
        for at in self.waiting.remove(node).into_iter().flatten() {
            self.left[at] -= 1;
            if self.left[at] == 0 {
                self.ready.insert(at);
            }
        }
    }
}
