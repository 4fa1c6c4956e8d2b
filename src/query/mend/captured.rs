//! Is there memory for what a function of each item sees beside it?
//!
//! In `list_transform(a, x -> b[x])` each item of `a` gets a `b` of its own: of two lists of a million items that is a million times
//! a million. The engine makes them all at once and asks nobody; a process that has no memory for it ends, and with it a server. So it
//! is asked for here, before.

use std::cell::Cell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, exec_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs,
    HigherOrderSignature, HigherOrderUDF, HigherOrderUDFImpl, LambdaParametersProgress, ValueOrLambda,
};

/// Bytes that are taken without asking.
const SMALL: u64 = 16 << 20;

/// A function that asks for memory first.
pub(super) fn asking(inner: &HigherOrderUDF, pool: Arc<dyn MemoryPool>) -> Arc<HigherOrderUDF> {
    Arc::new(HigherOrderUDF::new_from_impl(Asking { inner: Arc::clone(inner.inner()), pool }))
}

struct Asking {
    inner: Arc<dyn HigherOrderUDFImpl>,
    pool: Arc<dyn MemoryPool>,
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl PartialEq for Asking {
    fn eq(&self, other: &Self) -> bool {
        self.inner.as_ref().dyn_eq(other.inner.as_ref())
    }
}

impl Eq for Asking {}

impl Hash for Asking {
    fn hash<H: Hasher>(&self, mut state: &mut H) {
        self.inner.dyn_hash(&mut state);
    }
}

/// How many items the list of a row has.
fn items(lists: &ArrayRef, row: usize) -> u64 {
    if lists.is_null(row) {
        return 0;
    }
    let length = match lists.data_type() {
        DataType::List(_) => lists.as_list::<i32>().value_length(row).into(),
        DataType::LargeList(_) => lists.as_list::<i64>().value_length(row),
        DataType::FixedSizeList(_, size) => i64::from(*size),
        _ => 0,
    };
    u64::try_from(length).unwrap_or(0)
}

/// Bytes that the values of a row take, in all of these columns.
fn bytes(columns: &[ArrayRef], row: usize) -> u64 {
    let of_one =
        |column: &ArrayRef| column.slice(row, 1).to_data().get_slice_memory_size().unwrap_or(8) as u64;
    columns.iter().map(of_one).sum()
}

/// Bytes of what functions of items see beside them, if each item has its own.
fn spread(args: &HigherOrderFunctionArgs) -> Result<u64> {
    let rows = args.number_rows;
    let lists = args.args.iter().filter_map(|arg| match arg {
        ValueOrLambda::Value(value) => Some(value),
        ValueOrLambda::Lambda(_) => None,
    });
    let lists = lists.map(|list| list.to_array(rows)).collect::<Result<Vec<_>>>()?;
    let most = |row: usize| lists.iter().map(|list| items(list, row)).max().unwrap_or(0);
    let all: u64 = (0..rows).map(most).sum();
    let mut whole = 0_u64;
    for arg in &args.args {
        let ValueOrLambda::Lambda(lambda) = arg else { continue };
        let seen = Cell::new(0_u64);
        // What it sees is shown to whoever spreads it, and to nobody else; nothing is worked out.
        let shown = lambda.evaluate(
            &[&|| exec_err!("it is only looked at"), &|| exec_err!("it is only looked at")],
            |columns| {
                let held: usize = columns.iter().map(|column| column.get_array_memory_size()).sum();
                // Each item has less than all that there is.
                if all.saturating_mul(held as u64) > SMALL {
                    seen.set(
                        (0..rows)
                            .map(|row| most(row).saturating_mul(bytes(columns, row)))
                            .fold(0, u64::saturating_add),
                    );
                }
                exec_err!("it is only looked at")
            },
        );
        drop(shown);
        whole = whole.saturating_add(seen.get());
    }
    Ok(whole)
}

impl HigherOrderUDFImpl for Asking {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &HigherOrderSignature {
        self.inner.signature()
    }

    fn lambda_parameters(
        &self,
        step: usize,
        fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        self.inner.lambda_parameters(step, fields)
    }

    fn coerce_values_for_lambdas(
        &self,
        fields: &[ValueOrLambda<DataType, DataType>],
    ) -> Result<Option<Vec<DataType>>> {
        self.inner.coerce_values_for_lambdas(fields)
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn clear_null_values(&self) -> bool {
        self.inner.clear_null_values()
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let memory = MemoryConsumer::new(self.name()).register(&self.pool);
        let bytes = spread(&args)?;
        if bytes > SMALL {
            memory.try_grow(usize::try_from(bytes).unwrap_or(usize::MAX >> 1))?;
        }
        self.inner.invoke_with_args(args)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(args)
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_value_types(types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::ScalarValue;
    use datafusion::error::DataFusionError;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};

    #[tokio::test]
    async fn what_each_item_would_see_asks_for_its_memory() {
        let runtime = RuntimeEnvBuilder::new().with_memory_limit(200 << 20, 1.0).build_arc().unwrap();
        let config = SessionConfig::new().set_str("datafusion.sql_parser.dialect", "databricks");
        let context = SessionContext::new_with_config_rt(config, runtime);
        super::super::register(&context);
        let ask = async |sql: &str| {
            let found = context.sql(sql).await?.collect().await?;
            Ok::<_, DataFusionError>(ScalarValue::try_from_array(found[0].column(0), 0)?.to_string())
        };
        let of = |items: usize| {
            format!(
                "select array_length(array_transform(a, x -> array_length(a) + x)) from (select range(v) as a from (values ({items})) t(v))"
            )
        };
        assert_eq!(ask(&of(3000)).await.unwrap(), "3000");
        let error = ask(&of(3_000_000)).await.unwrap_err();
        assert!(matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)), "{error}");
        let filtered = "select sum(array_length(array_filter(a, x -> x < v))) from (select range(v) as a, v from generate_series(1, 2000) t(v))";
        assert_eq!(ask(filtered).await.unwrap(), "2001000");
    }
}
