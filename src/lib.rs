//! elt
pub mod base;
pub mod build;
pub mod cli;
pub mod compile;
pub mod lake;
pub mod lakehouse;
pub mod landing;
pub mod project;
pub mod query;
pub mod release;
pub mod repl;
pub mod table;
