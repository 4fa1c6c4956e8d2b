//! What are the verbs asked, and what do they answer?

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{LandReport, Manifest, PublishMode, Release, Selector, StepReport, Verdict};
use crate::base::{Diagnostic, ReleaseNumber, TableName};
use crate::project::Project;

/// What to build, and how.
#[derive(Clone, Debug, Default)]
pub struct BuildRequest {
    /// Only these nodes and what their selectors add; all if empty.
    pub select: Vec<Selector>,
    /// Not these.
    pub exclude: Vec<Selector>,
    /// Make incremental models from the beginning.
    pub full_refresh: bool,
    /// What to publish if not everything is well.
    pub publish: PublishMode,
    /// Steps at once; nothing means as many as there are cores, 2 at least.
    pub threads: Option<usize>,
}

/// What a build did.
#[derive(Debug)]
pub struct Built {
    /// The run's id.
    pub run: String,
    /// What was wrong with the project without stopping it.
    pub warnings: Vec<Diagnostic>,
    /// What was landed, by source.
    pub landed: Vec<LandReport>,
    /// Landed tables that were not published, with why.
    pub held_back: BTreeMap<TableName, String>,
    /// What happened to each node.
    pub steps: Vec<StepReport>,
    /// The release that it became, if it became one.
    pub release: Option<Release>,
    /// The release that readers saw before.
    pub before: Option<ReleaseNumber>,
    /// How long it took.
    pub took: Duration,
}

/// What a load did.
#[derive(Debug, Serialize)]
pub struct Landed {
    /// What became of each file.
    pub report: LandReport,
    /// The release that it became; nothing if every file was known.
    pub release: Option<Release>,
}

/// A project, compiled for the lake as it is.
#[derive(Debug)]
pub struct Compiled {
    /// The project as written.
    pub project: Project,
    /// The project as it is meant.
    pub manifest: Manifest,
    /// What is wrong with it without stopping it.
    pub warnings: Vec<Diagnostic>,
}

impl Built {
    /// Whether every step ended well.
    pub fn is_well(&self) -> bool {
        !self.steps.iter().any(|step| step.verdict.is_bad())
    }
}

/// One step of a report, as tools read it.
pub fn step_json(step: &StepReport) -> serde_json::Value {
    let (failures, message) = match &step.verdict {
        Verdict::Warned(sample) | Verdict::Failed(sample) => {
            (Some(sample.failures), Some(sample.count_words()))
        }
        Verdict::Broken(error) => (None, Some(error.to_string())),
        Verdict::Skipped { because } => (None, Some(format!("`{because}` failed"))),
        _ => (None, None),
    };
    let effect = if let Verdict::Made(effect) = &step.verdict { Some(effect) } else { None };
    serde_json::json!({
        "unique_id": step.node.to_string(),
        "name": step.name,
        "action": step.action,
        "status": step.verdict.status(),
        "visibility": step.visibility,
        "failures": failures,
        "message": message,
        "rows": effect,
        "place": step.place,
        "execution_time": step.took.as_secs_f64(),
    })
}
