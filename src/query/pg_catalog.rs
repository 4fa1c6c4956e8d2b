//! What do tools of PostgreSQL get that look for tables?
//!
//! They ask `pg_catalog`, in PostgreSQL's own SQL, of which a lake has nothing. A [`PgCatalog`] answers such statements, and no others:
//! the library that is kept for it makes the tables up from the names, columns and comments that the session sees.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider, TableProvider,
};
use datafusion::common::ScalarValue;
use datafusion::datasource::TableType;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    ColumnarValue, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_pg_catalog::pg_catalog::context::{PgCatalogContextProvider, Role};
use datafusion_pg_catalog::setup_pg_catalog;
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;

use super::{Outcome, QueryError, Session, SqlMistake};

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
    /// The library's own, which would be a mistake of its or of ours.
    pub fn pg_catalog(&self, user: &str) -> Result<PgCatalog, QueryError> {
        let catalog = Arc::new(MemoryCatalogProvider::new());
        let lake = self.lake_catalog();
        for name in lake.schema_names() {
            if let Some(schema) = lake.schema(&name) {
                catalog.register_schema(&name, Arc::new(Readable(schema)))?;
            }
        }
        if let Some(standard) = lake.schema("information_schema") {
            catalog.register_schema("information_schema", standard)?;
        }
        if catalog.schema(PUBLIC).is_none() {
            catalog.register_schema(PUBLIC, Arc::new(MemorySchemaProvider::new()))?;
        }
        let config = SessionConfig::new()
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema("elt", self.default_schema())
            .with_target_partitions(1);
        let context = SessionContext::new_with_config(config);
        context.register_catalog("elt", catalog);
        setup_pg_catalog(&context, "elt", Asker(user.to_owned())).map_err(|error| *error)?;
        let version = format!("PostgreSQL {PG_VERSION} (elt {})", env!("CARGO_PKG_VERSION"));
        for (name, value) in [
            ("version", version.as_str()),
            ("current_user", user),
            ("session_user", user),
            ("current_schema", self.default_schema()),
        ] {
            context.register_udf(ScalarUDF::from(Fixed::new(name, Some(value))));
        }
        for name in [
            "obj_description",
            "col_description",
            "shobj_description",
            "pg_get_serial_sequence",
            "pg_get_viewdef",
            "pg_get_indexdef",
            "pg_get_functiondef",
            "pg_get_triggerdef",
            "pg_get_ruledef",
        ] {
            context.register_udf(ScalarUDF::from(Fixed::new(name, None)));
        }
        Ok(PgCatalog {
            context,
            _session: self.clone(),
            parser: Arc::new(PostgresCompatibilityParser::new()),
        })
    }
}

impl PgCatalog {
    /// Whether a statement is one for this catalog: it names a table or a function that only PostgreSQL has.
    pub fn is_meant(sql: &str) -> bool {
        const WORDS: [&str; 14] = [
            "version",
            "current_schemas",
            "format_type",
            "obj_description",
            "col_description",
            "shobj_description",
            "has_schema_privilege",
            "has_table_privilege",
            "has_database_privilege",
            "has_any_column_privilege",
            "quote_ident",
            "regclass",
            "regtype",
            "to_regclass",
        ];
        let Ok(tokens) = super::dialect::tokenize(sql) else {
            // PostgreSQL's own spelling: `OPERATOR(pg_catalog.~)`, `E'…'`.
            return sql.contains("pg_catalog");
        };
        let is_select = |token: &sqlparser::tokenizer::Token| {
            ["select", "with", "table", "values"].contains(&token.to_string().to_lowercase().as_str())
        };
        let mut solid = tokens
            .iter()
            .map(|token| &token.token)
            .filter(|token| !matches!(token, sqlparser::tokenizer::Token::Whitespace(_)));
        if !solid.next().is_some_and(|first| is_select(first)) {
            return false;
        }
        tokens.iter().enumerate().any(|(at, token)| match &token.token {
            sqlparser::tokenizer::Token::Word(word) => {
                let name = word.value.to_lowercase();
                let is_called = || {
                    tokens.get(at + 1).is_some_and(|next| next.token == sqlparser::tokenizer::Token::LParen)
                };
                name.starts_with("pg_")
                    || (WORDS.contains(&name.as_str()) && (is_called() || name.starts_with("reg")))
            }
            _ => false,
        })
    }

    /// The columns of the answer to such a statement, and how it is found.
    ///
    /// # Errors
    /// What of PostgreSQL's catalog there is not.
    pub async fn plan(&self, sql: &str) -> Result<(SchemaRef, LogicalPlan), QueryError> {
        let wrong = |what: String| {
            let help = "this is asked of PostgreSQL's catalog, of which elt has what tools need; ask `information_schema` or the schema `elt`";
            SqlMistake::refused(what, help)
        };
        let statements = self.parser.parse(sql).map_err(|error| wrong(error.to_string()))?;
        let [statement] = &statements[..] else {
            return Err(wrong("one statement at a time".to_owned()).into());
        };
        let statement = datafusion::sql::parser::Statement::Statement(Box::new(statement.clone()));
        let plan = self.context.state().statement_to_plan(statement).await;
        let plan = plan.map_err(|error| wrong(error.strip_backtrace()))?;
        let is_query = !matches!(
            plan,
            LogicalPlan::Ddl(_) | LogicalPlan::Dml(_) | LogicalPlan::Copy(_) | LogicalPlan::Statement(_)
        );
        if !is_query {
            return Err(wrong("nothing in `pg_catalog` can be changed".to_owned()).into());
        }
        let state = self.context.state();
        let analyzed = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {});
        let analyzed = analyzed.map_err(|error| wrong(error.strip_backtrace()))?;
        Ok((Arc::new(analyzed.schema().as_arrow().clone()), plan))
    }

    /// Answers such a statement.
    ///
    /// # Errors
    /// As [`plan`](Self::plan), and what goes wrong on the way.
    pub async fn answer(&self, sql: &str) -> Result<Outcome, QueryError> {
        let (_, plan) = self.plan(sql).await?;
        let frame = self.context.execute_logical_plan(plan).await?;
        Ok(Outcome::stream(frame.execute_stream().await?))
    }
}

/// A function that always gives the same, whatever it is given.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Fixed {
    name: &'static str,
    value: Option<String>,
    signature: Signature,
}

impl Fixed {
    fn new(name: &'static str, value: Option<&str>) -> Self {
        let signature = match value {
            Some(_) => Signature::nullary(Volatility::Stable),
            None => Signature::variadic_any(Volatility::Stable),
        };
        Self { name, value: value.map(str::to_owned), signature }
    }
}

impl ScalarUDFImpl for Fixed {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(self.value.clone())))
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
