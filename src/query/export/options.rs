//! What may be said about a file that is to be written?

use std::path::Path;

use arrow::datatypes::{DataType, Schema};
use chrono::format::{Item, StrftimeItems};

use super::mistake;
use crate::base::did_you_mean;
use crate::query::SqlMistake;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    /// An object on each line; with brackets around all, if it is an array.
    Json {
        array: bool,
    },
    Parquet,
    Arrow,
}

/// How a file is packed; a Parquet file inside itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
    Snappy,
    Lz4,
    Brotli,
}

/// What to do where something is already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// A file gives way, a folder with files in it does not.
    ByKind,
    /// It gives way.
    Replace,
    /// Nothing gives way.
    Keep,
    /// New files come beside the old ones, in place of those with their names.
    Beside,
    /// New files come beside the old ones, under names that nobody has.
    Append,
}

/// The options of one `COPY … TO`, with what follows from the file's name.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) format: Format,
    pub(super) packing: Packing,
    pub(super) existing: Existing,
    /// Columns whose values name folders.
    pub(super) partition_by: Vec<String>,
    /// Whether those columns stay in the files too.
    pub(super) keep_partition_columns: bool,
    pub(super) csv: Csv,
    /// Rows in a row group of Parquet.
    pub(super) row_group_size: Option<usize>,
}

/// How CSV is written.
#[derive(Clone, Debug)]
pub(super) struct Csv {
    pub(super) header: bool,
    pub(super) delimiter: char,
    pub(super) quote: char,
    pub(super) null: String,
    /// Whether texts are quoted that need not be.
    pub(super) quote_all: bool,
    pub(super) date: Option<String>,
    pub(super) timestamp: Option<String>,
}

/// The options by the name that messages use, and the other names they are known by.
const NAMES: &[(&str, &[&str])] = &[
    ("FORMAT", &[]),
    ("HEADER", &[]),
    ("DELIMITER", &["DELIM", "SEP"]),
    ("QUOTE", &[]),
    ("ESCAPE", &[]),
    ("NULL", &["NULLSTR"]),
    ("FORCE_QUOTE", &[]),
    ("DATEFORMAT", &["DATE_FORMAT"]),
    ("TIMESTAMPFORMAT", &["TIMESTAMP_FORMAT"]),
    ("ENCODING", &[]),
    ("COMPRESSION", &["CODEC"]),
    ("ARRAY", &[]),
    ("ROW_GROUP_SIZE", &[]),
    ("PARTITION_BY", &[]),
    ("WRITE_PARTITION_COLUMNS", &[]),
    ("OVERWRITE", &[]),
    ("OVERWRITE_OR_IGNORE", &[]),
    ("APPEND", &[]),
];

/// The options that only CSV has.
const OF_CSV: &[&str] =
    &["HEADER", "DELIMITER", "QUOTE", "ESCAPE", "NULL", "FORCE_QUOTE", "DATEFORMAT", "TIMESTAMPFORMAT"];

