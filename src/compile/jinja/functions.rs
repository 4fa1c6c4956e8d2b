//! Which functions does dbt give a template?
//!
//! One table, [`FUNCTIONS`]: a name and what runs when it is called. Objects with methods, such as
//! `config` and `adapter`, are rows of [`PARTS`]. What needs the lake while compiling is refused
//! here, by name and with a reason.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};
use serde_json::Value as Json;

use crate::base::{TableName, did_you_mean};

use super::call::Call;
use super::macros::{self, MacroValue};
use super::mistake::Mistake;
use super::relation::Relation;
use super::scope::{Phase, RefCall, Scope, SourceCall};
use super::time::Instant;
use super::values;
use crate::compile::sql_name::quoted;

/// What runs when a function is called.
type Run = fn(&Arc<Scope>, &Call, &mut State<'_, '_>) -> Result<Value, Error>;

/// Plain functions.
const FUNCTIONS: &[(&str, Run)] = &[
    ("ref", reference),
    ("source", source),
    ("env_var", env_var),
    ("is_incremental", is_incremental),
    ("return", |_, call, _| Err(macros::throw(call.positional.first().cloned().unwrap_or(Value::from(()))))),
    ("log", log),
    ("print", |scope, call, _| {
        scope.recorded().messages.push(call.text(0, "msg")?);
        Ok(empty())
    }),
    ("tojson", |_, call, _| to_json(call)),
    ("fromjson", |_, call, _| from_json(call)),
    ("fromyaml", |_, call, _| from_yaml(call)),
    ("set", |_, call, _| unique(call)),
    ("zip", |_, call, _| zip(call)),
    ("dict", |_, call, _| make_dict(call)),
    ("run_query", |scope, _, _| after_parse(scope, "run_query()", Value::from(()))),
    ("statement", |scope, _, _| after_parse(scope, "`{% call statement() %}`", empty())),
    ("load_result", |scope, _, _| after_parse(scope, "load_result()", Value::from(()))),
    ("store_result", |scope, _, _| after_parse(scope, "store_result()", empty())),
    ("local_md5", |_, _, _| Err(Mistake::unsupported("local_md5()", "instead use md5() in SQL").into())),
    ("doc", |_, _, _| Err(Mistake::new("elt::jinja", "doc() belongs in descriptions").help("write the text itself").into())),
];

/// An object with methods, and perhaps a call of its own.
struct PartSpec {
    name: &'static str,
    run: Option<Run>,
    methods: &'static [(&'static str, Run)],
}

const PARTS: &[PartSpec] = &[
    PartSpec {
        name: "config",
        run: Some(config),
        methods: &[
            ("get", config_get),
            ("require", config_require),
            ("persist_relation_docs", |_, _, _| Ok(false.into())),
            ("persist_column_docs", |_, _, _| Ok(false.into())),
        ],
    },
    PartSpec { name: "var", run: Some(var), methods: &[("has_var", |scope, call, _| Ok(scope.given.vars.contains_key(&call.text(0, "name")?).into()))] },
    PartSpec { name: "builtins", run: None, methods: &[("ref", reference), ("source", source), ("config", config)] },
    PartSpec {
        name: "exceptions",
        run: None,
        methods: &[
            ("raise_compiler_error", |_, call, _| Err(Mistake::new("elt::raised", call.text(0, "msg")?).into())),
            ("raise_not_implemented", |_, call, _| Err(Mistake::new("elt::raised", call.text(0, "msg")?).into())),
            ("warn", |scope, call, _| {
                scope.recorded().warnings.push(call.text(0, "msg")?);
                Ok(empty())
            }),
        ],
    },
    PartSpec {
        name: "adapter",
        run: None,
        methods: &[
            ("dispatch", dispatch),
            ("quote", |_, call, _| Ok(quoted(&call.text(0, "identifier")?).into())),
            ("type", |scope, _, _| Ok(scope.given.target.engine.as_str().into())),
            ("get_columns_in_relation", |scope, _, _| {
                after_parse(scope, "adapter.get_columns_in_relation()", values::list([]))
            }),
            ("get_relation", |scope, _, _| after_parse(scope, "adapter.get_relation()", Value::from(()))),
            ("load_relation", |scope, _, _| after_parse(scope, "adapter.load_relation()", Value::from(()))),
            ("get_missing_columns", |scope, _, _| after_parse(scope, "adapter.get_missing_columns()", values::list([]))),
            ("list_relations_without_caching", |scope, _, _| {
                after_parse(scope, "adapter.list_relations_without_caching()", values::list([]))
            }),
            ("check_schema_exists", |scope, _, _| after_parse(scope, "adapter.check_schema_exists()", true.into())),
            ("create_schema", |scope, _, _| after_parse(scope, "adapter.create_schema()", empty())),
            ("drop_relation", |scope, _, _| after_parse(scope, "adapter.drop_relation()", empty())),
            ("execute", |scope, _, _| after_parse(scope, "adapter.execute()", Value::from(()))),
        ],
    },
    PartSpec {
        name: "datetime",
        run: None,
        methods: &[("now", now), ("utcnow", now), ("today", today)],
    },
];

