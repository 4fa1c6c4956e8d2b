//! What did builds do, step by step?

use std::collections::BTreeSet;

use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use futures::{FutureExt, StreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::rows::{Kind, Row, instant};
use super::{LakeCatalog, QueryError, Rows, SystemTable};
use crate::base::parse_instant;
use crate::lake::{LakeError, layout};
use crate::table::TableError;

pub(super) const RUNS: SystemTable = SystemTable {
    name: "runs",
    about: "what `elt build`, `run`, `test`, `seed`, `snapshot` and `retry` did",
    columns: &[
        ("run_id", Kind::Text),
        ("command", Kind::Text),
        ("status", Kind::Text),
        ("started_at", Kind::Instant),
        ("elapsed_seconds", Kind::Double),
        ("user_name", Kind::Text),
        ("release", Kind::Whole),
        ("num_steps", Kind::Whole),
        ("num_failed", Kind::Whole),
        ("num_warned", Kind::Whole),
        ("num_skipped", Kind::Whole),
        ("message", Kind::Text),
        ("rows_written", Kind::Whole),
        ("bytes_written", Kind::Whole),
        ("files_written", Kind::Whole),
        ("peak_memory_bytes", Kind::Whole),
        ("spilled_bytes", Kind::Whole),
        ("finished_at", Kind::Instant),
        ("target", Kind::Text),
        ("schedule", Kind::Text),
        ("scheduled_for", Kind::Instant),
        ("arguments", Kind::Text),
        ("host", Kind::Text),
        ("pid", Kind::Whole),
    ],
    rows: Rows::Read(|catalog| runs(catalog).boxed()),
};

pub(super) const MODEL_RUNS: SystemTable = SystemTable {
    name: "model_runs",
    about: "what each run did with each model, seed and snapshot",
    columns: &[
        ("run_id", Kind::Text),
        ("unique_id", Kind::Text),
        ("name", Kind::Text),
        ("resource_type", Kind::Text),
        ("action", Kind::Text),
        ("status", Kind::Text),
        ("is_published", Kind::Flag),
        ("rows_added", Kind::Whole),
        ("rows_updated", Kind::Whole),
        ("rows_removed", Kind::Whole),
        ("bytes_written", Kind::Whole),
        ("files_written", Kind::Whole),
        ("peak_memory_bytes", Kind::Whole),
        ("spilled_bytes", Kind::Whole),
        ("execution_time", Kind::Double),
        ("message", Kind::Text),
        ("path", Kind::Text),
        ("started_at", Kind::Instant),
        ("target", Kind::Text),
    ],
    rows: Rows::Read(|catalog| model_runs(catalog).boxed()),
};

pub(super) const TEST_RESULTS: SystemTable = SystemTable {
    name: "test_results",
    about: "what each run found by each test and each expectation",
    columns: &[
        ("run_id", Kind::Text),
        ("unique_id", Kind::Text),
        ("name", Kind::Text),
        ("resource_type", Kind::Text),
        ("status", Kind::Text),
        ("failures", Kind::Whole),
        ("sample", Kind::Text),
        ("execution_time", Kind::Double),
        ("message", Kind::Text),
        ("path", Kind::Text),
    ],
    rows: Rows::Read(|catalog| test_results(catalog).boxed()),
};

/// Documents that are read at once.
const AT_ONCE: usize = 16;

/// The report of a run, with as much of its steps as is asked for.
#[derive(Deserialize)]
struct Report<S> {
    #[serde(default)]
    run: Value,
    #[serde(default)]
    command: Value,
    started_at: Option<String>,
    #[serde(default)]
    elapsed_seconds: Value,
    #[serde(default)]
    user: Value,
    #[serde(default)]
    release: Value,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    error: Value,
    #[serde(default)]
    target: Value,
    #[serde(default)]
    scheduled: Value,
    #[serde(default)]
    arguments: Value,
    #[serde(default)]
    host: Value,
    #[serde(default)]
    pid: Value,
    #[serde(default = "Vec::new")]
    results: Vec<S>,
}

/// How a step ended, and what it took.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Ended {
    name: Value,
    message: Value,
    status: Option<String>,
    rows: Option<Moved>,
    files: Value,
    peak_memory_bytes: Value,
    spilled_bytes: Value,
}

/// What a step did.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Step {
    unique_id: String,
    name: Value,
    action: Value,
    status: Value,
    visibility: Value,
    rows: Option<Moved>,
    failures: Value,
    sample: Value,
    files: Value,
    peak_memory_bytes: Value,
    spilled_bytes: Value,
    began: Value,
    execution_time: Value,
    message: Value,
    place: Value,
    expectations: Vec<Expected>,
}

