//! elt
pub mod base;
pub mod project;
pub mod compile;
pub mod lake;
pub mod table;
pub mod release;
pub mod query;
pub mod landing;
pub mod build;
pub mod lakehouse;
pub mod repl;
pub mod cli;
