//! How do UPDATE, DELETE, MERGE and TRUNCATE change a temporary table?
//!
//! The table is made anew, from a query that gives the rows as they are to be. Whoever reads it meanwhile reads it as it was.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use sqlparser::ast::{self, AssignmentTarget, FromTable, TableWithJoins};

use super::done;
use super::merged::merged;
use super::temporary::{Rows, Temporary, fitted};
use crate::base::sql_type_name;
use crate::query::{Outcome, QueryError, Session, SqlMistake, dialect};

/// A statement that changes rows of a temporary table.
#[derive(Clone, Debug)]
pub enum Rewrite {
    /// `DELETE FROM t WHERE p`
    Delete(Box<ast::Delete>),
    /// `UPDATE t SET a = e WHERE p`
    Update(Box<ast::Update>),
    /// `MERGE INTO t USING s ON p WHEN …`
    Merge(Box<ast::Merge>),
    /// `TRUNCATE t`
    Truncate,
}

/// The rows as they are to be, and which of them are counted.
pub(super) struct Change {
    pub(super) statement: &'static str,
    pub(super) rows: String,
    pub(super) counted: String,
}

/// Carries it out, and tells how many rows it was about.
pub(super) async fn rewrite(session: &Session, name: &str, how: Rewrite) -> Result<Outcome, QueryError> {
    let Some(Temporary::Rows(rows)) = session.own.temporary(name) else {
        let mistake = SqlMistake::new("elt::sql::temporary", format!("`{name}` is a view"));
        return Err(mistake.help("rows of tables are changed").into());
    };
    let schema = rows.schema();
    let change = match how {
        Rewrite::Truncate => {
            let rows = format!("SELECT count(*) FROM \"{}\"", name.replace('"', "\"\""));
            let count = counted(session, &rows).await?;
            session.own.put(name, Temporary::Rows(Rows::empty(schema)?));
            return Ok(done("TRUNCATE TABLE", count));
        }
        Rewrite::Delete(delete) => deleted(*delete)?,
        Rewrite::Merge(merge) => {
            let merged = merged(*merge, &schema)?;
            let ambiguous = counted(session, &merged.ambiguous).await?;
            if ambiguous > 0 {
                let what = format!(
                    "{ambiguous} rows of `{name}` match several rows of the source each, which could change them"
                );
                return Err(SqlMistake::new("elt::sql::ambiguous_merge", what)
                    .help("leave one row of the source for each: `select … qualify row_number() over (partition by key order by …) = 1`")
                    .into());
            }
            merged.change
        }
        Rewrite::Update(update) => {
            let columns: Vec<(&str, &DataType)> =
                schema.fields().iter().map(|field| (field.name().as_str(), field.data_type())).collect();
            updated(*update, &columns)?
        }
    };
    let count = counted(session, &change.counted).await?;
    let plan = Box::pin(session.plan(dialect::parse_query(&change.rows)?)).await?;
    let plan = fitted(plan, &schema, &[])?;
    let (rows, _) = Rows::empty(schema)?.with(session.rows_of_plan(plan).await?).await?;
    session.own.put(name, Temporary::Rows(rows));
    Ok(done(change.statement, count))
}

/// The number that a query gives.
async fn counted(session: &Session, sql: &str) -> Result<u64, QueryError> {
    let plan = Box::pin(session.plan(dialect::parse_query(sql)?)).await?;
    let rows = session.rows_of_plan(plan).await?.collect().await?;
    let counts =
        rows.iter().map(|batch| batch.column(0).as_primitive::<Int64Type>().iter().flatten().sum::<i64>());
    Ok(u64::try_from(counts.sum::<i64>()).unwrap_or_default())
}

