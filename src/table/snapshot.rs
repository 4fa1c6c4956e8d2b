//! What is in a table at one version?

use std::collections::{HashMap, HashSet};

use arrow::datatypes::SchemaRef;
use deltalake::kernel::{Add, DeletionVectorDescriptor, Metadata, Protocol, Remove};
use deltalake::table::state::DeltaTableState;
use futures::StreamExt;

use super::change::Definition;
use super::checkpoint::{last_checkpoint, transactions_at};
use super::commit::NEVER;
use super::error::log_error;
use super::{Change, DataFile, Design, TableError, Tables};
use crate::base::{TableName, TableVersion};
use crate::lake::layout;

/// A table at one version: its schema and its data files. Immutable.
#[derive(Clone, Debug)]
pub struct Snapshot {
    table: TableName,
    version: TableVersion,
    schema: SchemaRef,
    files: Vec<DataFile>,
    metadata: Metadata,
    protocol: Protocol,
    design: Design,
}

/// What tells a deletion vector from others of its file.
fn name_of(vector: &DeletionVectorDescriptor) -> (String, String, Option<i32>) {
    (vector.storage_type.to_string(), vector.path_or_inline_dv.clone(), vector.offset)
}

impl Snapshot {
    /// Reads the log up to `version`.
    pub(super) async fn read(
        tables: &Tables,
        table: &TableName,
        version: TableVersion,
    ) -> Result<Self, TableError> {
        let log = tables.log_store(table);
        let state =
            DeltaTableState::try_new(log.as_ref(), Some(version.0)).await.map_err(log_error(table))?;
        let snapshot = state.snapshot();
        #[expect(deprecated, reason = "the replacement gives no access to the whole action")]
        let files = state.log_data().iter().map(|view| DataFile::new(view.add_action())).collect();
        Ok(Self {
            table: table.clone(),
            version,
            schema: super::schema::from_delta(&snapshot.arrow_schema()),
            files,
            metadata: snapshot.metadata().clone(),
            protocol: snapshot.protocol().clone(),
            design: Design::of(&plain(snapshot.metadata()), &plain(snapshot.protocol())),
        })
    }

