//! What of a session is told in PostgreSQL's words?
//!
//! Everything that the tables and functions of the catalog are made of is gathered here once, as the session sees it. Numbers below 16384
//! are PostgreSQL's own; what the lake has is numbered from there, in the order of the names.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::catalog::{CatalogProvider, SchemaProvider};

use super::super::{QueryError, Session};
use super::activity::PgBackends;
use crate::base::TableName;

/// The first number of what PostgreSQL itself does not have.
const FIRST: i32 = 16_384;

/// The numbers of the tables that others are told of by: `classoid` and `tableoid`.
const KNOWN: [(&str, i32); 13] = [
    ("pg_type", 1247),
    ("pg_attribute", 1249),
    ("pg_proc", 1255),
    ("pg_class", 1259),
    ("pg_authid", 1260),
    ("pg_database", 1262),
    ("pg_constraint", 2606),
    ("pg_description", 2609),
    ("pg_index", 2610),
    ("pg_language", 2612),
    ("pg_namespace", 2615),
    ("pg_rewrite", 2618),
    ("pg_trigger", 2620),
];

/// The number of one of these tables; of others it is not known.
pub(super) fn number_of_own(name: &str) -> i32 {
    KNOWN.iter().find(|(known, _)| *known == name).map_or(0, |(_, number)| *number)
}

/// The owner of everything, by number.
pub(super) const OWNER: i32 = 10;

/// Columns of a table that name a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgKey {
    /// What the key is called.
    pub name: String,
    /// The table.
    pub table: TableName,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// The table, and its columns, whose rows are named; the own row of a primary key, if nothing.
    pub of: Option<(TableName, Vec<String>)>,
}

/// Who asks, and what else than the lake is told to them.
#[derive(Clone, Debug)]
pub struct PgAsker {
    /// The name of the user.
    pub user: String,
    /// Whether tables may be changed.
    pub may_write: bool,
    /// The keys that the project declares.
    pub keys: Vec<PgKey>,
    /// What the project says of tables, and of their columns, by their names in lower case.
    pub described: HashMap<TableName, (Option<String>, BTreeMap<String, String>)>,
    /// What `SHOW` and `current_setting` tell, by name in lower case.
    pub settings: Vec<(String, String)>,
    /// Their connections.
    pub backends: Arc<dyn PgBackends>,
}

/// A table, a view, or what stands for the index of a key.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) oid: i32,
    pub(super) schema: String,
    pub(super) name: String,
    /// `r`, `v` or `i`.
    pub(super) kind: &'static str,
    pub(super) columns: SchemaRef,
    pub(super) rows: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) comment: Option<String>,
    pub(super) comments: Vec<Option<String>>,
    /// Which columns hold no nulls.
    pub(super) required: Vec<bool>,
    pub(super) view: Option<String>,
}

/// A key, by numbers.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) oid: i32,
    pub(super) name: String,
    pub(super) schema: String,
    pub(super) table: i32,
    pub(super) columns: Vec<i64>,
    pub(super) names: Vec<String>,
    pub(super) index: i32,
    /// The table that it points to, its columns, and how that is written.
    pub(super) of: Option<(i32, Vec<i64>, String)>,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) asker: PgAsker,
    pub(super) default_schema: String,
    pub(super) schemas: Vec<(i32, String)>,
    pub(super) relations: Vec<Relation>,
    pub(super) keys: Vec<Key>,
    by_name: HashMap<String, i32>,
}

