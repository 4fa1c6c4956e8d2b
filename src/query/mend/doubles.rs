//! What are a double and a decimal together?
//!
//! A double, as in Postgres and DuckDB. The engine makes both decimals of fifteen places: of a small double nothing is left then, and a
//! large one, an infinity and NaN are mistakes.

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::AnalyzerRule;

use super::meeting::bring_together;

/// Decimals that meet a double become doubles.
#[derive(Debug)]
pub(super) struct Doubles;

impl AnalyzerRule for Doubles {
    fn name(&self) -> &str {
        "doubles"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        bring_together(plan, &|types, _| common_double(types))
    }
}

/// Whether among these numbers are doubles and decimals.
fn common_double(types: &[DataType]) -> Option<DataType> {
    let (mut doubles, mut decimals) = (false, false);
    for data_type in types {
        match data_type {
            floating if floating.is_floating() => doubles = true,
            decimal if decimal.is_decimal() => decimals = true,
            whole if whole.is_integer() || whole.is_null() => {}
            _ => return None,
        }
    }
    (doubles && decimals).then_some(DataType::Float64)
}
