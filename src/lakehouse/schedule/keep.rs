//! Wait, run, tell, and wait again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::json;

use super::super::{Built, Lakehouse, Verdict};
use super::{Attendant, Remembered, ScheduleNews, Scheduled, ScheduledRun, request_of};
use crate::base::{Error, ReleaseNumber, Result};
use crate::project::{Catchup, Schedule};
use crate::release;

/// A schedule, and how far it is.
struct Kept {
    schedule: Schedule,
    /// The time that was dealt with last.
    seen: DateTime<Utc>,
    /// Whether its last run failed.
    is_failing: bool,
    /// A time whose run was cut off, and is to be run again.
    again: Option<DateTime<Utc>>,
}

impl Kept {
    /// The times that have come since, the oldest first; only those that are to be run, and how many are left out.
    fn due(&self, now: DateTime<Utc>) -> (Vec<DateTime<Utc>>, usize) {
        let (mut due, mut at) = (Vec::new(), self.seen);
        while let Some(next) = self.schedule.times.next(at).filter(|next| *next <= now) {
            due.push(next);
            at = next;
        }
        let left_out = match self.schedule.catchup {
            Catchup::All => 0,
            Catchup::None | Catchup::Last => due.len().saturating_sub(1),
        };
        (due.split_off(left_out), left_out)
    }
}

