//! What is really in the tables and views of a project?

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{Lakehouse, NodeId, Studied, StudyRequest};
use crate::base::{Result, sql_type_name};
use crate::build;

/// What a catalog was made of.
#[derive(Debug)]
pub struct Documented {
    /// How many tables and views it has.
    pub count: usize,
    /// Where `catalog.json` is.
    pub path: PathBuf,
}

impl Lakehouse {
    /// Writes `catalog.json` of a compiled project: the columns that everything readable that was picked really has,
    /// or of nothing.
    pub async fn document(&self, studied: &Studied, is_empty: bool) -> Result<Documented> {
        let session = self.session().await?;
        let names: BTreeMap<_, _> = session.scope().names().into_iter().collect();
        let picked: BTreeSet<&NodeId> = studied.picked.iter().filter(|_| !is_empty).collect();
        let mut found = BTreeMap::new();
        for id in picked {
            let node = studied.node(id);
            let Some((name, is_view)) =
                node.relation.as_ref().and_then(|name| Some((name, *names.get(name)?)))
            else {
                continue;
            };
            let schema =
                session.check(&format!("select * from \"{}\".\"{}\"", name.schema(), name.table())).await?;
            let column =
                |field: &arrow::datatypes::FieldRef| (field.name().clone(), sql_type_name(field.data_type()));
            found.insert(id.clone(), (is_view, schema.fields().iter().map(column).collect()));
        }
        let stamp = self.stamp(&self.run_id(), "generate");
        let catalog = build::catalog(&studied.compiled.manifest, &found, &stamp);
        let target = &studied.compiled.project.target_path;
        self.write_artifact(target, "catalog.json", &catalog).map_err(|error| self.not_written(&error))?;
        Ok(Documented { count: found.len(), path: target.join("catalog.json") })
    }

    /// The project without its nodes' SQL, for who documents what was compiled before.
    pub async fn picked(&self, request: &StudyRequest) -> Result<Studied> {
        let (compiled, selected) = self.select(&request.select, &request.exclude, &request.earlier).await?;
        let is_picked = |id: &NodeId| {
            selected.contains(id) && request.kinds.take(compiled.manifest.node(id).resource_type())
        };
        let picked = compiled.manifest.order().into_iter().filter(is_picked).collect();
        Ok(Studied::of(compiled, picked))
    }
}
