//! Which columns are `* RENAME (…)` and `COLUMNS(…)`?

use std::collections::HashSet;
use std::fmt;
use std::ops::ControlFlow;

use arrow::array::StringArray;
use arrow::compute::kernels::regexp::regexp_is_match_scalar;
use sqlparser::ast::{
    Array, BinaryOperator, ExcludeSelectItem, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, ObjectName, OneOrManyWithParens, RenameSelectItem, Select, SelectItem,
    SelectItemQualifiedWildcardKind, Value, Visit, VisitMut, Visitor, VisitorMut, WildcardAdditionalOptions,
};

use super::{Column, folded, folded_object, wrong};
use crate::base::did_you_mean;
use crate::query::SqlMistake;
use crate::query::dialect::{OF_TABLE, UNPACKED, outside_queries};

/// Whether an item is a star that leaves columns out, or has others in their place: the engine knows how, but not what is
/// wrong with a name that is not there.
pub(super) fn names_columns(item: &SelectItem) -> bool {
    match item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => !is_plain(options),
        _ => false,
    }
}

/// Whether an item stands for columns that only the table knows.
pub(super) fn needs_columns(item: &SelectItem) -> bool {
    match item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => {
            options.opt_rename.is_some() || options.opt_ilike.is_some()
        }
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            which(expr).is_some() || unpacks(expr) || chooser(expr).is_some()
        }
        SelectItem::ExprWithAliases { .. } => false,
    }
}

/// Whether a star says nothing but that it is one.
fn is_plain(options: &WildcardAdditionalOptions) -> bool {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias: _,
    } = options;
    opt_ilike.is_none()
        && opt_exclude.is_none()
        && opt_except.is_none()
        && opt_replace.is_none()
        && opt_rename.is_none()
}

/// Spells out stars: `star` are the columns of `*`, `all` those of the tables, which `t.*` is some of. A star that says nothing
/// is left to the engine, unless it is to be spelled out as well.
pub(super) fn spell_stars(
    select: &mut Select,
    star: &[Column],
    all: &[Column],
    even_plain: bool,
) -> Result<(), Box<SqlMistake>> {
    let exprs = select.projection.iter_mut().filter_map(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    });
    for expr in exprs.chain(select.selection.iter_mut()).chain(select.having.iter_mut()) {
        unpack(expr, star)?;
    }
    if let Some(condition) = &mut select.selection {
        for_all_columns(condition, star)?;
    }
    let mut spelled = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        match item {
            SelectItem::Wildcard(options) if even_plain || !is_plain(&options) => {
                spelled.extend(renamed(&star.iter().collect::<Vec<_>>(), &options)?);
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(table), options)
                if !is_plain(&options) =>
            {
                let table = folded_object(&table);
                let of_table = all.iter().filter(|column| column.table.as_deref() == Some(&table));
                spelled.extend(renamed(&of_table.collect::<Vec<_>>(), &options)?);
            }
            SelectItem::UnnamedExpr(expr) if which(&expr).is_some() => {
                let named = |expr: Expr| match star.iter().find(|column| column.means.as_ref() == Some(&expr))
                {
                    Some(column) => {
                        SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', &column.name) }
                    }
                    None => SelectItem::UnnamedExpr(expr),
                };
                spelled.extend(for_each_column(&expr, star)?.into_iter().map(named));
            }
            SelectItem::ExprWithAlias { expr, alias } if which(&expr).is_some() => {
                let mut exprs = for_each_column(&expr, star)?;
                if let Some(names) = names_by_groups(&expr, &alias, star) {
                    spelled.extend(exprs.into_iter().zip(names).map(|(expr, name)| {
                        SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) }
                    }));
                    continue;
                }
                if exprs.len() != 1 {
                    return wrong(
                        format!("`{expr}` is {} columns, which cannot all be called `{alias}`", exprs.len()),
                        "leave the name out",
                    );
                }
                spelled.push(SelectItem::ExprWithAlias { expr: exprs.remove(0), alias });
            }
            other => spelled.push(other),
        }
    }
    if spelled.is_empty() {
        return wrong("no column is left of `*`", "`describe t` lists the columns");
    }
    select.projection = spelled;
    Ok(())
}

