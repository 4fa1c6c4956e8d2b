//! What is a node of the graph?
//!
//! A [`Node`] is a source, a model, a seed, a snapshot or a test with everything that building it needs: its SQL, its
//! relation, how it is materialized, and the way from its SQL back to the user's file.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::base::{SourceText, Span, TableName};
use crate::project::{Column, Edition, Settings, SourceLanding, WholeSource};

use super::batch::Window;
use super::by_id::Known;
use super::constraint::Constraint;
use super::data_test::short_test_name;
use super::expectation::Expectation;
use super::fingerprint::{Fingerprint, Meaning};
pub use super::node_id::NodeId;
use super::running::Running;
use super::source_map::{SourceMap, offset_of};

/// One node of the graph.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is known by.
    pub id: NodeId,
    /// The model's name, `source.table`, or the test's name.
    pub name: String,
    /// Which version of a model it is, if there are several.
    pub edition: Option<Edition>,
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
    pub config: Settings,
    /// What it expects of each of its rows.
    pub expectations: Vec<Expectation>,
    /// What its table refuses to hold.
    pub constraints: Vec<Constraint>,
    /// Changes if and only if building it again could give something else from the same inputs.
    pub fingerprint: Fingerprint,
    /// The same, without regard to how its query is spelled.
    pub meaning: Meaning,
    /// The package it belongs to.
    pub package: String,
    /// Whether its SQL is only known when it is built, because its template reads the lake.
    pub is_late: bool,
    /// What runs before it is made and after it, in order.
    pub hooks: Hooks,
    /// How its making goes on when it does not go well.
    pub running: Running,
    /// The template, as it is written.
    pub raw: Arc<str>,
    /// The macros that rendering it called, as `macro.package.name`.
    pub macros: Vec<String>,
    /// Those of them that its own template calls, and no other macro.
    pub called: Vec<String>,
    /// The properties file that describes it.
    pub described_in: Option<Arc<str>>,
    /// What it refers to, as written.
    pub refs: Vec<Reference>,
    /// The sources it reads, as written: source and table.
    pub source_refs: Vec<(String, String)>,
    /// Where it is written: the file's beginning, or the entry of a properties file.
    pub at: Span,
    pub(super) map: SourceMap,
}

/// A model, seed or snapshot as a template refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The package, if one is named.
    pub package: Option<String>,
    /// The name.
    pub name: String,
    /// The version, if one is named.
    pub version: Option<String>,
}

/// The statements around the making of a node, rendered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hooks {
    /// Before.
    pub before: Vec<String>,
    /// After.
    pub after: Vec<String>,
    /// How many before are rendered one by one when it is their turn, because one of them reads the lake.
    pub late_before: usize,
    /// How many after are: they see the node as it was made.
    pub late_after: usize,
    /// Whether one of them writes.
    pub write: bool,
    /// Whether one of them takes the node away again.
    pub drops_it: bool,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// A table that elt does not build.
    Source(SourceNode),
    /// A table, view or CTE that elt builds.
    Model(Materialization),
    /// A table that elt makes of a CSV file of the project.
    Seed(SeedNode),
    /// A table that remembers what a query gave before.
    Snapshot(SnapshotNode),
    /// A promise about data.
    Test(TestNode),
    /// A model on made-up rows.
    UnitTest(UnitTestNode),
    /// A query that is compiled and never run.
    Analysis,
}

/// A CSV file that becomes a table.
#[derive(Clone, Debug)]
pub struct SeedNode {
    /// The file on this machine.
    pub file: PathBuf,
    /// What stands between two values.
    pub delimiter: char,
    /// Whether columns are named exactly as the file has it; otherwise in lower case.
    pub keep_names: bool,
    /// Types that are not to be inferred, by column.
    pub column_types: Vec<(String, String)>,
}

/// A table that keeps every version of every row, with the time it was valid.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotNode {
    /// The columns that name a row.
    pub unique_key: Vec<String>,
    /// How a change is noticed.
    pub strategy: SnapshotStrategy,
    /// What happens to rows that the query no longer gives.
    pub hard_deletes: HardDeletes,
    /// What the snapshot's own columns are called.
    pub names: SnapshotNames,
    /// The SQL of `dbt_valid_to` of present rows; null if nothing is said.
    pub valid_to_current: Option<String>,
}

