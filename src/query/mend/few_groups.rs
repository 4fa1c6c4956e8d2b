//! How are rows grouped of which there are few groups?
//!
//! Most of the groups that people ask for are few: a state, a kind, a month. The engine finds the group of each row by hashes of its keys,
//! and compares the keys. Where all keys of a row fit into 16 bytes (numbers, dates, and short texts, which views have in
//! place), they are one number here, that is looked up in a small table; and next to nothing is looked up twice, as the row before
//! often has the same.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::concat;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::common::Result;

/// Groups that are kept; where there are more, the engine's way is as good.
const MOST: usize = 128;
/// Places of the table: a power of two, and many more than groups.
const PLACES: usize = 1024;
/// No group.
const NONE: u8 = u8::MAX;
/// The bytes in which the keys of a row have to fit.
const ROOM: usize = 16;

/// The groups of a part of the rows.
#[derive(Debug)]
pub(super) struct FewGroups {
    /// Groups by their keys, with open addressing.
    numbers: Vec<u128>,
    places: Vec<u8>,
    /// The keys of each group, as arrays of one.
    keys: Vec<Vec<ArrayRef>>,
    /// Whether there were too many, or keys that do not fit.
    is_over: bool,
    of_rows: Vec<u128>,
}

impl FewGroups {
    pub(super) fn new() -> Self {
        Self {
            numbers: vec![0; PLACES],
            places: vec![NONE; PLACES],
            keys: Vec::new(),
            is_over: false,
            of_rows: Vec::new(),
        }
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether rows are not looked at any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The groups of rows with these keys, into `groups`; says whether they are known. Once they are not, no others are looked at.
    pub(super) fn find(&mut self, keys: &[ArrayRef], groups: &mut Vec<usize>) -> bool {
        self.is_over |= !packed(keys, &mut self.of_rows);
        if self.is_over {
            return false;
        }
        groups.clear();
        let known = self.keys.len();
        let (mut before, mut group) = (None, 0);
        for row in 0..self.of_rows.len() {
            let number = self.of_rows[row];
            if before != Some(number) {
                match self.group(number, keys, row) {
                    Some(found) => (before, group) = (Some(number), found),
                    None => {
                        // What came with these rows has none here.
                        self.keys.truncate(known);
                        self.is_over = true;
                        return false;
                    }
                }
            }
            groups.push(group);
        }
        true
    }

    /// The group of a row; nothing if there is no room for one more.
    fn group(&mut self, number: u128, keys: &[ArrayRef], row: usize) -> Option<usize> {
        let mixed =
            ((number as u64) ^ ((number >> 64) as u64).rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut place = (mixed >> 32) as usize % PLACES;
        loop {
            match self.places[place] {
                NONE if self.keys.len() == MOST => return None,
                NONE => {
                    self.places[place] = u8::try_from(self.keys.len()).ok()?;
                    self.numbers[place] = number;
                    self.keys.push(keys.iter().map(|key| key.slice(row, 1)).collect());
                    return Some(self.keys.len() - 1);
                }
                group if self.numbers[place] == number => return Some(usize::from(group)),
                _ => place = (place + 1) % PLACES,
            }
        }
    }

    /// The keys of all groups, in their order.
    pub(super) fn keys(&self) -> Result<Vec<ArrayRef>> {
        let count = self.keys.first().map_or(0, Vec::len);
        let column = |at: usize| {
            let parts: Vec<&dyn Array> = self.keys.iter().map(|keys| keys[at].as_ref()).collect();
            Ok(concat(&parts)?)
        };
        (0..count).map(column).collect()
    }
}

/// The bytes of a key of a type, if it may fit beside others: of texts those in which a short one has room.
fn width(of: &DataType, count: usize) -> Option<usize> {
    use DataType as T;
    match of {
        T::Utf8View if count == 1 => Some(16),
        T::Utf8View => Some(8),
        T::Int8 | T::Boolean => Some(1),
        T::Int16 => Some(2),
        T::Int32 | T::Date32 => Some(4),
        T::Int64 | T::Timestamp(TimeUnit::Microsecond, _) => Some(8),
        _ => None,
    }
}

/// Whether keys of these types may fit.
pub(super) fn may_fit<'a>(types: impl ExactSizeIterator<Item = &'a DataType>) -> bool {
    let count = types.len();
    let widths: Option<usize> = types.map(|of| width(of, count)).sum();
    widths.is_some_and(|bytes| (1..=ROOM).contains(&bytes))
}

/// Makes one number of the keys of each row; says whether they fit.
fn packed(keys: &[ArrayRef], rows: &mut Vec<u128>) -> bool {
    rows.clear();
    rows.resize(keys.first().map_or(0, |key| key.len()), 0);
    let mut from = 0;
    for key in keys {
        let Some(bytes) = width(key.data_type(), keys.len()) else { return false };
        if key.null_count() > 0 || from + bytes > ROOM {
            return false;
        }
        let is_in = match key.data_type() {
            DataType::Utf8View => texts(key, rows, bytes, 8 * from),
            DataType::Boolean => {
                let values = key.as_boolean().values();
                rows.iter_mut().zip(values).for_each(|(row, is)| *row |= u128::from(is) << (8 * from));
                true
            }
            DataType::Int8 => whole::<Int8Type>(key, rows, |value| value as u8 as u128, from),
            DataType::Int16 => whole::<Int16Type>(key, rows, |value| value as u16 as u128, from),
            DataType::Int32 => whole::<Int32Type>(key, rows, |value| value as u32 as u128, from),
            DataType::Date32 => whole::<Date32Type>(key, rows, |value| value as u32 as u128, from),
            DataType::Int64 => whole::<Int64Type>(key, rows, |value| value as u64 as u128, from),
            _ => whole::<TimestampMicrosecondType>(key, rows, |value| value as u64 as u128, from),
        };
        if !is_in {
            return false;
        }
        from += bytes;
    }
    true
}

fn whole<T: ArrowPrimitiveType>(
    key: &ArrayRef,
    rows: &mut [u128],
    number: impl Fn(T::Native) -> u128,
    from: usize,
) -> bool {
    let values = key.as_primitive::<T>().values();
    rows.iter_mut().zip(values).for_each(|(row, value)| *row |= number(*value) << (8 * from));
    true
}

/// A short text is in its view: four bytes say how long it is, and twelve are its own, zeros behind it.
fn texts(key: &ArrayRef, rows: &mut [u128], bytes: usize, shift: usize) -> bool {
    let longest = if bytes == ROOM { 12 } else { bytes as u32 - 1 };
    let mut all_fit = true;
    for (row, view) in rows.iter_mut().zip(key.as_string_view().views().iter()) {
        let length = *view as u32;
        all_fit &= length <= longest;
        let own = match bytes {
            ROOM => *view,
            _ => (u128::from(length) & 0xff) | (((*view >> 32) << 8) & ((1 << (8 * bytes)) - 1)),
        };
        *row |= own << shift;
    }
    all_fit
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Date32Array, Int16Array, Int64Array, StringViewArray};
    use proptest::prelude::*;

