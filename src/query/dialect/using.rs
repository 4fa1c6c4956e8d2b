//! What is a column that two joined tables share?
//!
//! `a full join b using (id)` has one `id`: that of either side that has a row. The engine takes the left side's, which is
//! null where only the right side has a row. Here a name without a table, and the star, become `coalesce(a.id, b.id)`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, ReplaceSelectElement, ReplaceSelectItem, Select,
    SelectItem, Statement, TableFactor, TableWithJoins, VisitMut, VisitorMut,
};

use super::spelling::called;

/// Spells out columns that joins share.
pub(super) fn spell(statement: &mut Statement) {
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut Selects);
}

struct Selects;

impl VisitorMut for Selects {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut shared = BTreeMap::new();
        for tables in &select.from {
            shared.append(&mut shared_by(tables));
        }
        if !shared.is_empty() {
            put(select, &shared);
        }
        ControlFlow::Continue(())
    }
}

/// The columns that are not simply those of the left side, each with what it is.
fn shared_by(tables: &TableWithJoins) -> BTreeMap<String, Expr> {
    let (mut sides, mut shared) = (BTreeMap::<String, Vec<Ident>>::new(), BTreeMap::new());
    let Some(first) = name_of(&tables.relation) else { return shared };
    let mut others = 0;
    for join in &tables.joins {
        let (constraint, takes_right) = match &join.join_operator {
            JoinOperator::FullOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint) => (constraint, true),
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint) => (constraint, false),
            _ => continue,
        };
        let (JoinConstraint::Using(columns), Some(right)) = (constraint, name_of(&join.relation)) else {
            others += 1;
            continue;
        };
        for column in columns {
            let Some(column) = column.0.last().and_then(|part| part.as_ident()) else { continue };
            let key = folded(column);
            // Which of several tables on the left has it is not known here, unless they share it already.
            if others > 0 && !sides.contains_key(&key) {
                continue;
            }
            let known = sides.entry(key.clone()).or_insert_with(|| vec![first.clone()]);
            if takes_right {
                known.push(right.clone());
                let of =
                    known.iter().map(|table| Expr::CompoundIdentifier(vec![table.clone(), column.clone()]));
                let of: Vec<Expr> = of.collect();
                shared.insert(key, called("coalesce", &of));
            }
        }
        others += usize::from(columns.is_empty());
    }
    shared
}

/// What a table is known by.
fn name_of(factor: &TableFactor) -> Option<Ident> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(alias.name.clone())
        }
        TableFactor::Table { name, alias: None, .. } => name
            .0
            .last()
            .and_then(|part| part.as_ident())
            .filter(|name| name.quote_style != Some('\''))
            .cloned(),
        _ => None,
    }
}

fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

fn put(select: &mut Select, shared: &BTreeMap<String, Expr>) {
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                if let Some(expr) = shared.get(&folded(name)) {
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: name.clone() };
                }
            }
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => put_in(expr, shared),
            SelectItem::Wildcard(options) => {
                let is_plain = options.opt_exclude.is_none()
                    && options.opt_except.is_none()
                    && options.opt_replace.is_none()
                    && options.opt_rename.is_none();
                if is_plain {
                    let item = |(name, expr): (&String, &Expr)| {
                        Box::new(ReplaceSelectElement {
                            expr: expr.clone(),
                            column_name: Ident::with_quote('"', name),
                            as_keyword: true,
                        })
                    };
                    options.opt_replace =
                        Some(ReplaceSelectItem { items: shared.iter().map(item).collect() });
                }
            }
            _ => {}
        }
    }
    for condition in [&mut select.selection, &mut select.having, &mut select.qualify].into_iter().flatten() {
        put_in(condition, shared);
    }
    if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
        keys.iter_mut().for_each(|key| put_in(key, shared));
    }
}

/// Puts what they are in the place of names, but not in the queries inside, which have names of their own.
fn put_in(expr: &mut Expr, shared: &BTreeMap<String, Expr>) {
    struct Names<'a> {
        shared: &'a BTreeMap<String, Expr>,
        queries: usize,
    }
    impl VisitorMut for Names<'_> {
        type Break = ();

        fn pre_visit_query(&mut self, _: &mut sqlparser::ast::Query) -> ControlFlow<()> {
            self.queries += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &mut sqlparser::ast::Query) -> ControlFlow<()> {
            self.queries -= 1;
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Identifier(name) = expr
                && self.queries == 0
                && let Some(meant) = self.shared.get(&folded(name))
            {
                *expr = meant.clone();
            }
            ControlFlow::Continue(())
        }
    }
    let _: ControlFlow<()> = VisitMut::visit(expr, &mut Names { shared, queries: 0 });
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;
    use super::*;

    fn said(sql: &str) -> String {
        let mut statement = parse_query(sql).unwrap();
        spell(&mut statement);
        statement.to_string()
    }

    #[test]
    fn a_shared_column_is_that_of_either_side() {
        assert_eq!(
            said("select ID, a.id, n + 1 from x a full join y using (id) where id > 1"),
            "SELECT coalesce(a.id, y.id) AS ID, a.id, n + 1 FROM x a FULL JOIN y USING(id) WHERE coalesce(a.id, y.id) > 1"
        );
        assert_eq!(
            said("select * from a right join b using (id)"),
            "SELECT * REPLACE (coalesce(a.id, b.id) AS \"id\") FROM a RIGHT JOIN b USING(id)"
        );
        for plain in ["SELECT id FROM a LEFT JOIN b USING(id)", "SELECT id FROM a FULL JOIN b ON a.id = b.id"]
        {
            assert_eq!(said(plain), plain);
        }
    }
}
