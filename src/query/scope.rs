//! What can a session see?

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::LogicalPlan;

use super::views::{KnownViews, Leaf, PlannedView};
use super::{QueryError, Reads, Rights};
use crate::base::{AsOf, TableName, TableVersion, Unsaid};
use crate::release::{self, Pins, View};
use crate::table::{Change, Scan, Snapshot, TableError, Tables, changes, changes_since, version_at};

/// One release, and what a build has staged on top of it.
///
/// Everything in it is immutable: a clone with one more change is how a build goes on, and a model
/// that is being built keeps seeing what it saw when it began.
#[derive(Clone, Debug)]
pub struct Scope {
    tables: Tables,
    /// Shared by its clones: there is one for each view that is planned.
    pins: Arc<Pins>,
    changes: Arc<BTreeMap<TableName, Arc<Change>>>,
    /// What was read through this scope and its clones.
    read: Arc<Mutex<BTreeMap<TableName, TableVersion>>>,
    /// The same with what is staged and what is not in the lake, for who wants to know of a part of it.
    reads: Arc<Mutex<Reads>>,
    /// How far the reader had come with other tables, if it follows them.
    follower: Option<Follower>,
    /// What is not made yet, and the columns that it is going to have.
    assumed: Arc<BTreeMap<TableName, SchemaRef>>,
    /// The views that were planned.
    known_views: KnownViews,
    /// What whoever reads it may; nothing for who may do anything.
    rights: Option<Arc<Rights>>,
    /// What SQL means to whoever reads it where it leaves something unsaid.
    unsaid: Unsaid,
}

/// How far a model has come with the tables whose changes it takes in.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    before: BTreeMap<TableName, TableVersion>,
    now: Arc<Mutex<BTreeMap<TableName, TableVersion>>>,
}

impl Follower {
    /// One that has seen these versions.
    pub fn new(before: BTreeMap<TableName, TableVersion>) -> Self {
        Self { before, now: Arc::default() }
    }

    /// How far it has come with each table now, and how far it was.
    pub fn came(&self) -> Vec<(TableName, Option<TableVersion>, TableVersion)> {
        let now = self.now.lock().expect("no holder panics");
        now.iter().map(|(name, now)| (name.clone(), self.before.get(name).copied(), *now)).collect()
    }
}

/// Adds the schemas of some names. It goes from schema to schema, and not from name to name: every lookup asks for it.
fn schemas_of<T>(names: &BTreeMap<TableName, T>, schemas: &mut BTreeSet<String>) {
    let mut next = names.keys().next();
    while let Some(name) = next {
        let after = TableName::after_schema(name.schema());
        schemas.insert(name.schema().to_owned());
        next = names.range((Bound::Excluded(after), Bound::Unbounded)).next().map(|(name, _)| name);
    }
}

/// A name that stands for any table of a schema.
fn any_in(schema: &str) -> Option<TableName> {
    TableName::new(schema, "any").ok()
}

/// What a name stands for.
pub(super) enum Meaning {
    /// Rows that are kept.
    Table(Arc<dyn TableProvider>),
    /// A query; with the release to read its tables from, if it is not this scope's.
    View(View, Option<crate::base::ReleaseNumber>),
}

impl Scope {
    /// A release, as it was published.
    pub fn of(tables: Tables, pins: Pins) -> Self {
        Self {
            tables,
            pins: Arc::new(pins),
            changes: Arc::default(),
            read: Arc::default(),
            reads: Arc::default(),
            follower: None,
            assumed: Arc::default(),
            known_views: KnownViews::default(),
            rights: None,
            unsaid: Unsaid::default(),
        }
    }

    /// The same for somebody to whom what is left unsaid means this. What views say keeps its own meaning.
    #[must_use]
    pub fn meant_by(mut self, unsaid: Unsaid) -> Self {
        self.unsaid = unsaid;
        self
    }

    /// What SQL means to whoever reads it where it leaves something unsaid.
    pub fn unsaid(&self) -> Unsaid {
        self.unsaid
    }

    /// The same for somebody with these rights.
    #[must_use]
    pub fn for_rights(mut self, rights: Option<Arc<Rights>>) -> Self {
        self.rights = rights;
        // A plan holds for whom it was made.
        self.known_views = KnownViews::default();
        self
    }

    /// What whoever reads it may; nothing for who may do anything.
    pub fn rights(&self) -> Option<&Arc<Rights>> {
        self.rights.as_ref()
    }

