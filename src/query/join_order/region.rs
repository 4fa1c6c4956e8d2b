//! Which tables are joined, and by which keys, whatever the order?
//!
//! Inner joins that stand on one another are one region: its leaves are what is not such a join. What joins say of their inputs'
//! columns is said here of the region's, which are counted leaf by leaf.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinSide, JoinType, NullEquality, Result, internal_err};
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

/// Some leaves of a region, a bit for each.
pub(super) type Leaves = u64;

/// Inner joins that stand on one another.
#[derive(Debug, Default)]
pub(super) struct Region {
    pub(super) leaves: Vec<Arc<dyn ExecutionPlan>>,
    /// Of each column its leaf, and its place there.
    pub(super) columns: Vec<(usize, usize)>,
    /// Keys that are equal in all rows.
    pub(super) equal: Vec<Vec<Key>>,
    /// What else is asked of rows, of two leaves or more.
    pub(super) conditions: Vec<Condition>,
}

/// A column that is equal to others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Key {
    /// Which of the region's columns.
    pub(super) column: usize,
    pub(super) leaf: usize,
}

#[derive(Debug)]
pub(super) struct Condition {
    /// Its columns are the region's.
    pub(super) expr: Arc<dyn PhysicalExpr>,
    pub(super) leaves: Leaves,
}

/// An order of joins. The first of two is the side that is kept.
#[derive(Clone, Debug)]
pub(super) enum Order {
    Leaf(usize),
    Join(Box<(Order, Order)>),
}

/// The region that a plan is the root of, its order, and of each column of the plan the region's; nothing if it is no inner
/// join, or one of its joins asks for what cannot be asked in another place.
pub(super) fn region(plan: &Arc<dyn ExecutionPlan>) -> Option<(Region, Order, Vec<usize>)> {
    if !is_open(plan.downcast_ref::<HashJoinExec>()?) {
        return None;
    }
    let mut region = Region::default();
    let (order, columns) = region.add(plan)?;
    let is_small = region.leaves.len() <= Leaves::BITS as usize;
    is_small.then_some((region, order, columns))
}

/// Whether a join is part of a region.
fn is_open(join: &HashJoinExec) -> bool {
    let is_plain =
        join.null_equality() == NullEquality::NullEqualsNothing && !join.null_aware && join.fetch().is_none();
    is_plain && *join.join_type() == JoinType::Inner
}

/// What a projection is made of, and the places of the columns that it takes; nothing if it computes any.
fn chosen(plan: &Arc<dyn ExecutionPlan>) -> Option<(&Arc<dyn ExecutionPlan>, Vec<usize>)> {
    let projection = plan.downcast_ref::<ProjectionExec>()?;
    let places = projection.expr().iter().map(|given| given.expr.downcast_ref::<Column>().map(Column::index));
    Some((projection.input(), places.collect::<Option<_>>()?))
}

/// Whether a plan is a join of a region, or columns of one.
pub(super) fn has_joins(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.downcast_ref::<HashJoinExec>() {
        Some(join) => is_open(join),
        None => chosen(plan).is_some_and(|(input, _)| has_joins(input)),
    }
}

