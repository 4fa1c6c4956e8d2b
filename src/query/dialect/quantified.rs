//! What is compared with any or all items of a list, and what is a list of rows?
//!
//! `x = any(list)` is unknown if no item is equal and one is null; the engine has that right for ALL, and not for ANY. One is
//! the other, turned round twice. `array(select …)` is the list of a query's rows, in their order.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArguments, Ident, OrderBy, OrderByKind, Query, SelectItem,
    SetExpr, Statement, UnaryOperator, VisitMut, VisitorMut,
};

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::statement::parse_query;

/// Rewrites what the engine would answer otherwise.
pub(super) fn respell(statement: &mut Statement) {
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut Quantified);
}

struct Quantified;

impl VisitorMut for Quantified {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let other = match expr {
            Expr::AnyOp { left, compare_op, right, is_some: _ } => any(left, compare_op, right),
            Expr::Function(call) => array_of_rows(call),
            _ => None,
        };
        if let Some(other) = other {
            *expr = other;
        }
        ControlFlow::Continue(())
    }
}

/// `any (values (1), (2))` as `any (select * from (values (1), (2)))`: sqlparser takes the first for a call.
pub(super) fn of_values(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_word = |token: &Token, wanted: &[&str]| {
        matches!(token, Token::Word(word)
        if word.quote_style.is_none() && wanted.iter().any(|wanted| word.value.eq_ignore_ascii_case(wanted)))
    };
    let at: Vec<usize> =
        (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect();
    let begins = |place: usize| {
        is_word(&tokens[at[place]].token, &["any", "some", "all"])
            && tokens[at[place + 1]].token == Token::LParen
            && is_word(&tokens[at[place + 2]].token, &["values"])
    };
    let starts: Vec<usize> =
        (0..at.len().saturating_sub(2)).filter(|place| begins(*place)).map(|place| at[place + 1]).collect();
    if starts.is_empty() {
        return tokens;
    }
    let mut spelt = Vec::with_capacity(tokens.len() + 6 * starts.len());
    // How many brackets are open, and how many were where one of them began.
    let (mut depth, mut open) = (0_usize, Vec::new());
    for (at, token) in tokens.into_iter().enumerate() {
        let span = token.span;
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => {
                if open.last() == Some(&depth) {
                    open.pop();
                    spelt.push(TokenWithSpan { token: Token::RParen, span });
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        spelt.push(token);
        if starts.contains(&at) {
            open.push(depth);
            let words =
                [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM"), Token::LParen];
            spelt.extend(words.map(|token| TokenWithSpan { token, span }));
        }
    }
    spelt
}

/// `x = any([…])` is `x in (…)`; another comparison with any is that none of the opposite holds for all.
fn any(left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Expr> {
    let list = match right {
        Expr::Subquery(_) => return None,
        Expr::Nested(inner) => inner,
        other => other,
    };
    if let (Expr::Array(array), BinaryOperator::Eq) = (list, op)
        && !array.elem.is_empty()
    {
        let (expr, list) = (Box::new(left.clone()), array.elem.clone());
        return Some(Expr::InList { expr, list, negated: false });
    }
    let opposite = match op {
        BinaryOperator::Eq => BinaryOperator::NotEq,
        BinaryOperator::NotEq => BinaryOperator::Eq,
        BinaryOperator::Lt => BinaryOperator::GtEq,
        BinaryOperator::GtEq => BinaryOperator::Lt,
        BinaryOperator::Gt => BinaryOperator::LtEq,
        BinaryOperator::LtEq => BinaryOperator::Gt,
        _ => return None,
    };
    let all =
        Expr::AllOp { left: Box::new(left.clone()), compare_op: opposite, right: Box::new(right.clone()) };
    let expr = Box::new(Expr::Nested(Box::new(all)));
    Some(Expr::Nested(Box::new(Expr::UnaryOp { op: UnaryOperator::Not, expr })))
}

// The name of a row's value, and that of what it is sorted by.
const VALUE: &str = "_elt_value";
const SORTED: &str = "_elt_sorted_";

/// `array(select x from t order by y)` is `(select coalesce(array_agg(x order by y), []) from …)`.
fn array_of_rows(call: &Function) -> Option<Expr> {
    let FunctionArguments::Subquery(query) = &call.args else { return None };
    if !call.name.to_string().eq_ignore_ascii_case("array") {
        return None;
    }
    let mut query = query.as_ref().clone();
    let mut sorted = String::new();
    if let SetExpr::Select(select) = &mut *query.body {
        let [item] = &mut select.projection[..] else { return None };
        let expr = match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr.clone(),
            _ => return None,
        };
        if let Some(OrderBy { kind: OrderByKind::Expressions(by), .. }) = &query.order_by
            && select.distinct.is_none()
        {
            let mut keys = Vec::new();
            for (at, key) in by.iter().enumerate() {
                let by_place = matches!(&key.expr, Expr::Value(value) if value.to_string() == "1");
                let by_name = matches!((&key.expr, &*item), (Expr::Identifier(name), SelectItem::ExprWithAlias { alias, .. }) if name.value == alias.value);
                let name = Ident::new(format!("{SORTED}{at}"));
                let order = if sorted.is_empty() { " order by " } else { ", " };
                sorted.push_str(&format!("{order}r.{name}{}", key.options));
                let key = if by_place || by_name { expr.clone() } else { key.expr.clone() };
                keys.push(SelectItem::ExprWithAlias { expr: key, alias: name });
            }
            *item = SelectItem::ExprWithAlias { expr, alias: Ident::new(VALUE) };
            select.projection.extend(keys);
        } else {
            *item = SelectItem::ExprWithAlias { expr, alias: Ident::new(VALUE) };
        }
    }
    let names =
        if matches!(*query.body, SetExpr::Select(_)) { "r".to_owned() } else { format!("r({VALUE})") };
    let text = format!("select coalesce(array_agg(r.{VALUE}{sorted}), []) from (select 1) as {names}");
    let Ok(Statement::Query(mut list)) = parse_query(&text) else {
        unreachable!("our own words are correct")
    };
    put_in_from(&mut list, query)?;
    Some(Expr::Subquery(list))
}

fn put_in_from(outer: &mut Query, inner: Query) -> Option<()> {
    let SetExpr::Select(select) = &mut *outer.body else { return None };
    let sqlparser::ast::TableFactor::Derived { subquery, .. } = &mut select.from.first_mut()?.relation else {
        return None;
    };
    **subquery = inner;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_is_not_all_of_the_opposite() {
        for (sql, means) in [
            ("select 3 = any([1, null])", "SELECT 3 IN (1, NULL)"),
            ("select 3 < any(xs)", "SELECT (NOT (3 >= ALL(xs)))"),
            ("select 3 = any(select 1)", "SELECT 3 = ANY(SELECT 1)"),
            (
                "select 3 = any (values (1), ((2))), f(1)",
                "SELECT 3 = ANY(SELECT * FROM (VALUES (1), ((2)))), f(1)",
            ),
            (
                "select array(select a from t order by b desc, 1)",
                "SELECT (SELECT coalesce(array_agg(r._elt_value ORDER BY r._elt_sorted_0 DESC, r._elt_sorted_1), []) FROM \
                 (SELECT a AS _elt_value, b AS _elt_sorted_0, a AS _elt_sorted_1 FROM t ORDER BY b DESC, 1) AS r)",
            ),
        ] {
            let mut statement = parse_query(sql).unwrap();
            respell(&mut statement);
            assert_eq!(statement.to_string(), means);
        }
    }
}
