//! How deep is a statement?
//!
//! `1 + 1 + …` is a tree that is as deep as it is long, and whoever walks it takes stack for each step: the parser's drop, the
//! planner, the threads that compute. [`refuse_too_deep`] counts before anything is read. The parser itself refuses what is
//! nested in brackets more than some fifty times. AND and OR are counted apart, for [`balance`] makes their trees flat.

use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr, Statement, Value, VisitMut, VisitorMut};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::query::SqlMistake;

/// Operators one upon another.
const DEEPEST: usize = 1_000;

/// ANDs and ORs of one statement.
const CONDITIONS: usize = 20_000;

/// ANDs or ORs in a row that stay as they were read.
const SHORT: usize = 32;

/// What was counted between two brackets, or outside of all.
#[derive(Clone, Copy, Default)]
struct Level {
    /// The depth of what is around it.
    around: usize,
    /// Operators since the last comma or word that begins something else.
    chain: usize,
    /// Casts and subscripts of the operand that was read last: they stand upon it alone.
    upon: usize,
    joins: usize,
    /// `UNION` and its like.
    sets: usize,
    /// `BETWEEN` whose AND is still to come.
    between: usize,
}

impl Level {
    /// An operator between operands, or upon all before it.
    fn operator(&mut self) {
        (self.chain, self.upon) = (self.chain + 1, 0);
    }

    /// A comma, or a word that begins something else.
    fn begins(&mut self) {
        (self.chain, self.upon) = (0, 0);
    }

    fn depth(&self) -> usize {
        self.around + self.chain + self.upon + self.joins + self.sets
    }
}

/// Refuses what is too deep to be read.
///
/// # Errors
/// `elt::sql::too_deep`, with the place of the operator that is too much.
pub(super) fn refuse_too_deep(tokens: &[TokenWithSpan]) -> Result<(), SqlMistake> {
    let mut above: Vec<Level> = Vec::new();
    let mut here = Level::default();
    let mut conditions = 0;
    let mut before = &Token::EOF;
    for TokenWithSpan { token, span } in tokens {
        match token {
            Token::Whitespace(_) | Token::EOF => continue,
            Token::LParen | Token::LBracket | Token::LBrace => {
                here.upon += usize::from(*token == Token::LBracket);
                above.push(here);
                here = Level { around: here.depth(), ..Level::default() };
            }
            Token::RParen | Token::RBracket | Token::RBrace => here = above.pop().unwrap_or_default(),
            Token::Comma | Token::SemiColon => here.begins(),
            Token::DoubleColon => here.upon += 1,
            Token::Period => {
                here.upon += usize::from(matches!(before, Token::RParen | Token::RBracket));
            }
            Token::Word(word) if word.quote_style.is_none() => match word.keyword {
                Keyword::AND | Keyword::OR if word.keyword == Keyword::AND && here.between > 0 => {
                    here.between -= 1;
                    here.operator();
                }
                Keyword::AND | Keyword::OR => {
                    conditions += 1;
                    here.begins();
                }
                Keyword::BETWEEN => {
                    here.between += 1;
                    here.operator();
                }
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT | Keyword::MINUS => {
                    here.sets += 1;
                    (here.joins, here.between) = (0, 0);
                    here.begins();
                }
                Keyword::JOIN => {
                    here.joins += 1;
                    here.begins();
                }
                Keyword::SELECT => {
                    (here.joins, here.between) = (0, 0);
                    here.begins();
                }
                Keyword::FROM
                | Keyword::WHERE
                | Keyword::HAVING
                | Keyword::ON
                | Keyword::WHEN
                | Keyword::THEN
                | Keyword::ELSE
                | Keyword::GROUP
                | Keyword::ORDER
                | Keyword::QUALIFY
                | Keyword::VALUES => here.begins(),
                Keyword::IS
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::SIMILAR
                | Keyword::RLIKE
                | Keyword::REGEXP
                | Keyword::IN
                | Keyword::AT
                | Keyword::COLLATE
                | Keyword::DIV
                | Keyword::XOR
                | Keyword::OVERLAPS => here.operator(),
                _ if ["glob", "isnull", "notnull"].contains(&word.value.to_lowercase().as_str()) => {
                    here.operator();
                }
                _ => {}
            },
            Token::Word(_)
            | Token::Number(..)
            | Token::Char(_)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::Placeholder(_) => {}
            _ => here.operator(),
        }
        before = token;
        if here.depth() > DEEPEST {
            let what = format!(
                "the statement is nested too deep: more than {DEEPEST} operators stand one upon another"
            );
            return Err(SqlMistake::new("elt::sql::too_deep", what)
                .at(span.start.line, span.start.column)
                .help("write the values as rows and add them up (`select sum(x) from (values (1), (2)) t(x)`), or work out parts in CTEs"));
        }
        if conditions > CONDITIONS {
            let what = format!("the statement has more than {CONDITIONS} conditions");
            return Err(SqlMistake::new("elt::sql::too_deep", what)
                .at(span.start.line, span.start.column)
                .help("write `x in (…)`, or join a table that has the values"));
        }
    }
    Ok(())
}

