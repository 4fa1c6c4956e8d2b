//! Which of the engine's sentences are said in other words?
//!
//! Those that people meet often. [`in_other_words`] knows a sentence by how it begins and takes out what it is about;
//! any other is left, with SQL's names for the types in it ([`with_sql_types`]).

use super::SqlMistake;
use super::error::VALUE;
use super::mend::BESIDE_A_NUMBER;
use crate::base::{did_you_mean, sql_type_name};

/// `'infinity'::date`: a lake's dates and instants end.
fn infinite(text: &str, wanted: &str) -> Option<SqlMistake> {
    let text = text.trim().to_lowercase();
    let is_before = text.starts_with('-');
    let is_infinite = ["infinity", "inf"].contains(&text.trim_start_matches(['-', '+']));
    if !is_infinite || !["date", "timestamp", "timestamptz"].contains(&wanted) {
        return None;
    }
    let what = format!("a {wanted} without end is not supported, because a lake's columns hold none");
    let last = if is_before { "0001-01-01" } else { "9999-12-31" };
    Some(
        SqlMistake::new("elt::sql::not_supported", what)
            .help(format!("write the last there is, `{wanted} '{last}'`, or null for \"no end\"")),
    )
}

/// Whether a text begins with a year that no date of ours has: one of five digits, or before the first.
fn is_beyond_years(text: &str) -> bool {
    let text = text.trim();
    let year: String = text.trim_start_matches(['-', '+']).chars().take_while(char::is_ascii_digit).collect();
    let is_date = text.matches('-').count() >= 2;
    is_date && (year.len() > 4 || text.starts_with('-') || year.chars().all(|c| c == '0'))
}

