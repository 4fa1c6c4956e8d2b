//! What is known of a view once it was planned?
//!
//! A view stands on views that stand on views, and a query that reads two of them reads everything below twice. So a
//! view is planned once and kept, and whoever only has to know its columns plans one level: the views below are leaves
//! ([`Leaf`]) with known columns. What was planned holds for every scope in which all that it read means the same.
//!
//! Not here: what a name stands for (`scope`), or planning itself (`provider`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session as EngineSession, TableProvider};
use datafusion::common::{Constraint, Constraints, DFSchema, Dependency};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::physical_plan::ExecutionPlan;

use super::error::NO_ROWS;
use super::{Files, QueryError, Reads, Scope, SqlMistake};
use crate::base::{ReleaseNumber, TableName, TableVersion};
use crate::release::View;
use crate::table::Change;

/// What a view is planned for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Want {
    /// To know its columns.
    Columns,
    /// To read its rows.
    Rows,
}

/// What a plan depends on besides what it reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) name: TableName,
    pub(super) release: Option<ReleaseNumber>,
    pub(super) want: Want,
    pub(super) default_schema: String,
    pub(super) files: Files,
    /// The time zone that instants are told in.
    pub(super) zone: Option<String>,
}

/// A view that was planned, with all that its plan holds for.
#[derive(Debug)]
pub(super) struct PlannedView {
    view: View,
    pub(super) answer: Answer,
    /// What it reads itself, not what the views below read.
    reads: Reads,
    read: BTreeMap<TableName, TableVersion>,
    /// Of what it reads itself, what was staged.
    staged: BTreeMap<TableName, Arc<Change>>,
    below: Vec<Arc<PlannedView>>,
}

/// What came of planning.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// The columns with their final types, and the keys among them.
    Columns(Leaf),
    /// The plan, which gives columns of their final types.
    Plan(Box<LogicalPlan>),
}

/// The views that were planned, for a scope and whatever was made of it.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownViews(Arc<Mutex<HashMap<Key, Arc<PlannedView>>>>);

/// The views that are read while another is planned.
pub(super) type Below = Arc<Mutex<Vec<Arc<PlannedView>>>>;

impl KnownViews {
    /// The plan of a view, if it is known and means in `scope` what it meant when it was made.
    pub(super) fn find(&self, key: &Key, view: &View, scope: &Scope) -> Option<Arc<PlannedView>> {
        let known = self.0.lock().expect("no holder panics").get(key).cloned()?;
        (known.view == *view && known.holds(scope, &mut HashSet::new())).then_some(known)
    }

    /// Keeps what was planned through `scope`, which listened to nothing else.
    pub(super) fn keep(
        &self,
        key: Key,
        view: &View,
        answer: Answer,
        scope: &Scope,
        below: &Below,
    ) -> Arc<PlannedView> {
        let reads = scope.reads();
        let staged = reads.tables.keys().filter_map(|name| Some((name.clone(), scope.change(name)?.clone())));
        let planned = Arc::new(PlannedView {
            view: view.clone(),
            answer,
            staged: staged.collect(),
            read: scope.read_so_far(),
            below: std::mem::take(&mut below.lock().expect("no holder panics")),
            reads,
        });
        self.0.lock().expect("no holder panics").insert(key, Arc::clone(&planned));
        planned
    }

    /// How many plans are kept.
    #[cfg(test)]
    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl PlannedView {
    /// Whether all that was read means in `scope` what it meant then.
    fn holds(&self, scope: &Scope, seen: &mut HashSet<*const Self>) -> bool {
        let is_same_table = |(name, version): (&TableName, &TableVersion)| {
            let staged = match (scope.change(name), self.staged.get(name)) {
                (None, None) => true,
                (Some(now), Some(then)) => Arc::ptr_eq(now, then),
                _ => false,
            };
            staged && scope.version_of(name) == Some(*version)
        };
        let views = self.reads.views.iter();
        !scope.has_assumptions()
            && self.reads.tables.iter().all(is_same_table)
            && views.into_iter().all(|(name, view)| scope.pins().views.get(name) == Some(view))
            && self.below.iter().all(|below| {
                let is_new = seen.insert(Arc::as_ptr(below));
                !is_new || below.holds(scope, seen)
            })
    }

    /// Calls `tell` with all that was read for it, by itself and by the views below.
    pub(super) fn tell_reads(
        &self,
        seen: &mut HashSet<*const Self>,
        tell: &mut impl FnMut(&Reads, &BTreeMap<TableName, TableVersion>),
    ) {
        if seen.insert(std::ptr::from_ref(self)) {
            tell(&self.reads, &self.read);
            self.below.iter().for_each(|below| below.tell_reads(seen, tell));
        }
    }
}

/// The plan with columns of these types. What the analyzer makes of a type, such as a decimal with more digits, whoever
/// reads the view must know from the beginning.
pub(super) fn typed(plan: LogicalPlan, columns: &Schema) -> Result<LogicalPlan> {
    let planned = plan.schema().fields().iter().zip(columns.fields());
    if planned.clone().all(|(planned, column)| planned.data_type() == column.data_type()) {
        return Ok(plan);
    }
    let column = |((table, field), column): ((Option<&_>, &Arc<_>), &Arc<arrow::datatypes::Field>)| {
        let expr = Expr::from((table, field));
        match field.data_type() == column.data_type() {
            true => expr,
            false => cast(expr, column.data_type().clone()).alias_qualified(table.cloned(), field.name()),
        }
    };
    let list: Vec<Expr> = plan.schema().iter().zip(columns.fields()).map(column).collect();
    LogicalPlanBuilder::from(plan).project(list)?.build()
}

/// Something that has columns, and rows that nobody reads.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) columns: SchemaRef,
    keys: Constraints,
    kind: TableType,
}

