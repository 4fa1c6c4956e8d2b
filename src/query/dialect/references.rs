//! Which table do `ref('orders')` and `source('crm', 'people')` name?
//!
//! The one that a model with these words would read, as it is published. The parser takes them for functions; here they
//! become names in a schema of their own ([`REFERENCES`]), which the session's catalog looks up among all that there is.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, TableAlias, TableFactor, Value};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::write::{is, spelled};
use crate::query::SqlMistake;

/// The schema of such names: `orders`, or `crm.people`.
pub(in crate::query) const REFERENCES: &str = "@ref";

/// Puts `ref('t') VERSION AS OF n` into a subquery with the table's name: the parser reads a version behind a name only.
pub(super) fn versioned(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let solid: Vec<usize> =
        (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect();
    let token = |at: usize| solid.get(at).map(|index| &tokens[*index]);
    let word =
        |at: usize, words: &[&str]| token(at).is_some_and(|token| words.iter().any(|word| is(token, word)));
    let mut out = tokens.clone();
    for at in (0..solid.len()).rev() {
        let is_one =
            word(at, &["ref", "source"]) && token(at + 1).is_some_and(|token| token.token == Token::LParen);
        let Some(close) = (at + 2..(at + 8).min(solid.len()))
            .find(|at| tokens[solid[*at]].token == Token::RParen)
            .filter(|_| is_one)
        else {
            continue;
        };
        let plain = (at + 2..close)
            .all(|at| matches!(tokens[solid[at]].token, Token::SingleQuotedString(_) | Token::Comma));
        let version = plain
            && word(close + 1, &["version", "timestamp"])
            && word(close + 2, &["as"])
            && word(close + 3, &["of"])
            && token(close + 4).is_some();
        if !version {
            continue;
        }
        let texts = (at + 2..close).filter_map(|at| match &tokens[solid[at]].token {
            Token::SingleQuotedString(text) => Some(text.to_lowercase()),
            _ => None,
        });
        let texts: Vec<String> = texts.collect();
        let wanted = if word(at, &["ref"]) { texts.last().cloned() } else { Some(texts.join(".")) };
        let (Some(wanted), Some(alias)) = (wanted, texts.last()) else { continue };
        let begin = &tokens[solid[at]];
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let mut put = spelled(&format!("(select * from {}.{}", quoted(REFERENCES), quoted(&wanted)), begin);
        put.extend((close + 1..=close + 4).map(|at| tokens[solid[at]].clone()));
        put.extend(spelled(")", begin));
        let has_alias = word(close + 5, &["as"])
            || matches!(token(close + 5).map(|token| &token.token), Some(Token::Word(word)) if word.keyword == Keyword::NoKeyword);
        if !has_alias {
            put.extend(spelled(&format!("as {}", quoted(alias)), begin));
        }
        // The places are from the end, so what is before stays where it is.
        out.splice(solid[at]..=solid[close + 4], put);
    }
    out
}

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
