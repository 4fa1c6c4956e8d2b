//! What are `PIVOT` and `UNPIVOT`?
//!
//! An aggregate with a filter for each value, and a select for each column, one below the other.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, ExprWithAlias, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, Ident, NullInclusion, OrderBy, OrderByExpr, OrderByKind, OrderByOptions, PivotValueSource,
    Query, SelectItem, SetExpr, SetOperator, SetQuantifier, TableFactor, Value,
};

use super::stars::{for_each_column, which};
use super::{Column, folded, wrong};
use crate::query::SqlMistake;
use crate::query::dialect::{PIVOT_KEYS, empty_query, select_all_from};

/// `t PIVOT (sum(n) FOR c IN ('a', 'b'))` as one aggregate with a filter for each value.
pub(super) fn pivot(factor: &TableFactor, columns: &[Column]) -> Result<TableFactor, Box<SqlMistake>> {
    let TableFactor::Pivot { table, aggregate_functions, value_column, value_source, default_on_null, alias } =
        factor
    else {
        return Ok(factor.clone());
    };
    let keys = default_on_null.as_ref().and_then(keys);
    if default_on_null.is_some() && keys.is_none() {
        return wrong("DEFAULT ON NULL is not supported", "write `coalesce(a, 0)` around the columns");
    }
    let [by] = value_column.as_slice() else {
        return wrong("PIVOT by several columns is not supported", "join them first: `a || b as ab`");
    };
    let PivotValueSource::List(values) = value_source else {
        return wrong("the values of PIVOT are not known", "list them: `for c in ('a', 'b')`");
    };
    let mut used: HashSet<String> = HashSet::new();
    names_in(by, &mut used);
    aggregate_functions.iter().for_each(|aggregate| names_in(&aggregate.expr, &mut used));
    let mut kept: Vec<&Column> = columns.iter().filter(|column| !used.contains(&column.name)).collect();
    if let Some(keys) = &keys {
        // What is added up may be what it is grouped by; what is turned may not.
        let mut turned: HashSet<String> = HashSet::new();
        names_in(by, &mut turned);
        kept = columns.iter().filter(|column| !turned.contains(&column.name)).collect();
        if let Some(unknown) = keys.iter().find(|key| !kept.iter().any(|column| column.name == **key)) {
            return wrong(
                format!("PIVOT cannot be grouped by `{unknown}`"),
                "name a column that is not turned: `pivot (sum(n) for c in ('a') group by k)`",
            );
        }
        kept.retain(|column| keys.contains(&column.name));
    }
    let mut query = select_all_from((**table).clone());
    let SetExpr::Select(select) = &mut *query.body else { return Ok(factor.clone()) };
    select.projection = kept.iter().map(|column| SelectItem::UnnamedExpr(column.bare())).collect();
    for value in values {
        for aggregate in aggregate_functions {
            let mut expr = aggregate.expr.clone();
            let Expr::Function(call) = &mut expr else {
                return wrong(format!("`{expr}` is not an aggregate"), "write `pivot (sum(n) for c in (…))`");
            };
            let is_value = is_equal(by, &value.expr);
            let filter = match call.filter.take() {
                Some(filter) => {
                    Expr::BinaryOp { left: filter, op: BinaryOperator::And, right: Box::new(is_value) }
                }
                None => is_value,
            };
            call.filter = Some(Box::new(filter));
            let heading = heading(value, aggregate, aggregate_functions.len());
            select
                .projection
                .push(SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', heading) });
        }
    }
    select.group_by = GroupByExpr::Expressions(kept.iter().map(|column| column.bare()).collect(), Vec::new());
    let alias = alias.clone();
    Ok(TableFactor::Derived { lateral: false, subquery: Box::new(query), alias, sample: None })
}

/// The columns after GROUP BY.
fn keys(expr: &Expr) -> Option<Vec<String>> {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr else {
        return None;
    };
    if name.to_string() != PIVOT_KEYS {
        return None;
    }
    let mut keys = Vec::new();
    for arg in &list.args {
        match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(name))) => keys.push(folded(name)),
            FunctionArg::Unnamed(FunctionArgExpr::Expr(other)) => keys.push(other.to_string()),
            _ => return None,
        }
    }
    Some(keys)
}

fn is_equal(column: &Expr, value: &Expr) -> Expr {
    let column = Box::new(column.clone());
    match value {
        Expr::Value(null) if null.value == Value::Null => Expr::IsNull(column),
        value => Expr::BinaryOp { left: column, op: BinaryOperator::Eq, right: Box::new(value.clone()) },
    }
}

fn heading(value: &ExprWithAlias, aggregate: &ExprWithAlias, aggregates: usize) -> String {
    let value = match (&value.alias, &value.expr) {
        (Some(alias), _) => folded(alias),
        (None, Expr::Value(text)) => match &text.value {
            Value::SingleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        (None, other) => other.to_string(),
    };
    let aggregate_name =
        aggregate.alias.as_ref().map_or_else(|| aggregate.expr.to_string().to_lowercase(), folded);
    if aggregates == 1 && aggregate.alias.is_none() { value } else { format!("{value}_{aggregate_name}") }
}

/// The names of columns in an expression.
fn names_in(expr: &Expr, names: &mut HashSet<String>) {
    struct Names<'a>(&'a mut HashSet<String>);
    impl sqlparser::ast::Visitor for Names<'_> {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(name) => drop(self.0.insert(folded(name))),
                Expr::CompoundIdentifier(path) => self.0.extend(path.last().map(folded)),
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let _ = sqlparser::ast::Visit::visit(expr, &mut Names(names));
}

