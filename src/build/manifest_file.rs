//! What does `manifest.json` hold?
//!
//! The project as it is meant, in dbt's shape. Each entry is made when it is written and dropped then: of thousands of
//! nodes, one is in memory.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::artifacts::{Each, Stamp, instant, metadata};
use super::entries;
use crate::compile::{DocumentNode, Manifest, NamedSelector, Node, NodeId, NodeKind, md5_hex};

/// `manifest.json` of a project, to be written.
#[derive(Clone, Copy, Debug)]
pub struct ManifestFile<'a> {
    manifest: &'a Manifest,
    late: &'a BTreeMap<NodeId, Node>,
    stamp: &'a Stamp,
}

/// `manifest.json`: the project as it is meant. `late` are the nodes that were compiled while they were built.
pub fn manifest<'a>(
    manifest: &'a Manifest,
    late: &'a BTreeMap<NodeId, Node>,
    stamp: &'a Stamp,
) -> ManifestFile<'a> {
    ManifestFile { manifest, late, stamp }
}

/// What `manifest.json` would have of a node, seed, source, unit test or document.
pub fn manifest_entry(manifest: &Manifest, id: &str) -> Option<Value> {
    let (late, stamp) = (BTreeMap::new(), Stamp::none());
    ManifestFile { manifest, late: &late, stamp: &stamp }.entry(id)
}

/// Entries of a mapping, made one after the other.
type Entries<'a> = Box<dyn Iterator<Item = (String, Value)> + 'a>;

impl<'a> ManifestFile<'a> {
    /// All of it at once, for those who look things up in it.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("a manifest is plain data")
    }

    /// The entry of one node, seed, source, unit test or document; nothing if there is none of this id.
    pub fn entry(&self, id: &str) -> Option<Value> {
        match self.manifest.nodes.get(id) {
            Some(node) => Some(self.node(node).1),
            None => self.documents().find(|one| one.id.as_str() == id).map(|one| self.document(one)),
        }
    }

    fn about(&self) -> Value {
        let (manifest, stamp) = (self.manifest, self.stamp);
        let mut about = metadata("manifest", 12, stamp);
        about.insert("project_name".into(), manifest.project.as_str().into());
        about.insert("project_id".into(), md5_hex(&manifest.project).into());
        about.insert("user_id".into(), Value::Null);
        about.insert("send_anonymous_usage_stats".into(), false.into());
        about.insert("run_started_at".into(), instant(stamp.started).into());
        let quoting = json!({"database": true, "schema": true, "identifier": true, "column": null});
        about.insert("quoting".into(), quoting);
        about.insert("adapter_type".into(), manifest.written.engine.as_str().into());
        about.into()
    }

    fn node(&self, node: &Node) -> (&'static str, Value) {
        let node = self.late.get(&node.id).unwrap_or(node);
        let parents = || ids(self.manifest.parents(&node.id));
        match &node.kind {
            NodeKind::Source(_) => ("sources", entries::source(node, self.manifest)),
            NodeKind::UnitTest(test) => {
                ("unit_tests", entries::unit_test(node, test, parents(), self.manifest))
            }
            _ => ("nodes", entries::node(node, parents(), self.manifest, self.stamp)),
        }
    }

    /// The nodes that are in one of the lists.
    fn of(&self, list: &'static str) -> Each<impl Fn() -> Entries<'a>> {
        let this = *self;
        let is_in = move |node: &&Node| {
            let own = match &node.kind {
                NodeKind::Source(_) => "sources",
                NodeKind::UnitTest(_) => "unit_tests",
                _ => "nodes",
            };
            own == list
        };
        Each(move || {
            let those = this.manifest.nodes.values().filter(is_in);
            Box::new(those.map(move |node| (node.id.to_string(), this.node(node).1))) as Entries<'a>
        })
    }

    fn documents(&self) -> std::slice::Iter<'a, DocumentNode> {
        self.manifest.documents.iter()
    }

    fn document(&self, document: &DocumentNode) -> Value {
        entries::document(document, self.manifest, self.stamp)
    }

    fn of_kind(&self, kind: &'static str) -> Each<impl Fn() -> Entries<'a>> {
        let this = *self;
        Each(move || {
            let those = this.documents().filter(move |document| document.kind == kind);
            Box::new(those.map(move |document| (document.id.to_string(), this.document(document))))
                as Entries<'a>
        })
    }

    fn disabled(&self) -> BTreeMap<String, Vec<Value>> {
        let mut disabled: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for node in &self.manifest.disabled {
            let entry = match &node.kind {
                NodeKind::UnitTest(test) => entries::unit_test(node, test, json!([]), self.manifest),
                _ => entries::node(node, json!([]), self.manifest, self.stamp),
            };
            disabled.entry(node.id.to_string()).or_default().push(entry);
        }
        disabled
    }

    /// For each node and document, what stands on it.
    fn children(&self) -> BTreeMap<&'a str, Vec<&'a str>> {
        let texts = |ids: &'a [NodeId]| ids.iter().map(NodeId::as_str).collect();
        let nodes = self.manifest.nodes.keys();
        let mut map: BTreeMap<&str, Vec<&str>> =
            nodes.map(|id| (id.as_str(), texts(self.manifest.children(id)))).collect();
        let documents = || self.documents().filter(|document| document.kind != "group");
        for document in documents() {
            map.entry(document.id.as_str()).or_default();
        }
        for document in documents() {
            for parent in &document.depends_on {
                if let Some(children) = map.get_mut(parent.as_str()) {
                    children.push(document.id.as_str());
                }
            }
        }
        map
    }

    fn groups(&self) -> BTreeMap<&'a str, Vec<&'a str>> {
        let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for node in self.manifest.nodes.values() {
            if let Some(group) = node.config.get("group").and_then(Value::as_str) {
                groups.entry(group).or_default().push(node.id.as_str());
            }
        }
        groups
    }
}

