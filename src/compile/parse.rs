//! What does each template ask for?
//!
//! The parse phase: every model, snapshot and singular test is rendered once with `execute` false, which
//! records its `ref`s, `source`s and `config()`. With its settings complete, a model gets its
//! relation and its materialization. Out come [`Draft`]s; nothing is resolved yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Diagnostic, Span, TableName};
use crate::project::words::{self, Words};
use crate::project::{
    Analysis, Column, Config, DataTest, Model, Project, Seed, SingularTest, SnapshotFile, Source, as_flag,
    judge_values, plain,
};

use super::Facts;
use super::constraint;
use super::data_test;
use super::draft::{Draft, Maker, place_of_setting};
use super::expectation;
use super::freshness;
use super::grants;
use super::jinja::{Argument, Jinja, Phase, Subject, inside, recorded};
use super::materialization;
use super::node::{Freshness, Materialization, NodeId, NodeKind, SeedNode, SourceNode, TestKind};
use super::running;
use super::snapshot;
use super::time_spine;

/// The drafts of a project.
#[derive(Default)]
pub(super) struct Parsed {
    pub(super) drafts: Vec<Draft>,
    /// What is switched off, and where.
    pub(super) disabled: BTreeMap<String, Span>,
    /// The same as drafts.
    pub(super) off: Vec<Draft>,
    /// The files of enabled models.
    pub(super) models: BTreeMap<NodeId, Span>,
}

/// One parse of one project.
pub(super) struct Parser<'a> {
    pub(super) project: &'a Project,
    pub(super) facts: &'a Facts,
    pub(super) jinja: &'a Jinja,
    pub(super) parsed: Parsed,
    pub(super) found: &'a mut Vec<Diagnostic>,
}

/// The name of a model's template.
pub(super) fn model_template(model: &Model) -> String {
    format!("model {}", model.source_text.path)
}

/// The name of a singular test's template.
pub(super) fn test_template(test: &SingularTest) -> String {
    format!("test {}", test.source_text.path)
}

/// The name of a snapshot's template.
pub(super) fn snapshot_template(snapshot: &SnapshotFile) -> String {
    format!("snapshot {} {}", snapshot.source_text.path, snapshot.name)
}

/// The name of an analysis's template.
pub(super) fn analysis_template(analysis: &Analysis) -> String {
    format!("analysis {}", analysis.source_text.path)
}

