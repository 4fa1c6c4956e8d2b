//! How does a template become SQL?
//!
//! [`Jinja`] holds every template of a project, compiled once: models, singular tests, and each
//! macro for itself. It renders one of them in a [`Scope`], of which there is one kind per
//! [`Phase`]: the parse phase records names, the compile phase answers them.
//!
//! The library is named in this folder only. What stock minijinja lacks of dbt's Jinja is added by
//! rewriting tags ([`prepare`]), by values that change in place ([`values`]) and by calling macros
//! ourselves ([`macros`]).

mod agate;
mod answers;
mod arithmetic;
mod blocks;
mod call;
mod calls;
mod column;
mod convert;
mod defaults;
mod duration;
mod emit;
mod filters;
mod functions;
mod itertools;
mod lake;
mod macros;
pub(super) mod materializations;
mod methods;
mod mistake;
mod model;
mod objects;
mod pieces;
pub(super) mod prepare;
mod python;
pub(super) mod relation;
pub(super) mod scope;
mod time;
mod unasked;
mod values;
mod wording;
mod yaml;

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, Value};

use crate::base::{Diagnostic, SourceText, Span};
use crate::project::Project;

use blocks::{MacroBlock, Owner, read_macros};
pub(super) use convert::md5_hex;
pub(super) use functions::DBT_VERSION;
use lake::NeedsLake;
use macros::{INTERNAL, MacroLibrary, MacroValue, template_name};
use materializations::MaterializationBlock;
use mistake::Origins;
pub(super) use model::{asks_of_graph, inside};
use prepare::Prepared;
pub(super) use relation::Relation;
use scope::Root;
pub(super) use scope::{Given, Overrides, Phase, Recorded, RefCall, Scope, SourceCall, Subject};
pub use yaml::YamlRenderer;

/// The macros and generic tests that ship with elt: plain files, so that who knows SQL can read and change them.
const BUILTIN: &[(&str, &str)] = &[
    ("sql/macros/names.sql", include_str!("../../../sql/macros/names.sql")),
    ("sql/macros/types.sql", include_str!("../../../sql/macros/types.sql")),
    ("sql/macros/dates.sql", include_str!("../../../sql/macros/dates.sql")),
    ("sql/macros/expressions.sql", include_str!("../../../sql/macros/expressions.sql")),
    ("sql/macros/adapter.sql", include_str!("../../../sql/macros/adapter.sql")),
    ("sql/macros/internals.sql", include_str!("../../../sql/macros/internals.sql")),
    ("sql/tests/generic.sql", include_str!("../../../sql/tests/generic.sql")),
];

/// elt's own versions of macros of well-known packages, where the package's SQL is not DataFusion's.
const OVERRIDES: &[(&str, &str, &str)] = &[
    ("dbt_utils", "sql/packages/dbt_utils.sql", include_str!("../../../sql/packages/dbt_utils.sql")),
    ("dbt_date", "sql/packages/dbt_date.sql", include_str!("../../../sql/packages/dbt_date.sql")),
    (
        "dbt_expectations",
        "sql/packages/dbt_expectations.sql",
        include_str!("../../../sql/packages/dbt_expectations.sql"),
    ),
];

/// Every template of a project.
pub(super) struct Jinja {
    env: Environment<'static>,
    macros: Arc<MacroLibrary>,
    origins: Origins,
    given: Arc<Given>,
    /// The templates of nodes. One is compiled when it is rendered and dropped then: thousands of compiled templates
    /// are most of what a large project would have in memory, and each is needed twice.
    bodies: BTreeMap<String, Body>,
    materializations: Vec<MaterializationBlock>,
}

/// A template of a node, as it is written.
struct Body {
    source: SourceText,
    range: std::ops::Range<usize>,
    /// Whether its output gets marks.
    is_marked: bool,
}

impl Body {
    fn prepared(&self) -> Prepared {
        let mut prepared = Prepared::default();
        prepared.body(&self.source.text, self.range.clone(), self.is_marked);
        prepared
    }
}