/// The mistake behind a sentence of the engine, if it is one of those that are known.
pub(super) fn in_other_words(message: &str) -> Option<SqlMistake> {
    let message = &*with_literals(message);
    let between = |before: &str, after: &str| {
        let rest = message.split_once(before)?.1;
        Some(rest.split_once(after)?.0.to_owned())
    };
    let plan = |words: String| SqlMistake::new("elt::sql::plan", words);
    if message.starts_with("Column in SELECT must be in GROUP BY")
        || message.starts_with("Column in HAVING must be in GROUP BY")
    {
        let column = between("column \"", "\"")
            .or_else(|| between("resolved to reference columns: Expression ", " could"))?;
        let bare = column.rsplit('.').next().unwrap_or(&column).to_owned();
        return Some(plan(format!("`{column}` is neither in GROUP BY nor in an aggregate")).help(format!(
            "add it to GROUP BY, write `group by all`, or take one of its values: `first_value({bare})`"
        )));
    }
    if let Some(text) = between("Cannot cast string '", "' to value of ") {
        let wanted = message.rsplit_once("to value of ")?.1.trim_end_matches(" type");
        let wanted = wanted.parse().map_or_else(|_| wanted.to_owned(), |data_type| sql_type_name(&data_type));
        let words = format!("'{text}' cannot be read as {wanted}");
        if let Some(mistake) = infinite(&text, &wanted) {
            return Some(mistake);
        }
        if is_beyond_years(&text) && ["date", "timestamp", "timestamptz"].contains(&&*wanted) {
            let help = format!(
                "a {wanted} is in the years 1 to 9999: write the last there is, `{wanted} '9999-12-31'`, or null"
            );
            return Some(SqlMistake::new(VALUE, words).help(help));
        }
        let help = format!("`try_cast(x as {wanted})` gives NULL where a text is none");
        return Some(SqlMistake::new(VALUE, words).help(help));
    }
    if let Some((value, wanted)) =
        message.strip_prefix("Can't cast value ").and_then(|rest| rest.split_once(" to type "))
    {
        let wanted = type_word(wanted);
        let range = match wanted.as_str() {
            "tinyint" => ", which is from -128 to 127",
            "smallint" => ", which is from -32768 to 32767",
            "int" => ", which is from -2147483648 to 2147483647",
            "bigint" => ", which is from -9223372036854775808 to 9223372036854775807",
            _ => "",
        };
        let help = format!("`try_cast(x as {wanted})` gives NULL where a value does not fit");
        return Some(
            SqlMistake::new(VALUE, format!("`{value}` does not fit into {wanted}{range}")).help(help),
        );
    }
    if message.starts_with("Scalar subquery returned more than one row") {
        return Some(
            SqlMistake::new(VALUE, "a subquery that stands for one value gave more than one row")
                .help("take one of them: `limit 1`, `max(a)`; or compare with all: `a in (select …)`"),
        );
    }
    if message.starts_with("UNION queries have different number of columns") {
        return Some(plan("the two sides of the UNION have not the same number of columns".to_owned()).help(
            "give both as many; what one side does not have is `null`; `union by name` goes by the names",
        ));
    }
    if let Some(name) = between("WITH query name \"", "\" specified more than once") {
        return Some(
            plan(format!("two queries of the WITH are called `{name}`"))
                .help("give one of them another name"),
        );
    }
    if message.starts_with("ANY in LIKE expression") {
        return Some(
            SqlMistake::new("elt::sql::not_supported", "LIKE ANY of a query is not supported, because the patterns have to be known").help(
                "write them, `a like any ('x%', 'y%')`, or ask for one that fits: `exists (select 1 from patterns p where a like p.x)`",
            ),
        );
    }
    if message.starts_with("Conflicting ordering requirements in aggregate functions") {
        return Some(
            SqlMistake::new(
                "elt::sql::not_supported",
                "two aggregates of one list want their rows in different orders",
            )
            .help("work one of them out in a subquery: `(select string_agg(a, ',' order by b) from t)`"),
        );
    }
    if message.starts_with("WITHIN GROUP is only supported for ordered-set aggregate functions") {
        return Some(
            plan(
                "WITHIN GROUP is for percentile_cont, percentile_disc, mode, listagg and array_agg"
                    .to_owned(),
            )
            .help("leave it out, or write the order into the brackets: `array_agg(a order by b)`"),
        );
    }
    if message.starts_with("Unsupported Interval Expression") {
        return Some(
            plan("this interval is not written as its fields say".to_owned())
                .help("write `interval '1 year 2 months'`, or `interval '1-2' year to month`"),
        );
    }
    if let Some((function, clause)) = message.strip_prefix("Calling ").and_then(|rest| rest.split_once(": "))
        && let Some((clause, _)) = clause.split_once(" not supported in function arguments")
    {
        return Some(
            SqlMistake::new(
                "elt::sql::not_supported",
                format!("{clause} in the brackets of `{function}` is not supported"),
            )
            .help("leave it out; `show functions like 'name'` tells what a function takes"),
        );
    }
    if let Some(node) = message.strip_prefix("Unsupported ast node in sqltorel: ") {
        let node: String = node.chars().take_while(|c| c.is_alphanumeric()).collect();
        let mut words = String::new();
        for c in node.chars() {
            if c.is_uppercase() && !words.is_empty() {
                words.push(' ');
            }
            words.extend(c.to_uppercase());
        }
        return Some(
            SqlMistake::new("elt::sql::not_supported", format!("{words} is not supported"))
                .help("`\\h` lists the statements that there are, `show functions` what can be called"),
        );
    }
    if let Some(text) = between("Cannot cast value '", "' to value of ") {
        let wanted = message.rsplit_once("to value of ")?.1.trim_end_matches(" type").to_lowercase();
        let help = format!("`try_cast(x as {wanted})` gives NULL where a text is none");
        return Some(SqlMistake::new(VALUE, format!("'{text}' cannot be read as {wanted}")).help(help));
    }
    if let Some(text) = between("Invalid input syntax for type interval: \"", "\"") {
        return Some(
            SqlMistake::new(VALUE, format!("'{text}' cannot be read as interval"))
                .help("write `interval '2 days'`, or `to_days(n)`"),
        );
    }
    if message.starts_with("Aggregate functions are not allowed in the WHERE clause") {
        return Some(
            plan("WHERE looks at rows before they are gathered, and knows no aggregates".to_owned())
                .help("write the condition in HAVING: `group by a having sum(b) > 1`"),
        );
    }
    if let Some(given) =
        between("Unary operator 'NOT' requires a boolean expression, got ", "\n").or_else(|| {
            message
                .strip_prefix("Unary operator 'NOT' requires a boolean expression, got ")
                .map(str::to_owned)
        })
    {
        let words = format!("NOT wants a condition, and not a {}", type_word(&given));
        return Some(plan(words).help("compare it with something: `not (a = 'x')`, `a is null`"));
    }
    if message.starts_with("Unary operator '-' only supports") {
        return Some(
            plan("`-` wants a number or an interval".to_owned()).help("a text is made a number by `x::int`"),
        );
    }
    if let Some(field) = between("Field ", " not found in struct") {
        return Some(
            plan(format!("there is no field `{field}` in the struct"))
                .help("`describe select …` tells the fields of each column"),
        );
    }
    if let Some(given) = between("Cannot access field at argument 1: type ", " is not Struct") {
        let words = format!("a dot or brackets follow a {}, which has no fields", type_word(&given));
        return Some(plan(words).help("structs, maps, lists and JSON have: `j->>'a'` of a JSON text"));
    }
    if message.starts_with("unnest() can only be applied to") {
        return Some(
            plan("unnest() takes lists and structs apart, and this is none".to_owned())
                .help("a text in pieces is a list: `unnest(string_split(a, ','))`"),
        );
    }
    if let Some(condition) = between("Cannot create filter with non-boolean predicate '", "' returning ") {
        let given = type_word(message.rsplit_once("returning ")?.1);
        return Some(
            plan(format!("a condition is wanted here, and `{condition}` is a {given}"))
                .help(format!("compare it with something: `{condition} > 0`, `{condition} is not null`")),
        );
    }
    if let Some(name) = message.strip_prefix("Unsupported SQL type ") {
        let known = [
            "bigint",
            "int",
            "smallint",
            "tinyint",
            "double",
            "float",
            "real",
            "decimal(10, 2)",
            "boolean",
            "varchar",
            "text",
            "date",
            "timestamp",
            "timestamptz",
            "time",
            "interval",
            "binary",
        ];
        let is_of_bits = ["bit", "bitstring", "varbit"]
            .iter()
            .any(|known| name.to_lowercase().split('(').next().is_some_and(|name| name.trim() == *known));
        let bits =
            "bits are kept in a whole number, `bigint`: `0b101`, `a & b`, `a << 1`, `bit_count(a)`, `bin(a)`";
        let help = is_of_bits.then(|| bits.to_owned());
        let help = help.or_else(|| did_you_mean(&name.to_lowercase(), known.iter().copied()));
        let all = || format!("types are called {}, `int[]`, `struct(a int)`", known.join(", "));
        return Some(plan(format!("there is no type `{name}`")).help(help.unwrap_or_else(all)));
    }
    if let Some(name) = between("table function '", "' not found") {
        let known =
            ["read_csv", "read_json", "read_parquet", "read_files", "range", "generate_series", "unnest"];
        let elsewhere = match name.to_lowercase().as_str() {
            "query_table" | "query" => {
                Some("write the name of the table, or the query in brackets: `from (select 1 as a)`")
            }
            "repeat_row" => Some("`select 1, 2 from range(3)` gives a row three times"),
            "duckdb_tables" | "duckdb_views" | "pragma_show_tables" => Some("`from elt.tables` lists them"),
            "duckdb_columns" => Some("`from elt.columns` lists them"),
            "duckdb_settings" => Some("`show all` lists them"),
            "duckdb_functions" => Some("`show functions` lists them"),
            "duckdb_schemas" | "duckdb_databases" => Some("`show schemas` lists them"),
            "pragma_table_info" => Some("`describe t` lists the columns of a table"),
            "stack" | "inline" | "posexplode" => {
                Some("it stands in the list: `select stack(2, 1, 'a', 2, 'b')`, or after LATERAL VIEW")
            }
            _ => None,
        };
        let help = elsewhere
            .map(str::to_owned)
            .or_else(|| did_you_mean(&name.to_lowercase(), known.iter().copied()));
        let all = || format!("there are {}; a file is read by its name: `from 'a.csv'`", known.join(", "));
        return Some(
            plan(format!("there is no function `{name}` to select from")).help(help.unwrap_or_else(all)),
        );
    }
    if let Some(name) = between("Placeholder '", "' was not provided a value") {
        return Some(plan(format!("nothing gives `{name}` a value")).help(
            "in the shell `\\set day 5` gives `:day` one; `prepare p as select … where a = ?` takes it with `execute p(5)`",
        ));
    }
    if let Some(places) = between("Order by column out of bounds, specified: ", ", max: ") {
        let most = message.rsplit_once("max: ")?.1;
        return Some(plan(format!("there is no column {places} to order by: the list has {most}")));
    }
    if message.starts_with("Expected LIMIT to be an integer")
        || message.starts_with("Expected OFFSET to be an integer")
    {
        return Some(plan("LIMIT and OFFSET need a whole number".to_owned()).help("write `limit 10`"));
    }
    if let Some(rest) = message.strip_prefix("Cannot infer common argument type for comparison operation ")
        && let [left, op @ .., right] = &rest.split_whitespace().collect::<Vec<_>>()[..]
        && !op.is_empty()
    {
        let (left, op, right) = (type_word(left), op.join(" "), type_word(right));
        return Some(
            plan(format!("`{op}` does not compare {left} with {right}"))
                .help("cast one of them: `x::varchar`"),
        );
    }
    if let Some(rest) =
        message.strip_prefix("Cannot infer common argument type for logical boolean operation ")
        && let [left, op, right] = &rest.split_whitespace().collect::<Vec<_>>()[..]
    {
        let (left, right) = (type_word(left), type_word(right));
        let other = if left == "boolean" { right } else { left };
        return Some(
            plan(format!("{op} wants conditions, and not a {other}"))
                .help("compare it with something: `a = 'x' and b > 5`"),
        );
    }
    if let Some((moment, number)) =
        message.strip_prefix(BESIDE_A_NUMBER).and_then(|rest| rest.split_once(" and "))
    {
        return Some(plan(format!("{moment} does not go with {number}")).help(
            "a day is written in quotes, `date '2026-05-01'`: without them `2026-05-01` is the number 2020",
        ));
    }
    if let Some((_, of)) = message.split_once("Array overflow on ")
        && message.starts_with("Int")
    {
        return Some(
            SqlMistake::new(VALUE, format!("`{of}` is too large for its type"))
                .help("cast to a wider type first: `a::decimal(38,0)`"),
        );
    }
    if let Some((value, rest)) = message.split_once(" is too large to store in a Decimal")
        && let Some((digits, most)) =
            rest.split_once(" of precision ").and_then(|(_, rest)| rest.split_once(". Max is "))
    {
        return Some(SqlMistake::new(
            VALUE,
            format!("{value} is too large for a decimal of {digits} digits: the most is {most}"),
        ));
    }
    if message.starts_with("Dot access not supported") {
        let help = "name the struct first, in a subquery, or write `get_field(x, 'name')`; of a list `x[1]`";
        return Some(plan("a dot cannot follow this expression".to_owned()).help(help));
    }
    if let Some(name) = message.strip_prefix("Schema contains duplicate qualified field name ") {
        let table = name.rsplit_once('.').map_or(name, |(table, _)| table);
        return Some(
            plan(format!("two tables are known as `{table}`"))
                .help("give one of them another name: `from orders a join orders b on …`"),
        );
    }
    if let Some(left) = between("There isn't a common type to coerce ", " and ") {
        let right = between(" and ", " in ")?;
        let place = message.rsplit_once(" in ")?.1.trim_end_matches(" expression");
        let (left, right) = (type_word(&left), type_word(&right));
        return Some(
            plan(format!("{place} does not go with {left} and {right}"))
                .help("cast one of them: `x::varchar`"),
        );
    }
    if message.starts_with("Too many columns! The subquery should only return one column") {
        return Some(
            plan("this subquery gives several columns, and one is wanted".to_owned())
                .help("select only one column in it"),
        );
    }
    if message.contains("cannot take square root of a negative number") {
        return Some(
            SqlMistake::new(VALUE, "a negative number has no square root")
                .help("write `case when x >= 0 then sqrt(x) end` where x may be negative"),
        );
    }
    if message.starts_with("a list of ") && message.ends_with(" is too long") {
        return Some(SqlMistake::new("elt::sql::memory", message).help(
            "take the values as rows, which are made as they are wanted: `select i from range(10000000000) t(i)`",
        ));
    }
    if let Some((text, wanted)) = message.split_once(" cannot be read as ")
        && text.starts_with('\'')
        && wanted.starts_with("timestamp")
    {
        if let Some(mistake) = infinite(text.trim_matches('\''), wanted) {
            return Some(mistake);
        }
        let help = format!(
            "write it as '2024-01-31 10:11:12'; `try_cast(x as {wanted})` gives NULL where a text is none"
        );
        return Some(SqlMistake::new(VALUE, message).help(help));
    }
    if message.contains(" is not written as ") && message.ends_with(" says") {
        return Some(
            SqlMistake::new(VALUE, message)
                .help("`try_strptime(x, format)` gives NULL where a text is written otherwise"),
        );
    }
    if message.starts_with("Unsupported interval argument")
        || message.starts_with("INTERVAL expression cannot be ")
    {
        return Some(
            plan("this is no interval".to_owned()).help("write `interval '2 days'`, or `to_days(n)`"),
        );
    }
    if message.contains(" argument must be a") && message.contains("got Literal(") {
        let help = "write `generate_series(1, 10)`, or of dates `generate_series(date '2024-01-01', date '2024-01-31', interval '1 day')`";
        return Some(
            plan("a series goes from one number, or one date, to another of its kind".to_owned()).help(help),
        );
    }
    if message.starts_with("lambda defined ") && message.contains("params but UDF support only") {
        let help = "it is given the item and its place: `list_transform(list, (x, i) -> x || i)`";
        return Some(plan("this function has too many names in front of its arrow".to_owned()).help(help));
    }
    if let Some(part) = between("Date part '", "' not supported")
        .or_else(|| between("Unsupported date_trunc granularity: '", "'."))
    {
        let words = format!("`{part}` is no part of time");
        let help = "there are year, quarter, month, week, day, hour, minute, second, decade, century, dow, doy, epoch and others";
        return Some(plan(words).help(help));
    }
    if message.contains("regex parse error") {
        let why = message.rsplit("error: ").next().unwrap_or_default().trim();
        return Some(
            SqlMistake::new(VALUE, format!("the regular expression is wrong: {why}"))
                .help("a character that means itself has a backslash before it: `'\\('`"),
        );
    }
    None
}

