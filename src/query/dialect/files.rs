//! Which functions read a file?
//!
//! `read_csv('a.csv', delim => ';')` is the file `'a.csv'`, read as its function says and not as its ending does. What it
//! says is left in the name of the schema, as JSON: `@file:{"function":"Csv","options":[["delim",";"]]}`.

use serde::{Deserialize, Serialize};
use sqlparser::ast::{
    Array, DictionaryField, Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart,
    TableAlias, TableFactor, UnaryOperator, Value,
};

use super::FILES;
use super::time_travel::stem;
use crate::query::SqlMistake;

/// How files are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::query) struct Reader {
    /// What reads them.
    pub(in crate::query) function: ReadBy,
    /// Further files, beside the one that is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::query) more: Vec<String>,
    /// What the function is told, by lower-case name: one text, or several. Pairs are texts one after another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::query) options: Vec<(String, Vec<String>)>,
}

/// The function that reads files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::query) enum ReadBy {
    /// None: their ending says what they are.
    #[default]
    Ending,
    /// Text between delimiters.
    Csv,
    /// JSON objects, on lines or in an array.
    Json,
    /// Parquet.
    Parquet,
    /// Avro.
    Avro,
    /// Arrow IPC.
    Arrow,
    /// As their ending says, told with Databricks' words.
    Files,
    /// A Delta table outside the lake.
    Delta,
    /// What Parquet files say of themselves: of the columns of their row groups,
    ParquetMetadata,
    /// of their schemas,
    ParquetSchema,
    /// of each file,
    ParquetFileMetadata,
    /// and what their writers noted.
    ParquetKvMetadata,
    /// Which files there are.
    Glob,
    /// Each file as one text.
    Text,
    /// Each file as its bytes.
    Blob,
}

/// The functions that read files, by all their names. The first of each is the one that messages use.
const FUNCTIONS: &[(&str, ReadBy)] = &[
    ("read_csv", ReadBy::Csv),
    ("read_csv_auto", ReadBy::Csv),
    ("sniff_csv", ReadBy::Csv),
    ("read_json", ReadBy::Json),
    ("read_json_auto", ReadBy::Json),
    ("read_ndjson", ReadBy::Json),
    ("read_ndjson_auto", ReadBy::Json),
    ("read_parquet", ReadBy::Parquet),
    ("parquet_scan", ReadBy::Parquet),
    ("read_avro", ReadBy::Avro),
    ("read_arrow", ReadBy::Arrow),
    ("read_files", ReadBy::Files),
    ("delta_scan", ReadBy::Delta),
    ("read_delta", ReadBy::Delta),
    ("parquet_metadata", ReadBy::ParquetMetadata),
    ("parquet_schema", ReadBy::ParquetSchema),
    ("parquet_file_metadata", ReadBy::ParquetFileMetadata),
    ("parquet_kv_metadata", ReadBy::ParquetKvMetadata),
    ("glob", ReadBy::Glob),
    ("read_text", ReadBy::Text),
    ("read_blob", ReadBy::Blob),
];

impl ReadBy {
    /// The function's name; of none, what messages can say in its place.
    pub(in crate::query) fn name(self) -> &'static str {
        let found = FUNCTIONS.iter().find(|(_, by)| *by == self);
        found.map_or("read_files", |(name, _)| name)
    }
}

impl Reader {
    /// Reads the name of a schema of files; nothing if it is another.
    pub(in crate::query) fn read(schema: &str) -> Option<Self> {
        match schema.strip_prefix(FILES)? {
            "" => Some(Self::default()),
            told => serde_json::from_str(told.strip_prefix(':')?).ok(),
        }
    }

    fn schema(&self) -> String {
        let told = serde_json::to_string(self).expect("texts and names are JSON");
        format!("{FILES}:{told}")
    }
}

/// The file that a table function names; nothing if it is another function.
pub(super) fn file_function(factor: &TableFactor) -> Option<Result<TableFactor, SqlMistake>> {
    let (name, args, alias) = match factor {
        TableFactor::Table { name, args: Some(args), alias, .. } => (name, &args.args, alias),
        TableFactor::Function { name, args, alias, .. } => (name, args, alias),
        _ => return None,
    };
    let function = name.to_string().to_lowercase();
    let (_, by) = FUNCTIONS.iter().find(|(name, _)| *name == function)?;
    if function == "sniff_csv" {
        let what = "`sniff_csv` is not supported";
        let help = "`describe select * from 'file.csv'` tells columns and types, `elt land --dry-run` also how the file is read";
        return Some(Err(SqlMistake::refused(what, help)));
    }
    Some(file(&function, *by, args, alias))
}