/// `* RENAME (a AS b)`, EXCLUDE, REPLACE and ILIKE.
pub(super) fn renamed(
    columns: &[&Column],
    options: &WildcardAdditionalOptions,
) -> Result<Vec<SelectItem>, Box<SqlMistake>> {
    let mut left_out: Vec<LeftOut> = Vec::new();
    match &options.opt_exclude {
        Some(ExcludeSelectItem::Single(name)) => left_out.extend(LeftOut::of(name)),
        Some(ExcludeSelectItem::Multiple(names)) => left_out.extend(names.iter().filter_map(LeftOut::of)),
        None => {}
    }
    if let Some(except) = &options.opt_except {
        let names = std::iter::once(&except.first_element).chain(&except.additional_elements);
        left_out.extend(names.map(|name| LeftOut { table: None, name: name.clone() }));
    }
    if let Some(wrong) = left_out.iter().find(|one| !columns.iter().any(|column| one.is(column))) {
        return Err(Box::new(match &wrong.table {
            Some(table) if columns.iter().any(|column| is(&wrong.name, column)) => {
                let what = format!("there is no column `{table}.{}` to leave out", wrong.name);
                let place = wrong.name.span.start;
                SqlMistake::new("elt::sql::no_such_column", what)
                    .at(place.line, place.column)
                    .help(format!("write `{}`, or the name of its own table before it", wrong.name))
            }
            _ => unknown(&wrong.name, "leave out", columns),
        }));
    }
    let renames = match &options.opt_rename {
        Some(RenameSelectItem::Single(one)) => std::slice::from_ref(one),
        Some(RenameSelectItem::Multiple(many)) => many.as_slice(),
        None => &[],
    };
    let renames: Vec<(LeftOut, &Ident)> =
        renames.iter().map(|rename| (LeftOut::renamed(&rename.ident), &rename.alias)).collect();
    let replaced = options.opt_replace.iter().flat_map(|replace| &replace.items);
    let replaced: Vec<_> = replaced.collect();
    if let Some((wrong, _)) = renames.iter().find(|(one, _)| !columns.iter().any(|column| one.is(column))) {
        return Err(Box::new(unknown(&wrong.name, "rename", columns)));
    }
    let mut names = replaced.iter().map(|replace| &replace.column_name);
    if let Some(name) = names.find(|name| !columns.iter().any(|column| is(name, column))) {
        return Err(Box::new(unknown(name, "replace", columns)));
    }
    let names = StringArray::from_iter_values(columns.iter().map(|column| column.name.as_str()));
    let alike: Vec<bool> = match &options.opt_ilike {
        Some(ilike) => {
            let pattern = StringArray::new_scalar(&ilike.pattern);
            let alike = arrow::compute::kernels::comparison::ilike(&names, &pattern);
            alike.map(|alike| alike.iter().map(|alike| alike == Some(true)).collect()).unwrap_or_default()
        }
        None => vec![true; columns.len()],
    };
    let mut items = Vec::new();
    for (column, is_alike) in columns.iter().zip(alike) {
        if !is_alike || left_out.iter().any(|one| one.is(column)) {
            continue;
        }
        let rename = renames.iter().find(|(one, _)| one.is(column));
        let replace = replaced.iter().find(|replace| is(&replace.column_name, column));
        let expr = replace.map_or_else(|| column.expr(), |replace| replace.expr.clone());
        let alias = match (rename, replace) {
            (Some((_, alias)), _) => Some((*alias).clone()),
            (None, None) if column.means.is_none() => None,
            (None, _) => Some(Ident::with_quote('"', &column.name)),
        };
        items.push(match alias {
            Some(alias) => SelectItem::ExprWithAlias { expr, alias },
            None => SelectItem::UnnamedExpr(expr),
        });
    }
    Ok(items)
}

/// A column that EXCLUDE or RENAME names, and of which table, if that is written.
struct LeftOut {
    table: Option<Ident>,
    name: Ident,
}

impl LeftOut {
    fn of(name: &ObjectName) -> Option<Self> {
        let mut parts = name.0.iter().rev().map(|part| part.as_ident().cloned());
        Some(Self { name: parts.next()??, table: parts.next().flatten() })
    }

    /// What RENAME names: the parser knows one name.
    fn renamed(name: &Ident) -> Self {
        let quoted = |value: &str| Ident { value: value.to_owned(), quote_style: Some('"'), span: name.span };
        match name.value.split_once(OF_TABLE) {
            Some((table, column)) => Self { table: Some(quoted(table)), name: quoted(column) },
            None => Self { table: None, name: name.clone() },
        }
    }

    fn is(&self, column: &Column) -> bool {
        let is_of = |table: &Ident| column.table.as_deref().is_some_and(|known| folded(table) == known);
        is(&self.name, column) && self.table.as_ref().is_none_or(is_of)
    }
}

fn is(name: &Ident, column: &Column) -> bool {
    match name.quote_style {
        Some(_) => name.value == column.name,
        None => name.value.eq_ignore_ascii_case(&column.name),
    }
}

fn unknown(name: &Ident, what: &str, columns: &[&Column]) -> SqlMistake {
    let place = name.span.start;
    let known = || columns.iter().map(|column| column.name.as_str());
    let all = || format!("the columns are: {}", known().take(20).collect::<Vec<_>>().join(", "));
    SqlMistake::new("elt::sql::no_such_column", format!("there is no column `{}` to {what}", name.value))
        .at(place.line, place.column)
        .help(did_you_mean(&folded(name), known()).unwrap_or_else(all))
}

