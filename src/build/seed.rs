//! How does a CSV file of the project become a table?
//!
//! The whole file is read and typed as dbt types it: a column is whole numbers if all its values are, else
//! numbers, dates, instants, truths, and else text; empty fields are null. `column_types` says otherwise.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use sha2::{Digest, Sha256};

use super::sql_text::{literal, quoted, table};
use crate::base::{TableName, parse_data_type, sql_type_name};
use crate::compile::SeedNode;

/// So many rows of a seed are written down with its statements, as in dbt.
const WRITTEN_DOWN: usize = 10_000;

/// What files of one column are suspected to be separated by.
const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// The rows of a seed.
///
/// # Errors
/// A sentence that says what is wrong with the file, and where.
pub(super) fn read(seed: &SeedNode) -> Result<RecordBatch, String> {
    let shown = shown(&seed.file);
    let bytes = std::fs::read(&seed.file).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8 text"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut records = records(text, seed.delimiter).into_iter();
    let Some((_, header)) = records.next() else { return Err(format!("{shown} is empty")) };
    let names: Vec<String> = header
        .iter()
        .map(|cell| cell.trim())
        .map(|name| if seed.keep_names { name.to_owned() } else { name.to_lowercase() })
        .collect();
    if let ([name], false) = (names.as_slice(), text.starts_with('"'))
        && let Some(other) = DELIMITERS.into_iter().find(|other| name.contains(*other))
    {
        let (used, other) = (seed.delimiter.escape_default(), other.escape_default());
        return Err(format!(
            "{shown}:1: syntax error: with the delimiter `{used}` its header is one column, `{name}`; \
             set `delimiter: \"{other}\"` in the seed's config, or put the name in quotes if that is what the column is called"
        ));
    }
    if let Some(at) = names.iter().position(String::is_empty) {
        return Err(format!("{shown}: column {} has no name", at + 1));
    }
    let mut columns: Vec<Vec<Option<String>>> = vec![Vec::new(); names.len()];
    let mut lines = Vec::new();
    for (line, record) in records {
        if record.len() > names.len() {
            let (has, wanted) = (record.len(), names.len());
            return Err(format!("{shown}:{line} has {has} fields, and the header has {wanted}"));
        }
        lines.push(line);
        // Fields that a short record leaves out at its end are null, as in dbt.
        let missing = std::iter::repeat(String::new());
        for (column, cell) in columns.iter_mut().zip(record.into_iter().chain(missing)) {
            column.push(Some(cell).filter(|cell| !is_null(cell)));
        }
    }
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (name, values) in names.iter().zip(&columns) {
        let declared = seed.column_types.iter().find(|(column, _)| column.eq_ignore_ascii_case(name));
        let declared = declared.and_then(|(_, type_name)| parse_data_type(type_name));
        let nothing = values.iter().all(Option::is_none);
        // A column without a value is one of whole numbers in dbt, and projects do sums with it.
        let inferred = || if nothing { DataType::Int64 } else { infer(values) };
        let data_type = declared.clone().unwrap_or_else(inferred);
        let array = typed(values, &data_type, declared.is_some());
        let array = array.map_err(|row| {
            let value = values.get(row).cloned().flatten().unwrap_or_default();
            let line = lines.get(row).copied().unwrap_or_default();
            format!(
                "{shown}:{line}: `{value}`, in the column `{name}`, is not a {}",
                crate::base::sql_type_name(&data_type)
            )
        })?;
        fields.push(Field::new(name, data_type, true));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|error| format!("{shown}: {error}"))
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}

/// The records of a CSV text with the line that each begins on, blank lines left out.
fn records(text: &str, delimiter: char) -> Vec<(usize, Vec<String>)> {
    let mut all = Vec::new();
    let mut chars = text.chars().peekable();
    let (mut line, mut begun) = (1usize, 1usize);
    let (mut record, mut cell) = (Vec::new(), String::new());
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() => quoted = true,
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut cell));
                if record.len() > 1 || !record[0].is_empty() {
                    all.push((begun, std::mem::take(&mut record)));
                }
                record.clear();
                line += 1;
                begun = line;
            }
            c if c == delimiter && !quoted => record.push(std::mem::take(&mut cell)),
            c => {
                line += usize::from(c == '\n');
                cell.push(c);
            }
        }
    }
    if !record.is_empty() || !cell.is_empty() {
        record.push(cell);
        all.push((begun, record));
    }
    all
}

/// What means null, in columns of text too, as in dbt.
fn is_null(value: &str) -> bool {
    let value = value.trim();
    value.is_empty() || value.eq_ignore_ascii_case("null")
}

