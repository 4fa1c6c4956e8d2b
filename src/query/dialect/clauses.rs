//! Which clauses are honoured?
//!
//! The parser reads the SQL of a dozen systems, and the engine's planner drops what it does not know: `WITH TOTALS`,
//! `CONNECT BY`, a sample of a subquery. Here each clause that can stand in a query is either left to the
//! planner, which plans it or says that it cannot; rewritten to what the planner knows; or refused, with
//! what to write instead. Structs are taken apart without `..`, so a clause that a later parser adds does not
//! compile until it is thought of here.

use std::ops::ControlFlow;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, Cte, Expr, Fetch, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, GroupByWithModifier, Ident, Join, JoinConstraint, JoinOperator, LimitClause, ObjectName,
    ObjectNamePart, OrderBy, OrderByExpr, OrderByKind, OrderByOptions, Query, Select, SelectFlavor,
    SelectItem, SetExpr, SetOperator, Spanned, Statement, TableAlias, TableFactor, TableSample,
    TableSampleKind, TableSampleUnit, TableWithJoins, Top, TopQuantity, Value, Visit, VisitMut, Visitor,
    VisitorMut, With,
};
use sqlparser::tokenizer::Span;

use super::files::file_function;
use super::{asof, references};
use crate::query::SqlMistake;

/// Rewrites what the planner would not understand.
///
/// # Errors
/// A clause that elt does not honour.
pub(super) fn honour(statement: &mut Statement) -> Result<(), SqlMistake> {
    match statement.visit(&mut Clauses) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(mistake) => Err(*mistake),
    }
}

type Flow = ControlFlow<Box<SqlMistake>>;

fn refuse(what: &str, instead: impl Into<String>) -> Flow {
    let mistake = SqlMistake::new("elt::sql::not_supported", super::statement::not_supported(what));
    ControlFlow::Break(Box::new(mistake.help(instead)))
}

fn refuse_if(is_there: bool, what: &str, instead: &str) -> Flow {
    if is_there { refuse(what, instead) } else { ControlFlow::Continue(()) }
}

const LEAVE_OUT: &str = "leave it out";

struct Clauses;

impl VisitorMut for Clauses {
    type Break = Box<SqlMistake>;

