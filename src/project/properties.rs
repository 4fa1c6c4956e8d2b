//! What do properties files say of models, sources and tests?
//!
//! [`read`] takes one rendered file apart. Sources come out whole; what is said of a model or of a
//! singular test is kept as a description that `load` hangs on the thing itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::base::{Diagnostic, Span, TableName, parse_data_type};

use super::config::{Config, ConfigTree, plain};
use super::data_test::{DataTest, read_tests};
use super::doc_block;
use super::document::{Document, KINDS, UnitTest, fixtures};
use super::edition::{DescribedEdition, EditionColumns, Editions};
use super::macro_file::MacroWords;
use super::model::Column;
use super::settings::is_disabled;
use super::source::{Source, SourceLanding, WholeSource};
use super::words::{self, Words};
use super::yaml::{RenderScope, Yaml, YamlJinja, YamlNode};

/// Below these keys Jinja is rendered later, or not at all.
const LATE: &[&str] = &[
    "description",
    "tests",
    "data_tests",
    "macros",
    "unit_tests",
    "exposures",
    "metrics",
    "semantic_models",
    "saved_queries",
    "pre_hook",
    "post_hook",
    "pre-hook",
    "post-hook",
    "relation",
    "loaded_at_query",
];

/// One properties file taken apart.
#[derive(Default)]
pub(super) struct Properties {
    pub(super) models: Vec<Described>,
    pub(super) seeds: Vec<Described>,
    /// Those with a `relation:` are snapshots of their own, the others describe one of a file.
    pub(super) snapshots: Vec<(Described, Option<String>)>,
    pub(super) tests: Vec<Described>,
    pub(super) sources: Vec<Source>,
    pub(super) documents: Vec<Document>,
    pub(super) unit_tests: Vec<UnitTest>,
    pub(super) macros: Vec<MacroWords>,
}

/// What is said of a model or of a singular test.
pub(super) struct Described {
    pub(super) name: String,
    pub(super) at: Span,
    pub(super) description: String,
    pub(super) config: Config,
    pub(super) columns: Vec<Column>,
    pub(super) tests: Vec<DataTest>,
    pub(super) editions: Editions,
}

