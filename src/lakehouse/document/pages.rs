//! What does the site show?
//!
//! One document: every node, macro and document of the project with what `manifest.json` says of it, short of what is dbt's
//! default; what the lake has of it; runs, and releases. Nodes refer to each other by their places in the list. Their SQL is
//! larger than all the rest and is asked for last, so it is kept apart, in pieces.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::{DBT_VERSION, Node, NodeId, NodeKind, Studied};
use super::found::Found;
use super::past::Past;
use crate::base::{ReleaseNumber, TableName, sql_type_name};
use crate::build::{self, Stamp};
use crate::query::{Then, influence_words, way_word};

/// The version of the document; the page says so if it is not the one it was made for.
const FORMAT: u32 = 1;
/// Packages whose macros come with the program.
const OWN_PACKAGES: [&str; 2] = ["dbt", "elt"];
/// A piece of SQL is full with so many bytes.
const PIECE: usize = 256 * 1024;
/// What of an entry has a place of its own.
const PLACED: [&str; 9] =
    ["tags", "meta", "enabled", "docs", "group", "access", "materialized", "packages", "contract"];

/// What the site is made of.
pub(super) struct Pages<'a> {
    pub(super) studied: &'a Studied,
    pub(super) found: &'a BTreeMap<NodeId, Found>,
    pub(super) past: &'a Past,
    /// `sources.json`: how old the rows of sources were when that was last asked.
    pub(super) fresh: &'a Value,
    pub(super) stamp: &'a Stamp,
    /// The release that readers see.
    pub(super) release: Option<ReleaseNumber>,
}

/// The document, and the SQL of its nodes, raw and compiled.
pub(super) struct Made {
    pub(super) document: Value,
    /// Each piece has, for the places of some nodes, `[raw, compiled]`.
    pub(super) pieces: Vec<Map<String, Value>>,
}

/// What is looked up while the list is made.
struct Places<'a> {
    /// The place of each node by its id.
    numbers: BTreeMap<&'a str, usize>,
    /// The place of each table and view.
    tables: BTreeMap<&'a TableName, usize>,
    versions: BTreeMap<&'a TableName, Vec<Value>>,
}

