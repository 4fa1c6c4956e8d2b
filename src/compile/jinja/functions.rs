//! Which functions does dbt give a template?
//!
//! One table, [`FUNCTIONS`]: a name and what runs when it is called. Objects with methods, such as
//! `config` and `adapter`, are rows of [`PARTS`].
//!
//! Not here: what they do ([`answers`](super::answers), [`convert`](super::convert)).

use std::sync::Arc;

use minijinja::{Error, State, Value};

use super::answers::{
    config, config_get, config_require, dispatch, env_var, is_incremental, log, reference, source, target,
    this, var,
};
use super::call::Call;
use super::column::ColumnClass;
use super::convert::{
    dict_difference, from_json, from_yaml, make_dict, md5_hex, set, set_strict, to_json, to_yaml, zip,
    zip_strict,
};
use super::itertools::{Cycler, Joiner};
use super::lake::{
    columns_in_query, columns_in_relation, drop_relation, execute, get_relation, list_relations,
    load_relation, load_result, missing_columns, refuse, run_query, schema_exists, statement, store_result,
    truncate_relation,
};
use super::macros;
use super::mistake::Mistake;
use super::model::Model;
use super::objects::{Context, Function, MacroNamespace, Part, Refused};
use super::python::modules;
use super::relation::{DATABASE, RelationClass};
use super::scope::Scope;
use super::time::started;
use super::values;
use crate::base::Message;
use crate::compile::sql_name::{in_quotes, quoted};

