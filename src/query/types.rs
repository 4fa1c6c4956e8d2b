//! Which types do the names of types mean?
//!
//! A lake's timestamps have microseconds, as in Delta, and whole numbers have a sign. Names that people bring from DuckDB,
//! BigQuery, Snowflake, Redshift and Spark mean the type that a lake has for them: `int64` is a bigint, `number` a decimal
//! without a fraction, `json` a text. A length is read and not enforced, as in DuckDB. An instant has the session's time zone.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::planner::TypePlanner;
use sqlparser::ast::{self, ExactNumberInfo, TimezoneInfo};

use super::own::Own;
use crate::base::parse_data_type;

/// The digits of a number that says nothing of them.
const DIGITS: u8 = 38;

/// SQL's type names, where a lake differs from DataFusion.
#[derive(Debug)]
pub(super) struct LakeTypes {
    /// Knows the time zone.
    pub(super) own: Own,
}

impl TypePlanner for LakeTypes {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> EngineResult<Option<FieldRef>> {
        let there = |data_type: DataType| match self.own.zone() {
            Some(zone) => in_zone(&data_type, &zone),
            None => data_type,
        };
        Ok(meant(sql_type).map(|data_type| Arc::new(Field::new("", there(data_type), true))))
    }
}

/// The type that a name means; nothing where the engine knows.
fn meant(sql_type: &ast::DataType) -> Option<DataType> {
    use ast::DataType as Named;
    Some(match sql_type {
        // Nine digits are more than a lake keeps.
        Named::Timestamp(None | Some(4..=9), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone)
        | Named::Datetime(_)
        | Named::TimestampNtz(_) => moment(None),
        Named::Timestamp(None | Some(4..=9), TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            moment(Some("UTC"))
        }
        // Fewer digits: the engine takes the zone of the session, and has none where that is UTC.
        Named::Timestamp(Some(digits), TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            let unit = if *digits == 0 { TimeUnit::Second } else { TimeUnit::Millisecond };
            DataType::Timestamp(unit, Some("UTC".into()))
        }
        Named::String(_)
        | Named::CharacterVarying(_)
        | Named::CharVarying(_)
        | Named::Nvarchar(_)
        | Named::Character(_)
        | Named::CharacterLargeObject(_)
        | Named::CharLargeObject(_)
        | Named::Clob(_)
        | Named::TinyText
        | Named::MediumText
        | Named::LongText
        | Named::FixedString(_)
        | Named::Uuid
        | Named::JSON
        | Named::JSONB => DataType::Utf8,
        Named::Bytes(_)
        | Named::Blob(_)
        | Named::TinyBlob
        | Named::MediumBlob
        | Named::LongBlob
        | Named::Binary(_)
        | Named::Varbinary(_) => DataType::Binary,
        Named::Int64 => DataType::Int64,
        Named::Int32 | Named::MediumInt(_) => DataType::Int32,
        Named::Int16 => DataType::Int16,
        Named::Float64 => DataType::Float64,
        Named::Float32 => DataType::Float32,
        Named::UTinyInt | Named::UInt8 | Named::TinyIntUnsigned(_) => DataType::Int16,
        Named::USmallInt | Named::UInt16 | Named::SmallIntUnsigned(_) => DataType::Int32,
        Named::UInt32 | Named::IntUnsigned(_) | Named::IntegerUnsigned(_) => DataType::Int64,
        Named::UBigInt | Named::UInt64 | Named::BigIntUnsigned(_) => DataType::Decimal128(20, 0),
        Named::HugeInt | Named::UHugeInt | Named::Int128 | Named::UInt128 => DataType::Decimal128(DIGITS, 0),
        Named::BigNumeric(info) | Named::BigDecimal(info) => decimal(info, 9)?,
        Named::Datetime64(_, None) => moment(None),
        Named::Map(key, value) => {
            let key = Field::new("key", whole(key)?, false);
            let value = Field::new("value", whole(value)?, true);
            let entries = DataType::Struct(vec![key, value].into());
            DataType::Map(Arc::new(Field::new("entries", entries, false)), false)
        }
        Named::Custom(name, modifiers) => custom(&name.to_string().to_lowercase(), modifiers)?,
        _ => return None,
    })
}

/// The type that a name means, whoever knows it.
fn whole(sql_type: &ast::DataType) -> Option<DataType> {
    meant(sql_type).or_else(|| match sql_type {
        ast::DataType::Struct(fields, _) => {
            let field = |field: &ast::StructField| {
                let name = field.field_name.as_ref()?;
                let name =
                    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() };
                Some(Field::new(name, whole(&field.field_type)?, true))
            };
            Some(DataType::Struct(fields.iter().map(field).collect::<Option<Vec<_>>>()?.into()))
        }
        ast::DataType::Array(
            ast::ArrayElemTypeDef::AngleBracket(item)
            | ast::ArrayElemTypeDef::SquareBracket(item, None)
            | ast::ArrayElemTypeDef::Parenthesis(item),
        ) => Some(DataType::List(Arc::new(Field::new_list_field(whole(item)?, true)))),
        plain => parse_data_type(&plain.to_string()),
    })
}

