//! What do other engines call what this one can do?
//!
//! Functions that people know from DuckDB, Spark, Snowflake and dbt's macros, each as an expression of the engine's own
//! functions. [`spell`] puts it in place of the call; columns keep the names that were written.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, SelectItem, SetExpr, Statement,
    Value, VisitMut, VisitorMut,
};

use super::statement::parse_query;
use super::{calls, lambdas};

/// A function's names, its parameters, and what it is. Where one ends in the call of an aggregate, `filter` and `over` of
/// the call go there.
const FUNCTIONS: &[(&str, &str, &str)] = &[
    ("mod", "a b", "(a) % (b)"),
    ("if iff", "c a b", "case when c then a else b end"),
    ("if", "c a", "case when c then a end"),
    ("zeroifnull", "a", "coalesce(a, 0)"),
    ("nullifzero", "a", "nullif(a, 0)"),
    ("equal_null", "a b", "(a) is not distinct from (b)"),
    ("safe_divide try_divide", "a b", "cast(a as double) / nullif(b, 0)"),
    ("div0", "a b", "case when (b) = 0 then 0 else cast(a as double) / (b) end"),
    ("div", "a b", "cast(trunc((a) / (b)) as bigint)"),
    ("isnull", "a", "(a) is null"),
    ("square", "a", "(a) * (a)"),
    ("bitand bit_and", "a b", "(a) & (b)"),
    ("bitor bit_or", "a b", "(a) | (b)"),
    (
        "width_bucket",
        "v lo hi n",
        "case when (v) < (lo) then 0 when (v) >= (hi) then (n) + 1 \
         else cast(floor(((v) - (lo)) * cast(n as double) / ((hi) - (lo))) as bigint) + 1 end",
    ),
    ("to_number to_double", "a", "cast(a as double)"),
    ("to_varchar to_string", "a", "cast(a as varchar)"),
    ("to_varchar", "a b", "to_char(a, b)"),
    ("to_boolean", "a", "cast(a as boolean)"),
    ("to_base64 base64 base64_encode", "a", "encode(cast(a as bytea), 'base64')"),
    ("from_base64 unbase64", "a", "decode(a, 'base64')"),
    ("rand", "", "random()"),
    ("gen_random_uuid", "", "uuid()"),
    // Text
    ("len", "a", "length(a)"),
    ("ucase", "a", "upper(a)"),
    ("lcase", "a", "lower(a)"),
    ("startswith", "a b", "starts_with(a, b)"),
    ("endswith", "a b", "ends_with(a, b)"),
    ("charindex locate", "a b", "strpos(b, a)"),
    ("mid", "a b", "substr(a, b)"),
    ("mid", "a b n", "substr(a, b, n)"),
    ("space", "n", "repeat(' ', n)"),
    ("split str_split", "a b", "string_to_array(a, b)"),
    ("regexp_matches", "a b", "regexp_like(a, b)"),
    ("regexp_substr", "a b", "(regexp_match(a, '(' || (b) || ')'))[1]"),
    (
        "regexp_extract",
        "a b",
        "case when (a) is not null then coalesce((regexp_match(a, '(' || (b) || ')'))[1], '') end",
    ),
    (
        "regexp_extract",
        "a b n",
        "case when (a) is not null then coalesce((regexp_match(a, '(' || (b) || ')'))[(n) + 1], '') end",
    ),
    // JSON
    (
        "json_extract_path_text json_extract_string json_extract_scalar get_json_object json_value",
        "a b",
        "_elt_json_text(a, b)",
    ),
    ("json_extract json_query json_get json_extract_path", "a b", "_elt_json_get(a, b)"),
    ("json_array_length", "a b", "json_array_length(_elt_json_get(a, b))"),
    ("json_serialize to_json_string", "a", "to_json(a)"),
    (
        "json_typeof",
        "a",
        "case json_type(a) when 'VARCHAR' then 'string' when 'BIGINT' then 'number' when 'UBIGINT' then 'number' when 'DOUBLE' then 'number' else lower(json_type(a)) end",
    ),
    ("is_valid_json", "a", "json_valid(a)"),
    // Time
    ("year", "a", "cast(date_part('year', a) as bigint)"),
    ("quarter", "a", "cast(date_part('quarter', a) as bigint)"),
    ("month", "a", "cast(date_part('month', a) as bigint)"),
    ("week weekofyear", "a", "cast(date_part('week', a) as bigint)"),
    ("day dayofmonth", "a", "cast(date_part('day', a) as bigint)"),
    ("dayofweek", "a", "cast(date_part('dow', a) as bigint)"),
    ("isodow", "a", "cast((date_part('dow', a) + 6) % 7 + 1 as bigint)"),
    ("dayofyear", "a", "cast(date_part('doy', a) as bigint)"),
    ("hour", "a", "cast(date_part('hour', a) as bigint)"),
    ("minute", "a", "cast(date_part('minute', a) as bigint)"),
    ("second", "a", "cast(date_part('second', a) as bigint)"),
    ("epoch", "a", "cast(date_part('epoch', a) as double)"),
    ("epoch_ms", "a", "cast(date_part('epoch', a) * 1000 as bigint)"),
    ("monthname", "a", "to_char(a, '%B')"),
    ("dayname", "a", "to_char(a, '%A')"),
    ("strftime", "a b", "to_char(a, b)"),
    ("date", "a", "cast(a as date)"),
    ("getdate sysdate current_localtimestamp", "", "now()"),
    ("weekday", "a", "cast(date_part('dow', a) as bigint)"),
    ("weekiso", "a", "cast(date_part('week', a) as bigint)"),
    ("dayofweekiso dayofweek_iso", "a", "cast((date_part('dow', a) + 6) % 7 + 1 as bigint)"),
    ("yearweek", "a", "cast(date_part('isoyear', a) * 100 + date_part('week', a) as bigint)"),
    ("unix_timestamp date_to_unix epoch_seconds", "a", "cast(date_part('epoch', a) as bigint)"),
    ("date_from_parts datefromparts", "y m d", "make_date(cast(y as int), cast(m as int), cast(d as int))"),
    (
        "make_timestamp timestamp_from_parts timestamp_ntz_from_parts datetimefromparts",
        "y m d h i s",
        "_elt_date_add('second', s, _elt_date_add('minute', i, _elt_date_add('hour', h, \
         cast(make_date(cast(y as int), cast(m as int), cast(d as int)) as timestamp))))",
    ),
    ("strptime", "a b", "to_timestamp(a, b)"),
    ("try_to_date", "a", "try_cast(a as date)"),
    ("try_to_timestamp", "a", "try_cast(a as timestamp)"),
    ("parse_date", "b a", "to_date(a, b)"),
    ("format_date", "b a", "to_char(a, b)"),
    ("time_bucket", "i a", "date_bin(i, a)"),
    ("convert_timezone", "a b c", "timezone(b, timezone(a, (c)::timestamp))"),
    ("convert_timezone", "a b", "timezone(a, (b)::timestamptz)"),
    (
        "months_between",
        "a b",
        "(date_part('year', a) - date_part('year', b)) * 12 + date_part('month', a) - date_part('month', b) \
         + case when date_part('day', a) = date_part('day', b) \
           or (cast(a as date) = cast(_elt_date_add('day', -1, _elt_date_add('month', 1, date_trunc('month', a))) as date) \
           and cast(b as date) = cast(_elt_date_add('day', -1, _elt_date_add('month', 1, date_trunc('month', b))) as date)) \
           then 0.0 else (date_part('day', a) - date_part('day', b)) / 31.0 end",
    ),
    (
        "last_day",
        "a",
        "cast(_elt_date_add('day', -1, _elt_date_add('month', 1, date_trunc('month', a))) as date)",
    ),
    ("add_months", "a n", "_elt_date_add('month', n, a)"),
    ("date_add", "a b", "(a) + (b)"),
    ("date_sub", "a b", "(a) - (b)"),
    ("datediff", "a b", "_elt_date_diff('day', b, a)"),
    ("age", "a b", "_elt_age(a, b)"),
    ("age", "a", "_elt_age(current_date, a)"),
    // Aggregates
    ("max_by arg_max argmax", "a b", "first_value(a order by b desc nulls last)"),
    ("min_by arg_min argmin", "a b", "first_value(a order by b asc nulls last)"),
    ("first", "a", "first_value(a)"),
    ("last", "a", "last_value(a)"),
    ("list", "a", "array_agg(a)"),
    ("count_if countif", "c", "count(case when c then 1 end)"),
    ("approx_count_distinct", "a", "approx_distinct(a)"),
    ("listagg group_concat", "a", "string_agg(a, ',')"),
    ("listagg group_concat", "a b", "string_agg(a, b)"),
    ("quantile_cont percentile", "a p", "percentile_cont(a, p)"),
    ("approx_percentile approx_quantile", "a p", "approx_percentile_cont(a, p)"),
    (
        "quantile_disc",
        "a p",
        "(array_sort(array_agg(a) filter (where (a) is not null)))[greatest(cast(ceil((p) * count(a)) as bigint), 1)]",
    ),
];

