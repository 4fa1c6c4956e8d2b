//! What do other engines call what this one can do?
//!
//! Functions that people know from DuckDB, Spark, Snowflake and dbt's macros, each as an expression of the engine's own
//! functions. [`spell`] puts it in place of the call; columns keep the names that were written.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{LazyLock, OnceLock};

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, SelectItem, SetExpr, Statement,
    Value, VisitMut, VisitorMut,
};

use super::meanings::{FUNCTIONS, OF_PARTS, PARTS, RENAMED};
use super::more_meanings::MORE;
use super::statement::parse_query;
use super::{aggregates, calls, lambdas};

/// The parameters of a function, and what it is: told in words, and read when it is first asked for. All of them take
/// longer to read than most queries take to plan.
struct Meaning {
    parameters: Vec<&'static str>,
    told: &'static str,
    read: OnceLock<Expr>,
}

impl Meaning {
    fn expression(&self) -> &Expr {
        self.read.get_or_init(|| expression_of(self.told))
    }
}

/// What stands for a call, by name and number of arguments.
static KNOWN: LazyLock<BTreeMap<(&str, usize), Meaning>> = LazyLock::new(|| {
    let mut known = BTreeMap::new();
    for (names, parameters, told) in FUNCTIONS.iter().chain(MORE) {
        let parameters: Vec<&str> = parameters.split_whitespace().collect();
        for name in names.split_whitespace() {
            let meaning = Meaning { parameters: parameters.clone(), told, read: OnceLock::new() };
            known.insert((name, parameters.len()), meaning);
        }
    }
    known
});

/// How a function that is known by another engine's name is called, as `slice(a, s, n)`; nothing if it is not known.
pub(in crate::query) fn known_calls(name: &str) -> Vec<String> {
    let own = KNOWN.iter().filter(|((known, _), _)| *known == name);
    own.map(|((known, _), meaning)| format!("{known}({})", meaning.parameters.join(", "))).collect()
}

/// The functions that other engines have under these names: each with its parameters, where they are counted, and what it is.
pub(in crate::query) fn other_names() -> impl Iterator<Item = (&'static str, Option<String>, String)> {
    let means = |meaning: &str| match meaning.contains("_elt_") || meaning.len() > 60 {
        true => "as in other engines".to_owned(),
        false => format!("`{meaning}`"),
    };
    let spelled = FUNCTIONS.iter().chain(MORE).flat_map(move |(names, parameters, meaning)| {
        let parameters = parameters.split_whitespace().collect::<Vec<_>>().join(", ");
        names.split_whitespace().map(move |name| (name, Some(parameters.clone()), means(meaning)))
    });
    let renamed = RENAMED.iter().map(|(name, own)| {
        let own = if own.starts_with('_') {
            "as in other engines".to_owned()
        } else {
            format!("the same as `{own}`")
        };
        (*name, None, own)
    });
    let of_parts = OF_PARTS
        .iter()
        .map(|(name, _)| (*name, Some("part, a, b".to_owned()), "as in other engines".to_owned()));
    spelled.chain(renamed).chain(of_parts)
}

/// Whether a function that is called `known` is the engine's `name`, or is made with it.
pub(in crate::query) fn stands_for(known: &str, name: &str) -> bool {
    let is_of_lists = known.strip_prefix("list_").is_some_and(|end| name.strip_prefix("array_") == Some(end));
    let is_renamed = RENAMED.iter().any(|(other, own)| *other == known && *own == name);
    let is_piece = [known, name].iter().all(|name| ["substr", "substring"].contains(name));
    let call = format!("{name}(");
    let is_made = |(names, _, meaning): &(&str, &str, &str)| {
        names.split_whitespace().any(|other| other == known) && meaning.contains(&call)
    };
    is_of_lists || is_renamed || is_piece || FUNCTIONS.iter().chain(MORE).any(is_made)
}

/// Spells calls of functions that the engine has under other names.
pub(super) fn spell(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut Speller);
}

struct Speller;

impl VisitorMut for Speller {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(other) = of_shares(function)
                .or_else(|| lambdas::folded(function))
                .or_else(|| lambdas::of_pairs(function))
                .or_else(|| lambdas::with_places(function))
                .or_else(|| other_call(function))
        {
            *expr = other;
        }
        ControlFlow::Continue(())
    }
}

/// What stands for one call.
pub(super) fn other_call(function: &Function) -> Option<Expr> {
    of_parts(function)
        .or_else(|| truncated(function))
        .or_else(|| packed(function))
        .or_else(|| calls::by_kind(function))
        .or_else(|| calls::unnested(function))
        .or_else(|| aggregates::in_order(function))
        .or_else(|| aggregates::with_comma(function))
        .or_else(|| aggregates::of_several(function))
        .or_else(|| spelled(function))
        .or_else(|| calls::of_texts(function))
        .or_else(|| calls::mode(function))
        .or_else(|| calls::made_interval(function))
        .or_else(|| renamed(function))
}

