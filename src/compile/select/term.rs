//! Which nodes does one term of a selector mean?
//!
//! `[@][n+][method:]value[+n]`: what the method finds by the value, and around that as much of the graph as
//! `+` and `@` ask for.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use glob::{MatchOptions, Pattern};
use serde_json::Value;

use crate::base::{Diagnostic, did_you_mean};
use crate::project::texts;

use super::{Earlier, Published, wrong};
use crate::compile::graph::reach;
use crate::compile::manifest::{DocumentNode, Manifest};
use crate::compile::node::{Node, NodeId, NodeKind, TestKind};
use crate::compile::state::{self, State};

/// How much of the graph around some nodes is meant with them: `@`, `n+` and `+n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Around {
    /// `@`: with all descendants, and all that those need.
    pub(super) with_needs_of_descendants: bool,
    pub(super) ancestors: usize,
    pub(super) descendants: usize,
}

impl Around {
    /// What stands before and behind a term, and what is left of it.
    ///
    /// # Errors
    /// If both ask for descendants.
    pub(super) fn read<'t>(written: &'t str, whole: &str) -> Result<(Self, &'t str), Diagnostic> {
        let rest = written.strip_prefix('@');
        let with_needs_of_descendants = rest.is_some();
        let (ancestors, rest) = leading_plus(rest.unwrap_or(written));
        let (descendants, rest) = trailing_plus(rest);
        if with_needs_of_descendants && descendants > 0 {
            return Err(wrong(whole, "`@` and a `+` at the end cannot go together"));
        }
        Ok((Self { with_needs_of_descendants, ancestors, descendants }, rest))
    }

    /// `named`, and what is around it.
    pub(super) fn of(self, named: BTreeSet<NodeId>, manifest: &Manifest) -> BTreeSet<NodeId> {
        if self == Self::default() {
            return named;
        }
        let mut selected = named.clone();
        let (parents, children) = manifest.with_documents();
        for id in &named {
            selected.extend(reach(id, &parents, self.ancestors));
            selected.extend(reach(id, &children, self.descendants));
            if self.with_needs_of_descendants {
                let descendants = reach(id, &children, usize::MAX);
                selected.extend(descendants.iter().flat_map(|id| reach(id, &parents, usize::MAX)));
                selected.extend(reach(id, &parents, usize::MAX));
                selected.extend(descendants);
            }
        }
        selected
    }
}

/// `[@][n+][method:]value[+n]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Term {
    pub(super) around: Around,
    method: Method,
    pub(super) value: String,
    /// The term as it is written.
    pub(super) written: String,
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
    /// `source_status:fresher`, compared with an earlier look at the sources.
    SourceStatus,
    /// `version:latest`
    Version,
}

const METHODS: [&str; 22] = [
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
    "source_status",
    "version",
    "selector",
];

impl Term {
    pub(super) fn read(written: &str, whole: &str) -> Result<Self, Diagnostic> {
        let (around, rest) = Around::read(written, whole)?;
        let (method, value) = match rest.split_once(':') {
            Some((method, value)) => (Method::read(method, whole)?, value),
            None => (Method::Bare, rest),
        };
        if value.is_empty() {
            return Err(wrong(whole, "a name is missing"));
        }
        let (value, written) = (value.to_owned(), written.to_owned());
        Ok(Self { around, method, value, written })
    }

    /// The nodes the term means, with what its `+` and `@` add.
    pub(super) fn select(
        &self,
        manifest: &Manifest,
        earlier: &Earlier,
    ) -> Result<BTreeSet<NodeId>, Diagnostic> {
        Ok(self.around.of(self.named(manifest, earlier)?, manifest))
    }

