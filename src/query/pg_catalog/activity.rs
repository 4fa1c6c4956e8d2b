//! Who is connected, what do they ask, and how is it stopped?
//!
//! `pg_stat_activity`, `pg_backend_pid()`, `pg_cancel_backend(pid)` and `pg_terminate_backend(pid)`, of the connections of whoever
//! asks. They are what they are at the moment, so that nothing of them is kept with the rest of the catalog.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session as EngineSession, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, Volatility};
use datafusion::physical_plan::ExecutionPlan;

use super::functions::Functions;
use super::rows::{Cell, table};

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgBackend {
    /// Its number.
    pub pid: i32,
    /// What the program calls itself.
    pub application: String,
    /// Whether a statement is at work.
    pub is_active: bool,
    /// The statement that came last.
    pub query: String,
}

/// The connections of whoever asks.
pub trait PgBackends: fmt::Debug + Send + Sync {
    /// The number of this one.
    fn own(&self) -> i32;
    /// All of them.
    fn all(&self) -> Vec<PgBackend>;
    /// Stops what one of them is doing, or ends it. Returns whether there is one of this number.
    fn stop(&self, pid: i32, ends: bool) -> bool;
}

const COLUMNS: &str = "datid:o datname:t pid:i leader_pid:i usesysid:o usename:t application_name:t client_addr:t client_hostname:t client_port:i backend_start:z xact_start:z query_start:z state_change:z wait_event_type:t wait_event:t state:t backend_xid:l backend_xmin:l query_id:l query:t backend_type:t";

/// `pg_stat_activity`
#[derive(Debug)]
pub(super) struct Activity {
    user: String,
    backends: Arc<dyn PgBackends>,
    schema: SchemaRef,
}

impl Activity {
    pub(super) fn of(user: &str, backends: Arc<dyn PgBackends>) -> Result<Self> {
        Ok(Self { user: user.to_owned(), backends, schema: table(COLUMNS, &[])?.schema() })
    }

    fn row(&self, backend: PgBackend) -> Vec<Cell> {
        let mut row =
            vec![5.into(), "elt".into(), backend.pid.into(), Cell::Null, super::facts::OWNER.into()];
        row.extend([(&self.user).into(), (&backend.application).into()]);
        row.extend(std::iter::repeat_n(Cell::Null, 9));
        row.push(if backend.is_active { "active" } else { "idle" }.into());
        row.extend(std::iter::repeat_n(Cell::Null, 3));
        row.extend([(&backend.query).into(), "client backend".into()]);
        row
    }
}

#[async_trait]
impl TableProvider for Activity {
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
        let rows: Vec<Vec<Cell>> = self.backends.all().into_iter().map(|backend| self.row(backend)).collect();
        table(COLUMNS, &rows)?.scan(state, projection, filters, limit).await
    }
}

/// The functions of connections.
pub(super) fn register(functions: &Functions<'_>, backends: &Arc<dyn PgBackends>) {
    let own = backends.own();
    functions.add("pg_backend_pid", DataType::Int32, move |_, rows| {
        Ok(Arc::new(arrow::array::Int32Array::from(vec![own; rows])))
    });
    for (name, ends) in [("pg_cancel_backend", false), ("pg_terminate_backend", true)] {
        let backends = Arc::clone(backends);
        // What changes something is not worked out while a statement is planned.
        functions.add_as(name, DataType::Boolean, Volatility::Volatile, move |columns, rows| {
            let Some(pids) = columns.first() else { return Ok(Arc::new(BooleanArray::new_null(rows))) };
            let pids: ArrayRef = cast(pids, &DataType::Int32)?;
            let pids = pids.as_primitive::<Int32Type>();
            let stopped = |row| pids.is_valid(row).then(|| backends.stop(pids.value(row), ends));
            Ok(Arc::new((0..pids.len()).map(stopped).collect::<BooleanArray>()))
        });
    }
}
