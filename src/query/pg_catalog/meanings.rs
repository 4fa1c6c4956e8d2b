//! How does what PostgreSQL's tools write become what the engine understands?
//!
//! By what it means, and not by who writes it: a list of no rows is an empty list, `LIKE … ESCAPE '/'` is the same with a backslash, a
//! name that is cast to `regclass` is a number. Nothing here knows a tool's query by its text, but for the one of asyncpg, which walks
//! types in a way of its own.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType, Expr, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query,
    Select, SelectItem, SetExpr, Statement, TableFactor, Value, VisitMut as _, VisitorMut,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::super::SqlMistake;
use super::absent::Absent;
use super::facts::Facts;

/// The query with what the engine understands in it.
pub(super) fn meant(
    mut statement: Statement,
    facts: &Facts,
    absent: &Absent,
) -> Result<Statement, SqlMistake> {
    if let Statement::Query(query) = &mut statement {
        walks_no_types(query);
        if let SetExpr::Select(select) = query.body.as_mut() {
            name_columns(select);
        }
    }
    match statement.visit(&mut Reader { facts, absent }) {
        ControlFlow::Break(mistake) => Err(mistake),
        ControlFlow::Continue(()) => Ok(statement),
    }
}

/// An expression that is written here.
fn written(sql: &str) -> Option<Expr> {
    Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).ok()?.parse_expr().ok()
}

fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

fn flag(is: bool) -> Expr {
    Expr::Value(Value::Boolean(is).into())
}

/// The last part of a name, in lower case.
pub(super) fn last(name: &ObjectName) -> String {
    match name.0.last() {
        Some(ObjectNamePart::Identifier(ident)) => ident.value.to_lowercase(),
        _ => String::new(),
    }
}

/// The text that an expression is, if it is one.
fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
            _ => None,
        },
        Expr::Nested(inner) => text_of(inner),
        _ => None,
    }
}

/// Columns of the catalog that are flags.
const FLAGS: [&str; 22] = [
    "attisdropped",
    "attislocal",
    "attnotnull",
    "condeferrable",
    "condeferred",
    "connoinherit",
    "convalidated",
    "datallowconn",
    "datistemplate",
    "indisclustered",
    "indisexclusion",
    "indisprimary",
    "indisready",
    "indisunique",
    "indisvalid",
    "relhasindex",
    "relispartition",
    "relrowsecurity",
    "rolcanlogin",
    "rolsuper",
    "typisdefined",
    "typnotnull",
];

/// Columns of `pg_type` that name a function.
const FUNCTIONS_OF_TYPES: [&str; 6] =
    ["typanalyze", "typinput", "typmodin", "typoutput", "typreceive", "typsend"];

/// The name of a function instead of its number: `p.proname` for `p.oid`.
fn by_name(column: &mut Expr) {
    if let Expr::CompoundIdentifier(parts) = column
        && let Some(last) = parts.last_mut().filter(|last| last.value == "oid")
    {
        "proname".clone_into(&mut last.value);
    }
}

fn flag_of(text: &str) -> Option<bool> {
    match text {
        "t" | "true" => Some(true),
        "f" | "false" => Some(false),
        _ => None,
    }
}

/// Whether a type is the one that PostgreSQL has for the number of a table.
fn is_regclass(data_type: &DataType) -> bool {
    match data_type {
        DataType::Regclass => true,
        DataType::Custom(name, _) => last(name) == "regclass",
        _ => false,
    }
}

fn is_oid(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Custom(name, _) if last(name) == "oid")
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Text | DataType::Varchar(_) => true,
        DataType::Custom(name, _) => last(name) == "text",
        _ => false,
    }
}

/// Gives what comes without a name the one that PostgreSQL gives it, and writes tables by name where their number would be seen.
fn name_columns(select: &mut Select) {
    let mut taken: Vec<String> = Vec::new();
    for item in &select.projection {
        if let SelectItem::ExprWithAlias { alias, .. } = item {
            taken.push(alias.value.clone());
        }
    }
    for item in &mut select.projection {
        let expr = match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr,
            _ => continue,
        };
        let name = column_name(expr);
        if let Expr::Cast { expr: inner, data_type, .. } = expr
            && is_regclass(data_type)
            && let Some(shown) = written(&format!("pg_regclass({inner})"))
        {
            *expr = shown;
        }
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let is_named = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        if is_named {
            continue;
        }
        // No two columns have one name for the engine.
        let name = name.unwrap_or_else(|| "?column?".to_owned());
        let names = std::iter::once(name.clone()).chain((2..).map(|number| format!("{name}_{number}")));
        let Some(name) = names.into_iter().find(|name| !taken.contains(name)) else { continue };
        taken.push(name.clone());
        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', name) };
    }
}

