//! What are the columns of this file called, and which columns of the table are they?

use arrow::datatypes::Schema;

use super::split::Records;
use super::{RESCUED_DATA, ROW_NUMBER, Source};
use crate::landing::dialect;
use crate::landing::error::LandingError;
use crate::landing::format::ReadOptions;

/// Returns the name that a file's column has in a table: trimmed, lower case, and `_` for every
/// character that is no letter, digit or `_`. Letters of any alphabet stay, as they do in table names.
pub fn column_name(in_file: &str) -> String {
    in_file.trim().to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect()
}

/// Returns the names that all columns of a file have in a table, or in a query of the file.
///
/// # Errors
/// If a column has no name, two have the same, or one has a name that landing needs.
pub(crate) fn column_names(
    path: &str,
    in_file: &[String],
    options: &ReadOptions,
) -> Result<Vec<String>, LandingError> {
    let path = || path.to_owned();
    let unnamed: Vec<usize> =
        (1..).zip(in_file).filter(|(_, name)| name.trim().is_empty()).map(|(place, _)| place).collect();
    if !unnamed.is_empty() {
        return Err(LandingError::UnnamedColumns { path: path(), columns: unnamed });
    }
    let landed: Vec<String> = in_file.iter().map(|name| options.name_of(name)).collect();
    let mut seen = std::collections::HashMap::new();
    for (name, original) in landed.iter().zip(in_file) {
        if !options.as_written && [RESCUED_DATA, ROW_NUMBER].contains(&name.as_str()) {
            return Err(LandingError::ReservedName { path: path(), column: original.clone() });
        }
        if let Some(other) = seen.insert(name, original) {
            let columns = vec![other.clone(), original.clone()];
            return Err(LandingError::SameName { path: path(), landed: name.clone(), columns });
        }
    }
    Ok(landed)
}

/// Returns what the columns of a file are called: as it says, unless the options name them in their order.
///
/// # Errors
/// If there are not as many names as columns.
pub(crate) fn named(
    path: &str,
    in_file: Vec<String>,
    options: &ReadOptions,
) -> Result<Vec<String>, LandingError> {
    match &options.names {
        Some(names) if names.len() != in_file.len() => Err(LandingError::NamesAndColumns {
            path: path.to_owned(),
            columns: in_file.len(),
            names: names.len(),
        }),
        Some(names) => Ok(names.clone()),
        None => Ok(in_file),
    }
}

/// Returns for each column of `schema` which of the file's columns it is, if any.
///
/// The same name wins over the name that [`column_name`] makes of the file's, and that over the same letters
/// in upper or lower case. No column of the file is used twice.
pub(crate) fn matching(schema: &Schema, in_file: &[String]) -> Vec<Option<usize>> {
    let mut columns = vec![None; schema.fields().len()];
    let mut used = vec![false; in_file.len()];
    let same: [fn(&str, &str) -> bool; 3] = [
        |wanted, name| wanted == name,
        |wanted, name| wanted == column_name(name),
        |wanted, name| wanted.to_lowercase() == name.trim().to_lowercase(),
    ];
    for same in same {
        for (column, field) in columns.iter_mut().zip(schema.fields()) {
            if column.is_none() {
                *column = (0..in_file.len()).find(|at| !used[*at] && same(field.name(), &in_file[*at]));
                if let Some(at) = *column {
                    used[at] = true;
                }
            }
        }
    }
    columns
}

/// A CSV file whose dialect and columns are known.
pub(crate) struct Opened {
    /// Its records behind the header.
    pub(crate) records: Records<Source>,
    /// The names of its columns, as they stand in it.
    pub(crate) in_file: Vec<String>,
    /// Whether its numbers are written `1.234,5`.
    pub(crate) decimal_comma: bool,
}

