//! How is the engine's error said to a person?
//!
//! DataFusion's errors are written for who works on DataFusion. Here each becomes the mistake that it is: which
//! name, where in the statement, and what to write instead.

use std::borrow::Cow;

use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;

use super::SqlMistake;
use super::error::VALUE;
use super::phrases::{in_other_words, with_literals, with_sql_types};
use crate::base::{did_you_mean, sql_type_name};

/// Bytes of a message of the engine's that are told: a value in it may be as long as a text can be.
const TOLD: usize = 2_000;

/// A message without the middle of what is too long to be told.
fn without_its_middle(message: &str) -> Cow<'_, str> {
    if message.len() <= TOLD {
        return Cow::Borrowed(message);
    }
    let boundary = |at: usize| (0..=at).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
    let (head, tail) = (boundary(TOLD * 3 / 4), boundary(message.len() - TOLD / 4));
    Cow::Owned(format!("{}…{}", &message[..head], &message[tail..]))
}

/// The user's mistake behind an error, if it is one: words, place and help.
pub(super) fn mistake(error: &DataFusionError) -> Option<SqlMistake> {
    let (diagnostic, root) = innermost(error);
    let mut mistake = match root {
        DataFusionError::SchemaError(schema, _) => schema_mistake(schema),
        DataFusionError::Plan(message) => plan_mistake(message),
        DataFusionError::SQL(error, _) => SqlMistake::new("elt::sql::syntax", error.to_string()),
        DataFusionError::NotImplemented(message) if message.starts_with("Physical plan does not support") => {
            let what = "a subquery, or a function, that refers to the query around it is not supported here";
            SqlMistake::new("elt::sql::not_supported", what).help(
                "join the tables; a list is unnested in the select list: `select unnest(list) as item, …`",
            )
        }
        DataFusionError::NotImplemented(message) => in_other_words(message)
            .unwrap_or_else(|| SqlMistake::new("elt::sql::not_supported", message.clone())),
        DataFusionError::Configuration(message) => setting_words(message),
        DataFusionError::ArrowError(error, _) => match &**error {
            arrow::error::ArrowError::CastError(message)
            | arrow::error::ArrowError::ParseError(message)
            | arrow::error::ArrowError::ComputeError(message)
            | arrow::error::ArrowError::InvalidArgumentError(message) => {
                let message = &*without_its_middle(message);
                in_other_words(message).unwrap_or_else(|| SqlMistake::new(VALUE, with_sql_types(message)))
            }
            arrow::error::ArrowError::ExternalError(error) => {
                in_other_words(&without_its_middle(&error.to_string()))?
            }
            arrow::error::ArrowError::DivideByZero => SqlMistake::new(VALUE, "division by zero")
                .help("write `a / nullif(b, 0)` where the divisor may be 0"),
            arrow::error::ArrowError::ArithmeticOverflow(message) => {
                let message = message.trim_start_matches("Overflow happened on: ");
                SqlMistake::new(VALUE, format!("`{message}` is too large for its type"))
                    .help("cast to a wider type first: `a::decimal(38,0)`")
            }
            _ => return None,
        },
        DataFusionError::Execution(message) if message.ends_with("too large for its type") => {
            SqlMistake::new(VALUE, message.clone())
                .help("cast to a wider type first: `sum(a::decimal(38,0))`")
        }
        DataFusionError::Execution(message) if message.starts_with("Unsupported data type") => {
            SqlMistake::new("elt::sql::arguments", message.clone())
        }
        DataFusionError::Execution(message) => {
            let message = &*without_its_middle(message);
            in_other_words(message).unwrap_or_else(|| SqlMistake::new(VALUE, with_sql_types(message)))
        }
        DataFusionError::External(error) => in_other_words(&without_its_middle(&error.to_string()))?,
        DataFusionError::ParquetError(error) => return gone(&error.to_string()),
        DataFusionError::ResourcesExhausted(message) => SqlMistake::new("elt::sql::memory", message.clone())
            .help("raise the limit, or select fewer columns or rows"),
        _ => return None,
    };
    if let Some(diagnostic) = diagnostic {
        if let Some(span) = &diagnostic.span {
            mistake = mistake.at(span.start.line, span.start.column);
        }
        if let Some(help) = diagnostic.helps.first() {
            mistake = mistake.help_if_none(&with_literals(&help.message));
        }
    }
    Some(mistake)
}

