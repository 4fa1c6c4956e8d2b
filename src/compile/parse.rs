//! What does each template ask for?
//!
//! The parse phase: every model and singular test is rendered once with `execute` false, which
//! records its `ref`s, `source`s and `config()`. With its settings complete, a model gets its
//! relation and its materialization. Out come [`Draft`]s; nothing is resolved yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Diagnostic, Span, TableName};
use crate::project::words::{self, Words};
use crate::project::{Config, Model, Project, SingularTest, Source, as_flag};

use super::Facts;
use super::data_test;
use super::draft::{Draft, Maker, place_of_setting};
use super::jinja::{Argument, Jinja, Phase, Subject, recorded};
use super::materialization;
use super::node::{Materialization, NodeId, NodeKind, SourceNode, TestKind};

/// The drafts of a project.
#[derive(Default)]
pub(super) struct Parsed {
    pub(super) drafts: Vec<Draft>,
    /// Models that are switched off, and where.
    pub(super) disabled: BTreeMap<String, Span>,
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

impl Parser<'_> {
    /// Parses everything: sources, models with their tests, singular tests.
    pub(super) fn parse(mut self) -> Parsed {
        for source in &self.project.sources {
            self.source(source);
        }
        for model in &self.project.models {
            self.model(model);
        }
        for test in &self.project.tests {
            self.singular_test(test);
        }
        self.parsed
    }

    fn source(&mut self, source: &Source) {
        let id = NodeId::new(format!("source.{}.{}.{}", self.project.name, source.source, source.table));
        self.parsed.drafts.push(Draft {
            id: id.clone(),
            name: format!("{}.{}", source.source, source.table),
            kind: NodeKind::Source(SourceNode {
                source: source.source.clone(),
                table: source.table.clone(),
                landing: source.landing.clone(),
            }),
            relation: Some(source.name.clone()),
            source_text: source.at.source.clone(),
            description: source.description.clone(),
            columns: source.columns.clone(),
            fqn: source.fqn.clone(),
            config: source.config.clone(),
            at: source.at.clone(),
            maker: Maker::None,
            refs: Vec::new(),
            sources: Vec::new(),
            attached: None,
            is_broken: false,
        });
        let on = data_test::On {
            id,
            name: format!("{}_{}", source.source, source.table),
            shown: format!("{}.{}", source.source, source.table),
            is_source: true,
            relation: Some(source.name.clone()),
            folder: source.fqn[..source.fqn.len() - 2].to_vec(),
        };
        self.generic_tests(&on, &source.tests, &source.columns);
    }

    fn model(&mut self, model: &Model) {
        let id = NodeId::new(format!("model.{}.{}", self.project.name, model.name));
        let at = model.source_text.span(0..0);
        let mut config = model.config.clone();
        let mut draft = Draft {
            id: id.clone(),
            name: model.name.clone(),
            kind: NodeKind::Model(Materialization::View),
            relation: None,
            source_text: model.source_text.clone(),
            description: model.description.clone(),
            columns: model.columns.clone(),
            fqn: model.fqn.clone(),
            config: config.clone(),
            at,
            maker: Maker::Template(model_template(model)),
            refs: Vec::new(),
            sources: Vec::new(),
            attached: None,
            is_broken: true,
        };
        // A model switched off in YAML is not even rendered, as its Jinja may not work.
        if !self.is_enabled(&config, &draft) {
            return;
        }
        self.render(&mut draft, &mut config, words::MODEL_CONFIG);
        if !self.is_enabled(&config, &draft) {
            return;
        }
        draft.config = config;
        if let Some(language) = draft.config.text("language").filter(|language| language != "sql") {
            self.found.push(words::unsupported(
                &format!("models in {language}"),
                "instead write SQL",
                &draft.at,
            ));
        }
        draft.relation = self.relation(&draft);
        let materialization =
            materialization::read(&draft.config, draft.relation.as_ref(), self.facts, self.found);
        let on = data_test::On {
            id,
            name: model.name.clone(),
            shown: model.name.clone(),
            is_source: false,
            relation: draft.relation.clone(),
            folder: model.fqn[..model.fqn.len() - 1].to_vec(),
        };
        if materialization == Materialization::Ephemeral {
            draft.relation = None;
        }
        draft.kind = NodeKind::Model(materialization);
        self.parsed.drafts.push(draft);
        self.generic_tests(&on, &model.tests, &model.columns);
    }