/// The columns that a `COLUMNS(…)` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Which {
    All,
    /// Those whose names match a regular expression.
    Matching(String),
    AllBut(HashSet<String>),
    /// Those of a table.
    Of(String),
    /// These, in this order.
    These(Vec<String>),
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Matching(regex) => f.write_str(regex),
            Self::Of(table) => write!(f, "{table}.*"),
            Self::AllBut(_) => f.write_str("* exclude (…)"),
            Self::These(names) => f.write_str(&names.join(", ")),
        }
    }
}

/// What each column of `columns('(.)_id') as '\1'` is called, where the name has parts of the columns' own; nothing for plain names.
fn names_by_groups(expr: &Expr, alias: &Ident, columns: &[Column]) -> Option<Vec<String>> {
    let has_groups = alias.value.as_bytes().windows(2).any(|two| two[0] == b'\\' && two[1].is_ascii_digit());
    let Some(Which::Matching(pattern)) = which(expr).filter(|_| has_groups) else { return None };
    let regex = regex::Regex::new(&pattern).ok()?;
    let named = columns.iter().filter_map(|column| {
        let groups = regex.captures(&column.name)?;
        let (mut name, mut chars) = (String::new(), alias.value.chars().peekable());
        while let Some(c) = chars.next() {
            match chars.peek().and_then(|next| next.to_digit(10)).filter(|_| c == '\\') {
                Some(group) => {
                    chars.next();
                    name.push_str(groups.get(group as usize).map_or("", |part| part.as_str()));
                }
                None => name.push(c),
            }
        }
        Some(name)
    });
    Some(named.collect())
}

/// What the first `COLUMNS(…)` in an expression means.
pub(super) fn which(expr: &Expr) -> Option<Which> {
    struct Find(Option<Which>);
    impl Visitor for Find {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Some(which) = of_call(expr) {
                self.0 = Some(which);
                return ControlFlow::Break(());
            }
            if matches!(expr, Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. }) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }
    }
    let mut find = Find(None);
    let _ = Visit::visit(expr, &mut find);
    find.0
}

/// What it means, if the expression is the call itself.
fn of_call(expr: &Expr) -> Option<Which> {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr else {
        return None;
    };
    if !name.to_string().eq_ignore_ascii_case("columns") {
        return None;
    }
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] => Some(Which::All),
        [FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(table))] => {
            Some(Which::Of(folded_object(table)))
        }
        [FunctionArg::Unnamed(FunctionArgExpr::WildcardWithOptions(options))] => {
            let mut excluded = HashSet::new();
            match &options.opt_exclude {
                Some(ExcludeSelectItem::Single(name)) => drop(excluded.insert(folded_object(name))),
                Some(ExcludeSelectItem::Multiple(names)) => excluded.extend(names.iter().map(folded_object)),
                None => {}
            }
            if let Some(except) = &options.opt_except {
                excluded.insert(folded(&except.first_element));
                excluded.extend(except.additional_elements.iter().map(folded));
            }
            (!excluded.is_empty()).then_some(Which::AllBut(excluded))
        }
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))] => match &value.value {
            Value::SingleQuotedString(pattern) => Some(Which::Matching(pattern.clone())),
            _ => None,
        },
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Array(array)))] => {
            let name = |item: &Expr| match item {
                Expr::Value(value) => match &value.value {
                    Value::SingleQuotedString(name) => Some(name.clone()),
                    _ => None,
                },
                Expr::Identifier(name) => Some(folded(name)),
                _ => None,
            };
            array.elem.iter().map(name).collect::<Option<Vec<_>>>().map(Which::These)
        }
        _ => None,
    }
}

/// Whether columns are spread over arguments somewhere in an expression.
pub(super) fn unpacks(expr: &Expr) -> bool {
    let mut found = false;
    outside_queries(&mut expr.clone(), |expr| {
        found |= matches!(expr, Expr::Function(call) if call.name.to_string() == UNPACKED);
    });
    found
}

/// Spreads columns over the arguments of calls.
pub(super) fn unpack(expr: &mut Expr, columns: &[Column]) -> Result<(), Box<SqlMistake>> {
    let mut wrong = None;
    outside_queries(expr, |expr| {
        let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = expr else { return };
        let mut args = Vec::with_capacity(list.args.len());
        for arg in list.args.drain(..) {
            match &arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(call)))
                    if call.name.to_string() == UNPACKED =>
                {
                    let mut of = call.clone();
                    of.name = Ident::new("columns").into();
                    match for_each_column(&Expr::Function(of), columns) {
                        Ok(each) => args.extend(
                            each.into_iter().map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))),
                        ),
                        Err(mistake) => wrong = Some(mistake),
                    }
                }
                _ => args.push(arg),
            }
        }
        list.args = args;
    });
    wrong.map_or(Ok(()), Err)
}

