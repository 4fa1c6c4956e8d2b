//! Is the SQL of the whole project right, before anything runs?
//!
//! [`check`] plans the query of every node in the order in which they would be built. What a node would give is not
//! made but assumed: a table of those columns, without rows, for whatever reads it. So a mistake anywhere is found by
//! planning one query, each at its place in the user's file, and all of them at once. The same plans tell where the
//! columns come from.
//!
//! Not here: what templates say (`compile`), or whether the data keeps its promises (`data_test`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use serde_json::{Value, json};

use super::artifacts::Stamp;
use super::contract::Contract;
use super::graph::solid_parents;
use super::incremental::{self, is_plain};
use super::layout::Layout;
use super::lookup::SessionLookup;
use super::sql_text::table;
use super::step::first_error;
use super::{BuildError, expectation, seed, snapshot};
use crate::base::{Diagnostic, TableName, sql_type_name};
use crate::compile::{
    ConstraintKind, Lookup, Manifest, Materialization, Node, NodeId, NodeKind, OnSchemaChange, SeedNode,
    SnapshotNode, Strategy,
};
use crate::query::{ColumnOf, Limits, Lineage, QueryError, Scope, Session, Then, Way};
use crate::table::storable;

/// What planning a project has found out.
#[derive(Debug, Default)]
pub struct Checked {
    /// What is wrong, with the node that it is wrong with, in the order in which they would be built.
    pub mistakes: Vec<(NodeId, Diagnostic)>,
    /// Nodes about which nothing can be said, with why.
    pub not_checked: Vec<(NodeId, String)>,
    /// Nodes that would be made: the columns that they are going to have, and where those come from.
    pub nodes: BTreeMap<NodeId, Columns>,
    /// How many nodes were planned without a mistake.
    pub well: usize,
    late: BTreeMap<NodeId, Node>,
    bad: BTreeSet<NodeId>,
}

/// What a node is going to give.
#[derive(Clone, Debug)]
pub struct Columns {
    /// The columns.
    pub schema: SchemaRef,
    /// Where they come from; nothing for what is not made by a query.
    pub lineage: Lineage,
}

/// What a project is planned on.
#[derive(Debug)]
pub struct Ground<'a> {
    /// The project, compiled.
    pub manifest: &'a Manifest,
    /// The release.
    pub scope: Scope,
    /// The columns of sources that are not there yet.
    pub sources: BTreeMap<TableName, SchemaRef>,
    /// The schema of names without one.
    pub default_schema: &'a str,
    /// When it would be built.
    pub now: chrono::DateTime<chrono::Utc>,
}

/// Plans the query of every node. Reads no row, but for seeds, and what templates ask of tables that are there.
pub async fn check(ground: Ground<'_>) -> Checked {
    let all = ground.manifest.order();
    check_nodes(ground, all).await.0
}

/// The scope of `ground`, with everything that `node` reads, directly or not: what is not made yet is there with the
/// columns that it is going to have, as far as they are known.
pub(super) async fn assumed(ground: Ground<'_>, node: &NodeId) -> Scope {
    let (manifest, mut above) = (ground.manifest, BTreeSet::new());
    let mut open: Vec<&NodeId> = manifest.parents(node).iter().collect();
    while let Some(id) = open.pop() {
        let is_there = manifest.node(id).relation.as_ref().is_some_and(|name| ground.scope.has(name));
        if !is_there && above.insert(id.clone()) {
            open.extend(manifest.parents(id));
        }
    }
    let order = manifest.order().into_iter().filter(|id| above.contains(id)).collect();
    Box::pin(check_nodes(ground, order)).await.1
}

