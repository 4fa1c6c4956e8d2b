//! What does a unit test put in the place of a model's inputs?
//!
//! A unit test renders its model once more, with overridden macros and vars, so that every input is a
//! table of its own. In the build each of these tables is a view of the given rows; their types come from
//! the inputs' own queries, so nothing has to be built for it.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::base::{Diagnostic, Span, TableName};
use crate::project::{Config, UnitTest, plain, texts};

use super::document::{NameCall, call};
use super::draft::{Draft, Maker};
use super::jinja::{Overrides, Phase, recorded};
use super::node::{Materialization, NodeId, NodeKind, UnitInput, UnitRows, UnitTestNode};
use super::parse::Parser;

impl Parser<'_> {
    /// Parses a unit test. Its model must have been parsed before it.
    pub(super) fn unit_test(&mut self, test: &UnitTest) {
        let is_model = |draft: &&Draft| {
            draft.name == test.model
                && draft.package == test.package
                && matches!(draft.kind, NodeKind::Model(_))
        };
        let models: Vec<Draft> = self.parsed.drafts.iter().filter(is_model).cloned().collect();
        if models.is_empty() {
            if !self.parsed.disabled.contains_key(&test.model) {
                let what =
                    format!("the unit test `{}` is of `{}`, which is no model here", test.name, test.model);
                self.found.push(Diagnostic::error("elt::unit_test", what).at(&test.at, "of which model?"));
            }
            return;
        }
        let versions = |key: &str| {
            let list = test.written.get("versions").and_then(|versions| versions.get(key))?;
            Some(texts(list))
        };
        for model in models {
            let version = model.edition.as_ref().map(|edition| edition.version.clone());
            let is_in = |list: &Vec<String>| version.as_ref().is_some_and(|version| list.contains(version));
            if versions("include").as_ref().is_none_or(is_in)
                && !versions("exclude").as_ref().is_some_and(is_in)
            {
                self.unit_test_of(test, &model);
            }
        }
    }

    fn unit_test_of(&mut self, test: &UnitTest, model: &Draft) {
        let config = test.written.get("config");
        if config.and_then(|config| config.get("enabled")) == Some(&Value::Bool(false)) {
            return;
        }
        let version = model.edition.as_ref().map(|edition| format!("_v{}", edition.version));
        let version = version.unwrap_or_default();
        let id = NodeId::new(format!("unit_test.{}.{}.{}{version}", test.package, test.model, test.name));
        let overrides = overrides(&test.written);
        let mut draft = Draft {
            description: test.written.get("description").map(plain).unwrap_or_default(),
            relation: model.relation.clone(),
            maker: model.maker.clone(),
            overrides: Some(Arc::new(overrides)),
            ..Draft::new(id, &test.name, NodeKind::Analysis, &test.at, &test.fqn)
        };
        let mut own = Config::default();
        for (key, value) in config.and_then(Value::as_object).into_iter().flatten() {
            own.set(key, value.clone(), test.at.clone());
        }
        draft.config = own.into();
        if let Maker::Template(template) = &draft.maker {
            let mut subject = draft.subject();
            subject.config = model.config.clone().into();
            let scope = self.jinja.scope(subject, Phase::Parse);
            match self.jinja.render(template, &scope, &model.at) {
                Ok(_) => draft.is_broken = false,
                Err(diagnostic) => self.found.push(diagnostic),
            }
            let seen = recorded(&scope);
            (draft.refs, draft.sources) = (seen.refs, seen.sources);
        }
        let (inputs, expected) = (self.inputs(test, &draft), self.expected(test));
        draft.kind = NodeKind::UnitTest(UnitTestNode {
            model: model.id.clone(),
            inputs,
            expected,
            written: Arc::new(test.written.clone()),
        });
        // Where a mistake of the SQL is shown: in the model.
        draft.source_text = model.source_text.clone();
        self.parsed.drafts.push(draft);
    }

    fn inputs(&mut self, test: &UnitTest, draft: &Draft) -> Vec<UnitInput> {
        let given = test.written.get("given").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut inputs = Vec::new();
        for entry in &given {
            let Some(input) = entry.get("input").map(plain) else { continue };
            let Some(relation) = self.input_relation(&input, draft) else {
                let what =
                    format!("the unit test `{}` gives `{input}`, which its model does not read", test.name);
                self.found.push(
                    Diagnostic::error("elt::unit_test", what)
                        .at(&test.at, "not an input")
                        .help("write `ref('…')`, `source('…', '…')` or `this`, as the model does"),
                );
                continue;
            };
            if let Some(rows) = self.rows(test, entry) {
                inputs.push(UnitInput { relation, columns_of: None, rows });
            }
        }
        inputs
    }

    /// The table that an input means: a stand-in's name for an ephemeral model.
    fn input_relation(&self, input: &str, draft: &Draft) -> Option<TableName> {
        if input.trim() == "this" {
            return draft.relation.clone();
        }
        let call = call(input)?;
        let found = self.parsed.drafts.iter().find(|other| match (&other.kind, &call) {
            (NodeKind::Source(source), NameCall::Source(call)) => {
                source.source == call.source && source.table == call.table
            }
            (_, NameCall::Ref(call)) => {
                other.answers_to(call)
                    && call.package.as_ref().is_none_or(|package| other.package == *package)
            }
            _ => false,
        })?;
        match found.kind {
            NodeKind::Model(Materialization::Ephemeral) => fixture_name(&found.word()),
            _ => found.relation.clone(),
        }
    }

    fn rows(&mut self, test: &UnitTest, entry: &Value) -> Option<UnitRows> {
        let format = entry.get("format").map(plain).unwrap_or_else(|| "dict".to_owned());
        let text = match entry.get("fixture").map(plain) {
            Some(name) => Some(self.fixture(test, &name, &format)?),
            None => entry.get("rows").filter(|rows| rows.is_string()).map(plain),
        };
        match (format.as_str(), text) {
            ("sql", text) => Some(UnitRows::Sql(text.unwrap_or_default())),
            ("csv", text) => self.csv_rows(test, &text.unwrap_or_default()),
            (_, None) => {
                let rows = entry.get("rows").and_then(Value::as_array).cloned().unwrap_or_default();
                Some(UnitRows::Given(rows.iter().filter_map(|row| row.as_object().cloned()).collect()))
            }
            (_, Some(text)) => self.csv_rows(test, &text),
        }
    }

    fn csv_rows(&mut self, test: &UnitTest, text: &str) -> Option<UnitRows> {
        let rows = csv_rows(text).map_err(|why| {
            let what = format!("the unit test `{}` has CSV that is not right: {why}", test.name);
            self.found.push(
                Diagnostic::error("elt::unit_test", what)
                    .at(&test.at, "in its rows")
                    .help("put a value with a comma into double quotes"),
            );
        });
        rows.ok().map(UnitRows::Given)
    }

    fn expected(&mut self, test: &UnitTest) -> UnitRows {
        let entry = test.written.get("expect").cloned().unwrap_or_default();
        self.rows(test, &entry).unwrap_or(UnitRows::Given(Vec::new()))
    }

    /// The text of a fixture file: `tests/fixtures/<name>.csv` or `.sql`.
    fn fixture(&mut self, test: &UnitTest, name: &str, format: &str) -> Option<String> {
        let ending = if format == "sql" { "sql" } else { "csv" };
        let text = test.fixtures.get(&format!("{name}.{ending}")).cloned();
        if text.is_none() {
            self.found.push(fixture_missing(test, name, ending, &test.at));
        }
        text
    }
}

