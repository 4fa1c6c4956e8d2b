//! The rows of files on their way into a table: `COPY INTO t FROM (SELECT … FROM 'files')`.
//!
//! The rows come as a stream, under a name that only this query knows; what is selected of them goes out as a stream, one
//! row for each, in their order. A query that would make more or fewer rows is refused before any is read.

use std::sync::{Arc, Mutex};

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr as PlanExpr, LogicalPlan};
use datafusion::physical_plan::EmptyRecordBatchStream;
use datafusion::physical_plan::streaming::PartitionStream;
use sqlparser::ast::{
    self, Expr, Ident, Query, SelectItem, SelectItemQualifiedWildcardKind, Spanned, TableAliasColumnDef,
    TableFactor, WildcardAdditionalOptions,
};

use super::target::{assigned_to, item, known_as, select_of, template};
use super::{QueryError, Session, SqlMistake};
use crate::base::did_you_mean;
use crate::query::dialect::{CopySelect, Places};

/// What the files are called, unless the statement calls them something.
const FILES: &str = "_elt_files";
/// What the selected rows are called.
const SELECTED: &str = "_elt_selected";
/// What Databricks calls what is known of a row's file.
const METADATA: &str = "_metadata";

impl Session {
    /// Makes rows of a table out of rows of files. `own` are columns of the files that go along as they are, and that `*`
    /// does not mean. Columns have the types of `table`, if it has them.
    ///
    /// # Errors
    /// A mistake in the SELECT; one that makes anything but one row of a row; columns that the places do not have.
    pub async fn copied(
        &self,
        select: &CopySelect,
        places: &Places,
        files: SendableRecordBatchStream,
        own: &[String],
        table: Option<&Schema>,
    ) -> Result<SendableRecordBatchStream, QueryError> {
        let session = self.alone_with(FILES, OneStream::table(files)?);
        let alias = select.alias.clone().unwrap_or_else(|| Ident::new(FILES));
        let mut inner = template(
            "select 1 from (select *, named_struct('file_path', _file_path, \
             'file_name', regexp_replace(_file_path, '^.*/', ''), \
             'file_modification_time', _file_modification_time) as _metadata from _elt_files) as f",
        );
        let hidden: Vec<&str> = own.iter().map(String::as_str).chain([METADATA]).collect();
        let inner_select = select_of(&mut inner);
        inner_select.projection = select.items.iter().map(|item| without(item.clone(), &hidden)).collect();
        if let TableFactor::Derived { alias: known, .. } = &mut inner_select.from[0].relation {
            *known = Some(known_as(alias.clone()));
        }
        let plan = session.plan(ast::Statement::Query(Box::new(inner.clone()))).await?;
        one_for_one(&plan)?;
        let given: Vec<String> = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        let names = placed(select, &given, places, table)?;
        if let Some(name) = names.iter().find(|name| own.contains(name)) {
            let mistake = SqlMistake::new(
                "elt::sql::reserved_name",
                format!("`{name}` is a column that landing fills"),
            );
            return Err(mistake
                .help("give what is selected another name; the column comes by itself")
                .into());
        }
        let kept = own.iter().map(|name| {
            item(Expr::CompoundIdentifier(vec![alias.clone(), Ident::with_quote('"', name)]), &own_name(name))
        });
        select_of(&mut inner).projection.extend(kept);
        let query = shaped(inner, &names, own, table);
        let plan = session.plan(ast::Statement::Query(Box::new(query))).await?;
        Ok(session.rows_of_plan(plan).await?.into_stream())
    }
}

/// The name under which a column of the files goes along, that no column of the table has.
fn own_name(name: &str) -> String {
    format!("_elt_own{name}")
}

/// An item of the list in which `*` means the columns of the files alone.
fn without(item: SelectItem, hidden: &[&str]) -> SelectItem {
    let hide = |mut options: WildcardAdditionalOptions| {
        let names = hidden.iter().map(|name| ast::ObjectName::from(vec![Ident::with_quote('"', *name)]));
        options.opt_exclude = Some(match options.opt_exclude.take() {
            Some(ast::ExcludeSelectItem::Single(one)) => {
                ast::ExcludeSelectItem::Multiple(std::iter::once(one).chain(names).collect())
            }
            Some(ast::ExcludeSelectItem::Multiple(many)) => {
                ast::ExcludeSelectItem::Multiple(many.into_iter().chain(names).collect())
            }
            None => ast::ExcludeSelectItem::Multiple(names.collect()),
        });
        options
    };
    match item {
        SelectItem::Wildcard(options) => SelectItem::Wildcard(hide(options)),
        SelectItem::QualifiedWildcard(of @ SelectItemQualifiedWildcardKind::ObjectName(_), options) => {
            SelectItem::QualifiedWildcard(of, hide(options))
        }
        other => other,
    }
}

