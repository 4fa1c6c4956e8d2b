//! The main verb: raw files in, models made and tested, the outcome published.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use object_store::ObjectStoreExt;

use super::hooks::RunEnd;
use super::openlineage::{Destination, Live, Telling};
use super::plan::{Chosen, forgotten};
use super::portions::Portions;
use super::recorder::{Recorder, command_word, told_arguments};
use super::sources::Look;
use super::telemetry::Tracer;
use super::{
    BuildRequest, Built, Compiled, Lakehouse, PublishMode, Purpose, Reviewer, maintain, released, step_json,
    study,
};
use crate::base::{Error, Event, Result, SourceText, TableName, Watch, after};
use crate::build::{self, Inputs, Stamp, Wanted};
use crate::compile::{self, YamlRenderer};
use crate::lake::layout;
use crate::project::{LineagePlace, RenderScope, USERS_FILE, read_lineage_place};
use crate::release::{self, Goal, Learnt, Memory, Proposal, Published, Release, ReleaseKind};

/// How long a server of lineage is waited for once the run was called off.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl Lakehouse {
    /// Lands what is new, builds and tests the selected nodes, and publishes them as one release.
    ///
    /// Nothing is visible to anyone before the end, and then all of it at once; unless the request asks for
    /// [`PublishMode::Each`], where each model is seen soon after it is made. Whoever watches may
    /// [call it off](Watch::called_off) before it publishes; it is written down then how far it came. Dropping the future is
    /// safe too, but for the time between [`Event::Publishing`] and [`Event::Published`], and leaves no report.
    pub async fn build(&self, request: &BuildRequest, watch: &dyn Watch) -> Result<Built> {
        Box::pin(self.build_reviewed(request, None, watch)).await
    }

    /// The same, and publishes only if the reviewer wants what came of it. Nobody else writes meanwhile.
    ///
    /// What is published while the run goes on is not reviewed.
    pub async fn build_reviewed(
        &self,
        request: &BuildRequest,
        reviewer: Option<&dyn Reviewer>,
        watch: &dyn Watch,
    ) -> Result<Built> {
        let run = self.run_id();
        let Some(tracer) = Tracer::of(self, &run, request.purpose.word(), watch) else {
            return Box::pin(self.build_told(request, reviewer, &run, watch)).await;
        };
        let built = Box::pin(self.build_told(request, reviewer, &run, &tracer)).await;
        tracer.send(&built).await;
        built
    }

    /// The same, told to whoever gathers lineage.
    async fn build_told(
        &self,
        request: &BuildRequest,
        reviewer: Option<&dyn Reviewer>,
        run: &str,
        watch: &dyn Watch,
    ) -> Result<Built> {
        let Some((destination, mut telling)) = self.telling(request, run)? else {
            let recorder = Recorder::new(self, request, run, watch);
            return Box::pin(self.until_called_off(request, reviewer, None, &recorder)).await;
        };
        let warn = |sent: std::result::Result<(), String>| {
            if let Err(because) = sent {
                watch.on(Event::Note(format!("events of lineage were not sent: {because}")));
            }
        };
        let (live, starts, first) = (Live::new(&self.world, watch), telling.starts(), [telling.begin()]);
        let mut sending = Box::pin(async {
            let sent = destination.send(&first).await;
            live.heard(&sent);
            sent.and(live.keep(&starts, &destination).await)
        });
        let built = {
            let recorder = Recorder::new(self, request, run, &live);
            let told = Some(&mut telling);
            let mut work = Box::pin(self.until_called_off(request, reviewer, told, &recorder));
            tokio::select! {
                built = &mut work => built,
                _ = &mut sending => unreachable!("steps are told of until it is closed"),
            }
        };
        live.close();
        let rest = async {
            let before = sending.await;
            let last = telling.end(&built, &live, self.world.now());
            before.and(destination.send(&last).await)
        };
        tokio::select! {
            sent = rest => warn(sent),
            // Who wants it to end does not wait for a server.
            () = after(LAST_WORDS), if built.as_ref().is_err_and(Error::is_stop) => {}
        }
        built
    }

    /// Carries the request out, unless it is called off or takes too long before it publishes; and writes down what it
    /// comes to.
    async fn until_called_off(
        &self,
        request: &BuildRequest,
        reviewer: Option<&dyn Reviewer>,
        telling: Option<&mut Telling>,
        recorder: &Recorder<'_>,
    ) -> Result<Built> {
        let mut limit = Box::pin(async {
            match request.time {
                // Waiting for another writer is no part of it.
                Some(most) => {
                    recorder.at_work().await;
                    after(most).await;
                }
                None => std::future::pending().await,
            }
        });
        let mut is_late = false;
        let mut carried = Box::pin(self.carry_out(request, reviewer, telling, recorder));
        let mut kept = Box::pin(recorder.keep());
        let mut called_off = recorder.called_off();
        let built = loop {
            tokio::select! {
                built = &mut carried => break built,
                () = &mut kept => unreachable!("notes are taken until they are closed"),
                stop = &mut called_off => {
                    if let Some(has_published) = recorder.may_stop() {
                        break Err(stop.error(has_published));
                    }
                    called_off = recorder.called_off();
                }
                () = &mut limit, if !is_late => is_late = true,
                () = recorder.moved(), if is_late => {}
            }
            if is_late && recorder.may_stop().is_some() {
                let what = format!("it took longer than {:?}", request.time.unwrap_or_default());
                break Err(Error::user("elt::schedule::timeout", what, "give it more time with `timeout`"));
            }
        };
        drop(carried);
        recorder.close();
        kept.await;
        recorder.conclude(&built).await;
        built
    }

    /// Where events of lineage go, and the first things to tell; nothing if nobody is to be told.
    fn telling(&self, request: &BuildRequest, run: &str) -> Result<Option<(Destination, Telling)>> {
        let Some((destination, jobs)) = self.lineage_listener(request.openlineage.clone())? else {
            return Ok(None);
        };
        Ok(Some((destination, Telling::new(self, run, request.purpose.word(), jobs))))
    }

    /// Tells whoever gathers lineage of a run whose process died, as `elt.yml` or the environment names them.
    pub(super) async fn tell_died(&self, run: &str, report: &serde_json::Value) {
        let Ok(Some((destination, jobs))) = self.lineage_listener(None) else { return };
        let telling = Telling::new(self, run, report["purpose"].as_str().unwrap_or("build"), jobs);
        if let Err(because) = destination.send(&telling.died(report, self.world.now())).await {
            tracing::warn!("events of lineage were not sent: {because}");
        }
    }

    /// Where events of lineage go, and the namespace of jobs if `elt.yml` says it; nothing if nobody is to be told.
    pub(super) fn lineage_listener(
        &self,
        asked: Option<String>,
    ) -> Result<Option<(Destination, Option<String>)>> {
        let env = &self.world.env;
        let is_off = env.get("OPENLINEAGE_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if is_off {
            return Ok(None);
        }
        let place = self.lineage_place()?;
        let said = env.get("OPENLINEAGE_URL").filter(|url| !url.is_empty()).cloned();
        let Some(url) = asked.or(said).or(place.url) else { return Ok(None) };
        let jobs = if env.contains_key("OPENLINEAGE_NAMESPACE") { None } else { place.namespace };
        Ok(Some((Destination::read(&url, &self.root, env)?, jobs)))
    }

    /// What `elt.yml` says of events of lineage.
    fn lineage_place(&self) -> Result<LineagePlace> {
        let text = self.users_text()?;
        let (vars, docs) = Default::default();
        let scope = RenderScope { vars: &vars, env: &self.world.env, target: None, docs: &docs };
        Ok(read_lineage_place(&SourceText::new(USERS_FILE, &text), &YamlRenderer::new(), &scope)?)
    }

    /// What was asked, of the build and of the project.
    fn arguments(&self, request: &BuildRequest) -> serde_json::Map<String, serde_json::Value> {
        let mut arguments = request.arguments();
        arguments.extend(self.project_arguments());
        arguments
    }

    /// What was asked about the project itself: its target, its profile and its vars.
    pub(super) fn project_arguments(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut arguments = serde_json::Map::new();
        if let Some(project) = &self.project {
            arguments.insert("target".into(), project.target.clone().into());
            arguments.insert("profile".into(), project.profile.clone().into());
            arguments.insert("vars".into(), project.vars.clone().into_iter().collect());
        }
        arguments
    }

    async fn carry_out(
        &self,
        request: &BuildRequest,
        reviewer: Option<&dyn Reviewer>,
        telling: Option<&mut Telling>,
        recorder: &Recorder<'_>,
    ) -> Result<Built> {
        let begun = Instant::now();
        let watch: &dyn Watch = recorder;
        let _lock = self.begin_writing_within(request.wait, "build", watch).await?;
        recorder.begins_work();
        let pins = self.pins().await?;
        let run = recorder.run().to_owned();
        let facts = self.facts_of(request, &pins, &run);
        let started = facts.run_started_at;
        let stamp = Stamp {
            run: run.clone(),
            started,
            at: started,
            command: facts.command.clone(),
            arguments: self.arguments(request),
            target: None,
            executed: BTreeSet::new(),
        };
        let Chosen { compiled, selected, environment } =
            Box::pin(self.chosen(request, &facts, &pins)).await?;
        let Compiled { project, manifest, warnings } = compiled;
        let stamp = Stamp { target: Some(study::shown_target(&project)), ..stamp };
        let nodes = selected.iter().map(|id| manifest.node(id));
        let nodes = nodes
            .filter(|node| node.is_made() && !node.is_ephemeral() || node.is_test())
            .map(build::node_facts);
        recorder
            .begin(project.target_path.clone(), project.target.name.clone(), &stamp, nodes.collect())
            .await;
        manifest.messages.iter().cloned().for_each(|message| watch.on(Event::Said(message)));
        if let Err(error) = build::write_compiled(&project.target_path, &manifest) {
            watch.on(Event::Note(format!("the compiled SQL was not written: {error}")));
        }
        manifest.late().set_selected(&selected);
        let (scope, landed, reports) = match request.purpose {
            Purpose::Build | Purpose::Run => {
                Box::pin(self.land_sources(
                    &pins,
                    &manifest,
                    &selected,
                    Look::new(false, &environment),
                    watch,
                ))
                .await?
            }
            _ => (self.scope_of(pins.clone()), BTreeMap::new(), Vec::new()),
        };
        let (mut memory, later) = self.memory().await?;
        memory.extend(later.clone());
        let forgotten = forgotten(&memory, &manifest, &self.default_schema);
        let versions = landed.values().flatten();
        let of_batches = match request.is_of_a_stretch() {
            true => batches_remembered(&memory, &manifest, &self.default_schema),
            false => Memory::new(),
        };
        let plan = build::due(Wanted {
            manifest: &manifest,
            selected: &selected,
            asked: request.asked(),
            scope: &scope,
            landed: versions.map(|change| (change.table().clone(), change.seen_at())).collect(),
            memory,
            default_schema: &self.default_schema,
        })
        .await;
        let mut up_to_date: Vec<String> =
            plan.up_to_date.iter().map(|step| manifest.node(&step.node).shown()).collect();
        let pointers = match &environment {
            Some(environment) => environment.pointers(self, &manifest, &pins).await?,
            None => BTreeMap::new(),
        };
        if let Some(environment) = &environment {
            up_to_date.extend(environment.reused.keys().map(|id| manifest.node(id).shown()));
            environment.told().into_iter().for_each(|told| watch.on(Event::Note(told)));
        }
        let is_nothing = plan.steps.is_empty() && landed.is_empty() && pointers.is_empty();
        let (started_with, mut operations) = match is_nothing {
            true => (None, Default::default()),
            false => {
                let started =
                    Box::pin(self.hooks_of_start(&manifest, scope.clone(), &selected, watch)).await?;
                (Some(started.0), (started.1, Vec::new()))
            }
        };
        let threads = request.threads.or(project.target.threads).unwrap_or_else(cores);
        let told = build::run_facts(&manifest, &plan, &project.target.name, threads, &stamp);
        watch.on(Event::Begun(Box::new(told)));
        let portions = Portions::new(self, &run, &pins, &scope).paced(request.pace);
        let inputs = Inputs {
            manifest: &manifest,
            plan: &plan,
            scope: started_with.as_ref().map_or(scope, |started| started.scope.clone()),
            landed,
            default_schema: &self.default_schema,
            threads,
            publish: request.publish,
            started,
            fail_fast: request.fail_fast,
            warnings_fail: self.strictness.is_mistake("elt::test"),
            publisher: Some(&portions),
        };
        let all_or_nothing = request.publish == PublishMode::All;
        let mut done = match &started_with {
            None => build::BuildRun::default(),
            Some(_) => Box::pin(build::run(inputs, watch)).await,
        };
        let is_well = done.is_well();
        let before = pins.release;
        let out = portions.conclude()?;
        let pins = out.pins;
        if request.is_partial() {
            done.learnt.clear();
        } else if request.is_of_a_stretch() {
            // What was due of a model that is made in batches is due still.
            let is_in_batches = |node: &&compile::Node| node.window().is_some();
            for node in manifest.nodes.values().filter(is_in_batches) {
                let name = build::remembered_as(node, &self.default_schema);
                if done.learnt.remove(&name).is_some() {
                    done.learnt.extend(of_batches.get(&name).map(|basis| (name, basis.clone())));
                }
            }
        }
        let mut found_out = release::completed(done.learnt.clone(), &pins);
        let (mut difference, mut is_withdrawn) = (None, false);
        let published = match started_with {
            None => Published::Nothing,
            Some(started_with) => {
                let hooks = RunEnd { manifest: &manifest, selected: &selected, pins: &pins, stamp: &stamp };
                operations.1 = Box::pin(self.hooks_around(hooks, started_with, &mut done, watch)).await?;
                if is_well || !all_or_nothing {
                    // What was read of production is what the pointers point to, once they are moved.
                    for basis in done.learnt.values_mut() {
                        let names = basis.tables.keys().chain(basis.views.keys());
                        let moved: Vec<TableName> =
                            names.filter(|name| pointers.contains_key(*name)).cloned().collect();
                        for name in moved {
                            // It may have been a table of the environment's own until now.
                            basis.tables.remove(&name);
                            basis.views.insert(name.clone(), release::mark(&pointers[&name]));
                        }
                    }
                    done.views.extend(pointers);
                }
                if let Some(reviewer) = reviewer.filter(|_| is_well || !all_or_nothing) {
                    let found = self
                        .difference_of(&pins, &manifest, (&done.changes, &done.views), reviewer.limit())
                        .await?;
                    let is_wanted = found.is_nothing() || reviewer.is_wanted(&found).await;
                    if !is_wanted {
                        done.withdraw("it was not wanted");
                    }
                    (difference, is_withdrawn) = (Some(found), !is_wanted);
                }
                if let Some(telling) = telling {
                    Box::pin(telling.note(self, &manifest, &pins, &done, &reports)).await;
                }
                watch.on(Event::Publishing);
                if is_withdrawn {
                    found_out.clear();
                }
                let learnt = std::mem::take(&mut done.learnt);
                let later = if is_withdrawn { Memory::new() } else { later };
                let proposal = Proposal {
                    base: pins,
                    read: out.read,
                    accepted: BTreeMap::new(),
                    kind: ReleaseKind::Build,
                    run: run.clone(),
                    changes: std::mem::take(&mut done.changes),
                    views: std::mem::take(&mut done.views),
                    learnt: Learnt { bases: later.into_iter().chain(learnt).collect(), forgotten },
                    goal: Goal::Keep,
                };
                match is_withdrawn {
                    true => Published::Nothing,
                    false => release::publish(&self.tables, &self.world, proposal).await?,
                }
            }
        };
        self.sweep(&done.scratch).await;
        let mut stamp = Stamp { at: self.world.now(), ..stamp };
        stamp.arguments.insert("withdrawn".into(), is_withdrawn.into());
        stamp.arguments.insert("published".into(), (!is_withdrawn && (!all_or_nothing || is_well)).into());
        let executed = done.executed.iter().filter(|(_, statements)| !statements.is_empty());
        stamp.executed = executed.map(|(id, _)| id.clone()).collect();
        let results = build::run_results(&done.steps, &manifest, &done.late, &stamp);
        let results = build::with_operations(results, &operations.0, &operations.1);
        let target = &project.target_path;
        recorder.leave_results();
        let written = build::write_late(target, &manifest, &done.late)
            .and_then(|()| build::write_run(target, &manifest, &done.executed))
            .and_then(|()| self.write_project(target, &manifest, &done.late, &stamp))
            .and_then(|()| self.write_artifact(target, "run_results.json", &results));
        if let Err(error) = written {
            watch.on(Event::Note(format!("the artifacts were not written: {error}")));
        }
        // What was found out is in the last release, or nowhere yet.
        let is_remembered = matches!(published, Published::Release(_));
        let mut releases = out.releases;
        releases.extend(released(published));
        if let Some(last) = releases.last() {
            let tables = releases.iter().flat_map(|release| release.tables.iter().cloned());
            let all = Release { tables: tables.collect(), ..last.clone() };
            maintain::tell(&self.maintain_after(&all).await, watch);
        }
        let built = Built {
            purpose: request.purpose,
            run,
            warnings,
            landed: reports,
            held_back: done.held_back,
            steps: done.steps,
            up_to_date,
            first: releases.first().map(|release| release.number),
            release: releases.pop(),
            difference,
            is_withdrawn,
            before,
            took: begun.elapsed(),
        };
        let found_out = if is_remembered { Memory::new() } else { found_out };
        self.record(&built, &stamp, &project.target.name, request, found_out).await;
        Ok(built)
    }

    /// Deletes rows that were staged for a moment. What stays, stays unseen, and goes with the next run.
    pub(super) async fn sweep(&self, scratch: &[TableName]) {
        let lake = self.tables.lake();
        for name in scratch {
            let Ok(files) = lake.list(&layout::table(name)).await else { continue };
            for file in files {
                if let Err(error) = lake.store().delete(&file.location).await {
                    tracing::debug!("{} stays: {error}", file.location);
                }
            }
        }
    }

    /// Keeps the run's report in the lake, and what was found out if no release has it. What readers see does not
    /// depend on it.
    async fn record(
        &self,
        built: &Built,
        stamp: &Stamp,
        target: &str,
        request: &BuildRequest,
        found_out: Memory,
    ) {
        let steps: Vec<serde_json::Value> = built.steps.iter().map(step_json).collect();
        let status = match built.is_well() {
            true if built.is_withdrawn => "withdrawn",
            true => "success",
            false => "error",
        };
        let mut document = serde_json::json!({
            "run": built.run,
            "command": command_word(request, &stamp.command),
            "status": status,
            "started_at": stamp.started,
            "user": self.world.user,
            "host": self.world.host,
            "pid": self.world.pid,
            "purpose": request.purpose.word(),
            "target": target,
            "arguments": told_arguments(stamp),
            "release": built.release.as_ref().map(|release| release.number),
            "landed": built.landed,
            "results": steps,
            "up_to_date": built.up_to_date.len(),
            "elapsed_seconds": built.took.as_secs_f64(),
        });
        if let Some(scheduled) = &request.scheduled {
            document["scheduled"] = serde_json::json!(scheduled);
        }
        if !found_out.is_empty() {
            document["memory"] = serde_json::json!(found_out);
        }
        let bytes = serde_json::to_vec_pretty(&document).expect("reports are plain data");
        if let Err(error) = self.tables.lake().put(&layout::run(&built.run), bytes).await {
            tracing::warn!("the report of run {} was not kept: {error}", built.run);
        }
    }
}

/// What models that are made in batches were made from, without their own versions: they come to have others.
fn batches_remembered(memory: &Memory, manifest: &compile::Manifest, schema: &str) -> Memory {
    let nodes = manifest.nodes.values().filter(|node| node.window().is_some());
    let known = nodes.filter_map(|node| {
        let name = build::remembered_as(node, schema);
        let mut basis = memory.get(&name)?.clone();
        basis.tables.retain(|table, _| Some(table) != node.relation.as_ref());
        Some((name, basis))
    });
    known.collect()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).max(2)
}