/// What PostgreSQL calls the column of an expression, if it is not `?column?`.
pub(super) fn column_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(ident.value.clone()),
        Expr::CompoundIdentifier(parts) => parts.last().map(|ident| ident.value.clone()),
        Expr::Function(function) => Some(last(&function.name)),
        Expr::Case { .. } => Some("case".to_owned()),
        Expr::Exists { .. } => Some("exists".to_owned()),
        Expr::Nested(inner) => column_name(inner),
        Expr::Cast { expr, data_type, .. } => {
            let name =
                || data_type.to_string().to_lowercase().rsplit('.').next().unwrap_or_default().to_owned();
            column_name(expr).or_else(|| Some(name()))
        }
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first() {
                Some(SelectItem::ExprWithAlias { alias, .. }) => Some(alias.value.clone()),
                Some(SelectItem::UnnamedExpr(expr)) => column_name(expr),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// asyncpg asks of types by walking from each to those that it is made of. There are no types here that are made of others, but lists.
fn walks_no_types(query: &mut Query) {
    let Some(with) = &mut query.with else { return };
    let is_walk = |name: &Ident| name.value == "typeinfo_tree";
    let Some(walk) = with.cte_tables.iter_mut().find(|table| is_walk(&table.alias.name)) else { return };
    let SetExpr::SetOperation { left, .. } = walk.query.body.as_ref() else { return };
    let SetExpr::Select(first) = left.as_ref() else { return };
    let Some(asked) = first.selection.as_ref().map(|asked| asked.to_string().replace("ti.oid", "oid")) else {
        return;
    };
    let types = "SELECT oid, ns, name, kind, basetype, elemtype, elemdelim, range_subtype, attrtypoids, attrnames, depth FROM pg_catalog.elt_types";
    let walked =
        format!("{types} WHERE {asked} OR oid IN (SELECT elemtype FROM pg_catalog.elt_types WHERE {asked})");
    let plain = "SELECT *, NULL::text AS basetype_name, elemname AS elemtype_name, NULL::text AS range_subtype_name FROM typeinfo_tree ORDER BY depth DESC";
    let plain = plain.replace(
        "*,",
        "oid, ns, name, kind, basetype, elemtype, elemdelim, range_subtype, attrtypoids, attrnames, depth,",
    );
    let walked = walked.replacen("depth FROM", "depth, elemname FROM", 1);
    let parsed =
        Parser::parse_sql(&PostgreSqlDialect {}, &format!("WITH typeinfo_tree AS ({walked}) {plain}"));
    if let Some(Statement::Query(plain)) = parsed.ok().and_then(|mut statements| statements.pop()) {
        *query = *plain;
    }
}

/// Goes through a statement, from the inside out.
struct Reader<'a> {
    facts: &'a Facts,
    absent: &'a Absent,
}