impl Options {
    /// Reads the options of a statement that writes `file`.
    ///
    /// # Errors
    /// An option that does not exist, that its value does not suit, or that the format does not have.
    pub(super) fn read(file: &str, given: &[(String, Vec<String>)]) -> Result<Self, SqlMistake> {
        let named: Vec<(&'static str, &[String])> = given
            .iter()
            .map(|(name, values)| Ok((canonical(name)?, values.as_slice())))
            .collect::<Result<_, SqlMistake>>()?;
        let value = |wanted: &str| named.iter().find(|(name, _)| *name == wanted).map(|(_, values)| *values);
        let (format, delimiter) = format(file, value("FORMAT"), value("ARRAY"))?;
        for (name, _) in &named {
            check_fits(name, format)?;
        }
        let mut options = Self {
            format,
            packing: packing(file, format, value("COMPRESSION"))?,
            existing: Existing::ByKind,
            partition_by: value("PARTITION_BY").unwrap_or_default().to_vec(),
            keep_partition_columns: false,
            csv: Csv {
                header: true,
                delimiter,
                quote: '"',
                null: String::new(),
                quote_all: false,
                date: None,
                timestamp: None,
            },
            row_group_size: None,
        };
        let mut existing = Vec::new();
        for (name, values) in named {
            options.set(name, values, &mut existing)?;
        }
        match existing[..] {
            [] => {}
            [one] => options.existing = one,
            _ => return Err(mistake("only one of OVERWRITE, OVERWRITE_OR_IGNORE and APPEND can be given")),
        }
        let Csv { delimiter, quote, null, .. } = &options.csv;
        if delimiter == quote || null.contains([*delimiter, *quote, '\n', '\r']) {
            return Err(mistake("delimiter, quote and the text for NULL cannot be told apart")
                .help("choose others: `(delimiter ';', null 'NA')`"));
        }
        if options.partition_by.is_empty() && matches!(options.existing, Existing::Beside | Existing::Append)
        {
            return Err(mistake("OVERWRITE_OR_IGNORE and APPEND are for folders, with PARTITION_BY")
                .help("a file is replaced as a whole, unless `overwrite false` keeps it"));
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, values: &[String], existing: &mut Vec<Existing>) -> Result<(), SqlMistake> {
        let csv = &mut self.csv;
        match name {
            "FORMAT" | "ARRAY" | "COMPRESSION" => {}
            "HEADER" => csv.header = flag(name, values)?,
            "DELIMITER" => csv.delimiter = letter(name, values)?,
            "QUOTE" => csv.quote = letter(name, values)?,
            "ESCAPE" if letter(name, values)? == '"' => {}
            "ESCAPE" => return Err(bad(name, values, "nothing: a quote inside a value is written twice")),
            "NULL" => csv.null = one(name, values)?.to_owned(),
            "FORCE_QUOTE" => match values {
                [star] if star == "*" => csv.quote_all = true,
                _ => return Err(bad(name, values, "`*`; a value is quoted anyway where it has to be")),
            },
            "DATEFORMAT" => csv.date = Some(time_format(name, values)?),
            "TIMESTAMPFORMAT" => csv.timestamp = Some(time_format(name, values)?),
            "ENCODING" => match one(name, values)?.to_lowercase().as_str() {
                "utf-8" | "utf8" => {}
                _ => return Err(bad(name, values, "`utf-8`: files are always written so")),
            },
            "ROW_GROUP_SIZE" => {
                let rows = one(name, values)?.replace('_', "").parse().ok().filter(|rows| *rows > 0);
                self.row_group_size = Some(rows.ok_or_else(|| bad(name, values, "a number of rows"))?);
            }
            "PARTITION_BY" if values.is_empty() => {
                return Err(bad(name, values, "the columns: `partition_by (year)`"));
            }
            "PARTITION_BY" => {}
            "WRITE_PARTITION_COLUMNS" => self.keep_partition_columns = flag(name, values)?,
            "OVERWRITE" => {
                existing.push(if flag(name, values)? { Existing::Replace } else { Existing::Keep });
            }
            "OVERWRITE_OR_IGNORE" => existing.extend(flag(name, values)?.then_some(Existing::Beside)),
            _ => existing.extend(flag(name, values)?.then_some(Existing::Append)),
        }
        Ok(())
    }

    /// Checks the options against the columns that are to be written, and finds those whose names were written in
    /// another case.
    ///
    /// # Errors
    /// A column to partition by that is not there or has no plain values, or no column that is left.
    pub(super) fn check(&mut self, schema: &Schema) -> Result<(), SqlMistake> {
        for column in &mut self.partition_by {
            if schema.field_with_name(column).is_err()
                && schema.field_with_name(&column.to_lowercase()).is_ok()
            {
                *column = column.to_lowercase();
            }
            let Ok(field) = schema.field_with_name(column) else {
                let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                let help = did_you_mean(column, names.iter().copied());
                return Err(mistake(format!("there is no column `{column}` to partition by"))
                    .help(help.unwrap_or_else(|| format!("the columns are: {}", names.join(", ")))));
            };
            if field.data_type().is_nested()
                || matches!(field.data_type(), DataType::Binary | DataType::LargeBinary)
            {
                return Err(mistake(format!("the values of `{column}` cannot name folders"))
                    .help("partition by a text, a number or a date"));
            }
        }
        let left = schema.fields().len() - self.partition_by.len().min(schema.fields().len());
        if left == 0 && !self.partition_by.is_empty() && !self.keep_partition_columns {
            return Err(mistake("every column names a folder, and none is left for the files")
                .help("add `write_partition_columns true`"));
        }
        Ok(())
    }

    /// What a file's name ends with.
    pub(super) fn ending(&self) -> String {
        let format = match self.format {
            Format::Csv => "csv",
            Format::Json { array: true } => "json",
            Format::Json { array: false } => "jsonl",
            Format::Parquet => "parquet",
            Format::Arrow => "arrow",
        };
        let packed = match self.packing {
            Packing::Gzip if self.format != Format::Parquet => ".gz",
            Packing::Zstd if self.format != Format::Parquet => ".zst",
            Packing::Bzip2 => ".bz2",
            Packing::Xz => ".xz",
            _ => "",
        };
        format!("{format}{packed}")
    }
}

fn canonical(name: &str) -> Result<&'static str, SqlMistake> {
    let found = NAMES.iter().find(|(known, others)| *known == name || others.contains(&name));
    found.map(|(known, _)| *known).ok_or_else(|| {
        let names = || NAMES.iter().map(|(known, _)| *known);
        let help = did_you_mean(name, names());
        mistake(format!("COPY has no option `{name}`"))
            .help(help.unwrap_or_else(|| format!("there are {}", names().collect::<Vec<_>>().join(", "))))
    })
}

/// The format, and what is between two values of CSV.
fn format(
    file: &str,
    given: Option<&[String]>,
    array: Option<&[String]>,
) -> Result<(Format, char), SqlMistake> {
    let name =
        Path::new(file).file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let bare = PACKED.iter().find_map(|(ending, _)| name.strip_suffix(ending)).unwrap_or(&name);
    let word = match given {
        Some(values) => one("FORMAT", values)?.to_lowercase(),
        None => bare.rsplit_once('.').map(|(_, ending)| ending.to_owned()).unwrap_or_default(),
    };
    let array = array.map(|values| flag("ARRAY", values)).transpose()?;
    let found = match word.as_str() {
        "csv" => (Format::Csv, ','),
        "tsv" => (Format::Csv, '\t'),
        "json" => (Format::Json { array: array.unwrap_or(false) }, ','),
        "jsonl" | "ndjson" if array != Some(true) => (Format::Json { array: false }, ','),
        "parquet" => (Format::Parquet, ','),
        "arrow" | "feather" => (Format::Arrow, ','),
        _ if given.is_some() => {
            return Err(bad("FORMAT", given.unwrap_or_default(), "csv, tsv, json, jsonl, parquet or arrow"));
        }
        _ => {
            return Err(mistake(format!("`{file}` has no ending that tells its format"))
                .help("say which: `(format csv)`; there are csv, tsv, json, jsonl, parquet and arrow"));
        }
    };
    if array.is_some() && !matches!(found.0, Format::Json { .. }) {
        return Err(mistake("ARRAY is for JSON"));
    }
    Ok(found)
}

const PACKED: &[(&str, Packing)] =
    &[(".gz", Packing::Gzip), (".zst", Packing::Zstd), (".bz2", Packing::Bzip2), (".xz", Packing::Xz)];

fn packing(file: &str, format: Format, given: Option<&[String]>) -> Result<Packing, SqlMistake> {
    let by_name = || {
        let name = file.to_lowercase();
        PACKED.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, packing)| *packing)
    };
    let Some(values) = given else {
        return Ok(match format {
            Format::Parquet => Packing::Snappy,
            Format::Arrow => Packing::None,
            Format::Csv | Format::Json { .. } => by_name().unwrap_or(Packing::None),
        });
    };
    let word = one("COMPRESSION", values)?.to_lowercase();
    let wrong = |right: &str| Err(bad("COMPRESSION", values, right));
    match (word.as_str(), format) {
        ("none" | "uncompressed", _) => Ok(Packing::None),
        (_, Format::Arrow) => wrong("none: Arrow files are not packed"),
        ("auto" | "auto_detect", Format::Csv | Format::Json { .. }) => Ok(by_name().unwrap_or(Packing::None)),
        ("gzip" | "gz", _) => Ok(Packing::Gzip),
        ("zstd" | "zst", _) => Ok(Packing::Zstd),
        ("bzip2" | "bz2", Format::Csv | Format::Json { .. }) => Ok(Packing::Bzip2),
        ("xz", Format::Csv | Format::Json { .. }) => Ok(Packing::Xz),
        ("snappy", Format::Parquet) => Ok(Packing::Snappy),
        ("lz4" | "lz4_raw", Format::Parquet) => Ok(Packing::Lz4),
        ("brotli", Format::Parquet) => Ok(Packing::Brotli),
        (_, Format::Parquet) => wrong("snappy, zstd, gzip, lz4, brotli or none"),
        _ => wrong("gzip, zstd, bzip2, xz or none"),
    }
}

