//! What is a temporary view, and what a temporary table?
//!
//! A view is its query. A table is Parquet files in a folder of the system's own for such things, which is deleted with
//! the last session that knows it: so it may hold more rows than memory does.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::ViewTable;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr as EngineExpr;
use datafusion::logical_expr::{ExprSchemable, LogicalPlan, LogicalPlanBuilder, lit};
use futures::StreamExt;
use parquet::arrow::ArrowWriter;
use sqlparser::ast::{self, CreateTableLikeKind, Ident, ObjectName, Query, Statement};
use tempfile::TempDir;

use super::names::TEMPORARY;
use super::rewrite::{Rewrite, refuse_returning, rewrite};
use super::{done, nothing};
use crate::base::TableName;
use crate::query::dialect::{self, IfKept, parse_query};
use crate::query::parquet_format::ParquetFiles;
use crate::query::provider::LakeCatalog;
use crate::query::{Outcome, QueryError, Session, SqlMistake, staging};
use crate::release::View;

/// Something temporary.
#[derive(Clone, Debug)]
pub(in crate::query) enum Temporary {
    View(View),
    Rows(Rows),
    /// Rows that pass once, on their way to somewhere else.
    Passing(Arc<dyn TableProvider>),
}

/// Rows in files of a folder that goes away.
#[derive(Clone, Debug)]
pub(in crate::query) struct Rows {
    schema: SchemaRef,
    folder: Arc<TempDir>,
    files: usize,
}

/// A statement that writes to something temporary.
#[derive(Clone, Debug)]
pub enum Write {
    /// Rows are added to a table.
    Insert(String, Box<ast::Insert>),
    /// Rows of a table are changed.
    Rewrite(String, Rewrite),
    /// These go away.
    Drop(Vec<String>),
}

/// The schema of temporary names.
#[derive(Debug)]
pub(in crate::query) struct TemporarySchema {
    pub(in crate::query) catalog: LakeCatalog,
}

#[async_trait]
impl SchemaProvider for TemporarySchema {
    fn table_names(&self) -> Vec<String> {
        self.catalog.own.names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(match self.catalog.own.temporary(name) {
            None => None,
            Some(Temporary::View(view)) => {
                let name = TableName::outside(name);
                let plan = self.catalog.plan_view(&name, &view, None).await?;
                Some(Arc::new(ViewTable::new(plan, Some(view.sql))))
            }
            Some(Temporary::Rows(rows)) => Some(rows.provider()?),
            Some(Temporary::Passing(rows)) => Some(rows),
        })
    }

    fn table_exist(&self, name: &str) -> bool {
        self.catalog.own.temporary(name).is_some()
    }
}

impl Rows {
    /// The columns.
    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// # Errors
    /// A column is or has an interval, for which Parquet has no type that could hold it.
    pub(super) fn empty(schema: SchemaRef) -> Result<Self, QueryError> {
        let is_interval = |field: &&FieldRef| field.data_type().to_string().contains("Interval(");
        if let Some(field) = schema.fields().iter().find(is_interval) {
            let what = format!("the column `{0}` of a temporary table cannot be an interval", field.name());
            return Err(SqlMistake::new("elt::sql::not_supported", what)
                .help(format!(
                    "keep it as a text, `{0}::varchar`, and read it with `{0}::interval`",
                    field.name()
                ))
                .into());
        }
        let folder = tempfile::Builder::new().prefix("elt-temp-").tempdir().map_err(no_room)?;
        Ok(Self { schema, folder: Arc::new(folder), files: 0 })
    }

    fn provider(&self) -> Result<Arc<dyn TableProvider>> {
        let url = ListingTableUrl::parse(format!("{}/", self.folder.path().display()))?;
        let options = ListingOptions::new(Arc::new(ParquetFiles::default())).with_file_extension(".parquet");
        let config = ListingTableConfig::new(url).with_listing_options(options);
        Ok(Arc::new(ListingTable::try_new(config.with_schema(Arc::clone(&self.schema)))?))
    }

