//! What is true of this server, as drivers ask for it?
//!
//! Drivers read the type of each value by a cast: a number where they expect a truth value fails in their hands.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow_flight::sql::metadata::{SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{
    CommandGetSqlInfo, CommandGetXdbcTypeInfo, Nullable, Searchable, SqlInfo as Info, XdbcDataType as Xdbc,
    XdbcDatetimeSubcode as Subcode,
};

use super::clients::Client;
use super::endpoint::Endpoint;
use crate::lakehouse::Role;

/// SQL's words that no tool would think of as names.
const KEYWORDS: &[&str] = &[
    "EXCEPT",
    "EXCLUDE",
    "FILTER",
    "ILIKE",
    "LATERAL",
    "LIMIT",
    "MERGE",
    "OFFSET",
    "OPTIMIZE",
    "OVERWRITE",
    "PIVOT",
    "QUALIFY",
    "REPLACE",
    "RESTORE",
    "RELEASE",
    "SAMPLE",
    "SUMMARIZE",
    "TBLPROPERTIES",
    "UNDROP",
    "UNNEST",
    "UNPIVOT",
    "VACUUM",
    "VERSION",
    "WINDOW",
];
const NUMERIC: &[&str] = &[
    "abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cot", "degrees", "exp", "floor", "ln", "log",
    "log10", "log2", "mod", "pi", "power", "radians", "random", "round", "sign", "sin", "sqrt", "tan",
    "trunc",
];
const STRING: &[&str] = &[
    "ascii",
    "btrim",
    "char_length",
    "chr",
    "concat",
    "concat_ws",
    "ends_with",
    "initcap",
    "left",
    "length",
    "lower",
    "lpad",
    "ltrim",
    "octet_length",
    "position",
    "regexp_like",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "rpad",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "substring",
    "translate",
    "trim",
    "upper",
];
const SYSTEM: &[&str] = &["coalesce", "nullif", "version"];
const DATETIME: &[&str] = &[
    "current_date",
    "current_time",
    "current_timestamp",
    "date_bin",
    "date_part",
    "date_trunc",
    "extract",
    "from_unixtime",
    "make_date",
    "now",
    "to_char",
    "to_date",
    "to_timestamp",
];

