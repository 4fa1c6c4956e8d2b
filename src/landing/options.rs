//! What may a source say about its files?
//!
//! [`LandOptions`] are the words of a source's `config:`, of the command line and of SQL, understood once:
//! [`set`](LandOptions::set) takes each by its name, in dbt's spelling or that of Databricks, and says what a wrong
//! value could have been. Their defaults are what a file needs that nobody said anything about.
//!
//! Not here: which of them a project may write where, and the columns it declares.

use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};

use super::error::LandingError;
use super::format::ReadOptions;
use super::read::column_name;
use super::read::moment::DateOrder;
use crate::base::{did_you_mean, parse_data_type, parse_instant};
use crate::table::Layout;

/// How files are taken, and what is done with those that are odd.
#[derive(Clone, Debug, PartialEq)]
pub struct LandOptions {
    /// How their bytes are understood.
    pub read: ReadOptions,
    /// Only files that were last written after this.
    pub modified_after: Option<DateTime<Utc>>,
    /// Only files that were last written before this.
    pub modified_before: Option<DateTime<Utc>>,
    /// What to do with a file that was loaded and has changed since.
    pub on_change: OnKnown,
    /// What to do with a file whose bytes were loaded under another name.
    pub on_copy: OnKnown,
    /// What to do with a file that cannot be read.
    pub on_damaged: OnDamaged,
    /// Whether a table that does not exist may be made. (`tables` of a contract.)
    pub new_tables: bool,
    /// What to do with columns that the table lacks.
    pub columns: OnNewColumn,
    /// What to do with values that their column's type cannot hold.
    pub types: OnMisfit,
    /// Columns whose types are known before any file is read.
    pub hints: Vec<(String, DataType)>,
    /// The most rejected records that a load may have.
    pub max_rejected: Option<u64>,
    /// The most rejected records that a load may have, as a part of all records, from 0 to 1.
    pub max_rejected_fraction: Option<f64>,
    /// Whether rows say where they are from: `_file_path`, `_file_modification_time`, `_row_number`, `_load_id`.
    pub provenance: bool,
    /// Whether the files stay where they are, without a copy in the raw zone.
    pub external: bool,
    /// Whether files are loaded again that are known already.
    pub force: bool,
    /// How the table's files are kept.
    pub layout: Layout,
}

/// What to do with a file of which the table has something already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnKnown {
    /// Leave it out, load the others, and say so. Written `report` or `skip`.
    #[default]
    Report,
    /// Load it; if it has changed, in place of the rows it had before. Written `reload` or `load`.
    Reload,
    /// Refuse the load.
    Fail,
}

/// What to do with a file that cannot be read, if others can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDamaged {
    /// Leave it out, load the others, and say so. Written `report` or `skip`.
    #[default]
    Report,
    /// Refuse the load.
    Fail,
}

/// What to do with a column that the table lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnNewColumn {
    /// Give it to the table: `addNewColumns`, `evolve`.
    #[default]
    Add,
    /// Keep its values in `_rescued_data`: `rescue`.
    Rescue,
    /// Refuse the load: `failOnNewColumns`, `freeze`.
    Fail,
    /// Leave its values out, and count them: `none`, `discard_value`.
    Discard,
    /// Reject the rows that have a value there: `discard_row`.
    Reject,
}

/// What to do with a value that its column's type cannot hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMisfit {
    /// Keep it in `_rescued_data`: `rescue`.
    #[default]
    Rescue,
    /// Widen the column, which rewrites the table: `evolve`.
    Widen,
    /// Refuse the load: `freeze`.
    Fail,
    /// Leave it out, and count it: `discard_value`.
    Discard,
    /// Reject its row: `discard_row`.
    Reject,
}

impl Default for LandOptions {
    fn default() -> Self {
        Self {
            read: ReadOptions::default(),
            modified_after: None,
            modified_before: None,
            on_change: OnKnown::default(),
            on_copy: OnKnown::default(),
            on_damaged: OnDamaged::default(),
            new_tables: true,
            columns: OnNewColumn::default(),
            types: OnMisfit::default(),
            hints: Vec::new(),
            max_rejected: None,
            max_rejected_fraction: None,
            provenance: true,
            external: false,
            force: false,
            layout: Layout::default(),
        }
    }
}

