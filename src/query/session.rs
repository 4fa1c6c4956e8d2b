//! In which world is a statement answered?

use std::sync::{Arc, OnceLock};

use datafusion::catalog::{CatalogProvider, MemTable, MemoryCatalogProviderList, TableProvider};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use sqlparser::ast;

use super::dialect::{self, Statement};
use super::expand::expand;
use super::lineage::lineage;
use super::own::{CurrentSetting, GetVariable, Own};
use super::progress::Progress;
use super::provider::{Depth, LakeCatalog};
use super::thrift::Purpose;
use super::{
    Lineage, Outcome, QueryError, Scope, SqlMistake, cases, common, convert, describe, explain, export,
    literal_rows, mend, own, show_create, thrift, words, zone,
};
use crate::base::{Division, NullOrder, Unsaid, did_you_mean, roomy, with_stack};

/// How much of the machine a session may use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Parts of a query that run at once; nothing means one per core.
    pub threads: Option<usize>,
    /// Bytes of memory that a statement may take; nothing means what all of them share.
    pub memory: Option<usize>,
    /// Whether files outside the lake can be read by their names.
    pub files: Files,
}

/// Whether a statement may read files of this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Files {
    /// As whoever runs the program may.
    #[default]
    Readable,
    /// None: whoever asks is somewhere else.
    OutOfReach,
}

/// A query's world: one scope, from the first statement to the last.
#[derive(Clone)]
pub struct Session {
    pub(super) context: SessionContext,
    catalog: LakeCatalog,
    scope: Arc<Scope>,
    default_schema: String,
    limits: Limits,
    /// What it keeps for itself, and for the sessions that go on from it.
    pub(super) own: Own,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// On so few cores one table that all threads look into is quicker than rows that are dealt out first.
const FEW_CORES: usize = 4;
/// The most bytes, and the most rows, of the side of a join that is kept as such a table. The engine's own are 1 MiB and 131,072
/// rows, with which six joins of TPC-H took a third more time (two cores, SF 0.5, Parquet, interleaved).
const SMALL_SIDE: usize = 64 << 20;
const SMALL_SIDE_ROWS: usize = 2_000_000;

impl Session {
    /// A session that sees `scope`; names without a schema are in `default_schema`.
    pub fn new(scope: Scope, default_schema: &str, limits: Limits) -> Self {
        let mut config = SessionConfig::new()
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema("elt", default_schema)
            // `provider` has its own, in which columns are counted from 1.
            .with_information_schema(false);
        if let Some(threads) = limits.threads {
            config = config.with_target_partitions(threads.max(1));
        }
        let options = config.options_mut();
        options.sql_parser.collect_spans = true;
        options.sql_parser.map_string_types_to_utf8view = false;
        // The rows of `(select … order by x)` come sorted, unless something above puts them in another order.
        options.sql_parser.enable_subquery_sort_elimination = false;
        if options.execution.target_partitions <= FEW_CORES {
            options.optimizer.hash_join_single_partition_threshold = SMALL_SIDE;
            options.optimizer.hash_join_single_partition_threshold_rows = SMALL_SIDE_ROWS;
        }
        // Whether a column may be null is told differently by two parts of the engine, and means nothing for its values.
        options.execution.skip_physical_aggregate_schema_check = true;
        Self::with(scope, default_schema, limits, config, Own::default())
    }

