//! How do raw files arrive?
//!
//! [`land`] takes files from where they lie ([`discover`]) to a change of a Delta table, each file once
//! and every row accounted for: what the table's [`ledger`] knows is skipped; the bytes are kept
//! unchanged in the lake's raw zone; rows are typed ([`infer`], [`read`]), what does not fit a type is
//! kept beside the row (`rescue`), what is no row at all goes to `<table>__rejected`; and for each file
//! `read = loaded + rescued + rejected` ([`account`]), or nothing is landed.
//!
//! Not here: making the rows visible. The ledger's entries are in the same commit as the rows, so
//! that a load and the memory of it become visible together, or not at all.

pub mod account;
pub mod discover;
mod error;
pub mod format;
pub mod infer;
mod land;
pub mod ledger;
mod raw;
pub mod read;
mod rejects;
mod rescue;

pub use account::FileAccount;
pub use error::LandingError;
pub use format::ReadOptions;
pub use land::{FileOutcome, LandReport, LandRequest, Landing, OnChange, land};
