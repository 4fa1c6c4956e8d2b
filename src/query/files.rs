//! How is a file queried before it is a table?
//!
//! `select * from 'sales.csv'`: whatever can be landed, by name, glob, folder or URL, read by landing's own readers
//! ([`FileScan`]), so that a query shows what a load would bring; Parquet is read by the engine's, which passes over what a condition
//! rules out; and Delta tables that are not in the lake, by folder or URL. What `read_csv` and its like are told
//! becomes landing's options here.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::DataType;
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use url::Url;

use super::dialect::{ReadBy, Reader};
use super::error::VALUE;
use super::parquet_facts::{self, Facts};
use super::parquet_format::ParquetFiles;
use super::provider::StateOf;
use super::{Files, QueryError, SqlMistake, whole_files};
use crate::base::{TableVersion, did_you_mean, parse_data_type};
use crate::landing::{Asked, FileScan, Found, LandOptions, LandingError};
use crate::table::Tables;

/// The schema in which a quoted name is a file's.
pub(super) struct FileSchema {
    pub(super) state: StateOf,
    /// How Delta tables are read.
    pub(super) tables: Tables,
    /// How they are read.
    pub(super) reader: Reader,
    /// Whether they are read at all.
    pub(super) files: Files,
}

impl std::fmt::Debug for FileSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileSchema")
    }
}

#[async_trait]
impl SchemaProvider for FileSchema {
    fn table_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn table_exist(&self, _name: &str) -> bool {
        true
    }

    async fn table(&self, path: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if self.files == Files::OutOfReach {
            let mistake = SqlMistake::new("elt::sql::no_files", "files cannot be read by name here");
            let help = "only the tables of the lake are served; land the file: `elt land source.table FILE`";
            return Err(QueryError::Sql(mistake.help(help)).into());
        }
        let told = Told::by(&self.reader).map_err(QueryError::Sql)?;
        let log = Path::new(here(path)).join("_delta_log");
        match self.reader.function {
            ReadBy::Delta => return self.delta(path, told.version).await.map(Some),
            ReadBy::Ending if log.is_dir() => return self.delta(path, None).await.map(Some),
            ReadBy::ParquetMetadata => return self.facts(path, Facts::RowGroups).await.map(Some),
            ReadBy::ParquetSchema => return self.facts(path, Facts::Schema).await.map(Some),
            ReadBy::ParquetFileMetadata => return self.facts(path, Facts::Files).await.map(Some),
            ReadBy::ParquetKvMetadata => return self.facts(path, Facts::Notes).await.map(Some),
            ReadBy::Glob | ReadBy::Text | ReadBy::Blob => return self.whole(path).await.map(Some),
            _ => {}
        }
        Ok(Some(self.read(path, told).await?))
    }
}

impl FileSchema {
    /// The patterns of the files.
    fn patterns(&self, path: &str) -> Vec<String> {
        let paths = std::iter::once(path).chain(self.reader.more.iter().map(String::as_str));
        paths.map(|path| here(path).to_owned()).collect()
    }

    /// Files as rows: their names, or all that is in each.
    async fn whole(&self, path: &str) -> Result<Arc<dyn TableProvider>> {
        let by = self.reader.function;
        let found = Found::by(Path::new("."), &self.patterns(path), self.tables.world()).await;
        let found = match found {
            // A pattern that nothing fits names no file.
            Err(LandingError::NotFound { .. }) if by == ReadBy::Glob => Found::default(),
            found => found.map_err(unread)?,
        };
        if found.is_empty() && by != ReadBy::Glob {
            return Err(QueryError::Sql(missing(path)).into());
        }
        if by == ReadBy::Glob {
            return whole_files::names(&found.names());
        }
        let Some(files) = found.here() else { return Err(QueryError::Sql(elsewhere(by)).into()) };
        let read = tokio::task::spawn_blocking(move || whole_files::contents(&files, by == ReadBy::Text));
        read.await.map_err(|error| DataFusionError::External(Box::new(error)))?
    }

