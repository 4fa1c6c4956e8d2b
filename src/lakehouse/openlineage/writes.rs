//! What is written outside a build: files that are landed, and statements.
//!
//! Each is a job of its own, without a run around it. It is told when it is over, with when it began: what it wrote, and of what,
//! is only known then.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::events::{Destination, error_facet, job_type, uuid_of};
use super::{Names, event, facet, version};
use crate::base::{TableName, TableVersion, sql_type_name};
use crate::lakehouse::{Lakehouse, LandReport, Landed};
use crate::query::{ColumnOf, Limits, MADE_OF, MadeOf, QueryError, Session, Staged, Then, Way};
use crate::release::{Pins, Release, View};
use crate::table::{Change, Effect};

/// A statement that writes, as it is told of.
#[derive(Clone, Copy, Debug)]
pub(in crate::lakehouse) struct Spoken<'a> {
    /// As it is written; empty where several are published together.
    pub(in crate::lakehouse) sql: &'a str,
    /// Who tells of it, if somebody is to be told.
    pub(in crate::lakehouse) teller: Option<&'a Teller>,
}

/// Tells of one thing that is written.
#[derive(Debug)]
pub(in crate::lakehouse) struct Teller {
    destination: Destination,
    names: Names,
    began: DateTime<Utc>,
}

/// What is told of a table or a view that was written.
pub(super) struct Output<'a> {
    pub(super) name: &'a TableName,
    pub(super) columns: Option<arrow::datatypes::SchemaRef>,
    /// Its version; a view has none.
    pub(super) version: Option<u64>,
    pub(super) of: &'a MadeOf,
    pub(super) effect: Option<Effect>,
    /// The word of the specification for what happened to the thing as a whole.
    pub(super) became: Option<&'static str>,
}

/// What a statement does to a table as a whole; nothing if it only changes rows.
fn became(statement: &str, version: TableVersion) -> Option<&'static str> {
    match statement {
        "CREATE TABLE" if version == TableVersion(0) => Some("CREATE"),
        "CREATE TABLE" | "RESTORE" => Some("OVERWRITE"),
        "TRUNCATE" => Some("TRUNCATE"),
        "ALTER TABLE" => Some("ALTER"),
        _ => None,
    }
}

/// The facet of a version, if there is one.
pub(super) fn at(number: Option<u64>) -> Map<String, Value> {
    number.map(|number| ("version".to_owned(), version(number))).into_iter().collect()
}

impl Names {
    /// A table or a view that was written, with its columns and where they come from.
    pub(super) fn output(&self, output: &Output<'_>) -> Value {
        let mut facets = at(output.version);
        if let Some(columns) = &output.columns {
            let fields = columns.fields().iter().enumerate().map(|(at, field)| {
                json!({"name": field.name(), "type": sql_type_name(field.data_type()), "ordinal_position": at + 1})
            });
            let body = json!({"fields": fields.collect::<Vec<_>>()});
            facets.insert("schema".into(), facet("1-2-0/SchemaDatasetFacet", body));
        }
        if output.became != Some("DROP") {
            facets.insert("columnLineage".into(), self.column_lineage(&output.of.lineage));
        }
        let kind = if output.version.is_some() { "TABLE" } else { "VIEW" };
        let kind = facet("1-0-1/DatasetTypeDatasetFacet", json!({"datasetType": kind}));
        facets.insert("datasetType".into(), kind);
        if let Some(word) = output.became {
            let body = json!({"lifecycleStateChange": word});
            facets
                .insert("lifecycleStateChange".into(), facet("1-0-1/LifecycleStateChangeDatasetFacet", body));
        }
        let mut named = self.named(output.name, facets);
        if let Some(effect) = &output.effect {
            let body = json!({"rowCount": effect.added + effect.updated, "size": effect.bytes});
            let statistics = facet("1-0-2/OutputStatisticsOutputDatasetFacet", body);
            named.insert("outputFacets".into(), json!({"outputStatistics": statistics}));
        }
        named.into()
    }

    /// What was read, each table at its version.
    pub(super) fn inputs(
        &self,
        of: &MadeOf,
        version_of: impl Fn(&TableName) -> Option<TableVersion>,
    ) -> Vec<Value> {
        let one = |(table, then): (&TableName, Option<Then>)| {
            let version = match then {
                Some(Then::Version(version)) => Some(version),
                Some(Then::Release(_)) => None,
                None => version_of(table).or_else(|| of.tables.get(table).copied()),
            };
            Value::from(self.named(table, at(version.map(|version| version.0))))
        };
        of.lineage.inputs().map(one).collect()
    }

    /// The files that were landed, and the table that they went into.
    pub(super) fn landed(
        &self,
        report: &LandReport,
        change: &Change,
        version: u64,
    ) -> (Vec<Value>, Vec<Value>) {
        let files = report.accounts().map(|account| TableName::outside(&account.path));
        let inputs = files.map(|file| self.named(&file, Map::new()).into()).collect();
        let output = Output {
            name: change.table(),
            columns: Some(std::sync::Arc::clone(change.schema())),
            version: Some(version),
            of: &MadeOf::default(),
            effect: Some(change.effect()),
            became: (version == 0).then_some("CREATE"),
        };
        (inputs, vec![self.output(&output)])
    }
}

