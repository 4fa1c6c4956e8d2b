//! Is `x -> …` a function, or does it look something up in JSON?
//!
//! `list_transform(xs, x -> x + 1)` has the first, `j -> 'key'` the second. The parser takes every arrow behind a name for
//! a function once it knows of them; so it is told of them only where one of the functions is called that take one, and
//! arrows in front of a key are written otherwise there.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, LambdaFunction,
    LambdaFunctionParameter, LambdaSyntax, OneOrManyWithParens, Statement, VisitMut, VisitorMut,
};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::query::SqlMistake;

/// What the functions that take one are called, and what the engine calls them.
pub(super) const FUNCTIONS: &[(&str, &str)] = &[
    ("list_reduce", "_elt_reduce"),
    ("array_reduce", "_elt_reduce"),
    ("reduce", "_elt_fold"),
    ("aggregate", "_elt_fold"),
    // These choose columns (`expand`).
    ("columns", "columns"),
    (super::shorthand::UNPACKED, super::shorthand::UNPACKED),
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
    ("exists", "array_any_match"),
    ("forall", "array_any_match"),
    ("all_match", "array_any_match"),
    ("zip_with", "array_transform"),
    ("transform_values", "array_transform"),
    ("transform_keys", "array_transform"),
    ("map_filter", "array_filter"),
    ("array_any_match", "array_any_match"),
    ("list_any_match", "array_any_match"),
];

/// The operator that stands for an arrow in front of a key where arrows are functions.
pub(super) const KEY: BinaryOperator = BinaryOperator::HashArrow;

/// `x.a` in a function of `x` is a field of it, and not a column of a table `x`.
pub(super) fn fields(lambda: &mut LambdaFunction) {
    let names: Vec<String> = names(lambda).iter().map(|name| name.value.to_lowercase()).collect();
    super::outside_queries(&mut lambda.body, |expr| {
        let Expr::CompoundIdentifier(path) = &*expr else { return };
        let [first, rest @ ..] = &path[..] else { return };
        if !names.contains(&first.value.to_lowercase()) {
            return;
        }
        let field = |of: Expr, field: &Ident| {
            super::spelling::called("get_field", &[of, super::spelling::text(&field.value)])
        };
        *expr = rest.iter().fold(Expr::Identifier(first.clone()), field);
    });
}

/// Whether a function is called that takes another. Arrows in front of keys are then told apart.
pub(super) fn tell_apart(tokens: &mut [TokenWithSpan]) -> bool {
    let solid: Vec<usize> =
        (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect();
    name_exists(tokens, &solid);
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
    let keys: Vec<usize> = (1..solid.len())
        .filter(|place| {
            let is_key =
                matches!(tokens[solid[*place]].token, Token::SingleQuotedString(_) | Token::Number(..));
            let is_arrow = tokens[solid[place - 1]].token == Token::Arrow;
            is_key && is_arrow && !has_parameters(tokens, &solid[..place - 1])
        })
        .map(|place| solid[place - 1])
        .collect();
    keys.into_iter().for_each(|at| tokens[at].token = Token::HashArrow);
    true
}

/// Whether what ends with these tokens names the parameters of a function, where an argument has to be one: `f(list, x`, or
/// `f(list, (k, v)`. What comes behind the arrow is then no key, `list_transform(xs, x -> 2 * x)`.
fn has_parameters(tokens: &[TokenWithSpan], solid: &[usize]) -> bool {
    let token = |place: usize| &tokens[solid[place]].token;
    // The bracket that is open at a place, and how many commas are between.
    let opened = |mut place: usize| {
        let (mut depth, mut commas) = (0, 0);
        while place > 0 {
            place -= 1;
            match token(place) {
                Token::RParen | Token::RBracket | Token::RBrace => depth += 1,
                Token::LParen | Token::LBracket | Token::LBrace if depth == 0 => {
                    return Some((place, commas));
                }
                Token::LParen | Token::LBracket | Token::LBrace => depth -= 1,
                Token::Comma if depth == 0 => commas += 1,
                _ => {}
            }
        }
        None
    };
    let Some(last) = solid.len().checked_sub(1) else { return false };
    let (first, names) = match token(last) {
        Token::Word(_) => (last, 1),
        Token::RParen => match opened(last) {
            Some((open, commas)) if commas > 0 && last - open == 2 * commas + 2 => (open, commas + 1),
            _ => return false,
        },
        _ => return false,
    };
    if first == 0 || *token(first - 1) != Token::Comma {
        return false;
    }
    let Some((open, commas)) = opened(first - 1).filter(|(open, _)| *open > 0) else { return false };
    let Token::Word(word) = token(open - 1) else { return false };
    let called = FUNCTIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&word.value));
    // What `reduce` begins with may be a key; what it ends with is a function.
    called.is_some_and(|(_, own)| names > 1 || commas == if *own == "_elt_fold" { 2 } else { 0 })
}