fn file(
    function: &str,
    by: ReadBy,
    args: &[FunctionArg],
    alias: &Option<TableAlias>,
) -> Result<TableFactor, SqlMistake> {
    let wrong = |what: String| SqlMistake::new("elt::sql::arguments", what);
    let example =
        format!("write `{function}('folder/*.csv')`, or `{function}(['a.csv', 'b.csv'])` for several");
    let Some((FunctionArg::Unnamed(FunctionArgExpr::Expr(path)), options)) = args.split_first() else {
        return Err(wrong(format!("`{function}` needs the name of a file")).help(example));
    };
    let mut paths = match path {
        Expr::Array(Array { elem, .. }) => {
            elem.iter().map(text_and_place).collect::<Option<Vec<_>>>().unwrap_or_default()
        }
        one => text_and_place(one).into_iter().collect(),
    }
    .into_iter();
    let Some((path_text, span)) = paths.next() else {
        return Err(wrong(format!("`{function}` needs the name of a file in single quotes")).help(example));
    };
    let mut reader =
        Reader { function: by, more: paths.map(|(path, _)| path).collect(), options: Vec::new() };
    for option in options {
        let Some((name, value)) = named(option) else {
            return Err(wrong(format!("`{option}` is not an option of `{function}`"))
                .help(format!("options have names: `{function}('file', header => true)`")));
        };
        let Some(texts) = texts(value) else {
            return Err(wrong(format!("`{value}` cannot be the value of an option"))
                .help("write a text, a number, true or false, a list `['a', 'b']`, or columns with types: `{'id': 'bigint'}`"));
        };
        reader.options.push((name, texts));
    }
    let ident = |text: String| ObjectNamePart::Identifier(Ident::with_quote('"', text));
    let mut file = Ident::with_quote('"', path_text.clone());
    file.span = span;
    let alias = alias.clone().or_else(|| {
        let name = Ident::with_quote('"', stem(&path_text)?);
        Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None })
    });
    Ok(TableFactor::Table {
        name: ObjectName(vec![ident(reader.schema()), ObjectNamePart::Identifier(file)]),
        alias,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    })
}

/// A text, and where it stands.
fn text_and_place(expr: &Expr) -> Option<(String, sqlparser::tokenizer::Span)> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some((text.clone(), value.span)),
            _ => None,
        },
        _ => None,
    }
}

/// `name => value` or `name = value`
fn named(option: &FunctionArg) -> Option<(String, &Expr)> {
    let (name, value) = match option {
        FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => (name.value.clone(), value),
        FunctionArg::ExprNamed { name, arg: FunctionArgExpr::Expr(value), .. } => (name.to_string(), value),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp { left, right, .. })) => {
            (left.to_string(), &**right)
        }
        _ => return None,
    };
    Some((name.to_lowercase(), value))
}

/// What an option is told: one text, those of a list, or names and values of a struct one after another.
fn texts(value: &Expr) -> Option<Vec<String>> {
    let one = |expr: &Expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text.clone()),
            Value::Number(..) | Value::Boolean(_) => Some(value.value.to_string()),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Some(format!("-{expr}")),
        Expr::Identifier(name) => Some(name.value.clone()),
        _ => None,
    };
    match value {
        Expr::Array(Array { elem, .. }) => elem.iter().map(one).collect(),
        Expr::Dictionary(fields) => {
            let pair =
                |DictionaryField { key, value }: &DictionaryField| Some([key.value.clone(), one(value)?]);
            Some(fields.iter().map(pair).collect::<Option<Vec<_>>>()?.concat())
        }
        other => Some(vec![one(other)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_go_there_and_back() {
        let told = |function, more: &[&str], options: &[(&str, &[&str])]| {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let options = options.iter().map(|(name, texts)| ((*name).to_owned(), owned(texts))).collect();
            Reader { function, more: owned(more), options }
        };
        for reader in [
            Reader::default(),
            told(ReadBy::Json, &[], &[]),
            told(ReadBy::Csv, &["b \"c\".csv"], &[("delim", &[":"]), ("columns", &["a", "int"])]),
            told(ReadBy::Delta, &[], &[("version", &["3"])]),
        ] {
            assert_eq!(Reader::read(&reader.schema()), Some(reader));
        }
        assert_eq!(Reader::read(FILES), Some(Reader::default()));
        assert_eq!(Reader::read("main"), None);
    }
}