impl Facts {
    pub(super) async fn gather(
        session: &Session,
        asker: PgAsker,
        catalog: &dyn CatalogProvider,
    ) -> Result<Self, QueryError> {
        let mut schemas = vec![(11, "pg_catalog".to_owned()), (13_000, "information_schema".to_owned())];
        let mut next = FIRST;
        let mut number = || {
            next += 1;
            next
        };
        let mut names = catalog.schema_names();
        names.sort();
        for name in names {
            if name == super::PUBLIC {
                schemas.push((2200, name));
            } else if !schemas.iter().any(|(_, known)| *known == name) {
                schemas.push((number(), name));
            }
        }
        let mut facts = Self {
            asker,
            default_schema: session.default_schema().to_owned(),
            schemas,
            relations: Vec::new(),
            keys: Vec::new(),
            by_name: HashMap::new(),
        };
        session.scope().read_ahead().await;
        for (_, schema) in facts.schemas.clone() {
            let Some(provider) = catalog.schema(&schema) else { continue };
            let mut tables = provider.table_names();
            tables.sort();
            for table in tables {
                let known = KNOWN.iter().find(|(name, _)| schema == "pg_catalog" && *name == table);
                let oid = known.map_or_else(&mut number, |(_, oid)| *oid);
                if let Some(mut relation) = relation(session, provider.as_ref(), &schema, table, oid).await? {
                    facts.describe(&mut relation);
                    facts.by_name.insert(format!("{schema}.{}", relation.name), oid);
                    facts.relations.push(relation);
                }
            }
        }
        for key in facts.asker.keys.clone() {
            let (oid, index) = (number(), number());
            facts.add(&key, oid, index);
        }
        Ok(facts)
    }

    /// What a table or column does not say of itself, the project says.
    fn describe(&self, relation: &mut Relation) {
        let name = TableName::new(&relation.schema, &relation.name);
        let Some((table, columns)) = name.ok().and_then(|name| self.asker.described.get(&name)) else {
            return;
        };
        relation.comment = relation.comment.take().or_else(|| table.clone());
        for (comment, field) in relation.comments.iter_mut().zip(relation.columns.fields()) {
            *comment = comment.take().or_else(|| columns.get(&field.name().to_lowercase()).cloned());
        }
    }

    fn add(&mut self, key: &PgKey, oid: i32, index: i32) {
        let find = |table: &TableName| {
            self.relations.iter().find(|known| known.schema == table.schema() && known.name == table.table())
        };
        let places = |relation: &Relation, columns: &[String]| -> Option<Vec<i64>> {
            let place = |name: &String| {
                relation.columns.index_of(name).ok().and_then(|at| i64::try_from(at + 1).ok())
            };
            columns.iter().map(place).collect()
        };
        let Some(table) = find(&key.table) else { return };
        let Some(columns) = places(table, &key.columns) else { return };
        let of = match &key.of {
            None => None,
            Some((name, columns)) => {
                let Some(of) = find(name) else { return };
                let Some(places) = places(of, columns) else { return };
                let listed: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
                let written = format!("{}({})", qualified(of), listed.join(", "));
                Some((of.oid, places, written))
            }
        };
        let (table, schema) = (table.oid, table.schema.clone());
        let is_primary = of.is_none();
        if is_primary {
            let fields = self.relations.iter().find(|known| known.oid == table).map(|known| {
                let places = columns.iter().filter_map(|place| usize::try_from(place - 1).ok());
                places.map(|place| known.columns.field(place).clone()).collect::<Vec<_>>()
            });
            let columns = std::sync::Arc::new(Schema::new(fields.unwrap_or_default()));
            let count = columns.fields().len();
            self.by_name.insert(format!("{schema}.{}", key.name), index);
            self.relations.push(Relation {
                oid: index,
                schema: schema.clone(),
                name: key.name.clone(),
                kind: "i",
                columns,
                rows: None,
                bytes: None,
                comment: None,
                comments: vec![None; count],
                required: vec![false; count],
                view: None,
            });
        }
        let names = key.columns.clone();
        let index = if is_primary { index } else { 0 };
        self.keys.push(Key { oid, name: key.name.clone(), schema, table, columns, names, index, of });
    }

    /// The number of a relation by its name as it is written in SQL, with its schema or without.
    pub(super) fn number_of(&self, written: &str) -> Option<i32> {
        let parts = parts(written);
        match &parts[..] {
            [name] => [self.default_schema.as_str(), "pg_catalog", super::PUBLIC]
                .iter()
                .find_map(|schema| self.by_name.get(&format!("{schema}.{name}")).copied()),
            [.., schema, name] => self.by_name.get(&format!("{schema}.{name}")).copied(),
            [] => None,
        }
    }

