//! Which list does a text spell?
//!
//! `[a, b]`, as DuckDB writes and reads lists: items between commas, blanks around them left out, `NULL` for none, quotes of
//! either kind around an item that would not be itself without. Lists in lists stay texts, to be read in turn. The engine makes
//! a list of one item of any text.

use std::sync::Arc;

use arrow::array::{AsArray, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, exec_err};
use datafusion::functions_nested::expr_fn::array_to_string;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, cast, try_cast,
};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite_expressions;

/// Casts of texts to lists read the texts.
#[derive(Debug)]
pub(super) struct Lists;

impl AnalyzerRule for Lists {
    fn name(&self) -> &str {
        "texts_as_lists"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_expressions(plan, |expr, schema| {
            let expr = match expr {
                Expr::ScalarFunction(call) if call.func.name() == "concat_ws" => {
                    let (call, has_lists) = joined(call, schema);
                    if has_lists {
                        return Ok(Transformed::yes(Expr::ScalarFunction(call)));
                    }
                    Expr::ScalarFunction(call)
                }
                other => other,
            };
            let (value, to, is_try) = match &expr {
                Expr::Cast(cast) => (&cast.expr, cast.field.data_type(), false),
                Expr::TryCast(cast) => (&cast.expr, cast.field.data_type(), true),
                _ => return Ok(Transformed::no(expr)),
            };
            let is_deep = match to {
                DataType::List(item) => item.data_type().is_nested(),
                DataType::Struct(_) | DataType::Map(..) => true,
                _ => return Ok(Transformed::no(expr)),
            };
            if !value.get_type(schema).is_ok_and(|of| of.is_string()) {
                return Ok(Transformed::no(expr));
            }
            if is_deep {
                return exec_err!(
                    "a text cannot be cast to {}: `json_transform(text, '…')` reads JSON",
                    crate::base::sql_type_name(to)
                );
            }
            let signature = Signature::any(1, Volatility::Immutable);
            let read = ScalarUDF::from(Read { is_try, signature })
                .call(vec![cast((**value).clone(), DataType::Utf8)]);
            let to = to.clone();
            Ok(Transformed::yes(if is_try { try_cast(read, to) } else { cast(read, to) }))
        })
    }
}

/// `concat_ws(',', list, 'x')` puts the items of a list together too, as in Spark and DuckDB. Says whether there was any.
fn joined(mut call: ScalarFunction, schema: &DFSchema) -> (ScalarFunction, bool) {
    let mut has_lists = false;
    if let [between, rest @ ..] = &mut call.args[..] {
        for list in rest {
            if matches!(list.get_type(schema), Ok(DataType::List(_) | DataType::LargeList(_))) {
                *list = array_to_string(std::mem::take(list), between.clone());
                has_lists = true;
            }
        }
    }
    (call, has_lists)
}

/// The items of a list that is written as a text, as texts.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Read {
    is_try: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Read {
    fn name(&self) -> &str {
        "_elt_list_of_text"
    }

    /// A cast does not change what a column is called.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(|value| value.schema_name().to_string()).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = args.args[0].to_array(args.number_rows)?;
        let texts = texts.as_string::<i32>();
        let mut lists = ListBuilder::new(StringBuilder::new());
        for text in texts {
            let Some(text) = text else {
                lists.append_null();
                continue;
            };
            match items(text) {
                Some(items) => lists.append_value(items),
                None if self.is_try => lists.append_null(),
                None => return exec_err!("'{text}' cannot be read as a list; lists are written [a, b]"),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(lists.finish())))
    }
}

/// The items of `[a, 'b c', NULL]`.
fn items(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    let (mut items, mut item, mut quote, mut depth) = (Vec::new(), String::new(), None, 0_usize);
    let mut was_quoted = false;
    let mut chars = inner.chars();
    let mut end = |item: &mut String, was_quoted: &mut bool| {
        let text = std::mem::take(item);
        let is_text = std::mem::take(was_quoted);
        let plain = text.trim();
        items.push(match is_text {
            true => Some(text),
            false if plain.eq_ignore_ascii_case("null") => None,
            false => Some(plain.to_owned()),
        });
    };
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', Some(_)) => item.push(chars.next()?),
            (c, Some(open)) if c == open && depth == 0 => quote = None,
            (c, Some(_)) => item.push(c),
            ('\'' | '"', None) if depth == 0 && item.trim().is_empty() => {
                item.clear();
                (quote, was_quoted) = (Some(c), true);
            }
            (',', None) if depth == 0 => end(&mut item, &mut was_quoted),
            (' ', None) if was_quoted => {}
            (c, None) => {
                match c {
                    '[' | '{' => depth += 1,
                    ']' | '}' => depth = depth.checked_sub(1)?,
                    _ => {}
                }
                item.push(c);
            }
        }
    }
    if quote.is_some() || depth > 0 {
        return None;
    }
    if was_quoted || !item.trim().is_empty() || inner.contains(',') {
        end(&mut item, &mut was_quoted);
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_duckdb_writes_it() {
        let read = |text: &str| {
            items(text).map(|items| {
                items.into_iter().map(|item| item.unwrap_or_else(|| "-".into())).collect::<Vec<_>>().join("|")
            })
        };
        for (text, list) in [
            ("[]", Some("")),
            (" [a, b c ,NULL] ", Some("a|b c|-")),
            ("['a, b' , \"it's\", 'null']", Some("a, b|it's|null")),
            ("[[1, 2], {'a': 1}]", Some("[1, 2]|{'a': 1}")),
            ("['a\\'b']", Some("a'b")),
            ("a, b", None),
            ("[a", None),
            ("['a]", None),
            ("[a]]", None),
        ] {
            assert_eq!(read(text).as_deref(), list, "{text}");
        }
    }
}
