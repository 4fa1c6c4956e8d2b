//! What is a table, and how does it change?
//!
//! A [`Snapshot`] is a Delta table at one version: schema and data files. A [`Change`] is a write not
//! yet published; [`mod@write`] makes changes, [`Scan`] reads a snapshot or reads *through* a change, and
//! [`commit`] is the only code that turns a change into an entry of a Delta log.
//!
//! Not here: which version readers see (`release`), and what SQL calls it (`query`).

mod as_of;
mod change;
mod changes;
mod checkpoint;
mod clustering;
pub mod commit;
mod convert;
mod design;
mod error;
mod expired;
mod file;
mod growth;
mod hidden;
mod history;
mod in_order;
mod layout;
mod left;
mod log_store;
mod memory;
mod names;
mod renaming;
mod scan;
mod schema;
mod sequence;
mod skip;
mod snapshot;
mod supported;
mod tables;
mod vacuum;
pub mod write;
mod zorder;

pub use as_of::version_at;
pub use change::{Change, Effect, LEDGER, Operation, follows};
pub use changes::{changes, changes_since};
pub use checkpoint::{CHECKPOINT_EVERY, last_checkpoint, write_checkpoint};
pub use clustering::CLUSTER_BY;
pub use convert::{Converted, convert};
pub use design::Design;
pub use error::TableError;
pub use expired::{expired, log_retention};
pub use file::DataFile;
pub use growth::{TYPE_WIDENING, grown, grown_nested, retyped, takes, widens};
pub use history::{Commit, commit_of, history};
pub use in_order::{Kept, as_they_lie, in_order, keep_order};
pub use layout::Layout;
pub use memory::{MEMORY_LIMIT, Peak, metered};
pub use scan::{FILE_COLUMN, FILES_OF_TABLE, FILES_TO_READ, POSITION_COLUMN, Scan};
pub use schema::storable;
pub use snapshot::Snapshot;
pub use tables::Tables;
pub(crate) use tables::store_url;
pub use vacuum::{Unneeded, default_retention, delete, unneeded, vectors_brought};
pub use write::{ACTION_COLUMN, WriteMode};
