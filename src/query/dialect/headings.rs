//! What is a column called that was given no name?
//!
//! As it was written: `count(*)`, `amount * 2`, `1`. The engine would call the last `Int64(1)`. Names are given at
//! every level, so `select * from (select count(*) from t)` shows the same. A second column of one name is
//! called `id_1`, where the engine would refuse the query.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart,
    OrderByKind, Query, Select, SelectItem, SetExpr, Statement, TableFactor, Value, VisitMut, VisitorMut,
};

/// Gives a name to every column that has none.
pub(super) fn give(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut Headings);
}

struct Headings;

impl VisitorMut for Headings {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let tables = Tables::of(select);
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(_)) = item
                && let Some(alias) = tables.member(expr)
            {
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
        }
        let mut names = Names::of(select);
        for item in &mut select.projection {
            match item {
                SelectItem::ExprWithAlias { alias, .. } => {
                    let given = folded(alias);
                    let free = names.free(&given, 0);
                    if free != given {
                        *alias = Ident::with_quote('"', free);
                    }
                }
                SelectItem::UnnamedExpr(expr) => names.name(item_of(expr), item),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    /// What is sorted by stands in the list under its name; with `distinct` the engine looks for no other.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let (Some(order_by), SetExpr::Select(select)) = (&mut query.order_by, &*query.body) else {
            return ControlFlow::Continue(());
        };
        if let OrderByKind::Expressions(sorted) = &mut order_by.kind
            && select.distinct.is_some()
        {
            for sorted in sorted.iter_mut().filter(|sorted| !is_column(&sorted.expr)) {
                let text = text_of(&sorted.expr);
                let alias = select.projection.iter().find_map(|item| match item {
                    SelectItem::ExprWithAlias { expr, alias } if text_of(expr) == text => Some(alias),
                    _ => None,
                });
                if let Some(alias) = alias {
                    sorted.expr = Expr::Identifier(alias.clone());
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// By which names a select knows its tables.
struct Tables {
    names: HashSet<String>,
    /// Whether it has tables at all, named or not.
    are_any: bool,
}

impl Tables {
    fn of(select: &Select) -> Self {
        struct Look(HashSet<String>);
        impl VisitorMut for Look {
            type Break = ();

            fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
                let alias = match factor {
                    TableFactor::Table { name, alias, .. } => {
                        self.0.extend(name.0.iter().filter_map(ObjectNamePart::as_ident).map(folded));
                        alias
                    }
                    TableFactor::Derived { alias, .. }
                    | TableFactor::TableFunction { alias, .. }
                    | TableFactor::Function { alias, .. }
                    | TableFactor::UNNEST { alias, .. }
                    | TableFactor::NestedJoin { alias, .. }
                    | TableFactor::Pivot { alias, .. }
                    | TableFactor::Unpivot { alias, .. } => alias,
                    _ => return ControlFlow::Continue(()),
                };
                self.0.extend(alias.iter().map(|alias| folded(&alias.name)));
                ControlFlow::Continue(())
            }
        }
        let mut look = Look(HashSet::new());
        let _: ControlFlow<()> = select.from.clone().visit(&mut look);
        Self { names: look.0, are_any: !select.from.is_empty() }
    }

    /// What a member of a struct is called, if `a.b` is one: `a` is no table here.
    fn member(&self, expr: &Expr) -> Option<Ident> {
        let Expr::CompoundIdentifier(path) = expr else { return None };
        let [first, .., last] = path.as_slice() else { return None };
        let is_known = |part: &Ident| self.names.contains(&folded(part));
        let outer = match path.len() {
            2 => is_known(first),
            // `schema.table.column`, and not `table.struct.member`.
            3 => is_known(first) && is_known(&path[1]),
            _ => false,
        };
        (!outer && self.are_any).then(|| last.clone())
    }
}

/// How an expression is known before it is given a name.
struct Item {
    /// What stands above the column.
    heading: String,
    /// What makes it the same column as another: with its table, where that is written.
    identity: String,
    /// Whether the engine calls it so without being told.
    is_known: bool,
}

fn item_of(expr: &Expr) -> Item {
    match expr {
        Expr::Identifier(name) => Item { heading: folded(name), identity: folded(name), is_known: true },
        Expr::CompoundIdentifier(path) => {
            let heading = path.last().map(folded).unwrap_or_default();
            let identity = path.iter().map(folded).collect::<Vec<_>>().join(".");
            Item { heading, identity, is_known: true }
        }
        Expr::Function(call) if may_be_many(call) => {
            Item { heading: String::new(), identity: text_of(expr), is_known: true }
        }
        // Quoted only because sqlparser has no call of that name.
        Expr::Function(call) if who(call).is_some() => {
            let heading = who(call).unwrap_or_default();
            Item { identity: heading.clone(), heading, is_known: false }
        }
        // The engine would call it by the table's name as well.
        Expr::Cast { expr: inner, .. } if is_column(inner) => Item { is_known: false, ..item_of(inner) },
        Expr::Nested(inner) => item_of(inner),
        Expr::Subquery(query) => {
            let heading = heading_of(query).unwrap_or_else(|| text_of(expr));
            Item { identity: heading.clone(), heading, is_known: false }
        }
        other => {
            let text = text_of(other);
            Item { heading: text.clone(), identity: text, is_known: false }
        }
    }
}

/// Whether this unnests a struct, or may: it becomes as many columns as the struct has fields.
fn may_be_many(call: &Function) -> bool {
    let is_unnest = call.name.to_string().eq_ignore_ascii_case("unnest");
    let of_array = match &call.args {
        FunctionArguments::List(list) => {
            matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Array(_)))])
        }
        _ => false,
    };
    is_unnest && !of_array
}

