//! How do Parquet files where they are become a Delta table?
//!
//! [`convert`] reads the footer of every file in a folder and writes one log entry beside them, which names them all with
//! their statistics. No file is moved or written again. The table is not one of the lake's: it is read by its place.
//!
//! Source of the rules: Delta's `CONVERT TO DELTA`; files and folders that begin with `_` or `.` are nobody's data, and
//! folders named `column=value` are partitions, as Hive has it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use deltalake::kernel::Add;
use futures::StreamExt;
use object_store::{ObjectMeta, ObjectStore};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::Type;
use parquet::file::metadata::ParquetMetaData;
use percent_encoding::percent_decode_str;

use super::write::statistics_json;
use super::{DataFile, Design, TableError, Tables, commit, storable};
use crate::base::{TableVersion, sql_type_name};
use crate::lake::{Created, layout};

/// So many footers are read at once.
const AT_ONCE: usize = 16;

/// What Hive writes for a null.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// What became a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// Files.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Makes the Parquet files in a folder, or under a URL, a Delta table of one version.
///
/// `partitioned_by` are the columns that stand in the folders' names, with their types; if nothing is said, they are found
/// there, and are whole numbers, dates or text. A folder that has a Delta log already stays as it is.
///
/// # Errors
/// [`TableError::NotConverted`], which names the file, if there are none, if they do not fit together, or if one has a
/// type that other readers of Delta would not find in it.
pub async fn convert(
    tables: &Tables,
    place: &str,
    partitioned_by: Option<&Schema>,
) -> Result<Converted, TableError> {
    let (outside, table) = tables.outside(place)?;
    if outside.head(&table).await?.is_some() {
        return Ok(Converted::default());
    }
    let refuse = |because: String, help: &str| TableError::NotConverted {
        place: place.to_owned(),
        because,
        help: help.to_owned(),
    };
    let mut found = Vec::new();
    for object in outside.lake().list(&layout::table(&table)).await? {
        match Found::at(object) {
            Some(Err(path)) => {
                return Err(refuse(
                    format!("`{path}` is not Parquet"),
                    "move it away, or put `_` before its name",
                ));
            }
            Some(Ok(file)) => found.push(file),
            None => {}
        }
    }
    let Some(first) = found.first() else {
        return Err(refuse("there are no Parquet files in it".to_owned(), "give the folder that holds them"));
    };
    let names: Vec<String> = first.values.iter().map(|(name, _)| name.clone()).collect();
    for file in &found {
        if !file.values.iter().map(|(name, _)| name).eq(&names) {
            let path = &file.object.location;
            let because =
                format!("`{path}` is not in folders for {names:?}, and `{}` is", first.object.location);
            return Err(refuse(because, "every file must be in folders of the same columns"));
        }
    }
    let parted = match partitioned_by {
        Some(declared) => declared.clone(),
        None => guessed(&names, &found),
    };
    if !parted.fields().iter().map(|field| field.name()).eq(&names) {
        let because = format!("its folders are of {names:?}");
        return Err(refuse(because, "name just these columns in PARTITIONED BY, in this order"));
    }
    let store = outside.lake().store();
    let objects: Vec<ObjectMeta> = found.iter().map(|file| file.object.clone()).collect();
    let footers: Vec<Result<Footer, (String, &'static str)>> = futures::stream::iter(objects)
        .map(|object| Footer::read(Arc::clone(&store), object))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let footers = footers.into_iter().map(|footer| footer.map_err(|(because, help)| refuse(because, help)));
    let footers: Vec<Footer> = footers.collect::<Result<_, _>>()?;
    let mut columns: Vec<(FieldRef, usize)> = Vec::new();
    for (at, footer) in footers.iter().enumerate() {
        for field in footer.columns.fields().iter().filter(|field| !names.contains(field.name())) {
            match columns.iter().find(|(known, _)| known.name() == field.name()) {
                None => columns.push((Arc::clone(field), at)),
                Some((known, _)) if known.data_type() == field.data_type() => {}
                Some((known, other)) => {
                    let told = |at: usize| &found[at].object.location;
                    let because = format!(
                        "`{}` is {} in `{}` and {} in `{}`",
                        field.name(),
                        sql_type_name(known.data_type()),
                        told(*other),
                        sql_type_name(field.data_type()),
                        told(at)
                    );
                    return Err(refuse(
                        because,
                        "write the files of one kind again with the types of the other",
                    ));
                }
            }
        }
    }
    let fields = columns.into_iter().map(|(field, _)| field).chain(parted.fields().iter().cloned());
    let schema = storable(&table, &Schema::new(fields.collect::<Vec<_>>()))?;
    let design = Design::new(&table, &schema)?.partitioned_by(names)?;
    let mut told = Converted::default();
    let mut files = Vec::with_capacity(found.len());
    for (file, footer) in found.iter().zip(&footers) {
        check_values(file, &parted).map_err(|because| refuse(because, "correct the folder's name"))?;
        told.files += 1;
        told.rows += u64::try_from(footer.metadata.file_metadata().num_rows()).unwrap_or(0);
        told.bytes += file.object.size;
        files.push(DataFile::new(Add {
            path: file.object.location.to_string(),
            size: i64::try_from(file.object.size).unwrap_or(i64::MAX),
            modification_time: file.object.last_modified.timestamp_millis(),
            data_change: true,
            partition_values: file.values.iter().cloned().collect::<HashMap<_, _>>(),
            stats: Some(statistics_json(&footer.metadata, &footer.columns)?),
            ..Add::default()
        }));
    }
    let text = commit::converted(&table, &design, &files, &tables.id(), tables.now_millis());
    match outside.lake().create_once(&layout::log_entry(&table, TableVersion(0)), text).await? {
        Created::Yes => Ok(told),
        Created::TakenBy(_) => Err(refuse(
            "another program made a Delta table of it at the same time".to_owned(),
            "read it as it is, with `delta_scan`",
        )),
    }
}

/// A file of the folder.
struct Found {
    object: ObjectMeta,
    /// The partition columns that its path names, and what they are there. A null is nothing.
    values: Vec<(String, Option<String>)>,
}

impl Found {
    /// What a file is; nothing if it is nobody's data, and its path if it is of another format.
    fn at(object: ObjectMeta) -> Option<Result<Self, String>> {
        let parts: Vec<String> = object.location.parts().map(|part| part.as_ref().to_owned()).collect();
        let (name, folders) = parts.split_last()?;
        let is_hidden =
            |part: &String| (part.starts_with('_') || part.starts_with('.')) && !part.contains('=');
        if is_hidden(name) || folders.iter().any(is_hidden) || object.size == 0 {
            return None;
        }
        if !name.to_lowercase().ends_with(".parquet") {
            return Some(Err(object.location.to_string()));
        }
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let value = |part: &String| {
            let (name, value) = part.split_once('=')?;
            Some((plain(name), (value != NULL && !value.is_empty()).then(|| plain(value))))
        };
        let values = folders.iter().filter_map(value).collect();
        Some(Ok(Self { object, values }))
    }
}

/// What a file says of itself.
struct Footer {
    metadata: Arc<ParquetMetaData>,
    /// Its columns, in types that a table has.
    columns: SchemaRef,
}

impl Footer {
    /// Reads it; or tells why the file cannot be taken, and what to do.
    async fn read(store: Arc<dyn ObjectStore>, object: ObjectMeta) -> Result<Self, (String, &'static str)> {
        let path = &object.location;
        let read = DFParquetMetadata::new(store.as_ref(), &object).fetch_metadata().await;
        let metadata = read.map_err(|error| {
            (format!("`{path}` cannot be read as Parquet: {error}"), "mend it, or move it away")
        })?;
        Self::of(metadata).map_err(|because| {
            let help =
                "write its rows into a new table: `create table t as select * from 'folder/*.parquet'`";
            (format!("`{path}`: {because}"), help)
        })
    }

    /// Refuses types for which Delta has a name, and other readers no patience.
    fn of(metadata: Arc<ParquetMetaData>) -> Result<Self, String> {
        let descriptor = metadata.file_metadata().schema_descr();
        let columns = parquet_to_arrow_schema(descriptor, None).map_err(|error| error.to_string())?;
        let old_times: Vec<String> = (0..descriptor.num_columns())
            .map(|at| descriptor.column(at))
            .filter(|column| column.physical_type() == Type::INT96)
            .map(|column| column.path().string())
            .collect();
        let mut fields = Vec::new();
        for field in columns.fields() {
            // The first engines kept instants so, in UTC.
            let data_type = match old_times.contains(field.name()) {
                true => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                false => field.data_type().clone(),
            };
            if let Some(odd) = odd(&data_type) {
                return Err(format!("`{}` is {odd}, which a Delta table does not have", field.name()));
            }
            fields.push(Field::new(field.name(), data_type, true));
        }
        Ok(Self { columns: Arc::new(Schema::new(fields)), metadata })
    }
}

/// A type, or a part of one, that would be another in the table than in the file.
fn odd(data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            Some("an unsigned number".to_owned())
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Some("a time in nanoseconds".to_owned()),
        DataType::Float16 => Some("a half-precision float".to_owned()),
        DataType::Struct(fields) => fields.iter().find_map(|field| odd(field.data_type())),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            odd(item.data_type())
        }
        _ => None,
    }
}

