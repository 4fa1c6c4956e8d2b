//! What is the SQL of each node?
//!
//! The compile phase: every template is rendered again, parents first, with its names answered and
//! `execute` true. Ephemeral parents are injected, and the fingerprint is taken. A template that reads the
//! lake makes its node *late*: [`Templates`] stay with the manifest and render it when it is built.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Diagnostic, Message, Unsaid};
use crate::project::{Hook, QueryComment};

use super::batch::Window;
use super::by_id::ById;
use super::draft::{Draft, Maker};
use super::ephemeral::{Body, Cte, cte_name, inject};
use super::fingerprint::{Fingerprint, Meaning};
use super::jinja::{Argument, Jinja, NEEDS_LAKE, Phase, RefCall, Relation, Scope, Subject, recorded};
use super::lookup::Lookup;
use super::meaning::{Answers, Limits, Seen, relation_of, seen};
use super::node::{
    Hooks, Materialization, Node, NodeId, NodeKind, Reference, UnitInput, UnitRows, UnitTestNode,
};
use super::normal::normal;
use super::source_map::SourceMap;
use super::sql_name::shown;
use super::unit_test::fixture_name;

/// Every template with what its names mean: all that is needed to render any node at any time.
pub(super) struct Templates {
    pub(super) jinja: Jinja,
    /// The project's own package.
    pub(super) project: String,
    pub(super) limits: Limits,
    /// What `/` means to the engine whose SQL is written.
    pub(super) unsaid: Unsaid,
    /// Those of `on-run-start`, and those of `on-run-end`.
    pub(super) run_hooks: (Vec<Hook>, Vec<Hook>),
    /// `query-comment:`
    pub(super) query_comment: Option<QueryComment>,
    pub(super) drafts: ById<Draft>,
    pub(super) answers: BTreeMap<NodeId, Answers>,
    /// What names mean to what is no node.
    pub(super) all_names: Answers,
    pub(super) parents: BTreeMap<NodeId, Vec<NodeId>>,
}

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Templates").field("nodes", &self.drafts.len()).finish_non_exhaustive()
    }
}

/// A batch of a microbatch model that is rendered by itself.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    id: NodeId,
    window: Window,
    is_incremental: bool,
}

/// One pass over the nodes: what was rendered, and what was said on the way.
#[derive(Default)]
pub(super) struct Pass {
    /// The queries of ephemeral models, without what was injected into them.
    pub(super) ephemeral: BTreeMap<NodeId, Body>,
    /// Ephemeral models that read the lake.
    pub(super) late: Vec<NodeId>,
    pub(super) messages: Vec<Message>,
    pub(super) found: Vec<Diagnostic>,
    macros: Vec<String>,
    /// The batch that is rendered, if it is one.
    batch: Option<Batch>,
}

impl Templates {
    pub(super) fn draft(&self, id: &NodeId) -> &Draft {
        self.drafts.get(id).expect("every node of the graph was drafted")
    }

    /// Compiles a node whose template reads the lake; see [`Late`](super::Late).
    pub(super) fn late(
        &self,
        id: &NodeId,
        batch: Option<(Window, bool)>,
        lake: &Arc<dyn Lookup>,
    ) -> Result<(Node, Vec<Message>), Vec<Diagnostic>> {
        let batch = batch.map(|(window, is_incremental)| Batch { id: id.clone(), window, is_incremental });
        let mut pass = Pass { batch, ..Pass::default() };
        let mut needed = Vec::new();
        self.ephemeral_ancestors(id, &mut needed);
        for parent in &needed {
            self.node(parent, Some(lake), &mut pass);
        }
        let node = self.node(id, Some(lake), &mut pass);
        if pass.found.iter().any(Diagnostic::is_error) {
            return Err(pass.found);
        }
        Ok((node, pass.messages))
    }