fn deleted(delete: ast::Delete) -> Result<Change, SqlMistake> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    refuse_returning("DELETE", delete.returning.is_some())?;
    let is_plain = delete.using.is_none()
        && delete.order_by.is_empty()
        && delete.limit.is_none()
        && delete.tables.is_empty();
    let table = only(from).filter(|_| is_plain).ok_or_else(|| {
        refused(
            "DELETE",
            "write `delete from t where …`; other tables are asked by `where exists (select …)`",
        )
    })?;
    let condition = delete.selection.map_or_else(|| "true".to_owned(), |condition| condition.to_string());
    Ok(Change {
        statement: "DELETE",
        rows: format!("SELECT * FROM {table} WHERE ({condition}) IS NOT TRUE"),
        counted: format!("SELECT count(*) FROM {table} WHERE {condition}"),
    })
}

fn updated(update: ast::Update, columns: &[(&str, &DataType)]) -> Result<Change, SqlMistake> {
    const HELP: &str = "write `update t set a = …, b = … where …`; other tables are asked by `(select …)`";
    refuse_returning("UPDATE", update.returning.is_some())?;
    let is_plain =
        update.from.is_none() && update.or.is_none() && update.limit.is_none() && update.order_by.is_empty();
    let table = only(std::slice::from_ref(&update.table)).filter(|_| is_plain);
    let table = table.ok_or_else(|| refused("UPDATE", HELP))?;
    let mut values: Vec<Option<String>> = vec![None; columns.len()];
    for assignment in &update.assignments {
        let AssignmentTarget::ColumnName(name) = &assignment.target else {
            return Err(refused("UPDATE", HELP));
        };
        let last = name.0.last().and_then(|part| part.as_ident()).ok_or_else(|| refused("UPDATE", HELP))?;
        let folded = if last.quote_style.is_some() { last.value.clone() } else { last.value.to_lowercase() };
        let exactly = columns.iter().position(|(column, _)| *column == folded);
        let in_any_case = || match last.quote_style {
            Some(_) => None,
            None => columns.iter().position(|(column, _)| column.eq_ignore_ascii_case(&folded)),
        };
        let Some(at) = exactly.or_else(in_any_case).filter(|_| name.0.len() == 1) else {
            let mistake = SqlMistake::new("elt::sql::no_such_column", format!("there is no column `{name}`"));
            let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
            return Err(mistake.help(format!("there are: {}", names.join(", "))));
        };
        if values[at].is_some() {
            let what = format!("`{}` is set twice", last.value);
            return Err(SqlMistake::new("elt::sql::syntax", what).help("leave one of them out"));
        }
        // Cast within the CASE, or the other rows would become the value's type and back.
        let data_type = columns[at].1;
        values[at] = Some(match data_type.is_nested() {
            true => assignment.value.to_string(),
            false => format!("CAST({} AS {})", assignment.value, sql_type_name(data_type)),
        });
    }
    let condition = update.selection.map_or_else(|| "true".to_owned(), |condition| condition.to_string());
    let shown = columns.iter().zip(&values).map(|((column, _), value)| {
        let column = format!("\"{}\"", column.replace('"', "\"\""));
        match value {
            Some(value) => format!("CASE WHEN {condition} THEN {value} ELSE {column} END AS {column}"),
            None => column,
        }
    });
    let shown: Vec<String> = shown.collect();
    Ok(Change {
        statement: "UPDATE",
        rows: format!("SELECT {} FROM {table}", shown.join(", ")),
        counted: format!("SELECT count(*) FROM {table} WHERE {condition}"),
    })
}

/// The table, with its alias, if there is one without joins.
fn only(tables: &[TableWithJoins]) -> Option<String> {
    match tables {
        [table] if table.joins.is_empty() => Some(table.relation.to_string()),
        _ => None,
    }
}

/// Rows are not given back by what changes them.
pub(super) fn refuse_returning(statement: &str, is_there: bool) -> Result<(), SqlMistake> {
    match is_there {
        true => {
            let what =
                format!("RETURNING of {statement} is not supported, because a write answers with its counts");
            Err(SqlMistake::new("elt::sql::not_supported", what).help("select the rows before or after it"))
        }
        false => Ok(()),
    }
}

fn refused(statement: &str, help: &str) -> SqlMistake {
    let what = format!("this form of {statement} of a temporary table is not supported");
    SqlMistake::new("elt::sql::not_supported", what).help(help)
}
