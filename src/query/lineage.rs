//! From which columns does each column of an answer come?
//!
//! [`lineage`] is a pure function of a logical plan, where every name is resolved already. A column of the answer comes
//! *from* columns whose values are in its values; besides, some columns decide *which* rows there are: what is filtered,
//! joined, grouped or sorted by. The two are kept apart, as people who change a column want to know both.
//!
//! What is not a table of the lake, such as a file that is read in place, is told by its name.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan, WindowFunctionDefinition};
use serde::{Deserialize, Serialize};

use super::asof::is_as_of_join;
use super::dialect::{Reader, Reference};
use crate::base::{AsOf, ReleaseNumber, TableName, TableVersion};

/// A column of something that a query reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ColumnOf {
    /// The table, view or file.
    pub table: TableName,
    /// The column.
    pub column: String,
    /// How the query names what it was, if it does not read it as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub then: Option<Then>,
}

/// What something was, to which a query looks back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// A table, at this version.
    Version(TableVersion),
    /// A view, as this release had it.
    Release(ReleaseNumber),
}

/// What became of a value on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Nothing.
    Copied,
    /// It was calculated with.
    Derived,
    /// It was put together with those of other rows.
    Aggregated,
}

/// How a column decides which rows there are, or in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Influence {
    /// Rows are left out by it.
    Filter,
    /// Rows are brought together by it.
    Join,
    /// Rows are put together by it.
    Group,
    /// Rows are brought into an order by it.
    Sort,
}

/// Where an answer comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    /// For each column of the answer, in order, its name and the columns whose values are in it.
    pub columns: Vec<(String, BTreeMap<ColumnOf, Way>)>,
    /// The columns that decide about rows, each with how.
    pub rows: BTreeMap<ColumnOf, BTreeSet<Influence>>,
    /// The tables, views and files that are read as they are, also those of which no column matters.
    pub tables: BTreeSet<TableName>,
    /// Those that are read as they were at a version, a time or a release that the query names.
    pub past: BTreeSet<(TableName, Then)>,
}

impl Lineage {
    /// Everything that is read, with what it was if that is not what it is.
    pub fn inputs(&self) -> impl Iterator<Item = (&TableName, Option<Then>)> {
        let past = self.past.iter().map(|(table, then)| (table, Some(*then)));
        self.tables.iter().map(|table| (table, None)).chain(past)
    }
}

/// Tells where the columns of a plan's answer come from. Names without a schema are in `default_schema`; `past` has the
/// versions that were found for what the query looks back to.
///
/// The plan is one that the optimizer has not seen. A view in it that is inlined is looked through; one that is a leaf is
/// where columns come from.
pub(super) fn lineage(
    plan: &LogicalPlan,
    default_schema: &str,
    past: &BTreeMap<(TableName, AsOf), TableVersion>,
) -> Lineage {
    let (rows, tables, looked_back_to, loops) = Default::default();
    let mut walk = Walk { default_schema, past, rows, tables, looked_back_to, loops };
    let origins = walk.origins(plan);
    let names = plan.schema().fields().iter().map(|field| field.name().clone());
    Lineage {
        columns: names.zip(origins).collect(),
        rows: walk.rows,
        tables: walk.tables,
        past: walk.looked_back_to,
    }
}

/// The columns whose values are in one column.
type Origin = BTreeMap<ColumnOf, Way>;

struct Walk<'a> {
    default_schema: &'a str,
    rows: BTreeMap<ColumnOf, BTreeSet<Influence>>,
    tables: BTreeSet<TableName>,
    past: &'a BTreeMap<(TableName, AsOf), TableVersion>,
    looked_back_to: BTreeSet<(TableName, Then)>,
    /// What the recursive queries around gave so far.
    loops: BTreeMap<String, Vec<Origin>>,
}

