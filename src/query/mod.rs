//! How is a statement answered?
//!
//! Text is split into statements, parsed ([`dialect`]), its version clauses resolved to snapshots,
//! and planned by DataFusion in a [`Session`]: a world of exactly one release, or of a release and
//! the unpublished changes of a build ([`Scope`]). The answer is an [`Outcome`], rows as a stream.
//!
//! A statement that still carries a version clause never reaches DataFusion's planner, which would
//! drop the clause and answer from the newest version.
//!
//! A statement can be read and planned before it is run ([`Prepared`]), with places for values in it ([`bound`]).
//!
//! A statement that writes gives a [`Staged`]: changes, not yet published. `COPY … TO` writes files outside the lake.
//!
//! Not here: making anything visible (`release`).

mod asked;
mod asof;
mod callable;
mod cases;
mod common;
mod convert;
mod dealt;
mod describe;
pub mod dialect;
mod error;
mod expand;
mod explain;
mod export;
mod files;
mod guard;
mod interval_text;
mod join_order;
mod lineage;
mod literal_rows;
mod located;
mod made_of;
mod mend;
mod outcome;
mod own;
mod parameters;
mod parquet_facts;
mod parquet_format;
mod pausing;
#[cfg(feature = "postgres")]
mod pg_catalog;
mod phrases;
mod planner;
mod prepared;
mod progress;
mod provider;
mod reads;
mod rights;
mod scope;
mod session;
mod settings;
mod shared;
mod show_create;
mod staging;
mod summarize;
mod system;
mod thrift;
mod types;
mod views;
mod whole_files;
mod words;
mod zone;

/// The name of a table, quoted, under which a query finds its rows with the place of each.
pub fn places_of(table: &crate::base::TableName) -> String {
    format!("\"{}\".\"{}{}\"", table.schema(), table.table(), dialect::PLACES)
}

pub use asked::{Asked, GivenUp};
pub use dealt::Dealt;
pub use dialect::Statement;
pub(crate) use error::NO_ROWS;
pub use error::{QueryError, SqlMistake, VALUE};
pub use interval_text::interval_texts;
pub use lineage::{ColumnOf, Influence, Lineage, Then, Way};
pub use made_of::{MADE_OF, MadeOf, Maker, influence_words, made_of, maker, way_word};
pub use outcome::Outcome;
pub use parameters::{bound, bound_rows};
#[cfg(feature = "postgres")]
pub use pg_catalog::{
    PG_VERSION, PgAnswer, PgAsker, PgBackend, PgBackends, PgCatalog, PgKey, is_idle, pg_settings,
};
pub use prepared::{Prepared, StatementKind, shown_variable};
pub use progress::{Progress, Seen, Used};
pub use reads::Reads;
pub use rights::{Policy, Rights};
pub use scope::{Follower, Scope};
pub use session::{Files, Limits, Session};
pub use staging::{IfAbsent, IfThere, Staged};
pub use zone::time_zone;