    /// What Parquet files say of themselves.
    async fn facts(&self, path: &str, facts: Facts) -> Result<Arc<dyn TableProvider>> {
        let patterns = self.patterns(path);
        let found = Found::by(Path::new("."), &patterns, self.tables.world()).await.map_err(unread)?;
        if found.is_empty() {
            return Err(QueryError::Sql(missing(path)).into());
        }
        let by = self.reader.function;
        let Some(files) = found.here() else { return Err(QueryError::Sql(elsewhere(by)).into()) };
        let read = tokio::task::spawn_blocking(move || parquet_facts::facts(facts, &files));
        read.await.map_err(|error| DataFusionError::External(Box::new(error)))?
    }

    async fn read(&self, path: &str, mut told: Told) -> Result<Arc<dyn TableProvider>> {
        let patterns = self.patterns(path);
        let found = Found::by(Path::new("."), &patterns, self.tables.world()).await.map_err(unread)?;
        if found.is_empty() {
            return Err(QueryError::Sql(missing(path)).into());
        }
        let parquet = told.asked.file_name.is_none() && found.is_parquet(&told.options).map_err(unread)?;
        if parquet && let Some(table) = self.parquet(&patterns, &found, &told).await? {
            return Ok(table);
        }
        told.asked.shown = patterns.join(", ");
        let scan = FileScan::open(found, told.options, told.asked).await.map_err(unread)?;
        if scan.is_empty() {
            let mistake =
                SqlMistake::new("elt::sql::no_such_file", format!("`{path}` holds no rows and no columns"));
            return Err(QueryError::Sql(mistake.help("there is nothing to query")).into());
        }
        Ok(Arc::new(scan))
    }

    /// Parquet files as the engine reads them; nothing if it would leave out what their folders say.
    async fn parquet(
        &self,
        patterns: &[String],
        found: &Found,
        told: &Told,
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        let state = self.state.get().and_then(|state| state());
        let state = state.ok_or_else(|| DataFusionError::Internal("the session has ended".to_owned()))?;
        let folders = if told.options.read.hive { found.partitions() } else { Vec::new() };
        let urls: Vec<ListingTableUrl> =
            match (patterns.iter().any(|pattern| pattern.contains("://")), folders.is_empty()) {
                (true, _) => {
                    patterns.iter().try_for_each(|pattern| self.connect(pattern, &state))?;
                    patterns.iter().map(ListingTableUrl::parse).collect::<Result<_>>()?
                }
                (false, true) => found.on_disk().map(url_of).collect::<Result<_>>()?,
                (false, false) => {
                    let Some(base) = found.base().await.map_err(unread)? else { return Ok(None) };
                    vec![url_of(&base)?]
                }
            };
        let typed = |(name, is_number): (String, bool)| {
            (name, if is_number { DataType::Int64 } else { DataType::Utf8 })
        };
        let options = ListingOptions::new(Arc::new(ParquetFiles::default()))
            .with_file_extension("")
            .with_table_partition_cols(folders.into_iter().map(typed).collect());
        let config = ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options);
        let config = config.infer_schema(&state).await?;
        let own = config.file_schema.as_ref().ok_or_else(|| QueryError::Sql(missing(&patterns[0])))?;
        let cols =
            config.options.as_ref().map(|options| options.table_partition_cols.clone()).unwrap_or_default();
        if own.fields().is_empty() && cols.is_empty() {
            return Err(QueryError::Sql(missing(&patterns[0])).into());
        }
        if cols.iter().any(|(name, _)| own.column_with_name(name).is_some()) {
            return Ok(None);
        }
        Ok(Some(Arc::new(ListingTable::try_new(config)?)))
    }

    /// Lets the engine know the object store, or the web server, that a URL means.
    fn connect(&self, path: &str, state: &SessionState) -> Result<()> {
        if !path.contains("://") {
            return Ok(());
        }
        let wrong = |because: String| unread(LandingError::BadUrl { url: path.to_owned(), because });
        let url = Url::parse(path).map_err(|error| wrong(error.to_string()))?;
        let (store, _) = self.tables.connect(&url).map_err(wrong)?;
        let base = ListingTableUrl::parse(path)?.object_store();
        state.runtime_env().register_object_store(base.as_ref(), store);
        Ok(())
    }

    /// A Delta table that is not in the lake, at a version or its newest.
    async fn delta(&self, place: &str, version: Option<u64>) -> Result<Arc<dyn TableProvider>> {
        let read = async {
            let (tables, name) = self.tables.outside(place)?;
            let version = match version {
                Some(version) => TableVersion(version),
                None => tables.head(&name).await?.ok_or_else(|| no_delta_table(place))?,
            };
            let snapshot = tables.snapshot(&name, version).await?;
            Ok::<_, QueryError>(tables.scan(&snapshot)?)
        };
        Ok(Arc::new(read.await?))
    }
}

