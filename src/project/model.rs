//! What is a model, before anybody asks what it means?

use std::sync::Arc;

use crate::base::{SourceText, Span};

use super::config::Config;
use super::data_test::DataTest;
use super::edition::Edition;

/// A `.sql` file under the model paths, with what properties files say of it.
#[derive(Clone, Debug)]
pub struct Model {
    /// The file's name without `.sql`; of a model in several versions, the name that they share.
    pub name: String,
    /// Which version it is, if there are several.
    pub edition: Option<Edition>,
    /// The package it belongs to.
    pub package: String,
    /// The file.
    pub source_text: SourceText,
    /// `[package, folder…, name]`, and the version after it: `v2`.
    pub fqn: Vec<String>,
    /// What it is, in words.
    pub description: String,
    /// The columns that properties describe, in their order.
    pub columns: Arc<[Column]>,
    /// The settings of `dbt_project.yml` and of properties. `config()` in the file comes on top.
    pub config: Config,
    /// The tests on the whole model. Those on a column are with the column.
    pub tests: Vec<DataTest>,
    /// Where properties describe it.
    pub described_at: Option<Span>,
}

impl Model {
    /// The name of its file without `.sql`.
    pub fn file_stem(&self) -> &str {
        let file = self.source_text.path.rsplit('/').next().unwrap_or(&self.source_text.path);
        file.strip_suffix(".sql").unwrap_or(file)
    }
}

/// A `.sql` file under the analysis paths: compiled, never built.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// The file's name without `.sql`.
    pub name: String,
    /// The package it belongs to.
    pub package: String,
    /// The file.
    pub source_text: SourceText,
    /// `[package, folder…, name]`.
    pub fqn: Vec<String>,
}

/// A column as properties describe it.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name, as written.
    pub name: String,
    /// What it is, in words.
    pub description: String,
    /// Its SQL type, as written and known to [`parse_data_type`](crate::base::parse_data_type).
    pub data_type: Option<String>,
    /// Tags, which its tests inherit.
    pub tags: Vec<String>,
    /// Its `meta`.
    pub meta: serde_json::Map<String, serde_json::Value>,
    /// The grain of its instants, if the model is a time spine: `day`.
    pub granularity: Option<String>,
    /// Whether its name is to be quoted, if that is said.
    pub quote: Option<bool>,
    /// The tests on it.
    pub tests: Vec<DataTest>,
    /// Where it is described.
    pub at: Span,
}
