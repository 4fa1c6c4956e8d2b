//! How else can an expression be written?
//!
//! Operators and forms of other engines, each put into the words that the engine plans: `json ->> 'a'`, `(s).a`,
//! `a similar to 'x%'`, `(a, b) in (select …)`, `b'…'`, `interval '1 quarter'`, a format as `YYYY-MM-DD`.
//! Columns keep the headings that were written.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, JoinConstraint, JoinOperator, Query, Select, SelectItem, SetExpr, Statement,
    Subscript, TableAlias, TableAliasColumnDef, TableFactor, UnaryOperator, Value, ValueWithSpan, VisitMut,
    VisitorMut,
};

use super::statement::{empty_query, parse_expression};
use super::{formats, intervals, json, lambdas, symmetric};
use crate::query::types::unsigned;

/// Rewrites what is only written otherwise.
pub(super) fn respell(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut Speller);
}

struct Speller;

impl VisitorMut for Speller {
    type Break = ();

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for join in select.from.iter_mut().flat_map(|table| &mut table.joins) {
            let operator = &mut join.join_operator;
            // The engine plans the sides by name.
            match operator {
                JoinOperator::Semi(constraint) => *operator = JoinOperator::LeftSemi(take(constraint)),
                JoinOperator::Anti(constraint) => *operator = JoinOperator::LeftAnti(take(constraint)),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let other = match expr {
            Expr::Between { expr: of, negated, low, high } => symmetric::both_ways(of, *negated, low, high),
            Expr::BinaryOp { left, op: BinaryOperator::HashLongArrow, right } => {
                json::by_path("_elt_json_text", left, right)
            }
            Expr::BinaryOp { left, op: lambdas::KEY, right } if json::is_path(right) => {
                json::by_path("_elt_json_get", left, right)
            }
            Expr::BinaryOp { left, op: BinaryOperator::Arrow | lambdas::KEY, right } => {
                Some(called("_elt_json_get", [&**left, &**right]))
            }
            Expr::BinaryOp { left, op: BinaryOperator::LongArrow, right } => {
                Some(called("_elt_json_text", [&**left, &**right]))
            }
            Expr::BinaryOp { left, op: BinaryOperator::PGStartsWith, right } => {
                Some(called("starts_with", [&**left, &**right]))
            }
            Expr::BinaryOp { left, op: BinaryOperator::AtArrow, right } if json::is_json(left) => {
                Some(called("json_contains", [&**left, &**right]))
            }
            Expr::BinaryOp { left, op: BinaryOperator::ArrowAt, right } if json::is_json(right) => {
                Some(called("json_contains", [&**right, &**left]))
            }
            Expr::BinaryOp { left, op: BinaryOperator::Overlaps, right } => overlapping(left, right),
            Expr::BinaryOp { left, op: BinaryOperator::PGOverlap, right } => {
                Some(called("array_has_any", [&**left, &**right]))
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                let longer = with_names(root, access_chain);
                access_chain.iter_mut().for_each(dot_to_subscript);
                match longer {
                    Some(longer) if access_chain.is_empty() => Some(longer),
                    _ => json::inside(root, access_chain).or_else(|| sliced(root, access_chain)),
                }
            }
            Expr::Lambda(lambda) => {
                lambdas::fields(lambda);
                None
            }
            Expr::JsonAccess { value, path } => json::along(value, path),
            Expr::Cast {
                kind: CastKind::Cast | CastKind::DoubleColon,
                expr: of,
                data_type: DataType::JSON | DataType::JSONB,
                ..
            } if !is_json_already(of) => {
                // A list cast to a text is no JSON.
                **of = called("_elt_json", [&**of]);
                None
            }
            Expr::UnaryOp { op: UnaryOperator::BitwiseNot, expr: of } => {
                let minus_one = Expr::UnaryOp {
                    op: UnaryOperator::Minus,
                    expr: Box::new(Expr::value(Value::Number("1".to_owned(), false))),
                };
                let (left, right) = (Box::new(Expr::Nested(of.clone())), Box::new(minus_one));
                Some(Expr::Nested(Box::new(Expr::BinaryOp { left, op: BinaryOperator::BitwiseXor, right })))
            }
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                // The engine's own is the backslash.
                if let Some(escape) = escape_char.take_if(|escape| !is_text(escape, "\\")) {
                    **pattern = called("_elt_like", [&**pattern, &Expr::Value(escape)]);
                }
                None
            }
            // `1 is true`: what is no boolean is read as one.
            Expr::IsTrue(of) | Expr::IsNotTrue(of) | Expr::IsFalse(of) | Expr::IsNotFalse(of)
                if matches!(**of, Expr::Value(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_)) =>
            {
                **of = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: of.clone(),
                    data_type: DataType::Boolean,
                    array: false,
                    format: None,
                };
                None
            }
            Expr::SimilarTo { negated, expr: text, pattern, escape_char: None } => {
                similar(*negated, text, pattern)
            }
            Expr::InSubquery { expr: left, subquery, negated } => match &**left {
                Expr::Tuple(items) => Some(tuple_in(items, subquery, *negated)),
                _ => None,
            },
            Expr::Value(ValueWithSpan { value, .. }) => {
                if let Value::UnicodeStringLiteral(text)
                | Value::SingleQuotedRawStringLiteral(text)
                | Value::DoubleQuotedRawStringLiteral(text) = value
                {
                    *value = Value::SingleQuotedString(std::mem::take(text));
                }
                if let Value::SingleQuotedByteStringLiteral(text)
                | Value::DoubleQuotedByteStringLiteral(text) = &*value
                {
                    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
                    *value = Value::HexStringLiteral(hex);
                }
                None
            }
            // The engine's own form of it knows nothing of our parts.
            Expr::Extract { field, expr: of, .. } => {
                let part = match field.to_string().to_lowercase().trim_matches('\'') {
                    "dayofweek" | "weekday" => "dow".to_owned(),
                    "dayofyear" => "doy".to_owned(),
                    part => part.to_owned(),
                };
                Some(called("date_part", [&text(&part), &Expr::Nested(of.clone())]))
            }
            Expr::Identifier(name) if name.quote_style.is_none() => bare(&name.value),
            Expr::Substring { expr: text, substring_from: Some(from), .. } => {
                if let Some(place) = from_the_end(text, from) {
                    **from = place;
                }
                None
            }
            // In brackets of its own the engine knows no row around, and no parameter of a function.
            Expr::Array(list) if list.elem.iter().any(|item| !is_constant(item)) => {
                Some(called("make_array", &list.elem))
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                Some(called("timezone", [&**time_zone, &**timestamp]))
            }
            Expr::Interval(interval) => {
                intervals::without_quarters(interval);
                intervals::plain(interval)
            }
            Expr::Rollup(sets) if sets.iter().any(|set| set.len() > 1) => {
                let all = (0..=sets.len()).rev().map(|count| sets[..count].concat()).collect();
                Some(Expr::GroupingSets(all))
            }
            Expr::Cube(sets) if sets.len() <= 12 && sets.iter().any(|set| set.len() > 1) => {
                Some(Expr::GroupingSets(cube(sets)))
            }
            Expr::Cast { kind, data_type, .. } => {
                let within = if *kind == CastKind::TryCast { "_elt_try_within" } else { "_elt_within" };
                let bounds = unsigned(data_type);
                bounds
                    .map(|(name, most)| called(within, &[expr.clone(), text(&most.to_string()), text(&name)]))
            }
            Expr::GroupingSets(sets) if sets.iter().any(|set| sets_of(set).is_some()) => {
                let each = |set: &Vec<Expr>| sets_of(set).unwrap_or_else(|| vec![set.clone()]);
                Some(Expr::GroupingSets(sets.iter().flat_map(each).collect()))
            }
            Expr::Function(call) => {
                called_bare(call).or_else(|| decoded(call)).or_else(|| discrete(call)).or_else(|| {
                    formats::with_format(call);
                    within_group(call);
                    None
                })
            }
            _ => None,
        };
        if let Some(other) = other {
            *expr = other;
        }
        ControlFlow::Continue(())
    }
}