/// The name that stands for an ephemeral input in a unit test.
pub(super) fn fixture_name(model: &str) -> Option<TableName> {
    TableName::new("dbt_unit_test", model).ok()
}

fn fixture_missing(test: &UnitTest, name: &str, ending: &str, at: &Span) -> Diagnostic {
    let what = format!("the unit test `{}` needs the fixture `{name}`", test.name);
    Diagnostic::error("elt::unit_test", what)
        .at(at, "not found")
        .help(format!("write it to tests/fixtures/{name}.{ending}"))
}

fn overrides(written: &Value) -> Overrides {
    let part = |key: &str| {
        let part = written.get("overrides").and_then(|all| all.get(key)).and_then(Value::as_object);
        part.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    Overrides { macros: part("macros"), vars: part("vars"), env: part("env_vars") }
}

/// The rows of a CSV text; empty fields are null.
///
/// # Errors
/// A sentence about a line that has more fields than the header.
fn csv_rows(text: &str) -> Result<Vec<Map<String, Value>>, String> {
    let mut lines = text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty());
    let split = |line: &str| -> Vec<Value> { csv_fields(line) };
    let names: Vec<String> = lines.next().map(split).unwrap_or_default().iter().map(plain).collect();
    let row = |line: &str| {
        let fields = split(line);
        if fields.len() > names.len() {
            return Err(format!("`{line}` has {} fields, and its header {}", fields.len(), names.len()));
        }
        Ok(names.iter().map(|name| name.trim().to_owned()).zip(fields).collect())
    };
    lines.map(row).collect()
}

fn csv_fields(line: &str) -> Vec<Value> {
    let mut fields = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        let mut text = String::new();
        let quoted = chars.peek() == Some(&'"');
        if quoted {
            chars.next();
            while let Some(c) = chars.next() {
                match c {
                    '"' if chars.peek() == Some(&'"') => {
                        chars.next();
                        text.push('"');
                    }
                    '"' => break,
                    c => text.push(c),
                }
            }
        }
        while let Some(c) = chars.peek().copied().filter(|c| *c != ',') {
            text.push(c);
            chars.next();
        }
        let is_null = !quoted && (text.trim().is_empty() || text.trim() == "null");
        fields.push(if is_null { Value::Null } else { text.into() });
        if chars.next().is_none() {
            return fields;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_csv_are_read() {
        let rows = csv_rows("id,name\n1,\"a, \"\"b\"\"\"\n2,\n").unwrap();
        assert_eq!(
            serde_json::to_string(&rows).unwrap(),
            r#"[{"id":"1","name":"a, \"b\""},{"id":"2","name":null}]"#
        );
        assert_eq!(csv_rows("id\n1,2\n").unwrap_err(), "`1,2` has 2 fields, and its header 1");
    }
}
