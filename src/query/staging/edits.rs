//! DELETE, UPDATE and TRUNCATE.

use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Distinct, Expr, FromTable, Ident, ObjectName, Query, SelectItem,
    TableAliasColumnDef, TableFactor, TableWithJoins, Truncate, Update, UpdateTableFromKind,
};

use super::target::{Target, alone, item, number, select_of, template};
use super::{QueryError, Session, SqlMistake, Staged, lineage, not_supported, refuse_if};
use crate::table::Operation;
use crate::table::write::{self, DELETE, UPDATE};

/// `DELETE FROM t [AS a] [USING s] [WHERE p]`
pub(super) async fn delete(session: &Session, delete: Delete) -> Result<Staged, QueryError> {
    refuse_if(!delete.tables.is_empty(), "DELETE of several tables", "write one DELETE for each")?;
    refuse_if(delete.returning.is_some(), "RETURNING", "select the rows before you delete them")?;
    refuse_if(delete.output.is_some(), "OUTPUT", "select the rows before you delete them")?;
    refuse_if(
        delete.limit.is_some() || !delete.order_by.is_empty(),
        "DELETE with ORDER BY or LIMIT",
        "pick the rows in a subquery: `where id in (select … limit …)`",
    )?;
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let target = only(session, from, "DELETE").await?;
    if delete.selection.is_none() && delete.using.is_none() {
        let change = write::truncate(target.base, Operation::Delete)?;
        return Ok(Staged::change("DELETE", change));
    }
    let mut query = template("select distinct 1 from t where true");
    let select = select_of(&mut query);
    select.distinct = delete.using.is_some().then_some(Distinct::Distinct);
    select.projection = target.places(number(DELETE));
    select.from = vec![alone(target.factor())];
    select.from.extend(delete.using.into_iter().flatten());
    select.selection = delete.selection;
    carry_out(session, target, query, Operation::Delete, "DELETE").await
}

/// `UPDATE t [AS a] SET c = e, … [FROM s] [WHERE p]`
pub(super) async fn update(session: &Session, update: Update) -> Result<Staged, QueryError> {
    refuse_if(update.returning.is_some(), "RETURNING", "select the rows after you updated them")?;
    refuse_if(update.output.is_some(), "OUTPUT", "select the rows after you updated them")?;
    refuse_if(
        update.or.is_some(),
        "UPDATE OR …",
        "leave it out: a row that breaks a rule stops the statement",
    )?;
    refuse_if(
        update.limit.is_some() || !update.order_by.is_empty(),
        "UPDATE with ORDER BY or LIMIT",
        "pick the rows in a subquery: `where id in (select … limit …)`",
    )?;
    let target = only(session, std::slice::from_ref(&update.table), "UPDATE").await?;
    let mut values: Vec<(String, Expr)> = Vec::new();
    for assignment in update.assignments {
        for (column, value) in each(assignment)? {
            let column = target.known_column(&column)?;
            if values.iter().any(|(known, _)| *known == column) {
                return Err(assigned_twice(&column));
            }
            values.push((column, value));
        }
    }
    let given = values.iter().map(|(column, value)| item(value.clone(), column)).collect();
    let mut query = template("select 1 from t where true");
    let select = select_of(&mut query);
    select.projection = target.places(number(UPDATE));
    for field in target.base.schema().fields() {
        let assigned = values.iter().find(|(column, _)| column == field.name());
        let value = assigned.map_or_else(
            || target.kept(field.name()),
            |(_, value)| target.assigned(field.name(), value.clone()),
        );
        select.projection.push(item(value, field.name()));
    }
    select.from = vec![alone(target.factor())];
    if let Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) = update.from {
        select.from.extend(from);
    }
    select.selection = update.selection;
    let mut assigned = query.clone();
    select_of(&mut assigned).projection = given;
    let mut staged = carry_out(session, target, query, Operation::Update, "UPDATE").await?;
    if let Some(change) = staged.changes.pop() {
        staged.changes.push(Box::pin(lineage::told(session, assigned, None, change)).await);
    }
    Ok(staged)
}

