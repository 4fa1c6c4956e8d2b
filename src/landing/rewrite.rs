//! How does a table get wider types?
//!
//! Its rows are read and written once more, together with the new ones: [`with_rows_before`]. What a type would lose is
//! found out first: [`keep_digits`].

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::functions_aggregate::expr_fn::{max, min};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext, ident};
use futures::StreamExt;

use super::LandingError;
use super::evolve::Plan;
use crate::base::sql_type_name;
use crate::table::{Kept, Scan, Snapshot, TableError, Tables, as_they_lie, grown, storable, takes};

/// The largest whole number up to which a double holds all of them.
const EXACT: i64 = 1 << 53;

/// Makes columns varchar that would be double and have whole numbers that no double holds.
pub(super) async fn keep_digits(
    tables: &Tables,
    base: &Snapshot,
    plan: &mut Plan,
) -> Result<(), LandingError> {
    let mut fields: Vec<Field> = plan.schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    for wider in &mut plan.widened {
        let at = fields.iter().position(|field| *field.name() == wider.name);
        let Some(field) = at.map(|at| &mut fields[at]) else { continue };
        let was_whole =
            base.schema().field_with_name(&wider.name).is_ok_and(|was| *was.data_type() == DataType::Int64);
        if *field.data_type() != DataType::Float64 || !was_whole {
            continue;
        }
        let column = || ident(&wider.name);
        let bounds =
            rows(tables, base)?.aggregate(vec![], vec![min(column()), max(column())]).map_err(failed)?;
        let bounds = bounds.collect().await.map_err(failed)?;
        let bound = |at: usize| {
            let values =
                bounds.iter().flat_map(|batch| batch.column(at).as_primitive::<Int64Type>().iter().flatten());
            values.map(i64::unsigned_abs).max().unwrap_or(0)
        };
        if bound(0).max(bound(1)) > EXACT.unsigned_abs() {
            *field = Field::new(&wider.name, DataType::Utf8, true);
            wider.to = sql_type_name(&DataType::Utf8);
        }
    }
    plan.schema = Arc::new(Schema::new(fields));
    Ok(())
}

/// Whether the table can get these columns while its files stay: fields of structs are added, types widen if it may.
pub(super) fn takes_as_it_is(base: &Snapshot, columns: &Schema) -> Result<bool, TableError> {
    let columns = storable(base.table(), columns)?;
    let (schema, _) = grown(base, &columns)?;
    let takes = |field: &FieldRef| {
        schema.field_with_name(field.name()).is_ok_and(|own| takes(own.data_type(), field.data_type()))
    };
    Ok(columns.fields().iter().all(takes))
}

/// The rows of the table that stay, then `new`, under the columns of both.
pub(super) async fn with_rows_before(
    tables: &Tables,
    base: &Snapshot,
    stays: Option<Expr>,
    new: SendableRecordBatchStream,
) -> Result<SendableRecordBatchStream, LandingError> {
    let mut before = rows(tables, base)?;
    if let Some(stays) = stays {
        before = before.filter(stays).map_err(failed)?;
    }
    let before = as_they_lie(before, Kept::All).await?;
    let mut fields: Vec<_> = new.schema().fields().iter().cloned().collect();
    let lacks = |name: &str| new.schema().fields().iter().all(|field| field.name() != name);
    fields.extend(base.schema().fields().iter().filter(|field| lacks(field.name())).cloned());
    let both = Arc::new(Schema::new(fields));
    Ok(Box::pin(RecordBatchStreamAdapter::new(both, before.chain(new))))
}

fn rows(tables: &Tables, base: &Snapshot) -> Result<DataFrame, LandingError> {
    let session = SessionContext::new_with_config_rt(SessionConfig::new(), tables.runtime());
    session.read_table(Arc::new(Scan::of(base)?)).map_err(failed)
}

fn failed(source: DataFusionError) -> LandingError {
    LandingError::from(TableError::Rows(source))
}
