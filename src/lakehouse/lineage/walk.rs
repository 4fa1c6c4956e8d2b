//! From one thing to what it was made of, and to what was made of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures::{StreamExt, TryStreamExt};

use super::super::Lakehouse;
use super::views::Views;
use super::{LineageEdge, LineageGraph, LineageNode, wrong};
use crate::base::{ReleaseNumber, Result, TableName, TableVersion};
use crate::query::{Limits, MadeOf, Maker, Scope, Session, Then, influence_words, made_of, maker, way_word};
use crate::release::{self, Pins};
use crate::table::{Commit, history};

/// Things whose commits are read at once.
const AT_ONCE: usize = 16;
/// Sessions that are kept.
const SESSIONS: usize = 8;

/// A thing, by which it is found again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    name: TableName,
    at: At,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    /// A version of a table.
    Version(TableVersion),
    /// A view, as a release had it.
    Release(Option<ReleaseNumber>),
    /// A file, or something that nothing is known of.
    Nowhere,
}

/// A thing, and what it was made of.
#[derive(Clone, Debug)]
struct Found {
    node: LineageNode,
    of: MadeOf,
    /// The release whose views it read.
    release: Option<ReleaseNumber>,
}

/// What is known so far.
pub(super) struct Walk<'a> {
    lakehouse: &'a Lakehouse,
    session: Session,
    pins: BTreeMap<ReleaseNumber, Pins>,
    /// Sessions of the releases whose views were looked at last, so that each view is planned once.
    sessions: VecDeque<(Option<ReleaseNumber>, Session)>,
    views: Views,
    found: BTreeMap<Place, Found>,
    /// The things of the graph, in the order in which they were come to.
    order: Vec<Place>,
    taken: BTreeSet<Place>,
    edges: BTreeSet<LineageEdge>,
}

impl Place {
    fn id(&self) -> String {
        match &self.at {
            At::Version(version) => format!("{}@{version}", self.name),
            At::Release(Some(release)) => format!("{}#{release}", self.name),
            At::Release(None) | At::Nowhere => self.name.to_string(),
        }
    }
}

/// Which columns of a thing matter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    All,
    One(String),
}

