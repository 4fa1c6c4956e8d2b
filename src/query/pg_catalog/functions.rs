//! Which functions of PostgreSQL are there for what is asked of its catalog?
//!
//! Most take numbers and names and give a text, a number or a flag: they are written as functions of texts, and what they give is read
//! as the type that is promised. Those of lists are in `listing`.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::prelude::SessionContext;

use super::super::SqlMistake;
use super::facts::{Facts, quoted};
use super::tables::constraint_words;

/// What a function does with columns of so many rows.
type Work = dyn Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync;

/// A function by its name.
struct Named {
    name: String,
    gives: DataType,
    signature: Signature,
    work: Box<Work>,
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Named {}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Named {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.gives.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_one = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_one { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|value| value.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let given = (self.work)(&columns, rows)?;
        Ok(match is_one {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&given, 0)?),
            false => ColumnarValue::Array(given),
        })
    }
}

/// The functions of a context.
pub(super) struct Functions<'a>(&'a SessionContext);

impl Functions<'_> {
    pub(super) fn add(
        &self,
        name: &str,
        gives: DataType,
        work: impl Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync + 'static,
    ) {
        self.add_as(name, gives, Volatility::Stable, work);
    }

    pub(super) fn add_as(
        &self,
        name: &str,
        gives: DataType,
        volatility: Volatility,
        work: impl Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync + 'static,
    ) {
        let any = vec![TypeSignature::VariadicAny, TypeSignature::Nullary];
        let signature = Signature::one_of(any, volatility);
        self.0.register_udf(ScalarUDF::from(Named {
            name: name.to_owned(),
            gives,
            signature,
            work: Box::new(work),
        }));
    }

    /// A function of texts.
    fn of_texts(
        &self,
        name: &str,
        gives: DataType,
        work: impl Fn(&[Option<&str>]) -> Result<Option<String>> + Send + Sync + 'static,
    ) {
        let promised = gives.clone();
        self.add(name, gives, move |columns, rows| {
            let columns = columns.iter().map(texts).collect::<Result<Vec<_>>>()?;
            let row = |row: usize| {
                let values: Vec<Option<&str>> =
                    columns.iter().map(|column| column.is_valid(row).then(|| column.value(row))).collect();
                work(&values)
            };
            let given = (0..rows).map(row).collect::<Result<StringArray>>()?;
            Ok(cast_with_options(&given, &promised, &CastOptions { safe: false, ..CastOptions::default() })?)
        });
    }

    /// Functions that always give the same.
    fn always(&self, names: &[&str], gives: &DataType, value: Option<&str>) {
        for name in names {
            let value = value.map(str::to_owned);
            self.of_texts(name, gives.clone(), move |_| Ok(value.clone()));
        }
    }
}

/// A column as texts.
pub(super) fn texts(column: &ArrayRef) -> Result<StringArray> {
    match column.data_type() {
        data_type if data_type.is_nested() => Ok(StringArray::new_null(column.len())),
        _ => Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone()),
    }
}

fn mistake(what: String, help: &str) -> DataFusionError {
    DataFusionError::from(super::QueryError::from(SqlMistake::refused(what, help)))
}

/// Functions of which all that is theirs is there to be seen.
const VISIBLE: [&str; 11] = [
    "pg_function_is_visible",
    "pg_type_is_visible",
    "pg_operator_is_visible",
    "pg_opclass_is_visible",
    "pg_opfamily_is_visible",
    "pg_conversion_is_visible",
    "pg_collation_is_visible",
    "pg_ts_config_is_visible",
    "pg_ts_dict_is_visible",
    "pg_ts_parser_is_visible",
    "pg_ts_template_is_visible",
];

/// Functions that tell of what there is not.
const NOTHING: [&str; 22] = [
    "shobj_description",
    "pg_get_serial_sequence",
    "pg_get_functiondef",
    "pg_get_function_result",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_function_sqlbody",
    "pg_get_triggerdef",
    "pg_get_ruledef",
    "pg_get_partkeydef",
    "pg_get_statisticsobjdef",
    "pg_get_statisticsobjdef_columns",
    "pg_get_expr",
    "pg_describe_object",
    "pg_tablespace_location",
    "inet_client_addr",
    "inet_server_addr",
    "pg_partition_root",
    "pg_identify_object",
    "pg_relation_filepath",
    "pg_database_collation_actual_version",
    "pg_collation_actual_version",
];

