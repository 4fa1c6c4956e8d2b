//! What happened to each node?

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::lookup::rows_of;
use super::{Action, BuildError, Kept};
use crate::base::TableName;
use crate::compile::NodeId;
use crate::query::Used;
use crate::table::Effect;

/// What happened to one node.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// The node.
    pub node: NodeId,
    /// The name that people know it by.
    pub name: String,
    /// Its table or view; nothing if it is none.
    pub relation: Option<TableName>,
    /// What was to happen.
    pub action: Action,
    /// How it ended.
    pub verdict: Verdict,
    /// Which stretches of time were built, of a microbatch model.
    pub batches: Option<Batches>,
    /// How many rows broke what the model expects of them.
    pub expectations: Vec<Kept>,
    /// How many files it wrote that are part of what it made; nothing if it made no table.
    pub files: Option<u64>,
    /// What its queries took of the machine, as far as that is known.
    pub used: Option<Used>,
    /// Whether readers will see it.
    pub visibility: Visibility,
    /// How long it took.
    pub took: Duration,
    /// How long after the run's start it began.
    pub began: Duration,
    /// Where the node is written: `models/a.sql:1:1`.
    pub place: String,
}

/// How a step ended.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The model was made.
    Made(Effect),
    /// Some batches of the model were made, and others not; why the first of these was not.
    Partly(Effect, Arc<BuildError>),
    /// The test holds.
    Passed,
    /// The test does not hold, and is only to warn.
    Warned(Sample),
    /// The test does not hold.
    Failed(Sample),
    /// It could not be made, or not be asked.
    Broken(Arc<BuildError>),
    /// It was not begun, because of another node.
    Skipped {
        /// The name of the node that failed.
        because: String,
    },
}

/// The stretches of time that a microbatch model built, and those that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batches {
    /// Built.
    pub successful: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    /// Not built.
    pub failed: Vec<(DateTime<Utc>, DateTime<Utc>)>,
}

/// The rows that break a test: how many, and the first few.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What the test counted.
    pub failures: f64,
    /// The first few rows, at most [`Sample::ROWS`].
    pub rows: Option<RecordBatch>,
    /// Where each of those rows is from, as far as the rows tell.
    pub origins: Vec<Origin>,
}

/// The line of a raw file that a row came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The file.
    pub file: String,
    /// Its line, counted from 1.
    pub line: i64,
}

/// Whether readers will see what a step made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// It is nothing to see: a test.
    Nothing,
    /// It is in the release.
    Published,
    /// It is not.
    NotPublished {
        /// Why not.
        because: String,
    },
}

impl Sample {
    /// How many failing rows are shown.
    pub const ROWS: usize = 5;
    /// How much of them is kept in reports, in bytes of JSON.
    pub const LONGEST: usize = 16 * 1024;

    /// The rows as a list of objects, cut off where it is longer than [`Sample::LONGEST`]; nothing if there are none.
    pub fn to_json(&self) -> Option<serde_json::Value> {
        let rows = self.rows.as_ref()?;
        let schema = rows.schema();
        let (mut told, mut length): (Vec<serde_json::Value>, usize) = (Vec::new(), 0);
        for values in rows_of(rows).ok()? {
            let fields = schema.fields().iter().zip(values);
            let row: serde_json::Map<_, _> =
                fields.map(|(field, value)| (field.name().clone(), value)).collect();
            let row = serde_json::Value::from(row);
            length += row.to_string().len();
            if length > Self::LONGEST {
                break;
            }
            told.push(row);
        }
        Some(told.into())
    }

    /// The number of failures, as a whole number where it is one.
    pub fn count_words(&self) -> String {
        let whole = self.failures.fract() == 0.0 && self.failures.abs() < 1e15;
        let number = if whole { format!("{:.0}", self.failures) } else { self.failures.to_string() };
        if number == "1" { "1 row".to_owned() } else { format!("{number} rows") }
    }
}

impl Verdict {
    /// Whether it keeps others from going on.
    pub fn is_bad(&self) -> bool {
        matches!(self, Self::Partly(..) | Self::Failed(_) | Self::Broken(_) | Self::Skipped { .. })
    }

    /// dbt's word for it: `success`, `partial success`, `pass`, `warn`, `fail`, `error`, `skipped`.
    pub fn status(&self) -> &'static str {
        match self {
            Self::Made(_) => "success",
            Self::Partly(..) => "partial success",
            Self::Passed => "pass",
            Self::Warned(_) => "warn",
            Self::Failed(_) => "fail",
            Self::Broken(_) => "error",
            Self::Skipped { .. } => "skipped",
        }
    }
}
