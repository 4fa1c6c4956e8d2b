//! What does `manifest.json` have of metrics, semantic models and saved queries?
//!
//! What is written, with dbt's default for every key that is not.

use serde_json::{Map, Value, json};

use super::entries::references;
use super::sql_text;
use crate::base::TableName;
use crate::compile::{DocumentNode, Manifest, NodeId};

/// Completes the entry of a document by what dbt adds to its kind.
pub(super) fn complete(entry: &mut Map<String, Value>, document: &DocumentNode, manifest: &Manifest) {
    match document.kind {
        "metric" => metric(entry, manifest),
        "semantic_model" => semantic_model(entry, document, manifest),
        "saved_query" => saved_query(entry, document, manifest),
        "exposure" => {
            let named = &document.named;
            let metrics: Vec<[&str; 1]> = named.metrics.iter().map(|name| [name.as_str()]).collect();
            let missing = json!({
                "maturity": null, "url": null, "metrics": metrics, "refs": references(&named.refs),
                "sources": named.sources,
            });
            defaults(entry, missing);
        }
        "group" => defaults(entry, json!({"description": null, "config": {"meta": {}}})),
        _ => {}
    }
}

/// Adds what is not there.
fn defaults(entry: &mut Map<String, Value>, missing: Value) {
    for (key, value) in missing.as_object().into_iter().flatten() {
        entry.entry(key.clone()).or_insert_with(|| value.clone());
    }
}

