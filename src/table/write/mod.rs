//! How do rows become a change?
//!
//! Each function here writes data files beside the table's own and returns the
//! [`Change`](super::Change) that would make them count: [`overwrite`] all rows, [`append`] some,
//! [`replace_where`] a predicate holds, [`merge`] by key, [`fn@edit`] as a query says, [`restore`] an earlier
//! version. The table itself has not moved when they return; nor has it when they are dropped half-way.

mod again;
mod append;
mod columns;
mod compact;
mod design;
mod edit;
mod encoding;
mod files;
mod generated;
mod ledger;
mod merge;
mod mode;
mod overwrite;
mod replace_where;
mod restore;
mod rules;
mod share;
mod statistics;
mod touch;

pub use append::{NewColumns, append, append_as};
pub use compact::{Compaction, compact, worth_compacting};
pub use design::{create, redesign};
pub use edit::{ACTION_COLUMN, DELETE, INSERT, UPDATE, edit};
pub use ledger::with_ledger_of;
pub use merge::merge;
pub use mode::WriteMode;
pub use overwrite::{overwrite, overwrite_as};
pub use replace_where::{replace_all, replace_rows, replace_where, truncate};
pub use restore::{empty, restore};
pub use share::share;
pub(super) use statistics::statistics_json;
