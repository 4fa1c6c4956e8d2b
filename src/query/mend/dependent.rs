//! How does a subquery answer for all rows of its query at once?
//!
//! A correlated subquery is a function of some columns of the query around it. [`depend`] makes of it a plan that has
//! its rows for every value of these columns, and the values beside them: the [`Domain`] is taken down through the plan
//! to where they are used, as in T. Neumann and A. Kemper, *Unnesting Arbitrary Queries* (BTW 2015).

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, NullEquality, Result, ScalarValue};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::{
    Aggregate, Distinct, FetchType, Join, Limit, Projection, SkipType, Sort, Window,
};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, ExprSchemable, JoinType, LogicalPlan, LogicalPlanBuilder, lit,
};
use datafusion::prelude::coalesce;

/// The values for which a subquery is asked.
pub(super) struct Domain<'a> {
    /// The rows of the query around it.
    rows: &'a LogicalPlan,
    /// The columns of these that it speaks of.
    pub(super) columns: Vec<Column>,
    /// Counts what is given a name, for the whole statement.
    names: &'a Cell<usize>,
}

/// A plan for all values at once.
pub(super) struct Dependent {
    pub(super) plan: LogicalPlan,
    /// The columns of the plan that have the domain's values, in its order.
    pub(super) keys: Vec<Column>,
}

/// Returns the rows of `plan` for each value of the domain; nothing if it has a part for which that is not known.
///
/// # Errors
/// What the engine says of a plan that is put together wrongly.
pub(super) fn depend(plan: &LogicalPlan, domain: &Domain<'_>) -> Result<Option<Dependent>> {
    if !refers(plan) {
        let values = domain.values()?;
        let crossed = LogicalPlanBuilder::from(plan.clone()).cross_join(values.plan)?.build()?;
        return Ok(Some(Dependent { plan: crossed, keys: values.keys }));
    }
    match plan {
        LogicalPlan::Projection(Projection { expr, input, .. }) => {
            let Some(inner) = depend(input, domain)? else { return Ok(None) };
            let shown = domain.spelled(plan, expr, &inner.keys)?;
            inner.map(|rows, keys| {
                rows.project(shown.into_iter().chain(keys.iter().cloned().map(Expr::Column)))
            })
        }
        LogicalPlan::Filter(filter) => {
            let Some(inner) = depend(&filter.input, domain)? else { return Ok(None) };
            let condition = domain.with_keys(filter.predicate.clone(), &inner.keys)?;
            inner.map(|rows, _| rows.filter(condition))
        }
        LogicalPlan::SubqueryAlias(named) => {
            let Some(inner) = depend(&named.input, domain)? else { return Ok(None) };
            let within = |key: &Column| Column::new(Some(named.alias.clone()), &key.name);
            let keys = inner.keys.iter().map(within).collect();
            let plan = LogicalPlanBuilder::from(inner.plan).alias(named.alias.clone())?.build()?;
            Ok(Some(Dependent { plan, keys }))
        }
        LogicalPlan::Sort(Sort { expr, input, fetch: None }) => {
            let Some(inner) = depend(input, domain)? else { return Ok(None) };
            let order = expr.iter().map(|sort| {
                let by = domain.with_keys(sort.expr.clone(), &inner.keys)?;
                Ok(sort.with_expr(by))
            });
            let order = order.collect::<Result<Vec<_>>>()?;
            inner.map(|rows, _| rows.sort(order))
        }
        LogicalPlan::Limit(limit) => first_rows(limit, domain),
        LogicalPlan::Aggregate(aggregate) => aggregated(plan, aggregate, domain),
        LogicalPlan::Window(window) => windowed(plan, window, domain),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let Some(inner) = depend(input, domain)? else { return Ok(None) };
            inner.map(|rows, _| rows.distinct())
        }
        LogicalPlan::Join(join) => joined(join, domain),
        LogicalPlan::Union(union) => {
            let names: Vec<String> = domain.columns.iter().map(|_| domain.name("outer")).collect();
            let mut united: Option<LogicalPlanBuilder> = None;
            for input in &union.inputs {
                let Some(inner) = depend(input, domain)? else { return Ok(None) };
                let shown = input.schema().columns().into_iter().map(Expr::Column);
                let keys =
                    inner.keys.into_iter().zip(&names).map(|(key, name)| Expr::Column(key).alias(name));
                let part = LogicalPlanBuilder::from(inner.plan).project(shown.chain(keys))?;
                united = Some(match united {
                    Some(united) => united.union(part.build()?)?,
                    None => part,
                });
            }
            let Some(united) = united else { return Ok(None) };
            Ok(Some(Dependent {
                plan: united.build()?,
                keys: names.into_iter().map(Column::new_unqualified).collect(),
            }))
        }
        LogicalPlan::Unnest(unnest) => {
            let Some(inner) = depend(&unnest.input, domain)? else { return Ok(None) };
            let (columns, options) = (unnest.exec_columns.clone(), unnest.options.clone());
            inner.map(|rows, _| rows.unnest_columns_with_options(columns, options))
        }
        _ => Ok(None),
    }
}

