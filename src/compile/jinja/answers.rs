//! What does a template get when it asks for a name, a setting or a macro?
//!
//! While parsing, names are written down and stand-ins given; after it, the resolved names are.
//! What asks the lake is in [`lake`](super::lake).

use std::sync::Arc;

use minijinja::{Error, State, Value};
use serde_json::Value as Json;

use crate::base::{Message, TableName, did_you_mean};
use crate::project::conflicting_hooks;

use super::call::Call;
use super::lake::needs_lake;
use super::macros::MacroValue;
use super::mistake::Mistake;
use super::prepare::Prepared;
use super::relation::Relation;
use super::scope::{Phase, RefCall, Scope, SourceCall};
use super::{root, values};

/// The name under which a template finds the package it is written in.
pub(super) const HERE: &str = "__package";

pub(super) fn reference(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    if let Some(unknown) = call.order.iter().find(|name| !matches!(name.as_str(), "v" | "version")) {
        return Err(Mistake::new("elt::jinja", format!("ref() takes no keyword argument `{unknown}`"))
            .help("it takes a name, or a package and a name, and `v` or `version`")
            .into());
    }
    let version = ["v", "version"].iter().find_map(|name| call.named.get(*name)).filter(|v| !v.is_none());
    let version = version.map(Value::to_string);
    let wanted = match call.positional.as_slice() {
        [name] => RefCall { package: None, name: name.to_string(), version },
        [package, name] => RefCall { package: Some(package.to_string()), name: name.to_string(), version },
        _ => {
            let mistake =
                Mistake::new("elt::jinja", "ref() takes the name of a model, or a package and a name");
            return Err(mistake.help("write `ref('model')`").into());
        }
    };
    match &scope.phase {
        Phase::Parse => {
            let name = wanted.name.clone();
            scope.recorded().refs.push(wanted);
            Ok(stand_in(&scope.given.target.schema, &name))
        }
        Phase::Compile { refs, .. } => match refs.get(&wanted) {
            Some(relation) => Ok(Value::from_object(relation.clone())),
            None => Err(late_name(&format!("ref('{}')", wanted.name))),
        },
    }
}

pub(super) fn source(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let [source, table] = call.positional.as_slice() else {
        let mistake =
            Mistake::new("elt::jinja", "source() takes the name of a source and that of one of its tables");
        return Err(mistake.help("write `source('source', 'table')`").into());
    };
    let wanted = SourceCall { source: source.to_string(), table: table.to_string() };
    match &scope.phase {
        Phase::Parse => {
            let relation = stand_in(&wanted.source, &wanted.table);
            scope.recorded().sources.push(wanted);
            Ok(relation)
        }
        Phase::Compile { sources, .. } => match sources.get(&wanted) {
            Some(relation) => Ok(Value::from_object(relation.clone())),
            // As in dbt, a source that is only reached now needs no line that names it before.
            None if !scope.has_lake() => Err(needs_lake()),
            None => Err(late_name(&format!("source('{}', '{}')", wanted.source, wanted.table))),
        },
    }
}

/// What a name stands for while names are only recorded.
fn stand_in(schema: &str, table: &str) -> Value {
    let relation = match TableName::new(schema, table) {
        Ok(name) => Relation::Table(name),
        Err(_) => Relation::Part(format!("{schema}.{table}")),
    };
    Value::from_object(relation)
}

fn late_name(call: &str) -> Error {
    Mistake::new(
        "elt::late_ref",
        format!("`{call}` is only reached once `execute` is true, so the graph does not know it"),
    )
    .help(format!("add the line `-- depends_on: {{{{ {call} }}}}` outside the condition"))
    .into()
}

pub(super) fn this(scope: &Arc<Scope>) -> Value {
    match &scope.subject.this {
        Some(name) => Value::from_object(Relation::Table(name.clone())),
        None => stand_in(&scope.given.target.schema, &scope.subject.name),
    }
}

pub(super) fn is_incremental(scope: &Arc<Scope>, _: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    if let Some(value) = scope.replaced("is_incremental") {
        return Ok(value);
    }
    Ok(matches!(scope.phase, Phase::Compile { is_incremental: true, .. }).into())
}
pub(super) fn config(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let positional =
        call.positional.iter().flat_map(values::entries).map(|(key, value)| (key.to_string(), value));
    let named = call.order.iter().filter_map(|key| Some((key.clone(), call.named.get(key)?.clone())));
    let all: Vec<(String, Json)> =
        positional.chain(named).map(|(key, value)| (key, values::to_json(&value))).collect();
    if let Some((old, new)) = conflicting_hooks(all.iter().map(|(key, _)| key.as_str())) {
        return Err(Mistake::new(
            "elt::config",
            format!("Invalid config, has conflicting keys \"{old}\" and \"{new}\""),
        )
        .help("they are two spellings of one setting; keep one, with a list if there are several hooks")
        .into());
    }
    scope.recorded().config.extend(all);
    Ok(Value::from(""))
}

fn configured(scope: &Arc<Scope>, key: &str) -> Option<Value> {
    let config = &scope.subject.config;
    // dbt keeps hooks under the spelling that is no word of Python's.
    let value = config.get(key).or_else(|| config.get(&crate::project::canonical(key)));
    match value.filter(|value| !value.is_null()) {
        Some(Json::String(tag)) if key == "tags" => Some(values::list([tag.as_str().into()])),
        Some(value) => Some(values::from_json(value)),
        // A setting that dbt knows is there, be it null.
        None => super::defaults::of(scope.subject.resource_type).get(key).map(values::from_json),
    }
}

pub(super) fn config_get(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let found = configured(scope, &call.text(0, "name")?);
    Ok(found.or_else(|| call.get(1, "default").cloned()).unwrap_or(Value::from(())))
}

