//! What is the SQL of each node?
//!
//! The compile phase: every template is rendered again, parents first, with its names answered and
//! `execute` true. Ephemeral parents are injected, and the fingerprint is taken.

use std::collections::BTreeMap;

use crate::base::{Diagnostic, TableName};

use super::draft::{Draft, Maker};
use super::ephemeral::{Body, Cte, cte_name, inject};
use super::fingerprint::Fingerprint;
use super::jinja::{Argument, Jinja, Phase, RefCall, Relation, SourceCall, recorded};
use super::node::{Materialization, Node, NodeId, NodeKind};
use super::resolve::Names;
use super::source_map::SourceMap;
use super::sql_name::shown;

/// One compile phase of one project.
pub(super) struct Renderer<'a> {
    pub(super) jinja: &'a Jinja,
    pub(super) names: &'a Names<'a>,
    pub(super) parents: &'a BTreeMap<NodeId, Vec<NodeId>>,
    pub(super) drafts: BTreeMap<&'a NodeId, &'a Draft>,
    /// The queries of ephemeral models, without what was injected into them.
    pub(super) ephemeral: BTreeMap<NodeId, Body>,
    pub(super) messages: Vec<String>,
    pub(super) found: &'a mut Vec<Diagnostic>,
}

impl<'a> Renderer<'a> {
    fn draft(&self, id: &NodeId) -> &'a Draft {
        self.drafts.get(id).expect("every node of the graph was drafted")
    }

    /// Compiles one node. Its parents must have been compiled before it.
    pub(super) fn node(&mut self, id: &NodeId) -> Node {
        let draft = self.draft(id);
        if draft.is_broken {
            return self.unrendered(id);
        }
        let body = self.body(draft, is_incremental_run(&draft.kind)).unwrap_or_default();
        if is_ephemeral(draft) {
            self.ephemeral.insert(draft.id.clone(), body.clone());
        }
        let body = self.with_ctes(draft, body);
        let fingerprint = self.fingerprint(draft, &body.sql);
        Node { fingerprint, sql: body.sql, map: body.map, ..self.unrendered(id) }
    }

    /// A node without SQL, for a project that cannot be rendered.
    pub(super) fn unrendered(&self, id: &NodeId) -> Node {
        let draft = self.draft(id);
        Node {
            fingerprint: Fingerprint::default(),
            id: draft.id.clone(),
            name: draft.name.clone(),
            kind: draft.kind.clone(),
            relation: draft.relation.clone(),
            path: draft.source_text.path.to_string(),
            source_text: draft.source_text.clone(),
            sql: String::new(),
            description: draft.description.clone(),
            columns: draft.columns.clone(),
            fqn: draft.fqn.clone(),
            config: draft.config.to_json(),
            at: draft.at.clone(),
            map: SourceMap::default(),
            tags: draft.config.texts("tags"),
        }
    }

    /// Renders the node's own SQL. What is wrong is added to `found`.
    fn body(&mut self, draft: &Draft, is_incremental: bool) -> Option<Body> {
        let scope = self.jinja.scope(draft.subject(), self.phase(draft, is_incremental));
        let rendered = match &draft.maker {
            Maker::None => return Some(Body::default()),
            Maker::Template(template) => self.jinja.render(template, &scope, &draft.at).map(|marked| {
                let (sql, map) = SourceMap::read(&marked, &draft.source_text);
                Body { sql, map }
            }),
            Maker::Macro { name, arguments, filter } => {
                self.model_argument(draft, filter.as_ref(), &scope).and_then(|model| {
                    let mut all = vec![("model".to_owned(), model)];
                    all.extend(arguments.iter().cloned());
                    let sql = self.jinja.call(name, &all, &scope, &draft.at)?;
                    Ok(Body { sql, map: SourceMap::default() })
                })
            }
        };
        let seen = recorded(&scope);
        self.messages.extend(seen.messages);
        let warnings = seen.warnings.into_iter();
        self.found.extend(
            warnings
                .map(|text| Diagnostic::warning("elt::raised", text).at(&draft.at, "said by this template")),
        );
        rendered.map_err(|diagnostic| self.found.push(diagnostic)).ok()
    }

    /// What a generic test gets as `model`: the node it is on, filtered by the test's `where`.
    fn model_argument(
        &self,
        draft: &Draft,
        filter: Option<&serde_json::Value>,
        scope: &std::sync::Arc<super::jinja::Scope>,
    ) -> Result<Argument, Diagnostic> {
        let on = draft.attached.as_ref().and_then(|id| self.drafts.get(id));
        let relation = on.map(|on| relation_of(on)).unwrap_or_else(|| Relation::Part(draft.name.clone()));
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
    fn phase(&self, draft: &Draft, is_incremental: bool) -> Phase {
        let answer_ref = |call: &RefCall| Some((call.clone(), relation_of(self.names.model(call)?)));
        let answer_source = |call: &SourceCall| Some((call.clone(), relation_of(self.names.source(call)?)));
        Phase::Compile {
            refs: draft.refs.iter().filter_map(answer_ref).collect(),
            sources: draft.sources.iter().filter_map(answer_source).collect(),
            is_incremental,
        }
    }

    fn with_ctes(&self, draft: &Draft, body: Body) -> Body {
        let mut needed = Vec::new();
        self.ephemeral_ancestors(&draft.id, &mut needed);
        let ctes: Vec<Cte<'_>> = needed
            .iter()
            .filter_map(|id| Some((self.drafts.get(id)?, self.ephemeral.get(id)?)))
            .map(|(parent, body)| Cte { name: cte_name(&parent.name), body })
            .collect();
        inject(body, &ctes)
    }

    /// The ephemeral models that `id` reads, directly or through other ephemeral ones, parents first.
    fn ephemeral_ancestors(&self, id: &NodeId, needed: &mut Vec<NodeId>) {
        for parent in self.parents.get(id).into_iter().flatten() {
            if self.ephemeral.contains_key(parent) && !needed.contains(parent) {
                self.ephemeral_ancestors(parent, needed);
                needed.push(parent.clone());
            }
        }
    }

    /// An incremental model is known by both of its queries, so that its first run and its later
    /// ones have the same fingerprint.
    fn fingerprint(&mut self, draft: &Draft, sql: &str) -> Fingerprint {
        let NodeKind::Model(materialization) = &draft.kind else { return Fingerprint::of([sql]) };
        let relation = draft.relation.as_ref().map(shown).unwrap_or_default();
        let Materialization::Incremental { strategy, unique_key, on_schema_change, is_incremental_run } =
            materialization
        else {
            return Fingerprint::of([sql, &format!("{materialization:?}"), &relation]);
        };
        let other = self.quietly(draft, !is_incremental_run).unwrap_or_default();
        let (first, later) = if *is_incremental_run { (&*other, sql) } else { (sql, &*other) };
        let settings = format!("incremental {strategy:?} {unique_key:?} {on_schema_change:?}");
        Fingerprint::of([first, later, &settings, &relation])
    }

    /// Renders a model as it is not rendered in this run, keeping to itself what is wrong there.
    fn quietly(&self, draft: &Draft, is_incremental: bool) -> Option<String> {
        let Maker::Template(template) = &draft.maker else { return None };
        let scope = self.jinja.scope(draft.subject(), self.phase(draft, is_incremental));
        let marked = self.jinja.render(template, &scope, &draft.at).ok()?;
        let (sql, map) = SourceMap::read(&marked, &draft.source_text);
        Some(self.with_ctes(draft, Body { sql, map }).sql)
    }
}

fn is_ephemeral(draft: &Draft) -> bool {
    matches!(draft.kind, NodeKind::Model(Materialization::Ephemeral))
}

fn is_incremental_run(kind: &NodeKind) -> bool {
    matches!(kind, NodeKind::Model(Materialization::Incremental { is_incremental_run: true, .. }))
}

/// What a node is in the SQL that reads it.
fn relation_of(draft: &Draft) -> Relation {
    match &draft.relation {
        Some(name) => Relation::Table(TableName::clone(name)),
        None => Relation::Cte(cte_name(&draft.name)),
    }
}
