//! One step of a plan is carried out.
//!
//! In a session of its own, as often and as long as its node says. Nobody sees what comes of it before the run is over.

use std::sync::Arc;
use std::time::Duration;

use super::basis::basis;
use super::executed::Executed;
use super::layout::Layout;
use super::lookup::SessionLookup;
use super::materialize::{Made, Making};
use super::plan::PlannedStep;
use super::report::{Batches, Verdict};
use super::run::Inputs;
use super::{BuildError, Kept, batches, blame, data_test, expectation, unit_test};
use crate::base::{Diagnostic, Event, Message, TableName, Watch, after};
use crate::compile::{Late, Lookup, Manifest, Node, NodeId, NodeKind};
use crate::query::{Limits, MADE_OF, MadeOf, Scope, Session};
use crate::release::Basis;
use crate::table::Change;

/// What a step that ended well has to show.
pub(super) struct Done {
    pub(super) what: What,
    /// The node, if it was compiled only now.
    pub(super) late: Option<Node>,
    /// What its templates said.
    pub(super) messages: Vec<Message>,
    /// What it was made from.
    pub(super) basis: Basis,
    /// How many rows broke what the model expects of them.
    pub(super) kept: Vec<Kept>,
    /// The quarantine of those rows, if there is one.
    pub(super) beside: Option<(TableName, Made)>,
}

/// What came of a step.
pub(super) enum What {
    Made(Made),
    /// Batches were made, one after the other; the error of the first that failed, if one did.
    Batches(Option<Made>, Batches, Option<BuildError>),
    /// A test's verdict, and its failing rows if they are kept.
    Tested(Verdict, Option<Made>),
}

