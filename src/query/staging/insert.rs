//! INSERT INTO, INSERT OVERWRITE and INSERT … REPLACE WHERE.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use sqlparser::ast::{
    self, Expr, Ident, Insert, ObjectName, Query, SelectItem, SetExpr, TableAliasColumnDef, TableFactor,
    TableObject,
};

use super::target::{Target, alone, is_text, item, known_as, null, number, select_of, template};
use super::{QueryError, Session, SqlMistake, Staged, not_supported, refuse_if};
use crate::table::Operation;
use crate::table::write::{self, DELETE, NewColumns};

/// The name of the inserted rows in the query that shapes them.
const ROWS: &str = "_elt_rows";
/// The column that says whether a row meets the predicate of REPLACE WHERE.
const MEETS: &str = "_elt_meets";

/// Which column of the table a column of the rows is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matched {
    /// The one in the same place, of the table or of the list.
    ByPlace,
    /// The one of the same name.
    ByName,
}

/// `INSERT [INTO | OVERWRITE] t [(columns) | BY NAME] query`
pub(super) async fn insert(
    session: &Session,
    insert: Insert,
    matched: Matched,
) -> Result<Staged, QueryError> {
    let overwrite = insert.overwrite;
    let (target, rows) = rows(session, insert, matched, None).await?;
    let (tables, table) = (session.scope().tables(), &target.name);
    if overwrite {
        let change = write::replace_all(tables, target.base, rows).await?;
        return Ok(Staged::change("INSERT OVERWRITE", change));
    }
    let change = write::append(tables, table, Some(target.base.clone()), rows, NewColumns::None).await?;
    Ok(Staged::change("INSERT", change))
}

/// `INSERT INTO t REPLACE WHERE p query`
pub(super) async fn replace_where(
    session: &Session,
    insert: Insert,
    predicate: Expr,
) -> Result<Staged, QueryError> {
    let (target, rows) = rows(session, insert, Matched::ByPlace, Some(&predicate)).await?;
    let mut query = template("select 1 from t where true");
    let select = select_of(&mut query);
    select.projection = target.places(number(DELETE));
    select.from = vec![alone(target.factor())];
    select.selection = Some(predicate);
    let gone = session.rows_of(query).await?.into_stream();
    let change =
        write::replace_rows(session.scope().tables(), target.base, gone, rows, NewColumns::None).await?;
    debug_assert_eq!(change.operation(), Operation::ReplaceWhere);
    Ok(Staged::change("INSERT … REPLACE WHERE", change))
}

/// Refuses the clauses of an INSERT that nothing here would follow.
///
/// Each field is named: one that a later parser adds has to be thought of here.
pub(in crate::query) fn refuse_others(insert: &Insert) -> Result<(), QueryError> {
    let Insert {
        insert_token: _,
        optimizer_hints: _,
        into: _,
        table: _,
        columns: _,
        overwrite: _,
        source: _,
        has_table_keyword: _,
        or,
        ignore,
        table_alias,
        assignments,
        partitioned,
        after_columns,
        on,
        returning,
        output,
        replace_into,
        priority,
        insert_alias,
        settings,
        format_clause,
        multi_table_insert_type,
        multi_table_into_clauses,
        multi_table_when_clauses,
        multi_table_else_clause,
    } = insert;
    refuse_if(
        on.is_some(),
        "ON CONFLICT",
        "write a MERGE: it says what to do with rows that are there already",
    )?;
    refuse_if(or.is_some() || *ignore || *replace_into, "INSERT OR …", "write a MERGE")?;
    refuse_if(returning.is_some(), "RETURNING", "select the rows after you inserted them")?;
    refuse_if(output.is_some(), "OUTPUT", "select the rows after you inserted them")?;
    refuse_if(
        partitioned.is_some() || !after_columns.is_empty(),
        "PARTITION in an INSERT",
        "select the partition columns with the others; each row goes where they say",
    )?;
    refuse_if(!assignments.is_empty(), "INSERT … SET", "write `INSERT INTO t (columns) VALUES (…)`")?;
    refuse_if(priority.is_some(), "a priority of an INSERT", "leave it out: statements wait for none")?;
    refuse_if(
        table_alias.is_some() || insert_alias.is_some(),
        "another name for the table of an INSERT",
        "leave it out: its rows are not asked",
    )?;
    refuse_if(
        settings.is_some() || format_clause.is_some(),
        "SETTINGS or FORMAT in an INSERT",
        "leave it out",
    )?;
    let is_of_many = multi_table_insert_type.is_some()
        || !multi_table_into_clauses.is_empty()
        || !multi_table_when_clauses.is_empty()
        || multi_table_else_clause.is_some();
    refuse_if(
        is_of_many,
        "INSERT into several tables",
        "write one INSERT for each, between `begin` and `commit`",
    )
}