impl Leaf {
    /// A view, as its plan gives it.
    pub(super) fn of_view(schema: &DFSchema) -> Self {
        let count = schema.fields().len();
        let keys = schema.functional_dependencies().iter().filter(|one| {
            one.mode == Dependency::Single && (0..count).all(|column| one.target_indices.contains(&column))
        });
        let keys = keys.map(|one| match one.nullable {
            false => Constraint::PrimaryKey(one.source_indices.clone()),
            true => Constraint::Unique(one.source_indices.clone()),
        });
        Self {
            columns: Arc::new(schema.as_arrow().clone()),
            keys: Constraints::new_unverified(keys.collect()),
            kind: TableType::View,
        }
    }

    /// A table that is not made yet.
    pub(super) fn of_table(columns: SchemaRef) -> Self {
        Self { columns, keys: Constraints::default(), kind: TableType::Base }
    }
}

#[async_trait]
impl TableProvider for Leaf {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns)
    }

    fn table_type(&self) -> TableType {
        self.kind
    }

    fn constraints(&self) -> Option<&Constraints> {
        Some(&self.keys)
    }

    async fn scan(
        &self,
        _state: &dyn EngineSession,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mistake = SqlMistake::new(NO_ROWS, "its rows are not known before it is built");
        Err(QueryError::from(mistake).into())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::{Clock, Ids, World};
    use crate::lake::Lake;
    use crate::query::{Limits, Session};
    use crate::release::Pins;
    use crate::table::Tables;

    /// A session of a lake in memory that has these views and nothing else.
    pub(in crate::query) fn session(views: &[(&str, &str)]) -> Session {
        let mut pins = Pins::default();
        for (name, sql) in views {
            let view = View::new(*sql, "");
            pins.pin_view(&TableName::new("main", name).unwrap(), view);
        }
        struct Nothing;
        impl Clock for Nothing {
            fn now(&self) -> chrono::DateTime<chrono::Utc> {
                chrono::DateTime::UNIX_EPOCH
            }
        }
        impl Ids for Nothing {
            fn next(&self) -> String {
                "1".to_owned()
            }
        }
        let (user, host) = ("tester".to_owned(), "testhost".to_owned());
        let world = World {
            clock: Arc::new(Nothing),
            ids: Arc::new(Nothing),
            env: Arc::default(),
            user,
            host,
            pid: 1,
        };
        Session::new(
            Scope::of(
                Tables::new(Lake::on(Arc::new(object_store::memory::InMemory::new()), "test"), world),
                pins,
            ),
            "main",
            Limits::default(),
        )
    }

    /// A hundred views one above the other; each seventh reads the one below twice, and the one below that.
    fn deep() -> Session {
        let mut views =
            vec![("v0".to_owned(), "select 1 as id, cast(1.5 as decimal(10,2)) as amount".to_owned())];
        for at in 1..100 {
            let below = at - 1;
            let sql = match at % 7 {
                0 => format!(
                    "select a.id, a.amount + b.amount as amount from v{below} a join v{below} b on a.id = b.id
                     join v{} c on c.id = b.id",
                    below - 1
                ),
                _ => format!("select id, amount from v{below}"),
            };
            views.push((format!("v{at}"), sql));
        }
        let views: Vec<(&str, &str)> =
            views.iter().map(|(name, sql)| (name.as_str(), sql.as_str())).collect();
        session(&views)
    }

    #[tokio::test]
    async fn every_view_is_planned_once_however_often_it_is_read() {
        let session = deep();
        // Inlined, the query would read v0 some millions of times.
        let columns = session.check("select id, amount from v99 where amount > 0").await.unwrap();
        assert_eq!(columns.fields().len(), 2);
        assert_eq!(session.scope().known_views().count(), 100);
        session.check("select v99.id from v99, v98, v50").await.unwrap();
        assert_eq!(session.scope().known_views().count(), 100);
        // All that lies below counts as read.
        assert_eq!(session.scope().reads().views.len(), 100);
    }

    #[tokio::test]
    async fn a_view_of_moderate_depth_is_read_as_it_is_planned() {
        let session = deep();
        let found = session.query("select amount from v20").await.unwrap().collect().await.unwrap();
        let shown = arrow::util::display::array_value_to_string(found[0].column(0), 0).unwrap();
        assert_eq!(shown, "6.00");
        // Its columns, and its rows.
        assert_eq!(session.scope().known_views().count(), 2 * 21);
    }

    #[tokio::test]
    async fn a_view_that_means_something_else_is_planned_again() {
        let session = session(&[("a", "select 1 as x"), ("b", "select * from a"), ("c", "select * from b")]);
        let names = |columns: &SchemaRef| columns.field(0).name().clone();
        assert_eq!(names(&session.check("select * from c").await.unwrap()), "x");
        let other = View::new("select 2 as y", "");
        let scope = session.scope().clone().with_view(&TableName::new("main", "a").unwrap(), other);
        let later = Session::new(scope, "main", Limits::default());
        assert_eq!(names(&later.check("select * from c").await.unwrap()), "y");
        assert_eq!(names(&session.check("select * from c").await.unwrap()), "x");
    }

    #[tokio::test]
    async fn a_group_by_key_of_a_view_determines_its_other_columns() {
        let session = session(&[("a", "select x, count(*) as n from (values (1), (1)) t(x) group by x")]);
        session.check("select x, n from a group by x").await.unwrap();
    }
}
