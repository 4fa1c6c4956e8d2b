//! Where do records go that became no row?

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};

use super::read::Rejected;

/// What follows a table's name in the name of its rejects.
pub(super) const SUFFIX: &str = "rejected";

/// A rejected record, and the file it is from.
pub(super) struct Reject {
    pub(super) file: String,
    pub(super) record: Rejected,
}

impl Reject {
    /// Where it is and what is wrong with it, in a line.
    pub(super) fn told(&self) -> String {
        let Rejected { line, column, message, .. } = &self.record;
        let column = column.as_ref().map_or(String::new(), |column| format!(" column `{column}`"));
        format!("{}:{line}{column}: {message}", self.file)
    }
}

/// The rows of `<table>__rejected`: DuckDB's names for a reject's parts, and ours for where it is from.
pub(super) fn batch(rejects: &[Reject], load: &str) -> RecordBatch {
    let text = |of: &dyn Fn(&Reject) -> Option<String>| -> ArrayRef {
        Arc::new(rejects.iter().map(of).collect::<StringArray>())
    };
    let lines: Int64Array = rejects.iter().map(|reject| i64::try_from(reject.record.line).ok()).collect();
    let columns: [(&str, ArrayRef); 7] = [
        ("_file_path", text(&|reject| Some(reject.file.clone()))),
        ("line", Arc::new(lines)),
        ("column_name", text(&|reject| reject.record.column.clone())),
        ("error_type", text(&|reject| Some(reject.record.error_type.to_owned()))),
        ("error_message", text(&|reject| Some(reject.record.message.clone()))),
        ("csv_line", text(&|reject| Some(reject.record.raw.clone()))),
        ("_load_id", text(&|_| Some(load.to_owned()))),
    ];
    RecordBatch::try_from_iter(columns).expect("the columns are of one length")
}
