//! Which of two things of one name is meant?
//!
//! A CTE of a subquery may be called as one around it, a column of the list as one of the table that the rows are sorted by
//! (`select n as id from t order by t.id`), and a column as a table (`w.i` in a subquery whose table has a column `w`). The
//! engine knows one of each; so one of the two gets another name where both are meant.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, OrderBy, OrderByKind, Query, RenameSelectItem, Select,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement, TableAlias, TableFactor, TableWithJoins,
    VisitMut, VisitorMut, With,
};

use super::statement::{empty_query, parse_query};

fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// Gives CTEs that are called as others around them, and sorted columns that are called as others, names of their own.
pub(super) fn tell_apart(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut Sorted);
    let _: ControlFlow<()> = statement.visit(&mut Ctes { scopes: Vec::new(), withs: Vec::new(), count: 0 });
}

/// What CTEs are called now, by the names that they were given.
struct Ctes {
    scopes: Vec<BTreeMap<String, Option<String>>>,
    withs: Vec<Option<With>>,
    count: usize,
}

impl Ctes {
    fn known(&self, name: &str) -> Option<&Option<String>> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name))
    }
}

impl VisitorMut for Ctes {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let mut with = query.with.take();
        let mut scope = BTreeMap::new();
        if let Some(With { recursive, cte_tables, .. }) = &mut with {
            for cte in cte_tables {
                let name = folded(&cte.alias.name);
                let is_taken = self.known(&name).is_some() && !scope.contains_key(&name);
                let own = is_taken.then(|| {
                    self.count += 1;
                    format!("_elt_{}_{name}", self.count)
                });
                if *recursive {
                    scope.insert(name.clone(), own.clone());
                }
                self.scopes.push(std::mem::take(&mut scope));
                let _: ControlFlow<()> = cte.query.visit(self);
                scope = self.scopes.pop().unwrap_or_default();
                if let Some(own) = &own {
                    cte.alias.name = Ident::with_quote('"', own);
                }
                scope.insert(name, own);
            }
        }
        self.scopes.push(scope);
        self.withs.push(with);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        query.with = self.withs.pop().flatten();
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else {
            return ControlFlow::Continue(());
        };
        let [ObjectNamePart::Identifier(only)] = &name.0[..] else { return ControlFlow::Continue(()) };
        if let Some(Some(own)) = self.known(&folded(only)) {
            let written = only.clone();
            let own = ObjectName(vec![ObjectNamePart::Identifier(Ident::with_quote('"', own))]);
            *name = own;
            alias.get_or_insert(TableAlias { explicit: true, name: written, columns: Vec::new(), at: None });
        }
        ControlFlow::Continue(())
    }
}

/// `select n as id from t order by t.id`: the column gets its name once the rows are sorted.
struct Sorted;

