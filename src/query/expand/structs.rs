//! What are `st.*` and `unnest(st)` of a struct, and `t` of a table's whole row?
//!
//! The fields of the struct, each as a column; and a struct of the row's columns. A name is a table first, and a column where
//! there is no such table. `inline(list)` gives the fields of a list's structs, `explode(map)` keys and values.

use sqlparser::ast::{
    AccessExpr, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectNamePart, Query, Select,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableFactor, Value,
};

use super::stars::renamed;
use super::{Column, folded};
use crate::query::SqlMistake;
use crate::query::dialect::{called, empty_query, outside_queries};

/// What the tables of a select are called.
fn tables(select: &Select) -> Vec<String> {
    let name = |factor: &TableFactor| match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. } => Some(folded(&alias.name)),
        TableFactor::Table { name, .. } => match name.0.last() {
            Some(ObjectNamePart::Identifier(last)) => Some(folded(last)),
            _ => None,
        },
        _ => None,
    };
    let factors = select.from.iter().flat_map(|table| {
        std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation))
    });
    factors.filter_map(name).collect()
}

/// The column that a star stands behind, if it is no table: its table, if that is said, and its name.
fn starred(item: &SelectItem, tables: &[String]) -> Option<(Option<String>, String)> {
    let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item else {
        return None;
    };
    let mut names = Vec::new();
    for part in &name.0 {
        names.push(folded(part.as_ident()?));
    }
    match &names[..] {
        [column] if !tables.contains(column) => Some((None, column.clone())),
        [table, column] if tables.contains(table) => Some((Some(table.clone()), column.clone())),
        _ => None,
    }
}

/// Whether a select may name the row of a table, or the fields of a struct.
pub(super) fn are_named(select: &Select) -> bool {
    let tables = tables(select);
    if select.projection.iter().any(|item| starred(item, &tables).is_some()) {
        return true;
    }
    let mut found = false;
    let mut select = select.clone();
    join_names(&mut select, &tables);
    each(&mut select, &mut |expr| {
        found |= matches!(&*expr, Expr::Identifier(name) if tables.contains(&folded(name)));
    });
    found
}

/// Puts a table and its column together: `t.x[1]` is of the column `t.x`, and not of the row of `t`.
fn join_names(select: &mut Select, tables: &[String]) {
    each(select, &mut |expr| {
        if let Expr::CompoundFieldAccess { root, access_chain } = expr
            && let Expr::Identifier(table) = &**root
            && tables.contains(&folded(table))
            && let Some(AccessExpr::Dot(Expr::Identifier(column))) = access_chain.first()
        {
            let column = Expr::CompoundIdentifier(vec![table.clone(), column.clone()]);
            access_chain.remove(0);
            match access_chain.is_empty() {
                true => *expr = column,
                false => **root = column,
            }
        }
    });
}

fn each(select: &mut Select, show: &mut dyn FnMut(&mut Expr)) {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            outside_queries(expr, &mut *show);
        }
    }
    if let Some(condition) = &mut select.selection {
        outside_queries(condition, &mut *show);
    }
}

fn text(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.to_owned()))
}

/// Whether a part of an expression is a table's row. What it is called is told by what was written.
fn names_row(expr: &Expr, tables: &[String], columns: &[Column]) -> bool {
    let mut found = false;
    outside_queries(&mut expr.clone(), |expr| {
        if let Expr::Identifier(name) = expr {
            let name = folded(name);
            found |= tables.contains(&name) && !columns.iter().any(|column| column.name == name);
        }
    });
    found
}

/// What is taken apart in a list, without a name of its own: the function, and of what.
fn part(item: &SelectItem) -> Option<(String, Expr)> {
    let SelectItem::UnnamedExpr(Expr::Function(call)) = item else { return None };
    let FunctionArguments::List(list) = &call.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(of))] = &list.args[..] else { return None };
    let name = call.name.to_string().to_lowercase();
    let is_list = matches!(of, Expr::Array(_));
    let is_one = match name.as_str() {
        "inline" => true,
        "unnest" | "explode" => !is_list,
        _ => false,
    };
    is_one.then(|| (name, of.clone()))
}

