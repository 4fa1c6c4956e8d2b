//! How do raw files arrive?
//!
//! [`land`] takes files from where they lie ([`discover`], [`fetch`]) to a change of a Delta table, each file once
//! and every row accounted for: what the table's [`ledger`] knows is skipped, whatever it is called now; the bytes are
//! kept unchanged in the lake's raw zone; rows are typed (`dialect`, [`infer`], [`read`]) under columns that follow the
//! files as far as the [`options`] allow (`evolve`); what does not fit a type is kept beside the row (`rescue`), what is no
//! row at all goes to `<table>__rejected`; and for each file `read = loaded + rescued + rejected` ([`account`]), or
//! nothing is landed.
//!
//! Not here: making the rows visible. The ledger's entries are in the same commit as the rows, so
//! that a load and the memory of it become visible together, or not at all.

pub mod account;
#[cfg(any(test, fuzzing))]
pub mod any_bytes;
mod attempt;
mod dialect;
pub mod discover;
mod error;
mod evolve;
pub mod fetch;
pub mod format;
mod guess;
pub mod infer;
mod land;
pub mod ledger;
mod nested;
pub mod options;
mod parallel;
mod raw;
pub mod read;
mod reading;
mod rejects;
mod report;
mod rescue;
mod rewrite;
mod scan;
mod shape;
mod widen;
mod within;

pub use account::FileAccount;
pub use error::LandingError;
pub use evolve::{NewColumn, WiderColumn};
pub use land::{Before, LandRequest, Landing, Portion, foresee, land};
pub use options::LandOptions;
pub use report::{FileOutcome, LandReport};
pub use scan::{Asked, FileScan, Found};
pub use shape::Shape;
pub use within::within;
