//! Which files are landed where, and how are they read?

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::environment::Environment;
use super::{Compiled, FileAccount, FileOutcome, Lakehouse, LandReport, Manifest, Node, NodeId, NodeKind};
use crate::base::{
    Diagnostic, Ending, Error, Event, Result, Span, Step, TableName, Watch, grouped, parse_data_type,
};
use crate::compile::SourceNode;
use crate::landing::{self, Before, LandOptions, LandRequest, Landing, LandingError, Portion};
use crate::query::Scope;
use crate::release::Pins;
use crate::table::Change;

/// How sources are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Only tell which files there are.
    dry_run: bool,
    /// Only sources that the lake has nothing of: they are production's, and an environment only reads them.
    only_absent: bool,
}

impl Look {
    pub(super) fn new(dry_run: bool, environment: &Option<Environment>) -> Self {
        Self { dry_run, only_absent: environment.is_some() }
    }
}

impl Lakehouse {
    /// Lands the declared files of every source that a selected node needs; in a dry run, only tells which they are.
    pub(super) async fn land_sources(
        &self,
        pins: &Pins,
        manifest: &Manifest,
        selected: &BTreeSet<NodeId>,
        look: Look,
        watch: &dyn Watch,
    ) -> Result<(Scope, BTreeMap<TableName, Vec<Arc<Change>>>, Vec<LandReport>)> {
        let mut scope = self.scope_of(pins.clone());
        let (mut landed, mut reports) = (BTreeMap::new(), Vec::new());
        let needed = |source: &NodeId| {
            selected.contains(source)
                || manifest.descendants(source).iter().any(|below| selected.contains(below))
        };
        for node in manifest.nodes.values() {
            let NodeKind::Source(source) = &node.kind else { continue };
            if source.landing.is_none() || !needed(&node.id) {
                continue;
            }
            if look.only_absent && node.relation.as_ref().is_some_and(|name| pins.tables.contains_key(name)) {
                continue;
            }
            let dry_run = look.dry_run;
            let mut request = declared_request(&self.root, node, source, Some(&[]))?;
            request.may_be_nothing = true;
            request.dry_run = dry_run;
            // What is in new files does not matter to a plan.
            request.first_rows = dry_run.then_some(1);
            let landing = Box::pin(self.land_one(pins, request, watch)).await?;
            let changes: Vec<Arc<Change>> = landing.changes.into_iter().map(Arc::new).collect();
            for change in &changes {
                scope = scope.with_change(Arc::clone(change));
            }
            if !changes.is_empty() {
                landed.insert(landing.report.table.clone(), changes);
            }
            reports.push(landing.report);
        }
        Ok((scope, landed, reports))
    }

    pub(super) async fn land_one(
        &self,
        pins: &Pins,
        request: LandRequest,
        watch: &dyn Watch,
    ) -> Result<Landing> {
        let step = Step { kind: "land".to_owned(), name: request.table.to_string(), node: None };
        watch.on(Event::Started(step.clone()));
        let begun = Instant::now();
        let base = self.head(pins, &request.table).await?;
        let rejects = request.table.companion("rejected").map_err(LandingError::from)?;
        let rejected = self.head(pins, &rejects).await?;
        let landed = landing::land(&self.tables, &self.world, request, base, rejected).await;
        let (ending, detail) = match &landed {
            Ok(landing) => land_words(&landing.report),
            Err(error) => (Ending::Failed, error.to_string()),
        };
        watch.on(Event::Finished { step, ending, detail, took: begun.elapsed(), told: None });
        Ok(landed?)
    }

    /// A table as elt left it, whether readers see it or not.
    async fn head(&self, pins: &Pins, table: &TableName) -> Result<Option<Before>> {
        let Some(version) = pins.head(table) else { return Ok(None) };
        let snapshot = self.tables.snapshot(table, version).await?;
        Ok(Some(Before { snapshot, is_seen: pins.tables.contains_key(table) }))
    }

    pub(super) fn land_request(
        &self,
        pins: &Pins,
        table: &str,
        patterns: &[String],
        has_input: bool,
    ) -> Result<LandRequest> {
        let here = std::path::absolute(&self.root).unwrap_or_else(|_| self.root.clone());
        if self.has_project() {
            let Compiled { manifest, .. } = self.compile_for(pins, false, "land")?;
            for node in manifest.nodes.values() {
                if node.materialization().is_some()
                    && node.relation.as_ref().is_some_and(|name| name.to_string() == table)
                {
                    return Err(not_for_landing(table, "a model makes it"));
                }
                if let NodeKind::Source(source) = &node.kind
                    && (format!("{}.{}", source.source, source.table) == table
                        || node.relation.as_ref().is_some_and(|name| name.to_string() == table))
                {
                    return declared_request(
                        &here,
                        node,
                        source,
                        (!has_input || !patterns.is_empty()).then_some(patterns),
                    );
                }
            }
        }
        let name = table.parse::<TableName>().map_err(|error| {
            Error::user(
                "elt::land::name",
                error.to_string(),
                "name the table as `source.table`, for example `crm.people`",
            )
        })?;
        if name.table().ends_with("__rejected")
            || ["information_schema", "elt", "_elt"].contains(&name.schema())
        {
            return Err(not_for_landing(table, "its name is elt's own"));
        }
        if pins.views.contains_key(&name) {
            return Err(not_for_landing(table, "it is a view"));
        }
        if patterns.is_empty() && !has_input {
            return Err(Error::user(
                "elt::land::no_files",
                format!("no files are given, and the project declares no location for `{name}`"),
                format!("write `elt land {name} FILES…`, or give the source a `location`"),
            ));
        }
        Ok(LandRequest {
            table: name,
            root: here,
            patterns: patterns.to_vec(),
            at_hand: Vec::new(),
            settle: None,
            portion: Portion::ALL,
            may_be_nothing: false,
            options: LandOptions::default(),
            shape: None,
            by_position: false,
            dry_run: false,
            first_rows: None,
        })
    }
}

