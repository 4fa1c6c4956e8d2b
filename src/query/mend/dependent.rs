//! How does a subquery answer for all rows of its query at once?
//!
//! A correlated subquery is a function of some columns of the query around it. [`depend`] makes of it a plan that has
//! its rows for every value of these columns, and the values beside them: the [`Domain`] is taken down through the plan
//! to where they are used, as in T. Neumann and A. Kemper, *Unnesting Arbitrary Queries* (BTW 2015).

use std::cell::Cell;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, Result, ScalarValue};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::{
    Aggregate, Distinct, FetchType, Join, Limit, Projection, SkipType, Sort, Window,
};
use datafusion::logical_expr::utils::{conjunction, merge_schema};
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
    if domain.columns.is_empty() {
        return Ok(Some(Dependent { plan: plan.clone(), keys: Vec::new() }));
    }
    if !domain.is_asked_by(plan) {
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

/// Whether a plan gives the same rows each time: here it is carried out twice.
fn is_steady(plan: &LogicalPlan) -> bool {
    let wobbles = plan.exists(|part| {
        let mut volatile = false;
        part.apply_expressions(|expr| {
            volatile |= expr.is_volatile();
            Ok(TreeNodeRecursion::Continue)
        })?;
        let any_rows = matches!(part, LogicalPlan::Limit(limit) if !is_sorted(&limit.input));
        Ok(volatile || any_rows)
    });
    !wobbles.unwrap_or(true)
}

fn is_sorted(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.inputs().first().is_some_and(|input| is_sorted(input))
        }
        _ => false,
    }
}

/// Whether a plan speaks of columns of the query around it.
pub(super) fn refers(plan: &LogicalPlan) -> bool {
    plan.exists(|part| Ok(part.contains_outer_reference())).unwrap_or(true)
}