    /// The same with more rows; those that were there stay as they are, whatever happens.
    pub(super) async fn with(mut self, rows: Outcome) -> Result<(Self, u64), QueryError> {
        let path = self.folder.path().join(format!("{}.tmp", self.files));
        let file = std::fs::File::create(&path).map_err(no_room)?;
        let mut writer =
            ArrowWriter::try_new(file, Arc::clone(&self.schema), None).map_err(DataFusionError::from)?;
        let (mut stream, mut count) = (rows.into_stream(), 0);
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            let batch = batch.with_schema(Arc::clone(&self.schema)).map_err(DataFusionError::from)?;
            count += batch.num_rows() as u64;
            writer.write(&batch).map_err(DataFusionError::from)?;
        }
        writer.close().map_err(DataFusionError::from)?;
        let whole: PathBuf = path.with_extension("parquet");
        std::fs::rename(&path, &whole).map_err(no_room)?;
        self.files += 1;
        Ok((self, count))
    }
}

fn no_room(error: std::io::Error) -> QueryError {
    SqlMistake::new("elt::sql::temporary", format!("a temporary table cannot be written: {error}"))
        .help("its files are in the folder that `TMPDIR` names; make room there, or name another")
        .into()
}

/// The name of something temporary, as it is written: `t` or `temp.t`.
fn name_of(name: &ObjectName) -> Result<String, SqlMistake> {
    let parts: Option<Vec<String>> =
        name.0.iter().map(|part| part.as_ident().map(|name| name.value.to_lowercase())).collect();
    match parts.as_deref() {
        Some([table]) => Ok(table.clone()),
        Some([schema, table]) if schema == "temp" => Ok(table.clone()),
        _ => Err(SqlMistake::new("elt::sql::temporary", format!("`{name}` cannot name something temporary"))
            .help("write a name without a schema")),
    }
}

/// Whether there is something to be made, given what there is.
fn is_free(session: &Session, name: &str, if_there: IfKept) -> Result<bool, SqlMistake> {
    match (session.own.temporary(name), if_there) {
        (None, _) | (Some(_), IfKept::Replace) => Ok(true),
        (Some(_), IfKept::Keep) => Ok(false),
        (Some(_), IfKept::Refuse) => {
            let mistake =
                SqlMistake::new("elt::sql::temporary", format!("there is a temporary `{name}` already"));
            Err(mistake.help("write `create or replace temp …`, or drop it first"))
        }
    }
}

pub(super) async fn create_view(
    session: &Session,
    name: &ObjectName,
    columns: &[Ident],
    query: Query,
    if_there: IfKept,
) -> Result<Outcome, QueryError> {
    let name = name_of(name)?;
    if !is_free(session, &name, if_there)? {
        return Ok(nothing());
    }
    let mut statement = Statement::Query(Box::new(query));
    session.own.unfold(&mut statement)?;
    session.own.spell(&mut statement);
    let own = format!("\"{TEMPORARY}\".\"{name}\"");
    let mut sql = statement.to_string();
    if reaches(session, &sql, &own) {
        let mistake =
            SqlMistake::new("elt::sql::temporary", format!("the temporary view `{name}` would read itself"));
        return Err(mistake.help("give it another name").into());
    }
    if !columns.is_empty() {
        let names: Vec<String> = columns.iter().map(ToString::to_string).collect();
        sql = format!("SELECT * FROM ({sql}) AS \"{name}\" ({})", names.join(", "));
    }
    let probe = dialect::parse_query(&sql)?;
    let plan = match Box::pin(session.plan(probe)).await {
        Ok(plan) => plan,
        // The query as it was read knows where its words stand in what was typed.
        Err(error) => return Err(Box::pin(session.plan(statement)).await.err().unwrap_or(error)),
    };
    session.columns_given(plan)?;
    session.own.put(&name, Temporary::View(View::new(sql, "").meant_by(session.unsaid())));
    Ok(nothing())
}