impl Walk<'_> {
    /// The origin of each column that a plan gives.
    fn origins(&mut self, plan: &LogicalPlan) -> Vec<Origin> {
        match plan {
            LogicalPlan::TableScan(scan) => {
                if let Some(known) = self.loops.get(scan.table_name.table()) {
                    return known.clone();
                }
                let table = self.table(scan.table_name.schema(), scan.table_name.table());
                let then = self.then(&table, scan.table_name.table());
                match then {
                    Some(then) => drop(self.looked_back_to.insert((table.clone(), then))),
                    None => drop(self.tables.insert(table.clone())),
                }
                let field = |field: &arrow::datatypes::FieldRef| {
                    let column = ColumnOf { table: table.clone(), column: field.name().clone(), then };
                    BTreeMap::from([(column, Way::Copied)])
                };
                scan.projected_schema.fields().iter().map(field).collect()
            }
            LogicalPlan::Projection(projection) => {
                let below = self.origins(&projection.input);
                self.list(&projection.expr, projection.input.schema(), &below)
            }
            LogicalPlan::Window(window) => {
                let mut below = self.origins(&window.input);
                let new = self.list(&window.window_expr, window.input.schema(), &below);
                below.extend(new);
                below
            }
            LogicalPlan::Aggregate(aggregate) => {
                let below = self.origins(&aggregate.input);
                let schema = aggregate.input.schema();
                let keys: Vec<Expr> = aggregate.group_expr.iter().flat_map(grouped).collect();
                for key in &keys {
                    self.influence(key, schema, &below, Influence::Group);
                }
                let mut all = self.list(&keys, schema, &below);
                // A grouping set has a column of its own that tells which one it is.
                let sets = aggregate.schema.fields().len()
                    - keys.len()
                    - aggregate.aggr_expr.len().min(aggregate.schema.fields().len() - keys.len());
                all.extend(std::iter::repeat_n(Origin::new(), sets));
                all.extend(self.list(&aggregate.aggr_expr, schema, &below));
                all
            }
            LogicalPlan::Filter(filter) => {
                let below = self.origins(&filter.input);
                self.influence(&filter.predicate, filter.input.schema(), &below, Influence::Filter);
                below
            }
            LogicalPlan::Sort(sort) => {
                let below = self.origins(&sort.input);
                for by in &sort.expr {
                    self.influence(&by.expr, sort.input.schema(), &below, Influence::Sort);
                }
                below
            }
            LogicalPlan::Join(join) => {
                let left = self.origins(&join.left);
                let right = self.origins(&join.right);
                for (of_left, of_right) in &join.on {
                    self.influence(of_left, join.left.schema(), &left, Influence::Join);
                    self.influence(of_right, join.right.schema(), &right, Influence::Join);
                }
                let both: Vec<Origin> = left.iter().chain(&right).cloned().collect();
                if let Some(filter) = &join.filter
                    && let Ok(schema) = join.left.schema().join(join.right.schema())
                {
                    self.influence(filter, &schema, &both, Influence::Join);
                }
                match join.join_type {
                    JoinType::LeftSemi | JoinType::LeftAnti => left,
                    JoinType::RightSemi | JoinType::RightAnti => right,
                    JoinType::LeftMark => left.into_iter().chain([Origin::new()]).collect(),
                    JoinType::RightMark => right.into_iter().chain([Origin::new()]).collect(),
                    _ => both,
                }
            }
            LogicalPlan::Extension(extension) if is_as_of_join(extension.node.as_ref()) => {
                let inputs = extension.node.inputs();
                let mut both = Vec::new();
                let mut schema = DFSchema::empty();
                for input in inputs {
                    both.extend(self.origins(input));
                    schema = schema.join(input.schema()).unwrap_or(schema);
                }
                for condition in extension.node.expressions() {
                    self.influence(&condition, &schema, &both, Influence::Join);
                }
                both
            }
            LogicalPlan::Union(union) => {
                let mut all = vec![Origin::new(); union.schema.fields().len()];
                for input in &union.inputs {
                    for (whole, part) in all.iter_mut().zip(self.origins(input)) {
                        merge(whole, part);
                    }
                }
                all
            }
            LogicalPlan::Distinct(Distinct::On(on)) => {
                let below = self.origins(&on.input);
                for by in &on.on_expr {
                    self.influence(by, on.input.schema(), &below, Influence::Group);
                }
                for by in on.sort_expr.iter().flatten() {
                    self.influence(&by.expr, on.input.schema(), &below, Influence::Sort);
                }
                self.list(&on.select_expr, on.input.schema(), &below)
            }
            LogicalPlan::Unnest(unnest) => {
                let below = self.origins(&unnest.input);
                unnest
                    .dependency_indices
                    .iter()
                    .map(|at| below.get(*at).map(derived).unwrap_or_default())
                    .collect()
            }
            LogicalPlan::RecursiveQuery(query) => {
                let first = self.origins(&query.static_term);
                let mut known = first;
                // What comes back into itself comes from nowhere new after a round for each column.
                for _ in 0..=known.len() {
                    let before = self.loops.insert(query.name.clone(), known.clone());
                    let next = self.origins(&query.recursive_term);
                    match before {
                        Some(before) => drop(self.loops.insert(query.name.clone(), before)),
                        None => drop(self.loops.remove(&query.name)),
                    }
                    let mut whole = known.clone();
                    for (whole, part) in whole.iter_mut().zip(next) {
                        merge(whole, part);
                    }
                    if whole == known {
                        break;
                    }
                    known = whole;
                }
                known
            }
            other => {
                let inputs = other.inputs();
                let width = other.schema().fields().len();
                match inputs[..] {
                    [input] if input.schema().fields().len() == width => self.origins(input),
                    _ => {
                        let mut all = Origin::new();
                        for input in inputs {
                            self.origins(input).iter().for_each(|origin| merge(&mut all, derived(origin)));
                        }
                        vec![all; width]
                    }
                }
            }
        }
    }

    /// What a table was that is read by this name; nothing if it is read as it is.
    fn then(&self, table: &TableName, name: &str) -> Option<Then> {
        if table.is_outside() {
            return None;
        }
        let as_of = Reference::read(name).as_of?;
        let version = self.past.get(&(table.clone(), as_of.clone())).copied();
        match (version, as_of) {
            (Some(version), _) | (None, AsOf::Version(version)) => Some(Then::Version(version)),
            (None, AsOf::Release(release)) => Some(Then::Release(release)),
            (None, AsOf::Timestamp(_)) => None,
        }
    }

    fn table(&self, schema: Option<&str>, name: &str) -> TableName {
        let schema = schema.unwrap_or(self.default_schema);
        let outside = || TableName::outside(name);
        if Reader::read(schema).is_some() {
            return outside();
        }
        TableName::new(schema, &Reference::read(name).table).unwrap_or_else(|_| outside())
    }

    fn list(&mut self, exprs: &[Expr], schema: &DFSchema, below: &[Origin]) -> Vec<Origin> {
        exprs.iter().map(|expr| self.origin(expr, schema, below)).collect()
    }

    /// Where the value of an expression comes from.
    fn origin(&mut self, expr: &Expr, schema: &DFSchema, below: &[Origin]) -> Origin {
        match expr {
            Expr::Alias(alias) => self.origin(&alias.expr, schema, below),
            Expr::Column(column) => of_column(column, schema, below),
            Expr::WindowFunction(window) => {
                for by in &window.params.partition_by {
                    self.influence(by, schema, below, Influence::Group);
                }
                for by in &window.params.order_by {
                    self.influence(&by.expr, schema, below, Influence::Sort);
                }
                let way = match &window.fun {
                    WindowFunctionDefinition::AggregateUDF(_) => Way::Aggregated,
                    WindowFunctionDefinition::WindowUDF(_) => Way::Derived,
                };
                let mut all = Origin::new();
                for arg in &window.params.args {
                    merge(&mut all, at_least(self.origin(arg, schema, below), way));
                }
                all
            }
            Expr::AggregateFunction(call) => {
                if let Some(filter) = &call.params.filter {
                    self.influence(filter, schema, below, Influence::Filter);
                }
                for by in &call.params.order_by {
                    self.influence(&by.expr, schema, below, Influence::Sort);
                }
                let mut all = Origin::new();
                for arg in &call.params.args {
                    merge(&mut all, at_least(self.origin(arg, schema, below), Way::Aggregated));
                }
                all
            }
            Expr::ScalarSubquery(subquery) => {
                let first = self.origins(&subquery.subquery).into_iter().next();
                at_least(first.unwrap_or_default(), Way::Derived)
            }
            Expr::Exists(exists) => {
                self.origins(&exists.subquery.subquery);
                Origin::new()
            }
            Expr::InSubquery(question) => {
                let mut all = at_least(self.origin(&question.expr, schema, below), Way::Derived);
                self.origins(&question.subquery.subquery)
                    .into_iter()
                    .for_each(|of| merge(&mut all, derived(&of)));
                all
            }
            other => {
                let mut all = Origin::new();
                let walked = other.apply_children(|child| {
                    merge(&mut all, at_least(self.origin(child, schema, below), Way::Derived));
                    Ok(TreeNodeRecursion::Continue)
                });
                walked.expect("looking at an expression does not fail");
                all
            }
        }
    }

    /// Counts the columns of an expression among those that decide about rows.
    fn influence(&mut self, expr: &Expr, schema: &DFSchema, below: &[Origin], how: Influence) {
        let origin = self.origin(expr, schema, below);
        for column in origin.into_keys() {
            self.rows.entry(column).or_default().insert(how);
        }
    }
}