impl Pages<'_> {
    /// Makes the document.
    pub(super) fn made(&self) -> Made {
        let manifest = &self.studied.compiled.manifest;
        let file = build::manifest_json(manifest, &self.studied.late, self.stamp);
        let macros = manifest.written.macros.iter().filter(|one| !OWN_PACKAGES.contains(&&*one.package));
        let ids = manifest.nodes.keys().map(NodeId::as_str);
        let ids = ids.chain(manifest.documents.iter().map(|one| one.id.as_str()));
        let ids: Vec<&str> = ids.chain(macros.clone().map(|one| one.id.as_str())).collect();
        let numbers: BTreeMap<&str, usize> = ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        let named = |node: &'_ Node| node.relation.as_ref().is_some_and(|_| !node.is_test());
        let tables = manifest.nodes.values().filter(|node| named(node));
        let tables = tables.filter_map(|node| Some((node.relation.as_ref()?, numbers[node.id.as_str()])));
        let places = Places { tables: tables.collect(), versions: self.past.versions(), numbers };

        let (mut nodes, mut pieces, mut filled) = (Vec::new(), vec![Map::new()], 0);
        for node in manifest.nodes.values() {
            let Some(entry) = file.entry(node.id.as_str()) else { continue };
            let mut page = self.node(node, &entry, &places);
            let code = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().trim();
            let (raw, compiled) = (code("raw_code"), code("compiled_code"));
            if !raw.is_empty() || !compiled.is_empty() {
                if filled > PIECE {
                    pieces.push(Map::new());
                    filled = 0;
                }
                filled += raw.len() + compiled.len();
                page.insert("code".into(), (pieces.len() - 1).into());
                let same = raw == compiled;
                let both = if same { json!([raw]) } else { json!([raw, compiled]) };
                pieces.last_mut().expect("there is one").insert(nodes.len().to_string(), both);
            }
            nodes.push(Value::Object(page));
        }
        for document in &manifest.documents {
            let entry = file.entry(document.id.as_str()).unwrap_or_default();
            nodes.push(Value::Object(self.document(&entry, &places)));
        }
        for one in macros {
            let calls: Vec<usize> =
                one.calls.iter().filter_map(|id| places.numbers.get(id.as_str())).copied().collect();
            let mut page = Map::new();
            set(&mut page, "id", json!(one.id));
            set(&mut page, "kind", json!("macro"));
            set(&mut page, "name", json!(one.name));
            set(&mut page, "package", json!(one.package));
            set(&mut page, "path", json!(manifest.written.inside(&one.package, &one.path)));
            set(&mut page, "macros", json!(calls));
            if let Some(words) = &one.words {
                set(&mut page, "description", json!(words.description));
                set(&mut page, "arguments", words.arguments.clone());
                set(&mut page, "meta", words.meta.clone());
                set(&mut page, "described", json!(manifest.written.inside(&one.package, &words.path)));
                set(&mut page, "hidden", (words.docs["show"] == false).then_some(true).into());
            }
            set(&mut page, "code", json!(pieces.len() - 1));
            let piece = pieces.last_mut().expect("there is one");
            piece.insert(nodes.len().to_string(), json!([one.text.trim()]));
            nodes.push(Value::Object(page));
        }
        let overview = manifest.written.docs.iter().filter(|doc| doc.name == "__overview__");
        let overview =
            overview.filter(|doc| doc.package == manifest.project).map(|doc| doc.text.trim()).next();
        let document = json!({
            "format": FORMAT,
            "about": {
                "project": manifest.project, "at": self.stamp.at, "elt": env!("CARGO_PKG_VERSION"), "dbt": DBT_VERSION,
                "target": self.studied.compiled.project.target.name, "release": self.release,
                "runs": self.past.run_count, "overview": overview,
            },
            "nodes": nodes,
            "runs": self.past.runs(&places.numbers),
            "releases": self.past.releases(),
        });
        Made { document, pieces }
    }

    fn node(&self, node: &Node, entry: &Value, places: &Places<'_>) -> Map<String, Value> {
        let manifest = &self.studied.compiled.manifest;
        let mut page = self.common(entry);
        let parents = manifest.parents(&node.id).iter();
        let parents: Vec<usize> = parents.filter_map(|id| places.numbers.get(id.as_str())).copied().collect();
        set(&mut page, "parents", json!(parents));
        if let Some(name) = node.relation.as_ref().filter(|_| !node.is_test()) {
            set(&mut page, "relation", json!(name.to_string()));
            set(&mut page, "versions", json!(places.versions.get(name)));
        }
        let found = self.found.get(&node.id);
        set(&mut page, "columns", columns(entry, found));
        if let Some(found) = found {
            set(&mut page, "lake", json!(if found.is_view { "view" } else { "table" }));
            if let Some(size) = found.size {
                set(&mut page, "size", json!([size.version, size.rows, size.files, size.bytes]));
            }
            set(&mut page, "from", origins(found, &places.tables));
            set(&mut page, "rows_from", influences(found, &places.tables));
        }
        let macros = entry["depends_on"]["macros"].as_array().into_iter().flatten();
        let macros = macros.filter_map(|id| places.numbers.get(id.as_str()?));
        set(&mut page, "macros", json!(macros.collect::<Vec<_>>()));
        match &node.kind {
            NodeKind::Test(test) => {
                let attached = test.attached.as_ref().and_then(|id| places.numbers.get(id.as_str()));
                set(&mut page, "on", json!(attached));
                set(&mut page, "column", entry["column_name"].clone());
                let mut kwargs = entry["test_metadata"]["kwargs"].clone();
                if let Value::Object(kwargs) = &mut kwargs {
                    kwargs.shift_remove("model");
                    kwargs.shift_remove("column_name");
                }
                set(&mut page, "test", entry["test_metadata"]["name"].clone());
                set(&mut page, "arguments", kwargs);
            }
            NodeKind::UnitTest(test) => {
                set(&mut page, "on", json!(places.numbers.get(test.model.as_str())));
                for key in ["given", "expect", "overrides"] {
                    set(&mut page, key, entry[key].clone());
                }
            }
            NodeKind::Source(_) => {
                for key in ["source_name", "source_description", "loader", "loaded_at_field"] {
                    set(&mut page, key, entry[key].clone());
                }
                set(&mut page, "source_meta", entry["source_meta"].clone());
                let results = self.fresh["results"].as_array().into_iter().flatten();
                let mut of_it = results.filter(|one| one["unique_id"] == node.id.as_str());
                set(&mut page, "fresh", of_it.next().map_or(Value::Null, freshness));
            }
            _ => {}
        }
        page
    }

    /// What there is to say of everything that has an entry.
    fn common(&self, entry: &Value) -> Map<String, Value> {
        let mut page = Map::new();
        set(&mut page, "id", entry["unique_id"].clone());
        set(&mut page, "kind", entry["resource_type"].clone());
        set(&mut page, "package", entry["package_name"].clone());
        set(&mut page, "path", entry["original_file_path"].clone());
        for key in ["name", "label", "description", "tags", "meta", "group", "version", "deprecation_date"] {
            set(&mut page, key, entry[key].clone());
        }
        let described = entry["patch_path"].as_str().and_then(|path| path.split("://").nth(1));
        set(&mut page, "described", json!(described));
        if entry["latest_version"] != entry["version"] {
            set(&mut page, "latest", entry["latest_version"].clone());
        }
        let config = &entry["config"];
        if entry["resource_type"] != "analysis" {
            set(&mut page, "made", config["materialized"].clone());
        }
        set(&mut page, "access", entry["access"].clone());
        set(&mut page, "contract", config["contract"]["enforced"].as_bool().filter(|is| *is).into());
        set(&mut page, "constraints", entry["constraints"].clone());
        set(&mut page, "key", entry["primary_key"].clone());
        set(&mut page, "color", entry["docs"]["node_color"].clone());
        set(&mut page, "hidden", (entry["docs"]["show"] == false).then_some(true).into());
        let config = config.as_object().into_iter().flatten();
        let config = config.filter(|(key, value)| !PLACED.contains(&key.as_str()) && !is_default(key, value));
        let config: Map<String, Value> = config.map(|(key, value)| (key.clone(), value.clone())).collect();
        set(&mut page, "config", config.into());
        page
    }

    /// An exposure, a metric, a semantic model, a saved query or a group.
    fn document(&self, entry: &Value, places: &Places<'_>) -> Map<String, Value> {
        let mut page = self.common(entry);
        let parents = entry["depends_on"]["nodes"].as_array().into_iter().flatten();
        let parents = parents.filter_map(|id| places.numbers.get(id.as_str()?));
        set(&mut page, "parents", json!(parents.collect::<Vec<_>>()));
        for key in [
            "owner",
            "url",
            "maturity",
            "type",
            "type_params",
            "filter",
            "time_granularity",
            "defaults",
            "entities",
            "dimensions",
            "measures",
            "query_params",
            "exports",
        ] {
            set(&mut page, key, entry[key].clone());
        }
        page
    }
}

