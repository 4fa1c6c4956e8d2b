//! Which of several versions of one model is this?
//!
//! A model whose properties list `versions:` has a file for each. An [`Edition`] says which one a file is;
//! [`Editions`] is that list as properties write it, before the files are found.

use std::cmp::Ordering;

use serde_json::Value;

use crate::base::Span;

use super::config::Config;
use super::data_test::DataTest;
use super::model::Column;

/// One version of a model, and the one that is the latest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edition {
    /// Its version, as written: `2`.
    pub version: String,
    /// The version that a `ref` without one means.
    pub latest: String,
}

impl Edition {
    /// Whether it is the one that a `ref` without a version means.
    pub fn is_latest(&self) -> bool {
        self.version == self.latest
    }

    /// `m.v2`, as people name this version of `m`.
    pub fn shown(&self, name: &str) -> String {
        format!("{name}.v{}", self.version)
    }

    /// `m_v2`, as tables and files are named.
    pub fn file_name(&self, name: &str) -> String {
        format!("{name}_v{}", self.version)
    }

    /// How it stands to the latest: older, the same, or a release to come.
    pub fn age(&self) -> Ordering {
        by_version(&self.version, &self.latest)
    }

    /// A version as dbt writes it down: a number if it is one.
    pub fn written(version: &str) -> Value {
        match version.parse::<i64>() {
            Ok(whole) => whole.into(),
            Err(_) => version.parse::<f64>().map_or_else(|_| version.into(), Into::into),
        }
    }
}

/// Numbers by size, anything else as text.
pub(super) fn by_version(one: &str, other: &str) -> Ordering {
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => one.total_cmp(&other),
        _ => one.cmp(other),
    }
}

/// What properties say of all versions of a model.
#[derive(Default)]
pub(super) struct Editions {
    pub(super) latest: Option<String>,
    pub(super) all: Vec<DescribedEdition>,
}

impl Editions {
    /// The version that a `ref` without one means: as written, else the highest.
    pub(super) fn latest(&self) -> Option<String> {
        let highest = || self.all.iter().map(|edition| &edition.version).max_by(|a, b| by_version(a, b));
        self.latest.clone().or_else(|| highest().cloned())
    }
}

/// What properties say of one version. What is not said is as for the whole model.
pub(super) struct DescribedEdition {
    pub(super) version: String,
    /// The file, without `.sql`; by the version's name if nothing is said.
    pub(super) defined_in: Option<String>,
    pub(super) description: Option<String>,
    pub(super) config: Config,
    pub(super) columns: Option<EditionColumns>,
    pub(super) tests: Option<Vec<DataTest>>,
    pub(super) at: Span,
}

/// The columns of one version: some of the model's, and its own.
pub(super) struct EditionColumns {
    /// Names of the model's columns; all of them if nothing is said.
    pub(super) include: Option<Vec<String>>,
    pub(super) exclude: Vec<String>,
    pub(super) own: Vec<Column>,
}

impl EditionColumns {
    /// The columns of the version, the model's before its own. An own column stands in for the model's of that name.
    pub(super) fn of(&self, whole: &[Column]) -> Vec<Column> {
        let names = |list: &[String], column: &Column| list.contains(&column.name);
        let kept = whole.iter().filter(|column| {
            self.include.as_ref().is_none_or(|include| names(include, column))
                && !names(&self.exclude, column)
                && !self.own.iter().any(|own| own.name == column.name)
        });
        kept.chain(&self.own).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_numbers_where_they_are_numbers() {
        assert_eq!(by_version("10", "9"), Ordering::Greater);
        assert_eq!(by_version("1.5", "2"), Ordering::Less);
        assert_eq!(by_version("beta", "alpha"), Ordering::Greater);
        assert_eq!(Edition::written("2"), Value::from(2));
        assert_eq!(Edition::written("2a"), Value::from("2a"));
    }
}
