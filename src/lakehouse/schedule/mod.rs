//! How are runs begun without anybody asking?
//!
//! [`keep_schedules`](Lakehouse::keep_schedules) waits for the times that `elt.yml` names and runs what it says, one run
//! after the other, so that no two of one schedule are ever at work at once. What ran when is in the reports of the runs,
//! which are in the lake; there is no other memory. Waiting, telling and the web are an [`Attendant`]'s.

mod history;
mod keep;

pub use history::Remembered;
pub(crate) use keep::gone_since;

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use serde::Serialize;

use super::{BuildRequest, Lakehouse, Purpose, Selector};
use crate::base::{Diagnostic, Error, ReleaseNumber, Result, SourceText, Watch};
use crate::compile::{self, YamlRenderer};
use crate::project::{self, RenderScope, Schedule, USERS_FILE, read_schedules};

/// The run of a schedule, as its report names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scheduled {
    /// The schedule.
    pub schedule: String,
    /// The time that it was to run at.
    pub at: DateTime<Utc>,
}

/// How the run of a schedule ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScheduledRun {
    /// The schedule.
    pub schedule: String,
    /// The time that it was to run at.
    pub at: DateTime<Utc>,
    /// When the last try began.
    pub began: DateTime<Utc>,
    /// How long it took.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
    /// How often it was tried.
    pub tries: u32,
    /// The run's id, if it came to be one.
    pub run: Option<String>,
    /// The release that it became.
    pub release: Option<ReleaseNumber>,
    /// Why it failed; nothing if it is well.
    pub error: Option<String>,
}

fn seconds<S: serde::Serializer>(took: &Duration, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_f64(took.as_secs_f64())
}

/// What there is to tell while schedules are kept.
#[derive(Clone, Debug)]
pub enum ScheduleNews {
    /// The next times, the nearest first.
    Waiting(Vec<(String, DateTime<Utc>)>),
    /// Times that were missed, and are left out.
    Missed {
        /// The schedule.
        schedule: String,
        /// How many.
        times: usize,
    },
    /// A run from before was cut off: its process died, or was stopped.
    CutOff {
        /// Which.
        scheduled: Scheduled,
        /// `died` or `interrupted`.
        how: &'static str,
        /// Whether it is run again now.
        again: bool,
    },
    /// A run begins, for the so-manieth time.
    Begun {
        /// Which.
        scheduled: Scheduled,
        /// The try, from 1 on.
        attempt: u32,
    },
    /// A try failed, and there will be another one.
    Again {
        /// The schedule.
        schedule: String,
        /// Why.
        because: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// A run ended.
    Ended(ScheduledRun),
    /// Somebody could not be told.
    NotTold {
        /// The schedule.
        schedule: String,
        /// Why not.
        because: String,
    },
}

/// Whoever keeps schedules: waits, tells, and is told.
pub trait Attendant: Send + Sync {
    /// Watches the runs.
    fn watch(&self) -> &dyn Watch;

    /// Takes note of what happened.
    fn news(&self, news: &ScheduleNews);

    /// Waits for an instant; says whether to go on then. It may come back earlier, after a minute or so.
    fn until(&self, at: DateTime<Utc>) -> BoxFuture<'_, bool>;

    /// Whether it is enough: nothing more is begun then.
    fn is_over(&self) -> bool {
        false
    }

    /// Sends a message to an address of the web.
    fn send<'a>(
        &'a self,
        url: &'a str,
        message: &'a serde_json::Value,
    ) -> BoxFuture<'a, std::result::Result<(), String>>;
}

impl Lakehouse {
    /// The schedules of `elt.yml`, as it is now; none if there is no such file.
    ///
    /// # Errors
    /// What is wrong in the file, and where.
    pub fn schedules(&self) -> Result<Vec<Schedule>> {
        let text = self.users_text()?;
        let (vars, docs) = Default::default();
        let target = match &self.project {
            Some(options) => project::outline(options, &YamlRenderer::new()).map(|outline| outline.target),
            None => None,
        };
        let scope = RenderScope { vars: &vars, env: &self.world.env, target: target.as_ref(), docs: &docs };
        let schedules = read_schedules(&SourceText::new(USERS_FILE, &text), &YamlRenderer::new(), &scope)?;
        // What they select has to be selectors before the night comes.
        for schedule in &schedules {
            request_of(schedule)?;
        }
        Ok(schedules)
    }

