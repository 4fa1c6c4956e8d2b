//! Which type holds the values of others?
//!
//! [`widened`] says what a column becomes whose values have two types, [`landed_type`] what a file's own type is in a lake.
//!
//! | types | together |
//! |---|---|
//! | whole numbers | the wider |
//! | whole numbers and floats, floats | double |
//! | decimals | the decimal with the most digits on both sides, if 38 are enough |
//! | date and timestamp | timestamp |
//! | lists, structs | lists and structs of what their parts are together |
//! | anything else | varchar |

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};

/// The narrowest type that holds the values of two.
pub(super) fn widened(one: &DataType, other: &DataType) -> DataType {
    use DataType::{
        Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, List, Struct, Timestamp, Utf8,
    };
    let whole = |of: &DataType| matches!(of, Int8 | Int16 | Int32 | Int64);
    match (one, other) {
        _ if one == other => one.clone(),
        _ if whole(one) && whole(other) => {
            let wider = one.primitive_width() > other.primitive_width();
            if wider { one.clone() } else { other.clone() }
        }
        (Float32 | Float64, number) | (number, Float32 | Float64)
            if whole(number) || matches!(number, Float32 | Float64) =>
        {
            Float64
        }
        (Decimal128(p1, s1), Decimal128(p2, s2)) => {
            let scale = *s1.max(s2);
            let whole_digits = (i16::from(*p1) - i16::from(*s1)).max(i16::from(*p2) - i16::from(*s2));
            match u8::try_from(whole_digits + i16::from(scale)) {
                Ok(precision) if precision <= 38 => Decimal128(precision, scale),
                _ => Utf8,
            }
        }
        (Date32, Timestamp(_, None)) => other.clone(),
        (Timestamp(_, None), Date32) => one.clone(),
        (List(one), List(other)) => {
            List(Arc::new(Field::new("item", widened(one.data_type(), other.data_type()), true)))
        }
        (Struct(one), Struct(other)) => {
            let mut fields: Vec<FieldRef> = one.iter().cloned().collect();
            for field in other {
                match fields
                    .iter_mut()
                    .find(|known| known.name().to_lowercase() == field.name().to_lowercase())
                {
                    Some(known) => {
                        let data_type = widened(known.data_type(), field.data_type());
                        *known = Arc::new(Field::new(known.name(), data_type, true));
                    }
                    None => fields.push(Arc::clone(field)),
                }
            }
            Struct(fields.into())
        }
        _ => Utf8,
    }
}

/// The type in which a lake keeps the values of a file's column: no unsigned numbers, no dictionaries, all
/// instants in microseconds.
pub(super) fn landed_type(stored: &DataType) -> DataType {
    let nullable = |field: &FieldRef, name: &str| -> FieldRef {
        Arc::new(Field::new(name, landed_type(field.data_type()), true))
    };
    match stored {
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Timestamp(_, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "UTC".into()))
        }
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Dictionary(_, values) => landed_type(values),
        DataType::RunEndEncoded(_, values) => landed_type(values.data_type()),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(nullable(item, "item"))
        }
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| nullable(field, field.name())).collect::<Fields>())
        }
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Date32
        | DataType::Binary => stored.clone(),
        DataType::Date64 => DataType::Date32,
        _ => DataType::Utf8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::sql_type_name;

    #[test]
    fn parquet_types_become_those_of_a_lake() {
        use DataType::{Dictionary, LargeUtf8, Time64, UInt32, UInt64, Utf8View};
        for (stored, landed) in [
            (UInt32, "bigint"),
            (UInt64, "decimal(20,0)"),
            (LargeUtf8, "varchar"),
            (Utf8View, "varchar"),
            (Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)), "varchar"),
            (DataType::Timestamp(TimeUnit::Nanosecond, Some("Europe/Oslo".into())), "timestamptz"),
            (Time64(TimeUnit::Microsecond), "varchar"),
            (DataType::List(Arc::new(Field::new("element", UInt32, false))), "bigint[]"),
        ] {
            assert_eq!(sql_type_name(&landed_type(&stored)), landed, "{stored}");
        }
    }
}
