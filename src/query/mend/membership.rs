//! Is it among the rows of a subquery?
//!
//! The engine makes a join of `in (select …)` and `exists (select …)`, and can do so where they are a condition of
//! a `where`. Elsewhere, in a select list or a `case`, it has no plan; and for a constant, or under an `or`, its
//! join forgets that `not in` is neither true nor false when a null is among the rows. [`Membership`] counts
//! instead: how many rows there are, how many are known, and how many are equal.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, plan_err};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{merge_schema, split_conjunction};
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, binary_expr, is_null, lit, not, when,
};
use datafusion::optimizer::AnalyzerRule;

use super::correlated::{Asks, is_joined as has_a_join};
use super::dependent::refers;

/// `IN` and `EXISTS` of a subquery, where the engine has no join for them.
#[derive(Debug)]
pub(super) struct Membership;

impl AnalyzerRule for Membership {
    fn name(&self) -> &str {
        "membership"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            let plan = plan.map_expressions(|expr| expr.transform_up(as_in))?.data;
            let schema = merge_schema(&plan.inputs());
            let joined: Vec<Expr> = match &plan {
                LogicalPlan::Filter(filter) => split_conjunction(&filter.predicate)
                    .into_iter()
                    .filter(|expr| is_joined(expr, &schema))
                    .cloned()
                    .collect(),
                _ => Vec::new(),
            };
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                if !asks_a_subquery(&expr)? {
                    return Ok(Transformed::no(expr));
                }
                let name = names.save(&expr);
                let counted = expr.transform_down(|expr| match expr {
                    kept if joined.contains(&kept) => {
                        Ok(Transformed::new(kept, false, TreeNodeRecursion::Jump))
                    }
                    Expr::InSubquery(question) if has_one_column(&question) => {
                        Ok(Transformed::new(counted(question, &schema)?, true, TreeNodeRecursion::Jump))
                    }
                    Expr::Exists(question) => Ok(Transformed::yes(any_row(question)?)),
                    Expr::SetComparison(question)
                        if question.subquery.subquery.schema().fields().len() == 1 =>
                    {
                        Ok(Transformed::new(quantified(question, &schema)?, true, TreeNodeRecursion::Jump))
                    }
                    other => Ok(Transformed::no(other)),
                })?;
                Ok(counted.update_data(|expr| name.restore(expr)))
            })
        })?;
        Ok(rewritten.data)
    }
}

/// `= any` is `in`, and `<> all` is `not in`.
fn as_in(expr: Expr) -> Result<Transformed<Expr>> {
    let Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) = expr else {
        return Ok(Transformed::no(expr));
    };
    let question =
        |negated| Expr::InSubquery(InSubquery { expr: expr.clone(), subquery: subquery.clone(), negated });
    Ok(match (op, &quantifier) {
        (Operator::Eq, SetQuantifier::Any) => Transformed::yes(question(false)),
        (Operator::NotEq, SetQuantifier::All) => Transformed::yes(question(true)),
        _ => Transformed::no(Expr::SetComparison(SetComparison { expr, subquery, op, quantifier })),
    })
}

/// Whether the engine makes the right join of this condition.
fn is_joined(condition: &Expr, around: &DFSchema) -> bool {
    match condition {
        Expr::InSubquery(question) => {
            let is_constant = question.expr.column_refs().is_empty();
            let forgets_nulls = question.negated && refers(&question.subquery.subquery);
            !is_constant && !forgets_nulls && has_a_join(&question.subquery, Asks::Member, around)
        }
        Expr::Exists(question) => has_a_join(&question.subquery, Asks::Any, around),
        Expr::Not(inner) => is_joined(inner, around) && matches!(**inner, Expr::Exists(_)),
        _ => false,
    }
}

fn asks_a_subquery(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| Ok(matches!(expr, Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_))))
}

fn has_one_column(question: &InSubquery) -> bool {
    question.subquery.subquery.schema().fields().len() == 1 && !question.expr.is_volatile()
}

/// `exists`: whether there is more than no row.
fn any_row(question: Exists) -> Result<Expr> {
    let Exists { subquery, negated } = question;
    let rows = count_where(&subquery, None, lit(1), Vec::new())?;
    Ok(if negated { rows.eq(lit(0)) } else { rows.gt(lit(0)) })
}

/// `in`, by SQL's rules: true if a row is equal; unknown if none is, and a null stands on either side.
fn counted(question: InSubquery, schema: &DFSchema) -> Result<Expr> {
    let InSubquery { expr, subquery, negated } = question;
    compared(*expr, Operator::Eq, &subquery, negated, schema)
}

/// `> any` and the like; all of the rows are if not any is otherwise.
fn quantified(question: SetComparison, schema: &DFSchema) -> Result<Expr> {
    let SetComparison { expr, subquery, op, quantifier } = question;
    match quantifier {
        SetQuantifier::Any => compared(*expr, op, &subquery, false, schema),
        SetQuantifier::All => match op.negate() {
            Some(opposite) => compared(*expr, opposite, &subquery, true, schema),
            None => plan_err!("`{op} all` is no comparison"),
        },
    }
}

/// Whether a row compares so: unknown if none does, and a null stands on either side.
fn compared(expr: Expr, op: Operator, subquery: &Subquery, negated: bool, schema: &DFSchema) -> Result<Expr> {
    let value = Expr::Column(subquery.subquery.schema().columns().remove(0));
    let mut outer = Vec::new();
    let wanted = expr.clone().transform(|expr| match expr {
        Expr::Column(column) => {
            let reference = outer_reference(&column, schema)?;
            outer.push(reference.clone());
            Ok(Transformed::yes(reference))
        }
        other => Ok(Transformed::no(other)),
    })?;
    let holds = binary_expr(wanted.data, op, value.clone());
    let equal = count_where(subquery, Some(holds), lit(1), outer)?;
    let rows = || count_where(subquery, None, lit(1), Vec::new());
    let known = count_where(subquery, None, value, Vec::new())?;
    let found = when(equal.gt(lit(0)), lit(true))
        .when(rows()?.eq(lit(0)), lit(false))
        .when(is_null(expr).or(known.lt(rows()?)), lit(ScalarValue::Boolean(None)))
        .otherwise(lit(false))?;
    Ok(if negated { not(found) } else { found })
}

/// A column of the query, as its subquery refers to it.
fn outer_reference(column: &Column, schema: &DFSchema) -> Result<Expr> {
    let (_, field) = schema.qualified_field_from_column(column)?;
    Ok(Expr::OuterReferenceColumn(Arc::clone(field), column.clone()))
}

/// `(select count(what) from subquery where condition)`
fn count_where(subquery: &Subquery, condition: Option<Expr>, what: Expr, outer: Vec<Expr>) -> Result<Expr> {
    let mut rows = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone());
    if let Some(condition) = condition {
        rows = rows.filter(condition)?;
    }
    let counted = rows.aggregate(Vec::<Expr>::new(), vec![count(what).alias("found")])?.build()?;
    let mut outer_ref_columns = subquery.outer_ref_columns.clone();
    outer_ref_columns.extend(outer);
    Ok(Expr::ScalarSubquery(Subquery {
        subquery: Arc::new(counted),
        outer_ref_columns,
        spans: subquery.spans.clone(),
    }))
}
