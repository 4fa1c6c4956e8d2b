//! What is a table, besides its rows?
//!
//! A [`Design`] has the columns, how rows are laid out in folders, the properties, and which features of
//! the Delta protocol a reader or writer must know because of them. It is read from a snapshot, changed as
//! data, and becomes the `metaData` and `protocol` actions of a commit.
//!
//! The schema is kept as the log has it, in JSON: what elt does not know of a column (its comment, what
//! another engine wrote beside it) stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use serde_json::{Value, json};

use super::{TableError, WriteMode};
use crate::base::TableName;

/// The property under which a `CHECK` constraint is kept, its name following.
pub(super) const CONSTRAINT: &str = "delta.constraints.";

/// Where the expression of a generated column is kept.
const GENERATION: &str = "delta.generationExpression";

/// A table's columns and rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Design {
    /// The columns as Delta's schema JSON has them.
    pub(super) schema: Value,
    pub(super) partition_columns: Vec<String>,
    pub(super) properties: BTreeMap<String, String>,
    description: Option<String>,
    protocol: Protocol,
}

/// What a reader and a writer of the table must know.
#[derive(Clone, Debug, PartialEq)]
struct Protocol {
    reader: u64,
    writer: u64,
    reader_features: BTreeSet<String>,
    writer_features: BTreeSet<String>,
}

/// What each of the protocol's writer versions before 7 asks for, added to those before it.
const LEGACY_WRITER_FEATURES: &[(u64, &[&str])] = &[
    (2, &["appendOnly", "invariants"]),
    (3, &["checkConstraints"]),
    (4, &["changeDataFeed", "generatedColumns"]),
    (5, &["columnMapping"]),
    (6, &["identityColumns"]),
];

/// Features that readers must know too.
const READER_FEATURES: &[&str] =
    &["columnMapping", "deletionVectors", "timestampNtz", "v2Checkpoint", "typeWidening"];

impl Design {
    /// A new table of these columns.
    ///
    /// # Errors
    /// [`TableError::SchemaMismatch`] for a column that Delta cannot describe.
    pub fn new(table: &TableName, columns: &Schema) -> Result<Self, TableError> {
        let protocol = Protocol {
            reader: 1,
            writer: 2,
            reader_features: BTreeSet::new(),
            writer_features: BTreeSet::new(),
        };
        let design = Self {
            schema: schema_json(table, columns)?,
            partition_columns: Vec::new(),
            properties: BTreeMap::new(),
            description: None,
            protocol,
        };
        Ok(design.with_needs())
    }

    /// The design of a table at one version.
    pub(super) fn of(metadata: &Value, protocol: &Value) -> Self {
        let strings = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let version = |key: &str| protocol[key].as_u64().unwrap_or(1);
        let properties = metadata["configuration"].as_object().into_iter().flatten();
        Self {
            schema: metadata["schemaString"]
                .as_str()
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_else(|| json!({"type": "struct", "fields": []})),
            partition_columns: strings(&metadata["partitionColumns"]),
            properties: properties
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
            description: metadata["description"].as_str().map(str::to_owned),
            protocol: Protocol {
                reader: version("minReaderVersion"),
                writer: version("minWriterVersion"),
                reader_features: strings(&protocol["readerFeatures"]).into_iter().collect(),
                writer_features: strings(&protocol["writerFeatures"]).into_iter().collect(),
            },
        }
    }

    /// The columns whose values are in the log, for each file one.
    pub fn partition_columns(&self) -> &[String] {
        &self.partition_columns
    }