/// The version of dbt that elt answers for.
pub(in crate::compile) const DBT_VERSION: &str = "1.11.0";

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
        let text = call.text(0, "msg")?;
        scope.recorded().messages.push(Message::Printed(text));
        Ok(empty())
    }),
    ("tojson", |_, call, _| to_json(call)),
    ("fromjson", |_, call, _| from_json(call)),
    ("fromyaml", |_, call, _| from_yaml(call)),
    ("toyaml", |_, call, _| to_yaml(call)),
    ("set", |_, call, _| set(call)),
    ("set_strict", |_, call, _| set_strict(call)),
    ("try_or_compiler_error", |_, call, state| {
        let (Some(function), arguments) = (call.positional.get(1), call.positional.get(2..)) else {
            return Ok(empty());
        };
        function.call(state, arguments.unwrap_or_default())
    }),
    ("zip", |_, call, _| zip(call)),
    ("zip_strict", |_, call, _| zip_strict(call)),
    ("cycler", |_, call, _| Cycler::value(call)),
    ("joiner", |_, call, _| Ok(Joiner::value(call))),
    ("dict", |_, call, _| make_dict(call)),
    ("diff_of_two_dicts", |_, call, _| dict_difference(call)),
    ("run_query", run_query),
    ("statement", statement),
    ("load_result", load_result),
    ("store_result", store_result),
    ("store_raw_result", store_result),
    ("load_relation", load_relation),
    ("get_columns_in_query", |scope, call, state| {
        let columns = columns_in_query(scope, call, state)?;
        let names: Result<Vec<Value>, Error> =
            values::items(&columns)?.iter().map(|column| column.get_attr("name")).collect();
        Ok(values::list(names?))
    }),
    ("get_column_schema_from_query", columns_in_query),
    ("local_md5", |_, call, _| Ok(md5_hex(&call.text(0, "value")?).into())),
    ("render", |_, call, state| {
        let text = call.text(0, "string")?;
        if !text.contains("{{") && !text.contains("{%") {
            return Ok(text.into());
        }
        let prepared = super::prepare::Prepared::template(&text, false).text;
        let root = state.lookup("__root").unwrap_or_default();
        Ok(state.env().render_str(&prepared, root)?.into())
    }),
    ("submit_python_job", |_, _, _| {
        Err(Mistake::unsupported("Python models", "instead write the model in SQL").into())
    }),
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
            ("set", |scope, call, _| {
                let entry = (
                    call.text(0, "name")?,
                    values::to_json(call.get(1, "value").unwrap_or(&Value::UNDEFINED)),
                );
                scope.recorded().config.push(entry);
                Ok(empty())
            }),
            ("meta_get", |scope, call, _| {
                let meta = scope.subject.config.get("meta").cloned().unwrap_or_default();
                let found = meta.get(call.text(0, "name")?).map(values::from_json);
                Ok(found.or_else(|| call.get(1, "default").cloned()).unwrap_or(Value::from(())))
            }),
        ],
    },
    PartSpec {
        name: "var",
        run: Some(var),
        methods: &[("has_var", |scope, call, _| {
            Ok(scope.vars().contains_key(&call.text(0, "name")?).into())
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
            ("raise_parsing_error", |_, call, _| {
                Err(Mistake::new("elt::raised", call.text(0, "msg")?).into())
            }),
            ("raise_database_error", |_, call, _| {
                Err(Mistake::new("elt::raised", call.text(0, "msg")?).into())
            }),
            ("column_type_missing", |_, _, _| {
                Err(Mistake::new("elt::contract", "a contract needs the `data_type` of every column").into())
            }),
            ("warn_once", |scope, call, _| {
                scope.recorded().warnings.push(call.text(0, "msg")?);
                Ok(empty())
            }),
            ("raise_not_implemented", |_, call, _| {
                Err(Mistake::new("elt::raised", call.text(0, "msg")?).into())
            }),
            ("raise_dependency_error", |_, call, _| {
                Err(Mistake::new("elt::raised", call.text(0, "msg")?).into())
            }),
            ("raise_fail_fast_error", |_, call, _| {
                Err(Mistake::new("elt::raised", call.text(0, "msg")?).into())
            }),
            ("relation_wrong_type", |_, call, _| {
                let (relation, wanted) = (call.text(0, "relation")?, call.text(1, "expected_type")?);
                let what = format!("{relation} is to be a {wanted}, and is there already as something else");
                Err(Mistake::new("elt::raised", what).into())
            }),
            ("missing_config", |scope, call, _| {
                let what = format!("`{}` needs the setting `{}`", scope.subject.name, call.text(1, "name")?);
                Err(Mistake::new("elt::raised", what).into())
            }),
            ("missing_relation", |_, call, _| {
                let what = format!("{} is not there", call.text(0, "relation")?);
                Err(Mistake::new("elt::raised", what).into())
            }),
            ("warn_snapshot_timestamp_data_types", |scope, call, _| {
                let (snapshot, updated) =
                    (call.text(0, "snapshot_time_data_type")?, call.text(1, "updated_at_data_type")?);
                let what =
                    format!("the snapshot's own instants are {snapshot}, and its `updated_at` is {updated}");
                scope.recorded().warnings.push(what);
                Ok(empty())
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
            ("quote", |_, call, _| Ok(in_quotes(&call.text(0, "identifier")?).into())),
            ("quote_as_configured", |_, call, _| Ok(in_quotes(&call.text(0, "identifier")?).into())),
            ("quote_seed_column", |_, call, _| Ok(quoted(&call.text(0, "column")?).into())),
            ("type", |scope, _, _| Ok(scope.given.target.engine.as_str().into())),
            ("get_columns_in_relation", columns_in_relation),
            ("get_column_schema_from_query", columns_in_query),
            ("get_relation", get_relation),
            ("load_relation", load_relation),
            ("get_missing_columns", missing_columns),
            ("list_relations_without_caching", list_relations),
            ("list_relations", list_relations),
            ("check_schema_exists", schema_exists),
            ("execute", execute),
            ("add_query", execute),
            ("valid_incremental_strategies", |_, _, _| {
                let all = ["append", "delete+insert", "merge", "insert_overwrite", "microbatch"];
                Ok(values::list(all.map(Value::from)))
            }),
            ("get_hard_deletes_behavior", |_, call, _| {
                let config = call.get(0, "config").cloned().unwrap_or_default();
                let set = |key: &str| {
                    config.get_attr(key).ok().filter(|value| !value.is_undefined() && !value.is_none())
                };
                Ok(match (set("hard_deletes"), set("invalidate_hard_deletes")) {
                    (Some(behavior), _) => behavior,
                    (None, Some(flag)) if flag.is_true() => "invalidate".into(),
                    _ => "ignore".into(),
                })
            }),
            ("expand_target_column_types", |_, _, _| Ok(empty())),
            ("commit", |_, _, _| Ok(empty())),
            ("commit_if_has_connection", |_, _, _| Ok(empty())),
            ("cache_added", |_, _, _| Ok(empty())),
            ("verify_database", |_, _, _| Ok(empty())),
            // A schema is there as soon as something is in it.
            ("create_schema", |_, _, _| Ok(empty())),
            ("standardize_grants_dict", |_, call, _| {
                Ok(call.positional.first().cloned().unwrap_or_default())
            }),
            ("drop_schema", |scope, _, _| refuse(scope, "adapter.drop_schema()", None)),
            ("drop_relation", drop_relation),
            ("rename_relation", |scope, _, _| refuse(scope, "adapter.rename_relation()", None)),
            ("truncate_relation", truncate_relation),
            ("load_dataframe", |scope, _, _| refuse(scope, "adapter.load_dataframe()", None)),
        ],
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
    if let Some(part) = part(scope, name) {
        return Some(part);
    }
    if let Some(value) = scope.subject.given.get(name) {
        return Some(values::from_json(value));
    }
    let given = &scope.given;
    Some(match name {
        "this" => this(scope),
        "target" => target(scope),
        "model" | "node" => Model::value(scope),
        "execute" => scope.is_execution().into(),
        "flags" => values::from_json(&serde_json::json!({
            "FULL_REFRESH": given.full_refresh, "WHICH": given.command, "STORE_FAILURES": given.store_failures,
            "EMPTY": given.empty,
            "INDIRECT_SELECTION": "eager", "FAIL_FAST": false, "USE_COLORS": false, "DEBUG": false,
            "WARN_ERROR": false, "PRINT": true, "PARTIAL_PARSE": false, "INTROSPECT": true,
        })),
        "invocation_args_dict" => values::from_json(&serde_json::json!({
            "which": given.command, "full_refresh": given.full_refresh,
        })),
        "run_started_at" => started(given.run_started_at),
        "invocation_id" => given.run_id.as_str().into(),
        "thread_id" => "Thread-1".into(),
        "project_name" => given.project.as_str().into(),
        "schema" => {
            scope.subject.this.as_ref().map_or(given.target.schema.as_str(), |name| name.schema()).into()
        }
        "database" => DATABASE.into(),
        "dbt_version" => DBT_VERSION.into(),
        "modules" => modules(scope),
        "api" => values::dict([
            ("Relation".into(), Value::from_object(RelationClass)),
            ("Column".into(), Value::from_object(ColumnClass)),
        ]),
        "graph" => given.graph.get().unwrap_or_else(|| {
            let kinds = ["nodes", "sources", "exposures", "metrics", "groups", "semantic_models"];
            values::dict(kinds.map(|kind| (kind.into(), values::dict([]))))
        }),
        "context" => Value::from_object(Context { scope: scope.clone() }),
        "dbt_metadata_envs" => {
            let envs = given.env.iter().filter(|(name, _)| name.starts_with("DBT_ENV_CUSTOM_ENV_"));
            values::dict(envs.map(|(name, value)| (name.as_str().into(), value.as_str().into())))
        }
        "selected_resources" | "database_schemas" | "schemas" | "results"
            if !scope.is_execution() || scope.subject.resource_type == "operation" =>
        {
            values::list([])
        }
        "selected_resources" => match scope.given.selected.get().filter(|_| scope.has_lake()) {
            Some(selected) => selected.clone(),
            None => {
                scope.recorded().asks_selection = true;
                values::list([])
            }
        },
        "pre_hooks" | "post_hooks" => values::list([]),
        "sql" | "compiled_code" if scope.subject.resource_type == "operation" => empty(),
        "database_schemas" | "schemas" | "results" => Value::from_object(Refused { name: name.to_owned() }),
        _ => return None,
    })
}

/// `dbt` and the names of packages: their macros.
pub(super) fn namespace(scope: &Arc<Scope>, name: &str) -> Option<Value> {
    let is_package = name == macros::INTERNAL || scope.given.vars.contains_key(name);
    is_package.then(|| Value::from_object(MacroNamespace { scope: scope.clone(), package: name.to_owned() }))
}

fn empty() -> Value {
    Value::from("")
}

fn part(scope: &Arc<Scope>, name: &str) -> Option<Value> {
    let spec = PARTS.iter().find(|part| part.name == name)?;
    Some(Value::from_object(Part { spec, scope: scope.clone() }))
}
