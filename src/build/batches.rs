//! How is a microbatch model made?

use std::sync::Arc;

use crate::build::basis::basis;
use crate::build::executed::Executed;
use crate::build::materialize::{Made, Making};
use crate::build::plan::{Action, PlannedStep};
use crate::build::report::Batches;
use crate::build::run::Inputs;
use crate::build::step::{Done, What, render_late};
use crate::build::{BuildError, Kept, expectation};
use crate::compile::{Late, Lookup, NodeId, Window};
use crate::query::{Limits, Session};

/// Makes a microbatch model batch by batch, each on top of those before it. A batch that fails is left out, and
/// the others go on; only the first must not fail, as it may have to make the table.
pub(super) async fn make(
    inputs: &Inputs<'_>,
    session: &Session,
    step: &PlannedStep,
    window: &Window,
    executed: &Executed,
) -> Result<Done, BuildError> {
    let name = inputs.manifest.node(&step.node).relation.as_ref().expect("a model that is made has a name");
    let mut session = session.clone();
    let mut action = step.action;
    let (mut made, mut told, mut failed) = (None, Batches::default(), None);
    let (mut late, mut messages) = (None, Vec::new());
    let (mut kept, mut beside) = (Vec::new(), None);
    for batch in window.batches() {
        let stretch = (batch.start, batch.end);
        let is_incremental = action == Action::ReplaceRows;
        let compiled = move |late: &Late, id: &NodeId, lake: &Arc<dyn Lookup>| {
            late.compile_batch(id, batch, is_incremental, lake)
        };
        let (node, said) = render_late(inputs.manifest, &session, &step.node, compiled).await?;
        messages.extend(said);
        let made_batch = async {
            let checked = expectation::check(&session, &node, action).await?;
            let (session, made_of) = match &checked {
                Some(checked) => (&checked.session, &checked.node),
                None => (&session, &node),
            };
            let (manifest, now) = (inputs.manifest, inputs.started);
            let making = Making { session, manifest, node: made_of, action, now, executed };
            let made = Box::pin(making.make()).await?;
            Ok((made, checked.map(|checked| (checked.kept, checked.quarantine))))
        };
        let made_batch = Box::pin(made_batch).await;
        let made_batch = made_batch.map(|(made, checked)| {
            if let Some((counted, quarantine)) = checked {
                add_up(&mut kept, counted);
                if let Some((name, made)) = quarantine {
                    if let Made::Table(change) = &made {
                        let scope = session.scope().clone().with_change(Arc::clone(change));
                        session = Session::new(scope, inputs.default_schema, Limits::default());
                    }
                    beside = Some((name, made));
                }
            }
            made
        });
        match made_batch {
            Ok(Made::Table(change)) => {
                let change = match session.scope().change(name).cloned() {
                    Some(before) => Arc::new(Arc::unwrap_or_clone(before).then(Arc::unwrap_or_clone(change))),
                    None => change,
                };
                let scope = session.scope().clone().with_change(Arc::clone(&change));
                session = Session::new(scope, inputs.default_schema, Limits::default());
                made = Some(Made::Table(change));
                told.successful.push(stretch);
                action = Action::ReplaceRows;
            }
            Ok(Made::View(_)) => unreachable!("a microbatch model is a table"),
            Err(error) if made.is_none() && told.failed.is_empty() && !is_incremental => return Err(error),
            Err(error) => {
                told.failed.push(stretch);
                failed.get_or_insert(error);
            }
        }
        late = Some(node);
    }
    if let (None, Some(error)) = (&made, failed.take_if(|_| made.is_none())) {
        return Err(error);
    }
    let node = late.as_ref().unwrap_or(inputs.manifest.node(&step.node));
    let basis = basis(inputs, session.scope(), node);
    Ok(Done { what: What::Batches(made, told, failed), late, messages, basis, kept, beside })
}

/// Adds the counts of one batch to those of the batches before it.
fn add_up(whole: &mut Vec<Kept>, part: Vec<Kept>) {
    if whole.is_empty() {
        *whole = part;
        return;
    }
    for (whole, part) in whole.iter_mut().zip(part) {
        whole.violated += part.violated;
        whole.rows += part.rows;
    }
}
