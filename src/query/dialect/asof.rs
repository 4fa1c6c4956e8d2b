//! Where does an as-of join stand, so that the planner finds it?
//!
//! Joins are planned pair by pair, from left to right, and there is a way in for tables, but none for joins. So an as-of
//! join and what is to the left of it are put into brackets: `a JOIN b … ASOF JOIN c …` is `(a JOIN b … ASOF JOIN c …)`,
//! one table, which `query::asof` plans. A name of a table is still known outside of such brackets.

use sqlparser::ast::{Expr, Join, JoinConstraint, JoinOperator, TableFactor, TableWithJoins};

/// Puts each as-of join of a FROM into brackets.
pub(super) fn nest(from: &mut [TableWithJoins]) {
    from.iter_mut().for_each(|table| fold(table, false));
}

/// The same for what stands in brackets already, where the last join may be one.
pub(super) fn nest_inside(table: &mut TableWithJoins) {
    fold(table, true);
}

fn fold(table: &mut TableWithJoins, in_brackets: bool) {
    loop {
        let Some(at) = table.joins.iter().position(is_asof) else { return };
        if in_brackets && at + 1 == table.joins.len() {
            return;
        }
        let rest = table.joins.split_off(at + 1);
        let joins = std::mem::replace(&mut table.joins, rest);
        let dummy = TableFactor::Derived {
            lateral: false,
            subquery: Box::new(super::empty_query()),
            alias: None,
            sample: None,
        };
        let relation = std::mem::replace(&mut table.relation, dummy);
        let inner = TableWithJoins { relation, joins };
        table.relation = TableFactor::NestedJoin { table_with_joins: Box::new(inner), alias: None };
    }
}

fn is_asof(join: &Join) -> bool {
    join.global || matches!(join.join_operator, JoinOperator::AsOf { .. })
}

/// An as-of join, taken apart.
#[derive(Clone, Debug)]
pub(in crate::query) struct AsOf {
    /// Everything to the left.
    pub(in crate::query) left: TableFactor,
    /// The table that the nearest row is looked for in.
    pub(in crate::query) right: TableFactor,
    /// Whether rows of the left that find none stay.
    pub(in crate::query) keeps_left: bool,
    /// Conditions, joined by AND.
    pub(in crate::query) on: Option<Expr>,
    /// Columns that both have; the last is the time, unless `on` has it.
    pub(in crate::query) using: Vec<sqlparser::ast::ObjectName>,
    /// What was written and is none of these.
    pub(in crate::query) is_natural: bool,
}

/// The as-of join that a factor is; nothing for any other.
pub(in crate::query) fn asof_of(factor: &TableFactor) -> Option<AsOf> {
    let TableFactor::NestedJoin { table_with_joins, alias: None } = factor else { return None };
    let (last, before) = table_with_joins.joins.split_last()?;
    if !is_asof(last) {
        return None;
    }
    let left = match before {
        [] => table_with_joins.relation.clone(),
        before => TableFactor::NestedJoin {
            table_with_joins: Box::new(TableWithJoins {
                relation: table_with_joins.relation.clone(),
                joins: before.to_vec(),
            }),
            alias: None,
        },
    };
    let (keeps_left, constraint, matched) = match &last.join_operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (false, constraint, None),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (true, constraint, None),
        JoinOperator::AsOf { match_condition, constraint } => {
            (true, constraint, Some(match_condition.clone()))
        }
        _ => return None,
    };
    let (mut on, using, is_natural) = match constraint {
        JoinConstraint::On(on) => (Some(on.clone()), Vec::new(), false),
        JoinConstraint::Using(columns) => (None, columns.clone(), false),
        JoinConstraint::None => (None, Vec::new(), false),
        JoinConstraint::Natural => (None, Vec::new(), true),
    };
    on = match (on, matched) {
        (Some(on), Some(matched)) => Some(Expr::BinaryOp {
            left: Box::new(Expr::Nested(Box::new(on))),
            op: sqlparser::ast::BinaryOperator::And,
            right: Box::new(Expr::Nested(Box::new(matched))),
        }),
        (on, matched) => on.or(matched),
    };
    Some(AsOf { left, right: last.relation.clone(), keeps_left, on, using, is_natural })
}
