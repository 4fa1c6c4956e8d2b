//! Rows that come from outside, as a stream, into a table.

use std::sync::Arc;

use datafusion::execution::SendableRecordBatchStream;

use super::create::base;
use super::{QueryError, Session, SqlMistake, Staged};
use crate::base::TableName;
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
        let pins = self.scope().pins();
        let tables = self.scope().tables();
        if pins.views.contains_key(table) {
            let mistake = SqlMistake::new("elt::sql::is_a_view", format!("`{table}` is a view"));
            return Err(mistake.help("write to the table that it reads").into());
        }
        let base = base(self, table).await?;
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
                write::append(tables, table, base, rows, NewColumns::Append).await?
            }
            (false, IfAbsent::Create, _) | (true, _, IfThere::Replace) => {
                write::overwrite(tables, table, base, rows).await?
            }
        };
        Ok(Staged::change("INGEST", change))
    }
}
