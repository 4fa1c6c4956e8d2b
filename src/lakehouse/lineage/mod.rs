//! Where does a table come from, and what comes from it?
//!
//! The commits of the tables say what each was made of, to the column and the version, and the releases have the queries of
//! the views; so the lake tells of it without its project, of today and of any version that is still in a log. A
//! [`LineageGraph`] is what is found: things at their versions, and what came of what.
//!
//! Here: what is asked, and what is answered. [`walk`] goes from one thing to the next; [`views`] knows again what a view is made
//! of that reads the same tables in many releases.

mod views;
mod walk;

use serde::Serialize;

use super::Lakehouse;
use crate::base::{Error, Result, TableName, TableVersion};
use crate::query::Session;
use walk::Walk;

/// What is to be found.
#[derive(Clone, Debug, Default)]
pub struct LineageRequest {
    /// The table, or `table.column`, as written.
    pub of: String,
    /// Whether to tell where it comes from.
    pub upstream: bool,
    /// Whether to tell what comes from it.
    pub downstream: bool,
    /// The version of the table; the one that readers see if nothing.
    pub at: Option<u64>,
}

/// Things at their versions, and what came of what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LineageGraph {
    /// The thing that was asked about: one of `nodes`, by its id.
    pub of: String,
    /// The column of it, if only that was asked about.
    pub column: Option<String>,
    /// The things, the one that was asked about first.
    pub nodes: Vec<LineageNode>,
    /// What came of what.
    pub edges: Vec<LineageEdge>,
}

/// A table at a version, a view of a release, or a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LineageNode {
    /// `main.orders@3`; of a view with the release that it was read in: `main.open_orders#7`.
    pub id: String,
    /// `main.orders`, or the place of a file.
    pub name: String,
    /// The table's version.
    pub version: Option<u64>,
    /// `table`, `view`, `file`; `unknown` if the lake has no record of it any more.
    pub kind: &'static str,
    /// How its rows came: `landed`, or the operation of the commit that made them.
    pub operation: Option<String>,
    /// The version that made the rows: a later one may only have compacted them.
    pub made_at: Option<u64>,
    /// When they were made.
    pub at: Option<chrono::DateTime<chrono::Utc>>,
    /// The node of the project that made it.
    pub unique_id: Option<String>,
    /// The release that they were published in.
    pub release: Option<u64>,
    /// The run that made them.
    pub run: Option<String>,
    /// The files that were landed by the commit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

/// One column, or the rows, of one thing came of a column of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LineageEdge {
    /// The id of what it came from.
    pub from: String,
    /// The column; nothing if it is known only that the table was read.
    pub from_column: Option<String>,
    /// The id of what came of it.
    pub to: String,
    /// The column; nothing if it decides which rows there are.
    pub to_column: Option<String>,
    /// `copied`, `derived`, `aggregated`; `filters`, `joins`, `groups`, `sorts`; `read`.
    pub how: String,
}

impl LineageGraph {
    /// The thing of an id.
    pub fn node(&self, id: &str) -> Option<&LineageNode> {
        self.nodes.iter().find(|node| node.id == id)
    }
}

impl Lakehouse {
    /// Tells where a table or a column comes from, what comes from it, or both if neither is asked for.
    ///
    /// Takes a few reads for each table on the way. With `at`, what comes of it is whatever was made of that very version,
    /// and is looked for in the whole history.
    ///
    /// # Errors
    /// There is no such table, column or version.
    pub async fn lineage(&self, request: &LineageRequest) -> Result<LineageGraph> {
        let session = self.session().await?;
        let (name, column) = self.asked_about(&session, &request.of)?;
        let pinned = session.scope().pins().tables.get(&name).copied();
        let version = match (pinned, request.at) {
            (Some(pinned), Some(at)) if at > pinned.0 => {
                let what = format!("`{name}` has no version {at}");
                let help = format!("its newest is {pinned}; `elt history {name}` lists them");
                return Err(wrong(what, &help));
            }
            (Some(pinned), at) => Some(at.map_or(pinned, TableVersion)),
            (None, Some(_)) => {
                let what = format!("`{name}` is a view and has no versions");
                return Err(wrong(what, "leave `--at` out"));
            }
            (None, None) => None,
        };
        let (upstream, downstream) = match (request.upstream, request.downstream) {
            (false, false) => (true, true),
            asked => asked,
        };
        let mut walk = Walk::new(self, session);
        let start = walk.start(&name, version).await?;
        let column = match column {
            None => None,
            Some(wanted) => Some(walk.column(&start, &wanted).await?),
        };
        if upstream {
            walk.up(&start, column.as_deref()).await?;
        }
        if downstream {
            walk.down(&start, column.as_deref(), request.at.is_some()).await?;
        }
        Ok(walk.graph(&start, column))
    }

    /// The table that is asked about, and its column if the text goes on with one.
    fn asked_about(&self, session: &Session, text: &str) -> Result<(TableName, Option<String>)> {
        let named = |text: &str| {
            let name = TableName::parse(text, session.default_schema()).ok()?;
            session.scope().has(&name).then_some(name)
        };
        if let Some(name) = named(text) {
            return Ok((name, None));
        }
        let mut is_quoted = false;
        let dots = text.char_indices().filter(|(_, c)| {
            is_quoted ^= *c == '"';
            *c == '.' && !is_quoted
        });
        // What is left of a name of a table is a column, dots and all.
        for (at, _) in dots.collect::<Vec<_>>().into_iter().rev() {
            if let Some(name) = named(&text[..at]) {
                return Ok((name, Some(text[at + 1..].trim().trim_matches('"').to_owned())));
            }
        }
        let known: Vec<String> = session
            .scope()
            .names()
            .into_iter()
            .map(|(name, _)| match name.schema() == session.default_schema() {
                true => name.table().to_owned(),
                false => name.to_string(),
            })
            .collect();
        let near = crate::base::did_you_mean(text, known.iter().map(String::as_str));
        let help = near
            .unwrap_or_else(|| "write `table` or `table.column`; `elt ls` lists what there is".to_owned());
        Err(wrong(format!("there is no table `{text}`"), &help))
    }
}

fn wrong(what: String, help: &str) -> Error {
    Error::user("elt::lineage", what, help)
}
