//! In which time zone is a session?
//!
//! Instants are kept in UTC. In a session with a zone of its own their columns are told in it from where they are read on
//! ([`InZone`]), with the same values: Arrow's type carries the zone, and whatever takes an instant apart, cuts it or writes it follows
//! it (`mend`). Filters are handed down as before, so that files are left out by their statistics. What is written goes back to UTC.
//!
//! Policies of roles are in UTC, wherever who asks says that they are.

use std::sync::Arc;

use async_trait::async_trait;
use chrono_tz::TZ_VARIANTS;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{Column, TableReference};
use datafusion::datasource::{TableType, ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast};
use datafusion::prelude::SessionContext;

use super::own::Own;
use super::types::in_zone;
use super::{SqlMistake, common};

/// The names of UTC.
const UTC: [&str; 12] =
    ["utc", "etc/utc", "z", "gmt", "etc/gmt", "uct", "zulu", "+00:00", "+00", "0", "local", "default"];

/// The time zone of a name, as it is spelt in the tz database: `Europe/Oslo`, or `+02:00`; nothing for UTC.
///
/// # Errors
/// `elt::sql::time_zone`: there is none of this name.
pub fn time_zone(name: &str) -> Result<Option<String>, SqlMistake> {
    let name = name.trim().trim_matches(['\'', '"']).trim();
    let lower = name.to_lowercase();
    if UTC.contains(&lower.as_str()) {
        return Ok(None);
    }
    if let Some(zone) = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name)) {
        return Ok(Some(zone.name().to_owned()));
    }
    // `GMT-02:00` is two hours ahead: POSIX counts to the west, and drivers of PostgreSQL write it so.
    let (offset, is_west) = match lower.strip_prefix("gmt").or_else(|| lower.strip_prefix("utc")) {
        Some(offset) => (offset, true),
        None => (lower.as_str(), false),
    };
    match offset_of(offset) {
        Some(0) => Ok(None),
        Some(minutes) => {
            let minutes = if is_west { -minutes } else { minutes };
            let sign = if minutes < 0 { '-' } else { '+' };
            Ok(Some(format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)))
        }
        None => Err(SqlMistake::new("elt::sql::time_zone", format!("there is no time zone `{name}`"))
            .help("zones are called `Europe/Oslo`, `UTC` or `+02:00`")),
    }
}

/// The minutes of `+02:00`, `-0530`, `-5`.
fn offset_of(text: &str) -> Option<i32> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) if minutes.len() == 2 => (hours, minutes),
        Some(_) => return None,
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "0"),
    };
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
    let (hours, minutes): (i32, i32) = (number(hours)?, number(minutes)?);
    (hours < 16 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// Lets a context be in the time zone that its session keeps.
pub(super) fn settle(context: &SessionContext, own: &Own) {
    let shared = context.state_ref();
    let mut state = shared.write();
    if state.config_options().execution.time_zone != own.zone() {
        *state = settled(state.clone(), own);
    }
}

/// The same state in the time zone that a session keeps.
pub(super) fn settled(state: SessionState, own: &Own) -> SessionState {
    let mut state = common::with_types_of(state, own);
    settle_state(&mut state, own.zone().as_deref());
    state
}

fn settle_state(state: &mut SessionState, zone: Option<&str>) {
    state.config_mut().options_mut().execution.time_zone = zone.map(str::to_owned);
    // Functions that depend on a setting keep what it was when they were registered.
    let options = state.config().options();
    let functions = state.scalar_functions().values();
    let changed: Vec<_> = functions.filter_map(|udf| udf.inner().with_updated_config(options)).collect();
    for function in changed {
        drop(state.register_udf(Arc::new(function))); // returns the one that it replaces; never fails
    }
}

/// The same state in UTC.
pub(super) fn in_utc(state: SessionState) -> SessionState {
    settled(state, &Own::default())
}

/// A schema whose tables' instants are told in a time zone.
#[derive(Debug)]
pub(super) struct InZone {
    pub(super) schema: Arc<dyn SchemaProvider>,
    pub(super) zone: String,
}

#[async_trait]
impl SchemaProvider for InZone {
    fn table_names(&self) -> Vec<String> {
        self.schema.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.schema.table(name).await? {
            Some(table) => told_in(name, table, &self.zone).map(Some),
            None => Ok(None),
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        self.schema.table_type(name).await
    }

    fn table_exist(&self, name: &str) -> bool {
        self.schema.table_exist(name)
    }
}

/// A table whose instants are told in a time zone.
fn told_in(name: &str, table: Arc<dyn TableProvider>, zone: &str) -> Result<Arc<dyn TableProvider>> {
    let schema = table.schema();
    if schema.fields().iter().all(|field| in_zone(field.data_type(), zone) == *field.data_type()) {
        return Ok(table);
    }
    let definition = table.get_table_definition().map(str::to_owned);
    let scan = LogicalPlanBuilder::scan(TableReference::bare(name), provider_as_source(table), None)?;
    let columns = scan.schema().columns().into_iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| {
        let there = in_zone(field.data_type(), zone);
        if there == *field.data_type() {
            return Expr::Column(column);
        }
        let Column { relation, name, .. } = column.clone();
        let told = cast(Expr::Column(column), there);
        match field.metadata().is_empty() {
            true => told.alias_qualified(relation, name),
            false => {
                let metadata = FieldMetadata::from(field.metadata().clone());
                told.alias_qualified_with_metadata(relation, name, Some(metadata))
            }
        }
    });
    let plan = scan.project(columns.collect::<Vec<_>>())?.build()?;
    Ok(Arc::new(ViewTable::new(plan, definition)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_go_by_their_names_and_by_what_clocks_are_ahead() {
        for (name, zone) in [
            ("america/new_york", Some("America/New_York")),
            ("'Europe/Berlin'", Some("Europe/Berlin")),
            ("EST5EDT", Some("EST5EDT")),
            ("UTC", None),
            ("+00:00", None),
            ("local", None),
            ("+02:00", Some("+02:00")),
            ("-0530", Some("-05:30")),
            ("-5", Some("-05:00")),
            ("GMT-02:00", Some("+02:00")),
        ] {
            assert_eq!(time_zone(name).unwrap().as_deref(), zone, "{name}");
        }
        for wrong in ["Mars/Olympus", "", "+99", "+1:2:3", "interval '1' hour", "+"] {
            assert!(time_zone(wrong).is_err(), "{wrong}");
        }
    }
}