/// Opens a CSV file. `expected` are the columns that it probably has.
///
/// A file without a single record has no columns. Without a header, the names are those of `expected`, then
/// `_c` and the place from 0; there are as many as the first record has fields.
pub(crate) fn open_csv(
    mut source: Source,
    delimiter: Option<u8>,
    options: &ReadOptions,
    expected: &[String],
) -> Result<Opened, LandingError> {
    let told = source.told();
    let path = told.path.clone();
    let dialect = dialect::detect(&mut source, delimiter, options, expected)?;
    let decimal_comma = dialect.decimal_comma;
    let opened = |mut records: Records<Source>, in_file: Vec<String>| {
        // A column without a name, such as an index or what follows a last delimiter, is called by its place.
        let called =
            |(at, name): (usize, String)| if name.trim().is_empty() { format!("_c{at}") } else { name };
        let mut in_file = named(&path, in_file.into_iter().enumerate().map(called).collect(), options)?;
        if options.as_written {
            told_apart(&mut in_file);
        }
        if in_file.len() == 1 {
            records.blank_lines_are_records();
        }
        Ok(Opened { records, in_file, decimal_comma })
    };
    let mut records = Records::new(source, dialect.marks);
    records.skip_mark().map_err(|error| told.failed(error))?;
    records.skip_lines(options.skip_rows).map_err(|error| told.failed(error))?;
    if dialect.says_delimiter {
        records.next().map_err(|error| told.failed(error))?;
    }
    let Some(record) = records.next().map_err(|error| told.failed(error))? else {
        return Ok(Opened { records, in_file: Vec::new(), decimal_comma });
    };
    if let Some(fault) = record.fault {
        return Err(LandingError::BadHeader { path, reason: fault.message().to_owned() });
    }
    if !dialect.header {
        let width = record.fields.len();
        records.again();
        let numbered = (expected.len()..).map(|at| format!("_c{at}"));
        let in_file = expected.iter().cloned().chain(numbered).take(width).collect();
        return opened(records, in_file);
    }
    let Ok(line) = std::str::from_utf8(record.bytes) else {
        return Err(LandingError::Encoding { path, found: "the header is not valid UTF-8" });
    };
    if record.bytes.contains(&b'\r') && !line.contains('"') {
        return Err(LandingError::Encoding { path, found: "lines that end in CR alone" });
    }
    if record.fields.len() == 1 && options.delimiter.is_none() {
        likelier_delimiter(&path, line, dialect.marks.delimiter)?;
    }
    let quote = dialect.marks.quote.map_or('"', char::from);
    let doubled = String::from_iter([quote, quote]);
    let text = |field: &super::split::Field| {
        line[field.start as usize..field.end as usize].replace(&doubled, &doubled[1..])
    };
    let in_file = record.fields.iter().map(text).collect();
    opened(records, in_file)
}

/// Gives the second and later columns of one name its number: `a`, `a_1`, `a_2`, as DuckDB does.
fn told_apart(names: &mut [String]) {
    let mut taken: std::collections::HashSet<String> = std::collections::HashSet::new();
    for name in names {
        let numbered = (1..).map(|number| format!("{}_{number}", name.trim()));
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name.trim()));
        *name = free.expect("there is no end of numbers");
        taken.insert(name.trim().to_owned());
    }
}

/// Refuses a header that is one column only because the delimiter is another.
fn likelier_delimiter(path: &str, line: &str, used: u8) -> Result<(), LandingError> {
    let columns = |other: char| line.matches(other).count() + 1;
    let likelier =
        [',', ';', '\t', '|'].into_iter().filter(|other| columns(*other) > 1).max_by_key(|o| columns(*o));
    match likelier {
        Some(other) if !line.starts_with('"') || line.matches('"').count() > 2 => {
            Err(LandingError::Delimiter {
                path: path.to_owned(),
                used: char::from(used).escape_default().to_string(),
                other: other.escape_default().to_string(),
                columns: columns(other),
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_become_plain() {
        for (in_file, landed) in [
            ("year", "year"),
            (" Tail Num ", "tail_num"),
            ("Amount ($)", "amount____"),
            ("Größe", "größe"),
            ("a.b-c/d", "a_b_c_d"),
            ("2013", "2013"),
        ] {
            assert_eq!(column_name(in_file), landed);
        }
    }

    #[test]
    fn names_that_cannot_be_are_refused_by_place_and_name() {
        for (names, message) in [
            (vec!["a", "", " "], "f.csv has columns without a name: column 2, column 3"),
            (
                vec!["Tail Num", "a", "tail_num"],
                "columns of f.csv would both be named `tail_num`: `Tail Num`, `tail_num`",
            ),
            (
                vec!["_row_number"],
                "f.csv has a column `_row_number`, and every landed table has one of its own",
            ),
        ] {
            assert_eq!(
                column_names("f.csv", &owned(&names), &ReadOptions::default()).unwrap_err().to_string(),
                message
            );
        }
    }

    #[test]
    fn columns_match_by_name_then_by_letters() {
        let field = |name: &&str| Field::new(*name, DataType::Utf8, true);
        for (table, file, matched) in [
            (vec!["a", "b"], vec!["b", "x", "a"], vec![Some(2), Some(0)]),
            (vec!["tail_num", "gone"], vec!["Tail Num"], vec![Some(0), None]),
            (vec!["Id"], vec!["ID", "id"], vec![Some(0)]),
            (vec!["id"], vec!["ID", "id"], vec![Some(1)]),
        ] {
            let schema = Schema::new(table.iter().map(field).collect::<Vec<_>>());
            assert_eq!(matching(&schema, &owned(&file)), matched, "{table:?} in {file:?}");
        }
    }
}
