//! Is a node what it was in an earlier manifest?
//!
//! Compared is what people wrote, as `manifest.json` has it: texts, settings before they are rendered, the place in the
//! project. What follows from the target, such as the schema it goes to, is no change.

use std::collections::BTreeSet;

use serde_json::Value;

use super::manifest::Manifest;
use super::node::Node;

/// What `state:` can ask.
pub(super) const KINDS: [&str; 10] = [
    "new",
    "old",
    "modified",
    "unmodified",
    "modified.body",
    "modified.configs",
    "modified.contract",
    "modified.relation",
    "modified.persisted_descriptions",
    "modified.macros",
];

/// An earlier state of a project, to compare with.
pub(super) struct State<'a> {
    before: &'a Value,
    /// The project's and its packages' macros that are new or others than they were.
    macros: BTreeSet<&'a str>,
    /// What the manifest has of a node now.
    entry: fn(&Manifest, &str) -> Option<Value>,
    manifest: &'a Manifest,
}

impl<'a> State<'a> {
    pub(super) fn new(
        manifest: &'a Manifest,
        before: &'a Value,
        entry: fn(&Manifest, &str) -> Option<Value>,
    ) -> Self {
        let then = |id: &str| before.get("macros")?.get(id)?.get("macro_sql")?.as_str();
        // Those of the engine change with the engine.
        let own = manifest.written.macros.iter().filter(|one| !one.id.starts_with("macro.dbt."));
        let changed = own.filter(|one| then(&one.id).map(str::trim) != Some(one.text.trim()));
        Self { before, macros: changed.map(|one| one.id.as_str()).collect(), entry, manifest }
    }

    /// Whether the node or document `id` is in the state `kind`.
    pub(super) fn is(&self, kind: &str, id: &str) -> bool {
        let find = |list: &&str| self.before.get(*list).and_then(|list| list.get(id));
        let node = self.manifest.nodes.get(id);
        let macros = || node.is_some_and(|node| self.macros_changed(node));
        if kind == "modified.macros" {
            return macros();
        }
        let Some(old) = LISTS.iter().find_map(find) else {
            return kind != "old" && kind != "unmodified";
        };
        match kind {
            "new" => false,
            "old" => true,
            _ => {
                let now = (self.entry)(self.manifest, id).unwrap_or_default();
                let of = Compared { old, now: &now };
                match kind {
                    "unmodified" => !of.has_changed() && !macros(),
                    "modified.body" => of.body(),
                    "modified.configs" => of.configs(),
                    "modified.contract" => of.contract(),
                    "modified.relation" => of.relation(),
                    "modified.persisted_descriptions" => of.persisted_descriptions(),
                    _ => of.has_changed() || macros(),
                }
            }
        }
    }

    /// Whether a macro that the node calls, itself or through others, has changed.
    fn macros_changed(&self, node: &Node) -> bool {
        if self.macros.is_empty() {
            return false;
        }
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut left: Vec<&str> = node.macros.iter().chain(&node.called).map(String::as_str).collect();
        while let Some(id) = left.pop() {
            if self.macros.contains(id) {
                return true;
            }
            if seen.insert(id) {
                let known = self.manifest.written.macros.iter().find(|one| one.id == id);
                left.extend(known.into_iter().flat_map(|one| one.calls.iter().map(String::as_str)));
            }
        }
        false
    }
}

/// The lists of a manifest that hold what can be selected.
const LISTS: [&str; 8] = [
    "nodes",
    "sources",
    "unit_tests",
    "exposures",
    "metrics",
    "semantic_models",
    "saved_queries",
    "functions",
];

/// Settings that say nothing about what is made, or where it goes: dbt compares the latter by themselves.
const ASIDE: [&str; 6] = ["tags", "group", "docs", "schema", "alias", "database"];

/// The settings of a test that say when it fails.
const OF_TESTS: [&str; 8] =
    ["severity", "where", "limit", "fail_calc", "warn_if", "error_if", "store_failures", "store_failures_as"];

/// What a document says for people and tools, or where.
const BESIDE: [&str; 11] = [
    "config",
    "created_at",
    "docs",
    "doc_blocks",
    "meta",
    "metadata",
    "original_file_path",
    "path",
    "source_meta",
    "tags",
    "unrendered_config",
];

/// A node then and now, as manifests have it.
struct Compared<'a> {
    old: &'a Value,
    now: &'a Value,
}

