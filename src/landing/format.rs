//! How are the bytes of this file to be understood?
//!
//! A [`Format`] and a [`Compression`] follow from the file's name, unless [`ReadOptions`] declare them. The first bytes
//! may only contradict: a file that is packed is unpacked whatever it is called, and a binary file is never read as text.
//! How a CSV file separates and quotes is for `dialect` to find out.

use std::path::Path;

use arrow::datatypes::Schema;

use super::error::LandingError;
use super::read::column_name;
use super::read::literal::Spelling;
use super::read::moment::DateOrder;

/// What a file holds once it is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Delimited text.
    Csv {
        /// The byte between two fields, if the name or the options say so.
        delimiter: Option<u8>,
    },
    /// One JSON object on each line.
    JsonLines,
    /// JSON objects on lines, in one array, or one after another.
    Json,
    /// Apache Parquet.
    Parquet,
    /// Apache Avro, as an object container file.
    Avro,
    /// Arrow IPC: a file, also called Feather, or a stream.
    Arrow,
}

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, possibly several members one after another.
    Gzip,
    /// Zstandard.
    Zstd,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
}

/// What the user declared about the bytes of a source's files. What is nothing is found out, file by file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// `csv`, `tsv`, `json`, `jsonl` (also `ndjson`), `parquet`, `avro` or `arrow`; otherwise the file's name tells.
    pub format: Option<String>,
    /// `none`, `gzip`, `zstd`, `bzip2` or `xz`; otherwise the file's first bytes and its name tell.
    pub compression: Option<String>,
    /// The encoding of text, by its name on the web; otherwise UTF-8, or UTF-16 if a byte order mark says so.
    pub encoding: Option<String>,
    /// The character between two fields of a CSV file.
    pub delimiter: Option<char>,
    /// The character around fields of a CSV file; inside nothing, that there is none.
    pub quote: Option<Option<char>>,
    /// Lines at the beginning of a CSV file that are not part of it.
    pub skip_rows: u64,
    /// The character that begins lines of a CSV file that are no records.
    pub comment: Option<char>,
    /// What the columns of a file are called, in its order, whatever its header says.
    pub names: Option<Vec<String>>,
    /// Whether CSV files start with the names of their columns.
    ///
    /// Without a header columns are matched by position, and those without a declared name are
    /// `_c0`, `_c1` and so on.
    pub header: Option<bool>,
    /// Texts that mean null in a CSV file. In a varchar column a quoted field is never null.
    pub null_values: Vec<String>,
    /// Whether numbers are written `1.234,5`.
    pub decimal_comma: Option<bool>,
    /// Whether `01/02/2013` is in January or in February.
    pub date_order: Option<DateOrder>,
    /// Whether folders named `column=value` are columns.
    pub hive: bool,
    /// Whether columns get types; otherwise those of text files are varchar, unless they are declared.
    pub infer_types: bool,
    /// Columns whose types the user declared, by their names in the table.
    ///
    /// Their values may be spelled more freely than those of inferred columns: `007` and `+7` for
    /// integers, `yes` and `1` for booleans, `NaN` for doubles, an instant without a zone (it is UTC).
    pub declared: Vec<String>,
    /// Whether columns are called as the files call them, and not by [`column_name`].
    pub(crate) as_written: bool,
    /// Columns whose values nobody asks for: they are not looked at, and null.
    pub(crate) unasked: Vec<String>,
    /// The order of day and month by column, where files told it.
    pub(crate) orders: Vec<(String, DateOrder)>,
    /// Whether files told that numbers are written `1.234,5`; believed where a file does not tell.
    pub(crate) comma_elsewhere: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            compression: None,
            encoding: None,
            delimiter: None,
            quote: None,
            skip_rows: 0,
            comment: None,
            names: None,
            header: None,
            null_values: vec![String::new(), "\\N".to_owned()],
            decimal_comma: None,
            date_order: None,
            hive: true,
            infer_types: true,
            declared: Vec::new(),
            as_written: false,
            unasked: Vec::new(),
            orders: Vec::new(),
            comma_elsewhere: false,
        }
    }
}

impl ReadOptions {
    /// What a column is called that a file calls so.
    pub(crate) fn name_of(&self, in_file: &str) -> String {
        if self.as_written { in_file.trim().to_owned() } else { column_name(in_file) }
    }

    /// How the values of each column may be spelled.
    pub(crate) fn spellings(&self, schema: &Schema, decimal_comma: bool) -> Vec<Spelling> {
        let spelling = |name: &String| Spelling {
            free: self.declared.contains(name),
            decimal_comma,
            dates: self.date_order.unwrap_or_else(|| {
                self.orders
                    .iter()
                    .find(|(column, _)| column == name)
                    .map_or(DateOrder::Ymd, |(_, order)| *order)
            }),
        };
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
    let (name, by_name) = unpacked_name(&name);
    let compression = match options.compression.as_deref() {
        None => by_name,
        Some(word) => compression_named(word)?,
    };
    let declared = options.format.as_deref().map(str::to_lowercase);
    let word = match &declared {
        Some(declared) => declared.as_str(),
        None => name.rsplit_once('.').map(|(_, extension)| extension).ok_or_else(unknown)?,
    };
    let delimiter = options.delimiter.map(delimiter_byte).transpose()?;
    let format = match word {
        "csv" => Format::Csv { delimiter },
        "txt" if declared.is_none() => Format::Csv { delimiter },
        "tsv" | "tab" => Format::Csv { delimiter: delimiter.or(Some(b'\t')) },
        "psv" => Format::Csv { delimiter: delimiter.or(Some(b'|')) },
        "json" => Format::Json,
        "jsonl" | "ndjson" | "jsonlines" => Format::JsonLines,
        "parquet" | "pq" => Format::Parquet,
        "avro" => Format::Avro,
        "arrow" | "arrows" | "feather" | "ipc" => Format::Arrow,
        other if declared.is_some() => {
            return Err(LandingError::BadOption {
                option: "format",
                value: other.to_owned(),
                help: "write csv, tsv, json, jsonl, parquet, avro or arrow".to_owned(),
            });
        }
        _ => return Err(unknown()),
    };
    if compression != Compression::None && format.is_binary() {
        // These are read from their end, and are compressed inside.
        return Err(unknown());
    }
    Ok((format, compression))
}

/// Checks the options that a file's format is told with, before there is a file.
///
/// # Errors
/// [`LandingError::BadOption`]
pub(super) fn check(options: &ReadOptions) -> Result<(), LandingError> {
    match of(Path::new("any"), options) {
        Err(error @ LandingError::BadOption { .. }) => Err(error),
        _ => Ok(()),
    }
}

impl Format {
    /// Whether it is anything but text.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Avro | Self::Arrow)
    }