/// The keys of a group, of every set if there are sets.
fn grouped(expr: &Expr) -> Vec<Expr> {
    match expr {
        Expr::GroupingSet(sets) => sets.distinct_expr().into_iter().cloned().collect(),
        other => vec![other.clone()],
    }
}

fn of_column(column: &Column, schema: &DFSchema, below: &[Origin]) -> Origin {
    let at = schema.maybe_index_of_column(column);
    at.and_then(|at| below.get(at).cloned()).unwrap_or_default()
}

fn derived(origin: &Origin) -> Origin {
    at_least(origin.clone(), Way::Derived)
}

fn at_least(origin: Origin, way: Way) -> Origin {
    origin.into_iter().map(|(column, was)| (column, was.max(way))).collect()
}

fn merge(whole: &mut Origin, part: Origin) {
    for (column, way) in part {
        let known = whole.entry(column).or_insert(way);
        *known = (*known).max(way);
    }
}

#[cfg(test)]
mod tests {
    use super::super::views::tests::session;
    use super::*;

    async fn told(sql: &str) -> String {
        let views = [
            ("orders", "select 1 as id, 2 as customer, 1.5 as amount"),
            ("people", "select 1 as id, 'a' as name"),
        ];
        let (_, lineage) = session(&views).trace(sql).await.unwrap();
        let column = |column: &ColumnOf| format!("{}.{}", column.table.table(), column.column);
        let mut lines: Vec<String> = lineage
            .columns
            .iter()
            .map(|(name, from)| {
                let from = from.iter().map(|(of, way)| format!(" {} {way:?}", column(of)));
                format!("{name}:{}", from.collect::<String>())
            })
            .collect();
        lines.extend(lineage.rows.iter().map(|(of, how)| format!("by {} {how:?}", column(of))));
        lines.join("\n")
    }

