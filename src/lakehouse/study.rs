//! The verbs that make nothing: compile, show, and what else there is to know of a project before anything is made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{
    Compiled, Defer, Earlier, GoesOn, Kinds, Lakehouse, Node, NodeId, NodeKind, Outcome, PublishMode,
    Selector, Session,
};
use crate::base::{Diagnostic, Error, Message, ReleaseNumber, Result, SourceText, Watch};
use crate::build::{self, Stamp};
use crate::compile::{self, Stretch};
use crate::lake::layout;
use crate::project::Analysis;
use crate::query::Limits;
use crate::release::{self, Pins, Release};

/// The name of a query that is given on the command line.
pub const INLINE: &str = "inline_query";

/// What the last run left.
#[derive(Clone, Debug, Default)]
pub struct Unfinished {
    /// Its verb: `build`, `run` …
    pub command: String,
    /// The nodes to build again.
    pub nodes: BTreeSet<String>,
    /// Of microbatch models, the batches to build again.
    pub batches: BTreeMap<String, Vec<Stretch>>,
    /// What it was asked, as `run_results.json` has it in `args`.
    pub arguments: serde_json::Value,
    /// The same as far as it says which nodes were meant, and what failed.
    pub goes_on: GoesOn,
}

/// What of a project is compiled and looked at.
#[derive(Clone, Debug, Default)]
pub struct StudyRequest {
    /// Only these nodes and what their selectors add; all if empty.
    pub select: Vec<Selector>,
    /// Not these.
    pub exclude: Vec<Selector>,
    /// Only nodes of these kinds.
    pub kinds: Kinds,
    /// What `state:` and `result:` compare with.
    pub earlier: Earlier,
    /// A query with Jinja that is compiled besides, and then is the only node picked.
    pub inline: Option<String>,
    /// The state in which names mean what they are there.
    pub defer: Option<Defer>,
}

/// A compiled project, with the nodes that were picked and the SQL of those that read the lake.
#[derive(Debug)]
pub struct Studied {
    /// The project.
    pub compiled: Compiled,
    /// The nodes that were picked, in an order in which parents come first.
    pub picked: Vec<NodeId>,
    /// Nodes whose templates read the lake, compiled for what readers see now.
    pub late: BTreeMap<NodeId, Node>,
    /// What templates said.
    pub messages: Vec<Message>,
    /// Nodes whose templates read the lake and could not be compiled, with why.
    pub not_compiled: Vec<(String, Diagnostic)>,
    /// That the artifacts could not be written; it is one of the warnings too.
    pub not_written: Option<Diagnostic>,
    /// Whether names mean what they are in another state.
    pub(super) is_deferred: bool,
}

impl Studied {
    /// A compiled project of which these nodes were picked; what reads the lake is left out.
    pub(super) fn of(compiled: Compiled, picked: Vec<NodeId>) -> Self {
        let messages = compiled.manifest.messages.clone();
        Self {
            compiled,
            picked,
            late: BTreeMap::new(),
            messages,
            not_compiled: Vec::new(),
            not_written: None,
            is_deferred: false,
        }
    }

    /// A node, with its SQL if that is known.
    pub fn node(&self, id: &NodeId) -> &Node {
        self.late.get(id).unwrap_or_else(|| self.compiled.manifest.node(id))
    }
}

