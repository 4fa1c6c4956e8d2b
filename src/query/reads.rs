//! What does an answer depend on?
//!
//! [`Reads`] keeps what was read through a scope while something was made: tables at their versions, views, and what
//! neither has a version nor stays as it is. Who keeps it beside what was made can tell later
//! whether making it again would give anything else.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};

use super::dialect::Reader;
use super::system;
use crate::base::{AsOf, TableName, TableVersion};
use crate::release::View;

/// What was read through a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Tables at the versions that were read; what is only staged, at the version that it is to have.
    pub tables: BTreeMap<TableName, TableVersion>,
    /// Tables as they were, at the versions that were read of them by version or time; they stay what they are.
    pub past: BTreeMap<(TableName, AsOf), TableVersion>,
    /// Views.
    pub views: BTreeMap<TableName, View>,
    /// What may be different at any time, in words: "the function `now`", "the file `a.csv`".
    pub beyond: BTreeSet<String>,
}

impl Reads {
    /// The tables that were read as they were, and not as they are too, each at the newest of the versions.
    pub(super) fn only_past(&self) -> BTreeMap<TableName, TableVersion> {
        let past = self.past.iter().filter(|((name, _), _)| !self.tables.contains_key(name));
        let mut newest = BTreeMap::new();
        for ((name, _), version) in past {
            let known = newest.entry(name.clone()).or_insert(*version);
            *known = (*known).max(*version);
        }
        newest
    }

    /// Adds what something else read.
    pub(super) fn add(&mut self, other: &Self) {
        self.tables.extend(other.tables.iter().map(|(name, version)| (name.clone(), *version)));
        self.past.extend(other.past.iter().map(|(read, version)| (read.clone(), *version)));
        self.views.extend(other.views.iter().map(|(name, view)| (name.clone(), view.clone())));
        self.beyond.extend(other.beyond.iter().cloned());
    }

    /// Adds what a plan reads beyond tables and views. A part that it holds more than once is looked at once.
    pub(super) fn note(&mut self, plan: &LogicalPlan) {
        let mut seen: HashSet<*const LogicalPlan> = HashSet::new();
        let walked = plan.apply_with_subqueries(|plan| {
            if !seen.insert(std::ptr::from_ref(plan)) {
                return Ok(TreeNodeRecursion::Jump);
            }
            if let LogicalPlan::TableScan(scan) = plan {
                let schema = scan.table_name.schema().unwrap_or_default();
                let table = scan.table_name.table();
                if Reader::read(schema).is_some() {
                    self.beyond.insert(format!("the file `{table}`"));
                } else if [system::SCHEMA, "information_schema"].contains(&schema) {
                    self.beyond.insert(format!("`{schema}.{table}`"));
                }
            }
            plan.apply_expressions(|expr| {
                expr.apply(|expr| {
                    if let Expr::ScalarFunction(call) = expr
                        && call.func.signature().volatility != Volatility::Immutable
                    {
                        self.beyond.insert(format!("the function `{}`", call.func.name()));
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        });
        walked.expect("looking at a plan does not fail");
    }
}
