//! What do log lines say of a run?
//!
//! dbt's words for nodes and for how their steps end, for whoever [watches](crate::base::Watch).

use sha2::{Digest, Sha256};

use super::artifacts::{self, Stamp};
use super::plan::{BuildPlan, PlannedStep};
use super::report::{StepReport, Verdict};
use super::sql_text;
use crate::base::{NodeFacts, RunFacts, TableName, Told};
use crate::compile::{Manifest, Node, NodeId, NodeKind};

/// What is known of a run before its first step.
pub fn run_facts(
    manifest: &Manifest,
    plan: &BuildPlan,
    target: &str,
    threads: usize,
    stamp: &Stamp,
) -> RunFacts {
    let facts = |step: &PlannedStep| {
        let node = manifest.node(&step.node);
        let compiled = stamp.compiled_at(node, manifest).unwrap_or_default();
        NodeFacts { compiled, ..node_facts(node) }
    };
    RunFacts {
        found: found(manifest),
        target: target.to_owned(),
        threads,
        nodes: plan.steps.iter().map(facts).collect(),
    }
}

/// What the project holds: `5 models, 22 data tests, 3 seeds, 602 macros`.
pub fn found(manifest: &Manifest) -> String {
    let count = |kind: &str| manifest.nodes.values().filter(|node| node.resource_type() == kind).count();
    let documents = |kind: &str| manifest.documents.iter().filter(|one| one.kind == kind).count();
    let counts = [
        (count("model"), "model", "models"),
        (count("snapshot"), "snapshot", "snapshots"),
        (count("analysis"), "analysis", "analyses"),
        (count("test"), "data test", "data tests"),
        (count("seed"), "seed", "seeds"),
        (count("source"), "source", "sources"),
        (documents("exposure"), "exposure", "exposures"),
        (documents("metric"), "metric", "metrics"),
        (manifest.written.macros.len(), "macro", "macros"),
        (documents("group"), "group", "groups"),
        (documents("semantic_model"), "semantic model", "semantic models"),
        (documents("saved_query"), "saved query", "saved queries"),
        (count("unit_test"), "unit test", "unit tests"),
    ];
    let words = counts.iter().filter(|(count, ..)| *count > 0);
    let words = words.map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }));
    words.collect::<Vec<_>>().join(", ")
}

/// A node as log lines name it.
pub fn node_facts(node: &Node) -> NodeFacts {
    let relation = node.relation.as_ref();
    let attached = match &node.kind {
        NodeKind::Test(test) => test.attached.as_ref().map(NodeId::to_string),
        _ => None,
    };
    let inside = node.path.split_once('/').map_or(node.path.as_str(), |(_, inside)| inside);
    NodeFacts {
        unique_id: node.id.to_string(),
        name: node.name.clone(),
        resource_type: node.resource_type(),
        materialized: artifacts::materialized(node),
        path: inside.to_owned(),
        file: node.path.clone(),
        schema: relation.map(TableName::schema).unwrap_or_default().to_owned(),
        alias: relation.map_or(node.name.as_str(), TableName::table).to_owned(),
        relation_name: relation.map(sql_text::table).unwrap_or_default(),
        checksum: Sha256::digest(node.raw.trim().as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        meta: node.config.get("meta").map_or_else(|| "{}".to_owned(), ToString::to_string),
        attached: attached.unwrap_or_default(),
        compiled: String::new(),
    }
}

/// How a step ended, in dbt's words.
pub(super) fn told(report: &StepReport, node: &Node) -> Told {
    let (failures, rows) = match &report.verdict {
        Verdict::Warned(sample) | Verdict::Failed(sample) => (Some(sample.failures), None),
        Verdict::Passed => (Some(0.0), None),
        Verdict::Made(effect) | Verdict::Partly(effect, _) => (None, Some(effect.added + effect.updated)),
        _ => (None, None),
    };
    Told { status: report.verdict.status(), message: artifacts::message(report, Some(node)), failures, rows }
}