/// Plans the queries of `nodes`, each after those that it reads; the scope in which all that they give is there.
async fn check_nodes(ground: Ground<'_>, nodes: Vec<NodeId>) -> (Checked, Scope) {
    let published = Session::new(ground.scope.clone(), ground.default_schema, Limits::default());
    let mut checked = Checked::default();
    let mut scope = ground.scope.clone();
    for id in nodes {
        let node = ground.manifest.node(&id);
        if let Some(because) = checked.unknown_above(ground.manifest, node) {
            checked.leave(&id, because);
            continue;
        }
        let session = Session::new(scope.clone(), ground.default_schema, Limits::default());
        let found = Box::pin(look_at(&ground, &session, &published, node)).await;
        drop(session);
        match found {
            Ok(Found::Made(made, columns, wrong)) => {
                if let Some(name) = &made.relation {
                    scope = scope.with_columns(name, Arc::clone(&columns.schema));
                }
                if made.is_late {
                    checked.late.insert(id.clone(), *made);
                }
                checked.nodes.insert(id.clone(), columns);
                match wrong {
                    Some(error) => checked.mistakes.push((id, error.into_diagnostic(node))),
                    None => checked.well += 1,
                }
            }
            Ok(Found::Well) => checked.well += 1,
            Ok(Found::Nothing) => {}
            Ok(Found::Unknown(because)) => checked.leave(&id, because),
            Err(error) => {
                checked.bad.insert(id.clone());
                checked.mistakes.push((id, error.into_diagnostic(node)));
            }
        }
    }
    (checked, scope)
}

/// What planning a node has come to.
enum Found {
    /// It has these columns, so that what reads it can be looked at; and it would be made, unless something is wrong with
    /// what it promises of them.
    Made(Box<Node>, Columns, Option<Box<BuildError>>),
    /// It makes nothing, and is right.
    Well,
    /// There is nothing to plan.
    Nothing,
    /// It cannot be planned.
    Unknown(String),
}

impl Checked {
    fn leave(&mut self, id: &NodeId, because: String) {
        self.bad.insert(id.clone());
        self.not_checked.push((id.clone(), because));
    }

    /// Why a node cannot be looked at, if what it reads cannot.
    fn unknown_above(&self, manifest: &Manifest, node: &Node) -> Option<String> {
        let about = match &node.kind {
            NodeKind::UnitTest(test) => &test.model,
            _ => &node.id,
        };
        let direct = manifest.parents(about).iter().cloned();
        let mut above = direct.chain(solid_parents(manifest, about));
        let first = above.find(|parent| self.bad.contains(parent))?;
        Some(format!("what it reads is not known: `{}`", manifest.node(&first).shown()))
    }

    /// Where the columns of every node come from, as a document for other programs.
    pub fn column_lineage(&self, manifest: &Manifest, stamp: &Stamp) -> Value {
        let by_name: BTreeMap<&TableName, &NodeId> =
            manifest.nodes.values().filter_map(|node| Some((node.relation.as_ref()?, &node.id))).collect();
        let source = |column: &ColumnOf| {
            let node = by_name.get(&column.table).map(|id| id.as_str());
            let source = json!({"node": node, "table": shown(&column.table), "column": column.column});
            match column.then {
                None => source,
                Some(Then::Version(version)) => with(source, "version", json!(version)),
                Some(Then::Release(release)) => with(source, "release", json!(release)),
            }
        };
        let nodes = self.nodes.iter().map(|(id, columns)| {
            let from = |at: usize| -> Vec<Value> {
                let from = columns.lineage.columns.get(at).into_iter().flat_map(|(_, from)| from);
                from.map(|(column, way)| with(source(column), "way", json!(way))).collect()
            };
            let fields = columns.schema.fields().iter().enumerate().map(|(at, field)| {
                let data_type = sql_type_name(field.data_type());
                json!({"name": field.name(), "data_type": data_type, "from": from(at)})
            });
            let rows = columns.lineage.rows.iter();
            let rows: Vec<Value> = rows.map(|(column, how)| with(source(column), "by", json!(how))).collect();
            let node = manifest.node(id);
            let table = node.relation.as_ref().map(shown);
            let fields: Vec<Value> = fields.collect();
            (id.to_string(), json!({"table": table, "columns": fields, "rows_depend_on": rows}))
        });
        json!({
            "metadata": {
                "elt_schema": "column_lineage/v1",
                "invocation_id": stamp.run,
                "generated_at": stamp.at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
                "project_name": manifest.project,
            },
            "nodes": nodes.collect::<serde_json::Map<_, _>>(),
        })
    }
}

