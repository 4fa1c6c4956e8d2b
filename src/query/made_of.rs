//! What was a version of a table made of, to the column?
//!
//! A [`MadeOf`] is where the columns of an answer come from ([`Lineage`]), with the versions of the tables that were
//! read. Whoever writes the answer into a table keeps it in the commit, under [`MADE_OF`]; [`maker`] finds it again. A view
//! has no commit: its text is in the release, and says the same whenever it is planned.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{ColumnOf, Influence, Lineage, QueryError, Reads, Session, Then, Way};
use crate::base::{ReleaseNumber, TableName, TableVersion};
use crate::release::Pins;
use crate::table::{Commit, Tables, history};

/// What a commit calls it.
pub const MADE_OF: &str = "lineage";

/// So many commits are looked at for the one that made the rows.
const LOOKED_AT: usize = 256;
/// So many are read at once.
const AT_ONCE: usize = 8;

/// Where the rows of something come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MadeOf {
    /// The versions of all tables that were read, also through views.
    pub tables: BTreeMap<TableName, TableVersion>,
    /// Where the columns come from.
    pub lineage: Lineage,
}

impl MadeOf {
    /// Where an answer comes from whose plan has this lineage, and for which this was read.
    pub fn new(lineage: Lineage, reads: &Reads) -> Self {
        let mut tables = reads.only_past();
        tables.extend(reads.tables.iter().map(|(name, version)| (name.clone(), *version)));
        Self { tables, lineage }
    }

    /// What a view with this query is made of, in the release of a session. Names that it reads as they were have the
    /// versions that they had.
    ///
    /// # Errors
    /// The query does not fit what it reads.
    pub async fn of_view(session: &Session, sql: &str) -> Result<Self, QueryError> {
        let (_, lineage) = Box::pin(session.trace(sql)).await?;
        Ok(Self::of_lineage(lineage, session.scope().pins()))
    }

    /// What comes from there, of the tables as these pins have them. Names that are read as they were have the versions that
    /// they had.
    pub fn of_lineage(lineage: Lineage, pins: &Pins) -> Self {
        let pinned = &pins.tables;
        let mut tables = BTreeMap::new();
        for (name, then) in &lineage.past {
            if let Then::Version(version) = then {
                tables.insert(name.clone(), *version);
            }
        }
        let now = lineage.tables.iter().filter_map(|name| Some((name.clone(), *pinned.get(name)?)));
        tables.extend(now);
        Self { tables, lineage }
    }

    /// Puts what earlier rows were made of to it. Of a table that both read it is the later version.
    fn add(&mut self, earlier: Self) {
        for (table, version) in earlier.tables {
            self.tables.entry(table).or_insert(version);
        }
        for (name, from) in earlier.lineage.columns {
            match self.lineage.columns.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => known.extend(from),
                None => self.lineage.columns.push((name, from)),
            }
        }
        for (column, how) in earlier.lineage.rows {
            self.lineage.rows.entry(column).or_default().extend(how);
        }
        self.lineage.tables.extend(earlier.lineage.tables);
        self.lineage.past.extend(earlier.lineage.past);
    }

    /// Without what it says of one table.
    pub fn without(mut self, table: &TableName) -> Self {
        for (_, from) in &mut self.lineage.columns {
            from.retain(|of, _| of.table != *table);
        }
        self.lineage.rows.retain(|of, _| of.table != *table);
        self.lineage.tables.remove(table);
        self.lineage.past.retain(|(of, _)| of != table);
        self.tables.remove(table);
        self
    }

    /// As a commit keeps it.
    pub fn to_json(&self) -> Value {
        let columns = self.lineage.columns.iter().map(|(name, from)| {
            let from = from.iter().map(|(column, way)| with(place(column), "way", json!(way)));
            json!({"name": name, "from": from.collect::<Vec<_>>()})
        });
        let rows = self.lineage.rows.iter().map(|(column, how)| with(place(column), "by", json!(how)));
        let read = self.lineage.inputs().map(|(table, then)| at(named(table), then));
        json!({
            "tables": self.tables,
            "read": read.collect::<Vec<_>>(),
            "columns": columns.collect::<Vec<_>>(),
            "rows": rows.collect::<Vec<_>>(),
        })
    }

    /// Reads what a commit keeps; nothing if it is no such thing. What is not understood in it is left out.
    pub fn from_json(value: &Value) -> Option<Self> {
        let tables = value.get("tables")?.as_object()?.iter();
        let tables =
            tables.filter_map(|(name, version)| Some((name.parse().ok()?, TableVersion(version.as_u64()?))));
        let list = |key: &str| value.get(key).and_then(Value::as_array).into_iter().flatten();
        let columns = list("columns").filter_map(|column| {
            let from = column.get("from")?.as_array()?.iter();
            let from = from.filter_map(|one| Some((column_of(one)?, word(one.get("way")?)?)));
            Some((column.get("name")?.as_str()?.to_owned(), from.collect()))
        });
        let rows = list("rows").filter_map(|one| {
            let by = one.get("by")?.as_array()?.iter();
            Some((column_of(one)?, by.filter_map(word).collect()))
        });
        let read = list("read").filter_map(|one| Some((table_of(one)?, then_of(one))));
        let (past, now): (Vec<_>, Vec<_>) = read.partition(|(_, then)| then.is_some());
        let lineage = Lineage {
            columns: columns.collect(),
            rows: rows.collect(),
            tables: now.into_iter().map(|(table, _)| table).collect(),
            past: past.into_iter().filter_map(|(table, then)| Some((table, then?))).collect(),
        };
        Some(Self { tables: tables.collect(), lineage })
    }
}