/// The numbers of PostgreSQL's encodings: there is one.
const UTF8: &str = "6";

pub(super) fn register(context: &SessionContext, facts: &Arc<Facts>, types: HashMap<String, i32>) {
    let functions = Functions(context);
    let (text, flag, number) = (DataType::Utf8, DataType::Boolean, DataType::Int32);
    let large = DataType::Int64;
    functions.always(&VISIBLE, &flag, Some("true"));
    functions.always(&["pg_statistics_obj_is_visible", "pg_has_role"], &flag, Some("true"));
    functions.always(&NOTHING, &text, None);
    functions.always(
        &["pg_is_in_recovery", "row_security_active", "pg_relation_is_publishable"],
        &flag,
        Some("false"),
    );
    // There are none to be let go of.
    functions.always(&["pg_advisory_unlock_all"], &text, Some(""));
    functions.always(&["pg_encoding_to_char", "getdatabaseencoding"], &text, Some("UTF8"));
    functions.always(&["pg_char_to_encoding"], &number, Some(UTF8));
    functions.always(&["inet_server_port", "inet_client_port", "pg_my_temp_schema"], &number, Some("0"));
    functions.always(&["pg_database_size", "pg_tablespace_size", "txid_current_if_assigned"], &large, None);
    let moment = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    functions.always(&["pg_postmaster_start_time", "pg_conf_load_time"], &moment, None);
    let version = format!("PostgreSQL {} (elt {})", super::PG_VERSION, env!("CARGO_PKG_VERSION"));
    functions.always(&["version"], &text, Some(&version));
    functions.always(&["current_user", "session_user", "user"], &text, Some(&facts.asker.user));
    functions.always(&["current_schema"], &text, Some(&facts.default_schema));
    functions.of_texts("pg_size_pretty", text.clone(), |values| Ok(first(values).and_then(size_words)));
    functions.of_texts("quote_literal", text.clone(), |values| {
        Ok(first(values).map(|value| format!("'{}'", value.replace('\'', "''"))))
    });
    functions.of_texts("format", text.clone(), |values| Ok(formatted(values)));
    functions.of_texts("to_regtype", DataType::Int32, move |values| {
        Ok(first(values).and_then(|name| types.get(type_name(name).as_str())).map(i32::to_string))
    });
    let known = Arc::clone(facts);
    functions.of_texts("to_regnamespace", DataType::Int32, move |values| {
        let number = first(values).map(|name| known.schema_number(&name.to_lowercase()));
        Ok(number.filter(|number| *number != 0).map(|number| number.to_string()))
    });
    of_relations(&functions, facts);
    of_settings(&functions, facts);
    of_rights(&functions, facts);
    super::listing::register(&functions, facts);
    super::activity::register(&functions, &facts.asker.backends);
}

fn first<'a>(values: &[Option<&'a str>]) -> Option<&'a str> {
    values.first().copied().flatten()
}

/// The relation that is meant by a number, or by a name.
fn meant(facts: &Facts, value: Option<&str>) -> Option<i32> {
    let value = value?;
    value.parse().ok().or_else(|| facts.number_of(value))
}