impl Jinja {
    /// Compiles the macros of a project and those of elt.
    pub(super) fn new(project: &Project, given: Given, found: &mut Vec<Diagnostic>) -> Self {
        let mut env = Environment::new();
        env.set_debug(true);
        env.set_auto_escape_callback(|_| AutoEscape::None);
        env.set_unknown_method_callback(methods::of_value);
        filters::add(&mut env);
        let mut jinja = Self {
            env,
            macros: Arc::default(),
            origins: Origins::default(),
            given: Arc::new(given),
            bodies: BTreeMap::new(),
            materializations: Vec::new(),
        };
        let dialect = project.target.dialect.as_str();
        let mut library = MacroLibrary::new(&project.name, project.dispatch.clone(), dialect);
        let owner = |package: &str, overrides: Option<&str>| Owner {
            package: package.to_owned(),
            overrides: overrides.map(str::to_owned),
        };
        let builtin = BUILTIN.iter().map(|(path, text)| (SourceText::new(path, text), owner(INTERNAL, None)));
        let over = OVERRIDES
            .iter()
            .map(|(package, path, text)| (SourceText::new(path, text), owner(INTERNAL, Some(package))));
        let own = project.macros.iter().map(|file| (file.source_text.clone(), owner(&file.package, None)));
        for (source, owner) in builtin.chain(over).chain(own) {
            let (macros, materializations) = read_macros(&source, &owner, found);
            for block in macros {
                jinja.add_macro(block, &mut library, found);
            }
            jinja.materializations.extend(materializations);
        }
        found.extend(unasked::warnings(&library));
        jinja.origins.callable = scope::callable_names(&library);
        jinja.macros = Arc::new(library);
        jinja
    }

    fn add_macro(&mut self, block: Arc<MacroBlock>, library: &mut MacroLibrary, found: &mut Vec<Diagnostic>) {
        if let Some(twin) = library.add(block.clone()) {
            let first = twin.source.span(twin.at.clone());
            found.push(
                Diagnostic::error("elt::duplicate", format!("two macros are called `{}`", block.name))
                    .at(&block.source.span(block.at.clone()), "the second")
                    .help(format!("the first is at {}; rename one of the two", first.place())),
            );
            return;
        }
        let fallback = block.source.span(block.at.clone());
        let (name, prepared) = (template_name(&block), block.prepared.clone());
        let added = self.env.add_template_owned(name.clone(), prepared.text.clone());
        self.origins.add(&name, &block.source, prepared);
        if let Err(error) = added {
            found.push(self.origins.diagnose(&error, &fallback));
        }
    }

    /// Adds the part `range` of a file as a template whose output is SQL. `name` is how it is asked for later.
    pub(super) fn add_sql(&mut self, name: String, source: &SourceText, range: std::ops::Range<usize>) {
        self.bodies.insert(name, Body { source: source.clone(), range, is_marked: true });
    }

    /// Adds a text that was made for what stands at `at`.
    pub(super) fn add_text(&mut self, name: String, text: &str, at: &Span) {
        let source = SourceText::new(&at.source.path, text);
        self.bodies.insert(name, Body { source, range: 0..text.len(), is_marked: false });
    }

    /// Whether there is a macro of this name, and its closest neighbour's name if not.
    pub(super) fn find_macro(&self, package: Option<&str>, name: &str) -> Result<(), Option<String>> {
        match self.macro_of(package, name) {
            Some(_) => Ok(()),
            None => Err(crate::base::nearest(name, self.macros.names()).map(str::to_owned)),
        }
    }

    /// Whether a package has a macro of this name.
    pub(super) fn has_macro(&self, package: &str, name: &str) -> bool {
        self.macros.of(package, name).is_some()
    }

    fn macro_of(&self, package: Option<&str>, name: &str) -> Option<&Arc<MacroBlock>> {
        match package {
            Some(package) => self.macros.of(package, name),
            None => self.macros.find(name),
        }
    }

    /// The macro that decides about names, by its package and its own name: the project's, a package's, or elt's.
    pub(super) fn naming_macro(&self, name: &str) -> Option<(&str, &str)> {
        self.macros.anywhere(name).map(|block| (block.package.as_str(), block.name.as_str()))
    }

