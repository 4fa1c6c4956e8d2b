//! How is a macro found and called?
//!
//! A name means a macro of the package it is written in, then one of the project, then one that ships with
//! elt; `package.name` means that package's. `adapter.dispatch` adds dbt's search: package by package, in
//! each by prefix (`elt__`, then the dialect's, then `default__`).
//!
//! Each macro is a template of its own, compiled once. A call renders that template in the scope
//! of the node that calls, takes the macro out of it and runs it. That gives what the library's
//! own macros lack: any macro sees any other, `return()` with a value, `varargs` and `kwargs`, and
//! `caller()` across templates.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, mpsc};

use minijinja::value::{Kwargs, Object, ObjectRepr, Rest, Tuple, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::blocks::MacroBlock;
use super::call::Call;
use super::lake::NeedsLake;
use super::mistake::{Mistake, cause, displaced};
use super::scope::{Root, Scope};
use super::values;

/// The package of the macros that ship with elt, by the name that templates call it.
pub(super) const INTERNAL: &str = "dbt";

/// Macros by name.
type Macros = BTreeMap<String, Arc<MacroBlock>>;

/// All macros of a project and its packages, and those that ship with elt.
#[derive(Debug, Default)]
pub(super) struct MacroLibrary {
    root: String,
    packages: BTreeMap<String, Macros>,
    /// elt's own versions of macros of well-known packages, by package.
    overrides: BTreeMap<String, Macros>,
    /// `dispatch:` of the project.
    search: BTreeMap<String, Vec<String>>,
    /// `elt__`, the dialect's prefix, `default__`.
    prefixes: Vec<String>,
}

impl MacroLibrary {
    pub(super) fn new(root: &str, search: BTreeMap<String, Vec<String>>, dialect: &str) -> Self {
        let prefixes = ["elt".to_owned(), dialect.to_owned(), "default".to_owned()];
        Self {
            root: root.to_owned(),
            search,
            prefixes: prefixes.iter().map(|prefix| format!("{prefix}__")).collect(),
            ..Self::default()
        }
    }

    /// Adds a macro; returns the one that already has its name, if there is one.
    pub(super) fn add(&mut self, block: Arc<MacroBlock>) -> Option<Arc<MacroBlock>> {
        let of = match &block.overrides {
            Some(package) => self.overrides.entry(package.clone()).or_default(),
            None => self.packages.entry(block.package.clone()).or_default(),
        };
        if let Some(twin) = of.get(&block.name) {
            return Some(twin.clone());
        }
        of.insert(block.name.clone(), block);
        None
    }

    /// The macros of one package, by name.
    pub(super) fn package(&self, package: &str) -> Option<&Macros> {
        self.packages.get(package)
    }

    /// The macro of this name in one package.
    pub(super) fn of(&self, package: &str, name: &str) -> Option<&Arc<MacroBlock>> {
        self.packages.get(package)?.get(name)
    }

    /// What `name` means in a template of `package`, if that is a macro of the user's.
    pub(super) fn users(&self, package: &str, name: &str) -> Option<&Arc<MacroBlock>> {
        self.of(package, name).or_else(|| self.of(&self.root, name))
    }

    /// The project's own macros, each with its name less a prefix of dispatch.
    pub(super) fn own(&self) -> impl Iterator<Item = (&str, &Arc<MacroBlock>)> {
        let own = self.packages.get(&self.root).into_iter().flat_map(BTreeMap::values);
        own.map(|block| {
            let short = self.prefixes.iter().find_map(|prefix| block.name.strip_prefix(prefix.as_str()));
            (short.unwrap_or(&block.name), block)
        })
    }

    /// A macro that ships with elt, or the project's own version of it.
    pub(super) fn builtin(&self, name: &str) -> Option<&Arc<MacroBlock>> {
        let builtin = self.of(INTERNAL, name)?;
        let prefixed =
            self.prefixes.iter().find_map(|prefix| self.of(&self.root, &format!("{prefix}{name}")));
        Some(prefixed.unwrap_or(builtin))
    }

    /// The macro `name`, as the project sees it.
    pub(super) fn find(&self, name: &str) -> Option<&Arc<MacroBlock>> {
        self.of(&self.root, name).or_else(|| self.builtin(name))
    }

    /// The macro `name` anywhere: the project's, then any package's, then elt's.
    pub(super) fn anywhere(&self, name: &str) -> Option<&Arc<MacroBlock>> {
        let packages = || self.packages.iter().filter(|(package, _)| *package != INTERNAL);
        let of_package = || packages().find_map(|(_, macros)| macros.get(name));
        self.of(&self.root, name).or_else(of_package).or_else(|| self.builtin(name))
    }

    /// Every macro, once.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<MacroBlock>> {
        self.packages.values().flat_map(BTreeMap::values)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.all().map(|block| block.name.as_str())
    }

    /// What `adapter.dispatch(name, namespace)` finds, called in a template of `package`.
    ///
    /// For the namespace `dbt` that may be elt's own `name` without a prefix.
    pub(super) fn dispatch(
        &self,
        name: &str,
        namespace: Option<&str>,
        packages: &[String],
        package: &str,
    ) -> Option<&Arc<MacroBlock>> {
        let order: Vec<&str> = match namespace {
            _ if !packages.is_empty() => packages.iter().map(String::as_str).collect(),
            Some(namespace) => match self.search.get(namespace) {
                Some(order) => order.iter().map(String::as_str).collect(),
                None if self.packages.contains_key(namespace) => vec![&self.root, namespace],
                // What is no package is looked for everywhere, first where it is asked for.
                None => {
                    let others = self.packages.keys().map(String::as_str);
                    [package, &self.root].into_iter().chain(others).collect()
                }
            },
            None => vec![package, &self.root],
        };
        let in_package = |of: &str| {
            let ours = self.overrides.get(of).and_then(|ours| ours.get(&format!("elt__{name}")));
            let theirs = || self.prefixes.iter().find_map(|prefix| self.of(of, &format!("{prefix}{name}")));
            ours.or_else(theirs)
        };
        let found = order.into_iter().chain([INTERNAL]).find_map(in_package);
        found.or_else(|| self.of(INTERNAL, name))
    }
}