/// Whether a plan speaks of columns of the query around it.
pub(super) fn refers(plan: &LogicalPlan) -> bool {
    plan.exists(|part| Ok(part.contains_outer_reference())).unwrap_or(true)
}

impl<'a> Domain<'a> {
    /// The columns of `rows` that `subquery` speaks of; nothing if it speaks of others.
    pub(super) fn of(subquery: &LogicalPlan, rows: &'a LogicalPlan, names: &'a Cell<usize>) -> Option<Self> {
        let mut columns: Vec<Column> = Vec::new();
        for expr in subquery.all_out_ref_exprs() {
            let Expr::OuterReferenceColumn(_, column) = expr else { return None };
            if !rows.schema().has_column(&column) {
                return None;
            }
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        Some(Self { rows, columns, names })
    }

    /// A name that nothing else has.
    pub(super) fn name(&self, of: &str) -> String {
        let number = self.names.replace(self.names.get() + 1);
        format!("__{of}_{number}")
    }

    /// Every value once, under names of its own.
    pub(super) fn values(&self) -> Result<Dependent> {
        let names: Vec<String> = self.columns.iter().map(|_| self.name("outer")).collect();
        let columns = self.columns.iter().zip(&names);
        let columns = columns.map(|(column, name)| Expr::Column(column.clone()).alias(name));
        let plan = LogicalPlanBuilder::from(self.rows.clone()).project(columns)?.distinct()?.build()?;
        Ok(Dependent { plan, keys: names.into_iter().map(Column::new_unqualified).collect() })
    }

    /// An expression of the subquery, where the keys are beside its rows.
    fn with_keys(&self, expr: Expr, keys: &[Column]) -> Result<Expr> {
        let spelled = expr.transform(|expr| match &expr {
            Expr::OuterReferenceColumn(_, column) => {
                match self.columns.iter().position(|known| known == column) {
                    Some(at) => Ok(Transformed::yes(Expr::Column(keys[at].clone()))),
                    None => Ok(Transformed::no(expr)),
                }
            }
            _ => Ok(Transformed::no(expr)),
        })?;
        Ok(spelled.data)
    }

    /// The expressions of a part of the plan, under the names that they had.
    fn spelled(&self, part: &LogicalPlan, exprs: &[Expr], keys: &[Column]) -> Result<Vec<Expr>> {
        let names = NamePreserver::new(part);
        let spell = |expr: &Expr| {
            let name = names.save(expr);
            Ok(name.restore(self.with_keys(expr.clone(), keys)?))
        };
        exprs.iter().map(spell).collect()
    }
}

impl Dependent {
    fn map(
        self,
        change: impl FnOnce(LogicalPlanBuilder, &[Column]) -> Result<LogicalPlanBuilder>,
    ) -> Result<Option<Self>> {
        let plan = change(LogicalPlanBuilder::from(self.plan), &self.keys)?.build()?;
        Ok(Some(Self { plan, keys: self.keys }))
    }

