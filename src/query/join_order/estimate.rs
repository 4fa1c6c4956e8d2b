//! How many rows does a part of a plan give, and how many values do its columns have?
//!
//! The engine's own estimates know the least and the greatest value of a column, and nothing of a join's result. Here a key has
//! at most as many values as its table has rows, or as there are numbers between its least and its greatest; every other
//! condition has a share that is usual for its kind, as in most planners (Selinger et al., "Access path selection in a
//! relational database management system", 1979).

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, JoinType, ScalarValue};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CastExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
};
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;

use crate::query::progress::statistics;

/// The share of rows of which one text is the value.
const ONE_TEXT: f64 = 0.05;
/// The share of rows that a condition leaves of which nothing is known.
const SOME: f64 = 0.25;
/// The share of rows that are on one side of a bound.
const ONE_SIDE: f64 = 1.0 / 3.0;
/// The share of rows whose text is like a pattern.
const ALIKE: f64 = 0.1;
/// The bytes of a text, as far as a join moves them.
const TEXT: f64 = 24.0;

/// What is expected of the rows of a plan.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) rows: f64,
    /// One for each column of its schema.
    pub(super) columns: Vec<Domain>,
}

/// The values of a column.
#[derive(Clone, Debug)]
pub(super) struct Domain {
    /// How many there are at most in the table that it is from, before any condition.
    pub(super) distinct: f64,
    /// The least and the greatest, as numbers.
    pub(super) range: Option<(f64, f64)>,
    /// Bytes of one.
    pub(super) width: f64,
    /// Rows of the table that it is from.
    pub(super) of: f64,
}

impl Expected {
    /// Bytes of a row.
    pub(super) fn width(&self) -> f64 {
        self.columns.iter().map(|column| column.width).sum()
    }

    fn only(self, places: Option<&[usize]>) -> Self {
        match places {
            Some(places) => {
                let columns = places.iter().map(|at| self.columns[*at].clone()).collect();
                Self { rows: self.rows, columns }
            }
            None => self,
        }
    }

    pub(super) fn domain(&self, expr: &Arc<dyn PhysicalExpr>) -> Option<&Domain> {
        self.columns.get(column(expr)?)
    }
}

/// What a plan is expected to give; nothing if that is not known.
pub(super) fn expected(plan: &Arc<dyn ExecutionPlan>) -> Option<Expected> {
    let found = if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let mut input = expected(filter.input())?;
        input.rows = (input.rows * share(filter.predicate(), &input.columns)).max(1.0);
        input.only(filter.projection().as_deref())
    } else if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let input = expected(projection.input())?;
        let schema = plan.schema();
        let columns = projection.expr().iter().zip(schema.fields()).map(|(given, field)| {
            let known = input.domain(&given.expr).cloned();
            known.unwrap_or_else(|| unknown(field.data_type(), input.rows))
        });
        Expected { rows: input.rows, columns: columns.collect() }
    } else if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        groups(aggregate, plan)?
    } else if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        joined(join)?
    } else {
        match plan.children().as_slice() {
            [input] if input.schema().fields() == plan.schema().fields() => expected(input)?,
            _ => told(plan)?,
        }
    };
    let fetch = plan.fetch().map_or(f64::INFINITY, |rows| rows as f64);
    Some(Expected { rows: found.rows.min(fetch), ..found })
}

/// What the plan says itself.
fn told(plan: &Arc<dyn ExecutionPlan>) -> Option<Expected> {
    let statistics = statistics(plan.as_ref())?;
    let rows = *statistics.num_rows.get_value()? as f64;
    let schema = plan.schema();
    let columns = schema.fields().iter().enumerate().map(|(at, field)| {
        let unknown = unknown(field.data_type(), rows);
        let Some(told) = statistics.column_statistics.get(at) else { return unknown };
        let range = bound(&told.min_value).zip(bound(&told.max_value));
        Domain { distinct: distinct(told, range, rows), range, ..unknown }
    });
    Some(Expected { rows, columns: columns.collect() })
}

fn bound(value: &Precision<ScalarValue>) -> Option<f64> {
    number(value.get_value()?)
}

/// The most values a column can have.
fn distinct(told: &ColumnStatistics, range: Option<(f64, f64)>, rows: f64) -> f64 {
    if let Some(count) = told.distinct_count.get_value() {
        return (*count as f64).clamp(1.0, rows.max(1.0));
    }
    let is_counted = matches!(told.min_value.get_value(), Some(value) if {
        let kind = value.data_type();
        kind.is_integer() || kind.is_string() || kind == DataType::Date32
    });
    match range {
        Some((least, greatest)) if is_counted => rows.min(greatest - least + 1.0).max(1.0),
        _ => rows.max(1.0),
    }
}