fn ids(ids: &[NodeId]) -> Value {
    ids.iter().map(|id| Value::from(id.as_str())).collect()
}

impl Serialize for ManifestFile<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let manifest = self.manifest;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("metadata", &self.about())?;
        map.serialize_entry("nodes", &self.of("nodes"))?;
        map.serialize_entry("sources", &self.of("sources"))?;
        let macros =
            || manifest.written.macros.iter().map(|one| (&one.id, entries::macro_text(one, manifest)));
        map.serialize_entry("macros", &Each(macros))?;
        let docs = || {
            let docs = manifest.written.docs.iter().map(entries::doc);
            docs.map(|one| (one["unique_id"].as_str().unwrap_or_default().to_owned(), one))
        };
        map.serialize_entry("docs", &Each(docs))?;
        for (list, kind) in [("exposures", "exposure"), ("metrics", "metric"), ("groups", "group")] {
            map.serialize_entry(list, &self.of_kind(kind))?;
        }
        let selector = |(name, one): (&'_ String, &NamedSelector)| {
            let entry = json!({"name": name, "description": one.description, "definition": one.written});
            (name.clone(), entry)
        };
        map.serialize_entry("selectors", &Each(|| manifest.selectors.iter().map(selector)))?;
        map.serialize_entry("disabled", &self.disabled())?;
        let parents = || {
            let nodes = manifest.nodes.keys().map(|id| (id.as_str(), ids(manifest.parents(id))));
            let documents = self.documents().filter(|document| document.kind != "group");
            nodes.chain(documents.map(|document| (document.id.as_str(), ids(&document.depends_on))))
        };
        map.serialize_entry("parent_map", &Each(parents))?;
        map.serialize_entry("child_map", &self.children())?;
        map.serialize_entry("group_map", &self.groups())?;
        map.serialize_entry("saved_queries", &self.of_kind("saved_query"))?;
        map.serialize_entry("semantic_models", &self.of_kind("semantic_model"))?;
        map.serialize_entry("unit_tests", &self.of("unit_tests"))?;
        map.serialize_entry("functions", &json!({}))?;
        map.end()
    }
}