impl Parser<'_> {
    /// Parses everything: sources, seeds, models and snapshots with their tests, singular tests, analyses.
    pub(super) fn parse(mut self) -> Parsed {
        let project = self.project;
        project.sources.iter().for_each(|source| self.source(source));
        project.seeds.iter().for_each(|seed| self.seed(seed));
        project.models.iter().for_each(|model| self.model(model));
        project.snapshots.iter().for_each(|snapshot| self.snapshot(snapshot));
        project.tests.iter().for_each(|test| self.singular_test(test));
        project.analyses.iter().for_each(|analysis| self.analysis(analysis));
        project.unit_tests.iter().for_each(|test| self.unit_test(test));
        materialization::check_replaced(project, self.jinja, self.parsed.drafts.iter(), self.found);
        self.parsed
    }

    fn source(&mut self, source: &Source) {
        let id = NodeId::new(format!("source.{}.{}.{}", source.package, source.source, source.table));
        let name = format!("{}.{}", source.source, source.table);
        let kind = NodeKind::Source(SourceNode {
            source: source.source.clone(),
            table: source.table.clone(),
            landing: source.landing.clone(),
            freshness: self.freshness(source),
            whole: source.whole.clone(),
        });
        self.parsed.drafts.push(Draft {
            relation: Some(source.name.clone()),
            description: source.description.clone(),
            columns: source.columns.clone(),
            config: source.config.clone().into(),
            is_broken: false,
            ..Draft::new(id.clone(), &name, kind, &source.at, &source.fqn)
        });
        let on = data_test::On {
            id,
            name: format!("{}_{}", source.source, source.table),
            shown: name,
            is_source: true,
            relation: Some(source.name.clone()),
            reference: format!("source('{}', '{}')", source.source, source.table),
            folder: source.fqn[..source.fqn.len() - 2].to_vec(),
        };
        let mut tests = source.tests.clone();
        tests.extend(self.expected_of(source));
        self.generic_tests(&on, &tests, &source.columns);
    }

    /// How old the rows of a source may be; a query that tells it may name the source as `this`.
    fn freshness(&mut self, source: &Source) -> Option<Freshness> {
        let mut read = freshness::read(&source.config, self.found)?;
        if let (Some(query), Some(setting)) =
            (&mut read.loaded_at_query, source.config.get("loaded_at_query"))
        {
            let subject = Subject {
                name: source.table.clone(),
                package: source.package.clone(),
                resource_type: "source",
                this: Some(source.name.clone()),
                ..Subject::default()
            };
            let scope = self.jinja.scope(subject, Phase::Parse);
            match self.jinja.text(&query.as_str().into(), &scope, &setting.at) {
                Ok(rendered) => *query = rendered,
                Err(diagnostic) => self.found.push(diagnostic),
            }
        }
        Some(read)
    }

    /// What a source expects of its rows, as tests.
    fn expected_of(&mut self, source: &Source) -> Vec<DataTest> {
        let expected = expectation::of_source(&source.config, self.found);
        let Some(setting) = source.config.get("expectations").filter(|_| !expected.is_empty()) else {
            return Vec::new();
        };
        let test = |one: expectation::Expectation| {
            let mut config = Config::default();
            let severity = if one.on_violation == expectation::OnViolation::Fail { "error" } else { "warn" };
            config.set("severity", severity.into(), setting.at.clone());
            let expect = serde_json::Value::from(one.expect.clone());
            DataTest {
                test: "elt_expectation".to_owned(),
                package: None,
                column: None,
                name: Some(format!("expectation_{}_{}_{}", source.source, source.table, one.word())),
                description: String::new(),
                arguments: [("expect".to_owned(), expect)].into_iter().collect(),
                config,
                at: setting.at.clone(),
            }
        };
        expected.into_iter().map(test).collect()
    }

    fn seed(&mut self, seed: &Seed) {
        let id = NodeId::new(format!("seed.{}.{}", seed.package, seed.name));
        let at = seed.source_text.span(0..0);
        let config = seed.config.clone();
        let kind = NodeKind::Seed(SeedNode {
            file: seed.file.clone(),
            delimiter: self.delimiter(&config),
            keep_names: config.flag("quote_columns") == Some(true),
            column_types: column_types(&config, &seed.columns),
        });
        let mut draft = Draft {
            description: seed.description.clone(),
            described_in: described_in(&seed.described_at),
            columns: seed.columns.clone(),
            config: config.into(),
            is_broken: false,
            ..Draft::new(id, &seed.name, kind, &at, &seed.fqn)
        };
        if !self.is_enabled(&draft.config.clone(), &draft) {
            return;
        }
        judge_values(&draft.config, self.found);
        self.check_column_types(&draft);
        grants::check(&draft.config, &self.project.users, self.found);
        draft.relation = self.relation(&draft);
        self.place(draft, &seed.tests);
    }

    fn delimiter(&mut self, config: &Config) -> char {
        let Some(setting) = config.get("delimiter") else { return ',' };
        let written = plain(&setting.value);
        let mut chars = written.chars();
        match (written.as_str(), chars.next(), chars.next()) {
            ("\\t", ..) => '\t',
            (_, Some(one), None) => one,
            _ => {
                let what = format!("compilation error: `{written}` cannot be a seed's delimiter");
                self.found.push(
                    Diagnostic::error("elt::config", what)
                        .at(&setting.at, "not one character")
                        .help("write one character, such as `|`, or `\\t`"),
                );
                ','
            }
        }
    }

    fn check_column_types(&mut self, draft: &Draft) {
        let NodeKind::Seed(seed) = &draft.kind else { return };
        let setting = draft.config.get("column_types").map_or(&draft.at, |setting| &setting.at).clone();
        for (column, name) in &seed.column_types {
            if crate::base::parse_data_type(name).is_none() {
                self.found.push(
                    Diagnostic::error("elt::data_type", format!("`{name}`, of the column `{column}`, is not a type elt knows"))
                        .at(&setting, "not a type")
                        .help("known are bigint, int, double, decimal(p,s), varchar, boolean, date, timestamp, timestamptz, binary"),
                );
            }
        }
    }

    fn model(&mut self, model: &Model) {
        let shown =
            model.edition.as_ref().map_or_else(|| model.name.clone(), |edition| edition.shown(&model.name));
        let id = NodeId::new(format!("model.{}.{shown}", model.package));
        let at = model.source_text.span(0..0);
        let mut config = model.config.clone();
        let mut draft = Draft {
            description: model.description.clone(),
            described_in: described_in(&model.described_at),
            columns: model.columns.clone(),
            config: config.clone().into(),
            edition: model.edition.clone(),
            maker: Maker::Template(model_template(model)),
            ..Draft::new(id, &model.name, NodeKind::Model(Materialization::View), &at, &model.fqn)
        };
        // A model switched off in YAML is not even rendered, as its Jinja may not work.
        if !self.is_enabled(&config, &draft) {
            return;
        }
        self.render(&mut draft, &mut config, words::MODEL_CONFIG);
        if !self.is_enabled(&config, &draft) {
            return;
        }
        if let Some(first) = self.parsed.models.insert(draft.id.clone(), draft.at.clone()) {
            self.found.push(
                Diagnostic::error("elt::duplicate", format!("two models are called `{}`", draft.name))
                    .at(&draft.at, "the second")
                    .help(format!("the first is {}; rename one of the files", first.source.path)),
            );
            return;
        }
        judge_values(&config, self.found);
        draft.config = config.into();
        if let Some(language) = draft.config.text("language").filter(|language| language != "sql") {
            self.found.push(words::unsupported(
                &format!("models in {language}"),
                "instead write SQL",
                &draft.at,
            ));
        }
        draft.relation = self.relation(&draft);
        let materialization = self.materialization(&draft);
        grants::check(&draft.config, &self.project.users, self.found);
        draft.expectations = expectation::read(&draft.config, &materialization, self.found);
        draft.constraints = constraint::read(&draft.config, &materialization, self.found);
        time_spine::check(&draft, self.found);
        draft.kind = NodeKind::Model(materialization);
        draft.running = running::read(&draft.config, self.found);
        if let (NodeKind::Model(Materialization::Incremental { details, .. }), Some(only)) =
            (&mut draft.kind, self.facts.batches.get(draft.id.as_str()))
            && let Some(window) = &mut details.window
        {
            window.only = Some(only.clone());
        }
        self.place(draft, &model.tests);
    }

    fn materialization(&mut self, draft: &Draft) -> Materialization {
        materialization::read(&draft.config, draft.relation.as_ref(), self.facts, self.jinja, self.found)
    }

    fn snapshot(&mut self, snapshot: &SnapshotFile) {
        let id = NodeId::new(format!("snapshot.{}.{}", snapshot.package, snapshot.name));
        let mut config = snapshot.config.clone();
        let mut draft = Draft {
            description: snapshot.description.clone(),
            described_in: described_in(&snapshot.described_at),
            columns: snapshot.columns.clone(),
            config: config.clone().into(),
            maker: Maker::Template(snapshot_template(snapshot)),
            raw: Some(snapshot.template.as_str().into()),
            ..Draft::new(id, &snapshot.name, NodeKind::Analysis, &snapshot.at, &snapshot.fqn)
        };
        if !self.is_enabled(&config, &draft) {
            return;
        }
        self.render(&mut draft, &mut config, words::SNAPSHOT_CONFIG);
        if !self.is_enabled(&config, &draft) {
            return;
        }
        judge_values(&config, self.found);
        draft.config = config.into();
        draft.kind = NodeKind::Snapshot(snapshot::read(&draft, self.found));
        grants::check(&draft.config, &self.project.users, self.found);
        draft.running = running::read(&draft.config, self.found);
        draft.relation = self.relation(&draft);
        self.place(draft, &snapshot.tests);
    }

    /// Adds a draft that becomes a table or view, with its hooks and its tests.
    fn place(&mut self, mut draft: Draft, tests: &[DataTest]) {
        let on = data_test::On {
            id: draft.id.clone(),
            name: draft.word(),
            shown: draft.shown(),
            is_source: false,
            relation: draft.relation.clone(),
            reference: match &draft.edition {
                Some(edition) => format!("ref('{}', version='{}')", draft.name, edition.version),
                None => format!("ref('{}')", draft.name),
            },
            folder: draft.fqn[..draft.fqn.len() - if draft.edition.is_some() { 2 } else { 1 }].to_vec(),
        };
        if matches!(draft.kind, NodeKind::Model(Materialization::Ephemeral)) {
            draft.relation = None;
        }
        for (key, after) in [("pre_hook", false), ("post_hook", true)] {
            draft.hooks.extend(hooks(&draft.config, key).into_iter().map(|sql| (sql, after)));
        }
        self.record_hooks(&mut draft);
        let columns = draft.columns.clone();
        self.parsed.drafts.push(draft);
        self.generic_tests(&on, tests, &columns);
    }

    /// The names in a node's hooks are its own.
    fn record_hooks(&mut self, draft: &mut Draft) {
        for (sql, _) in draft.hooks.clone() {
            let scope = self.jinja.scope(draft.subject(), Phase::Parse);
            if let Err(diagnostic) = self.jinja.text(&sql.into(), &scope, &draft.at) {
                self.found.push(diagnostic);
            }
            let seen = recorded(&scope);
            if matches!(draft.kind, NodeKind::Seed(_)) && !(seen.refs.is_empty() && seen.sources.is_empty()) {
                let what =
                    format!("Seeds cannot depend on other nodes: a hook of `{}` refers to one", draft.name);
                self.found.push(
                    Diagnostic::error("elt::seed", what)
                        .at(&draft.at, "this seed")
                        .help("move the hook to a model that reads the seed"),
                );
                continue;
            }
            draft.refs.extend(seen.refs);
            draft.sources.extend(seen.sources);
            let news = seen.called.into_iter().filter(|id| !draft.called.contains(id)).collect::<Vec<_>>();
            draft.called.extend(news);
        }
    }

    fn singular_test(&mut self, test: &SingularTest) {
        let at = test.source_text.span(0..0);
        let mut config = test.config.clone();
        let kind = |config: &Config, found: &mut Vec<Diagnostic>| {
            NodeKind::Test(data_test::test_node(config, TestKind::Singular, None, found))
        };
        let id = NodeId::new(format!("test.{}.{}", test.package, test.name));
        let mut draft = Draft {
            description: test.description.clone(),
            config: config.clone().into(),
            maker: Maker::Template(test_template(test)),
            ..Draft::new(id, &test.name, kind(&config, &mut Vec::new()), &at, &test.fqn)
        };
        if config.flag("enabled") == Some(false) {
            return self.parsed.off.push(draft);
        }
        self.render(&mut draft, &mut config, words::TEST_CONFIG);
        if config.flag("enabled") == Some(false) {
            draft.config = config.into();
            return self.parsed.off.push(draft);
        }
        judge_values(&config, self.found);
        draft.kind = kind(&config, self.found);
        draft.config = config.into();
        self.store_failures(&mut draft);
        self.parsed.drafts.push(draft);
    }

    fn analysis(&mut self, analysis: &Analysis) {
        let id = NodeId::new(format!("analysis.{}.{}", analysis.package, analysis.name));
        let at = analysis.source_text.span(0..0);
        let mut draft = Draft {
            maker: Maker::Template(analysis_template(analysis)),
            ..Draft::new(id, &analysis.name, NodeKind::Analysis, &at, &analysis.fqn)
        };
        let mut config = Config::default();
        self.render(&mut draft, &mut config, words::MODEL_CONFIG);
        if self.is_enabled(&config, &draft) {
            draft.config = config.into();
            self.parsed.drafts.push(draft);
        }
    }

    /// Renders a template for what it asks for, and lays its `config()` over `config`.
    fn render(&mut self, draft: &mut Draft, config: &mut Config, words: Words) {
        let Maker::Template(template) = &draft.maker else { return };
        let scope = self.jinja.scope(draft.subject(), Phase::Parse);
        let rendered = self.jinja.render(template, &scope, &draft.at);
        let seen = recorded(&scope);
        let mut own = Config::default();
        for (key, value) in seen.config {
            let key = crate::project::canonical(&key);
            let at = place_of_setting(&draft.source_text, &key);
            let is_blank = asks_for_nothing(&value);
            self.found.extend(words::judge(words, "config()", &key, &at, is_blank));
            own.set(&key, value, at);
        }
        config.lay(&own);
        // A model that switches itself off may be unable to go on from there.
        match rendered {
            Ok(_) => draft.is_broken = false,
            Err(_) if config.flag("enabled") == Some(false) => {}
            Err(diagnostic) => self.found.push(diagnostic),
        }
        draft.refs = seen.refs;
        draft.sources = seen.sources;
        draft.called = seen.called.into_iter().collect();
        self.warn(seen.warnings, &draft.at);
    }

    fn warn(&mut self, warnings: Vec<String>, at: &Span) {
        let told = warnings
            .into_iter()
            .map(|text| Diagnostic::warning("elt::raised", text).at(at, "said by this template"));
        self.found.extend(told);
    }

    pub(super) fn is_enabled(&mut self, config: &Config, draft: &Draft) -> bool {
        let Some(setting) = config.get("enabled") else { return true };
        match as_flag(&setting.value) {
            Some(true) => true,
            Some(false) => {
                self.parsed.disabled.insert(draft.shown(), setting.at.clone());
                let relation = self.relation(draft);
                self.parsed.off.push(Draft { config: config.clone().into(), relation, ..draft.clone() });
                false
            }
            None => {
                self.found.push(
                    Diagnostic::error("elt::config", "`enabled` must be true or false")
                        .at(&setting.at, "neither true nor false"),
                );
                true
            }
        }
    }

    /// Where the node goes: what `generate_schema_name` and `generate_alias_name` say.
    pub(super) fn relation(&mut self, draft: &Draft) -> Option<TableName> {
        let node: serde_json::Value = serde_json::json!({
            "name": draft.name, "fqn": draft.fqn, "package_name": draft.package,
            "resource_type": draft.kind.resource_type(), "unique_id": draft.id.as_str(),
            "path": inside(&draft.source_text.path, &draft.fqn, draft.edition.is_some()), "config": draft.config.to_json(), "meta": draft.config.meta(),
            "original_file_path": &*draft.source_text.path, "tags": draft.config.texts("tags"),
            "version": draft.edition.as_ref().map(|edition| edition.version.as_str()),
        });
        let is_snapshot = matches!(draft.kind, NodeKind::Snapshot(_));
        let schema = match draft.config.text("target_schema").filter(|_| is_snapshot) {
            Some(schema) => schema,
            None => self.name_by("generate_schema_name", "schema", draft, &node)?,
        };
        let alias = self.name_by("generate_alias_name", "alias", draft, &node)?;
        match TableName::new(&schema, &alias) {
            Ok(name) => Some(name),
            Err(why) => {
                let wrong = ["alias", "schema"].into_iter().find_map(|key| draft.config.get(key));
                let at = wrong.map_or(&draft.at, |setting| &setting.at);
                let what = format!("of this {}", draft.kind.resource_type());
                self.found.push(Diagnostic::error("elt::name", why.to_string()).at(at, what));
                None
            }
        }
    }

    fn name_by(
        &mut self,
        generator: &str,
        key: &str,
        draft: &Draft,
        node: &serde_json::Value,
    ) -> Option<String> {
        let custom = draft.config.text(key).map_or(serde_json::Value::Null, Into::into);
        // By position, as dbt does: a project may name the parameters as it likes.
        let arguments =
            [(String::new(), Argument::Json(custom)), (String::new(), Argument::Json(node.clone()))];
        let subject =
            Subject { name: draft.name.clone(), package: draft.package.clone(), ..Subject::default() };
        let scope = self.jinja.scope(subject, Phase::Parse);
        let found = self.jinja.naming_macro(generator);
        let (package, name) = found.map_or((None, generator), |(package, name)| (Some(package), name));
        match self.jinja.call(package, name, &arguments, &scope, &draft.at) {
            Ok(name) => Some(name.trim().to_owned()),
            Err(diagnostic) => {
                self.found.push(diagnostic);
                None
            }
        }
    }
}