    /// A session with settings, and with what another kept for itself.
    fn with(scope: Scope, default_schema: &str, limits: Limits, config: SessionConfig, own: Own) -> Self {
        let scope = Arc::new(scope);
        let tables = scope.tables();
        let is_local = tables.lake().folder().is_some();
        let mut state = match limits.memory {
            None => SessionState::clone(&tables.made(|| common::state(tables.runtime(), is_local))),
            some => common::state(tables.runtime_within(some), is_local),
        };
        *state.config_mut() = config;
        state.register_catalog_list(Arc::new(MemoryCatalogProviderList::new()));
        let (user, role) = match scope.rights() {
            Some(rights) => (rights.user.as_str(), rights.role.as_str()),
            None => (tables.world().user.as_str(), "owner"),
        };
        let names = &state.config_options().catalog;
        let mut functions = mend::here(&names.default_catalog, &names.default_schema);
        functions.extend(mend::who(user, role));
        functions.push(GetVariable::of(own.clone()).into());
        functions.push(CurrentSetting::of(own.clone(), scope.unsaid(), default_schema).into());
        for function in functions {
            drop(state.register_udf(Arc::new(function))); // returns the one that it replaces; never fails
        }
        if own.zone().is_some() || state.config_options().execution.time_zone.is_some() {
            state = zone::settled(state, &own);
        }
        let context = SessionContext::new_with_state(state);
        let catalog = LakeCatalog {
            scope: Arc::clone(&scope),
            default_schema: default_schema.to_owned(),
            files: limits.files,
            own: own.clone(),
            state: Arc::new(OnceLock::new()),
            depth: Depth::Rows,
            below: None,
            standing: None,
            is_utc: false,
        };
        let weak = context.state_weak_ref();
        let state_of = move || weak.upgrade().map(|state| state.read().clone());
        assert!(catalog.state.set(Box::new(state_of)).is_ok(), "the catalog is new");
        context.register_catalog("elt", Arc::new(catalog.clone()));
        Self { context, catalog, scope, default_schema: default_schema.to_owned(), limits, own }
    }

    /// What the session sees.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The catalog that the session's names are found in.
    #[cfg(feature = "postgres")]
    pub(super) fn lake_catalog(&self) -> &LakeCatalog {
        &self.catalog
    }

    /// The time zone that the session is in; nothing if it is UTC.
    pub(super) fn zone(&self) -> Option<String> {
        self.own.zone()
    }

    /// The schema of names that are written without one.
    pub fn default_schema(&self) -> &str {
        &self.default_schema
    }

    /// A session that sees the same, works on one core, and knows one name more and no other temporary ones.
    pub(super) fn alone_with(&self, name: &str, rows: Arc<dyn TableProvider>) -> Self {
        let config = self.context.copied_config().with_target_partitions(1);
        let own = self.own.alone_with(name, rows);
        Self::with(self.scope.as_ref().clone(), &self.default_schema, self.limits, config, own)
    }

    /// A session that is the same and knows one name more.
    fn knowing(&self, name: &str, rows: Arc<dyn TableProvider>) -> Self {
        let own = self.own.knowing(name, rows);
        let config = self.context.copied_config();
        Self::with(self.scope.as_ref().clone(), &self.default_schema, self.limits, config, own)
    }

    /// The same session with what another release pins.
    #[must_use]
    pub fn of(&self, pins: crate::release::Pins) -> Self {
        self.seeing(self.scope_like(self.scope.tables().clone(), pins))
    }

    fn scope_like(&self, tables: crate::table::Tables, pins: crate::release::Pins) -> Scope {
        let rights = self.scope.rights().cloned();
        Scope::of(tables, pins).for_rights(rights).meant_by(self.scope.unsaid())
    }

    /// What is meant by what a statement leaves unsaid: as it was set, or as whoever reads has it.
    pub fn unsaid(&self) -> Unsaid {
        self.own.unsaid(self.scope.unsaid())
    }

    /// The same session with another scope.
    #[must_use]
    pub fn seeing(&self, scope: Scope) -> Self {
        let config = self.context.copied_config();
        Self::with(scope, &self.default_schema, self.limits, config, self.own.clone())
    }

    /// The same session after a statement; another one if that is `USE`.
    ///
    /// # Errors
    /// There is no such schema.
    pub(crate) fn after(&self, statement: &Statement) -> Result<Self, QueryError> {
        match statement {
            Statement::Use { schema } => self.used(schema),
            _ => Ok(self.clone()),
        }
    }

    /// The same session with another schema for names that are written without one.
    pub(super) fn used(&self, schema: &str) -> Result<Self, QueryError> {
        let known = self.scope.schemas();
        if !known.iter().any(|known| known == schema) && schema != self.default_schema {
            let what = format!("there is no schema `{schema}`");
            let near = did_you_mean(schema, known.iter().map(String::as_str));
            let help = near.unwrap_or_else(|| format!("there are: {}", known.join(", ")));
            return Err(SqlMistake::new("elt::sql::no_such_schema", what).help(help).into());
        }
        let mut config = self.context.copied_config();
        config.options_mut().catalog.default_schema = schema.to_owned();
        let scope = self.scope.as_ref().clone();
        Ok(Self::with(scope, schema, self.limits, config, self.own.clone()))
    }

