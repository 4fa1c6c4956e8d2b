//! Where is this session?
//!
//! `current_schema()` and `current_database()`, which are the same for a whole statement.

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Both functions.
pub(super) fn functions(database: &str, schema: &str) -> Vec<ScalarUDF> {
    let of = |name, aliases: &[&str], value: &str| {
        let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
        let value = value.to_owned();
        ScalarUDF::from(Here { name, aliases, value, signature: Signature::nullary(Volatility::Stable) })
    };
    vec![of("current_schema", &[], schema), of("current_database", &["current_catalog"], database)]
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