/// How many rows broke an expectation.
#[derive(Deserialize)]
struct Expected {
    name: String,
    on_violation: String,
    violated: u64,
    rows: u64,
}

/// How many rows a step moved.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Moved {
    added: Value,
    updated: Value,
    removed: Value,
    bytes: Value,
}

/// What `tell` says of the report of each run, the oldest first, as far as they tell when they were.
///
/// There may be tens of thousands, each with thousands of steps: what is not asked for is passed over while they are read, they
/// are read by as many threads as there are, and no more of them is kept than is told.
async fn reports<S, T>(
    catalog: &LakeCatalog,
    tell: impl Fn(Report<S>) -> T + Copy + Send + 'static,
) -> Result<impl Iterator<Item = T>, QueryError>
where
    S: DeserializeOwned + Send + 'static,
    T: Send + 'static,
{
    let lake = catalog.scope.tables().lake();
    let mut listed = lake.list(&layout::RUNS.into()).await.map_err(TableError::from)?;
    let ended: BTreeSet<String> =
        listed.iter().filter_map(|object| object.location.filename().map(str::to_owned)).collect();
    let mut running = lake.list(&layout::RUNNING.into()).await.map_err(TableError::from)?;
    running.retain(|object| !object.location.filename().is_some_and(|name| ended.contains(name)));
    listed.extend(running);
    let read = listed.into_iter().map(|object| {
        let lake = lake.clone();
        let told = async move {
            let report = lake.read_json::<Report<S>>(&object.location).await?;
            Ok::<_, LakeError>(report.map(|report| (report.started_at.clone(), tell(report))))
        };
        SpawnedTask::spawn(told).join_unwind()
    });
    let mut reports = Vec::new();
    let mut read = futures::stream::iter(read).buffered(AT_ONCE);
    while let Some(report) = read.next().await {
        let report = report.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?;
        reports.extend(report.map_err(TableError::from)?);
    }
    reports.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(reports.into_iter().map(|(_, told)| told))
}

async fn runs(catalog: &LakeCatalog) -> Result<Vec<Row>, QueryError> {
    Ok(reports(catalog, run_row).await?.collect())
}

fn run_row(run: Report<Ended>) -> Row {
    let count = |words: &[&str]| {
        let has = |step: &&Ended| step.status.as_deref().is_some_and(|status| words.contains(&status));
        run.results.iter().filter(has).count()
    };
    let (failed, warned, skipped) = (count(&["fail", "error"]), count(&["warn"]), count(&["skipped"]));
    let status = status(&run);
    // Of what nobody measured there is no sum.
    let numbers = |of: &dyn Fn(&Ended) -> Option<u64>| run.results.iter().filter_map(of).collect::<Vec<_>>();
    let sum = |of: &dyn Fn(&Ended) -> Option<u64>| -> Value {
        let all = numbers(of);
        (!all.is_empty()).then(|| all.iter().sum::<u64>()).into()
    };
    let totals = [
        sum(&|step| moved(step).map(|rows| whole_of(&rows.added) + whole_of(&rows.updated))),
        sum(&|step| moved(step).map(|rows| whole_of(&rows.bytes))),
        sum(&|step| step.files.as_u64()),
        numbers(&|step| step.peak_memory_bytes.as_u64()).into_iter().max().into(),
        sum(&|step| step.spilled_bytes.as_u64()),
    ];
    let began = run.started_at.as_deref().and_then(parse_instant);
    let took = run.elapsed_seconds.as_f64().filter(|_| status != "running");
    let took = took.map(|seconds| chrono::Duration::microseconds((seconds * 1e6) as i64));
    let ended = began.zip(took).and_then(|(began, took)| began.checked_add_signed(took));
    let planned = run.scheduled["at"].as_str().and_then(parse_instant);
    let bad = |step: &&Ended| matches!(step.status.as_deref(), Some("error" | "fail" | "partial success"));
    // Why it failed: as a whole, or by the first step that did.
    let first = run.results.iter().find(bad).map(|step| {
        let (name, why) = (step.name.as_str().unwrap_or_default(), step.message.as_str().unwrap_or("failed"));
        format!("`{name}`: {why}")
    });
    let message = if run.error.is_null() { first.into() } else { run.error };
    let more = [
        ended.map_or(Value::Null, instant),
        run.target,
        run.scheduled["schedule"].clone(),
        planned.map_or(Value::Null, instant),
        run.arguments,
        run.host,
        run.pid,
    ];
    let mut row = vec![
        run.run,
        run.command,
        status,
        began.map_or(Value::Null, instant),
        run.elapsed_seconds,
        run.user,
        run.release,
        run.results.len().into(),
        failed.into(),
        warned.into(),
        skipped.into(),
        message,
    ];
    row.extend(totals);
    row.extend(more);
    row
}