    /// The name of a relation, as SQL writes it: with its schema, where it is not found without.
    pub(super) fn name_of(&self, oid: i32) -> Option<String> {
        let found = self.relation(oid)?;
        let is_near = found.schema == self.default_schema || found.schema == "pg_catalog";
        Some(if is_near { quoted(&found.name) } else { qualified(found) })
    }

    pub(super) fn relation(&self, oid: i32) -> Option<&Relation> {
        self.relations.iter().find(|known| known.oid == oid)
    }

    /// The number of a schema.
    pub(super) fn schema_number(&self, name: &str) -> i32 {
        self.schemas.iter().find(|(_, known)| known == name).map_or(0, |(oid, _)| *oid)
    }

    /// Who owns everything: no user, unless there is only the one who asks.
    pub(super) fn owner(&self) -> &'static str {
        "elt"
    }
}

async fn relation(
    session: &Session,
    provider: &dyn SchemaProvider,
    schema: &str,
    name: String,
    oid: i32,
) -> Result<Option<Relation>, QueryError> {
    let Some(table) = provider.table(&name).await? else { return Ok(None) };
    let columns = table.schema();
    let count = columns.fields().len();
    let scope = session.scope();
    let mut relation = Relation {
        oid,
        schema: schema.to_owned(),
        name,
        kind: "v",
        rows: None,
        bytes: None,
        comment: None,
        comments: vec![None; count],
        required: columns.fields().iter().map(|field| !field.is_nullable()).collect(),
        view: None,
        columns,
    };
    if schema == "pg_catalog" {
        relation.kind = "r";
        return Ok(Some(relation));
    }
    let Ok(known) = TableName::new(schema, &relation.name) else { return Ok(Some(relation)) };
    if !scope.has(&known) {
        return Ok(Some(relation));
    }
    if let Some(view) = scope.view_now(&known) {
        let is_told = scope.rights().is_none_or(|rights| !rights.are_limited());
        relation.view = is_told.then(|| view.sql.trim().trim_end_matches(';').to_owned());
        relation.comment = Some(view.description.clone()).filter(|text| !text.is_empty());
        return Ok(Some(relation));
    }
    relation.kind = "r";
    let Some(snapshot) = scope.base(&known).await? else { return Ok(Some(relation)) };
    let design = snapshot.design();
    relation.comment = design.description().map(str::to_owned);
    let fields = relation.columns.fields();
    relation.comments = fields.iter().map(|field| design.comment(field.name()).map(str::to_owned)).collect();
    relation.required = fields.iter().map(|field| !design.is_nullable(field.name())).collect();
    // How much there is in all is not told to who sees some of it.
    if !scope.is_guarded(&known) {
        relation.rows = snapshot.rows();
        relation.bytes = Some(snapshot.files().iter().map(crate::table::DataFile::size).sum());
    }
    Ok(Some(relation))
}

/// The parts of a name as it is written in SQL.
fn parts(written: &str) -> Vec<String> {
    let (mut parts, mut part, mut is_quoted) = (Vec::new(), String::new(), false);
    for letter in written.trim().chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            '.' if !is_quoted => parts.push(std::mem::take(&mut part)),
            _ if is_quoted => part.push(letter),
            _ => part.extend(letter.to_lowercase()),
        }
    }
    parts.push(part);
    parts
}

