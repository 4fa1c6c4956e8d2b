//! Do two queries say the same, however they are spelled?
//!
//! [`said`] reads a query and writes it down in one spelling: names without quotes in lower case, AS before every alias,
//! INNER and OUTER spelled out, and no brackets where they change nothing. Two queries that differ in anything else stay
//! two: what the parser does not give back word for word, and what may mean something else to the engine than to the
//! parser, is left as [`normal`] has it. Brackets go where nothing but a whole expression can stand, around what is one
//! thing by itself, and among AND, OR, comparisons and the four rules, of which every dialect has the same order.

use std::mem;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, CaseWhen, Cte, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, Value, VisitMut, VisitorMut,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::normal::normal;
use crate::base::with_stack;

/// Returns a query in one spelling; as [`normal`] has it, if it cannot be read for sure.
pub(super) fn said(sql: &str) -> String {
    with_stack(|| read(sql)).unwrap_or_else(|| normal(sql))
}

fn read(sql: &str) -> Option<String> {
    let words = words(sql)?;
    let mut parser = Parser::new(&GenericDialect {}).try_with_sql(sql).ok()?;
    let mut statements = parser.parse_statements().ok()?;
    let mut statement = statements.pop().filter(|_| statements.is_empty())?;
    // What the parser forgets, or takes for something else, would be forgotten here.
    if words != self::words(&statement.to_string())? {
        return None;
    }
    let is_read = statement.visit(&mut Names).is_continue() && statement.visit(&mut Brackets).is_continue();
    is_read.then(|| format!("said {statement}"))
}

/// The words of a query without AS, those without quotes in lower case.
fn words(sql: &str) -> Option<Vec<Token>> {
    let mut tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().ok()?;
    tokens.retain(|token| match token {
        Token::Whitespace(_) | Token::SemiColon => false,
        Token::Word(word) => word.quote_style.is_some() || !word.value.eq_ignore_ascii_case("as"),
        _ => true,
    });
    for token in &mut tokens {
        if let Token::Word(word) = token
            && word.quote_style.is_none()
        {
            word.value = word.value.to_lowercase();
        }
    }
    Some(tokens)
}

