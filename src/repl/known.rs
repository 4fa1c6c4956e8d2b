//! Which names can be typed?
//!
//! Tables and functions are known as soon as a release is read, columns a little later: planning a view to learn its
//! columns takes a moment, and nobody waits for it.

use std::sync::{Arc, RwLock};

use crate::base::{ReleaseNumber, sql_type_name};
use crate::lakehouse::Session;

/// Tables whose columns are learned; a lake may have thousands.
const LEARNED: usize = 500;

/// A table or view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KnownTable {
    pub(super) schema: String,
    pub(super) name: String,
    /// Names and types, once they are learned.
    pub(super) columns: Vec<(String, String)>,
}

/// The names of one release.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The release that they are of.
    pub(super) release: Option<ReleaseNumber>,
    pub(super) default_schema: String,
    pub(super) tables: Vec<KnownTable>,
    pub(super) functions: Vec<String>,
}

/// Names that the editor reads while they are learned.
pub(super) type Shared = Arc<RwLock<Known>>;

impl Known {
    fn of(session: &Session) -> Self {
        let table = |name: &crate::base::TableName| KnownTable {
            schema: name.schema().to_owned(),
            name: name.table().to_owned(),
            columns: Vec::new(),
        };
        let mut functions = session.function_names();
        functions.retain(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()));
        functions.sort();
        functions.dedup();
        Self {
            release: session.scope().pins().release,
            default_schema: session.default_schema().to_owned(),
            tables: session.scope().names().iter().map(|(name, _)| table(name)).collect(),
            functions,
        }
    }
}

/// Learns the names of a session: those that are at hand at once, columns in a task of their own.
pub(super) fn learn(shared: &Shared, session: &Session) {
    let known = Known::of(session);
    let (release, tables) = (known.release, known.tables.clone());
    replace(shared, |now| *now = known);
    let (shared, session) = (Arc::clone(shared), session.clone());
    tokio::spawn(async move {
        for table in tables.into_iter().take(LEARNED) {
            let sql = format!("select * from \"{}\".\"{}\"", table.schema, table.name);
            let Ok(schema) = Box::pin(session.check(&sql)).await else { continue };
            let columns: Vec<(String, String)> = schema
                .fields()
                .iter()
                .map(|field| (field.name().clone(), sql_type_name(field.data_type())))
                .collect();
            replace(&shared, |now| {
                if now.release == release {
                    let same =
                        |known: &&mut KnownTable| known.schema == table.schema && known.name == table.name;
                    if let Some(known) = now.tables.iter_mut().find(same) {
                        known.columns = columns;
                    }
                }
            });
        }
    });
}

fn replace(shared: &Shared, change: impl FnOnce(&mut Known)) {
    if let Ok(mut known) = shared.write() {
        change(&mut known);
    }
}
