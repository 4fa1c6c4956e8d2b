//! How are texts compared, if not letter by letter?
//!
//! `x COLLATE NOCASE` in a comparison and behind ORDER BY compares `lower(x)`, NOACCENT without accents; `UTF8_LCASE` of
//! Databricks is NOCASE. As bytes (`C`, `BINARY`) texts are compared always. Elsewhere, in GROUP BY or for a column of a list,
//! `clauses` refuses it.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArgumentClause, FunctionArguments, OrderByExpr, OrderByKind, Query,
    Statement, VisitMut, VisitorMut, WindowType,
};

use super::spelling::called;

/// Puts what is compared into words that the engine knows.
pub(super) fn spell(statement: &mut Statement) {
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut Collations);
}

/// What is done to both sides of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Folded {
    case: bool,
    accents: bool,
}

impl Folded {
    fn of(&self, expr: Expr) -> Expr {
        let expr = if self.case { called("lower", [&expr]) } else { expr };
        if self.accents { called("strip_accents", [&expr]) } else { expr }
    }
}

struct Collations;

/// A text and its collation, if it is one that is known.
fn collated(expr: &Expr) -> Option<(Expr, Folded)> {
    match expr {
        Expr::Nested(inner) => collated(inner),
        Expr::Collate { expr, collation } => {
            let mut folded = Folded::default();
            for word in collation.to_string().replace('"', "").to_lowercase().split('.') {
                match word {
                    "nocase" | "utf8_lcase" => folded.case = true,
                    "noaccent" => folded.accents = true,
                    "c" | "posix" | "binary" | "utf8_binary" | "default" => {}
                    _ => return None,
                }
            }
            Some(((**expr).clone(), folded))
        }
        _ => None,
    }
}

/// The same change for all that are compared with each other, if one of them has a collation.
fn fold_together(mut compared: Vec<&mut Expr>) {
    let Some(folded) = compared.iter().find_map(|expr| Some(collated(expr)?.1)) else { return };
    for expr in &mut compared {
        let plain = collated(expr).map_or_else(|| expr.clone(), |(plain, _)| plain);
        **expr = folded.of(plain);
    }
}

fn fold_keys(keys: &mut [OrderByExpr]) {
    keys.iter_mut().for_each(|key| fold_together(vec![&mut key.expr]));
}

fn compares(op: &BinaryOperator) -> bool {
    use BinaryOperator as O;
    matches!(op, O::Eq | O::NotEq | O::Lt | O::LtEq | O::Gt | O::GtEq)
}

impl VisitorMut for Collations {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(OrderByKind::Expressions(keys)) = query.order_by.as_mut().map(|order| &mut order.kind) {
            fold_keys(keys);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::BinaryOp { left, op, right } if compares(op) => fold_together(vec![left, right]),
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                fold_together(vec![left, right]);
            }
            Expr::InList { expr, list, .. } => {
                fold_together(std::iter::once(&mut **expr).chain(list.iter_mut()).collect());
            }
            Expr::Between { expr, low, high, .. } => fold_together(vec![expr, low, high]),
            Expr::Like { expr, pattern, .. } => fold_together(vec![expr, pattern]),
            Expr::Function(call) => {
                if let Some(WindowType::WindowSpec(spec)) = &mut call.over {
                    fold_keys(&mut spec.order_by);
                }
                fold_keys(&mut call.within_group);
                if let FunctionArguments::List(list) = &mut call.args {
                    for clause in &mut list.clauses {
                        if let FunctionArgumentClause::OrderBy(keys) = clause {
                            fold_keys(keys);
                        }
                    }
                }
            }
            // As bytes: that is how they are compared.
            Expr::Collate { .. } => {
                if let Some((plain, folded)) = collated(expr)
                    && folded == Folded::default()
                {
                    *expr = plain;
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;
    use super::*;

    #[test]
    fn both_sides_are_compared_alike() {
        for (sql, means) in [
            ("select a = 'X' collate nocase", "SELECT lower(a) = lower('X')"),
            ("select 1 from t order by a collate nocase desc", "SELECT 1 FROM t ORDER BY lower(a) DESC"),
            ("select a collate nocase in ('X', b)", "SELECT lower(a) IN (lower('X'), lower(b))"),
            (
                "select a collate nocase.noaccent < b",
                "SELECT strip_accents(lower(a)) < strip_accents(lower(b))",
            ),
            ("select a collate \"C\"", "SELECT a"),
            ("select a collate nocase", "SELECT a COLLATE nocase"),
            ("select a = b collate de", "SELECT a = b COLLATE de"),
        ] {
            let mut statement = parse_query(sql).unwrap();
            spell(&mut statement);
            assert_eq!(statement.to_string(), means);
        }
    }
}