/// A job that is over.
struct Over<'a> {
    name: String,
    kind: &'a str,
    sql: &'a str,
    run: String,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    error: Option<String>,
}

impl Lakehouse {
    /// Tells of a load that was published, if somebody is to be told.
    pub(in crate::lakehouse) async fn tell_landed(
        &self,
        teller: Option<&Teller>,
        landed: &Landed,
        changes: &[Change],
    ) {
        let Some(teller) = teller else { return };
        let (report, Some(release)) = (&landed.report, &landed.release) else { return };
        let Some(change) = changes.iter().find(|change| *change.table() == report.table) else { return };
        let number = version_in(release, change.table()).unwrap_or(change.version());
        let (inputs, outputs) = teller.names.landed(report, change, number.0);
        let over = Over {
            name: format!("land.{}", report.table),
            kind: "LOAD",
            sql: "",
            run: uuid_of(&report.load),
            inputs,
            outputs,
            error: None,
        };
        self.tell_over(teller, over).await;
    }

    /// Tells of a load that came to nothing, if somebody is to be told.
    pub(in crate::lakehouse) async fn tell_not_landed(
        &self,
        teller: Option<&Teller>,
        table: &str,
        error: &crate::base::Error,
    ) {
        let Some(teller) = teller else { return };
        let over = Over {
            name: format!("land.{}", table.to_lowercase()),
            kind: "LOAD",
            sql: "",
            run: uuid_of(&self.world().id()),
            inputs: Vec::new(),
            outputs: Vec::new(),
            error: Some(error.to_string()),
        };
        self.tell_over(teller, over).await;
    }

    /// Tells of a statement, or of several, that was published, if somebody is to be told.
    pub(in crate::lakehouse) async fn tell_statement(
        &self,
        session: &Session,
        statement: Spoken<'_>,
        staged: &Staged,
        release: &Release,
    ) {
        let Some(teller) = statement.teller else { return };
        let (mut inputs, mut outputs): (Vec<Value>, Vec<Value>) = Default::default();
        for change in &staged.changes {
            let of = change.provenance(MADE_OF).and_then(MadeOf::from_json).unwrap_or_default();
            inputs.extend(teller.names.inputs(&of, |_| None));
            let number = version_in(release, change.table()).unwrap_or(change.version());
            outputs.push(teller.names.output(&Output {
                name: change.table(),
                columns: Some(std::sync::Arc::clone(change.schema())),
                version: Some(number.0),
                of: &of,
                effect: Some(change.effect()),
                became: became(staged.statement, number),
            }));
        }
        for (name, view) in &staged.views {
            let (columns, of) = seen_through(session, view).await;
            inputs.extend(teller.names.inputs(&of, |_| None));
            outputs.push(teller.names.output(&Output {
                name,
                columns,
                version: None,
                of: &of,
                effect: None,
                became: Some("CREATE"),
            }));
        }
        for name in &staged.hide {
            let version = session.scope().pins().tables.get(name);
            outputs.push(teller.names.output(&Output {
                name,
                columns: None,
                version: version.map(|version| version.0),
                of: &MadeOf::default(),
                effect: None,
                became: Some("DROP"),
            }));
        }
        inputs.dedup();
        let views = staged.views.keys();
        let names: Vec<&TableName> =
            staged.changes.iter().map(Change::table).chain(views).chain(&staged.hide).collect();
        let of_one = if let [one] = names[..] { format!(".{one}") } else { String::new() };
        let over = Over {
            name: format!("sql.{}{of_one}", staged.statement.to_lowercase().replace(' ', "_")),
            kind: "QUERY",
            sql: statement.sql,
            run: uuid_of(&release.run),
            inputs,
            outputs,
            error: None,
        };
        self.tell_over(teller, over).await;
    }

    /// Tells of a statement that came to nothing, if somebody is to be told.
    ///
    /// `aim` is what the statement is, and what it would have written.
    pub(in crate::lakehouse) async fn tell_refused(
        &self,
        statement: Spoken<'_>,
        aim: Option<(&str, TableName)>,
        error: &QueryError,
    ) {
        let Some(teller) = statement.teller else { return };
        let job = aim.map(|(word, table)| format!("sql.{}.{table}", word.to_lowercase().replace(' ', "_")));
        let over = Over {
            name: job.unwrap_or_else(|| "sql".to_owned()),
            kind: "QUERY",
            sql: statement.sql,
            run: uuid_of(&self.world().id()),
            inputs: Vec::new(),
            outputs: Vec::new(),
            error: Some(error.to_string()),
        };
        self.tell_over(teller, over).await;
    }

