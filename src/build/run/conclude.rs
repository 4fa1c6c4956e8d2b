//! What of a run may be published?
//!
//! All of it or nothing; or what is well, and everything that it was made from is; or, of what is not out yet, all that
//! was made. A view that is not published goes on showing what it showed, unless the run publishes piece by piece.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{BuildRun, PublishMode, State, goes_on_without};
use crate::base::TableName;
use crate::build::basis::learnt;
use crate::build::graph::solid_parents;
use crate::build::materialize::Made;
use crate::build::plan::Action;
use crate::build::report::{StepReport, Verdict, Visibility};
use crate::compile::{Materialization, NodeId, NodeKind};
use crate::release::Memory;
use crate::table::Change;

impl State<'_> {
    /// Decides what may be published.
    pub(super) fn conclude(mut self) -> BuildRun {
        let condemned = match self.inputs.publish {
            // What is made is out already, whatever becomes of others.
            PublishMode::Each => self.not_made(),
            PublishMode::All | PublishMode::Passing => self.condemned(),
        };
        let all_or_nothing = self.inputs.publish == PublishMode::All;
        let stop = self.reports.iter().find(|step| step.verdict.is_bad()).map(|step| step.name.clone());
        let why_not = |node: &NodeId| match (&stop, condemned.get(node)) {
            (_, Some(because)) => Some(because.clone()),
            (Some(name), None) if all_or_nothing => Some(format!("`{name}` failed")),
            _ => None,
        };
        for report in &mut self.reports {
            if !report.action.is_test() {
                report.visibility = match why_not(&report.node) {
                    Some(because) => Visibility::NotPublished { because },
                    None => Visibility::Published,
                };
            }
        }
        let mut run = BuildRun {
            steps: std::mem::take(&mut self.reports),
            changes: Vec::new(),
            views: BTreeMap::new(),
            held_back: BTreeMap::new(),
            late: std::mem::take(&mut self.late),
            executed: std::mem::take(&mut self.executed),
            learnt: Memory::new(),
            scratch: Vec::new(),
        };
        for step in &self.inputs.plan.steps {
            let is_staged = matches!(
                step.action,
                Action::TakeSnapshot | Action::ReplaceRows | Action::MergeRows | Action::AppendRows
            );
            let name = self.inputs.manifest.node(&step.node).relation.as_ref().filter(|_| is_staged);
            run.scratch.extend(name.and_then(|name| name.companion("elt_new").ok()));
            let node = self.inputs.manifest.node(&step.node);
            let name = node.relation.as_ref().filter(|_| !node.expectations.is_empty());
            run.scratch.extend(name.and_then(|name| name.companion("elt_rows").ok()));
            let apart = name.and_then(|name| name.companion("quarantine").ok());
            run.scratch.extend(apart.and_then(|apart| apart.companion("elt_new").ok()));
        }
        for (name, kept) in std::mem::take(&mut self.kept) {
            match kept {
                Made::Table(change) => run.changes.push(Arc::unwrap_or_clone(change)),
                Made::View(view) => drop(run.views.insert(name, view)),
            }
        }
        let unseen: BTreeSet<NodeId> = self.made.keys().filter(|id| why_not(id).is_some()).cloned().collect();
        for (name, (made, by)) in std::mem::take(&mut self.hooked) {
            // Their rows are of one table and cannot be told apart any more.
            if by.iter().any(|id| why_not(id).is_some()) {
                continue;
            }
            match made {
                Made::Table(change) => run.changes.push(Arc::unwrap_or_clone(change)),
                Made::View(view) => drop(run.views.insert(name, view)),
            }
        }
        for (id, made) in std::mem::take(&mut self.made) {
            if unseen.contains(&id) || self.out.nodes.contains(&id) {
                continue;
            }
            match made {
                Made::Table(change) => run.changes.push(Arc::unwrap_or_clone(change)),
                Made::View(view) => {
                    let name =
                        self.inputs.manifest.node(&id).relation.clone().expect("what is made has a name");
                    run.views.insert(name, view);
                }
            }
        }
        let sources =
            self.inputs.manifest.nodes.values().filter(|node| matches!(node.kind, NodeKind::Source(_)));
        let by_table: BTreeMap<&TableName, &NodeId> =
            sources.filter_map(|node| Some((node.relation.as_ref()?, &node.id))).collect();
        for (table, changes) in self.inputs.landed.iter().filter(|_| !self.out.has_landed) {
            match by_table
                .get(table)
                .and_then(|id| why_not(id))
                .or_else(|| stop.as_ref().filter(|_| all_or_nothing).map(|name| format!("`{name}` failed")))
            {
                Some(because) => drop(run.held_back.insert(table.clone(), because)),
                None => run.changes.extend(changes.iter().map(|change| Change::clone(change))),
            }
        }
        let bases = std::mem::take(&mut self.bases);
        let mut hidden: BTreeSet<TableName> = run.held_back.keys().cloned().collect();
        hidden.extend(run.held_back.keys().filter_map(|table| table.companion("rejected").ok()));
        let relations = unseen.iter().map(|id| self.inputs.manifest.node(id).relation.clone());
        hidden.extend(relations.flatten());
        run.learnt = learnt(self.inputs, bases, &self.ended, &hidden);
        run
    }

    /// What a view shows that this run has changed. A view that is not published must go on showing
    /// what it showed.
    fn moves_under(&self, node: &NodeId) -> Vec<NodeId> {
        let manifest = self.inputs.manifest;
        if manifest.node(node).materialization() != Some(&Materialization::View) {
            return Vec::new();
        }
        let moved = |parent: &NodeId| {
            let landed = manifest
                .node(parent)
                .relation
                .as_ref()
                .is_some_and(|name| self.inputs.landed.contains_key(name));
            landed || self.made.contains_key(parent)
        };
        solid_parents(manifest, node).into_iter().filter(moved).collect()
    }

    /// Nodes that could not be made, with why.
    fn not_made(&self) -> BTreeMap<NodeId, String> {
        let bad = self.reports.iter().filter(|report| !report.action.is_test());
        let because = |report: &StepReport| match &report.verdict {
            Verdict::Broken(_) => Some("it could not be built".to_owned()),
            Verdict::Skipped { because } => Some(format!("`{because}` failed")),
            _ => None,
        };
        bad.filter_map(|report| Some((report.node.clone(), because(report)?))).collect()
    }

    /// Nodes that must not be published on their own account or their ancestors', with why.
    fn condemned(&self) -> BTreeMap<NodeId, String> {
        let manifest = self.inputs.manifest;
        let mut condemned = BTreeMap::new();
        for report in self.reports.iter().filter(|report| report.verdict.is_bad()) {
            match &manifest.node(&report.node).kind {
                NodeKind::UnitTest(test) => {
                    condemned.insert(test.model.clone(), format!("the unit test `{}` failed", report.name));
                }
                NodeKind::Test(test) => {
                    if !matches!(report.verdict, Verdict::Skipped { .. }) {
                        let about = test.attached.clone().map_or_else(
                            || solid_parents(manifest, &report.node),
                            |node| BTreeSet::from([node]),
                        );
                        let because = format!("the test `{}` failed", report.name);
                        condemned.extend(about.into_iter().map(|node| (node, because.clone())));
                    }
                }
                // The batches that were made may be seen; what reads them may not.
                _ if matches!(report.verdict, Verdict::Partly(..)) => {
                    let because = format!("some batches of `{}` failed", report.name);
                    let below = manifest.descendants(&report.node);
                    condemned.extend(below.into_iter().map(|node| (node, because.clone())));
                }
                _ => {
                    let because = match &report.verdict {
                        Verdict::Skipped { because } => format!("`{because}` failed"),
                        _ => "it could not be built".to_owned(),
                    };
                    condemned.insert(report.node.clone(), because);
                }
            }
        }
        let mut open: Vec<NodeId> = condemned.keys().cloned().collect();
        while let Some(node) = open.pop() {
            let name = &manifest.node(&node).name;
            let is_alone = self.ended.get(&node).is_some_and(|how| goes_on_without(manifest, &node, how));
            for below in manifest.descendants(&node).into_iter().filter(|_| !is_alone) {
                if !condemned.contains_key(&below) {
                    condemned.insert(below.clone(), format!("`{name}` failed"));
                    open.push(below);
                }
            }
            for above in self.moves_under(&node) {
                if !condemned.contains_key(&above) {
                    condemned.insert(above.clone(), format!("the view `{name}` would show it"));
                    open.push(above);
                }
            }
        }
        condemned
    }
}