    /// The same while a view is planned that may be read.
    pub(super) fn within_view(mut self) -> Self {
        self.rights = self.rights.map(|rights| Arc::new(rights.within_view()));
        self
    }

    /// Whether a name is there for whoever reads.
    pub(super) fn sees(&self, name: &TableName) -> bool {
        self.rights.as_ref().is_none_or(|rights| rights.sees(name))
    }

    /// Whether whoever reads would see a new table in a schema.
    fn sees_all_of(&self, schema: &str) -> bool {
        any_in(schema).is_some_and(|name| self.sees(&name))
    }

    /// Refuses to have a schema made or dropped by whoever may not change all that is in it.
    pub(super) fn check_schema(&self, schema: &str) -> Result<(), QueryError> {
        let Some((rights, name)) = self.rights.as_ref().zip(any_in(schema)) else { return Ok(()) };
        rights.check_changes(&name).map_err(|_| {
            let help = format!("`grant modify on schema {schema} to role {}` would allow it", rights.role);
            rights.refused(format!("you may not make or drop the schema `{schema}`"), help)
        })
    }

    /// Whether there is something in a table that whoever reads it does not see.
    pub(super) fn is_guarded(&self, name: &TableName) -> bool {
        self.rights.as_ref().is_some_and(|rights| rights.policy(name).is_some())
    }

    /// Refuses to tell of all of a table to whoever does not see all that is in it.
    pub(super) fn check_whole(&self, name: &TableName) -> Result<(), QueryError> {
        match &self.rights {
            Some(rights) if rights.policy(name).is_some() => Err(rights.refused(
                format!("`{name}` has rows or columns that the role `{}` does not see", rights.role),
                format!("`describe {name}` lists its columns"),
            )),
            _ => Ok(()),
        }
    }

    /// Refuses to have the files of a table taken over by whoever does not see all that is in them.
    pub(super) fn check_copies(&self, name: &TableName) -> Result<(), QueryError> {
        let Some(rights) = &self.rights else { return Ok(()) };
        rights.check_reads(name)?;
        match rights.policy(name) {
            None => Ok(()),
            Some(_) => Err(rights.refused(
                format!("`{name}` has rows or columns that the role `{}` does not see", rights.role),
                format!("copy what it sees: `create table … as select * from {name}`"),
            )),
        }
    }

    /// Refuses to have a table changed by whoever may not.
    pub(super) fn check_changes(&self, name: &TableName) -> Result<(), QueryError> {
        self.rights.as_ref().map_or(Ok(()), |rights| rights.check_changes(name))
    }

    /// The same for a model that takes in what changed since it last ran: `table_changes` without a version.
    #[must_use]
    pub fn following(mut self, follower: Follower) -> Self {
        self.follower = Some(follower);
        // What a view shows of changes is for one reader.
        self.known_views = KnownViews::default();
        self
    }

    /// The same, and `change` as if it were published.
    #[must_use]
    pub fn with_change(mut self, change: Arc<Change>) -> Self {
        if self.pins.views.contains_key(change.table()) {
            Arc::make_mut(&mut self.pins).views.remove(change.table());
        }
        Arc::make_mut(&mut self.changes).insert(change.table().clone(), change);
        self
    }

    /// The same, and `view` as if it were published.
    #[must_use]
    pub fn with_view(mut self, name: &TableName, view: View) -> Self {
        Arc::make_mut(&mut self.pins).pin_view(name, view);
        if self.changes.contains_key(name) {
            Arc::make_mut(&mut self.changes).remove(name);
        }
        self
    }

    /// The same, and a name that nobody sees any more.
    #[must_use]
    pub fn without(mut self, name: &TableName) -> Self {
        let pins = Arc::make_mut(&mut self.pins);
        pins.retire(name);
        pins.views.remove(name);
        Arc::make_mut(&mut self.changes).remove(name);
        self
    }

    /// The same, and a table that is seen at this version.
    #[must_use]
    pub fn with_table(mut self, name: &TableName, version: TableVersion) -> Self {
        Arc::make_mut(&mut self.pins).pin_table(name, version);
        self
    }

    /// The same, and a schema that is there, or is not any more.
    #[must_use]
    pub fn with_schema(mut self, schema: &str, is_there: bool) -> Self {
        let schemas = &mut Arc::make_mut(&mut self.pins).schemas;
        if is_there {
            schemas.insert(schema.to_owned())
        } else {
            schemas.remove(schema)
        };
        self
    }

