//! What are `text[2]` and `map[2]`?
//!
//! The second character, as in DuckDB; and the value of a key, whatever whole number the key is written as. The engine knows
//! subscripts of lists, structs, and of maps by keys of their own type. Has to come before its own planner of them.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr};
use datafusion::logical_expr::{ExprSchemable, GetFieldAccess, ScalarUDF, cast};

/// Plans subscripts of texts and maps.
#[derive(Debug)]
pub(super) struct Subscripts {
    pub(super) slice: Arc<ScalarUDF>,
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
            GetFieldAccess::ListIndex { key } if is_text => {
                let args = vec![expr.expr, (*key).clone(), *key];
                Ok(PlannerResult::Planned(self.slice.call(args)))
            }
            field_access => Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, ..expr })),
        }
    }
}
