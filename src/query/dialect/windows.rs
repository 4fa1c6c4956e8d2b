//! Which window does a name mean?
//!
//! `over w`, `over (w order by d)` and `window v as (w rows 1 preceding)` go on from a window of the WINDOW clause. The
//! engine knows the first, and drops the name in the others, with the partitions that it stands for. Here every name
//! becomes the window that it means, wherever the query can say it: in the list, QUALIFY and ORDER BY.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, Ident, NamedWindowDefinition, NamedWindowExpr, OrderBy, OrderByKind, Query, Select,
    SetExpr, Statement, VisitMut, VisitorMut, WindowSpec, WindowType,
};

use crate::base::did_you_mean;
use crate::query::SqlMistake;

/// Puts windows in the place of their names.
///
/// # Errors
/// A name that no window has; a window that would contradict the one that it goes on from.
pub(super) fn spell(statement: &mut Statement) -> Result<(), SqlMistake> {
    match VisitMut::visit(statement, &mut Queries) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(mistake) => Err(*mistake),
    }
}

type Flow = ControlFlow<Box<SqlMistake>>;

struct Queries;

impl VisitorMut for Queries {
    type Break = Box<SqlMistake>;

    fn pre_visit_query(&mut self, query: &mut Query) -> Flow {
        let SetExpr::Select(select) = &mut *query.body else { return ControlFlow::Continue(()) };
        let windows = windows(select)?;
        if let Some(OrderBy { kind: OrderByKind::Expressions(sorted), .. }) = &mut query.order_by {
            for sorted in sorted {
                sorted.expr.visit(&mut Names { windows: &windows, queries: 0 })?;
            }
        }
        named(select, &windows)
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> Flow {
        let windows = windows(select)?;
        named(select, &windows)
    }
}

fn named(select: &mut Select, windows: &[(Ident, WindowSpec)]) -> Flow {
    select.named_window.clear();
    let mut names = Names { windows, queries: 0 };
    for item in &mut select.projection {
        item.visit(&mut names)?;
    }
    select.qualify.iter_mut().try_for_each(|condition| condition.visit(&mut names))
}

/// The windows of a WINDOW clause. One may go on from any before it.
fn windows(select: &Select) -> ControlFlow<Box<SqlMistake>, Vec<(Ident, WindowSpec)>> {
    let mut known: Vec<(Ident, WindowSpec)> = Vec::new();
    for NamedWindowDefinition(name, window) in &select.named_window {
        if known.iter().any(|(other, _)| folded(other) == folded(name)) {
            return wrong(
                name,
                format!("there are two windows `{name}`"),
                "give one of them another name".to_owned(),
            );
        }
        let spec = match window {
            NamedWindowExpr::NamedWindow(of) => find(of, &known)?.clone(),
            NamedWindowExpr::WindowSpec(spec) => whole(spec, &known)?,
        };
        known.push((name.clone(), spec));
    }
    ControlFlow::Continue(known)
}

/// A window without the name that it goes on from.
fn whole(spec: &WindowSpec, known: &[(Ident, WindowSpec)]) -> ControlFlow<Box<SqlMistake>, WindowSpec> {
    let Some(name) = &spec.window_name else { return ControlFlow::Continue(spec.clone()) };
    let of = find(name, known)?;
    if !spec.partition_by.is_empty() {
        let help = format!("leave PARTITION BY out, or the name: `{name}` says what the partitions are");
        return wrong(name, format!("the window `{name}` cannot be given other partitions"), help);
    }
    if !spec.order_by.is_empty() && !of.order_by.is_empty() {
        let help = format!("leave ORDER BY out, or the name: `{name}` has an order");
        return wrong(name, format!("the window `{name}` cannot be given another order"), help);
    }
    if of.window_frame.is_some() {
        let help = format!("write `over {name}` as it is, or a window without a frame");
        return wrong(name, format!("the window `{name}` has a frame, and nothing can go on from it"), help);
    }
    let order_by = if spec.order_by.is_empty() { &of.order_by } else { &spec.order_by };
    ControlFlow::Continue(WindowSpec {
        window_name: None,
        partition_by: of.partition_by.clone(),
        order_by: order_by.clone(),
        window_frame: spec.window_frame.clone(),
    })
}

fn find<'a>(name: &Ident, known: &'a [(Ident, WindowSpec)]) -> ControlFlow<Box<SqlMistake>, &'a WindowSpec> {
    if let Some((_, window)) = known.iter().find(|(other, _)| folded(other) == folded(name)) {
        return ControlFlow::Continue(window);
    }
    let meant = did_you_mean(&folded(name), known.iter().map(|(name, _)| name.value.as_str()));
    let help =
        meant.unwrap_or_else(|| format!("define it: `… window {name} as (partition by a order by b)`"));
    wrong(name, format!("there is no window `{name}`"), help)
}

