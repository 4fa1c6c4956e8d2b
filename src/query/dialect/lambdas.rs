//! Is `x -> …` a function, or does it look something up in JSON?
//!
//! `list_transform(xs, x -> x + 1)` has the first, `j -> 'key'` the second. The parser takes every arrow behind a name for
//! a function once it knows of them; so it is told of them only where one of the functions is called that take one, and
//! arrows in front of a key are written otherwise there.

use sqlparser::ast::{BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments};
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// What the functions that take one are called, and what the engine calls them.
pub(super) const FUNCTIONS: &[(&str, &str)] = &[
    ("list_transform", "array_transform"),
    ("list_apply", "array_transform"),
    ("array_apply", "array_transform"),
    ("apply", "array_transform"),
    ("transform", "array_transform"),
    ("array_transform", "array_transform"),
    ("list_filter", "array_filter"),
    ("filter", "array_filter"),
    ("array_filter", "array_filter"),
    ("any_match", "array_any_match"),
    ("array_any_match", "array_any_match"),
    ("list_any_match", "array_any_match"),
];

/// The operator that stands for an arrow in front of a key where arrows are functions.
pub(super) const KEY: BinaryOperator = BinaryOperator::HashArrow;

/// Whether a function is called that takes another. Arrows in front of keys are then told apart.
pub(super) fn tell_apart(tokens: &mut [TokenWithSpan]) -> bool {
    let solid: Vec<usize> =
        (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect();
    let is_call = |pair: &[usize]| match (&tokens[pair[0]].token, &tokens[pair[1]].token) {
        (Token::Word(word), Token::LParen) => {
            word.quote_style.is_none()
                && FUNCTIONS.iter().any(|(name, _)| name.eq_ignore_ascii_case(&word.value))
        }
        _ => false,
    };
    let has_arrow = solid.iter().any(|at| tokens[*at].token == Token::Arrow);
    let has_word = solid.iter().any(
        |at| matches!(&tokens[*at].token, Token::Word(word) if word.value.eq_ignore_ascii_case("lambda")),
    );
    if !(has_arrow || has_word) || !solid.windows(2).any(is_call) {
        return false;
    }
    let keys: Vec<usize> = solid
        .windows(2)
        .filter(|pair| {
            let is_key = matches!(tokens[pair[1]].token, Token::SingleQuotedString(_) | Token::Number(..));
            tokens[pair[0]].token == Token::Arrow && is_key
        })
        .map(|pair| pair[0])
        .collect();
    keys.into_iter().for_each(|at| tokens[at].token = Token::HashArrow);
    true
}

/// The call by the engine's name, if its last argument is a function.
pub(super) fn name_of(name: &str, args: &FunctionArguments) -> Option<&'static str> {
    let FunctionArguments::List(list) = args else { return None };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Lambda(_)))) = list.args.last() else {
        return None;
    };
    FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, own)| *own)
}