/// The rows to insert, with the names of the table's columns. All of them must meet the predicate, if there is one.
async fn rows(
    session: &Session,
    insert: Insert,
    matched: Matched,
    predicate: Option<&Expr>,
) -> Result<(Target, SendableRecordBatchStream), QueryError> {
    refuse_others(&insert)?;
    let TableObject::TableName(name) = &insert.table else {
        return Err(not_supported("INSERT into anything but a table", "name the table"));
    };
    let target = Target::named(session, name, None).await?;
    let mut names = insert.columns;
    let mut source = match (insert.source, target.base.schema().fields().first()) {
        (Some(source), _) => source,
        // DEFAULT VALUES: of a column that is not named there is nothing, and one has to be.
        (None, Some(first)) if names.is_empty() => {
            names.push(ObjectName::from(vec![Ident::with_quote('"', first.name())]));
            Box::new(template("values (null)"))
        }
        (None, _) => return Err(not_supported("INSERT without rows", "write VALUES (…) or a SELECT")),
    };
    default_is_null(&mut source.body);
    let mut columns = Vec::new();
    for column in &names {
        columns.push(target.known_column(column)?);
    }
    if matched == Matched::ByPlace && columns.is_empty() {
        columns = target.base.schema().fields().iter().map(|field| field.name().clone()).collect();
    }
    assign(&mut source.body, &columns, &target);
    let given = session.fields_of((*source).clone()).await?;
    if matched == Matched::ByName {
        for field in given.fields() {
            let name = ObjectName::from(vec![Ident::new(field.name().as_str())]);
            let column = target.known_column(&name)?;
            if columns.contains(&column) {
                return Err(super::edits::assigned_twice(&column));
            }
            columns.push(column);
        }
    }
    if columns.len() != given.fields().len() {
        let message = format!(
            "{} value{} for {} column{} of `{}`: {}",
            given.fields().len(),
            if given.fields().len() == 1 { "" } else { "s" },
            columns.len(),
            if columns.len() == 1 { "" } else { "s" },
            target.name,
            columns.join(", ")
        );
        let mistake = SqlMistake::new("elt::sql::values_and_columns", message);
        return Err(mistake.help("name the columns that you give: `INSERT INTO t (a, b) VALUES (…)`").into());
    }
    let query = shaped(*source, &columns, &given, &target);
    if let Some(predicate) = predicate {
        let rows = session.rows_to_write(judged(query, &columns, &target, predicate)).await?.into_stream();
        return Ok((target, met(rows, predicate)));
    }
    let rows = session.rows_to_write(query).await?.into_stream();
    Ok((target, rows))
}

/// The same rows, with whether each meets the predicate, which is asked with the names of the table.
fn judged(mut rows: Query, columns: &[String], target: &Target, predicate: &Expr) -> Query {
    let given = select_of(&mut rows);
    for field in target.base.schema().fields() {
        if !columns.contains(field.name()) {
            given.projection.push(item(null(), field.name()));
        }
    }
    let mut query = template("select 1 from (select 1) as t");
    let select = select_of(&mut query);
    select.projection = columns.iter().map(|name| item(target.column(name), name)).collect();
    select.projection.push(item(Expr::Nested(Box::new(predicate.clone())), MEETS));
    if let Some(TableFactor::Derived { subquery, alias, .. }) =
        select.from.first_mut().map(|from| &mut from.relation)
    {
        **subquery = rows;
        *alias = Some(known_as(target.alias.clone()));
    }
    query
}

