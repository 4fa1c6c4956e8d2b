//! Where do values of two types meet, and what type do they meet at?
//!
//! In comparisons, in lists, in the branches of a `case`, in the keys of joins, and in the inputs of a union. The engine has
//! answers of its own; where these lose something, ours are given before it is asked ([`bring_together`]).

use std::cell::RefCell;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Projection, cast};

use super::{peers, rewrite_expressions};
use crate::base::sql_type_name;

/// How values meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// They are compared, or one of them is taken.
    Compared,
    /// They are rows of one column.
    Stacked,
}

/// The type that values of these types meet at; nothing if the engine's own answer is right.
pub(super) type Common<'a> = &'a dyn Fn(&[DataType], Meeting) -> Option<DataType>;

/// Casts what meets to the type that it meets at.
///
/// # Errors
/// A day or an instant meets a number: the engine would take the number for days since 1970, and whoever forgot the quotes
/// of `2026-05-01` would be told that every day is later than 2020.
pub(super) fn bring_together(plan: LogicalPlan, common: Common<'_>) -> Result<LogicalPlan> {
    let apart: RefCell<Option<(DataType, DataType)>> = RefCell::new(None);
    let common: Common<'_> = &|types: &[DataType], meeting| {
        let moment = types.iter().find(|of| matches!(of, DataType::Date32 | DataType::Timestamp(..)));
        if let (Some(moment), Some(number)) = (moment, types.iter().find(|of| of.is_numeric())) {
            apart.replace(Some((moment.clone(), number.clone())));
        }
        common(types, meeting)
    };
    let plan = brought_together(plan, common)?;
    match apart.take() {
        Some((moment, number)) => {
            let (moment, number) = (sql_type_name(&moment), sql_type_name(&number));
            plan_err!("{BESIDE_A_NUMBER}{moment} and {number}")
        }
        None => Ok(plan),
    }
}

/// How the mistake begins that says that a day or an instant meets a number; the two types follow.
pub(in crate::query) const BESIDE_A_NUMBER: &str = "no common type of ";

fn brought_together(plan: LogicalPlan, common: Common<'_>) -> Result<LogicalPlan> {
    let compared = |types: &[DataType]| common(types, Meeting::Compared);
    let plan = rewrite_expressions(plan, |mut expr, schema| {
        let mut changed = false;
        for group in peers(&mut expr) {
            changed |= meet(group, schema, &compared);
        }
        if let Expr::InSubquery(question) = &mut expr {
            changed |= meet_subquery(question, schema, &compared)?;
        }
        Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
    })?;
    Ok(plan.transform_up_with_subqueries(|plan| meet_inputs(plan, common))?.data)
}

/// Casts operands to the type that they meet at. A null stays what it is.
pub(super) fn meet(
    operands: Vec<&mut Expr>,
    schema: &DFSchema,
    common: &dyn Fn(&[DataType]) -> Option<DataType>,
) -> bool {
    let types: Option<Vec<DataType>> = operands.iter().map(|expr| expr.get_type(schema).ok()).collect();
    let Some(types) = types else { return false };
    let Some(target) = common(&types) else { return false };
    for (expr, data_type) in operands.into_iter().zip(types) {
        if data_type != target && !data_type.is_null() {
            *expr = cast(std::mem::take(expr), target.clone());
        }
    }
    true
}

/// The same for what is looked for, and the rows that it is looked for in.
fn meet_subquery(
    question: &mut InSubquery,
    schema: &DFSchema,
    common: &dyn Fn(&[DataType]) -> Option<DataType>,
) -> Result<bool> {
    let rows = &question.subquery.subquery;
    let [(_, field)] = rows.schema().iter().collect::<Vec<_>>()[..] else { return Ok(false) };
    let Ok(wanted) = question.expr.get_type(schema) else { return Ok(false) };
    let found = field.data_type().clone();
    let Some(target) = common(&[wanted.clone(), found.clone()]) else { return Ok(false) };
    if wanted != target {
        *question.expr = cast(std::mem::take(&mut *question.expr), target.clone());
    }
    if found != target {
        let column = rows.schema().columns().remove(0);
        let name = column.name.clone();
        let cast_column = vec![cast(Expr::Column(column), target).alias(name)];
        let projection = Projection::try_new(cast_column, Arc::clone(rows))?;
        question.subquery.subquery = Arc::new(LogicalPlan::Projection(projection));
    }
    Ok(true)
}

/// The keys of a `using` and the inputs of a `union`, which are not expressions.
fn meet_inputs(plan: LogicalPlan, common: Common<'_>) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Join(mut join) => {
            let mut changed = false;
            let (left_schema, right_schema) =
                (Arc::clone(join.left.schema()), Arc::clone(join.right.schema()));
            for (left, right) in &mut join.on {
                let types = (left.get_type(&left_schema), right.get_type(&right_schema));
                let (Ok(left_type), Ok(right_type)) = types else { continue };
                let Some(target) = common(&[left_type.clone(), right_type.clone()], Meeting::Compared) else {
                    continue;
                };
                changed = true;
                for (key, data_type) in [(left, left_type), (right, right_type)] {
                    if data_type != target {
                        *key = cast(std::mem::take(key), target.clone());
                    }
                }
            }
            let plan = LogicalPlan::Join(join);
            Ok(if changed { Transformed::yes(plan.recompute_schema()?) } else { Transformed::no(plan) })
        }
        LogicalPlan::Union(mut union) => {
            let columns = union.schema.fields().len();
            let same_width = union.inputs.iter().all(|input| input.schema().fields().len() == columns);
            if !same_width {
                return Ok(Transformed::no(LogicalPlan::Union(union)));
            }
            let of = |input: &LogicalPlan, at: usize| input.schema().field(at).data_type().clone();
            let targets: Vec<Option<DataType>> = (0..columns)
                .map(|at| {
                    let types: Vec<DataType> = union.inputs.iter().map(|input| of(input, at)).collect();
                    common(&types, Meeting::Stacked)
                })
                .collect();
            if targets.iter().all(Option::is_none) {
                return Ok(Transformed::no(LogicalPlan::Union(union)));
            }
            for input in &mut union.inputs {
                let columns = input.schema().columns().into_iter().zip(&targets).map(|(column, target)| {
                    let name = (column.relation.clone(), column.name.clone());
                    match target {
                        Some(target) => {
                            cast(Expr::Column(column), target.clone()).alias_qualified(name.0, name.1)
                        }
                        None => Expr::Column(column),
                    }
                });
                let columns = columns.collect();
                *input = Arc::new(LogicalPlan::Projection(Projection::try_new(columns, Arc::clone(input))?));
            }
            Ok(Transformed::yes(LogicalPlan::Union(union).recompute_schema()?))
        }
        other => Ok(Transformed::no(other)),
    }
}