/// How long to wait before the first try again; each wait is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Carries a step out, as often and as long as its node says.
pub(super) async fn try_out(
    inputs: &Inputs<'_>,
    scope: Scope,
    step: &PlannedStep,
    executed: &Executed,
    watch: &dyn Watch,
) -> Result<Done, BuildError> {
    let node = inputs.manifest.node(&step.node);
    let mut wait = FIRST_WAIT;
    for again in 1.. {
        let tried = Box::pin(carry_out(inputs, scope.clone(), step, executed));
        let done = match node.running.timeout {
            None => tried.await,
            Some(most) => tokio::select! {
                done = tried => done,
                () = after(most) => Err(BuildError::too_long(node, most)),
            },
        };
        match done {
            Err(error) if again <= node.running.retries && error.may_pass() => {
                let (of, name) = (node.running.retries, &node.name);
                watch.on(Event::Note(format!(
                    "{error}; `{name}` is tried again in {wait:?} ({again} of {of})"
                )));
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            done => return done,
        }
    }
    unreachable!("the last try is returned")
}

async fn carry_out(
    inputs: &Inputs<'_>,
    scope: Scope,
    step: &PlannedStep,
    executed: &Executed,
) -> Result<Done, BuildError> {
    let made = Box::pin(make(inputs, scope.clone(), step, executed)).await;
    let made =
        made.map_err(|error| blame::placed(inputs.manifest, inputs.manifest.node(&step.node), error))?;
    Ok(with_lineage(inputs, scope, step, made).await)
}

/// The same, and what was made knows from which columns of which versions its own come.
///
/// A query that was run can be planned; should it be otherwise after all, the rows are as good as without.
async fn with_lineage(inputs: &Inputs<'_>, scope: Scope, step: &PlannedStep, mut done: Done) -> Done {
    let node = done.late.as_ref().unwrap_or(inputs.manifest.node(&step.node));
    let (What::Made(Made::Table(change)) | What::Batches(Some(Made::Table(change)), ..)) = &mut done.what
    else {
        return done;
    };
    if node.sql.trim().is_empty() {
        return done;
    }
    let session = Session::new(scope.apart(), inputs.default_schema, Limits::default());
    if let Ok((_, lineage)) = Box::pin(session.trace(&node.sql)).await {
        let reads = session.scope().reads();
        let whole = Change::clone(change).with_provenance(MADE_OF, MadeOf::new(lineage, &reads).to_json());
        *change = Arc::new(whole);
    }
    done
}

async fn make(
    inputs: &Inputs<'_>,
    scope: Scope,
    step: &PlannedStep,
    executed: &Executed,
) -> Result<Done, BuildError> {
    let node = inputs.manifest.node(&step.node);
    let session = Session::new(scope.apart(), inputs.default_schema, Limits::default());
    if let Some(window) = node.window() {
        return batches::make(inputs, &session, step, window, executed).await;
    }
    let (late, mut messages) = match node.is_late {
        true => {
            let (node, messages) = compile_late(inputs.manifest, node, &session).await?;
            (Some(node), messages)
        }
        false => (None, Vec::new()),
    };
    let node = late.as_ref().unwrap_or(node);
    let checked = expectation::check(&session, node, step.action).await?;
    let (seen, made_of) = match &checked {
        Some(checked) => (&checked.session, &checked.node),
        None => (&session, node),
    };
    let making = Making {
        session: seen,
        manifest: inputs.manifest,
        node: made_of,
        action: step.action,
        now: inputs.started,
        executed,
    };
    let what = match &node.kind {
        NodeKind::Test(test) => {
            let asked = data_test::ask(seen, node, test, executed).await;
            let verdict = asked.map_err(|error| BuildError::query(node, error))?;
            let kept = match (test.stored, &node.relation) {
                (Some(stored), Some(_)) => Some(making.failures(stored).await?),
                _ => None,
            };
            What::Tested(verdict, kept)
        }
        NodeKind::UnitTest(test) => {
            let setting = unit_test::Setting {
                session: seen,
                schema: inputs.default_schema,
                manifest: inputs.manifest,
                now: inputs.started,
            };
            let asked = Box::pin(unit_test::ask(&setting, node, test, executed)).await;
            let verdict = asked.map_err(|trouble| match trouble {
                unit_test::Trouble::Query(error) => BuildError::query(node, error),
                unit_test::Trouble::Wrong(why) => BuildError::wrong(node, why),
            })?;
            What::Tested(verdict, None)
        }
        _ => What::Made(Box::pin(making.make()).await?),
    };
    messages.extend(undescribed(node, &what));
    let basis = basis(inputs, session.scope(), node);
    let (kept, beside) = checked.map(|checked| (checked.kept, checked.quarantine)).unwrap_or_default();
    Ok(Done { what, late, messages, basis, kept, beside })
}

/// A warning of described columns that could not get their descriptions.
fn undescribed(node: &Node, what: &What) -> Option<Message> {
    let What::Made(Made::Table(change)) = what else { return None };
    let unknown = Layout::of(node).ok()?.unknown_columns(change.schema());
    let words = "The following columns are specified in the schema but are not present in the database";
    (!unknown.is_empty())
        .then(|| Message::Logged(format!("warning: {}: {words}: {}", node.shown(), unknown.join(", "))))
}

/// Why a template could not be rendered.
pub(super) fn first_error(found: Vec<Diagnostic>) -> BuildError {
    let first = found.into_iter().find(Diagnostic::is_error);
    BuildError::Sql(first.expect("a template that failed says why"))
}

/// Compiles a node whose template reads the lake, on a thread where waiting holds nobody up.
///
/// # Errors
/// What is wrong with the template, in its place.
pub async fn compile_late(
    manifest: &Manifest,
    node: &Node,
    session: &Session,
) -> Result<(Node, Vec<Message>), BuildError> {
    render_late(manifest, session, &node.id, Late::compile).await
}

/// Renders something of a node that may read the lake, on a thread where waiting holds nobody up.
pub(super) async fn render_late<T: Send + 'static>(
    manifest: &Manifest,
    session: &Session,
    id: &NodeId,
    render: impl FnOnce(&Late, &NodeId, &Arc<dyn Lookup>) -> Result<T, Vec<Diagnostic>> + Send + 'static,
) -> Result<T, BuildError> {
    let (late, id) = (manifest.late(), id.clone());
    let lake: Arc<dyn Lookup> = Arc::new(SessionLookup::new(session.clone()));
    let rendered = tokio::task::spawn_blocking(move || render(&late, &id, &lake)).await;
    rendered.expect("rendering a template does not panic").map_err(first_error)
}
