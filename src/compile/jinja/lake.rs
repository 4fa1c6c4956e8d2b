//! What does a template get when it asks the lake?
//!
//! While parsing, stand-ins. While a project is only compiled, the error [`NeedsLake`], by which `render`
//! knows that the node is to be rendered again when it is built. In a build, answers from the
//! [`Lookup`] of the moment. Templates read; what would change the lake is refused.

use std::fmt;
use std::sync::Arc;

use minijinja::{Error, ErrorKind, State, Value};

use crate::base::TableName;
use crate::compile::hook::{self, Permitted};
use crate::compile::lookup::{Answer, Lookup};

use super::agate::Table;
use super::call::Call;
use super::column::Column;
use super::mistake::Mistake;
use super::relation::Relation;
use super::scope::{Phase, Scope};
use super::values;

/// A template asked the lake while there was none to ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct NeedsLake;

impl fmt::Display for NeedsLake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this template reads the lake, so it is compiled when it is built")
    }
}

impl std::error::Error for NeedsLake {}

/// Whom to ask; nothing while parsing.
fn lookup(scope: &Scope) -> Result<Option<&Arc<dyn Lookup>>, Error> {
    match &scope.phase {
        Phase::Parse => Ok(None),
        Phase::Compile { lake: Some(lake), .. } => Ok(Some(lake)),
        Phase::Compile { lake: None, .. } => Err(needs_lake()),
    }
}

pub(super) fn needs_lake() -> Error {
    Error::new(ErrorKind::InvalidOperation, NeedsLake.to_string()).with_source(NeedsLake)
}

fn failed(what: &str, why: String) -> Error {
    Mistake::new("elt::lookup", format!("{what} failed: {why}")).into()
}

/// Takes note of a statement of a hook's template that writes; whether it was one.
///
/// It is carried out with the hook, so a query of the same template would not see what it wrote, and is refused.
fn is_put_off(scope: &Scope, what: &str, sql: &str) -> Result<bool, Error> {
    if !scope.subject.is_hook || !scope.is_execution() {
        return Ok(false);
    }
    match hook::judge(sql) {
        Permitted::Nothing => Ok(true),
        Permitted::Writes => {
            scope.recorded().writes.push(sql.to_owned());
            Ok(true)
        }
        Permitted::Reads if !scope.recorded().writes.is_empty() => Err(Mistake::unsupported(
            format!("{what}, which reads after the same hook has written"),
            "a hook's statements are carried out together, after its template; instead write two hooks",
        )
        .into()),
        Permitted::Reads | Permitted::Refused(_) => Ok(false),
    }
}

fn ask(lake: &Arc<dyn Lookup>, what: &str, sql: &str) -> Result<Answer, Error> {
    lake.rows(sql).map_err(|why| failed(what, why))
}

pub(super) fn run_query(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    if !scope.is_execution() {
        return Ok(Value::from(()));
    }
    let sql = call.text(0, "sql")?;
    if is_put_off(scope, "run_query()", &sql)? {
        return Ok(Table::value(Answer::default()));
    }
    let Some(lake) = lookup(scope)? else { return Ok(Value::from(())) };
    Ok(Table::value(ask(lake, "run_query()", &sql)?))
}

/// `{% call statement('name', fetch_result=true) %} … {% endcall %}`
pub(super) fn statement(scope: &Arc<Scope>, call: &Call, state: &mut State<'_, '_>) -> Result<Value, Error> {
    if !scope.is_execution() {
        return Ok(Value::from(""));
    }
    let sql = match call.named.get("caller") {
        Some(caller) => caller.call(state, &[])?.to_string(),
        None => call.text(1, "sql")?,
    };
    if sql.trim().is_empty() {
        return Ok(Value::from(""));
    }
    let answer = match is_put_off(scope, "this statement", &sql)? {
        true => Answer::default(),
        false => {
            let Some(lake) = lookup(scope)? else { return Ok(Value::from("")) };
            ask(lake, "this statement", &sql)?
        }
    };
    if let Some(name) = call.get(0, "name").filter(|name| !name.is_none()) {
        let name = name.to_string();
        scope.recorded().results.insert(name, result(answer));
    }
    Ok(Value::from(""))
}

