//! ALTER TABLE, COMMENT ON and OPTIMIZE: the rows stay as they are.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ColumnDef, CommentObject, Expr, Ident, ObjectName,
    Statement,
};

use super::create::{COLUMN_MAPPING, check_constraint, cluster_columns, columns, property};
use super::edits::by_name;
use super::target::{Target, folded, item, select_of, template};
use super::{QueryError, Session, SqlMistake, Staged, not_supported, refuse_if};
use crate::base::{TableName, sql_type_name};
use crate::query::dialect::{UNSET, UNSET_IF_THERE, parse_query};
use crate::table::{Design, FILE_COLUMN, TYPE_WIDENING, retyped, widens, write};

/// `ALTER TABLE t …`
pub(super) async fn alter(session: &Session, alter: AlterTable) -> Result<Staged, QueryError> {
    let target = match by_name(session, &alter.name).await {
        Err(_) if alter.if_exists => return Ok(Staged::nothing("ALTER TABLE")),
        found => found?,
    };
    let mut schema = target.base.schema().as_ref().clone();
    let mut design = target.base.design().clone();
    for operation in alter.operations {
        (schema, design) = altered(session, &target, (schema, design), operation).await?;
    }
    let change = write::redesign(session.scope().tables(), target.base, Arc::new(schema), design)?;
    Ok(Staged::change("ALTER TABLE", change))
}

