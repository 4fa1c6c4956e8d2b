//! Which functions read a file?
//!
//! `read_csv('a.csv', delim => ';')` is the file `'a.csv'`, read as its function says and not as its ending does. What it
//! says is left in the name of the schema, `@file:csv:59:true`.

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, TableAlias, TableFactor, Value,
};

use super::FILES;
use super::time_travel::stem;
use crate::query::SqlMistake;

/// How a file is read, whatever its ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::query) enum Reader {
    /// As its ending says.
    Ending,
    /// Text between delimiters.
    Csv {
        /// Between two cells.
        delimiter: u8,
        /// Whether the first line holds the names.
        header: bool,
    },
    /// One object a line.
    Json,
    Parquet,
    /// A Delta table outside the lake.
    Delta {
        /// Its newest version, if none is asked for.
        version: Option<u64>,
    },
}

impl Reader {
    /// Reads the name of a schema of files; nothing if it is another.
    pub(in crate::query) fn read(schema: &str) -> Option<Self> {
        let rest = schema.strip_prefix(FILES)?;
        let mut words = rest.split(':').skip(1);
        match words.next() {
            None => Some(Self::Ending),
            Some("json") => Some(Self::Json),
            Some("parquet") => Some(Self::Parquet),
            Some("delta") => Some(Self::Delta { version: words.next().and_then(|word| word.parse().ok()) }),
            Some("csv") => {
                let delimiter = words.next()?.parse().ok()?;
                Some(Self::Csv { delimiter, header: words.next()? == "true" })
            }
            Some(_) => None,
        }
    }

    fn schema(self) -> String {
        match self {
            Self::Ending => FILES.to_owned(),
            Self::Json => format!("{FILES}:json"),
            Self::Parquet => format!("{FILES}:parquet"),
            Self::Delta { version: None } => format!("{FILES}:delta"),
            Self::Delta { version: Some(version) } => format!("{FILES}:delta:{version}"),
            Self::Csv { delimiter, header } => format!("{FILES}:csv:{delimiter}:{header}"),
        }
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
    let reader = match function.as_str() {
        "read_csv" | "read_csv_auto" => Reader::Csv { delimiter: b',', header: true },
        "read_json" | "read_json_auto" | "read_ndjson" => Reader::Json,
        "read_parquet" | "parquet_scan" => Reader::Parquet,
        "delta_scan" | "read_delta" => Reader::Delta { version: None },
        _ => return None,
    };
    Some(file(&function, reader, args, alias))
}

fn file(
    function: &str,
    mut reader: Reader,
    args: &[FunctionArg],
    alias: &Option<TableAlias>,
) -> Result<TableFactor, SqlMistake> {
    let wrong = |what: String| SqlMistake::new("elt::sql::arguments", what);
    let Some((FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(path))), options)) = args.split_first()
    else {
        return Err(wrong(format!("`{function}` needs the name of a file"))
            .help(format!("write `{function}('folder/*.csv')`: one name, or a pattern for several")));
    };
    let Value::SingleQuotedString(path_text) = &path.value else {
        return Err(wrong(format!("`{function}` needs the name of a file in single quotes")));
    };
    for option in options {
        let Some((name, value)) = named(option) else {
            return Err(wrong(format!("`{option}` is not an option of `{function}`")));
        };
        match (&mut reader, name.as_str(), value.as_str()) {
            (Reader::Csv { delimiter, .. }, "delim" | "sep" | "delimiter", text) => {
                let text = text.replace("\\t", "\t");
                let [byte] = text.as_bytes() else {
                    return Err(wrong(format!("`{text}` is not a delimiter: it is one character")));
                };
                *delimiter = *byte;
            }
            (Reader::Csv { header, .. }, "header", "true" | "false") => *header = value == "true",
            (Reader::Delta { version }, "version", text) => match text.parse() {
                Ok(number) => *version = Some(number),
                Err(_) => return Err(wrong(format!("`{text}` is not a version: it is a number from 0 on"))),
            },
            _ => {
                return Err(wrong(format!("`{name}` is not an option of `{function}`"))
                    .help("`read_csv` knows `delim` and `header`, `delta_scan` knows `version`; land a file for more: `elt land`"));
            }
        }
    }
    let ident = |text: String| ObjectNamePart::Identifier(Ident::with_quote('"', text));
    let mut file = Ident::with_quote('"', path_text.clone());
    file.span = path.span;
    let alias = alias.clone().or_else(|| {
        let name = Ident::with_quote('"', stem(path_text)?);
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

/// `name => value` or `name = value`
fn named(option: &FunctionArg) -> Option<(String, String)> {
    let (name, value) = match option {
        FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => (name.value.clone(), value),
        FunctionArg::ExprNamed { name, arg: FunctionArgExpr::Expr(value), .. } => (name.to_string(), value),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp { left, right, .. })) => {
            (left.to_string(), &**right)
        }
        _ => return None,
    };
    let value = match value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        other => other.to_string(),
    };
    Some((name.to_lowercase(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_go_there_and_back() {
        for reader in [
            Reader::Ending,
            Reader::Json,
            Reader::Parquet,
            Reader::Csv { delimiter: b':', header: false },
            Reader::Delta { version: None },
            Reader::Delta { version: Some(3) },
        ] {
            assert_eq!(Reader::read(&reader.schema()), Some(reader));
        }
        assert_eq!(Reader::read("main"), None);
    }
}