/// What a function that reads files was told.
#[derive(Debug, Default)]
struct Told {
    options: LandOptions,
    asked: Asked,
    /// Of a Delta table.
    version: Option<u64>,
}

impl Told {
    fn by(reader: &Reader) -> std::result::Result<Self, SqlMistake> {
        let mut told = Self::default();
        told.options.read.format = match reader.function {
            ReadBy::Csv => Some("csv"),
            ReadBy::Json => Some("json"),
            ReadBy::Parquet => Some("parquet"),
            ReadBy::Avro => Some("avro"),
            ReadBy::Arrow => Some("arrow"),
            ReadBy::Ending | ReadBy::Files | ReadBy::Delta => None,
            ReadBy::ParquetMetadata
            | ReadBy::ParquetSchema
            | ReadBy::ParquetFileMetadata
            | ReadBy::ParquetKvMetadata
            | ReadBy::Glob
            | ReadBy::Text
            | ReadBy::Blob => match reader.options.first() {
                None => None,
                Some((name, _)) => {
                    let what = format!("`{name}` is not an option of `{}`", reader.function.name());
                    return Err(SqlMistake::new("elt::sql::arguments", what).help(format!(
                        "it is told files, and nothing else: `{}('folder/*')`",
                        reader.function.name()
                    )));
                }
            },
        }
        .map(str::to_owned);
        for (name, values) in &reader.options {
            told.take(reader.function, name, values)?;
        }
        Ok(told)
    }