/// `a = 1`, or the parts of `(a, b) = (1, 2)` and of `(a, b) = (select x, y from …)`.
fn each(assignment: Assignment) -> Result<Vec<(ObjectName, Expr)>, QueryError> {
    let Assignment { target, value } = assignment;
    let columns = match target {
        AssignmentTarget::ColumnName(column) => return Ok(vec![(column, value)]),
        AssignmentTarget::Tuple(columns) => columns,
    };
    let values: Vec<Expr> = match value {
        Expr::Tuple(values) => values,
        Expr::Subquery(query) => (0..columns.len()).map(|at| part(&query, at, columns.len())).collect(),
        other => vec![other],
    };
    if columns.len() != values.len() {
        let message = format!("{} values for {} columns", values.len(), columns.len());
        return Err(SqlMistake::new("elt::sql::values_and_columns", message)
            .help("give one value for each: `set (a, b) = (1, 2)`")
            .into());
    }
    Ok(columns.into_iter().zip(values).collect())
}

/// A column of a subquery that gives one row: `(select b from (query) as given (a, b))`.
fn part(query: &Query, at: usize, of: usize) -> Expr {
    let name = |at: usize| Ident::with_quote('"', format!("_elt_given_{at}"));
    let mut one = template("select 1 from (select 1) as _elt_given");
    let select = select_of(&mut one);
    select.projection = vec![SelectItem::UnnamedExpr(Expr::Identifier(name(at)))];
    if let TableFactor::Derived { subquery, alias: Some(alias), .. } = &mut select.from[0].relation {
        **subquery = query.clone();
        alias.columns = (0..of).map(|at| TableAliasColumnDef { name: name(at), data_type: None }).collect();
    }
    Expr::Subquery(Box::new(one))
}

/// A column is given two values.
pub(super) fn assigned_twice(column: &str) -> QueryError {
    let mistake = SqlMistake::new("elt::sql::assigned_twice", format!("`{column}` is set twice"));
    mistake.help("leave one of them out").into()
}

/// `TRUNCATE TABLE t`
pub(super) async fn truncate(session: &Session, truncate: Truncate) -> Result<Staged, QueryError> {
    refuse_if(truncate.partitions.is_some(), "TRUNCATE of a partition", "write `DELETE FROM t WHERE …`")?;
    let mut staged = Staged::nothing("TRUNCATE");
    for table in truncate.table_names {
        match Target::named(session, &table.name, None).await {
            Ok(target) => staged.changes.push(write::truncate(target.base, Operation::Truncate)?),
            Err(_) if truncate.if_exists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(staged)
}

/// Runs a query that gives edits, and carries them out.
pub(super) async fn carry_out(
    session: &Session,
    target: Target,
    query: Query,
    operation: Operation,
    statement: &'static str,
) -> Result<Staged, QueryError> {
    let edits = session.rows_to_write(query).await?.into_stream();
    let after = (target.base.schema().clone(), target.base.design().clone());
    let mode = target.base.design().write_mode();
    let change = write::edit(session.scope().tables(), target.base, after, edits, operation, mode).await?;
    Ok(Staged::change(statement, change))
}

/// The one table of a statement's `FROM`.
async fn only(session: &Session, from: &[TableWithJoins], verb: &str) -> Result<Target, QueryError> {
    match from {
        [TableWithJoins { relation, joins }] if joins.is_empty() => Target::of(session, relation, verb).await,
        _ => Err(not_supported(
            &format!("{verb} of a join"),
            "name the table alone, and what it is joined with after USING (DELETE) or FROM (UPDATE)",
        )),
    }
}

/// The table's name as a statement gives it.
pub(super) async fn by_name(session: &Session, name: &ObjectName) -> Result<Target, QueryError> {
    Target::named(session, name, None).await
}