impl Compared<'_> {
    fn differs(&self, key: &str) -> bool {
        plain(self.old.get(key)) != plain(self.now.get(key))
    }

    fn setting<'b>(of: &'b Value, key: &str) -> Option<&'b Value> {
        of.get("unrendered_config")?.get(key).filter(|value| !value.is_null())
    }

    fn text(of: &Value, key: &str) -> String {
        of.get(key).and_then(Value::as_str).unwrap_or_default().trim().to_owned()
    }

    fn kind(&self) -> String {
        Self::text(self.now, "resource_type")
    }

    fn is_generic_test(&self) -> bool {
        self.now.get("test_metadata").is_some_and(|metadata| !metadata.is_null())
    }

    fn has_changed(&self) -> bool {
        let is_other = |keys: &[&str]| keys.iter().any(|key| self.differs(key));
        match self.kind().as_str() {
            "source" => is_other(&["fqn", "freshness", "external"]) || self.relation() || self.configs(),
            "test" if self.is_generic_test() => is_other(&["fqn"]) || self.configs(),
            "unit_test" => is_other(&["checksum", "fqn"]),
            "model" | "seed" | "snapshot" | "analysis" | "test" => {
                is_other(&["fqn"])
                    || self.body()
                    || self.configs()
                    || self.relation()
                    || self.persisted_descriptions()
                    || self.contract()
            }
            kind => {
                let keys = |of: &Value| -> BTreeSet<String> {
                    of.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
                };
                // A description is what an exposure is for; of others it is only said.
                let is_told =
                    |key: &str| !BESIDE.contains(&key) && (key != "description" || kind == "exposure");
                keys(self.old).union(&keys(self.now)).any(|key| is_told(key) && self.differs(key))
            }
        }
    }

    /// Whether its text is another: of a seed the hash of its file, as in dbt.
    fn body(&self) -> bool {
        match self.kind().as_str() {
            "seed" => self.differs("checksum"),
            "source" => false,
            _ => Self::text(self.old, "raw_code") != Self::text(self.now, "raw_code"),
        }
    }

    fn configs(&self) -> bool {
        let is_test = self.kind() == "test";
        let keys = |of: &Value| -> BTreeSet<String> {
            let all = of.get("unrendered_config").and_then(Value::as_object).into_iter().flatten();
            all.map(|(key, _)| key.clone()).collect()
        };
        let counts = |key: &str| match is_test {
            true => OF_TESTS.contains(&key),
            false => !ASIDE.contains(&key),
        };
        let differs =
            |key: &String| plain(Self::setting(self.old, key)) != plain(Self::setting(self.now, key));
        keys(self.old).union(&keys(self.now)).any(|key| counts(key) && differs(key))
    }

    /// Whether it goes elsewhere by its own settings.
    fn relation(&self) -> bool {
        if self.kind() == "source" {
            // Older manifests have the schema as it came out alone.
            let has_written = |of: &Value| of.get("unrendered_schema").is_some_and(Value::is_string);
            let schema = match has_written(self.old) && has_written(self.now) {
                true => "unrendered_schema",
                false => "schema",
            };
            return self.differs(schema) || self.differs("identifier");
        }
        ["schema", "alias", "database"]
            .iter()
            .any(|key| Self::setting(self.old, key) != Self::setting(self.now, key))
    }

    /// Whether a description is another that is written into the lake.
    fn persisted_descriptions(&self) -> bool {
        let persists = |what: &str| {
            let asked = self.now.get("config").and_then(|config| config.get("persist_docs"));
            asked.and_then(|docs| docs.get(what)).is_some_and(|flag| flag.as_bool().unwrap_or(false))
        };
        let of_columns = |of: &Value| -> Vec<(String, String)> {
            let columns = of.get("columns").and_then(Value::as_object).into_iter().flatten();
            columns.map(|(name, column)| (name.clone(), Self::text(column, "description"))).collect()
        };
        let of_relation = |of: &Value| Self::text(of, "description");
        (persists("relation") && of_relation(self.old) != of_relation(self.now))
            || (persists("columns") && of_columns(self.old) != of_columns(self.now))
    }

    fn contract(&self) -> bool {
        let enforced = |of: &Value| {
            let contract =
                of.get("contract").filter(|contract| contract.get("enforced") == Some(&true.into()));
            contract.map(|contract| plain(contract.get("checksum")))
        };
        enforced(self.old) != enforced(self.now)
    }
}

/// A value in which nothing, null and what is empty are the same.
fn plain(value: Option<&Value>) -> Value {
    match value {
        Some(Value::Array(items)) if items.is_empty() => Value::Null,
        Some(Value::Object(entries)) => {
            let kept = entries.iter().map(|(key, value)| (key.clone(), plain(Some(value))));
            let kept: serde_json::Map<String, Value> = kept.filter(|(_, value)| !value.is_null()).collect();
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
        Some(Value::Array(items)) => items.iter().map(|item| plain(Some(item))).collect(),
        Some(value) => value.clone(),
        None => Value::Null,
    }
}
