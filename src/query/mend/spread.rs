//! Is there memory for one long text beside many rows?
//!
//! `repeat('x', 200000) || a` is one text until it stands beside rows: then each of some thousand rows has it, which are gigabytes
//! that nobody asked for. [`AsksFirst`] puts a call around a long value where it is going to be spread, once all that can be worked
//! out before is; the call asks for the memory, and gives the value as it is.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// What the call is.
const NAME: &str = "_elt_spread";
/// Bytes of a value that is put beside rows without asking: some thousand rows have megabytes of it.
const FEW: usize = 8 << 10;

/// The call.
pub(super) fn function(pool: Arc<dyn MemoryPool>) -> ScalarUDF {
    // It is not worked out before there are rows.
    ScalarUDF::from(Spread { signature: Signature::any(1, Volatility::Volatile), pool })
}

struct Spread {
    signature: Signature,
    pool: Arc<dyn MemoryPool>,
}

impl fmt::Debug for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spread").finish_non_exhaustive()
    }
}

impl PartialEq for Spread {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Spread {}

impl Hash for Spread {
    fn hash<H: Hasher>(&self, state: &mut H) {
        NAME.hash(state);
    }
}

impl ScalarUDFImpl for Spread {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::clone(&args.arg_fields[0]))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let ColumnarValue::Scalar(value) = &args.args[0] {
            let long = length(value).unwrap_or(0);
            let bytes = long.saturating_mul(args.number_rows);
            // Texts of one batch lie one behind the other, and their places are counted so far.
            if bytes > i32::MAX as usize {
                return exec_err!(
                    "a text of {long} bytes beside {} rows would be more than 2 GiB: take fewer rows, or a shorter text",
                    args.number_rows
                );
            }
            MemoryConsumer::new("a long value beside many rows").register(&self.pool).try_grow(bytes)?;
        }
        args.args.into_iter().next().map_or_else(|| Ok(ColumnarValue::Scalar(ScalarValue::Null)), Ok)
    }
}

/// The bytes of a text, or of bytes.
fn length(value: &ScalarValue) -> Option<usize> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => {
            text.as_ref().map(String::len)
        }
        ScalarValue::Binary(bytes) | ScalarValue::LargeBinary(bytes) | ScalarValue::BinaryView(bytes) => {
            bytes.as_ref().map(Vec::len)
        }
        _ => None,
    }
}

/// Functions whose texts are not worked out before there are rows, if they are long ([`bounded`](super::bounded)).
const MAKERS: [&str; 15] = [
    "repeat",
    "lpad",
    "rpad",
    "replace",
    "regexp_replace",
    "upper",
    "lower",
    "reverse",
    "initcap",
    "translate",
    "concat",
    "concat_ws",
    "array_to_string",
    "strip_accents",
    "url_encode",
];

fn is_long(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => length(value).is_some_and(|bytes| bytes > FEW),
        Expr::ScalarFunction(call) => MAKERS.contains(&call.func.name()) && is_the_same_for_all(expr),
        _ => false,
    }
}

/// Whether a value is one for all rows, and is left to be worked out.
fn is_the_same_for_all(expr: &Expr) -> bool {
    let is_other = |part: &Expr| match part {
        Expr::ScalarFunction(call) => {
            call.func.signature().volatility == Volatility::Volatile && call.func.name() != NAME
        }
        Expr::Literal(..) | Expr::Cast(_) | Expr::TryCast(_) | Expr::BinaryExpr(_) | Expr::Alias(_) => false,
        _ => true,
    };
    expr.exists(|part| Ok(is_other(part))).is_ok_and(|found| !found)
}

/// Puts the call around long values that are columns, or are put together with columns.
#[derive(Debug)]
pub(super) struct AsksFirst;

impl OptimizerRule for AsksFirst {
    fn name(&self) -> &'static str {
        "long_values_ask_for_memory"
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if !super::has_any(&plan, is_long)? {
            return Ok(Transformed::no(plan));
        }
        let Some(function) = config.function_registry().and_then(|known| known.udf(NAME).ok()) else {
            return Ok(Transformed::no(plan));
        };
        plan.transform_up_with_subqueries(|plan| around(plan, &function))
    }
}

fn around(plan: LogicalPlan, function: &Arc<ScalarUDF>) -> Result<Transformed<LogicalPlan>> {
    let is_list = matches!(plan, LogicalPlan::Projection(_));
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let within = expr.transform_up(|expr| beside(expr, function))?;
        let whole = within.transform_data(|expr| match expr {
            expr if is_list && is_long(&expr) => Ok(Transformed::yes(function.call(vec![expr]))),
            Expr::Alias(mut alias) if is_list && is_long(&alias.expr) => {
                *alias.expr = function.call(vec![std::mem::take(&mut *alias.expr)]);
                Ok(Transformed::yes(Expr::Alias(alias)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(whole.update_data(|expr| name.restore(expr)))
    })
}

/// The same with the call around long values that are put together with something else.
fn beside(expr: Expr, function: &Arc<ScalarUDF>) -> Result<Transformed<Expr>> {
    let mut changed = false;
    let mut put = |expr: &mut Expr| {
        if is_long(expr) {
            *expr = function.call(vec![std::mem::take(expr)]);
            changed = true;
        }
    };
    let expr = match expr {
        Expr::BinaryExpr(mut binary) if binary.op == Operator::StringConcat => {
            put(&mut binary.left);
            put(&mut binary.right);
            Expr::BinaryExpr(binary)
        }
        Expr::AggregateFunction(mut call) => {
            call.params.args.iter_mut().for_each(&mut put);
            Expr::AggregateFunction(call)
        }
        Expr::ScalarFunction(mut call) if matches!(call.func.name(), "concat" | "concat_ws") => {
            call.args.iter_mut().for_each(&mut put);
            Expr::ScalarFunction(call)
        }
        other => other,
    };
    Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
}