impl Lakehouse {
    /// Keeps the schedules of `elt.yml` until the attendant says that it is enough. Those that are missed while nobody keeps
    /// them are dealt with as they say; of those that come while another run is at work, the newest is run once.
    ///
    /// # Errors
    /// There are none, or another process keeps them already.
    pub async fn keep_schedules(&self, attendant: &dyn Attendant) -> Result<()> {
        let schedules = self.checked_schedules().await?;
        if schedules.is_empty() {
            let help = "write `schedules: {nightly: {cron: '0 2 * * *'}}`";
            return Err(Error::user("elt::schedule", "elt.yml has no schedules", help));
        }
        let _lock = self.tables.lake().lock_schedules(&self.world)?;
        // Runs whose processes died are known for it from now on, unless somebody is writing.
        self.find_dead_runs(attendant.watch()).await?;
        let names: Vec<String> = schedules.iter().map(|schedule| schedule.name.clone()).collect();
        let last = self.last_runs(&names).await?;
        let now = self.world.now();
        let begin = |schedule: Schedule| kept(schedule, &last, now);
        let mut all: Vec<Kept> = schedules.into_iter().map(begin).collect();
        for kept in &mut all {
            if let Some(known) = last.get(&kept.schedule.name) {
                self.go_on_from(kept, known, attendant).await?;
            }
        }
        let mut newest = self.newest_release().await?;
        while !attendant.is_over() {
            let now = self.world.now();
            let next = all.iter().enumerate().filter_map(|(at, kept)| {
                if let Some(again) = kept.again {
                    return Some((again, at, 0));
                }
                let (due, left_out) = kept.due(now);
                Some((*due.first()?, at, left_out))
            });
            if let Some((time, at, left_out)) = next.min() {
                let kept = &mut all[at];
                if left_out > 0 && kept.schedule.catchup == Catchup::None {
                    let schedule = kept.schedule.name.clone();
                    attendant.news(&ScheduleNews::Missed { schedule, times: left_out });
                }
                kept.seen = kept.seen.max(time);
                kept.again = None;
                let run = match self.still_the_lake(newest).await {
                    Ok(()) => self.run_due(&kept.schedule, time, attendant).await?,
                    Err(gone) => {
                        let run = not_begun(&kept.schedule, time, now, gone.to_string());
                        attendant.news(&ScheduleNews::Ended(run.clone()));
                        Some(run)
                    }
                };
                let Some(run) = run else { return Ok(()) };
                newest = newest.max(self.newest_release().await.unwrap_or(newest));
                let was_failing = std::mem::replace(&mut kept.is_failing, run.error.is_some());
                self.notify(&kept.schedule, &run, was_failing, attendant).await;
                continue;
            }
            let mut waiting: Vec<(String, DateTime<Utc>)> = all
                .iter()
                .filter_map(|kept| {
                    Some((kept.schedule.name.clone(), kept.schedule.times.next(now.max(kept.seen))?))
                })
                .collect();
            waiting.sort_by_key(|(_, at)| *at);
            let Some((_, first)) = waiting.first().cloned() else { return Ok(()) };
            attendant.news(&ScheduleNews::Waiting(waiting));
            while self.world.now() < first {
                if !attendant.until(first).await {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Sees to what a process before this one was at: what was cut off is run again if missed times are caught up with, or if
    /// it may be retried once more; else it is told, and a death is a failure.
    async fn go_on_from(&self, kept: &mut Kept, known: &Remembered, attendant: &dyn Attendant) -> Result<()> {
        if !matches!(known.ended, "died" | "interrupted") {
            return Ok(());
        }
        let scheduled = Scheduled { schedule: kept.schedule.name.clone(), at: known.at };
        let retries = if known.ended == "died" { kept.schedule.retries as usize } else { 0 };
        let most = retries.max(usize::from(kept.schedule.catchup != Catchup::None));
        let again = self.runs_for(&scheduled).await? <= most;
        attendant.news(&ScheduleNews::CutOff { scheduled, how: known.ended, again });
        // Nobody was told of a failure yet, so there is none to recover from.
        kept.is_failing = false;
        if again {
            kept.again = Some(known.at);
        } else if known.ended == "died" {
            kept.is_failing = true;
            let why = known.error.clone().unwrap_or_else(|| "its process died".to_owned());
            let mut run = not_begun(&kept.schedule, known.at, known.at, why);
            run.run = Some(known.run.clone());
            attendant.news(&ScheduleNews::Ended(run.clone()));
            // Whoever keeps schedules may begin again and again before they run next.
            if !known.is_told {
                self.notify(&kept.schedule, &run, false, attendant).await;
                self.was_told(&known.run).await?;
            }
        }
        Ok(())
    }

    async fn newest_release(&self) -> Result<Option<ReleaseNumber>> {
        Ok(release::latest(self.tables.lake()).await?.map(|release| release.number))
    }

    /// Nothing is to be written where another lake is, or none.
    async fn still_the_lake(&self, before: Option<ReleaseNumber>) -> Result<()> {
        match gone_since(before, self.newest_release().await?) {
            None => Ok(()),
            Some(what) => Err(Error::user(
                "elt::schedule::lake",
                what,
                "bring it back, or begin again with `elt schedule`",
            )),
        }
    }

    /// Runs one schedule now, as if its time had come.
    pub async fn run_schedule(
        &self,
        schedule: &Schedule,
        attendant: &dyn Attendant,
    ) -> Result<Option<ScheduledRun>> {
        let last = self.last_runs(std::slice::from_ref(&schedule.name)).await?;
        let was_failing = last.get(&schedule.name).is_some_and(|last| !last.is_well());
        let run = self.run_due(schedule, self.world.now(), attendant).await?;
        if let Some(run) = &run {
            self.notify(schedule, run, was_failing, attendant).await;
        }
        Ok(run)
    }

    /// Runs a schedule, as often as it says; nothing if it is called off, or is to stop in between.
    async fn run_due(
        &self,
        schedule: &Schedule,
        at: DateTime<Utc>,
        attendant: &dyn Attendant,
    ) -> Result<Option<ScheduledRun>> {
        let mut request = request_of(schedule)?;
        let scheduled = Scheduled { schedule: schedule.name.clone(), at };
        request.scheduled = Some(scheduled.clone());
        request.time = schedule.timeout;
        let mut attempt = 1;
        loop {
            attendant.news(&ScheduleNews::Begun { scheduled: scheduled.clone(), attempt });
            let (began, clock) = (self.world.now(), Instant::now());
            let id = self.world.id();
            let built = async {
                // Each run is an invocation of its own, of the project as it is now.
                let mut own = Self { invocation: Some(id.clone()), ..self.clone() };
                if let Some(target) = &schedule.target {
                    own = own.with_target(target)?;
                }
                Box::pin(own.build(&request, attendant.watch())).await
            };
            let built = Box::pin(built).await;
            let mut run = ScheduledRun {
                schedule: schedule.name.clone(),
                at,
                began,
                took: clock.elapsed(),
                tries: attempt,
                run: built.as_ref().ok().map(|built| built.run.clone()),
                release: built
                    .as_ref()
                    .ok()
                    .and_then(|built| built.release.as_ref())
                    .map(|release| release.number),
                error: match &built {
                    Ok(built) => why_not(built),
                    Err(error) => Some(error.to_string()),
                },
            };
            if let Err(error) = &built {
                self.record_failure(&id, &schedule.command, &run).await;
                run.run = Some(id);
                if error.is_stop() {
                    attendant.news(&ScheduleNews::Ended(run));
                    return Ok(None);
                }
            }
            let Some(because) = run.error.clone().filter(|_| attempt <= schedule.retries) else {
                attendant.news(&ScheduleNews::Ended(run.clone()));
                return Ok(Some(run));
            };
            let delay = chrono::Duration::from_std(schedule.retry_delay).unwrap_or_default();
            let again = self.world.now() + delay;
            attendant.news(&ScheduleNews::Again { schedule: schedule.name.clone(), because, at: again });
            while self.world.now() < again {
                if !attendant.until(again).await {
                    return Ok(None);
                }
            }
            attempt += 1;
        }
    }

    /// Tells of a failure, and of the first run that is well after one.
    async fn notify(
        &self,
        schedule: &Schedule,
        run: &ScheduledRun,
        was_failing: bool,
        attendant: &dyn Attendant,
    ) {
        let Some(url) = &schedule.webhook else { return };
        let name = &schedule.name;
        let (event, text) = match (&run.error, was_failing) {
            (Some(why), _) => ("failure", format!("elt: the schedule `{name}` failed: {why}")),
            (None, true) => ("recovery", format!("elt: the schedule `{name}` is well again")),
            (None, false) => return,
        };
        let message = json!({
            "event": event,
            "text": text,
            "schedule": name,
            "scheduled_for": run.at,
            "run": run.run,
            "release": run.release,
            "tries": run.tries,
            "elapsed_seconds": run.took.as_secs_f64(),
            "error": run.error,
            "project": self.root.file_name().map(|name| name.to_string_lossy().into_owned()),
            "host": self.world.host,
        });
        if let Err(because) = attendant.send(url, &message).await {
            attendant.news(&ScheduleNews::NotTold { schedule: name.clone(), because });
        }
    }
}

fn kept(schedule: Schedule, last: &BTreeMap<String, Remembered>, now: DateTime<Utc>) -> Kept {
    let known = last.get(&schedule.name);
    let seen = match (schedule.catchup, known) {
        (Catchup::None, _) | (_, None) => now,
        (Catchup::Last | Catchup::All, Some(known)) => known.at.min(now),
    };
    let is_failing = known.is_some_and(|known| !known.is_well());
    Kept { schedule, seen, is_failing, again: None }
}

/// What is wrong with a lake that had this release before, and has that one now; nothing if it is the same lake.
///
/// Releases are numbered on, so a lake whose newest has a lower number than before is another one, or none: its disk is
/// not mounted any more.
pub(crate) fn gone_since(before: Option<ReleaseNumber>, now: Option<ReleaseNumber>) -> Option<String> {
    let number = |release: Option<ReleaseNumber>| {
        release.map_or_else(|| "no release".to_owned(), |number| format!("release {number}"))
    };
    (now < before).then(|| {
        let (had, has) = (number(before), number(now));
        format!("the lake had {had}, and has {has} now: it is gone, or another is in its place")
    })
}

/// A run that never began.
fn not_begun(schedule: &Schedule, at: DateTime<Utc>, now: DateTime<Utc>, why: String) -> ScheduledRun {
    ScheduledRun {
        schedule: schedule.name.clone(),
        at,
        began: now,
        took: Duration::ZERO,
        tries: 1,
        run: None,
        release: None,
        error: Some(why),
    }
}

/// What went wrong in a build, in a line; nothing if it is well.
fn why_not(built: &Built) -> Option<String> {
    if built.is_well() {
        return None;
    }
    let bad = built.steps.iter().filter(|step| step.verdict.is_bad());
    let said: Vec<String> = bad
        .filter_map(|step| match &step.verdict {
            Verdict::Failed(sample) => Some(format!("`{}` failed: {}", step.name, sample.count_words())),
            Verdict::Broken(error) | Verdict::Partly(_, error) => Some(format!("`{}`: {error}", step.name)),
            _ => None,
        })
        .collect();
    let unread = built.unread_files();
    let first = said.first().cloned();
    let first = first.unwrap_or_else(|| format!("{unread} files could not be read"));
    Some(match said.len() {
        0 | 1 => first,
        many => format!("{first}; and {} more", many - 1),
    })
}
