//! How does a node become something that can be read?

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use chrono::{DateTime, Utc};
use datafusion::execution::SendableRecordBatchStream;

use super::contract::Contract;
use super::executed::Executed;
use super::incremental::{self, is_plain};
use super::layout::Layout;
use super::lookup::rows_of;
use super::step::render_late;
use super::{Action, BuildError, HookError, run_hooks, seed, snapshot};
use crate::base::{TableName, TableVersion};
use crate::compile::{
    Late, Lookup, Manifest, Materialization, Node, NodeId, NodeKind, OnConfigurationChange, OnSchemaChange,
    SeedNode, SnapshotNode, Stored,
};
use crate::query::{Follower, Limits, Outcome, QueryError, Scope, Session, StatementKind};
use crate::release::View;
use crate::table::write::{NewColumns, append, edit, merge, overwrite, overwrite_as};
use crate::table::{Change, Operation, Snapshot, TableError, follows, grown};

/// A node, made and not yet seen by anyone.
#[derive(Clone, Debug)]
pub(super) enum Made {
    /// As a table.
    Table(Arc<Change>),
    /// As a view.
    View(View),
}

/// Makes one node.
#[derive(Clone, Copy)]
pub(super) struct Making<'a> {
    pub(super) session: &'a Session,
    pub(super) manifest: &'a Manifest,
    pub(super) node: &'a Node,
    pub(super) action: Action,
    /// When the run started.
    pub(super) now: DateTime<Utc>,
    /// What is carried out is written down here.
    pub(super) executed: &'a Executed,
}