/// A data file that the log names and that is not there.
fn gone(message: &str) -> Option<SqlMistake> {
    let (_, rest) = message.split_once("Failed to fetch metadata for file ")?;
    let (path, why) = rest.split_once(": ")?;
    why.contains("not found").then(|| {
        SqlMistake::new("elt::table::files_gone", format!("the data file `{path}` is gone")).help(
            "a vacuum deletes what no release of the last week can reach: ask for a later version; a file that the \
             newest version needs has to be restored from a backup",
        )
    })
}

/// The first diagnostic with a place on the way in, and the error at the bottom.
fn innermost(error: &DataFusionError) -> (Option<&datafusion::common::Diagnostic>, &DataFusionError) {
    match error {
        DataFusionError::Diagnostic(diagnostic, inner) => {
            let (deeper, root) = innermost(inner);
            (deeper.or(Some(diagnostic)), root)
        }
        DataFusionError::Context(_, inner) => innermost(inner),
        DataFusionError::Shared(inner) => innermost(inner),
        DataFusionError::Collection(all) => all.first().map_or((None, error), innermost),
        _ => (None, error),
    }
}

fn schema_mistake(error: &SchemaError) -> SqlMistake {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => no_such_column(field, valid_fields),
        SchemaError::AmbiguousReference { field } => {
            let mistake = SqlMistake::new(
                "elt::sql::ambiguous_column",
                format!("the column `{}` is in more than one table", field.name()),
            );
            mistake.help(format!("write the table before it, or its alias: `a.{}`", field.name()))
        }
        other => {
            let words = other.to_string();
            in_other_words(&words).unwrap_or_else(|| SqlMistake::new("elt::sql::plan", words))
        }
    }
}

