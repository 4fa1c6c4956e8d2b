//! How does DataFusion find what a scope holds?

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use datafusion::catalog::information_schema::InformationSchemaProvider;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProviderList, SchemaProvider, TableProvider,
};
use datafusion::common::Column;
use datafusion::datasource::{MemTable, TableType, ViewTable, provider_as_source};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF, Volatility, cast, create_udf, lit,
};
use sqlparser::ast::visit_relations;

use super::dialect::{self, Reader, Reference};
use super::expand::expand;
use super::files::FileSchema;
use super::guard::{Guarded, unreadable};
use super::own::{Own, TEMPORARY, TemporarySchema};
use super::scope::Meaning;
use super::system::{self, SystemSchema};
use super::views::{Answer, Below, Key, Leaf, PlannedView, Want, typed};
use super::zone::{InZone, in_utc};

use super::{Files, Policy, QueryError, Rights, Scope, SqlMistake, cases};
use crate::base::{ReleaseNumber, TableName, did_you_mean, sql_type_name};
use crate::release::View;

/// Gives the session's present state, while the session lives.
pub(super) type StateOf = Arc<OnceLock<Box<dyn Fn() -> Option<SessionState> + Send + Sync>>>;

/// The only catalog of a session: a scope, and files by name.
#[derive(Clone)]
pub(super) struct LakeCatalog {
    pub(super) scope: Arc<Scope>,
    pub(super) default_schema: String,
    /// Whether files by name are part of it.
    pub(super) files: Files,
    /// What the session keeps for itself.
    pub(super) own: Own,
    pub(super) state: StateOf,
    pub(super) depth: Depth,
    /// The views that are read while another is planned, if one is.
    pub(super) below: Option<Below>,
    /// The one name that stands for these rows, and what is kept from a role in them is not kept.
    pub(super) standing: Option<(TableName, Arc<dyn TableProvider>)>,
    /// Whether instants are told in UTC, wherever the session is.
    pub(super) is_utc: bool,
}

/// How far down a plan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Down to the tables that have the rows.
    Rows,
    /// Down to what a query reads itself, of which only the columns are known.
    Columns,
}

impl std::fmt::Debug for LakeCatalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LakeCatalog").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl CatalogProvider for LakeCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.scope.schemas();
        for more in [self.default_schema.as_str(), system::SCHEMA] {
            if !names.iter().any(|known| known == more) {
                names.push(more.to_owned());
            }
        }
        if !self.own.names().is_empty() {
            names.push(TEMPORARY.to_owned());
        }
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let schema = self.schema_as_kept(name)?;
        // What is kept for the session was made in the zone that it was in then.
        let zone = self.zone().or_else(|| (name == TEMPORARY).then(|| "UTC".to_owned()));
        Some(match zone {
            Some(zone) => Arc::new(InZone { schema, zone }),
            None => schema,
        })
    }
}

impl LakeCatalog {
    /// The time zone that instants are told in; nothing if it is UTC.
    fn zone(&self) -> Option<String> {
        self.own.zone().filter(|_| !self.is_utc)
    }

    /// A schema whose instants are told in the zone that they are kept in.
    fn schema_as_kept(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if let Some(reader) = Reader::read(name) {
            return Some(Arc::new(FileSchema {
                state: Arc::clone(&self.state),
                tables: self.scope.tables().clone(),
                reader,
                files: self.files,
            }));
        }
        if name == TEMPORARY {
            return Some(Arc::new(TemporarySchema { catalog: self.clone() }));
        }
        if name == dialect::REFERENCES {
            return Some(Arc::new(ReferenceSchema { catalog: self.clone() }));
        }
        if name.eq_ignore_ascii_case("information_schema") {
            return Some(Arc::new(Standard {
                engines: InformationSchemaProvider::new(self.alone()),
                scope: Arc::clone(&self.scope),
            }));
        }
        // Names of tables and schemas have no case, quoted or not.
        let own = [self.scope.schemas(), vec![self.default_schema.clone()]].concat();
        let known = own.into_iter().find(|known| known.eq_ignore_ascii_case(name));
        let own = known
            .map(|schema| Arc::new(LakeSchema { catalog: self.clone(), schema }) as Arc<dyn SchemaProvider>);
        if name.eq_ignore_ascii_case(system::SCHEMA) {
            return Some(Arc::new(SystemSchema { catalog: self.clone(), beside: own }));
        }
        own
    }
}

/// The engine's `information_schema`, with columns counted from 1, types in words of SQL and views that are views, as the standard
/// has it.
#[derive(Debug)]
struct Standard {
    engines: InformationSchemaProvider,
    scope: Arc<Scope>,
}