/// Functions that are another under another name, with all arguments that they are given.
const RENAMED: &[(&str, &str)] = &[
    ("listagg", "string_agg"),
    ("group_concat", "string_agg"),
    ("list_value", "make_array"),
    ("array", "make_array"),
    ("sign", "signum"),
    ("array_construct", "make_array"),
    ("array_size", "array_length"),
    ("string_split", "string_to_array"),
    ("split_to_array", "string_to_array"),
    ("arrays_overlap", "array_has_any"),
    ("array_agg_distinct", "array_agg"),
    ("sequence", "generate_series"),
    ("explode", "unnest"),
    ("ceiling", "ceil"),
    ("truncate", "trunc"),
    ("prefix", "starts_with"),
    ("suffix", "ends_with"),
    ("editdistance", "levenshtein"),
    ("newid", "uuid"),
    ("uuid_string", "uuid"),
    ("generate_uuid", "uuid"),
    ("variance", "var_samp"),
    ("var_sample", "var_samp"),
    ("variance_pop", "var_pop"),
    ("every", "bool_and"),
    ("booland_agg", "bool_and"),
    ("logical_and", "bool_and"),
    ("boolor_agg", "bool_or"),
    ("logical_or", "bool_or"),
    ("arbitrary", "any_value"),
    ("json_extract_path_text", "_elt_json_text"),
    ("json_extract_path", "_elt_json_get"),
    ("json_object_keys", "json_keys"),
    ("object_keys", "json_keys"),
    ("json_build_object", "json_object"),
    ("object_construct", "json_object"),
    ("json_build_array", "json_array"),
    ("check_json", "json_valid"),
    ("json", "parse_json"),
];

