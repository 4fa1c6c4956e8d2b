//! How do new rows change a table, where a merge by key is not what is asked?
//!
//! `delete+insert`, `insert_overwrite`, `microbatch`, and merges of some columns or under conditions are each one
//! query over the old rows and the new that gives edits: which rows go, which come. Only files with rows that go
//! are touched. The new rows are staged first, so that the model's query runs once.
//! Only `sync_all_columns` writes the whole table again, and only if a column goes or gets another type.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};

use super::sql_text::{brought, cast, quoted, table};
use crate::base::{TableName, sql_type_name};
use crate::compile::{IncrementalDetails, OnSchemaChange, Strategy};
use crate::query::places_of;
use crate::table::grown_nested;
use crate::table::write::{DELETE, INSERT, UPDATE};
use crate::table::{ACTION_COLUMN, FILE_COLUMN, POSITION_COLUMN};

/// What dbt's conditions call a row of the table.
const DEST: &str = "DBT_INTERNAL_DEST";
/// What they call a new row.
const SOURCE: &str = "DBT_INTERNAL_SOURCE";

/// What an incremental build is to do.
pub(super) struct Plan<'a> {
    pub(super) strategy: Strategy,
    pub(super) key: &'a [String],
    pub(super) on_schema_change: OnSchemaChange,
    pub(super) details: &'a IncrementalDetails,
    /// The table and its columns.
    pub(super) old: (&'a TableName, &'a Schema),
    /// The staged rows and their columns.
    pub(super) new: (&'a TableName, &'a Schema),
}

/// Whether a table room's own append or merge does it.
pub(super) fn is_plain(strategy: Strategy, details: &IncrementalDetails, change: OnSchemaChange) -> bool {
    let plain_merge = details.update_columns.is_empty()
        && details.exclude_columns.is_empty()
        && details.predicates.is_empty();
    match strategy {
        Strategy::Append => change != OnSchemaChange::SyncAllColumns,
        Strategy::Merge => plain_merge && change != OnSchemaChange::SyncAllColumns,
        _ => false,
    }
}

fn has(schema: &Schema, name: &str) -> bool {
    schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name))
}

/// The name of a column as the schema has it.
fn own_name(schema: &Schema, name: &str) -> String {
    let mut fields = schema.fields().iter();
    fields.find(|field| field.name().eq_ignore_ascii_case(name)).map_or(name, |field| field.name()).to_owned()
}

fn type_of<'a>(schema: &'a Schema, name: &str) -> Option<&'a DataType> {
    let field = schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name))?;
    Some(field.data_type())
}