/// What a reader of properties needs besides the text.
pub(super) struct Reader<'a> {
    pub(super) jinja: &'a dyn YamlJinja,
    pub(super) scope: RenderScope<'a>,
    /// `sources:` of `dbt_project.yml`: of the package, and over it of the project.
    pub(super) sources: Vec<&'a ConfigTree>,
    /// The package's folder on this machine.
    pub(super) root: &'a std::path::Path,
    /// `[package, folder…]` of the file.
    pub(super) folder: Vec<String>,
    /// For a description with docs blocks in it, as it comes out, the blocks it asked for.
    pub(super) doc_calls: &'a mut BTreeMap<(String, String), Vec<String>>,
    pub(super) found: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Reads one file.
    pub(super) fn read(&mut self, mut yaml: Yaml) -> Properties {
        yaml.render(self.jinja, &self.scope, LATE, self.found);
        self.judge(&yaml, words::PROPERTIES, "a properties file");
        let mut properties = Properties::default();
        for item in list(&yaml, "models") {
            properties.models.extend(self.described(item, words::MODEL, words::MODEL_CONFIG, "a model"));
        }
        for item in list(&yaml, "data_tests").iter().chain(list(&yaml, "tests")) {
            let mut item = item.clone();
            item.render(self.jinja, &self.scope, LATE, self.found);
            properties.tests.extend(self.described(&item, words::MODEL, words::TEST_CONFIG, "a data test"));
        }
        for item in list(&yaml, "seeds") {
            properties.seeds.extend(self.described(item, words::MODEL, words::SEED_CONFIG, "a seed"));
        }
        for item in list(&yaml, "snapshots") {
            let relation = item.get("relation").and_then(Yaml::text);
            let described = self.described(item, words::MODEL, words::SNAPSHOT_CONFIG, "a snapshot");
            properties.snapshots.extend(described.map(|described| (described, relation)));
        }
        for item in list(&yaml, "sources") {
            self.source(item, &mut properties.sources);
        }
        for (key, kind) in KINDS {
            for item in list(&yaml, key) {
                properties.documents.extend(self.document(item, kind));
            }
        }
        for item in list(&yaml, "unit_tests") {
            properties.unit_tests.extend(self.unit_test(item));
        }
        for item in list(&yaml, "macros") {
            properties.macros.extend(self.macro_words(item));
        }
        properties
    }

    fn judge(&mut self, yaml: &Yaml, words: Words, place: &str) {
        for entry in yaml.entries() {
            let blank = entry.value.is_blank();
            self.found.extend(words::judge(words, place, &entry.key, &entry.key_at, blank));
        }
    }

    /// The name of an item; an item without one is a mistake.
    fn name(&mut self, item: &Yaml, what: &str) -> Option<(String, Span)> {
        let written = item.get("name").and_then(|name| Some((name.text()?, name.at.clone())));
        let written = written.filter(|(name, _)| !name.trim().is_empty());
        if written.is_none() {
            self.found.push(
                Diagnostic::error("elt::properties", format!("{what} has no name"))
                    .at(&item.at, "no `name:` here")
                    .help("every entry of this list begins with `- name: …`"),
            );
        }
        written
    }

    /// Reads `description:`, with `doc('…')` filled in.
    fn description(&mut self, item: &Yaml) -> String {
        let Some(mut description) = item.get("description").cloned() else { return String::new() };
        let asked = description.text().as_deref().map(doc_block::asked_of).unwrap_or_default();
        description.render_prose(self.jinja, &self.scope, self.found);
        let text = description.text().unwrap_or_default();
        if !asked.is_empty() {
            let package = self.folder.first().cloned().unwrap_or_default();
            self.doc_calls.insert((package, text.clone()), asked);
        }
        text
    }

    /// Reads `config:` with the `meta:` and `tags:` that may stand beside it below.
    fn config(&mut self, item: &Yaml, words: Words, what: &str) -> Config {
        let mut config = Config::default();
        for key in [
            "tags",
            "meta",
            "docs",
            "freshness",
            "loaded_at_field",
            "loaded_at_query",
            "group",
            "access",
            "deprecation_date",
            "expectations",
            "constraints",
            "time_spine",
        ] {
            if let Some(value) = item.get(key) {
                config.set(key, value.to_json(), value.at.clone());
            }
        }
        if let Some(written) = item.get("config") {
            config.lay(&Config::read(written, words, &format!("the config of {what}"), self.found));
        }
        config
    }

    fn tests(&mut self, item: &Yaml, column: Option<&str>) -> Vec<DataTest> {
        if let (Some(_), Some(twin)) = (item.get("data_tests"), item.get("tests")) {
            let what = "`tests` and `data_tests` are two names of one list";
            let help = "move what is under `tests` to `data_tests`";
            self.found.push(
                Diagnostic::error("elt::properties", what).at(&twin.at, "beside `data_tests`").help(help),
            );
        }
        let lists = ["data_tests", "tests"].into_iter().filter_map(|key| item.get(key));
        lists.flat_map(|list| read_tests(list, column, self.jinja, &self.scope, self.found)).collect()
    }

    fn described(&mut self, item: &Yaml, words: Words, config: Words, what: &str) -> Option<Described> {
        let (name, at) = self.name(item, what)?;
        self.judge(item, words, what);
        let mut own = self.config(item, config, what);
        gather_constraints(item, &mut own);
        Some(Described {
            name,
            at,
            description: self.description(item),
            config: own,
            columns: self.columns(item),
            tests: self.tests(item, None),
            editions: self.editions(item, config),
        })
    }

    fn macro_words(&mut self, item: &Yaml) -> Option<MacroWords> {
        let (name, at) = self.name(item, "a macro")?;
        let said = |key: &str| {
            let of_config = item.get("config").and_then(|config| config.get(key));
            item.get(key).or(of_config).map(Yaml::to_json).unwrap_or_default()
        };
        let (meta, docs) = (said("meta"), said("docs"));
        let mut arguments = said("arguments");
        for (one, argument) in list(item, "arguments").iter().enumerate() {
            if let Some(Value::Object(written)) = arguments.get_mut(one) {
                written.insert("description".into(), self.description(argument).into());
            }
        }
        Some(MacroWords {
            package: self.folder.first().cloned().unwrap_or_default(),
            name,
            description: self.description(item),
            arguments,
            meta,
            docs,
            path: at.source.path.to_string(),
        })
    }

    /// Reads `versions:` and `latest_version:`.
    fn editions(&mut self, item: &Yaml, config: Words) -> Editions {
        let mut editions = Editions { latest: version(item.get("latest_version")), all: Vec::new() };
        for entry in list(item, "versions") {
            self.judge(entry, words::EDITION, "a version of a model");
            let Some(version) = version(entry.get("v")) else {
                self.found.push(
                    Diagnostic::error("elt::properties", "a version of a model has no number")
                        .at(&entry.at, "no `v:` here")
                        .help("every entry of `versions:` begins with `- v: …`"),
                );
                continue;
            };
            let at = entry.get("v").map_or(&entry.at, |v| &v.at).clone();
            if let Some(twin) = editions.all.iter().find(|edition| edition.version == version) {
                self.found.push(twice("version", &version, &at, &twin.at));
                continue;
            }
            let has_tests = entry.get("data_tests").or(entry.get("tests")).is_some();
            editions.all.push(DescribedEdition {
                defined_in: entry.get("defined_in").and_then(Yaml::text),
                description: entry.get("description").map(|_| self.description(entry)),
                config: self.config(entry, config, "a version of a model"),
                columns: entry.get("columns").map(|_| self.edition_columns(entry)),
                tests: has_tests.then(|| self.tests(entry, None)),
                version,
                at,
            });
        }
        if let (Some(latest), Some(written)) = (&editions.latest, item.get("latest_version"))
            && !editions.all.is_empty()
            && !editions.all.iter().any(|edition| edition.version == *latest)
        {
            let known: Vec<&str> = editions.all.iter().map(|edition| edition.version.as_str()).collect();
            self.found.push(
                Diagnostic::error("elt::properties", format!("there is no version {latest} of this model"))
                    .at(&written.at, "not one of `versions:`")
                    .help(format!("there are: {}", known.join(", "))),
            );
        }
        editions
    }

    fn edition_columns(&mut self, entry: &Yaml) -> EditionColumns {
        let (mut include, mut exclude) = (None, Vec::new());
        let mut own = entry.clone();
        if let YamlNode::Map(entries) = &mut own.node
            && let Some(columns) = entries.iter_mut().find(|entry| entry.key == "columns")
            && let YamlNode::List(items) = &mut columns.value.node
        {
            items.retain(|item| {
                let of_all =
                    item.get("include").or(item.get("exclude")).is_some() && item.get("name").is_none();
                if of_all {
                    include = item
                        .get("include")
                        .map(texts_of)
                        .filter(|names| !names.iter().any(|name| matches!(name.as_str(), "all" | "*")));
                    exclude = item.get("exclude").map(texts_of).unwrap_or_default();
                }
                !of_all
            });
        }
        EditionColumns { include, exclude, own: self.columns(&own) }
    }

    fn document(&mut self, item: &Yaml, kind: &'static str) -> Option<Document> {
        let (name, at) = self.name(item, &format!("a {}", kind.replace('_', " ")))?;
        self.description(item);
        let mut item = item.clone();
        item.render(self.jinja, &self.scope, &["depends_on", "filter", "expr"], self.found);
        Some(Document {
            kind,
            package: self.folder.first().cloned().unwrap_or_default(),
            fqn: self.folder.iter().cloned().chain([name.clone()]).collect(),
            written: item.to_json(),
            name,
            at,
        })
    }

    fn unit_test(&mut self, item: &Yaml) -> Option<UnitTest> {
        let (name, at) = self.name(item, "a unit test")?;
        let Some(model) = item.get("model").and_then(Yaml::text) else {
            self.found.push(
                Diagnostic::error("elt::unit_test", format!("the unit test `{name}` names no model"))
                    .at(&at, "of which model?")
                    .help("add `model: …`"),
            );
            return None;
        };
        Some(UnitTest {
            package: self.folder.first().cloned().unwrap_or_default(),
            fqn: self.folder.iter().cloned().chain([model.clone(), name.clone()]).collect(),
            fixtures: fixtures(&item.to_json(), self.root),
            written: item.to_json(),
            name,
            model,
            at,
        })
    }

    fn columns(&mut self, item: &Yaml) -> Vec<Column> {
        let mut columns: Vec<Column> = Vec::new();
        for entry in list(item, "columns") {
            let Some((name, at)) = self.name(entry, "a column") else { continue };
            self.judge(entry, words::COLUMN, "a column");
            let config = entry.get("config");
            let tags = entry.get("tags").or_else(|| config?.get("tags")).map(Yaml::items).unwrap_or_default();
            let meta = entry.get("meta").or_else(|| config?.get("meta")).map(Yaml::to_json);
            let mut column = Column {
                meta: meta.and_then(|meta| meta.as_object().cloned()).unwrap_or_default(),
                granularity: entry.get("granularity").and_then(Yaml::text),
                quote: entry.get("quote").and_then(Yaml::text).map(|quote| quote == "true"),
                description: self.description(entry),
                data_type: self.data_type(entry),
                tags: tags.iter().filter_map(Yaml::text).collect(),
                tests: self.tests(entry, Some(&name)),
                name,
                at,
            };
            // As in dbt the later description holds, and the tests of both.
            match columns.iter_mut().find(|twin| twin.name == column.name) {
                Some(twin) => {
                    let told = twice("column", &column.name, &column.at, &twin.at);
                    self.found.push(told.as_warning());
                    column.tests.splice(0..0, std::mem::take(&mut twin.tests));
                    *twin = column;
                }
                None => columns.push(column),
            }
        }
        columns
    }

    fn data_type(&mut self, column: &Yaml) -> Option<String> {
        let written = column.get("data_type")?;
        let name = written.text()?;
        if parse_data_type(&name).is_none() {
            self.found.push(
                Diagnostic::warning("elt::data_type", format!("`{name}` is not a type elt knows"))
                    .at(&written.at, "not a type")
                    .help("known are bigint, int, double, decimal(p,s), varchar, boolean, date, timestamp, timestamptz, binary, and lists of them such as int[]"),
            );
        }
        Some(name)
    }

    fn source(&mut self, item: &Yaml, sources: &mut Vec<Source>) {
        let Some((source, _)) = self.name(item, "a source") else { return };
        self.judge(item, words::SOURCE, "a source");
        let mut whole = self.config(item, words::SOURCE_CONFIG, "a source");
        SourceLanding::promote(&mut whole);
        let whole_tests = self.tests(item, None);
        if let Some(test) = whole_tests.first() {
            self.found.push(
                Diagnostic::error("elt::data_test", "a test cannot be on a whole source")
                    .at(&test.at, "on no table")
                    .help("move it below one of the `tables:`"),
            );
        }
        let schema = item.get("schema").and_then(Yaml::text).or_else(|| whole.text("schema"));
        let about = Arc::new(WholeSource {
            description: self.description(item),
            loader: item.get("loader").and_then(Yaml::text).unwrap_or_default(),
            meta: whole.meta().cloned().map(Value::from).unwrap_or_else(|| Value::Object(Default::default())),
            schema: schema.clone(),
        });
        let schema = schema.unwrap_or_else(|| source.clone());
        for table in list(item, "tables") {
            sources.extend(self.source_table(table, &source, &schema, &whole, &about));
        }
    }

    fn source_table(
        &mut self,
        item: &Yaml,
        source: &str,
        schema: &str,
        whole: &Config,
        about: &Arc<WholeSource>,
    ) -> Option<Source> {
        let (table, at) = self.name(item, "a source's table")?;
        self.judge(item, words::SOURCE_TABLE, "a source's table");
        let fqn: Vec<String> =
            self.folder.iter().cloned().chain([source.to_owned(), table.clone()]).collect();
        let mut own = self.config(item, words::SOURCE_CONFIG, "a source's table");
        SourceLanding::promote(&mut own);
        let mut config = Config::default();
        self.sources.iter().for_each(|tree| config.lay(&tree.resolve(&fqn)));
        SourceLanding::promote(&mut config);
        config.lay(whole);
        config.lay(&own);
        if config.get("enabled").is_some_and(|e| is_disabled(&e.value, &e.at, self.found)) {
            return None;
        }
        let identifier = item.get("identifier").and_then(Yaml::text).unwrap_or_else(|| table.clone());
        // Projects for other engines quote a name that is a word of SQL there.
        let bare = identifier.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
        let identifier = bare.map_or(identifier.clone(), str::to_owned);
        let name = match TableName::new(schema, &identifier) {
            Ok(name) => name,
            Err(why) => {
                self.found.push(
                    Diagnostic::error("elt::name", why.to_string())
                        .at(&at, "cannot name a table")
                        .help("give the table another `identifier:`, or the source another `schema:`"),
                );
                return None;
            }
        };
        Some(Source {
            package: self.folder.first().cloned().unwrap_or_default(),
            source: source.to_owned(),
            landing: SourceLanding::read(&config, &table, &identifier, self.found),
            name,
            description: self.description(item),
            columns: self.columns(item).into(),
            tests: self.tests(item, None),
            table,
            config,
            fqn,
            at,
            whole: Arc::clone(about),
        })
    }
}