/// The name of a macro's template.
pub(super) fn template_name(block: &MacroBlock) -> String {
    let over = block.overrides.as_deref().unwrap_or_default();
    format!("macro {}{over}.{}", block.package, block.name)
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
        let named = format!("{}.{}", self.block.package, self.block.name);
        if let Some(value) = self.scope.replaced(&self.block.name).or_else(|| self.scope.replaced(&named)) {
            return Ok(value);
        }
        self.scope.called(&self.block);
        let done = self.run_inside(state, args);
        self.scope.left();
        done
    }

    fn run_inside(&self, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let mut arguments = Arguments::sort(&self.block, args)?;
        let env = state.env();
        let Some(caller) = arguments.caller.take() else {
            return self.render(env, arguments);
        };
        let asks_nothing = caller.get_attr("arguments").ok().and_then(|names| names.len()) == Some(0);
        if asks_nothing {
            // A call block belongs to the state it was written in, so it is evaluated there, once.
            let text = caller.call(state, &[])?;
            arguments.caller = Some(Value::from_function(move |_: Rest<Value>| text.clone()));
            return self.render(env, arguments);
        }
        // One with parameters is evaluated each time that the macro calls it, here, while the macro goes on beside.
        let (ask, asked) = mpsc::channel();
        let over = ask.clone();
        let call = move |args: Rest<ValueOrKwargs>| -> Result<Value, Error> {
            let (answer, answered) = mpsc::channel();
            let is_over =
                || Error::from(Mistake::new("elt::jinja", "`caller` is called after its macro is over"));
            ask.send(Asked::Caller(args.iter().map(|arg| Value::clone(arg)).collect(), answer))
                .map_err(|_| is_over())?;
            answered.recv().map_err(|_| is_over())?
        };
        arguments.caller = Some(Value::from_function(call));
        std::thread::scope(|threads| {
            let beside = std::thread::Builder::new().stack_size(STACK).spawn_scoped(threads, move || {
                let rendered = self.render(env, arguments);
                let _ = over.send(Asked::Nothing);
                rendered
            });
            let beside = beside.map_err(|error| {
                Mistake::new("elt::jinja", format!("no thread for a call block: {error}"))
            })?;
            while let Ok(Asked::Caller(args, answer)) = asked.recv() {
                let _ = answer.send(caller.call(state, &args));
            }
            beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn render(&self, env: &Environment<'_>, mut arguments: Arguments) -> Result<Value, Error> {
        let root = Root {
            scope: self.scope.clone(),
            package: self.block.package.clone(),
            added: std::mem::take(&mut arguments.root),
        };
        let template = env.get_template(&template_name(&self.block))?;
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

/// The stack of a thread beside which a call block is evaluated, in bytes.
const STACK: usize = 16 << 20;

/// What a macro asks of the place where it is called.
enum Asked {
    /// The text of the call block for these arguments.
    Caller(Vec<Value>, mpsc::Sender<Result<Value, Error>>),
    /// Nothing more: it is over.
    Nothing,
}

/// Arguments as the library's macro takes them, and those it has no parameter for.
struct Arguments {
    positional: Vec<Value>,
    named: Vec<(String, Value)>,
    /// What gives the text of the call block, if the macro is called with one.
    caller: Option<Value>,
    root: Vec<(&'static str, Value)>,
}

impl Arguments {
    /// Sorts what a macro is called with, and refuses what it does not take, as Jinja does.
    fn sort(block: &MacroBlock, args: &[Value]) -> Result<Self, Error> {
        let (parameters, takes) = (&block.parameters, block.takes);
        let refused = |what: String| {
            let of = match parameters.as_slice() {
                [] => "it takes no arguments".to_owned(),
                all => format!("its parameters are: {}", all.join(", ")),
            };
            Error::from(Mistake::new("elt::jinja", format!("the macro `{}` {what}", block.name)).help(of))
        };
        let mut call = Call::read(args);
        let is_parameter = parameters.iter().any(|name| name == "caller");
        let caller = match is_parameter {
            true => None,
            false => call.named.remove("caller"),
        };
        if caller.is_some() && !takes.caller {
            return Err(refused("takes no call block: it never calls `caller()`".to_owned()));
        }
        let surplus = call.positional.split_off(call.positional.len().min(parameters.len()));
        if !surplus.is_empty() && !takes.varargs {
            return Err(refused(format!("takes not more than {} argument(s)", parameters.len())));
        }
        let order = std::mem::take(&mut call.order);
        let all = order.into_iter().filter_map(|name| call.named.remove_entry(&name));
        let (named, unknown): (Vec<_>, Vec<_>) = all.partition(|(name, _)| parameters.contains(name));
        if let Some((name, _)) = unknown.first().filter(|_| !takes.kwargs) {
            return Err(refused(format!("takes no keyword argument '{name}'")));
        }
        if let Some((name, _)) =
            named.iter().find(|(name, _)| parameters[..call.positional.len()].contains(name))
        {
            return Err(refused(format!("got multiple values for argument '{name}'")));
        }
        let root = vec![
            ("varargs", Value::from(Tuple::from(surplus))),
            ("kwargs", values::dict(unknown.into_iter().map(|(name, value)| (name.into(), value)))),
        ];
        Ok(Self { positional: call.positional, named, caller, root })
    }

    fn passed(self, with_caller: bool) -> Vec<Value> {
        let mut passed = self.positional;
        let mut named = self.named;
        if let Some(caller) = self.caller.filter(|_| with_caller) {
            named.push(("caller".to_owned(), caller));
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
            None if cause::<NeedsLake>(&error).is_some() => Err(error),
            // What goes wrong inside elt's own macros is shown where the user calls them.
            None if self.block.package == INTERNAL => Err(displaced(&error)),
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
