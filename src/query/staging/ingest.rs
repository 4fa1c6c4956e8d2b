//! Rows that come from outside, as a stream, into a table.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use arrow::util::display::array_value_to_string;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

use super::create::base;
use super::{QueryError, Session, SqlMistake, Staged};
use crate::base::TableName;
use crate::query::system;
use crate::table::TableError;
use crate::table::write::{self, NewColumns};

/// What to do if the table is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfAbsent {
    /// Make it, with the columns of the rows.
    Create,
    /// Refuse the rows.
    Fail,
}

/// What to do if the table is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfThere {
    /// Refuse the rows.
    Fail,
    /// Add the rows to its own.
    Append,
    /// Let the rows, and their columns, take the place of its own.
    Replace,
}

impl Session {
    /// Works out what rows from outside would make of a table. Columns are matched by name;
    /// one that the rows lack is null in them.
    ///
    /// # Errors
    /// The table is there and should not be, or the other way round; or the rows do not fit it.
    pub async fn stage_rows(
        &self,
        table: &TableName,
        if_absent: IfAbsent,
        if_there: IfThere,
        rows: SendableRecordBatchStream,
    ) -> Result<Staged, QueryError> {
        self.scope().check_changes(table)?;
        system::check_free(table)?;
        let pins = self.scope().pins();
        let tables = self.scope().tables();
        if pins.views.contains_key(table) {
            let mistake = SqlMistake::new("elt::sql::is_a_view", format!("`{table}` is a view"));
            return Err(mistake.help("write to the table that it reads").into());
        }
        let base = base(self, table).await?;
        let rows = without_loss(rows);
        let change = match (self.scope().has(table), if_absent, if_there) {
            (false, IfAbsent::Fail, _) => {
                let mistake =
                    SqlMistake::new("elt::sql::no_such_table", format!("there is no table `{table}`"));
                return Err(crate::query::describe::no_such_table(self, &table.to_string(), mistake).into());
            }
            (true, _, IfThere::Fail) => {
                let mistake = SqlMistake::new("elt::sql::table_exists", format!("`{table}` exists already"));
                return Err(mistake.help("append to it, or replace it").into());
            }
            (true, _, IfThere::Append) => {
                let known = base.as_ref().map(|base| Arc::clone(base.schema()));
                let is_new = |name: &&String| known.iter().all(|known| known.index_of(name).is_err());
                let schema = rows.schema();
                let new: Vec<&String> =
                    schema.fields().iter().map(|field| field.name()).filter(is_new).collect();
                if let Some(name) = new.first() {
                    let message = format!("`{table}` has no column `{name}`");
                    let mistake = SqlMistake::new("elt::sql::no_such_column", message);
                    let help =
                        format!("`alter table {table} add column` adds one; `describe {table}` lists them");
                    return Err(mistake.help(help).into());
                }
                write::append(tables, table, base, rows, NewColumns::Append).await.map_err(of_rows_sent)?
            }
            (false, IfAbsent::Create, _) | (true, _, IfThere::Replace) => {
                write::overwrite(tables, table, base, rows).await.map_err(of_rows_sent)?
            }
        };
        Ok(Staged::change("INGEST", change))
    }
}

/// The same mistake for whoever sent rows: there is no query in which they could cast them.
fn of_rows_sent(error: TableError) -> QueryError {
    const HELP: &str = "cast the column before the rows are sent, in pandas `.astype(…)`, in pyarrow `.cast(…)`; mode `replace` \
                        makes the table anew with the types of the rows";
    if let TableError::NotStorable { .. } = error {
        return SqlMistake::new("elt::sql::arguments", error.to_string()).help(HELP).into();
    }
    match QueryError::from(error) {
        QueryError::Sql(mistake)
            if mistake.message().contains("does not fit")
                || mistake.message().contains("cannot be read as") =>
        {
            let message = mistake.message();
            let what = ["; round or cast it in the query", "; say in the query"]
                .iter()
                .find_map(|instead| message.split_once(instead))
                .map_or(message, |(what, _)| what);
            SqlMistake::new(mistake.code(), what).help(HELP).into()
        }
        other => other,
    }
}

/// The same rows, of which an instant that is between two microseconds is an error: the lake would keep another one.
fn without_loss(rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let checked = rows.map(|batch| {
        let batch = batch?;
        fits(&batch)?;
        Ok(batch)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, checked))
}

fn fits(batch: &RecordBatch) -> Result<(), DataFusionError> {
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if let Some(shown) = between_microseconds(column)? {
            let what = format!("{shown} does not fit column `{}`: instants have microseconds", field.name());
            let mistake = SqlMistake::new(crate::query::error::VALUE, what).help(
                "cut it before it is sent: in pandas `.dt.floor('us')`, in polars `.dt.cast_time_unit('us')`",
            );
            return Err(QueryError::from(mistake).into());
        }
    }
    Ok(())
}

/// An instant between two microseconds that a column holds, however deep, as it is shown.
fn between_microseconds(column: &ArrayRef) -> Result<Option<String>, DataFusionError> {
    if let DataType::Timestamp(TimeUnit::Nanosecond, _) = column.data_type() {
        let instants = column.as_primitive::<TimestampNanosecondType>();
        let between = |row: &usize| !instants.is_null(*row) && instants.value(*row) % 1_000 != 0;
        let found = (0..instants.len()).find(between);
        return Ok(found.map(|row| array_value_to_string(column, row)).transpose()?);
    }
    let parts: Vec<ArrayRef> = match column.data_type() {
        DataType::Struct(_) => column.as_struct().columns().to_vec(),
        DataType::List(_) => vec![Arc::clone(column.as_list::<i32>().values())],
        DataType::LargeList(_) => vec![Arc::clone(column.as_list::<i64>().values())],
        DataType::FixedSizeList(..) => vec![Arc::clone(column.as_fixed_size_list().values())],
        DataType::Map(..) => column.as_map().entries().columns().to_vec(),
        DataType::Dictionary(..) => vec![Arc::clone(column.as_any_dictionary().values())],
        _ => Vec::new(),
    };
    for part in parts {
        if let Some(found) = between_microseconds(&part)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ListArray, StructArray, TimestampNanosecondArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn an_instant_between_two_microseconds_is_refused() {
        let batch = |nanoseconds: Vec<Option<i64>>| {
            let column = Arc::new(TimestampNanosecondArray::from(nanoseconds)) as ArrayRef;
            RecordBatch::try_from_iter([("at", column)]).unwrap()
        };
        assert!(fits(&batch(vec![Some(1_000), None, Some(-3_000)])).is_ok());
        let refused = fits(&batch(vec![Some(1_000), Some(123_456_789)])).unwrap_err().to_string();
        assert!(refused.contains("1970-01-01T00:00:00.123456789 does not fit column `at`"), "{refused}");

        let nested = |nanoseconds: i64| {
            let instants = Arc::new(TimestampNanosecondArray::from(vec![nanoseconds])) as ArrayRef;
            let field = Arc::new(Field::new("at", instants.data_type().clone(), true));
            let inner = Arc::new(StructArray::from(vec![(field, instants)])) as ArrayRef;
            let item = Arc::new(Field::new_list_field(inner.data_type().clone(), true));
            let list = ListArray::new(item, OffsetBuffer::from_lengths([1]), inner, None);
            RecordBatch::try_from_iter([("deep", Arc::new(list) as ArrayRef)]).unwrap()
        };
        assert!(fits(&nested(5_000)).is_ok());
        let refused = fits(&nested(5_001)).unwrap_err().to_string();
        assert!(refused.contains("does not fit column `deep`"), "{refused}");
    }
}
