//! Lineage as a tree in a terminal.

use std::collections::{BTreeMap, BTreeSet};

use crate::lakehouse::{LineageEdge, LineageGraph, LineageNode};

/// A branch: a thing, and the column of it if columns are followed.
type Branch<'a> = (&'a str, Option<&'a str>);

/// The tree of what came before, of what came after, or one below the other.
pub(super) fn told(graph: &LineageGraph, up: bool, down: bool) -> String {
    let Some(start) = graph.node(&graph.of) else { return String::new() };
    let column = graph.column.as_deref();
    let mut lines = vec![words(start, column, "")];
    for (is_wanted, is_up, title) in [(up, true, "comes from"), (down, false, "goes into")] {
        if !is_wanted {
            continue;
        }
        let mut tree = Tree::of(graph, is_up);
        tree.grow((&graph.of, column), "");
        if tree.lines.is_empty() && !is_up && lines.len() > 1 {
            // Where it comes from is told already; that nothing comes of it needs no heading.
            continue;
        }
        lines.push(title.to_owned());
        if tree.lines.is_empty() {
            let nothing = match (is_up, start.kind) {
                (false, _) => "nothing that is published".to_owned(),
                (true, _) if !start.files.is_empty() => format!("files: {}", start.files.join(", ")),
                (true, _) if column.is_some() => "no column: it is a constant, or nothing tells".to_owned(),
                (true, _) => "nothing that is known".to_owned(),
            };
            tree.lines.push(format!("└─ {nothing}"));
        }
        lines.append(&mut tree.lines);
    }
    lines.join("\n")
}

struct Tree<'a> {
    graph: &'a LineageGraph,
    is_up: bool,
    nodes: BTreeMap<&'a str, &'a LineageNode>,
    /// The edges by what they are found from: the thing itself, or going down its name.
    edges: BTreeMap<&'a str, Vec<&'a LineageEdge>>,
    seen: BTreeSet<String>,
    lines: Vec<String>,
}

impl<'a> Tree<'a> {
    fn of(graph: &'a LineageGraph, is_up: bool) -> Self {
        let nodes: BTreeMap<&str, &LineageNode> =
            graph.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut edges: BTreeMap<&str, Vec<&LineageEdge>> = BTreeMap::new();
        for edge in &graph.edges {
            let near = match is_up {
                true => edge.to.as_str(),
                // What was made of another version of it is told below the one that is asked about.
                false => nodes.get(edge.from.as_str()).map_or(edge.from.as_str(), |node| node.name.as_str()),
            };
            edges.entry(near).or_default().push(edge);
        }
        Self { graph, is_up, nodes, edges, seen: BTreeSet::new(), lines: Vec::new() }
    }

    fn grow(&mut self, of: Branch<'a>, indent: &str) {
        let below = self.below(of);
        let last = below.len().saturating_sub(1);
        for (at, ((id, column), how)) in below.into_iter().enumerate() {
            let Some(node) = self.nodes.get(id).copied() else { continue };
            let (corner, bar) = if at == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let mut line = format!("{indent}{corner}{}", words(node, column, &how));
            let goes_on = !how.starts_with("rows: ");
            let is_new = self.seen.insert(format!("{id}\n{}", column.unwrap_or_default()));
            if goes_on && !is_new && !self.below((id, column)).is_empty() {
                line.push_str("  (above)");
            }
            self.lines.push(line);
            if goes_on && is_new {
                self.grow((id, column), &format!("{indent}{bar}"));
            }
        }
    }

