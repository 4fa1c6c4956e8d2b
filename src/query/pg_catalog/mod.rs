//! What do tools of PostgreSQL get that look for tables?
//!
//! They ask `pg_catalog` and `information_schema`, in PostgreSQL's own SQL, of which a lake has nothing. A [`PgCatalog`] answers such
//! statements, and no others. What the session sees is gathered once (`facts`) and written down as PostgreSQL's tables (`tables`,
//! `standard`); the kept library has the rest: types, and how its SQL is read. What the engine cannot plan is put into words that it can
//! (`meanings`), or has no rows for sure (`absent`).

mod absent;
mod activity;
mod facts;
mod functions;
mod listing;
mod meanings;
mod rows;
mod settings;
mod standard;
mod tables;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, MemTable, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider, TableProvider,
};
use datafusion::common::TableReference;
use datafusion::datasource::{TableType, ViewTable, provider_as_source};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_pg_catalog::pg_catalog::context::{PgCatalogContextProvider, Role};
use datafusion_pg_catalog::setup_pg_catalog;
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::{Outcome, QueryError, Session, SqlMistake};
use absent::Absent;
pub use activity::{PgBackend, PgBackends};
use facts::Facts;
pub use facts::{PgAsker, PgKey};
pub use settings::{is_idle, settings as pg_settings};

/// The version of PostgreSQL that is played.
pub const PG_VERSION: &str = "16.6";

/// The schema that tools expect to be there.
const PUBLIC: &str = "public";

/// What a session sees, as PostgreSQL's catalog.
#[derive(Clone)]
pub struct PgCatalog {
    context: SessionContext,
    /// Its names are looked up in it.
    _session: Session,
    parser: Arc<PostgresCompatibilityParser>,
    facts: Arc<Facts>,
    absent: Arc<Absent>,
}

impl std::fmt::Debug for PgCatalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgCatalog").finish_non_exhaustive()
    }
}

/// A schema without what cannot be read: one view that does not fit any more hides nothing else.
#[derive(Debug)]
struct Readable(Arc<dyn SchemaProvider>);

#[async_trait]
impl SchemaProvider for Readable {
    fn table_names(&self) -> Vec<String> {
        self.0.table_names()
    }

    async fn table(&self, name: &str) -> EngineResult<Option<Arc<dyn TableProvider>>> {
        Ok(self.0.table(name).await.unwrap_or(None))
    }

    async fn table_type(&self, name: &str) -> EngineResult<Option<TableType>> {
        self.0.table_type(name).await
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.table_exist(name)
    }
}

/// A schema whose tables are ours, where we have them, and the library's else.
#[derive(Debug)]
struct Over {
    own: tables::Tables,
    theirs: Option<Arc<dyn SchemaProvider>>,
}

#[async_trait]
impl SchemaProvider for Over {
    fn table_names(&self) -> Vec<String> {
        let theirs = self.theirs.iter().flat_map(|theirs| theirs.table_names());
        let all: HashSet<String> = self.own.keys().cloned().chain(theirs).collect();
        all.into_iter().collect()
    }

    async fn table(&self, name: &str) -> EngineResult<Option<Arc<dyn TableProvider>>> {
        match (self.own.get(name), &self.theirs) {
            (Some(own), _) => Ok(Some(Arc::clone(own))),
            (None, Some(theirs)) => match theirs.table(name).await? {
                Some(table) => with_number(name, table).map(Some),
                None => Ok(None),
            },
            (None, None) => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.own.contains_key(name) || self.theirs.as_ref().is_some_and(|theirs| theirs.table_exist(name))
    }
}

/// A table with the column that says which table a row is of: its number.
fn with_number(name: &str, table: Arc<dyn TableProvider>) -> EngineResult<Arc<dyn TableProvider>> {
    if table.schema().column_with_name("tableoid").is_some() {
        return Ok(table);
    }
    let number = facts::number_of_own(name);
    let scan = LogicalPlanBuilder::scan(TableReference::bare(name), provider_as_source(table), None)?;
    let mut columns: Vec<Expr> = scan.schema().columns().into_iter().map(Expr::Column).collect();
    columns.push(lit(number).alias_qualified(Some(TableReference::bare(name)), "tableoid"));
    Ok(Arc::new(ViewTable::new(scan.project(columns)?.build()?, None)))
}

/// The users that the catalog tells of: whoever asks.
#[derive(Clone, Debug)]
struct Asker(String);

#[async_trait]
impl PgCatalogContextProvider for Asker {
    async fn roles(&self) -> Vec<String> {
        vec![self.0.clone()]
    }