/// Where a piece of a text begins that is counted from its end: `substr('abc', -2)`, as in DuckDB and Spark.
fn from_the_end(text: &Expr, from: &Expr) -> Option<Expr> {
    let mut place = match from {
        Expr::Value(_) => return None,
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } if matches!(**expr, Expr::Value(_)) => {
            parse_expression("length(t) + n + 1")?
        }
        _ => parse_expression("case when n < 0 then length(t) + n + 1 else n end")?,
    };
    super::outside_queries(&mut place, |expr| {
        let meant = match expr {
            Expr::Identifier(name) if name.value == "t" => text,
            Expr::Identifier(name) if name.value == "n" => from,
            _ => return,
        };
        *expr = Expr::Nested(Box::new(meant.clone()));
    });
    Some(place)
}

/// `(a, b) overlaps (c, d)`: spans of time, each without its end, of which the second may be told by its length.
fn overlapping(left: &Expr, right: &Expr) -> Option<Expr> {
    let span = |side: &Expr| match side {
        Expr::Tuple(two) => match &two[..] {
            [start, end @ Expr::Interval(_)] => {
                let (left, right) = (Box::new(start.clone()), Box::new(end.clone()));
                Some((start.clone(), Expr::BinaryOp { left, op: BinaryOperator::Plus, right }))
            }
            [start, end] => Some((start.clone(), end.clone())),
            _ => None,
        },
        _ => None,
    };
    let ((a, b), (c, d)) = (span(left)?, span(right)?);
    let mut both = parse_expression(
        "(least(a, b) < greatest(c, d) and least(c, d) < greatest(a, b) or least(a, b) = least(c, d))",
    )?;
    super::outside_queries(&mut both, |expr| {
        let meant = match expr {
            Expr::Identifier(name) => match name.value.as_str() {
                "a" => &a,
                "b" => &b,
                "c" => &c,
                _ => &d,
            },
            _ => return,
        };
        *expr = meant.clone();
    });
    Some(both)
}

