//! What would a statement write?
//!
//! The answer is a [`Staged`]: [`Change`]s and names, held as values until somebody publishes them as one
//! release. DELETE, UPDATE and MERGE become a query that gives edits ([`crate::table::write::edit`]), planned
//! and run like any other; so whatever a query can say, their conditions and values can say too.
//!
//! Not here: publishing (`release`), and how rows leave a file (`table::write`).

mod alter;
mod copied;
mod create;
mod edits;
mod ingest;
mod insert;
mod lineage;
mod merge;
mod target;
mod view;

pub(super) use create::columns as declared_columns;
pub use ingest::{IfAbsent, IfThere};
pub(super) use insert::{default_is_null, refuse_others as refuse_others_of_insert};
pub(super) use merge::WITHOUT_WHEN;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use sqlparser::ast;

use super::dialect::{OwnWrite, Statement};
use super::thrift::Purpose;
use super::{Outcome, QueryError, Session, SqlMistake};
use crate::base::{TableName, TableVersion};
use crate::release::View;
use crate::table::{Change, Effect};

/// What a statement would write. Dropping it writes nothing.
#[derive(Debug, Default)]
pub struct Staged {
    /// What it is: `MERGE`, `CREATE TABLE`, …
    pub statement: &'static str,
    /// The tables that change, one change each.
    pub changes: Vec<Change>,
    /// Views to make or replace.
    pub views: BTreeMap<TableName, View>,
    /// Names that readers are no longer to see.
    pub hide: Vec<TableName>,
    /// Tables that readers are to see again.
    pub show: BTreeMap<TableName, TableVersion>,
    /// Schemas that are there from now on, or that are not any more.
    pub schemas: BTreeMap<String, bool>,
}

impl Staged {
    fn change(statement: &'static str, change: Change) -> Self {
        Self { statement, changes: vec![change], ..Self::default() }
    }

    fn nothing(statement: &'static str) -> Self {
        Self { statement, ..Self::default() }
    }

    /// Whether publishing it would change anything.
    pub fn is_empty(&self) -> bool {
        self.changes.iter().all(Change::is_empty)
            && self.views.is_empty()
            && self.hide.is_empty()
            && self.show.is_empty()
            && self.schemas.is_empty()
    }

    /// Rows added, updated and removed, over all tables.
    pub fn effect(&self) -> Effect {
        let sum = |mut whole: Effect, part: Effect| {
            whole.added += part.added;
            whole.updated += part.updated;
            whole.removed += part.removed;
            whole
        };
        self.changes.iter().map(Change::effect).fold(Effect::default(), sum)
    }
}

impl Session {
    /// Works out what a statement would write; nothing if it only reads.
    ///
    /// New data files are written beside the tables' own; no table has moved when it returns, nor when it
    /// fails or is dropped half-way.
    pub async fn stage(&self, sql: &str) -> Result<Option<Staged>, QueryError> {
        self.stage_statement(self.read(sql)?).await
    }

    /// The same, of a statement that was read.
    pub(crate) async fn stage_statement(&self, statement: Statement) -> Result<Option<Staged>, QueryError> {
        match statement {
            Statement::Write(statement) => {
                let source = lineage::source_of(&statement);
                let mut staged = Box::pin(self.stage_sql(*statement)).await?;
                if let Some(source) = source {
                    Box::pin(lineage::tell(self, source, &mut staged)).await;
                }
                self.check_staged(&staged)?;
                Ok(Some(staged))
            }
            Statement::OwnWrite(own) => {
                let staged = Box::pin(self.stage_own(own)).await?;
                self.check_staged(&staged)?;
                Ok(Some(staged))
            }
            _ => Ok(None),
        }
    }

    /// What a statement is, by its word, and the table or view that it would write; nothing where it may be several.
    pub(crate) fn aim(&self, statement: &Statement) -> Option<(&'static str, TableName)> {
        use ast::Statement as S;
        // The first name in it is the one that it writes.
        let mut first = None;
        let mut take = |name: &ast::ObjectName| {
            first = Some(name.clone());
            ControlFlow::Break(())
        };
        let word = match statement {
            Statement::Write(statement) => {
                let word = match &**statement {
                    S::Insert(_) => "INSERT",
                    S::Delete(_) => "DELETE",
                    S::Update(_) => "UPDATE",
                    S::Merge(_) => "MERGE",
                    S::Truncate(_) => "TRUNCATE",
                    S::CreateTable(_) => "CREATE TABLE",
                    S::AlterTable(_) => "ALTER TABLE",
                    S::CreateView(_) => "CREATE VIEW",
                    _ => return None,
                };
                let _ = ast::visit_relations(&**statement, &mut take);
                word
            }
            Statement::OwnWrite(OwnWrite::Merge { merge, .. }) => {
                let _ = ast::visit_relations(&**merge, &mut take);
                "MERGE"
            }
            Statement::OwnWrite(
                OwnWrite::InsertByName { insert } | OwnWrite::ReplaceWhere { insert, .. },
            ) => {
                let _ = ast::visit_relations(&**insert, &mut take);
                "INSERT"
            }
            _ => return None,
        };
        Some((word, target::table_name(self, &first?).ok()?))
    }

