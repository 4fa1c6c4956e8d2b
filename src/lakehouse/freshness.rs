//! How old are the rows of sources?

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::{Lakehouse, Node, NodeId, NodeKind, Session, Studied, StudyRequest};
use crate::base::{Error, NodeFacts, Result};
use crate::build;
use crate::compile::{self, Freshness};

/// How old the rows of one source are.
#[derive(Clone, Debug)]
pub struct Age {
    /// The source's table.
    pub node: NodeId,
    /// `source.table`
    pub name: String,
    /// `pass`, `warn`, `error`, or `runtime error` if it could not be asked.
    pub status: &'static str,
    /// Seconds since the newest row, if there is one.
    pub seconds: Option<f64>,
    /// What went wrong.
    pub because: Option<String>,
    /// The source as log lines name it.
    pub facts: NodeFacts,
    /// When it was asked.
    pub began: DateTime<Utc>,
    /// How long the answer took.
    pub took: Duration,
}

impl Lakehouse {
    /// How old the rows of sources are, compared with what the project allows; also as `sources.json`, or in the file `output`.
    ///
    /// `tell` hears of the compiled project before the first source is asked.
    pub async fn freshness(
        &self,
        request: &StudyRequest,
        output: Option<&Path>,
        tell: &dyn Fn(&Studied),
    ) -> Result<Vec<Age>> {
        let studied = self.study(request).await?;
        tell(&studied);
        let session = self.session().await?;
        let (mut ages, mut results) = (Vec::new(), Vec::new());
        let now = self.world.now();
        for (id, freshness) in studied.aged() {
            let node = studied.node(id);
            let (began, clock) = (self.world.now(), Instant::now());
            let asked = newest(&session, node, freshness).await;
            let took = clock.elapsed();
            let facts = build::node_facts(node);
            let (status, seconds) = match &asked {
                Err(_) => ("runtime error", None),
                Ok(newest) => {
                    let seconds = newest.map(|at| (now - at).num_milliseconds() as f64 / 1000.0);
                    let is_past = |age: &Option<compile::Age>| {
                        age.is_some_and(|age| seconds.is_none_or(|seconds| seconds > age.seconds() as f64))
                    };
                    let status = match (is_past(&freshness.error_after), is_past(&freshness.warn_after)) {
                        (true, _) => "error",
                        (false, true) => "warn",
                        (false, false) => "pass",
                    };
                    (status, seconds)
                }
            };
            let because = asked.as_ref().err().map(ToString::to_string);
            let (node_id, name) = (id.clone(), node.name.clone());
            let age = Age { node: node_id, name, status, seconds, because, facts, began, took };
            results.push(result(&age, asked.as_ref().ok().copied().flatten(), now, node));
            ages.push(age);
        }
        let stamp = self.stamp(&self.run_id(), "freshness");
        let sources = build::freshness_results(results, &stamp);
        let written = match output.and_then(|path| Some((path.parent()?, path.file_name()?.to_str()?))) {
            Some((folder, file)) => build::write_artifact(folder, file, &sources),
            None => self.write_artifact(&studied.compiled.project.target_path, "sources.json", &sources),
        };
        // Beside the other artifacts it is missed as they are, of which it was told.
        if output.is_some() || studied.not_written.is_none() {
            written.map_err(|error| self.not_written(&error))?;
        }
        Ok(ages)
    }
}

impl Studied {
    /// The sources that were picked and say how old they may be.
    pub fn aged(&self) -> Vec<(&NodeId, &Freshness)> {
        let limits = |id| match &self.node(id).kind {
            NodeKind::Source(source) => source.freshness.as_ref().map(|freshness| (id, freshness)),
            _ => None,
        };
        self.picked.iter().filter_map(limits).collect()
    }
}

/// What `sources.json` has of one source. A table without rows was loaded at the beginning of time.
fn result(age: &Age, newest: Option<DateTime<Utc>>, now: DateTime<Utc>, node: &Node) -> serde_json::Value {
    if let Some(why) = &age.because {
        return serde_json::json!({"unique_id": age.node.as_str(), "error": why, "status": age.status});
    }
    let instant = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let (loaded, seconds) = match newest {
        Some(at) => (instant(at), age.seconds.unwrap_or_default()),
        None => ("0001-01-01T00:00:00Z".to_owned(), (now.timestamp() + SECONDS_BEFORE_1970) as f64),
    };
    let said = node.config.get("freshness");
    let limit = |key: &str| {
        let limit = said.and_then(|said| said.get(key)).filter(|limit| limit.is_object()).cloned();
        limit.unwrap_or_else(|| serde_json::json!({"count": null, "period": null}))
    };
    serde_json::json!({
        "unique_id": age.node.as_str(), "max_loaded_at": loaded, "snapshotted_at": instant(now),
        "max_loaded_at_time_ago_in_s": seconds, "status": age.status,
        "criteria": {
            "warn_after": limit("warn_after"), "error_after": limit("error_after"),
            "filter": said.and_then(|said| said.get("filter")),
        },
        "adapter_response": {}, "thread_id": "Thread-1", "execution_time": age.took.as_secs_f64(),
        "timing": [{"name": "execute", "started_at": instant(age.began), "completed_at": instant(age.began + age.took)}],
    })
}

/// From the first of January of the year 1 to that of 1970.
const SECONDS_BEFORE_1970: i64 = 62_135_596_800;

/// The newest instant at which a row of the source was loaded.
async fn newest(
    session: &Session,
    node: &Node,
    freshness: &Freshness,
) -> Result<Option<chrono::DateTime<chrono::Utc>>> {
    let name = node.relation.as_ref().expect("a source has a table");
    let filter = freshness.filter.as_ref().map(|filter| format!(" where {filter}")).unwrap_or_default();
    // A landed table knows when its files were last written.
    let loaded_at = freshness.loaded_at.as_deref().unwrap_or("_file_modification_time");
    let newest = match &freshness.loaded_at_query {
        Some(query) => format!("({query})"),
        None => format!("(select max({loaded_at}) from \"{}\".\"{}\"{filter})", name.schema(), name.table()),
    };
    let sql = format!("select cast({newest} as timestamp) as newest");
    let rows = Box::pin(session.query(&sql)).await?.collect().await?;
    let Some(batch) = rows.iter().find(|batch| batch.num_rows() > 0) else { return Ok(None) };
    let micros =
        arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Int64).map_err(|error| {
            Error::user("elt::freshness", error.to_string(), "make `loaded_at_field` an instant")
        })?;
    let micros = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(&micros);
    let is_there = arrow::array::Array::is_valid(micros, 0);
    Ok(is_there.then(|| micros.value(0)).and_then(chrono::DateTime::from_timestamp_micros))
}