    /// The same session on the tables of another lake.
    #[must_use]
    pub fn on(&self, tables: crate::table::Tables, pins: crate::release::Pins) -> Self {
        let scope = self.scope_like(tables, pins.clone());
        let moved = Self { scope: Arc::new(scope), ..self.clone() };
        moved.of(pins)
    }

    /// The same session in this time zone, which is one that [`time_zone`](super::time_zone) gave.
    #[must_use]
    pub fn in_zone(self, zone: Option<&str>) -> Self {
        self.own.stay_in(zone.map(str::to_owned));
        zone::settle(&self.context, &self.own);
        self
    }

    /// The same session with another schema for names without one, in this time zone, with `/` meaning this and nulls sorted so.
    ///
    /// # Errors
    /// There is no such schema.
    pub fn settled(
        &self,
        schema: &str,
        zone: Option<&str>,
        (division, nulls): (Option<Division>, Option<NullOrder>),
    ) -> Result<Self, QueryError> {
        let same = if schema == self.default_schema { self.clone() } else { self.used(schema)? };
        same.own.divide(division);
        same.own.sort_nulls(nulls);
        Ok(same.in_zone(zone))
    }

    /// Reads one statement.
    ///
    /// # Errors
    /// What is wrong with it; and copies from and to files, where files are out of reach.
    pub(crate) fn read(&self, sql: &str) -> Result<Statement, SqlMistake> {
        let statement = self.with_own(dialect::parse(sql)?)?;
        let copies =
            matches!(statement, Statement::CopyInto(_) | Statement::CopyTo(_) | Statement::Convert(_));
        if copies && self.limits.files == Files::OutOfReach {
            let mistake = SqlMistake::new("elt::sql::no_files", "files cannot be copied here");
            return Err(
                mistake.help("fetch the rows with a query; rows come in by `INSERT` and by bulk ingestion")
            );
        }
        Ok(statement)
    }

    /// Whether a statement changes tables.
    pub fn writes(&self, sql: &str) -> Result<bool, QueryError> {
        Ok(self.read(sql)?.writes())
    }

    /// Refuses to have files of a table deleted by whoever may not change it.
    ///
    /// # Errors
    /// `elt::sql::not_allowed`.
    pub fn check_vacuum(&self, table: &str) -> Result<(), QueryError> {
        match self.scope.rights() {
            None => Ok(()),
            Some(rights) => rights.check_changes(&describe::resolve(self, table)?),
        }
    }

    /// Answers one statement. Rows come as they are found.
    pub async fn execute(&self, sql: &str) -> Result<Outcome, QueryError> {
        let statement = self.read(sql).map_err(|mistake| mistake.located(sql))?;
        self.answer(statement).await.map_err(|error| error.located(sql))
    }

