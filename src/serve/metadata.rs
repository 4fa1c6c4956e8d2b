//! What is there to be queried, as drivers ask for it?

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, UInt8Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::metadata::{GetCatalogsBuilder, GetDbSchemasBuilder, GetTablesBuilder};
use arrow_flight::sql::{Command, CommandGetDbSchemas, CommandGetTables};
use tonic::Status;

use super::clients::{Client, locked};
use super::endpoint::Endpoint;
use super::error::{error_status, malformed};
use super::facts::types;
use super::settings::CATALOG;
use super::wire::wire_schema;
use crate::base::TableName;
use crate::lakehouse::{DESCRIPTION, Declared, Described, Known, TableKey};

/// What tools know a table as.
const TABLE: &str = "BASE TABLE";
/// What tools know a view as.
const VIEW: &str = "VIEW";

/// Whether a command asks what there is.
pub(super) fn is_metadata(command: &Command) -> bool {
    matches!(
        command,
        Command::CommandGetCatalogs(_)
            | Command::CommandGetDbSchemas(_)
            | Command::CommandGetTables(_)
            | Command::CommandGetTableTypes(_)
            | Command::CommandGetSqlInfo(_)
            | Command::CommandGetXdbcTypeInfo(_)
            | Command::CommandGetPrimaryKeys(_)
            | Command::CommandGetExportedKeys(_)
            | Command::CommandGetImportedKeys(_)
            | Command::CommandGetCrossReference(_)
    )
}

impl Endpoint {
    /// The answer to a command that asks what there is, in one batch: some drivers read no further. With `columns_only`
    /// no rows, where they take work to find.
    pub(super) async fn metadata(
        &self,
        client: &Arc<Client>,
        command: Command,
        columns_only: bool,
    ) -> Result<(SchemaRef, Vec<RecordBatch>), Status> {
        let failed = |what: &str| Status::internal(format!("the {what} cannot be told"));
        let batch = match command {
            Command::CommandGetCatalogs(_) => {
                let mut catalogs = GetCatalogsBuilder::new();
                catalogs.append(CATALOG);
                catalogs.build().map_err(|_| failed("catalogs"))?
            }
            Command::CommandGetDbSchemas(asked) => self.schemas(client, &asked, columns_only).await?,
            Command::CommandGetTables(asked) => self.tables(client, &asked, columns_only).await?,
            Command::CommandGetTableTypes(asked) => {
                let mut types = asked.into_builder();
                types.append(TABLE);
                types.append(VIEW);
                types.build().map_err(|_| failed("table types"))?
            }
            Command::CommandGetSqlInfo(asked) => {
                self.sql_info(client, asked).map_err(|_| failed("server's facts"))?
            }
            Command::CommandGetXdbcTypeInfo(asked) => types(asked).map_err(|_| failed("types"))?,
            Command::CommandGetPrimaryKeys(asked) => {
                let keys = self.keys(client, columns_only).await?;
                primary_keys(&keys, &Side::of(asked.catalog, asked.db_schema, asked.table))?
            }
            Command::CommandGetExportedKeys(asked) => {
                let keys = self.keys(client, columns_only).await?;
                let pk = Side::of(asked.catalog, asked.db_schema, asked.table);
                foreign_keys(&keys, &pk, &Side::any())?
            }
            Command::CommandGetImportedKeys(asked) => {
                let keys = self.keys(client, columns_only).await?;
                let fk = Side::of(asked.catalog, asked.db_schema, asked.table);
                foreign_keys(&keys, &Side::any(), &fk)?
            }
            Command::CommandGetCrossReference(asked) => {
                let keys = self.keys(client, columns_only).await?;
                let pk = Side::of(asked.pk_catalog, asked.pk_db_schema, asked.pk_table);
                foreign_keys(&keys, &pk, &Side::of(asked.fk_catalog, asked.fk_db_schema, asked.fk_table))?
            }
            _ => return Err(malformed("the command")),
        };
        Ok((batch.schema(), vec![batch]))
    }

