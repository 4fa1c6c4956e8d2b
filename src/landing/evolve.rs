//! What becomes of a table's columns when new files arrive?
//!
//! [`plan`] compares what files hold with what the table has, and decides by the options: columns to add, columns to widen.
//! It reads nothing. What it leaves alone is for reading to rescue, reject, leave out or refuse, value by value.
//!
//! A column that never had a value has no type that anybody chose; it gets that of the first values.
//! A column is widened to the type that holds the values of both (`widen`), which rewrites the table unless its files can stay. Columns with
//! declared types, decimals, structs and lists stay as they are.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::Serialize;

use super::infer::Inferred;
use super::options::{LandOptions, OnMisfit, OnNewColumn};
use super::read::column_name;
use super::widen::widened;
use crate::base::sql_type_name;

/// The columns of a table after a load.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// All of them, but for those that landing adds.
    pub(super) schema: SchemaRef,
    /// Those that are new.
    pub(super) added: Vec<NewColumn>,
    /// Those whose types are wider than they were.
    pub(super) widened: Vec<WiderColumn>,
}

/// A column that a load gave to a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewColumn {
    /// Its name.
    pub name: String,
    /// Its type, in SQL's words.
    pub data_type: String,
}

/// A column that a load widened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WiderColumn {
    /// Its name.
    pub name: String,
    /// The type that it had, in SQL's words.
    pub from: String,
    /// The type that it has.
    pub to: String,
}

/// Whether anything of the files has to be known before they are read.
pub(super) fn needs_inference(base: Option<&SchemaRef>, options: &LandOptions, untyped: &[String]) -> bool {
    base.is_none()
        || !untyped.is_empty()
        || options.columns == OnNewColumn::Add
        || options.types == OnMisfit::Widen
}

/// Decides which columns the table will have. Those that are `untyped` have no value in any row.
pub(super) fn plan(
    base: Option<&SchemaRef>,
    inferred: &Inferred,
    options: &LandOptions,
    untyped: &[String],
) -> Plan {
    let Some(base) = base else {
        return Plan { schema: Arc::clone(&inferred.schema), added: Vec::new(), widened: Vec::new() };
    };
    let mut fields: Vec<Field> = base.fields().iter().map(|field| field.as_ref().clone()).collect();
    let (mut added, mut wider) = (Vec::new(), Vec::new());
    for (field, has_values) in inferred.schema.fields().iter().zip(&inferred.has_values) {
        let same = |known: &&mut Field| {
            known.name() == field.name()
                || column_name(known.name()) == *field.name()
                || known.name().to_lowercase() == field.name().to_lowercase()
        };
        let is_declared = options.read.declared.contains(field.name());
        match fields.iter_mut().find(same) {
            None if options.columns == OnNewColumn::Add && (*has_values || is_declared) => {
                let data_type = sql_type_name(field.data_type());
                added.push(NewColumn { name: field.name().clone(), data_type });
                fields.push(field.as_ref().clone());
            }
            Some(known) if *has_values && !is_declared => {
                let to = match untyped.contains(known.name()) {
                    true => Some(field.data_type().clone()).filter(|to| to != known.data_type()),
                    false if options.types == OnMisfit::Widen => {
                        wider_type(known.data_type(), field.data_type())
                    }
                    false => None,
                };
                if let Some(to) = to {
                    wider.push(WiderColumn {
                        name: known.name().clone(),
                        from: sql_type_name(known.data_type()),
                        to: sql_type_name(&to),
                    });
                    *known = Field::new(known.name(), to, true);
                }
            }
            _ => {}
        }
    }
    Plan { schema: Arc::new(Schema::new(fields)), added, widened: wider }
}

fn wider_type(has: &DataType, needs: &DataType) -> Option<DataType> {
    let stays = matches!(has, DataType::Decimal128(..)) || has.is_nested() || needs.is_nested();
    let to = widened(has, needs);
    (!stays && to != *has).then_some(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landing::read::trial::schema;

    fn told(base: &str, files: &str, options: &LandOptions) -> String {
        told_of(base, files, options, &[])
    }

    fn told_of(base: &str, files: &str, options: &LandOptions, untyped: &[String]) -> String {
        let files = schema(files);
        let has_values = vec![true; files.fields().len()];
        let inferred = Inferred {
            schema: files,
            has_values,
            orders: Vec::new(),
            decimal_comma: false,
            is_a_guess: false,
        };
        let plan = plan(Some(&schema(base)), &inferred, options, untyped);
        let columns = plan.schema.fields().iter();
        let columns: Vec<String> =
            columns.map(|field| format!("{} {}", field.name(), sql_type_name(field.data_type()))).collect();
        format!("{} +{} ~{}", columns.join(", "), plan.added.len(), plan.widened.len())
    }

    #[test]
    fn columns_are_added_and_widened_as_the_options_say() {
        let options = |columns, types| LandOptions { columns, types, ..LandOptions::default() };
        let (add, rescue, widen) = (
            options(OnNewColumn::Add, OnMisfit::Rescue),
            options(OnNewColumn::Rescue, OnMisfit::Rescue),
            options(OnNewColumn::Rescue, OnMisfit::Widen),
        );
        for (base, files, options, after) in [
            ("id bigint", "id double, b date", &add, "id bigint, b date +1 ~0"),
            ("id bigint", "id double, b date", &rescue, "id bigint +0 ~0"),
            ("id bigint", "id double, b date", &widen, "id double +0 ~1"),
            ("id bigint", "id varchar", &widen, "id varchar +0 ~1"),
            ("at date", "at timestamp", &widen, "at timestamp +0 ~1"),
            ("t varchar", "t bigint", &widen, "t varchar +0 ~0"),
            ("Id bigint", "id bigint", &add, "Id bigint +0 ~0"),
        ] {
            assert_eq!(told(base, files, options), after, "{base} and {files}");
        }
        let mut declared = widen.clone();
        declared.read.declared = vec!["id".to_owned()];
        assert_eq!(told("id int", "id varchar", &declared), "id int +0 ~0");
        let untyped = ["t".to_owned()];
        for (files, options, after) in [
            ("t date", &rescue, "t date, u varchar +0 ~1"),
            ("t varchar, u date", &rescue, "t varchar, u varchar +0 ~0"),
        ] {
            assert_eq!(told_of("t varchar, u varchar", files, options, &untyped), after, "{files}");
        }
    }
}
