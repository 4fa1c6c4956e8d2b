//! What does a promise in a properties file become?
//!
//! Each `data_tests:` entry becomes a draft that calls the macro `test_<name>` with its arguments.
//! Names are dbt's: the test, what it is on, and its arguments, joined by `_`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::{Diagnostic, TableName, did_you_mean};
use crate::project::{Column, Config, DataTest, plain};

use super::draft::{Draft, Maker};
use super::jinja::{Argument, Phase, Relation, md5_hex, recorded};
use super::node::{Condition, NodeId, NodeKind, Stored, TestKind, TestNode, TestSeverity};
use super::parse::Parser;

/// What a generic test is on.
pub(super) struct On {
    pub(super) id: NodeId,
    /// As test names have it: the model's name, or `source_table`.
    pub(super) name: String,
    /// As people have it: the model's name, or `source.table`.
    pub(super) shown: String,
    pub(super) is_source: bool,
    pub(super) relation: Option<TableName>,
    /// As a template refers to it: `ref('orders')`.
    pub(super) reference: String,
    /// `[package, folder…]`.
    pub(super) folder: Vec<String>,
}

impl Parser<'_> {
    /// Parses the tests on a model or source and on its columns.
    pub(super) fn generic_tests(&mut self, on: &On, tests: &[DataTest], columns: &[Column]) {
        let mut seen: BTreeMap<NodeId, String> = BTreeMap::new();
        let of_columns =
            columns.iter().flat_map(|column| column.tests.iter().map(|test| (test, column.tags.as_slice())));
        for (test, tags) in tests.iter().map(|test| (test, &[][..])).chain(of_columns) {
            if test.config.flag("enabled") == Some(false) {
                continue;
            }
            let Some(draft) = self.generic_test(on, test, tags) else { continue };
            if let Some(first) = seen.insert(draft.id.clone(), test.at.place()) {
                self.found.push(
                    Diagnostic::error(
                        "elt::duplicate",
                        format!("the test `{}` is written twice", draft.name),
                    )
                    .at(&test.at, "again here")
                    .help(format!("it is already at {first}; remove one, or give this one a `name:`")),
                );
                continue;
            }
            self.parsed.drafts.push(draft);
        }
    }

    fn generic_test(&mut self, on: &On, test: &DataTest, tags: &[String]) -> Option<Draft> {
        let macro_name = format!("test_{}", test.test);
        let package = match self.find_test(on, test, &macro_name) {
            Ok(package) => package,
            Err(diagnostic) => {
                self.found.push(diagnostic);
                return None;
            }
        };
        let name = test.name.clone().unwrap_or_else(|| full_name(on, test));
        let mut fqn = self.folder_of(on, test);
        fqn.push(name.clone());
        let mut config = self.project.test_config(&fqn);
        config.set("tags", tags.to_vec().into(), test.at.clone());
        config.lay(&test.config);
        if config.flag("enabled") == Some(false) {
            return None;
        }
        let owner = &on.folder[0];
        let id = NodeId::new(format!("test.{owner}.{name}.{}", short_hash(&name, on, test)));
        let kind = TestKind::Generic {
            test_name: test.test.clone(),
            column: test.column.clone(),
            model: on.shown.clone(),
            reference: on.reference.clone(),
            package: test.package.clone(),
            arguments: test.arguments.clone(),
        };
        let kind = NodeKind::Test(test_node(&config, kind, Some(on.id.clone()), self.found));
        let mut draft = Draft {
            description: test.description.clone(),
            maker: Maker::Macro {
                package,
                name: macro_name,
                arguments: arguments(test),
                filter: config.get("where").map(|setting| setting.value.clone()),
            },
            attached: Some(on.id.clone()),
            is_broken: false,
            config: config.into(),
            ..Draft::new(id, &name, kind, &test.at, &fqn)
        };
        self.record_names(&mut draft, on);
        self.store_failures(&mut draft);
        Some(draft)
    }

    /// `[package, folder…]` of the properties file that a test is written in.
    fn folder_of(&self, on: &On, test: &DataTest) -> Vec<String> {
        let package = &on.folder[0];
        let root = self.project.roots.get(package).map(String::as_str).unwrap_or_default();
        let path = test.at.source.path.strip_prefix(root).unwrap_or(&test.at.source.path);
        let mut folders: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        folders.pop();
        // The first is one of the project's paths; a longer one is taken for the folder of what the test is on.
        match folders.split_first() {
            Some((_, folders)) if *folders != on.folder[1..] => {
                std::iter::once(package.as_str()).chain(folders.iter().copied()).map(str::to_owned).collect()
            }
            _ => on.folder.clone(),
        }
    }

    /// Gives a test that keeps its failing rows the table to keep them in.
    pub(super) fn store_failures(&mut self, draft: &mut Draft) {
        let stored = self.stored(&draft.config);
        let NodeKind::Test(test) = &mut draft.kind else { return };
        test.stored = stored;
        if stored.is_none() {
            return;
        }
        // dbt's schema for failures, unless the test says another; names are kept short enough for a folder.
        let mut config = (*draft.config).clone();
        if config.get("schema").is_none() {
            config.set("schema", "dbt_test__audit".into(), draft.at.clone());
        }
        if config.get("alias").is_none() && draft.name.chars().count() > 63 {
            let short = match &draft.kind {
                NodeKind::Test(test) => test.short_name(&draft.name),
                _ => draft.name.clone(),
            };
            config.set("alias", short.into(), draft.at.clone());
        }
        let named = Draft { config: config.into(), ..draft.clone() };
        draft.relation = self.relation(&named);
    }

    fn stored(&mut self, config: &Config) -> Option<Stored> {
        let by_flag = || {
            let flag = config.flag("store_failures").unwrap_or(self.facts.store_failures);
            flag.then_some(Stored::Table)
        };
        let Some(setting) = config.get("store_failures_as") else { return by_flag() };
        match plain(&setting.value).to_lowercase().as_str() {
            "table" => Some(Stored::Table),
            "view" => Some(Stored::View),
            "ephemeral" => None,
            other => {
                self.found.push(
                    Diagnostic::error(
                        "elt::config",
                        format!("'{other}' is not a valid value of `store_failures_as`"),
                    )
                    .at(&setting.at, "not known")
                    .help("Accepted values are: ['ephemeral', 'table', 'view']"),
                );
                None
            }
        }
    }

    /// The package whose macro the test is; nothing if the name is looked up from the project on.
    fn find_test(&self, on: &On, test: &DataTest, macro_name: &str) -> Result<Option<String>, Diagnostic> {
        let package = test.package.clone();
        if let Some(package) = package
            .as_ref()
            .filter(|package| !self.project.packages.contains_key(*package) && *package != "dbt")
        {
            return Err(Diagnostic::error(
                "elt::test_not_found",
                format!("the test `{}` is of the package `{package}`, which is not installed", test.test),
            )
            .at(&test.at, "no such package")
            .help(format!("add `{package}` to packages.yml and copy it to dbt_packages/{package}/"))
            .maybe_help(did_you_mean(package, self.project.packages.keys().map(String::as_str))));
        }
        // A test of a package's own model is first looked for in that package.
        let own = &on.folder[0];
        let package = package.or_else(|| self.jinja.has_macro(own, macro_name).then(|| own.clone()));
        let found = self.jinja.find_macro(package.as_deref(), macro_name);
        found.map(|()| package).map_err(|nearest| {
            let nearest = nearest.as_deref().and_then(|name| name.strip_prefix("test_"));
            Diagnostic::error("elt::test_not_found", format!("there is no test `{}`", test.test))
                .at(&test.at, "not known")
                .help(format!(
                    "define it: `{{% test {}(model, column_name) %}}` in a file under tests/generic/",
                    test.test
                ))
                .maybe_help(nearest.and_then(|name| did_you_mean(&test.test, [name])))
        })
    }

    /// Calls the test's macro once for the names in it and in its arguments.
    fn record_names(&mut self, draft: &mut Draft, on: &On) {
        let Maker::Macro { package, name, arguments, .. } = &draft.maker else { return };
        let relation = on.relation.clone().map_or_else(|| Relation::Cte(on.name.clone()), Relation::Table);
        let mut all = vec![("model".to_owned(), Argument::Relation(relation))];
        all.extend(arguments.iter().cloned());
        let scope = self.jinja.scope(draft.subject(), Phase::Parse);
        if let Err(diagnostic) = self.jinja.call(package.as_deref(), name, &all, &scope, &draft.at) {
            self.found.push(diagnostic);
            draft.is_broken = true;
        }
        let seen = recorded(&scope);
        draft.refs = seen.refs;
        draft.sources = seen.sources;
        draft.called = seen.called.into_iter().collect();
        // What the test's own `config()` says stands below what the project says.
        let mut own = Config::default();
        seen.config.into_iter().for_each(|(key, value)| own.set(&key, value, draft.at.clone()));
        if own.iter().next().is_some()
            && let NodeKind::Test(test) = &draft.kind
        {
            own.lay(&draft.config);
            let kind = test_node(&own, test.kind.clone(), test.attached.clone(), self.found);
            draft.kind = NodeKind::Test(kind);
            draft.config = own.into();
        }
    }
}

