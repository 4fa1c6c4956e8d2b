//! `elt schedule`

mod attendant;
mod unit;

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{columns, print_json, print_text};
use crate::base::{Diagnostic, Error, ErrorKind, Result, World};
use crate::cli::args::{Place, ReportFormat, ScheduleArgs};
use crate::cli::ui::Ui;
use crate::lakehouse::{Lakehouse, Schedule};
use attendant::Keeper;

pub(crate) async fn run(args: ScheduleArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let options = place.options()?;
    let lakehouse = Lakehouse::create(&options, world.clone())?;
    if let Some(kind) = &args.print {
        let schedules = lakehouse.schedules()?;
        let unit =
            unit::Unit { schedules: &schedules, lakehouse: &lakehouse, world: &world, image: &args.image };
        print_text(unit.text(kind).trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.list {
        list(&lakehouse, args.next, args.format).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let keeper = Keeper::new(&world, ui, args.health_file);
    match args.run {
        Some(name) => {
            let schedule = lakehouse.schedule(&name)?;
            let ran = or_stopped(Box::pin(lakehouse.run_schedule(&schedule, &keeper)), ui).await?;
            let error = ran.flatten().and_then(|run| run.error);
            Ok(if error.is_none() { ExitCode::SUCCESS } else { ExitCode::from(1) })
        }
        None => {
            or_stopped(Box::pin(lakehouse.keep_schedules(&keeper)), ui).await?;
            keeper.stopped();
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Keeps the schedules beside other work, until that ends.
pub(in crate::cli) async fn beside(lakehouse: &Lakehouse, world: &World, ui: &Ui) -> Result<()> {
    let keeper = Keeper::new(world, ui, None);
    Box::pin(lakehouse.keep_schedules(&keeper)).await
}

/// Waits for the work, or for a signal to stop: nothing then, if the work could be dropped.
async fn or_stopped<T>(work: impl Future<Output = Result<T>>, ui: &Ui) -> Result<Option<T>> {
    let mut work = Box::pin(work);
    let mut stop = Box::pin(super::serve::told_to_stop());
    tokio::select! {
        done = &mut work => return done.map(Some),
        () = &mut stop => {}
    }
    if !ui.is_publishing() {
        ui.settle();
        ui.line("stopped; what was being built is not published");
        return Ok(None);
    }
    // It takes moments, and the next run is not begun: the publishing is over when it comes back to waiting.
    ui.line("stopping as soon as the release is out");
    while ui.is_publishing() {
        tokio::select! {
            done = &mut work => return done.map(Some),
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
        }
    }
    Ok(None)
}

/// When each schedule runs next, and how it went last.
async fn list(lakehouse: &Lakehouse, next: usize, format: ReportFormat) -> Result<()> {
    let schedules = lakehouse.schedules()?;
    let names: Vec<String> = schedules.iter().map(|schedule| schedule.name.clone()).collect();
    let last = lakehouse.last_runs(&names).await?;
    let now = lakehouse.world().now();
    let mut rows: Vec<(DateTime<Utc>, [String; 6])> = Vec::new();
    let mut all: Vec<Value> = Vec::new();
    for schedule in &schedules {
        let times = times(schedule, now, next);
        let known = last.get(&schedule.name);
        let ended = known.map(|last| if last.is_well { "well" } else { "failed" });
        all.push(json!({
            "schedule": schedule.name, "cron": schedule.times.cron, "timezone": schedule.times.zone.name(),
            "next": times, "last": known.map(|last| last.at), "last_ended": ended,
        }));
        for at in times {
            rows.push((
                at,
                [
                    at.with_timezone(&schedule.times.zone).format("%Y-%m-%d %H:%M %Z").to_string(),
                    schedule.name.clone(),
                    schedule.times.cron.clone(),
                    command(schedule),
                    known
                        .map(|last| {
                            last.at.with_timezone(&schedule.times.zone).format("%Y-%m-%d %H:%M").to_string()
                        })
                        .unwrap_or_default(),
                    ended.unwrap_or("never ran").to_owned(),
                ],
            ));
        }
    }
    if format == ReportFormat::Json {
        return print_json(&json!(all));
    }
    if schedules.is_empty() {
        let what = Diagnostic::error("elt::schedule", "elt.yml has no schedules");
        let what = what.help("write `schedules: {nightly: {cron: '0 2 * * *'}}`");
        return Err(Error::new(ErrorKind::User, what));
    }
    rows.sort();
    let rows: Vec<[String; 6]> = rows.into_iter().map(|(_, row)| row).collect();
    print_text(&columns(["next", "schedule", "cron", "runs", "last", "ended"], &rows))
}

fn times(schedule: &Schedule, now: DateTime<Utc>, most: usize) -> Vec<DateTime<Utc>> {
    let mut at = now;
    let mut times = Vec::new();
    while let Some(next) = schedule.times.next(at).filter(|_| times.len() < most) {
        times.push(next);
        at = next;
    }
    times
}

/// What a schedule runs, as it would be typed.
fn command(schedule: &Schedule) -> String {
    let mut words = vec![schedule.command.clone()];
    for (flag, selected) in [("--select", &schedule.select), ("--exclude", &schedule.exclude)] {
        if !selected.is_empty() {
            words.push(format!("{flag} {}", selected.join(" ")));
        }
    }
    words.extend(schedule.target.iter().map(|target| format!("--target {target}")));
    words.join(" ")
}
