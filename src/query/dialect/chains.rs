//! What is `list.list_sort().list_reverse()`?
//!
//! A function behind a dot has what stands before it as its first argument: `list_reverse(list_sort(list))`.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectNamePart, Statement,
    VisitMut, VisitorMut,
};

/// Schemas that functions are called by elsewhere.
const SCHEMAS: &[&str] = &["pg_catalog", "information_schema", "system", "main", "public", "elt"];

/// Turns chains inside out.
pub(super) fn turn(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut Turner);
}

struct Turner;

impl VisitorMut for Turner {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let other = match &mut *expr {
            Expr::Function(call) => behind_a_name(call),
            Expr::CompoundFieldAccess { root, access_chain } => chained(root, access_chain),
            _ => None,
        };
        if let Some(other) = other {
            *expr = other;
        }
        ControlFlow::Continue(())
    }
}

/// The call with one argument more.
fn with_first(mut call: Function, first: Expr) -> Option<Expr> {
    let FunctionArguments::List(list) = &mut call.args else { return None };
    list.args.insert(0, FunctionArg::Unnamed(FunctionArgExpr::Expr(first)));
    Some(Expr::Function(call))
}

/// `a.list_sort()`, which is read as a function of a schema.
fn behind_a_name(call: &Function) -> Option<Expr> {
    let (last, before) = call.name.0.split_last()?;
    let names: Option<Vec<_>> = before.iter().map(|part| part.as_ident().cloned()).collect();
    let mut names = names.filter(|names| !names.is_empty())?;
    if SCHEMAS.contains(&names[0].value.to_lowercase().as_str()) {
        return None;
    }
    let first = match names.len() {
        1 => Expr::Identifier(names.remove(0)),
        _ => Expr::CompoundIdentifier(names),
    };
    let mut call = call.clone();
    call.name.0 = vec![last.clone()];
    with_first(call, first)
}

/// `(…).upper().length()`
fn chained(root: &Expr, chain: &[AccessExpr]) -> Option<Expr> {
    let is_call = |access: &AccessExpr| matches!(access, AccessExpr::Dot(Expr::Function(_)));
    if !chain.iter().any(is_call) {
        return None;
    }
    let mut whole = root.clone();
    for access in chain {
        whole = match access {
            AccessExpr::Dot(Expr::Function(call)) => {
                let is_plain = matches!(&call.name.0[..], [ObjectNamePart::Identifier(_)]);
                with_first(call.clone(), whole).filter(|_| is_plain)?
            }
            AccessExpr::Dot(Expr::Identifier(name)) => match whole {
                Expr::Identifier(first) => Expr::CompoundIdentifier(vec![first, name.clone()]),
                Expr::CompoundIdentifier(mut names) => {
                    names.push(name.clone());
                    Expr::CompoundIdentifier(names)
                }
                other => {
                    Expr::CompoundFieldAccess { root: Box::new(other), access_chain: vec![access.clone()] }
                }
            },
            other => match whole {
                Expr::CompoundFieldAccess { root, mut access_chain } => {
                    access_chain.push(other.clone());
                    Expr::CompoundFieldAccess { root, access_chain }
                }
                root => Expr::CompoundFieldAccess { root: Box::new(root), access_chain: vec![other.clone()] },
            },
        };
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;
    use super::*;

    #[test]
    fn chains_are_turned_inside_out() {
        for (sql, means) in [
            ("select 'abc'.upper().length()", "SELECT length(upper('abc'))"),
            ("select [3, 1].list_sort()[1]", "SELECT list_sort([3, 1])[1]"),
            ("select a.list_sort(), t.a.list_concat(b)", "SELECT list_sort(a), list_concat(t.a, b)"),
            ("select pg_catalog.version(), (s).f", "SELECT pg_catalog.version(), (s).f"),
        ] {
            let mut statement = parse_query(sql).unwrap();
            turn(&mut statement);
            assert_eq!(statement.to_string(), means, "{sql}");
        }
    }
}