    /// The same, if each of them selects something of the project as it is now. A project that cannot be compiled says nothing
    /// of it: it is told when it is run.
    ///
    /// # Errors
    /// What is wrong in the file, that a schedule is for a target that there is not, and that it selects nothing.
    pub async fn checked_schedules(&self) -> Result<Vec<Schedule>> {
        let schedules = self.schedules()?;
        for schedule in &schedules {
            let request = request_of(schedule)?;
            let own = match &schedule.target {
                Some(target) => {
                    let wrong = |why: &str| {
                        let what = format!("the schedule `{}` cannot run: {why}", schedule.name);
                        let help =
                            format!("correct its `target` in {USERS_FILE}; profiles.yml has the targets");
                        Error::user("elt::schedule", what, help)
                    };
                    let own = self.with_target(target).map_err(|error| wrong(&error.to_string()))?;
                    // Whatever else is wrong with the project is told when it is built.
                    let found = own.load()?.1;
                    match found.iter().find(|one| one.is_error() && one.stable_code() == "elt::profile") {
                        Some(mistake) => return Err(wrong(mistake.message())),
                        None => own,
                    }
                }
                None => self.clone(),
            };
            if schedule.select.is_empty() {
                continue;
            }
            let Ok(compiled) = Box::pin(own.compile(false)).await else { continue };
            let earlier = own.compared(&request.earlier, &compiled.project);
            let selected = compile::select(&compiled.manifest, &request.select, &request.exclude, &earlier)?;
            if !selected.iter().any(|id| request.takes(compiled.manifest.node(id).resource_type())) {
                let words = schedule.select.join(" ");
                let what = format!("the schedule `{}` selects nothing: {words}", schedule.name);
                let help =
                    format!("`elt ls --select '{words}'` tries a selection; correct it in {USERS_FILE}");
                return Err(Error::user("elt::schedule", what, help));
            }
        }
        Ok(schedules)
    }

    /// One schedule by its name.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn schedule(&self, name: &str) -> Result<Schedule> {
        let all = self.checked_schedules().await?;
        let known: Vec<&str> = all.iter().map(|schedule| schedule.name.as_str()).collect();
        if let Some(found) = all.iter().find(|schedule| schedule.name == name) {
            return Ok(found.clone());
        }
        let help = crate::base::did_you_mean(name, known.iter().copied()).unwrap_or_else(|| {
            match known.is_empty() {
                true => format!("{USERS_FILE} has no `schedules:`"),
                false => format!("{USERS_FILE} has: {}", known.join(", ")),
            }
        });
        Err(Error::user("elt::schedule", format!("there is no schedule `{name}`"), help))
    }
}

/// What a schedule asks for.
fn request_of(schedule: &Schedule) -> Result<BuildRequest> {
    let selectors = |texts: &[String]| -> Result<Vec<Selector>> {
        let read = |text: &String| {
            text.parse::<Selector>().map_err(|error: Diagnostic| {
                let what = format!("the schedule `{}`: {}", schedule.name, error.message());
                Error::user("elt::schedule", what, "write selectors as for `--select`: tag:nightly, +orders")
            })
        };
        texts.iter().map(read).collect()
    };
    let purpose = match schedule.command.as_str() {
        "run" => Purpose::Run,
        "test" => Purpose::Test,
        "seed" => Purpose::Seed,
        "snapshot" => Purpose::Snapshot,
        _ => Purpose::Build,
    };
    Ok(BuildRequest {
        select: selectors(&schedule.select)?,
        exclude: selectors(&schedule.exclude)?,
        full_refresh: schedule.full_refresh,
        publish: purpose.usually_publishes(),
        purpose,
        wait: WAIT,
        ..BuildRequest::default()
    })
}

/// How long a run waits for another process that writes to the lake.
const WAIT: Duration = Duration::from_secs(3600);
