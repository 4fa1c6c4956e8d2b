//! `elt ls`

use std::process::ExitCode;

use serde_json::json;

use super::{columns, print_json, print_text};
use crate::base::{Result, World};
use crate::cli::args::{LsArgs, Place, ReportFormat};
use crate::cli::ui::Ui;
use crate::lakehouse::{Lakehouse, Node, NodeKind};

pub(crate) async fn run(args: LsArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let (include, exclude) = (args.selection.include()?, args.selection.exclude()?);
    let earlier = args.selection.earlier()?;
    let (compiled, mut selected) = lakehouse.select(&include, &exclude, &earlier).await?;
    let (only, never) = (&args.selection.resource_types, &args.selection.exclude_resource_types);
    selected.retain(|id| {
        let word = compiled.manifest.node(id).resource_type().to_owned();
        (only.is_empty() || only.contains(&word)) && !never.contains(&word)
    });
    compiled.warnings.iter().for_each(|warning| ui.diagnostic(warning));
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
    print_text(&columns(["type", "name", "materialized", "path"], &rows))?;
    Ok(ExitCode::SUCCESS)
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