impl VisitorMut for Sorted {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let Some(OrderBy { kind: OrderByKind::Expressions(sorted), .. }) = &mut query.order_by else {
            return ControlFlow::Continue(());
        };
        let SetExpr::Select(select) = &mut *query.body else { return ControlFlow::Continue(()) };
        let mut by = Vec::new();
        for one in sorted.iter() {
            names(&one.expr, &mut by);
        }
        let mut renamed: BTreeMap<String, (Ident, Ident)> = BTreeMap::new();
        for item in &mut select.projection {
            let SelectItem::ExprWithAlias { expr, alias } = item else { continue };
            let name = folded(alias);
            let is_itself = |path: &[Ident]| match &*expr {
                Expr::CompoundIdentifier(own) => own.iter().map(folded).eq(path.iter().map(folded)),
                Expr::Identifier(own) => folded(own) == name,
                _ => false,
            };
            let is_sorted_by = by
                .iter()
                .any(|path| path.last().is_some_and(|last| folded(last) == name) && !is_itself(path));
            if is_sorted_by && !renamed.contains_key(&name) {
                let own = Ident::with_quote('"', format!("_elt_sorted_{}", renamed.len()));
                let written = std::mem::replace(alias, own.clone());
                renamed.insert(name, (own, written));
            }
        }
        if renamed.is_empty() {
            return ControlFlow::Continue(());
        }
        for one in sorted {
            rename(&mut one.expr, &renamed);
        }
        let inner = std::mem::replace(query, empty_query());
        query.with = None;
        let alias = TableAlias {
            explicit: true,
            name: Ident::with_quote('"', "_elt_rows"),
            columns: Vec::new(),
            at: None,
        };
        let relation = TableFactor::Derived {
            lateral: false,
            subquery: Box::new(inner),
            alias: Some(alias),
            sample: None,
        };
        if let Ok(Statement::Query(star)) = parse_query("select * rename (a as b) from t")
            && let SetExpr::Select(mut star) = *star.body
        {
            if let Some(SelectItem::Wildcard(options)) = star.projection.first_mut()
                && let Some(RenameSelectItem::Multiple(pairs)) = &mut options.opt_rename
                && let Some(pair) = pairs.pop()
            {
                for (own, written) in renamed.into_values() {
                    let mut pair = pair.clone();
                    (pair.ident, pair.alias) = (own, written);
                    pairs.push(pair);
                }
            }
            star.from = vec![TableWithJoins { relation, joins: Vec::new() }];
            *query.body = SetExpr::Select(star);
        }
        ControlFlow::Continue(())
    }
}

/// The names with a table before them, not those in queries.
fn names(expr: &Expr, found: &mut Vec<Vec<Ident>>) {
    outside_queries(&mut expr.clone(), |expr| {
        if let Expr::CompoundIdentifier(path) = expr {
            found.push(path.clone());
        }
    });
}

fn rename(expr: &mut Expr, renamed: &BTreeMap<String, (Ident, Ident)>) {
    outside_queries(expr, |expr| {
        if let Expr::Identifier(name) = expr
            && let Some((own, _)) = renamed.get(&folded(name))
        {
            *name = own.clone();
        }
    });
}

/// Shows every part of an expression, from the inside out, but nothing of the queries in it.
pub(in crate::query) fn outside_queries(expr: &mut Expr, show: impl FnMut(&mut Expr)) {
    struct Outside<F> {
        queries: usize,
        show: F,
    }
    impl<F: FnMut(&mut Expr)> VisitorMut for Outside<F> {
        type Break = ();

        fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.queries += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.queries -= 1;
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if self.queries == 0 {
                (self.show)(expr);
            }
            ControlFlow::Continue(())
        }
    }
    let _: ControlFlow<()> = VisitMut::visit(expr, &mut Outside { queries: 0, show });
}

/// Gives the tables that a subquery asks from around it names that no column has. Says whether there were any.
///
/// For when a name with a dot was taken for a column and its member. The engine looks for columns of the subquery's own
/// tables first; SQL looks for a table.
pub(in crate::query) fn name_tables(statement: &mut Statement) -> bool {
    let mut naming = Naming { selects: Vec::new(), count: 0 };
    let _: ControlFlow<()> = statement.visit(&mut naming);
    naming.count > 0
}

struct Naming {
    /// The tables of the selects around: what each is called, and what it is to be called.
    selects: Vec<BTreeMap<String, String>>,
    count: usize,
}

const NAMED: &str = "_elt_table_";

/// What a table is called in its select.
fn called(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(folded(&alias.name))
        }
        TableFactor::Table { name, args: None, .. } => match name.0.last() {
            Some(ObjectNamePart::Identifier(last)) => Some(folded(last)),
            _ => None,
        },
        _ => None,
    }
}

impl Naming {
    /// Whether a subquery of this select asks for one of its tables by its name.
    fn asked(select: &Select, name: &str) -> bool {
        struct Asked<'a> {
            name: &'a str,
            queries: usize,
            found: bool,
        }
        impl VisitorMut for Asked<'_> {
            type Break = ();

            fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
                self.queries += 1;
                ControlFlow::Continue(())
            }

            fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
                self.queries -= 1;
                ControlFlow::Continue(())
            }

            fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
                if let Expr::CompoundIdentifier(path) = expr {
                    self.found |=
                        self.queries > 0 && path.first().is_some_and(|first| folded(first) == self.name);
                }
                ControlFlow::Continue(())
            }
        }
        let mut asked = Asked { name, queries: 0, found: false };
        let _: ControlFlow<()> = select.clone().visit(&mut asked);
        asked.found
    }
}

impl VisitorMut for Naming {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        for table in &select.from {
            for factor in
                std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation))
            {
                let Some(name) = called(factor) else { continue };
                let is_new = !name.starts_with(NAMED);
                let own = match is_new && Self::asked(select, &name) {
                    true => {
                        self.count += 1;
                        format!("{NAMED}{}_{name}", self.count)
                    }
                    false => name.clone(),
                };
                names.insert(name, own);
            }
        }
        for table in &mut select.from {
            let factors = std::iter::once(&mut table.relation)
                .chain(table.joins.iter_mut().map(|join| &mut join.relation));
            for factor in factors {
                let Some(own) = called(factor).and_then(|name| names.get(&name).filter(|own| **own != name))
                else {
                    continue;
                };
                let own = Ident::with_quote('"', own);
                if let TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } = factor {
                    match alias {
                        Some(alias) => alias.name = own,
                        None => {
                            *alias =
                                Some(TableAlias { explicit: true, name: own, columns: Vec::new(), at: None });
                        }
                    }
                }
            }
        }
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item
                && let [ObjectNamePart::Identifier(only)] = &mut name.0[..]
                && let Some(own) = names.get(&folded(only)).filter(|own| **own != folded(only))
            {
                *only = Ident::with_quote('"', own);
            }
        }
        self.selects.push(names);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.selects.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(path) = expr
            && let Some(first) = path.first_mut()
        {
            let name = folded(first);
            let own = self.selects.iter().rev().find_map(|select| select.get(&name));
            if let Some(own) = own.filter(|own| **own != name) {
                *first = Ident::with_quote('"', own);
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(sql: &str) -> String {
        let mut statement = parse_query(sql).unwrap();
        tell_apart(&mut statement);
        statement.to_string()
    }

    #[test]
    fn a_name_that_is_there_twice_becomes_two() {
        assert_eq!(
            said("select n as id, x from t order by t.id, id"),
            "SELECT * RENAME (\"_elt_sorted_0\" AS id) FROM (SELECT n AS \"_elt_sorted_0\", x FROM t ORDER BY t.id, \
             \"_elt_sorted_0\") AS \"_elt_rows\""
        );
        for same in ["SELECT t.id AS id FROM t ORDER BY t.id", "SELECT n AS m FROM t ORDER BY t.id"] {
            assert_eq!(said(same), same);
        }
        assert_eq!(
            said(
                "with a as (select 1 x) select * from a where exists (with a as (select 2 x from a) select 1 from a)"
            ),
            "WITH a AS (SELECT 1 AS x) SELECT * FROM a WHERE EXISTS (WITH \"_elt_1_a\" AS (SELECT 2 AS x FROM a) SELECT 1 \
             FROM \"_elt_1_a\" AS a)"
        );
        let once = "WITH a AS (SELECT 1 AS x), b AS (SELECT * FROM a) SELECT * FROM b";
        assert_eq!(said(once), once);
    }

    #[test]
    fn tables_that_subqueries_ask_for_get_names() {
        let mut statement =
            parse_query("select i, w.*, exists (select 1 from u where u.id = w.i) from w where w.i > 1")
                .unwrap();
        assert!(name_tables(&mut statement));
        assert_eq!(
            statement.to_string(),
            "SELECT i, \"_elt_table_1_w\".*, EXISTS (SELECT 1 FROM u WHERE u.id = \"_elt_table_1_w\".i) \
             FROM w AS \"_elt_table_1_w\" WHERE \"_elt_table_1_w\".i > 1"
        );
        assert!(!name_tables(&mut statement), "once is enough");
    }
}