    /// Renders a text in the place of a node.
    pub(super) fn text(&self, id: &NodeId, text: &str, lake: &Arc<dyn Lookup>) -> Result<String, Diagnostic> {
        let draft = self.draft(id);
        let phase = self.phase(draft, None, is_incremental_run(&draft.kind), Some(lake));
        let scope = self.jinja.scope(draft.subject(), phase);
        self.jinja.text(&text.into(), &scope, &draft.at)
    }

    /// Compiles one node. Its ephemeral parents must have been compiled before it in the same pass.
    pub(super) fn node(&self, id: &NodeId, lake: Option<&Arc<dyn Lookup>>, pass: &mut Pass) -> Node {
        let draft = self.draft(id);
        if draft.is_broken {
            return self.unrendered(id);
        }
        pass.macros.clear();
        let late_node = || {
            // What its hooks say is told when it is rendered.
            let hooks = self.hooks(draft, is_incremental_run(&draft.kind), &mut Pass::default());
            Node { is_late: true, hooks, ..self.unrendered(id) }
        };
        let mut needed = Vec::new();
        self.ephemeral_ancestors(id, &mut needed);
        if needed.iter().any(|parent| pass.late.contains(parent)) {
            if is_ephemeral(draft) {
                pass.late.push(id.clone());
            }
            return late_node();
        }
        let body = match self.body(draft, is_incremental_run(&draft.kind), lake, pass) {
            Ok(body) => body,
            // What a template raises itself is that node's failure, as in dbt, and no other's.
            Err(diagnostic) if is_deferred(&diagnostic, lake) => {
                if is_ephemeral(draft) {
                    pass.late.push(id.clone());
                }
                return late_node();
            }
            Err(diagnostic) => {
                pass.found.push(diagnostic);
                Body::default()
            }
        };
        let is_incremental = is_incremental_run(&draft.kind);
        let hooks = self.hooks(draft, is_incremental, pass);
        if is_ephemeral(draft) {
            pass.ephemeral.insert(draft.id.clone(), body.clone());
        }
        let body = self.with_ctes(draft, body, pass);
        // The first run and later ones are the same code.
        let first = (is_incremental && !draft.hooks.is_empty())
            .then(|| self.hooks(draft, false, &mut Pass::default()));
        let hooks_of_first = first.as_ref().unwrap_or(&hooks);
        let (fingerprint, meaning) = self.fingerprint(draft, &body.sql, hooks_of_first, lake, pass);
        let macros = std::mem::take(&mut pass.macros);
        let mut kind = draft.kind.clone();
        if let (
            Some(batch),
            NodeKind::Model(Materialization::Incremental { details, is_incremental_run, .. }),
        ) = (pass.batch.as_ref().filter(|batch| batch.id == *id), &mut kind)
        {
            details.window = Some(batch.window.clone());
            *is_incremental_run = batch.is_incremental;
        }
        if let NodeKind::UnitTest(test) = &mut kind {
            self.complete(draft, test, lake, pass);
        }
        Node {
            kind,
            fingerprint,
            meaning,
            sql: body.sql,
            map: body.map,
            hooks,
            macros,
            ..self.unrendered(id)
        }
    }

    /// A node without SQL, for a project that cannot be rendered.
    pub(super) fn unrendered(&self, id: &NodeId) -> Node {
        bare_node(self.draft(id))
    }

    /// Adds the inputs that a unit test leaves out, without rows, and says how ephemeral ones look.
    fn complete(
        &self,
        draft: &Draft,
        test: &mut UnitTestNode,
        lake: Option<&Arc<dyn Lookup>>,
        pass: &mut Pass,
    ) {
        let answers = self.answers.get(&draft.id).cloned().unwrap_or_default();
        let meant = answers.refs.iter().map(|(_, meant)| meant);
        for relation in meant.chain(answers.sources.iter().map(|(_, meant)| meant)) {
            let Some(name) = relation.relation.name() else { continue };
            if !test.inputs.iter().any(|input| input.relation == *name) {
                let rows = UnitRows::Given(Vec::new());
                test.inputs.push(UnitInput { relation: name.clone(), columns_of: None, rows });
            }
        }
        for input in &mut test.inputs {
            let ephemeral = self.drafts.values().find(|other| {
                is_ephemeral(other) && fixture_name(&other.word()).as_ref() == Some(&input.relation)
            });
            if let Some(ephemeral) = ephemeral {
                let mut own = Pass::default();
                let mut needed = Vec::new();
                self.ephemeral_ancestors(&ephemeral.id, &mut needed);
                needed.iter().for_each(|id| drop(self.node(id, lake, &mut own)));
                input.columns_of = Some(self.node(&ephemeral.id, lake, &mut own).sql);
                pass.found.extend(own.found);
            }
        }
    }

