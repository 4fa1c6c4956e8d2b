//! How do programs ask, over the wire?
//!
//! Arrow Flight SQL: the protocol of ADBC (Python, R, Go), JDBC and ODBC drivers. A [`Server`] listens; who is let in is a
//! client of its own (`clients`), whose statements an endpoint answers (`endpoint`) through the same verbs of the front door as the
//! command line, so that they mean the same. Everybody sees one release in a statement, and the newest in the next.
//!
//! Reading order: `flight` (which call asks for what), `endpoint` (how a statement is answered), `stream` (how rows travel), `wire`
//! (which columns are promised, and sent), `put`, `actions`, `settings`; `metadata` and `facts` are what drivers ask before
//! anybody types a statement.
//!
//! Besides, a [`PageServer`] shows the site of a project to browsers (`pages`).
//!
//! Not here: what a statement means (`query`), and what is printed, which is the command line's.

mod actions;
mod cache;
mod clients;
mod endpoint;
mod error;
mod facts;
mod flight;
mod gate;
mod http;
mod messages;
mod metadata;
mod metrics;
mod pages;
mod polling;
#[cfg(feature = "postgres")]
mod postgres;
mod put;
mod run_metrics;
mod server;
mod settings;
mod sockets;
mod statements;
mod stream;
mod tls;
mod transactions;
mod users;
mod wire;
mod workers;

pub use pages::PageServer;
pub use server::{ServeOptions, Server, Token};
pub use tls::Tls;
pub use workers::ServeLimits;
