//! How does deltalake's kernel read a log?
//!
//! Through a store like any other, but for the room it takes for an entry: the kernel's own reader of JSON makes room for a thousand
//! actions with all their fields, tens of megabytes, for each entry that it reads, and an entry has a few. Of a hundred commits of ten
//! rows a fifth of the time went into clearing that room.

use std::num::NonZero;
use std::sync::Arc;

use async_trait::async_trait;
use buoyant_kernel_engine::executor::TaskExecutor;
use buoyant_kernel_engine::executor::tokio::{TokioBackgroundExecutor, TokioMultiThreadExecutor};
use buoyant_kernel_engine::json::DefaultJsonHandler;
use buoyant_kernel_engine::{DefaultEngine, DefaultEngineBuilder};
use bytes::Bytes;
use datafusion::execution::object_store::ObjectStoreUrl;
use delta_kernel::{Engine, EvaluationHandler, JsonHandler, ParquetHandler, StorageHandler};
use deltalake::DeltaResult;
use deltalake::kernel::Version;
use deltalake::kernel::transaction::TransactionError;
use deltalake::logstore::{CommitOrBytes, LogStore, LogStoreConfig, LogStoreRef};
use object_store::ObjectStore;
use tokio::runtime::{Handle, RuntimeFlavor};
use uuid::Uuid;

/// For how many actions room is made at a time; entries with more are read in several parts.
const ACTIONS: NonZero<usize> = NonZero::new(64).expect("more than none");

/// A store of a log, read in smaller parts.
pub(super) struct Sparing(pub(super) LogStoreRef);

#[async_trait]
impl LogStore for Sparing {
    fn name(&self) -> String {
        self.0.name()
    }

    async fn refresh(&self) -> DeltaResult<()> {
        self.0.refresh().await
    }

    async fn read_commit_entry(&self, version: Version) -> DeltaResult<Option<Bytes>> {
        self.0.read_commit_entry(version).await
    }

    async fn write_commit_entry(
        &self,
        version: Version,
        entry: CommitOrBytes,
        operation: Uuid,
    ) -> Result<(), TransactionError> {
        self.0.write_commit_entry(version, entry, operation).await
    }

    async fn abort_commit_entry(
        &self,
        version: Version,
        entry: CommitOrBytes,
        operation: Uuid,
    ) -> Result<(), TransactionError> {
        self.0.abort_commit_entry(version, entry, operation).await
    }

    async fn get_latest_version(&self, from: Version) -> DeltaResult<Version> {
        self.0.get_latest_version(from).await
    }

    fn object_store(&self, operation: Option<Uuid>) -> Arc<dyn ObjectStore> {
        self.0.object_store(operation)
    }

    fn root_object_store(&self, operation: Option<Uuid>) -> Arc<dyn ObjectStore> {
        self.0.root_object_store(operation)
    }

    fn engine(&self, operation: Option<Uuid>) -> Arc<dyn Engine> {
        let (store, handle) = (self.root_object_store(operation), Handle::current());
        match handle.runtime_flavor() {
            RuntimeFlavor::MultiThread => engine(store, Arc::new(TokioMultiThreadExecutor::new(handle))),
            _ => engine(store, Arc::new(TokioBackgroundExecutor::new())),
        }
    }

    fn config(&self) -> &LogStoreConfig {
        self.0.config()
    }

    fn object_store_url(&self) -> ObjectStoreUrl {
        self.0.object_store_url()
    }
}

fn engine<E: TaskExecutor>(store: Arc<dyn ObjectStore>, executor: Arc<E>) -> Arc<dyn Engine> {
    let json = DefaultJsonHandler::new(Arc::clone(&store), Arc::clone(&executor)).with_batch_size(ACTIONS);
    let rest = DefaultEngineBuilder::new(store).with_task_executor(executor).build();
    Arc::new(SparingEngine { json: Arc::new(json), rest })
}

/// The kernel's engine, but for what reads JSON.
struct SparingEngine<E: TaskExecutor> {
    json: Arc<DefaultJsonHandler<E>>,
    rest: DefaultEngine<E>,
}

impl<E: TaskExecutor> Engine for SparingEngine<E> {
    fn evaluation_handler(&self) -> Arc<dyn EvaluationHandler> {
        self.rest.evaluation_handler()
    }

    fn storage_handler(&self) -> Arc<dyn StorageHandler> {
        self.rest.storage_handler()
    }

    fn json_handler(&self) -> Arc<dyn JsonHandler> {
        Arc::clone(&self.json) as _
    }

    fn parquet_handler(&self) -> Arc<dyn ParquetHandler> {
        self.rest.parquet_handler()
    }
}