/// The arguments of a test's macro, `model` left out.
fn arguments(test: &DataTest) -> Vec<(String, Argument)> {
    let column =
        test.column.iter().map(|column| ("column_name".to_owned(), Argument::Json(column.as_str().into())));
    // A test on a whole model may name the column, or an expression, among its arguments.
    let written = test.arguments.iter().filter(|(key, _)| test.column.is_none() || *key != "column_name");
    column.chain(written.map(|(key, value)| (key.clone(), Argument::Json(value.clone())))).collect()
}

/// dbt's name for a test that was given none.
fn full_name(on: &On, test: &DataTest) -> String {
    let mut named: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    if let Some(column) = &test.column {
        named.insert("column_name", vec![column.clone()]);
    }
    for (key, value) in &test.arguments {
        let parts = match value {
            Value::Object(entries) => entries.values().map(python_str).collect(),
            Value::Array(items) => items.iter().map(python_str).collect(),
            value => vec![python_str(value)],
        };
        named.insert(key, parts);
    }
    let parts: Vec<String> = named.into_values().flatten().map(|part| clean(&part)).collect();
    let package = test.package.iter().map(|package| format!("{package}_")).collect::<String>();
    let prefix = if on.is_source { "source_" } else { "" };
    format!("{package}{prefix}{}_{}_{}", test.test, on.name, parts.join("__"))
}