/// The query that tells of which type everything is that a select takes apart; nothing if it takes nothing apart.
pub(super) fn parts_asked(select: &Select) -> Option<Query> {
    let parts: Vec<(String, Expr)> = select.projection.iter().filter_map(part).collect();
    if parts.is_empty() {
        return None;
    }
    let mut query = empty_query();
    if let SetExpr::Select(asked) = &mut *query.body {
        asked.from.clone_from(&select.from);
        let item = |(at, (name, of)): (usize, &(String, Expr))| SelectItem::ExprWithAlias {
            expr: if name == "inline" { called("unnest", [of]) } else { of.clone() },
            alias: Ident::new(format!("_elt_part_{at}")),
        };
        asked.projection = parts.iter().enumerate().map(item).collect();
    }
    Some(query)
}

/// Takes apart what is a struct, or a map. All else keeps the name that was written.
pub(super) fn take_apart(select: &mut Select, columns: &[Column]) {
    let mut columns = columns.iter();
    let mut spelled = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        let (Some((name, of)), SelectItem::UnnamedExpr(whole)) = (part(&item), &item) else {
            spelled.push(item);
            continue;
        };
        let named =
            |expr: Expr, name: &str| SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) };
        match columns.next() {
            Some(column) if !column.fields.is_empty() => {
                let of = if name == "inline" { called("unnest", [&of]) } else { of };
                let field = |field: &String| named(called("get_field", &[of.clone(), text(field)]), field);
                spelled.extend(column.fields.iter().map(field));
            }
            Some(column) if column.is_map && name == "explode" => {
                spelled.push(named(called("unnest", &[called("map_keys", [&of])]), "key"));
                spelled.push(named(called("unnest", &[called("map_values", [&of])]), "value"));
            }
            _ => spelled.push(named(whole.clone(), &whole.to_string())),
        }
    }
    select.projection = spelled;
}

/// Spells both out.
///
/// # Errors
/// A star leaves out, renames or replaces a field that is not there.
pub(super) fn spell(select: &mut Select, columns: &[Column]) -> Result<(), Box<SqlMistake>> {
    let tables = tables(select);
    join_names(select, &tables);
    let mut spelled = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        let column = starred(&item, &tables).and_then(|(table, name)| {
            let is_it = |column: &&Column| {
                column.name == name && table.as_ref().is_none_or(|table| column.table.as_ref() == Some(table))
            };
            columns.iter().find(is_it).filter(|column| !column.fields.is_empty())
        });
        match column {
            // It keeps the name that was written.
            None => spelled.push(match item {
                SelectItem::UnnamedExpr(Expr::Identifier(name)) if tables.contains(&folded(&name)) => {
                    SelectItem::ExprWithAlias { expr: Expr::Identifier(name.clone()), alias: name }
                }
                item => item,
            }),
            Some(column) => {
                let field = |field: &String| Column {
                    table: None,
                    name: field.clone(),
                    means: Some(called("get_field", &[column.expr(), text(field)])),
                    fields: Vec::new(),
                    is_map: false,
                };
                let fields: Vec<Column> = column.fields.iter().map(field).collect();
                let SelectItem::QualifiedWildcard(_, options) = &item else { continue };
                spelled.extend(renamed(&fields.iter().collect::<Vec<_>>(), options)?);
            }
        }
    }
    for item in &mut spelled {
        if let SelectItem::UnnamedExpr(expr) = item
            && names_row(expr, &tables, columns)
        {
            let alias = Ident::with_quote('"', expr.to_string());
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
    select.projection = spelled;
    each(select, &mut |expr| {
        let Expr::Identifier(name) = &*expr else { return };
        let name = folded(name);
        if !tables.contains(&name) || columns.iter().any(|column| column.name == name) {
            return;
        }
        let own = columns.iter().filter(|column| column.table.as_deref() == Some(&name));
        let fields: Vec<Expr> = own.flat_map(|column| [text(&column.name), column.expr()]).collect();
        if !fields.is_empty() {
            *expr = called("named_struct", &fields);
        }
    });
    Ok(())
}
