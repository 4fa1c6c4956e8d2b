//! What does a list beside its own row mean?
//!
//! `from t, unnest(t.list)` gives each row of `t` with each item of its list. The engine plans the list as a query of
//! its own that refers to the row, and then has no way to answer it. Here such a join becomes what it means: the rows of
//! `t` with their list, taken apart.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, NullHandling, Result, ScalarValue, TableReference};
use datafusion::logical_expr::{Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Projection};
use datafusion::optimizer::AnalyzerRule;

/// Where columns are kept between the row and the last projection.
const INSIDE: &str = "_elt_unnest";

/// Joins of rows with their own lists become rows that are taken apart.
#[derive(Debug)]
pub(super) struct BesideItsRow;

impl AnalyzerRule for BesideItsRow {
    fn name(&self) -> &str {
        "unnest_beside_its_row"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| match &plan {
            LogicalPlan::Join(join) => Ok(match taken_apart(join)? {
                Some(other) => Transformed::yes(other),
                None => Transformed::no(plan),
            }),
            _ => Ok(Transformed::no(plan)),
        })
        .data()
    }
}

/// What stands between a join and the list that it takes apart, from the outside in.
enum Layer {
    Project(Vec<Expr>),
    Keep(Expr),
}

fn taken_apart(join: &Join) -> Result<Option<LogicalPlan>> {
    let (alias, mut inside) = match join.right.as_ref() {
        LogicalPlan::SubqueryAlias(alias) => (Some(alias.alias.clone()), alias.input.as_ref()),
        other => (None, other),
    };
    let mut layers = Vec::new();
    let mut is_lateral = false;
    let (unnest, lists) = loop {
        inside = match inside {
            LogicalPlan::Subquery(subquery) if !subquery.outer_ref_columns.is_empty() => {
                is_lateral = true;
                &subquery.subquery
            }
            LogicalPlan::Projection(projection) => {
                layers.push(Layer::Project(projection.expr.clone()));
                &projection.input
            }
            LogicalPlan::Filter(filter) => {
                layers.push(Layer::Keep(filter.predicate.clone()));
                &filter.input
            }
            LogicalPlan::SubqueryAlias(alias) => &alias.input,
            LogicalPlan::Unnest(unnest) => match unnest.input.as_ref() {
                LogicalPlan::Projection(lists)
                    if matches!(lists.input.as_ref(), LogicalPlan::EmptyRelation(_)) =>
                {
                    break (unnest, &lists.expr);
                }
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
    };
    let always = |filter: &Expr| matches!(filter, Expr::Literal(ScalarValue::Boolean(Some(true)), _));
    let filters = layers.iter().any(|layer| matches!(layer, Layer::Keep(_)));
    let condition = join.filter.iter().any(|filter| !always(filter)) || !join.on.is_empty();
    let nulls = match join.join_type {
        JoinType::Inner => NullHandling::Drop,
        JoinType::Left if !condition && !filters => NullHandling::PreserveAndExpandEmpty,
        _ => return Ok(None),
    };
    if !is_lateral {
        return Ok(None);
    }
    let of_row: Vec<Expr> = join.left.schema().columns().into_iter().map(Expr::Column).collect();
    let with_row = |more: Vec<Expr>| of_row.iter().cloned().chain(more).collect::<Vec<_>>();
    let lists = lists.iter().cloned().map(of_the_row).collect::<Result<Vec<_>>>()?;
    let row = Projection::try_new(with_row(lists), Arc::clone(&join.left))?;
    let options = unnest.options.clone().with_null_handling(nulls);
    let columns: Vec<Column> =
        unnest.exec_columns.iter().map(|column| Column::from_name(&column.name)).collect();
    let mut plan = LogicalPlanBuilder::from(LogicalPlan::Projection(row))
        .unnest_columns_with_options(columns, options)?
        .build()?;
    let mut is_inside = false;
    for layer in layers.into_iter().rev() {
        let inside = |expr: Expr| of_the_row(if is_inside { kept_inside(expr)? } else { expr });
        match layer {
            Layer::Keep(predicate) => {
                plan = LogicalPlanBuilder::from(plan).filter(inside(predicate)?)?.build()?;
            }
            Layer::Project(exprs) => {
                let named = |expr: Expr| {
                    let name = match &expr {
                        Expr::Column(column) => column.name.clone(),
                        other => other.schema_name().to_string(),
                    };
                    let expr = inside(expr)?.unalias();
                    Ok(expr.alias_qualified(Some(TableReference::bare(INSIDE)), name))
                };
                let exprs = exprs.into_iter().map(named).collect::<Result<Vec<_>>>()?;
                plan = LogicalPlan::Projection(Projection::try_new(with_row(exprs), Arc::new(plan))?);
                is_inside = true;
            }
        }
    }
    let count = of_row.len();
    let fields: Vec<_> = plan.schema().columns().into_iter().skip(count).collect();
    let wanted = join.right.schema().columns();
    if fields.len() != wanted.len() {
        return Ok(None);
    }
    let last = fields.into_iter().zip(wanted).map(|(column, wanted)| {
        Expr::Column(column).alias_qualified(alias.clone().or(wanted.relation), wanted.name)
    });
    let mut plan = LogicalPlan::Projection(Projection::try_new(with_row(last.collect()), Arc::new(plan))?);
    let equal = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
    for condition in equal.chain(join.filter.iter().filter(|filter| !always(filter)).cloned()) {
        plan = LogicalPlanBuilder::from(plan).filter(condition)?.build()?;
    }
    Ok(Some(plan))
}

/// What referred to the row from inside is a column beside it now.
fn of_the_row(expr: Expr) -> Result<Expr> {
    expr.transform(|expr| match expr {
        Expr::OuterReferenceColumn(_, column) => Ok(Transformed::yes(Expr::Column(column))),
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// Columns of what is inside, by the name under which they are kept.
fn kept_inside(expr: Expr) -> Result<Expr> {
    expr.transform(|expr| match expr {
        Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::new(Some(INSIDE), column.name)))),
        other => Ok(Transformed::no(other)),
    })
    .data()
}