    /// Puts the rows of `left` beside those that belong to them, by `columns` of theirs.
    pub(super) fn beside(
        self,
        left: LogicalPlan,
        columns: &[Column],
        join_type: JoinType,
        condition: Option<Expr>,
    ) -> Result<LogicalPlan> {
        LogicalPlanBuilder::from(left)
            .join_detailed(
                self.plan,
                join_type,
                (columns.to_vec(), self.keys),
                condition,
                NullEquality::NullEqualsNull,
            )?
            .build()
    }
}

/// `limit n`: the first rows for each value.
fn first_rows(limit: &Limit, domain: &Domain<'_>) -> Result<Option<Dependent>> {
    let SkipType::Literal(skip) = limit.get_skip_type()? else { return Ok(None) };
    let fetch = match limit.get_fetch_type()? {
        FetchType::Literal(fetch) => fetch,
        FetchType::UnsupportedExpr => return Ok(None),
    };
    // Rows are counted where they are in order, and what is shown of them is chosen afterwards.
    if let LogicalPlan::Projection(projection) = limit.input.as_ref()
        && matches!(projection.input.as_ref(), LogicalPlan::Sort(_))
    {
        let below = Limit { input: Arc::clone(&projection.input), ..limit.clone() };
        let above = Projection::try_new(projection.expr.clone(), Arc::new(LogicalPlan::Limit(below)))?;
        return depend(&LogicalPlan::Projection(above), domain);
    }
    let (order, rows) = match limit.input.as_ref() {
        LogicalPlan::Sort(Sort { expr, input, fetch: None }) => (expr.as_slice(), input.as_ref()),
        other => (&[][..], other),
    };
    let Some(inner) = depend(rows, domain)? else { return Ok(None) };
    let order =
        order.iter().map(|sort| Ok(sort.with_expr(domain.with_keys(sort.expr.clone(), &inner.keys)?)));
    let number = domain.name("row");
    let keys: Vec<Expr> = inner.keys.iter().cloned().map(Expr::Column).collect();
    let numbered = row_number()
        .partition_by(keys.clone())
        .order_by(order.collect::<Result<_>>()?)
        .build()?
        .alias(&number);
    let place = || Expr::Column(Column::new_unqualified(&number));
    let whole = |number: usize| lit(u64::try_from(number).unwrap_or(u64::MAX));
    let wanted =
        [Some(place().gt(whole(skip))), fetch.map(|fetch| place().lt_eq(whole(skip.saturating_add(fetch))))];
    let shown = rows.schema().columns().into_iter().map(Expr::Column);
    inner.map(|rows, _| {
        let numbered = rows.window([numbered])?;
        let wanted = conjunction(wanted.into_iter().flatten()).unwrap_or_else(|| lit(true));
        numbered.filter(wanted)?.project(shown.chain(keys))
    })
}

/// An aggregate, grouped by the values too. Without groups of its own it has a row for every value, also where there is
/// nothing to count.
fn aggregated(plan: &LogicalPlan, aggregate: &Aggregate, domain: &Domain<'_>) -> Result<Option<Dependent>> {
    if aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
        return Ok(None);
    }
    let Some(inner) = depend(&aggregate.input, domain)? else { return Ok(None) };
    let groups = domain.spelled(plan, &aggregate.group_expr, &inner.keys)?;
    let counted = domain.spelled(plan, &aggregate.aggr_expr, &inner.keys)?;
    let keys: Vec<Expr> = inner.keys.iter().cloned().map(Expr::Column).collect();
    let grouped =
        LogicalPlanBuilder::from(inner.plan).aggregate(groups.into_iter().chain(keys), counted)?.build()?;
    let grouped = Dependent { plan: grouped, keys: inner.keys };
    if !aggregate.group_expr.is_empty() {
        return Ok(Some(grouped));
    }
    let values = domain.values()?;
    let mut shown = Vec::new();
    for (expr, column) in aggregate.aggr_expr.iter().zip(plan.schema().columns()) {
        let of_nothing = of_nothing(expr, aggregate.input.schema())?;
        let found = Expr::Column(column.clone());
        shown.push(match of_nothing.is_null() {
            true => found,
            false => {
                coalesce(vec![found, lit(of_nothing)]).alias_qualified(column.relation.clone(), &column.name)
            }
        });
    }
    let plan = grouped.beside(values.plan, &values.keys, JoinType::Left, None)?;
    shown.extend(values.keys.iter().cloned().map(Expr::Column));
    let plan = LogicalPlanBuilder::from(plan).project(shown)?.build()?;
    Ok(Some(Dependent { plan, keys: values.keys }))
}