impl Lakehouse {
    /// Compiles the project, picks nodes, and writes `manifest.json` and the SQL of every node, if they can be written.
    ///
    /// Templates that read the lake see the newest release.
    ///
    /// # Errors
    /// All mistakes of the project at once.
    pub async fn study(&self, request: &StudyRequest) -> Result<Studied> {
        let StudyRequest { select: include, exclude, kinds, earlier, inline, defer } = request;
        let began = self.world.now();
        let (pins, run) = (self.pins().await?, self.run_id());
        let facts = self.facts(&pins, &run);
        let clock = Instant::now();
        let (mut project, mut found) = self.load()?;
        let read = clock.elapsed();
        if let Some(sql) = inline {
            project.analyses.push(Analysis {
                name: INLINE.to_owned(),
                package: project.name.clone(),
                source_text: SourceText::new("inline", sql),
                fqn: vec![project.name.clone(), INLINE.to_owned()],
            });
        }
        let (mut manifest, more) = compile::compile(&project, &facts);
        let parsed = clock.elapsed() - read;
        found.extend(more);
        found = self.judged(found)?;
        if let Some(defer) = defer {
            // Nothing is built here: all that is read may be the other state's.
            let deferred = defer.elsewhere(&manifest, &BTreeSet::new(), &pins);
            manifest = compile::compile(&project, &compile::Facts { deferred, ..facts }).0;
        }
        let selected = match inline {
            Some(_) => manifest.nodes.values().filter(|n| n.name == INLINE).map(|n| n.id.clone()).collect(),
            None => {
                let earlier = self.compared(earlier, &project);
                let (facts, selectors) = (self.facts(&pins, &run), include.iter().chain(exclude));
                let production = project.target.production.as_deref();
                let earlier =
                    Box::pin(self.against_release(earlier, production, &facts, &pins, selectors)).await?;
                let selected = compile::select(&manifest, include, exclude, &earlier)?;
                found.extend(self.judged(compile::unmatched(&manifest, include, exclude, &earlier))?);
                selected
            }
        };
        manifest.late().set_selected(&selected);
        let session = Session::new(self.scope_of(pins), &self.default_schema, Limits::default());
        let mut messages = manifest.messages.clone();
        let (mut late, mut not_compiled) = (BTreeMap::new(), Vec::new());
        for node in manifest.nodes.values().filter(|node| node.is_late && selected.contains(&node.id)) {
            match build::compile_late(&manifest, node, &session).await {
                Ok((node, said)) => {
                    messages.extend(said);
                    late.insert(node.id.clone(), node);
                }
                Err(error) => {
                    let why = Diagnostic::error("elt::not_compiled", error.to_string()).at(&node.at, "here");
                    not_compiled.push((node.name.clone(), why));
                }
            }
        }
        let stamp = self.stamp_in(&project, &run, "compile");
        let target = &project.target_path;
        let written = build::write_compiled(target, &manifest)
            .and_then(|()| build::write_late(target, &manifest, &late))
            .and_then(|()| self.write_project(target, &manifest, &late, &stamp))
            .and_then(|()| {
                let perf = build::perf_info(&manifest, read, parsed, !self.reads_all);
                self.write_artifact(target, "perf_info.json", &perf)
            });
        // Whoever only looks does not need them.
        let not_written = written.err().map(|error| {
            let what = format!("the artifacts cannot be written: {error}");
            Diagnostic::warning("elt::artifacts", what).help("make the target path writable")
        });
        found.extend(not_written.clone());
        let is_picked = |id: &NodeId| selected.contains(id) && kinds.take(manifest.node(id).resource_type());
        let picked = manifest.order().into_iter().filter(is_picked).collect();
        let compiled = Compiled { project, manifest, warnings: found };
        // What reads the lake is compiled for this very moment, and what was asked for besides is not in the files.
        if include.is_empty()
            && exclude.is_empty()
            && inline.is_none()
            && defer.is_none()
            && late.is_empty()
            && not_compiled.is_empty()
            && not_written.is_none()
        {
            self.remember(&compiled, began, true).await?;
        }
        let is_deferred = defer.is_some();
        Ok(Studied { compiled, picked, late, messages, not_compiled, not_written, is_deferred })
    }

    /// The entries that `manifest.json` of a compiled project has of some nodes and documents, by their ids.
    pub fn entries_of<'a>(
        &self,
        compiled: &Compiled,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Vec<serde_json::Value> {
        let (stamp, late) = (self.stamp(&self.run_id(), "list"), BTreeMap::new());
        let file = build::manifest_json(&compiled.manifest, &late, &stamp);
        ids.into_iter().filter_map(|id| file.entry(id)).collect()
    }

    /// Writes what tells of the project as a whole: `manifest.json`, `semantic_manifest.json`, `graph_summary.json`.
    pub(super) fn write_project(
        &self,
        target: &std::path::Path,
        manifest: &compile::Manifest,
        late: &BTreeMap<NodeId, Node>,
        stamp: &Stamp,
    ) -> std::io::Result<()> {
        self.write_artifact(target, "manifest.json", &build::manifest_json(manifest, late, stamp))?;
        self.write_artifact(target, "semantic_manifest.json", &build::semantic_manifest(manifest, stamp))?;
        self.write_artifact(target, "graph_summary.json", &build::graph_summary(manifest, stamp))
    }

    /// What a selection compares with, and what it is compared with: the newest look at the sources of this project, the
    /// manifest as it would be.
    pub(super) fn compared(&self, earlier: &Earlier, project: &crate::project::Project) -> Earlier {
        let read = || {
            let bytes = std::fs::read(project.target_path.join("sources.json")).ok()?;
            serde_json::from_slice(&bytes).ok()
        };
        Earlier {
            sources_now: earlier.sources.as_ref().and_then(|_| read()),
            entry: Some(build::manifest_entry),
            ..earlier.clone()
        }
    }