pub(super) fn config_require(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let key = call.text(0, "name")?;
    match configured(scope, &key) {
        Some(value) => Ok(value),
        None if !scope.is_execution() => Ok(Value::from("")),
        None => {
            Err(Mistake::new("elt::config", format!("the config `{key}` is required here and is not set"))
                .help(format!("set it: `{{{{ config({key}=…) }}}}`"))
                .into())
        }
    }
}

/// `var('name', default)`. A text with Jinja in it is rendered where it is asked for, as in dbt.
pub(super) fn var(scope: &Arc<Scope>, call: &Call, state: &mut State<'_, '_>) -> Result<Value, Error> {
    let name = call.text(0, "name")?;
    let vars = scope.vars();
    match (vars.get(&name), call.get(1, "default")) {
        (Some(Json::String(text)), _) if has_jinja(text) => {
            if !scope.recorded().open_vars.insert(name.clone()) {
                return Err(made_of_itself(&name).into());
            }
            let prepared = Prepared::template(text, false).text;
            let rendered = state.env().render_str(&prepared, root(scope));
            scope.recorded().open_vars.remove(&name);
            Ok(rendered?.into())
        }
        (Some(value), _) => Ok(values::from_json(value)),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) => Err(no_such_var(&name, vars.keys().map(String::as_str)).into()),
    }
}

/// Whether a text of YAML has something to render in it.
pub(super) fn has_jinja(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// The mistake of a var whose text asks for the var.
pub(super) fn made_of_itself(name: &str) -> Mistake {
    Mistake::new("elt::var_in_itself", format!("the var `{name}` is made of itself"))
        .help("write what it is under `vars:` of dbt_project.yml without `var(…)` of the same name")
}

/// The mistake of asking for a var that nobody set.
pub(super) fn no_such_var<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Mistake {
    Mistake::new("elt::var_not_found", format!("there is no var `{name}`"))
        .help(format!(
            "set it under `vars:` in dbt_project.yml or with --vars, or give a default: `var('{name}', …)`"
        ))
        .maybe_help(did_you_mean(name, known))
}

pub(super) fn env_var(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let name = call.text(0, "name")?;
    if let Some(value) = scope.subject.overrides.as_ref().and_then(|overrides| overrides.env.get(&name)) {
        return Ok(values::from_json(value));
    }
    if name.starts_with(SECRET) {
        return Err(secret(&name).into());
    }
    match (scope.given.env.get(&name), call.get(1, "default")) {
        (Some(value), _) => Ok(value.as_str().into()),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) => Err(no_such_env_var(&name).into()),
    }
}

/// How the names of variables begin that nobody is to read.
const SECRET: &str = "DBT_ENV_SECRET";

/// The mistake of putting a secret where it is written down: into SQL, which is kept with what it makes.
fn secret(name: &str) -> Mistake {
    Mistake::new(
        "elt::secret",
        format!("Secret env vars are allowed only in profiles.yml or packages.yml. Found '{name}' referenced elsewhere."),
    )
    .help("SQL is written into artifacts and into the lake; give what is no secret another name")
}

/// The mistake of asking for an environment variable that is not set.
pub(super) fn no_such_env_var(name: &str) -> Mistake {
    Mistake::new("elt::env_var_not_found", format!("the environment variable `{name}` is not set"))
        .help(format!("set it, or give a default: `env_var('{name}', '…')`"))
}

pub(super) fn target(scope: &Arc<Scope>) -> Value {
    let target = &scope.given.target;
    values::from_json(&target_json(target))
}

/// `target` as templates see it: everything the profile's output says, and what elt takes from it.
pub(super) fn target_json(target: &crate::project::Target) -> Json {
    let mut json = target.raw.clone();
    let facts = [
        ("name", target.name.as_str().into()),
        ("target_name", target.name.as_str().into()),
        ("profile_name", target.profile.as_str().into()),
        ("schema", target.schema.as_str().into()),
        ("type", target.engine.as_str().into()),
        ("threads", target.threads.unwrap_or(1).into()),
        ("database", super::relation::DATABASE.into()),
        ("dbname", super::relation::DATABASE.into()),
    ];
    json.extend(facts.map(|(key, value): (&str, Json)| (key.to_owned(), value)));
    Json::Object(json)
}

pub(super) fn dispatch(scope: &Arc<Scope>, call: &Call, state: &mut State<'_, '_>) -> Result<Value, Error> {
    let name = call.text(0, "macro_name")?;
    let namespace = call.get(1, "macro_namespace").filter(|value| value.as_str().is_some());
    let namespace = namespace.map(Value::to_string);
    let packages =
        call.named.get("packages").or_else(|| call.positional.get(1).filter(|v| v.as_str().is_none()));
    let packages: Vec<String> = match packages {
        Some(list) if !list.is_none() => values::items(list)?.iter().map(Value::to_string).collect(),
        _ => Vec::new(),
    };
    let here = state.lookup(HERE).map(|here| here.to_string()).unwrap_or_default();
    match scope.macros.dispatch(&name, namespace.as_deref(), &packages, &here) {
        Some(block) => Ok(MacroValue::value(block, scope)),
        None => {
            Err(Mistake::new("elt::macro_not_found", format!("there is no macro `{name}` to dispatch to"))
                .help(format!("define `elt__{name}` or `default__{name}` in a file under macros/"))
                .into())
        }
    }
}

pub(super) fn log(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    if call.get(1, "info").is_some_and(Value::is_true) && scope.is_execution() {
        let text = call.text(0, "msg")?;
        scope.recorded().messages.push(Message::Logged(text));
    }
    Ok(Value::from(""))
}