impl Region {
    /// Takes a plan in. Gives its order, and of each of its columns the region's.
    fn add(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Option<(Order, Vec<usize>)> {
        if let Some(join) = plan.downcast_ref::<HashJoinExec>().filter(|join| is_open(join)) {
            let (left_order, left) = self.add(join.left())?;
            let (right_order, right) = self.add(join.right())?;
            for (one, other) in join.on() {
                let (one, other) = (self.key(one, &left)?, self.key(other, &right)?);
                self.equate(one, other);
            }
            if let Some(filter) = join.filter() {
                let places = filter.column_indices().iter().map(|at| match at.side {
                    JoinSide::Left => left.get(at.index).copied(),
                    JoinSide::Right => right.get(at.index).copied(),
                    JoinSide::None => None,
                });
                let places = places.collect::<Option<Vec<_>>>()?;
                for part in split_conjunction(filter.expression()) {
                    let condition = self.condition(part, &places)?;
                    self.conditions.push(condition);
                }
            }
            let both: Vec<usize> = left.into_iter().chain(right).collect();
            let columns = match &join.projection {
                Some(places) => places.iter().map(|at| both[*at]).collect(),
                None => both,
            };
            return Some((Order::Join(Box::new((left_order, right_order))), columns));
        }
        if let Some((input, places)) = chosen(plan).filter(|(input, _)| has_joins(input)) {
            let (order, columns) = self.add(input)?;
            return Some((order, places.into_iter().map(|at| columns[at]).collect()));
        }
        let leaf = self.leaves.len();
        self.leaves.push(Arc::clone(plan));
        let from = self.columns.len();
        self.columns.extend((0..plan.schema().fields().len()).map(|at| (leaf, at)));
        Some((Order::Leaf(leaf), (from..self.columns.len()).collect()))
    }

    /// Whether columns of it have a name in common.
    pub(super) fn has_namesakes(&self) -> bool {
        let schemas: Vec<_> = self.leaves.iter().map(|leaf| leaf.schema()).collect();
        let mut known = HashSet::new();
        !schemas.iter().flat_map(|schema| schema.fields()).all(|field| known.insert(field.name()))
    }

    /// Gives columns that have a name in common names of their own.
    pub(super) fn tell_apart(&mut self) -> Result<()> {
        let names =
            |leaf: &Arc<dyn ExecutionPlan>| leaf.schema().fields().iter().map(|f| f.name().clone()).collect();
        let all: Vec<Vec<String>> = self.leaves.iter().map(names).collect();
        let mut count: HashMap<&str, usize> = HashMap::new();
        all.iter().flatten().for_each(|name| *count.entry(name).or_default() += 1);
        for (at, (leaf, names)) in self.leaves.iter_mut().zip(&all).enumerate() {
            if names.iter().all(|name| count[name.as_str()] == 1) {
                continue;
            }
            let named = names.iter().enumerate().map(|(place, name)| {
                let alias = match count[name.as_str()] {
                    1 => name.clone(),
                    _ => format!("{name}#{at}.{place}"),
                };
                ProjectionExpr { expr: Arc::new(Column::new(name, place)), alias }
            });
            *leaf = Arc::new(ProjectionExec::try_new(named, Arc::clone(leaf))?);
        }
        Ok(())
    }

    /// What is computed of columns has been put beside them before, by the planner.
    fn key(&self, expr: &Arc<dyn PhysicalExpr>, columns: &[usize]) -> Option<Key> {
        let column = *columns.get(expr.downcast_ref::<Column>()?.index())?;
        Some(Key { column, leaf: self.columns[column].0 })
    }

    /// Remembers that two keys are equal, and so all that are equal to one of them.
    fn equate(&mut self, one: Key, other: Key) {
        let place = |all: &[Vec<Key>], key: &Key| all.iter().position(|keys| keys.contains(key));
        match (place(&self.equal, &one), place(&self.equal, &other)) {
            (None, None) => self.equal.push(vec![one, other]),
            (Some(at), None) => self.equal[at].push(other),
            (None, Some(at)) => self.equal[at].push(one),
            (Some(at), Some(from)) if at != from => {
                let more = std::mem::take(&mut self.equal[from]);
                self.equal[at].extend(more);
                self.equal.remove(from);
            }
            _ => {}
        }
    }

    fn condition(&self, expr: &Arc<dyn PhysicalExpr>, columns: &[usize]) -> Option<Condition> {
        if !is_harmless(expr) {
            return None;
        }
        let expr = placed(expr, columns, None)?;
        let leaves = collect_columns(&expr).iter().fold(0, |all, of| all | 1 << self.columns[of.index()].0);
        (Leaves::count_ones(leaves) > 1).then_some(Condition { expr, leaves })
    }
}

/// An expression over other columns, which are called as in a schema if there is one.
pub(super) fn placed(
    expr: &Arc<dyn PhysicalExpr>,
    columns: &[usize],
    schema: Option<&Schema>,
) -> Option<Arc<dyn PhysicalExpr>> {
    let placed = Arc::clone(expr).transform(|part| {
        let Some(column) = part.downcast_ref::<Column>() else { return Ok(Transformed::no(part)) };
        let Some(at) = columns.get(column.index()) else {
            return internal_err!("a column that is not there");
        };
        let name = schema.and_then(|schema| schema.fields().get(*at)).map_or("", |field| field.name());
        Ok(Transformed::yes(Arc::new(Column::new(name, *at)) as _))
    });
    placed.data().ok()
}

/// Whether it is no matter for which rows, and how often, an expression is worked out: nothing in it fails or is chance.
fn is_harmless(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let mut harmless = true;
    let walked = expr.apply(|part| {
        let compares = part.downcast_ref::<BinaryExpr>().map(|binary| {
            let of = binary.op();
            of.supports_propagation() || of.is_logic_operator()
        });
        harmless &= compares.unwrap_or_else(|| {
            part.downcast_ref::<Column>().is_some()
                || part.downcast_ref::<Literal>().is_some()
                || part.downcast_ref::<NotExpr>().is_some()
                || part.downcast_ref::<IsNullExpr>().is_some()
                || part.downcast_ref::<IsNotNullExpr>().is_some()
                || part.downcast_ref::<InListExpr>().is_some()
                || part.downcast_ref::<LikeExpr>().is_some()
        });
        Ok(if harmless { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    walked.is_ok() && harmless
}
