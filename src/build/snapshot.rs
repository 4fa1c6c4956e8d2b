//! How does a snapshot remember?
//!
//! Everything is one query over the snapshot as it is and the staged rows of its query: versions that end,
//! and versions that begin. The table room merges them by `dbt_scd_id`, in one commit. Two rows of one key
//! are refused before anything is written.

use arrow::datatypes::Schema;
use chrono::{DateTime, Utc};

use super::incremental::{is_expression, key_term, own_name};
use super::sql_text::{cast, literal, quoted, table};
use crate::base::TableName;
use crate::compile::{HardDeletes, SnapshotNode, SnapshotStrategy};

/// What parts of a key are called that are expressions, with their number behind.
const KEY: &str = "elt_key_";

/// The ids that are in the table already.
const KNOWN: &str = "elt_known_id";

/// What one run of a snapshot works on.
pub(super) struct Run<'a> {
    pub(super) node: &'a SnapshotNode,
    /// The snapshot as it is, with its columns.
    pub(super) old: Option<(&'a TableName, &'a Schema)>,
    /// The staged rows of the query, with their columns.
    pub(super) new: (&'a TableName, &'a Schema),
    pub(super) now: DateTime<Utc>,
}

fn has(schema: &Schema, name: &str) -> bool {
    schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name))
}