async fn altered(
    session: &Session,
    target: &Target,
    (schema, design): (Schema, Design),
    operation: AlterTableOperation,
) -> Result<(Schema, Design), QueryError> {
    use AlterTableOperation as A;
    const REWRITE: &str = "make the table anew: `create or replace table t as select … from t`";
    Ok(match operation {
        A::AddColumn { column_def, column_position, if_not_exists, .. } => {
            refuse_if(
                column_position.is_some(),
                "FIRST and AFTER",
                "new columns come last; order them in a query",
            )?;
            let name = folded(&column_def.name);
            if schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(&name)) {
                if if_not_exists {
                    return Ok((schema, design));
                }
                let message = format!("`{}` has a column `{name}` already", target.name);
                return Err(SqlMistake::new("elt::sql::column_exists", message)
                    .help("give the new one another name")
                    .into());
            }
            let comment = column_def.options.iter().find_map(|option| match &option.option {
                sqlparser::ast::ColumnOption::Comment(text) => Some(text.clone()),
                _ => None,
            });
            let says_nothing = |option: &&sqlparser::ast::ColumnOptionDef| {
                use sqlparser::ast::ColumnOption as O;
                !matches!(option.option, O::Null | O::Comment(_))
            };
            let others = column_def.options.iter().filter(says_nothing).count();
            refuse_if(
                others > 0,
                "a new column with a default or a rule",
                "add it, UPDATE it, and then `ALTER COLUMN … SET NOT NULL`",
            )?;
            let typed = columns(session, std::slice::from_ref(&column_def)).await?;
            let added = crate::table::storable(&target.name, &typed)?;
            let fields: Vec<_> = schema.fields().iter().chain(added.fields()).cloned().collect();
            let mut design = design.with_columns(&target.name, &added)?;
            if let Some(comment) = comment {
                design = design.with_comment(&name, &comment);
            }
            (Schema::new(fields), design)
        }
        A::SetTblProperties { table_properties } => {
            let properties: Result<Vec<_>, _> = table_properties.iter().map(property).collect();
            let mut properties = properties?;
            let mut design = design;
            for (key, gone) in properties.extract_if(.., |(key, _)| key == UNSET || key == UNSET_IF_THERE) {
                design = without(design, &target.name, &gone, key == UNSET_IF_THERE)?;
            }
            for (key, mode) in &properties {
                let now = design.properties().get(key).map_or("none", String::as_str);
                let is_new_way = key == COLUMN_MAPPING && mode != now;
                refuse_if(
                    is_new_way && (now, mode.as_str()) != ("none", "name"),
                    &format!("column mapping by `{mode}` in place of `{now}`"),
                    "a table that has files can only begin to map its columns, by 'name'",
                )?;
            }
            for (key, condition) in &properties {
                let is_new = design.properties().get(key) != Some(condition);
                if is_new && key.starts_with("delta.constraints.") {
                    let holds = condition_of(condition)?;
                    refuse_rows(session, target, holds, &format!("CHECK ({condition})")).await?;
                }
            }
            let (comment, properties): (Vec<_>, Vec<_>) =
                properties.into_iter().partition(|(key, _)| key == "comment");
            let design = design.with_properties(properties);
            let design = match comment.into_iter().next_back() {
                Some((_, text)) => design.with_description(Some(text)),
                None => design,
            };
            (schema, design)
        }
        A::AddConstraint { constraint, .. } => {
            let free = |number: &usize| {
                !design.properties().contains_key(&format!("delta.constraints.check_{}", number + 1))
            };
            let number = (0..).find(free).unwrap_or_default();
            let (key, condition) = check_constraint(&constraint, number)?;
            if design.properties().contains_key(&key) {
                let message = format!("`{}` has a constraint of this name", target.name);
                return Err(SqlMistake::new("elt::sql::constraint_exists", message)
                    .help("drop it first, or choose another name")
                    .into());
            }
            if let sqlparser::ast::TableConstraint::Check(check) = constraint {
                refuse_rows(session, target, *check.expr, &format!("CHECK ({condition})")).await?;
            }
            (schema, design.with_properties([(key, condition)]))
        }
        A::DropConstraint { if_exists, name, .. } => {
            let key = format!("delta.constraints.{}", folded(&name));
            if !if_exists && !design.properties().contains_key(&key) {
                let known: Vec<&str> = design.constraints().map(|(name, _)| name).collect();
                let message = format!("`{}` has no constraint `{name}`", target.name);
                return Err(SqlMistake::new("elt::sql::no_such_constraint", message)
                    .help(format!("it has: {}", known.join(", ")))
                    .into());
            }
            (schema, design.without_property(&key))
        }
        A::AlterColumn { column_name, op } => {
            let column = target.known_column(&ObjectName::from(vec![column_name]))?;
            let nullable = match op {
                AlterColumnOperation::DropNotNull => true,
                AlterColumnOperation::SetNotNull => {
                    let is_null = Expr::IsNotNull(Box::new(target.column(&column)));
                    refuse_rows(session, target, is_null, &format!("`{column}` NOT NULL")).await?;
                    false
                }
                AlterColumnOperation::SetDataType { data_type, using, had_set: _ } => {
                    refuse_if(using.is_some(), "USING", REWRITE)?;
                    return retype(session, target, (schema, design), &column, data_type).await;
                }
                other => return Err(not_supported(&format!("ALTER COLUMN {other}"), REWRITE)),
            };
            let fields = schema.fields().iter().map(|field| match *field.name() == column {
                true => Arc::new(field.as_ref().clone().with_nullable(nullable)),
                false => Arc::clone(field),
            });
            (Schema::new(fields.collect::<Vec<_>>()), design.with_nullable(&column, nullable))
        }
        A::DropColumn { column_names, if_exists, drop_behavior, has_column_keyword: _ } => {
            refuse_if(
                drop_behavior.is_some(),
                "CASCADE and RESTRICT",
                "views are planned when they are read",
            )?;
            let (mut schema, mut design) = (schema, design);
            for name in column_names {
                match target.known_column(&ObjectName::from(vec![name])) {
                    Err(_) if if_exists => {}
                    column => (schema, design) = without_column(target, schema, design, &column?)?,
                }
            }
            (schema, design)
        }
        A::RenameColumn { old_column_name, new_column_name } => {
            let column = target.known_column(&ObjectName::from(vec![old_column_name]))?;
            renamed(target, schema, design, &column, &folded(&new_column_name))?
        }
        A::ClusterBy { exprs } => {
            let columns = cluster_columns(&exprs)?;
            (schema, design.clustered_by(&columns)?)
        }
        A::DropClusteringKey => (schema, design.clustered_by(&[])?),
        A::RenameTable { .. } => {
            return Err(not_supported(
                "RENAME TO",
                "`create table new as select * from old`, then `drop table old`",
            ));
        }
        other => return Err(not_supported(&format!("ALTER TABLE … {other}"), REWRITE)),
    })
}