    fn subject(&self, draft: &Draft) -> Subject {
        let mut subject = draft.subject();
        if let NodeKind::UnitTest(test) = &draft.kind {
            let model = self.drafts.get(&test.model);
            subject.config = model.map(|model| model.config.clone().into()).unwrap_or_default();
        }
        subject
    }

    /// Renders the node's own SQL.
    fn body(
        &self,
        draft: &Draft,
        is_incremental: bool,
        lake: Option<&Arc<dyn Lookup>>,
        pass: &mut Pass,
    ) -> Result<Body, Diagnostic> {
        let batch = pass.batch.as_ref().filter(|batch| batch.id == draft.id);
        let is_incremental = batch.map_or(is_incremental, |batch| batch.is_incremental);
        let mut subject = self.subject(draft);
        subject.batch = batch.map(|batch| batch.window.clone());
        let scope = self.jinja.scope(subject, self.phase(draft, batch, is_incremental, lake));
        let rendered = match &draft.maker {
            Maker::None => return Ok(Body::default()),
            Maker::Template(template) => self.jinja.render(template, &scope, &draft.at).map(|marked| {
                let (sql, map) = SourceMap::read(&marked, &draft.source_text);
                Body { sql, map }
            }),
            Maker::Macro { package, name, arguments, filter } => {
                self.model_argument(draft, filter.as_ref(), &scope).and_then(|model| {
                    let mut all = vec![("model".to_owned(), model)];
                    all.extend(arguments.iter().cloned());
                    let sql = self.jinja.call(package.as_deref(), name, &all, &scope, &draft.at)?;
                    Ok(Body { sql, map: SourceMap::default() })
                })
            }
        };
        let rendered = rendered.and_then(|body| no_selection(draft, &scope, lake).map_or(Ok(body), Err));
        self.take_down(draft, &scope, rendered.is_ok(), pass);
        rendered
    }

    /// Keeps what a template said; of one that is rendered again later, only then.
    pub(super) fn take_down(&self, draft: &Draft, scope: &Arc<Scope>, is_done: bool, pass: &mut Pass) {
        if !is_done {
            return;
        }
        let seen = recorded(scope);
        pass.messages.extend(seen.messages);
        pass.macros.extend(seen.macros);
        pass.found.extend(
            seen.warnings
                .into_iter()
                .map(|text| Diagnostic::warning("elt::raised", text).at(&draft.at, "said by this template")),
        );
    }

    /// What a generic test gets as `model`: the node it is on, filtered by the test's `where`.
    fn model_argument(
        &self,
        draft: &Draft,
        filter: Option<&serde_json::Value>,
        scope: &Arc<Scope>,
    ) -> Result<Argument, Diagnostic> {
        let on = draft.attached.as_ref().and_then(|id| self.drafts.get(id));
        let relation = on.map(relation_of).unwrap_or_else(|| Relation::Part(draft.name.clone()));
        // What a project says itself of the rows that a test sees.
        if let Some((package, macro_name)) = self.jinja.own_version("get_where_subquery") {
            let given = [(String::new(), Argument::Relation(relation))];
            let text = self.jinja.call(Some(package), macro_name, &given, scope, &draft.at)?;
            let text = text.trim().to_owned();
            return Ok(Argument::Relation(match on.and_then(|on| on.relation.clone()) {
                Some(name) => Relation::Filtered(name, text),
                None => Relation::Part(text),
            }));
        }
        let Some(filter) = filter else { return Ok(Argument::Relation(relation)) };
        let condition = self.jinja.text(filter, scope, &draft.at)?;
        let subquery = format!("(select * from {relation} where {condition}) dbt_subquery");
        let name = on.and_then(|on| on.relation.clone());
        Ok(Argument::Relation(match name {
            Some(name) => Relation::Filtered(name, subquery),
            None => Relation::Part(subquery),
        }))
    }

