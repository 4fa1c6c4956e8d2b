//! Which thing does an entry of a properties file speak of?
//!
//! Hangs what properties say on models, seeds, snapshots and singular tests of the same package. What
//! speaks of nothing is a warning, with the name that was probably meant.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Diagnostic, Span, did_you_mean};

use super::config::Config;
use super::data_test::DataTest;
use super::edition::{DescribedEdition, Edition, Editions};
use super::model::{Column, Model};
use super::properties::{Described, Properties, twice};
use super::reading::Reading;
use super::{Project, SnapshotFile};

/// What properties can be hung on.
struct Peg<'a> {
    name: Cow<'a, str>,
    description: &'a mut String,
    config: &'a mut Config,
    columns: &'a mut Arc<[Column]>,
    tests: &'a mut Vec<DataTest>,
    described_at: &'a mut Option<Span>,
}

macro_rules! pegs {
    ($things:expr, $is_meant:expr) => {
        $things
            .iter_mut()
            .filter(|thing| $is_meant(&thing.package))
            .map(|thing| Peg {
                name: Cow::from(&thing.name),
                description: &mut thing.description,
                config: &mut thing.config,
                columns: &mut thing.columns,
                tests: &mut thing.tests,
                described_at: &mut thing.described_at,
            })
            .collect::<Vec<_>>()
    };
}

impl Reading<'_> {
    /// Hangs what properties say on the things they speak of. Returns what speaks of nothing in the package.
    pub(super) fn describe(&mut self, all: Vec<Properties>) -> Left {
        let package = self.own.name.clone();
        let mut models = Vec::new();
        let mut seeds = Vec::new();
        let mut snapshots = Vec::new();
        for mut properties in all {
            models.append(&mut properties.models);
            seeds.append(&mut properties.seeds);
            for (described, relation) in properties.snapshots {
                if let Some(relation) = relation {
                    self.snapshot_in_yaml(&described, &relation);
                }
                snapshots.push(described);
            }
            properties.tests.into_iter().for_each(|described| self.describe_test(described));
            properties.sources.into_iter().for_each(|source| self.add_source(source));
            self.project.documents.append(&mut properties.documents);
            self.project.unit_tests.append(&mut properties.unit_tests);
            self.project.macro_words.append(&mut properties.macros);
        }
        let models = models.into_iter().flat_map(|described| self.editions(described)).collect();
        let is_own = |of: &str| of == package;
        let found = &mut *self.found;
        Left {
            models: hang(models, model_pegs(&mut self.project.models, is_own), "model", found),
            seeds: hang(seeds, pegs!(self.project.seeds, is_own), "seed", found),
            snapshots: hang(snapshots, pegs!(self.project.snapshots, is_own), "snapshot", found),
        }
    }

    /// What is said of a model in several versions, as said of each of them. Their files become that model.
    fn editions(&mut self, mut described: Described) -> Vec<Described> {
        let editions = std::mem::take(&mut described.editions);
        let Some(latest) = editions.latest().filter(|_| !editions.all.is_empty()) else {
            return vec![described];
        };
        let each = editions.all.into_iter().filter_map(|one| {
            let edition = Edition { version: one.version.clone(), latest: latest.clone() };
            let by_name = edition.file_name(&described.name);
            let package = self.own.name.clone();
            let models = self.project.models.iter().filter(|model| model.package == package);
            let known: Vec<String> = models.map(|model| model.file_stem().to_owned()).collect();
            let file = one.defined_in.as_ref().unwrap_or(&by_name);
            // The latest version may be in a file of the model's own name.
            let of_latest = (edition.is_latest() && one.defined_in.is_none()).then_some(&described.name);
            let files: Vec<&String> = std::iter::once(file).chain(of_latest).collect();
            let found = files.into_iter().find(|file| known.contains(file));
            let Some(found) = found else {
                let what = format!("version {} of the model `{}` has no file", one.version, described.name);
                self.found.push(
                    Diagnostic::warning("elt::unused_properties", what)
                        .at(&one.at, "of this version")
                        .help(format!("write it as {file}.sql, or say `defined_in:`"))
                        .maybe_help(did_you_mean(file, known.iter().map(String::as_str))),
                );
                return None;
            };
            let models = self.project.models.iter_mut().filter(|model| model.package == package);
            for model in models.filter(|model| model.file_stem() == found) {
                model.fqn.pop();
                model.fqn.extend([described.name.clone(), format!("v{}", one.version)]);
                model.name.clone_from(&described.name);
                model.edition = Some(edition.clone());
            }
            Some(of_edition(&described, &edition, one))
        });
        each.collect()
    }

    /// A snapshot that is written in YAML alone: everything of a relation.
    fn snapshot_in_yaml(&mut self, described: &Described, relation: &str) {
        let relation = relation.trim().trim_start_matches("{{").trim_end_matches("}}").trim();
        let fqn: Vec<String> = vec![self.own.name.clone(), described.name.clone()];
        self.project.snapshots.push(SnapshotFile {
            config: self.config(|s| &s.snapshots, &fqn),
            name: described.name.clone(),
            package: self.own.name.clone(),
            source_text: described.at.source.clone(),
            template: format!("select * from {{{{ {relation} }}}}"),
            starts_at: described.at.bytes.start,
            at: described.at.clone(),
            fqn,
            description: String::new(),
            columns: Arc::new([]),
            tests: Vec::new(),
            described_at: None,
        });
    }

    fn add_source(&mut self, source: super::Source) {
        let key =
            |source: &super::Source| (source.package.clone(), source.source.clone(), source.table.clone());
        let twin = self.project.sources.iter().find(|other| key(other) == key(&source));
        match twin {
            Some(twin) => {
                let name = format!("{}.{}", source.source, source.table);
                self.found.push(twice("source table", &name, &source.at, &twin.at));
            }
            None => self.project.sources.push(source),
        }
    }

    fn describe_test(&mut self, described: Described) {
        let package = &self.own.name;
        let mut tests = self.project.tests.iter_mut().filter(|test| test.package == *package);
        match tests.find(|test| test.name == described.name) {
            Some(test) => {
                test.description = described.description;
                test.config.lay(&described.config);
            }
            // A generic test may be described too; its macro needs nothing of it.
            None if described.config.iter().next().is_none() => {}
            None => self.found.push(
                Diagnostic::warning(
                    "elt::unused_properties",
                    format!("there is no test file `{}`", described.name),
                )
                .at(&described.at, "no file of this name"),
            ),
        }
    }
}

