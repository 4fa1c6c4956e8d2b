//! Which columns are `* RENAME (…)` and `COLUMNS(…)`?

use std::collections::HashSet;
use std::fmt;
use std::ops::ControlFlow;

use arrow::array::StringArray;
use arrow::compute::kernels::regexp::regexp_is_match_scalar;
use sqlparser::ast::{
    ExcludeSelectItem, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    RenameSelectItem, Select, SelectItem, SelectItemQualifiedWildcardKind, Value, Visit, VisitMut, Visitor,
    VisitorMut, WildcardAdditionalOptions,
};

use super::{Column, folded, folded_object, wrong};
use crate::query::SqlMistake;

/// Whether an item stands for columns that only the table knows.
pub(super) fn needs_columns(item: &SelectItem) -> bool {
    match item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => {
            options.opt_rename.is_some()
        }
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => which(expr).is_some(),
        SelectItem::ExprWithAliases { .. } => false,
    }
}

pub(super) fn spell_stars(select: &mut Select, columns: &[Column]) -> Result<(), Box<SqlMistake>> {
    let mut spelled = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        match item {
            SelectItem::Wildcard(options) if options.opt_rename.is_some() => {
                spelled.extend(renamed(columns.iter(), &options)?);
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(table), options)
                if options.opt_rename.is_some() =>
            {
                let table = folded_object(&table);
                let of_table = columns.iter().filter(|column| column.table.as_deref() == Some(&table));
                spelled.extend(renamed(of_table, &options)?);
            }
            SelectItem::UnnamedExpr(expr) if which(&expr).is_some() => {
                spelled.extend(for_each_column(&expr, columns)?.into_iter().map(SelectItem::UnnamedExpr));
            }
            SelectItem::ExprWithAlias { expr, alias } if which(&expr).is_some() => {
                let mut exprs = for_each_column(&expr, columns)?;
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
    select.projection = spelled;
    Ok(())
}

/// `* RENAME (a AS b)`, together with EXCLUDE and REPLACE.
fn renamed<'a>(
    columns: impl Iterator<Item = &'a Column>,
    options: &WildcardAdditionalOptions,
) -> Result<Vec<SelectItem>, Box<SqlMistake>> {
    let mut excluded: HashSet<String> = HashSet::new();
    match &options.opt_exclude {
        Some(ExcludeSelectItem::Single(name)) => drop(excluded.insert(folded_object(name))),
        Some(ExcludeSelectItem::Multiple(names)) => excluded.extend(names.iter().map(folded_object)),
        None => {}
    }
    if let Some(except) = &options.opt_except {
        excluded.insert(folded(&except.first_element));
        excluded.extend(except.additional_elements.iter().map(folded));
    }
    let renames = match &options.opt_rename {
        Some(RenameSelectItem::Single(one)) => std::slice::from_ref(one),
        Some(RenameSelectItem::Multiple(many)) => many.as_slice(),
        None => &[],
    };
    if options.opt_ilike.is_some() {
        return wrong("ILIKE beside RENAME is not supported", "name the columns");
    }
    let replaced = options.opt_replace.iter().flat_map(|replace| &replace.items);
    let replaced: Vec<_> = replaced.collect();
    let mut unknown: HashSet<String> = renames.iter().map(|rename| folded(&rename.ident)).collect();
    let mut items = Vec::new();
    for column in columns.filter(|column| !excluded.contains(&column.name)) {
        let rename = renames.iter().find(|rename| folded(&rename.ident) == column.name);
        let replace = replaced.iter().find(|replace| folded(&replace.column_name) == column.name);
        unknown.remove(&column.name);
        let expr = replace.map_or_else(|| column.expr(), |replace| replace.expr.clone());
        let alias = match (rename, replace) {
            (Some(rename), _) => Some(rename.alias.clone()),
            (None, Some(_)) => Some(Ident::with_quote('"', &column.name)),
            (None, None) => None,
        };
        items.push(match alias {
            Some(alias) => SelectItem::ExprWithAlias { expr, alias },
            None => SelectItem::UnnamedExpr(expr),
        });
    }
    match unknown.into_iter().next() {
        Some(name) => {
            wrong(format!("there is no column `{name}` to rename"), "`describe t` lists the columns")
        }
        None => Ok(items),
    }
}

/// The columns that a `COLUMNS(…)` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Which {
    All,
    /// Those whose names match a regular expression.
    Matching(String),
    AllBut(HashSet<String>),
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Matching(regex) => f.write_str(regex),
            Self::AllBut(_) => f.write_str("* exclude (…)"),
        }
    }
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
        _ => None,
    }
}

/// The expression once for each column that its `COLUMNS(…)` means.
pub(super) fn for_each_column(expr: &Expr, columns: &[Column]) -> Result<Vec<Expr>, Box<SqlMistake>> {
    let Some(which) = which(expr) else { return Ok(vec![expr.clone()]) };
    let names = StringArray::from_iter_values(columns.iter().map(|column| column.name.as_str()));
    let matches: Vec<bool> = match &which {
        Which::All => vec![true; columns.len()],
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
    let meant: Vec<&Column> =
        columns.iter().zip(&matches).filter(|(_, is_match)| **is_match).map(|(column, _)| column).collect();
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