    /// Tells of a release that puts versions of tables, and queries of views, in the place of those that readers saw, if
    /// somebody is to be told: of what was moved, where from, and where to.
    pub(in crate::lakehouse) async fn tell_moved(
        &self,
        teller: Option<&Teller>,
        job: &str,
        moved: &[(Option<TableName>, TableName)],
        before: &Pins,
        release: &Release,
    ) {
        let Some(teller) = teller else { return };
        let scope = self.scope_of(release.pinned());
        let session = Session::new(scope, self.default_schema(), Limits::default());
        let (mut inputs, mut outputs): (Vec<Value>, Vec<Value>) = Default::default();
        for (from, to) in moved {
            let mut of = MadeOf::default();
            let table = format!("select * from \"{}\".\"{}\"", to.schema(), to.table());
            let columns = session.check(&table).await.ok();
            if let Some(from) = from {
                let version = before.tables.get(from).copied();
                inputs.push(teller.names.named(from, at(version.map(|version| version.0))).into());
                let fields = columns.iter().flat_map(|columns| columns.fields());
                let copied = fields.map(|field| {
                    let of = ColumnOf { table: from.clone(), column: field.name().clone(), then: None };
                    (field.name().clone(), BTreeMap::from([(of, Way::Copied)]))
                });
                of.lineage.columns = copied.collect();
            }
            let version = release.pins.tables.get(to).copied();
            let is_gone = version.is_none() && !release.pins.views.contains_key(to);
            let was = before.tables.get(to);
            outputs.push(teller.names.output(&Output {
                name: to,
                columns,
                version: version.or(was.filter(|_| is_gone).copied()).map(|version| version.0),
                of: &of,
                effect: None,
                became: Some(match (is_gone, was) {
                    (true, _) => "DROP",
                    (false, None) if !before.views.contains_key(to) => "CREATE",
                    _ => "OVERWRITE",
                }),
            }));
        }
        let over = Over {
            name: job.to_owned(),
            kind: "RELEASE",
            sql: "",
            run: uuid_of(&release.run),
            inputs,
            outputs,
            error: None,
        };
        self.tell_over(teller, over).await;
    }

    /// Tells of a move of a release that came to nothing, if somebody is to be told.
    pub(in crate::lakehouse) async fn tell_not_moved(
        &self,
        teller: Option<&Teller>,
        job: &str,
        error: &crate::base::Error,
    ) {
        let Some(teller) = teller else { return };
        let (inputs, outputs, error) = (Vec::new(), Vec::new(), Some(error.to_string()));
        let run = uuid_of(&self.world().id());
        let over = Over { name: job.to_owned(), kind: "RELEASE", sql: "", run, inputs, outputs, error };
        self.tell_over(teller, over).await;
    }

    /// Who tells of something that is written, and begins now; nothing if nobody is to be told. What is wrong with the
    /// address is a build's to say.
    pub(in crate::lakehouse) fn teller(&self) -> Option<Teller> {
        let (destination, jobs) = self.lineage_listener(None).ok()??;
        let mut names = Names::of(self.tables().lake(), &self.world().env);
        names.jobs = jobs.unwrap_or(names.jobs);
        Some(Teller { destination, names, began: self.world().now() })
    }

    async fn tell_over(&self, teller: &Teller, over: Over<'_>) {
        let Teller { destination, names, began } = teller;
        let project =
            self.root().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut facets = Map::from_iter([("jobType".to_owned(), job_type(over.kind))]);
        if !over.sql.trim().is_empty() {
            let body = json!({"query": over.sql.trim(), "dialect": "datafusion"});
            facets.insert("sql".into(), facet("1-1-0/SQLJobFacet", body));
        }
        let job = names.job(&format!("{project}.{}", over.name), facets);
        let run = |error: Option<&str>| {
            let facets: Map<String, Value> =
                error.map(|why| ("errorMessage".to_owned(), error_facet(why))).into_iter().collect();
            json!({"runId": over.run, "facets": facets})
        };
        let state = if over.error.is_some() { "FAIL" } else { "COMPLETE" };
        let start = event("START", *began, Some(run(None)), job.clone(), Vec::new(), Vec::new());
        let run = run(over.error.as_deref());
        let end = event(state, self.world().now(), Some(run), job, over.inputs, over.outputs);
        if let Err(because) = destination.send(&[start, end]).await {
            tracing::warn!("events of lineage were not sent: {because}");
        }
    }
}

/// The columns of a view, and what they are made of; nothing if it fits nothing.
async fn seen_through(session: &Session, view: &View) -> (Option<arrow::datatypes::SchemaRef>, MadeOf) {
    let columns = session.check(&view.sql).await.ok();
    (columns, MadeOf::of_view(session, &view.sql).await.unwrap_or_default())
}

/// The version that a table has in a release that wrote it.
fn version_in(release: &Release, table: &TableName) -> Option<TableVersion> {
    release.tables.iter().find(|summary| summary.table == *table).map(|summary| summary.version)
}
