//! What becomes of rows that a program sends?

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::openlineage::Spoken;
use super::statement::{ATTEMPTS, jitter};
use super::{IfAbsent, IfThere, Lakehouse};
use crate::base::TableName;
use crate::query::{QueryError, Scope, Session, SqlMistake};
use crate::release::{self, Release, ReleaseError};
use crate::table::TableError;

/// Rows on their way into a table. An error among them stops them all.
pub type Rows = BoxStream<'static, Result<RecordBatch, Box<dyn std::error::Error + Send + Sync>>>;

impl Lakehouse {
    /// Writes rows to a table and publishes that as one release. Returns how many rows came, and the release.
    ///
    /// Rows that are only added go on top of what others publish meanwhile. If others made or changed a table that was to be made or
    /// replaced, it is decided anew what becomes of the rows, as far as they are there already.
    ///
    /// # Errors
    /// Nothing was published. [`LostRace`](ReleaseError::LostRace) if a table to which rows are only added was replaced meanwhile; the rows have
    /// to be sent again.
    pub async fn ingest(
        &self,
        session: &Session,
        table: &TableName,
        if_absent: IfAbsent,
        if_there: IfThere,
        schema: SchemaRef,
        rows: Rows,
    ) -> Result<(u64, Option<Release>), QueryError> {
        self.tables().lake().check_writable().await.map_err(TableError::from)?;
        release::recover(self.tables().lake()).await?;
        let rows = rows.map_err(DataFusionError::External).boxed();
        let mut rows: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(schema, rows));
        let (mut session, mut kept) = (session.clone(), None);
        let teller = self.teller();
        for attempt in 0.. {
            let is_whole = !session.scope().has(table) || if_there == IfThere::Replace;
            let staged = Box::pin(session.stage_rows(table, if_absent, if_there, rows)).await?;
            let added = staged.effect().added;
            let statement = Spoken { sql: "", teller: teller.as_ref() };
            match self.publish_staged(&session, &staged, statement).await {
                Ok(release) => return Ok((added, release)),
                Err(ReleaseError::LostRace { .. }) if attempt < ATTEMPTS && (is_whole || kept.is_some()) => {}
                Err(error) => return Err(error.into()),
            }
            // The rows came once. Those that were to be all of a table are in its files, which nobody sees.
            if kept.is_none() {
                let scope = session.scope().clone().for_rights(None);
                let scope = staged.changes.into_iter().map(Arc::new).fold(scope, Scope::with_change);
                kept = Some(session.seeing(scope));
            }
            let Some(kept) = &kept else { break };
            tokio::time::sleep(jitter(&self.world().id(), attempt)).await;
            session = self.newest(&session).await?;
            let all = format!("select * from \"{}\".\"{}\"", table.schema(), table.table());
            rows = Box::pin(kept.query_to_write(&all)).await?.into_stream();
        }
        Err(SqlMistake::empty().into()) // no attempt is the last that does not return
    }
}