    /// Answers a statement that was read.
    pub(crate) async fn answer(&self, statement: Statement) -> Result<Outcome, QueryError> {
        match statement {
            Statement::Query(statement) => match self.shown(&statement) {
                Some(table) => describe::columns(self, &table).await,
                None => Box::pin(self.run(*statement)).await,
            },
            Statement::Explain(how) => Box::pin(explain::explain(self, how)).await,
            Statement::Own(statement) => Box::pin(self.keep(statement)).await,
            Statement::Temporary(write) => Box::pin(self.write_temporary(*write)).await,
            Statement::ShowTables { schema, like } => {
                Ok(describe::tables(self, schema.as_deref(), like.as_deref()).await)
            }
            Statement::OfReports(reports) => Box::pin(self.of_reports(reports)).await,
            Statement::ShowSettings { like } => Ok(self.settings(like.as_deref())),
            Statement::ShowReleases => describe::releases(self).await,
            Statement::ShowSchemas { like } => Ok(describe::schemas(self, like.as_deref())),
            Statement::ShowViews => Ok(describe::views(self)),
            Statement::ShowFunctions { like } => Ok(super::callable::functions(self, like.as_deref())),
            Statement::DescribeQuery { sql } => Box::pin(describe::query(self, &sql)).await,
            Statement::Summarize { what, is_query } => {
                Box::pin(describe::summary(self, &what, is_query)).await
            }
            Statement::TableInfo { table } => describe::table_info(self, &table).await,
            Statement::Describe { table } => describe::columns(self, &table).await,
            Statement::History { table, limit } => describe::history(self, &table, limit).await,
            Statement::Detail { table } => describe::detail(self, &table).await,
            Statement::Use { schema } => self.used(&schema).map(|_| own::nothing()),
            Statement::ShowCreate { table } => show_create::create(self, &table).await,
            Statement::ShowProperties { table } => show_create::properties(self, &table).await,
            Statement::CopyTo(copy) => Box::pin(export::copy_to(self, copy)).await,
            Statement::Convert(convert) => Box::pin(convert::convert(self, convert)).await,
            Statement::Write(_)
            | Statement::OwnWrite(_)
            | Statement::Vacuum(_)
            | Statement::CopyInto(_)
            | Statement::Roles(_) => {
                let mistake = SqlMistake::new("elt::sql::read_only", "this session only reads");
                Err(mistake.help("run the statement with `elt sql`, or through `Lakehouse::execute`").into())
            }
        }
    }

    /// A query that reads what other statements tell.
    async fn of_reports(&self, reports: dialect::Reports) -> Result<Outcome, QueryError> {
        let mut knowing = self.clone();
        for (name, sql) in &reports.told {
            let report = Box::pin(self.execute(sql)).await?;
            let schema = Arc::clone(report.schema());
            let rows = MemTable::try_new(schema, vec![report.collect().await?])?;
            knowing = knowing.knowing(name, Arc::new(rows));
        }
        Box::pin(knowing.execute(&reports.sql)).await
    }

    /// The commits of a table, newest first, up to the version that the session sees.
    pub async fn history(&self, table: &str, limit: usize) -> Result<Vec<crate::table::Commit>, QueryError> {
        describe::commits(self, table, limit).await
    }

    /// Plans a query and runs it. Anything but a query is refused.
    pub async fn query(&self, sql: &str) -> Result<Outcome, QueryError> {
        Box::pin(self.run(dialect::parse_query(sql)?)).await.map_err(|error| error.located(sql))
    }

    /// The same, for rows that are going to be written to a table: what is selected of one table, or of one after another, comes
    /// in the order in which it lies there.
    ///
    /// # Errors
    /// Those of [`query`](Self::query).
    pub async fn query_to_write(&self, sql: &str) -> Result<Outcome, QueryError> {
        let plan = Box::pin(self.plan(dialect::parse_query(sql)?)).await?;
        Box::pin(self.rows_of_plan_for(plan, Purpose::Write)).await
    }

    /// Finds every mistake of a query that can be found without reading a row.
    ///
    /// Views below it are planned once and not again, however often and however deep they are read.
    pub async fn check(&self, sql: &str) -> Result<arrow::datatypes::SchemaRef, QueryError> {
        Ok(Arc::new(Box::pin(self.plan_of_columns(sql)).await?.schema().as_arrow().clone()))
    }

    /// The columns of a query, and where they come from. What it reads itself is where: views are not looked through.
    ///
    /// # Errors
    /// Every mistake that [`check`](Self::check) finds.
    pub async fn trace(&self, sql: &str) -> Result<(arrow::datatypes::SchemaRef, Lineage), QueryError> {
        let plan = Box::pin(self.plan_of_columns(sql)).await?;
        Ok((Arc::new(plan.schema().as_arrow().clone()), self.lineage_of(&plan)))
    }

    /// The plan of a query over tables and views that have columns and no rows, with its types settled.
    pub(super) async fn plan_of_columns(&self, sql: &str) -> Result<LogicalPlan, QueryError> {
        self.plan_of_columns_of(dialect::parse_query(sql)?).await
    }

    /// Where the columns of a query come from that was read already.
    pub(super) async fn trace_statement(&self, statement: ast::Statement) -> Result<Lineage, QueryError> {
        let plan = Box::pin(self.plan_of_columns_of(statement)).await?;
        Ok(self.lineage_of(&plan))
    }