/// A list of what stands for the call with each of its shares.
fn of_shares(function: &Function) -> Option<Expr> {
    let shares = aggregates::each_share(function)?.into_iter().map(|call| match &call {
        Expr::Function(one) => other_call(one).unwrap_or(call),
        _ => call,
    });
    let shares: Vec<Expr> = shares.collect();
    Some(super::spelling::called("make_array", &shares))
}

/// `dateadd(day, 3, d)`, with the part as a text.
fn of_parts(function: &Function) -> Option<Expr> {
    let name = name_of(function)?;
    let (_, own) = OF_PARTS.iter().find(|(known, _)| *known == name)?;
    let args = plain_args(function)?;
    let [part, first, second] = &args[..] else { return None };
    // BigQuery's `date_diff(later, earlier, day)`.
    let (part, first, second) = match part_word(second) {
        Some(_) if part_word(part).is_none() => (second, first, part),
        _ => (part, first, second),
    };
    let part = match part {
        Expr::Identifier(part) => part.value.clone(),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => text.clone(),
            _ => return None,
        },
        _ => return None,
    };
    let part = Expr::Value(Value::SingleQuotedString(part.to_lowercase()).into());
    Some(call(function, own, vec![part, first.clone(), second.clone()]))
}

/// The same call of a function that is known by another name.
fn renamed(function: &Function) -> Option<Expr> {
    let name = name_of(function)?;
    let other = match lambdas::name_of(&name, &function.args) {
        Some(other) => other,
        None => RENAMED.iter().find(|(known, _)| *known == name)?.1,
    };
    let mut function = function.clone();
    function.name = Ident::new(other).into();
    Some(Expr::Function(function))
}

/// A part of time that is written as a word.
fn part_word(expr: &Expr) -> Option<Expr> {
    let Expr::Identifier(Ident { value, quote_style: None, .. }) = expr else { return None };
    let word = value.to_lowercase();
    let known = PARTS.contains(&word.as_str());
    let word = word.strip_prefix("iso").unwrap_or(&word).to_owned();
    known.then(|| Expr::Value(Value::SingleQuotedString(word).into()))
}

/// A part of time as Oracle and Spark write it in `trunc(d, 'MM')`.
fn oracle_part(written: &Expr) -> Expr {
    let Expr::Value(value) = written else { return written.clone() };
    let Value::SingleQuotedString(word) = &value.value else { return written.clone() };
    let part = match word.to_lowercase().as_str() {
        "yyyy" | "yy" | "syyyy" => "year",
        "mm" | "mon" => "month",
        "q" => "quarter",
        "iw" => "week",
        "dd" => "day",
        "hh" | "hh24" => "hour",
        "mi" => "minute",
        _ => return written.clone(),
    };
    Expr::Value(Value::SingleQuotedString(part.to_owned()).into())
}

/// `date_trunc(month, d)`, and `date_trunc(d, month)`, `timestamp_trunc(t, month)`, `trunc(d, 'month')`.
fn truncated(function: &Function) -> Option<Expr> {
    let name = name_of(function)?;
    if !matches!(name.as_str(), "date_trunc" | "timestamp_trunc" | "datetime_trunc" | "trunc" | "date_part") {
        return None;
    }
    let args = plain_args(function)?;
    let [first, second] = &args[..] else { return None };
    let is_text = |expr: &Expr| matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)));
    // A column may be called as a part of time is.
    if is_text(first) {
        let part = oracle_part(first);
        return (name == "date_trunc" && part != *first)
            .then(|| call(function, &name, vec![part, second.clone()]));
    }
    let (part, of) = match (part_word(first), part_word(second)) {
        (Some(part), _) => (part, second),
        (None, Some(part)) => (part, first),
        (None, None) if name == "trunc" && is_text(second) => (oracle_part(second), first),
        _ => return None,
    };
    let name = if name == "date_part" { "date_part" } else { "date_trunc" };
    Some(call(function, name, vec![part, of.clone()]))
}