impl Wanted {
    fn takes(&self, column: &str) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one.eq_ignore_ascii_case(column),
        }
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(lakehouse: &'a Lakehouse, session: Session) -> Self {
        let (pins, sessions, views, found) = Default::default();
        let (order, taken, edges) = Default::default();
        Self { lakehouse, session, pins, sessions, views, found, order, taken, edges }
    }

    /// Where the walk begins.
    pub(super) async fn start(&mut self, name: &TableName, version: Option<TableVersion>) -> Result<Place> {
        let newest = self.session.scope().pins().release;
        let at = version.map_or(At::Release(newest), At::Version);
        let start = Place { name: name.clone(), at };
        self.look_at(&start).await?;
        if self.found[&start].node.kind == "unknown" {
            let what = format!("`{name}` has no version {} any more", version.unwrap_or(TableVersion(0)));
            return Err(wrong(what, &format!("its log was cut; `elt history {name}` lists what is left")));
        }
        Ok(start)
    }

    /// A column of a thing, as it is spelled.
    pub(super) async fn column(&mut self, place: &Place, wanted: &str) -> Result<String> {
        let table = format!("\"{}\".\"{}\"", place.name.schema(), place.name.table());
        let sql = match place.at {
            At::Version(version) => format!("select * from {table} version as of {version}"),
            _ => format!("select * from {table}"),
        };
        let schema = self.session.check(&sql).await?;
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        match names.iter().find(|name| name.eq_ignore_ascii_case(wanted)) {
            Some(name) => Ok((*name).to_owned()),
            None => {
                let what = format!("`{}` has no column `{wanted}`", place.name);
                let help = crate::base::did_you_mean(wanted, names.iter().copied());
                Err(wrong(what, &help.unwrap_or_else(|| format!("it has: {}", names.join(", ")))))
            }
        }
    }

    /// Follows what a thing was made of, to the beginning.
    pub(super) async fn up(&mut self, start: &Place, column: Option<&str>) -> Result<()> {
        let first = column.map_or(Wanted::All, |column| Wanted::One(column.to_owned()));
        let mut open = vec![(start.clone(), first)];
        let mut done: BTreeSet<(Place, Wanted)> = BTreeSet::new();
        while let Some((place, wanted)) = open.pop() {
            if !done.insert((place.clone(), wanted.clone())) {
                continue;
            }
            self.look_at(&place).await?;
            for (edge, input, next) in self.inputs(&place, &wanted) {
                self.look_at(&input).await?;
                self.take(&input);
                self.edges.insert(edge);
                open.extend(next.map(|next| (input, next)));
            }
        }
        Ok(())
    }

    /// What a thing was made of directly, and which columns of that matter.
    fn inputs(&self, place: &Place, wanted: &Wanted) -> Vec<(LineageEdge, Place, Option<Wanted>)> {
        let found = &self.found[place];
        let edge =
            |from: &Place, from_column: Option<&str>, to_column: Option<&str>, how: &str| LineageEdge {
                from: from.id(),
                from_column: from_column.map(str::to_owned),
                to: place.id(),
                to_column: to_column.map(str::to_owned),
                how: how.to_owned(),
            };
        let mut inputs = Vec::new();
        for (column, origins) in found.of.lineage.columns.iter().filter(|(column, _)| wanted.takes(column)) {
            for (of, way) in origins {
                let input = self.input(found, &of.table, of.then);
                let next = match wanted {
                    Wanted::All => Wanted::All,
                    Wanted::One(_) => Wanted::One(of.column.clone()),
                };
                let edge = edge(&input, Some(&of.column), Some(column), way_word(*way));
                inputs.push((edge, input, Some(next)));
            }
        }
        for (of, how) in &found.of.lineage.rows {
            let input = self.input(found, &of.table, of.then);
            let edge = edge(&input, Some(&of.column), None, &influence_words(how));
            // Of one column it is told what decides about its rows, and not what decides about that.
            inputs.push((edge, input, (*wanted == Wanted::All).then_some(Wanted::All)));
        }
        if *wanted == Wanted::All {
            for (table, then) in found.of.lineage.inputs() {
                let input = self.input(found, table, then);
                if !inputs.iter().any(|(_, known, _)| *known == input) {
                    inputs.push((edge(&input, None, None, "read"), input, Some(Wanted::All)));
                }
            }
        }
        inputs
    }

    /// A table or view that something was made of, as it was then.
    fn input(&self, found: &Found, table: &TableName, then: Option<Then>) -> Place {
        let is_view = || {
            let pins = self.pins.get(&found.release?)?;
            pins.views.contains_key(table).then_some(())
        };
        let at = match (then, found.of.tables.get(table)) {
            _ if table.is_outside() => At::Nowhere,
            (Some(Then::Version(version)), _) => At::Version(version),
            (Some(Then::Release(release)), _) => At::Release(Some(release)),
            _ if is_view().is_some() => At::Release(found.release),
            (None, Some(version)) => At::Version(*version),
            (None, None) => At::Nowhere,
        };
        Place { name: table.clone(), at }
    }

    /// Follows what was made of a thing: of it as it is now, or of exactly this version of it.
    pub(super) async fn down(&mut self, start: &Place, column: Option<&str>, exactly: bool) -> Result<()> {
        let makers = self.makers(exactly).await?;
        // What each was made of is asked once, and found by the name of what it was made of.
        let mut made: BTreeMap<TableName, Vec<(&Place, LineageEdge, Place)>> = BTreeMap::new();
        for maker in &makers {
            for (edge, input, _) in self.inputs(maker, &Wanted::All) {
                made.entry(input.name.clone()).or_default().push((maker, edge, input));
            }
        }
        let first = column.map_or(Wanted::All, |column| Wanted::One(column.to_owned()));
        let mut open = vec![(start.clone(), first)];
        let mut done: BTreeSet<(Place, Wanted)> = BTreeSet::new();
        while let Some((place, wanted)) = open.pop() {
            if !done.insert((place.clone(), wanted.clone())) {
                continue;
            }
            for (maker, edge, input) in made.get(&place.name).into_iter().flatten() {
                let of_column = edge.from_column.as_deref();
                let is_it = !exactly || *input == place;
                if !is_it || **maker == place || of_column.is_some_and(|column| !wanted.takes(column)) {
                    continue;
                }
                let next = match (&wanted, &edge.to_column) {
                    (Wanted::One(_), Some(column)) => Some(Wanted::One(column.clone())),
                    // It decides about rows; the values are others'.
                    (Wanted::One(_), None) => None,
                    (Wanted::All, _) => Some(Wanted::All),
                };
                if of_column.is_none() && wanted != Wanted::All {
                    continue;
                }
                self.look_at(input).await?;
                self.take(input);
                self.take(maker);
                self.edges.insert(edge.clone());
                open.extend(next.map(|next| ((*maker).clone(), next)));
            }
        }
        Ok(())
    }

    /// Everything that was made: as readers see it now, or every version there is.
    async fn makers(&mut self, all_versions: bool) -> Result<Vec<Place>> {
        let scope = self.session.scope().clone();
        let pins = scope.pins().clone();
        let mut places: Vec<Place> = Vec::new();
        for name in pins.views.keys() {
            places.push(Place { name: name.clone(), at: At::Release(pins.release) });
        }
        if all_versions {
            for (name, version) in &pins.tables {
                let commits = history(scope.tables(), name, *version, usize::MAX).await?;
                self.views.defined(name, &commits);
                for commit in commits {
                    let Some(of) = made_of(&commit) else { continue };
                    let place = Place { name: name.clone(), at: At::Version(commit.version) };
                    let found = of_commit(&place, Maker { commit, of: Some(of) });
                    self.know(found.release).await?;
                    self.found.insert(place.clone(), found);
                    places.push(place);
                }
            }
        } else {
            let asked = pins.tables.iter().map(|(name, version)| {
                let scope = &scope;
                async move {
                    Ok::<_, crate::query::QueryError>((
                        name,
                        *version,
                        maker(scope.tables(), name, *version).await?,
                    ))
                }
            });
            let answers: Vec<_> = futures::stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
            for (name, version, maker) in answers {
                let place = Place { name: name.clone(), at: At::Version(version) };
                let Some(maker) = maker else { continue };
                let found = of_commit(&place, maker);
                self.know(found.release).await?;
                self.found.insert(place.clone(), found);
                places.push(place);
            }
        }
        let mut at = 0;
        let mut known: BTreeSet<Place> = places.iter().cloned().collect();
        while let Some(place) = places.get(at).cloned() {
            at += 1;
            self.look_at(&place).await?;
            if !all_versions {
                continue;
            }
            // A version was read through the views of its own release, which may be others by now.
            for (_, input, _) in self.inputs(&place, &Wanted::All) {
                if matches!(input.at, At::Release(_)) && known.insert(input.clone()) {
                    places.push(input);
                }
            }
        }
        Ok(places)
    }

    /// Finds out what a thing was made of, if that is not known.
    async fn look_at(&mut self, place: &Place) -> Result<()> {
        if self.found.contains_key(place) {
            return Ok(());
        }
        let found = match &place.at {
            At::Nowhere => nothing(place, if place.name.is_outside() { "file" } else { "unknown" }),
            At::Version(version) => {
                let maker = maker(self.session.scope().tables(), &place.name, *version).await?;
                maker.map_or_else(|| nothing(place, "unknown"), |maker| of_commit(place, maker))
            }
            At::Release(release) => {
                self.know(*release).await?;
                self.of_view(place, *release).await?
            }
        };
        self.know(found.release).await?;
        self.found.insert(place.clone(), found);
        Ok(())
    }

    async fn of_view(&mut self, place: &Place, release: Option<ReleaseNumber>) -> Result<Found> {
        let pins = release.and_then(|release| self.pins.get(&release)).unwrap_or(self.session.scope().pins());
        let mut found = nothing(place, "view");
        found.release = release;
        found.node.release = release.map(|release| release.0);
        let Some(view) = pins.views.get(&place.name) else { return Ok(found) };
        if let Some(lineage) = self.views.known(view, pins) {
            found.of = MadeOf::of_lineage(lineage.clone(), pins);
            return Ok(found);
        }
        if !self.sessions.iter().any(|(of, _)| *of == release) {
            let scope = Scope::of(self.session.scope().tables().clone(), pins.clone());
            let session = Session::new(scope, self.session.default_schema(), Limits::default());
            self.sessions.push_front((release, session));
            self.sessions.truncate(SESSIONS);
        }
        let session = self.sessions.iter().find(|(of, _)| *of == release);
        let (_, session) = session.expect("it is one of the last");
        // A view that fits nothing any more comes from nowhere; who reads it is told why.
        if let Ok(of) = MadeOf::of_view(session, &view.sql).await {
            self.views.learn(view, &of.lineage, pins);
            found.of = of;
        }
        Ok(found)
    }

    /// Reads what a release pins, if that is not known.
    async fn know(&mut self, release: Option<ReleaseNumber>) -> Result<()> {
        let Some(number) = release.filter(|number| !self.pins.contains_key(number)) else { return Ok(()) };
        let newest = self.session.scope().pins();
        let pins = match newest.release == release {
            true => newest.clone(),
            // One that is there no more says nothing about views.
            false => match release::release(self.lakehouse.tables.lake(), number).await {
                Ok(release) => release.pinned(),
                Err(_) => Pins::default(),
            },
        };
        self.pins.insert(number, pins);
        Ok(())
    }

    fn take(&mut self, place: &Place) {
        if self.taken.insert(place.clone()) {
            self.order.push(place.clone());
        }
    }

    /// What was found.
    pub(super) fn graph(self, start: &Place, column: Option<String>) -> LineageGraph {
        let others = self.order.iter().filter(|place| *place != start);
        let nodes = std::iter::once(start).chain(others).map(|place| self.found[place].node.clone());
        LineageGraph {
            of: start.id(),
            column,
            nodes: nodes.collect(),
            edges: self.edges.into_iter().collect(),
        }
    }
}

