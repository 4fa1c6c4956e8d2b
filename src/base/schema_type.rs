//! Which Arrow type does a SQL type name mean?

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

/// Returns the Arrow type that a SQL type name stands for in a lake, or nothing if it stands for none.
///
/// Names of Postgres, DuckDB, Spark and BigQuery are known. `timestamp` has no zone and
/// microseconds; `timestamptz` is UTC. Lengths of strings are read and not enforced.
pub fn parse_data_type(name: &str) -> Option<DataType> {
    let name = name.trim().to_lowercase();
    if let Some(item) = name.strip_suffix("[]") {
        return Some(DataType::List(Arc::new(Field::new("item", parse_data_type(item)?, true))));
    }
    let (base, arguments) = match name.split_once('(') {
        Some((base, rest)) => (base.trim(), Some(rest.trim_end().strip_suffix(')')?)),
        None => (name.as_str(), None),
    };
    let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    Some(match base {
        "tinyint" | "int1" | "byte" => DataType::Int8,
        "smallint" | "int2" | "short" => DataType::Int16,
        "int" | "integer" | "int4" => DataType::Int32,
        "bigint" | "int8" | "int64" | "long" | "hugeint" => DataType::Int64,
        "real" | "float4" | "float" | "float32" => DataType::Float32,
        "double" | "double precision" | "float8" | "float64" => DataType::Float64,
        "decimal" | "numeric" | "number" => decimal(arguments)?,
        "varchar" | "text" | "string" | "char" | "character varying" | "bpchar" => DataType::Utf8,
        "boolean" | "bool" => DataType::Boolean,
        "date" => DataType::Date32,
        "timestamp" | "datetime" | "timestamp_ntz" | "timestamp without time zone" => micros(None),
        "timestamptz" | "timestamp_tz" | "timestamp with time zone" => micros(Some("UTC")),
        "bytea" | "binary" | "varbinary" | "blob" => DataType::Binary,
        _ => return None,
    })
}

fn decimal(arguments: Option<&str>) -> Option<DataType> {
    let Some(arguments) = arguments else { return Some(DataType::Decimal128(38, 10)) };
    let mut numbers = arguments.split(',').map(|n| n.trim().parse::<u8>().ok());
    let precision = numbers.next()??;
    let scale = numbers.next().unwrap_or(Some(0))?;
    let fits = (1..=38).contains(&precision) && scale <= precision;
    fits.then(|| DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(0)))
}

/// Returns the SQL name of an Arrow type, as `DESCRIBE` and result headers show it.
pub fn sql_type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "null".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Int8 => "tinyint".into(),
        DataType::Int16 => "smallint".into(),
        DataType::Int32 => "int".into(),
        DataType::Int64 => "bigint".into(),
        DataType::UInt8 => "utinyint".into(),
        DataType::UInt16 => "usmallint".into(),
        DataType::UInt32 => "uint".into(),
        DataType::UInt64 => "ubigint".into(),
        DataType::Float16 | DataType::Float32 => "float".into(),
        DataType::Float64 => "double".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "varchar".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "binary".into()
        }
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Time32(_) | DataType::Time64(_) => "time".into(),
        DataType::Timestamp(_, None) => "timestamp".into(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".into(),
        DataType::Interval(_) | DataType::Duration(_) => "interval".into(),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => {
            format!("decimal({p},{s})")
        }
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => format!("{}[]", sql_type_name(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|f| format!("{} {}", f.name(), sql_type_name(f.data_type()))).collect();
            format!("struct({})", fields.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(kv) if kv.len() == 2 => {
                format!("map({}, {})", sql_type_name(kv[0].data_type()), sql_type_name(kv[1].data_type()))
            }
            _ => "map".into(),
        },
        DataType::Dictionary(_, values) => sql_type_name(values),
        DataType::RunEndEncoded(_, values) => sql_type_name(values.data_type()),
        DataType::Union(..) => "union".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_names_go_there_and_back() {
        for name in
            ["bigint", "decimal(12,2)", "timestamp", "timestamptz", "varchar", "int[]", "double", "date"]
        {
            let data_type = parse_data_type(name).expect(name);
            assert_eq!(sql_type_name(&data_type), name);
        }
        assert_eq!(parse_data_type("varchar(20)"), Some(DataType::Utf8));
        for bad in ["strnig", "decimal(50,2)", "decimal(2,5)", "decimal(", "[]"] {
            assert_eq!(parse_data_type(bad), None, "{bad}");
        }
    }
}