/// The names a template may call.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, _)| *name).chain(PARTS.iter().map(|part| part.name))
}

/// What `name` means in every template, if it is one of elt's own names.
pub(super) fn value(scope: &Arc<Scope>, name: &str) -> Option<Value> {
    if let Some((name, run)) = FUNCTIONS.iter().find(|(known, _)| *known == name) {
        return Some(Value::from_object(Function { name, run: *run, scope: scope.clone() }));
    }
    if name != "datetime"
        && let Some(part) = part(scope, name)
    {
        return Some(part);
    }
    let given = &scope.given;
    Some(match name {
        "this" => this(scope),
        "target" => target(scope),
        "model" | "node" => model(scope),
        "execute" => scope.is_execution().into(),
        "flags" => values::from_json(&serde_json::json!({
            "FULL_REFRESH": given.full_refresh, "WHICH": "build", "STORE_FAILURES": false, "EMPTY": false,
        })),
        "run_started_at" => Value::from_object(Instant { at: given.run_started_at, date_only: false }),
        "invocation_id" => given.run_id.as_str().into(),
        "project_name" => given.project.as_str().into(),
        "schema" => given.target.schema.as_str().into(),
        "database" => Value::from(()),
        "dbt_version" => "1.10.0".into(),
        "modules" => modules(scope),
        "dbt" => Value::from_object(MacroNamespace { scope: scope.clone(), is_builtin: true }),
        name if name == given.project => Value::from_object(MacroNamespace { scope: scope.clone(), is_builtin: false }),
        "graph" | "api" | "selected_resources" | "database_schemas" | "schemas" | "results" => {
            Value::from_object(Refused { name: name.to_owned() })
        }
        _ => return None,
    })
}

fn empty() -> Value {
    Value::from("")
}

fn part(scope: &Arc<Scope>, name: &str) -> Option<Value> {
    let spec = PARTS.iter().find(|part| part.name == name)?;
    Some(Value::from_object(Part { spec, scope: scope.clone() }))
}

// Names.