fn unknown(kind: &DataType, rows: f64) -> Domain {
    let width = kind.primitive_width().map_or(TEXT, |bytes| bytes as f64);
    Domain { distinct: rows.max(1.0), range: None, width, of: rows.max(1.0) }
}

fn groups(aggregate: &AggregateExec, plan: &Arc<dyn ExecutionPlan>) -> Option<Expected> {
    let input = expected(aggregate.input())?;
    let keys = aggregate.group_expr().expr();
    let mut rows = 1.0;
    let mut columns = Vec::with_capacity(plan.schema().fields().len());
    for (key, _) in keys {
        let known = input.domain(key).cloned().unwrap_or_else(|| {
            let kind = key.data_type(&aggregate.input().schema());
            unknown(&kind.unwrap_or(DataType::Null), input.rows)
        });
        rows *= known.distinct;
        columns.push(known);
    }
    let rows = f64::min(rows, input.rows).max(1.0);
    let schema = plan.schema();
    let others = schema.fields().iter().skip(keys.len()).map(|field| unknown(field.data_type(), rows));
    columns.extend(others.collect::<Vec<_>>());
    columns.iter_mut().for_each(|column| column.distinct = column.distinct.min(rows));
    Some(Expected { rows, columns })
}

fn joined(join: &HashJoinExec) -> Option<Expected> {
    let (left, right) = (expected(join.left())?, expected(join.right())?);
    let mut values = 1.0;
    let mut of = f64::INFINITY;
    for (one, other) in join.on() {
        let (one, other) = (left.domain(one), right.domain(other));
        let count = |domain: Option<&Domain>, rows: f64| domain.map_or(rows, |domain| domain.distinct);
        values *= count(one, left.rows).min(count(other, right.rows)).max(1.0);
        of = of
            .min(one.map_or(left.rows, |domain| domain.of))
            .min(other.map_or(right.rows, |domain| domain.of));
    }
    let values = f64::min(values, of).max(1.0);
    let both = left.rows * right.rows / values;
    let found = |rows: f64, others: f64| rows * (others / values).min(1.0);
    let rest = |rows: f64, others: f64| (rows - found(rows, others)).max(rows / 10.0);
    let (rows, columns) = match join.join_type() {
        JoinType::LeftSemi => (found(left.rows, right.rows), left.columns),
        JoinType::RightSemi => (found(right.rows, left.rows), right.columns),
        JoinType::LeftAnti => (rest(left.rows, right.rows), left.columns),
        JoinType::RightAnti => (rest(right.rows, left.rows), right.columns),
        JoinType::LeftMark | JoinType::RightMark => return None,
        kind => {
            let rows = match kind {
                JoinType::Left => both.max(left.rows),
                JoinType::Right => both.max(right.rows),
                JoinType::Full => both.max(left.rows + right.rows),
                _ => both,
            };
            (rows, left.columns.into_iter().chain(right.columns).collect())
        }
    };
    let rows = if join.filter().is_some() { rows * SOME } else { rows };
    Some(Expected { rows: rows.max(1.0), columns }.only(join.projection.as_deref()))
}

/// The share of rows that a condition leaves.
pub(super) fn share(condition: &Arc<dyn PhysicalExpr>, columns: &[Domain]) -> f64 {
    let mut left = 1.0;
    let mut between: HashMap<usize, (f64, f64)> = HashMap::new();
    for part in split_conjunction(condition) {
        match between_bounds(part, columns) {
            Some((at, (least, greatest))) => {
                let known = between.entry(at).or_insert((f64::NEG_INFINITY, f64::INFINITY));
                *known = (known.0.max(least), known.1.min(greatest));
            }
            None => left *= share_of_one(part, columns),
        }
    }
    for (at, (least, greatest)) in between {
        let domain = &columns[at];
        let (from, to) = domain.range.unwrap_or((least, greatest));
        let length = (to - from).max(f64::MIN_POSITIVE);
        left *= ((greatest.min(to) - least.max(from)) / length).clamp(1.0 / domain.distinct, 1.0);
    }
    left
}

/// `column < 5`, where the bounds of the column are known: between which values it is then.
fn between_bounds(condition: &Arc<dyn PhysicalExpr>, columns: &[Domain]) -> Option<(usize, (f64, f64))> {
    let comparison = condition.downcast_ref::<BinaryExpr>()?;
    // A day that is cast to an instant is another number.
    let is_time = |expr: &Arc<dyn PhysicalExpr>| {
        expr.downcast_ref::<CastExpr>().is_some_and(|cast| cast.cast_type().is_temporal())
    };
    if is_time(comparison.left()) || is_time(comparison.right()) {
        return None;
    }
    let (at, operator, value) = match (column(comparison.left()), literal(comparison.right())) {
        (Some(at), Some(value)) => (at, *comparison.op(), value),
        _ => (column(comparison.right())?, comparison.op().swap()?, literal(comparison.left())?),
    };
    let value = number(value)?;
    columns.get(at)?.range?;
    match operator {
        Operator::Lt | Operator::LtEq => Some((at, (f64::NEG_INFINITY, value))),
        Operator::Gt | Operator::GtEq => Some((at, (value, f64::INFINITY))),
        _ => None,
    }
}