/// Whether there is nothing in an expression that differs from row to row.
fn is_constant(expr: &Expr) -> bool {
    sqlparser::ast::visit_expressions(expr, |expr| match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_continue()
}

fn is_text(value: &ValueWithSpan, wanted: &str) -> bool {
    matches!(&value.value, Value::SingleQuotedString(text) if text == wanted)
}

/// What `rollup(a, b)`, `cube(a, b)` and `()` are among grouping sets; nothing for a plain set.
fn sets_of(set: &[Expr]) -> Option<Vec<Vec<Expr>>> {
    let [Expr::Function(call)] = set else { return None };
    let columns = |arg: &&Expr| match arg {
        Expr::Tuple(columns) => columns.clone(),
        Expr::Nested(column) => vec![(**column).clone()],
        column => vec![(*column).clone()],
    };
    let parts: Vec<Vec<Expr>> = plain_args(call)?.iter().map(columns).collect();
    match name_of(call).as_str() {
        "rollup" => Some((0..=parts.len()).rev().map(|count| parts[..count].concat()).collect()),
        "cube" if parts.len() <= 12 => Some(cube(&parts)),
        _ => None,
    }
}

/// All choices of some parts.
fn cube(parts: &[Vec<Expr>]) -> Vec<Vec<Expr>> {
    let chosen = |mask: u32| {
        let kept = parts.iter().enumerate().filter(|(at, _)| mask & (1 << at) == 0);
        kept.flat_map(|(_, part)| part.clone()).collect()
    };
    (0..1_u32 << parts.len()).map(chosen).collect()
}

/// Whether nothing is left to do for a cast to JSON: it is of a text as it stands, or was seen here before.
fn is_json_already(of: &Expr) -> bool {
    match of {
        Expr::Value(_) => true,
        Expr::Function(call) => name_of(call) == "_elt_json",
        _ => false,
    }
}

/// What SQL has without brackets.
fn bare(name: &str) -> Option<Expr> {
    match name.to_lowercase().as_str() {
        "current_schema" => parse_expression("current_schema()"),
        "current_catalog" => parse_expression("current_catalog()"),
        _ => local_time(name),
    }
}

/// `localtimestamp` and `localtime`: a session is in UTC.
fn local_time(name: &str) -> Option<Expr> {
    match name.to_lowercase().as_str() {
        "localtimestamp" => parse_expression("cast(now() as timestamp)"),
        "localtime" => parse_expression("cast(cast(now() as timestamp) as time)"),
        _ => None,
    }
}

/// The same with brackets.
fn called_bare(call: &Function) -> Option<Expr> {
    let is_bare = match &call.args {
        FunctionArguments::None => true,
        FunctionArguments::List(list) => list.args.is_empty() && list.clauses.is_empty(),
        FunctionArguments::Subquery(_) => false,
    };
    is_bare.then(|| local_time(&name_of(call)))?
}

/// `list[2:]`, `list[:-2]`, `text[1:3]`; nothing if there is no slice, or one with steps, which the engine plans.
fn sliced(root: &Expr, chain: &[AccessExpr]) -> Option<Expr> {
    let is_slice =
        |access: &AccessExpr| matches!(access, AccessExpr::Subscript(Subscript::Slice { stride: None, .. }));
    let first = chain.iter().position(is_slice)?;
    let behind = |root: Expr, chain: &[AccessExpr]| match chain {
        [] => root,
        chain => Expr::CompoundFieldAccess { root: Box::new(root), access_chain: chain.to_vec() },
    };
    let AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, .. }) = &chain[first] else {
        return None;
    };
    let bound = |bound: &Option<Expr>| bound.clone().unwrap_or_else(|| Expr::value(Value::Null));
    let of = behind(root.clone(), &chain[..first]);
    let slice = called("_elt_slice", [&of, &bound(lower_bound), &bound(upper_bound)]);
    let rest = &chain[first + 1..];
    Some(sliced(&slice, rest).unwrap_or_else(|| behind(slice, rest)))
}

