//! How do packages get onto this machine?
//!
//! [`install`] carries out an [`Order`]: it settles which version of each package will do for everybody who asks for
//! it, writes that down in `package-lock.yml`, and puts the packages where the project looks for them. As long as
//! the list of packages stays the same, the lock file decides, and what is there is not asked for again.
//!
//! Not here: what the list says (`project::dependency`), or which folder a package is read from (`project::package`).

mod add;
mod archive;
mod error;
mod git;
mod hub;
mod install;
mod lock;
mod mirrors;
mod pin;
mod resolve;
mod stock;
mod version;
mod web;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use semver::Version;

use crate::base::{Ending, Event, SourceText, Step, Watch};
use crate::project::Dependency;
use lock::LOCK_FILE;
use pin::Pin;
use resolve::Resolver;
use stock::Stock;

/// Whether a version, such as dbt's, is within a bound such as `>=1.6.0`.
///
/// # Errors
/// If the bound is none.
pub fn is_within(version: &str, bound: &str) -> Result<bool, String> {
    let read = version::Bound::read(bound)
        .ok_or_else(|| format!("`{bound}` is no bound of versions; write it as `>=1.6.0`"))?;
    Ok(version::read(version).is_none_or(|version| read.holds(&version)))
}

pub use add::{NewPackage, Origin};
pub use error::PackageError;
pub use mirrors::{HUB, Mirrors};
pub use web::{post_json, post_json_again, post_json_once};

/// Reads the packages of a folder; the text is how the folder is shown.
pub type ReadFolder<'a> = dyn Fn(&Path, &str) -> Vec<Dependency> + Sync + 'a;

/// Reads the packages of a text in the form of `packages.yml`.
pub type ReadText<'a> = dyn Fn(&SourceText) -> Vec<Dependency> + Sync + 'a;

/// What is to be installed, and how.
pub struct Order<'a> {
    /// The project's name.
    pub name: &'a str,
    /// The project's folder.
    pub root: &'a Path,
    /// Where packages go.
    pub install_path: &'a Path,
    /// What the project stands on.
    pub dependencies: Vec<Dependency>,
    /// From where packages are had.
    pub mirrors: &'a Mirrors,
    /// The version of dbt that packages must work with; any will do if nothing.
    pub dbt_version: Option<Version>,
    /// Reads what a package stands on.
    pub read: &'a ReadFolder<'a>,
    /// Reads what the hub, or a lock file, says.
    pub read_text: &'a ReadText<'a>,
    /// Settles versions anew, whatever the lock file says.
    pub upgrade: bool,
    /// Writes the lock file and installs nothing.
    pub only_lock: bool,
    /// Texts that are not to be shown: they are secrets of the environment.
    pub secrets: Vec<String>,
}

/// What became of one package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledPackage {
    /// The name that it gives itself.
    pub name: String,
    /// Where it is from, as the list has it.
    pub from: String,
    /// Which version it is, in words.
    pub version: String,
    /// What was done.
    pub state: PackageState,
    /// The newest version that would do, if the hub was asked and there is a newer one than the list allows.
    pub newer: Option<String>,
}

/// What was done with a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageState {
    /// It was put in its place.
    Installed,
    /// It was in its place already.
    UpToDate,
    /// It is a folder of its own, and is read there.
    Local,
    /// It was put there by somebody else, and is left as it is.
    Vendored,
    /// Only its version was settled.
    Locked,
}

/// What came of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstallReport {
    /// Every package, in the order in which they are come upon.
    pub packages: Vec<InstalledPackage>,
    /// Packages that nobody asks for any more, and that were taken away.
    pub removed: Vec<String>,
    /// Whether `package-lock.yml` was written.
    pub wrote_lock: bool,
    /// What is worth a warning.
    pub notes: Vec<String>,
}

/// Installs what a project stands on. `watch` is told of each package.
///
/// A package is in its place as a whole or not at all, so it is safe to interrupt this, and to run it again.
///
/// # Errors
/// [`PackageError`]. Packages that were installed before the mistake stay.
pub async fn install(order: &Order<'_>, watch: &dyn Watch) -> Result<InstallReport, PackageError> {
    Box::pin(carry_out(order, watch)).await.map_err(|error| masked(error, &order.secrets))
}