/// A sentence with literals as SQL has them: `Utf8("a")` is `'a'`, `Int64(1)` is `1`.
pub(super) fn with_literals(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find('(') {
        let (head, tail) = rest.split_at(at);
        let word = head.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let literal = match (TYPES.contains(&word) || word == "Null", tail[1..].strip_prefix('"')) {
            (true, Some(text)) => text.split_once("\")").map(|(text, after)| (format!("'{text}'"), after)),
            (true, None) => tail[1..].split_once(')').and_then(|(value, after)| {
                let is_plain = value.parse::<f64>().is_ok() || ["true", "false", "NULL"].contains(&value);
                is_plain.then(|| (value.to_owned(), after))
            }),
            _ => None,
        };
        match literal {
            Some((literal, after)) => {
                out.push_str(&head[..head.len() - word.len()]);
                out.push_str(&literal);
                rest = after;
            }
            None => {
                out.push_str(head);
                out.push('(');
                rest = &tail[1..];
            }
        }
    }
    out + rest
}

/// SQL's name for one of the engine's types.
fn type_word(written: &str) -> String {
    written.trim().parse().map_or_else(|_| written.to_owned(), |data_type| sql_type_name(&data_type))
}

/// The names of the engine's types that may stand in a sentence.
const TYPES: [&str; 18] = [
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Float32",
    "Float64",
    "Utf8",
    "LargeUtf8",
    "Utf8View",
    "Boolean",
    "Date32",
    "Date64",
    "Binary",
    "BinaryView",
];