/// `COLUMNS(…)` in a condition is true if it is for each of the columns.
pub(super) fn for_all_columns(condition: &mut Expr, columns: &[Column]) -> Result<(), Box<SqlMistake>> {
    if which(condition).is_none() {
        return Ok(());
    }
    let each = for_each_column(condition, columns)?.into_iter().map(|one| Expr::Nested(Box::new(one)));
    let all = each.reduce(|left, right| {
        let (left, right) = (Box::new(left), Box::new(right));
        Expr::BinaryOp { left, op: BinaryOperator::And, right }
    });
    if let Some(all) = all {
        *condition = all;
    }
    Ok(())
}

/// The body of the first `COLUMNS(c -> …)`, and what the name of a column is called in it.
pub(super) fn chooser(expr: &Expr) -> Option<(Ident, Expr)> {
    let mut found = None;
    outside_queries(&mut expr.clone(), |expr| {
        found = found.take().or_else(|| chooser_of(expr));
    });
    found
}

fn chooser_of(expr: &Expr) -> Option<(Ident, Expr)> {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr else {
        return None;
    };
    let name = name.to_string();
    if !name.eq_ignore_ascii_case("columns") && name != UNPACKED {
        return None;
    }
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Lambda(lambda)))] = &list.args[..] else {
        return None;
    };
    let parameter = match &lambda.params {
        OneOrManyWithParens::One(parameter) => parameter.name.clone(),
        OneOrManyWithParens::Many(parameters) => match &parameters[..] {
            [parameter] => parameter.name.clone(),
            _ => return None,
        },
    };
    Some((parameter, (*lambda.body).clone()))
}

/// Puts the names that were chosen in the place of the first `COLUMNS(c -> …)`.
pub(super) fn choose(expr: &mut Expr, names: &[String]) {
    let mut is_done = false;
    outside_queries(expr, |expr| {
        if is_done || chooser_of(expr).is_none() {
            return;
        }
        is_done = true;
        if let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = expr {
            let elem =
                names.iter().map(|name| Expr::value(Value::SingleQuotedString(name.clone()))).collect();
            let array = Expr::Array(Array { elem, named: false });
            list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(array))];
        }
    });
}

/// The expression once for each column that its `COLUMNS(…)` means.
pub(super) fn for_each_column(expr: &Expr, columns: &[Column]) -> Result<Vec<Expr>, Box<SqlMistake>> {
    let Some(which) = which(expr) else { return Ok(vec![expr.clone()]) };
    let names = StringArray::from_iter_values(columns.iter().map(|column| column.name.as_str()));
    let matches: Vec<bool> = match &which {
        Which::All => vec![true; columns.len()],
        Which::These(names) => columns.iter().map(|column| names.contains(&column.name)).collect(),
        Which::Of(table) => columns.iter().map(|column| column.table.as_deref() == Some(table)).collect(),
        Which::AllBut(excluded) => columns.iter().map(|column| !excluded.contains(&column.name)).collect(),
        Which::Matching(regex) => match regexp_is_match_scalar(&names, regex, None) {
            Ok(matches) => matches.iter().map(|is_match| is_match == Some(true)).collect(),
            Err(error) => {
                return wrong(
                    format!("`{regex}` is not a regular expression: {error}"),
                    "write `columns('^a')`",
                );
            }
        },
    };
    if let Which::These(wanted) = &which
        && let Some(name) = wanted.iter().find(|name| !columns.iter().any(|column| column.name == **name))
    {
        let names = columns.iter().map(|column| column.name.as_str());
        let mistake = SqlMistake::new("elt::sql::no_such_column", format!("there is no column `{name}`"));
        let help = did_you_mean(name, names.clone());
        let help = help
            .unwrap_or_else(|| format!("the columns are: {}", names.take(20).collect::<Vec<_>>().join(", ")));
        return Err(Box::new(mistake.help(help)));
    }
    let mut meant: Vec<&Column> =
        columns.iter().zip(&matches).filter(|(_, is_match)| **is_match).map(|(column, _)| column).collect();
    if let Which::These(wanted) = &which {
        meant.sort_by_key(|column| wanted.iter().position(|name| *name == column.name));
    }
    if meant.is_empty() {
        return wrong(format!("no column matches `{which}`"), "`describe t` lists the columns");
    }
    let with = |column: &&Column| {
        struct Put<'a>(&'a Column);
        impl VisitorMut for Put<'_> {
            type Break = ();

            fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
                if of_call(expr).is_some() {
                    *expr = self.0.expr();
                }
                ControlFlow::Continue(())
            }
        }
        let mut expr = expr.clone();
        let _ = VisitMut::visit(&mut expr, &mut Put(column));
        expr
    };
    Ok(meant.iter().map(with).collect())
}
