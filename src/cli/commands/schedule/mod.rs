//! `elt schedule`

mod attendant;
mod unit;

use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::columns;
use crate::base::{Diagnostic, Error, ErrorKind, Result, Stop, World, after};
use crate::cli::args::{Place, ReportFormat, ScheduleArgs};
use crate::cli::ui::Ui;
use crate::lakehouse::{Lakehouse, Schedule};
use attendant::Keeper;

pub(crate) async fn run(args: ScheduleArgs, place: &Place, world: World, ui: &Ui) -> Result<ExitCode> {
    let options = place.options()?;
    let lakehouse = Lakehouse::create(&options, world.clone())?;
    if let Some(kind) = &args.print {
        let schedules = lakehouse.checked_schedules().await?;
        let (lakehouse, image) = (&lakehouse, &args.image);
        let unit = unit::Unit { schedules: &schedules, lakehouse, world: &world, image, place };
        ui.print(unit.text(kind)?.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.list {
        list(&lakehouse, args.next, args.format, ui).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let keeper = Keeper::new(&world, ui, args.health_file);
    match args.run {
        Some(name) => {
            // Before the project is looked at: most minutes are not its time.
            let now = world.now();
            let is_early = |one: &Schedule| one.name == name && !one.times.is_in_minute(now);
            if args.if_due && lakehouse.schedules()?.iter().any(is_early) {
                return Ok(ExitCode::SUCCESS);
            }
            let schedule = lakehouse.schedule(&name).await?;
            let ran = Box::pin(lakehouse.run_schedule(&schedule, &keeper));
            match until_stopped(ran, &keeper, ui).await? {
                (_, Some(stop)) => Ok(ExitCode::from(stop.error(false).kind().exit_code())),
                (run, None) => {
                    let error = run.flatten().and_then(|run| run.error);
                    Ok(if error.is_none() { ExitCode::SUCCESS } else { ExitCode::from(1) })
                }
            }
        }
        None => {
            keep(&lakehouse, &keeper, ui).await?;
            keeper.stopped();
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Keeps the schedules beside other work, until it is told to stop.
pub(in crate::cli) async fn beside(lakehouse: &Lakehouse, world: &World, ui: &Ui) -> Result<()> {
    let keeper = Keeper::new(world, ui, None);
    keep(lakehouse, &keeper, ui).await
}

async fn keep(lakehouse: &Lakehouse, keeper: &Keeper<'_>, ui: &Ui) -> Result<()> {
    lakehouse.find_dead_runs(ui).await?;
    let names: Vec<String> = lakehouse.schedules()?.into_iter().map(|schedule| schedule.name).collect();
    keeper.remembers(lakehouse.last_runs(&names).await?);
    until_stopped(Box::pin(lakehouse.keep_schedules(keeper)), keeper, ui).await.map(drop)
}

/// What is at work when it is told to stop has so much time to write down how far it came.
const GRACE: Duration = Duration::from_secs(10);

/// Waits for the work, and for what it leaves when it is told to stop. It is called off by the same signal.
async fn until_stopped<T>(
    work: impl Future<Output = Result<T>>,
    keeper: &Keeper<'_>,
    ui: &Ui,
) -> Result<(Option<T>, Option<Stop>)> {
    let mut work = Box::pin(work);
    // Work that ends by the same signal did not end by itself.
    let stop = tokio::select! {
        biased;
        stop = ui.stopped() => stop,
        done = &mut work => return done.map(|done| (Some(done), None)),
    };
    keeper.stop();
    if ui.is_publishing() {
        ui.line("stopping as soon as the release is out");
    }
    let done = loop {
        tokio::select! {
            done = &mut work => break Some(done?),
            () = after(GRACE) => if !ui.is_publishing() { break None }
        }
    };
    ui.settle();
    ui.line("stopped");
    Ok((done, Some(stop)))
}

/// When each schedule runs next, and how it went last.
async fn list(lakehouse: &Lakehouse, next: usize, format: ReportFormat, ui: &Ui) -> Result<()> {
    let schedules = lakehouse.checked_schedules().await?;
    lakehouse.find_dead_runs(ui).await?;
    let names: Vec<String> = schedules.iter().map(|schedule| schedule.name.clone()).collect();
    let last = lakehouse.last_runs(&names).await?;
    let now = lakehouse.world().now();
    let mut rows: Vec<(DateTime<Utc>, [String; 6])> = Vec::new();
    let mut all: Vec<Value> = Vec::new();
    for schedule in &schedules {
        let times = times(schedule, now, next);
        let known = last.get(&schedule.name);
        let ended = known.map(|last| last.ended);
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
        return ui.print_json(&json!(all));
    }
    if schedules.is_empty() {
        let what = Diagnostic::error("elt::schedule", "elt.yml has no schedules");
        let what = what.help("write `schedules: {nightly: {cron: '0 2 * * *'}}`");
        return Err(Error::new(ErrorKind::User, what));
    }
    rows.sort();
    let rows: Vec<[String; 6]> = rows.into_iter().map(|(_, row)| row).collect();
    ui.print(&columns(["next", "schedule", "cron", "runs", "last", "ended"], &rows))
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