/// A sentence with SQL's names for the types in it.
pub(super) fn with_sql_types(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut word = String::new();
    for c in message.chars().chain(['\0']) {
        if c.is_alphanumeric() {
            word.push(c);
            continue;
        }
        match TYPES.contains(&word.as_str()) {
            true => out.push_str(&type_word(&word)),
            false => out.push_str(&word),
        }
        word.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_that_people_meet_are_said_plainly() {
        let said = |message: &str| in_other_words(message).map(|mistake| mistake.message().to_owned());
        for (message, words) in [
            (
                "Column in SELECT must be in GROUP BY or an aggregate function: While expanding wildcard, column \"t.a\" must appear in the GROUP BY clause",
                "`t.a` is neither in GROUP BY nor in an aggregate",
            ),
            ("Cannot cast string 'x' to value of Int64 type", "'x' cannot be read as bigint"),
            (
                "Cannot cast string 'x' to value of Decimal128(38, 10) type",
                "'x' cannot be read as decimal(38,10)",
            ),
            (
                "Cannot create filter with non-boolean predicate 't.n' returning Int64",
                "a condition is wanted here, and `t.n` is a bigint",
            ),
            ("Schema contains duplicate qualified field name d.day", "two tables are known as `d`"),
            (
                "There isn't a common type to coerce Date32 and Utf8 in LIKE expression",
                "LIKE does not go with date and varchar",
            ),
        ] {
            assert_eq!(said(message).as_deref(), Some(words));
        }
        assert_eq!(said("something new"), None);
        assert_eq!(with_literals("f(Utf8(\"a\"), Int64(1)) sum(Utf8) t.a"), "f('a', 1) sum(Utf8) t.a");
        assert_eq!(with_sql_types("got Utf8, not Int64 (Int64x)"), "got varchar, not bigint (Int64x)");
    }
}
