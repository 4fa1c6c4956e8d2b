//! What did builds do, step by step?

use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use serde_json::Value;

use super::rows::{Kind, Row, instant};
use super::{LakeCatalog, QueryError, Rows, SystemTable};
use crate::base::parse_instant;
use crate::lake::{LakeError, layout};
use crate::table::TableError;

pub(super) const RUNS: SystemTable = SystemTable {
    name: "runs",
    about: "what `elt build`, `run`, `test`, `seed` and `snapshot` did, a row each",
    columns: &[
        ("run_id", Kind::Text),
        ("command", Kind::Text),
        ("started_at", Kind::Instant),
        ("elapsed_seconds", Kind::Double),
        ("user_name", Kind::Text),
        ("release", Kind::Whole),
        ("num_steps", Kind::Whole),
        ("num_failed", Kind::Whole),
        ("num_warned", Kind::Whole),
        ("num_skipped", Kind::Whole),
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
        ("execution_time", Kind::Double),
        ("message", Kind::Text),
        ("path", Kind::Text),
    ],
    rows: Rows::Read(|catalog| model_runs(catalog).boxed()),
};

pub(super) const TEST_RESULTS: SystemTable = SystemTable {
    name: "test_results",
    about: "what each run found by each test",
    columns: &[
        ("run_id", Kind::Text),
        ("unique_id", Kind::Text),
        ("name", Kind::Text),
        ("resource_type", Kind::Text),
        ("status", Kind::Text),
        ("failures", Kind::Whole),
        ("execution_time", Kind::Double),
        ("message", Kind::Text),
        ("path", Kind::Text),
    ],
    rows: Rows::Read(|catalog| test_results(catalog).boxed()),
};

/// Documents that are read at once.
const AT_ONCE: usize = 16;

/// The documents of all runs, the oldest first, as far as they tell when they were.
async fn documents(catalog: &LakeCatalog) -> Result<Vec<Value>, QueryError> {
    let lake = catalog.scope.tables().lake();
    let folder = layout::run("any");
    let folder = Path::from_iter(folder.parts().take(folder.parts().count() - 1));
    let listed = lake.list(&folder).await.map_err(TableError::from)?;
    let read = futures::stream::iter(listed)
        .map(|object| async move { lake.read_json::<Value>(&object.location).await });
    let found: Vec<Option<Value>> =
        read.buffered(AT_ONCE).try_collect().await.map_err(|error: LakeError| TableError::from(error))?;
    let mut documents: Vec<Value> = found.into_iter().flatten().collect();
    documents.sort_by_key(|run| run["started_at"].as_str().map(str::to_owned));
    Ok(documents)
}

async fn runs(catalog: &LakeCatalog) -> Result<Vec<Row>, QueryError> {
    let row = |run: Value| {
        let steps = run["results"].as_array().map_or(&[][..], Vec::as_slice);
        let count = |words: &[&str]| {
            let has = |step: &&Value| step["status"].as_str().is_some_and(|status| words.contains(&status));
            steps.iter().filter(has).count()
        };
        vec![
            run["run"].clone(),
            run["command"].clone(),
            run["started_at"].as_str().and_then(parse_instant).map_or(Value::Null, instant),
            run["elapsed_seconds"].clone(),
            run["user"].clone(),
            run["release"].clone(),
            steps.len().into(),
            count(&["fail", "error"]).into(),
            count(&["warn"]).into(),
            count(&["skipped"]).into(),
        ]
    };
    Ok(documents(catalog).await?.into_iter().map(row).collect())
}

/// The steps of all runs whose resource type is, or is not, a test, each with its run.
async fn steps(catalog: &LakeCatalog, tests: bool) -> Result<Vec<(Value, Value, String)>, QueryError> {
    let mut found = Vec::new();
    for run in documents(catalog).await? {
        for step in run["results"].as_array().into_iter().flatten() {
            let id = step["unique_id"].as_str().unwrap_or_default();
            let kind = id.split('.').next().unwrap_or_default().to_owned();
            if matches!(kind.as_str(), "test" | "unit_test") == tests {
                found.push((run["run"].clone(), step.clone(), kind));
            }
        }
    }
    Ok(found)
}

async fn model_runs(catalog: &LakeCatalog) -> Result<Vec<Row>, QueryError> {
    let row = |(run, step, kind): (Value, Value, String)| {
        let rows = &step["rows"];
        vec![
            run,
            step["unique_id"].clone(),
            step["name"].clone(),
            kind.into(),
            step["action"].clone(),
            step["status"].clone(),
            (step["visibility"] == "published").into(),
            rows["added"].clone(),
            rows["updated"].clone(),
            rows["removed"].clone(),
            step["execution_time"].clone(),
            step["message"].clone(),
            step["place"].clone(),
        ]
    };
    Ok(steps(catalog, false).await?.into_iter().map(row).collect())
}

async fn test_results(catalog: &LakeCatalog) -> Result<Vec<Row>, QueryError> {
    let row = |(run, step, kind): (Value, Value, String)| {
        vec![
            run,
            step["unique_id"].clone(),
            step["name"].clone(),
            kind.into(),
            step["status"].clone(),
            step["failures"].clone(),
            step["execution_time"].clone(),
            step["message"].clone(),
            step["place"].clone(),
        ]
    };
    Ok(steps(catalog, true).await?.into_iter().map(row).collect())
}