    async fn role(&self, name: &str) -> Option<Role> {
        (name == self.0).then(|| Role {
            name: self.0.clone(),
            is_superuser: false,
            can_login: true,
            can_create_db: false,
            can_create_role: false,
            can_create_user: false,
            can_replication: false,
            grants: Vec::new(),
            inherited_roles: Vec::new(),
        })
    }
}

impl Session {
    /// The catalog that tools of PostgreSQL ask, of what this session sees.
    ///
    /// # Errors
    /// The library's own, which would be a mistake of its or of ours; and what keeps a table's columns from being read.
    pub async fn pg_catalog(&self, asker: PgAsker) -> Result<PgCatalog, QueryError> {
        let catalog = Arc::new(MemoryCatalogProvider::new());
        let lake = self.lake_catalog();
        for name in lake.schema_names() {
            if let Some(schema) = lake.schema(&name).filter(|_| name != "information_schema") {
                catalog.register_schema(&name, Arc::new(Readable(schema)))?;
            }
        }
        if catalog.schema(PUBLIC).is_none() {
            catalog.register_schema(PUBLIC, Arc::new(MemorySchemaProvider::new()))?;
        }
        let config = SessionConfig::new()
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema("elt", self.default_schema())
            .with_target_partitions(1);
        let context = SessionContext::new_with_config(config);
        context.register_catalog("elt", Arc::clone(&catalog) as Arc<dyn CatalogProvider>);
        setup_pg_catalog(&context, "elt", Asker(asker.user.clone())).map_err(|error| *error)?;
        let (types, type_numbers) = types(&context).await?;
        let theirs = catalog.schema("pg_catalog");
        let mut nothing = HashMap::new();
        for (name, columns) in tables::EMPTY {
            let known = match &theirs {
                Some(theirs) if columns.is_empty() => theirs.table(name).await?,
                _ => None,
            };
            let table: Arc<dyn TableProvider> = match known {
                Some(known) => {
                    let mut fields: Vec<_> = known.schema().fields().iter().cloned().collect();
                    if fields.iter().all(|field| field.name() != "tableoid") {
                        fields.push(Arc::new(Field::new("tableoid", DataType::Int32, true)));
                    }
                    Arc::new(MemTable::try_new(Arc::new(Schema::new(fields)), vec![vec![]])?)
                }
                None => rows::table(columns, &[])?,
            };
            nothing.insert(name.to_owned(), table);
        }
        let facts = Arc::new(Facts::gather(self, asker, catalog.as_ref()).await?);
        let mut absent: HashSet<String> = nothing.keys().cloned().collect();
        if facts.keys.is_empty() {
            absent.extend(["pg_constraint", "pg_index"].map(str::to_owned));
        }
        let has_keys = !facts.keys.is_empty();
        nothing.extend(tables::tables(&facts)?);
        nothing.insert("elt_types".to_owned(), types);
        catalog.register_schema("pg_catalog", Arc::new(Over { own: nothing, theirs }))?;
        let standard = Over { own: standard::tables(&facts)?, theirs: None };
        catalog.register_schema("information_schema", Arc::new(standard))?;
        functions::register(&context, &facts, type_numbers);
        Ok(PgCatalog {
            context,
            _session: self.clone(),
            parser: Arc::new(PostgresCompatibilityParser::new()),
            facts,
            absent: Arc::new(Absent::new(absent, has_keys)),
        })
    }
}

/// The types of PostgreSQL, each with that of its items; and their numbers by name.
async fn types(context: &SessionContext) -> EngineResult<(Arc<dyn TableProvider>, HashMap<String, i32>)> {
    let sql = "select t.oid, 'pg_catalog' as ns, t.typname as name, t.typtype as kind, cast(null as int) as basetype, \
        case when t.typlen = -1 and t.typelem <> 0 then t.typelem end as elemtype, e.typdelim as elemdelim, \
        cast(null as int) as range_subtype, cast(null as int) as attrtypoids, cast(null as varchar) as attrnames, 0 as depth, \
        e.typname as elemname from elt.pg_catalog.pg_type t left join elt.pg_catalog.pg_type e on t.typelem = e.oid and t.typlen = -1";
    let frame = context.sql(sql).await?;
    let batches = frame.collect().await?;
    let mut numbers = HashMap::new();
    for batch in &batches {
        let names = cast(batch.column_by_name("name").unwrap_or(batch.column(0)), &DataType::Utf8)?;
        let oids = cast(batch.column(0), &DataType::Int32)?;
        let pairs = names.as_string::<i32>().iter().zip(oids.as_primitive::<Int32Type>().iter());
        numbers.extend(pairs.filter_map(|(name, oid)| Some((name?.to_owned(), oid?))));
    }
    let found = match batches.first() {
        Some(batch) => batch.schema(),
        None => Arc::new(Schema::empty()),
    };
    let letters = |field: &arrow::datatypes::FieldRef| {
        let key = match field.name().as_str() {
            "kind" | "elemdelim" => ("pg.char", "true"),
            "oid" | "elemtype" => ("pg.oid_alias", "oid"),
            _ => return field.as_ref().clone(),
        };
        field.as_ref().clone().with_metadata(HashMap::from([(key.0.to_owned(), key.1.to_owned())]))
    };
    let schema = Arc::new(Schema::new(found.fields().iter().map(letters).collect::<Vec<_>>()));
    let same = |batch: RecordBatch| RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec());
    let batches = batches.into_iter().map(same).collect::<Result<Vec<_>, _>>()?;
    Ok((Arc::new(MemTable::try_new(schema, vec![batches])?), numbers))
}

