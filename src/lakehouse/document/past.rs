//! What happened before: runs, and what was published?

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::base::{Result, TableName};
use crate::lake::{Lake, layout};
use crate::release::{self, Release};

/// The newest runs that are shown.
const RUNS: usize = 100;
/// Steps of them that are shown, whole runs at a time; the newest run is shown however many it has.
const STEPS: usize = 250_000;
/// The newest releases that are shown.
const RELEASES: usize = 200;
/// As many reports of runs are read to find the newest by what they say, and not by the time of their files.
const READ_ALL: usize = 500;
/// Documents that are read at once.
const AT_ONCE: usize = 16;

/// The newest runs and releases, the newest first.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// The reports of runs, as they are kept.
    pub(super) runs: Vec<Value>,
    /// How many runs there are.
    pub(super) run_count: usize,
    /// The releases that were published, or were to be.
    pub(super) releases: Vec<Release>,
}

/// Reads what is kept of the newest runs and releases.
///
/// Takes a listing of each, and a read for each that is shown.
pub(super) async fn past(lake: &Lake) -> Result<Past> {
    let mut listed = lake.list(&layout::RUNS.into()).await?;
    let run_count = listed.len();
    if listed.len() > READ_ALL {
        // Names tell nothing of time. A run's report is written when it ends, and never again.
        listed.sort_by_key(|object| std::cmp::Reverse(object.last_modified));
        listed.truncate(RUNS);
    }
    let read = futures::stream::iter(listed)
        .map(|object| async move { lake.read_json::<Value>(&object.location).await });
    let read: Vec<Option<Value>> = read.buffer_unordered(AT_ONCE).try_collect().await?;
    let mut runs: Vec<Value> = read.into_iter().flatten().collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run["started_at"].as_str().map(str::to_owned)));
    runs.truncate(RUNS);
    let mut steps = 0;
    runs.retain(|run| {
        let before = steps;
        steps += run["results"].as_array().map_or(0, Vec::len);
        before == 0 || steps <= STEPS
    });
    Ok(Past { runs, run_count, releases: release::list(lake, RELEASES).await? })
}

impl Past {
    /// The runs as the site has them, the newest first; `numbers` are the nodes' places in its list.
    ///
    /// A step is `[node, status, seconds, began, added, updated, removed, message]`, without what is null at its end. Steps
    /// of nodes that are no more are counted in `gone`.
    pub(super) fn runs(&self, numbers: &BTreeMap<&str, usize>) -> Value {
        let run = |run: &Value| {
            let all = run["results"].as_array().map_or(&[][..], Vec::as_slice);
            let steps: Vec<Value> = all.iter().filter_map(|one| step(one, numbers)).collect();
            json!({
                "id": run["run"], "command": run["command"], "at": run["started_at"], "took": run["elapsed_seconds"],
                "user": run["user"], "release": run["release"], "scheduled": run["scheduled"], "error": run["error"],
                "unchanged": run["up_to_date"], "gone": all.len() - steps.len(), "steps": steps,
            })
        };
        self.runs.iter().map(run).collect()
    }

    /// The releases as the site has them, the newest first.
    pub(super) fn releases(&self) -> Value {
        let release = |one: &Release| {
            json!({
                "number": one.number, "at": one.at, "user": one.user, "run": one.run, "kind": one.kind_words(),
                "published": one.is_published(), "because": one.abandoned_because(),
                "tables": one.tables.len(), "views": one.pins.views.len(), "of": one.pins.tables.len(),
            })
        };
        self.releases.iter().map(release).collect()
    }

    /// The versions of each table that these releases made, the newest first, each as
    /// `[version, release, operation, added, updated, removed, rows, bytes]`; the release by its place in the list.
    pub(super) fn versions(&self) -> BTreeMap<&TableName, Vec<Value>> {
        let mut versions: BTreeMap<&TableName, Vec<Value>> = BTreeMap::new();
        for (at, release) in self.releases.iter().enumerate().filter(|(_, release)| release.is_published()) {
            for one in &release.tables {
                // An operation that has a value is an object of that one member.
                let operation = match json!(one.operation) {
                    Value::Object(object) => object.keys().next().cloned().into(),
                    word => word,
                };
                let effect = &one.effect;
                versions.entry(&one.table).or_default().push(json!([
                    one.version,
                    at,
                    operation,
                    effect.added,
                    effect.updated,
                    effect.removed,
                    effect.rows_after,
                    effect.bytes
                ]));
            }
        }
        versions
    }
}

fn step(step: &Value, numbers: &BTreeMap<&str, usize>) -> Option<Value> {
    let number = numbers.get(step["unique_id"].as_str()?)?;
    let rows = &step["rows"];
    let mut told = vec![
        (*number).into(),
        step["status"].clone(),
        rounded(&step["execution_time"]),
        rounded(&step["began"]),
        rows["added"].clone(),
        rows["updated"].clone(),
        rows["removed"].clone(),
        step["message"].clone(),
    ];
    while told.last().is_some_and(Value::is_null) {
        told.pop();
    }
    Some(told.into())
}

/// Seconds to the tenth of a millisecond.
fn rounded(seconds: &Value) -> Value {
    seconds.as_f64().map_or(Value::Null, |seconds| ((seconds * 1e4).round() / 1e4).into())
}