    fn take(&mut self, by: ReadBy, name: &str, values: &[String]) -> std::result::Result<(), SqlMistake> {
        let function = by.name();
        let wrong = |what: String, help: &str| Err(SqlMistake::new("elt::sql::arguments", what).help(help));
        let one = values.first().map(String::as_str).unwrap_or_default();
        let flag = || match one.to_lowercase().as_str() {
            "true" | "1" if values.len() == 1 => Ok(true),
            "false" | "0" if values.len() == 1 => Ok(false),
            _ => wrong(format!("`{name}` cannot be `{}`", values.join(", ")), "write true or false")
                .map(|()| false),
        };
        let is = |functions: &[ReadBy]| functions.contains(&by);
        match name {
            "version" if by == ReadBy::Delta => match one.parse() {
                Ok(number) => self.version = Some(number),
                Err(_) => {
                    return wrong(
                        format!("`{one}` is not a version: it is a number from 0 on"),
                        "`elt history` lists a table's versions",
                    );
                }
            },
            _ if by == ReadBy::Delta => {
                return wrong(format!("`{name}` is not an option of `{function}`"), "it knows `version`");
            }
            "filename" => {
                self.asked.file_name = match flag() {
                    Ok(true) => Some("filename".to_owned()),
                    Ok(false) => None,
                    Err(_) if values.len() == 1 => Some(one.to_owned()),
                    Err(mistake) => return Err(mistake),
                };
            }
            // Columns are matched by name always, and work is spread over all cores.
            "union_by_name" | "auto_detect" | "autodetect" | "parallel" if flag()? => {}
            "sample_size" | "samplesize" => {
                let rows: i64 = one.parse().or_else(|_| {
                    wrong(format!("`{name}` cannot be `{one}`"), "write a number of rows, or -1 for all")
                        .map(|()| 0)
                })?;
                // What is looked at unasked is more than others look at; only all of it makes a difference.
                self.asked.look_wholly |= rows < 0;
            }
            "columns" | "types" | "dtypes" | "column_types"
                if is(&[ReadBy::Csv, ReadBy::Json, ReadBy::Files]) =>
            {
                let [names, types]: [Vec<&String>; 2] =
                    [0, 1].map(|odd| values.iter().skip(odd).step_by(2).collect());
                if names.len() != types.len() || names.is_empty() {
                    let help = "write names with their types: `{'id': 'bigint', 'day': 'date'}`";
                    return wrong(format!("`{name}` needs names and types"), help);
                }
                for (column, of) in names.iter().zip(types) {
                    let Some(parsed) = parse_data_type(&of.to_lowercase()) else {
                        let help =
                            "write for example bigint, double, decimal(10,2), varchar, date or timestamp";
                        return wrong(format!("`{of}` is no type that a file's column can have"), help);
                    };
                    self.options.hints.push(((*column).clone(), parsed));
                }
                if name == "columns" && by == ReadBy::Json {
                    self.asked.only_hints = true;
                } else if name == "columns" {
                    self.options.read.names = Some(names.into_iter().cloned().collect());
                }
            }
            "names" | "column_names" => self.options.read.names = Some(values.to_vec()),
            "all_varchar" if is(&[ReadBy::Csv, ReadBy::Files]) => self.options.read.infer_types = !flag()?,
            "normalize_names" => self.asked.as_landed = flag()?,
            "ignore_errors" => self.asked.tolerant = flag()?,
            "format" if by == ReadBy::Json => match one {
                "auto" | "array" | "unstructured" => {}
                "newline_delimited" | "nd" => self.options.read.format = Some("jsonl".to_owned()),
                _ => {
                    let help = "write auto, array, newline_delimited or unstructured";
                    return wrong(format!("`format` cannot be `{one}`"), help);
                }
            },
            "escape" if is(&[ReadBy::Csv, ReadBy::Files]) => {
                let quote = self.options.read.quote.unwrap_or(Some('"'));
                if one.chars().next() != quote || one.chars().count() != 1 {
                    let what = format!("`{one}` before a quote is not supported");
                    return wrong(
                        what,
                        "a quote inside quotes is written twice, as RFC 4180 has it; other files have to be rewritten",
                    );
                }
            }
            _ => {
                // What is about loads and not about bytes has no meaning here.
                if !READING.contains(&name) {
                    let known = READING.iter().copied().chain(OWN.iter().copied()).collect::<Vec<_>>();
                    let help = did_you_mean(name, known.iter().copied())
                        .unwrap_or_else(|| format!("known are {}", known.join(", ")));
                    return wrong(format!("`{name}` is not an option of `{function}`"), &help);
                }
                self.options.set_list(name, values).map_err(|error| {
                    let help = miette::Diagnostic::help(&error).map(|help| help.to_string());
                    SqlMistake::new("elt::sql::arguments", error.to_string()).help(help.unwrap_or_default())
                })?;
            }
        }
        Ok(())
    }
}

/// Landing's options that say how bytes are understood, by all their names.
const READING: &[&str] = &[
    "format",
    "compression",
    "encoding",
    "charset",
    "delimiter",
    "delim",
    "sep",
    "quote",
    "header",
    "null_values",
    "nullstr",
    "decimal",
    "decimal_separator",
    "date_order",
    "dateformat",
    "date_format",
    "hive_partitioning",
    "infer_types",
    "schema_hints",
    "modified_after",
    "modified_before",
    "skip_rows",
    "skip",
    "comment",
];

/// Options that are a query's alone.
const OWN: &[&str] = &[
    "columns",
    "types",
    "names",
    "all_varchar",
    "filename",
    "ignore_errors",
    "normalize_names",
    "sample_size",
    "union_by_name",
];

/// A failure to read files that are queried.
pub(super) fn unread(error: LandingError) -> QueryError {
    match mistaken(&error) {
        Some(mistake) => QueryError::Sql(mistake),
        None => QueryError::File(Box::new(error)),
    }
}