    /// The nodes that the value itself means.
    fn named(&self, manifest: &Manifest, earlier: &Earlier) -> Result<BTreeSet<NodeId>, Diagnostic> {
        let nodes = manifest.nodes.values();
        let by = |is: &dyn Fn(&Node) -> bool| -> BTreeSet<NodeId> {
            nodes.clone().filter(|node| is(node)).map(|node| node.id.clone()).collect()
        };
        match &self.method {
            Method::Document(kind) => {
                let is_named = |document: &&DocumentNode| {
                    let full = format!("{}.{}", document.package, document.name);
                    document.kind == *kind && (glob(&self.value, &document.name) || glob(&self.value, &full))
                };
                Ok(manifest.documents.iter().filter(is_named).map(|document| document.id.clone()).collect())
            }
            Method::State if earlier.manifest.is_none() && earlier.published.is_some() => {
                let published = earlier.published.iter();
                let is_one = |set: &dyn Fn(&Published) -> &BTreeSet<NodeId>, id: &NodeId| {
                    published.clone().any(|published| set(published).contains(id))
                };
                let is_new = |node: &Node| is_one(&|published| &published.new, &node.id);
                let is_modified = |node: &Node| is_one(&|published| &published.modified, &node.id);
                match self.value.as_str() {
                    "new" => Ok(by(&is_new)),
                    "modified" => Ok(by(&|node| is_new(node) || is_modified(node))),
                    "old" => Ok(by(&|node| !is_new(node))),
                    "unmodified" => Ok(by(&|node| !is_new(node) && !is_modified(node))),
                    value if state::KINDS.contains(&value) => Err(wrong(
                        &format!("state:{value}"),
                        "the published release knows that a node is another, and not which part of it",
                    )
                    .help("write `state:modified`, or give the folder of an earlier manifest.json: `--state DIR`")),
                    value => Err(wrong(&format!("state:{value}"), "this is no state")
                        .help(format!("use one of: {}", state::KINDS.join(", ")))
                        .maybe_help(did_you_mean(value, state::KINDS))),
                }
            }
            Method::State => {
                let (Some(before), Some(entry)) = (&earlier.manifest, earlier.entry) else {
                    return Err(wrong(
                        &format!("state:{}", self.value),
                        "there is no earlier state to compare with",
                    )
                    .help("build it once, so that there is a release; or give the folder of an earlier manifest.json: `--state DIR`"));
                };
                if !state::KINDS.contains(&self.value.as_str()) {
                    return Err(wrong(&format!("state:{}", self.value), "this is no state")
                        .help(format!("use one of: {}", state::KINDS.join(", ")))
                        .maybe_help(did_you_mean(&self.value, state::KINDS)));
                }
                let state = State::new(manifest, before, entry);
                let documents = manifest.documents.iter().filter(|document| document.kind != "group");
                let ids = manifest.nodes.keys().chain(documents.map(|document| &document.id));
                Ok(ids.filter(|id| state.is(&self.value, id.as_str())).cloned().collect())
            }
            Method::Result => {
                let Some(results) = &earlier.results else {
                    return Err(wrong(
                        &format!("result:{}", self.value),
                        "there is no earlier run to look at",
                    )
                    .help("run something first; or give the folder of an earlier run_results.json: `--state DIR`"));
                };
                let those = results.get("results").and_then(Value::as_array).into_iter().flatten();
                let ids: BTreeSet<&str> = those
                    .filter(|result| result.get("status").and_then(Value::as_str) == Some(&self.value))
                    .filter_map(|result| result.get("unique_id")?.as_str())
                    .collect();
                Ok(by(&|node| ids.contains(node.id.as_str())))
            }
            Method::SourceStatus => {
                let fresher = self.fresher(earlier)?;
                Ok(by(&|node| fresher.contains(node.id.as_str())))
            }
            Method::Version if !VERSIONS.contains(&self.value.as_str()) => {
                Err(wrong(&format!("version:{}", self.value), "this is no kind of version")
                    .help(format!("use one of: {}", VERSIONS.join(", ")))
                    .maybe_help(did_you_mean(&self.value, VERSIONS)))
            }
            Method::Config(path) => Ok(by(&|node| {
                matches_config(path, &self.value, node, &|| {
                    let entry = earlier.entry?(manifest, node.id.as_str())?;
                    entry.get("config").cloned()
                })
            })),
            Method::TestType => self.one_of(&TEST_TYPES).map(|()| by(&|node| self.matches(node))),
            Method::ResourceType => self.one_of(&RESOURCE_TYPES).map(|()| self.all(manifest)),
            _ => Ok(self.all(manifest)),
        }
    }

