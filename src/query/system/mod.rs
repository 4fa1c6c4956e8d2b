//! What does the lake know of itself?
//!
//! The tables of the schema `elt`: releases, tables and their columns, versions and files, runs, loads. Nothing of it is
//! kept anywhere else than where it already is, in the lake's documents and in the commits of its tables, and what was asked
//! on the machine where it was asked; a table here is a way to read them, at the time when it is read. [`TABLES`] has them all: a name, columns, and a function that gives
//! the rows, or a query that does.
//!
//! Not here: `information_schema`, which is the engine's own.

mod lineage;
mod loads;
mod queries;
mod releases;
mod rows;
mod runs;
mod tables;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{MemTable, SchemaProvider, Session as EngineSession, TableProvider};
use datafusion::datasource::{TableType, ViewTable};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use futures::future::BoxFuture;

use super::provider::LakeCatalog;
use super::{QueryError, Scope, SqlMistake};
use crate::base::TableName;
use crate::release::View;
use rows::{Column, Row, batch, schema};

/// The schema of these tables.
pub(super) const SCHEMA: &str = "elt";

/// One table.
pub(super) struct SystemTable {
    pub(super) name: &'static str,
    /// What it holds, in a line.
    pub(super) about: &'static str,
    columns: &'static [Column],
    rows: Rows,
}

/// Reads the rows of a table from what a session can see.
type ReadRows = for<'a> fn(&'a LakeCatalog) -> BoxFuture<'a, Result<Vec<Row>, QueryError>>;

/// Where a table's rows come from.
enum Rows {
    /// From the lake's documents, when they are asked for.
    Read(ReadRows),
    /// From other tables.
    Query(fn(&Scope) -> String),
}

/// Every table of the schema, in order.
pub(super) const TABLES: &[SystemTable] = &[
    tables::COLUMNS,
    loads::COPY_HISTORY,
    tables::FILES,
    lineage::LINEAGE,
    loads::LOAD_ERRORS,
    runs::MODEL_RUNS,
    queries::QUERY_HISTORY,
    releases::RELEASES,
    runs::RUNS,
    releases::TABLE_VERSIONS,
    tables::TABLES,
    runs::TEST_RESULTS,
];

/// Whether a name is one of these tables.
pub(super) fn holds(name: &TableName) -> bool {
    name.schema() == SCHEMA && find(name.table()).is_some()
}

/// Schemas that are made of what is in the lake, as SQL and PostgreSQL have them. Nothing that is put there could be read.
const TOLD: [&str; 2] = ["information_schema", "pg_catalog"];

/// Refuses a name that a table of a user cannot have.
///
/// # Errors
/// The name is elt's own, or in a schema that is.
pub(super) fn check_free(name: &TableName) -> Result<(), QueryError> {
    let what = match TOLD.contains(&name.schema()) {
        true => format!("a table in the schema `{}`", name.schema()),
        false if holds(name) => format!("a table of the name `{name}`, which is elt's own,"),
        false => return Ok(()),
    };
    let mistake = SqlMistake::new("elt::sql::not_supported", format!("{what} is not supported"));
    Err(mistake.help("put it in another schema").into())
}

fn find(name: &str) -> Option<&'static SystemTable> {
    TABLES.iter().find(|table| table.name.eq_ignore_ascii_case(name))
}

/// The schema `elt` of a session, with tables of the lake's own that are in a schema of that name.
#[derive(Debug)]
pub(super) struct SystemSchema {
    pub(super) catalog: LakeCatalog,
    pub(super) beside: Option<Arc<dyn SchemaProvider>>,
}

impl SystemSchema {
    fn shows(&self, table: &SystemTable) -> bool {
        self.catalog.scope.rights().is_none_or(|rights| rights.see_system(table.name))
    }
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        let own = TABLES.iter().filter(|table| self.shows(table)).map(|table| table.name.to_owned());
        let beside = self.beside.iter().flat_map(|beside| beside.table_names());
        own.chain(beside.filter(|name| find(name).is_none())).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(table) = find(name).filter(|table| self.shows(table)) else {
            return match &self.beside {
                Some(beside) => beside.table(name).await,
                None => Ok(None),
            };
        };
        Ok(Some(match table.rows {
            Rows::Read(_) => {
                Arc::new(Reading { table, catalog: self.catalog.clone(), schema: schema(table.columns) })
            }
            Rows::Query(sql) => {
                let view = View::new(sql(&self.catalog.scope), "");
                let name = TableName::new(SCHEMA, name)
                    .map_err(|error| datafusion::error::DataFusionError::Internal(error.to_string()))?;
                let plan = self.catalog.plan_view(&name, &view, None).await?;
                Arc::new(ViewTable::new(plan, Some(view.sql)))
            }
        }))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        match (find(name), &self.beside) {
            (Some(_), _) => Ok(Some(TableType::View)),
            (None, Some(beside)) => beside.table_type(name).await,
            (None, None) => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        find(name).is_some_and(|table| self.shows(table))
            || self.beside.as_ref().is_some_and(|beside| beside.table_exist(name))
    }
}

/// A table whose rows are read when they are asked for, and not when it is only described.
struct Reading {
    table: &'static SystemTable,
    catalog: LakeCatalog,
    schema: SchemaRef,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reading({SCHEMA}.{})", self.table.name)
    }
}

#[async_trait]
impl TableProvider for Reading {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn EngineSession,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = match self.table.rows {
            Rows::Read(read) => read(&self.catalog).await?,
            Rows::Query(_) => Vec::new(),
        };
        let batch = batch(&self.schema, self.table.columns, &rows)?;
        MemTable::try_new(self.schema(), vec![vec![batch]])?.scan(state, projection, filters, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_in_order_and_said_in_a_line() {
        let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        assert!(names.is_sorted(), "{names:?}");
        for table in TABLES {
            assert!(!table.about.is_empty() && table.about.len() < 80, "{}", table.name);
            assert!(matches!(table.rows, Rows::Query(_)) || !table.columns.is_empty(), "{}", table.name);
        }
    }
}