/// Refuses an option that a format does not have, instead of forgetting it.
fn check_fits(name: &str, format: Format) -> Result<(), SqlMistake> {
    let fits = match name {
        name if OF_CSV.contains(&name) => format == Format::Csv,
        "ROW_GROUP_SIZE" => format == Format::Parquet,
        "ENCODING" => matches!(format, Format::Csv | Format::Json { .. }),
        _ => true,
    };
    match fits {
        true => Ok(()),
        false => Err(mistake(format!("`{name}` does not go with this format")).help("leave it out")),
    }
}

fn bad(name: &str, values: &[String], right: &str) -> SqlMistake {
    let shown = if values.is_empty() { "nothing".to_owned() } else { format!("`{}`", values.join(", ")) };
    mistake(format!("`{name}` cannot be {shown}")).help(format!("write {right}"))
}

fn one<'a>(name: &str, values: &'a [String]) -> Result<&'a str, SqlMistake> {
    match values {
        [value] => Ok(value),
        _ => Err(bad(name, values, "one value")),
    }
}

fn flag(name: &str, values: &[String]) -> Result<bool, SqlMistake> {
    match values.iter().map(|value| value.to_lowercase()).collect::<Vec<_>>().as_slice() {
        [] => Ok(true),
        [word] if ["true", "on", "1", "yes"].contains(&word.as_str()) => Ok(true),
        [word] if ["false", "off", "0", "no"].contains(&word.as_str()) => Ok(false),
        _ => Err(bad(name, values, "true or false")),
    }
}

