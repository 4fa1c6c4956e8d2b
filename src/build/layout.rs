//! How is a model's table kept?
//!
//! What the model says of its files and not of its rows: `write_mode`, `partition_by`, `cluster_by`, `tblproperties`, with
//! `persist_docs` its descriptions, and with a contract its constraints. It becomes part of the table's own design, so that every
//! engine that writes to the table keeps to it.

use arrow::datatypes::Schema;
use serde_json::Value;

use crate::compile::{Constraint, ConstraintKind, Node};
use crate::table::{Change, Design, TableError, WriteMode};

/// What a model says of its table's files, and of every row in them.
#[derive(Debug, Default)]
pub(super) struct Layout {
    files: crate::table::Layout,
    constraints: Vec<Constraint>,
}

impl Layout {
    /// Reads it from a model's settings.
    ///
    /// # Errors
    /// A write mode that there is not.
    pub(super) fn of(node: &Node) -> Result<Self, String> {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let write_mode = node.config.get("write_mode").filter(|value| !value.is_null());
        let properties = node.config.get("tblproperties").and_then(Value::as_object).into_iter().flatten();
        let persists = |what: &str| {
            let docs = node.config.get("persist_docs").and_then(|docs| docs.get(what));
            docs.and_then(Value::as_bool).unwrap_or(false)
        };
        let described = node.columns.iter().filter(|column| !column.description.is_empty());
        let files = crate::table::Layout {
            write_mode: write_mode.map(|value| text(value).parse()).transpose()?,
            partition_by: match node.config.get("partition_by") {
                Some(Value::String(column)) => Some(vec![column.clone()]),
                Some(Value::Array(columns)) => Some(columns.iter().map(text).collect()),
                // A mapping is BigQuery's, by stretches of time; as folders these would be too many.
                _ => None,
            },
            cluster_by: match node.config.get("cluster_by") {
                Some(Value::String(column)) => vec![column.clone()],
                Some(Value::Array(columns)) => columns.iter().map(text).collect(),
                _ => Vec::new(),
            },
            properties: properties.map(|(key, value)| (key.clone(), text(value))).collect(),
            description: persists("relation").then(|| node.description.clone()),
            comments: match persists("columns") {
                true => described.map(|column| (column.name.clone(), column.description.clone())).collect(),
                false => Vec::new(),
            },
        };
        Ok(Self { files, constraints: node.constraints.clone() })
    }

    /// The columns that are described, with `persist_docs`, and are not there.
    pub(super) fn unknown_columns(&self, schema: &Schema) -> Vec<String> {
        let is_there =
            |name: &str| schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name));
        self.files.comments.iter().map(|(name, _)| name).filter(|name| !is_there(name)).cloned().collect()
    }

    /// The design of a table that is made anew.
    pub(super) fn anew(&self, mut design: Design) -> Result<Design, TableError> {
        // A rule of an earlier edition that the model has no more is gone.
        let before: Vec<String> = design.constraints().map(|(name, _)| name.to_owned()).collect();
        for name in before {
            design = design.without_property(&format!("delta.constraints.{name}"));
        }
        for column in design.column_names() {
            design = design.with_nullable(&column, true);
        }
        for constraint in &self.constraints {
            match &constraint.kind {
                ConstraintKind::NotNull => {
                    for column in &constraint.columns {
                        design = design.required(column)?;
                    }
                }
                ConstraintKind::Check(condition) => {
                    let key = format!("delta.constraints.{}", constraint.name);
                    design = design.with_properties([(key, condition.clone())]);
                }
            }
        }
        self.files.anew(design)
    }

    /// A change of rows, and of the design where the model says something else now. Folders stay as they are.
    pub(super) fn kept(&self, change: Change) -> Change {
        self.files.kept(change)
    }

    /// In what a table is laid out otherwise than the model says, in words; nothing if it is as the model says.
    pub(super) fn differs(&self, design: &Design) -> Option<String> {
        let mut differs = Vec::new();
        let wanted = self.files.partition_by.clone().unwrap_or_default();
        if wanted != design.partition_columns() {
            differs.push("partition_by");
        }
        if self.files.write_mode.is_some_and(|mode| mode != design.write_mode()) {
            differs.push("write_mode");
        }
        let clustered = design.clone().clustered_by(&self.files.cluster_by);
        if clustered.is_ok_and(|clustered| clustered != *design) {
            differs.push("cluster_by");
        }
        if self.files.properties.iter().any(|(key, value)| design.properties().get(key) != Some(value)) {
            differs.push("tblproperties");
        }
        (!differs.is_empty()).then(|| differs.join(", "))
    }

    /// How rows leave the table's files.
    pub(super) fn mode(&self, design: &Design) -> WriteMode {
        self.files.mode(design)
    }
}
