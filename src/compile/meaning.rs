//! What do the names of a node mean, and how much of it does the node see?
//!
//! A `ref` or `source` means a relation. With `--empty`, `--sample` and in a batch, the node sees a part of its rows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::batch::{Window, during};
use super::draft::Draft;
use super::ephemeral::cte_name;
use super::jinja::{RefCall, Relation, SourceCall};
use super::node::NodeKind;
use super::render::is_ephemeral;
use super::resolve::Names;
use super::sql_name::shown;
use super::unit_test::fixture_name;

/// What names mean, side by side: every node has a few.
pub(super) type Meanings<K> = Box<[(K, Meant)]>;

/// What the names of one node mean.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    pub(super) refs: Meanings<RefCall>,
    pub(super) sources: Meanings<SourceCall>,
}

/// What one name means.
#[derive(Clone, Debug)]
pub(super) struct Meant {
    pub(super) relation: Relation,
    /// The column that says when its rows happened.
    event_time: Option<String>,
}

impl Meant {
    pub(super) fn of(draft: &Draft) -> Self {
        Self { relation: relation_of(draft), event_time: draft.config.text("event_time") }
    }

    /// The relation, for a node that sees so much of it.
    fn seen(self, seen: &Seen) -> Relation {
        let Relation::Table(name) = &self.relation else { return self.relation };
        let limited = match (seen, &self.event_time) {
            (Seen::None, _) => "false limit 0".to_owned(),
            (Seen::During(start, end), Some(event_time)) => during(event_time, *start, *end),
            _ => return self.relation,
        };
        Relation::Filtered(name.clone(), format!("(select * from {} where {limited})", shown(name)))
    }
}

/// What a run lets its nodes see of what they read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// `--empty`
    pub(super) empty: bool,
    /// `--sample`
    pub(super) sample: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Answers {
    /// What says of what is read when its rows happened, by name: of a model that is made in batches it decides which rows it
    /// reads.
    pub(super) fn event_times(&self) -> Vec<(&str, &str)> {
        let refs = self.refs.iter().map(|(call, meant)| (call.name.as_str(), meant));
        let sources = self.sources.iter().map(|(call, meant)| (call.table.as_str(), meant));
        let all = refs.chain(sources);
        all.filter_map(|(name, meant)| Some((name, meant.event_time.as_deref()?))).collect()
    }

    /// Looks up the names of a draft.
    pub(super) fn of(draft: &Draft, names: &Names<'_>) -> Self {
        let is_unit_test = matches!(draft.kind, NodeKind::UnitTest(_));
        let answer_ref = |call: &RefCall| {
            let parent = names.model(call, &draft.package)?;
            let stand_in = fixture_name(&parent.word()).filter(|_| is_unit_test && is_ephemeral(parent));
            let relation = stand_in.map_or_else(|| relation_of(parent), Relation::Table);
            Some((call.clone(), Meant { relation, ..Meant::of(parent) }))
        };
        let answer_source =
            |call: &SourceCall| Some((call.clone(), Meant::of(names.source(call, &draft.package)?)));
        Self {
            refs: draft.refs.iter().filter_map(answer_ref).collect(),
            sources: draft.sources.iter().filter_map(answer_source).collect(),
        }
    }
}

/// Which rows of what it reads a node sees.
pub(super) enum Seen {
    /// All of them.
    All,
    /// None of them.
    None,
    /// Those of a stretch of time, of what says when its rows happened.
    During(DateTime<Utc>, DateTime<Utc>),
}

impl Seen {
    pub(super) fn by(window: Option<&Window>, limits: Limits) -> Self {
        match limits.sample {
            _ if limits.empty => Self::None,
            // A sample of a batch is what both have.
            Some((start, end)) => match window {
                Some(window) => Self::During(window.start.max(start), window.end.min(end)),
                None => Self::During(start, end),
            },
            None => window.map_or(Self::All, |window| Self::During(window.start, window.end)),
        }
    }
}

/// What names mean to a node that sees so much of it.
pub(super) fn seen<K: Ord + Clone>(meant: &Meanings<K>, seen: &Seen) -> BTreeMap<K, Relation> {
    meant.iter().map(|(call, meant)| (call.clone(), meant.clone().seen(seen))).collect()
}

/// What a node is in the SQL that reads it.
pub(super) fn relation_of(draft: &Draft) -> Relation {
    match draft.deferred.as_ref().or(draft.relation.as_ref()) {
        Some(name) => Relation::Table(name.clone()),
        None => Relation::Cte(cte_name(&draft.word())),
    }
}
