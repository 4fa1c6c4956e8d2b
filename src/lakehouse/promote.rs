//! How does what was tested in an environment become production?
//!
//! By its files: each table that the environment made itself becomes the next version of production's, with the same files
//! under other names, and each view is stored with production's names. Nothing is built, and nothing is published if
//! anything has moved: not the project, not what was read, not what is replaced.

use std::collections::{BTreeMap, BTreeSet};

use super::environment::pointed_to;
use super::{BuildRequest, Compiled, Lakehouse, Manifest, Node, NodeId, NodeKind, Reason, released};
use crate::base::{Error, ErrorKind, Event, Result, TableName, TableVersion, Watch};
use crate::build::{self, Wanted, remembered_as};
use crate::release::{self, Basis, Goal, Learnt, Memory, Pins, Proposal, Release, ReleaseKind, View, mark};
use crate::table::Change;
use crate::table::write::share;

/// What was promoted.
#[derive(Debug)]
pub struct Promoted {
    /// The environment.
    pub environment: String,
    /// The target that is production.
    pub production: String,
    /// What it was in the environment, and what it is in production.
    pub names: Vec<(TableName, TableName)>,
    /// The release; nothing if there was nothing to promote.
    pub release: Option<Release>,
}

/// A node that is promoted.
struct Taken<'a> {
    /// As the environment has it.
    here: &'a Node,
    from: TableName,
    to: TableName,
}

impl Lakehouse {
    /// Publishes what an environment has made as the next release of production. Nothing is built again.
    ///
    /// # Errors
    /// The target is no environment; what it has is not what the project would make now; something that it would replace
    /// has moved since. Nothing is published then.
    pub async fn promote(&self, name: &str, watch: &dyn Watch) -> Result<Promoted> {
        let here = self.with_target(name)?;
        let _lock = self.begin_writing("promote", watch).await?;
        let pins = self.pins().await?;
        let request = BuildRequest::default();
        let facts = here.facts_of(&request, &pins, &self.run_id());
        let chosen = here.chosen(&request, &facts, &pins).await?;
        let Some(environment) = chosen.environment else {
            let what = format!("the target `{name}` is no environment beside a production");
            let help = "its output in profiles.yml has to name one: `production: prod`, of the same lake, that was built before";
            return Err(wrong(what, help.to_owned()));
        };
        let Compiled { manifest, .. } = &chosen.compiled;
        let (mut memory, later) = self.memory().await?;
        memory.extend(later);
        let plan = build::due(Wanted {
            manifest,
            selected: &chosen.selected,
            asked: request.asked(),
            scope: &self.scope_of(pins.clone()),
            landed: BTreeMap::new(),
            memory: memory.clone(),
            default_schema: &here.default_schema,
        })
        .await;
        let is_due = |step: &&build::PlannedStep| {
            !step.action.is_test() && !matches!(step.because, Reason::Beyond { .. })
        };
        if let Some(step) = plan.steps.iter().find(is_due) {
            let what = format!(
                "`{}` is not what it would be now: {}",
                manifest.node(&step.node).shown(),
                step.because
            );
            let help = format!("`elt build --target {name}` makes and tests it, then promote it");
            return Err(wrong(format!("nothing was promoted: {what}"), help));
        }
        let taken = taken(&chosen.selected, manifest, &environment.manifest, &pins)?;
        self.check_unmoved(name, &taken, &pins).await?;
        let mut learnt = Memory::new();
        let (mut changes, mut views) = (Vec::new(), BTreeMap::new());
        for one in &taken {
            let there = environment.manifest.node(&one.here.id);
            let Some(version) = pins.tables.get(&one.from) else {
                let sql = self.view_of_production(there, &environment.manifest, &pins).await?;
                let view = View::new(sql, there.description.as_str()).dividing(self.division);
                views.insert(one.to.clone(), view);
                continue;
            };
            let source = self.tables.snapshot(&one.from, *version).await?;
            let base = match pins.head(&one.to) {
                Some(head) => Some(self.tables.snapshot(&one.to, head).await?),
                None => None,
            };
            let change = share(&self.tables, &one.to, base, &source, None).await?;
            changes.push(
                change
                    .with_provenance("model", there.id.to_string())
                    .with_provenance("path", there.path.clone())
                    .with_provenance("source", format!("{} version {version}", one.from)),
            );
        }
        let read = reads(&taken, &memory, &here.default_schema, &pins);
        let reused = environment.reused.keys().filter_map(|id| manifest.node(id).relation.as_ref());
        let pointers = reused.filter(|name| pins.views.get(*name).and_then(pointed_to).is_some()).collect();
        let map = Map { taken: &taken, changes: &changes, views: &views, pointers };
        let production = self.with_target(&environment.production)?;
        for id in chosen.selected.iter().filter(|id| environment.manifest.nodes.contains_key(*id)) {
            let (here_node, there) = (manifest.node(id), environment.manifest.node(id));
            let basis = memory.get(&remembered_as(here_node, &here.default_schema));
            let code = environment.unchanged.codes.get(id);
            if let (Some(basis), Some(code)) = (basis, code) {
                let name = remembered_as(there, &production.default_schema);
                learnt.insert(name, map.basis(basis, code, here_node.relation.as_ref()));
            }
        }
        let names: Vec<_> = taken.iter().map(|one| (one.from.clone(), one.to.clone())).collect();
        watch.on(Event::Publishing);
        let proposal = Proposal {
            base: pins,
            read,
            accepted: BTreeMap::new(),
            kind: ReleaseKind::Promote { from: name.to_owned() },
            run: self.run_id(),
            changes,
            views,
            learnt: Learnt { bases: learnt, forgotten: Default::default() },
            goal: Goal::Keep,
        };
        let published = match names.is_empty() {
            true => release::Published::Nothing,
            false => release::publish(&self.tables, &self.world, proposal).await?,
        };
        let release = released(published);
        Ok(Promoted { environment: name.to_owned(), production: environment.production, names, release })
    }

