//! What does the lake have of each node?

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use futures::{StreamExt, TryStreamExt};

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

/// Looks at every picked node that readers can read.
///
/// Of a table this takes its log, and its newest commits for where its columns come from; a view is planned.
pub(super) async fn found(session: &Session, studied: &Studied) -> Result<BTreeMap<NodeId, Found>> {
    let names: BTreeMap<_, _> = session.scope().names().into_iter().collect();
    let readable = studied.picked.iter().filter_map(|id| {
        let name = studied.node(id).relation.as_ref()?;
        Some((id.clone(), name.clone(), *names.get(name)?))
    });
    let readable: Vec<_> = readable.collect();
    let looks = readable.into_iter().map(|(id, name, is_view)| async move {
        let found = match is_view {
            true => view(session, &name).await?,
            false => table(session, &name).await?,
        };
        Ok((id, found))
    });
    futures::stream::iter(looks).buffered(AT_ONCE).try_collect().await
}

async fn view(session: &Session, name: &TableName) -> Result<Found> {
    let schema = Box::pin(session.check(&all_of(name))).await?;
    let view = session.scope().pins().views.get(name);
    // What a view reads may be there no more as its query has it; its columns are known all the same.
    let lineage = match view {
        Some(view) => Box::pin(session.trace(&view.sql)).await.map(|(_, lineage)| lineage).ok(),
        None => None,
    };
    Ok(Found { is_view: true, schema, lineage: lineage.unwrap_or_default(), size: None })
}

async fn table(session: &Session, name: &TableName) -> Result<Found> {
    let scope = session.scope();
    let schema = Box::pin(session.check(&all_of(name))).await?;
    let (mut lineage, mut size) = (Lineage::default(), None);
    if let Some(version) = scope.pins().tables.get(name) {
        let snapshot = scope.tables().snapshot(name, *version).await?;
        let bytes = snapshot.files().iter().map(|file| file.size()).sum();
        let (rows, files) = (snapshot.rows(), snapshot.files().len());
        size = Some(Size { version: version.0, rows, files, bytes });
        let made = maker(scope.tables(), name, *version).await?;
        lineage = made.and_then(|made| made.of).map(|of| of.lineage).unwrap_or_default();
    }
    Ok(Found { is_view: false, schema: Arc::clone(&schema), lineage, size })
}

fn all_of(name: &TableName) -> String {
    format!("select * from \"{}\".\"{}\"", name.schema(), name.table())
}
