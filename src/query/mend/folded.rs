//! What does an aggregate say of a list?
//!
//! `list_aggregate(xs, 'sum')` asks the aggregate of that name of the items of each list, as if they were rows. What the
//! aggregate wants besides stands behind it: `list_aggregate(xs, 'string_agg', '-')`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    AggregateUDF, ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::physical_expr::aggregate::AggregateExprBuilder;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::PhysicalExpr;

use crate::base::{did_you_mean, is_wanted};

/// Items that an aggregate is given at once; in between it can be stopped.
const AT_ONCE: usize = 1 << 16;

/// `list_aggregate`, which knows the aggregates of a session.
pub(super) fn function<'a>(known: impl Iterator<Item = &'a Arc<AggregateUDF>>) -> ScalarUDF {
    let mut known: Vec<Arc<AggregateUDF>> = known.filter(|udf| udf.name() != "grouping").cloned().collect();
    known.sort_by(|a, b| a.name().cmp(b.name()));
    known.dedup_by(|a, b| a.name() == b.name());
    ScalarUDF::from(Folded { known, signature: Signature::variadic_any(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Folded {
    known: Vec<Arc<AggregateUDF>>,
    signature: Signature,
}

impl Folded {
    fn aggregate(&self, name: &str) -> Result<&Arc<AggregateUDF>> {
        let name = name.to_lowercase();
        let name = match name.as_str() {
            "mean" => "avg",
            "first" => "first_value",
            "last" => "last_value",
            "stddev_samp" => "stddev",
            "variance" => "var_samp",
            "list" => "array_agg",
            "quantile_cont" => "percentile_cont",
            "approx_count_distinct" => "approx_distinct",
            "group_concat" | "listagg" => "string_agg",
            name => name,
        };
        let is_it =
            |udf: &&Arc<AggregateUDF>| udf.name() == name || udf.aliases().iter().any(|alias| alias == name);
        match self.known.iter().find(is_it) {
            Some(udf) => Ok(udf),
            None => {
                let near = did_you_mean(name, self.known.iter().map(|udf| udf.name()));
                plan_err!(
                    "there is no aggregate `{name}`{}",
                    near.map(|near| format!("; {near}")).unwrap_or_default()
                )
            }
        }
    }

    /// The aggregate over a column of items, with what it wants besides.
    fn over(&self, item: &DataType, name: &str, rest: &[ScalarValue]) -> Result<Over> {
        let udf = self.aggregate(name)?;
        let mut fields: Vec<FieldRef> = vec![Arc::new(Field::new("item", item.clone(), true))];
        let mut values: Vec<ScalarValue> = rest.to_vec();
        if udf.name() == "string_agg" && values.is_empty() {
            values.push(ScalarValue::from(","));
        }
        fields.extend(values.iter().map(|value| Arc::new(Field::new("value", value.data_type(), true))));
        let wanted = fields_with_udf(&fields, udf.as_ref())?;
        let item = wanted[0].data_type().clone();
        let mut args: Vec<Arc<dyn PhysicalExpr>> = vec![Arc::new(Column::new("item", 0))];
        for (value, field) in values.into_iter().zip(&wanted[1..]) {
            args.push(Arc::new(Literal::new(value.cast_to(field.data_type())?)));
        }
        let schema = Arc::new(Schema::new(vec![Field::new("item", item.clone(), true)]));
        Ok(Over {
            builder: AggregateExprBuilder::new(Arc::clone(udf), args).schema(schema).alias(name),
            item,
        })
    }
}

struct Over {
    builder: AggregateExprBuilder,
    item: DataType,
}

impl ScalarUDFImpl for Folded {
    fn name(&self) -> &str {
        "list_aggregate"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("its type depends on the aggregate's name")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let Some(item) = args.arg_fields.first().and_then(|field| item_of(field.data_type())) else {
            return plan_err!(
                "`list_aggregate` is of a list, and of an aggregate's name: `list_aggregate(xs, 'sum')`"
            );
        };
        let scalars: Option<Vec<ScalarValue>> =
            args.scalar_arguments.iter().skip(1).map(|scalar| scalar.cloned()).collect();
        let scalars = scalars.unwrap_or_default();
        let Some((name, rest)) = scalars.split_first() else {
            return plan_err!("the name of the aggregate is a text: `list_aggregate(xs, 'sum')`");
        };
        let over = self.over(&item, name.try_as_str().flatten().unwrap_or_default(), rest)?;
        let field = over.builder.build()?.field();
        Ok(Arc::new(Field::new(self.name(), field.data_type().clone(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut scalars = Vec::new();
        for arg in &args.args[1..] {
            match arg {
                ColumnarValue::Scalar(value) => scalars.push(value.clone()),
                ColumnarValue::Array(_) => return exec_err!("the name of an aggregate is one for all rows"),
            }
        }
        let Some(item) = item_of(&args.args[0].data_type()) else { return exec_err!("it is of a list") };
        let Some((name, rest)) = scalars.split_first() else {
            return exec_err!("it has the name of an aggregate");
        };
        let over = self.over(&item, name.try_as_str().flatten().unwrap_or_default(), rest)?;
        let (wanted, aggregate) = (over.item, over.builder.build()?);
        let list = super::elements::list_of(item);
        let lists = cast(&args.args[0].clone().into_array(args.number_rows)?, &list)?;
        let lists: &ListArray = lists.as_list();
        let mut answers = Vec::with_capacity(lists.len());
        let null = ScalarValue::try_from(args.return_field.data_type())?;
        for row in 0..lists.len() {
            if lists.is_null(row) {
                answers.push(null.clone());
                continue;
            }
            let items: ArrayRef = lists.value(row);
            let items = if *items.data_type() == wanted { items } else { cast(&items, &wanted)? };
            let mut accumulator = aggregate.create_accumulator()?;
            let mut from = 0;
            loop {
                if !is_wanted() {
                    return exec_err!("nobody waits for this aggregate any more");
                }
                let some = items.slice(from, AT_ONCE.min(items.len() - from));
                let mut inputs = vec![Arc::clone(&some)];
                for value in rest {
                    inputs.push(value.to_array_of_size(some.len())?);
                }
                accumulator.update_batch(&inputs)?;
                from += some.len();
                if from >= items.len() {
                    break;
                }
            }
            answers.push(accumulator.evaluate()?);
        }
        let answers = match answers.is_empty() {
            true => arrow::array::new_empty_array(args.return_field.data_type()),
            false => ScalarValue::iter_to_array(answers)?,
        };
        let wanted = args.return_field.data_type();
        Ok(ColumnarValue::Array(if answers.data_type() == wanted {
            answers
        } else {
            cast(&answers, wanted)?
        }))
    }
}

fn item_of(list: &DataType) -> Option<DataType> {
    match list {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => Some(item.data_type().clone()),
        _ => None,
    }
}