/// Whether a query reads a temporary name, itself or through other temporary views.
fn reaches(session: &Session, sql: &str, wanted: &str) -> bool {
    sql.contains(wanted)
        || session.own.names().iter().any(|name| {
            let quoted = format!("\"{TEMPORARY}\".\"{name}\"");
            match session.own.temporary(name) {
                // A view that reads the wanted one is older than it, so this ends.
                Some(Temporary::View(view)) if quoted != wanted && sql.contains(&quoted) => {
                    reaches(session, &view.sql, wanted)
                }
                _ => false,
            }
        })
}

/// A query that has the columns of a table, and no rows.
fn like_of(name: &ast::ObjectName) -> Result<Box<ast::Query>, QueryError> {
    match parse_query(&format!("select * from {name} where false"))? {
        Statement::Query(query) => Ok(query),
        _ => unreachable!("a select is a query"),
    }
}

pub(super) async fn create_table(
    session: &Session,
    mut create: ast::CreateTable,
    if_there: IfKept,
) -> Result<Outcome, QueryError> {
    let name = name_of(&create.name)?;
    if !is_free(session, &name, if_there)? {
        return Ok(nothing());
    }
    (create.temporary, create.or_replace, create.if_not_exists) = (false, false, false);
    let query = match &create.like {
        Some(CreateTableLikeKind::Plain(like) | CreateTableLikeKind::Parenthesized(like))
            if like.defaults.is_none() && create.columns.is_empty() =>
        {
            let query = like_of(&like.name)?;
            create.like = None;
            Some(query)
        }
        _ => create.query.take(),
    };
    let bare = ast::CreateTable { columns: Vec::new(), ..create.clone() };
    let plain = format!("CREATE TABLE {}", create.name);
    if bare.to_string().trim() != plain && bare.to_string().trim() != format!("{plain} ()") {
        let mistake =
            SqlMistake::new("elt::sql::not_supported", "this clause of CREATE TEMP TABLE is not supported");
        return Err(mistake.help("columns with their types, and AS, are what there is").into());
    }
    let is_rule = |option: &ast::ColumnOptionDef| !matches!(option.option, ast::ColumnOption::Null);
    if let Some(column) = create.columns.iter().find(|column| column.options.iter().any(is_rule)) {
        let what = format!("a rule or a default of `{}` in a temporary table is not supported", column.name);
        return Err(SqlMistake::new("elt::sql::not_supported", what)
            .help("leave it out; lasting tables have NOT NULL, CHECK and GENERATED ALWAYS AS")
            .into());
    }
    let declared = match create.columns.as_slice() {
        [] => None,
        columns => Some(staging::declared_columns(session, columns).await?),
    };
    let (rows, count) = match query {
        None => {
            let schema = declared.ok_or_else(|| {
                SqlMistake::new("elt::sql::temporary", format!("the temporary table `{name}` has no columns"))
                    .help("write `create temp table t (id int)`, or `… as select …`")
            })?;
            (Rows::empty(schema)?, 0)
        }
        Some(query) => {
            let plan = Box::pin(session.plan(Statement::Query(query))).await?;
            let schema = match declared {
                Some(schema) => schema,
                None => open_schema(session.columns_given(plan.clone())?.as_ref()),
            };
            let plan = fitted(plan, &schema, &[])?;
            Rows::empty(schema)?.with(session.rows_of_plan(plan).await?).await?
        }
    };
    session.own.put(&name, Temporary::Rows(rows));
    Ok(done("CREATE TEMP TABLE", count))
}