    fn pre_visit_query(&mut self, query: &mut Query) -> Flow {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators: _, // planned, or refused by the planner
        } = query;
        refuse_if(
            !locks.is_empty(),
            "FOR UPDATE and FOR SHARE",
            "leave it out: a session reads one release, which nobody changes",
        )?;
        refuse_if(
            for_clause.is_some(),
            "FOR XML and FOR JSON",
            "choose a format: `--format json`, or `\\format json`",
        )?;
        refuse_if(format_clause.is_some(), "FORMAT", "choose a format: `--format json`, or `\\format json`")?;
        refuse_if(settings.is_some(), "SETTINGS", "write `set name = value` before the query")?;
        if let Some(With { with_token: _, recursive: _, cte_tables }) = with {
            for Cte { alias: _, query: _, from, materialized: _, closing_paren_token: _ } in cte_tables {
                refuse_if(from.is_some(), "FROM after a CTE", LEAVE_OUT)?;
            }
        }
        if let Some(OrderBy { kind, interpolate }) = order_by {
            refuse_if(interpolate.is_some(), "INTERPOLATE", LEAVE_OUT)?;
            if let OrderByKind::Expressions(exprs) = kind {
                check_order(exprs)?;
            }
        }
        fetch_to_limit(fetch, limit_clause)?;
        super::values::as_selects(body);
        whole_tables(body);
        if let SetExpr::Select(select) = &mut **body {
            top_to_limit(select, limit_clause)?;
        }
        set_operators(body)
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> Flow {
        let Select {
            select_token: _,
            optimizer_hints: _, // comments, which promise nothing
            distinct: _,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having: _,
            named_window: _,
            qualify: _,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        refuse_if(select_modifiers.is_some(), "a modifier after SELECT", LEAVE_OUT)?;
        refuse_if(top.is_some(), "TOP here", "write `limit 10` at the end")?;
        // `* replace (…) exclude (…)`
        if let Some(SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options)) =
            projection.last_mut()
            && options.opt_exclude.is_none()
            && options.opt_except.is_none()
        {
            options.opt_exclude = exclude.take();
        }
        refuse_if(
            exclude.is_some(),
            "EXCLUDE that follows no star",
            "write it after the star: `* exclude (a)`",
        )?;
        refuse_if(into.is_some(), "SELECT … INTO", "make a model of it under models/ and run `elt build`")?;
        refuse_if(
            !lateral_views.is_empty(),
            "LATERAL VIEW",
            "write `select unnest(list) as item, …` in a subquery",
        )?;
        refuse_if(prewhere.is_some(), "PREWHERE", "write `where`: files are skipped by it all the same")?;
        refuse_if(!connect_by.is_empty(), "CONNECT BY", "write `with recursive tree as (… union all …)`")?;
        refuse_if(!cluster_by.is_empty(), "CLUSTER BY", "write `order by`")?;
        refuse_if(!distribute_by.is_empty(), "DISTRIBUTE BY", LEAVE_OUT)?;
        refuse_if(!sort_by.is_empty(), "SORT BY", "write `order by`")?;
        refuse_if(value_table_mode.is_some(), "SELECT AS", "write `struct(…)` or `named_struct(…)`")?;
        refuse_if(
            *flavor == SelectFlavor::FromFirstNoSelect,
            "FROM without a list here",
            "write `select *`",
        )?;
        no_window(
            selection.as_ref(),
            "WHERE",
            "write `qualify` in its place: it is asked of the rows with their windows",
        )?;
        if let GroupByExpr::Expressions(keys, _) = &*group_by {
            for key in keys {
                no_window(
                    Some(key),
                    "GROUP BY",
                    "work it out in a subquery: `from (select *, … over (…) as x from t)`",
                )?;
            }
        }
        asof::nest(from);
        super::laterals::places_beside(projection);
        for item in projection {
            if let SelectItem::ExprWithAliases { .. } = item {
                return refuse("a list of aliases", "write one `as` for each column");
            }
        }
        group_modifiers(group_by)
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> Flow {
        if let Err(mistake) = references::spell(factor) {
            return ControlFlow::Break(Box::new(mistake));
        }
        if let Some(file) = file_function(factor) {
            match file {
                Ok(file) => *factor = file,
                Err(mistake) => return ControlFlow::Break(Box::new(mistake)),
            }
        }
        match factor {
            TableFactor::Table {
                name: _,
                alias,
                args,
                with_hints,
                version: _, // `time_travel`
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                check_alias(alias)?;
                let settings = args.as_ref().is_some_and(|args| args.settings.is_some());
                refuse_if(settings, "SETTINGS", LEAVE_OUT)?;
                refuse_if(
                    !with_hints.is_empty(),
                    "a table hint",
                    "leave it out: readers and writers never wait for each other",
                )?;
                ordinality(*with_ordinality)?;
                refuse_if(
                    !partitions.is_empty(),
                    "PARTITION",
                    "write a condition: `where day = date '2026-01-31'`",
                )?;
                refuse_if(json_path.is_some(), "a JSON path here", LEAVE_OUT)?;
                refuse_if(!index_hints.is_empty(), "an index hint", LEAVE_OUT)?;
                match sample.take() {
                    Some(sample) => sampled(factor, sample),
                    None => ControlFlow::Continue(()),
                }
            }
            TableFactor::Derived { lateral: _, subquery: _, alias, sample } => {
                check_alias(alias)?;
                match sample.take() {
                    Some(sample) => sampled(factor, sample),
                    None => ControlFlow::Continue(()),
                }
            }
            TableFactor::Function { lateral: _, name: _, args: _, with_ordinality, alias } => {
                check_alias(alias)?;
                ordinality(*with_ordinality)
            }
            TableFactor::UNNEST {
                alias,
                array_exprs: _,
                with_offset,
                with_offset_alias,
                with_ordinality,
            } => {
                check_alias(alias)?;
                ordinality(*with_ordinality || *with_offset || with_offset_alias.is_some())
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                asof::nest_inside(table_with_joins);
                table_with_joins.joins.iter().try_for_each(check_join)?;
                check_alias(alias)
            }
            // `expand`
            TableFactor::Pivot { .. } | TableFactor::Unpivot { .. } => ControlFlow::Continue(()),
            TableFactor::TableFunction { .. } => {
                refuse("TABLE(…)", "write the function itself: `from range(10)`")
            }
            TableFactor::JsonTable { .. } | TableFactor::OpenJsonTable { .. } => {
                refuse("JSON_TABLE", "land the file, or query it: `from 'file.jsonl'`")
            }
            TableFactor::XmlTable { .. } => refuse("XMLTABLE", "convert the file to JSON lines"),
            TableFactor::MatchRecognize { .. } => {
                refuse("MATCH_RECOGNIZE", "use window functions: `lag`, `lead`, `sum(…) over (…)`")
            }
            TableFactor::SemanticView { .. } => refuse("SEMANTIC_VIEW", "query the view itself"),
        }
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> Flow {
        match expr {
            // `spelling` rewrites it.
            Expr::SimilarTo { pattern, escape_char: None, .. } if matches!(&**pattern, Expr::Value(_)) => {
                ControlFlow::Continue(())
            }
            Expr::SimilarTo { .. } => refuse(
                "SIMILAR TO with an escape, or a pattern that is no literal,",
                "write `like`, or a regular expression: `a ~ '^x.*'`",
            ),
            Expr::Collate { .. } => refuse(
                "COLLATE here, or this collation,",
                "NOCASE, NOACCENT, C and BINARY are known, in comparisons and behind ORDER BY; elsewhere write `lower(a)`",
            ),
            Expr::RLike { negated, expr: value, pattern, regexp: _ } => {
                let op =
                    if *negated { BinaryOperator::PGRegexNotMatch } else { BinaryOperator::PGRegexMatch };
                let (left, right) = (value.clone(), pattern.clone());
                *expr = Expr::BinaryOp { left, op, right };
                ControlFlow::Continue(())
            }
            Expr::Function(call) => {
                let Function {
                    name: _,
                    uses_odbc_syntax: _,
                    parameters,
                    args: _, // `argument_clauses`; what is left of them the planner refuses
                    filter: _,
                    null_treatment: _,
                    over: _,
                    within_group: _,
                } = &*call;
                let has_parameters = !matches!(parameters, FunctionArguments::None);
                refuse_if(has_parameters, "a second list of arguments", "put them in one list: `f(a, 0.5)`")?;
                if let Some(case) = if_to_case(call) {
                    *expr = case;
                    return ControlFlow::Continue(());
                }
                match super::argument_clauses::spell(call) {
                    Ok(Some(other)) => *expr = other,
                    Ok(None) => {}
                    Err((what, instead)) => return refuse(what, instead),
                }
                ControlFlow::Continue(())
            }
            Expr::IsNormalized { .. } => {
                refuse("IS NORMALIZED", "compare texts that were made alike: `lower(a) = lower(b)`")
            }
            Expr::Convert { charset: Some(_), .. } => refuse(
                "CONVERT … USING",
                "leave it out: every text is UTF-8; bytes become a text by `decode(b, 'utf-8')`",
            ),
            Expr::Cast { format: Some(_), .. } => refuse(
                "CAST with a FORMAT",
                "write `to_date(a, 'MM/DD/YYYY')` or `to_timestamp(a, 'YYYY-MM-DD HH24:MI:SS')`; `to_char(a, 'DD.MM.YYYY')` writes one",
            ),
            Expr::BinaryOp { op: BinaryOperator::Assignment, .. } => refuse(
                "`:=` in an expression",
                "write `set variable x = 1`, and `getvariable('x')` where it is wanted",
            ),
            Expr::Identifier(name) if name.quote_style.is_none() && name.value.starts_with('@') => refuse(
                &format!("the variable `{}`", name.value),
                "write `set variable x = 1` and `getvariable('x')`; `version()` and `current_setting('timezone')` tell of elt",
            ),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Refuses a window function where there are no windows yet.
fn no_window(expr: Option<&Expr>, place: &str, instead: &str) -> Flow {
    struct Find {
        queries: usize,
    }
    impl Visitor for Find {
        type Break = Span;

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<Span> {
            self.queries += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Span> {
            self.queries -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Span> {
            match expr {
                Expr::Function(call) if call.over.is_some() && self.queries == 0 => {
                    ControlFlow::Break(call.name.span())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    let Some(expr) = expr else { return ControlFlow::Continue(()) };
    match Visit::visit(expr, &mut Find { queries: 0 }) {
        ControlFlow::Continue(()) => ControlFlow::Continue(()),
        ControlFlow::Break(span) => {
            let what = format!("a window function in {place} is not supported");
            let mistake =
                SqlMistake::new("elt::sql::not_supported", what).at(span.start.line, span.start.column);
            ControlFlow::Break(Box::new(mistake.help(instead)))
        }
    }
}

/// `TABLE t` beside UNION, or in brackets, is `SELECT * FROM t`.
fn whole_tables(body: &mut SetExpr) {
    match body {
        SetExpr::SetOperation { left, right, .. } => {
            whole_tables(left);
            whole_tables(right);
        }
        SetExpr::Table(table) => {
            let names = [&table.schema_name, &table.table_name].into_iter().flatten();
            let name = names.map(|name| ObjectNamePart::Identifier(Ident::new(name))).collect();
            if let Some(Expr::Subquery(mut query)) = super::statement::parse_expression("(select * from t)")
                && let SetExpr::Select(select) = &mut *query.body
                && let Some(TableFactor::Table { name: known, .. }) =
                    select.from.first_mut().map(|table| &mut table.relation)
            {
                *known = ObjectName(name);
                *body = *query.body;
            }
        }
        _ => {}
    }
}

fn check_order(exprs: &[OrderByExpr]) -> Flow {
    for OrderByExpr { expr: _, options: OrderByOptions { asc: _, nulls_first: _ }, with_fill } in exprs {
        refuse_if(with_fill.is_some(), "WITH FILL", "join with `generate_series(…)`")?;
    }
    ControlFlow::Continue(())
}

fn check_alias(alias: &Option<TableAlias>) -> Flow {
    let Some(TableAlias { explicit: _, name: _, columns: _, at }) = alias else {
        return ControlFlow::Continue(());
    };
    refuse_if(at.is_some(), "AT after an alias", LEAVE_OUT)
}

fn ordinality(is_there: bool) -> Flow {
    refuse_if(is_there, "WITH ORDINALITY or OFFSET", "number the rows: `row_number() over ()`")
}

/// Joins, and the operators between selects; the visitor has no method of their own for them.
fn set_operators(body: &mut SetExpr) -> Flow {
    match body {
        SetExpr::SetOperation { left, op, set_quantifier: _, right } => {
            if *op == SetOperator::Minus {
                *op = SetOperator::Except;
            }
            set_operators(left)?;
            set_operators(right)
        }
        SetExpr::Select(select) => {
            for TableWithJoins { relation, joins } in &select.from {
                check_positional(relation, joins)?;
                joins.iter().try_for_each(check_join)?;
            }
            ControlFlow::Continue(())
        }
        // `whole_tables` has made queries of them.
        SetExpr::Table(_) | SetExpr::Query(_) | SetExpr::Values(_) => ControlFlow::Continue(()),
        // `statement` refuses them.
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            ControlFlow::Continue(())
        }
    }
}

/// `a positional join b` would be read as a table that is called `positional`.
fn check_positional(relation: &TableFactor, joins: &[Join]) -> Flow {
    let alias = match relation {
        TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } => alias.as_ref(),
        _ => None,
    };
    let is_word =
        alias.is_some_and(|alias| !alias.explicit && alias.name.value.eq_ignore_ascii_case("positional"));
    refuse_if(
        is_word && !joins.is_empty(),
        "POSITIONAL JOIN",
        "number the rows of both with `row_number() over (order by …)`, and join by the number",
    )
}

fn check_join(join: &Join) -> Flow {
    let Join { relation: _, global, join_operator } = join;
    // `spoken` says of as-of joins that they are global.
    let is_plain = matches!(
        join_operator,
        JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::Left(_) | JoinOperator::LeftOuter(_)
    );
    refuse_if(*global && !is_plain, "this kind of ASOF JOIN", "write `asof join` or `asof left join`")?;
    match join_operator {
        JoinOperator::CrossApply | JoinOperator::OuterApply => {
            refuse("APPLY", "write `cross join lateral (…)` or `left join lateral (…) on true`")
        }
        JoinOperator::ArrayJoin | JoinOperator::LeftArrayJoin | JoinOperator::InnerArrayJoin => {
            refuse("ARRAY JOIN", "write `select unnest(list) as item, …` in a subquery")
        }
        JoinOperator::StraightJoin(_) => refuse("STRAIGHT_JOIN", "write `join`"),
        JoinOperator::Join(JoinConstraint::None)
        | JoinOperator::Inner(JoinConstraint::None)
        | JoinOperator::Left(JoinConstraint::None)
        | JoinOperator::LeftOuter(JoinConstraint::None)
        | JoinOperator::Right(JoinConstraint::None)
        | JoinOperator::RightOuter(JoinConstraint::None)
        | JoinOperator::FullOuter(JoinConstraint::None)
            if !*global =>
        {
            refuse(
                "a JOIN without ON or USING",
                "say which rows belong together: `join b on a.id = b.id`; or write `cross join`",
            )
        }
        _ => ControlFlow::Continue(()),
    }
}

/// `FETCH FIRST 3 ROWS ONLY` is `LIMIT 3`.
fn fetch_to_limit(fetch: &mut Option<Fetch>, limit_clause: &mut Option<LimitClause>) -> Flow {
    let Some(Fetch { with_ties, percent, quantity }) = fetch.take() else { return ControlFlow::Continue(()) };
    refuse_if(with_ties, "WITH TIES", "write `qualify rank() over (order by …) <= 3`")?;
    refuse_if(percent, "FETCH … PERCENT", "write `limit 10%`")?;
    let quantity = quantity.unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false)));
    limit(quantity, limit_clause, "FETCH")
}

fn top_to_limit(select: &mut Select, limit_clause: &mut Option<LimitClause>) -> Flow {
    let Some(Top { with_ties, percent, quantity }) = select.top.take() else {
        return ControlFlow::Continue(());
    };
    refuse_if(with_ties, "WITH TIES", "write `qualify rank() over (order by …) <= 3`")?;
    refuse_if(percent, "TOP … PERCENT", "write `limit 10%` at the end")?;
    let quantity = match quantity {
        Some(TopQuantity::Constant(rows)) => Expr::value(Value::Number(rows.to_string(), false)),
        Some(TopQuantity::Expr(rows)) => rows,
        None => return refuse("TOP without a number", "write `limit 10` at the end"),
    };
    limit(quantity, limit_clause, "TOP")
}

fn limit(quantity: Expr, clause: &mut Option<LimitClause>, name: &str) -> Flow {
    match clause {
        None => {
            let limit = Some(quantity);
            *clause = Some(LimitClause::LimitOffset { limit, offset: None, limit_by: Vec::new() });
            ControlFlow::Continue(())
        }
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => {
            *limit = Some(quantity);
            ControlFlow::Continue(())
        }
        Some(_) => refuse(&format!("{name} beside LIMIT"), "write one of them"),
    }
}

/// `GROUP BY a WITH ROLLUP` is `GROUP BY ROLLUP (a)`.
fn group_modifiers(group_by: &mut GroupByExpr) -> Flow {
    let (exprs, modifiers) = match group_by {
        GroupByExpr::All(modifiers) => {
            return refuse_if(!modifiers.is_empty(), "a modifier of GROUP BY ALL", "name the columns");
        }
        GroupByExpr::Expressions(exprs, modifiers) => (exprs, modifiers),
    };
    // `GROUP BY ()` is all rows as one group, also where no aggregate says so.
    if let [Expr::Tuple(nothing)] = &exprs[..]
        && nothing.is_empty()
    {
        *exprs = vec![Expr::GroupingSets(vec![Vec::new()])];
    }
    match std::mem::take(modifiers).as_slice() {
        [] => ControlFlow::Continue(()),
        [GroupByWithModifier::Rollup] => {
            let sets = std::mem::take(exprs).into_iter().map(|expr| vec![expr]).collect();
            *exprs = vec![Expr::Rollup(sets)];
            ControlFlow::Continue(())
        }
        [GroupByWithModifier::Cube] => {
            let sets = std::mem::take(exprs).into_iter().map(|expr| vec![expr]).collect();
            *exprs = vec![Expr::Cube(sets)];
            ControlFlow::Continue(())
        }
        [GroupByWithModifier::Totals] => refuse("WITH TOTALS", "write `group by rollup (a)`"),
        _ => refuse("this modifier of GROUP BY", "write `group by grouping sets ((a), ())`"),
    }
}

/// The call that is a number of a row, the same each time: `expand` gives it the columns.
pub(in crate::query) const ROW_HASH: &str = "_elt_row_hash";

/// `t TABLESAMPLE (10 PERCENT)` is a subquery that keeps rows by chance; with a seed, by what is in them.
fn sampled(factor: &mut TableFactor, sample: TableSampleKind) -> Flow {
    let (TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) = sample;
    let TableSample { modifier: _, name: _, quantity, seed, bucket, offset } = *sample;
    refuse_if(bucket.is_some() || offset.is_some(), "BUCKET", "write `tablesample (10 percent)`")?;
    let Some(quantity) = quantity else {
        return refuse(
            "a sample without a size",
            "write `tablesample (10 percent)` or `tablesample (100 rows)`",
        );
    };
    let alias = match factor {
        TableFactor::Table { name, alias, .. } => alias.clone().or_else(|| own_name(name)),
        TableFactor::Derived { alias, .. } => alias.clone(),
        _ => None,
    };
    let number = |text: &str| Expr::value(Value::Number(text.to_owned(), false));
    let call = match &seed {
        Some(seed) => format!("{ROW_HASH}({})", seed.value),
        None => "random()".to_owned(),
    };
    let Some(random) = super::statement::parse_expression(&call) else {
        return refuse("this seed of a sample", "write a number: `repeatable (42)`");
    };
    let mut query = select_all_from(factor.clone());
    match quantity.unit {
        Some(TableSampleUnit::Rows) if seed.is_some() => {
            // In the select itself, where `expand` knows the columns.
            let rank = format!("row_number() over (order by {call}) <= ({})", quantity.value);
            if let SetExpr::Select(select) = &mut *query.body {
                select.qualify = super::statement::parse_expression(&rank);
            }
        }
        Some(TableSampleUnit::Rows) => {
            query.order_by = Some(OrderBy {
                kind: OrderByKind::Expressions(vec![OrderByExpr {
                    expr: random,
                    options: OrderByOptions { asc: None, nulls_first: None },
                    with_fill: None,
                }]),
                interpolate: None,
            });
            let limit = Some(quantity.value);
            query.limit_clause = Some(LimitClause::LimitOffset { limit, offset: None, limit_by: Vec::new() });
        }
        Some(TableSampleUnit::Percent) | None => {
            let share = Expr::BinaryOp {
                left: Box::new(Expr::Nested(Box::new(quantity.value))),
                op: BinaryOperator::Divide,
                right: Box::new(number("1e2")),
            };
            let random = match seed {
                Some(_) => super::statement::parse_expression(&format!("abs({call} % 1000000) / 1e6"))
                    .expect("our own words are correct"),
                None => random,
            };
            if let SetExpr::Select(select) = &mut *query.body {
                let (left, right) = (Box::new(random), Box::new(share));
                select.selection = Some(Expr::BinaryOp { left, op: BinaryOperator::Lt, right });
            }
        }
    }
    *factor = TableFactor::Derived { lateral: false, subquery: Box::new(query), alias, sample: None };
    ControlFlow::Continue(())
}

/// The name that a table is known by when it is given no other.
fn own_name(name: &ObjectName) -> Option<TableAlias> {
    let Some(ObjectNamePart::Identifier(last)) = name.0.last() else { return None };
    let mut name = last.clone();
    if name.quote_style == Some('\'') {
        let stem = super::time_travel::stem(&name.value)?;
        name = Ident::with_quote('"', stem);
    }
    Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None })
}

/// `SELECT * FROM factor`
pub(in crate::query) fn select_all_from(factor: TableFactor) -> Query {
    let mut query = super::statement::empty_query();
    if let SetExpr::Select(select) = &mut *query.body {
        select.from = vec![sqlparser::ast::TableWithJoins { relation: factor, joins: Vec::new() }];
    }
    query
}

/// `if(a, b, c)`, `iff` and `iif` are `CASE WHEN a THEN b ELSE c END`.
fn if_to_case(call: &Function) -> Option<Expr> {
    let name = call.name.to_string().to_lowercase();
    let FunctionArguments::List(list) = &call.args else { return None };
    let args: Option<Vec<&Expr>> = list
        .args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect();
    let (condition, result, otherwise) = match (name.as_str(), args?.as_slice()) {
        ("if" | "iff" | "iif", [condition, result]) => ((*condition).clone(), (*result).clone(), None),
        ("if" | "iff" | "iif", [condition, result, otherwise]) => {
            ((*condition).clone(), (*result).clone(), Some(Box::new((*otherwise).clone())))
        }
        _ => return None,
    };
    Some(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result }],
        else_result: otherwise,
    })
}
