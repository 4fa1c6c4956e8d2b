//! Which functions does dbt give a template?
//!
//! One table, [`FUNCTIONS`]: a name and what runs when it is called. Objects with methods, such as
//! `config` and `adapter`, are rows of [`PARTS`].
//!
//! Not here: what they do ([`answers`](super::answers), [`convert`](super::convert)).

use std::sync::Arc;

use minijinja::{Error, State, Value};

use super::answers::{
    after_parse, config, config_get, config_require, dispatch, env_var, is_incremental, log, model,
    reference, source, target, this, var,
};
use super::call::Call;
use super::convert::{from_json, from_yaml, make_dict, now, to_json, today, unique, zip};
use super::macros;
use super::mistake::Mistake;
use super::objects::{Function, MacroNamespace, Part, Refused};
use super::scope::Scope;
use super::time::Instant;
use super::values;
use crate::compile::sql_name::quoted;

/// What runs when a function is called.
pub(super) type Run = fn(&Arc<Scope>, &Call, &mut State<'_, '_>) -> Result<Value, Error>;

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
    ("doc", |_, _, _| {
        Err(Mistake::new("elt::jinja", "doc() belongs in descriptions").help("write the text itself").into())
    }),
];

/// An object with methods, and perhaps a call of its own.
pub(super) struct PartSpec {
    pub(super) name: &'static str,
    pub(super) run: Option<Run>,
    pub(super) methods: &'static [(&'static str, Run)],
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
    PartSpec {
        name: "var",
        run: Some(var),
        methods: &[("has_var", |scope, call, _| {
            Ok(scope.given.vars.contains_key(&call.text(0, "name")?).into())
        })],
    },
    PartSpec {
        name: "builtins",
        run: None,
        methods: &[("ref", reference), ("source", source), ("config", config)],
    },
    PartSpec {
        name: "exceptions",
        run: None,
        methods: &[
            ("raise_compiler_error", |_, call, _| {
                Err(Mistake::new("elt::raised", call.text(0, "msg")?).into())
            }),
            ("raise_not_implemented", |_, call, _| {
                Err(Mistake::new("elt::raised", call.text(0, "msg")?).into())
            }),
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
            ("get_missing_columns", |scope, _, _| {
                after_parse(scope, "adapter.get_missing_columns()", values::list([]))
            }),
            ("list_relations_without_caching", |scope, _, _| {
                after_parse(scope, "adapter.list_relations_without_caching()", values::list([]))
            }),
            ("check_schema_exists", |scope, _, _| {
                after_parse(scope, "adapter.check_schema_exists()", true.into())
            }),
            ("create_schema", |scope, _, _| after_parse(scope, "adapter.create_schema()", empty())),
            ("drop_relation", |scope, _, _| after_parse(scope, "adapter.drop_relation()", empty())),
            ("execute", |scope, _, _| after_parse(scope, "adapter.execute()", Value::from(()))),
        ],
    },
    PartSpec { name: "datetime", run: None, methods: &[("now", now), ("utcnow", now), ("today", today)] },
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
        name if name == given.project => {
            Value::from_object(MacroNamespace { scope: scope.clone(), is_builtin: false })
        }
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