fn of_relations(functions: &Functions<'_>, facts: &Arc<Facts>) {
    let text = DataType::Utf8;
    let known = Arc::clone(facts);
    functions.of_texts("pg_regclass", text.clone(), move |values| {
        let Some(value) = first(values) else { return Ok(None) };
        Ok(match meant(&known, Some(value)) {
            Some(oid) => Some(known.name_of(oid).unwrap_or_else(|| oid.to_string())),
            None => return Err(no_relation(value)),
        })
    });
    let known = Arc::clone(facts);
    functions.of_texts("to_regclass", DataType::Int32, move |values| {
        Ok(meant(&known, first(values)).map(|oid| oid.to_string()))
    });
    let known = Arc::clone(facts);
    functions.of_texts("pg_table_is_visible", DataType::Boolean, move |values| {
        let relation = meant(&known, first(values)).and_then(|oid| known.relation(oid));
        let is_near = relation
            .map(|found| [known.default_schema.as_str(), "pg_catalog"].contains(&found.schema.as_str()));
        Ok(is_near.map(|near| near.to_string()))
    });
    let known = Arc::clone(facts);
    functions.of_texts("pg_get_viewdef", text.clone(), move |values| {
        let relation = meant(&known, first(values)).and_then(|oid| known.relation(oid));
        Ok(relation.and_then(|found| found.view.as_ref()).map(|view| format!("{view};")))
    });
    let known = Arc::clone(facts);
    functions.of_texts("pg_get_constraintdef", text.clone(), move |values| {
        let oid = meant(&known, first(values));
        Ok(known.keys.iter().find(|key| Some(key.oid) == oid).map(constraint_words))
    });
    let known = Arc::clone(facts);
    functions.of_texts("pg_get_indexdef", text.clone(), move |values| {
        let oid = meant(&known, first(values));
        let Some(key) = known.keys.iter().find(|key| Some(key.index) == oid && key.index != 0) else {
            return Ok(None);
        };
        let place =
            values.get(1).copied().flatten().and_then(|place| place.parse::<usize>().ok()).unwrap_or(0);
        let columns: Vec<String> = key.names.iter().map(|name| quoted(name)).collect();
        if place > 0 {
            return Ok(columns.get(place - 1).cloned());
        }
        let table = known.name_of(key.table).unwrap_or_default();
        Ok(Some(format!(
            "CREATE UNIQUE INDEX {} ON {table} USING none ({})",
            quoted(&key.name),
            columns.join(", ")
        )))
    });
    for name in ["pg_relation_size", "pg_table_size", "pg_total_relation_size", "pg_indexes_size"] {
        let known = Arc::clone(facts);
        functions.of_texts(name, DataType::Int64, move |values| {
            let relation = meant(&known, first(values)).and_then(|oid| known.relation(oid));
            let bytes = relation.and_then(|found| match found.kind {
                "r" if name != "pg_indexes_size" => found.bytes,
                _ => Some(0),
            });
            Ok(bytes.map(|bytes| bytes.to_string()))
        });
    }
    let known = Arc::clone(facts);
    functions.of_texts("obj_description", text.clone(), move |values| {
        let is_relation = values.get(1).copied().flatten().is_none_or(|of| of == "pg_class");
        let relation =
            meant(&known, first(values).filter(|_| is_relation)).and_then(|oid| known.relation(oid));
        Ok(relation.and_then(|found| found.comment.clone()))
    });
    let known = Arc::clone(facts);
    functions.of_texts("col_description", text.clone(), move |values| {
        let relation = meant(&known, first(values)).and_then(|oid| known.relation(oid));
        let place = values.get(1).copied().flatten().and_then(|place| place.parse::<usize>().ok());
        let comment =
            relation.zip(place).and_then(|(found, place)| found.comments.get(place.checked_sub(1)?));
        Ok(comment.cloned().flatten())
    });
    let known = Arc::clone(facts);
    functions.of_texts("pg_get_userbyid", text, move |values| {
        Ok(first(values)
            .map(|oid| if oid == "11" { known.asker.user.clone() } else { known.owner().to_owned() }))
    });
}

/// There is no relation of a name, in PostgreSQL's words.
pub(super) fn no_relation(name: &str) -> DataFusionError {
    mistake(format!("there is no table `{name}`"), "`show tables` lists what there is")
}

fn of_settings(functions: &Functions<'_>, facts: &Arc<Facts>) {
    let help = "`select name, setting from pg_settings` lists those that there are";
    let known = Arc::clone(facts);
    functions.of_texts("current_setting", DataType::Utf8, move |values| {
        let Some(name) = first(values) else { return Ok(None) };
        let found = known.asker.settings.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let is_needed = values.get(1).copied().flatten() != Some("true");
        match found {
            Some((_, value)) => Ok(Some(value.clone())),
            None if is_needed => Err(mistake(format!("there is no setting `{name}`"), help)),
            None => Ok(None),
        }
    });
    let known = Arc::clone(facts);
    functions.of_texts("set_config", DataType::Utf8, move |values| {
        let (Some(name), value) = (first(values), values.get(1).copied().flatten().unwrap_or_default())
        else {
            return Ok(None);
        };
        let found = known.asker.settings.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let is_idle = super::settings::is_idle(name);
        match found {
            Some((_, holds)) if is_idle || holds.eq_ignore_ascii_case(value) => Ok(Some(value.to_owned())),
            None if is_idle => Ok(Some(value.to_owned())),
            _ => {
                let what = format!("`set_config` cannot set `{name}` to `{value}`: a query changes nothing");
                Err(mistake(what, &format!("send `set {name} = …` by itself")))
            }
        }
    });
}