    /// What is next to a branch, each with how.
    fn below(&self, (id, column): Branch<'a>) -> Vec<(Branch<'a>, String)> {
        let near = match self.is_up {
            true => id,
            false => self.nodes.get(id).map_or(id, |node| node.name.as_str()),
        };
        let mut below: Vec<(Branch<'a>, String)> = Vec::new();
        for edge in self.edges.get(near).into_iter().flatten().copied() {
            let (far_id, far_column) = if self.is_up { from(edge) } else { to(edge) };
            let branch = match column {
                None => (far_id, None),
                Some(column) if self.is_up && edge.to_column.as_deref() == Some(column) => {
                    (far_id, far_column)
                }
                // What decides about the rows is told of the first column only.
                Some(_) if self.is_up && edge.to_column.is_none() && id == self.graph.of => {
                    (far_id, far_column)
                }
                Some(column) if !self.is_up && edge.from_column.as_deref() == Some(column) => {
                    (far_id, far_column)
                }
                Some(_) => continue,
            };
            let how = match (column, &edge.to_column) {
                (None, _) => String::new(),
                (Some(_), Some(_)) => edge.how.clone(),
                (Some(_), None) => format!("rows: {}", edge.how),
            };
            if !below.iter().any(|(known, said)| *known == branch && *said == how) {
                below.push((branch, how));
            }
        }
        // Values first, then what decides about rows.
        below.sort_by_key(|(branch, how)| (how.starts_with("rows: "), *branch));
        below
    }
}

/// One end of an edge.
type End<'a> = (&'a str, Option<&'a str>);

fn from(edge: &LineageEdge) -> End<'_> {
    (&edge.from, edge.from_column.as_deref())
}

fn to(edge: &LineageEdge) -> End<'_> {
    (&edge.to, edge.to_column.as_deref())
}

/// A thing in a line: `main.orders.amount  version 3, merged in release 7, by model.shop.orders`.
fn words(node: &LineageNode, column: Option<&str>, how: &str) -> String {
    let name = match column {
        Some(column) => format!("{}.{column}", node.name),
        None => node.name.clone(),
    };
    let mut facts = Vec::new();
    if !how.is_empty() {
        facts.push(how.to_owned());
    }
    match (node.kind, node.version) {
        ("table", Some(version)) => facts.push(format!("version {version}")),
        ("unknown", Some(version)) => facts.push(format!("version {version}, of which nothing is left")),
        (kind, _) => facts.push(kind.to_owned()),
    }
    if let Some(operation) = &node.operation {
        let files = match node.files.len() {
            0 => String::new(),
            1 => " from 1 file".to_owned(),
            many => format!(" from {many} files"),
        };
        facts.push(format!("{}{files}", operation.to_lowercase()));
    }
    facts.extend(node.release.map(|release| format!("release {release}")));
    facts.extend(node.unique_id.clone().filter(|_| column.is_none()));
    format!("{name}  {}", facts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str) -> LineageNode {
        let (name, version) = id.split_once('@').unwrap();
        let (id, name, version) = (id.to_owned(), name.to_owned(), version.parse().ok());
        LineageNode { id, name, version, kind: "table", ..LineageNode::default() }
    }

    fn edge(from: (&str, &str), to: (&str, Option<&str>), how: &str) -> LineageEdge {
        LineageEdge {
            from: from.0.into(),
            from_column: Some(from.1.into()),
            to: to.0.into(),
            to_column: to.1.map(str::to_owned),
            how: how.into(),
        }
    }

    #[test]
    fn what_is_reached_twice_is_told_once() {
        let graph = LineageGraph {
            of: "d@1".into(),
            column: None,
            nodes: ["d@1", "b@0", "c@0", "a@7"].map(node).into(),
            edges: vec![
                edge(("a@7", "x"), ("b@0", Some("x")), "copied"),
                edge(("a@7", "x"), ("c@0", None), "filters"),
                edge(("b@0", "x"), ("d@1", Some("x")), "copied"),
                edge(("c@0", "y"), ("d@1", Some("y")), "derived"),
                edge(("b@0", "x"), ("d@1", Some("z")), "derived"),
            ],
        };
        insta::assert_snapshot!(told(&graph, true, false), @r"
        d  version 1
        comes from
        ├─ b  version 0
        │  └─ a  version 7
        └─ c  version 0
           └─ a  version 7
        ");
        let graph = LineageGraph { column: Some("x".into()), ..graph };
        insta::assert_snapshot!(told(&graph, true, true), @r"
        d.x  version 1
        comes from
        └─ b.x  copied, version 0
           └─ a.x  copied, version 7
        ");
        insta::assert_snapshot!(told(&graph, false, true), @r"
        d.x  version 1
        goes into
        └─ nothing that is published
        ");
    }
}