    #[tokio::test]
    async fn values_and_rows_come_from_different_columns() {
        insta::assert_snapshot!(
            told(
                "with big as (select * from orders where amount > 1)
                 select p.name, upper(p.name) as loud, sum(o.amount) as total, count(*) as n, 1 as one
                 from big o join people p on p.id = o.customer group by p.name order by total"
            )
            .await,
            @r"
        name: people.name Copied
        loud: people.name Derived
        total: orders.amount Aggregated
        n:
        one:
        by orders.amount {Filter, Sort}
        by orders.customer {Join}
        by people.id {Join}
        by people.name {Group}
        "
        );
    }

    #[tokio::test]
    async fn an_as_of_join_gives_each_column_of_its_side() {
        insta::assert_snapshot!(
            told("select o.id, p.name from orders o asof join people p on o.customer = p.id and o.amount >= p.id").await,
            @r"
        id: orders.id Copied
        name: people.name Copied
        by orders.amount {Join}
        by orders.customer {Join}
        by people.id {Join}
        "
        );
    }

    #[tokio::test]
    async fn unions_windows_subqueries_and_recursion_are_looked_through() {
        insta::assert_snapshot!(
            told(
                "with recursive up(n, who) as (select id, id from orders union all select n + 1, who from up where n < 5)
                 select n, who from up union all
                 select row_number() over (partition by customer order by amount), (select max(id) from people)
                 from orders where exists (select 1 from people where people.id = orders.id)"
            )
            .await,
            @r"
        n: orders.id Derived
        who: orders.id Copied people.id Aggregated
        by orders.amount {Sort}
        by orders.customer {Group}
        by orders.id {Filter}
        by people.id {Filter}
        "
        );
    }
}
