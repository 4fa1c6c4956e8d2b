//! What can a client agree on?
//!
//! `SET name = value` and the protocol's session options are the same. What is not in the list of [`SETTINGS`] is refused:
//! other settings of the engine could take memory or threads from everybody.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use tonic::Status;

use super::clients::{Agreed, Client};
use super::endpoint::Endpoint;
use super::wire::Wire;
use crate::base::{Division, NullOrder, ReleaseNumber, did_you_mean, parse_duration};
use crate::lakehouse::time_zone;

/// The catalog that every table is in.
pub(super) const CATALOG: &str = "elt";

/// Endpoints that an answer can be fetched from at once.
const MOST_ENDPOINTS: usize = 64;

/// What can be set, each by all its names; the first is the one that is told.
pub(super) const SETTINGS: [(Setting, &[&str]); 9] = [
    (Setting::Catalog, &["catalog"]),
    (Setting::Schema, &["schema", "elt.schema", "search_path"]),
    (Setting::Release, &["elt.release", "release"]),
    (
        Setting::TimeZone,
        &["timezone", "time_zone", "elt.time_zone", "datafusion.execution.time_zone", "time.zone"],
    ),
    (Setting::Division, &["integer_division", "elt.integer_division"]),
    (Setting::Nulls, &["null_order", "default_null_order", "elt.null_order"]),
    (Setting::ArrowNative, &["elt.arrow_native", "arrow_native"]),
    (Setting::Time, &["elt.query_timeout", "query_timeout", "statement_timeout"]),
    (Setting::Endpoints, &["elt.endpoints", "endpoints"]),
];

/// Something that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Catalog,
    Schema,
    Release,
    TimeZone,
    Division,
    Nulls,
    ArrowNative,
    Time,
    Endpoints,
}

impl Setting {
    fn named(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        SETTINGS.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(setting, _)| *setting)
    }
}

/// Whether something of this name can be set.
#[cfg(feature = "postgres")]
pub(super) fn is_setting(name: &str) -> bool {
    Setting::named(name).is_some()
}

/// Why something was not set.
pub(super) enum NotSet {
    /// There is no such setting.
    Name(String),
    /// It cannot be set to this.
    Value(String),
    /// Something else went wrong.
    Other(Status),
}

impl From<NotSet> for Status {
    fn from(error: NotSet) -> Self {
        match error {
            NotSet::Name(text) | NotSet::Value(text) => Self::invalid_argument(text),
            NotSet::Other(status) => status,
        }
    }
}

/// A number with its unit; without one it is of seconds, as everywhere here, and of milliseconds under PostgreSQL's name for it.
fn time_of(name: &str, value: &str) -> Option<Duration> {
    match value.trim().parse::<u64>() {
        Ok(number) if name.eq_ignore_ascii_case("statement_timeout") => Some(Duration::from_millis(number)),
        Ok(number) => Some(Duration::from_secs(number)),
        Err(_) => parse_duration(&value.trim().replace("min", "m")),
    }
}

impl Endpoint {
    /// Holds what was agreed on. Returns the token of the client that the caller has become, if it shared one with others.
    pub(super) fn keep(&self, client: &Arc<Client>, wanted: Agreed) -> Option<String> {
        if wanted == client.agreed() {
            return None;
        }
        if client.shared {
            return Some(self.clients.apart(client, wanted));
        }
        client.agree(wanted);
        None
    }

