//! What are the verbs asked, and what do they answer?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::compile::{Sample, Stretch};

use super::{
    Defer, Earlier, Indirect, LandReport, Manifest, PublishMode, Release, ReleaseDifference, Scheduled,
    Selector, StepReport, Verdict,
};
use crate::base::{Diagnostic, ReleaseNumber, TableName};
use crate::build::{self, Action, Asked, Reason};
use crate::project::Project;

/// What to build, and how.
#[derive(Clone, Debug, Default)]
pub struct BuildRequest {
    /// Only these nodes and what their selectors add; all if empty.
    pub select: Vec<Selector>,
    /// Not these.
    pub exclude: Vec<Selector>,
    /// Which of the selected nodes; see [`Purpose`].
    pub purpose: Purpose,
    /// Only these nodes, by id, of the selected ones.
    pub only: Option<BTreeSet<String>>,
    /// The run that it goes on from, if it goes on from one.
    pub goes_on: Option<GoesOn>,
    /// What `state:` and `result:` compare with.
    pub earlier: Earlier,
    /// What is read of another state instead of being built.
    pub defer: Option<Defer>,
    /// Where events of lineage go, over what the environment and `elt.yml` say.
    pub openlineage: Option<String>,
    /// The schedule that asks for it, if one does.
    pub scheduled: Option<Scheduled>,
    /// Take nothing over from production, although the target is an environment beside it.
    pub apart: bool,
    /// Make all that is selected, whether it is up to date or not. Only a build for everything asks.
    pub full: bool,
    /// Make incremental models from the beginning, and all that is selected.
    pub full_refresh: bool,
    /// Keep the failing rows of every test.
    pub store_failures: bool,
    /// Let models read no rows.
    pub empty: bool,
    /// Let models read only rows of a stretch of time, of what says when its rows happened.
    pub sample: Option<Sample>,
    /// Begin nothing new once something has failed.
    pub fail_fast: bool,
    /// Only nodes of these kinds.
    pub kinds: Kinds,
    /// Where microbatches begin, and where they end.
    pub event_time: (Option<chrono::DateTime<chrono::Utc>>, Option<chrono::DateTime<chrono::Utc>>),
    /// The batches of microbatch models to build again, by node; of others those that are due.
    pub batches: BTreeMap<String, Vec<Stretch>>,
    /// How long to wait for another process that is writing to the lake.
    pub wait: Duration,
    /// How long it may take until it publishes, from when nobody else writes to the lake; for ever if nothing.
    pub time: Option<Duration>,
    /// What to publish if not everything is well.
    pub publish: PublishMode,
    /// The time between two releases of one run, at least, if each model is published when it is made; a second if
    /// nothing is said.
    pub pace: Option<Duration>,
    /// Steps at once; nothing means as many as there are cores, 2 at least.
    pub threads: Option<usize>,
}

impl BuildRequest {
    /// What was asked, as `run_results.json` keeps it.
    pub(super) fn arguments(&self) -> serde_json::Map<String, serde_json::Value> {
        let texts = |all: &[Selector]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut arguments = serde_json::Map::new();
        // What goes on from another run is of what was meant then.
        let (select, exclude, kinds) = match &self.goes_on {
            Some(then) => (&then.select, &then.exclude, &then.kinds),
            None => (&self.select, &self.exclude, &self.kinds),
        };
        arguments.insert("select".into(), texts(select).into());
        arguments.insert("exclude".into(), texts(exclude).into());
        let indirect = select.iter().find_map(Selector::brings).unwrap_or_default();
        arguments.insert("indirect_selection".into(), indirect.word().into());
        arguments.insert("resource_types".into(), kinds.only.clone().into());
        arguments.insert("exclude_resource_types".into(), kinds.never.clone().into());
        arguments.insert("defer".into(), self.defer.is_some().into());
        arguments.insert("empty".into(), self.empty.into());
        arguments.insert("full_refresh".into(), self.full_refresh.into());
        arguments.insert("store_failures".into(), self.store_failures.into());
        arguments.insert("sample".into(), self.sample.map(|sample| sample.to_string()).into());
        let instant = |at: Option<chrono::DateTime<chrono::Utc>>| at.map(|at| at.to_rfc3339());
        arguments.insert("event_time_start".into(), instant(self.event_time.0).into());
        arguments.insert("event_time_end".into(), instant(self.event_time.1).into());
        arguments
    }