    /// The word for it in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Csv { .. } => "CSV",
            Self::JsonLines | Self::Json => "JSON",
            Self::Parquet => "Parquet",
            Self::Avro => "Avro",
            Self::Arrow => "Arrow",
        }
    }
}

impl Compression {
    /// What the first bytes of a file say.
    pub(crate) fn by_magic(head: &[u8]) -> Option<Self> {
        let starts = |magic: &[u8]| head.starts_with(magic);
        match () {
            () if starts(b"\x1F\x8B") => Some(Self::Gzip),
            () if starts(b"\x28\xB5\x2F\xFD") => Some(Self::Zstd),
            () if starts(b"BZh") && head.get(4..6) == Some(b"1A") => Some(Self::Bzip2),
            () if starts(b"\xFD7zXZ\0") => Some(Self::Xz),
            () => None,
        }
    }

    /// The word for it in messages.
    pub(crate) fn word(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
            Self::Bzip2 => Some("bzip2"),
            Self::Xz => Some("xz"),
        }
    }
}

/// What a file is that is read as text, and is none by its first bytes.
pub(crate) fn binary_by_magic(head: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 6] = [
        (b"PAR1", "a Parquet file"),
        (b"ARROW1\0\0", "an Arrow file"),
        (b"Obj\x01", "an Avro file"),
        (b"PK\x03\x04", "a zip archive, perhaps an Excel workbook"),
        (b"\xD0\xCF\x11\xE0", "an old Excel workbook"),
        (b"SQLite format 3\0", "an SQLite database"),
    ];
    known.into_iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| what)
}

fn unpacked_name(name: &str) -> (&str, Compression) {
    let endings = [
        (".gz", Compression::Gzip),
        (".gzip", Compression::Gzip),
        (".zst", Compression::Zstd),
        (".zstd", Compression::Zstd),
        (".bz2", Compression::Bzip2),
        (".xz", Compression::Xz),
    ];
    let packed = endings.into_iter().find_map(|(ending, how)| Some((name.strip_suffix(ending)?, how)));
    packed.unwrap_or((name, Compression::None))
}

fn compression_named(word: &str) -> Result<Compression, LandingError> {
    Ok(match word {
        "none" | "uncompressed" => Compression::None,
        "gzip" | "gz" => Compression::Gzip,
        "zstd" | "zst" => Compression::Zstd,
        "bzip2" | "bz2" => Compression::Bzip2,
        "xz" => Compression::Xz,
        other => {
            return Err(LandingError::BadOption {
                option: "compression",
                value: other.to_owned(),
                help: "write gzip, zstd, bzip2, xz or none".to_owned(),
            });
        }
    })
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
        let csv = |delimiter| Some(Format::Csv { delimiter });
        let plain = ReadOptions::default();
        let declared = ReadOptions { format: Some("CSV".into()), delimiter: Some(';'), ..plain.clone() };
        for (name, options, format, compression) in [
            ("in/a.csv", &plain, csv(None), Compression::None),
            ("in/A.CSV.GZ", &plain, csv(None), Compression::Gzip),
            ("a.tsv.zst", &plain, csv(Some(b'\t')), Compression::Zstd),
            ("a.2013.txt.xz", &plain, csv(None), Compression::Xz),
            ("a.ndjson.bz2", &plain, Some(Format::JsonLines), Compression::Bzip2),
            ("a.json", &plain, Some(Format::Json), Compression::None),
            ("a.parquet", &plain, Some(Format::Parquet), Compression::None),
            ("a.feather", &plain, Some(Format::Arrow), Compression::None),
            ("a.parquet.gz", &plain, None, Compression::Gzip),
            ("a.xlsx", &plain, None, Compression::None),
            ("readme", &plain, None, Compression::None),
            ("export", &declared, csv(Some(b';')), Compression::None),
            ("export.gz", &declared, csv(Some(b';')), Compression::Gzip),
        ] {
            let read = of(Path::new(name), options).ok();
            assert_eq!(read, format.map(|format| (format, compression)), "{name}");
        }
    }

    #[test]
    fn impossible_options_are_refused() {
        for options in [
            ReadOptions { format: Some("excel".into()), ..ReadOptions::default() },
            ReadOptions { compression: Some("rar".into()), ..ReadOptions::default() },
            ReadOptions { delimiter: Some('"'), ..ReadOptions::default() },
            ReadOptions { delimiter: Some('→'), ..ReadOptions::default() },
        ] {
            let refused = of(Path::new("a.csv"), &options);
            assert!(matches!(refused, Err(LandingError::BadOption { .. })), "{options:?}");
        }
    }
}
