//! Which versions will do for everybody?
//!
//! Packages stand on packages. Each round gathers every wish that is reached from the project with the versions
//! chosen so far, and settles each for the newest version that all who ask for it can live with; it ends when a
//! round changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use semver::Version;

use super::error::PackageError;
use super::pin::Pin;
use super::stock::{Stock, named};
use super::version::Bound;
use super::{Order, git, lock};
use crate::base::{SourceText, grouped};
use crate::project::{Dependency, DependencyKind, PACKAGE_MARK, installed};

/// How many rounds are gone before it is said that they do not end: packages stand on each other a few deep.
const ROUNDS: usize = 50;

/// One package, and everybody who asks for it.
struct Wish {
    key: String,
    first: Dependency,
    /// Who asks: for these bounds, or this revision.
    asked: Vec<(String, Vec<String>)>,
    prerelease: bool,
    vendored: Option<(PathBuf, String)>,
}

/// Settles which packages the project stands on, and in which versions.
pub(super) struct Resolver<'a, 'b> {
    pub(super) order: &'a Order<'a>,
    pub(super) stock: &'a mut Stock<'b>,
    /// The names of packages that dbt or an earlier `elt deps` installed: their folders may be replaced.
    pub(super) locked: BTreeSet<String>,
    /// What is worth saying on the way.
    pub(super) notes: Vec<String>,
}

impl Resolver<'_, '_> {
    /// Every package, in the order in which they are come upon.
    pub(super) async fn resolve(&mut self) -> Result<Vec<Pin>, PackageError> {
        let mut chosen: Vec<(String, Pin)> = Vec::new();
        for _ in 0..ROUNDS {
            self.notes.clear();
            let wishes = self.gather(&chosen);
            let mut next = Vec::new();
            for wish in &wishes {
                next.push((wish.key.clone(), self.settle(wish).await?));
            }
            if next == chosen {
                let pins: Vec<Pin> = next.into_iter().map(|(_, pin)| pin).collect();
                return self.check_names(&pins).map(|()| pins);
            }
            chosen = next;
        }
        Err(PackageError::NoVersion {
            package: "the packages".to_owned(),
            asked: "what they ask of each other changes with every version that is chosen".to_owned(),
            help: "give the versions of those that depend on each other exactly".to_owned(),
        })
    }

    /// Who wants what, as far as the versions chosen so far tell.
    fn gather(&self, chosen: &[(String, Pin)]) -> Vec<Wish> {
        let local = |dependency: &Dependency| match &dependency.kind {
            DependencyKind::Local { folder } => crate::project::package_name(folder),
            _ => None,
        };
        let here: BTreeSet<String> = self.order.dependencies.iter().filter_map(local).collect();
        let mut wishes: Vec<Wish> = Vec::new();
        let own = self.order.dependencies.iter().map(|one| (one.at.source.path.to_string(), one.clone()));
        let mut open: std::collections::VecDeque<(String, Dependency)> = own.collect();
        while let Some((by, wanted)) = open.pop_front() {
            let is_local = matches!(wanted.kind, DependencyKind::Local { .. });
            // The project's own folder stands for a package of that name, whoever asks for it.
            if !is_local && here.contains(&wanted.name) {
                continue;
            }
            let (key, asked) = (key(&wanted), asked(&wanted));
            let prerelease = matches!(wanted.kind, DependencyKind::Hub { prerelease: true, .. });
            if let Some(known) = wishes.iter_mut().find(|wish| wish.key == key) {
                known.asked.push((by, asked));
                known.prerelease |= prerelease;
                continue;
            }
            let vendored = self.vendored(&wanted);
            if let Some((_, pin)) = chosen.iter().find(|(known, _)| *known == key) {
                open.extend(self.stands_on(pin).into_iter().map(|below| (pin.name().to_owned(), below)));
            }
            wishes.push(Wish { key, first: wanted, asked: vec![(by, asked)], prerelease, vendored });
        }
        wishes
    }

    /// The folder of a package that somebody put among the installed ones, and the package's name.
    fn vendored(&self, wanted: &Dependency) -> Option<(PathBuf, String)> {
        if matches!(wanted.kind, DependencyKind::Local { .. }) {
            return None;
        }
        let folder = installed(&[self.order.install_path.to_path_buf()], &wanted.name)?;
        let name = crate::project::package_name(&folder)?;
        let is_ours = folder.join(PACKAGE_MARK).exists() || folder.is_symlink();
        (!is_ours && !self.locked.contains(&name)).then_some((folder, name))
    }