impl Making<'_> {
    fn query_error(&self, error: QueryError) -> BuildError {
        BuildError::query(self.node, error)
    }

    fn table_error(&self, error: TableError) -> BuildError {
        BuildError::table(self.node, error)
    }

    fn wrong(&self, why: String) -> BuildError {
        BuildError::wrong(self.node, why)
    }

    /// Makes the node as `action` says, with its hooks around it.
    pub(super) async fn make(&self) -> Result<Made, BuildError> {
        let Some(follower) = self.follower().await? else { return self.make_following(None).await };
        let scope = self.session.scope().clone().following(follower.clone());
        let session = Session::new(scope, self.session.default_schema(), Limits::default());
        Making { session: &session, ..*self }.make_following(Some(&follower)).await
    }

    /// How far an incremental model has come with the tables whose changes it takes in. Made anew, it has seen nothing.
    async fn follower(&self) -> Result<Option<Follower>, BuildError> {
        let is_incremental = matches!(self.node.materialization(), Some(Materialization::Incremental { .. }));
        if !is_incremental || !self.node.sql.to_lowercase().contains("table_changes") {
            return Ok(None);
        }
        let goes_on = matches!(self.action, Action::AppendRows | Action::MergeRows | Action::ReplaceRows);
        let Some(base) = self.head().await?.filter(|_| goes_on) else { return Ok(Some(Follower::default())) };
        let scope = self.session.scope();
        let names: BTreeMap<String, TableName> =
            scope.names().into_iter().map(|(name, _)| (follows(&name), name)).collect();
        let seen = base.transactions(scope.tables(), names.keys().cloned()).await;
        let seen = seen.map_err(|error| self.table_error(error))?.into_iter().filter_map(|(app, version)| {
            Some((names.get(&app)?.clone(), TableVersion(u64::try_from(version).ok()?)))
        });
        Ok(Some(Follower::new(seen.collect())))
    }

    async fn make_following(&self, follower: Option<&Follower>) -> Result<Made, BuildError> {
        // Hooks that write take their turn between the steps.
        let hooks = &self.node.hooks;
        for sql in hooks.before.iter().filter(|_| !hooks.write) {
            run_hook(self.session, sql).await.map_err(|error| self.query_error(error))?;
        }
        let made = match &self.node.kind {
            NodeKind::Seed(seed) => self.seed(seed).await?,
            NodeKind::Snapshot(snapshot) => self.snapshot(snapshot).await?,
            _ => self.model().await?,
        };
        let made = match (made, follower) {
            (Made::Table(change), Some(follower)) => {
                let number = |version: TableVersion| i64::try_from(version.0).unwrap_or(i64::MAX);
                let came = follower.came().into_iter();
                Made::Table(Arc::new(came.fold(
                    Arc::unwrap_or_clone(change),
                    |change, (name, before, now)| {
                        change.with_transaction(follows(&name), before.map(number), number(now))
                    },
                )))
            }
            (made, _) => made,
        };
        if !hooks.after.is_empty() && !hooks.write {
            let session = self.session_with(&made);
            for sql in &hooks.after {
                run_hook(&session, sql).await.map_err(|error| self.query_error(error))?;
            }
        }
        Ok(made)
    }

    fn name(&self) -> &TableName {
        self.node.relation.as_ref().expect("a node that is made has a name")
    }

    /// A session in which the node is there as it was made.
    fn session_with(&self, made: &Made) -> Session {
        let scope = self.session.scope().clone();
        let scope = match made {
            Made::Table(change) => scope.with_change(Arc::clone(change)),
            Made::View(view) => scope.with_view(self.name(), view.clone()),
        };
        Session::new(scope, self.session.default_schema(), Limits::default())
    }

    async fn model(&self) -> Result<Made, BuildError> {
        let node = self.node;
        self.header().await?;
        let contract = self.contract().await?;
        if self.action == Action::MakeView {
            let sql = contract.map_or_else(|| node.sql.clone(), |contract| contract.query(&node.sql));
            self.executed.created("view", self.name(), &sql);
            match self.session.check(&node.sql).await {
                // Its columns are values of rows, which all are there now.
                Err(error) if error.is_of_rows_to_come() => {
                    drop(self.rows_in(self.session, &node.sql).await?)
                }
                checked => drop(checked.map_err(|error| self.query_error(error))?),
            }
            let view = View::new(sql, node.description.as_str());
            return Ok(Made::View(view.meant_by(self.session.unsaid())));
        }
        let base = self.head().await?;
        if let (
            Some(Materialization::Incremental { strategy, details, on_schema_change, .. }),
            Some(base),
            Action::AppendRows | Action::MergeRows | Action::ReplaceRows,
        ) = (node.materialization(), &base, self.action)
            && !is_plain(*strategy, details, *on_schema_change)
        {
            if let Some(name) = &details.by_macro {
                return self.put_in_by(name).await;
            }
            return self.put_in(base).await;
        }
        let (key, new_columns) = incremental(node);
        match (self.action, &base) {
            (Action::MergeRows, Some(_)) => self.executed.merged(self.name(), key, &node.sql),
            (Action::AppendRows, Some(_)) => self.executed.added(self.name(), &node.sql),
            _ => self.executed.created("table", self.name(), &node.sql),
        }
        let rows = self.own_rows().await?;
        let tables = self.session.scope().tables();
        let layout = Layout::of(node).map_err(|why| self.wrong(why))?;
        if let (Some(Materialization::MaterializedView { on_change }), Some(old)) =
            (node.materialization(), &base)
            && let Some(differs) = layout.differs(old.design())
        {
            match on_change {
                OnConfigurationChange::Apply => {}
                OnConfigurationChange::Fail => {
                    return Err(self.wrong(format!(
                        "its layout has changed ({differs}), and `on_configuration_change` is `fail`; set it to `apply`, or take the change back"
                    )));
                }
                OnConfigurationChange::Continue => {
                    let change = overwrite(tables, self.name(), base, rows).await;
                    return self.made(change);
                }
            }
        }
        let change = match (self.action, base) {
            (Action::MergeRows, Some(base)) => merge(tables, base, key, rows, new_columns).await,
            (Action::AppendRows, Some(base)) => {
                append(tables, self.name(), Some(base), rows, new_columns).await
            }
            (_, base) => overwrite_as(tables, self.name(), base, rows, |design| layout.anew(design)).await,
        };
        let change = change.map_err(|error| match error {
            TableError::SchemaMismatch { because, help, .. } if new_columns == NewColumns::Fail => self
                .wrong(format!(
                    "Compilation Error: the source and target schemas are out of sync; {because}\n{help}"
                )),
            error => self.table_error(error),
        })?;
        self.made(Ok(layout.kept(change)))
    }

    /// Carries out what the model's `sql_header` sets, for the model's own session.
    async fn header(&self) -> Result<(), BuildError> {
        let header =
            self.node.config.get("sql_header").and_then(|header| header.as_str()).unwrap_or_default();
        for statement in header.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let prepared = self.session.prepare(statement).await.map_err(|error| self.in_header(&error))?;
            if !matches!(prepared.kind, StatementKind::Setting { .. }) {
                let first: String = statement.chars().take(40).collect();
                return Err(self.wrong(format!(
                    "not supported: `{first}` in `sql_header`, because a model is one query; only `set name = value` can come before it, instead write a macro or a CTE"
                )));
            }
            Box::pin(self.session.execute(statement)).await.map_err(|error| self.in_header(&error))?;
        }
        Ok(())
    }

    fn in_header(&self, error: &QueryError) -> BuildError {
        self.wrong(format!("its `sql_header` failed: {error}"))
    }

    /// Puts the new rows in by the statements that a macro of the project gives.
    async fn put_in_by(&self, name: &str) -> Result<Made, BuildError> {
        let (session, staged, _) = self.stage().await?;
        let text = format!(
            "{{{{ {name}({{'target_relation': this, 'temp_relation': api.Relation.create(schema='{}', identifier='{}'), \
             'unique_key': config.get('unique_key'), 'dest_columns': adapter.get_columns_in_relation(this), \
             'incremental_predicates': config.get('incremental_predicates', config.get('predicates'))}}) }}}}",
            staged.schema(),
            staged.table()
        );
        let rendered = move |late: &Late, id: &NodeId, lake: &Arc<dyn Lookup>| late.text(id, &text, lake);
        let sql = render_late(self.manifest, &session, &self.node.id, rendered).await?;
        self.executed.note(sql.as_str());
        let own = self.name();
        let is_refused = |written: &TableName| {
            (written != own).then(|| format!("the strategy of `{own}` puts rows into `{own}` alone"))
        };
        let scope = session.scope().clone();
        let done = Box::pin(run_hooks(scope, session.default_schema(), &[sql], is_refused)).await;
        let mut done = done.map_err(|error| match error {
            HookError::Query(error) => self.wrong(format!("the statements of `{name}` failed: {error}")),
            HookError::Refused(why) => self.wrong(why),
        })?;
        match done.changes.remove(own) {
            Some(change) => self.made(Ok(Arc::unwrap_or_clone(change))),
            None => Err(self.wrong(format!("the macro `{name}` gave no statement that writes to `{own}`"))),
        }
    }

    /// What the node's contract makes of its query; nothing if it has none.
    async fn contract(&self) -> Result<Option<Contract>, BuildError> {
        if !super::has_contract(self.node) {
            return Ok(None);
        }
        let schema = self.session.check(&self.node.sql).await.map_err(|error| self.query_error(error))?;
        Contract::of(self.node, &schema).map_err(|why| self.wrong(why))
    }

    /// The rows of the node's own query, as its contract has them.
    async fn own_rows(&self) -> Result<SendableRecordBatchStream, BuildError> {
        let rows = self.rows(&self.node.sql).await?;
        let contract = Contract::of(self.node, &rows.schema()).map_err(|why| self.wrong(why))?;
        Ok(match contract {
            Some(contract) => contract.rows(rows),
            None => rows,
        })
    }

    async fn rows(&self, sql: &str) -> Result<SendableRecordBatchStream, BuildError> {
        self.rows_in(self.session, sql).await
    }

    async fn rows_in(&self, session: &Session, sql: &str) -> Result<SendableRecordBatchStream, BuildError> {
        let outcome = session.query_to_write(sql).await.map_err(|error| self.query_error(error))?;
        self.executed.asked(&outcome);
        Ok(outcome.into_stream())
    }

    fn made(&self, change: Result<Change, TableError>) -> Result<Made, BuildError> {
        let change = change.map_err(|error| self.table_error(error))?;
        Ok(Made::Table(Arc::new(with_provenance(change, self.node))))
    }

    /// The version of the node's table that the change goes on from, whether readers see it or not.
    async fn head(&self) -> Result<Option<Arc<Snapshot>>, BuildError> {
        let scope: &Scope = self.session.scope();
        // A batch goes on from the batches before it.
        if let Some(change) = scope.change(self.name()) {
            return change.as_snapshot().map(Some).map_err(|error| self.table_error(error));
        }
        match scope.pins().head(self.name()) {
            Some(version) => {
                let snapshot = scope.tables().snapshot(self.name(), version).await;
                Ok(Some(snapshot.map_err(|error| self.table_error(error))?))
            }
            None => Ok(None),
        }
    }

    /// Writes the rows of the node's query beside the lake's tables, so that they can be read again and again.
    async fn stage(&self) -> Result<(Session, TableName, Arc<Schema>), BuildError> {
        let name = self.name().companion("elt_new").map_err(|error| self.wrong(error.to_string()))?;
        self.executed.created("table", &name, &self.node.sql);
        let rows = self.own_rows().await?;
        let change = overwrite(self.session.scope().tables(), &name, None, rows).await;
        let change = Arc::new(change.map_err(|error| self.table_error(error))?);
        let schema = change.schema().clone();
        let scope = self.session.scope().clone().with_change(change);
        Ok((Session::new(scope, self.session.default_schema(), Limits::default()), name, schema))
    }

    /// Puts the new rows into the table as the model's strategy has it.
    async fn put_in(&self, base: &Arc<Snapshot>) -> Result<Made, BuildError> {
        let Some(Materialization::Incremental { strategy, unique_key, on_schema_change, details, .. }) =
            self.node.materialization()
        else {
            unreachable!("only incremental models put rows in");
        };
        let (session, staged, schema) = self.stage().await?;
        let plan = |old| incremental::Plan {
            strategy: *strategy,
            key: unique_key,
            on_schema_change: *on_schema_change,
            details,
            old: (self.name(), old),
            new: (&staged, &schema),
        };
        let first = plan(base.schema());
        if let Some(duplicates) = first.duplicates() {
            self.refuse_duplicates(&session, unique_key, &duplicates).await?;
        }
        for (sql, refusal) in first.losses().map_err(|why| self.wrong(why))? {
            let rows = session.query(&sql).await.map_err(|error| self.query_error(error))?.collect().await;
            let rows = rows.map_err(|error| self.query_error(error))?;
            if rows.iter().any(|rows| rows.num_rows() > 0) {
                return Err(self.wrong(refusal));
            }
        }
        let tables = self.session.scope().tables();
        let layout = Layout::of(self.node).map_err(|why| self.wrong(why))?;
        // A column that goes or gets another type: the old rows are written in their new columns first.
        let (session, base, reshaped) = match first.keeps_files().map_err(|why| self.wrong(why))? {
            true => (session, Arc::clone(base), None),
            false => {
                let sql = first.reshaped().map_err(|why| self.wrong(why))?;
                self.executed.created("table", self.name(), &sql);
                let rows = self.rows_in(&session, &sql).await?;
                let anew = |design| layout.anew(design);
                let change = overwrite_as(tables, self.name(), Some(Arc::clone(base)), rows, anew).await;
                let change = Arc::new(change.map_err(|error| self.table_error(error))?);
                let base = change.as_snapshot().map_err(|error| self.table_error(error))?;
                let scope = session.scope().clone().with_change(Arc::clone(&change));
                (Session::new(scope, session.default_schema(), Limits::default()), base, Some(change))
            }
        };
        let plan = plan(base.schema());
        let edits = plan.edits().map_err(|why| self.wrong(why))?;
        self.executed.note(format!("-- the rows that leave {} and those that come\n{edits}", self.name()));
        let edits = self.rows_in(&session, &edits).await?;
        let after = plan.after().map_err(|why| self.wrong(why))?;
        let after = grown(&base, &after).map_err(|error| self.table_error(error))?;
        let mode = layout.mode(base.design());
        let change = edit(tables, base, after, edits, Operation::Merge, mode).await;
        let change = change.map(|change| match reshaped {
            Some(reshaped) => {
                // Rows that are only written again count nowhere.
                Arc::unwrap_or_clone(reshaped).without_effect().then(change)
            }
            None => change,
        });
        self.made(change.map(|change| layout.kept(change)))
    }

    async fn refuse_duplicates(
        &self,
        session: &Session,
        key: &[String],
        sql: &str,
    ) -> Result<(), BuildError> {
        let found = async { session.query(sql).await?.collect().await };
        let found: Vec<RecordBatch> = found.await.map_err(|error| self.query_error(error))?;
        let first = found.iter().find(|batch| batch.num_rows() > 0);
        let Some(first) =
            first.and_then(|batch| rows_of(batch).ok()).and_then(|rows| rows.into_iter().next())
        else {
            return Ok(());
        };
        Err(self.wrong(snapshot::duplicate_key(key, &first)))
    }

    async fn seed(&self, seed: &SeedNode) -> Result<Made, BuildError> {
        let seed = seed.clone();
        let read = tokio::task::spawn_blocking(move || seed::read(&seed)).await;
        let batch = read.expect("reading a seed does not panic").map_err(|why| self.wrong(why))?;
        seed::statements(self.name(), &batch).into_iter().for_each(|sql| self.executed.note(sql));
        let base = self.head().await?;
        let rows = Outcome::rows(batch).into_stream();
        self.made(overwrite(self.session.scope().tables(), self.name(), base, rows).await)
    }

    async fn snapshot(&self, node: &SnapshotNode) -> Result<Made, BuildError> {
        let wrong =
            |why: String| self.wrong(format!("Compilation Error in snapshot {}: {why}", self.node.name));
        let base =
            self.head().await?.filter(|_| self.session.scope().pins().tables.contains_key(self.name()));
        let (session, staged, schema) = self.stage().await?;
        let old = base.as_ref().map(|base| (self.name(), base.schema().as_ref()));
        let run = snapshot::Run { node, old, new: (&staged, &schema), now: self.now };
        run.check().map_err(wrong)?;
        let duplicates = incremental::duplicates(&node.unique_key, run.new);
        self.refuse_duplicates(&session, &node.unique_key, &duplicates).await?;
        let sql = run.query();
        match &base {
            Some(_) => {
                self.executed.merged(self.name(), std::slice::from_ref(&node.names.scd_id), &sql);
            }
            None => self.executed.created("table", self.name(), &sql),
        }
        let rows = self.rows_in(&session, &sql).await?;
        let tables = self.session.scope().tables();
        match base {
            Some(base) => {
                let key = std::slice::from_ref(&node.names.scd_id);
                self.made(merge(tables, base, key, rows, NewColumns::Append).await)
            }
            None => self.made(overwrite(tables, self.name(), self.head().await?, rows).await),
        }
    }

    /// Keeps the failing rows of a test.
    pub(super) async fn failures(&self, stored: Stored) -> Result<Made, BuildError> {
        if stored == Stored::View {
            let description = format!("what breaks the test {}", self.node.name);
            let view = View::new(self.node.sql.as_str(), description);
            return Ok(Made::View(view.meant_by(self.session.unsaid())));
        }
        let rows = self.rows(&self.node.sql).await?;
        let base = self.head().await?;
        self.made(overwrite(self.session.scope().tables(), self.name(), base, rows).await)
    }
}

/// Runs the statements of a hook; their rows are dropped.
pub(super) async fn run_hook(session: &Session, sql: &str) -> Result<(), QueryError> {
    for statement in sql.split(';').filter(|part| !part.trim().is_empty()) {
        session.query(statement).await?.collect().await?;
    }
    Ok(())
}

fn incremental(node: &Node) -> (&[String], NewColumns) {
    let Some(Materialization::Incremental { unique_key, on_schema_change, .. }) = node.materialization()
    else {
        return (&[], NewColumns::Ignore);
    };
    let new_columns = match on_schema_change {
        OnSchemaChange::Ignore => NewColumns::Ignore,
        OnSchemaChange::Fail => NewColumns::Fail,
        OnSchemaChange::AppendNewColumns | OnSchemaChange::SyncAllColumns => NewColumns::Append,
    };
    (unique_key, new_columns)
}

/// Writes into the commit which code made it.
fn with_provenance(change: Change, node: &Node) -> Change {
    change
        .with_provenance("model", node.id.to_string())
        .with_provenance("fingerprint", node.fingerprint.to_string())
        .with_provenance("path", node.path.clone())
}