impl Run<'_> {
    fn present(&self) -> String {
        format!("cast('{}' as timestamp)", self.now.format("%Y-%m-%d %H:%M:%S%.6f"))
    }

    /// The instant at which a row of the query became what it is.
    fn updated_at(&self) -> String {
        match &self.node.strategy {
            SnapshotStrategy::Timestamp { updated_at }
            | SnapshotStrategy::Check { updated_at: Some(updated_at), .. } => {
                format!("cast({updated_at} as timestamp)")
            }
            SnapshotStrategy::Check { updated_at: None, .. } => self.present(),
        }
    }

    fn open_end(&self) -> String {
        match &self.node.valid_to_current {
            Some(expression) => format!("cast({expression} as timestamp)"),
            None => "cast(null as timestamp)".to_owned(),
        }
    }

    /// The condition that a version in the table is the present one.
    fn is_current(&self, alias: &str) -> String {
        let valid_to = format!("{alias}.{}", quoted(&self.node.names.valid_to));
        match &self.node.valid_to_current {
            Some(expression) => {
                format!("({valid_to} is null or {valid_to} = cast({expression} as timestamp))")
            }
            None => format!("{valid_to} is null"),
        }
    }

    fn columns(&self) -> Vec<&str> {
        self.new.1.fields().iter().map(|field| field.name().as_str()).collect()
    }

    /// The rows of the query as versions that begin now.
    fn beginning(&self) -> String {
        let names = &self.node.names;
        let key = self.node.unique_key.iter();
        let key = key.map(|name| format!("coalesce(cast({} as varchar), '')", key_term(name, self.new.1)));
        let key = key.collect::<Vec<_>>().join(" || '|' || ");
        let updated_at = self.updated_at();
        let deleted = match self.node.hard_deletes {
            HardDeletes::NewRecord => format!(", 'False' as {}", quoted(&names.is_deleted)),
            _ => String::new(),
        };
        let all = self.columns().into_iter().map(quoted).collect::<Vec<_>>().join(", ");
        format!(
            "select {all}, md5({key} || '|' || cast({updated_at} as varchar)) as {}, {updated_at} as {}, {updated_at} as {}, {} as {}{deleted} from {}",
            quoted(&names.scd_id),
            quoted(&names.updated_at),
            quoted(&names.valid_from),
            self.open_end(),
            quoted(&names.valid_to),
            table(self.new.0),
        )
    }

    /// Refuses a table that lacks columns of the snapshot's own, and keys that are not there.
    ///
    /// # Errors
    /// A sentence that says which.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(name) =
            self.node.unique_key.iter().find(|name| !has(self.new.1, name) && !self.is_expression(name))
        {
            return Err(format!("the query has no column `{name}`, which `unique_key` names"));
        }
        if let SnapshotStrategy::Check { columns: Some(columns), .. } = &self.node.strategy
            && let Some(name) = columns.iter().find(|name| !has(self.new.1, name))
        {
            return Err(format!("the query has no column `{name}`, which `check_cols` names"));
        }
        let Some((_, old)) = self.old else { return Ok(()) };
        let names = &self.node.names;
        let own = [&names.scd_id, &names.updated_at, &names.valid_from, &names.valid_to];
        let missing: Vec<&str> = own.into_iter().filter(|name| !has(old, name)).map(String::as_str).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!("Snapshot target is missing configured columns (missing {})", missing.join(", ")))
    }

    /// The rows to merge by `dbt_scd_id`: all of them begin, if there is no snapshot yet.
    pub(super) fn query(&self) -> String {
        let beginning = self.beginning();
        let Some((old_name, old)) = self.old else { return beginning };
        let names = &self.node.names;
        let old_table = table(old_name);
        let one = |(at, name): (usize, &String)| match self.is_expression(name) {
            true => format!("o.{KEY}{at} = n.{KEY}{at}"),
            false => {
                format!("o.{} = n.{}", quoted(&own_name(old, name)), quoted(&own_name(self.new.1, name)))
            }
        };
        let on = self.node.unique_key.iter().enumerate().map(one).collect::<Vec<_>>().join(" and ");
        let beginning = self.keyed(beginning);
        let current = self.keyed(format!("select * from {old_table} as o where {}", self.is_current("o")));
        let current = format!("({current})");
        let changed = self.changed(old);
        // Every version has the columns of the table and those that the query has new.
        let mut all: Vec<(String, String)> = Vec::new();
        for field in old.fields() {
            all.push((field.name().clone(), cast("null", field.data_type())));
        }
        for field in self.new.1.fields().iter().filter(|field| !has(old, field.name())) {
            all.push((field.name().clone(), cast("null", field.data_type())));
        }
        if self.node.hard_deletes == HardDeletes::NewRecord && !has(old, &names.is_deleted) {
            all.push((names.is_deleted.clone(), "cast(null as varchar)".to_owned()));
        }
        let list = |alias: &str, of: &dyn Fn(&str) -> Option<String>| {
            let one = |(name, null): &(String, String)| {
                let value = of(name).unwrap_or_else(|| null.clone());
                let _ = alias;
                format!("{value} as {}", quoted(name))
            };
            all.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let is = |name: &str, own: &str| name.eq_ignore_ascii_case(own);
        // Ending: the version as it is, but for its end.
        let ending = |end: &str| {
            let of = |name: &str| {
                if is(name, &names.valid_to) {
                    return Some(end.to_owned());
                }
                has(old, name).then(|| format!("o.{}", quoted(name)))
            };
            list("o", &of)
        };
        let begun = |name: &str| {
            let own =
                [&names.scd_id, &names.updated_at, &names.valid_from, &names.valid_to, &names.is_deleted];
            let there = has(self.new.1, name)
                || own.iter().any(|own| is(name, own))
                    && (!is(name, &names.is_deleted) || self.node.hard_deletes == HardDeletes::NewRecord);
            if !there {
                return None;
            }
            let old_type = old.fields().iter().find(|field| is(field.name(), name));
            let from = match is(name, &names.scd_id) {
                true => self.new_id(),
                false => format!("n.{}", quoted(&own_name(self.new.1, name))),
            };
            Some(old_type.map_or(from.clone(), |field| cast(&from, field.data_type())))
        };
        let begun = list("n", &begun);
        let known = format!(
            "left join (select distinct {0} as {KNOWN} from {old_table}) as k on k.{KNOWN} = n.{0}",
            quoted(&names.scd_id)
        );
        let valid_from = quoted(&names.valid_from);
        let mut parts = vec![
            format!(
                "select {} from {current} as o join ({beginning}) as n on {on} where {changed}",
                ending(&format!("n.{valid_from}"))
            ),
            format!("select {begun} from ({beginning}) as n left anti join {current} as o on {on} {known}"),
            format!(
                "select {begun} from ({beginning}) as n join {current} as o on {on} {known} where {changed}"
            ),
        ];
        let not_deleted = match self.node.hard_deletes {
            HardDeletes::NewRecord if has(old, &names.is_deleted) => {
                format!(" where coalesce(o.{}, 'False') <> 'True'", quoted(&names.is_deleted))
            }
            _ => String::new(),
        };
        let gone = format!("from {current} as o left anti join ({beginning}) as n on {on}{not_deleted}");
        if self.node.hard_deletes != HardDeletes::Ignore {
            parts.push(format!("select {} {gone}", ending(&self.present())));
        }
        if self.node.hard_deletes == HardDeletes::NewRecord {
            let of = |name: &str| {
                let present = self.present();
                let scd_id =
                    format!("md5(o.{} || '|deleted|' || cast({present} as varchar))", quoted(&names.scd_id));
                Some(match name {
                    name if is(name, &names.scd_id) => scd_id,
                    name if is(name, &names.updated_at) || is(name, &names.valid_from) => present,
                    name if is(name, &names.valid_to) => self.open_end(),
                    name if is(name, &names.is_deleted) => "'True'".to_owned(),
                    name if has(old, name) => format!("o.{}", quoted(name)),
                    _ => return None,
                })
            };
            parts.push(format!("select {} {gone}", list("o", &of)));
        }
        parts.join(" union all ")
    }

    /// The id of a version that begins. It is made of the key and of `updated_at`, which may not have moved since a
    /// version that is there already: then the present instant is in it too, so that an id is one version's.
    fn new_id(&self) -> String {
        let id = format!("n.{}", quoted(&self.node.names.scd_id));
        let other = format!("md5({id} || '|' || cast({} as varchar))", self.present());
        format!("case when k.{KNOWN} is null then {id} else {other} end")
    }

    fn is_expression(&self, key: &str) -> bool {
        is_expression(key, self.new.1)
    }

    /// The rows of a query with those parts of the key that are expressions, to be joined by.
    fn keyed(&self, query: String) -> String {
        let keys = self.node.unique_key.iter().enumerate().filter(|(_, key)| self.is_expression(key));
        let keys = keys.map(|(at, key)| format!(", ({key}) as {KEY}{at}")).collect::<String>();
        match keys.is_empty() {
            true => query,
            false => format!("select *{keys} from ({query})"),
        }
    }

    /// The condition that the present version `o` differs from the row `n`.
    fn changed(&self, old: &Schema) -> String {
        let names = &self.node.names;
        let back = match self.node.hard_deletes {
            HardDeletes::NewRecord if has(old, &names.is_deleted) => {
                format!("o.{} = 'True' or ", quoted(&names.is_deleted))
            }
            _ => String::new(),
        };
        let (valid_from, updated_at) = (quoted(&names.valid_from), quoted(&names.updated_at));
        match &self.node.strategy {
            SnapshotStrategy::Timestamp { .. } => format!("({back}o.{valid_from} < n.{updated_at})"),
            SnapshotStrategy::Check { columns, .. } => {
                let own = [&names.scd_id, &names.updated_at, &names.valid_from, &names.valid_to];
                let all: Vec<&str> = match columns {
                    Some(columns) => columns.iter().map(String::as_str).collect(),
                    None => self
                        .columns()
                        .into_iter()
                        .filter(|name| !own.iter().any(|own| *own == name))
                        .collect(),
                };
                // A column that is new makes every row a changed one.
                if all.iter().any(|name| !has(old, name)) {
                    return "true".to_owned();
                }
                let differs = |name: &&str| {
                    let (before, now) = (quoted(&own_name(old, name)), quoted(&own_name(self.new.1, name)));
                    format!("(o.{before} is distinct from n.{now})")
                };
                format!("({back}{})", all.iter().map(differs).collect::<Vec<_>>().join(" or "))
            }
        }
    }
}

/// What is said when two rows of the query have one key.
pub(super) fn duplicate_key(key: &[String], values: &[serde_json::Value]) -> String {
    let pairs = key.iter().zip(values).map(|(name, value)| format!("{name} = {}", text(value)));
    format!(
        "the query gives two rows with the same key: {}; make `unique_key` name a row",
        pairs.collect::<Vec<_>>().join(", ")
    )
}

fn text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => literal(text),
        other => other.to_string(),
    }
}