/// The type of a column whose type nobody says.
pub(super) fn infer(values: &[Option<String>]) -> DataType {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let all =
        |fits: fn(&str) -> bool| values.iter().flatten().filter(|v| !is_null(v)).all(|v| fits(v.trim()));
    if values.iter().flatten().all(|value| is_null(value)) {
        return DataType::Utf8;
    }
    if all(|v| v.parse::<i64>().is_ok() && !v.starts_with('+')) {
        DataType::Int64
    } else if all(is_number) {
        DataType::Float64
    } else if all(|v| chrono::NaiveDate::parse_from_str(v, "%Y-%m-%d").is_ok()) {
        DataType::Date32
    } else if all(|v| instant(v).is_some()) {
        micros
    } else if all(|v| v.eq_ignore_ascii_case("true") || v.eq_ignore_ascii_case("false")) {
        DataType::Boolean
    } else {
        DataType::Utf8
    }
}

fn is_number(value: &str) -> bool {
    let digits = value.chars().any(|c| c.is_ascii_digit());
    digits
        && value.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E'))
        && value.parse::<f64>().is_ok()
}

fn instant(value: &str) -> Option<chrono::NaiveDateTime> {
    let value = value.strip_suffix('Z').unwrap_or(value);
    let formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"];
    let zoned = || chrono::DateTime::parse_from_rfc3339(&value.replacen(' ', "T", 1)).ok();
    let naive = formats.iter().find_map(|format| chrono::NaiveDateTime::parse_from_str(value, format).ok());
    naive.or_else(|| zoned().map(|instant| instant.naive_utc()))
}

/// The values as an array of `data_type`; the row of the first value that is none, if there is one.
fn typed(values: &[Option<String>], data_type: &DataType, declared: bool) -> Result<ArrayRef, usize> {
    let is_text = *data_type == DataType::Utf8;
    let is_date = *data_type == DataType::Date32;
    let clean = |value: &Option<String>| -> Option<String> {
        let value = value.as_deref()?;
        if is_text {
            return Some(value.to_owned());
        }
        let value = value.trim();
        if is_null(value) {
            return None;
        }
        // Instants in the ways that dbt reads them, and dates that carry a time.
        match (instant(value), is_date) {
            (Some(at), true) => Some(at.format("%Y-%m-%d").to_string()),
            (Some(at), false) => Some(at.format("%Y-%m-%dT%H:%M:%S%.f").to_string()),
            // A number with a fraction that is none fits a whole type.
            (None, _) if data_type.is_integer() && declared => {
                Some(value.strip_suffix(".0").unwrap_or(value).to_owned())
            }
            (None, _) => Some(value.to_owned()),
        }
    };
    let cleaned: Vec<Option<String>> = values.iter().map(clean).collect();
    let texts: ArrayRef = Arc::new(cleaned.iter().map(Option::as_deref).collect::<StringArray>());
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let array = cast_with_options(&texts, data_type, &options).map_err(|_| 0_usize)?;
    let lost = (0..texts.len()).find(|row| texts.is_valid(*row) && array.is_null(*row));
    match lost {
        Some(row) => Err(row),
        None => Ok(array),
    }
}

/// The statements that would make the table of a seed: its columns, and its first rows.
pub(super) fn statements(name: &TableName, rows: &RecordBatch) -> [String; 2] {
    let schema = rows.schema();
    let columns: Vec<String> = schema.fields().iter().map(|field| quoted(field.name())).collect();
    let typed = schema.fields().iter().zip(&columns);
    let typed: Vec<String> =
        typed.map(|(field, column)| format!("{column} {}", sql_type_name(field.data_type()))).collect();
    let created = format!("create or replace table {} ({})", table(name), typed.join(", "));
    let head = format!("-- dbt seed --\ninsert into {} ({}) values", table(name), columns.join(", "));
    let count = rows.num_rows();
    let shown = (0..count.min(WRITTEN_DOWN)).map(|row| {
        let cells = rows.columns().iter().map(|column| written(column, row));
        format!("    ({})", cells.collect::<Vec<_>>().join(", "))
    });
    let shown = shown.collect::<Vec<_>>().join(",\n");
    let rest = match count.saturating_sub(WRITTEN_DOWN) {
        0 => String::new(),
        rest => format!("\n-- and {rest} rows more"),
    };
    match count {
        0 => [created, "-- dbt seed --\n-- it has no rows".to_owned()],
        _ => [created, format!("{head}\n{shown}{rest}")],
    }
}

/// One value as SQL.
fn written(column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return "null".to_owned();
    }
    let formatter = ArrayFormatter::try_new(column, &FormatOptions::default());
    let text = formatter.map(|formatter| formatter.value(row).to_string()).unwrap_or_default();
    let is_bare = column.data_type().is_numeric() || *column.data_type() == DataType::Boolean;
    if is_bare { text } else { literal(&text) }
}

