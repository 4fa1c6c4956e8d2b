//! How are the bytes of this file to be understood?
//!
//! A [`Format`] follows from the file's name, unless [`ReadOptions`] declare it. Nothing is guessed from
//! the content: a wrong guess there loses rows quietly.

use std::path::Path;

use arrow::datatypes::Schema;
use serde::{Deserialize, Serialize};

use super::error::LandingError;
use super::read::literal::Spelling;

/// What a file holds once it is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Delimited text with `"` as quote, doubled inside quotes.
    Csv {
        /// The byte between two fields.
        delimiter: u8,
        /// Whether the first record holds the names of the columns.
        header: bool,
    },
    /// One JSON object on each line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, possibly several members one after another.
    Gzip,
}

/// What the user declared about the files of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOptions {
    /// `csv`, `tsv`, `json` (also `jsonl`, `ndjson`) or `parquet`; otherwise the file's name tells.
    pub format: Option<String>,
    /// The character between two fields of a CSV file; otherwise a comma, or a tab for `tsv`.
    pub delimiter: Option<char>,
    /// Whether CSV files start with the names of their columns.
    ///
    /// Without a header columns are matched by position, and those without a declared name are
    /// `_c0`, `_c1` and so on.
    pub header: bool,
    /// Texts that mean null in a CSV file. In a varchar column a quoted field is never null.
    pub null_values: Vec<String>,
    /// Columns whose types the user declared, by their names in the table.
    ///
    /// Their values may be spelled more freely than those of inferred columns: `007` and `+7` for
    /// integers, `yes` and `1` for booleans, `NaN` for doubles, an instant without a zone (it is UTC).
    pub declared: Vec<String>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            delimiter: None,
            header: true,
            null_values: vec![String::new(), "\\N".to_owned()],
            declared: Vec::new(),
        }
    }
}

impl ReadOptions {
    /// How freely the values of each column may be spelled.
    pub(crate) fn spellings(&self, schema: &Schema) -> Vec<Spelling> {
        let spelling =
            |name: &String| if self.declared.contains(name) { Spelling::Free } else { Spelling::Strict };
        schema.fields().iter().map(|field| spelling(field.name())).collect()
    }
}

/// Returns how to read the file at `path`. Looks at its name and at `options`, not at the file.
///
/// # Errors
/// [`LandingError::UnknownFormat`] if neither says what the file is; [`LandingError::BadOption`] if `options`
/// ask for something that does not exist.
pub fn of(path: &Path, options: &ReadOptions) -> Result<(Format, Compression), LandingError> {
    let unknown = || LandingError::UnknownFormat { path: path.display().to_string() };
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let (name, compression) = match name.strip_suffix(".gz") {
        Some(inner) => (inner, Compression::Gzip),
        None => (name.as_str(), Compression::None),
    };
    let declared = options.format.as_deref().map(str::to_lowercase);
    let word = match &declared {
        Some(declared) => declared.as_str(),
        None => name.rsplit_once('.').map(|(_, extension)| extension).ok_or_else(unknown)?,
    };
    let csv = |usual: u8| -> Result<Format, LandingError> {
        let delimiter = options.delimiter.map_or(Ok(usual), delimiter_byte)?;
        Ok(Format::Csv { delimiter, header: options.header })
    };
    let format = match word {
        "csv" => csv(b',')?,
        "txt" if declared.is_none() => csv(b',')?,
        "tsv" => csv(b'\t')?,
        "json" | "jsonl" | "ndjson" => Format::JsonLines,
        "parquet" if compression == Compression::None => Format::Parquet,
        // Parquet is read from its end, and is compressed inside.
        "parquet" => return Err(unknown()),
        other if declared.is_some() => {
            return Err(LandingError::BadOption {
                option: "format",
                value: other.to_owned(),
                help: "write csv, tsv, json or parquet".to_owned(),
            });
        }
        _ => return Err(unknown()),
    };
    Ok((format, compression))
}

fn delimiter_byte(delimiter: char) -> Result<u8, LandingError> {
    match u8::try_from(delimiter) {
        Ok(byte) if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r' | 0) => Ok(byte),
        _ => Err(LandingError::BadOption {
            option: "delimiter",
            value: delimiter.to_string(),
            help: "write one ASCII character that is no quote and no line end, such as `;` or `\\t`"
                .to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_format_unless_it_is_declared() {
        let csv = |delimiter| Some(Format::Csv { delimiter, header: true });
        let plain = ReadOptions::default();
        let declared = ReadOptions { format: Some("CSV".into()), delimiter: Some(';'), ..plain.clone() };
        for (name, options, format, compression) in [
            ("in/a.csv", &plain, csv(b','), Compression::None),
            ("in/A.CSV.GZ", &plain, csv(b','), Compression::Gzip),
            ("a.tsv", &plain, csv(b'\t'), Compression::None),
            ("a.2013.txt", &plain, csv(b','), Compression::None),
            ("a.ndjson.gz", &plain, Some(Format::JsonLines), Compression::Gzip),
            ("a.parquet", &plain, Some(Format::Parquet), Compression::None),
            ("a.parquet.gz", &plain, None, Compression::Gzip),
            ("a.xlsx", &plain, None, Compression::None),
            ("readme", &plain, None, Compression::None),
            ("export", &declared, csv(b';'), Compression::None),
            ("export.gz", &declared, csv(b';'), Compression::Gzip),
        ] {
            let read = of(Path::new(name), options).ok();
            assert_eq!(read, format.map(|format| (format, compression)), "{name}");
        }
    }

    #[test]
    fn impossible_options_are_refused() {
        for options in [
            ReadOptions { format: Some("excel".into()), ..ReadOptions::default() },
            ReadOptions { delimiter: Some('"'), ..ReadOptions::default() },
            ReadOptions { delimiter: Some('→'), ..ReadOptions::default() },
        ] {
            let refused = of(Path::new("a.csv"), &options);
            assert!(matches!(refused, Err(LandingError::BadOption { .. })), "{options:?}");
        }
    }
}
