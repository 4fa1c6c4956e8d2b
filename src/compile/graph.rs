//! In what order, and who depends on whom?
//!
//! Pure functions over *child → parents*.

use std::collections::{BTreeMap, BTreeSet};

use super::node::NodeId;

/// The nodes so that parents come before children; among nodes that are ready, by id. Nodes of
/// cycles, and what depends on them, are left out.
pub(super) fn order(parents: &BTreeMap<NodeId, Vec<NodeId>>) -> Vec<NodeId> {
    let children = children(parents);
    let mut waiting_for: BTreeMap<&NodeId, usize> = parents.iter().map(|(id, of)| (id, of.len())).collect();
    let mut ready: BTreeSet<&NodeId> =
        waiting_for.iter().filter(|(_, n)| **n == 0).map(|(id, _)| *id).collect();
    let mut order = Vec::with_capacity(parents.len());
    while let Some(id) = ready.pop_first() {
        order.push(id.clone());
        for child in children.get(id).into_iter().flatten() {
            if let Some(left) = waiting_for.get_mut(child) {
                *left -= 1;
                if *left == 0 {
                    ready.insert(child);
                }
            }
        }
    }
    order
}

/// *Parent → children*, both sorted. Every node has an entry.
pub(super) fn children(parents: &BTreeMap<NodeId, Vec<NodeId>>) -> BTreeMap<NodeId, Vec<NodeId>> {
    let mut children: BTreeMap<NodeId, Vec<NodeId>> =
        parents.keys().map(|id| (id.clone(), Vec::new())).collect();
    for (child, of) in parents {
        for parent in of {
            children.entry(parent.clone()).or_default().push(child.clone());
        }
    }
    children
}

/// Everything that can be reached from `start` along `edges` in at most `depth` steps, without `start`.
pub(super) fn reach(start: &NodeId, edges: &BTreeMap<NodeId, Vec<NodeId>>, depth: usize) -> BTreeSet<NodeId> {
    let mut reached = BTreeSet::new();
    let mut frontier = vec![start.clone()];
    for _ in 0..depth {
        let next: Vec<NodeId> = frontier
            .iter()
            .flat_map(|id| edges.get(id).into_iter().flatten())
            .filter(|id| reached.insert((*id).clone()))
            .cloned()
            .collect();
        if next.is_empty() {
            break;
        }
        frontier = next;
    }
    reached.remove(start);
    reached
}

/// One cycle for each knot of nodes that wait for each other, beginning at its smallest id.
pub(super) fn cycles(parents: &BTreeMap<NodeId, Vec<NodeId>>) -> Vec<Vec<NodeId>> {
    let ordered: BTreeSet<NodeId> = order(parents).into_iter().collect();
    let mut seen: BTreeSet<NodeId> = BTreeSet::new();
    let mut cycles = Vec::new();
    for start in parents.keys().filter(|id| !ordered.contains(*id)) {
        if seen.contains(start) {
            continue;
        }
        if let Some(cycle) = way_back(start, parents, &ordered) {
            seen.extend(reach(start, parents, usize::MAX));
            seen.extend(cycle.iter().cloned());
            cycles.push(cycle);
        }
    }
    cycles
}

/// The shortest way from `start` along its parents back to itself.
fn way_back(
    start: &NodeId,
    parents: &BTreeMap<NodeId, Vec<NodeId>>,
    safe: &BTreeSet<NodeId>,
) -> Option<Vec<NodeId>> {
    let mut came_from: BTreeMap<&NodeId, &NodeId> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(id) = queue.pop_front() {
        for parent in parents.get(id).into_iter().flatten().filter(|parent| !safe.contains(*parent)) {
            if parent == start {
                let mut way = vec![id.clone()];
                while let Some(before) = came_from.get(&way[way.len() - 1]) {
                    way.push((*before).clone());
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(parent) {
                came_from.insert(parent, id);
                queue.push_back(parent);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &str) -> BTreeMap<NodeId, Vec<NodeId>> {
        let mut parents: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        for edge in edges.split_whitespace() {
            let (parent, child) = edge.split_once('>').unwrap();
            parents.entry(NodeId::new(parent)).or_default();
            parents.entry(NodeId::new(child)).or_default().push(NodeId::new(parent));
        }
        parents
    }

    fn shown<'a>(ids: impl IntoIterator<Item = &'a NodeId>) -> String {
        ids.into_iter().map(NodeId::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn parents_come_first_and_ties_are_by_name() {
        assert_eq!(shown(&order(&graph("b>d a>d d>e c>e"))), "a b c d e");
        assert_eq!(shown(&reach(&NodeId::new("e"), &graph("b>d a>d d>e c>e"), 1)), "c d");
    }

    #[test]
    fn each_knot_is_told_once_by_its_shortest_way() {
        let cycles = cycles(&graph("a>b b>c c>a c>d x>y y>x z>z"));
        assert_eq!(cycles.iter().map(shown).collect::<Vec<_>>(), ["a c b", "x y", "z"]);
    }
}
