//! How does a person, or a script, talk to a lakehouse?
//!
//! [`shell`] is a conversation at a terminal, [`script`] a text that is run from its first statement to
//! its last; both are a `Sitting`: it reads an entry, answers it from a session that sees one release,
//! and shows the answer with [`show`]. Backslash commands are rows of one table, in `command`. While a line is typed,
//! `complete` says what could follow and `highlight` gives it colours; both know the names that `known` learned.
//!
//! Not here: what a statement means (`query`), and flags, which are the command line's.
#![allow(clippy::print_stderr)] // with `cli`, the only room that talks to people

mod bound;
mod command;
mod complete;
mod editor;
mod explain;
mod highlight;
mod input;
mod interrupt;
mod known;
mod obey;
mod output;
mod pager;
mod progress;
mod render;
mod scan;
mod script;
mod shell;
mod sitting;
mod sources;
mod sql_help;
mod sql_text;
mod threads;
mod variables;
mod words;

pub use editor::terminal_width;
pub use explain::explain;
pub use interrupt::{interrupted, stopped};
pub use render::{Format, ShowError, ShowOptions, Shown, UnknownFormat, show};
pub use script::{script, scripts};
pub use shell::shell;
pub use sitting::{OnError, ShellSettings, Verbs};
pub use sql_text::sql_text;
