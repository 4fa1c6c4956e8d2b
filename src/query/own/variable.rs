//! What does `getvariable('name')` give?

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use sqlparser::ast::{Expr, SelectItem, SetExpr, Statement};

use super::Own;
use crate::query::dialect::empty_query;
use crate::query::{QueryError, Session, SqlMistake};

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