/// A name as SQL writes it.
pub(super) fn quoted(name: &str) -> String {
    let is_plain = name.chars().enumerate().all(|(at, letter)| {
        letter.is_ascii_lowercase() || letter == '_' || (at > 0 && (letter.is_ascii_digit() || letter == '$'))
    });
    if is_plain && !name.is_empty() { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn qualified(relation: &Relation) -> String {
    format!("{}.{}", quoted(&relation.schema), quoted(&relation.name))
}

/// A type of PostgreSQL, as a column has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PgType {
    pub(super) oid: i32,
    /// In `pg_type`.
    pub(super) name: &'static str,
    /// As SQL writes it.
    pub(super) words: &'static str,
    /// Bytes; -1 where they vary.
    pub(super) length: i64,
    /// Precision and scale, or -1.
    pub(super) modifier: i64,
    pub(super) is_list: bool,
}

/// The type that a column is sent as.
pub(super) fn pg_type(data_type: &DataType) -> PgType {
    let plain = |oid, name, words, length| PgType { oid, name, words, length, modifier: -1, is_list: false };
    let json = plain(114, "json", "json", -1);
    let number = |precision: u8, scale: i8| PgType {
        modifier: ((i64::from(precision) << 16) | (i64::from(scale) & 0xffff)) + 4,
        ..plain(1700, "numeric", "numeric", -1)
    };
    match data_type {
        DataType::Boolean => plain(16, "bool", "boolean", 1),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => plain(21, "int2", "smallint", 2),
        DataType::Int32 | DataType::UInt16 => plain(23, "int4", "integer", 4),
        DataType::Int64 | DataType::UInt32 => plain(20, "int8", "bigint", 8),
        DataType::UInt64 => number(20, 0),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => number(*precision, *scale),
        DataType::Float16 | DataType::Float32 => plain(700, "float4", "real", 4),
        DataType::Float64 => plain(701, "float8", "double precision", 8),
        DataType::Date32 | DataType::Date64 => plain(1082, "date", "date", 4),
        DataType::Time32(_) | DataType::Time64(_) => plain(1083, "time", "time without time zone", 8),
        DataType::Timestamp(_, None) => plain(1114, "timestamp", "timestamp without time zone", 8),
        DataType::Timestamp(_, Some(_)) => plain(1184, "timestamptz", "timestamp with time zone", 8),
        DataType::Interval(_) => plain(1186, "interval", "interval", 16),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            plain(17, "bytea", "bytea", -1)
        }
        DataType::Dictionary(_, values) => pg_type(values),
        DataType::Struct(_) | DataType::Map(..) => json,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            let of = pg_type(item.data_type());
            let (oid, name) = match of.oid {
                16 => (1000, "_bool"),
                17 => (1001, "_bytea"),
                21 => (1005, "_int2"),
                23 => (1007, "_int4"),
                20 => (1016, "_int8"),
                700 => (1021, "_float4"),
                701 => (1022, "_float8"),
                1082 => (1182, "_date"),
                1083 => (1183, "_time"),
                1114 => (1115, "_timestamp"),
                1184 => (1185, "_timestamptz"),
                1186 => (1187, "_interval"),
                1700 => (1231, "_numeric"),
                25 if !of.is_list => (1009, "_text"),
                _ => return json,
            };
            match of.is_list {
                true => json,
                false => PgType { is_list: true, ..plain(oid, name, "ARRAY", -1) },
            }
        }
        _ => plain(25, "text", "text", -1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_as_sql_has_them() {
        assert_eq!(parts("Main.\"Or.ders\""), ["main", "Or.ders"]);
        assert_eq!(quoted("orders_2"), "orders_2");
        assert_eq!(quoted("Orders"), "\"Orders\"");
    }

    #[test]
    fn columns_have_the_types_that_they_are_sent_as() {
        let list =
            |item| DataType::List(std::sync::Arc::new(arrow::datatypes::Field::new("item", item, true)));
        assert_eq!(pg_type(&DataType::Decimal128(10, 2)).modifier, (10 << 16) + 2 + 4);
        assert_eq!(pg_type(&list(DataType::Int64)).name, "_int8");
        assert_eq!(pg_type(&list(list(DataType::Int64))).name, "json");
        assert_eq!(pg_type(&DataType::Timestamp(arrow::datatypes::TimeUnit::Nanosecond, None)).oid, 1114);
    }
}