    /// The nodes and documents that have what the term asks for.
    fn all(&self, manifest: &Manifest) -> BTreeSet<NodeId> {
        let nodes = manifest.nodes.values().filter(|node| self.matches(node)).map(|node| &node.id);
        let documents = manifest.documents.iter().filter(|document| self.matches_document(document));
        nodes.chain(documents.map(|document| &document.id)).cloned().collect()
    }

    /// Refuses a value that is none of those that there are.
    fn one_of(&self, known: &[&str]) -> Result<(), Diagnostic> {
        if known.iter().any(|one| glob(&self.value, one)) {
            return Ok(());
        }
        Err(wrong(&self.written, &format!("`{}` is none of its values", self.value))
            .help(format!("use one of: {}", known.join(", ")))
            .maybe_help(did_you_mean(&self.value, known.iter().copied())))
    }

    /// The sources that have newer rows than at the earlier look.
    fn fresher(&self, earlier: &Earlier) -> Result<BTreeSet<String>, Diagnostic> {
        let whole = format!("source_status:{}", self.value);
        if self.value != "fresher" {
            return Err(wrong(&whole, "this is no status of a source").help("write `source_status:fresher`"));
        }
        let (Some(before), Some(now)) = (&earlier.sources, &earlier.sources_now) else {
            return Err(wrong(&whole, "there are no two looks at the sources to compare").help(
                "run `elt source freshness`, and give the folder of an earlier sources.json: `--state DIR`",
            ));
        };
        let newest = |of: &Value, id: &str| {
            let mut results = of.get("results").and_then(Value::as_array).into_iter().flatten();
            let one = results.rfind(|one| one.get("unique_id").and_then(Value::as_str) == Some(id))?;
            one.get("max_loaded_at").and_then(Value::as_str).map(str::to_owned)
        };
        let results = now.get("results").and_then(Value::as_array).into_iter().flatten();
        let ids = results.filter_map(|one| one.get("unique_id")?.as_str());
        // Instants of one format are ordered as texts are.
        let is_fresher =
            |id: &&str| newest(now, id).is_some_and(|at| newest(before, id).is_none_or(|b| at > b));
        Ok(ids.filter(is_fresher).map(str::to_owned).collect())
    }

    /// What there is to say of a term that means nothing.
    pub(super) fn unmatched(&self, manifest: &Manifest, earlier: &Earlier) -> Option<Diagnostic> {
        let named = self.named(manifest, earlier).ok()?;
        let what = format!("The selection criterion '{}' does not match any enabled nodes", self.written);
        named.is_empty().then(|| {
            Diagnostic::warning("elt::nothing_selected", what)
                .help("`elt ls` lists what there is")
                .maybe_help(self.meant(manifest))
        })
    }

    fn matches(&self, node: &Node) -> bool {
        let value = self.value.as_str();
        match &self.method {
            Method::Bare if value.contains('/') => matches_path(value, &node.path),
            Method::Bare if is_file_name(value) => matches_file(value, &node.path),
            Method::Bare | Method::Fqn => matches_fqn(value, node),
            Method::Tag => node.tags.iter().any(|tag| glob(value, tag)),
            Method::Path => {
                let described = node.described_in.as_deref().is_some_and(|path| matches_path(value, path));
                described || matches_path(value, &node.path)
            }
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
            Method::Group => {
                node.config.get("group").and_then(Value::as_str).is_some_and(|own| glob(value, own))
            }
            Method::Access => {
                let own = node.config.get("access").and_then(Value::as_str).unwrap_or("protected");
                node.materialization().is_some() && own == value
            }
            Method::UnitTest => matches!(node.kind, NodeKind::UnitTest(_)) && glob(value, &node.name),
            Method::Version => is_version(value, node),
            Method::Config(_)
            | Method::Document(_)
            | Method::State
            | Method::Result
            | Method::SourceStatus => false,
        }
    }