/// A column that is not there, or one of a table that the query does not read under that name.
fn no_such_column(field: &Column, valid: &[Column]) -> SqlMistake {
    let name = field.name();
    let tables = |columns: &mut dyn Iterator<Item = &Column>| {
        let mut tables: Vec<String> =
            columns.filter_map(|column| column.relation.as_ref()).map(|table| plain(table.table())).collect();
        tables.dedup();
        tables
    };
    let known_tables = tables(&mut valid.iter());
    if let Some(table) = field.relation.as_ref().map(|table| plain(table.table()))
        && !known_tables.is_empty()
        && !known_tables.contains(&table)
    {
        let mistake = SqlMistake::new(
            "elt::sql::no_such_table",
            format!("`{table}.{name}`: no table of this query is known as `{table}`"),
        );
        let having = tables(&mut valid.iter().filter(|column| column.name() == name));
        return mistake.help(match having.as_slice() {
            [only] => format!("write `{only}.{name}`"),
            _ => format!("the tables are known as: {}", shortened(&known_tables)),
        });
    }
    let named = valid.iter().map(|field| field.name().to_owned());
    let mut known: Vec<String> = Vec::new();
    for name in named.filter(|name| !name.starts_with("_elt_")) {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    let mut mistake = SqlMistake::new("elt::sql::no_such_column", format!("there is no column `{name}`"));
    let is_alike = |column: &&Column| {
        let same_table = field.relation.is_none() || field.relation == column.relation;
        same_table && column.name().eq_ignore_ascii_case(name)
    };
    let mut alike: Vec<&str> = valid.iter().filter(is_alike).map(Column::name).collect();
    alike.dedup();
    if let [meant] = alike[..] {
        mistake = mistake.meaning(meant);
    }
    // The very name: it is a column of another table.
    let elsewhere: Vec<String> = valid
        .iter()
        .filter(|column| column.name() == name && column.relation != field.relation)
        .filter_map(|column| Some(format!("{}.{name}", plain(column.relation.as_ref()?.table()))))
        .collect();
    if let [first, ..] = elsewhere.as_slice() {
        let table = field.relation.as_ref().map(|table| plain(table.table()));
        let mistake = match table {
            Some(table) => {
                SqlMistake::new("elt::sql::no_such_column", format!("`{table}` has no column `{name}`"))
            }
            None => mistake,
        };
        return mistake.help(format!("did you mean `{first}`?"));
    }
    match did_you_mean(name, known.iter().map(String::as_str)) {
        Some(help) => mistake.help(help),
        None if known.is_empty() => mistake,
        None => mistake.help(format!("the columns are: {}", shortened(&known))),
    }
}

/// A table's name without the version that ours carry.
fn plain(name: &str) -> String {
    name.split('@').next().unwrap_or(name).to_owned()
}

fn shortened(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(12).map(String::as_str).collect();
    let more = names.len().saturating_sub(shown.len());
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

/// What is wrong with a statement that cannot be planned.
fn plan_mistake(message: &str) -> SqlMistake {
    let message = message.split("\n\nbacktrace:").next().unwrap_or(message);
    let message = &*with_literals(message.trim_start_matches("Error during planning: "));
    let new = |words: String| SqlMistake::new("elt::sql::plan", words);
    let between = |before: &str, after: &str| {
        let rest = message.split_once(before)?.1;
        Some(rest.split_once(after)?.0.to_owned())
    };
    if let Some(name) = message.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found")) {
        let name = plain(name);
        return new(format!("there is no table `{}`", name.strip_prefix("elt.").unwrap_or(&name)));
    }
    if let Some(name) = between("Invalid function '", "'") {
        return new(format!("there is no function `{name}`"));
    }
    if let Some(mistake) = in_other_words(message) {
        return mistake;
    }
    if message.contains("does not satisfy") && message.contains("requirements") {
        return new("the steps of this query contradict each other: one needs an order or a split of the rows that another does not give".to_owned())
            .help("this is a mistake of the engine, please report the query; a part of it that is made a temporary table first is planned by itself");
    }
    if message.starts_with("Substring without") {
        return new("`substring` needs a start".to_owned()).help("write `substring(text, 1, 3)`");
    }
    if let Some(call) = between("No function matches the given name and argument types '", "'. ") {
        return arguments_mistake(&call, message);
    }
    if let Some(name) = between("but the expression \"", "\" at position") {
        let name = name.rsplit_once(" AS ").map_or(name.as_str(), |(_, alias)| alias).to_owned();
        return new(format!("two columns are called `{name}`"))
            .help("give one of them another name with `as`");
    }
    if let Some(name) = between("'", "' is not a variable which can be viewed with 'SHOW'") {
        let shown = ["tables", "releases", "functions", "all"];
        let help = crate::base::nearest(&name, shown).map(|word| format!("did you mean `show {word}`?"));
        return new(format!("there is nothing called `{name}` to show")).help(help.unwrap_or_else(|| {
            "there are `show tables`, `show releases`, `show functions` and `show all`".to_owned()
        }));
    }
    if let Some(types) = between("Cannot coerce arithmetic expression ", " to valid types")
        && let Some((left, op, right)) = operands(&types)
    {
        let mistake = new(format!("`{op}` does not go with {left} and {right}"));
        let is_text = left == "varchar" || right == "varchar";
        return match op.as_str() {
            "+" | "-" if is_text && (left == "interval" || right == "interval") => {
                mistake.help("a text is made a day by `x::date`, and an instant by `x::timestamp`")
            }
            "+" if is_text => mistake.help("texts are joined by `||`; a text is made a number by `x::int`"),
            _ => mistake.help("cast one of them: `x::int`"),
        };
    }
    new(with_sql_types(without_bug_report(message)))
}

/// The two types and the operator between them, in SQL's words.
fn operands(types: &str) -> Option<(String, String, String)> {
    let op = [" + ", " - ", " * ", " / ", " % "].into_iter().find(|op| types.contains(op))?;
    let (left, right) = types.split_once(op)?;
    Some((type_word(left), op.trim().to_owned(), type_word(right)))
}

fn without_bug_report(message: &str) -> &str {
    let message = message.split("\nThis issue was likely caused by a bug").next().unwrap_or(message);
    message.trim_start_matches("Internal error: ").trim_end_matches('.')
}

/// A function with arguments that it does not take; `call` is `round(Utf8, Utf8)`.
fn arguments_mistake(call: &str, message: &str) -> SqlMistake {
    let said = format!("there is no `{}`", in_sql_words(call));
    if call.starts_with("make_array(") {
        let types = said.trim_start_matches("there is no `make_array(").trim_end_matches(")`");
        let help = format!(
            "a list is of one type, and here are {}: cast them to one, `[a::varchar, b::varchar]`",
            types.replace(", ", " and ")
        );
        return SqlMistake::new("elt::sql::arguments", said).help(help);
    }
    let mistake = SqlMistake::new("elt::sql::arguments", said);
    let candidates = message.split_once("Candidate functions:").map(|(_, list)| list).unwrap_or_default();
    let mut known: Vec<String> = Vec::new();
    for candidate in candidates.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let candidate = in_sql_words(candidate);
        if !candidate.contains("UserDefined") && !known.contains(&candidate) {
            known.push(candidate);
        }
    }
    let cause = message.split(". No function matches").next().unwrap_or_default();
    let cause = without_bug_report(cause).rsplit("rror: ").next().unwrap_or_default();
    let cause = cause.rsplit("planning: ").next().unwrap_or_default();
    match known.is_empty() {
        true if cause.contains("argument") => mistake.help(cause.to_owned()),
        true => mistake.help("cast the arguments to one type"),
        false => mistake.help(format!("there is: {}", shortened(&known))),
    }
}