/// Spark's `exists(list, x -> …)` is no EXISTS, behind which a query stands.
fn name_exists(tokens: &mut [TokenWithSpan], solid: &[usize]) {
    let is_query = |token: &Token| match token {
        Token::Word(word) => {
            use sqlparser::keywords::Keyword as K;
            matches!(
                word.keyword,
                K::SELECT | K::WITH | K::FROM | K::VALUES | K::TABLE | K::PIVOT | K::UNPIVOT
            )
        }
        token => matches!(token, Token::LParen | Token::LBrace | Token::RParen),
    };
    let exists: Vec<usize> = solid
        .windows(3)
        .filter(|three| {
            matches!(&tokens[three[0]].token, Token::Word(word) if word.value.eq_ignore_ascii_case("exists"))
                && tokens[three[1]].token == Token::LParen
                && !is_query(&tokens[three[2]].token)
        })
        .map(|three| three[0])
        .collect();
    for at in exists {
        tokens[at].token = Token::make_word("any_match", None);
    }
}

/// `forall(list, x -> …)`, `zip_with(a, b, (x, y) -> …)`, and of maps `transform_values(m, (k, v) -> …)`, `transform_keys` and
/// `map_filter`.
pub(super) fn of_pairs(function: &Function) -> Option<Expr> {
    use super::spelling::called;
    let name = name_of_call(function)?;
    let FunctionArguments::List(list) = &function.args else { return None };
    let (last, given) = list.args.split_last()?;
    let step = lambda(last)?;
    let values: Vec<&Expr> = given
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
            _ => None,
        })
        .collect::<Option<_>>()?;
    if let ("forall" | "all_match", [items]) = (name.as_str(), &values[..]) {
        let mut never = step.clone();
        let op = sqlparser::ast::UnaryOperator::Not;
        never.body =
            Box::new(Expr::UnaryOp { op, expr: Box::new(Expr::Nested(Box::new((*step.body).clone()))) });
        let any = called("array_any_match", &[(*items).clone(), Expr::Lambda(never)]);
        return Some(Expr::Nested(Box::new(Expr::UnaryOp { op, expr: Box::new(any) })));
    }
    let [first, second] = &names(step)[..] else { return None };
    let (left, right) = match (name.as_str(), &values[..]) {
        ("zip_with", [left, right]) => ((*left).clone(), (*right).clone()),
        ("transform_values" | "transform_keys" | "map_filter", [map]) => {
            (called("map_keys", [*map]), called("map_values", [*map]))
        }
        _ => return None,
    };
    let part = |at: &str| super::functions::expression_of(&format!("get_field({PAIR}, '{at}')"));
    let mut body = (*step.body).clone();
    put(&mut body, &[(first, part("1")), (second, part("2"))]);
    let made = |own: &str, of: &Expr, body: Expr| {
        let mut made = step.clone();
        made.params =
            OneOrManyWithParens::One(LambdaFunctionParameter { name: Ident::new(PAIR), data_type: None });
        made.body = Box::new(body);
        called(own, &[of.clone(), Expr::Lambda(made)])
    };
    let pairs = called("arrays_zip", &[left.clone(), right.clone()]);
    Some(match name.as_str() {
        "zip_with" => made("array_transform", &pairs, body),
        "transform_values" => called("map", &[left, made("array_transform", &pairs, body)]),
        "transform_keys" => called("map", &[made("array_transform", &pairs, body), right]),
        _ => {
            let kept = made("array_filter", &pairs, body);
            let side = |at: &str| made("array_transform", &kept, part(at));
            called("map", &[side("1"), side("2")])
        }
    })
}

/// The parameters and the body of a function that is an argument.
fn lambda(arg: &FunctionArg) -> Option<&LambdaFunction> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Lambda(lambda))) => Some(lambda),
        _ => None,
    }
}

fn names(lambda: &LambdaFunction) -> Vec<Ident> {
    match &lambda.params {
        OneOrManyWithParens::One(one) => vec![one.name.clone()],
        OneOrManyWithParens::Many(many) => many.iter().map(|one| one.name.clone()).collect(),
    }
}

/// `list_reduce(list, f)`, `list_reduce(list, f, first)` of DuckDB; `reduce(list, first, f)` and `aggregate(list, first, f, last)`
/// of Spark and Trino.
pub(super) fn folded(function: &Function) -> Option<Expr> {
    let name = name_of_call(function)?;
    let FunctionArguments::List(list) = &function.args else { return None };
    let (own, order) = match (name.as_str(), &list.args[..]) {
        ("list_reduce" | "array_reduce" | "reduce", [_, step]) if lambda(step).is_some() => {
            ("_elt_reduce", vec![0, 1])
        }
        ("list_reduce" | "array_reduce", [_, step, _]) if lambda(step).is_some() => {
            ("_elt_fold", vec![0, 2, 1])
        }
        ("reduce" | "aggregate" | "list_reduce" | "array_reduce", [_, first, step, ..])
            if lambda(step).is_some() && lambda(first).is_none() && list.args.len() <= 4 =>
        {
            ("_elt_fold", vec![0, 1, 2])
        }
        _ => return None,
    };
    let args = order.iter().map(|at| list.args[*at].clone()).collect();
    let mut whole = function.clone();
    whole.name = Ident::new(own).into();
    if let FunctionArguments::List(list) = &mut whole.args {
        list.args = args;
    }
    let whole = Expr::Function(whole);
    let Some(last) = list.args.get(3) else { return Some(whole) };
    // What is made of it in the end.
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(last)) = last else { return None };
    let one = super::spelling::called("make_array", &[whole]);
    let made = super::spelling::called("array_transform", &[one, last.clone()]);
    Some(super::spelling::called("array_element", &[made, super::functions::expression_of("1")]))
}

