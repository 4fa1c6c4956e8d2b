//! How are a table's files kept?
//!
//! What somebody declares of a table's files and not of its rows: [`Layout`]. It becomes part of the table's own design,
//! so that every engine that writes to the table keeps to it.
//!
//! Not here: where it is declared. A model says it in its config, a source in its options.

use super::{Change, Design, TableError, WriteMode};

/// What is declared of a table's files. What is not said stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// How rows leave files.
    pub write_mode: Option<WriteMode>,
    /// Columns whose values name folders; of a table that is there already, they stay as they are.
    pub partition_by: Option<Vec<String>>,
    /// Columns by which rows that are near each other stay near.
    pub cluster_by: Vec<String>,
    /// Delta's properties, by name.
    pub properties: Vec<(String, String)>,
    /// What the table is; empty text takes away what was said before.
    pub description: Option<String>,
    /// What columns are, by name.
    pub comments: Vec<(String, String)>,
}

impl Layout {
    /// The design of a table that is made anew.
    ///
    /// # Errors
    /// Columns for folders that are not there, or cannot be.
    pub fn anew(&self, mut design: Design) -> Result<Design, TableError> {
        if let Some(columns) = &self.partition_by {
            design = design.partitioned_by(columns.clone())?;
        }
        Ok(self.again(design))
    }

    /// A change of rows, and of the design where something else is declared now. Folders stay as they are.
    pub fn kept(&self, change: Change) -> Change {
        let design = self.again(change.design().clone());
        change.redesigned(design)
    }

    /// How rows leave the table's files.
    pub fn mode(&self, design: &Design) -> WriteMode {
        self.write_mode.unwrap_or_else(|| design.write_mode())
    }

    fn again(&self, mut design: Design) -> Design {
        if let Some(mode) = self.write_mode {
            design = design.with_write_mode(mode);
        }
        if let Some(description) = &self.description {
            design = design.with_description(Some(description.clone()).filter(|text| !text.is_empty()));
        }
        // Expressions are another engine's.
        if !self.cluster_by.is_empty()
            && let Ok(clustered) = design.clone().clustered_by(&self.cluster_by)
        {
            design = clustered;
        }
        for (column, comment) in &self.comments {
            design = design.with_comment(column, comment);
        }
        design.with_properties(self.properties.clone())
    }
}
