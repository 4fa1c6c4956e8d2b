//! What is `text[2]`?
//!
//! The second character, as in DuckDB; the engine knows subscripts of lists, maps and structs. Has to come before its own
//! planner of them.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr};
use datafusion::logical_expr::{ExprSchemable, GetFieldAccess, ScalarUDF};

/// Plans subscripts of texts.
#[derive(Debug)]
pub(super) struct OfTexts {
    pub(super) slice: Arc<ScalarUDF>,
}

impl ExprPlanner for OfTexts {
    fn plan_field_access(
        &self,
        expr: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let is_text = matches!(
            expr.expr.get_type(schema),
            Ok(DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        );
        match expr.field_access {
            GetFieldAccess::ListIndex { key } if is_text => {
                let args = vec![expr.expr, (*key).clone(), *key];
                Ok(PlannerResult::Planned(self.slice.call(args)))
            }
            field_access => Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, ..expr })),
        }
    }
}