/// The columns, each of which may be null.
fn open_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Where a column stands that a statement names.
pub(super) fn named_column(name: &ast::ObjectName, schema: &Schema) -> Result<usize, SqlMistake> {
    let last = name.0.last().and_then(|part| part.as_ident());
    let is_it = |known: &str| {
        last.is_some_and(|last| match last.quote_style {
            Some(_) => known == last.value,
            None => known.eq_ignore_ascii_case(&last.value),
        })
    };
    schema.fields().iter().position(|field| is_it(field.name())).ok_or_else(|| {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        SqlMistake::new("elt::sql::no_such_column", format!("there is no column `{name}`"))
            .help(format!("there are: {}", names.join(", ")))
    })
}

/// The rows of a plan as a table takes them: its columns by place, or those at the places that are named.
pub(super) fn fitted(
    plan: LogicalPlan,
    schema: &SchemaRef,
    named: &[usize],
) -> Result<LogicalPlan, QueryError> {
    let wanted: Vec<usize> = match named {
        [] => (0..schema.fields().len()).collect(),
        named => named.to_vec(),
    };
    let given: Vec<Column> = plan.schema().columns();
    if given.len() != wanted.len() {
        let what = format!("{} columns are given, and the table has {}", given.len(), wanted.len());
        return Err(SqlMistake::new("elt::sql::temporary", what)
            .help("name the columns: `insert into t (a, b) …`")
            .into());
    }
    let mut exprs = Vec::new();
    for (at, field) in schema.fields().iter().enumerate() {
        let expr = match wanted.iter().position(|wanted| *wanted == at) {
            Some(place) => {
                EngineExpr::Column(given[place].clone()).cast_to(field.data_type(), plan.schema())?
            }
            None => lit(ScalarValue::try_from(field.data_type())?),
        };
        exprs.push(expr.alias(field.name()));
    }
    Ok(LogicalPlanBuilder::from(plan).project(exprs)?.build()?)
}

impl Session {
    /// Carries out a write to something temporary.
    pub(in crate::query) async fn write_temporary(&self, write: Write) -> Result<Outcome, QueryError> {
        match write {
            Write::Drop(names) => {
                let mut kept = self.own.kept();
                names.iter().for_each(|name| drop(kept.temporary.remove(name)));
                kept.has_news = true;
                Ok(nothing())
            }
            Write::Rewrite(name, how) => rewrite(self, &name, how).await,
            Write::Insert(name, insert) => {
                let Some(Temporary::Rows(rows)) = self.own.temporary(&name) else {
                    let mistake = SqlMistake::new("elt::sql::temporary", format!("`{name}` is a view"));
                    return Err(mistake.help("rows are added to tables").into());
                };
                refuse_returning("INSERT", insert.returning.is_some())?;
                staging::refuse_others_of_insert(&insert)?;
                let source =
                    insert.source.clone().filter(|_| !insert.overwrite && insert.partitioned.is_none());
                let Some(mut source) = source.filter(|_| insert.on.is_none()) else {
                    let mistake = SqlMistake::new(
                        "elt::sql::not_supported",
                        "this form of INSERT into a temporary table is not supported",
                    );
                    return Err(mistake
                        .help("write `insert into t select …` or `insert into t values (…)`")
                        .into());
                };
                staging::default_is_null(&mut source.body);
                let named = insert.columns.iter().map(|column| named_column(column, &rows.schema));
                let names = named.collect::<Result<Vec<usize>, _>>()?;
                if let Some(at) = (1..names.len()).find(|at| names[..*at].contains(&names[*at])) {
                    let what = format!("two columns are called `{}`", rows.schema.field(names[at]).name());
                    return Err(SqlMistake::new("elt::sql::plan", what).help("leave one of them out").into());
                }
                let plan = Box::pin(self.plan(Statement::Query(source))).await?;
                let plan = fitted(plan, &rows.schema, &names)?;
                let (rows, count) = rows.with(self.rows_of_plan(plan).await?).await?;
                self.own.put(&name, Temporary::Rows(rows));
                Ok(done("INSERT", count))
            }
        }
    }
}