/// The options by the names they go by in messages, and the other names they are known by.
const NAMES: &[(&str, &[&str])] = &[
    ("format", &["file_format"]),
    ("compression", &[]),
    ("encoding", &["charset"]),
    ("delimiter", &["sep", "delim"]),
    ("quote", &[]),
    ("skip_rows", &["skip"]),
    ("comment", &[]),
    ("column_names", &["names"]),
    ("header", &[]),
    ("null_values", &["null_value", "nullstr"]),
    ("decimal", &["decimal_separator"]),
    ("date_order", &["date_format", "dateformat"]),
    ("hive_partitioning", &[]),
    ("infer_types", &["infer_column_types", "infer_schema"]),
    ("schema_hints", &[]),
    ("modified_after", &[]),
    ("modified_before", &[]),
    ("on_change", &[]),
    ("on_copy", &[]),
    ("on_damaged", &[]),
    ("schema_evolution_mode", &["schema_evolution"]),
    ("contract_tables", &[]),
    ("contract_columns", &[]),
    ("contract_data_type", &["contract_data_types"]),
    ("max_rejected", &["max_errors"]),
    ("max_rejected_fraction", &[]),
    ("provenance", &[]),
    ("external", &[]),
    ("force", &[]),
    ("partition_by", &["partitioned_by"]),
    ("cluster_by", &["sort_by"]),
    ("write_mode", &[]),
];

impl LandOptions {
    /// Whether a file that was last written at that time is meant at all.
    pub(super) fn wants(&self, modified: DateTime<Utc>) -> bool {
        self.modified_after.is_none_or(|after| modified > after)
            && self.modified_before.is_none_or(|before| modified < before)
    }

