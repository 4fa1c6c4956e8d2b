//! What becomes of rows that a program sends?

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::openlineage::Spoken;
use super::{IfAbsent, IfThere, Lakehouse};
use crate::base::TableName;
use crate::query::{QueryError, Session};
use crate::release::{self, Release};
use crate::table::TableError;

/// Rows on their way into a table. An error among them stops them all.
pub type Rows = BoxStream<'static, Result<RecordBatch, Box<dyn std::error::Error + Send + Sync>>>;

impl Lakehouse {
    /// Writes rows to a table and publishes that as one release. Returns how many rows came, and the release.
    ///
    /// Rows that are only added go on top of what others publish meanwhile.
    ///
    /// # Errors
    /// Nothing was published. [`LostRace`](crate::release::ReleaseError::LostRace) if the table was made or replaced meanwhile; the rows have to
    /// be sent again.
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
        let rows = Box::pin(RecordBatchStreamAdapter::new(schema, rows));
        let staged = Box::pin(session.stage_rows(table, if_absent, if_there, rows)).await?;
        let added = staged.effect().added;
        let teller = self.teller();
        let statement = Spoken { sql: "", teller: teller.as_ref() };
        let release = self.publish_staged(session, &staged, statement).await?;
        Ok((added, release))
    }
}
