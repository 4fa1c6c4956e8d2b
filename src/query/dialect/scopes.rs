//! Which of two things of one name is meant?
//!
//! A CTE of a subquery may be called as one around it, and a column as a table (`w.i` in a subquery whose table has a column
//! `w`). The engine knows one of each; so one of the two gets another name where both are meant. Columns of the list that are
//! called as one that the rows are sorted by: `sorted`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, Statement, Subscript, TableAlias, TableFactor, VisitMut, VisitorMut,
    With,
};

pub(super) fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// Gives CTEs that are called as others around them names of their own.
pub(super) fn tell_apart(statement: &mut Statement) {
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

/// Makes fields of columns of what looks like columns of tables that no select around knows, within subqueries: `(select s.a)`
/// with a struct `s` in the row around. Says whether there were any.
pub(in crate::query) fn fields_of_columns(statement: &mut Statement) -> bool {
    let mut fields = Fields { selects: Vec::new(), found: false };
    let _: ControlFlow<()> = statement.visit(&mut fields);
    fields.found
}

struct Fields {
    /// What the tables of the selects around are called.
    selects: Vec<Vec<String>>,
    found: bool,
}

impl VisitorMut for Fields {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let factors = select.from.iter().flat_map(|table| {
            std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation))
        });
        self.selects.push(factors.filter_map(called).collect());
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.selects.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::CompoundIdentifier(path) = expr else { return ControlFlow::Continue(()) };
        let [first, .., _] = &path[..] else { return ControlFlow::Continue(()) };
        let name = folded(first);
        // In the outermost select the engine finds fields by itself; and a name of a table of that name is one.
        let is_table = self.selects.iter().flatten().any(|table| *table == name);
        if self.selects.len() < 2 || is_table && path.len() == 2 {
            return ControlFlow::Continue(());
        }
        let known = if is_table { 2 } else { 1 };
        let root = match &path[..known] {
            [only] => Expr::Identifier(only.clone()),
            names => Expr::CompoundIdentifier(names.to_vec()),
        };
        let index = |name: &Ident| {
            let index = Expr::value(sqlparser::ast::Value::SingleQuotedString(folded(name)));
            AccessExpr::Subscript(Subscript::Index { index })
        };
        let access_chain = path[known..].iter().map(index).collect();
        *expr = Expr::CompoundFieldAccess { root: Box::new(root), access_chain };
        self.found = true;
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::dialect::parse_query;

    fn said(sql: &str) -> String {
        let mut statement = parse_query(sql).unwrap();
        tell_apart(&mut statement);
        statement.to_string()
    }

    #[test]
    fn a_name_that_is_there_twice_becomes_two() {
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