/// How a snapshot notices that a row has changed.
#[derive(Clone, Debug, PartialEq)]
pub enum SnapshotStrategy {
    /// This column has moved on.
    Timestamp {
        /// The column, or an expression.
        updated_at: String,
    },
    /// One of these columns differs; all of them if none is named.
    Check {
        /// The columns.
        columns: Option<Vec<String>>,
        /// The instant of the change; the run's start if nothing is said.
        updated_at: Option<String>,
    },
}

/// What a snapshot does about rows that are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HardDeletes {
    /// Nothing.
    #[default]
    Ignore,
    /// They stop being valid.
    Invalidate,
    /// They stop being valid, and a row says that they are deleted.
    NewRecord,
}

/// What the columns that a snapshot adds are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotNames {
    /// `dbt_scd_id`
    pub scd_id: String,
    /// `dbt_updated_at`
    pub updated_at: String,
    /// `dbt_valid_from`
    pub valid_from: String,
    /// `dbt_valid_to`
    pub valid_to: String,
    /// `dbt_is_deleted`
    pub is_deleted: String,
}

/// A model on made-up rows, and what should come of it. The node's SQL is the model's.
#[derive(Clone, Debug)]
pub struct UnitTestNode {
    /// The model.
    pub model: NodeId,
    /// What the model reads, each with the rows that it is to see.
    pub inputs: Vec<UnitInput>,
    /// The rows that should come of it.
    pub expected: UnitRows,
    /// All that is written.
    pub written: Arc<Value>,
}

/// One input of a unit test.
#[derive(Clone, Debug)]
pub struct UnitInput {
    /// The name by which the model's SQL reads it.
    pub relation: TableName,
    /// The query that has its columns; nothing if they are those of the relation.
    pub columns_of: Option<String>,
    /// Its rows; columns that are not named are null.
    pub rows: UnitRows,
}

/// The rows of an input.
#[derive(Clone, Debug)]
pub enum UnitRows {
    /// As mappings of column to value.
    Given(Vec<serde_json::Map<String, Value>>),
    /// As a query.
    Sql(String),
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
    /// How old its rows may be.
    pub freshness: Option<Freshness>,
    /// What is said of the whole source, and only shown.
    pub whole: Arc<WholeSource>,
}

/// How old the rows of a source may be, and how their age is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Freshness {
    /// From which age on it is worth a warning.
    pub warn_after: Option<Age>,
    /// From which age on it is an error.
    pub error_after: Option<Age>,
    /// The column or expression that says when a row was loaded; elt's own time of landing if nothing is said.
    pub loaded_at: Option<String>,
    /// A query that gives the newest instant itself.
    pub loaded_at_query: Option<String>,
    /// Only rows of this condition count.
    pub filter: Option<String>,
}

/// A number of minutes, hours or days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// How many.
    pub count: u64,
    /// Seconds of one.
    pub period: u64,
}

impl Age {
    /// The age in seconds.
    pub fn seconds(self) -> u64 {
        self.count * self.period
    }
}

/// How a model becomes something that can be read.
#[derive(Clone, Debug, PartialEq)]
pub enum Materialization {
    /// A stored query.
    View,
    /// A table, made anew by each build.
    Table,
    /// The same, under the name that other engines have for a stored answer.
    MaterializedView {
        /// What happens to a table that was made with other settings.
        on_change: OnConfigurationChange,
    },
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
        /// What else the model says about how rows are put in.
        details: Box<IncrementalDetails>,
    },
    /// A CTE in whatever reads it.
    Ephemeral,
}

/// What happens to a materialized view whose layout is not what its model says any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConfigurationChange {
    /// It is made anew, with the new layout.
    #[default]
    Apply,
    /// It keeps its layout, and gets new rows.
    Continue,
    /// The build fails.
    Fail,
}

/// What a model may say about how its rows are put in, beyond the strategy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IncrementalDetails {
    /// The only columns that a merge updates; all of them if none is named.
    pub update_columns: Vec<String>,
    /// Columns that a merge leaves as they are.
    pub exclude_columns: Vec<String>,
    /// Conditions on the table's rows beyond the key.
    pub predicates: Vec<String>,
    /// The columns by whose values `insert_overwrite` replaces.
    pub partition_by: Vec<String>,
    /// The window of a microbatch.
    pub window: Option<Window>,
    /// The macro that says how rows are put in, if it is the project's own.
    pub by_macro: Option<String>,
}