    pub(super) fn not_written(&self, error: &std::io::Error) -> Error {
        Error::user(
            "elt::artifacts",
            format!("the artifacts cannot be written: {error}"),
            "make the target path writable",
        )
    }

    pub(super) fn stamp(&self, run: &str, command: &str) -> Stamp {
        let now = self.world.now();
        Stamp {
            run: run.to_owned(),
            started: now,
            at: now,
            command: command.to_owned(),
            arguments: serde_json::Map::new(),
            target: None,
            executed: BTreeSet::new(),
        }
    }

    /// The same for artifacts of a project that name files below the folder of artifacts.
    pub(super) fn stamp_in(&self, project: &crate::project::Project, run: &str, command: &str) -> Stamp {
        Stamp { target: Some(shown_target(project)), ..self.stamp(run, command) }
    }

    /// The first rows of what a node would give, or all of them, and the statement that asks for them.
    ///
    /// # Errors
    /// If the node has no query, or its query is wrong.
    pub async fn show(&self, node: &Node, limit: Option<u64>) -> Result<(Outcome, String)> {
        let sql = match (&node.kind, &node.relation) {
            (NodeKind::Seed(_) | NodeKind::Source(_), Some(name)) => format!("select * from {name}"),
            _ => node.sql.clone(),
        };
        if sql.trim().is_empty() {
            let what = format!("`{}` has no query to show", node.name);
            return Err(Diagnostic::error("elt::show", what).at(&node.at, "here").into());
        }
        let limit = limit.map(|limit| format!(" limit {limit}")).unwrap_or_default();
        let asked = format!("select * from (\n{sql}\n) as shown{limit}");
        let session = self.session().await?;
        let outcome = Box::pin(session.query(&asked)).await?;
        Ok((outcome, asked))
    }

    /// The nodes to run again: what the last run left failed or skipped, all of it if it published nothing. Of a run that
    /// did not come to its end that is also what it did not come to, and not what its releases have published, whatever it
    /// could still write down of it. Nothing if it left nothing.
    ///
    /// Takes the writer's place for a moment, to finish what the run may have left half published.
    ///
    /// # Errors
    /// If there is no last run, or nobody wanted what it made; if another process is writing to the lake for longer than
    /// `patience`.
    pub async fn unfinished(&self, patience: Duration, watch: &dyn Watch) -> Result<Option<Unfinished>> {
        let project = self.load()?.0;
        let path = project.target_path.join("run_results.json");
        let read = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
        let results = match read {
            Some(results) => Some(results),
            None => self.last_report(&project.target.name).await?,
        };
        let Some(results) = results else {
            return Err(Error::user(
                "elt::retry",
                format!(
                    "there is no run to go on with: {} is not there, and the lake has no report of a run for `{}`",
                    path.display(),
                    project.target.name
                ),
                "run `elt build` first",
            ));
        };
        drop(self.begin_writing_within(patience, "retry", watch).await?);
        let (run, since) =
            (&results["metadata"]["invocation_id"], &results["metadata"]["invocation_started_at"]);
        let since = since.as_str().and_then(crate::base::parse_instant).unwrap_or_default();
        let out = release::of_run(self.tables.lake(), run.as_str().unwrap_or_default(), since).await?;
        let moved = self.moved_by(&out).await?;
        let published = results["args"]["published"].as_bool().unwrap_or(false) || !out.is_empty();
        let bad = |status: &str| matches!(status, "error" | "fail" | "skipped" | "partial success");
        let all: Vec<(&str, &str)> = results["results"]
            .as_array()
            .into_iter()
            .flatten()
            // What was made when the run died, and is out by now, is done.
            .filter(|one| {
                one["status"] != "skipped"
                    || one["relation_name"].as_str().is_none_or(|name| !moved.contains(name))
            })
            .filter_map(|one| Some((one["unique_id"].as_str()?, one["status"].as_str()?)))
            // Hooks go with the run that asks them.
            .filter(|(id, _)| !id.starts_with("operation."))
            .collect();
        if !all.iter().any(|(_, status)| bad(status)) {
            if results["args"]["withdrawn"] == true && !all.is_empty() {
                let command = results["args"]["which"].as_str().unwrap_or("build");
                let what = "the last run made all that it was asked for, and nothing of it was published, because nobody wanted it";
                let help = format!(
                    "`elt {command} --diff` makes it and asks again; `elt {command} --diff --yes` publishes it"
                );
                return Err(Error::user("elt::retry", what, help));
            }
            // One that died while it published has made all of it, and readers see nothing of it.
            if published || results["args"]["published"] != false || all.is_empty() {
                return Ok(None);
            }
        }
        let failed = all.iter().filter(|(_, status)| bad(status)).map(|(id, _)| (*id).to_owned()).collect();
        let again = all.iter().filter(|(_, status)| bad(status) || !published);
        let nodes: BTreeSet<String> = again.map(|(id, _)| (*id).to_owned()).collect();
        let entries = results["results"].as_array().into_iter().flatten();
        // What a run did not publish has to be built whole again.
        let batches = entries.filter(|_| published).filter_map(|one| {
            let instant = |at: &serde_json::Value| crate::base::parse_instant(at.as_str()?);
            let failed = one["batch_results"]["failed"].as_array()?.iter();
            let failed: Vec<_> = failed.filter_map(|of| Some((instant(&of[0])?, instant(&of[1])?))).collect();
            (!failed.is_empty()).then(|| Some((one["unique_id"].as_str()?.to_owned(), failed)))?
        });
        Ok(Some(Unfinished {
            command: results["args"]["which"].as_str().unwrap_or("build").to_owned(),
            nodes,
            batches: batches.collect(),
            arguments: results["args"].clone(),
            goes_on: GoesOn::read(&results["args"], failed),
        }))
    }

