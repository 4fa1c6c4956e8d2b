//! What are files that are not taken apart into rows?
//!
//! `glob('f/*')` names them, `read_text('f/*.md')` and `read_blob` give each as one value, with DuckDB's columns.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::{DateTime, Utc};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::error::Result;

use super::error::VALUE;
use super::{QueryError, SqlMistake};

/// A value is no longer than this, as elsewhere; and all of them together are kept in memory.
const LONGEST: u64 = 512 << 20;

/// The names of files, one a row.
pub(super) fn names(names: &[String]) -> Result<Arc<dyn TableProvider>> {
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(names));
    table(RecordBatch::try_from_iter([("file", names)])?)
}

/// Files with all that is in them, one a row. Blocks meanwhile.
///
/// # Errors
/// One cannot be read, is no text where texts are asked for, or they are too long.
pub(super) fn contents(files: &[(String, PathBuf)], are_texts: bool) -> Result<Arc<dyn TableProvider>> {
    let (mut contents, mut changed) = (Vec::new(), Vec::new());
    let mut sum = 0;
    for (name, path) in files {
        let wrong = |because: String, help: &str| -> QueryError {
            SqlMistake::new(VALUE, format!("`{name}` cannot be read as one value: {because}"))
                .help(help)
                .into()
        };
        let unread = |error: std::io::Error| wrong(error.to_string(), "check the path and its rights");
        let told = std::fs::metadata(path).map_err(unread)?;
        sum += told.len();
        if sum > LONGEST {
            let because = "the files are longer than 512 MiB together".to_owned();
            return Err(wrong(
                because,
                "read fewer at once; rows of long files come from `read_csv` and its like",
            )
            .into());
        }
        let bytes = std::fs::read(path).map_err(unread)?;
        if are_texts && std::str::from_utf8(&bytes).is_err() {
            return Err(wrong("it is no UTF-8".to_owned(), "`read_blob` gives its bytes").into());
        }
        changed.push(told.modified().ok().map(|at| DateTime::<Utc>::from(at).timestamp_micros()));
        contents.push(bytes);
    }
    let sizes = contents.iter().map(|bytes| i64::try_from(bytes.len()).ok());
    let sizes: ArrayRef = Arc::new(sizes.collect::<Int64Array>());
    let content: ArrayRef = match are_texts {
        true => {
            let texts = contents.iter().map(|bytes| std::str::from_utf8(bytes).unwrap_or_default());
            Arc::new(StringArray::from_iter_values(texts))
        }
        false => Arc::new(BinaryArray::from_iter_values(&contents)),
    };
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(files.iter().map(|(name, _)| name)));
    let changed: ArrayRef = Arc::new(TimestampMicrosecondArray::from(changed).with_timezone("UTC"));
    let columns = [("filename", names), ("content", content), ("size", sizes), ("last_modified", changed)];
    table(RecordBatch::try_from_iter(columns)?)
}

fn table(batch: RecordBatch) -> Result<Arc<dyn TableProvider>> {
    Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
}
