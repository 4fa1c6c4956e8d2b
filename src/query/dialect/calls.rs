//! Which calls are written otherwise than by their arguments alone?
//!
//! Those whose arguments are texts whatever they are, the mode of an ordered set, intervals of named parts.

use sqlparser::ast::{CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::functions::{call, expression_of, name_of, plain_args};

/// Functions whose arguments are texts, whatever they are.
const OF_TEXTS: &[(&str, &str)] = &[
    ("hash", "_elt_hash"),
    ("sha1", "_elt_sha1"),
    ("sha1_hex", "_elt_sha1"),
    ("printf", "_elt_printf"),
    ("format_string", "_elt_printf"),
    ("format", "_elt_printf"),
];

/// A call of a function that takes texts alone, with its arguments as texts.
pub(super) fn of_texts(function: &Function) -> Option<Expr> {
    let name = name_of(function)?;
    let (_, own) = OF_TEXTS.iter().find(|(known, _)| *known == name)?;
    let text = |arg: Expr| Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(arg),
        data_type: DataType::Varchar(None),
        array: false,
        format: None,
    };
    Some(call(function, own, plain_args(function)?.into_iter().map(text).collect()))
}

/// `mode() within group (order by a)` is `mode(a)`.
pub(super) fn mode(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let [by] = &function.within_group[..] else { return None };
    let is_mode = name_of(function)? == "mode" && list.args.is_empty();
    is_mode.then(|| call(function, "mode", vec![by.expr.clone()]))
}

/// `make_interval(days => 3)`, what is not named being nothing.
pub(super) fn made_interval(function: &Function) -> Option<Expr> {
    const NAMES: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];
    let FunctionArguments::List(list) = &function.args else { return None };
    if name_of(function)? != "make_interval" || list.args.len() > NAMES.len() {
        return None;
    }
    let mut parts = vec![expression_of("0"); NAMES.len()];
    for (at, arg) in list.args.iter().enumerate() {
        let (at, value) = match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => (at, value),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => {
                (NAMES.iter().position(|known| name.value.eq_ignore_ascii_case(known))?, value)
            }
            _ => return None,
        };
        parts[at] = value.clone();
    }
    Some(call(function, "_elt_interval", parts))
}
