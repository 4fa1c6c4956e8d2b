//! What do several statements do that are to be published together?
//!
//! They are staged one on top of the other in a session, which sees what they did; nobody else does. Publishing is one release
//! of all of it, or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};

use super::openlineage::Spoken;
use super::statement::told;
use super::{IfAbsent, IfThere, Lakehouse, Manner, Rows};
use crate::base::{TableName, TableVersion};
use crate::query::{Outcome, QueryError, Session, SqlMistake, Staged, Statement};
use crate::release::{self, Release, ReleaseError, View};
use crate::table::{Change, TableError};

/// Statements that are published together, or not at all. Dropped, nothing has happened.
#[derive(Clone, Debug)]
pub struct Transaction {
    session: Session,
    changes: BTreeMap<TableName, Arc<Change>>,
    views: BTreeMap<TableName, View>,
    hide: BTreeSet<TableName>,
    show: BTreeMap<TableName, TableVersion>,
    schemas: BTreeMap<String, bool>,
    statements: usize,
}

impl Transaction {
    /// One that begins with what a session sees.
    pub fn begin(session: Session) -> Self {
        let (changes, views) = (BTreeMap::new(), BTreeMap::new());
        let (hide, show, schemas) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        Self { session, changes, views, hide, show, schemas, statements: 0 }
    }

    /// What is seen within it: what the session saw when it began, and what its own statements did.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Has what follows be read as its user wants it from now on. It goes on seeing what it saw.
    ///
    /// # Errors
    /// There is no such schema.
    pub fn settle(&mut self, manner: &Manner, default_schema: &str) -> Result<(), QueryError> {
        let schema = manner.schema.as_deref().unwrap_or(default_schema);
        let unsaid = (manner.division, manner.nulls);
        self.session = self.session.settled(schema, manner.time_zone.as_deref(), unsaid)?;
        Ok(())
    }

    /// Goes on in a session that sees what this one's does, and in which other things were agreed on meanwhile.
    pub fn go_on_in(&mut self, session: Session) {
        self.session = session;
    }

    /// How many statements wrote something.
    pub fn statements(&self) -> usize {
        self.statements
    }

    /// Takes what a statement staged into it.
    fn take(&mut self, staged: Staged) -> Outcome {
        let outcome = told(&staged, None);
        let mut scope = self.session.scope().clone();
        for name in staged.hide {
            scope = scope.without(&name);
            self.changes.remove(&name);
            self.views.remove(&name);
            self.show.remove(&name);
            self.hide.insert(name);
        }
        for (name, version) in staged.show {
            scope = scope.with_table(&name, version);
            self.hide.remove(&name);
            self.show.insert(name, version);
        }
        for (schema, is_there) in staged.schemas {
            scope = scope.with_schema(&schema, is_there);
            self.schemas.insert(schema, is_there);
        }
        for change in staged.changes {
            let name = change.table().clone();
            let whole = Arc::new(match scope.change(&name).cloned() {
                Some(before) => Arc::unwrap_or_clone(before).then(change),
                None => change,
            });
            scope = scope.with_change(Arc::clone(&whole));
            self.changes.insert(name, whole);
        }
        for (name, view) in staged.views {
            scope = scope.with_view(&name, view.clone());
            self.views.insert(name, view);
        }
        self.session = self.session.seeing(scope);
        self.statements += 1;
        outcome
    }
}

impl Lakehouse {
    /// Runs a statement within a transaction. What it writes is seen there, and published with the rest.
    ///
    /// # Errors
    /// The statement is wrong, or one that is a release of its own. The transaction is as it was before it.
    pub async fn execute_within(
        &self,
        transaction: &mut Transaction,
        sql: &str,
    ) -> Result<Outcome, QueryError> {
        let session = transaction.session.clone();
        let statement = session.read(sql)?;
        if matches!(statement, Statement::Vacuum(_) | Statement::CopyInto(_) | Statement::Roles(_)) {
            let help = "run it by itself, before or after";
            return Err(
                SqlMistake::refused("this statement within a transaction is not supported", help).into()
            );
        }
        self.tables().lake().check_writable().await.map_err(TableError::from)?;
        if !statement.writes() {
            return session.answer(statement).await;
        }
        match session.stage_statement(statement).await? {
            Some(staged) => Ok(transaction.take(staged)),
            None => Err(SqlMistake::empty().into()), // whatever else writes was refused above
        }
    }

    /// Takes rows from outside into a table within a transaction. Returns how many there were.
    ///
    /// # Errors
    /// As [`ingest`](Self::ingest). The transaction is as it was before.
    pub async fn ingest_within(
        &self,
        transaction: &mut Transaction,
        table: &TableName,
        if_absent: IfAbsent,
        if_there: IfThere,
        schema: SchemaRef,
        rows: Rows,
    ) -> Result<u64, QueryError> {
        self.tables().lake().check_writable().await.map_err(TableError::from)?;
        let rows =
            Box::pin(RecordBatchStreamAdapter::new(schema, rows.map_err(DataFusionError::External).boxed()));
        let session = transaction.session.clone();
        let staged = Box::pin(session.stage_rows(table, if_absent, if_there, rows)).await?;
        let added = staged.effect().added;
        transaction.take(staged);
        Ok(added)
    }

    /// Publishes what the statements of a transaction did, as one release; nothing if they did nothing.
    ///
    /// # Errors
    /// [`ReleaseError::LostRace`] if others published meanwhile and changed what it read or wrote. Nothing was published.
    pub async fn publish_transaction(
        &self,
        transaction: Transaction,
    ) -> Result<Option<Release>, ReleaseError> {
        let staged = Staged {
            statement: "TRANSACTION",
            changes: transaction.changes.into_values().map(Arc::unwrap_or_clone).collect(),
            views: transaction.views,
            hide: transaction.hide.into_iter().collect(),
            show: transaction.show,
            schemas: transaction.schemas,
        };
        if staged.is_empty() {
            return Ok(None);
        }
        release::recover(self.tables().lake()).await?;
        let teller = self.teller();
        let statement = Spoken { sql: "", teller: teller.as_ref() };
        self.publish_staged(&transaction.session, &staged, statement).await
    }
}
