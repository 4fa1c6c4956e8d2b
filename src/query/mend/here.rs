//! Where is this session, and whose is it?
//!
//! `current_schema()`, `current_database()`, `current_user()` and `current_role()`, which are the same for a whole statement.

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The functions that say where.
pub(in crate::query) fn functions(database: &str, schema: &str) -> Vec<ScalarUDF> {
    vec![of("current_schema", &[], schema), of("current_database", &["current_catalog"], database)]
}

/// The functions that say who, and by which role.
pub(in crate::query) fn who(user: &str, role: &str) -> Vec<ScalarUDF> {
    vec![of("current_user", &["session_user"], user), of("current_role", &[], role)]
}

fn of(name: &'static str, aliases: &[&str], value: &str) -> ScalarUDF {
    let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
    let value = value.to_owned();
    ScalarUDF::from(Here { name, aliases, value, signature: Signature::nullary(Volatility::Stable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Here {
    name: &'static str,
    aliases: Vec<String>,
    value: String,
    signature: Signature,
}

impl ScalarUDFImpl for Here {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::from(self.value.as_str())))
    }
}