impl Standard {
    /// The views, with their queries for whoever sees everything.
    fn views(&self) -> Result<Arc<dyn TableProvider>> {
        let views: Vec<TableName> =
            self.scope.names().into_iter().filter(|(_, is_view)| *is_view).map(|(name, _)| name).collect();
        let is_limited = self.scope.rights().is_some_and(|rights| rights.are_limited());
        let query = |name: &TableName| {
            let view = self.scope.pins().views.get(name).filter(|_| !is_limited);
            view.map(|view| view.sql.clone())
        };
        let text = |name: &str, is_optional: bool| Field::new(name, DataType::Utf8, is_optional);
        let schema = Arc::new(Schema::new(vec![
            text("table_catalog", false),
            text("table_schema", false),
            text("table_name", false),
            text("definition", true),
        ]));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(views.iter().map(|_| Some("elt")).collect::<StringArray>()),
            Arc::new(views.iter().map(|name| Some(name.schema())).collect::<StringArray>()),
            Arc::new(views.iter().map(|name| Some(name.table())).collect::<StringArray>()),
            Arc::new(views.iter().map(query).collect::<StringArray>()),
        ];
        let rows = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![rows]])?))
    }
}

/// A function that has types in words of SQL, which the engine writes as it calls them itself.
fn type_words() -> ScalarUDF {
    let words = |name: &str| {
        name.parse::<DataType>().map_or_else(|_| name.to_owned(), |data_type| sql_type_name(&data_type))
    };
    let words = move |args: &[ColumnarValue]| {
        let names = ColumnarValue::values_to_arrays(args)?;
        let names = names[0].as_string::<i32>().iter().map(|name| name.map(words));
        Ok(ColumnarValue::Array(Arc::new(names.collect::<StringArray>())))
    };
    create_udf("type_words", vec![DataType::Utf8], DataType::Utf8, Volatility::Immutable, Arc::new(words))
}

#[async_trait]
impl SchemaProvider for Standard {
    fn table_names(&self) -> Vec<String> {
        self.engines.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if name.eq_ignore_ascii_case("views") {
            return self.views().map(Some);
        }
        if name.eq_ignore_ascii_case("columns") {
            self.scope.read_ahead().await;
        }
        let found = self.engines.table(name).await?;
        if !name.eq_ignore_ascii_case("columns") {
            return Ok(found);
        }
        let Some(table) = found else { return Ok(None) };
        let scan = LogicalPlanBuilder::scan(name, provider_as_source(table), None)?;
        let from_one = |column: Column| match column.name.as_str() {
            "data_type" => {
                let (table, name) = (column.relation.clone(), column.name.clone());
                type_words().call(vec![Expr::Column(column)]).alias_qualified(table, name)
            }
            "ordinal_position" => {
                let (table, name) = (column.relation.clone(), column.name.clone());
                (cast(Expr::Column(column), DataType::Int64) + lit(1_i64)).alias_qualified(table, name)
            }
            _ => Expr::Column(column),
        };
        let list: Vec<Expr> = scan.schema().columns().into_iter().map(from_one).collect();
        Ok(Some(Arc::new(ViewTable::new(scan.project(list)?.build()?, None))))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.engines.table_exist(name)
    }
}

/// One schema of a scope.
#[derive(Debug)]
struct LakeSchema {
    catalog: LakeCatalog,
    schema: String,
}

#[async_trait]
impl SchemaProvider for LakeSchema {
    fn table_names(&self) -> Vec<String> {
        let names = self.catalog.scope.names();
        names
            .into_iter()
            .filter(|(name, _)| name.schema() == self.schema)
            .map(|(name, _)| name.table().to_owned())
            .collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let reference = Reference::read(name);
        let Ok(name) = TableName::new(&self.schema, &reference.table) else { return Ok(None) };
        if let Some((_, rows)) = self.catalog.standing.as_ref().filter(|(standing, _)| *standing == name) {
            return Ok(Some(Arc::clone(rows)));
        }
        let Some(found) = self.found(&name, &reference).await? else { return Ok(None) };
        let Some(rights) = self.catalog.scope.rights().filter(|_| !reference.places) else {
            return Ok(Some(found));
        };
        rights.check_reads(&name)?;
        self.catalog.guarded(&name, rights, found).await.map(Some)
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        let scope = &self.catalog.scope;
        let found = TableName::new(&self.schema, name).ok().filter(|name| scope.has(name));
        Ok(found.map(|name| if scope.is_view(&name) { TableType::View } else { TableType::Base }))
    }

