//! What is a table, to a template?

use std::fmt;
use std::sync::Arc;

use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use crate::base::TableName;

use super::call::Call;
use super::values;
use crate::compile::sql_name::{quoted, shown};

/// A table as `ref()`, `source()` and `this` give it: text in SQL, with dbt's attributes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Relation {
    /// A table or view of the lake.
    Table(TableName),
    /// The same, looked up: whether it is a view is known.
    Typed(TableName, bool),
    /// An ephemeral model: the name of its CTE.
    Cte(String),
    /// A part of a name, as `relation.include(schema=false)` gives it.
    Part(String),
    /// A schema without a table in it.
    Schema(String),
    /// A table filtered by a test's `where`: shown as the subquery, named as the table.
    Filtered(TableName, String),
}

/// The name that the lake has as a database.
pub(super) const DATABASE: &str = "elt";

impl Relation {
    pub(super) fn typed(name: TableName, is_view: bool) -> Self {
        Self::Typed(name, is_view)
    }

    pub(crate) fn name(&self) -> Option<&TableName> {
        match self {
            Self::Table(name) | Self::Typed(name, _) | Self::Filtered(name, _) => Some(name),
            Self::Cte(_) | Self::Part(_) | Self::Schema(_) => None,
        }
    }

    /// The schema's name, of a table or of a schema alone.
    pub(super) fn schema_name(&self) -> Option<String> {
        match self {
            Self::Schema(schema) => Some(schema.clone()),
            other => other.name().map(|name| name.schema().to_owned()),
        }
    }

    fn identifier(&self) -> Value {
        match self {
            Self::Table(name) | Self::Typed(name, _) | Self::Filtered(name, _) => name.table().into(),
            Self::Cte(text) | Self::Part(text) => text.as_str().into(),
            Self::Schema(_) => Value::from(()),
        }
    }

    /// `api.Relation.create(database, schema, identifier, type)`
    pub(super) fn create(call: &Call) -> Value {
        let text = |at, name| {
            let found = call.get(at, name).filter(|value| !value.is_none() && !value.is_undefined());
            found.map(Value::to_string).filter(|text| !text.is_empty())
        };
        let (schema, table) = (text(1, "schema"), text(2, "identifier"));
        let is_view = text(3, "type").map(|kind| kind == "view");
        Value::from_object(match (schema, table) {
            (Some(schema), Some(table)) => match (TableName::new(&schema, &table), is_view) {
                (Ok(name), Some(is_view)) => Self::Typed(name, is_view),
                (Ok(name), None) => Self::Table(name),
                (Err(_), _) => Self::Part(format!("{}.{}", quoted(&schema), quoted(&table))),
            },
            (Some(schema), None) => Self::Schema(schema),
            (None, table) => Self::Part(table.map(|table| quoted(&table)).unwrap_or_default()),
        })
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(name) | Self::Typed(name, _) => f.write_str(&shown(name)),
            Self::Schema(schema) => f.write_str(&quoted(schema)),
            Self::Cte(text) | Self::Part(text) | Self::Filtered(_, text) => f.write_str(text),
        }
    }
}

impl Object for Relation {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        // dbt's relations pass `is mapping`, and packages tell them by it.
        ObjectRepr::Map
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        Some(match key {
            "schema" => self.schema_name().map_or(Value::from(()), Value::from),
            "identifier" | "table" | "name" => self.identifier(),
            "database" => match self.schema_name() {
                Some(_) => DATABASE.into(),
                None => Value::from(()),
            },
            "metadata" => Value::from_pairs([("type", "EltRelation")]),
            "type" => match **self {
                Self::Cte(_) => "cte".into(),
                Self::Typed(_, true) => "view".into(),
                _ => "table".into(),
            },
            "is_cte" => matches!(**self, Self::Cte(_)).into(),
            "is_table" => (self.name().is_some() && !matches!(**self, Self::Typed(_, true))).into(),
            "is_view" => matches!(**self, Self::Typed(_, true)).into(),
            "is_materialized_view" => false.into(),
            "can_be_renamed" | "can_be_replaced" => true.into(),
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let call = Call::read(args);
        match method {
            "render" => Ok(self.to_string().into()),
            "quote" => Ok(Value::from_dyn_object(self.clone())),
            "include" => Ok(self.include(&call)),
            "without_identifier" => Ok(self
                .schema_name()
                .map_or_else(|| part(String::new()), |s| Value::from_object(Self::Schema(s)))),
            "information_schema" => {
                let view =
                    call.positional.first().map(|view| format!(".{}", view.to_string().to_lowercase()));
                Ok(part(format!("information_schema{}", view.unwrap_or_default())))
            }
            "replace_path" | "incorporate" => {
                let path = call.named.get("path").map(values::entries).unwrap_or_default();
                let named = |key: &str| {
                    let in_path = path.iter().find(|(name, _)| name.as_str() == Some(key));
                    in_path.map(|(_, value)| value.clone()).or_else(|| call.named.get(key).cloned())
                };
                let pick = |key: &str| named(key).or_else(|| self.get_value_by_str(key));
                let mut all = Call::default();
                for key in ["schema", "identifier", "type"] {
                    all.named.extend(pick(key).map(|value| (key.to_owned(), value)));
                }
                Ok(Self::create(&all))
            }
            "matches" => {
                let same = |key: &str| {
                    let wanted =
                        call.named.get(key).filter(|value| !value.is_none() && !value.is_undefined());
                    let own = self.get_value_by_str(key).unwrap_or_default().to_string();
                    wanted.is_none_or(|wanted| wanted.to_string().eq_ignore_ascii_case(&own))
                };
                Ok(["database", "schema", "identifier"].into_iter().all(same).into())
            }
            "add_ephemeral_prefix" => Ok(crate::compile::ephemeral::cte_name(&call.text(0, "name")?).into()),
            "load_python_result" => Err(Error::from(ErrorKind::UnknownMethod)),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<std::cmp::Ordering> {
        Some(self.to_string().cmp(&other.downcast_ref::<Self>()?.to_string()))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl Relation {
    /// `relation.include(schema=false)`: the parts that are not switched off.
    fn include(&self, call: &Call) -> Value {
        let wanted = |part: &str| call.named.get(part).is_none_or(Value::is_true);
        let Some(name) = self.name() else { return part(self.to_string()) };
        let schema = wanted("schema").then(|| quoted(name.schema()));
        let table = wanted("identifier").then(|| quoted(name.table()));
        part(schema.into_iter().chain(table).collect::<Vec<_>>().join("."))
    }
}

fn part(text: String) -> Value {
    Value::from_object(Relation::Part(text))
}

/// `api.Relation`
#[derive(Debug)]
pub(super) struct RelationClass;

impl Object for RelationClass {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            kind @ ("Table" | "View") => Some(kind.to_lowercase().into()),
            _ => None,
        }
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        Ok(Relation::create(&Call::read(args)))
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "create" => Ok(Relation::create(&Call::read(args))),
            "add_ephemeral_prefix" => {
                let name = Call::read(args).text(0, "name")?;
                Ok(crate::compile::ephemeral::cte_name(&name).into())
            }
            // What identifies a version of a row in a snapshot.
            "scd_args" => {
                let call = Call::read(args);
                let key = call.get(0, "primary_key").cloned().unwrap_or_default();
                let mut all = match key.kind() {
                    ValueKind::Seq | ValueKind::Iterable => key.try_iter()?.collect::<Vec<_>>(),
                    _ => vec![key],
                };
                all.extend(call.get(1, "updated_at").cloned());
                Ok(values::list(all))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}
