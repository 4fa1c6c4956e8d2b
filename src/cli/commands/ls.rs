//! `elt ls`

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::columns;
use crate::base::{Result, World};
use crate::cli::args::{ListOutput, LsArgs, Place, ReportFormat};
use crate::cli::ui::Ui;
use crate::lakehouse::{Compiled, Lakehouse, Listed, listed};

pub(crate) async fn run(args: LsArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let (include, exclude) = (args.selection.include()?, args.selection.exclude()?);
    args.selection.warn_of_state(&lakehouse, ui);
    if args.format == ReportFormat::Json {
        ui.keep_output();
    }
    let wants_all = args.output == Some(ListOutput::Json) || args.format == ReportFormat::Json;
    if include.is_empty() && exclude.is_empty() && !wants_all {
        let (list, warnings) = match lakehouse.before(false).await? {
            Some(before) => (before.listed.clone(), before.warnings()),
            None => {
                let compiled = lakehouse.list().await?;
                ui.said(&compiled.manifest.messages);
                (listed(&compiled), compiled.warnings)
            }
        };
        warnings.iter().for_each(|warning| ui.diagnostic(warning));
        return tell(&args, &list, ui);
    }
    let earlier = args.selection.earlier()?;
    let (compiled, selected) = lakehouse.select(&include, &exclude, &earlier).await?;
    ui.said(&compiled.manifest.messages);
    compiled.warnings.iter().for_each(|warning| ui.diagnostic(warning));
    let selected: BTreeSet<&str> = selected.iter().map(|id| id.as_str()).collect();
    let list = listed(&compiled).into_iter().filter(|one| selected.contains(one.unique_id.as_str()));
    let list: Vec<Listed> = list.filter(|one| is_asked_for(&args, &one.resource_type)).collect();
    if args.output == Some(ListOutput::Json) {
        let entries = lakehouse.entries_of(&compiled, list.iter().map(|one| one.unique_id.as_str()));
        return print_lines(entries.iter().map(|entry| line(entry, &args.output_keys)).collect(), ui);
    }
    if args.format == ReportFormat::Json {
        ui.print_json(&as_json(&compiled, &list))?;
        return Ok(ExitCode::SUCCESS);
    }
    tell(&args, &list, ui)
}

/// Whether nodes of this kind are to be listed.
fn is_asked_for(args: &LsArgs, kind: &str) -> bool {
    let kinds = args.selection.kinds();
    // As dbt, which lists analyses to whoever asks for them.
    let is_told = args.output.is_none()
        || kind != "analysis"
        || kinds.only.iter().any(|one| matches!(one.as_str(), "analysis" | "all"));
    kinds.take(kind) && is_told
}

/// Lists nodes for people, or one line a node as dbt does.
fn tell(args: &LsArgs, list: &[Listed], ui: &Ui) -> Result<ExitCode> {
    let asked = list.iter().filter(|one| is_asked_for(args, &one.resource_type));
    if let Some(output) = args.output {
        let line = |one: &Listed| match output {
            ListOutput::Path => one.path.clone(),
            ListOutput::Name => one.name.clone(),
            ListOutput::Selector | ListOutput::Json => one.selector.clone(),
        };
        return print_lines(asked.map(line).collect(), ui);
    }
    let rows: Vec<[String; 4]> = asked
        .map(|one| {
            let name = one.relation.clone().unwrap_or_else(|| one.name.clone());
            [one.resource_type.clone(), name, one.materialized.clone(), one.path.clone()]
        })
        .collect();
    if ui.log().is_json() {
        let selectors = list.iter().filter(|one| is_asked_for(args, &one.resource_type));
        return print_lines(selectors.map(|one| one.selector.clone()).collect(), ui);
    }
    ui.print(&columns(["type", "name", "materialized", "path"], &rows))?;
    Ok(ExitCode::SUCCESS)
}

fn print_lines(mut lines: Vec<String>, ui: &Ui) -> Result<ExitCode> {
    lines.sort();
    match lines.is_empty() {
        true => ui.line("no nodes are selected"),
        false if ui.log().is_json() => lines.iter().try_for_each(|line| ui.print(line))?,
        false => ui.print(&lines.join("\n"))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(compiled: &Compiled, list: &[Listed]) -> Value {
    let nodes: BTreeMap<&str, _> =
        compiled.manifest.nodes.values().map(|node| (node.id.as_str(), node)).collect();
    let known = list.iter().filter_map(|one| Some((one, nodes.get(one.unique_id.as_str())?)));
    let entry = |(one, node): (&Listed, &&crate::lakehouse::Node)| {
        let parents = compiled.manifest.parents(&node.id).iter().map(ToString::to_string);
        json!({
            "unique_id": one.unique_id, "name": node.name, "resource_type": one.resource_type,
            "materialized": one.materialized, "relation": node.relation, "path": node.path,
            "description": node.description, "tags": node.tags, "depends_on": parents.collect::<Vec<_>>(),
        })
    };
    known.map(entry).collect()
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

/// What `--output json` writes of a node, from what the manifest has of it.
fn line(entry: &Value, keys: &[String]) -> String {
    let asked: Vec<&str> = keys.iter().flat_map(|key| key.split([',', ' '])).collect();
    let keys = if asked.is_empty() { KEYS.to_vec() } else { asked };
    // `config.materialized` is what is found on the way there.
    let found = |key: &str| key.split('.').try_fold(entry, |value, key| value.get(key));
    let known = keys.into_iter().filter_map(|key| Some((key.to_owned(), found(key)?.clone())));
    Value::Object(known.collect()).to_string()
}
