//! What is landed when somebody asks for it?
//!
//! [`Lakehouse::land_files`] is the one way in, for the command line, for programs and for SQL: a [`LandOrder`] says which
//! files, into which table, and what differs from what the project declares.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use super::openlineage::Teller;
use super::{Lakehouse, Landed, released};
use crate::base::{Event, Result, Watch};
use crate::landing::discover::FileStamp;
use crate::landing::{LandingError, Portion, Shape, fetch};
use crate::release::{self, Goal, Learnt, Proposal, ReleaseKind};

/// Which files to land where, and how.
#[derive(Clone, Debug, Default)]
pub struct LandOrder {
    /// A source's `source.table` name, or any `schema.table`.
    pub table: String,
    /// Files, folders, globs and URLs; if none is given, the location that the project declares.
    pub files: Vec<String>,
    /// Files that are at hand already; see [`Lakehouse::take_in`].
    pub at_hand: Vec<FileStamp>,
    /// Options by name, over those that the project declares; see [`LandOptions::set_all`](super::LandOptions::set_all).
    pub options: Vec<(String, String)>,
    /// What becomes of the rows of files before they are rows of the table: the SELECT of a `COPY INTO`.
    pub shape: Option<Arc<dyn Shape>>,
    /// Whether the columns of files are the table's in their order, whatever they are called.
    pub by_position: bool,
    /// How long a file has to be left alone before it is taken; nothing takes it as it is.
    pub settle: Option<Duration>,
    /// The most that one load takes; nothing takes everything that is there.
    pub portion: Option<Portion>,
    /// How long to wait while another process writes to the lake. Another load is waited for anyway.
    pub wait: Duration,
    /// Whether to report what would happen, and write nothing.
    pub dry_run: bool,
    /// How many rows a dry run looks at; nothing means all.
    pub first_rows: Option<u64>,
}

impl Lakehouse {
    /// Loads files into a table as the project declares it, and publishes that.
    pub async fn land(&self, table: &str, patterns: &[String], watch: &dyn Watch) -> Result<Landed> {
        let order = LandOrder { table: table.to_owned(), files: patterns.to_vec(), ..LandOrder::default() };
        self.land_files(&order, watch).await
    }

    /// Loads files into a table, each once, and publishes that; or, in a dry run, tells what that would do.
    ///
    /// Dropping the future is safe until [`Event::Publishing`]. A load that was killed has left nothing visible, and the
    /// next one does its work.
    pub async fn land_files(&self, order: &LandOrder, watch: &dyn Watch) -> Result<Landed> {
        let teller = if order.dry_run { None } else { self.teller() };
        let landed = Box::pin(self.land_from(order, teller.as_ref(), watch)).await;
        if let Err(error) = &landed {
            self.tell_not_landed(teller.as_ref(), &order.table, error).await;
        }
        landed
    }

    async fn land_from(
        &self,
        order: &LandOrder,
        teller: Option<&Teller>,
        watch: &dyn Watch,
    ) -> Result<Landed> {
        let _lock = match order.dry_run {
            true => None,
            false => Some(self.begin_writing_within(order.wait, "land", watch).await?),
        };
        let pins = self.pins().await?;
        let mut request = self.land_request(&pins, &order.table, &order.files, !order.at_hand.is_empty())?;
        request.options.set_all(&order.options)?;
        request.at_hand.clone_from(&order.at_hand);
        request.settle = order.settle;
        request.shape.clone_from(&order.shape);
        request.by_position = order.by_position;
        request.portion = order.portion.unwrap_or(Portion::ALL);
        request.may_be_nothing = order.settle.is_some();
        request.dry_run = order.dry_run;
        request.first_rows = order.first_rows;
        let landing = Box::pin(self.land_one(&pins, request, watch)).await?;
        if order.dry_run {
            return Ok(Landed { report: landing.report, release: None });
        }
        watch.on(Event::Publishing);
        let changes = landing.changes.clone();
        let proposal = Proposal {
            base: pins,
            read: BTreeMap::new(),
            accepted: BTreeMap::new(),
            kind: ReleaseKind::Land,
            run: landing.report.load.clone(),
            changes: landing.changes,
            views: BTreeMap::new(),
            learnt: Learnt::default(),
            goal: Goal::Keep,
        };
        let published = release::publish(&self.tables, &self.world, proposal).await?;
        let landed = Landed { report: landing.report, release: released(published) };
        self.tell_landed(teller, &landed, &changes).await;
        Ok(landed)
    }

    /// Takes in bytes that have no name, for example from standard input, to be landed as a file. Blocks.
    ///
    /// They are known by their content: the same bytes are not landed twice.
    pub fn take_in(&self, bytes: &mut dyn Read) -> Result<FileStamp> {
        let taken: Result<FileStamp, LandingError> = fetch::take_in(bytes, self.world.now());
        Ok(taken?)
    }
}