    async fn schemas(
        &self,
        client: &Arc<Client>,
        asked: &CommandGetDbSchemas,
        columns_only: bool,
    ) -> Result<RecordBatch, Status> {
        let mut builder = GetDbSchemasBuilder::new(None::<String>, None::<String>);
        if !columns_only && is_ours(asked.catalog.as_deref()) {
            let session = self.session(&client.agreed()).await?;
            let mut schemas = session.scope().schemas();
            schemas.push(self.lakehouse.default_schema().to_owned());
            schemas.sort();
            schemas.dedup();
            for schema in schemas.iter().filter(|name| fits(asked.db_schema_filter_pattern.as_deref(), name))
            {
                builder.append(CATALOG, schema);
            }
        }
        builder.build().map_err(|_| Status::internal("the schemas cannot be told"))
    }

    /// The keys of tables that are there for a client.
    pub(super) async fn keys(
        &self,
        client: &Arc<Client>,
        columns_only: bool,
    ) -> Result<Vec<TableKey>, Status> {
        if columns_only {
            return Ok(Vec::new());
        }
        let session = self.session(&client.agreed()).await?;
        let declared = self.declared().await?;
        let scope = session.scope();
        let is_there = |key: &&TableKey| {
            scope.has(&key.table) && key.of.as_ref().is_none_or(|(table, _)| scope.has(table))
        };
        Ok(declared.keys.iter().filter(is_there).cloned().collect())
    }

    /// What the project declares of all tables, as it is written now. One that cannot be read declares what it did before, or
    /// nothing, and the log says so.
    pub(super) async fn declared(&self) -> Result<Arc<Declared>, Status> {
        let before = locked(&self.declared).clone();
        let (lakehouse, known) = (self.lakehouse.clone(), before.as_ref().map(|(mark, _)| mark.clone()));
        let work = async move {
            let mark = lakehouse.project_mark().await.map_err(|error| error_status(&error))?;
            match known.as_ref() == Some(&mark) {
                true => Ok(None),
                false => Ok::<_, Status>(Some((mark, Box::pin(lakehouse.declared()).await))),
            }
        };
        let before = before.map(|(_, declared)| declared).unwrap_or_default();
        let Some((mark, read)) = self.workers.run(work).await? else { return Ok(before) };
        let declared = read.map(Arc::new).unwrap_or_else(|error| {
            tracing::warn!("the keys and descriptions that the project declares cannot be read: {error}");
            before
        });
        *locked(&self.declared) = Some((mark, Arc::clone(&declared)));
        Ok(declared)
    }

    async fn tables(
        &self,
        client: &Arc<Client>,
        asked: &CommandGetTables,
        columns_only: bool,
    ) -> Result<RecordBatch, Status> {
        let (none, no_types) = (None::<String>, Vec::<String>::new());
        let mut builder =
            GetTablesBuilder::new(none.clone(), none.clone(), none, no_types, asked.include_schema);
        if !columns_only && is_ours(asked.catalog.as_deref()) {
            let agreed = client.agreed();
            let session = self.session(&agreed).await?;
            let is_asked = |known: &Known| {
                fits(asked.db_schema_filter_pattern.as_deref(), known.name.schema())
                    && fits(asked.table_name_filter_pattern.as_deref(), known.name.table())
                    && (asked.table_types.is_empty()
                        || asked.table_types.iter().any(|name| is_type(name, known.is_view)))
            };
            let found: Vec<Known> = self.lakehouse.known(&session).into_iter().filter(is_asked).collect();
            let (lakehouse, include) = (self.lakehouse.clone(), asked.include_schema);
            let declared = match include {
                true => self.declared().await?,
                false => Arc::default(),
            };
            let described = self.workers.run(async move {
                let mut described = Vec::with_capacity(found.len());
                for known in found {
                    let columns = match include {
                        // A view that cannot be planned any more is listed, without columns.
                        true => Box::pin(lakehouse.columns(&session, &known)).await.ok(),
                        false => None,
                    };
                    described.push((known, columns));
                }
                Ok(described)
            });
            for (known, columns) in described.await? {
                let columns = columns.map_or_else(
                    || Arc::new(Schema::empty()),
                    |columns| {
                        let described = declared.described.get(&known.name);
                        let columns = described.map_or_else(
                            || Arc::clone(&columns),
                            |described| with_descriptions(&columns, described),
                        );
                        let said = described.and_then(|described| described.table.as_deref());
                        placed(&wire_schema(&columns, agreed.wire), &known, said)
                    },
                );
                let kind = if known.is_view { VIEW } else { TABLE };
                builder.append(CATALOG, known.name.schema(), known.name.table(), kind, &columns).map_err(
                    |_| Status::internal(format!("the columns of `{}` cannot be told", known.name)),
                )?;
            }
        }
        builder.build().map_err(|_| Status::internal("the tables cannot be told"))
    }
}