fn of_rights(functions: &Functions<'_>, facts: &Arc<Facts>) {
    const OF: [&str; 13] = [
        "has_any_column_privilege",
        "has_column_privilege",
        "has_database_privilege",
        "has_foreign_data_wrapper_privilege",
        "has_function_privilege",
        "has_language_privilege",
        "has_parameter_privilege",
        "has_schema_privilege",
        "has_sequence_privilege",
        "has_server_privilege",
        "has_table_privilege",
        "has_tablespace_privilege",
        "has_type_privilege",
    ];
    for name in OF {
        let known = Arc::clone(facts);
        functions.of_texts(name, DataType::Boolean, move |values| {
            let Some(rights) = values.last().copied().flatten() else { return Ok(None) };
            let reads = |right: &str| {
                let right = right.trim().to_lowercase();
                ["select", "usage", "connect", "execute"].contains(&right.as_str())
            };
            let may = rights.split(',').any(|right| reads(right) || known.asker.may_write);
            if !["has_table_privilege", "has_any_column_privilege"].contains(&name) {
                return Ok(Some(may.to_string()));
            }
            // The user may be named before the table.
            let table = values.get(values.len().wrapping_sub(2)).copied().flatten();
            let relation = meant(&known, table).and_then(|oid| known.relation(oid));
            let is_of_lake = relation.is_some_and(|found| found.kind == "r" && found.schema != "pg_catalog");
            let may = rights.split(',').any(|right| reads(right) || (known.asker.may_write && is_of_lake));
            Ok(Some((may && relation.is_some()).to_string()))
        });
    }
}

/// What a type is called in `pg_type` that SQL has another name for.
fn type_name(written: &str) -> String {
    let name = written.trim().to_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    let (name, is_list) = match name.strip_suffix("[]") {
        Some(of) => (of, true),
        None => (name, false),
    };
    let name = match name {
        "smallint" => "int2",
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "double precision" => "float8",
        "boolean" => "bool",
        "decimal" => "numeric",
        "character varying" => "varchar",
        "character" => "bpchar",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        "time without time zone" => "time",
        other => other,
    };
    if is_list { format!("_{name}") } else { name.to_owned() }
}

/// Bytes as PostgreSQL writes them for people.
fn size_words(bytes: &str) -> Option<String> {
    const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let mut size: i128 = bytes.split('.').next()?.parse().ok()?;
    let mut unit = 0;
    while size.abs() >= 10 * 1024 && unit + 1 < UNITS.len() {
        size = (size + size.signum() * 512) / 1024;
        unit += 1;
    }
    Some(format!("{size} {}", UNITS[unit]))
}

/// `format('%s %I %L', …)`.
fn formatted(values: &[Option<&str>]) -> Option<String> {
    let mut letters = first(values)?.chars();
    let mut rest = values[1..].iter();
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        match letters.next()? {
            '%' => text.push('%'),
            's' => text.push_str(rest.next()?.unwrap_or_default()),
            'I' => text.push_str(&quoted((*rest.next()?)?)),
            'L' => match rest.next()? {
                Some(value) => text.push_str(&format!("'{}'", value.replace('\'', "''"))),
                None => text.push_str("NULL"),
            },
            _ => return None,
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_formats_are_written_as_postgresql_writes_them() {
        assert_eq!(type_name("pg_catalog.Integer[]"), "_int4");
        assert_eq!(size_words("1024").as_deref(), Some("1024 bytes"));
        assert_eq!(size_words("20480").as_deref(), Some("20 kB"));
        assert_eq!(size_words("52428800").as_deref(), Some("50 MB"));
        assert_eq!(
            formatted(&[Some("%I.%I = %L %%"), Some("main"), Some("My T"), Some("o'x")]).as_deref(),
            Some("main.\"My T\" = 'o''x' %")
        );
    }
}