fn nothing(place: &Place, kind: &'static str) -> Found {
    let version = match place.at {
        At::Version(version) => Some(version.0),
        _ => None,
    };
    let node =
        LineageNode { id: place.id(), name: place.name.to_string(), version, kind, ..LineageNode::default() };
    Found { node, of: MadeOf::default(), release: None }
}

fn of_commit(place: &Place, maker: Maker) -> Found {
    let Maker { commit, of } = maker;
    let text = |key: &str| commit.provenance.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    let has_landed = commit.provenance.contains_key("load_id");
    let operation = if has_landed { Some("landed".to_owned()) } else { commit.operation.clone() };
    let Found { node, .. } = nothing(place, "table");
    let node = LineageNode {
        operation,
        made_at: Some(commit.version.0),
        at: Some(commit.timestamp),
        unique_id: text("model"),
        release: commit.release,
        run: text("run"),
        files: files(&commit),
        ..node
    };
    Found { node, of: of.unwrap_or_default(), release: commit.release.map(ReleaseNumber) }
}

/// The files that a commit landed.
fn files(commit: &Commit) -> Vec<String> {
    let files = commit.provenance.get("files").and_then(|files| files.as_array()).into_iter().flatten();
    files.filter_map(|file| file.get("path")?.as_str().map(str::to_owned)).collect()
}