    fn lineage_of(&self, plan: &LogicalPlan) -> Lineage {
        lineage(plan, &self.default_schema, &self.scope().reads().past)
    }

    async fn plan_of_columns_of(&self, statement: ast::Statement) -> Result<LogicalPlan, QueryError> {
        let catalog = LakeCatalog { depth: Depth::Columns, ..self.catalog.clone() };
        let plan = Box::pin(self.plan_in(|| Ok(catalog.state()?), statement)).await?;
        self.analyzed(plan)
    }

    /// The columns that a plan gives, once its types are settled.
    pub(super) fn columns_given(&self, plan: LogicalPlan) -> Result<arrow::datatypes::SchemaRef, QueryError> {
        Ok(Arc::new(self.analyzed(plan)?.schema().as_arrow().clone()))
    }

    fn analyzed(&self, plan: LogicalPlan) -> Result<LogicalPlan, QueryError> {
        let state = self.context.state();
        let analyzed =
            with_stack(|| state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {}));
        analyzed.map_err(|error| self.with_suggestion(error.into()))
    }

    pub(super) async fn run(&self, statement: ast::Statement) -> Result<Outcome, QueryError> {
        let statement = match self.set_or_shown(statement)? {
            Ok(told) => return Ok(told),
            Err(statement) => statement,
        };
        let set = matches!(statement, ast::Statement::Set(_)).then(|| statement.to_string());
        let plan = Box::pin(self.plan(statement)).await?;
        let Some(set) = set else { return self.rows_of_plan(plan).await };
        let frame = Box::pin(self.context.execute_logical_plan(plan)).await;
        let frame = frame.map_err(|error| words::setting_mistake(&set, &error))?;
        let rows = Box::pin(frame.execute_stream()).await;
        Ok(Outcome::stream(rows.map_err(|error| self.with_suggestion(error.into()))?))
    }

    /// The table that `SHOW t` is about, as DuckDB has it for DESCRIBE; nothing for other statements.
    fn shown(&self, statement: &ast::Statement) -> Option<String> {
        let ast::Statement::ShowVariable { variable } = statement else { return None };
        let written = variable.iter().map(ToString::to_string).collect::<Vec<_>>().join(".");
        let is_temporary = || self.own.temporary(&written.to_lowercase()).is_some();
        let is_there = || describe::resolve(self, &written).is_ok_and(|name| self.scope.has(&name));
        (is_temporary() || is_there()).then_some(written)
    }

    /// The rows of a query that was planned.
    pub(super) async fn rows_of_plan(&self, plan: LogicalPlan) -> Result<Outcome, QueryError> {
        self.rows_of_plan_for(plan, Purpose::Answer).await
    }

    /// The same, for whoever needs them for this.
    pub(super) async fn rows_of_plan_for(
        &self,
        plan: LogicalPlan,
        purpose: Purpose,
    ) -> Result<Outcome, QueryError> {
        let rows = roomy(async {
            let frame = Box::pin(self.context.execute_logical_plan(plan)).await?;
            Box::pin(thrift::rows(frame, purpose)).await
        });
        let rows = rows.await;
        let (rows, progress) = rows.map_err(|error| self.with_suggestion(error.into()))?;
        self.own.runs(&progress);
        Ok(Outcome::stream(rows).with_progress(progress))
    }

    pub(super) async fn plan(&self, mut statement: ast::Statement) -> Result<LogicalPlan, QueryError> {
        let written = literal_rows::take_out(&mut statement);
        let mut knowing = (!written.is_empty()).then(|| self.clone());
        for (name, rows) in written {
            knowing = knowing.map(|session| session.knowing(&name, rows));
        }
        let session = knowing.as_ref().unwrap_or(self);
        Box::pin(session.plan_in(|| Ok(session.context.state()), statement)).await
    }

    async fn plan_in(
        &self,
        state: impl Fn() -> Result<SessionState, QueryError>,
        mut statement: ast::Statement,
    ) -> Result<LogicalPlan, QueryError> {
        loop {
            match roomy(self.plan_as_spelt(state()?, statement.clone())).await {
                Err(QueryError::Sql(mistake)) if cases::corrected(&mut statement, &mistake) => {}
                planned => return planned,
            }
        }
    }