    /// Refuses what whoever asks may not change, whichever statement it was.
    fn check_staged(&self, staged: &Staged) -> Result<(), QueryError> {
        let changed = staged.changes.iter().map(Change::table);
        let mut names = changed.chain(staged.views.keys()).chain(&staged.hide).chain(staged.show.keys());
        names.try_for_each(|name| self.scope().check_changes(name))
    }

    async fn stage_sql(&self, statement: ast::Statement) -> Result<Staged, QueryError> {
        use ast::Statement as S;
        match statement {
            S::Insert(insert) => insert::insert(self, insert, insert::Matched::ByPlace).await,
            S::Delete(delete) => edits::delete(self, delete).await,
            S::Update(update) => edits::update(self, update).await,
            S::Merge(merge) => merge::merge(self, merge, false).await,
            S::Truncate(truncate) => edits::truncate(self, truncate).await,
            S::CreateTable(create) => create::create(self, create, None).await,
            S::AlterTable(alter_table) => alter::alter(self, alter_table).await,
            S::Comment { object_type, object_name, comment, .. } => {
                alter::comment(self, object_type, object_name, comment).await
            }
            S::CreateView(view) => view::create(self, view).await,
            S::CreateSchema { schema_name, if_not_exists, with, options, default_collate_spec, clone } => {
                let has_more = with.is_some() || options.is_some() || default_collate_spec.is_some();
                refuse_if(
                    has_more,
                    "this clause of CREATE SCHEMA",
                    "a schema is a name, and has nothing but tables",
                )?;
                refuse_if(
                    clone.is_some(),
                    "CLONE of a schema",
                    "clone its tables: `create table s.t clone main.t`",
                )?;
                view::create_schema(self, &schema_name, if_not_exists)
            }
            S::Drop { object_type: ast::ObjectType::Schema, if_exists, names, cascade, .. } => {
                view::drop_schemas(self, &names, if_exists, cascade)
            }
            S::Drop { object_type, if_exists, names, cascade, restrict, purge, .. } => {
                refuse_if(purge, "PURGE", "leave it out: `vacuum` deletes the files that no release needs")?;
                let readers = match (cascade, restrict) {
                    (true, _) => create::Readers::Dropped,
                    (false, true) => create::Readers::Respected,
                    (false, false) => create::Readers::Left,
                };
                create::drop(self, object_type, if_exists, &names, readers)
            }
            other => Err(not_supported(&format!("`{other}`"), "see `\\h` for the statements that there are")),
        }
    }

    async fn stage_own(&self, own: OwnWrite) -> Result<Staged, QueryError> {
        match own {
            OwnWrite::Merge { merge, evolve } => merge::merge(self, *merge, evolve).await,
            OwnWrite::InsertByName { insert } => insert::insert(self, *insert, insert::Matched::ByName).await,
            OwnWrite::ReplaceWhere { insert, predicate } => {
                insert::replace_where(self, *insert, *predicate).await
            }
            OwnWrite::Clone { create, as_of, shallow } => {
                create::create(self, *create, Some(create::Origin { as_of, shallow })).await
            }
            OwnWrite::Undrop { table } => create::undrop(self, &table),
            OwnWrite::Restore { table, as_of } => create::restore(self, &table, as_of).await,
            OwnWrite::Optimize { table, predicate, order_by } => {
                alter::optimize(self, &table, predicate.map(|expr| *expr), &order_by).await
            }
        }
    }

    /// Runs a query that was made of pieces of the user's statement.
    async fn rows_of(&self, query: ast::Query) -> Result<Outcome, QueryError> {
        Box::pin(self.run(ast::Statement::Query(Box::new(query)))).await
    }

    /// The same, of rows that are going to be written: those of one table in the order in which they lie.
    async fn rows_to_write(&self, query: ast::Query) -> Result<Outcome, QueryError> {
        let plan = Box::pin(self.plan(ast::Statement::Query(Box::new(query)))).await?;
        Box::pin(self.rows_of_plan_for(plan, Purpose::Write)).await
    }

    /// The columns that a query of the user's gives.
    async fn columns_of(&self, query: ast::Query) -> Result<Vec<String>, QueryError> {
        let schema = self.fields_of(query).await?;
        Ok(schema.fields().iter().map(|field| field.name().clone()).collect())
    }

    /// The columns that a query gives, with their types.
    async fn fields_of(&self, query: ast::Query) -> Result<SchemaRef, QueryError> {
        let plan = Box::pin(self.plan(ast::Statement::Query(Box::new(query)))).await?;
        Ok(Arc::new(plan.schema().as_arrow().clone()))
    }
}

fn not_supported(what: &str, instead: &str) -> QueryError {
    SqlMistake::new("elt::sql::not_supported", format!("{what} is not supported")).help(instead).into()
}

/// Refuses a clause that would otherwise be ignored.
fn refuse_if(is_there: bool, what: &str, instead: &str) -> Result<(), QueryError> {
    if is_there { Err(not_supported(what, instead)) } else { Ok(()) }
}
