//! Is a condition that is brought down a plan still of its column?
//!
//! A join tells the other side which keys it has, and the engine brings that down to where rows are read. From step to step it looks for
//! the column by its name, and takes the first: of `t join u` with an `id` each, what is asked of `u.id` is asked of `t.id`, below an outer
//! join, below GROUP BY, in the other side of EXISTS; rows are gone that belong to the answer.
//!
//! So the plan is looked through before. Where a step would bring conditions on a column to another one, a [`Fence`] stands above it,
//! which lets others through and not those. When all is brought down the fences are gone.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinSide, JoinType, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase,
    FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::joins::utils::build_join_schema;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// A rule of the engine's that brings conditions down; those that would be of another column stay where they are.
#[derive(Debug)]
pub(super) struct Fenced(pub(super) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for Fenced {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let fenced = plan.transform_up(|node| {
            let astray = astray(&node);
            Ok(match astray.is_empty() {
                true => Transformed::no(node),
                false => Transformed::yes(Arc::new(Fence { inner: node, astray }) as _),
            })
        })?;
        let down = self.0.optimize(fenced.data, config)?;
        if !fenced.transformed {
            return Ok(down);
        }
        down.transform_up(|node| {
            Ok(match node.downcast_ref::<Fence>() {
                Some(fence) => Transformed::yes(Arc::clone(&fence.inner)),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// Of each name of a schema the first place.
fn firsts(schema: &Schema) -> HashMap<&str, usize> {
    let fields = schema.fields().iter().enumerate().rev();
    fields.map(|(at, field)| (field.name().as_str(), at)).collect()
}

/// The columns of a step conditions on which the engine would bring to other columns of its inputs.
fn astray(node: &Arc<dyn ExecutionPlan>) -> Vec<usize> {
    let children = node.children();
    if children.is_empty() {
        return Vec::new();
    }
    let schema = node.schema();
    let places = 0..schema.fields().len();
    let name = |at: usize| schema.field(at).name().as_str();
    if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        // Of two columns of one name conditions on the first are taken for those on the last.
        let mut count: HashMap<&str, usize> = HashMap::new();
        projection.expr().iter().for_each(|given| *count.entry(&given.alias).or_default() += 1);
        return places.filter(|at| count.get(name(*at)) != Some(&1)).collect();
    }
    let schemas: Vec<_> = children.iter().map(|child| child.schema()).collect();
    let firsts: Vec<_> = schemas.iter().map(|schema| firsts(schema)).collect();
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        let from = Sources::of(join);
        return places.filter(|at| !from.stays(*at, name(*at), &firsts)).collect();
    }
    let first = |at: usize| firsts.iter().map(move |firsts| firsts.get(name(at)).copied());
    if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
        let keys = aggregate.group_expr().expr().iter().enumerate();
        let astray = keys.filter(|(at, (key, _))| {
            first(*at).flatten().any(|first| key.downcast_ref::<Column>().map(Column::index) != Some(first))
        });
        return astray.map(|(at, _)| at).collect();
    }
    let chosen = node.downcast_ref::<FilterExec>().and_then(|filter| filter.projection().as_ref());
    let from = |at: usize| chosen.map_or(at, |chosen| chosen[at]);
    places.filter(|at| first(*at).flatten().any(|first| first != from(*at))).collect()
}

/// Where the columns of a join come from.
struct Sources {
    /// Of each column its side, and its place there.
    columns: Vec<(JoinSide, usize)>,
    /// For EXISTS: of each key of the side that is kept, by its place, those of the other that equal it. Conditions on the former
    /// are brought to the other side as well.
    equal: Vec<(usize, Option<usize>)>,
}

impl Sources {
    fn of(join: &HashJoinExec) -> Self {
        let of_both = build_join_schema(&join.left().schema(), &join.right().schema(), join.join_type()).1;
        let columns: Vec<_> = of_both.iter().map(|from| (from.side, from.index)).collect();
        let columns = match &join.projection {
            Some(places) => places.iter().map(|at| columns[*at]).collect(),
            None => columns,
        };
        let place = |key: &Arc<dyn PhysicalExpr>| key.downcast_ref::<Column>().map(Column::index);
        let keys = join.on().iter().map(|(left, right)| (place(left), place(right)));
        let equal = match join.join_type() {
            JoinType::LeftSemi => keys.filter_map(|(left, right)| Some((left?, right))).collect(),
            JoinType::RightSemi => keys.filter_map(|(left, right)| Some((right?, left))).collect(),
            _ => Vec::new(),
        };
        Self { columns, equal }
    }

    /// Whether conditions on a column of the join reach this column, or none.
    fn stays(&self, at: usize, name: &str, firsts: &[HashMap<&str, usize>]) -> bool {
        let (side, place) = self.columns[at];
        let (own, other) = match side {
            JoinSide::Left => (0, 1),
            JoinSide::Right => (1, 0),
            JoinSide::None => return true,
        };
        let is_own = firsts[own].get(name).is_none_or(|first| *first == place);
        let is_key = self.equal.iter().any(|(key, _)| *key == place);
        let taken = firsts[other].get(name).filter(|_| is_key);
        is_own && taken.is_none_or(|taken| self.equal.contains(&(place, Some(*taken))))
    }
}

/// Lets conditions through to a step that are not of some of its columns.
#[derive(Debug)]
struct Fence {
    inner: Arc<dyn ExecutionPlan>,
    astray: Vec<usize>,
}

impl Fence {
    fn lets_through(&self, condition: &Arc<dyn PhysicalExpr>) -> bool {
        collect_columns(condition).iter().all(|column| !self.astray.contains(&column.index()))
    }
}

impl DisplayAs for Fence {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.name(), self.astray)
    }
}

impl ExecutionPlan for Fence {
    fn name(&self) -> &'static str {
        "Fence"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.inner.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(match children.pop() {
            Some(inner) => Arc::new(Self { inner, astray: self.astray.clone() }),
            None => self,
        })
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    /// What is let through goes on as if it were asked for here: what comes from above would be looked for by its name.
    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        conditions: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let through = conditions.iter().filter(|one| self.lets_through(one)).cloned().collect();
        let child = ChildFilterDescription::all_unsupported(&conditions).with_self_filters(through);
        Ok(FilterDescription::new().with_child(child))
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let through: Vec<_> = result.self_filters.into_iter().flatten().collect();
        let told = result.parent_filters.iter().map(|one| {
            let same = through.iter().find(|other| Arc::ptr_eq(&other.predicate, &one.filter));
            same.map_or(PushedDown::No, |same| same.discriminant)
        });
        Ok(FilterPushdownPropagation::with_parent_pushdown_result(told.collect()))
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        internal_err!("a fence is gone before a plan is run")
    }
}