/// What is wrong with files that are queried, in the words of a query; nothing if landing's own words fit.
pub(super) fn mistaken(error: &LandingError) -> Option<SqlMistake> {
    let help = |help: &str| help.to_owned();
    let (code, message, help) = match error {
        LandingError::NotFound { path, .. } => return Some(missing(path)),
        LandingError::Misfit { path, line, column, data_type, value } => (
            VALUE,
            format!("{path}:{line}: {value} does not fit column `{column}` ({data_type})"),
            format!(
                "say its type, `read_csv('…', types => {{'{column}': 'varchar'}})`; look at all of the file for types, `sample_size => -1`; or pass such rows over, `ignore_errors => true`"
            ),
        ),
        LandingError::NewColumn { path, line, column } => (
            VALUE,
            format!("{path}:{line} has a column `{column}`, which the beginning of the files does not have"),
            help("look at all of the files for columns: `read_json('…', sample_size => -1)`"),
        ),
        LandingError::TooManyRejected { first, .. } => (
            VALUE,
            first.clone(),
            help(
                "pass such rows over, `read_csv('…', ignore_errors => true)`, or land the file: `elt land` keeps them in a table of their own",
            ),
        ),
        LandingError::TwoReadings { help, .. } => ("elt::sql::file", error.to_string(), as_options(help)),
        LandingError::Delimiter { used, other, .. } => (
            "elt::sql::file",
            error.to_string(),
            format!("write `read_csv('…', delim => '{other}')`, or `'{used}'` if there is only one column"),
        ),
        LandingError::BadUrl { url, because } => (
            "elt::sql::no_such_file",
            format!("`{url}` cannot be read: {because}"),
            help(
                "URLs of files begin with s3://, gs://, az://, https:// or file://; credentials come from the environment (AWS_…, GOOGLE_…, AZURE_…)",
            ),
        ),
        LandingError::UnknownFormat { path } => (
            "elt::sql::file_format",
            format!("`{path}` has no ending that tells its format"),
            help(
                "known are .csv, .tsv, .txt, .json, .jsonl and .ndjson, also with .gz, .zst, .bz2 or .xz, and .parquet, .avro and .arrow; otherwise say it: `read_csv('…')`, `read_json`, `read_parquet`, `read_avro`, `read_arrow`",
            ),
        ),
        _ => return None,
    };
    Some(SqlMistake::new(code, message).help(help))
}

/// ``declare `quote: x` or …``, as a source would, in the words of a function: ``say `quote => x` …``.
fn as_options(help: &str) -> String {
    let said: Vec<String> = help
        .split('`')
        .enumerate()
        .map(
            |(at, part)| {
                if at % 2 == 1 { part.replacen(": ", " => ", 1).replace('"', "'") } else { part.to_owned() }
            },
        )
        .collect();
    format!("{} (in `read_csv('…', …)`)", said.join("`").replacen("declare", "say", 1))
}

/// A file, or a folder, as the engine names it; letters that mean something in patterns are letters here.
fn url_of(path: &Path) -> Result<ListingTableUrl> {
    let url = if path.is_dir() { Url::from_directory_path(path) } else { Url::from_file_path(path) };
    let url =
        url.map_err(|()| DataFusionError::Internal(format!("{} is no absolute path", path.display())))?;
    ListingTableUrl::try_new(url, None)
}

/// A path on this machine without what says so.
fn here(path: &str) -> &str {
    path.strip_prefix("file://").unwrap_or(path)
}

fn elsewhere(by: ReadBy) -> SqlMistake {
    SqlMistake::refused(
        format!("`{}` reads files of this machine only", by.name()),
        "fetch the file first; the rows of a file elsewhere are read by its URL: `from 's3://…'`",
    )
}

fn no_delta_table(place: &str) -> SqlMistake {
    SqlMistake::new("elt::sql::no_such_file", format!("there is no Delta table in `{place}`"))
        .help("name the folder that `_delta_log` is in; relative paths start in the folder that elt runs in")
}

fn missing(path: &str) -> SqlMistake {
    let mistake =
        SqlMistake::new("elt::sql::no_such_file", format!("no file matches `{path}`, or it holds no rows"));
    let path = std::path::Path::new(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(std::path::Path::new("."));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let wanted = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match did_you_mean(wanted, names.iter().map(String::as_str)) {
        Some(help) => mistake.help(help),
        None => mistake.help("paths are relative to the folder that elt runs in"),
    }
}