    /// What a package stands on itself.
    fn stands_on(&self, pin: &Pin) -> Vec<Dependency> {
        let read = |folder: &PathBuf, shown: &str| (self.order.read)(folder, shown);
        match pin {
            Pin::Local { folder, written, .. } => read(folder, written),
            Pin::Vendored { folder, name } => read(folder, name),
            Pin::Git { url, commit, subdirectory, name, .. } => {
                let folder = self.stock.known_repository(url, commit, subdirectory.as_deref());
                folder.map(|folder| read(&folder, name)).unwrap_or_default()
            }
            Pin::Tarball { url, name, .. } => {
                self.stock.known_archive(url).map(|folder| read(&folder, name)).unwrap_or_default()
            }
            Pin::Hub { package, version, .. } => {
                let offer = self.stock.known_offer(package);
                let edition =
                    offer.and_then(|offer| offer.versions.values().find(|one| one.written == *version));
                let packages = edition.map(|edition| edition.packages.clone()).unwrap_or_default();
                let text = serde_json::json!({"packages": packages}).to_string();
                (self.order.read_text)(&SourceText::new(package, &text))
            }
        }
    }

    async fn settle(&mut self, wish: &Wish) -> Result<Pin, PackageError> {
        if let Some((folder, name)) = &wish.vendored {
            return Ok(Pin::Vendored { folder: folder.clone(), name: name.clone() });
        }
        let written = |key: &str| {
            wish.first.written.get(key).and_then(|text| text.as_str()).unwrap_or_default().to_owned()
        };
        match &wish.first.kind {
            DependencyKind::Hub { package, .. } => self.settle_hub(package, wish).await,
            DependencyKind::Git { url, subdirectory, warn_unpinned, .. } => {
                let revisions: BTreeSet<&String> = wish.asked.iter().flat_map(|(_, asked)| asked).collect();
                if revisions.len() > 1 {
                    return Err(PackageError::Revisions { url: url.clone(), asked: told(&wish.asked) });
                }
                let revision = revisions.first().map_or(git::HEAD, |revision| revision.as_str()).to_owned();
                if *warn_unpinned && [git::HEAD, "main", "master"].contains(&revision.as_str()) {
                    self.notes.push(format!(
                        "{url} is not pinned: {revision} may be something else tomorrow; give `revision:` a tag or a commit, or say `warn-unpinned: false`"
                    ));
                }
                let taken = self.stock.repository(url, &revision, subdirectory.as_deref()).await?;
                Ok(Pin::Git {
                    url: url.clone(),
                    written: written("git"),
                    commit: taken.commit,
                    asked: revision,
                    subdirectory: subdirectory.clone(),
                    name: taken.name,
                })
            }
            DependencyKind::Tarball { url } => {
                let folder = self.stock.archive(url, url).await?;
                let own = named(&folder, url)?;
                let given = wish.first.rendered.get("name").and_then(|name| name.as_str());
                Ok(Pin::Tarball {
                    url: url.clone(),
                    written: written("tarball"),
                    name: given.map_or(own, str::to_owned),
                })
            }
            DependencyKind::Local { folder } => {
                let name = named(folder, &folder.display().to_string())?;
                Ok(Pin::Local { folder: folder.clone(), written: written("local"), name })
            }
        }
    }

    async fn settle_hub(&mut self, package: &str, wish: &Wish) -> Result<Pin, PackageError> {
        let mut bounds = Vec::new();
        for text in wish.asked.iter().flat_map(|(_, asked)| asked) {
            let bad = || PackageError::BadVersion { package: package.to_owned(), text: text.clone() };
            bounds.push(Bound::read(text).ok_or_else(bad)?);
        }
        let early = wish.prerelease || bounds.iter().any(Bound::is_prerelease);
        let dbt = self.order.dbt_version.clone();
        let offer = self.stock.offer(package).await?;
        if let Some(now) = offer.moved_to.as_ref().filter(|now| *now != package) {
            self.notes.push(format!("the package `{package}` is called `{now}` now; ask for that"));
        }
        let offer = self.stock.offer(package).await?;
        let (mut fits, mut refused): (Vec<&Version>, Vec<String>) = (Vec::new(), Vec::new());
        for (version, edition) in &offer.versions {
            if !bounds.iter().all(|bound| bound.holds(version)) {
                continue;
            }
            let works = dbt.as_ref().is_none_or(|dbt| edition.works_with(dbt));
            match (works, early || version.pre.is_empty()) {
                (true, true) => fits.push(version),
                (false, _) => {
                    let needs: Vec<String> = edition.requires.iter().map(ToString::to_string).collect();
                    refused.push(format!(
                        "{version} needs dbt {} (`--no-version-check` takes it anyway)",
                        needs.join(",")
                    ));
                }
                (_, false) => refused
                    .push(format!("{version} comes before a release (`install_prerelease: true` takes it)")),
            }
        }
        let Some(newest) = fits.last() else {
            let help = match refused.last() {
                Some(why) => why.clone(),
                None => there_are(offer.versions.values().map(|one| one.written.as_str()).collect()),
            };
            return Err(PackageError::NoVersion {
                package: package.to_owned(),
                asked: told(&wish.asked),
                help,
            });
        };
        let edition = &offer.versions[*newest];
        Ok(Pin::Hub {
            package: package.to_owned(),
            version: edition.written.clone(),
            name: edition.name.clone(),
        })
    }

