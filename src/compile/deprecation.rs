//! Which models are on their way out, and who still reads them?
//!
//! A model with a `deprecation_date` is built as any other. It is told when that day has come, and whoever reads it is told
//! before and after, in dbt's words.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::manifest::Manifest;
use super::node::{Node, NodeKind};
use crate::base::{Diagnostic, parse_instant};

/// Says which models have passed their day, and which are read although they have one.
pub(super) fn check(manifest: &Manifest, now: DateTime<Utc>, found: &mut Vec<Diagnostic>) {
    for node in manifest.nodes.values() {
        let Some((day, at)) = day_of(node) else { continue };
        let shown = shown(node);
        let is_over = at <= now;
        if is_over {
            let what = format!(
                "Model {shown} has passed its deprecation date of {day}. This model should be disabled or removed."
            );
            found.push(
                Diagnostic::warning("elt::deprecated", what)
                    .at(&node.at, "this model")
                    .help("take it away, disable it, or set a later `deprecation_date`"),
            );
        }
        for reader in manifest.children(&node.id) {
            let reader = manifest.node(reader);
            if reader.is_test() {
                continue;
            }
            let when = if is_over { "was deprecated" } else { "is slated for deprecation" };
            let what = format!(
                "While compiling '{}': Found a reference to {shown}, which {when} on '{day}'.",
                reader.name
            );
            let told = Diagnostic::warning("elt::deprecated", what).at(&reader.at, "reads it");
            found.push(match node.edition.as_ref().filter(|edition| !edition.is_latest()) {
                Some(_) => told.help(format!("a newer version is there: `ref('{}')`", node.name)),
                None => told.help("read what takes its place"),
            });
        }
    }
}

fn shown(node: &Node) -> String {
    match &node.edition {
        Some(edition) => format!("{}.v{}", node.name, edition.version),
        None => node.name.clone(),
    }
}

/// The day of a model as it is written, and when it begins.
fn day_of(node: &Node) -> Option<(String, DateTime<Utc>)> {
    if !matches!(node.kind, NodeKind::Model(_)) {
        return None;
    }
    let day = node.config.get("deprecation_date").and_then(Value::as_str)?;
    Some((day.to_owned(), parse_instant(day)?))
}
