//! Which rows need not be looked up for a join of several keys?
//!
//! Keys of several columns are found by their hashes, and compared, which takes many times as long as to look one whole number up
//! in an array. Where one of the keys is such a number, the other side notes which of them it has, a bit for each ([`Sieve`]), and
//! rows with another go no further. Of sixty million rows of TPC-H's ninth query three million are looked up then.
//!
//! A join asks for rows of the side that it looks up once it has all of the side that it keeps; and nothing is kept back before all of that
//! side has been noted.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::common::{JoinType, NullEquality, Result, internal_err};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};

use super::estimate::{Expected, expected};
use crate::query::mend::{EachBatchExec, Work};

/// The most numbers that are noted: 8 MB of bits.
const MOST: f64 = (1 << 26) as f64;
/// Of the numbers at most this part may be there by what is expected, for it to be worth while.
const DENSE: f64 = 0.5;
/// Rows are let through as they are where more than this part of a batch would be.
const MANY: f64 = 0.6;
/// After so many batches in a row of which many were let through no other is looked at.
const PATIENCE: usize = 16;

/// A join of several keys to which only rows come that one of them may have.
pub(in crate::query) fn sieved(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(join) = plan.downcast_ref::<HashJoinExec>() else { return Ok(None) };
    // Rows without a partner have to come to nothing.
    let drops = matches!(
        join.join_type(),
        JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::RightSemi
    );
    let is_plain = *join.partition_mode() == PartitionMode::CollectLeft
        && join.null_equality() == NullEquality::NullEqualsNothing
        && !join.null_aware;
    if join.on().len() < 2 || !drops || !is_plain {
        return Ok(None);
    }
    let Some(kept) = expected(join.left()) else { return Ok(None) };
    let Some((at, least, numbers)) = sparsest(join, &kept)? else { return Ok(None) };
    let sieve = Arc::new(Sieve::new(least, numbers));
    let (kept, other) = join.on()[at].clone();
    let left = Noting { key: kept, sieve: Arc::clone(&sieve) };
    let right = Sifting { key: other, sieve };
    let children: Vec<Arc<dyn ExecutionPlan>> = vec![
        Arc::new(EachBatchExec::new(Arc::clone(join.left()), Arc::new(left))),
        Arc::new(EachBatchExec::new(Arc::clone(join.right()), Arc::new(right))),
    ];
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
    Ok(Some(Arc::clone(plan).replace_children(children, options)?))
}

/// The key of which the fewest numbers are there, with the least of them and how many there may be.
fn sparsest(join: &HashJoinExec, kept: &Expected) -> Result<Option<(usize, i64, usize)>> {
    let mut best: Option<(f64, (usize, i64, usize))> = None;
    for (at, (left, right)) in join.on().iter().enumerate() {
        let is_noted = |of: DataType| matches!(of, DataType::Int32 | DataType::Int64);
        let types = (left.data_type(&join.left().schema())?, right.data_type(&join.right().schema())?);
        let Some(domain) = kept.domain(left).filter(|_| is_noted(types.0) && is_noted(types.1)) else {
            continue;
        };
        let Some((least, greatest)) = domain.range else { continue };
        let numbers = greatest - least + 1.0;
        let dense = f64::min(kept.rows, domain.distinct) / numbers;
        let is_best = best.as_ref().is_none_or(|(density, _)| dense < *density);
        if numbers <= MOST && dense <= DENSE && is_best {
            best = Some((dense, (at, least as i64, numbers as usize)));
        }
    }
    Ok(best.map(|(_, best)| best))
}

/// The numbers that one side has.
#[derive(Debug)]
struct Sieve {
    least: i64,
    numbers: usize,
    /// Made when the first part is noted.
    bits: OnceLock<Vec<AtomicU64>>,
    /// Whether there was a number beyond the bounds that were told; nothing is kept back then.
    is_broken: AtomicUsize,
    /// Parts that are being noted, and those that have been.
    begun: AtomicUsize,
    done: AtomicUsize,
}

impl Sieve {
    fn new(least: i64, numbers: usize) -> Self {
        let zero = AtomicUsize::default;
        Self { least, numbers, bits: OnceLock::new(), is_broken: zero(), begun: zero(), done: zero() }
    }

    fn bits(&self) -> &[AtomicU64] {
        self.bits.get_or_init(|| {
            let mut bits = Vec::new();
            bits.resize_with(self.numbers.div_ceil(64), AtomicU64::default);
            bits
        })
    }

    fn note(&self, keys: &ArrayRef) -> Result<()> {
        let bits = self.bits();
        each(keys, |number| {
            let at = number.wrapping_sub(self.least) as u64;
            match bits.get((at / 64) as usize) {
                Some(bits) => {
                    bits.fetch_or(1 << (at % 64), Ordering::Relaxed);
                }
                None => self.is_broken.store(1, Ordering::Relaxed),
            }
        })
    }

    /// Whether all of the other side has been noted, and can be.
    fn is_whole(&self) -> bool {
        let begun = self.begun.load(Ordering::Acquire);
        begun > 0 && self.done.load(Ordering::Acquire) == begun && self.is_broken.load(Ordering::Acquire) == 0
    }

    fn has(&self, bits: &[AtomicU64], number: i64) -> bool {
        let at = number.wrapping_sub(self.least) as u64;
        let bits = bits.get((at / 64) as usize);
        bits.is_some_and(|bits| bits.load(Ordering::Relaxed) >> (at % 64) & 1 == 1)
    }

