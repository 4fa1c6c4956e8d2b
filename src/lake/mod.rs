//! Where do bytes live?
//!
//! A [`Lake`] is a root folder (or any object store) and the layout of paths under it. It can do
//! three things well: give its [`store`](Lake::store) to whoever reads and writes data files, write a
//! document exactly once ([`Lake::create_once`], the only way anything is ever decided here), and
//! tell who is writing at the moment ([`Lake::lock`]).
//!
//! Not here: what the documents and the files mean.

mod bucket;
mod durable;
mod error;
pub mod layout;
mod lock;
mod rooms;
mod store;

pub use bucket::connect;
pub use error::{LakeError, is_forbidden};
pub use lock::{Holder, LakeLock};
pub(crate) use store::json;
pub use store::{Created, Lake, StagedDocument, this_machine};
