//! elt
pub mod base;
pub mod lake;
pub mod table;