/// A version, as a number or a text.
fn version(yaml: Option<&Yaml>) -> Option<String> {
    yaml.filter(|yaml| !yaml.is_null()).and_then(Yaml::text).filter(|text| !text.trim().is_empty())
}

fn texts_of(yaml: &Yaml) -> Vec<String> {
    match yaml.text() {
        Some(one) => vec![one],
        None => yaml.items().iter().filter_map(Yaml::text).collect(),
    }
}

/// The items under `key`; a mapping that should be a list counts as its one item.
fn list<'a>(yaml: &'a Yaml, key: &str) -> &'a [Yaml] {
    match yaml.get(key) {
        Some(list) if !matches!(list.node, YamlNode::Scalar(_)) => list.items(),
        _ => &[],
    }
}

/// The error for a second thing of the same name.
pub(super) fn twice(what: &str, name: &str, at: &Span, first: &Span) -> Diagnostic {
    Diagnostic::error("elt::duplicate", format!("the {what} `{}` is described twice", plain(&name.into())))
        .at(at, "again here")
        .help(format!("it is already at {}; keep one of the two", first.place()))
}
/// The key of a constraint that is written at a column: which column.
pub const ON_COLUMN: &str = "on_column";

/// Brings the constraints of columns to those of the whole, each with the column that it is on.
fn gather_constraints(item: &Yaml, config: &mut Config) {
    let on_whole = item.get("constraints").map(|written| (written.to_json(), written.at.clone()));
    let (mut all, mut at) = match on_whole {
        Some((serde_json::Value::Array(all), at)) => (all, Some(at)),
        // What is no list is told when it is read.
        Some(_) => return,
        None => (Vec::new(), None),
    };
    for column in list(item, "columns") {
        let (Some(name), Some(written)) =
            (column.get("name").and_then(Yaml::text), column.get("constraints"))
        else {
            continue;
        };
        at = at.or_else(|| Some(written.at.clone()));
        match written.to_json() {
            serde_json::Value::Array(constraints) => all.extend(constraints.into_iter().map(|mut one| {
                if let Some(one) = one.as_object_mut() {
                    one.insert("columns".to_owned(), serde_json::json!([name]));
                    one.insert(ON_COLUMN.to_owned(), name.clone().into());
                }
                one
            })),
            other => all.push(other),
        }
    }
    if let Some(at) = at {
        config.set("constraints", serde_json::Value::Array(all), at);
    }
}