/// `struct_pack(a := 1)` is `named_struct('a', 1)`, and `struct_insert(s, a := 1)` says the names as texts too.
fn packed(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let (own, first) = match name_of(function)?.as_str() {
        "struct_pack" => ("named_struct", 0),
        "struct_insert" | "struct_update" => ("_elt_struct_insert", 1),
        _ => return None,
    };
    let mut args = Vec::new();
    for (at, arg) in list.args.iter().enumerate() {
        match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) if at < first => args.push(value.clone()),
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => {
                let name = match value {
                    Expr::Identifier(name) => name,
                    Expr::CompoundIdentifier(path) => path.last()?,
                    _ => return None,
                };
                args.push(Expr::Value(Value::SingleQuotedString(name.value.clone()).into()));
                args.push(value.clone());
            }
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => {
                args.push(Expr::Value(Value::SingleQuotedString(name.value.clone()).into()));
                args.push(value.clone());
            }
            _ => return None,
        }
    }
    Some(call(function, own, args))
}

fn spelled(function: &Function) -> Option<Expr> {
    let name = name_of(function)?;
    let args = plain_args(function)?;
    let meaning = KNOWN.get(&(name.as_str(), args.len()))?;
    let mut expression = meaning.expression().clone();
    let is_plain = function.filter.is_none() && function.over.is_none();
    if !is_plain && !aggregates::narrow(&mut expression, function) {
        match &mut expression {
            Expr::Function(own) => {
                own.filter = function.filter.clone();
                own.over = function.over.clone();
            }
            _ => return None,
        }
    }
    let _: ControlFlow<()> = expression.visit(&mut Filler { parameters: &meaning.parameters, args: &args });
    Some(expression)
}

/// Puts arguments in the place of parameters.
struct Filler<'a> {
    parameters: &'a [&'static str],
    args: &'a [Expr],
}

impl VisitorMut for Filler<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(Ident { value, quote_style: None, .. }) = expr
            && let Some(at) = self.parameters.iter().position(|parameter| parameter == value)
        {
            *expr = self.args[at].clone();
        }
        ControlFlow::Continue(())
    }
}

/// The name of a call that is written without a schema.
pub(super) fn name_of(function: &Function) -> Option<String> {
    match &function.name.0[..] {
        [name] => {
            name.as_ident().filter(|name| name.quote_style.is_none()).map(|name| name.value.to_lowercase())
        }
        _ => None,
    }
}

/// The arguments of a call that has nothing but arguments in its brackets.
pub(super) fn plain_args(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let is_plain = list.duplicate_treatment.is_none()
        && list.clauses.is_empty()
        && function.within_group.is_empty()
        && function.null_treatment.is_none()
        && matches!(function.parameters, FunctionArguments::None);
    let value = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().map(value).collect::<Option<Vec<_>>>().filter(|_| is_plain)
}

/// The same call of another function, with other arguments.
pub(super) fn call(like: &Function, name: &str, args: Vec<Expr>) -> Expr {
    let Expr::Function(mut function) = expression_of(&format!("{name}(1)")) else {
        unreachable!("it is a call")
    };
    if let FunctionArguments::List(list) = &mut function.args {
        list.args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    }
    (function.filter, function.over) = (like.filter.clone(), like.over.clone());
    Expr::Function(function)
}

pub(in crate::query) fn expression_of(sql: &str) -> Expr {
    let parsed = parse_query(&format!("select {sql}"));
    if let Ok(Statement::Query(query)) = parsed
        && let SetExpr::Select(mut select) = *query.body
        && let Some(SelectItem::UnnamedExpr(expr)) = select.projection.pop()
    {
        return expr;
    }
    unreachable!("our own expressions are correct: {sql}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(sql: &str) -> String {
        let mut statement = parse_query(sql).unwrap();
        spell(&mut statement);
        statement.to_string()
    }

    #[test]
    fn every_meaning_can_be_read() {
        for meaning in KNOWN.values() {
            assert!(!meaning.expression().to_string().is_empty());
        }
    }

    #[test]
    fn calls_are_spelled_as_the_engine_knows_them() {
        assert_eq!(said("select mod(a + 1, 3)"), "SELECT (a + 1) % (3)");
        assert_eq!(
            said("select datediff(day, a, b), dateadd('Month', 1, a)"),
            "SELECT _elt_date_diff('day', a, b), _elt_date_add('month', 1, a)"
        );
        assert_eq!(
            said("select max_by(a, b) filter (where c) over (partition by d)"),
            "SELECT first_value(a ORDER BY b DESC NULLS LAST) FILTER (WHERE c) OVER (PARTITION BY d)"
        );
        assert_eq!(said("select struct_pack(a := len(b))"), "SELECT named_struct('a', length(b))");
        // Arguments are not taken for parameters.
        assert_eq!(said("select charindex(b, a)"), "SELECT strpos(a, b)");
        assert_eq!(said("select mod(distinct a, b), x.mod(a, b)"), "SELECT mod(DISTINCT a, b), x.mod(a, b)");
    }
}