/// Every stretch of other characters than letters, digits and `_` becomes one `_`.
fn clean(text: &str) -> String {
    let mut clean = String::new();
    let mut in_gap = false;
    for c in text.chars() {
        let is_word = c.is_ascii_alphanumeric() || c == '_';
        if is_word {
            clean.push(c);
        } else if !in_gap {
            clean.push('_');
        }
        in_gap = !is_word;
    }
    clean
}

/// Ten characters that tell tests of the same name apart: dbt's, of its own description of the test.
fn short_hash(name: &str, on: &On, test: &DataTest) -> String {
    let mut kwargs: BTreeMap<&str, String> =
        test.arguments.iter().map(|(key, value)| (key.as_str(), python_text(value))).collect();
    if let Some(column) = &test.column {
        kwargs.insert("column_name", python_repr(column));
    }
    kwargs.insert("model", python_repr(&format!("{{{{ get_where_subquery({}) }}}}", on.reference)));
    let kwargs: Vec<String> =
        kwargs.into_iter().map(|(key, value)| format!("{}: {value}", python_repr(key))).collect();
    let namespace = python_repr(test.package.as_deref().unwrap_or("None"));
    let about = format!(
        "{{'kwargs': {{{}}}, 'name': {}, 'namespace': {namespace}}}",
        kwargs.join(", "),
        python_repr(&test.test)
    );
    let hash = md5_hex(&format!("{name}{about}"));
    hash[hash.len() - 10..].to_owned()
}

/// A value as Python's `str()` writes it.
fn python_str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => python_value(value),
    }
}

