//! How is a file queried before it is a table?
//!
//! `select * from 'sales.csv'`: CSV, TSV, Parquet and JSON lines, compressed or not, by name, glob or folder; and Delta
//! tables that are not in the lake, by folder or URL.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use url::Url;

use super::dialect::Reader;
use super::provider::StateOf;
use super::{Files, QueryError, SqlMistake};
use crate::base::{TableVersion, did_you_mean};
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
        let log = std::path::Path::new(path.strip_prefix("file://").unwrap_or(path)).join("_delta_log");
        match self.reader {
            Reader::Delta { version } => return self.delta(path, version).await.map(Some),
            Reader::Ending if log.is_dir() => return self.delta(path, None).await.map(Some),
            _ => {}
        }
        let state = self.state.get().and_then(|state| state());
        let state = state.ok_or_else(|| DataFusionError::Internal("the session has ended".to_owned()))?;
        if path.contains("://") && !path.starts_with("file://") {
            self.connect(path, &state)?;
            return self.away(path, &state).await.map(Some);
        }
        let path = path.strip_prefix("file://").unwrap_or(path);
        let exists = match is_glob(path) && !path.contains("://") {
            true => glob::glob(path).is_ok_and(|mut found| found.next().is_some()),
            false => std::path::Path::new(path).exists(),
        };
        if !exists {
            return Err(QueryError::Sql(missing(path)).into());
        }
        let (format, extension) = self.format(path).map_err(QueryError::Sql)?;
        check_headers(path).map_err(QueryError::Sql)?;
        let url = ListingTableUrl::parse(path)?;
        let options = ListingOptions::new(format).with_file_extension(extension);
        let config = ListingTableConfig::new(url).with_listing_options(options).infer_schema(&state).await?;
        if config.file_schema.as_ref().is_none_or(|schema| schema.fields().is_empty()) {
            return Err(QueryError::Sql(missing(path)).into());
        }
        Ok(Some(Arc::new(ListingTable::try_new(config)?)))
    }
}

impl FileSchema {
    /// Lets the engine know the object store, or the web server, that a URL means.
    fn connect(&self, path: &str, state: &SessionState) -> Result<()> {
        let wrong = |because: String| {
            let mistake =
                SqlMistake::new("elt::sql::no_such_file", format!("`{path}` cannot be read: {because}"));
            let help = "URLs of files begin with s3://, gs://, az://, https:// or file://; credentials come from the \
                        environment (AWS_…, GOOGLE_…, AZURE_…)";
            DataFusionError::from(QueryError::Sql(mistake.help(help)))
        };
        let url = Url::parse(path).map_err(|error| wrong(error.to_string()))?;
        let (store, _) = self.tables.connect(&url).map_err(wrong)?;
        let base = ListingTableUrl::parse(path)?.object_store();
        state.runtime_env().register_object_store(base.as_ref(), store);
        Ok(())
    }

