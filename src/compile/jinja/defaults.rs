//! Which settings does a node have that nobody set?
//!
//! dbt's own defaults, as `config.get(…)` and `model.config` show them to a template.

use serde_json::{Map, Value, json};

/// The settings of a kind of node before anybody says anything.
pub(super) fn of(resource_type: &str) -> Map<String, Value> {
    let whole = match resource_type {
        "test" => json!({
            "enabled": true, "tags": [], "meta": {}, "materialized": "test", "severity": "ERROR", "fail_calc": "count(*)",
            "warn_if": "!= 0", "error_if": "!= 0", "store_failures": null, "where": null, "limit": null, "group": null,
        }),
        "source" => json!({"enabled": true, "meta": {}, "tags": [], "event_time": null, "freshness": null}),
        "model" | "seed" | "snapshot" | "analysis" => {
            let mut all = json!({
                "enabled": true, "tags": [], "meta": {}, "materialized": "view", "persist_docs": {}, "quoting": {},
                "column_types": {}, "full_refresh": null, "unique_key": null, "on_schema_change": "ignore",
                "on_configuration_change": "apply", "grants": {}, "packages": [], "group": null, "post-hook": [],
                "pre-hook": [], "docs": {"show": true, "node_color": null}, "incremental_strategy": null,
                "batch_size": null, "lookback": 1, "begin": null, "event_time": null, "concurrent_batches": null,
                "contract": {"enforced": false, "alias_types": true}, "access": "protected",
            });
            match resource_type {
                "seed" => {
                    all["materialized"] = "seed".into();
                    all["delimiter"] = ",".into();
                    all["quote_columns"] = Value::Null;
                }
                "snapshot" => {
                    all["materialized"] = "snapshot".into();
                    all["hard_deletes"] = "ignore".into();
                }
                _ => {}
            }
            all
        }
        _ => return Map::new(),
    };
    whole.as_object().cloned().unwrap_or_default()
}
