//! What is there to read, and of which files is it made?

use datafusion::catalog::CatalogProvider;
use futures::FutureExt;
use serde_json::Value;

use super::rows::{Kind, Row};
use super::{LakeCatalog, QueryError, Rows, SystemTable};
use crate::base::sql_type_name;
use crate::lake::layout;
use crate::table::DataFile;

pub(super) const TABLES: SystemTable = SystemTable {
    name: "tables",
    about: "the tables and views of the release that is read, and these",
    columns: &[
        ("table_schema", Kind::Text),
        ("table_name", Kind::Text),
        ("table_type", Kind::Text),
        ("version", Kind::Whole),
        ("num_rows", Kind::Whole),
        ("num_files", Kind::Whole),
        ("size_in_bytes", Kind::Whole),
        ("num_hidden_rows", Kind::Whole),
        ("write_mode", Kind::Text),
        ("partition_columns", Kind::Text),
        ("clustering_columns", Kind::Text),
        ("properties", Kind::Text),
        ("location", Kind::Text),
        ("description", Kind::Text),
        ("view_definition", Kind::Text),
    ],
    rows: Rows::Read(|catalog| tables(catalog).boxed()),
};

pub(super) const COLUMNS: SystemTable = SystemTable {
    name: "columns",
    about: "the columns of tables and views, with their types in SQL's words",
    columns: &[
        ("table_schema", Kind::Text),
        ("table_name", Kind::Text),
        ("column_name", Kind::Text),
        ("ordinal_position", Kind::Whole),
        ("data_type", Kind::Text),
        ("is_nullable", Kind::Flag),
        ("is_partition_column", Kind::Flag),
        ("comment", Kind::Text),
    ],
    rows: Rows::Read(|catalog| columns(catalog).boxed()),
};

pub(super) const FILES: SystemTable = SystemTable {
    name: "files",
    about: "the data files of the tables of the release that is read",
    columns: &[
        ("table_schema", Kind::Text),
        ("table_name", Kind::Text),
        ("file_path", Kind::Text),
        ("size_in_bytes", Kind::Whole),
        ("num_rows", Kind::Whole),
        ("num_hidden_rows", Kind::Whole),
    ],
    rows: Rows::Read(|catalog| files(catalog).boxed()),
};

async fn tables(catalog: &LakeCatalog) -> Result<Vec<Row>, QueryError> {
    let (scope, pins) = (&catalog.scope, catalog.scope.pins());
    scope.read_ahead().await;
    let mut rows = Vec::new();
    for (name, is_view) in scope.names() {
        let mut row: Row = vec![name.schema().into(), name.table().into()];
        match pins.tables.get(&name).filter(|_| !is_view) {
            // How many rows there are in all is not told to who sees some of them.
            Some(version) if scope.is_guarded(&name) => {
                row.extend(["table".into(), version.0.into()]);
                row.extend(std::iter::repeat_n(Value::Null, 11));
            }
            Some(version) => {
                let snapshot = scope.tables().snapshot(&name, *version).await?;
                let (files, design) = (snapshot.files(), snapshot.design());
                let sum = |of: fn(&DataFile) -> u64| files.iter().map(of).sum::<u64>();
                row.extend([
                    "table".into(),
                    version.0.into(),
                    snapshot.rows().into(),
                    files.len().into(),
                    sum(DataFile::size).into(),
                    sum(DataFile::hidden_rows).into(),
                    design.write_mode().to_string().into(),
                    design.partition_columns().join(", ").into(),
                    design.cluster_by().join(", ").into(),
                    serde_json::json!(design.properties()),
                    layout::table(&name).to_string().into(),
                    design.description().into(),
                    Value::Null,
                ]);
            }
            None => {
                let view = pins.views.get(&name);
                row.push(if is_view { "view" } else { "table" }.into());
                row.extend(std::iter::repeat_n(Value::Null, 10));
                row.push(view.map(|view| view.description.clone()).filter(|text| !text.is_empty()).into());
                let is_told = scope.rights().is_none_or(|rights| !rights.are_limited());
                row.push(view.filter(|_| is_told).map(|view| view.sql.trim().to_owned()).into());
            }
        }
        rows.push(row);
    }
    let is_there = |table: &&SystemTable| scope.rights().is_none_or(|rights| rights.see_system(table.name));
    rows.extend(super::TABLES.iter().filter(is_there).map(|table| {
        let mut row: Row = vec![super::SCHEMA.into(), table.name.into(), "system".into()];
        row.extend(std::iter::repeat_n(Value::Null, 10));
        row.extend([table.about.into(), Value::Null]);
        row
    }));
    Ok(rows)
}

async fn columns(catalog: &LakeCatalog) -> Result<Vec<Row>, QueryError> {
    let (scope, pins) = (&catalog.scope, catalog.scope.pins());
    scope.read_ahead().await;
    let mut rows = Vec::new();
    for (name, _) in scope.names() {
        let Some(schema) = catalog.schema(name.schema()) else { continue };
        let table = match schema.table(name.table()).await {
            Ok(Some(table)) => table,
            // A view that no longer fits what it reads has no columns; who reads it is told why.
            Ok(None) | Err(_) => continue,
        };
        let snapshot = match pins.tables.get(&name) {
            Some(version) => Some(scope.tables().snapshot(&name, *version).await?),
            None => None,
        };
        let design = snapshot.as_ref().map(|snapshot| snapshot.design());
        for (at, field) in table.schema().fields().iter().enumerate() {
            let parts = design.is_some_and(|design| design.partition_columns().contains(field.name()));
            rows.push(vec![
                name.schema().into(),
                name.table().into(),
                field.name().clone().into(),
                (at + 1).into(),
                sql_type_name(field.data_type()).into(),
                field.is_nullable().into(),
                parts.into(),
                design.and_then(|design| design.comment(field.name())).into(),
            ]);
        }
    }
    Ok(rows)
}

async fn files(catalog: &LakeCatalog) -> Result<Vec<Row>, QueryError> {
    let scope = &catalog.scope;
    scope.read_ahead().await;
    let mut rows = Vec::new();
    for (name, version) in &scope.pins().tables {
        let snapshot = scope.tables().snapshot(name, *version).await?;
        let row = |file: &DataFile| {
            vec![
                name.schema().into(),
                name.table().into(),
                file.path().into(),
                file.size().into(),
                file.rows().into(),
                file.hidden_rows().into(),
            ]
        };
        rows.extend(snapshot.files().iter().map(row));
    }
    Ok(rows)
}