    /// Which of the rows may have a partner.
    fn left(&self, keys: &ArrayRef) -> Result<BooleanArray> {
        let (rows, bits) = (keys.len(), self.bits());
        let found = match keys.data_type() {
            DataType::Int64 => {
                let keys = keys.as_primitive::<Int64Type>().values();
                BooleanBuffer::collect_bool(rows, |row| self.has(bits, keys[row]))
            }
            DataType::Int32 => {
                let keys = keys.as_primitive::<Int32Type>().values();
                BooleanBuffer::collect_bool(rows, |row| self.has(bits, i64::from(keys[row])))
            }
            other => return internal_err!("whole numbers are noted, and no {other}"),
        };
        let found = match keys.nulls() {
            Some(nulls) => &found & nulls.inner(),
            None => found,
        };
        Ok(BooleanArray::new(found, None))
    }
}

/// Gives each number that is there to `each`.
fn each(keys: &ArrayRef, each: impl FnMut(i64)) -> Result<()> {
    match keys.data_type() {
        DataType::Int64 => keys.as_primitive::<Int64Type>().iter().flatten().for_each(each),
        DataType::Int32 => keys.as_primitive::<Int32Type>().iter().flatten().map(i64::from).for_each(each),
        other => return internal_err!("whole numbers are noted, and no {other}"),
    }
    Ok(())
}

fn key_of(key: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    key.evaluate(batch)?.into_array(batch.num_rows())
}

/// Notes the keys of rows that a join keeps.
#[derive(Debug)]
struct Noting {
    key: Arc<dyn PhysicalExpr>,
    sieve: Arc<Sieve>,
}

/// A part that is being noted, until its last row.
struct Part(Arc<Sieve>);

impl Drop for Part {
    fn drop(&mut self) {
        self.0.done.fetch_add(1, Ordering::Release);
    }
}

impl Work for Noting {
    fn name(&self) -> &'static str {
        "NotingExec"
    }

    fn detail(&self) -> String {
        format!("{} among {} numbers", self.key, self.sieve.numbers)
    }

    fn keeps_all(&self) -> bool {
        true
    }

    fn looks_at(&self) -> Option<&Arc<dyn PhysicalExpr>> {
        Some(&self.key)
    }

    fn begin(&self) -> Box<dyn FnMut(RecordBatch) -> Result<RecordBatch> + Send> {
        self.sieve.begun.fetch_add(1, Ordering::Release);
        let (key, part) = (Arc::clone(&self.key), Part(Arc::clone(&self.sieve)));
        Box::new(move |batch| {
            part.0.note(&key_of(&key, &batch)?)?;
            Ok(batch)
        })
    }
}

/// Lets rows through whose key has been noted.
#[derive(Debug)]
struct Sifting {
    key: Arc<dyn PhysicalExpr>,
    sieve: Arc<Sieve>,
}

impl Work for Sifting {
    fn name(&self) -> &'static str {
        "SiftingExec"
    }

    fn detail(&self) -> String {
        self.key.to_string()
    }

    fn keeps_all(&self) -> bool {
        false
    }

    fn looks_at(&self) -> Option<&Arc<dyn PhysicalExpr>> {
        Some(&self.key)
    }

    fn begin(&self) -> Box<dyn FnMut(RecordBatch) -> Result<RecordBatch> + Send> {
        let (key, sieve, mut in_vain) = (Arc::clone(&self.key), Arc::clone(&self.sieve), 0);
        Box::new(move |batch| {
            if in_vain > PATIENCE || !sieve.is_whole() {
                return Ok(batch);
            }
            let left = sieve.left(&key_of(&key, &batch)?)?;
            if left.true_count() as f64 > batch.num_rows() as f64 * MANY {
                in_vain += 1;
                return Ok(batch);
            }
            in_vain = 0;
            Ok(filter_record_batch(&batch, &left)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int32Array, Int64Array};
    use datafusion::physical_expr::expressions::Column;

    use super::*;

    fn rows(keys: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([("k", keys, true)]).unwrap()
    }

    #[test]
    fn rows_whose_key_was_not_noted_go_no_further_once_all_are() {
        let key: Arc<dyn PhysicalExpr> = Arc::new(Column::new("k", 0));
        let sieve = Arc::new(Sieve::new(-5, 1000));
        let noting = Noting { key: Arc::clone(&key), sieve: Arc::clone(&sieve) };
        let mut sift = Sifting { key, sieve: Arc::clone(&sieve) }.begin();
        let asked = || {
            rows(Arc::new(Int64Array::from(vec![
                Some(-5),
                Some(3),
                None,
                Some(994),
                Some(995),
                Some(i64::MIN),
                Some(i64::MAX),
            ])))
        };
        assert_eq!(sift(asked()).unwrap().num_rows(), 7, "nothing is known yet");
        let mut first = noting.begin();
        let mut second = noting.begin();
        let all = first(rows(Arc::new(Int32Array::from(vec![Some(-5), None, Some(994)])))).unwrap();
        assert_eq!(all.num_rows(), 3);
        drop(first);
        assert_eq!(sift(asked()).unwrap().num_rows(), 7, "another part is being noted");
        second(rows(Arc::new(Int64Array::from(vec![7])))).unwrap();
        drop(second);
        let left = sift(asked()).unwrap();
        assert_eq!(left.column(0).as_primitive::<Int64Type>().values(), &[-5, 994]);
        // Most of these are there: they go on as they are.
        let most = rows(Arc::new(Int64Array::from(vec![7, 7, 7, 8])));
        assert_eq!(sift(most).unwrap().num_rows(), 4);
        // A number beyond what was told: nothing is kept back any more.
        noting.begin()(rows(Arc::new(Int64Array::from(vec![2000])))).unwrap();
        assert_eq!(sift(asked()).unwrap().num_rows(), 7);
    }
}