/// The rows without their judgement, or an error for one that does not meet the predicate. Unknown is not enough.
fn met(rows: SendableRecordBatchStream, predicate: &Expr) -> SendableRecordBatchStream {
    let wrong = format!(
        "a row does not meet REPLACE WHERE {predicate}, so it would not be replaced the next time; correct the row or the \
         condition"
    );
    let last = rows.schema().fields().len() - 1;
    let kept: Vec<usize> = (0..last).collect();
    let schema = Arc::new(rows.schema().project(&kept).expect("all columns but the last are there"));
    let checked = rows.map(move |batch| {
        let batch = batch?;
        match batch.column(last).as_boolean_opt() {
            Some(meets) if meets.true_count() == meets.len() => Ok(batch.project(&kept)?),
            _ => Err(DataFusionError::Execution(wrong.clone())),
        }
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, checked))
}

/// Makes what is written of the columns' types.
fn assign(body: &mut SetExpr, columns: &[String], target: &Target) {
    for (at, column) in columns.iter().enumerate() {
        let mut values = values_at(body, at);
        let is_moment = |value: &&mut Expr| is_text(value) && target.is_moment(column);
        // The others of a column in which texts are moments have to be of their type.
        let are_moments = values.iter().any(is_moment);
        for value in values.iter_mut().filter(|value| is_literal(value) || are_moments && !is_null(value)) {
            **value = match are_moments && !is_number(value) {
                true => target.read(column, value.clone()),
                false => target.assigned(column, value.clone()),
            };
        }
    }
}

/// `SELECT … FROM (query) AS _elt_rows (columns)`
fn shaped(source: Query, columns: &[String], given: &Schema, target: &Target) -> Query {
    let mut query = template("select 1 from (select 1) as t");
    let select = select_of(&mut query);
    let own = |name: &String| {
        let name = Ident::with_quote('"', name.as_str());
        Expr::CompoundIdentifier(vec![Ident::with_quote('"', ROWS), name])
    };
    let assigned = |(name, given): (&String, &FieldRef)| match given.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => target.read(name, own(name)),
        _ => target.assigned(name, own(name)),
    };
    select.projection = columns
        .iter()
        .zip(given.fields())
        .map(|pair| item(assigned(pair), pair.0))
        .collect::<Vec<SelectItem>>();
    if let Some(TableFactor::Derived { subquery, alias, .. }) =
        select.from.first_mut().map(|from| &mut from.relation)
    {
        **subquery = source;
        let mut named = known_as(Ident::with_quote('"', ROWS));
        named.columns = columns
            .iter()
            .map(|name| TableAliasColumnDef { name: Ident::with_quote('"', name.as_str()), data_type: None })
            .collect();
        *alias = Some(named);
    }
    query
}

/// What VALUES, or a SELECT without `*`, gives for a column.
fn values_at(body: &mut SetExpr, at: usize) -> Vec<&mut Expr> {
    match body {
        SetExpr::Values(values) => values.rows.iter_mut().filter_map(|row| row.get_mut(at)).collect(),
        SetExpr::Select(select) => {
            let mut items: Option<Vec<&mut Expr>> = select
                .projection
                .iter_mut()
                .map(|item| match item {
                    SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
                    _ => None,
                })
                .collect();
            let item = items.as_mut().filter(|items| at < items.len()).map(|items| items.swap_remove(at));
            item.into_iter().filter(|expr| is_literal(expr)).collect()
        }
        _ => Vec::new(),
    }
}

/// `default` in VALUES is what a column has that is not named: nothing.
pub(in crate::query) fn default_is_null(body: &mut SetExpr) {
    let SetExpr::Values(values) = body else { return };
    for value in values.rows.iter_mut().flat_map(|row| row.iter_mut()) {
        let is_default =
            |name: &Ident| name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default");
        if matches!(value, Expr::Identifier(name) if is_default(name)) {
            *value = null();
        }
    }
}

/// A number or a text as it is written.
fn is_literal(value: &Expr) -> bool {
    match value {
        Expr::Value(value) => !matches!(value.value, ast::Value::Null | ast::Value::Placeholder(_)),
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_literal(inner),
        _ => false,
    }
}

fn is_number(value: &Expr) -> bool {
    is_literal(value) && !is_text(value)
}

fn is_null(value: &Expr) -> bool {
    matches!(value, Expr::Value(value) if matches!(value.value, ast::Value::Null | ast::Value::Placeholder(_)))
}