fn take(constraint: &mut JoinConstraint) -> JoinConstraint {
    std::mem::replace(constraint, JoinConstraint::None)
}

/// The call of a function.
pub(in crate::query) fn called<'a>(name: &str, args: impl IntoIterator<Item = &'a Expr>) -> Expr {
    let Some(Expr::Function(mut function)) = parse_expression(&format!("{name}()")) else {
        unreachable!("it is a call")
    };
    if let FunctionArguments::List(list) = &mut function.args {
        list.args =
            args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg.clone()))).collect();
    }
    Expr::Function(function)
}

pub(super) fn text(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.to_owned()))
}

/// The root of `t.s['field']` is `t.s`: names behind a name belong to it. Returns it, if it has become longer.
fn with_names(root: &mut Box<Expr>, chain: &mut Vec<AccessExpr>) -> Option<Expr> {
    let mut names = match &**root {
        Expr::Identifier(name) => vec![name.clone()],
        Expr::CompoundIdentifier(names) => names.clone(),
        _ => return None,
    };
    let behind: Vec<Ident> = chain
        .iter()
        .map_while(|access| match access {
            AccessExpr::Dot(Expr::Identifier(name)) => Some(name.clone()),
            _ => None,
        })
        .collect();
    if behind.is_empty() {
        return None;
    }
    chain.drain(..behind.len());
    names.extend(behind);
    **root = Expr::CompoundIdentifier(names);
    Some((**root).clone())
}