/// The name of a function that says who asks.
fn who(call: &Function) -> Option<String> {
    match call.name.0.as_slice() {
        [ObjectNamePart::Identifier(name)]
            if ["current_user", "session_user", "current_role"].contains(&name.value.as_str()) =>
        {
            Some(name.value.clone())
        }
        _ => None,
    }
}

fn is_column(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

/// What the only column of a subquery is called.
fn heading_of(query: &Query) -> Option<String> {
    let SetExpr::Select(select) = &*query.body else { return None };
    match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr)] => Some(item_of(expr).heading).filter(|heading| !heading.is_empty()),
        [SelectItem::ExprWithAlias { alias, .. }] => Some(folded(alias)),
        _ => None,
    }
}

/// The names of a list.
struct Names {
    /// Those that were given so far, and the columns that the engine calls by itself.
    taken: HashSet<String>,
    /// Those that the query gives.
    aliases: HashSet<String>,
    /// Those of columns with their tables, `id` of `t.id`: beside such a one, the engine would not know another `id`.
    of_tables: HashSet<String>,
}

impl Names {
    fn of(select: &Select) -> Self {
        let (mut aliases, mut of_tables) = (HashSet::new(), HashSet::new());
        for item in &select.projection {
            match item {
                SelectItem::ExprWithAlias { alias, .. } => drop(aliases.insert(folded(alias))),
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(path)) => {
                    of_tables.extend(path.last().map(folded))
                }
                _ => {}
            }
        }
        Self { taken: HashSet::new(), aliases, of_tables }
    }

    /// Gives the item its name, or the next that is free.
    fn name(&mut self, known: Item, item: &mut SelectItem) {
        let is_first = self.taken.insert(known.identity.clone());
        let of_table = known.identity != known.heading;
        let is_clear = !of_table || !self.aliases.contains(&known.heading);
        if is_first && known.is_known && is_clear || known.heading.is_empty() {
            return;
        }
        let is_free = is_first && !known.is_known && !self.of_tables.contains(&known.heading);
        let heading = match is_free && (!of_table || !self.taken.contains(&known.heading)) {
            true => known.heading.clone(),
            false => self.free(&known.heading, 1),
        };
        self.taken.insert(heading.clone());
        let SelectItem::UnnamedExpr(expr) = item else { return };
        let expr = std::mem::replace(expr, Expr::value(Value::Null));
        *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', heading) };
    }

    /// The first name of `name`, `name_1`, … that is free, beginning there.
    fn free(&mut self, name: &str, from: usize) -> String {
        let free = (from..).map(|next| numbered(name, next)).find(|name| !self.taken.contains(name));
        let free = free.unwrap_or_else(|| name.to_owned());
        self.taken.insert(free.clone());
        free
    }
}

/// `name`, `name_1`, `name_2`, …
fn numbered(name: &str, next: usize) -> String {
    if next == 0 { name.to_owned() } else { format!("{name}_{next}") }
}

fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// The expression as it was written, but for space and the case of names.
pub(super) fn text_of(expr: &Expr) -> String {
    struct LowerCase;
    impl VisitorMut for LowerCase {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(name) => lower(name),
                Expr::CompoundIdentifier(path) => path.iter_mut().for_each(lower),
                Expr::Function(call) => lower_object(&mut call.name),
                _ => {}
            }
            ControlFlow::Continue(())
        }

        fn pre_visit_relation(&mut self, name: &mut ObjectName) -> ControlFlow<()> {
            lower_object(name);
            ControlFlow::Continue(())
        }
    }
    fn lower(name: &mut Ident) {
        name.value = folded(name);
    }
    fn lower_object(name: &mut ObjectName) {
        for part in &mut name.0 {
            if let ObjectNamePart::Identifier(name) = part {
                lower(name);
            }
        }
    }
    let mut expr = expr.clone();
    let _: ControlFlow<()> = expr.visit(&mut LowerCase);
    expr.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;
    use super::*;

    #[test]
    fn a_column_is_called_as_it_was_written() {
        for (sql, means) in [
            ("select 1", "SELECT 1 AS \"1\""),
            (
                "select COUNT(*), Sum(O.Amount)",
                "SELECT COUNT(*) AS \"count(*)\", Sum(O.Amount) AS \"sum(o.amount)\"",
            ),
            ("select id, o.id, \"A b\"", "SELECT id, o.id, \"A b\""),
            ("select o.id, 1 as id", "SELECT o.id AS \"id_1\", 1 AS id"),
            ("select id::int", "SELECT id::INT AS \"id\""),
            ("select 1, 1, 1", "SELECT 1 AS \"1\", 1 AS \"1_1\", 1 AS \"1_2\""),
            ("select id, ID, id + 1", "SELECT id, ID AS \"id_1\", id + 1 AS \"id + 1\""),
            ("select (select max(b) from t)", "SELECT (SELECT max(b) AS \"max(b)\" FROM t) AS \"max(b)\""),
            ("select * from (select 1)", "SELECT * FROM (SELECT 1 AS \"1\")"),
            ("select unnest(a)", "SELECT unnest(a)"),
            ("select 1 as a, 2 as A, b as a_1", "SELECT 1 AS a, 2 AS \"a_1\", b AS \"a_1_1\""),
            ("select a, b as a", "SELECT a, b AS \"a_1\""),
        ] {
            let mut statement = parse_query(sql).unwrap();
            give(&mut statement);
            assert_eq!(statement.to_string(), means);
        }
    }
}
