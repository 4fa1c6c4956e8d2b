//! What is the SQL of each node?
//!
//! The compile phase: every template is rendered again, parents first, with its names answered and
//! `execute` true. Ephemeral parents are injected, and the fingerprint is taken. A template that reads the
//! lake makes its node *late*: [`Templates`] stay with the manifest and render it when it is built.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Diagnostic, TableName};

use super::draft::{Draft, Maker};
use super::ephemeral::{Body, Cte, cte_name, inject};
use super::fingerprint::Fingerprint;
use super::hook::{self, Permitted};
use super::jinja::{
    Argument, Jinja, NEEDS_LAKE, Phase, RefCall, Relation, Scope, SourceCall, Subject, recorded,
};
use super::lookup::Lookup;
use super::node::{
    Hooks, Materialization, Node, NodeId, NodeKind, UnitInput, UnitRows, UnitTestNode, Window,
};
use super::normal::normal;
use super::resolve::Names;
use super::source_map::SourceMap;
use super::sql_name::shown;
use super::unit_test::fixture_name;

/// Every template with what its names mean: all that is needed to render any node at any time.
pub(super) struct Templates {
    pub(super) jinja: Jinja,
    pub(super) drafts: BTreeMap<NodeId, Draft>,
    pub(super) answers: BTreeMap<NodeId, Answers>,
    pub(super) parents: BTreeMap<NodeId, Vec<NodeId>>,
}

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Templates").field("nodes", &self.drafts.len()).finish_non_exhaustive()
    }
}

/// What the names of one node mean.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    refs: BTreeMap<RefCall, Relation>,
    sources: BTreeMap<SourceCall, Relation>,
}

/// One pass over the nodes: what was rendered, and what was said on the way.
#[derive(Default)]
pub(super) struct Pass {
    /// The queries of ephemeral models, without what was injected into them.
    pub(super) ephemeral: BTreeMap<NodeId, Body>,
    /// Ephemeral models that read the lake.
    pub(super) late: Vec<NodeId>,
    pub(super) messages: Vec<String>,
    pub(super) found: Vec<Diagnostic>,
    macros: Vec<String>,
}

impl Answers {
    /// Looks up the names of a draft. In a microbatch, what its parents give is cut to the window.
    pub(super) fn of(draft: &Draft, names: &Names<'_>) -> Self {
        let window = window_of(draft);
        let is_unit_test = matches!(draft.kind, NodeKind::UnitTest(_));
        let answer_ref = |call: &RefCall| {
            let parent = names.model(call, &draft.package)?;
            let stand_in = fixture_name(&parent.name).filter(|_| is_unit_test && is_ephemeral(parent));
            let relation = stand_in.map_or_else(|| relation_of(parent, window), Relation::Table);
            Some((call.clone(), relation))
        };
        let answer_source = |call: &SourceCall| {
            let relation = relation_of(names.source(call, &draft.package)?, window);
            Some((call.clone(), relation))
        };
        Self {
            refs: draft.refs.iter().filter_map(answer_ref).collect(),
            sources: draft.sources.iter().filter_map(answer_source).collect(),
        }
    }
}

impl Templates {
    fn draft(&self, id: &NodeId) -> &Draft {
        self.drafts.get(id).expect("every node of the graph was drafted")
    }