/// `(s).field` is `s['field']`.
fn dot_to_subscript(access: &mut AccessExpr) {
    if let AccessExpr::Dot(Expr::Identifier(field)) = access {
        let name = if field.quote_style.is_some() { field.value.clone() } else { field.value.to_lowercase() };
        *access = AccessExpr::Subscript(Subscript::Index { index: text(&name) });
    }
}

/// SQL's own regular expressions: `%` and `_` as in LIKE, and `| * + ? { } ( ) [ ]`; all of the text has to match.
fn similar(negated: bool, value: &Expr, pattern: &Expr) -> Option<Expr> {
    let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(pattern), .. }) = pattern else {
        return None;
    };
    let mut regex = String::from("^(?s:");
    let mut chars = pattern.chars();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => regex.extend(chars.next().map(regex_escaped)),
            '[' => {
                in_class = true;
                regex.push(c);
            }
            ']' => {
                in_class = false;
                regex.push(c);
            }
            _ if in_class => regex.push(c),
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            '|' | '*' | '+' | '?' | '{' | '}' | '(' | ')' => regex.push(c),
            other => regex.push_str(&regex_escaped(other)),
        }
    }
    regex.push_str(")$");
    let op = if negated { BinaryOperator::PGRegexNotMatch } else { BinaryOperator::PGRegexMatch };
    Some(Expr::BinaryOp { left: Box::new(value.clone()), op, right: Box::new(text(&regex)) })
}

fn regex_escaped(c: char) -> String {
    if c.is_alphanumeric() || c.is_whitespace() { c.to_string() } else { format!("\\{c}") }
}

/// `(a, b) in (select x, y …)` asks whether there is such a row. A comparison that is not known keeps a row out, in both
/// directions.
fn tuple_in(items: &[Expr], subquery: &Query, negated: bool) -> Expr {
    let names: Vec<Ident> = (0..items.len()).map(|at| Ident::new(format!("_elt_{at}"))).collect();
    let mut query = empty_query();
    let equal = |(name, item): (&Ident, &Expr)| Expr::BinaryOp {
        left: Box::new(Expr::Identifier(name.clone())),
        op: BinaryOperator::Eq,
        right: Box::new(Expr::Nested(Box::new(item.clone()))),
    };
    let all = names.iter().zip(items).map(equal).reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::And,
        right: Box::new(right),
    });
    let columns = names.into_iter().map(|name| TableAliasColumnDef { name, data_type: None }).collect();
    let alias = TableAlias { explicit: true, name: Ident::new("_elt_rows"), columns, at: None };
    let relation = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(subquery.clone()),
        alias: Some(alias),
        sample: None,
    };
    if let SetExpr::Select(select) = &mut *query.body {
        select.projection = vec![SelectItem::UnnamedExpr(Expr::value(Value::Number("1".to_owned(), false)))];
        select.from = vec![sqlparser::ast::TableWithJoins { relation, joins: Vec::new() }];
        select.selection = match (all, negated) {
            (Some(all), true) => Some(Expr::IsNotFalse(Box::new(Expr::Nested(Box::new(all))))),
            (all, _) => all,
        };
    }
    Expr::Exists { subquery: Box::new(query), negated }
}

/// The plain arguments of a call.
pub(super) fn plain_args(call: &Function) -> Option<Vec<&Expr>> {
    let FunctionArguments::List(list) = &call.args else { return None };
    let plain = |arg: &'_ FunctionArg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(_)));
    if !list.args.iter().all(plain) {
        return None;
    }
    Some(
        list.args
            .iter()
            .filter_map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
                _ => None,
            })
            .collect(),
    )
}

pub(super) fn name_of(call: &Function) -> String {
    call.name.to_string().to_lowercase()
}