/// Whether a step of this resource type is a test.
fn is_test(kind: &str) -> bool {
    matches!(kind, "test" | "unit_test")
}

/// What kind of thing a step is of: `model`, `test` …
fn kind_of(step: &Step) -> String {
    step.unique_id.split('.').next().unwrap_or_default().to_owned()
}

async fn model_runs(catalog: &LakeCatalog) -> Result<Vec<Row>, QueryError> {
    let of_run = |report: Report<Step>| {
        let steps = report.results.into_iter().map(|step| (kind_of(&step), step));
        let models = steps.filter(|(kind, _)| !is_test(kind));
        let of = (report.run.clone(), report.started_at.as_deref().and_then(parse_instant), &report.target);
        models.map(|(kind, step)| model_row(&of, step, kind)).collect::<Vec<_>>()
    };
    Ok(reports(catalog, of_run).await?.flatten().collect())
}

/// A run: its id, when it began, and its target.
type OfRun<'a> = (Value, Option<chrono::DateTime<chrono::Utc>>, &'a Value);

fn model_row((run, began, target): &OfRun<'_>, step: Step, kind: String) -> Row {
    let rows = step.rows.unwrap_or_default();
    let after = step.began.as_f64().map(|seconds| chrono::Duration::microseconds((seconds * 1e6) as i64));
    let began = began.zip(after).and_then(|(began, after)| began.checked_add_signed(after));
    vec![
        run.clone(),
        step.unique_id.into(),
        step.name,
        kind.into(),
        step.action,
        step.status,
        (step.visibility == "published").into(),
        rows.added,
        rows.updated,
        rows.removed,
        step.files.as_u64().and(rows.bytes.as_u64()).into(),
        step.files,
        step.peak_memory_bytes,
        step.spilled_bytes,
        step.execution_time,
        step.message,
        step.place,
        began.map_or(Value::Null, instant),
        (*target).clone(),
    ]
}

async fn test_results(catalog: &LakeCatalog) -> Result<Vec<Row>, QueryError> {
    let of_run = |report: Report<Step>| {
        let mut rows = Vec::new();
        for step in report.results {
            let kind = kind_of(&step);
            rows.extend(step.expectations.iter().map(|one| of_expectation(report.run.clone(), &step, one)));
            if is_test(&kind) {
                rows.push(test_row(report.run.clone(), step, kind));
            }
        }
        rows
    };
    Ok(reports(catalog, of_run).await?.flatten().collect())
}

fn test_row(run: Value, step: Step, kind: String) -> Row {
    // Runs of earlier versions said nothing of tests that hold.
    let failures = if step.status == "pass" { 0.into() } else { whole(&step.failures) };
    vec![
        run,
        step.unique_id.into(),
        step.name,
        kind.into(),
        step.status,
        failures,
        step.sample,
        step.execution_time,
        step.message,
        step.place,
    ]
}

/// What a run found by one expectation of a model or a source.
fn of_expectation(run: Value, step: &Step, one: &Expected) -> Row {
    let status = match (one.violated, one.on_violation.as_str()) {
        (0, _) => "pass",
        (_, "fail") => "fail",
        _ => "warn",
    };
    let what = format!(
        "{} of {} rows, {}",
        one.violated,
        one.rows,
        match one.on_violation.as_str() {
            "drop" => "dropped",
            "quarantine" => "kept apart",
            _ => "kept",
        }
    );
    vec![
        run,
        step.unique_id.as_str().into(),
        one.name.as_str().into(),
        "expectation".into(),
        status.into(),
        one.violated.into(),
        Value::Null,
        step.execution_time.clone(),
        if one.violated == 0 { Value::Null } else { what.into() },
        step.place.clone(),
    ]
}

/// How a run ended: `success`, `error`, `withdrawn`, `interrupted`, `died`; or that it has not. Reports of earlier versions do
/// not say it themselves.
fn status(run: &Report<Ended>) -> Value {
    if let Some(status) = &run.status {
        return status.as_str().into();
    }
    let bad = |step: &Ended| {
        matches!(step.status.as_deref(), Some("error" | "fail" | "skipped" | "partial success"))
    };
    let is_bad = !run.error.is_null() || run.results.iter().any(bad);
    if is_bad { "error".into() } else { "success".into() }
}

/// The rows of a step that wrote files.
fn moved(step: &Ended) -> Option<&Moved> {
    step.rows.as_ref().filter(|_| step.files.is_u64())
}

fn whole_of(count: &Value) -> u64 {
    count.as_u64().unwrap_or_default()
}

/// A count that a report has as a number with a point.
fn whole(count: &Value) -> Value {
    count.as_f64().map_or(Value::Null, |count| (count as i64).into())
}
