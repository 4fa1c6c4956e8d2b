//! What does Jinja inside YAML become?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{AutoEscape, Environment, Error, State, Value};
use serde_json::Value as Json;

use crate::project::{RenderScope, YamlJinja};

use super::answers::{has_jinja, made_of_itself, no_such_env_var, no_such_var, target_json};
use super::arithmetic;
use super::call::Call;
use super::convert::{from_json, from_yaml, to_json};
use super::filters;
use super::mistake::{Mistake, sentence};
use super::prepare::Prepared;
use super::values;

/// The one implementation of [`YamlJinja`].
pub struct YamlRenderer {
    env: Environment<'static>,
}

impl YamlRenderer {
    /// A renderer, which may serve any number of projects.
    pub fn new() -> Self {
        let mut env = Environment::new();
        env.set_auto_escape_callback(|_| AutoEscape::None);
        env.set_unknown_method_callback(super::methods::of_value);
        filters::add(&mut env);
        Self { env }
    }
}

impl Default for YamlRenderer {
    fn default() -> Self {
        Self::new()
    }
}

impl YamlJinja for YamlRenderer {
    fn render(&self, text: &str, scope: &RenderScope<'_>) -> Result<String, String> {
        match self.rendered(text, scope)? {
            (_, Some(name)) => Err(format!("`{name}` is not known in YAML files")),
            (rendered, None) => rendered,
        }
    }

    fn render_prose(&self, text: &str, scope: &RenderScope<'_>) -> Result<String, String> {
        match self.rendered(text, scope)? {
            (Err(_), Some(_)) => Ok(text.to_owned()),
            (rendered, _) => rendered,
        }
    }
}

/// What Jinja in YAML can call or name.
const KNOWN: [&str; 13] = [
    "var",
    "env_var",
    "target",
    "doc",
    "range",
    "dict",
    "namespace",
    "__list",
    "__dict",
    "__own",
    "fromjson",
    "tojson",
    "fromyaml",
];

impl YamlRenderer {
    /// The rendered text, or why there is none, and the first name in it that nobody knows.
    fn rendered(
        &self,
        text: &str,
        scope: &RenderScope<'_>,
    ) -> Result<(Result<String, String>, Option<String>), String> {
        let prepared = Prepared::template(text, false).text;
        let template = self.env.template_from_str(&prepared).map_err(|error| sentence(&error))?;
        let is_known = |name: &String| {
            KNOWN.contains(&name.as_str()) || arithmetic::names().any(|operator| operator == name.as_str())
        };
        let unknown = template.undeclared_variables(false).into_iter().find(|name| !is_known(name));
        Ok((template.render(World::of(scope).root()).map_err(|error| sentence(&error)), unknown))
    }
}

/// What Jinja in YAML sees.
#[derive(Clone)]
struct World {
    vars: Arc<BTreeMap<String, Json>>,
    env: Arc<BTreeMap<String, String>>,
    docs: Arc<BTreeMap<String, String>>,
    target: Option<Value>,
    /// The vars whose texts are being rendered.
    open: BTreeSet<String>,
}

impl World {
    fn of(scope: &RenderScope<'_>) -> Self {
        Self {
            vars: Arc::new(scope.vars.clone()),
            env: Arc::new(scope.env.clone()),
            docs: Arc::new(scope.docs.clone()),
            target: scope.target.map(|target| values::from_json(&target_json(target))),
            open: BTreeSet::new(),
        }
    }

    fn var(&self, state: &State<'_, '_>, call: &Call) -> Result<Value, Error> {
        let name = call.text(0, "name")?;
        match (self.vars.get(&name), call.get(1, "default")) {
            (Some(Json::String(text)), _) if has_jinja(text) => {
                let mut inner = self.clone();
                if !inner.open.insert(name.clone()) {
                    return Err(made_of_itself(&name).into());
                }
                let prepared = Prepared::template(text, false).text;
                Ok(state.env().render_str(&prepared, inner.root())?.into())
            }
            (Some(value), _) => Ok(values::from_json(value)),
            (None, Some(default)) => Ok(default.clone()),
            (None, None) => Err(no_such_var(&name, self.vars.keys().map(String::as_str)).into()),
        }
    }

    fn root(self) -> Value {
        let (env, docs, target) = (self.env.clone(), self.docs.clone(), self.target.clone());
        let var = move |state: &State<'_, '_>, args: Rest<ValueOrKwargs>| self.var(state, &Call::of(&args));
        let env_var = move |args: Rest<ValueOrKwargs>| -> Result<Value, Error> {
            let call = Call::of(&args);
            let name = call.text(0, "name")?;
            let found =
                env.get(&name).map(|value| value.as_str().into()).or_else(|| call.get(1, "default").cloned());
            found.ok_or_else(|| no_such_env_var(&name).into())
        };
        let doc = move |args: Rest<ValueOrKwargs>| -> Result<Value, Error> {
            let name = args.iter().map(|arg| arg.to_string()).collect::<Vec<_>>().join(".");
            let found = docs.get(&name).map(|text| text.as_str().into());
            found.ok_or_else(|| {
                Mistake::new("elt::doc_not_found", format!("there is no docs block `{name}`")).into()
            })
        };
        let entries: Vec<(&str, Value)> = vec![
            ("var", Value::from_function(var)),
            ("env_var", Value::from_function(env_var)),
            ("doc", Value::from_function(doc)),
            ("fromjson", Value::from_function(|args: Rest<ValueOrKwargs>| from_json(&Call::of(&args)))),
            ("fromyaml", Value::from_function(|args: Rest<ValueOrKwargs>| from_yaml(&Call::of(&args)))),
            ("tojson", Value::from_function(|args: Rest<ValueOrKwargs>| to_json(&Call::of(&args)))),
        ];
        Value::from_pairs(entries.into_iter().chain(target.map(|target| ("target", target))))
    }
}