/// Sets what is there to say; nothing, an empty text, list or mapping is not.
fn set(page: &mut Map<String, Value>, key: &str, value: Value) {
    let is_empty = match &value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    if !is_empty {
        page.insert(key.to_owned(), value);
    }
}

/// Whether a setting says nothing that is not so anyway.
fn is_default(key: &str, value: &Value) -> bool {
    match (key, value) {
        (_, Value::Null) => true,
        (_, Value::Array(list)) => list.is_empty(),
        ("freshness", Value::Object(map)) => {
            map.values().all(|value| value.is_null() || value["count"].is_null() && value.is_object())
        }
        ("snapshot_meta_column_names", Value::Object(map)) => map.values().all(Value::is_null),
        (_, Value::Object(map)) => map.is_empty(),
        ("lookback", value) => *value == json!(1),
        ("on_schema_change" | "hard_deletes", Value::String(word)) => word == "ignore",
        ("on_configuration_change", Value::String(word)) => word == "apply",
        ("delimiter", Value::String(word)) => word == ",",
        ("severity", Value::String(word)) => word == "ERROR",
        ("warn_if" | "error_if", Value::String(word)) => word == "!= 0",
        ("fail_calc", Value::String(word)) => word == "count(*)",
        ("schema", Value::String(word)) => word == "dbt_test__audit",
        ("alias", _) => true,
        _ => false,
    }
}