/// A value as Python shows it.
pub fn python_value(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entries =
                entries.iter().map(|(key, value)| format!("{}: {}", python_repr(key), python_value(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(python_value).collect::<Vec<_>>().join(", ")),
        Value::String(text) => python_repr(text),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        Value::Number(number) => number.to_string(),
    }
}

/// dbt's name for a file or a table of a test whose name is long: its beginning, up to its arguments, and a hash.
pub(super) fn short_test_name(name: &str, kind: &str, on: &str) -> String {
    if name.chars().count() < 64 {
        return name.to_owned();
    }
    let head: String = format!("{kind}_{on}").chars().take(30).collect();
    format!("{head}_{}", md5_hex(name))
}

/// A value as Python shows it once every scalar in it was made a text.
fn python_text(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let sorted: BTreeMap<&String, &Value> = entries.iter().collect();
            let entries = sorted
                .into_iter()
                .map(|(key, value)| format!("{}: {}", python_repr(key), python_text(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(python_text).collect::<Vec<_>>().join(", ")),
        Value::String(text) => python_repr(text),
        Value::Bool(true) => "'True'".to_owned(),
        Value::Bool(false) => "'False'".to_owned(),
        Value::Null => "'None'".to_owned(),
        Value::Number(number) => format!("'{number}'"),
    }
}

/// A text as Python shows it: in single quotes, unless it holds some and no double ones.
fn python_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut shown = String::from(quote);
    for letter in text.chars() {
        match letter {
            '\\' => shown.push_str("\\\\"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            letter if letter == quote => shown.extend(['\\', letter]),
            letter => shown.push(letter),
        }
    }
    shown.push(quote);
    shown
}

/// What the settings of a test mean.
pub(super) fn test_node(
    config: &Config,
    kind: TestKind,
    attached: Option<NodeId>,
    found: &mut Vec<Diagnostic>,
) -> TestNode {
    let mut condition = |key: &str| {
        let Some(setting) = config.get(key) else { return Condition::ANY };
        Condition::parse(&plain(&setting.value)).unwrap_or_else(|| {
            found.push(
                Diagnostic::error("elt::config", format!("`{key}` is not a condition"))
                    .at(&setting.at, "not a condition")
                    .help("write a comparison with the number of failures, such as `> 10` or `!= 0`"),
            );
            Condition::ANY
        })
    };
    TestNode {
        warn_if: condition("warn_if"),
        error_if: condition("error_if"),
        severity: severity(config, found),
        limit: limit(config, found),
        fail_calc: config.text("fail_calc").unwrap_or_else(|| "count(*)".into()),
        kind,
        attached,
        stored: None,
    }
}

fn severity(config: &Config, found: &mut Vec<Diagnostic>) -> TestSeverity {
    let Some(setting) = config.get("severity") else { return TestSeverity::Error };
    match plain(&setting.value).to_lowercase().as_str() {
        "error" => TestSeverity::Error,
        "warn" => TestSeverity::Warn,
        other => {
            found.push(
                Diagnostic::error("elt::config", format!("`{other}` is no severity"))
                    .at(&setting.at, "neither error nor warn")
                    .help("write `error` or `warn`"),
            );
            TestSeverity::Error
        }
    }
}

fn limit(config: &Config, found: &mut Vec<Diagnostic>) -> Option<u64> {
    let setting = config.get("limit")?;
    let limit = plain(&setting.value).trim().parse().ok();
    if limit.is_none() {
        found.push(
            Diagnostic::error("elt::config", "`limit` is a number of rows")
                .at(&setting.at, "not a whole number"),
        );
    }
    limit
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ids are those in manifests that dbt wrote.
    #[test]
    fn tests_have_the_ids_that_dbt_gives_them() {
        let id =
            |test: &str, package: Option<&str>, column: Option<&str>, reference: &str, arguments: Value| {
                let at = crate::base::SourceText::new("s.yml", "").span(0..0);
                let test = DataTest {
                    test: test.to_owned(),
                    package: package.map(str::to_owned),
                    column: column.map(str::to_owned),
                    name: None,
                    description: String::new(),
                    arguments: arguments.as_object().cloned().unwrap_or_default(),
                    config: Config::default(),
                    at,
                };
                let model = reference.split('\'').nth(1).unwrap_or_default().to_owned();
                let on = On {
                    id: NodeId::new("model.p.m"),
                    name: model.clone(),
                    shown: model,
                    is_source: false,
                    relation: None,
                    reference: reference.to_owned(),
                    folder: Vec::new(),
                };
                let name = full_name(&on, &test);
                format!("{name}.{}", short_hash(&name, &on, &test))
            };
        assert_eq!(
            id("not_null", None, Some("order_item_id"), "ref('order_items')", serde_json::json!({})),
            "not_null_order_items_order_item_id.c6fda366bd"
        );
        assert_eq!(
            id("unique", None, Some("order_item_id"), "ref('order_items')", serde_json::json!({})),
            "unique_order_items_order_item_id.7d0a7e900a"
        );
        assert_eq!(
            id(
                "accepted_values",
                None,
                Some("count_a"),
                "ref('test_get_column_values')",
                serde_json::json!({"values": ["1"]})
            ),
            "accepted_values_test_get_column_values_count_a__1.f87b77fddc"
        );
    }

    #[test]
    fn other_characters_become_one_underscore() {
        assert_eq!(clean("ref('customers')"), "ref_customers_");
        assert_eq!(clean("placed"), "placed");
        assert_eq!(clean("a > 0 and b"), "a_0_and_b");
    }
}