/// What an incremental build does with its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Adds them all.
    Append,
    /// Replaces rows of the same key, adds the rest.
    Merge,
    /// Takes out all rows of the same keys, then adds. Keys need not be unique.
    DeleteInsert,
    /// Takes out the partitions that it has rows for, then adds.
    InsertOverwrite,
    /// Takes out the rows of a window of time, then adds.
    Microbatch,
    /// What a macro of the project's own says.
    Custom,
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
    /// Adds the new ones and takes the missing ones out.
    SyncAllColumns,
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
    /// Where its failing rows are kept, if they are: as a table or as a view.
    pub stored: Option<Stored>,
}

/// How a test keeps its failing rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// As a table.
    Table,
    /// As a view.
    View,
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
        /// The same as a template would refer to it: `ref('orders')`.
        reference: String,
        /// The package it is taken from, if one is named.
        package: Option<String>,
        /// Its arguments, as written.
        arguments: serde_json::Map<String, Value>,
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

impl TestNode {
    /// The name of a test's file and table: its own, or a short one if that is long.
    pub fn short_name(&self, name: &str) -> String {
        match &self.kind {
            TestKind::Generic { test_name, model, package, .. } => {
                let package = package.iter().map(|package| format!("{package}_")).collect::<String>();
                let source = self.attached.as_ref().is_some_and(|id| id.as_str().starts_with("source."));
                let prefix = if source { "source_" } else { "" };
                // Names of tests have no dots: `source_table`, `model_v2`.
                short_test_name(name, &format!("{package}{prefix}{test_name}"), &model.replace('.', "_"))
            }
            TestKind::Singular => short_test_name(name, name, ""),
        }
    }
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

impl Materialization {
    /// dbt's word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Table => "table",
            Self::MaterializedView { .. } => "materialized_view",
            Self::Incremental { .. } => "incremental",
            Self::Ephemeral => "ephemeral",
        }
    }
}

impl NodeKind {
    /// dbt's word for it.
    pub fn resource_type(&self) -> &'static str {
        match self {
            Self::Source(_) => "source",
            Self::Model(_) => "model",
            Self::Seed(_) => "seed",
            Self::Snapshot(_) => "snapshot",
            Self::Test(_) => "test",
            Self::UnitTest(_) => "unit_test",
            Self::Analysis => "analysis",
        }
    }
}

impl Known for Node {
    fn id(&self) -> &NodeId {
        &self.id
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

    /// What people call it: the name, and the version if there are several.
    pub fn shown(&self) -> String {
        self.edition.as_ref().map_or_else(|| self.name.clone(), |edition| edition.shown(&self.name))
    }

    /// How the model is materialized, if it is a model.
    pub fn materialization(&self) -> Option<&Materialization> {
        match &self.kind {
            NodeKind::Model(materialization) => Some(materialization),
            _ => None,
        }
    }

    /// The stretch of time that a microbatch model is to build.
    pub fn window(&self) -> Option<&Window> {
        match self.materialization()? {
            Materialization::Incremental { details, .. } => details.window.as_ref(),
            _ => None,
        }
    }

    /// dbt's word for what it is.
    pub fn resource_type(&self) -> &'static str {
        self.kind.resource_type()
    }

    /// Whether it becomes something that can be read: a model, a seed or a snapshot.
    pub fn is_made(&self) -> bool {
        matches!(self.kind, NodeKind::Model(_) | NodeKind::Seed(_) | NodeKind::Snapshot(_))
    }

    /// Whether it is a promise: a data test or a unit test.
    pub fn is_test(&self) -> bool {
        matches!(self.kind, NodeKind::Test(_) | NodeKind::UnitTest(_))
    }

    /// Whether it is a test that a properties file asks for, and no file of its own.
    pub fn is_test_in_yaml(&self) -> bool {
        matches!(&self.kind, NodeKind::Test(test) if test.kind != TestKind::Singular)
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
