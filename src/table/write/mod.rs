//! How do rows become a change?
//!
//! Each function here writes data files beside the table's own and returns the
//! [`Change`](super::Change) that would make them count: [`overwrite`] all rows, [`append`] some,
//! [`replace_where`] a predicate holds, [`merge`] by key, [`restore`] an earlier version. The table
//! itself has not moved when they return; nor has it when they are dropped half-way.

mod append;
mod files;
mod merge;
mod overwrite;
mod replace_where;
mod restore;
mod statistics;

pub use append::{NewColumns, append};
pub use merge::merge;
pub use overwrite::overwrite;
pub use replace_where::replace_where;
pub use restore::{empty, restore};