    /// The same, with something of these columns that is not made yet. Queries that read it can be planned, not answered.
    #[must_use]
    pub fn with_columns(mut self, name: &TableName, columns: SchemaRef) -> Self {
        Arc::make_mut(&mut self.assumed).insert(name.clone(), columns);
        self
    }

    /// The view that a name stands for now, if it is one.
    pub(super) fn view_now(&self, name: &TableName) -> Option<&View> {
        self.pins.views.get(name).filter(|_| !self.assumed.contains_key(name) && self.sees(name))
    }

    /// Whether there is something in it that is not made yet.
    pub(super) fn has_assumptions(&self) -> bool {
        !self.assumed.is_empty()
    }

    /// The views that were planned in this scope, and in those that it was made of.
    pub(super) fn known_views(&self) -> &KnownViews {
        &self.known_views
    }

    /// The same scope with an ear of its own, which nothing was told yet.
    pub(super) fn listening(&self) -> Self {
        Self { read: Arc::default(), reads: Arc::default(), ..self.clone() }
    }

    /// Counts what a view reads among what was read.
    pub(super) fn read_by(&self, view: &PlannedView) {
        let mut reads = self.reads.lock().expect("no holder panics");
        let mut read = self.read.lock().expect("no holder panics");
        view.tell_reads(&mut HashSet::new(), &mut |of_view, versions| {
            reads.add(of_view);
            read.extend(versions.iter().map(|(name, version)| (name.clone(), *version)));
        });
    }

    /// Counts what was read through another scope among what was read.
    pub(super) fn read_through(&self, other: &Self) {
        let (reads, read) = (other.reads(), other.read_so_far());
        self.reads.lock().expect("no holder panics").add(&reads);
        self.read.lock().expect("no holder panics").extend(read);
    }

    /// The tables that were read so far through this scope and its clones, at the versions that it pins.
    ///
    /// Who publishes what came of it asks for nobody to have moved them since.
    pub fn read_so_far(&self) -> BTreeMap<TableName, TableVersion> {
        self.read.lock().expect("no holder panics").clone()
    }

    /// The same scope, with reads of its own; see [`reads`](Self::reads).
    #[must_use]
    pub fn apart(mut self) -> Self {
        self.reads = Arc::default();
        self
    }

    /// What was read so far through this scope, and through what was made of it since it was set [`apart`](Self::apart).
    pub fn reads(&self) -> Reads {
        self.reads.lock().expect("no holder panics").clone()
    }

    /// Counts `name` among what was read, as what it stands for now.
    pub fn stands_on(&self, name: &TableName) {
        let mut reads = self.reads.lock().expect("no holder panics");
        if let Some(view) = self.pins.views.get(name) {
            reads.views.insert(name.clone(), view.clone());
        } else if let Some(version) = self.version_of(name) {
            reads.tables.insert(name.clone(), version);
        }
    }

    /// The version at which a table is read; of what is staged, the one at which readers are going to see it.
    pub fn version_of(&self, name: &TableName) -> Option<TableVersion> {
        let staged = self.changes.get(name).map(|change| change.seen_at());
        staged.or_else(|| self.pins.tables.get(name).copied())
    }

    /// Counts what a plan reads beyond tables and views.
    pub(super) fn stands_on_plan(&self, plan: &LogicalPlan) {
        self.reads.lock().expect("no holder panics").note(plan);
    }

    fn was_read(&self, name: &TableName, version: TableVersion) {
        self.read.lock().expect("no holder panics").insert(name.clone(), version);
        self.stands_on(name);
    }