/// A word that an enum is written as.
fn word<T: serde::de::DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

/// A table of the lake by its name, anything else by its place.
fn named(table: &TableName) -> Value {
    let key = if table.is_outside() { "place" } else { "table" };
    Value::Object(Map::from_iter([(key.to_owned(), json!(table.to_string()))]))
}

fn table_of(value: &Value) -> Option<TableName> {
    match value.get("place").and_then(Value::as_str) {
        Some(place) => Some(TableName::outside(place)),
        None => value.get("table")?.as_str()?.parse().ok(),
    }
}

fn place(column: &ColumnOf) -> Value {
    at(with(named(&column.table), "column", json!(column.column)), column.then)
}

/// The same, and what it was, if that is not what it is.
fn at(object: Value, then: Option<Then>) -> Value {
    match then {
        None => object,
        Some(Then::Version(version)) => with(object, "version", json!(version)),
        Some(Then::Release(release)) => with(object, "release", json!(release)),
    }
}

fn then_of(value: &Value) -> Option<Then> {
    let number = |key: &str| value.get(key).and_then(Value::as_u64);
    let version = number("version").map(|version| Then::Version(TableVersion(version)));
    version.or_else(|| number("release").map(|release| Then::Release(ReleaseNumber(release))))
}

fn column_of(value: &Value) -> Option<ColumnOf> {
    let column = value.get("column")?.as_str()?.to_owned();
    Some(ColumnOf { table: table_of(value)?, column, then: then_of(value) })
}

fn with(mut object: Value, key: &str, value: Value) -> Value {
    object[key] = value;
    object
}

/// The commit that made the rows of a version, and what of.
#[derive(Clone, Debug)]
pub struct Maker {
    /// The commit.
    pub commit: Commit,
    /// What of; nothing if it does not say so, as for files that were landed.
    pub of: Option<MadeOf>,
}

/// Finds the commit that made the rows of a table's version; nothing if its log does not go back that far.
///
/// That is the newest one that says what it is made of, or that landed files. Compacting, new properties and statements that
/// do not say it are passed over; from a restore it goes on at the version that was restored. Of a statement that
/// only adds or changes rows, what it says is put together with what those before it say, back to the one that made all rows:
/// a build's, or one in the place of all there were. If no commit says anything, it is the one of the version itself.
/// Takes a listing and a few reads.
pub async fn maker(
    tables: &Tables,
    table: &TableName,
    version: TableVersion,
) -> Result<Option<Maker>, QueryError> {
    let (mut upto, mut first, mut looked_at) = (version, None, 0);
    let mut so_far: Option<(Commit, MadeOf)> = None;
    while looked_at < LOOKED_AT {
        let commits = history(tables, table, upto, AT_ONCE).await?;
        let Some(oldest) = commits.last().map(|commit| commit.version) else { break };
        looked_at += commits.len();
        let mut next = oldest.0.checked_sub(1).map(TableVersion);
        for commit in commits {
            let of = made_of(&commit);
            let has_landed = commit.provenance.contains_key("load_id");
            let is_part = adds_to_rows(&commit);
            match (so_far.as_mut(), of) {
                (Some((_, whole)), Some(of)) => whole.add(of),
                (None, Some(of)) if is_part => so_far = Some((commit.clone(), of)),
                (None, Some(of)) => return Ok(Some(Maker { commit, of: Some(of) })),
                (None, None) if has_landed => return Ok(Some(Maker { commit, of: None })),
                (_, None) => {}
            }
            if let Some((commit, of)) = so_far.take_if(|_| has_landed || !is_part && replaces_rows(&commit)) {
                return Ok(Some(Maker { commit, of: Some(of) }));
            }
            let restored = (commit.operation.as_deref() == Some("RESTORE")).then(|| restored_from(&commit));
            first.get_or_insert(commit);
            if let Some(Some(version)) = restored {
                next = Some(version);
                break;
            }
        }
        match next {
            Some(next) => upto = next,
            None => break,
        }
    }
    Ok(match so_far {
        Some((commit, of)) => Some(Maker { commit, of: Some(of) }),
        None => first.map(|commit| Maker { commit, of: None }),
    })
}