/// How a statement is answered.
#[derive(Clone, Debug)]
pub struct PgAnswer {
    /// The columns.
    pub schema: SchemaRef,
    /// How its rows are found; nothing for one that has none.
    plan: Option<Arc<dyn ExecutionPlan>>,
}

impl PgCatalog {
    /// Whether a statement is one for this catalog: it names a table or a function that only PostgreSQL has.
    pub fn is_meant(sql: &str) -> bool {
        const WORDS: [&str; 37] = [
            "col_description",
            "current_schemas",
            "current_setting",
            "format_type",
            "has_any_column_privilege",
            "has_column_privilege",
            "has_database_privilege",
            "has_function_privilege",
            "has_schema_privilege",
            "has_sequence_privilege",
            "has_table_privilege",
            "has_tablespace_privilege",
            "has_type_privilege",
            "inet_client_addr",
            "inet_client_port",
            "inet_server_addr",
            "inet_server_port",
            "information_schema",
            "obj_description",
            "quote_ident",
            "quote_literal",
            "regclass",
            "regnamespace",
            "regoper",
            "regproc",
            "regprocedure",
            "regrole",
            "regtype",
            "row_security_active",
            "set_config",
            "shobj_description",
            "to_regclass",
            "to_regnamespace",
            "to_regproc",
            "to_regtype",
            "txid_current_if_assigned",
            "version",
        ];
        let Ok(tokens) = super::dialect::tokenize(sql) else {
            // PostgreSQL's own spelling: `OPERATOR(pg_catalog.~)`, `E'…'`.
            return sql.contains("pg_catalog");
        };
        let is_select = |token: &Token| {
            ["select", "with", "table", "values"].contains(&token.to_string().to_lowercase().as_str())
        };
        let mut solid =
            tokens.iter().map(|token| &token.token).filter(|token| !matches!(token, Token::Whitespace(_)));
        if !solid.next().is_some_and(|first| is_select(first)) {
            return false;
        }
        tokens.iter().enumerate().any(|(at, token)| match &token.token {
            Token::Word(word) => {
                let name = word.value.to_lowercase();
                let is_called = || tokens.get(at + 1).is_some_and(|next| next.token == Token::LParen);
                name.starts_with("pg_")
                    || (WORDS.contains(&name.as_str())
                        && (is_called() || name.starts_with("reg") || name == "information_schema"))
            }
            _ => false,
        })
    }

