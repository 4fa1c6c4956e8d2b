//! What may a template ask of the data?
//!
//! Nothing while a project is compiled: [`compile`](super::compile) is pure. But dbt's templates do ask
//! (`run_query`, `adapter.get_columns_in_relation`), so a node that asks is *late*: it is rendered again by
//! [`Late`](super::Late) when its turn in the build has come, with a [`Lookup`] that
//! sees what the build has made so far. `build` has the one implementation.

use std::fmt;

use serde_json::Value;

use crate::base::TableName;

/// Answers what templates ask, from one state of the lake.
pub trait Lookup: Send + Sync + fmt::Debug {
    /// The rows of a query. Anything but a query is refused, by a sentence that says so, unless it can write.
    fn rows(&self, sql: &str) -> Result<Answer, String>;

    /// The columns of a query, without reading a row.
    fn columns(&self, sql: &str) -> Result<Vec<AnswerColumn>, String>;

    /// Every table and view that can be read, with whether it is a view.
    fn names(&self) -> Vec<(TableName, bool)>;

    /// Whether it carries statements out that write: in an operation, never in a build.
    fn can_write(&self) -> bool {
        false
    }
}

/// A column of an answer: its name and its SQL type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerColumn {
    /// As the query names it.
    pub name: String,
    /// As SQL names it: `varchar`, `decimal(12,2)`.
    pub data_type: String,
}

/// The rows of a query.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Its columns.
    pub columns: Vec<AnswerColumn>,
    /// Its rows, each with a value per column.
    pub rows: Vec<Vec<Value>>,
}