fn shown(name: &TableName) -> String {
    if name.is_outside() { name.table().to_owned() } else { name.to_string() }
}

fn with(mut object: Value, key: &str, value: Value) -> Value {
    object[key] = value;
    object
}

async fn look_at(
    ground: &Ground<'_>,
    session: &Session,
    published: &Session,
    node: &Node,
) -> Result<Found, BuildError> {
    match &node.kind {
        NodeKind::Source(_) => return Ok(source(ground, session, node)),
        NodeKind::Seed(seed) => return seed_columns(node, seed).await,
        // Its SQL is the model's, on rows of the types that the model reads.
        NodeKind::UnitTest(_) => return Ok(Found::Nothing),
        _ => {}
    }
    let late;
    let mut node = node;
    if node.is_late {
        let lookup = SessionLookup::new(session.clone()).with_rows_of(published.clone());
        let (templates, id) = (ground.manifest.late(), node.id.clone());
        let lookup: Arc<dyn Lookup> = Arc::new(lookup);
        let compiled = tokio::task::spawn_blocking(move || templates.compile(&id, &lookup)).await;
        match compiled.expect("rendering a template does not panic") {
            Ok((compiled, _)) => late = compiled,
            Err(found) => {
                let because = format!("its template asks for what is not there yet: {}", first_error(found));
                return Ok(Found::Unknown(because));
            }
        }
        node = &late;
    }
    let at = Looking { ground, session, node };
    let found = look_at_sql(&at).await;
    match found {
        Err(error) if error.is_of_rows_to_come() => Ok(Found::Unknown(
            "which columns it has depends on rows that are not known before a build".to_owned(),
        )),
        found => found,
    }
}

async fn look_at_sql(at: &Looking<'_>) -> Result<Found, BuildError> {
    let node = at.node;
    match &node.kind {
        NodeKind::Model(materialization) => at.model(materialization).await,
        NodeKind::Snapshot(snapshot) => at.snapshot(snapshot).await,
        NodeKind::Test(test) => {
            let asked = format!(
                "select {} as failures from (\n{}\n) dbt_internal_test",
                test.fail_calc,
                node.sql.trim_end().trim_end_matches(';')
            );
            at.plan(&asked, 1).await?;
            Ok(Found::Well)
        }
        _ if node.sql.trim().is_empty() => Ok(Found::Nothing),
        _ => {
            at.plan(&node.sql, 0).await?;
            Ok(Found::Well)
        }
    }
}

/// A source is as it is in the lake, or as its files or its properties say.
fn source(ground: &Ground<'_>, session: &Session, node: &Node) -> Found {
    let Some(name) = &node.relation else { return Found::Nothing };
    let made = |schema: SchemaRef| {
        Found::Made(Box::new(node.clone()), Columns { schema, lineage: Lineage::default() }, None)
    };
    if session.scope().has(name) {
        return Found::Nothing;
    }
    if let Some(schema) = ground.sources.get(name) {
        return made(Arc::clone(schema));
    }
    let typed = node.columns.iter().map(|column| {
        let data_type = crate::base::parse_data_type(column.data_type.as_deref()?)?;
        Some(Field::new(column.name.to_lowercase(), data_type, true))
    });
    match typed.collect::<Option<Vec<Field>>>().filter(|fields| !fields.is_empty()) {
        Some(fields) => made(Arc::new(Schema::new(fields))),
        None => Found::Unknown(
            "it is not in the lake, and its properties do not give every column a `data_type`".to_owned(),
        ),
    }
}