/// The file of a place in a properties file.
fn described_in(at: &Option<Span>) -> Option<Arc<str>> {
    at.as_ref().map(|at| at.source.path.as_ref().into())
}

/// The types of a seed's columns: those of `column_types`, and those that properties describe.
fn column_types(config: &Config, columns: &[Column]) -> Vec<(String, String)> {
    let setting = config.get("column_types").and_then(|setting| setting.value.as_object());
    let set = setting.into_iter().flatten().map(|(column, name)| (column.clone(), plain(name)));
    let mut types: Vec<(String, String)> = set.collect();
    for column in columns {
        let is_new = !types.iter().any(|(known, _)| known.eq_ignore_ascii_case(&column.name));
        let known = column.data_type.clone().filter(|name| crate::base::parse_data_type(name).is_some());
        types.extend(known.filter(|_| is_new).map(|name| (column.name.clone(), name)));
    }
    types
}

/// The texts of `pre_hook` or `post_hook`, which may be texts or mappings with `sql`.
fn hooks(config: &Config, key: &str) -> Vec<String> {
    let one = |value: &serde_json::Value| match value {
        serde_json::Value::Object(entries) => entries.get("sql").map(plain),
        serde_json::Value::Null => None,
        value => Some(plain(value)),
    };
    let all = match config.get(key).map(|setting| &setting.value) {
        Some(serde_json::Value::Array(items)) => items.iter().filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
        None => Vec::new(),
    };
    all.into_iter().filter(|sql: &String| !sql.trim().is_empty()).collect()
}

/// Whether a setting's value asks for nothing, so that a missing feature is not missed.
fn asks_for_nothing(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null | serde_json::Value::Bool(false) => true,
        serde_json::Value::String(text) => text.is_empty(),
        serde_json::Value::Array(items) => items.is_empty(),
        serde_json::Value::Object(entries) => {
            entries.is_empty()
                || entries.get("enforced").is_some_and(|enforced| as_flag(enforced) == Some(false))
        }
        serde_json::Value::Bool(true) | serde_json::Value::Number(_) => false,
    }
}
