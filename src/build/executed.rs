//! Which statements made a node, and what did they take?
//!
//! They are written down beside the project when the run is over, also those of nodes that failed. Most of what a
//! build does is no statement of SQL but a change of a table's files; the statement that would do the same stands
//! for it.

use std::sync::{Mutex, PoisonError};

use super::sql_text::{quoted, table};
use crate::base::TableName;
use crate::query::{Outcome, Progress, Used};

/// The statements of one step, in the order in which they were carried out.
#[derive(Debug, Default)]
pub(super) struct Executed {
    statements: Mutex<Vec<String>>,
    queries: Mutex<Vec<Progress>>,
}

impl Executed {
    /// Takes note of a statement.
    pub(super) fn note(&self, sql: impl Into<String>) {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner).push(sql.into());
    }

    /// Takes note of a query that is about to give its rows.
    pub(super) fn asked(&self, outcome: &Outcome) {
        let progress = outcome.progress().cloned();
        self.queries.lock().unwrap_or_else(PoisonError::into_inner).extend(progress);
    }

    /// What the queries took of the machine: the most memory of one of them, and all that they put on disk. Nothing if no
    /// query was asked.
    pub(super) fn used(&self) -> Option<Used> {
        let queries = self.queries.lock().unwrap_or_else(PoisonError::into_inner);
        let all = queries.iter().map(Progress::used);
        all.reduce(|a, b| Used { memory: a.memory.max(b.memory), spilled: a.spilled + b.spilled })
    }

    /// That a table or a view is made of a query.
    pub(super) fn created(&self, what: &str, name: &TableName, sql: &str) {
        self.note(format!("create or replace {what} {} as\n{}", table(name), sql.trim()));
    }

    /// That rows of a query are added to a table.
    pub(super) fn added(&self, name: &TableName, sql: &str) {
        self.note(format!("insert into {}\n{}", table(name), sql.trim()));
    }

    /// That rows of a query take the place of those with the same key.
    pub(super) fn merged(&self, name: &TableName, key: &[String], sql: &str) {
        let on = key.iter().map(|column| format!("old.{0} = new.{0}", quoted(column)));
        self.note(format!(
            "merge into {} as old using (\n{}\n) as new\non {}\nwhen matched then update set *\nwhen not matched then insert *",
            table(name),
            sql.trim(),
            on.collect::<Vec<_>>().join(" and ")
        ));
    }

    /// All of them.
    pub(super) fn take(self) -> Vec<String> {
        self.statements.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
