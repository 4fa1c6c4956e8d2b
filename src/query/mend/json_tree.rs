//! What is in a text that is JSON, down to its leaves?
//!
//! `json_tree(text)` has a row for the text itself and one for each value within, from the outside to the inside, with DuckDB's columns.
//! Each column is a list that a function of ours gives, and the lists are taken apart side by side.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Builder, ListBuilder, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::json::{compact, is_valid, kind};
use super::json_shape::entries;

/// A column of `json_tree`, in the order of its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Key,
    Value,
    Kind,
    Atom,
    Id,
    Parent,
    FullKey,
    Path,
}

/// A function for each column.
pub(super) fn functions() -> Vec<ScalarUDF> {
    use Part as P;
    let signature =
        || Signature::one_of(vec![TypeSignature::Any(1), TypeSignature::Any(2)], Volatility::Immutable);
    [P::Key, P::Value, P::Kind, P::Atom, P::Id, P::Parent, P::FullKey, P::Path]
        .map(|part| ScalarUDF::from(Tree { part, signature: signature() }))
        .into()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Tree {
    part: Part,
    signature: Signature,
}

impl ScalarUDFImpl for Tree {
    fn name(&self) -> &str {
        match self.part {
            Part::Key => "_elt_json_tree_key",
            Part::Value => "_elt_json_tree_value",
            Part::Kind => "_elt_json_tree_type",
            Part::Atom => "_elt_json_tree_atom",
            Part::Id => "_elt_json_tree_id",
            Part::Parent => "_elt_json_tree_parent",
            Part::FullKey => "_elt_json_tree_fullkey",
            Part::Path => "_elt_json_tree_path",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        let item = match self.part {
            Part::Id | Part::Parent => DataType::Int64,
            _ => DataType::Utf8,
        };
        Ok(super::elements::list_of(item))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let texts = args
            .args
            .iter()
            .map(|arg| Ok(cast(&arg.clone().into_array(rows)?, &DataType::Utf8)?))
            .collect::<Result<Vec<_>>>()?;
        let texts: Vec<&StringArray> = texts.iter().map(|texts| texts.as_string::<i32>()).collect();
        let trees = (0..rows).map(|row| {
            if texts.iter().any(|texts| texts.is_null(row)) {
                return Ok(None);
            }
            tree(texts[0].value(row).trim(), texts.get(1).map(|paths| paths.value(row))).map(Some)
        });
        let trees = trees.collect::<Result<Vec<_>>>()?;
        Ok(ColumnarValue::Array(match self.part {
            Part::Id | Part::Parent => self.numbers(&trees),
            _ => self.texts(&trees),
        }))
    }
}

impl Tree {
    fn numbers(&self, trees: &[Option<Vec<Node<'_>>>]) -> ArrayRef {
        let mut answer = ListBuilder::new(Int64Builder::new());
        for tree in trees {
            for node in tree.iter().flatten() {
                let number = if self.part == Part::Id { Some(node.id) } else { node.parent };
                answer.values().append_option(number);
            }
            answer.append(tree.is_some());
        }
        Arc::new(answer.finish())
    }

    fn texts(&self, trees: &[Option<Vec<Node<'_>>>]) -> ArrayRef {
        let mut answer = ListBuilder::new(StringBuilder::new());
        for tree in trees {
            for node in tree.iter().flatten() {
                let is_leaf = !node.value.starts_with(['{', '[']) && node.value != "null";
                let text = match self.part {
                    Part::Key => node.key.clone(),
                    Part::Value => Some(compact(node.value)),
                    Part::Kind => kind(node.value).map(str::to_owned),
                    Part::Atom => is_leaf.then(|| compact(node.value)),
                    Part::FullKey => Some(node.full_key.clone()),
                    _ => Some(node.path.clone()),
                };
                answer.values().append_option(text);
            }
            answer.append(tree.is_some());
        }
        Arc::new(answer.finish())
    }
}

/// A value in a text.
#[derive(Debug)]
struct Node<'a> {
    key: Option<String>,
    value: &'a str,
    id: i64,
    parent: Option<i64>,
    full_key: String,
    path: String,
}

/// All values of a text, or those below a path, itself first; none if nothing is there.
fn tree<'a>(json: &'a str, path: Option<&str>) -> Result<Vec<Node<'a>>> {
    if !is_valid(json) {
        return exec_err!("this is not JSON: {}", json.chars().take(60).collect::<String>());
    }
    let root = "$".to_owned();
    let root = Node { key: None, value: json, id: 0, parent: None, full_key: root.clone(), path: root };
    let mut nodes = Vec::new();
    walk(root, 0, &mut 1, &mut nodes)?;
    let Some(path) = path else { return Ok(nodes) };
    let Some(start) = nodes.iter().position(|node| node.full_key == path) else { return Ok(Vec::new()) };
    let mut below: Vec<Node<'a>> = nodes.drain(start..).collect();
    let end = below
        .iter()
        .skip(1)
        .position(|node| !node.full_key.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '['])));
    below.truncate(end.map_or(below.len(), |end| end + 1));
    (below[0].key, below[0].parent) = (None, None);
    below[0].path = below[0].full_key.clone();
    Ok(below)
}

/// What is deeper than this is not looked into.
const DEEPEST: usize = 1_000;

/// A value and what is within. A key counts as a value does, as DuckDB numbers them.
fn walk<'a>(node: Node<'a>, depth: usize, next: &mut i64, nodes: &mut Vec<Node<'a>>) -> Result<()> {
    if depth > DEEPEST {
        return exec_err!("a JSON text with more than {DEEPEST} values one in another has no tree here");
    }
    let (value, parent, path) = (node.value, node.id, node.full_key.clone());
    nodes.push(node);
    let is_object = value.starts_with('{');
    if !is_object && !value.starts_with('[') {
        return Ok(());
    }
    for (key, value) in entries(value).into_iter().flatten() {
        let is_plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_');
        let full_key = match (is_object, is_plain) {
            (false, _) => format!("{path}[{key}]"),
            (true, true) => format!("{path}.{key}"),
            (true, false) => format!("{path}.\"{key}\""),
        };
        let id = *next + i64::from(is_object);
        *next = id + 1;
        let below = Node { key: Some(key), value, id, parent: Some(parent), full_key, path: path.clone() };
        walk(below, depth + 1, next, nodes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::tree;

    #[test]
    fn values_are_numbered_and_named_as_duckdb_has_them() {
        let told = |json: &str, path: Option<&str>| -> Vec<String> {
            let nodes = tree(json, path).unwrap();
            nodes.iter().map(|node| format!("{} {:?} {}", node.id, node.parent, node.full_key)).collect()
        };
        assert_eq!(
            told(r#"{"a":[1,{"c":null}],"b":"t"}"#, None),
            [
                "0 None $",
                "2 Some(0) $.a",
                "3 Some(2) $.a[0]",
                "4 Some(2) $.a[1]",
                "6 Some(4) $.a[1].c",
                "8 Some(0) $.b"
            ]
        );
        assert_eq!(told(r#"[1,{"c d":2},3]"#, Some("$[1]")), ["2 None $[1]", "4 Some(2) $[1].\"c d\""]);
        assert!(told("[1]", Some("$.a")).is_empty());
    }
}