/// A mapping with the defaults of what is not there.
fn with(value: &Value, missing: Value) -> Value {
    let mut entry = value.as_object().cloned().unwrap_or_default();
    defaults(&mut entry, missing);
    Value::Object(entry)
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

/// A measure that a metric is made of: its name alone, or with what is said of it.
fn measure(value: &Value) -> Value {
    let missing = json!({"filter": null, "alias": null, "join_to_timespine": false, "fill_nulls_with": null});
    match value {
        Value::String(name) => with(&json!({"name": name}), missing),
        Value::Null => Value::Null,
        value => with(value, missing),
    }
}

/// A metric that a metric is made of.
fn input(value: &Value) -> Value {
    let missing = json!({"filter": null, "alias": null, "offset_window": null, "offset_to_grain": null});
    match value {
        Value::String(name) => with(&json!({"name": name}), missing),
        Value::Null => Value::Null,
        value => {
            let mut whole = with(value, missing);
            whole["offset_window"] = window(whole["offset_window"].clone());
            whole
        }
    }
}

/// How deep metrics of metrics are looked through.
const DEPTH: usize = 20;

/// The measures that a metric is made of, directly or through other metrics.
fn measures_of(metric: &Map<String, Value>, manifest: &Manifest, depth: usize) -> Vec<Value> {
    let Some(params) = metric.get("type_params") else { return Vec::new() };
    let conversion = params.get("conversion_type_params");
    let direct = [
        params.get("measure"),
        conversion.and_then(|of| of.get("base_measure")),
        conversion.and_then(|of| of.get("conversion_measure")),
    ];
    let mut all: Vec<Value> =
        direct.into_iter().flatten().map(measure).filter(|one| !one.is_null()).collect();
    let metrics = [params.get("numerator"), params.get("denominator")]
        .into_iter()
        .flatten()
        .chain(list(params.get("metrics")));
    for one in metrics.filter(|_| depth < DEPTH) {
        let name = one.as_str().or_else(|| one.get("name")?.as_str()).unwrap_or_default();
        let other = manifest.documents.iter().find(|other| other.kind == "metric" && other.name == name);
        let below = other.and_then(|other| other.written.as_object());
        let below = below.map(|below| measures_of(below, manifest, depth + 1)).unwrap_or_default();
        all.extend(below.into_iter().filter(|one| !all.contains(one)).collect::<Vec<_>>());
    }
    all
}

/// A stretch of time, as a number of units: `1 month`.
fn window(value: Value) -> Value {
    let Some((count, unit)) = value.as_str().and_then(|text| text.trim().split_once(' ')) else {
        return value;
    };
    match count.trim().parse::<u64>() {
        Ok(count) => json!({"count": count, "granularity": unit.trim().trim_end_matches('s')}),
        Err(_) => value,
    }
}

fn filter(value: Option<&Value>) -> Value {
    match value {
        None | Some(Value::Null) => Value::Null,
        Some(Value::String(text)) => json!({"where_filters": [{"where_sql_template": text}]}),
        Some(Value::Array(texts)) => {
            let filters: Vec<Value> = texts.iter().map(|text| json!({"where_sql_template": text})).collect();
            json!({"where_filters": filters})
        }
        Some(other) => other.clone(),
    }
}

fn metric(entry: &mut Map<String, Value>, manifest: &Manifest) {
    let written = entry.get("type_params").cloned().unwrap_or_default();
    let of = |key: &str| written.get(key).cloned().unwrap_or_default();
    let own = measure(&of("measure"));
    let cumulative = match entry.get("type").and_then(Value::as_str) {
        Some("cumulative") => {
            let mut said = with(
                &of("cumulative_type_params"),
                json!({"window": of("window"), "grain_to_date": of("grain_to_date"), "period_agg": "first", "metric": null}),
            );
            said["window"] = window(said["window"].clone());
            said["metric"] = input(&said["metric"].clone());
            said
        }
        _ => of("cumulative_type_params"),
    };
    let measures = measures_of(entry, manifest, 0);
    let metrics: Vec<Value> = list(written.get("metrics")).map(input).collect();
    let params = json!({
        "measure": own, "input_measures": measures, "numerator": input(&of("numerator")),
        "denominator": input(&of("denominator")), "expr": of("expr"), "window": window(of("window")),
        "grain_to_date": of("grain_to_date"), "metrics": metrics, "conversion_type_params": of("conversion_type_params"),
        "cumulative_type_params": cumulative, "metric_aggregation_params": null, "join_to_timespine": false,
        "fill_nulls_with": null, "is_private": null,
    });
    entry.insert("type_params".into(), params);
    let filter = filter(entry.get("filter"));
    entry.insert("filter".into(), filter);
    defaults(
        entry,
        json!({"metadata": null, "time_granularity": null, "sources": [], "refs": [], "metrics": [], "group": null}),
    );
    group_in_config(entry);
}

fn group_in_config(entry: &mut Map<String, Value>) {
    let group = entry.get("group").cloned().unwrap_or_default();
    if let Some(Value::Object(config)) = entry.get_mut("config") {
        config.entry("group").or_insert(group);
    }
}

fn semantic_model(entry: &mut Map<String, Value>, document: &DocumentNode, manifest: &Manifest) {
    let completed = |key: &str, missing: &dyn Fn(&Value) -> Value| -> Value {
        let text = |one: Value| match one.get("expr") {
            // An expression may be written as a number.
            Some(expr) if !expr.is_string() && !expr.is_null() => {
                let expr = expr.to_string();
                with(&json!({"expr": expr}), one)
            }
            _ => one,
        };
        list(entry.get(key)).map(|one| text(with(one, missing(one)))).collect()
    };
    let entities = completed(
        "entities",
        &|_| json!({"description": null, "label": null, "role": null, "expr": null, "config": {"meta": {}}}),
    );
    let measures = completed("measures", &|_| {
        json!({
            "description": null, "label": null, "create_metric": false, "expr": null, "agg_params": null,
            "non_additive_dimension": null, "agg_time_dimension": null, "config": {"meta": {}},
        })
    });
    // The metrics that measures are by themselves are written out.
    let measures: Value =
        list(Some(&measures)).map(|one| with(&json!({"create_metric": false}), one.clone())).collect();
    let dimensions = completed("dimensions", &|_| {
        json!({
            "description": null, "label": null, "is_partition": false, "type_params": null, "expr": null,
            "metadata": null, "config": {"meta": {}},
        })
    });
    let dimensions: Value = list(Some(&dimensions))
        .map(|one| {
            let mut one = one.clone();
            if one["type_params"].is_object() {
                one["type_params"] = with(&one["type_params"], json!({"validity_params": null}));
            }
            one
        })
        .collect();
    entry.extend([
        ("entities".to_owned(), entities),
        ("measures".to_owned(), measures),
        ("dimensions".to_owned(), dimensions),
    ]);
    let node = document.depends_on.first().and_then(|id: &NodeId| manifest.nodes.get(id));
    if let Some(name) = node.and_then(|node| node.relation.as_ref()) {
        entry.insert("node_relation".into(), relation(name));
    }
    let refs: Vec<Value> =
        node.iter().map(|node| json!({"name": node.name, "package": null, "version": null})).collect();
    let missing =
        json!({"defaults": null, "metadata": null, "refs": refs, "primary_entity": null, "group": null});
    defaults(entry, missing);
    entry.remove("meta");
    entry.remove("tags");
    group_in_config(entry);
}

/// Where the rows of a model are.
pub(super) fn relation(name: &TableName) -> Value {
    json!({
        "alias": name.table(), "schema_name": name.schema(), "database": "elt",
        "relation_name": sql_text::table(name),
    })
}

fn saved_query(entry: &mut Map<String, Value>, document: &DocumentNode, manifest: &Manifest) {
    let params = entry.get("query_params").cloned().unwrap_or_default();
    let mut params =
        with(&params, json!({"metrics": [], "group_by": [], "where": null, "order_by": [], "limit": null}));
    params["where"] = filter(params.get("where"));
    let schema = TableName::new(&manifest.written.schema, &document.name).ok();
    let schema = schema.as_ref().map(TableName::schema).unwrap_or_default().to_owned();
    let exports: Value = list(entry.get("exports"))
        .map(|one| {
            let written = one.get("config").cloned().unwrap_or_else(|| json!({}));
            let as_schema = written.get("schema").cloned().unwrap_or_else(|| schema.clone().into());
            let alias = written.get("alias").cloned().unwrap_or_else(|| one["name"].clone());
            let config = json!({
                "export_as": written.get("export_as"), "schema_name": as_schema, "alias": alias, "database": "elt",
            });
            json!({"name": one["name"], "config": config, "unrendered_config": written})
        })
        .collect();
    entry.extend([("query_params".to_owned(), params), ("exports".to_owned(), exports)]);
    if entry.get("description").is_some_and(|text| text == "") {
        entry.insert("description".into(), Value::Null);
    }
    entry.remove("meta");
    defaults(entry, json!({"metadata": null, "refs": [], "group": null, "tags": []}));
    group_in_config(entry);
    if let Some(Value::Object(config)) = entry.get_mut("config") {
        let missing = json!({"export_as": null, "schema": null, "cache": {"enabled": false}});
        defaults(config, missing);
    }
}
