//! In which order do rows lie so that near values of several columns are in near rows?
//!
//! Along a Z-curve: each column's values are cut into ranges that hold about equally many rows, found from a sample, and
//! the bits of the ranges' numbers are interleaved (G. M. Morton, 1966). Rows sorted by that number give files whose
//! bounds are narrow in every one of the columns, so that a condition on any of them skips files.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt64Array};
use arrow::datatypes::DataType;
use arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::DataFrame;
use futures::StreamExt;

/// Rows that are looked at to find the ranges.
const SAMPLE: usize = 16 * 1024;
/// More ranges than this tell a sample's values no better apart.
const MOST_BITS: u32 = 12;

/// The place of a row of `columns` on the curve, as an expression; `rows` is read once to find it.
pub(super) async fn place(rows: DataFrame, columns: &[Expr]) -> Result<Expr> {
    let count = u32::try_from(columns.len()).unwrap_or(u32::MAX).max(1);
    let bits = (u64::BITS / count).clamp(1, MOST_BITS);
    let sample = Sample::of(rows.select(columns.to_vec())?).await?;
    let ranges = sample.columns.iter().map(|values| Ranges::of(values, bits)).collect::<Result<Vec<_>>>()?;
    let signature = Signature::any(columns.len(), Volatility::Immutable);
    let udf = ScalarUDF::from(Curve { ranges: Arc::new(ranges), bits, signature });
    Ok(udf.call(columns.to_vec()))
}

/// Some rows, evenly spread over all.
struct Sample {
    columns: Vec<ArrayRef>,
}

impl Sample {
    async fn of(rows: DataFrame) -> Result<Self> {
        let mut rows = rows.execute_stream().await?;
        let schema = rows.schema();
        let (mut kept, mut held, mut stride, mut seen) = (Vec::<RecordBatch>::new(), 0, 1_usize, 0_usize);
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            let wanted = (0..batch.num_rows()).filter(|row| (seen + row).is_multiple_of(stride));
            let wanted: UInt64Array = wanted.map(|row| row as u64).collect();
            seen += batch.num_rows();
            held += wanted.len();
            kept.push(arrow::compute::take_record_batch(&batch, &wanted)?);
            if held > 2 * SAMPLE {
                let all = arrow::compute::concat_batches(&schema, &kept)?;
                let every_other: UInt64Array = (0..all.num_rows() as u64).step_by(2).collect();
                kept = vec![arrow::compute::take_record_batch(&all, &every_other)?];
                held = every_other.len();
                stride *= 2;
            }
        }
        Ok(Self { columns: arrow::compute::concat_batches(&schema, &kept)?.columns().to_vec() })
    }
}

/// The values at which a column's next range begins, in a form that compares as SQL orders them, nulls first.
#[derive(Debug)]
struct Ranges {
    converter: RowConverter,
    begins: Vec<OwnedRow>,
}

impl Ranges {
    fn of(values: &ArrayRef, bits: u32) -> Result<Self> {
        let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
        let rows = converter.convert_columns(std::slice::from_ref(values))?;
        let mut rows: Vec<_> = rows.iter().collect();
        rows.sort_unstable();
        let ranges = 1_usize << bits;
        let mut begins: Vec<OwnedRow> =
            (1..ranges).filter_map(|at| rows.get(at * rows.len() / ranges)).map(|row| row.owned()).collect();
        begins.dedup();
        Ok(Self { converter, begins })
    }

    /// The number of the range that each value is in.
    fn numbers(&self, values: &ArrayRef) -> Result<Vec<u64>> {
        let rows = self.converter.convert_columns(std::slice::from_ref(values))?;
        let number = |row| self.begins.partition_point(|begin| begin.row() <= row) as u64;
        Ok(rows.iter().map(number).collect())
    }
}

/// The function from columns to the place on the curve. It lives as long as one statement.
#[derive(Debug)]
struct Curve {
    ranges: Arc<Vec<Ranges>>,
    bits: u32,
    signature: Signature,
}

