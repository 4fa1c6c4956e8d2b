//! What will a build do, and why?
//!
//! A node is made again if something could come out otherwise than last time: its code is another, something that it
//! was made from has moved, or it depends on what nobody can compare. Where it is not known, it is made.
//! [`due`](super::due) brings what is known of the lake; here is only the decision.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::base::{TableName, TableVersion};
use crate::compile::{Manifest, Materialization, Node, NodeId, NodeKind, Strategy, has_limit};
use crate::release::{Basis, Memory, Pins, mark};

use super::basis::Code;
use super::graph::solid_parents;

/// Everything a build will do, in an order in which it can be done.
#[derive(Clone, Debug, Default)]
pub struct BuildPlan {
    /// The steps, parents before children, tests after what they test.
    pub steps: Vec<PlannedStep>,
    /// The nodes that are as they would be made, and the tests that held for what is tested: nothing is done for them.
    pub up_to_date: Vec<PlannedStep>,
    /// The codes of nodes of which compiling alone does not tell.
    pub codes: BTreeMap<NodeId, Code>,
}

/// One line of a build plan: what will happen to a node, and why.
#[derive(Clone, Debug)]
pub struct PlannedStep {
    /// The node.
    pub node: NodeId,
    /// What will happen to it; what would, if it is up to date.
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

/// Why something happens to a node, or nothing does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Reason {
    /// The pinned release has nothing of this name.
    Missing,
    /// `--full-refresh` was asked for.
    FullRefresh,
    /// It is among the selected nodes, and all of these were asked for.
    Requested,
    /// Nothing tells what it was made from.
    Unknown,
    /// Nothing tells that the test held.
    Untested,
    /// Another version of elt made it.
    EngineChanged {
        /// Which.
        was: String,
    },
    /// Its query, or a setting that matters, is not the one that it was made by.
    CodeChanged,
    /// The file of a seed holds other rows.
    ContentChanged,
    /// Its code, or what its file holds, is not that by which production made its own.
    NotAsInProduction,
    /// Something else has written it since.
    Rewritten,
    /// A program outside elt has written it.
    WrittenOutside,
    /// Something that it reads is made again.
    InputMade {
        /// What.
        input: TableName,
    },
    /// A table that it reads has moved on.
    InputAdvanced {
        /// Which.
        input: TableName,
        /// The version that it was made from.
        from: TableVersion,
        /// The version there is; nothing if readers do not see the table any more.
        to: Option<TableVersion>,
    },
    /// A view that it reads is another.
    InputChanged {
        /// Which.
        input: TableName,
    },
    /// It depends on something that may be different at any time.
    Beyond {
        /// On what, in words.
        on: String,
    },
    /// Its template reads the lake, and what it says now is not known before it is built.
    Template,
    /// Nothing has changed since production made it: it is read from there.
    InProduction {
        /// What it is there.
        table: TableName,
    },
    /// Nothing has changed.
    UpToDate,
}

/// What is known of what was made before.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What each thing was made from.
    pub memory: Memory,
    /// Tables that this build lands rows in, at the versions that they will have.
    pub landed: BTreeMap<TableName, TableVersion>,
    /// Versions since which a table has only been written in another way, with the same rows.
    pub same_rows: BTreeSet<(TableName, TableVersion)>,
    /// Tables that a program outside elt has written since.
    pub written_outside: BTreeSet<TableName>,
    /// The codes of nodes of which compiling alone does not tell.
    pub codes: BTreeMap<NodeId, Code>,
}

/// What is asked of a build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Make all that is selected, whether it is up to date or not.
    pub all: bool,
    /// Make incremental models from the beginning, and all that is selected.
    pub full_refresh: bool,
    /// Make models that are made in batches, whether they are up to date or not.
    pub batches: bool,
}

/// The version of elt that makes things now.
pub(super) const ENGINE: &str = crate::table::commit::ENGINE;

/// Works out what a build has to do. Reads nothing but its arguments.
///
/// `schema` is that of names without one; tests of one project in two schemas are two tests.
pub fn plan(
    manifest: &Manifest,
    pins: &Pins,
    selected: &BTreeSet<NodeId>,
    asked: Asked,
    known: &Known,
    schema: &str,
) -> BuildPlan {
    let mut plan = BuildPlan { codes: known.codes.clone(), ..BuildPlan::default() };
    let mut made: BTreeSet<TableName> = BTreeSet::new();
    for id in manifest.order().into_iter().filter(|id| selected.contains(id)) {
        let node = manifest.node(&id);
        let exists = node.relation.as_ref().is_some_and(|name| pins.tables.contains_key(name));
        let Some(action) = action(node, exists) else { continue };
        let is_there = exists || node.relation.as_ref().is_some_and(|name| pins.views.contains_key(name));
        let needs_none = match &node.kind {
            NodeKind::Test(test) => test.stored.is_none(),
            _ => action == Action::UnitTest,
        };
        let because = match needs_none || is_there {
            false => Reason::Missing,
            true if asked.full_refresh => Reason::FullRefresh,
            true if asked.all || asked.batches && node.window().is_some() => Reason::Requested,
            true => Weighing { manifest, pins, known, schema, made: &made }.of(node),
        };
        let step = PlannedStep { node: id, action, because };
        if step.because == Reason::UpToDate {
            plan.up_to_date.push(step);
            continue;
        }
        made.extend(node.relation.clone().filter(|_| node.is_made()));
        plan.steps.push(step);
    }
    plan
}

