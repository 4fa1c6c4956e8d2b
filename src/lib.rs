//! elt
pub mod base;
pub mod lake;
pub mod table;
pub mod release;
pub mod query;
