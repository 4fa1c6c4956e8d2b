//! What would a build do?
//!
//! The same questions that [`Lakehouse::build`] asks, and nothing done about the answers: files are looked at and not
//! landed, templates that read the lake are asked, nothing is written and no lock is taken.

use std::collections::{BTreeMap, BTreeSet};

use super::environment::Environment;
use super::sources::Look;
use super::{
    BuildRequest, Compiled, Earlier, GoesOn, Lakehouse, Manifest, NodeId, Planned, PlannedNode, Purpose,
    Selector,
};
use crate::base::{Diagnostic, Result, TableName, TableVersion, Unwatched};
use crate::build::{self, PlannedStep, Reason, Wanted};
use crate::compile::{self, Facts};
use crate::lake::layout;
use crate::landing::FileOutcome;
use crate::release::{self, Memory, Pins};

/// So many reports of runs are looked at for what was found out since the last build was published.
const RUNS_LOOKED_AT: usize = 50;

impl Lakehouse {
    /// Tells what [`build`](Self::build) would do now with each selected node, and why. Touches nothing.
    ///
    /// What a build lands is told by the files that are new; what they hold is not read.
    ///
    /// # Errors
    /// What is wrong with the project; and files of sources that cannot be found or are ambiguous.
    pub async fn plan(&self, request: &BuildRequest) -> Result<Planned> {
        let pins = self.pins().await?;
        let facts = self.facts_of(request, &pins, &self.world.id());
        let Chosen { compiled, selected, environment } = self.chosen(request, &facts, &pins).await?;
        let manifest = &compiled.manifest;
        manifest.late().set_selected(&selected);
        let (scope, reports) = match request.purpose {
            Purpose::Build | Purpose::Run => {
                let landing =
                    self.land_sources(&pins, manifest, &selected, Look::new(true, &environment), &Unwatched);
                let (scope, _, reports) = Box::pin(landing).await?;
                (scope, reports)
            }
            _ => (self.scope_of(pins.clone()), Vec::new()),
        };
        let mut landed = BTreeMap::new();
        for report in &reports {
            let is_new =
                |file: &FileOutcome| matches!(file, FileOutcome::Loaded(_) | FileOutcome::Reloaded(_));
            if report.files.iter().any(is_new) {
                let next = pins.head(&report.table).map_or(TableVersion(0), TableVersion::next);
                landed.insert(report.table.clone(), next);
            }
        }
        let (mut memory, later) = self.memory().await?;
        memory.extend(later);
        let is_all = request.select.is_empty() && request.exclude.is_empty();
        let gone = if is_all { self.gone(&memory, manifest, &pins) } else { Vec::new() };
        let mut plan = build::due(Wanted {
            manifest,
            selected: &selected,
            asked: request.asked(),
            scope: &scope,
            landed,
            memory,
            default_schema: &self.default_schema,
        })
        .await;
        if let Some(environment) = &environment {
            environment.explain(manifest, &pins, &mut plan);
        }
        let mut steps: BTreeMap<&NodeId, &PlannedStep> =
            plan.steps.iter().chain(&plan.up_to_date).map(|step| (&step.node, step)).collect();
        let order = manifest.order();
        let told = |step: &PlannedStep| {
            let node = manifest.node(&step.node);
            PlannedNode {
                unique_id: node.id.to_string(),
                name: node.shown(),
                kind: node.materialization().map_or(step.action.kind(), |how| how.word()),
                action: (step.because != Reason::UpToDate).then_some(step.action),
                because: step.because.clone(),
            }
        };
        let reused = environment.map(|environment| environment.reused).unwrap_or_default();
        let taken_over = |id: &NodeId| {
            let node = manifest.node(id);
            let because =
                reused.get(id)?.clone().map_or(Reason::UpToDate, |table| Reason::InProduction { table });
            let kind = node.materialization().map_or(node.resource_type(), |how| how.word());
            let (unique_id, name) = (id.to_string(), node.shown());
            Some(PlannedNode { unique_id, name, kind, action: None, because })
        };
        let steps = order.iter().filter_map(|id| steps.remove(id).map(told).or_else(|| taken_over(id)));
        Ok(Planned {
            steps: steps.collect(),
            landed: reports,
            gone,
            release: pins.release,
            warnings: compiled.warnings,
        })
    }

    /// What builds have made in the schemas of the project and readers see, although no node makes it any more.
    fn gone(&self, memory: &Memory, manifest: &Manifest, pins: &Pins) -> Vec<TableName> {
        let disabled = manifest.disabled.iter();
        let made: BTreeSet<&TableName> =
            manifest.nodes.values().chain(disabled).filter_map(|node| node.relation.as_ref()).collect();
        let schemas: BTreeSet<&str> =
            made.iter().map(|name| name.schema()).chain([self.default_schema.as_str()]).collect();
        let names = memory.keys().filter(|name| !name.contains(':')).filter_map(|name| name.parse().ok());
        let is_gone = |name: &TableName| {
            let is_seen = pins.tables.contains_key(name) || pins.views.contains_key(name);
            is_seen && schemas.contains(name.schema()) && !made.contains(name)
        };
        names.filter(is_gone).collect()
    }

