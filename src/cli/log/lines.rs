//! How are dbt's lines laid out?

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::Said;
use crate::base::{NodeFacts, Told};
use crate::cli::args::Level;

/// How wide lines are made with dots.
const WIDTH: usize = 80;

/// The line that says how a node ended.
pub(super) fn result_line<'a>(
    facts: &NodeFacts,
    told: &Told,
    (index, total): (usize, usize),
    took: Duration,
    node: &Value,
) -> Said<'a> {
    let seconds = took.as_secs_f64();
    let bad = matches!(told.status, "error" | "fail" | "partial success");
    let level = if bad {
        Level::Error
    } else if told.status == "warn" {
        Level::Warn
    } else {
        Level::Info
    };
    let what = description(facts);
    if told.status == "skipped" {
        let message = dotted(index, total, &format!("SKIP {what}"), "SKIP", None);
        let data = json!({
            "index": index, "total": total, "node_info": node, "node_name": facts.name,
            "resource_type": facts.resource_type, "schema": facts.schema,
        });
        return Said { name: "SkippingDetails", code: "Q034", level, message, data };
    }
    let rows = told.rows.map_or_else(|| "OK".to_owned(), |rows| format!("OK {rows}"));
    let failures = told.failures.unwrap_or(0.0) as i64;
    match facts.resource_type {
        "test" | "unit_test" => {
            let word = match told.status {
                "pass" => "PASS".to_owned(),
                "warn" => format!("WARN {failures}"),
                "fail" => format!("FAIL {failures}"),
                _ => "ERROR".to_owned(),
            };
            let message = dotted(index, total, &format!("{word} {}", facts.name), &word, Some(seconds));
            let data = json!({
                "attached_node": facts.attached, "execution_time": seconds, "index": index, "name": facts.name,
                "node_info": node, "num_failures": failures, "num_models": total, "status": told.status,
            });
            Said { name: "LogTestResult", code: "Q007", level, message, data }
        }
        "seed" => {
            let verb = if bad { "ERROR loading" } else { "OK loaded" };
            let end = if bad { "ERROR" } else { rows.as_str() };
            let message = dotted(index, total, &format!("{verb} {what}"), end, Some(seconds));
            let data = json!({
                "execution_time": seconds, "index": index, "node_info": node, "relation": facts.alias,
                "result_message": rows, "schema": facts.schema, "status": told.status, "total": total,
            });
            Said { name: "LogSeedResult", code: "Q016", level, message, data }
        }
        "snapshot" => {
            let verb = if bad { "ERROR snapshotting" } else { "OK snapshotted" };
            let end = if bad { "ERROR" } else { rows.as_str() };
            let message = dotted(index, total, &format!("{verb} {what}"), end, Some(seconds));
            let data = json!({
                "description": what, "execution_time": seconds, "index": index, "node_info": node,
                "cfg": {}, "status": told.status, "result_message": rows, "total": total,
            });
            Said { name: "LogSnapshotResult", code: "Q015", level, message, data }
        }
        _ => {
            let verb = if bad { "ERROR creating" } else { "OK created" };
            let status = if bad { told.status } else { rows.as_str() };
            let end = if bad { "ERROR" } else { rows.as_str() };
            let message = dotted(index, total, &format!("{verb} {what}"), end, Some(seconds));
            let data = json!({
                "description": what, "execution_time": seconds, "index": index, "node_info": node,
                "status": status, "total": total,
            });
            Said { name: "LogModelResult", code: "Q012", level, message, data }
        }
    }
}

pub(super) fn node_info(
    facts: &NodeFacts,
    status: &str,
    began: Option<DateTime<Utc>>,
    ended: Option<DateTime<Utc>>,
) -> Value {
    let local = |at: Option<DateTime<Utc>>| {
        at.map(|at| at.format("%Y-%m-%dT%H:%M:%S%.6f").to_string()).unwrap_or_default()
    };
    let meta: Value = serde_json::from_str(&facts.meta).unwrap_or_default();
    json!({
        "materialized": facts.materialized, "meta": meta, "node_checksum": facts.checksum,
        "node_finished_at": local(ended), "node_name": facts.name, "node_path": facts.path,
        "node_relation": {
            "alias": facts.alias, "database": "elt", "relation_name": facts.relation_name, "schema": facts.schema,
        },
        "node_started_at": local(began), "node_status": status, "resource_type": facts.resource_type,
        "unique_id": facts.unique_id,
    })
}

/// What a node is, as dbt's lines name it: `sql view model main.orders`.
pub(super) fn description(facts: &NodeFacts) -> String {
    let relation = format!("{}.{}", facts.schema, facts.alias);
    match facts.resource_type {
        "model" => format!("sql {} model {relation}", facts.materialized),
        "seed" => format!("seed file {relation}"),
        "snapshot" => format!("snapshot {relation}"),
        "unit_test" => format!("unit_test {}", facts.name),
        _ => format!("test {}", facts.name),
    }
}

/// A line as dbt lays it out: `1 of 30 OK created sql view model main.a ....... [OK in 0.10s]`.
pub(super) fn dotted(index: usize, total: usize, text: &str, end: &str, seconds: Option<f64>) -> String {
    let line = format!("{index} of {total} {text} ");
    let dots = ".".repeat(WIDTH.saturating_sub(line.chars().count()));
    let took = seconds.map(|seconds| format!(" in {seconds:.2}s")).unwrap_or_default();
    format!("{line}{dots} [{end}{took}]")
}

/// How long it took: ` in 0 hours 0 minutes and 1.26 seconds`.
pub(super) fn execution(seconds: f64) -> String {
    format!(
        " in {} hours {} minutes and {:.2} seconds",
        (seconds / 3600.0) as u64,
        (seconds % 3600.0 / 60.0) as u64,
        seconds % 60.0
    )
}

pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

pub(super) fn word(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error | Level::None => "error",
    }
}

pub(super) fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_laid_out_as_dbt_does() {
        assert_eq!(
            dotted(1, 30, "OK created sql view model main.stg_customers", "OK", Some(0.0976)),
            "1 of 30 OK created sql view model main.stg_customers ........................... [OK in 0.10s]"
        );
    }
}