    /// The query of a view with production's names.
    async fn view_of_production(&self, node: &Node, manifest: &Manifest, pins: &Pins) -> Result<String> {
        if !node.is_late {
            return Ok(node.sql.clone());
        }
        let scope = self.scope_of(pins.clone());
        let session =
            crate::query::Session::new(scope, &self.default_schema, crate::query::Limits::default());
        let (node, _) = build::compile_late(manifest, node, &session)
            .await
            .map_err(|error| Error::new(error.kind(), error))?;
        Ok(node.sql)
    }

    /// Refuses to replace what has moved since the environment made its own.
    async fn check_unmoved(&self, name: &str, taken: &[Taken<'_>], now: &Pins) -> Result<()> {
        let mut open: Vec<&Taken<'_>> = taken.iter().collect();
        let mut newest = now.release;
        while let Some(number) = newest.filter(|_| !open.is_empty()) {
            let then = release::release(self.tables.lake(), number).await?.pinned();
            let before = match number.0.checked_sub(1).filter(|before| *before > 0) {
                Some(before) => {
                    release::release(self.tables.lake(), crate::base::ReleaseNumber(before)).await?.pinned()
                }
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
                    let diagnostic = crate::base::Diagnostic::error("elt::promote", what).help(help);
                    return Err(Error::new(ErrorKind::Conflict, diagnostic));
                }
            }
            newest = before.release;
        }
        Ok(())
    }
}

/// The nodes that the environment has made itself.
fn taken<'a>(
    selected: &std::collections::BTreeSet<NodeId>,
    here: &'a Manifest,
    there: &Manifest,
    pins: &Pins,
) -> Result<Vec<Taken<'a>>> {
    let mut taken = Vec::new();
    for id in selected {
        let node = here.node(id);
        let own = node.relation.clone().filter(|_| node.is_made());
        let production = there.nodes.get(id).and_then(|node| node.relation.clone());
        let (Some(from), Some(to)) = (own, production) else { continue };
        if from == to || !(pins.tables.contains_key(&from) || pins.views.contains_key(&from)) {
            continue;
        }
        if matches!(node.kind, NodeKind::Snapshot(_)) {
            let what = format!(
                "nothing was promoted: the snapshot `{}` remembers in production what it saw there",
                node.name
            );
            let help = format!("`elt snapshot --select {}` takes it in production", node.name);
            return Err(wrong(what, help));
        }
        taken.push(Taken { here: node, from, to });
    }
    Ok(taken)
}

/// The tables that production and sources gave, as they were read.
fn reads(
    taken: &[Taken<'_>],
    memory: &Memory,
    schema: &str,
    pins: &Pins,
) -> BTreeMap<TableName, TableVersion> {
    let bases = taken.iter().filter_map(|one| memory.get(&remembered_as(one.here, schema)));
    let read = bases.flat_map(|basis| &basis.tables);
    let read = read.filter(|(name, version)| pins.tables.get(*name) == Some(*version));
    read.map(|(name, version)| (name.clone(), *version)).collect()
}

/// From the environment's names and versions to production's.
struct Map<'a> {
    taken: &'a [Taken<'a>],
    changes: &'a [Change],
    views: &'a BTreeMap<TableName, View>,
    /// Names of the environment that only point to production, which was read itself.
    pointers: BTreeSet<&'a TableName>,
}

impl Map<'_> {
    fn name(&self, name: &TableName) -> TableName {
        let found = self.taken.iter().find(|one| one.from == *name);
        found.map_or_else(|| name.clone(), |one| one.to.clone())
    }

    /// What a thing was made from, as production would have it.
    fn basis(&self, basis: &Basis, code: &str, own: Option<&TableName>) -> Basis {
        let tables = basis.tables.iter().filter(|(name, _)| Some(*name) != own);
        let tables = tables.map(|(name, version)| {
            let name = self.name(name);
            let change = self.changes.iter().find(|change| *change.table() == name);
            let version = change.map_or(*version, Change::version);
            (name, version)
        });
        let views = basis.views.iter();
        let views = views.filter(|(name, _)| Some(*name) != own && !self.pointers.contains(name));
        let views = views.map(|(name, marked)| {
            let name = self.name(name);
            let marked = self.views.get(&name).map_or_else(|| marked.clone(), mark);
            (name, marked)
        });
        Basis { code: code.to_owned(), tables: tables.collect(), views: views.collect(), ..basis.clone() }
    }
}

fn wrong(what: String, help: String) -> Error {
    Error::user("elt::promote", what, help)
}
