//! How old may the rows of a source be?

use serde_json::Value;

use crate::base::Diagnostic;
use crate::project::{Config, plain};

use super::node::{Age, Freshness};

/// Reads `freshness` and what belongs to it; nothing if no age is given.
pub(super) fn read(config: &Config, found: &mut Vec<Diagnostic>) -> Option<Freshness> {
    let setting = config.get("freshness")?;
    let written = setting.value.as_object()?;
    let mut age = |key: &str| {
        let value = written.get(key).filter(|value| value.as_object().is_some_and(|o| !o.is_empty()))?;
        let read = read_age(value);
        if read.is_none() {
            let what = format!("`{key}` must have a `count` and a `period` of minute, hour or day");
            found.push(Diagnostic::error("elt::freshness", what).at(&setting.at, "not an age"));
        }
        read
    };
    let (warn_after, error_after) = (age("warn_after"), age("error_after"));
    if warn_after.is_none() && error_after.is_none() {
        return None;
    }
    Some(Freshness {
        warn_after,
        error_after,
        loaded_at: config.text("loaded_at_field"),
        loaded_at_query: config.text("loaded_at_query"),
        filter: written.get("filter").filter(|filter| !filter.is_null()).map(plain),
    })
}

fn read_age(value: &Value) -> Option<Age> {
    let count = plain(value.get("count")?).parse().ok()?;
    let period = match plain(value.get("period")?).trim_end_matches('s') {
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        _ => return None,
    };
    Some(Age { count, period })
}
