//! What is an alias in the list that gives it, or in the `where` below?

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Query, Select, SelectItem, VisitMut, VisitorMut};

use super::{Column, folded};
use crate::query::SqlMistake;

/// Whether an item of the list, or the `where`, uses a name that the list gave before.
pub(super) fn refers_to_itself(select: &Select) -> bool {
    let mut aliases: Vec<(String, Expr)> = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) if uses(expr, &aliases) => return true,
            SelectItem::ExprWithAlias { expr, alias } => {
                if uses(expr, &aliases) {
                    return true;
                }
                aliases.push((folded(alias), expr.clone()));
            }
            _ => {}
        }
    }
    select.selection.as_ref().is_some_and(|condition| uses(condition, &aliases))
}

fn uses(expr: &Expr, aliases: &[(String, Expr)]) -> bool {
    let mut copy = expr.clone();
    substitute(&mut copy, aliases)
}

/// Puts what an alias stands for in its place, where no column of the tables has its name.
pub(super) fn spell_aliases(select: &mut Select, columns: &[Column]) -> Result<(), Box<SqlMistake>> {
    let mut aliases: Vec<(String, Expr)> = Vec::new();
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => drop(substitute(expr, &aliases)),
            SelectItem::ExprWithAlias { expr, alias } => {
                substitute(expr, &aliases);
                let name = folded(alias);
                let is_itself = matches!(&*expr, Expr::Identifier(own) if folded(own) == name);
                if !is_itself && !columns.iter().any(|column| column.name == name) {
                    aliases.push((name, expr.clone()));
                }
            }
            _ => {}
        }
    }
    if let Some(condition) = &mut select.selection {
        substitute(condition, &aliases);
    }
    Ok(())
}

/// Says whether anything was put in. Names inside subqueries are theirs.
fn substitute(expr: &mut Expr, aliases: &[(String, Expr)]) -> bool {
    struct Put<'a> {
        aliases: &'a [(String, Expr)],
        depth: usize,
        done: bool,
    }
    impl VisitorMut for Put<'_> {
        type Break = ();

        fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }

        // After its parts: what is put in is not looked at again.
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let (Expr::Identifier(name), 0) = (&*expr, self.depth)
                && let Some((_, meaning)) =
                    self.aliases.iter().rev().find(|(alias, _)| *alias == folded(name))
            {
                *expr = Expr::Nested(Box::new(meaning.clone()));
                self.done = true;
            }
            ControlFlow::Continue(())
        }
    }
    let mut put = Put { aliases, depth: 0, done: false };
    let _ = expr.visit(&mut put);
    put.done
}