/// What `load_result` gives: `data`, `table`, `response`.
fn result(answer: Answer) -> Value {
    let data = values::list(answer.rows.iter().map(|row| values::list(row.iter().map(values::from_json))));
    values::dict([
        ("data".into(), data),
        ("response".into(), Value::from("OK")),
        ("status".into(), Value::from("OK")),
        ("table".into(), Table::value(answer)),
    ])
}

pub(super) fn load_result(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let name = call.text(0, "name")?;
    let found = scope.recorded().results.get(&name).cloned();
    Ok(found.unwrap_or(Value::from(())))
}

pub(super) fn store_result(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let name = call.text(0, "name")?;
    let table = call.get(2, "agate_table").cloned().unwrap_or(Value::from(()));
    let response = call.get(1, "response").cloned().unwrap_or(Value::from(""));
    let entry = values::dict([
        ("response".into(), response),
        ("data".into(), values::list([])),
        ("table".into(), table),
    ]);
    scope.recorded().results.insert(name, entry);
    Ok(Value::from(""))
}

/// `adapter.execute(sql, fetch=true)`: a response and a table.
pub(super) fn execute(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let nothing = || values::list([Value::from(""), Value::from(())]);
    if !scope.is_execution() {
        return Ok(nothing());
    }
    let sql = call.text(0, "sql")?;
    if is_put_off(scope, "adapter.execute()", &sql)? {
        return Ok(values::list([Value::from("OK"), Table::value(Answer::default())]));
    }
    let Some(lake) = lookup(scope)? else { return Ok(nothing()) };
    let answer = ask(lake, "adapter.execute()", &sql)?;
    Ok(values::list([Value::from("OK"), Table::value(answer)]))
}

fn columns(lake: &Arc<dyn Lookup>, what: &str, sql: &str) -> Result<Vec<Value>, Error> {
    let columns = lake.columns(sql).map_err(|why| failed(what, why))?;
    Ok(columns.into_iter().map(|column| Column::value(&column.name, &column.data_type)).collect())
}

/// `adapter.get_columns_in_relation(relation)`; nothing for a table that is not there.
pub(super) fn columns_in_relation(
    scope: &Arc<Scope>,
    call: &Call,
    _: &mut State<'_, '_>,
) -> Result<Value, Error> {
    let Some(lake) = lookup(scope)? else { return Ok(values::list([])) };
    let relation = call.get(0, "relation").cloned().unwrap_or_default();
    if let Some(name) = relation.downcast_object_ref::<Relation>().and_then(Relation::name)
        && !lake.names().iter().any(|(known, _)| known == name)
    {
        return Ok(values::list([]));
    }
    let sql = format!("select * from {relation}");
    Ok(values::list(columns(lake, "adapter.get_columns_in_relation()", &sql)?))
}

/// `adapter.get_column_schema_from_query(sql)`, `get_columns_in_query(sql)`.
pub(super) fn columns_in_query(
    scope: &Arc<Scope>,
    call: &Call,
    _: &mut State<'_, '_>,
) -> Result<Value, Error> {
    let Some(lake) = lookup(scope)? else { return Ok(values::list([])) };
    let sql = call.text(0, "sql")?;
    Ok(values::list(columns(lake, "adapter.get_column_schema_from_query()", &sql)?))
}

/// `adapter.get_missing_columns(from, to)`: the columns of the one that the other lacks.
pub(super) fn missing_columns(
    scope: &Arc<Scope>,
    call: &Call,
    _: &mut State<'_, '_>,
) -> Result<Value, Error> {
    let Some(lake) = lookup(scope)? else { return Ok(values::list([])) };
    let of = |at, name| {
        let relation = call.get(at, name).cloned().unwrap_or_default();
        lake.columns(&format!("select * from {relation}")).map_err(|why| failed("get_missing_columns()", why))
    };
    let (from, to) = (of(0, "from_relation")?, of(1, "to_relation")?);
    let missing = from.into_iter().filter(|column| !to.iter().any(|other| other.name == column.name));
    Ok(values::list(missing.map(|column| Column::value(&column.name, &column.data_type))))
}

/// The relation of this name, with its type, if it is there.
fn there(lake: &Arc<dyn Lookup>, name: &TableName) -> Value {
    match lake.names().into_iter().find(|(known, _)| known == name) {
        Some((name, is_view)) => Value::from_object(Relation::typed(name, is_view)),
        None => Value::from(()),
    }
}