    /// The answers to the names that were recorded while parsing.
    pub(super) fn phase(
        &self,
        draft: &Draft,
        batch: Option<&Batch>,
        is_incremental: bool,
        lake: Option<&Arc<dyn Lookup>>,
    ) -> Phase {
        let window = batch.map(|batch| &batch.window).or_else(|| window_of(draft));
        self.phase_of(draft, window, is_incremental, lake)
    }

    /// The same, in a window of time or in none.
    fn phase_of(
        &self,
        draft: &Draft,
        window: Option<&Window>,
        is_incremental: bool,
        lake: Option<&Arc<dyn Lookup>>,
    ) -> Phase {
        let none = Answers::default();
        let answers = self.answers.get(&draft.id).unwrap_or(&none);
        let view = match draft.kind {
            NodeKind::UnitTest(_) => Seen::All,
            _ => Seen::by(window, self.limits),
        };
        let mut sources = seen(&answers.sources, &view);
        if lake.is_some() {
            for (call, relation) in seen(&self.all_names.sources, &view) {
                sources.entry(call).or_insert(relation);
            }
        }
        Phase::Compile { refs: seen(&answers.refs, &view), sources, is_incremental, lake: lake.cloned() }
    }

    fn with_ctes(&self, draft: &Draft, body: Body, pass: &Pass) -> Body {
        let mut needed = Vec::new();
        self.ephemeral_ancestors(&draft.id, &mut needed);
        let ctes: Vec<Cte<'_>> = needed
            .iter()
            .filter_map(|id| Some((self.drafts.get(id)?, pass.ephemeral.get(id)?)))
            .map(|(parent, body)| Cte { name: cte_name(&parent.word()), body })
            .collect();
        inject(body, &ctes)
    }

    /// The ephemeral models that `id` reads, directly or through other ephemeral ones, parents first.
    pub(super) fn ephemeral_ancestors(&self, id: &NodeId, needed: &mut Vec<NodeId>) {
        for parent in self.parents.get(id).into_iter().flatten() {
            if self.drafts.get(parent).is_some_and(is_ephemeral) && !needed.contains(parent) {
                self.ephemeral_ancestors(parent, needed);
                needed.push(parent.clone());
            }
        }
    }

