//! Which queries have no rows, because of what a lake does not have?
//!
//! Tools ask for policies, triggers, sequences and much else that a lake has none of, in SQL that the engine cannot always plan. Where such
//! a table is joined there are no rows, and the answer is empty, with the columns that were asked for.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Join, JoinOperator, Query, Select, SelectItem, SetExpr, SetOperator,
    Statement, TableFactor, TableWithJoins, Value, Visit as _, Visitor,
};

use super::meanings::{column_name, last, table_name};

/// Tables without rows.
#[derive(Debug, Default)]
pub(super) struct Absent {
    tables: HashSet<String>,
    /// Whether there are keys, with what stands for their indexes.
    has_keys: bool,
}

impl Absent {
    pub(super) fn new(tables: HashSet<String>, has_keys: bool) -> Self {
        Self { tables, has_keys }
    }

    /// Whether a query has no rows for sure.
    pub(super) fn has_no_rows(&self, query: &Query) -> bool {
        let mut within = HashSet::new();
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            if self.no_rows(&table.query.body, &within) {
                within.insert(table.alias.name.value.to_lowercase());
            }
        }
        self.no_rows(&query.body, &within)
    }

    fn no_rows(&self, body: &SetExpr, within: &HashSet<String>) -> bool {
        match body {
            SetExpr::Select(select) => self.none_selected(select, within),
            SetExpr::Query(query) => self.has_no_rows(query),
            SetExpr::SetOperation { op, left, right, .. } => {
                let (left, right) = (self.no_rows(left, within), self.no_rows(right, within));
                match op {
                    SetOperator::Union => left && right,
                    SetOperator::Intersect => left || right,
                    _ => left,
                }
            }
            _ => false,
        }
    }

    fn none_selected(&self, select: &Select, within: &HashSet<String>) -> bool {
        let is_grouped = matches!(&select.group_by, GroupByExpr::Expressions(by, _) if !by.is_empty());
        if is_aggregate(select) && !is_grouped {
            return false;
        }
        select.from.iter().any(|tables| self.none_joined(tables, within))
            || select.selection.as_ref().is_some_and(|condition| self.never(condition))
    }

    fn none_joined(&self, tables: &TableWithJoins, within: &HashSet<String>) -> bool {
        let mut is_empty = self.none_in(&tables.relation, within);
        for Join { relation, join_operator, .. } in &tables.joins {
            let right = self.none_in(relation, within);
            is_empty = match join_operator {
                JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_) => {
                    is_empty || right
                }
                JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => is_empty,
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) => right,
                JoinOperator::FullOuter(_) => is_empty && right,
                _ => return false,
            };
        }
        is_empty
    }

    fn none_in(&self, factor: &TableFactor, within: &HashSet<String>) -> bool {
        match factor {
            TableFactor::Derived { subquery, .. } => self.has_no_rows(subquery),
            TableFactor::NestedJoin { table_with_joins, .. } => self.none_joined(table_with_joins, within),
            // The lists of options and rights that there are not.
            TableFactor::UNNEST { array_exprs, .. } => {
                array_exprs.iter().all(|list| is_unset(&list.to_string()))
            }
            TableFactor::Table { name, args: Some(args), .. } if last(name) == "unnest" => {
                args.args.iter().all(|list| is_unset(&list.to_string()))
            }
            _ => table_name(factor).is_some_and(|name| within.contains(&name) || self.tables.contains(&name)),
        }
    }

    /// Whether a condition holds for nothing that there is.
    fn never(&self, condition: &Expr) -> bool {
        match condition {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => self.never(left) || self.never(right),
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => self.never(left) && self.never(right),
            Expr::Nested(inner) => self.never(inner),
            Expr::Value(value) => value.value == Value::Boolean(false),
            // Rights are not kept in lists here.
            Expr::IsNotNull(column) => {
                column_name(column).is_some_and(|name| name.to_lowercase().ends_with("acl"))
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                self.kinds(left).is_some_and(|kinds| is_other(&kinds, right))
            }
            Expr::InList { expr, list, negated: false } => {
                self.kinds(expr).is_some_and(|kinds| list.iter().all(|kind| is_other(&kinds, kind)))
            }
            _ => false,
        }
    }

    /// The kinds that there are of what a column tells the kind of: relations or constraints.
    fn kinds(&self, expr: &Expr) -> Option<Vec<&'static str>> {
        if !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            return None;
        }
        match (column_name(expr)?.to_lowercase().as_str(), self.has_keys) {
            ("relkind", true) => Some(vec!["r", "v", "i"]),
            ("relkind", false) => Some(vec!["r", "v"]),
            ("contype", true) => Some(vec!["p", "f"]),
            ("contype", false) => Some(Vec::new()),
            _ => None,
        }
    }

    /// The columns of a statement that has no rows; nothing for one that may have some.
    pub(super) fn columns(&self, statement: &Statement) -> Option<SchemaRef> {
        let Statement::Query(query) = statement else { return None };
        if !self.has_no_rows(query) {
            return None;
        }
        let mut body = query.body.as_ref();
        let select = loop {
            match body {
                SetExpr::Select(select) => break select,
                SetExpr::Query(query) => body = query.body.as_ref(),
                SetExpr::SetOperation { left, .. } => body = left,
                _ => return None,
            }
        };
        let name = |item: &SelectItem| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
            SelectItem::UnnamedExpr(expr) => Some(column_name(expr).unwrap_or_else(|| "?column?".to_owned())),
            _ => None,
        };
        let field = |item: &SelectItem| name(item).map(|name| Field::new(name, DataType::Utf8, true));
        let fields = select.projection.iter().map(field).collect::<Option<Vec<_>>>()?;
        Some(Arc::new(Schema::new(fields)))
    }
}

