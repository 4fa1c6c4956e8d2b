//! What is known of what was made before?
//!
//! [`due`] asks the lake for all that [`plan`](super::plan) weighs: whether a table moved on with the same rows, whether a
//! program outside elt has written it, what a seed's file holds, and what templates say that read the lake.
//! What cannot be found out counts as changed.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};

use super::basis::Code;
use super::plan::{Asked, BuildPlan, Known, Reason, memory_name, plan};
use super::{compile_late, seed};
use crate::base::{TableName, TableVersion};
use crate::compile::{Manifest, NodeId, NodeKind};
use crate::query::{Limits, Scope, Session};
use crate::release::Memory;
use crate::table::{Tables, history};

/// Requests to the store at once.
const AT_ONCE: usize = 32;
/// So many versions of a table are looked at to see whether its rows are the same.
const VERSIONS: u64 = 64;

/// What a plan is made for.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The project, compiled.
    pub manifest: &'a Manifest,
    /// The nodes.
    pub selected: &'a BTreeSet<NodeId>,
    /// Whether they are made even if they are up to date.
    pub asked: Asked,
    /// The pinned release, with what was landed on top.
    pub scope: &'a Scope,
    /// Tables that the build lands rows in, at the versions that they will have.
    pub landed: BTreeMap<TableName, TableVersion>,
    /// What is remembered of what was made before.
    pub memory: Memory,
    /// The schema of names without one.
    pub default_schema: &'a str,
}

/// Works out what has to be made. Writes nothing.
///
/// Takes a read for each table, and runs the queries of templates that ask the lake, if nothing else has changed for them.
pub async fn due(wanted: Wanted<'_>) -> BuildPlan {
    let Wanted { manifest, selected, asked, scope, landed, memory, default_schema } = wanted;
    let mut known = Known { memory, landed, codes: seeds(manifest, selected).await, ..Known::default() };
    if !asked.all && !asked.full_refresh {
        known.same_rows = same_rows(manifest, selected, scope, &known, default_schema).await;
        known.written_outside = written_outside(manifest, selected, scope).await;
    }
    let session = Session::new(scope.clone().apart(), default_schema, Limits::default());
    let mut asked_for = BTreeSet::new();
    loop {
        let plan = plan(manifest, scope.pins(), selected, asked, &known, default_schema);
        let open = plan.steps.iter().filter(|step| step.because == Reason::Template);
        let open: Vec<NodeId> =
            open.map(|step| step.node.clone()).filter(|id| asked_for.insert(id.clone())).collect();
        if open.is_empty() {
            return plan;
        }
        for id in open {
            // What is wrong with the template is told when it is built.
            if let Ok((node, _)) = compile_late(manifest, manifest.node(&id), &session).await {
                known.codes.insert(id, Code::of(&node));
            }
        }
    }
}

/// The fingerprints of seeds: what is said of them, and what their files hold.
pub(super) async fn seeds(manifest: &Manifest, selected: &BTreeSet<NodeId>) -> BTreeMap<NodeId, Code> {
    let seeds = selected.iter().filter_map(|id| match &manifest.node(id).kind {
        NodeKind::Seed(seed) => Some((id.clone(), seed.clone(), manifest.node(id).fingerprint.clone())),
        _ => None,
    });
    let seeds: Vec<_> = seeds.collect();
    let read = tokio::task::spawn_blocking(move || {
        let code =
            |(id, seed, fingerprint): (NodeId, crate::compile::SeedNode, crate::compile::Fingerprint)| {
                let hash = seed::content_hash(&seed).ok()?;
                Some((id, Code::of_seed(format!("{fingerprint}.{hash}"))))
            };
        seeds.into_iter().filter_map(code).collect()
    });
    read.await.expect("reading a file does not panic")
}

/// The versions that things were made from, of tables that have moved on since with the same rows in other files.
async fn same_rows(
    manifest: &Manifest,
    selected: &BTreeSet<NodeId>,
    scope: &Scope,
    known: &Known,
    schema: &str,
) -> BTreeSet<(TableName, TableVersion)> {
    let bases = selected.iter().filter_map(|id| known.memory.get(&memory_name(manifest.node(id), schema)));
    let versions: BTreeSet<_> = bases.flat_map(|basis| &basis.tables).collect();
    let moved = versions.into_iter().filter_map(|(table, from)| {
        let to = *scope.pins().tables.get(table)?;
        let few = to.0.checked_sub(from.0).is_some_and(|between| (1..=VERSIONS).contains(&between));
        (few && !known.landed.contains_key(table)).then(|| (table.clone(), *from, to))
    });
    let tables = scope.tables();
    let same = stream::iter(moved).map(|(table, from, to)| async move {
        only_optimized(tables, &table, from, to).await.then_some((table, from))
    });
    same.buffer_unordered(AT_ONCE).filter_map(async |same| same).collect().await
}

async fn only_optimized(tables: &Tables, table: &TableName, from: TableVersion, to: TableVersion) -> bool {
    let between = to.0 - from.0;
    let Ok(commits) = history(tables, table, to, usize::try_from(between).unwrap_or(usize::MAX)).await else {
        return false;
    };
    let is_same = |commit: &crate::table::Commit| {
        commit.version > from && commit.release.is_some() && commit.operation.as_deref() == Some("OPTIMIZE")
    };
    commits.len() as u64 == between && commits.iter().all(is_same)
}

/// The tables of nodes whose logs go on beyond what readers see.
async fn written_outside(
    manifest: &Manifest,
    selected: &BTreeSet<NodeId>,
    scope: &Scope,
) -> BTreeSet<TableName> {
    let names = selected.iter().map(|id| manifest.node(id)).filter(|node| node.is_made());
    let pinned = names.filter_map(|node| {
        let name = node.relation.as_ref()?;
        Some((name.clone(), scope.pins().head(name)?))
    });
    let tables = scope.tables();
    let asked = stream::iter(pinned).map(|(name, version)| async move {
        let goes_on = tables.goes_on(&name, version).await.unwrap_or(false);
        goes_on.then_some(name)
    });
    asked.buffer_unordered(AT_ONCE).filter_map(async |name| name).collect().await
}
