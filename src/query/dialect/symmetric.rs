//! `a between symmetric b and c`: between the two, whichever is the smaller.
//!
//! The parser knows no SYMMETRIC. It is read as a call around what follows, which [`both_ways`] takes apart again.

use sqlparser::ast::{BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator};
use sqlparser::dialect::{Dialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::statement::parse_expression;

/// The name of the call.
const MARK: &str = "_elt_symmetric";

/// Reads SYMMETRIC and ASYMMETRIC behind BETWEEN, with the bound that follows.
pub(super) fn bound(dialect: &dyn Dialect, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let is = |token: &Token, keyword: Keyword| matches!(token, Token::Word(word) if word.keyword == keyword);
    let next = parser.peek_token().token;
    let is_symmetric = is(&next, Keyword::SYMMETRIC);
    if !(is_symmetric || is(&next, Keyword::ASYMMETRIC))
        || !is(&parser.get_current_token().token, Keyword::BETWEEN)
    {
        return None;
    }
    // A column may have the name.
    if is(&parser.peek_nth_token(1).token, Keyword::AND) {
        return None;
    }
    parser.next_token();
    let bound = parser.parse_subexpr(dialect.prec_value(Precedence::Between));
    Some(bound.map(|bound| match is_symmetric {
        true => marked(bound),
        false => bound,
    }))
}

fn marked(bound: Expr) -> Expr {
    let mut call = parse_expression(&format!("{MARK}(1)")).expect("our own expressions are correct");
    if let Expr::Function(function) = &mut call
        && let FunctionArguments::List(list) = &mut function.args
    {
        list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(bound))];
    }
    call
}

/// `(a between b and c) or (a between c and b)`, if that is what a BETWEEN means.
pub(super) fn both_ways(of: &Expr, negated: bool, low: &Expr, high: &Expr) -> Option<Expr> {
    let Expr::Function(function) = low else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    if function.name.to_string() != MARK {
        return None;
    }
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(low))] = &list.args[..] else { return None };
    let between = |low: &Expr, high: &Expr| Expr::Between {
        expr: Box::new(of.clone()),
        negated: false,
        low: Box::new(low.clone()),
        high: Box::new(high.clone()),
    };
    let whole = Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(between(low, high)),
        op: BinaryOperator::Or,
        right: Box::new(between(high, low)),
    }));
    Some(match negated {
        true => Expr::Nested(Box::new(Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(whole) })),
        false => whole,
    })
}