    /// Every option's name, as messages and documents write it.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// Sets one option from its text. Names may be in any case, with or without `_`.
    ///
    /// # Errors
    /// [`LandingError::UnknownOption`], with the one that was probably meant; [`LandingError::BadOption`] with the
    /// values that it can have.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), LandingError> {
        self.set_all(&[(name.to_owned(), value.to_owned())])
    }

    /// Sets options one after another. Markers of nulls that are given one by one add up: `null_value=NA` twice gives two.
    /// `null_values` is a list with commas, or one of JSON.
    ///
    /// # Errors
    /// Those of [`set`](Self::set).
    pub fn set_all(&mut self, options: &[(String, String)]) -> Result<(), LandingError> {
        let mut markers = Vec::new();
        for (name, value) in options {
            match canonical(name)? {
                "null_values" => {
                    match (plain(name) == "nullvalues", serde_json::from_str::<Vec<String>>(value)) {
                        (_, Ok(listed)) => markers.extend(listed),
                        (true, Err(_)) => markers.extend(value.split(',').map(|one| one.trim().to_owned())),
                        (false, Err(_)) => markers.push(value.clone()),
                    }
                    self.set_list(name, &markers)?;
                }
                _ => self.set_list(name, std::slice::from_ref(value))?,
            }
        }
        Ok(())
    }

    /// Sets one option from a list of texts; only `null_values`, `column_names`, `partition_by` and `cluster_by`
    /// take more than one.
    ///
    /// # Errors
    /// Those of [`set`](Self::set).
    pub fn set_list(&mut self, name: &str, values: &[String]) -> Result<(), LandingError> {
        let name = canonical(name)?;
        match name {
            "null_values" => {
                self.read.null_values = values.to_vec();
                return Ok(());
            }
            "column_names" => {
                self.read.names = Some(columns(values)).filter(|names| !names.is_empty());
                return Ok(());
            }
            "partition_by" => {
                self.layout.partition_by = Some(columns(values)).filter(|columns| !columns.is_empty());
                return Ok(());
            }
            "cluster_by" => {
                self.layout.cluster_by = columns(values);
                return Ok(());
            }
            _ => {}
        }
        let [value] = values else {
            return Err(bad(name, &values.join(", "), "one value"));
        };
        let word = value.trim().to_lowercase().replace(['-', ' '], "_");
        let read = &mut self.read;
        match name {
            "format" => read.format = Some(word),
            "compression" => read.compression = Some(word),
            "encoding" => read.encoding = Some(encoding(value)?),
            "delimiter" => read.delimiter = Some(one_char(name, value)?),
            "quote" => {
                read.quote =
                    Some(if word == "none" || word.is_empty() { None } else { Some(one_char(name, value)?) })
            }
            "skip_rows" => {
                let rows = word.replace('_', "").parse();
                read.skip_rows = rows.map_err(|_| bad(name, value, "a number of lines"))?;
            }
            "comment" => {
                read.comment = if value.is_empty() { None } else { Some(one_char(name, value)?) };
            }
            "header" => read.header = if word == "auto" { None } else { Some(flag(name, &word)?) },
            "decimal" => {
                read.decimal_comma = Some(match value.trim() {
                    "," | "comma" => true,
                    "." | "point" => false,
                    _ => return Err(bad(name, value, "`,` or `.`")),
                });
            }
            "date_order" => read.date_order = Some(date_order(value)?),
            "hive_partitioning" => read.hive = flag(name, &word)?,
            "infer_types" => read.infer_types = flag(name, &word)?,
            "schema_hints" => self.hints.extend(hints(value)?),
            "modified_after" => self.modified_after = Some(moment(name, value)?),
            "modified_before" => self.modified_before = Some(moment(name, value)?),
            "on_change" => self.on_change = on_known(name, value, &word)?,
            "on_copy" => self.on_copy = on_known(name, value, &word)?,
            "on_damaged" => {
                self.on_damaged = match word.as_str() {
                    "report" | "skip" => OnDamaged::Report,
                    "fail" => OnDamaged::Fail,
                    _ => return Err(bad(name, value, "skip or fail")),
                };
            }
            "contract_tables" => {
                self.new_tables = match word.as_str() {
                    "evolve" => true,
                    "freeze" => false,
                    _ => return Err(bad(name, value, "evolve or freeze")),
                };
            }
            "schema_evolution_mode" | "contract_columns" => self.columns = on_new_column(name, value)?,
            "contract_data_type" => {
                self.types = match word.as_str() {
                    "rescue" => OnMisfit::Rescue,
                    "evolve" => OnMisfit::Widen,
                    "freeze" => OnMisfit::Fail,
                    "discard_value" => OnMisfit::Discard,
                    "discard_row" => OnMisfit::Reject,
                    _ => {
                        return Err(bad(name, value, "rescue, evolve, freeze, discard_row or discard_value"));
                    }
                };
            }
            "max_rejected" => {
                self.max_rejected =
                    Some(word.replace('_', "").parse().map_err(|_| bad(name, value, "a whole number"))?);
            }
            "max_rejected_fraction" => {
                let fraction = word.parse().ok().filter(|fraction| (0.0..=1.0).contains(fraction));
                self.max_rejected_fraction =
                    Some(fraction.ok_or_else(|| bad(name, value, "a number from 0 to 1, such as 0.01"))?);
            }
            "provenance" => self.provenance = flag(name, &word)?,
            "external" => self.external = flag(name, &word)?,
            "force" => self.force = flag(name, &word)?,
            "write_mode" => {
                let mode = word.replace('_', "-").parse();
                let modes = "copy-on-write, merge-on-read or auto";
                self.layout.write_mode = Some(mode.map_err(|_| bad(name, value, modes))?);
            }
            _ => return Err(bad(name, value, "something else")),
        }
        Ok(())
    }
}

/// A name without what people part its words by.
fn plain(name: &str) -> String {
    name.to_lowercase().replace(['_', '-', '.'], "")
}

/// The name that messages use, for any of the names that users do.
fn canonical(name: &str) -> Result<&'static str, LandingError> {
    let wanted = plain(name);
    let known = |(canonical, others): &&(&'static str, &[&str])| {
        plain(canonical) == wanted || others.iter().any(|other| plain(other) == wanted)
    };
    NAMES.iter().find(known).map(|(canonical, _)| *canonical).ok_or_else(|| LandingError::UnknownOption {
        name: name.to_owned(),
        help: did_you_mean(&name.to_lowercase(), LandOptions::names())
            .unwrap_or_else(|| format!("known are {}", LandOptions::names().collect::<Vec<_>>().join(", "))),
    })
}

