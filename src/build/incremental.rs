//! How do new rows change a table, where a merge by key is not what is asked?
//!
//! `delete+insert`, `insert_overwrite`, `microbatch`, and merges of some columns or under conditions are each one
//! query over the old rows and the new that gives edits: which rows go, which come. Only files with rows that go
//! are touched. The new rows are staged first, so that the model's query runs once.
//! Only `sync_all_columns` writes the whole table again, and only if a column goes or gets another type.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema};

use super::sql_text::{brought, cast, literal, quoted, table};
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
pub(super) fn own_name(schema: &Schema, name: &str) -> String {
    let mut fields = schema.fields().iter();
    fields.find(|field| field.name().eq_ignore_ascii_case(name)).map_or(name, |field| field.name()).to_owned()
}

fn type_of<'a>(schema: &'a Schema, name: &str) -> Option<&'a DataType> {
    let field = schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name))?;
    Some(field.data_type())
}

/// `given` with the fields that only structs of `own` have, in lists too: they are null in new rows.
fn synced(own: &DataType, given: &DataType) -> DataType {
    match (own, given) {
        (DataType::Struct(fields), DataType::Struct(now)) => {
            let there = |all: &Fields, name: &str| {
                all.iter().find(|field| field.name().eq_ignore_ascii_case(name)).cloned()
            };
            let kept = fields.iter().map(|field| match there(now, field.name()) {
                Some(given) => {
                    let data_type = synced(field.data_type(), given.data_type());
                    Arc::new(field.as_ref().clone().with_data_type(data_type))
                }
                None => Arc::clone(field),
            });
            let come = now.iter().filter(|field| there(fields, field.name()).is_none()).cloned();
            DataType::Struct(kept.chain(come).collect())
        }
        (DataType::List(own), DataType::List(given)) => {
            let item = synced(own.data_type(), given.data_type());
            DataType::List(Arc::new(own.as_ref().clone().with_data_type(item)))
        }
        _ => given.clone(),
    }
}

/// Whether a cast may give another value without an error: digits are cut, and times of day.
fn may_lose(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::List(from), DataType::List(to)) => may_lose(from.data_type(), to.data_type()),
        (DataType::Timestamp(..), DataType::Date32 | DataType::Date64) => true,
        (from, to) => from != to && from.is_numeric() && to.is_numeric(),
    }
}

/// Conditions for values of `expression` that do not come back as they were from the type `to`, each with what the value is
/// called, and its two types.
fn lost<'t>(
    (expression, name): (&str, &str),
    from: &'t DataType,
    to: &'t DataType,
    all: &mut Vec<(String, String, &'t DataType, &'t DataType)>,
) {
    match (from, to) {
        (from, to) if from == to => {}
        (DataType::Struct(given), DataType::Struct(fields)) => {
            for field in fields {
                let Some(own) = given.iter().find(|own| own.name().eq_ignore_ascii_case(field.name())) else {
                    continue;
                };
                let part = format!("{expression}[{}]", literal(own.name()));
                let called = format!("{name}.{}", field.name());
                lost((&part, &called), own.data_type(), field.data_type(), all);
            }
        }
        (from, to) if may_lose(from, to) => {
            let back = cast(&cast(expression, to), from);
            all.push((format!("{back} is distinct from {expression}"), name.to_owned(), from, to));
        }
        _ => {}
    }
}

impl Plan<'_> {
    /// Queries for a new row with a value that would not be what it is in the table, each with the sentence to refuse it by.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub(super) fn losses(&self) -> Result<Vec<(String, String)>, String> {
        let columns = self.columns()?;
        let mut all = Vec::new();
        for (name, data_type) in &columns {
            let new = self.new.1.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name));
            if let Some(field) = new {
                lost((&quoted(field.name()), name), field.data_type(), data_type, &mut all);
            }
        }
        let told = |(condition, name, from, to): (String, String, &DataType, &DataType)| {
            let (from, to) = (sql_type_name(from), sql_type_name(to));
            (
                format!("select 1 from {} where {condition} limit 1", table(self.new.0)),
                format!(
                    "a value of column `{name}` does not fit: it is {from} in the rows and {to} in the table; round or cast it in the query, set `on_schema_change: sync_all_columns`, or run with --full-refresh"
                ),
            )
        };
        Ok(all.into_iter().map(told).collect())
    }

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
                    (field.name().clone(), synced(field.data_type(), now))
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

    /// The key, if it is an expression and no column, as `delete+insert` may have it.
    fn expression(&self) -> Option<&str> {
        match self.key {
            [key] if self.strategy == Strategy::DeleteInsert && is_expression(key, self.new.1) => Some(key),
            _ => None,
        }
    }

    /// Refuses columns that one side does not have.
    fn check(&self) -> Result<(), String> {
        let key = self.key.iter().filter(|name| self.expression().is_none_or(|by| by != name.as_str()));
        for name in key.chain(&self.details.partition_by) {
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
        let goes_with = |on: &str, and: &str| {
            format!(
                "select {gone}, {nothing} from {old} as {DEST} left semi join {new} as {SOURCE} on {on}{and} union all {all_new}"
            )
        };
        Ok(match self.strategy {
            Strategy::Append => all_new,
            Strategy::Custom => return Err("its strategy is a macro, and is none of edits".to_owned()),
            Strategy::DeleteInsert if let Some(key) = self.expression() => {
                let gone = format!("select {gone}, {nothing} from {old} as {DEST}");
                let of_key = format!("({key}) in (select {key} from {new} as {SOURCE})");
                format!("{gone} where {} union all {all_new}", with_predicates(of_key))
            }
            // Conditions of a delete are on the table alone, unless they name the new rows.
            Strategy::DeleteInsert if predicates.to_uppercase().contains(SOURCE) => {
                goes_with(&with_predicates(on(self.key, "=")), "")
            }
            Strategy::DeleteInsert if predicates.is_empty() => goes_with(&on(self.key, "="), ""),
            Strategy::DeleteInsert => goes_with(&on(self.key, "="), &format!(" where {predicates}")),
            Strategy::InsertOverwrite => {
                goes_with(&on(&self.details.partition_by, "is not distinct from"), "")
            }
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
        (self.strategy == Strategy::Merge).then(|| duplicates(self.key, self.new))
    }
}

/// Whether a part of a `unique_key` is an expression, as `lower(name)`, and neither a column nor the slip of one.
pub(super) fn is_expression(key: &str, schema: &Schema) -> bool {
    !has(schema, key) && key.contains(|c: char| !c.is_alphanumeric() && c != '_')
}

/// A part of a `unique_key` in SQL.
pub(super) fn key_term(key: &str, schema: &Schema) -> String {
    match is_expression(key, schema) {
        true => format!("({key})"),
        false => quoted(&own_name(schema, key)),
    }
}

/// The query for the first key that two rows of a table with these columns share.
pub(super) fn duplicates(key: &[String], (name, schema): (&TableName, &Schema)) -> String {
    let keys = key.iter().map(|name| key_term(name, schema)).collect::<Vec<_>>().join(", ");
    format!("select {keys} from {} group by {keys} having count(*) > 1 limit 1", table(name))
}
