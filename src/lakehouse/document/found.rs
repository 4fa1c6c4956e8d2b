//! What does the lake have of each node?

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use futures::{FutureExt, StreamExt};

use super::super::{NodeId, Session, Studied};
use crate::base::{Result, TableName};
use crate::query::{Lineage, maker};

/// Tables and views that are looked at at once.
const AT_ONCE: usize = 16;

/// What readers see of a node.
#[derive(Debug)]
pub(super) struct Found {
    /// Whether it is a view.
    pub(super) is_view: bool,
    /// Its columns.
    pub(super) schema: SchemaRef,
    /// Where its columns come from, as far as that is known.
    pub(super) lineage: Lineage,
    /// Of a table, how large it is.
    pub(super) size: Option<Size>,
}

/// How large a table is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Its version.
    pub(super) version: u64,
    /// Its rows, if its files say.
    pub(super) rows: Option<u64>,
    /// Its data files.
    pub(super) files: usize,
    /// Their bytes.
    pub(super) bytes: u64,
}

/// Looks at every picked node that readers can read, as many at once as there are threads.
///
/// Of a table this takes its log, and its newest commits for where its columns come from; a view is planned.
pub(super) async fn found(session: &Session, studied: &Studied) -> Result<BTreeMap<NodeId, Found>> {
    let names: BTreeMap<_, _> = session.scope().names().into_iter().collect();
    let readable = studied.picked.iter().filter_map(|id| {
        let name = studied.node(id).relation.as_ref()?;
        Some((id.clone(), name.clone(), *names.get(name)?))
    });
    let readable: Vec<_> = readable.collect();
    let looks = readable.into_iter().map(|(id, name, is_view)| {
        let session = session.clone();
        let look = async move {
            match is_view {
                true => view(&session, &name).await,
                false => table(&session, &name).await,
            }
        };
        SpawnedTask::spawn(look).join_unwind().map(|found| (id, found))
    });
    let mut found = BTreeMap::new();
    let mut looks = futures::stream::iter(looks).buffered(AT_ONCE);
    while let Some((id, look)) = looks.next().await {
        // A task that nobody has stopped ends, or its panic goes on here.
        found.insert(id, look.expect("the task is not stopped")?);
    }
    Ok(found)
}

async fn view(session: &Session, name: &TableName) -> Result<Found> {
    let (schema, lineage) = match session.scope().pins().views.get(name) {
        Some(view) => Box::pin(session.trace(&view.sql)).await?,
        None => (Box::pin(session.check(&all_of(name))).await?, Lineage::default()),
    };
    Ok(Found { is_view: true, schema, lineage, size: None })
}

async fn table(session: &Session, name: &TableName) -> Result<Found> {
    let scope = session.scope();
    let Some(version) = scope.pins().tables.get(name) else {
        let schema = Box::pin(session.check(&all_of(name))).await?;
        return Ok(Found { is_view: false, schema, lineage: Lineage::default(), size: None });
    };
    let snapshot = scope.tables().snapshot(name, *version).await?;
    let bytes = snapshot.files().iter().map(|file| file.size()).sum();
    let size = Size { version: version.0, rows: snapshot.rows(), files: snapshot.files().len(), bytes };
    let made = maker(scope.tables(), name, *version).await?;
    let lineage = made.and_then(|made| made.of).map(|of| of.lineage).unwrap_or_default();
    Ok(Found { is_view: false, schema: Arc::clone(snapshot.schema()), lineage, size: Some(size) })
}

fn all_of(name: &TableName) -> String {
    format!("select * from \"{}\".\"{}\"", name.schema(), name.table())
}