/// Makes rows of many ANDs, or of many ORs, as deep as their length has digits. They mean the same however they are grouped.
pub(super) fn balance(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut Balance);
}

struct Balance;

impl VisitorMut for Balance {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } = expr {
            let op = op.clone();
            let (mut length, mut left) = (0, &*expr);
            while let Expr::BinaryOp { left: next, op: same, .. } = left
                && *same == op
            {
                (length, left) = (length + 1, next);
            }
            if length > SHORT {
                let parts = parts(std::mem::replace(expr, Expr::value(Value::Null)), &op);
                *expr = joined(parts, &op);
            }
        }
        ControlFlow::Continue(())
    }
}

/// What stands between the operators of a row, in order.
fn parts(mut row: Expr, op: &BinaryOperator) -> Vec<Expr> {
    let mut parts = Vec::new();
    loop {
        match row {
            Expr::BinaryOp { left, op: same, right } if same == *op => {
                parts.push(*right);
                row = *left;
            }
            first => {
                parts.push(first);
                parts.reverse();
                return parts;
            }
        }
    }
}

fn joined(mut parts: Vec<Expr>, op: &BinaryOperator) -> Expr {
    while parts.len() > 1 {
        let mut pairs = Vec::with_capacity(parts.len().div_ceil(2));
        let mut rest = parts.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => {
                    Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) }
                }
                None => left,
            });
        }
        parts = pairs;
    }
    parts.pop().unwrap_or_else(|| Expr::value(Value::Null))
}

#[cfg(test)]
mod tests {
    use super::super::{parse_query, tokenize};
    use super::*;

    fn refused(sql: &str) -> Option<String> {
        refuse_too_deep(&tokenize(sql).unwrap()).err().map(|mistake| mistake.message().to_owned())
    }

    #[test]
    fn what_is_long_and_flat_is_read_and_what_is_deep_is_refused() {
        let many = |text: &str, count: usize| vec![text; count].join(" ");
        for (sql, is_refused) in [
            (format!("select 1 {}", many("+ 1", 900)), false),
            (format!("select 1 {}", many("+ 1", 1_001)), true),
            (format!("select 1 {}", many("union all select 1", 900)), false),
            (format!("select 1 {}", many("union all select 1", 1_001)), true),
            (format!("select 1{}", many("::int", 1_001)), true),
            (format!("select a::int {}", many("+ a::int", 900)), false),
            (format!("select a::int {}", many("+ a::int[1]", 1_001)), true),
            (format!("select 1 {}", many(", a + 1", 20_000)), false),
            (format!("select 1 in (1 {})", many(", -1", 50_000)), false),
            (format!("select case {} end", many("when a = 1 then 2", 5_000)), false),
            (format!("select 1 where a = 1 {}", many("or a = 1", 15_000)), false),
            (format!("select 1 where a = 1 {}", many("or a = 1", 20_001)), true),
            (format!("select 1 where a {}", many("between 1 and 2", 1_001)), true),
            (format!("select ((a {}) {})", many("+ 1", 600), many("- 1", 600)), false),
            (format!("select (a {} (a {}))", many("+ 1", 600), many("- 1", 600)), true),
            (format!("select x{}", many(".f()", 2_000)), true),
        ] {
            assert_eq!(refused(&sql).is_some(), is_refused, "{}", &sql[..60]);
        }
    }

    #[test]
    fn a_row_of_conditions_is_balanced_and_keeps_its_order() {
        let terms: Vec<String> = (0..100).map(|at| format!("a = {at}")).collect();
        let sql = format!("SELECT 1 WHERE b AND ({})", terms.join(" OR "));
        let read = parse_query(&sql).unwrap();
        assert_eq!(read.to_string(), sql);
        let mut deepest = 0;
        struct Depth<'a>(usize, &'a mut usize);
        impl sqlparser::ast::Visitor for Depth<'_> {
            type Break = ();
            fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
                self.0 += 1;
                *self.1 = (*self.1).max(self.0);
                ControlFlow::Continue(())
            }
            fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
                self.0 -= 1;
                ControlFlow::Continue(())
            }
        }
        let _ = sqlparser::ast::Visit::visit(&read, &mut Depth(0, &mut deepest));
        assert!(deepest < 15, "{deepest}");
    }
}