impl PartialEq for Curve {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ranges, &other.ranges)
    }
}

impl Eq for Curve {}

impl std::hash::Hash for Curve {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.ranges).hash(state);
    }
}

impl ScalarUDFImpl for Curve {
    fn name(&self) -> &str {
        "_elt_z"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let columns = args.args.into_iter().map(|column| column.into_array(rows));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let numbers = columns.iter().zip(self.ranges.iter()).map(|(column, ranges)| ranges.numbers(column));
        let numbers = numbers.collect::<Result<Vec<_>, DataFusionError>>()?;
        let place = |row: usize| interleaved(numbers.iter().map(|column| column[row]), self.bits);
        let places: UInt64Array = (0..rows).map(place).collect();
        Ok(ColumnarValue::Array(Arc::new(places)))
    }
}

/// The numbers' bits in turns, the highest first.
fn interleaved(numbers: impl Iterator<Item = u64> + Clone, bits: u32) -> u64 {
    let mut woven = 0;
    for bit in (0..bits).rev() {
        for number in numbers.clone() {
            woven = woven << 1 | (number >> bit & 1);
        }
    }
    woven
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use datafusion::logical_expr::{SortExpr, ident};
    use datafusion::prelude::SessionContext;

    use super::*;

    #[test]
    fn bits_are_woven_and_near_values_are_near() {
        assert_eq!(interleaved([0b11, 0b00].into_iter(), 2), 0b1010);
        assert_eq!(interleaved([0b01, 0b10].into_iter(), 2), 0b0110);
        assert_eq!(interleaved([5].into_iter(), 3), 5);
    }

    #[test]
    fn ranges_hold_equally_many_and_nulls_come_first() {
        let values: ArrayRef =
            Arc::new(arrow::array::Int64Array::from_iter((0..1000).map(|n| (n > 9).then_some(n * n))));
        let ranges = Ranges::of(&values, 2).unwrap();
        let numbers = ranges.numbers(&values).unwrap();
        assert_eq!(numbers[0], 0, "null");
        assert!(numbers.is_sorted());
        let sizes: Vec<usize> =
            (0..4).map(|range| numbers.iter().filter(|own| **own == range).count()).collect();
        assert_eq!(sizes, [250; 4]);
    }

    #[tokio::test]
    async fn each_part_of_the_rows_is_narrow_in_every_column() {
        let context = SessionContext::new();
        let sql =
            "select value * 7919 % 40000 as a, 'k' || lpad((value * 104729 % 40000)::varchar, 5, '0') as b
                   from range(0, 40000)";
        let rows = context.sql(sql).await.unwrap();
        let columns = [ident("a"), ident("b")];
        let place = place(rows.clone(), &columns).await.unwrap();
        let sorted = rows.sort(vec![SortExpr::new(place, true, true)]).unwrap().collect().await.unwrap();
        let sorted = arrow::compute::concat_batches(&sorted[0].schema(), &sorted).unwrap();

        let numbers = sorted.column(0).as_primitive::<Int64Type>();
        let texts = arrow::compute::cast(sorted.column(1), &DataType::Utf8).unwrap();
        let texts = texts.as_string::<i32>();
        let spread = |values: Vec<i64>| values.iter().max().unwrap() - values.iter().min().unwrap();
        let (mut of_numbers, mut of_texts) = (0, 0);
        for part in 0..16 {
            let rows = part * 2500..(part + 1) * 2500;
            of_numbers += spread(rows.clone().map(|row| numbers.value(row)).collect());
            of_texts += spread(rows.map(|row| texts.value(row)[1..].parse().unwrap()).collect());
        }
        // A quarter of 40,000 each at best; in order of one column, the other's would be all of it.
        let (of_numbers, of_texts) = (of_numbers / 16, of_texts / 16);
        assert!(of_numbers < 16_000 && of_texts < 16_000, "{of_numbers}, {of_texts}");
    }
}
