//! What are the columns of tables that are joined by the columns they share?
//!
//! `a join b using (id)` has one `id`: that of the left side, of the right side after a right join, and of whichever side has
//! a row after a full one. It comes first, then what is left of the one table, then of the other; so says SQL. The engine
//! keeps the column of the table whose name comes first in the alphabet. Here USING and NATURAL become ON, `*` the columns,
//! and a shared name what it means, wherever the query can say it.

use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, OrderBy,
    OrderByKind, Query, Select, SelectItem, TableAlias, TableFactor, TableWithJoins,
};

use super::{Column, Meaning, folded};
use crate::base::did_you_mean;
use crate::query::dialect::outside_queries;
use crate::query::{SqlMistake, dialect};

/// Whether tables are joined by columns that they share.
pub(super) fn are_shared(select: &Select) -> bool {
    let by_name = |join: &Join| {
        matches!(constraint(&join.join_operator), Some(JoinConstraint::Using(_) | JoinConstraint::Natural))
    };
    select.from.iter().any(|tables| tables.joins.iter().any(by_name))
        && select.from.iter().all(|tables| {
            std::iter::once(&tables.relation)
                .chain(tables.joins.iter().map(|join| &join.relation))
                .all(is_plain)
        })
}

/// Whether a relation can be given a name, or has one.
fn is_plain(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Table { .. } | TableFactor::Derived { .. } => true,
        TableFactor::NestedJoin { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::Function { alias, .. } => alias.is_some(),
        _ => false,
    }
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    use JoinOperator as J;
    match operator {
        J::Join(of)
        | J::Inner(of)
        | J::Left(of)
        | J::LeftOuter(of)
        | J::Right(of)
        | J::RightOuter(of)
        | J::FullOuter(of)
        | J::CrossJoin(of)
        | J::Semi(of)
        | J::LeftSemi(of)
        | J::RightSemi(of)
        | J::Anti(of)
        | J::LeftAnti(of)
        | J::RightAnti(of)
        | J::StraightJoin(of)
        | J::AsOf { constraint: of, .. } => Some(of),
        J::CrossApply | J::OuterApply | J::ArrayJoin | J::LeftArrayJoin | J::InnerArrayJoin => None,
    }
}

fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    use JoinOperator as J;
    match operator {
        J::Join(of)
        | J::Inner(of)
        | J::Left(of)
        | J::LeftOuter(of)
        | J::Right(of)
        | J::RightOuter(of)
        | J::FullOuter(of)
        | J::CrossJoin(of)
        | J::Semi(of)
        | J::LeftSemi(of)
        | J::RightSemi(of)
        | J::Anti(of)
        | J::LeftAnti(of)
        | J::RightAnti(of)
        | J::StraightJoin(of)
        | J::AsOf { constraint: of, .. } => Some(of),
        J::CrossApply | J::OuterApply | J::ArrayJoin | J::LeftArrayJoin | J::InnerArrayJoin => None,
    }
}

/// Gives names to relations that have none, so that their columns can be told apart.
pub(super) fn name_relations(select: &mut Select) {
    let relations = select.from.iter_mut().flat_map(|tables| {
        std::iter::once(&mut tables.relation).chain(tables.joins.iter_mut().map(|join| &mut join.relation))
    });
    for (at, relation) in relations.enumerate() {
        let is_file = |name: &sqlparser::ast::ObjectName| {
            name.0.last().and_then(|part| part.as_ident()).is_some_and(|name| name.quote_style == Some('\''))
        };
        let alias = match relation {
            TableFactor::Derived { alias: alias @ None, .. } => alias,
            TableFactor::Table { alias: alias @ None, name, .. } if is_file(name) => alias,
            _ => continue,
        };
        let name = Ident::with_quote('"', format!("_elt_joined_{at}"));
        *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
    }
}

/// The relations side by side, without what joins them: all of their columns.
pub(super) fn side_by_side(from: &[TableWithJoins]) -> Vec<TableWithJoins> {
    let mut from = from.to_vec();
    for join in from.iter_mut().flat_map(|tables| &mut tables.joins) {
        join.join_operator = JoinOperator::CrossJoin(JoinConstraint::None);
        join.global = false;
    }
    from
}

/// The columns of `*`, and what shared names mean.
pub(super) type Shared = (Vec<Column>, Vec<Meaning>);