impl Endpoint {
    /// The facts that are asked for; all of them if none is named.
    pub(super) fn sql_info(
        &self,
        client: &Client,
        asked: CommandGetSqlInfo,
    ) -> Result<RecordBatch, ArrowError> {
        let writes = client.role() == Role::Writes;
        let bits = |bits: &[u32]| bits.iter().fold(0_i32, |mask, bit| mask | 1 << bit);
        let mut facts = SqlInfoDataBuilder::new();
        facts.append(Info::FlightSqlServerName, "elt");
        facts.append(Info::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
        facts.append(Info::FlightSqlServerArrowVersion, arrow::ARROW_VERSION);
        facts.append(Info::FlightSqlServerReadOnly, !writes);
        facts.append(Info::FlightSqlServerSql, true);
        facts.append(Info::FlightSqlServerSubstrait, false);
        facts.append(Info::FlightSqlServerTransaction, 1_i32);
        facts.append(Info::FlightSqlServerCancel, true);
        facts.append(Info::FlightSqlServerBulkIngestion, writes);
        facts.append(Info::FlightSqlServerIngestTransactionsSupported, writes);
        let timeout = self.workers.time_of(client).as_millis();
        facts.append(Info::FlightSqlServerStatementTimeout, i32::try_from(timeout).unwrap_or(i32::MAX));
        facts.append(Info::FlightSqlServerTransactionTimeout, 3_600_000_i32);
        facts.append(Info::SqlDdlCatalog, false);
        facts.append(Info::SqlDdlSchema, false);
        facts.append(Info::SqlDdlTable, writes);
        facts.append(Info::SqlIdentifierCase, 3_i32); // names are folded to lower case,
        facts.append(Info::SqlIdentifierQuoteChar, "\"");
        facts.append(Info::SqlQuotedIdentifierCase, 0_i32); // and quoted ones left as they are: there is no word for that
        facts.append(Info::SqlAllTablesAreSelectable, true);
        facts.append(Info::SqlNullOrdering, 0_i32); // as if they were greater than all values
        for (info, words) in [
            (Info::SqlKeywords, KEYWORDS),
            (Info::SqlNumericFunctions, NUMERIC),
            (Info::SqlStringFunctions, STRING),
            (Info::SqlSystemFunctions, SYSTEM),
            (Info::SqlDatetimeFunctions, DATETIME),
        ] {
            facts.append(info, words);
        }
        facts.append(Info::SqlSearchStringEscape, "\\");
        facts.append(Info::SqlExtraNameCharacters, "");
        facts.append(Info::SqlSupportsColumnAliasing, true);
        facts.append(Info::SqlNullPlusNullIsNull, true);
        facts.append(Info::SqlSupportsConvert, HashMap::<i32, Vec<i32>>::new());
        facts.append(Info::SqlSupportsTableCorrelationNames, true);
        facts.append(Info::SqlSupportsDifferentTableCorrelationNames, false);
        facts.append(Info::SqlSupportsExpressionsInOrderBy, true);
        facts.append(Info::SqlSupportsOrderByUnrelated, true);
        facts.append(Info::SqlSupportedGroupBy, bits(&[0, 1]));
        facts.append(Info::SqlSupportsLikeEscapeClause, true);
        facts.append(Info::SqlSupportsNonNullableColumns, true);
        facts.append(Info::SqlSupportedGrammar, bits(&[0, 1]));
        facts.append(Info::SqlAnsi92SupportedLevel, bits(&[0]));
        facts.append(Info::SqlSupportsIntegrityEnhancementFacility, false);
        facts.append(Info::SqlOuterJoinsSupportLevel, bits(&[1, 2]));
        facts.append(Info::SqlSchemaTerm, "schema");
        facts.append(Info::SqlProcedureTerm, "procedure");
        facts.append(Info::SqlCatalogTerm, "catalog");
        facts.append(Info::SqlCatalogAtStart, true);
        facts.append(Info::SqlSchemasSupportedActions, 0_i32);
        facts.append(Info::SqlCatalogsSupportedActions, 0_i32);
        facts.append(Info::SqlSupportedPositionedCommands, 0_i32);
        facts.append(Info::SqlSelectForUpdateSupported, false);
        facts.append(Info::SqlStoredProceduresSupported, false);
        facts.append(Info::SqlSupportedSubqueries, bits(&[0, 1, 2]));
        facts.append(Info::SqlCorrelatedSubqueriesSupported, true);
        facts.append(Info::SqlSupportedUnions, bits(&[0, 1]));
        // 0 is "no limit, or none that is known".
        for limit in 541..=555_u32 {
            facts.append(limit, 0_i64);
        }
        facts.append(Info::SqlMaxRowSizeIncludesBlobs, true);
        for limit in 557..=561_u32 {
            facts.append(limit, 0_i64);
        }
        facts.append(Info::SqlMaxColumnNameLength, 0_i64);
        facts.append(Info::SqlDbSchemaNameLength, 128_i64);
        facts.append(Info::SqlMaxTableNameLength, 128_i64);
        facts.append(Info::SqlDefaultTransactionIsolation, 4_i64); // serializable
        facts.append(Info::SqlTransactionsSupported, true);
        facts.append(Info::SqlSupportedTransactionsIsolationLevels, bits(&[4]));
        facts.append(Info::SqlDataDefinitionCausesTransactionCommit, false);
        facts.append(Info::SqlDataDefinitionsInTransactionsIgnored, false);
        facts.append(Info::SqlBatchUpdatesSupported, writes);
        facts.append(Info::SqlSavepointsSupported, false);
        facts.append(Info::SqlNamedParametersSupported, false);
        facts.append(Info::SqlLocatorsUpdateCopy, false);
        facts.append(Info::SqlStoredFunctionsUsingCallSyntaxSupported, false);
        let facts = facts.build().map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
        asked.into_builder(&facts).build().map_err(|error| ArrowError::ExternalError(Box::new(error)))
    }
}

/// The types that columns have, all of them or those of one number.
pub(super) fn types(asked: CommandGetXdbcTypeInfo) -> Result<RecordBatch, ArrowError> {
    let mut types = XdbcTypeInfoDataBuilder::new();
    let number = |name: &str, data_type, digits, radix, scale: (i32, i32)| XdbcTypeInfo {
        column_size: Some(digits),
        unsigned_attribute: Some(name.starts_with('U')),
        auto_increment: Some(false),
        num_prec_radix: Some(radix),
        minimum_scale: Some(scale.0),
        maximum_scale: Some(scale.1),
        ..named(name, data_type)
    };
    let quoted = |info: XdbcTypeInfo, prefix: &str, size| XdbcTypeInfo {
        literal_prefix: Some(prefix.to_owned()),
        literal_suffix: Some("'".to_owned()),
        column_size: Some(size),
        ..info
    };
    let instant = |name: &str, data_type, subcode, size| XdbcTypeInfo {
        sql_data_type: Xdbc::XdbcDatetime,
        datetime_subcode: Some(subcode),
        ..quoted(named(name, data_type), "'", size)
    };
    let all = [
        XdbcTypeInfo { column_size: Some(1), ..named("BOOLEAN", Xdbc::XdbcBit) },
        number("TINYINT", Xdbc::XdbcTinyint, 3, 10, (0, 0)),
        number("SMALLINT", Xdbc::XdbcSmallint, 5, 10, (0, 0)),
        number("INT", Xdbc::XdbcInteger, 10, 10, (0, 0)),
        number("BIGINT", Xdbc::XdbcBigint, 19, 10, (0, 0)),
        number("UTINYINT", Xdbc::XdbcSmallint, 3, 10, (0, 0)),
        number("USMALLINT", Xdbc::XdbcInteger, 5, 10, (0, 0)),
        number("UINT", Xdbc::XdbcBigint, 10, 10, (0, 0)),
        number("UBIGINT", Xdbc::XdbcNumeric, 20, 10, (0, 0)),
        number("FLOAT", Xdbc::XdbcReal, 24, 2, (0, 0)),
        number("DOUBLE", Xdbc::XdbcDouble, 53, 2, (0, 0)),
        XdbcTypeInfo {
            create_params: Some(vec!["precision".to_owned(), "scale".to_owned()]),
            ..number("DECIMAL", Xdbc::XdbcDecimal, 38, 10, (0, 38))
        },
        XdbcTypeInfo { case_sensitive: true, ..quoted(named("VARCHAR", Xdbc::XdbcVarchar), "'", i32::MAX) },
        quoted(named("BINARY", Xdbc::XdbcVarbinary), "X'", i32::MAX),
        instant("DATE", Xdbc::XdbcDate, Subcode::XdbcSubcodeYear /* which is DATE's too */, 10),
        instant("TIME", Xdbc::XdbcTime, Subcode::XdbcSubcodeTime, 15),
        instant("TIMESTAMP", Xdbc::XdbcTimestamp, Subcode::XdbcSubcodeTimestamp, 26),
        instant("TIMESTAMPTZ", Xdbc::XdbcTimestamp, Subcode::XdbcSubcodeTimestampWithTimezone, 32),
        quoted(named("INTERVAL", Xdbc::XdbcInterval), "INTERVAL '", 64),
        XdbcTypeInfo { searchable: Searchable::None, ..named("ARRAY", Xdbc::XdbcUnknownType) },
        XdbcTypeInfo { searchable: Searchable::None, ..named("STRUCT", Xdbc::XdbcUnknownType) },
        XdbcTypeInfo { searchable: Searchable::None, ..named("MAP", Xdbc::XdbcUnknownType) },
    ];
    all.into_iter().for_each(|info| types.append(info));
    let types = types.build().map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
    asked.into_builder(&types).build().map_err(|error| ArrowError::ExternalError(Box::new(error)))
}

fn named(name: &str, data_type: Xdbc) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type,
        sql_data_type: data_type,
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        local_type_name: Some(name.to_owned()),
        ..XdbcTypeInfo::default()
    }
}