/// What an aggregate gives where there are no rows.
fn of_nothing(aggregate: &Expr, schema: &datafusion::common::DFSchema) -> Result<ScalarValue> {
    match aggregate {
        Expr::Alias(alias) => of_nothing(&alias.expr, schema),
        Expr::AggregateFunction(AggregateFunction { func, .. }) => {
            func.default_value(&aggregate.get_type(schema)?)
        }
        _ => Ok(ScalarValue::Null),
    }
}

/// Window functions, whose rows are those of one value.
fn windowed(plan: &LogicalPlan, window: &Window, domain: &Domain<'_>) -> Result<Option<Dependent>> {
    let Some(inner) = depend(&window.input, domain)? else { return Ok(None) };
    let keys: Vec<Expr> = inner.keys.iter().cloned().map(Expr::Column).collect();
    let names = NamePreserver::new(plan);
    let within = |expr: &Expr| {
        let name = names.save(expr);
        let spelled = domain.with_keys(expr.clone(), &inner.keys)?.transform(|expr| match expr {
            Expr::WindowFunction(function) => {
                let mut function: WindowFunction = *function;
                function.params.partition_by.extend(keys.iter().cloned());
                Ok(Transformed::yes(Expr::from(function)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(name.restore(spelled.data))
    };
    let functions = window.window_expr.iter().map(within).collect::<Result<Vec<_>>>()?;
    // The functions stand behind what was there, and so behind the keys.
    inner.map(|rows, _| rows.window(functions))
}

/// A join, either side of which may depend on the values.
fn joined(join: &Join, domain: &Domain<'_>) -> Result<Option<Dependent>> {
    use JoinType as J;
    if join.null_aware || !matches!(join.join_type, J::Inner | J::Left | J::LeftSemi | J::LeftAnti) {
        return Ok(None);
    }
    let is_inner = join.join_type == JoinType::Inner;
    let in_condition = join.filter.as_ref().is_some_and(Expr::contains_outer)
        || join.on.iter().any(|(left, right)| left.contains_outer() || right.contains_outer());
    let right_refers = refers(&join.right);
    let left_alone = is_inner && right_refers && !refers(&join.left);
    let left = match left_alone {
        true => None,
        false => match depend(&join.left, domain)? {
            Some(left) => Some(left),
            None => return Ok(None),
        },
    };
    let right = match right_refers {
        false => None,
        true => match depend(&join.right, domain)? {
            Some(right) => Some(right),
            None => return Ok(None),
        },
    };
    debug_assert!(left.is_some() || right.is_some() || in_condition, "something refers to the outside");
    let keys = left.as_ref().or(right.as_ref()).map(|side| side.keys.clone()).unwrap_or_default();
    let same = left.iter().zip(&right).flat_map(|(left, right)| left.keys.iter().zip(&right.keys));
    let same = same.map(|(left, right)| {
        let (left, right) = (Expr::Column(left.clone()), Expr::Column(right.clone()));
        datafusion::logical_expr::binary_expr(
            left,
            datafusion::logical_expr::Operator::IsNotDistinctFrom,
            right,
        )
    });
    let mut conditions: Vec<Expr> = same.collect();
    if let Some(filter) = &join.filter {
        conditions.push(domain.with_keys(filter.clone(), &keys)?);
    }
    let on = join.on.iter().map(|(left, right)| {
        Ok((domain.with_keys(left.clone(), &keys)?, domain.with_keys(right.clone(), &keys)?))
    });
    let on = on.collect::<Result<Vec<_>>>()?;
    let plan = Join::try_new(
        left.map_or_else(|| Arc::clone(&join.left), |left| Arc::new(left.plan)),
        right.map_or_else(|| Arc::clone(&join.right), |right| Arc::new(right.plan)),
        on,
        conjunction(conditions),
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    Ok(Some(Dependent { plan: LogicalPlan::Join(plan), keys }))
}