    /// What would be agreed on with one thing more.
    pub(super) async fn wanted(
        &self,
        mut agreed: Agreed,
        name: &str,
        value: Option<&str>,
    ) -> Result<Agreed, NotSet> {
        let Some(setting) = Setting::named(name) else {
            let all: Vec<&str> = SETTINGS.iter().map(|(_, names)| names[0]).collect();
            let help = did_you_mean(name, all.iter().copied())
                .unwrap_or_else(|| format!("there are: {}", all.join(", ")));
            return Err(NotSet::Name(format!("`{name}` cannot be set here\nhelp: {help}")));
        };
        let value = value.filter(|value| !value.is_empty());
        let wrong = |because: String, help: &str| Err(NotSet::Value(format!("{because}\nhelp: {help}")));
        match (setting, value) {
            (Setting::Catalog, None) => {}
            (Setting::Catalog, Some(catalog)) if catalog.eq_ignore_ascii_case(CATALOG) => {}
            (Setting::Catalog, Some(catalog)) => {
                return wrong(
                    format!("there is no catalog `{catalog}`"),
                    "every table is in the catalog `elt`",
                );
            }
            (Setting::Schema, None) => agreed.manner.schema = None,
            (Setting::Schema, Some(schema)) => {
                let schema = schema.to_lowercase();
                let session = self.session(&agreed).await.map_err(NotSet::Other)?;
                let mut known = session.scope().schemas();
                known.push(self.lakehouse.default_schema().to_owned());
                known.sort();
                known.dedup();
                if !known.contains(&schema) {
                    let help = did_you_mean(&schema, known.iter().map(String::as_str));
                    return wrong(
                        format!("there is no schema `{schema}`"),
                        &help.unwrap_or_else(|| format!("there are: {}", known.join(", "))),
                    );
                }
                agreed.manner.schema = Some(schema);
            }
            (Setting::Release, None) => agreed.manner.release = None,
            (Setting::Release, Some(number)) if number.eq_ignore_ascii_case("latest") => {
                agreed.manner.release = None;
            }
            (Setting::Release, Some(number)) => {
                let Ok(number) = number.parse::<u64>() else {
                    return wrong(
                        format!("`{number}` is not a release"),
                        "write `set elt.release = 3`, or `default`",
                    );
                };
                agreed.manner.release = Some(ReleaseNumber(number));
                self.session(&agreed).await.map_err(NotSet::Other)?;
            }
            (Setting::TimeZone, None) => agreed.manner.time_zone = None,
            (Setting::TimeZone, Some(zone)) => match time_zone(zone) {
                Ok(zone) => agreed.manner.time_zone = zone,
                Err(mistake) => {
                    return wrong(mistake.to_string(), mistake.help_text().unwrap_or_default());
                }
            },
            (Setting::Division, None) => agreed.manner.division = None,
            (Setting::Division, Some(value)) => match Division::read(value) {
                Some(division) => agreed.manner.division = Some(division),
                None => {
                    return wrong(format!("`{value}` is neither true nor false"), "write `true` or `false`");
                }
            },
            (Setting::Time, None) => agreed.time = None,
            (Setting::Time, Some(value)) => match time_of(name, value) {
                // More than the server allows is as much as it allows.
                Some(time) => {
                    let most = self.workers.limits.time;
                    agreed.time = Some(time).filter(|time| !time.is_zero()).map(|time| time.min(most));
                }
                None => {
                    return wrong(
                        format!("`{value}` is no time that a statement may take"),
                        "write seconds (of `statement_timeout` milliseconds), or a number with its unit: `500ms`, `30s`, `10m`; 0 is as long as the server allows",
                    );
                }
            },
            (Setting::Nulls, None) => agreed.manner.nulls = None,
            (Setting::Nulls, Some(value)) => match NullOrder::read(value) {
                Some(nulls) => agreed.manner.nulls = Some(nulls),
                None => {
                    return wrong(
                        format!("`{value}` is no order of nulls"),
                        "write `last`, `first`, `largest` or `smallest`",
                    );
                }
            },
            (Setting::Endpoints, None) => agreed.endpoints = None,
            (Setting::Endpoints, Some(count)) => match count.parse::<usize>() {
                Ok(count) if (1..=MOST_ENDPOINTS).contains(&count) => agreed.endpoints = Some(count),
                _ => {
                    return wrong(
                        format!("`{count}` is no number of endpoints"),
                        "write a number from 1 to 64",
                    );
                }
            },
            (Setting::ArrowNative, None) => agreed.wire = Wire::Plain,
            (Setting::ArrowNative, Some(value)) => match value.to_lowercase().as_str() {
                "true" | "on" | "1" => agreed.wire = Wire::Native,
                "false" | "off" | "0" => agreed.wire = Wire::Plain,
                _ => return wrong(format!("`{value}` is neither true nor false"), "write `true` or `false`"),
            },
        }
        Ok(agreed)
    }

    /// What holds, by the names that are told.
    pub(super) fn told(&self, agreed: &Agreed) -> Vec<(&'static str, String)> {
        let told = |setting| match setting {
            Setting::Catalog => Some(CATALOG.to_owned()),
            Setting::Schema => {
                let own = || self.lakehouse.default_schema().to_owned();
                Some(agreed.manner.schema.clone().unwrap_or_else(own))
            }
            Setting::Release => agreed.manner.release.map(|number| number.to_string()),
            Setting::TimeZone => Some(agreed.manner.time_zone.clone().unwrap_or_else(|| "UTC".to_owned())),
            Setting::Division => agreed.manner.division.map(|division| division.told().to_owned()),
            Setting::Time => agreed.time.map(|time| format!("{}ms", time.as_millis())),
            Setting::Nulls => agreed.manner.nulls.map(|nulls| nulls.told().to_owned()),
            Setting::Endpoints => agreed.endpoints.map(|count| count.to_string()),
            Setting::ArrowNative => Some((agreed.wire == Wire::Native).to_string()),
        };
        SETTINGS.iter().filter_map(|(setting, names)| Some((names[0], told(*setting)?))).collect()
    }

    /// What a `SHOW` of something that is agreed on tells; nothing for other names.
    pub(super) fn shown(&self, agreed: &Agreed, name: &str) -> Option<(SchemaRef, RecordBatch)> {
        // `show release` is of a table of this name, as everywhere.
        let is_setting = name.contains('.') || ["timezone", "time_zone"].contains(&name);
        let setting = Setting::named(name).filter(|_| is_setting)?;
        let told = self.told(agreed).into_iter().find(|(told, _)| Setting::named(told) == Some(setting));
        let at_first = || match setting {
            Setting::Release => "latest",
            Setting::Endpoints => "1",
            Setting::Time => "0",
            _ => "default",
        };
        let value = told.map_or_else(|| at_first().to_owned(), |(_, value)| value);
        Some(self.setting(name, Some(&value)))
    }

    /// What a `SET` tells.
    pub(super) fn setting(&self, name: &str, value: Option<&str>) -> (SchemaRef, RecordBatch) {
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let schema = Arc::new(Schema::new(vec![text("name"), text("value")]));
        let columns: Vec<arrow::array::ArrayRef> =
            vec![Arc::new(StringArray::from(vec![name])), Arc::new(StringArray::from(vec![value]))];
        let rows = RecordBatch::try_new(Arc::clone(&schema), columns).expect("two columns of one row");
        (schema, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_have_a_unit() {
        for (text, milliseconds) in
            [("1500", 1_500), ("30s", 30_000), ("5min", 300_000), (" 250ms ", 250), ("0", 0)]
        {
            assert_eq!(
                time_of("statement_timeout", text),
                Some(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        assert_eq!(time_of("elt.query_timeout", "30"), Some(Duration::from_secs(30)));
        assert_eq!(time_of("elt.query_timeout", "30ms"), Some(Duration::from_millis(30)));
        for wrong in ["soon", "-1", "", "3 fortnights"] {
            assert_eq!(time_of("elt.query_timeout", wrong), None, "{wrong}");
        }
    }
}
