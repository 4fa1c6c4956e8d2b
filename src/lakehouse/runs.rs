//! What is kept of runs, and for how long?
//!
//! A report stays until it is older than `elt.yml` says, which says nothing at first: then all stay. One that holds what no
//! release remembers yet is never too old. [`RunsSeen`] is what a server tells of the last of them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStoreExt};
use serde_json::Value;

use super::{Lakehouse, Maintained, Remembered};
use crate::base::{Result, SourceText, TableName, parse_instant};
use crate::lake::{LakeError, layout};
use crate::project::{USERS_FILE, read_run_retention};
use crate::release;

/// So many reports are deleted at once.
const AT_ONCE: usize = 16;

/// The last run that a lake knows of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LastRun {
    /// What was asked: `build`, `test` …
    pub command: String,
    /// How it ended: `success`, `error`, `interrupted`, `died`, `withdrawn`.
    pub status: String,
    /// When it began.
    pub began: Option<DateTime<Utc>>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How many of its nodes ended in which way.
    pub nodes: BTreeMap<String, u64>,
}

/// What is known of the last runs, and up to when: asked again, only what is newer is read.
#[derive(Debug, Default)]
pub struct RunsSeen {
    upto: Option<DateTime<Utc>>,
    /// The last one.
    pub last: Option<LastRun>,
    /// The last one of each schedule that has run.
    pub schedules: BTreeMap<String, Remembered>,
}

impl Lakehouse {
    /// Brings what is known of the last runs up to date. Lists all reports, and reads those that are new.
    ///
    /// # Errors
    /// The lake cannot be read, or `elt.yml`.
    pub async fn look_at_runs(&self, seen: &mut RunsSeen) -> Result<()> {
        let lake = self.tables.lake();
        let mut listed = lake.list(&layout::RUNS.into()).await?;
        listed.retain(|report| seen.upto.is_none_or(|upto| report.last_modified > upto));
        let Some(newest) = listed.iter().max_by_key(|report| report.last_modified) else { return Ok(()) };
        if let Some(report) = lake.read_json::<Value>(&newest.location).await? {
            seen.last = Some(last_run(&report));
        }
        let names: Vec<String> = self.schedules()?.into_iter().map(|schedule| schedule.name).collect();
        if !names.is_empty() {
            seen.schedules.extend(self.last_runs_of(&names, &listed).await?);
        }
        seen.upto = Some(newest.last_modified);
        Ok(())
    }

    /// Deletes the reports of runs that are kept no longer, and says how many.
    pub(super) async fn clean_runs(&self, dry_run: bool) -> Result<Option<Maintained>> {
        let text = self.users_text()?;
        let Some(days) = read_run_retention(&SourceText::new(USERS_FILE, &text))? else { return Ok(None) };
        let lake = self.tables.lake();
        let Some(mut since) = self.world.now().checked_sub_signed(chrono::Duration::days(days.into())) else {
            return Ok(None);
        };
        // What a run found out and no release has is in its report only.
        if let Some(at) = release::latest(lake).await?.and_then(|newest| newest.memory_at()) {
            let sealed = lake.list(&layout::RELEASES.into()).await?;
            let sealed = sealed.iter().find(|object| object.location == layout::release(at));
            since = sealed.map_or(since, |sealed| since.min(sealed.last_modified));
        }
        let mut old: Vec<ObjectMeta> = lake.list(&layout::RUNS.into()).await?;
        old.retain(|report| report.last_modified < since);
        if old.is_empty() {
            return Ok(None);
        }
        let detail = match old.len() {
            1 => format!("1 report is older than {days} days"),
            count => format!("{count} reports are older than {days} days"),
        };
        if !dry_run {
            let deleted = old.into_iter().map(|report| async move {
                match lake.store().delete(&report.location).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                    Err(error) => Err(LakeError::of_store(report.location.to_string(), error)),
                }
            });
            let () = futures::stream::iter(deleted).buffer_unordered(AT_ONCE).try_collect().await?;
        }
        let table = TableName::new("elt", "runs").expect("it is a name");
        Ok(Some(Maintained { table, action: "run cleanup", detail }))
    }
}

fn last_run(report: &Value) -> LastRun {
    let text = |key: &str| report[key].as_str().unwrap_or_default().to_owned();
    let mut nodes = BTreeMap::new();
    for status in
        report["results"].as_array().into_iter().flatten().filter_map(|step| step["status"].as_str())
    {
        *nodes.entry(status.to_owned()).or_insert(0) += 1;
    }
    LastRun {
        command: text("command"),
        status: text("status"),
        began: report["started_at"].as_str().and_then(parse_instant),
        seconds: report["elapsed_seconds"].as_f64().unwrap_or_default(),
        nodes,
    }
}