/// Whether a plan, or a query in it, speaks of columns that are not of the query right around it, but of one further out.
pub(super) fn reaches_out(plan: &LogicalPlan) -> bool {
    let reaches = plan.exists(|part| {
        let mut reaches = false;
        part.apply_subqueries(|subquery| {
            let LogicalPlan::Subquery(subquery) = subquery else { return Ok(TreeNodeRecursion::Continue) };
            let around = merge_schema(&part.inputs());
            reaches |= !speaks_of(&subquery.subquery, &around) || reaches_out(&subquery.subquery);
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(reaches)
    });
    reaches.unwrap_or(true)
}

/// Whether all columns of queries around it that a plan speaks of are among these.
pub(super) fn speaks_of(plan: &LogicalPlan, around: &DFSchema) -> bool {
    plan.all_out_ref_exprs().iter().all(|expr| match expr {
        Expr::OuterReferenceColumn(_, column) => around.has_column(column),
        _ => false,
    })
}

impl<'a> Domain<'a> {
    /// The columns of `rows` that `subquery` speaks of; nothing if the rows may be others when they are read again. Others
    /// that it speaks of are of a query further out, and stay.
    pub(super) fn of(subquery: &LogicalPlan, rows: &'a LogicalPlan, names: &'a Cell<usize>) -> Option<Self> {
        if !is_steady(rows) {
            return None;
        }
        let mut columns: Vec<Column> = Vec::new();
        for expr in subquery.all_out_ref_exprs() {
            let Expr::OuterReferenceColumn(_, column) = expr else { return None };
            if rows.schema().has_column(&column) && !columns.contains(&column) {
                columns.push(column);
            }
        }
        Some(Self { rows, columns, names })
    }

    /// Whether a plan speaks of columns of the domain.
    fn is_asked_by(&self, plan: &LogicalPlan) -> bool {
        plan.all_out_ref_exprs().iter().any(|expr| self.is_asked(expr))
    }

    /// Whether an expression speaks of columns of the domain.
    fn is_asked(&self, expr: &Expr) -> bool {
        let of_domain = |expr: &Expr| matches!(expr, Expr::OuterReferenceColumn(_, column) if self.columns.contains(column));
        expr.exists(|expr| Ok(of_domain(expr))).unwrap_or(true)
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

    /// Puts the rows of `left` beside those that belong to them, by `columns` of theirs; nothing if the type of one has
    /// no value that could stand for a null.
    pub(super) fn beside(
        self,
        left: LogicalPlan,
        columns: &[Column],
        join_type: JoinType,
        condition: Option<Expr>,
    ) -> Result<Option<LogicalPlan>> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for (column, key) in columns.iter().zip(&self.keys) {
            let data_type = left.schema().data_type(column)?.clone();
            let (Some(our), Some(their)) = (never_null(column, &data_type), never_null(key, &data_type))
            else {
                return Ok(None);
            };
            ours.extend(our);
            theirs.extend(their);
        }
        let left = LogicalPlanBuilder::from(left);
        let joined = match ours.is_empty() {
            true => left.join_on(self.plan, join_type, [condition.unwrap_or_else(|| lit(true))])?,
            false => left.join_with_expr_keys(self.plan, join_type, (ours, theirs), condition)?,
        };
        Ok(Some(joined.build()?))
    }
}

/// A column as two expressions that are equal to another's where both are null, and are never null: in a join whose keys
/// may be null and equal, the engine would take every `=` that it moves there for one of that kind.
fn never_null(column: &Column, data_type: &DataType) -> Option<[Expr; 2]> {
    let column = Expr::Column(column.clone());
    let other = ScalarValue::new_default(data_type).ok().filter(|value| !value.is_null())?;
    Some([coalesce(vec![column.clone(), lit(other)]), column.is_null()])
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
    let keys: Vec<Expr> = inner.keys.iter().cloned().map(Expr::Column).collect();
    // What is sorted by are columns, whatever they are worked out from.
    let (mut sorted, mut by) = (Vec::new(), Vec::new());
    for sort in order {
        let name = domain.name("sort");
        sorted.push(domain.with_keys(sort.expr.clone(), &inner.keys)?.alias(&name));
        by.push(sort.with_expr(Expr::Column(Column::new_unqualified(name))));
    }
    let number = domain.name("row");
    let numbered = row_number().partition_by(keys.clone());
    let numbered = if by.is_empty() { numbered } else { numbered.order_by(by) }.build()?.alias(&number);
    let place = || Expr::Column(Column::new_unqualified(&number));
    let whole = |number: usize| lit(u64::try_from(number).unwrap_or(u64::MAX));
    let wanted =
        [Some(place().gt(whole(skip))), fetch.map(|fetch| place().lt_eq(whole(skip.saturating_add(fetch))))];
    let shown = rows.schema().columns().into_iter().map(Expr::Column);
    inner.map(|rows, _| {
        let all: Vec<Expr> = rows.schema().columns().into_iter().map(Expr::Column).collect();
        let numbered = rows.project(all.into_iter().chain(sorted))?.window([numbered])?;
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
    let Some(plan) = grouped.beside(values.plan, &values.keys, JoinType::Left, None)? else {
        return Ok(None);
    };
    shown.extend(values.keys.iter().cloned().map(Expr::Column));
    let plan = LogicalPlanBuilder::from(plan).project(shown)?.build()?;
    Ok(Some(Dependent { plan, keys: values.keys }))
}

/// What an aggregate gives where there are no rows.
fn of_nothing(aggregate: &Expr, schema: &DFSchema) -> Result<ScalarValue> {
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
    if join.null_aware || matches!(join.join_type, J::LeftMark | J::RightMark) {
        return Ok(None);
    }
    let in_condition = join.filter.as_ref().is_some_and(|filter| domain.is_asked(filter))
        || join.on.iter().any(|(left, right)| domain.is_asked(left) || domain.is_asked(right));
    let (left_asks, right_asks) = (domain.is_asked_by(&join.left), domain.is_asked_by(&join.right));
    // A side whose rows stay without a partner has to have the values itself.
    let is_inner = join.join_type == J::Inner;
    let keeps_right = matches!(join.join_type, J::Right | J::RightSemi | J::RightAnti | J::Full);
    let keeps_left = matches!(join.join_type, J::Left | J::LeftSemi | J::LeftAnti | J::Full);
    let of_left = keeps_left || left_asks || (is_inner && !right_asks);
    let of_right = keeps_right || right_asks;
    let left = match of_left {
        false => None,
        true => match depend(&join.left, domain)? {
            Some(left) => Some(left),
            None => return Ok(None),
        },
    };
    let right = match of_right {
        false => None,
        true => match depend(&join.right, domain)? {
            Some(right) => Some(right),
            None => return Ok(None),
        },
    };
    debug_assert!(left_asks || right_asks || in_condition, "something refers to the outside");
    let first = if keeps_right && !keeps_left {
        right.as_ref().or(left.as_ref())
    } else {
        left.as_ref().or(right.as_ref())
    };
    let mut keys = first.map(|side| side.keys.clone()).unwrap_or_default();
    let mut conditions: Vec<Expr> = Vec::new();
    let mut either: Vec<Expr> = Vec::new();
    for (left, right) in left.iter().zip(&right) {
        for (ours, theirs) in left.keys.iter().zip(&right.keys) {
            either.push(coalesce(vec![Expr::Column(ours.clone()), Expr::Column(theirs.clone())]));
            let data_type = left.plan.schema().data_type(ours)?;
            let (Some(ours), Some(theirs)) = (never_null(ours, data_type), never_null(theirs, data_type))
            else {
                return Ok(None);
            };
            conditions.extend(ours.into_iter().zip(theirs).map(|(ours, theirs)| ours.eq(theirs)));
        }
    }
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
    let mut plan = LogicalPlan::Join(plan);
    if join.join_type == J::Full {
        // Either side may be missing, and with it its keys.
        let shown = join.schema.columns().into_iter().map(Expr::Column);
        let names: Vec<String> = keys.iter().map(|_| domain.name("outer")).collect();
        let either = either.into_iter().zip(&names).map(|(key, name)| key.alias(name));
        plan = LogicalPlanBuilder::from(plan).project(shown.chain(either))?.build()?;
        keys = names.into_iter().map(Column::new_unqualified).collect();
    }
    Ok(Some(Dependent { plan, keys }))
}
