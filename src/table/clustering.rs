//! Which columns' near values are to be in near rows of a table's files?
//!
//! Said by the property [`CLUSTER_BY`]. Rows are sorted so when they are written, and again when files are compacted;
//! then a condition on one of the columns skips files and row groups.

use std::fmt;
use std::sync::{Arc, Mutex};

use arrow::datatypes::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, SortExpr, ident};
use datafusion::physical_plan::EmptyRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::DataFrame;
use futures::StreamExt;

use super::{Design, TableError, Tables, zorder};

/// The property with the columns, commas between them.
pub const CLUSTER_BY: &str = "elt.clusterBy";

/// So many rows are looked at to sort by several columns while rows arrive.
const LOOKED_AT: usize = 64 * 1024;

impl Design {
    /// The columns by which rows are clustered, those that the table has.
    pub fn cluster_by(&self) -> Vec<String> {
        let named = self.properties.get(CLUSTER_BY).map_or("", String::as_str).split(',');
        let own = self.column_names();
        named
            .filter_map(|name| own.iter().find(|own| own.eq_ignore_ascii_case(name.trim())).cloned())
            .collect()
    }

    /// The same table with its rows clustered by these columns, or by none.
    ///
    /// # Errors
    /// [`TableError::BadLayout`] for a column that is not there.
    pub fn clustered_by(self, columns: &[String]) -> std::result::Result<Self, TableError> {
        let own = self.column_names();
        if let Some(unknown) =
            columns.iter().find(|name| !own.iter().any(|own| own.eq_ignore_ascii_case(name)))
        {
            return Err(TableError::BadLayout {
                because: format!("there is no column `{unknown}` to cluster by"),
            });
        }
        match columns {
            [] => Ok(self.without_property(CLUSTER_BY)),
            columns => Ok(self.with_properties([(CLUSTER_BY.to_owned(), columns.join(","))])),
        }
    }
}

/// All rows, those with near values of `columns` near each other within every value of the partition columns.
pub(super) async fn sorted(
    rows: DataFrame,
    partition_columns: &[String],
    columns: &[String],
) -> std::result::Result<DataFrame, TableError> {
    let columns: Vec<Expr> = columns.iter().map(ident).collect();
    let place = match &columns[..] {
        [] => return Ok(rows),
        [column] => column.clone(),
        several => zorder::place(rows.clone(), several).await?,
    };
    Ok(in_order(rows, partition_columns, place)?)
}

/// The rows of a stream, which is read once, in the order that the table's design asks for. Where the ranges of several
/// columns lie is told from the first rows.
pub(super) async fn arranged(
    tables: &Tables,
    design: &Design,
    mut rows: SendableRecordBatchStream,
) -> std::result::Result<SendableRecordBatchStream, TableError> {
    let given = rows.schema();
    let columns = design.cluster_by();
    if columns.is_empty() || columns.iter().any(|column| given.column_with_name(column).is_none()) {
        return Ok(rows);
    }
    let mut first = Vec::new();
    let mut looked_at = 0;
    while looked_at < LOOKED_AT
        && let Some(batch) = rows.next().await
    {
        let batch = batch?;
        looked_at += batch.num_rows();
        first.push(batch);
    }
    let context = tables.context();
    let columns: Vec<Expr> = columns.iter().map(ident).collect();
    let place = match &columns[..] {
        [column] => column.clone(),
        several => zorder::place(context.read_batches(first.clone())?, several).await?,
    };
    let all = futures::stream::iter(first.into_iter().map(Ok)).chain(rows);
    // A partition column that the rows lack is null in all of them.
    let is_given = |name: &&String| given.column_with_name(name).is_some();
    let parted: Vec<String> = design.partition_columns().iter().filter(is_given).cloned().collect();
    let all = Once::table(Box::pin(RecordBatchStreamAdapter::new(given, all)))?;
    Ok(in_order(context.read_table(all)?, &parted, place)?.execute_stream().await?)
}

/// Rows that are on their way, as a table that can be read once.
struct Once {
    schema: SchemaRef,
    rows: Mutex<Option<SendableRecordBatchStream>>,
}

impl Once {
    fn table(rows: SendableRecordBatchStream) -> Result<Arc<StreamingTable>> {
        let schema = rows.schema();
        let once = Self { schema: Arc::clone(&schema), rows: Mutex::new(Some(rows)) };
        Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(once)])?))
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Once")
    }
}

impl PartitionStream for Once {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().expect("no holder panics").take();
        rows.unwrap_or_else(|| Box::pin(EmptyRecordBatchStream::new(Arc::clone(&self.schema))))
    }
}

fn in_order(rows: DataFrame, partition_columns: &[String], place: Expr) -> Result<DataFrame> {
    let order = partition_columns.iter().map(ident).chain([place]);
    rows.sort(order.map(|by| SortExpr::new(by, true, true)).collect())
}