/// The columns, of which those that say nothing of themselves are described as the project has it.
fn with_descriptions(columns: &Schema, described: &Described) -> SchemaRef {
    let fields = columns.fields().iter().map(|field| {
        let mut metadata = field.metadata().clone();
        if let Some(text) = described.column(field.name()) {
            metadata.entry(DESCRIPTION.to_owned()).or_insert_with(|| text.to_owned());
        }
        field.as_ref().clone().with_metadata(metadata)
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), columns.metadata().clone()))
}

/// The columns, each with the table that it is in, and what the table is.
fn placed(columns: &Schema, known: &Known, said: Option<&str>) -> SchemaRef {
    let fields = columns.fields().iter().map(|field| {
        let mut metadata = field.metadata().clone();
        for (key, value) in [
            ("CATALOG_NAME", CATALOG),
            ("SCHEMA_NAME", known.name.schema()),
            ("TABLE_NAME", known.name.table()),
        ] {
            metadata.insert(format!("ARROW:FLIGHT:SQL:{key}"), value.to_owned());
        }
        field.as_ref().clone().with_metadata(metadata)
    });
    let remarks = said.map(|said| ("ARROW:FLIGHT:SQL:REMARKS".to_owned(), said.to_owned()));
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), remarks.into_iter().collect()))
}

/// Whether a filter of catalogs lets ours through. None is no filter; an empty one asks for what is in no catalog.
fn is_ours(filter: Option<&str>) -> bool {
    filter.is_none_or(|filter| filter == CATALOG)
}

/// Whether a tool's word for a type of tables means this one.
fn is_type(word: &str, is_view: bool) -> bool {
    match is_view {
        true => word.eq_ignore_ascii_case(VIEW),
        false => word.eq_ignore_ascii_case(TABLE) || word.eq_ignore_ascii_case("table"),
    }
}

/// Whether a name fits a pattern of LIKE: `%` stands for anything, `_` for one character, `\` for the next as it is.
fn fits(pattern: Option<&str>, name: &str) -> bool {
    let Some(pattern) = pattern else { return true };
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // Which beginnings of the name the pattern so far fits.
    let mut ends = vec![false; name.len() + 1];
    ends[0] = true;
    let mut at = 0;
    while at < pattern.len() {
        let (wanted, is_any) = match pattern[at] {
            '%' => {
                if let Some(first) = ends.iter().position(|end| *end) {
                    ends[first..].fill(true);
                }
                at += 1;
                continue;
            }
            '_' => (None, true),
            '\\' if at + 1 < pattern.len() => {
                at += 1;
                (Some(pattern[at]), false)
            }
            other => (Some(other), false),
        };
        for end in (0..name.len()).rev() {
            ends[end + 1] = ends[end] && (is_any || Some(name[end]) == wanted);
        }
        ends[0] = false;
        at += 1;
    }
    ends[name.len()]
}

fn text(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

/// A table that is asked about, exactly, as far as it is named.
struct Side {
    is_ours: bool,
    schema: Option<String>,
    table: Option<String>,
}

impl Side {
    fn of(catalog: Option<String>, schema: Option<String>, table: String) -> Self {
        let named = |text: String| Some(text).filter(|text| !text.is_empty());
        Self { is_ours: is_ours(catalog.as_deref()), schema: schema.and_then(named), table: named(table) }
    }

    fn any() -> Self {
        Self { is_ours: true, schema: None, table: None }
    }

    fn is(&self, name: &TableName) -> bool {
        self.is_ours
            && self.schema.as_ref().is_none_or(|schema| schema.eq_ignore_ascii_case(name.schema()))
            && self.table.as_ref().is_none_or(|table| table.eq_ignore_ascii_case(name.table()))
    }
}

fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(texts))
}

fn numbers(keys: &[(&TableKey, usize)]) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(
        keys.iter().map(|(_, at)| i32::try_from(at + 1).unwrap_or(i32::MAX)),
    ))
}

