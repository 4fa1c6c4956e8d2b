//! Wait, run, tell, and wait again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::json;

use super::super::{Built, Lakehouse, Verdict};
use super::{Attendant, Remembered, ScheduleNews, Scheduled, ScheduledRun, request_of};
use crate::base::{Error, ReleaseNumber, Result};
use crate::project::{Catchup, Schedule};

/// A schedule, and how far it is.
struct Kept {
    schedule: Schedule,
    /// The time that was dealt with last.
    seen: DateTime<Utc>,
    /// Whether its last run failed.
    is_failing: bool,
    /// A time whose run was broken off and is made up for, and which try that is.
    again: Option<(DateTime<Utc>, u32)>,
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
        self.find_dead_runs(attendant.watch()).await?;
        let names: Vec<String> = schedules.iter().map(|schedule| schedule.name.clone()).collect();
        let last = self.last_runs(&names).await?;
        let now = self.world.now();
        let begin = |schedule: Schedule| kept(schedule, &last, now);
        let mut all: Vec<Kept> = schedules.into_iter().map(begin).collect();
        for kept in &mut all {
            if let Some(known) = last.get(&kept.schedule.name) {
                kept.again = self.broken_off(kept, known, now, attendant).await?;
            }
        }
        // The lake may go away and leave its place to another one that is made there.
        let mut newest = self.pins().await?.release;
        while !attendant.is_over() {
            let broken_off = all.iter_mut().enumerate().find_map(|(at, kept)| Some((at, kept.again.take()?)));
            let now = self.world.now();
            let next = || {
                let next = all.iter().enumerate().filter_map(|(at, kept)| {
                    let (due, left_out) = kept.due(now);
                    Some((*due.first()?, at, left_out))
                });
                next.min()
            };
            let due = match broken_off {
                Some((at, (time, attempt))) => Some((time, at, attempt)),
                None => match next() {
                    Some((time, at, left_out)) => {
                        let kept = &mut all[at];
                        if left_out > 0 && kept.schedule.catchup == Catchup::None {
                            let schedule = kept.schedule.name.clone();
                            attendant.news(&ScheduleNews::Missed { schedule, times: left_out });
                        }
                        kept.seen = time;
                        Some((time, at, 1))
                    }
                    None => None,
                },
            };
            if let Some((time, at, attempt)) = due {
                let kept = &mut all[at];
                let run = match self.is_lake_gone(newest).await {
                    Some(error) => Some(self.cannot_run(&kept.schedule, (time, attempt), error, attendant)),
                    None => self.run_due(&kept.schedule, time, attempt, attendant).await?,
                };
                let Some(run) = run else { return Ok(()) };
                newest = newest.max(run.release);
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

    /// Why nothing can be run any more: the lake that schedules were kept of is not in its place, or an older one is. What
    /// cannot be asked is told by the run itself.
    async fn is_lake_gone(&self, newest: Option<ReleaseNumber>) -> Option<String> {
        let (newest, pins) = (newest?, self.pins().await.ok()?);
        let there = match pins.release {
            Some(release) if release >= newest => return None,
            Some(release) => format!("one is there that ends with release {release}"),
            None => "there is none".to_owned(),
        };
        let lake = self.tables.lake();
        Some(format!("the lake, of which release {newest} was seen, is gone from {lake}: {there}"))
    }

    /// A run that is not begun, which is told as any failure.
    fn cannot_run(
        &self,
        schedule: &Schedule,
        (at, tries): (DateTime<Utc>, u32),
        error: String,
        attendant: &dyn Attendant,
    ) -> ScheduledRun {
        let run = ScheduledRun {
            schedule: schedule.name.clone(),
            at,
            began: self.world.now(),
            took: Duration::ZERO,
            tries,
            run: None,
            release: None,
            error: Some(error),
        };
        attendant.news(&ScheduleNews::Ended(run.clone()));
        run
    }

    /// Runs one schedule now, as if its time had come.
    pub async fn run_schedule(
        &self,
        schedule: &Schedule,
        attendant: &dyn Attendant,
    ) -> Result<Option<ScheduledRun>> {
        self.find_dead_runs(attendant.watch()).await?;
        let last = self.last_runs(std::slice::from_ref(&schedule.name)).await?;
        if let Some(known) = last.get(&schedule.name) {
            self.tell_of_death(schedule, known, attendant).await?;
        }
        let was_failing = last.get(&schedule.name).is_some_and(Remembered::is_bad);
        let run = self.run_due(schedule, self.world.now(), 1, attendant).await?;
        if let Some(run) = &run {
            self.notify(schedule, run, was_failing, attendant).await;
        }
        Ok(run)
    }

    /// What becomes of a last run that was broken off: of one whose process died is told as of any failure, once; it is made up
    /// for as long as there are tries left, or as missed runs are, at least once. One that was called off was stopped by
    /// somebody, and is made up for as missed runs are.
    async fn broken_off(
        &self,
        kept: &Kept,
        known: &Remembered,
        now: DateTime<Utc>,
        attendant: &dyn Attendant,
    ) -> Result<Option<(DateTime<Utc>, u32)>> {
        let schedule = &kept.schedule;
        let has_died = known.ended == "died";
        if !has_died && known.ended != "interrupted" {
            return Ok(None);
        }
        self.tell_of_death(schedule, known, attendant).await?;
        let tries = self.tries_of(&schedule.name, known.at).await?.max(1);
        let as_missed = u32::from(schedule.catchup != Catchup::None);
        let most = if has_died { schedule.retries.max(as_missed) } else { as_missed };
        // The run for a later time stands for this one too.
        let comes_anyway = schedule.catchup == Catchup::Last && !kept.due(now).0.is_empty();
        if tries <= most && !comes_anyway {
            return Ok(Some((known.at, tries + 1)));
        }
        if !comes_anyway {
            let (schedule, at) = (schedule.name.clone(), known.at);
            attendant.news(&ScheduleNews::LeftOff { schedule, at });
        }
        Ok(None)
    }

    /// Tells of a run whose process died as of any failure, once.
    async fn tell_of_death(
        &self,
        schedule: &Schedule,
        known: &Remembered,
        attendant: &dyn Attendant,
    ) -> Result<()> {
        if known.ended != "died" || known.is_told {
            return Ok(());
        }
        let run = ScheduledRun {
            schedule: schedule.name.clone(),
            at: known.at,
            began: known.began.unwrap_or(known.at),
            took: Duration::ZERO,
            tries: self.tries_of(&schedule.name, known.at).await?.max(1),
            run: Some(known.run.clone()),
            release: known.release.map(ReleaseNumber),
            error: known.error.clone(),
        };
        attendant.news(&ScheduleNews::Ended(run.clone()));
        self.notify(schedule, &run, false, attendant).await;
        self.was_told(&known.run).await
    }

    /// Runs a schedule, from the given try on as often as it says; nothing if it is called off, or is to stop in between.
    async fn run_due(
        &self,
        schedule: &Schedule,
        at: DateTime<Utc>,
        first: u32,
        attendant: &dyn Attendant,
    ) -> Result<Option<ScheduledRun>> {
        let mut request = request_of(schedule)?;
        let scheduled = Scheduled { schedule: schedule.name.clone(), at };
        request.scheduled = Some(scheduled.clone());
        request.time = schedule.timeout;
        let mut attempt = first;
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
    let is_failing = known.is_some_and(Remembered::is_bad);
    Kept { schedule, seen, is_failing, again: None }
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