    /// The types to which such a statement casts its places, in order, empty where it does not; and the statement with nulls in them.
    pub fn places(sql: &str) -> (Vec<String>, String) {
        let parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap_or_default();
        let Some(mut statement) = parsed.into_iter().next() else { return (Vec::new(), sql.to_owned()) };
        let found = meanings::places(&mut statement);
        let count = found.iter().map(|(number, _)| *number).max().unwrap_or(0);
        let mut types = vec![String::new(); count];
        for (number, data_type) in found {
            if let Some(known) =
                number.checked_sub(1).and_then(|at| types.get_mut(at)).filter(|known| known.is_empty())
            {
                *known = data_type;
            }
        }
        (types, statement.to_string())
    }

    /// The columns of the answer to such a statement, and how it is found.
    ///
    /// # Errors
    /// What of PostgreSQL's catalog there is not.
    pub async fn plan(&self, sql: &str) -> Result<PgAnswer, QueryError> {
        let parsed =
            Parser::parse_sql(&PostgreSqlDialect {}, sql).map_err(|error| wrong(error.to_string()))?;
        let [statement] = &parsed[..] else { return Err(wrong("one statement at a time".to_owned()).into()) };
        let nothing = self.absent.columns(statement);
        match self.physical(statement.clone()).await {
            Ok(plan) => Ok(PgAnswer { schema: plan.schema(), plan: Some(plan) }),
            Err(error) => match nothing {
                Some(schema) => Ok(PgAnswer { schema, plan: None }),
                None => Err(error),
            },
        }
    }

    async fn physical(
        &self,
        statement: sqlparser::ast::Statement,
    ) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
        let meant = meanings::meant(statement, &self.facts, &self.absent)?;
        let mut statements =
            self.parser.parse(&meant.to_string()).map_err(|error| wrong(error.to_string()))?;
        let Some(statement) = statements.pop() else { return Err(SqlMistake::empty().into()) };
        let statement = datafusion::sql::parser::Statement::Statement(Box::new(statement));
        let state = self.context.state();
        let plan = state.statement_to_plan(statement).await.map_err(unplanned)?;
        let is_query = !matches!(
            plan,
            LogicalPlan::Ddl(_) | LogicalPlan::Dml(_) | LogicalPlan::Copy(_) | LogicalPlan::Statement(_)
        );
        if !is_query {
            return Err(wrong("nothing in `pg_catalog` can be changed".to_owned()).into());
        }
        state.create_physical_plan(&plan).await.map_err(unplanned)
    }

    /// Answers such a statement.
    ///
    /// # Errors
    /// As [`plan`](Self::plan), and what goes wrong on the way.
    pub async fn answer(&self, sql: &str) -> Result<Outcome, QueryError> {
        let PgAnswer { schema, plan } = self.plan(sql).await?;
        Ok(match plan {
            Some(plan) => Outcome::stream(execute_stream(plan, self.context.task_ctx())?),
            None => Outcome::rows(RecordBatch::new_empty(schema)),
        })
    }
}

/// What cannot be asked of the catalog.
fn wrong(what: String) -> SqlMistake {
    let help = "this is asked of PostgreSQL's catalog, of which elt has what tools need; ask `information_schema` or the schema `elt`";
    SqlMistake::refused(what, help)
}

/// Why the engine has no plan. What we say ourselves stays as it is.
fn unplanned(error: datafusion::error::DataFusionError) -> QueryError {
    let words = error.strip_backtrace();
    match QueryError::from(error) {
        QueryError::Engine(_) => wrong(words).into(),
        QueryError::Sql(mistake) if mistake.code() == "elt::sql::not_supported" => mistake.into(),
        QueryError::Sql(_) => wrong(words).into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_postgresql_has_is_told_from_what_a_lake_has() {
        for sql in [
            "select * from pg_catalog.pg_class",
            "SELECT n.nspname FROM pg_namespace n",
            "select version()",
            "select 'a'::regclass",
            "select pg_backend_pid()",
            "select current_setting('timezone')",
            "select * from information_schema.tables",
            "with x as (select * from pg_type) select * from x",
        ] {
            assert!(PgCatalog::is_meant(sql), "{sql}");
        }
        for sql in [
            "select 1",
            "select version from releases",
            "select * from t version as of 1",
            "insert into pg_things values (1)",
            "select 'pg_catalog'",
        ] {
            assert!(!PgCatalog::is_meant(sql), "{sql}");
        }
    }
}
