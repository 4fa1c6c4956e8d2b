//! How is lineage said in OpenLineage's words?
//!
//! Events are plain JSON by the published schema, version 2-0-2, with facets of these versions. A table is called as
//! OpenLineage calls files, by the store and the path of its folder, so that other programs that read the same Delta table mean
//! the same; its name in the lake stands beside it as a symlink.

mod drawn;
mod events;
mod live;
mod writes;

pub(super) use events::{Destination, Telling};
pub(super) use live::Live;
pub(super) use writes::{Spoken, Teller};

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::base::TableName;
use crate::lake::{Lake, layout};
use crate::query::{Influence, Lineage, Way};

/// Who says it.
const PRODUCER: &str = concat!("urn:elt:", env!("CARGO_PKG_VERSION"));
/// By which schema an event is written.
const EVENT: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/";

/// What things are called.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The namespace of jobs.
    pub(super) jobs: String,
    /// The namespace of tables by their names: the lake.
    lake: String,
    /// The namespace of folders, and what stands before their paths.
    store: (String, String),
}

impl Names {
    /// The names of a lake's tables. Jobs are in the namespace that `OPENLINEAGE_NAMESPACE` says, or in `elt`.
    pub(super) fn of(lake: &Lake, env: &BTreeMap<String, String>) -> Self {
        let jobs = env.get("OPENLINEAGE_NAMESPACE").filter(|name| !name.is_empty());
        let jobs = jobs.map_or_else(|| "elt".to_owned(), Clone::clone);
        let shown = lake.to_string();
        let store = match (lake.folder(), shown.split_once("://")) {
            (Some(folder), _) => {
                let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
                ("file".to_owned(), format!("{}/", folder.display()))
            }
            (None, Some((scheme, rest))) => {
                let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
                let path = path.trim_matches('/');
                let path = if path.is_empty() { String::new() } else { format!("{path}/") };
                (format!("{scheme}://{bucket}"), path)
            }
            (None, None) => ("elt".to_owned(), String::new()),
        };
        let lake = match lake.folder() {
            Some(_) => format!("file://{}", store.1.trim_end_matches('/')),
            None => shown,
        };
        Self { jobs, lake, store }
    }

    /// The namespace and the name of a table, or of a file.
    fn dataset(&self, table: &TableName) -> (String, String) {
        match table.is_outside() {
            true => match table.table().split_once("://") {
                Some((scheme, rest)) => {
                    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                    (format!("{scheme}://{host}"), path.to_owned())
                }
                None => ("file".to_owned(), table.table().to_owned()),
            },
            false => (self.store.0.clone(), format!("{}{}", self.store.1, layout::table(table))),
        }
    }

    /// A table with some facets more than its other name.
    pub(super) fn named(&self, table: &TableName, mut facets: Map<String, Value>) -> Map<String, Value> {
        let (namespace, name) = self.dataset(table);
        if !table.is_outside() {
            let identifier = json!({"namespace": self.lake, "name": table.to_string(), "type": "TABLE"});
            let body = json!({"identifiers": [identifier]});
            facets.insert("symlinks".into(), facet("1-0-1/SymlinksDatasetFacet", body));
        }
        Map::from_iter([
            ("namespace".to_owned(), namespace.into()),
            ("name".to_owned(), name.into()),
            ("facets".to_owned(), facets.into()),
        ])
    }

    /// The job that makes something.
    pub(super) fn job(&self, name: &str, facets: Map<String, Value>) -> Value {
        json!({"namespace": self.jobs, "name": name, "facets": facets})
    }

    /// Which columns the columns of a table come from.
    pub(super) fn column_lineage(&self, lineage: &Lineage) -> Value {
        let field = |of: &crate::query::ColumnOf, kinds: Vec<(&str, &str)>| {
            let (namespace, name) = self.dataset(&of.table);
            let kinds = kinds.into_iter().map(|(kind, subtype)| json!({"type": kind, "subtype": subtype}));
            let kinds: Vec<Value> = kinds.collect();
            json!({"namespace": namespace, "name": name, "field": of.column, "transformations": kinds})
        };
        let fields = lineage.columns.iter().map(|(column, from)| {
            let from = from.iter().map(|(of, way)| field(of, vec![("DIRECT", way_type(*way))]));
            (column.clone(), json!({"inputFields": from.collect::<Vec<_>>()}))
        });
        let rows = lineage
            .rows
            .iter()
            .map(|(of, how)| field(of, how.iter().map(|how| ("INDIRECT", influence_type(*how))).collect()));
        let body = json!({"fields": fields.collect::<Map<_, _>>(), "dataset": rows.collect::<Vec<_>>()});
        facet("1-2-0/ColumnLineageDatasetFacet", body)
    }
}

fn way_type(way: Way) -> &'static str {
    match way {
        Way::Copied => "IDENTITY",
        Way::Derived => "TRANSFORMATION",
        Way::Aggregated => "AGGREGATION",
    }
}

fn influence_type(how: Influence) -> &'static str {
    match how {
        Influence::Filter => "FILTER",
        Influence::Join => "JOIN",
        Influence::Group => "GROUP_BY",
        Influence::Sort => "SORT",
    }
}

/// A facet by its schema: `1-0-1/SymlinksDatasetFacet`.
pub(super) fn facet(schema: &str, mut body: Value) -> Value {
    let name = schema.rsplit('/').next().unwrap_or(schema);
    body["_producer"] = PRODUCER.into();
    body["_schemaURL"] = format!("https://openlineage.io/spec/facets/{schema}.json#/$defs/{name}").into();
    body
}

/// The version of a table.
pub(super) fn version(version: u64) -> Value {
    facet("1-0-1/DatasetVersionDatasetFacet", json!({"datasetVersion": version.to_string()}))
}

/// An event about a run, or about a job if there is no run.
pub(super) fn event(
    kind: &str,
    at: chrono::DateTime<chrono::Utc>,
    run: Option<Value>,
    job: Value,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
) -> Value {
    let schema = if run.is_some() { "RunEvent" } else { "JobEvent" };
    let mut event = json!({
        "eventTime": at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        "producer": PRODUCER,
        "schemaURL": format!("{EVENT}{schema}"),
    });
    if let Some(run) = run {
        event["eventType"] = kind.into();
        event["run"] = run;
    }
    event["job"] = job;
    event["inputs"] = inputs.into();
    event["outputs"] = outputs.into();
    event
}

/// A run by its id, which has to be a UUID.
pub(super) fn run(id: &str, facets: Map<String, Value>) -> Option<Value> {
    uuid::Uuid::parse_str(id).ok()?;
    Some(json!({"runId": id, "facets": facets}))
}
