//! What stands behind the names of dbt that are more than values?

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

use crate::base::did_you_mean;

use super::call::Call;
use super::functions::{self, PartSpec, Run};
use super::macros::{INTERNAL, MacroValue};
use super::mistake::Mistake;
use super::scope::Scope;
use super::values;

#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) run: Run,
    pub(super) scope: Arc<Scope>,
}

impl Object for Function {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        (self.run)(&self.scope, &Call::read(args), state)
    }

    /// dbt's own functions know the project: packages ask `builtins.ref.config.project_name`.
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let project = self.scope.given.project.as_str();
        (key.as_str()? == "config").then(|| values::dict([("project_name".into(), project.into())]))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<function {}>", self.name)
    }
}

pub(super) struct Part {
    pub(super) spec: &'static PartSpec,
    pub(super) scope: Arc<Scope>,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.spec.name)
    }
}

impl Object for Part {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    /// Its methods are values too: `builtins.ref is defined`.
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let (name, run) = self.spec.methods.iter().find(|(name, _)| Some(*name) == key.as_str())?;
        Some(Value::from_object(Function { name, run: *run, scope: self.scope.clone() }))
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        match self.spec.run {
            Some(run) => run(&self.scope, &Call::read(args), state),
            None => Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("`{}` is not a function", self.spec.name),
            )),
        }
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let name = self.spec.name;
        match self.spec.methods.iter().find(|(known, _)| *known == method) {
            Some((_, run)) => run(&self.scope, &Call::read(args), state),
            None if method == "get" && self.spec.run.is_none() => {
                let found = args.first().and_then(|key| self.get_value(key));
                Ok(found.or_else(|| args.get(1).cloned()).unwrap_or(Value::from(())))
            }
            None => Err(Mistake::unsupported(
                format!("`{name}.{method}()`"),
                "elt does not know this method of dbt's",
            )
            .maybe_help(did_you_mean(method, self.spec.methods.iter().map(|(known, _)| *known)))
            .into()),
        }
    }
}

/// `dbt.…`, `dbt_utils.…` and `<project>.…`: the macros of one package.
#[derive(Debug)]
pub(super) struct MacroNamespace {
    pub(super) scope: Arc<Scope>,
    pub(super) package: String,
}

impl MacroNamespace {
    fn find(&self, name: &str) -> Option<Value> {
        let macros = &self.scope.macros;
        let block = match self.package.as_str() {
            INTERNAL => macros.dispatch(name, Some(INTERNAL), &[], INTERNAL),
            package => macros.of(package, name),
        };
        let functions = || (self.package == INTERNAL).then(|| functions::value(&self.scope, name)).flatten();
        block.map(|block| MacroValue::value(block, &self.scope)).or_else(functions)
    }
}

impl Object for MacroNamespace {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.find(key.as_str()?)
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        if method == "get" && self.find("get").is_none() {
            let found = args.first().and_then(|key| self.find(key.as_str()?));
            return Ok(found.or_else(|| args.get(1).cloned()).unwrap_or(Value::from(())));
        }
        if let Some(found) = self.find(method) {
            return found.call(state, args);
        }
        let macros = self.scope.macros.package(&self.package);
        let known = macros.map(|macros| macros.keys().map(String::as_str).collect::<Vec<_>>());
        let package = &self.package;
        Err(Mistake::new("elt::macro_not_found", format!("the package `{package}` has no macro `{method}`"))
            .help(format!("look it up in the macros of the installed version of `{package}`"))
            .maybe_help(did_you_mean(method, known.unwrap_or_default()))
            .into())
    }
}

/// `context`: every name that a template sees, by the text of it.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) scope: Arc<Scope>,
}

impl Object for Context {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.scope.lookup(&self.scope.given.project, key.as_str()?)
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        match (method, args) {
            ("get", [key, rest @ ..]) => {
                Ok(self.get_value(key).or_else(|| rest.first().cloned()).unwrap_or(Value::from(())))
            }
            ("update", [names]) => {
                let names = values::entries(names).into_iter().map(|(key, value)| (key.to_string(), value));
                self.scope.recorded().added.extend(names);
                Ok(Value::from(()))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

/// A name of dbt's that elt has nothing behind: any use of it is an error.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) name: String,
}

impl Refused {
    fn error(&self) -> Error {
        Mistake::unsupported(
            format!("`{}` in templates", self.name),
            "instead write out what it would give, or use a var",
        )
        .into()
    }
}

impl Object for Refused {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(Value::from_object(Self { name: format!("{}.{}", self.name, key.as_str()?) }))
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, _: &[Value]) -> Result<Value, Error> {
        Err(self.error())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, _: &str, _: &[Value]) -> Result<Value, Error> {
        Err(self.error())
    }

    // To be written out is a use too.
    fn render(self: &Arc<Self>, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Err(std::fmt::Error)
    }
}
