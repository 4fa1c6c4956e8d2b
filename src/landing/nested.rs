//! How do structs and lists of one type become those of another?
//!
//! Part by part and by name: a field that the file's struct lacks is null, one that the column lacks is rescued alone, under
//! `column.field`, and so is a value that does not fit its field. A list is rescued whole, because the places in it matter.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use arrow::error::ArrowError;

use super::read::literal::Spelling;
use super::rescue::fit_array;

/// Is told the row, the place within the value and the text of what does not fit.
type Misfit<'a> = &'a mut dyn FnMut(usize, &str, &str);

/// Fits a struct to a struct, or a list to a list; nothing if `column` or the type is neither.
pub(super) fn fit(
    data_type: &DataType,
    column: &ArrayRef,
    spelling: Spelling,
    misfit: Misfit<'_>,
) -> Option<Result<ArrayRef, ArrowError>> {
    match (column.data_type(), data_type) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            Some(fit_struct(fields, column.as_struct(), spelling, misfit))
        }
        (
            DataType::List(from)
            | DataType::LargeList(from)
            | DataType::FixedSizeList(from, _)
            | DataType::ListView(from)
            | DataType::LargeListView(from),
            DataType::List(to),
        ) => {
            let plain = DataType::List(Arc::new(Field::new("item", from.data_type().clone(), true)));
            let list = cast(column, &plain);
            Some(list.and_then(|list| fit_list(to, list.as_list(), spelling, misfit)))
        }
        _ => None,
    }
}

fn fit_struct(
    fields: &Fields,
    column: &StructArray,
    spelling: Spelling,
    misfit: Misfit<'_>,
) -> Result<ArrayRef, ArrowError> {
    let names: Vec<&str> = column.fields().iter().map(|field| field.name().as_str()).collect();
    let mut used = vec![false; names.len()];
    let mut places = vec![None; fields.len()];
    let same: [fn(&str, &str) -> bool; 2] =
        [|one, other| one == other, |one, other| one.to_lowercase() == other.to_lowercase()];
    for same in same {
        for (place, field) in places.iter_mut().zip(fields).filter(|(place, _)| place.is_none()) {
            *place = (0..names.len()).find(|at| !used[*at] && same(field.name(), names[*at]));
            if let Some(at) = *place {
                used[at] = true;
            }
        }
    }
    let mut parts = Vec::with_capacity(fields.len());
    for (field, place) in fields.iter().zip(&places) {
        parts.push(match place {
            Some(at) => {
                let name = field.name();
                fit_array(field.data_type(), column.column(*at), spelling, &mut |row, place, text| {
                    // Under a null there may be anything.
                    if column.is_valid(row) {
                        misfit(row, &format!(".{name}{place}"), text);
                    }
                })?
            }
            None => new_null_array(field.data_type(), column.len()),
        });
    }
    for (at, name) in names.iter().enumerate().filter(|(at, _)| !used[*at]) {
        fit_array(&DataType::Null, column.column(at), Spelling::STRICT, &mut |row, _, text| {
            if column.is_valid(row) {
                misfit(row, &format!(".{name}"), text);
            }
        })?;
    }
    let fitted =
        StructArray::try_new_with_length(fields.clone(), parts, column.nulls().cloned(), column.len())?;
    Ok(Arc::new(fitted))
}

fn fit_list(
    item: &Arc<Field>,
    column: &ListArray,
    spelling: Spelling,
    misfit: Misfit<'_>,
) -> Result<ArrayRef, ArrowError> {
    let mut wrong = vec![false; column.values().len()];
    let values = fit_array(item.data_type(), column.values(), spelling, &mut |at, _, _| wrong[at] = true)?;
    let offsets = column.value_offsets();
    let fits = (0..column.len()).map(|row| {
        let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
        !wrong[from..to].contains(&true)
    });
    let fits: Vec<bool> = fits.collect();
    let lost: Vec<usize> = (0..fits.len()).filter(|row| !fits[*row] && column.is_valid(*row)).collect();
    for row in lost {
        let whole: ArrayRef = Arc::new(column.slice(row, 1));
        fit_array(&DataType::Null, &whole, Spelling::STRICT, &mut |_, _, text| misfit(row, "", text))?;
    }
    let nulls = NullBuffer::union(column.nulls(), Some(&NullBuffer::from(fits)));
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), column.offsets().clone(), values, nulls)?))
}
