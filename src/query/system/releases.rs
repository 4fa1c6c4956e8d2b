//! What was published, and what did it do to each table?

use futures::FutureExt;
use serde_json::{Value, json};

use super::rows::{Kind, Row, instant};
use super::{LakeCatalog, QueryError, Rows, SystemTable};
use crate::release::{self, Release};

pub(super) const RELEASES: SystemTable = SystemTable {
    name: "releases",
    about: "the releases, from the first to the one that is read",
    columns: &[
        ("release", Kind::Whole),
        ("published_at", Kind::Instant),
        ("user_name", Kind::Text),
        ("made_by", Kind::Text),
        ("run_id", Kind::Text),
        ("is_published", Kind::Flag),
        ("abandoned_because", Kind::Text),
        ("num_tables_changed", Kind::Whole),
        ("num_tables", Kind::Whole),
        ("num_views", Kind::Whole),
    ],
    rows: Rows::Read(|catalog| releases(catalog).boxed()),
};

pub(super) const TABLE_VERSIONS: SystemTable = SystemTable {
    name: "table_versions",
    about: "which release made which version of a table, and how many rows it moved",
    columns: &[
        ("table_schema", Kind::Text),
        ("table_name", Kind::Text),
        ("version", Kind::Whole),
        ("release", Kind::Whole),
        ("published_at", Kind::Instant),
        ("operation", Kind::Text),
        ("rows_added", Kind::Whole),
        ("rows_updated", Kind::Whole),
        ("rows_removed", Kind::Whole),
        ("rows_after", Kind::Whole),
        ("bytes_added", Kind::Whole),
    ],
    rows: Rows::Read(|catalog| versions(catalog).boxed()),
};

/// The releases up to the one that the session reads, the first one first.
pub(super) async fn known(catalog: &LakeCatalog) -> Result<Vec<Release>, QueryError> {
    let scope = &catalog.scope;
    let mut releases = release::list(scope.tables().lake(), usize::MAX).await?;
    releases.retain(|release| scope.pins().release.is_some_and(|last| release.number <= last));
    releases.reverse();
    Ok(releases)
}

async fn releases(catalog: &LakeCatalog) -> Result<Vec<Row>, QueryError> {
    let row = |release: Release| {
        vec![
            release.number.0.into(),
            instant(release.at),
            release.user.clone().into(),
            release.kind_words().into(),
            release.run.clone().into(),
            release.is_published().into(),
            release.abandoned_because().into(),
            release.tables.len().into(),
            release.pins.tables.len().into(),
            release.pins.views.len().into(),
        ]
    };
    Ok(known(catalog).await?.into_iter().map(row).collect())
}

async fn versions(catalog: &LakeCatalog) -> Result<Vec<Row>, QueryError> {
    let mut rows = Vec::new();
    for release in known(catalog).await?.iter().filter(|release| release.is_published()) {
        for summary in &release.tables {
            let (name, effect) = (&summary.table, summary.effect);
            // An operation that has a value is an object of that one member.
            let operation = match json!(summary.operation) {
                Value::Object(object) => object.keys().next().cloned().into(),
                word => word,
            };
            rows.push(vec![
                name.schema().into(),
                name.table().into(),
                summary.version.0.into(),
                release.number.0.into(),
                instant(release.at),
                operation,
                effect.added.into(),
                effect.updated.into(),
                effect.removed.into(),
                effect.rows_after.into(),
                effect.bytes.into(),
            ]);
        }
    }
    Ok(rows)
}
