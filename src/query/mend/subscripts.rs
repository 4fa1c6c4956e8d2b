//! What are `text[2]` and `map[2]`, `j['a']` and `j.a`, and `who.name` where the field is called `Name`?
//!
//! The second character, as in DuckDB; and the value of a key, whatever whole number the key is written as. A text has no fields,
//! so a name behind one is a key of the JSON in it. The engine knows
//! subscripts of lists, structs, and of maps by keys of their own type. Has to come before its own planner of them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, TableReference};
use datafusion::functions::core::get_field;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, ScalarUDF, cast, lit};

use super::json::gives_json;

/// The field of a struct that is meant, if none is called so and one is but for the case of its letters.
fn in_other_letters(of: &DataType, name: &str) -> Option<String> {
    let DataType::Struct(fields) = of else { return None };
    if fields.iter().any(|field| field.name() == name) {
        return None;
    }
    let mut alike = fields.iter().filter(|field| field.name().eq_ignore_ascii_case(name));
    match (alike.next(), alike.next()) {
        (Some(only), None) => Some(only.name().clone()),
        _ => None,
    }
}

/// Whether an expression was made JSON.
fn is_json(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_json(&alias.expr),
        Expr::ScalarFunction(call) => gives_json(&call.func),
        _ => false,
    }
}

/// Plans subscripts of texts and maps, and fields of structs whose names are written in other letters.
#[derive(Debug)]
pub(super) struct Subscripts {
    pub(super) slice: Arc<ScalarUDF>,
    /// `_elt_json_get`
    pub(super) into_json: Arc<ScalarUDF>,
    /// What stands for `j.a`.
    pub(super) json_field: Arc<ScalarUDF>,
}

impl ExprPlanner for Subscripts {
    fn plan_field_access(
        &self,
        expr: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let of = expr.expr.get_type(schema).unwrap_or(DataType::Null);
        let is_text = of.is_string();
        let keys = match &of {
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(pair) => pair.first().map(|key| key.data_type().clone()),
                _ => None,
            },
            _ => None,
        };
        match expr.field_access {
            GetFieldAccess::ListIndex { key } if keys.is_some() => {
                let given = key.get_type(schema).unwrap_or(DataType::Null);
                let key = match keys
                    .filter(|wanted| wanted.is_numeric() && given.is_numeric() && *wanted != given)
                {
                    Some(wanted) => Box::new(cast(*key, wanted)),
                    None => key,
                };
                let field_access = GetFieldAccess::ListIndex { key };
                Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, ..expr }))
            }
            GetFieldAccess::ListIndex { key } if is_text && is_json(&expr.expr) => {
                Ok(PlannerResult::Planned(self.into_json.call(vec![expr.expr, *key])))
            }
            GetFieldAccess::NamedStructField { name } if is_text => {
                Ok(PlannerResult::Planned(self.into_json.call(vec![expr.expr, lit(name)])))
            }
            GetFieldAccess::ListIndex { key } if is_text => {
                let args = vec![expr.expr, (*key).clone(), *key];
                Ok(PlannerResult::Planned(self.slice.call(args)))
            }
            GetFieldAccess::NamedStructField { name } => {
                let meant = name.try_as_str().flatten().and_then(|name| in_other_letters(&of, name));
                let name = meant.map_or(name, ScalarValue::from);
                let field_access = GetFieldAccess::NamedStructField { name };
                Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, ..expr }))
            }
            field_access => Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, ..expr })),
        }
    }

    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        if field.data_type().is_string() {
            let column = Expr::Column(Column::from((qualifier, field)));
            let steps = nested_names.iter().map(|name| lit(name.as_str()));
            return Ok(PlannerResult::Planned(
                self.json_field.call(std::iter::once(column).chain(steps).collect()),
            ));
        }
        let mut of = field.data_type().clone();
        let mut meant = Vec::with_capacity(nested_names.len());
        for name in nested_names {
            let name = in_other_letters(&of, name).unwrap_or_else(|| name.clone());
            of = match &of {
                DataType::Struct(fields) => {
                    fields.find(&name).map_or(DataType::Null, |(_, field)| field.data_type().clone())
                }
                _ => DataType::Null,
            };
            meant.push(name);
        }
        if meant == nested_names {
            return Ok(PlannerResult::Original(Vec::new()));
        }
        let column = Expr::Column(Column::from((qualifier, field)));
        let part = |of: Expr, name: String| get_field().call(vec![of, lit(name)]);
        Ok(PlannerResult::Planned(meant.into_iter().fold(column, part)))
    }
}