    /// What the report of the last run of a target says, in the form of `run_results.json`: whoever goes on from it may be
    /// somewhere else, or have no artifacts any more.
    ///
    /// # Errors
    /// The run was given vars, of which reports have only the names, and nobody gives them now.
    async fn last_report(&self, target: &str) -> Result<Option<serde_json::Value>> {
        let lake = self.tables.lake();
        let mut listed = lake.list(&layout::RUNS.into()).await?;
        listed.extend(lake.list(&layout::RUNNING.into()).await?);
        listed.sort_by_key(|report| std::cmp::Reverse(report.last_modified));
        for report in listed {
            let report: Option<serde_json::Value> = lake.read_json(&report.location).await?;
            let Some(report) = report.filter(|report| report["target"] == target) else { continue };
            let Some(purpose) = report["purpose"].as_str() else { continue };
            let names: Vec<&str> = report["arguments"]["var_names"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|name| name.as_str())
                .collect();
            if !names.is_empty() && self.project.as_ref().is_some_and(|project| project.vars.is_empty()) {
                let what = format!(
                    "the last run was given vars of which the lake has only the names: {}",
                    names.join(", ")
                );
                let help = format!("give them again: `elt retry --vars '{{{}: …}}'`", names[0]);
                return Err(Error::user("elt::retry", what, help));
            }
            let steps = report["results"].as_array().into_iter().flatten();
            let known = steps.map(|step| {
                serde_json::json!({
                    "unique_id": step["unique_id"], "status": step["status"], "relation_name": step["relation"],
                    "batch_results": step["batches"],
                })
            });
            let left = report["left"].as_array().into_iter().flatten();
            let left = left.map(|id| serde_json::json!({"unique_id": id, "status": "skipped"}));
            let results: Vec<serde_json::Value> = known.chain(left).collect();
            let mut arguments = report["arguments"].clone();
            if !arguments.is_object() {
                arguments = serde_json::json!({});
            }
            arguments["which"] = purpose.into();
            if arguments["published"].is_null() {
                arguments["published"] = (report["publish"] == PublishMode::Each.word()).into();
            }
            return Ok(Some(serde_json::json!({
                "metadata": {"invocation_id": report["run"], "invocation_started_at": report["started_at"]},
                "args": arguments,
                "results": results,
            })));
        }
        Ok(None)
    }

    /// The tables and views that the releases of a run have moved, as reports name them.
    async fn moved_by(&self, out: &[Release]) -> Result<BTreeSet<String>> {
        let mut moved = BTreeSet::new();
        let (Some(last), Some(first)) = (out.first(), out.last()) else { return Ok(moved) };
        moved.extend(out.iter().flat_map(|release| &release.tables).map(|one| build::quoted(&one.table)));
        let before = match first.number.0.checked_sub(1).filter(|number| *number > 0) {
            Some(number) => release::release(self.tables.lake(), ReleaseNumber(number)).await?.pins,
            None => Pins::default(),
        };
        let views = last.pins.views.iter().filter(|(name, view)| before.views.get(*name) != Some(*view));
        moved.extend(views.map(|(name, _)| build::quoted(name)));
        Ok(moved)
    }
}

/// The folder of artifacts, relative to the project if it is in it.
pub(super) fn shown_target(project: &crate::project::Project) -> String {
    let target = &project.target_path;
    target.strip_prefix(&project.root).unwrap_or(target).display().to_string()
}