/// Spells out what the tables share. Returns the columns of `*` and what shared names mean; nothing if the tables cannot be
/// told apart.
pub(super) fn spell(select: &mut Select, columns: &[Column]) -> Result<Option<Shared>, Box<SqlMistake>> {
    let Some(mut relations) = by_relation(select, columns) else { return Ok(None) };
    relations.reverse();
    let mut all = Vec::new();
    let mut meanings: Vec<Meaning> = Vec::new();
    for tables in &mut select.from {
        let mut given = relations.pop().unwrap_or_default();
        for join in &mut tables.joins {
            let right = relations.pop().unwrap_or_default();
            given = joined(join, given, right, &mut meanings)?;
        }
        all.extend(given);
    }
    put(select, &meanings);
    Ok(Some((all, meanings)))
}

/// The columns of each relation.
fn by_relation(select: &Select, columns: &[Column]) -> Option<Vec<Vec<Column>>> {
    let mut names: Vec<String> = Vec::new();
    for tables in &select.from {
        names.push(name_of(&tables.relation)?);
        for join in &tables.joins {
            names.push(name_of(&join.relation)?);
        }
    }
    let is_twice = |name: &String| names.iter().filter(|other| *other == name).count() > 1;
    if names.iter().any(is_twice) {
        return None;
    }
    let of = |name: &String| {
        columns.iter().filter(|column| column.table.as_ref() == Some(name)).cloned().collect::<Vec<_>>()
    };
    let relations: Vec<Vec<Column>> = names.iter().map(of).collect();
    (relations.iter().map(Vec::len).sum::<usize>() == columns.len()).then_some(relations)
}

fn name_of(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::NestedJoin { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. } => Some(folded(&alias.name)),
        TableFactor::Table { name, alias: None, .. } => {
            name.0.last().and_then(|part| part.as_ident()).map(folded)
        }
        _ => None,
    }
}

/// Makes ON of what joins two sides, and returns the columns of both.
fn joined(
    join: &mut Join,
    left: Vec<Column>,
    right: Vec<Column>,
    meanings: &mut Vec<Meaning>,
) -> Result<Vec<Column>, Box<SqlMistake>> {
    use JoinOperator as J;
    let shows = |left: Vec<Column>, right: Vec<Column>, operator: &J| match operator {
        J::Semi(_) | J::LeftSemi(_) | J::Anti(_) | J::LeftAnti(_) => left,
        J::RightSemi(_) | J::RightAnti(_) => right,
        _ => left.into_iter().chain(right).collect(),
    };
    let shared: Vec<Ident> = match constraint_mut(&mut join.join_operator) {
        Some(JoinConstraint::Using(columns)) => columns
            .iter()
            .filter_map(|name| name.0.last().and_then(|part| part.as_ident()).cloned())
            .collect(),
        Some(JoinConstraint::Natural) => {
            let is_shared = |column: &&Column| right.iter().any(|other| other.name == column.name);
            left.iter().filter(is_shared).map(|column| Ident::with_quote('"', &column.name)).collect()
        }
        Some(JoinConstraint::On(condition)) => {
            put_in(condition, meanings);
            return Ok(shows(left, right, &join.join_operator));
        }
        _ => return Ok(shows(left, right, &join.join_operator)),
    };
    let mut conditions: Option<Expr> = None;
    let mut merged: Vec<Column> = Vec::new();
    for name in &shared {
        let (one, other) = (find(name, &left, "left")?, find(name, &right, "right")?);
        let equal = Expr::BinaryOp {
            left: Box::new(one.expr()),
            op: BinaryOperator::Eq,
            right: Box::new(other.expr()),
        };
        conditions = Some(match conditions.take() {
            Some(before) => {
                Expr::BinaryOp { left: Box::new(before), op: BinaryOperator::And, right: Box::new(equal) }
            }
            None => equal,
        });
        let shown = match &join.join_operator {
            J::Right(_) | J::RightOuter(_) | J::RightSemi(_) | J::RightAnti(_) => other.clone(),
            J::FullOuter(_) => {
                let either = dialect::called("coalesce", &[one.expr(), other.expr()]);
                Column {
                    table: None,
                    name: one.name.clone(),
                    means: Some(either),
                    fields: Vec::new(),
                    is_map: false,
                }
            }
            _ => one.clone(),
        };
        meanings.retain(|(known, _)| *known != shown.name);
        meanings.push((shown.name.clone(), shown.expr()));
        merged.push(shown);
    }
    let rest = |side: Vec<Column>| {
        side.into_iter()
            .filter(|column| merged.iter().all(|shown| shown.name != column.name))
            .collect::<Vec<_>>()
    };
    let (left, right) = (rest(left), rest(right));
    if let Some(of) = constraint_mut(&mut join.join_operator) {
        *of = match conditions {
            Some(conditions) => JoinConstraint::On(conditions),
            None => JoinConstraint::On(Expr::value(sqlparser::ast::Value::Boolean(true))),
        };
    }
    let rest = shows(left, right, &join.join_operator);
    Ok(merged.into_iter().chain(rest).collect())
}

