//! When did a schedule run last, and how did it end?

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use futures::StreamExt;
use object_store::ObjectMeta;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::Lakehouse;
use super::{Scheduled, ScheduledRun};
use crate::base::{Result, Watch, parse_instant};
use crate::lake::{LakeError, layout};

/// So many reports are read at once.
const AT_ONCE: usize = 32;

/// What is known of the last run of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The time that it was to run at.
    pub at: DateTime<Utc>,
    /// The run's id.
    pub run: String,
    /// `well`, `failed`, `interrupted`, `died`, or `running`.
    pub ended: &'static str,
    /// Why it failed, as far as its report says.
    pub error: Option<String>,
    /// The release that it became.
    pub release: Option<u64>,
    /// Whether whoever is to be told of failures was told that its process died.
    pub is_told: bool,
}

impl Remembered {
    /// Whether it went well.
    pub fn is_well(&self) -> bool {
        self.ended == "well"
    }
}

/// What a report says of who asked for its run. There are thousands of reports, and each may have thousands of steps: the rest
/// is passed over.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    scheduled: Option<Scheduling>,
}

#[derive(Deserialize)]
struct Scheduling {
    schedule: String,
    at: String,
}

impl Lakehouse {
    /// The last run of each schedule, from the reports in the lake. Reads reports, the newest first, until it has them all.
    pub async fn last_runs(&self, schedules: &[String]) -> Result<BTreeMap<String, Remembered>> {
        let lake = self.tables.lake();
        let mut reports = lake.list(&layout::RUNS.into()).await?;
        reports.extend(lake.list(&layout::RUNNING.into()).await?);
        self.last_runs_of(schedules, &reports).await
    }

    /// The last run of each schedule that some reports tell of.
    pub(in crate::lakehouse) async fn last_runs_of(
        &self,
        schedules: &[String],
        reports: &[ObjectMeta],
    ) -> Result<BTreeMap<String, Remembered>> {
        let lake = self.tables.lake();
        let mut open: BTreeSet<&String> = schedules.iter().collect();
        let mut found: BTreeMap<String, Remembered> = BTreeMap::new();
        let mut reports: Vec<ObjectMeta> = reports.to_vec();
        reports.sort_by_key(|report| std::cmp::Reverse(report.last_modified));
        // All of them, if need be: a schedule that ran last before thousands of other runs did not never run.
        let read = reports.into_iter().map(|report| async move {
            let head = lake.read_json::<Head>(&report.location).await?;
            Ok::<_, LakeError>((report, head))
        });
        let mut read = std::pin::pin!(futures::stream::iter(read).buffered(AT_ONCE));
        while let Some((report, head)) = read.next().await.transpose()? {
            let Some(Scheduling { schedule, at }) = head.and_then(|head| head.scheduled) else { continue };
            let Some(at) = parse_instant(&at) else { continue };
            if open.take(&schedule).is_none() {
                continue;
            }
            if let Some(run) = lake.read_json::<Value>(&report.location).await? {
                found.insert(schedule, remembered(at, &run));
            }
            if open.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    /// Tells of runs whose processes died, unless somebody is writing to the lake: then the next who writes does.
    pub async fn find_dead_runs(&self, watch: &dyn Watch) -> Result<()> {
        let lake = self.tables.lake();
        if lake.folder().is_none() || lake.list(&layout::RUNNING.into()).await?.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.begin_writing("schedule", watch).await {
            tracing::debug!("nobody looked for runs that died: {error}");
        }
        Ok(())
    }

    /// Writes down that whoever is to be told of failures was told that a run's process died.
    pub(super) async fn was_told(&self, run: &str) -> Result<()> {
        let (lake, path) = (self.tables.lake(), layout::run(run));
        if let Some(mut report) = lake.read_json::<Value>(&path).await? {
            report["is_told"] = true.into();
            let bytes = serde_json::to_vec_pretty(&report).expect("reports are plain data");
            lake.put(&path, bytes).await?;
        }
        Ok(())
    }

    /// How many runs of a schedule there were for one of its times.
    pub(super) async fn runs_for(&self, scheduled: &Scheduled) -> Result<usize> {
        let lake = self.tables.lake();
        let reports = lake.list(&layout::RUNS.into()).await?.into_iter();
        let later = reports.filter(|report| report.last_modified >= scheduled.at);
        let read = later.map(|report| async move { lake.read_json::<Head>(&report.location).await });
        let mut read = std::pin::pin!(futures::stream::iter(read).buffered(AT_ONCE));
        let mut count = 0;
        while let Some(head) = read.next().await.transpose()? {
            let of = head.and_then(|head| head.scheduled);
            count += usize::from(of.is_some_and(|of| {
                of.schedule == scheduled.schedule && parse_instant(&of.at) == Some(scheduled.at)
            }));
        }
        Ok(count)
    }

    /// Keeps the report of a run that ended before it was one, and has none.
    pub(super) async fn record_failure(&self, id: &str, command: &str, run: &ScheduledRun) {
        if self.tables.lake().read(&layout::run(id)).await.is_ok_and(|known| known.is_some()) {
            return;
        }
        let scheduled = Scheduled { schedule: run.schedule.clone(), at: run.at };
        let report = json!({
            "run": id,
            "command": command,
            "status": "error",
            "started_at": run.began,
            "user": self.world.user,
            "release": null,
            "scheduled": scheduled,
            "results": [],
            "error": run.error,
            "elapsed_seconds": run.took.as_secs_f64(),
        });
        let bytes = serde_json::to_vec_pretty(&report).expect("reports are plain data");
        if let Err(error) = self.tables.lake().put(&layout::run(id), bytes).await {
            tracing::warn!("the report of run {id} was not kept: {error}");
        }
    }
}

fn remembered(at: DateTime<Utc>, run: &Value) -> Remembered {
    let results = run["results"].as_array().into_iter().flatten();
    let bad = |status: &str| matches!(status, "error" | "fail" | "skipped" | "partial success");
    let mut bad = results.filter(|result| result["status"].as_str().is_some_and(bad));
    let first = bad.next().map(|result| {
        let name = result["name"].as_str().unwrap_or_default();
        let why = result["message"].as_str().unwrap_or("failed");
        format!("`{name}`: {why}")
    });
    let error = run["error"].as_str().map(str::to_owned).or(first);
    let ended = match (run["status"].as_str(), &error) {
        (Some("interrupted"), _) => "interrupted",
        (Some("died"), _) => "died",
        (Some("running"), _) => "running",
        (_, Some(_)) => "failed",
        (_, None) => "well",
    };
    let id = run["run"].as_str().unwrap_or_default().to_owned();
    let is_told = run["is_told"] == true;
    Remembered { at, run: id, ended, error, release: run["release"].as_u64(), is_told }
}