/// Gives names their one spelling.
struct Names;

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for Cte { alias, .. } in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            lower_alias(alias);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            match item {
                SelectItem::ExprWithAlias { alias, .. } => lower(alias),
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    lower_all(name);
                }
                _ => {}
            }
        }
        let joins = select.from.iter_mut().flat_map(|from| &mut from.joins);
        for join in joins {
            let operator = mem::replace(&mut join.join_operator, JoinOperator::CrossApply);
            join.join_operator = match operator {
                JoinOperator::Join(on) => JoinOperator::Inner(on),
                JoinOperator::Left(on) => JoinOperator::LeftOuter(on),
                JoinOperator::Right(on) => JoinOperator::RightOuter(on),
                other => other,
            };
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let alias = match factor {
            TableFactor::Table { alias, .. }
            | TableFactor::Derived { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::NestedJoin { alias, .. } => alias,
            _ => return ControlFlow::Continue(()),
        };
        alias.iter_mut().for_each(lower_alias);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &mut ObjectName) -> ControlFlow<()> {
        lower_all(name);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) => lower(name),
            Expr::CompoundIdentifier(names) => names.iter_mut().for_each(lower),
            Expr::Function(function) => lower_all(&mut function.name),
            // A parameter is a name of another kind; with brackets, what stands before a dot is another thing.
            Expr::Lambda(_) | Expr::CompoundFieldAccess { .. } | Expr::JsonAccess { .. } => {
                return ControlFlow::Break(());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn lower(name: &mut Ident) {
    if name.quote_style.is_none() {
        name.value = name.value.to_lowercase();
    }
}

fn lower_all(name: &mut ObjectName) {
    for part in &mut name.0 {
        if let ObjectNamePart::Identifier(name) = part {
            lower(name);
        }
    }
}

fn lower_alias(alias: &mut TableAlias) {
    alias.explicit = true;
    lower(&mut alias.name);
    alias.columns.iter_mut().for_each(|column| lower(&mut column.name));
}

/// Takes brackets off that change nothing.
struct Brackets;

impl VisitorMut for Brackets {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        sides(&mut query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            let alias = match item {
                // What is nobody's name is named by how it is written, brackets and all.
                SelectItem::UnnamedExpr(expr)
                    if !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) =>
                {
                    Ident::with_quote('`', expr.to_string())
                }
                SelectItem::ExprWithAlias { expr, .. } => {
                    settle(expr);
                    continue;
                }
                _ => continue,
            };
            let SelectItem::UnnamedExpr(expr) = item else { continue };
            settle(expr);
            *item = SelectItem::ExprWithAlias { expr: mem::replace(expr, Expr::value(Value::Null)), alias };
        }
        let conditions = [&mut select.selection, &mut select.having, &mut select.qualify];
        conditions.into_iter().flatten().for_each(settle);
        for join in select.from.iter_mut().flat_map(|from| &mut from.joins) {
            match &mut join.join_operator {
                JoinOperator::Inner(JoinConstraint::On(on))
                | JoinOperator::LeftOuter(JoinConstraint::On(on))
                | JoinOperator::RightOuter(JoinConstraint::On(on))
                | JoinOperator::FullOuter(JoinConstraint::On(on)) => settle(on),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        while let Expr::Nested(inner) = expr
            && is_one_thing(inner)
        {
            let inner = mem::replace(&mut **inner, Expr::value(Value::Null));
            *expr = inner;
        }
        match expr {
            Expr::Nested(inner) => loosen(inner),
            Expr::Function(Function { args: FunctionArguments::List(list), .. }) => {
                for argument in &mut list.args {
                    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument {
                        settle(expr);
                    }
                }
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                operand.iter_mut().chain(else_result).for_each(|expr| settle(expr));
                for CaseWhen { condition, result } in conditions {
                    settle(condition);
                    settle(result);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Takes the brackets off a SELECT that is one side of a UNION and its like, and has no order or limit of its own.
fn sides(set: &mut SetExpr) {
    let SetExpr::SetOperation { left, right, .. } = set else { return };
    for side in [left, right] {
        if let SetExpr::Query(inner) = &**side
            && matches!(*inner.body, SetExpr::Select(_))
            && inner.to_string() == inner.body.to_string()
        {
            *side = inner.body.clone();
        }
        sides(side);
    }
}

/// Whether something is one thing with brackets and without. A number is another where an order or a group asks for one.
fn is_one_thing(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(name) => !name.value.eq_ignore_ascii_case("all"),
        Expr::CompoundIdentifier(_) | Expr::Function(_) | Expr::Case { .. } | Expr::Nested(_) => true,
        _ => false,
    }
}

/// Takes the brackets off an expression that stands by itself, and those in it.
fn settle(expr: &mut Expr) {
    while let Expr::Nested(inner) = expr
        && !matches!(**inner, Expr::Value(_))
    {
        let inner = mem::replace(&mut **inner, Expr::value(Value::Null));
        *expr = inner;
    }
    loosen(expr);
}

/// Takes brackets off in an expression that is bounded on both sides, if nothing is in it of which the order is not the
/// same everywhere.
fn loosen(expr: &mut Expr) {
    if is_plain(expr) {
        flatten(expr);
    }
}

fn is_plain(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryOp { left, op, right } => level(op).is_some() && is_plain(left) && is_plain(right),
        Expr::Nested(inner) => is_plain(inner),
        Expr::Value(_) => true,
        other => is_one_thing(other),
    }
}

fn flatten(expr: &mut Expr) {
    let Expr::BinaryOp { left, op, right } = expr else {
        if let Expr::Nested(inner) = expr {
            flatten(inner);
        }
        return;
    };
    flatten(left);
    flatten(right);
    let Some(own) = level(op) else { return };
    let is_chain = matches!(op, BinaryOperator::And | BinaryOperator::Or);
    // Comparisons are not chained; others go from left to right.
    let on_the_left = if own == COMPARED { own + 1 } else { own };
    let on_the_right = if is_chain { own } else { own + 1 };
    for (side, least) in [(&mut **left, on_the_left), (&mut **right, on_the_right)] {
        if let Expr::Nested(inner) = side
            && let Expr::BinaryOp { op, .. } = &**inner
            && level(op).is_some_and(|level| level >= least)
        {
            let inner = mem::replace(&mut **inner, Expr::value(Value::Null));
            *side = inner;
        }
    }
}

/// The level of comparisons.
const COMPARED: u8 = 3;

/// How tightly an operator binds; nothing for those on which dialects differ.
fn level(op: &BinaryOperator) -> Option<u8> {
    Some(match op {
        BinaryOperator::Or => 1,
        BinaryOperator::And => 2,
        BinaryOperator::Eq
        | BinaryOperator::NotEq
        | BinaryOperator::Lt
        | BinaryOperator::LtEq
        | BinaryOperator::Gt
        | BinaryOperator::GtEq => COMPARED,
        BinaryOperator::Plus | BinaryOperator::Minus => 4,
        BinaryOperator::Multiply | BinaryOperator::Divide | BinaryOperator::Modulo => 5,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_query_are_one() {
        for (one, other) in [
            ("select 1 y", "SELECT 1 AS Y"),
            ("select ID, Sum(X) from T group by 1", "select id, SUM(x) from t group by 1"),
            ("select a from t where (x > 1)", "select A from t where ((x > 1))"),
            ("select a from t where x > 1 and y = 2", "select a from t where (x > 1) and (Y = 2)"),
            ("select a from t where x and y and z", "select a from t where x and (y and z)"),
            ("select a from t where x or y and z", "select a from t where x or (y and z)"),
            ("select a + b * c as n from t", "select (a + (b * c)) n from t"),
            ("select a - b - c as n from t", "select (a - b) - c as n from t"),
            ("select f(a + b) as n from t", "select f((a + b)) as n from t"),
            (
                "select case when a = 1 then b end as n from t",
                "select case when (a = 1) then (b) end n from t",
            ),
            (
                "select 1 as n from a x join b y on x.i = y.i",
                "select 1 n from a as X inner join b as y on (x.i = Y.i)",
            ),
            (
                "select 1 as n from a left join b using (i)",
                "select 1 as n from a left outer join b using (i)",
            ),
            ("with q as (select 1 as a) select q.* from q", "with Q as (select 1 a) select Q.* from q;"),
            ("select a from \"main\".\"T\" t", "select a from \"main\".\"T\" as t"),
            ("select 1 as w union all select 2", "select 1 w union all (select 2)"),
        ] {
            assert_eq!(said(one), said(other), "{one} | {other}");
            assert!(said(one).starts_with("said "), "{one}: {}", said(one));
        }
    }

    #[test]
    fn what_is_another_query_stays_another() {
        for (one, other) in [
            ("select a from t", "select \"A\" from t"),
            ("select \"a\" from t", "select a from t"),
            ("select 'a' as x", "select 'A' as x"),
            ("select a x from t", "select a y from t"),
            ("select (a + b) * c as n from t", "select a + b * c as n from t"),
            ("select a - (b - c) as n from t", "select a - b - c as n from t"),
            ("select a / (b * c) as n from t", "select a / b * c as n from t"),
            ("select a from t where (x or y) and z", "select a from t where x or y and z"),
            ("select a from t where (a = b) = c", "select a from t where a = (b = c)"),
            ("select a from t where not (x and y)", "select a from t where not x and y"),
            ("select a || (b + c) as n from t", "select a || b + c as n from t"),
            ("select (a + b) || c as n from t", "select a + b || c as n from t"),
            ("select a from t order by (1)", "select a from t order by 1"),
            ("select (1)::int", "select 1::int"),
            ("select (a).b as n from t", "select a.b as n from t"),
            ("select {'A': 1} as n", "select {'a': 1} as n"),
            ("select f(A => 1) as n", "select f(a => 1) as n"),
            ("select 1.0 as n", "select 1.00 as n"),
            ("select a from t join u on x = y", "select a from t left join u on x = y"),
            ("select a from t as of 1", "select a from t as of 2"),
            ("select a from t limit 1", "select a from t"),
            ("select 1 union all (select 2 limit 1)", "select 1 union all select 2 limit 1"),
            ("select 1 union all (select 2 except select 2)", "select 1 union all select 2 except select 2"),
            ("select distinct a from t", "select a from t"),
            ("select current_date as n", "select current_date() as n"),
            ("select -(a + b) as n from t", "select -a + b as n from t"),
            ("select (a, b) as n from t", "select a, b as n from t"),
            ("select x from t where a in (1)", "select x from t where a in ((1), 2)"),
            ("not a query (", "not a query"),
        ] {
            assert_ne!(said(one), said(other), "{one} | {other}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_known_by_its_words() {
        let sql = "select 1 frm t where (";
        assert_eq!(said(sql), normal(sql));
    }
}
