//! Which tables does a lake hold, and what was already read of them?

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionStateBuilder, runtime_env::RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use url::Url;

use super::log_store::Sparing;
use super::{Scan, Snapshot, TableError};
use crate::base::{TableName, TableVersion, World};
use crate::lake::{Lake, connect, layout, this_machine};

/// What was read already.
type Known = BTreeMap<(TableName, TableVersion), Arc<Snapshot>>;

/// So many versions of a table are remembered: a server lives through thousands.
const REMEMBERED: usize = 16;

/// So many tables are read at once, where many are.
const AT_ONCE: usize = 32;

/// The tables of one lake. Cheap to clone; clones share what was read.
#[derive(Clone)]
pub struct Tables {
    lake: Lake,
    world: World,
    runtime: Arc<RuntimeEnv>,
    snapshots: Arc<Mutex<Known>>,
    /// Under which name the runtime knows the lake's object store.
    url: ObjectStoreUrl,
    /// What whoever reads them makes once.
    made: Arc<OnceLock<Arc<dyn Any + Send + Sync>>>,
}

impl Tables {
    /// The tables of `lake`. New files take their names and times from `world`.
    pub fn new(lake: Lake, world: World) -> Self {
        // Which files a folder has is asked each time: the engine would remember it for good.
        let runtime = RuntimeEnvBuilder::new().with_object_list_cache_limit(0);
        let runtime = match super::memory::pool(&world) {
            Some(pool) => runtime.with_memory_pool(pool),
            None => runtime,
        };
        let runtime = runtime.build_arc().expect("the default runtime needs nothing");
        runtime.register_object_store(store_url().as_ref(), lake.store());
        runtime.register_object_store(ObjectStoreUrl::local_filesystem().as_ref(), this_machine());
        let (snapshots, made) = (Arc::default(), Arc::default());
        Self { lake, world, runtime, snapshots, url: store_url(), made }
    }

    /// The Delta table in a folder or under a URL, as the only one of a lake of its own, and what it is called there.
    ///
    /// # Errors
    /// [`TableError::Lake`] if it cannot be opened.
    pub fn outside(&self, place: &str) -> Result<(Self, TableName), TableError> {
        let place = place.strip_prefix("file://").unwrap_or(place);
        let lake = match place.contains("://") {
            true => Lake::at(place, &self.world.env)?,
            false => Lake::open(std::path::Path::new(place))?,
        };
        let mut hasher = DefaultHasher::new();
        place.hash(&mut hasher);
        let url = ObjectStoreUrl::parse(format!("lake://outside-{:016x}", hasher.finish()))?;
        self.runtime.register_object_store(url.as_ref(), lake.store());
        let (world, runtime) = (self.world.clone(), self.runtime());
        let (snapshots, made) = (Arc::default(), Arc::default());
        Ok((Self { lake, world, runtime, snapshots, url, made }, TableName::outside(place)))
    }

    /// Opens the store that a URL means, with the settings of the environment, and tells the path in it. Asks it nothing.
    ///
    /// # Errors
    /// In words, as [`connect`].
    pub fn connect(&self, url: &Url) -> Result<(Arc<dyn ObjectStore>, Path), String> {
        connect(url, &self.world.env)
    }