    async fn plan_as_spelt(
        &self,
        state: SessionState,
        mut statement: ast::Statement,
    ) -> Result<LogicalPlan, QueryError> {
        self.own.unfold(&mut statement)?;
        dialect::as_meant(&mut statement, self.unsaid(), self.scope.unsaid().has_xor());
        dialect::honour(&mut statement)?;
        self.own.spell(&mut statement);
        Box::pin(expand(&state, &mut statement, None)).await.map_err(|error| self.with_suggestion(error))?;
        dialect::prepare(&mut statement, None)?;
        let planned = Box::pin(cases::planned(&state, statement)).await;
        let plan = planned.map_err(|error| self.with_suggestion(error.into()))?;
        self.scope.stands_on_plan(&plan);
        Ok(plan)
    }

    /// Adds the name that was probably meant to "there is no table", or no function.
    pub(super) fn with_suggestion(&self, error: QueryError) -> QueryError {
        let QueryError::Sql(mistake) = error else { return error };
        let named = |kind: &str| {
            let rest = mistake.message().strip_prefix("there is no ")?.strip_prefix(kind)?;
            Some(rest.strip_prefix(" `")?.strip_suffix('`')?.to_owned())
        };
        if let Some(wanted) = named("table") {
            return describe::no_such_table(self, &wanted, mistake).into();
        }
        match named("function") {
            Some(wanted) => self.no_such_function(&wanted, mistake).into(),
            None => mistake.into(),
        }
    }

    fn no_such_function(&self, wanted: &str, mistake: SqlMistake) -> SqlMistake {
        if self.context.state().window_functions().contains_key(wanted) {
            return SqlMistake::new("elt::sql::plan", format!("`{wanted}` needs a window"))
                .help(format!("write `{wanted}(…) over (order by …)`"));
        }
        let calls = dialect::known_calls(wanted);
        if !calls.is_empty() {
            let what = format!("`{wanted}` is not called with so many arguments");
            let (line, column) = mistake.place().unwrap_or_default();
            return SqlMistake::new("elt::sql::arguments", what)
                .at(line as u64, column as u64)
                .help(format!("there is: {}", calls.join(", ")));
        }
        if let Some(instead) = dialect::instead(wanted) {
            return mistake.help(instead);
        }
        let mut known = self.function_names();
        known.retain(|name| !name.starts_with('_'));
        let is_common = |name: &String| ["count", "sum", "avg", "min", "max"].contains(&name.as_str());
        known.sort_by_key(|name| (!is_common(name), name.clone()));
        let help = did_you_mean(wanted, known.iter().map(String::as_str));
        mistake.help(help.unwrap_or_else(|| "`show functions` lists what there is".to_owned()))
    }

    /// The tables that the engine itself has, by schema and name.
    pub fn tables_of_its_own(&self) -> Vec<(String, String)> {
        let of = |schema: &'static str| {
            let names = self.catalog.schema(schema).map(|tables| tables.table_names()).unwrap_or_default();
            names.into_iter().map(move |name| (schema.to_owned(), name))
        };
        let mut all: Vec<_> =
            [super::system::SCHEMA, "information_schema"].into_iter().flat_map(of).collect();
        all.sort();
        all
    }

    /// How far the rows are that this session, or one that goes on from it, works out; nothing if there are none yet, or if nobody
    /// [watches](Self::watch).
    pub fn running(&self) -> Option<Progress> {
        self.own.running()
    }

    /// Lets [`running`](Self::running) tell of what begins from now on, or of nothing any more. While it tells, it holds the plan.
    pub fn watch(&self, is_watched: bool) {
        self.own.watch(is_watched);
    }

    /// The functions that a query can call, in no order.
    pub fn function_names(&self) -> Vec<String> {
        let state = self.context.state();
        let (scalar, aggregate) = (state.scalar_functions().keys(), state.aggregate_functions().keys());
        let own = self.own.macro_names();
        scalar.chain(aggregate).chain(state.window_functions().keys()).chain(&own).cloned().collect()
    }
}