    /// The table one version on, if the commit that made it only brought files and took some away; nothing if the log has to
    /// be asked.
    ///
    /// The files are in the order in which a reader of the log finds them: those of the newest commit first.
    pub(super) fn next(&self, entry: &[u8]) -> Option<Self> {
        let (mut come, mut gone) = (Vec::new(), HashSet::new());
        for line in entry.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let action: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).ok()?;
            for (kind, action) in action {
                match kind.as_str() {
                    "add" => come.push(serde_json::from_value::<Add>(action).ok()?),
                    "remove" => {
                        let remove: Remove = serde_json::from_value(action).ok()?;
                        gone.insert((remove.path, remove.deletion_vector.as_ref().map(name_of)));
                    }
                    "commitInfo" | "txn" | "cdc" => {}
                    _ => return None,
                }
            }
        }
        let vector = |add: &Add| add.deletion_vector.as_ref().map(name_of);
        // A file that comes again is there once.
        gone.extend(come.iter().map(|add| (add.path.clone(), vector(add))));
        let stays = |file: &&DataFile| !gone.contains(&(file.add().path.clone(), vector(file.add())));
        let stay = self.files.iter().filter(stays).cloned();
        let files = come.into_iter().map(DataFile::new).chain(stay).collect();
        Some(Self { version: self.version.next(), files, ..self.clone() })
    }

    /// The table as it would be after `change`.
    pub(super) fn after(change: &Change) -> Result<Self, TableError> {
        let base = change.base.as_deref();
        let read_back = |error: serde_json::Error| {
            TableError::Rows(datafusion::error::DataFusionError::External(Box::new(error)))
        };
        let (metadata, protocol) = match (&change.definition, base) {
            (Definition::Restored { metadata, protocol }, _) => ((**metadata).clone(), (**protocol).clone()),
            (Definition::Same, Some(base)) => (base.metadata.clone(), base.protocol.clone()),
            (_, base) => {
                let (id, created) = match base {
                    Some(base) => (base.id(), base.metadata.created_time()),
                    // The table's identity is only given when it is published.
                    None => ("00000000-0000-0000-0000-000000000000", None),
                };
                let metadata = change.design.metadata_action(&change.table, id, created);
                let protocol = change.design.protocol_action();
                (
                    serde_json::from_value(metadata["metaData"].clone()).map_err(read_back)?,
                    serde_json::from_value(protocol["protocol"].clone()).map_err(read_back)?,
                )
            }
        };
        Ok(Self {
            table: change.table.clone(),
            version: change.version(),
            schema: change.schema.clone(),
            files: change.files(),
            metadata,
            protocol,
            design: change.design.clone(),
        })
    }

    /// Which table.
    pub fn table(&self) -> &TableName {
        &self.table
    }

    /// Which version of it.
    pub fn version(&self) -> TableVersion {
        self.version
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The data files, in the log's order.
    pub fn files(&self) -> &[DataFile] {
        &self.files
    }

    /// The table's identity, which survives every change but not a foreign re-creation.
    pub fn id(&self) -> &str {
        self.metadata.id()
    }

    /// Rows, if the log says so for every file.
    pub fn rows(&self) -> Option<u64> {
        self.files.iter().map(DataFile::rows).sum()
    }

    /// What it is besides its rows.
    pub fn design(&self) -> &Design {
        &self.design
    }

    /// The columns whose values are in the log, for each file one.
    pub fn partition_columns(&self) -> &[String] {
        self.design.partition_columns()
    }

    pub(super) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(super) fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// The newest version that each of `apps` wrote by a `txn` action, at this version of the table.
    ///
    /// `txn` actions live as long as the table, unless `delta.setTransactionRetentionDuration` is set.
    pub async fn transactions(
        &self,
        tables: &Tables,
        apps: impl IntoIterator<Item = String>,
    ) -> Result<HashMap<String, i64>, TableError> {
        if let Some(mut all) = self.all_transactions(tables).await? {
            return Ok(apps.into_iter().filter_map(|app| all.remove(&app).map(|v| (app, v))).collect());
        }
        let log = tables.log_store(&self.table);
        let state = DeltaTableState::try_new(log.as_ref(), Some(self.version.0))
            .await
            .map_err(log_error(&self.table))?;
        let mut found = HashMap::new();
        for app in apps {
            let version =
                state.transaction_version(log.as_ref(), &app).await.map_err(log_error(&self.table))?;
            found.extend(version.filter(|version| *version != NEVER).map(|version| (app, version)));
        }
        Ok(found)
    }

    /// Whether the log says that no row has a value in a column.
    pub fn is_all_null(&self, column: &str) -> bool {
        let layout = self.design.layout();
        let in_log = layout.names.in_files(column);
        let all = |file: &DataFile| {
            let nulls = file.nulls(in_log).and_then(|nulls| u64::try_from(nulls).ok());
            file.rows_in_file() == Some(0) || nulls.is_some() && nulls == file.rows_in_file()
        };
        self.files.iter().all(all)
    }

    /// Every `txn` in one pass over the newest checkpoint and the log's JSON entries after it; nothing if
    /// the log's beginning was cleaned away and only a checkpoint of another kind remembers.
    pub(super) async fn all_transactions(
        &self,
        tables: &Tables,
    ) -> Result<Option<HashMap<String, i64>>, TableError> {
        let lake = tables.lake();
        let checkpoint = last_checkpoint(tables, &self.table, self.version).await?;
        let mut all = match checkpoint {
            Some(checkpoint) => transactions_at(tables, &self.table, checkpoint).await?,
            None => HashMap::new(),
        };
        let versions =
            (checkpoint.map_or(0, |checkpoint| checkpoint.0 + 1)..=self.version.0).map(TableVersion);
        let entries: Vec<_> = futures::stream::iter(versions)
            .map(|version| async move { lake.read(&layout::log_entry(&self.table, version)).await })
            .buffered(16)
            .collect()
            .await;
        for entry in entries {
            let Some(bytes) = entry? else { return Ok(None) };
            let text = String::from_utf8_lossy(&bytes);
            for line in text.lines().filter(|line| line.contains("\"txn\"")) {
                let Ok(action) = serde_json::from_str::<serde_json::Value>(line) else { continue };
                let txn = &action["txn"];
                if let (Some(app), Some(version)) = (txn["appId"].as_str(), txn["version"].as_i64()) {
                    all.insert(app.to_owned(), version);
                }
            }
        }
        all.retain(|_, version| *version != NEVER);
        Ok(Some(all))
    }
}

/// An action as the log spells it.
fn plain(action: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(action).unwrap_or_default()
}
