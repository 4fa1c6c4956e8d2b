//! What is a node of the graph?
//!
//! A [`Node`] is a source, a model or a test with everything that building it needs: its SQL, its
//! relation, how it is materialized, and the way from its SQL back to the user's file.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::base::{SourceText, Span, TableName};
use crate::project::{Column, SourceLanding};

use super::fingerprint::Fingerprint;
use super::source_map::{SourceMap, offset_of};

/// dbt's `unique_id`: `model.shop.orders`, `source.shop.crm.people`, `test.shop.unique_orders_id.1f0c…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(Arc<str>);

impl NodeId {
    pub(super) fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One node of the graph.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is known by.
    pub id: NodeId,
    /// The model's name, `source.table`, or the test's name.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// The table or view it is in the lake; none for tests and ephemeral models.
    pub relation: Option<TableName>,
    /// The file it is written in, relative to the project's root.
    pub path: String,
    /// That file.
    pub source_text: SourceText,
    /// The compiled SQL: what a model selects, or the failing rows of a test. Empty for a source.
    pub sql: String,
    /// What it is, in words.
    pub description: String,
    /// The columns that properties describe.
    pub columns: Arc<[Column]>,
    /// `[package, folder…, name]`, which selectors match.
    pub fqn: Vec<String>,
    /// Its tags, without duplicates.
    pub tags: Vec<String>,
    /// Every setting it has.
    pub config: BTreeMap<String, Value>,
    /// Changes if and only if building it again could give something else from the same inputs.
    pub fingerprint: Fingerprint,
    /// Where it is written: the file's beginning, or the entry of a properties file.
    pub at: Span,
    pub(super) map: SourceMap,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// A table that elt does not build.
    Source(SourceNode),
    /// A table, view or CTE that elt builds.
    Model(Materialization),
    /// A promise about data.
    Test(TestNode),
}

/// A table of a source.
#[derive(Clone, Debug)]
pub struct SourceNode {
    /// The source's name.
    pub source: String,
    /// The table's name in the source.
    pub table: String,
    /// How its files arrive, if elt lands them.
    pub landing: Option<SourceLanding>,
}

/// How a model becomes something that can be read.
#[derive(Clone, Debug, PartialEq)]
pub enum Materialization {
    /// A stored query.
    View,
    /// A table, made anew by each build.
    Table,
    /// A table that each build adds to.
    Incremental {
        /// What happens to rows that are there already.
        strategy: Strategy,
        /// The columns that name a row; not empty for a merge.
        unique_key: Vec<String>,
        /// Whether this run adds to the table; otherwise it makes it anew.
        is_incremental_run: bool,
        /// What happens when the query's columns are not the table's.
        on_schema_change: OnSchemaChange,
    },
    /// A CTE in whatever reads it.
    Ephemeral,
}

/// What an incremental build does with its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Adds them all.
    Append,
    /// Replaces rows of the same key, adds the rest.
    Merge,
}

/// What an incremental build does when the query's columns are not the table's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnSchemaChange {
    /// Keeps the table's columns.
    #[default]
    Ignore,
    /// Fails.
    Fail,
    /// Adds the new ones to the table.
    AppendNewColumns,
}

/// A test.
#[derive(Clone, Debug)]
pub struct TestNode {
    /// How it is written.
    pub kind: TestKind,
    /// Whether failing rows stop the build.
    pub severity: TestSeverity,
    /// How many failing rows are looked at, at most.
    pub limit: Option<u64>,
    /// When the number of failures is worth a warning.
    pub warn_if: Condition,
    /// When the number of failures is an error.
    pub error_if: Condition,
    /// The SQL aggregate over the failing rows that gives the number of failures.
    pub fail_calc: String,
    /// The node it is about, if it is about one.
    pub attached: Option<NodeId>,
}

/// How a test is written.
#[derive(Clone, Debug, PartialEq)]
pub enum TestKind {
    /// By name, in a properties file.
    Generic {
        /// The test's name: `unique`.
        test_name: String,
        /// The column it is on.
        column: Option<String>,
        /// The model, or `source.table`, it is on.
        model: String,
    },
    /// As a query of its own.
    Singular,
}

/// Whether failing rows stop the build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TestSeverity {
    /// They do.
    #[default]
    Error,
    /// They are only reported.
    Warn,
}

/// A condition on the number of failures: `!= 0`, `> 10`.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// `=`, `!=`, `<`, `<=`, `>` or `>=`.
    pub operator: &'static str,
    /// What the number of failures is compared with.
    pub value: f64,
}

impl Condition {
    /// The condition unless a test says otherwise: any failure at all.
    pub const ANY: Self = Self { operator: "!=", value: 0.0 };

    /// Reads `!= 0`. `==` and `<>` are read too.
    pub fn parse(text: &str) -> Option<Self> {
        const OPERATORS: [(&str, &str); 8] = [
            ("!=", "!="),
            ("<>", "!="),
            ("==", "="),
            ("<=", "<="),
            (">=", ">="),
            ("=", "="),
            ("<", "<"),
            (">", ">"),
        ];
        let text = text.trim();
        let (written, operator) = OPERATORS.iter().find(|(written, _)| text.starts_with(written))?;
        let value = text[written.len()..].trim().parse().ok()?;
        Some(Self { operator, value })
    }

    /// Whether `failures` meets it.
    pub fn holds(&self, failures: f64) -> bool {
        match self.operator {
            "=" => failures == self.value,
            "!=" => failures != self.value,
            "<" => failures < self.value,
            "<=" => failures <= self.value,
            ">" => failures > self.value,
            _ => failures >= self.value,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operator, self.value)
    }
}

impl Node {
    /// The place in the user's file that a place in the compiled SQL came from.
    ///
    /// Line and column count from 1, columns in characters. SQL that a macro or an expression made
    /// is placed at its tag; SQL of an ephemeral parent in that parent's file; anything else, and
    /// all of a generic test, at the node itself.
    pub fn locate(&self, compiled_line: usize, compiled_column: usize) -> Span {
        let offset = offset_of(&self.sql, compiled_line, compiled_column);
        self.map.locate(offset).unwrap_or_else(|| self.at.clone())
    }

    /// How the model is materialized, if it is a model.
    pub fn materialization(&self) -> Option<&Materialization> {
        match &self.kind {
            NodeKind::Model(materialization) => Some(materialization),
            NodeKind::Source(_) | NodeKind::Test(_) => None,
        }
    }

    /// `model`, `source` or `test`.
    pub fn resource_type(&self) -> &'static str {
        match self.kind {
            NodeKind::Source(_) => "source",
            NodeKind::Model(_) => "model",
            NodeKind::Test(_) => "test",
        }
    }

    /// Whether it is a model that only lives in other queries.
    pub fn is_ephemeral(&self) -> bool {
        self.materialization() == Some(&Materialization::Ephemeral)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_hold() {
        let holds = |text: &str, n: f64| Condition::parse(text).unwrap().holds(n);
        assert!(holds("!= 0", 1.0) && !holds("!=0", 0.0));
        assert!(holds(">10", 11.0) && !holds("> 10", 10.0) && holds("<= 3", 3.0) && holds("<>1", 2.0));
        assert_eq!(Condition::parse("many"), None);
        assert_eq!(Condition::ANY.to_string(), "!= 0");
    }
}