fn wrong<T>(at: &Ident, what: String, help: String) -> ControlFlow<Box<SqlMistake>, T> {
    let place = at.span.start;
    let mistake = SqlMistake::new("elt::sql::window", what).at(place.line, place.column).help(help);
    ControlFlow::Break(Box::new(mistake))
}

fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// Names of windows in an expression, but not in the queries inside, which have windows of their own.
struct Names<'a> {
    windows: &'a [(Ident, WindowSpec)],
    queries: usize,
}

impl VisitorMut for Names<'_> {
    type Break = Box<SqlMistake>;

    fn pre_visit_query(&mut self, _: &mut Query) -> Flow {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> Flow {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> Flow {
        if let Expr::Function(Function { over: Some(over), .. }) = expr
            && self.queries == 0
        {
            *over = WindowType::WindowSpec(match &*over {
                WindowType::NamedWindow(name) => find(name, self.windows)?.clone(),
                WindowType::WindowSpec(spec) => whole(spec, self.windows)?,
            });
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_query;
    use super::*;

    fn said(sql: &str) -> String {
        let mut statement = parse_query(sql).unwrap();
        match spell(&mut statement) {
            Ok(()) => statement.to_string(),
            Err(mistake) => format!("{:?} {}", mistake.place().unwrap(), mistake.message()),
        }
    }

    #[test]
    fn a_name_is_the_window_that_it_means() {
        for (sql, means) in [
            (
                "select sum(x) over w from t window w as (partition by g)",
                "SELECT sum(x) OVER (PARTITION BY g) FROM t",
            ),
            (
                "select sum(x) over (W order by d) from t window w as (partition by g)",
                "SELECT sum(x) OVER (PARTITION BY g ORDER BY d) FROM t",
            ),
            (
                "select sum(x) over v from t window w as (partition by g order by d), v as (w rows 1 preceding)",
                "SELECT sum(x) OVER (PARTITION BY g ORDER BY d ROWS 1 PRECEDING) FROM t",
            ),
            (
                "select a from t window w as (order by b) qualify rank() over w = 1 order by lag(a) over w",
                "SELECT a FROM t QUALIFY rank() OVER (ORDER BY b) = 1 ORDER BY lag(a) OVER (ORDER BY b)",
            ),
            (
                "select (select sum(y) over w from u window w as (order by z)) from t window w as (order by b)",
                "SELECT (SELECT sum(y) OVER (ORDER BY z) FROM u) FROM t",
            ),
            ("select sum(x) over v from t window w as ()", "(1, 20) there is no window `v`"),
            (
                "select sum(x) over (w partition by a) from t window w as ()",
                "(1, 21) the window `w` cannot be given other partitions",
            ),
            (
                "select sum(x) over (w order by a) from t window w as (order by b)",
                "(1, 21) the window `w` cannot be given another order",
            ),
        ] {
            assert_eq!(said(sql), means, "{sql}");
        }
    }
}
