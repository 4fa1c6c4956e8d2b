//! Which nodes does a selector mean?
//!
//! dbt's grammar: `[@][n+][method:]value[+n]`; a blank joins, a comma intersects. A selected model
//! brings the tests on it ("eager"): a test is selected with any of its parents.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use glob::{MatchOptions, Pattern};
use serde_json::Value;

use crate::base::{Diagnostic, did_you_mean};
use crate::project::texts;

use super::graph::reach;
use super::manifest::Manifest;
use super::node::{Node, NodeId, NodeKind, TestKind};

/// One `--select` or `--exclude`: a union of intersections of terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    text: String,
    union: Vec<Vec<Term>>,
}

/// `[@][n+][method:]value[+n]`.
#[derive(Clone, Debug, PartialEq)]
struct Term {
    /// `@`: with all descendants, and all that those need.
    with_needs_of_descendants: bool,
    ancestors: usize,
    descendants: usize,
    method: Method,
    value: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Method {
    /// No method is written: a name, a path if it has a `/`, a file if it ends like one.
    Bare,
    Fqn,
    Tag,
    Path,
    File,
    Source,
    Package,
    ResourceType,
    TestName,
    TestType,
    /// `config.materialized`, `config.meta.owner`.
    Config(Vec<String>),
    Group,
    Access,
    UnitTest,
    /// An exposure, metric, semantic model or saved query: what it stands on.
    Document(&'static str),
    /// `state:modified`, `state:modified.body`; compared with an earlier manifest.
    State,
    /// `result:error`, of an earlier run.
    Result,
}

const METHODS: [&str; 19] = [
    "fqn",
    "tag",
    "path",
    "file",
    "source",
    "package",
    "resource_type",
    "test_name",
    "test_type",
    "config.…",
    "group",
    "access",
    "unit_test",
    "exposure",
    "metric",
    "semantic_model",
    "saved_query",
    "state",
    "result",
];
const METHODS_NOT_YET: [&str; 3] = ["source_status", "version", "selector"];

/// What a selection may be compared with: an earlier state of the project, and an earlier run.
#[derive(Clone, Debug, Default)]
pub struct Earlier {
    /// `manifest.json` of that state.
    pub manifest: Option<Value>,
    /// `run_results.json` of that run.
    pub results: Option<Value>,
}

impl FromStr for Selector {
    type Err = Diagnostic;

    /// Reads a selector.
    ///
    /// # Errors
    /// If it is empty, or names a method elt does not have.
    fn from_str(text: &str) -> Result<Self, Diagnostic> {
        let union: Result<Vec<Vec<Term>>, Diagnostic> = text
            .split_whitespace()
            .map(|part| part.split(',').map(|term| Term::read(term, text)).collect())
            .collect();
        let union = union?;
        if union.is_empty() {
            return Err(wrong(text, "it is empty"));
        }
        Ok(Self { text: text.trim().to_owned(), union })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Term {
    fn read(written: &str, whole: &str) -> Result<Self, Diagnostic> {
        let rest = written.strip_prefix('@');
        let with_needs_of_descendants = rest.is_some();
        let (ancestors, rest) = leading_plus(rest.unwrap_or(written));
        let (descendants, rest) = trailing_plus(rest);
        if with_needs_of_descendants && descendants > 0 {
            return Err(wrong(whole, "`@` and a `+` at the end cannot go together"));
        }
        let (method, value) = match rest.split_once(':') {
            Some((method, value)) => (Method::read(method, whole)?, value),
            None => (Method::Bare, rest),
        };
        if value.is_empty() {
            return Err(wrong(whole, "a name is missing"));
        }
        Ok(Self { with_needs_of_descendants, ancestors, descendants, method, value: value.to_owned() })
    }

    /// The nodes the term means, with what its `+` and `@` add.
    fn select(&self, manifest: &Manifest, earlier: &Earlier) -> Result<BTreeSet<NodeId>, Diagnostic> {
        let named = self.named(manifest, earlier)?;
        if named.is_empty() && self.must_match() {
            return Err(self.not_found(manifest));
        }
        let mut selected = named.clone();
        for id in &named {
            selected.extend(reach(id, &manifest.parents, self.ancestors));
            selected.extend(reach(id, &manifest.children, self.descendants));
            if self.with_needs_of_descendants {
                let descendants = manifest.descendants(id);
                selected.extend(descendants.iter().flat_map(|id| manifest.ancestors(id)));
                selected.extend(descendants);
            }
        }
        Ok(selected)
    }

    /// The nodes that the value itself means.
    fn named(&self, manifest: &Manifest, earlier: &Earlier) -> Result<BTreeSet<NodeId>, Diagnostic> {
        let nodes = manifest.nodes.values();
        let by = |is: &dyn Fn(&Node) -> bool| -> BTreeSet<NodeId> {
            nodes.clone().filter(|node| is(node)).map(|node| node.id.clone()).collect()
        };
        match &self.method {
            Method::Document(kind) => {
                let those =
                    manifest.documents.iter().filter(|d| d.kind == *kind && glob(&self.value, &d.name));
                Ok(those
                    .flat_map(|document| document.depends_on.iter())
                    .filter(|id| manifest.nodes.contains_key(id))
                    .cloned()
                    .collect())
            }
            Method::State => {
                let Some(before) = &earlier.manifest else {
                    return Err(wrong(
                        &format!("state:{}", self.value),
                        "there is no earlier state to compare with",
                    )
                    .help("give the folder of an earlier manifest.json: `--state DIR`"));
                };
                if !super::state::KINDS.contains(&self.value.as_str()) {
                    return Err(wrong(&format!("state:{}", self.value), "this is no state")
                        .help(format!("use one of: {}", super::state::KINDS.join(", ")))
                        .maybe_help(did_you_mean(&self.value, super::state::KINDS)));
                }
                Ok(by(&|node| super::state::is(&self.value, node, manifest, before)))
            }
            Method::Result => {
                let Some(results) = &earlier.results else {
                    return Err(wrong(
                        &format!("result:{}", self.value),
                        "there is no earlier run to look at",
                    )
                    .help("give the folder of an earlier run_results.json: `--state DIR`"));
                };
                let those = results.get("results").and_then(Value::as_array).into_iter().flatten();
                let ids: BTreeSet<&str> = those
                    .filter(|result| result.get("status").and_then(Value::as_str) == Some(&self.value))
                    .filter_map(|result| result.get("unique_id")?.as_str())
                    .collect();
                Ok(by(&|node| ids.contains(node.id.as_str())))
            }
            _ => Ok(by(&|node| self.matches(node))),
        }
    }

    /// Whether a value that matches nothing is a slip rather than an empty set.
    fn must_match(&self) -> bool {
        let names_something = !matches!(
            self.method,
            Method::Config(_)
                | Method::TestType
                | Method::ResourceType
                | Method::Package
                | Method::State
                | Method::Result
                | Method::Access
        );
        names_something && !self.value.contains(['*', '?', '['])
    }

    fn matches(&self, node: &Node) -> bool {
        let value = self.value.as_str();
        match &self.method {
            Method::Bare if value.contains('/') => matches_path(value, &node.path),
            Method::Bare if is_file_name(value) => matches_file(value, &node.path),
            Method::Bare | Method::Fqn => matches_fqn(value, node),
            Method::Tag => node.tags.iter().any(|tag| glob(value, tag)),
            Method::Path => matches_path(value, &node.path),
            Method::File => matches_file(value, &node.path),
            Method::Source => matches_source(value, node),
            Method::Package => {
                node.fqn.first().is_some_and(|package| glob(value, package) || value == "this")
            }
            Method::ResourceType => glob(value, node.resource_type()),
            Method::TestName => match &node.kind {
                NodeKind::Test(test) => match &test.kind {
                    TestKind::Generic { test_name, .. } => glob(value, test_name),
                    TestKind::Singular => glob(value, &node.name),
                },
                _ => false,
            },
            Method::TestType => match &node.kind {
                NodeKind::Test(test) => {
                    let is_generic = matches!(test.kind, TestKind::Generic { .. });
                    value == "data" || value == if is_generic { "generic" } else { "singular" }
                }
                NodeKind::UnitTest(_) => value == "unit",
                _ => false,
            },
            Method::Config(path) => matches_config(path, value, node),
            Method::Group => {
                node.config.get("group").and_then(Value::as_str).is_some_and(|own| glob(value, own))
            }
            Method::Access => {
                let own = node.config.get("access").and_then(Value::as_str).unwrap_or("protected");
                node.materialization().is_some() && own == value
            }
            Method::UnitTest => matches!(node.kind, NodeKind::UnitTest(_)) && glob(value, &node.name),
            Method::Document(_) | Method::State | Method::Result => false,
        }
    }

    fn not_found(&self, manifest: &Manifest) -> Diagnostic {
        let nodes = manifest.nodes.values();
        let (what, known): (&str, BTreeSet<&str>) = match self.method {
            Method::Tag => {
                ("node has the tag", nodes.flat_map(|node| node.tags.iter().map(String::as_str)).collect())
            }
            Method::Source => ("source is called", sources(manifest)),
            Method::Path | Method::File => ("file is called", nodes.map(|node| node.path.as_str()).collect()),
            _ => {
                let names = nodes.filter(|node| !matches!(node.kind, NodeKind::Source(_)));
                ("model or test is called", names.map(|node| node.name.as_str()).collect())
            }
        };
        Diagnostic::error("elt::nothing_selected", format!("no {what} `{}`", self.value))
            .help("`elt ls` lists what there is")
            .maybe_help(did_you_mean(&self.value, known))
    }
}

impl Method {
    fn read(written: &str, whole: &str) -> Result<Self, Diagnostic> {
        let mut parts = written.split('.');
        Ok(match (parts.next().unwrap_or_default(), written.contains('.')) {
            ("config", true) => Self::Config(parts.map(str::to_owned).collect()),
            ("fqn", false) => Self::Fqn,
            ("tag", false) => Self::Tag,
            ("path", false) => Self::Path,
            ("file", false) => Self::File,
            ("source", false) => Self::Source,
            ("package", false) => Self::Package,
            ("resource_type", false) => Self::ResourceType,
            ("test_name", false) => Self::TestName,
            ("test_type", false) => Self::TestType,
            ("group", false) => Self::Group,
            ("access", false) => Self::Access,
            ("unit_test", false) => Self::UnitTest,
            ("exposure", false) => Self::Document("exposure"),
            ("metric", false) => Self::Document("metric"),
            ("semantic_model", false) => Self::Document("semantic_model"),
            ("saved_query", false) => Self::Document("saved_query"),
            ("state", false) => Self::State,
            ("result", false) => Self::Result,
            (method, _) if METHODS_NOT_YET.contains(&method) => {
                let why = format!("the method `{method}:` is not supported yet");
                return Err(wrong(whole, &why).help(format!("instead use one of: {}", METHODS.join(", "))));
            }
            (method, _) => {
                let why = format!("there is no method `{method}:`");
                return Err(wrong(whole, &why)
                    .help(format!("methods are: {}", METHODS.join(", ")))
                    .maybe_help(did_you_mean(method, METHODS)));
            }
        })
    }
}

/// The nodes that `include` means (all of them, if it is empty) without those `exclude` means.
///
/// # Errors
/// If a name that holds no wildcard matches nothing. Wildcards may match nothing.
pub fn select(
    manifest: &Manifest,
    include: &[Selector],
    exclude: &[Selector],
    earlier: &Earlier,
) -> Result<BTreeSet<NodeId>, Diagnostic> {
    let mut selected = match include {
        [] => manifest.nodes.keys().cloned().collect(),
        some => union(manifest, some, earlier)?,
    };
    let excluded = union(manifest, exclude, earlier)?;
    selected.retain(|id| !excluded.contains(id));
    Ok(selected)
}

fn union(
    manifest: &Manifest,
    selectors: &[Selector],
    earlier: &Earlier,
) -> Result<BTreeSet<NodeId>, Diagnostic> {
    let mut all = BTreeSet::new();
    for terms in selectors.iter().flat_map(|selector| &selector.union) {
        let mut both: Option<BTreeSet<NodeId>> = None;
        for term in terms {
            // Each term brings its tests before it is intersected, so that `orders,test_name:unique` works.
            let selected = with_tests(manifest, term.select(manifest, earlier)?);
            both = Some(match both {
                Some(before) => before.intersection(&selected).cloned().collect(),
                None => selected,
            });
        }
        all.extend(both.unwrap_or_default());
    }
    Ok(all)
}

/// Adds the tests that any of `selected` is a parent of.
fn with_tests(manifest: &Manifest, mut selected: BTreeSet<NodeId>) -> BTreeSet<NodeId> {
    let tests: Vec<NodeId> = selected.iter().flat_map(|id| manifest.tests_of(id)).collect();
    selected.extend(tests);
    selected
}

/// `3+rest` or `+rest`; the number of generations and the rest.
fn leading_plus(text: &str) -> (usize, &str) {
    let Some((number, rest)) = text.split_once('+') else { return (0, text) };
    match number {
        "" => (usize::MAX, rest),
        number => number.parse().map_or((0, text), |n| (n, rest)),
    }
}

/// `rest+` or `rest+3`.
fn trailing_plus(text: &str) -> (usize, &str) {
    let Some((rest, number)) = text.rsplit_once('+') else { return (0, text) };
    match number {
        "" => (usize::MAX, rest),
        number => number.parse().map_or((0, text), |n| (n, rest)),
    }
}

fn is_file_name(value: &str) -> bool {
    [".sql", ".yml", ".yaml", ".csv"].iter().any(|ending| value.ends_with(ending))
}

fn glob(pattern: &str, text: &str) -> bool {
    Pattern::new(pattern).map_or(pattern == text, |pattern| pattern.matches(text))
}

/// `staging`, `shop.staging`, `staging.stg_*`: the beginning of a path with or without its package,
/// or the name alone.
fn matches_fqn(value: &str, node: &Node) -> bool {
    // A source is only meant by `source:`; dbt keeps its fqn out of bare names too.
    if matches!(node.kind, NodeKind::Source(_)) {
        return false;
    }
    if glob(value, &node.name) {
        return true;
    }
    let wanted: Vec<&str> = value.split('.').collect();
    let begins = |fqn: &[String]| {
        wanted.len() <= fqn.len() && wanted.iter().zip(fqn).all(|(wanted, part)| glob(wanted, part))
    };
    begins(&node.fqn) || begins(node.fqn.get(1..).unwrap_or_default())
}

fn matches_path(value: &str, path: &str) -> bool {
    let value = value.trim_start_matches("./").trim_end_matches('/');
    let is_below = path.strip_prefix(value).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::default() };
    is_below || Pattern::new(value).is_ok_and(|pattern| pattern.matches_with(path, options))
}

fn matches_file(value: &str, path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    glob(value, file) || file.rsplit_once('.').is_some_and(|(stem, _)| glob(value, stem))
}

/// `crm`, `crm.people`, `shop.crm.people`.
fn matches_source(value: &str, node: &Node) -> bool {
    let NodeKind::Source(source) = &node.kind else { return false };
    let package = node.fqn.first().map(String::as_str).unwrap_or_default();
    match value.split('.').collect::<Vec<_>>()[..] {
        [name] => glob(name, &source.source),
        [name, table] => glob(name, &source.source) && glob(table, &source.table),
        [of, name, table] => glob(of, package) && glob(name, &source.source) && glob(table, &source.table),
        _ => false,
    }
}

fn matches_config(path: &[String], value: &str, node: &Node) -> bool {
    let mut found: Option<&Value> = None;
    for (depth, key) in path.iter().enumerate() {
        found = if depth == 0 { node.config.get(key) } else { found.and_then(|value| value.get(key)) };
    }
    let default = (path.len() == 1 && path[0] == "materialized" && node.materialization().is_some())
        .then(|| Value::from("view"));
    match found.or(default.as_ref()) {
        Some(Value::Object(entries)) => entries.keys().any(|key| glob(value, key)),
        Some(found) => texts(found).iter().any(|text| glob(&value.to_lowercase(), &text.to_lowercase())),
        None => false,
    }
}

fn sources(manifest: &Manifest) -> BTreeSet<&str> {
    let of = manifest.sources().filter_map(|node| match &node.kind {
        NodeKind::Source(source) => Some([source.source.as_str(), node.name.as_str()]),
        _ => None,
    });
    of.flatten().collect()
}

fn wrong(text: &str, why: &str) -> Diagnostic {
    Diagnostic::error("elt::selector", format!("`{text}` is not a selector: {why}"))
        .help("a selector is like `orders`, `+orders`, `tag:daily`, `path:models/staging`, `a,b`")
}