    /// Compiles a node whose template reads the lake; see [`Late`](super::Late).
    pub(super) fn late(
        &self,
        id: &NodeId,
        lake: &Arc<dyn Lookup>,
    ) -> Result<(Node, Vec<String>), Vec<Diagnostic>> {
        let mut pass = Pass::default();
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

    /// Compiles one node. Its ephemeral parents must have been compiled before it in the same pass.
    pub(super) fn node(&self, id: &NodeId, lake: Option<&Arc<dyn Lookup>>, pass: &mut Pass) -> Node {
        let draft = self.draft(id);
        if draft.is_broken {
            return self.unrendered(id);
        }
        pass.macros.clear();
        let late_node = || Node { is_late: true, ..self.unrendered(id) };
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
        let hooks = match self.hooks(draft, lake, pass) {
            Some(hooks) => hooks,
            None => return late_node(),
        };
        if is_ephemeral(draft) {
            pass.ephemeral.insert(draft.id.clone(), body.clone());
        }
        let body = self.with_ctes(draft, body, pass);
        let fingerprint = self.fingerprint(draft, &body.sql, &hooks, lake, pass);
        let macros = std::mem::take(&mut pass.macros);
        let mut kind = draft.kind.clone();
        if let NodeKind::UnitTest(test) = &mut kind {
            self.complete(draft, test, lake, pass);
        }
        Node { kind, fingerprint, sql: body.sql, map: body.map, hooks, macros, ..self.unrendered(id) }
    }

    /// A node without SQL, for a project that cannot be rendered.
    pub(super) fn unrendered(&self, id: &NodeId) -> Node {
        let draft = self.draft(id);
        Node {
            fingerprint: Fingerprint::default(),
            id: draft.id.clone(),
            package: draft.package.clone(),
            name: draft.name.clone(),
            kind: draft.kind.clone(),
            relation: draft.relation.clone().filter(|_| !matches!(draft.kind, NodeKind::UnitTest(_))),
            path: draft.source_text.path.to_string(),
            source_text: draft.source_text.clone(),
            sql: String::new(),
            description: draft.description.clone(),
            columns: draft.columns.clone(),
            fqn: draft.fqn.clone(),
            config: draft.config.to_json(),
            is_late: false,
            hooks: Hooks::default(),
            running: draft.running,
            raw: match &draft.maker {
                Maker::Template(_) => draft.source_text.text.clone(),
                _ => "".into(),
            },
            macros: Vec::new(),
            refs: draft.refs.iter().map(|call| (call.package.clone(), call.name.clone())).collect(),
            source_refs: draft.sources.iter().map(|s| (s.source.clone(), s.table.clone())).collect(),
            at: draft.at.clone(),
            map: SourceMap::default(),
            tags: draft.config.texts("tags"),
        }
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
        for relation in answers.refs.values().chain(answers.sources.values()) {
            let Some(name) = relation.name() else { continue };
            if !test.inputs.iter().any(|input| input.relation == *name) {
                let rows = UnitRows::Given(Vec::new());
                test.inputs.push(UnitInput { relation: name.clone(), columns_of: None, rows });
            }
        }
        for input in &mut test.inputs {
            let ephemeral = self.drafts.values().find(|other| {
                is_ephemeral(other) && fixture_name(&other.name).as_ref() == Some(&input.relation)
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
            subject.config =
                self.drafts.get(&test.model).map(|model| model.config.to_json()).unwrap_or_default();
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
        let scope = self.jinja.scope(self.subject(draft), self.phase(draft, is_incremental, lake));
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
        self.take_down(draft, &scope, rendered.is_ok(), pass);
        rendered
    }

    /// Keeps what a template said; of one that is rendered again later, only then.
    fn take_down(&self, draft: &Draft, scope: &Arc<Scope>, is_done: bool, pass: &mut Pass) {
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

    /// Renders the hooks, and judges them. Nothing if one of them reads the lake while there is none.
    fn hooks(&self, draft: &Draft, lake: Option<&Arc<dyn Lookup>>, pass: &mut Pass) -> Option<Hooks> {
        let mut hooks = Hooks::default();
        for (text, is_after) in &draft.hooks {
            let scope = self.jinja.scope(draft.subject(), self.phase(draft, false, lake));
            match self.jinja.text(&text.as_str().into(), &scope, &draft.at) {
                Err(diagnostic) if diagnostic.stable_code() == NEEDS_LAKE => return None,
                Err(diagnostic) => pass.found.push(diagnostic),
                Ok(sql) => match hook::judge(&sql) {
                    Permitted::Nothing => {}
                    Permitted::Reads if *is_after => hooks.after.push(sql),
                    Permitted::Reads => hooks.before.push(sql),
                    Permitted::Refused(words) => pass.found.push(refused(&words, &draft.name, &draft.at)),
                },
            }
            hooks.drops_it |= recorded(&scope).drops_itself;
            self.take_down(draft, &scope, true, pass);
        }
        Some(hooks)
    }

    /// What a generic test gets as `model`: the node it is on, filtered by the test's `where`.
    fn model_argument(
        &self,
        draft: &Draft,
        filter: Option<&serde_json::Value>,
        scope: &Arc<Scope>,
    ) -> Result<Argument, Diagnostic> {
        let on = draft.attached.as_ref().and_then(|id| self.drafts.get(id));
        let relation =
            on.map(|on| relation_of(on, None)).unwrap_or_else(|| Relation::Part(draft.name.clone()));
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
    fn phase(&self, draft: &Draft, is_incremental: bool, lake: Option<&Arc<dyn Lookup>>) -> Phase {
        let answers = self.answers.get(&draft.id).cloned().unwrap_or_default();
        Phase::Compile { refs: answers.refs, sources: answers.sources, is_incremental, lake: lake.cloned() }
    }

    fn with_ctes(&self, draft: &Draft, body: Body, pass: &Pass) -> Body {
        let mut needed = Vec::new();
        self.ephemeral_ancestors(&draft.id, &mut needed);
        let ctes: Vec<Cte<'_>> = needed
            .iter()
            .filter_map(|id| Some((self.drafts.get(id)?, pass.ephemeral.get(id)?)))
            .map(|(parent, body)| Cte { name: cte_name(&parent.name), body })
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
    ) -> Fingerprint {
        let relation = draft.relation.as_ref().map(shown).unwrap_or_default();
        let settings = settings(draft, hooks);
        let parts = |queries: [&str; 2], kind: &str| {
            let queries = queries.map(normal);
            Fingerprint::of([&*queries[0], &queries[1], kind, &relation, &settings])
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
        let queries = if *is_incremental_run { [&*other, sql] } else { [sql, &*other] };
        let details =
            (&details.update_columns, &details.exclude_columns, &details.predicates, &details.partition_by);
        parts(queries, &format!("incremental {strategy:?} {unique_key:?} {on_schema_change:?} {details:?}"))
    }

    /// Renders a model as it is not rendered in this run, keeping to itself what is wrong there.
    fn quietly(
        &self,
        draft: &Draft,
        is_incremental: bool,
        lake: Option<&Arc<dyn Lookup>>,
        pass: &Pass,
    ) -> Option<String> {
        let Maker::Template(template) = &draft.maker else { return None };
        let scope = self.jinja.scope(draft.subject(), self.phase(draft, is_incremental, lake));
        let marked = self.jinja.render(template, &scope, &draft.at).ok()?;
        let (sql, map) = SourceMap::read(&marked, &draft.source_text);
        Some(self.with_ctes(draft, Body { sql, map }, pass).sql)
    }
}

/// Settings that say nothing about what is made of a node.
const ASIDE: &[&str] =
    &["access", "docs", "enabled", "group", "meta", "on_error", "retries", "tags", "timeout"];

/// All that is said of a node beyond its query and may change what is made of it.
fn settings(draft: &Draft, hooks: &Hooks) -> String {
    let mut config = draft.config.to_json();
    config.retain(|key, _| !ASIDE.contains(&key.as_str()));
    let is_told = |key: &str| config.get(key).is_some_and(|value| !value.is_null());
    let columns = match is_told("contract") || is_told("persist_docs") {
        true => format!("{} {:?}", draft.description, described(draft)),
        // A view carries what it is with it.
        false if matches!(draft.kind, NodeKind::Model(Materialization::View)) => draft.description.clone(),
        false => String::new(),
    };
    format!("{} {hooks:?} {columns}", serde_json::json!(config))
}

/// The columns, with what is promised and said of each.
fn described(draft: &Draft) -> Vec<(&str, Option<&str>, &str)> {
    let columns = draft.columns.iter();
    columns.map(|c| (c.name.as_str(), c.data_type.as_deref(), c.description.as_str())).collect()
}

/// The error for a hook that would change something.
pub(super) fn refused(words: &str, node: &str, at: &crate::base::Span) -> Diagnostic {
    Diagnostic::error("elt::hook", format!("not supported: a hook of `{node}` that runs `{words} …`"))
        .at(at, "this hook changes something")
        .help("hooks may read; because a build is one release of models, instead make what it writes a model")
}

/// Whether a failure is for the build to tell: the template reads the lake, or raised an error by itself.
fn is_deferred(diagnostic: &Diagnostic, lake: Option<&Arc<dyn Lookup>>) -> bool {
    lake.is_none() && matches!(diagnostic.stable_code(), NEEDS_LAKE | "elt::raised")
}

fn is_ephemeral(draft: &Draft) -> bool {
    matches!(draft.kind, NodeKind::Model(Materialization::Ephemeral))
}

fn is_incremental_run(kind: &NodeKind) -> bool {
    matches!(kind, NodeKind::Model(Materialization::Incremental { is_incremental_run: true, .. }))
}

fn window_of(draft: &Draft) -> Option<&Window> {
    match &draft.kind {
        NodeKind::Model(Materialization::Incremental { details, .. }) => details.window.as_ref(),
        _ => None,
    }
}

/// What a node is in the SQL that reads it; in a window of time, if it says when its rows happened.
fn relation_of(draft: &Draft, window: Option<&Window>) -> Relation {
    let Some(name) = &draft.relation else { return Relation::Cte(cte_name(&draft.name)) };
    match window.and_then(|window| Some((window, draft.config.text("event_time")?))) {
        Some((window, event_time)) => {
            let condition = window.condition(&event_time);
            Relation::Filtered(name.clone(), format!("(select * from {} where {condition})", shown(name)))
        }
        None => Relation::Table(TableName::clone(name)),
    }
}
