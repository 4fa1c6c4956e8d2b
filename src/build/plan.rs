//! What will a build do, and why?

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::compile::{Manifest, Materialization, Node, NodeId, NodeKind, Strategy};
use crate::release::Pins;

/// Everything a build will do, in an order in which it can be done.
#[derive(Clone, Debug)]
pub struct BuildPlan {
    /// The steps, parents before children, tests after what they test.
    pub steps: Vec<PlannedStep>,
}

/// One line of a build plan: what will happen to a node, and why.
#[derive(Clone, Debug)]
pub struct PlannedStep {
    /// The node.
    pub node: NodeId,
    /// What will happen to it.
    pub action: Action,
    /// Why.
    pub because: Reason,
}

/// What can happen to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Its query is stored.
    MakeView,
    /// Its rows become a table that was not there.
    CreateTable,
    /// Its rows become the whole of a table.
    ReplaceTable,
    /// Its rows are added to a table.
    AppendRows,
    /// Its rows are added to a table, in place of those of the same key.
    MergeRows,
    /// Its rows are put in the place of some of a table's.
    ReplaceRows,
    /// Its rows are those of a file.
    LoadSeed,
    /// Versions of rows end and begin in a table that remembers them.
    TakeSnapshot,
    /// It is asked for the rows that break it.
    Test,
    /// It is run on made-up rows.
    UnitTest,
}

/// Why something happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The pinned release has nothing of this name.
    Missing,
    /// `--full-refresh` was asked for.
    FullRefresh,
    /// It is among the selected nodes.
    Selected,
}

/// Works out what a build has to do. Reads nothing but its arguments.
pub fn plan(manifest: &Manifest, pins: &Pins, selected: &BTreeSet<NodeId>, full_refresh: bool) -> BuildPlan {
    let order = manifest.order();
    let steps = order.into_iter().filter(|id| selected.contains(id)).filter_map(|id| {
        let node = manifest.node(&id);
        let exists = node.relation.as_ref().is_some_and(|name| pins.tables.contains_key(name));
        let action = action(node, exists)?;
        let known = exists || node.relation.as_ref().is_some_and(|name| pins.views.contains_key(name));
        let because = match action {
            Action::Test | Action::UnitTest => Reason::Selected,
            _ if !known => Reason::Missing,
            _ if full_refresh => Reason::FullRefresh,
            _ => Reason::Selected,
        };
        Some(PlannedStep { node: id, action, because })
    });
    BuildPlan { steps: steps.collect() }
}

/// What a node needs; nothing for sources and for models that only live in others.
fn action(node: &Node, exists: bool) -> Option<Action> {
    Some(match &node.kind {
        NodeKind::Source(_) | NodeKind::Analysis | NodeKind::Model(Materialization::Ephemeral) => {
            return None;
        }
        NodeKind::Test(_) => Action::Test,
        NodeKind::UnitTest(_) => Action::UnitTest,
        NodeKind::Seed(_) => Action::LoadSeed,
        NodeKind::Snapshot(_) => Action::TakeSnapshot,
        NodeKind::Model(Materialization::View) => Action::MakeView,
        NodeKind::Model(Materialization::Incremental { is_incremental_run: true, strategy, .. })
            if exists =>
        {
            match strategy {
                Strategy::Append => Action::AppendRows,
                Strategy::Merge => Action::MergeRows,
                Strategy::DeleteInsert | Strategy::InsertOverwrite | Strategy::Microbatch => {
                    Action::ReplaceRows
                }
            }
        }
        NodeKind::Model(_) if exists => Action::ReplaceTable,
        NodeKind::Model(_) => Action::CreateTable,
    })
}

impl Action {
    /// Whether it asks and makes nothing.
    pub fn is_test(self) -> bool {
        matches!(self, Self::Test | Self::UnitTest)
    }

    /// The word by which the materialization is known: `view`, `table`, `incremental`, `test`.
    pub fn kind(self) -> &'static str {
        match self {
            Self::MakeView => "view",
            Self::CreateTable | Self::ReplaceTable => "table",
            Self::AppendRows | Self::MergeRows | Self::ReplaceRows => "incremental",
            Self::LoadSeed => "seed",
            Self::TakeSnapshot => "snapshot",
            Self::Test => "test",
            Self::UnitTest => "unit test",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MakeView => "view",
            Self::CreateTable => "created",
            Self::ReplaceTable => "replaced",
            Self::AppendRows => "appended",
            Self::MergeRows => "merged",
            Self::ReplaceRows => "rows replaced",
            Self::LoadSeed => "loaded",
            Self::TakeSnapshot => "taken",
            Self::Test | Self::UnitTest => "tested",
        })
    }
}
