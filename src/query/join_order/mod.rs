//! Which tables are joined first, and which side of a join is kept in memory?
//!
//! The engine joins tables in the order in which they are written, and keeps the side whose bytes it expects to be fewer. Here inner
//! joins that stand on one another are a [`region`]; what its tables give is [`estimate`]d from what their files say, and of
//! all orders the one is taken that costs least ([`search`]). Keys that are equal through others are equal: with `a.x = b.x and b.x = c.x`, `a`
//! may be joined with `c`.
//!
//! Columns of one name have other names within a region of more than two leaves: conditions that the engine brings from the one side of
//! a join to the other find a column by its name, and of two with one name do not come down. So such a region is put together anew
//! also where its order stays.
//!
//! How the rows of a join are found, once its sides are decided, is in `room` and `sieve`.
//!
//! What is written stays if the best order is not much cheaper, if nothing is known of a table, or if a condition might fail on rows
//! that another join would have taken away.

mod estimate;
mod region;
mod room;
mod search;
mod sieve;

pub(super) use room::roomy;
pub(super) use sieve::sieved;

use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{JoinSide, JoinType, Result, internal_err};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::joins::{HashJoinExecBuilder, PartitionMode};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};

use region::{Key, Leaves, Order, Region, placed};
use search::Costs;

/// An order has to cost less than this share of the one that is written.
const CHEAPER: f64 = 0.98;

/// Joins tables in the order that costs least.
#[derive(Debug)]
pub(super) struct JoinOrder;

