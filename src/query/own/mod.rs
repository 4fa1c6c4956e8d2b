//! What does a session keep for itself?
//!
//! Temporary views and tables, prepared statements, variables and macros. They are shared by the sessions that go on from one
//! another when a newer release is read, and are gone with the last of them. A temporary name hides a table of the lake
//! from what is typed, and not from the lake's own views: it stands in a schema of its own ([`TEMPORARY`]), which
//! [`Own::spell`] puts before the name.

mod macros;
mod merged;
mod names;
mod rewrite;
mod temporary;
mod variable;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use sqlparser::ast;

use super::dialect::{IfKept, OwnStatement, OwnWrite, Statement};
use super::parameters::{asked_for, filled, places};
use super::progress::Progress;
use super::{Outcome, QueryError, Session, SqlMistake};
use crate::base::{Division, NullOrder, Unsaid, did_you_mean};

use macros::Macro;
pub(super) use macros::name_of as macro_name;
pub(super) use names::TEMPORARY;
pub(super) use temporary::Write;
pub(super) use temporary::{Temporary, TemporarySchema};
pub(super) use variable::{CurrentSetting, GetVariable};

/// What a session keeps.
#[derive(Clone, Debug, Default)]
pub(super) struct Own(Arc<Mutex<Kept>>);

#[derive(Clone, Debug, Default)]
struct Kept {
    temporary: BTreeMap<String, Temporary>,
    prepared: BTreeMap<String, PreparedText>,
    variables: BTreeMap<String, ScalarValue>,
    division: Option<Division>,
    zone: Option<String>,
    nulls: Option<NullOrder>,
    /// What settings of the engine were before they were set.
    noted: BTreeMap<String, Option<String>>,
    macros: BTreeMap<String, Macro>,
    /// How far what is worked out last is; nothing if nobody watches, for a plan holds memory.
    running: Option<Option<Progress>>,
    has_news: bool,
}

/// A statement with places, by its text.
#[derive(Clone, Debug)]
struct PreparedText {
    sql: String,
    types: Vec<ast::DataType>,
}

