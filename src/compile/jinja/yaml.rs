//! What does Jinja inside YAML become?

use std::sync::Arc;

use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{AutoEscape, Environment, Error, Value};

use crate::project::{RenderScope, YamlJinja};

use super::answers::{no_such_env_var, no_such_var, target_json};
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
        let prepared = Prepared::template(text, false).text;
        let template = self.env.template_from_str(&prepared).map_err(|error| sentence(&error))?;
        let asked = template.undeclared_variables(false);
        let unknown = asked.iter().find(|name| {
            let known = [
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
            !(known.contains(&name.as_str()) || arithmetic::names().any(|operator| operator == name.as_str()))
        });
        if let Some(name) = unknown {
            return Err(format!("`{name}` is not known in YAML files"));
        }
        template.render(root(scope)).map_err(|error| sentence(&error))
    }
}

fn root(scope: &RenderScope<'_>) -> Value {
    let vars = Arc::new(scope.vars.clone());
    let env = Arc::new(scope.env.clone());
    let docs = Arc::new(scope.docs.clone());
    let var = move |args: Rest<ValueOrKwargs>| -> Result<Value, Error> {
        let call = Call::of(&args);
        let name = call.text(0, "name")?;
        let found = vars.get(&name).map(values::from_json).or_else(|| call.get(1, "default").cloned());
        found.ok_or_else(|| no_such_var(&name, vars.keys().map(String::as_str)).into())
    };
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
    let mut entries: Vec<(&str, Value)> = vec![
        ("var", Value::from_function(var)),
        ("env_var", Value::from_function(env_var)),
        ("doc", Value::from_function(doc)),
        ("fromjson", Value::from_function(|args: Rest<ValueOrKwargs>| from_json(&Call::of(&args)))),
        ("fromyaml", Value::from_function(|args: Rest<ValueOrKwargs>| from_yaml(&Call::of(&args)))),
        ("tojson", Value::from_function(|args: Rest<ValueOrKwargs>| to_json(&Call::of(&args)))),
    ];
    if let Some(target) = scope.target {
        entries.push(("target", values::from_json(&target_json(target))));
    }
    Value::from_pairs(entries)
}