    /// An incremental model is known by both of its queries, so that its first run and its later
    /// ones have the same fingerprint.
    fn fingerprint(
        &self,
        draft: &Draft,
        sql: &str,
        hooks: &Hooks,
        lake: Option<&Arc<dyn Lookup>>,
        pass: &Pass,
    ) -> (Fingerprint, Meaning) {
        let relation = draft.relation.as_ref().map(shown).unwrap_or_default();
        let (mut settings, mut sorted) = settings(draft, hooks);
        if !self.unsaid.division.is_default() && sql.contains('/') {
            settings.push_str(" / has fractions");
            sorted.iter_mut().for_each(|sorted| sorted.push_str(" / has fractions"));
        }
        if !self.unsaid.nulls.is_default() && sql.to_lowercase().contains("order") {
            let nulls = format!(" nulls are {}", self.unsaid.nulls.told());
            settings.push_str(&nulls);
            sorted.iter_mut().for_each(|sorted| sorted.push_str(&nulls));
        }
        let parts = |queries: [&str; 2], kind: &str| {
            let rest = format!("{kind} {relation} {}", sorted.as_ref().unwrap_or(&settings));
            let meaning = Meaning::new(queries, rest);
            let queries = queries.map(normal);
            (Fingerprint::of([&*queries[0], &queries[1], kind, &relation, &settings]), meaning)
        };
        let NodeKind::Model(Materialization::Incremental {
            strategy,
            unique_key,
            on_schema_change,
            is_incremental_run,
            details,
        }) = &draft.kind
        else {
            let kind = match &draft.kind {
                // Where its file is on this machine says nothing.
                NodeKind::Seed(seed) => {
                    format!("seed {:?} {} {:?}", seed.delimiter, seed.keep_names, seed.column_types)
                }
                kind => format!("{kind:?}"),
            };
            return parts([sql, ""], &kind);
        };
        let other = self.quietly(draft, !is_incremental_run, lake, pass).unwrap_or_default();
        // Which stretch of time it is that a run looks at says nothing of the code.
        let timeless =
            details.window.as_ref().and_then(|_| self.quietly(draft, *is_incremental_run, lake, pass));
        let sql = timeless.as_deref().unwrap_or(sql);
        let queries = if *is_incremental_run { [&*other, sql] } else { [sql, &*other] };
        let details = (
            &details.update_columns,
            &details.exclude_columns,
            &details.predicates,
            &details.partition_by,
            &details.by_macro,
        );
        let answers = self.answers.get(&draft.id).filter(|_| window_of(draft).is_some());
        let times = answers.map(Answers::event_times).filter(|times| !times.is_empty());
        let times = times.map(|times| format!(" {times:?}")).unwrap_or_default();
        let kind = format!("incremental {strategy:?} {unique_key:?} {on_schema_change:?} {details:?}{times}");
        parts(queries, &kind)
    }

    /// Renders a model as it is not rendered in this run, and of all time, keeping to itself what is wrong there.
    fn quietly(
        &self,
        draft: &Draft,
        is_incremental: bool,
        lake: Option<&Arc<dyn Lookup>>,
        pass: &Pass,
    ) -> Option<String> {
        let Maker::Template(template) = &draft.maker else { return None };
        let scope = self.jinja.scope(draft.subject(), self.phase_of(draft, None, is_incremental, lake));
        let marked = self.jinja.render(template, &scope, &draft.at).ok()?;
        let (sql, map) = SourceMap::read(&marked, &draft.source_text);
        Some(self.with_ctes(draft, Body { sql, map }, pass).sql)
    }
}

/// Settings that say nothing about what is made of a node.
const ASIDE: &[&str] =
    &["access", "docs", "enabled", "group", "meta", "on_error", "retries", "tags", "timeout"];

/// All that is said of a node beyond its query and may change what is made of it; the second time in the order of the
/// keys, if they are written in another.
fn settings(draft: &Draft, hooks: &Hooks) -> (String, Option<String>) {
    let mut config = draft.config.to_json();
    config.retain(|key, _| !ASIDE.contains(&key.as_str()));
    let is_told = |key: &str| config.get(key).is_some_and(|value| !value.is_null());
    let columns = match is_told("contract") || is_told("persist_docs") {
        true => format!("{} {:?}", draft.description, described(draft)),
        // A view carries what it is with it.
        false if matches!(draft.kind, NodeKind::Model(Materialization::View)) => draft.description.clone(),
        false => String::new(),
    };
    // Hooks that are rendered later are known by their texts, which are settings.
    let Hooks { before, after, write, drops_it, .. } = hooks;
    let hooks =
        format!("Hooks {{ before: {before:?}, after: {after:?}, write: {write}, drops_it: {drops_it} }}");
    let is_nested = config.values().any(|value| value.is_object() || value.is_array());
    let text = |config: &BTreeMap<String, serde_json::Value>| {
        format!("{} {hooks} {columns}", serde_json::json!(config))
    };
    let written = text(&config);
    let sorted = is_nested.then(|| {
        config.values_mut().for_each(serde_json::Value::sort_all_objects);
        text(&config)
    });
    (written, sorted)
}

