//! What is there to be queried, as drivers ask for it?

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::metadata::{GetCatalogsBuilder, GetDbSchemasBuilder, GetTablesBuilder};
use arrow_flight::sql::{Command, CommandGetDbSchemas, CommandGetTables};
use tonic::Status;

use super::clients::Client;
use super::endpoint::Endpoint;
use super::error::malformed;
use super::facts::types;
use super::settings::CATALOG;
use super::wire::wire_schema;
use crate::lakehouse::Known;

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
                self.sql_info(client.role, asked).map_err(|_| failed("server's facts"))?
            }
            Command::CommandGetXdbcTypeInfo(asked) => types(asked).map_err(|_| failed("types"))?,
            Command::CommandGetPrimaryKeys(_) => RecordBatch::new_empty(primary_keys()),
            Command::CommandGetExportedKeys(_)
            | Command::CommandGetImportedKeys(_)
            | Command::CommandGetCrossReference(_) => RecordBatch::new_empty(foreign_keys()),
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
                    |columns| placed(&wire_schema(&columns, agreed.wire), &known),
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

/// The columns, each with the table that it is in.
fn placed(columns: &Schema, known: &Known) -> SchemaRef {
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
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
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

/// No lakehouse enforces keys, and none are declared to it: a table of them, without rows.
fn primary_keys() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

fn foreign_keys() -> SchemaRef {
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
