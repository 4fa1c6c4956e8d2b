//! What becomes of a batch once its columns are typed?
//!
//! A [`Target`] is where one file's rows go: the table's columns, what the file's folders say, and what is to be done
//! with values that found no place. [`finish`](Target::finish) turns columns and [`Misfits`] into a [`Parsed`]: kept in
//! `_rescued_data`, left out and counted, rejected with their row, or refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array,
};
use arrow::compute::{filter_record_batch, interleave, take};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::literal::Spelling;
use super::{Parsed, Rejected, internal, landed_schema};
use crate::base::sql_type_name;
use crate::landing::discover::FileStamp;
use crate::landing::error::LandingError;
use crate::landing::options::{LandOptions, OnMisfit, OnNewColumn};
use crate::landing::rescue::{Misfit, Misfits, fit_texts};

/// Where the rows of one file go.
pub(super) struct Target {
    pub(super) path: String,
    /// The table's columns, without those that landing adds.
    pub(super) schema: SchemaRef,
    /// The columns of batches.
    pub(super) landed: SchemaRef,
    /// Whether anybody asks for each column's values.
    asked: Vec<bool>,
    columns: OnNewColumn,
    types: OnMisfit,
    /// What the names of the file's folders say, by the table's column if it has one.
    partitions: Vec<(Option<usize>, Arc<str>, Option<String>)>,
}

/// A batch before its misfits are dealt with.
pub(super) struct Typed {
    pub(super) columns: Vec<ArrayRef>,
    pub(super) misfits: Misfits,
    /// On which line each row starts.
    pub(super) numbers: Vec<i64>,
    /// Records seen, rejected ones among them.
    pub(super) read: u64,
    pub(super) rejected: Vec<Rejected>,
}

impl Target {
    pub(super) fn new(file: &FileStamp, schema: &SchemaRef, options: &LandOptions) -> Self {
        let partitions = if options.read.hive { file.partitions.as_slice() } else { &[] };
        let place = |name: &str| schema.fields().iter().position(|field| field.name() == name);
        Self {
            path: file.path.clone(),
            schema: Arc::clone(schema),
            landed: landed_schema(schema),
            asked: schema.fields().iter().map(|field| !options.read.unasked.contains(field.name())).collect(),
            columns: options.columns,
            types: options.types,
            partitions: partitions
                .iter()
                .map(|(name, value)| (place(name), name.as_str().into(), value.clone()))
                .collect(),
        }
    }

    /// The column at a place, if nobody asks for its values: nulls.
    pub(super) fn unasked(&self, place: usize, rows: usize) -> Option<ArrayRef> {
        (!self.asked[place]).then(|| new_null_array(self.schema.field(place).data_type(), rows))
    }

    /// Puts a batch together. `raw` is the text of a row's record, for those that are rejected after all.
    pub(super) fn finish(
        &self,
        mut typed: Typed,
        raw: impl Fn(usize) -> String,
    ) -> Result<Parsed, LandingError> {
        let failed = |source| internal(&self.path, source);
        let rows = typed.numbers.len();
        self.add_partitions(&mut typed, rows).map_err(failed)?;
        let Typed { mut columns, misfits, numbers, read, mut rejected } = typed;
        let (kept, discarded, refused) = self.sorted(misfits, &numbers)?;
        let (rescued_data, mut rescued) = kept.finish(rows, &self.path);
        let not_rescued = |row: &usize| rescued_data.is_valid(*row);
        rescued -= refused.keys().filter(|row| not_rescued(row)).count() as u64;
        columns.push(Arc::new(rescued_data));
        columns.push(Arc::new(Int64Array::from(numbers.clone())));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let mut batch =
            RecordBatch::try_new_with_options(Arc::clone(&self.landed), columns, &options).map_err(failed)?;
        if !refused.is_empty() {
            let stays: BooleanArray = (0..rows).map(|row| Some(!refused.contains_key(&row))).collect();
            batch = filter_record_batch(&batch, &stays).map_err(failed)?;
            rejected.extend(refused.into_iter().map(|(row, misfit)| Rejected {
                line: u64::try_from(numbers[row]).unwrap_or(0),
                column: Some(misfit.column.to_string()),
                error_type: if misfit.is_extra { "new_column" } else { "type_mismatch" },
                message: if misfit.is_extra {
                    format!("the table has no column `{}`", misfit.column)
                } else {
                    format!("{} is no {}", misfit.json, self.type_of(&misfit.column))
                },
                raw: raw(row),
            }));
            rejected.sort_by_key(|rejected| rejected.line);
        }
        Ok(Parsed { batch, read, rescued, discarded, rejected })
    }