    fn table_exist(&self, name: &str) -> bool {
        let reference = Reference::read(name);
        TableName::new(&self.schema, &reference.table).is_ok_and(|name| self.catalog.scope.has(&name))
    }
}

impl LakeSchema {
    /// What a name stands for, whoever reads it.
    async fn found(&self, name: &TableName, reference: &Reference) -> Result<Option<Arc<dyn TableProvider>>> {
        if reference.places {
            return Ok(self.catalog.scope.places(name).await?);
        }
        match reference.changes {
            Some((Some(from), to)) => return Ok(self.catalog.scope.changes(name, from, to).await?),
            Some((None, _)) => return Ok(self.catalog.scope.changes_since(name).await?),
            None => {}
        }
        match self.catalog.scope.meaning(name, reference.as_of.as_ref()).await? {
            None => Ok(None),
            Some(Meaning::Table(table)) => Ok(Some(table)),
            Some(Meaning::View(view, release)) => {
                let planned = self.catalog.view(name, &view, release).await;
                match self.catalog.scope.rights() {
                    Some(rights) if rights.are_limited() && !rights.is_within_view() => {
                        let told = |error: DataFusionError| {
                            tracing::error!("{error}");
                            DataFusionError::from(unreadable(name, &rights.role))
                        };
                        planned.map(Some).map_err(told)
                    }
                    _ => planned.map(Some),
                }
            }
        }
    }
}

/// What `ref` and `source` name.
#[derive(Debug)]
struct ReferenceSchema {
    catalog: LakeCatalog,
}

impl ReferenceSchema {
    /// `crm.people` is a table as it stands; a model is in the schema of names without one, or in the only schema that
    /// has one of its name.
    fn find(&self, wanted: &str) -> Option<TableName> {
        let scope = &self.catalog.scope;
        if let Some((schema, table)) = wanted.split_once('.') {
            return TableName::new(schema, table).ok().filter(|name| scope.has(name));
        }
        let own = TableName::new(&self.catalog.default_schema, wanted).ok().filter(|name| scope.has(name));
        own.or_else(|| {
            let names = scope.names();
            let mut found = names.into_iter().map(|(name, _)| name).filter(|name| name.table() == wanted);
            found.next().filter(|_| found.next().is_none())
        })
    }

    fn missing(&self, wanted: &str) -> QueryError {
        let what = match wanted.contains('.') {
            true => format!("there is no source `{wanted}`"),
            false => format!("there is no model `{wanted}`"),
        };
        let names = self.catalog.scope.names();
        let bare = wanted.rsplit('.').next().unwrap_or(wanted);
        let help = did_you_mean(bare, names.iter().map(|(name, _)| name.table()));
        let mistake = SqlMistake::new("elt::sql::no_such_table", what);
        mistake.help(help.unwrap_or_else(|| "it may not be published yet: run `elt build`".to_owned())).into()
    }
}

#[async_trait]
impl SchemaProvider for ReferenceSchema {
    fn table_names(&self) -> Vec<String> {
        Vec::new()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let (wanted, version) =
            name.split_once('@').map_or((name, None), |(name, version)| (name, Some(version)));
        let found = self.find(wanted).ok_or_else(|| self.missing(wanted))?;
        let schema = LakeSchema { catalog: self.catalog.clone(), schema: found.schema().to_owned() };
        let table = version
            .map_or_else(|| found.table().to_owned(), |version| format!("{}@{version}", found.table()));
        schema.table(&table).await
    }

    fn table_exist(&self, _name: &str) -> bool {
        true
    }
}

impl LakeCatalog {
    /// The session's state, in which names mean what they mean in this catalog.
    pub(super) fn state(&self) -> Result<SessionState> {
        let state = self.state.get().and_then(|state| state());
        let mut state = state.ok_or_else(|| DataFusionError::Internal("the session has ended".to_owned()))?;
        if self.is_utc && self.own.zone().is_some() {
            state = in_utc(state);
        }
        if self.depth == Depth::Columns || self.below.is_some() {
            state.register_catalog_list(self.alone());
        }
        Ok(state)
    }

    /// A list of this catalog and no other.
    fn alone(&self) -> Arc<dyn CatalogProviderList> {
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog("elt".to_owned(), Arc::new(self.clone()));
        Arc::new(catalogs)
    }