    /// Which nodes are made even if they are up to date. Verbs for a part make all that they are asked for, as in dbt.
    pub(super) fn asked(&self) -> Asked {
        let all = self.full || self.purpose != Purpose::Build || self.only.is_some() || self.is_partial();
        Asked { all, full_refresh: self.full_refresh, batches: self.is_of_a_stretch() }
    }

    /// Whether what it makes may not be all that there is to make: no rows, or some rows.
    pub(super) fn is_partial(&self) -> bool {
        self.empty || self.sample.is_some()
    }

    /// Whether it makes some stretch of time of the models that are made in batches, and not the stretch that is due.
    pub(super) fn is_of_a_stretch(&self) -> bool {
        self.event_time.0.is_some() || self.event_time.1.is_some() || !self.batches.is_empty()
    }

    /// Whether nodes of this kind are asked for.
    pub(super) fn takes(&self, resource_type: &str) -> bool {
        self.purpose.takes(resource_type) && self.kinds.take(resource_type)
    }
}

/// What a run was asked that another goes on from, and what it left failed.
#[derive(Clone, Debug, Default)]
pub struct GoesOn {
    /// What was selected then.
    pub select: Vec<Selector>,
    /// What was left out then.
    pub exclude: Vec<Selector>,
    /// The kinds that were meant then.
    pub kinds: Kinds,
    /// The ids of what failed, or was skipped for it.
    pub failed: BTreeSet<String>,
}

impl GoesOn {
    /// What a run was asked, as `run_results.json` has it in `args`. What cannot be read any more is left out, so that rather
    /// more is asked than less.
    pub(super) fn read(arguments: &serde_json::Value, failed: BTreeSet<String>) -> Self {
        let texts = |key: &str| -> Vec<String> {
            let all = arguments[key].as_array().into_iter().flatten();
            all.filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let indirect = arguments["indirect_selection"].as_str().and_then(|word| word.parse().ok());
        let selectors = |key: &str| -> Vec<Selector> {
            texts(key).iter().filter_map(|text| text.parse::<Selector>().ok()).collect()
        };
        let select = selectors("select").into_iter();
        Self {
            select: match indirect {
                Some(Indirect::Eager) | None => select.collect(),
                Some(indirect) => select.map(|selector| selector.bringing(indirect)).collect(),
            },
            exclude: selectors("exclude"),
            kinds: Kinds { only: texts("resource_types"), never: texts("exclude_resource_types") },
            failed,
        }
    }
}

/// Kinds of nodes, by dbt's words.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    /// Only these; all if empty.
    pub only: Vec<String>,
    /// Not these.
    pub never: Vec<String>,
}

impl Kinds {
    /// Whether a node of this kind is one of them.
    pub fn take(&self, kind: &str) -> bool {
        let is_in = |list: &[String]| list.iter().any(|word| word == kind || word == "all");
        let is_default = self.only.is_empty() || self.only.iter().any(|word| word == "default");
        (is_default || is_in(&self.only)) && !is_in(&self.never)
    }
}

/// What a build is for: dbt's verbs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Everything: seeds, models, snapshots and tests.
    #[default]
    Build,
    /// Models alone.
    Run,
    /// Seeds alone.
    Seed,
    /// Snapshots alone.
    Snapshot,
    /// Tests alone; nothing is made.
    Test,
}

impl Purpose {
    /// dbt's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Run => "run",
            Self::Seed => "seed",
            Self::Snapshot => "snapshot",
            Self::Test => "test",
        }
    }

    /// What it publishes if nobody says: a build is all or nothing, dbt's other verbs go model by model.
    pub fn usually_publishes(self) -> PublishMode {
        match self {
            Self::Build => PublishMode::All,
            Self::Test => PublishMode::Passing,
            Self::Run | Self::Seed | Self::Snapshot => PublishMode::Each,
        }
    }

    /// Whether nodes of this kind are part of it.
    pub fn takes(self, resource_type: &str) -> bool {
        match self {
            Self::Build => true,
            Self::Run => matches!(resource_type, "model" | "source"),
            Self::Seed => resource_type == "seed",
            Self::Snapshot => resource_type == "snapshot",
            Self::Test => matches!(resource_type, "test" | "unit_test"),
        }
    }
}

