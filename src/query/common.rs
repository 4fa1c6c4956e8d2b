//! What have the sessions of a lake in common?
//!
//! Functions, rules and planners: some thousand things, which take longer to make than most statements take to answer. They are made
//! once for all who read the tables of a lake ([`Tables::made`](crate::table::Tables::made)), and a session begins with a copy.
//!
//! Not here: what depends on who asks, and on what is seen (`session`).

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::own::Own;
use super::types::LakeTypes;
use super::{asof, join_order, mend, planner, shared};

/// What a session begins with, in a lake on this machine or elsewhere.
pub(super) fn state(runtime: Arc<RuntimeEnv>, is_local: bool) -> SessionState {
    let state = SessionStateBuilder::new()
        .with_config(SessionConfig::new().with_create_default_catalog_and_schema(false))
        .with_runtime_env(runtime)
        .with_expr_planners(mend::planners())
        .with_default_features()
        .with_analyzer_rules(mend::analyzer_rules())
        .with_optimizer_rules(mend::optimizer_rules())
        .with_type_planner(Arc::new(LakeTypes { own: Own::default() }))
        .with_query_planner(Arc::new(planner::Planner))
        .with_relation_planners(vec![Arc::new(asof::AsOfRelations)])
        .with_physical_optimizer_rules(physical_rules(is_local))
        .build();
    let context = SessionContext::new_with_state(state);
    mend::register(&context);
    // As it is: `SessionContext::state` would begin a statement, and `now()` be that moment for good.
    context.state_ref().read().clone()
}

fn physical_rules(is_local: bool) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules: Vec<_> = PhysicalOptimizer::new().rules.into_iter().map(mend::kept_to_columns).collect();
    // After the engine has chosen sides, and before it deals rows out.
    let chosen = rules.iter().position(|rule| rule.name() == "join_selection");
    rules.insert(chosen.map_or(0, |at| at + 1), Arc::new(join_order::JoinOrder));
    rules.extend(mend::physical_rules(is_local));
    rules.push(Arc::new(mend::StepByStep { name: "sieve", instead: join_order::sieved }));
    rules.push(Arc::new(mend::StepByStep { name: "room", instead: join_order::roomy }));
    rules.push(Arc::new(shared::Once));
    rules
}

/// The same state with the types of whoever keeps this.
pub(super) fn with_types_of(state: SessionState, own: &Own) -> SessionState {
    let (scalar, higher) = (state.scalar_functions(), state.higher_order_functions());
    let (aggregate, window) = (state.aggregate_functions(), state.window_functions());
    let scalar = in_order(scalar, |function| (function.name(), function.aliases()));
    let higher = in_order(higher, |function| (function.name(), function.aliases()));
    let aggregate = in_order(aggregate, |function| (function.name(), function.aliases()));
    let window = in_order(window, |function| (function.name(), function.aliases()));
    SessionStateBuilder::new_from_existing(state)
        .with_type_planner(Arc::new(LakeTypes { own: own.clone() }))
        .with_scalar_functions(scalar)
        .with_higher_order_functions(higher)
        .with_aggregate_functions(aggregate)
        .with_window_functions(window)
        .build()
}

/// Functions each once, so that the names mean the same when they are registered in this order: who has lost a name to another comes
/// before those that have lost none.
fn in_order<F>(known: &HashMap<String, Arc<F>>, names: impl Fn(&F) -> (&str, &[String])) -> Vec<Arc<F>> {
    let lost = |function: &Arc<F>| {
        let (name, aliases) = names(function);
        let all = std::iter::once(name).chain(aliases.iter().map(String::as_str));
        all.filter(|name| !known.get(*name).is_some_and(|has| Arc::ptr_eq(has, function))).count()
    };
    // Under the first of the names that it has.
    let is_first = |at: &str, function: &Arc<F>| {
        let (name, aliases) = names(function);
        let all = std::iter::once(name).chain(aliases.iter().map(String::as_str));
        let mut has = all.filter(|name| known.get(*name).is_some_and(|has| Arc::ptr_eq(has, function)));
        has.next() == Some(at)
    };
    let each = known.iter().filter(|(name, function)| is_first(name, function));
    let mut functions: Vec<_> = each.map(|(_, function)| (lost(function), Arc::clone(function))).collect();
    functions.sort_by_key(|(lost, _)| std::cmp::Reverse(*lost));
    functions.into_iter().map(|(_, function)| function).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_the_same_when_functions_are_registered_again() {
        let before = state(Arc::default(), true);
        let after = with_types_of(before.clone(), &Own::default());
        let names = |state: &SessionState| {
            let scalar = state.scalar_functions().iter().map(|(name, of)| (name.clone(), format!("{of:?}")));
            let higher =
                state.higher_order_functions().iter().map(|(name, of)| (name.clone(), format!("{of:?}")));
            let aggregate =
                state.aggregate_functions().iter().map(|(name, of)| (name.clone(), format!("{of:?}")));
            let window = state.window_functions().iter().map(|(name, of)| (name.clone(), format!("{of:?}")));
            let mut all: Vec<_> = scalar.chain(higher).chain(aggregate).chain(window).collect();
            all.sort();
            all
        };
        let (before, after) = (names(&before), names(&after));
        assert!(before.len() > 400, "{}", before.len());
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before, after);
        }
        assert_eq!(before.len(), after.len());
    }
}
