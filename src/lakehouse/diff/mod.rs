//! What is different from one version of a table to another, from one release to another, or before and after a build?
//!
//! With a key rows are found again: those that came, those that went, and those that stayed with other values, counted
//! by column. Without one whole rows are compared, and a row that changed has gone and come. Only columns that both sides
//! have are read.

mod release;
mod review;
mod rows;

pub use release::ReleaseDifference;
pub use review::Reviewer;
pub(super) use review::compare_staged;

use arrow::datatypes::Schema;
use serde::Serialize;

use super::Lakehouse;
use crate::base::{Error, Result, TableName};
use rows::{Comparison, OddKey, Sides};

/// What is to be compared.
#[derive(Clone, Debug, Default)]
pub struct DiffRequest {
    /// The table, as written.
    pub table: String,
    /// The earlier version; the one before `to` if nothing.
    pub from: Option<u64>,
    /// The later version; the one that readers see if nothing.
    pub to: Option<u64>,
    /// Another table or view that it is compared with, as readers see both; then there are no versions.
    pub with: Option<String>,
    /// The columns that tell rows apart; the model's unique key if there are none.
    pub key: Vec<String>,
    /// Rows that are told one by one, at most.
    pub limit: usize,
}

/// What is different.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The table.
    pub table: String,
    /// The earlier version; nothing if there was none.
    pub from: Option<u64>,
    /// The later version; nothing if there is none, or none yet.
    pub to: Option<u64>,
    /// Whether the table itself came or went.
    pub whole: Option<RowChange>,
    /// The columns that told rows apart; none if whole rows were compared.
    pub key: Vec<String>,
    /// Rows that only the later version has.
    pub added: u64,
    /// Rows that only the earlier version has.
    pub removed: u64,
    /// Rows of both with other values; none if whole rows were compared.
    pub changed: u64,
    /// Rows that are the same in both.
    pub unchanged: u64,
    /// The columns that differ, in the later version's order.
    pub columns: Vec<ColumnDifference>,
    /// Some of the rows that differ.
    pub rows: Vec<ChangedRow>,
}

/// A column that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnDifference {
    /// Its name.
    pub name: String,
    /// Whether it is in one version only, or has other values.
    pub change: RowChange,
    /// In how many rows of both versions its values differ.
    pub rows: u64,
    /// Its type before and after, if that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub types: Option<(String, String)>,
}

/// What became of a row, or of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RowChange {
    /// It came.
    Added,
    /// It went.
    Removed,
    /// It is another.
    Changed,
}

/// A row that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangedRow {
    /// What became of it.
    pub change: RowChange,
    /// The values of its key; of all its columns, if there is no key.
    pub key: Vec<Option<String>>,
    /// The columns that differ, with the value before and the value after.
    pub values: Vec<(String, Option<String>, Option<String>)>,
}

impl Difference {
    /// Whether both sides are the same.
    pub fn is_nothing(&self) -> bool {
        self.added + self.removed + self.changed == 0 && self.columns.is_empty() && self.whole.is_none()
    }
}

impl Lakehouse {
    /// Compares two versions of a table, or two tables or views as readers see them.
    ///
    /// # Errors
    /// There is no such table or version, it is a view that is to have versions, or the key does not tell its rows apart.
    pub async fn diff(&self, request: &DiffRequest) -> Result<Difference> {
        let session = self.session().await?;
        if let Some(with) = &request.with {
            return self.diff_of_two(request, with, &session).await;
        }
        let commits = session.history(&request.table, 1).await?;
        let newest = commits.first().map_or(0, |commit| commit.version.0);
        let to = request.to.unwrap_or(newest);
        let from = request.from.unwrap_or_else(|| to.saturating_sub(1));
        let name = TableName::parse(&request.table, self.default_schema())
            .map_err(|error| wrong(error.to_string(), "write `table` or `schema.table`"))?;
        let mut comparison = Comparison {
            session: &session,
            sides: Sides { before: at(&name, from), after: at(&name, to) },
            key: Vec::new(),
            odd_key: OddKey::Mistake,
            limit: request.limit,
        };
        let (old, new) = comparison.columns().await?;
        comparison.key = self.key_of(request, &name, &old, &new)?;
        let difference = comparison.run(name.to_string(), &old, &new).await?;
        Ok(Difference { from: Some(from), to: Some(to), ..difference })
    }

    /// Compares two names.
    async fn diff_of_two(
        &self,
        request: &DiffRequest,
        with: &str,
        session: &crate::query::Session,
    ) -> Result<Difference> {
        let named = |text: &str| {
            TableName::parse(text, self.default_schema()).map_err(|error| {
                wrong(error.to_string(), "write `table` or `schema.table`, or a version's number")
            })
        };
        let (before, after) = (named(&request.table)?, named(with)?);
        let mut comparison = Comparison {
            session,
            sides: Sides { before: quoted(&before), after: quoted(&after) },
            key: Vec::new(),
            odd_key: if request.key.is_empty() { OddKey::WholeRows } else { OddKey::Mistake },
            limit: request.limit,
        };
        let (old, new) = comparison.columns().await?;
        let mut key = self.key_of(request, &after, &old, &new)?;
        if key.is_empty() {
            key = self.key_of(request, &before, &old, &new)?;
        }
        comparison.key = key;
        comparison.run(format!("{before} to {after}"), &old, &new).await
    }

    /// The columns that tell rows apart: as asked for, or as the model says.
    fn key_of(
        &self,
        request: &DiffRequest,
        name: &TableName,
        old: &Schema,
        new: &Schema,
    ) -> Result<Vec<String>> {
        let has = |column: &String| has_both(old, new, column);
        if let Some(missing) = request.key.iter().find(|column| !has(column)) {
            let what = format!("the column `{missing}` is not in both versions of `{name}`");
            return Err(wrong(
                what,
                &format!(
                    "both have: {}",
                    new.fields()
                        .iter()
                        .map(|field| field.name())
                        .filter(|name| has(name))
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            ));
        }
        if !request.key.is_empty() {
            return Ok(request.key.clone());
        }
        let pins = crate::release::Pins::default();
        let Ok(compiled) = self.compile_for(&pins, false, "diff") else { return Ok(Vec::new()) };
        let key = compiled.manifest.unique_key(name);
        Ok(key.into_iter().filter(has).collect())
    }
}

fn quoted(name: &TableName) -> String {
    format!("\"{}\".\"{}\"", name.schema(), name.table())
}

fn at(name: &TableName, version: u64) -> String {
    format!("{} version as of {version}", quoted(name))
}

fn has_both(old: &Schema, new: &Schema, column: &str) -> bool {
    old.field_with_name(column).is_ok() && new.field_with_name(column).is_ok()
}

/// A name as a release had it.
fn in_release(name: &TableName, release: u64) -> String {
    format!("{} as of release {release}", quoted(name))
}

/// The columns of a key, if both sides have them all; else whole rows are compared.
fn usable(key: Vec<String>, old: &Schema, new: &Schema) -> Vec<String> {
    let has_all = key.iter().all(|column| has_both(old, new, column));
    if has_all { key } else { Vec::new() }
}

fn wrong(what: String, help: &str) -> Error {
    Error::user("elt::diff", what, help)
}
