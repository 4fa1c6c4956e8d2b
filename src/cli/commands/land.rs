//! `elt land`

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::columns;
use crate::base::{Ending, ErrorKind, Event, Result, Watch, World, grouped};
use crate::cli::args::{LandArgs, Place, ReportFormat};
use crate::cli::or_interrupted;
use crate::cli::ui::Ui;
use crate::lakehouse::{FileOutcome, Lakehouse, LandOrder, Landed, Portion};

pub(crate) async fn run(args: LandArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let options = place.options()?;
    let lakehouse =
        if args.dry_run { Lakehouse::open(&options, world)? } else { Lakehouse::create(&options, world)? };
    let (input, files): (Vec<String>, Vec<String>) = args.files.iter().cloned().partition(|file| file == "-");
    let mut order = LandOrder {
        table: args.table.clone(),
        files: from_here(&files),
        options: args.option.clone(),
        wait: args.wait,
        dry_run: args.dry_run,
        ..LandOrder::default()
    };
    if !input.is_empty() {
        order.at_hand.push(lakehouse.take_in(&mut std::io::stdin().lock())?);
    }
    if args.force {
        order.options.push(("force".to_owned(), "true".to_owned()));
    }
    if let Some(most) = args.max_rejected {
        order.options.push(("max_rejected".to_owned(), most.to_string()));
    }
    if args.follow {
        order.portion = Some(Portion {
            files: args.max_files_per_trigger,
            bytes: args.max_bytes_per_trigger.unwrap_or(u64::MAX),
        });
        return follow(&lakehouse, order, args.interval.max(Duration::from_millis(50)), args.format, ui)
            .await;
    }
    let landed = or_interrupted(lakehouse.land_files(&order, ui), ui).await?;
    ui.settle();
    show(&landed, args.format, ui)?;
    match &landed.release {
        Some(release) => ui.line(&format!("published release {}", release.number)),
        None if args.dry_run => ui.line("dry run: nothing was written"),
        None => ui.line("nothing new to publish"),
    }
    // What could be read is landed; a scheduler has to hear of the rest.
    let unread = landed.report.failed().next().is_some();
    Ok(if unread { ExitCode::from(ErrorKind::Data.exit_code()) } else { ExitCode::SUCCESS })
}

const STOPPED: &str = "stopped; everything published is complete";

/// Lands what arrives until Ctrl-C. What goes by itself is tried again; what does not, ends it.
async fn follow(
    lakehouse: &Lakehouse,
    order: LandOrder,
    interval: Duration,
    format: ReportFormat,
    ui: &Ui,
) -> Result<ExitCode> {
    let order = LandOrder { settle: Some(interval), ..order };
    ui.line(&format!("following {}; Ctrl-C ends it", order.table));
    let mut left_out = BTreeSet::new();
    // One for all the time: a Ctrl-C that comes while something is published must not be forgotten.
    let mut interrupted = Box::pin(ui.stopped());
    let mut is_last = false;
    while !is_last {
        let watch = Hushed(ui);
        let mut landing = Box::pin(lakehouse.land_files(&order, &watch));
        let landed = loop {
            tokio::select! {
                landed = &mut landing => break landed,
                _ = &mut interrupted, if !is_last => {
                    is_last = true;
                    if !ui.is_publishing() {
                        ui.line(STOPPED);
                        return Ok(ExitCode::SUCCESS);
                    }
                }
            }
        };
        let mut goes_on = false;
        match landed {
            Ok(mut landed) => {
                goes_on = landed.report.waiting > 0;
                // What is known is no news, and what was left out only once.
                landed.report.files.retain(|file| match file {
                    FileOutcome::Skipped { .. } => false,
                    FileOutcome::Loaded(_) | FileOutcome::Reloaded(_) => true,
                    other => left_out.insert(format!("{other:?}")),
                });
                if !landed.report.files.is_empty() {
                    show(&landed, format, ui)?;
                }
                if let Some(release) = &landed.release {
                    ui.line(&format!("published release {}", release.number));
                }
                ui.published();
            }
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Unavailable) => {
                ui.error(&error);
            }
            Err(error) => return Err(error),
        }
        if !is_last && !goes_on {
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                _ = &mut interrupted => is_last = true,
            }
        }
    }
    ui.line(STOPPED);
    Ok(ExitCode::SUCCESS)
}

/// Passes on only what has to be heard.
struct Hushed<'a>(&'a Ui);

impl Watch for Hushed<'_> {
    fn on(&self, event: Event) {
        if matches!(event, Event::Note(_) | Event::Said(_) | Event::Publishing) {
            self.0.on(event);
        }
    }
}

fn show(landed: &Landed, format: ReportFormat, ui: &Ui) -> Result<()> {
    if format == ReportFormat::Json {
        ui.print_json(&json!(landed))?;
    }
    let report = &landed.report;
    let rows: Vec<[String; 6]> = report.files.iter().map(|file| row(file, report.dry_run)).collect();
    if !rows.is_empty() {
        ui.line(&columns(["file", "outcome", "read", "loaded", "rescued", "rejected"], &rows));
    }
    for column in &report.added {
        ui.line(&format!("new column {} {}", column.name, column.data_type));
    }
    for column in &report.widened {
        ui.line(&format!("wider column {}: {} to {}", column.name, column.from, column.to));
    }
    for (_, error) in report.failed() {
        ui.line(&ui.paint(&format!("failed: {error}"), Ending::Failed));
    }
    for reject in &report.first_rejects {
        ui.line(&format!("rejected {reject}"));
    }
    Ok(())
}

/// Paths that a person types are relative to where that person is, not to the project's root.
fn from_here(files: &[String]) -> Vec<String> {
    let absolute = |file: &String| match std::path::absolute(file) {
        Ok(path) if !file.contains("://") => path.to_string_lossy().into_owned(),
        _ => file.clone(),
    };
    files.iter().map(absolute).collect()
}

fn row(file: &FileOutcome, dry_run: bool) -> [String; 6] {
    let bare = |path: &str, outcome: &str| {
        [path.to_owned(), outcome.to_owned(), String::new(), String::new(), String::new(), String::new()]
    };
    let (account, outcome) = match file {
        FileOutcome::Loaded(account) if dry_run => (account, "would be loaded"),
        FileOutcome::Reloaded(account) if dry_run => (account, "would be reloaded"),
        FileOutcome::Loaded(account) => (account, "loaded"),
        FileOutcome::Reloaded(account) => (account, "reloaded"),
        FileOutcome::Skipped { path } => return bare(path, "already loaded"),
        FileOutcome::Changed { path } => return bare(path, "changed, left as it is"),
        FileOutcome::Copy { path, of } => return bare(path, &format!("same bytes as {of}, left out")),
        FileOutcome::Empty { path } => return bare(path, "empty"),
        FileOutcome::Failed { path, .. } => return bare(path, "failed, left out"),
    };
    let counts = [account.read, account.loaded, account.rescued, account.rejected].map(grouped);
    let [read, loaded, rescued, rejected] = counts;
    [account.path.clone(), outcome.to_owned(), read, loaded, rescued, rejected]
}