/// The same table without a property.
fn without(design: Design, table: &TableName, key: &str, if_there: bool) -> Result<Design, QueryError> {
    if key == "comment" {
        return Ok(design.with_description(None));
    }
    refuse_if(
        key.starts_with("delta.constraints."),
        &format!("UNSET of `{key}`"),
        "write `DROP CONSTRAINT`",
    )?;
    refuse_if(
        key.starts_with("delta.columnMapping."),
        &format!("UNSET of `{key}`"),
        "files of the table are written with it",
    )?;
    if !if_there && !design.properties().contains_key(key) {
        let known: Vec<&str> = design.properties().keys().map(String::as_str).collect();
        let what = format!("`{table}` has no property `{key}`");
        let mistake = SqlMistake::new("elt::sql::no_such_property", what);
        return Err(mistake
            .help(format!("it has: {}; UNSET TBLPROPERTIES IF EXISTS does not mind", known.join(", ")))
            .into());
    }
    Ok(design.without_property(key))
}

/// The table with a wider type for a column, whose files do not change.
async fn retype(
    session: &Session,
    target: &Target,
    (schema, design): (Schema, Design),
    column: &str,
    data_type: sqlparser::ast::DataType,
) -> Result<(Schema, Design), QueryError> {
    let definition = ColumnDef { name: Ident::with_quote('"', column), data_type, options: Vec::new() };
    let typed = crate::table::storable(&target.name, columns(session, &[definition]).await?.as_ref())?;
    let to = typed.field(0).data_type();
    let Ok(from) = schema.field_with_name(column).map(Field::data_type) else { return Ok((schema, design)) };
    if from == to {
        return Ok((schema, design));
    }
    let table = &target.name;
    let anew = format!(
        "make the table anew: `create or replace table {table} as select * replace (cast({column} as {to}) as {column}) \
         from {table}`",
        to = sql_type_name(to)
    );
    let refused =
        |because: String, help: String| Err(SqlMistake::new("elt::sql::type", because).help(help).into());
    if !widens(from, to) {
        let (from, to) = (sql_type_name(from), sql_type_name(to));
        return refused(
            format!(
                "`{column}` of `{table}` is {from} and its files cannot be read as {to}: types only widen"
            ),
            anew,
        );
    }
    if design.is_worked_from(column) {
        return refused(format!("another column of `{table}` is worked out from `{column}`"), anew);
    }
    if !design.widens_types() {
        let help = format!(
            "`alter table {table} set tblproperties ('{TYPE_WIDENING}' = 'true')` turns it on for good (Spark 4 and \
             Databricks read such tables, Polars does not); or {anew}"
        );
        return refused(format!("a wider type needs type widening, which `{table}` does not have"), help);
    }
    let schema = retyped(&schema, column, to);
    let design = design.with_grown(table, &schema)?;
    Ok((schema, design))
}

/// The table with another name for a column, under which its files do not change.
fn renamed(
    target: &Target,
    schema: Schema,
    design: Design,
    column: &str,
    name: &str,
) -> Result<(Schema, Design), QueryError> {
    check_mapped(target, &design, "RENAME COLUMN", "select old as new, … from t")?;
    let others = schema.fields().iter().filter(|field| field.name() != column);
    if others.into_iter().any(|field| field.name().eq_ignore_ascii_case(name)) {
        let message = format!("`{}` has a column `{name}` already", target.name);
        return Err(SqlMistake::new("elt::sql::column_exists", message).help("choose another name").into());
    }
    let fields = schema.fields().iter().map(|field| match field.name() == column {
        true => Arc::new(field.as_ref().clone().with_name(name)),
        false => Arc::clone(field),
    });
    let schema = Schema::new(fields.collect::<Vec<_>>());
    crate::table::storable(&target.name, &schema)?;
    Ok((schema, design.with_renamed(column, name)))
}

/// The table without a column, whose values stay in its files.
fn without_column(
    target: &Target,
    schema: Schema,
    design: Design,
    column: &str,
) -> Result<(Schema, Design), QueryError> {
    check_mapped(target, &design, "DROP COLUMN", "select * exclude (column) from t")?;
    refuse_if(
        design.partition_columns().iter().any(|own| own == column),
        &format!("dropping `{column}`, by which the table is partitioned,"),
        "make the table anew: `create or replace table t partitioned by (…) as select … from t`",
    )?;
    let fields = schema.fields().iter().filter(|field| field.name() != column).cloned();
    let schema = Schema::new(fields.collect::<Vec<_>>());
    refuse_if(
        schema.fields().len() == design.partition_columns().len(),
        "dropping the last column",
        "DROP TABLE",
    )?;
    Ok((schema, design.without_column(column)))
}

