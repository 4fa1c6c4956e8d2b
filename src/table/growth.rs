//! How does a table get more columns, or wider ones, while its files stay as they are?
//!
//! A new column, also one inside a struct, is null in the files that lack it. A wider type is read out of the
//! narrower values of older files; a table that has `delta.enableTypeWidening` may do that, and remembers in its schema
//! which types a column had.
//!
//! Format: the Delta transaction protocol, section *Type Widening*.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use serde_json::{Value, json};

use super::design::schema_json;
use super::{Design, Snapshot, TableError, storable};
use crate::base::TableName;

/// The property that lets types widen.
pub const TYPE_WIDENING: &str = "delta.enableTypeWidening";
/// Where the types are kept that a column had.
const TYPE_CHANGES: &str = "delta.typeChanges";

/// The table as it must be to take rows of `given` too: columns that it lacks come last, and types are widened where
/// the table allows it and no digit can change its meaning: whole numbers to longer ones, float to double, decimals to
/// more digits, dates to timestamps.
///
/// A type that cannot be widened so stays; whether the values fit is found out when they are written.
pub fn grown(base: &Snapshot, given: &Schema) -> Result<(SchemaRef, Design), TableError> {
    let given = storable(base.table(), given)?;
    let may_widen = |column: &str| base.design().widens_types() && !base.design().is_worked_from(column);
    let wider = grown_fields(base.schema().fields(), given.fields(), &|column, from, to| {
        may_widen(column) && widens(from, to) && (from.is_integer() == to.is_integer())
    });
    let schema = Arc::new(Schema::new(wider));
    if schema == *base.schema() {
        return Ok((schema, base.design().clone()));
    }
    let design = base.design().clone().with_grown(base.table(), &schema)?;
    Ok((schema, design))
}

/// Whether files with values of `from` may stay when a column becomes `to`, by the protocol.
pub fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::{Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, Timestamp};
    let whole = |of: &DataType| match of {
        Int8 => Some(1),
        Int16 => Some(2),
        Int32 => Some(3),
        Int64 => Some(4),
        _ => None,
    };
    match (from, to) {
        (Float32, Float64)
        | (Int8 | Int16 | Int32, Float64)
        | (Date32, Timestamp(TimeUnit::Microsecond, None)) => true,
        (Int8 | Int16 | Int32, Decimal128(precision, scale)) => {
            i16::from(*precision) - i16::from(*scale) >= 10
        }
        (Int64, Decimal128(precision, scale)) => i16::from(*precision) - i16::from(*scale) >= 20,
        (Decimal128(p1, s1), Decimal128(p2, s2)) => {
            let (whole, more) = (i16::from(*p2) - i16::from(*p1), i16::from(*s2) - i16::from(*s1));
            more >= 0 && whole >= more && whole > 0
        }
        _ => whole(from).zip(whole(to)).is_some_and(|(from, to)| from < to),
    }
}

/// Whether values of `given` can be brought to `own` without a loss: their parts are all there and none is wider.
pub fn takes(own: &DataType, given: &DataType) -> bool {
    match (own, given) {
        (DataType::Struct(own), DataType::Struct(given)) => given.iter().all(|field| {
            let same = own.iter().find(|known| known.name().eq_ignore_ascii_case(field.name()));
            same.is_some_and(|known| takes(known.data_type(), field.data_type()))
        }),
        (DataType::List(own), DataType::List(given)) => takes(own.data_type(), given.data_type()),
        _ => own == given || widens(given, own),
    }
}

/// `own` with what `given` has more. `may` is asked of a column whether it may go from one type to another.
fn grown_fields(
    own: &Fields,
    given: &Fields,
    may: &dyn Fn(&str, &DataType, &DataType) -> bool,
) -> Vec<FieldRef> {
    let same = |one: &FieldRef, other: &FieldRef| one.name().eq_ignore_ascii_case(other.name());
    let mut fields: Vec<FieldRef> = Vec::with_capacity(own.len());
    for field in own {
        let data_type = match given.iter().find(|other| same(field, other)) {
            None => field.data_type().clone(),
            Some(other) => {
                grown_type(field.data_type(), other.data_type(), &|from, to| may(field.name(), from, to))
            }
        };
        fields.push(Arc::new(field.as_ref().clone().with_data_type(data_type)));
    }
    let added = given.iter().filter(|field| !own.iter().any(|known| same(known, field)));
    fields.extend(added.cloned());
    fields
}

fn grown_type(own: &DataType, given: &DataType, may: &dyn Fn(&DataType, &DataType) -> bool) -> DataType {
    match (own, given) {
        (DataType::Struct(own), DataType::Struct(given)) => {
            DataType::Struct(grown_fields(own, given, &|_, from, to| may(from, to)).into())
        }
        (DataType::List(own), DataType::List(given)) => {
            let item = grown_type(own.data_type(), given.data_type(), may);
            DataType::List(Arc::new(own.as_ref().clone().with_data_type(item)))
        }
        (own, given) if may(own, given) => given.clone(),
        (own, _) => own.clone(),
    }
}

/// `own` with the fields that structs of `given` have more, in lists too. What is neither stays as it is.
pub fn grown_nested(own: &DataType, given: &DataType) -> DataType {
    grown_type(own, given, &|_, _| false)
}

