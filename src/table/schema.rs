//! Which columns can a Delta table hold, and what do rows look like before they are written?

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, StructArray, new_null_array};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;

use super::TableError;
use crate::base::{TableName, sql_type_name};

/// How the columns begin that elt adds to rows while it works on them.
pub(super) const RESERVED: &str = "_elt_";

/// Returns the schema under which rows of `schema` are kept in `table`.
///
/// Every column may be null; strings, binaries and lists take their plain form; timestamps have
/// microseconds; unsigned numbers take the next wider signed type. That is what Delta has.
///
/// # Errors
/// [`TableError::NotStorable`] for a type without a place in Delta (intervals, times of day), and
/// [`TableError::SchemaMismatch`] for two columns of one name, upper and lower case being the same.
pub fn storable(table: &TableName, schema: &Schema) -> Result<SchemaRef, TableError> {
    let mut seen = HashSet::new();
    let mut fields = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        if field.name().starts_with(RESERVED) || field.name().is_empty() {
            return Err(TableError::SchemaMismatch {
                table: table.clone(),
                because: format!("a column cannot be named `{}`", field.name()),
                help: format!(
                    "give it another name with `as`; names that begin with `{RESERVED}` are elt's own"
                ),
            });
        }
        if !seen.insert(field.name().to_lowercase()) {
            return Err(TableError::SchemaMismatch {
                table: table.clone(),
                because: format!("two columns are named `{}`", field.name()),
                help: "give one of them another name with `as`".to_owned(),
            });
        }
        let data_type = stored_type(field.data_type()).ok_or_else(|| TableError::NotStorable {
            table: table.clone(),
            column: field.name().clone(),
            data_type: sql_type_name(field.data_type()),
        })?;
        fields.push(Field::new(field.name(), data_type, true));
    }
    if fields.is_empty() {
        return Err(TableError::SchemaMismatch {
            table: table.clone(),
            because: "they have no columns".to_owned(),
            help: "a table needs at least one column".to_owned(),
        });
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn stored_type(data_type: &DataType) -> Option<DataType> {
    let list = |item: &FieldRef| stored_field(item).map(DataType::List);
    Some(match data_type {
        DataType::Null | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) if *s >= 0 => {
            DataType::Decimal128(*p, *s)
        }
        DataType::Decimal256(p, s) if *p <= 38 && *s >= 0 => DataType::Decimal128(*p, *s),
        DataType::Dictionary(_, values) => stored_type(values)?,
        DataType::RunEndEncoded(_, values) => stored_type(values.data_type())?,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => list(item)?,
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(stored_field).collect::<Option<Vec<_>>>()?.into())
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                map_of(stored_type(pair[0].data_type())?, stored_type(pair[1].data_type())?)
            }
            _ => return None,
        },
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Utf8
        | DataType::Binary => data_type.clone(),
        _ => return None,
    })
}

/// A map, with its parts called as Delta's readers call them.
fn map_of(key: DataType, value: DataType) -> DataType {
    let pair = vec![Field::new("key", key, false), Field::new("value", value, true)];
    DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(pair.into()), false)), false)
}

fn stored_field(field: &FieldRef) -> Option<FieldRef> {
    Some(Arc::new(Field::new(field.name(), stored_type(field.data_type())?, true)))
}

/// The Arrow form of a Delta schema, as our scan gives it: without column metadata.
pub(super) fn from_delta(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(plain).collect::<Vec<_>>()))
}

/// A field without metadata, nested ones without theirs.
fn plain(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain).collect()),
        DataType::List(item) => DataType::List(plain(item)),
        DataType::Map(entries, sorted) => DataType::Map(plain(entries), *sorted),
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
}

/// Brings a batch to `schema`, columns matched by name: casts what differs, fills what is missing
/// with nulls, leaves out what `schema` does not have.
///
/// # Errors
/// A value that does not survive the cast is an error, never a null.
pub(super) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
    let columns = schema.fields().iter().map(|field| {
        let found =
            batch.schema_ref().fields().iter().position(|own| own.name().eq_ignore_ascii_case(field.name()));
        match found.map(|at| batch.column(at)) {
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            Some(column) => fitted(column, field.data_type(), field.name()),
        }
    });
    Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<Vec<_>, ArrowError>>()?)?)
}

