//! Which operators does the parser not know?
//!
//! `2 ** 10`, `a GLOB 'x*'`, `a ISNULL`, `a NOTNULL`, `5 DIV 2`, `a IN [1, 2]`, `a IN xs`. Each is read as the call, or the condition, that it means.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};
use sqlparser::dialect::{Dialect, Precedence};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::spelling::called;

/// How tightly a sign belongs to its value: `-2 ** 2` is 4, as in Postgres and DuckDB, and `-2::int` a negative integer.
const SIGN: u8 = 46;

/// How tightly operators bind that have no place of their own: `j ->> 'a'`, `a <@ b`, `a || b`. Tighter than a comparison and the
/// operators of bits, less tight than a sum, as in Postgres and DuckDB: `j -> i + 1` is `j -> (i + 1)`.
pub(super) const OTHER: u8 = 26;

/// Reads a value with a sign in front of it: `-a`, `@a` for what it is without its sign, `!a` for NOT.
pub(super) fn signed(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let sign = parser.peek_token_ref().token.clone();
    if !matches!(sign, Token::Minus | Token::AtSign | Token::ExclamationMark) {
        return None;
    }
    parser.advance_token();
    let value = parser.parse_subexpr(SIGN);
    let signed = |op, value| Expr::UnaryOp { op, expr: Box::new(value) };
    Some(value.map(|value| match sign {
        Token::AtSign => called("abs", [&value]),
        Token::ExclamationMark => signed(UnaryOperator::Not, value),
        _ => signed(UnaryOperator::Minus, value),
    }))
}

/// One of those operators, before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Power,
    Glob,
    NotGlob,
    IsNull,
    IsNotNull,
    Divide,
    InList,
    NotInList,
}

fn is_word(parser: &Parser<'_>, at: usize, wanted: &str) -> bool {
    match &parser.peek_nth_token_ref(at).token {
        Token::Word(word) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted),
        _ => false,
    }
}

/// The operator that comes next, if it is one of ours.
fn next(parser: &Parser<'_>) -> Option<Operator> {
    let is_word = |at, wanted| is_word(parser, at, wanted);
    // Behind IN stands a bracket, or a list: `[1, 2]`, `xs`, `getvariable('xs')`.
    let is_list = |at| match &parser.peek_nth_token_ref(at).token {
        Token::LBracket => true,
        Token::Word(word) => {
            word.quote_style.is_some() || word.keyword == sqlparser::keywords::Keyword::NoKeyword
        }
        _ => false,
    };
    let has_operand = || begins_operand(&parser.peek_nth_token_ref(1).token);
    match &parser.peek_nth_token_ref(0).token {
        Token::Mul if parser.peek_nth_token_ref(1).token == Token::Mul => Some(Operator::Power),
        Token::Word(_) if is_word(0, "isnull") => Some(Operator::IsNull),
        Token::Word(_) if is_word(0, "notnull") => Some(Operator::IsNotNull),
        Token::Word(_) if is_word(0, "glob") && has_operand() => Some(Operator::Glob),
        Token::Word(_) if is_word(0, "div") && has_operand() => Some(Operator::Divide),
        Token::Word(_) if is_word(0, "not") && is_word(1, "glob") => Some(Operator::NotGlob),
        Token::Word(_) if is_word(0, "in") && is_list(1) => Some(Operator::InList),
        Token::Word(_) if is_word(0, "not") && is_word(1, "in") && is_list(2) => Some(Operator::NotInList),
        _ => None,
    }
}

/// Whether a value can begin with this: a column may be called as the operator is.
fn begins_operand(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            use sqlparser::keywords::Keyword as K;
            word.quote_style.is_some()
                || matches!(word.keyword, K::NoKeyword | K::CAST | K::CASE | K::NULL | K::ABS)
        }
        Token::Number(..) | Token::SingleQuotedString(_) | Token::LParen | Token::Minus => true,
        _ => false,
    }
}

/// How tightly the next operator binds, if it is one of ours.
pub(super) fn precedence(dialect: &dyn Dialect, parser: &Parser<'_>) -> Option<u8> {
    match parser.peek_token_ref().token {
        Token::StringConcat => return Some(OTHER),
        // A power, as `**` is; to some it is XOR, which `unsaid` knows.
        Token::Caret => return Some(SIGN - 1),
        _ => {}
    }
    let Some(next) = next(parser) else {
        // The parser holds the word for an operator wherever it stands.
        return is_word(parser, 0, "div").then_some(dialect.prec_unknown());
    };
    Some(match next {
        // Tighter than a product, and less tight than a sign.
        Operator::Power => SIGN - 1,
        Operator::Divide => dialect.prec_value(Precedence::MulDivModOp),
        Operator::InList | Operator::NotInList => dialect.prec_value(Precedence::Between),
        Operator::Glob | Operator::NotGlob => dialect.prec_value(Precedence::Like),
        Operator::IsNull | Operator::IsNotNull => dialect.prec_value(Precedence::Is),
    })
}