/// Whether an expression is a kind that nothing is of.
fn is_other(kinds: &[&str], expr: &Expr) -> bool {
    match expr {
        Expr::Cast { expr, .. } | Expr::Nested(expr) => is_other(kinds, expr),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(kind) => !kinds.contains(&kind.as_str()),
            _ => false,
        },
        _ => false,
    }
}

/// Whether a column, as it is written, has nothing anywhere.
fn is_unset(column: &str) -> bool {
    let name = column.rsplit('.').next().unwrap_or_default().to_lowercase();
    let is_name = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    is_name && ["acl", "options", "config"].iter().any(|end| name.ends_with(end))
}

/// Whether a selection makes one row of many. What its subqueries do is theirs.
pub(super) fn is_aggregate(select: &Select) -> bool {
    select.having.is_some()
        || select.projection.iter().any(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                expr.visit(&mut Aggregates { depth: 0 }).is_break()
            }
            _ => false,
        })
}

/// Stops at a function that makes one of many.
struct Aggregates {
    /// Within how many queries.
    depth: usize,
}

impl Visitor for Aggregates {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function)
                if self.depth == 0
                    && function.over.is_none()
                    && AGGREGATES.contains(&last(&function.name).as_str()) =>
            {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

const AGGREGATES: [&str; 14] = [
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "every",
    "first_value",
    "json_agg",
    "jsonb_agg",
    "max",
    "min",
    "string_agg",
    "sum",
    "json_object_agg",
];

#[cfg(test)]
mod tests {
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::parser::Parser;

    use super::*;

    fn none(sql: &str) -> bool {
        let absent = Absent::new(["pg_policy".to_owned(), "pg_index".to_owned()].into(), false);
        let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
        absent.columns(&statements.pop().unwrap()).is_some()
    }

    #[test]
    fn what_is_joined_to_nothing_is_nothing() {
        for sql in [
            "select polname from pg_catalog.pg_policy",
            "select a.b from t a join pg_policy p on a.x = p.x left join u on u.x = a.x",
            "select a from t, pg_policy",
            "select x, count(*) from pg_policy group by x",
            "select x from pg_policy union select y from pg_index",
            "with c as (select 1 from pg_policy) select x from c",
            "select 'toast.' || x from pg_catalog.unnest(tc.reloptions) x",
            "select x || (select array_agg(y) from t) from pg_policy",
            "select attname from pg_attribute a where a.attrelid = 1 and attacl is not null",
            "select relname from pg_class c where c.relkind in ('S', 'm') and c.relname = 'x'",
            "select relname from pg_class c where c.relkind in ('p') and c.relname = 'x'",
        ] {
            assert!(none(sql), "{sql}");
        }
        for sql in [
            "select a from t left join pg_policy p on t.x = p.x",
            "select count(*) from pg_policy",
            "select x from pg_policy union select y from t",
            "select relname from pg_class where relkind in ('r', 'm')",
            "select a from pg_policy p right join t on t.x = p.x",
        ] {
            assert!(!none(sql), "{sql}");
        }
    }
}