/// What is said of one version: its own words over those of the whole model.
fn of_edition(whole: &Described, edition: &Edition, own: DescribedEdition) -> Described {
    let mut config = whole.config.clone();
    config.lay(&own.config);
    Described {
        name: edition.shown(&whole.name),
        at: own.at,
        description: own.description.unwrap_or_else(|| whole.description.clone()),
        config,
        columns: own.columns.map_or_else(|| whole.columns.clone(), |columns| columns.of(&whole.columns)),
        tests: own.tests.unwrap_or_else(|| whole.tests.clone()),
        editions: Editions::default(),
    }
}

/// Hangs descriptions on things of their names. Returns those that speak of nothing here.
fn hang(all: Vec<Described>, pegs: Vec<Peg<'_>>, what: &str, found: &mut Vec<Diagnostic>) -> Vec<Described> {
    let mut by_name: BTreeMap<Cow<'_, str>, Vec<Peg<'_>>> = BTreeMap::new();
    for peg in pegs {
        by_name.entry(peg.name.clone()).or_default().push(peg);
    }
    // Of several files with one name only one is enabled, which may say so itself; those that may be are spoken of.
    for pegs in by_name.values_mut() {
        let may_be = |peg: &Peg<'_>| peg.config.flag("enabled") != Some(false);
        if pegs.iter().any(may_be) {
            pegs.retain(may_be);
        }
    }
    let mut left = Vec::new();
    for described in all {
        let Some(pegs) = by_name.get_mut(described.name.as_str()) else {
            left.push(described);
            continue;
        };
        if let Some(first) = pegs.iter().find_map(|peg| peg.described_at.as_ref()) {
            found.push(twice(what, &described.name, &described.at, first));
            continue;
        }
        for peg in pegs {
            peg.description.clone_from(&described.description);
            peg.config.lay(&described.config);
            *peg.columns = described.columns.clone().into();
            peg.tests.clone_from(&described.tests);
            *peg.described_at = Some(described.at.clone());
        }
    }
    left
}

