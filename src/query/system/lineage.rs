//! Which columns of which versions did each run make which columns of?

use std::collections::{BTreeMap, BTreeSet};

use futures::{FutureExt, StreamExt, TryStreamExt};
use serde_json::Value;

use super::super::made_of::{influence_words, made_of, way_word};
use super::super::{Limits, MadeOf, Session, Then};
use super::releases::known;
use super::rows::{Kind, Row, instant};
use super::{LakeCatalog, QueryError, Rows, Scope, SystemTable};
use crate::base::TableName;
use crate::release::{Release, View};
use crate::table;

pub(super) const LINEAGE: SystemTable = SystemTable {
    name: "lineage",
    about: "which columns of which table versions each release made columns of",
    columns: &[
        ("run_id", Kind::Text),
        ("release", Kind::Whole),
        ("published_at", Kind::Instant),
        ("unique_id", Kind::Text),
        ("table_schema", Kind::Text),
        ("table_name", Kind::Text),
        ("version", Kind::Whole),
        ("column_name", Kind::Text),
        ("source_schema", Kind::Text),
        ("source_name", Kind::Text),
        ("source_version", Kind::Whole),
        ("source_column", Kind::Text),
        ("how", Kind::Text),
    ],
    rows: Rows::Read(|catalog| lineage(catalog).boxed()),
};

/// Commits that are read at once.
const AT_ONCE: usize = 16;

async fn lineage(catalog: &LakeCatalog) -> Result<Vec<Row>, QueryError> {
    let tables = catalog.scope.tables();
    let mut releases = known(catalog).await?;
    releases.retain(Release::is_published);
    // Each by its version, so that a long log is not listed again for every release.
    let moved = releases.iter().flat_map(|release| &release.tables);
    let moved: Vec<_> = moved.map(|summary| (summary.table.clone(), summary.version)).collect();
    let commits = futures::stream::iter(moved).map(|(name, version)| async move {
        let commit = table::commit_of(tables, &name, version).await?;
        Ok::<_, QueryError>((name, commit))
    });
    let commits: Vec<_> = commits.buffered(AT_ONCE).try_collect().await?;
    let mut commits = commits.into_iter();
    let mut views: BTreeMap<TableName, View> = BTreeMap::new();
    let mut told = Vec::new();
    for release in &releases {
        let moved = release.tables.len();
        for (name, commit) in commits.by_ref().take(moved) {
            let (name, commit) = (&name, &commit);
            let Some((commit, of)) = commit.as_ref().and_then(|commit| Some((commit, made_of(commit)?)))
            else {
                continue;
            };
            let node = commit.provenance.get("model").cloned().unwrap_or_default();
            rows(&Made { release, name, version: Some(commit.version.0), node, of }, &mut told);
        }
        // Of one release, so that a view that others stand on is planned once.
        let scope = Scope::of(catalog.scope.tables().clone(), release.pinned());
        let session = Session::new(scope, &catalog.default_schema, Limits::default());
        for (name, view) in release.pins.views.iter().filter(|(name, view)| views.get(*name) != Some(*view)) {
            // A view that does not fit what it reads any more comes from nowhere.
            let Ok(of) = MadeOf::of_view(&session, &view.sql).await else { continue };
            rows(&Made { release, name, version: None, node: Value::Null, of }, &mut told);
        }
        views.clone_from(&release.pins.views);
    }
    Ok(told)
}

/// Something that a release made.
struct Made<'a> {
    release: &'a Release,
    name: &'a TableName,
    version: Option<u64>,
    node: Value,
    of: MadeOf,
}

fn rows(made: &Made<'_>, told: &mut Vec<Row>) {
    let row = |column: Value, source: Option<(&TableName, Option<Then>, Value)>, how: String| {
        let version = source.as_ref().and_then(|(table, then, _)| match then {
            Some(Then::Version(version)) => Some(*version),
            Some(Then::Release(_)) => None,
            None => made.of.tables.get(table).copied(),
        });
        let version = version.map(|version| version.0);
        let (source, source_column) = source.map(|(table, _, column)| (table, column)).unzip();
        vec![
            made.release.run.clone().into(),
            made.release.number.0.into(),
            instant(made.release.at),
            made.node.clone(),
            made.name.schema().into(),
            made.name.table().into(),
            made.version.into(),
            column,
            source.map(TableName::schema).filter(|schema| !schema.is_empty()).into(),
            source.map(TableName::table).into(),
            version.into(),
            source_column.unwrap_or_default(),
            how.into(),
        ]
    };
    let lineage = &made.of.lineage;
    for (column, origins) in &lineage.columns {
        for (of, way) in origins {
            let source = Some((&of.table, of.then, of.column.clone().into()));
            told.push(row(column.clone().into(), source, way_word(*way).to_owned()));
        }
        if origins.is_empty() {
            told.push(row(column.clone().into(), None, "constant".to_owned()));
        }
    }
    for (of, how) in &lineage.rows {
        let source = Some((&of.table, of.then, of.column.clone().into()));
        told.push(row(Value::Null, source, influence_words(how)));
    }
    let of_columns = lineage.columns.iter().flat_map(|(_, from)| from.keys()).chain(lineage.rows.keys());
    let named: BTreeSet<(&TableName, Option<Then>)> = of_columns.map(|of| (&of.table, of.then)).collect();
    for (table, then) in lineage.inputs().filter(|input| !named.contains(input)) {
        told.push(row(Value::Null, Some((table, then, Value::Null)), "read".to_owned()));
    }
}
