//! `elt compile`, `elt show`, `elt source freshness`, `elt debug`

use std::process::ExitCode;

use super::columns;
use crate::base::{Result, World};
use crate::cli::args::{CompileArgs, DebugArgs, FreshnessArgs, Place, ReportFormat, ShowArgs};
use crate::cli::log::in_json;
use crate::cli::ui::Ui;
use crate::lakehouse::{Lakehouse, NodeKind, Studied, StudyRequest};
use crate::repl::{Format, ShowOptions, show as show_rows, terminal_width};

/// Compiles; the SQL of what was asked for goes to standard output.
pub(crate) async fn compile(args: CompileArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let request = StudyRequest {
        inline: args.inline,
        defer: args.deferral.read_state(&args.selection)?,
        ..args.selection.study()?
    };
    args.selection.warn_of_state(&lakehouse, ui);
    let has_selection = !request.select.is_empty() || !request.exclude.is_empty();
    let is_whole = !has_selection && request.inline.is_none() && request.defer.is_none() && !args.check;
    if is_whole && let Some(before) = lakehouse.before(true).await? {
        before.warnings().iter().for_each(|warning| ui.diagnostic(warning));
        written(before.nodes, &before.target, ui);
        return Ok(ExitCode::SUCCESS);
    }
    let studied = Box::pin(lakehouse.study(&request)).await?;
    if let Some(why) = &studied.not_written {
        return Err(why.clone().as_error().into());
    }
    studied.compiled.warnings.iter().for_each(|warning| ui.diagnostic(warning));
    ui.said(&studied.messages);
    ui.log().found(&studied.compiled.found());
    if args.check {
        return check(&lakehouse, &studied, args.format, ui).await;
    }
    studied.not_compiled.iter().for_each(|(_, why)| ui.diagnostic(why));
    let shown = !request.select.is_empty() || request.inline.is_some();
    for id in studied.picked.iter().filter(|_| shown) {
        let node = studied.node(id);
        if !node.sql.is_empty() && !node.is_test() {
            ui.log().compiled(&node.name, id.as_str(), node.sql.trim());
            if !ui.log().is_json() {
                ui.line(&format!("compiled node `{}`:", node.name));
                ui.print(node.sql.trim())?;
            }
        }
    }
    let target = &studied.compiled.project.target_path;
    ui.log().written("ParsePerfInfoPath", &target.join("perf_info.json"));
    written(studied.compiled.manifest.nodes.len(), target, ui);
    Ok(if studied.not_compiled.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// Plans what was compiled. Exit code 2 if something is wrong.
async fn check(lakehouse: &Lakehouse, studied: &Studied, format: ReportFormat, ui: &Ui) -> Result<ExitCode> {
    let checked = Box::pin(lakehouse.check(studied)).await?;
    match format {
        ReportFormat::Json => ui.print_json(&checked.to_json())?,
        ReportFormat::Text => {
            checked.mistakes.iter().for_each(|(_, mistake)| ui.diagnostic(mistake));
            for (id, because) in &checked.not_checked {
                ui.line(&format!("not checked: `{}`: {because}", studied.node(id).shown()));
            }
            let mistakes = match checked.mistakes.len() {
                0 => "no mistakes".to_owned(),
                1 => "1 mistake".to_owned(),
                many => format!("{many} mistakes"),
            };
            let target = studied.compiled.project.target_path.display();
            let left = checked.not_checked.len();
            ui.line(&format!(
                "{mistakes}; {} nodes are right, {left} not checked; column_lineage.json is in {target}",
                checked.well
            ));
        }
    }
    Ok(if checked.mistakes.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn written(nodes: usize, target: &std::path::Path, ui: &Ui) {
    ui.line(&format!("{nodes} nodes compiled; manifest.json and compiled/ are in {}", target.display()));
}

/// Says what a project holds, and what is to be said of it.
pub(super) fn told(studied: &Studied, ui: &Ui) {
    studied.compiled.warnings.iter().for_each(|warning| ui.diagnostic(warning));
    ui.said(&studied.messages);
    ui.log().found(&studied.compiled.found());
    studied.not_compiled.iter().for_each(|(_, why)| ui.diagnostic(why));
}

/// Shows the first rows of what was asked for.
pub(crate) async fn show(args: ShowArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let request = StudyRequest {
        inline: args.inline,
        defer: args.deferral.read_state(&args.selection)?,
        ..args.selection.study()?
    };
    if request.select.is_empty() && request.inline.is_none() {
        return Err(crate::base::Error::user(
            "elt::show",
            "what should be shown?",
            "name a node, `elt show --select orders`, or a query, `elt show --inline \"select 1\"`",
        ));
    }
    let studied = Box::pin(lakehouse.study(&request)).await?;
    told(&studied, ui);
    for id in &studied.picked {
        let node = studied.node(id);
        let is_shown = node.is_made() || matches!(node.kind, NodeKind::Analysis | NodeKind::Source(_));
        if !is_shown {
            continue;
        }
        let (outcome, _) = lakehouse.show(node, u64::try_from(args.limit).ok()).await?;
        // Programs read rows as JSON or as a table, whatever people do.
        let events = ui.log().is_json();
        let format = if events && args.format != Format::Json { Format::Markdown } else { args.format };
        let options = ShowOptions::terminal(terminal_width(), false);
        let mut text = Vec::new();
        let _ = show_rows(outcome, format, &options, &mut text).await.map_err(crate::base::Error::from)?;
        let text = String::from_utf8_lossy(&text).trim_end().to_owned();
        let is_json = args.format == Format::Json;
        ui.log().shown((&node.name, id.as_str()), &text, is_json);
        if events {
            continue;
        }
        match args.limit {
            ..0 => ui.line(&format!("the rows of `{}`:", node.name)),
            limit => ui.line(&format!("the first {limit} rows of `{}`:", node.name)),
        }
        match is_json {
            true => ui.print(&in_json(&node.name, &text))?,
            false => ui.print(&text)?,
        }
    }
    Ok(if studied.not_compiled.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// Compares the age of sources with what is allowed. Exit code 1 if one is too old.
pub(crate) async fn freshness(args: FreshnessArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let lakehouse = Lakehouse::open(&place.options()?, world)?;
    let begun = std::time::Instant::now();
    let tell = |studied: &Studied| {
        told(studied, ui);
        match studied.aged().len() {
            0 => {}
            many => ui.log().concurrency(1, &studied.compiled.project.target.name, many),
        }
    };
    let ages = Box::pin(lakehouse.freshness(&args.selection.study()?, args.output.as_deref(), &tell)).await?;
    ui.log().ages(&ages, begun.elapsed());
    if ages.is_empty() {
        ui.line("no source says how old it may be: add `freshness:` to one");
        return Ok(ExitCode::SUCCESS);
    }
    let hours =
        |seconds: Option<f64>| seconds.map_or("no rows".to_owned(), |s| format!("{:.1} h", s / 3600.0));
    let rows: Vec<[String; 4]> = ages
        .iter()
        .map(|age| {
            [
                age.name.clone(),
                age.status.to_owned(),
                hours(age.seconds),
                age.because.clone().unwrap_or_default(),
            ]
        })
        .collect();
    if !ui.log().is_json() {
        ui.print(&columns(["source", "status", "age", "because"], &rows))?;
    }
    let is_bad = ages.iter().any(|age| matches!(age.status, "error" | "runtime error"));
    Ok(if is_bad { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// Says what elt would work with.
pub(crate) async fn debug(args: &DebugArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let options = place.options()?;
    if args.config_dir {
        let folder = options.profiles_dir.clone().unwrap_or_else(|| options.folder.clone());
        ui.print(&format!(
            "profiles.yml is looked for in {}, then in the project, then in ~/.dbt",
            folder.display()
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    let env = std::sync::Arc::clone(&world.env);
    let lakehouse = Lakehouse::open(&options, world)?;
    if args.connection {
        let releases = lakehouse.releases(1).await?;
        let newest = releases.first().map_or("it has no release yet".to_owned(), |one| {
            format!("its newest release is {}", one.number)
        });
        ui.line(&format!("the lake can be read: {newest}"));
        ui.line("all checks passed");
        return Ok(ExitCode::SUCCESS);
    }
    let begun = std::time::Instant::now();
    let read = lakehouse.releases(1).await;
    // Of a lake that cannot be read, all the rest is still to be seen.
    let studied = match &read {
        Ok(_) => Some(Box::pin(lakehouse.study(&StudyRequest::default())).await?),
        Err(_) => None,
    };
    let warnings = studied.iter().flat_map(|studied| &studied.compiled.warnings);
    warnings.for_each(|warning| ui.diagnostic(warning));
    let apart = if studied.is_none() { Some(lakehouse.project()?) } else { None };
    let project = studied.as_ref().map(|studied| &studied.compiled.project).or(apart.as_ref());
    let Some(project) = project else { unreachable!("it was read in one way or the other") };
    let newest = match &read {
        Ok(releases) => releases.first().map_or("none yet".to_owned(), |release| release.number.to_string()),
        Err(_) => "not known".to_owned(),
    };
    let lake = lakehouse.tables().lake();
    let state = match lake.is_absent() {
        _ if read.is_err() => "cannot be read".to_owned(),
        true => "not there yet; the first build makes it".to_owned(),
        false => match lake.check_writable().await {
            Ok(()) => "can be read and written".to_owned(),
            Err(error) => format!("can be read, and not written: {error}"),
        },
    };
    let took = match crate::cli::ui::time_words(begun.elapsed()) {
        took if took.is_empty() => String::new(),
        took => format!(", {took}"),
    };
    let rows = [
        [
            "elt".to_owned(),
            format!("{}, for projects of dbt {}", env!("CARGO_PKG_VERSION"), crate::lakehouse::DBT_VERSION),
        ],
        ["lake".to_owned(), format!("{lake}: {state}{took}")],
        ["credentials".to_owned(), credentials(&env)],
        ["project".to_owned(), format!("{} in {}", project.name, project.root.display())],
        ["profile".to_owned(), format!("{}, target {}", project.target.profile, project.target.name)],
        [
            "templates see".to_owned(),
            format!("target.type {}, macros of {}", project.target.engine, project.target.dialect),
        ],
        ["schema".to_owned(), project.target.schema.clone()],
        ["newest release".to_owned(), newest],
        [
            "nodes".to_owned(),
            studied
                .as_ref()
                .map_or("not known".to_owned(), |one| one.compiled.manifest.nodes.len().to_string()),
        ],
    ];
    ui.print(&columns(["what", "is"], &rows))?;
    read?;
    ui.line("all checks passed");
    Ok(ExitCode::SUCCESS)
}

/// The variables and files that credentials of stores may be in, without what they say.
fn credentials(env: &std::collections::BTreeMap<String, String>) -> String {
    let of_stores = ["AWS_", "GOOGLE_", "AZURE_"];
    // Whom to believe lets nobody in.
    let is_one =
        |name: &str| of_stores.iter().any(|of| name.starts_with(of)) && !name.ends_with("_CA_BUNDLE");
    let set = env.iter().filter(|(name, value)| !value.is_empty() && is_one(name));
    let mut found: Vec<String> = set.map(|(name, _)| name.clone()).collect();
    if let Some(home) = env.get("HOME") {
        let files =
            [".aws/credentials", ".aws/config", ".config/gcloud/application_default_credentials.json"];
        let there = files.iter().filter(|file| std::path::Path::new(home).join(file).is_file());
        found.extend(there.map(|file| format!("~/{file}")));
    }
    match found.is_empty() {
        true => "none of the environment's; a machine's or container's own role may do".to_owned(),
        false => found.join(", "),
    }
}