impl Reader<'_> {
    /// What an expression is instead, if it is to be something else.
    fn instead(&self, expr: &mut Expr) -> Result<Option<Expr>, SqlMistake> {
        Ok(match expr {
            // A flag is compared with `'f'`, which PostgreSQL reads as one.
            Expr::BinaryOp { left, op: BinaryOperator::Eq | BinaryOperator::NotEq, right } => {
                let meant = |column: &Expr, text: &Expr| {
                    let is_flag = column_name(column).is_some_and(|name| FLAGS.contains(&name.as_str()));
                    text_of(text).filter(|_| is_flag).and_then(flag_of)
                };
                // The functions of types are told by their names, and not by their numbers.
                let is_function = |column: &Expr| {
                    column_name(column).is_some_and(|name| FUNCTIONS_OF_TYPES.contains(&name.as_str()))
                };
                if let Some(is) = meant(left, right) {
                    **right = flag(is);
                } else if let Some(is) = meant(right, left) {
                    **left = flag(is);
                } else if is_function(right) {
                    by_name(left);
                } else if is_function(left) {
                    by_name(right);
                }
                None
            }
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                if is_written(pattern)
                    && let Some(escape) = escape_char.take()
                {
                    escaped(pattern, &escape.value.to_string());
                }
                None
            }
            Expr::Exists { subquery, negated } if self.absent.has_no_rows(subquery) => Some(flag(*negated)),
            Expr::InSubquery { subquery, negated, .. } if self.absent.has_no_rows(subquery) => {
                Some(flag(*negated))
            }
            Expr::Subquery(query) if self.absent.has_no_rows(query) => Some(null()),
            Expr::Subquery(query) => {
                only_one(query);
                None
            }
            Expr::Cast { expr: inner, data_type, .. } => self.cast(inner, data_type)?,
            Expr::CompoundFieldAccess { root, access_chain } => match &access_chain[..] {
                [AccessExpr::Dot(Expr::Identifier(field))] => {
                    written(&format!("get_field({root}, '{}')", field.value.replace('\'', "''")))
                }
                _ => None,
            },
            Expr::Function(function) => match (last(&function.name).as_str(), &function.args) {
                ("array", FunctionArguments::Subquery(query)) => match self.absent.has_no_rows(query) {
                    true => written("pg_no_array()"),
                    false => listed(query),
                },
                ("generate_subscripts", FunctionArguments::List(list)) if !list.args.is_empty() => {
                    written(&format!("unnest(pg_subscripts({}))", list.args[0]))
                }
                ("_pg_expandarray", FunctionArguments::List(list)) if !list.args.is_empty() => {
                    written(&format!("unnest(pg_expand({}))", list.args[0]))
                }
                _ => None,
            },
            _ => None,
        })
    }

    fn cast(&self, inner: &Expr, data_type: &DataType) -> Result<Option<Expr>, SqlMistake> {
        if is_regclass(data_type) {
            return Ok(match text_of(inner) {
                Some(name) => match name.parse().ok().or_else(|| self.facts.number_of(name)) {
                    Some(oid) => written(&oid.to_string()),
                    None => {
                        let what = format!("there is no table `{name}`");
                        return Err(SqlMistake::refused(what, "`show tables` lists what there is"));
                    }
                },
                None => written(&format!("to_regclass({inner})")),
            });
        }
        // Functions go by their names in the types that use them.
        if let (DataType::Custom(of, _), Some(name)) = (data_type, text_of(inner))
            && last(of) == "regproc"
        {
            let name = name.rsplit('.').next().unwrap_or(name);
            return Ok(Some(Expr::Value(Value::SingleQuotedString(name.to_owned()).into())));
        }
        Ok(None)
    }
}

