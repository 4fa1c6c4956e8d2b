//! What is a column, to a template?

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::DataType;
use minijinja::value::{Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

use crate::base::parse_data_type;
use crate::compile::sql_name::in_quotes;

use super::call::Call;
use super::mistake::Mistake;

/// A column as `adapter.get_columns_in_relation` and `api.Column` give it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    name: String,
    data_type: String,
}

impl Column {
    pub(super) fn value(name: &str, data_type: &str) -> Value {
        Value::from_object(Self { name: name.to_owned(), data_type: data_type.to_owned() })
    }

    fn arrow(&self) -> Option<DataType> {
        parse_data_type(&self.data_type)
    }

    fn is(&self, question: &str) -> Option<bool> {
        let known = self.arrow();
        let is = |of: fn(&DataType) -> bool| known.as_ref().is_some_and(of);
        Some(match question {
            "is_string" => is(|t| matches!(t, DataType::Utf8)),
            "is_integer" => is(DataType::is_integer),
            "is_float" => is(DataType::is_floating),
            "is_numeric" => is(|t| matches!(t, DataType::Decimal128(..))),
            "is_number" => is(DataType::is_numeric),
            _ => return None,
        })
    }
}

impl Object for Column {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "name" | "column" => self.name.as_str().into(),
            "dtype" | "data_type" => self.data_type.as_str().into(),
            "quoted" => in_quotes(&self.name).into(),
            "char_size" | "numeric_precision" | "numeric_scale" => match (key.as_str(), self.arrow()) {
                (Some("numeric_precision"), Some(DataType::Decimal128(precision, _))) => precision.into(),
                (Some("numeric_scale"), Some(DataType::Decimal128(_, scale))) => scale.into(),
                _ => Value::from(()),
            },
            _ => return None,
        })
    }

    fn custom_cmp(self: &Arc<Self>, other: &minijinja::value::DynObject) -> Option<std::cmp::Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some((&self.name, &self.data_type).cmp(&(&other.name, &other.data_type)))
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        _: &[Value],
    ) -> Result<Value, Error> {
        match (self.is(method), method) {
            (Some(answer), _) => Ok(answer.into()),
            (None, "string_size") => Ok(16_777_216.into()),
            (None, "can_expand_to") => Ok(false.into()),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Column {} ({})>", self.name, self.data_type)
    }
}

/// `api.Column`: makes columns, and names types.
#[derive(Debug)]
pub(super) struct ColumnClass;

impl Object for ColumnClass {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let call = Call::read(args);
        Ok(Column::value(&call.text(0, "column")?, &call.text(1, "dtype")?))
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let call = Call::read(args);
        let first = || call.text(0, "dtype");
        Ok(match method {
            "create" => return self.call(state, args),
            "string_type" => "varchar".into(),
            "numeric_type" => {
                let (precision, scale) = (call.get(1, "precision"), call.get(2, "scale"));
                match (precision.filter(|p| !p.is_none()), scale) {
                    (Some(precision), Some(scale)) => format!("{}({precision},{scale})", first()?).into(),
                    _ => first()?.into(),
                }
            }
            "translate_type" => match first()?.to_lowercase().as_str() {
                "string" | "text" => "varchar".into(),
                "timestamp" => "timestamp".into(),
                "float" => "double".into(),
                "integer" => "int".into(),
                other => other.to_owned().into(),
            },
            other => {
                let what = format!("`api.Column.{other}()`");
                return Err(Mistake::unsupported(what, "elt does not know this method of dbt's").into());
            }
        })
    }
}
