//! Is a node what it was in an earlier manifest?

use serde_json::Value;

use super::manifest::Manifest;
use super::node::Node;

/// What `state:` can ask.
pub(super) const KINDS: [&str; 9] = [
    "new",
    "old",
    "modified",
    "unmodified",
    "modified.body",
    "modified.configs",
    "modified.relation",
    "modified.persisted_descriptions",
    "modified.macros",
];

/// Whether `node` is in the state `kind`, compared with `before`, an earlier `manifest.json`.
pub(super) fn is(kind: &str, node: &Node, manifest: &Manifest, before: &Value) -> bool {
    let find = |list: &str| before.get(list).and_then(|list| list.get(node.id.as_str()));
    let Some(old) = ["nodes", "sources", "unit_tests"].into_iter().find_map(find) else {
        return matches!(kind, "new" | "modified");
    };
    let changed = |what: &str| match what {
        "body" => body(node, old),
        "configs" => configs(node, old),
        "relation" => relation(node, old),
        "persisted_descriptions" => old.get("description").and_then(Value::as_str) != Some(&node.description),
        _ => macros(node, manifest, before),
    };
    let any = || ["body", "configs", "relation", "macros"].into_iter().any(changed);
    match kind.split_once('.') {
        Some((_, what)) => changed(what),
        None => match kind {
            "new" => false,
            "old" => true,
            "unmodified" => !any(),
            _ => any(),
        },
    }
}

fn body(node: &Node, old: &Value) -> bool {
    let text = old.get("raw_code").and_then(Value::as_str);
    text.is_some_and(|text| text != &*node.raw && !node.raw.is_empty())
}

fn configs(node: &Node, old: &Value) -> bool {
    let now = serde_json::to_value(&node.config).unwrap_or_default();
    old.get("unrendered_config").is_some_and(|then| *then != now && node.is_made())
}

fn relation(node: &Node, old: &Value) -> bool {
    let name = |key: &str| old.get(key).and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let now = node.relation.as_ref();
    now.is_some_and(|now| {
        node.is_made() && (name("schema"), name("alias")) != (now.schema().to_owned(), now.table().to_owned())
    })
}

fn macros(node: &Node, manifest: &Manifest, before: &Value) -> bool {
    node.macros.iter().any(|id| {
        let then = before.get("macros").and_then(|all| all.get(id)).and_then(|one| one.get("macro_sql"));
        let now = manifest.written.macros.iter().find(|one| one.id == *id).map(|one| one.text.as_str());
        then.and_then(Value::as_str) != now
    })
}