/// The SHA-256 of what a seed's file holds: its fields, however they are quoted and its lines end. Of a file that is no text,
/// of its bytes.
pub(super) fn content_hash(seed: &SeedNode) -> std::io::Result<String> {
    let bytes = std::fs::read(&seed.file)?;
    let mut hash = Sha256::new();
    match str::from_utf8(&bytes) {
        Ok(text) => {
            for (_, record) in records(text.strip_prefix('\u{feff}').unwrap_or(text), seed.delimiter) {
                hash.update((record.len() as u64).to_le_bytes());
                for field in &record {
                    hash.update((field.len() as u64).to_le_bytes());
                    hash.update(field);
                }
            }
        }
        Err(_) => hash.update(&bytes),
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(text: &str, types: &[(&str, &str)]) -> Result<RecordBatch, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.csv");
        std::fs::write(&file, text).unwrap();
        let column_types = types.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let read = read(&SeedNode { file, delimiter: ',', keep_names: false, column_types });
        read.map_err(|why| why.rsplit('/').next().unwrap_or_default().to_owned())
    }

    #[test]
    fn columns_are_typed_as_dbt_types_them() {
        let batch = seed(
            "Id,price,day,at,ok,name\n1,1.5,2026-01-02,2026-01-02 03:04:05,true,\"a, \"\"b\"\"\nc\"\n2,2,,,false,\n\n",
            &[],
        )
        .unwrap();
        let types: Vec<String> = batch
            .schema()
            .fields()
            .iter()
            .map(|f| format!("{} {}", f.name(), crate::base::sql_type_name(f.data_type())))
            .collect();
        assert_eq!(
            types,
            ["id bigint", "price double", "day date", "at timestamp", "ok boolean", "name varchar"]
        );
        assert_eq!((batch.num_rows(), batch.column(2).null_count()), (2, 1));
    }

    #[test]
    fn the_word_null_is_no_text() {
        let batch = seed("id,name\n1,NULL\n2,null\n3,\n4,nullable\n", &[("name", "varchar")]).unwrap();
        assert_eq!(batch.column(1).null_count(), 3);
    }

    #[test]
    fn a_header_that_another_delimiter_would_split_is_refused() {
        let why = seed("id;v\n1;2\n", &[]).unwrap_err();
        assert!(why.contains("syntax error") && why.contains("set `delimiter: \";\"`"), "{why}");
        assert_eq!(seed("\"id;v\"\n1\n", &[]).unwrap().num_columns(), 1);
        assert_eq!(seed("id\n1;2\n", &[]).unwrap().num_columns(), 1);
    }

    #[test]
    fn quotes_and_line_ends_are_no_content() {
        let folder = tempfile::tempdir().unwrap();
        let hash = |text: &str| {
            let file = folder.path().join("s.csv");
            std::fs::write(&file, text).unwrap();
            content_hash(&SeedNode { file, delimiter: ',', keep_names: false, column_types: Vec::new() })
                .unwrap()
        };
        let first = hash("id,name\n1,a b\n");
        assert_eq!(hash("\u{feff}\"id\",\"name\"\r\n1,\"a b\"\r\n"), first);
        for other in ["id,name\n1,a  b\n", "id,name\n1,a b\n2,\n", "id;name\n1;a b\n", "id,name\n1a, b\n"] {
            assert_ne!(hash(other), first, "{other}");
        }
    }

    #[test]
    fn the_statements_of_a_seed_say_its_columns_and_rows() {
        let batch = seed("id,name,day\n1,it's,2026-01-02\n2,,\n", &[("id", "int")]).unwrap();
        let [created, inserted] = statements(&TableName::new("main", "codes").unwrap(), &batch);
        assert_eq!(
            created,
            "create or replace table \"main\".\"codes\" (\"id\" int, \"name\" varchar, \"day\" date)"
        );
        assert_eq!(
            inserted,
            "-- dbt seed --\ninsert into \"main\".\"codes\" (\"id\", \"name\", \"day\") values\n    (1, 'it''s', '2026-01-02'),\n    (2, null, null)"
        );
        let many = format!("n\n{}", "7\n".repeat(WRITTEN_DOWN + 3));
        let [_, inserted] = statements(&TableName::new("main", "codes").unwrap(), &seed(&many, &[]).unwrap());
        assert_eq!(inserted.lines().count(), WRITTEN_DOWN + 3);
        assert!(inserted.ends_with("(7)\n-- and 3 rows more"));
    }

    #[test]
    fn what_is_declared_is_not_inferred_and_must_fit() {
        let batch = seed("zip\n00123\n", &[("zip", "varchar(5)")]).unwrap();
        assert_eq!(batch.schema().field(0).data_type(), &DataType::Utf8);
        assert_eq!(
            seed("n\n1\nx\n", &[("n", "int")]).unwrap_err(),
            "s.csv:3: `x`, in the column `n`, is not a int"
        );
        assert_eq!(seed("a,b\n1,2,3\n", &[]).unwrap_err(), "s.csv:2 has 3 fields, and the header has 2");
        assert_eq!(seed("a,b\n1\n", &[]).unwrap().column(1).null_count(), 1);
    }
}