    /// What a role sees of what a name stands for.
    async fn guarded(
        &self,
        name: &TableName,
        rights: &Rights,
        rows: Arc<dyn TableProvider>,
    ) -> Result<Arc<dyn TableProvider>> {
        let kind = rows.table_type();
        // A view may read what its reader may not: nothing of that gets out.
        let is_closed = kind == TableType::View && rights.are_limited() && !rights.is_within_view();
        let policy = rights.policy(name);
        if policy.is_none() && !is_closed {
            return Ok(rows);
        }
        let open = Policy::default();
        let policy = policy.unwrap_or(&open);
        let given = rows.schema();
        let schema = Guarded::columns(&given, policy);
        let query = Guarded::query(name, &rights.role, &given, policy)?;
        let plain = Self {
            scope: Arc::new(self.scope.listening().for_rights(Some(Arc::new(rights.within_policy())))),
            depth: Depth::Rows,
            below: Some(Below::default()),
            standing: Some((name.clone(), rows)),
            // What is kept from a role does not depend on where it says that it is.
            is_utc: true,
            ..self.clone()
        };
        let view = View::new(query, "").meant_by(self.scope.unsaid());
        let planned = async {
            let plan = Box::pin(plain.plan_view(name, &view, None)).await?;
            let state = plain.state()?;
            let plan = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?;
            typed(plan, &schema)
        };
        let planned = planned.await;
        self.scope.read_through(&plain.scope);
        match planned {
            Ok(plan) => Ok(Arc::new(Guarded::new(name, &rights.role, plan, schema, kind))),
            Err(error) => {
                tracing::warn!("`{name}`, as the role `{}` sees it: {error}", rights.role);
                Err(unreadable(name, &rights.role).into())
            }
        }
    }

    /// A view, as far down as this catalog goes.
    async fn view(
        &self,
        name: &TableName,
        view: &View,
        release: Option<ReleaseNumber>,
    ) -> Result<Arc<dyn TableProvider>> {
        if release.is_none() && self.below.is_none() {
            Box::pin(self.plan_from_below(name, view)).await?;
        }
        let columns = Box::pin(self.planned(name, view, release, Want::Columns)).await?;
        let Answer::Columns(leaf) = &columns.answer else { unreachable!("columns were asked for") };
        if self.depth == Depth::Columns {
            return Ok(Arc::new(leaf.clone()));
        }
        let rows = Box::pin(self.planned(name, view, release, Want::Rows)).await?;
        let Answer::Plan(plan) = &rows.answer else { unreachable!("rows were asked for") };
        Ok(Arc::new(ViewTable::new((**plan).clone(), Some(view.sql.clone()))))
    }

    /// Plans what a view stands on before the view itself, so that a tower of views is no tower of calls.
    ///
    /// What is wrong with one of them is told by whoever plans it because it is asked for.
    async fn plan_from_below(&self, name: &TableName, view: &View) -> Result<()> {
        let dry = Self {
            scope: Arc::new(self.scope.listening().within_view()),
            below: Some(Below::default()),
            ..self.clone()
        };
        let mut open = vec![(name.clone(), view.clone())];
        let mut seen = HashSet::new();
        while let Some((name, view)) = open.last().cloned() {
            let is_new = seen.insert(name.clone()) && dry.known(&name, &view, None, Want::Columns).is_none();
            let below = if is_new { dry.views_of(&view) } else { Vec::new() };
            let before = open.len();
            open.extend(below.into_iter().filter(|(name, _)| !seen.contains(name)));
            if open.len() > before {
                continue;
            }
            open.pop();
            if Box::pin(dry.planned(&name, &view, None, Want::Columns)).await.is_ok()
                && self.depth == Depth::Rows
            {
                let _ = Box::pin(dry.planned(&name, &view, None, Want::Rows)).await;
            }
        }
        Ok(())
    }

    /// The views that a view's query names.
    fn views_of(&self, view: &View) -> Vec<(TableName, View)> {
        let Ok(statement) = dialect::parse_query(&view.sql) else { return Vec::new() };
        let mut found = Vec::new();
        let _: ControlFlow<()> = visit_relations(&statement, |name| {
            let parts: Vec<&str> =
                name.0.iter().filter_map(|part| Some(part.as_ident()?.value.as_str())).collect();
            let name = match parts[..] {
                [table] => TableName::new(&self.default_schema, table),
                [.., schema, table] => TableName::new(schema, table),
                [] => return ControlFlow::Continue(()),
            };
            if let Ok(name) = name
                && let Some(view) = self.scope.view_now(&name)
            {
                found.push((name, view.clone()));
            }
            ControlFlow::Continue(())
        });
        found
    }

    fn key(&self, name: &TableName, release: Option<ReleaseNumber>, want: Want) -> Key {
        let (default_schema, files) = (self.default_schema.clone(), self.files);
        Key { name: name.clone(), release, want, default_schema, files, zone: self.zone() }
    }

