//! What do templates see of the lake while a build goes on?
//!
//! The release, with all that the build has made so far on top. Templates are rendered on a thread where a
//! wait holds nobody up; each question is answered there, one after the other.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::{array::AsArray, error::ArrowError};
use serde_json::Value;
use tokio::runtime::Handle;

use crate::base::{TableName, sql_type_name};
use crate::compile::{Answer, AnswerColumn, Lookup};
use crate::query::{Outcome, QueryError, Session};

/// A session, for templates.
pub struct SessionLookup {
    session: Session,
    /// Where rows are read of what has none in the session.
    rows_of: Option<Session>,
    runtime: Handle,
}

impl SessionLookup {
    /// Answers from `session`, by the runtime that this is called on.
    pub fn new(session: Session) -> Self {
        Self { session, rows_of: None, runtime: Handle::current() }
    }

    /// The same; rows that `session` cannot have, because they are not made yet, are those of `other`.
    #[must_use]
    pub fn with_rows_of(mut self, other: Session) -> Self {
        self.rows_of = Some(other);
        self
    }
}

impl std::fmt::Debug for SessionLookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionLookup").finish_non_exhaustive()
    }
}

fn told(error: QueryError) -> String {
    error.to_string()
}

impl Lookup for SessionLookup {
    fn rows(&self, sql: &str) -> Result<Answer, String> {
        let sql = sql.trim().trim_end_matches(';');
        let asked = |session: &Session| {
            let session = session.clone();
            self.runtime.block_on(async move { answer(Box::pin(session.query(sql)).await?).await })
        };
        match (asked(&self.session), &self.rows_of) {
            (Err(error), Some(other)) if error.is_of_rows_to_come() => asked(other).map_err(told),
            (answer, _) => answer.map_err(told),
        }
    }

    fn columns(&self, sql: &str) -> Result<Vec<AnswerColumn>, String> {
        let schema = self.runtime.block_on(Box::pin(self.session.check(sql))).map_err(told)?;
        let column = |field: &arrow::datatypes::FieldRef| AnswerColumn {
            name: field.name().clone(),
            data_type: sql_type_name(field.data_type()),
        };
        Ok(schema.fields().iter().map(column).collect())
    }

    fn names(&self) -> Vec<(TableName, bool)> {
        self.session.scope().names()
    }
}

/// The rows of a query, for templates.
pub async fn answer(outcome: Outcome) -> Result<Answer, QueryError> {
    let columns = outcome.schema().fields().iter().map(|field| AnswerColumn {
        name: field.name().clone(),
        data_type: sql_type_name(field.data_type()),
    });
    let mut answer = Answer { columns: columns.collect(), rows: Vec::new() };
    for batch in &outcome.collect().await? {
        answer.rows.extend(rows_of(batch).map_err(datafusion::error::DataFusionError::from)?);
    }
    Ok(answer)
}

/// The rows of a batch as plain values: numbers, truths, texts and nulls.
pub(super) fn rows_of(batch: &RecordBatch) -> Result<Vec<Vec<Value>>, ArrowError> {
    let mut rows: Vec<Vec<Value>> = vec![Vec::with_capacity(batch.num_columns()); batch.num_rows()];
    for column in batch.columns() {
        let values = column_values(column.as_ref())?;
        rows.iter_mut().zip(values).for_each(|(row, value)| row.push(value));
    }
    Ok(rows)
}

/// Lists and records as the texts that dbt makes of them: JSON as Python writes it.
fn nested(column: &dyn Array) -> Result<Vec<Value>, ArrowError> {
    let column = arrow::array::make_array(column.to_data());
    let rows = RecordBatch::try_from_iter([("v", Arc::clone(&column))])?;
    let mut lines = Vec::new();
    let builder = arrow::json::WriterBuilder::new().with_explicit_nulls(true);
    let mut writer = builder.build::<_, arrow::json::writer::LineDelimited>(&mut lines);
    writer.write(&rows)?;
    writer.finish()?;
    drop(writer);
    let lines = String::from_utf8_lossy(&lines);
    let value = |line: &str| match serde_json::from_str::<Value>(line)
        .ok()
        .and_then(|mut row| Some(row.get_mut("v")?.take()))
    {
        None | Some(Value::Null) => Value::Null,
        Some(value) => {
            let mut text = String::new();
            as_python(&value, &mut text);
            Value::String(text)
        }
    };
    Ok(lines.lines().map(value).collect())
}

/// Writes JSON as Python's `json.dumps` does: with a blank after each sign, and letters beyond ASCII by their numbers.
fn as_python(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                as_python(item, out);
            }
            out.push(']');
        }
        Value::Object(entries) => {
            out.push('{');
            for (at, (key, item)) in entries.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                as_python(&Value::String(key.clone()), out);
                out.push_str(": ");
                as_python(item, out);
            }
            out.push('}');
        }
        Value::String(text) => {
            for letter in Value::from(text.as_str()).to_string().chars() {
                if letter.is_ascii() {
                    out.push(letter);
                } else {
                    let mut units = [0; 2];
                    letter.encode_utf16(&mut units).iter().for_each(|unit| {
                        let _ = write!(out, "\\u{unit:04x}");
                    });
                }
            }
        }
        other => out.push_str(&other.to_string()),
    }
}

fn column_values(column: &dyn Array) -> Result<Vec<Value>, ArrowError> {
    let data_type = column.data_type();
    let is_whole = data_type.is_integer() || matches!(data_type, DataType::Decimal128(_, 0));
    let exact = CastOptions { safe: false, ..CastOptions::default() };
    // Numbers beyond 64 bits are floating ones.
    let whole = is_whole.then(|| cast_with_options(column, &DataType::Int64, &exact).ok()).flatten();
    let values: Vec<Value> = if let Some(numbers) = whole {
        numbers.as_primitive::<Int64Type>().iter().map(Value::from).collect()
    } else if data_type.is_numeric() {
        let numbers = cast(column, &DataType::Float64)?;
        numbers.as_primitive::<Float64Type>().iter().map(Value::from).collect()
    } else if *data_type == DataType::Boolean {
        column.as_boolean().iter().map(Value::from).collect()
    } else if *data_type == DataType::Null {
        vec![Value::Null; column.len()]
    } else if data_type.is_nested() {
        nested(column)?
    } else {
        let column = match data_type {
            DataType::Timestamp(_, zone) => {
                cast(column, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?
            }
            _ => arrow::array::make_array(column.to_data()),
        };
        let options = FormatOptions::default().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"));
        let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
        let text = |row: usize| match column.is_null(row) {
            true => Value::Null,
            false => Value::String(formatter.value(row).to_string()),
        };
        (0..column.len()).map(text).collect()
    };
    Ok(values)
}
