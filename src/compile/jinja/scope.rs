//! What does a template see while it renders?
//!
//! A [`Scope`] is one node's world: the facts of the project ([`Given`]), the node's own
//! ([`Subject`]) and the [`Phase`]. In the parse phase `ref`, `source` and `config` are recorded;
//! in the compile phase they are answered from what `resolve` found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use chrono::{DateTime, Utc};
use minijinja::Value;
use minijinja::value::{Enumerator, Object};
use serde_json::Value as Json;

use crate::base::{Message, TableName};
use crate::project::{Edition, Settings, Target};

use super::answers::HERE;
use super::blocks::MacroBlock;
use super::functions;
use super::macros::{INTERNAL, MacroLibrary, MacroValue};
use super::relation::Relation;
use super::values;
use crate::compile::batch::Window;
use crate::compile::lookup::Lookup;

/// What every template of a project is given.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) project: String,
    pub(crate) target: Target,
    /// The vars that each package sees.
    pub(crate) vars: BTreeMap<String, BTreeMap<String, Json>>,
    /// What was asked of elt: `build`, `test`, `compile` …
    pub(crate) command: String,
    /// `graph`, once the names are resolved.
    pub(crate) graph: Arc<Graph>,
    /// `selected_resources`, once a selection is made.
    pub(crate) selected: Arc<OnceLock<Value>>,
    pub(crate) env: Arc<BTreeMap<String, String>>,
    pub(crate) full_refresh: bool,
    pub(crate) empty: bool,
    pub(crate) store_failures: bool,
    pub(crate) run_id: String,
    pub(crate) run_started_at: DateTime<Utc>,
}

/// `graph`: large, and made when a template first looks at it.
#[derive(Default)]
pub(crate) struct Graph {
    make: OnceLock<Box<dyn Fn() -> Json + Send + Sync>>,
    made: OnceLock<Value>,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph").field("is_made", &self.made.get().is_some()).finish_non_exhaustive()
    }
}

impl Graph {
    /// Says how it is made. A second compile of the same templates does not happen.
    pub(crate) fn set(&self, make: impl Fn() -> Json + Send + Sync + 'static) {
        let _ = self.make.set(Box::new(make));
    }

    /// What templates see; nothing before the names are resolved.
    pub(super) fn get(&self) -> Option<Value> {
        let make = self.make.get()?;
        Some(self.made.get_or_init(|| values::from_json(&make())).clone())
    }
}

/// The node that is rendered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    pub(crate) id: String,
    pub(crate) package: String,
    pub(crate) name: String,
    pub(crate) resource_type: &'static str,
    pub(crate) path: String,
    pub(crate) fqn: Vec<String>,
    /// Which version of a model it is, if there are several.
    pub(crate) edition: Option<Edition>,
    /// The batch that is built, of a microbatch model.
    pub(crate) batch: Option<Window>,
    /// What `this` is.
    pub(crate) this: Option<TableName>,
    pub(crate) config: Settings,
    /// Names that it has besides: those of a hook at the end of a run.
    pub(crate) given: BTreeMap<String, Json>,
    /// Whether it is a hook: what its template writes is carried out when the hook is, before the hook's own text.
    pub(crate) is_hook: bool,
    /// What is put in the place of macros and vars, in a unit test.
    pub(crate) overrides: Option<Arc<Overrides>>,
}

/// What a unit test puts in the place of macros, vars and environment variables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) macros: BTreeMap<String, Json>,
    pub(crate) vars: BTreeMap<String, Json>,
    pub(crate) env: BTreeMap<String, Json>,
}

/// `ref('model')` or `ref('package', 'model')`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RefCall {
    pub(crate) package: Option<String>,
    pub(crate) name: String,
    pub(crate) version: Option<String>,
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
    pub(crate) messages: Vec<Message>,
    /// The macros that were called, as `macro.package.name`.
    pub(crate) macros: BTreeSet<String>,
    /// Those of them that the template itself called, and no other macro.
    pub(crate) called: BTreeSet<String>,
    /// How many macros deep the rendering is.
    depth: usize,
    /// What `statement` and `run_query` brought, by name.
    pub(crate) results: BTreeMap<String, Value>,
    /// What a template added to its own names: `context.update({…})`.
    pub(super) added: BTreeMap<String, Value>,
    /// The vars whose texts are being rendered.
    pub(super) open_vars: BTreeSet<String>,
    /// Statements of a hook's template that write, in order.
    pub(crate) writes: Vec<String>,
    /// Whether `selected_resources` was looked at before a selection was made.
    pub(crate) asks_selection: bool,
    /// Whether a hook takes the node away that it belongs to.
    pub(crate) drops_itself: bool,
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
        /// Answers what is asked of the lake; nothing while a project is only compiled.
        lake: Option<Arc<dyn Lookup>>,
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

    /// Whether there is a lake to ask.
    pub(super) fn has_lake(&self) -> bool {
        matches!(self.phase, Phase::Compile { lake: Some(_), .. })
    }

    /// What `name` means in a template of `package`: a macro of that package or of the project, a function
    /// of elt, a macro that ships with elt, a package.
    pub(super) fn lookup(self: &Arc<Self>, package: &str, name: &str) -> Option<Value> {
        if let Some(added) = self.recorded().added.get(name) {
            return Some(added.clone());
        }
        let macros = &self.macros;
        let value = |block| MacroValue::value(block, self);
        let own = macros.users(package, name).map(value);
        let builtin = || match package {
            INTERNAL => macros.of(INTERNAL, name),
            _ => macros.builtin(name),
        };
        own.or_else(|| functions::value(self, name))
            .or_else(|| builtin().map(value))
            .or_else(|| functions::namespace(self, name))
    }

    /// The value that a unit test puts in the place of a macro.
    pub(super) fn replaced(&self, name: &str) -> Option<Value> {
        let value = self.subject.overrides.as_ref()?.macros.get(name)?;
        Some(values::from_json(value))
    }

    /// Writes down that a macro was called; until [`left`](Self::left), its own calls are not the template's.
    pub(super) fn called(&self, block: &MacroBlock) {
        let id = format!("macro.{}.{}", block.package, block.name);
        let mut recorded = self.recorded();
        if recorded.depth == 0 {
            recorded.called.insert(id.clone());
        }
        recorded.macros.insert(id);
        recorded.depth += 1;
    }

    /// Writes down that a macro is over.
    pub(super) fn left(&self) {
        let mut recorded = self.recorded();
        recorded.depth = recorded.depth.saturating_sub(1);
    }

    /// The vars that the node's package sees.
    pub(super) fn vars(&self) -> BTreeMap<String, Json> {
        let package =
            if self.subject.package.is_empty() { &self.given.project } else { &self.subject.package };
        let mut vars = self.given.vars.get(package).cloned().unwrap_or_default();
        if let Some(overrides) = &self.subject.overrides {
            vars.extend(overrides.vars.clone());
        }
        vars
    }
}

/// The root of a template: the scope, and what a macro call adds to it.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) scope: Arc<Scope>,
    /// The package that the template is written in.
    pub(super) package: String,
    pub(super) added: Vec<(&'static str, Value)>,
}

impl Object for Root {
    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let added = self.added.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone());
        if key == HERE {
            return Some(self.package.as_str().into());
        }
        if key == "__root" {
            return Some(Value::from_dyn_object(self.clone()));
        }
        added.or_else(|| self.scope.lookup(&self.package, key))
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