    /// The lake's tables.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The release, with staged views among its own.
    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Every name that can be read, in order, with whether it is a view.
    pub fn names(&self) -> Vec<(TableName, bool)> {
        let tables = self.pins.tables.keys().chain(self.changes.keys()).chain(self.assumed.keys());
        let tables = tables.map(|name| (name.clone(), false));
        let views = self.pins.views.keys().filter(|name| !self.assumed.contains_key(*name));
        let views = views.map(|name| (name.clone(), true));
        let mut names: Vec<_> = tables.chain(views).filter(|(name, _)| self.sees(name)).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The schemas of all names, in order.
    pub fn schemas(&self) -> Vec<String> {
        let mut schemas = BTreeSet::new();
        if self.rights.is_some() {
            schemas.extend(self.names().iter().map(|(name, _)| name.schema().to_owned()));
            schemas.extend(self.pins.schemas.iter().filter(|schema| self.sees_all_of(schema)).cloned());
        } else {
            schemas.clone_from(&self.pins.schemas);
            schemas_of(&self.pins.tables, &mut schemas);
            schemas_of(&self.pins.views, &mut schemas);
            schemas_of(&self.changes, &mut schemas);
            schemas_of(&self.assumed, &mut schemas);
        }
        schemas.into_iter().collect()
    }

    /// Whether `name` can be read.
    pub fn has(&self, name: &TableName) -> bool {
        let is_there = self.changes.contains_key(name)
            || self.pins.tables.contains_key(name)
            || self.pins.views.contains_key(name)
            || self.assumed.contains_key(name);
        is_there && self.sees(name)
    }

    /// Whether a name that is there is a view's.
    pub(super) fn is_view(&self, name: &TableName) -> bool {
        let is_table = self.changes.contains_key(name)
            || self.pins.tables.contains_key(name)
            || self.assumed.contains_key(name);
        !is_table
    }

    /// Reads all tables that are seen, several at once, for who is going to ask for each.
    pub(super) async fn read_ahead(&self) {
        self.tables.read_ahead(self.pins.tables.iter().filter(|(name, _)| self.sees(name))).await;
    }

    /// What `name` stands for, now or as of an earlier version; nothing if there is no such name.
    pub(super) async fn meaning(
        &self,
        name: &TableName,
        as_of: Option<&AsOf>,
    ) -> Result<Option<Meaning>, QueryError> {
        if !self.sees(name) {
            return Ok(None);
        }
        if let Some(AsOf::Release(number)) = as_of {
            let pins = release::release(self.tables.lake(), *number).await?.pins;
            if let Some(view) = pins.views.get(name) {
                return Ok(Some(Meaning::View(view.clone(), Some(*number))));
            }
            return match pins.tables.get(name) {
                Some(version) => {
                    self.was_read_as_it_was(name, AsOf::Release(*number), *version);
                    self.table_at(name, *version).await.map(Some)
                }
                None => Err(not_in_release(name, *number)),
            };
        }
        if let (Some(columns), None) = (self.assumed.get(name), as_of) {
            return Ok(Some(Meaning::Table(Arc::new(Leaf::of_table(Arc::clone(columns))))));
        }
        if as_of.is_none() {
            self.stands_on(name);
        }
        if let Some(view) = self.pins.views.get(name) {
            return match as_of {
                None => Ok(Some(Meaning::View(view.clone(), None))),
                Some(_) => Err(view_has_no_versions(name)),
            };
        }
        if let (Some(change), None) = (self.changes.get(name), as_of) {
            return Ok(Some(Meaning::Table(Arc::new(change.scan()))));
        }
        let Some(pinned) = self.pins.tables.get(name).copied() else { return Ok(None) };
        if as_of.is_none() {
            self.was_read(name, pinned);
        }
        let version = match as_of {
            None | Some(AsOf::Release(_)) => pinned,
            Some(AsOf::Version(version)) if *version > pinned => {
                return Err(QueryError::Table(TableError::NoSuchVersion {
                    table: name.clone(),
                    version: *version,
                    help: format!(
                        "its newest published version is {pinned}; `elt history {name}` lists them"
                    ),
                }));
            }
            Some(AsOf::Version(version)) => *version,
            Some(AsOf::Timestamp(instant)) => version_at(&self.tables, name, pinned, *instant).await?,
        };
        if let Some(as_of) = as_of {
            self.was_read_as_it_was(name, as_of.clone(), version);
        }
        self.table_at(name, version).await.map(Some)
    }

    /// Counts a version that a query names among what was read.
    fn was_read_as_it_was(&self, name: &TableName, as_of: AsOf, version: TableVersion) {
        self.reads.lock().expect("no holder panics").past.insert((name.clone(), as_of), version);
    }

    /// The rows of a table as it is pinned, each with its place; nothing if there is no such table.
    pub(super) async fn places(
        &self,
        name: &TableName,
    ) -> Result<Option<Arc<dyn TableProvider>>, QueryError> {
        if !self.sees(name) {
            return Ok(None);
        }
        self.check_changes(name)?;
        let Some(snapshot) = self.base(name).await? else { return Ok(None) };
        Ok(Some(Arc::new(Scan::of(&snapshot)?.with_places())))
    }

    /// The table as a write goes on from it: with what was staged, or as it is pinned; nothing if there is no such table.
    pub async fn base(&self, name: &TableName) -> Result<Option<Arc<Snapshot>>, TableError> {
        if !self.sees(name) {
            return Ok(None);
        }
        if let Some(change) = self.changes.get(name) {
            return change.as_snapshot().map(Some);
        }
        let Some(version) = self.pins.tables.get(name).copied() else { return Ok(None) };
        self.was_read(name, version);
        self.tables.snapshot(name, version).await.map(Some)
    }

    /// What is staged for a table.
    pub fn change(&self, name: &TableName) -> Option<&Arc<Change>> {
        self.changes.get(name)
    }

    /// The rows of a table that came and went from one version to another; nothing if there is no such table.
    pub(super) async fn changes(
        &self,
        name: &TableName,
        from: u64,
        to: Option<u64>,
    ) -> Result<Option<Arc<dyn TableProvider>>, QueryError> {
        if self.pins.views.contains_key(name) && self.sees(name) {
            let what =
                format!("`{name}` is a view, and has no versions of which one could differ from another");
            let mistake = super::SqlMistake::new("elt::sql::table_changes", what);
            return Err(mistake.help("ask what changed in a table that it reads").into());
        }
        let pinned = self.pins.tables.get(name).copied().filter(|_| self.sees(name));
        let Some(pinned) = pinned else { return Ok(None) };
        self.stands_on(name);
        let to = TableVersion(to.unwrap_or(pinned.0));
        if to > pinned || from > pinned.0 {
            return Err(QueryError::Table(TableError::NoSuchVersion {
                table: name.clone(),
                version: to.max(TableVersion(from)),
                help: format!("its newest published version is {pinned}; `elt history {name}` lists them"),
            }));
        }
        Ok(Some(changes(&self.tables, name, TableVersion(from), to).await?))
    }

    /// The rows of a table that came and went since the reader last looked; nothing if there is no such table.
    pub(super) async fn changes_since(
        &self,
        name: &TableName,
    ) -> Result<Option<Arc<dyn TableProvider>>, QueryError> {
        let Some(follower) = &self.follower else {
            let mistake = super::SqlMistake::new(
                "elt::sql::table_changes",
                format!("from which version on are the changes of `{name}` to be told?"),
            );
            let help = format!(
                "write `table_changes('{name}', 3)`; only an incremental model may leave the version out, which means \
                 since it last ran"
            );
            return Err(mistake.help(help).into());
        };
        self.stands_on(name);
        let change = self.changes.get(name).map(Arc::as_ref);
        let pinned = match self.pins.tables.get(name).copied() {
            // Also for one with a change on top: should another writer come between, it would never be seen.
            Some(version) => {
                self.was_read(name, version);
                Some(self.tables.snapshot(name, version).await?)
            }
            None => None,
        };
        let base = match change {
            Some(change) => change.base(),
            None => pinned.as_ref().map(|pinned| pinned.version()),
        };
        let Some(now) = change.map(Change::seen_at).or(base) else {
            return if self.pins.views.contains_key(name) {
                Err(view_has_no_versions(name))
            } else {
                Ok(None)
            };
        };
        follower.now.lock().expect("no holder panics").insert(name.clone(), now);
        let after = follower.before.get(name).copied().filter(|before| *before <= now);
        // A table that was hidden is made on top of versions that nobody saw.
        let seen = pinned.filter(|pinned| base.is_none() || base == Some(pinned.version()));
        let after = after.filter(|_| seen.is_some());
        Ok(Some(changes_since(&self.tables, after, seen.as_deref(), change).await?))
    }

    async fn table_at(&self, name: &TableName, version: TableVersion) -> Result<Meaning, QueryError> {
        let snapshot = self.tables.snapshot(name, version).await?;
        Ok(Meaning::Table(Arc::new(Scan::of(&snapshot)?)))
    }
}

fn not_in_release(name: &TableName, number: crate::base::ReleaseNumber) -> QueryError {
    super::SqlMistake::new("elt::sql::version", format!("release {number} has no table `{name}`"))
        .help("`elt releases` lists the releases, and what each changed")
        .into()
}

fn view_has_no_versions(name: &TableName) -> QueryError {
    super::SqlMistake::new(
        "elt::sql::version",
        format!("`{name}` is a view; a view has no versions of its own"),
    )
    .help(format!(
        "ask for a release: `{name} AS OF RELEASE 1` reads the view, and the tables below it, as they were"
    ))
    .into()
}