fn check_mapped(target: &Target, design: &Design, what: &str, anew: &str) -> Result<(), QueryError> {
    if design.maps_columns() {
        return Ok(());
    }
    let message = format!("{what} needs column mapping, which `{}` does not have", target.name);
    Err(SqlMistake::new("elt::sql::column_mapping", message)
        .help(format!(
            "`alter table {} set tblproperties ('{COLUMN_MAPPING}' = 'name')` turns it on for good (Spark, Databricks, \
             DuckDB and Trino read such tables, Polars does not); or make the table anew: \
             `create or replace table t as {anew}`",
            target.name
        ))
        .into())
}

/// A condition that is given as text.
fn condition_of(text: &str) -> Result<Expr, QueryError> {
    if let Statement::Query(mut query) = parse_query(&format!("select 1 where {text}"))?
        && let Some(condition) = select_of(&mut query).selection.take()
    {
        return Ok(condition);
    }
    Err(SqlMistake::new("elt::sql::syntax", format!("`{text}` is not a condition")).into())
}

/// Refuses a rule that a row breaks already.
async fn refuse_rows(session: &Session, target: &Target, holds: Expr, rule: &str) -> Result<(), QueryError> {
    let mut query = template("select 1 from t where (true) is not true limit 1");
    let select = select_of(&mut query);
    select.from = vec![super::target::alone(target.factor())];
    select.projection = vec![item(target.column(FILE_COLUMN), "file")];
    select.selection = Some(Expr::IsNotTrue(Box::new(Expr::Nested(Box::new(holds)))));
    let found = session.rows_of(query).await?.collect().await?;
    if found.iter().all(|batch| batch.num_rows() == 0) {
        return Ok(());
    }
    let message = format!("rows of `{}` break it already: {rule}", target.name);
    Err(SqlMistake::new(crate::query::VALUE, message).help("correct or delete them first").into())
}

/// `COMMENT ON TABLE t IS '…'`, `COMMENT ON COLUMN t.c IS '…'`
pub(super) async fn comment(
    session: &Session,
    object: CommentObject,
    name: ObjectName,
    comment: Option<String>,
) -> Result<Staged, QueryError> {
    let (target, column) = match object {
        CommentObject::Table => (by_name(session, &name).await?, None),
        CommentObject::Column => {
            let mut parts = name.0.clone();
            let column = parts.pop().and_then(|part| part.as_ident().cloned());
            let column = column.unwrap_or_else(|| Ident::new(""));
            let target = by_name(session, &ObjectName(parts)).await?;
            let column = target.known_column(&ObjectName::from(vec![column]))?;
            (target, Some(column))
        }
        other => return Err(not_supported(&format!("COMMENT ON {other}"), "comment on a TABLE or a COLUMN")),
    };
    let design = target.base.design().clone();
    let design = match column {
        Some(column) => design.with_comment(&column, &comment.unwrap_or_default()),
        None => design.with_description(comment),
    };
    let schema = Arc::clone(target.base.schema());
    Ok(Staged::change("COMMENT", write::redesign(session.scope().tables(), target.base, schema, design)?))
}

/// `OPTIMIZE t [WHERE p] [ZORDER BY (columns)]`
pub(super) async fn optimize(
    session: &Session,
    table: &ObjectName,
    predicate: Option<Expr>,
    order_by: &[Ident],
) -> Result<Staged, QueryError> {
    let target = by_name(session, table).await?;
    let mut columns = Vec::new();
    for column in order_by {
        columns.push(target.known_column(&ObjectName::from(vec![column.clone()]))?);
    }
    let only = match predicate {
        None => None,
        Some(predicate) => {
            let mut query = template("select distinct 1 from t where true");
            let select = select_of(&mut query);
            select.projection = vec![item(target.column(FILE_COLUMN), "file")];
            select.from = vec![super::target::alone(target.factor())];
            select.selection = Some(predicate);
            let mut files = BTreeSet::new();
            for batch in session.rows_of(query).await?.collect().await? {
                let names = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8)
                    .map_err(datafusion::error::DataFusionError::from)?;
                let names = arrow::array::AsArray::as_string::<i32>(&names);
                files.extend(names.iter().flatten().map(str::to_owned));
            }
            Some(files)
        }
    };
    let wanted = write::Compaction { only, order_by: columns, ..write::Compaction::default() };
    let change = write::compact(session.scope().tables(), target.base, &wanted).await?;
    Ok(Staged { changes: change.into_iter().collect(), ..Staged::nothing("OPTIMIZE") })
}