impl Design {
    /// Whether a column may get a wider type while files have values of the narrower.
    pub fn widens_types(&self) -> bool {
        self.properties.get(TYPE_WIDENING).is_some_and(|value| value == "true")
    }

    /// Whether another column is worked out from this one.
    pub fn is_worked_from(&self, column: &str) -> bool {
        let word = |text: &str| {
            text.split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word.eq_ignore_ascii_case(column))
        };
        self.column_names().iter().filter_map(|own| self.generation(own)).any(word)
    }

    /// The same table with columns that grew to those of `columns`, each of which it has or gets.
    pub fn with_grown(mut self, table: &TableName, columns: &Schema) -> Result<Self, TableError> {
        let wider = schema_json(table, columns)?;
        graft_fields(&mut self.schema, &wider);
        Ok(self.with_needs())
    }
}

/// Puts what `wider` has more into a struct's JSON. What is known of a field stays.
fn graft_fields(own: &mut Value, wider: &Value) {
    let Some(fields) = own.get_mut("fields").and_then(Value::as_array_mut) else { return };
    for field in wider["fields"].as_array().into_iter().flatten() {
        let Some(known) = fields.iter_mut().find(|known| known["name"] == field["name"]) else {
            fields.push(field.clone());
            continue;
        };
        let mut changes = Vec::new();
        graft(&mut known["type"], &field["type"], &mut Vec::new(), &mut changes);
        if changes.is_empty() {
            continue;
        }
        match known["metadata"][TYPE_CHANGES].as_array_mut() {
            Some(before) => before.extend(changes),
            None => known["metadata"][TYPE_CHANGES] = changes.into(),
        }
    }
}

/// Puts what `wider` has more into a type's JSON, and tells each type that is another now, with its path from the
/// nearest field.
fn graft(own: &mut Value, wider: &Value, path: &mut Vec<&'static str>, changes: &mut Vec<Value>) {
    match own["type"].as_str() {
        Some("struct") => graft_fields(own, wider),
        Some("array" | "map") => {
            for (part, step) in [("elementType", "element"), ("keyType", "key"), ("valueType", "value")] {
                if let (Some(own), Some(wider)) = (own.get_mut(part), wider.get(part)) {
                    path.push(step);
                    graft(own, wider, path, changes);
                    path.pop();
                }
            }
        }
        _ if own != wider => {
            let mut change = json!({"fromType": own.clone(), "toType": wider.clone()});
            if !path.is_empty() {
                change["fieldPath"] = path.join(".").into();
            }
            changes.push(change);
            *own = wider.clone();
        }
        _ => {}
    }
}

/// A column with another type, for a schema.
pub fn retyped(schema: &Schema, column: &str, data_type: &DataType) -> Schema {
    let fields = schema.fields().iter().map(|field| match field.name() == column {
        true => Field::new(column, data_type.clone(), field.is_nullable()),
        false => field.as_ref().clone(),
    });
    Schema::new(fields.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_widen_as_the_protocol_says() {
        use DataType::{Date32, Decimal128, Float32, Float64, Int16, Int32, Int64, Timestamp, Utf8};
        let micros = Timestamp(TimeUnit::Microsecond, None);
        for (from, to) in [
            (Int16, Int64),
            (Int32, Float64),
            (Int32, Decimal128(10, 0)),
            (Int64, Decimal128(22, 2)),
            (Float32, Float64),
            (Decimal128(5, 2), Decimal128(7, 2)),
            (Decimal128(5, 2), Decimal128(7, 4)),
            (Date32, micros.clone()),
        ] {
            assert!(widens(&from, &to), "{from} {to}");
            assert!(!widens(&to, &from), "{to} {from}");
        }
        for (from, to) in [
            (Int64, Float64),
            (Int64, Decimal128(21, 2)),
            (Decimal128(5, 2), Decimal128(6, 4)),
            (Int32, Utf8),
            (Int64, Int64),
            (Date32, Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        ] {
            assert!(!widens(&from, &to), "{from} {to}");
        }
    }

    #[test]
    fn the_types_that_a_column_had_are_kept_in_the_schema() {
        let name = TableName::new("main", "t").unwrap();
        let list = |item: DataType| DataType::List(Arc::new(Field::new("item", item, true)));
        let narrow = Schema::new(vec![
            Field::new("id", DataType::Int32, true),
            Field::new("notes", list(DataType::Float32), true),
        ]);
        let design = Design::new(&name, &narrow).unwrap().with_comment("id", "who");
        let wide = retyped(&narrow, "id", &DataType::Int64);
        let wide = retyped(&wide, "notes", &list(DataType::Float64));
        let design = design.with_grown(&name, &wide).unwrap();
        let metadata = |at: usize| design.schema["fields"][at]["metadata"].clone();
        assert_eq!(
            metadata(0),
            json!({"comment": "who", TYPE_CHANGES: [{"fromType": "integer", "toType": "long"}]})
        );
        assert_eq!(
            metadata(1)[TYPE_CHANGES],
            json!([{"fromType": "float", "toType": "double", "fieldPath": "element"}])
        );
    }
}