    use super::*;

    fn found(batches: &[Vec<ArrayRef>]) -> Option<Vec<String>> {
        let (mut few, mut groups) = (FewGroups::new(), Vec::new());
        let mut all = Vec::new();
        for keys in batches {
            if !few.find(keys, &mut groups) {
                return None;
            }
            all.extend_from_slice(&groups);
        }
        let keys = few.keys().unwrap();
        Some(all.iter().map(|group| shown(&keys, *group)).collect())
    }

    fn shown(keys: &[ArrayRef], row: usize) -> String {
        let each = keys.iter().map(|key| arrow::util::display::array_value_to_string(key, row).unwrap());
        each.collect::<Vec<_>>().join("|")
    }

    fn told(batches: &[Vec<ArrayRef>]) -> Vec<String> {
        batches.iter().flat_map(|keys| (0..keys[0].len()).map(|row| shown(keys, row))).collect()
    }

    proptest! {
        #[test]
        fn each_row_is_in_the_group_of_its_keys(
            batches in prop::collection::vec(
                prop::collection::vec((".{0,3}", any::<bool>(), -3..3_i64, -2..2_i16, -9..9_i32), 1..40), 1..4),
        ) {
            let column = |batch: &Vec<(String, bool, i64, i16, i32)>| -> Vec<ArrayRef> {
                vec![
                    Arc::new(batch.iter().map(|row| Some(row.0.clone())).collect::<StringViewArray>()),
                    Arc::new(batch.iter().map(|row| Some(row.1)).collect::<BooleanArray>()),
                    Arc::new(batch.iter().map(|row| row.2).collect::<Int64Array>()),
                    Arc::new(batch.iter().map(|row| row.3).collect::<Int16Array>()),
                    Arc::new(batch.iter().map(|row| Some(row.4)).collect::<Date32Array>()),
                ]
            };
            let all: Vec<_> = batches.iter().map(column).collect();
            for columns in [vec![0], vec![2], vec![0, 1, 3, 4], vec![2, 4, 3, 1], vec![1]] {
                let keys: Vec<Vec<ArrayRef>> =
                    all.iter().map(|batch| columns.iter().map(|at| Arc::clone(&batch[*at])).collect()).collect();
                let texts_fit = batches.iter().flatten().all(|row| row.0.len() <= if columns.len() == 1 { 12 } else { 7 });
                match found(&keys) {
                    Some(found) => prop_assert_eq!(found, told(&keys)),
                    None => prop_assert!(columns[0] == 0 && !texts_fit),
                }
            }
        }
    }

    #[test]
    fn many_groups_nulls_and_long_keys_are_not_kept() {
        let numbers = |numbers: std::ops::Range<i64>| -> Vec<ArrayRef> {
            vec![Arc::new(Int64Array::from_iter_values(numbers))]
        };
        assert!(found(&[numbers(0..128)]).is_some());
        assert!(found(&[numbers(0..100), numbers(60..129)]).is_none());
        assert!(found(&[vec![Arc::new(Int64Array::from(vec![Some(1), None]))]]).is_none());
        let text = |text: &str| -> Vec<ArrayRef> { vec![Arc::new(StringViewArray::from(vec![text]))] };
        assert!(found(&[text("twelve bytes")]).is_some());
        assert!(found(&[text("thirteen bytes")]).is_none());
        // What was left of one is not beside the other: `ab`, `c` and `a`, `bc` differ.
        let pair: Vec<ArrayRef> = vec![
            Arc::new(StringViewArray::from(vec!["ab", "a", "ab"])),
            Arc::new(StringViewArray::from(vec!["c", "bc", "c"])),
        ];
        assert_eq!(found(&[pair]).unwrap(), ["ab|c", "a|bc", "ab|c"]);
        let types = [DataType::Utf8View, DataType::Utf8View, DataType::Boolean];
        assert!(may_fit(types[..2].iter()) && !may_fit(types.iter()) && !may_fit(types[..0].iter()));
    }
}