/// `t UNPIVOT (v FOR k IN (a, b))` as one select for each column.
pub(super) fn unpivot(factor: &TableFactor, columns: &[Column]) -> Result<TableFactor, Box<SqlMistake>> {
    let TableFactor::Unpivot { table, value, name, columns: turned, null_inclusion, alias } = factor else {
        return Ok(factor.clone());
    };
    let several = || "write `unpivot (v for k in (a, b))`, or `unpivot ((v, w) for k in ((a, b), (c, d)))`";
    let values: Vec<Ident> = match value {
        Expr::Identifier(value) => vec![value.clone()],
        Expr::Tuple(values) => {
            let names = values.iter().map(|value| match value {
                Expr::Identifier(name) => Some(name.clone()),
                _ => None,
            });
            match names.collect::<Option<Vec<_>>>() {
                Some(names) => names,
                None => return wrong("the values of UNPIVOT are names of columns", several()),
            }
        }
        _ => return wrong("the values of UNPIVOT are names of columns", several()),
    };
    let mut spelled = Vec::with_capacity(turned.len());
    for column in turned {
        match (which(&column.expr), &column.alias) {
            (Some(_), None) => {
                let each = for_each_column(&column.expr, columns)?.into_iter().map(bare);
                spelled.extend(each.map(|expr| ExprWithAlias { expr, alias: None }));
            }
            _ => spelled.push(column.clone()),
        }
    }
    let mut used: HashSet<String> = HashSet::new();
    spelled.iter().for_each(|column| names_in(&column.expr, &mut used));
    let mut union: Option<SetExpr> = None;
    for column in &spelled {
        let mut query = select_all_from((**table).clone());
        let SetExpr::Select(select) = &mut *query.body else { return Ok(factor.clone()) };
        let kept = columns.iter().filter(|column| !used.contains(&column.name));
        select.projection = kept.map(|column| SelectItem::UnnamedExpr(column.bare())).collect();
        let parts: Vec<Expr> = match &column.expr {
            Expr::Tuple(parts) if values.len() > 1 => parts.clone(),
            Expr::Nested(part) => vec![(**part).clone()],
            part => vec![part.clone()],
        };
        if parts.len() != values.len() {
            let what = format!(
                "UNPIVOT gives {} values, and `{}` is another number of columns",
                values.len(),
                column.expr
            );
            return wrong(what, several());
        }
        let own = |part: &Expr| match part {
            Expr::Identifier(name) => folded(name),
            other => other.to_string(),
        };
        let key = match &column.alias {
            Some(alias) => folded(alias),
            None => parts.iter().map(own).collect::<Vec<_>>().join("_"),
        };
        let key = Expr::value(Value::SingleQuotedString(key));
        select.projection.push(SelectItem::ExprWithAlias { expr: key, alias: name.clone() });
        let given = parts.iter().zip(&values);
        select.projection.extend(
            given.map(|(expr, alias)| SelectItem::ExprWithAlias { expr: expr.clone(), alias: alias.clone() }),
        );
        if *null_inclusion != Some(NullInclusion::IncludeNulls) {
            // A row of several goes if all of them are null.
            select.selection =
                parts.iter().map(|part| Expr::IsNotNull(Box::new(part.clone()))).reduce(|one, other| {
                    let (left, right) = (Box::new(one), Box::new(other));
                    Expr::BinaryOp { left, op: BinaryOperator::Or, right }
                });
        }
        let right = query.body;
        union = Some(match union {
            None => *right,
            Some(left) => SetExpr::SetOperation {
                left: Box::new(left),
                op: SetOperator::Union,
                set_quantifier: SetQuantifier::All,
                right,
            },
        });
    }
    let mut query = empty_query();
    if let Some(union) = union {
        *query.body = union;
    }
    Ok(TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: alias.clone(), sample: None })
}

/// A column without its table.
fn bare(expr: Expr) -> Expr {
    match expr {
        Expr::CompoundIdentifier(mut path) => {
            path.pop().map_or(Expr::Value(Value::Null.into()), Expr::Identifier)
        }
        other => other,
    }
}

/// Columns that a PIVOT makes at most.
pub(super) const MOST: usize = 1_000;

/// The query for the values that become columns, if the statement does not list them.
pub(super) fn values_asked(factor: &TableFactor) -> Option<Query> {
    let TableFactor::Pivot { table, value_column, value_source, .. } = factor else { return None };
    let [by] = value_column.as_slice() else { return None };
    match value_source {
        PivotValueSource::List(_) => None,
        PivotValueSource::Subquery(query) => Some((**query).clone()),
        PivotValueSource::Any(order_by) => {
            let mut query = select_all_from((**table).clone());
            let SetExpr::Select(select) = &mut *query.body else { return None };
            select.projection = vec![SelectItem::UnnamedExpr(by.clone())];
            select.selection = Some(Expr::IsNotNull(Box::new(by.clone())));
            select.group_by = GroupByExpr::Expressions(vec![by.clone()], Vec::new());
            let exprs = match order_by.as_slice() {
                [] => vec![OrderByExpr {
                    expr: Expr::value(Value::Number("1".to_owned(), false)),
                    options: OrderByOptions { asc: None, nulls_first: None },
                    with_fill: None,
                }],
                given => given.to_vec(),
            };
            query.order_by = Some(OrderBy { kind: OrderByKind::Expressions(exprs), interpolate: None });
            Some(query)
        }
    }
}

/// Writes the values that were found into the statement.
pub(super) fn list_values(factor: &mut TableFactor, found: Vec<(Expr, String)>) {
    if let TableFactor::Pivot { value_source, .. } = factor {
        let values = found
            .into_iter()
            .map(|(expr, text)| ExprWithAlias { expr, alias: Some(Ident::with_quote('"', text)) });
        *value_source = PivotValueSource::List(values.collect());
    }
}