fn reference(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    if ["v", "version"].iter().any(|name| call.named.get(*name).is_some_and(|v| !v.is_none())) {
        return Err(Mistake::unsupported("versions of models", "instead give each version a name of its own").into());
    }
    let wanted = match call.positional.as_slice() {
        [name] => RefCall { package: None, name: name.to_string() },
        [package, name] => RefCall { package: Some(package.to_string()), name: name.to_string() },
        _ => {
            let mistake = Mistake::new("elt::jinja", "ref() takes the name of a model, or a package and a name");
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

fn source(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let [source, table] = call.positional.as_slice() else {
        let mistake = Mistake::new("elt::jinja", "source() takes the name of a source and that of one of its tables");
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
    Mistake::new("elt::late_ref", format!("`{call}` is only reached once `execute` is true, so the graph does not know it"))
        .help(format!("add the line `-- depends_on: {{{{ {call} }}}}` outside the condition"))
        .into()
}

fn this(scope: &Arc<Scope>) -> Value {
    match &scope.subject.this {
        Some(name) => Value::from_object(Relation::Table(name.clone())),
        None => stand_in(&scope.given.target.schema, &scope.subject.name),
    }
}

fn is_incremental(scope: &Arc<Scope>, _: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    Ok(matches!(scope.phase, Phase::Compile { is_incremental: true, .. }).into())
}

// Settings.

fn config(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let positional = call.positional.iter().flat_map(values::entries).map(|(key, value)| (key.to_string(), value));
    let named = call.order.iter().filter_map(|key| Some((key.clone(), call.named.get(key)?.clone())));
    let all = positional.chain(named).map(|(key, value)| (key, values::to_json(&value)));
    scope.recorded().config.extend(all);
    Ok(empty())
}

fn configured(scope: &Arc<Scope>, key: &str) -> Option<Value> {
    let value = scope.subject.config.get(key).filter(|value| !value.is_null())?;
    Some(values::from_json(value))
}

fn config_get(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let found = configured(scope, &call.text(0, "name")?);
    Ok(found.or_else(|| call.get(1, "default").cloned()).unwrap_or(Value::from(())))
}

fn config_require(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let key = call.text(0, "name")?;
    match configured(scope, &key) {
        Some(value) => Ok(value),
        None if !scope.is_execution() => Ok(empty()),
        None => Err(Mistake::new("elt::config", format!("the config `{key}` is required here and is not set"))
            .help(format!("set it: `{{{{ config({key}=…) }}}}`"))
            .into()),
    }
}

fn var(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let name = call.text(0, "name")?;
    let vars = &scope.given.vars;
    match (vars.get(&name), call.get(1, "default")) {
        (Some(value), _) => Ok(values::from_json(value)),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) => Err(no_such_var(&name, vars.keys().map(String::as_str)).into()),
    }
}

/// The mistake of asking for a var that nobody set.
pub(super) fn no_such_var<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Mistake {
    Mistake::new("elt::var_not_found", format!("there is no var `{name}`"))
        .help(format!("set it under `vars:` in dbt_project.yml or with --vars, or give a default: `var('{name}', …)`"))
        .maybe_help(did_you_mean(name, known))
}

fn env_var(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let name = call.text(0, "name")?;
    match (scope.given.env.get(&name), call.get(1, "default")) {
        (Some(value), _) => Ok(value.as_str().into()),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) => Err(no_such_env_var(&name).into()),
    }
}

/// The mistake of asking for an environment variable that is not set.
pub(super) fn no_such_env_var(name: &str) -> Mistake {
    Mistake::new("elt::env_var_not_found", format!("the environment variable `{name}` is not set"))
        .help(format!("set it, or give a default: `env_var('{name}', '…')`"))
}

fn target(scope: &Arc<Scope>) -> Value {
    let target = &scope.given.target;
    Value::from_serialize(target_json(target))
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
        ("database", Json::Null),
    ];
    json.extend(facts.map(|(key, value): (&str, Json)| (key.to_owned(), value)));
    Json::Object(json)
}

fn model(scope: &Arc<Scope>) -> Value {
    let subject = &scope.subject;
    let this = subject.this.as_ref();
    values::from_json(&serde_json::json!({
        "unique_id": subject.id,
        "name": subject.name,
        "resource_type": subject.resource_type,
        "package_name": scope.given.project,
        "path": subject.path,
        "original_file_path": subject.path,
        "fqn": subject.fqn,
        "alias": this.map_or(subject.name.as_str(), TableName::table),
        "schema": this.map_or(scope.given.target.schema.as_str(), TableName::schema),
        "config": subject.config,
        "tags": subject.config.get("tags").cloned().unwrap_or_else(|| Json::Array(Vec::new())),
    }))
}

// Macros.

fn dispatch(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let name = call.text(0, "macro_name")?;
    match scope.macros.dispatch(&name) {
        Some(block) => Ok(MacroValue::value(block, scope)),
        None => Err(Mistake::new("elt::macro_not_found", format!("there is no macro `{name}` to dispatch to"))
            .help(format!("define `elt__{name}` or `default__{name}` in a file under macros/"))
            .into()),
    }
}

/// What asks the lake: nothing while parsing, an error after it.
fn after_parse(scope: &Arc<Scope>, what: &str, while_parsing: Value) -> Result<Value, Error> {
    if !scope.is_execution() {
        return Ok(while_parsing);
    }
    Err(Mistake::unsupported(
        format!("{what} needs the lake while compiling"),
        "compiling never reads the lake, so that a plan can be made without it; instead write the list in the template or in a var, or join the table in SQL",
    )
    .into())
}

fn log(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    if call.get(1, "info").is_some_and(Value::is_true) && scope.is_execution() {
        scope.recorded().messages.push(call.text(0, "msg")?);
    }
    Ok(empty())
}

// Values.

fn to_json(call: &Call) -> Result<Value, Error> {
    Ok(python_json(&values::to_json(call.positional.first().unwrap_or(&Value::UNDEFINED))).into())
}

/// JSON as Python writes it, with a blank after `,` and `:`.
fn python_json(json: &Json) -> String {
    match json {
        Json::Array(items) => format!("[{}]", items.iter().map(python_json).collect::<Vec<_>>().join(", ")),
        Json::Object(entries) => {
            let one = |(key, value): (&String, &Json)| format!("{}: {}", Json::from(key.as_str()), python_json(value));
            format!("{{{}}}", entries.iter().map(one).collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_string(),
    }
}

fn from_json(call: &Call) -> Result<Value, Error> {
    let text = call.text(0, "string")?;
    match (serde_json::from_str::<Json>(&text), call.get(1, "default")) {
        (Ok(json), _) => Ok(values::from_json(&json)),
        (Err(_), Some(default)) => Ok(default.clone()),
        (Err(why), None) => Err(Mistake::new("elt::jinja", format!("this is not JSON: {why}")).into()),
    }
}

fn from_yaml(call: &Call) -> Result<Value, Error> {
    let text = call.text(0, "value")?;
    match (serde_saphyr::from_str::<Json>(&text), call.get(1, "default")) {
        (Ok(json), _) => Ok(values::from_json(&json)),
        (Err(_), Some(default)) => Ok(default.clone()),
        (Err(_), None) => Err(Mistake::new("elt::jinja", "this is not YAML").into()),
    }
}

fn unique(call: &Call) -> Result<Value, Error> {
    let mut seen: Vec<Value> = Vec::new();
    for item in call.positional.first().map(values::items).transpose()?.unwrap_or_default() {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    Ok(values::list(seen))
}

fn zip(call: &Call) -> Result<Value, Error> {
    let columns: Vec<Vec<Value>> = call.positional.iter().map(values::items).collect::<Result<_, _>>()?;
    let length = columns.iter().map(Vec::len).min().unwrap_or(0);
    Ok(values::list((0..length).map(|row| values::list(columns.iter().map(|column| column[row].clone())))))
}

fn make_dict(call: &Call) -> Result<Value, Error> {
    let mut pairs = Vec::new();
    if let Some(first) = call.positional.first() {
        if first.kind() == ValueKind::Map {
            pairs.extend(values::entries(first));
        } else {
            for pair in values::items(first)? {
                pairs.push((pair.get_item_by_index(0)?, pair.get_item_by_index(1)?));
            }
        }
    }
    let named = call.order.iter().filter_map(|key| Some((Value::from(key.as_str()), call.named.get(key)?.clone())));
    pairs.extend(named);
    Ok(values::dict(pairs))
}

fn now(scope: &Arc<Scope>, _: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    Ok(Value::from_object(Instant { at: scope.given.run_started_at, date_only: false }))
}

fn today(scope: &Arc<Scope>, _: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    Ok(Value::from_object(Instant { at: scope.given.run_started_at, date_only: true }))
}

/// `modules.datetime.datetime.now()` and the like; other Python modules are refused when they are used.
fn modules(scope: &Arc<Scope>) -> Value {
    let clock = part(scope, "datetime").unwrap_or_default();
    let refused = |name: &str| Value::from_object(Refused { name: format!("modules.{name}") });
    let datetime = values::dict([
        ("datetime".into(), clock.clone()),
        ("date".into(), clock),
        ("timedelta".into(), refused("datetime.timedelta")),
    ]);
    let others = ["re", "pytz", "itertools"].map(|name| (name.into(), refused(name)));
    values::dict([("datetime".into(), datetime)].into_iter().chain(others))
}

// Objects.

#[derive(Debug)]
struct Function {
    name: &'static str,
    run: Run,
    scope: Arc<Scope>,
}

impl Object for Function {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        (self.run)(&self.scope, &Call::read(args), state)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<function {}>", self.name)
    }
}

struct Part {
    spec: &'static PartSpec,
    scope: Arc<Scope>,
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

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        match self.spec.run {
            Some(run) => run(&self.scope, &Call::read(args), state),
            None => Err(Error::new(ErrorKind::InvalidOperation, format!("`{}` is not a function", self.spec.name))),
        }
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let name = self.spec.name;
        match self.spec.methods.iter().find(|(known, _)| *known == method) {
            Some((_, run)) => run(&self.scope, &Call::read(args), state),
            None => Err(Mistake::unsupported(format!("`{name}.{method}()`"), "elt does not know this method of dbt's")
                .maybe_help(did_you_mean(method, self.spec.methods.iter().map(|(known, _)| *known)))
                .into()),
        }
    }
}

/// `dbt.…` and `<project>.…`: the macros of one package.
#[derive(Debug)]
struct MacroNamespace {
    scope: Arc<Scope>,
    is_builtin: bool,
}

impl Object for MacroNamespace {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let macros = &self.scope.macros;
        let name = key.as_str()?;
        let block = if self.is_builtin { macros.dispatch(name) } else { macros.of_project(name) };
        block.map(|block| MacroValue::value(block, &self.scope))
    }
}

/// A name of dbt's that elt has nothing behind: any use of it is an error.
#[derive(Debug)]
struct Refused {
    name: String,
}

impl Refused {
    fn error(&self) -> Error {
        Mistake::unsupported(format!("`{}` in templates", self.name), "instead write out what it would give, or use a var").into()
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
}