/// `sum(Utf8)` as `sum(varchar)`.
fn in_sql_words(call: &str) -> String {
    let Some((name, rest)) = call.split_once('(') else { return call.to_owned() };
    let arguments = rest.strip_suffix(')').unwrap_or(rest);
    let mut depth = 0_i32;
    let pieces = arguments.split(|c: char| {
        depth += i32::from(matches!(c, '(' | '[')) - i32::from(matches!(c, ')' | ']'));
        c == ',' && depth == 0
    });
    let words: Vec<String> = pieces
        .map(str::trim)
        .filter(|piece| !piece.is_empty())
        .map(|piece| match piece.split_once(": ") {
            Some((name, data_type)) => format!("{name} {}", type_word(data_type)),
            None => type_word(piece),
        })
        .collect();
    format!("{}({})", name.trim_start_matches("_elt_"), words.join(", "))
}

/// SQL's name for a type, or for a class of types, as the engine writes it.
fn type_word(written: &str) -> String {
    let written = written.trim();
    if let Some((first, _)) = written.split_once('/') {
        return type_word(first);
    }
    match written {
        "String" | "Coercion(String)" => "varchar".to_owned(),
        numeric if numeric.starts_with("Numeric") => "number".to_owned(),
        "Integer" => "int".to_owned(),
        "Float" => "double".to_owned(),
        "Timestamp" => "timestamp".to_owned(),
        "Any" => "any".to_owned(),
        "Comparable(1)" => "any".to_owned(),
        "Comparable(2)" => "any, any".to_owned(),
        other => match other.parse::<arrow::datatypes::DataType>() {
            Ok(data_type) => sql_type_name(&data_type),
            Err(_) if other.chars().all(char::is_alphanumeric) && other != "UserDefined" => {
                other.to_lowercase()
            }
            Err(_) => other.to_owned(),
        },
    }
}

/// `SET` of something that does not exist, or to what it cannot be.
pub(super) fn setting_mistake(setting: &str, error: &DataFusionError) -> SqlMistake {
    let cause = setting_words(&innermost(error).1.strip_backtrace());
    let mistake = SqlMistake::new("elt::sql::setting", format!("cannot `{setting}`: {cause}"));
    mistake.help(cause.help_text().unwrap_or_default())
}

fn setting_words(message: &str) -> SqlMistake {
    let kinds = [
        "Invalid or Unsupported Configuration: ",
        "Error during planning: ",
        "Execution error: ",
        "External error: ",
    ];
    let message = kinds.iter().fold(message, |message, kind| message.trim_start_matches(kind));
    let message = without_bug_report(message);
    SqlMistake::new("elt::sql::setting", message).help("`show all` lists the settings and what they are")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_said_in_sql() {
        assert_eq!(in_sql_words("sum(Utf8)"), "sum(varchar)");
        assert_eq!(in_sql_words("f(str: String, n: Int64)"), "f(str varchar, n bigint)");
        assert_eq!(in_sql_words("f(Decimal128(10, 2), Float64)"), "f(decimal(10,2), double)");
        assert_eq!(in_sql_words("regexp(Utf8View/LargeUtf8/Utf8)"), "regexp(varchar)");
        assert_eq!(in_sql_words("f()"), "f()");
    }

    #[test]
    fn what_is_too_long_is_told_without_its_middle() {
        let long = format!("cannot read '{}' as a number", "ü".repeat(5_000));
        let told = without_its_middle(&long);
        assert!(
            told.len() < TOLD + 10 && told.starts_with("cannot read 'ü") && told.ends_with("ü' as a number")
        );
        assert_eq!(without_its_middle("short"), "short");
    }

    #[test]
    fn the_engine_s_words_for_its_own_developers_are_left_out() {
        let message = "Internal error: Function 'sum' failed to match any signature, errors: x.\nThis issue was likely caused by a bug in DataFusion's code. No function matches the given name and argument types 'sum(Utf8)'. You might need to add explicit type casts.\n\tCandidate functions:\n\tsum(Decimal)\n\tsum(Int64)";
        let mistake = plan_mistake(message);
        assert_eq!(mistake.message(), "there is no `sum(varchar)`");
        assert_eq!(mistake.help_text(), Some("there is: sum(decimal), sum(bigint)"));
    }
}