impl VisitorMut for Reader<'_> {
    type Break = SqlMistake;

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<SqlMistake> {
        if relation.0.len() == 1 && (last(relation).starts_with("pg_")) {
            relation.0.insert(0, ObjectNamePart::Identifier(Ident::new("pg_catalog")));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlMistake> {
        // Functions of the engine have no number, and no source.
        if let Expr::Cast { expr: inner, data_type, .. } = expr
            && is_oid(data_type)
            && let Expr::Cast { expr: named, data_type: DataType::Custom(of, _), .. } = inner.as_ref()
            && ["regproc", "regprocedure"].contains(&last(of).as_str())
            && let Some(name) = text_of(named)
        {
            let what = format!("there is no function `{name}` whose source could be shown");
            let mistake = SqlMistake::refused(what, "`show functions` lists what there is");
            return ControlFlow::Break(mistake);
        }
        // What is cast to a table's number, and then to a text, is its name.
        let named = match expr {
            Expr::Cast { expr: inner, data_type, .. } if is_text(data_type) => match inner.as_ref() {
                Expr::Cast { expr: inner, data_type, .. } if is_regclass(data_type) => {
                    written(&format!("pg_regclass({inner})"))
                }
                Expr::Cast { expr: inner, data_type: DataType::Custom(of, _), .. }
                    if last(of) == "regtype" && text_of(inner).is_none() =>
                {
                    written(&format!("format_type({inner}, NULL)"))
                }
                _ => None,
            },
            _ => None,
        };
        if let Some(named) = named {
            *expr = named;
        }
        // What equals any of a query's rows is among them.
        let (left, right, negated) = match expr {
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => (left, right, false),
            Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => (left, right, true),
            _ => return ControlFlow::Continue(()),
        };
        if let Expr::Subquery(query) = right.as_ref() {
            *expr = Expr::InSubquery { expr: left.clone(), subquery: query.clone(), negated };
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlMistake> {
        // It was called so until version 16.
        if let Expr::CompoundIdentifier(parts) = expr
            && let Some(name) = parts.last_mut().filter(|name| name.value == "colliculocale")
        {
            "colllocale".clone_into(&mut name.value);
        }
        match self.instead(expr) {
            Ok(Some(instead)) => *expr = instead,
            Ok(None) => {}
            Err(mistake) => return ControlFlow::Break(mistake),
        }
        ControlFlow::Continue(())
    }
}

/// The rows of a query as one list. Their order is the engine's.
fn listed(query: &Query) -> Option<Expr> {
    let mut one = query.clone();
    if let SetExpr::Select(select) = one.body.as_mut()
        && one.limit_clause.is_none()
        && select.distinct.is_none()
        && !super::absent::is_aggregate(select)
        && let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
            &mut select.projection[..]
    {
        *expr = written(&format!("array_agg({expr})"))?;
        one.order_by = None;
        return Some(Expr::Subquery(Box::new(one)));
    }
    written(&format!("(SELECT array_agg(elt_item) FROM ({query}) AS elt_items(elt_item))"))
}

/// Whether an expression is a text, or several that are put together.
fn is_written(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } => {
            is_written(left) && is_written(right)
        }
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_written(inner),
        other => text_of(other).is_some(),
    }
}

/// A pattern that is escaped by another letter than the backslash.
fn escaped(pattern: &mut Expr, escape: &str) {
    let Some(letter) = escape.trim_matches('\'').chars().next() else { return };
    match pattern {
        Expr::BinaryOp { left, right, .. } => {
            escaped(left, escape);
            escaped(right, escape);
            return;
        }
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => return escaped(inner, escape),
        _ => {}
    }
    let Some(text) = text_of(pattern) else { return };
    let mut changed = String::new();
    let mut letters = text.chars();
    while let Some(next) = letters.next() {
        match next {
            _ if next == letter => {
                let meant = letters.next().unwrap_or(letter);
                if ['%', '_', '\\'].contains(&meant) {
                    changed.push('\\');
                }
                changed.push(meant);
            }
            '\\' => changed.push_str("\\\\"),
            other => changed.push(other),
        }
    }
    *pattern = Expr::Value(Value::SingleQuotedString(changed).into());
}

/// A query for one value gives one, whatever the engine can know of it.
fn only_one(query: &mut Query) {
    let is_plain = query.order_by.is_none() && query.limit_clause.is_none() && query.with.is_none();
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    if !is_plain || select.from.is_empty() || super::absent::is_aggregate(select) || select.distinct.is_some()
    {
        return;
    }
    let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] = &mut select.projection[..]
    else {
        return;
    };
    if let Some(one) = written(&format!("max({expr})")) {
        *expr = one;
    }
}

/// The types that a statement gives its places, by number: those that it casts them to.
pub(super) fn places(statement: &mut Statement) -> Vec<(usize, String)> {
    struct Places(Vec<(usize, String)>);
    impl VisitorMut for Places {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            let number = |expr: &Expr| match expr {
                Expr::Value(value) => match &value.value {
                    Value::Placeholder(name) => name.trim_start_matches('$').parse::<usize>().ok(),
                    _ => None,
                },
                _ => None,
            };
            if let Expr::Cast { expr: inner, data_type, .. } = expr
                && let Some(number) = number(inner)
            {
                self.0.push((number, data_type.to_string().to_lowercase()));
                **inner = null();
            } else if let Some(number) = number(expr) {
                self.0.push((number, String::new()));
                *expr = null();
            }
            ControlFlow::Continue(())
        }
    }
    let mut places = Places(Vec::new());
    let _ = statement.visit(&mut places);
    places.0
}

/// Whether a table that a query reads is one of these, for what looks no deeper.
pub(super) fn table_name(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { name, args: None, .. } => Some(last(name)),
        _ => None,
    }
}
