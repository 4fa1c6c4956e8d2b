//! What do `getvariable('name')` and `current_setting('name')` give?

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use sqlparser::ast::{Expr, SelectItem, SetExpr, Statement};

use super::Own;
use crate::base::Unsaid;
use crate::query::dialect::empty_query;
use crate::query::{QueryError, Session, SqlMistake, settings};

/// The function that gives a variable of the session; NULL if there is none of that name.
#[derive(Debug)]
pub(in crate::query) struct GetVariable {
    pub(in crate::query) own: Own,
    signature: Signature,
}

impl GetVariable {
    pub(in crate::query) fn of(own: Own) -> Self {
        Self { own, signature: Signature::exact(vec![DataType::Utf8], Volatility::Stable) }
    }

    fn value(&self, name: Option<&ScalarValue>) -> Result<ScalarValue> {
        match name {
            Some(
                ScalarValue::Utf8(Some(name))
                | ScalarValue::Utf8View(Some(name))
                | ScalarValue::LargeUtf8(Some(name)),
            ) => Ok(self.own.variable(name).unwrap_or(ScalarValue::Null)),
            _ => Err(DataFusionError::Plan(
                "getvariable needs the name of a variable, as a text: getvariable('day')".to_owned(),
            )),
        }
    }
}

impl PartialEq for GetVariable {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.own.0, &other.own.0)
    }
}

impl Eq for GetVariable {}

impl Hash for GetVariable {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::hash(Arc::as_ptr(&self.own.0), state);
    }
}

impl ScalarUDFImpl for GetVariable {
    fn name(&self) -> &'static str {
        "getvariable"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal("its type is its variable's".to_owned()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let value = self.value(args.scalar_arguments.first().copied().flatten())?;
        Ok(Arc::new(Field::new("getvariable", value.data_type(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.first() {
            Some(ColumnarValue::Scalar(name)) => Ok(ColumnarValue::Scalar(self.value(Some(name))?)),
            _ => Ok(ColumnarValue::Scalar(self.value(None)?)),
        }
    }
}

/// The function that tells a setting of the session, as a text.
#[derive(Debug)]
pub(in crate::query) struct CurrentSetting {
    own: Own,
    otherwise: Unsaid,
    schema: String,
    signature: Signature,
}

impl CurrentSetting {
    /// For a session that means this where nothing was set, and looks for names in `schema`.
    pub(in crate::query) fn of(own: Own, otherwise: Unsaid, schema: &str) -> Self {
        let texts = TypeSignature::Exact(vec![DataType::Utf8]);
        let or_null = TypeSignature::Exact(vec![DataType::Utf8, DataType::Boolean]);
        let signature = Signature::one_of(vec![texts, or_null], Volatility::Stable);
        Self { own, otherwise, schema: schema.to_owned(), signature }
    }

    fn value(&self, name: &str, engine: &ConfigOptions) -> Option<String> {
        let unsaid = self.own.unsaid(self.otherwise);
        if let Some(own) = settings::told(name, &unsaid, self.own.zone(), &self.schema) {
            return Some(own);
        }
        let wanted = settings::meant(name);
        engine.entries().into_iter().find(|entry| entry.key == wanted).and_then(|entry| entry.value)
    }
}

impl PartialEq for CurrentSetting {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.own.0, &other.own.0)
    }
}

impl Eq for CurrentSetting {}

impl Hash for CurrentSetting {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::hash(Arc::as_ptr(&self.own.0), state);
    }
}

impl ScalarUDFImpl for CurrentSetting {
    fn name(&self) -> &'static str {
        "current_setting"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(ColumnarValue::Scalar(name)) = args.args.first() else {
            return Err(DataFusionError::Plan(
                "`current_setting` needs the name of a setting, as a text".to_owned(),
            ));
        };
        let name = name.try_as_str().flatten().unwrap_or_default().to_lowercase();
        let may_be_missing =
            matches!(args.args.get(1), Some(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true)))));
        match self.value(&name, &args.config_options) {
            None if !may_be_missing => Err(DataFusionError::Plan(format!("there is no setting `{name}`"))),
            told => Ok(ColumnarValue::Scalar(ScalarValue::Utf8(told))),
        }
    }
}

/// What an expression is, once.
pub(super) async fn evaluated(session: &Session, value: Expr) -> Result<ScalarValue, QueryError> {
    let mut query = empty_query();
    if let SetExpr::Select(select) = &mut *query.body {
        select.projection = vec![SelectItem::UnnamedExpr(value)];
    }
    let rows = Box::pin(session.run(Statement::Query(Box::new(query)))).await?.collect().await?;
    let mut values = rows.iter().filter(|batch| batch.num_rows() > 0);
    let Some(batch) = values.next() else { return Ok(ScalarValue::Null) };
    if batch.num_rows() > 1 || values.next().is_some() {
        let mistake =
            SqlMistake::new("elt::sql::variable", "a variable holds one value, and these are several rows");
        return Err(mistake
            .help("keep them as a list: `set variable v = (select array_agg(x) from t)`")
            .into());
    }
    Ok(ScalarValue::try_from_array(batch.column(0), 0)?)
}