/// The columns that there are, in their order, and then those that are only described; each as
/// `[name, type, description, more]`, without what is empty at its end.
fn columns(entry: &Value, found: Option<&Found>) -> Value {
    let described = entry["columns"].as_object();
    let said = |name: &str| {
        described?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let column = |name: &str, data_type: Value, said: Option<&Value>| {
        let mut more = Map::new();
        for key in ["meta", "tags", "constraints"] {
            set(&mut more, key, said.map(|said| said[key].clone()).unwrap_or_default());
        }
        if found.is_some() && data_type.is_null() {
            more.insert("missing".into(), true.into());
        }
        let declared = said.map(|said| said["data_type"].clone()).unwrap_or_default();
        let data_type = if data_type.is_null() { declared } else { data_type };
        let description = said.and_then(|said| said["description"].as_str()).unwrap_or_default().trim();
        let more = if more.is_empty() { Value::Null } else { more.into() };
        let mut told = vec![json!(name), data_type, json!(description), more];
        while told.last().is_some_and(|value| value.is_null() || *value == "") {
            told.pop();
        }
        Value::Array(told)
    };
    let there: Vec<(String, String)> = found
        .iter()
        .flat_map(|found| found.schema.fields())
        .map(|field| (field.name().clone(), sql_type_name(field.data_type())))
        .collect();
    let only_described = described.into_iter().flatten();
    let only_described =
        only_described.filter(|(name, _)| !there.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)));
    there
        .iter()
        .map(|(name, data_type)| column(name, json!(data_type), said(name)))
        .chain(only_described.map(|(name, said)| column(name, Value::Null, Some(said))))
        .collect()
}

/// The thing that a column is of: its place in the list, or its name if it is not of the project.
fn place(table: &TableName, tables: &BTreeMap<&TableName, usize>) -> Value {
    tables.get(table).map_or_else(|| table.to_string().into(), |at| (*at).into())
}

/// Where columns come from, each as `[column, thing, its column, how]`; the column by its place. What is read as it was has a
/// fifth, what it was: `version 3`.
fn origins(found: &Found, tables: &BTreeMap<&TableName, usize>) -> Value {
    let fields = found.schema.fields();
    let columns = found.lineage.columns.iter().filter_map(|(name, from)| {
        let at = fields.iter().position(|field| field.name().eq_ignore_ascii_case(name))?;
        let one = move |(of, way): (&crate::query::ColumnOf, &crate::query::Way)| {
            let mut one = vec![json!(at), place(&of.table, tables), json!(of.column), json!(way_word(*way))];
            one.extend(of.then.map(|then| match then {
                Then::Version(version) => json!(format!("version {version}")),
                Then::Release(release) => json!(format!("release {release}")),
            }));
            Value::Array(one)
        };
        Some(from.iter().map(one).collect::<Vec<_>>())
    });
    columns.flatten().collect()
}

/// Which columns decide about rows, each as `[thing, its column, how]`.
fn influences(found: &Found, tables: &BTreeMap<&TableName, usize>) -> Value {
    let rows = found.lineage.rows.iter();
    rows.map(|(of, how)| json!([place(&of.table, tables), of.column, influence_words(how)])).collect()
}

/// How old the rows of a source were.
fn freshness(result: &Value) -> Value {
    json!({
        "status": result["status"], "newest": result["max_loaded_at"], "asked": result["snapshotted_at"],
        "age": result["max_loaded_at_time_ago_in_s"],
    })
}
