//! A graph of lineage as events, one for each thing that was made.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Names, event, run, version};
use crate::base::TableName;
use crate::lakehouse::{Lakehouse, LineageGraph, LineageNode};
use crate::query::{ColumnOf, Influence, Lineage, Way};

impl Lakehouse {
    /// The graph in OpenLineage's words: of each thing that something was read for, an event that says how it was made.
    pub fn open_lineage(&self, graph: &LineageGraph) -> Vec<Value> {
        let names = Names::of(self.tables.lake(), &self.world.env);
        let made = graph.nodes.iter().filter(|node| graph.edges.iter().any(|edge| edge.to == node.id));
        made.map(|node| of(&names, graph, node, self.world.now())).collect()
    }
}

fn of(names: &Names, graph: &LineageGraph, node: &LineageNode, now: chrono::DateTime<chrono::Utc>) -> Value {
    let mut read: BTreeMap<TableName, Option<u64>> = BTreeMap::new();
    let mut columns: BTreeMap<String, BTreeMap<ColumnOf, Way>> = BTreeMap::new();
    let mut lineage = Lineage::default();
    for edge in graph.edges.iter().filter(|edge| edge.to == node.id) {
        let Some(input) = graph.node(&edge.from) else { continue };
        let table = table_name(input);
        read.insert(table.clone(), input.version);
        let Some(column) = edge.from_column.clone() else { continue };
        let of = ColumnOf { table, column, then: None };
        match &edge.to_column {
            Some(own) => drop(columns.entry(own.clone()).or_default().insert(of, way(&edge.how))),
            None => drop(lineage.rows.insert(of, edge.how.split(", ").filter_map(influence).collect())),
        }
    }
    lineage.columns = columns.into_iter().collect();
    let at = |version_of: Option<u64>| {
        let facet = version_of.map(|number| ("version".to_owned(), version(number)));
        facet.into_iter().collect::<Map<_, _>>()
    };
    let inputs = read.iter().map(|(table, version)| names.named(table, at(*version)).into());
    let mut facets = at(node.version);
    facets.insert("columnLineage".into(), names.column_lineage(&lineage));
    let output = names.named(&table_name(node), facets).into();
    let job = names.job(node.unique_id.as_deref().unwrap_or(&node.name), Map::new());
    let run = node.run.as_deref().and_then(|id| run(id, Map::new()));
    event("COMPLETE", node.at.unwrap_or(now), run, job, inputs.collect(), vec![output])
}

fn table_name(node: &LineageNode) -> TableName {
    let outside = || TableName::outside(&node.name);
    if node.kind == "file" { outside() } else { node.name.parse().unwrap_or_else(|_| outside()) }
}

fn way(word: &str) -> Way {
    match word {
        "copied" => Way::Copied,
        "aggregated" => Way::Aggregated,
        _ => Way::Derived,
    }
}

fn influence(word: &str) -> Option<Influence> {
    match word {
        "filters" => Some(Influence::Filter),
        "joins" => Some(Influence::Join),
        "groups" => Some(Influence::Group),
        "sorts" => Some(Influence::Sort),
        _ => None,
    }
}
