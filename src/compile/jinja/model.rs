//! What does a template see of the node that it belongs to?
//!
//! `model`: what is cheap to say is said at once; columns, parents and the like are looked up in the graph when they are asked
//! for, and are empty while names are only recorded.

use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use serde_json::{Value as Json, json};

use crate::base::TableName;
use crate::project::Edition;

use super::defaults;
use super::scope::Scope;
use super::values;

/// What a word is before the graph is known.
type Unknown = fn() -> Json;

/// What the graph says of a node, and what stands for it before there is one.
const OF_THE_GRAPH: [(&str, Unknown); 12] = [
    ("depends_on", || json!({"nodes": [], "macros": []})),
    ("refs", || json!([])),
    ("sources", || json!([])),
    ("columns", || json!({})),
    ("description", || "".into()),
    ("raw_code", || "".into()),
    ("checksum", || json!({"name": "sha256", "checksum": ""})),
    ("patch_path", || Json::Null),
    ("constraints", || json!([])),
    ("contract", || json!({"enforced": false, "alias_types": true, "checksum": null})),
    ("relation_name", || Json::Null),
    ("unrendered_config", || json!({})),
];

/// Whether a template may ask `model` for something that the graph says.
pub(in crate::compile) fn asks_of_graph(text: &str) -> bool {
    let mut asked = text.match_indices("model").map(|(at, word)| &text[at + word.len()..]);
    asked.any(|rest| {
        let rest = rest.strip_prefix(".get(").or_else(|| rest.strip_prefix(['.', '[']));
        let rest = rest.map(|rest| rest.trim_start_matches(['\'', '"', ' ']));
        rest.is_some_and(|rest| OF_THE_GRAPH.iter().any(|(key, _)| rest.starts_with(key)))
    })
}

/// `model`
#[derive(Debug)]
pub(super) struct Model {
    said: serde_json::Map<String, Json>,
    scope: Arc<Scope>,
}

impl Model {
    pub(super) fn value(scope: &Arc<Scope>) -> Value {
        let subject = &scope.subject;
        let this = subject.this.as_ref();
        let mut config = defaults::of(subject.resource_type);
        config.extend(subject.config.iter().map(|(key, value)| (key.to_owned(), value.clone())));
        let said = json!({
            "unique_id": subject.id,
            "name": subject.name,
            "resource_type": subject.resource_type,
            "package_name": if subject.package.is_empty() { &scope.given.project } else { &subject.package },
            "path": inside(&subject.path, &subject.fqn, subject.edition.is_some()),
            "original_file_path": subject.path,
            "fqn": subject.fqn,
            "alias": this.map_or(subject.name.as_str(), TableName::table),
            "schema": this.map_or(scope.given.target.schema.as_str(), TableName::schema),
            "database": super::relation::DATABASE,
            "meta": subject.config.get("meta").cloned().unwrap_or_else(|| json!({})),
            "group": subject.config.get("group"),
            "docs": config.get("docs"),
            "access": config.get("access"),
            "language": "sql",
            "batch": subject.batch.as_ref().map(|batch| json!({
                "id": batch.id(),
                "event_time_start": batch.start.format("%Y-%m-%d %H:%M:%S%:z").to_string(),
                "event_time_end": batch.end.format("%Y-%m-%d %H:%M:%S%:z").to_string(),
            })),
            "version": subject.edition.as_ref().map(|edition| Edition::written(&edition.version)),
            "latest_version": subject.edition.as_ref().map(|edition| Edition::written(&edition.latest)),
            "tags": subject.config.get("tags").cloned().unwrap_or_else(|| json!([])),
            "config": config,
        });
        Value::from_object(Self { said: said.as_object().cloned().unwrap_or_default(), scope: scope.clone() })
    }
}

impl Object for Model {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        if let Some(said) = self.said.get(key) {
            return Some(values::from_json(said));
        }
        let (_, empty) = OF_THE_GRAPH.iter().find(|(known, _)| *known == key)?;
        let of_graph = || {
            let nodes = self.scope.given.graph.get()?.get_attr("nodes").ok()?;
            let node = nodes.get_item(&self.scope.subject.id.as_str().into()).ok()?;
            node.get_attr(key).ok().filter(|value| !value.is_undefined())
        };
        Some(of_graph().unwrap_or_else(|| values::from_json(&empty())))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let all = self.said.keys().map(String::as_str).chain(OF_THE_GRAPH.iter().map(|(key, _)| *key));
        Enumerator::Values(all.map(Value::from).collect())
    }
}

/// The path of a file below the folder of its kind: that of `models/staging/a.sql` is `staging/a.sql`.
///
/// `fqn` is the package, the folders and the name, and a version if the node has one.
pub(in crate::compile) fn inside(path: &str, fqn: &[String], has_version: bool) -> String {
    let folders = fqn.len().saturating_sub(if has_version { 3 } else { 2 });
    let parts: Vec<&str> = path.split('/').collect();
    parts[parts.len().saturating_sub(folders + 1)..].join("/")
}

#[cfg(test)]
mod tests {
    #[test]
    fn templates_that_ask_of_the_graph_are_known() {
        for text in ["{{ model.refs }}", "{{ model['depends_on'].nodes }}", "{{ model.get('columns', {}) }}"]
        {
            assert!(super::asks_of_graph(text), "{text}");
        }
        for text in ["{{ model.name }}", "{{ model }}", "{% macro f(model, columns) %}", "the model, refs"] {
            assert!(!super::asks_of_graph(text), "{text}");
        }
    }

    #[test]
    fn a_path_begins_below_the_folder_of_its_kind() {
        for (path, fqn, has_version, inside) in [
            ("models/a.sql", "p.a", false, "a.sql"),
            ("models/x/y/a.sql", "p.x.y.a", false, "x/y/a.sql"),
            ("models/x/a_v2.sql", "p.x.a.v2", true, "x/a_v2.sql"),
            ("packages/q/models/deep/b.sql", "q.deep.b", false, "deep/b.sql"),
        ] {
            let fqn: Vec<String> = fqn.split('.').map(str::to_owned).collect();
            assert_eq!(super::inside(path, &fqn, has_version), inside, "{path}");
        }
    }
}