    /// The rows of a table at one version.
    ///
    /// # Errors
    /// [`TableError::UnsupportedFeature`] if they cannot be told from its files alone.
    pub fn scan(&self, snapshot: &Snapshot) -> Result<Scan, TableError> {
        Ok(Scan::of(snapshot)?.in_store(&self.url))
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The time, the ids and the environment that they work with.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// A name that no other file has.
    pub(super) fn id(&self) -> String {
        self.world.id()
    }

    /// The present, in milliseconds since 1970.
    pub(super) fn now_millis(&self) -> i64 {
        self.world.now().timestamp_millis()
    }

    /// The engine's runtime, which knows how to reach the lake's files and shares their footers.
    pub fn runtime(&self) -> Arc<RuntimeEnv> {
        Arc::clone(&self.runtime)
    }

    /// What is made once for all who read these tables, by who needs it first. It is gone with the last of them.
    pub(crate) fn made<T: Any + Send + Sync>(&self, make: impl Fn() -> T) -> Arc<T> {
        let made = self.made.get_or_init(|| Arc::new(make()));
        Arc::clone(made).downcast().unwrap_or_else(|_| Arc::new(make()))
    }

    /// The same runtime for one query that may take no more than so many bytes of memory, of what all queries share.
    pub fn runtime_within(&self, bytes: Option<usize>) -> Arc<RuntimeEnv> {
        match bytes {
            Some(bytes) => super::memory::metered(&self.runtime, Some(bytes)).0,
            None => self.runtime(),
        }
    }

    /// A bare session for the table room's own plans.
    pub(super) fn context(&self) -> SessionContext {
        let state = SessionStateBuilder::new()
            .with_config(SessionConfig::new())
            .with_runtime_env(self.runtime())
            .with_default_features()
            .build();
        SessionContext::new_with_state(state)
    }

    /// Whether the table's log has an entry after `version`. One small read.
    pub async fn goes_on(&self, table: &TableName, version: TableVersion) -> Result<bool, TableError> {
        Ok(self.lake.read(&layout::log_entry(table, version.next())).await?.is_some())
    }

    /// The newest version in the table's log; nothing if there is no log.
    ///
    /// One listing. This is what other engines see, not what readers through elt see.
    ///
    /// # Errors
    /// [`TableError::TornCommit`] if the newest commit has no content.
    pub async fn head(&self, table: &TableName) -> Result<Option<TableVersion>, TableError> {
        newest_of(table, &self.lake.list(&layout::log(table)).await?)
    }

    /// The same, of a table whose log goes at least to `version`: what is before that is not looked at.
    ///
    /// # Errors
    /// Those of [`head`](Self::head).
    pub async fn head_after(
        &self,
        table: &TableName,
        version: TableVersion,
    ) -> Result<Option<TableVersion>, TableError> {
        // Logs have no gaps: mostly there is nothing after it, and nothing has to be listed to see that.
        let (own, next) =
            (layout::log_entry(table, version), layout::log_entry(table, TableVersion(version.0 + 1)));
        match futures::try_join!(self.lake.size(&own), self.lake.size(&next))? {
            (Some(0), None) => return Err(torn(table, version, "it has no content")),
            (Some(_), None) => return Ok(Some(version)),
            _ => {}
        }
        let log = layout::log(table);
        let listed = self.lake.list_after(&log, &log.clone().join(format!("{:020}", version.0))).await?;
        match newest_of(table, &listed)? {
            Some(newest) => Ok(Some(newest)),
            None => self.head(table).await,
        }
    }

    /// The table at `version`. Read once, then remembered for a while: versions never change.
    ///
    /// # Errors
    /// [`TableError::NoSuchVersion`], or [`TableError::TornCommit`] if the commit that made the
    /// version is damaged.
    pub async fn snapshot(
        &self,
        table: &TableName,
        version: TableVersion,
    ) -> Result<Arc<Snapshot>, TableError> {
        let key = (table.clone(), version);
        if let Some(known) = self.remembered(&key) {
            return Ok(known);
        }
        let entry = self.checked_commit(table, version).await?;
        // A lake's log only grows. What is outside may have been made anew.
        let before = match version.0.checked_sub(1) {
            Some(before) if !table.is_outside() => self.remembered(&(table.clone(), TableVersion(before))),
            _ => None,
        };
        let next = before.zip(entry).and_then(|(before, entry)| before.next(&entry));
        let snapshot = Arc::new(match next {
            Some(next) => next,
            None => Snapshot::read(self, table, version).await?,
        });
        let mut known = self.snapshots.lock().expect("no holder panics");
        known.insert(key.clone(), Arc::clone(&snapshot));
        let of_table = (table.clone(), TableVersion(0))..=(table.clone(), TableVersion(u64::MAX));
        let versions: Vec<_> = known.range(of_table).map(|(version, _)| version.clone()).collect();
        if versions.len() > REMEMBERED
            && let Some(oldest) = versions.into_iter().find(|version| *version != key)
        {
            known.remove(&oldest);
        }
        Ok(snapshot)
    }

    /// Reads versions of many tables, several at once, so that each is remembered when it is asked for. What cannot be read is told then.
    pub async fn read_ahead(&self, versions: impl IntoIterator<Item = (&TableName, &TableVersion)>) {
        let wanted: Vec<_> = {
            let known = self.snapshots.lock().expect("no holder panics");
            let keys = versions.into_iter().map(|(table, version)| (table.clone(), *version));
            keys.filter(|key| !known.contains_key(key)).collect()
        };
        if wanted.len() < 2 {
            return;
        }
        let (mut wanted, mut reading) = (wanted.into_iter(), tokio::task::JoinSet::new());
        loop {
            while reading.len() < AT_ONCE
                && let Some((table, version)) = wanted.next()
            {
                let tables = self.clone();
                reading.spawn(async move { drop(tables.snapshot(&table, version).await) });
            }
            if reading.join_next().await.is_none() {
                return;
            }
        }
    }

    fn remembered(&self, key: &(TableName, TableVersion)) -> Option<Arc<Snapshot>> {
        self.snapshots.lock().expect("no holder panics").get(key).cloned()
    }

    /// The commit that made a version; nothing if it is in a checkpoint alone. One with no content or with a torn line,
    /// which deltalake would read as less, is refused.
    async fn checked_commit(
        &self,
        table: &TableName,
        version: TableVersion,
    ) -> Result<Option<Bytes>, TableError> {
        let Some(bytes) = self.lake.read(&layout::log_entry(table, version)).await? else {
            let log = self.lake.list(&layout::log(table)).await?;
            if log.iter().any(|object| layout::version_of(&object.location) == Some(version.0)) {
                return Ok(None);
            }
            let help = match self.head(table).await? {
                Some(head) => format!("its newest version is {head}; `elt history {table}` lists them"),
                None => "the table has no versions at all".to_owned(),
            };
            return Err(TableError::NoSuchVersion { table: table.clone(), version, help });
        };
        if bytes.is_empty() {
            return Err(torn(table, version, "it has no content"));
        }
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        for (at, line) in lines.enumerate() {
            if serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err() {
                return Err(torn(table, version, &format!("line {} is not whole", at + 1)));
            }
        }
        Ok(Some(bytes))
    }

    /// deltalake's view of the table's log.
    pub(super) fn log_store(&self, table: &TableName) -> LogStoreRef {
        let root = layout::table(table);
        // Every request goes to the store given here. The scheme tells the kernel that listings are
        // in order, which every lake's store keeps.
        // What a path has escaped, as letters beyond ASCII, does not come through an address as it is: such a table is
        // opened as if it were all of a lake.
        let is_alone = table.is_outside() || root.as_ref().contains('%');
        let folder = if is_alone { String::new() } else { format!("{root}/") };
        let url = Url::parse(&format!("memory:///{folder}")).expect("table names are safe in URLs");
        let (own, around) = (self.lake.store_at(&root), self.lake.store());
        let around = if is_alone { Arc::clone(&own) } else { around };
        Arc::new(Sparing(default_logstore(own, around, &url, &StorageConfig::default())))
    }
}

/// The newest version among files of a log.
fn newest_of(table: &TableName, log: &[ObjectMeta]) -> Result<Option<TableVersion>, TableError> {
    let mut newest: Option<(TableVersion, u64)> = None;
    for object in log {
        // Of a version's files the entry is listed last.
        if let Some(number) = layout::version_of(&object.location)
            && newest.is_none_or(|(version, _)| version.0 <= number)
        {
            newest = Some((TableVersion(number), object.size));
        }
    }
    match newest {
        Some((version, 0)) => Err(torn(table, version, "it has no content")),
        other => Ok(other.map(|(version, _)| version)),
    }
}

/// Under which name the engine's runtime knows the lake's object store.
pub(crate) fn store_url() -> ObjectStoreUrl {
    ObjectStoreUrl::parse("lake://lake").expect("a constant URL")
}

fn torn(table: &TableName, version: TableVersion, because: &str) -> TableError {
    TableError::TornCommit {
        table: table.clone(),
        version,
        path: layout::log_entry(table, version).to_string(),
        because: because.to_owned(),
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tables({:?})", self.lake)
    }
}
