//! What is an as-of join before it is known how to do it?

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::common::{DFSchemaRef, JoinType, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::logical_plan::builder::build_join_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, UserDefinedLogicalNodeCore};

/// Which row of the right is the nearest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nearest {
    /// Whether it is before the left row in time, or after.
    pub(super) is_before: bool,
    /// Whether it may be at the same time.
    pub(super) may_be_equal: bool,
}

/// An as-of join. Its conditions are kept as the comparisons that they are, so that the engine brings both sides of each
/// to one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AsOfJoin {
    pub(super) left: Arc<LogicalPlan>,
    pub(super) right: Arc<LogicalPlan>,
    /// `left = right`
    pub(super) keys: Vec<Expr>,
    /// `left >= right`, or with another comparison
    pub(super) time: Expr,
    pub(super) keeps_left: bool,
    pub(super) schema: DFSchemaRef,
}

/// The conditions, taken apart: each pair with the left side first.
pub(super) struct Sides {
    pub(super) keys: Vec<(Expr, Expr)>,
    pub(super) time: (Expr, Expr),
    pub(super) nearest: Nearest,
}

impl AsOfJoin {
    pub(super) fn new(
        left: Arc<LogicalPlan>,
        right: Arc<LogicalPlan>,
        keys: Vec<Expr>,
        time: Expr,
        keeps_left: bool,
    ) -> Result<Self> {
        let kind = if keeps_left { JoinType::Left } else { JoinType::Inner };
        let schema = Arc::new(build_join_schema(left.schema(), right.schema(), &kind)?);
        Ok(Self { left, right, keys, time, keeps_left, schema })
    }

    pub(super) fn sides(&self) -> Result<Sides> {
        let mut keys = Vec::new();
        for key in &self.keys {
            let Some((left, right, _)) = self.apart(key) else {
                return plan_err!("`{key}` compares no two sides");
            };
            keys.push((left, right));
        }
        let Some((left, right, op)) = self.apart(&self.time) else {
            return plan_err!("`{}` compares no two sides", self.time);
        };
        let (is_before, may_be_equal) = match op {
            Operator::GtEq => (true, true),
            Operator::Gt => (true, false),
            Operator::LtEq => (false, true),
            Operator::Lt => (false, false),
            _ => return plan_err!("`{}` says nothing of time", self.time),
        };
        Ok(Sides { keys, time: (left, right), nearest: Nearest { is_before, may_be_equal } })
    }

    /// A comparison with the left table's side first.
    fn apart(&self, expr: &Expr) -> Option<(Expr, Expr, Operator)> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr.clone().unalias() else { return None };
        let is_of = |expr: &Expr, plan: &LogicalPlan| {
            let columns = expr.column_refs();
            !columns.is_empty() && columns.iter().all(|column| plan.schema().has_column(column))
        };
        if is_of(&left, &self.left) && is_of(&right, &self.right) {
            return Some((*left, *right, op));
        }
        if is_of(&left, &self.right) && is_of(&right, &self.left) {
            return Some((*right, *left, op.swap()?));
        }
        None
    }
}

impl Hash for AsOfJoin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.left.hash(state);
        self.right.hash(state);
        self.keys.hash(state);
        self.time.hash(state);
        self.keeps_left.hash(state);
    }
}

impl PartialOrd for AsOfJoin {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.left.partial_cmp(&other.left)
    }
}

impl UserDefinedLogicalNodeCore for AsOfJoin {
    fn name(&self) -> &'static str {
        "AsOfJoin"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.left, &self.right]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.keys.iter().cloned().chain([self.time.clone()]).collect()
    }

    /// A condition on the right decides which rows match only after the nearest was found, so none goes below.
    fn prevent_predicate_push_down_columns(&self) -> std::collections::HashSet<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        let kind = if self.keeps_left { "Left" } else { "Inner" };
        write!(f, "AsOfJoin: {kind} keys=[{}] time={}", keys.join(", "), self.time)
    }

    fn with_exprs_and_inputs(&self, mut exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (Some(right), Some(left), Some(time)) = (inputs.pop(), inputs.pop(), exprs.pop()) else {
            return plan_err!("an as-of join has two sides and a time");
        };
        Self::new(Arc::new(left), Arc::new(right), exprs, time, self.keeps_left)
    }

    fn necessary_children_exprs(&self, wanted: &[usize]) -> Option<Vec<Vec<usize>>> {
        let lefts = self.left.schema().fields().len();
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for at in wanted {
            match *at < lefts {
                true => left.push(*at),
                false => right.push(at - lefts),
            }
        }
        for column in self.expressions().iter().flat_map(Expr::column_refs) {
            left.extend(self.left.schema().maybe_index_of_column(column));
            right.extend(self.right.schema().maybe_index_of_column(column));
        }
        for side in [&mut left, &mut right] {
            side.sort_unstable();
            side.dedup();
        }
        Some(vec![left, right])
    }

    fn supports_limit_pushdown(&self) -> bool {
        false
    }
}
