//! What is the environment's alone, and must not become production's?

use std::collections::{BTreeMap, BTreeSet};

use super::super::{BuildRequest, Compiled, Lakehouse, Materialization, NodeKind};
use super::{Looked, Manifest, Node, Taken, wrong};
use crate::base::{
    Diagnostic, Error, ErrorKind, Event, ReleaseNumber, Result, TableName, TableVersion, Watch,
};
use crate::build::{self, remembered_as};
use crate::compile::{Facts, is_same_query};
use crate::query::{Limits, Session};
use crate::release::{self, Pins};
use crate::table::{Commit, Operation, history};

/// So many commits are looked at for the one that a table began with.
const LOOKED_AT: usize = 512;

/// Refuses what was made of a snapshot that the environment took itself, and says of which snapshots production keeps its
/// own.
pub(super) fn snapshots(
    taken: &[Taken<'_>],
    looked: &Looked,
    schema: &str,
    pins: &Pins,
    watch: &dyn Watch,
) -> Result<()> {
    let (here, there) = (&looked.compiled.manifest, &looked.environment.manifest);
    for node in here.nodes.values().filter(|node| matches!(node.kind, NodeKind::Snapshot(_))) {
        let Some(own) = node.relation.as_ref().filter(|own| pins.tables.contains_key(*own)) else { continue };
        let theirs = there.nodes.get(&node.id).and_then(|node| node.relation.as_ref());
        if theirs == Some(own) {
            continue;
        }
        let reads_it = |one: &&Taken<'_>| {
            let basis = looked.memory.get(&remembered_as(one.here, schema));
            basis.is_some_and(|basis| basis.tables.contains_key(own))
        };
        if let Some(one) = taken.iter().find(reads_it) {
            let what = format!(
                "nothing was promoted: `{}` was made of the snapshot `{own}`, and production's remembers other rows",
                one.here.shown()
            );
            let target = &looked.compiled.project.target.name;
            let help = format!(
                "let it read production's: `elt sql \"drop table {own}\"`, then `elt build --target {target} --exclude {}`",
                node.name
            );
            return Err(wrong(what, help));
        }
        if !looked.environment.unchanged.nodes.contains(&node.id) {
            let production = &looked.environment.production;
            watch.on(Event::Note(format!(
                "the snapshot `{own}` stays `{}`'s: `elt snapshot --target {production} --select {}` takes production's",
                looked.compiled.project.target.name, node.name
            )));
        }
    }
    Ok(())
}