    /// The table's properties: `delta.appendOnly` and the like.
    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.properties
    }

    /// What the table is, in its owner's words.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The columns' names, in order.
    pub fn column_names(&self) -> Vec<String> {
        let fields = self.schema["fields"].as_array().into_iter().flatten();
        fields.filter_map(|field| field["name"].as_str().map(str::to_owned)).collect()
    }

    /// Whether a column may be null.
    pub fn is_nullable(&self, column: &str) -> bool {
        self.field(column).is_none_or(|field| field["nullable"] != false)
    }

    /// The comment of a column.
    pub fn comment(&self, column: &str) -> Option<&str> {
        self.field(column)?["metadata"]["comment"].as_str()
    }

    /// The expression that a column's values are worked out by, if it is a generated one.
    pub fn generation(&self, column: &str) -> Option<&str> {
        self.field(column)?["metadata"][GENERATION].as_str()
    }

    /// The same table with a column that is worked out from others.
    #[must_use]
    pub fn with_generation(mut self, column: &str, expression: &str) -> Self {
        if let Some(field) = self.field_mut(column) {
            field["metadata"][GENERATION] = expression.into();
        }
        self.with_needs()
    }

    /// The conditions that every row must meet, by name.
    pub fn constraints(&self) -> impl Iterator<Item = (&str, &str)> {
        self.properties
            .iter()
            .filter_map(|(key, condition)| Some((key.strip_prefix(CONSTRAINT)?, condition.as_str())))
    }

    /// How deletes, updates and merges are carried out.
    ///
    /// `delta.enableDeletionVectors` decides whether rows may be hidden, as for every engine;
    /// `elt.writeMode` whether they always are.
    pub fn write_mode(&self) -> WriteMode {
        let is = |key: &str, wanted: &str| self.properties.get(key).is_some_and(|value| value == wanted);
        if !is("delta.enableDeletionVectors", "true") {
            WriteMode::CopyOnWrite
        } else if is("elt.writeMode", WriteMode::MergeOnRead.as_str()) {
            WriteMode::MergeOnRead
        } else {
            WriteMode::Auto
        }
    }

    /// Whether files that are no longer needed may be deleted before a week is over.
    pub fn allows_short_retention(&self) -> bool {
        self.properties.contains_key("delta.deletedFileRetentionDuration")
    }

    /// The same table with another way of carrying out deletes, updates and merges.
    #[must_use]
    pub fn with_write_mode(mut self, mode: WriteMode) -> Self {
        let vectors = mode != WriteMode::CopyOnWrite;
        let had = self.properties.contains_key("delta.enableDeletionVectors");
        if vectors || had {
            self.properties.insert("delta.enableDeletionVectors".to_owned(), vectors.to_string());
        }
        match mode {
            WriteMode::MergeOnRead => {
                self.properties.insert("elt.writeMode".to_owned(), mode.as_str().to_owned());
            }
            _ => {
                self.properties.remove("elt.writeMode");
            }
        }
        self.with_needs()
    }

    /// The same table with its rows in a folder for each value of these columns, if they can be.
    ///
    /// # Errors
    /// [`TableError::SchemaMismatch`] for a column that is not there, or if no other is left.
    pub fn partitioned_by(self, columns: Vec<String>) -> Result<Self, TableError> {
        let wrong = |because: String| TableError::BadLayout { because };
        for column in &columns {
            match self.field(column) {
                None => return Err(wrong(format!("there is no column `{column}` to partition by"))),
                Some(field) if field["type"] == "binary" => {
                    return Err(wrong(format!(
                        "`{column}` is binary; partition by a number, a text or a date"
                    )));
                }
                Some(field) if field["type"].is_object() => {
                    return Err(wrong(format!(
                        "`{column}` is nested; partition by a number, a text or a date"
                    )));
                }
                Some(_) => {}
            }
        }
        if self.schema["fields"].as_array().is_some_and(|fields| fields.len() <= columns.len()) {
            return Err(wrong("partitioning by every column leaves none for the files".to_owned()));
        }
        Ok(self.with_partition_columns(columns))
    }

    /// The same table with its rows in a folder for each value of these columns. For new tables.
    #[must_use]
    pub fn with_partition_columns(mut self, columns: Vec<String>) -> Self {
        self.partition_columns = columns;
        self
    }

    /// The same table with these properties, in place of those of the same names.
    #[must_use]
    pub fn with_properties(mut self, properties: impl IntoIterator<Item = (String, String)>) -> Self {
        self.properties.extend(properties);
        self.with_needs()
    }

    /// The same table without a property.
    #[must_use]
    pub fn without_property(mut self, key: &str) -> Self {
        self.properties.remove(key);
        self
    }

    /// The same table with a description, or without one.
    #[must_use]
    pub fn with_description(mut self, description: Option<String>) -> Self {
        self.description = description;
        self
    }

    /// The same table with a comment at a column.
    #[must_use]
    pub fn with_comment(mut self, column: &str, comment: &str) -> Self {
        if let Some(field) = self.field_mut(column) {
            field["metadata"]["comment"] = comment.into();
        }
        self
    }

    /// The same table with one column that may, or may not, be null.
    #[must_use]
    pub fn with_nullable(mut self, column: &str, nullable: bool) -> Self {
        if let Some(field) = self.field_mut(column) {
            field["nullable"] = nullable.into();
        }
        self
    }

    /// The same table with one column that may not be null.
    ///
    /// # Errors
    /// [`TableError::BadLayout`] for a column that is not there.
    pub fn required(self, column: &str) -> Result<Self, TableError> {
        let mut names = self.column_names().into_iter();
        match names.find(|name| name.eq_ignore_ascii_case(column)) {
            Some(name) => Ok(self.with_nullable(&name, false)),
            None => Err(TableError::BadLayout {
                because: format!("there is no column `{column}`, which a constraint says is never null"),
            }),
        }
    }

    /// A table of these columns in place of this one: nothing of it stays but its protocol, which is never
    /// lowered.
    pub fn anew(self, table: &TableName, columns: &Schema) -> Result<Self, TableError> {
        Ok(Self { protocol: self.protocol, ..Self::new(table, columns)? }.with_needs())
    }

    /// The same table with more columns at its end.
    pub fn with_columns(mut self, table: &TableName, added: &Schema) -> Result<Self, TableError> {
        let added = schema_json(table, added)?;
        let more = added["fields"].as_array().cloned().unwrap_or_default();
        if let Some(fields) = self.schema["fields"].as_array_mut() {
            fields.extend(more);
        }
        Ok(self.with_needs())
    }

    /// The same table with other columns. What was known of those that stay by name and type is kept.
    pub fn with_schema(mut self, table: &TableName, columns: &Schema) -> Result<Self, TableError> {
        let mut schema = schema_json(table, columns)?;
        for field in schema["fields"].as_array_mut().into_iter().flatten() {
            let known = field["name"].as_str().and_then(|name| self.field(name));
            if let Some(known) = known.filter(|known| known["type"] == field["type"]) {
                *field = known.clone();
            }
        }
        self.schema = schema;
        let stay = std::mem::take(&mut self.partition_columns);
        self.partition_columns = stay.into_iter().filter(|name| self.field(name).is_some()).collect();
        Ok(self.with_needs())
    }

    /// A feature that the columns carry and that has no place in the table's properties.
    pub(super) fn column_feature(&self) -> Option<&'static str> {
        let carries = |key: &str| self.schema.to_string().contains(&format!("\"{key}\""));
        if carries("delta.identity.start") {
            Some("identityColumns")
        } else if carries("delta.invariants") {
            Some("invariants")
        } else {
            None
        }
    }

    /// `columns` with what the design says of which may be null.
    pub(super) fn columns_of(&self, columns: &Schema) -> SchemaRef {
        let fields = columns.fields().iter().map(|field| {
            let nullable = self.field(field.name()).and_then(|own| own["nullable"].as_bool());
            Arc::new(field.as_ref().clone().with_nullable(nullable.unwrap_or(true)))
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Every feature that readers, or writers, are told they must know.
    pub(super) fn features(&self, of: Role) -> BTreeSet<String> {
        let protocol = &self.protocol;
        match of {
            Role::Reader if protocol.reader >= 3 => protocol.reader_features.clone(),
            Role::Reader if protocol.reader == 2 => BTreeSet::from(["columnMapping".to_owned()]),
            Role::Reader => BTreeSet::new(),
            Role::Writer if protocol.writer >= 7 => protocol.writer_features.clone(),
            Role::Writer => legacy_features(protocol.writer),
        }
    }

    /// The versions and features of the protocol that it needs.
    pub fn protocol_json(&self) -> Value {
        self.protocol_action()["protocol"].clone()
    }

    /// The `protocol` action.
    pub(super) fn protocol_action(&self) -> Value {
        let protocol = &self.protocol;
        let mut action = json!({"minReaderVersion": protocol.reader, "minWriterVersion": protocol.writer});
        if protocol.reader >= 3 {
            action["readerFeatures"] = json!(protocol.reader_features);
        }
        if protocol.writer >= 7 {
            action["writerFeatures"] = json!(protocol.writer_features);
        }
        json!({"protocol": action})
    }

    /// The `metaData` action of the table with this identity.
    pub(super) fn metadata_action(&self, table: &TableName, id: &str, created: Option<i64>) -> Value {
        let mut action = json!({
            "id": id,
            "name": table.table(),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": self.schema.to_string(),
            "partitionColumns": self.partition_columns,
            "configuration": self.properties,
            "createdTime": created,
        });
        if let Some(description) = &self.description {
            action["description"] = description.as_str().into();
        }
        json!({"metaData": action})
    }

    /// The same table for readers and writers that know whatever `other` asks for, too. A protocol is never lowered.
    pub(super) fn at_least_as(mut self, other: &Self) -> Self {
        let both = |of| &self.features(of) | &other.features(of);
        let (reader, writer) = (both(Role::Reader), both(Role::Writer));
        if self.protocol == other.protocol {
            return self;
        }
        self.protocol = Protocol {
            reader: if reader.is_empty() { 1 } else { 3 },
            writer: 7,
            reader_features: reader,
            writer_features: writer,
        };
        self
    }

    /// Whether another table of this design can be told from this one by its protocol.
    pub(super) fn same_protocol(&self, other: &Self) -> bool {
        self.protocol == other.protocol
    }

    /// Raises the protocol to what columns and properties need. It is never lowered.
    pub(super) fn with_needs(self) -> Self {
        let mut design = self.with_column_numbers();
        let is_on = |key: &str| design.properties.get(key).is_some_and(|value| value == "true");
        let mut needed = BTreeSet::new();
        if design.maps_columns() {
            needed.insert("columnMapping");
        }
        if design.schema.to_string().contains(&format!("\"{GENERATION}\"")) {
            needed.insert("generatedColumns");
        }
        if design.schema.to_string().contains("\"timestamp_ntz\"") {
            needed.insert("timestampNtz");
        }
        if is_on("delta.enableDeletionVectors") {
            needed.insert("deletionVectors");
        }
        if design.widens_types() {
            needed.insert("typeWidening");
        }
        if is_on("delta.enableChangeDataFeed") {
            needed.insert("changeDataFeed");
        }
        if design.properties.keys().any(|key| key.starts_with(CONSTRAINT)) {
            needed.insert("checkConstraints");
        }
        let known = design.features(Role::Writer);
        if needed.iter().all(|feature| known.contains(*feature)) {
            return design;
        }
        let for_readers = |feature: &str| READER_FEATURES.contains(&feature);
        let mut reader = design.features(Role::Reader);
        let mut writer = known;
        writer.extend(needed.iter().map(|feature| (*feature).to_owned()));
        reader.extend(writer.iter().filter(|feature| for_readers(feature)).cloned());
        design.protocol.writer = 7;
        design.protocol.writer_features = writer;
        if !reader.is_empty() {
            design.protocol.reader = 3;
            design.protocol.reader_features = reader;
        }
        design
    }

    fn field(&self, column: &str) -> Option<&Value> {
        self.schema["fields"].as_array()?.iter().find(|field| field["name"] == column)
    }

    pub(super) fn field_mut(&mut self, column: &str) -> Option<&mut Value> {
        self.schema["fields"].as_array_mut()?.iter_mut().find(|field| field["name"] == column)
    }
}

/// Who has to know a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Reader,
    Writer,
}

fn legacy_features(version: u64) -> BTreeSet<String> {
    let asked = LEGACY_WRITER_FEATURES.iter().filter(|(since, _)| *since <= version);
    asked.flat_map(|(_, features)| features.iter().map(|feature| (*feature).to_owned())).collect()
}

pub(super) fn schema_json(table: &TableName, columns: &Schema) -> Result<Value, TableError> {
    let plain = columns.fields().iter().map(|field| plain_field(field));
    let schema: Result<StructType, _> = (&Schema::new(plain.collect::<Vec<_>>())).try_into_kernel();
    let schema = schema.map_err(|error| TableError::SchemaMismatch {
        table: table.clone(),
        because: error.to_string(),
        help: "cast the column to another type in the query".to_owned(),
    })?;
    Ok(serde_json::to_value(schema).expect("a Delta schema is plain data"))
}

/// A field as it is stored: text and bytes in their plain form.
fn plain_field(field: &Field) -> Field {
    match field.data_type() {
        DataType::Utf8View => field.clone().with_data_type(DataType::Utf8),
        DataType::BinaryView => field.clone().with_data_type(DataType::Binary),
        _ => field.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn design() -> Design {
        let name = TableName::new("main", "t").unwrap();
        Design::new(&name, &Schema::new(vec![Field::new("id", DataType::Int64, true)])).unwrap()
    }

    #[test]
    fn the_protocol_is_no_higher_than_it_must_be() {
        let plain = design();
        assert_eq!(
            plain.protocol_action()["protocol"],
            json!({"minReaderVersion": 1, "minWriterVersion": 2})
        );
        let checked = plain.clone().with_properties([("delta.constraints.positive".into(), "id > 0".into())]);
        assert_eq!(
            checked.protocol_action()["protocol"],
            json!({"minReaderVersion": 1, "minWriterVersion": 7,
                   "writerFeatures": ["appendOnly", "checkConstraints", "invariants"]})
        );
        assert_eq!(checked.constraints().collect::<Vec<_>>(), [("positive", "id > 0")]);
        let hidden = checked.with_write_mode(WriteMode::Auto);
        assert_eq!(hidden.protocol_action()["protocol"]["readerFeatures"], json!(["deletionVectors"]));
        assert_eq!(hidden.write_mode(), WriteMode::Auto);
        let copied = hidden.with_write_mode(WriteMode::CopyOnWrite);
        assert_eq!(copied.write_mode(), WriteMode::CopyOnWrite);
        assert_eq!(copied.protocol_action()["protocol"]["minReaderVersion"], 3, "it may have hidden rows");
    }

    #[test]
    fn what_is_known_of_a_column_stays() {
        let name = TableName::new("main", "t").unwrap();
        let commented = design().with_comment("id", "who").with_nullable("id", false);
        let more = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("at", DataType::Date32, true),
        ]);
        let wider = commented.with_schema(&name, &more).unwrap();
        assert_eq!(wider.comment("id"), Some("who"));
        assert_eq!(wider.field("id").unwrap()["nullable"], false);
        assert_eq!(wider.comment("at"), None);
    }
}
