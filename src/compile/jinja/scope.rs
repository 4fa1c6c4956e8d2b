//! What does a template see while it renders?
//!
//! A [`Scope`] is one node's world: the facts of the project ([`Given`]), the node's own
//! ([`Subject`]) and the [`Phase`]. In the parse phase `ref`, `source` and `config` are recorded;
//! in the compile phase they are answered from what `resolve` found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use minijinja::Value;
use minijinja::value::{Enumerator, Object};
use serde_json::Value as Json;

use crate::base::TableName;
use crate::project::Target;

use super::functions;
use super::macros::{MacroLibrary, MacroValue};
use super::relation::Relation;

/// What every template of a project is given.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) project: String,
    pub(crate) target: Target,
    pub(crate) vars: BTreeMap<String, Json>,
    pub(crate) env: Arc<BTreeMap<String, String>>,
    pub(crate) full_refresh: bool,
    pub(crate) run_id: String,
    pub(crate) run_started_at: DateTime<Utc>,
}

/// The node that is rendered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) resource_type: &'static str,
    pub(crate) path: String,
    pub(crate) fqn: Vec<String>,
    /// What `this` is.
    pub(crate) this: Option<TableName>,
    pub(crate) config: BTreeMap<String, Json>,
}

/// `ref('model')` or `ref('package', 'model')`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RefCall {
    pub(crate) package: Option<String>,
    pub(crate) name: String,
}

/// `source('source', 'table')`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SourceCall {
    pub(crate) source: String,
    pub(crate) table: String,
}

/// What the parse phase learns from a template.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) refs: Vec<RefCall>,
    pub(crate) sources: Vec<SourceCall>,
    /// Each key of each `config()`, in order.
    pub(crate) config: Vec<(String, Json)>,
    /// What `exceptions.warn` said.
    pub(crate) warnings: Vec<String>,
    /// What `log(…, info=true)` and `print` said.
    pub(crate) messages: Vec<String>,
}

/// Which of the two renders this is.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// Names are recorded; `execute` is false.
    Parse,
    /// Names are answered; `execute` is true.
    Compile {
        refs: BTreeMap<RefCall, Relation>,
        sources: BTreeMap<SourceCall, Relation>,
        is_incremental: bool,
    },
}

/// One node's world, and what was recorded in it.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) given: Arc<Given>,
    pub(super) macros: Arc<MacroLibrary>,
    pub(crate) subject: Subject,
    pub(crate) phase: Phase,
    recorded: Mutex<Recorded>,
}

impl Scope {
    pub(super) fn new(
        given: Arc<Given>,
        macros: Arc<MacroLibrary>,
        subject: Subject,
        phase: Phase,
    ) -> Arc<Self> {
        Arc::new(Self { given, macros, subject, phase, recorded: Mutex::default() })
    }

    /// What was recorded so far.
    pub(crate) fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is the compile phase.
    pub(crate) fn is_execution(&self) -> bool {
        matches!(self.phase, Phase::Compile { .. })
    }

    /// What `name` means: a macro of the project, a function of elt, a macro that ships with elt.
    pub(super) fn lookup(self: &Arc<Self>, name: &str) -> Option<Value> {
        let of_project = self.macros.of_project(name).map(|block| MacroValue::value(block, self));
        of_project
            .or_else(|| functions::value(self, name))
            .or_else(|| self.macros.builtin(name).map(|block| MacroValue::value(block, self)))
    }
}

/// The root of a template: the scope, and what a macro call adds to it.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) scope: Arc<Scope>,
    pub(super) added: Vec<(&'static str, Value)>,
}

impl Object for Root {
    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let added = self.added.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone());
        added.or_else(|| self.scope.lookup(key))
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

/// Every name a template may call, for suggestions.
pub(super) fn callable_names(macros: &MacroLibrary) -> Vec<String> {
    let names: BTreeSet<String> =
        macros.names().map(str::to_owned).chain(functions::names().map(str::to_owned)).collect();
    names.into_iter().collect()
}