fn bad(option: &'static str, value: &str, wanted: &str) -> LandingError {
    LandingError::BadOption { option, value: value.to_owned(), help: format!("write {wanted}") }
}

/// Columns in a list, or in one text with commas, as they are called in the table.
fn columns(values: &[String]) -> Vec<String> {
    let names = values.iter().flat_map(|value| value.split(',')).map(str::trim);
    names.filter(|name| !name.is_empty()).map(column_name).collect()
}

fn flag(name: &'static str, word: &str) -> Result<bool, LandingError> {
    match word {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(bad(name, word, "true or false")),
    }
}

fn one_char(name: &'static str, value: &str) -> Result<char, LandingError> {
    let wrong = || bad(name, value, "one ASCII character that is no line end, such as `;` or `\\t`");
    if value == "\\t" || value.eq_ignore_ascii_case("tab") {
        return Ok('\t');
    }
    let mut chars = value.chars();
    match (chars.next(), chars.next()) {
        (Some(one), None) if one.is_ascii() && !matches!(one, '\n' | '\r' | '\0') => Ok(one),
        _ => Err(wrong()),
    }
}

fn encoding(value: &str) -> Result<String, LandingError> {
    match encoding_rs::Encoding::for_label(value.trim().as_bytes()) {
        Some(known) => Ok(known.name().to_owned()),
        None => Err(bad(
            "encoding",
            value,
            "utf-8, latin1, windows-1252, utf-16le, utf-16be or another name of the web's encodings",
        )),
    }
}

/// `DMY`, `day_first`, `DD/MM/YYYY` or `%d/%m/%Y`: what counts is the order of the letters.
fn date_order(value: &str) -> Result<DateOrder, LandingError> {
    let word = value.trim().to_lowercase().replace(['-', ' '], "_");
    let mut letters: Vec<char> = word.chars().filter(|letter| "dmy".contains(*letter)).collect();
    letters.dedup();
    match (word.as_str(), letters.as_slice()) {
        ("day_first", _) | (_, ['d', 'm', 'y']) => Ok(DateOrder::Dmy),
        ("month_first", _) | (_, ['m', 'd', 'y']) => Ok(DateOrder::Mdy),
        ("year_first" | "iso", _) | (_, ['y', 'm', 'd']) => Ok(DateOrder::Ymd),
        _ => Err(bad("date_order", value, "DD/MM/YYYY, MM/DD/YYYY or YYYY-MM-DD")),
    }
}

fn moment(name: &'static str, value: &str) -> Result<DateTime<Utc>, LandingError> {
    parse_instant(value.trim()).ok_or_else(|| {
        bad(name, value, "a time, such as 2026-01-31 or 2026-01-31T10:00:00Z; without a zone it is UTC")
    })
}

fn on_known(name: &'static str, value: &str, word: &str) -> Result<OnKnown, LandingError> {
    match word {
        "report" | "skip" => Ok(OnKnown::Report),
        "reload" | "load" => Ok(OnKnown::Reload),
        "fail" => Ok(OnKnown::Fail),
        _ => Err(bad(name, value, "skip, reload or fail")),
    }
}

fn on_new_column(name: &'static str, value: &str) -> Result<OnNewColumn, LandingError> {
    match value.trim().to_lowercase().replace(['_', '-', ' '], "").as_str() {
        "addnewcolumns" | "evolve" => Ok(OnNewColumn::Add),
        "rescue" => Ok(OnNewColumn::Rescue),
        "failonnewcolumns" | "freeze" => Ok(OnNewColumn::Fail),
        "none" | "discardvalue" => Ok(OnNewColumn::Discard),
        "discardrow" => Ok(OnNewColumn::Reject),
        _ => Err(bad(
            name,
            value,
            "addNewColumns, rescue, failOnNewColumns or none; in a contract also evolve, freeze, discard_row or discard_value",
        )),
    }
}