    fn singular_test(&mut self, test: &SingularTest) {
        let at = test.source_text.span(0..0);
        let mut config = test.config.clone();
        let mut draft = Draft {
            id: NodeId::new(format!("test.{}.{}", self.project.name, test.name)),
            name: test.name.clone(),
            kind: NodeKind::Test(data_test::test_node(&config, TestKind::Singular, None, &mut Vec::new())),
            relation: None,
            source_text: test.source_text.clone(),
            description: test.description.clone(),
            columns: Arc::new([]),
            fqn: test.fqn.clone(),
            config: config.clone(),
            at,
            maker: Maker::Template(test_template(test)),
            refs: Vec::new(),
            sources: Vec::new(),
            attached: None,
            is_broken: true,
        };
        if config.flag("enabled") == Some(false) {
            return;
        }
        self.render(&mut draft, &mut config, words::TEST_CONFIG);
        if config.flag("enabled") == Some(false) {
            return;
        }
        draft.kind = NodeKind::Test(data_test::test_node(&config, TestKind::Singular, None, self.found));
        draft.config = config;
        self.parsed.drafts.push(draft);
    }

    /// Renders a template for what it asks for, and lays its `config()` over `config`.
    fn render(&mut self, draft: &mut Draft, config: &mut Config, words: Words) {
        let Maker::Template(template) = &draft.maker else { return };
        if !self.jinja.has(template) {
            return;
        }
        let scope = self.jinja.scope(draft.subject(), Phase::Parse);
        match self.jinja.render(template, &scope, &draft.at) {
            Ok(_) => draft.is_broken = false,
            Err(diagnostic) => self.found.push(diagnostic),
        }
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
        draft.refs = seen.refs;
        draft.sources = seen.sources;
        self.warn(seen.warnings, &draft.at);
    }

    fn warn(&mut self, warnings: Vec<String>, at: &Span) {
        let told = warnings
            .into_iter()
            .map(|text| Diagnostic::warning("elt::raised", text).at(at, "said by this template"));
        self.found.extend(told);
    }

    fn is_enabled(&mut self, config: &Config, draft: &Draft) -> bool {
        let Some(setting) = config.get("enabled") else { return true };
        match as_flag(&setting.value) {
            Some(true) => true,
            Some(false) => {
                self.parsed.disabled.insert(draft.name.clone(), setting.at.clone());
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

    /// Where the model goes: what `generate_schema_name` and `generate_alias_name` say.
    fn relation(&mut self, draft: &Draft) -> Option<TableName> {
        let node: serde_json::Value = serde_json::json!({
            "name": draft.name, "fqn": draft.fqn, "package_name": self.project.name, "resource_type": "model",
            "unique_id": draft.id.as_str(), "path": &*draft.source_text.path, "config": draft.config.to_json(),
            "original_file_path": &*draft.source_text.path, "tags": draft.config.texts("tags"), "version": null,
        });
        let schema = self.name_by("generate_schema_name", "schema", draft, &node)?;
        let alias = self.name_by("generate_alias_name", "alias", draft, &node)?;
        match TableName::new(&schema, &alias) {
            Ok(name) => Some(name),
            Err(why) => {
                let wrong = ["alias", "schema"].into_iter().find_map(|key| draft.config.get(key));
                let at = wrong.map_or(&draft.at, |setting| &setting.at);
                self.found.push(Diagnostic::error("elt::name", why.to_string()).at(at, "of this model"));
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
        let scope =
            self.jinja.scope(Subject { name: draft.name.clone(), ..Subject::default() }, Phase::Parse);
        match self.jinja.call(generator, &arguments, &scope, &draft.at) {
            Ok(name) => Some(name.trim().to_owned()),
            Err(diagnostic) => {
                self.found.push(diagnostic);
                None
            }
        }
    }
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