/// Which columns of the table the selected ones are.
fn placed(
    select: &CopySelect,
    given: &[String],
    places: &Places,
    table: Option<&Schema>,
) -> Result<Vec<String>, QueryError> {
    let known: Vec<&String> =
        table.iter().flat_map(|table| table.fields().iter().map(|field| field.name())).collect();
    let in_table = |name: &String| {
        let same = |other: &&&String| other.eq_ignore_ascii_case(name);
        let exact = known.iter().find(|other| **other == name);
        exact.or_else(|| known.iter().find(same)).map(|name| (*name).clone())
    };
    let wanted: Vec<String> = match places {
        Places::ByName => {
            for item in &select.items {
                let SelectItem::UnnamedExpr(expr) = item else { continue };
                if !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                    let place = expr.span().start;
                    let mistake =
                        SqlMistake::new("elt::sql::no_name", "this has no name, and columns are found by it");
                    return Err(mistake.at(place.line, place.column).help("write `… as column`").into());
                }
            }
            return Ok(given.iter().map(|name| in_table(name).unwrap_or_else(|| name.clone())).collect());
        }
        Places::ByPosition => known.iter().map(|name| (*name).clone()).collect(),
        Places::Listed(columns) => {
            let mut found = Vec::new();
            for column in columns {
                found.push(match in_table(column) {
                    Some(name) => name,
                    None if table.is_none() => column.clone(),
                    None => {
                        let mistake = SqlMistake::new(
                            "elt::sql::no_such_column",
                            format!("the table has no column `{column}`"),
                        );
                        let help = did_you_mean(column, known.iter().map(|name| name.as_str()));
                        return Err(mistake
                            .help(help.unwrap_or_else(|| {
                                "leave out the list, and new columns are added".to_owned()
                            }))
                            .into());
                    }
                });
            }
            found
        }
    };
    if wanted.len() == given.len() {
        return Ok(wanted);
    }
    let message = format!("{} selected for {} columns: {}", given.len(), wanted.len(), wanted.join(", "));
    Err(SqlMistake::new("elt::sql::values_and_columns", message)
        .help("select one for each, in their order; or leave out the list, and name what is selected as the table does")
        .into())
}

/// `SELECT … FROM (inner) AS _elt_selected (names, own)`
fn shaped(inner: Query, names: &[String], own: &[String], table: Option<&Schema>) -> Query {
    let mut query = template("select 1 from (select 1) as t");
    let select = select_of(&mut query);
    let column = |name: &str| {
        Expr::CompoundIdentifier(vec![Ident::with_quote('"', SELECTED), Ident::with_quote('"', name)])
    };
    let field = |name: &String| table.and_then(|table| table.field_with_name(name).ok());
    let selected = names.iter().map(|name| {
        let value = column(name);
        item(field(name).map_or_else(|| column(name), |field| assigned_to(field.data_type(), value)), name)
    });
    let kept = own.iter().map(|name| item(column(&own_name(name)), name));
    select.projection = selected.chain(kept).collect();
    if let TableFactor::Derived { subquery, alias, .. } = &mut select.from[0].relation {
        **subquery = inner;
        let mut named = known_as(Ident::with_quote('"', SELECTED));
        let all = names.iter().cloned().chain(own.iter().map(|name| own_name(name)));
        named.columns = all
            .map(|name| TableAliasColumnDef { name: Ident::with_quote('"', name), data_type: None })
            .collect();
        *alias = Some(named);
    }
    query
}

/// Refuses a plan that makes more or fewer rows than it reads.
fn one_for_one(plan: &LogicalPlan) -> Result<(), QueryError> {
    let mut wrong = None;
    plan.apply(|node| {
        let asks = |expr: &PlanExpr| {
            expr.exists(|expr| {
                Ok(matches!(
                    expr,
                    PlanExpr::ScalarSubquery(_) | PlanExpr::Exists(_) | PlanExpr::InSubquery(_)
                ))
            })
        };
        match node {
            LogicalPlan::Projection(projection) => {
                for expr in &projection.expr {
                    if asks(expr)? {
                        wrong = Some("a subquery");
                    }
                }
            }
            LogicalPlan::SubqueryAlias(_) | LogicalPlan::TableScan(_) => {}
            LogicalPlan::Aggregate(_) => wrong = Some("an aggregate"),
            LogicalPlan::Window(_) => wrong = Some("a window"),
            LogicalPlan::Unnest(_) => wrong = Some("UNNEST"),
            _ => wrong = Some("anything but expressions of a row"),
        }
        Ok(if wrong.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    match wrong {
        None => Ok(()),
        Some(what) => Err(super::not_supported(
            &format!("{what} in a COPY INTO"),
            "each row of a file becomes a row of the table; land the files as they are, and make a model of the query",
        )),
    }
}

/// Rows that can be read once.
#[derive(Debug)]
struct OneStream {
    schema: SchemaRef,
    rows: Mutex<Option<Rows>>,
}

struct Rows(SendableRecordBatchStream);

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("rows of files")
    }
}

impl OneStream {
    fn table(rows: SendableRecordBatchStream) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        let schema = rows.schema();
        let partition = Self { schema: Arc::clone(&schema), rows: Mutex::new(Some(Rows(rows))) };
        Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(partition)])?))
    }
}

impl PartitionStream for OneStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        match self.rows.lock().expect("no holder panics").take() {
            Some(Rows(rows)) => rows,
            None => Box::pin(EmptyRecordBatchStream::new(Arc::clone(&self.schema))),
        }
    }
}