async fn seed_columns(node: &Node, seed: &SeedNode) -> Result<Found, BuildError> {
    let read = seed.clone();
    let read = tokio::task::spawn_blocking(move || seed::read(&read)).await;
    let rows = read.expect("reading a seed does not panic").map_err(|why| BuildError::wrong(node, why))?;
    let columns = Columns { schema: rows.schema(), lineage: Lineage::default() };
    Ok(Found::Made(Box::new(node.clone()), columns, None))
}

/// One node that is looked at, with its SQL known.
struct Looking<'a> {
    ground: &'a Ground<'a>,
    session: &'a Session,
    node: &'a Node,
}

impl Looking<'_> {
    fn wrong(&self, why: String) -> BuildError {
        BuildError::wrong(self.node, why)
    }

    /// Plans a query, of which the node's own SQL begins `lines` lines further down.
    async fn plan(&self, sql: &str, lines: usize) -> Result<Columns, BuildError> {
        let planned = Box::pin(self.session.trace(sql)).await;
        let (schema, lineage) = planned.map_err(|error| match error {
            QueryError::Sql(mistake) => BuildError::query(self.node, mistake.lines_up(lines).into()),
            other => BuildError::query(self.node, other),
        })?;
        Ok(Columns { schema, lineage })
    }

    async fn model(&self, materialization: &Materialization) -> Result<Found, BuildError> {
        let node = self.node;
        let mut columns = self.plan(&node.sql, 0).await?;
        let wrong = self.promises(materialization, &columns.schema).await.err().map(Box::new);
        if let Ok(Some(contract)) = Contract::of(node, &columns.schema) {
            columns.schema = Arc::clone(contract.schema());
        }
        let Some(name) = &node.relation else { return wrong.map_or(Ok(Found::Well), |wrong| Err(*wrong)) };
        if !matches!(materialization, Materialization::View | Materialization::Ephemeral) {
            Layout::of(node).map_err(|why| self.wrong(why))?;
            let kept = storable(name, &columns.schema).map_err(|error| BuildError::table(node, error))?;
            columns.schema = kept;
        }
        if let Materialization::Incremental {
            strategy,
            unique_key,
            is_incremental_run: true,
            on_schema_change,
            details,
        } = materialization
            && wrong.is_none()
            && let Some(old) = self.present(name).await?
        {
            let plain = is_plain(*strategy, details, *on_schema_change);
            columns.schema = if plain && *on_schema_change == OnSchemaChange::Ignore {
                old
            } else {
                let staged = self.companion("elt_new")?;
                let plan = incremental::Plan {
                    strategy: *strategy,
                    key: unique_key,
                    on_schema_change: *on_schema_change,
                    details,
                    old: (name, &old),
                    new: (&staged, &columns.schema),
                };
                Arc::new(plan.after().map_err(|why| self.wrong(why))?)
            };
        }
        Ok(Found::Made(Box::new(node.clone()), columns, wrong))
    }

    /// Refuses what a model says of its columns and does not hold.
    async fn promises(
        &self,
        materialization: &Materialization,
        schema: &SchemaRef,
    ) -> Result<(), BuildError> {
        let node = self.node;
        Contract::of(node, schema).map_err(|why| self.wrong(why))?;
        if let Some(name) = &node.relation {
            self.expectations(name, schema).await?;
        }
        if let Materialization::Incremental { strategy, unique_key, details, .. } = materialization {
            let is_column = |key: &&String| {
                *strategy != Strategy::DeleteInsert
                    || unique_key.len() > 1
                    || !incremental::is_expression(key, schema)
            };
            let named = [
                ("unique_key", &unique_key.iter().filter(is_column).cloned().collect()),
                ("merge_update_columns", &details.update_columns),
                ("merge_exclude_columns", &details.exclude_columns),
                ("partition_by", &details.partition_by),
            ];
            self.names(schema, &named)?;
        }
        Ok(())
    }

    /// Refuses settings that name columns which the query does not give.
    fn names(&self, schema: &Schema, named: &[(&str, &Vec<String>)]) -> Result<(), BuildError> {
        let has = |name: &String| {
            schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name.trim_matches('"')))
        };
        for (setting, names) in named {
            if let Some(name) = names.iter().find(|name| !has(name)) {
                return Err(self.wrong(format!("the query has no column `{name}`, which `{setting}` names")));
            }
        }
        Ok(())
    }

    async fn expectations(&self, name: &TableName, schema: &SchemaRef) -> Result<(), BuildError> {
        let node = self.node;
        if node.expectations.is_empty() && node.constraints.is_empty() {
            return Ok(());
        }
        let scope = self.session.scope().clone().with_columns(name, Arc::clone(schema));
        let session = Session::new(scope, self.ground.default_schema, Limits::default());
        if !node.expectations.is_empty() {
            let asked = expectation::counts(&node.expectations, &expectation::From::Table(name));
            let planned = Box::pin(session.check(&asked)).await;
            planned.map_err(|error| expectation::unclear(node, error))?;
        }
        for constraint in &node.constraints {
            self.names(schema, &[("constraints", &constraint.columns)])?;
            if let ConstraintKind::Check(condition) = &constraint.kind {
                let asked = format!("select 1 from {} where ({condition})", table(name));
                let planned = Box::pin(session.check(&asked)).await;
                planned.map_err(|error| {
                    self.wrong(format!("the constraint `{}` cannot be asked: {error}", constraint.name))
                })?;
            }
        }
        Ok(())
    }

    /// The columns of a table that is there already.
    async fn present(&self, name: &TableName) -> Result<Option<SchemaRef>, BuildError> {
        let base = self.session.scope().base(name).await;
        let base = base.map_err(|error| BuildError::table(self.node, error))?;
        Ok(base.map(|base| Arc::clone(base.schema())))
    }

    fn companion(&self, suffix: &str) -> Result<TableName, BuildError> {
        let name = self.node.relation.as_ref().expect("what is made has a name");
        name.companion(suffix).map_err(|error| self.wrong(error.to_string()))
    }

    async fn snapshot(&self, snapshot: &SnapshotNode) -> Result<Found, BuildError> {
        let node = self.node;
        let name = node.relation.as_ref().expect("a snapshot has a name");
        let mut columns = self.plan(&node.sql, 0).await?;
        let staged = self.companion("elt_new")?;
        let kept = storable(name, &columns.schema).map_err(|error| BuildError::table(node, error))?;
        let run = snapshot::Run { node: snapshot, old: None, new: (&staged, &kept), now: self.ground.now };
        let wrong = |why: String| self.wrong(format!("Compilation Error in snapshot {}: {why}", node.name));
        run.check().map_err(wrong)?;
        let scope = self.session.scope().clone().with_columns(&staged, Arc::clone(&kept));
        let session = Session::new(scope, self.ground.default_schema, Limits::default());
        let whole = session.check(&run.query()).await.map_err(|error| BuildError::query(node, error))?;
        let whole = storable(name, &whole).map_err(|error| BuildError::table(node, error))?;
        let old = self.present(name).await?;
        let mut fields: Vec<_> = old.iter().flat_map(|old| old.fields().iter().cloned()).collect();
        let new = whole.fields().iter();
        let new: Vec<_> =
            new.filter(|new| !fields.iter().any(|old| old.name() == new.name())).cloned().collect();
        fields.extend(new);
        let by_name: BTreeMap<_, _> = columns.lineage.columns.into_iter().collect();
        let from = |name: &String| (name.clone(), by_name.get(name).cloned().unwrap_or_default());
        columns.lineage.columns = fields.iter().map(|field| from(field.name())).collect();
        columns.schema = Arc::new(Schema::new(fields));
        Ok(Found::Made(Box::new(node.clone()), columns, None))
    }
}

impl Columns {
    /// The columns whose values are in a column, each with what became of them.
    pub fn from(&self, column: &str) -> impl Iterator<Item = (&ColumnOf, Way)> {
        let found = self.lineage.columns.iter().find(|(name, _)| name == column);
        found.into_iter().flat_map(|(_, from)| from).map(|(column, way)| (column, *way))
    }
}
