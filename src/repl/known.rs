//! Which names can be typed?
//!
//! Tables and functions are known as soon as a release is read, columns a little later: planning a view to learn its
//! columns takes a moment, and nobody waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, RwLock};

use tokio::sync::mpsc;

use crate::base::{ReleaseNumber, sql_type_name};
use crate::lakehouse::Session;

/// Tables whose columns are learned before anybody asks; a lake may have thousands.
const LEARNED: usize = 500;

/// A table or view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KnownTable {
    pub(super) schema: String,
    pub(super) name: String,
    /// Names and types, once they are learned.
    pub(super) columns: Vec<(String, String)>,
    /// Whether they are; a table that cannot be read has none.
    pub(super) is_learned: bool,
    /// The version that is read, if it has any.
    pub(super) version: Option<u64>,
}

/// The names of one release.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The release that they are of.
    pub(super) release: Option<ReleaseNumber>,
    pub(super) default_schema: String,
    pub(super) tables: Vec<KnownTable>,
    pub(super) functions: Vec<String>,
    pub(super) settings: Vec<String>,
    /// Statements that `execute` runs.
    pub(super) prepared: Vec<String>,
    /// Values of settings that have few.
    pub(super) values: Vec<(String, Vec<&'static str>)>,
    /// The columns of queries that stand in statements, by their text.
    pub(super) queries: HashMap<String, Columns>,
    /// Who learns what is wanted.
    pub(super) asked: Option<mpsc::UnboundedSender<Wanted>>,
}

/// Names and types.
pub(super) type Columns = Vec<(String, String)>;

/// Something whose columns would be good to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Table { schema: String, name: String },
    Query(String),
}

impl Wanted {
    fn sql(&self) -> String {
        match self {
            Self::Table { schema, name } => format!("select * from \"{schema}\".\"{name}\""),
            Self::Query(sql) => sql.clone(),
        }
    }
}

/// Names that the editor reads while they are learned.
pub(super) type Shared = Arc<RwLock<Known>>;

impl Known {
    fn of(session: &Session) -> Self {
        let pins = session.scope().pins();
        let table = |name: &crate::base::TableName| KnownTable {
            schema: name.schema().to_owned(),
            name: name.table().to_owned(),
            version: pins.tables.get(name).map(|version| version.0),
            ..KnownTable::default()
        };
        let own = session.tables_of_its_own().into_iter();
        let own = own.map(|(schema, name)| KnownTable { schema, name, ..KnownTable::default() });
        let mut functions = session.function_names();
        functions.retain(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()));
        functions.sort();
        functions.dedup();
        Self {
            release: session.scope().pins().release,
            default_schema: session.default_schema().to_owned(),
            tables: session.scope().names().iter().map(|(name, _)| table(name)).chain(own).collect(),
            functions,
            settings: session.setting_names(),
            prepared: session.prepared_names(),
            values: session.setting_values(),
            ..Self::default()
        }
    }

    /// Asks for columns; they are there a moment later.
    pub(super) fn want(&self, wanted: &[Wanted]) {
        for wanted in wanted {
            if let Some(asked) = &self.asked {
                let _ = asked.send(wanted.clone()); // nobody learns any more
            }
        }
    }
}

/// Learns the names of a session: those that are at hand at once, columns in a task of their own: first what somebody
/// who types wants to know.
pub(super) fn learn(shared: &Shared, session: &Session) {
    let mut known = Known::of(session);
    let temporary = session.temporary_names().into_iter();
    let schema = known.default_schema.clone();
    known.tables.extend(temporary.map(|name| KnownTable {
        schema: schema.clone(),
        name,
        ..KnownTable::default()
    }));
    let (asked, mut asks) = mpsc::unbounded_channel();
    known.asked = Some(asked);
    let release = known.release;
    let all = known.tables.iter().take(LEARNED);
    let mut rest: VecDeque<Wanted> =
        all.map(|table| Wanted::Table { schema: table.schema.clone(), name: table.name.clone() }).collect();
    replace(shared, |now| *now = known);
    let (shared, session) = (Arc::clone(shared), session.clone());
    tokio::spawn(async move {
        loop {
            let wanted = match asks.try_recv() {
                Ok(wanted) => wanted,
                Err(_) => match rest.pop_front() {
                    Some(next) => next,
                    None => match asks.recv().await {
                        Some(wanted) => wanted,
                        None => return, // other names are learned by now
                    },
                },
            };
            let columns: Columns = match Box::pin(session.check(&wanted.sql())).await {
                Ok(schema) => {
                    let fields = schema.fields().iter();
                    fields.map(|field| (field.name().clone(), sql_type_name(field.data_type()))).collect()
                }
                Err(_) => Vec::new(),
            };
            replace(&shared, |now| {
                if now.release != release {
                    return;
                }
                match wanted {
                    Wanted::Query(sql) => {
                        if now.queries.len() >= REMEMBERED {
                            now.queries.clear();
                        }
                        now.queries.insert(sql, columns);
                    }
                    Wanted::Table { schema, name } => {
                        let same = |known: &&mut KnownTable| known.schema == schema && known.name == name;
                        if let Some(known) = now.tables.iter_mut().find(same) {
                            (known.columns, known.is_learned) = (columns, true);
                        }
                    }
                }
            });
        }
    });
}

/// Queries whose columns are remembered.
const REMEMBERED: usize = 200;

fn replace(shared: &Shared, change: impl FnOnce(&mut Known)) {
    if let Ok(mut known) = shared.write() {
        change(&mut known);
    }
}
