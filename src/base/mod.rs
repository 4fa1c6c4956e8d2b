//! What words do all rooms share?
//!
//! Names, versions, the door through which time and chance come in, and the one way a mistake
//! is told to a person: a [`Diagnostic`] with what, where, why and what to do next.
//!
//! Not here: anything that knows a file format, a query or a lake.

mod diagnostic;
mod division;
mod duration;
mod error;
mod grant;
mod name;
mod narrow;
mod pages;
mod schema_type;
mod size;
mod source;
mod stack;
mod stop;
mod strictness;
mod suggest;
mod threads;
mod unsaid;
mod version;
mod wanted;
mod watch;
mod world;

pub use diagnostic::{Diagnostic, Severity, show_all};
pub use division::Division;
pub use duration::parse_duration;
pub use error::{Error, ErrorKind, Result};
pub use grant::{GRANT_HELP, Grant, Privilege, Securable};
pub use name::{NameError, TableName};
pub use narrow::Narrowed;
pub use pages::{large_pages, small_pages};
pub use schema_type::{parse_data_type, sql_type_name};
pub use size::parse_size;
pub use source::{SourceText, Span};
pub use stack::{STACK, roomy, with_stack};
pub use stop::{Stop, after};
pub use strictness::{Strictness, event_name};
pub use suggest::{did_you_mean, nearest};
pub use threads::leave;
pub use unsaid::{NullOrder, Unsaid};
pub use version::{AsOf, ReleaseNumber, TableVersion};
pub use wanted::{Waiting, Wanted, is_wanted, waiting, wanted_by, while_wanted};
pub use watch::{Ending, Event, Message, NodeFacts, RunFacts, Step, Told, Unwatched, Watch, grouped};
pub use world::{Clock, Ids, World, parse_instant, state_folder};
