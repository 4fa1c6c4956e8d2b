//! What becomes of a list that is gone through with what there is so far?
//!
//! `_elt_reduce(list, (so_far, item) -> …)` begins with the first item, `_elt_fold(list, first, (so_far, item) -> …)` with
//! something else. Of an empty list the first gives nothing. All rows take a step at once.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array, new_null_array};
use arrow::compute::{cast, interleave, take, take_arrays};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature, HigherOrderUDF,
    HigherOrderUDFImpl, LambdaParametersProgress, ValueOrLambda, Volatility,
};

use crate::base::is_wanted;

/// Both.
pub(super) fn functions() -> [Arc<HigherOrderUDF>; 2] {
    [false, true].map(|has_first| {
        let value = || ValueOrLambda::Value(());
        let args = match has_first {
            true => vec![value(), value(), ValueOrLambda::Lambda(())],
            false => vec![value(), ValueOrLambda::Lambda(())],
        };
        let signature = HigherOrderSignature::exact(args, Volatility::Immutable);
        Arc::new(HigherOrderUDF::new_from_impl(Reduce { has_first, signature }))
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Reduce {
    has_first: bool,
    signature: HigherOrderSignature,
}

fn item_of(list: &DataType) -> Result<FieldRef> {
    match list {
        DataType::List(item) => Ok(Arc::clone(item)),
        other => plan_err!("a list is reduced, and this is {}", crate::base::sql_type_name(other)),
    }
}

impl Reduce {
    /// The items of the list, and what there is so far.
    fn fields<L>(&self, args: &[ValueOrLambda<FieldRef, L>]) -> Result<[FieldRef; 2]> {
        let value = |at: usize| match args.get(at) {
            Some(ValueOrLambda::Value(field)) => Ok(field),
            _ => plan_err!("it needs a list and a function: `list_reduce(list, (a, b) -> a + b)`"),
        };
        let item = item_of(value(0)?.data_type())?;
        let so_far = match self.has_first {
            false => item.data_type().clone(),
            true => {
                let first = value(1)?.data_type();
                let both = comparison_coercion(first, item.data_type());
                both.filter(|both| both.is_numeric()).unwrap_or_else(|| first.clone())
            }
        };
        Ok([item, Arc::new(Field::new("so_far", so_far, true))])
    }
}

impl HigherOrderUDFImpl for Reduce {
    fn name(&self) -> &str {
        if self.has_first { "_elt_fold" } else { "_elt_reduce" }
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let mut types = types.to_vec();
        if let Some(list) = types.first_mut() {
            *list = match &*list {
                DataType::FixedSizeList(item, _) | DataType::ListView(item) | DataType::LargeList(item) => {
                    DataType::List(Arc::clone(item))
                }
                DataType::Null => DataType::new_list(DataType::Null, true),
                other => other.clone(),
            };
        }
        Ok(types)
    }

    fn lambda_parameters(
        &self,
        _step: usize,
        fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        let [item, so_far] = self.fields(fields)?;
        Ok(LambdaParametersProgress::Complete(vec![vec![so_far, item]]))
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let [_, so_far] = self.fields(args.arg_fields)?;
        Ok(Arc::new(Field::new("", so_far.data_type().clone(), true)))
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let (Some(ValueOrLambda::Value(lists)), Some(ValueOrLambda::Lambda(step))) =
            (args.args.first(), args.args.last())
        else {
            return plan_err!("it needs a list and a function");
        };
        let wanted = args.return_field.data_type();
        let rows = args.number_rows;
        let lists = lists.to_array(rows)?;
        let lists: &ListArray = lists.as_list();
        let items = lists.values();
        let offsets = lists.value_offsets();
        let length = |row: usize| if lists.is_null(row) { 0 } else { lists.value_length(row) };
        let begins = i32::from(!self.has_first);
        let mut so_far: ArrayRef = match &args.args[..] {
            [_, ValueOrLambda::Value(first), _] => cast(&first.to_array(rows)?, wanted)?,
            _ => {
                let first = (0..rows).map(|row| (length(row) > 0).then_some(offsets[row] as u32));
                cast(&take(items, &first.collect::<UInt32Array>(), None)?, wanted)?
            }
        };
        let most = (0..rows).map(length).max().unwrap_or_default();
        for at in begins..most {
            if at % 64 == 0 && !is_wanted() {
                return exec_err!("nobody waits for this reduction any more");
            }
            let going: Vec<usize> = (0..rows).filter(|row| length(*row) > at).collect();
            let places: UInt32Array = going.iter().map(|row| Some(*row as u32)).collect();
            let these: UInt32Array = going.iter().map(|row| Some((offsets[*row] + at) as u32)).collect();
            let (before, item) = (take(&so_far, &places, None)?, take(items, &these, None)?);
            let after = step
                .evaluate(&[&|| Ok(Arc::clone(&before)), &|| Ok(Arc::clone(&item))], |captured| {
                    Ok(take_arrays(captured, &places, None)?)
                })?;
            let after = cast(&after.into_array(going.len())?, wanted)?;
            let mut which: Vec<(usize, usize)> = (0..rows).map(|row| (0, row)).collect();
            going.iter().enumerate().for_each(|(at, row)| which[*row] = (1, at));
            so_far = interleave(&[so_far.as_ref(), after.as_ref()], &which)?;
        }
        if lists.null_count() > 0 {
            let which: Vec<(usize, usize)> =
                (0..rows).map(|row| if lists.is_null(row) { (1, 0) } else { (0, row) }).collect();
            so_far = interleave(&[so_far.as_ref(), new_null_array(wanted, 1).as_ref()], &which)?;
        }
        Ok(ColumnarValue::Array(so_far))
    }
}
