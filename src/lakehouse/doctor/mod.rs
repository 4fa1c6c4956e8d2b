//! What could be better, although nothing is wrong?
//!
//! [`Finding`]s, each with what mends it: what a project does not say about itself, what nobody reads, settings that mean
//! nothing together; and in the lake what makes it slow or large. Nothing is changed.

mod lake;
mod project;
mod rights;
mod unused;

use serde::Serialize;

use super::{Lakehouse, StudyRequest};
use crate::base::Result;

/// Something that could be better.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What was looked for: `untested`, `small_files` …
    pub check: &'static str,
    /// What is said of all that have it.
    pub says: String,
    /// What has it, each in a word or a few.
    pub of: Vec<String>,
    /// What mends it: a command, or what to write where.
    pub mend: String,
}

impl Lakehouse {
    /// Looks at the project, if there is one, and at the lake.
    ///
    /// Plans every query of the project, lists the files of every table, and reads no row.
    ///
    /// # Errors
    /// What is wrong with the project; a lake that cannot be read.
    pub async fn examine(&self) -> Result<Vec<Finding>> {
        let mut found = Vec::new();
        let mut manifest = None;
        if self.has_project() {
            let studied = self.study(&StudyRequest::default()).await?;
            for warning in &studied.compiled.warnings {
                let of = warning.place().unwrap_or_else(|| "the project".to_owned());
                let mend = warning.help_text().unwrap_or("mend what it says").to_owned();
                found.push(Finding {
                    check: "warning",
                    says: warning.message().to_owned(),
                    of: vec![of],
                    mend,
                });
            }
            project::look(&studied.compiled.manifest, &mut found);
            let checked = Box::pin(self.check(&studied)).await?;
            unused::look(&studied.compiled.manifest, &checked.lineage, &mut found);
            manifest = Some(studied.compiled.manifest);
        }
        lake::look(self, manifest.as_ref(), &mut found).await?;
        Box::pin(rights::look(self, &mut found)).await?;
        Ok(found)
    }
}

/// Adds a finding about several things, if there are any.
fn add(found: &mut Vec<Finding>, check: &'static str, says: &str, mut of: Vec<String>, mend: &str) {
    if !of.is_empty() {
        of.sort();
        found.push(Finding { check, says: says.to_owned(), of, mend: mend.to_owned() });
    }
}