/// Each column of keys that are asked for, with its place in its key.
fn spread(keys: &[TableKey], is_asked: impl Fn(&TableKey) -> bool) -> Vec<(&TableKey, usize)> {
    let asked = keys.iter().filter(|key| is_asked(key));
    asked.flat_map(|key| (0..key.columns.len()).map(move |at| (key, at))).collect()
}

fn primary_keys(keys: &[TableKey], side: &Side) -> Result<RecordBatch, Status> {
    let rows = spread(keys, |key| key.of.is_none() && side.is(&key.table));
    let columns = vec![
        texts(rows.iter().map(|_| CATALOG)),
        texts(rows.iter().map(|(key, _)| key.table.schema())),
        texts(rows.iter().map(|(key, _)| key.table.table())),
        texts(rows.iter().map(|(key, at)| key.columns[*at].as_str())),
        texts(rows.iter().map(|(key, _)| key.name.as_str())),
        numbers(&rows),
    ];
    RecordBatch::try_new(primary_columns(), columns).map_err(|_| Status::internal("the keys cannot be told"))
}

fn foreign_keys(keys: &[TableKey], pk: &Side, fk: &Side) -> Result<RecordBatch, Status> {
    let of = |key: &TableKey| key.of.clone();
    let rows = spread(keys, |key| of(key).is_some_and(|(table, _)| pk.is(&table)) && fk.is(&key.table));
    let nothing = TableName::new("main", "nothing").expect("it is a name");
    let ends: Vec<(TableName, String, Option<String>)> = rows
        .iter()
        .map(|(key, at)| {
            let (table, columns) = of(key).unwrap_or_else(|| (nothing.clone(), Vec::new()));
            let primary = keys
                .iter()
                .find(|known| known.of.is_none() && known.table == table && known.columns == columns);
            (table, columns.get(*at).cloned().unwrap_or_default(), primary.map(|key| key.name.clone()))
        })
        .collect();
    // 3 is "no action": nothing is done, for nothing is enforced.
    let rule = || Arc::new(UInt8Array::from_iter_values(rows.iter().map(|_| 3_u8))) as ArrayRef;
    let columns = vec![
        texts(rows.iter().map(|_| CATALOG)),
        texts(ends.iter().map(|(table, _, _)| table.schema())),
        texts(ends.iter().map(|(table, _, _)| table.table())),
        texts(ends.iter().map(|(_, column, _)| column.as_str())),
        texts(rows.iter().map(|_| CATALOG)),
        texts(rows.iter().map(|(key, _)| key.table.schema())),
        texts(rows.iter().map(|(key, _)| key.table.table())),
        texts(rows.iter().map(|(key, at)| key.columns[*at].as_str())),
        numbers(&rows),
        texts(rows.iter().map(|(key, _)| key.name.as_str())),
        Arc::new(StringArray::from_iter(ends.iter().map(|(_, _, name)| name.as_deref()))),
        rule(),
        rule(),
    ];
    RecordBatch::try_new(foreign_columns(), columns).map_err(|_| Status::internal("the keys cannot be told"))
}

/// Nothing enforces keys here: they are what the project declares.
fn primary_columns() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

fn foreign_columns() -> SchemaRef {
    let side = |of: &str| {
        [
            text(&format!("{of}_catalog_name"), true),
            text(&format!("{of}_db_schema_name"), true),
            text(&format!("{of}_table_name"), false),
            text(&format!("{of}_column_name"), false),
        ]
    };
    let mut fields: Vec<Field> = side("pk").into_iter().chain(side("fk")).collect();
    fields.extend([
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]);
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_like() {
        for (pattern, name) in [
            ("%", ""),
            ("a%", "abc"),
            ("%c", "abc"),
            ("a_c", "abc"),
            ("a\\_c", "a_c"),
            ("%b%", "abc"),
            ("", ""),
        ] {
            assert!(fits(Some(pattern), name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("a", "abc"), ("a\\_c", "abc"), ("_", ""), ("%d", "abc"), ("", "a"), ("abc_", "abc")]
        {
            assert!(!fits(Some(pattern), name), "{pattern} {name}");
        }
        assert!(fits(None, "x"));
    }

    #[test]
    fn tools_have_two_words_for_tables() {
        assert!(is_type("table", false) && is_type("BASE TABLE", false) && is_type("VIEW", true));
        assert!(!is_type("table", true) && !is_type("VIEW", false));
    }
}