async fn carry_out(order: &Order<'_>, watch: &dyn Watch) -> Result<InstallReport, PackageError> {
    let lock_path = order.root.join(LOCK_FILE);
    let known = std::fs::read_to_string(&lock_path).ok().map(|text| SourceText::new(LOCK_FILE, &text));
    let hash = lock::hash(&order.dependencies);
    let beside = if order.only_lock { std::env::temp_dir() } else { order.install_path.to_owned() };
    let mut stock = Stock::new(order.mirrors, beside)?;
    let mut resolver = Resolver { order, stock: &mut stock, locked: BTreeSet::new(), notes: Vec::new() };
    let before = known.as_ref().map(|text| resolver.locked(text)).transpose();
    // A lock file that is asked to be written anew need not be readable.
    let before = if order.upgrade { before.unwrap_or_default() } else { before? };
    resolver.locked = before.iter().flatten().map(|pin| pin.name().to_owned()).collect();
    let is_settled = known.as_ref().and_then(|text| lock::hash_of(&text.text)) == Some(hash.clone());
    let mut report = InstallReport::default();
    let pins = match before.filter(|_| is_settled && !order.upgrade) {
        Some(pins) => pins,
        None => {
            let pins = Box::pin(resolver.resolve()).await?;
            report.notes = std::mem::take(&mut resolver.notes);
            let locked: Vec<Pin> =
                pins.iter().filter(|pin| !matches!(pin, Pin::Vendored { .. })).cloned().collect();
            if !(order.dependencies.is_empty() || locked.is_empty() && known.is_none()) {
                let text = masks(&lock::write(&locked, &hash), &order.secrets);
                report.wrote_lock = known.as_ref().is_none_or(|known| *known.text != *text);
                install::write(&lock_path, text.as_bytes())?;
            }
            pins
        }
    };
    for pin in &pins {
        report.packages.push(Box::pin(one(order, pin, &mut stock, watch)).await?);
    }
    if !order.only_lock {
        report.removed = install::prune(&pins, order.install_path)?;
    }
    Ok(report)
}

/// Sees to one package.
async fn one(
    order: &Order<'_>,
    pin: &Pin,
    stock: &mut Stock<'_>,
    watch: &dyn Watch,
) -> Result<InstalledPackage, PackageError> {
    let mut name = pin.name().to_owned();
    let state = match pin {
        Pin::Local { folder, .. } => {
            name = stock::named(folder, &folder.display().to_string())?;
            PackageState::Local
        }
        Pin::Vendored { .. } => PackageState::Vendored,
        _ if order.only_lock => PackageState::Locked,
        _ if install::is_there(pin, order.install_path) => PackageState::UpToDate,
        _ => {
            let name_of = masks(pin.from(), &order.secrets);
            let step = Step { kind: "package".to_owned(), name: name_of, node: None };
            watch.on(Event::Started(step.clone()));
            let begun = Instant::now();
            name = install::install(pin, order.install_path, stock).await?;
            let detail = masks(&pin.version(), &order.secrets);
            watch.on(Event::Finished {
                step,
                ending: Ending::Done,
                detail,
                took: begun.elapsed(),
                told: None,
            });
            PackageState::Installed
        }
    };
    let newer = match pin {
        Pin::Hub { package, version, .. } => stock.known_offer(package).and_then(|offer| {
            let works =
                |one: &&hub::Edition| order.dbt_version.as_ref().is_none_or(|dbt| one.works_with(dbt));
            let releases = offer.versions.iter().filter(|(version, _)| version.pre.is_empty());
            let newest = releases.map(|(_, edition)| edition).rfind(works)?;
            let is_newer = version::read(&newest.written) > version::read(version);
            is_newer.then(|| newest.written.clone())
        }),
        _ => None,
    };
    let from = masks(pin.from(), &order.secrets);
    Ok(InstalledPackage { name, from, version: masks(&pin.version(), &order.secrets), state, newer })
}

/// Adds a package to the list of the project in `root`; says the file, and whether an entry for it went.
///
/// # Errors
/// [`PackageError::CannotAdd`] if the list has a form that cannot be added to.
pub fn add(root: &Path, package: &NewPackage) -> Result<(&'static str, bool), PackageError> {
    let lists_packages = |name: &str| {
        let text = std::fs::read_to_string(root.join(name)).unwrap_or_default();
        text.lines().any(|line| line.starts_with("packages:"))
    };
    let other = "dependencies.yml";
    let file =
        if lists_packages(other) && !root.join("packages.yml").exists() { other } else { "packages.yml" };
    let path = root.join(file);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.map_err(|because| PackageError::Files { path: path.clone(), because })?,
    };
    let (text, replaced) = add::added(&text, file, package)?;
    install::write(&path, text.as_bytes())?;
    Ok((file, replaced))
}

/// A text without the secrets in it.
fn masks(text: &str, secrets: &[String]) -> String {
    secrets
        .iter()
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| text.replace(secret, "*****"))
}

/// An error without the secrets in it.
fn masked(error: PackageError, secrets: &[String]) -> PackageError {
    let clean = |text: String| masks(&text, secrets);
    match error {
        PackageError::Unreachable { url, because } => {
            PackageError::Unreachable { url: clean(url), because: clean(because) }
        }
        PackageError::NotFound { what, url, help } => {
            PackageError::NotFound { what: clean(what), url: clean(url), help: help.map(clean) }
        }
        PackageError::Revisions { url, asked } => PackageError::Revisions { url: clean(url), asked },
        PackageError::Duplicate { name, one, other } => {
            PackageError::Duplicate { name, one: clean(one), other: clean(other) }
        }
        PackageError::NotAPackage { what, because } => {
            PackageError::NotAPackage { what: clean(what), because: clean(because) }
        }
        PackageError::Git { url, revision, said } => {
            PackageError::Git { url: clean(url), revision, said: clean(said) }
        }
        other => other,
    }
}