    /// Files in an object store or on a web server.
    async fn away(&self, path: &str, state: &SessionState) -> Result<Arc<dyn TableProvider>> {
        let (format, extension) = self.format(path).map_err(QueryError::Sql)?;
        let url = ListingTableUrl::parse(path)?;
        let options = ListingOptions::new(format).with_file_extension(extension);
        let config = ListingTableConfig::new(url).with_listing_options(options);
        let config = config.infer_schema(state).await.map_err(|error| {
            let why = error.find_root().strip_backtrace();
            let why = why.lines().next().unwrap_or_default();
            let mistake =
                SqlMistake::new("elt::sql::no_such_file", format!("`{path}` cannot be read: {why}"));
            DataFusionError::from(QueryError::Sql(
                mistake.help("check the URL, and what the environment says of it"),
            ))
        })?;
        if config.file_schema.as_ref().is_none_or(|schema| schema.fields().is_empty()) {
            let mistake = SqlMistake::new(
                "elt::sql::no_such_file",
                format!("no file matches `{path}`, or it holds no rows"),
            );
            return Err(
                QueryError::Sql(mistake.help("check the URL, and what the environment says of it")).into()
            );
        }
        Ok(Arc::new(ListingTable::try_new(config)?))
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

    /// The format to read, and the ending of the files that belong together.
    fn format(&self, path: &str) -> std::result::Result<(Arc<dyn FileFormat>, String), SqlMistake> {
        let packed = compression(&path.to_lowercase());
        Ok(match self.reader {
            Reader::Ending | Reader::Delta { .. } => return format_of(path),
            Reader::Csv { delimiter, header } => {
                let csv = CsvFormat::default().with_has_header(header).with_delimiter(delimiter);
                (Arc::new(csv.with_file_compression_type(packed.1)), String::new())
            }
            Reader::Json => {
                (Arc::new(JsonFormat::default().with_file_compression_type(packed.1)), String::new())
            }
            Reader::Parquet => (Arc::new(ParquetFormat::default()), String::new()),
        })
    }
}

/// Refuses CSV files of one glob whose first lines differ: the engine reads columns by position and
/// would mix them up.
fn check_headers(path: &str) -> std::result::Result<(), SqlMistake> {
    let is_text = |path: &std::path::Path| {
        let name = path.to_string_lossy().to_lowercase();
        [".csv", ".tsv", ".csv.gz", ".tsv.gz"].iter().any(|ending| name.ends_with(ending))
    };
    let files = glob::glob(path).into_iter().flatten().flatten().filter(|file| is_text(file));
    let mut first: Option<(std::path::PathBuf, String)> = None;
    for file in files {
        let Ok(header) = first_line(&file) else { continue };
        match &first {
            None => first = Some((file, header)),
            Some((other, expected)) if *expected != header => {
                let what = format!("{} and {} have different columns", other.display(), file.display());
                return Err(SqlMistake::new("elt::sql::file_columns", what)
                    .help("query them one by one, or land them: `elt land source.table FILES…` matches columns by name"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn first_line(path: &std::path::Path) -> std::io::Result<String> {
    use std::io::{BufRead, BufReader, Read};
    let file = std::fs::File::open(path)?;
    let is_packed = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
    let bytes: Box<dyn Read> =
        if is_packed { Box::new(flate2::read::MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut line = String::new();
    BufReader::new(bytes.take(1 << 20)).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
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

/// How a file is packed, by the end of its name.
fn compression(name: &str) -> (&'static str, FileCompressionType) {
    let compressions = [
        (".gz", FileCompressionType::GZIP),
        (".zst", FileCompressionType::ZSTD),
        (".bz2", FileCompressionType::BZIP2),
        (".xz", FileCompressionType::XZ),
    ];
    let found = compressions.into_iter().find(|(ending, _)| name.ends_with(ending));
    found.unwrap_or(("", FileCompressionType::UNCOMPRESSED))
}

/// The format that a file's name tells, and the ending by which its neighbours are found.
fn format_of(path: &str) -> std::result::Result<(Arc<dyn FileFormat>, String), SqlMistake> {
    let name = path.to_lowercase();
    let (packed, compression) = compression(&name);
    let bare = name.strip_suffix(packed).unwrap_or(&name);
    let ending = bare.rsplit_once('.').map(|(_, ending)| ending).unwrap_or_default();
    let csv = CsvFormat::default().with_has_header(true).with_file_compression_type(compression);
    let format: Arc<dyn FileFormat> = match ending {
        "csv" => Arc::new(csv),
        "tsv" => Arc::new(csv.with_delimiter(b'\t')),
        "json" | "jsonl" | "ndjson" => {
            Arc::new(JsonFormat::default().with_file_compression_type(compression))
        }
        "parquet" if packed.is_empty() => Arc::new(ParquetFormat::default()),
        _ => {
            return Err(SqlMistake::new("elt::sql::file_format", format!("`{path}` has no ending that tells its format"))
                .help("known are .csv, .tsv, .json, .jsonl, .ndjson and .parquet; the text formats also with .gz, .zst, .bz2 or .xz"));
        }
    };
    Ok((format, format!(".{ending}{packed}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_format() {
        let ending = |path: &str| format_of(path).map(|(_, ending)| ending).ok();
        assert_eq!(ending("A/B.CSV.gz").as_deref(), Some(".csv.gz"));
        assert_eq!(ending("x*.parquet").as_deref(), Some(".parquet"));
        assert_eq!(ending("x.ndjson").as_deref(), Some(".ndjson"));
        assert_eq!(ending("x.parquet.gz"), None);
        assert_eq!(ending("folder/"), None);
    }
}