/// Descriptions that speak of nothing in their own package.
#[derive(Default)]
pub(super) struct Left {
    models: Vec<Described>,
    seeds: Vec<Described>,
    snapshots: Vec<Described>,
}

impl Left {
    /// Adds those of another package.
    pub(super) fn append(&mut self, mut more: Self) {
        self.models.append(&mut more.models);
        self.seeds.append(&mut more.seeds);
        self.snapshots.append(&mut more.snapshots);
    }

    /// Hangs them on what other packages have by their names, as dbt does, and warns of those that speak of nothing at all.
    pub(super) fn hang(self, project: &mut Project, found: &mut Vec<Diagnostic>) {
        let warn = |left: Vec<Described>, what: &str, names: Vec<String>, found: &mut Vec<Diagnostic>| {
            for described in left {
                found.push(
                    Diagnostic::warning(
                        "elt::unused_properties",
                        format!("there is no {what} `{}`", described.name),
                    )
                    .at(&described.at, "no file of this name")
                    .help("what is said of it here has no effect, its tests included")
                    .maybe_help(did_you_mean(&described.name, names.iter().map(String::as_str))),
                );
            }
        };
        let names = |pegs: &[Peg<'_>]| pegs.iter().map(|peg| peg.name.to_string()).collect::<Vec<_>>();
        let pegs = model_pegs(&mut project.models, |_| true);
        let (known, left) = (names(&pegs), hang(self.models, pegs, "model", found));
        warn(left, "model", known, found);
        let pegs = pegs!(project.seeds, |_| true);
        let (known, left) = (names(&pegs), hang(self.seeds, pegs, "seed", found));
        warn(left, "seed", known, found);
        let pegs = pegs!(project.snapshots, |_| true);
        let (known, left) = (names(&pegs), hang(self.snapshots, pegs, "snapshot", found));
        warn(left, "snapshot", known, found);
    }
}

fn model_pegs(models: &mut [Model], is_meant: impl Fn(&str) -> bool) -> Vec<Peg<'_>> {
    fn peg(model: &mut Model) -> Peg<'_> {
        Peg {
            name: match &model.edition {
                Some(edition) => edition.shown(&model.name).into(),
                None => Cow::from(&model.name),
            },
            description: &mut model.description,
            config: &mut model.config,
            columns: &mut model.columns,
            tests: &mut model.tests,
            described_at: &mut model.described_at,
        }
    }
    models.iter_mut().filter(|model| is_meant(&model.package)).map(peg).collect()
}

/// Warns of every folder in the project's trees that holds nothing.
pub(super) fn look_for_unused_settings(
    settings: &super::settings::Settings,
    project: &Project,
    found: &mut Vec<Diagnostic>,
) {
    let models: Vec<_> = project.models.iter().map(|model| model.fqn.clone()).collect();
    let seeds: Vec<_> = project.seeds.iter().map(|seed| seed.fqn.clone()).collect();
    let snapshots: Vec<_> = project.snapshots.iter().map(|snapshot| snapshot.fqn.clone()).collect();
    let sources: Vec<_> = project.sources.iter().map(|source| source.fqn.clone()).collect();
    settings.models.unused(&models, found);
    settings.seeds.unused(&seeds, found);
    settings.snapshots.unused(&snapshots, found);
    settings.sources.unused(&sources, found);
}
