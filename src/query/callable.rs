//! What can be called?
//!
//! `SHOW FUNCTIONS`: the engine's functions and ours by their signatures, functions of other engines with what stands for them,
//! macros, and functions to select from. Those that only our own words call are not told.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::logical_expr::{AggregateUDF, Documentation, ReturnFieldArgs, ScalarUDF, Signature};

use super::describe::is_like;
use super::{Outcome, Session, dialect};
use crate::base::sql_type_name;

/// Ways to call one function that are told.
const WAYS: usize = 40;

const COLUMNS: [&str; 6] =
    ["function_name", "return_type", "arguments", "function_type", "description", "syntax_example"];

/// One way to call a function, in the order of [`COLUMNS`].
type Row = [Option<String>; 6];

/// `SHOW FUNCTIONS [LIKE 'pattern']`, in order.
pub(super) fn functions(session: &Session, pattern: Option<&str>) -> Outcome {
    let is_meant =
        |name: &str| !name.starts_with('_') && pattern.is_none_or(|pattern| is_like(name, pattern));
    let state = session.context.state();
    let mut rows: BTreeSet<Row> = BTreeSet::new();
    for (name, function) in state.scalar_functions() {
        if is_meant(name) {
            rows.extend(ways(name, "scalar", function.signature(), function.documentation(), &|args| {
                given(function, args)
            }));
        }
    }
    for (name, function) in state.aggregate_functions() {
        if is_meant(name) {
            rows.extend(ways(name, "aggregate", function.signature(), function.documentation(), &|args| {
                gathered(function, args)
            }));
        }
    }
    for (name, function) in state.window_functions() {
        if is_meant(name) {
            rows.extend(ways(name, "window", function.signature(), function.documentation(), &|_| None));
        }
    }
    let plain = |name: &str, arguments: Option<String>, kind: &str, description: Option<String>| -> Row {
        let example = arguments.as_ref().map(|arguments| format!("{name}({arguments})"));
        [Some(name.to_owned()), None, arguments, Some(kind.to_owned()), description, example]
    };
    let known: HashMap<&str, ()> = rows.iter().filter_map(|row| Some((row[0].as_deref()?, ()))).collect();
    let more: Vec<Row> = state
        .higher_order_functions()
        .keys()
        .filter(|name| is_meant(name) && !known.contains_key(name.as_str()))
        .map(|name| plain(name, None, "scalar", Some("takes a function: `x -> x + 1`".to_owned())))
        .chain(
            dialect::other_names()
                .filter(|(name, ..)| is_meant(name))
                .map(|(name, parameters, means)| plain(name, parameters, "scalar", Some(means))),
        )
        .chain(
            state
                .table_functions()
                .keys()
                .map(String::as_str)
                .chain(FROM_FILES)
                .chain(["json_each", "json_tree", "table_changes"])
                .filter(|name| is_meant(name))
                .map(|name| plain(name, None, "table", Some("stands after FROM".to_owned()))),
        )
        .chain(
            session
                .own
                .macro_names()
                .iter()
                .filter(|name| is_meant(name))
                .map(|name| plain(name, None, "macro", Some("of this session".to_owned()))),
        )
        .collect();
    rows.extend(more);
    Outcome::table(COLUMNS, &[], rows.into_iter().collect())
}

/// The functions that files are read by.
const FROM_FILES: [&str; 11] = [
    "read_csv",
    "read_json",
    "read_parquet",
    "read_files",
    "parquet_metadata",
    "parquet_schema",
    "parquet_file_metadata",
    "parquet_kv_metadata",
    "glob",
    "read_text",
    "read_blob",
];

/// A function once for each kind of arguments that it takes.
fn ways(
    name: &str,
    kind: &str,
    signature: &Signature,
    told: Option<&Documentation>,
    gives: &dyn Fn(&[FieldRef]) -> Option<DataType>,
) -> Vec<Row> {
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let names: Vec<&str> = told
        .and_then(|told| told.arguments.as_ref())
        .map(|arguments| arguments.iter().map(|(name, _)| name.as_str()).collect())
        .unwrap_or_default();
    let row = |gives: Option<DataType>, arguments: Option<String>| -> Row {
        [
            Some(name.to_owned()),
            gives.map(|gives| sql_type_name(&gives)),
            arguments,
            Some(kind.to_owned()),
            told.map(|told| line(&told.description)),
            told.map(|told| line(&told.syntax_example)),
        ]
    };
    let mut kinds = signature.type_signature.get_example_types();
    kinds.truncate(WAYS);
    if kinds.is_empty() {
        return vec![row(None, (!names.is_empty()).then(|| names.join(", ")))];
    }
    kinds
        .into_iter()
        .map(|types| {
            let fields: Vec<FieldRef> =
                types.iter().map(|of| Arc::new(Field::new("argument", of.clone(), true))).collect();
            let arguments = types.iter().enumerate().map(|(at, of)| match names.get(at) {
                Some(name) => format!("{name} {}", sql_type_name(of)),
                None => sql_type_name(of),
            });
            row(gives(&fields), Some(arguments.collect::<Vec<_>>().join(", ")))
        })
        .collect()
}

fn given(function: &ScalarUDF, fields: &[FieldRef]) -> Option<DataType> {
    let scalars = vec![None; fields.len()];
    let field =
        function.return_field_from_args(ReturnFieldArgs { arg_fields: fields, scalar_arguments: &scalars });
    field.ok().map(|field| field.data_type().clone())
}

fn gathered(function: &AggregateUDF, fields: &[FieldRef]) -> Option<DataType> {
    function.return_field(fields).ok().map(|field| field.data_type().clone())
}