fn custom(name: &str, modifiers: &[String]) -> Option<DataType> {
    Some(match name {
        "number" => match modifiers {
            [] => DataType::Decimal128(DIGITS, 0),
            [digits] => DataType::Decimal128(digits.parse().ok()?, 0),
            [digits, scale] => DataType::Decimal128(digits.parse().ok()?, scale.trim().parse().ok()?),
            _ => return None,
        },
        "byteint" => DataType::Int8,
        "short" => DataType::Int16,
        "long" => DataType::Int64,
        "uinteger" => DataType::Int64,
        "timestamp_ltz" | "timestamp_tz" | "timestampltz" => moment(Some("UTC")),
        "timestamp_ntz" | "timestampntz" | "smalldatetime" | "datetime2" | "timestamp_us"
        | "timestamp_ms" | "timestamp_s" => moment(None),
        "bpchar" | "nchar" | "ntext" | "citext" | "super" => DataType::Utf8,
        _ => return None,
    })
}

/// The type with its instants, however deep they are in it, told in a time zone.
pub(super) fn in_zone(data_type: &DataType, zone: &str) -> DataType {
    let there =
        |field: &FieldRef| Arc::new(field.as_ref().clone().with_data_type(in_zone(field.data_type(), zone)));
    match data_type {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some(zone.into())),
        DataType::List(item) => DataType::List(there(item)),
        DataType::LargeList(item) => DataType::LargeList(there(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(there).collect()),
        DataType::Map(entries, is_sorted) => DataType::Map(there(entries), *is_sorted),
        other => other.clone(),
    }
}

fn moment(zone: Option<&str>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into))
}

/// The name and the largest value of a type of whole numbers without a sign.
pub(super) fn unsigned(sql_type: &ast::DataType) -> Option<(String, u128)> {
    use ast::DataType as Named;
    let most = match sql_type {
        Named::UTinyInt | Named::UInt8 | Named::TinyIntUnsigned(_) => u128::from(u8::MAX),
        Named::USmallInt | Named::UInt16 | Named::SmallIntUnsigned(_) => u128::from(u16::MAX),
        Named::UInt32 | Named::IntUnsigned(_) | Named::IntegerUnsigned(_) => u128::from(u32::MAX),
        Named::UBigInt | Named::UInt64 | Named::BigIntUnsigned(_) => u128::from(u64::MAX),
        Named::UHugeInt | Named::UInt128 => 99_999_999_999_999_999_999_999_999_999_999_999_999,
        Named::Custom(name, _) if matches!(name.to_string().to_lowercase().as_str(), "uinteger" | "uint") => {
            u128::from(u32::MAX)
        }
        _ => return None,
    };
    Some((sql_type.to_string().to_lowercase(), most))
}

fn decimal(info: &ExactNumberInfo, scale: i8) -> Option<DataType> {
    Some(match info {
        ExactNumberInfo::None => DataType::Decimal128(DIGITS, scale),
        ExactNumberInfo::Precision(digits) => DataType::Decimal128(u8::try_from(*digits).ok()?, 0),
        ExactNumberInfo::PrecisionAndScale(digits, scale) => {
            DataType::Decimal128(u8::try_from(*digits).ok()?, i8::try_from(*scale).ok()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::views::tests::session;

    #[tokio::test]
    async fn names_of_other_engines_mean_types_of_a_lake() {
        let session = session(&[]);
        let said = async |name: &str| {
            let columns = session.check(&format!("select cast(null as {name}) as x")).await.unwrap();
            crate::base::sql_type_name(columns.field(0).data_type())
        };
        for (name, means) in [
            ("int64", "bigint"),
            ("float64", "double"),
            ("number", "decimal(38,0)"),
            ("number(10, 2)", "decimal(10,2)"),
            ("hugeint", "decimal(38,0)"),
            ("character varying(20)", "varchar"),
            ("string", "varchar"),
            ("json", "varchar"),
            ("uuid", "varchar"),
            ("datetime", "timestamp"),
            ("timestamp_ntz", "timestamp"),
            ("timestamp_ltz", "timestamptz"),
            ("timestamp(9)", "timestamp"),
            ("byteint", "tinyint"),
            ("ubigint", "decimal(20,0)"),
            ("bytes", "binary"),
        ] {
            assert_eq!(said(name).await, means, "{name}");
        }
    }
}
