//! Is it one of these, if some of them are columns?
//!
//! The engine takes two lists for one: of `k in (a, 7) and k in (b, 7)` it keeps what stands in both, as if `a` and `b` were
//! values that differ. [`Spelled`] says such a list as the comparisons that it is. Lists of values stay as they are.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::{has_any, rewrite_expressions};

/// `IN` of a list that is not all values, as comparisons.
#[derive(Debug)]
pub(super) struct Spelled;

impl AnalyzerRule for Spelled {
    fn name(&self) -> &str {
        "lists_of_expressions"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        if !has_any(&plan, |expr| matches!(expr, Expr::InList(list) if has_expressions(list)))? {
            return Ok(plan);
        }
        rewrite_expressions(plan, |expr, _| match expr {
            Expr::InList(list) if has_expressions(&list) => {
                let InList { expr, list, negated } = list;
                let each = list.into_iter().map(|item| match negated {
                    true => (*expr).clone().not_eq(item),
                    false => (*expr).clone().eq(item),
                });
                let spelled = if negated { conjunction(each) } else { disjunction(each) };
                Ok(spelled.map_or_else(|| Transformed::no((*expr).clone()), Transformed::yes))
            }
            other => Ok(Transformed::no(other)),
        })
    }
}

fn has_expressions(list: &InList) -> bool {
    let is_value = |item: &Expr| item.column_refs().is_empty() && !item.contains_outer();
    !list.expr.is_volatile() && !list.list.iter().all(is_value)
}