/// Whether a statement made this commit, and left rows of before in the table. A build says of all rows what they are made of.
fn adds_to_rows(commit: &Commit) -> bool {
    let is_append = commit.parameters.get("mode").and_then(Value::as_str) == Some("Append");
    let of_rows = match commit.operation.as_deref() {
        Some("WRITE") => is_append,
        Some(operation) => matches!(operation, "MERGE" | "UPDATE"),
        None => false,
    };
    of_rows && !commit.provenance.contains_key("model")
}

/// Whether nothing of the rows before this commit is left, or a build says what all of them are made of.
fn replaces_rows(commit: &Commit) -> bool {
    let is_whole =
        |operation: &str| matches!(operation, "WRITE" | "CLONE") || operation.starts_with("CREATE");
    commit.provenance.contains_key("model") || commit.operation.as_deref().is_some_and(is_whole)
}

/// What a commit says of what its rows were made of.
pub fn made_of(commit: &Commit) -> Option<MadeOf> {
    let said = commit.provenance.get(MADE_OF).and_then(MadeOf::from_json);
    said.or_else(|| {
        // A clone: `schema.table version 3`.
        let (table, version) = commit.provenance.get("source")?.as_str()?.split_once(" version ")?;
        let table: TableName = table.parse().ok()?;
        let lineage = Lineage { tables: [table.clone()].into(), ..Lineage::default() };
        Some(MadeOf { tables: [(table, TableVersion(version.parse().ok()?))].into(), lineage })
    })
}

fn restored_from(commit: &Commit) -> Option<TableVersion> {
    let version = commit.parameters.get("version")?;
    let version = version.as_u64().or_else(|| version.as_str()?.parse().ok())?;
    (version < commit.version.0).then_some(TableVersion(version))
}

/// The word for what became of a value.
pub fn way_word(way: Way) -> &'static str {
    match way {
        Way::Copied => "copied",
        Way::Derived => "derived",
        Way::Aggregated => "aggregated",
    }
}

/// The words for how a column decides about rows: `filters, joins`.
pub fn influence_words<'a>(how: impl IntoIterator<Item = &'a Influence>) -> String {
    let words = how.into_iter().map(|influence| match influence {
        Influence::Filter => "filters",
        Influence::Join => "joins",
        Influence::Group => "groups",
        Influence::Sort => "sorts",
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_commit_keeps_is_read_as_it_was() {
        let column =
            |table: TableName, column: &str| ColumnOf { table, column: column.to_owned(), then: None };
        let then =
            |table: &TableName, then: Then| ColumnOf { then: Some(then), ..column(table.clone(), "was") };
        let orders = TableName::new("main", "orders").unwrap();
        let file = TableName::outside("in.box/a.csv");
        let lineage = Lineage {
            columns: vec![
                ("total".into(), [(column(orders.clone(), "amount"), Way::Aggregated)].into()),
                ("rate".into(), [(column(file.clone(), "rate"), Way::Copied)].into()),
                ("one".into(), BTreeMap::new()),
                ("before".into(), [(then(&orders, Then::Version(TableVersion(1))), Way::Derived)].into()),
                ("seen".into(), [(then(&orders, Then::Release(ReleaseNumber(2))), Way::Copied)].into()),
            ],
            rows: [(column(orders.clone(), "day"), [Influence::Filter, Influence::Group].into())].into(),
            tables: [orders.clone(), file].into(),
            past: [(orders.clone(), Then::Version(TableVersion(1)))].into(),
        };
        let made = MadeOf { tables: [(orders, TableVersion(3))].into(), lineage };
        assert_eq!(MadeOf::from_json(&made.to_json()), Some(made));
        assert_eq!(MadeOf::from_json(&json!("x")), None);
        assert_eq!(
            MadeOf::from_json(&json!({"tables": {}, "columns": [7], "rows": [{}]})),
            Some(MadeOf::default())
        );
    }
}