/// Columns of the folders' names: whole numbers, dates, or text.
fn guessed(names: &[String], found: &[Found]) -> Schema {
    let field = |(at, name): (usize, &String)| {
        let values = || found.iter().filter_map(|file| file.values[at].1.as_deref());
        let all =
            |data_type: &DataType| values().next().is_some() && values().all(|text| is_of(text, data_type));
        let known = [DataType::Int64, DataType::Date32].into_iter().find(all);
        Field::new(name, known.unwrap_or(DataType::Utf8), true)
    };
    Schema::new(names.iter().enumerate().map(field).collect::<Vec<_>>())
}

fn is_of(text: &str, data_type: &DataType) -> bool {
    let text = datafusion::common::ScalarValue::Utf8(Some(text.to_owned()));
    text.cast_to(data_type).is_ok_and(|value| !value.is_null())
}

fn check_values(file: &Found, parted: &Schema) -> Result<(), String> {
    let types: BTreeMap<&str, &DataType> =
        parted.fields().iter().map(|field| (field.name().as_str(), field.data_type())).collect();
    for (name, value) in &file.values {
        if let (Some(text), Some(data_type)) = (value, types.get(name.as_str()))
            && !is_of(text, data_type)
        {
            let path = &file.object.location;
            return Err(format!("`{name}={text}` of `{path}` is not {}", sql_type_name(data_type)));
        }
    }
    Ok(())
}