/// What a build did.
#[derive(Debug)]
pub struct Built {
    /// What it was for.
    pub purpose: Purpose,
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
    /// The names of nodes for which nothing was done, because nothing has changed.
    pub up_to_date: Vec<String>,
    /// The release that it became, if it became one; of several, the last.
    pub release: Option<Release>,
    /// The first of the releases that it became.
    pub first: Option<ReleaseNumber>,
    /// What it changes for readers, if that was reviewed.
    pub difference: Option<ReleaseDifference>,
    /// Whether the reviewer did not want it; then nothing is published.
    pub is_withdrawn: bool,
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

/// What a build would do.
#[derive(Debug)]
pub struct Planned {
    /// What would be landed, by source.
    pub landed: Vec<LandReport>,
    /// Every selected node, in the order of the build.
    pub steps: Vec<PlannedNode>,
    /// What a build has made in the project's schemas and no node makes any more, if all of it is planned.
    pub gone: Vec<TableName>,
    /// The release that readers see now.
    pub release: Option<ReleaseNumber>,
    /// What is wrong with the project without stopping it.
    pub warnings: Vec<Diagnostic>,
}

/// What would happen to one node.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedNode {
    /// The node.
    pub unique_id: String,
    /// The name that people know it by.
    pub name: String,
    /// What it is: `table`, `view`, `incremental`, `seed`, `snapshot`, `test`, `unit test`.
    pub kind: &'static str,
    /// What would happen to it; nothing if it is up to date.
    pub action: Option<Action>,
    /// Why.
    #[serde(flatten)]
    pub because: Reason,
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

impl Compiled {
    /// What the project holds: `5 models, 22 data tests, 3 seeds`.
    pub fn found(&self) -> String {
        build::found(&self.manifest)
    }
}

impl Built {
    /// Whether every step ended well, and every file that was to be landed could be read.
    pub fn is_well(&self) -> bool {
        self.built_well() && self.unread_files() == 0
    }

    /// Whether every step ended well.
    pub fn built_well(&self) -> bool {
        !self.steps.iter().any(|step| step.verdict.is_bad())
    }

    /// Whether there was nothing to land, to make or to test.
    pub fn is_nothing(&self) -> bool {
        self.steps.is_empty()
            && self.release.is_none()
            && self.held_back.is_empty()
            && self.unread_files() == 0
    }

    /// How many files could not be read, and were left out.
    pub fn unread_files(&self) -> usize {
        self.landed.iter().map(|report| report.failed().count()).sum()
    }
}

/// One step of a report, as tools read it.
pub fn step_json(step: &StepReport) -> serde_json::Value {
    let (failures, message) = match &step.verdict {
        Verdict::Warned(sample) | Verdict::Failed(sample) => {
            (Some(sample.failures), Some(sample.count_words()))
        }
        Verdict::Passed => (Some(0.0), None),
        Verdict::Broken(error) | Verdict::Partly(_, error) => (None, Some(error.to_string())),
        Verdict::Skipped { because } => (None, Some(format!("`{because}` failed"))),
        _ => (None, None),
    };
    let effect = match &step.verdict {
        Verdict::Made(effect) | Verdict::Partly(effect, _) => Some(effect),
        _ => None,
    };
    let batches = step
        .batches
        .as_ref()
        .map(|batches| serde_json::json!({"successful": batches.successful, "failed": batches.failed}));
    let sample = match &step.verdict {
        Verdict::Warned(sample) | Verdict::Failed(sample) => sample.to_json(),
        _ => None,
    };
    serde_json::json!({
        "unique_id": step.node.to_string(),
        "name": step.name,
        "action": step.action,
        "status": step.verdict.status(),
        "visibility": step.visibility,
        "batches": batches,
        "expectations": step.expectations,
        "failures": failures,
        "sample": sample,
        "message": message,
        "rows": effect,
        "files": step.files,
        "peak_memory_bytes": step.used.map(|used| used.memory).filter(|memory| *memory > 0),
        "spilled_bytes": step.used.map(|used| used.spilled),
        "place": step.place,
        "began": step.began.as_secs_f64(),
        "execution_time": step.took.as_secs_f64(),
    })
}