impl Own {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().expect("no holder panics")
    }

    /// A temporary view or table.
    pub(super) fn temporary(&self, name: &str) -> Option<Temporary> {
        self.kept().temporary.get(name).cloned()
    }

    /// The names of all temporary views and tables.
    pub(super) fn names(&self) -> Vec<String> {
        self.kept().temporary.keys().cloned().collect()
    }

    /// What a session keeps that knows this name and the same variables, and nothing else.
    pub(super) fn alone_with(&self, name: &str, rows: Arc<dyn TableProvider>) -> Self {
        let temporary = BTreeMap::from([(name.to_owned(), Temporary::Passing(rows))]);
        let kept = self.kept();
        let (variables, zone) = (kept.variables.clone(), kept.zone.clone());
        let (division, nulls) = (kept.division, kept.nulls);
        Self(Arc::new(Mutex::new(Kept { temporary, variables, zone, division, nulls, ..Kept::default() })))
    }

    /// The same with one name more, which is not told to who has this.
    pub(super) fn knowing(&self, name: &str, rows: Arc<dyn TableProvider>) -> Self {
        let mut kept = self.kept().clone();
        kept.temporary.insert(name.to_owned(), Temporary::Passing(rows));
        Self(Arc::new(Mutex::new(kept)))
    }

    fn put(&self, name: &str, temporary: Temporary) {
        let mut kept = self.kept();
        kept.temporary.insert(name.to_owned(), temporary);
        kept.has_news = true;
    }

    /// The names of macros.
    pub(super) fn macro_names(&self) -> Vec<String> {
        self.kept().macros.keys().cloned().collect()
    }

    /// What was said of what is left unsaid; the rest as `otherwise` has it.
    pub(super) fn unsaid(&self, otherwise: Unsaid) -> Unsaid {
        let kept = self.kept();
        Unsaid {
            division: kept.division.unwrap_or(otherwise.division),
            nulls: kept.nulls.unwrap_or(otherwise.nulls),
        }
    }

    /// Lets `/` mean this from now on; nothing goes back to what it meant at first.
    pub(super) fn divide(&self, division: Option<Division>) {
        self.kept().division = division;
    }

    /// The time zone that the session is in, unless it is UTC.
    pub(super) fn zone(&self) -> Option<String> {
        self.kept().zone.clone()
    }

    /// Lets the session be in this time zone from now on; nothing is UTC.
    pub(super) fn stay_in(&self, zone: Option<String>) {
        self.kept().zone = zone;
    }

    /// Lets nulls be here among sorted rows from now on; nothing puts them back to where they were at first.
    pub(super) fn sort_nulls(&self, nulls: Option<NullOrder>) {
        self.kept().nulls = nulls;
    }

    /// Notes what a setting of the engine was, unless that is known.
    pub(super) fn note(&self, name: String, before: Option<String>) {
        self.kept().noted.entry(name).or_insert(before);
    }

    /// What settings of the engine were before they were set, which is forgotten with this.
    pub(super) fn noted(&self) -> BTreeMap<String, Option<String>> {
        std::mem::take(&mut self.kept().noted)
    }

    /// How far what is worked out last is.
    pub(super) fn running(&self) -> Option<Progress> {
        self.kept().running.clone().flatten()
    }

    /// Somebody watches, or no longer.
    pub(super) fn watch(&self, is_watched: bool) {
        self.kept().running = is_watched.then_some(None);
    }

    /// Keeps whose progress can be asked for, if somebody watches.
    pub(super) fn runs(&self, progress: &Progress) {
        if let Some(running) = &mut self.kept().running {
            *running = Some(progress.clone());
        }
    }

    /// The value of a variable.
    pub(super) fn variable(&self, name: &str) -> Option<ScalarValue> {
        self.kept().variables.get(&name.to_lowercase()).cloned()
    }

    /// What `EXECUTE` stands for, with its values.
    fn executed(&self, name: &str, values: &[ast::Expr]) -> Result<String, SqlMistake> {
        let kept = self.kept();
        let Some(PreparedText { sql, types }) = kept.prepared.get(name) else {
            let mistake =
                SqlMistake::new("elt::sql::not_prepared", format!("there is no prepared statement `{name}`"));
            let help = did_you_mean(name, kept.prepared.keys().map(String::as_str));
            return Err(
                mistake.help(help.unwrap_or_else(|| format!("write `prepare {name} as select …` first")))
            );
        };
        let places = places(sql)?;
        let wanted = asked_for(&places);
        if wanted != values.len() {
            let what = format!("`{name}` needs {wanted} values, and {} are given", values.len());
            let help = format!("it is: {sql}");
            return Err(SqlMistake::new("elt::sql::parameters", what).help(help));
        }
        Ok(filled(sql, &places, |at| match types.get(at) {
            Some(data_type) => format!("CAST({} AS {data_type})", values[at]),
            None => format!("({})", values[at]),
        }))
    }
}

impl Session {
    /// Whether names came or went since this was last asked.
    pub fn has_news(&self) -> bool {
        std::mem::take(&mut self.own.kept().has_news)
    }

    /// The temporary views and tables, in order.
    pub fn temporary_names(&self) -> Vec<String> {
        self.own.names()
    }

    /// The prepared statements, in order.
    pub fn prepared_names(&self) -> Vec<String> {
        self.own.kept().prepared.keys().cloned().collect()
    }

    /// What a statement is when the session's own things are known: `EXECUTE` is what it executes, and a write to
    /// a temporary table is no write to the lake.
    pub(super) fn with_own(&self, statement: Statement) -> Result<Statement, SqlMistake> {
        match statement {
            Statement::Own(OwnStatement::Execute { name, values }) => {
                self.read(&self.own.executed(&name, &values)?)
            }
            Statement::Write(write) => Ok(match self.own.written(*write)? {
                Ok(temporary) => Statement::Temporary(Box::new(temporary)),
                Err(write) => Statement::Write(Box::new(write)),
            }),
            Statement::OwnWrite(OwnWrite::Merge { merge, evolve: false }) => {
                Ok(match self.own.written(ast::Statement::Merge(*merge))? {
                    Ok(temporary) => Statement::Temporary(Box::new(temporary)),
                    Err(ast::Statement::Merge(merge)) => {
                        Statement::OwnWrite(OwnWrite::Merge { merge: Box::new(merge), evolve: false })
                    }
                    Err(other) => Statement::Write(Box::new(other)),
                })
            }
            other => Ok(other),
        }
    }

