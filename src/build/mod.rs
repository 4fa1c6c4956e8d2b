//! How do models become a release?
//!
//! [`due`] decides, as data, what each selected node needs; [`run`] does it: materializes models as
//! changes that nobody sees, tests them through those changes, and says of each whether it may be
//! published. What is published, and that it is published at once, is `release`'s business.
//!
//! Not here: where the project and the raw files come from (`lakehouse` brings both).

mod artifacts;
mod basis;
mod batches;
mod blame;
mod check;
mod compiled;
mod contract;
mod data_test;
mod due;
mod entries;
mod error;
mod executed;
mod expectation;
mod graph;
mod hook;
mod incremental;
mod layout;
mod lookup;
mod manifest_file;
mod materialize;
mod plan;
mod report;
mod run;
mod seed;
mod semantic;
mod semantic_manifest;
mod snapshot;
mod sql_text;
mod step;
mod told;
mod unchanged;
mod unit_test;

pub use artifacts::{
    SoFar, Stamp, catalog, freshness_results, graph_summary, perf_info, run_results, run_results_so_far,
    with_operations, write as write_artifact,
};
pub use basis::Code;
pub use check::{Checked, Columns, Ground, check};
pub use compiled::{MARK as FOLDER_MARK, clean, write_compiled, write_late, write_run};
pub use due::{Wanted, due};
pub use error::BuildError;
pub use expectation::Kept;
pub use graph::tested;
pub use hook::{HookError, Hooked, run_hooks};
pub use lookup::{SessionLookup, answer};
pub use manifest_file::{ManifestFile, manifest as manifest_json, manifest_entry};
pub use plan::{Action, Asked, BuildPlan, Known, PlannedStep, Reason, plan};
pub use report::{Batches, Origin, Sample, StepReport, Verdict, Visibility};
pub use run::{BuildRun, Inputs, Portion, PublishMode, Publisher, run};
pub use semantic_manifest::semantic_manifest;
pub use sql_text::table as quoted;
pub use step::compile_late;
pub use told::{found, node_facts, run_facts};
pub use unchanged::{Unchanged, remembered_as, unchanged};

/// Whether a node's columns are promised, and the promise is kept.
pub fn has_contract(node: &crate::compile::Node) -> bool {
    let enforced = node.config.get("contract").and_then(|contract| contract.get("enforced"));
    enforced == Some(&serde_json::Value::Bool(true))
}