fn share_of_one(condition: &Arc<dyn PhysicalExpr>, columns: &[Domain]) -> f64 {
    let one_value = |expr: &Arc<dyn PhysicalExpr>| match column(expr).and_then(|at| columns.get(at)) {
        // How many there are of what has no bounds is not known.
        Some(domain) if domain.range.is_none() => (1.0 / domain.distinct).max(ONE_TEXT),
        Some(domain) => 1.0 / domain.distinct,
        None => ONE_TEXT,
    };
    if let Some(binary) = condition.downcast_ref::<BinaryExpr>() {
        let equal = || match literal(binary.left()) {
            Some(_) => one_value(binary.right()),
            None => one_value(binary.left()),
        };
        return match binary.op() {
            Operator::And => share(condition, columns),
            Operator::Or => {
                let (one, other) = (share(binary.left(), columns), share(binary.right(), columns));
                one + other - one * other
            }
            Operator::Eq | Operator::IsNotDistinctFrom => equal(),
            Operator::NotEq | Operator::IsDistinctFrom => 1.0 - equal(),
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => ONE_SIDE,
            _ => SOME,
        };
    }
    if let Some(not) = condition.downcast_ref::<NotExpr>() {
        return 1.0 - share(not.arg(), columns);
    }
    let negated = |is: bool, share: f64| if is { 1.0 - share } else { share };
    if let Some(list) = condition.downcast_ref::<InListExpr>() {
        let some = (one_value(list.expr()) * list.len() as f64).min(0.8);
        return negated(list.negated(), some);
    }
    if let Some(like) = condition.downcast_ref::<LikeExpr>() {
        return negated(like.negated(), ALIKE);
    }
    if condition.downcast_ref::<IsNullExpr>().is_some() {
        return ALIKE;
    }
    if condition.downcast_ref::<IsNotNullExpr>().is_some() {
        return 1.0 - ALIKE;
    }
    match literal(condition) {
        Some(ScalarValue::Boolean(Some(true))) => 1.0,
        Some(_) => 0.0,
        None => SOME,
    }
}

/// The place of a column, also of one that is cast.
pub(super) fn column(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    match expr.downcast_ref::<CastExpr>() {
        Some(cast) => column(cast.expr()),
        None => expr.downcast_ref::<Column>().map(Column::index),
    }
}

fn literal(expr: &Arc<dyn PhysicalExpr>) -> Option<&ScalarValue> {
    expr.downcast_ref::<Literal>().map(Literal::value)
}

/// A value as a number that is as far from others as the value is.
fn number(value: &ScalarValue) -> Option<f64> {
    let number = match value {
        ScalarValue::Boolean(Some(value)) => f64::from(u8::from(*value)),
        ScalarValue::Int8(Some(value)) => f64::from(*value),
        ScalarValue::Int16(Some(value)) => f64::from(*value),
        ScalarValue::Int32(Some(value)) | ScalarValue::Date32(Some(value)) => f64::from(*value),
        ScalarValue::Int64(Some(value))
        | ScalarValue::TimestampSecond(Some(value), _)
        | ScalarValue::TimestampMillisecond(Some(value), _)
        | ScalarValue::TimestampMicrosecond(Some(value), _)
        | ScalarValue::TimestampNanosecond(Some(value), _) => *value as f64,
        ScalarValue::UInt8(Some(value)) => f64::from(*value),
        ScalarValue::UInt16(Some(value)) => f64::from(*value),
        ScalarValue::UInt32(Some(value)) => f64::from(*value),
        ScalarValue::UInt64(Some(value)) => *value as f64,
        ScalarValue::Float32(Some(value)) => f64::from(*value),
        ScalarValue::Float64(Some(value)) => *value,
        // Of longer texts it is not known how many there are between two.
        ScalarValue::Utf8(Some(text))
        | ScalarValue::Utf8View(Some(text))
        | ScalarValue::LargeUtf8(Some(text)) => {
            let mut letters = text.chars();
            let letter = letters.next().filter(|_| letters.next().is_none())?;
            f64::from(u32::from(letter))
        }
        ScalarValue::Decimal128(Some(value), _, scale) => *value as f64 / 10_f64.powi(i32::from(*scale)),
        _ => return None,
    };
    number.is_finite().then_some(number)
}