/// The name by which the memory knows a node.
pub(super) fn memory_name(node: &Node, schema: &str) -> String {
    match &node.relation {
        Some(name) if node.is_made() => name.to_string(),
        _ => format!("{schema}:{}", node.id),
    }
}

/// What a node is held against.
struct Weighing<'a> {
    manifest: &'a Manifest,
    pins: &'a Pins,
    known: &'a Known,
    schema: &'a str,
    /// What this build makes, so far.
    made: &'a BTreeSet<TableName>,
}

impl Weighing<'_> {
    /// Why a node that is there has to be made again, or a test asked again, if it has to.
    fn of(&self, node: &Node) -> Reason {
        let Some(basis) = self.known.memory.get(&memory_name(node, self.schema)) else {
            return if node.is_test() { Reason::Untested } else { Reason::Unknown };
        };
        if basis.engine != ENGINE {
            return Reason::EngineChanged { was: basis.engine.clone() };
        }
        let known = self.known.codes.get(&node.id).cloned().unwrap_or_else(|| Code::of(node));
        let code = known.as_str();
        if !code.is_empty() && !known.has_made(basis) {
            let said = |code: &str| code.rsplit_once('.').map(|(said, _)| said.to_owned());
            let is_said_the_same = matches!(node.kind, NodeKind::Seed(_)) && said(code) == said(&basis.code);
            return if is_said_the_same { Reason::ContentChanged } else { Reason::CodeChanged };
        }
        let own = node.relation.as_ref().filter(|_| node.is_made());
        if own.is_some_and(|own| self.known.written_outside.contains(own)) {
            return Reason::WrittenOutside;
        }
        if let Some(reason) = self.inputs(node, own, basis) {
            return reason;
        }
        if let Some(on) = basis.beyond.first() {
            return Reason::Beyond { on: on.clone() };
        }
        if takes_parts(node) {
            return Reason::Beyond { on: "a limit: each run may take the next rows".to_owned() };
        }
        if code.is_empty() {
            return Reason::Template;
        }
        Reason::UpToDate
    }

    /// What has moved of what it was made from, itself among it.
    fn inputs(&self, node: &Node, own: Option<&TableName>, basis: &Basis) -> Option<Reason> {
        let parents = solid_parents(self.manifest, &node.id);
        let parents = parents.iter().filter_map(|parent| self.manifest.node(parent).relation.as_ref());
        let read = basis.tables.keys().chain(basis.views.keys()).chain(parents);
        let others = || read.clone().filter(|input| Some(*input) != own);
        if let Some(input) = others().find(|input| self.made.contains(*input)) {
            return Some(Reason::InputMade { input: input.clone() });
        }
        for (table, from) in &basis.tables {
            let to = self.known.landed.get(table).or_else(|| self.pins.tables.get(table)).copied();
            if to == Some(*from) || to.is_some() && self.known.same_rows.contains(&(table.clone(), *from)) {
                continue;
            }
            return Some(match Some(table) == own {
                true => Reason::Rewritten,
                false => Reason::InputAdvanced { input: table.clone(), from: *from, to },
            });
        }
        for (name, was) in &basis.views {
            if self.pins.views.get(name).map(mark).as_ref() != Some(was) {
                return Some(match Some(name) == own {
                    true => Reason::Rewritten,
                    false => Reason::InputChanged { input: name.clone() },
                });
            }
        }
        // What it refers to without reading it may be read another time.
        let landed = others().find(|input| self.known.landed.contains_key(*input))?;
        let to = self.known.landed.get(landed).copied();
        let from = self.pins.tables.get(landed).copied().unwrap_or(TableVersion(0));
        Some(Reason::InputAdvanced { input: landed.clone(), from, to })
    }
}

/// Whether an incremental model may leave rows to the next run.
fn takes_parts(node: &Node) -> bool {
    let is_incremental =
        matches!(node.materialization(), Some(Materialization::Incremental { is_incremental_run: true, .. }));
    is_incremental && has_limit(&node.sql)
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
                Strategy::DeleteInsert
                | Strategy::InsertOverwrite
                | Strategy::Microbatch
                | Strategy::Custom => Action::ReplaceRows,
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

impl fmt::Display for Reason {
    /// The reason as the end of a sentence that begins with the node's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::FullRefresh => f.write_str("requested: --full-refresh"),
            Self::Requested => f.write_str("requested"),
            Self::Untested => f.write_str("not known to hold"),
            Self::Unknown => f.write_str("nothing tells what it was built from"),
            Self::EngineChanged { was } => write!(f, "built by {was}, and this is {ENGINE}"),
            Self::CodeChanged => f.write_str("code changed"),
            Self::ContentChanged => f.write_str("content changed"),
            Self::NotAsInProduction => f.write_str("code is another than production's"),
            Self::Rewritten => f.write_str("written since by something else than a build"),
            Self::WrittenOutside => f.write_str("written since by another program"),
            Self::InputMade { input } => write!(f, "input rebuilt: {input}"),
            Self::InputAdvanced { input, from, to: Some(to) } => {
                write!(f, "input advanced: {input} from version {from} to {to}")
            }
            Self::InputAdvanced { input, to: None, .. } => write!(f, "input gone: {input}"),
            Self::InputChanged { input } => write!(f, "input changed: the view {input}"),
            Self::Beyond { on } => write!(f, "depends on {on}"),
            Self::Template => f.write_str("its template reads the lake"),
            Self::InProduction { table } => write!(f, "as production has it: {table}"),
            Self::UpToDate => f.write_str("up to date"),
        }
    }
}
