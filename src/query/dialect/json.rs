//! Is something JSON, so that `x[0]` and `x.a` go into it?
//!
//! JSON is kept as a text, of which `x[1]` is the first letter. What was just made JSON, `x::json`, `parse_json(x)`, `j -> 'a'`, is no
//! text to whoever wrote it: its subscripts are steps into it, places counted from 0 as for `->`.

use sqlparser::ast::{AccessExpr, DataType, Expr, JsonPath, JsonPathElem, Subscript, Value};

use super::spelling::{called, name_of, text};

/// Functions that give JSON.
const MAKE_JSON: &[&str] = &[
    "_elt_json_get",
    "_elt_json_field",
    "array_to_json",
    "json",
    "json_array",
    "json_build_array",
    "json_build_object",
    "json_extract",
    "json_extract_path",
    "json_object",
    "json_parse",
    "json_query",
    "jsonb_build_array",
    "jsonb_build_object",
    "object_construct",
    "parse_json",
    "row_to_json",
    "to_json",
    "try_parse_json",
];

/// Whether an expression was made JSON where it stands.
pub(super) fn is_json(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_json(inner),
        Expr::Cast { data_type: DataType::JSON | DataType::JSONB, .. } => true,
        Expr::Function(call) => MAKE_JSON.contains(&name_of(call).as_str()),
        _ => false,
    }
}

/// What is at the end of subscripts of JSON; nothing if it is none, or the subscripts are slices.
pub(super) fn inside(root: &Expr, chain: &[AccessExpr]) -> Option<Expr> {
    if !is_json(root) || chain.is_empty() {
        return None;
    }
    let step = |access: &AccessExpr| match access {
        AccessExpr::Dot(Expr::Identifier(key)) => Some(text(&key.value)),
        AccessExpr::Subscript(Subscript::Index { index }) => Some(index.clone()),
        _ => None,
    };
    let steps = chain.iter().map(step).collect::<Option<Vec<Expr>>>()?;
    Some(called("_elt_json_get", std::iter::once(root).chain(&steps)))
}

/// Whether it is a path as Postgres has them: `'{a,b}'`, or a list of texts.
pub(super) fn is_path(path: &Expr) -> bool {
    steps(path).is_some()
}

fn steps(path: &Expr) -> Option<Vec<Expr>> {
    match path {
        Expr::Nested(inner) => steps(inner),
        Expr::Array(list) => Some(list.elem.clone()),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(path) => {
                let inner = path.strip_prefix('{')?.strip_suffix('}')?;
                Some(inner.split(',').map(|step| text(step.trim().trim_matches('"'))).collect())
            }
            _ => None,
        },
        _ => None,
    }
}

/// `j #> '{a,b}'` and `j #>> '{a,b}'`; nothing if the path is not written out.
pub(super) fn by_path(own: &str, root: &Expr, path: &Expr) -> Option<Expr> {
    let steps = steps(path)?;
    Some(called(own, std::iter::once(root).chain(&steps)))
}

/// What is at the end of `x:a.b[0]`.
pub(super) fn along(root: &Expr, path: &JsonPath) -> Option<Expr> {
    use JsonPathElem as Step;
    let step = |step: &Step| match step {
        Step::Dot { key, .. } => Some(text(key)),
        Step::Bracket { key } => Some(key.clone()),
        Step::ColonBracket { key } => Some(key.clone()),
    };
    let steps = path.path.iter().map(step).collect::<Option<Vec<Expr>>>()?;
    Some(called("_elt_json_get", std::iter::once(root).chain(&steps)))
}