    /// What is kept, how many values are left out, and the rows that are rejected with the reason.
    fn sorted(
        &self,
        misfits: Misfits,
        numbers: &[i64],
    ) -> Result<(Misfits, u64, BTreeMap<usize, Misfit>), LandingError> {
        let usual = matches!(self.columns, OnNewColumn::Add | OnNewColumn::Rescue)
            && matches!(self.types, OnMisfit::Rescue | OnMisfit::Widen);
        if usual || misfits.is_empty() {
            return Ok((misfits, 0, BTreeMap::new()));
        }
        let (mut kept, mut discarded, mut refused) = (Misfits::default(), 0, BTreeMap::new());
        for misfit in misfits.into_values() {
            let line = numbers.get(misfit.row).copied().unwrap_or_default();
            match (misfit.is_extra, self.columns, self.types) {
                (true, OnNewColumn::Add | OnNewColumn::Rescue, _) => kept.keep(misfit),
                (false, _, OnMisfit::Rescue | OnMisfit::Widen) => kept.keep(misfit),
                (true, OnNewColumn::Discard, _) | (false, _, OnMisfit::Discard) => discarded += 1,
                (true, OnNewColumn::Reject, _) | (false, _, OnMisfit::Reject) => {
                    refused.entry(misfit.row).or_insert(misfit);
                }
                (true, OnNewColumn::Fail, _) => {
                    let column = misfit.column.to_string();
                    return Err(LandingError::NewColumn { path: self.path.clone(), line, column });
                }
                (false, _, OnMisfit::Fail) => {
                    return Err(LandingError::Misfit {
                        path: self.path.clone(),
                        line,
                        data_type: self.type_of(&misfit.column),
                        column: misfit.column.to_string(),
                        value: misfit.json,
                    });
                }
            }
        }
        Ok((kept, discarded, refused))
    }

    fn type_of(&self, column: &str) -> String {
        let top = column.split('.').next().unwrap_or(column);
        self.schema.field_with_name(top).map(|field| sql_type_name(field.data_type())).unwrap_or_default()
    }

    /// Gives the columns that folders name their values, in rows where the file has none.
    fn add_partitions(&self, typed: &mut Typed, rows: usize) -> Result<(), ArrowError> {
        for (place, name, value) in &self.partitions {
            let Some(value) = value else { continue };
            let Some(place) = place else {
                (0..rows).for_each(|row| typed.misfits.extra_text(row, name, value));
                continue;
            };
            let own = &typed.columns[*place];
            if !self.asked[*place] {
                continue;
            }
            if own.null_count() == 0 {
                continue;
            }
            let spelling = Spelling { free: true, ..Spelling::STRICT };
            let one = fit_texts(own.data_type(), spelling, std::iter::once(Some(value.as_str())), |_, _| {})?;
            if one.is_null(0) {
                (0..rows).for_each(|row| typed.misfits.keep_text(row, name, value));
                continue;
            }
            typed.columns[*place] = if own.null_count() == own.len() {
                take(&one, &UInt32Array::from(vec![0; rows]), None)?
            } else {
                let from = |row: usize| if own.is_null(row) { (1, 0) } else { (0, row) };
                let picked: Vec<(usize, usize)> = (0..rows).map(from).collect();
                interleave(&[own.as_ref(), one.as_ref()], &picked)?
            };
        }
        Ok(())
    }
}