    /// Whether an exposure, a metric or the like is meant.
    fn matches_document(&self, document: &DocumentNode) -> bool {
        let value = self.value.as_str();
        match &self.method {
            Method::Bare if value.contains('/') => matches_path(value, &document.path),
            Method::Bare if is_file_name(value) => matches_file(value, &document.path),
            Method::Bare | Method::Fqn => glob(value, &document.name) || begins_fqn(value, &document.fqn),
            Method::Path => matches_path(value, &document.path),
            Method::File => matches_file(value, &document.path),
            Method::Tag => document.tags().iter().any(|tag| glob(value, tag)),
            Method::Package => glob(value, &document.package),
            Method::ResourceType => glob(value, document.kind),
            _ => false,
        }
    }

    /// What may have been meant, if the value names something that is not there.
    fn meant(&self, manifest: &Manifest) -> Option<String> {
        let nodes = manifest.nodes.values();
        let (what, known): (&str, BTreeSet<&str>) = match self.method {
            Method::Tag => {
                ("node has the tag", nodes.flat_map(|node| node.tags.iter().map(String::as_str)).collect())
            }
            Method::Source => ("source is called", sources(manifest)),
            Method::Path | Method::File => ("file is called", nodes.map(|node| node.path.as_str()).collect()),
            Method::Bare | Method::Fqn | Method::TestName | Method::UnitTest | Method::Document(_) => {
                let names = nodes.filter(|node| !matches!(node.kind, NodeKind::Source(_)));
                ("model or test is called", names.map(|node| node.name.as_str()).collect())
            }
            _ => return None,
        };
        let meant = did_you_mean(&self.value, known)?;
        Some(format!("no {what} `{}`; {meant}", self.value))
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
            ("source_status", false) => Self::SourceStatus,
            ("version", false) => Self::Version,
            (method, _) => {
                let why = format!("there is no method `{method}:`");
                return Err(wrong(whole, &why)
                    .help(format!("methods are: {}", METHODS.join(", ")))
                    .maybe_help(did_you_mean(method, METHODS)));
            }
        })
    }
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
    if let Some(edition) = &node.edition
        && (value == edition.shown(&node.name) || value == edition.file_name(&node.name))
    {
        return true;
    }
    begins_fqn(value, &node.fqn)
}

/// Whether `value` is the beginning of `fqn`, with its package or without.
fn begins_fqn(value: &str, fqn: &[String]) -> bool {
    let wanted: Vec<&str> = value.split('.').collect();
    let begins = |fqn: &[String]| {
        wanted.len() <= fqn.len() && wanted.iter().zip(fqn).all(|(wanted, part)| glob(wanted, part))
    };
    begins(fqn) || begins(fqn.get(1..).unwrap_or_default())
}

/// What tests are, to `test_type:`.
const TEST_TYPES: [&str; 4] = ["data", "generic", "singular", "unit"];
/// What nodes are, to `resource_type:`.
const RESOURCE_TYPES: [&str; 13] = [
    "analysis",
    "exposure",
    "function",
    "metric",
    "model",
    "operation",
    "saved_query",
    "seed",
    "semantic_model",
    "snapshot",
    "source",
    "test",
    "unit_test",
];

/// Kinds of versions.
const VERSIONS: [&str; 4] = ["latest", "prerelease", "old", "none"];

fn is_version(kind: &str, node: &Node) -> bool {
    let Some(edition) = &node.edition else { return kind == "none" && node.materialization().is_some() };
    match kind {
        "latest" => edition.is_latest(),
        "prerelease" => edition.age() == Ordering::Greater,
        "old" => edition.age() == Ordering::Less,
        _ => false,
    }
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

/// Whether a setting has a value: as it is set, or as it is if nobody sets it, which `whole` knows.
fn matches_config(path: &[String], value: &str, node: &Node, whole: &dyn Fn() -> Option<Value>) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    let inside = |found: &Value| rest.iter().try_fold(found.clone(), |found, key| found.get(key).cloned());
    let set = node.config.get(first).and_then(&inside);
    let found = set.or_else(|| inside(whole()?.get(first)?));
    match found {
        Some(Value::Object(entries)) => entries.keys().any(|key| glob(value, key)),
        Some(found) => texts(&found).iter().any(|text| glob(&value.to_lowercase(), &text.to_lowercase())),
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