/// How a declared source's files are read; those of its location if `patterns` are none, none at all if they are nothing.
pub(super) fn declared_request(
    root: &Path,
    node: &Node,
    source: &SourceNode,
    patterns: Option<&[String]>,
) -> Result<LandRequest> {
    let landing = source.landing.as_ref();
    let name = node.relation.clone().expect("a source has a table");
    let patterns = match (patterns.unwrap_or_default(), landing) {
        ([], _) if patterns.is_none() => Vec::new(),
        ([], Some(landing)) => landing.location.clone(),
        ([], None) => {
            let what = format!(
                "no files are given, and source `{}.{}` has no location",
                source.source, source.table
            );
            let help =
                format!("write `elt land {name} FILES…`, or add `config: {{location: …}}` to the source");
            return Err(Diagnostic::error("elt::land::no_files", what)
                .at(&node.at, "no location")
                .help(help)
                .into());
        }
        (given, _) => given.to_vec(),
    };
    let declared: Vec<_> = node
        .columns
        .iter()
        .filter_map(|column| Some((column.name.clone(), parse_data_type(column.data_type.as_deref()?)?)))
        .collect();
    let mut options = LandOptions { hints: declared, ..LandOptions::default() };
    for option in landing.iter().flat_map(|landing| &landing.options) {
        options.set_list(&option.name, &option.values).map_err(|error| at_its_place(&error, &option.at))?;
    }
    Ok(LandRequest {
        table: name,
        root: root.to_owned(),
        patterns,
        at_hand: Vec::new(),
        settle: None,
        portion: Portion::ALL,
        may_be_nothing: false,
        options,
        shape: None,
        by_position: false,
        dry_run: false,
        first_rows: None,
    })
}

/// What is wrong with an option, where it is written.
fn at_its_place(error: &LandingError, at: &Span) -> Error {
    let help = miette::Diagnostic::help(error).map(|help| help.to_string());
    Diagnostic::error("elt::source_option", error.to_string()).at(at, "here").maybe_help(help).into()
}

fn not_for_landing(table: &str, because: &str) -> Error {
    Error::user(
        "elt::land::not_a_source",
        format!("files cannot be landed in `{table}`: {because}"),
        "land them in a table of their own, `elt land source.table FILES…`, and read that in a model",
    )
}

/// A load in few words: `2 files: read 10, loaded 8, rescued 1, rejected 1; 3 known`.
fn land_words(report: &LandReport) -> (Ending, String) {
    let sum = |of: fn(&FileAccount) -> u64| grouped(report.accounts().map(of).sum());
    let files = report.accounts().count();
    let mut words = Vec::new();
    if files > 0 {
        let noun = if files == 1 { "file" } else { "files" };
        words.push(format!(
            "{files} {noun}: read {}, loaded {}, rescued {}, rejected {}",
            sum(|account| account.read),
            sum(|account| account.loaded),
            sum(|account| account.rescued),
            sum(|account| account.rejected)
        ));
    }
    let discarded: u64 = report.accounts().map(|account| account.discarded).sum();
    if discarded > 0 {
        words.push(format!("{} values left out", grouped(discarded)));
    }
    let count = |is: fn(&FileOutcome) -> bool| report.files.iter().filter(|file| is(file)).count();
    let known = count(|file| matches!(file, FileOutcome::Skipped { .. }));
    let empty = count(|file| matches!(file, FileOutcome::Empty { .. }));
    let counts = [(known, "already loaded"), (empty, "empty")];
    words
        .extend(counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")));
    let changed: Vec<&str> = report.changed().collect();
    if !changed.is_empty() {
        let files = changed.join(", ");
        words.push(format!(
            "changed since loaded, left as it is (`on_change: reload` would take it): {files}"
        ));
    }
    let copies: Vec<&str> = report.copies().collect();
    if !copies.is_empty() {
        let files = copies.join(", ");
        words.push(format!("same bytes as a loaded file, left out (`on_copy: load` would take it): {files}"));
    }
    for (path, error) in report.failed() {
        words.push(format!("{path} could not be read and was left out: {error}"));
    }
    for column in &report.added {
        words.push(format!("new column `{}` {}", column.name, column.data_type));
    }
    for column in &report.widened {
        words.push(format!("column `{}` was {} and is {}", column.name, column.from, column.to));
    }
    if words.is_empty() {
        words.push("no files".to_owned());
    }
    let bad = |account: &FileAccount| account.rescued + account.rejected + account.discarded > 0;
    let warn = report.failed().next().is_some()
        || !changed.is_empty()
        || !copies.is_empty()
        || report.accounts().any(bad)
        || report.files.is_empty();
    (if warn { Ending::Warned } else { Ending::Done }, words.join("; "))
}
