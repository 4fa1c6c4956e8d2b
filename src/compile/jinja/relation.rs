//! What is a table, to a template?

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

use crate::base::TableName;

use super::call::Call;
use crate::compile::sql_name::{quoted, shown};

/// A table as `ref()`, `source()` and `this` give it: text in SQL, with dbt's attributes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Relation {
    /// A table or view of the lake.
    Table(TableName),
    /// An ephemeral model: the name of its CTE.
    Cte(String),
    /// A part of a name, as `relation.include(schema=false)` gives it.
    Part(String),
    /// A table filtered by a test's `where`: shown as the subquery, named as the table.
    Filtered(TableName, String),
}

impl Relation {
    fn name(&self) -> Option<&TableName> {
        match self {
            Self::Table(name) | Self::Filtered(name, _) => Some(name),
            Self::Cte(_) | Self::Part(_) => None,
        }
    }

    fn identifier(&self) -> &str {
        match self {
            Self::Table(name) | Self::Filtered(name, _) => name.table(),
            Self::Cte(text) | Self::Part(text) => text,
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(name) => f.write_str(&shown(name)),
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
            "schema" => self.name().map_or(Value::from(()), |name| name.schema().into()),
            "identifier" | "table" | "name" => self.identifier().into(),
            // The lake is the only database, and it has no name in SQL.
            "database" => Value::from(()),
            "metadata" => Value::from_pairs([("type", "EltRelation")]),
            "type" => Value::from(if matches!(**self, Self::Cte(_)) { "cte" } else { "table" }),
            "is_cte" => matches!(**self, Self::Cte(_)).into(),
            "is_table" => self.name().is_some().into(),
            "is_view" => false.into(),
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
            "without_identifier" => {
                Ok(part(self.name().map(|name| quoted(name.schema())).unwrap_or_default()))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl Relation {
    /// `relation.include(schema=false)`: the parts that are not switched off.
    fn include(&self, call: &Call) -> Value {
        let wanted = |part: &str| call.named.get(part).is_none_or(Value::is_true);
        let Some(name) = self.name() else { return part(self.identifier().to_owned()) };
        let schema = wanted("schema").then(|| quoted(name.schema()));
        let table = wanted("identifier").then(|| quoted(name.table()));
        part(schema.into_iter().chain(table).collect::<Vec<_>>().join("."))
    }
}

fn part(text: String) -> Value {
    Value::from_object(Relation::Part(text))
}
