//! Which calls are written otherwise than by their arguments alone?
//!
//! Those whose arguments are texts whatever they are, the mode of an ordered set, intervals of named parts, and those of
//! which a literal says what is meant: a format, a replacement, a list of names.

use sqlparser::ast::{
    Array, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Value, ValueWithSpan,
};

use super::functions::{call, expression_of, name_of, plain_args};
use super::lambdas;
use super::spelling::text;

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

/// A call whose meaning hangs on a literal in it.
pub(super) fn by_kind(function: &Function) -> Option<Expr> {
    let args = plain_args(function)?;
    match (name_of(function)?.as_str(), &args[..]) {
        ("strftime", [at, format]) => {
            // DuckDB takes them in either order.
            let (at, format) = match at {
                Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. })
                    if text.contains('%') =>
                {
                    (format, at)
                }
                _ => (at, format),
            };
            let format = match literal(format) {
                Some(written) => text(&fractions(written)),
                None => format.clone(),
            };
            Some(call(function, "to_char", vec![at.clone(), format]))
        }
        ("date_part" | "datepart", [part, of])
            if literal(part).is_some_and(|part| matches!(part, "era" | "julian" | "yearweek")) =>
        {
            let Expr::Function(other) = call(function, literal(part)?, vec![of.clone()]) else { return None };
            super::functions::other_call(&other)
        }
        ("json_extract" | "json_query" | "json_extract_path", [value, path])
            if literal(path).is_some_and(has_many) =>
        {
            Some(call(function, "_elt_json_all", vec![value.clone(), path.clone()]))
        }
        ("json_extract_string" | "json_extract_path_text", [value, path])
            if literal(path).is_some_and(has_many) =>
        {
            Some(call(function, "_elt_json_all_texts", vec![value.clone(), path.clone()]))
        }
        ("_elt_json_get", [value, path]) if literal(path).is_some_and(has_many) => {
            Some(call(function, "_elt_json_all", vec![value.clone(), path.clone()]))
        }
        ("_elt_json_text", [value, path]) if literal(path).is_some_and(has_many) => {
            Some(call(function, "_elt_json_all_texts", vec![value.clone(), path.clone()]))
        }
        ("list_contains" | "list_has" | "array_contains" | "array_has", [list, value]) => {
            Some(call(function, "array_has", vec![without_nulls(list)?, value.clone()]))
        }
        ("date_part" | "datepart", [Expr::Array(Array { elem: names, .. }), of]) => {
            let mut fields = Vec::new();
            for name in names {
                fields.push(name.clone());
                let Expr::Function(part) = call(function, "date_part", vec![name.clone(), of.clone()]) else {
                    return None;
                };
                let whole = super::functions::other_call(&part).unwrap_or(Expr::Function(part));
                fields.push(whole);
            }
            Some(call(function, "named_struct", fields))
        }
        // As long as the shorter, if that is said.
        (
            "list_zip" | "array_zip",
            [a, b, Expr::Value(ValueWithSpan { value: Value::Boolean(is_cut), .. })],
        ) => {
            let zipped = call(function, "arrays_zip", vec![a.clone(), b.clone()]);
            if !is_cut {
                return Some(zipped);
            }
            let length = |list: &Expr| super::spelling::called("length", [list]);
            let least = super::spelling::called("least", &[length(a), length(b)]);
            Some(super::spelling::called("array_slice", &[zipped, expression_of("1"), least]))
        }
        ("encode" | "decode", [value, name])
            if literal(name)
                .is_some_and(|name| ["utf-8", "utf8", "us-ascii"].contains(&&*name.to_lowercase())) =>
        {
            let is_text = name_of(function)? == "decode";
            let data_type = if is_text { DataType::Varchar(None) } else { DataType::Bytea };
            Some(Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(value.clone()),
                data_type,
                array: false,
                format: None,
            })
        }
        // Fields of a row have places, counted from 1.
        ("struct_extract", [of, place @ Expr::Value(ValueWithSpan { value: Value::Number(..), .. })]) => {
            Some(call(function, "_elt_struct_at", vec![of.clone(), place.clone()]))
        }
        ("elt", [place, first, rest @ ..]) => {
            let all = super::spelling::called("make_array", std::iter::once(first).chain(rest));
            // Places are counted from the front only.
            let place =
                super::spelling::called("greatest", [place, &Expr::value(Value::Number("0".into(), false))]);
            Some(super::spelling::called("array_element", [&all, &place]))
        }
        ("str_to_map", [value, signs @ ..]) if signs.len() <= 2 => {
            let sign = |at: usize, usual: &str| signs.get(at).cloned().unwrap_or_else(|| text(usual));
            let args = vec![value.clone(), sign(0, ","), sign(1, ":")];
            let Expr::Function(whole) = call(function, "_elt_str_to_map", args) else { return None };
            super::functions::other_call(&whole)
        }
        // What is null adds nothing.
        ("list_concat" | "list_cat" | "array_cat" | "array_concat", lists) if lists.iter().any(is_null) => {
            let kept: Vec<Expr> = lists.iter().filter(|list| !is_null(list)).cloned().collect();
            Some(match &kept[..] {
                [] => Expr::value(Value::Null),
                [one] => one.clone(),
                _ => call(function, "array_concat", kept),
            })
        }
        ("try_add" | "try_subtract" | "try_multiply", [left, right]) => {
            let op = match name_of(function)?.as_str() {
                "try_add" => BinaryOperator::Plus,
                "try_subtract" => BinaryOperator::Minus,
                _ => BinaryOperator::Multiply,
            };
            let side = |side: &Expr| Box::new(Expr::Nested(Box::new(side.clone())));
            Some(lambdas::guarded(&Expr::BinaryOp { left: side(left), op, right: side(right) }))
        }
        ("try", [value]) => Some(tried(value).unwrap_or_else(|| lambdas::guarded(value))),
        ("regexp_replace", [value, pattern, replacement, flags @ ..]) => {
            // The engine takes `$1` for a group, and two backslashes for two.
            let is_known =
                |flags: &Expr| literal(flags).is_some_and(|flags| !flags.contains(['c', 'l', 'n', 'p']));
            let is_plain = flags.iter().all(is_known)
                && literal(replacement).is_some_and(|text| !text.contains('$') && !text.contains(r"\\"));
            let args = [value, pattern, replacement].into_iter().chain(flags).cloned().collect();
            (!is_plain).then(|| call(function, "_elt_regexp_replace", args))
        }
        ("regexp_extract", [value, pattern, Expr::Array(Array { elem: names, .. })]) => {
            let mut fields = Vec::new();
            for (at, name) in names.iter().enumerate() {
                let group = expression_of(&(at + 1).to_string());
                fields.push(name.clone());
                let part = call(function, "regexp_extract", vec![value.clone(), pattern.clone(), group]);
                let Expr::Function(part) = part else { return None };
                fields.push(super::functions::other_call(&part)?);
            }
            Some(call(function, "named_struct", fields))
        }
        _ => None,
    }
}

