//! `elt ls`

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{columns, print_json, print_text};
use crate::base::{Result, World};
use crate::cli::args::{ListOutput, LsArgs, Place, ReportFormat};
use crate::cli::ui::Ui;
use crate::lakehouse::{Lakehouse, Node, NodeKind};

pub(crate) async fn run(args: LsArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let (include, exclude) = (args.selection.include()?, args.selection.exclude()?);
    let earlier = args.selection.earlier()?;
    let (compiled, mut selected) = lakehouse.select(&include, &exclude, &earlier).await?;
    let (only, never) = (&args.selection.resource_types, &args.selection.exclude_resource_types);
    let documents = &compiled.manifest.documents;
    let is_kind = |list: &[String], word: &str| list.iter().any(|kind| kind == word || kind == "all");
    selected.retain(|id| {
        let document = || documents.iter().find(|document| document.id == *id).map(|document| document.kind);
        let word = compiled.manifest.nodes.get(id).map(Node::resource_type).or_else(document);
        let word = word.unwrap_or_default();
        word != "group" && (only.is_empty() || is_kind(only, word)) && !is_kind(never, word)
    });
    compiled.warnings.iter().for_each(|warning| ui.diagnostic(warning));
    if let Some(output) = args.output {
        let manifest = lakehouse.manifest_json(&compiled);
        let lines = selected.iter().filter_map(|id| line(&manifest, id.as_str(), output, &args.output_keys));
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        return match lines.is_empty() {
            true => {
                ui.line("no nodes are selected");
                Ok(ExitCode::SUCCESS)
            }
            false => print_text(&lines.join("\n")).map(|()| ExitCode::SUCCESS),
        };
    }
    let order = compiled.manifest.order();
    let nodes: Vec<&Node> =
        order.iter().filter(|id| selected.contains(id)).map(|id| compiled.manifest.node(id)).collect();
    if args.format == ReportFormat::Json {
        let list = nodes.iter().map(|node| {
            json!({
                "unique_id": node.id.to_string(),
                "name": node.name,
                "resource_type": node.resource_type(),
                "materialized": materialized(node),
                "relation": node.relation,
                "path": node.path,
                "description": node.description,
                "tags": node.tags,
                "depends_on": compiled.manifest.parents(&node.id).iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        });
        print_json(&list.collect())?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<[String; 4]> = nodes
        .iter()
        .map(|node| {
            let relation = node.relation.as_ref().map(ToString::to_string).unwrap_or_default();
            let name = if relation.is_empty() { node.name.clone() } else { relation };
            [node.resource_type().to_owned(), name, materialized(node).to_owned(), node.path.clone()]
        })
        .collect();
    let listed = documents.iter().filter(|document| selected.contains(&document.id));
    let of_documents = listed.map(|document| {
        [document.kind.to_owned(), document.name.clone(), String::new(), document.path.clone()]
    });
    let rows: Vec<_> = rows.into_iter().chain(of_documents).collect();
    print_text(&columns(["type", "name", "materialized", "path"], &rows))?;
    Ok(ExitCode::SUCCESS)
}

/// The keys of a node that dbt tells if nobody says which.
const KEYS: [&str; 10] = [
    "alias",
    "name",
    "package_name",
    "depends_on",
    "tags",
    "config",
    "resource_type",
    "source_name",
    "original_file_path",
    "unique_id",
];

/// What `--output` writes of a node, from what the manifest has of it.
fn line(manifest: &Value, id: &str, output: ListOutput, keys: &[String]) -> Option<String> {
    const LISTS: [&str; 7] =
        ["nodes", "sources", "unit_tests", "exposures", "metrics", "semantic_models", "saved_queries"];
    let entry = LISTS.iter().find_map(|list| manifest.get(list)?.get(id))?;
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    let kind = text("resource_type");
    Some(match output {
        ListOutput::Path => text("original_file_path").to_owned(),
        ListOutput::Name => match (kind, entry.get("version").filter(|version| !version.is_null())) {
            ("source", _) => format!("{}.{}", text("source_name"), text("name")),
            (_, Some(version)) => format!("{}.v{}", text("name"), version.to_string().trim_matches('"')),
            _ => text("name").to_owned(),
        },
        ListOutput::Selector => match kind {
            "source" => format!("source:{}.{}.{}", text("package_name"), text("source_name"), text("name")),
            "exposure" | "metric" | "semantic_model" | "saved_query" => {
                format!("{kind}:{}.{}", text("package_name"), text("name"))
            }
            "unit_test" => format!("unit_test:{}.{}", text("package_name"), text("name")),
            _ => {
                let fqn = entry.get("fqn").and_then(Value::as_array).into_iter().flatten();
                fqn.filter_map(Value::as_str).collect::<Vec<_>>().join(".")
            }
        },
        ListOutput::Json => {
            let asked: Vec<&str> = keys.iter().flat_map(|key| key.split([',', ' '])).collect();
            let keys = if asked.is_empty() { KEYS.to_vec() } else { asked };
            let known = keys.into_iter().filter_map(|key| Some((key.to_owned(), entry.get(key)?.clone())));
            Value::Object(known.collect()).to_string()
        }
    })
}

fn materialized(node: &Node) -> &'static str {
    use crate::lakehouse::Materialization as M;
    match (&node.kind, node.materialization()) {
        (_, Some(M::View)) => "view",
        (_, Some(M::Table)) => "table",
        (_, Some(M::Incremental { .. })) => "incremental",
        (_, Some(M::Ephemeral)) => "ephemeral",
        (NodeKind::Source(source), None) if source.landing.is_some() => "landed",
        (NodeKind::Seed(_), _) => "seed",
        (NodeKind::Snapshot(_), _) => "snapshot",
        _ => "",
    }
}
