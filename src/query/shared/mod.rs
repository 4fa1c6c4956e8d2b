//! What is asked for twice in one query, and worked out once?
//!
//! A CTE that is read in several places is planned in each of them, and so is a view. The engine works all of them out. Here
//! groups that are the same in every word and read the same tables are found once the plan is optimized ([`find`]); the
//! first that wants their rows works them out, the others are given the same ([`SharedExec`]). Only groups: what comes out of
//! them is small beside what goes in. Others call it a common subplan, or a materialized CTE.

mod exec;
mod node;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::datasource::DefaultTableSource;
use datafusion::error::Result;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Aggregate, Expr, Extension, LogicalPlan, TableSource, UserDefinedLogicalNode,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

pub(super) use exec::{Once, is_again};
use exec::{SharedExec, SharedRows};
use node::Shared;

/// Marks the groups that a plan has several times and that may be worked out once.
pub(super) fn find(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let groups = repeated(plan)?;
    if groups.is_empty() {
        return Ok(None);
    }
    let marked = plan.clone().transform_down_with_subqueries(|node| {
        let LogicalPlan::Aggregate(aggregate) = &node else { return Ok(Transformed::no(node)) };
        let Some(at) = groups.iter().position(|group| group.is(aggregate)) else {
            return Ok(Transformed::no(node));
        };
        let shared = Shared { at, uses: groups[at].uses, input: Arc::new(node) };
        let node = LogicalPlan::Extension(Extension { node: Arc::new(shared) });
        Ok(Transformed::new(node, true, TreeNodeRecursion::Jump))
    })?;
    Ok(Some(marked.data))
}

/// Groups, and how often a plan has them.
struct Group {
    aggregate: Aggregate,
    sources: Vec<Arc<dyn TableSource>>,
    uses: usize,
}

impl Group {
    fn is(&self, other: &Aggregate) -> bool {
        self.aggregate == *other
            && tables_of(other).is_ok_and(|sources| {
                sources.len() == self.sources.len()
                    && sources.iter().zip(&self.sources).all(|(a, b)| is_same_source(a, b))
            })
    }
}

/// The groups that a plan has more than once.
fn repeated(plan: &LogicalPlan) -> Result<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    // Comparing whole plans costs something; most differ in what they group by and compute.
    let mut alike: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut recurses = false;
    plan.apply_with_subqueries(|node| {
        recurses |= matches!(node, LogicalPlan::RecursiveQuery(_));
        let LogicalPlan::Aggregate(aggregate) = node else { return Ok(TreeNodeRecursion::Continue) };
        let mut hasher = DefaultHasher::new();
        (&aggregate.group_expr, &aggregate.aggr_expr).hash(&mut hasher);
        let alike = alike.entry(hasher.finish()).or_default();
        match alike.iter().find(|at| groups[**at].is(aggregate)) {
            Some(at) => groups[*at].uses += 1,
            None => {
                alike.push(groups.len());
                let (aggregate, sources) = (aggregate.clone(), tables_of(aggregate)?);
                groups.push(Group { aggregate, sources, uses: 1 });
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if recurses {
        return Ok(Vec::new()); // its steps are run again and again
    }
    groups.retain(|group| group.uses > 1 && !group.sources.is_empty() && gives_the_same(&group.aggregate));
    Ok(groups)
}

/// The tables that groups read, in the order in which they stand in the plan.
fn tables_of(aggregate: &Aggregate) -> Result<Vec<Arc<dyn TableSource>>> {
    let mut sources = Vec::new();
    aggregate.input.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            sources.push(Arc::clone(&scan.source));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(sources)
}

/// Whether two tables are one. Their names are not enough: they may be read at different versions.
fn is_same_source(a: &Arc<dyn TableSource>, b: &Arc<dyn TableSource>) -> bool {
    let provider = |source: &Arc<dyn TableSource>| {
        source.downcast_ref::<DefaultTableSource>().map(|source| Arc::clone(&source.table_provider))
    };
    Arc::ptr_eq(a, b) || provider(a).zip(provider(b)).is_some_and(|(a, b)| Arc::ptr_eq(&a, &b))
}

/// Whether groups come out the same whenever they are worked out, and wherever they stand.
fn gives_the_same(aggregate: &Aggregate) -> bool {
    let mut same = true;
    let visited = LogicalPlan::Aggregate(aggregate.clone()).apply_with_subqueries(|node| {
        same &= !node.expressions().iter().any(|expr| expr.is_volatile() || Expr::contains_outer(expr));
        Ok(if same { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    visited.is_ok() && same
}

/// Knows how to share rows in one plan.
#[derive(Default)]
pub(super) struct SharedPlanner {
    rows: Mutex<HashMap<usize, Arc<SharedRows>>>,
}

#[async_trait]
impl ExtensionPlanner for SharedPlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(shared), [input]) = (node.as_any().downcast_ref::<Shared>(), inputs) else {
            return Ok(None);
        };
        let mut rows = self.rows.lock().expect("no holder panics");
        let rows = rows.entry(shared.at).or_insert_with(|| Arc::new(SharedRows::new(shared.at, shared.uses)));
        Ok(Some(Arc::new(SharedExec::new(Arc::clone(input), Arc::clone(rows)))))
    }
}