/// A list without the nulls that are written in it; nothing if there are none, or nothing else. The engine makes `IN` of a list that
/// is looked into, which has no answer where a null is not what is looked for.
fn without_nulls(list: &Expr) -> Option<Expr> {
    let Expr::Array(Array { elem, named }) = list else { return None };
    let kept: Vec<Expr> = elem.iter().filter(|item| !is_null(item)).cloned().collect();
    let has_both = !kept.is_empty() && kept.len() < elem.len();
    has_both.then_some(Expr::Array(Array { elem: kept, named: *named }))
}

fn is_null(item: &Expr) -> bool {
    matches!(item, Expr::Value(value) if value.value == Value::Null)
}

/// An expression that gives nothing where a cast or a division has no answer; nothing if it may fail otherwise.
fn tried(expr: &Expr) -> Option<Expr> {
    Some(match expr {
        Expr::Value(_) | Expr::TypedString(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
            expr.clone()
        }
        Expr::Nested(inner) => Expr::Nested(Box::new(tried(inner)?)),
        Expr::UnaryOp { op, expr } => Expr::UnaryOp { op: *op, expr: Box::new(tried(expr)?) },
        Expr::Cast { expr: inner, data_type, array, format, .. } => Expr::Cast {
            kind: CastKind::TryCast,
            expr: Box::new(tried(inner)?),
            data_type: data_type.clone(),
            array: *array,
            format: format.clone(),
        },
        Expr::BinaryOp { left, op, right } if is_division(op) => {
            let divisor = super::spelling::called("nullif", &[tried(right)?, expression_of("0")]);
            Expr::BinaryOp { left: Box::new(tried(left)?), op: op.clone(), right: Box::new(divisor) }
        }
        _ => return None,
    })
}

fn is_division(op: &BinaryOperator) -> bool {
    match op {
        BinaryOperator::Divide | BinaryOperator::Modulo | BinaryOperator::DuckIntegerDivide => true,
        BinaryOperator::Custom(op) => op == super::EXACT,
        _ => false,
    }
}

/// Whether a path into JSON leads to many places.
fn has_many(path: &str) -> bool {
    path.starts_with('$') && (path.contains('*') || path.contains(".."))
}

/// `unnest(list, recursive := true)`: lists in lists are taken apart too.
pub(super) fn unnested(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    if name_of(function)? != "unnest" {
        return None;
    }
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value)), FunctionArg::Named { name, arg, .. }] =
        &list.args[..]
    else {
        return None;
    };
    if let FunctionArgExpr::Expr(Expr::Value(ValueWithSpan { value: Value::Number(depth, _), .. })) = arg
        && name.value.eq_ignore_ascii_case("max_depth")
    {
        let depth: usize = depth.parse().ok().filter(|depth| (1..=16).contains(depth))?;
        let value = (1..depth).fold(value.clone(), |value, _| call(function, "flatten", vec![value]));
        return Some(call(function, "unnest", vec![value]));
    }
    let FunctionArgExpr::Expr(Expr::Value(ValueWithSpan { value: Value::Boolean(all), .. })) = arg else {
        return None;
    };
    if !name.value.eq_ignore_ascii_case("recursive") {
        return None;
    }
    let value = match all {
        true => call(function, "_elt_flatten", vec![value.clone()]),
        false => value.clone(),
    };
    Some(call(function, "unnest", vec![value]))
}

fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => Some(text),
        _ => None,
    }
}

/// A format in which `%f` are microseconds, `%g` milliseconds and `%n` nanoseconds, in the engine's words.
fn fractions(format: &str) -> String {
    let mut told = String::with_capacity(format.len());
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        told.push(c);
        if c != '%' {
            continue;
        }
        match chars.next() {
            Some('f') => told.push_str("6f"),
            Some('g') => told.push_str("3f"),
            Some('n') => told.push_str("9f"),
            Some(other) => told.push(other),
            None => {}
        }
    }
    told
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