/// Reads the operator and what is right of it.
pub(super) fn read(
    parser: &mut Parser<'_>,
    left: &Expr,
    precedence: u8,
) -> Option<Result<Expr, ParserError>> {
    let operator = next(parser)?;
    let tokens =
        if matches!(operator, Operator::Power | Operator::NotGlob | Operator::NotInList) { 2 } else { 1 };
    (0..tokens).for_each(|_| parser.advance_token());
    if matches!(operator, Operator::IsNull | Operator::IsNotNull) {
        let left = Box::new(left.clone());
        return Some(Ok(if operator == Operator::IsNull {
            Expr::IsNull(left)
        } else {
            Expr::IsNotNull(left)
        }));
    }
    let right = match parser.parse_subexpr(precedence) {
        Ok(right) => right,
        Err(error) => return Some(Err(error)),
    };
    Some(Ok(match operator {
        Operator::Power => called("power", [left, &right]),
        Operator::Divide => called("div", [left, &right]),
        Operator::InList => called("array_has", [&right, left]),
        Operator::NotInList => {
            Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(called("array_has", [&right, left])) }
        }
        _ => {
            let op = match operator {
                Operator::NotGlob => BinaryOperator::PGRegexNotMatch,
                _ => BinaryOperator::PGRegexMatch,
            };
            let pattern = called("_elt_glob", [&right]);
            Expr::BinaryOp { left: Box::new(left.clone()), op, right: Box::new(pattern) }
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;

    /// Which operator is looked at last.
    #[test]
    fn operators_of_their_own_are_done_before_comparisons() {
        use sqlparser::ast::{Expr, SelectItem, Statement};
        let last = |text: &str| {
            let Ok(Statement::Query(query)) = parse_query(&format!("select {text}")) else {
                panic!("{text}")
            };
            let select = query.body.as_select().unwrap().clone();
            let [SelectItem::UnnamedExpr(expr)] = &select.projection[..] else { panic!("{text}") };
            match expr {
                Expr::BinaryOp { op, .. } => op.to_string(),
                Expr::IsNull(_) => "IS NULL".to_owned(),
                Expr::InList { .. } => "IN".to_owned(),
                Expr::Like { .. } | Expr::ILike { .. } => "LIKE".to_owned(),
                Expr::Between { .. } => "BETWEEN".to_owned(),
                Expr::UnaryOp { op, .. } => op.to_string(),
                other => panic!("{text}: {other:?}"),
            }
        };
        for (text, wanted) in [
            ("j->>'a' = 'b'", "="),
            ("'b' <> j->>'a'", "<>"),
            ("j->'a'->>'b' is null", "IS NULL"),
            ("j->>'a' in ('b')", "IN"),
            ("j->>'a' like 'b%'", "LIKE"),
            ("j->>'a' between 'a' and 'b'", "BETWEEN"),
            ("j->>'a' || 'x'", "||"),
            ("j->>'a' || 'x' = 'bx'", "="),
            ("j -> i + 1", "->"),
            ("a = 1 and j->>'a' = 'b'", "AND"),
            ("j->>'a' = 'b' or c", "OR"),
            ("not j->>'a' = 'b'", "NOT"),
            ("a @> b = true", "="),
            ("true = a <@ b", "="),
            ("a ilike 'x' = true", "="),
            ("a || b like c || d", "LIKE"),
            ("a || b + 1", "||"),
            ("1 | 2 = 3", "="),
            ("a ~ b || c", "~"),
        ] {
            assert_eq!(last(text), wanted, "{text}");
        }
    }

    #[test]
    fn operators_bind_as_elsewhere() {
        for (sql, means) in [
            ("select 2 * a ** 2", "SELECT 2 * power(a, 2)"),
            ("select -2 ** 2", "SELECT power(-2, 2)"),
            ("select 2 * 3 ^ 2 + 1 = 19", "SELECT 2 * 3 ^ 2 + 1 = 19"),
            ("select 2 ** 3 ** 2", "SELECT power(power(2, 3), 2)"),
            ("select -2::int * 3", "SELECT -2::INT * 3"),
            ("select a + 7 div 2", "SELECT a + div(7, 2)"),
            ("select @a + 1, @ -5", "SELECT abs(a) + 1, abs(-5)"),
            ("select !a and b", "SELECT NOT a AND b"),
            ("select top.a, top from x top", "SELECT top.a, top FROM x top"),
            ("select * like 'a%' from t", "SELECT columns(_elt_c -> _elt_c LIKE 'a%') FROM t"),
            ("select a div, b glob from t", "SELECT a AS div, b AS glob FROM t"),
            (
                "select 2 in getvariable('l'), a not in xs and b, position('b' in a)",
                "SELECT array_has(getvariable('l'), 2), NOT array_has(xs, a) AND b, POSITION('b' IN a)",
            ),
            ("select a not glob 'x*' and b", "SELECT a !~ _elt_glob('x*') AND b"),
            (
                "select 1 from t where a isnull or b + 1 notnull",
                "SELECT 1 FROM t WHERE a IS NULL OR b + 1 IS NOT NULL",
            ),
        ] {
            assert_eq!(parse_query(sql).map(|query| query.to_string()), Ok(means.to_owned()), "{sql}");
        }
    }
}