impl PhysicalOptimizerRule for JoinOrder {
    fn name(&self) -> &str {
        "join_order"
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        ordered(plan, config)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A plan whose regions are joined in their best order.
fn ordered(plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
    let Some((mut region, written, columns)) = region::region(&plan) else {
        return with_children(plan, |child| ordered(child, config));
    };
    let costs = costs(&region, config);
    let cheaper = costs.as_ref().and_then(|costs| cheaper(costs, &written));
    let is_named_anew = region.leaves.len() > 2 && region.has_namesakes();
    for leaf in &mut region.leaves {
        *leaf = ordered(Arc::clone(leaf), config)?;
    }
    let leaves = region.leaves.clone();
    if let Some(order) = cheaper.or(is_named_anew.then_some(written)) {
        if is_named_anew {
            region.tell_apart()?;
        }
        let building = Building { region: &region, costs: costs.as_ref(), config };
        let built = building.plan(&order, &columns, &plan.schema())?;
        // What a schema says beside its fields may depend on who is first.
        if built.schema() == plan.schema() {
            return Ok(built);
        }
    }
    on_leaves(plan, &mut leaves.into_iter())
}

/// The joins of a region as they are written, upon these leaves.
fn on_leaves(
    plan: Arc<dyn ExecutionPlan>,
    leaves: &mut impl Iterator<Item = Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    match region::has_joins(&plan) {
        true => with_children(plan, |child| on_leaves(child, leaves)),
        false => Ok(leaves.next().unwrap_or(plan)),
    }
}

/// A plan upon what becomes of its inputs.
fn with_children(
    plan: Arc<dyn ExecutionPlan>,
    mut becomes: impl FnMut(Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let children: Vec<_> = plan.children().into_iter().map(Arc::clone).collect();
    let others: Vec<_> = children.iter().cloned().map(&mut becomes).collect::<Result<_>>()?;
    match children.iter().zip(&others).all(|(child, other)| Arc::ptr_eq(child, other)) {
        true => Ok(plan),
        false => {
            plan.replace_children(others, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
        }
    }
}

/// What is known of a region; nothing if nothing is known of one of its leaves.
fn costs(region: &Region, config: &ConfigOptions) -> Option<Costs> {
    let leaves = region.leaves.iter().map(estimate::expected).collect::<Option<Vec<_>>>()?;
    let optimizer = &config.optimizer;
    let rows = optimizer.hash_join_single_partition_threshold_rows as f64;
    Some(Costs::new(region, leaves, (rows, optimizer.hash_join_single_partition_threshold as f64)))
}

/// The best order, if it is cheaper than the one that is written.
fn cheaper(costs: &Costs, written: &Order) -> Option<Order> {
    costs.best().filter(|best| costs.of(best) < CHEAPER * costs.of(written))
}

/// Puts the joins of a region together.
struct Building<'a> {
    region: &'a Region,
    costs: Option<&'a Costs>,
    config: &'a ConfigOptions,
}

/// A part of it: its leaves, its plan, and of each column of the plan the region's.
struct Part {
    leaves: Leaves,
    plan: Arc<dyn ExecutionPlan>,
    columns: Vec<usize>,
}

impl Building<'_> {
    /// A region joined in an order, which gives these of its columns under the names of a schema.
    fn plan(&self, order: &Order, columns: &[usize], schema: &Schema) -> Result<Arc<dyn ExecutionPlan>> {
        let part = self.part(order, columns)?;
        let given = columns.iter().zip(schema.fields()).map(|(column, field)| {
            let expr = part.column(*column)?;
            Ok(ProjectionExpr { expr, alias: field.name().clone() })
        });
        let given: Vec<_> = given.collect::<Result<_>>()?;
        Ok(Arc::new(ProjectionExec::try_new(given, part.plan)?))
    }

    fn part(&self, order: &Order, wanted: &[usize]) -> Result<Part> {
        let sides = match order {
            Order::Leaf(leaf) => {
                let columns = &self.region.columns;
                let columns = (0..columns.len()).filter(|at| columns[*at].0 == *leaf).collect();
                let plan = Arc::clone(&self.region.leaves[*leaf]);
                return Ok(Part { leaves: 1 << leaf, plan, columns });
            }
            Order::Join(sides) => sides,
        };
        let (kept, passed) = (self.part(&sides.0, wanted)?, self.part(&sides.1, wanted)?);
        let leaves = kept.leaves | passed.leaves;
        let mut on = Vec::new();
        for keys in &self.region.equal {
            let in_part = |part: &Part| not_yet_equal(keys, part.leaves, &part.columns);
            let (ours, theirs) = (in_part(&kept), in_part(&passed));
            let (Some(our), Some(their)) = (ours.first(), theirs.first()) else { continue };
            for other in &theirs {
                on.push((kept.column(*our)?, passed.column(*other)?));
            }
            for other in ours.iter().skip(1) {
                on.push((kept.column(*other)?, passed.column(*their)?));
            }
        }
        let filter = self.filter(&kept, &passed)?;
        let both: Vec<usize> = kept.columns.iter().chain(&passed.columns).copied().collect();
        let needed = self.needed(leaves, wanted, &both);
        let columns: Vec<usize> = needed.iter().map(|at| both[*at]).collect();
        let projection = (columns != both).then_some(needed);
        let is_small = self.costs.is_some_and(|costs| {
            let rows = costs.rows(kept.leaves);
            rows <= costs.most.0 && rows * costs.width(kept.leaves) <= costs.most.1
        });
        let alone = self.config.execution.target_partitions == 1;
        let mode = if is_small || alone { PartitionMode::CollectLeft } else { PartitionMode::Partitioned };
        let join = HashJoinExecBuilder::new(kept.plan, passed.plan, on, JoinType::Inner)
            .with_filter(filter)
            .with_projection(projection)
            .with_partition_mode(mode);
        Ok(Part { leaves, plan: join.build_exec()?, columns })
    }

    /// The places of columns that are wanted of a part, or that joins above it ask for; at least one.
    fn needed(&self, leaves: Leaves, wanted: &[usize], both: &[usize]) -> Vec<usize> {
        let mut needed = wanted.to_vec();
        for keys in &self.region.equal {
            if keys.iter().any(|key| leaves & 1 << key.leaf == 0) {
                needed.extend(not_yet_equal(keys, leaves, both));
            }
        }
        for condition in &self.region.conditions {
            if condition.leaves & leaves != condition.leaves {
                needed.extend(collect_columns(&condition.expr).iter().map(Column::index));
            }
        }
        let places = (0..both.len()).filter(|at| needed.contains(&both[*at]));
        let places: Vec<usize> = places.collect();
        if places.is_empty() { vec![0] } else { places }
    }

    /// What is asked of rows as soon as both parts are joined.
    fn filter(&self, kept: &Part, passed: &Part) -> Result<Option<JoinFilter>> {
        let leaves = kept.leaves | passed.leaves;
        let within = |set: Leaves, of: Leaves| set & of == set;
        let here = self.region.conditions.iter().filter(|condition| {
            let of = condition.leaves;
            within(of, leaves) && !within(of, kept.leaves) && !within(of, passed.leaves)
        });
        let conditions: Vec<Arc<dyn PhysicalExpr>> = here.map(|one| Arc::clone(&one.expr)).collect();
        if conditions.is_empty() {
            return Ok(None);
        }
        let condition = datafusion::physical_expr::conjunction(conditions);
        let mut asked: Vec<usize> = collect_columns(&condition).iter().map(Column::index).collect();
        asked.sort_unstable();
        let mut places = vec![usize::MAX; self.region.columns.len()];
        let (mut indices, mut fields) = (Vec::new(), Vec::new());
        for (at, column) in asked.into_iter().enumerate() {
            let (part, side) = match kept.columns.contains(&column) {
                true => (kept, JoinSide::Left),
                false => (passed, JoinSide::Right),
            };
            let index = part.place(column)?;
            fields.push(Arc::clone(&part.plan.schema().fields()[index]));
            indices.push(ColumnIndex { index, side });
            places[column] = at;
        }
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let Some(condition) = placed(&condition, &places, Some(&schema)) else {
            return internal_err!("a condition of a join is of no columns");
        };
        Ok(Some(JoinFilter::new(condition, indices, schema)))
    }
}

/// Of keys that are equal in the end those that some leaves have, among these columns: one if they are of several leaves, which
/// have been joined by them, and all if they are of one, in whose rows they need not be equal.
fn not_yet_equal(keys: &[Key], leaves: Leaves, columns: &[usize]) -> Vec<usize> {
    let here = || keys.iter().filter(|key| leaves & 1 << key.leaf != 0);
    let is_one_leaf = here().all(|key| Some(key.leaf) == here().next().map(|first| first.leaf));
    let count = if is_one_leaf { usize::MAX } else { 1 };
    here().map(|key| key.column).filter(|column| columns.contains(column)).take(count).collect()
}

impl Part {
    fn place(&self, column: usize) -> Result<usize> {
        match self.columns.iter().position(|own| *own == column) {
            Some(at) => Ok(at),
            None => internal_err!("a column that a join needs is gone"),
        }
    }

    fn column(&self, column: usize) -> Result<Arc<dyn PhysicalExpr>> {
        let at = self.place(column)?;
        Ok(Arc::new(Column::new(self.plan.schema().field(at).name(), at)))
    }
}