/// Refuses to put what an environment made of an incremental model from the beginning in the place of what production
/// gathered, run after run.
pub(super) async fn histories(
    lakehouse: &Lakehouse,
    environment: &str,
    taken: &[Taken<'_>],
    there: &Manifest,
    pins: &Pins,
) -> Result<()> {
    for one in taken {
        let is_gathered =
            matches!(there.node(&one.here.id).materialization(), Some(Materialization::Incremental { .. }));
        let (Some(version), Some(now)) = (pins.tables.get(&one.from), pins.tables.get(&one.to)) else {
            continue;
        };
        if !is_gathered {
            continue;
        }
        let (what, help) = match began_with(lakehouse, one, *version).await? {
            Some(of) if of == *now => continue,
            Some(of) => (
                format!(
                    "`{}` goes on from version {of} of `{}`, which has moved to version {now}",
                    one.from, one.to
                ),
                "clone it again",
            ),
            None => (
                format!(
                    "`{}` is incremental, `{environment}` made it from the beginning, and rows that only `{}` still has would be gone",
                    one.here.shown(),
                    one.to
                ),
                "begin with production's rows",
            ),
        };
        let help = format!(
            "{help}: `elt sql \"create or replace table {0} shallow clone {1}\"` and `elt build --target {environment}`; or \
             replace them by what `{environment}` made: `elt promote {environment} --full-refresh`",
            one.from, one.to
        );
        return Err(wrong(format!("nothing was promoted: {what}"), help));
    }
    Ok(())
}

/// The version of production's table that an environment's began with; nothing if it began by itself.
async fn began_with(
    lakehouse: &Lakehouse,
    one: &Taken<'_>,
    version: TableVersion,
) -> Result<Option<TableVersion>> {
    for commit in history(&lakehouse.tables, &one.from, version, LOOKED_AT).await? {
        let source = commit.provenance.get("source").and_then(|source| source.as_str());
        if let Some((table, version)) = source.and_then(|source| source.rsplit_once(" version ")) {
            let is_production = table == one.to.to_string();
            return Ok(version.parse().ok().filter(|_| is_production).map(TableVersion));
        }
        if replaces_all(lakehouse, &one.from, &commit).await? {
            return Ok(None);
        }
    }
    Ok(None)
}

/// Whether a commit put other rows in the place of all that there were.
async fn replaces_all(lakehouse: &Lakehouse, table: &TableName, commit: &Commit) -> Result<bool> {
    let is_overwrite = commit.parameters.get("mode").and_then(|mode| mode.as_str()) == Some("Overwrite");
    match (commit.operation.as_deref(), commit.release) {
        // Rows of some keys or some stretch of time are written in the same words; the release knows.
        (Some("WRITE"), Some(number)) if is_overwrite => {
            let release = release::release(lakehouse.tables.lake(), ReleaseNumber(number)).await?;
            let mut of_it = release.tables.iter().filter(|summary| summary.table == *table);
            Ok(of_it.any(|summary| summary.operation == Operation::Overwrite))
        }
        (Some("WRITE"), None) => Ok(is_overwrite),
        (Some(operation), _) => Ok(operation.starts_with("CREATE") || operation.starts_with("REPLACE")),
        (None, _) => Ok(false),
    }
}

/// Refuses what says one thing in the environment and another in production, but for names.
pub(super) async fn same_code(
    here: &Lakehouse,
    production: &Lakehouse,
    taken: &[Taken<'_>],
    looked: &Looked,
    pins: &Pins,
) -> Result<()> {
    if taken.is_empty() {
        return Ok(());
    }
    let (ours, theirs) = (&looked.compiled.manifest, &looked.environment.manifest);
    let relation = |manifest: &Manifest, node: &Node| {
        manifest.nodes.get(&node.id).and_then(|node| node.relation.clone()).filter(|_| node.is_made())
    };
    let renamed: Vec<(&Node, TableName, TableName)> = ours
        .nodes
        .values()
        .filter_map(|node| Some((node, relation(ours, node)?, relation(theirs, node)?)))
        .collect();
    let deferred = renamed.iter().map(|(node, _, to)| (node.id.to_string(), to.clone()));
    let deferred: BTreeMap<String, TableName> = deferred.collect();
    let names = renamed.iter().flat_map(|(_, from, to)| [from.clone(), to.clone()]);
    let existing: BTreeSet<TableName> = names.chain(pins.tables.keys().cloned()).collect();
    let run = here.run_id();
    // As it is made from the beginning, and as it goes on.
    for full_refresh in [true, false] {
        let request = BuildRequest { full_refresh, ..BuildRequest::default() };
        let facts = Facts { existing: existing.clone(), ..here.facts_of(&request, pins, &run) };
        let Compiled { manifest: ours, .. } =
            here.compile_with(&Facts { deferred: deferred.clone(), ..facts.clone() })?;
        let Compiled { manifest: theirs, .. } = production.compile_with(&facts)?;
        for one in taken {
            let nodes = (ours.nodes.get(&one.here.id), theirs.nodes.get(&one.here.id));
            let (Some(our), Some(their)) = nodes else { continue };
            let kind = |node: &Node| node.materialization().map(Materialization::word);
            let (our_sql, their_sql) =
                (sql_of(here, &ours, our, pins).await, sql_of(production, &theirs, their, pins).await);
            let is_same = match (&our_sql, &their_sql) {
                (Some(our), Some(their)) => is_same_query(our, their, &[(&one.from, &one.to)]),
                (our, their) => our.is_none() && their.is_none(),
            };
            if is_same && kind(our) == kind(their) {
                continue;
            }
            let (environment, production) =
                (&looked.compiled.project.target.name, &looked.environment.production);
            let what = format!(
                "nothing was promoted: `{}` is one query in `{environment}` and another in `{production}`, so its rows are \
                 `{environment}`'s alone",
                our.shown()
            );
            let help = format!(
                "its template asks for `target`, `this`, or a source that is elsewhere there: let it say the same in both, or \
                 build it where it belongs: `elt build --target {production} --select {}`",
                our.name
            );
            let diagnostic = Diagnostic::error("elt::promote", what).at(&one.here.at, "this node").help(help);
            return Err(Error::new(ErrorKind::User, diagnostic));
        }
    }
    Ok(())
}

/// The query of a node; nothing if its template cannot be rendered.
async fn sql_of(lakehouse: &Lakehouse, manifest: &Manifest, node: &Node, pins: &Pins) -> Option<String> {
    if !node.is_late {
        return Some(node.sql.clone());
    }
    let scope = lakehouse.scope_of(pins.clone()).apart();
    let session = Session::new(scope, lakehouse.default_schema(), Limits::default());
    let late = build::compile_late(manifest, node, &session).await;
    late.ok().map(|(node, _)| node.sql)
}

impl Lakehouse {
    /// Refuses to replace what has moved since the environment made its own.
    pub(super) async fn check_unmoved(&self, name: &str, taken: &[Taken<'_>], now: &Pins) -> Result<()> {
        let mut open: Vec<&Taken<'_>> = taken.iter().collect();
        let mut newest = now.release;
        while let Some(number) = newest.filter(|_| !open.is_empty()) {
            let then = release::release(self.tables.lake(), number).await?.pinned();
            let before = match number.0.checked_sub(1).filter(|before| *before > 0) {
                Some(before) => release::release(self.tables.lake(), ReleaseNumber(before)).await?.pinned(),
                None => Pins::default(),
            };
            let same = |a: &Pins, b: &Pins, name: &TableName| {
                a.tables.get(name) == b.tables.get(name) && a.views.get(name) == b.views.get(name)
            };
            // In this release it came to be what it is.
            let made: Vec<&Taken<'_>> = open.extract_if(.., |one| !same(&then, &before, &one.from)).collect();
            for one in made {
                if !same(&before, now, &one.to) {
                    let what = format!(
                        "nothing was promoted: `{}` has moved since `{}` was made for release {number}",
                        one.to, one.from
                    );
                    let help = format!(
                        "make it anew on top of that: `elt build --target {name} --full --select {}`",
                        one.here.name
                    );
                    let diagnostic = Diagnostic::error("elt::promote", what).help(help);
                    return Err(Error::new(ErrorKind::Conflict, diagnostic));
                }
            }
            newest = before.release;
        }
        Ok(())
    }
}