/// The same values in another type: fields of structs matched by name, those that are missing null.
fn fitted(column: &ArrayRef, data_type: &DataType, name: &str) -> Result<ArrayRef, ArrowError> {
    Ok(match (column.data_type(), data_type) {
        (from, to) if from == to => Arc::clone(column),
        (DataType::Struct(given), DataType::Struct(fields)) => {
            let same = |one: &FieldRef, other: &FieldRef| one.name().eq_ignore_ascii_case(other.name());
            if let Some(extra) = given.iter().find(|field| !fields.iter().any(|own| same(own, field))) {
                return Err(ArrowError::CastError(format!(
                    "`{name}` has no field `{}` in the table; leave it out, or let the table take new columns",
                    extra.name()
                )));
            }
            let own = column.as_struct();
            let parts = fields.iter().map(|field| match given.iter().position(|other| same(field, other)) {
                Some(at) => fitted(own.column(at), field.data_type(), &format!("{name}.{}", field.name())),
                None => Ok(new_null_array(field.data_type(), own.len())),
            });
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            let nulls = own.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(fields.clone(), parts, nulls, own.len())?)
        }
        (DataType::List(_), DataType::List(item)) => {
            let own = column.as_list::<i32>();
            let values = fitted(own.values(), item.data_type(), name)?;
            let (offsets, nulls) = (own.offsets().clone(), own.nulls().cloned());
            Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, nulls)?)
        }
        (DataType::Map(..), DataType::Map(entries, sorted)) => {
            let own = column.as_map();
            let DataType::Struct(pair) = entries.data_type() else {
                return Err(ArrowError::CastError(format!("`{name}` is a map without keys")));
            };
            let keys = fitted(own.keys(), pair[0].data_type(), name)?;
            let values = fitted(own.values(), pair[1].data_type(), name)?;
            let pairs = StructArray::try_new(pair.clone(), vec![keys, values], None)?;
            let (offsets, nulls) = (own.offsets().clone(), own.nulls().cloned());
            Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, *sorted)?)
        }
        // The engine would take a number for days or microseconds since 1970.
        (from, to)
            if (from.is_numeric() && to.is_temporal() || from.is_temporal() && to.is_numeric())
                && column.null_count() < column.len() =>
        {
            return Err(ArrowError::CastError(format!(
                "a value does not fit column `{name}`: it is {} in the rows and {} in the table; say in the query what is meant",
                sql_type_name(from),
                sql_type_name(to)
            )));
        }
        (_, to) => {
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            let fitted = cast_with_options(column, to, &strict).map_err(|error| match error {
                ArrowError::CastError(because) => {
                    ArrowError::CastError(format!("a value does not fit column `{name}`: {because}"))
                }
                other => other,
            })?;
            check_lossless(column, &fitted, name)?;
            fitted
        }
    })
}

/// Refuses a number that lost digits on its way into a narrower type.
fn check_lossless(given: &ArrayRef, fitted: &ArrayRef, column: &str) -> Result<(), ArrowError> {
    let (from, to) = (given.data_type(), fitted.data_type());
    if !from.is_numeric() || !to.is_numeric() {
        return Ok(());
    }
    let back = cast_with_options(fitted, from, &CastOptions { safe: true, ..CastOptions::default() })?;
    if not_distinct(given, &back)?.true_count() == given.len() {
        return Ok(());
    }
    Err(ArrowError::CastError(format!(
        "a value of column `{column}` does not fit: it is {} in the rows and {} in the table; round or cast it in the query, or run with --full-refresh",
        sql_type_name(from),
        sql_type_name(to)
    )))
}

/// What differs between a table's columns and those of the rows to come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SchemaDrift {
    /// Columns that the rows have and the table lacks.
    pub(super) added: Vec<FieldRef>,
    /// Columns that the table has and the rows lack.
    pub(super) missing: Vec<String>,
}

/// Compares by name, upper and lower case being the same.
pub(super) fn drift(table: &Schema, rows: &Schema) -> SchemaDrift {
    let lacks =
        |schema: &Schema, name: &str| !schema.fields().iter().any(|f| f.name().eq_ignore_ascii_case(name));
    SchemaDrift {
        added: rows.fields().iter().filter(|field| lacks(table, field.name())).cloned().collect(),
        missing: table
            .fields()
            .iter()
            .filter(|field| lacks(rows, field.name()))
            .map(|field| field.name().clone())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::IntervalUnit;

    use super::*;

    fn name() -> TableName {
        TableName::new("main", "t").unwrap()
    }

    #[test]
    fn every_column_is_nullable_and_plain() {
        let schema = Schema::new(vec![
            Field::new("a", DataType::Utf8View, false),
            Field::new("b", DataType::Timestamp(TimeUnit::Nanosecond, Some("+02:00".into())), false),
            Field::new("c", DataType::Null, true),
            Field::new("d", DataType::UInt64, false),
        ]);
        let stored = storable(&name(), &schema).unwrap();
        let types: Vec<_> = stored.fields().iter().map(|f| sql_type_name(f.data_type())).collect();
        assert_eq!(types, ["varchar", "timestamptz", "varchar", "decimal(20,0)"]);
        assert!(stored.fields().iter().all(|f| f.is_nullable()));
    }

    #[test]
    fn what_delta_cannot_hold_is_named() {
        let interval = Schema::new(vec![Field::new("i", DataType::Interval(IntervalUnit::DayTime), true)]);
        assert!(
            matches!(storable(&name(), &interval), Err(TableError::NotStorable { column, .. }) if column == "i")
        );
        let twice =
            Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("A", DataType::Int64, true)]);
        assert!(matches!(storable(&name(), &twice), Err(TableError::SchemaMismatch { .. })));
    }

    #[test]
    fn a_value_that_does_not_fit_is_an_error_and_not_a_null() {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["1", "x"]));
        let batch = RecordBatch::try_from_iter([("A", column)]).unwrap();
        let target = Arc::new(Schema::new(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("b", DataType::Date32, true),
        ]));
        assert!(conform(&batch, &target).is_err());
        let fitting = conform(&batch.slice(0, 1), &target).unwrap();
        assert_eq!(fitting.column(0).as_ref(), &Int64Array::from(vec![1]));
        assert_eq!(fitting.column(1).null_count(), 1);
        let fractions: ArrayRef = Arc::new(arrow::array::Float64Array::from(vec![1.0, 1.5]));
        let fractions = RecordBatch::try_from_iter([("a", fractions)]).unwrap();
        assert!(conform(&fractions, &target).is_err());
        assert!(conform(&fractions.slice(0, 1), &target).is_ok());
    }
}
