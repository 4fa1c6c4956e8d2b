//! Which table do `ref('orders')` and `source('crm', 'people')` name?
//!
//! The one that a model with these words would read, as it is published. The parser takes them for functions; here they
//! become names in a schema of their own ([`REFERENCES`]), which the session's catalog looks up among all that there is.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, TableAlias, TableFactor, Value};

use crate::query::SqlMistake;

/// The schema of such names: `orders`, or `crm.people`.
pub(in crate::query) const REFERENCES: &str = "@ref";

/// Gives a factor that is one of the two its name.
///
/// # Errors
/// Their arguments make no sense.
pub(super) fn spell(factor: &mut TableFactor) -> Result<(), SqlMistake> {
    let TableFactor::Table { name, alias, args, .. } = factor else { return Ok(()) };
    let function = name.to_string().to_lowercase();
    if !matches!(function.as_str(), "ref" | "source") {
        return Ok(());
    }
    let Some(given) = args.take() else { return Ok(()) };
    let (mut texts, mut version) = (Vec::new(), None);
    for arg in &given.args {
        match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => match &value.value {
                Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => texts.push(text.clone()),
                _ => return Err(wrong(&function)),
            },
            // "orders" in double quotes is a name to SQL, and a text to Jinja.
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(text)))
                if text.quote_style.is_some() =>
            {
                texts.push(text.value.clone());
            }
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(Expr::Value(value)), .. }
                if is_version(name) =>
            {
                version = Some(value.to_string().replace('\'', ""));
            }
            FunctionArg::ExprNamed {
                name: Expr::Identifier(name),
                arg: FunctionArgExpr::Expr(Expr::Value(value)),
                ..
            } if is_version(name) => {
                version = Some(value.to_string().replace('\'', ""));
            }
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp { left, right, .. })) => {
                match (&**left, &**right) {
                    (Expr::Identifier(name), Expr::Value(value)) if is_version(name) => {
                        version = Some(value.to_string().replace('\'', ""));
                    }
                    _ => return Err(wrong(&function)),
                }
            }
            _ => return Err(wrong(&function)),
        }
    }
    let (wanted, known) = match (function.as_str(), texts.as_slice()) {
        ("ref", [model] | [_, model]) => {
            let model = version.map_or_else(|| model.clone(), |version| format!("{model}_v{version}"));
            (model.to_lowercase(), model)
        }
        ("source", [source, table]) => (format!("{source}.{table}").to_lowercase(), table.clone()),
        _ => return Err(wrong(&function)),
    };
    let known = Ident::with_quote('"', known.to_lowercase());
    alias.get_or_insert_with(|| TableAlias { explicit: true, name: known, columns: Vec::new(), at: None });
    *name = ObjectName::from(vec![Ident::with_quote('"', REFERENCES), Ident::with_quote('"', wanted)]);
    Ok(())
}

fn is_version(name: &Ident) -> bool {
    matches!(name.value.to_lowercase().as_str(), "v" | "version")
}

fn wrong(function: &str) -> SqlMistake {
    let help = match function {
        "ref" => "write `from ref('orders')`, or `ref('orders', v=2)`",
        _ => "write `from source('crm', 'people')`",
    };
    SqlMistake::new("elt::sql::reference", format!("`{function}` needs names, as texts")).help(help)
}
