//! Lineage for programs that draw graphs.

use std::collections::BTreeSet;

use crate::lakehouse::{LineageGraph, LineageNode};

/// A box by its id, with what is written in it.
type Box = (String, String);
/// From where, to where, and what is written on it.
type Arrow = (String, String, String);

/// What is drawn. Columns are drawn if one was asked for.
fn parts(graph: &LineageGraph) -> (Vec<Box>, BTreeSet<Arrow>) {
    let whole = graph.column.is_none();
    let (mut boxes, mut arrows) = (Vec::new(), BTreeSet::new());
    let mut add = |id: &str, column: Option<&str>| {
        let Some(node) = graph.node(id) else { return String::new() };
        let (key, label) = match column.filter(|_| !whole) {
            Some(column) => (format!("{id}.{column}"), label(node, Some(column))),
            None => (id.to_owned(), label(node, None)),
        };
        if !boxes.iter().any(|(known, _)| *known == key) {
            boxes.push((key.clone(), label));
        }
        key
    };
    add(&graph.of, graph.column.as_deref());
    for edge in &graph.edges {
        let from = add(&edge.from, edge.from_column.as_deref());
        let to_column = edge.to_column.as_deref().or(graph.column.as_deref().filter(|_| edge.to == graph.of));
        let to = add(&edge.to, to_column);
        let how = if whole { String::new() } else { edge.how.clone() };
        arrows.insert((from, to, how));
    }
    (boxes, arrows)
}

fn label(node: &LineageNode, column: Option<&str>) -> String {
    let column = column.map(|column| format!(".{column}")).unwrap_or_default();
    match node.version {
        Some(version) => format!("{}{column} @{version}", node.name),
        None => format!("{}{column} ({})", node.name, node.kind),
    }
}

/// For Graphviz.
pub(super) fn dot(graph: &LineageGraph) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let (boxes, arrows) = parts(graph);
    let mut lines = vec!["digraph lineage {".to_owned(), "  rankdir=LR; node [shape=box];".to_owned()];
    lines.extend(boxes.iter().map(|(id, label)| format!("  {} [label={}];", quoted(id), quoted(label))));
    lines.extend(arrows.iter().map(|(from, to, how)| {
        let how = if how.is_empty() { String::new() } else { format!(" [label={}]", quoted(how)) };
        format!("  {} -> {}{how};", quoted(from), quoted(to))
    }));
    lines.push("}".to_owned());
    lines.join("\n")
}

/// For Markdown that draws Mermaid.
pub(super) fn mermaid(graph: &LineageGraph) -> String {
    let (boxes, arrows) = parts(graph);
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "#quot;"));
    let number = |key: &str| boxes.iter().position(|(known, _)| known == key).unwrap_or_default();
    let mut lines = vec!["flowchart LR".to_owned()];
    lines.extend(boxes.iter().enumerate().map(|(at, (_, label))| format!("  n{at}[{}]", quoted(label))));
    lines.extend(arrows.iter().map(|(from, to, how)| {
        let how = if how.is_empty() { String::new() } else { format!("|{}|", quoted(how)) };
        format!("  n{} -->{how} n{}", number(from), number(to))
    }));
    lines.join("\n")
}
