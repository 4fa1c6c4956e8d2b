//! Is the whole project right, before anything of it is built?

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::sources::declared_request;
use super::{Lakehouse, Manifest, NodeId, NodeKind, Studied};
use crate::base::{Diagnostic, Result, TableName};
use crate::build::{self, Ground};
use crate::compile::{self, Facts};
use crate::landing;
use crate::query::Scope;

/// What was found out about a project by planning it.
#[derive(Debug)]
pub struct Checked {
    /// How many nodes are right.
    pub well: usize,
    /// What is wrong with the nodes that were picked.
    pub mistakes: Vec<(NodeId, Diagnostic)>,
    /// Picked nodes about which nothing can be said, with why.
    pub not_checked: Vec<(NodeId, String)>,
    /// The columns of every node, and where they come from: what `column_lineage.json` holds.
    pub lineage: Value,
}

impl Lakehouse {
    /// Plans every node of a compiled project, and writes `column_lineage.json` below the target path.
    ///
    /// Nothing is built and no table is read. The columns of a source that is not there yet are those of its files, or
    /// those that its properties declare with their types. Mistakes are told of the nodes that were picked.
    ///
    /// # Errors
    /// If the lake, or a file of a source, cannot be read; not what is wrong with the project.
    pub async fn check(&self, studied: &Studied) -> Result<Checked> {
        let pins = self.pins().await?;
        // Templates may say something else while they are only compiled.
        let facts = Facts { command: "build".to_owned(), ..self.facts(&pins, &self.world.id()) };
        let built = compile::compile(&studied.compiled.project, &facts).0;
        let is_deferred = studied.is_deferred;
        let manifest = if is_deferred { &studied.compiled.manifest } else { &built };
        let scope = self.scope_of(pins);
        let ground = Ground {
            manifest,
            sources: self.sources_to_come(manifest, &scope).await?,
            scope,
            default_schema: &self.default_schema,
            now: self.world.now(),
        };
        let checked = Box::pin(build::check(ground)).await;
        let lineage = checked.column_lineage(manifest, &self.stamp(&self.world.id(), "compile"));
        // Where the other artifacts could not be written, that was told.
        if studied.not_written.is_none() {
            build::write_artifact(&studied.compiled.project.target_path, "column_lineage.json", &lineage)
                .map_err(|error| self.not_written(&error))?;
        }
        let is_picked = |id: &NodeId| studied.picked.contains(id);
        Ok(Checked {
            well: checked.well,
            mistakes: checked.mistakes.into_iter().filter(|(id, _)| is_picked(id)).collect(),
            not_checked: checked.not_checked.into_iter().filter(|(id, _)| is_picked(id)).collect(),
            lineage,
        })
    }

    /// The columns of sources whose files were never landed.
    async fn sources_to_come(
        &self,
        manifest: &Manifest,
        scope: &Scope,
    ) -> Result<BTreeMap<TableName, arrow::datatypes::SchemaRef>> {
        let mut columns = BTreeMap::new();
        for node in manifest.nodes.values() {
            let (NodeKind::Source(source), Some(name)) = (&node.kind, &node.relation) else { continue };
            if scope.has(name) || source.landing.is_none() {
                continue;
            }
            let request = declared_request(&self.root, node, source, Some(&[]))?;
            if let Some(schema) = landing::foresee(request).await? {
                columns.insert(name.clone(), schema);
            }
        }
        Ok(columns)
    }
}

impl Checked {
    /// All of it, for programs.
    pub fn to_json(&self) -> Value {
        let mistake = |(id, mistake): &(NodeId, Diagnostic)| {
            json!({
                "unique_id": id.as_str(), "code": mistake.stable_code(), "message": mistake.message(),
                "place": mistake.place(), "help": mistake.help_text(),
            })
        };
        let left = |(id, because): &(NodeId, String)| json!({"unique_id": id.as_str(), "because": because});
        json!({
            "well": self.well,
            "mistakes": self.mistakes.iter().map(mistake).collect::<Vec<_>>(),
            "not_checked": self.not_checked.iter().map(left).collect::<Vec<_>>(),
            "nodes": self.lineage["nodes"],
        })
    }
}