fn letter(name: &str, values: &[String]) -> Result<char, SqlMistake> {
    let value = one(name, values)?;
    let mut letters = value.chars();
    match (value, letters.next(), letters.next()) {
        ("\\t", ..) => Ok('\t'),
        (_, Some(letter), None) if letter.is_ascii() && !matches!(letter, '\n' | '\r' | '\0') => Ok(letter),
        _ => Err(bad(name, values, "one ASCII character, such as `;` or `\\t`")),
    }
}

/// A format of dates, checked, so that no row finds it wrong.
fn time_format(name: &str, values: &[String]) -> Result<String, SqlMistake> {
    let format = one(name, values)?;
    match StrftimeItems::new(format).any(|item| matches!(item, Item::Error)) {
        true => Err(bad(name, values, "it like `%d.%m.%Y %H:%M`")),
        false => Ok(format.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, options: &[(&str, &[&str])]) -> Result<Options, String> {
        let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let options: Vec<_> =
            options.iter().map(|(name, values)| ((*name).to_owned(), owned(values))).collect();
        Options::read(file, &options).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn names_and_options_tell_format_and_packing() {
        for (file, options, ending) in [
            ("a.csv", &[][..], "csv"),
            ("a.TSV.GZ", &[], "csv.gz"),
            ("a.json", &[], "jsonl"),
            ("a.json", &[("ARRAY", &[] as &[&str])], "json"),
            ("a.parquet", &[("COMPRESSION", &["zstd"])], "parquet"),
            ("a.arrow", &[], "arrow"),
            ("out", &[("FORMAT", &["csv"]), ("CODEC", &["xz"])], "csv.xz"),
        ] {
            assert_eq!(read(file, options).unwrap().ending(), ending, "{file}");
        }
        assert_eq!(read("a.tsv", &[]).unwrap().csv.delimiter, '\t');
    }

    #[test]
    fn what_does_not_go_together_is_refused_by_name() {
        for (file, options, said) in [
            ("a", &[][..], "`a` has no ending that tells its format"),
            ("a.csv", &[("FORMAT", &["xlsx"] as &[&str])], "`FORMAT` cannot be `xlsx`"),
            ("a.csv", &[("HEADR", &[])], "COPY has no option `HEADR`"),
            ("a.parquet", &[("HEADER", &[])], "`HEADER` does not go with this format"),
            ("a.csv", &[("DELIM", &["||"])], "`DELIMITER` cannot be `||`"),
            ("a.csv", &[("COMPRESSION", &["snappy"])], "`COMPRESSION` cannot be `snappy`"),
            ("a.csv", &[("NULL", &["a,b"])], "delimiter, quote and the text for NULL cannot be told apart"),
            ("a.csv", &[("DATEFORMAT", &["%Q"])], "`DATEFORMAT` cannot be `%Q`"),
            (
                "a.csv",
                &[("APPEND", &[])],
                "OVERWRITE_OR_IGNORE and APPEND are for folders, with PARTITION_BY",
            ),
            (
                "a.csv",
                &[("OVERWRITE", &[]), ("APPEND", &[])],
                "only one of OVERWRITE, OVERWRITE_OR_IGNORE and APPEND can be given",
            ),
            ("a.csv", &[("ARRAY", &[])], "ARRAY is for JSON"),
        ] {
            assert_eq!(read(file, options).unwrap_err(), said, "{file} {options:?}");
        }
    }
}