/// `adapter.get_relation(database, schema, identifier)`
pub(super) fn get_relation(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let Some(lake) = lookup(scope)? else { return Ok(Value::from(())) };
    let schema = call.get(1, "schema").map(Value::to_string).unwrap_or_default();
    let table = call.get(2, "identifier").map(Value::to_string).unwrap_or_default();
    Ok(TableName::new(&schema, &table).map_or(Value::from(()), |name| there(lake, &name)))
}

/// `adapter.load_relation(relation)`, `load_relation(relation)`.
pub(super) fn load_relation(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let Some(lake) = lookup(scope)? else { return Ok(Value::from(())) };
    let relation = call.get(0, "relation").cloned().unwrap_or_default();
    let name = relation.downcast_object_ref::<Relation>().and_then(Relation::name);
    Ok(name.map_or(Value::from(()), |name| there(lake, name)))
}

/// `adapter.list_relations_without_caching(schema_relation)`, `adapter.list_relations(database, schema)`.
pub(super) fn list_relations(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let Some(lake) = lookup(scope)? else { return Ok(values::list([])) };
    let asked = call.get(1, "schema").or(call.positional.first()).cloned().unwrap_or_default();
    let schema = match asked.downcast_object_ref::<Relation>().and_then(Relation::schema_name) {
        Some(schema) => schema,
        None => asked.to_string().trim_matches('"').to_owned(),
    };
    let of_schema = lake.names().into_iter().filter(|(name, _)| name.schema() == schema.to_lowercase());
    Ok(values::list(of_schema.map(|(name, is_view)| Value::from_object(Relation::typed(name, is_view)))))
}

pub(super) fn schema_exists(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let Some(lake) = lookup(scope)? else { return Ok(true.into()) };
    let schema = call.text(1, "schema")?.to_lowercase();
    Ok(lake.names().iter().any(|(name, _)| name.schema() == schema).into())
}

/// `adapter.drop_relation(this)`, in a node's own hook: the node is made and then is not there. Any other
/// table is not a template's to drop.
pub(super) fn drop_relation(scope: &Arc<Scope>, call: &Call, _: &mut State<'_, '_>) -> Result<Value, Error> {
    let relation = call.get(0, "relation").and_then(|value| value.downcast_object_ref::<Relation>());
    if relation.and_then(Relation::name).is_some_and(|name| scope.subject.this.as_ref() == Some(name)) {
        scope.recorded().drops_itself = true;
        return Ok(Value::from(""));
    }
    let Some(relation) = relation else { return refuse(scope, "adapter.drop_relation()", None) };
    let is_view = relation.name().is_some_and(|name| {
        let known = lookup(scope).ok().flatten().map(|lake| lake.names()).unwrap_or_default();
        known.iter().any(|(other, is_view)| other == name && *is_view)
    });
    let kind = if is_view { "view" } else { "table" };
    refuse(scope, "adapter.drop_relation()", Some(format!("drop {kind} if exists {relation}")))
}

/// `adapter.truncate_relation(relation)`
pub(super) fn truncate_relation(
    scope: &Arc<Scope>,
    call: &Call,
    _: &mut State<'_, '_>,
) -> Result<Value, Error> {
    let sql = call.get(0, "relation").map(|relation| format!("truncate table {relation}"));
    refuse(scope, "adapter.truncate_relation()", sql)
}

/// What would change the lake: nothing while parsing; `sql` where a template may write, in an operation;
/// refused elsewhere.
pub(super) fn refuse(scope: &Arc<Scope>, what: &str, sql: Option<String>) -> Result<Value, Error> {
    if !scope.is_execution() {
        return Ok(Value::from(""));
    }
    if let Some(sql) = &sql
        && is_put_off(scope, what, sql)?
    {
        return Ok(Value::from(""));
    }
    if let (Some(lake), Some(sql)) = (lookup(scope)?.filter(|lake| lake.can_write()), sql) {
        ask(lake, what, &sql)?;
        return Ok(Value::from(""));
    }
    Err(Mistake::unsupported(
        format!("{what} in a template"),
        "templates read the lake and never change it, so that a build is one release; instead make the table a model",
    )
    .into())
}