impl Plan<'_> {
    /// The columns of the table afterwards, with their types.
    ///
    /// # Errors
    /// A sentence, if the columns changed in a way that the model does not allow.
    fn columns(&self) -> Result<Vec<(String, DataType)>, String> {
        let (old, new) = (self.old.1, self.new.1);
        let pair = |field: &Arc<arrow::datatypes::Field>| (field.name().clone(), field.data_type().clone());
        let added: Vec<_> = new.fields().iter().filter(|field| !has(old, field.name())).map(pair).collect();
        let missing: Vec<&str> =
            old.fields().iter().map(|field| field.name().as_str()).filter(|name| !has(new, name)).collect();
        let names = |all: &[(String, DataType)]| {
            all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        };
        match self.on_schema_change {
            OnSchemaChange::Ignore if !missing.is_empty() => Err(format!(
                "the rows lack columns that the table has: {}; select them again, or run with --full-refresh",
                missing.join(", ")
            )),
            OnSchemaChange::Fail if !(missing.is_empty() && added.is_empty()) => Err(format!(
                "Compilation Error: the source and target schemas are out of sync; new: {}; missing: {}",
                names(&added),
                missing.join(", ")
            )),
            OnSchemaChange::Ignore | OnSchemaChange::Fail => Ok(old.fields().iter().map(pair).collect()),
            OnSchemaChange::AppendNewColumns => {
                let kept = old.fields().iter().map(|field| {
                    let now = type_of(new, field.name()).unwrap_or(field.data_type());
                    (field.name().clone(), grown_nested(field.data_type(), now))
                });
                Ok(kept.chain(added).collect())
            }
            OnSchemaChange::SyncAllColumns => {
                let kept = old.fields().iter().filter(|field| has(new, field.name()));
                let kept = kept.map(|field| {
                    let now = type_of(new, field.name()).unwrap_or(field.data_type());
                    // Fields of structs come; those that rows have no more are null in them.
                    let now = match field.data_type().is_nested() && now.is_nested() {
                        true => grown_nested(field.data_type(), now),
                        false => now.clone(),
                    };
                    (field.name().clone(), now)
                });
                Ok(kept.chain(added).collect())
            }
        }
    }

    /// The select list that brings rows of one side, known by `alias`, to the columns afterwards.
    fn list(columns: &[(String, DataType)], side: &Schema, alias: &str) -> String {
        let one = |(name, data_type): &(String, DataType)| {
            let quoted_name = quoted(name);
            let of_side = side.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name));
            match of_side {
                Some(field) if field.data_type() == data_type => {
                    format!("{alias}.{} as {quoted_name}", quoted(field.name()))
                }
                Some(field) => {
                    let from = format!("{alias}.{}", quoted(field.name()));
                    format!("{} as {quoted_name}", brought(&from, field.data_type(), data_type))
                }
                None => format!("{} as {quoted_name}", cast("null", data_type)),
            }
        };
        columns.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// The columns of the table afterwards, once its columns are found where the model names them.
    ///
    /// # Errors
    /// A sentence, if the columns are not what the model needs or allows.
    pub(super) fn after(&self) -> Result<Schema, String> {
        self.check()?;
        let fields = self.columns()?.into_iter().map(|(name, data_type)| Field::new(name, data_type, true));
        Ok(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Whether the table keeps all that it has, so that its files can stay: it gets columns, and fields inside them. If
    /// not, its rows must be written again.
    pub(super) fn keeps_files(&self) -> Result<bool, String> {
        let columns = self.columns()?;
        Ok(self.old.1.fields().iter().all(|field| {
            let stays = |data_type: &DataType| grown_nested(field.data_type(), data_type) == *data_type;
            columns.iter().any(|(name, data_type)| name == field.name() && stays(data_type))
        }))
    }

    /// Refuses columns that one side does not have.
    fn check(&self) -> Result<(), String> {
        for name in self.key.iter().chain(&self.details.partition_by) {
            for (side, schema) in [("table", self.old.1), ("query", self.new.1)] {
                if !has(schema, name) {
                    return Err(format!("the column `{name}` is not in the model's {side}"));
                }
            }
        }
        Ok(())
    }

    /// The query for the table's rows, in its new columns, as they are before anything is put in.
    ///
    /// # Errors
    /// A sentence that says what the model asks in vain.
    pub(super) fn reshaped(&self) -> Result<String, String> {
        let columns = self.columns()?;
        Ok(format!("select {} from {} as {DEST}", Self::list(&columns, self.old.1, DEST), table(self.old.0)))
    }

    /// The query for the edits: which rows go, and which come; see [`edit`](crate::table::write::edit).
    ///
    /// # Errors
    /// A sentence that says what the model asks in vain.
    pub(super) fn edits(&self) -> Result<String, String> {
        self.check()?;
        let columns = self.columns()?;
        let (old, new) = (places_of(self.old.0), table(self.new.0));
        let nothing: Vec<String> = columns
            .iter()
            .map(|(name, data_type)| format!("{} as {}", cast("null", data_type), quoted(name)))
            .collect();
        let nothing = nothing.join(", ");
        let of_new = Self::list(&columns, self.new.1, SOURCE);
        let (file, position, action) = (quoted(FILE_COLUMN), quoted(POSITION_COLUMN), quoted(ACTION_COLUMN));
        let place = |action_code: i64| {
            format!(
                "{DEST}.{file} as {file}, {DEST}.{position} as {position}, cast({action_code} as bigint) as {action}"
            )
        };
        let gone = place(DELETE);
        let comes = |from: &str| {
            format!(
                "select cast(null as varchar) as {file}, cast(null as bigint) as {position}, \
                 cast({INSERT} as bigint) as {action}, {of_new} from {from}"
            )
        };
        let all_new = comes(&format!("{new} as {SOURCE}"));
        let on = |columns: &[String], equals: &str| {
            let one = |name: &String| {
                let of = |schema: &Schema| quoted(&own_name(schema, name));
                format!("{DEST}.{} {equals} {SOURCE}.{}", of(self.old.1), of(self.new.1))
            };
            columns.iter().map(one).collect::<Vec<_>>().join(" and ")
        };
        let predicates =
            self.details.predicates.iter().map(|p| format!("({p})")).collect::<Vec<_>>().join(" and ");
        let with_predicates = |on: String| match predicates.is_empty() {
            true => on,
            false => format!("{on} and {predicates}"),
        };
        let goes_with = |on: &str| {
            format!(
                "select {gone}, {nothing} from {old} as {DEST} left semi join {new} as {SOURCE} on {on} union all {all_new}"
            )
        };
        Ok(match self.strategy {
            Strategy::Append => all_new,
            Strategy::Custom => return Err("its strategy is a macro, and is none of edits".to_owned()),
            Strategy::DeleteInsert => goes_with(&with_predicates(on(self.key, "="))),
            Strategy::InsertOverwrite => goes_with(&on(&self.details.partition_by, "is not distinct from")),
            Strategy::Microbatch => {
                let Some(window) = &self.details.window else { return Err("the model has no window".into()) };
                if !has(self.old.1, &window.event_time) {
                    return Err(format!(
                        "the column `{}`, its `event_time`, is not in the table",
                        window.event_time
                    ));
                }
                let column = format!("{DEST}.{}", quoted(&own_name(self.old.1, &window.event_time)));
                let inside = window.condition(&column);
                format!("select {gone}, {nothing} from {old} as {DEST} where {inside} union all {all_new}")
            }
            Strategy::Merge => {
                let on = with_predicates(on(self.key, "="));
                let updates = |name: &str| {
                    let names = |list: &[String]| list.iter().any(|n| n.eq_ignore_ascii_case(name));
                    has(self.new.1, name)
                        && (self.details.update_columns.is_empty() || names(&self.details.update_columns))
                        && !names(&self.details.exclude_columns)
                };
                let merged = columns.iter().map(|column| {
                    let (side, alias) =
                        if updates(&column.0) { (self.new.1, SOURCE) } else { (self.old.1, DEST) };
                    Self::list(std::slice::from_ref(column), side, alias)
                });
                let merged = merged.collect::<Vec<_>>().join(", ");
                let added = comes(&format!("{new} as {SOURCE} left anti join {old} as {DEST} on {on}"));
                format!(
                    "select {}, {merged} from {old} as {DEST} join {new} as {SOURCE} on {on} union all {added}",
                    place(UPDATE)
                )
            }
        })
    }

    /// The query for a key that two new rows share, for strategies that must not have one.
    pub(super) fn duplicates(&self) -> Option<String> {
        (self.strategy == Strategy::Merge).then(|| duplicates(self.key, &table(self.new.0)))
    }
}

/// The query for the first key that two rows of `from` share.
pub(super) fn duplicates(key: &[String], from: &str) -> String {
    let keys = key.iter().map(|name| quoted(&name.to_lowercase())).collect::<Vec<_>>().join(", ");
    format!("select {keys} from {from} group by {keys} having count(*) > 1 limit 1")
}

/// Compares what a contract promises with what the query gives.
///
/// # Errors
/// A table of the columns that differ: dbt's, with both types.
pub(super) fn check_contract(promised: &[(String, Option<String>)], given: &Schema) -> Result<(), String> {
    let mut rows: Vec<[String; 4]> = Vec::new();
    for (name, data_type) in promised {
        let contract = data_type.clone().unwrap_or_default();
        let promised_type = crate::base::parse_data_type(&contract);
        let Some(field) = given.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name)) else {
            rows.push([name.clone(), String::new(), contract, "missing in definition".into()]);
            continue;
        };
        let (is, should) =
            (sql_type_name(field.data_type()), promised_type.as_ref().map(sql_type_name).unwrap_or_default());
        if is != should {
            rows.push([name.clone(), is, contract, "data type mismatch".into()]);
        }
    }
    for field in given.fields() {
        if !promised.iter().any(|(name, _)| name.eq_ignore_ascii_case(field.name())) {
            let is = sql_type_name(field.data_type());
            rows.push([field.name().clone(), is, String::new(), "missing in contract".into()]);
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let mut text = "This model has an enforced contract that failed.\n\n| column_name | definition_type | contract_type | mismatch_reason |".to_owned();
    for row in rows {
        text.push_str(&format!("\n| {} |", row.join(" | ")));
    }
    Err(text)
}