/// `decode(x, 'a', 1, 'b', 2, 0)`, which takes nulls to be equal. With two arguments it reads bytes.
fn decoded(call: &Function) -> Option<Expr> {
    let args = plain_args(call).filter(|args| name_of(call) == "decode" && args.len() > 2)?;
    let (value, rest) = args.split_first()?;
    let (pairs, otherwise) = match rest.len() % 2 {
        0 => (rest, None),
        _ => (&rest[..rest.len() - 1], rest.last()),
    };
    let conditions = pairs.chunks(2).map(|pair| CaseWhen {
        condition: Expr::IsNotDistinctFrom(Box::new((*value).clone()), Box::new(pair[0].clone())),
        result: pair[1].clone(),
    });
    let Some(Expr::Case { case_token, end_token, .. }) = parse_expression("case when true then 1 end") else {
        return None;
    };
    Some(Expr::Case {
        case_token,
        end_token,
        operand: None,
        conditions: conditions.collect(),
        else_result: otherwise.map(|expr| Box::new((*expr).clone())),
    })
}

/// `listagg(a, ',') within group (order by b)` and the like: the order goes into the brackets.
fn within_group(call: &mut Function) {
    if call.within_group.is_empty()
        || !matches!(name_of(call).as_str(), "listagg" | "string_agg" | "array_agg")
    {
        return;
    }
    if let FunctionArguments::List(list) = &mut call.args {
        let order = std::mem::take(&mut call.within_group);
        list.clauses.push(sqlparser::ast::FunctionArgumentClause::OrderBy(order));
        if name_of(call) == "listagg" {
            if let FunctionArguments::List(list) = &mut call.args
                && list.args.len() == 1
            {
                list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(text(""))));
            }
            call.name = Ident::new("string_agg").into();
        }
    }
}

/// `percentile_disc(0.5) within group (order by a)`: a value that is there.
fn discrete(call: &Function) -> Option<Expr> {
    let args = plain_args(call).filter(|_| name_of(call) == "percentile_disc")?;
    let ([share], [by]) = (&args[..], &call.within_group[..]) else { return None };
    match by.options.asc {
        Some(false) => Some(called("_elt_quantile_from_top", [&by.expr, *share])),
        _ => Some(called("quantile_disc", [&by.expr, *share])),
    }
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;
    use super::*;

    fn said(sql: &str) -> String {
        let mut statement = parse_query(sql).unwrap();
        respell(&mut statement);
        statement.to_string()
    }

    #[test]
    fn other_spellings_become_ours() {
        assert_eq!(said("select a -> 'b' ->> 0"), "SELECT _elt_json_text(_elt_json_get(a, 'b'), 0)");
        assert_eq!(
            said("select 1 from t group by rollup((a, b), c)"),
            "SELECT 1 FROM t GROUP BY GROUPING SETS ((a, b, c), (a, b), ())"
        );
        assert_eq!(said("select (s).F"), "SELECT (s)['f']");
        assert_eq!(said("select a similar to '(x|y)%.'"), r"SELECT a ~ '^(?s:(x|y).*\.)$'");
        assert_eq!(
            said("select interval '2 quarters 1 day', interval 1 quarter"),
            "SELECT INTERVAL '6 months 1 day', INTERVAL '3' MONTH"
        );
        assert_eq!(
            said("select decode(a, 1, 'x', 'y'), decode(a, 'hex')"),
            "SELECT CASE WHEN a IS NOT DISTINCT FROM 1 THEN 'x' ELSE 'y' END, decode(a, 'hex')"
        );
        assert_eq!(
            said("select listagg(a, ',') within group (order by b)"),
            "SELECT string_agg(a, ',' ORDER BY b)"
        );
        assert_eq!(
            said("select 1 from t where (a, b) not in (select x, y from u)"),
            "SELECT 1 FROM t WHERE NOT EXISTS (SELECT 1 FROM (SELECT x, y FROM u) AS _elt_rows (_elt_0, _elt_1) \
             WHERE (_elt_0 = (a) AND _elt_1 = (b)) IS NOT FALSE)"
        );
    }
}