/// Words for a part of time, where one may stand without quotes: `date_trunc(month, d)`, and BigQuery's `date_trunc(d, month)`.
const PARTS: &[&str] = &[
    "year",
    "isoyear",
    "quarter",
    "month",
    "week",
    "isoweek",
    "day",
    "hour",
    "minute",
    "second",
    "millisecond",
    "microsecond",
];

/// Functions whose first argument is a part of time, as a word or a text: `datediff(day, a, b)`.
const OF_PARTS: &[(&str, &str)] = &[
    ("dateadd", "_elt_date_add"),
    ("date_add", "_elt_date_add"),
    ("timestampadd", "_elt_date_add"),
    ("datediff", "_elt_date_diff"),
    ("date_diff", "_elt_date_diff"),
    ("timestampdiff", "_elt_date_diff"),
    ("timestamp_diff", "_elt_date_diff"),
    ("datetime_diff", "_elt_date_diff"),
];

/// The parameters of a function, and what it is.
type Meaning = (Vec<&'static str>, Expr);

/// What stands for a call, by name and number of arguments.
static KNOWN: LazyLock<BTreeMap<(&str, usize), Meaning>> = LazyLock::new(|| {
    let mut known = BTreeMap::new();
    for (names, parameters, expression) in FUNCTIONS {
        let parameters: Vec<&str> = parameters.split_whitespace().collect();
        let expression = expression_of(expression);
        for name in names.split_whitespace() {
            known.insert((name, parameters.len()), (parameters.clone(), expression.clone()));
        }
    }
    known
});

/// Spells calls of functions that the engine has under other names.
pub(super) fn spell(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut Speller);
}

struct Speller;

impl VisitorMut for Speller {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(other) = of_parts(function)
                .or_else(|| truncated(function))
                .or_else(|| packed(function))
                .or_else(|| spelled(function))
                .or_else(|| calls::of_texts(function))
                .or_else(|| calls::mode(function))
                .or_else(|| calls::made_interval(function))
                .or_else(|| renamed(function))
        {
            *expr = other;
        }
        ControlFlow::Continue(())
    }
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

/// `date_trunc(month, d)`, and `date_trunc(d, month)`, `timestamp_trunc(t, month)`, `trunc(d, 'month')`.
fn truncated(function: &Function) -> Option<Expr> {
    let name = name_of(function)?;
    if !matches!(name.as_str(), "date_trunc" | "timestamp_trunc" | "datetime_trunc" | "trunc" | "date_part") {
        return None;
    }
    let args = plain_args(function)?;
    let [first, second] = &args[..] else { return None };
    let is_text = |expr: &Expr| matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)));
    let (part, of) = match (part_word(first), part_word(second)) {
        (Some(part), _) => (part, second),
        (None, Some(part)) => (part, first),
        (None, None) if name == "trunc" && is_text(second) => (second.clone(), first),
        _ => return None,
    };
    let name = if name == "date_part" { "date_part" } else { "date_trunc" };
    Some(call(function, name, vec![part, of.clone()]))
}

/// `struct_pack(a := 1)` is `named_struct('a', 1)`.
fn packed(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    if name_of(function)? != "struct_pack" {
        return None;
    }
    let mut args = Vec::new();
    for arg in &list.args {
        let FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } = arg else { return None };
        args.push(Expr::Value(Value::SingleQuotedString(name.value.clone()).into()));
        args.push(value.clone());
    }
    Some(call(function, "named_struct", args))
}

fn spelled(function: &Function) -> Option<Expr> {
    let name = name_of(function)?;
    let args = plain_args(function)?;
    let (parameters, expression) = KNOWN.get(&(name.as_str(), args.len()))?;
    let mut expression = expression.clone();
    let is_plain = function.filter.is_none() && function.over.is_none();
    match &mut expression {
        Expr::Function(own) => {
            own.filter = function.filter.clone();
            own.over = function.over.clone();
        }
        _ if is_plain => {}
        _ => return None,
    }
    let _: ControlFlow<()> = expression.visit(&mut Filler { parameters, args: &args });
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

pub(super) fn expression_of(sql: &str) -> Expr {
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