    /// The project as a request takes it, the nodes that it selects, and what is taken over from production.
    pub(super) async fn chosen(&self, request: &BuildRequest, facts: &Facts, pins: &Pins) -> Result<Chosen> {
        let mut compiled = self.compile_with(facts)?;
        let earlier = self.compared(&request.earlier, &compiled.project);
        let selectors = request.select.iter().chain(&request.exclude);
        let production = compiled.project.target.production.as_deref();
        let earlier = Box::pin(self.against_release(earlier, production, facts, pins, selectors)).await?;
        let mut selected = compile::select(&compiled.manifest, &request.select, &request.exclude, &earlier)?;
        let unmatched = compile::unmatched(&compiled.manifest, &request.select, &request.exclude, &earlier);
        let unmatched = self.judged(unmatched)?;
        if let Some(defer) = &request.defer {
            compiled = self.deferred(compiled, defer, &selected, facts, pins)?;
        }
        compiled.warnings.extend(unmatched);
        selected.retain(|id| request.takes(compiled.manifest.node(id).resource_type()));
        if let Some(only) = &request.only {
            let besides = match &request.goes_on {
                Some(then) => {
                    Box::pin(self.tests_besides(then, request, only, &compiled, facts, pins)).await?
                }
                None => BTreeSet::new(),
            };
            selected.retain(|id| only.contains(id.as_str()) || besides.contains(id));
            let failed = request.goes_on.iter().flat_map(|then| &then.failed);
            let gone = failed.filter(|id| !compiled.manifest.nodes.contains_key(id.as_str()));
            compiled.warnings.extend(gone.map(|id| no_longer_there(id)));
        }
        if request.defer.is_some() || request.apart {
            return Ok(Chosen { compiled, selected, environment: None });
        }
        let (mut memory, later) = self.memory().await?;
        memory.extend(later);
        let mut environment = Box::pin(self.environment(&compiled, facts, pins, &memory)).await?;
        if let Some(environment) = &mut environment {
            environment.take_over(request, &compiled.manifest, &mut selected);
            let deferred = environment.deferred(request.purpose, &compiled.manifest, &selected, pins);
            if !deferred.is_empty() {
                let warnings = std::mem::take(&mut compiled.warnings);
                compiled = self.compile_with(&Facts { deferred, ..facts.clone() })?;
                compiled.warnings = warnings;
            }
        }
        Ok(Chosen { compiled, selected, environment })
    }

    /// The tests that are asked of what is made now although the run that it goes on from did not ask them: what it was asked
    /// for has them now, new or under another name, as a test has whose values were corrected. Nothing is published that they
    /// were not asked about.
    async fn tests_besides(
        &self,
        then: &GoesOn,
        request: &BuildRequest,
        only: &BTreeSet<String>,
        compiled: &Compiled,
        facts: &Facts,
        pins: &Pins,
    ) -> Result<BTreeSet<NodeId>> {
        let manifest = &compiled.manifest;
        if request.purpose != Purpose::Build {
            return Ok(BTreeSet::new());
        }
        let earlier = self.compared(&request.earlier, &compiled.project);
        let selectors = then.select.iter().chain(&then.exclude);
        let production = compiled.project.target.production.as_deref();
        let earlier = Box::pin(self.against_release(earlier, production, facts, pins, selectors)).await?;
        // If nobody can tell any more what was meant then, all of them are.
        let meant = compile::select(manifest, &then.select, &then.exclude, &earlier).ok();
        let is_meant = |node: &compile::Node| {
            then.kinds.take(node.resource_type())
                && meant.as_ref().is_none_or(|meant| meant.contains(&node.id))
        };
        let is_made = |id: &NodeId| only.contains(id.as_str()) && manifest.node(id).is_made();
        let tests = manifest.nodes.values().filter(|node| node.is_test() && !only.contains(node.id.as_str()));
        let besides =
            tests.filter(|node| is_meant(node) && build::tested(manifest, &node.id).iter().any(is_made));
        Ok(besides.map(|node| node.id.clone()).collect())
    }