    /// That no two packages have one name, nor one the project's.
    fn check_names(&self, pins: &[Pin]) -> Result<(), PackageError> {
        let mut seen: BTreeMap<&str, String> =
            BTreeMap::from([(self.order.name, "the project itself".to_owned())]);
        for pin in pins {
            let from = pin.from().to_owned();
            if let Some(one) = seen.insert(pin.name(), from.clone()) {
                return Err(PackageError::Duplicate { name: pin.name().to_owned(), one, other: from });
            }
        }
        Ok(())
    }

    /// What a lock file says was settled.
    pub(super) fn locked(&self, text: &SourceText) -> Result<Vec<Pin>, PackageError> {
        let read = |one: &Dependency| -> Option<Pin> {
            let text = |key: &str| one.written.get(key).and_then(|text| text.as_str()).map(str::to_owned);
            Some(match &one.kind {
                DependencyKind::Hub { package, versions, .. } => Pin::Hub {
                    package: package.clone(),
                    version: versions.first()?.trim_start_matches('=').to_owned(),
                    name: one.name.clone(),
                },
                DependencyKind::Git { url, revision, subdirectory, .. } => Pin::Git {
                    url: url.clone(),
                    written: text("git")?,
                    commit: revision.clone()?,
                    asked: revision.clone()?,
                    subdirectory: subdirectory.clone(),
                    name: one.name.clone(),
                },
                DependencyKind::Tarball { url } => {
                    Pin::Tarball { url: url.clone(), written: text("tarball")?, name: one.name.clone() }
                }
                DependencyKind::Local { folder } => {
                    Pin::Local { folder: folder.clone(), written: text("local")?, name: one.name.clone() }
                }
            })
        };
        let pins: Option<Vec<Pin>> = (self.order.read_text)(text).iter().map(read).collect();
        let bad = || PackageError::BadLock { because: "an entry names no revision or no version".to_owned() };
        let pins = pins.ok_or_else(bad)?;
        match lock::hash_of(&text.text) {
            Some(_) => Ok(pins),
            None => Err(PackageError::BadLock { because: "it has no sha1_hash".to_owned() }),
        }
    }
}

/// What makes two wishes wishes for one package.
fn key(wanted: &Dependency) -> String {
    match &wanted.kind {
        DependencyKind::Hub { package, .. } => format!("package {package}"),
        DependencyKind::Git { url, subdirectory, .. } => {
            let url = url.trim_end_matches('/').trim_end_matches(".git");
            format!("git {url} {}", subdirectory.as_deref().unwrap_or_default())
        }
        DependencyKind::Tarball { url } => format!("tarball {url}"),
        DependencyKind::Local { folder } => {
            format!("local {}", folder.canonicalize().unwrap_or_else(|_| folder.clone()).display())
        }
    }
}

/// What a wish asks for: bounds, or a revision.
fn asked(wanted: &Dependency) -> Vec<String> {
    match &wanted.kind {
        DependencyKind::Hub { versions, .. } => versions.clone(),
        DependencyKind::Git { revision, .. } => revision.iter().cloned().collect(),
        _ => Vec::new(),
    }
}

/// Who asks for what: `>=1.0.0 (packages.yml), <0.9.0 (dbt_date)`.
fn told(asked: &[(String, Vec<String>)]) -> String {
    let one = |(by, what): &(String, Vec<String>)| {
        let what = if what.is_empty() { git::HEAD.to_owned() } else { what.join(" and ") };
        format!("{what} ({by})")
    };
    asked.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The newest of the versions that there are.
fn there_are(versions: Vec<&str>) -> String {
    const SHOWN: usize = 8;
    if versions.is_empty() {
        return "the hub has no version of it".to_owned();
    }
    let newest: Vec<&str> = versions.iter().rev().take(SHOWN).copied().collect();
    let more = versions.len().saturating_sub(SHOWN) as u64;
    let more = if more > 0 { format!(" and {} older", grouped(more)) } else { String::new() };
    format!("there are {}{more}", newest.join(", "))
}
