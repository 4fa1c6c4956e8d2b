//! How is a macro called?
//!
//! Each macro is a template of its own, compiled once. A call renders that template in the scope
//! of the node that calls, takes the macro out of it and runs it. That gives what the library's
//! own macros lack: any macro sees any other, `return()` with a value, `varargs` and `kwargs`, and
//! `caller()` across templates.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Kwargs, Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

use super::blocks::MacroBlock;
use super::call::Call;
use super::mistake::{Mistake, cause, displaced};
use super::scope::{Root, Scope};
use super::values;

/// All macros of a project, and those that ship with elt.
#[derive(Debug, Default)]
pub(super) struct MacroLibrary {
    project: BTreeMap<String, Arc<MacroBlock>>,
    builtin: BTreeMap<String, Arc<MacroBlock>>,
}

impl MacroLibrary {
    /// Adds a macro; returns the one that already has its name, if there is one.
    pub(super) fn add(&mut self, block: Arc<MacroBlock>) -> Option<Arc<MacroBlock>> {
        let of = if block.is_builtin { &mut self.builtin } else { &mut self.project };
        if let Some(twin) = of.get(&block.name) {
            return Some(twin.clone());
        }
        of.insert(block.name.clone(), block);
        None
    }

    pub(super) fn of_project(&self, name: &str) -> Option<&Arc<MacroBlock>> {
        self.project.get(name)
    }

    pub(super) fn builtin(&self, name: &str) -> Option<&Arc<MacroBlock>> {
        self.builtin.get(name)
    }

    /// The macro `name`; the project's own wins.
    pub(super) fn find(&self, name: &str) -> Option<&Arc<MacroBlock>> {
        self.of_project(name).or_else(|| self.builtin(name))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.project.keys().chain(self.builtin.keys()).map(String::as_str)
    }

    /// What `adapter.dispatch(name, namespace)` finds: `elt__name`, then `default__name`, first in
    /// the project and then in elt; for the namespace `dbt` also elt's own `name`.
    pub(super) fn dispatch(&self, name: &str) -> Option<&Arc<MacroBlock>> {
        let prefixed = |of: &'_ Self, builtin: bool| {
            ["elt__", "default__"].iter().find_map(|prefix| {
                let full = format!("{prefix}{name}");
                if builtin { of.builtin.get_key_value(&full) } else { of.project.get_key_value(&full) }
                    .map(|(key, _)| key.clone())
            })
        };
        let key =
            prefixed(self, false).map(|key| (key, false)).or_else(|| prefixed(self, true).map(|k| (k, true)));
        match key {
            Some((key, false)) => self.project.get(&key),
            Some((key, true)) => self.builtin.get(&key),
            None => self.builtin(name),
        }
    }
}

/// The name of a macro's template.
pub(super) fn template_name(block: &MacroBlock) -> String {
    let owner = if block.is_builtin { "elt" } else { "project" };
    format!("macro {owner}.{}", block.name)
}

/// The value that `return(value)` throws and the macro that is being called catches.
#[derive(Debug)]
struct Returned(Value);

impl fmt::Display for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`return()` outside a macro")
    }
}

impl std::error::Error for Returned {}

/// `return(value)`.
pub(super) fn throw(value: Value) -> Error {
    Error::new(ErrorKind::InvalidOperation, "`return()` outside a macro").with_source(Returned(value))
}

/// A macro in the scope of the node that may call it.
#[derive(Debug)]
pub(super) struct MacroValue {
    block: Arc<MacroBlock>,
    scope: Arc<Scope>,
}

impl MacroValue {
    pub(super) fn value(block: &Arc<MacroBlock>, scope: &Arc<Scope>) -> Value {
        Value::from_object(Self { block: block.clone(), scope: scope.clone() })
    }

    fn run(&self, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let mut arguments = Arguments::sort(&self.block.parameters, args, state)?;
        let root = Root { scope: self.scope.clone(), added: std::mem::take(&mut arguments.root) };
        let template = state.env().get_template(&template_name(&self.block))?;
        let mut rendered = template.render_captured(Value::from_object(root))?;
        rendered.with_state_mut(|inner| {
            let found = inner.lookup(&self.block.name);
            let found = found.ok_or_else(|| Mistake::new("elt::jinja", "this macro defines itself away"))?;
            // The library's macro takes a caller only if it calls one.
            let takes_caller = found.get_attr("caller").is_ok_and(|takes| takes.is_true());
            found.call(inner, &arguments.passed(takes_caller))
        })
    }
}

/// Arguments as the library's macro takes them, and those it has no parameter for.
struct Arguments {
    positional: Vec<Value>,
    named: Vec<(String, Value)>,
    /// The text of the call block, if the macro is called with one.
    caller: Option<Value>,
    root: Vec<(&'static str, Value)>,
}

impl Arguments {
    fn sort(parameters: &[String], args: &[Value], state: &mut State<'_, '_>) -> Result<Self, Error> {
        let mut call = Call::read(args);
        // A call block belongs to the state it was written in, so it is evaluated there, once.
        let caller = match call.named.remove("caller") {
            Some(caller) => Some(caller.call(state, &[])?),
            None => None,
        };
        let surplus = call.positional.split_off(call.positional.len().min(parameters.len()));
        let order = std::mem::take(&mut call.order);
        let all = order.into_iter().filter_map(|name| call.named.remove_entry(&name));
        let (named, unknown): (Vec<_>, Vec<_>) = all.partition(|(name, _)| parameters.contains(name));
        let root = vec![
            ("varargs", values::list(surplus)),
            ("kwargs", values::dict(unknown.into_iter().map(|(name, value)| (name.into(), value)))),
        ];
        Ok(Self { positional: call.positional, named, caller, root })
    }

    fn passed(self, with_caller: bool) -> Vec<Value> {
        let mut passed = self.positional;
        let mut named = self.named;
        if let Some(text) = self.caller.filter(|_| with_caller) {
            named.push(("caller".to_owned(), Value::from_function(move || text.clone())));
        }
        if !named.is_empty() {
            passed.push(Value::from(Kwargs::from_iter(named)));
        }
        passed
    }
}

impl Object for MacroValue {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        self.run(state, args).or_else(|error| match cause::<Returned>(&error) {
            Some(Returned(value)) => Ok(value.clone()),
            // What goes wrong inside elt's own macros is shown where the user calls them.
            None if self.block.is_builtin => Err(displaced(&error)),
            None => Err(error),
        })
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str()? == "name").then(|| self.block.name.as_str().into())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<macro {}>", self.block.name)
    }
}