    /// The plan of a view, if it was made.
    fn known(
        &self,
        name: &TableName,
        view: &View,
        release: Option<ReleaseNumber>,
        want: Want,
    ) -> Option<Arc<PlannedView>> {
        self.scope.known_views().find(&self.key(name, release, want), view, &self.scope)
    }

    /// The plan of a view, which is made once for all that read it.
    async fn planned(
        &self,
        name: &TableName,
        view: &View,
        release: Option<ReleaseNumber>,
        want: Want,
    ) -> Result<Arc<PlannedView>> {
        let key = self.key(name, release, want.clone());
        let known = self.scope.known_views();
        let planned = match known.find(&key, view, &self.scope) {
            Some(planned) => planned,
            None => {
                let below = Below::default();
                let depth = if want == Want::Columns { Depth::Columns } else { Depth::Rows };
                let scope = Arc::new(self.scope.listening().within_view());
                let apart = Self {
                    scope: Arc::clone(&scope),
                    depth,
                    below: Some(Arc::clone(&below)),
                    ..self.clone()
                };
                let plan = Box::pin(apart.plan_view(name, view, release)).await?;
                let answer = match want {
                    Want::Columns => {
                        let state = apart.state()?;
                        let plan =
                            state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {});
                        Answer::Columns(Leaf::of_view(
                            plan.map_err(|error| in_view(name, error.into()))?.schema(),
                        ))
                    }
                    Want::Rows => {
                        let columns = Box::pin(apart.planned(name, view, release, Want::Columns)).await?;
                        let Answer::Columns(leaf) = &columns.answer else {
                            unreachable!("asked for columns")
                        };
                        Answer::Plan(Box::new(typed(plan, &leaf.columns)?))
                    }
                };
                known.keep(key, view, answer, &scope, &below)
            }
        };
        match &self.below {
            Some(below) => below.lock().expect("no holder panics").push(Arc::clone(&planned)),
            None => self.scope.read_by(&planned),
        }
        Ok(planned)
    }

    /// Plans a view anew.
    pub(super) async fn plan_view(
        &self,
        name: &TableName,
        view: &View,
        release: Option<ReleaseNumber>,
    ) -> Result<LogicalPlan> {
        let in_view = |error: QueryError| in_view(name, error);
        let mut statement = dialect::parse_query(&view.sql).map_err(|mistake| in_view(mistake.into()))?;
        dialect::as_meant(&mut statement, view.unsaid(), view.unsaid().has_xor());
        dialect::honour(&mut statement).map_err(|mistake| in_view(mistake.into()))?;
        let state = self.state()?;
        loop {
            let mut spelt = statement.clone();
            let planned = async {
                Box::pin(expand(&state, &mut spelt, release)).await?;
                dialect::prepare(&mut spelt, release)?;
                Ok::<_, QueryError>(Box::pin(cases::planned(&state, spelt)).await?)
            };
            match Box::pin(planned).await {
                Err(QueryError::Sql(mistake)) if cases::corrected(&mut statement, &mistake) => {}
                planned => {
                    let plan = with_names_that_differ(planned.map_err(in_view)?)?;
                    self.scope.stands_on_plan(&plan);
                    return Ok(plan);
                }
            }
        }
    }
}

/// A view's plan with a name of its own for each column: of a join of two tables with an `id` the second is `id_1`.
fn with_names_that_differ(plan: LogicalPlan) -> Result<LogicalPlan> {
    let columns = plan.schema().columns();
    let mut taken: HashSet<String> = columns.iter().map(|column| column.name.clone()).collect();
    if taken.len() == columns.len() {
        return Ok(plan);
    }
    let mut seen = HashSet::new();
    let named = columns.into_iter().map(|column| {
        let name = column.name.clone();
        if seen.insert(name.clone()) {
            return Expr::Column(column);
        }
        let mut numbered = (1..).map(|number| format!("{name}_{number}"));
        let own =
            numbered.find(|own| taken.insert(own.clone())).expect("there are more numbers than columns");
        Expr::Column(column).alias(own)
    });
    let named: Vec<Expr> = named.collect();
    LogicalPlanBuilder::from(plan).project(named)?.build()
}

fn in_view(name: &TableName, error: QueryError) -> DataFusionError {
    let error = match error {
        QueryError::Sql(mistake) => QueryError::Sql(mistake.in_view(name)),
        other => other,
    };
    DataFusionError::from(error).context(format!("in the view `{name}`"))
}