    /// The macro that the project has in the place of one that ships with elt, by its package and its own name.
    pub(super) fn own_version(&self, name: &str) -> Option<(&str, &str)> {
        let block = self.macros.find(name).filter(|block| block.package != INTERNAL)?;
        Some((block.package.as_str(), block.name.as_str()))
    }

    /// The materializations that the project and its packages define.
    pub(super) fn materializations(&self) -> &[MaterializationBlock] {
        &self.materializations
    }

    /// Every macro: its package, its name, its file and its text.
    pub(super) fn all_macros(&self) -> impl Iterator<Item = (&str, String, &SourceText, &str)> {
        let macros = self.macros.all();
        let macros = macros
            .map(|block| (block.package.as_str(), block.name.clone(), &block.source, block.written.as_str()));
        let materializations = self.materializations.iter();
        macros.chain(
            materializations.map(|block| {
                (block.package.as_str(), block.macro_name(), &block.source, block.written.as_str())
            }),
        )
    }

    /// The ids of the macros that the text of a macro of `package` calls, as far as that can be seen.
    pub(super) fn calls_of(&self, package: &str, text: &str) -> std::collections::BTreeSet<String> {
        calls::calls_of(&self.macros, package, text)
    }

    /// Lets templates see the graph.
    pub(super) fn set_graph(&self, make: impl Fn() -> serde_json::Value + Send + Sync + 'static) {
        self.given.graph.set(make);
    }

    /// Lets templates that are rendered from now on see which nodes are selected.
    pub(super) fn set_selected<'a>(&self, ids: impl Iterator<Item = &'a str>) {
        let _ = self.given.selected.set(values::list(ids.map(Value::from)));
    }

    /// The world of one node in one phase.
    pub(super) fn scope(&self, subject: Subject, phase: Phase) -> Arc<Scope> {
        Scope::new(self.given.clone(), self.macros.clone(), subject, phase)
    }

    /// Renders a template. Its output still holds the marks of [`prepare`].
    ///
    /// # Errors
    /// What is wrong, in its place in the user's file.
    pub(super) fn render(
        &self,
        name: &str,
        scope: &Arc<Scope>,
        fallback: &Span,
    ) -> Result<String, Diagnostic> {
        let body = self.bodies.get(name).expect("every node's template was added");
        let prepared = body.prepared();
        let compiled = self.env.template_from_named_str(name, &prepared.text);
        let rendered = compiled.and_then(|template| template.render(root(scope)));
        rendered.map_err(|error| match mistake::cause::<NeedsLake>(&error) {
            None if error.name() == Some(name) => {
                let at = mistake::place(&error, &body.source, &prepared).unwrap_or_else(|| fallback.clone());
                self.origins.diagnose_at(&error, at)
            }
            _ => self.diagnose(&error, fallback),
        })
    }

    /// Calls the macro `name` and returns its text. An argument without a name goes by its position.
    /// See [`Argument`].
    ///
    /// # Errors
    /// What is wrong, in its place; `fallback` where it has none.
    pub(super) fn call(
        &self,
        package: Option<&str>,
        name: &str,
        arguments: &[(String, Argument)],
        scope: &Arc<Scope>,
        fallback: &Span,
    ) -> Result<String, Diagnostic> {
        let diagnose = |error: &minijinja::Error| self.diagnose(error, fallback);
        let (mut positional, mut named) = (Vec::new(), Vec::new());
        for (key, argument) in arguments {
            let value = self.argument(argument, scope).map_err(|error| diagnose(&error))?;
            if key.is_empty() { positional.push(value) } else { named.push((key.clone(), value)) }
        }
        let Some(block) = self.macro_of(package, name) else {
            return Err(Diagnostic::error("elt::macro_not_found", format!("there is no macro `{name}`"))
                .at(fallback, "here"));
        };
        positional.push(Value::from(minijinja::value::Kwargs::from_iter(named)));
        let mut state = self.env.empty_state();
        let result = MacroValue::value(block, scope).call(&mut state, &positional);
        result.map(|value| value.to_string()).map_err(|error| diagnose(&error))
    }

    /// The text of a value of YAML whose strings may hold Jinja.
    ///
    /// # Errors
    /// What is wrong, shown at `place`.
    pub(super) fn text(
        &self,
        json: &serde_json::Value,
        scope: &Arc<Scope>,
        place: &Span,
    ) -> Result<String, Diagnostic> {
        let value = self.rendered(json, scope);
        value.map(|value| value.to_string()).map_err(|error| self.diagnose(&error, place))
    }

    fn diagnose(&self, error: &minijinja::Error, fallback: &Span) -> Diagnostic {
        match mistake::cause::<NeedsLake>(error) {
            Some(needs) => Diagnostic::error(NEEDS_LAKE, needs.to_string()).at(fallback, "reads the lake"),
            None => self.origins.diagnose(error, fallback),
        }
    }

    fn argument(&self, argument: &Argument, scope: &Arc<Scope>) -> Result<Value, minijinja::Error> {
        match argument {
            Argument::Relation(relation) => Ok(Value::from_object(relation.clone())),
            Argument::Json(json) => self.rendered(json, scope),
        }
    }

    /// Renders the Jinja in an argument: a string that is one expression becomes its value.
    fn rendered(&self, json: &serde_json::Value, scope: &Arc<Scope>) -> Result<Value, minijinja::Error> {
        let root = || root(scope);
        match json {
            serde_json::Value::String(text) => match expression(text) {
                Some(expression) => {
                    let mut prepared = Prepared::default();
                    prepared.expression(expression, 0..expression.len());
                    self.env.compile_expression_owned(prepared.text)?.eval(root())
                }
                None if answers::has_jinja(text) => {
                    let prepared = Prepared::template(text, false).text;
                    Ok(self.env.render_str(&prepared, root())?.into())
                }
                None => Ok(text.as_str().into()),
            },
            serde_json::Value::Array(items) => {
                let items: Result<Vec<Value>, _> =
                    items.iter().map(|item| self.rendered(item, scope)).collect();
                Ok(values::list(items?))
            }
            serde_json::Value::Object(entries) => {
                let one = |(key, value): (&String, &serde_json::Value)| {
                    Ok((key.as_str().into(), self.rendered(value, scope)?))
                };
                let entries: Result<Vec<(Value, Value)>, minijinja::Error> =
                    entries.iter().map(one).collect();
                Ok(values::dict(entries?))
            }
            scalar => Ok(values::from_json(scalar)),
        }
    }
}