/// `id bigint, price decimal(10,2)`; commas inside brackets part nothing.
fn hints(text: &str) -> Result<Vec<(String, DataType)>, LandingError> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for letter in text.chars() {
        match letter {
            '(' | '<' => depth += 1,
            ')' | '>' => depth -= 1,
            _ => {}
        }
        match letter {
            ',' if depth == 0 => parts.push(String::new()),
            _ => parts.last_mut().expect("there is always a last").push(letter),
        }
    }
    let wrong =
        |part: &str| bad("schema_hints", part.trim(), "columns with types: `id bigint, price decimal(10,2)`");
    parts
        .iter()
        .filter(|part| !part.trim().is_empty())
        .map(|part| {
            let (name, data_type) = part.trim().split_once(char::is_whitespace).ok_or_else(|| wrong(part))?;
            let data_type = parse_data_type(data_type).ok_or_else(|| wrong(part))?;
            Ok((name.trim_matches(['"', '`']).to_owned(), data_type))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_of_other_tools_are_understood() {
        let mut options = LandOptions::default();
        for (name, value) in [
            ("nullValue", "NA"),
            ("schemaEvolutionMode", "failOnNewColumns"),
            ("sep", "\\t"),
            ("dateFormat", "dd/MM/yyyy"),
            ("charset", "ISO-8859-1"),
            ("contract_data_type", "discard_row"),
            ("schemaHints", "id bigint, price decimal(10,2)"),
            ("MAX_ERRORS", "10"),
            ("quote", "none"),
            ("modifiedAfter", "2026-01-31"),
            ("modifiedBefore", "2026-01-31T10:00:00+01:00"),
        ] {
            options.set(name, value).unwrap();
        }
        assert_eq!(options.read.null_values, ["NA"]);
        for (given, markers) in [
            (vec![("null_values", "NA, NULL,")], vec!["NA", "NULL", ""]),
            (vec![("null_values", "[\"a,b\"]")], vec!["a,b"]),
            (vec![("null_value", "a,b"), ("nullstr", "-")], vec!["a,b", "-"]),
        ] {
            let given: Vec<_> =
                given.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            options.set_all(&given).unwrap();
            assert_eq!(options.read.null_values, markers);
        }
        assert_eq!((options.columns, options.types), (OnNewColumn::Fail, OnMisfit::Reject));
        assert_eq!((options.read.delimiter, options.read.quote), (Some('\t'), Some(None)));
        assert_eq!(options.read.date_order, Some(DateOrder::Dmy));
        assert_eq!(options.read.encoding.as_deref(), Some("windows-1252"));
        assert_eq!(options.hints.len(), 2);
        assert_eq!(options.max_rejected, Some(10));
        let wants = |hour| options.wants(parse_instant(&format!("2026-01-31T{hour}:00:00Z")).unwrap());
        assert_eq!(["00", "01", "08", "09", "10"].map(wants), [false, true, true, false, false]);
    }

    #[test]
    fn a_wrong_name_or_value_says_what_was_meant() {
        let told = |name: &str, value: &str| {
            let error = LandOptions::default().set(name, value).unwrap_err();
            format!(
                "{error} ({})",
                miette::Diagnostic::help(&error).map(|help| help.to_string()).unwrap_or_default()
            )
        };
        for (name, value, message) in [
            ("delimeter", ";", "there is no option `delimeter` (did you mean `delimiter`?)"),
            ("on_change", "explode", "`on_change` cannot be `explode` (write skip, reload or fail)"),
            (
                "modified_after",
                "yesterday",
                "`modified_after` cannot be `yesterday` (write a time, such as 2026-01-31 or 2026-01-31T10:00:00Z; without a zone it is UTC)",
            ),
            (
                "max_rejected_fraction",
                "2",
                "`max_rejected_fraction` cannot be `2` (write a number from 0 to 1, such as 0.01)",
            ),
            (
                "schema_hints",
                "id",
                "`schema_hints` cannot be `id` (write columns with types: `id bigint, price decimal(10,2)`)",
            ),
        ] {
            assert_eq!(told(name, value), message);
        }
    }
}