/// `list_transform(list, (x, i) -> …)`, where `i` is the place of `x` in the list, from 1.
pub(super) fn with_places(function: &Function) -> Option<Expr> {
    let name = name_of_call(function)?;
    let (_, own) = FUNCTIONS.iter().find(|(known, _)| *known == name)?;
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(items)), step] = &list.args[..] else { return None };
    let step = lambda(step)?;
    let [item, place] = &names(step)[..] else { return None };
    if !matches!(*own, "array_transform" | "array_filter") {
        return None;
    }
    let part = |at: &str| super::functions::expression_of(&format!("get_field({PAIR}, '{at}')"));
    let mut body = (*step.body).clone();
    put(&mut body, &[(item, part("1")), (place, part("2"))]);
    let of_pair = |body: Expr| {
        let mut made = step.clone();
        made.params =
            OneOrManyWithParens::One(LambdaFunctionParameter { name: Ident::new(PAIR), data_type: None });
        made.body = Box::new(body);
        Expr::Lambda(made)
    };
    let places = super::functions::expression_of("range(1, length(x) + 1)");
    let mut places = places;
    put(&mut places, &[(&Ident::new("x"), Expr::Nested(Box::new(items.clone())))]);
    let pairs = super::spelling::called("arrays_zip", &[items.clone(), places]);
    let made = super::spelling::called(own, &[pairs, of_pair(body)]);
    Some(match *own {
        "array_filter" => super::spelling::called("array_transform", &[made, of_pair(part("1"))]),
        _ => made,
    })
}

/// `try(x)` is `_elt_try(true, _elt_row -> x)`, which works it out once more, row by row, where that fails.
///
/// Casts of literals would be worked out before; so they wait for the row.
pub(super) fn guarded(expr: &Expr) -> Expr {
    struct Wait;
    impl VisitorMut for Wait {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Cast { expr: inner, .. } = expr
                && matches!(&**inner, Expr::Value(_))
            {
                let mut waiting = super::functions::expression_of(&format!("case when {ROW} then x end"));
                put(&mut waiting, &[(&Ident::new("x"), (**inner).clone())]);
                **inner = waiting;
            }
            ControlFlow::Continue(())
        }
    }
    let mut body = expr.clone();
    let _: ControlFlow<()> = body.visit(&mut Wait);
    let params = OneOrManyWithParens::One(LambdaFunctionParameter { name: Ident::new(ROW), data_type: None });
    let lambda = LambdaFunction { params, body: Box::new(body), syntax: LambdaSyntax::Arrow };
    super::spelling::called("_elt_try", &[super::functions::expression_of("true"), Expr::Lambda(lambda)])
}

/// Refuses `try((select …))`: what fails in a subquery fails before there is a row to try.
///
/// # Errors
/// There is one.
pub(super) fn refuse_tried_queries(statement: &Statement) -> Result<(), SqlMistake> {
    let is_query = |expr: &Expr| {
        let Expr::Function(function) = expr else { return false };
        let is_try = super::functions::name_of(function).is_some_and(|name| name == "try");
        let mut args = super::functions::plain_args(function).unwrap_or_default();
        while let [Expr::Nested(inner)] = &args[..] {
            args = vec![(**inner).clone()];
        }
        is_try && matches!(args[..], [Expr::Subquery(_)])
    };
    let found = sqlparser::ast::visit_expressions(statement, |expr| match is_query(expr) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    match found.is_break() {
        true => Err(SqlMistake::new("elt::sql::not_supported", "`try` around a subquery is not supported")
            .help("write it inside: `(select try(a / b) from t)`")),
        false => Ok(()),
    }
}

/// What a row that is tried is called.
const ROW: &str = "_elt_row";

/// What an item and its place are called together.
const PAIR: &str = "_elt_pair";

/// Puts expressions in the place of names.
fn put(expr: &mut Expr, meanings: &[(&Ident, Expr)]) {
    struct Put<'a>(&'a [(&'a Ident, Expr)]);
    impl VisitorMut for Put<'_> {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Identifier(name) = expr
                && let Some((_, meaning)) =
                    self.0.iter().find(|(known, _)| known.value.eq_ignore_ascii_case(&name.value))
            {
                *expr = meaning.clone();
            }
            ControlFlow::Continue(())
        }
    }
    let _: ControlFlow<()> = expr.visit(&mut Put(meanings));
}

fn name_of_call(function: &Function) -> Option<String> {
    super::functions::name_of(function)
}

/// The call by the engine's name, if its last argument is a function.
pub(super) fn name_of(name: &str, args: &FunctionArguments) -> Option<&'static str> {
    let FunctionArguments::List(list) = args else { return None };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Lambda(_)))) = list.args.last() else {
        return None;
    };
    FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, own)| *own)
}
