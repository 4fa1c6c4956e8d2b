//! What is a seed, before anybody reads its rows?

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::{SourceText, Span};

use super::config::Config;
use super::data_test::DataTest;
use super::model::Column;

/// A `.csv` file under the seed paths, with what properties files say of it.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The file's name without `.csv`.
    pub name: String,
    /// The package it belongs to.
    pub package: String,
    /// The file's name for messages. Its text is not kept: `build` reads the file itself.
    pub source_text: SourceText,
    /// The file on this machine.
    pub file: PathBuf,
    /// `[package, folder…, name]`.
    pub fqn: Vec<String>,
    /// What it is, in words.
    pub description: String,
    /// The columns that properties describe, in their order.
    pub columns: Arc<[Column]>,
    /// The settings of `dbt_project.yml` and of properties.
    pub config: Config,
    /// The tests on the whole seed.
    pub tests: Vec<DataTest>,
    /// Where properties describe it.
    pub described_at: Option<Span>,
}