    /// Carries out a statement about the session.
    pub(super) async fn keep(&self, statement: OwnStatement) -> Result<Outcome, QueryError> {
        match statement {
            OwnStatement::CreateView { name, columns, query, if_there } => {
                Box::pin(temporary::create_view(self, &name, &columns, *query, if_there)).await
            }
            OwnStatement::CreateTable { create, if_there } => {
                Box::pin(temporary::create_table(self, *create, if_there)).await
            }
            OwnStatement::Prepare { name, types, sql } => {
                places(&sql).map_err(SqlMistake::unplaced)?;
                let read = self
                    .read(&filled(&sql, &places(&sql)?, |_| "NULL".to_owned()))
                    .map_err(SqlMistake::unplaced)?;
                if matches!(read, Statement::Query(_)) {
                    Box::pin(self.prepare(&sql)).await.map_err(QueryError::unplaced)?;
                }
                let mut kept = self.own.kept();
                kept.prepared.insert(name, PreparedText { sql, types });
                kept.has_news = true;
                Ok(nothing())
            }
            OwnStatement::Execute { .. } => Err(SqlMistake::empty().into()), // `read` put its statement there
            OwnStatement::Deallocate { name: None } => {
                self.own.kept().prepared.clear();
                Ok(nothing())
            }
            OwnStatement::Deallocate { name: Some(name) } => {
                if self.own.kept().prepared.remove(&name).is_none() {
                    let what = format!("there is no prepared statement `{name}`");
                    return Err(SqlMistake::new("elt::sql::not_prepared", what).into());
                }
                Ok(nothing())
            }
            OwnStatement::CreateMacro { name, args, definition, if_there } => {
                let mut kept = self.own.kept();
                if kept.macros.contains_key(&name) && if_there == IfKept::Refuse {
                    let mistake =
                        SqlMistake::new("elt::sql::macro", format!("there is a macro `{name}` already"));
                    return Err(mistake.help("write `create or replace macro …`, or drop it first").into());
                }
                kept.macros.insert(name, Macro::new(args, *definition));
                kept.has_news = true;
                Ok(nothing())
            }
            OwnStatement::DropMacro { name, if_exists } => {
                let mut kept = self.own.kept();
                if kept.macros.remove(&name).is_none() && !if_exists {
                    let mistake = SqlMistake::new("elt::sql::macro", format!("there is no macro `{name}`"));
                    let help = did_you_mean(&name, kept.macros.keys().map(String::as_str));
                    return Err(match help {
                        Some(help) => mistake.help(help),
                        None => mistake.help("macros are a session's own: `create macro f(a) as a + 1`"),
                    }
                    .into());
                }
                kept.has_news = true;
                Ok(nothing())
            }
            OwnStatement::SetVariable { name, value } => {
                let value = Box::pin(variable::evaluated(self, *value)).await?;
                self.own.kept().variables.insert(name.to_lowercase(), value);
                Ok(nothing())
            }
            OwnStatement::ResetVariable { name } => {
                self.own.kept().variables.remove(&name.to_lowercase());
                Ok(nothing())
            }
        }
    }
}

/// An answer without columns.
pub(super) fn nothing() -> Outcome {
    Outcome::nothing()
}

/// What was done, and with how many rows.
fn done(statement: &str, rows: u64) -> Outcome {
    Outcome::table(
        ["statement", "rows"],
        &["rows"],
        vec![[Some(statement.to_owned()), Some(rows.to_string())]],
    )
}