/// The code of the diagnostic that says: this is rendered when it is built.
pub(super) const NEEDS_LAKE: &str = "elt::needs_lake";

/// What a node's own template sees.
fn root(scope: &Arc<Scope>) -> Value {
    let package =
        if scope.subject.package.is_empty() { &scope.given.project } else { &scope.subject.package };
    Value::from_object(Root { scope: scope.clone(), package: package.clone(), added: Vec::new() })
}

/// An argument of a macro called from outside a template.
#[derive(Clone, Debug)]
pub(super) enum Argument {
    /// A table.
    Relation(Relation),
    /// A value from YAML. Its strings may hold Jinja, or be a call such as `ref('orders')`.
    Json(serde_json::Value),
}

/// The expression that a string of YAML is as a whole: `{{ var('x') }}`, or a bare `ref('orders')`.
fn expression(text: &str) -> Option<&str> {
    let trimmed = text.trim();
    if let Some(inner) = trimmed.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")) {
        return (!inner.contains("{{") && !inner.contains("}}")).then_some(inner);
    }
    let (name, rest) = trimmed.split_once('(')?;
    let is_call = ["ref", "source", "var", "env_var"].contains(&name.trim()) && rest.ends_with(')');
    is_call.then_some(trimmed)
}

/// What a scope recorded while its template was rendered.
pub(super) fn recorded(scope: &Scope) -> scope::Recorded {
    scope.recorded().clone()
}

/// The tag of a template that holds byte `at`, or begins next after it.
pub(super) fn tag_at(source: &str, at: usize) -> std::ops::Range<usize> {
    let mut tags = pieces::pieces(source).into_iter().filter(|piece| piece.kind != pieces::PieceKind::Text);
    tags.find(|piece| piece.at.end > at).map_or(at..at, |piece| piece.at)
}