/// The column of a side that a name means.
fn find<'a>(name: &Ident, side: &'a [Column], which: &str) -> Result<&'a Column, Box<SqlMistake>> {
    let wanted = folded(name);
    let exact: Vec<&Column> = side.iter().filter(|column| column.name == wanted).collect();
    let found = match exact.is_empty() {
        true => side.iter().filter(|column| column.name.eq_ignore_ascii_case(&wanted)).collect(),
        false => exact,
    };
    let place = name.span.start;
    let wrong = |what: String, help: String| {
        Box::new(SqlMistake::new("elt::sql::using", what).at(place.line, place.column).help(help))
    };
    match found[..] {
        [one] => Ok(one),
        [] => {
            let known = side.iter().map(|column| column.name.as_str());
            let help = did_you_mean(&wanted, known.clone());
            let all =
                || format!("its columns are: {}", known.clone().take(20).collect::<Vec<_>>().join(", "));
            Err(wrong(
                format!("there is no column `{name}` on the {which} side of the join"),
                help.unwrap_or_else(all),
            ))
        }
        _ => Err(wrong(
            format!("the column `{name}` is in more than one table on the {which} side of the join"),
            format!("say which: `on a.{name} = b.{name}`"),
        )),
    }
}

/// What a name without a table means, if it is shared.
fn meaning<'a>(name: &Ident, meanings: &'a [Meaning]) -> Option<&'a Expr> {
    let same = |(known, _): &&Meaning| match name.quote_style {
        Some(_) => *known == name.value,
        None => known.eq_ignore_ascii_case(&name.value),
    };
    meanings.iter().find(same).map(|(_, expr)| expr)
}

/// Puts what shared names mean in their place, in the query around as well: [`put_in_order`].
fn put(select: &mut Select, meanings: &[Meaning]) {
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                if let Some(expr) = meaning(name, meanings) {
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: name.clone() };
                }
            }
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => put_in(expr, meanings),
            _ => {}
        }
    }
    for condition in [&mut select.selection, &mut select.having, &mut select.qualify].into_iter().flatten() {
        put_in(condition, meanings);
    }
    if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
        keys.iter_mut().for_each(|key| put_in(key, meanings));
    }
    if let Some(Distinct::On(keys)) = &mut select.distinct {
        keys.iter_mut().for_each(|key| put_in(key, meanings));
    }
}

/// The same for what the query is sorted by, unless its list gives the name to something.
pub(super) fn put_in_order(query: &mut Query, meanings: &[Meaning]) {
    let sqlparser::ast::SetExpr::Select(select) = &*query.body else { return };
    let given: Vec<String> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
            _ => None,
        })
        .collect();
    let free: Vec<Meaning> = meanings.iter().filter(|(name, _)| !given.contains(name)).cloned().collect();
    if let Some(OrderBy { kind: OrderByKind::Expressions(sorted), .. }) = &mut query.order_by {
        sorted.iter_mut().for_each(|sorted| put_in(&mut sorted.expr, &free));
    }
}

/// Puts what they mean in the place of names, but not in the queries inside, which have names of their own.
fn put_in(expr: &mut Expr, meanings: &[Meaning]) {
    if meanings.is_empty() {
        return;
    }
    outside_queries(expr, |expr| {
        if let Expr::Identifier(name) = expr
            && let Some(meant) = meaning(name, meanings)
        {
            *expr = meant.clone();
        }
    });
}