/// The columns, with what is promised and said of each.
fn described(draft: &Draft) -> Vec<(&str, Option<&str>, &str)> {
    let columns = draft.columns.iter();
    columns.map(|c| (c.name.as_str(), c.data_type.as_deref(), c.description.as_str())).collect()
}

/// The error for a hook that would change something.
pub(super) fn refused(words: &str, node: &str, at: &crate::base::Span) -> Diagnostic {
    Diagnostic::error("elt::hook", format!("not supported: a hook of `{node}` that runs `{words} …`"))
        .at(at, "not in a build")
        .help("hooks read, and insert, update, delete, merge, create and alter; run anything else by `elt run-operation`")
}

/// Whether a failure is for the build to tell: the template reads the lake, or raised an error by itself.
pub(super) fn is_deferred(diagnostic: &Diagnostic, lake: Option<&Arc<dyn Lookup>>) -> bool {
    lake.is_none() && matches!(diagnostic.stable_code(), NEEDS_LAKE | "elt::raised")
}

/// Why a text that names `selected_resources` cannot be rendered while a project is only compiled.
pub(super) fn no_selection(
    draft: &Draft,
    scope: &Arc<Scope>,
    lake: Option<&Arc<dyn Lookup>>,
) -> Option<Diagnostic> {
    let asks = lake.is_none() && scope.recorded().asks_selection;
    asks.then(|| {
        Diagnostic::error(NEEDS_LAKE, "what is selected is not known yet").at(&draft.at, "asked here")
    })
}

pub(super) fn is_ephemeral(draft: &Draft) -> bool {
    matches!(draft.kind, NodeKind::Model(Materialization::Ephemeral))
}

pub(super) fn is_incremental_run(kind: &NodeKind) -> bool {
    matches!(kind, NodeKind::Model(Materialization::Incremental { is_incremental_run: true, .. }))
}

fn reference(call: &RefCall) -> Reference {
    Reference { package: call.package.clone(), name: call.name.clone(), version: call.version.clone() }
}

fn window_of(draft: &Draft) -> Option<&Window> {
    match &draft.kind {
        NodeKind::Model(Materialization::Incremental { details, .. }) => details.window.as_ref(),
        _ => None,
    }
}

/// A draft as a node without SQL.
pub(super) fn bare_node(draft: &Draft) -> Node {
    Node {
        fingerprint: Fingerprint::default(),
        meaning: Meaning::default(),
        id: draft.id.clone(),
        package: draft.package.clone(),
        name: draft.name.clone(),
        edition: draft.edition.clone(),
        kind: draft.kind.clone(),
        relation: draft.relation.clone().filter(|_| !matches!(draft.kind, NodeKind::UnitTest(_))),
        // A unit test shows its mistakes in its model, and is written elsewhere.
        path: match draft.kind {
            NodeKind::UnitTest(_) => draft.at.source.path.to_string(),
            _ => draft.source_text.path.to_string(),
        },
        source_text: draft.source_text.clone(),
        sql: String::new(),
        description: draft.description.clone(),
        columns: draft.columns.clone(),
        fqn: draft.fqn.clone(),
        config: draft.config.clone().into(),
        expectations: draft.expectations.clone(),
        constraints: draft.constraints.clone(),
        is_late: false,
        hooks: Hooks::default(),
        running: draft.running,
        raw: match &draft.maker {
            Maker::Template(_) => draft.raw.clone().unwrap_or_else(|| draft.source_text.text.clone()),
            _ => "".into(),
        },
        macros: Vec::new(),
        called: draft.called.clone(),
        described_in: draft.described_in.clone(),
        refs: draft.refs.iter().map(reference).collect(),
        source_refs: draft.sources.iter().map(|s| (s.source.clone(), s.table.clone())).collect(),
        at: draft.at.clone(),
        map: SourceMap::default(),
        tags: draft.config.texts("tags"),
    }
}