    /// What a selection compares with: without an earlier manifest what is published, if a selector asks for a state.
    ///
    /// For an environment that is what production was made by.
    pub(super) async fn against_release<'a>(
        &self,
        earlier: Earlier,
        production: Option<&str>,
        facts: &Facts,
        pins: &Pins,
        selectors: impl Iterator<Item = &'a Selector>,
    ) -> Result<Earlier> {
        let asks = |selector: &Selector| {
            let text = selector.to_string();
            text.contains("state:") || text.contains("selector:")
        };
        let mut earlier = earlier;
        let selectors: Vec<&Selector> = selectors.collect();
        let of_results = |selector: &&Selector| {
            let text = selector.to_string();
            text.contains("result:") || text.contains("selector:")
        };
        let has_none = earlier.results.is_none() && earlier.manifest.is_none();
        if let Some(target) =
            self.target_path.as_ref().filter(|_| has_none && selectors.iter().any(of_results))
        {
            // Without a folder to compare with, the last run is meant.
            let read = std::fs::read(target.join("run_results.json")).ok();
            earlier.results = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        }
        if earlier.manifest.is_some() || !selectors.into_iter().any(asks) {
            return Ok(earlier);
        }
        let (mut memory, later) = self.memory().await?;
        memory.extend(later);
        if memory.is_empty() {
            return Ok(earlier);
        }
        let there = match production {
            Some(production) => self.with_target(production)?,
            None => self.clone(),
        };
        let facts = Facts { deferred: BTreeMap::new(), ..facts.clone() };
        let Compiled { manifest, .. } = there.compile_with(&facts)?;
        let (scope, schema) = (self.scope_of(pins.clone()), &there.default_schema);
        let codes = Box::pin(build::unchanged(&manifest, &scope, &memory, schema, |_| false)).await.codes;
        let mut published = compile::Published::default();
        let has_code = |node: &&compile::Node| node.is_made() && !node.is_ephemeral() || node.is_test();
        for node in manifest.nodes.values().filter(has_code) {
            let id = node.id.clone();
            match (memory.get(&build::remembered_as(node, schema)), codes.get(&id)) {
                (None, _) => drop(published.new.insert(id)),
                (Some(basis), Some(code)) if !code.has_made(basis) => drop(published.modified.insert(id)),
                (Some(_), _) => {}
            }
        }
        Ok(Earlier { published: Some(published), ..earlier })
    }

    /// What a build may know of the world.
    pub(super) fn facts_of(&self, request: &BuildRequest, pins: &Pins, run: &str) -> Facts {
        Facts {
            full_refresh: request.full_refresh,
            store_failures: request.store_failures,
            empty: request.empty,
            sample: request.sample.map(|sample| sample.window(self.world.now())),
            batches: request.batches.clone(),
            command: request.purpose.word().to_owned(),
            event_time_start: request.event_time.0,
            event_time_end: request.event_time.1,
            ..self.facts(pins, run)
        }
    }

    /// What things were made from, and which tests held: as the newest release has it; and apart from that, what
    /// runs have found out since that had nothing to publish.
    pub(super) async fn memory(&self) -> Result<(Memory, Memory)> {
        let lake = self.tables.lake();
        let Some(newest) = release::latest(lake).await? else { return Ok(Default::default()) };
        let Some(at) = newest.memory_at() else { return Ok(Default::default()) };
        let memory = release::memory(lake, &newest).await?;
        let sealed = lake.list(&layout::RELEASES.into()).await?;
        let sealed = sealed.into_iter().find(|object| object.location == layout::release(at));
        let sealed = sealed.map(|object| object.last_modified);
        let mut runs = lake.list(&layout::RUNS.into()).await?;
        runs.retain(|run| Some(run.last_modified) >= sealed);
        runs.sort_by_key(|run| std::cmp::Reverse(run.last_modified));
        runs.truncate(RUNS_LOOKED_AT);
        let mut later = Memory::new();
        for run in runs.iter().rev() {
            let run: Option<serde_json::Value> = lake.read_json(&run.location).await?;
            let found = run.and_then(|mut run| run.get_mut("memory").map(serde_json::Value::take));
            let found = found.and_then(|found| serde_json::from_value::<Memory>(found).ok());
            later.extend(found.unwrap_or_default());
        }
        Ok((memory, later))
    }
}

/// What there is to say of something that failed and is not in the project any more.
fn no_longer_there(id: &str) -> Diagnostic {
    let name = id.split('.').nth(2).unwrap_or(id);
    let what = format!("`{name}` failed in the last run, and is no longer in the project");
    Diagnostic::warning("elt::retry", what)
        .help("what the project has instead of it is asked if it is about something that is made now; `elt build` makes all that is due")
}

/// What a request takes of a project.
pub(super) struct Chosen {
    pub(super) compiled: Compiled,
    pub(super) selected: BTreeSet<NodeId>,
    /// What is taken over from production, if the target is an environment beside it.
    pub(super) environment: Option<Environment>,
}

/// The tests of the project in this schema that are remembered and that it has no more.
pub(super) fn forgotten(memory: &Memory, manifest: &Manifest, schema: &str) -> BTreeSet<String> {
    let gone = |name: &&String| {
        let Some(id) = name.strip_prefix(schema).and_then(|rest| rest.strip_prefix(':')) else {
            return false;
        };
        let is_ours = id.split('.').nth(1) == Some(&manifest.project);
        is_ours && !manifest.nodes.contains_key(id)
    };
    memory.keys().filter(gone).cloned().collect()
}
